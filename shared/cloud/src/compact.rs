//! The lake's days, put in order: hot rows are absorbed into the parts of their day.
//!
//! Invoked with `{"do":"plan"}` every few minutes, which puts a message for each part that is due into a FIFO queue, with
//! the part as its message group: parts are absorbed side by side, and none twice at once. Invoked by that queue, a part
//! is absorbed. Where there is no queue, planning absorbs in place. `{"do":"late"}` once an hour counts what has waited for
//! too long.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use lake::absorb::{Absorbed, Limits};
use lake::layout::{Day, Part};
use serde_json::{Value, json};
use trail::finding::Finding;
use trail::log_file::conflict_in_lake;
use trail::settings::Settings;
use trail::time::Time;

use crate::collect::Collector;
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::settings::Engines;

/// Messages that are sent at the same time, and counts that are read.
const AT_ONCE: usize = 16;

/// Bytes of rows that are sorted in memory; the rest goes through the function's own disk.
const SORTED_BYTES: usize = 256 << 20;

/// Identities in conflict that become findings of their own; the metric counts all.
const TOLD: usize = 100;

const DAY_SECONDS: i64 = 86_400;

/// The handler behind the `compact` function.
#[derive(Debug)]
pub struct Compact {
    deployment: Deployment,
    engines: Engines,
    queue: Option<Queue>,
    limits: Limits,
}

/// A FIFO queue, and who puts messages into it.
#[derive(Debug)]
struct Queue {
    collector: Collector,
    url: String,
}

/// A part of a day that is to be absorbed, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    day: Day,
    part: Part,
}

impl Compact {
    /// A handler for this deployment, which absorbs in place.
    pub fn new(deployment: Deployment) -> Self {
        let limits = Limits { memory: SORTED_BYTES, ..Limits::default() };
        Self { deployment, engines: Engines::default(), queue: None, limits }
    }

    /// The same with a queue that hands out the work.
    #[must_use]
    pub fn through(self, collector: Collector, url: String) -> Self {
        Self { queue: Some(Queue { collector, url }), ..self }
    }

    /// Does what the invocation asks for. A batch of the queue is answered by the messages that failed.
    pub async fn handle(&self, invocation: Value, request_id: &str) -> Result<Value, Error> {
        if invocation["Records"][0]["eventSource"] == "aws:sqs" {
            return Ok(self.batch(&invocation, request_id).await);
        }
        let days = invocation["days"].as_i64();
        let since = days.map(|days| Day::of(Time(now().0.saturating_sub(days.saturating_mul(DAY_SECONDS)))));
        match invocation["do"].as_str() {
            Some("plan") => self.plan(since, request_id).await,
            Some("late") => self.late(since).await,
            _ => {
                let known = "the invocation is none of: {\"do\":\"plan\"}, {\"do\":\"late\"}, either with \"days\", a queue's batch";
                Err(Error::Configuration(known.to_owned()))
            }
        }
    }

    /// Absorbs all there is, in place, and deletes what every part has absorbed. For folders, where nobody else does.
    pub async fn everything(&self) -> Result<usize, Error> {
        let lake = self.deployment.lake();
        // An hour from now every hot row is due.
        let then = Time(now().0 + 3600);
        let daily = self.daily(now()).await?;
        let left = loop {
            let due = lake.pending(then, daily, None).await?;
            let (mut progress, left) = (false, due.len());
            for unit in due {
                progress |= self.absorb(Work { day: unit.day, part: unit.part }, "local").await?;
            }
            // What cannot be used stays due for good.
            if !progress {
                break left;
            }
        };
        lake.sweep().await?;
        Ok(left)
    }

    /// Hands out the parts that are due, of the days from `since` on.
    async fn plan(&self, since: Option<Day>, request_id: &str) -> Result<Value, Error> {
        let now = now();
        let due = self.deployment.lake().pending(now, self.daily(now).await?, since).await?;
        let due: Vec<Work> = due.into_iter().map(|unit| Work { day: unit.day, part: unit.part }).collect();
        match &self.queue {
            Some(queue) => queue.send(&due).await?,
            None => {
                for work in &due {
                    self.absorb(*work, request_id).await?;
                }
            }
        }
        Ok(json!({"parts": due.len()}))
    }

    /// Says how much has waited for too long.
    async fn late(&self, since: Option<Day>) -> Result<Value, Error> {
        let late = self.deployment.lake().unabsorbed(now(), since).await?;
        if let Some(oldest) = late.oldest {
            tracing::error!(files = late.files, oldest = %oldest, "hot files that nobody has absorbed for hours");
        }
        self.deployment.metrics.emit(&[("LakeStale", late.files as u64)]);
        Ok(json!({"late": late.files}))
    }

    /// About how many records a day brings: as many as yesterday.
    async fn daily(&self, now: Time) -> Result<u64, Error> {
        let state = &self.deployment.state;
        let yesterday = Time(now.0 - DAY_SECONDS).date();
        let accounts: BTreeSet<String> = state.heard().await?.into_iter().map(|heard| heard.account).collect();
        let counts = accounts.iter().map(|account| state.day_counts(&yesterday, account));
        let counts = stream::iter(counts).buffer_unordered(AT_ONCE);
        counts.try_fold(0, |sum, day| async move { Ok(sum + day.records) }).await
    }

    /// Within a message group order holds: behind a part that failed its later messages wait, too.
    async fn batch(&self, invocation: &Value, request_id: &str) -> Value {
        let mut failed: BTreeSet<&str> = BTreeSet::new();
        let mut failures = Vec::new();
        for message in invocation["Records"].as_array().into_iter().flatten() {
            let body = message["body"].as_str().unwrap_or_default();
            let done = match Work::read(body) {
                Some(_) if failed.contains(body) => {
                    Err(Error::Configuration("the message before it failed".to_owned()))
                }
                Some(work) => self.absorb(work, request_id).await.map(drop),
                None => Err(Error::Configuration("a message that names no part of a day".to_owned())),
            };
            if let Err(error) = done {
                tracing::error!(%error, "a part goes back to the queue");
                failed.insert(body);
                failures.push(json!({"itemIdentifier": message["messageId"]}));
            }
        }
        json!({"batchItemFailures": failures})
    }

    /// Yields whether the part was written anew.
    async fn absorb(&self, work: Work, request_id: &str) -> Result<bool, Error> {
        let Work { day, part } = work;
        let absorbed = match self.deployment.lake().absorb(day, part, &self.limits).await {
            // The next plan names the parts that the day really has.
            Err(error @ lake::Error::Cut { .. }) => {
                tracing::warn!(%error, "nothing to do");
                return Ok(false);
            }
            absorbed => absorbed?,
        };
        tracing::info!(
            request_id,
            day = %day,
            part = %part,
            hot_files = absorbed.hot,
            rows = absorbed.rows,
            bytes = absorbed.bytes,
            duplicates = absorbed.duplicates,
            "absorbed"
        );
        for (object, why) in &absorbed.skipped {
            tracing::error!(object, why, "a hot file that cannot be used");
        }
        self.deployment.metrics.emit(&[
            ("HotFilesAbsorbed", absorbed.hot as u64),
            ("RecordConflicts", absorbed.conflicts),
            ("HotFilesSkipped", absorbed.skipped.len() as u64),
        ]);
        self.tell_conflicts(day, &absorbed).await?;
        Ok(absorbed.written)
    }

    /// Two different records under one identity are findings. They are owed here and told by `notify`: this function may
    /// run for longer than a publisher is waited for.
    async fn tell_conflicts(&self, day: Day, absorbed: &Absorbed) -> Result<(), Error> {
        if absorbed.conflicting.is_empty() {
            return Ok(());
        }
        let now = now();
        let engine = self.engines.current(&self.deployment, now).await?;
        let settings: &Settings = engine.settings();
        for (account, id) in absorbed.conflicting.iter().take(TOLD) {
            let found = Finding::of(&conflict_in_lake(account, id, day.start()));
            self.deployment.state.commit(&found, settings, now).await?;
        }
        Ok(())
    }
}

impl Queue {
    async fn send(&self, due: &[Work]) -> Result<(), Error> {
        let sends = due.iter().map(|work| async move {
            let (message, group) = (work.to_string(), format!("{}/{}", work.day, work.part));
            let sent = self.collector.send_in_order(&self.url, &message, &group).await;
            sent.map_err(|refused| {
                Error::Configuration(format!("queue {}: {} {}", self.url, refused.code, refused.message))
            })
        });
        stream::iter(sends).buffer_unordered(AT_ONCE).try_collect().await
    }
}

impl Work {
    fn read(body: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let number = |name: &str| body[name].as_u64().and_then(|number| u32::try_from(number).ok());
        let part = Part { index: number("part")?, of: number("of")? };
        let day = Day::parse(body["day"].as_str()?)?;
        (part.index < part.of).then_some(Self { day, part })
    }
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { day, part } = self;
        write!(f, "{}", json!({"day": day.to_string(), "part": part.index, "of": part.of}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_part() {
        let day = Day::parse("2026-11-20").expect("a day");
        let work = Work { day, part: Part { index: 1, of: 3 } };
        assert_eq!(Work::read(&work.to_string()), Some(work));
        for bad in ["", "{}", "{\"day\":\"2026-11-20\",\"part\":3,\"of\":3}", "{\"day\":\"../x\",\"part\":0,\"of\":1}"]
        {
            assert_eq!(Work::read(bad), None, "{bad}");
        }
    }
}
