//! From a record up to whoever stands behind it.

use std::collections::HashSet;

use serde_json::Value;
use trail::facts::Facts;
use trail::lineage::{self, Holder, HolderKind, Person, Step, Vouched};
use trail::time::Time;

use super::{Chain, End, Link, Seen, Why};
use crate::answer::Page;
use crate::error::Error;
use crate::layout::Lake;
use crate::query::{Field, Filter, Pattern, Query};

/// Steps that are followed.
const DEPTH: usize = 8;

/// The longest that a session's key is good for, and a little: 36 hours of `GetSessionToken`.
const LONGEST_SESSION: i64 = 37 * 3600;

/// Two records of one call, or a key and its first use, may be dated the other way round by so much.
const SKEW: i64 = 60;

/// Records of changes that are looked through for one by a person.
const CHANGES: usize = 20;

/// The JSON of a record; null where it is not there.
pub(super) fn body(facts: &Facts<'_>) -> Value {
    serde_json::from_str(&facts.json).unwrap_or_default()
}

/// Where a step leads.
enum Next {
    Up(Why, Box<Facts<'static>>),
    End(End),
}

/// A walk up a chain.
struct Walk<'l> {
    lake: &'l Lake,
    seen: HashSet<(String, String)>,
    /// What records on the way named since a person was last followed.
    holders: Vec<Holder>,
    partial: bool,
}

impl Lake {
    /// Who stands behind a record. Without its JSON less can be told.
    pub async fn chain(&self, facts: &Facts<'_>) -> Result<Chain, Error> {
        let mut walk = Walk { lake: self, seen: HashSet::new(), holders: Vec::new(), partial: false };
        let (mut links, mut at) = (Vec::new(), facts.clone().into_owned());
        let end = loop {
            if !walk.seen.insert((at.account.to_string(), at.event_id.to_string())) {
                links.pop();
                break End::Cycle;
            }
            match walk.next(&at).await? {
                Next::End(end) => break end,
                Next::Up(..) if links.len() == DEPTH => break End::TooDeep,
                Next::Up(why, facts) => {
                    links.push(Link { why, seen: Seen::of(&facts) });
                    at = *facts;
                }
            }
        };
        let made = match &end {
            End::Person { person } => walk.made(&at, person).await?,
            _ => None,
        };
        Ok(Chain { links, end, made, partial: walk.partial })
    }
}

fn after(facts: &Facts<'_>) -> Time {
    Time(facts.event_time.0.saturating_add(SKEW))
}

/// What lies at the most so many seconds before a record.
fn before(facts: &Facts<'_>, seconds: i64) -> Query {
    Query { from: Some(Time(facts.event_time.0.saturating_sub(seconds))), to: Some(after(facts)), filters: Vec::new() }
}

impl Walk<'_> {
    async fn next(&mut self, at: &Facts<'static>) -> Result<Next, Error> {
        let body = body(at);
        for holder in lineage::holders(at, &body) {
            if !self.holders.contains(&holder) {
                self.holders.push(holder);
            }
        }
        match lineage::step(at, &body) {
            Step::Key { key, since, or } => self.issuer(at, (key, since), or).await,
            Step::User(person) => self.sign_in(at, person).await,
            Step::Person(person) => Ok(Next::End(End::Person { person })),
            Step::Service(service) => self.by_way_of(at, service).await,
            Step::Elsewhere { account, principal } => self.elsewhere(at, (account, principal)).await,
            Step::Root => Ok(Next::End(root(at))),
            Step::Hidden => Ok(Next::End(End::Hidden)),
            Step::Anonymous => Ok(Next::End(End::Anonymous)),
        }
    }

    /// The record that gave out a key; of two for one call that of the caller's account.
    async fn issuer(
        &mut self,
        at: &Facts<'static>,
        (key, since): (String, Option<Time>),
        or: Option<Person>,
    ) -> Result<Next, Error> {
        let mut query = before(at, LONGEST_SESSION);
        query.filters.push(Filter::of(Field::IssuedKey, Pattern::Equal(key.clone())));
        let mut rows = self.rows(&query, 8).await?;
        rows.sort_by_key(|facts| (facts.actor_type == "AWSAccount", facts.cross_account));
        if let Some(found) = rows.into_iter().next() {
            return Ok(Next::Up(Why::Issued, Box::new(found)));
        }
        match or {
            Some(person) => Ok(Next::End(End::Person { person })),
            None if at.root => Ok(Next::End(root(at))),
            None if at.by_service || self.holders.iter().any(|holder| holder.kind == HolderKind::Instance) => {
                self.by_way_of(at, lineage::service(at)).await
            }
            None => self.lost(at, key, since).await.map(Next::End),
        }
    }

    /// Why the record that gave out a key was not found.
    async fn lost(&self, at: &Facts<'static>, key: String, since: Option<Time>) -> Result<End, Error> {
        let begins = self.lake.begins().await?;
        let earliest = since.unwrap_or(Time(at.event_time.0.saturating_sub(LONGEST_SESSION)));
        if begins.is_none_or(|day| earliest < day.start()) {
            return Ok(End::BeforeLake { key, since, begins });
        }
        Ok(End::NotInLake { key })
    }

    /// The sign-in of a user's console session.
    async fn sign_in(&mut self, at: &Facts<'static>, person: Person) -> Result<Next, Error> {
        let found = if at.console && at.event_name != "ConsoleLogin" {
            let mut query = before(at, LONGEST_SESSION);
            query.add("action", "ConsoleLogin")?;
            query.add("error", "none")?;
            query.filters.push(Filter::of(Field::User, Pattern::Equal(at.actor_arn.to_string())));
            self.rows(&query, 1).await?.into_iter().next()
        } else {
            None
        };
        Ok(match found {
            Some(facts) => Next::Up(Why::SignedIn, Box::new(facts)),
            None => Next::End(End::Person { person }),
        })
    }

    /// The same call in the records of the caller's own account.
    async fn elsewhere(&mut self, at: &Facts<'static>, (account, principal): (String, String)) -> Result<Next, Error> {
        let end = Next::End(End::OtherAccount { account, principal });
        if at.shared_event_id.is_empty() {
            return Ok(end);
        }
        let mut query = before(at, SKEW);
        query.filters.push(Filter::of(Field::SharedId, Pattern::Equal(at.shared_event_id.to_string())));
        let rows = self.rows(&query, 8).await?;
        let own = rows.into_iter().find(|facts| facts.account != at.account && facts.actor_type != "AWSAccount");
        Ok(own.map_or(end, |facts| Next::Up(Why::SameCall, Box::new(facts))))
    }

    /// The last change, by a person, of what a service acts for.
    async fn by_way_of(&mut self, at: &Facts<'static>, service: String) -> Result<Next, Error> {
        if self.holders.is_empty() {
            self.holders = self.holders_of_instance(at).await?;
        }
        let mut changes = Vec::new();
        let holders = std::mem::take(&mut self.holders);
        for holder in &holders {
            let found = self.last_change(at, holder).await?;
            changes.extend(found.map(|facts| (facts, holder.clone())));
        }
        let last = changes.into_iter().max_by_key(|(facts, _)| (!is_alone(facts), facts.event_time));
        Ok(match last {
            Some((facts, holder)) => Next::Up(Why::ByWayOf { service, holder }, Box::new(facts)),
            None => Next::End(End::Service { service, holders }),
        })
    }

    /// What the start of the instance named that a record is about: its end names the instance alone.
    async fn holders_of_instance(&mut self, at: &Facts<'static>) -> Result<Vec<Holder>, Error> {
        let Some(id) = at.resources.iter().find(|name| name.starts_with("i-")) else { return Ok(Vec::new()) };
        let mut query = Query { to: Some(after(at)), ..Query::default() };
        query.add("action", "ec2:RunInstances,CreateFleet")?;
        query.filters.push(Filter::of(Field::Resource, Pattern::Named(id.to_string())));
        let started = self.rows(&query, 1).await?;
        Ok(started.first().map(|facts| lineage::holders(facts, &body(facts))).unwrap_or_default())
    }

    async fn last_change(&mut self, at: &Facts<'static>, holder: &Holder) -> Result<Option<Facts<'static>>, Error> {
        let (service, actions) = holder.kind.changes();
        let mut query = Query { to: Some(after(at)), ..Query::default() };
        query.add("service", service)?;
        query.add("writes", "yes")?;
        query.add("error", "none")?;
        if actions != "*" {
            query.add("action", actions)?;
        }
        query.filters.push(Filter::of(Field::Resource, Pattern::Named(holder.name.clone())));
        query.filters.push(Filter::of(Field::Account, Pattern::Equal(at.account.to_string())));
        query.filters.push(Filter::of(Field::Region, Pattern::Equal(at.region.to_string())));
        let mut rows = self.rows(&query, CHANGES).await?;
        let key = |facts: &Facts<'_>| (facts.account.to_string(), facts.event_id.to_string());
        rows.retain(|facts| !self.seen.contains(&key(facts)));
        let by_person = rows.iter().position(|facts| !is_alone(facts));
        Ok(by_person.or((!rows.is_empty()).then_some(0)).map(|at| rows.swap_remove(at)))
    }

    /// Who gave a user the key or the password that he acted with, where it was somebody else.
    async fn made(&mut self, facts: &Facts<'_>, person: &Person) -> Result<Option<Seen>, Error> {
        let Vouched::User { arn, access_key } = &person.by else { return Ok(None) };
        let mut query = Query { to: Some(after(facts)), ..Query::default() };
        query.add("error", "none")?;
        query.add("service", "iam")?;
        if access_key.starts_with("AKIA") {
            query.filters.push(Filter::of(Field::IssuedKey, Pattern::Equal(access_key.clone())));
        } else {
            query.add("action", "CreateLoginProfile,UpdateLoginProfile,CreateUser")?;
            query.filters.push(Filter::of(Field::Resource, Pattern::Named(person.name.clone())));
            query.filters.push(Filter::of(Field::Account, Pattern::Equal(facts.account.to_string())));
        }
        let rows = self.rows(&query, 1).await?;
        Ok(rows.first().filter(|made| made.actor_arn != *arn).map(Seen::of))
    }

    async fn rows(&mut self, query: &Query, limit: usize) -> Result<Vec<Facts<'static>>, Error> {
        let answer = self.lake.search(query, &Page { limit, json: true, ..Page::default() }).await?;
        self.partial |= answer.read.is_partial();
        Ok(answer.rows)
    }
}

/// Whether a service did it by itself; with somebody's own credentials it did not.
fn is_alone(facts: &Facts<'_>) -> bool {
    facts.actor_type == "AWSService" || facts.actor_arn.contains(":assumed-role/AWSServiceRoleFor")
}

fn root(facts: &Facts<'_>) -> End {
    let account = if facts.actor_account.is_empty() { &facts.account } else { &facts.actor_account };
    End::Root { account: account.to_string() }
}
