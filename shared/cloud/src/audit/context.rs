//! What a judgement has to know besides AWS's answers: how this system itself is doing.

use std::io::Read as _;

use flate2::read::GzDecoder;
use trail::control::{Context, Earlier, Member, OwnState, Silence};
use trail::settings::Settings;
use trail::snapshot::Snapshot;
use trail::time::Time;

use super::Audit;
use crate::deployment::{list, now, optional, required};
use crate::error::Error;
use crate::state::{ChainState, State};

/// How long a problem of a chain counts against it, in seconds: a week.
const PROBLEM_SECONDS: i64 = 7 * 86_400;

/// The largest snapshot that is read again, in bytes.
const LARGEST: u64 = 256 << 20;

/// What the template says of the audit.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// URL of the queue of accounts.
    pub queue: String,
    /// The account that log files are to be delivered to.
    pub logging_account: String,
    /// The role that asks in other accounts.
    pub role: String,
    /// What those roles want to be told; empty for nothing.
    pub external_id: String,
    /// What the log bucket has to notify; empty for EventBridge.
    pub notified: Vec<String>,
}

impl Known {
    /// What the template set up, from the function's environment.
    pub fn from_environment() -> Result<Self, Error> {
        Ok(Self {
            queue: required("QTRAIL_AUDIT_QUEUE_URL")?,
            logging_account: required("QTRAIL_LOGGING_ACCOUNT")?,
            role: required("QTRAIL_AUDIT_ROLE")?,
            external_id: optional("QTRAIL_AUDIT_EXTERNAL_ID").unwrap_or_default(),
            notified: list("QTRAIL_NOTIFIED"),
        })
    }
}

impl Audit {
    pub(super) async fn context(&self, account: &str, settings: &Settings, now: Time) -> Result<Context, Error> {
        let state = &self.deployment.state;
        let member = |id: String| Member { id, active: true, recorded: None };
        let accounts = state.audited().await?;
        let known = Context::new(settings, now);
        let set = &settings.audit.logging_account;
        Ok(Context {
            logging_account: if set.is_empty() { self.known.logging_account.clone() } else { set.clone() },
            accounts: accounts.map(|accounts| accounts.into_iter().map(member).collect()),
            audit_role: self.known.role.clone(),
            touches: state.touches(account).await?,
            earlier: self.earlier(account).await?,
            state: self.own_state(account, now).await?,
            ..known
        })
    }

    /// The last snapshot. One that is gone or cannot be read is not the same as none.
    async fn earlier(&self, account: &str) -> Result<Earlier, Error> {
        let Some(run) = self.deployment.state.audit_run(account).await? else { return Ok(Earlier::First) };
        let key = if run.baseline.is_empty() { run.snapshot } else { run.baseline };
        let place = crate::stores::Place { store: self.deployment.data.store.clone(), prefix: key.into() };
        let read = place.read().await?.and_then(|bytes| {
            let mut text = Vec::new();
            GzDecoder::new(&*bytes).take(LARGEST).read_to_end(&mut text).ok()?;
            serde_json::from_slice::<Snapshot>(&text).ok()
        });
        Ok(read.map_or(Earlier::Unknown, |snapshot| Earlier::Snapshot(Box::new(snapshot))))
    }

    async fn own_state(&self, account: &str, now: Time) -> Result<OwnState, Error> {
        let subscriber = match &self.deployment.alerts {
            Some(alerts) => alerts.confirmed_subscribers(now).await.ok().map(|count| count > 0),
            None => None,
        };
        let known = own_state(&self.deployment.state, account).await?;
        let (notified, dead_letters) = (Some(self.known.notified.clone()), self.dead_letters().await);
        Ok(OwnState { subscriber, notified, dead_letters, ..known })
    }

    async fn dead_letters(&self) -> Option<u64> {
        let url = &self.deployment.parts.dead_letters;
        if url.is_empty() {
            return None;
        }
        self.collector
            .waiting(url)
            .await
            .inspect_err(|refused| {
                tracing::warn!(code = refused.code, "how many messages are dead is not known");
            })
            .ok()
    }
}

/// What the table says of how this system does for an account.
pub async fn own_state(state: &State, account: &str) -> Result<OwnState, Error> {
    let now = now();
    let chains = state.chains_of(account).await?;
    let heard = state.heard_of(account).await?;
    let silence = heard.iter().filter(|region| region.is_silent(now)).map(|region| Silence {
        region: region.region.clone(),
        since: region.last_heard,
        usual_hours: region.longest() / 3600,
    });
    Ok(OwnState {
        digests_verified: chains.iter().map(|chain| chain.head.end).min(),
        digest_problems: (!chains.is_empty()).then(|| problems(&chains, now)),
        detections: Some(trail::detections::all().iter().map(|detection| detection.id.to_owned()).collect()),
        canary: state.canary().await?.map(|canary| canary.found),
        silence: (!heard.is_empty()).then(|| silence.collect()),
        last_ingest: heard.iter().map(|region| region.last_heard).max(),
        foreign_objects: (!chains.is_empty()).then(|| chains.iter().map(|chain| chain.foreign).sum()),
        ..OwnState::default()
    })
}

fn problems(chains: &[ChainState], now: Time) -> Vec<String> {
    let recent = |chain: &&ChainState| chain.last_problem.is_some_and(|last| now.0 - last.0 < PROBLEM_SECONDS);
    let said = |chain: &ChainState| {
        let last = chain.last_problem.unwrap_or_default();
        format!("{}: {} problems, the last one found {last}", chain.head.chain, chain.problems)
    };
    chains.iter().filter(recent).map(said).collect()
}
