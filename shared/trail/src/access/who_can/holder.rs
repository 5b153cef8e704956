//! Somebody who can, through what, and how sure that is.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::access::evaluate::{Clause, Held, Region, Standing};
use crate::policy::Statement;
use crate::review::usage::ActorKey;
use crate::time::Time;

/// Somebody who can.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Holder {
    /// Its kind.
    pub kind: HolderKind,
    /// What it is called in reviews: the ARN; of a person `sso:<user id>/<account>/<permission set's name>`.
    pub id: String,
    /// The ARN; of a person that of the role in the account, empty where it was not told.
    pub arn: String,
    /// What people call it.
    pub name: String,
    /// The account that it is in.
    pub account: String,
    /// How sure it is.
    pub sure: Sure,
    /// Whether the resource belongs to another account, which has to let it in as well.
    pub across: bool,
    /// Condition keys and variables that decide and were not evaluated. Empty where it is sure.
    pub conditions: Vec<String>,
    /// The statements that allow it.
    pub through: Vec<Through>,
    /// On which resources, where any was asked about; empty: on all.
    pub resources: Vec<String>,
    /// Denials that may stop it.
    pub may_stop: Vec<Stop>,
    /// Who may take the role, in words.
    pub taken_by: Vec<String>,
    /// When it was last used, as IAM has it.
    pub last_used: Option<Time>,
    /// Under which name the lake knows it.
    pub actor: Option<ActorKey>,
}

/// What kind of holder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    /// An account's root user: it always can, service control policies aside.
    #[default]
    Root,
    /// A user of Identity Center with a permission set in one account.
    Person,
    /// An IAM user.
    User,
    /// A role.
    Role,
}

/// How sure it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sure {
    /// Allowed, whatever the conditions.
    #[default]
    Allowed,
    /// It depends on conditions that were not evaluated.
    Conditional,
    /// A policy whose document was not told may allow it.
    Untold,
}

/// A statement that allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Through {
    /// The ARN or name of the policy; empty for the root user, who needs none.
    pub policy: String,
    /// The group or permission set that it comes through; empty for none.
    pub via: String,
    /// The statement's number in the policy, from 1; 0: the policy was not told.
    pub statement: usize,
    /// Its condition keys, and variables that are not known.
    pub conditions: Vec<String>,
}

/// A denial that may stop it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stop {
    /// The policy.
    pub policy: String,
    /// The statement's number in the policy, from 1.
    pub statement: usize,
    /// The condition keys and variables that it hangs on.
    pub conditions: Vec<String>,
}

/// Resources that are named for one holder.
const NAMED: usize = 8;

impl Holder {
    /// What policies come to, with nobody's name on it.
    pub(super) fn found(
        standing: &Standing<'_>,
        regions: &[Region<'_>],
        is_certain: bool,
        with_resources: bool,
    ) -> Self {
        let may_stop = may_stop(standing, regions);
        let sure = match () {
            () if is_certain => Sure::Allowed,
            () if regions.iter().any(|region| !region.is_untold) => Sure::Conditional,
            () => Sure::Untold,
        };
        let told = regions.iter().filter(|region| !region.is_untold || sure == Sure::Untold);
        let mut conditions: BTreeSet<String> = told.flat_map(|region| region.unknown.iter().cloned()).collect();
        conditions.extend(may_stop.iter().flat_map(|stop| stop.conditions.iter().cloned()));
        if is_certain {
            conditions.clear();
        }
        let through: BTreeSet<Through> = regions.iter().filter_map(|region| through(standing, region)).collect();
        Self {
            sure,
            conditions: conditions.into_iter().collect(),
            through: through.into_iter().collect(),
            resources: if with_resources { resources(regions) } else { Vec::new() },
            may_stop: may_stop.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Where it stands in a list.
    pub(super) fn order(&self) -> impl Ord + '_ {
        (self.across, self.sure, self.kind, &self.account, &self.name, &self.id)
    }
}

fn through(standing: &Standing<'_>, region: &Region<'_>) -> Option<Through> {
    let (policy, place) = region.by;
    let held = standing.identity.get(policy)?;
    let clause = held.clause(place)?;
    Some(Through {
        policy: held.name.to_string(),
        via: held.via.to_string(),
        statement: clause.number,
        conditions: clause.unknown().into_iter().collect(),
    })
}

fn may_stop(standing: &Standing<'_>, regions: &[Region<'_>]) -> BTreeSet<Stop> {
    let stops = |clause: &Clause<'_>| regions.iter().any(|region| region.may_be_stopped(clause));
    let stop = |(held, clause): (&Held<'_>, &Clause<'_>)| Stop {
        policy: held.name.to_string(),
        statement: clause.number,
        conditions: clause.unknown().into_iter().collect(),
    };
    standing.denials().filter(|(_, clause)| stops(clause)).map(stop).collect()
}

/// On what, in words. One region without limits is all there is.
fn resources(regions: &[Region<'_>]) -> Vec<String> {
    if regions.iter().any(|region| region.within.is_empty()) {
        return Vec::new();
    }
    let told: BTreeSet<String> = regions
        .iter()
        .map(|region| region.within.iter().map(|s| named(s)).collect::<Vec<_>>().join(", within "))
        .collect();
    let more = told.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    told.into_iter().take(NAMED).chain(more).collect()
}

fn named(statement: &Statement) -> String {
    let (names, but) = match &statement.resources[..] {
        [] => (&statement.not_resources, "all but "),
        _ => (&statement.resources, ""),
    };
    format!("{but}{}", super::listed(names.iter().map(String::as_str)))
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, via, statement, .. } = self;
        let policy = policy.rsplit_once(":policy/").map_or(policy.as_str(), |(_, name)| name);
        match (policy, statement) {
            ("", _) => return f.write_str("being root"),
            (policy, 0) => write!(f, "{policy}, which was not told")?,
            (policy, number) => write!(f, "{policy} statement {number}")?,
        }
        if via.is_empty() { Ok(()) } else { write!(f, " ({via})") }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.conditions.join(", ");
        write!(f, "a conditional deny may stop it: {} statement {} ({keys})", self.policy, self.statement)
    }
}
