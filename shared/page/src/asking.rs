//! Who is asking, as the door found out.

use std::fmt;

/// A person, or what acts for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Their ARN, or their name.
    pub name: String,
    /// The account they belong to; empty where there is none.
    pub account: String,
    /// What proves it.
    pub proven_by: Proof,
}

/// What proves who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: whoever sits at this machine.
    Machine,
    /// STS answered a request that the person signed.
    Sts,
    /// The claims of a verified token.
    Token,
}

impl Asking {
    /// Whoever sits at this machine.
    pub fn at_this_machine(name: impl Into<String>) -> Self {
        Self { name: name.into(), account: String::new(), proven_by: Proof::Machine }
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.proven_by == Proof::Machine { f.write_str(" on this machine") } else { Ok(()) }
    }
}
