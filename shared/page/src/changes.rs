//! What a call changed: rules that came and went, and policies against what stood there before.

use lake::answer::Page;
use lake::{Lake, Query};
use serde_json::Value;
use trail::facts::Facts;
use trail::shape::{at, field, list, text};
use trail::time::Time;

use crate::text::plain;

/// How far back a previous version is looked for, in seconds: 90 days.
const BACK: i64 = 90 * 86_400;

/// Lines of a document that are compared; beyond it both stand in full.
const COMPARED: usize = 1_500;

/// Something that is different since.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// What.
    pub(crate) title: String,
    /// What it is compared with, or why with nothing.
    pub(crate) against: String,
    /// Line by line.
    pub(crate) lines: Vec<Line>,
}

/// A line of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// `+`, `-` or a blank.
    pub(crate) sign: char,
    /// What it says.
    pub(crate) text: String,
}

/// What was the case before, as an earlier record has it.
#[derive(Debug)]
pub(crate) struct Before {
    time: Time,
    documents: Vec<(String, Value)>,
}

/// What a call changed; nothing of one that was refused or only reads.
pub(crate) fn of(facts: &Facts<'_>, before: Option<&Before>) -> Vec<Change> {
    let Ok(record) = serde_json::from_str::<Value>(&facts.json) else { return Vec::new() };
    if facts.read_only {
        return Vec::new();
    }
    let mut changes: Vec<Change> = rules(&facts.event_name, &record).into_iter().collect();
    let removes = facts.event_name.starts_with("Delete") || facts.event_name.starts_with("Remove");
    let documents = if removes { Vec::new() } else { documents(&record) };
    changes.extend(documents.iter().map(|document| compared(document, before)));
    if !facts.error_code.is_empty() {
        changes.iter_mut().for_each(|change| change.title = format!("{} (refused: nothing changed)", change.title));
    }
    changes
}

/// The search for the record that set the same thing before.
pub(crate) fn predecessor(facts: &Facts<'_>) -> Option<Query> {
    let record: Value = serde_json::from_str(&facts.json).ok()?;
    if facts.read_only || documents(&record).is_empty() {
        return None;
    }
    let resource = crate::runs::resource(facts)?;
    let names = ["action", "service", "resource", "account", "error"];
    let values = [&*facts.event_name, &facts.event_source, resource, &facts.account, "none"];
    let mut query = Query::of(names.into_iter().zip(values)).ok()?;
    (query.from, query.to) = (Some(Time(facts.event_time.0 - BACK)), Some(facts.event_time));
    Some(query)
}

/// What that record set.
pub(crate) async fn before(lake: &Lake, query: &Query, facts: &Facts<'_>) -> Option<Before> {
    let page = Page { limit: 1, json: true, budget: 200_000_000, ..Page::default() };
    let answer = match lake.search(query, &page).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, record = %facts.event_id, "no previous version could be looked up");
            return None;
        }
    };
    let earlier = answer.rows.first()?;
    let record: Value = serde_json::from_str(&earlier.json).ok()?;
    Some(Before { time: earlier.event_time, documents: documents(&record) })
}

/// Documents that a request carries: policies, and what is configured by one nested value.
fn documents(record: &Value) -> Vec<(String, Value)> {
    let request = field(record, "requestParameters");
    let Some(fields) = request.as_object() else { return Vec::new() };
    let is_one = |value: &Value| !field(value, "Statement").is_null();
    let mut found = Vec::new();
    for (name, value) in fields {
        let parsed = value.as_str().and_then(document);
        match parsed.as_ref().unwrap_or(value) {
            value if is_one(value) => found.push((name.clone(), value.clone())),
            Value::Object(inner) if name.ends_with("Configuration") && !inner.is_empty() => {
                found.push((name.clone(), value.clone()));
            }
            _ => {}
        }
    }
    found
}

/// A policy in a string; of IAM's some are percent-encoded.
fn document(text: &str) -> Option<Value> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    [text, &*decoded].into_iter().find_map(|text| serde_json::from_str(text).ok())
}

fn compared((name, document): &(String, Value), before: Option<&Before>) -> Change {
    let new = pretty(document);
    let earlier = before.and_then(|before| {
        let found = before.documents.iter().find(|(known, _)| known == name)?;
        Some((before.time, pretty(&found.1)))
    });
    match earlier {
        Some((time, old)) => {
            let same = old == new;
            let against =
                if same { format!("the same as on {time}") } else { format!("against what was set on {time}") };
            Change { title: plain(name), against, lines: difference(&old, &new) }
        }
        None => Change {
            title: plain(name),
            against: "as set; the lake holds no earlier version of the last 90 days".to_owned(),
            lines: new.iter().map(|text| Line { sign: ' ', text: text.clone() }).collect(),
        },
    }
}

fn pretty(document: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.lines().map(plain).collect()
}

/// The lines that went and came, by the longest common subsequence.
fn difference(old: &[String], new: &[String]) -> Vec<Line> {
    let line = |sign, text: &String| Line { sign, text: text.clone() };
    if old.len().max(new.len()) > COMPARED {
        return old.iter().map(|text| line('-', text)).chain(new.iter().map(|text| line('+', text))).collect();
    }
    let width = new.len() + 1;
    let mut lengths = vec![0_u16; (old.len() + 1) * width];
    for (i, was) in old.iter().enumerate().rev() {
        for (j, is) in new.iter().enumerate().rev() {
            lengths[i * width + j] = if was == is {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(line(' ', &new[j]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            lines.push(line('-', &old[i]));
            i += 1;
        } else {
            lines.push(line('+', &new[j]));
            j += 1;
        }
    }
    lines
}

/// Rules of security groups that came or went.
fn rules(action: &str, record: &Value) -> Option<Change> {
    let request = field(record, "requestParameters");
    let sign = match action {
        _ if action.starts_with("AuthorizeSecurityGroup") => '+',
        _ if action.starts_with("RevokeSecurityGroup") => '-',
        "ModifySecurityGroupRules" => return Some(modified(request)),
        _ => return None,
    };
    let direction = if action.ends_with("Egress") { "out to" } else { "in from" };
    let group = [text(field(request, "groupId")), text(field(request, "groupName"))].concat();
    let permissions = list(at(request, &["ipPermissions", "items"]));
    let mut lines: Vec<Line> = permissions.iter().flat_map(|one| permission(one, direction, sign)).collect();
    if lines.is_empty() {
        let rules = list(at(request, &["securityGroupRuleIds", "items"]));
        lines = rules
            .iter()
            .map(|id| Line { sign, text: plain(&format!("rule {}", id.to_string().trim_matches('"'))) })
            .collect();
    }
    let what = if sign == '+' { "added" } else { "removed" };
    (!lines.is_empty()).then(|| Change {
        title: plain(&format!("rules {what}: {group}")),
        against: String::new(),
        lines,
    })
}

/// A permission is a rule for each of its sources.
fn permission(one: &Value, direction: &str, sign: char) -> Vec<Line> {
    let sources =
        [("ipRanges", "cidrIp"), ("ipv6Ranges", "cidrIpv6"), ("groups", "groupId"), ("prefixListIds", "prefixListId")];
    let mut lines = Vec::new();
    for (kind, name) in sources {
        for source in list(at(one, &[kind, "items"])) {
            let remark = text(field(source, "description"));
            let remark = if remark.is_empty() { String::new() } else { format!("  ({remark})") };
            let said = format!("{} {direction} {}{remark}", traffic(one), text(field(source, name)));
            lines.push(Line { sign, text: plain(&said) });
        }
    }
    lines
}

fn modified(request: &Value) -> Change {
    let rules = list(at(request, &["ModifySecurityGroupRulesRequest", "SecurityGroupRule"]));
    let said = |rule: &&Value| {
        let rule_of = field(rule, "SecurityGroupRule");
        let source = ["CidrIpv4", "CidrIpv6", "ReferencedGroupId", "PrefixListId"];
        let source = source.into_iter().map(|name| text(field(rule_of, name))).find(|text| !text.is_empty());
        let id = text(field(rule, "SecurityGroupRuleId"));
        Line {
            sign: '+',
            text: plain(&format!(
                "{id}: {} {}",
                traffic_of(rule_of, ["IpProtocol", "FromPort", "ToPort"]),
                source.unwrap_or("?")
            )),
        }
    };
    Change {
        title: "rules as they are now".to_owned(),
        against: String::new(),
        lines: rules.iter().map(said).collect(),
    }
}

fn traffic(permission: &Value) -> String {
    traffic_of(permission, ["ipProtocol", "fromPort", "toPort"])
}

fn traffic_of(rule: &Value, [protocol, from, to]: [&str; 3]) -> String {
    let port = |name| trail::shape::number(field(rule, name));
    match (text(field(rule, protocol)), port(from), port(to)) {
        ("-1", ..) => "everything".to_owned(),
        (protocol, Some(from), Some(to)) if from == to => format!("{protocol}/{from}"),
        (protocol, Some(from), Some(to)) => format!("{protocol}/{from}-{to}"),
        (protocol, ..) => format!("{protocol}, all ports"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(action: &'static str, request: &Value) -> Facts<'static> {
        let json = json!({"eventName": action, "requestParameters": request}).to_string();
        Facts { event_name: action.into(), json: json.into(), ..Facts::default() }
    }

    fn shown(change: &Change) -> Vec<String> {
        change.lines.iter().map(|line| format!("{}{}", line.sign, line.text)).collect()
    }

    #[test]
    fn rules_of_a_security_group_are_lines() {
        let request = json!({"groupId": "sg-1", "ipPermissions": {"items": [{
            "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0", "description": "<b>"}]},
            "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]},
        }, {"ipProtocol": "-1", "groups": {"items": [{"groupId": "sg-2"}]}}]}});
        let added = of(&facts("AuthorizeSecurityGroupIngress", &request), None);
        assert_eq!(added[0].title, "rules added: sg-1");
        let rules = ["+tcp/22 in from 0.0.0.0/0  (<b>)", "+tcp/22 in from ::/0", "+everything in from sg-2"];
        assert_eq!(shown(&added[0]), rules);
        let removed = of(&facts("RevokeSecurityGroupEgress", &request), None);
        assert_eq!(shown(&removed[0])[1], "-tcp/22 out to ::/0");
    }

    #[test]
    fn a_policy_stands_against_the_one_before() {
        let policy = |who: &str| json!({"Statement": [{"Effect": "Allow", "Principal": who}]});
        let now = facts("PutBucketPolicy", &json!({"bucketName": "b", "bucketPolicy": policy("*")}));
        let before = Before { time: Time(0), documents: vec![("bucketPolicy".to_owned(), policy("111122223333"))] };
        let lines = shown(&of(&now, Some(&before))[0]);
        assert!(lines.contains(&"+      \"Principal\": \"*\"".to_owned()), "{lines:?}");
        assert!(lines.contains(&"-      \"Principal\": \"111122223333\"".to_owned()), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| !line.starts_with(' ')).count(), 2);
        assert!(of(&now, None)[0].against.contains("no earlier version"));
    }

    #[test]
    fn a_policy_in_a_string_is_read() {
        for text in ["{\"Statement\":[]}", "%7B%22Statement%22%3A%5B%5D%7D"] {
            let changes = of(&facts("PutRolePolicy", &json!({"policyDocument": text})), None);
            assert_eq!(changes[0].title, "policyDocument");
        }
    }
}
