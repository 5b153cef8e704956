//! Someone touched this system itself: its functions, queues, topics, table, schedules, alarms, roles, stack.
//!
//! A resource is a part when its name begins with the stack's, in the account of the stack. Nothing is a part while
//! the settings name neither.

use serde_json::Value;

use super::log_storage::is_own_key;
use super::trail::acts_alone;
use crate::actor::Actor;
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::shape::{falsy, field, number, text, texts};

pub(super) const ALL: &[&Detection] = &[&OWN_PART_TOUCHED];

const CLOUDFORMATION: &str = "cloudformation.amazonaws.com";

/// A part of this system is deleted, disabled or changed.
static OWN_PART_TOUCHED: Detection = Detection {
    id: "own-part-touched",
    title: "A part of this monitor was deleted, disabled or changed",
    category: Category::TrailTampering,
    severity: Severity::Critical,
    techniques: &["T1562.001", "T1562.008"],
    wants: &[
        Want::Calls("lambda.amazonaws.com", &LAMBDA_NAMES),
        Want::Calls("sqs.amazonaws.com", &SQS_NAMES),
        Want::Calls("sns.amazonaws.com", &SNS_NAMES),
        Want::Calls("dynamodb.amazonaws.com", &DYNAMODB_NAMES),
        Want::Calls("scheduler.amazonaws.com", &SCHEDULER_NAMES),
        Want::Calls("events.amazonaws.com", &EVENTS_NAMES),
        Want::Calls("logs.amazonaws.com", &LOGS_NAMES),
        Want::Calls("monitoring.amazonaws.com", &MONITORING_NAMES),
        Want::Calls(CLOUDFORMATION, &CLOUDFORMATION_NAMES),
        Want::Calls("iam.amazonaws.com", &IAM_NAMES),
        Want::Calls("kms.amazonaws.com", &KMS_NAMES),
        Want::Calls("ssm.amazonaws.com", &SSM_NAMES),
        Want::Calls("secretsmanager.amazonaws.com", &SECRETS_NAMES),
        Want::Calls("chatbot.amazonaws.com", &CHATBOT_NAMES),
    ],
    glance: |_, settings| !settings.own.stack.is_empty() && !settings.own.account.is_empty(),
    check: touched,
    why: "Whoever breaks or rewrites the monitor goes unseen afterwards.",
    runbook: &[
        "Call the actor: was this a deployment? Then name its role in own.deploy_roles",
        "Compare with the template: aws cloudformation detect-stack-drift --stack-name STACK",
        "Deploy the last good version again, then run qtrail status",
        "Read the log files of the time in between with qtrail scan",
    ],
    lowerable: false,
    ..Detection::BASE
};

fn touched(case: &Case<'_>) -> Option<Catch> {
    let act = act(case)?;
    let name = part(case, act)?;
    // A key that the settings name is looked after with the log files' keys.
    if is_own_key(case.settings, case.record.parameter("aliasName")) {
        return None;
    }
    let deed = Deed::new(act.verb, act.past, format!("{} {name} of this monitor", act.what));
    let catch = Catch::new(deed).severity(severity(case, act)).resource(name);
    if through_cloudformation(case) {
        // One deployment is one thing to look at, however many parts it touches.
        return Some(catch.key(format!("{}|stack {}", case.actor.key(), case.settings.own.stack)));
    }
    Some(catch)
}

fn severity(case: &Case<'_>, act: &Act) -> Severity {
    if acts_alone(case.actor) || (!(act.disables)(case) && is_deployment(case)) {
        return Severity::Low;
    }
    Severity::Critical
}

/// A call that touches a part.
struct Act {
    name: &'static str,
    /// The parameters that name the part.
    keys: &'static [&'static str],
    verb: &'static str,
    past: &'static str,
    what: &'static str,
    /// Whether this is a deletion or a disabling rather than an update.
    disables: fn(&Case<'_>) -> bool,
}

const fn act_on(name: &'static str, keys: &'static [&'static str], deed: [&'static str; 3]) -> Act {
    Act { name, keys, verb: deed[0], past: deed[1], what: deed[2], disables: |_| false }
}

impl Act {
    const fn harmful(self) -> Self {
        Self { disables: |_| true, ..self }
    }

    const fn harmful_if(self, disables: fn(&Case<'_>) -> bool) -> Self {
        Self { disables, ..self }
    }
}

const fn names<const N: usize>(acts: &[Act; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = acts[index].name;
        index += 1;
    }
    names
}

const FUNCTION: &[&str] = &["functionName", "functionArn"];
static LAMBDA: [Act; 17] = [
    act_on("DeleteFunction", FUNCTION, ["delete", "deleted", "function"]).harmful(),
    act_on("UpdateFunctionCode", FUNCTION, ["replace the code of", "replaced the code of", "function"]),
    act_on("UpdateFunctionConfiguration", FUNCTION, ["reconfigure", "reconfigured", "function"]),
    act_on("PutFunctionConcurrency", FUNCTION, ["limit", "limited", "function"]).harmful_if(is_stopped),
    act_on("DeleteFunctionConcurrency", FUNCTION, ["lift the limit of", "lifted the limit of", "function"]),
    act_on("PutFunctionRecursionConfig", FUNCTION, ["set loop detection of", "set loop detection of", "function"]),
    act_on("PutFunctionEventInvokeConfig", FUNCTION, ["set retries of", "set retries of", "function"]),
    act_on("UpdateFunctionEventInvokeConfig", FUNCTION, ["set retries of", "set retries of", "function"]),
    act_on("PutRuntimeManagementConfig", FUNCTION, ["set the runtime of", "set the runtime of", "function"]),
    act_on("AddPermission", FUNCTION, ["let others call", "let others call", "function"]),
    act_on("RemovePermission", FUNCTION, ["take a permission off", "took a permission off", "function"]).harmful(),
    act_on("UpdateAlias", FUNCTION, ["move an alias of", "moved an alias of", "function"]),
    act_on("DeleteAlias", FUNCTION, ["delete an alias of", "deleted an alias of", "function"]).harmful(),
    act_on("CreateFunctionUrlConfig", FUNCTION, ["open a URL to", "opened a URL to", "function"]),
    act_on("UpdateFunctionUrlConfig", FUNCTION, ["change the URL of", "changed the URL of", "function"]),
    act_on("DeleteEventSourceMapping", FUNCTION, ["cut off the queue of", "cut off the queue of", "function"])
        .harmful(),
    act_on("UpdateEventSourceMapping", FUNCTION, ["change the queue of", "changed the queue of", "function"])
        .harmful_if(is_switched_off),
];
const LAMBDA_NAMES: [&str; 17] = names(&LAMBDA);

const QUEUE: &[&str] = &["queueUrl"];
static SQS: [Act; 5] = [
    act_on("DeleteQueue", QUEUE, ["delete", "deleted", "queue"]).harmful(),
    act_on("PurgeQueue", QUEUE, ["empty", "emptied", "queue"]).harmful(),
    act_on("SetQueueAttributes", QUEUE, ["change", "changed", "queue"]),
    act_on("AddPermission", QUEUE, ["let others use", "let others use", "queue"]),
    act_on("RemovePermission", QUEUE, ["take a permission off", "took a permission off", "queue"]).harmful(),
];
const SQS_NAMES: [&str; 5] = names(&SQS);

const TOPIC: &[&str] = &["topicArn"];
const SUBSCRIPTION: &[&str] = &["subscriptionArn"];
static SNS: [Act; 8] = [
    act_on("DeleteTopic", TOPIC, ["delete", "deleted", "topic"]).harmful(),
    act_on("SetTopicAttributes", TOPIC, ["change", "changed", "topic"]),
    act_on("PutDataProtectionPolicy", &["resourceArn"], ["mask the messages of", "masked the messages of", "topic"]),
    act_on("AddPermission", TOPIC, ["let others use", "let others use", "topic"]),
    act_on("RemovePermission", TOPIC, ["take a permission off", "took a permission off", "topic"]).harmful(),
    act_on("Subscribe", TOPIC, ["subscribe to", "subscribed to", "topic"]),
    act_on("Unsubscribe", SUBSCRIPTION, ["unsubscribe", "unsubscribed", "a recipient of topic"]).harmful(),
    act_on("SetSubscriptionAttributes", SUBSCRIPTION, ["filter", "filtered", "a recipient of topic"]),
];
const SNS_NAMES: [&str; 8] = names(&SNS);

const TABLE: &[&str] = &["tableName", "resourceArn", "backupArn"];
static DYNAMODB: [Act; 9] = [
    act_on("DeleteTable", TABLE, ["delete", "deleted", "table"]).harmful(),
    act_on("UpdateTable", TABLE, ["change", "changed", "table"]).harmful_if(is_unprotected),
    act_on("UpdateTimeToLive", TABLE, ["change the expiry of", "changed the expiry of", "table"]),
    act_on("UpdateContinuousBackups", TABLE, ["change the backups of", "changed the backups of", "table"])
        .harmful_if(is_not_backed_up),
    act_on("PutResourcePolicy", TABLE, ["set the policy of", "set the policy of", "table"]),
    act_on("DeleteResourcePolicy", TABLE, ["delete the policy of", "deleted the policy of", "table"]).harmful(),
    act_on("DeleteBackup", TABLE, ["delete a backup of", "deleted a backup of", "table"]).harmful(),
    act_on("TagResource", TABLE, ["tag", "tagged", "table"]),
    act_on("UntagResource", TABLE, ["untag", "untagged", "table"]),
];
const DYNAMODB_NAMES: [&str; 9] = names(&DYNAMODB);

static SCHEDULER: [Act; 3] = [
    act_on("DeleteSchedule", &["name", "groupName"], ["delete", "deleted", "schedule"]).harmful(),
    act_on("DeleteScheduleGroup", &["name"], ["delete", "deleted", "schedule group"]).harmful(),
    act_on("UpdateSchedule", &["name", "groupName"], ["change", "changed", "schedule"]).harmful_if(is_switched_off),
];
const SCHEDULER_NAMES: [&str; 3] = names(&SCHEDULER);

static EVENTS: [Act; 7] = [
    act_on("DisableRule", &["name"], ["disable", "disabled", "rule"]).harmful(),
    act_on("DeleteRule", &["name"], ["delete", "deleted", "rule"]).harmful(),
    act_on("RemoveTargets", &["rule"], ["remove the targets of", "removed the targets of", "rule"]).harmful(),
    act_on("PutTargets", &["rule"], ["change the targets of", "changed the targets of", "rule"]),
    act_on("PutRule", &["name"], ["change", "changed", "rule"]).harmful_if(is_switched_off),
    act_on("PutPermission", BUS, ["change who may send to", "changed who may send to", "event bus"]),
    act_on("RemovePermission", BUS, ["take a permission off", "took a permission off", "event bus"]).harmful(),
];
const EVENTS_NAMES: [&str; 7] = names(&EVENTS);

const BUS: &[&str] = &["statementId", "eventBusName"];

const LOG_GROUP: &[&str] = &["logGroupName", "logGroupIdentifier", "resourceIdentifier"];
static LOGS: [Act; 10] = [
    act_on("DeleteLogGroup", LOG_GROUP, ["delete", "deleted", "log group"]).harmful(),
    act_on("DeleteLogStream", LOG_GROUP, ["delete a stream of", "deleted a stream of", "log group"]).harmful(),
    act_on("PutRetentionPolicy", LOG_GROUP, ["change the retention of", "changed the retention of", "log group"]),
    act_on("PutSubscriptionFilter", LOG_GROUP, ["change a subscription of", "changed a subscription of", "log group"]),
    act_on("DeleteSubscriptionFilter", LOG_GROUP, ["end a subscription of", "ended a subscription of", "log group"])
        .harmful(),
    act_on("PutMetricFilter", LOG_GROUP, ["change a metric of", "changed a metric of", "log group"]),
    act_on("DeleteMetricFilter", LOG_GROUP, ["delete a metric of", "deleted a metric of", "log group"]).harmful(),
    act_on("PutDataProtectionPolicy", LOG_GROUP, ["mask entries of", "masked entries of", "log group"]),
    act_on("DisassociateKmsKey", LOG_GROUP, ["take the key off", "took the key off", "log group"]).harmful(),
    act_on("PutLogGroupDeletionProtection", LOG_GROUP, ["set the protection of", "set the protection of", "log group"])
        .harmful_if(is_unprotected),
];
const LOGS_NAMES: [&str; 10] = names(&LOGS);

const ALARM: &[&str] = &["alarmNames", "alarmName", "name"];
static MONITORING: [Act; 6] = [
    act_on("DeleteAlarms", ALARM, ["delete", "deleted", "alarm"]).harmful(),
    act_on("DisableAlarmActions", ALARM, ["silence", "silenced", "alarm"]).harmful(),
    act_on("SetAlarmState", ALARM, ["fake the state of", "faked the state of", "alarm"]).harmful(),
    act_on("PutMetricAlarm", ALARM, ["change", "changed", "alarm"]).harmful_if(is_silenced),
    act_on("PutCompositeAlarm", ALARM, ["change", "changed", "alarm"]).harmful_if(is_silenced),
    act_on("PutAlarmMuteRule", MUTED, ["mute", "muted", "alarm"]).harmful(),
];
const MONITORING_NAMES: [&str; 6] = names(&MONITORING);
const MUTED: &[&str] = &["alarmNames", "muteTargets", "name"];

const STACK: &[&str] = &["stackName", "stackId"];
static STACKS: [Act; 8] = [
    act_on("DeleteStack", STACK, ["delete", "deleted", "stack"]).harmful(),
    act_on("UpdateStack", STACK, ["update", "updated", "stack"]),
    act_on("ExecuteChangeSet", STACK_OF_SET, ["update", "updated", "stack"]),
    act_on("CancelUpdateStack", STACK, ["stop the update of", "stopped the update of", "stack"]),
    act_on("RollbackStack", STACK, ["roll back", "rolled back", "stack"]),
    act_on("ContinueUpdateRollback", STACK, ["roll back", "rolled back", "stack"]),
    act_on("SetStackPolicy", STACK, ["change the policy of", "changed the policy of", "stack"]),
    act_on("UpdateTerminationProtection", STACK, ["set the protection of", "set the protection of", "stack"])
        .harmful_if(is_unprotected),
];
const CLOUDFORMATION_NAMES: [&str; 8] = names(&STACKS);
const STACK_OF_SET: &[&str] = &["stackName", "stackId", "changeSetName"];

const ROLE: &[&str] = &["roleName"];
const POLICY: &[&str] = &["policyArn"];
static IAM: [Act; 13] = [
    act_on("CreateRole", ROLE, ["create", "created", "role"]),
    act_on("DeleteRole", ROLE, ["delete", "deleted", "role"]).harmful(),
    act_on("UpdateRole", ROLE, ["change", "changed", "role"]),
    act_on("UpdateAssumeRolePolicy", ROLE, ["change who may assume", "changed who may assume", "role"]),
    act_on("PutRolePolicy", ROLE, ["change what is allowed to", "changed what is allowed to", "role"]),
    act_on("DeleteRolePolicy", ROLE, ["take permissions off", "took permissions off", "role"]).harmful(),
    act_on("AttachRolePolicy", ROLE, ["attach a policy to", "attached a policy to", "role"]),
    act_on("DetachRolePolicy", ROLE, ["detach a policy from", "detached a policy from", "role"]).harmful(),
    act_on("PutRolePermissionsBoundary", ROLE, ["set the boundary of", "set the boundary of", "role"]),
    act_on("DeleteRolePermissionsBoundary", ROLE, ["lift the boundary of", "lifted the boundary of", "role"]).harmful(),
    act_on("CreatePolicyVersion", POLICY, ["change", "changed", "policy"]),
    act_on("SetDefaultPolicyVersion", POLICY, ["change", "changed", "policy"]),
    act_on("DeletePolicy", POLICY, ["delete", "deleted", "policy"]).harmful(),
];
const IAM_NAMES: [&str; 13] = names(&IAM);

/// The keys themselves are those of the settings; here only their names are.
static KMS: [Act; 2] = [
    act_on("UpdateAlias", &["aliasName"], ["move", "moved", "key alias"]),
    act_on("DeleteAlias", &["aliasName"], ["delete", "deleted", "key alias"]).harmful(),
];
const KMS_NAMES: [&str; 2] = names(&KMS);

const PARAMETER: &[&str] = &["name", "names"];
static SSM: [Act; 3] = [
    act_on("PutParameter", PARAMETER, ["change", "changed", "parameter"]),
    act_on("DeleteParameter", PARAMETER, ["delete", "deleted", "parameter"]).harmful(),
    act_on("DeleteParameters", PARAMETER, ["delete", "deleted", "parameter"]).harmful(),
];
const SSM_NAMES: [&str; 3] = names(&SSM);

const SECRET: &[&str] = &["secretId"];
static SECRETS: [Act; 5] = [
    act_on("DeleteSecret", SECRET, ["delete", "deleted", "secret"]).harmful(),
    act_on("PutSecretValue", SECRET, ["replace", "replaced", "secret"]),
    act_on("UpdateSecret", SECRET, ["change", "changed", "secret"]),
    act_on("PutResourcePolicy", SECRET, ["set the policy of", "set the policy of", "secret"]),
    act_on("DeleteResourcePolicy", SECRET, ["delete the policy of", "deleted the policy of", "secret"]).harmful(),
];
const SECRETS_NAMES: [&str; 5] = names(&SECRETS);

const CHANNEL: &[&str] = &["configurationName", "chatConfigurationArn"];
static CHATBOT: [Act; 2] = [
    act_on("UpdateSlackChannelConfiguration", CHANNEL, ["change", "changed", "Slack channel"]),
    act_on("DeleteSlackChannelConfiguration", CHANNEL, ["cut off", "cut off", "Slack channel"]).harmful(),
];
const CHATBOT_NAMES: [&str; 2] = names(&CHATBOT);

fn act(case: &Case<'_>) -> Option<&'static Act> {
    let acts: &[Act] = match &*case.record.source {
        "lambda.amazonaws.com" => &LAMBDA,
        "sqs.amazonaws.com" => &SQS,
        "sns.amazonaws.com" => &SNS,
        "dynamodb.amazonaws.com" => &DYNAMODB,
        "scheduler.amazonaws.com" => &SCHEDULER,
        "events.amazonaws.com" => &EVENTS,
        "logs.amazonaws.com" => &LOGS,
        "monitoring.amazonaws.com" => &MONITORING,
        CLOUDFORMATION => &STACKS,
        "iam.amazonaws.com" => &IAM,
        "kms.amazonaws.com" => &KMS,
        "ssm.amazonaws.com" => &SSM,
        "secretsmanager.amazonaws.com" => &SECRETS,
        "chatbot.amazonaws.com" => &CHATBOT,
        _ => return None,
    };
    acts.iter().find(|act| act.name == case.record.action())
}

/// The part that the call is about. A refused call often names it in its error message alone.
fn part<'c>(case: &'c Case<'_>, act: &Act) -> Option<&'c str> {
    let record = case.record;
    let said = |value: &'c Value| act.keys.iter().flat_map(move |key| names_in(field(value, key)));
    let mut all = said(record.request()).chain(said(record.response())).chain(record.arn_in_error());
    all.find_map(|name| own_segment(case, name))
}

/// A name, the names of a list, or those in a list one level down (`muteTargets.alarmNames`).
fn names_in(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(map) => map.values().flat_map(texts).collect(),
        value => texts(value),
    }
}

/// Whether a name is that of a part.
pub(super) fn is_part(case: &Case<'_>, name: &str) -> bool {
    own_segment(case, name).is_some()
}

/// The piece of a name, path, URL or ARN that begins with the stack's name, with all that follows it in the path.
fn own_segment<'n>(case: &Case<'_>, name: &'n str) -> Option<&'n str> {
    let own = &case.settings.own;
    if own.stack.is_empty() || own.account.is_empty() || own.account != case.account {
        return None;
    }
    name.split(['/', ':']).find(|segment| begins_with(segment, &own.stack))
}

/// Whether a name is the stack's or goes on after it with something like `-`. S3 writes names in small letters.
pub(super) fn begins_with(name: &str, stack: &str) -> bool {
    let head = name.get(..stack.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(stack))
        && name.get(stack.len()..).and_then(|rest| rest.chars().next()).is_none_or(|next| !next.is_alphanumeric())
}

/// Whether this is one of the calls of a deployment: by `CloudFormation`, for a role that deploys this stack.
pub(super) fn is_deployment(case: &Case<'_>) -> bool {
    through_cloudformation(case) && case.settings.own.deploy_roles.iter().any(|role| is_role(case.actor, role))
}

fn through_cloudformation(case: &Case<'_>) -> bool {
    case.actor.invoked_by == CLOUDFORMATION || case.record.source == CLOUDFORMATION
}

/// Whether an actor is a session of a role, which does not name the role's path.
fn is_role(actor: &Actor, role: &str) -> bool {
    let account = |arn: &str| arn.split(':').nth(4).unwrap_or_default().to_owned();
    let name = role.rsplit('/').next().unwrap_or(role);
    actor.issuer_arn == role
        || actor.arn == role
        || (!actor.role.is_empty() && actor.role == name && account(&actor.arn) == account(role))
}

/// Whether the actor is a function of this system.
pub(super) fn is_own_role(case: &Case<'_>) -> bool {
    case.actor.account == case.settings.own.account && is_part(case, &case.actor.role)
}

/// No execution at a time: the function never runs.
fn is_stopped(case: &Case<'_>) -> bool {
    number(field(case.record.request(), "reservedConcurrentExecutions")).is_none_or(|limit| limit <= 0)
}

fn is_switched_off(case: &Case<'_>) -> bool {
    falsy(field(case.record.request(), "enabled")) || text(field(case.record.request(), "state")) == "DISABLED"
}

fn is_unprotected(case: &Case<'_>) -> bool {
    ["deletionProtectionEnabled", "enableTerminationProtection"]
        .iter()
        .any(|key| falsy(field(case.record.request(), key)))
}

fn is_not_backed_up(case: &Case<'_>) -> bool {
    let settings = field(case.record.request(), "pointInTimeRecoverySpecification");
    falsy(field(settings, "pointInTimeRecoveryEnabled"))
}

fn is_silenced(case: &Case<'_>) -> bool {
    falsy(field(case.record.request(), "actionsEnabled"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::settings::Settings;
    use crate::testing::{ACCOUNT, caught, caught_with, record};
    use serde_json::json;

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.own.account = ACCOUNT.to_owned();
        settings.own.stack = "qtrail".to_owned();
        settings.own.deploy_roles = vec![format!("arn:aws:iam::{ACCOUNT}:role/ci/deployer")];
        settings
    }

    fn found(record: &Value) -> Option<Match> {
        caught_with(settings(), &OWN_PART_TOUCHED, record)
    }

    fn call(service: &str, name: &str, request: &Value) -> Value {
        record(&format!("{service}.amazonaws.com"), name, json!({"requestParameters": request}))
    }

    fn session(mut record: Value, role: &str, invoked_by: Option<&str>) -> Value {
        record["userIdentity"] = json!({
            "type": "AssumedRole",
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"),
            "accountId": ACCOUNT,
            "sessionContext": {},
        });
        if let Some(service) = invoked_by {
            record["userIdentity"]["invokedBy"] = json!(service);
        }
        record
    }

    #[test]
    fn each_kind_of_part_is_guarded() {
        let arn = |service: &str, name: &str| format!("arn:aws:{service}:eu-west-1:{ACCOUNT}:{name}");
        for (service, name, request) in [
            ("lambda", "DeleteFunction20150331", json!({"functionName": "qtrail-IngestFunction-1A"})),
            (
                "lambda",
                "UpdateFunctionCode20150331v2",
                json!({"functionName": arn("lambda", "function:qtrail-Ingest")}),
            ),
            (
                "lambda",
                "PutFunctionConcurrency20171031",
                json!({"functionName": "qtrail-I", "reservedConcurrentExecutions": 0}),
            ),
            (
                "sqs",
                "PurgeQueue",
                json!({"queueUrl": format!("https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/qtrail-log-files")}),
            ),
            ("sns", "DeleteTopic", json!({"topicArn": arn("sns", "qtrail-PeopleTopic-1A")})),
            ("sns", "Unsubscribe", json!({"subscriptionArn": arn("sns", "qtrail-PeopleTopic-1A:0000-11")})),
            (
                "sns",
                "SetSubscriptionAttributes",
                json!({"subscriptionArn": arn("sns", "qtrail-T:0"), "attributeName": "FilterPolicy"}),
            ),
            ("dynamodb", "UpdateTable", json!({"tableName": "qtrail-Table-1A", "deletionProtectionEnabled": false})),
            ("dynamodb", "TagResource", json!({"resourceArn": arn("dynamodb", "table/qtrail-Table-1A")})),
            ("scheduler", "UpdateSchedule", json!({"name": "qtrail-Notify", "state": "DISABLED"})),
            ("events", "DisableRule", json!({"name": "qtrail-LogFileRule-1A"})),
            ("events", "RemoveTargets", json!({"rule": "qtrail-LogFileRule-1A", "ids": ["1"]})),
            ("events", "RemovePermission", json!({"statementId": "qtrail-log-bucket"})),
            ("logs", "DeleteLogGroup", json!({"logGroupName": "/aws/lambda/qtrail-IngestFunction-1A"})),
            ("monitoring", "DeleteAlarms", json!({"alarmNames": ["other", "qtrail-DeadLetters-1A"]})),
            ("monitoring", "PutAlarmMuteRule", json!({"name": "m", "muteTargets": {"alarmNames": ["qtrail-Errors"]}})),
            ("cloudformation", "DeleteStack", json!({"stackName": arn("cloudformation", "stack/qtrail/0000-11")})),
            ("iam", "PutRolePolicy", json!({"roleName": "qtrail-IngestRole-1A"})),
            ("kms", "DeleteAlias", json!({"aliasName": "alias/qtrail"})),
            ("ssm", "DeleteParameters", json!({"names": ["/qtrail/slack"]})),
            (
                "chatbot",
                "DeleteSlackChannelConfiguration",
                json!({"chatConfigurationArn": arn("chatbot", "chat-configuration/slack-channel/qtrail")}),
            ),
        ] {
            let record = call(service, name, &request);
            let done = found(&record).unwrap_or_else(|| panic!("{name} is caught"));
            assert_eq!(done.lead.severity, Severity::Critical, "{name}");
            assert!(done.lead.deed.object.contains("qtrail"), "{name}: {:?}", done.lead.deed);
            let mut denied = record;
            denied["errorCode"] = json!("AccessDenied");
            assert_eq!(found(&denied).map(|found| found.lead.severity), Some(Severity::Critical), "{name}, denied");
        }
    }

    #[test]
    fn it_reads_well() {
        let deleted = found(&call("lambda", "DeleteFunction20150331", &json!({"functionName": "qtrail-Ingest"})));
        let deed = deleted.expect("caught").lead.deed;
        assert_eq!(format!("{} {}", deed.past, deed.object), "deleted function qtrail-Ingest of this monitor");
    }

    #[test]
    fn a_refused_call_names_the_part_in_its_message_alone() {
        let mut record = call("lambda", "DeleteFunction20150331", &Value::Null);
        record["errorCode"] = json!("AccessDenied");
        record["errorMessage"] =
            json!("no, on resource: arn:aws:lambda:eu-west-1:111122223333:function:qtrail-I because");
        assert_eq!(found(&record).map(|found| found.resources), Some(vec!["qtrail-I".to_owned()]));
    }

    #[test]
    fn an_event_source_mapping_is_known_by_its_function() {
        let mut record = call("lambda", "UpdateEventSourceMapping20150331", &json!({"uUID": "u", "enabled": false}));
        record["responseElements"] = json!({"functionArn": "arn:aws:lambda:eu-west-1:111122223333:function:qtrail-I"});
        assert_eq!(found(&record).map(|found| found.lead.severity), Some(Severity::Critical));
    }

    #[test]
    fn what_is_not_ours_is_none_of_its_business() {
        let delete = call("lambda", "DeleteFunction20150331", &json!({"functionName": "qtrail-Ingest"}));
        assert!(caught(&OWN_PART_TOUCHED, &delete).is_none(), "no settings, no parts");
        for name in ["qtrail2-Ingest", "qtrails", "my-qtrail-Ingest", "payments", "qtrailé", ""] {
            let request = json!({"functionName": name});
            assert!(found(&call("lambda", "DeleteFunction20150331", &request)).is_none(), "{name}");
        }
        let mut elsewhere = delete;
        elsewhere["recipientAccountId"] = json!("999988887777");
        assert!(found(&elsewhere).is_none(), "another account's function of that name");
    }

    #[test]
    fn a_deployment_is_low_and_one_finding() {
        let by_deployer = |record| session(record, "deployer", Some("cloudformation.amazonaws.com"));
        let code = by_deployer(call("lambda", "UpdateFunctionCode20150331v2", &json!({"functionName": "qtrail-I"})));
        let queue = by_deployer(call("sqs", "SetQueueAttributes", &json!({"queueUrl": "https://x/1/qtrail-q"})));
        let stack =
            session(call("cloudformation", "ExecuteChangeSet", &json!({"stackName": "qtrail"})), "deployer", None);
        let all = [code, queue, stack].map(|record| found(&record).expect("caught"));
        assert!(all.iter().all(|found| found.lead.severity == Severity::Low));
        assert!(all.iter().all(|found| found.key == all[0].key), "one deployment, one finding");
    }

    #[test]
    fn deployments_delete_and_disable_nothing_in_silence() {
        for (service, name, request) in [
            ("lambda", "DeleteFunction20150331", json!({"functionName": "qtrail-I"})),
            ("events", "PutRule", json!({"name": "qtrail-r", "state": "DISABLED"})),
            ("dynamodb", "UpdateTable", json!({"tableName": "qtrail-t", "deletionProtectionEnabled": "false"})),
            (
                "dynamodb",
                "UpdateContinuousBackups",
                json!({"tableName": "qtrail-t",
                    "pointInTimeRecoverySpecification": {"pointInTimeRecoveryEnabled": false}}),
            ),
            ("monitoring", "PutMetricAlarm", json!({"alarmName": "qtrail-a", "actionsEnabled": false})),
            ("cloudformation", "DeleteStack", json!({"stackName": "qtrail"})),
            (
                "cloudformation",
                "UpdateTerminationProtection",
                json!({"stackName": "qtrail", "enableTerminationProtection": false}),
            ),
        ] {
            let record = session(call(service, name, &request), "deployer", Some("cloudformation.amazonaws.com"));
            assert_eq!(found(&record).map(|found| found.lead.severity), Some(Severity::Critical), "{name}");
        }
    }

    #[test]
    fn only_the_deploying_role_deploys_and_only_through_cloudformation() {
        let code = || call("lambda", "UpdateFunctionCode20150331v2", &json!({"functionName": "qtrail-I"}));
        let severity = |record| found(&record).map(|found| found.lead.severity);
        let cloudformation = Some("cloudformation.amazonaws.com");
        assert_eq!(severity(session(code(), "deployer", cloudformation)), Some(Severity::Low));
        assert_eq!(severity(session(code(), "deployer", None)), Some(Severity::Critical));
        assert_eq!(severity(session(code(), "admin", cloudformation)), Some(Severity::Critical));
        let mut stranger = session(code(), "deployer", cloudformation);
        stranger["userIdentity"]["arn"] = json!("arn:aws:sts::999988887777:assumed-role/deployer/s");
        assert_eq!(severity(stranger), Some(Severity::Critical));
    }

    #[test]
    fn normal_work_is_quiet() {
        for (service, name, request) in [
            ("sqs", "ReceiveMessage", json!({"queueUrl": "https://x/1/qtrail-log-files"})),
            ("sqs", "DeleteMessage", json!({"queueUrl": "https://x/1/qtrail-log-files"})),
            ("sqs", "StartMessageMoveTask", json!({"sourceArn": "arn:aws:sqs:r:1:qtrail-log-files-dead"})),
            ("dynamodb", "PutItem", json!({"tableName": "qtrail-Table-1A"})),
            ("sns", "Publish", json!({"topicArn": "arn:aws:sns:r:1:qtrail-PeopleTopic"})),
            ("sns", "ConfirmSubscription", json!({"topicArn": "arn:aws:sns:r:1:qtrail-PeopleTopic"})),
            ("logs", "CreateLogStream", json!({"logGroupName": "/aws/lambda/qtrail-Ingest"})),
            ("lambda", "Invoke", json!({"functionName": "qtrail-Viewer"})),
            ("lambda", "GetFunction20150331v2", json!({"functionName": "qtrail-Viewer"})),
        ] {
            let record = session(call(service, name, &request), "qtrail-IngestRole-1A", None);
            assert!(found(&record).is_none(), "{name}");
        }
    }

    #[test]
    fn any_shape_of_request_is_survived() {
        for want in OWN_PART_TOUCHED.wants {
            let Want::Calls(source, names) = want else { continue };
            for name in *names {
                for request in
                    [Value::Null, json!("x"), json!([1]), json!({"functionName": {"a": 1}, "name": ["qtrail"]})]
                {
                    let _ = found(&record(source, name, json!({"requestParameters": request})));
                }
            }
        }
    }
}
