//! Whether somebody is told: the monitoring items of the benchmark, and the way from log file to person.

use super::bucket::{Bucket, of_each_bucket};
use super::recording::{A_DAY, update};
use crate::alert::clean;
use crate::control::{Control, Look, References, Trail, Verdict, region_of, said_list, time_of};
use crate::detection::{Detection, Severity};
use crate::policy::covers;
use crate::shape::{field, list, number, text, texts};

pub(super) const ALL: &[&Control] = &[
    &monitored(
        "monitored-unauthorized-calls",
        "Refused calls are monitored",
        ["4.1", "4.1", "5.1"],
        &[("Security Hub", "CloudWatch.2")],
    ),
    &monitored(
        "monitored-sign-in-without-mfa",
        "Console sign-ins without MFA are monitored",
        ["4.2", "4.2", "5.2"],
        &[("Security Hub", "CloudWatch.3")],
    ),
    &monitored(
        "monitored-root-usage",
        "Use of the root user is monitored",
        ["4.3", "4.3", "5.3"],
        &[("Security Hub", "CloudWatch.1")],
    ),
    &monitored(
        "monitored-iam-changes",
        "IAM policy changes are monitored",
        ["4.4", "4.4", "5.4"],
        &[("Security Hub", "CloudWatch.4")],
    ),
    &monitored(
        "monitored-trail-changes",
        "Changes of CloudTrail are monitored",
        ["4.5", "4.5", "5.5"],
        &[("Security Hub", "CloudWatch.5")],
    ),
    &monitored(
        "monitored-sign-in-failures",
        "Failed console sign-ins are monitored",
        ["4.6", "4.6", "5.6"],
        &[("Security Hub", "CloudWatch.6")],
    ),
    &monitored(
        "monitored-key-changes",
        "Disabling and deletion of keys are monitored",
        ["4.7", "4.7", "5.7"],
        &[("Security Hub", "CloudWatch.7")],
    ),
    &monitored(
        "monitored-bucket-policies",
        "S3 bucket policy changes are monitored",
        ["4.8", "4.8", "5.8"],
        &[("Security Hub", "CloudWatch.8")],
    ),
    &monitored(
        "monitored-config-changes",
        "Changes of AWS Config are monitored",
        ["4.9", "4.9", "5.9"],
        &[("Security Hub", "CloudWatch.9")],
    ),
    &monitored(
        "monitored-security-groups",
        "Security group changes are monitored",
        ["4.10", "4.10", "5.10"],
        &[("Security Hub", "CloudWatch.10")],
    ),
    &monitored(
        "monitored-network-acls",
        "Network ACL changes are monitored",
        ["4.11", "4.11", "5.11"],
        &[("Security Hub", "CloudWatch.11")],
    ),
    &monitored(
        "monitored-gateways",
        "Network gateway changes are monitored",
        ["4.12", "4.12", "5.12"],
        &[("Security Hub", "CloudWatch.12")],
    ),
    &monitored(
        "monitored-route-tables",
        "Route table changes are monitored",
        ["4.13", "4.13", "5.13"],
        &[("Security Hub", "CloudWatch.13")],
    ),
    &monitored(
        "monitored-vpcs",
        "VPC changes are monitored",
        ["4.14", "4.14", "5.14"],
        &[("Security Hub", "CloudWatch.14")],
    ),
    &monitored("monitored-organization", "Changes of AWS Organizations are monitored", ["4.15", "4.15", "5.15"], &[]),
    &PIPELINE,
    &CLOUDWATCH,
];

/// An item of the benchmark's monitoring section. The detections behind it are those that name it themselves.
const fn monitored(
    id: &'static str,
    title: &'static str,
    cis: [&'static str; 3],
    others: &'static [(&'static str, &'static str)],
) -> Control {
    Control {
        id,
        title,
        severity: Severity::High,
        references: References { cis, others },
        judge: |look| vec![monitoring(look)],
        why: "A detection that is switched off, or that tells nobody, is as good as none.",
        runbook: &[
            "Enable the detections named",
            "Confirm a subscription of the alert topic",
            "Look why the canary did not raise its finding",
        ],
        ..Control::BASE
    }
}

/// From log file to person.
static PIPELINE: Control = Control {
    id: "pipeline-intact",
    title: "New log files are announced to this system, and it reads them",
    severity: Severity::Critical,
    references: References { others: &[("SOC 2", "CC7.2"), ("NIST 800-53 r5", "AU-5")], ..References::NONE },
    calls: &["cloudtrail:DescribeTrails", "s3:HeadBucket", "s3:ListBuckets", "s3:GetBucketNotificationConfiguration"],
    judge: |look| of_each_bucket(look, pipeline),
    why: "Without the notification nothing is read, and nothing is found.",
    runbook: &["qtrail connect BUCKET restores the notification", "Look into the dead-letter queue and redrive it"],
};

/// Log files also go to `CloudWatch` Logs.
static CLOUDWATCH: Control = Control {
    id: "cloudwatch-logs-delivery",
    title: "Trails deliver to CloudWatch Logs, which keeps it for a year",
    severity: Severity::Low,
    references: References {
        cis: ["3.4", "", ""],
        others: &[
            ("Security Hub", "CloudTrail.5"),
            ("Security Hub", "CloudWatch.16"),
            ("SOC 2", "CC7.2"),
            ("SOC 2", "CC7.3"),
            ("NIST 800-53 r5", "AU-6(1)"),
        ],
    },
    calls: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "logs:DescribeLogGroups"],
    judge: |look| look.of_each_trail(cloudwatch),
    why: "Where nothing else watches, metric filters on the log group are what does.",
    runbook: &["Give the trail a log group and a role, or let this system watch instead"],
};

fn monitoring(look: &Look<'_>) -> Verdict {
    let (account, context) = (look.account(), look.context());
    let logging = context.logging_account.as_str();
    if account != logging && context.audits(logging) {
        return look.not_applicable(account, format!("judged once for all accounts, in {}", clean(logging)));
    }
    let item = format!("CIS 7.0 {}", look.control.references.cis[2]);
    let names_it = |detection: &&&Detection| detection.controls.contains(&item.as_str());
    let behind: Vec<&str> = crate::detections::all().iter().filter(names_it).map(|detection| detection.id).collect();
    let Some(enabled) = &context.state.detections else {
        return look.unknown(account, "which detections are in force is not known");
    };
    let off: Vec<&str> = behind.iter().copied().filter(|id| !enabled.contains(*id)).collect();
    let fresh = context.state.canary.is_some_and(|time| time.0 >= context.now.0 - A_DAY);
    let canary = context.state.canary.map_or("has not passed yet".to_owned(), |time| format!("passed last at {time}"));
    match (off.len(), context.state.subscriber) {
        (0, Some(true)) if fresh => {
            look.pass(account, format!("{} detections, a confirmed subscriber, the canary {canary}", behind.len()))
        }
        // An alarm of its own watches the canary: here it would be told as often as there are such controls.
        (0, Some(true)) => {
            let reason = format!("detections are in force, but the canary {canary}");
            look.partial(account, reason).severity(Severity::Medium)
        }
        (_, Some(false)) => look.fail(account, "the alert topic has no confirmed subscriber: nobody is told"),
        (0, None) => look.unknown(account, "whether the alert topic has a confirmed subscriber is not known"),
        (missing, _) if missing < behind.len() => look.partial(account, format!("not in force: {}", said_list(off))),
        _ => look.fail(account, format!("not in force: {}", said_list(off))),
    }
}

fn pipeline(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let state = &look.context().state;
    let Some(wanted) = &state.notified else {
        return look.unknown(bucket.name, "what the bucket has to notify is not known");
    };
    let Some(body) = bucket.body(look, "s3:GetBucketNotificationConfiguration") else {
        return look.blinded(bucket.name);
    };
    let lists = [
        ("QueueConfigurations", "QueueArn"),
        ("TopicConfigurations", "TopicArn"),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
    ];
    let told = lists.into_iter().any(|(member, arn)| {
        list(field(body, member)).into_iter().any(|one| {
            let created = texts(field(one, "Events")).iter().any(|event| covers(event, "s3:ObjectCreated:Put"));
            created && wanted.iter().any(|wanted| text(field(one, arn)) == wanted)
        })
    });
    let by_bridge = field(body, "EventBridgeConfiguration").is_object();
    let fix = format!("qtrail connect {}", crate::control::shell(bucket.name));
    // A trail may announce its log files itself.
    let by_trail = |trail: &Trail<'_>| trail.bucket == bucket.name && wanted.iter().any(|arn| trail.topic == arn);
    let announced = told || (by_bridge && wanted.is_empty()) || look.view.trails().iter().any(by_trail);
    if !announced {
        let places = said_list(wanted.iter().map(String::as_str));
        let places = if wanted.is_empty() { "EventBridge".to_owned() } else { places };
        let reason = format!("new log files are not announced to {places}");
        return look.fail(bucket.name, reason).fix(fix);
    }
    match (state.dead_letters, state.last_ingest) {
        (Some(letters @ 1..), _) => look.fail(bucket.name, format!("{letters} messages could not be worked off")),
        (_, Some(last)) if last.0 < look.context().now.0 - A_DAY => {
            look.fail(bucket.name, format!("the last log file was read at {last}"))
        }
        (None, _) => look.unknown(bucket.name, "how many messages could not be worked off is not known"),
        (_, None) => look.unknown(bucket.name, "when the last log file was read is not known"),
        (Some(0), Some(last)) => {
            look.pass(bucket.name, format!("announced, 0 dead letters, last log file read at {last}"))
        }
    }
}

/// Log groups keep for so many days (as the other log files).
fn cloudwatch<'v>(look: &Look<'v>, trail: &'v Trail<'v>) -> Verdict {
    let context = look.context();
    let group = trail.log_group;
    let own = context.state.last_ingest.is_some_and(|time| time.0 >= context.now.0 - A_DAY);
    if own && group.is_empty() {
        return look.not_applicable(trail.arn, "this system watches the log files themselves");
    }
    let fix = format!("{} --cloud-watch-logs-log-group-arn GROUP --cloud-watch-logs-role-arn ROLE", update(trail));
    if group.is_empty() {
        return look.fail(trail.arn, "the trail delivers to no log group").fix(fix);
    }
    let Some(status) = look.body("cloudtrail:GetTrailStatus", trail.home_region, &[("Name", trail.arn)]) else {
        return look.blinded(trail.arn);
    };
    let error = text(field(status, "LatestCloudWatchLogsDeliveryError"));
    let delivered = time_of(field(status, "LatestCloudWatchLogsDeliveryTime"));
    if !error.is_empty() {
        return look.fail(trail.arn, format!("delivery to the log group fails ({})", clean(error)));
    }
    if delivered.is_none_or(|time| time.0 < context.now.0 - A_DAY) {
        return look.fail(trail.arn, "nothing was delivered to the log group for a day");
    }
    let name = group.split(':').nth(6).unwrap_or_default();
    let Some(body) = look.body("logs:DescribeLogGroups", region_of(group), &[("logGroupNamePrefix", name)]) else {
        return look.blinded(trail.arn);
    };
    let groups = list(field(body, "logGroups"));
    match groups.into_iter().find(|found| text(field(found, "logGroupName")) == name) {
        None => look.fail(trail.arn, format!("the log group {} does not exist", clean(name))),
        Some(found) => match number(field(found, "retentionInDays")) {
            Some(days) if days < context.retention_days => {
                look.partial(trail.arn, format!("the log group keeps {days} days"))
            }
            Some(days) => look.pass(trail.arn, format!("delivered to {}, kept {days} days", clean(name))),
            None => look.pass(trail.arn, format!("delivered to {}, kept for ever", clean(name))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Context, Status};
    use crate::controls::testing::{ACCOUNT, Account, assert_said, context, denied};
    use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
    use serde_json::json;

    fn here() -> Context {
        Context { logging_account: ACCOUNT.to_owned(), ..context() }
    }

    fn with(change: impl FnOnce(&mut Context)) -> Context {
        let mut context = here();
        change(&mut context);
        context
    }

    #[test]
    fn somebody_is_told() {
        let account = Account::with_trail();
        let day_ago = |context: &mut Context| context.state.canary = Some(crate::time::Time(context.now.0 - 2 * A_DAY));
        for (context, status, words) in [
            (here(), Pass, "a confirmed subscriber"),
            (with(day_ago), Partial, "the canary passed last at"),
            (with(|c| c.state.canary = None), Partial, "has not passed yet"),
            (with(|c| c.state.subscriber = Some(false)), Fail, "nobody is told"),
            (with(|c| c.state.subscriber = None), Unknown, "confirmed subscriber is not known"),
            (with(|c| c.state.detections = None), Unknown, "in force is not known"),
            (with(|c| c.state.detections = Some(std::collections::BTreeSet::new())), Fail, "not in force"),
            (context(), NotApplicable, "judged once"),
        ] {
            assert_said(&account, &context, ("monitored-trail-changes", status, words));
        }
    }

    #[test]
    fn every_item_has_detections_behind_it() {
        let items = ALL.iter().filter(|control| control.id.starts_with("monitored-"));
        assert_eq!(items.clone().count(), 15);
        for control in items {
            let item = format!("CIS 7.0 {}", control.references.cis[2]);
            let behind = crate::detections::all().iter().filter(|d| d.controls.contains(&item.as_str())).count();
            assert!(behind > 0, "{item} has no detection");
        }
    }

    #[test]
    fn log_files_are_announced_and_read() {
        let of = |body: serde_json::Value| {
            let mut account = Account::with_trail();
            account.answer_call("s3:GetBucketNotificationConfiguration", &body);
            account
        };
        let removed = json!({"QueueConfigurations": [
            {"QueueArn": "arn:aws:sqs:eu-west-1:999988887777:ingest", "Events": ["s3:ObjectRemoved:*"]}]});
        let mut refused = Account::with_trail();
        refused.refuse_call("s3:GetBucketNotificationConfiguration", &denied());
        for (account, context, status, words) in [
            (Account::with_trail(), here(), Pass, "0 dead letters"),
            (of(json!({})), here(), Fail, "not announced"),
            (of(removed), here(), Fail, "not announced"),
            (
                of(json!({"EventBridgeConfiguration": {}})),
                with(|c| c.state.notified = Some(Vec::new())),
                Pass,
                "announced",
            ),
            (Account::with_trail(), with(|c| c.state.dead_letters = Some(4)), Fail, "4 messages"),
            (Account::with_trail(), with(|c| c.state.dead_letters = None), Unknown, "not known"),
            (Account::with_trail(), with(|c| c.state.notified = None), Unknown, "not known"),
            (refused, here(), Unknown, "GetBucketNotificationConfiguration denied"),
        ] {
            assert_said(&account, &context, ("pipeline-intact", status, words));
        }
    }

    #[test]
    fn log_groups_get_and_keep_it() {
        let mut none = Account::with_trail();
        none.trail("CloudWatchLogsLogGroupArn", json!(null));
        let with_status = |member: &str, value| {
            let mut account = Account::with_trail();
            account.set("cloudtrail:GetTrailStatus", member, value);
            account
        };
        let mut short = Account::with_trail();
        short.set("logs:DescribeLogGroups", "logGroups/0/retentionInDays", 30);
        let mut refused = Account::with_trail();
        refused.refuse_call("logs:DescribeLogGroups", &denied());
        for (account, context, status, words) in [
            (Account::with_trail(), here(), Pass, "kept 400 days"),
            (none.clone(), here(), NotApplicable, "this system watches"),
            (none, with(|c| c.state.last_ingest = None), Fail, "no log group"),
            (with_status("LatestCloudWatchLogsDeliveryError", "Denied".into()), here(), Fail, "fails (Denied)"),
            (with_status("LatestCloudWatchLogsDeliveryTime", json!(null)), here(), Fail, "for a day"),
            (short, here(), Partial, "30 days"),
            (refused, here(), Unknown, "DescribeLogGroups denied"),
        ] {
            assert_said(&account, &context, ("cloudwatch-logs-delivery", status, words));
        }
    }
}
