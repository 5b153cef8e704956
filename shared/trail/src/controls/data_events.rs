//! Whether calls on data are recorded: objects in S3, invocations of Lambda functions.

use std::collections::BTreeSet;

use super::recording::{gaps_said, union};
use crate::alert::clean;
use crate::control::{Control, Look, References, Verdict, said_list};
use crate::selectors::{Gap, Recorded};
use crate::shape::{field, list, text};
use crate::snapshot::GLOBAL;

pub(super) const ALL: &[&Control] = &[&S3_WRITE, &S3_READ, &LAMBDA];

const OBJECT: &str = "AWS::S3::Object";
const FUNCTION: &str = "AWS::Lambda::Function";

/// What the three have in common.
const DATA: Control = Control {
    calls: &[
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
        "s3:ListBuckets",
    ],
    runbook: &[
        "Say in the settings which buckets and functions matter",
        "Look what recording would cost",
        "Add a data selector beside the management selector",
    ],
    ..Control::BASE
};

/// Changes of objects are recorded.
static S3_WRITE: Control = Control {
    id: "s3-write-events",
    title: "Changes of objects in S3 are recorded",
    references: References {
        cis: ["3.10", "3.8", "4.8"],
        others: &[
            ("Security Hub", "S3.22"),
            ("SOC 2", "CC2.1"),
            ("SOC 2", "CC7.2"),
            ("SOC 2", "PI1.2"),
            ("PCI DSS 4.0", "10.2.1"),
            ("NIST 800-53 r5", "AU-12"),
            ("ISO 27001:2022", "A.8.15"),
        ],
    },
    judge: |look| vec![objects(look, false)],
    why: "Without these nobody can say which objects were replaced or deleted, by whom.",
    ..DATA
};

/// Reading of objects is recorded.
static S3_READ: Control = Control {
    id: "s3-read-events",
    title: "Reading of objects in S3 is recorded",
    references: References {
        cis: ["3.11", "3.9", "4.9"],
        others: &[
            ("Security Hub", "S3.23"),
            ("SOC 2", "CC2.1"),
            ("SOC 2", "CC7.2"),
            ("PCI DSS 3.2.1", "10.2.1"),
            ("NIST 800-53 r5", "AU-12"),
            ("ISO 27001:2022", "A.8.15"),
        ],
    },
    judge: |look| vec![objects(look, true)],
    why: "Without these nobody can say what was taken when credentials were stolen.",
    ..DATA
};

/// Invocations of functions are recorded.
static LAMBDA: Control = Control {
    id: "lambda-invoke-events",
    title: "Invocations of Lambda functions are recorded",
    references: References { others: &[("SOC 2", "CC7.2"), ("NIST 800-53 r5", "AU-12")], ..References::NONE },
    calls: &[
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
        "lambda:ListFunctions",
    ],
    judge: functions,
    why: "A function acts with rights of its own: whoever invokes it acts with them.",
    ..DATA
};

fn objects(look: &Look<'_>, read_only: bool) -> Verdict {
    let account = look.account();
    let Some(listed) = look.body("s3:ListBuckets", GLOBAL, &[]) else { return look.blinded(account) };
    if !field(listed, "Buckets").is_array() {
        look.unreadable("s3:ListBuckets", GLOBAL);
        return look.blinded(account);
    }
    let listed = list(field(listed, "Buckets"));
    // The objects of a log bucket are written by the trail itself: recording them would never end.
    let logs: BTreeSet<&str> = look.trails().iter().map(|trail| trail.bucket).collect();
    let mattering = listed.iter().map(|bucket| (text(field(bucket, "Name")), text(field(bucket, "BucketRegion"))));
    let mattering = mattering.filter(|(name, _)| look.context().buckets.hold(name) && !logs.contains(name));
    let buckets: Vec<Thing<'_>> = mattering
        .map(|(name, region)| {
            let region = look.view.regions().get(region).copied().unwrap_or_default();
            Thing { name, place: Place::Under(format!("arn:aws:s3:::{name}/"), region) }
        })
        .collect();
    if buckets.is_empty() {
        let is_trails = |bucket: &&serde_json::Value| logs.contains(text(field(bucket, "Name")));
        let reason = match () {
            () if listed.is_empty() => "there are no buckets",
            () if listed.iter().all(is_trails) => "there are no buckets but those of trails",
            () => "none of the buckets matters, by the settings",
        };
        return look.not_applicable(account, reason);
    }
    let guard: Vec<String> = logs.iter().map(|bucket| format!("arn:aws:s3:::{bucket}/")).collect();
    let regions: Vec<Seen> = look
        .view
        .regions()
        .iter()
        .map(|region| Seen::of(region, usual(union(look, region).data_of(OBJECT, read_only)), &guard))
        .collect();
    verdict(look, &Things { what: "bucket", kind: OBJECT, all: buckets }, &regions)
}

/// Selectors name ARNs with the partition they are in; the names of buckets are the same in all.
fn usual(recorded: Recorded) -> Recorded {
    let Recorded::Partly(mut gaps) = recorded else { return recorded };
    gaps.iter_mut().for_each(Gap::in_usual_partition);
    Recorded::Partly(gaps)
}

fn functions(look: &Look<'_>) -> Vec<Verdict> {
    let account = look.account();
    let (mut things, mut regions, mut all, mut unlisted) = (Vec::new(), Vec::new(), 0, false);
    for region in look.view.regions() {
        let Some(listed) = look.body("lambda:ListFunctions", region, &[]) else {
            unlisted = true;
            continue;
        };
        if !field(listed, "Functions").is_array() {
            look.unreadable("lambda:ListFunctions", region);
            unlisted = true;
        }
        let found = list(field(listed, "Functions"));
        all += found.len();
        let mattering: Vec<Thing<'_>> = found
            .into_iter()
            .map(|function| (text(field(function, "FunctionName")), text(field(function, "FunctionArn"))))
            .filter(|(name, _)| look.context().functions.hold(name))
            .map(|(name, arn)| Thing { name, place: Place::At(arn, region) })
            .collect();
        if !mattering.is_empty() {
            regions.push(Seen::of(region, union(look, region).data(FUNCTION), &[]));
            things.extend(mattering);
        }
    }
    if unlisted {
        return vec![look.blinded(account)];
    }
    if things.is_empty() {
        let reason = if all == 0 { "there are no functions" } else { "none of the functions matters, by the settings" };
        return vec![look.not_applicable(account, reason)];
    }
    vec![verdict(look, &Things { what: "function", kind: FUNCTION, all: things }, &regions)]
}

/// A bucket or function, and by which ARNs calls on it are known.
#[derive(Debug)]
struct Thing<'t> {
    name: &'t str,
    place: Place<'t>,
}

/// By which ARNs calls on a thing are known.
#[derive(Debug)]
enum Place<'t> {
    /// By all that begin like this, in this region; empty where the region is not known.
    Under(String, &'t str),
    /// By this one, in this region.
    At(&'t str, &'t str),
}

#[derive(Debug)]
struct Things<'t> {
    what: &'static str,
    kind: &'static str,
    all: Vec<Thing<'t>>,
}

/// What is recorded in a region.
#[derive(Debug)]
struct Seen {
    region: String,
    recorded: Recorded,
}

impl Seen {
    /// A gap that holds nothing but objects of log buckets is no gap.
    fn of(region: &str, recorded: Recorded, guard: &[String]) -> Self {
        let recorded = match recorded {
            Recorded::Partly(gaps) => match gaps.into_iter().filter(|gap| !gap.is_confined_to(guard)).collect() {
                gaps if Vec::is_empty(&gaps) => Recorded::Everything,
                gaps => Recorded::Partly(gaps),
            },
            other => other,
        };
        Self { region: region.to_owned(), recorded }
    }

    /// Whether all that is done to a thing is recorded here. Elsewhere nothing is done to it.
    fn holds(&self, thing: &Thing<'_>) -> bool {
        let (Place::At(_, region) | Place::Under(_, region)) = &thing.place;
        if !region.is_empty() && *region != self.region {
            return true;
        }
        match &self.recorded {
            Recorded::Everything => true,
            Recorded::Partly(gaps) => match &thing.place {
                Place::Under(prefix, _) => !gaps.iter().any(|gap| gap.touches(prefix)),
                Place::At(arn, _) => !gaps.iter().any(|gap| gap.meets(arn)),
            },
            Recorded::Nothing | Recorded::Unclear(_) => false,
        }
    }
}

fn verdict(look: &Look<'_>, things: &Things<'_>, regions: &[Seen]) -> Verdict {
    let account = look.account();
    let Things { what, kind, all: things } = things;
    let cost = look.context().price.said(kind);
    let total = things.len();
    let whole = |thing: &&Thing<'_>| regions.iter().all(|region| region.holds(thing));
    let uncovered: Vec<&str> = things.iter().filter(|thing| !whole(thing)).map(|thing| thing.name).collect();
    if uncovered.is_empty() && !regions.is_empty() {
        let by_name = regions.iter().any(|region| region.recorded != Recorded::Everything);
        let hint = if by_name { "; by name, so a new one will not be" } else { "" };
        return look.pass(account, format!("calls on all of {total} {what}s are recorded{hint}"));
    }
    if regions.iter().any(|region| matches!(region.recorded, Recorded::Unclear(_))) || regions.is_empty() {
        return unclear(look, regions);
    }
    let missing = format!(
        "not recorded for {} of {total} {what}s: {}; {cost}",
        uncovered.len(),
        said_list(uncovered.iter().copied())
    );
    if regions.iter().all(|region| region.recorded == Recorded::Nothing) {
        return look.fail(account, missing);
    }
    let gaps: BTreeSet<String> = regions
        .iter()
        .filter_map(|region| match &region.recorded {
            Recorded::Partly(gaps) => Some(gaps_said(gaps)),
            Recorded::Nothing => Some(format!("nothing in {}", clean(&region.region))),
            _ => None,
        })
        .collect();
    look.partial(account, format!("{} ({})", missing, said_list(gaps.iter().map(String::as_str))))
}

fn unclear(look: &Look<'_>, regions: &[Seen]) -> Verdict {
    if look.is_blind() {
        return look.blinded(look.account());
    }
    let doubts: BTreeSet<&str> = regions
        .iter()
        .filter_map(|region| match &region.recorded {
            Recorded::Unclear(doubts) => Some(doubts.iter().map(String::as_str)),
            _ => None,
        })
        .flatten()
        .collect();
    look.unknown(look.account(), format!("cannot tell what is recorded: {}", said_list(doubts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Context, Matters, Status};
    use crate::controls::testing::{Account, TRAIL, assert_said, context, denied};
    use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
    use serde_json::{Value, json};

    fn data(kind: &str, more: &[Value]) -> Value {
        let mut fields = vec![
            json!({"Field": "eventCategory", "Equals": ["Data"]}),
            json!({"Field": "resources.type", "Equals": [kind]}),
        ];
        fields.extend_from_slice(more);
        json!([{"FieldSelectors": fields}])
    }

    fn with(selectors: Value) -> Account {
        let mut account = Account::with_trail();
        account.advanced(selectors);
        account
    }

    #[test]
    fn changes_and_reads_of_objects() {
        let reads = with(data(OBJECT, &[json!({"Field": "readOnly", "Equals": ["true"]})]));
        let one = with(data(OBJECT, &[json!({"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::orders/"]})]));
        let guarded =
            with(data(OBJECT, &[json!({"Field": "resources.ARN", "NotStartsWith": ["arn:aws:s3:::org-logs/"]})]));
        let named = with(data(
            OBJECT,
            &[json!({"Field": "resources.ARN",
            "StartsWith": ["arn:aws:s3:::orders/", "arn:aws:s3:::images/"]})],
        ));
        let deletes = with(data(OBJECT, &[json!({"Field": "eventName", "Equals": ["DeleteObject"]})]));
        let mut empty = with(json!([]));
        empty.put("s3:ListBuckets", GLOBAL, &[], json!({"Buckets": []}));
        let none = with(json!([{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]));
        let mut unlisted = Account::with_trail();
        unlisted.refuse_call("s3:ListBuckets", &denied());
        let mut one_region = Account::with_trail();
        one_region.put("cloudtrail:GetTrailStatus", "us-east-1", &[("Name", TRAIL)], json!({"IsLogging": false}));
        let mut unseen = Account::with_trail();
        unseen.refuse_call("cloudtrail:GetEventSelectors", &denied());
        for (account, write, read, words) in [
            (Account::with_trail(), Pass, Pass, "all of 2 buckets"),
            (guarded, Pass, Pass, "all of 2 buckets"),
            (named, Pass, Pass, "a new one will not be"),
            (reads, Fail, Pass, ""),
            (one, Partial, Partial, "1 of 2 buckets: images"),
            (deletes, Partial, Partial, "not recorded for 2 of 2 buckets"),
            (none, Fail, Fail, "recording costs 0.10 USD per 100,000 calls"),
            (one_region, Partial, Partial, "nothing in us-east-1"),
            (empty, NotApplicable, NotApplicable, "no buckets"),
            (unlisted, Unknown, Unknown, "ListBuckets denied"),
            (unseen, Unknown, Unknown, "GetEventSelectors denied"),
        ] {
            assert_said(&account, &context(), ("s3-write-events", write, words));
            assert_said(&account, &context(), ("s3-read-events", read, words));
        }
    }

    #[test]
    fn the_settings_say_what_matters() {
        let one = with(data(OBJECT, &[json!({"Field": "resources.ARN", "StartsWith": ["arn:aws-cn:s3:::orders/"]})]));
        let of = |name: &str| Context { buckets: Matters::These(vec![name.to_owned()]), ..context() };
        assert_said(&one, &of("ord*"), ("s3-write-events", Pass, "1 buckets"));
        assert_said(&one, &of("images"), ("s3-write-events", Partial, "images"));
        assert_said(&one, &of("none"), ("s3-write-events", NotApplicable, "settings"));
    }

    #[test]
    fn invocations_of_functions() {
        let arn = "arn:aws:lambda:eu-west-1:111122223333:function:pay";
        let one = with(data(FUNCTION, &[json!({"Field": "resources.ARN", "Equals": [arn]})]));
        let mut basic = Account::with_trail();
        basic.basic(json!([{"DataResources": [{"Type": FUNCTION, "Values": ["arn:aws:lambda"]}]}]));
        let none = with(data(OBJECT, &[]));
        let mut empty = none.clone();
        empty.answer_call("lambda:ListFunctions", &json!({"Functions": []}));
        let mut unlisted = Account::with_trail();
        unlisted.refuse_call("lambda:ListFunctions", &denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "all of 2 functions"),
            (basic, Pass, "all of 2 functions"),
            (one, Partial, "1 of 2 functions"),
            (none, Fail, "2 of 2 functions"),
            (empty, NotApplicable, "no functions"),
            (unlisted, Unknown, "ListFunctions denied"),
        ] {
            assert_said(&account, &context(), ("lambda-invoke-events", status, words));
        }
    }
}
