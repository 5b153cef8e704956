//! The plan of one run: what is asked in which order, each step with what the steps before it have told.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join_all, join4};
use serde_json::Value;
use tokio::time::Instant;
use trail::snapshot::{Answer, Cause, GLOBAL, Refusal, Reply, Snapshot, VERSION};
use trail::time::Time;

use super::api::{self, Api};
use super::client::{Fetched, Question};
use super::refusal::refusal;
use super::sessions::Sessions;
use super::trails::{Trail, account_of, region_of};
use super::{Collector, Depth};
use crate::deployment::now;

/// So many objects of a trail bucket are looked at.
const SAMPLE: &str = "250";

/// How far back that sample lies, in seconds: the day is over, all its log files are delivered.
const A_DAY: i64 = 86_400;

/// Parameters by the names of the API reference.
pub(super) type Parameters<'a> = &'a [(&'a str, &'a str)];

/// One account being asked.
#[derive(Debug)]
pub(super) struct Run<'c> {
    pub(super) collector: &'c Collector,
    pub(super) account: &'c str,
    pub(super) sessions: Sessions<'c>,
    pub(super) taken: Time,
    pub(super) end: Instant,
}

impl<'c> Run<'c> {
    pub(super) fn new(collector: &'c Collector, account: &'c str) -> Self {
        let end = Instant::now() + collector.options.time;
        Self { collector, account, sessions: Sessions::new(collector, end), taken: now(), end }
    }

    /// The account of the collector's own credentials.
    pub(super) async fn caller(&self) -> Result<String, Refusal> {
        let region = &self.collector.client.endpoints.region;
        match self.ask("", &api::GET_CALLER_IDENTITY, region, &[]).await.result {
            Reply::Body(body) => body["Account"]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| refusal(Cause::Unknown, "Unreadable", "STS names no account")),
            Reply::Refusal(refused) => Err(refused),
        }
    }

    /// Everything, in the order of the plan.
    pub(super) async fn snapshot(self, depth: Depth) -> Snapshot {
        let asked_regions = self.ask(self.account, &api::LIST_REGIONS, GLOBAL, &[]).await;
        let regions = enabled(&asked_regions, self.collector.client.endpoints.partition.regions);
        let shadows = [("includeShadowTrails", "true")];
        let described = regions.iter().map(|region| self.ask(self.account, &api::DESCRIBE_TRAILS, region, &shadows));
        let (described, organization) = join(join_all(described), self.organization(depth)).await;
        let trails = Trail::of(&described);
        let id = organization.first().map_or("", |answer| text(body(answer), "/Organization/Id"));
        let statuses = self.statuses(&trails);
        let rest = match depth {
            Depth::Status => statuses.await,
            Depth::Everything => {
                let (statuses, of_trails, of_regions, of_account) =
                    join4(statuses, self.of_trails(&trails, id), self.of_regions(&regions), self.of_account()).await;
                [statuses, of_trails, of_regions, of_account].concat()
            }
        };
        let (account, taken) = (self.account.to_owned(), self.taken);
        let answers = self
            .sessions
            .answers()
            .into_iter()
            .chain([asked_regions])
            .chain(described)
            .chain(organization)
            .chain(rest)
            .collect();
        Snapshot { version: VERSION, account, taken, answers }
    }

    /// Which organization the account is in.
    async fn organization(&self, depth: Depth) -> Vec<Answer> {
        match depth {
            Depth::Status => Vec::new(),
            Depth::Everything => vec![self.ask(self.account, &api::DESCRIBE_ORGANIZATION, GLOBAL, &[]).await],
        }
    }

    /// Asks one question with the credentials for an account.
    pub(super) async fn ask(&self, by: &str, api: &'static Api, region: &str, parameters: Parameters<'_>) -> Answer {
        let parameters: BTreeMap<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let question = Question { api, region: region.to_owned(), parameters };
        let fetched = match self.sessions.of(by).await {
            Ok(identity) => self.collector.client.fetch(&question, &identity, self.end).await,
            Err(refused) => Fetched::refused(refused),
        };
        answered(by, question, fetched)
    }

    /// Asks with the collector's own credentials.
    pub(super) async fn own(
        &self,
        api: &'static Api,
        region: &str,
        parameters: Parameters<'_>,
    ) -> Result<Value, Refusal> {
        match self.ask("", api, region, parameters).await.result {
            Reply::Body(body) => Ok(body),
            Reply::Refusal(refused) => Err(refused),
        }
    }

    /// Asks with the credentials of one account after the other until one may ask. What the last one was told comes
    /// first, and is the answer.
    async fn ask_by(
        &self,
        accounts: &[&str],
        api: &'static Api,
        region: &str,
        parameters: Parameters<'_>,
    ) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut asked = BTreeSet::new();
        for account in accounts.iter().filter(|account| !account.is_empty() && asked.insert(**account)) {
            answers.insert(0, self.ask(account, api, region, parameters).await);
            if !is_barred(&answers[0]) {
                break;
            }
        }
        answers
    }

    /// Whether each trail records and delivers, in each region: the answers differ.
    async fn statuses(&self, trails: &[Trail]) -> Vec<Answer> {
        let places = trails.iter().flat_map(|trail| trail.regions.iter().map(move |region| (trail, region)));
        join_all(places.map(async |(trail, region)| {
            self.ask(self.account, &api::GET_TRAIL_STATUS, region, &[("Name", &trail.arn)]).await
        }))
        .await
    }

    /// What trails record, and the things that they name, each once.
    async fn of_trails(&self, trails: &[Trail], organization: &str) -> Vec<Answer> {
        let selectors = trails.iter().map(async |trail| {
            let by = [account_of(&trail.arn), self.account];
            self.ask_by(&by, &api::GET_EVENT_SELECTORS, &trail.home_region, &[("TrailName", &trail.arn)]).await
        });
        let buckets: BTreeMap<_, _> =
            trails.iter().rev().filter(|trail| !trail.bucket.is_empty()).map(|trail| (&trail.bucket, trail)).collect();
        let buckets = buckets.into_values().map(|trail| self.of_bucket(trail, organization));
        let keys = distinct(trails, |trail| trail.key.as_deref()).into_iter().map(|key| self.of_key(key));
        let groups = distinct(trails, |trail| trail.log_group.as_deref()).into_iter().map(async |group| {
            let by = [self.known(group), self.account];
            let name = group.split(':').nth(6).unwrap_or_default();
            self.ask_by(&by, &api::DESCRIBE_LOG_GROUPS, region_of(group), &[("logGroupNamePrefix", name)]).await
        });
        let (selectors, buckets, keys, groups) =
            join4(join_all(selectors), join_all(buckets), join_all(keys), join_all(groups)).await;
        [selectors, buckets, keys, groups].into_iter().flatten().flatten().collect()
    }

    /// What each region has to tell besides its trails.
    async fn of_regions(&self, regions: &[String]) -> Vec<Answer> {
        let questions = regions.iter().flat_map(|region| api::OF_REGIONS.map(|api| (region, api)));
        join_all(questions.map(async |(region, api)| self.ask(self.account, api, region, &[]).await)).await
    }

    /// What is asked once an account.
    async fn of_account(&self) -> Vec<Answer> {
        let own = [("AccountId", self.account)];
        let questions: [(&'static Api, Parameters<'_>); 3] =
            [(&api::LIST_BUCKETS, &[]), (&api::ACCOUNT_AUTHORIZATION, &[]), (&api::ACCOUNT_PUBLIC_ACCESS, &own)];
        let asked = questions.map(async |(api, parameters)| self.ask(self.account, api, GLOBAL, parameters).await);
        let (mut answers, organization) = join(join_all(asked), self.of_organization()).await;
        answers.extend(organization);
        answers
    }

    /// The accounts of the organization, by whoever may tell: this account as a delegated administrator, else the role
    /// in the management account.
    pub(super) async fn accounts(&self) -> Vec<Answer> {
        let mut answers = vec![self.ask(self.account, &api::LIST_ACCOUNTS, GLOBAL, &[]).await];
        if is_barred(&answers[0]) {
            let described = self.ask(self.account, &api::DESCRIBE_ORGANIZATION, GLOBAL, &[]).await;
            let management = text(body(&described), "/Organization/MasterAccountId");
            if !management.is_empty() && management != self.account {
                answers.insert(0, self.ask(management, &api::LIST_ACCOUNTS, GLOBAL, &[]).await);
            }
        }
        answers
    }

    /// The organization's own settings: asked for the collector's account alone, they are the same for every account.
    pub(super) async fn of_organization(&self) -> Vec<Answer> {
        if self.account != self.collector.options.home {
            return Vec::new();
        }
        let mut answers = self.accounts().await;
        let absent = matches!(&answers[0].result, Reply::Refusal(refused) if refused.cause == Cause::Absent);
        if absent {
            return answers;
        }
        let by = answers[0].account.clone();
        let filter = [("Filter", "SERVICE_CONTROL_POLICY")];
        let policies = self.ask(&by, &api::LIST_POLICIES, GLOBAL, &filter).await;
        let listed = body(&policies)["Policies"].as_array().into_iter().flatten();
        let ids: Vec<String> = listed.filter_map(|policy| policy["Id"].as_str().map(str::to_owned)).collect();
        let questions = ids.iter().flat_map(|id| [&api::DESCRIBE_POLICY, &api::LIST_TARGETS].map(|api| (id, api)));
        let asked = questions.map(async |(id, api)| self.ask(&by, api, GLOBAL, &[("PolicyId", id)]).await);
        answers.push(policies);
        answers.extend(join_all(asked).await);
        answers
    }

    /// A key, by its own account's role; its policy needs the id, where the trail has an alias.
    async fn of_key(&self, key: &str) -> Vec<Answer> {
        let (by, region) = ([self.known(key), self.account], region_of(key));
        let region = if region.is_empty() { &self.collector.client.endpoints.region } else { region };
        let mut answers = self.ask_by(&by, &api::DESCRIBE_KEY, region, &[("KeyId", key)]).await;
        let Some(described) = answers.first().filter(|answer| cause_of(answer) != Some(Cause::Absent)) else {
            return answers;
        };
        let id = body(described)["KeyMetadata"]["Arn"].as_str().unwrap_or(key).to_owned();
        let asks = described.account.clone();
        let parameters = [("KeyId", id.as_str()), ("PolicyName", "default")];
        let asked = api::OF_KEYS.map(async |api| {
            // A key has this one policy; older endpoints want it named.
            let count = if api.operation() == "GetKeyPolicy" { 2 } else { 1 };
            self.ask(&asks, api, region, &parameters[..count]).await
        });
        answers.extend(join_all(asked).await);
        answers
    }

    /// The account in an ARN if it is known to have the role, else nothing.
    fn known<'a>(&self, arn: &'a str) -> &'a str {
        let account = account_of(arn);
        if account == self.account || self.collector.knows(account) { account } else { "" }
    }

    /// A trail's bucket, once its owner is found.
    async fn of_bucket(&self, trail: &Trail, organization: &str) -> Vec<Answer> {
        let (mut answers, found) = self.find_owner(trail).await;
        let Some((owner, region, is_owner)) = found else { return answers };
        let expected = [("Bucket", trail.bucket.as_str()), ("ExpectedBucketOwner", owner.as_str())];
        let parameters = if is_owner { &expected[..] } else { &expected[..1] };
        let settings = api::OF_BUCKETS.map(async |api| self.ask(&owner, api, &region, parameters).await);
        let prefix = self.sample(trail, organization);
        let sample = [("MaxKeys", SAMPLE), ("Prefix", prefix.as_str())];
        let sample: Vec<_> = parameters.iter().copied().chain(sample).collect();
        let points = [("AccountId", owner.as_str()), ("Bucket", trail.bucket.as_str())];
        let (settings, versions, points) = futures::future::join3(
            join_all(settings),
            self.ask(&owner, &api::OBJECT_VERSIONS, &region, &sample),
            self.ask(&owner, &api::LIST_ACCESS_POINTS, &region, &points),
        )
        .await;
        answers.extend(settings.into_iter().chain([versions, points]));
        answers
    }

    /// Who owns a bucket: the account whose own credentials reach it when they insist on owning it. Gives the account
    /// to ask with, the bucket's region, and whether it is the owner.
    ///
    /// A 403 says either that the bucket is another account's or that asking is forbidden. So the same account asks once
    /// more without insisting: then a bucket that answers is a foreign one. Nobody is asked further about a bucket that
    /// is not there.
    async fn find_owner(&self, trail: &Trail) -> (Vec<Answer>, Option<(String, String, bool)>) {
        let options = &self.collector.options;
        let candidates =
            [options.logging_account.as_str(), account_of(&trail.arn), self.account, options.home.as_str()];
        let (mut answers, mut tried) = (Vec::new(), BTreeSet::new());
        let mut reaches = None;
        for account in candidates.into_iter().filter(|account| tried.insert(*account)) {
            let expected = [("Bucket", trail.bucket.as_str()), ("ExpectedBucketOwner", account)];
            let insisting = self.head(account, &trail.home_region, &expected).await;
            let region = region_in(&insisting, &trail.home_region);
            let cause = cause_of(&insisting);
            answers.push(insisting);
            match cause {
                None => return (answers, Some((account.to_owned(), region, true))),
                Some(Cause::Absent) => return (answers, None),
                Some(Cause::NoRole) => continue,
                Some(_) => {}
            }
            let plain = self.head(account, &trail.home_region, &expected[..1]).await;
            let is_reached = cause_of(&plain).is_none();
            let region = region_in(&plain, &trail.home_region);
            answers.push(plain);
            if is_reached || reaches.is_none() {
                reaches = Some((account.to_owned(), region, false));
            }
        }
        (answers, reaches)
    }

    /// Looks whether a bucket is there, in the region where it is.
    async fn head(&self, account: &str, region: &str, parameters: Parameters<'_>) -> Answer {
        let first = self.ask(account, &api::HEAD_BUCKET, region, parameters).await;
        match body(&first)["BucketRegion"].as_str() {
            Some(other) if other != region => self.ask(account, &api::HEAD_BUCKET, other, parameters).await,
            _ => first,
        }
    }

    /// Where the log files of the trail's own account lie that were delivered a day ago. With an organization's trail
    /// its id stands in front of the account.
    fn sample(&self, trail: &Trail, organization: &str) -> String {
        let day = Time(self.taken.0 - A_DAY).date().replace('-', "/");
        let account = account_of(&trail.arn);
        let folder = match (trail.of_organization, organization) {
            (true, "") => return format!("{}AWSLogs/", trail.prefix),
            (true, id) => format!("{id}/{account}"),
            (false, _) => account.to_owned(),
        };
        format!("{}AWSLogs/{folder}/CloudTrail/{}/{day}/", trail.prefix, trail.home_region)
    }
}

/// A question with what came of it, secrets withheld.
pub(super) fn answered(by: &str, question: Question, fetched: Fetched) -> Answer {
    let result = match fetched.result {
        Ok(mut body) => {
            withhold(&mut body, question.api.withheld);
            Reply::Body(body)
        }
        Err(refused) => Reply::Refusal(refused),
    };
    let mut parameters = question.parameters;
    parameters.remove("ExternalId");
    Answer {
        call: question.api.call.to_owned(),
        account: by.to_owned(),
        region: question.region,
        parameters,
        time: now(),
        request_id: fetched.request_id,
        sha256: fetched.sha256,
        pages: fetched.pages,
        result,
    }
}

/// Throws members away, wherever they stand.
fn withhold(body: &mut Value, names: &[&str]) {
    match body {
        _ if names.is_empty() => {}
        Value::Object(members) => {
            names.iter().for_each(|name| {
                members.remove(*name);
            });
            members.values_mut().for_each(|member| withhold(member, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| withhold(item, names)),
        _ => {}
    }
}

/// The body of an answer, or null.
pub(super) fn body(answer: &Answer) -> &Value {
    match &answer.result {
        Reply::Body(body) => body,
        Reply::Refusal(_) => &Value::Null,
    }
}

/// The text at a place in a body; empty where there is none.
pub(super) fn text<'b>(body: &'b Value, pointer: &str) -> &'b str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn cause_of(answer: &Answer) -> Option<Cause> {
    match &answer.result {
        Reply::Body(_) => None,
        Reply::Refusal(refused) => Some(refused.cause),
    }
}

/// Whether another account's credentials may do better.
fn is_barred(answer: &Answer) -> bool {
    matches!(cause_of(answer), Some(Cause::Denied | Cause::NoRole))
}

fn region_in(head: &Answer, otherwise: &str) -> String {
    body(head)["BucketRegion"].as_str().unwrap_or(otherwise).to_owned()
}

fn distinct<'t>(trails: &'t [Trail], part: impl Fn(&'t Trail) -> Option<&'t str>) -> BTreeSet<&'t str> {
    trails.iter().filter_map(part).collect()
}

/// The regions that are enabled for the account; where it cannot tell, those that every account has.
fn enabled(answer: &Answer, otherwise: &[&str]) -> Vec<String> {
    let listed = body(answer)["Regions"].as_array().into_iter().flatten();
    let on = listed.filter(|region| {
        matches!(region["RegionOptStatus"].as_str(), Some("ENABLED" | "ENABLED_BY_DEFAULT" | "DISABLING"))
    });
    let on: Vec<String> = on.filter_map(|region| region["RegionName"].as_str().map(str::to_owned)).collect();
    if on.is_empty() { otherwise.iter().map(|name| (*name).to_owned()).collect() } else { on }
}
