//! Whether trails record less than they did when they were last looked at.

use std::collections::BTreeSet;

use super::recording::{gaps_said, is_logging, update};
use crate::alert::clean;
use crate::control::{
    Asked, Context, Control, Earlier, Look, References, Trail, Verdict, View, json_argument, said_list, shell,
};
use crate::detection::Severity;
use crate::selectors::{Recorded, Selectors, Union};
use crate::shape::{field, list};

pub(super) const ALL: &[&Control] = &[&DRIFT];

/// Trails are not weakened.
static DRIFT: Control = Control {
    id: "trail-not-weakened",
    title: "Trails record no less than at the last audit",
    severity: Severity::Critical,
    references: References {
        others: &[("SOC 2", "CC8.1"), ("SOC 2", "CC7.2"), ("NIST 800-53 r5", "CM-3"), ("NIST 800-53 r5", "AU-12(3)")],
        ..References::NONE
    },
    calls: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"],
    judge: drift,
    why: "A trail is weakened quietly before something is done that nobody shall see.",
    runbook: &["Find who changed it: qtrail who TRAIL", "Not on purpose: restore it with the command given"],
};

/// What is worse than before, and the command that undoes it.
#[derive(Debug, Default)]
struct Loss {
    said: Vec<String>,
    fix: String,
    changed: Vec<String>,
}

impl Loss {
    fn add(&mut self, said: impl Into<String>, fix: impl Into<String>) {
        self.said.push(said.into());
        if self.fix.is_empty() {
            self.fix = fix.into();
        }
    }
}

fn drift(look: &Look<'_>) -> Vec<Verdict> {
    let account = look.account();
    let earlier = match &look.context().earlier {
        Earlier::Unknown => return vec![look.unknown(account, "the snapshot before this one could not be read")],
        Earlier::First => return vec![look.not_applicable(account, "this is the first snapshot")],
        Earlier::Snapshot(earlier) => earlier,
    };
    let context = Context::default();
    let Ok(before) = View::new(earlier, &context) else {
        return vec![look.unknown(account, "the snapshot before this one has another version")];
    };
    let trails = look.trails();
    let before_look = Look::new(&before, look.control);
    let mut verdicts = Vec::new();
    for was in before.trails().iter().filter(|trail| trail.owner == account || !look.context().audits(trail.owner)) {
        let look = look.anew();
        let Some(is) = trails.iter().find(|trail| trail.arn == was.arn) else {
            verdicts.push(gone(&look, was));
            continue;
        };
        let mut loss = Loss::default();
        compare_settings(was, is, &mut loss);
        let both = Both { was: &before_look, is: &look };
        let blind = compare_status(&both, is, &mut loss) | compare_selectors(&both, (was, is), &mut loss);
        verdicts.push(verdict(&look, is, &loss, blind));
    }
    if verdicts.is_empty() {
        let blind = !look.dark_regions().is_empty();
        verdicts.push(if blind {
            look.blinded(account)
        } else {
            look.not_applicable(account, "there was no trail of its own before")
        });
    }
    verdicts
}

/// The snapshot before and this one.
struct Both<'a, 'v> {
    was: &'a Look<'v>,
    is: &'a Look<'v>,
}

fn gone(look: &Look<'_>, was: &Trail<'_>) -> Verdict {
    let dark = look.dark_regions();
    let seen = was.seen_in.iter().any(|region| !dark.contains(region));
    if seen && matches!(look.ask("cloudtrail:DescribeTrails", was.home_region, &[]), Asked::Body(_)) {
        let touched = look.context().touched(&[was.arn, was.name], &["DeleteTrail", "UpdateTrail"]);
        return look.fail(was.arn, format!("{} is gone{touched}", clean(was.name)));
    }
    let _ = look.ask("cloudtrail:DescribeTrails", was.home_region, &[]);
    look.blinded(was.arn)
}

fn verdict(look: &Look<'_>, trail: &Trail<'_>, loss: &Loss, blind: bool) -> Verdict {
    let touched = look.context().touched(&[trail.arn, trail.name], &[]);
    let said = |list: &[String]| said_list(list.iter().map(String::as_str));
    match () {
        () if !loss.said.is_empty() => {
            look.fail(trail.arn, format!("{}{touched}", said(&loss.said))).fix(loss.fix.clone())
        }
        () if blind => look.blinded(trail.arn),
        () if !loss.changed.is_empty() => {
            look.partial(trail.arn, format!("{}{touched}", said(&loss.changed))).severity(Severity::Medium)
        }
        () => look.pass(trail.arn, "nothing is weaker than at the last audit"),
    }
}

fn compare_settings(was: &Trail<'_>, is: &Trail<'_>, loss: &mut Loss) {
    let command = update(is);
    if was.multi_region && !is.multi_region {
        loss.add("it records one region, all before", format!("{command} --is-multi-region-trail"));
    }
    if was.organization && !is.organization {
        loss.add("it records one account, the organization before", format!("{command} --is-organization-trail"));
    }
    if was.validation == Some(true) && is.validation == Some(false) {
        loss.add("log file validation is off, on before", format!("{command} --enable-log-file-validation"));
    }
    if was.global_events == Some(true) && is.global_events == Some(false) {
        loss.add("global services are left out", format!("{command} --include-global-service-events"));
    }
    if was.bucket != is.bucket || was.prefix != is.prefix {
        let fix = format!("{command} --s3-bucket-name {} --s3-key-prefix {}", shell(was.bucket), shell(was.prefix));
        loss.add(format!("it delivers to {}, to {} before", clean(is.bucket), clean(was.bucket)), fix);
    }
    match (was.key, is.key) {
        (was, is) if was == is || was.is_empty() => {}
        (was, "") => loss.add(
            "log files are not encrypted with a key of ours any more",
            format!("{command} --kms-key-id {}", shell(was)),
        ),
        (was, is) => loss.changed.push(format!("the key is {}, {} before", clean(is), clean(was))),
    }
    if !was.log_group.is_empty() && is.log_group.is_empty() {
        loss.changed.push("it delivers to no log group any more".to_owned());
    }
}

/// Whether it was on before and is off now, in some region. Gives back whether something could not be seen.
fn compare_status(both: &Both<'_, '_>, trail: &Trail<'_>, loss: &mut Loss) -> bool {
    const CALL: &str = "cloudtrail:GetTrailStatus";
    let (mut off, mut blind) = (BTreeSet::new(), false);
    for region in both.was.view.regions() {
        let asked = |look: &Look<'_>| look.body(CALL, region, &[("Name", trail.arn)]).and_then(is_logging);
        match (asked(both.was), asked(both.is)) {
            (Some(true), Some(false)) => _ = off.insert(*region),
            (Some(true), None) => blind = true,
            _ => {}
        }
    }
    if !off.is_empty() {
        let fix =
            format!("aws cloudtrail start-logging --name {} --region {}", shell(trail.arn), shell(trail.home_region));
        loss.add(format!("it is stopped in {}", said_list(off)), fix);
    }
    blind
}

fn compare_selectors(both: &Both<'_, '_>, (was, is): (&Trail<'_>, &Trail<'_>), loss: &mut Loss) -> bool {
    let Some(before) = both.was.selectors(was) else { return false };
    let Some(now) = both.is.selectors(is) else { return true };
    if before == now {
        return false;
    }
    let mut worse: Vec<String> = weaker(&union(&before).management(), &union(&now).management(), "management calls");
    for kind in before.data_types() {
        worse.extend(weaker(&union(&before).data(kind), &union(&now).data(kind), kind));
    }
    let fix = restore(both.was, was);
    if worse.is_empty() {
        loss.changed.push("its selectors changed, and record no less".to_owned());
    }
    for said in worse {
        loss.add(said, fix.clone());
    }
    false
}

fn union(selectors: &Selectors) -> Union {
    let mut union = Union::default();
    union.add(selectors);
    union
}

/// What is recorded no more. A gap that was not there before counts, also where another one was closed.
fn weaker(was: &Recorded, is: &Recorded, what: &str) -> Vec<String> {
    match (was, is) {
        (Recorded::Nothing, _) | (_, Recorded::Everything) | (Recorded::Unclear(_), Recorded::Unclear(_)) => Vec::new(),
        (_, Recorded::Nothing) => vec![format!("{} are recorded no more", clean(what))],
        (Recorded::Partly(old), Recorded::Partly(new)) => {
            let more: Vec<_> = new.iter().filter(|gap| !old.contains(gap)).cloned().collect();
            if more.is_empty() { Vec::new() } else { vec![gaps_said(&more)] }
        }
        (_, Recorded::Partly(gaps)) => vec![gaps_said(gaps)],
        (_, Recorded::Unclear(doubts)) => vec![format!(
            "cannot tell any more what is recorded of {}: {}",
            clean(what),
            said_list(doubts.iter().map(String::as_str))
        )],
    }
}

/// The command that gives a trail the selectors it had.
fn restore(look: &Look<'_>, trail: &Trail<'_>) -> String {
    let Some(body) = look.body("cloudtrail:GetEventSelectors", trail.home_region, &[("TrailName", trail.arn)]) else {
        return String::new();
    };
    let advanced = field(body, "AdvancedEventSelectors");
    let (option, selectors) = if list(advanced).is_empty() {
        ("--event-selectors", field(body, "EventSelectors"))
    } else {
        ("--advanced-event-selectors", advanced)
    };
    format!(
        "aws cloudtrail put-event-selectors --trail-name {} --region {} {option} {}",
        shell(trail.arn),
        shell(trail.home_region),
        json_argument(selectors)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Status;
    use crate::controls::testing::{Account, assert_said, context, denied};
    use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
    use serde_json::json;

    #[test]
    fn what_is_weaker_than_before_is_said() {
        let trail = |member: &str, value: serde_json::Value| {
            let mut account = Account::with_trail();
            account.trail(member, value);
            account
        };
        let with = |selectors| {
            let mut account = Account::with_trail();
            account.advanced(selectors);
            account
        };
        let management = json!({"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]});
        let mut stopped = Account::with_trail();
        stopped.set("cloudtrail:GetTrailStatus", "IsLogging", false);
        let mut refused = Account::with_trail();
        refused.refuse_call("cloudtrail:GetEventSelectors", &denied());
        let everything = json!([
            {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
            {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]},
        ]);
        for (account, status, words) in [
            (Account::with_trail(), Pass, "nothing is weaker"),
            (Account::new("111122223333", &["eu-west-1"]), Fail, "org-trail is gone"),
            (stopped, Fail, "stopped in eu-west-1, us-east-1"),
            (trail("IsMultiRegionTrail", false.into()), Fail, "one region"),
            (trail("LogFileValidationEnabled", false.into()), Fail, "validation is off"),
            (trail("S3BucketName", "mine".into()), Fail, "delivers to mine, to org-logs before"),
            (trail("KmsKeyId", json!(null)), Fail, "not encrypted"),
            (trail("KmsKeyId", "arn:aws:kms:eu-west-1:1:key/2".into()), Partial, "the key is"),
            (with(json!([management])), Fail, "AWS::S3::Object are recorded no more"),
            (with(everything), Partial, "record no less"),
            (refused, Unknown, "GetEventSelectors denied"),
        ] {
            assert_said(&account, &context(), ("trail-not-weakened", status, words));
        }
        let verdict = with(json!([management])).only("trail-not-weakened", &context());
        assert!(verdict.remediation.contains("AWS::S3::Object"), "{}", verdict.remediation);
    }

    #[test]
    fn without_a_snapshot_before_nothing_is_said() {
        let of = |earlier| Context { earlier, ..context() };
        assert_said(&Account::with_trail(), &of(Earlier::First), ("trail-not-weakened", NotApplicable, "first"));
        assert_said(
            &Account::with_trail(),
            &of(Earlier::Unknown),
            ("trail-not-weakened", Unknown, "could not be read"),
        );
        let mut other = Account::with_trail().snapshot();
        other.version = 7;
        let other = of(Earlier::Snapshot(Box::new(other)));
        assert_said(&Account::with_trail(), &other, ("trail-not-weakened", Unknown, "another version"));
    }
}
