//! What an access review asks of the records: what everybody did, and who gave access.

use std::collections::BTreeMap;

use serde_json::Value;
use trail::facts::Facts;
use trail::review::{ActorKey, RecordId, Usage};
use trail::time::Time;

use crate::answer::{Page, Read};
use crate::error::Error;
use crate::layout::Lake;
use crate::query::{Field, Filter, Pattern, Query};

/// What everybody did.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// By actor.
    pub actors: BTreeMap<ActorKey, Usage>,
    /// What it took, and what is missing.
    pub read: Read,
}

/// Who gave access.
#[derive(Debug, Clone, Default)]
pub struct Provisions {
    /// The records, newest first.
    pub all: Vec<Provision>,
    /// Whether there may be more.
    pub partial: bool,
}

/// A record that gave access to somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provision {
    /// The record.
    pub record: RecordId,
    /// Its action.
    pub action: String,
    /// What it was about: names, ids and ARNs.
    pub resources: Vec<String>,
    /// Who did it, by ARN.
    pub actor: String,
    /// Who did it, by name.
    pub name: String,
    /// Of an assignment in Identity Center: who got which permission set where.
    pub assignment: Option<Assignment>,
}

/// What an assignment gives, as its request says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The id of the user or group.
    pub principal: String,
    /// The permission set's ARN.
    pub permission_set: String,
    /// The account.
    pub account: String,
}

/// Calls that give access.
const GIVES: [&str; 14] = [
    "CreateUser",
    "CreateRole",
    "CreateLoginProfile",
    "CreateAccessKey",
    "AttachUserPolicy",
    "AttachRolePolicy",
    "PutUserPolicy",
    "PutRolePolicy",
    "AddUserToGroup",
    "UpdateAssumeRolePolicy",
    "CreateSAMLProvider",
    "CreateOpenIDConnectProvider",
    "CreateAccountAssignment",
    "CreateGroupMembership",
];

/// The services that they are calls of: others have users and roles of their own.
const OF: [&str; 4] = ["iam", "sso", "sso-directory", "identitystore"];

/// Records that are asked for at a time.
const PAGE: usize = 1000;

impl Lake {
    /// Who gave access in a span of time, by calls that succeeded.
    pub async fn provisions(&self, from: Option<Time>, to: Option<Time>) -> Result<Provisions, Error> {
        let any = GIVES.iter().map(|name| Pattern::Equal((*name).to_owned())).collect();
        let given = Filter { any, ..Filter::of(Field::Action, Pattern::Anything) };
        let filters =
            [vec![given], Filter::parse(Field::Service, &OF.join(","))?, Filter::parse(Field::Error, "none")?].concat();
        let query = Query { from, to, filters };
        let mut found = Provisions::default();
        let mut page = Page { limit: PAGE, json: true, budget: u64::MAX, ..Page::default() };
        loop {
            let answer = self.search(&query, &page).await?;
            found.partial |= answer.read.is_partial();
            found.all.extend(answer.rows.iter().map(provision));
            match answer.next {
                Some(next) => page.after = Some(next),
                None => return Ok(found),
            }
        }
    }
}

fn provision(facts: &Facts<'_>) -> Provision {
    let (account, id) = (facts.account.to_string(), facts.event_id.to_string());
    Provision {
        record: RecordId { account, id, time: facts.event_time },
        action: facts.event_name.to_string(),
        resources: facts.resources.iter().map(ToString::to_string).collect(),
        actor: facts.actor_arn.to_string(),
        name: facts.actor_name.to_string(),
        assignment: if facts.event_name == "CreateAccountAssignment" { assignment(&facts.json) } else { None },
    }
}

fn assignment(json: &str) -> Option<Assignment> {
    let record: Value = serde_json::from_str(json).ok()?;
    let text = |name: &str| record["requestParameters"][name].as_str().map(str::to_owned);
    Some(Assignment {
        principal: text("principalId")?,
        permission_set: text("permissionSetArn")?,
        account: text("targetId")?,
    })
}
