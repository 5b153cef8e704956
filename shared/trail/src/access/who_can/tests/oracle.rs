//! The same answers, found the obvious way: every condition both true and false, every action on every resource tried.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PROD, names};
use crate::access::testing::{World, managed, user};
use crate::access::who_can::Question;
use crate::policy::covers;

const ACTIONS: [&str; 4] = ["s3:Get", "s3:Put", "s3:Del", "rds:Del"];
const RESOURCES: [&str; 3] = ["arn:aws:s3:::a/x", "arn:aws:s3:::a/y", "arn:aws:s3:::b/x"];
const ACTION_PATTERNS: [&str; 8] = ["*", "s3:*", "s3:Get", "s3:?et", "s3:*e*", "S3:del", "rds:Del", "*:Del"];
const RESOURCE_PATTERNS: [&str; 6] =
    ["*", "arn:aws:s3:::a/*", "arn:aws:s3:::a/x", "arn:aws:s3:::?/x", "arn:aws:s3:::b/x", "arn:aws:s3:::*/y"];

/// A statement as data.
#[derive(Debug, Clone)]
struct Said {
    allow: bool,
    actions: Named,
    resources: Named,
    conditional: bool,
}

/// Patterns, or everything but those.
#[derive(Debug, Clone)]
struct Named {
    but: bool,
    patterns: Vec<&'static str>,
}

impl Named {
    fn is_about(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| covers(pattern, text)) != self.but
    }
}

impl Said {
    fn json(&self) -> Value {
        let mut statement = json!({"Effect": if self.allow { "Allow" } else { "Deny" }});
        statement[if self.actions.but { "NotAction" } else { "Action" }] = json!(self.actions.patterns);
        statement[if self.resources.but { "NotResource" } else { "Resource" }] = json!(self.resources.patterns);
        if self.conditional {
            statement["Condition"] = json!({"Bool": {"aws:SecureTransport": "true"}});
        }
        statement
    }

    fn concerns(&self, action: &str, resource: &str, condition: bool) -> bool {
        self.actions.is_about(action) && self.resources.is_about(resource) && (condition || !self.conditional)
    }
}

/// Statements of the user, its boundary, and two levels of service control policies.
#[derive(Debug, Clone)]
struct Layers {
    own: Vec<Said>,
    boundary: Option<Vec<Said>>,
    unit: Option<Vec<Said>>,
    account: Option<Vec<Said>>,
}

impl Layers {
    /// Conditions of what allows are `allowing`, those of what denies are not.
    fn allows(&self, action: &str, resource: &str, allowing: bool) -> bool {
        let limits = [&self.boundary, &self.unit, &self.account];
        let all = || std::iter::once(&self.own).chain(limits.into_iter().flatten());
        let says = |said: &&Said| {
            let condition = if said.allow { allowing } else { !allowing };
            said.concerns(action, resource, condition)
        };
        let denied = all().flatten().filter(|said| !said.allow).any(|said| says(&said));
        !denied && all().all(|layer| layer.iter().filter(|said| said.allow).any(|said| says(&said)))
    }

    fn world(&self) -> World {
        let json = |layer: &[Said]| Value::from(layer.iter().map(Said::json).collect::<Vec<_>>());
        let edge = "arn:aws:iam::111122223333:policy/edge";
        let mut told =
            json!({"UserPolicyList": [{"PolicyName": "own", "PolicyDocument": {"Statement": json(&self.own)}}]});
        let mut policies = Vec::new();
        if let Some(boundary) = &self.boundary {
            told["PermissionsBoundary"] = json!({"PermissionsBoundaryArn": edge});
            policies.push(managed(edge, &json(boundary)));
        }
        let mut world = World::new();
        world.account(PROD, &json!({"users": [user(PROD, "u", told)], "policies": policies}));
        let level = |layer: &Option<Vec<Said>>, id: &str, target: &str| match layer {
            Some(said) => json!({"id": id, "targets": [target], "statements": json(said)}),
            None => json!({"id": "p-FullAWSAccess", "targets": [target]}),
        };
        world.organization(&json!([
            level(&None, "", "r-root"),
            level(&self.unit, "p-unit", "ou-prod"),
            level(&self.account, "p-account", PROD),
        ]));
        world
    }
}

fn said() -> impl Strategy<Value = Said> {
    let rarely = || prop::bool::weighted(0.2);
    let named = |patterns: &'static [&'static str]| {
        let some = prop::collection::vec(prop::sample::select(patterns), 1..3);
        (rarely(), some).prop_map(|(but, patterns)| Named { but, patterns })
    };
    let elements = (prop::bool::weighted(0.7), named(&ACTION_PATTERNS), named(&RESOURCE_PATTERNS), rarely());
    elements.prop_map(|(allow, actions, resources, conditional)| Said { allow, actions, resources, conditional })
}

fn layers() -> impl Strategy<Value = Layers> {
    let limit = || prop::option::weighted(0.4, prop::collection::vec(said(), 1..4));
    (prop::collection::vec(said(), 0..4), limit(), limit(), limit()).prop_map(|(own, boundary, unit, account)| Layers {
        own,
        boundary,
        unit,
        account,
    })
}

fn found(layers: &Layers, action: &str, resource: Option<&str>) -> &'static str {
    let answer = layers.world().access().who_can(&Question { action, resource }).expect("a good question");
    match names(&answer).first().map(String::as_str) {
        None => "no",
        Some("u") => "yes",
        Some(_) => "perhaps",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// One action on one resource: exactly the same.
    #[test]
    fn one_action_on_one_resource(
        layers in layers(),
        action in prop::sample::select(&ACTIONS[..]),
        resource in prop::sample::select(&RESOURCES[..]),
    ) {
        let expected = match (layers.allows(action, resource, true), layers.allows(action, resource, false)) {
            (_, true) => "yes",
            (true, false) => "perhaps",
            (false, false) => "no",
        };
        prop_assert_eq!(found(&layers, action, Some(resource)), expected);
    }

    /// Any of many: whatever is found by trying is told. Beyond those tried there may be more.
    #[test]
    fn any_action_on_any_resource(
        layers in layers(),
        pattern in prop::sample::select(&["s3:*", "s3:?e*", "s3:Get"][..]),
        resource in prop::option::of(prop::sample::select(&RESOURCE_PATTERNS[..])),
    ) {
        let actions = ACTIONS.iter().filter(|action| covers(pattern, action));
        let tried = |allowing: bool| {
            let asked = resource.unwrap_or("*");
            actions.clone().any(|action| {
                let mut resources = RESOURCES.iter().filter(|name| covers(asked, name));
                resources.any(|name| layers.allows(action, name, allowing))
            })
        };
        let told = found(&layers, pattern, resource);
        prop_assert!(!tried(true) || told != "no", "{} {:?}", told, layers);
        // What is certain is allowed on something, at least with a lucky name: never told where nothing allows it.
        let allows = layers.own.iter().any(|said| said.allow);
        prop_assert!(allows || told == "no");
    }
}
