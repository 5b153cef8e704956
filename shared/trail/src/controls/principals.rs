//! Who could switch recording off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::control::{Control, Look, References, Verdict, said_list};
use crate::policy::{Policy, Statement, covers};
use crate::shape::{field, list, text};
use crate::snapshot::GLOBAL;

pub(super) const ALL: &[&Control] = &[&ADMINISTRATORS];

/// Nobody but some can switch recording off.
static ADMINISTRATORS: Control = Control {
    id: "trail-administrators",
    title: "Nobody but those expected can stop, delete or narrow trails",
    references: References {
        others: &[("SOC 2", "CC6.3"), ("NIST 800-53 r5", "AC-6(9)"), ("NIST 800-53 r5", "AU-9(4)")],
        ..References::NONE
    },
    calls: &["iam:GetAccountAuthorizationDetails"],
    judge: |look| vec![administrators(look)],
    why: "Each of these can end the record of what they do next.",
    runbook: &[
        "Take the rights from users first: their keys live long",
        "Name those that are expected in the settings",
    ],
    ..Control::BASE
};

const CALL: &str = "iam:GetAccountAuthorizationDetails";

/// Any of these ends or narrows recording.
const ENDS: [&str; 4] =
    ["cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors"];

/// AWS's own policies that give these rights, without their documents where those are not told.
const MANAGED: [&str; 4] =
    ["AdministratorAccess", "AWSCloudTrail_FullAccess", "PowerUserAccess", "SystemAdministrator"];

fn administrators(look: &Look<'_>) -> Verdict {
    let account = look.account();
    let Some(details) = look.body(CALL, GLOBAL, &[]) else { return look.blinded(account) };
    if !field(details, "RoleDetailList").is_array() || !field(details, "UserDetailList").is_array() {
        look.unreadable(CALL, GLOBAL);
        return look.blinded(account);
    }
    let documents = Documents::of(details);
    let expected = |arn: &str| look.context().trail_administrators.iter().any(|pattern| covers(pattern, arn));
    let of = |member: &str| -> BTreeSet<&str> {
        let principals = list(field(details, member)).into_iter();
        let able = principals.filter(|principal| documents.may_end(principal));
        able.map(|principal| text(field(principal, "Arn"))).filter(|arn| !expected(arn) && !is_aws(arn)).collect()
    };
    let (users, roles) = (of("UserDetailList"), of("RoleDetailList"));
    let names = |arns: &BTreeSet<&str>| said_list(arns.iter().map(|arn| arn.rsplit('/').next().unwrap_or(arn)));
    match (users.is_empty(), roles.is_empty()) {
        (true, true) => look.pass(account, "nobody but those expected, denials in policies aside"),
        (true, false) => look.partial(account, format!("{} roles can: {}", roles.len(), names(&roles))),
        (false, true) => look.fail(account, format!("{} users can: {}", users.len(), names(&users))),
        (false, false) => look.fail(
            account,
            format!("{} users can: {}; and {} roles: {}", users.len(), names(&users), roles.len(), names(&roles)),
        ),
    }
}

/// Roles that only a service of AWS takes.
fn is_aws(arn: &str) -> bool {
    arn.contains(":role/aws-service-role/")
}

/// Policies by ARN, and groups by name.
struct Documents<'v> {
    managed: BTreeMap<&'v str, Policy>,
    groups: BTreeMap<&'v str, &'v Value>,
}

impl<'v> Documents<'v> {
    fn of(details: &'v Value) -> Self {
        let current = |policy: &'v Value| {
            let versions = list(field(policy, "PolicyVersionList"));
            let is_default = |version: &&&Value| crate::shape::truthy(field(version, "IsDefaultVersion"));
            let version = versions.iter().find(is_default).or_else(|| versions.first())?;
            Some((text(field(policy, "Arn")), Policy::read(field(version, "Document"))?))
        };
        Self {
            managed: list(field(details, "Policies")).into_iter().filter_map(current).collect(),
            groups: list(field(details, "GroupDetailList"))
                .into_iter()
                .map(|group| (text(field(group, "GroupName")), group))
                .collect(),
        }
    }

    /// Whether a user or role can end recording, by any of its policies, those of its groups included.
    fn may_end(&self, principal: &Value) -> bool {
        let groups =
            list(field(principal, "GroupList")).into_iter().filter_map(|name| self.groups.get(text(name)).copied());
        let holders: Vec<&Value> = std::iter::once(principal).chain(groups).collect();
        let inline: Vec<Policy> = holders
            .iter()
            .flat_map(|holder| {
                ["UserPolicyList", "RolePolicyList", "GroupPolicyList"].map(|name| list(field(holder, name)))
            })
            .flatten()
            .filter_map(|policy| Policy::read(field(policy, "PolicyDocument")))
            .collect();
        let attached: Vec<&str> = holders
            .iter()
            .flat_map(|holder| list(field(holder, "AttachedManagedPolicies")))
            .map(|policy| text(field(policy, "PolicyArn")))
            .collect();
        let by_name = |arn: &&str| {
            !self.managed.contains_key(*arn) && MANAGED.iter().any(|name| arn.ends_with(&format!("policy/{name}")))
        };
        let policies: Vec<&Policy> =
            inline.iter().chain(attached.iter().filter_map(|arn| self.managed.get(arn))).collect();
        attached.iter().any(by_name) || ENDS.iter().any(|action| allowed(&policies, action))
    }
}

/// Whether policies together allow an action on some trail. A denial counts where nothing limits it.
fn allowed(policies: &[&Policy], action: &str) -> bool {
    let statements = || policies.iter().flat_map(|policy| &policy.statements).filter(|s| s.covers_action(action));
    let denied = |statement: &Statement| {
        !statement.allow
            && statement.conditions.is_empty()
            && statement.resources.iter().any(|resource| resource == "*")
    };
    statements().any(|statement| statement.allow && may_be_a_trail(statement)) && !statements().any(denied)
}

fn may_be_a_trail(statement: &Statement) -> bool {
    let trail = |pattern: &String| {
        pattern == "*" || pattern.starts_with("arn:*") || pattern.contains(":cloudtrail:") || pattern.starts_with('*')
    };
    !statement.not_resources.is_empty() || statement.resources.iter().any(trail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Status;
    use crate::controls::testing::{Account, assert_said, context, denied};
    use Status::{Fail, Partial, Pass, Unknown};
    use serde_json::json;

    #[test]
    fn who_can_end_recording() {
        let may = |action: &str, resource: &str| json!({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]});
        let role = |document: Value| {
            json!({"RoleName": "ci", "Arn": "arn:aws:iam::111122223333:role/ci",
                "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": document}]})
        };
        let with = |users: Value, roles: Value| {
            let mut account = Account::with_trail();
            account.answer_call(CALL, &json!({"UserDetailList": users, "RoleDetailList": roles,
                "GroupDetailList": [{"GroupName": "ops", "AttachedManagedPolicies": [{"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}]}],
                "Policies": []}));
            account
        };
        let user = json!({"UserName": "bob", "Arn": "arn:aws:iam::111122223333:user/bob", "GroupList": ["ops"]});
        let mut both = may("cloudtrail:*", "*");
        both["Statement"]
            .as_array_mut()
            .expect("statements")
            .push(json!({"Effect": "Deny", "Action": "cloudtrail:*", "Resource": "*"}));
        let service = json!({"Arn": "arn:aws:iam::1:role/aws-service-role/x", "RolePolicyList": [{"PolicyDocument": may("*", "*")}]});
        let mut refused = Account::with_trail();
        refused.refuse_call(CALL, &denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "nobody but those expected"),
            (with(json!([]), json!([role(may("cloudtrail:Get*", "*"))])), Pass, "nobody"),
            (with(json!([]), json!([role(may("*", "arn:aws:s3:::b/*"))])), Pass, "nobody"),
            (with(json!([]), json!([role(both)])), Pass, "nobody"),
            (with(json!([]), json!([service])), Pass, "nobody"),
            (
                with(json!([]), json!([role(may("cloudtrail:Stop*", "arn:aws:cloudtrail:*:*:trail/*"))])),
                Partial,
                "1 roles can: ci",
            ),
            (with(json!([user]), json!([])), Fail, "1 users can: bob"),
            (refused, Unknown, "GetAccountAuthorizationDetails denied"),
            (with(Value::Null, Value::Null), Unknown, "not known"),
        ] {
            assert_said(&account, &context(), ("trail-administrators", status, words));
        }
    }
}
