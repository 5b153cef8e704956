//! The controls, a file for each subject.

use std::sync::LazyLock;

use crate::control::{CANNOT_SEE, Control};
use crate::detection::Detection;

mod bucket;
mod data_events;
mod drift;
mod integrity;
mod key;
mod monitoring;
mod organization;
mod principals;
mod recording;
mod services;

#[cfg(test)]
mod prowler_tests;
#[cfg(test)]
pub(crate) mod testing;

/// All controls: what matters most first.
pub fn all() -> &'static [&'static Control] {
    static ALL: LazyLock<Vec<&'static Control>> = LazyLock::new(|| {
        [
            recording::ALL,
            data_events::ALL,
            integrity::ALL,
            bucket::ALL,
            key::ALL,
            drift::ALL,
            organization::ALL,
            principals::ALL,
            monitoring::ALL,
            services::ALL,
        ]
        .concat()
    });
    &ALL
}

/// The control of that id.
pub fn find(id: &str) -> Option<&'static Control> {
    all().iter().find(|control| control.id == id).copied()
}

/// What findings about trail settings stem from: each control as a detection, and what could not be looked at.
pub fn detections() -> impl Iterator<Item = &'static Detection> {
    static ALL: LazyLock<Vec<Detection>> = LazyLock::new(|| all().iter().map(|control| control.detection()).collect());
    ALL.iter().chain([&CANNOT_SEE])
}

/// A control as a detection.
pub(crate) fn detection(id: &str) -> Option<&'static Detection> {
    detections().find(|detection| detection.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::testing::{Account, context, denied};
    use super::*;
    use crate::control::{Status, View};
    use crate::snapshot::{Cause, Refusal};

    #[test]
    fn ids_are_unique_and_every_control_says_what_people_need() {
        let mut ids: BTreeSet<&str> = crate::detections::all().iter().map(|detection| detection.id).collect();
        for control in all() {
            let Control { id, title, why, runbook, .. } = control;
            assert!(ids.insert(id), "{id} is there twice");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
            assert!(!title.is_empty() && !why.is_empty() && !runbook.is_empty(), "{id} leaves somebody alone");
            for call in control.calls {
                assert!(crate::control::permission(call).is_some(), "{id} asks {call}, which nobody asks");
            }
        }
    }

    #[test]
    fn an_account_as_it_should_be_passes_everything() {
        for verdict in Account::with_trail().verdicts(&context()) {
            let fine = matches!(verdict.status, Status::Pass | Status::NotApplicable);
            assert!(fine, "{} {:?}: {}", verdict.control_id, verdict.status, verdict.reason);
        }
    }

    #[test]
    fn what_cannot_be_seen_never_passes_and_is_never_left_out() {
        for refusal in [
            denied(),
            Refusal { cause: Cause::NoRole, code: "AccessDenied".to_owned(), message: String::new() },
            Refusal { cause: Cause::Unknown, code: "Strange".to_owned(), message: String::new() },
            Refusal { cause: Cause::Throttled, code: "Throttling".to_owned(), message: String::new() },
        ] {
            let mut account = Account::with_trail();
            account.refuse_all(&refusal);
            let (snapshot, context) = (account.snapshot(), context());
            let view = View::new(&snapshot, &context).expect("a view");
            for control in all().iter().filter(|control| !control.calls.is_empty()) {
                for verdict in control.judge(&view) {
                    assert_ne!(verdict.status, Status::Pass, "{}: {}", control.id, verdict.reason);
                    assert_ne!(verdict.status, Status::NotApplicable, "{}: {}", control.id, verdict.reason);
                }
            }
        }
    }

    #[test]
    fn one_refused_question_makes_no_pass_of_what_rests_on_it() {
        let whole = Account::with_trail();
        for call in whole.calls() {
            let mut account = Account::with_trail();
            account.refuse_call(&call, &denied());
            let before = whole.verdicts(&context());
            for verdict in account.verdicts(&context()) {
                let same = before.iter().find(|v| v.control_id == verdict.control_id && v.resource == verdict.resource);
                if verdict.status == Status::Pass {
                    let passed = same.is_some_and(|same| same.status == Status::Pass);
                    assert!(passed, "{call} refused makes {} pass", verdict.control_id);
                }
            }
        }
    }

    #[test]
    fn nothing_in_a_snapshot_makes_a_control_panic() {
        let odd = [
            serde_json::json!(null),
            serde_json::json!([]),
            serde_json::json!({}),
            serde_json::json!("x"),
            serde_json::json!({"trailList": [null, 7, {"TrailARN": "x"}, {"TrailARN": 7}]}),
            serde_json::json!({"IsLogging": "perhaps", "EventSelectors": 7, "AdvancedEventSelectors": "x"}),
            serde_json::json!({"Policy": "{", "Rules": [null], "Grants": 1, "Versions": {}, "KeyMetadata": []}),
        ];
        let whole = Account::with_trail();
        for call in whole.calls() {
            for body in &odd {
                let mut account = Account::with_trail();
                account.answer_call(&call, body);
                assert!(!account.verdicts(&context()).is_empty());
            }
        }
        for body in &odd {
            let mut account = Account::with_trail();
            whole.calls().iter().for_each(|call| account.answer_call(call, body));
            for verdict in account.verdicts(&context()) {
                let blind = verdict.control().is_some_and(|control| control.calls.is_empty());
                assert!(blind || verdict.status != Status::Pass || !body.is_null(), "{}", verdict.control_id);
            }
        }
    }

    #[test]
    fn what_is_no_cis_control_is_not_called_one() {
        let with = |id: &str| find(id).expect("a control").references;
        assert_eq!(with("trail-multi-region").to_string(), "CIS 3.0 3.1, 7.0 4.1");
        assert_eq!(with("log-bucket-not-public").to_string(), "CIS 2.0 3.3");
        for id in ["lambda-invoke-events", "dedicated-logging-account", "organization-trail", "log-retention"] {
            assert_eq!(with(id).cis, ["", "", ""], "{id}");
        }
        assert_eq!(with("s3-write-events").cis, ["3.10", "3.8", "4.8"]);
        assert_eq!(with("s3-read-events").cis, ["3.11", "3.9", "4.9"]);
    }
}
