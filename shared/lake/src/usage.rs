//! What an access review asks of the records: what everybody did, and who gave access.

use std::collections::BTreeMap;

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
    /// The record itself: an assignment says in its request alone what was given to whom.
    pub json: String,
}

/// What was signed by credentials of an actor after a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The access key.
    pub key: String,
    /// Successes.
    pub records: u64,
    /// One of them, the newest.
    pub sample: RecordId,
    /// The record that gave the key out, where the lake holds it.
    pub issued: Option<RecordId>,
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

/// Records that are asked for at a time.
const PAGE: usize = 1000;

/// Records of one actor that are looked at after a moment, at most.
const LOOKED_AT: usize = 1000;

impl Lake {
    /// Who gave access in a span of time, by calls that succeeded.
    pub async fn provisions(&self, from: Option<Time>, to: Option<Time>) -> Result<Provisions, Error> {
        let any = GIVES.iter().map(|name| Pattern::Equal((*name).to_owned())).collect();
        let given = Filter { any, ..Filter::of(Field::Action, Pattern::Anything) };
        let filters = [vec![given], Filter::parse(Field::Error, "none")?].concat();
        let query = Query { from, to, filters };
        let mut found = Provisions::default();
        let mut page = Page { limit: PAGE, json: true, budget: u64::MAX, ..Page::default() };
        loop {
            let answer = self.search(&query, &page).await?;
            found.partial |= answer.read.is_partial();
            found.all.extend(answer.rows.iter().map(|facts| Provision {
                record: record(facts),
                action: facts.event_name.to_string(),
                resources: facts.resources.iter().map(ToString::to_string).collect(),
                actor: facts.actor_arn.to_string(),
                name: facts.actor_name.to_string(),
                json: facts.json.to_string(),
            }));
            match answer.next {
                Some(next) => page.after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// What succeeded in an actor's name after a moment, by access key: whether a session was issued before it is for
    /// the caller to say. The newest thousand records are looked at.
    pub async fn sessions_after(&self, actor: &ActorKey, moment: Time) -> Result<Vec<Session>, Error> {
        let Some(filters) = of_actor(actor)? else { return Ok(Vec::new()) };
        let filters = [filters, Filter::parse(Field::Error, "none")?].concat();
        let query = Query { from: Some(Time(moment.0 + 1)), to: None, filters };
        let answer = self.search(&query, &Page { limit: LOOKED_AT, ..Page::default() }).await?;
        let mut sessions = BTreeMap::<String, Session>::new();
        for facts in &answer.rows {
            let key = facts.access_key.to_string();
            let first = || Session { key: key.clone(), records: 0, sample: record(facts), issued: None };
            sessions.entry(key.clone()).or_insert_with(first).records += 1;
        }
        for session in sessions.values_mut().filter(|session| session.key.starts_with("ASIA")) {
            let issued = Filter::of(Field::IssuedKey, Pattern::Equal(session.key.clone()));
            let query = Query { from: None, to: None, filters: vec![issued] };
            let answer = self.search(&query, &Page { limit: 1, ..Page::default() }).await?;
            session.issued = answer.rows.first().map(record);
        }
        Ok(sessions.into_values().collect())
    }
}

fn record(facts: &trail::facts::Facts<'_>) -> RecordId {
    RecordId { account: facts.account.to_string(), id: facts.event_id.to_string(), time: facts.event_time }
}

/// The filters that find an actor's records.
fn of_actor(actor: &ActorKey) -> Result<Option<Vec<Filter>>, Error> {
    let exactly = |field, text: &str| Filter::of(field, Pattern::Equal(text.to_owned()));
    Ok(match actor {
        ActorKey::Root(account) => {
            Some([Filter::parse(Field::Root, "yes")?, vec![exactly(Field::Account, account)]].concat())
        }
        ActorKey::User(arn) => Some(vec![exactly(Field::User, arn)]),
        ActorKey::Role(role) => Some(vec![exactly(Field::Issuer, role)]),
        ActorKey::Session { role, name } => {
            let [_, _, _, _, account, ..] = role.split(':').collect::<Vec<_>>()[..] else { return Ok(None) };
            let role_name = role.rsplit('/').next().unwrap_or_default();
            let arn = format!("arn:aws:sts::{account}:assumed-role/{role_name}/{name}");
            Some(vec![exactly(Field::Issuer, role), exactly(Field::User, &arn)])
        }
    })
}
