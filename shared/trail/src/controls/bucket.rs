//! The buckets that log files are delivered to: whose they are, who gets in, and how long they keep what they hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::recording::union_of;
use crate::alert::clean;
use crate::control::{Asked, Control, Look, References, Trail, Verdict, said_list, shell};
use crate::detection::Severity;
use crate::policy::{Home, Policy, Rules, Statement};
use crate::selectors::Recorded;
use crate::shape::{at, field, list, number, text, truthy};
use crate::snapshot::GLOBAL;

pub(super) const ALL: &[&Control] = &[&DEDICATED, &NOT_PUBLIC, &POLICY, &ACCESS_RECORDED, &IMMUTABLE, &RETENTION];

/// Log files lie in an account of their own.
static DEDICATED: Control = Control {
    id: "dedicated-logging-account",
    title: "Log files are delivered to a bucket in the logging account",
    severity: Severity::High,
    references: References {
        others: &[("SOC 2", "CC6.1"), ("NIST 800-53 r5", "AU-9(2)"), ("PCI DSS 4.0", "10.3.3")],
        ..References::NONE
    },
    calls: &["cloudtrail:DescribeTrails", "s3:HeadBucket", "s3:ListBuckets", "organizations:DescribeOrganization"],
    judge: |look| of_each_bucket(look, dedicated),
    why: "Whoever takes over an account takes over its buckets. The record of it has to lie elsewhere.",
    runbook: &[
        "Create the bucket in the logging account, with the policy that CloudTrail needs",
        "Point the trail to it",
    ],
};

/// Nobody outside can read or write log files.
static NOT_PUBLIC: Control = Control {
    id: "log-bucket-not-public",
    title: "The log bucket is not public",
    severity: Severity::Critical,
    references: References {
        cis: ["3.3", "", ""],
        others: &[("Security Hub", "CloudTrail.6"), ("SOC 2", "CC6.1"), ("ISO 27001:2022", "A.8.1")],
    },
    calls: &[
        "cloudtrail:DescribeTrails",
        "s3:HeadBucket",
        "s3:ListBuckets",
        "s3:GetBucketPolicy",
        "s3:GetBucketPolicyStatus",
        "s3:GetPublicAccessBlock",
        "s3:GetBucketAcl",
        "s3control:GetPublicAccessBlock",
        "s3control:ListAccessPoints",
    ],
    judge: |look| of_each_bucket(look, not_public),
    why: "Log files tell names, keys, addresses and habits of everybody in the organization.",
    runbook: &["Block public access with the command given", "Find who opened it and what was read meanwhile"],
};

/// CloudTrail alone writes.
static POLICY: Control = Control {
    id: "log-bucket-policy",
    title: "CloudTrail alone writes log files, and only for trails of ours",
    severity: Severity::High,
    references: References {
        others: &[("SOC 2", "CC6.1"), ("NIST 800-53 r5", "AU-9"), ("PCI DSS 4.0", "10.3.2")],
        ..References::NONE
    },
    calls: &["cloudtrail:DescribeTrails", "s3:HeadBucket", "s3:ListBuckets", "s3:GetBucketPolicy"],
    judge: |look| of_each_bucket(look, policy),
    why: "Who else may write can forge log files, who may delete can lose them, and without aws:SourceArn any trail in \
          the world may deliver here.",
    runbook: &[
        "Compare the bucket policy with the one in the CloudTrail user guide",
        "Take out everybody but CloudTrail",
    ],
};

/// Reading log files leaves a trace.
static ACCESS_RECORDED: Control = Control {
    id: "log-bucket-access-recorded",
    title: "Access to the log bucket is recorded",
    severity: Severity::Medium,
    references: References {
        cis: ["3.6", "3.4", "4.4"],
        others: &[("Security Hub", "CloudTrail.7"), ("SOC 2", "A1.2"), ("PCI DSS 4.0", "10.2.1.3")],
    },
    calls: &[
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
        "s3:HeadBucket",
        "s3:ListBuckets",
        "s3:GetBucketLogging",
    ],
    judge: |look| of_each_bucket(look, access_recorded),
    why: "Who reads log files looks for a way in; who deletes them covers one up.",
    runbook: &["Switch on server access logs to another bucket, or data events by a trail that delivers elsewhere"],
};

/// Log files cannot be deleted.
static IMMUTABLE: Control = Control {
    id: "log-bucket-immutable",
    title: "Log files cannot be deleted or overwritten",
    severity: Severity::High,
    references: References {
        others: &[
            ("Security Hub", "S3.14"),
            ("Security Hub", "S3.15"),
            ("SOC 2", "CC6.1"),
            ("NIST 800-53 r5", "AU-9"),
            ("PCI DSS 4.0", "10.3.2"),
        ],
        ..References::NONE
    },
    calls: &[
        "cloudtrail:DescribeTrails",
        "s3:HeadBucket",
        "s3:ListBuckets",
        "s3:GetBucketVersioning",
        "s3:GetObjectLockConfiguration",
    ],
    judge: |look| of_each_bucket(look, immutable),
    why: "Deleting log files is how an intrusion ends. With Object Lock not even an administrator can.",
    runbook: &["Switch on versioning", "Switch on Object Lock with a default retention (COMPLIANCE)"],
};

/// Log files are kept long enough.
static RETENTION: Control = Control {
    id: "log-retention",
    title: "Log files and digests are kept as long as they have to be",
    severity: Severity::High,
    references: References {
        others: &[("PCI DSS 4.0", "10.5.1"), ("SOC 2", "A1.2"), ("NIST 800-53 r5", "AU-11")],
        ..References::NONE
    },
    calls: &["cloudtrail:DescribeTrails", "s3:HeadBucket", "s3:ListBuckets", "s3:GetBucketLifecycleConfiguration"],
    judge: |look| of_each_bucket(look, retention),
    why: "Intrusions are found months later. What has expired by then answers no question.",
    runbook: &["Raise the expiration of the rules named, for log files and digests alike"],
};

/// A bucket and the trails that deliver to it.
#[derive(Debug)]
pub(super) struct Bucket<'v> {
    pub(super) name: &'v str,
    pub(super) trails: Vec<&'v Trail<'v>>,
}

/// Whose a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner<'v> {
    Account(&'v str),
    /// It is there, and belongs to none of those that were asked.
    Foreign,
    Missing,
    Unknown,
}

/// One verdict for each bucket that trails judged here deliver to.
pub(super) fn of_each_bucket(look: &Look<'_>, judge: fn(&Look<'_>, &Bucket<'_>) -> Verdict) -> Vec<Verdict> {
    let mut buckets: BTreeMap<&str, Vec<&Trail<'_>>> = BTreeMap::new();
    for trail in look.own_trails() {
        buckets.entry(trail.bucket).or_default().push(trail);
    }
    if buckets.is_empty() {
        return look.of_each_trail(|look, trail| look.unknown(trail.arn, "it names no bucket"));
    }
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (name, trails) in buckets {
        let look = look.anew();
        if !name.is_empty() {
            verdicts.push(judge(&look, &Bucket { name, trails }));
            continue;
        }
        look.unreadable("cloudtrail:DescribeTrails", trails[0].home_region);
        verdicts.push(look.blinded(trails[0].arn));
    }
    if !look.dark_regions().is_empty() {
        verdicts.push(look.blinded(look.account()));
    }
    verdicts
}

impl<'v> Bucket<'v> {
    fn ask(&self, look: &Look<'v>, call: &str) -> Asked<'v> {
        look.ask(call, "", &[("Bucket", self.name)])
    }

    pub(super) fn body(&self, look: &Look<'v>, call: &str) -> Option<&'v Value> {
        look.body(call, "", &[("Bucket", self.name)])
    }

    /// An answer in which "there is none" is an answer too: `Ok(None)`.
    fn setting(&self, look: &Look<'v>, call: &str) -> Result<Option<&'v Value>, ()> {
        match self.ask(look, call) {
            Asked::Body(body) => Ok(Some(body)),
            Asked::Absent(refusal) if refusal.code == "NoSuchBucket" => Err(()),
            Asked::Absent(_) => Ok(None),
            Asked::Blind(_) => Err(()),
        }
    }

    fn owner(&self, look: &Look<'v>) -> Owner<'v> {
        let mut owner = Owner::Unknown;
        for (index, answer) in look.view.snapshot.answers.iter().enumerate() {
            if answer.call != "s3:HeadBucket" || !answer.is_about("Bucket", self.name) {
                continue;
            }
            look.saw(index);
            let insisting = answer.parameters.get("ExpectedBucketOwner");
            owner = match (crate::control::asked(answer), insisting) {
                (Asked::Body(_), Some(account)) => return Owner::Account(account),
                (Asked::Absent(_), _) => return Owner::Missing,
                (Asked::Body(_), None) => Owner::Foreign,
                (Asked::Blind(_), _) => owner,
            };
        }
        let named = |body: &Value| list(field(body, "Buckets")).iter().any(|b| text(field(b, "Name")) == self.name);
        match look.view.ask("s3:ListBuckets", GLOBAL, &[]) {
            (Some(index), Asked::Body(body)) if named(body) => {
                look.saw(index);
                Owner::Account(look.account())
            }
            _ => {
                if owner == Owner::Unknown {
                    let _ = self.ask(look, "s3:HeadBucket");
                }
                owner
            }
        }
    }
}

fn dedicated(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let logging = look.context().logging_account.as_str();
    let organization = look.organization();
    let alone = matches!(organization, Asked::Absent(_));
    let management = look.management_account();
    let of_organization = bucket.trails.iter().any(|trail| trail.organization);
    let workload = bucket.trails.iter().map(|trail| trail.owner).find(|owner| *owner != logging);
    let fix = bucket.trails.first().map_or(String::new(), |trail| {
        format!("{} --s3-bucket-name BUCKET-IN-{}", super::recording::update(trail), shell(logging))
    });
    let owner = match bucket.owner(look) {
        Owner::Account(owner) => owner,
        Owner::Missing => {
            return look.fail(bucket.name, "the bucket does not exist").severity(Severity::Critical).fix(fix);
        }
        Owner::Foreign => {
            return look.fail(bucket.name, "the bucket belongs to none of the accounts that were asked").fix(fix);
        }
        Owner::Unknown => return look.blinded(bucket.name),
    };
    match () {
        () if alone && (owner == look.account() || logging.is_empty()) => {
            let reason = format!("the bucket lies in account {owner} itself, and there is no organization");
            look.fail(bucket.name, reason).severity(Severity::Low)
        }
        () if Some(owner) == workload && owner != management => {
            look.fail(bucket.name, format!("the bucket lies in account {owner}, which it is the record of")).fix(fix)
        }
        () if owner == management && of_organization => {
            look.partial(bucket.name, format!("the bucket lies in the management account {owner}")).fix(fix)
        }
        () if owner == management => {
            look.fail(bucket.name, format!("the bucket lies in the management account {owner}")).fix(fix)
        }
        () if logging.is_empty() => {
            look.unknown(bucket.name, format!("the bucket lies in account {owner}; no logging account is set"))
        }
        () if owner != logging => look
            .fail(bucket.name, format!("the bucket lies in account {owner}, the logging account is {logging}"))
            .fix(fix),
        () if matches!(organization, Asked::Blind(_)) && management.is_empty() => look.blinded(bucket.name),
        () => look.pass(bucket.name, format!("the bucket lies in the logging account {owner}")),
    }
}

/// What keeps the public out, as far as it is known.
#[derive(Debug, Default, Clone, Copy)]
struct Block {
    policies: bool,
    acls: bool,
    all: bool,
}

impl Block {
    fn read(body: Option<&Value>) -> Self {
        let Some(body) = body else { return Self::default() };
        let on = |name| truthy(at(body, &["PublicAccessBlockConfiguration", name]));
        let (policies, acls) = (on("RestrictPublicBuckets"), on("IgnorePublicAcls"));
        Self { policies, acls, all: policies && acls && on("BlockPublicAcls") && on("BlockPublicPolicy") }
    }

    fn or(self, other: Self) -> Self {
        Self { policies: self.policies || other.policies, acls: self.acls || other.acls, all: self.all || other.all }
    }
}

fn not_public(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let own = bucket.setting(look, "s3:GetPublicAccessBlock");
    let block = Block::read(own.ok().flatten());
    if block.all {
        return look.pass(bucket.name, "Block Public Access is on for the bucket");
    }
    let owner = bucket.owner(look);
    let account = match &owner {
        Owner::Missing => {
            return look.not_applicable(bucket.name, "the bucket does not exist, which is a failure elsewhere");
        }
        Owner::Account(account) => {
            match look.ask("s3control:GetPublicAccessBlock", GLOBAL, &[("AccountId", account)]) {
                Asked::Body(body) => Some(Block::read(Some(body))),
                Asked::Absent(_) => Some(Block::default()),
                Asked::Blind(_) => None,
            }
        }
        Owner::Foreign | Owner::Unknown => None,
    };
    let block = block.or(account.unwrap_or_default());
    if block.all {
        return look.pass(bucket.name, "Block Public Access is on for the bucket's account");
    }
    let (by_policy, by_acl) = (public_policy(look, bucket), public_acl(look, bucket));
    let open: Vec<String> = [by_policy.clone().filter(|_| !block.policies), by_acl.clone().filter(|_| !block.acls)]
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let name = shell(bucket.name);
    let fix = format!(
        "aws s3api put-public-access-block --bucket {name} --public-access-block-configuration \
         BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
    );
    match () {
        // Whether the account's own block closes it again is not known.
        () if !open.is_empty() && (own.is_err() || account.is_none()) => {
            let said = said_list(open.iter().map(String::as_str));
            let blind = look.blinded(bucket.name);
            let reason = format!("open by itself ({said}); {}, so it may be blocked", blind.reason);
            Verdict { reason, remediation: fix, ..blind }
        }
        () if !open.is_empty() => {
            look.fail(bucket.name, format!("public: {}", said_list(open.iter().map(String::as_str)))).fix(fix)
        }
        () if own.is_err() || by_policy.is_none() || by_acl.is_none() => look.blinded(bucket.name),
        () => look
            .partial(
                bucket.name,
                format!("not public now, but Block Public Access is not on{}", points(look, bucket, &owner)),
            )
            .severity(Severity::Medium)
            .fix(fix),
    }
}

/// `, and 2 access points answer the internet`.
fn points(look: &Look<'_>, bucket: &Bucket<'_>, owner: &Owner<'_>) -> String {
    let Owner::Account(account) = owner else { return String::new() };
    let asked = look.body("s3control:ListAccessPoints", "", &[("AccountId", account), ("Bucket", bucket.name)]);
    let points = asked.map(|body| list(field(body, "AccessPointList"))).unwrap_or_default();
    let open = points.iter().filter(|point| text(field(point, "NetworkOrigin")) == "Internet").count();
    if open == 0 { String::new() } else { format!(", and {open} access points answer the internet") }
}

/// What makes a policy public: `Some(None)` nothing, `None` not known.
///
/// S3's own judgement is taken where it gives one: a bucket without a policy has none.
#[expect(clippy::option_option, reason = "not known, not public, and public because of something are three things")]
fn public_policy(look: &Look<'_>, bucket: &Bucket<'_>) -> Option<Option<String>> {
    let status = bucket.setting(look, "s3:GetBucketPolicyStatus").ok().flatten();
    let told = status.and_then(|body| crate::shape::boolean(at(body, &["PolicyStatus", "IsPublic"])));
    if told == Some(false) {
        return Some(None);
    }
    let document = bucket.setting(look, "s3:GetBucketPolicy");
    let read = document.ok().map(|body| body.map(|body| Policy::read_tolerantly(field(body, "Policy"))));
    let home = Home { settings: &look.context().settings, account: look.account() };
    match (told, read) {
        (Some(true), Some(Some(Some(policy)))) => {
            Some(Some(said_of(&policy, &home).unwrap_or_else(|| "its policy".to_owned())))
        }
        (Some(true), _) => Some(Some("its policy".to_owned())),
        (None, Some(Some(Some(policy)))) => Some(said_of(&policy, &home)),
        (None, Some(None)) => Some(None),
        _ => None,
    }
}

fn said_of(policy: &Policy, home: &Home<'_>) -> Option<String> {
    let everyone = policy.audience(Rules::Bucket, home).everyone?;
    let actions = said_list(everyone.actions.iter().map(String::as_str));
    Some(format!("{} may {actions}", said_list(everyone.reasons.iter().map(String::as_str))))
}

#[expect(clippy::option_option, reason = "not known, not public, and public because of something are three things")]
fn public_acl(look: &Look<'_>, bucket: &Bucket<'_>) -> Option<Option<String>> {
    let body = bucket.body(look, "s3:GetBucketAcl")?;
    let grants = list(field(body, "Grants"));
    let group = |grant: &&Value| {
        let uri = text(at(grant, &["Grantee", "URI"]));
        uri.ends_with("/global/AllUsers") || uri.ends_with("/global/AuthenticatedUsers")
    };
    let said = |grant: &Value| {
        let group = text(at(grant, &["Grantee", "URI"])).rsplit('/').next().unwrap_or_default();
        format!("its ACL gives {} to {}", clean(text(field(grant, "Permission"))), clean(group))
    };
    Some(grants.into_iter().find(group).map(said))
}

/// Whoever may do one of these can forge or lose log files.
const HARMFUL: [&str; 6] = [
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutBucketPolicy",
    "s3:PutLifecycleConfiguration",
    "s3:DeleteBucket",
];

fn policy(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let document = match bucket.setting(look, "s3:GetBucketPolicy") {
        Ok(Some(body)) => field(body, "Policy"),
        Ok(None) => return look.fail(bucket.name, "the bucket has no policy: CloudTrail cannot deliver"),
        Err(()) => return look.blinded(bucket.name),
    };
    let Some(policy) = Policy::read_tolerantly(document).filter(|_| !document.is_null()) else {
        look.unreadable("s3:GetBucketPolicy", "");
        return look.blinded(bucket.name);
    };
    let (mut wrong, mut weak) = (BTreeSet::new(), BTreeSet::new());
    for statement in policy.allows() {
        writers(statement, &mut wrong, &mut weak);
    }
    if !policy.allows().any(|statement| is_for_cloudtrail(statement) && statement.covers_action("s3:PutObject")) {
        wrong.insert("CloudTrail may not write".to_owned());
    }
    if !policy.statements.iter().any(refuses_plain_text) {
        weak.insert("requests without TLS are not refused".to_owned());
    }
    let said = |set: &BTreeSet<String>| said_list(set.iter().map(String::as_str));
    match () {
        () if !wrong.is_empty() => look.fail(bucket.name, said(&(&wrong | &weak))),
        () if !weak.is_empty() => look.partial(bucket.name, said(&weak)).severity(Severity::Medium),
        () => look.pass(bucket.name, "CloudTrail alone writes, for named trails, over TLS"),
    }
}

fn writers(statement: &Statement, wrong: &mut BTreeSet<String>, weak: &mut BTreeSet<String>) {
    let harm: Vec<&str> = HARMFUL.into_iter().filter(|action| statement.covers_action(action)).collect();
    let Some(first) = harm.first() else { return };
    if !statement.not_principals.is_empty() {
        wrong.insert(format!("everybody but some may {first} (NotPrincipal)"));
    }
    for principal in &statement.principals {
        let name = clean(&principal.value);
        let is_service = principal.kind.eq_ignore_ascii_case("service") && principal.value != "*";
        let delivers = principal.value != CLOUDTRAIL || harm == ["s3:PutObject"];
        if !is_service || !delivers {
            wrong.insert(format!("{name} may {}", harm.join(", ")));
        } else if !names_its_source(statement) {
            weak.insert(format!("{name} may write for any trail: no aws:SourceArn or aws:SourceOrgID"));
        }
    }
}

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

fn is_for_cloudtrail(statement: &Statement) -> bool {
    statement.principals.iter().any(|principal| principal.value == CLOUDTRAIL)
}

/// Whether a condition fixes for whom a service acts.
pub(super) fn names_its_source(statement: &Statement) -> bool {
    const KEYS: [&str; 5] = [
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "kms:encryptioncontext:aws:cloudtrail:arn",
    ];
    statement.conditions.iter().any(|condition| {
        let key = condition.key.to_ascii_lowercase();
        let fixed = |value: &String| value.bytes().filter(u8::is_ascii_digit).count() >= 12 || value.starts_with("o-");
        condition.is_positive() && KEYS.contains(&key.as_str()) && condition.values.iter().all(fixed)
    })
}

fn refuses_plain_text(statement: &Statement) -> bool {
    let insecure = statement.conditions.iter().any(|condition| {
        condition.key.eq_ignore_ascii_case("aws:SecureTransport") && condition.values.iter().all(|v| v == "false")
    });
    let all = statement.principals.iter().any(|principal| principal.value == "*");
    !statement.allow
        && insecure
        && all
        && statement.covers_action("s3:PutObject")
        && statement.covers_action("s3:GetObject")
}

fn access_recorded(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let Ok(logging) = bucket.setting(look, "s3:GetBucketLogging") else { return look.blinded(bucket.name) };
    let target = logging.map_or("", |body| text(at(body, &["LoggingEnabled", "TargetBucket"])));
    if !target.is_empty() && target != bucket.name {
        return look.pass(bucket.name, format!("access logs go to {}", clean(target)));
    }
    let home = bucket.trails.first().map_or("", |trail| trail.home_region);
    // A trail that delivers into the bucket would record its own writing.
    let union = union_of(look, home, |trail| trail.bucket != bucket.name);
    let prefix = format!("arn:aws:s3:::{}/", bucket.name);
    let recorded = match union.data("AWS::S3::Object") {
        Recorded::Everything => Some(true),
        Recorded::Partly(gaps) => Some(!gaps.iter().any(|gap| gap.touches(&prefix))),
        Recorded::Nothing => Some(false),
        Recorded::Unclear(_) => None,
    };
    let fix = format!(
        "aws s3api put-bucket-logging --bucket {} --bucket-logging-status file://logging.json",
        shell(bucket.name)
    );
    match (recorded, target.is_empty()) {
        (Some(true), _) => {
            look.pass(bucket.name, "data events of the bucket are recorded by a trail that delivers elsewhere")
        }
        (None, _) => look.blinded(bucket.name),
        (Some(false), false) => look.partial(bucket.name, "access logs go into the bucket itself").fix(fix),
        (Some(false), true) => {
            look.fail(bucket.name, "there are neither access logs nor data events of the bucket").fix(fix)
        }
    }
}

fn immutable(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let retained = bucket.setting(look, "s3:GetObjectLockConfiguration");
    let Ok(versioning) = bucket.setting(look, "s3:GetBucketVersioning") else { return look.blinded(bucket.name) };
    let word = |name| versioning.map_or("", |body| text(field(body, name)));
    let name = shell(bucket.name);
    if word("Status") != "Enabled" {
        let fix = format!("aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled");
        return look.fail(bucket.name, "versioning is off: what is overwritten is gone").fix(fix);
    }
    if word("MFADelete") == "Enabled" {
        return look.pass(bucket.name, "versions are kept, and MFA is needed to delete one");
    }
    let Ok(retained) = retained else { return look.blinded(bucket.name) };
    let rule = retained.map_or(&Value::Null, |body| at(body, &["ObjectLockConfiguration", "Rule", "DefaultRetention"]));
    let days =
        number(field(rule, "Days")).or_else(|| number(field(rule, "Years")).map(|years| years.saturating_mul(365)));
    let wanted = look.context().retention_days;
    let mode = clean(text(field(rule, "Mode")));
    let fix = format!(
        "aws s3api put-object-lock-configuration --bucket {name} --object-lock-configuration \
         'ObjectLockEnabled=Enabled,Rule={{DefaultRetention={{Mode=COMPLIANCE,Days={wanted}}}}}'"
    );
    match days {
        Some(days) if days >= wanted => look.pass(bucket.name, format!("Object Lock, {mode}, {days} days")),
        Some(days) => look.partial(bucket.name, format!("Object Lock holds {days} days, {wanted} are wanted")).fix(fix),
        None => look.partial(bucket.name, "versions are kept, but Object Lock and MFA delete are off").fix(fix),
    }
}

/// Log files have to be at hand for so many days (PCI DSS 4.0, 10.5.1: three months).
const AT_HAND: i64 = 90;

fn retention(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let rules = match bucket.setting(look, "s3:GetBucketLifecycleConfiguration") {
        Err(()) => return look.blinded(bucket.name),
        Ok(None) => return look.pass(bucket.name, "nothing expires"),
        Ok(Some(body)) if !field(body, "Rules").is_array() => {
            look.unreadable("s3:GetBucketLifecycleConfiguration", "");
            return look.blinded(bucket.name);
        }
        Ok(Some(body)) => list(field(body, "Rules")),
    };
    let wanted = look.context().retention_days;
    let prefixes: Vec<String> = bucket
        .trails
        .iter()
        .map(|trail| if trail.prefix.is_empty() { "AWSLogs/".to_owned() } else { format!("{}/AWSLogs/", trail.prefix) })
        .collect();
    let (mut early, mut weak) = (Vec::new(), Vec::new());
    for rule in rules.into_iter().filter(|rule| text(field(rule, "Status")) != "Disabled" && concerns(rule, &prefixes))
    {
        judge_rule(rule, wanted, &mut early, &mut weak);
    }
    match () {
        () if !early.is_empty() => look.fail(bucket.name, said_list(early.iter().map(String::as_str))),
        () if !weak.is_empty() => {
            look.partial(bucket.name, said_list(weak.iter().map(String::as_str))).severity(Severity::Medium)
        }
        () => look.pass(bucket.name, format!("nothing expires before {wanted} days")),
    }
}

fn judge_rule(rule: &Value, wanted: i64, early: &mut Vec<String>, weak: &mut Vec<String>) {
    let name = clean(text(field(rule, "ID")));
    let expiration = field(rule, "Expiration");
    match number(field(expiration, "Days")) {
        Some(days) if days < wanted => {
            early.push(format!("rule {name} deletes after {days} days, {wanted} are wanted"));
        }
        _ if !field(expiration, "Date").is_null() => early.push(format!("rule {name} deletes everything on a day")),
        _ => {}
    }
    let noncurrent = number(at(rule, &["NoncurrentVersionExpiration", "NoncurrentDays"]));
    if let Some(days) = noncurrent.filter(|days| *days < wanted) {
        weak.push(format!("rule {name} deletes old versions after {days} days"));
    }
    for transition in list(field(rule, "Transitions")) {
        let class = text(field(transition, "StorageClass"));
        let days = number(field(transition, "Days")).unwrap_or(0);
        if matches!(class, "GLACIER" | "DEEP_ARCHIVE") && days < AT_HAND {
            weak.push(format!("rule {name} puts log files out of reach after {days} days ({class})"));
        }
    }
}

/// Whether a rule is about log files: its prefix meets theirs. Log files have no tags, so a rule about tags is not.
fn concerns(rule: &Value, prefixes: &[String]) -> bool {
    let filter = field(rule, "Filter");
    let tagged = !field(filter, "Tag").is_null() || !list(at(filter, &["And", "Tags"])).is_empty();
    let places = [field(filter, "Prefix"), at(filter, &["And", "Prefix"]), field(rule, "Prefix")];
    let prefix = places.into_iter().map(text).find(|prefix| !prefix.is_empty()).unwrap_or_default();
    !tagged && prefixes.iter().any(|logs| logs.starts_with(prefix) || prefix.starts_with(logs.as_str()))
}

#[cfg(test)]
mod tests;
