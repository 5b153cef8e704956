//! One control's look at a view: it remembers which answers were read, and what could not be.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::view::blind;
use super::{Asked, Blind, Context, Control, Evidence, Status, Trail, Verdict, View};
use crate::alert::clean;
use crate::selectors::Selectors;
use crate::settings::Settings;
use crate::shape::{boolean, field, text};
use crate::snapshot::{Cause, GLOBAL};
use crate::time::Time;

/// One control's look at a view.
#[derive(Debug)]
pub(crate) struct Look<'v> {
    pub(crate) view: &'v View<'v>,
    pub(crate) control: &'static Control,
    seen: RefCell<BTreeSet<usize>>,
    blind: RefCell<BTreeSet<Blind>>,
}

/// Whether a trail records in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recording {
    /// It does.
    Yes,
    /// It does not, and why.
    No(String),
    /// Nobody could tell.
    Blind,
}

/// The trails that matter for one region.
#[derive(Debug, Default)]
pub(crate) struct Covering<'v> {
    /// Those that record it for sure.
    pub(crate) sure: Vec<&'v Trail<'v>>,
    /// Those that may.
    pub(crate) doubtful: Vec<&'v Trail<'v>>,
    /// Those that should and do not: why.
    pub(crate) broken: Vec<(&'v Trail<'v>, String)>,
    /// Whether there may be trails here that nobody could see.
    pub(crate) unseen: bool,
}

impl<'v> Look<'v> {
    pub(crate) fn new(view: &'v View<'v>, control: &'static Control) -> Self {
        Self { view, control, seen: RefCell::default(), blind: RefCell::default() }
    }

    /// The same look with nothing read yet: for a verdict of its own.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.view, self.control)
    }

    pub(crate) fn context(&self) -> &'v Context {
        self.view.context
    }

    pub(crate) fn account(&self) -> &'v str {
        &self.view.snapshot.account
    }

    /// Asks, and remembers that it did.
    pub(crate) fn ask(&self, call: &str, region: &str, parameters: &[(&str, &str)]) -> Asked<'v> {
        debug_assert!(self.control.calls.contains(&call), "{} does not say that it asks {call}", self.control.id);
        let (index, asked) = self.view.ask(call, region, parameters);
        self.seen.borrow_mut().extend(index);
        if let Asked::Blind(blind) = &asked {
            self.blind.borrow_mut().insert(blind.clone());
        }
        asked
    }

    /// The body of an answer; `None` where there is none, for whichever reason.
    pub(crate) fn body(&self, call: &str, region: &str, parameters: &[(&str, &str)]) -> Option<&'v Value> {
        match self.ask(call, region, parameters) {
            Asked::Body(body) => Some(body),
            Asked::Absent(_) | Asked::Blind(_) => None,
        }
    }

    /// Notes that an answer is there and does not say what it should.
    pub(crate) fn unreadable(&self, call: &str, region: &str) {
        self.blind.borrow_mut().insert(Blind { cause: Some(Cause::Unknown), ..blind(call, region, None) });
    }

    /// Remembers an answer that was read otherwise.
    pub(crate) fn saw(&self, index: usize) {
        self.seen.borrow_mut().insert(index);
    }

    /// Whether anything could not be seen so far.
    pub(crate) fn is_blind(&self) -> bool {
        !self.blind.borrow().is_empty()
    }

    fn verdict(&self, status: Status, resource: &str, reason: String) -> Verdict {
        let answers = &self.view.snapshot.answers;
        let evidence = self.seen.borrow().iter().filter_map(|index| answers.get(*index)).map(Evidence::of).collect();
        Verdict {
            control_id: self.control.id.to_owned(),
            status,
            severity: self.control.severity,
            account: self.account().to_owned(),
            region: String::new(),
            resource: resource.to_owned(),
            reason,
            blind: Vec::new(),
            evidence,
            remediation: String::new(),
            remark: String::new(),
            time: self.view.snapshot.taken,
        }
    }

    pub(crate) fn pass(&self, resource: &str, reason: impl Into<String>) -> Verdict {
        self.verdict(Status::Pass, resource, reason.into())
    }

    pub(crate) fn fail(&self, resource: &str, reason: impl Into<String>) -> Verdict {
        self.verdict(Status::Fail, resource, reason.into())
    }

    pub(crate) fn partial(&self, resource: &str, reason: impl Into<String>) -> Verdict {
        self.verdict(Status::Partial, resource, reason.into())
    }

    pub(crate) fn not_applicable(&self, resource: &str, reason: impl Into<String>) -> Verdict {
        self.verdict(Status::NotApplicable, resource, reason.into())
    }

    /// A fact about this system itself that nobody told.
    pub(crate) fn unknown(&self, resource: &str, reason: impl Into<String>) -> Verdict {
        self.verdict(Status::Unknown, resource, reason.into())
    }

    /// What could not be looked at, as a verdict. Where AWS was merely too slow or too busy it is an error.
    pub(crate) fn blinded(&self, resource: &str) -> Verdict {
        let blind: Vec<Blind> = self.blind.borrow().iter().cloned().collect();
        let passes = !blind.is_empty() && blind.iter().all(Blind::passes);
        let status = if passes { Status::Error } else { Status::Unknown };
        let context = self.context();
        let reason = format!("could not look, {}", refusals(&blind, context));
        let grants = blind.iter().any(|blind| matches!(blind.cause, Some(Cause::Denied | Cause::NoRole)));
        let fix = if grants { format!("update StackSet {}", context.stack_set) } else { String::new() };
        Verdict { blind, remediation: fix, ..self.verdict(status, resource, reason) }
    }
}

/// `GetTrailStatus denied to QTrailAudit in 3 regions, DescribeKey not asked`.
fn refusals(blind: &[Blind], context: &Context) -> String {
    let mut groups: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for one in blind {
        let operation = one.call.split(':').nth(1).unwrap_or(&one.call);
        let said = format!("{operation} {}", cause(one, context));
        match groups.iter_mut().find(|(known, _)| *known == said) {
            Some((_, regions)) => _ = regions.insert(&one.region),
            None => groups.push((said, BTreeSet::from([one.region.as_str()]))),
        }
    }
    let said = |(text, regions): &(String, BTreeSet<&str>)| match regions.len() {
        1 => text.clone(),
        many => format!("{text} in {many} regions"),
    };
    let more = groups.len().saturating_sub(NAMED);
    let mut text = groups.iter().take(NAMED).map(said).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    if text.is_empty() { "nothing that was asked says it".to_owned() } else { text }
}

fn cause(blind: &Blind, context: &Context) -> String {
    let code = clean(&blind.code);
    match blind.cause {
        None => "was not asked".to_owned(),
        Some(Cause::Denied) => format!("denied to {}", clean(&context.audit_role)),
        Some(Cause::NoRole) => format!("not possible without the role {}", clean(&context.audit_role)),
        Some(Cause::Throttled) => "throttled".to_owned(),
        Some(Cause::Unreachable) => "not answered".to_owned(),
        Some(Cause::Late) => "not ready in time".to_owned(),
        Some(Cause::Disabled) => "not enabled".to_owned(),
        Some(Cause::Absent) => format!("found nothing ({code})"),
        Some(Cause::Unknown) if code.is_empty() => "answered in a form that is not known".to_owned(),
        Some(Cause::Unknown) => format!("failed ({code})"),
    }
}

/// Questions about trails that several controls have in common.
impl<'v> Look<'v> {
    /// All trails, with the answers that show them as evidence, and the regions where nobody could see any.
    pub(crate) fn trails(&self) -> &'v [Trail<'v>] {
        for region in self.view.regions() {
            let _ = self.ask("cloudtrail:DescribeTrails", region, &[]);
        }
        self.view.trails()
    }

    /// The regions in which `DescribeTrails` was not answered.
    pub(crate) fn dark_regions(&self) -> Vec<&'v str> {
        let dark = |region: &&&str| matches!(self.ask("cloudtrail:DescribeTrails", region, &[]), Asked::Blind(_));
        self.view.regions().iter().filter(dark).copied().collect()
    }

    /// Whether a trail records in a region: switched on, there, and without a standing delivery error.
    pub(crate) fn recording(&self, trail: &Trail<'_>, region: &str) -> Recording {
        let described = matches!(self.ask("cloudtrail:DescribeTrails", region, &[]), Asked::Body(_));
        if described && !trail.seen_in.contains(region) {
            return Recording::No(format!("{} is not there", clean(trail.name)));
        }
        let status = match self.ask("cloudtrail:GetTrailStatus", region, &[("Name", trail.arn)]) {
            Asked::Body(status) => status,
            Asked::Absent(_) => return Recording::No(format!("{} is not there", clean(trail.name))),
            Asked::Blind(_) => return Recording::Blind,
        };
        let error = text(field(status, "LatestDeliveryError"));
        match boolean(field(status, "IsLogging")) {
            None => {
                self.unreadable("cloudtrail:GetTrailStatus", region);
                Recording::Blind
            }
            Some(false) => {
                let stopped = time_of(field(status, "StopLoggingTime"));
                let by = self.context().touched(&[trail.arn, trail.name], &["StopLogging"]);
                let since = match stopped {
                    _ if !by.is_empty() => by,
                    Some(time) => format!(" since {time}"),
                    None => String::new(),
                };
                Recording::No(format!("{} is stopped{since}", clean(trail.name)))
            }
            Some(true) if !error.is_empty() => {
                Recording::No(format!("{} cannot deliver ({})", clean(trail.name), clean(error)))
            }
            Some(true) => Recording::Yes,
        }
    }

    /// The trails that matter for a region.
    pub(crate) fn covering(&self, region: &str) -> Covering<'v> {
        let mut covering = Covering {
            unseen: matches!(self.ask("cloudtrail:DescribeTrails", region, &[]), Asked::Blind(_)),
            ..Covering::default()
        };
        for trail in self.view.trails().iter().filter(|trail| trail.covers(region)) {
            match self.recording(trail, region) {
                Recording::Yes => covering.sure.push(trail),
                Recording::No(why) => covering.broken.push((trail, why)),
                Recording::Blind => covering.doubtful.push(trail),
            }
        }
        covering
    }

    /// What a trail records. A trail that was never told otherwise records all management calls (CloudTrail user
    /// guide, management events), which its answer may say by saying nothing.
    pub(crate) fn selectors(&self, trail: &Trail<'_>) -> Option<Selectors> {
        const CALL: &str = "cloudtrail:GetEventSelectors";
        let body = self.body(CALL, trail.home_region, &[("TrailName", trail.arn)])?;
        let (basic, advanced) = (field(body, "EventSelectors"), field(body, "AdvancedEventSelectors"));
        let none = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        match (none(basic) && none(advanced), trail.custom_selectors) {
            (false, _) if is_list(basic) && is_list(advanced) => Selectors::read(body),
            (true, Some(false)) => Some(Selectors::basic(&serde_json::json!([{}]))),
            _ => {
                self.unreadable(CALL, trail.home_region);
                None
            }
        }
    }

    /// The trails whose own settings are judged here: the account's own, and those of accounts that nobody audits.
    pub(crate) fn own_trails(&self) -> Vec<&'v Trail<'v>> {
        let (account, context) = (self.account(), self.context());
        let judged_here = |trail: &&Trail<'_>| trail.owner == account || !context.audits(trail.owner);
        self.trails().iter().filter(judged_here).collect()
    }

    /// One verdict for each trail whose settings are judged here; one that says why where there is none.
    pub(crate) fn of_each_trail(&self, judge: fn(&Look<'v>, &'v Trail<'v>) -> Verdict) -> Vec<Verdict> {
        let trails = self.own_trails();
        let mut verdicts: Vec<Verdict> = trails
            .iter()
            .map(|trail| {
                let look = self.anew();
                let _ = look.ask("cloudtrail:DescribeTrails", trail.home_region, &[]);
                look.blind.borrow_mut().clear();
                judge(&look, trail)
            })
            .collect();
        // A region that nobody could look into may hold a trail of its own.
        if !self.dark_regions().is_empty() {
            verdicts.push(self.blinded(self.account()));
        } else if verdicts.is_empty() {
            verdicts.push(self.without_trails());
        }
        verdicts
    }

    fn without_trails(&self) -> Verdict {
        match self.view.trails().first() {
            Some(trail) => {
                let reason =
                    format!("{} belongs to account {} and is judged there", clean(trail.name), clean(trail.owner));
                self.not_applicable(trail.arn, reason)
            }
            None => {
                self.not_applicable(self.account(), "the account has no trail of its own, which is a failure elsewhere")
            }
        }
    }

    /// The settings, with the organization's accounts among ours.
    pub(crate) fn settings_with_members(&self) -> Settings {
        let mut settings = self.context().settings.clone();
        let ours = self.context().accounts.iter().flatten().map(|member| member.id.as_str());
        let ours = ours.chain([self.account(), &self.context().logging_account]).filter(|id| !id.is_empty());
        for id in ours {
            settings.accounts.entry(id.to_owned()).or_default();
        }
        settings
    }

    /// Whether the account is in an organization: its description. `Absent`: there is none.
    pub(crate) fn organization(&self) -> Asked<'v> {
        match self.ask("organizations:DescribeOrganization", GLOBAL, &[]) {
            Asked::Body(body) => Asked::Body(field(body, "Organization")),
            other => other,
        }
    }

    /// The organization's management account; empty where nobody knows one.
    pub(crate) fn management_account(&self) -> &'v str {
        let known = &self.context().management_account;
        match self.organization() {
            Asked::Body(organization) => match text(field(organization, "MasterAccountId")) {
                "" => text(field(organization, "ManagementAccountId")),
                id => id,
            },
            Asked::Absent(_) | Asked::Blind(_) => known,
        }
    }
}

/// A time as text, or as the seconds that answers have on the wire.
pub(crate) fn time_of(value: &Value) -> Option<Time> {
    let parsed = Time::parse(text(value));
    #[expect(clippy::cast_possible_truncation, reason = "seconds with a fraction, which is not needed")]
    parsed.or_else(|| value.as_f64().map(|seconds| Time(seconds as i64)))
}

fn is_list(value: &Value) -> bool {
    value.is_null() || value.is_array()
}

/// How many things are named before the others are counted.
const NAMED: usize = 5;

/// `a, b and 3 more`, cleaned.
pub(crate) fn said_list<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let said: Vec<String> = names.iter().take(NAMED).map(|name| clean(name)).collect();
    match names.len().saturating_sub(NAMED) {
        0 => said.join(", "),
        more => format!("{} and {more} more", said.join(", ")),
    }
}

/// A value as one word of a shell command, whatever is in it. What cannot be seen is left out.
pub(crate) fn shell(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(harmless) && !word.starts_with('-') {
        return word.to_owned();
    }
    let visible: String = word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    format!("'{}'", visible.replace('\'', r"'\''"))
}

/// JSON as one word of a shell command; everything beyond ASCII is escaped.
pub(crate) fn json_argument(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            text.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| _ = write!(text, "\\u{unit:04x}"));
        }
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn foreign_words_stay_one_word_of_a_command() {
        for (word, quoted) in [
            ("org-trail", "org-trail"),
            ("arn:aws:s3:::b/*", "'arn:aws:s3:::b/*'"),
            ("a; rm -rf /", "'a; rm -rf /'"),
            ("it's $(x)", r"'it'\''s $(x)'"),
            ("--profile", "'--profile'"),
            ("", "''"),
            ("a\u{202e}b\nc", "'abc'"),
        ] {
            assert_eq!(shell(word), quoted);
        }
        assert_eq!(json_argument(&json!(["it's", "é\u{202e}"])), r#"'["it'\''s","\u00e9\u202e"]'"#);
    }
}
