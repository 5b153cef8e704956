//! Snapshots for the tests of access: an organization of a management account and two others.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Access;
use crate::snapshot::{Answer, Cause, Refusal, Reply, Snapshot, VERSION};
use crate::time::Time;

/// The management account, which service control policies do not bind.
pub(crate) const MANAGEMENT: &str = "000000000001";
/// An account in the unit `ou-prod`.
pub(crate) const PROD: &str = "111122223333";
/// An account directly below the root.
pub(crate) const SANDBOX: &str = "444455556666";

/// What the accounts of a test answer.
#[derive(Default)]
pub(crate) struct World {
    snapshots: BTreeMap<String, Vec<Answer>>,
}

impl World {
    /// An account that nobody asked.
    pub(crate) fn without(mut self, account: &str) -> Self {
        self.snapshots.remove(account);
        self
    }

    /// An organization with nobody in it and no service control policies.
    pub(crate) fn new() -> Self {
        let mut world = Self::default();
        for account in [MANAGEMENT, PROD, SANDBOX] {
            world.account(account, &json!({}));
        }
        world.organization(&json!([]));
        world.tell(MANAGEMENT, "sso:ListInstances", &[], json!({"Instances": []}));
        world
    }

    /// An answer.
    pub(crate) fn tell(&mut self, account: &str, call: &str, parameters: &[(&str, &str)], body: Value) {
        self.put(account, call, parameters, Reply::Body(body));
    }

    /// A refusal.
    pub(crate) fn refuse(&mut self, account: &str, call: &str, parameters: &[(&str, &str)], refused: (Cause, &str)) {
        let (cause, code) = refused;
        let refusal = Refusal { cause, code: code.to_owned(), message: String::new() };
        self.put(account, call, parameters, Reply::Refusal(refusal));
    }

    /// In place of what the same question was answered before.
    fn put(&mut self, account: &str, call: &str, parameters: &[(&str, &str)], result: Reply) {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let answer = Answer {
            call: call.to_owned(),
            account: account.to_owned(),
            region: "global".to_owned(),
            parameters,
            time: Time(1_790_000_000),
            request_id: String::new(),
            sha256: String::new(),
            pages: Vec::new(),
            result,
        };
        let answers = self.snapshots.entry(account.to_owned()).or_default();
        answers.retain(|known| known.call != answer.call || known.parameters != answer.parameters);
        answers.push(answer);
    }

    /// The principals of an account: `{"users": [...], "roles": [...], "groups": [...], "policies": [...]}`, each as
    /// IAM tells them.
    pub(crate) fn account(&mut self, account: &str, told: &Value) {
        let list = |name: &str| if told[name].is_array() { told[name].clone() } else { json!([]) };
        let details = json!({
            "UserDetailList": list("users"),
            "RoleDetailList": list("roles"),
            "GroupDetailList": list("groups"),
            "Policies": list("policies"),
        });
        self.tell(account, "iam:GetAccountAuthorizationDetails", &[], details);
        self.report(account, &[]);
        self.tell(account, "iam:ListVirtualMFADevices", &[], json!({"VirtualMFADevices": []}));
        self.tell(account, "iam:ListSAMLProviders", &[], json!({"SAMLProviderList": []}));
        self.tell(account, "iam:ListOpenIDConnectProviders", &[], json!({"OpenIDConnectProviderList": []}));
    }

    /// The credential report with these lines below its heading.
    pub(crate) fn report(&mut self, account: &str, lines: &[&str]) {
        const HEADING: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
            mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
            access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date";
        let text = [&[HEADING], lines].concat().join("\n");
        let body = json!({"Content": STANDARD.encode(text), "ReportFormat": "text/csv"});
        self.tell(account, "iam:GetCredentialReport", &[], body);
    }

    /// Service control policies: `[{"id": .., "targets": [..], "statements": [..]}]`.
    pub(crate) fn organization(&mut self, policies: &Value) {
        let accounts = [MANAGEMENT, PROD, SANDBOX].map(|id| json!({"Id": id, "Name": id, "State": "ACTIVE"}));
        self.tell(MANAGEMENT, "organizations:ListAccounts", &[], json!({"Accounts": accounts}));
        let about = json!({"Organization": {"Id": "o-1", "MasterAccountId": MANAGEMENT}});
        self.tell(MANAGEMENT, "organizations:DescribeOrganization", &[], about);
        for (child, parent) in [(MANAGEMENT, "r-root"), (SANDBOX, "r-root"), ("ou-prod", "r-root"), (PROD, "ou-prod")] {
            let kind = if parent.starts_with("r-") { "ROOT" } else { "ORGANIZATIONAL_UNIT" };
            let parents = json!({"Parents": [{"Id": parent, "Type": kind}]});
            self.tell(MANAGEMENT, "organizations:ListParents", &[("ChildId", child)], parents);
        }
        let policies = policies.as_array().cloned().unwrap_or_default();
        let kind = "SERVICE_CONTROL_POLICY";
        let summary = |policy: &Value| json!({"Id": policy["id"], "Arn": policy["id"], "Type": kind});
        let listed = json!({"Policies": policies.iter().map(summary).collect::<Vec<_>>()});
        self.tell(MANAGEMENT, "organizations:ListPolicies", &[("Filter", kind)], listed);
        for policy in &policies {
            let about = [("PolicyId", policy["id"].as_str().expect("an id"))];
            let content = json!({"Statement": policy["statements"]}).to_string();
            let document = json!({"Policy": {"PolicySummary": summary(policy), "Content": content}});
            self.tell(MANAGEMENT, "organizations:DescribePolicy", &about, document);
            let target = |id: &Value| json!({"TargetId": id, "Type": "ROOT"});
            let targets: Vec<Value> = policy["targets"].as_array().into_iter().flatten().map(target).collect();
            self.tell(MANAGEMENT, "organizations:ListTargetsForPolicy", &about, json!({"Targets": targets}));
        }
    }

    /// Identity Center: `{"users": [ids], "groups": {id: [members]}, "sets": [{"name", "managed", "inline", "customer",
    /// "boundary"}], "assignments": [[account, set, principal]]}`.
    pub(crate) fn directory(&mut self, told: &Value) {
        let empty = serde_json::Map::new();
        let instance = json!({"InstanceArn": "arn:aws:sso:::instance/ssoins-1", "IdentityStoreId": "d-1"});
        self.tell(MANAGEMENT, "sso:ListInstances", &[], json!({"Instances": [instance]}));
        let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let user = |id: Value| json!({"UserId": id, "UserName": id, "DisplayName": id});
        let users: Vec<Value> = array(&told["users"]).into_iter().map(user).collect();
        self.tell(MANAGEMENT, "identitystore:ListUsers", &[], json!({"Users": users}));
        let groups = told["groups"].as_object().unwrap_or(&empty);
        let named: Vec<Value> = groups.keys().map(|id| json!({"GroupId": id, "DisplayName": id})).collect();
        self.tell(MANAGEMENT, "identitystore:ListGroups", &[], json!({"Groups": named}));
        for (group, members) in groups {
            let membership = |id: Value| json!({"GroupId": group, "MemberId": {"UserId": id}});
            let members: Vec<Value> = array(members).into_iter().map(membership).collect();
            let body = json!({"GroupMemberships": members});
            self.tell(MANAGEMENT, "identitystore:ListGroupMemberships", &[("GroupId", group)], body);
        }
        let sets = array(&told["sets"]);
        let arns: Vec<String> = sets.iter().map(|set| set_arn(&set["name"])).collect();
        self.tell(MANAGEMENT, "sso:ListPermissionSets", &[], json!({"PermissionSets": arns}));
        sets.iter().for_each(|set| self.permission_set(set));
        self.assignments(&arns, &array(&told["assignments"]));
    }

    fn permission_set(&mut self, set: &Value) {
        let arn = set_arn(&set["name"]);
        let about = [("PermissionSetArn", arn.as_str())];
        let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let managed: Vec<Value> = array(&set["managed"]).into_iter().map(|arn| json!({"Arn": arn})).collect();
        let customer: Vec<Value> =
            array(&set["customer"]).into_iter().map(|name| json!({"Name": name, "Path": "/"})).collect();
        let inline =
            if set["inline"].is_null() { String::new() } else { json!({"Statement": set["inline"]}).to_string() };
        for (call, body) in [
            ("DescribePermissionSet", json!({"PermissionSet": {"Name": set["name"], "PermissionSetArn": arn}})),
            ("ListManagedPoliciesInPermissionSet", json!({"AttachedManagedPolicies": managed})),
            (
                "ListCustomerManagedPolicyReferencesInPermissionSet",
                json!({"CustomerManagedPolicyReferences": customer}),
            ),
            ("GetInlinePolicyForPermissionSet", json!({"InlinePolicy": inline})),
            ("GetPermissionsBoundaryForPermissionSet", json!({"PermissionsBoundary": set["boundary"]})),
        ] {
            self.tell(MANAGEMENT, &format!("sso:{call}"), &about, body);
        }
    }

    fn assignments(&mut self, arns: &[String], assignments: &[Value]) {
        for arn in arns {
            for account in [MANAGEMENT, PROD, SANDBOX] {
                let here = assignments.iter().filter(|one| one[0] == account && set_arn(&one[1]) == *arn);
                let told = here.map(|one| {
                    let kind = if one[2].as_str().is_some_and(|id| id.starts_with("g-")) { "GROUP" } else { "USER" };
                    json!({"AccountId": account, "PermissionSetArn": arn, "PrincipalType": kind, "PrincipalId": one[2]})
                });
                let body = json!({"AccountAssignments": told.collect::<Vec<_>>()});
                let about = [("AccountId", account), ("PermissionSetArn", arn)];
                self.tell(MANAGEMENT, "sso:ListAccountAssignments", &about, body);
            }
        }
    }

    /// The snapshots, as they would be stored.
    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        let snapshot = |(account, answers): (&String, &Vec<Answer>)| Snapshot {
            version: VERSION,
            account: account.clone(),
            taken: Time(1_790_000_000),
            answers: answers.clone(),
        };
        self.snapshots.iter().map(snapshot).collect()
    }

    /// What is read from them.
    pub(crate) fn access(&self) -> Access {
        Access::read(&self.snapshots())
    }
}

/// The ARN of a permission set by its name.
pub(crate) fn set_arn(name: &Value) -> String {
    format!("arn:aws:sso:::permissionSet/ssoins-1/ps-{}", name.as_str().unwrap_or_default())
}

/// A user as IAM tells them, with `more` laid over it.
pub(crate) fn user(account: &str, name: &str, more: Value) -> Value {
    principal(
        json!({
            "UserName": name,
            "UserId": format!("AIDA{name}"),
            "Arn": format!("arn:aws:iam::{account}:user/{name}"),
            "CreateDate": "2026-01-02T03:04:05+00:00",
        }),
        more,
    )
}

/// A role as IAM tells it, with `more` laid over it.
pub(crate) fn role(account: &str, path_and_name: &str, more: Value) -> Value {
    let name = path_and_name.rsplit('/').next().unwrap_or(path_and_name);
    principal(
        json!({
            "RoleName": name,
            "RoleId": format!("AROA{name}"),
            "Arn": format!("arn:aws:iam::{account}:role/{path_and_name}"),
            "AssumeRolePolicyDocument": {"Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ]},
        }),
        more,
    )
}

fn principal(mut told: Value, more: Value) -> Value {
    if let Value::Object(more) = more {
        for (name, value) in more {
            told[name] = value;
        }
    }
    told
}

/// A managed policy as IAM tells it.
pub(crate) fn managed(arn: &str, statements: &Value) -> Value {
    let version = json!({"VersionId": "v1", "IsDefaultVersion": true, "Document": {"Statement": statements}});
    json!({"Arn": arn, "DefaultVersionId": "v1", "PolicyVersionList": [version]})
}
