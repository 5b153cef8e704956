//! What an identity policy gives its holder.
//!
//! Statements are added up: `iam:PassRole` in one and `lambda:CreateFunction` in another make an administrator as well
//! as both in one. Denials are not subtracted: what one document denies, the next version may not.

use super::glob::{covers, is_fixed};
use super::{Condition, Policy, Statement};

/// How much a policy gives, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// It allows nothing.
    Nothing,
    /// Named actions, or named resources.
    Limited,
    /// All of a service, or code that runs with somebody else's rights.
    Wide,
    /// Whatever it takes to get more.
    Escalating,
    /// Everything.
    Administrator,
}

/// What a policy gives and by which of its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// How much.
    pub power: Power,
    /// `iam:PutUserPolicy`, `iam:PassRole with lambda:CreateFunction`, `s3:*`: a few of the reasons.
    pub through: Vec<String>,
}

/// How many reasons are named.
const REASONS: usize = 4;

/// An action of no service: whoever may do this may do anything.
const ANYTHING: &str = "no-such-service:NoSuchAction";

/// Changes of IAM that turn a foothold into administration (Rhino Security Labs' list, methods 1, 2, 4 to 14), and
/// what does the same through an organization or Identity Center.
const ESCALATIONS: [&str; 22] = [
    "iam:AttachUserPolicy",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:PutUserPolicy",
    "iam:PutGroupPolicy",
    "iam:PutRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:UpdateLoginProfile",
    "iam:AddUserToGroup",
    "iam:UpdateAssumeRolePolicy",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteRolePermissionsBoundary",
    "sts:AssumeRole",
    "sts:AssumeRoot",
    "organizations:DetachPolicy",
    "organizations:RegisterDelegatedAdministrator",
    "sso:CreateAccountAssignment",
    "sso:AttachManagedPolicyToPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
];

/// What runs code with a role that is handed over by `iam:PassRole` (methods 3, 15 to 17, 19, 21 to 25, 27).
const LAUNCHERS: [&str; 12] = [
    "ec2:RunInstances",
    "lambda:CreateFunction",
    "glue:CreateDevEndpoint",
    "glue:CreateJob",
    "cloudformation:CreateStack",
    "datapipeline:CreatePipeline",
    "sagemaker:CreateNotebookInstance",
    "sagemaker:CreateTrainingJob",
    "codebuild:CreateProject",
    "ecs:RegisterTaskDefinition",
    "states:CreateStateMachine",
    "codestar:CreateProject",
];

/// What replaces code that runs with rights of its own (methods 18, 20, 26, 28).
const CODE_SWAPS: [&str; 4] = [
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "glue:UpdateDevEndpoint",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
];

impl Policy {
    /// What an identity that holds this policy can do.
    pub fn gift(&self) -> Gift {
        let broad: Vec<&Statement> = self.allows().filter(|statement| statement.is_broad()).collect();
        let may = |action: &str| broad.iter().any(|statement| statement.covers_action(action));
        let launches = |action: &str| self.allows().any(|statement| statement.covers_action(action));
        let escalations = escalations(&may, &launches);
        let wide = || wide(&broad, &may);
        match () {
            () if may(ANYTHING) && may("iam:AttachUserPolicy") => Gift::new(Power::Administrator, everything(&broad)),
            () if may(ANYTHING) => Gift::new(Power::Escalating, everything(&broad)),
            () if !escalations.is_empty() => Gift::new(Power::Escalating, escalations),
            () => match wide() {
                reasons if !reasons.is_empty() => Gift::new(Power::Wide, reasons),
                _ if self.allows().next().is_some() => Gift::new(Power::Limited, Vec::new()),
                _ => Gift::new(Power::Nothing, Vec::new()),
            },
        }
    }
}

impl Gift {
    fn new(power: Power, mut through: Vec<String>) -> Self {
        through.truncate(REASONS);
        Self { power, through }
    }
}

impl Statement {
    /// Whether an action is among those of the statement.
    pub(crate) fn covers_action(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| covers(pattern, action))
            || (!self.not_actions.is_empty() && !self.not_actions.iter().any(|pattern| covers(pattern, action)))
    }

    /// Whether the statement is about resources at large rather than about some.
    fn is_broad(&self) -> bool {
        let at_large = !self.not_resources.is_empty() || self.resources.iter().any(|resource| is_at_large(resource));
        at_large && !self.conditions.iter().any(narrows)
    }
}

/// Whether a resource pattern covers users, roles or anything by any name. `user/${aws:username}` does not.
fn is_at_large(resource: &str) -> bool {
    const UNKNOWN: [&str; 5] = [
        "arn:aws:iam:::user/no-such-name",
        "arn:aws:iam:::role/no-such-name",
        "arn:aws:iam:::group/no-such-name",
        "arn:aws:iam:::policy/no-such-name",
        "no-such-resource",
    ];
    let anywhere = without_account(resource);
    UNKNOWN.iter().any(|name| covers(&anywhere, name))
}

/// An ARN with its account left out, and its partition the usual one: all users of one account are as good as all.
fn without_account(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, service, region, _, rest] => format!("arn:aws:{service}:{region}::{rest}"),
        _ => arn.to_owned(),
    }
}

/// Whether a condition leaves a statement with too little to gain rights by: only with a boundary, only such policies,
/// only resources with such a tag.
fn narrows(condition: &Condition) -> bool {
    const ADMINISTRATION: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
    const KEYS: [&str; 4] = ["iam:permissionsboundary", "iam:policyarn", "iam:resourcetag/", "aws:resourcetag/"];
    let key = condition.key.to_ascii_lowercase();
    condition.is_positive()
        && KEYS.iter().any(|narrow| key.starts_with(narrow))
        && condition.values.iter().all(|value| is_fixed(value) && !covers(value, ADMINISTRATION))
}

impl Condition {
    /// Whether the operator demands that the key is there and is one of the values.
    pub(crate) fn is_positive(&self) -> bool {
        const DEMANDS: [&str; 8] = [
            "stringequals",
            "stringequalsignorecase",
            "stringlike",
            "arnequals",
            "arnlike",
            "ipaddress",
            "numericequals",
            "binaryequals",
        ];
        let operator = self.operator.to_ascii_lowercase();
        let operator = operator.strip_prefix("foranyvalue:").unwrap_or(&operator);
        DEMANDS.contains(&operator) && !self.values.is_empty()
    }
}

/// `may` is asked about resources at large; what a role is handed to is as good on one resource as on all.
fn escalations(may: &impl Fn(&str) -> bool, launches: &impl Fn(&str) -> bool) -> Vec<String> {
    if may("iam:NoSuchAction") {
        return vec!["iam:*".to_owned()];
    }
    let direct = ESCALATIONS.iter().filter(|action| may(action)).map(|action| (*action).to_owned());
    let passed = LAUNCHERS.iter().filter(|action| may("iam:PassRole") && launches(action));
    direct.chain(passed.map(|action| format!("iam:PassRole with {action}"))).collect()
}

/// The words that give everything.
fn everything(broad: &[&Statement]) -> Vec<String> {
    let giving = broad.iter().filter(|statement| statement.covers_action(ANYTHING));
    let words = giving.map(|statement| match &statement.not_actions[..] {
        [] => "every action".to_owned(),
        excepted => format!("every action but {}", excepted.join(", ")),
    });
    words.collect()
}

/// Services given as a whole, and code that can be replaced.
fn wide(broad: &[&Statement], may: &impl Fn(&str) -> bool) -> Vec<String> {
    let services = broad.iter().flat_map(|statement| &statement.actions).filter(|action| action.ends_with(":*"));
    let swaps = CODE_SWAPS.iter().filter(|action| may(action)).map(|action| (*action).to_owned());
    services.cloned().chain(swaps).collect()
}

/// What a policy that AWS manages gives, by its ARN; `None` for everybody else's. Their content is not in the record.
pub fn managed_by_aws(arn: &str) -> Option<Power> {
    const GIVE_MORE: [&str; 12] = [
        "IAMFullAccess",
        "PowerUserAccess",
        "AWSOrganizationsFullAccess",
        "AWSSSOMasterAccountAdministrator",
        "AWSSSOMemberAccountAdministrator",
        "AWSSSODirectoryAdministrator",
        "SystemAdministrator",
        "DatabaseAdministrator",
        "NetworkAdministrator",
        "DataScientist",
        "AWSCodeStarFullAccess",
        "AWSAccountManagementFullAccess",
    ];
    const HARMLESS: [&str; 4] = ["ReadOnly", "ViewOnly", "SecurityAudit", "service-role/"];
    let (_, name) = arn.split_once(":iam::aws:policy/")?;
    let short = name.rsplit('/').next().unwrap_or(name);
    Some(match short {
        "AdministratorAccess" => Power::Administrator,
        _ if GIVE_MORE.contains(&short) || is_administration(short) => Power::Escalating,
        _ if HARMLESS.iter().any(|word| name.contains(word)) => Power::Limited,
        _ => Power::Wide,
    })
}

/// `AdministratorAccess-Amplify`, and full access to what hands out rights.
fn is_administration(name: &str) -> bool {
    const RIGHTS: [&str; 5] = ["IAM", "Organizations", "SecurityTokenService", "STS", "IdentityCenter"];
    name.starts_with("AdministratorAccess")
        || (name.ends_with("FullAccess") && RIGHTS.iter().any(|service| name.contains(service)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn gift(statements: &Value) -> Gift {
        Policy::read(&json!({"Version": "2012-10-17", "Statement": statements})).expect("a policy").gift()
    }

    fn allow(action: &Value, resource: &Value) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": resource})
    }

    #[test]
    fn everything_in_every_spelling_is_administration() {
        for action in [json!("*"), json!("*:*"), json!(["s3:GetObject", "**"]), json!("?*")] {
            assert_eq!(gift(&allow(&action, &json!("*"))).power, Power::Administrator, "{action}");
        }
        let trap = json!({"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "*"});
        let trap = gift(&trap);
        assert_eq!(trap.power, Power::Administrator);
        assert_eq!(trap.through, ["every action but s3:DeleteBucket"]);
        let unrelated = json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::one"});
        assert_eq!(gift(&unrelated).power, Power::Administrator);
    }

    #[test]
    fn a_power_user_gains_the_rest() {
        let excepted = json!(["iam:*", "organizations:*", "account:*"]);
        let power_user = json!({"Effect": "Allow", "NotAction": excepted, "Resource": "*"});
        assert_eq!(gift(&power_user).power, Power::Escalating);
    }

    #[test]
    fn rights_over_rights_escalate() {
        for action in ["iam:*", "IAM:Put*", "iam:*Policy", "sts:*", "organizations:*", "sso:*", "iam:CreateAccessKey"] {
            assert_eq!(gift(&allow(&json!(action), &json!("*"))).power, Power::Escalating, "{action}");
        }
        let in_one_account = json!(["arn:aws:iam::111122223333:user/*"]);
        assert_eq!(gift(&allow(&json!("iam:PutUserPolicy"), &in_one_account)).power, Power::Escalating);
    }

    #[test]
    fn a_role_to_hand_over_and_something_to_hand_it_to_escalate_together() {
        let pass = allow(&json!("iam:PassRole"), &json!("*"));
        let launch = allow(&json!("lambda:CreateFunction"), &json!("arn:aws:lambda:*:*:function:app-*"));
        assert_eq!(gift(&json!([pass, launch])).through, ["iam:PassRole with lambda:CreateFunction"]);
        let one_role = allow(&json!("iam:PassRole"), &json!("arn:aws:iam::111122223333:role/app"));
        assert_eq!(gift(&json!([one_role, launch])).power, Power::Limited);
    }

    #[test]
    fn what_concerns_oneself_or_named_things_is_limited() {
        let own = json!("arn:aws:iam::*:user/${aws:username}");
        assert_eq!(gift(&allow(&json!(["iam:CreateAccessKey", "iam:*LoginProfile"]), &own)).power, Power::Limited);
        let named = json!("arn:aws:iam::111122223333:role/app");
        assert_eq!(gift(&allow(&json!("sts:AssumeRole"), &named)).power, Power::Limited);
        assert_eq!(gift(&allow(&json!("iam:Get*"), &json!("*"))).power, Power::Limited);
    }

    #[test]
    fn a_real_condition_narrows_and_a_hollow_one_does_not() {
        let with = |condition: Value| {
            let mut statement = allow(&json!("iam:AttachRolePolicy"), &json!("*"));
            statement["Condition"] = condition;
            gift(&statement).power
        };
        let boundary = "arn:aws:iam::111122223333:policy/boundary";
        assert_eq!(with(json!({"StringEquals": {"iam:PermissionsBoundary": boundary}})), Power::Limited);
        for hollow in [
            json!({"StringLike": {"iam:PermissionsBoundary": "*"}}),
            json!({"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/*"}}),
            json!({"ArnLike": {"iam:PolicyARN": "arn:*"}}),
            json!({"StringNotEquals": {"iam:PermissionsBoundary": boundary}}),
            json!({"StringEqualsIfExists": {"iam:PermissionsBoundary": boundary}}),
            json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        ] {
            assert_eq!(with(hollow.clone()), Power::Escalating, "{hollow}");
        }
    }

    #[test]
    fn a_whole_service_is_wide_and_a_denial_is_nothing() {
        assert_eq!(gift(&allow(&json!("s3:*"), &json!("*"))).through, ["s3:*"]);
        assert_eq!(gift(&allow(&json!("lambda:UpdateFunctionCode"), &json!("*"))).power, Power::Wide);
        assert_eq!(gift(&json!({"Effect": "Deny", "Action": "*", "Resource": "*"})).power, Power::Nothing);
        assert_eq!(gift(&json!([])).power, Power::Nothing);
    }

    #[test]
    fn policies_of_aws_are_known_by_name_in_every_partition() {
        assert_eq!(managed_by_aws("arn:aws:iam::aws:policy/AdministratorAccess"), Some(Power::Administrator));
        assert_eq!(managed_by_aws("arn:aws-cn:iam::aws:policy/IAMFullAccess"), Some(Power::Escalating));
        let job = "arn:aws:iam::aws:policy/job-function/SystemAdministrator";
        assert_eq!(managed_by_aws(job), Some(Power::Escalating));
        assert_eq!(managed_by_aws("arn:aws:iam::aws:policy/ReadOnlyAccess"), Some(Power::Limited));
        assert_eq!(managed_by_aws("arn:aws:iam::aws:policy/AmazonS3FullAccess"), Some(Power::Wide));
        assert_eq!(managed_by_aws("arn:aws:iam::111122223333:policy/AdministratorAccess"), None);
    }
}
