//! Chains in words. All names are foreign text.

use std::fmt;

use trail::lineage::{Holder, Person, Vouched, shown};

use super::{Chain, End, Issued, Seen, Why};

/// A chain as a tree: each step one level further in, its end last.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut depth = 0;
        for link in &self.links {
            writeln!(f, "{:1$}└ {2}: {3}", "", depth, link.why, link.seen)?;
            depth += 2;
        }
        write!(f, "{:1$}└ {2}", "", depth, self.end)?;
        if let Some(made) = &self.made {
            write!(f, "\n{:1$}└ who got the key or password from: {made}", "", depth + 2)?;
        }
        if self.partial {
            f.write_str("\n└ some files of the lake could not be read: a link may be missing")?;
        }
        Ok(())
    }
}

/// What a record says, in a line: action, who, from where, with what.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, action, account, .. } = self;
        write!(f, "{time}  {} by {} in {}", shown(action), self.by(), shown(account))?;
        write!(f, ", from {}", shown(&self.address))?;
        if !self.device.name.is_empty() && self.device.name != self.address {
            write!(f, " with {}", shown(&self.device.name))?;
        }
        write!(f, ", {}", self.second_factor())
    }
}

impl Seen {
    /// The actor: the ARN says most, of a service its name.
    pub fn by(&self) -> String {
        let Self { actor, arn, invoked_by, .. } = self;
        let name =
            if arn.is_empty() || arn.ends_with(actor.as_str()) { actor.clone() } else { format!("{actor} ({arn})") };
        let name = if !arn.is_empty() && arn.ends_with(actor.as_str()) { arn.clone() } else { name };
        let is_other = !invoked_by.is_empty() && invoked_by != actor && invoked_by != "signin.amazonaws.com";
        let through = if is_other { format!(" through {}", shown(invoked_by)) } else { String::new() };
        shown(&name) + &through
    }

    /// Whether with a second factor.
    pub fn second_factor(&self) -> &'static str {
        match self.mfa {
            Some(true) => "MFA",
            Some(false) => "no MFA",
            None => "MFA unknown",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issued => f.write_str("key given out"),
            Self::SameCall => f.write_str("the caller's own record"),
            Self::SignedIn => f.write_str("signed in"),
            Self::ByWayOf { service, holder } => {
                write!(f, "{} by way of {}, last changed", shown(service), holder_text(holder))
            }
        }
    }
}

fn holder_text(holder: &Holder) -> String {
    format!("{} {}", holder.kind.label(), shown(&holder.name))
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { person } => f.write_str(&person_text(person)),
            Self::Root { account } => write!(f, "the root user of account {}", shown(account)),
            Self::Service { service, holders } => service_text(f, service, holders),
            Self::BeforeLake { key, since, begins } => {
                write!(f, "ends here: the key {} was given out", shown(key))?;
                if let Some(since) = since {
                    write!(f, " at {since}")?;
                }
                match begins {
                    Some(day) => write!(f, ", before the lake begins ({day})"),
                    None => f.write_str(", and the lake is empty"),
                }
            }
            Self::NotInLake { key } => write!(
                f,
                "ends here: the record that gave out the key {} is not in the lake; it may be in another account's or \
                 region's trail",
                shown(key)
            ),
            Self::OtherAccount { account, principal } => {
                let account = if account.is_empty() { "another account" } else { account };
                write!(
                    f,
                    "ends here: {} of account {}, whose records the lake does not have",
                    shown(principal),
                    shown(account)
                )
            }
            Self::Hidden => f.write_str("ends here: CloudTrail hid the name, since no such user exists"),
            Self::Anonymous => f.write_str("ends here: the request had no credentials"),
            Self::TooDeep => f.write_str("ends here: the chain goes on, further than is followed"),
            Self::Cycle => f.write_str("ends here: the chain leads back to where it came from"),
        }
    }
}

fn service_text(f: &mut fmt::Formatter<'_>, service: &str, holders: &[Holder]) -> fmt::Result {
    write!(f, "ends here: the service {}", shown(service))?;
    if holders.is_empty() {
        return f.write_str(" by itself; its record names nothing that it acted for");
    }
    let holders: Vec<String> = holders.iter().map(holder_text).collect();
    write!(f, " for {}, which nobody changed within the lake", holders.join(", "))
}

fn person_text(person: &Person) -> String {
    let name = shown(&person.name);
    match &person.by {
        Vouched::User { arn, access_key } if access_key.is_empty() => format!("the user {name} ({})", shown(arn)),
        Vouched::User { arn, access_key } => format!("the user {name} ({}) with key {}", shown(arn), shown(access_key)),
        Vouched::IdentityCenter { permission_set } if permission_set.is_empty() => {
            format!("{name}, a user of Identity Center")
        }
        Vouched::IdentityCenter { permission_set } => {
            format!("{name}, a user of Identity Center with {}", shown(permission_set))
        }
        Vouched::SourceIdentity => format!("{name}, by the session's source identity"),
        Vouched::Provider { provider, repository, .. } if !repository.is_empty() => {
            format!("the repository {} ({name}), by {}", shown(repository), shown(provider))
        }
        Vouched::Provider { provider, .. } => format!("{name}, by {}", shown(provider)),
    }
}

/// What a key did, as a tree.
impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.level(f, 0)
    }
}

impl Issued {
    /// The key and what it was used for, without what it gave out.
    pub fn line(&self) -> String {
        let actions: Vec<String> =
            self.actions.iter().map(|(name, count)| format!("{count} {}", shown(name))).collect();
        let records = if self.records == 1 { "record" } else { "records" };
        let used = if actions.is_empty() { String::new() } else { format!(": {}", actions.join(", ")) };
        format!("{}: {} {records}{used}", shown(&self.key), self.records)
    }

    fn level(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}{2}", "", depth, self.line())?;
        for below in &self.keys {
            f.write_str("\n")?;
            below.level(f, depth + 2)?;
        }
        if self.more {
            write!(f, "\n{:1$}and more keys, which are not followed", "", depth + 2)?;
        }
        if self.partial {
            write!(f, "\n{:1$}and maybe more: some files of the lake could not be read", "", depth + 2)?;
        }
        Ok(())
    }
}
