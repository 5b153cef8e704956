//! Findings that stem from no record of a log file: written and told in the same way as all others.

use futures::{StreamExt, stream};
use trail::alert::Entry;
use trail::finding::Finding;
use trail::settings::Settings;
use trail::time::Time;

use crate::deployment::Deployment;
use crate::error::Error;

/// Writes under way at the same time.
const WRITES_AT_ONCE: usize = 16;

/// Merges findings into the table and tells people of what is news. Yields how many are new or changed. Whatever
/// cannot be told stays owed, and `notify` sees to it.
pub async fn raise(
    deployment: &Deployment,
    settings: &Settings,
    findings: Vec<Finding>,
    now: Time,
) -> Result<usize, Error> {
    let commits =
        findings.into_iter().map(|finding| async move { deployment.state.commit(&finding, settings, now).await });
    let mut commits = stream::iter(commits).buffer_unordered(WRITES_AT_ONCE);
    let (mut changed, mut owed, mut failed) = (0, Vec::new(), None);
    while let Some(committed) = commits.next().await {
        match committed {
            Ok(committed) => {
                changed += usize::from(committed.change.changed);
                owed.extend(Some(committed.entry).filter(|_| committed.change.owed));
            }
            Err(error) => failed = Some(error),
        }
    }
    tell(deployment, settings, owed, now).await;
    failed.map_or(Ok(changed), Err)
}

async fn tell(deployment: &Deployment, settings: &Settings, owed: Vec<Entry>, now: Time) {
    let Some(alerts) = &deployment.alerts else { return };
    for entry in owed.into_iter().filter(|entry| entry.due.is_some()) {
        if let Err(error) = alerts.tell(&deployment.state, &entry, settings, now).await {
            tracing::error!(%error, finding = entry.finding.finding_id, "an alert stays owed");
        }
    }
}
