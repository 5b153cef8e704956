//! What the detections of exposed resources have in common: how bad an audience is, and how to say it.

use serde_json::Value;

use crate::detection::{Case, Catch, Deed, Severity};
use crate::policy::{Audience, Everyone, Home, Policy, Rules};
use crate::record::Outcome;
use crate::shape::{field, texts};

/// A resource in the words of a sentence: `bucket data`.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    /// What it is: `bucket`.
    pub(super) noun: &'static str,
    /// Its name, id or ARN; empty where the record does not say.
    pub(super) name: String,
}

impl Thing {
    pub(super) fn new(noun: &'static str, name: impl Into<String>) -> Self {
        Self { noun, name: name.into() }
    }

    /// A catch about this thing: one finding for each of them, whoever touches it.
    pub(super) fn catch(&self, deed: Deed) -> Catch {
        let key = if self.name.is_empty() { self.noun } else { &self.name };
        Catch::new(deed).resource(self.name.clone()).key(key)
    }

    /// `bucket data`, or `a bucket` where the name is not known.
    pub(super) fn display(&self) -> String {
        match (self.name.as_str(), self.noun.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O'])) {
            ("", true) => format!("an {}", self.noun),
            ("", false) => format!("a {}", self.noun),
            (name, _) => format!("{} {name}", self.noun),
        }
    }
}

/// What a record says of a policy.
#[derive(Debug)]
pub(super) enum Document {
    /// It is there.
    Read(Policy),
    /// It was left out for its size, or it is nothing that can be read: who hides it may have meant to.
    Hidden,
    /// `CloudTrail` does not record it for this call, or not for a call that was refused.
    Unrecorded,
}

impl Document {
    /// The policy of a call, at the first of `names` that holds one.
    pub(super) fn of(case: &Case<'_>, names: &[&str]) -> Self {
        let request = case.record.request();
        match names.iter().find_map(|name| deep(request, name)) {
            Some(Value::String(text)) if is_redacted(text) => Self::Unrecorded,
            Some(found) => Policy::read_tolerantly(unwrapped(found)).map_or(Self::Hidden, Self::Read),
            None if case.record.request_omitted() => Self::Hidden,
            None => Self::Unrecorded,
        }
    }
}

/// A list of one is what it holds; Glacier has `{"policy": {"policy": "…"}}`.
fn unwrapped(value: &Value) -> &Value {
    match value {
        Value::Array(elements) if elements.len() == 1 => &elements[0],
        Value::Object(_) => Some(field(value, "policy")).filter(|inner| !inner.is_null()).unwrap_or(value),
        other => other,
    }
}

/// The words that stand in records for what AWS does not write down.
fn is_redacted(text: &str) -> bool {
    ["HIDDEN_DUE_TO_SECURITY_REASONS", "***", "<sensitiveDataRemoved>", "sensitiveDataRemoved"].contains(&text.trim())
}

/// The first member of that name that says something, at most four levels deep: S3 and EC2 wrap requests.
pub(super) fn deep<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    deep_to(value, name, 4)
}

fn deep_to<'v>(value: &'v Value, name: &str, levels: u8) -> Option<&'v Value> {
    let found = field(value, name);
    if !is_blank(found) {
        return Some(found);
    }
    let below = levels.checked_sub(1)?;
    match value {
        Value::Object(members) => members.values().find_map(|member| deep_to(member, name, below)),
        Value::Array(elements) => elements.iter().find_map(|element| deep_to(element, name, below)),
        _ => None,
    }
}

/// Whether a value says nothing: `""`, `[""]`, null. S3 records its sub-resources so: `"policy": ""`.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.iter().all(is_blank),
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The first text at any of these names.
pub(super) fn named(case: &Case<'_>, names: &[&str]) -> String {
    let request = case.record.request();
    let found = names.iter().find_map(|name| texts(deep(request, name)?).first().map(|text| (*text).to_owned()));
    found.or_else(|| case.record.arn_in_error().map(str::to_owned)).unwrap_or_default()
}

/// Where the resources of a record are at home.
pub(super) fn home<'c>(case: &'c Case<'_>) -> Home<'c> {
    Home { settings: case.settings, account: case.account }
}

/// `full` where the call was carried out, one less where it was tried, two less where it was rehearsed.
pub(super) fn graded(case: &Case<'_>, full: Severity) -> Severity {
    match case.outcome {
        Outcome::Success => full,
        _ if case.record.error_code.contains("DryRunOperation") => lower(lower(full)),
        Outcome::Denied | Outcome::Failed => lower(full),
    }
}

fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        Severity::Low | Severity::Informational => Severity::Informational,
    }
}

/// What there is to say of a policy that a call puts on a thing.
pub(super) fn policy_catch(case: &Case<'_>, thing: &Thing, document: &Document, rules: Rules) -> Option<Catch> {
    match document {
        Document::Read(policy) => audience_catch(case, thing, &policy.audience(rules, &home(case))),
        Document::Hidden => Some(hidden(case, thing).severity(unjudged(case, Severity::High))),
        Document::Unrecorded => Some(hidden(case, thing).severity(unjudged(case, Severity::Medium))),
    }
}

/// What there is to say of an audience; nothing where it is all ours.
pub(super) fn audience_catch(case: &Case<'_>, thing: &Thing, audience: &Audience) -> Option<Catch> {
    let shown = thing.display();
    if let Some(everyone) = &audience.everyone {
        let deed = Deed::new("make", "made", format!("{shown} public{}", anyone_may(everyone)));
        return Some(thing.catch(deed).severity(graded(case, Severity::Critical)).why(why_public(case, everyone)));
    }
    let (strangers, severity) = match audience {
        Audience { outsiders, .. } if !outsiders.is_empty() => (outsiders, Severity::High),
        Audience { canonical_users, .. } if !canonical_users.is_empty() => (canonical_users, Severity::Medium),
        _ => return None,
    };
    let strangers = some_of(strangers.iter());
    let kind = if severity == Severity::High { "" } else { "canonical user " };
    let deed = Deed::new("share", "shared", format!("{shown} with {kind}{strangers}, not known to be ours"));
    Some(thing.catch(deed).severity(graded(case, severity)).why(WHY_SHARED))
}

const WHY_SHARED: &str = "Whoever holds that account can now read or use this from outside, and the copies they make \
    are out of reach. An account of ours that the settings do not list looks the same: list it.";

/// What there is to say of an audience that is all ours, where sharing at all is worth a line.
pub(super) fn inside_catch(case: &Case<'_>, thing: &Thing, audience: &Audience) -> Option<Catch> {
    let insiders = Some(&audience.insiders).filter(|insiders| !insiders.is_empty())?;
    let share = |whom: String| Deed::new("share", "shared", format!("{} with {whom}", thing.display()));
    let organization = insiders.iter().find(|insider| insider.starts_with("o-"));
    if let Some(organization) = organization.filter(|_| case.settings.own.organization.is_empty()) {
        let deed = share(format!("organization {organization}"));
        let why = "The settings name no organization of ours, so this may be anybody's: name it under [own].";
        return Some(thing.catch(deed).severity(graded(case, Severity::Medium)).why(why));
    }
    Some(thing.catch(share(format!("{} of ours", some_of(insiders.iter())))).severity(Severity::Informational))
}

/// The content of a change cannot be judged.
pub(super) fn hidden(case: &Case<'_>, thing: &Thing) -> Catch {
    let omitted = case.record.request_omitted();
    let because = if omitted { "too large to be recorded" } else { "not readable in the record" };
    let deed = Deed::new("change", "changed", format!("the access of {}: content {because}", thing.display()));
    thing.catch(deed).why("What was granted is not in the record. A large or broken request is a way to hide it.")
}

/// A refused attempt weighs as much: nobody can tell what it was for. What failed has changed nothing.
fn unjudged(case: &Case<'_>, full: Severity) -> Severity {
    if case.outcome == Outcome::Failed { lower(full) } else { full }
}

fn anyone_may(everyone: &Everyone) -> String {
    if everyone.actions.is_empty() {
        return String::new();
    }
    let all = everyone.actions.contains("*");
    format!(": anyone may {}", if all { "do everything".to_owned() } else { some_of(everyone.actions.iter()) })
}

fn why_public(case: &Case<'_>, everyone: &Everyone) -> String {
    let reasons = some_of(everyone.reasons.iter());
    let is = if case.succeeded() { "is" } else { "would have been" };
    format!(
        "It {is} open to the whole internet or to every AWS account ({reasons}); scanners find such things in minutes."
    )
}

/// The first three, and how many more there are.
pub(super) fn some_of<'s>(names: impl Iterator<Item = &'s String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    match names.get(3..) {
        Some(more) if !more.is_empty() => format!("{} and {} more", names[..3].join(", "), more.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{Detection, Want};
    use crate::testing::{caught, record};
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    fn both() -> Vec<&'static Detection> {
        [super::super::s3_public::ALL, super::super::public_access::ALL].concat()
    }

    fn calls(detection: &Detection) -> Vec<(&'static str, &'static str)> {
        let names = |want: &Want| match *want {
            Want::Calls(source, names) | Want::CallsSaying(source, names, _) => {
                names.iter().map(|name| (source, *name)).collect()
            }
            Want::Named(names) => names.iter().map(|name| ("example.amazonaws.com", *name)).collect(),
            _ => Vec::new(),
        };
        detection.wants.iter().flat_map(names).collect()
    }

    /// Values as no service would write them, under the names that are read.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            select(vec!["all", "*", "é\u{0}", "arn:é", "arn:aws:s3:::", ":::::", "{", "999988887777", "Allow", ""])
                .prop_map(Value::from),
        ];
        let keys = select(vec![
            "Statement",
            "Effect",
            "Principal",
            "Condition",
            "bucketName",
            "bucketPolicy",
            "policy",
            "x-amz-acl",
            "x-amz-grant-read",
            "AccessControlPolicy",
            "AccessControlList",
            "Grant",
            "Grantee",
            "URI",
            "items",
            "add",
            "createVolumePermission",
            "launchPermission",
            "valuesToAdd",
            "ReplicationConfiguration",
            "Rule",
            "PublicAccessBlockConfiguration",
            "CORSConfiguration",
            "attributeName",
            "attributeValue",
            "omitted",
            "é",
        ]);
        leaf.prop_recursive(5, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((keys.clone(), inner), 0..6)
                    .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_request_makes_a_check_panic(request in anything(), code in select(vec!["", "AccessDenied", "NoSuchBucket"])) {
            for detection in both() {
                for (source, name) in calls(detection) {
                    let more = json!({"requestParameters": request, "errorCode": code});
                    let _ = caught(detection, &record(source, name, more));
                }
            }
        }
    }

    #[test]
    fn uploads_that_say_nothing_of_the_public_are_not_even_loaded() {
        let upload = |acl: &str| {
            let request = json!({"bucketName": "b", "key": "k", "x-amz-acl": acl});
            record("s3.amazonaws.com", "PutObject", json!({"requestParameters": request})).to_string()
        };
        let is_wanted = |text: &str| {
            let record = crate::record::Record::parse(text).expect("a record");
            let found: Vec<_> = both().into_iter().filter(|d| d.wants.iter().any(|want| want.wants(&record))).collect();
            !found.is_empty()
        };
        assert!(!is_wanted(&upload("bucket-owner-full-control")));
        assert!(is_wanted(&upload("public-read")));
        assert!(is_wanted(&upload("PLACE").replace("PLACE", "\\u0070ublic-read")), "escapes are looked into");
    }

    #[test]
    fn an_attempt_is_never_worse_than_the_deed() {
        let request = json!({"bucketName": "b", "x-amz-acl": "public-read", "policy": "*", "authType": "NONE",
            "createVolumePermission": {"add": {"items": [{"group": "all"}]}}, "valuesToAdd": ["all"]});
        for detection in both() {
            for (source, name) in calls(detection) {
                let done = caught(detection, &record(source, name, json!({"requestParameters": request})));
                let tried = json!({"requestParameters": request, "errorCode": "AccessDenied"});
                let tried = caught(detection, &record(source, name, tried));
                let severity = |found: &Option<crate::finding::Match>| found.as_ref().map(|m| m.lead.severity);
                assert!(severity(&tried) <= severity(&done), "{} {name}", detection.id);
                assert_eq!(tried.is_some(), done.is_some(), "{} {name}", detection.id);
            }
        }
    }

    #[test]
    fn every_detection_says_what_to_do() {
        for detection in both() {
            assert!(!detection.why.is_empty() && !detection.runbook.is_empty(), "{}", detection.id);
            assert!(!detection.title.is_empty() && !calls(detection).is_empty(), "{}", detection.id);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(some_of(names.iter()), "a, b, c and 2 more");
        assert_eq!(some_of(names.iter().take(2)), "a, b");
    }

    #[test]
    fn things_without_a_name() {
        assert_eq!(Thing::new("access point", "").display(), "an access point");
        assert_eq!(Thing::new("bucket", "").display(), "a bucket");
        assert_eq!(Thing::new("bucket", "data").display(), "bucket data");
    }
}
