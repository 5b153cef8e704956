//! With whose credentials an account is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::identity::Identity;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use trail::snapshot::{Answer, Cause, Refusal};

use super::api::ASSUME_ROLE;
use super::client::Question;
use super::refusal::refusal;
use super::run::answered;
use super::{Collector, text};

/// How a session calls itself in the other account's own trail.
const SESSION: &str = "quickinfra-trail-audit";

/// How long a session lasts, in seconds: the longest that a role taken by a role may have.
const DURATION: &str = "3600";

/// The sessions of one run: each account's role is taken once, when first needed.
#[derive(Debug)]
pub(super) struct Sessions<'c> {
    collector: &'c Collector,
    end: Instant,
    known: Mutex<BTreeMap<String, Arc<OnceCell<Session>>>>,
}

/// The credentials for one account, or why there are none.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) identity: Result<Identity, Refusal>,
    /// The answer of STS, without the credentials; none for the collector's own account.
    answer: Option<Answer>,
}

impl<'c> Sessions<'c> {
    pub(super) fn new(collector: &'c Collector, end: Instant) -> Self {
        Self { collector, end, known: Mutex::default() }
    }

    /// The session of an account.
    pub(super) async fn of(&self, account: &str) -> Result<Identity, Refusal> {
        let session = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(account.to_owned()).or_default().clone()
        };
        // Boxed, since an account's session is asked for with that of the collector's own account.
        session.get_or_init(|| Box::pin(self.begin(account))).await.identity.clone()
    }

    /// What STS answered, in the order of the accounts.
    pub(super) fn answers(self) -> Vec<Answer> {
        let known = self.known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sessions = known.into_values().filter_map(|cell| Arc::into_inner(cell)?.into_inner());
        sessions.filter_map(|session| session.answer).collect()
    }

    async fn begin(&self, account: &str) -> Session {
        let options = &self.collector.options;
        if account == options.home || account.is_empty() {
            let own = self.collector.credentials.provide_credentials().await;
            let problem = |e| refusal(Cause::NoRole, "NoCredentials", format!("the collector has no credentials: {e}"));
            return Session { identity: own.map(Identity::from).map_err(problem), answer: None };
        }
        let own = match self.of(&options.home).await {
            Ok(identity) => identity,
            Err(refused) => return Session { identity: Err(refused), answer: None },
        };
        let endpoints = &self.collector.client.endpoints;
        let role = format!("arn:{}:iam::{account}:role/{}", endpoints.partition.name, options.role);
        let question = self.question(&role);
        let fetched = self.collector.client.fetch(&question, &own, self.end).await;
        let identity = match &fetched.result {
            Ok(body) => credentials(body)
                .map(Identity::from)
                .ok_or_else(|| refusal(Cause::NoRole, "NoCredentials", format!("STS gave no credentials for {role}"))),
            Err(refused) => Err(refusal(Cause::NoRole, &refused.code, format!("{role}: {}", text(refused)))),
        };
        Session { identity, answer: Some(answered(&options.home, question, fetched)) }
    }

    fn question(&self, role: &str) -> Question {
        let options = &self.collector.options;
        let mut parameters = BTreeMap::from(
            [("RoleArn", role), ("RoleSessionName", SESSION), ("DurationSeconds", DURATION)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if !options.external_id.is_empty() {
            parameters.insert("ExternalId".to_owned(), options.external_id.clone());
        }
        Question { api: &ASSUME_ROLE, region: self.collector.client.endpoints.region.clone(), parameters }
    }
}

fn credentials(body: &Value) -> Option<Credentials> {
    let given = &body["Credentials"];
    let text = |name: &str| given[name].as_str().map(str::to_owned);
    let expiry = SystemTime::now() + Duration::from_hours(1);
    let (id, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
    Some(Credentials::new(id, secret, text("SessionToken"), Some(expiry), "AssumeRole"))
}
