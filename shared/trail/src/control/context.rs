//! What a judgement needs to know that AWS does not say: whose accounts, what matters, how this system itself is doing.
//!
//! Whatever is not known is `None`, and what rests on it is then unknown, never a pass.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::alert::clean;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::time::Time;

/// What a judgement needs to know besides the snapshot.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time of the judgement.
    pub now: Time,
    /// The settings in force: which accounts and which organization are ours, and what people call them.
    pub settings: Settings,
    /// The account that log files are to be delivered to; empty where none is set.
    pub logging_account: String,
    /// The organization's management account, where it is known otherwise than by `DescribeOrganization`.
    pub management_account: String,
    /// The organization's accounts; `None` where nobody could tell.
    pub accounts: Option<Vec<Member>>,
    /// What the role is called that asks.
    pub audit_role: String,
    /// The `StackSet` that grants its permissions.
    pub stack_set: String,
    /// Which buckets' objects are worth recording.
    pub buckets: Matters,
    /// Which functions' invocations are worth recording.
    pub functions: Matters,
    /// What data events cost.
    pub price: Price,
    /// For how many days log files have to be kept.
    pub retention_days: i64,
    /// Principals that may change trails, as ARNs; `*` stands for anything.
    pub trail_administrators: Vec<String>,
    /// Who touched which trail, bucket or key, where that is known: by ARN or name, the last of each call.
    pub touches: BTreeMap<String, Vec<Touch>>,
    /// The snapshot before this one.
    pub earlier: Earlier,
    /// How this system itself is doing.
    pub state: OwnState,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            now: Time::default(),
            settings: Settings::default(),
            logging_account: String::new(),
            management_account: String::new(),
            accounts: None,
            audit_role: "QuickInfraTrailAudit".to_owned(),
            stack_set: "qtrail-member".to_owned(),
            buckets: Matters::All,
            functions: Matters::All,
            price: Price::default(),
            retention_days: 365,
            trail_administrators: Vec::new(),
            touches: BTreeMap::new(),
            earlier: Earlier::Unknown,
            state: OwnState::default(),
        }
    }
}

impl Context {
    /// What the settings say; all else is not known yet.
    pub fn new(settings: &Settings, now: Time) -> Self {
        let audit = &settings.audit;
        let or_own = |account: &String| if account.is_empty() { settings.own.account.clone() } else { account.clone() };
        let matters = |names: &Option<Vec<String>>| names.clone().map_or(Matters::All, Matters::These);
        Self {
            now,
            logging_account: or_own(&audit.logging_account),
            buckets: matters(&audit.buckets),
            functions: matters(&audit.functions),
            price: Price { cents: Some(audit.data_event_cents), monthly: BTreeMap::new() },
            retention_days: audit.retention_days,
            trail_administrators: audit.trail_administrators.clone(),
            settings: settings.clone(),
            ..Self::default()
        }
    }
}

/// An account of the organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Whether it is in use, rather than suspended or closed.
    pub active: bool,
    /// Whether a trail records it, by the last verdict; `None` where there is none yet.
    pub recorded: Option<bool>,
}

/// What data events matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Matters {
    /// All.
    #[default]
    All,
    /// Those with these names; `*` stands for anything.
    These(Vec<String>),
}

/// What data events cost. The default is the list price of most regions (CloudTrail pricing, data events).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    /// US cents for 100,000 data events; 10 if it is not set.
    pub cents: Option<u64>,
    /// How many calls a month there are, by type of resource (`AWS::S3::Object`), where that is known.
    pub monthly: BTreeMap<String, u64>,
}

/// Who last changed something, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// When.
    pub time: Time,
    /// By which call: `PutEventSelectors`.
    pub call: String,
    /// Who. Foreign text.
    pub actor: String,
}

/// The snapshot before this one.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Earlier {
    /// It could not be read.
    #[default]
    Unknown,
    /// This one is the first.
    First,
    /// Here it is.
    Snapshot(Box<Snapshot>),
}

/// How this system itself is doing, for the account that is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnState {
    /// When the last digest of this account was verified without a problem.
    pub digests_verified: Option<Time>,
    /// What is wrong with its digest chains; `None` where nobody has looked.
    pub digest_problems: Option<Vec<String>>,
    /// When the last canary was alerted about in time.
    pub canary: Option<Time>,
    /// Whether the alert topic has a confirmed subscriber.
    pub subscriber: Option<bool>,
    /// The detections in force, by id.
    pub detections: Option<BTreeSet<String>>,
    /// Regions of this account that are quieter than they use to be; `None` where there is no baseline yet.
    pub silence: Option<Vec<Silence>>,
    /// What the log bucket has to notify: queue, topic or function ARNs, any of them; empty for EventBridge.
    pub notified: Option<Vec<String>>,
    /// Messages that could not be worked off.
    pub dead_letters: Option<u64>,
    /// When a log file was last read in.
    pub last_ingest: Option<Time>,
    /// Log files that no digest names though it should have, and objects changed since they were read.
    pub foreign_objects: Option<u64>,
}

/// A region that has fallen silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silence {
    /// The region.
    pub region: String,
    /// When the last record came from there.
    pub since: Time,
    /// The longest pause in its baseline, in hours.
    pub usual_hours: i64,
}

impl Context {
    /// Whether another account is audited for itself, so that its trails, buckets and keys are judged there.
    pub(crate) fn audits(&self, account: &str) -> bool {
        self.accounts.iter().flatten().any(|member| member.id == account && member.active)
    }

    /// ` since 18 Nov, PutEventSelectors by alice`: who last touched something by one of these calls, or by any where
    /// none is given; nothing where nobody knows. Only a call that can have done it is named.
    pub(crate) fn touched(&self, names: &[&str], calls: &[&str]) -> String {
        let known = names.iter().filter_map(|name| self.touches.get(*name)).flatten();
        let known = known.filter(|touch| calls.is_empty() || calls.iter().any(|call| touch.call.starts_with(call)));
        known.max_by_key(|touch| touch.time).map_or(String::new(), |touch| {
            format!(" since {}, {} by {}", day(touch.time), clean(&touch.call), clean(&touch.actor))
        })
    }
}

/// `18 Nov`.
fn day(time: Time) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = time.date();
    let month = date.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let day = date.get(8..10).unwrap_or_default().trim_start_matches('0');
    format!("{day} {}", MONTHS.get(month.saturating_sub(1)).unwrap_or(&""))
}

impl Matters {
    /// Whether a thing of this name matters.
    pub(crate) fn hold(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(patterns) => patterns.iter().any(|pattern| crate::policy::covers(pattern, name)),
        }
    }
}

impl Price {
    /// `recording costs about 12.50 USD a month (12,500,000 calls at 0.10 USD per 100,000)`.
    pub(crate) fn said(&self, resource_type: &str) -> String {
        let cents = self.cents.unwrap_or(10);
        let rate = format!("{}.{:02} USD per 100,000", cents / 100, cents % 100);
        match self.monthly.get(resource_type) {
            Some(calls) => {
                let total = u128::from(*calls) * u128::from(cents) / 100_000;
                format!(
                    "recording costs about {}.{:02} USD a month ({calls} calls at {rate})",
                    total / 100,
                    total % 100
                )
            }
            None => format!("recording costs {rate} calls"),
        }
    }
}

/// The verdicts of the last run, by control and resource: where a caller wants to compare.
pub(crate) fn by_resource(verdicts: &[Verdict]) -> BTreeMap<(&str, &str, &str), &Verdict> {
    verdicts.iter().map(|v| ((v.control_id.as_str(), v.account.as_str(), v.resource.as_str()), v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_said_with_how_it_was_computed() {
        let mut price = Price::default();
        assert_eq!(price.said("AWS::S3::Object"), "recording costs 0.10 USD per 100,000 calls");
        price.monthly.insert("AWS::S3::Object".to_owned(), 12_500_000);
        let expected = "recording costs about 12.50 USD a month (12500000 calls at 0.10 USD per 100,000)";
        assert_eq!(price.said("AWS::S3::Object"), expected);
    }

    #[test]
    fn the_settings_say_how_to_judge() {
        let text = "[own]\naccount = \"999988887777\"\n[audit]\nbuckets = [\"orders*\"]\nretention_days = 400\n";
        let settings = Settings::from_toml(text).expect("settings");
        let context = Context::new(&settings, Time(7));
        assert_eq!((context.logging_account.as_str(), context.retention_days), ("999988887777", 400));
        assert!(context.buckets.hold("orders-2026") && !context.buckets.hold("images") && context.functions.hold("x"));
        for wrong in ["[audit]\nlogging_account = \"1\"", "[audit]\nretention_days = 0", "[audit]\nbucket = []"] {
            assert!(Settings::from_toml(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_touched_it_is_said_where_it_is_known() {
        let time = Time::parse("2026-11-18T09:00:00Z").expect("a time");
        let touch = Touch { time, call: "PutEventSelectors".to_owned(), actor: "alice@example.com".to_owned() };
        let context = Context { touches: BTreeMap::from([("arn:t".to_owned(), vec![touch])]), ..Context::default() };
        let said = " since 18 Nov, PutEventSelectors by alice@example.com";
        assert_eq!(context.touched(&["t", "arn:t"], &[]), said);
        assert_eq!(context.touched(&["t", "arn:t"], &["UpdateTrail", "PutEventSelectors"]), said);
        assert_eq!(context.touched(&["arn:t"], &["StopLogging"]), "", "that call did not do it");
        assert_eq!(context.touched(&["other"], &[]), "");
    }
}
