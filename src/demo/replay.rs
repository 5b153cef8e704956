//! The review of the quarter before the demo's day, as it was recorded: opened, decided, carried out, signed off; and
//! an evidence pack of it.
//!
//! Nobody decides anything here: what people said is replayed, at the time at which it is recorded, and each entry says
//! that this is all that is known of who it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use aws_config::SdkConfig;
use cloud::asking::{Asking, Proof};
use cloud::pack::{Ask, Signer, Sources, issue};
use cloud::rebuild::{RawFile, Rebuild};
use cloud::review::handler::Review;
use cloud::review::log::Reviews;
use cloud::review::opening::Making;
use cloud::review::store::Store;
use cloud::state::{PackRecord, State};
use cloud::stores::{Place, Stores};
use lake::Lake;
use lake::layout::Day;
use serde::Deserialize;
use trail::object_key::ObjectKey;
use trail::review::{By, Decision, Period};
use trail::settings::Settings;
use trail::time::Time;

use super::fill;
use crate::pack;

/// The first morning after the quarter, when its snapshots were taken.
const OPENED: Time = Time(1_790_835_000);

/// When the next snapshots are compared.
const COMPARED: Time = Time(1_795_237_800);

/// What there is to replay.
pub(crate) struct Replay<'r> {
    pub(crate) state: &'r State,
    pub(crate) data: &'r Place,
    pub(crate) settings: &'r Settings,
    /// `people.csv`.
    pub(crate) people: &'r str,
    /// What was said, a line each.
    pub(crate) said: &'r str,
}

/// A line of what was said.
#[derive(Debug, Deserialize)]
struct Said {
    at: Time,
    who: String,
    arn: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum What {
    Decide {
        subject: String,
        #[serde(flatten)]
        decision: Decision,
    },
    Except {
        subject: String,
        reason: String,
        approver: String,
    },
    SignOff {
        statement: String,
    },
}

impl Said {
    fn asking(&self) -> Asking {
        Asking {
            who: self.who.clone(),
            arn: Some(self.arn.clone()),
            account: self.arn.split(':').nth(4).map(str::to_owned),
            groups: Vec::new(),
            proven: Proof::Recorded,
            address: String::new(),
            at: self.at,
        }
    }
}

impl Replay<'_> {
    /// What was before the day: the quarter's records, the review opened over them, the first decisions.
    pub(crate) async fn before(&self, quarter: &Path) -> anyhow::Result<Period> {
        rebuild(self.data, quarter).await?;
        let store = Store::new(self.data.clone());
        store.put_people(self.people.as_bytes(), "the demo's recording", OPENED).await?;
        let lake = Lake::new(self.data.store.clone(), self.data.prefix.clone());
        let making = Making { lake: &lake, settings: self.settings, store: &store };
        let ended = Period::quarter(OPENED, self.settings.review.first_month).previous();
        let period = ended.context("a quarter before this one")?;
        let opened = making.open(&self.reviews(&store), (&period, None), OPENED).await?;
        ensure!(opened.is_some(), "review {} is open already", period.id);
        self.say(&store, (&period.id, |at| at < COMPARED)).await?;
        Ok(period)
    }

    /// What came after the day: new snapshots that are compared, the last decisions, the sign-off.
    pub(crate) async fn after(&self, period: &Period) -> anyhow::Result<()> {
        let store = Store::new(self.data.clone());
        let deployment = fill::deployment(self.state, self.data);
        Review::new(&deployment, store.clone()).check(self.settings, COMPARED).await?;
        self.say(&store, (&period.id, |at| at >= COMPARED)).await
    }

    /// Packs the evidence of the quarter and of all that was since.
    pub(crate) async fn pack(&self, folder: &Path, (from, to): (Time, Time)) -> anyhow::Result<PackRecord> {
        let account = self.settings.audit.logging_account.clone();
        let signer = Signer::local(&folder.join(pack::KEY), &account)?;
        let lake = Lake::new(self.data.store.clone(), self.data.prefix.clone());
        let sources = Sources { state: self.state, data: self.data, lake: Some(&lake), settings: self.settings };
        let period = Period { id: format!("{}/{}", from.date(), to.date()), from, to };
        let by = By {
            who: "qtrail demo".to_owned(),
            arn: String::new(),
            account: String::new(),
            proven: "recorded".to_owned(),
            address: String::new(),
            person: None,
        };
        let ask = Ask { period, by: Some(by), account, now: super::MORNING };
        let (record, _) = issue(&sources, &ask, &signer, self.data).await?;
        pack::keep_key(folder, &signer)?;
        Ok(record)
    }

    fn reviews<'s>(&'s self, store: &'s Store) -> Reviews<'s, Store> {
        Reviews { state: self.state, settings: self.settings, source: store, local: true }
    }

    /// Replays what was said within some time.
    async fn say(&self, store: &Store, (review, is_meant): (&str, fn(Time) -> bool)) -> anyhow::Result<()> {
        let reviews = self.reviews(store);
        for line in self.said.lines() {
            let said: Said = serde_json::from_str(line).with_context(|| format!("events/review.ndjson: {line}"))?;
            if is_meant(said.at) {
                let asking = said.asking();
                let done = one(&reviews, review, (&asking, said.what)).await;
                done.with_context(|| format!("events/review.ndjson: {line}"))?;
            }
        }
        Ok(())
    }
}

async fn one(reviews: &Reviews<'_, Store>, review: &str, (who, what): (&Asking, What)) -> anyhow::Result<()> {
    match what {
        What::Decide { subject, decision } => reviews.decide(review, who, (&subject, &decision)).await?,
        What::Except { subject, reason, approver } => {
            reviews.except(review, who, (&subject, &reason, &approver)).await?;
        }
        What::SignOff { statement } => drop(reviews.sign_off(review, who, (&statement, false)).await?),
    }
    Ok(())
}

/// Puts log files into the lake, as `qtrail rebuild` does: no findings are made of what was before the installation.
async fn rebuild(data: &Place, folder: &Path) -> anyhow::Result<()> {
    let mut paths: Vec<PathBuf> = Vec::new();
    fill::collect(folder, &mut paths)?;
    let file = |path: &PathBuf| -> anyhow::Result<RawFile> {
        Ok(RawFile { size: path.metadata()?.len(), key: path.to_string_lossy().into_owned(), bucket: String::new() })
    };
    let files = paths.iter().map(file).collect::<anyhow::Result<Vec<_>>>()?;
    let mut days: Vec<Day> = files.iter().filter_map(|file| ObjectKey::parse(&file.key).time.map(Day::of)).collect();
    days.sort_unstable();
    days.dedup();
    let rebuild = Rebuild::new(data.clone(), Arc::new(Stores::new(SdkConfig::builder().build())));
    for day in days {
        let made = rebuild.day(day, &files, &|| ()).await?;
        ensure!(made.problems.is_empty(), "{day}: {}", made.problems.join("; "));
    }
    Ok(())
}
