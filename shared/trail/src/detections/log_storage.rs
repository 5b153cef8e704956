//! Someone touched what holds the log files: their buckets, their objects, the keys that encrypt them.

use serde_json::Value;

use super::own_parts::{begins_with, is_deployment, is_own_role, is_part};
use super::trail::{acts_alone, named, through_service};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::policy::{Policy, Statement};
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
    let blow = blow(case, bucket)?;
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
    if is_part(case, bucket) {
        return Some(Watched::Part);
    }
    if is_log_bucket(case.settings, bucket) {
        return Some(Watched::Named);
    }
    let telling = bucket.contains("cloudtrail") || bucket.starts_with("aws-controltower-logs-");
    (case.settings.own.log_buckets.is_empty() && telling).then_some(Watched::ByName)
}

/// Whether the call is about a bucket that the detections here watch.
pub(super) fn is_watched_bucket(case: &Case<'_>) -> bool {
    bucket(case).and_then(|bucket| watched(case, bucket)).is_some()
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

fn blow(case: &Case<'_>, bucket: &str) -> Option<Blow> {
    let critical = |verb, past, what| Blow::new(verb, past, what, Severity::Critical);
    let request = case.record.request();
    Some(match case.record.action() {
        "DeleteBucket" => critical("delete", "deleted", ""),
        "DeleteBucketPolicy" => critical("delete", "deleted", "the policy of"),
        "PutBucketPolicy" => policy_blow(case, bucket),
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
fn policy_blow(case: &Case<'_>, bucket: &str) -> Blow {
    const POLICY: &str = "the policy of";
    let Some(policy) = Policy::read(field(case.record.request(), "bucketPolicy")) else {
        return Blow::unseen(POLICY);
    };
    let critical = || Blow::new("change", "changed", POLICY, Severity::Critical);
    if !is_part(case, bucket) && !policy.allows().any(lets_cloudtrail_write) {
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
        return blow(severity, format!(": objects expire after {days} days"));
    }
    let enabled = rules.iter().filter(|rule| is_enabled(rule));
    if enabled.clone().any(|rule| !at(rule, &["Expiration", "Date"]).is_null()) {
        return blow(Severity::Critical, ": objects expire on a fixed date".to_owned());
    }
    match soonest(&rules, "NoncurrentVersionExpiration", "NoncurrentDays") {
        Some(days) if days < SOON => blow(Severity::High, format!(": old versions expire after {days} days")),
        _ => blow(Severity::Medium, String::new()),
    }
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
        Some(days) if days < SOON => blow(Severity::Critical).how(format!(": {days} days of retention")),
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
    wants: &[Want::Calls(
        S3,
        &[
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
        ],
    )],
    check: objects_attacked,
    why: "Nobody but CloudTrail writes log files, and nobody deletes them. Somebody is editing the evidence.",
    runbook: &[
        "Restore the versions: aws s3api list-object-versions --bucket BUCKET --prefix KEY",
        "Check the digests of those hours: qtrail verify",
        "Disable the actor's credentials, then find out how they came by write access",
    ],
    ..TAMPERING
};

fn objects_attacked(case: &Case<'_>) -> Option<Catch> {
    let bucket = bucket(case)?;
    let watched = watched(case, bucket)?;
    let key = case.record.parameter("key");
    if is_delivery(case) || is_own_work(case, watched, key) {
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

/// This system's functions write its own bucket, but no log files.
fn is_own_work(case: &Case<'_>, watched: Watched, key: &str) -> bool {
    watched == Watched::Part && is_own_role(case) && !key.starts_with("AWSLogs/")
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
    let days = days.map(|days| format!(" in {days} days")).unwrap_or_default();
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
    let deed = Deed::new("let", "let", format!("all of bucket {bucket} that a rule names expire after {days} days"));
    Some(Catch::new(deed).severity(case.graded(severity, Severity::Low)).resource(bucket))
}
