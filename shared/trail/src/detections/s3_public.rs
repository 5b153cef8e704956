//! S3 was opened to the world, or what keeps it closed and recoverable was taken away.

use serde_json::Value;

use super::exposure::{Document, Thing, audience_catch, deep, graded, hidden, home, named, policy_catch, some_of};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::policy::{Audience, Rules};
use crate::record::Outcome;
use crate::shape::{falsy, field, list, text, texts, truthy};

pub(super) const ALL: &[&Detection] = &[
    &POLICY_OPENED,
    &BUCKET_ACL_OPENED,
    &OBJECT_ACL_OPENED,
    &BLOCK_REMOVED,
    &ACLS_ENABLED,
    &WEBSITE_ENABLED,
    &ACCESS_GRANTED,
    &REPLICATED_OUTSIDE,
    &CORS_OPENED,
    &POLICY_DELETED,
    &VERSIONING_WEAKENED,
    &ACCESS_LOGGING_OFF,
    &ENCRYPTION_WEAKENED,
    &SETTING_CHANGED,
];

const S3: &str = "s3.amazonaws.com";
/// S3's account-wide API is recorded under its own name too, in two spellings.
const S3_CONTROL: &str = "s3-control.amazonaws.com";
const S3CONTROL: &str = "s3control.amazonaws.com";
const S3_EXPRESS: &str = "s3express.amazonaws.com";
const S3_OUTPOSTS: &str = "s3-outposts.amazonaws.com";
const S3_TABLES: &str = "s3tables.amazonaws.com";
const S3_VECTORS: &str = "s3vectors.amazonaws.com";

const BUCKET_CHANGES: &[&str] = &["CIS 7.0 5.8", "CIS 3.0 4.8", "CloudWatch.8"];

const POLICY_CALLS: &[&str] = &[
    "PutBucketPolicy",
    "PutAccessPointPolicy",
    "PutAccessPointPolicyForObjectLambda",
    "PutMultiRegionAccessPointPolicy",
    "PutAccessGrantsInstanceResourcePolicy",
];

/// A policy lets in everyone, or an account that is not ours, or cannot be read.
static POLICY_OPENED: Detection = Detection {
    id: "s3-policy-opened",
    title: "S3 policy open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1530", "T1537"],
    controls: &["CIS 7.0 5.8", "CIS 3.0 4.8", "CloudWatch.8", "S3.2", "S3.3", "S3.6"],
    wants: &[
        Want::Calls(S3, POLICY_CALLS),
        Want::Calls(S3_CONTROL, POLICY_CALLS),
        Want::Calls(S3CONTROL, POLICY_CALLS),
        Want::Calls(S3_EXPRESS, &["PutBucketPolicy", "PutAccessPointPolicy"]),
        Want::Calls(S3_OUTPOSTS, &["PutBucketPolicy", "PutAccessPointPolicy"]),
        Want::Calls(S3_TABLES, &["PutTableBucketPolicy", "PutTablePolicy"]),
        Want::Calls(S3_VECTORS, &["PutVectorBucketPolicy"]),
    ],
    check: policy_opened,
    why: "A policy decides over every object at once; what it opens is copied before anybody looks.",
    runbook: &[
        "Is it a website or a download area? Ask the owner, else delete the statement or the policy",
        "Turn the bucket's public access block on: it closes it whatever the policy says",
        "What was read meanwhile: data events of the bucket, or its access logs, for GetObject by strangers",
    ],
    ..Detection::BASE
};

fn policy_opened(case: &Case<'_>) -> Option<Catch> {
    let thing = policy_holder(case);
    let rules = match thing.noun {
        "access point" | "multi-region access point" | "object lambda access point" => Rules::AccessPoint,
        _ => Rules::Bucket,
    };
    let document = match Document::of(case, &["bucketPolicy", "policy", "resourcePolicy"]) {
        // S3 records its requests even where it refuses them: one that is missing was made to be.
        Document::Unrecorded => Document::Hidden,
        document => document,
    };
    policy_catch(case, &thing, &document, rules)
}

fn policy_holder(case: &Case<'_>) -> Thing {
    let (noun, names): (_, &[&str]) = match case.record.action() {
        "PutAccessPointPolicy" => ("access point", &["name", "accessPointName"]),
        "PutAccessPointPolicyForObjectLambda" => ("object lambda access point", &["name"]),
        "PutMultiRegionAccessPointPolicy" => ("multi-region access point", &["name"]),
        "PutAccessGrantsInstanceResourcePolicy" => {
            return Thing::new("access grants instance of account", case.account);
        }
        "PutTableBucketPolicy" => ("table bucket", &["tableBucketARN", "tableBucketArn"]),
        "PutTablePolicy" => ("table", &["tableARN", "name"]),
        "PutVectorBucketPolicy" => ("vector bucket", &["vectorBucketName", "vectorBucketArn"]),
        _ => return bucket(case),
    };
    Thing::new(noun, named(case, names))
}

/// The bucket of a call.
fn bucket(case: &Case<'_>) -> Thing {
    let named = named(case, &["bucketName", "bucket"]);
    let name = named.strip_prefix("arn:").and_then(|arn| arn.split(":::").nth(1)).unwrap_or(&named);
    Thing::new("bucket", name.split('/').next().unwrap_or_default())
}

/// A bucket's access control list lets in everyone, or a canonical user that may be anyone.
static BUCKET_ACL_OPENED: Detection = Detection {
    id: "s3-bucket-acl-opened",
    title: "S3 bucket ACL open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1530"],
    controls: &["CIS 7.0 5.8", "CIS 3.0 4.8", "CloudWatch.8", "S3.2", "S3.3", "S3.12"],
    wants: &[Want::Calls(S3, &["PutBucketAcl", "CreateBucket"])],
    check: bucket_acl_opened,
    why: "An ACL for AllUsers or AuthenticatedUsers (any AWS account in the world) lists the bucket to scanners.",
    runbook: &[
        "Put the ACL back: aws s3api put-bucket-acl --acl private",
        "Turn the bucket's public access block on and its ACLs off (BucketOwnerEnforced)",
        "What was listed, read or written meanwhile: the bucket's data events or access logs",
    ],
    ..Detection::BASE
};

fn bucket_acl_opened(case: &Case<'_>) -> Option<Catch> {
    audience_catch(case, &bucket(case), &acl_audience(case.record.request()))
}

const OBJECT_CALLS: &[&str] = &["PutObjectAcl", "PutObject", "CopyObject", "CreateMultipartUpload", "PostObject"];

/// Without one of these words an ACL is not public. Most records of a busy trail are uploads.
const PUBLIC_WORDS: &[&str] = &["public-read", "authenticated-read", "AllUsers", "AuthenticatedUsers"];

/// An object's access control list lets in everyone. Seen where data events are recorded.
static OBJECT_ACL_OPENED: Detection = Detection {
    id: "s3-object-acl-opened",
    title: "S3 object made public",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1530", "T1537"],
    controls: &["S3.12"],
    wants: &[Want::CallsSaying(S3, OBJECT_CALLS, PUBLIC_WORDS)],
    check: object_acl_opened,
    why: "A public object can be read by anyone who knows or guesses its name, whatever the bucket's policy says.",
    runbook: &[
        "Which objects, and what is in them: the finding lists the first ones, the bucket's data events all",
        "Turn on IgnorePublicAcls in the bucket's public access block: it closes all of them at once",
        "Who read them meanwhile: GetObject by anonymous callers",
    ],
    ..Detection::BASE
};

fn object_acl_opened(case: &Case<'_>) -> Option<Catch> {
    let Audience { everyone: Some(everyone), .. } = acl_audience(case.record.request()) else { return None };
    let bucket = bucket(case);
    let object = format!("{}/{}", bucket.name, case.record.parameter("key"));
    let may = some_of(everyone.actions.iter());
    let deed = Deed::new("make", "made", format!("object {object} public: anyone may {may}"));
    let catch = bucket.catch(deed).severity(graded(case, Severity::Critical));
    Some(catch.resource(object))
}

/// Whom an ACL lets in, in each of the ways in which a request can say it: canned, as headers, as a body.
fn acl_audience(request: &Value) -> Audience {
    let mut audience = Audience::default();
    let members = [request, field(request, "accessControlList")];
    for (name, value) in members.iter().filter_map(|members| members.as_object()).flatten() {
        let name = name.to_ascii_lowercase().replace('_', "-");
        for text in texts(value) {
            if name == "x-amz-acl" {
                add_canned(&mut audience, text);
            } else if let Some(permission) = name.strip_prefix("x-amz-grant-") {
                add_header(&mut audience, permission, text);
            }
        }
    }
    add_body(&mut audience, field(request, "accessControlPolicy"));
    audience
}

fn add_canned(audience: &mut Audience, canned: &str) {
    let actions: &[&str] = match canned.trim().to_ascii_lowercase().as_str() {
        "public-read" | "authenticated-read" => &["read"],
        "public-read-write" => &["read", "write"],
        _ => return,
    };
    let actions: Vec<_> = actions.iter().map(|action| (*action).to_owned()).collect();
    audience.open_to_everyone(&format!("ACL {}", canned.trim()), &actions);
}

/// `uri="http://acs.amazonaws.com/groups/global/AllUsers", id="…"`.
fn add_header(audience: &mut Audience, permission: &str, grantees: &str) {
    for grantee in grantees.split(',') {
        let (kind, value) = grantee.split_once('=').unwrap_or(("uri", grantee));
        let value = value.trim().trim_matches(['"', '\'']);
        if kind.trim().eq_ignore_ascii_case("id") {
            audience.let_in_canonical_user(value);
        } else {
            add_group(audience, value, permission);
        }
    }
}

fn add_group(audience: &mut Audience, uri: &str, permission: &str) {
    let uri = uri.trim_end_matches('/').to_ascii_lowercase();
    let group = match () {
        () if uri.ends_with("/global/allusers") => "AllUsers",
        () if uri.ends_with("/global/authenticatedusers") => "AuthenticatedUsers",
        () => return,
    };
    let permission = permission.to_ascii_lowercase().replace('_', "-");
    audience.open_to_everyone(&format!("a grant to {group}"), &[permission]);
}

/// `AccessControlPolicy`: the owner is no stranger, whoever it is.
fn add_body(audience: &mut Audience, policy: &Value) {
    let owner = text(field(field(policy, "owner"), "ID"));
    let grants = field(policy, "accessControlList");
    let grants = if grants.is_array() { grants } else { field(grants, "grant") };
    for grant in list(grants) {
        let grantee = field(grant, "grantee");
        let uri = [field(grantee, "URI"), field(grantee, "uri")].into_iter().map(text).find(|uri| !uri.is_empty());
        add_group(audience, uri.unwrap_or_default(), text(field(grant, "permission")));
        let id = text(field(grantee, "ID"));
        if !id.is_empty() && id != owner {
            audience.let_in_canonical_user(id);
        }
    }
}

const BLOCK_CALLS: &[&str] = &[
    "PutBucketPublicAccessBlock",
    "PutPublicAccessBlock",
    "PutAccountPublicAccessBlock",
    "PutAccessPointPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
    "DeletePublicAccessBlock",
    "DeleteAccountPublicAccessBlock",
    "DeleteAccessPointPublicAccessBlock",
    "CreateAccessPoint",
    "CreateMultiRegionAccessPoint",
];

/// A public access block is taken away in whole or in part.
static BLOCK_REMOVED: Detection = Detection {
    id: "s3-public-access-block-removed",
    title: "S3 public access block removed",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1562.001", "T1530"],
    controls: &["CIS 7.0 5.8", "CIS 3.0 4.8", "S3.1", "S3.8", "S3.19"],
    wants: &[Want::Calls(S3, BLOCK_CALLS), Want::Calls(S3_CONTROL, BLOCK_CALLS), Want::Calls(S3CONTROL, BLOCK_CALLS)],
    check: block_removed,
    why: "The block is what keeps a wrong policy or ACL from exposing data. Without it the next call, or an old \
        policy that was harmless so far, makes it public.",
    runbook: &[
        "Turn all four flags back on, unless the owner says why not",
        "Look for PutBucketPolicy, PutBucketAcl and PutObjectAcl on the same bucket or account since",
        "For an account: check which buckets have a public policy or ACL that now counts again",
    ],
    ..Detection::BASE
};

/// What a block consists of. A flag that is left out of a request is off (S3 API, `PublicAccessBlockConfiguration`).
const FLAGS: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

fn block_removed(case: &Case<'_>) -> Option<Catch> {
    let thing = block_holder(case);
    if case.record.action().starts_with("Delete") {
        let deed = Deed::new("remove", "removed", format!("the public access block of {}", thing.display()));
        return Some(thing.catch(deed).severity(graded(case, Severity::Critical)));
    }
    let request = case.record.request();
    match ["PublicAccessBlockConfiguration", "PublicAccessBlock"].iter().find_map(|name| deep(request, name)) {
        Some(_) if deep(request, "VpcConfiguration").is_some() => None,
        Some(block) => flags_off(case, &thing, block),
        None => block_without_flags(case, &thing),
    }
}

fn flags_off(case: &Case<'_>, thing: &Thing, block: &Value) -> Option<Catch> {
    let off: Vec<_> = FLAGS.into_iter().filter(|flag| !truthy(field(block, flag))).collect();
    let shown = if off.len() == FLAGS.len() { "all of it".to_owned() } else { off.join(", ") };
    let object = format!("the public access block of {}: {shown}", thing.display());
    let deed = Deed::new("switch off", "switched off", object);
    (!off.is_empty()).then(|| thing.catch(deed).severity(graded(case, Severity::Critical)))
}

/// A new access point has all flags on unless it says otherwise.
fn block_without_flags(case: &Case<'_>, thing: &Thing) -> Option<Catch> {
    let creates = case.record.action().starts_with("Create");
    if case.record.request_omitted() || (!creates && case.record.request().is_null()) {
        return Some(hidden(case, thing).severity(Severity::High));
    }
    let deed = Deed::new("switch off", "switched off", format!("the public access block of {}", thing.display()));
    (!creates).then(|| thing.catch(deed).severity(graded(case, Severity::Critical)))
}

fn block_holder(case: &Case<'_>) -> Thing {
    let action = case.record.action();
    let bucket = bucket(case);
    if action.contains("MultiRegion") {
        Thing::new("multi-region access point", named(case, &["name"]))
    } else if action.contains("AccessPoint") {
        Thing::new("access point", named(case, &["name", "accessPointName"]))
    } else if action.contains("Bucket") || (!bucket.name.is_empty() && !action.contains("Account")) {
        bucket
    } else {
        Thing::new("account", case.account)
    }
}

/// ACLs count again: objects may be made public one by one, and be owned by whoever uploads them.
static ACLS_ENABLED: Detection = Detection {
    id: "s3-bucket-acls-enabled",
    title: "S3 access control lists switched on for a bucket",
    category: Category::PublicAccess,
    severity: Severity::High,
    techniques: &["T1562.001"],
    controls: &["S3.12"],
    wants: &[Want::Calls(S3, &["PutBucketOwnershipControls", "DeleteBucketOwnershipControls", "CreateBucket"])],
    check: acls_enabled,
    why: "With ACLs off, only policies open a bucket. Switching them on is the step before a public ACL.",
    runbook: &[
        "Look for PutBucketAcl or PutObjectAcl on the bucket right after",
        "Put BucketOwnerEnforced back unless a writer in another account needs ACLs",
    ],
    ..Detection::BASE
};

fn acls_enabled(case: &Case<'_>) -> Option<Catch> {
    let request = case.record.request();
    let creates = case.record.action() == "CreateBucket";
    let ownership = deep(request, "ObjectOwnership").or_else(|| deep(request, "x-amz-object-ownership"));
    let ownership = ownership.map(texts).and_then(|texts| texts.first().copied()).unwrap_or_default();
    let deleted = case.record.action().starts_with("Delete");
    // A new bucket that does not say has ACLs off; one with a public ACL is told of as that.
    if creates && bucket_acl_opened(case).is_some() {
        return None;
    }
    if ownership == "BucketOwnerEnforced" || (ownership.is_empty() && !deleted && (creates || !request.is_null())) {
        return None;
    }
    let bucket = bucket(case);
    let how = if ownership.is_empty() { String::new() } else { format!(" ({ownership})") };
    let deed = Deed::new("switch on", "switched on", format!("ACLs of {}{how}", bucket.display()));
    let full = if creates { Severity::Medium } else { Severity::High };
    Some(bucket.catch(deed).severity(graded(case, full)))
}

/// A bucket serves a website. Not public by itself, but meant to be.
static WEBSITE_ENABLED: Detection = Detection {
    id: "s3-bucket-website-enabled",
    title: "S3 bucket set up as a website",
    category: Category::PublicAccess,
    severity: Severity::High,
    techniques: &["T1530", "T1583.006"],
    controls: &[],
    wants: &[Want::Calls(S3, &["PutBucketWebsite"])],
    check: |case| {
        let bucket = bucket(case);
        let deed = Deed::new("set up", "set up", format!("{} as a website", bucket.display()));
        Some(bucket.catch(deed).severity(graded(case, Severity::High)))
    },
    why: "A website endpoint is there to serve strangers: the next step is a public policy. Attackers host phishing so.",
    runbook: &[
        "Does this bucket serve a site on purpose? Prefer CloudFront with origin access control",
        "Check the bucket's policy and public access block, and what files are in it",
    ],
    ..Detection::BASE
};

/// An access grant for a stranger.
static ACCESS_GRANTED: Detection = Detection {
    id: "s3-access-granted-outside",
    title: "S3 access grant for an account that is not ours",
    category: Category::PublicAccess,
    severity: Severity::High,
    techniques: &["T1537", "T1098"],
    controls: &[],
    wants: &[
        Want::Calls(S3, &["CreateAccessGrant"]),
        Want::Calls(S3_CONTROL, &["CreateAccessGrant"]),
        Want::Calls(S3CONTROL, &["CreateAccessGrant"]),
    ],
    check: access_granted,
    why: "A grant gives data of a bucket to an identity without touching the bucket's policy.",
    runbook: &[
        "Whose is the grantee? Ask whoever asked for it",
        "Not known: aws s3control delete-access-grant, then look for GetDataAccess by the grantee",
    ],
    ..Detection::BASE
};

fn access_granted(case: &Case<'_>) -> Option<Catch> {
    let place = named(case, &["s3SubPrefix", "S3SubPrefix", "accessGrantsLocationId"]);
    let thing = Thing::new("S3 location", place);
    let grantee = deep(case.record.request(), "GranteeIdentifier").map(text).unwrap_or_default();
    audience_catch(case, &thing, &Audience::of(grantee, &home(case)))
}

/// Objects are copied to somebody else's bucket as they arrive.
static REPLICATED_OUTSIDE: Detection = Detection {
    id: "s3-bucket-replicated-outside",
    title: "S3 bucket replicated to an account that is not ours",
    category: Category::Exfiltration,
    severity: Severity::High,
    techniques: &["T1537", "T1020"],
    controls: BUCKET_CHANGES,
    wants: &[Want::Calls(S3, &["PutBucketReplication"])],
    check: replicated_outside,
    why: "Replication copies every new object, for good and in silence, to wherever the rule says.",
    runbook: &[
        "Whose is the destination bucket? aws s3api head-bucket --expected-bucket-owner",
        "Not ours: aws s3api delete-bucket-replication, then assume what was written since is theirs",
    ],
    ..Detection::BASE
};

fn replicated_outside(case: &Case<'_>) -> Option<Catch> {
    let bucket = bucket(case);
    if case.record.request_omitted() {
        return Some(hidden(case, &bucket).severity(graded(case, Severity::High)));
    }
    let (outside, unknown) = destinations(case);
    let (targets, full) = if outside.is_empty() { (unknown, Severity::Medium) } else { (outside, Severity::High) };
    let deed = Deed::new("replicate", "replicated", format!("{} to {}", bucket.display(), some_of(targets.iter())));
    (!targets.is_empty()).then(|| bucket.catch(deed).severity(graded(case, full)))
}

/// Where objects are copied to: the buckets of strangers, and those of which the rule does not say whose they are.
fn destinations(case: &Case<'_>) -> (Vec<String>, Vec<String>) {
    let (mut outside, mut unknown) = (Vec::new(), Vec::new());
    let configuration = field(case.record.request(), "ReplicationConfiguration");
    let rules = [field(configuration, "rule"), field(configuration, "rules")];
    for destination in rules.into_iter().flat_map(list).map(|rule| field(rule, "destination")) {
        let (target, account) = (text(field(destination, "bucket")), text(field(destination, "account")));
        let target = target.rsplit(':').next().unwrap_or(target);
        match account {
            "" => unknown.push(format!("bucket {target}, whose account is not said")),
            account if home(case).holds(account) => {}
            account => outside.push(format!("bucket {target} of account {account}, not known to be ours")),
        }
    }
    (outside, unknown)
}

/// Any website may have its visitors' browsers read the bucket.
static CORS_OPENED: Detection = Detection {
    id: "s3-bucket-cors-opened",
    title: "S3 bucket readable from any website",
    category: Category::PublicAccess,
    severity: Severity::Medium,
    techniques: &["T1530"],
    controls: BUCKET_CHANGES,
    wants: &[Want::Calls(S3, &["PutBucketCors"])],
    check: cors_opened,
    why: "AllowedOrigin * lets scripts of any site use whatever access their visitor has to the bucket.",
    runbook: &["Does the bucket serve public files only? Then it is harmless; else name the origins that need it"],
    ..Detection::BASE
};

fn cors_opened(case: &Case<'_>) -> Option<Catch> {
    let configuration = field(case.record.request(), "CORSConfiguration");
    let rules = [field(configuration, "CORSRule"), field(configuration, "CORSRules")];
    let any = rules.into_iter().flat_map(list).any(|rule| {
        let origins = [field(rule, "AllowedOrigin"), field(rule, "AllowedOrigins")];
        origins.into_iter().flat_map(texts).any(|origin| ["*", "http://*", "https://*"].contains(&origin.trim()))
    });
    let bucket = bucket(case);
    let deed = Deed::new("open", "opened", format!("{} to scripts of any website (CORS *)", bucket.display()));
    any.then(|| bucket.catch(deed).severity(graded(case, Severity::Medium)))
}

/// A bucket policy is gone, and with it what it denied.
static POLICY_DELETED: Detection = Detection {
    id: "s3-bucket-policy-deleted",
    title: "S3 bucket policy deleted",
    category: Category::PublicAccess,
    severity: Severity::Medium,
    techniques: &["T1562.001"],
    controls: BUCKET_CHANGES,
    wants: &[Want::Calls(S3, &["DeleteBucketPolicy"]), Want::Calls(S3_EXPRESS, &["DeleteBucketPolicy"])],
    check: |case| {
        let bucket = bucket(case);
        let deed = Deed::new("delete", "deleted", format!("the policy of {}", bucket.display()));
        Some(bucket.catch(deed).severity(graded(case, Severity::Medium)))
    },
    why: "A policy often denies more than it allows: unencrypted transport, callers outside the network, deletion.",
    runbook: &["What did it deny? The last PutBucketPolicy of this bucket says", "Look for deletions and reads since"],
    ..Detection::BASE
};

/// What is overwritten or deleted from now on is lost.
static VERSIONING_WEAKENED: Detection = Detection {
    id: "s3-bucket-versioning-weakened",
    title: "S3 versioning suspended or MFA delete switched off",
    category: Category::Impact,
    severity: Severity::Medium,
    techniques: &["T1490", "T1485"],
    controls: &["S3.14", "S3.20"],
    wants: &[Want::Calls(S3, &["PutBucketVersioning"])],
    check: versioning_weakened,
    why: "Without versions, an overwritten or deleted object does not come back. Ransom begins here.",
    runbook: &[
        "Look for DeleteObject, PutObject and CopyObject by the same actor right after",
        "Put it back: aws s3api put-bucket-versioning --versioning-configuration Status=Enabled",
    ],
    ..Detection::BASE
};

fn versioning_weakened(case: &Case<'_>) -> Option<Catch> {
    let configuration = field(case.record.request(), "VersioningConfiguration");
    let says = |name, word: &str| text(field(configuration, name)).eq_ignore_ascii_case(word);
    let bucket = bucket(case);
    let deed = if says("status", "Suspended") {
        Deed::new("suspend", "suspended", format!("versioning of {}", bucket.display()))
    } else if says("mfaDelete", "Disabled") || says("MFADelete", "Disabled") {
        Deed::new("switch off", "switched off", format!("MFA delete of {}", bucket.display()))
    } else {
        return None;
    };
    Some(bucket.catch(deed).severity(graded(case, Severity::Medium)))
}

/// Who reads the bucket is no longer logged by S3.
static ACCESS_LOGGING_OFF: Detection = Detection {
    id: "s3-bucket-logging-off",
    title: "S3 server access logging switched off",
    category: Category::SecurityService,
    severity: Severity::Medium,
    techniques: &["T1562.008"],
    controls: &["S3.9"],
    wants: &[Want::Calls(S3, &["PutBucketLogging"])],
    check: access_logging_off,
    why: "Where data events are off, these logs are the only record of who read what.",
    runbook: &["Are data events on for this bucket? Else switch logging back on", "What did the actor do since?"],
    ..Detection::BASE
};

fn access_logging_off(case: &Case<'_>) -> Option<Catch> {
    let request = case.record.request();
    let enabled =
        deep(request, "LoggingEnabled").is_some_and(|to| !falsy(to) && to.as_object().is_none_or(|to| !to.is_empty()));
    let unknown = request.is_null() || case.record.request_omitted();
    let bucket = bucket(case);
    let deed = Deed::new("switch off", "switched off", format!("access logging of {}", bucket.display()));
    (!enabled && !unknown).then(|| bucket.catch(deed).severity(graded(case, Severity::Medium)))
}

/// New objects are encrypted with AWS's key, or with a stranger's.
static ENCRYPTION_WEAKENED: Detection = Detection {
    id: "s3-bucket-encryption-weakened",
    title: "S3 default encryption removed or given to a stranger's key",
    category: Category::Impact,
    severity: Severity::Medium,
    techniques: &["T1486", "T1562.001"],
    controls: &["S3.17"],
    wants: &[Want::Calls(S3, &["DeleteBucketEncryption", "PutBucketEncryption"])],
    check: encryption_weakened,
    why: "A key of ours is a second lock on the data, and its use is logged. With a stranger's key, whatever is \
        written is readable at the stranger's pleasure.",
    runbook: &[
        "Which key was it before? The last PutBucketEncryption of this bucket says: put it back",
        "A stranger's key: stop writers, and look for CopyObject of existing objects onto themselves",
    ],
    ..Detection::BASE
};

fn encryption_weakened(case: &Case<'_>) -> Option<Catch> {
    let bucket = bucket(case);
    if case.record.action() == "DeleteBucketEncryption" {
        let deed = Deed::new("remove", "removed", format!("the default encryption of {}", bucket.display()));
        return Some(bucket.catch(deed).severity(graded(case, Severity::Medium)));
    }
    let key = deep(case.record.request(), "KMSMasterKeyID").map(text).unwrap_or_default();
    let strangers = Audience::of(key, &home(case)).outsiders;
    let deed =
        Deed::new("set", "set", format!("encryption of {} with key {key}, not known to be ours", bucket.display()));
    (!strangers.is_empty()).then(|| bucket.catch(deed).severity(graded(case, Severity::High)))
}

/// A bucket's settings change in a way that nothing else here has something to say about.
static SETTING_CHANGED: Detection = Detection {
    id: "s3-bucket-setting-changed",
    title: "S3 bucket setting changed",
    category: Category::Other,
    severity: Severity::Informational,
    techniques: &[],
    controls: BUCKET_CHANGES,
    wants: &[Want::Calls(
        S3,
        &[
            "PutBucketAcl",
            "PutBucketPolicy",
            "PutBucketCors",
            "PutBucketLifecycle",
            "PutBucketLifecycleConfiguration",
            "PutBucketReplication",
            "DeleteBucketCors",
            "DeleteBucketLifecycle",
            "DeleteBucketReplication",
        ],
    )],
    check: setting_changed,
    why: "CIS asks for every change of a bucket's policy, ACL, CORS, lifecycle and replication to be seen.",
    runbook: &["Was it expected? Compare with the change request or the deployment of that hour"],
    ..Detection::BASE
};

fn setting_changed(case: &Case<'_>) -> Option<Catch> {
    let louder = match case.record.action() {
        "PutBucketAcl" => bucket_acl_opened(case),
        "PutBucketPolicy" => policy_opened(case),
        "PutBucketCors" => cors_opened(case),
        "PutBucketReplication" => replicated_outside(case),
        _ => None,
    };
    let bucket = bucket(case);
    let deed = Deed::new("change", "changed", format!("{}: {}", bucket.display(), case.record.action()));
    (louder.is_none() && case.outcome != Outcome::Failed).then(|| bucket.catch(deed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::settings::Settings;
    use crate::testing::{caught, caught_with, record};
    use serde_json::json;

    const STRANGER: &str = "999988887777";
    const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

    fn called(name: &str, request: Value) -> Value {
        let mut record = record(S3, name, json!({}));
        record["requestParameters"] = request;
        record
    }

    fn denied(name: &str, request: Value) -> Value {
        let mut record = called(name, request);
        record["errorCode"] = json!("AccessDenied");
        record
    }

    fn severity(detection: &'static Detection, record: &Value) -> Option<Severity> {
        caught(detection, record).map(|caught| caught.lead.severity)
    }

    fn said(detection: &'static Detection, name: &str, request: Value) -> Option<Severity> {
        severity(detection, &called(name, request))
    }

    fn statement(principal: Value, condition: Value) -> Value {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"});
        statement["Principal"] = principal;
        statement["Condition"] = condition;
        statement
    }

    fn put_policy(statements: Value) -> Value {
        let mut request = json!({"bucketName": "data", "Host": "data.s3.amazonaws.com", "policy": "",
            "bucketPolicy": {"Version": "2012-10-17"}});
        request["bucketPolicy"]["Statement"] = statements;
        request
    }

    fn public_policy() -> Value {
        put_policy(json!([statement(json!("*"), json!({}))]))
    }

    #[test]
    fn a_bucket_policy_for_everyone() {
        let Match { lead, key, resources, .. } =
            caught(&POLICY_OPENED, &called("PutBucketPolicy", public_policy())).expect("caught");
        assert_eq!((lead.severity, key.as_str()), (Severity::Critical, "data"));
        assert_eq!(resources, ["data"]);
        assert_eq!(lead.deed, Deed::new("make", "made", "bucket data public: anyone may s3:GetObject"));
        let lone = put_policy(statement(json!({"AWS": ["*"]}), json!({"Bool": {"aws:SecureTransport": "true"}})));
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", lone), Some(Severity::Critical));
    }

    #[test]
    fn a_refused_public_policy_is_high() {
        assert_eq!(severity(&POLICY_OPENED, &denied("PutBucketPolicy", public_policy())), Some(Severity::High));
        assert_eq!(severity(&POLICY_OPENED, &denied("PutBucketPolicy", Value::Null)), Some(Severity::High));
    }

    #[test]
    fn a_bucket_policy_for_a_stranger_and_for_us() {
        let to = |principal: Value| put_policy(json!([statement(principal, json!({}))]));
        let stranger = || to(json!({"AWS": "arn:aws:iam::999988887777:root"}));
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", stranger()), Some(Severity::High));
        assert_eq!(severity(&POLICY_OPENED, &denied("PutBucketPolicy", stranger())), Some(Severity::Medium));
        let mut settings = Settings::default();
        settings.accounts.insert(STRANGER.to_owned(), crate::settings::Account::default());
        assert!(caught_with(settings, &POLICY_OPENED, &called("PutBucketPolicy", stranger())).is_none());
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", to(json!({"AWS": "111122223333"}))), None);
        let service = json!({"Service": "cloudtrail.amazonaws.com"});
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", to(service)), None);
        let organization = json!({"StringEquals": {"aws:PrincipalOrgID": "o-ours"}});
        let request = put_policy(json!([statement(json!("*"), organization)]));
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", request), None);
    }

    #[test]
    fn the_worst_statement_speaks_and_denying_changes_nothing() {
        let stranger = statement(json!({"AWS": STRANGER}), json!({}));
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"});
        let request = put_policy(json!([stranger, statement(json!("*"), json!({})), deny]));
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", request), Some(Severity::Critical));
        let deny = put_policy(json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}));
        assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", deny), None);
    }

    #[test]
    fn a_hidden_or_unreadable_policy_is_high() {
        for request in [
            json!({"omitted": true, "originalSize": 200_000, "reason": "requestParameters too large"}),
            json!({"bucketName": "data", "bucketPolicy": {"omitted": true}}),
            json!({"bucketName": "data", "bucketPolicy": "{\"Statement\": ["}),
            json!({"bucketName": "data", "policy": ""}),
            json!("scrubbed"),
            json!([]),
        ] {
            assert_eq!(said(&POLICY_OPENED, "PutBucketPolicy", request.clone()), Some(Severity::High), "{request}");
        }
    }

    #[test]
    fn access_point_policies_of_every_kind() {
        let policy = json!({"Statement": [statement(json!("*"), json!({}))]}).to_string();
        let account =
            json!({"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:eu-west-1:111122223333:accesspoint/*"}});
        let wide = json!({"Statement": [statement(json!("*"), account)]}).to_string();
        for (name, request, key) in [
            ("PutAccessPointPolicy", json!({"name": "ap", "PutAccessPointPolicyRequest": {"Policy": policy}}), "ap"),
            ("PutAccessPointPolicy", json!({"name": "ap", "policy": [wide]}), "ap"),
            ("PutAccessPointPolicyForObjectLambda", json!({"name": "ol", "Policy": policy}), "ol"),
            (
                "PutMultiRegionAccessPointPolicy",
                json!({"PutMultiRegionAccessPointPolicyRequest":
                {"Details": {"Name": "mr", "Policy": policy}}}),
                "mr",
            ),
            ("PutAccessGrantsInstanceResourcePolicy", json!({"Policy": policy}), "111122223333"),
        ] {
            for source in [S3, S3_CONTROL, S3CONTROL] {
                let mut record = called(name, request.clone());
                record["eventSource"] = json!(source);
                let caught = caught(&POLICY_OPENED, &record).expect(name);
                assert_eq!((caught.lead.severity, caught.key.as_str()), (Severity::Critical, key), "{name} {source}");
            }
        }
    }

    #[test]
    fn canned_acls_as_text_and_as_list() {
        for canned in ["public-read", "public-read-write", "authenticated-read"] {
            for value in [json!(canned), json!([canned])] {
                let request = json!({"bucketName": "data", "acl": "", "x-amz-acl": value});
                assert_eq!(said(&BUCKET_ACL_OPENED, "PutBucketAcl", request.clone()), Some(Severity::Critical));
                assert_eq!(said(&BUCKET_ACL_OPENED, "CreateBucket", request.clone()), Some(Severity::Critical));
                assert_eq!(severity(&BUCKET_ACL_OPENED, &denied("PutBucketAcl", request)), Some(Severity::High));
            }
        }
        for canned in ["private", "log-delivery-write", "bucket-owner-full-control", "aws-exec-read"] {
            let request = json!({"bucketName": "data", "x-amz-acl": [canned]});
            assert_eq!(said(&BUCKET_ACL_OPENED, "PutBucketAcl", request), None, "{canned}");
        }
        assert_eq!(said(&BUCKET_ACL_OPENED, "CreateBucket", json!({"bucketName": "data"})), None);
    }

    #[test]
    fn grant_headers() {
        let header = |name: &str, value: &str| json!({"bucketName": "data", name: [value]});
        let public = "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\", id=\"abc\"";
        for name in ["x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp", "x-amz-grant-full-control"] {
            assert_eq!(said(&BUCKET_ACL_OPENED, "PutBucketAcl", header(name, public)), Some(Severity::Critical));
        }
        let nested = json!({"bucketName": "data", "AccessControlList": {"x_amz_grant_read": public}});
        assert_eq!(said(&BUCKET_ACL_OPENED, "PutBucketAcl", nested), Some(Severity::Critical));
        let logs = "uri=http://acs.amazonaws.com/groups/s3/LogDelivery";
        assert_eq!(said(&BUCKET_ACL_OPENED, "PutBucketAcl", header("x-amz-grant-write", logs)), None);
        let unknown = "id=\"0123abcd\"";
        let severity = said(&BUCKET_ACL_OPENED, "PutBucketAcl", header("x-amz-grant-read", unknown));
        assert_eq!(severity, Some(Severity::Medium));
    }

    fn acl_body(grants: Value) -> Value {
        let mut request = json!({"bucketName": "data", "AccessControlPolicy": {
            "Owner": {"ID": "owner"}, "AccessControlList": {}, "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"}});
        request["AccessControlPolicy"]["AccessControlList"]["Grant"] = grants;
        request
    }

    #[test]
    fn acl_bodies() {
        let group = |uri: &str| json!({"Grantee": {"xsi:type": "Group", "URI": uri}, "Permission": "READ"});
        let user = |id: &str| json!({"Grantee": {"xsi:type": "CanonicalUser", "ID": id}, "permission": "FULL_CONTROL"});
        let said = |grants| said(&BUCKET_ACL_OPENED, "PutBucketAcl", acl_body(grants));
        assert_eq!(said(group(ALL_USERS)), Some(Severity::Critical));
        assert_eq!(said(json!([user("owner"), group(ALL_USERS)])), Some(Severity::Critical));
        let authenticated = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
        assert_eq!(said(group(authenticated)), Some(Severity::Critical));
        assert_eq!(said(json!([user("owner"), group("http://acs.amazonaws.com/groups/s3/LogDelivery")])), None);
        assert_eq!(said(user("owner")), None);
        assert_eq!(said(user("somebody")), Some(Severity::Medium));
    }

    #[test]
    fn objects_made_public_meet_in_one_finding_for_the_bucket() {
        for name in ["PutObjectAcl", "PutObject", "CopyObject", "CreateMultipartUpload"] {
            let request = json!({"bucketName": "data", "key": "a/b.csv", "x-amz-acl": "public-read"});
            let Match { lead, key, resources, .. } =
                caught(&OBJECT_ACL_OPENED, &called(name, request.clone())).expect(name);
            assert_eq!((lead.severity, key.as_str()), (Severity::Critical, "data"));
            assert_eq!(resources, ["data", "data/a/b.csv"]);
            assert_eq!(severity(&OBJECT_ACL_OPENED, &denied(name, request)), Some(Severity::High));
        }
        let private = json!({"bucketName": "data", "key": "a", "x-amz-acl": "bucket-owner-full-control"});
        assert_eq!(said(&OBJECT_ACL_OPENED, "PutObject", private), None);
        let owner = json!({"bucketName": "data", "key": "a", "x-amz-grant-full-control": "id=\"abc\""});
        assert_eq!(said(&OBJECT_ACL_OPENED, "PutObject", owner), None);
    }

    fn block(flags: [Value; 4]) -> Value {
        let [acls, ignore, policy, restrict] = flags;
        json!({"bucketName": "data", "publicAccessBlock": "", "PublicAccessBlockConfiguration": {
            "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "BlockPublicAcls": acls, "IgnorePublicAcls": ignore,
            "BlockPublicPolicy": policy, "RestrictPublicBuckets": restrict}})
    }

    #[test]
    fn a_block_is_off_when_one_flag_is_false_or_missing() {
        let name = "PutBucketPublicAccessBlock";
        let yes = || json!(true);
        for request in [
            block([json!(false), json!(false), json!(false), json!(false)]),
            block([yes(), yes(), json!("false"), yes()]),
            block([yes(), yes(), Value::Null, yes()]),
            json!({"bucketName": "data", "publicAccessBlockConfiguration": {"blockPublicAcls": true}}),
            json!({"bucketName": "data", "publicAccessBlock": ""}),
        ] {
            assert_eq!(said(&BLOCK_REMOVED, name, request.clone()), Some(Severity::Critical), "{request}");
            assert_eq!(severity(&BLOCK_REMOVED, &denied(name, request)), Some(Severity::High));
        }
        for request in [block([yes(), yes(), yes(), yes()]), block([json!("true"), json!("True"), yes(), yes()])] {
            assert_eq!(said(&BLOCK_REMOVED, name, request), None);
        }
        assert_eq!(severity(&BLOCK_REMOVED, &denied(name, Value::Null)), Some(Severity::High));
    }

    #[test]
    fn the_sentence_names_the_flags_that_went() {
        let request = block([json!(true), json!(true), json!(false), json!(false)]);
        let caught = caught(&BLOCK_REMOVED, &called("PutBucketPublicAccessBlock", request)).expect("caught");
        let object = "the public access block of bucket data: BlockPublicPolicy, RestrictPublicBuckets";
        assert_eq!(caught.lead.deed, Deed::new("switch off", "switched off", object));
    }

    #[test]
    fn blocks_of_account_and_access_point_under_every_name() {
        let off = json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": false}, "accountId": "111122223333"});
        for (name, request, key) in [
            ("PutAccountPublicAccessBlock", off.clone(), "111122223333"),
            ("PutPublicAccessBlock", off.clone(), "111122223333"),
            ("DeleteAccountPublicAccessBlock", json!({"accountId": "111122223333"}), "111122223333"),
            ("DeleteAccountPublicAccessBlock", Value::Null, "111122223333"),
            ("DeletePublicAccessBlock", json!({}), "111122223333"),
            ("DeletePublicAccessBlock", json!({"bucketName": "data"}), "data"),
            ("DeleteBucketPublicAccessBlock", json!({"bucketName": "data", "publicAccessBlock": ""}), "data"),
            (
                "CreateAccessPoint",
                json!({"name": "ap", "CreateAccessPointRequest": {"Bucket": "data",
                "PublicAccessBlockConfiguration": {"BlockPublicPolicy": false}}}),
                "ap",
            ),
        ] {
            for source in [S3, S3_CONTROL, S3CONTROL] {
                let mut record = called(name, request.clone());
                record["eventSource"] = json!(source);
                let caught = caught(&BLOCK_REMOVED, &record).expect(name);
                assert_eq!((caught.lead.severity, caught.key.as_str()), (Severity::Critical, key), "{name} {source}");
            }
        }
    }

    #[test]
    fn what_was_refused_is_not_said_to_be_open() {
        let request = json!({"bucketName": "data", "bucketPolicy": {"Statement": {"Effect": "Allow", "Principal": "*",
            "Action": "s3:GetObject", "Resource": "*"}}});
        let why = |record: &Value| caught(&POLICY_OPENED, record).and_then(|found| found.lead.why).expect("a reason");
        assert!(why(&called("PutBucketPolicy", request.clone())).starts_with("It is open"));
        assert!(why(&denied("PutBucketPolicy", request)).starts_with("It would have been open"));
    }

    #[test]
    fn an_access_point_of_a_vpc_or_with_its_block_on_is_private() {
        let plain = json!({"name": "ap", "CreateAccessPointRequest": {"Bucket": "data"}});
        assert_eq!(said(&BLOCK_REMOVED, "CreateAccessPoint", plain), None);
        let vpc = json!({"name": "ap", "CreateAccessPointRequest": {"VpcConfiguration": {"VpcId": "vpc-1"},
            "PublicAccessBlockConfiguration": {"BlockPublicPolicy": false}}});
        assert_eq!(said(&BLOCK_REMOVED, "CreateAccessPoint", vpc), None);
    }

    #[test]
    fn acls_switched_on() {
        let rule =
            |ownership| json!({"bucketName": "data", "OwnershipControls": {"Rule": {"ObjectOwnership": ownership}}});
        let name = "PutBucketOwnershipControls";
        assert_eq!(said(&ACLS_ENABLED, name, rule("ObjectWriter")), Some(Severity::High));
        assert_eq!(said(&ACLS_ENABLED, name, rule("BucketOwnerPreferred")), Some(Severity::High));
        assert_eq!(said(&ACLS_ENABLED, name, rule("BucketOwnerEnforced")), None);
        let listed = |ownership| json!({"OwnershipControls": {"Rule": [{"ObjectOwnership": ownership}]}});
        assert_eq!(said(&ACLS_ENABLED, name, listed("ObjectWriter")), Some(Severity::High));
        assert_eq!(said(&ACLS_ENABLED, name, listed("BucketOwnerEnforced")), None);
        let bucket = json!({"bucketName": "data"});
        assert_eq!(said(&ACLS_ENABLED, "DeleteBucketOwnershipControls", bucket.clone()), Some(Severity::High));
        assert_eq!(said(&ACLS_ENABLED, "CreateBucket", bucket), None);
        let created = json!({"bucketName": "data", "x-amz-object-ownership": ["ObjectWriter"]});
        assert_eq!(said(&ACLS_ENABLED, "CreateBucket", created.clone()), Some(Severity::Medium));
        let mut public = created;
        public["x-amz-acl"] = json!("public-read");
        assert_eq!(said(&ACLS_ENABLED, "CreateBucket", public), None, "the public ACL is told of instead");
    }

    #[test]
    fn a_website() {
        let request =
            json!({"bucketName": "data", "WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}});
        assert_eq!(said(&WEBSITE_ENABLED, "PutBucketWebsite", request.clone()), Some(Severity::High));
        assert_eq!(severity(&WEBSITE_ENABLED, &denied("PutBucketWebsite", request)), Some(Severity::Medium));
    }

    #[test]
    fn replication_to_a_stranger_to_nobody_knows_whom_and_to_us() {
        let to = |destination: Value| {
            json!({"bucketName": "data", "ReplicationConfiguration": {
            "Role": "arn:aws:iam::111122223333:role/r", "Rule": {"Status": "Enabled", "Destination": destination}}})
        };
        let name = "PutBucketReplication";
        let bucket = "arn:aws:s3:::copies";
        assert_eq!(
            said(&REPLICATED_OUTSIDE, name, to(json!({"Bucket": bucket, "Account": STRANGER}))),
            Some(Severity::High)
        );
        assert_eq!(said(&REPLICATED_OUTSIDE, name, to(json!({"Bucket": bucket}))), Some(Severity::Medium));
        assert_eq!(said(&REPLICATED_OUTSIDE, name, to(json!({"Bucket": bucket, "Account": "111122223333"}))), None);
        let rules = json!({"bucketName": "data", "ReplicationConfiguration": {"rules": [
            {"destination": {"bucket": bucket, "account": "111122223333"}},
            {"destination": {"bucket": bucket, "account": STRANGER}}]}});
        assert_eq!(said(&REPLICATED_OUTSIDE, name, rules), Some(Severity::High));
        assert_eq!(said(&REPLICATED_OUTSIDE, name, json!({"bucketName": "data"})), None);
    }

    #[test]
    fn cors_for_any_origin() {
        let cors = |rule: Value| json!({"bucketName": "data", "CORSConfiguration": {"CORSRule": rule}});
        let any = json!([{"AllowedOrigin": "https://example.com"}, {"AllowedOrigin": ["*"], "AllowedMethod": "GET"}]);
        assert_eq!(said(&CORS_OPENED, "PutBucketCors", cors(any)), Some(Severity::Medium));
        assert_eq!(said(&CORS_OPENED, "PutBucketCors", cors(json!({"AllowedOrigin": "*"}))), Some(Severity::Medium));
        let one = json!({"AllowedOrigin": "https://example.com"});
        assert_eq!(said(&CORS_OPENED, "PutBucketCors", cors(one)), None);
    }

    #[test]
    fn versioning_and_mfa_delete() {
        let set = |configuration: Value| {
            said(
                &VERSIONING_WEAKENED,
                "PutBucketVersioning",
                json!({"bucketName": "data", "versioning": [""],
                "VersioningConfiguration": configuration}),
            )
        };
        assert_eq!(set(json!({"Status": "Suspended"})), Some(Severity::Medium));
        assert_eq!(set(json!({"Status": "Enabled", "MfaDelete": "Disabled"})), Some(Severity::Medium));
        assert_eq!(set(json!({"Status": "Enabled", "MfaDelete": "Enabled"})), None);
        assert_eq!(set(json!({"Status": "Enabled"})), None);
    }

    #[test]
    fn logging_encryption_and_policy_taken_away() {
        let logging = |status: Value| json!({"bucketName": "data", "logging": "", "BucketLoggingStatus": status});
        assert_eq!(
            said(&ACCESS_LOGGING_OFF, "PutBucketLogging", logging(json!({"xmlns": "x"}))),
            Some(Severity::Medium)
        );
        assert_eq!(said(&ACCESS_LOGGING_OFF, "PutBucketLogging", logging(json!(""))), Some(Severity::Medium));
        let on = json!({"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": ""}});
        assert_eq!(said(&ACCESS_LOGGING_OFF, "PutBucketLogging", logging(on)), None);
        let bucket = json!({"bucketName": "data"});
        assert_eq!(said(&ENCRYPTION_WEAKENED, "DeleteBucketEncryption", bucket.clone()), Some(Severity::Medium));
        assert_eq!(said(&POLICY_DELETED, "DeleteBucketPolicy", bucket), Some(Severity::Medium));
    }

    #[test]
    fn encryption_with_a_strangers_key() {
        let with = |key: &str| {
            json!({"bucketName": "data", "ServerSideEncryptionConfiguration": {"Rule":
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}}})
        };
        let name = "PutBucketEncryption";
        let theirs = with("arn:aws:kms:eu-west-1:999988887777:key/k");
        assert_eq!(said(&ENCRYPTION_WEAKENED, name, theirs), Some(Severity::High));
        assert_eq!(said(&ENCRYPTION_WEAKENED, name, with("arn:aws:kms:eu-west-1:111122223333:key/k")), None);
        assert_eq!(said(&ENCRYPTION_WEAKENED, name, with("alias/data")), None);
    }

    #[test]
    fn an_access_grant_for_a_stranger() {
        let to = |grantee: &str| {
            json!({"CreateAccessGrantRequest": {"AccessGrantsLocationId": "default",
            "Grantee": {"GranteeType": "IAM", "GranteeIdentifier": grantee}, "Permission": "READ"}})
        };
        let name = "CreateAccessGrant";
        assert_eq!(said(&ACCESS_GRANTED, name, to("arn:aws:iam::999988887777:role/r")), Some(Severity::High));
        assert_eq!(said(&ACCESS_GRANTED, name, to("arn:aws:iam::111122223333:role/r")), None);
    }

    #[test]
    fn other_changes_of_a_bucket_are_for_the_record_and_told_once() {
        let private = json!({"bucketName": "data", "x-amz-acl": "private"});
        assert_eq!(said(&SETTING_CHANGED, "PutBucketAcl", private), Some(Severity::Informational));
        assert_eq!(
            said(&SETTING_CHANGED, "PutBucketLifecycle", json!({"bucketName": "data"})),
            Some(Severity::Informational)
        );
        assert_eq!(said(&SETTING_CHANGED, "PutBucketPolicy", public_policy()), None);
    }

    #[test]
    fn calls_about_blocks_are_not_mistaken_for_deleting_buckets() {
        let request = || json!({"bucketName": "data"});
        for detection in ALL {
            let caught = caught(detection, &called("DeleteBucket", request()));
            assert!(caught.is_none(), "{}", detection.id);
        }
    }
}
