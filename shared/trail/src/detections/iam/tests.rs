//! All changes of all these services, whatever came of them: each is told once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::IAM;
use super::neighbours::{ACCESS_ANALYZER, ACCOUNT, ROLES_ANYWHERE};
use crate::detection::{Engine, Severity, Want};
use crate::detections::identity_center::{DIRECTORY, IDENTITY_STORE, SSO};
use crate::detections::organizations::ORGANIZATIONS;
use crate::finding::Match;
use crate::log_file::Origin;
use crate::record::{Outcome, Record};
use crate::settings::Settings;
use crate::testing::record;

/// What is said of a record.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::detections) struct Told {
    pub(in crate::detections) id: &'static str,
    pub(in crate::detections) severity: Severity,
    pub(in crate::detections) sentence: String,
    pub(in crate::detections) key: String,
    pub(in crate::detections) why: String,
    pub(in crate::detections) resources: Vec<String>,
}

/// What all detections there are say of one change, those of the root user's every act aside. No two may speak.
pub(in crate::detections) fn told_with(settings: Settings, record: &Value) -> Option<Told> {
    let all = crate::detections::all().into_iter().filter(|detection| {
        let of_root = detection.wants.iter().any(|want| matches!(want, Want::Root));
        detection.threshold.is_none() && !of_root
    });
    let engine = Engine::with(settings, all.collect());
    let text = record.to_string();
    let mut found = Vec::new();
    let read = Record::parse(&text).expect("a record");
    engine.evaluate(&read, &Origin::default(), &mut |m| found.push(m)).expect("readable");
    let spoke: Vec<_> = found.iter().map(|found| found.detection.id).collect();
    assert!(spoke.len() < 2, "{spoke:?} of {text}");
    found.pop().map(|found| Told::of(&found))
}

pub(in crate::detections) fn told(record: &Value) -> Option<Told> {
    told_with(Settings::default(), record)
}

impl Told {
    fn of(found: &Match) -> Self {
        let (name, deed) = (&found.lead.actor.name, &found.lead.deed);
        let sentence = match found.lead.outcome {
            Outcome::Success => format!("{name} {} {}", deed.past, deed.object),
            Outcome::Denied => format!("{name} tried to {} {} (denied)", deed.verb, deed.object),
            Outcome::Failed => format!("{name} tried to {} {} (failed)", deed.verb, deed.object),
        };
        let why = found.lead.why.clone().unwrap_or_default();
        Self {
            id: found.detection.id,
            severity: found.lead.severity,
            sentence,
            key: found.key.clone(),
            why,
            resources: found.resources.clone(),
        }
    }

    pub(in crate::detections) fn brief(&self) -> (&'static str, Severity, &str) {
        (self.id, self.severity, &self.sentence)
    }
}

/// A call by alice, with these parameters.
pub(in crate::detections) fn call(source: &str, action: &str, request: Value) -> Value {
    let mut call = record(source, action, json!({}));
    call["requestParameters"] = request;
    call
}

/// A call of IAM by alice, with these parameters.
pub(in crate::detections) fn iam(action: &str, request: Value) -> Value {
    call(IAM, action, request)
}

/// The same, refused: without parameters, as AWS records it.
pub(in crate::detections) fn refused(source: &str, action: &str) -> Value {
    let more = json!({"errorCode": "AccessDenied", "errorMessage": "User: arn:aws:iam::111122223333:user/alice is not authorized"});
    record(source, action, more)
}

/// Lays members over a record.
pub(in crate::detections) fn with(mut record: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return record };
    for (key, value) in more {
        record[key] = value;
    }
    record
}

const IAM_CHANGES: &str = "AcceptDelegationRequest AcquireRole AddClientIDToOpenIDConnectProvider \
    AddRoleToInstanceProfile AddUserToGroup AssociateDelegationRequest AttachGroupPolicy AttachRolePolicy \
    AttachUserPolicy ChangePassword CreateAccessKey CreateAccountAlias CreateDelegationRequest CreateGroup \
    CreateInstanceProfile CreateLoginProfile CreateOpenIDConnectProvider CreatePolicy CreatePolicyVersion CreateRole \
    CreateSAMLProvider CreateServiceLinkedRole CreateServiceSpecificCredential CreateUser CreateVirtualMFADevice \
    DeactivateMFADevice DeleteAccessKey DeleteAccountAlias DeleteAccountPasswordPolicy DeleteGroup DeleteGroupPolicy \
    DeleteInstanceProfile DeleteLoginProfile DeleteOpenIDConnectProvider DeletePolicy DeletePolicyVersion DeleteRole \
    DeleteRolePermissionsBoundary DeleteRolePolicy DeleteSAMLProvider DeleteSSHPublicKey DeleteServerCertificate \
    DeleteServiceLinkedRole DeleteServiceSpecificCredential DeleteSigningCertificate DeleteUser \
    DeleteUserPermissionsBoundary DeleteUserPolicy DeleteVirtualMFADevice DetachGroupPolicy DetachRolePolicy \
    DetachUserPolicy DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions \
    DisableOutboundWebIdentityFederation EnableMFADevice EnableOrganizationsRootCredentialsManagement \
    EnableOrganizationsRootSessions EnableOutboundWebIdentityFederation PutAccountProperties PutGroupPolicy \
    PutRolePermissionsBoundary PutRolePolicy PutUserPermissionsBoundary PutUserPolicy RejectDelegationRequest \
    RemoveClientIDFromOpenIDConnectProvider RemoveRoleFromInstanceProfile RemoveUserFromGroup \
    ResetServiceSpecificCredential ResyncMFADevice SendDelegationToken SetDefaultPolicyVersion \
    SetSecurityTokenServicePreferences TagInstanceProfile TagMFADevice TagOpenIDConnectProvider TagPolicy TagRole \
    TagSAMLProvider TagServerCertificate TagUser UntagInstanceProfile UntagMFADevice UntagOpenIDConnectProvider \
    UntagPolicy UntagRole UntagSAMLProvider UntagServerCertificate UntagUser UpdateAccessKey \
    UpdateAccountPasswordPolicy UpdateAssumeRolePolicy UpdateDelegationRequest UpdateGroup UpdateLoginProfile \
    UpdateOpenIDConnectProviderThumbprint UpdateRole UpdateRoleDescription UpdateSAMLProvider UpdateSSHPublicKey \
    UpdateServerCertificate UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser UploadSSHPublicKey \
    UploadServerCertificate UploadSigningCertificate SomeCallOfTheFuture";

const SSO_CHANGES: &str = "AddRegion AttachCustomerManagedPolicyReferenceToPermissionSet \
    AttachManagedPolicyToPermissionSet CreateAccountAssignment CreateApplication CreateApplicationAssignment \
    CreateInstance CreateInstanceAccessControlAttributeConfiguration CreatePermissionSet CreateTrustedTokenIssuer \
    DeleteAccountAssignment DeleteApplication DeleteApplicationAccessScope DeleteApplicationAssignment \
    DeleteApplicationAuthenticationMethod DeleteApplicationGrant DeleteInlinePolicyFromPermissionSet DeleteInstance \
    DeleteInstanceAccessControlAttributeConfiguration DeletePermissionSet DeletePermissionsBoundaryFromPermissionSet \
    DeleteTrustedTokenIssuer DetachCustomerManagedPolicyReferenceFromPermissionSet \
    DetachManagedPolicyFromPermissionSet ProvisionPermissionSet PutApplicationAccessScope \
    PutApplicationAssignmentConfiguration PutApplicationAuthenticationMethod PutApplicationGrant \
    PutApplicationSessionConfiguration PutInlinePolicyToPermissionSet PutPermissionsBoundaryToPermissionSet \
    RemoveRegion TagResource UntagResource UpdateApplication UpdateInstance \
    UpdateInstanceAccessControlAttributeConfiguration UpdatePermissionSet UpdateTrustedTokenIssuer StartSSO \
    UpdateSsoConfiguration AssociateDirectory DisassociateDirectory AssociateProfile SomeCallOfTheFuture";

const DIRECTORY_CHANGES: &str = "CreateUser CreateGroup AddMemberToGroup RemoveMemberFromGroup DeleteUser UpdateUser \
    UpdatePassword StartVirtualMfaDeviceRegistration CompleteVirtualMfaDeviceRegistration DeleteMfaDeviceForUser \
    EnableExternalIdPConfigurationForDirectory DisableExternalIdPConfigurationForDirectory \
    CreateExternalIdPConfigurationForDirectory UpdateMfaDeviceManagementForDirectory CreateBearerToken";

const STORE_CHANGES: &str = "CreateGroup CreateGroupMembership CreateUser DeleteGroup DeleteGroupMembership DeleteUser \
    UpdateGroup UpdateIdentityStore UpdateUser";

const ORGANIZATION_CHANGES: &str = "AcceptHandshake AttachPolicy CancelHandshake CloseAccount CreateAccount \
    CreateGovCloudAccount CreateOrganization CreateOrganizationalUnit CreatePolicy DeclineHandshake \
    DeleteOrganization DeleteOrganizationalUnit DeletePolicy DeleteResourcePolicy DeregisterDelegatedAdministrator \
    DetachPolicy DisableAWSServiceAccess DisablePolicyType EnableAWSServiceAccess EnableAllFeatures EnablePolicyType \
    InviteAccountToOrganization InviteOrganizationToTransferResponsibility LeaveOrganization MoveAccount \
    PutResourcePolicy RegisterDelegatedAdministrator RemoveAccountFromOrganization TagResource \
    TerminateResponsibilityTransfer UntagResource UpdateOrganizationalUnit UpdatePolicy UpdateResponsibilityTransfer \
    CreateAccountResult AccountDepartedOrganization SomeCallOfTheFuture";

const ROLES_ANYWHERE_CHANGES: &str = "CreateProfile CreateTrustAnchor DeleteAttributeMapping DeleteCrl DeleteProfile \
    DeleteTrustAnchor DisableCrl DisableProfile DisableTrustAnchor EnableCrl EnableProfile EnableTrustAnchor \
    ImportCrl PutAttributeMapping PutNotificationSettings ResetNotificationSettings TagResource UntagResource \
    UpdateCrl UpdateProfile UpdateTrustAnchor";

const ACCOUNT_CHANGES: &str = "CloseAccount DeleteAlternateContact PutAccountName PutAlternateContact \
    PutContactInformation SendPhoneNumberVerification VerifyPhoneNumber";

const ANALYZER_CHANGES: &str = "CreateAnalyzer CreateServiceLinkedAnalyzer DeleteArchiveRule TagResource UntagResource \
    UpdateAnalyzer UpdateFindings SomeCallOfTheFuture";

fn all_changes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lists = [
        (IAM, IAM_CHANGES),
        (SSO, SSO_CHANGES),
        (DIRECTORY, DIRECTORY_CHANGES),
        (IDENTITY_STORE, STORE_CHANGES),
        (ORGANIZATIONS, ORGANIZATION_CHANGES),
        (ROLES_ANYWHERE, ROLES_ANYWHERE_CHANGES),
        (ACCOUNT, ACCOUNT_CHANGES),
        (ACCESS_ANALYZER, ANALYZER_CHANGES),
    ];
    lists.into_iter().flat_map(|(source, names)| names.split_whitespace().map(move |name| (source, name)))
}

#[test]
fn every_change_is_told_once_whatever_came_of_it_and_whatever_is_recorded_of_it() {
    let outcomes = [
        json!({}),
        json!({"errorCode": "AccessDenied", "errorMessage": "not authorized on resource: user bob"}),
        json!({"errorCode": "EntityAlreadyExistsException", "errorMessage": "exists"}),
    ];
    let requests = [
        Value::Null,
        json!({}),
        json!("scrubbed"),
        json!(["a"]),
        json!({"omitted": true, "originalSize": 200_000, "reason": "event_size_exceeds_max_size"}),
        json!({"userName": "bob", "roleName": "r", "groupName": "g", "policyDocument": "{", "policyArn": "é*"}),
        json!({"userName": ["bob"], "policyDocument": {"Statement": "x"}, "tags": {"items": []}}),
    ];
    for (source, action) in all_changes() {
        for outcome in &outcomes {
            for request in &requests {
                let change = with(record(source, action, outcome.clone()), json!({"requestParameters": request}));
                let told = told(&change).unwrap_or_else(|| panic!("nothing told of {change}"));
                let denied = outcome["errorCode"] == "AccessDenied";
                assert!(!denied || told.severity >= Severity::Low, "{told:?}");
            }
        }
    }
}

#[test]
fn a_change_without_a_mark_of_its_own_is_known_by_its_name() {
    let unmarked = with(iam("CreateUser", json!({"userName": "bob"})), json!({"readOnly": null}));
    assert!(told(&unmarked).is_some());
}

#[test]
fn reading_reporting_and_signing_in_are_no_changes() {
    for action in
        ["GenerateCredentialReport", "GenerateServiceLastAccessedDetails", "GenerateOrganizationsAccessReport"]
    {
        assert_eq!(told(&record(IAM, action, json!({}))), None, "{action}");
    }
    let reading = record(IAM, "GetUser", json!({"readOnly": true}));
    assert_eq!(told(&reading), None);
    for action in ["Authenticate", "Federate", "CreateToken", "RegisterClient", "StartDeviceAuthorization", "Logout"] {
        assert_eq!(told(&record(SSO, action, json!({}))), None, "{action}");
    }
    for action in ["ValidatePolicy", "CheckNoPublicAccess", "StartPolicyGeneration", "CreateAccessPreview"] {
        assert_eq!(told(&record(ACCESS_ANALYZER, action, json!({}))), None, "{action}");
    }
}

#[test]
fn what_belongs_elsewhere_is_told_there() {
    for (source, action, id) in [
        (ACCOUNT, "StartPrimaryEmailUpdate", "root-credentials-changed"),
        (ACCOUNT, "AcceptPrimaryEmailUpdate", "root-credentials-changed"),
        (ACCOUNT, "EnableRegion", "region-changed"),
        (ACCESS_ANALYZER, "DeleteAnalyzer", "access-analyzer-weakened"),
        (ACCESS_ANALYZER, "DeleteServiceLinkedAnalyzer", "access-analyzer-weakened"),
        (ACCESS_ANALYZER, "CreateArchiveRule", "access-analyzer-weakened"),
        (ACCESS_ANALYZER, "ApplyArchiveRule", "access-analyzer-weakened"),
    ] {
        assert_eq!(told(&record(source, action, json!({}))).map(|told| told.id), Some(id), "{action}");
    }
    for (status, id) in [("ARCHIVED", "access-analyzer-weakened"), ("ACTIVE", "iam-changed")] {
        let update = call(ACCESS_ANALYZER, "UpdateFindings", json!({ "status": status }));
        assert_eq!(told(&update).map(|told| told.id), Some(id), "{status}");
    }
}

#[test]
fn roles_of_this_system_are_told_of_with_its_parts() {
    let mut settings = Settings::default();
    "111122223333".clone_into(&mut settings.own.account);
    "qtrail".clone_into(&mut settings.own.stack);
    let of = |action: &str, role: &str| {
        told_with(settings.clone(), &iam(action, json!({ "roleName": role }))).map(|told| told.id)
    };
    assert_eq!(of("DeleteRole", "qtrail-IngestRole-1"), Some("own-part-touched"));
    assert_eq!(of("DeleteRole", "qtrails-friend"), Some("iam-changed"));
    assert_eq!(of("TagRole", "qtrail-IngestRole-1"), Some("iam-changed"));
}

#[test]
fn sixty_routine_changes_of_one_apply_are_a_few_quiet_findings() {
    let applied: Vec<Told> = (0..60)
        .map(|number| {
            let (action, request) = match number % 4 {
                0 => ("CreateRole", json!({"roleName": format!("app-{number}"), "assumeRolePolicyDocument": LAMBDA})),
                1 => ("AttachRolePolicy", json!({"roleName": format!("app-{number}"), "policyArn": SERVICE_ROLE})),
                2 => ("TagRole", json!({"roleName": format!("app-{number}")})),
                _ => ("CreateInstanceProfile", json!({"instanceProfileName": format!("app-{number}")})),
            };
            let by_terraform = json!({"userAgent": "APN/1.0 HashiCorp/1.0 Terraform/1.9.5"});
            told(&with(iam(action, request), by_terraform)).expect("told")
        })
        .collect();
    let findings: BTreeSet<_> = applied.iter().map(|told| (told.id, &told.key)).collect();
    assert!(findings.len() <= 3, "{findings:?}");
    assert!(applied.iter().all(|told| told.severity == Severity::Low));
}

const LAMBDA: &str =
    r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const SERVICE_ROLE: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

#[test]
fn a_refused_change_is_for_review_and_says_what_was_tried() {
    let message = "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: iam:AttachUserPolicy on \
        resource: user mallory because no identity-based policy allows the iam:AttachUserPolicy action";
    let denied = record(IAM, "AttachUserPolicy", json!({"errorCode": "AccessDenied", "errorMessage": message}));
    let told_once = told(&denied).expect("told");
    let sentence = "alice tried to attach a policy to user mallory (denied)";
    assert_eq!(told_once.brief(), ("iam-change-refused", Severity::Medium, sentence));
    let other = told(&refused(IAM, "CreateUser")).expect("told");
    assert_eq!(other.key, told_once.key, "all refusals of an actor are one finding");
}

#[test]
fn what_could_not_be_done_is_low() {
    for code in
        ["EntityAlreadyExistsException", "NoSuchEntityException", "LimitExceededException", "Client.DryRunOperation"]
    {
        let failed = with(iam("CreateUser", json!({"userName": "bob"})), json!({"errorCode": code}));
        let told = told(&failed).expect("told");
        assert_eq!((told.id, told.severity), ("iam-change-refused", Severity::Low), "{code}");
    }
}

#[test]
fn content_that_was_left_out_is_told_as_hidden() {
    let omitted = json!({"omitted": true, "reason": "requestParameters too large"});
    for action in ["PutUserPolicy", "CreatePolicy", "UpdateAssumeRolePolicy", "TagUser"] {
        let told = told(&iam(action, omitted.clone())).expect("told");
        assert_eq!((told.id, told.severity), ("iam-change-hidden", Severity::High), "{action}");
    }
    let in_part = json!({"userName": "bob", "policyName": "p", "policyDocument": {"omitted": true}});
    let told_in_part = told(&iam("PutUserPolicy", in_part)).expect("told");
    assert_eq!(told_in_part.sentence, "alice put inline policy p on user bob, its content left out of the record");
    let denied = with(iam("PutUserPolicy", omitted), json!({"errorCode": "AccessDenied"}));
    assert_eq!(told(&denied).map(|told| told.id), Some("iam-change-refused"));
}

#[test]
fn provisioning_by_aws_is_lowered_and_never_dropped() {
    let admin = json!({"roleName": "exec", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    let attach = iam("AttachRolePolicy", admin);
    let mut by_stack = attach.clone();
    by_stack["userIdentity"]["invokedBy"] = json!("cloudformation.amazonaws.com");
    assert_eq!(told(&by_stack).map(|told| told.severity), Some(Severity::Medium));
    let control_tower = with(attach.clone(), session("AWSControlTowerExecution", ""));
    assert_eq!(told(&control_tower).map(|told| told.severity), Some(Severity::Medium));
    let identity_center = with(attach.clone(), session("AWSServiceRoleForSSO", "aws-service-role/sso.amazonaws.com/"));
    assert_eq!(told(&identity_center).map(|told| told.severity), Some(Severity::Low));
    let impostor = with(attach, session("AWSServiceRoleForSSO", ""));
    assert_eq!(told(&impostor).map(|told| told.severity), Some(Severity::High));
}

#[test]
fn what_a_caller_says_of_itself_lowers_no_grant() {
    let admin = json!({"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    let by_terraform = json!({"userAgent": "Terraform/1.9.5"});
    let told = told(&with(iam("AttachUserPolicy", admin), by_terraform)).expect("told");
    assert_eq!(told.severity, Severity::High);
}

#[test]
fn an_instance_that_changes_iam_is_worse() {
    let by_instance = session_named("web", "", "i-0123456789abcdef0");
    let user = with(iam("CreateUser", json!({"userName": "bob"})), by_instance.clone());
    assert_eq!(told(&user).map(|told| told.severity), Some(Severity::High));
    let key = with(iam("CreateAccessKey", json!({"userName": "bob"})), by_instance);
    assert_eq!(told(&key).map(|told| told.severity), Some(Severity::Critical));
}

/// A session of a role.
pub(in crate::detections) fn session(role: &str, path: &str) -> Value {
    session_named(role, path, "work")
}

fn session_named(role: &str, path: &str, name: &str) -> Value {
    json!({"userIdentity": {
        "type": "AssumedRole",
        "principalId": format!("AROAEXAMPLE:{name}"),
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"),
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {"sessionIssuer": {
            "type": "Role",
            "userName": role,
            "arn": format!("arn:aws:iam::111122223333:role/{path}{role}"),
            "accountId": "111122223333"
        }}
    }})
}
