//! Event selectors: what a trail or an event data store records, and what it leaves unrecorded.
//!
//! A selector holds conditions on fields of a call; a call is recorded when one selector's conditions all hold. Basic
//! selectors are read into the same form. The answer is exact: values that no condition tells apart form a class, and
//! one call of each combination of classes is tried (`CloudTrail` API reference, `AdvancedFieldSelector`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::shape::{falsy, field, list, text, texts};

mod union;
pub use union::{Recorded, Union};

/// The most combinations of classes that are tried.
const POINTS_CAP: usize = 2048;

/// What no pattern holds: AWS takes no control characters in selectors.
const FRESH: &str = "\u{0}";

/// What a trail or an event data store records: whatever one of its selectors takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selectors {
    /// One is enough.
    pub any: Vec<Selector>,
}

/// Conditions that have to hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// All of them.
    pub all: Vec<Condition>,
}

/// A condition on one field. One of the positive tests has to hold, if there is any, and none of the negative ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// `eventCategory`, `readOnly`, `resources.ARN` …
    pub field: String,
    /// `Equals`.
    pub equals: Vec<String>,
    /// `StartsWith`.
    pub starts_with: Vec<String>,
    /// `EndsWith`.
    pub ends_with: Vec<String>,
    /// `NotEquals`.
    pub not_equals: Vec<String>,
    /// `NotStartsWith`.
    pub not_starts_with: Vec<String>,
    /// `NotEndsWith`.
    pub not_ends_with: Vec<String>,
    /// Whether there is an operator that is not known here: then nothing surely fulfils the condition.
    pub unknown: bool,
}

/// A concrete call, as far as selectors look at it: field and value. A field that a call does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call(pub BTreeMap<String, String>);

/// What is not recorded of a kind of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecorded {
    /// Everything is recorded.
    Nothing,
    /// These calls are not, and all others are.
    Calls(Vec<Gap>),
    /// There are too many conditions to tell.
    Unclear,
}

/// Calls that are not recorded: those for which every limit holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Calls of what kind: `management`, `AWS::S3::Object`.
    pub kind: String,
    /// What tells them apart; nothing where none of that kind is recorded.
    pub limits: Vec<Limit>,
}

/// A limit on one field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit {
    /// The field.
    pub field: String,
    /// The values within the limit.
    pub within: BTreeSet<Class>,
    /// All others: together the two are everything.
    pub beyond: BTreeSet<Class>,
}

/// Values of a field that no condition tells apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// One value.
    Is(String),
    /// The values not named otherwise that begin and end like this.
    Like {
        /// The beginning; may be empty.
        starts: String,
        /// The end; may be empty.
        ends: String,
    },
}

impl Selectors {
    /// Reads `advancedEventSelectors`, or else `eventSelectors`, of a request or an answer. `None`: there are neither.
    pub fn read(value: &Value) -> Option<Self> {
        let (advanced, basic) = (field(value, "advancedEventSelectors"), field(value, "eventSelectors"));
        match (advanced, basic) {
            (Value::Null, Value::Null) => None,
            (advanced, basic) if list(advanced).is_empty() => Some(Self::basic(basic)),
            (advanced, _) => Some(Self::advanced(advanced)),
        }
    }

    /// Reads basic selectors.
    pub fn basic(selectors: &Value) -> Self {
        Self { any: list(selectors).into_iter().flat_map(basic).collect() }
    }

    /// Reads advanced selectors.
    pub fn advanced(selectors: &Value) -> Self {
        let selector = |value: &Value| Selector {
            all: list(field(value, "fieldSelectors")).into_iter().map(Condition::read).collect(),
        };
        Self { any: list(selectors).into_iter().map(selector).collect() }
    }

    /// Whether a call is recorded.
    pub fn record(&self, call: &Call) -> bool {
        self.any.iter().any(|selector| selector.takes(call))
    }

    /// Whether any selector is about this category of calls.
    pub fn mention(&self, category: &str) -> bool {
        self.any.iter().any(|selector| selector.allows("eventCategory", category))
    }

    /// The types of resources whose data events some selector is about.
    pub fn data_types(&self) -> BTreeSet<&str> {
        let data = self.any.iter().filter(|selector| selector.allows("eventCategory", "Data"));
        let types = data.flat_map(|selector| selector.on("resources.type"));
        types.flat_map(|condition| condition.equals.iter().map(String::as_str)).collect()
    }

    /// The management calls that are not recorded.
    pub fn unrecorded_management(&self) -> Unrecorded {
        self.unrecorded("management", &[("eventCategory", "Management")])
    }

    /// The data events on one type of resources that are not recorded.
    pub fn unrecorded_data(&self, resource_type: &str) -> Unrecorded {
        self.unrecorded(resource_type, &[("eventCategory", "Data"), ("resources.type", resource_type)])
    }

    fn unrecorded(&self, kind: &str, fixed: &[(&str, &str)]) -> Unrecorded {
        let about = self.any.iter().filter(|selector| fixed.iter().all(|(name, value)| selector.allows(name, value)));
        let rests: Vec<Selector> = about.map(|selector| selector.without(fixed)).collect();
        if rests.iter().any(|rest| rest.all.is_empty()) {
            return Unrecorded::Nothing;
        }
        match Grid::of(&rests) {
            None => Unrecorded::Unclear,
            Some(grid) => match grid.gaps(kind) {
                gaps if gaps.is_empty() => Unrecorded::Nothing,
                gaps => Unrecorded::Calls(gaps),
            },
        }
    }
}

impl Selector {
    fn takes(&self, call: &Call) -> bool {
        self.all.iter().all(|condition| condition.holds(call.value(&condition.field)))
    }

    fn on<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Condition> {
        self.all.iter().filter(move |condition| condition.field == name)
    }

    /// Whether the conditions on one field hold for a value.
    fn allows(&self, name: &str, value: &str) -> bool {
        self.on(name).all(|condition| condition.holds(value))
    }

    fn without(&self, fixed: &[(&str, &str)]) -> Self {
        let kept = |condition: &&Condition| !fixed.iter().any(|(name, _)| condition.field == *name);
        Self { all: self.all.iter().filter(kept).cloned().collect() }
    }
}

impl Condition {
    fn read(value: &Value) -> Self {
        const KNOWN: [&str; 7] =
            ["field", "equals", "startsWith", "endsWith", "notEquals", "notStartsWith", "notEndsWith"];
        let values = |key| texts(field(value, key)).into_iter().map(str::to_owned).collect();
        let known = |key: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(key));
        let unknown = |(key, value): (&String, &Value)| !known(key) && !list(value).is_empty();
        Self {
            field: text(field(value, "field")).to_owned(),
            equals: values("equals"),
            starts_with: values("startsWith"),
            ends_with: values("endsWith"),
            not_equals: values("notEquals"),
            not_starts_with: values("notStartsWith"),
            not_ends_with: values("notEndsWith"),
            unknown: value.as_object().is_some_and(|map| map.iter().any(unknown)),
        }
    }

    fn equals(name: &str, values: &[&str]) -> Self {
        let equals = values.iter().map(|value| (*value).to_owned()).collect();
        Self { field: name.to_owned(), equals, ..Self::default() }
    }

    /// Whether a value of the field fulfils the condition.
    pub fn holds(&self, value: &str) -> bool {
        let positive = [&self.equals, &self.starts_with, &self.ends_with].iter().any(|values| !values.is_empty());
        !self.unknown
            && (!positive || like(value, &self.equals, &self.starts_with, &self.ends_with))
            && !like(value, &self.not_equals, &self.not_starts_with, &self.not_ends_with)
    }
}

fn like(value: &str, equals: &[String], starts: &[String], ends: &[String]) -> bool {
    equals.iter().any(|other| other == value)
        || starts.iter().any(|start| value.starts_with(start.as_str()))
        || ends.iter().any(|end| value.ends_with(end.as_str()))
}

impl Call {
    /// `Call::new(&[("eventCategory", "Management")])`.
    pub fn new(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// What a basic selector means: one selector for management calls and one for each type of resources.
fn basic(selector: &Value) -> Vec<Selector> {
    let read_write = read_write(text(field(selector, "readWriteType")));
    let mut selectors = Vec::new();
    if !falsy(field(selector, "includeManagementEvents")) {
        selectors.push(basic_management(selector, read_write.clone()));
    }
    let resources = list(field(selector, "dataResources"));
    selectors.extend(resources.into_iter().filter_map(|resource| basic_data(resource, read_write.clone())));
    selectors
}

/// `All`, the default, is no condition. An unknown type is one that nothing surely fulfils.
fn read_write(word: &str) -> Option<Condition> {
    match word.to_ascii_lowercase().as_str() {
        "" | "all" => None,
        "readonly" => Some(Condition::equals("readOnly", &["true"])),
        "writeonly" => Some(Condition::equals("readOnly", &["false"])),
        _ => Some(Condition { unknown: true, ..Condition::equals("readOnly", &[]) }),
    }
}

fn basic_management(selector: &Value, read_write: Option<Condition>) -> Selector {
    let excluded: Vec<String> =
        texts(field(selector, "excludeManagementEventSources")).into_iter().map(str::to_owned).collect();
    let mut all = vec![Condition::equals("eventCategory", &["Management"])];
    all.extend(read_write);
    if !excluded.is_empty() {
        all.push(Condition { field: "eventSource".to_owned(), not_equals: excluded, ..Condition::default() });
    }
    Selector { all }
}

/// No value at all selects nothing; `arn:aws:s3` and `arn:aws:lambda` alone select everything.
fn basic_data(resource: &Value, read_write: Option<Condition>) -> Option<Selector> {
    let kind = text(field(resource, "type"));
    let values = texts(field(resource, "values"));
    let mut all = vec![Condition::equals("eventCategory", &["Data"]), Condition::equals("resources.type", &[kind])];
    all.extend(read_write);
    if values.is_empty() {
        return None;
    }
    if !values.iter().any(|value| names_all(value)) {
        all.push(named(kind, &values));
    }
    Some(Selector { all })
}

/// Objects are selected by what their ARN begins with, functions and tables by their whole ARN.
fn named(kind: &str, values: &[&str]) -> Condition {
    let condition = Condition::equals("resources.ARN", values);
    if kind == "AWS::S3::Object" {
        return Condition { starts_with: condition.equals, equals: Vec::new(), ..condition };
    }
    condition
}

/// `arn:aws:s3`, `arn:aws:s3:::`, `arn:aws-cn:lambda`: an ARN that names a service and no more.
fn names_all(arn: &str) -> bool {
    let mut parts = arn.split(':');
    parts.next() == Some("arn") && parts.by_ref().take(2).all(|part| !part.is_empty()) && parts.all(str::is_empty)
}

/// The classes of each field, and which combinations of them are recorded.
struct Grid {
    fields: Vec<(String, Vec<Class>)>,
    points: Vec<Vec<usize>>,
    recorded: Vec<bool>,
}

impl Grid {
    /// `None` where there are too many combinations.
    fn of(selectors: &[Selector]) -> Option<Self> {
        let names: BTreeSet<&str> =
            selectors.iter().flat_map(|s| s.all.iter().map(|condition| condition.field.as_str())).collect();
        let mut fields = Vec::new();
        let mut points = vec![Vec::new()];
        for name in names {
            let classes = classes(name, selectors.iter().flat_map(|selector| selector.on(name)));
            if points.len().saturating_mul(classes.len()) > POINTS_CAP {
                return None;
            }
            let extended = |point: &Vec<usize>| {
                let point = point.clone();
                (0..classes.len()).map(move |index| [point.as_slice(), &[index]].concat())
            };
            points = points.iter().flat_map(extended).collect();
            fields.push((name.to_owned(), classes));
        }
        let mut grid = Self { fields, points, recorded: Vec::new() };
        grid.recorded = grid.points.iter().map(|point| grid.is_recorded(point, selectors)).collect();
        Some(grid)
    }

    fn is_recorded(&self, point: &[usize], selectors: &[Selector]) -> bool {
        let example = |((name, classes), index): (&(String, Vec<Class>), &usize)| {
            (name.clone(), classes.get(*index).map(Class::example).unwrap_or_default())
        };
        let call = Call(self.fields.iter().zip(point).map(example).collect());
        selectors.iter().any(|selector| selector.takes(&call))
    }

    /// The unrecorded points, in as few and as large boxes as a simple search finds.
    fn gaps(&self, kind: &str) -> Vec<Gap> {
        let mut boxes: Vec<Vec<Option<usize>>> = Vec::new();
        for (point, recorded) in self.points.iter().zip(&self.recorded) {
            if !recorded && !boxes.iter().any(|known| holds(known, point)) {
                boxes.push(self.widened(point));
            }
        }
        let gap = |limits: Vec<Option<usize>>| Gap { kind: kind.to_owned(), limits: self.limits(&limits) };
        joined(boxes.into_iter().map(gap).collect())
    }

    /// The point's box, freed of every limit that it can do without.
    fn widened(&self, point: &[usize]) -> Vec<Option<usize>> {
        let mut limits: Vec<Option<usize>> = point.iter().copied().map(Some).collect();
        for index in 0..limits.len() {
            let limit = limits[index].take();
            let recorded = |(point, recorded): (&Vec<usize>, &bool)| *recorded && holds(&limits, point);
            if self.points.iter().zip(&self.recorded).any(recorded) {
                limits[index] = limit;
            }
        }
        limits
    }

    fn limits(&self, limits: &[Option<usize>]) -> Vec<Limit> {
        let limit = |((name, classes), limit): (&(String, Vec<Class>), &Option<usize>)| {
            let within = classes.get((*limit)?)?;
            let beyond = classes.iter().filter(|class| *class != within).cloned().collect();
            Some(Limit { field: name.clone(), within: BTreeSet::from([within.clone()]), beyond })
        };
        self.fields.iter().zip(limits).filter_map(limit).collect()
    }
}

fn holds(limits: &[Option<usize>], point: &[usize]) -> bool {
    limits.iter().zip(point).all(|(limit, index)| limit.is_none_or(|limit| limit == *index))
}

/// Gaps that differ in one field alone are one gap.
fn joined(mut gaps: Vec<Gap>) -> Vec<Gap> {
    let names: BTreeSet<String> =
        gaps.iter().flat_map(|gap| gap.limits.iter().map(|limit| limit.field.clone())).collect();
    for name in names {
        let (with, without): (Vec<Gap>, Vec<Gap>) =
            gaps.into_iter().partition(|gap| gap.limits.iter().any(|limit| limit.field == name));
        let mut groups: BTreeMap<Vec<Limit>, Gap> = BTreeMap::new();
        for gap in with {
            let others = gap.limits.iter().filter(|limit| limit.field != name).cloned().collect();
            groups.entry(others).and_modify(|known| known.join(&gap, &name)).or_insert(gap);
        }
        gaps = without.into_iter().chain(groups.into_values()).collect();
    }
    gaps.sort();
    gaps
}

impl Gap {
    fn join(&mut self, other: &Self, name: &str) {
        let theirs = other.limits.iter().filter(|limit| limit.field == name);
        for (mine, theirs) in self.limits.iter_mut().filter(|limit| limit.field == name).zip(theirs) {
            mine.within.extend(theirs.within.iter().cloned());
            let within = &mine.within;
            mine.beyond.retain(|class| !within.contains(class));
        }
        self.limits.retain(|limit| !limit.beyond.is_empty());
    }

    /// Whether a call of this gap's kind falls into it.
    pub fn holds(&self, call: &Call) -> bool {
        self.limits.iter().all(|limit| limit.holds(call.value(&limit.field)))
    }

    fn limit(&self, name: &str) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.field == name)
    }
}

impl Limit {
    fn holds(&self, value: &str) -> bool {
        let all = || self.within.iter().chain(&self.beyond);
        all()
            .filter_map(|class| Some((class.closeness(value)?, class)))
            .max()
            .is_some_and(|(_, class)| self.within.contains(class))
    }
}

impl Class {
    /// A value of this class and no other.
    fn example(&self) -> String {
        match self {
            Self::Is(value) => value.clone(),
            Self::Like { starts, ends } => format!("{starts}{FRESH}{ends}"),
        }
    }

    /// How closely the class describes a value; of all classes that do, the closest is the value's own.
    fn closeness(&self, value: &str) -> Option<(bool, usize, usize)> {
        match self {
            Self::Is(known) => (known == value).then_some((true, 0, 0)),
            Self::Like { starts, ends } => (value.starts_with(starts.as_str()) && value.ends_with(ends.as_str()))
                .then_some((false, starts.len(), ends.len())),
        }
    }
}

/// The classes into which conditions divide the values of a field.
fn classes<'c>(name: &str, conditions: impl Iterator<Item = &'c Condition>) -> Vec<Class> {
    if name == "readOnly" {
        return ["false", "true"].map(|value| Class::Is(value.to_owned())).to_vec();
    }
    let (mut values, mut starts, mut ends) = (BTreeSet::new(), BTreeSet::from([""]), BTreeSet::from([""]));
    for condition in conditions {
        values.extend(condition.equals.iter().chain(&condition.not_equals));
        starts.extend(condition.starts_with.iter().chain(&condition.not_starts_with).map(String::as_str));
        ends.extend(condition.ends_with.iter().chain(&condition.not_ends_with).map(String::as_str));
    }
    let like = |start: &&str| {
        let start = (*start).to_owned();
        ends.iter().map(move |end| Class::Like { starts: start.clone(), ends: (*end).to_owned() })
    };
    values.into_iter().cloned().map(Class::Is).chain(starts.iter().flat_map(like)).collect()
}

impl fmt::Display for Gap {
    /// `read-only management calls of kms.amazonaws.com`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit("readOnly").map(|limit| limit.within.contains(&Class::Is("true".to_owned()))) {
            Some(true) => f.write_str("read-only ")?,
            Some(false) => f.write_str("changing ")?,
            None if self.limits.is_empty() => f.write_str("all ")?,
            None => (),
        }
        write!(f, "{} calls", self.kind)?;
        self.limits.iter().filter(|limit| limit.field != "readOnly").try_for_each(|limit| write!(f, " {limit}"))
    }
}

impl fmt::Display for Limit {
    /// `of kms.amazonaws.com`, `by anyone but arn:…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = Class::Like { starts: String::new(), ends: String::new() };
        let (other, classes) =
            if self.within.contains(&rest) { ("anything but ", &self.beyond) } else { ("", &self.within) };
        match self.field.as_str() {
            "eventSource" => write!(f, "of {other}")?,
            "eventName" => write!(f, "named {other}")?,
            "userIdentity.arn" => write!(f, "by {other}")?,
            "resources.ARN" => write!(f, "on {other}")?,
            name => write!(f, "with {name} {other}")?,
        }
        let words: Vec<String> = classes.iter().map(Class::to_string).collect();
        f.write_str(&words.join(" or "))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => f.write_str(value),
            Self::Like { starts, ends } => write!(f, "{starts}*{ends}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn said(unrecorded: &Unrecorded) -> String {
        match unrecorded {
            Unrecorded::Nothing => "nothing".to_owned(),
            Unrecorded::Unclear => "unclear".to_owned(),
            Unrecorded::Calls(gaps) => gaps.iter().map(Gap::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    fn management(request: &Value) -> String {
        said(&Selectors::read(request).expect("selectors").unrecorded_management())
    }

    fn advanced(selectors: &[&[Value]]) -> Value {
        let category = json!({"field": "eventCategory", "equals": ["Management"]});
        let selector = |extra: &&[Value]| {
            let fields = [std::slice::from_ref(&category), *extra].concat();
            json!({"fieldSelectors": fields})
        };
        json!({"advancedEventSelectors": selectors.iter().map(selector).collect::<Vec<_>>()})
    }

    #[test]
    fn what_basic_selectors_leave_out() {
        for (selectors, expected) in [
            (json!([{}]), "nothing"),
            (json!([{"readWriteType": "All", "includeManagementEvents": true}]), "nothing"),
            (json!({"ReadWriteType": "All", "IncludeManagementEvents": "true"}), "nothing"),
            (json!([{"readWriteType": "ReadOnly"}, {"readWriteType": "WriteOnly"}]), "nothing"),
            (json!([]), "all management calls"),
            (json!([{"includeManagementEvents": false}]), "all management calls"),
            (json!([{"includeManagementEvents": "False"}]), "all management calls"),
            (json!([{"readWriteType": "WriteOnly"}]), "read-only management calls"),
            (json!([{"readWriteType": "ReadOnly"}]), "changing management calls"),
            (json!([{"readWriteType": "Something"}]), "all management calls"),
            (
                json!([{"excludeManagementEventSources": ["kms.amazonaws.com", "rdsdata.amazonaws.com"]}]),
                "management calls of kms.amazonaws.com or rdsdata.amazonaws.com",
            ),
            (
                json!([{"readWriteType": "WriteOnly"},
                       {"readWriteType": "ReadOnly", "excludeManagementEventSources": ["kms.amazonaws.com"]}]),
                "read-only management calls of kms.amazonaws.com",
            ),
        ] {
            assert_eq!(management(&json!({"eventSelectors": selectors})), expected, "{selectors}");
        }
    }

    #[test]
    fn any_further_field_of_a_management_selector_leaves_something_out() {
        let me = "arn:aws:iam::111122223333:user/mallory";
        for (extra, expected) in [
            (json!({"field": "readOnly", "equals": ["false"]}), "read-only management calls"),
            (
                json!({"field": "eventSource", "notEquals": ["kms.amazonaws.com"]}),
                "management calls of kms.amazonaws.com",
            ),
            (
                json!({"Field": "eventSource", "Equals": ["s3.amazonaws.com"]}),
                "management calls of anything but s3.amazonaws.com",
            ),
            (json!({"field": "userIdentity.arn", "notEquals": [me]}), &format!("management calls by {me}")),
            (
                json!({"field": "eventName", "notStartsWith": ["Delete"], "notEquals": "StopLogging"}),
                "management calls named StopLogging or Delete*",
            ),
            (
                json!({"field": "eventType", "equals": ["AwsApiCall"]}),
                "management calls with eventType anything but AwsApiCall",
            ),
            (
                json!({"field": "sessionCredentialFromConsole", "notEquals": ["true"]}),
                "management calls with sessionCredentialFromConsole true",
            ),
            (json!({"field": "eventName", "resembles": ["x"]}), "all management calls"),
            (json!({"field": "eventName"}), "nothing"),
        ] {
            assert_eq!(management(&advanced(&[std::slice::from_ref(&extra)])), expected, "{extra}");
            assert_eq!(
                management(&advanced(&[std::slice::from_ref(&extra), &[]])),
                "nothing",
                "a second selector takes all"
            );
        }
        assert_eq!(management(&advanced(&[&[]])), "nothing");
    }

    #[test]
    fn selectors_may_complete_each_other() {
        let write = json!({"field": "readOnly", "equals": ["false"]});
        let read = json!({"field": "readOnly", "equals": ["true"]});
        let kms = json!({"field": "eventSource", "equals": ["kms.amazonaws.com"]});
        let others = json!({"field": "eventSource", "notEquals": ["kms.amazonaws.com"]});
        assert_eq!(management(&advanced(&[std::slice::from_ref(&write), std::slice::from_ref(&read)])), "nothing");
        assert_eq!(management(&advanced(&[&[kms], &[write, others.clone()], &[read, others]])), "nothing");
    }

    #[test]
    fn data_alone_is_no_management() {
        let data = json!({"advancedEventSelectors": [{"name": "Management events selector", "fieldSelectors": [
            {"field": "eventCategory", "equals": ["Data"]},
            {"field": "resources.type", "equals": ["AWS::S3::Object"]},
            {"field": "resources.ARN", "startsWith": ["arn:aws:s3:::one/"]},
        ]}]});
        assert_eq!(management(&data), "all management calls");
        let selectors = Selectors::read(&data).expect("selectors");
        assert_eq!(selectors.data_types(), BTreeSet::from(["AWS::S3::Object"]));
        let expected = "AWS::S3::Object calls on anything but arn:aws:s3:::one/*";
        assert_eq!(said(&selectors.unrecorded_data("AWS::S3::Object")), expected);
        assert_eq!(said(&selectors.unrecorded_data("AWS::Lambda::Function")), "all AWS::Lambda::Function calls");
        assert!(selectors.mention("Data") && !selectors.mention("Management"));
    }

    #[test]
    fn data_resources_of_basic_selectors() {
        let s3 = |values: Value| json!({"dataResources": [{"type": "AWS::S3::Object", "values": values}]});
        for (values, expected) in [
            (json!(["arn:aws:s3"]), "nothing"),
            (json!(["arn:aws-us-gov:s3:::"]), "nothing"),
            (json!([]), "all AWS::S3::Object calls"),
            (json!(["arn:aws:s3:::b/"]), "AWS::S3::Object calls on anything but arn:aws:s3:::b/*"),
        ] {
            let selectors = Selectors::basic(&json!([s3(values)]));
            assert_eq!(said(&selectors.unrecorded_data("AWS::S3::Object")), expected);
        }
    }

    #[test]
    fn too_much_to_tell_is_said() {
        let of = |name: &str| json!({"field": name, "notEquals": (0..60).map(|n| n.to_string()).collect::<Vec<_>>()});
        assert_eq!(management(&advanced(&[&[of("eventName"), of("eventSource")]])), "unclear");
        assert_eq!(management(&advanced(&[&[of("eventName"), of("eventSource")], &[]])), "nothing");
    }

    #[test]
    fn requests_without_selectors_say_nothing() {
        assert_eq!(Selectors::read(&Value::Null), None);
        assert_eq!(Selectors::read(&json!({"trailName": "t"})), None);
        let nonsense = Selectors::read(&json!({"advancedEventSelectors": "x", "eventSelectors": 7}));
        assert_eq!(nonsense.map(|selectors| selectors.any.len()), Some(1));
    }

    const FIELDS: [&str; 3] = ["eventName", "eventSource", "readOnly"];

    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]{1,3}", Just("true".to_owned()), Just("false".to_owned())]
    }

    fn values() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(value(), 0..3)
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let kinds = (values(), values(), values(), values(), values(), values());
        (0..FIELDS.len(), kinds, prop::bool::weighted(0.05)).prop_map(|(name, kinds, unknown)| {
            let (equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with) = kinds;
            let field = FIELDS[name].to_owned();
            Condition { field, equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with, unknown }
        })
    }

    fn selectors() -> impl Strategy<Value = Selectors> {
        let selector = prop::collection::vec(condition(), 0..3).prop_map(|mut all| {
            all.push(Condition::equals("eventCategory", &["Management"]));
            Selector { all }
        });
        prop::collection::vec(selector, 0..4).prop_map(|any| Selectors { any })
    }

    fn basic_selector() -> impl Strategy<Value = Value> {
        let words = prop::sample::select(vec![json!(null), json!("All"), json!("ReadOnly"), json!("WriteOnly")]);
        let flags = prop::sample::select(vec![json!(null), json!(true), json!(false), json!("false")]);
        let sources = prop::collection::vec(prop::sample::select(vec!["kms", "rdsdata"]), 0..3);
        let values = prop::collection::vec(
            prop::sample::select(vec!["arn:aws:s3", "arn:aws:s3:::a/", "arn:aws:s3:::b/c"]),
            0..3,
        );
        (words, flags, sources, values).prop_map(|(word, flag, sources, values)| {
            json!({"readWriteType": word, "includeManagementEvents": flag, "excludeManagementEventSources": sources,
                "dataResources": [{"type": "AWS::S3::Object", "values": values}]})
        })
    }

    /// What the API reference says of basic selectors, call by call.
    fn basically_recorded(selector: &Value, read_only: bool, source: &str, object: Option<&str>) -> bool {
        let reads = match selector["readWriteType"].as_str() {
            Some("ReadOnly") => read_only,
            Some("WriteOnly") => !read_only,
            _ => true,
        };
        let among = |values: &Value, fits: &dyn Fn(&str) -> bool| {
            values.as_array().into_iter().flatten().any(|value| fits(value.as_str().unwrap_or_default()))
        };
        reads
            && match object {
                None => {
                    !falsy(&selector["includeManagementEvents"])
                        && !among(&selector["excludeManagementEventSources"], &|excluded| excluded == source)
                }
                Some(arn) => among(&selector["dataResources"][0]["values"], &|value| arn.starts_with(value)),
            }
    }

    proptest! {
        #[test]
        fn basic_selectors_mean_what_the_api_reference_says(
            selectors in prop::collection::vec(basic_selector(), 0..4),
            read_only: bool,
            source in prop::sample::select(vec!["kms", "rdsdata", "iam"]),
            object in prop::option::of(prop::sample::select(vec![
                "arn:aws:s3:::a/x", "arn:aws:s3:::b/c", "arn:aws:s3:::b/d",
            ])),
        ) {
            let expected = selectors.iter().any(|one| basically_recorded(one, read_only, source, object));
            let read = Selectors::basic(&json!(selectors));
            let word = if read_only { "true" } else { "false" };
            let (call, unrecorded) = match object {
                None => (
                    Call::new(&[("eventCategory", "Management"), ("eventSource", source), ("readOnly", word)]),
                    read.unrecorded_management(),
                ),
                Some(arn) => (
                    Call::new(&[("eventCategory", "Data"), ("resources.type", "AWS::S3::Object"),
                        ("resources.ARN", arn), ("readOnly", word)]),
                    read.unrecorded_data("AWS::S3::Object"),
                ),
            };
            prop_assert_eq!(read.record(&call), expected);
            let gaps = match unrecorded {
                Unrecorded::Calls(gaps) => gaps,
                _ => Vec::new(),
            };
            prop_assert_eq!(gaps.iter().any(|gap| gap.holds(&call)), !expected);
        }

        #[test]
        fn a_call_is_recorded_or_in_a_gap_and_never_both(
            selectors in selectors(), name in "[ab]{0,5}", source in "[ab]{0,5}", read_only: bool
        ) {
            let call = Call::new(&[
                ("eventCategory", "Management"),
                ("eventName", &name),
                ("eventSource", &source),
                ("readOnly", if read_only { "true" } else { "false" }),
            ]);
            match selectors.unrecorded_management() {
                Unrecorded::Nothing => prop_assert!(selectors.record(&call)),
                Unrecorded::Calls(gaps) => {
                    let in_gap = gaps.iter().any(|gap| gap.holds(&call));
                    prop_assert_eq!(selectors.record(&call), !in_gap, "{:?}", gaps);
                }
                Unrecorded::Unclear => (),
            }
        }

        #[test]
        fn what_is_left_out_can_be_named(selectors in selectors()) {
            if let Unrecorded::Calls(gaps) = selectors.unrecorded_management() {
                prop_assert!(!gaps.is_empty());
                for gap in &gaps {
                    prop_assert!(gap.to_string().contains("management calls"));
                }
            }
        }

        #[test]
        fn anything_can_be_read(text in "[\\[\\]{}\",:a-zE]{0,80}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = Selectors::read(&json!({"eventSelectors": value, "advancedEventSelectors": value}));
                let _ = Selectors::basic(&value).unrecorded_management();
                let _ = Selectors::advanced(&value).unrecorded_management();
            }
        }
    }
}
