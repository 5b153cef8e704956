//! Who has access in the demo's organization: AWS's answers on the first day of a quarter and on the morning after the
//! demo's day, the people's list, what everybody did in the quarter before, and the calls that took access away.
//!
//! What a review of that quarter finds in it: one who has left and still has a user; an administrator who needs less;
//! a CI user that may make users, and is kept; an only administrator; and, in the later snapshot, the intruder's user.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use trail::record::{digest as sha256, hex};
use trail::snapshot::{Answer, Cause, GLOBAL, Refusal, Reply, Snapshot, VERSION};
use trail::time::Time;

use crate::{FORBIDDEN, HOME, Key, ORGANIZATION, PRODUCTION};

mod activity;

pub(crate) use activity::{carried_out, quarter};

const LOGGING: &str = "999988887777";
const STAGING: &str = "222233334444";
const MANAGEMENT: &str = "444455556666";

const INSTANCE: &str = "arn:aws:sso:::instance/ssoins-6684example1";
const STORE: &str = "d-9067a1b2c3";
const DEVELOPERS: &str = "AWSReservedSSO_Developers_1f0c2a9d3b4e5f60";
const READ_ONLY: &str = "AWSReservedSSO_ReadOnly_77aa00c1d2e3f405";
const ADMINISTRATORS: &str = "AWSReservedSSO_Administrators_c0ffee1234567890";
const ADMINISTRATION: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

/// The people's list, as the personnel office brings it.
pub(crate) const PEOPLE: &str = "\
person,aliases,manager,status,start,end
erin,erin@example.com,,active,2021-03-01,
bob,bob@example.com;team-security,erin,active,2022-01-10,
carol,carol@example.com;team-pay,erin,active,2022-05-02,
alice,alice@example.com,carol,active,2023-09-04,
dave,dave@example.com,carol,active,2026-07-13,
frank,frank@example.com;frank,carol,active,2023-02-01,
grace,grace@example.com;grace,carol,active,2022-08-15,
heidi,heidi@example.com;heidi,carol,left,2024-01-08,2026-09-11
";

/// The users of Identity Center with their ids, and the groups that they are in.
const DIRECTORY: [(&str, &str, &str); 5] = [
    ("erin", "c2b51f00-10b1-70a4-3f2e-5d1c9a7be0f1", "readers"),
    ("bob", "c2b51f00-10b1-70a4-3f2e-5d1c9a7be0f2", "platform-admins"),
    ("carol", "c2b51f00-10b1-70a4-3f2e-5d1c9a7be0f3", "readers"),
    ("alice", "c2b51f00-10b1-70a4-3f2e-5d1c9a7be0f4", "developers"),
    ("dave", "c2b51f00-10b1-70a4-3f2e-5d1c9a7be0f5", "developers"),
];

/// Groups with their permission set, and where it is given to them.
const GROUPS: [(&str, &str, &[&str]); 3] = [
    ("developers", "Developers", &[PRODUCTION]),
    ("platform-admins", "Administrators", &[PRODUCTION, LOGGING]),
    ("readers", "ReadOnly", &[PRODUCTION]),
];

/// Files of two snapshots as the collector stores them, by name.
pub(crate) fn snapshots(keys: &BTreeMap<&str, Key>) -> Vec<(String, Vec<u8>)> {
    let first = Moment { taken: at("2026-10-01T06:00:00Z"), later: false, keys };
    let later = Moment { taken: at("2026-11-21T05:00:00Z"), later: true, keys };
    [first, later].iter().flat_map(Moment::files).collect()
}

fn at(text: &str) -> Time {
    Time::parse(text).expect("a time")
}

/// Snapshots of all accounts at one time.
struct Moment<'m> {
    taken: Time,
    /// After the demo's day: what was decided is carried out, and the intruder's user is there.
    later: bool,
    /// The ids of those who call all day.
    keys: &'m BTreeMap<&'m str, Key>,
}

impl Moment<'_> {
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let folder = format!("access/{}", self.taken.to_string().replace(['-', ':'], ""));
        let mut hashes = BTreeMap::new();
        let mut files = Vec::new();
        for snapshot in [self.production(), self.logging()] {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            serde_json::to_writer(&mut encoder, &snapshot).expect("JSON");
            let bytes = encoder.finish().expect("writing to memory");
            hashes.insert(snapshot.account.clone(), hex(&sha256(&bytes)));
            files.push((format!("{folder}/{}.json.gz", snapshot.account), bytes));
        }
        let complete = serde_json::to_vec_pretty(&json!({"taken": self.taken, "accounts": hashes})).expect("JSON");
        files.push((format!("{folder}/complete.json"), complete));
        files
    }

    fn production(&self) -> Snapshot {
        let users = self.users();
        let roles = [
            reserved(PRODUCTION, DEVELOPERS, &developing()),
            reserved(PRODUCTION, READ_ONLY, &looking()),
            reserved(PRODUCTION, ADMINISTRATORS, &Value::Null),
            role(PRODUCTION, "org-admin", &trusting("AWS", &root(MANAGEMENT), &Value::Null), &everything()),
            role(PRODUCTION, "orders-task", &trusting("Service", "lambda.amazonaws.com", &Value::Null), &working()),
            role(PRODUCTION, "cloudformation-deploy", &of_cloudformation(), &everything()),
            created(role(PRODUCTION, "github-ci", &from_github(), &deploying()), "2026-07-14T09:12:40Z"),
            role(PRODUCTION, "database-admin", &trusting("AWS", &root(PRODUCTION), &with_mfa()), &databases()),
            created(role(PRODUCTION, "partner-collector", &from_partner(), &invoices()), "2026-08-04T13:30:05Z"),
        ];
        let groups = json!([{"GroupName": "payments-ops", "GroupId": "AGPAEXAMPLEPAYMENTSOPS", "Path": "/",
            "Arn": format!("arn:aws:iam::{PRODUCTION}:group/payments-ops"), "CreateDate": "2023-01-16T10:00:00Z",
            "AttachedManagedPolicies": [], "GroupPolicyList": [{"PolicyName": "operate", "PolicyDocument": operating()}]}]);
        let mut asked = Asked::new(PRODUCTION, self.taken);
        let providers = json!([{"Arn": GITHUB, "CreateDate": "2024-02-05T08:00:00Z"}]);
        asked.principals((&users, &roles.into(), &groups), &providers);
        asked.snapshot()
    }

    /// The users of production.
    fn users(&self) -> Vec<User> {
        let mut users = vec![
            User { policy: Some(("deploy", deploying_with_users())), ..self.service("ci-deploy", "2024-03-11") },
            User { policy: Some(("snapshots", backing_up())), ..self.service("backup-nightly", "2024-04-02") },
            User { policy: Some(("export", exporting())), ..self.service("legacy-export", "2023-02-20") },
            User { groups: vec!["payments-ops"], ..self.person("frank", "2023-02-01") },
            User {
                groups: vec!["payments-ops"],
                attached: if self.later { Vec::new() } else { vec![ADMINISTRATION] },
                ..self.person("grace", "2022-08-15")
            },
        ];
        if self.later {
            users.push(User {
                attached: vec![ADMINISTRATION],
                mfa: false,
                key: Some(("AKIAEXAMPLESVCBACKUP".to_owned(), "2026-11-20T02:58:40Z".to_owned())),
                id: "AIDAEXAMPLESVCBACKUP1".to_owned(),
                created: "2026-11-20T02:58:03Z".to_owned(),
                used: "2026-11-20T03:04:05Z",
                ..self.person("svc-backup", "2026-11-20")
            });
        } else {
            let key = Some((activity::HEIDIS_KEY.to_owned(), "2024-01-09T08:20:00Z".to_owned()));
            let (id, used) = (activity::HEIDIS_ID.to_owned(), "2026-09-11T15:02:00Z");
            users.push(User { groups: vec!["payments-ops"], key, id, used, ..self.person("heidi", "2024-01-08") });
        }
        users
    }

    /// A user with a password.
    fn person(&self, name: &'static str, since: &str) -> User {
        let id = self.keys.get(name).map(|key| key.principal.clone()).unwrap_or_default();
        let used = if self.later { "2026-11-20T16:40:00Z" } else { "2026-09-30T15:10:00Z" };
        let created = format!("{since}T08:00:00Z");
        User { name, id, created, password: true, mfa: true, used, ..User::default() }
    }

    /// A user with a key.
    fn service(&self, name: &'static str, since: &str) -> User {
        let key = &self.keys[name];
        let used = match (name, self.later) {
            ("legacy-export", false) => "2026-01-31T02:00:00Z",
            (_, false) => "2026-09-30T22:15:00Z",
            (_, true) => "2026-11-20T22:15:00Z",
        };
        let created = format!("{since}T08:00:00Z");
        let (id, key) = (key.principal.clone(), Some((key.id.clone(), format!("{since}T08:05:00Z"))));
        User { name, id, created, key, used, ..User::default() }
    }

    /// The trail's account, which asks: its snapshot holds the organization and Identity Center.
    fn logging(&self) -> Snapshot {
        let roles = json!([
            reserved(LOGGING, ADMINISTRATORS, &Value::Null),
            role(LOGGING, "org-admin", &trusting("AWS", &root(MANAGEMENT), &Value::Null), &everything()),
        ]);
        let mut asked = Asked::new(LOGGING, self.taken);
        asked.principals((&[], &roles, &json!([])), &json!([]));
        asked.by = MANAGEMENT;
        asked.organization();
        asked.directory();
        asked.snapshot()
    }
}

/// An IAM user.
#[derive(Default)]
struct User {
    name: &'static str,
    id: String,
    created: String,
    password: bool,
    mfa: bool,
    /// A key's id, and when it was made.
    key: Option<(String, String)>,
    /// When password or key were used last.
    used: &'static str,
    groups: Vec<&'static str>,
    attached: Vec<&'static str>,
    policy: Option<(&'static str, Value)>,
}

impl User {
    fn details(&self) -> Value {
        let policy = |(name, document): &(&str, Value)| json!({"PolicyName": name, "PolicyDocument": document});
        let named = |arn: &&str| json!({"PolicyName": arn.rsplit('/').next(), "PolicyArn": arn});
        json!({
            "Path": "/", "UserName": self.name, "UserId": self.id, "CreateDate": self.created,
            "Arn": format!("arn:aws:iam::{PRODUCTION}:user/{}", self.name), "GroupList": self.groups,
            "UserPolicyList": self.policy.iter().map(policy).collect::<Vec<_>>(),
            "AttachedManagedPolicies": self.attached.iter().map(named).collect::<Vec<_>>(), "Tags": [],
        })
    }

    /// Its row of the credential report.
    fn row(&self) -> String {
        let Self { name, created, password, mfa, key, used, .. } = self;
        let arn = format!("arn:aws:iam::{PRODUCTION}:user/{name}");
        let (signed_in, changed) = if *password { (*used, created.as_str()) } else { ("N/A", "N/A") };
        let (has_key, made) = key.as_ref().map_or(("false", "N/A"), |(_, made)| ("true", made));
        let key_used = if key.is_some() && !password { used } else { "N/A" };
        format!("{name},{arn},{created},{password},{signed_in},{changed},{mfa},{has_key},{made},{key_used}\n")
    }
}

const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,mfa_active,\
    access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date\n";

/// An account being asked.
struct Asked {
    account: &'static str,
    /// Whose credentials ask.
    by: &'static str,
    taken: Time,
    answers: Vec<Answer>,
}

type Parameters<'a> = &'a [(&'a str, &'a str)];

impl Asked {
    fn new(account: &'static str, taken: Time) -> Self {
        let mut asked = Self { account, by: account, taken, answers: Vec::new() };
        asked.put("organizations:DescribeOrganization", GLOBAL, &[], describing());
        asked
    }

    /// Everything in IAM that comes without asking for one thing.
    fn principals(&mut self, (users, roles, groups): (&[User], &Value, &Value), providers: &Value) {
        let all: Vec<Value> = users.iter().map(User::details).collect();
        let details =
            json!({"UserDetailList": all, "RoleDetailList": roles, "GroupDetailList": groups, "Policies": []});
        self.put("iam:GetAccountAuthorizationDetails", GLOBAL, &[], details);
        self.put("iam:ListVirtualMFADevices", GLOBAL, &[], json!({"VirtualMFADevices": []}));
        self.put("iam:ListSAMLProviders", GLOBAL, &[], json!({"SAMLProviderList": []}));
        self.put("iam:ListOpenIDConnectProviders", GLOBAL, &[], json!({"OpenIDConnectProviderList": providers}));
        for User { name, key, .. } in users {
            let key = key
                .iter()
                .map(|(id, made)| json!({"UserName": name, "AccessKeyId": id, "Status": "Active", "CreateDate": made}));
            let keys = json!({"AccessKeyMetadata": key.collect::<Vec<_>>()});
            self.put("iam:ListAccessKeys", GLOBAL, &[("UserName", name)], keys);
        }
        let made = "2020-06-01T08:00:00Z";
        let arn = root(self.account);
        let guarded = format!(
            "<root_account>,{arn},{made},not_supported,2025-01-07T09:00:00Z,not_supported,true,false,N/A,N/A\n"
        );
        let report = REPORT.to_owned() + &guarded + &users.iter().map(User::row).collect::<String>();
        let body = json!({"Content": STANDARD.encode(report), "ReportFormat": "text/csv", "GeneratedTime": self.taken});
        self.put("iam:GetCredentialReport", GLOBAL, &[], body);
    }

    fn organization(&mut self) {
        let accounts =
            [(MANAGEMENT, "management"), (LOGGING, "logging"), (PRODUCTION, "prod-payments"), (STAGING, "staging")];
        let active = accounts.map(
            |(id, name)| json!({"Id": id, "Name": name, "State": "ACTIVE", "JoinedTimestamp": "2020-06-01T08:00:00Z"}),
        );
        self.put("organizations:ListAccounts", GLOBAL, &[], json!({"Accounts": active}));
        for (id, _) in accounts {
            let root = json!({"Parents": [{"Id": "r-exam", "Type": "ROOT"}]});
            self.put("organizations:ListParents", GLOBAL, &[("ChildId", id)], root);
        }
        let all = json!({"Id": "p-FullAWSAccess", "Name": "FullAWSAccess", "Type": "SERVICE_CONTROL_POLICY"});
        let ours = json!({"Id": "p-examplepolicy1", "Name": "protect-the-trail", "Type": "SERVICE_CONTROL_POLICY"});
        let filter = [("Filter", "SERVICE_CONTROL_POLICY")];
        self.put("organizations:ListPolicies", GLOBAL, &filter, json!({"Policies": [all, ours]}));
        let content =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Resource": "*", "Action": FORBIDDEN}]});
        let about = [("PolicyId", "p-examplepolicy1")];
        let described = json!({"Policy": {"PolicySummary": ours, "Content": content.to_string()}});
        self.put("organizations:DescribePolicy", GLOBAL, &about, described);
        // AWS attaches the one that allows everything at every level; ours is attached at the top.
        let top = json!({"TargetId": "r-exam", "Type": "ROOT", "Name": "Root"});
        let below = accounts.map(|(id, name)| json!({"TargetId": id, "Type": "ACCOUNT", "Name": name}));
        let everywhere: Vec<&Value> = [&top].into_iter().chain(&below).collect();
        for (policy, targets) in [("p-FullAWSAccess", json!(everywhere)), ("p-examplepolicy1", json!([top]))] {
            let targets = json!({"Targets": targets});
            self.put("organizations:ListTargetsForPolicy", GLOBAL, &[("PolicyId", policy)], targets);
        }
    }

    fn directory(&mut self) {
        let instance = json!({"InstanceArn": INSTANCE, "IdentityStoreId": STORE, "OwnerAccountId": MANAGEMENT, "Status": "ACTIVE"});
        self.put("sso:ListInstances", HOME, &[], json!({"Instances": [instance]}));
        for (group, name, accounts) in GROUPS {
            self.permission_set((group, name), accounts);
        }
        let sets: Vec<String> = GROUPS.iter().map(|(_, name, _)| set(name)).collect();
        self.put("sso:ListPermissionSets", HOME, &[("InstanceArn", INSTANCE)], json!({"PermissionSets": sets}));
        let store = [("IdentityStoreId", STORE)];
        let users = DIRECTORY.map(|(name, id, _)| {
            let email = format!("{name}@example.com");
            json!({"UserId": id, "UserName": email, "DisplayName": name, "Emails": [{"Value": email, "Primary": true}]})
        });
        self.put("identitystore:ListUsers", HOME, &store, json!({"Users": users}));
        let groups = GROUPS.map(|(name, ..)| json!({"GroupId": group(name), "DisplayName": name}));
        self.put("identitystore:ListGroups", HOME, &store, json!({"Groups": groups}));
        for (name, ..) in GROUPS {
            let members = DIRECTORY.iter().filter(|(.., of)| *of == name).map(|(_, id, _)| {
                json!({"MembershipId": format!("m-{id}"), "GroupId": group(name), "MemberId": {"UserId": id}})
            });
            let body = json!({"GroupMemberships": members.collect::<Vec<_>>()});
            let about = [store[0], ("GroupId", &*group(name))];
            self.put("identitystore:ListGroupMemberships", HOME, &about, body);
        }
    }

    fn permission_set(&mut self, (of, name): (&str, &str), accounts: &[&str]) {
        let arn = set(name);
        let about = [("InstanceArn", INSTANCE), ("PermissionSetArn", arn.as_str())];
        let (attached, inline) = match name {
            "Developers" => (json!([]), developing().to_string()),
            "ReadOnly" => (json!([]), looking().to_string()),
            _ => (json!([{"Name": "AdministratorAccess", "Arn": ADMINISTRATION}]), String::new()),
        };
        let described = json!({"PermissionSet": {"Name": name, "PermissionSetArn": arn, "SessionDuration": "PT4H"}});
        self.put("sso:DescribePermissionSet", HOME, &about, described);
        self.put("sso:ListManagedPoliciesInPermissionSet", HOME, &about, json!({"AttachedManagedPolicies": attached}));
        let references = json!({"CustomerManagedPolicyReferences": []});
        self.put("sso:ListCustomerManagedPolicyReferencesInPermissionSet", HOME, &about, references);
        self.put("sso:GetInlinePolicyForPermissionSet", HOME, &about, json!({"InlinePolicy": inline}));
        let message = "PermissionsBoundary not found".to_owned();
        let none = Refusal { cause: Cause::Absent, code: "ResourceNotFoundException".to_owned(), message };
        self.reply("sso:GetPermissionsBoundaryForPermissionSet", HOME, &about, Reply::Refusal(none));
        self.put("sso:ListAccountsForProvisionedPermissionSet", HOME, &about, json!({"AccountIds": accounts}));
        for account in accounts {
            let given = json!({"AccountId": account, "PermissionSetArn": arn, "PrincipalType": "GROUP", "PrincipalId": group(of)});
            let about = [about[0], about[1], ("AccountId", account)];
            self.put("sso:ListAccountAssignments", HOME, &about, json!({"AccountAssignments": [given]}));
        }
    }

    fn put(&mut self, call: &str, region: &str, parameters: Parameters<'_>, body: Value) {
        self.reply(call, region, parameters, Reply::Body(body));
    }

    fn reply(&mut self, call: &str, region: &str, parameters: Parameters<'_>, result: Reply) {
        let text = serde_json::to_string(&result).expect("JSON");
        self.answers.push(Answer {
            call: call.to_owned(),
            account: self.by.to_owned(),
            region: region.to_owned(),
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            time: Time(self.taken.0 + i64::try_from(self.answers.len()).unwrap_or_default()),
            request_id: format!("7c3e90c2-0000-4000-8000-{:012x}", self.answers.len()),
            sha256: hex(&sha256(text.as_bytes())),
            pages: Vec::new(),
            result,
        });
    }

    fn snapshot(self) -> Snapshot {
        Snapshot { version: VERSION, account: self.account.to_owned(), taken: self.taken, answers: self.answers }
    }
}

fn describing() -> Value {
    json!({"Organization": {"Id": ORGANIZATION, "MasterAccountId": MANAGEMENT, "FeatureSet": "ALL"}})
}

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

fn set(name: &str) -> String {
    format!("arn:aws:sso:::permissionSet/ssoins-6684example1/ps-{}", name.to_lowercase())
}

fn group(name: &str) -> String {
    format!("g-{name}")
}

/// A role of Identity Center; without a policy of its own it is the administrators'.
fn reserved(account: &str, name: &str, inline: &Value) -> Value {
    let mut role = role(account, name, &trusting("Service", "sso.amazonaws.com", &Value::Null), inline);
    role["Arn"] = json!(format!("arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/eu-west-1/{name}"));
    role["Path"] = json!("/aws-reserved/sso.amazonaws.com/eu-west-1/");
    if inline.is_null() {
        role["RolePolicyList"] = json!([]);
        role["AttachedManagedPolicies"] = json!([{"PolicyName": "AdministratorAccess", "PolicyArn": ADMINISTRATION}]);
    }
    role
}

fn role(account: &str, name: &str, trust: &Value, inline: &Value) -> Value {
    let id = format!("AROA{}", &hex(&sha256(format!("{account}/{name}").as_bytes())).to_uppercase()[..17]);
    json!({
        "Path": "/", "RoleName": name, "RoleId": id, "Arn": format!("arn:aws:iam::{account}:role/{name}"),
        "CreateDate": "2024-02-05T08:00:00Z", "AssumeRolePolicyDocument": trust,
        "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": inline}], "AttachedManagedPolicies": [], "Tags": [],
        "RoleLastUsed": {"LastUsedDate": "2026-09-29T10:00:00Z", "Region": HOME},
    })
}

/// What was made in the quarter.
fn created(mut role: Value, when: &str) -> Value {
    role["CreateDate"] = json!(when);
    role
}

fn trusting(kind: &str, who: &str, condition: &Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {kind: who}});
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn with_mfa() -> Value {
    json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}})
}

fn from_partner() -> Value {
    let condition = json!({"StringEquals": {"sts:ExternalId": "example-7788"}});
    trusting("AWS", "arn:aws:iam::777788889999:root", &condition)
}

fn of_cloudformation() -> Value {
    trusting("Service", "cloudformation.amazonaws.com", &Value::Null)
}

fn from_github() -> Value {
    let condition = json!({"StringLike": {"token.actions.githubusercontent.com:sub": "repo:example/payments:*"}});
    let mut trust = trusting("Federated", GITHUB, &condition);
    trust["Statement"][0]["Action"] = json!("sts:AssumeRoleWithWebIdentity");
    trust
}

fn allowing(actions: &[&str]) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})
}

fn everything() -> Value {
    allowing(&["*"])
}

fn developing() -> Value {
    allowing(&["ec2:Describe*", "ecs:*", "lambda:*", "logs:*", "rds:Describe*", "s3:List*"])
}

fn looking() -> Value {
    allowing(&["cloudwatch:Get*", "ec2:Describe*", "logs:Get*", "rds:Describe*", "s3:List*"])
}

fn working() -> Value {
    allowing(&["dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage"])
}

fn deploying() -> Value {
    allowing(&["ecr:*", "ecs:DescribeServices", "ecs:UpdateService"])
}

/// It may make users: what the intruder makes use of.
fn deploying_with_users() -> Value {
    let users = ["iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateUser"];
    allowing(&[&["ecr:*", "ecs:*", "lambda:UpdateFunctionCode"][..], &users].concat())
}

fn backing_up() -> Value {
    allowing(&["ec2:CreateSnapshot", "rds:CreateDBSnapshot", "rds:DescribeDBInstances"])
}

fn exporting() -> Value {
    allowing(&["s3:GetObject", "s3:ListBucket", "s3:PutObject"])
}

fn operating() -> Value {
    allowing(&["ec2:Describe*", "rds:Describe*", "rds:RebootDBInstance", "rds:StartDBInstance", "s3:List*"])
}

fn databases() -> Value {
    allowing(&["rds:*"])
}

fn invoices() -> Value {
    let bucket = "arn:aws:s3:::invoices-111122223333";
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [bucket, format!("{bucket}/*")]}]})
}
