//! Whether calls are recorded at all: in every region, all of them, and delivered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::alert::clean;
use crate::control::{Control, Look, Recording, References, Trail, Verdict, json_argument, said_list, shell, time_of};
use crate::detection::Severity;
use crate::selectors::{Class, Gap, Recorded, Union};
use crate::shape::{boolean, field, list, text};
use crate::snapshot::GLOBAL;

pub(super) const ALL: &[&Control] = &[&MULTI_REGION, &MANAGEMENT, &DELIVERY, &HEARD];

/// One trail records everything everywhere.
static MULTI_REGION: Control = Control {
    id: "trail-multi-region",
    title: "One trail records all management calls in every region",
    severity: Severity::High,
    references: References {
        cis: ["3.1", "3.1", "4.1"],
        others: &[
            ("Security Hub", "CloudTrail.1"),
            ("Security Hub", "CloudTrail.3"),
            ("SOC 2", "CC2.1"),
            ("SOC 2", "CC7.2"),
            ("SOC 2", "A1.2"),
            ("SOC 2", "PI1.3"),
            ("PCI DSS 3.2.1", "10.1"),
            ("PCI DSS 4.0", "10.2.1"),
            ("NIST 800-53 r5", "AU-2"),
            ("NIST 800-53 r5", "AU-12"),
            ("ISO 27001:2022", "A.8.15"),
        ],
    },
    calls: &[
        "account:ListRegions",
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
    ],
    judge: multi_region,
    why: "What no trail records never happened, as far as anybody can prove. Whoever has stolen credentials tries the \
          regions first that nobody looks into.",
    runbook: &[
        "Look at the trail: aws cloudtrail get-trail-status --name NAME, in each region",
        "Was it stopped on purpose? qtrail who TRAIL",
        "Start it, or create one over all regions",
    ],
};

/// All management calls are recorded.
static MANAGEMENT: Control = Control {
    id: "management-events-complete",
    title: "All management calls are recorded: reads, changes, KMS and the RDS Data API",
    severity: Severity::High,
    references: References {
        cis: ["3.1", "3.1", "4.1"],
        others: &[
            ("Security Hub", "CloudTrail.1"),
            ("SOC 2", "CC7.2"),
            ("PCI DSS 4.0", "10.2.1"),
            ("NIST 800-53 r5", "AU-2"),
            ("NIST 800-53 r5", "AU-3"),
            ("NIST 800-53 r5", "AU-12"),
            ("ISO 27001:2022", "A.8.15"),
        ],
    },
    calls: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"],
    judge: management,
    why: "A trail that leaves calls out is a trail that somebody can hide behind: decryption with KMS, reading, or a \
          single actor.",
    runbook: &[
        "See who narrowed the selectors: qtrail who TRAIL",
        "Restore them with the command given; it keeps the data selectors",
    ],
};

/// Log files arrive.
static DELIVERY: Control = Control {
    id: "trail-delivery-healthy",
    title: "Trails deliver their log files in every region",
    severity: Severity::Critical,
    references: References { others: &[("SOC 2", "CC7.2"), ("NIST 800-53 r5", "AU-5")], ..References::NONE },
    calls: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"],
    judge: |look| look.of_each_trail(delivery),
    why: "A trail that is on and cannot deliver looks healthy in most lists, and records nothing.",
    runbook: &[
        "AccessDenied: compare the bucket policy with what CloudTrail needs",
        "NoSuchBucket: the bucket is gone; create it anew or point the trail elsewhere",
        "KMS errors: look whether the key is enabled and its policy lets CloudTrail use it",
    ],
};

/// Records come from wherever they used to come.
static HEARD: Control = Control {
    id: "account-heard",
    title: "Records come from every region as they use to",
    severity: Severity::High,
    references: References { others: &[("SOC 2", "CC7.2"), ("NIST 800-53 r5", "AU-6")], ..References::NONE },
    judge: heard,
    why: "Silence against the habit of an account is the one sign that stopped recording cannot hide.",
    runbook: &["Look at the trail's status in that region", "Look the same hours up in CloudTrail's event history"],
    ..Control::BASE
};

/// How one trail stands that is meant to record all regions.
#[derive(Debug, Default)]
struct Candidate {
    dark: Vec<String>,
    missing: Vec<String>,
    blind: bool,
    recorded: Option<Recorded>,
}

fn multi_region(look: &Look<'_>) -> Vec<Verdict> {
    let _ = look.ask("account:ListRegions", GLOBAL, &[]);
    let trails = look.trails();
    let everywhere: Vec<&Trail<'_>> = trails.iter().filter(|trail| trail.multi_region).collect();
    let candidates: Vec<(&Trail<'_>, Candidate)> =
        everywhere.iter().map(|trail| (*trail, candidate(look, trail))).collect();
    if let Some((trail, _)) = candidates.iter().find(|(trail, candidate)| candidate.is_whole(trail)) {
        let regions = look.view.regions().len();
        let reason = format!("{} records all management calls in {regions} regions", clean(trail.name));
        return vec![look.pass(trail.arn, reason)];
    }
    // Whether a trail that is known to leave something out records anything at all is another question.
    let open = candidates.iter().any(|(trail, candidate)| candidate.may_be_whole(trail) || candidate.blind);
    if open || (everywhere.is_empty() && !look.dark_regions().is_empty()) || look.view.regions().is_empty() {
        return vec![look.blinded(look.account())];
    }
    vec![without_a_whole_trail(look, &candidates)]
}

fn candidate(look: &Look<'_>, trail: &Trail<'_>) -> Candidate {
    let mut candidate = Candidate::default();
    for region in look.view.regions() {
        match look.recording(trail, region) {
            Recording::Yes => {}
            Recording::No(why) => {
                candidate.dark.push((*region).to_owned());
                candidate.missing.push(why);
            }
            Recording::Blind => candidate.blind = true,
        }
    }
    candidate.recorded = look.selectors(trail).map(|selectors| {
        let mut union = Union::default();
        union.add(&selectors);
        union.management()
    });
    candidate
}

impl Candidate {
    fn is_whole(&self, trail: &Trail<'_>) -> bool {
        let recorded = self.recorded == Some(Recorded::Everything);
        self.dark.is_empty() && !self.blind && recorded && trail.global_events == Some(true)
    }

    /// Whether what could not be seen may yet make it whole.
    fn may_be_whole(&self, trail: &Trail<'_>) -> bool {
        let recorded = matches!(self.recorded, None | Some(Recorded::Everything | Recorded::Unclear(_)));
        self.dark.is_empty() && recorded && trail.global_events != Some(false)
    }
}

fn without_a_whole_trail(look: &Look<'_>, candidates: &[(&Trail<'_>, Candidate)]) -> Verdict {
    let account = look.account();
    let by_region: Vec<Recorded> = look.view.regions().iter().map(|region| union(look, region).management()).collect();
    let everything = by_region.iter().all(|recorded| *recorded == Recorded::Everything);
    let Some((trail, candidate)) = candidates.first() else {
        let Some(trail) = look.view.trails().first() else {
            let fix = "aws cloudtrail create-trail --name NAME --s3-bucket-name BUCKET --is-multi-region-trail \
                       --enable-log-file-validation --kms-key-id KEY && aws cloudtrail start-logging --name NAME";
            return look.fail(account, "the account has no trail").severity(Severity::Critical).fix(fix);
        };
        let fix = format!("{} --is-multi-region-trail --include-global-service-events", update(trail));
        return if everything {
            look.partial(account, "every region is recorded, but each by a trail of its own: a new one will not be")
                .fix(fix)
        } else {
            let only: BTreeSet<&str> = look.view.trails().iter().map(|trail| trail.home_region).collect();
            let global = if trail.global_events == Some(false) { ", and no global services (IAM, STS)" } else { "" };
            let reason = format!("no trail records all regions; only {} is recorded{global}", said_list(only));
            look.fail(account, reason).severity(Severity::Critical).fix(fix)
        };
    };
    let everywhere = candidate.dark.len() == look.view.regions().len();
    let reason = candidate.said(trail);
    let verdict = match () {
        () if everything => look.partial(trail.arn, format!("{reason}; other trails make up for it")),
        () if everywhere || candidate.recorded == Some(Recorded::Nothing) => {
            look.fail(trail.arn, reason).severity(Severity::Critical)
        }
        () => look.partial(trail.arn, reason),
    };
    verdict.fix(candidate.fix(trail, look))
}

impl Candidate {
    fn said(&self, trail: &Trail<'_>) -> String {
        let mut said: Vec<String> = Vec::new();
        let why: BTreeSet<&str> = self.missing.iter().map(String::as_str).collect();
        if !self.dark.is_empty() {
            said.push(format!("{} in {}", said_list(why), said_list(self.dark.iter().map(String::as_str))));
        }
        match &self.recorded {
            Some(Recorded::Nothing) => said.push(format!("{} records no management calls", clean(trail.name))),
            Some(Recorded::Partly(gaps)) => said.push(format!("not recorded: {}", gaps_said(gaps))),
            _ => {}
        }
        if trail.global_events == Some(false) {
            said.push("global services (IAM, STS) are left out".to_owned());
        }
        said.join("; ")
    }

    fn fix(&self, trail: &Trail<'_>, look: &Look<'_>) -> String {
        match () {
            () if self.missing.iter().any(|why| why.contains("is stopped")) => {
                format!("aws cloudtrail start-logging --name {}{}", shell(trail.arn), region(trail))
            }
            () if !self.dark.is_empty() => {
                format!("aws cloudtrail get-trail-status --name {}{}", shell(trail.arn), region(trail))
            }
            () if trail.global_events == Some(false) => format!("{} --include-global-service-events", update(trail)),
            () => restore_management(look, trail).0,
        }
    }
}

/// `aws cloudtrail update-trail --name …`.
pub(super) fn update(trail: &Trail<'_>) -> String {
    format!("aws cloudtrail update-trail --name {}{}", shell(trail.arn), region(trail))
}

fn region(trail: &Trail<'_>) -> String {
    format!(" --region {}", shell(trail.home_region))
}

/// What all trails record in a region, with what nobody can be sure of.
pub(super) fn union(look: &Look<'_>, region: &str) -> Union {
    union_of(look, region, |_| true)
}

/// The same for some of the trails.
pub(super) fn union_of(look: &Look<'_>, region: &str, which: impl Fn(&Trail<'_>) -> bool) -> Union {
    let covering = look.covering(region);
    let mut union = Union::default();
    if covering.unseen {
        union.add_unknown("there may be trails that could not be seen");
    }
    for trail in covering.sure.into_iter().filter(|trail| which(trail)) {
        match look.selectors(trail) {
            Some(selectors) => union.add(&selectors),
            None => union.add_unknown("selectors could not be seen"),
        }
    }
    for trail in covering.doubtful.into_iter().filter(|trail| which(trail)) {
        match look.selectors(trail) {
            Some(selectors) => union.add_doubtful(&selectors, "nobody could see whether the trail is on"),
            None => union.add_unknown("neither status nor selectors could be seen"),
        }
    }
    union
}

fn management(look: &Look<'_>) -> Vec<Verdict> {
    let trails = look.trails();
    let mut regions: BTreeMap<Kind, (BTreeSet<&str>, BTreeSet<String>)> = BTreeMap::new();
    let mut all_gaps: Vec<Gap> = Vec::new();
    for region in look.view.regions() {
        let (kind, said) = match union(look, region).management() {
            Recorded::Everything => (Kind::Full, BTreeSet::new()),
            Recorded::Nothing => (Kind::None, look.covering(region).broken.into_iter().map(|(_, why)| why).collect()),
            Recorded::Partly(gaps) => {
                let said = BTreeSet::from([gaps_said(&gaps)]);
                all_gaps.extend(gaps);
                (Kind::Partly, said)
            }
            Recorded::Unclear(doubts) => (Kind::Unclear, doubts),
        };
        let known = regions.entry(kind).or_default();
        known.0.insert(region);
        known.1.extend(said);
    }
    let sole = if let [trail] = trails { Some(trail) } else { None };
    vec![management_verdict(look, sole, &regions)]
}

/// How a region stands; in order, the last one is what several amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Full,
    Partly,
    Unclear,
    None,
}

type Regions<'r> = BTreeMap<Kind, (BTreeSet<&'r str>, BTreeSet<String>)>;

fn management_verdict(look: &Look<'_>, sole: Option<&Trail<'_>>, regions: &Regions<'_>) -> Verdict {
    let resource = sole.map_or(look.account(), |trail| trail.arn);
    let Some((worst, (names, said))) = regions.last_key_value() else { return look.blinded(resource) };
    let total = look.view.regions().len();
    let place = if names.len() == total { String::new() } else { format!(" in {}", said_list(names.iter().copied())) };
    let narrowing = ["PutEventSelectors", "UpdateTrail", "CreateTrail"];
    let touched = sole.map_or(String::new(), |trail| look.context().touched(&[trail.arn, trail.name], &narrowing));
    let said = said_list(said.iter().map(String::as_str));
    let verdict = match worst {
        Kind::Full => {
            return look.pass(resource, format!("reads and changes of every service are recorded in {total} regions"));
        }
        Kind::Unclear if look.is_blind() => return look.blinded(resource),
        Kind::Unclear => return look.unknown(resource, format!("cannot tell what is recorded{place}: {said}")),
        Kind::Partly => look.partial(resource, format!("{said}{place}{touched}")),
        Kind::None if said.is_empty() => {
            look.fail(resource, format!("no management calls are recorded{place}{touched}"))
        }
        // Why a trail does not record at all is said with it.
        Kind::None => look.fail(resource, format!("no management calls are recorded{place}: {said}")),
    };
    let only = if let [region] = names.iter().copied().collect::<Vec<_>>()[..] { region } else { "" };
    let verdict = verdict.region(only);
    match sole {
        Some(trail) => {
            let (fix, remark) = restore_management(look, trail);
            verdict.fix(fix).remark(remark)
        }
        None => verdict,
    }
}

/// `KMS calls are not recorded (excluded kms.amazonaws.com)`, or the gaps as they are.
pub(super) fn gaps_said(gaps: &[Gap]) -> String {
    let sources: Option<Vec<&str>> = match gaps {
        [gap] => excluded_sources(gap),
        _ => None,
    };
    if let Some(sources) = sources {
        let names: Vec<&str> = sources
            .iter()
            .map(|source| match *source {
                "kms.amazonaws.com" => "KMS",
                "rdsdata.amazonaws.com" => "RDS Data API",
                other => other,
            })
            .collect();
        return format!(
            "{} calls are not recorded (excluded {})",
            clean(&names.join(" and ")),
            clean(&sources.join(", "))
        );
    }
    let said: Vec<String> = gaps.iter().map(Gap::to_string).collect();
    format!("{} are not recorded", said_list(said.iter().map(String::as_str)))
}

/// The sources of a gap that is limited by nothing else.
fn excluded_sources(gap: &Gap) -> Option<Vec<&str>> {
    let [limit] = gap.limits.as_slice() else { return None };
    (limit.field == "eventSource").then(|| limit.within.iter().map(source_of).collect())?
}

fn source_of(class: &Class) -> Option<&str> {
    match class {
        Class::Is(source) => Some(source),
        Class::Like { .. } => None,
    }
}

/// The command that makes a trail record all management calls, and what it keeps.
fn restore_management(look: &Look<'_>, trail: &Trail<'_>) -> (String, String) {
    const CALL: &str = "cloudtrail:GetEventSelectors";
    let Some(body) = look.body(CALL, trail.home_region, &[("TrailName", trail.arn)]) else {
        return (String::new(), String::new());
    };
    let advanced = list(field(body, "AdvancedEventSelectors"));
    let (option, selectors, kept) =
        if advanced.is_empty() { basic_whole(&list(field(body, "EventSelectors"))) } else { advanced_whole(&advanced) };
    let command = format!(
        "aws cloudtrail put-event-selectors --trail-name {}{} {option} {}",
        shell(trail.arn),
        region(trail),
        json_argument(&selectors)
    );
    let remark = match kept {
        0 => String::new(),
        1 => "keeps your data selector".to_owned(),
        many => format!("keeps your {many} data selectors"),
    };
    (command, remark)
}

fn advanced_whole(selectors: &[&Value]) -> (&'static str, Value, usize) {
    let is_management = |selector: &Value| {
        let fields = list(field(selector, "FieldSelectors"));
        fields.iter().any(|f| text(field(f, "Field")) == "eventCategory" && f.to_string().contains("\"Management\""))
    };
    let kept: Vec<Value> = selectors.iter().filter(|s| !is_management(s)).map(|s| (*s).clone()).collect();
    let whole = json!({"Name": "management", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]});
    let count = kept.len();
    ("--advanced-event-selectors", std::iter::once(whole).chain(kept).collect(), count)
}

fn basic_whole(selectors: &[&Value]) -> (&'static str, Value, usize) {
    let kept: Vec<Value> = selectors
        .iter()
        .filter(|selector| !list(field(selector, "DataResources")).is_empty())
        .map(|selector| {
            let mut kept = (*selector).clone();
            kept["IncludeManagementEvents"] = false.into();
            kept["ExcludeManagementEventSources"] = json!([]);
            kept
        })
        .collect();
    let whole = json!({"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": []});
    let count = kept.len();
    ("--event-selectors", std::iter::once(whole).chain(kept).collect(), count)
}

/// How old the last delivery may be, in seconds.
pub(super) const A_DAY: i64 = 86_400;

fn delivery<'v>(look: &Look<'v>, trail: &'v Trail<'v>) -> Verdict {
    let mut errors: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut lesser: BTreeSet<String> = BTreeSet::new();
    let (mut newest, mut asked, mut quiet) = (None, 0, 0);
    let blinded = || look.is_blind();
    for region in look.view.regions().iter().filter(|region| trail.covers(region)) {
        asked += 1;
        if let Recording::No(why) = look.recording(trail, region) {
            errors.entry(why).or_default().insert(region);
        }
        let Some(status) = look.body("cloudtrail:GetTrailStatus", region, &[("Name", trail.arn)]) else { continue };
        let delivered = time_of(field(status, "LatestDeliveryTime"));
        quiet += usize::from(delivered.is_none_or(|time| time.0 < look.context().now.0 - A_DAY));
        newest = newest.max(delivered);
        for member in ["LatestNotificationError", "LatestCloudWatchLogsDeliveryError"] {
            let error = text(field(status, member));
            if !error.is_empty() {
                lesser.insert(format!("{member} {}", clean(error)));
            }
        }
    }
    let failed: usize = errors.values().map(BTreeSet::len).sum();
    let said: Vec<String> =
        errors.iter().map(|(why, regions)| format!("{why} in {}", said_list(regions.iter().copied()))).collect();
    let fix = format!("aws cloudtrail get-trail-status --name {}{}", shell(trail.arn), region(trail));
    match (failed, newest) {
        (0, _) if blinded() => look.blinded(trail.arn),
        (0, Some(time)) if time.0 >= look.context().now.0 - A_DAY && lesser.is_empty() => look.pass(
            trail.arn,
            format!("last delivery {time}; {quiet} of {asked} regions had nothing to deliver for a day"),
        ),
        (0, Some(time)) if time.0 >= look.context().now.0 - A_DAY => {
            look.partial(trail.arn, said_list(lesser.iter().map(String::as_str))).severity(Severity::Medium).fix(fix)
        }
        (0, last) => {
            let last = last.map_or("never".to_owned(), |time| format!("last at {time}"));
            look.fail(trail.arn, format!("nothing was delivered for a day in any region, {last}")).fix(fix)
        }
        (failed, _) if failed == asked => look.fail(trail.arn, said.join("; ")).fix(fix),
        _ => look.partial(trail.arn, said.join("; ")).fix(fix),
    }
}

fn heard(look: &Look<'_>) -> Vec<Verdict> {
    let account = look.account();
    let Some(silence) = &look.context().state.silence else {
        return vec![look.unknown(account, "there is no baseline of this account's records yet")];
    };
    if silence.is_empty() {
        return vec![look.pass(account, "every region is heard as usual")];
    }
    let said: Vec<String> = silence
        .iter()
        .map(|one| format!("{} silent since {}, usually at most {} h", clean(&one.region), one.since, one.usual_hours))
        .collect();
    let verdict = look.fail(account, said_list(said.iter().map(String::as_str)));
    vec![if let [one] = silence.as_slice() { verdict.region(&one.region) } else { verdict }]
}

/// Whether logging was on in an answer to `GetTrailStatus`.
pub(super) fn is_logging(status: &Value) -> Option<bool> {
    boolean(field(status, "IsLogging"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Context, Silence, Status, Touch};
    use crate::controls::testing::{Account, TRAIL, assert_said, context, denied, now};
    use crate::time::Time;
    use Status::{Fail, Partial, Pass, Unknown};

    #[test]
    fn one_trail_over_all_regions() {
        let mut stopped = Account::with_trail();
        stopped.set("cloudtrail:GetTrailStatus", "IsLogging", false);
        let mut undeliverable = Account::with_trail();
        undeliverable.set("cloudtrail:GetTrailStatus", "LatestDeliveryError", "NoSuchBucket");
        let mut missing = Account::with_trail();
        missing.put("cloudtrail:DescribeTrails", "us-east-1", &[], json!({"trailList": []}));
        let mut single = Account::with_trail();
        single.trail("IsMultiRegionTrail", false.into());
        let mut no_global = Account::with_trail();
        no_global.trail("IncludeGlobalServiceEvents", false.into());
        let mut dark = Account::with_trail();
        dark.refuse_call("cloudtrail:GetTrailStatus", &denied());
        let mut unlisted = Account::new("111122223333", &["eu-west-1", "us-east-1"]);
        unlisted.refuse("cloudtrail:DescribeTrails", "us-east-1", &[], denied());
        let mut proven = Account::with_trail();
        proven.refuse("cloudtrail:DescribeTrails", "us-east-1", &[], denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "in 2 regions"),
            (proven, Pass, "in 2 regions"),
            (stopped, Fail, "org-trail is stopped"),
            (undeliverable, Fail, "cannot deliver (NoSuchBucket)"),
            (Account::new("111122223333", &["eu-west-1"]), Fail, "has no trail"),
            (single, Fail, "only eu-west-1 is recorded"),
            (missing, Partial, "org-trail is not there in us-east-1"),
            (no_global, Partial, "global services"),
            (dark, Unknown, "GetTrailStatus denied to QuickInfraTrailAudit in 2 regions"),
            (unlisted, Unknown, "DescribeTrails denied"),
        ] {
            assert_said(&account, &context(), ("trail-multi-region", status, words));
        }
    }

    #[test]
    fn a_stopped_trail_comes_with_the_command_that_starts_it() {
        let mut stopped = Account::with_trail();
        stopped.set("cloudtrail:GetTrailStatus", "IsLogging", false);
        let verdict = stopped.only("trail-multi-region", &context());
        assert_eq!(verdict.severity, Severity::Critical);
        assert_eq!(verdict.remediation, format!("aws cloudtrail start-logging --name {TRAIL} --region eu-west-1"));
        assert!(verdict.evidence.iter().any(|answer| answer.call == "cloudtrail:GetTrailStatus"));
    }

    #[test]
    fn all_management_calls() {
        let of = |fields: Value| {
            let mut account = Account::with_trail();
            account.advanced(json!([{"FieldSelectors": fields}]));
            account
        };
        let category = json!({"Field": "eventCategory", "Equals": ["Management"]});
        let kms = of(json!([category, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}]));
        let mallory = of(json!([category, {"Field": "userIdentity.arn", "NotEquals": ["arn:aws:iam::1:user/m"]}]));
        let odd = of(json!([category, {"Field": "eventMood", "Equals": ["grim"]}]));
        let mut defaults = Account::with_trail();
        defaults.trail("HasCustomEventSelectors", false.into());
        defaults.advanced(json!([]));
        let mut claimed = Account::with_trail();
        claimed.advanced(json!([]));
        let mut denied_selectors = Account::with_trail();
        denied_selectors.refuse_call("cloudtrail:GetEventSelectors", &denied());
        let mut stopped = Account::with_trail();
        stopped.set("cloudtrail:GetTrailStatus", "IsLogging", false);
        for (account, status, words) in [
            (Account::with_trail(), Pass, "every service"),
            (defaults, Pass, "every service"),
            (kms, Partial, "KMS calls are not recorded (excluded kms.amazonaws.com)"),
            (mallory, Partial, "management calls by arn:aws:iam::1:user/m are not recorded"),
            (stopped, Fail, "org-trail is stopped"),
            (odd, Unknown, "eventMood"),
            (claimed, Unknown, "not known"),
            (denied_selectors, Unknown, "GetEventSelectors denied"),
        ] {
            assert_said(&account, &context(), ("management-events-complete", status, words));
        }
    }

    #[test]
    fn selectors_are_restored_with_what_else_is_selected() {
        let mut account = Account::with_trail();
        let data = json!({"Name": "it's", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]});
        account.advanced(json!([data, data]));
        let time = Time::parse("2026-11-18T09:00:00Z").expect("a time");
        let touch = Touch { time, call: "PutEventSelectors".to_owned(), actor: "alice".to_owned() };
        let context = Context { touches: [(TRAIL.to_owned(), vec![touch])].into(), ..context() };
        let verdict = account.only("management-events-complete", &context);
        assert_eq!(verdict.remark, "keeps your 2 data selectors");
        assert!(verdict.remediation.contains(r#""Equals":["Management"]"#) && verdict.remediation.contains(r"it'\''s"));
        assert!(verdict.reason.ends_with("since 18 Nov, PutEventSelectors by alice"), "{}", verdict.reason);
        account.basic(json!([{"ReadWriteType": "WriteOnly", "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]));
        let verdict = account.only("management-events-complete", &context);
        assert!(verdict.remediation.contains("--event-selectors") && verdict.remark == "keeps your data selector");
    }

    #[test]
    fn a_verdict_reads_as_people_know_it() {
        let mut account = Account::with_trail();
        account.basic(json!([{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]));
        account.put("cloudtrail:GetTrailStatus", "us-east-1", &[("Name", TRAIL)], json!({"IsLogging": true}));
        let line =
            crate::control::verdict_lines(&account.only("management-events-complete", &context()), &context().settings);
        assert_eq!(
            line,
            "PARTIAL HIGH management-events-complete 111122223333 org-trail: KMS calls are not recorded (excluded \
             kms.amazonaws.com); CIS 3.0 3.1, 7.0 4.1\n  fix: aws cloudtrail put-event-selectors --trail-name \
             arn:aws:cloudtrail:eu-west-1:111122223333:trail/org-trail --region eu-west-1 --event-selectors \
             '[{\"DataResources\":[],\"IncludeManagementEvents\":true,\"ReadWriteType\":\"All\"}]'"
        );
    }

    #[test]
    fn log_files_arrive() {
        let mut some = Account::with_trail();
        let failing = json!({"IsLogging": true, "LatestDeliveryError": "AccessDenied"});
        some.put("cloudtrail:GetTrailStatus", "us-east-1", &[("Name", TRAIL)], failing);
        let mut old = Account::with_trail();
        old.set("cloudtrail:GetTrailStatus", "LatestDeliveryTime", json!(1_763_000_000.5));
        let mut topic = Account::with_trail();
        topic.set("cloudtrail:GetTrailStatus", "LatestNotificationError", "TopicDeleted");
        let mut refused = Account::with_trail();
        refused.refuse_call("cloudtrail:GetTrailStatus", &denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "last delivery 2026-11-20T11:50:00Z"),
            (some, Partial, "cannot deliver (AccessDenied) in us-east-1"),
            (old, Fail, "nothing was delivered for a day"),
            (topic, Partial, "TopicDeleted"),
            (refused, Unknown, "GetTrailStatus denied"),
        ] {
            assert_said(&account, &context(), ("trail-delivery-healthy", status, words));
        }
    }

    #[test]
    fn silence_against_the_habit() {
        let with = |silence| {
            let mut context = context();
            context.state.silence = silence;
            context
        };
        let silent = Silence { region: "us-east-1".to_owned(), since: now(), usual_hours: 2 };
        for (silence, status, words) in [
            (Some(Vec::new()), Pass, "as usual"),
            (Some(vec![silent]), Fail, "us-east-1 silent since"),
            (None, Unknown, "no baseline"),
        ] {
            assert_said(&Account::with_trail(), &with(silence), ("account-heard", status, words));
        }
    }
}
