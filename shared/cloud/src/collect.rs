//! Collects once: asks AWS about an account's trail settings, and keeps every answer as evidence.
//!
//! A [`Collector`] makes a [`Snapshot`] of one account over all its regions. No question can spoil another one: what is
//! refused, throttled or not answered stands in the snapshot as a [`Refusal`] with its cause. Judging is done elsewhere.
//!
//! # Who asks
//! The account whose credentials the collector has is asked with them; every other account, that a question leads to,
//! with the read-only role of `member-role.yaml` there. A bucket is asked with the role of the account that owns it, a
//! key or log group with the role of the account in its ARN, an organization's trail with the role of the
//! organization's management account; where that cannot be, with the role of the account that is audited. Roles are
//! taken in known accounts alone: whoever names a key in an account of his own would hear the external id, and could
//! answer what he likes.
//!
//! # How many calls
//! For an account with R enabled regions and T trails that are seen there, which name B buckets, K keys and G log
//! groups, [`Depth::Everything`] asks `6 + 7 R + S + T + 12 B + 4 K + G` questions: role, regions,
//! organization, buckets, IAM and the account's public access block; in each region the trails, functions, VPCs, flow
//! logs and three for AWS Config; a status for each of the S places where a trail is seen (R for a trail over all
//! regions). Each account beyond its own whose role is needed adds one, each further candidate for a bucket's owner up
//! to two. The collector's own account adds `2 + 2 P` for an organization with P service control policies, and needs
//! no role.
//! [`Depth::Status`] asks `2 + R + S`. Pages after the first and repetitions come on top.
//!
//! [`Collector::access`] asks `8 + U` questions for an account with U users: role, organization, principals, MFA
//! devices, two for identity providers, two for the credential report, and the keys of each user. The collector's own
//! account needs no role and adds `2 + 2 P` for service control policies, one for each of the organization's accounts
//! and units, up to two for where Identity Center is, and there `3 + 6 S + X + G` for S permission sets that are
//! provisioned X times in accounts, to G groups among others.

mod access;
mod api;
mod client;
pub(crate) mod endpoint;
pub(crate) mod refusal;
mod request;
mod run;
mod sessions;
mod trails;
pub(crate) mod xml;

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use trail::digest::PublicKeys;
use trail::snapshot::{Cause, Refusal, Reply, Snapshot};
use trail::time::Time;

use crate::error::Error;
use api::Api;
use client::Client;
use refusal::refusal;
use run::Run;

/// What a collector has to be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The account of the collector's own credentials; empty to ask AWS.
    pub home: String,
    /// The name of the read-only role in every other account, with its path but without a slash at its start.
    pub role: String,
    /// The external id that the roles ask for; empty for none.
    pub external_id: String,
    /// The account that the log buckets belong to; empty for the collector's own.
    pub logging_account: String,
    /// Further accounts with the role, where keys and log groups may be: those of the organization.
    pub accounts: BTreeSet<String>,
    /// How long one account may take. What was not answered by then is a refusal.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            home: String::new(),
            role: "QuickInfraTrailAudit".to_owned(),
            external_id: String::new(),
            logging_account: String::new(),
            accounts: BTreeSet::new(),
            time: Duration::from_mins(10),
        }
    }
}

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All that any control wants.
    Everything,
    /// Which trails there are, and whether they deliver.
    Status,
}

impl Depth {
    /// The calls that say something by themselves; none where nothing is left out.
    pub fn calls(self) -> Option<&'static [&'static str]> {
        const STATUS: &[&str] = &[api::LIST_REGIONS.call, api::DESCRIBE_TRAILS.call, api::GET_TRAIL_STATUS.call];
        match self {
            Self::Everything => None,
            Self::Status => Some(STATUS),
        }
    }
}

/// Asks AWS. One serves many accounts at once: together they have no more than 20 requests on their way.
#[derive(Debug)]
pub struct Collector {
    client: Client,
    credentials: SharedCredentialsProvider,
    options: Options,
    /// Accounts with the role, beside those of the options: they are learned later.
    known: RwLock<BTreeSet<String>>,
}

impl Collector {
    /// A collector with the credentials, region and endpoints of the SDK's configuration. Asks AWS who it is when the
    /// options do not say.
    pub async fn connect(config: &SdkConfig, options: Options) -> Result<Self, Error> {
        let missing = || Error::Configuration("there are no AWS credentials to ask with".to_owned());
        let credentials = config.credentials_provider().ok_or_else(missing)?;
        let mut collector = Self { client: Client::new(config)?, credentials, options, known: RwLock::default() };
        if collector.options.home.is_empty() {
            let unknown = |refused: Refusal| match refused.code.as_str() {
                "NoCredentials" => missing(),
                _ => Error::Configuration(format!("whose credentials these are: {}", text(&refused))),
            };
            collector.options.home = Run::new(&collector, "").caller().await.map_err(unknown)?;
        }
        if collector.options.logging_account.is_empty() {
            collector.options.logging_account.clone_from(&collector.options.home);
        }
        Ok(collector)
    }

    /// Says which further accounts have the role.
    pub fn know(&self, accounts: impl IntoIterator<Item = String>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).extend(accounts);
    }

    /// Whether an account is known to have the role.
    fn knows(&self, account: &str) -> bool {
        let options = &self.options;
        [options.home.as_str(), options.logging_account.as_str()].contains(&account)
            || options.accounts.contains(account)
            || self.known.read().unwrap_or_else(PoisonError::into_inner).contains(account)
    }

    /// The account of the collector's own credentials.
    pub fn home(&self) -> &str {
        &self.options.home
    }

    /// The active accounts of the organization. A refusal with the cause `Absent` says that there is no organization.
    pub async fn accounts(&self) -> Result<Vec<String>, Refusal> {
        let answers = Run::new(self, &self.options.home).accounts().await;
        let nothing = || refusal(Cause::Unknown, "Unreadable", "nobody was asked");
        let answer = answers.into_iter().next().ok_or_else(nothing)?;
        let body = match answer.result {
            Reply::Body(body) => body,
            Reply::Refusal(refused) => return Err(refused),
        };
        let accounts = body["Accounts"].as_array().into_iter().flatten();
        // `State` replaces `Status`, which AWS no longer writes from September 2026 on.
        let active =
            accounts.filter(|account| account["State"].as_str().or(account["Status"].as_str()) == Some("ACTIVE"));
        let active: Vec<String> = active.filter_map(|account| account["Id"].as_str().map(str::to_owned)).collect();
        // Whoever asks is an account in use: to look at nothing would be to find nothing.
        if active.is_empty() {
            return Err(refusal(Cause::Unknown, "Unreadable", "the answer names no account in use"));
        }
        Ok(active)
    }

    /// Asks all there is to ask about an account. Never fails: what could not be learned stands in the snapshot.
    pub async fn snapshot(&self, account: &str, depth: Depth) -> Snapshot {
        Run::new(self, account).snapshot(depth).await
    }

    /// Asks who has access in an account. Never fails: what could not be learned stands in the snapshot.
    ///
    /// The snapshot of the collector's own account also holds the organization, and Identity Center as it is in a region;
    /// where none is named, in the collector's own.
    pub async fn access(&self, account: &str, identity_center_region: &str) -> Snapshot {
        Run::new(self, account).access(identity_center_region).await
    }

    /// `CloudTrail`'s public keys of a region that were in force within a span of time.
    pub async fn public_keys(&self, region: &str, (from, to): (Time, Time)) -> Result<PublicKeys, Refusal> {
        let times = (from.0.to_string(), to.0.to_string());
        let parameters = [("StartTime", times.0.as_str()), ("EndTime", times.1.as_str())];
        let body = Run::new(self, &self.options.home).own(&api::LIST_PUBLIC_KEYS, region, &parameters).await?;
        let unreadable = |error| refusal(Cause::Unknown, "Unreadable", format!("AWS's public keys: {error}"));
        PublicKeys::from_json(body.to_string().as_bytes()).map_err(unreadable)
    }

    /// Puts a message into a queue of one's own.
    pub async fn send(&self, queue_url: &str, message: &str) -> Result<(), Refusal> {
        let parameters = [("QueueUrl", queue_url), ("MessageBody", message)];
        let region = self.client.endpoints.region.clone();
        Run::new(self, &self.options.home).own(&api::SEND_MESSAGE, &region, &parameters).await.map(drop)
    }

    /// Puts a message into a FIFO queue of one's own: those of a group are handed out one after another.
    pub async fn send_in_order(&self, queue_url: &str, message: &str, group: &str) -> Result<(), Refusal> {
        let parameters = [("QueueUrl", queue_url), ("MessageBody", message), ("MessageGroupId", group)];
        let region = self.client.endpoints.region.clone();
        Run::new(self, &self.options.home).own(&api::SEND_MESSAGE, &region, &parameters).await.map(drop)
    }

    /// How many messages wait in a queue of one's own.
    pub async fn waiting(&self, queue_url: &str) -> Result<u64, Refusal> {
        let name = "ApproximateNumberOfMessages";
        let region = self.client.endpoints.region.clone();
        let parameters = [("QueueUrl", queue_url), ("AttributeName.1", name)];
        let body = Run::new(self, &self.options.home).own(&api::GET_QUEUE_ATTRIBUTES, &region, &parameters).await?;
        let attributes = trail::shape::list(&body["Attribute"]);
        let count = attributes.iter().find(|attribute| attribute["Name"] == name);
        let count = count.and_then(|attribute| attribute["Value"].as_str()?.parse().ok());
        count.ok_or_else(|| refusal(Cause::Unknown, "Unreadable", format!("queue {queue_url} does not say")))
    }

    /// How many requests were sent so far, repetitions included.
    pub fn requests(&self) -> u64 {
        self.client.sent()
    }
}

/// The IAM actions that the audit's questions need of the role in each account, sorted.
pub fn permissions() -> Vec<&'static str> {
    permissions_of(&[&api::ALL])
}

/// The IAM actions that an access review needs of the role in each account, sorted.
pub fn access_permissions() -> Vec<&'static str> {
    permissions_of(&[&api::OF_PRINCIPALS, &api::ACCESS_OF_ACCOUNTS])
}

/// The IAM actions that an access review needs beyond these in the management account, or where its own account is a
/// delegated administrator, there; sorted. Nobody else is told what they ask for.
pub fn directory_permissions() -> Vec<&'static str> {
    permissions_of(&[&api::ACCESS_OF_ORGANIZATION, &api::OF_PERMISSION_SETS])
}

fn permissions_of(asked: &[&[&'static Api]]) -> Vec<&'static str> {
    let named: BTreeSet<_> = asked.concat().iter().map(|api| api.permission).filter(|name| !name.is_empty()).collect();
    named.into_iter().collect()
}

fn text(refused: &Refusal) -> String {
    format!("{} {}", refused.code, refused.message)
}
