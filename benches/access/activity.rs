//! What was done with that access in the quarter, and how some of it was taken away.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trail::time::Time;

use super::{ADMINISTRATION, ADMINISTRATORS, DEVELOPERS, READ_ONLY, at};
use crate::corpus::{Delivery, LogFile};
use crate::{GLOBAL as AMERICA, HOME, Key, ORGANIZATION, PRODUCTION};

/// The one who has left.
pub(super) const HEIDIS_ID: &str = "AIDAEXAMPLEHEIDI00001";
pub(super) const HEIDIS_KEY: &str = "AKIAEXAMPLEHEIDI0001";

/// Mondays of the quarter, from 6 July on.
const WEEKS: i64 = 13;
const WEEK: i64 = 7 * 86_400;

/// The call of somebody.
struct Call {
    who: Value,
    service: &'static str,
    name: &'static str,
    request: Value,
    response: Value,
}

/// Log files of the quarter, a few records a week: enough to see who made use of what.
pub(crate) fn quarter(keys: &BTreeMap<&str, Key>) -> Vec<LogFile> {
    let weekly = (0..WEEKS).map(|week| (HOME, at("2026-07-06T10:20:00Z").0 + week * WEEK, weekly(week, keys)));
    let given = given().map(|(time, call)| (AMERICA, at(time).0, vec![call]));
    let file = |(region, time, calls): (&'static str, i64, Vec<Call>)| {
        let records = (1..).zip(&calls).map(|(number, call)| call.record(region, time - 600 + 20 * number)).collect();
        Delivery { account: PRODUCTION, region, time, records }.pack(Some(ORGANIZATION))
    };
    weekly.chain(given).map(file).collect()
}

/// Records of the demo's day, in a log file that is delivered then: what was decided is carried out.
pub(crate) fn carried_out(delivered: i64) -> Vec<String> {
    let calls = [
        by_bob("DetachUserPolicy", json!({"userName": "grace", "policyArn": ADMINISTRATION})),
        by_bob("DeleteLoginProfile", json!({"userName": "heidi"})),
        by_bob("DeleteAccessKey", json!({"userName": "heidi", "accessKeyId": HEIDIS_KEY})),
        by_bob("RemoveUserFromGroup", json!({"userName": "heidi", "groupName": "payments-ops"})),
        by_bob("DeleteUser", json!({"userName": "heidi"})),
    ];
    (1..).zip(&calls).map(|(number, call)| call.record(AMERICA, delivered - 500 + 31 * number)).collect()
}

/// What goes on every week.
fn weekly(week: i64, keys: &BTreeMap<&str, Key>) -> Vec<Call> {
    let user = |name: &str| of_user(name, &keys[name].principal, &keys[name].id);
    let mut calls = vec![
        call(user("ci-deploy"), "ecs", "UpdateService"),
        call(user("ci-deploy"), "ecr", "PutImage"),
        call(user("backup-nightly"), "rds", "CreateDBSnapshot"),
        call(user("frank"), "ec2", "DescribeInstances"),
        call(user("grace"), "rds", "DescribeDBInstances"),
        call(session(DEVELOPERS, "alice"), "ecs", "DescribeServices"),
        call(of_role("orders-task", "orders"), "dynamodb", "DescribeTable"),
    ];
    if week > 1 {
        calls.push(call(of_role("github-ci", "payments-main"), "ecs", "UpdateService"));
        calls.push(call(session(DEVELOPERS, "dave"), "lambda", "ListFunctions20150331"));
    }
    if week < 10 {
        calls.push(call(of_user("heidi", HEIDIS_ID, HEIDIS_KEY), "rds", "DescribeDBInstances"));
    }
    if week % 4 == 1 {
        calls.push(call(user("grace"), "rds", "RebootDBInstance"));
        calls.push(call(session(ADMINISTRATORS, "bob"), "config", "DescribeConfigRules"));
        calls.push(call(session(READ_ONLY, "carol"), "monitoring", "GetMetricData"));
    }
    if week == 7 {
        let passing = of_user("temp-migrate", "AIDAEXAMPLETEMPMIGRAT", "AKIAEXAMPLETEMPMIGRA");
        calls.push(call(passing, "rds", "CreateDBSnapshot"));
    }
    calls
}

/// Who was given access in the quarter, and by whom.
fn given() -> impl Iterator<Item = (&'static str, Call)> {
    let answered = |call: Call, name: &str| {
        let arn = format!("arn:aws:iam::{PRODUCTION}:role/{name}");
        Call { response: json!({"role": {"path": "/", "roleName": name, "arn": arn}}), ..call }
    };
    let pipeline = of_role("cloudformation-deploy", "AWSCloudFormation");
    let of_pipeline = Call { who: pipeline, ..by_bob("CreateRole", json!({"roleName": "github-ci"})) };
    let of_partner = by_bob("CreateRole", json!({"roleName": "partner-collector"}));
    let passing = json!({"userName": "temp-migrate"});
    [
        ("2026-07-14T09:20:00Z", answered(of_pipeline, "github-ci")),
        ("2026-07-20T14:40:00Z", by_bob("AttachUserPolicy", json!({"userName": "grace", "policyArn": ADMINISTRATION}))),
        ("2026-08-04T13:40:00Z", answered(of_partner, "partner-collector")),
        ("2026-08-21T09:40:00Z", by_bob("CreateUser", passing.clone())),
        ("2026-08-28T16:40:00Z", by_bob("DeleteUser", passing)),
    ]
    .into_iter()
}

fn call(who: Value, service: &'static str, name: &'static str) -> Call {
    Call { who, service, name, request: Value::Null, response: Value::Null }
}

/// A call by the one who keeps the accounts.
fn by_bob(name: &'static str, request: Value) -> Call {
    Call { request, ..call(session(ADMINISTRATORS, "bob"), "iam", name) }
}

fn of_user(name: &str, id: &str, key: &str) -> Value {
    json!({"type": "IAMUser", "principalId": id, "arn": format!("arn:aws:iam::{PRODUCTION}:user/{name}"),
        "accountId": PRODUCTION, "accessKeyId": key, "userName": name})
}

/// A person's session through Identity Center.
fn session(role: &str, person: &str) -> Value {
    let issuer = format!("aws-reserved/sso.amazonaws.com/eu-west-1/{role}");
    assumed(role, &issuer, &format!("{person}@example.com"))
}

fn of_role(role: &str, session: &str) -> Value {
    assumed(role, role, session)
}

fn assumed(role: &str, issuer: &str, session: &str) -> Value {
    let id = format!("AROAEXAMPLE{}", role.len());
    json!({"type": "AssumedRole", "principalId": format!("{id}:{session}"), "accountId": PRODUCTION,
        "arn": format!("arn:aws:sts::{PRODUCTION}:assumed-role/{role}/{session}"), "accessKeyId": "ASIAEXAMPLE7Q2MSTAFF1",
        "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": id, "accountId": PRODUCTION,
            "arn": format!("arn:aws:iam::{PRODUCTION}:role/{issuer}"), "userName": role}}})
}

impl Call {
    fn record(&self, region: &str, time: i64) -> String {
        let Self { who, service, name, request, response } = self;
        let reads = ["Describe", "Get", "List"].iter().any(|begin| name.starts_with(begin));
        let id = |kind: &str| format!("{kind}-{:04x}-4000-8000-{time:012x}", service.len() * 256 + name.len());
        json!({
            "eventVersion": "1.11", "userIdentity": who, "eventTime": Time(time),
            "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "awsRegion": region,
            "sourceIPAddress": "203.0.113.40", "userAgent": "aws-cli/2.31.18 md/awscrt#0.27.6 ua/2.1 os/linux#6.12",
            "requestParameters": request, "responseElements": response, "requestID": id("7e57ab1e"),
            "eventID": id("6ca11ed0"), "readOnly": reads, "eventType": "AwsApiCall", "managementEvent": true,
            "recipientAccountId": PRODUCTION, "eventCategory": "Management",
        })
        .to_string()
    }
}
