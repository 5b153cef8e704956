//! Something was opened to the internet, or the network was changed.

use serde_json::Value;

use crate::detection::{Case, Detection, Severity};
use crate::shape::{field, list, text};

mod databases;
mod edge;
mod firewalls;
mod review;
mod security_groups;

pub(super) const ALL: &[&Detection] = &[
    &security_groups::SECURITY_GROUP_OPENED,
    &firewalls::PREFIX_LIST_OPENED,
    &firewalls::NETWORK_ACL_OPENED,
    &firewalls::INSTANCE_PORTS_OPENED,
    &databases::DATABASE_SECURITY_GROUP_OPENED,
    &databases::DATABASE_PUBLIC,
    &databases::CLUSTER_ENDPOINT_PUBLIC,
    &edge::PUBLIC_ACCESS_BLOCK_WEAKENED,
    &edge::INTERNET_ROUTE_ADDED,
    &edge::TRAFFIC_MIRRORED,
    &edge::FOREIGN_PEERING,
    &review::NETWORK_CHANGED,
];

const EC2: &str = "ec2.amazonaws.com";

/// How bad a success is, else MEDIUM at most: nothing was opened. A rehearsal is LOW at most.
fn graded(case: &Case<'_>, severity: Severity) -> Severity {
    if case.succeeded() {
        severity
    } else if is_rehearsal(case) {
        severity.min(Severity::Low)
    } else {
        severity.min(Severity::Medium)
    }
}

/// Whether the caller asked only whether it would be allowed: the answer is an error that means yes.
fn is_rehearsal(case: &Case<'_>) -> bool {
    case.record.error_code.ends_with("DryRunOperation")
}

/// The request, out of the wrapper that newer EC2 calls are recorded in (`{"ModifyXRequest":{…}}`).
fn request<'c>(case: &'c Case<'_>) -> &'c Value {
    unwrapped(case, case.record.request(), "Request")
}

/// The response, out of its wrapper.
fn response<'c>(case: &'c Case<'_>) -> &'c Value {
    unwrapped(case, case.record.response(), "Response")
}

fn unwrapped<'c>(case: &Case<'_>, value: &'c Value, suffix: &str) -> &'c Value {
    let inner = field(value, &format!("{}{suffix}", case.record.action()));
    if inner.is_null() { value } else { inner }
}

/// The first of these members that has text.
fn first<'v>(value: &'v Value, keys: &[&str]) -> &'v str {
    keys.iter().map(|key| text(field(value, key))).find(|text| !text.is_empty()).unwrap_or_default()
}

/// The elements of the first of these members that has any.
fn first_list<'v>(value: &'v Value, keys: &[&str]) -> Vec<&'v Value> {
    keys.iter().map(|key| list(field(value, key))).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Text or a number, as text.
fn word(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => text(other).to_owned(),
    }
}

/// A resource's id: what the record says, else what the error message says of a refused call.
fn named<'c>(case: &'c Case<'_>, id: &'c str) -> &'c str {
    let in_error = || case.record.arn_in_error().and_then(|arn| arn.rsplit(['/', ':']).next());
    let known = Some(id).filter(|id| !id.is_empty()).or_else(in_error);
    known.filter(|id| *id != "*").unwrap_or_default()
}

/// What to call a resource in a sentence.
fn called<'a>(id: &'a str, otherwise: &'a str) -> &'a str {
    if id.is_empty() { otherwise } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{Category, Engine};
    use crate::log_file::Origin;
    use crate::record::Record;
    use crate::settings::Settings;
    use crate::testing::record;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_detection_says_what_to_do_and_has_an_id_of_its_own() {
        let ids: std::collections::BTreeSet<_> = ALL.iter().map(|detection| detection.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for detection in ALL {
            assert!(!detection.why.is_empty() && !detection.techniques.is_empty(), "{}", detection.id);
            assert!((2..=4).contains(&detection.runbook.len()), "{}", detection.id);
        }
    }

    #[test]
    fn routine_is_no_exposure() {
        let exposures = ALL.iter().filter(|detection| detection.category == Category::NetworkExposure);
        assert!(exposures.clone().all(|detection| detection.id != review::NETWORK_CHANGED.id));
        assert_eq!(exposures.count(), ALL.len() - 3);
    }

    #[test]
    fn the_request_is_found_in_its_wrapper_and_without_it() {
        for request in
            [json!({"PrefixListId": "pl-1"}), json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1"}})]
        {
            let seen = seen(&record(EC2, "ModifyManagedPrefixList", json!({"requestParameters": request})));
            assert_eq!(seen, [("network-changed".to_owned(), "managed prefix list pl-1".to_owned())]);
        }
    }

    /// What all detections of this folder say about a record.
    fn seen(record: &Value) -> Vec<(String, String)> {
        let engine = Engine::with(Settings::default(), ALL.to_vec());
        let text = record.to_string();
        let record = Record::parse(&text).expect("a record");
        let mut found = Vec::new();
        let mut note = |m: crate::finding::Match| found.push((m.detection.id.to_owned(), m.lead.deed.object));
        engine.evaluate(&record, &Origin::default(), &mut note).expect("readable");
        found
    }

    /// JSON of the shapes that services write, with the words that this folder reads.
    fn any_json() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[0-9a-z:./é-]{0,12}".prop_map(Value::from),
            prop_oneof![Just("0.0.0.0/0"), Just("::/0"), Just("-1"), Just("tcp"), Just("allow"), Just("igw-1")]
                .prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("ipPermissions"),
            Just("items"),
            Just("ipRanges"),
            Just("cidrIp"),
            Just("groupId"),
            Just("fromPort"),
            Just("SecurityGroupRule"),
            Just("ModifySecurityGroupRulesRequest"),
            Just("content"),
            Just("cidrBlock"),
            Just("portRange"),
            Just("resourcesVpcConfig"),
            Just("publicAccessCidrs"),
            Just("AddEntry"),
            Just("é"),
        ];
        word.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn any_call() -> impl Strategy<Value = (&'static str, &'static str)> {
        let calls = ALL.iter().flat_map(|detection| detection.wants).flat_map(|want| match want {
            crate::detection::Want::Calls(source, names) => names.iter().map(|name| (*source, *name)).collect(),
            _ => Vec::new(),
        });
        proptest::sample::select(calls.collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn any_request_and_response_are_survived(
            (source, name) in any_call(), request in any_json(), response in any_json(),
            error in prop_oneof![Just(""), Just("Client.UnauthorizedOperation"), Just("Client.InvalidPermission.Duplicate")],
            message in "(on resource: |peer: )?[a-z0-9:/., é]{0,20}",
        ) {
            let mut record = record(source, name, json!({"requestParameters": request, "responseElements": response}));
            if !error.is_empty() {
                record["errorCode"] = error.into();
                record["errorMessage"] = message.into();
            }
            let _ = seen(&record);
        }
    }
}
