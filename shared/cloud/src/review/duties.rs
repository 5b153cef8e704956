//! What the `review` function is there for: reviews opened each quarter and on demand, looked after daily, and evidence
//! packed.
//!
//! ```json
//! {"do": "daily"}
//! {"do": "open", "period": "2026-Q4"}
//! {"do": "leaver", "person": "bob"}
//! {"do": "pack", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
//! ```

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use serde_json::{Value, json};
use trail::review::{Act, Period};
use trail::settings::Settings;
use trail::time::Time;

use super::collect::Taking;
use super::handler::Review;
use super::log::Reviews;
use super::opening::Making;
use super::store::Store;
use crate::collect::{Collector, Options};
use crate::deployment::{Deployment, now, optional, required};
use crate::error::Error;
use crate::pack::{Ask, Signer, Sources, issue};
use crate::settings::Engines;
use crate::stores::Place;

/// How long snapshots may take: what is left is taken the next time.
const SNAPSHOTS: Duration = Duration::from_mins(8);

/// How long one account may take.
const ACCOUNT: Duration = Duration::from_mins(2);

/// A review that nobody signs off is given up after so long, in seconds: findings say so.
const LOOKED_AFTER: i64 = 200 * 86_400;

/// While a revocation waits for a snapshot that lacks it, or a review for what joined, one is taken once a day, in
/// seconds.
const A_DAY: i64 = 20 * 3600;

/// How many days of records a review for one who leaves looks back.
const LEAVER_DAYS: i64 = 90;

/// The handler behind the `review` function.
#[derive(Debug)]
pub struct Duties {
    deployment: Deployment,
    engines: Engines,
    store: Store,
    collector: Collector,
    evidence: Option<Evidence>,
}

/// Where packs go, and what signs them.
#[derive(Debug)]
struct Evidence {
    place: Place,
    key: String,
    config: SdkConfig,
}

impl Duties {
    /// A handler for this deployment, which asks with these credentials.
    pub async fn connect(deployment: Deployment, config: &SdkConfig) -> Result<Self, Error> {
        let options = Options {
            home: deployment.own.account.clone(),
            role: required("QTRAIL_AUDIT_ROLE")?,
            external_id: optional("QTRAIL_AUDIT_EXTERNAL_ID").unwrap_or_default(),
            accounts: deployment.state.audited().await?.unwrap_or_default().into_iter().collect(),
            time: ACCOUNT,
            ..Options::default()
        };
        let evidence = match (optional("QTRAIL_EVIDENCE"), optional("QTRAIL_EVIDENCE_KEY")) {
            (Some(url), Some(key)) => {
                Some(Evidence { place: deployment.stores.open_locked(&url)?, key, config: config.clone() })
            }
            _ => None,
        };
        let collector = Collector::connect(config, options).await?;
        let store = Store::new(deployment.data.clone());
        Ok(Self { deployment, engines: Engines::default(), store, collector, evidence })
    }

    /// Does what the invocation asks for.
    pub async fn handle(&self, invocation: Value) -> Result<Value, Error> {
        let now = now();
        let engine = self.engines.current(&self.deployment, now).await?;
        let settings = engine.settings();
        let text = |name: &str| invocation[name].as_str().unwrap_or_default();
        match text("do") {
            "daily" => self.daily(settings, now).await,
            "open" => {
                let first = settings.review.first_month;
                let period = Period::parse(text("period"), first);
                self.open((&period.map_err(|e| Error::Configuration(e.to_string()))?, None), settings, now).await
            }
            "leaver" => {
                let period = Period::of_leaver(text("person"), now, LEAVER_DAYS);
                self.open((&period, Some(text("person"))), settings, now).await
            }
            "pack" => self.pack((text("from"), text("to")), settings, now).await,
            _ => {
                let known = "daily, open, leaver and pack";
                Err(Error::Configuration(format!("the invocation's `do` is none of {known}")))
            }
        }
    }

    /// Opens the review of the quarter that has ended, and looks after all of them.
    async fn daily(&self, settings: &Settings, now: Time) -> Result<Value, Error> {
        let ended = Period::quarter(now, settings.review.first_month).previous();
        let opened = match &ended {
            Some(period) if self.deployment.state.review(&period.id).await?.is_none() => {
                Some(self.open((period, None), settings, now).await?)
            }
            _ => None,
        };
        if opened.is_none() && self.is_waiting(now).await? {
            self.snapshot(settings, now).await?;
        }
        let checked = Review::new(&self.deployment, self.store.clone()).check(settings, now).await?;
        Ok(json!({"opened": opened, "checked": checked}))
    }

    /// Whether only a new snapshot says something: that what was revoked is gone, or that access was given since.
    async fn is_waiting(&self, now: Time) -> Result<bool, Error> {
        if self.store.times().await?.last().is_some_and(|last| now.0 - last.0 <= A_DAY) {
            return Ok(false);
        }
        let state = &self.deployment.state;
        if !state.open_effects().await?.is_empty() {
            return Ok(true);
        }
        for meta in state.reviews().await?.iter().filter(|meta| now.0 - meta.opened.0 < LOOKED_AFTER) {
            let log = state.review_log(&meta.period.id).await?;
            if !log.iter().any(|entry| matches!(entry.act, Act::SignedOff { .. })) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn open(
        &self,
        (period, leaver): (&Period, Option<&str>),
        settings: &Settings,
        now: Time,
    ) -> Result<Value, Error> {
        if let Some(left) = self.snapshot(settings, now).await? {
            return Ok(json!({"review": period.id, "accounts_left": left}));
        }
        let lake = self.deployment.lake();
        let making = Making { lake: &lake, settings, store: &self.store };
        let reviews = Reviews { state: &self.deployment.state, settings, source: &self.store, local: false };
        let subjects = making.open(&reviews, (period, leaver), now).await?;
        Ok(json!({"review": period.id, "subjects": subjects}))
    }

    /// Takes snapshots, or what is left of those that were begun; yields how many accounts are left.
    async fn snapshot(&self, settings: &Settings, now: Time) -> Result<Option<usize>, Error> {
        let last = self.store.times().await?.pop();
        let done = self.store.last_access(Time(i64::MAX)).await?.map(|(taken, _)| taken);
        let begun = last.filter(|last| Some(*last) != done && now.0 - last.0 < 7 * 86_400);
        let taking = Taking { collector: &self.collector, settings, store: &self.store };
        let progress = taking.take(begun.unwrap_or(now), Instant::now() + SNAPSHOTS).await?;
        tracing::info!(taken = progress.taken.len(), left = progress.left.len(), "who has access");
        Ok((!progress.left.is_empty()).then_some(progress.left.len()))
    }

    async fn pack(&self, (from, to): (&str, &str), settings: &Settings, now: Time) -> Result<Value, Error> {
        let Some(evidence) = &self.evidence else {
            return Err(Error::Configuration("QTRAIL_EVIDENCE or QTRAIL_EVIDENCE_KEY is not set".to_owned()));
        };
        let span = (Time::parse(from), Time::parse(to));
        let (Some(from), Some(to)) = span else {
            return Err(Error::Configuration(format!("`{from}` or `{to}` is no RFC 3339 time")));
        };
        let lake = self.deployment.lake();
        let state = &self.deployment.state;
        let sources = Sources { state, data: &self.deployment.data, lake: Some(&lake), settings };
        let period = Period { id: format!("{} to {}", from.date(), to.date()), from, to };
        let ask = Ask { period, by: None, account: self.deployment.own.account.clone(), now };
        let signer = Signer::kms(&evidence.config, &evidence.key).await?;
        let (record, _) = issue(&sources, &ask, &signer, &evidence.place).await?;
        Ok(json!({"pack": record.id, "sha256": record.sha256, "location": record.location}))
    }
}
