//! Something other than S3 was opened to the world, or shared with strangers.

use serde_json::Value;

use super::exposure::{Document, Thing, audience_catch, deep, graded, hidden, home, inside_catch, named, policy_catch};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::policy::{Audience, Condition, Policy, Principal, Rules, Statement};
use crate::shape::{at, falsy, field, list, text, texts, truthy};

pub(super) const ALL: &[&Detection] = &[
    &SNAPSHOT_SHARED,
    &IMAGE_SHARED,
    &SHARING_BLOCK_REMOVED,
    &FUNCTION_OPENED,
    &MESSAGING_OPENED,
    &REGISTRY_OPENED,
    &KEY_OPENED,
    &SECRET_OPENED,
    &SEARCH_OPENED,
    &POLICY_OPENED,
    &BUILD_OPENED,
    &DOCUMENT_SHARED,
    &DEVICE_POLICY_OPENED,
    &DATA_SHARED,
];

const EC2: &str = "ec2.amazonaws.com";
const RDS: &str = "rds.amazonaws.com";
const REDSHIFT: &str = "redshift.amazonaws.com";
const LAMBDA: &str = "lambda.amazonaws.com";
const SNS: &str = "sns.amazonaws.com";
const SQS: &str = "sqs.amazonaws.com";
const EVENTS: &str = "events.amazonaws.com";
const ECR: &str = "ecr.amazonaws.com";
const ECR_PUBLIC: &str = "ecr-public.amazonaws.com";
const CODE_ARTIFACT: &str = "codeartifact.amazonaws.com";
const KMS: &str = "kms.amazonaws.com";
const SECRETS: &str = "secretsmanager.amazonaws.com";
const SSM: &str = "ssm.amazonaws.com";
/// `OpenSearch` is still recorded under the name of Elasticsearch.
const SEARCH: &str = "es.amazonaws.com";
const SEARCH_SERVERLESS: &str = "aoss.amazonaws.com";
const EFS: &str = "elasticfilesystem.amazonaws.com";
const BACKUP: &str = "backup.amazonaws.com";
const GLACIER: &str = "glacier.amazonaws.com";
const DYNAMODB: &str = "dynamodb.amazonaws.com";
const LOGS: &str = "logs.amazonaws.com";
const KAFKA: &str = "kafka.amazonaws.com";
const SAGEMAKER: &str = "sagemaker.amazonaws.com";
const MEDIA_STORE: &str = "mediastore.amazonaws.com";
const PRIVATE_CA: &str = "acm-pca.amazonaws.com";
const SES: &str = "ses.amazonaws.com";
const CODE_BUILD: &str = "codebuild.amazonaws.com";
const EMR: &str = "elasticmapreduce.amazonaws.com";
const IOT: &str = "iot.amazonaws.com";
const RAM: &str = "ram.amazonaws.com";
const LAKE_FORMATION: &str = "lakeformation.amazonaws.com";

/// A snapshot of a disk or a database is given away.
static SNAPSHOT_SHARED: Detection = Detection {
    id: "snapshot-shared",
    title: "Snapshot made public or shared",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1537", "T1530"],
    controls: &["EC2.1", "RDS.1", "Neptune.3", "DocumentDB.3"],
    wants: &[
        Want::Calls(EC2, &["ModifySnapshotAttribute"]),
        Want::Calls(RDS, &["ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute"]),
        Want::Calls(REDSHIFT, &["AuthorizeSnapshotAccess"]),
    ],
    check: snapshot_shared,
    why: "A snapshot is the whole disk or database. Whoever may restore it has a copy, and nothing here records it.",
    runbook: &[
        "Take the permission back at once: a copy that was made meanwhile stays",
        "Whose is the account? Ask the actor; not a partner's: this is a theft, and its volume is in the snapshot",
        "Look for CreateSnapshot, CopySnapshot and more sharing by the same actor",
    ],
    ..Detection::BASE
};

fn snapshot_shared(case: &Case<'_>) -> Option<Catch> {
    let (thing, audience) = match case.record.action() {
        "ModifySnapshotAttribute" => {
            let thing = Thing::new("EBS snapshot", named(case, &["snapshotId"]));
            (thing, permissions_added(case, "createVolumePermission"))
        }
        "AuthorizeSnapshotAccess" => {
            let thing = Thing::new("Redshift snapshot", named(case, &["snapshotIdentifier", "snapshotArn"]));
            (thing, grantees(case, &["accountWithRestoreAccess"]))
        }
        _ => (database_snapshot(case), grantees(case, &["valuesToAdd"])),
    };
    shared(case, &thing, &audience)
}

fn database_snapshot(case: &Case<'_>) -> Thing {
    Thing::new("database snapshot", named(case, &["dBSnapshotIdentifier", "dBClusterSnapshotIdentifier"]))
}

/// What there is to say of a sharing call: who is let in, down to accounts of ours.
fn shared(case: &Case<'_>, thing: &Thing, audience: &Audience) -> Option<Catch> {
    if case.record.request_omitted() {
        return Some(hidden(case, thing).severity(graded(case, Severity::High)));
    }
    audience_catch(case, thing, audience).or_else(|| inside_catch(case, thing, audience))
}

/// The audience of the accounts and groups at any of these names.
fn grantees(case: &Case<'_>, names: &[&str]) -> Audience {
    let request = case.record.request();
    let values = names.iter().filter_map(|name| deep(request, name)).flat_map(texts);
    audience_of(case, values)
}

fn audience_of<'v>(case: &Case<'_>, values: impl Iterator<Item = &'v str>) -> Audience {
    let mut audience = Audience::default();
    for value in values {
        audience.add(&Audience::of(value, &home(case)));
    }
    audience
}

/// Whom EC2 is asked to add: `{"<attribute>": {"add": {"items": [{"group": "all"}, {"userId": "…"}]}}}`, or the older
/// flat form with an operation type.
fn permissions_added(case: &Case<'_>, attribute: &str) -> Audience {
    const ITEM: [&str; 5] = ["group", "groups", "userId", "organizationArn", "organizationalUnitArn"];
    let request = case.record.request();
    let added = deep(request, attribute).map(|attribute| list(field(attribute, "add"))).unwrap_or_default();
    let items = added.iter().flat_map(|item| ITEM.iter().flat_map(|name| texts(field(item, name))));
    audience_of(case, items.chain(flatly_added(request)))
}

fn flatly_added(request: &Value) -> Vec<&str> {
    const FLAT: [&str; 6] = ["userGroup", "userGroups", "groupNames", "groupSet", "userIds", "userId"];
    let adds = deep(request, "operationType").is_some_and(|operation| text(operation).eq_ignore_ascii_case("add"));
    let named = FLAT.iter().filter(|_| adds).filter_map(|name| deep(request, name));
    named.flat_map(grouped).collect()
}

/// Texts, or the texts in `[{"group": "all"}]`.
fn grouped(value: &Value) -> Vec<&str> {
    let inside =
        |element| ["group", "groupName", "userId"].into_iter().flat_map(move |name| texts(field(element, name)));
    let nested: Vec<_> = list(value).into_iter().flat_map(inside).collect();
    if nested.is_empty() { texts(value) } else { nested }
}

/// A machine image is given away.
static IMAGE_SHARED: Detection = Detection {
    id: "image-shared",
    title: "Machine image made public or shared",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1537", "T1530"],
    controls: &[],
    wants: &[Want::Calls(EC2, &["ModifyImageAttribute", "ModifyFpgaImageAttribute"])],
    check: |case| {
        let (noun, name, attribute) = match case.record.action() {
            "ModifyFpgaImageAttribute" => ("FPGA image", "fpgaImageId", "loadPermission"),
            _ => ("AMI", "imageId", "launchPermission"),
        };
        shared(case, &Thing::new(noun, named(case, &[name])), &permissions_added(case, attribute))
    },
    why: "An image holds the disk of the machine it was made of: code, configuration, and often credentials.",
    runbook: &[
        "Take the permission back at once; a copy that was made meanwhile stays",
        "Is it built to be published? Then an expectation in the settings says so",
        "Else rotate what was on that machine: keys, certificates, connection strings",
    ],
    ..Detection::BASE
};

/// What keeps a region's snapshots, images or documents from being made public is off.
static SHARING_BLOCK_REMOVED: Detection = Detection {
    id: "public-sharing-block-removed",
    title: "Block on public sharing removed",
    category: Category::PublicAccess,
    severity: Severity::High,
    techniques: &["T1562.001", "T1537"],
    controls: &["EC2.182", "EMR.2", "SSM.7"],
    wants: &[
        Want::Calls(
            EC2,
            &["DisableSnapshotBlockPublicAccess", "DisableImageBlockPublicAccess", "EnableSnapshotBlockPublicAccess"],
        ),
        Want::Calls(SSM, &["UpdateServiceSetting", "ResetServiceSetting"]),
        Want::Calls(EMR, &["PutBlockPublicAccessConfiguration"]),
        Want::Calls(LAMBDA, &["PutPublicAccessBlockConfig"]),
    ],
    check: sharing_block_removed,
    why: "The block is what refuses a public snapshot, image or document. Nobody needs it off for a private one.",
    runbook: &[
        "Turn it back on in that region; ask the actor what it was in the way of",
        "Look for ModifySnapshotAttribute, ModifyImageAttribute, ModifyDocumentPermission since",
    ],
    ..Detection::BASE
};

fn sharing_block_removed(case: &Case<'_>) -> Option<Catch> {
    let request = case.record.request();
    let region = &case.record.region;
    let says = |name, word: &str| deep(request, name).is_some_and(|value| text(value).eq_ignore_ascii_case(word));
    let (what, full) = match case.record.action() {
        "DisableSnapshotBlockPublicAccess" => ("EBS snapshots", Severity::High),
        "DisableImageBlockPublicAccess" => ("AMIs", Severity::High),
        // What is public already stays so; it may be a step up from no block at all.
        "EnableSnapshotBlockPublicAccess" if says("state", "block-new-sharing") => {
            ("EBS snapshots that are shared already", Severity::Low)
        }
        "UpdateServiceSetting" if is_document_setting(case) && says("settingValue", "Enable") => {
            ("SSM documents", Severity::High)
        }
        "ResetServiceSetting" if is_document_setting(case) => ("SSM documents", Severity::Medium),
        "PutBlockPublicAccessConfiguration" if deep(request, "blockPublicSecurityGroupRules").is_some_and(falsy) => {
            ("EMR clusters", Severity::High)
        }
        "PutPublicAccessBlockConfig" if deep(request, "blockPublicPolicy").is_some_and(falsy) => {
            ("Lambda functions", Severity::High)
        }
        _ => return None,
    };
    let deed = Deed::new("remove", "removed", format!("the block on public {what} in {region}"));
    let key = format!("{what} {region}");
    Some(Catch::new(deed).severity(graded(case, full)).resource(key.clone()).key(key))
}

fn is_document_setting(case: &Case<'_>) -> bool {
    named(case, &["settingId"]).ends_with("ssm/documents/console/public-sharing-permission")
}

/// A function may be called, or a layer used, by everyone or by strangers.
static FUNCTION_OPENED: Detection = Detection {
    id: "lambda-function-opened",
    title: "Lambda function open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1190", "T1546", "T1098"],
    controls: &["Lambda.1"],
    wants: &[Want::Calls(
        LAMBDA,
        &["AddPermission", "AddLayerVersionPermission", "CreateFunctionUrlConfig", "UpdateFunctionUrlConfig"],
    )],
    check: function_opened,
    why: "Whoever may call a function acts with its role. An open function URL is also a quiet way back in.",
    runbook: &[
        "Is it a webhook that checks its callers itself? Else remove the permission and the function URL",
        "What may the function's role do, and was its code changed lately (UpdateFunctionCode)?",
        "Who called it since: the function's log and its URL metrics",
    ],
    ..Detection::BASE
};

fn function_opened(case: &Case<'_>) -> Option<Catch> {
    let thing = function(case);
    match case.record.action() {
        "AddPermission" | "AddLayerVersionPermission" => {
            policy_catch(case, &thing, &permission(case, &FUNCTION_CONDITIONS), Rules::General)
        }
        _ if !case.record.parameter("authType").eq_ignore_ascii_case("NONE") => None,
        _ => {
            let deed = Deed::new("give", "gave", format!("{} a URL that asks for no credentials", thing.display()));
            Some(thing.catch(deed).severity(graded(case, Severity::High)))
        }
    }
}

/// A function by its bare name, so that what is done to it by ARN and by name meets.
fn function(case: &Case<'_>) -> Thing {
    if case.record.action() == "AddLayerVersionPermission" {
        return Thing::new("Lambda layer", named(case, &["layerName"]));
    }
    let named = named(case, &["functionName"]);
    let name = named.split_once(":function:").map_or(named.as_str(), |(_, name)| name);
    Thing::new("Lambda function", name.split(':').next().unwrap_or_default())
}

/// What narrows a permission: the parameter, and the condition that it becomes.
const FUNCTION_CONDITIONS: [(&str, &str, &str); 4] = [
    ("sourceAccount", "StringEquals", "aws:SourceAccount"),
    ("sourceArn", "ArnLike", "aws:SourceArn"),
    ("principalOrgID", "StringEquals", "aws:PrincipalOrgID"),
    ("organizationId", "StringEquals", "aws:PrincipalOrgID"),
];

/// The statement that a call adds by its parameters rather than as a document.
fn permission(case: &Case<'_>, narrowing: &[(&str, &str, &str)]) -> Document {
    let request = case.record.request();
    let value = text(field(request, "principal")).to_owned();
    if value.is_empty() {
        return if case.record.request_omitted() { Document::Hidden } else { Document::Unrecorded };
    }
    let is_service = value.contains('.') && !value.contains(':');
    let kind = if is_service { "Service" } else { "AWS" };
    let condition = |(name, operator, key): &(&str, &str, &str)| {
        let value = deep(request, name).map(text)?;
        Some(Condition { operator: (*operator).to_owned(), key: (*key).to_owned(), values: vec![value.to_owned()] })
    };
    let statement = Statement {
        allow: true,
        principals: vec![Principal { kind: kind.to_owned(), value }],
        actions: texts(field(request, "action")).into_iter().map(str::to_owned).collect(),
        conditions: narrowing.iter().filter_map(condition).chain(written_condition(request)).collect(),
        ..Statement::default()
    };
    Document::Read(Policy { statements: vec![statement] })
}

/// `EventBridge` takes one condition in parts.
fn written_condition(request: &Value) -> Option<Condition> {
    let condition = field(request, "condition");
    let part = |name| text(field(condition, name)).to_owned();
    let (operator, key, value) = (part("type"), part("key"), part("value"));
    (!operator.is_empty()).then(|| Condition { operator, key, values: vec![value] })
}

/// A topic, a queue or an event bus takes messages from, or hands them to, everyone or strangers.
static MESSAGING_OPENED: Detection = Detection {
    id: "topic-or-queue-opened",
    title: "Topic, queue or event bus open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1530", "T1537"],
    controls: &["SNS.4", "SQS.3"],
    wants: &[
        Want::Calls(SNS, &["SetTopicAttributes", "AddPermission", "CreateTopic"]),
        Want::Calls(SQS, &["SetQueueAttributes", "AddPermission", "CreateQueue"]),
        Want::Calls(EVENTS, &["PutPermission"]),
    ],
    check: messaging_opened,
    why: "Strangers can read what passes through, or feed forged messages to whatever trusts it.",
    runbook: &[
        "Who is meant to publish and to subscribe? Name their accounts in the policy, or remove the statement",
        "Look at the subscriptions of the topic: an unknown address or account is reading along",
    ],
    ..Detection::BASE
};

fn messaging_opened(case: &Case<'_>) -> Option<Catch> {
    let thing = messaging(case);
    match case.record.action() {
        "AddPermission" => {
            let names = ["aWSAccountIds", "aWSAccountId", "awsAccountIds", "AWSAccountIds", "AWSAccountId"];
            audience_catch(case, &thing, &grantees(case, &names))
        }
        "PutPermission" => match Document::of(case, &["policy"]) {
            Document::Unrecorded => policy_catch(case, &thing, &permission(case, &[]), Rules::General),
            document => policy_catch(case, &thing, &document, Rules::General),
        },
        "SetTopicAttributes" if case.record.parameter("attributeName") == "Policy" => {
            policy_catch(case, &thing, &Document::of(case, &["attributeValue"]), Rules::General)
        }
        _ => optional_policy(case, &thing, &["policy"], Rules::General),
    }
}

/// A queue by its bare name, so that what is done to it by URL and by name meets.
fn messaging(case: &Case<'_>) -> Thing {
    match &*case.record.source {
        SNS => Thing::new("topic", last_part(&named(case, &["topicArn", "name"]), ':')),
        SQS => {
            let named = named(case, &["queueUrl", "queueName"]);
            Thing::new("queue", last_part(last_part(&named, '/'), ':'))
        }
        _ => {
            let bus = named(case, &["eventBusName"]);
            Thing::new("event bus", if bus.is_empty() { "default" } else { last_part(&bus, '/') })
        }
    }
}

fn last_part(text: &str, separator: char) -> &str {
    text.rsplit(separator).next().unwrap_or(text)
}

/// A call that may carry a policy among other things: where it carries none, there is nothing to say.
fn optional_policy(case: &Case<'_>, thing: &Thing, names: &[&str], rules: Rules) -> Option<Catch> {
    match Document::of(case, names) {
        Document::Unrecorded => None,
        document => policy_catch(case, thing, &document, rules),
    }
}

/// Images or packages can be pulled, or pushed, by everyone or by strangers.
static REGISTRY_OPENED: Detection = Detection {
    id: "registry-opened",
    title: "Container or package registry open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1525", "T1530", "T1195.002"],
    controls: &[],
    wants: &[
        Want::Calls(ECR, &["SetRepositoryPolicy", "PutRegistryPolicy"]),
        Want::Calls(ECR_PUBLIC, &["SetRepositoryPolicy", "CreateRepository"]),
        Want::Calls(CODE_ARTIFACT, &["PutDomainPermissionsPolicy", "PutRepositoryPermissionsPolicy"]),
    ],
    check: registry_opened,
    why: "Images hold code and often secrets. Whoever may push decides what our machines run.",
    runbook: &[
        "Does the policy let them push, too? Then compare image digests with the build's",
        "Name the accounts that pull, or the organization, in the policy",
    ],
    ..Detection::BASE
};

fn registry_opened(case: &Case<'_>) -> Option<Catch> {
    let thing = match case.record.action() {
        "PutRegistryPolicy" => Thing::new("container registry of account", case.account),
        "PutDomainPermissionsPolicy" => Thing::new("package domain", named(case, &["domain"])),
        "PutRepositoryPermissionsPolicy" => Thing::new("package repository", named(case, &["repository"])),
        "CreateRepository" => {
            let thing = Thing::new("public container repository", named(case, &["repositoryName"]));
            let deed = Deed::new("create", "created", thing.display());
            return Some(thing.catch(deed).severity(graded(case, Severity::Medium)));
        }
        _ => Thing::new("container repository", named(case, &["repositoryName"])),
    };
    policy_catch(case, &thing, &Document::of(case, &["policyText", "policyDocument"]), Rules::General)
}

/// A key can be used by everyone or by strangers.
static KEY_OPENED: Detection = Detection {
    id: "kms-key-opened",
    title: "KMS key open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1098", "T1537"],
    controls: &["KMS.5"],
    wants: &[Want::Calls(KMS, &["PutKeyPolicy", "CreateKey", "ReplicateKey", "CreateGrant"])],
    check: key_opened,
    why: "Who may use the key reads whatever it encrypts, or locks it: with a snapshot or a copy, that is all it takes.",
    runbook: &[
        "Whose is the account? Not known: put the policy back, or revoke the grant",
        "Look for snapshots, objects or secrets shared with the same account",
        "Look for Decrypt and ReEncrypt by it: they are recorded in the key's account",
    ],
    ..Detection::BASE
};

fn key_opened(case: &Case<'_>) -> Option<Catch> {
    let fresh = text(at(case.record.response(), &["keyMetadata", "keyId"]));
    let named = named(case, &["keyId"]);
    let key = if named.is_empty() { fresh } else { last_part(&named, '/') };
    let thing = Thing::new("KMS key", key);
    match case.record.action() {
        "PutKeyPolicy" => policy_catch(case, &thing, &Document::of(case, &["policy"]), Rules::General),
        // Services grant themselves what they need, to accounts of their own too.
        "CreateGrant" if case.actor.is_service() => None,
        "CreateGrant" => audience_catch(case, &thing, &grantees(case, &["granteePrincipal", "retiringPrincipal"])),
        _ => optional_policy(case, &thing, &["policy"], Rules::General),
    }
}

/// A secret or a parameter can be read by everyone or by strangers.
static SECRET_OPENED: Detection = Detection {
    id: "secret-opened",
    title: "Secret open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1552", "T1537"],
    controls: &[],
    wants: &[Want::Calls(SECRETS, &["PutResourcePolicy"]), Want::Calls(SSM, &["PutResourcePolicy"])],
    check: |case| {
        let noun = if case.record.source == SECRETS { "secret" } else { "parameter" };
        let thing = Thing::new(noun, named(case, &["secretId", "resourceArn"]));
        policy_catch(case, &thing, &Document::of(case, &["resourcePolicy", "policy"]), Rules::General)
    },
    why: "A secret that strangers could read is theirs: it has to be changed, not only closed.",
    runbook: &[
        "Put the policy back, then rotate the secret",
        "Look for GetSecretValue on it by other accounts, and for use of what it opens",
    ],
    ..Detection::BASE
};

const SEARCH_CALLS: &[&str] =
    &["CreateDomain", "UpdateDomainConfig", "CreateElasticsearchDomain", "UpdateElasticsearchDomainConfig"];

/// A search domain answers everyone or strangers.
static SEARCH_OPENED: Detection = Detection {
    id: "search-domain-opened",
    title: "OpenSearch domain open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1530", "T1190"],
    controls: &["Opensearch.2", "ES.2"],
    wants: &[
        Want::Calls(SEARCH, SEARCH_CALLS),
        Want::Calls(SEARCH_SERVERLESS, &["CreateSecurityPolicy", "UpdateSecurityPolicy"]),
    ],
    check: search_opened,
    why: "Open search clusters are found by scanners within hours; their indexes are copied, then wiped for ransom.",
    runbook: &[
        "Is the domain in a VPC, or behind fine-grained access control? Else put the old access policy back",
        "Look at the domain's audit log, and whether indexes are missing",
    ],
    ..Detection::BASE
};

fn search_opened(case: &Case<'_>) -> Option<Catch> {
    if case.record.source == SEARCH_SERVERLESS {
        return serverless_search_opened(case);
    }
    let thing = Thing::new("search domain", named(case, &["domainName"]));
    let caught = optional_policy(case, &thing, &["accessPolicies"], Rules::General)?;
    // In a VPC the security group decides who reaches it, and an open policy is usual.
    let private = deep(case.record.request(), "subnetIds").is_some_and(|subnets| !texts(subnets).is_empty());
    Some(if private { caught.severity(graded(case, Severity::Medium)) } else { caught })
}

/// `[{"Rules": […], "AllowFromPublic": true}]`, as JSON or as text. Data access is granted separately.
fn serverless_search_opened(case: &Case<'_>) -> Option<Catch> {
    let policy = deep(case.record.request(), "policy")?;
    let parsed = policy.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let rules = parsed.as_ref().unwrap_or(policy);
    let thing = Thing::new("search network policy", named(case, &["name"]));
    let deed = Deed::new("open", "opened", format!("{} to the internet", thing.display()));
    let public = list(rules).into_iter().any(|rule| truthy(field(rule, "AllowFromPublic")));
    public.then(|| thing.catch(deed).severity(graded(case, Severity::High)))
}

/// Whatever else has a resource policy.
static POLICY_OPENED: Detection = Detection {
    id: "resource-policy-opened",
    title: "Resource policy open to everyone or to strangers",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1537", "T1530"],
    controls: &[],
    wants: &[
        Want::Named(&["PutResourcePolicy"]),
        Want::Calls(EFS, &["PutFileSystemPolicy"]),
        Want::Calls(BACKUP, &["PutBackupVaultAccessPolicy"]),
        Want::Calls(GLACIER, &["SetVaultAccessPolicy"]),
        Want::Calls(DYNAMODB, &["CreateTable"]),
        Want::Calls(LOGS, &["PutDestinationPolicy"]),
        Want::Calls(KAFKA, &["PutClusterPolicy"]),
        Want::Calls(SAGEMAKER, &["PutModelPackageGroupPolicy"]),
        Want::Calls(MEDIA_STORE, &["PutContainerPolicy"]),
        Want::Calls(PRIVATE_CA, &["PutPolicy"]),
        Want::Calls(SES, &["PutIdentityPolicy", "CreateEmailIdentityPolicy", "UpdateEmailIdentityPolicy"]),
    ],
    check: policy_opened,
    why: "A resource policy lets strangers in without a role or user of ours being touched.",
    runbook: &[
        "Whose is the account that was let in? Not known: put the old policy back",
        "What was done by it since: the record's account is ours, the caller's is not",
    ],
    ..Detection::BASE
};

fn policy_opened(case: &Case<'_>) -> Option<Catch> {
    const NAMES: [&str; 6] =
        ["resourcePolicy", "policyDocument", "policyInJson", "accessPolicy", "policyText", "policy"];
    let source = &*case.record.source;
    // Elsewhere: secrets above; an organization's policy delegates administration, which is another matter.
    if [SECRETS, SSM, "organizations.amazonaws.com"].contains(&source) {
        return None;
    }
    let thing = policy_holder(case);
    if case.record.action() == "CreateTable" {
        return optional_policy(case, &thing, &["resourcePolicy"], Rules::General);
    }
    let rules = if source == EFS { Rules::FileSystem } else { Rules::General };
    policy_catch(case, &thing, &Document::of(case, &NAMES), rules)
}

fn policy_holder(case: &Case<'_>) -> Thing {
    let (noun, names): (_, &[&str]) = match &*case.record.source {
        EFS => ("file system", &["fileSystemId"]),
        BACKUP => ("backup vault", &["backupVaultName"]),
        GLACIER => ("archive vault", &["vaultName"]),
        DYNAMODB => ("table", &["tableName", "resourceArn"]),
        LOGS => ("log policy", &["destinationName", "policyName", "resourceArn"]),
        KAFKA => ("Kafka cluster", &["clusterArn"]),
        SES => ("email identity", &["identity", "emailIdentity"]),
        "cloudtrail.amazonaws.com" => ("CloudTrail resource", &["resourceArn"]),
        "kinesis.amazonaws.com" => ("stream", &["resourceARN"]),
        "glue.amazonaws.com" => ("data catalog", &["resourceArn"]),
        CODE_BUILD => ("build project", &["resourceArn"]),
        _ => ("resource", &["resourceArn", "resourceARN", "arn", "modelPackageGroupName", "containerName"]),
    };
    Thing::new(noun, named(case, names))
}

/// A build project's logs and artifacts are there for everyone to read.
static BUILD_OPENED: Detection = Detection {
    id: "build-project-public",
    title: "CodeBuild project made public",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1567", "T1530"],
    controls: &[],
    wants: &[Want::Calls(CODE_BUILD, &["UpdateProjectVisibility"])],
    check: |case| {
        let thing = Thing::new("build project", named(case, &["projectArn"]));
        let deed = Deed::new("make", "made", format!("{} public: anyone may read its logs", thing.display()));
        let public = case.record.parameter("projectVisibility").eq_ignore_ascii_case("PUBLIC_READ");
        public.then(|| thing.catch(deed).severity(graded(case, Severity::Critical)))
    },
    why: "Build logs print what builds know: environment variables, tokens, internal names. All past builds show, too.",
    runbook: &[
        "Set it back to PRIVATE: aws codebuild update-project-visibility",
        "Rotate the secrets that its builds use",
    ],
    ..Detection::BASE
};

/// An SSM document is given away.
static DOCUMENT_SHARED: Detection = Detection {
    id: "ssm-document-shared",
    title: "SSM document made public or shared",
    category: Category::PublicAccess,
    severity: Severity::Critical,
    techniques: &["T1537"],
    controls: &["SSM.4"],
    wants: &[Want::Calls(SSM, &["ModifyDocumentPermission"])],
    check: |case| {
        let thing = Thing::new("SSM document", named(case, &["name"]));
        shared(case, &thing, &grantees(case, &["accountIdsToAdd"]))
    },
    why: "Documents hold scripts of our operations, with names, addresses and sometimes passwords in them.",
    runbook: &["Take the permission back", "Read the document: rotate what it gives away"],
    ..Detection::BASE
};

/// Devices under this policy may do anything on the message broker.
static DEVICE_POLICY_OPENED: Detection = Detection {
    id: "iot-policy-open",
    title: "IoT policy that allows everything",
    category: Category::PublicAccess,
    severity: Severity::High,
    techniques: &["T1098"],
    controls: &[],
    wants: &[Want::Calls(IOT, &["CreatePolicy", "CreatePolicyVersion"])],
    check: device_policy_opened,
    why: "One stolen device certificate under such a policy speaks for, and listens to, every other device.",
    runbook: &["Confine it to the device's own client id and topics", "Which certificates is the policy attached to?"],
    ..Detection::BASE
};

fn device_policy_opened(case: &Case<'_>) -> Option<Catch> {
    let thing = Thing::new("IoT policy", named(case, &["policyName"]));
    let policy = match Document::of(case, &["policyDocument"]) {
        Document::Read(policy) => policy,
        Document::Hidden => return Some(hidden(case, &thing).severity(graded(case, Severity::High))),
        Document::Unrecorded => return None,
    };
    let everything = |statement: &Statement| {
        let action = statement.actions.iter().any(|action| action == "*" || action.eq_ignore_ascii_case("iot:*"));
        (action || !statement.not_actions.is_empty()) && statement.resources.iter().any(|resource| resource == "*")
    };
    let open = policy.allows().any(everything);
    let deed = Deed::new("make", "made", format!("{} allow everything on everything", thing.display()));
    open.then(|| thing.catch(deed).severity(graded(case, Severity::High)))
}

/// Data or resources are shared with strangers by a service that exists for sharing.
static DATA_SHARED: Detection = Detection {
    id: "resource-shared-outside",
    title: "Resource or data shared with an account that is not ours",
    category: Category::PublicAccess,
    severity: Severity::High,
    techniques: &["T1537"],
    controls: &[],
    wants: &[
        Want::Calls(RAM, &["CreateResourceShare", "AssociateResourceShare"]),
        Want::Calls(REDSHIFT, &["AuthorizeDataShare", "AuthorizeEndpointAccess"]),
        Want::Calls(LAKE_FORMATION, &["GrantPermissions"]),
    ],
    check: data_shared,
    why: "What is shared this way is used from the other account, and hardly shows here afterwards.",
    runbook: &[
        "Whose is the account? Ask the actor; list it in the settings when it is ours",
        "Not known: withdraw the share, then look at what it held and since when",
    ],
    ..Detection::BASE
};

fn data_shared(case: &Case<'_>) -> Option<Catch> {
    let (noun, names): (_, &[&str]) = match case.record.action() {
        "AuthorizeDataShare" => ("Redshift datashare", &["dataShareArn"]),
        "AuthorizeEndpointAccess" => ("Redshift cluster", &["clusterIdentifier"]),
        "GrantPermissions" => ("Lake Formation resource", &["databaseName", "name", "resourceArn"]),
        _ => ("resource share", &["resourceShareArn", "name"]),
    };
    let grantee = ["principals", "consumerIdentifier", "account", "dataLakePrincipalIdentifier"];
    audience_catch(case, &Thing::new(noun, named(case, names)), &grantees(case, &grantee))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::record::Outcome;
    use crate::settings::Settings;
    use crate::testing::{caught, caught_with, record};
    use serde_json::json;

    const STRANGER: &str = "999988887777";

    fn called(source: &str, name: &str, request: Value) -> Value {
        let mut record = record(source, name, json!({}));
        record["requestParameters"] = request;
        record
    }

    fn refused(source: &str, name: &str, request: Value, code: &str) -> Value {
        let mut record = called(source, name, request);
        record["errorCode"] = json!(code);
        record
    }

    /// What is said of a successful call: severity and key.
    fn said(detection: &'static Detection, source: &str, name: &str, request: Value) -> Option<(Severity, String)> {
        caught(detection, &called(source, name, request)).map(|caught| (caught.lead.severity, caught.key))
    }

    fn severity(detection: &'static Detection, record: &Value) -> Option<Severity> {
        caught(detection, record).map(|caught| caught.lead.severity)
    }

    fn critical(key: &str) -> (Severity, String) {
        (Severity::Critical, key.to_owned())
    }

    fn high(key: &str) -> (Severity, String) {
        (Severity::High, key.to_owned())
    }

    fn policy(principal: &Value, condition: &Value) -> String {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*",
            "Condition": condition});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    fn open_policy() -> String {
        policy(&json!("*"), &json!({}))
    }

    fn stranger_policy() -> String {
        policy(&json!({"AWS": "arn:aws:iam::999988887777:root"}), &json!({}))
    }

    fn own_policy() -> String {
        policy(&json!({"AWS": "arn:aws:iam::111122223333:root"}), &json!({}))
    }

    fn share_snapshot(items: Value) -> Value {
        let mut request = json!({"snapshotId": "snap-1", "attributeType": "CREATE_VOLUME_PERMISSION",
            "createVolumePermission": {"add": {}}});
        request["createVolumePermission"]["add"]["items"] = items;
        request
    }

    #[test]
    fn a_disk_snapshot_for_everyone_or_a_stranger() {
        let said = |items| said(&SNAPSHOT_SHARED, EC2, "ModifySnapshotAttribute", share_snapshot(items));
        assert_eq!(said(json!([{"group": "all"}])), Some(critical("snap-1")));
        assert_eq!(said(json!({"group": "all"})), Some(critical("snap-1")));
        assert_eq!(said(json!([{"userId": STRANGER}])), Some(high("snap-1")));
        assert_eq!(said(json!([{"userId": STRANGER}, {"group": "all"}])), Some(critical("snap-1")));
        assert_eq!(said(json!([{"userId": "111122223333"}])), None);
        assert_eq!(said(json!([])), None);
    }

    #[test]
    fn taking_a_permission_back_is_no_news() {
        let request =
            json!({"snapshotId": "snap-1", "createVolumePermission": {"remove": {"items": [{"group": "all"}]}}});
        assert_eq!(said(&SNAPSHOT_SHARED, EC2, "ModifySnapshotAttribute", request), None);
        let flat = json!({"snapshotId": "snap-1", "operationType": "remove", "userGroup": "all"});
        assert_eq!(said(&SNAPSHOT_SHARED, EC2, "ModifySnapshotAttribute", flat), None);
        let request = json!({"dBSnapshotIdentifier": "db", "attributeName": "restore", "valuesToRemove": ["all"]});
        assert_eq!(said(&SNAPSHOT_SHARED, RDS, "ModifyDBSnapshotAttribute", request), None);
    }

    #[test]
    fn the_older_flat_request_and_the_wrapped_one() {
        for request in [
            json!({"snapshotId": "snap-1", "operationType": "add", "userGroup": "all"}),
            json!({"snapshotId": "snap-1", "operationType": "add", "groupSet": {"items": [{"group": "all"}]}}),
            json!({"ModifySnapshotAttributeRequest": {"SnapshotId": "snap-1",
                "CreateVolumePermission": {"Add": {"Group": "all"}}}}),
        ] {
            assert_eq!(said(&SNAPSHOT_SHARED, EC2, "ModifySnapshotAttribute", request), Some(critical("snap-1")));
        }
        let request = json!({"ModifyFpgaImageAttributeRequest": {"FpgaImageId": "afi-1",
            "LoadPermission": {"Add": [{"Group": "all"}]}}});
        assert_eq!(said(&IMAGE_SHARED, EC2, "ModifyFpgaImageAttribute", request), Some(critical("afi-1")));
    }

    #[test]
    fn an_attempt_counts_less_and_a_rehearsal_less_still() {
        let attempt = |items, code| {
            let record = refused(EC2, "ModifySnapshotAttribute", share_snapshot(items), code);
            severity(&SNAPSHOT_SHARED, &record)
        };
        let everyone = || json!([{"group": "all"}]);
        assert_eq!(attempt(everyone(), "Client.UnauthorizedOperation"), Some(Severity::High));
        assert_eq!(attempt(everyone(), "Client.OperationNotPermitted"), Some(Severity::High));
        assert_eq!(attempt(everyone(), "Client.DryRunOperation"), Some(Severity::Medium));
        assert_eq!(attempt(json!([{"userId": STRANGER}]), "Client.UnauthorizedOperation"), Some(Severity::Medium));
    }

    #[test]
    fn sharing_among_our_own_accounts_is_for_the_record() {
        let mut settings = Settings::default();
        settings.accounts.insert(STRANGER.to_owned(), crate::settings::Account::default());
        let record = called(EC2, "ModifySnapshotAttribute", share_snapshot(json!([{"userId": STRANGER}])));
        let caught = caught_with(settings, &SNAPSHOT_SHARED, &record).expect("caught");
        assert_eq!(caught.lead.severity, Severity::Informational);
        assert_eq!(caught.lead.deed.object, "EBS snapshot snap-1 with 999988887777 of ours");
    }

    #[test]
    fn a_database_snapshot_for_everyone_or_a_stranger() {
        let request =
            |value| json!({"dBSnapshotIdentifier": "db-1", "attributeName": "restore", "valuesToAdd": [value]});
        let name = "ModifyDBSnapshotAttribute";
        assert_eq!(said(&SNAPSHOT_SHARED, RDS, name, request("all")), Some(critical("db-1")));
        assert_eq!(said(&SNAPSHOT_SHARED, RDS, name, request(STRANGER)), Some(high("db-1")));
        let cluster = json!({"dBClusterSnapshotIdentifier": "c-1", "attributeName": "restore", "valuesToAdd": "all"});
        assert_eq!(said(&SNAPSHOT_SHARED, RDS, "ModifyDBClusterSnapshotAttribute", cluster), Some(critical("c-1")));
        let redshift = |account| json!({"snapshotIdentifier": "r-1", "accountWithRestoreAccess": account});
        assert_eq!(said(&SNAPSHOT_SHARED, REDSHIFT, "AuthorizeSnapshotAccess", redshift(STRANGER)), Some(high("r-1")));
        assert_eq!(
            said(&SNAPSHOT_SHARED, REDSHIFT, "AuthorizeSnapshotAccess", redshift("amazon-redshift-support")),
            None
        );
    }

    #[test]
    fn an_image_for_everyone_a_stranger_or_an_organization() {
        let request = |item: Value| json!({"imageId": "ami-1", "launchPermission": {"add": {"items": [item]}}});
        let name = "ModifyImageAttribute";
        assert_eq!(said(&IMAGE_SHARED, EC2, name, request(json!({"group": "all"}))), Some(critical("ami-1")));
        assert_eq!(said(&IMAGE_SHARED, EC2, name, request(json!({"userId": STRANGER}))), Some(high("ami-1")));
        let theirs = json!({"organizationArn": "arn:aws:organizations::999988887777:organization/o-theirs"});
        let unknown = caught(&IMAGE_SHARED, &called(EC2, name, request(theirs.clone()))).expect("caught").lead;
        assert_eq!(
            (unknown.severity, &*unknown.deed.object),
            (Severity::Medium, "AMI ami-1 with organization o-theirs")
        );
        let mut settings = Settings::default();
        settings.own.organization = "o-ours".to_owned();
        let caught = caught_with(settings.clone(), &IMAGE_SHARED, &called(EC2, name, request(theirs))).expect("caught");
        assert_eq!(caught.lead.severity, Severity::High);
        let ours = json!({"organizationArn": "arn:aws:organizations::999988887777:organization/o-ours"});
        let caught = caught_with(settings, &IMAGE_SHARED, &called(EC2, name, request(ours))).expect("caught");
        assert_eq!(caught.lead.severity, Severity::Informational);
        assert_eq!(said(&IMAGE_SHARED, EC2, name, json!({"imageId": "ami-1", "description": {"value": "all"}})), None);
    }

    #[test]
    fn a_block_on_public_sharing_is_removed() {
        let severity = |source, name, request| severity(&SHARING_BLOCK_REMOVED, &called(source, name, request));
        assert_eq!(severity(EC2, "DisableSnapshotBlockPublicAccess", json!({})), Some(Severity::High));
        assert_eq!(severity(EC2, "DisableImageBlockPublicAccess", Value::Null), Some(Severity::High));
        let state = |state| json!({"EnableSnapshotBlockPublicAccessRequest": {"State": state}});
        assert_eq!(severity(EC2, "EnableSnapshotBlockPublicAccess", state("block-new-sharing")), Some(Severity::Low));
        assert_eq!(severity(EC2, "EnableSnapshotBlockPublicAccess", state("block-all-sharing")), None);
        let setting =
            |value| json!({"settingId": "/ssm/documents/console/public-sharing-permission", "settingValue": value});
        assert_eq!(severity(SSM, "UpdateServiceSetting", setting("Enable")), Some(Severity::High));
        assert_eq!(severity(SSM, "UpdateServiceSetting", setting("Disable")), None);
        assert_eq!(severity(SSM, "UpdateServiceSetting", json!({"settingId": "x", "settingValue": "Enable"})), None);
        let emr = |on| json!({"blockPublicAccessConfiguration": {"blockPublicSecurityGroupRules": on}});
        assert_eq!(severity(EMR, "PutBlockPublicAccessConfiguration", emr(json!("false"))), Some(Severity::High));
        assert_eq!(severity(EMR, "PutBlockPublicAccessConfiguration", emr(json!(true))), None);
    }

    fn permit(more: &Value) -> Value {
        let mut request = json!({"functionName": "arn:aws:lambda:eu-west-1:111122223333:function:pay",
            "action": "lambda:InvokeFunction", "principal": "*"});
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            request[key] = value;
        }
        request
    }

    #[test]
    fn a_function_for_everyone_or_a_stranger() {
        let said = |more| said(&FUNCTION_OPENED, LAMBDA, "AddPermission20150331v2", permit(&more));
        assert_eq!(said(json!({})), Some(critical("pay")));
        assert_eq!(said(json!({"functionUrlAuthType": "NONE"})), Some(critical("pay")));
        assert_eq!(said(json!({"principal": STRANGER})), Some(high("pay")));
        assert_eq!(said(json!({"sourceAccount": STRANGER})), Some(high("pay")));
        assert_eq!(said(json!({"sourceArn": "arn:aws:s3:::*"})), Some(critical("pay")));
    }

    #[test]
    fn a_function_for_a_service_or_for_us() {
        let said = |more| said(&FUNCTION_OPENED, LAMBDA, "AddPermission20150331v2", permit(&more));
        assert_eq!(said(json!({"principal": "events.amazonaws.com"})), None);
        assert_eq!(said(json!({"principal": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::uploads"})), None);
        assert_eq!(said(json!({"sourceAccount": "111122223333"})), None);
        assert_eq!(said(json!({"sourceArn": "arn:aws:execute-api:eu-west-1:111122223333:api/*"})), None);
        assert_eq!(said(json!({"principalOrgID": "o-ours"})), None);
        assert_eq!(said(json!({"principal": "111122223333"})), None);
    }

    #[test]
    fn a_function_url_without_credentials_meets_its_permission() {
        let url = |name, auth| said(&FUNCTION_OPENED, LAMBDA, name, json!({"functionName": "pay", "authType": auth}));
        assert_eq!(url("CreateFunctionUrlConfig", "NONE"), Some(high("pay")));
        assert_eq!(url("UpdateFunctionUrlConfig20211031", "NONE"), Some(high("pay")));
        assert_eq!(url("CreateFunctionUrlConfig", "AWS_IAM"), None);
        let layer =
            json!({"layerName": "tools", "versionNumber": 1, "principal": "*", "action": "lambda:GetLayerVersion"});
        let name = "AddLayerVersionPermission20181031";
        assert_eq!(said(&FUNCTION_OPENED, LAMBDA, name, layer.clone()), Some(critical("tools")));
        let mut ours = layer;
        ours["organizationId"] = json!("o-ours");
        assert_eq!(said(&FUNCTION_OPENED, LAMBDA, name, ours), None);
    }

    #[test]
    fn a_topic_for_everyone_or_a_stranger() {
        let topic = "arn:aws:sns:eu-west-1:111122223333:orders";
        let set = |policy: String| {
            let request = json!({"topicArn": topic, "attributeName": "Policy", "attributeValue": policy});
            said(&MESSAGING_OPENED, SNS, "SetTopicAttributes", request)
        };
        assert_eq!(set(open_policy()), Some(critical("orders")));
        assert_eq!(set(stranger_policy()), Some(high("orders")));
        let default = policy(&json!({"AWS": "*"}), &json!({"StringEquals": {"AWS:SourceOwner": "111122223333"}}));
        assert_eq!(set(default), None);
        let name = json!({"topicArn": topic, "attributeName": "DisplayName", "attributeValue": "*"});
        assert_eq!(said(&MESSAGING_OPENED, SNS, "SetTopicAttributes", name), None);
        let add =
            |account| json!({"topicArn": topic, "label": "x", "aWSAccountId": [account], "actionName": ["Publish"]});
        assert_eq!(said(&MESSAGING_OPENED, SNS, "AddPermission", add(STRANGER)), Some(high("orders")));
        assert_eq!(said(&MESSAGING_OPENED, SNS, "AddPermission", add("111122223333")), None);
        assert_eq!(said(&MESSAGING_OPENED, SNS, "CreateTopic", json!({"name": "orders"})), None);
        let created = json!({"name": "orders", "attributes": {"Policy": open_policy()}});
        assert_eq!(said(&MESSAGING_OPENED, SNS, "CreateTopic", created), Some(critical("orders")));
    }

    #[test]
    fn a_queue_for_everyone_or_a_stranger() {
        let url = "https://sqs.eu-west-1.amazonaws.com/111122223333/jobs";
        let set = |attributes: Value| {
            said(&MESSAGING_OPENED, SQS, "SetQueueAttributes", json!({"queueUrl": url, "attributes": attributes}))
        };
        assert_eq!(set(json!({"Policy": open_policy()})), Some(critical("jobs")));
        assert_eq!(set(json!({"Policy": own_policy()})), None);
        assert_eq!(set(json!({"VisibilityTimeout": "30"})), None);
        assert_eq!(set(json!({"Policy": ""})), None);
        let from_bucket = json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:uploads"}});
        assert_eq!(set(json!({"Policy": policy(&json!("*"), &from_bucket)})), None);
        let add = json!({"queueUrl": url, "aWSAccountIds": [STRANGER], "actions": ["SendMessage"]});
        assert_eq!(said(&MESSAGING_OPENED, SQS, "AddPermission", add), Some(high("jobs")));
        let all = json!({"queueUrl": url, "aWSAccountIds": ["*"], "actions": ["*"]});
        assert_eq!(said(&MESSAGING_OPENED, SQS, "AddPermission", all), Some(critical("jobs")));
    }

    #[test]
    fn an_event_bus_for_everyone_or_an_organization() {
        let put = |request| said(&MESSAGING_OPENED, EVENTS, "PutPermission", request);
        assert_eq!(put(json!({"principal": "*", "action": "events:PutEvents"})), Some(critical("default")));
        let organization = json!({"type": "StringEquals", "key": "aws:PrincipalOrgID", "value": "o-ours"});
        assert_eq!(put(json!({"principal": "*", "condition": organization})), None);
        assert_eq!(put(json!({"eventBusName": "orders", "policy": open_policy()})), Some(critical("orders")));
        assert_eq!(put(json!({"principal": STRANGER})), Some(high("default")));
    }

    #[test]
    fn a_registry_for_everyone_or_a_stranger() {
        let repository = |policy| json!({"repositoryName": "api", "policyText": policy});
        for source in [ECR, ECR_PUBLIC] {
            let said = |policy| said(&REGISTRY_OPENED, source, "SetRepositoryPolicy", repository(policy));
            assert_eq!(said(open_policy()), Some(critical("api")));
            assert_eq!(said(stranger_policy()), Some(high("api")));
            assert_eq!(said(own_policy()), None);
        }
        let registry = json!({"policyText": stranger_policy()});
        assert_eq!(said(&REGISTRY_OPENED, ECR, "PutRegistryPolicy", registry), Some(high("111122223333")));
        let domain = json!({"domain": "d", "policyDocument": open_policy()});
        assert_eq!(said(&REGISTRY_OPENED, CODE_ARTIFACT, "PutDomainPermissionsPolicy", domain), Some(critical("d")));
    }

    #[test]
    fn a_key_for_everyone_or_a_stranger() {
        let put = |policy| {
            said(&KEY_OPENED, KMS, "PutKeyPolicy", json!({"keyId": "k-1", "policyName": "default", "policy": policy}))
        };
        assert_eq!(put(open_policy()), Some(critical("k-1")));
        assert_eq!(put(stranger_policy()), Some(high("k-1")));
        assert_eq!(put(own_policy()), None);
        let managed =
            json!({"StringEquals": {"kms:CallerAccount": "111122223333", "kms:ViaService": "s3.amazonaws.com"}});
        assert_eq!(put(policy(&json!({"AWS": "*"}), &managed)), None);
        assert_eq!(said(&KEY_OPENED, KMS, "CreateKey", json!({"description": "x"})), None);
        let mut created = called(KMS, "CreateKey", json!({"policy": open_policy()}));
        created["responseElements"] = json!({"keyMetadata": {"keyId": "k-2"}});
        assert_eq!(caught(&KEY_OPENED, &created).map(|caught| caught.key).as_deref(), Some("k-2"));
    }

    #[test]
    fn a_grant_to_a_stranger_unless_a_service_gives_it() {
        let request = |grantee| json!({"keyId": "k-1", "granteePrincipal": grantee, "operations": ["Decrypt"]});
        let stranger = "arn:aws:iam::999988887777:role/r";
        assert_eq!(said(&KEY_OPENED, KMS, "CreateGrant", request(stranger)), Some(high("k-1")));
        assert_eq!(said(&KEY_OPENED, KMS, "CreateGrant", request("arn:aws:iam::111122223333:role/r")), None);
        assert_eq!(said(&KEY_OPENED, KMS, "CreateGrant", request("rds.eu-west-1.amazonaws.com")), None);
        let mut by_service = called(KMS, "CreateGrant", request(stranger));
        by_service["userIdentity"]["invokedBy"] = json!("redshift.amazonaws.com");
        assert!(caught(&KEY_OPENED, &by_service).is_none());
    }

    #[test]
    fn secrets_search_domains_and_file_systems() {
        let secret = json!({"secretId": "db", "resourcePolicy": open_policy(), "blockPublicPolicy": false});
        assert_eq!(said(&SECRET_OPENED, SECRETS, "PutResourcePolicy", secret), Some(critical("db")));
        let domain = |policy: String| json!({"domainName": "logs", "accessPolicies": policy});
        assert_eq!(said(&SEARCH_OPENED, SEARCH, "UpdateDomainConfig", domain(open_policy())), Some(critical("logs")));
        let office = json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}});
        assert_eq!(said(&SEARCH_OPENED, SEARCH, "UpdateDomainConfig", domain(policy(&json!("*"), &office))), None);
        let mut private = domain(open_policy());
        private["vPCOptions"] = json!({"subnetIds": ["subnet-1"]});
        let private = called(SEARCH, "CreateElasticsearchDomain", private);
        assert_eq!(severity(&SEARCH_OPENED, &private), Some(Severity::Medium));
        assert_eq!(said(&SEARCH_OPENED, SEARCH, "UpdateDomainConfig", json!({"domainName": "logs"})), None);
        let mounted = json!({"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}});
        let put = |condition| {
            let request = json!({"fileSystemId": "fs-1", "policy": policy(&json!({"AWS": "*"}), &condition)});
            said(&POLICY_OPENED, EFS, "PutFileSystemPolicy", request)
        };
        assert_eq!(put(mounted), None);
        assert_eq!(put(json!({})), Some(critical("fs-1")));
    }

    #[test]
    fn a_network_policy_for_the_internet() {
        let request = |public: bool| {
            json!({"name": "n", "type": "network",
            "policy": json!([{"Rules": [], "AllowFromPublic": public}]).to_string()})
        };
        let name = "CreateSecurityPolicy";
        assert_eq!(said(&SEARCH_OPENED, SEARCH_SERVERLESS, name, request(true)), Some(high("n")));
        assert_eq!(said(&SEARCH_OPENED, SEARCH_SERVERLESS, name, request(false)), None);
        let object = json!({"name": "n", "policy": [{"AllowFromPublic": "true"}]});
        assert_eq!(said(&SEARCH_OPENED, SEARCH_SERVERLESS, name, object), Some(high("n")));
    }

    #[test]
    fn resource_policies_of_every_service() {
        for (source, name, request, key) in [
            (BACKUP, "PutBackupVaultAccessPolicy", json!({"backupVaultName": "v", "policy": open_policy()}), "v"),
            (GLACIER, "SetVaultAccessPolicy", json!({"vaultName": "g", "policy": {"policy": open_policy()}}), "g"),
            (LOGS, "PutResourcePolicy", json!({"policyName": "p", "policyDocument": open_policy()}), "p"),
            (LOGS, "PutDestinationPolicy", json!({"destinationName": "d", "accessPolicy": open_policy()}), "d"),
            (DYNAMODB, "PutResourcePolicy", json!({"resourceArn": "t", "policy": open_policy()}), "t"),
            (DYNAMODB, "CreateTable", json!({"tableName": "t", "resourcePolicy": open_policy()}), "t"),
            (
                "cloudtrail.amazonaws.com",
                "PutResourcePolicy",
                json!({"resourceArn": "c", "resourcePolicy": open_policy()}),
                "c",
            ),
            ("kinesis.amazonaws.com", "PutResourcePolicy", json!({"resourceARN": "k", "policy": open_policy()}), "k"),
            ("glue.amazonaws.com", "PutResourcePolicy", json!({"policyInJson": open_policy()}), "data catalog"),
            ("new.amazonaws.com", "PutResourcePolicy", json!({"resourceArn": "n", "policy": open_policy()}), "n"),
        ] {
            assert_eq!(said(&POLICY_OPENED, source, name, request), Some(critical(key)), "{source} {name}");
        }
        assert_eq!(said(&POLICY_OPENED, DYNAMODB, "CreateTable", json!({"tableName": "t"})), None);
        let delegation = json!({"content": open_policy()});
        assert_eq!(said(&POLICY_OPENED, "organizations.amazonaws.com", "PutResourcePolicy", delegation), None);
        let approval = json!({"resourceArn": "a", "policyDocument": "{}"});
        assert_eq!(said(&POLICY_OPENED, "multi-party-approval.amazonaws.com", "PutResourcePolicy", approval), None);
    }

    #[test]
    fn content_that_is_hidden_is_high_and_what_aws_leaves_out_medium() {
        let severity = |request| severity(&KEY_OPENED, &called(KMS, "PutKeyPolicy", request));
        let omitted = json!({"omitted": true, "originalSize": 120_000, "reason": "requestParameters too large"});
        assert_eq!(severity(omitted), Some(Severity::High));
        assert_eq!(severity(json!({"keyId": "k-1", "policy": "{\"Version\": \"2012"})), Some(Severity::High));
        assert_eq!(
            severity(json!({"keyId": "k-1", "policy": "HIDDEN_DUE_TO_SECURITY_REASONS"})),
            Some(Severity::Medium)
        );
        assert_eq!(severity(json!({"keyId": "k-1"})), Some(Severity::Medium));
    }

    #[test]
    fn a_refused_call_names_its_target_in_the_message_alone() {
        let mut record = refused(KMS, "PutKeyPolicy", Value::Null, "AccessDenied");
        record["errorMessage"] = json!(
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: \
            kms:PutKeyPolicy on resource: arn:aws:kms:eu-west-1:111122223333:key/k-1 because no policy allows it"
        );
        let caught = caught(&KEY_OPENED, &record).expect("caught");
        let Match { lead, key, .. } = caught;
        assert_eq!((lead.severity, lead.outcome, key.as_str()), (Severity::Medium, Outcome::Denied, "k-1"));
    }

    #[test]
    fn projects_documents_and_device_policies() {
        let project = |visibility| json!({"projectArn": "p", "projectVisibility": visibility});
        assert_eq!(
            said(&BUILD_OPENED, CODE_BUILD, "UpdateProjectVisibility", project("PUBLIC_READ")),
            Some(critical("p"))
        );
        assert_eq!(said(&BUILD_OPENED, CODE_BUILD, "UpdateProjectVisibility", project("PRIVATE")), None);
        let document = |who| json!({"name": "d", "permissionType": "Share", "accountIdsToAdd": [who]});
        assert_eq!(said(&DOCUMENT_SHARED, SSM, "ModifyDocumentPermission", document("all")), Some(critical("d")));
        assert_eq!(said(&DOCUMENT_SHARED, SSM, "ModifyDocumentPermission", document(STRANGER)), Some(high("d")));
        let device = |action: &str, resource: &str| {
            let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
            let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
            json!({"policyName": "i", "policyDocument": document})
        };
        assert_eq!(said(&DEVICE_POLICY_OPENED, IOT, "CreatePolicy", device("iot:*", "*")), Some(high("i")));
        assert_eq!(said(&DEVICE_POLICY_OPENED, IOT, "CreatePolicy", device("iot:Connect", "*")), None);
    }

    #[test]
    fn shares_with_strangers() {
        let share =
            |principal| json!({"name": "s", "principals": [principal], "resourceArns": ["arn:aws:ec2:::subnet/s"]});
        assert_eq!(said(&DATA_SHARED, RAM, "CreateResourceShare", share(STRANGER)), Some(high("s")));
        assert_eq!(said(&DATA_SHARED, RAM, "CreateResourceShare", share("111122223333")), None);
        assert_eq!(said(&DATA_SHARED, RAM, "CreateResourceShare", json!({"name": "s"})), None);
        let datashare = json!({"dataShareArn": "a", "consumerIdentifier": STRANGER});
        assert_eq!(said(&DATA_SHARED, REDSHIFT, "AuthorizeDataShare", datashare), Some(high("a")));
        let grant = json!({"principal": {"dataLakePrincipalIdentifier": STRANGER}, "permissions": ["SELECT"],
            "resource": {"table": {"databaseName": "sales", "name": "orders"}}});
        assert_eq!(said(&DATA_SHARED, LAKE_FORMATION, "GrantPermissions", grant), Some(high("sales")));
    }

    #[test]
    fn the_sentence_says_who_may_do_what() {
        let record = called(
            SNS,
            "SetTopicAttributes",
            json!({"topicArn": "arn:aws:sns:eu-west-1:111122223333:orders",
            "attributeName": "Policy", "attributeValue": policy(&json!("*"), &json!({}))}),
        );
        let Match { lead, resources, .. } = caught(&MESSAGING_OPENED, &record).expect("caught");
        assert_eq!(lead.deed, Deed::new("make", "made", "topic orders public: anyone may do everything"));
        assert_eq!(resources, ["orders"]);
        assert!(lead.why.is_some_and(|why| why.contains("Principal *")));
    }
}
