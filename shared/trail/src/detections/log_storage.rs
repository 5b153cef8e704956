//! Someone touched what holds the log files: their buckets, their objects, the keys that encrypt them.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use super::own_parts::{begins_with, is_deployment, is_own_role, is_part};
use super::trail::{acts_alone, named, through_service};
use crate::canary;
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::policy::{Policy, Statement};
use crate::record::Record;
use crate::settings::{Settings, glob};
use crate::shape::{at, field, list, number, text, truthy};

pub(super) const ALL: &[&Detection] =
    &[&LOG_BUCKET_ATTACKED, &LOG_OBJECTS_ATTACKED, &LOG_KEY_ATTACKED, &KEY_DISABLED, &OBJECTS_EXPIRE_SOON];

const S3: &str = "s3.amazonaws.com";
const KMS: &str = "kms.amazonaws.com";

/// Log files that expire sooner are gone before anybody looks, in days.
const SOON: i64 = 90;

/// Log files that expire sooner do not last for a yearly audit, in days.
const WITHIN_A_YEAR: i64 = 365;

/// Objects of any bucket that expire sooner look like a clean-up of traces, in days.
const AT_ONCE: i64 = 7;

const TAMPERING: Detection = Detection {
    category: Category::TrailTampering,
    severity: Severity::Critical,
    techniques: &["T1562.008", "T1485"],
    lowerable: false,
    ..Detection::BASE
};

/// The bucket that holds the log files is deleted, emptied by rules, cut off, or handed to others.
static LOG_BUCKET_ATTACKED: Detection = Detection {
    id: "log-bucket-attacked",
    title: "Log bucket deleted, weakened or changed",
    controls: &["CIS 7.0 5.8", "CIS 3.0 4.8"],
    wants: &[Want::Calls(
        S3,
        &[
            "DeleteBucket",
            "PutBucketPolicy",
            "DeleteBucketPolicy",
            "PutBucketLifecycle",
            "PutBucketLifecycleConfiguration",
            "DeleteBucketLifecycle",
            "PutBucketVersioning",
            "PutBucketEncryption",
            "DeleteBucketEncryption",
            "PutBucketNotification",
            "PutBucketNotificationConfiguration",
            "PutObjectLockConfiguration",
            "PutBucketObjectLockConfiguration",
            "PutBucketReplication",
            "DeleteBucketReplication",
            "PutBucketLogging",
            "PutBucketOwnershipControls",
            "DeleteBucketOwnershipControls",
            "PutBucketPublicAccessBlock",
            "DeleteBucketPublicAccessBlock",
            "PutBucketAcl",
            "PutBucketRequestPayment",
        ],
    )],
    check: bucket_attacked,
    why: "The log files are the only memory of what happens here. Whoever can empty or cut off their bucket can \
          erase it.",
    runbook: &[
        "Call the actor, not by chat",
        "Compare the bucket's policy, lifecycle, versioning and notifications with the template, and put them back",
        "Check that log files still arrive: qtrail status",
        "List deleted versions: aws s3api list-object-versions --bucket BUCKET",
    ],
    ..TAMPERING
};

/// What a call does to a bucket.
struct Blow {
    verb: &'static str,
    past: &'static str,
    /// Between the verb and the bucket: `the policy of`.
    what: &'static str,
    /// After the bucket.
    how: String,
    severity: Severity,
}

impl Blow {
    fn new(verb: &'static str, past: &'static str, what: &'static str, severity: Severity) -> Self {
        Self { verb, past, what, how: String::new(), severity }
    }

    /// What the request would have said is not in the record.
    fn unseen(what: &'static str) -> Self {
        Self::new("change", "changed", what, Severity::Critical).how(" (content not recorded)")
    }

    fn how(mut self, how: impl Into<String>) -> Self {
        self.how = how.into();
        self
    }
}

fn bucket_attacked(case: &Case<'_>) -> Option<Catch> {
    let bucket = bucket(case)?;
    let watched = watched(case, bucket)?;
    let blow = blow(case, watched)?;
    let what = if blow.what.is_empty() { String::new() } else { format!("{} ", blow.what) };
    let deed = Deed::new(blow.verb, blow.past, format!("{what}{} {bucket}{}", watched.word(), blow.how));
    let severity = bucket_severity(case, watched, blow.severity);
    let catch = Catch::new(deed).severity(severity).resource(bucket);
    Some(if watched == Watched::ByName { catch.why(GUESSED) } else { catch })
}

/// Why a bucket that is in no settings is reported.
const GUESSED: &str = "Its name says that it holds log files. List it under own.log_buckets if it does: until then \
                       this is HIGH at most.";

fn bucket_severity(case: &Case<'_>, watched: Watched, severity: Severity) -> Severity {
    // How long this system keeps its own data is part of its template.
    let own_lifecycle = watched == Watched::Part && case.record.action().contains("Lifecycle");
    let update = severity < Severity::Critical || own_lifecycle;
    match watched {
        _ if acts_alone(case.actor) || (update && is_deployment(case)) => severity.min(Severity::Low),
        Watched::ByName => severity.min(Severity::High),
        Watched::Part if severity > Severity::Low => Severity::Critical,
        _ => severity,
    }
}

/// How a bucket came to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// The settings say that it holds log files.
    Named,
    /// It is this system's own.
    Part,
    /// No settings say anything, and it is called like one that holds log files.
    ByName,
}

impl Watched {
    fn word(self) -> &'static str {
        if self == Self::Part { "data bucket" } else { "log bucket" }
    }
}

fn watched(case: &Case<'_>, bucket: &str) -> Option<Watched> {
    if is_log_bucket(case.settings, bucket) {
        return Some(Watched::Named);
    }
    if is_part(case, bucket) {
        return Some(Watched::Part);
    }
    let telling = bucket.contains("cloudtrail") || bucket.starts_with("aws-controltower-logs-");
    (case.settings.own.log_buckets.is_empty() && telling).then_some(Watched::ByName)
}

/// Whether a bucket that is watched may be mentioned at all: objects are written all the time.
fn may_be_watched(record: &Record<'_>, settings: &Settings) -> bool {
    static TELLING: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| ["cloudtrail", "aws-controltower-logs-"].map(Finder::new));
    let own = &settings.own;
    let named = |name: &String| record.mentions(name.rsplit(':').next().unwrap_or(name));
    own.log_buckets.iter().any(named)
        || (!own.stack.is_empty() && record.mentions_in_any_case(&own.stack))
        || (own.log_buckets.is_empty() && record.mentions_one_of(&*TELLING))
}

/// Whether the settings say that a bucket holds log files; they may give its ARN.
pub(super) fn is_log_bucket(settings: &Settings, bucket: &str) -> bool {
    let bare = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    settings.own.log_buckets.iter().any(|own| bare(own) == bucket)
}

/// The bucket of a call: S3 names it even when it refuses.
fn bucket<'c>(case: &'c Case<'_>) -> Option<&'c str> {
    let record = case.record;
    let resources = list(&record.body()["resources"]).into_iter().map(|resource| text(field(resource, "ARN")));
    let arns = resources.chain(record.arn_in_error()).filter_map(|arn| arn.split(":::").nth(1));
    let parameter = Some(record.parameter("bucketName")).filter(|name| !name.is_empty());
    parameter.into_iter().chain(arns.filter_map(|path| path.split('/').next())).next()
}

fn blow(case: &Case<'_>, watched: Watched) -> Option<Blow> {
    let critical = |verb, past, what| Blow::new(verb, past, what, Severity::Critical);
    let request = case.record.request();
    Some(match case.record.action() {
        "DeleteBucket" => critical("delete", "deleted", ""),
        "DeleteBucketPolicy" => critical("delete", "deleted", "the policy of"),
        "PutBucketPolicy" => policy_blow(request, watched),
        "PutBucketLifecycle" | "PutBucketLifecycleConfiguration" => lifecycle_blow(request),
        "DeleteBucketLifecycle" => Blow::new("delete", "deleted", "the lifecycle of", Severity::Low),
        "PutBucketVersioning" => versioning_blow(request)?,
        "PutBucketEncryption" => encryption_blow(case),
        "DeleteBucketEncryption" => critical("delete", "deleted", "the encryption of"),
        "PutBucketNotification" | "PutBucketNotificationConfiguration" => notification_blow(case),
        "PutObjectLockConfiguration" | "PutBucketObjectLockConfiguration" => lock_blow(request),
        "PutBucketReplication" => replication_blow(case),
        "DeleteBucketReplication" => critical("end", "ended", "the replication of"),
        "PutBucketLogging" => logging_blow(request),
        "PutBucketOwnershipControls" => ownership_blow(request),
        "DeleteBucketOwnershipControls" => critical("delete", "deleted", "the ownership controls of"),
        "PutBucketPublicAccessBlock" => public_access_blow(request),
        "DeleteBucketPublicAccessBlock" => critical("remove", "removed", "the public access block of"),
        "PutBucketAcl" => Blow::new("change", "changed", "the ACL of", Severity::High),
        _ => Blow::new("change", "changed", "who pays for requests to", Severity::High),
    })
}

/// A policy that no longer lets `CloudTrail` write ends the log. The data bucket is not written by `CloudTrail`.
fn policy_blow(request: &Value, watched: Watched) -> Blow {
    const POLICY: &str = "the policy of";
    let Some(policy) = Policy::read(field(request, "bucketPolicy")) else {
        return Blow::unseen(POLICY);
    };
    let critical = || Blow::new("change", "changed", POLICY, Severity::Critical);
    if watched != Watched::Part && !policy.allows().any(lets_cloudtrail_write) {
        return critical().how(": CloudTrail may no longer write");
    }
    if policy.statements.iter().any(denies_cloudtrail) {
        return critical().how(": CloudTrail is denied to write");
    }
    Blow::new("change", "changed", POLICY, Severity::High)
}

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

fn lets_cloudtrail_write(statement: &Statement) -> bool {
    let to_it = statement.principals.iter().any(|principal| principal.value == CLOUDTRAIL || principal.value == "*");
    to_it && is_about_writing(statement)
}

/// A denial under conditions may well spare `CloudTrail`, as the usual one without TLS does.
fn denies_cloudtrail(statement: &Statement) -> bool {
    let principals = &statement.principals;
    let hit = principals.iter().any(|principal| principal.value == CLOUDTRAIL || principal.value == "*");
    let spared = statement.not_principals.iter().any(|principal| principal.value == CLOUDTRAIL);
    let excepted = !statement.not_principals.is_empty() && !spared;
    !statement.allow && (hit || excepted) && statement.conditions.is_empty() && is_about_writing(statement)
}

fn is_about_writing(statement: &Statement) -> bool {
    let covers = |actions: &[String]| actions.iter().any(|action| glob(&action.to_lowercase(), "s3:putobject"));
    covers(&statement.actions) || (!statement.not_actions.is_empty() && !covers(&statement.not_actions))
}

fn lifecycle_blow(request: &Value) -> Blow {
    const LIFECYCLE: &str = "the lifecycle of";
    let rules = list(at(request, &["LifecycleConfiguration", "Rule"]));
    if rules.is_empty() {
        return Blow::unseen(LIFECYCLE);
    }
    let blow = |severity, how: String| Blow::new("change", "changed", LIFECYCLE, severity).how(how);
    if let Some(days) = soonest(&rules, "Expiration", "Days") {
        let severity = match days {
            ..SOON => Severity::Critical,
            SOON..WITHIN_A_YEAR => Severity::High,
            _ => Severity::Medium,
        };
        return blow(severity, format!(": objects expire after {}", in_days(days)));
    }
    let enabled = rules.iter().filter(|rule| is_enabled(rule));
    if enabled.clone().any(|rule| !at(rule, &["Expiration", "Date"]).is_null()) {
        return blow(Severity::Critical, ": objects expire on a fixed date".to_owned());
    }
    match soonest(&rules, "NoncurrentVersionExpiration", "NoncurrentDays") {
        Some(days) if days < SOON => blow(Severity::High, format!(": old versions expire after {}", in_days(days))),
        _ => blow(Severity::Medium, String::new()),
    }
}

fn in_days(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

/// After how many days the first enabled rule takes effect.
fn soonest(rules: &[&Value], kind: &str, unit: &str) -> Option<i64> {
    rules.iter().filter(|rule| is_enabled(rule)).filter_map(|rule| number(at(rule, &[kind, unit]))).min()
}

fn is_enabled(rule: &Value) -> bool {
    text(field(rule, "Status")) != "Disabled"
}

/// Switching versioning on is no blow.
fn versioning_blow(request: &Value) -> Option<Blow> {
    let settings = field(request, "VersioningConfiguration");
    let is = |key, word: &str| text(field(settings, key)).eq_ignore_ascii_case(word);
    if is("Status", "Suspended") {
        return Some(Blow::new("suspend", "suspended", "versioning of", Severity::Critical));
    }
    if is("MfaDelete", "Disabled") && !is("Status", "Enabled") {
        return Some(Blow::new("switch off", "switched off", "MFA delete of", Severity::Critical));
    }
    (!is("Status", "Enabled")).then(|| Blow::unseen("versioning of"))
}

fn encryption_blow(case: &Case<'_>) -> Blow {
    const ENCRYPTION: &str = "the encryption of";
    let rules = list(at(case.record.request(), &["ServerSideEncryptionConfiguration", "Rule"]));
    if rules.is_empty() {
        return Blow::unseen(ENCRYPTION);
    }
    let keys = rules.iter().map(|rule| text(at(rule, &["ApplyServerSideEncryptionByDefault", "KMSMasterKeyID"])));
    let blow = |severity| Blow::new("change", "changed", ENCRYPTION, severity);
    match keys.filter(|key| !key.is_empty()).find(|key| !is_own_key(case.settings, key)) {
        None => blow(Severity::Medium),
        Some(key) if case.settings.own.keys.is_empty() => blow(Severity::High).how(format!(" to key {key}")),
        Some(key) => blow(Severity::Critical).how(format!(" to key {key}, which is not ours")),
    }
}

/// A notification configuration replaces the one before: ours has to be in it.
fn notification_blow(case: &Case<'_>) -> Blow {
    let settings = field(case.record.request(), "NotificationConfiguration");
    let bridge = settings.as_object().is_some_and(|map| map.contains_key("EventBridgeConfiguration"));
    let arns = destinations(settings);
    let blow = |severity| Blow::new("change", "changed", "the notifications of", severity);
    match arns.as_slice() {
        arns if arns.iter().any(|arn| is_our_destination(case, arn)) => blow(Severity::Medium),
        _ if bridge => blow(Severity::High).how(": EventBridge is left"),
        [] => blow(Severity::Critical).how(": none are left"),
        arns => blow(Severity::Critical).how(format!(" to {} alone", arns.join(", "))),
    }
}

fn destinations(settings: &Value) -> Vec<&str> {
    const KINDS: [&str; 6] = ["Queue", "Topic", "CloudFunction", "QueueArn", "TopicArn", "LambdaFunctionArn"];
    let targets = settings.as_object().into_iter().flat_map(serde_json::Map::values).flat_map(list);
    let arns = targets.flat_map(|target| KINDS.map(|kind| text(field(target, kind))));
    arns.filter(|arn| !arn.is_empty()).collect()
}

/// The bucket's account may be another than the stack's.
fn is_our_destination(case: &Case<'_>, arn: &str) -> bool {
    let own = &case.settings.own;
    let account = arn.split(':').nth(4).unwrap_or_default();
    let name = arn.rsplit(':').next().unwrap_or_default();
    !own.stack.is_empty() && account == own.account && begins_with(name, &own.stack)
}

fn lock_blow(request: &Value) -> Blow {
    let retention = at(request, &["ObjectLockConfiguration", "Rule", "DefaultRetention"]);
    let days = number(field(retention, "Days"));
    let days = days.or_else(|| number(field(retention, "Years")).map(|years| years.saturating_mul(365)));
    let blow = |severity| Blow::new("change", "changed", "the object lock of", severity);
    match days {
        None => blow(Severity::Critical).how(": no retention"),
        Some(days) if days < SOON => blow(Severity::Critical).how(format!(": retention of {}", in_days(days))),
        Some(_) if text(field(retention, "Mode")) == "GOVERNANCE" => blow(Severity::High).how(": governance only"),
        Some(_) => blow(Severity::Medium),
    }
}

/// A copy goes somewhere: to another log bucket, or out.
fn replication_blow(case: &Case<'_>) -> Blow {
    let rules = list(at(case.record.request(), &["ReplicationConfiguration", "Rule"]));
    let targets = rules.into_iter().map(|rule| text(at(rule, &["Destination", "Bucket"])));
    let bare = targets.map(|arn| arn.rsplit(':').next().unwrap_or(arn));
    let foreign: Vec<&str> = bare.filter(|bucket| !is_log_bucket(case.settings, bucket)).collect();
    let blow = |severity| Blow::new("change", "changed", "the replication of", severity);
    if foreign.is_empty() {
        blow(Severity::Medium)
    } else {
        blow(Severity::High).how(format!(" to {}", foreign.join(", ")))
    }
}

fn logging_blow(request: &Value) -> Blow {
    match at(request, &["BucketLoggingStatus", "LoggingEnabled"]) {
        Value::Null => Blow::new("switch off", "switched off", "access logging of", Severity::Critical),
        _ => Blow::new("set", "set", "access logging of", Severity::Low),
    }
}

fn ownership_blow(request: &Value) -> Blow {
    let rules = list(at(request, &["OwnershipControls", "Rule"]));
    let enforced = rules.iter().any(|rule| text(field(rule, "ObjectOwnership")) == "BucketOwnerEnforced");
    let severity = if enforced { Severity::Low } else { Severity::Critical };
    Blow::new("change", "changed", "the ownership controls of", severity)
}

/// All four switches on is as closed as it gets; one that is missing is off.
fn public_access_blow(request: &Value) -> Blow {
    const SWITCHES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    let settings = field(request, "PublicAccessBlockConfiguration");
    let on = SWITCHES.iter().all(|switch| truthy(field(settings, switch)));
    let severity = if on { Severity::Low } else { Severity::Critical };
    Blow::new("change", "changed", "the public access block of", severity)
}

/// Delivered log files or digests are deleted, overwritten or unlocked; needs data events of the log bucket.
static LOG_OBJECTS_ATTACKED: Detection = Detection {
    id: "log-objects-attacked",
    title: "Log files deleted, overwritten or unlocked",
    techniques: &["T1070", "T1485", "T1565.001"],
    wants: &[Want::Calls(S3, OBJECT_CALLS)],
    glance: may_be_watched,
    check: objects_attacked,
    why: "Nobody but CloudTrail writes log files, and nobody deletes them. Somebody is editing the evidence.",
    runbook: &[
        "Restore the versions: aws s3api list-object-versions --bucket BUCKET --prefix KEY",
        "Check the digests of those hours: aws cloudtrail validate-logs",
        "Disable the actor's credentials, then find out how they came by write access",
    ],
    ..TAMPERING
};

const OBJECT_CALLS: &[&str] = &[
    "DeleteObject",
    "DeleteObjects",
    "DeleteObjectVersion",
    "PutObject",
    "PostObject",
    "CopyObject",
    "CompleteMultipartUpload",
    "RenameObject",
    "PutObjectAcl",
    "PutObjectRetention",
    "PutObjectLegalHold",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "UpdateObjectEncryption",
];

fn objects_attacked(case: &Case<'_>) -> Option<Catch> {
    let bucket = bucket(case)?;
    let watched = watched(case, bucket)?;
    let key = case.record.parameter("key");
    if is_delivery(case) || is_own_work(case, bucket, key) {
        return None;
    }
    let path = if key.is_empty() { String::new() } else { format!("{bucket}/{key}") };
    let object = if key.is_empty() { format!("objects of {} {bucket}", watched.word()) } else { path.clone() };
    let (verb, past) = object_verb(case.record.action());
    let severity = match watched {
        _ if acts_alone(case.actor) => Severity::Low,
        Watched::ByName => Severity::High,
        _ => object_severity(case, watched, key),
    };
    Some(Catch::new(Deed::new(verb, past, object)).severity(severity).resource(bucket).resource(path))
}

/// This system's functions write its own bucket. Should the log files lie in one of that name, they keep off those;
/// what is quarantined is named after where it came from, and canaries like log files.
fn is_own_work(case: &Case<'_>, bucket: &str, key: &str) -> bool {
    let own_key = key.starts_with("quarantine/") || key.starts_with(canary::PREFIX) || !key.contains("AWSLogs/");
    is_part(case, bucket) && is_own_role(case) && own_key
}

/// Whether an AWS service delivers, as `CloudTrail`, Config and log delivery do. None of them deletes.
fn is_delivery(case: &Case<'_>) -> bool {
    const SENDERS: [&str; 3] = [CLOUDTRAIL, "config.amazonaws.com", "delivery.logs.amazonaws.com"];
    let writes = matches!(case.record.action(), "PutObject" | "CompleteMultipartUpload" | "PutObjectAcl");
    writes && (acts_alone(case.actor) || SENDERS.contains(&&*case.record.source_ip))
}

fn object_verb(action: &str) -> (&'static str, &'static str) {
    match action {
        "PutObject" | "PostObject" | "CopyObject" | "CompleteMultipartUpload" => ("write", "wrote"),
        "RenameObject" => ("rename", "renamed"),
        "PutObjectAcl" => ("change the ACL of", "changed the ACL of"),
        "PutObjectRetention" => ("change the retention of", "changed the retention of"),
        "PutObjectLegalHold" => ("change the legal hold of", "changed the legal hold of"),
        "PutObjectTagging" | "DeleteObjectTagging" => ("change the tags of", "changed the tags of"),
        "UpdateObjectEncryption" => ("change the encryption of", "changed the encryption of"),
        _ => ("delete", "deleted"),
    }
}

/// What is written beside the log files changes none of them; tags may decide what expires.
fn object_severity(case: &Case<'_>, watched: Watched, key: &str) -> Severity {
    let settings = watched == Watched::Part && key.ends_with("config.toml");
    match object_verb(case.record.action()) {
        ("write", _) if settings => Severity::High,
        ("write", _) if watched != Watched::Part && !key.is_empty() && !key.contains("AWSLogs/") => Severity::High,
        ("change the tags of", _) => Severity::High,
        _ => Severity::Critical,
    }
}

/// The key of the log files is disabled, deleted, or given to others.
static LOG_KEY_ATTACKED: Detection = Detection {
    id: "log-key-attacked",
    title: "KMS key of the log files disabled, deleted or changed",
    techniques: &["T1562.008", "T1485", "T1486"],
    controls: &["CIS 7.0 5.7", "CIS 3.0 4.7"],
    wants: &[Want::Calls(
        KMS,
        &[
            "DisableKey",
            "ScheduleKeyDeletion",
            "DeleteImportedKeyMaterial",
            "PutKeyPolicy",
            "CreateGrant",
            "RevokeGrant",
            "RetireGrant",
            "CreateAlias",
            "UpdateAlias",
            "DeleteAlias",
            "DisableKeyRotation",
            "UpdatePrimaryRegion",
            "EnableKey",
            "CancelKeyDeletion",
        ],
    )],
    glance: |_, settings| !settings.own.keys.is_empty(),
    check: key_attacked,
    why: "Without its key CloudTrail cannot write, and nobody can read what it wrote.",
    runbook: &[
        "Undo it at once: aws kms cancel-key-deletion or enable-key --key-id KEY",
        "Compare the key's policy and grants with the template",
        "Call the actor, not by chat",
    ],
    ..TAMPERING
};

fn key_attacked(case: &Case<'_>) -> Option<Catch> {
    let key = key_names(case).into_iter().find(|key| is_own_key(case.settings, key))?;
    let action = case.record.action();
    let grant = matches!(action, "CreateGrant" | "RevokeGrant" | "RetireGrant");
    if grant && through_service(case.actor) {
        return None;
    }
    let (verb, past) = key_verb(action);
    let deed = Deed::new(verb, past, format!("KMS key {key} of the log files"));
    Some(Catch::new(deed).severity(key_severity(case)).resource(key))
}

fn key_severity(case: &Case<'_>) -> Severity {
    let update = matches!(case.record.action(), "PutKeyPolicy" | "CreateGrant" | "CreateAlias" | "UpdateAlias");
    match case.record.action() {
        "EnableKey" | "CancelKeyDeletion" => Severity::Informational,
        _ if acts_alone(case.actor) || (update && is_deployment(case)) => Severity::Low,
        "CreateAlias" => Severity::Medium,
        _ => Severity::Critical,
    }
}

fn key_verb(action: &str) -> (&'static str, &'static str) {
    match action {
        "DisableKey" => ("disable", "disabled"),
        "ScheduleKeyDeletion" => ("schedule the deletion of", "scheduled the deletion of"),
        "DeleteImportedKeyMaterial" => ("delete the material of", "deleted the material of"),
        "PutKeyPolicy" => ("replace the policy of", "replaced the policy of"),
        "CreateGrant" => ("grant others the use of", "granted others the use of"),
        "RevokeGrant" | "RetireGrant" => ("take back a grant on", "took back a grant on"),
        "CreateAlias" => ("give an alias to", "gave an alias to"),
        "UpdateAlias" => ("move the alias of", "moved the alias of"),
        "DeleteAlias" => ("delete the alias of", "deleted the alias of"),
        "DisableKeyRotation" => ("stop the rotation of", "stopped the rotation of"),
        "UpdatePrimaryRegion" => ("move the primary of", "moved the primary of"),
        "EnableKey" => ("enable", "enabled"),
        _ => ("cancel the deletion of", "cancelled the deletion of"),
    }
}

/// All by which a record names a key: ids, ARNs, aliases.
fn key_names<'c>(case: &'c Case<'_>) -> Vec<&'c str> {
    let record = case.record;
    let resources = list(&record.body()["resources"]).into_iter().map(|resource| text(field(resource, "ARN")));
    let parameters = ["keyId", "targetKeyId", "aliasName"].map(|name| record.parameter(name));
    let all = parameters.into_iter().chain(resources).chain(record.arn_in_error());
    all.filter(|name| !name.is_empty()).map(bare_key).collect()
}

/// Whether the settings say that a key encrypts log files.
pub(super) fn is_own_key(settings: &Settings, key: &str) -> bool {
    settings.own.keys.iter().any(|own| bare_key(own) == bare_key(key))
}

/// An id, or `alias/…`, without the ARN around it.
fn bare_key(name: &str) -> &str {
    let name = name.rsplit(':').next().unwrap_or(name);
    name.strip_prefix("key/").unwrap_or(name)
}

/// Any other customer-managed key is disabled or is to be deleted.
static KEY_DISABLED: Detection = Detection {
    id: "kms-key-disabled",
    title: "KMS key disabled or scheduled for deletion",
    category: Category::Impact,
    severity: Severity::High,
    techniques: &["T1485", "T1486"],
    controls: &["CIS 7.0 5.7", "CIS 3.0 4.7"],
    wants: &[Want::Calls(KMS, &["DisableKey", "ScheduleKeyDeletion", "DeleteImportedKeyMaterial"])],
    check: other_key,
    why: "All that a key encrypts becomes unreadable with it, and after the waiting period for good.",
    runbook: &[
        "See what the key encrypts: its aliases, tags and grants",
        "Not ordered by its owner: aws kms cancel-key-deletion, then enable-key",
    ],
    ..Detection::BASE
};

fn other_key(case: &Case<'_>) -> Option<Catch> {
    let keys = key_names(case);
    if keys.iter().any(|key| is_own_key(case.settings, key)) {
        return None;
    }
    let key = keys.first().copied().unwrap_or_default();
    let (verb, past) = key_verb(case.record.action());
    let days = number(field(case.record.request(), "pendingWindowInDays"));
    let days = days.map(|days| format!(" in {}", in_days(days))).unwrap_or_default();
    let severity = if acts_alone(case.actor) { Severity::Low } else { case.graded(Severity::High, Severity::Medium) };
    let deed = Deed::new(verb, past, format!("{}{days}", named("KMS key", key)));
    Some(Catch::new(deed).severity(severity).resource(key))
}

/// A lifecycle rule deletes a bucket's objects within days. Whether it holds log files is not known here.
static OBJECTS_EXPIRE_SOON: Detection = Detection {
    id: "s3-objects-expire-soon",
    title: "S3 objects set to expire within days",
    category: Category::Impact,
    severity: Severity::Medium,
    techniques: &["T1485.001", "T1562.008"],
    controls: &["CIS 7.0 5.8", "CIS 3.0 4.8"],
    wants: &[Want::Calls(S3, &["PutBucketLifecycle", "PutBucketLifecycleConfiguration"])],
    check: expires_soon,
    why: "A lifecycle rule deletes everything in a bucket without a single deletion in the records.",
    runbook: &[
        "See what the bucket holds: log files, backups, customers' data?",
        "Not wanted: aws s3api delete-bucket-lifecycle --bucket BUCKET, before midnight UTC",
    ],
    ..Detection::BASE
};

fn expires_soon(case: &Case<'_>) -> Option<Catch> {
    let bucket = bucket(case).filter(|bucket| watched(case, bucket).is_none())?;
    let rules = list(at(case.record.request(), &["LifecycleConfiguration", "Rule"]));
    let days = soonest(&rules, "Expiration", "Days").filter(|days| *days <= AT_ONCE)?;
    let telling = rules.iter().any(|rule| rule.to_string().to_ascii_lowercase().contains("trail"));
    let severity = if telling { Severity::High } else { Severity::Medium };
    let deed = Deed::new("set", "set", format!("objects of bucket {bucket} to expire after {}", in_days(days)));
    Some(Catch::new(deed).severity(case.graded(severity, Severity::Low)).resource(bucket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::record::Outcome;
    use crate::testing::{ACCOUNT, caught_with, record};
    use serde_json::json;

    const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.own.log_buckets = vec!["org-logs".to_owned()];
        settings.own.keys = vec![format!("arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY}"), "alias/trail".to_owned()];
        settings.own.account = ACCOUNT.to_owned();
        settings.own.stack = "QTrail".to_owned();
        settings.own.deploy_roles = vec![format!("arn:aws:iam::{ACCOUNT}:role/ci/deployer")];
        settings
    }

    /// A call about `org-logs`, unless the request names another bucket.
    fn s3(name: &str, request: &Value) -> Value {
        let mut whole = json!({"bucketName": "org-logs", "Host": "org-logs.s3.amazonaws.com"});
        for (key, value) in request.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        record(S3, name, json!({"requestParameters": whole}))
    }

    fn by(mut record: Value, role: &str, invoked_by: Option<&str>) -> Value {
        record["userIdentity"] = json!({
            "type": "AssumedRole",
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"),
            "accountId": ACCOUNT,
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}")}},
        });
        if let Some(service) = invoked_by {
            record["userIdentity"]["invokedBy"] = json!(service);
        }
        record
    }

    fn said(detection: &'static Detection, record: &Value) -> Option<(Severity, String)> {
        let found = caught_with(settings(), detection, record)?;
        Some((found.lead.severity, sentence(&found)))
    }

    fn sentence(found: &Match) -> String {
        let deed = &found.lead.deed;
        let verb = if found.lead.outcome == Outcome::Success { &deed.past } else { &deed.verb };
        format!("{verb} {}", deed.object)
    }

    fn bucket_said(name: &str, request: &Value) -> Option<(Severity, String)> {
        said(&LOG_BUCKET_ATTACKED, &s3(name, request))
    }

    fn rule(rule: &Value) -> Value {
        json!({"LifecycleConfiguration": {"xmlns": "x", "Rule": rule}})
    }

    #[test]
    fn what_hurts_the_log_bucket_is_named() {
        let off = json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "IgnorePublicAcls": true}});
        let elsewhere = json!({"NotificationConfiguration": {"QueueConfiguration":
            {"Queue": "arn:aws:sqs:eu-west-1:999988887777:theirs", "Event": "s3:ObjectCreated:*"}}});
        let foreign_key = json!({"ServerSideEncryptionConfiguration": {"Rule":
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:k"}}}});
        let ownership = json!({"OwnershipControls": {"Rule": {"ObjectOwnership": "ObjectWriter"}}});
        let lock = json!({"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}});
        for (name, request, expected) in [
            ("DeleteBucket", json!({}), "deleted log bucket org-logs"),
            ("DeleteBucketPolicy", json!({"policy": ""}), "deleted the policy of log bucket org-logs"),
            (
                "PutBucketVersioning",
                json!({"VersioningConfiguration": {"Status": "Suspended"}}),
                "suspended versioning of log bucket org-logs",
            ),
            (
                "PutBucketVersioning",
                json!({"VersioningConfiguration": {"MfaDelete": "Disabled"}}),
                "switched off MFA delete of log bucket org-logs",
            ),
            ("DeleteBucketEncryption", json!({}), "deleted the encryption of log bucket org-logs"),
            (
                "PutBucketEncryption",
                foreign_key,
                "changed the encryption of log bucket org-logs to key arn:k, which is not ours",
            ),
            (
                "PutBucketNotification",
                json!({"NotificationConfiguration": {"xmlns": "x"}}),
                "changed the notifications of log bucket org-logs: none are left",
            ),
            (
                "PutBucketNotificationConfiguration",
                elsewhere,
                "changed the notifications of log bucket org-logs to arn:aws:sqs:eu-west-1:999988887777:theirs alone",
            ),
            ("PutBucketObjectLockConfiguration", lock, "changed the object lock of log bucket org-logs: no retention"),
            ("DeleteBucketReplication", json!({}), "ended the replication of log bucket org-logs"),
            (
                "PutBucketLogging",
                json!({"BucketLoggingStatus": ""}),
                "switched off access logging of log bucket org-logs",
            ),
            ("PutBucketOwnershipControls", ownership, "changed the ownership controls of log bucket org-logs"),
            ("PutBucketPublicAccessBlock", off, "changed the public access block of log bucket org-logs"),
            ("DeleteBucketPublicAccessBlock", json!({}), "removed the public access block of log bucket org-logs"),
            (
                "PutBucketPolicy",
                json!({"omitted": true}),
                "changed the policy of log bucket org-logs (content not recorded)",
            ),
        ] {
            let expected = Some((Severity::Critical, expected.to_owned()));
            assert_eq!(bucket_said(name, &request), expected, "{name}");
        }
    }

    #[test]
    fn an_attempt_on_the_log_bucket_counts_as_much() {
        let mut denied = record(S3, "DeleteBucket", json!({"errorCode": "AccessDenied"}));
        denied["errorMessage"] =
            json!("not authorized to perform: s3:DeleteBucket on resource: arn:aws:s3:::org-logs with");
        let expected = Some((Severity::Critical, "delete log bucket org-logs".to_owned()));
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &denied), expected);
    }

    #[test]
    fn what_strengthens_or_reads_the_log_bucket_is_quiet() {
        let enabled = json!({"VersioningConfiguration": {"Status": "Enabled", "MfaDelete": "Disabled"}});
        assert_eq!(bucket_said("PutBucketVersioning", &enabled), None);
        assert_eq!(bucket_said("GetBucketPolicy", &json!({})), None);
        assert_eq!(bucket_said("DeleteBucket", &json!({"bucketName": "org-logs-2"})), None, "another bucket");
        let on = json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": "true", "IgnorePublicAcls": true,
            "BlockPublicPolicy": true, "RestrictPublicBuckets": true}});
        assert_eq!(bucket_said("PutBucketPublicAccessBlock", &on).map(|said| said.0), Some(Severity::Low));
        assert_eq!(bucket_said("DeleteBucketLifecycle", &json!({})).map(|said| said.0), Some(Severity::Low));
    }

    #[test]
    fn a_lifecycle_is_judged_by_how_soon_it_deletes() {
        let days = |days: Value| json!({"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": days}});
        let disabled = json!({"Status": "Disabled", "Expiration": {"Days": 1}});
        for (rules, severity) in [
            (days(json!(1)), Severity::Critical),
            (json!([days(json!(400)), days(json!("30"))]), Severity::Critical),
            (days(json!(90)), Severity::High),
            (days(json!(2557)), Severity::Medium),
            (disabled.clone(), Severity::Medium),
            (json!([disabled, days(json!(1))]), Severity::Critical),
            (json!({"Expiration": {"Date": "2026-11-21T00:00:00Z"}, "Status": "Enabled"}), Severity::Critical),
            (json!({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}), Severity::High),
            (json!({"Transition": {"Days": 90, "StorageClass": "GLACIER_IR"}}), Severity::Medium),
            (Value::Null, Severity::Critical),
        ] {
            let said = bucket_said("PutBucketLifecycle", &rule(&rules));
            assert_eq!(said.map(|said| said.0), Some(severity), "{rules}");
        }
    }

    fn policy(statements: &Value) -> Option<(Severity, String)> {
        bucket_said("PutBucketPolicy", &json!({"bucketPolicy": {"Statement": statements}, "policy": ""}))
    }

    #[test]
    fn a_policy_has_to_let_cloudtrail_write() {
        let ours = json!({"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "s3:PutObject", "Resource": "*"});
        let tls = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let others =
            json!({"Effect": "Allow", "Principal": {"AWS": "999988887777"}, "Action": "s3:*", "Resource": "*"});
        let denied = json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["s3:Put*"], "Resource": "*"});
        let excepted = json!({"Effect": "Deny", "NotPrincipal": {"AWS": "arn:x"}, "Action": "s3:*", "Resource": "*"});
        let acl = json!({"Effect": "Allow", "Principal": {"Service": ["cloudtrail.amazonaws.com"]},
            "Action": "s3:GetBucketAcl", "Resource": "*"});
        for (statements, severity, how) in [
            (json!([ours, tls]), Severity::High, ""),
            (ours.clone(), Severity::High, ""),
            (others, Severity::Critical, ": CloudTrail may no longer write"),
            (acl, Severity::Critical, ": CloudTrail may no longer write"),
            (json!([ours, denied]), Severity::Critical, ": CloudTrail is denied to write"),
            (json!([ours, excepted]), Severity::Critical, ": CloudTrail is denied to write"),
        ] {
            let expected = format!("changed the policy of log bucket org-logs{how}");
            assert_eq!(policy(&statements), Some((severity, expected)), "{statements}");
        }
    }

    #[test]
    fn a_deployment_updates_but_does_not_delete() {
        let ours = json!({"NotificationConfiguration": {"QueueConfiguration":
            [{"QueueArn": format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:qtrail-log-files")}]}});
        let notify = s3("PutBucketNotification", &ours);
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &notify).map(|said| said.0), Some(Severity::Medium));
        let deployed = |record: Value| by(record, "deployer", Some("cloudformation.amazonaws.com"));
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &deployed(notify)).map(|said| said.0), Some(Severity::Low));
        let delete = deployed(s3("DeleteBucket", &json!({})));
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &delete).map(|said| said.0), Some(Severity::Critical));
        let data = s3("PutBucketLifecycle", &rule(&json!({"NoncurrentVersionExpiration": {"NoncurrentDays": 30}})));
        let mut data = deployed(data);
        data["requestParameters"]["bucketName"] = json!("qtrail-databucket-1x2y3z");
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &data).map(|said| said.0), Some(Severity::Low));
        let by_hand = by(data, "admin", None);
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &by_hand).map(|said| said.0), Some(Severity::Critical));
    }

    #[test]
    fn without_settings_a_telling_name_is_enough_for_a_look() {
        let delete = |bucket: &str| s3("DeleteBucket", &json!({"bucketName": bucket}));
        let guessed = caught_with(Settings::default(), &LOG_BUCKET_ATTACKED, &delete("aws-cloudtrail-logs-1-ab"));
        assert_eq!(guessed.map(|found| found.lead.severity), Some(Severity::High));
        assert!(caught_with(Settings::default(), &LOG_BUCKET_ATTACKED, &delete("holiday-pictures")).is_none());
        assert_eq!(said(&LOG_BUCKET_ATTACKED, &delete("aws-cloudtrail-logs-1-ab")), None, "ours are known");
    }

    const LOG_FILE: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/x.json.gz";

    fn object(name: &str, bucket: &str, key: &str) -> Value {
        s3(name, &json!({"bucketName": bucket, "key": key}))
    }

    #[test]
    fn log_files_are_written_by_services_and_deleted_by_nobody() {
        let object = |name| object(name, "org-logs", LOG_FILE);
        let written = Some((Severity::Critical, format!("wrote org-logs/{LOG_FILE}")));
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &object("PutObject")), written);
        let deleted = Some((Severity::Critical, format!("deleted org-logs/{LOG_FILE}")));
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &object("DeleteObject")), deleted);
        let many = s3("DeleteObjects", &json!({"delete": ""}));
        let deleted = Some((Severity::Critical, "deleted objects of log bucket org-logs".to_owned()));
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &many), deleted);
        let mut delivered = object("PutObject");
        delivered["userIdentity"] = json!({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"});
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &delivered), None);
        let slr = "aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig";
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &by(object("PutObject"), slr, None)), None);
        let mut config = by(object("PutObject"), "config-role", None);
        config["sourceIPAddress"] = json!("config.amazonaws.com");
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &config), None);
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &object("GetObject")), None);
        let beside = s3("PutObject", &json!({"key": "notes.txt"}));
        let written = Some((Severity::High, "wrote org-logs/notes.txt".to_owned()));
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &beside), written);
    }

    #[test]
    fn this_system_writes_its_own_bucket_and_nobody_else_does() {
        let role = "qtrail-IngestRole-1A2B3C";
        let data = "qtrail-databucket-1x2y3z";
        let quarantined = object("PutObject", data, "quarantine/org-logs/AWSLogs/1.json");
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &by(quarantined.clone(), role, None)), None);
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &quarantined).map(|said| said.0), Some(Severity::Critical));
        let canary = object("PutObject", data, "canary/AWSLogs/111122223333/CloudTrail/eu-west-1/x.json.gz");
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &by(canary.clone(), role, None)), None);
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &canary).map(|said| said.0), Some(Severity::Critical), "a forged one");
        let deleted = by(object("DeleteObject", "org-logs", LOG_FILE), role, None);
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &deleted).map(|said| said.0), Some(Severity::Critical));
        let settings = object("PutObject", data, "settings/config.toml");
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &settings).map(|said| said.0), Some(Severity::High));
        assert_eq!(said(&LOG_OBJECTS_ATTACKED, &object("PutObject", "pictures", "AWSLogs/x")), None);
    }

    fn kms(name: &str, request: &Value) -> Value {
        record(KMS, name, json!({"requestParameters": request}))
    }

    #[test]
    fn the_logs_key_is_known_by_any_of_its_names() {
        for (name, request) in [
            ("DisableKey", json!({"keyId": KEY})),
            ("ScheduleKeyDeletion", json!({"keyId": format!("arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY}")})),
            ("PutKeyPolicy", json!({"keyId": KEY, "policyName": "default"})),
            ("DeleteAlias", json!({"aliasName": "alias/trail"})),
            ("UpdateAlias", json!({"aliasName": "alias/trail", "targetKeyId": "another"})),
            ("CreateGrant", json!({"KeyId": KEY, "granteePrincipal": "arn:x"})),
            ("DisableKeyRotation", json!({"keyId": KEY})),
        ] {
            let said = said(&LOG_KEY_ATTACKED, &kms(name, &request)).map(|said| said.0);
            assert_eq!(said, Some(Severity::Critical), "{name}");
        }
        let mut denied = kms("DisableKey", &Value::Null);
        denied["errorCode"] = json!("AccessDenied");
        denied["errorMessage"] =
            json!(format!("kms:DisableKey on resource: arn:aws:kms:eu-west-1:1:key/{KEY} because"));
        let expected = Some((Severity::Critical, format!("disable KMS key {KEY} of the log files")));
        assert_eq!(said(&LOG_KEY_ATTACKED, &denied), expected);
        let undone = kms("CancelKeyDeletion", &json!({"keyId": KEY}));
        assert_eq!(said(&LOG_KEY_ATTACKED, &undone).map(|said| said.0), Some(Severity::Informational));
    }

    #[test]
    fn services_take_and_give_back_grants_all_day() {
        for name in ["CreateGrant", "RetireGrant"] {
            let grant = by(kms(name, &json!({"keyId": KEY})), "app", Some("dynamodb.amazonaws.com"));
            assert_eq!(said(&LOG_KEY_ATTACKED, &grant), None);
        }
    }

    #[test]
    fn another_key_is_high_and_reported_once() {
        let other = kms("ScheduleKeyDeletion", &json!({"keyId": "mrk-1", "pendingWindowInDays": 7}));
        assert_eq!(said(&LOG_KEY_ATTACKED, &other), None);
        let expected = Some((Severity::High, "scheduled the deletion of KMS key mrk-1 in 7 days".to_owned()));
        assert_eq!(said(&KEY_DISABLED, &other), expected);
        assert_eq!(said(&KEY_DISABLED, &kms("DisableKey", &json!({"keyId": KEY}))), None);
        let mut denied = other;
        denied["errorCode"] = json!("AccessDeniedException");
        assert_eq!(said(&KEY_DISABLED, &denied).map(|said| said.0), Some(Severity::Medium));
    }

    #[test]
    fn a_bucket_that_is_emptied_within_days_is_looked_at() {
        let days = |days: i64, id: &str| {
            let rule = rule(&json!({"Status": "Enabled", "ID": id, "Expiration": {"Days": days}}));
            let mut record = s3("PutBucketLifecycle", &rule);
            record["requestParameters"]["bucketName"] = json!("tmp");
            said(&OBJECTS_EXPIRE_SOON, &record).map(|said| said.0)
        };
        assert_eq!(days(1, "tmp"), Some(Severity::Medium));
        assert_eq!(days(1, "nuke-cloudtrail-logs"), Some(Severity::High));
        assert_eq!(days(30, "tmp"), None);
        let log = s3("PutBucketLifecycle", &rule(&json!({"Status": "Enabled", "Expiration": {"Days": 1}})));
        assert_eq!(said(&OBJECTS_EXPIRE_SOON, &log), None, "the log bucket has a detection of its own");
    }

    #[test]
    fn any_shape_of_request_is_survived() {
        for request in [Value::Null, json!("x"), json!([1]), json!({"bucketName": "org-logs", "key": 7})] {
            for (source, detections) in
                [(S3, [&LOG_BUCKET_ATTACKED, &LOG_OBJECTS_ATTACKED]), (KMS, [&LOG_KEY_ATTACKED; 2])]
            {
                for name in ["PutBucketPolicy", "PutBucketLifecycle", "PutObject", "DeleteObjects", "CreateGrant"] {
                    let record = record(source, name, json!({"requestParameters": request, "note": "AWSLogs"}));
                    for detection in detections {
                        let _ = caught_with(settings(), detection, &record);
                    }
                }
            }
        }
    }
}
