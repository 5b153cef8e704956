//! Who has access, asked of an emulator of IAM, Organizations and Identity Center.

use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::collect::Options;
use cloud::review::collect::Taking;
use cloud::review::store::{Complete, Store};
use cloud::stores::{Stores, folder};
use serde_json::{Value, json};
use trail::review::Population;
use trail::settings::Settings;
use trail::snapshot::{Answer, Cause, Reply, Snapshot, VERSION};
use trail::time::Time;
use url::form_urlencoded;

use super::collect::World;
use crate::support::cloudtrail::{CloudTrail, Fault};
use crate::support::moto::{Call, Moto};
use crate::support::s3::S3;
use crate::support::{ACCESS_KEY, REGION, SECRET_KEY};

mod joined;
mod partial;

const ROLE: &str = "AWSReservedSSO_Ops_0123456789abcdef";

/// An organization: its management account, and a member with people in it, where this system lives.
pub(super) struct Company {
    world: World,
    management: String,
    home: String,
    /// The ids of alice and dora in the identity store.
    users: [String; 2],
    group: String,
    set: String,
    instance: String,
}

impl Company {
    async fn with(management: &str, options: Options) -> Self {
        let key = Moto::shared().key_of(management).await;
        let ask = async |operation: &str, body: Value| {
            json_of(&key, "organizations", &format!("AWSOrganizationsV20161128.{operation}"), body).await
        };
        ask("CreateOrganization", json!({"FeatureSet": "ALL"})).await;
        let made = ask("CreateAccount", json!({"AccountName": "pay", "Email": "pay@example.com"})).await;
        let home = made["CreateAccountStatus"]["AccountId"].as_str().expect("an account").to_owned();
        let world = World::with(&home, options).await;
        world.aws.is_member(&home);
        people(&world.key).await;
        let Assigned { users, group, set, instance } = assigned(&key, &home).await;
        let provisioned = json!({"AccountIds": [home]}).to_string();
        let say = "sso:ListAccountsForProvisionedPermissionSet";
        world.aws.inject(say, "", usize::MAX, Fault::Say(provisioned));
        let none = Fault::Refuse(400, "ResourceNotFoundException");
        world.aws.inject("sso:GetPermissionsBoundaryForPermissionSet", "", usize::MAX, none);
        Self { world, management: management.to_owned(), home, users, group, set, instance }
    }

    pub(super) async fn of(management: &str) -> Self {
        Self::with(management, Options::default()).await
    }

    pub(super) fn home(&self) -> &str {
        &self.home
    }

    pub(super) fn management(&self) -> &str {
        &self.management
    }

    pub(super) fn aws(&self) -> &CloudTrail {
        &self.world.aws
    }

    /// A key of its home account.
    pub(super) fn key(&self) -> &str {
        &self.world.key
    }

    /// The id of alice in the identity store.
    pub(super) fn alice(&self) -> &str {
        &self.users[0]
    }

    /// Takes alice's permission set away.
    pub(super) async fn unassign_alice(&self) {
        let key = Moto::shared().key_of(&self.management).await;
        let assignment = json!({"InstanceArn": self.instance, "PermissionSetArn": self.set, "TargetId": self.home,
            "TargetType": "AWS_ACCOUNT", "PrincipalType": "USER", "PrincipalId": self.users[0]});
        json_of(&key, "sso", "SWBExternalService.DeleteAccountAssignment", assignment).await;
    }

    async fn access(&self) -> Snapshot {
        self.world.collector.access(&self.home, "").await
    }
}

async fn json_of(key: &str, service: &str, operation: &str, body: Value) -> Value {
    let said = Moto::shared().ask(service, key, &Call::json(operation, &body)).await;
    serde_json::from_str(&said).unwrap_or_default()
}

async fn iam(key: &str, action: &str, parameters: &[(&str, &str)]) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", "2010-05-08").extend_pairs(parameters);
    Moto::shared().ask("iam", key, &Call::form(&form.finish())).await;
}

/// IAM users with a group, a key, a password and a device; roles for a service, a vendor and Identity Center; providers.
async fn people(key: &str) {
    let policy = |action: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
            .to_string()
    };
    let trust = |principal: Value| {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let alice = ("UserName", "alice");
    iam(key, "CreateUser", &[alice]).await;
    iam(key, "CreateUser", &[("UserName", "bob")]).await;
    iam(key, "CreateGroup", &[("GroupName", "admins")]).await;
    let admins = ("GroupName", "admins");
    iam(key, "PutGroupPolicy", &[admins, ("PolicyName", "all"), ("PolicyDocument", &policy("*"))]).await;
    iam(key, "AddUserToGroup", &[admins, alice]).await;
    iam(key, "CreateAccessKey", &[alice]).await;
    iam(key, "CreateLoginProfile", &[alice, ("Password", "correct-Horse-7-battery")]).await;
    iam(key, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "phone")]).await;
    let services = trust(json!({"Service": "lambda.amazonaws.com"}));
    let vendor = trust(json!({"AWS": "arn:aws:iam::999988887777:root"}));
    let sso = trust(json!({"Federated": "arn:aws:iam::999988887777:saml-provider/AWSSSO_DO_NOT_DELETE"}));
    let path = "/aws-reserved/sso.amazonaws.com/eu-west-1/";
    for (name, path, trust) in [("worker", "/", services), ("vendor", "/", vendor), (ROLE, path, sso)] {
        let document = ("AssumeRolePolicyDocument", trust.as_str());
        iam(key, "CreateRole", &[("RoleName", name), ("Path", path), document]).await;
    }
    let put = [("RoleName", ROLE), ("PolicyName", "AwsSSOInlinePolicy")];
    iam(key, "PutRolePolicy", &[put[0], put[1], ("PolicyDocument", &policy("iam:PutUserPolicy"))]).await;
    let metadata = "<EntityDescriptor/>".repeat(60);
    iam(key, "CreateSAMLProvider", &[("Name", "okta"), ("SAMLMetadataDocument", &metadata)]).await;
    let github =
        [("Url", "https://token.actions.githubusercontent.com"), ("ClientIDList.member.1", "sts.amazonaws.com")];
    let print = ("ThumbprintList.member.1", "6938fd4d98bab03faadb97b34396831e3780aea1");
    iam(key, "CreateOpenIDConnectProvider", &[github[0], github[1], print]).await;
}

/// What was made in Identity Center.
struct Assigned {
    users: [String; 2],
    group: String,
    set: String,
    instance: String,
}

/// Identity Center of the management account: alice was given the permission set by herself, dora through a group.
async fn assigned(key: &str, account: &str) -> Assigned {
    let ask = async |operation: &str, body: Value| {
        json_of(key, "sso", &format!("SWBExternalService.{operation}"), body).await
    };
    let store = async |operation: &str, body: Value| {
        json_of(key, "identitystore", &format!("AWSIdentityStore.{operation}"), body).await
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let listed = ask("ListInstances", json!({})).await;
    let (arn, id) = (&listed["Instances"][0]["InstanceArn"], &listed["Instances"][0]["IdentityStoreId"]);
    let set = ask("CreatePermissionSet", json!({"InstanceArn": arn, "Name": "Ops"})).await;
    let set = &set["PermissionSet"]["PermissionSetArn"];
    let inline =
        json!({"Statement": [{"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": "*"}]}).to_string();
    let put = json!({"InstanceArn": arn, "PermissionSetArn": set, "InlinePolicy": inline});
    ask("PutInlinePolicyToPermissionSet", put).await;
    let mut users = Vec::new();
    for name in ["alice@example.com", "dora@example.com"] {
        let emails = json!([{"Value": name, "Primary": true}]);
        let named = json!({"GivenName": "N", "FamilyName": "N"});
        let phone = json!([{"Value": "+49 30 1234567"}]);
        let user = json!({"IdentityStoreId": id, "UserName": name, "DisplayName": name, "Name": named, "Emails": emails,
            "PhoneNumbers": phone});
        users.push(text(&store("CreateUser", user).await["UserId"]));
    }
    let group = store("CreateGroup", json!({"IdentityStoreId": id, "DisplayName": "operators"})).await;
    let group = text(&group["GroupId"]);
    let member = json!({"IdentityStoreId": id, "GroupId": group, "MemberId": {"UserId": users[1]}});
    store("CreateGroupMembership", member).await;
    for (kind, principal) in [("USER", &users[0]), ("GROUP", &group)] {
        let assign = json!({"InstanceArn": arn, "PermissionSetArn": set, "TargetId": account, "TargetType": "AWS_ACCOUNT",
            "PrincipalType": kind, "PrincipalId": principal});
        ask("CreateAccountAssignment", assign).await;
    }
    Assigned { users: users.try_into().expect("two users"), group, set: text(set), instance: text(arn) }
}

fn answers<'s>(snapshot: &'s Snapshot, call: &str) -> Vec<&'s Answer> {
    snapshot.answers.iter().filter(|answer| answer.call == call).collect()
}

fn only<'s>(snapshot: &'s Snapshot, call: &str) -> &'s Answer {
    let found = answers(snapshot, call);
    assert_eq!(found.len(), 1, "{call}: {found:?}");
    found[0]
}

fn body(answer: &Answer) -> &Value {
    match &answer.result {
        Reply::Body(body) => body,
        Reply::Refusal(refused) => panic!("{}: {refused:?}", answer.call),
    }
}

fn cause(answer: &Answer) -> Option<Cause> {
    match &answer.result {
        Reply::Body(_) => None,
        Reply::Refusal(refused) => Some(refused.cause),
    }
}

fn report(snapshot: &Snapshot) -> String {
    let content = body(only(snapshot, "iam:GetCredentialReport"))["Content"].as_str().expect("a report");
    String::from_utf8(STANDARD.decode(content).expect("base64")).expect("text")
}

#[tokio::test]
async fn all_that_a_population_needs_is_asked_with_receipts() {
    let company = Company::of("100000000101").await;
    let snapshot = company.access().await;
    let listed: Vec<_> = answers(&snapshot, "organizations:ListAccounts").into_iter().map(cause).collect();
    assert_eq!(listed, [None, Some(Cause::Denied)], "the management account tells");
    let refused: Vec<_> = snapshot
        .answers
        .iter()
        .filter(|answer| {
            !matches!(cause(answer), None | Some(Cause::Absent)) && answer.call != "organizations:ListAccounts"
        })
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(report(&snapshot).lines().any(|line| line.starts_with("alice,")), "{}", report(&snapshot));
    let keys = |user| snapshot.answer("iam:ListAccessKeys", "global", &[("UserName", user)]).expect("asked");
    assert_eq!(body(keys("alice"))["AccessKeyMetadata"][0]["Status"], "Active");
    assert_eq!(body(keys("bob"))["AccessKeyMetadata"], json!([]));
    assert!(body(only(&snapshot, "iam:ListVirtualMFADevices"))["VirtualMFADevices"][0]["SerialNumber"].is_string());
    let saml = &body(only(&snapshot, "iam:ListSAMLProviders"))["SAMLProviderList"];
    assert!(saml[0]["Arn"].as_str().is_some_and(|arn| arn.ends_with(":saml-provider/okta")), "{saml}");
    assert_eq!(
        body(only(&snapshot, "iam:ListOpenIDConnectProviders"))["OpenIDConnectProviderList"].as_array().map(Vec::len),
        Some(1)
    );
    let users = only(&snapshot, "identitystore:ListUsers");
    assert_eq!((users.account.as_str(), users.rows()), (company.management.as_str(), 2));
    assert!(!body(users).to_string().contains("1234567"), "nobody's telephone number is kept");
    let assigned = only(&snapshot, "sso:ListAccountAssignments");
    assert!(assigned.is_about("AccountId", &company.home));
    let principals: Vec<_> =
        body(assigned)["AccountAssignments"].as_array().expect("a list").iter().map(|a| &a["PrincipalId"]).collect();
    assert_eq!(principals, [&json!(company.users[0]), &json!(company.group)]);
    let members = only(&snapshot, "identitystore:ListGroupMemberships");
    assert_eq!(body(members)["GroupMemberships"][0]["MemberId"]["UserId"], json!(company.users[1]));
    let set = &body(only(&snapshot, "sso:DescribePermissionSet"))["PermissionSet"];
    assert!(set["CreatedDate"].is_string(), "{set}");
    let parents = answers(&snapshot, "organizations:ListParents");
    assert_eq!(parents.len(), 2, "of each account: {parents:?}");
    for answer in snapshot.answers.iter().filter(|answer| cause(answer).is_none()) {
        assert!(!answer.pages.is_empty() && answer.sha256.len() == 64, "{}", answer.call);
    }
}

#[tokio::test]
async fn calls_are_as_many_as_the_documents_say_and_the_directory_is_asked_once() {
    let company = Company::of("100000000102").await;
    let snapshot = company.access().await;
    let (users, policies, accounts, sets, provisioned, groups) = (2, 1, 2, 1, 1, 1);
    let own = 7 + users;
    let directory = 3 + 6 * sets + provisioned + groups;
    let role_of_the_management_account = 1;
    let twice_for_accounts = 1;
    let organization = 2 + 2 * policies + accounts + twice_for_accounts;
    let expected = own + organization + 1 + directory + role_of_the_management_account;
    assert_eq!(snapshot.answers.len(), expected);
    let other = company.world.collector.access(&company.management, "").await;
    assert_eq!(other.answers.len(), 8, "neither users nor the organization: that is in the other snapshot");
}

#[tokio::test]
async fn a_credential_report_is_waited_for_but_not_for_ever() {
    let home = "100000000103";
    let world = World::of(home).await;
    world.aws.inject("iam:GetCredentialReport", "", 2, Fault::Refuse(404, "ReportInProgress"));
    let snapshot = world.collector.access(home, "").await;
    assert!(report(&snapshot).starts_with("user,arn,"));
    assert_eq!(world.aws.count("iam:GetCredentialReport"), 3);
    let world = World::with(home, Options { time: Duration::from_secs(1), ..Options::default() }).await;
    world.aws.inject("iam:GetCredentialReport", "", usize::MAX, Fault::Refuse(410, "ReportExpired"));
    let snapshot = world.collector.access(home, "").await;
    assert_eq!(cause(only(&snapshot, "iam:GetCredentialReport")), Some(Cause::Late));
}

#[tokio::test]
async fn what_is_denied_or_throttled_stands_in_the_snapshot_and_spoils_nothing_else() {
    let company = Company::with("100000000104", Options { time: Duration::from_secs(4), ..Options::default() }).await;
    let aws = &company.world.aws;
    aws.inject("iam:GetAccountAuthorizationDetails", "", usize::MAX, Fault::Refuse(403, "AccessDenied"));
    aws.inject("iam:ListSAMLProviders", "", usize::MAX, Fault::Refuse(400, "Throttling"));
    aws.inject("identitystore:ListGroups", "", 2, Fault::Refuse(400, "ThrottlingException"));
    aws.has_no_role(&company.management);
    let snapshot = company.access().await;
    assert_eq!(cause(only(&snapshot, "iam:GetAccountAuthorizationDetails")), Some(Cause::Denied));
    assert_eq!(cause(only(&snapshot, "iam:ListSAMLProviders")), Some(Cause::Throttled));
    assert!(report(&snapshot).contains("alice"), "the report is there all the same");
    let instances: Vec<_> =
        answers(&snapshot, "sso:ListInstances").iter().map(|answer| (answer.account.clone(), cause(answer))).collect();
    assert_eq!(instances, [(company.management.clone(), Some(Cause::NoRole)), (company.home.clone(), None)]);
    assert_eq!(cause(only(&snapshot, "identitystore:ListGroups")), None, "it was throttled for a moment");
}

#[tokio::test]
async fn identity_center_is_asked_in_its_own_region() {
    let company = Company::of("100000000105").await;
    let snapshot = company.world.collector.access(&company.home, "us-east-1").await;
    let regions: Vec<_> = answers(&snapshot, "sso:ListInstances").iter().map(|answer| answer.region.clone()).collect();
    assert_eq!(regions, ["us-east-1"]);
    assert!(
        company.world.aws.seen().iter().all(|(call, _, region)| !call.starts_with("sso:") || region == "us-east-1")
    );
}

#[tokio::test]
async fn snapshots_of_all_accounts_are_taken_in_as_many_goes_as_it_needs() {
    let company = Company::of("100000000106").await;
    let data = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder(data.path()).expect("a place"));
    let settings = Settings::default();
    let taking = Taking { collector: &company.world.collector, settings: &settings, store: &store };
    let taken = Time(1_790_812_800);
    let mut all = [company.home.clone(), company.management.clone()];
    all.sort();
    let none = taking.take(taken, Instant::now()).await.expect("nothing is lost");
    assert_eq!((none.taken.len(), &none.left[..]), (0, &all[..]));
    assert_eq!(store.last_access(Time(i64::MAX)).await.expect("read"), None, "not complete yet");
    store.put_snapshot(taken, &company.access().await).await.expect("kept");
    let asked = company.world.aws.count("iam:GetAccountAuthorizationDetails");
    let rest = taking.take(taken, Instant::now() + Duration::from_mins(1)).await.expect("taken");
    assert_eq!((&rest.taken[..], rest.left.len()), (&all[..], 0));
    assert_eq!(
        company.world.aws.count("iam:GetAccountAuthorizationDetails"),
        asked + 1,
        "what is there is not asked again"
    );
    let (at, snapshots) = store.last_access(Time(i64::MAX)).await.expect("read").expect("complete");
    let accounts: Vec<_> = snapshots.iter().map(|snapshot| snapshot.account.clone()).collect();
    assert_eq!((at, &accounts[..]), (taken, &all[..]));
    let mut settings = Settings::default();
    settings.review.excluded.insert(company.management.clone(), "reviewed by its owner".to_owned());
    let taking = Taking { settings: &settings, ..taking };
    let fewer = taking.take(Time(taken.0 + 60), Instant::now() + Duration::from_mins(1)).await.expect("taken");
    assert_eq!(fewer.taken, std::slice::from_ref(&company.home));
}

#[tokio::test]
async fn in_a_bucket_it_lies_as_in_a_folder() {
    let s3 = S3::start(&["data"]).await;
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests");
    let config = SdkConfig::builder()
        .region(Region::new(REGION))
        .endpoint_url(s3.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let store = Store::new(Stores::new(config).open("s3://data/stack").expect("a place"));
    let taken = Time(1_790_812_800);
    assert_eq!(store.last_access(Time(i64::MAX)).await.expect("read"), None);
    let snapshot = Snapshot { version: VERSION, account: "111122223333".to_owned(), taken, answers: Vec::new() };
    let kept = store.put_snapshot(taken, &snapshot).await.expect("kept");
    assert_eq!(kept.path, "stack/access/20261001T000000Z/111122223333.json.gz");
    let accounts = store.snapshots(taken).await.expect("listed");
    assert_eq!(accounts.get("111122223333"), Some(&kept.sha256));
    store.complete(&Complete { taken, accounts }).await.expect("complete");
    assert_eq!(store.last_access(Time(i64::MAX)).await.expect("read"), Some((taken, vec![snapshot])));
    let population = Population { taken, ..Population::default() };
    let kept = store.put_population("FY2027-Q1", &population).await.expect("kept");
    assert_eq!(store.population("FY2027-Q1").await.expect("read"), Some((std::sync::Arc::new(population), kept)));
    store.put_people(b"person,aliases,manager,status,start,end\na,,,active,,\n", "hr", taken).await.expect("kept");
    assert_eq!(store.people().await.expect("read").map(|(_, brought)| brought.by), Some("hr".to_owned()));
}
