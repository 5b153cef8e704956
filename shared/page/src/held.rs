//! What the state is seen from: now, or the end of what was read.

use axum::http::StatusCode;
use axum::response::Response;
use cloud::state::{DayCounts, State};
use trail::silence::Heard;
use trail::time::Time;

use crate::Viewer;
use crate::frame::{Frame, Trouble, trouble};

/// Older than this, in seconds, nothing comes any more: CloudTrail itself is late by 15 minutes at the most.
const OLD: i64 = 6 * 3_600;

/// How far log files were read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// By the clock.
    pub(crate) now: Time,
    /// The newest delivery; none before the first.
    pub(crate) last: Option<Time>,
    /// All regions of accounts that were heard.
    pub(crate) regions: Vec<Heard>,
}

impl Seen {
    /// Whether nothing has come for hours.
    pub(crate) fn is_old(&self) -> bool {
        self.last.is_none_or(|last| self.now.0 - last.0 > OLD)
    }

    /// From where things are judged: the end of a recording, else now.
    pub(crate) fn at(&self) -> Time {
        self.last.filter(|_| self.is_old()).unwrap_or(self.now)
    }

    /// The last day of findings. A day more: a finding's first record may be dated behind its file.
    pub(crate) fn today(&self) -> Time {
        self.last.map_or(self.now, |last| Time(last.0 + 86_400)).min(self.now)
    }

    /// The accounts that were heard. Log files that name none prove nothing about any.
    pub(crate) fn accounts(&self) -> Vec<&str> {
        let mut accounts: Vec<&str> = self.regions.iter().map(|heard| heard.account.as_str()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|account| *account != "-");
        accounts
    }
}

impl Viewer {
    /// How far log files were read.
    pub(crate) async fn seen(&self, state: &State) -> Result<Seen, cloud::Error> {
        let regions = state.heard().await?;
        let last = regions.iter().map(|heard| heard.last_heard).max();
        Ok(Seen { now: (self.now)(), last, regions })
    }

    /// An account as people know it; its number where it has no name.
    pub(crate) fn account_name(&self, account: &str) -> String {
        let known = self.settings.accounts.get(account).map(|known| known.name.as_str());
        crate::text::plain(known.filter(|name| !name.is_empty()).unwrap_or(account))
    }
}

/// What was read of each account on the last day that log files were delivered, and on the day before it.
pub(crate) async fn counts(state: &State, seen: &Seen) -> Result<Vec<(String, DayCounts)>, cloud::Error> {
    let Some(last) = seen.last else { return Ok(Vec::new()) };
    let mut counts = Vec::new();
    for heard in state.accounts_heard().await? {
        let mut sum = DayCounts::default();
        for day in [Time(last.0 - 86_400), last] {
            let day = state.day_counts(&day.date(), &heard.account).await?;
            sum.files += day.files;
            sum.records += day.records;
            sum.quarantined += day.quarantined;
        }
        counts.push((heard.account, sum));
    }
    Ok(counts)
}

/// A page that rests on the state, over a lake alone.
pub(crate) fn no_state(frame: Frame) -> Response {
    let missing = Trouble {
        title: "No state here".to_owned(),
        what: "These pages were opened over a lake alone: findings, verdicts and digests stand in the state."
            .to_owned(),
        way_out: "Open a folder that qtrail ingest has filled with qtrail view --data, or a deployment's table with \
                  qtrail view --table."
            .to_owned(),
    };
    trouble(frame, StatusCode::OK, &missing)
}

/// The state did not answer.
pub(crate) fn failed(frame: Frame, error: &cloud::Error) -> Response {
    tracing::error!(%error, "the state could not be read");
    let broken = Trouble {
        title: "The state does not answer".to_owned(),
        what: crate::text::plain(&error.to_string()),
        way_out: "Load the page again. If it stays so: are the credentials valid, and may they read the table?"
            .to_owned(),
    };
    trouble(frame, StatusCode::SERVICE_UNAVAILABLE, &broken)
}
