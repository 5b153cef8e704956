//! The words: a line, an alert, a summary, and the forms for machines.
//!
//! Names in a finding were written by whoever called the API. Everything foreign goes through [`clean`].

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{Entry, Level};
use crate::detection::{Detection, Severity};
use crate::detections;
use crate::finding::Finding;
use crate::record::Outcome;
use crate::settings::Settings;
use crate::time::Time;

/// SNS refuses subjects of 100 characters and more.
const SUBJECT_CAP: usize = 99;

/// The longest foreign text in a message, in characters.
const FOREIGN_CAP: usize = 160;

/// SNS takes 256 KiB with attributes; what is said fits into far less.
const BODY_CAP: usize = 64 * 1024;

/// How many of a set are named.
const NAMED: usize = 5;

/// An alert in the forms that its readers need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Printable ASCII, one line.
    pub subject: String,
    /// For people.
    pub text: String,
    /// For machines.
    pub json: Value,
    /// For chat: Amazon Q Developer's custom notification.
    pub chat: Value,
    /// For filter policies.
    pub attributes: Vec<(&'static str, String)>,
}

impl Message {
    /// For SNS with `MessageStructure=json`: text for people, JSON for everything else.
    pub fn structured(&self) -> String {
        json!({"default": self.json.to_string(), "email": self.text, "sms": self.subject}).to_string()
    }
}

/// What else is known when an alert is sent.
#[derive(Debug, Clone, Default)]
pub struct Related {
    /// When it is sent; none in a rehearsal.
    pub now: Option<Time>,
    /// Other open findings of the same actor.
    pub also: Vec<Finding>,
    /// Who issued the session, for a root session that was handed out by `AssumeRoot`.
    pub issued_by: Option<String>,
    /// The address of the viewer, where there is one.
    pub viewer: Option<String>,
}

/// Findings that are told together because there are too many to tell one by one.
#[derive(Debug, Clone, Default)]
pub struct Storm {
    /// The findings, worst first.
    pub findings: Vec<Finding>,
}

/// `03:02:40Z CRITICAL denied  prod-payments/eu-west-1 alice tried to stop trail org-trail, from 203.0.113.7  x3 3f9a2b`
pub fn finding_line(finding: &Finding, settings: &Settings) -> String {
    let from = one_or_count(&finding.facts.source_ips, "addresses");
    let from = if from.is_empty() { String::new() } else { format!(", from {from}") };
    format!(
        "{}Z {:<8} {:<7} {} {}{from}  x{}{} {}",
        finding.last_seen.clock(),
        severity_word(finding.severity),
        outcome_word(finding.outcome),
        place(finding, settings),
        sentence(finding),
        finding.event_count(),
        if finding.saturated { "+" } else { "" },
        finding.short_id(),
    )
}

/// An alert about a finding.
pub fn message(entry: &Entry, settings: &Settings, related: &Related) -> Message {
    let finding = &entry.finding;
    let text = cap(&body(finding, settings, related));
    Message {
        subject: subject(finding, settings),
        json: machine_json(entry, settings),
        chat: chat(finding, settings, related),
        attributes: attributes(finding, settings),
        text,
    }
}

impl Storm {
    /// One message for all of them.
    pub fn message(&self, settings: &Settings) -> Message {
        let count = self.findings.len();
        let worst = self.findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Informational);
        let subject =
            ascii(&format!("[{}] {count} findings at once: a summary instead of single alerts", severity_word(worst)));
        let mut text = format!("{count} findings are new within a minute. Each is stored and open for review:\n\n");
        for finding in self.findings.iter().take(200) {
            let _ = writeln!(text, "{}", finding_line(finding, settings));
        }
        if count > 200 {
            let _ = writeln!(text, "... {} more", count - 200);
        }
        text.push_str("\nNEXT   qtrail findings --status new\n");
        let ids: Vec<&str> = self.findings.iter().take(500).map(|f| f.finding_id.as_str()).collect();
        Message {
            json: json!({"kind": "storm", "severity": worst, "count": count, "finding_ids": ids}),
            chat: chat_json("storm", &subject, &cap(&text), &["Run `qtrail findings --status new`".to_owned()]),
            attributes: vec![
                ("severity", severity_word(worst).to_owned()),
                ("category", "other".to_owned()),
                ("account", "*".to_owned()),
                ("environment", "unknown".to_owned()),
                ("detection", "storm".to_owned()),
                ("kind", "storm".to_owned()),
                ("state", "new".to_owned()),
            ],
            subject,
            text: cap(&text),
        }
    }
}

/// `2 CRITICAL, 1 HIGH`: how many of each severity.
pub fn summary_line(severities: impl Iterator<Item = Severity>) -> String {
    let mut counts = [0_usize; 5];
    severities.for_each(|severity| counts[severity as usize] += 1);
    let named = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational];
    let parts: Vec<String> = named
        .into_iter()
        .filter(|severity| counts[*severity as usize] > 0)
        .map(|severity| format!("{} {}", counts[severity as usize], severity_word(severity)))
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// A finding as `qtrail scan --format ndjson` prints it.
pub fn finding_json(finding: &Finding, settings: &Settings) -> Value {
    let detection = detections::find(&finding.detection_id);
    json!({
        "finding_id": finding.finding_id,
        "detection_id": finding.detection_id,
        "category": finding.category,
        "severity": finding.severity,
        "title": detection.map_or("", |d| d.title),
        "summary": format!("{}: {}", place(finding, settings), sentence(finding)),
        "outcome": finding.outcome,
        "account": finding.account,
        "region": one_or_count(&finding.facts.regions, "regions"),
        "actor": who(finding),
        "source_ip": one_or_count(&finding.facts.source_ips, "addresses"),
        "resources": finding.facts.resources,
        "event_ids": finding.event_ids,
        "event_count": finding.event_count(),
        "saturated": finding.saturated,
        "first_seen": finding.first_seen,
        "last_seen": finding.last_seen,
        "techniques": detection.map_or(&[][..], |d| d.techniques),
        "controls": detection.map_or(&[][..], |d| d.controls),
        "lowered_by": finding.facts.lowered_by,
    })
}

/// A finding as an OCSF 1.3 Detection Finding (class 2004).
pub fn finding_ocsf(finding: &Finding, settings: &Settings) -> Value {
    let detection = detections::find(&finding.detection_id);
    let millis = |time: Time| time.0 * 1000;
    let attacks: Vec<Value> = detection
        .map_or(&[][..], |d| d.techniques)
        .iter()
        .map(|technique| json!({"technique": {"uid": technique}, "version": "14.1"}))
        .collect();
    let resources: Vec<Value> = finding.facts.resources.iter().map(|name| json!({"uid": name})).collect();
    json!({
        "activity_id": 1, "category_uid": 2, "class_uid": 2004, "type_uid": 200_401,
        "time": millis(finding.last_seen),
        "start_time": millis(finding.first_seen),
        "end_time": millis(finding.last_seen),
        "count": finding.event_count(),
        "severity_id": finding.severity as u8 + 1,
        "status_id": 1,
        "message": sentence(finding),
        "metadata": {"version": "1.3.0", "product": {"name": "QuickInfra Trail", "vendor_name": "QuickInfra",
            "version": detections::VERSION}},
        "finding_info": {
            "uid": finding.finding_id,
            "title": detection.map_or("", |d| d.title),
            "desc": format!("{}: {}", place(finding, settings), sentence(finding)),
            "first_seen_time": millis(finding.first_seen),
            "last_seen_time": millis(finding.last_seen),
            "analytic": {"uid": finding.detection_id, "type_id": 1},
            "attacks": attacks,
            "related_events": finding.event_ids.iter().map(|id| json!({"uid": id})).collect::<Vec<_>>(),
        },
        "cloud": {"provider": "AWS", "account": {"uid": finding.account},
            "region": one_or_count(&finding.facts.regions, "regions")},
        "resources": resources,
        "actor": {"user": {"name": who(finding)}},
        "src_endpoint": {"ip": finding.facts.source_ips.first()},
    })
}

/// `[CRITICAL] prod-payments: alice@example.com tried to stop trail org-trail (denied)`
fn subject(finding: &Finding, settings: &Settings) -> String {
    let account = settings.accounts.get(&finding.account).map(|known| known.name.as_str());
    let account = account.filter(|name| !name.is_empty()).unwrap_or(&finding.account);
    let outcome = match finding.outcome {
        Outcome::Success => String::new(),
        other => format!(" ({})", outcome_word(other)),
    };
    let head = format!("[{}] {}: ", severity_word(finding.severity), clean(account));
    let room = SUBJECT_CAP.saturating_sub(head.len() + outcome.len());
    let said = fit(&ascii_of(&sentence(finding)), room);
    ascii(&format!("{head}{said}{outcome}"))
}

fn body(finding: &Finding, settings: &Settings, related: &Related) -> String {
    let detection = detections::find(&finding.detection_id);
    let mut text = String::new();
    let mut line = |head: &str, said: &str| {
        if !said.is_empty() {
            let _ = writeln!(text, "{head:<7}{said}");
        }
    };
    line("WHO", &who_line(finding, related));
    line("DID", &did_line(finding));
    line("WHERE", &where_line(finding, settings));
    line("WHEN", &when_line(finding, related));
    line("WHY", &why_line(finding, detection));
    line("CHECK", &check_line(detection));
    line("ALSO", &also_line(finding, related));
    line("NEXT", &next_line(finding, related));
    text
}

/// Who it was, as known by the finding as a whole.
fn who(finding: &Finding) -> String {
    match one_or_count(&finding.facts.actors, "actors") {
        name if name.is_empty() => "somebody".to_owned(),
        name => name,
    }
}

fn who_line(finding: &Finding, related: &Related) -> String {
    let actor = &finding.lead.actor;
    if finding.facts.actors.len() > 1 || actor.name.is_empty() {
        let keys = named(&finding.facts.access_keys);
        return named(&finding.facts.actors) + &if keys.is_empty() { keys } else { format!("; signed with {keys}") };
    }
    let mut said = clean(&actor.name);
    for (what, value) in [("role", &actor.role), ("key", &actor.access_key), ("by way of", &actor.invoked_by)] {
        if !value.is_empty() {
            let _ = write!(said, ", {what} {}", clean(value));
        }
    }
    if let Some(issuer) = &related.issued_by {
        let _ = write!(said, ", a central root session that {} asked for", clean(issuer));
    }
    said.push_str(match actor.mfa {
        Some(true) => "; with MFA",
        Some(false) => "; without MFA",
        None if actor.role.starts_with("AWSReservedSSO_") => "; MFA unknown (Identity Center sessions do not say)",
        None => "; MFA unknown",
    });
    said
}

/// What was done, in one sentence without a full stop.
fn sentence(finding: &Finding) -> String {
    let deed = &finding.lead.deed;
    let object = clean(&deed.object);
    match (deed.past.is_empty(), finding.outcome) {
        // A threshold, or something about a log file: the title or the object says it all.
        (true, outcome) if object.is_empty() => {
            let after = if outcome == Outcome::Success { ", then a success" } else { "" };
            format!("{}: {}{after}", who(finding), in_sentence(title(finding)))
        }
        (true, _) => object,
        (false, Outcome::Success) => format!("{} {} {object}", who(finding), deed.past),
        (false, _) => format!("{} tried to {} {object}", who(finding), deed.verb),
    }
    .trim_end()
    .to_owned()
}

/// A title within a sentence: `IAM` and `SAML` keep their capitals.
fn in_sentence(title: &str) -> String {
    let word =
        |word: &str| if word.chars().skip(1).any(char::is_uppercase) { word.into() } else { word.to_lowercase() };
    title.split(' ').map(word).collect::<Vec<String>>().join(" ")
}

fn title(finding: &Finding) -> &'static str {
    detections::find(&finding.detection_id).map_or("unknown detection", |detection| detection.title)
}

fn did_line(finding: &Finding) -> String {
    let lead = &finding.lead;
    let count = finding.event_count();
    let several = finding.facts.deeds.len() > 1;
    let times = match (count, finding.saturated) {
        (1, _) => String::new(),
        (n, saturated) => {
            let (more, unit) =
                (if saturated { "more than " } else { "" }, if several { "calls in all" } else { "times" });
            format!(", {more}{n} {unit}")
        }
    };
    let what = match (lead.action.is_empty(), lead.deed.object.is_empty()) {
        (true, true) => format!("{} ({})", title(finding), records_of(finding)),
        (true, false) => clean(&lead.deed.object),
        (false, true) => named(&finding.facts.actions) + &times,
        (false, false) => {
            format!("{}: {}{times}", named(&finding.facts.actions), deeds(finding))
        }
    };
    format!("{what}. {}", came_of_it(finding))
}

/// `25 records: ListBuckets, ListUsers`.
fn records_of(finding: &Finding) -> String {
    let (count, calls) = (finding.event_count(), named(&finding.facts.actions));
    let records = if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
    if calls.is_empty() { records } else { format!("{records}: {calls}") }
}

/// What was done, the worst first: one security group may be opened at several ports.
fn deeds(finding: &Finding) -> String {
    let worst = finding.lead.deed.told();
    let others = finding.facts.deeds.iter().filter(|deed| **deed != worst);
    let said: Vec<String> = std::iter::once(&worst).chain(others.clone()).take(NAMED).map(|deed| clean(deed)).collect();
    let more = (others.count() + 1).saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    said.join("; ") + &more
}

fn came_of_it(finding: &Finding) -> String {
    let lead = &finding.lead;
    match finding.outcome {
        _ if lead.action.is_empty() && lead.deed.object.is_empty() => match finding.outcome {
            Outcome::Success => "One that followed succeeded".to_owned(),
            _ => "None of these succeeded".to_owned(),
        },
        _ if lead.action.is_empty() => String::new(),
        Outcome::Success => "AWS carried it out".to_owned(),
        Outcome::Denied => format!("AWS refused{}: these calls changed nothing", refusal(&lead.error_message)),
        Outcome::Failed if lead.error_code.is_empty() => "It failed".to_owned(),
        Outcome::Failed => format!("It failed ({}): these calls changed nothing", clean(&lead.error_code)),
    }
}

/// Why AWS refused, as far as its message says.
fn refusal(message: &str) -> &'static str {
    if message.contains("explicit deny in a service control policy") {
        " (explicit deny in a service control policy)"
    } else if message.contains("explicit deny in a resource control policy") {
        " (explicit deny in a resource control policy)"
    } else if message.contains("explicit deny") {
        " (explicit deny)"
    } else if message.contains("because no") {
        " (no policy allows it)"
    } else {
        ""
    }
}

fn where_line(finding: &Finding, settings: &Settings) -> String {
    let mut parts = vec![account_line(&finding.account, settings)];
    let Finding { facts, lead, .. } = finding;
    if finding.account == "*" {
        parts.push(format!("accounts {}", named(&facts.accounts)));
    }
    if !facts.regions.is_empty() {
        parts.push(named(&facts.regions));
    }
    if !facts.source_ips.is_empty() {
        let network = settings.network_of(&lead.source_ip, lead.time.0);
        let network = network.map_or(String::new(), |name| format!(" ({name})"));
        parts.push(format!("from {}{network}", named(&facts.source_ips)));
    }
    if !lead.user_agent.is_empty() {
        parts.push(clean(&lead.user_agent).chars().take(60).collect());
    }
    parts.join(", ")
}

fn account_line(account: &str, settings: &Settings) -> String {
    let Some(known) = settings.accounts.get(account) else {
        return if account == "*" { "several accounts".to_owned() } else { clean(account) };
    };
    let about: Vec<String> = [
        clean(&known.environment),
        Some(clean(&known.owner)).filter(|o| !o.is_empty()).map_or(String::new(), |owner| format!("owner {owner}")),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    format!("{}{about}", clean(&settings.account_name(account)))
}

fn when_line(finding: &Finding, related: &Related) -> String {
    let (first, last) = (finding.first_seen, finding.last_seen);
    let mut said = format!("{} {}", first.date(), first.clock());
    if first != last {
        let day = if first.date() == last.date() { String::new() } else { format!("{} ", last.date()) };
        let _ = write!(said, " to {day}{}", last.clock());
    }
    said.push_str(" UTC");
    let Some(delivered) = finding.lead.delivered.map(|delivered| delivered.0) else { return said };
    let _ = write!(said, "; AWS delivered after {}", span(delivered.0 - finding.lead.time.0.0));
    if let Some(now) = related.now {
        let _ = write!(said, ", sent {} later", span(now.0 - delivered.0));
    }
    said
}

/// `4 min 50 s`
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) if h < 48 => format!("{h} h {m} min"),
        (h, ..) => format!("{} days", h / 24),
    }
}

fn why_line(finding: &Finding, detection: Option<&'static Detection>) -> String {
    let own = finding.lead.why.as_deref().map(clean).filter(|why| !why.is_empty());
    let general = detection.map(|d| d.why.to_owned()).filter(|why| !why.is_empty());
    let mut said: Vec<String> = own.into_iter().chain(general).collect();
    let warned = said.iter().any(|why| why.contains("no comfort"));
    if finding.outcome == Outcome::Denied && finding.severity >= Severity::High && !warned {
        said.push("Refused is no comfort: somebody holds these credentials now.".to_owned());
    }
    said.join(" ")
}

fn check_line(detection: Option<&'static Detection>) -> String {
    let steps = detection.map_or(&[][..], |d| d.runbook).iter().enumerate();
    steps.map(|(index, step)| format!("{} {step}", index + 1)).collect::<Vec<_>>().join("  ")
}

fn also_line(finding: &Finding, related: &Related) -> String {
    let Some(first) = related.also.iter().map(|other| other.first_seen).min() else { return String::new() };
    let others: Vec<String> = related
        .also
        .iter()
        .take(NAMED)
        .map(|other| format!("{} ({}, {})", sentence_alone(other), severity_word(other.severity), other.short_id()))
        .collect();
    format!("open for {} since {}: {}", who(finding), &first.clock()[..5], others.join(", "))
}

/// What was done, without who did it.
fn sentence_alone(finding: &Finding) -> String {
    let deed = &finding.lead.deed;
    if deed.past.is_empty() {
        return in_sentence(title(finding));
    }
    let verb = if finding.outcome == Outcome::Success { &deed.past } else { &deed.verb };
    format!("{verb} {}", clean(&deed.object))
}

fn next_line(finding: &Finding, related: &Related) -> String {
    let command = format!("qtrail findings ack {} --note \"...\"", finding.short_id());
    let link = related.viewer.as_ref().map_or(String::new(), |viewer| {
        format!("     {}/findings/{}", viewer.trim_end_matches('/'), finding.finding_id)
    });
    format!("{command}     then silent unless it gets worse{link}")
}

fn place(finding: &Finding, settings: &Settings) -> String {
    let account = match settings.accounts.get(&finding.account) {
        Some(known) if !known.name.is_empty() => clean(&known.name),
        _ => clean(&finding.account),
    };
    match one_or_count(&finding.facts.regions, "regions") {
        region if region.is_empty() => account,
        region => format!("{account}/{region}"),
    }
}

fn machine_json(entry: &Entry, settings: &Settings) -> Value {
    let mut json = finding_json(&entry.finding, settings);
    json["kind"] = json!("finding");
    json["level"] = json!(entry.due.unwrap_or_else(|| Level::of(&entry.finding)));
    json["thread_id"] = json!(entry.finding.thread_id());
    json["status"] = json!(entry.status);
    json
}

/// Amazon Q Developer in chat applications, "custom notifications", schema version 1.0. One thread for one key.
fn chat(finding: &Finding, settings: &Settings, related: &Related) -> Value {
    let detection = detections::find(&finding.detection_id);
    let mut text = String::new();
    for (head, said) in [
        ("Who", who_line(finding, related)),
        ("Did", did_line(finding)),
        ("Where", where_line(finding, settings)),
        ("When", when_line(finding, related)),
        ("Why", why_line(finding, detection)),
        ("Also", also_line(finding, related)),
    ] {
        if !said.is_empty() {
            let _ = writeln!(text, "*{head}* {}", unmarked(&said));
        }
    }
    let mut steps: Vec<String> = detection.map_or(&[][..], |d| d.runbook).iter().map(|s| (*s).to_owned()).collect();
    steps.push(format!("Run `qtrail findings ack {} --note \"...\"`", finding.short_id()));
    let mut chat = chat_json(&finding.thread_id(), &subject(finding, settings), &text, &steps);
    chat["id"] = json!(finding.finding_id);
    chat["metadata"]["relatedResources"] =
        json!(finding.facts.resources.iter().take(NAMED).map(|name| unmarked(&clean(name))).collect::<Vec<_>>());
    chat["metadata"]["enableCustomActions"] = json!(false);
    chat
}

fn chat_json(thread: &str, title: &str, text: &str, steps: &[String]) -> Value {
    // The service takes 250 characters of title, 8,000 of description, 10 steps.
    let description: String = text.chars().take(7_900).collect();
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": unmarked(title),
            "description": description,
            "nextSteps": steps.iter().take(9).collect::<Vec<_>>(),
        },
        "metadata": {"threadId": thread, "eventType": "finding", "summary": unmarked(title)},
    })
}

fn attributes(finding: &Finding, settings: &Settings) -> Vec<(&'static str, String)> {
    let environment = settings.accounts.get(&finding.account).map(|known| ascii(&known.environment));
    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
    vec![
        ("severity", severity_word(finding.severity).to_owned()),
        ("category", word(json!(finding.category))),
        ("account", ascii(&finding.account)),
        ("environment", environment.filter(|e| !e.is_empty()).unwrap_or_else(|| "unknown".to_owned())),
        ("detection", finding.detection_id.clone()),
        ("kind", "finding".to_owned()),
        ("state", outcome_word(finding.outcome).to_owned()),
    ]
}

/// A severity as every interface spells it.
pub(crate) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "INFORMATIONAL",
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
    }
}

/// The only one, or how many.
fn one_or_count(set: &BTreeSet<String>, what: &str) -> String {
    match (set.len(), set.first()) {
        (1, Some(only)) => clean(only),
        (0, _) => String::new(),
        (n, _) => format!("{n} {what}"),
    }
}

/// Some of them by name.
fn named(set: &BTreeSet<String>) -> String {
    let names: Vec<String> = set.iter().take(NAMED).map(|name| clean(name)).collect();
    let more = set.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    names.join(", ") + &more
}

/// Foreign text made harmless: nothing that moves the cursor, hides, reorders or links, and not too long.
pub fn clean(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c })
        .filter(|c| !is_invisible(*c))
        .take(FOREIGN_CAP + 1)
        .collect();
    let words: Vec<String> = visible.split(' ').filter(|word| !word.is_empty()).map(defanged).collect();
    let mut said = words.join(" ");
    if said.chars().count() > FOREIGN_CAP {
        said = said.chars().take(FOREIGN_CAP - 1).collect();
        said.push('…');
    }
    said
}

/// Marks that change how text runs or are not seen at all.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(u32::from(c), 0xAD | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xE0000..=0xE007F)
}

/// A word that no reader makes into a link.
fn defanged(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let host = lower.split('/').next().unwrap_or_default();
    let link = lower.contains("://") || lower.starts_with("www.") || (lower.contains('/') && looks_like_host(host));
    if !link {
        return word.to_owned();
    }
    word.replace("://", "[:]//").replace('.', "[.]")
}

fn looks_like_host(host: &str) -> bool {
    let end = host.rsplit('.').next().unwrap_or_default();
    host.contains('.') && end.len() >= 2 && end.chars().all(char::is_alphabetic) && !host.contains(':')
}

/// Text that chat does not take for markup or mentions.
fn unmarked(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(['*', '_', '~', '`', '|', '[', ']'], "\u{2009}")
        .replace('@', "@\u{2060}")
}

/// Printable ASCII, no longer than a subject.
fn ascii(text: &str) -> String {
    ascii_of(text).chars().take(SUBJECT_CAP).collect()
}

fn ascii_of(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// ASCII text that is no longer than `room`; what is cut is cut between words, and seen to be.
fn fit(text: &str, room: usize) -> String {
    const CUT: &str = "...";
    if text.len() <= room {
        return text.to_owned();
    }
    let kept = text.get(..room.saturating_sub(CUT.len())).unwrap_or_default();
    let kept = kept.rsplit_once(' ').map_or(kept, |(words, _)| words);
    format!("{}{CUT}", kept.trim_end_matches([',', ':', ' '])).chars().take(room).collect()
}

fn cap(text: &str) -> String {
    match text.char_indices().take_while(|(at, _)| *at < BODY_CAP).last() {
        Some((at, _)) if text.len() > BODY_CAP => format!("{}\n... cut\n", &text[..at]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{caught_with, detection, record};

    fn settings() -> Settings {
        Settings::from_toml(
            "[accounts.111122223333]\nname = 'prod-payments'\nenvironment = 'production'\nowner = 'team-pay'",
        )
        .expect("good settings")
    }

    fn entry(more: Value) -> Entry {
        let record = record("cloudtrail.amazonaws.com", "StopLogging", more);
        let found = caught_with(settings(), detection("cloudtrail-trail-stopped"), &record).expect("caught");
        Entry::new(&Finding::of(&found), &settings(), Time(0))
    }

    fn denied() -> Entry {
        entry(json!({
            "errorCode": "AccessDenied",
            "errorMessage": "User: arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops/alice@example.com is not \
                authorized to perform: cloudtrail:StopLogging on resource: \
                arn:aws:cloudtrail:eu-west-1:111122223333:trail/org-trail with an explicit deny in a service control policy",
            "userIdentity": {
                "type": "AssumedRole", "principalId": "AROAEXAMPLE:alice@example.com",
                "arn": "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops/alice@example.com",
                "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE7Q2M",
                "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "AWSReservedSSO_Ops"}}
            },
        }))
    }

    #[test]
    fn an_alert_says_what_a_person_needs_at_three_in_the_morning() {
        let told = message(&denied(), &settings(), &Related::default());
        assert_eq!(told.subject, "[CRITICAL] prod-payments: alice@example.com tried to stop trail org-trail (denied)");
        for (head, said) in [
            ("WHO", "alice@example.com, role AWSReservedSSO_Ops, key ASIAEXAMPLE7Q2M; MFA unknown (Identity Center"),
            ("DID", "StopLogging: stop trail org-trail. AWS refused (explicit deny in a service control policy)"),
            (
                "WHERE",
                "prod-payments 111122223333 (production, owner team-pay), eu-west-1, from 203.0.113.7, aws-cli/2.17",
            ),
            ("WHEN", "2026-11-20 03:02:11 UTC"),
            ("WHY", "Who stops a trail"),
            ("CHECK", "1 "),
            ("NEXT", "qtrail findings ack "),
        ] {
            let line = told.text.lines().find(|line| line.starts_with(head)).unwrap_or_default();
            assert!(line.contains(said), "{head}: {line}");
        }
    }

    #[test]
    fn the_sentence_of_an_attempt_and_of_a_deed() {
        assert!(
            finding_line(&denied().finding, &settings()).contains("CRITICAL denied  prod-payments/eu-west-1 alice")
        );
        let done = entry(json!({"requestParameters": {"name": "org-trail"}}));
        assert!(
            finding_line(&done.finding, &settings()).contains("alice stopped trail org-trail, from 203.0.113.7  x1")
        );
    }

    #[test]
    fn different_deeds_of_one_finding_are_each_told() {
        let mut finding = denied().finding;
        finding.event_ids = ["a", "b", "c"].map(String::from).into();
        assert!(did_line(&finding).starts_with("StopLogging: stop trail org-trail, 3 times. "));
        finding.facts.deeds.insert("delete trail org-trail".to_owned());
        let said = "StopLogging: stop trail org-trail; delete trail org-trail, 3 calls in all. ";
        assert!(did_line(&finding).starts_with(said), "{}", did_line(&finding));
    }

    #[test]
    fn what_was_refused_is_no_comfort_once() {
        let why = why_line(&denied().finding, detections::find("cloudtrail-trail-stopped"));
        assert_eq!(why.matches("no comfort").count(), 1, "{why}");
        let why = why_line(&denied().finding, detections::find("s3-policy-opened"));
        assert!(why.ends_with("Refused is no comfort: somebody holds these credentials now."), "{why}");
    }

    #[test]
    fn a_threshold_says_what_followed_the_failures() {
        let mut finding = denied().finding;
        finding.lead = crate::finding::Lead { deed: crate::detection::Deed::default(), ..finding.lead };
        "refused-iam-changes".clone_into(&mut finding.detection_id);
        assert_eq!(sentence(&finding), "alice@example.com: several IAM changes refused");
        "sign-in-failures-user".clone_into(&mut finding.detection_id);
        finding.outcome = Outcome::Success;
        assert_eq!(sentence(&finding), "alice@example.com: repeated failed sign-ins of one user, then a success");
        finding.lead.action.clear();
        assert_eq!(records_of(&finding), "1 record: StopLogging");
        assert!(did_line(&finding).ends_with("One that followed succeeded"));
    }

    #[test]
    fn what_an_attacker_writes_can_neither_act_nor_hide() {
        let evil = "trail\u{202e}\u{200b}\r\nSubject: x <!channel> *b* [a](https://evil.example/x) www.evil.example evil.example/y";
        let entry = entry(json!({"requestParameters": {"name": evil}, "userAgent": evil}));
        let told = message(&entry, &settings(), &Related::default());
        let chat = told.chat.to_string();
        for text in [&told.text, &told.subject, &chat] {
            assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}') && !text.contains("https://"), "{text}");
            assert!(!text.contains("www.evil") && !text.contains("evil.example/"), "{text}");
        }
        assert!(!chat.contains("<!channel>") && !chat.contains("*b*"), "{chat}");
        assert_eq!(told.text.lines().filter(|line| line.starts_with("Subject")).count(), 0);
    }

    #[test]
    fn subjects_are_what_sns_takes() {
        for name in ["é".repeat(300), "x".repeat(300), "\n\t".repeat(9), String::new()] {
            let entry = entry(json!({"requestParameters": {"name": name}}));
            let subject = message(&entry, &settings(), &Related::default()).subject;
            assert!(subject.len() < 100 && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject}");
        }
    }

    #[test]
    fn the_largest_finding_fits_into_a_message() {
        let mut entry = denied();
        let long: BTreeSet<String> = (0..32).map(|n| format!("{n}{}", "ü".repeat(510))).collect();
        entry.finding.event_ids = (0..256).map(|n| format!("{n:036}")).collect();
        entry.finding.facts.resources.clone_from(&long);
        entry.finding.facts.deeds.clone_from(&long);
        entry.finding.facts.actors = long;
        let told = message(&entry, &settings(), &Related::default());
        assert!(told.structured().len() < 200 * 1024, "{}", told.structured().len());
        assert!(told.chat.to_string().len() < 256 * 1024);
        let storm = Storm { findings: vec![entry.finding; 1000] }.message(&settings());
        assert!(storm.structured().len() < 200 * 1024, "{}", storm.structured().len());
    }

    #[test]
    fn plain_names_stay_readable() {
        for plain in
            ["alice@example.com", "aws-cli/2.17", "arn:aws:iam::1:role/a.b/c", "203.0.113.7", "10.0.0.0/8", "tcp/22"]
        {
            assert_eq!(clean(plain), plain);
        }
    }
}
