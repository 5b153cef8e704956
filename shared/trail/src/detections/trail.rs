//! Someone tried to blind `CloudTrail`: its trails, event data stores, selectors, delegation.
#![expect(clippy::unnecessary_wraps, reason = "a check is of one form, whether or not it may catch nothing")]

use serde_json::Value;

use super::log_storage::{is_log_bucket, is_own_key};
use crate::actor::Actor;
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::selectors::{Gap, Selectors, Unrecorded};
use crate::shape::{falsy, field, list, number, text};

pub(super) const ALL: &[&Detection] = &[
    &TRAIL_STOPPED,
    &TRAIL_WEAKENED,
    &SELECTORS_WEAKENED,
    &EVENT_STORE_WEAKENED,
    &INSIGHTS_CHANGED,
    &EVENT_CONFIGURATION_CHANGED,
    &DELEGATION_CHANGED,
    &TRAIL_CREATED,
    &TAGS_CHANGED,
];

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// A retention that is shorter loses what an investigation needs, in days.
const SHORT_RETENTION: i64 = 365;

/// What was asked for is not in the record: refused calls often come without it.
const UNSEEN: &str = "The record does not say what was asked for, so the worst is assumed.";

/// What all attempts to blind a trail have in common.
const TAMPERING: Detection = Detection {
    category: Category::TrailTampering,
    severity: Severity::Critical,
    techniques: &["T1562.008"],
    controls: &["CIS 7.0 5.5", "CIS 3.0 4.5"],
    lowerable: false,
    ..Detection::BASE
};

/// A trail is stopped or deleted. A denied attempt counts: AWS said no, the actor still tried.
static TRAIL_STOPPED: Detection = Detection {
    id: "cloudtrail-trail-stopped",
    title: "CloudTrail trail stopped or deleted",
    wants: &[Want::Calls(CLOUDTRAIL, &["StopLogging", "DeleteTrail"])],
    check: stopped,
    why: "Who stops a trail wants the next calls unseen. An attempt that failed is no comfort: \
          somebody holds credentials and means it.",
    runbook: &[
        "Call the actor, not by chat",
        "Start the trail again: aws cloudtrail start-logging --name TRAIL (create it again if it was deleted)",
        "Look at what else the actor did in the hour before",
        "Not them: disable the credentials, revoke the role's sessions",
    ],
    ..TAMPERING
};

fn stopped(case: &Case<'_>) -> Option<Catch> {
    let trail = target(case, "name");
    let deed = match case.record.action() {
        "DeleteTrail" => Deed::new("delete", "deleted", named("trail", trail)),
        _ => Deed::new("stop", "stopped", named("trail", trail)),
    };
    Some(Catch::new(deed).severity(graded(case, Severity::Critical)).resource(trail))
}

/// A trail's settings are changed: fewer regions, no digests, another bucket, no key.
static TRAIL_WEAKENED: Detection = Detection {
    id: "cloudtrail-trail-weakened",
    title: "CloudTrail trail weakened or changed",
    wants: &[Want::Calls(CLOUDTRAIL, &["UpdateTrail"])],
    check: updated,
    why: "A trail that still runs but records less, elsewhere or without digests is a quieter way to hide than \
          stopping it.",
    runbook: &[
        "Compare with what the trail should be: aws cloudtrail describe-trails --trail-name-list TRAIL",
        "Ask the actor for the change that ordered this",
        "Set it back with aws cloudtrail update-trail, then look at what happened while it was weaker",
    ],
    ..TAMPERING
};

fn updated(case: &Case<'_>) -> Option<Catch> {
    let trail = target(case, "name");
    Some(judged(case, &named("trail", trail), &trail_weaknesses(case)).resource(trail))
}

/// A change that weakens is CRITICAL, one whose content is unknown too, any other is for review.
fn judged(case: &Case<'_>, object: &str, weaknesses: &[String]) -> Catch {
    if unseen(case) {
        let deed = Deed::new("change", "changed", object);
        return Catch::new(deed).severity(graded(case, Severity::Critical)).why(UNSEEN);
    }
    if weaknesses.is_empty() {
        return Catch::new(Deed::new("change", "changed", object)).severity(graded(case, Severity::Medium));
    }
    let deed = Deed::new("weaken", "weakened", format!("{object}: {}", weaknesses.join(", ")));
    Catch::new(deed).severity(graded(case, Severity::Critical))
}

/// What the request takes away from the trail, in words.
fn trail_weaknesses(case: &Case<'_>) -> Vec<String> {
    const OFF: [(&str, &str); 4] = [
        ("isMultiRegionTrail", "one region only"),
        ("includeGlobalServiceEvents", "no IAM, STS and other global calls"),
        ("enableLogFileValidation", "no digests"),
        ("isOrganizationTrail", "no member accounts"),
    ];
    const EMPTIED: [(&str, &str); 3] = [
        ("kmsKeyId", "no KMS key"),
        ("cloudWatchLogsLogGroupArn", "nothing to CloudWatch Logs"),
        ("snsTopicName", "no notices to SNS"),
    ];
    let request = case.record.request();
    let off = OFF.iter().filter(|(name, _)| falsy(field(request, name)));
    let emptied = EMPTIED.iter().filter(|(name, _)| field(request, name).as_str() == Some(""));
    let mut words: Vec<String> = off.chain(emptied).map(|(_, word)| (*word).to_owned()).collect();
    words.extend(moved_bucket(case));
    words.extend(moved_key(case));
    words
}

/// Without known log buckets any bucket that is named may be another one.
fn moved_bucket(case: &Case<'_>) -> Option<String> {
    let bucket = case.record.parameter("s3BucketName");
    let ours = is_log_bucket(case.settings, bucket);
    (!bucket.is_empty() && !ours).then(|| format!("log files go to bucket {bucket}"))
}

fn moved_key(case: &Case<'_>) -> Option<String> {
    let key = case.record.parameter("kmsKeyId");
    let foreign = !key.is_empty() && !case.settings.own.keys.is_empty() && !is_own_key(case.settings, key);
    foreign.then(|| format!("encrypted with {key}, which is not ours"))
}

/// A trail's selectors are changed so that calls go unrecorded.
static SELECTORS_WEAKENED: Detection = Detection {
    id: "cloudtrail-selectors-weakened",
    title: "CloudTrail event selectors weakened or changed",
    wants: &[Want::Calls(CLOUDTRAIL, &["PutEventSelectors"])],
    check: selected,
    why: "Selectors decide what a trail records at all: what they leave out no one will ever see.",
    runbook: &[
        "See what is recorded now: aws cloudtrail get-event-selectors --trail-name TRAIL",
        "Ask the actor for the change that ordered this",
        "Put the old selectors back; search other trails and 90 days of event history for what was missed",
    ],
    ..TAMPERING
};

fn selected(case: &Case<'_>) -> Option<Catch> {
    let trail = target(case, "trailName");
    let object = named("the selectors of trail", trail);
    let Some(selectors) = Selectors::read(case.record.request()) else {
        return Some(judged(case, &object, &[]).severity(graded(case, Severity::Critical)).why(UNSEEN).resource(trail));
    };
    let gaps = unrecorded(&selectors.unrecorded_management());
    if !gaps.is_empty() {
        return Some(judged(case, &object, &[format!("leaves out {}", gaps.join(", "))]).resource(trail));
    }
    let (severity, data) = data_events(&selectors);
    let catch = judged(case, &object, &[]).severity(graded(case, severity)).why(data);
    Some(catch.resource(trail))
}

/// What selectors that record all management calls leave out of the data events. What was recorded before is not
/// in the record, so that a narrow selector may be a new one.
fn data_events(selectors: &Selectors) -> (Severity, String) {
    let types = selectors.data_types();
    if types.is_empty() {
        return (Severity::Medium, "All management calls are recorded, and no data events.".to_owned());
    }
    let gaps: Vec<String> = types.iter().flat_map(|kind| unrecorded(&selectors.unrecorded_data(kind))).collect();
    match gaps.as_slice() {
        [] => (Severity::Low, "All management calls are recorded, and the data events selected.".to_owned()),
        // Somebody who is left out by name has a reason to be.
        gaps if gaps.iter().any(|gap| gap.contains(" by ")) => {
            (Severity::High, format!("Not recorded: {}.", gaps.join(", ")))
        }
        gaps => (Severity::Medium, format!("All management calls are recorded; not recorded: {}.", gaps.join(", "))),
    }
}

fn unrecorded(unrecorded: &Unrecorded) -> Vec<String> {
    match unrecorded {
        Unrecorded::Nothing => Vec::new(),
        Unrecorded::Unclear => vec!["calls that too many conditions exclude".to_owned()],
        Unrecorded::Calls(gaps) => gaps.iter().map(Gap::to_string).collect(),
    }
}

/// An event data store, its channels or imports are stopped, deleted or weakened.
static EVENT_STORE_WEAKENED: Detection = Detection {
    id: "cloudtrail-event-store-weakened",
    title: "CloudTrail event data store stopped, deleted or weakened",
    wants: &[Want::Calls(
        CLOUDTRAIL,
        &[
            "DeleteEventDataStore",
            "StopEventDataStoreIngestion",
            "UpdateEventDataStore",
            "CreateEventDataStore",
            "DeleteChannel",
            "UpdateChannel",
            "StopImport",
            "DisableFederation",
            "DeleteDashboard",
        ],
    )],
    check: event_store,
    why: "An event data store is a second memory of the account. Who clears it wants nothing to be found.",
    runbook: &[
        "Look at its state: aws cloudtrail get-event-data-store --event-data-store ARN",
        "Deleted: aws cloudtrail restore-event-data-store within seven days",
        "Ask the actor for the change that ordered this",
    ],
    ..TAMPERING
};

fn event_store(case: &Case<'_>) -> Option<Catch> {
    let name = |key| target(case, key);
    let done = |verb: &str, past: &str, what: &str, name: &str, severity| {
        let deed = Deed::new(verb, past, named(what, name));
        Some(Catch::new(deed).severity(graded(case, severity)).resource(name))
    };
    match case.record.action() {
        "DeleteEventDataStore" => {
            done("delete", "deleted", "event data store", name("eventDataStore"), Severity::Critical)
        }
        "StopEventDataStoreIngestion" => {
            done("stop", "stopped", "event data store", name("eventDataStore"), Severity::Critical)
        }
        "DeleteChannel" => done("delete", "deleted", "CloudTrail channel", name("channel"), Severity::High),
        "UpdateChannel" => done("change", "changed", "CloudTrail channel", name("channel"), Severity::Medium),
        "StopImport" => done("stop", "stopped", "CloudTrail import", name("importId"), Severity::High),
        "DisableFederation" => {
            done("end", "ended", "federation of event data store", name("eventDataStore"), Severity::High)
        }
        "DeleteDashboard" => done("delete", "deleted", "CloudTrail dashboard", name("dashboardId"), Severity::High),
        "CreateEventDataStore" => Some(created_store(case)),
        _ => Some(updated_store(case)),
    }
}

/// A new store takes nothing away, however little it records.
fn created_store(case: &Case<'_>) -> Catch {
    let name = target(case, "name");
    let gaps = store_gaps(case);
    let catch = Catch::new(Deed::new("create", "created", named("event data store", name))).resource(name);
    if gaps.is_empty() {
        return catch.severity(Severity::Informational);
    }
    catch.severity(Severity::Low).why(format!("It does not record {}.", gaps.join(", ")))
}

fn updated_store(case: &Case<'_>) -> Catch {
    let store = target(case, "eventDataStore");
    judged(case, &named("event data store", store), &store_weaknesses(case)).resource(store)
}

fn store_weaknesses(case: &Case<'_>) -> Vec<String> {
    const OFF: [(&str, &str); 3] = [
        ("multiRegionEnabled", "one region only"),
        ("organizationEnabled", "no member accounts"),
        ("terminationProtectionEnabled", "no termination protection"),
    ];
    let request = case.record.request();
    let off = OFF.iter().filter(|(name, _)| falsy(field(request, name)));
    let mut words: Vec<String> = off.map(|(_, word)| (*word).to_owned()).collect();
    let retention = number(field(request, "retentionPeriod")).filter(|days| *days < SHORT_RETENTION);
    words.extend(retention.map(|days| format!("kept for {days} days")));
    words.extend(moved_key(case));
    words.extend(store_gaps(case).into_iter().map(|gap| format!("leaves out {gap}")));
    words
}

/// A store may be for data events or configuration items alone: then no management calls are missing.
fn store_gaps(case: &Case<'_>) -> Vec<String> {
    let selectors = Selectors::read(case.record.request()).filter(|selectors| selectors.mention("Management"));
    selectors.map(|selectors| unrecorded(&selectors.unrecorded_management())).unwrap_or_default()
}

/// Insights are switched off or changed.
static INSIGHTS_CHANGED: Detection = Detection {
    id: "cloudtrail-insights-changed",
    title: "CloudTrail Insights switched off or changed",
    severity: Severity::Medium,
    wants: &[Want::Calls(CLOUDTRAIL, &["PutInsightSelectors"])],
    check: insights,
    why: "Insights would have noticed an unusual burst of calls or errors.",
    runbook: &[
        "See what is left: aws cloudtrail get-insight-selectors --trail-name TRAIL",
        "Ask the actor for the change that ordered this",
    ],
    ..TAMPERING
};

fn insights(case: &Case<'_>) -> Option<Catch> {
    let trail = store_or_trail(case);
    let left = list(field(case.record.request(), "insightSelectors"));
    let catch = if left.is_empty() {
        Catch::new(Deed::new("switch off", "switched off", named("Insights of trail", trail)))
    } else {
        let deed = Deed::new("set", "set", named("Insights of trail", trail));
        Catch::new(deed).severity(graded(case, Severity::Low))
    };
    Some(catch.resource(trail))
}

/// How much a record may hold, and whether data events are only counted, is changed.
static EVENT_CONFIGURATION_CHANGED: Detection = Detection {
    id: "cloudtrail-event-configuration-changed",
    title: "CloudTrail event configuration changed",
    severity: Severity::Medium,
    wants: &[Want::Calls(CLOUDTRAIL, &["PutEventConfiguration"])],
    check: event_configuration,
    why: "Smaller records leave out what was asked for, and aggregated data events replace who did what by a count.",
    runbook: &[
        "See what is set: aws cloudtrail get-event-configuration --trail-name TRAIL",
        "Ask the actor for the change that ordered this",
    ],
    ..TAMPERING
};

fn event_configuration(case: &Case<'_>) -> Option<Catch> {
    let trail = store_or_trail(case);
    let size = case.record.parameter("maxEventSize");
    let aggregated = !list(field(case.record.request(), "aggregationConfigurations")).is_empty();
    let mut what = named("the event configuration of trail", trail);
    if !size.is_empty() {
        what = format!("{what}: record size {size}");
    }
    if aggregated {
        what = format!("{what}, data events aggregated");
    }
    Some(Catch::new(Deed::new("change", "changed", what)).severity(graded(case, Severity::Medium)).resource(trail))
}

/// Who else may administer `CloudTrail`, or write to and read from its stores.
static DELEGATION_CHANGED: Detection = Detection {
    id: "cloudtrail-delegation-changed",
    title: "CloudTrail administration or access delegated",
    severity: Severity::High,
    wants: &[Want::Calls(
        CLOUDTRAIL,
        &[
            "RegisterOrganizationDelegatedAdmin",
            "DeregisterOrganizationDelegatedAdmin",
            "PutResourcePolicy",
            "DeleteResourcePolicy",
        ],
    )],
    check: delegation,
    why: "A delegated administrator may stop the organization's trails; a resource policy lets others read or \
          write recorded activity.",
    runbook: &[
        "List the administrators: aws organizations list-delegated-administrators --service-principal \
         cloudtrail.amazonaws.com",
        "Ask the actor for the change that ordered this",
        "Not them: take the delegation or policy back",
    ],
    ..TAMPERING
};

fn delegation(case: &Case<'_>) -> Option<Catch> {
    let deed = |verb: &str, past: &str, what: &str, name: &str| {
        let deed = Deed::new(verb, past, named(what, name));
        Some(Catch::new(deed).severity(graded(case, Severity::High)).resource(name))
    };
    let admin = "the delegated CloudTrail administrator";
    match case.record.action() {
        "RegisterOrganizationDelegatedAdmin" => deed("register", "registered", admin, target(case, "memberAccountId")),
        "DeregisterOrganizationDelegatedAdmin" => {
            deed("deregister", "deregistered", admin, target(case, "delegatedAdminAccountId"))
        }
        "DeleteResourcePolicy" => deed("delete", "deleted", "the policy of", target(case, "resourceArn")),
        _ => deed("set", "set", "the policy of", target(case, "resourceArn")),
    }
}

/// A trail is made or started. Good news, unless its log files go to a stranger.
static TRAIL_CREATED: Detection = Detection {
    id: "cloudtrail-trail-created",
    title: "CloudTrail trail created or started",
    severity: Severity::Informational,
    techniques: &["T1530", "T1537"],
    wants: &[Want::Calls(CLOUDTRAIL, &["CreateTrail", "StartLogging"])],
    check: created,
    why: "A new trail is routine, but one that delivers to a foreign bucket hands everything that happens here to \
          its owner.",
    runbook: &["Find out whose bucket it is", "Not ours: stop and delete that trail", "Ask the actor what it is for"],
    lowerable: true,
    ..TAMPERING
};

fn created(case: &Case<'_>) -> Option<Catch> {
    let trail = target(case, "name");
    if case.record.action() == "StartLogging" {
        return Some(Catch::new(Deed::new("start", "started", named("trail", trail))).resource(trail));
    }
    let bucket = case.record.parameter("s3BucketName");
    let foreign = !case.settings.own.log_buckets.is_empty() && !is_log_bucket(case.settings, bucket);
    let object = format!("{} that delivers to bucket {bucket}", named("trail", trail));
    let catch = Catch::new(Deed::new("create", "created", object)).resource(trail).resource(bucket);
    let severity = if foreign && !bucket.is_empty() { Severity::High } else { Severity::Informational };
    Some(catch.severity(graded(case, severity)))
}

/// A trail's tags decide which policies protect it.
static TAGS_CHANGED: Detection = Detection {
    id: "cloudtrail-tags-changed",
    title: "Tags of a CloudTrail resource changed",
    severity: Severity::Low,
    wants: &[Want::Calls(CLOUDTRAIL, &["AddTags", "RemoveTags"])],
    check: tagged,
    why: "Where policies protect a trail by its tags, another tag takes the protection away.",
    runbook: &["Check whether any policy or service control policy names these tags", "Ask the actor what it is for"],
    lowerable: true,
    ..TAMPERING
};

fn tagged(case: &Case<'_>) -> Option<Catch> {
    let resource = target(case, "resourceId");
    let tags = list(field(case.record.request(), "tagsList"));
    let keys: Vec<&str> = tags.into_iter().map(|tag| text(field(tag, "key"))).collect();
    let (verb, past) = if case.record.action() == "AddTags" { ("tag", "tagged") } else { ("untag", "untagged") };
    let object = format!("{} ({})", named("CloudTrail resource", resource), keys.join(", "));
    Some(Catch::new(Deed::new(verb, past, object)).severity(Severity::Low).resource(resource))
}

/// A service on its own account keeps house; nobody attacks.
fn graded(case: &Case<'_>, severity: Severity) -> Severity {
    if acts_alone(case.actor) { severity.min(Severity::Low) } else { severity }
}

/// Whether an AWS service acts for itself, by its own identity or its service-linked role. A service that acts for
/// somebody (`invokedBy`) is that somebody.
pub(super) fn acts_alone(actor: &Actor) -> bool {
    actor.kind == "AWSService" || actor.issuer_arn.contains(":role/aws-service-role/")
}

/// Whether an AWS service acts for somebody. `AWS Internal` is the console's own plumbing.
pub(super) fn through_service(actor: &Actor) -> bool {
    actor.is_service() && !actor.invoked_by.starts_with("AWS Internal")
}

/// Whether the request's content is not in the record.
fn unseen(case: &Case<'_>) -> bool {
    let request = case.record.request();
    !matches!(request, Value::Object(map) if !map.is_empty()) || case.record.request_omitted()
}

fn store_or_trail<'c>(case: &'c Case<'_>) -> &'c str {
    let store = case.record.parameter("eventDataStore");
    if store.is_empty() { target(case, "trailName") } else { short(store) }
}

/// What the call was aimed at, without the ARN around it; a refused call often says it in its error message alone.
fn target<'c>(case: &'c Case<'_>, key: &str) -> &'c str {
    let named = case.record.parameter(key);
    short(if named.is_empty() { case.record.arn_in_error().unwrap_or_default() } else { named })
}

/// `trail org-trail`, or what can be said where the record does not name it.
pub(super) fn named(what: &str, name: &str) -> String {
    if name.is_empty() { format!("{what} (name not recorded)") } else { format!("{what} {name}") }
}

fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::record::Outcome;
    use crate::settings::Settings;
    use crate::testing::{caught, caught_with, record};
    use serde_json::json;

    fn call(name: &str, request: &Value) -> Value {
        record(CLOUDTRAIL, name, json!({"requestParameters": request}))
    }

    fn refused(name: &str, error: &str, message: &str) -> Value {
        record(CLOUDTRAIL, name, json!({"errorCode": error, "errorMessage": message}))
    }

    fn told(found: &Match) -> (Severity, String) {
        let deed = &found.lead.deed;
        let verb = if found.lead.outcome == Outcome::Success { &deed.past } else { &deed.verb };
        (found.lead.severity, format!("{verb} {}", deed.object))
    }

    fn said(detection: &'static Detection, record: &Value) -> (Severity, String) {
        told(&caught(detection, record).expect("caught"))
    }

    fn known() -> Settings {
        let mut settings = Settings::default();
        settings.own.log_buckets = vec!["org-logs".to_owned()];
        settings.own.keys = vec!["alias/trail".to_owned()];
        settings
    }

    #[test]
    fn an_attempt_counts_as_much_as_a_success() {
        let done = caught(&TRAIL_STOPPED, &call("StopLogging", &json!({"name": "org-trail"}))).expect("caught");
        assert_eq!((done.lead.severity, done.lead.outcome), (Severity::Critical, Outcome::Success));
        let denied = refused(
            "StopLogging",
            "AccessDenied",
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: \
                cloudtrail:StopLogging on resource: arn:aws:cloudtrail:eu-west-1:111122223333:trail/org-trail \
                with an explicit deny in a service control policy",
        );
        let denied = caught(&TRAIL_STOPPED, &denied).expect("caught");
        assert_eq!((denied.lead.severity, denied.lead.outcome), (Severity::Critical, Outcome::Denied));
        assert_eq!(denied.resources, ["org-trail"]);
        assert_eq!(denied.key, done.key, "one thing to look at");
    }

    #[test]
    fn any_error_is_as_critical_and_a_trail_without_name_is_said_so() {
        for error in ["TrailNotFoundException", "InvalidHomeRegionException", "NotOrganizationMasterAccountException"] {
            let (severity, sentence) = said(&TRAIL_STOPPED, &refused("DeleteTrail", error, "no"));
            assert_eq!((severity, &*sentence), (Severity::Critical, "delete trail (name not recorded)"));
        }
    }

    #[test]
    fn other_calls_are_none_of_its_business() {
        assert!(caught(&TRAIL_STOPPED, &record(CLOUDTRAIL, "GetTrailStatus", json!({}))).is_none());
        assert!(caught(&TRAIL_STOPPED, &record("example.amazonaws.com", "StopLogging", json!({}))).is_none());
    }

    #[test]
    fn a_service_that_keeps_house_is_no_attacker() {
        let mut record = call("DeleteTrail", &json!({"name": "t"}));
        record["userIdentity"] = json!({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"});
        assert_eq!(said(&TRAIL_STOPPED, &record).0, Severity::Low);
        // CloudFormation acts for whoever called it.
        let mut record = call("DeleteTrail", &json!({"name": "t"}));
        record["userIdentity"]["invokedBy"] = json!("cloudformation.amazonaws.com");
        assert_eq!(said(&TRAIL_STOPPED, &record).0, Severity::Critical);
    }

    #[test]
    fn what_an_update_takes_away_is_named() {
        for (request, words) in [
            (json!({"isMultiRegionTrail": false}), "one region only"),
            (json!({"IsMultiRegionTrail": "false"}), "one region only"),
            (json!({"includeGlobalServiceEvents": false}), "no IAM, STS and other global calls"),
            (json!({"enableLogFileValidation": false, "kmsKeyId": ""}), "no digests, no KMS key"),
            (json!({"isOrganizationTrail": false}), "no member accounts"),
            (json!({"cloudWatchLogsLogGroupArn": ""}), "nothing to CloudWatch Logs"),
            (json!({"snsTopicName": ""}), "no notices to SNS"),
            (json!({"s3BucketName": "elsewhere"}), "log files go to bucket elsewhere"),
        ] {
            let mut request = request;
            request["name"] = json!("arn:aws:cloudtrail:eu-west-1:111122223333:trail/t");
            let expected = (Severity::Critical, format!("weakened trail t: {words}"));
            assert_eq!(said(&TRAIL_WEAKENED, &call("UpdateTrail", &request)), expected);
        }
    }

    #[test]
    fn an_update_that_takes_nothing_away_is_for_review() {
        let request = json!({"name": "t", "s3BucketName": "org-logs", "kmsKeyId": "alias/trail",
            "isMultiRegionTrail": true, "enableLogFileValidation": true, "recursiveLogging": false});
        let found = caught_with(known(), &TRAIL_WEAKENED, &call("UpdateTrail", &request)).expect("caught");
        assert_eq!(told(&found), (Severity::Medium, "changed trail t".to_owned()));
        let foreign = json!({"name": "t", "kmsKeyId": "arn:aws:kms:eu-west-1:999988887777:key/k"});
        let found = caught_with(known(), &TRAIL_WEAKENED, &call("UpdateTrail", &foreign)).expect("caught");
        assert_eq!(found.lead.severity, Severity::Critical);
    }

    #[test]
    fn what_is_not_recorded_is_taken_for_the_worst() {
        let message = "not authorized to perform: cloudtrail:UpdateTrail on resource: \
            arn:aws:cloudtrail:eu-west-1:1:trail/t because";
        for (detection, name) in [
            (&TRAIL_WEAKENED, "UpdateTrail"),
            (&SELECTORS_WEAKENED, "PutEventSelectors"),
            (&EVENT_STORE_WEAKENED, "UpdateEventDataStore"),
        ] {
            let found = caught(detection, &refused(name, "AccessDenied", message)).expect("caught");
            assert_eq!(found.lead.severity, Severity::Critical, "{name}");
            assert_eq!(found.lead.why.as_deref(), Some(UNSEEN));
            let omitted = call(name, &json!({"omitted": true, "reason": "requestParameters too large"}));
            assert_eq!(said(detection, &omitted).0, Severity::Critical, "{name}");
        }
    }

    fn selectors(request: &Value) -> (Severity, String) {
        let mut request = request.clone();
        request["trailName"] = json!("t");
        said(&SELECTORS_WEAKENED, &call("PutEventSelectors", &request))
    }

    #[test]
    fn selectors_that_leave_management_calls_out_are_critical() {
        let category = json!({"field": "eventCategory", "equals": ["Management"]});
        let but_me = json!({"field": "userIdentity.arn", "notEquals": ["arn:aws:iam::1:user/me"]});
        let data = json!({"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]},
            {"field": "resources.type", "equals": ["AWS::S3::Object"]}]});
        for (request, unrecorded) in [
            (
                json!({"eventSelectors": [{"readWriteType": "ReadOnly", "includeManagementEvents": false,
                    "dataResources": [{"type": "AWS::S3::Object", "values": []}],
                    "excludeManagementEventSources": []}]}),
                "all management calls",
            ),
            (json!({"eventSelectors": [{"readWriteType": "WriteOnly"}]}), "read-only management calls"),
            (
                json!({"eventSelectors": [{"excludeManagementEventSources": ["kms.amazonaws.com"]}]}),
                "management calls of kms.amazonaws.com",
            ),
            (json!({"advancedEventSelectors": [data]}), "all management calls"),
            (
                json!({"advancedEventSelectors": [{"fieldSelectors": [category, but_me]}]}),
                "management calls by arn:aws:iam::1:user/me",
            ),
        ] {
            let expected = format!("weakened the selectors of trail t: leaves out {unrecorded}");
            assert_eq!(selectors(&request), (Severity::Critical, expected));
        }
    }

    #[test]
    fn selectors_that_record_all_management_calls_are_no_alarm() {
        let all = json!({"fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]});
        let data = |more: Value| {
            let kind = json!({"field": "resources.type", "equals": ["AWS::S3::Object"]});
            json!({"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]}, kind, more]})
        };
        let one_bucket = data(json!({"field": "resources.ARN", "startsWith": ["arn:aws:s3:::b/"]}));
        let but_me = data(json!({"field": "userIdentity.arn", "notEquals": ["arn:aws:iam::1:user/me"]}));
        for (request, severity) in [
            (json!({"eventSelectors": [{}]}), Severity::Medium),
            (
                json!({"eventSelectors": [{"readWriteType": "ReadOnly"}, {"readWriteType": "WriteOnly"}]}),
                Severity::Medium,
            ),
            (json!({"advancedEventSelectors": [all]}), Severity::Medium),
            (json!({"advancedEventSelectors": [all, data(json!({}))]}), Severity::Low),
            (json!({"advancedEventSelectors": [all, one_bucket]}), Severity::Medium),
            (json!({"advancedEventSelectors": [all, but_me]}), Severity::High),
        ] {
            let expected = (severity, "changed the selectors of trail t".to_owned());
            assert_eq!(selectors(&request), expected, "{request}");
        }
    }

    #[test]
    fn event_data_stores_are_guarded_as_trails_are() {
        let store = "arn:aws:cloudtrail:eu-west-1:1:eventdatastore/s";
        let with = |more: Value| {
            let mut request = more;
            request["eventDataStore"] = json!(store);
            request
        };
        let narrow = json!([{"fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]},
            {"field": "readOnly", "equals": ["false"]}]}]);
        let config = json!([{"fieldSelectors": [{"field": "eventCategory", "equals": ["ConfigurationItem"]}]}]);
        for (name, request, severity, sentence) in [
            ("DeleteEventDataStore", json!({}), Severity::Critical, "deleted event data store s"),
            ("StopEventDataStoreIngestion", json!({}), Severity::Critical, "stopped event data store s"),
            (
                "UpdateEventDataStore",
                json!({"terminationProtectionEnabled": false, "retentionPeriod": 7}),
                Severity::Critical,
                "weakened event data store s: no termination protection, kept for 7 days",
            ),
            (
                "UpdateEventDataStore",
                json!({"advancedEventSelectors": narrow}),
                Severity::Critical,
                "weakened event data store s: leaves out read-only management calls",
            ),
            (
                "UpdateEventDataStore",
                json!({"advancedEventSelectors": config, "retentionPeriod": 2557}),
                Severity::Medium,
                "changed event data store s",
            ),
            ("DisableFederation", json!({}), Severity::High, "ended federation of event data store s"),
        ] {
            let expected = (severity, sentence.to_owned());
            assert_eq!(said(&EVENT_STORE_WEAKENED, &call(name, &with(request))), expected);
        }
        let created = call("CreateEventDataStore", &json!({"name": "s", "advancedEventSelectors": narrow}));
        assert_eq!(said(&EVENT_STORE_WEAKENED, &created).0, Severity::Low);
        let channel = call("DeleteChannel", &json!({"channel": "arn:aws:cloudtrail:r:1:channel/c"}));
        assert_eq!(said(&EVENT_STORE_WEAKENED, &channel), (Severity::High, "deleted CloudTrail channel c".to_owned()));
    }

    #[test]
    fn what_is_beside_the_record_is_for_review() {
        let off = call("PutInsightSelectors", &json!({"trailName": "t", "insightSelectors": []}));
        assert_eq!(said(&INSIGHTS_CHANGED, &off), (Severity::Medium, "switched off Insights of trail t".to_owned()));
        let on = json!({"trailName": "t", "insightSelectors": [{"insightType": "ApiCallRateInsight"}]});
        assert_eq!(said(&INSIGHTS_CHANGED, &call("PutInsightSelectors", &on)).0, Severity::Low);
        let size = call("PutEventConfiguration", &json!({"trailName": "t", "maxEventSize": "Standard"}));
        let expected = "changed the event configuration of trail t: record size Standard";
        assert_eq!(said(&EVENT_CONFIGURATION_CHANGED, &size), (Severity::Medium, expected.to_owned()));
        let tags =
            call("RemoveTags", &json!({"resourceId": "arn:aws:cloudtrail:r:1:trail/t", "tagsList": [{"key": "keep"}]}));
        assert_eq!(said(&TAGS_CHANGED, &tags), (Severity::Low, "untagged CloudTrail resource t (keep)".to_owned()));
    }

    #[test]
    fn administration_is_delegated_with_an_alert() {
        let admin = call("RegisterOrganizationDelegatedAdmin", &json!({"memberAccountId": "999988887777"}));
        let expected = "registered the delegated CloudTrail administrator 999988887777";
        assert_eq!(said(&DELEGATION_CHANGED, &admin), (Severity::High, expected.to_owned()));
        let policy = call("DeleteResourcePolicy", &json!({"resourceArn": "arn:aws:cloudtrail:r:1:channel/c"}));
        assert_eq!(said(&DELEGATION_CHANGED, &policy), (Severity::High, "deleted the policy of c".to_owned()));
    }

    #[test]
    fn a_new_trail_is_news_unless_a_stranger_gets_the_log_files() {
        let create = |bucket: &str| call("CreateTrail", &json!({"name": "t", "s3BucketName": bucket}));
        let severity = |settings: Settings, record: &Value| {
            caught_with(settings, &TRAIL_CREATED, record).expect("caught").lead.severity
        };
        assert_eq!(severity(known(), &create("org-logs")), Severity::Informational);
        assert_eq!(severity(known(), &create("strangers")), Severity::High);
        assert_eq!(severity(Settings::default(), &create("strangers")), Severity::Informational);
        assert_eq!(severity(known(), &call("StartLogging", &json!({"name": "t"}))), Severity::Informational);
    }

    #[test]
    fn any_shape_of_request_is_survived() {
        let calls = ALL.iter().flat_map(|detection| detection.wants.iter().map(move |want| (*detection, want)));
        for (detection, want) in calls {
            let Want::Calls(source, names) = want else { continue };
            for name in *names {
                for request in
                    [Value::Null, json!("x"), json!([1]), json!({}), json!({"name": [1], "eventSelectors": 1})]
                {
                    let found = caught(detection, &record(source, name, json!({"requestParameters": request})));
                    assert!(found.is_some(), "{name} always says something");
                }
            }
        }
    }
}
