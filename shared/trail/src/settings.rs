//! What the owner of a deployment says about it: `config.toml`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use crate::detection::{Category, Detection, Severity};
use crate::finding::Match;
use crate::time::Time;
use crate::window::{BUCKET_CAP, DISTINCT_CAP, Step};

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether alerts go out, or only a daily list of what would have.
    pub alerts: Alerts,
    /// The least severity that alerts at once.
    pub minimum_alert_severity: Severity,
    /// The accounts that are ours, by id.
    pub accounts: BTreeMap<String, Account>,
    /// What belongs to the trail and to this system.
    pub own: Own,
    /// Networks of our own, by name.
    pub networks: BTreeMap<String, Network>,
    /// What is expected and may be lowered.
    pub expected: Vec<Expected>,
    /// When repeated failures become a finding.
    pub thresholds: Thresholds,
    /// How trail settings are judged.
    pub audit: Audit,
    /// How access is reviewed.
    pub review: Review,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alerts: Alerts::Send,
            minimum_alert_severity: Severity::High,
            accounts: BTreeMap::new(),
            own: Own::default(),
            networks: BTreeMap::new(),
            expected: Vec::new(),
            thresholds: Thresholds::default(),
            audit: Audit::default(),
            review: Review::default(),
        }
    }
}

/// How access is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Review {
    /// The accounts that are reviewed, by id or environment. Left out: all of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<String>>,
    /// Accounts that are not, and why.
    pub excluded: BTreeMap<String, String>,
    /// The region of Identity Center; empty for this stack's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity_center_region: String,
    /// The month that the fiscal year begins with: 1 for calendar quarters.
    pub first_month: i64,
    /// Within how many days all has to be decided.
    pub due_days: i64,
    /// Within how many business days what was revoked has to be gone.
    pub revocation_days: i64,
    /// The same for leavers and administrators.
    pub urgent_days: i64,
    /// After how many days without use access counts as unused.
    pub unused_days: i64,
    /// Pipelines that give access on behalf of somebody: ARNs; `*` stands for anything.
    pub pipelines: Vec<String>,
    /// Who may sign a review off: ARNs, or the subjects of tokens; `*` stands for anything.
    pub approvers: Vec<String>,
}

impl Default for Review {
    fn default() -> Self {
        Self {
            accounts: None,
            excluded: BTreeMap::new(),
            identity_center_region: String::new(),
            first_month: 1,
            due_days: 30,
            revocation_days: 5,
            urgent_days: 1,
            unused_days: 90,
            pipelines: Vec::new(),
            approvers: Vec::new(),
        }
    }
}

impl Review {
    fn check(&self) -> Result<(), SettingsError> {
        let whole = |name: &str, value: i64, most: i64| match value {
            1.. if value <= most => Ok(()),
            _ => Err(wrong(format!("review.{name}"), format!("it is from 1 to {most}"))),
        };
        let region = &self.identity_center_region;
        if !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(wrong(
                "review.identity_center_region".to_owned(),
                format!("`{region}` is no region, as eu-west-1 is"),
            ));
        }
        whole("first_month", self.first_month, 12)?;
        whole("due_days", self.due_days, 365)?;
        whole("revocation_days", self.revocation_days, 365)?;
        whole("urgent_days", self.urgent_days, 365)?;
        whole("unused_days", self.unused_days, 3_650)
    }
}

/// How trail settings are judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The account that log files are to be delivered to; empty for this stack's own.
    pub logging_account: String,
    /// The buckets whose objects are worth recording; `*` stands for anything. Left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Vec<String>>,
    /// The functions whose invocations are worth recording. Left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<String>>,
    /// For how many days log files have to be kept.
    pub retention_days: i64,
    /// Who may change trails: ARNs of users and roles; `*` stands for anything.
    pub trail_administrators: Vec<String>,
    /// What 100,000 data events cost, in US cents.
    pub data_event_cents: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            logging_account: String::new(),
            buckets: None,
            functions: None,
            retention_days: 365,
            trail_administrators: Vec::new(),
            data_event_cents: 10,
        }
    }
}

impl Audit {
    fn check(&self) -> Result<(), SettingsError> {
        let account = &self.logging_account;
        if !account.is_empty() && (account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit())) {
            return Err(wrong("audit.logging_account".to_owned(), "an account id has twelve digits"));
        }
        if !(1..=36_500).contains(&self.retention_days) {
            return Err(wrong("audit.retention_days".to_owned(), "it is from 1 to 36500"));
        }
        Ok(())
    }
}

/// What happens to alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alerts {
    /// They are sent.
    #[default]
    Send,
    /// The daily summary says what would have been sent.
    Observe,
}

/// A network of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its addresses.
    pub cidrs: Vec<IpNet>,
    /// Why it is ours.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// When it ceases to be.
    #[serde(deserialize_with = "day_or_time")]
    pub expires: Time,
}

/// Something that is expected. All that is said has to hold; a match is then lowered, and still stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// A detection's id.
    #[serde(default)]
    pub detection: String,
    /// A category.
    #[serde(default)]
    pub category: Option<Category>,
    /// An actor's name, role or ARN; `*` stands for anything.
    #[serde(default)]
    pub actor: String,
    /// The name of a network of ours, or a CIDR.
    #[serde(default)]
    pub source: String,
    /// A resource: a bucket, a security group, an ARN; `*` stands for anything.
    #[serde(default)]
    pub resource: String,
    /// An account.
    #[serde(default)]
    pub account: String,
    /// Ports: all that was opened has to be among them.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// What it is lowered to.
    #[serde(default = "informational")]
    pub severity: Severity,
    /// Why it is expected.
    pub reason: String,
    /// Who says so.
    pub owner: String,
    /// Until when. CRITICAL is lowered in the last 24 hours before this alone.
    #[serde(deserialize_with = "day_or_time")]
    pub expires: Time,
}

fn informational() -> Severity {
    Severity::Informational
}

/// `2027-01-31` is the end of that day, UTC; or RFC 3339.
fn day_or_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let day = || Time::parse(&format!("{text}T23:59:59Z"));
    Time::parse(&text).or_else(day).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is neither a day like 2027-01-31 nor an RFC 3339 time"))
    })
}

/// Why settings are not taken up. The last good ones stay in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not TOML, or not of the shape of settings.
    #[error("{0}")]
    Toml(String),
    /// A value that cannot be right.
    #[error("{place}: {problem}")]
    Value {
        /// Where.
        place: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// An account of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// What people call it.
    pub name: String,
    /// `production`, `staging` …
    pub environment: String,
    /// Who answers for it.
    pub owner: String,
}

/// What belongs to the trail and to this system, and is not to be touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// The organization, `o-…`: accounts in it are ours though not listed.
    pub organization: String,
    /// Buckets that hold log files, and this stack's data bucket.
    pub log_buckets: Vec<String>,
    /// Keys that encrypt them: ARN, id or alias.
    pub keys: Vec<String>,
    /// The account that this stack lives in.
    pub account: String,
    /// The stack's name: its resources' names begin with it.
    pub stack: String,
    /// The roles that deploy this stack, as ARNs.
    pub deploy_roles: Vec<String>,
    /// The region that this stack lives in.
    pub region: String,
    /// This stack's data bucket.
    pub data_bucket: String,
}

/// When repeated failures become a finding. The defaults are for people, not for load tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Failed sign-ins of one user of one account.
    pub user_failures: Limit,
    /// Failed sign-ins from one address.
    pub address_failures: Limit,
    /// Different users that failed from one address.
    pub address_users: Limit,
    /// Different accounts in which sign-ins failed from one address.
    pub address_accounts: Limit,
    /// Failed root sign-ins of one account, over all addresses.
    pub root_failures: Limit,
    /// Different accounts in which root sign-ins failed from one address.
    pub root_accounts: Limit,
    /// Right passwords with wrong second factors, for one user.
    pub mfa_failures: Limit,
    /// Refused calls of one actor.
    pub refused_calls: Limit,
    /// Refused IAM changes of one actor.
    pub refused_iam_changes: Limit,
    /// Attempts of one actor or address to assume roles, refused or failed: of different roles.
    pub role_failures: Limit,
    /// Failed sign-ins by SAML or web identity from one address, to whichever role.
    pub federated_failures: Limit,
    /// Refused attempts of one actor to get at secrets, passwords or sessions on machines: at different ones.
    pub refused_credentials: Limit,
    /// Principals that were tried in trust policies and do not exist.
    pub probed_principals: Limit,
    /// So many failures and then a success are worth a note, where they are too few for more.
    pub few_failures: usize,
    /// How soon a success has to follow the failures, in minutes.
    pub success_within_minutes: i64,
}

/// So many, of so many different kinds, within so many minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many.
    pub count: usize,
    /// How many different ones among them.
    #[serde(default = "one")]
    pub distinct: usize,
    /// Within how many minutes: a multiple of 5.
    pub minutes: i64,
}

fn one() -> usize {
    1
}

impl Limit {
    /// As a step of a threshold.
    pub fn step(self, severity: Severity) -> Step {
        Step { count: self.count, distinct: self.distinct, seconds: self.minutes * 60, severity }
    }

    /// So many times as many, of so many times as many different ones.
    #[must_use]
    pub fn times(self, factor: usize) -> Self {
        let count = self.count.saturating_mul(factor).min(BUCKET_CAP);
        let distinct = if self.distinct > 1 { self.distinct.saturating_mul(factor).min(DISTINCT_CAP) } else { 1 };
        Self { count, distinct, ..self }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        let limit = |count, distinct, minutes| Limit { count, distinct, minutes };
        Self {
            user_failures: limit(5, 1, 15),
            address_failures: limit(10, 1, 15),
            address_users: limit(5, 5, 60),
            address_accounts: limit(5, 2, 60),
            root_failures: limit(5, 1, 15),
            root_accounts: limit(2, 2, 24 * 60),
            mfa_failures: limit(2, 1, 15),
            refused_calls: limit(20, 5, 10),
            refused_iam_changes: limit(3, 3, 10),
            role_failures: limit(10, 5, 10),
            federated_failures: limit(10, 1, 15),
            refused_credentials: limit(5, 3, 10),
            probed_principals: limit(10, 5, 15),
            few_failures: 3,
            success_within_minutes: 60,
        }
    }
}

/// How long a CRITICAL match may be expected, in seconds.
const CRITICAL_LOWERED_SECONDS: i64 = 24 * 3600;

impl Settings {
    /// Reads `config.toml`. An unknown key or id is an error that suggests what was meant.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| SettingsError::Toml(explain(&error, text)))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        for id in self.accounts.keys() {
            if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()) {
                return Err(wrong(format!("accounts.{id}"), "an account id has twelve digits"));
            }
        }
        for (index, expected) in self.expected.iter().enumerate() {
            self.check_expected(expected)
                .map_err(|problem| wrong(format!("expected, entry {}", index + 1), problem))?;
        }
        self.audit.check()?;
        self.review.check()?;
        self.thresholds.check()
    }

    fn check_expected(&self, expected: &Expected) -> Result<(), String> {
        let Expected { detection, source, .. } = expected;
        if !detection.is_empty() {
            let all = crate::detections::all().into_iter().chain(crate::controls::detections());
            let ids: Vec<&str> = all.map(|known| known.id).collect();
            if !ids.contains(&detection.as_str()) {
                return Err(format!("there is no detection `{detection}`{}", suggestion(detection, &ids)));
            }
        }
        if !source.is_empty() && source.parse::<IpNet>().is_err() && !self.networks.contains_key(source) {
            let names: Vec<&str> = self.networks.keys().map(String::as_str).collect();
            return Err(format!("`{source}` is neither a CIDR nor one of [networks]{}", suggestion(source, &names)));
        }
        if expected.says_nothing() {
            return Err("it names neither detection, category, actor, source, resource, account nor ports, \
                        and would expect everything"
                .to_owned());
        }
        Ok(())
    }

    /// Whether an account is known to be ours: listed, or this stack's own.
    pub fn is_ours(&self, account: &str) -> bool {
        self.accounts.contains_key(account) || (!account.is_empty() && self.own.account == account)
    }

    /// `prod-payments 111122223333`: an account as people know it.
    pub fn account_name(&self, account: &str) -> String {
        match self.accounts.get(account) {
            Some(known) if !known.name.is_empty() => format!("{} {account}", known.name),
            _ => account.to_owned(),
        }
    }

    /// The name of the network of ours that an address is in, at a time.
    pub fn network_of(&self, address: &str, time: Time) -> Option<&str> {
        let address: std::net::IpAddr = address.parse().ok()?;
        let holds = |network: &&Network| time <= network.expires && network.cidrs.iter().any(|c| c.contains(&address));
        let found = self.networks.iter().find(|(_, network)| holds(network));
        found.map(|(name, _)| name.as_str())
    }

    /// Lowers a match that is expected.
    pub(crate) fn lower(&self, found: &mut Match) {
        if let Some(expected) = self.expected.iter().find(|expected| self.expects(expected, found)) {
            found.lead.severity = expected.severity;
            found.lowered_by = Some(format!("{} ({}, until {})", expected.reason, expected.owner, expected.expires));
        }
    }

    fn expects(&self, expected: &Expected, found: &Match) -> bool {
        let lead = &found.lead;
        let time = lead.time.0;
        let fits = |pattern: &str, texts: &[&str]| pattern.is_empty() || texts.iter().any(|text| glob(pattern, text));
        let resources: Vec<&str> = found.resources.iter().map(String::as_str).collect();
        found.detection.lowerable
            && lead.severity > expected.severity
            && time <= expected.expires
            && (lead.severity != Severity::Critical || time.0 >= expected.expires.0 - CRITICAL_LOWERED_SECONDS)
            && expected.concerns(found.detection)
            && fits(&expected.actor, &[&lead.actor.name, &lead.actor.role, &lead.actor.arn])
            && fits(&expected.resource, &resources)
            && fits(&expected.account, &[&found.record_account])
            && self.comes_from(&expected.source, &lead.source_ip, time)
            && (expected.ports.is_empty() || found.opens_only(&expected.ports))
    }

    fn comes_from(&self, source: &str, address: &str, time: Time) -> bool {
        if source.is_empty() {
            return true;
        }
        match (source.parse::<IpNet>(), address.parse::<std::net::IpAddr>()) {
            (Ok(cidr), Ok(address)) => cidr.contains(&address),
            _ => self.network_of(address, time) == Some(source),
        }
    }
}

impl Expected {
    fn says_nothing(&self) -> bool {
        let texts = [&self.detection, &self.actor, &self.source, &self.resource, &self.account];
        texts.iter().all(|text| text.is_empty()) && self.category.is_none() && self.ports.is_empty()
    }

    fn concerns(&self, detection: &Detection) -> bool {
        (self.detection.is_empty() || self.detection == detection.id)
            && self.category.is_none_or(|category| category == detection.category)
    }
}

impl Thresholds {
    fn check(&self) -> Result<(), SettingsError> {
        for ((name, limit), (_, usual)) in self.limits().into_iter().zip(Self::default().limits()) {
            limit.check(usual).map_err(|problem| wrong(format!("thresholds.{name}"), problem))?;
        }
        if !(1..=24 * 60).contains(&self.success_within_minutes) {
            return Err(wrong("thresholds.success_within_minutes".to_owned(), "it is from 1 to 1440"));
        }
        Ok(())
    }

    fn limits(&self) -> [(&'static str, Limit); 13] {
        [
            ("user_failures", self.user_failures),
            ("address_failures", self.address_failures),
            ("address_users", self.address_users),
            ("address_accounts", self.address_accounts),
            ("root_failures", self.root_failures),
            ("root_accounts", self.root_accounts),
            ("mfa_failures", self.mfa_failures),
            ("refused_calls", self.refused_calls),
            ("refused_iam_changes", self.refused_iam_changes),
            ("role_failures", self.role_failures),
            ("federated_failures", self.federated_failures),
            ("refused_credentials", self.refused_credentials),
            ("probed_principals", self.probed_principals),
        ]
    }
}

impl Limit {
    /// What a bucket cannot hold cannot be counted.
    fn check(self, usual: Self) -> Result<(), String> {
        if self.minutes < 5 || self.minutes % 5 != 0 || self.minutes > 24 * 60 {
            return Err("minutes is a multiple of 5, from 5 to 1440".to_owned());
        }
        if self.count == 0 || self.distinct > self.count {
            return Err("count is at least 1 and at least distinct".to_owned());
        }
        if self.count > BUCKET_CAP || self.distinct > DISTINCT_CAP {
            return Err(format!("count is at most {BUCKET_CAP}, distinct at most {DISTINCT_CAP}"));
        }
        // Left out, `distinct` is 1, which would make a spray out of anything.
        if usual.distinct > 1 && self.distinct <= 1 {
            return Err(format!("distinct is at least 2 here, usually {}", usual.distinct));
        }
        Ok(())
    }
}

fn wrong(place: String, problem: impl Into<String>) -> SettingsError {
    SettingsError::Value { place, problem: problem.into() }
}

/// TOML's own message in one line, with where it is, and with what was meant where a key is unknown.
fn explain(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map_or(String::new(), |before| format!("line {}: ", before.matches('\n').count() + 1));
    let message = error.message().trim_end().replace('\n', ", ");
    let names: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
    match names.as_slice() {
        [unknown, known @ ..] if message.starts_with("unknown") => {
            format!("{place}{message}{}", suggestion(unknown, known))
        }
        _ => format!("{place}{message}"),
    }
}

/// `; did you mean …?`, where something known is close.
fn suggestion(unknown: &str, known: &[&str]) -> String {
    let close = known.iter().map(|name| (strsim::jaro_winkler(unknown, name), name));
    close
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(String::new(), |(_, name)| format!("; did you mean `{name}`?"))
}

/// Whether `*` in a pattern can stand for what makes it the text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ACCOUNT, record};
    use crate::{detection::Engine, log_file::Origin, record::Record};
    use serde_json::json;

    const EXAMPLE: &str = r#"
        minimum_alert_severity = "CRITICAL"
        [accounts.111122223333]
        name = "prod-payments"
        environment = "production"
        owner = "team-pay"
        [networks.office]
        cidrs = ["203.0.113.0/24"]
        reason = "head office"
        owner = "it"
        expires = "2027-01-31"
        [[expected]]
        category = "trail_tampering"
        source = "office"
        reason = "drill"
        owner = "sec"
        expires = "2026-11-20"
        [thresholds]
        user_failures = { count = 8, minutes = 30 }
    "#;

    #[test]
    fn a_whole_file_is_read() {
        let settings = Settings::from_toml(EXAMPLE).expect("good settings");
        assert_eq!(settings.account_name(ACCOUNT), "prod-payments 111122223333");
        assert_eq!(settings.thresholds.user_failures.count, 8);
        assert_eq!(settings.thresholds.mfa_failures, Thresholds::default().mfa_failures);
        let time = Time::parse("2026-11-20T03:00:00Z").expect("a time");
        assert_eq!(settings.network_of("203.0.113.7", time), Some("office"));
        assert_eq!(settings.network_of("AWS Internal", time), None);
        assert_eq!(Settings::from_toml("").expect("empty is fine"), Settings::default());
    }

    #[test]
    fn what_is_unknown_is_an_error_with_a_suggestion() {
        for (text, hint) in [
            ("minimum_alert_severty = 'HIGH'", "did you mean `minimum_alert_severity`?"),
            ("[acounts.111122223333]", "did you mean `accounts`?"),
            ("[accounts.1234]", "twelve digits"),
            ("[review]\nidentity_center_region = 'evil.example.com/'", "as eu-west-1 is"),
            ("[review]\nfirst_month = 13", "from 1 to 12"),
            ("[thresholds]\nuser_failures = {count = 5, minutes = 7}", "multiple of 5"),
            ("[thresholds]\nroot_accounts = {count = 2, distinct = 3, minutes = 5}", "at least distinct"),
            ("[thresholds]\nrefused_calls = {count = 900, minutes = 10}", "at most 512"),
            ("[thresholds]\naddress_users = {count = 9, minutes = 60}", "distinct is at least 2 here, usually 5"),
            ("[thresholds]\nsuccess_within_minutes = 0", "from 1 to 1440"),
            (
                "[[expected]]\ndetection='cloudtrail-trail-stoped'\nreason='r'\nowner='o'\nexpires='2027-01-01'",
                "did you mean `cloudtrail-trail-stopped`?",
            ),
            ("[[expected]]\nsource='ofice'\nreason='r'\nowner='o'\nexpires='2027-01-01'", "neither a CIDR"),
            ("[[expected]]\nreason='r'\nowner='o'\nexpires='2027-01-01'", "would expect everything"),
            ("[[expected]]\nactor='a'\nreason='r'\nowner='o'\nexpires='soon'", "neither a day"),
            ("[[expected]]\nactor='a'\nowner='o'\nexpires='2027-01-01'", "missing field `reason`"),
        ] {
            let error = Settings::from_toml(text).expect_err(text).to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    static NOISY: Detection = Detection {
        id: "noisy",
        severity: Severity::Critical,
        wants: &[crate::detection::Want::Named(&["Noise"])],
        check: |_| Some(crate::detection::Catch::new(crate::detection::Deed::default()).resource("bucket-7")),
        ..Detection::BASE
    };
    static TAMPERING: Detection = Detection { id: "tampering", lowerable: false, ..NOISY };

    fn severity(detection: &'static Detection, expected: &str) -> Severity {
        let mut settings = Settings::from_toml(EXAMPLE).expect("good settings");
        settings.expected = vec![toml::from_str(expected).expect("an entry")];
        let engine = Engine::with(settings, vec![detection]);
        let text = record("x.amazonaws.com", "Noise", json!({})).to_string();
        let mut found = None;
        let record = Record::parse(&text).expect("a record");
        engine.evaluate(&record, &Origin::default(), &mut |m| found = Some(m)).expect("readable");
        found.expect("caught").lead.severity
    }

    #[test]
    fn an_expected_match_is_lowered_while_the_entry_lasts() {
        let entry = |what: &str, expires: &str| format!("{what}\nreason='r'\nowner='o'\nexpires='{expires}'");
        let low = Severity::Informational;
        for (what, expected) in [
            ("actor='ali*'", low),
            ("actor='bob'", Severity::Critical),
            ("source='office'", low),
            ("source='198.51.100.0/24'", Severity::Critical),
            ("resource='bucket-*'", low),
            ("resource='bucket'", Severity::Critical),
            ("account='111122223333'\nactor='alice'", low),
            ("account='222222222222'\nactor='alice'", Severity::Critical),
            ("ports=[443]", Severity::Critical),
        ] {
            assert_eq!(severity(&NOISY, &entry(what, "2026-11-20T12:00:00Z")), expected, "{what}");
        }
        // Over already, and for longer than a CRITICAL match may be expected.
        assert_eq!(severity(&NOISY, &entry("actor='alice'", "2026-11-20T03:00:00Z")), Severity::Critical);
        assert_eq!(severity(&NOISY, &entry("actor='alice'", "2026-11-30")), Severity::Critical);
        assert_eq!(severity(&TAMPERING, &entry("actor='alice'", "2026-11-20T12:00:00Z")), Severity::Critical);
    }

    #[test]
    fn stars_stand_for_anything() {
        assert!(glob("a*c*", "abbcd") && glob("*", "") && glob("abc", "abc") && glob("*role/x", "arn:role/x"));
        assert!(!glob("a*c", "abd") && !glob("abc", "abcd") && !glob("a*bc*d", "abd"));
    }
}
