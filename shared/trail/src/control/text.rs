//! Verdicts as people and machines read them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Control, Coverage, Status, Verdict};
use crate::alert::{clean, severity_word};
use crate::settings::Settings;

/// The most accounts that the last line names.
const NAMED: usize = 10;

/// A verdict as `qtrail audit` prints it: a line, and a second one with the command that mends it.
pub fn verdict_lines(verdict: &Verdict, settings: &Settings) -> String {
    let Verdict { status, severity, control_id, .. } = verdict;
    let subject = subject(verdict, settings);
    let mut text =
        format!("{:<7} {} {control_id} {subject}: {}", status.word(), severity_word(*severity), tidy(&verdict.reason));
    if status.is_blind() {
        if !verdict.remediation.is_empty() {
            let _ = write!(text, "; fix: {}", tidy(&verdict.remediation));
        }
        return text;
    }
    let references = verdict.control().map_or(String::new(), |control| control.references.to_string());
    if !references.is_empty() {
        let _ = write!(text, "; {references}");
    }
    if !verdict.remediation.is_empty() {
        let _ = write!(text, "\n  fix: {}", tidy(&verdict.remediation));
    }
    if !verdict.remark.is_empty() {
        let _ = write!(text, "   ({})", tidy(&verdict.remark));
    }
    text
}

/// `prod-payments/eu-west-1 org-trail`; the resource is left out where it is the account.
fn subject(verdict: &Verdict, settings: &Settings) -> String {
    let account = account_name(&verdict.account, settings);
    let place = match verdict.region.as_str() {
        "" => account,
        region => format!("{account}/{}", clean(region)),
    };
    if verdict.resource == verdict.account || verdict.resource.is_empty() {
        return place;
    }
    format!("{place} {}", clean(short(&verdict.resource)))
}

fn account_name(account: &str, settings: &Settings) -> String {
    let known = settings.accounts.get(account).map(|known| known.name.as_str()).filter(|name| !name.is_empty());
    clean(known.unwrap_or(account))
}

/// What stands behind the last colon or slash of an ARN.
fn short(resource: &str) -> &str {
    if !resource.starts_with("arn:") {
        return resource;
    }
    resource.rsplit([':', '/']).find(|part| !part.is_empty()).unwrap_or(resource)
}

/// Text that was made here of foreign parts, for a line of its own: nothing that moves the cursor or hides.
fn tidy(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c });
    visible.filter(|c| !crate::alert::is_invisible(*c)).collect()
}

/// `accounts=199/200 regions=3383/3400 pass=5912 …; not seen: sandbox-7`: how much could be looked at.
pub fn last_line(verdicts: &[Verdict], coverage: &Coverage, settings: &Settings) -> String {
    let count = |status| verdicts.iter().filter(|verdict| verdict.status == status).count();
    let ((accounts, of_accounts), (regions, of_regions)) = (coverage.accounts(), coverage.regions());
    let mut line = format!("accounts={accounts}/{of_accounts} regions={regions}/{of_regions}");
    for (word, status) in [
        ("pass", Status::Pass),
        ("fail", Status::Fail),
        ("partial", Status::Partial),
        ("unknown", Status::Unknown),
        ("not_applicable", Status::NotApplicable),
        ("error", Status::Error),
    ] {
        let _ = write!(line, " {word}={}", count(status));
    }
    let dark = coverage.unseen_regions();
    let names: Vec<String> = coverage
        .unseen_accounts()
        .into_iter()
        .map(|account| account_name(account, settings))
        .chain(dark.iter().map(|(account, regions)| in_regions(account, regions, settings)))
        .collect();
    if !names.is_empty() {
        let more = names.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let _ = write!(line, "; not seen: {}{more}", names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "));
    }
    line
}

fn in_regions(account: &str, regions: &[&str], settings: &Settings) -> String {
    match regions {
        [region] => format!("{}/{}", account_name(account, settings), clean(region)),
        _ => format!("{} ({} regions)", account_name(account, settings), regions.len()),
    }
}

/// A verdict as `qtrail audit --format ndjson` prints it.
pub fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "control_id": verdict.control_id,
        "title": verdict.control().map_or("", |control| control.title),
        "framework_refs": references(verdict.control()),
        "severity": verdict.severity,
        "status": verdict.status,
        "account": verdict.account,
        "region": verdict.region,
        "resource": verdict.resource,
        "reason": verdict.reason,
        "blind": verdict.blind,
        "evidence": verdict.evidence,
        "remediation": verdict.remediation,
        "time": verdict.time,
    })
}

fn references(control: Option<&'static Control>) -> Vec<String> {
    control.map_or_else(Vec::new, |control| control.references.all())
}

/// A verdict as an OCSF 1.3 Compliance Finding (class 2003).
pub fn verdict_ocsf(verdict: &Verdict) -> Value {
    let control = verdict.control();
    let millis = verdict.time.0.saturating_mul(1000);
    let (compliance_id, compliance) = match verdict.status {
        Status::Pass => (1, "Pass"),
        Status::Partial => (2, "Warning"),
        Status::Fail => (3, "Fail"),
        Status::Unknown | Status::Error => (0, "Unknown"),
        Status::NotApplicable => (99, "Not applicable"),
    };
    let standards: Vec<String> = references(control);
    let resolved = matches!(verdict.status, Status::Pass | Status::NotApplicable);
    json!({
        "activity_id": 1, "category_uid": 2, "class_uid": 2003, "type_uid": 200_301,
        "time": millis,
        "severity_id": verdict.severity as u8 + 1,
        "status_id": if resolved { 4 } else { 1 },
        "message": verdict.reason,
        "metadata": {"version": "1.3.0", "product": {"name": "QuickInfra Trail", "vendor_name": "QuickInfra",
            "version": crate::detections::VERSION}},
        "finding_info": {
            "uid": format!("{}/{}/{}", verdict.control_id, verdict.account, verdict.resource),
            "title": control.map_or("", |control| control.title),
            "desc": control.map_or("", |control| control.why),
        },
        "compliance": {
            "control": verdict.control_id,
            "requirements": standards,
            "standards": standards,
            "status": compliance,
            "status_id": compliance_id,
            "status_code": verdict.status.word(),
            "status_detail": verdict.reason,
        },
        "cloud": {"provider": "AWS", "account": {"uid": verdict.account}, "region": verdict.region},
        "resources": [{"uid": verdict.resource}],
        "remediation": {"desc": verdict.remediation},
        "evidences": verdict.evidence.iter().map(evidence).collect::<Vec<_>>(),
    })
}

fn evidence(evidence: &super::Evidence) -> Value {
    json!({
        "api": {"operation": evidence.call, "request": {"uid": evidence.request_id}},
        "data": {"account": evidence.account, "region": evidence.region, "time": evidence.time, "sha256": evidence.sha256},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Blind;
    use crate::detection::Severity;
    use crate::settings;
    use crate::time::Time;

    fn settings() -> Settings {
        let named = |name: &str| settings::Account { name: name.to_owned(), ..settings::Account::default() };
        Settings {
            accounts: [
                ("111122223333".to_owned(), named("prod-payments")),
                ("444455556666".to_owned(), named("sandbox-7")),
            ]
            .into(),
            ..Settings::default()
        }
    }

    fn verdict(status: Status, control: &str, reason: &str) -> Verdict {
        Verdict {
            control_id: control.to_owned(),
            status,
            severity: Severity::High,
            account: "111122223333".to_owned(),
            region: String::new(),
            resource: "111122223333".to_owned(),
            reason: reason.to_owned(),
            blind: Vec::<Blind>::new(),
            evidence: Vec::new(),
            remediation: String::new(),
            remark: String::new(),
            time: Time(0),
        }
    }

    #[test]
    fn lines_have_the_form_that_people_know() {
        let reason = "KMS calls are not recorded (excluded kms.amazonaws.com) since 18 Nov, PutEventSelectors by alice@example.com";
        let failing = Verdict {
            region: "eu-west-1".to_owned(),
            resource: "arn:aws:cloudtrail:eu-west-1:111122223333:trail/org-trail".to_owned(),
            remediation: "aws cloudtrail put-event-selectors --trail-name org-trail ...".to_owned(),
            remark: "keeps your 2 data selectors".to_owned(),
            ..verdict(Status::Fail, "management-events-complete", reason)
        };
        assert_eq!(
            verdict_lines(&failing, &settings()),
            "FAIL    HIGH management-events-complete prod-payments/eu-west-1 org-trail: KMS calls are not recorded \
             (excluded kms.amazonaws.com) since 18 Nov, PutEventSelectors by alice@example.com; CIS 3.0 3.1, 7.0 4.1\n  \
             fix: aws cloudtrail put-event-selectors --trail-name org-trail ...   (keeps your 2 data selectors)"
        );
        let blind = Verdict {
            account: "444455556666".to_owned(),
            resource: "444455556666".to_owned(),
            remediation: "update StackSet qtrail-member".to_owned(),
            ..verdict(Status::Unknown, "trail-multi-region", "could not look, GetTrailStatus denied to QTrailAudit")
        };
        assert_eq!(
            verdict_lines(&blind, &settings()),
            "UNKNOWN HIGH trail-multi-region sandbox-7: could not look, GetTrailStatus denied to QTrailAudit; \
             fix: update StackSet qtrail-member"
        );
    }

    #[test]
    fn the_last_line_says_how_much_was_seen() {
        let mut coverage = Coverage::default();
        coverage.add(&crate::controls::testing::Account::new("111122223333", &["eu-west-1"]).snapshot());
        coverage.expect("444455556666");
        let verdicts = [verdict(Status::Pass, "x", ""), verdict(Status::Fail, "x", ""), verdict(Status::Pass, "x", "")];
        assert_eq!(
            last_line(&verdicts, &coverage, &settings()),
            "accounts=1/2 regions=1/1 pass=2 fail=1 partial=0 unknown=0 not_applicable=0 error=0; not seen: sandbox-7"
        );
    }

    #[test]
    fn nothing_foreign_breaks_a_line() {
        let nasty = Verdict {
            resource: "x\n\u{202e}PASS".to_owned(),
            remediation: "a\nb\u{200b}c".to_owned(),
            ..verdict(Status::Fail, "trail-multi-region", "r\r\nFAIL \u{1b}[2J")
        };
        let lines = verdict_lines(&nasty, &settings());
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(!lines.contains(['\u{202e}', '\u{1b}', '\u{200b}', '\r']), "{lines:?}");
    }

    #[test]
    fn machines_read_the_same() {
        let verdict = verdict(Status::Partial, "trail-multi-region", "why");
        let json = verdict_json(&verdict);
        for key in [
            "control_id",
            "framework_refs",
            "severity",
            "status",
            "account",
            "region",
            "resource",
            "reason",
            "evidence",
            "remediation",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["status"], "PARTIAL");
        assert!(json["framework_refs"].as_array().is_some_and(|refs| refs.contains(&json!("CIS 7.0 4.1"))));
        let ocsf = verdict_ocsf(&verdict);
        assert_eq!((ocsf["class_uid"].as_u64(), ocsf["type_uid"].as_u64()), (Some(2003), Some(200_301)));
        assert_eq!(ocsf["compliance"]["status"], "Warning");
        assert_eq!(serde_json::from_value::<Verdict>(json!(verdict)).expect("a verdict"), verdict);
    }
}
