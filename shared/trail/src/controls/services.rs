//! What records besides trails, and whether everything could be asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::{Asked, CALLS, Control, Coverage, Look, QUESTIONS, References, Seen, Verdict, said_list};
use crate::detection::Severity;
use crate::shape::{boolean, field, list, text, truthy};
use crate::snapshot::GLOBAL;

pub(super) const ALL: &[&Control] = &[&CONFIG, &FLOW_LOGS, &EVIDENCE];

/// AWS Config records everywhere.
static CONFIG: Control = Control {
    id: "config-all-regions",
    title: "AWS Config records in every region",
    references: References {
        cis: ["3.5", "3.3", "4.3"],
        others: &[("Security Hub", "Config.1"), ("SOC 2", "CC7.1"), ("NIST 800-53 r5", "CM-8")],
    },
    calls: &[
        "account:ListRegions",
        "config:DescribeConfigurationRecorders",
        "config:DescribeConfigurationRecorderStatus",
        "config:DescribeDeliveryChannels",
    ],
    judge: |look| vec![config(look)],
    why: "CloudTrail says what was called; Config says what came of it.",
    runbook: &["Set up a recorder and a delivery channel in the regions named", "Look why the last delivery failed"],
    ..Control::BASE
};

/// VPC flow logs are on.
static FLOW_LOGS: Control = Control {
    id: "vpc-flow-logs",
    title: "Every VPC has flow logs",
    severity: Severity::Low,
    references: References {
        cis: ["3.9", "3.7", "4.7"],
        others: &[("Security Hub", "EC2.6"), ("NIST 800-53 r5", "AU-12"), ("PCI DSS 4.0", "10.2.1")],
    },
    calls: &["account:ListRegions", "ec2:DescribeVpcs", "ec2:DescribeFlowLogs"],
    judge: |look| vec![flow_logs(look)],
    why: "Which machine talked to which is in no trail.",
    runbook: &["Create flow logs for the VPCs named, of rejected traffic at least"],
};

/// Everything could be asked.
static EVIDENCE: Control = Control {
    id: "evidence-complete",
    title: "Every question of the audit was answered",
    references: References { others: &[("SOC 2", "CC4.1"), ("NIST 800-53 r5", "CA-7")], ..References::NONE },
    calls: &CALLS,
    judge: |look| vec![evidence(look)],
    why: "A control that could not look has not passed.",
    runbook: &["Update the StackSet of the audit role", "A service control policy may refuse it too"],
    ..Control::BASE
};

/// What came of a region.
#[derive(Debug, Default)]
struct Regions<'v> {
    bad: BTreeMap<&'v str, String>,
    weak: BTreeMap<&'v str, String>,
    blind: bool,
    seen: usize,
}

impl Regions<'_> {
    fn said(of: &BTreeMap<&str, String>) -> String {
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        of.iter().for_each(|(region, why)| by_reason.entry(why).or_default().push(region));
        let said: Vec<String> =
            by_reason.into_iter().map(|(why, regions)| format!("{why} in {}", said_list(regions))).collect();
        said.join("; ")
    }

    fn verdict(&self, look: &Look<'_>, fine: &str) -> Verdict {
        let account = look.account();
        match () {
            () if !self.bad.is_empty() => look.fail(account, Self::said(&self.bad)),
            () if self.blind || look.view.regions().is_empty() => look.blinded(account),
            () if !self.weak.is_empty() => look.partial(account, Self::said(&self.weak)),
            () if self.seen == 0 => look.not_applicable(account, "there is nothing of it"),
            () => look.pass(account, fine),
        }
    }
}

fn config(look: &Look<'_>) -> Verdict {
    let _ = look.ask("account:ListRegions", GLOBAL, &[]);
    let mut regions = Regions::default();
    let mut global = false;
    for region in look.view.regions() {
        let ask = |call, member| match look.ask(call, region, &[]) {
            Asked::Body(body) => Some(list(field(body, member))),
            Asked::Absent(_) => Some(Vec::new()),
            Asked::Blind(_) => None,
        };
        let recorders = ask("config:DescribeConfigurationRecorders", "ConfigurationRecorders");
        let status = ask("config:DescribeConfigurationRecorderStatus", "ConfigurationRecordersStatus");
        let channels = ask("config:DescribeDeliveryChannels", "DeliveryChannels");
        let (Some(recorders), Some(status), Some(channels)) = (recorders, status, channels) else {
            regions.blind = true;
            continue;
        };
        regions.seen += 1;
        let group = recorders.first().map(|recorder| field(recorder, "recordingGroup"));
        global |= group.is_some_and(|group| truthy(field(group, "includeGlobalResourceTypes")));
        let all = group.is_some_and(|group| boolean(field(group, "allSupported")) == Some(true));
        let last = status.first().map_or("", |one| text(field(one, "lastStatus")));
        let why = match () {
            () if recorders.is_empty() => "no recorder",
            () if channels.is_empty() => "no delivery channel",
            () if !status.iter().any(|one| truthy(field(one, "recording"))) => "the recorder is stopped",
            () if last.eq_ignore_ascii_case("failure") => "the recorder fails",
            () if !all => {
                regions.weak.insert(region, "some types of resources are left out".to_owned());
                continue;
            }
            () => continue,
        };
        regions.bad.insert(region, why.to_owned());
    }
    let verdict = regions.verdict(look, "recorders are on and deliver in every region");
    if verdict.status == crate::control::Status::Pass && !global {
        return look.partial(look.account(), "no recorder includes global resources (IAM)");
    }
    verdict
}

fn flow_logs(look: &Look<'_>) -> Verdict {
    let _ = look.ask("account:ListRegions", GLOBAL, &[]);
    let mut regions = Regions::default();
    for region in look.view.regions() {
        let (vpcs, logs) = (look.body("ec2:DescribeVpcs", region, &[]), look.body("ec2:DescribeFlowLogs", region, &[]));
        let (Some(vpcs), Some(logs)) = (vpcs, logs) else {
            regions.blind = true;
            continue;
        };
        if !field(vpcs, "Vpcs").is_array() || !field(logs, "FlowLogs").is_array() {
            look.unreadable("ec2:DescribeFlowLogs", region);
            regions.blind = true;
            continue;
        }
        let vpcs: Vec<&str> = list(field(vpcs, "Vpcs")).into_iter().map(|vpc| text(field(vpc, "VpcId"))).collect();
        let logs = list(field(logs, "FlowLogs"));
        let logged = |vpc: &str| {
            logs.iter().any(|log| {
                text(field(log, "ResourceId")) == vpc
                    && text(field(log, "FlowLogStatus")) == "ACTIVE"
                    && matches!(text(field(log, "TrafficType")), "ALL" | "REJECT")
            })
        };
        regions.seen += vpcs.len();
        let without: Vec<&str> = vpcs.into_iter().filter(|vpc| !logged(vpc)).collect();
        if !without.is_empty() {
            regions.bad.insert(region, format!("no flow logs of {}", said_list(without)));
        }
    }
    regions.verdict(look, "every VPC has flow logs")
}

fn evidence(look: &Look<'_>) -> Verdict {
    let account = look.account();
    let _ = look.ask("account:ListRegions", GLOBAL, &[]);
    let mut coverage = Coverage::default();
    coverage.add(look.view.snapshot);
    let blind: BTreeMap<_, Seen> =
        coverage.cells.iter().filter(|(_, seen)| seen.is_blind()).map(|(k, s)| (k, *s)).collect();
    let calls: BTreeSet<&str> = blind.keys().map(|(_, _, call)| call.as_str()).collect();
    let asked: BTreeSet<&str> = coverage.cells.keys().map(|(_, _, call)| call.as_str()).collect();
    let unseen = coverage.unseen_accounts().contains(&account);
    let (answered, total) = (coverage.cells.len() - blind.len(), coverage.cells.len());
    let fix = format!("update StackSet {}", look.context().stack_set);
    if unseen {
        return look.fail(account, "no trail settings of this account could be seen").severity(Severity::High).fix(fix);
    }
    if !blind.is_empty() {
        let grants: Vec<&str> = calls.iter().filter_map(|call| crate::control::permission(call)).collect();
        let reason =
            format!("{answered} of {total} questions were answered; not: {}", said_list(calls.iter().copied()));
        let grants = if grants.is_empty() { String::new() } else { format!("grant {}", said_list(grants)) };
        return look.partial(account, reason).fix(fix).remark(grants);
    }
    let everywhere = |call: &&str| {
        QUESTIONS.iter().any(|question| {
            question.call == *call
                && matches!(question.scope, crate::control::Scope::Account | crate::control::Scope::Region)
        })
    };
    let never: Vec<&str> =
        QUESTIONS.iter().map(|q| q.call).filter(everywhere).filter(|call| !asked.contains(call)).collect();
    if never.is_empty() {
        return look.pass(account, format!("all of {total} questions were answered"));
    }
    look.partial(account, format!("never asked: {}", said_list(never)))
}

#[cfg(test)]
mod tests {
    use crate::control::Status;
    use crate::controls::testing::{Account, assert_said, context, denied};
    use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
    use serde_json::{Value, json};

    fn with(call: &str, pointer: &str, value: Value) -> Account {
        let mut account = Account::with_trail();
        account.set(call, pointer, value);
        account
    }

    fn refused(call: &str) -> Account {
        let mut account = Account::with_trail();
        account.refuse_call(call, &denied());
        account
    }

    #[test]
    fn config_records_everywhere() {
        let recorder = "config:DescribeConfigurationRecorders";
        let status = "config:DescribeConfigurationRecorderStatus";
        let mut one = Account::with_trail();
        one.put(recorder, "us-east-1", &[], json!({"ConfigurationRecorders": []}));
        let global = "ConfigurationRecorders/0/recordingGroup/includeGlobalResourceTypes";
        for (account, state, words) in [
            (Account::with_trail(), Pass, "every region"),
            (one, Fail, "no recorder in us-east-1"),
            (
                with(status, "ConfigurationRecordersStatus/0/recording", false.into()),
                Fail,
                "stopped in eu-west-1, us-east-1",
            ),
            (with(status, "ConfigurationRecordersStatus/0/lastStatus", "FAILURE".into()), Fail, "fails"),
            (with("config:DescribeDeliveryChannels", "DeliveryChannels", json!([])), Fail, "no delivery channel"),
            (with(recorder, "ConfigurationRecorders/0/recordingGroup/allSupported", false.into()), Partial, "left out"),
            (with(recorder, global, false.into()), Partial, "global"),
            (refused(recorder), Unknown, "DescribeConfigurationRecorders denied"),
        ] {
            assert_said(&account, &context(), ("config-all-regions", state, words));
        }
    }

    #[test]
    fn vpcs_have_flow_logs() {
        let mut unasked = Account::with_trail();
        unasked.forget("ec2:DescribeFlowLogs");
        for (account, status, words) in [
            (Account::with_trail(), Pass, "every VPC"),
            (with("ec2:DescribeFlowLogs", "FlowLogs", json!([])), Fail, "no flow logs of vpc-1"),
            (with("ec2:DescribeFlowLogs", "FlowLogs/0/TrafficType", "ACCEPT".into()), Fail, "vpc-1"),
            (with("ec2:DescribeVpcs", "Vpcs", json!([])), NotApplicable, "nothing"),
            (refused("ec2:DescribeVpcs"), Unknown, "DescribeVpcs denied"),
            (unasked, Unknown, "DescribeFlowLogs was not asked"),
        ] {
            assert_said(&account, &context(), ("vpc-flow-logs", status, words));
        }
    }

    #[test]
    fn every_question_was_answered() {
        let mut dark = Account::with_trail();
        dark.refuse_all(&denied());
        let mut unasked = Account::with_trail();
        unasked.forget("iam:GetAccountAuthorizationDetails");
        for (account, status, words) in [
            (Account::with_trail(), Pass, "were answered"),
            (refused("kms:GetKeyPolicy"), Partial, "not: kms:GetKeyPolicy"),
            (unasked, Partial, "never asked: iam:GetAccountAuthorizationDetails"),
            (dark, Fail, "no trail settings"),
        ] {
            assert_said(&account, &context(), ("evidence-complete", status, words));
        }
        let verdict = refused("s3:GetBucketLifecycleConfiguration").only("evidence-complete", &context());
        assert_eq!(verdict.remark, "grant s3:GetLifecycleConfiguration");
    }
}
