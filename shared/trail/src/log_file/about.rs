//! Findings about a log file itself, which stem from no record.

use super::Report;
use crate::detection::Detection;
use crate::detections::log_files::{
    LOG_APPENDED, LOG_OVERWRITTEN, LOG_UNREADABLE, RECORD_CONFLICT, RECORDS_QUARANTINED,
};
use crate::finding::{Match, ObjectFact};
use crate::object_key::ObjectKey;
use crate::time::Time;

/// A log file as findings name it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// `bucket/key@version`, or a path.
    pub id: &'a str,
    /// The key or path, for what it says.
    pub key: &'a str,
}

impl Subject<'_> {
    /// The time in the object's name, else the latest in its records: never the clock.
    pub fn time(&self, report: &Report) -> Time {
        let recorded = || report.times.as_ref().and_then(|(_, last)| Time::parse(last));
        ObjectKey::parse(self.key).time.or_else(recorded).unwrap_or_default()
    }

    /// What is wrong with the file.
    pub fn problems(&self, report: &Report, trailing: usize) -> Vec<Match> {
        let mut found = Vec::new();
        if trailing > 0 {
            let what = format!("{trailing} bytes follow the gzip stream of {}", self.id);
            found.push(self.fact(&LOG_APPENDED, report, (&what, "")));
        }
        if let Some(problem) = &report.problem {
            let what = format!("log file {} cannot be read whole", self.id);
            found.push(self.fact(&LOG_UNREADABLE, report, (&what, &format!("{problem}."))));
        }
        if let Some(first) = report.kept.first() {
            let what = format!("{} records of {} cannot be read", report.quarantined, self.id);
            let why = format!("The first, number {}: {}.", first.index, first.reason);
            found.push(self.fact(&RECORDS_QUARANTINED, report, (&what, &why)));
        }
        found
    }

    /// Another text was read under the same name before.
    pub fn overwritten(&self, report: &Report, before: &str) -> Match {
        let what = format!("log file {} holds another text than before", self.id);
        let detail = format!("The hash of the text before: {before}.");
        self.fact(&LOG_OVERWRITTEN, report, (&what, &detail))
    }

    /// A record in this file has the identity of another one, and other contents.
    pub fn conflict(&self, report: &Report) -> Match {
        let what = format!("log file {} holds a record whose id another record has", self.id);
        self.fact(&RECORD_CONFLICT, report, (&what, ""))
    }

    fn fact(&self, detection: &'static Detection, report: &Report, (what, detail): (&str, &str)) -> Match {
        let key = ObjectKey::parse(self.key);
        Match::of_object(
            detection,
            &ObjectFact {
                id: self.id,
                account: key.account.unwrap_or("-"),
                region: key.region.unwrap_or_default(),
                time: self.time(report),
                what,
                detail,
            },
        )
    }
}

/// Two different records under one identity that met in the lake: which files they are from stands in their rows.
pub fn conflict_in_lake(account: &str, id: &str, day: Time) -> Match {
    let what = format!("record {id} of account {account} is there twice, with different contents");
    let fact = ObjectFact { id, account, region: "", time: day, what: &what, detail: "" };
    Match::of_object(&RECORD_CONFLICT, &fact)
}
