//! Someone weakened what else watches the accounts: Config, `GuardDuty`, Security Hub, flow logs, alarms, backups …
//!
//! Each service has a table of its calls. A refused or failed attempt is one severity lower than a success; a service
//! that keeps house for itself is for the record.
#![expect(clippy::unnecessary_wraps, reason = "checks and grades are of one form, whether or not they may say nothing")]

use serde_json::Value;

use super::own_parts::is_part;
use super::trail::{acts_alone, named, through_service};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::shape::{at, boolean, falsy, field, list, number, text, texts};

use Severity::{Critical, High, Informational, Low, Medium};

pub(super) const ALL: &[&Detection] = &[
    &CONFIG_STOPPED,
    &CONFIG_RULES_DELETED,
    &GUARDDUTY_DISABLED,
    &GUARDDUTY_SUPPRESSED,
    &SECURITY_HUB_DISABLED,
    &SECURITY_HUB_SUPPRESSED,
    &FLOW_LOGS_DELETED,
    &ACCESS_ANALYZER_WEAKENED,
    &MACIE_DISABLED,
    &INSPECTOR_DISABLED,
    &DETECTIVE_DISABLED,
    &WAF_WEAKENED,
    &FIREWALL_WEAKENED,
    &RESOLVER_LOGS_DELETED,
    &ALARMS_WEAKENED,
    &LOGS_DELETED,
    &RULES_DISABLED,
    &EC2_DEFAULTS_WEAKENED,
    &REGION_CHANGED,
    &BEDROCK_WEAKENED,
    &DATABASE_LOGS_DISABLED,
    &EKS_LOGS_DISABLED,
    &BALANCER_LOGS_DISABLED,
    &BACKUPS_WEAKENED,
    &COLLECTION_WEAKENED,
];

/// What a call does to a security service.
struct Row {
    name: &'static str,
    /// The parameters that name the thing, the best one first.
    keys: &'static [&'static str],
    deed: [&'static str; 3],
    severity: Severity,
    /// Looks at the request, where that decides; `None` where the call weakens nothing.
    grade: fn(&Case<'_>, Severity) -> Option<Severity>,
    /// Whether the call counts when its request is not recorded: not where it is routine.
    blind: bool,
}

const fn row(name: &'static str, keys: &'static [&'static str], deed: [&'static str; 3], severity: Severity) -> Row {
    Row { name, keys, deed, severity, grade: |_, severity| Some(severity), blind: true }
}

impl Row {
    /// A call that people make every day for other ends.
    const fn graded(self, grade: fn(&Case<'_>, Severity) -> Option<Severity>) -> Self {
        Self { grade, blind: false, ..self }
    }

    /// A rare call that deserves a look even if what was asked for is unknown.
    const fn rare(self, grade: fn(&Case<'_>, Severity) -> Option<Severity>) -> Self {
        Self { grade, ..self }
    }
}

const fn names<const N: usize>(rows: &[Row; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = rows[index].name;
        index += 1;
    }
    names
}

/// What the table says about the call.
fn judge(case: &Case<'_>, rows: &'static [Row]) -> Option<Catch> {
    let row = rows.iter().find(|row| row.name == case.record.action())?;
    let unseen = is_unseen(case) && row.blind;
    let severity = if unseen { row.severity } else { (row.grade)(case, row.severity)? };
    let names = targets(case, row.keys);
    let [verb, past, what] = row.deed;
    let object = if row.keys.is_empty() { what.to_owned() } else { named(what, &listed(&names)) };
    let catch = Catch::new(Deed::new(verb, past, object)).severity(eased(case, severity));
    Some(names.into_iter().fold(catch, Catch::resource))
}

/// One thing to look at for an actor and hour, however many things were touched.
fn judge_together(case: &Case<'_>, rows: &'static [Row]) -> Option<Catch> {
    judge(case, rows).map(|catch| catch.key(case.actor.key()))
}

/// Lower for attempts, for rehearsals, and for services.
fn eased(case: &Case<'_>, severity: Severity) -> Severity {
    let severity = match severity {
        _ if acts_alone(case.actor) => Informational,
        _ if case.record.error_code.ends_with("DryRunOperation") => Low,
        severity if case.succeeded() => severity,
        Critical => High,
        High => Medium,
        Medium => Low,
        severity => severity,
    };
    // Templates and managing services delete rules, alarms and groups as a matter of course.
    if severity <= Medium && through_service(case.actor) { severity.min(Low) } else { severity }
}

fn is_unseen(case: &Case<'_>) -> bool {
    (case.record.request().is_null() && !case.succeeded()) || case.record.request_omitted()
}

/// What the call names; a refused one perhaps in its error message alone.
fn targets<'c>(case: &'c Case<'_>, keys: &[&str]) -> Vec<&'c str> {
    let at_path = |key: &&str| texts(at(case.record.request(), &key.split('.').collect::<Vec<_>>()));
    let named = keys.iter().map(at_path).find(|names| !names.is_empty());
    named.unwrap_or_else(|| case.record.arn_in_error().into_iter().collect())
}

/// The first few names, and how many more there are.
fn listed(names: &[&str]) -> String {
    match names {
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a}, {b}, {c} and {} more", rest.len()),
        names => names.join(", "),
    }
}

/// What all of these have in common.
const WEAKENING: Detection = Detection {
    category: Category::SecurityService,
    severity: High,
    techniques: &["T1562.001"],
    runbook: &[
        "Ask the actor for the change that ordered this",
        "Not ordered: switch it on again, then look at what the actor did since",
        "Compare with the other accounts and regions: was it done there too?",
    ],
    ..Detection::BASE
};

/// Config no longer records how resources change.
static CONFIG_STOPPED: Detection = Detection {
    id: "config-recording-stopped",
    title: "AWS Config recording stopped, deleted or narrowed",
    controls: &["CIS 7.0 5.9", "CIS 3.0 4.9"],
    wants: &[Want::Calls("config.amazonaws.com", &CONFIG_NAMES)],
    check: |case| judge(case, &CONFIG),
    why: "Without Config nobody can say how a resource looked before it was changed, and its rules go blind.",
    ..WEAKENING
};
const RECORDER: &[&str] =
    &["configurationRecorderName", "configurationRecorder.name", "configurationRecorderArn", "servicePrincipal"];
const CHANNEL: &[&str] = &["deliveryChannelName", "deliveryChannel.name"];
static CONFIG: [Row; 7] = [
    row("StopConfigurationRecorder", RECORDER, ["stop", "stopped", "Config recorder"], High),
    row("DeleteConfigurationRecorder", RECORDER, ["delete", "deleted", "Config recorder"], High),
    row("DeleteServiceLinkedConfigurationRecorder", RECORDER, ["delete", "deleted", "Config recorder of"], High),
    row("DeleteDeliveryChannel", CHANNEL, ["delete", "deleted", "Config delivery channel"], High),
    row("PutDeliveryChannel", CHANNEL, ["change", "changed", "Config delivery channel"], Low),
    row("DisassociateResourceTypes", RECORDER, ["narrow", "narrowed", "Config recorder"], High),
    row("PutConfigurationRecorder", RECORDER, ["change", "changed", "Config recorder"], High).rare(recorder),
];
const CONFIG_NAMES: [&str; 7] = names(&CONFIG);

/// A recorder that leaves resource types out is a hole; one that records all is as it should be.
fn recorder(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let group = at(case.record.request(), &["configurationRecorder", "recordingGroup"]);
    let strategy = text(at(group, &["recordingStrategy", "useOnly"]));
    let narrow = strategy.starts_with("EXCLUSION") || strategy.starts_with("INCLUSION");
    Some(if narrow || falsy(field(group, "allSupported")) { severity } else { Informational })
}

/// Rules, packs and aggregators that judged what Config records are deleted.
static CONFIG_RULES_DELETED: Detection = Detection {
    id: "config-rules-deleted",
    title: "AWS Config rules, packs or aggregators deleted",
    severity: Medium,
    controls: &["CIS 7.0 5.9", "CIS 3.0 4.9"],
    wants: &[Want::Calls("config.amazonaws.com", &CONFIG_RULE_NAMES)],
    check: |case| judge_together(case, &CONFIG_RULES),
    why: "A rule that is gone reports nothing any more.",
    ..WEAKENING
};
static CONFIG_RULES: [Row; 10] = [
    row("DeleteConfigRule", &["configRuleName"], ["delete", "deleted", "Config rule"], Medium),
    row(
        "DeleteOrganizationConfigRule",
        &["organizationConfigRuleName"],
        ["delete", "deleted", "organization Config rule"],
        Medium,
    ),
    row("DeleteConformancePack", &["conformancePackName"], ["delete", "deleted", "conformance pack"], Medium),
    row(
        "DeleteOrganizationConformancePack",
        &["organizationConformancePackName"],
        ["delete", "deleted", "organization conformance pack"],
        Medium,
    ),
    row(
        "DeleteConfigurationAggregator",
        &["configurationAggregatorName"],
        ["delete", "deleted", "Config aggregator"],
        Medium,
    ),
    row(
        "DeleteAggregationAuthorization",
        &["authorizedAccountId"],
        ["end", "ended", "the aggregation of Config by account"],
        Medium,
    ),
    row("DeleteRemediationConfiguration", &["configRuleName"], ["delete", "deleted", "remediation of rule"], Medium),
    row("DeleteRetentionConfiguration", &["retentionConfigurationName"], ["delete", "deleted", "retention"], Medium),
    row("PutRetentionConfiguration", &[], ["shorten", "shortened", "the retention of Config"], Medium).graded(
        |case, severity| {
            let days = number(field(case.record.request(), "retentionPeriodInDays"));
            days.is_none_or(|days| days < 365).then_some(severity)
        },
    ),
    row("DeleteEvaluationResults", &["configRuleName"], ["delete", "deleted", "results of Config rule"], Low),
];
const CONFIG_RULE_NAMES: [&str; 10] = names(&CONFIG_RULES);

/// `GuardDuty` is switched off, here or for member accounts.
static GUARDDUTY_DISABLED: Detection = Detection {
    id: "guardduty-disabled",
    title: "GuardDuty disabled, weakened or cut off from its members",
    severity: Critical,
    wants: &[Want::Calls("guardduty.amazonaws.com", &GUARDDUTY_NAMES)],
    check: |case| judge(case, &GUARDDUTY),
    why: "GuardDuty is what sees stolen credentials and mining; intruders switch it off first.",
    ..WEAKENING
};
const DETECTOR: &[&str] = &["detectorId"];
const MEMBERS: &[&str] = &["accountIds", "detectorId"];
static GUARDDUTY: [Row; 13] = [
    row("DeleteDetector", DETECTOR, ["delete", "deleted", "GuardDuty detector"], Critical),
    row("UpdateDetector", DETECTOR, ["weaken", "weakened", "GuardDuty detector"], Critical).rare(detector),
    row("UpdateMemberDetectors", MEMBERS, ["weaken", "weakened", "GuardDuty of members"], High).rare(features_off),
    row("UpdateOrganizationConfiguration", DETECTOR, ["weaken", "weakened", "GuardDuty for new members"], High)
        .rare(no_new_members),
    row("StopMonitoringMembers", MEMBERS, ["stop", "stopped", "GuardDuty of members"], Critical),
    row("DisassociateMembers", MEMBERS, ["cut off", "cut off", "GuardDuty members"], Critical),
    row("DeleteMembers", MEMBERS, ["remove", "removed", "GuardDuty members"], Critical),
    row("DisassociateFromAdministratorAccount", DETECTOR, ["cut off", "cut off", "GuardDuty detector"], Critical),
    row("DisassociateFromMasterAccount", DETECTOR, ["cut off", "cut off", "GuardDuty detector"], Critical),
    row(
        "DisableOrganizationAdminAccount",
        &["adminAccountId"],
        ["remove", "removed", "GuardDuty administrator"],
        Critical,
    ),
    row("DeletePublishingDestination", DETECTOR, ["end", "ended", "the export of GuardDuty detector"], High),
    row("UpdatePublishingDestination", DETECTOR, ["change", "changed", "the export of GuardDuty detector"], Medium),
    row(
        "DeleteMalwareProtectionPlan",
        &["malwareProtectionPlanId"],
        ["delete", "deleted", "GuardDuty malware protection"],
        High,
    ),
];
const GUARDDUTY_NAMES: [&str; 13] = names(&GUARDDUTY);

fn detector(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    if falsy(field(case.record.request(), "enable")) {
        return Some(severity);
    }
    features_off(case, High)
}

/// Features are named with a status, and in older requests as a tree of switches.
fn features_off(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let request = case.record.request();
    let disabled = |feature: &&Value| text(field(feature, "status")) == "DISABLED";
    let off = list(field(request, "features")).iter().any(disabled) || any_switch_off(field(request, "dataSources"));
    off.then_some(severity)
}

fn any_switch_off(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(any_switch_off),
        value => boolean(value) == Some(false),
    }
}

fn no_new_members(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let request = case.record.request();
    let none = |key| text(field(request, key)) == "NONE";
    let feature_none = |feature: &&Value| text(field(feature, "autoEnable")) == "NONE";
    let off = falsy(field(request, "autoEnable"))
        || none("autoEnableOrganizationMembers")
        || none("autoEnableStandards")
        || list(field(request, "features")).iter().any(feature_none);
    off.then_some(severity)
}

/// `GuardDuty` is told what to trust or to keep quiet about.
static GUARDDUTY_SUPPRESSED: Detection = Detection {
    id: "guardduty-findings-suppressed",
    title: "GuardDuty told to trust or to keep quiet",
    wants: &[Want::Calls("guardduty.amazonaws.com", &GUARDDUTY_QUIET_NAMES)],
    check: |case| judge(case, &GUARDDUTY_QUIET),
    why: "From a trusted address or behind a filter an intruder raises no finding.",
    ..WEAKENING
};
const SET: &[&str] = &["name", "ipSetId", "trustedEntitySetId", "threatIntelSetId", "threatEntitySetId"];
const FILTER: &[&str] = &["name", "filterName"];
static GUARDDUTY_QUIET: [Row; 14] = [
    row("CreateIPSet", SET, ["trust", "trusted", "the addresses of GuardDuty list"], High).rare(activated),
    row("UpdateIPSet", SET, ["change", "changed", "the trusted addresses of GuardDuty list"], High),
    row("CreateTrustedEntitySet", SET, ["trust", "trusted", "the entities of GuardDuty list"], High).rare(activated),
    row("UpdateTrustedEntitySet", SET, ["change", "changed", "the trusted entities of GuardDuty list"], High),
    row("CreateThreatIntelSet", SET, ["add", "added", "GuardDuty threat list"], Low),
    row("UpdateThreatIntelSet", SET, ["change", "changed", "GuardDuty threat list"], Medium),
    row("DeleteThreatIntelSet", SET, ["delete", "deleted", "GuardDuty threat list"], Medium),
    row("UpdateThreatEntitySet", SET, ["change", "changed", "GuardDuty threat list"], Medium),
    row("DeleteThreatEntitySet", SET, ["delete", "deleted", "GuardDuty threat list"], Medium),
    row("CreateFilter", FILTER, ["archive", "archived", "GuardDuty findings by filter"], Medium).graded(archiving),
    row("UpdateFilter", FILTER, ["archive", "archived", "GuardDuty findings by filter"], Medium).graded(archiving),
    row("ArchiveFindings", DETECTOR, ["archive", "archived", "findings of GuardDuty detector"], Medium),
    row("UpdateMalwareScanSettings", DETECTOR, ["change", "changed", "malware scans of GuardDuty detector"], Medium),
    row("DeclineInvitations", &["accountIds"], ["decline", "declined", "GuardDuty invitations by"], Low),
];
const GUARDDUTY_QUIET_NAMES: [&str; 14] = names(&GUARDDUTY_QUIET);

fn activated(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    Some(if falsy(field(case.record.request(), "activate")) { Low } else { severity })
}

fn archiving(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    matches!(case.record.parameter("action"), "ARCHIVE" | "SUPPRESS").then_some(severity)
}

/// Security Hub is switched off, here or for member accounts.
static SECURITY_HUB_DISABLED: Detection = Detection {
    id: "securityhub-disabled",
    title: "Security Hub disabled, weakened or cut off from its members",
    severity: Critical,
    wants: &[Want::Calls("securityhub.amazonaws.com", &SECURITY_HUB_NAMES)],
    check: |case| judge(case, &SECURITY_HUB),
    why: "Security Hub collects what the other services find; without it their findings reach nobody.",
    ..WEAKENING
};
static SECURITY_HUB: [Row; 16] = [
    row("DisableSecurityHub", &[], ["disable", "disabled", "Security Hub"], Critical),
    row("DisableSecurityHubV2", &[], ["disable", "disabled", "Security Hub"], Critical),
    row(
        "DisableSecurityHubFeatureV2",
        &["featureName", "feature"],
        ["disable", "disabled", "Security Hub feature"],
        High,
    ),
    row(
        "BatchDisableStandards",
        &["standardsSubscriptionArns"],
        ["disable", "disabled", "Security Hub standards"],
        High,
    ),
    row(
        "DisassociateFromAdministratorAccount",
        &[],
        ["cut off", "cut off", "Security Hub from its administrator"],
        High,
    ),
    row("DisassociateFromMasterAccount", &[], ["cut off", "cut off", "Security Hub from its administrator"], High),
    row("DisassociateMembers", &["accountIds"], ["cut off", "cut off", "Security Hub members"], High),
    row("DeleteMembers", &["accountIds"], ["remove", "removed", "Security Hub members"], High),
    row(
        "DisableOrganizationAdminAccount",
        &["adminAccountId"],
        ["remove", "removed", "Security Hub administrator"],
        High,
    ),
    row("DisableImportFindingsForProduct", &["productSubscriptionArn"], ["stop", "stopped", "findings of"], High),
    row("DeleteFindingAggregator", &["findingAggregatorArn"], ["delete", "deleted", "finding aggregator"], Medium),
    row("DeleteAggregatorV2", &["aggregatorV2Arn"], ["delete", "deleted", "finding aggregator"], Medium),
    row("DeleteConfigurationPolicy", &["identifier"], ["delete", "deleted", "Security Hub policy"], Medium),
    row(
        "StartConfigurationPolicyDisassociation",
        &["configurationPolicyIdentifier"],
        ["detach", "detached", "Security Hub policy"],
        Medium,
    ),
    row("UpdateOrganizationConfiguration", &[], ["weaken", "weakened", "Security Hub for new members"], Medium)
        .rare(no_new_members),
    row("DeleteInvitations", &["accountIds"], ["delete", "deleted", "Security Hub invitations by"], Low),
];
const SECURITY_HUB_NAMES: [&str; 16] = names(&SECURITY_HUB);

/// Findings or controls of Security Hub are silenced. People do it daily: one finding an actor and hour.
static SECURITY_HUB_SUPPRESSED: Detection = Detection {
    id: "securityhub-findings-suppressed",
    title: "Security Hub findings or controls suppressed",
    severity: Medium,
    wants: &[Want::Calls("securityhub.amazonaws.com", &SECURITY_HUB_QUIET_NAMES)],
    check: |case| judge_together(case, &SECURITY_HUB_QUIET),
    why: "A finding that is suppressed is a finding that nobody reads.",
    ..WEAKENING
};
const RULE: &[&str] = &["ruleName", "identifier"];
static SECURITY_HUB_QUIET: [Row; 12] = [
    row("BatchUpdateFindings", &[], ["suppress", "suppressed", "Security Hub findings"], Medium).graded(suppressing),
    row("BatchUpdateFindingsV2", &[], ["suppress", "suppressed", "Security Hub findings"], Medium).graded(suppressing),
    row("UpdateFindings", &[], ["archive", "archived", "Security Hub findings"], Medium).graded(suppressing),
    row("CreateAutomationRule", RULE, ["suppress", "suppressed", "findings by rule"], Medium).graded(suppressing),
    row("CreateAutomationRuleV2", RULE, ["suppress", "suppressed", "findings by rule"], Medium).graded(suppressing),
    row("BatchUpdateAutomationRules", &[], ["suppress", "suppressed", "findings by rule"], Medium).graded(suppressing),
    row("UpdateAutomationRuleV2", RULE, ["suppress", "suppressed", "findings by rule"], Medium).graded(suppressing),
    row("UpdateStandardsControl", &["standardsControlArn"], ["disable", "disabled", "control"], Medium)
        .graded(control_off),
    row("BatchUpdateStandardsControlAssociations", &[], ["disable", "disabled", "Security Hub controls"], Medium)
        .graded(control_off),
    row("UpdateSecurityHubConfiguration", &[], ["stop", "stopped", "new controls of Security Hub"], Low)
        .graded(|case, severity| falsy(field(case.record.request(), "autoEnableControls")).then_some(severity)),
    row("DeleteInsight", &["insightArn"], ["delete", "deleted", "Security Hub insight"], Low),
    row("UpdateInsight", &["insightArn", "name"], ["change", "changed", "Security Hub insight"], Low),
];
const SECURITY_HUB_QUIET_NAMES: [&str; 12] = names(&SECURITY_HUB_QUIET);

/// Suppressed by workflow status, by OCSF status (3), or archived, in the request itself or in a rule's actions.
fn suppressing(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let request = case.record.request();
    let rules = list(field(request, "updateAutomationRulesRequestItems"));
    let actions = |value| list(field(value, "actions")).into_iter();
    let updates = actions(request)
        .chain(rules.into_iter().flat_map(actions))
        .map(|action| field(action, "findingFieldsUpdate"))
        .chain([request]);
    let quiet = |update: &Value| {
        text(at(update, &["workflow", "status"])) == "SUPPRESSED"
            || number(field(update, "statusId")) == Some(3)
            || text(field(update, "recordState")) == "ARCHIVED"
    };
    updates.into_iter().any(quiet).then_some(severity)
}

fn control_off(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let request = case.record.request();
    let updates = list(field(request, "standardsControlAssociationUpdates"));
    let off = text(field(request, "controlStatus")) == "DISABLED"
        || updates.iter().any(|update| text(field(update, "associationStatus")) == "DISABLED");
    off.then_some(severity)
}

/// The record of who talks to whom in a network ends.
static FLOW_LOGS_DELETED: Detection = Detection {
    id: "flow-logs-deleted",
    title: "VPC flow logs deleted",
    techniques: &["T1562.008"],
    controls: &["EC2.6"],
    wants: &[Want::Calls("ec2.amazonaws.com", &["DeleteFlowLogs"])],
    check: flow_logs,
    why: "Without flow logs nobody can say what left the network, or to where.",
    ..WEAKENING
};

fn flow_logs(case: &Case<'_>) -> Option<Catch> {
    let request = case.record.request();
    let wrapped = texts(at(request, &["DeleteFlowLogsRequest", "FlowLogId"]));
    let flat = texts(field(request, "flowLogIds"));
    let legacy = list(field(request, "flowLogIdSet")).into_iter().map(|item| text(field(item, "flowLogId")));
    let ids: Vec<&str> = wrapped.into_iter().chain(flat).chain(legacy).filter(|id| !id.is_empty()).collect();
    let deed = Deed::new("delete", "deleted", named("flow logs", &listed(&ids)));
    let catch = Catch::new(deed).severity(eased(case, High));
    Some(ids.into_iter().fold(catch, Catch::resource))
}

/// Nobody is told any more what is open to strangers.
static ACCESS_ANALYZER_WEAKENED: Detection = Detection {
    id: "access-analyzer-weakened",
    title: "IAM Access Analyzer deleted or silenced",
    wants: &[Want::Calls("access-analyzer.amazonaws.com", &ANALYZER_NAMES)],
    check: |case| judge(case, &ANALYZER),
    why: "Access Analyzer is what reports a resource that was opened to another account.",
    ..WEAKENING
};
const ANALYZED: &[&str] = &["analyzerName", "analyzerArn"];
static ANALYZER: [Row; 6] = [
    row("DeleteAnalyzer", ANALYZED, ["delete", "deleted", "access analyzer"], High),
    row("DeleteServiceLinkedAnalyzer", ANALYZED, ["delete", "deleted", "access analyzer"], High),
    row("CreateArchiveRule", ANALYZED, ["archive by rule", "archived by rule", "findings of access analyzer"], Medium),
    row("UpdateArchiveRule", ANALYZED, ["archive by rule", "archived by rule", "findings of access analyzer"], Medium),
    row("ApplyArchiveRule", ANALYZED, ["archive by rule", "archived by rule", "findings of access analyzer"], Medium),
    row("UpdateFindings", ANALYZED, ["archive", "archived", "findings of access analyzer"], Low)
        .graded(|case, severity| (case.record.parameter("status") == "ARCHIVED").then_some(severity)),
];
const ANALYZER_NAMES: [&str; 6] = names(&ANALYZER);

/// Nobody looks for personal data and open buckets any more.
static MACIE_DISABLED: Detection = Detection {
    id: "macie-disabled",
    title: "Macie disabled, paused or silenced",
    wants: &[Want::Calls("macie2.amazonaws.com", &MACIE_NAMES)],
    check: |case| judge(case, &MACIE),
    why: "Macie reports buckets with personal data that are open or copied.",
    ..WEAKENING
};
static MACIE: [Row; 12] = [
    row("DisableMacie", &[], ["disable", "disabled", "Macie"], High),
    row("UpdateMacieSession", &[], ["pause", "paused", "Macie"], High).rare(paused),
    row("UpdateMemberSession", &["id"], ["pause", "paused", "Macie of member"], High).rare(paused),
    row("UpdateAutomatedDiscoveryConfiguration", &[], ["disable", "disabled", "Macie's discovery"], Medium)
        .graded(|case, severity| (case.record.parameter("status") == "DISABLED").then_some(severity)),
    row("DisassociateFromAdministratorAccount", &[], ["cut off", "cut off", "Macie from its administrator"], High),
    row("DisassociateFromMasterAccount", &[], ["cut off", "cut off", "Macie from its administrator"], High),
    row("DisassociateMember", &["id"], ["cut off", "cut off", "Macie member"], Medium),
    row("DeleteMember", &["id"], ["remove", "removed", "Macie member"], Medium),
    row("DisableOrganizationAdminAccount", &["adminAccountId"], ["remove", "removed", "Macie administrator"], High),
    row("CreateFindingsFilter", FILTER, ["archive", "archived", "Macie findings by filter"], Medium).graded(archiving),
    row("UpdateFindingsFilter", FILTER, ["archive", "archived", "Macie findings by filter"], Medium).graded(archiving),
    row("CreateAllowList", FILTER, ["ignore", "ignored", "in Macie what is on list"], Low),
];
const MACIE_NAMES: [&str; 12] = names(&MACIE);

fn paused(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    (case.record.parameter("status") == "PAUSED").then_some(severity)
}

/// Vulnerabilities are no longer looked for.
static INSPECTOR_DISABLED: Detection = Detection {
    id: "inspector-disabled",
    title: "Inspector disabled or silenced",
    wants: &[Want::Calls("inspector2.amazonaws.com", &INSPECTOR_NAMES)],
    check: |case| judge(case, &INSPECTOR),
    why: "Without Inspector nobody learns of vulnerable instances, images and functions.",
    ..WEAKENING
};
static INSPECTOR: [Row; 5] = [
    row("Disable", &["accountIds", "resourceTypes"], ["disable", "disabled", "Inspector for"], High),
    row(
        "DisableDelegatedAdminAccount",
        &["delegatedAdminAccountId"],
        ["remove", "removed", "Inspector administrator"],
        High,
    ),
    row("DisassociateMember", &["accountId"], ["cut off", "cut off", "Inspector member"], Medium),
    row("CreateFilter", FILTER, ["suppress", "suppressed", "Inspector findings by filter"], Medium).graded(archiving),
    row("UpdateFilter", FILTER, ["suppress", "suppressed", "Inspector findings by filter"], Medium).graded(archiving),
];
const INSPECTOR_NAMES: [&str; 5] = names(&INSPECTOR);

/// What investigations are made with is deleted.
static DETECTIVE_DISABLED: Detection = Detection {
    id: "detective-disabled",
    title: "Detective graph deleted or members cut off",
    wants: &[Want::Calls("detective.amazonaws.com", &DETECTIVE_NAMES)],
    check: |case| judge(case, &DETECTIVE),
    why: "Detective's graph holds a year of who did what; deleted, it is gone.",
    ..WEAKENING
};
const GRAPH: &[&str] = &["graphArn"];
static DETECTIVE: [Row; 4] = [
    row("DeleteGraph", GRAPH, ["delete", "deleted", "Detective graph"], High),
    row("DisassociateMembership", GRAPH, ["leave", "left", "Detective graph"], High),
    row("DeleteMembers", &["accountIds", "graphArn"], ["remove", "removed", "Detective members"], Medium),
    row("DisableOrganizationAdminAccount", &[], ["remove", "removed", "the Detective administrator"], High),
];
const DETECTIVE_NAMES: [&str; 4] = names(&DETECTIVE);

/// A web application loses its firewall, or the firewall its log.
static WAF_WEAKENED: Detection = Detection {
    id: "waf-weakened",
    title: "Web application firewall deleted, detached or unlogged",
    techniques: &["T1562.004", "T1562.008"],
    wants: &[
        Want::Calls("wafv2.amazonaws.com", &WAF_NAMES),
        Want::Calls("waf.amazonaws.com", &WAF_NAMES),
        Want::Calls("waf-regional.amazonaws.com", &WAF_NAMES),
        Want::Calls(
            "cloudfront.amazonaws.com",
            &["DisassociateDistributionWebACL", "DisassociateDistributionTenantWebACL"],
        ),
    ],
    check: |case| judge(case, &WAF),
    why: "What the firewall kept out reaches the application from now on, and its log may be the only trace.",
    ..WEAKENING
};
static WAF: [Row; 9] = [
    row("DeleteWebACL", &["name", "webACLId", "id"], ["delete", "deleted", "web ACL"], High),
    row("DisassociateWebACL", &["resourceArn", "resourceARN"], ["detach", "detached", "the web ACL of"], High),
    row("DeleteRuleGroup", &["name", "ruleGroupId", "id"], ["delete", "deleted", "WAF rule group"], High),
    row("DeleteRule", &["ruleId"], ["delete", "deleted", "WAF rule"], High),
    row("DeleteRateBasedRule", &["ruleId"], ["delete", "deleted", "WAF rule"], High),
    row("DeleteFirewallManagerRuleGroups", &["webACLArn"], ["delete", "deleted", "managed rules of web ACL"], High),
    row("DeleteLoggingConfiguration", &["resourceArn"], ["switch off", "switched off", "logging of web ACL"], Medium),
    row("DisassociateDistributionWebACL", &["id"], ["detach", "detached", "the web ACL of distribution"], High),
    row("DisassociateDistributionTenantWebACL", &["id"], ["detach", "detached", "the web ACL of tenant"], High),
];
const WAF_NAMES: [&str; 9] = names(&WAF);

/// A network loses its firewall, or the policies that spread firewalls are deleted.
static FIREWALL_WEAKENED: Detection = Detection {
    id: "network-protection-weakened",
    title: "Network Firewall, Firewall Manager or Shield weakened",
    techniques: &["T1562.004"],
    wants: &[
        Want::Calls("network-firewall.amazonaws.com", &FIREWALL_NAMES),
        Want::Calls("fms.amazonaws.com", &FMS_NAMES),
        Want::Calls("shield.amazonaws.com", &SHIELD_NAMES),
    ],
    check: firewall,
    why: "What the firewall kept out comes in from now on.",
    ..WEAKENING
};
static FIREWALL: [Row; 6] = [
    row("DeleteFirewall", &["firewallName", "firewallArn"], ["delete", "deleted", "network firewall"], High),
    row("DeleteFirewallPolicy", &["firewallPolicyName", "firewallPolicyArn"], ["delete", "deleted", "policy"], Medium),
    row("DeleteRuleGroup", &["ruleGroupName", "ruleGroupArn"], ["delete", "deleted", "firewall rule group"], Medium),
    row(
        "UpdateFirewallDeleteProtection",
        &["firewallName", "firewallArn"],
        ["unprotect", "unprotected", "firewall"],
        High,
    )
    .graded(|case, severity| falsy(field(case.record.request(), "deleteProtection")).then_some(severity)),
    row(
        "DisassociateSubnets",
        &["firewallName", "firewallArn"],
        ["take subnets off", "took subnets off", "firewall"],
        High,
    ),
    row(
        "UpdateLoggingConfiguration",
        &["firewallName", "firewallArn"],
        ["switch off", "switched off", "logging of firewall"],
        High,
    )
    .rare(no_firewall_log),
];
const FIREWALL_NAMES: [&str; 6] = names(&FIREWALL);
static FMS: [Row; 4] = [
    row("DeletePolicy", &["policyId"], ["delete", "deleted", "Firewall Manager policy"], High),
    row("DisassociateAdminAccount", &[], ["remove", "removed", "the Firewall Manager administrator"], High),
    row("DeleteNotificationChannel", &[], ["delete", "deleted", "the notices of Firewall Manager"], Medium),
    row("DisassociateThirdPartyFirewall", &["thirdPartyFirewall"], ["detach", "detached", "firewall"], High),
];
const FMS_NAMES: [&str; 4] = names(&FMS);
static SHIELD: [Row; 5] = [
    row("DeleteProtection", &["protectionId"], ["delete", "deleted", "Shield protection"], High),
    row("DeleteProtectionGroup", &["protectionGroupId"], ["delete", "deleted", "Shield protection group"], Medium),
    row("DeleteSubscription", &[], ["end", "ended", "Shield Advanced"], High),
    row("DisableProactiveEngagement", &[], ["end", "ended", "Shield's proactive engagement"], Medium),
    row(
        "DisableApplicationLayerAutomaticResponse",
        &["resourceArn"],
        ["stop", "stopped", "Shield's response for"],
        Medium,
    ),
];
const SHIELD_NAMES: [&str; 5] = names(&SHIELD);

fn firewall(case: &Case<'_>) -> Option<Catch> {
    match &*case.record.source {
        "fms.amazonaws.com" => judge(case, &FMS),
        "shield.amazonaws.com" => judge(case, &SHIELD),
        _ => judge(case, &FIREWALL),
    }
}

fn no_firewall_log(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let logs = at(case.record.request(), &["loggingConfiguration", "logDestinationConfigs"]);
    list(logs).is_empty().then_some(severity)
}

/// Names that are looked up, often the only trace of malware, are no longer recorded.
static RESOLVER_LOGS_DELETED: Detection = Detection {
    id: "resolver-logs-deleted",
    title: "DNS query logging or DNS firewall removed",
    techniques: &["T1562.008"],
    wants: &[Want::Calls("route53resolver.amazonaws.com", &RESOLVER_NAMES)],
    check: |case| judge(case, &RESOLVER),
    why: "The names that were looked up are often the only trace of malware and of data carried out by DNS.",
    ..WEAKENING
};
const QUERY_LOG: &[&str] = &["resolverQueryLogConfigId"];
static RESOLVER: [Row; 5] = [
    row("DeleteResolverQueryLogConfig", QUERY_LOG, ["delete", "deleted", "DNS query logging"], High),
    row("DisassociateResolverQueryLogConfig", QUERY_LOG, ["detach", "detached", "a VPC from DNS query logging"], High),
    row(
        "DisassociateFirewallRuleGroup",
        &["firewallRuleGroupAssociationId"],
        ["detach", "detached", "DNS firewall"],
        Medium,
    ),
    row("DeleteFirewallRuleGroup", &["firewallRuleGroupId"], ["delete", "deleted", "DNS firewall rules"], Medium),
    row("DeleteFirewallRule", &["firewallRuleGroupId"], ["delete", "deleted", "a rule of DNS firewall rules"], Low),
];
const RESOLVER_NAMES: [&str; 5] = names(&RESOLVER);

/// Alarms are deleted or silenced.
static ALARMS_WEAKENED: Detection = Detection {
    id: "alarms-weakened",
    title: "CloudWatch alarms deleted or silenced",
    severity: Medium,
    wants: &[Want::Calls("monitoring.amazonaws.com", &ALARM_NAMES)],
    check: |case| foreign_to_us(case, &ALARMS),
    why: "An alarm that is gone wakes nobody.",
    ..WEAKENING
};
const ALARM: &[&str] = &["alarmNames", "alarmName"];
static ALARMS: [Row; 4] = [
    row("DeleteAlarms", ALARM, ["delete", "deleted", "alarms"], Medium),
    row("DisableAlarmActions", ALARM, ["silence", "silenced", "alarms"], Medium),
    row("SetAlarmState", ALARM, ["fake the state of", "faked the state of", "alarm"], Low),
    row("PutAlarmMuteRule", &["muteTargets.alarmNames", "name"], ["mute", "muted", "alarms"], Low),
];
const ALARM_NAMES: [&str; 4] = names(&ALARMS);

/// Scaling makes and deletes alarms all day, and this system's own parts have a detection of their own.
fn foreign_to_us(case: &Case<'_>, rows: &'static [Row]) -> Option<Catch> {
    let row = rows.iter().find(|row| row.name == case.record.action())?;
    let ours = || targets(case, row.keys).iter().any(|name| is_part(case, name));
    let scaling = acts_alone(case.actor) || case.actor.invoked_by.contains("autoscaling");
    if scaling || ours() { None } else { judge(case, rows) }
}

/// Recorded output, and what is made of it, is deleted.
static LOGS_DELETED: Detection = Detection {
    id: "log-groups-deleted",
    title: "CloudWatch log groups, streams or filters deleted",
    severity: Medium,
    techniques: &["T1562.008", "T1070"],
    wants: &[Want::Calls("logs.amazonaws.com", &LOGS_NAMES)],
    check: |case| foreign_to_us(case, &LOGS),
    why: "Logs that are deleted tell nothing; alarms on their filters stay silent.",
    ..WEAKENING
};
const LOG_GROUP: &[&str] = &["logGroupName", "logGroupIdentifier"];
static LOGS: [Row; 9] = [
    row("DeleteLogGroup", LOG_GROUP, ["delete", "deleted", "log group"], Medium).graded(audit_log),
    row("DeleteLogStream", LOG_GROUP, ["delete", "deleted", "a stream of log group"], Low).graded(audit_log),
    row("DeleteSubscriptionFilter", LOG_GROUP, ["end", "ended", "a subscription of log group"], Medium)
        .graded(audit_log),
    row("DeleteMetricFilter", LOG_GROUP, ["delete", "deleted", "a metric filter of log group"], Medium)
        .graded(audit_log),
    row("PutRetentionPolicy", LOG_GROUP, ["shorten", "shortened", "the retention of log group"], Low)
        .graded(short_lived),
    row("PutLogGroupDeletionProtection", LOG_GROUP, ["unprotect", "unprotected", "log group"], Medium)
        .graded(|case, severity| falsy(field(case.record.request(), "deletionProtectionEnabled")).then_some(severity)),
    row("DeleteDestination", &["destinationName"], ["delete", "deleted", "log destination"], Medium),
    row("DeleteDelivery", &["id"], ["end", "ended", "log delivery"], Medium),
    row("DeleteAccountPolicy", &["policyName"], ["delete", "deleted", "log account policy"], Medium),
];
const LOGS_NAMES: [&str; 9] = names(&LOGS);

/// Groups that hold an audit log say so in their names.
fn audit_log(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let group = listed(&targets(case, LOG_GROUP)).to_lowercase();
    let audit = ["cloudtrail", "flowlog", "flow-log", "guardduty", "aws-waf-logs", "audit"];
    Some(if audit.iter().any(|word| group.contains(word)) { High } else { severity })
}

fn short_lived(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let days = number(field(case.record.request(), "retentionInDays")).filter(|days| *days <= 7)?;
    let audit = audit_log(case, severity) == Some(High);
    Some(if audit && days <= 7 { High } else { severity })
}

/// Rules that react to events are disabled or deleted.
static RULES_DISABLED: Detection = Detection {
    id: "eventbridge-rules-disabled",
    title: "EventBridge rules disabled or deleted",
    severity: Medium,
    wants: &[Want::Calls("events.amazonaws.com", &RULE_NAMES)],
    check: |case| foreign_to_us(case, &RULES),
    why: "Alerts and automatic answers often hang on such a rule.",
    ..WEAKENING
};
static RULES: [Row; 3] = [
    row("DisableRule", &["name"], ["disable", "disabled", "EventBridge rule"], Medium),
    row("DeleteRule", &["name"], ["delete", "deleted", "EventBridge rule"], Medium),
    row("RemoveTargets", &["rule"], ["remove", "removed", "the targets of EventBridge rule"], Low),
];
const RULE_NAMES: [&str; 3] = names(&RULES);

/// Safe defaults of EC2 are switched off.
static EC2_DEFAULTS_WEAKENED: Detection = Detection {
    id: "ec2-defaults-weakened",
    title: "EBS default encryption off, or serial console on",
    severity: Medium,
    controls: &["CIS 7.0 6.1.1", "CIS 3.0 2.2.1", "EC2.7"],
    wants: &[Want::Calls("ec2.amazonaws.com", &EC2_NAMES)],
    check: |case| judge(case, &EC2),
    why: "New volumes are unencrypted from now on, or instances can be reached past the network and its logs.",
    ..WEAKENING
};
static EC2: [Row; 2] = [
    row("DisableEbsEncryptionByDefault", &[], ["switch off", "switched off", "EBS encryption by default"], Medium),
    row("EnableSerialConsoleAccess", &[], ["switch on", "switched on", "access to serial consoles"], High),
];
const EC2_NAMES: [&str; 2] = names(&EC2);

/// A region that nobody looks at is opened, or one in use is closed.
static REGION_CHANGED: Detection = Detection {
    id: "region-changed",
    title: "Region enabled or disabled",
    severity: Medium,
    techniques: &["T1535"],
    wants: &[Want::Calls("account.amazonaws.com", &REGION_NAMES)],
    check: |case| judge(case, &REGIONS),
    why: "In a region that nobody uses nobody looks: no Config, no GuardDuty, no alarms.",
    runbook: &["Ask the actor what the region is for", "Not ordered: look for instances there, then disable it again"],
    ..WEAKENING
};
static REGIONS: [Row; 2] = [
    row("EnableRegion", &["regionName"], ["enable", "enabled", "region"], Medium),
    row("DisableRegion", &["regionName"], ["disable", "disabled", "region"], Medium),
];
const REGION_NAMES: [&str; 2] = names(&REGIONS);

/// What models are asked is no longer recorded, or no longer held back.
static BEDROCK_WEAKENED: Detection = Detection {
    id: "bedrock-weakened",
    title: "Bedrock invocation logging or guardrails removed",
    techniques: &["T1562.008"],
    wants: &[Want::Calls("bedrock.amazonaws.com", &BEDROCK_NAMES)],
    check: |case| judge(case, &BEDROCK),
    why: "Who sells access to stolen models switches off the log of what they are asked.",
    ..WEAKENING
};
const GUARDRAIL: &[&str] = &["guardrailIdentifier"];
static BEDROCK: [Row; 6] = [
    row("DeleteModelInvocationLoggingConfiguration", &[], ["delete", "deleted", "Bedrock invocation logging"], High),
    row("PutModelInvocationLoggingConfiguration", &[], ["change", "changed", "Bedrock invocation logging"], High)
        .rare(invocations_unlogged),
    row("DeleteGuardrail", GUARDRAIL, ["delete", "deleted", "Bedrock guardrail"], Medium),
    row("UpdateGuardrail", GUARDRAIL, ["change", "changed", "Bedrock guardrail"], Low),
    row("DeleteEnforcedGuardrailConfiguration", &["configId"], ["delete", "deleted", "enforced guardrail"], Medium),
    row("PutEnforcedGuardrailConfiguration", &["configId"], ["change", "changed", "enforced guardrail"], Low),
];
const BEDROCK_NAMES: [&str; 6] = names(&BEDROCK);

/// Logging without text, or to nowhere, is no logging.
fn invocations_unlogged(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let settings = field(case.record.request(), "loggingConfig");
    let nowhere = field(settings, "cloudWatchConfig").is_null() && field(settings, "s3Config").is_null();
    Some(if nowhere || falsy(field(settings, "textDataDeliveryEnabled")) { severity } else { Low })
}

/// A database no longer records who asked what.
static DATABASE_LOGS_DISABLED: Detection = Detection {
    id: "database-logs-disabled",
    title: "Database activity streams or logs switched off",
    techniques: &["T1562.008"],
    controls: &["RDS.9", "Redshift.4"],
    wants: &[
        Want::Calls("rds.amazonaws.com", &DATABASE_NAMES),
        Want::Calls("redshift.amazonaws.com", &["DisableLogging"]),
    ],
    check: |case| judge(case, &DATABASES),
    why: "What was read from the database is in these logs and nowhere else.",
    ..WEAKENING
};
static DATABASES: [Row; 5] = [
    row("StopActivityStream", &["resourceArn"], ["stop", "stopped", "the activity stream of"], High),
    row("ModifyActivityStream", &["resourceArn"], ["unlock", "unlocked", "the audit policy of"], Medium)
        .graded(|case, severity| (case.record.parameter("auditPolicyState") == "unlocked").then_some(severity)),
    row("ModifyDBInstance", &["dBInstanceIdentifier"], ["stop", "stopped", "log exports of database"], Medium)
        .graded(exports_off),
    row("ModifyDBCluster", &["dBClusterIdentifier"], ["stop", "stopped", "log exports of cluster"], Medium)
        .graded(exports_off),
    row("DisableLogging", &["clusterIdentifier"], ["switch off", "switched off", "audit logging of cluster"], High),
];
const DATABASE_NAMES: [&str; 5] = names(&DATABASES);

/// Where the request is not recorded, a changed database says nothing about its logs.
fn exports_off(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let off = at(case.record.request(), &["cloudwatchLogsExportConfiguration", "disableLogTypes"]);
    (!list(off).is_empty()).then_some(severity)
}

/// A cluster's control plane no longer says who asked it for what.
static EKS_LOGS_DISABLED: Detection = Detection {
    id: "eks-logs-disabled",
    title: "EKS control plane logging switched off",
    techniques: &["T1562.008"],
    controls: &["EKS.8"],
    wants: &[Want::Calls("eks.amazonaws.com", &["UpdateClusterConfig"])],
    check: eks_logs,
    why: "What happens inside a cluster is in its audit log, not in CloudTrail.",
    ..WEAKENING
};

fn eks_logs(case: &Case<'_>) -> Option<Catch> {
    let logs = list(at(case.record.request(), &["logging", "clusterLogging"]));
    let off: Vec<&str> = logs
        .into_iter()
        .filter(|log| falsy(field(log, "enabled")))
        .flat_map(|log| texts(field(log, "types")))
        .collect();
    if off.is_empty() {
        return None;
    }
    let cluster = case.record.parameter("name");
    let object = format!("{} logs of EKS cluster {cluster}", off.join(", "));
    // Only what the API server and the authenticator write says who did something.
    let telling = off.iter().any(|kind| matches!(*kind, "api" | "audit" | "authenticator"));
    let severity = if telling { High } else { Medium };
    let deed = Deed::new("switch off", "switched off", object);
    Some(Catch::new(deed).severity(eased(case, severity)).resource(cluster))
}

/// Who calls a load balancer is no longer recorded.
static BALANCER_LOGS_DISABLED: Detection = Detection {
    id: "load-balancer-logs-disabled",
    title: "Access logging of a load balancer switched off",
    severity: Medium,
    techniques: &["T1562.008"],
    controls: &["ELB.5"],
    wants: &[Want::Calls("elasticloadbalancing.amazonaws.com", &["ModifyLoadBalancerAttributes"])],
    check: |case| judge(case, &BALANCERS),
    why: "Who came, from where and for what is in the access log alone.",
    ..WEAKENING
};
static BALANCERS: [Row; 1] = [row(
    "ModifyLoadBalancerAttributes",
    &["loadBalancerArn", "loadBalancerName"],
    ["switch off", "switched off", "access logging of load balancer"],
    Medium,
)
.graded(balancer_unlogged)];

/// Attributes are a list of keys and values, or a tree for classic load balancers.
fn balancer_unlogged(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let request = case.record.request();
    let attributes = list(field(request, "attributes"));
    let off = |attribute: &&Value| {
        text(field(attribute, "key")) == "access_logs.s3.enabled" && falsy(field(attribute, "value"))
    };
    let classic = at(request, &["loadBalancerAttributes", "accessLog", "enabled"]);
    (attributes.iter().any(off) || falsy(classic)).then_some(severity)
}

/// Backups are what is left after a ransom: who wants one deletes them first.
static BACKUPS_WEAKENED: Detection = Detection {
    id: "backups-weakened",
    title: "Backup vaults, locks, plans or recovery points deleted",
    severity: Critical,
    techniques: &["T1490", "T1485"],
    wants: &[Want::Calls("backup.amazonaws.com", &BACKUP_NAMES)],
    check: backups,
    why: "Backups are the way back after a ransom, so whoever wants one deletes them first.",
    ..WEAKENING
};
const VAULT: &[&str] = &["backupVaultName"];
static BACKUPS: [Row; 13] = [
    row("DeleteBackupVault", VAULT, ["delete", "deleted", "backup vault"], Critical),
    row("DeleteBackupVaultLockConfiguration", VAULT, ["unlock", "unlocked", "backup vault"], Critical),
    row("DeleteRecoveryPoint", VAULT, ["delete", "deleted", "recovery points of backup vault"], Critical),
    row("DisassociateRecoveryPoint", VAULT, ["give up", "gave up", "recovery points of backup vault"], High),
    row("DisassociateBackupVaultMpaApprovalTeam", VAULT, ["unprotect", "unprotected", "backup vault"], High),
    row("DeleteBackupPlan", &["backupPlanId"], ["delete", "deleted", "backup plan"], High),
    row("DeleteBackupSelection", &["backupPlanId"], ["take resources off", "took resources off", "backup plan"], High),
    row("DeleteBackupVaultAccessPolicy", VAULT, ["delete", "deleted", "the policy of backup vault"], Medium),
    row("PutBackupVaultAccessPolicy", VAULT, ["change", "changed", "the policy of backup vault"], Medium),
    row("DeleteBackupVaultNotifications", VAULT, ["end", "ended", "the notices of backup vault"], Medium),
    row("UpdateRecoveryPointLifecycle", VAULT, ["change", "changed", "the expiry of backups in vault"], Medium),
    row("UpdateRegionSettings", &[], ["take services off", "took services off", "backups"], Medium).graded(opted_out),
    row("StopBackupJob", &["backupJobId"], ["stop", "stopped", "backup job"], Medium),
];
const BACKUP_NAMES: [&str; 13] = names(&BACKUPS);

/// The backup service deletes what has expired, in the name of its role.
fn backups(case: &Case<'_>) -> Option<Catch> {
    let expiry = case.actor.invoked_by == "backup.amazonaws.com" || acts_alone(case.actor);
    if expiry { None } else { judge(case, &BACKUPS) }
}

fn opted_out(case: &Case<'_>, severity: Severity) -> Option<Severity> {
    let preferences = field(case.record.request(), "resourceTypeOptInPreference");
    any_switch_off(preferences).then_some(severity)
}

/// Places where the records of many accounts come together are deleted.
static COLLECTION_WEAKENED: Detection = Detection {
    id: "security-collection-weakened",
    title: "Security Lake, Audit Manager or cross-account telemetry removed",
    techniques: &["T1562.008"],
    wants: &[
        Want::Calls("securitylake.amazonaws.com", &LAKE_NAMES),
        Want::Calls("auditmanager.amazonaws.com", &AUDIT_NAMES),
        Want::Calls("observabilityadmin.amazonaws.com", &TELEMETRY_NAMES),
        Want::Calls("oam.amazonaws.com", &["DeleteLink", "DeleteSink"]),
        Want::Calls("security-ir.amazonaws.com", &["CancelMembership"]),
    ],
    check: collection,
    why: "What is collected centrally is out of an intruder's reach; whoever cuts it off wants it in reach.",
    ..WEAKENING
};
static LAKE: [Row; 5] = [
    row("DeleteDataLake", &["regions"], ["delete", "deleted", "Security Lake in"], High),
    row("DeleteAwsLogSource", &["sources.sourceName"], ["remove", "removed", "a source of Security Lake:"], High),
    row("DeleteCustomLogSource", &["sourceName"], ["remove", "removed", "a source of Security Lake:"], Medium),
    row(
        "DeleteDataLakeOrganizationConfiguration",
        &[],
        ["leave out", "left out", "new accounts of Security Lake"],
        Medium,
    ),
    row("DeregisterDataLakeDelegatedAdministrator", &[], ["remove", "removed", "Security Lake's administrator"], High),
];
const LAKE_NAMES: [&str; 5] = names(&LAKE);
static AUDIT: [Row; 3] = [
    row("DeregisterAccount", &[], ["disable", "disabled", "Audit Manager"], Medium),
    row("DeregisterOrganizationAdminAccount", &["adminAccountId"], ["remove", "removed", "its administrator"], Medium),
    row("DeleteAssessment", &["assessmentId"], ["delete", "deleted", "Audit Manager assessment"], Medium),
];
const AUDIT_NAMES: [&str; 3] = names(&AUDIT);
static TELEMETRY: [Row; 8] = [
    row("StopTelemetryEvaluation", &[], ["stop", "stopped", "telemetry evaluation"], Medium),
    row("StopTelemetryEvaluationForOrganization", &[], ["stop", "stopped", "telemetry evaluation"], Medium),
    row("DeleteTelemetryRule", &["ruleIdentifier"], ["delete", "deleted", "telemetry rule"], Medium),
    row("DeleteTelemetryRuleForOrganization", &["ruleIdentifier"], ["delete", "deleted", "telemetry rule"], Medium),
    row(
        "DeleteCentralizationRuleForOrganization",
        &["ruleIdentifier"],
        ["delete", "deleted", "log centralization rule"],
        Medium,
    ),
    row("DeleteLink", &["identifier"], ["cut", "cut", "monitoring link"], Medium),
    row("DeleteSink", &["identifier"], ["delete", "deleted", "monitoring sink"], Medium),
    row("CancelMembership", &["membershipId"], ["cancel", "cancelled", "incident response membership"], Medium),
];
const TELEMETRY_NAMES: [&str; 8] = names(&TELEMETRY);

fn collection(case: &Case<'_>) -> Option<Catch> {
    match &*case.record.source {
        "securitylake.amazonaws.com" => judge(case, &LAKE),
        "auditmanager.amazonaws.com" => judge(case, &AUDIT),
        _ => judge(case, &TELEMETRY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::record::Outcome;
    use crate::settings::Settings;
    use crate::testing::{ACCOUNT, caught, caught_with, record};
    use serde_json::json;

    fn call(service: &str, name: &str, request: &Value) -> Value {
        record(&format!("{service}.amazonaws.com"), name, json!({"requestParameters": request}))
    }

    /// Whatever the detections of this file say of a record: one at most.
    fn found(record: &Value) -> Option<Match> {
        let mut all: Vec<Match> = ALL.iter().filter_map(|detection| caught(detection, record)).collect();
        assert!(all.len() < 2, "two findings for one call: {all:?}");
        all.pop()
    }

    fn said(service: &str, name: &str, request: &Value) -> Option<(Severity, String)> {
        let found = found(&call(service, name, request))?;
        let deed = &found.lead.deed;
        assert_eq!(found.lead.outcome, Outcome::Success);
        Some((found.lead.severity, format!("{} {}", deed.past, deed.object)))
    }

    fn severity(service: &str, name: &str, request: &Value) -> Option<Severity> {
        said(service, name, request).map(|said| said.0)
    }

    fn refused(mut record: Value, code: &str) -> Value {
        record["errorCode"] = json!(code);
        record
    }

    fn all_said(examples: &[(&str, &str, Value, Severity, &str)]) {
        for (service, name, request, severity, sentence) in examples {
            assert_eq!(said(service, name, request), Some((*severity, (*sentence).to_owned())));
        }
    }

    #[test]
    fn what_is_switched_off_is_named() {
        let recorder = json!({"configurationRecorderName": "default"});
        let detector = json!({"detectorId": "d1", "enable": false});
        all_said(&[
            ("config", "StopConfigurationRecorder", recorder, High, "stopped Config recorder default"),
            ("guardduty", "DeleteDetector", json!({"detectorId": "d1"}), Critical, "deleted GuardDuty detector d1"),
            ("guardduty", "UpdateDetector", detector, Critical, "weakened GuardDuty detector d1"),
            (
                "guardduty",
                "DisassociateMembers",
                json!({"detectorId": "d1", "accountIds": ["1", "2", "3", "4", "5"]}),
                Critical,
                "cut off GuardDuty members 1, 2, 3 and 2 more",
            ),
            ("securityhub", "DisableSecurityHub", Value::Null, Critical, "disabled Security Hub"),
            ("securityhub", "DisableSecurityHubV2", json!({}), Critical, "disabled Security Hub"),
            ("access-analyzer", "DeleteAnalyzer", json!({"analyzerName": "a"}), High, "deleted access analyzer a"),
            ("macie2", "DisableMacie", Value::Null, High, "disabled Macie"),
            ("inspector2", "Disable", json!({"accountIds": ["1"]}), High, "disabled Inspector for 1"),
            ("detective", "DeleteGraph", json!({"graphArn": "arn:g"}), High, "deleted Detective graph arn:g"),
            ("wafv2", "DeleteWebACL", json!({"name": "w", "id": "1"}), High, "deleted web ACL w"),
            ("waf-regional", "DeleteRule", json!({"ruleId": "r"}), High, "deleted WAF rule r"),
            ("wafv2", "DisassociateWebACL", json!({"resourceArn": "arn:lb"}), High, "detached the web ACL of arn:lb"),
            (
                "route53resolver",
                "DeleteResolverQueryLogConfig",
                json!({"resolverQueryLogConfigId": "rqlc-1"}),
                High,
                "deleted DNS query logging rqlc-1",
            ),
        ]);
    }

    #[test]
    fn protection_defaults_and_logs_that_go_are_named() {
        all_said(&[
            ("network-firewall", "DeleteFirewall", json!({"firewallName": "f"}), High, "deleted network firewall f"),
            ("fms", "DeletePolicy", json!({"policyId": "p"}), High, "deleted Firewall Manager policy p"),
            ("shield", "DeleteSubscription", json!({}), High, "ended Shield Advanced"),
            ("ec2", "DisableEbsEncryptionByDefault", json!({}), Medium, "switched off EBS encryption by default"),
            ("ec2", "EnableSerialConsoleAccess", json!({}), High, "switched on access to serial consoles"),
            ("account", "EnableRegion", json!({"regionName": "af-south-1"}), Medium, "enabled region af-south-1"),
            (
                "bedrock",
                "DeleteModelInvocationLoggingConfiguration",
                Value::Null,
                High,
                "deleted Bedrock invocation logging",
            ),
            (
                "rds",
                "StopActivityStream",
                json!({"resourceArn": "arn:db"}),
                High,
                "stopped the activity stream of arn:db",
            ),
            (
                "redshift",
                "DisableLogging",
                json!({"clusterIdentifier": "c"}),
                High,
                "switched off audit logging of cluster c",
            ),
            ("backup", "DeleteBackupVault", json!({"backupVaultName": "v"}), Critical, "deleted backup vault v"),
            (
                "backup",
                "DeleteBackupVaultLockConfiguration",
                json!({"backupVaultName": "v"}),
                Critical,
                "unlocked backup vault v",
            ),
            ("securitylake", "DeleteDataLake", json!({"regions": ["r"]}), High, "deleted Security Lake in r"),
            ("oam", "DeleteLink", json!({"identifier": "arn:l"}), Medium, "cut monitoring link arn:l"),
            ("monitoring", "DeleteAlarms", json!({"alarmNames": ["a", "b"]}), Medium, "deleted alarms a, b"),
            ("events", "DisableRule", json!({"name": "r"}), Medium, "disabled EventBridge rule r"),
            ("logs", "DeleteLogGroup", json!({"logGroupName": "/app"}), Medium, "deleted log group /app"),
        ]);
    }

    #[test]
    fn flow_logs_in_each_shape() {
        let one = json!({"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-1", "tag": 1}}});
        let two = json!({"DeleteFlowLogsRequest": {"FlowLogId": [
            {"content": "fl-1", "tag": 1}, {"content": "fl-2", "tag": 2}]}});
        assert_eq!(said("ec2", "DeleteFlowLogs", &one), Some((High, "deleted flow logs fl-1".to_owned())));
        assert_eq!(said("ec2", "DeleteFlowLogs", &two), Some((High, "deleted flow logs fl-1, fl-2".to_owned())));
        let legacy = json!({"flowLogIdSet": {"items": [{"flowLogId": "fl-3"}]}});
        assert_eq!(said("ec2", "DeleteFlowLogs", &legacy), Some((High, "deleted flow logs fl-3".to_owned())));
        assert_eq!(severity("ec2", "DeleteFlowLogs", &Value::Null), Some(High));
    }

    #[test]
    fn an_attempt_is_a_step_lower_and_a_rehearsal_low() {
        let severity = |record: &Value| found(record).map(|found| found.lead.severity);
        let detector = call("guardduty", "DeleteDetector", &Value::Null);
        assert_eq!(severity(&refused(detector.clone(), "AccessDeniedException")), Some(High));
        assert_eq!(severity(&refused(detector, "BadRequestException")), Some(High));
        let logs = call("ec2", "DeleteFlowLogs", &json!({}));
        assert_eq!(severity(&refused(logs.clone(), "Client.UnauthorizedOperation")), Some(Medium));
        assert_eq!(severity(&refused(logs, "Client.DryRunOperation")), Some(Low));
        let update = call("guardduty", "UpdateDetector", &Value::Null);
        assert_eq!(severity(&refused(update, "AccessDenied")), Some(High), "what was asked for is unknown");
        let routine = call("rds", "ModifyDBInstance", &Value::Null);
        assert_eq!(severity(&refused(routine, "AccessDenied")), None, "people do this every day");
    }

    #[test]
    fn what_weakens_nothing_is_quiet() {
        for (service, name, request) in [
            ("guardduty", "UpdateDetector", json!({"detectorId": "d", "enable": true})),
            ("guardduty", "UpdateDetector", json!({"features": [{"name": "S3_DATA_EVENTS", "status": "ENABLED"}]})),
            ("guardduty", "CreateFilter", json!({"action": "NOOP"})),
            ("guardduty", "UpdateOrganizationConfiguration", json!({"autoEnableOrganizationMembers": "ALL"})),
            ("guardduty", "CreateDetector", json!({"enable": true})),
            ("securityhub", "BatchUpdateFindings", json!({"workflow": {"status": "RESOLVED"}})),
            ("securityhub", "BatchUpdateFindingsV2", json!({"statusId": 2})),
            ("securityhub", "UpdateStandardsControl", json!({"controlStatus": "ENABLED"})),
            ("securityhub", "BatchImportFindings", json!({})),
            ("access-analyzer", "UpdateFindings", json!({"status": "ACTIVE"})),
            ("macie2", "UpdateMacieSession", json!({"status": "ENABLED"})),
            ("rds", "ModifyDBInstance", json!({"dBInstanceIdentifier": "d", "allocatedStorage": 100})),
            ("rds", "ModifyActivityStream", json!({"auditPolicyState": "locked"})),
            (
                "eks",
                "UpdateClusterConfig",
                json!({"name": "c", "logging": {"clusterLogging": [{"types": ["api"], "enabled": true}]}}),
            ),
            ("eks", "UpdateClusterConfig", json!({"name": "c", "resourcesVpcConfig": {"endpointPublicAccess": false}})),
            ("logs", "PutRetentionPolicy", json!({"logGroupName": "/app", "retentionInDays": 365})),
            ("config", "PutRetentionConfiguration", json!({"retentionPeriodInDays": 2557})),
            ("backup", "UpdateRegionSettings", json!({"resourceTypeOptInPreference": {"EBS": true}})),
            (
                "network-firewall",
                "UpdateLoggingConfiguration",
                json!({"firewallName": "f", "loggingConfiguration": {"logDestinationConfigs": [{"logType": "FLOW"}]}}),
            ),
            (
                "elasticloadbalancing",
                "ModifyLoadBalancerAttributes",
                json!({"attributes": [{"key": "access_logs.s3.enabled", "value": "true"}]}),
            ),
        ] {
            assert_eq!(said(service, name, &request), None, "{name} {request}");
        }
    }

    fn all_graded(examples: &[(&str, &str, Value, Severity)]) {
        for (service, name, request, expected) in examples {
            assert_eq!(severity(service, name, request), Some(*expected), "{name} {request}");
        }
    }

    #[test]
    fn a_request_is_read_to_tell_weakening_from_routine() {
        let off = json!({"S3Logs": {"Enable": false}, "Kubernetes": {"AuditLogs": {"Enable": true}}});
        all_graded(&[
            (
                "guardduty",
                "UpdateDetector",
                json!({"features": [{"name": "S3_DATA_EVENTS", "status": "DISABLED"}]}),
                High,
            ),
            ("guardduty", "UpdateDetector", json!({"enable": "false"}), Critical),
            ("guardduty", "UpdateDetector", json!({"dataSources": off}), High),
            ("guardduty", "UpdateOrganizationConfiguration", json!({"autoEnable": false}), High),
            ("guardduty", "CreateIPSet", json!({"name": "vpn", "activate": true}), High),
            ("guardduty", "CreateIPSet", json!({"name": "vpn", "activate": false}), Low),
            ("guardduty", "CreateTrustedEntitySet", json!({"name": "vpn"}), High),
            ("guardduty", "CreateFilter", json!({"name": "f", "action": "ARCHIVE"}), Medium),
            ("securityhub", "BatchUpdateFindings", json!({"workflow": {"status": "SUPPRESSED"}}), Medium),
            ("securityhub", "BatchUpdateFindingsV2", json!({"statusId": 3}), Medium),
            (
                "securityhub",
                "CreateAutomationRule",
                json!({"ruleName": "r", "actions": [{"findingFieldsUpdate": {"workflow": {"status": "SUPPRESSED"}}}]}),
                Medium,
            ),
            (
                "securityhub",
                "BatchUpdateStandardsControlAssociations",
                json!({"standardsControlAssociationUpdates": [{"associationStatus": "DISABLED"}]}),
                Medium,
            ),
            (
                "config",
                "PutConfigurationRecorder",
                json!({"configurationRecorder": {"name": "d", "recordingGroup": {"allSupported": true}}}),
                Informational,
            ),
            (
                "config",
                "PutConfigurationRecorder",
                json!({"configurationRecorder": {"name": "d", "recordingGroup": {"allSupported": false}}}),
                High,
            ),
        ]);
    }

    #[test]
    fn a_recorder_that_leaves_things_out_is_told_from_one_that_does_not() {
        let types = json!({"exclusionByResourceTypes": {"resourceTypes": ["AWS::IAM::User"]},
            "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"}});
        all_graded(&[
            ("config", "PutConfigurationRecorder", json!({"configurationRecorder": {"recordingGroup": types}}), High),
            ("config", "PutRetentionConfiguration", json!({"retentionPeriodInDays": 30}), Medium),
            ("macie2", "UpdateMacieSession", json!({"status": "PAUSED"}), High),
            ("inspector2", "CreateFilter", json!({"name": "f", "action": "SUPPRESS"}), Medium),
            (
                "bedrock",
                "PutModelInvocationLoggingConfiguration",
                json!({"loggingConfig": {"s3Config": {"bucketName": "b"}, "textDataDeliveryEnabled": false}}),
                High,
            ),
            (
                "bedrock",
                "PutModelInvocationLoggingConfiguration",
                json!({"loggingConfig": {"s3Config": {"bucketName": "b"}}}),
                Low,
            ),
        ]);
    }

    #[test]
    fn logs_are_graded_by_what_they_hold() {
        all_graded(&[
            (
                "rds",
                "ModifyDBInstance",
                json!({"dBInstanceIdentifier": "d",
                    "cloudwatchLogsExportConfiguration": {"disableLogTypes": ["audit"]}}),
                Medium,
            ),
            (
                "eks",
                "UpdateClusterConfig",
                json!({"name": "c", "logging": {"clusterLogging": [{"types": ["audit"], "enabled": false}]}}),
                High,
            ),
            (
                "eks",
                "UpdateClusterConfig",
                json!({"name": "c", "logging": {"clusterLogging": {"types": ["scheduler"], "enabled": "false"}}}),
                Medium,
            ),
            ("logs", "DeleteLogGroup", json!({"logGroupName": "CloudTrail/logs"}), High),
            ("logs", "PutRetentionPolicy", json!({"logGroupName": "vpc-flow-logs", "retentionInDays": 1}), High),
            ("logs", "PutRetentionPolicy", json!({"logGroupName": "/app", "retentionInDays": 1}), Low),
            (
                "network-firewall",
                "UpdateLoggingConfiguration",
                json!({"firewallName": "f", "loggingConfiguration": {}}),
                High,
            ),
            (
                "elasticloadbalancing",
                "ModifyLoadBalancerAttributes",
                json!({"loadBalancerArn": "a", "attributes": [{"key": "access_logs.s3.enabled", "value": "false"}]}),
                Medium,
            ),
            ("backup", "UpdateRegionSettings", json!({"resourceTypeOptInPreference": {"EBS": false}}), Medium),
        ]);
    }

    fn by_service(mut record: Value, service: &str) -> Value {
        record["userIdentity"]["invokedBy"] = json!(service);
        record
    }

    #[test]
    fn services_that_keep_house_do_not_cry_wolf() {
        let severity = |record: &Value| found(record).map(|found| found.lead.severity);
        let rule = call("config", "DeleteConfigRule", &json!({"configRuleName": "securityhub-x"}));
        assert_eq!(severity(&rule), Some(Medium));
        assert_eq!(severity(&by_service(rule.clone(), "securityhub.amazonaws.com")), Some(Low));
        let mut linked = rule;
        linked["userIdentity"] = json!({"type": "AssumedRole",
            "arn": "arn:aws:sts::1:assumed-role/AWSServiceRoleForSecurityHub/s",
            "sessionContext": {"sessionIssuer": {"arn":
                "arn:aws:iam::1:role/aws-service-role/securityhub.amazonaws.com/AWSServiceRoleForSecurityHub"}}});
        assert_eq!(severity(&linked), Some(Informational));
        let alarms = call("monitoring", "DeleteAlarms", &json!({"alarmNames": ["TargetTracking-x"]}));
        assert_eq!(severity(&by_service(alarms.clone(), "autoscaling.amazonaws.com")), None);
        assert_eq!(severity(&by_service(alarms.clone(), "cloudformation.amazonaws.com")), Some(Low));
        assert_eq!(severity(&by_service(alarms, "AWS Internal")), Some(Medium), "a person in the console");
        let expired = call("backup", "DeleteRecoveryPoint", &json!({"backupVaultName": "v"}));
        assert_eq!(severity(&expired), Some(Critical));
        assert_eq!(severity(&by_service(expired, "backup.amazonaws.com")), None);
        let detector = call("guardduty", "DeleteDetector", &json!({"detectorId": "d"}));
        let by_template = by_service(detector, "cloudformation.amazonaws.com");
        assert_eq!(severity(&by_template), Some(Critical), "a template switches nothing off in silence");
    }

    #[test]
    fn many_rules_deleted_by_one_actor_are_one_finding() {
        let delete = |name: &str| found(&call("config", "DeleteConfigRule", &json!({"configRuleName": name})));
        let [a, b] = ["a", "b"].map(|name| delete(name).expect("caught"));
        assert_eq!(a.key, b.key);
        let delete = |id: &str| found(&call("guardduty", "DeleteDetector", &json!({"detectorId": id})));
        let [a, b] = ["a", "b"].map(|id| delete(id).expect("caught"));
        assert_ne!(a.key, b.key);
    }

    #[test]
    fn this_systems_own_alarms_are_left_to_its_own_detection() {
        let mut settings = Settings::default();
        settings.own.account = ACCOUNT.to_owned();
        settings.own.stack = "qtrail".to_owned();
        let own = call("monitoring", "DeleteAlarms", &json!({"alarmNames": ["qtrail-Errors"]}));
        assert!(caught_with(settings.clone(), &ALARMS_WEAKENED, &own).is_none());
        let other = call("monitoring", "DeleteAlarms", &json!({"alarmNames": ["billing"]}));
        assert!(caught_with(settings, &ALARMS_WEAKENED, &other).is_some());
    }

    #[test]
    fn each_row_is_wanted_and_any_shape_of_request_survived() {
        for detection in ALL {
            for want in detection.wants {
                let Want::Calls(source, names) = want else { panic!("calls alone") };
                for name in *names {
                    for request in [Value::Null, json!("x"), json!([1]), json!({"name": [[1]], "logging": 7})] {
                        let _ = found(&record(source, name, json!({"requestParameters": request})));
                    }
                }
            }
        }
    }
}
