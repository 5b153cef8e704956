//! What the environment says, read once.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, SdkConfig};
use lake::Lake;
use trail::settings::{Own, Settings};
use trail::time::Time;

use crate::alerts::{Alerts, Topics};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::state::{Parts, State};
use crate::stores::{Place, Stores};

/// Longer than any function that publishes may run, in seconds.
const PUBLISHER_TIMEOUT: i64 = 180;

/// Everything a function works with, built once.
#[derive(Debug)]
pub struct Deployment {
    /// The table.
    pub state: State,
    /// Log files and other objects.
    pub stores: Arc<Stores>,
    /// Where the lake is, and where quarantined records go.
    pub data: Place,
    /// The topics; none on one machine.
    pub alerts: Option<Alerts>,
    /// Where metrics go.
    pub metrics: Metrics,
    /// What this deployment knows of itself.
    pub own: Own,
    /// Where the settings are; none for the defaults.
    pub settings: Option<Place>,
    /// The ARN of the queue that records may come through by themselves.
    pub fast_path: Option<String>,
    /// Where the parts are that the table does not know by itself.
    pub parts: Parts,
    /// After how long a publisher that has not cleared what it owed is given up, in seconds.
    pub publisher_timeout: i64,
}

impl Deployment {
    /// What the template set up, from the function's environment.
    pub async fn from_environment() -> Result<Self, Error> {
        let config = sdk_config().await;
        let stores = Arc::new(Stores::new(config.clone()));
        let people = required("QTRAIL_PEOPLE_TOPIC")?;
        let url = |name| optional(name).unwrap_or_default();
        let parts = Parts {
            queue: url("QTRAIL_QUEUE_URL"),
            dead_letters: url("QTRAIL_DEAD_LETTERS_URL"),
            people: people.clone(),
        };
        let data = required("QTRAIL_DATA")?;
        let own = own_parts(&config, &data)?;
        let metrics = Metrics::Stack(own.stack.clone());
        let topics = Topics { people, chat: optional("QTRAIL_CHAT_TOPIC") };
        let sns = aws_sdk_sns::Client::new(&config);
        let alerts = Alerts::new(sns, topics, optional("QTRAIL_VIEWER_URL"), metrics.clone());
        Ok(Self {
            state: State::new(aws_sdk_dynamodb::Client::new(&config), required("QTRAIL_TABLE")?),
            data: stores.open(&data)?,
            alerts: Some(alerts),
            metrics,
            own,
            settings: optional("QTRAIL_SETTINGS").map(|url| stores.open(&url)).transpose()?,
            fast_path: optional("QTRAIL_FAST_PATH_QUEUE"),
            parts,
            publisher_timeout: seconds("QTRAIL_PUBLISHER_TIMEOUT", PUBLISHER_TIMEOUT)?,
            stores,
        })
    }

    /// The lake of this deployment.
    pub fn lake(&self) -> Lake {
        Lake::new(self.data.store.clone(), self.data.prefix.clone())
    }

    /// Settings with what the deployment knows of itself.
    pub fn with_own(&self, mut settings: Settings) -> Settings {
        let own = &mut settings.own;
        own.log_buckets.extend(self.own.log_buckets.iter().cloned());
        own.keys.extend(self.own.keys.iter().cloned());
        own.deploy_roles.extend(self.own.deploy_roles.iter().cloned());
        own.stack.clone_from(&self.own.stack);
        own.account.clone_from(&self.own.account);
        if self.alerts.is_none() {
            // With nobody to tell, nothing is owed.
            settings.alerts = trail::settings::Alerts::Observe;
        }
        settings
    }
}

/// The SDK's configuration: region, credentials, endpoints, and retries that fit into a function's deadline.
pub async fn sdk_config() -> SdkConfig {
    sdk_config_of(None).await
}

/// The same with the credentials of a profile.
pub async fn sdk_config_of(profile: Option<&str>) -> SdkConfig {
    let retries = aws_config::retry::RetryConfig::standard()
        .with_max_attempts(8)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(5));
    let timeouts = aws_config::timeout::TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).retry_config(retries).timeout_config(timeouts);
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// The clock. Decisions never read it; they are handed the time.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The FIFO queue through which parts of the lake are handed out; none where whoever plans absorbs.
pub fn compact_queue() -> Option<String> {
    optional("QTRAIL_COMPACT_QUEUE_URL")
}

fn own_parts(config: &SdkConfig, data: &str) -> Result<Own, Error> {
    let data_bucket = data.strip_prefix("s3://").and_then(|path| path.split('/').next()).unwrap_or_default();
    Ok(Own {
        log_buckets: list("QTRAIL_LOG_BUCKETS"),
        keys: list("QTRAIL_TRAIL_KEYS"),
        account: required("QTRAIL_ACCOUNT")?,
        stack: required("QTRAIL_STACK")?,
        deploy_roles: list("QTRAIL_DEPLOY_ROLE"),
        region: config.region().map(ToString::to_string).unwrap_or_default(),
        data_bucket: data_bucket.to_owned(),
        ..Own::default()
    })
}

pub(crate) fn required(name: &str) -> Result<String, Error> {
    optional(name).ok_or_else(|| Error::Configuration(format!("the environment has no {name}: see template.yaml")))
}

pub(crate) fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn seconds(name: &str, otherwise: i64) -> Result<i64, Error> {
    let parsed = optional(name).map(|text| text.parse().map_err(|_| (name, text)));
    parsed.unwrap_or(Ok(otherwise)).map_err(|(name, text)| Error::Configuration(format!("{name} is no number: {text}")))
}

pub(crate) fn list(name: &str) -> Vec<String> {
    let value = optional(name).unwrap_or_default();
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
