//! What several trails record together, and what nobody can be sure of.
//!
//! Two answers are computed: what is surely recorded, and what may be recorded at best. Where they are the same it is
//! the truth whatever the doubts; where they differ the doubts are named.

use std::collections::BTreeSet;

use super::{Class, Condition, FRESH, Gap, Limit, Selector, Selectors, Unrecorded};

/// The fields that selectors may look at (CloudTrail API reference, `AdvancedFieldSelector`). A condition on any other
/// one means something that is not known here.
const FIELDS: [&str; 11] = [
    "errorCode",
    "eventCategory",
    "eventName",
    "eventSource",
    "eventType",
    "readOnly",
    "resources.ARN",
    "resources.type",
    "sessionCredentialFromConsole",
    "userIdentity.arn",
    "vpcEndpointId",
];

/// The selectors of several trails that record the same account and region.
#[derive(Debug, Clone, Default)]
pub struct Union {
    sure: Vec<Selector>,
    best: Vec<Selector>,
    doubts: BTreeSet<String>,
}

/// What is recorded of a kind of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Every call.
    Everything,
    /// All but these.
    Partly(Vec<Gap>),
    /// None.
    Nothing,
    /// Nobody can tell, and why.
    Unclear(BTreeSet<String>),
}

impl Union {
    /// Adds a trail that records.
    pub fn add(&mut self, selectors: &Selectors) {
        for selector in &selectors.any {
            let doubts: BTreeSet<String> = selector.doubts().collect();
            if doubts.is_empty() {
                self.sure.push(selector.clone());
            }
            self.best.push(selector.without_doubts());
            self.doubts.extend(doubts);
        }
    }

    /// Adds a trail of which nobody knows whether it records.
    pub fn add_doubtful(&mut self, selectors: &Selectors, doubt: &str) {
        self.best.extend(selectors.any.iter().map(Selector::without_doubts));
        self.doubts.insert(doubt.to_owned());
    }

    /// Adds a trail of which nobody knows what it records.
    pub fn add_unknown(&mut self, doubt: &str) {
        self.best.push(Selector::default());
        self.doubts.insert(doubt.to_owned());
    }

    /// The management calls that are recorded.
    pub fn management(&self) -> Recorded {
        self.recorded(Selectors::unrecorded_management)
    }

    /// The data events on one type of resources that are recorded.
    pub fn data(&self, resource_type: &str) -> Recorded {
        self.recorded(|selectors| selectors.unrecorded_data(resource_type))
    }

    /// The data events on one type of resources that are recorded, of calls that read alone or change alone.
    pub fn data_of(&self, resource_type: &str, read_only: bool) -> Recorded {
        let word = if read_only { "true" } else { "false" };
        let fixed = [("eventCategory", "Data"), ("resources.type", resource_type), ("readOnly", word)];
        self.recorded(|selectors| selectors.unrecorded(resource_type, &fixed))
    }

    fn recorded(&self, unrecorded: impl Fn(&Selectors) -> Unrecorded) -> Recorded {
        let of = |any: &[Selector]| Recorded::of(unrecorded(&Selectors { any: any.to_vec() }));
        match (of(&self.sure), of(&self.best)) {
            (Some(Recorded::Everything), _) => Recorded::Everything,
            (Some(sure), Some(best)) if sure == best => sure,
            (None, _) | (_, None) => {
                Recorded::Unclear(BTreeSet::from(["there are too many selectors to tell".to_owned()]))
            }
            _ => Recorded::Unclear(self.doubts.clone()),
        }
    }
}

impl Recorded {
    /// `None` where there are too many combinations to try.
    fn of(unrecorded: Unrecorded) -> Option<Self> {
        match unrecorded {
            Unrecorded::Nothing => Some(Self::Everything),
            Unrecorded::Calls(gaps) if gaps.iter().any(|gap| gap.limits.is_empty()) => Some(Self::Nothing),
            Unrecorded::Calls(gaps) => Some(Self::Partly(gaps)),
            Unrecorded::Unclear => None,
        }
    }
}

impl Selector {
    /// What in this selector means something that is not known here.
    fn doubts(&self) -> impl Iterator<Item = String> {
        let uncategorized = self.on("eventCategory").next().is_none();
        let uncategorized = uncategorized.then(|| "a selector has no eventCategory".to_owned());
        self.all.iter().filter_map(Condition::doubt).chain(uncategorized)
    }

    fn without_doubts(&self) -> Self {
        Self { all: self.all.iter().filter(|condition| condition.doubt().is_none()).cloned().collect() }
    }
}

impl Condition {
    fn doubt(&self) -> Option<String> {
        let Self { equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with, .. } = self;
        let lists = [equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with];
        match () {
            () if self.unknown => Some(format!("an operator on {} is not known", self.field)),
            () if !FIELDS.contains(&self.field.as_str()) => Some(format!("the field {} is not known", self.field)),
            () if lists.iter().all(|list| list.is_empty()) => Some(format!("nothing is said of {}", self.field)),
            () => None,
        }
    }
}

impl Gap {
    /// Whether some call on a resource whose ARN begins like this may fall into the gap.
    pub fn touches(&self, prefix: &str) -> bool {
        self.limit("resources.ARN").is_none_or(|limit| limit.touches(prefix))
    }

    /// Whether some call on the resource of this ARN may fall into the gap.
    pub fn meets(&self, arn: &str) -> bool {
        self.limit("resources.ARN").is_none_or(|limit| limit.holds(arn))
    }

    /// Writes the partition of all ARNs as that of most regions: for comparing with names that are the same in all.
    pub(crate) fn in_usual_partition(&mut self) {
        let usual = |class: &Class| match class {
            Class::Is(arn) => Class::Is(with_usual_partition(arn)),
            Class::Like { starts, ends } => Class::Like { starts: with_usual_partition(starts), ends: ends.clone() },
        };
        for limit in self.limits.iter_mut().filter(|limit| limit.field == "resources.ARN") {
            limit.within = limit.within.iter().map(usual).collect();
            limit.beyond = limit.beyond.iter().map(usual).collect();
        }
    }

    /// Whether every call in the gap is on a resource whose ARN begins with one of these.
    pub fn is_confined_to(&self, prefixes: &[String]) -> bool {
        let inside = |class: &Class| match class {
            Class::Is(text) | Class::Like { starts: text, .. } => {
                prefixes.iter().any(|prefix| text.starts_with(prefix.as_str()))
            }
        };
        self.limit("resources.ARN").is_some_and(|limit| limit.within.iter().all(inside))
    }
}

fn with_usual_partition(arn: &str) -> String {
    match arn.strip_prefix("arn:aws-").and_then(|rest| rest.split_once(':')) {
        Some((_, rest)) => format!("arn:aws:{rest}"),
        None => arn.to_owned(),
    }
}

impl Limit {
    fn touches(&self, prefix: &str) -> bool {
        let begins = |class: &Class| match class {
            Class::Is(text) | Class::Like { starts: text, .. } => text.starts_with(prefix),
        };
        // Some class of the rest of this prefix: what no condition names more closely.
        let rest = |class: &Class| match class {
            Class::Is(_) => false,
            Class::Like { ends, .. } => self.holds(&format!("{prefix}{FRESH}{ends}")),
        };
        self.within.iter().any(|class| begins(class) || rest(class))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Call;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const OBJECT: &str = "AWS::S3::Object";

    fn advanced(fields: &Value) -> Selectors {
        Selectors::advanced(&json!([{"FieldSelectors": fields}]))
    }

    fn union(of: &[Selectors]) -> Union {
        let mut union = Union::default();
        of.iter().for_each(|selectors| union.add(selectors));
        union
    }

    #[test]
    fn what_is_not_known_here_is_never_everything() {
        let category = json!({"Field": "eventCategory", "Equals": ["Management"]});
        for odd in [
            json!({"Field": "eventMood", "Equals": ["grim"]}),
            json!({"Field": "eventName", "Resembles": ["x"]}),
            json!({"Field": "eventName"}),
        ] {
            let odd = advanced(&json!([category, odd]));
            assert!(matches!(union(std::slice::from_ref(&odd)).management(), Recorded::Unclear(_)), "{odd:?}");
            let whole = advanced(&json!([category]));
            assert_eq!(union(&[odd, whole]).management(), Recorded::Everything);
        }
        assert!(matches!(union(&[advanced(&json!([]))]).management(), Recorded::Unclear(_)));
    }

    #[test]
    fn doubts_do_not_hide_what_is_certain() {
        let data = advanced(&json!([
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": [OBJECT]},
            {"Field": "eventMood", "Equals": ["grim"]},
        ]));
        let mut union = union(&[data]);
        assert_eq!(union.management(), Recorded::Nothing);
        assert!(matches!(union.data(OBJECT), Recorded::Unclear(_)));
        union.add_unknown("GetEventSelectors denied");
        let Recorded::Unclear(doubts) = union.management() else { panic!("unclear") };
        assert!(doubts.contains("GetEventSelectors denied"));
    }

    #[test]
    fn a_gap_knows_which_buckets_it_touches() {
        let selectors = Selectors::basic(&json!([
            {"DataResources": [{"Type": OBJECT, "Values": ["arn:aws:s3:::one/", "arn:aws:s3:::two/in/"]}]},
        ]));
        let Recorded::Partly(gaps) = union(&[selectors]).data(OBJECT) else { panic!("partly") };
        let touched = |bucket: &str| gaps.iter().any(|gap| gap.touches(&format!("arn:aws:s3:::{bucket}/")));
        assert!(!touched("one") && touched("two") && touched("three"));
        let guarded = advanced(&json!([
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": [OBJECT]},
            {"Field": "resources.ARN", "NotStartsWith": ["arn:aws:s3:::logs/"]},
        ]));
        let Recorded::Partly(gaps) = union(&[guarded]).data(OBJECT) else { panic!("partly") };
        assert!(gaps.iter().all(|gap| gap.is_confined_to(&["arn:aws:s3:::logs/".to_owned()])));
        assert!(gaps.iter().all(|gap| !gap.touches("arn:aws:s3:::other/")));
    }

    /// Selectors in the form that AWS answers, of the fields and operators that matter most, some unknown.
    fn answers() -> impl Strategy<Value = Value> {
        let arns = || {
            prop::collection::vec(
                prop::sample::select(vec!["arn:aws:s3:::a/", "arn:aws:s3:::b/x", "arn:aws:s3:::b/"]),
                1..3,
            )
        };
        let sources =
            || prop::collection::vec(prop::sample::select(vec!["kms.amazonaws.com", "rdsdata.amazonaws.com"]), 1..3);
        let names = || prop::collection::vec(prop::sample::select(vec!["Get", "Put", "GetObject"]), 1..3);
        let operator = || prop::sample::select(vec!["Equals", "NotEquals", "StartsWith", "NotStartsWith", "EndsWith"]);
        let read = prop::sample::select(vec!["true", "false"]);
        let condition = prop_oneof![
            (operator(), arns()).prop_map(|(op, values)| json!({"Field": "resources.ARN", op: values})),
            (operator(), sources()).prop_map(|(op, values)| json!({"Field": "eventSource", op: values})),
            (operator(), names()).prop_map(|(op, values)| json!({"Field": "eventName", op: values})),
            read.prop_map(|value| json!({"Field": "readOnly", "Equals": [value]})),
            Just(json!({"Field": "eventMood", "Equals": ["grim"]})),
        ];
        let kind = prop_oneof![
            Just(vec![json!({"Field": "eventCategory", "Equals": ["Management"]})]),
            Just(vec![
                json!({"Field": "eventCategory", "Equals": ["Data"]}),
                json!({"Field": "resources.type", "Equals": [OBJECT]}),
            ]),
        ];
        let selector = (kind, prop::collection::vec(condition, 0..3)).prop_map(|(mut kind, more)| {
            kind.extend(more);
            json!({"FieldSelectors": kind})
        });
        prop::collection::vec(selector, 0..3).prop_map(Value::Array)
    }

    /// The brute force: AWS's words, applied to one call. `None` where a condition means something unknown.
    fn taken(selector: &Value, call: &[(&str, String)]) -> Option<bool> {
        let mut all = true;
        for condition in selector["FieldSelectors"].as_array().into_iter().flatten() {
            let field = condition["Field"].as_str().unwrap_or_default();
            if field == "eventMood" {
                return None;
            }
            let value = call.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value.as_str());
            for (operator, values) in condition.as_object().into_iter().flatten().filter(|(key, _)| *key != "Field") {
                let any = |fits: &dyn Fn(&str) -> bool| {
                    values.as_array().into_iter().flatten().any(|v| fits(v.as_str().unwrap_or_default()))
                };
                all &= match operator.as_str() {
                    "Equals" => any(&|v| value == v),
                    "NotEquals" => !any(&|v| value == v),
                    "StartsWith" => any(&|v| value.starts_with(v)),
                    "NotStartsWith" => !any(&|v| value.starts_with(v)),
                    _ => any(&|v| value.ends_with(v)),
                };
            }
        }
        Some(all)
    }

    /// A concrete call: the fields that selectors look at.
    fn calls() -> impl Strategy<Value = Vec<(&'static str, String)>> {
        let source = prop::sample::select(vec![
            "kms.amazonaws.com",
            "rdsdata.amazonaws.com",
            "iam.amazonaws.com",
            "s3.amazonaws.com",
        ]);
        let name = prop::sample::select(vec!["GetObject", "PutObject", "GetX", "Delete", "Get"]);
        let arn = prop::sample::select(vec![
            "arn:aws:s3:::a/1",
            "arn:aws:s3:::b/x/1",
            "arn:aws:s3:::b/y",
            "arn:aws:s3:::c/",
            "arn:aws:s3:::a/",
        ]);
        (any::<bool>(), any::<bool>(), source, name, arn).prop_map(|(data, read, source, name, arn)| {
            let mut call = vec![
                ("eventCategory", if data { "Data" } else { "Management" }.to_owned()),
                ("eventSource", source.to_owned()),
                ("eventName", name.to_owned()),
                ("readOnly", read.to_string()),
            ];
            if data {
                call.extend([("resources.type", OBJECT.to_owned()), ("resources.ARN", arn.to_owned())]);
            }
            call
        })
    }

    proptest! {
        #[test]
        fn the_union_says_of_every_call_what_trying_each_selector_says(
            trails in prop::collection::vec(answers(), 0..3), call in calls()
        ) {
            let read: Vec<Selectors> = trails.iter().map(Selectors::advanced).collect();
            let union = union(&read);
            let data = call[0].1 == "Data";
            let recorded = if data { union.data(OBJECT) } else { union.management() };
            let said: Vec<Option<bool>> =
                trails.iter().flat_map(|trail| trail.as_array().into_iter().flatten()).map(|s| taken(s, &call)).collect();
            let surely = said.contains(&Some(true));
            let possibly = surely || said.contains(&None);
            let fields: Vec<(&str, &str)> = call.iter().map(|(name, value)| (*name, value.as_str())).collect();
            match recorded {
                Recorded::Everything => prop_assert!(surely),
                Recorded::Nothing => prop_assert!(!surely),
                Recorded::Partly(gaps) => {
                    let in_gap = gaps.iter().any(|gap| gap.holds(&Call::new(&fields)));
                    prop_assert!(!in_gap || !surely, "{gaps:?}");
                    prop_assert!(in_gap || possibly, "{gaps:?}");
                    if data && in_gap {
                        let arn = &call[5].1;
                        let bucket = &arn[..arn.rfind(":::").map_or(0, |at| at + 5)];
                        prop_assert!(gaps.iter().any(|gap| gap.touches(bucket)), "{bucket} {gaps:?}");
                    }
                }
                Recorded::Unclear(doubts) => prop_assert!(!doubts.is_empty()),
            }
        }

        #[test]
        fn reads_and_changes_are_told_apart(trails in prop::collection::vec(answers(), 0..3), call in calls()) {
            prop_assume!(call[0].1 == "Data");
            let union = union(&trails.iter().map(Selectors::advanced).collect::<Vec<_>>());
            let surely = trails.iter().flat_map(|t| t.as_array().into_iter().flatten()).any(|s| taken(s, &call) == Some(true));
            match union.data_of(OBJECT, call[3].1 == "true") {
                Recorded::Everything => prop_assert!(surely),
                Recorded::Nothing => prop_assert!(!surely),
                _ => (),
            }
        }
    }
}
