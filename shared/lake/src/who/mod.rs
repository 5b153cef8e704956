//! Who did it: what became of a resource, by whom, and who stands behind that.

mod chain;
mod issued;
mod text;

use std::collections::HashMap;

use serde::Serialize;
use trail::device::Device;
use trail::facts::Facts;
use trail::lineage::{self, Act, Arn, Holder, Person};
use trail::record::Outcome;
use trail::time::Time;

use crate::answer::Page;
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::query::{Field, Filter, Pattern, Query};

pub use issued::Issued;

/// Deeds of a resource that are told, at most: the newest, and its creation.
pub const MOST_DEEDS: usize = 200;

/// What became of a resource.
#[derive(Debug, Clone, Serialize)]
pub struct Who {
    /// The resource, as it was asked for.
    pub resource: String,
    /// The first second that was looked at; none for all that there is.
    pub from: Option<Time>,
    /// The first second that was not.
    pub to: Option<Time>,
    /// The first day of the lake; none of an empty one.
    #[serde(serialize_with = "day")]
    pub begins: Option<Day>,
    /// What was done to it, oldest first.
    pub deeds: Vec<Deed>,
    /// Records that only made use of it.
    pub uses: usize,
    /// Whether there are older deeds than these.
    pub more: bool,
    /// Whether files could not be read, so that something may be missing.
    pub partial: bool,
    /// The files that could not be read, as far as they were looked at for deeds: object and reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(String, String)>,
}

/// Something that was done to a resource, or was to be.
#[derive(Debug, Clone, Serialize)]
pub struct Deed {
    /// What.
    pub act: Act,
    /// What came of it.
    pub outcome: Outcome,
    /// The record.
    #[serde(flatten)]
    pub seen: Seen,
    /// Who stands behind it.
    pub chain: Chain,
}

/// What a record says of who acted, and from where.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// When.
    pub time: Time,
    /// The account that the record belongs to.
    pub account: String,
    /// The record's id within the account.
    pub id: String,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
    /// The action.
    pub action: String,
    /// The actor's name.
    pub actor: String,
    /// The actor's ARN.
    pub arn: String,
    /// The identity's type.
    pub identity: String,
    /// The access key that signed.
    pub access_key: String,
    /// The service through which the call came.
    pub invoked_by: String,
    /// The address, or a service's name.
    pub address: String,
    /// What it was made with.
    pub device: Device,
    /// Whether with a second factor, where the record says.
    pub mfa: Option<bool>,
    /// What AWS said against it.
    pub error: String,
}

/// The way from a record up to whoever stands behind it.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    /// From the record upwards, without the record itself.
    pub links: Vec<Link>,
    /// Where it ends.
    pub end: End,
    /// Who gave the user at its end his key or password, where that was somebody else and the lake has it.
    pub made: Option<Seen>,
    /// Whether files could not be read, so that a link may be missing.
    pub partial: bool,
}

/// A step up.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// Why it leads up.
    #[serde(flatten)]
    pub why: Why,
    /// The record that it leads to.
    #[serde(flatten)]
    pub seen: Seen,
}

/// Why a record stands behind another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Why {
    /// It gave out the key.
    Issued,
    /// It is the same call, in the books of the caller's account.
    SameCall,
    /// The user signed in to the console.
    SignedIn,
    /// A service acted because of something that was changed here.
    ByWayOf {
        /// The service that acted.
        service: String,
        /// What was changed.
        holder: Holder,
    },
}

/// Where a chain ends, and why there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum End {
    /// At somebody who is known.
    Person {
        /// Who.
        #[serde(flatten)]
        person: Person,
    },
    /// At the root user of an account.
    Root {
        /// The account.
        account: String,
    },
    /// At a service: nothing in the lake tells who made it act.
    Service {
        /// The service.
        service: String,
        /// What it acted for, where that is known; nobody changed it within the lake.
        holders: Vec<Holder>,
    },
    /// The key was given out before the lake begins.
    BeforeLake {
        /// The key.
        key: String,
        /// When it was given out, where the record says.
        since: Option<Time>,
        /// The lake's first day.
        #[serde(serialize_with = "day")]
        begins: Option<Day>,
    },
    /// The record that gave out the key is not in the lake.
    NotInLake {
        /// The key.
        key: String,
    },
    /// At an identity of another account, whose records the lake does not have.
    OtherAccount {
        /// The account; empty where the record does not say.
        account: String,
        /// What the record says of the identity.
        principal: String,
    },
    /// CloudTrail hid the name.
    Hidden,
    /// The request had no credentials.
    Anonymous,
    /// It goes on, further than is followed.
    TooDeep,
    /// It leads back to a record that it came from.
    Cycle,
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn day<S: serde::Serializer>(day: &Option<Day>, serializer: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

impl Seen {
    /// What a record says.
    pub fn of(facts: &Facts<'_>) -> Self {
        Self {
            time: facts.event_time,
            account: facts.account.to_string(),
            id: facts.event_id.to_string(),
            region: facts.region.to_string(),
            service: facts.event_source.to_string(),
            action: facts.event_name.to_string(),
            actor: facts.actor_name.to_string(),
            arn: facts.actor_arn.to_string(),
            identity: facts.actor_type.to_string(),
            access_key: facts.access_key.to_string(),
            invoked_by: facts.invoked_by.to_string(),
            address: facts.source_ip.to_string(),
            device: Device::of(&facts.user_agent),
            mfa: facts.mfa,
            error: facts.error_code.to_string(),
        }
    }
}

impl Lake {
    /// What became of a resource: an ARN, an id or a name. Times that are not given are not bounded.
    ///
    /// At the most [`MOST_DEEDS`] deeds are told; [`Who::more`] says that there are others.
    pub async fn who(&self, resource: &str, from: Option<Time>, to: Option<Time>) -> Result<Who, Error> {
        let mut who = Who {
            resource: resource.to_owned(),
            from,
            to,
            begins: self.begins().await?,
            deeds: Vec::new(),
            uses: 0,
            more: false,
            partial: false,
            skipped: Vec::new(),
        };
        let mut followed = Followed { lake: self, chains: HashMap::new() };
        let (named, arn) = (Pattern::Named(resource.to_owned()), Arn::parse(resource));
        for facts in self.deeds_of(&mut who).await? {
            let by_name = |key: &str, text: &str| arn.is_some_and(|arn| arn.is_meant(&facts, key, text));
            let is_meant = |key: &str, text: &str| named.matches(text) || by_name(key, text);
            match lineage::act(&facts, &chain::body(&facts), &is_meant) {
                None => {}
                Some(Act::Use) => who.uses += 1,
                Some(act) => {
                    let (outcome, seen) = (lineage::outcome(&facts), Seen::of(&facts));
                    let chain = followed.chain(&facts).await?;
                    who.partial |= chain.partial;
                    who.deeds.push(Deed { act, outcome, seen, chain });
                }
            }
        }
        Ok(who)
    }

    /// The records that may tell of deeds, oldest first.
    async fn deeds_of(&self, who: &mut Who) -> Result<Vec<Facts<'static>>, Error> {
        let mut resource = Filter::of(Field::Resource, Pattern::Named(who.resource.clone()));
        resource.any.extend(Arn::parse(&who.resource).map(|arn| Pattern::Named(arn.name.to_owned())));
        let mut query = Query { from: who.from, to: who.to, filters: vec![resource] };
        query.add("writes", "yes")?;
        let page = Page { limit: MOST_DEEDS, json: true, ..Page::default() };
        let answer = self.search(&query, &page).await?;
        (who.more, who.partial) = (answer.next.is_some(), answer.read.is_partial());
        who.skipped = answer.read.skipped;
        let mut rows = answer.rows;
        if let Some(after) = answer.next {
            // The creation is asked for first of all, and it is the oldest.
            query.add("action", "Create*,Run*,Register*,Allocate*,Import*,Restore*,Launch*")?;
            let answer = self.search(&query, &Page { after: Some(after), ..page }).await?;
            who.partial |= answer.read.is_partial();
            rows.extend(answer.rows);
        }
        rows.reverse();
        Ok(rows)
    }
}

impl Filter {
    /// One that looks for one thing, letter for letter, whatever letters it has.
    pub(crate) fn of(field: Field, pattern: Pattern) -> Self {
        let given = match &pattern {
            Pattern::Equal(text) | Pattern::Same(text) | Pattern::Named(text) => text.clone(),
            _ => String::new(),
        };
        Self { field, negated: false, any: vec![pattern], given }
    }
}

/// Chains that were followed already: a session does more than one thing.
struct Followed<'l> {
    lake: &'l Lake,
    chains: HashMap<(String, String, String), Chain>,
}

impl Followed<'_> {
    async fn chain(&mut self, facts: &Facts<'_>) -> Result<Chain, Error> {
        // What a service does depends on what the record names.
        if facts.by_service || facts.access_key.is_empty() {
            return self.lake.chain(facts).await;
        }
        let key = (facts.account.to_string(), facts.access_key.to_string(), facts.actor_arn.to_string());
        if let Some(known) = self.chains.get(&key) {
            return Ok(known.clone());
        }
        let chain = self.lake.chain(facts).await?;
        self.chains.insert(key, chain.clone());
        Ok(chain)
    }
}
