//! Who tries to get in: failed sign-ins, refused calls, and sign-ins that should not be.
//!
//! One failure is nobody's attack. Most detections here count, by user, by address or by actor, and say something when
//! a window is full. See [`crate::window`].

use std::net::IpAddr;

use ipnet::Ipv6Net;

use crate::actor::{Actor, UNKNOWN_USER};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::record::{Outcome, Record};
use crate::settings::Thresholds;
use crate::shape::{at, field, text};
use crate::window::{Success, Threshold};

pub(super) const ALL: &[&Detection] = &[
    &USER_BRUTE_FORCE,
    &ADDRESS_BRUTE_FORCE,
    &USER_SPRAY,
    &ACCOUNT_SPRAY,
    &MFA_FAILED,
    &ROLE_PROBING,
    &FEDERATED_FAILED,
    &REFUSED_CALLS,
    &REFUSED_IAM_CHANGES,
    &REFUSED_CREDENTIALS,
    &PRINCIPAL_PROBING,
    &NO_MFA,
    &INSTANCE_SIGN_IN,
    &FEDERATION_TOKEN_SIGN_IN,
    &SIGN_IN_TOKEN,
];

pub(super) const SIGN_IN: &str = "signin.amazonaws.com";
const SSO: &str = "sso.amazonaws.com";
const STS: &str = "sts.amazonaws.com";

/// Sign-ins to the console and to Identity Center. `CheckMfa` is a step on the way, taken before the password.
const SIGN_INS: &[Want] = &[
    Want::Calls(SIGN_IN, &["ConsoleLogin", "CredentialVerification", "UserAuthentication"]),
    Want::Calls(SSO, &["Authenticate"]),
];

/// The same user fails to sign in again and again.
static USER_BRUTE_FORCE: Detection = Detection {
    id: "sign-in-failures-user",
    title: "Repeated failed sign-ins of one user",
    category: Category::Authentication,
    severity: Severity::High,
    techniques: &["T1110.001"],
    controls: &["CIS 7.0 5.6", "CIS 3.0 4.6", "CloudWatch.6"],
    wants: SIGN_INS,
    check: by_user,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.user_failures.step(Severity::High)],
        success: Some(success(limits, Severity::Critical)),
    }),
    why: "Somebody guesses this user's password, or has one that is no longer right.",
    runbook: &[
        "Did a success follow? Then treat the user as taken over: disable the console password and the access keys",
        "Ask the user, not by chat, whether it was them and from where",
        "Look what else came from these addresses",
    ],
    ..Detection::BASE
};

/// Names that do not exist are one user where they come from one address: elsewhere it is somebody else's mistake.
fn by_user(case: &Case<'_>) -> Option<Catch> {
    let sign_in = SignIn::of(case).filter(|sign_in| !sign_in.root)?;
    let unknown = sign_in.user.ends_with(UNKNOWN_USER);
    let from = address(case).filter(|_| unknown).map_or(String::new(), |address| format!(" from {address}"));
    Some(sign_in.tally(&sign_in.user).key(format!("{}{from}", sign_in.user)))
}

/// One address fails to sign in again and again, as whomever.
static ADDRESS_BRUTE_FORCE: Detection = Detection {
    id: "sign-in-failures-address",
    title: "Repeated failed sign-ins from one address",
    check: by_address,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.address_failures.step(Severity::High)],
        success: Some(after_failures_alone(limits)),
    }),
    why: "One address tries one password after the other.",
    runbook: &[
        "Did a success follow? Then treat that user as taken over: disable the console password and the access keys",
        "Is it an office or a VPN of yours? Name it under [networks] and ask there",
        "Look what else came from this address",
    ],
    ..USER_BRUTE_FORCE
};

fn by_address(case: &Case<'_>) -> Option<Catch> {
    let sign_in = SignIn::of(case)?;
    Some(sign_in.tally(&sign_in.user).key(address(case)?))
}

/// One address tries many users, each perhaps once.
static USER_SPRAY: Detection = Detection {
    id: "sign-in-spray-users",
    title: "Failed sign-ins of many users from one address",
    techniques: &["T1110.003"],
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.address_users.step(Severity::High)],
        success: Some(after_failures_alone(limits)),
    }),
    why: "One address tries a few passwords on many users, to stay below what locks or alarms a single one.",
    ..ADDRESS_BRUTE_FORCE
};

/// One address tries several accounts.
static ACCOUNT_SPRAY: Detection = Detection {
    id: "sign-in-spray-accounts",
    title: "Failed sign-ins in several accounts from one address",
    techniques: &["T1110.003"],
    check: over_accounts,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.address_accounts.step(Severity::High)],
        success: None,
    }),
    why: "One address tries several accounts: whoever it is has a list of yours.",
    ..ADDRESS_BRUTE_FORCE
};

fn over_accounts(case: &Case<'_>) -> Option<Catch> {
    let sign_in = SignIn::of(case).filter(|sign_in| !sign_in.succeeded)?;
    Some(sign_in.tally(case.account).key(address(case)?).all_accounts())
}

/// The password is right, the second factor is not.
static MFA_FAILED: Detection = Detection {
    id: "sign-in-mfa-failures",
    title: "Repeated wrong second factors after the right password",
    severity: Severity::Medium,
    techniques: &["T1621", "T1110.001"],
    check: wrong_factor,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.mfa_failures.step(Severity::Medium), limits.user_failures.step(Severity::High)],
        success: None,
    }),
    why: "Whoever fails here knows the password already: MFA is all that stands between them and the account.",
    runbook: &[
        "Ask the user, not by chat, whether it was them",
        "Not them: change the password now, and look where else it was used",
    ],
    ..USER_BRUTE_FORCE
};

fn wrong_factor(case: &Case<'_>) -> Option<Catch> {
    let sign_in = SignIn::of(case).filter(|sign_in| !sign_in.succeeded && sign_in.second_factor)?;
    Some(sign_in.tally(&sign_in.user).key(sign_in.user.as_str()))
}

/// A sign-in that succeeded or failed.
struct SignIn {
    /// Tells users of one account apart: those of IAM, those of Identity Center, root.
    user: String,
    root: bool,
    succeeded: bool,
    /// The password was right; this is about the second factor.
    second_factor: bool,
}

impl SignIn {
    fn of(case: &Case<'_>) -> Option<Self> {
        let succeeded = case.succeeded();
        let (action, credential) = (case.record.action(), text(field(case.record.additional(), "CredentialType")));
        // A right password is a step where more is asked for; `UserAuthentication` says that the user is in.
        if case.actor.kind == "AWSService" || (action == "CredentialVerification" && succeeded) {
            return None;
        }
        let root = case.actor.is_root();
        let console = action == "ConsoleLogin";
        let user = match (root, console) {
            (true, _) => "root".to_owned(),
            (false, true) => console_user(case.actor),
            (false, false) => format!("identity-center:{}", identity_center_user(case)),
        };
        let second_factor = if console {
            text(field(case.record.additional(), "MFAUsed")).eq_ignore_ascii_case("yes")
        } else {
            credential == "WEBAUTHN" || credential.ends_with("TOTP")
        };
        Some(Self { user, root, succeeded, second_factor })
    }

    fn tally(&self, value: &str) -> Catch {
        let catch = Catch::new(sign_in_deed());
        if self.succeeded { catch.success(value) } else { catch.failure(value) }
    }
}

fn console_user(actor: &Actor) -> String {
    if actor.role.is_empty() { actor.name.clone() } else { format!("{}/{}", actor.role, actor.name) }
}

/// The user's id, which every newer record of a sign-in carries; the name stands in one of them alone.
fn identity_center_user<'c>(case: &'c Case<'_>) -> &'c str {
    let identity = case.record.user_identity();
    let known = [
        text(at(identity, &["onBehalfOf", "userId"])),
        text(field(identity, "userName")),
        text(field(case.record.additional(), "UserName")),
    ];
    known.into_iter().find(|name| !name.is_empty()).unwrap_or(UNKNOWN_USER)
}

pub(super) fn sign_in_deed() -> Deed {
    Deed::new("sign in", "signed in", "to the console")
}

/// A success soon after failures: of this severity where they met the threshold, for information where they are few.
pub(super) fn success(limits: &Thresholds, severity: Severity) -> Success {
    Success { within: limits.success_within_minutes.saturating_mul(60), severity, few: limits.few_failures }
}

/// Behind one address are many people: a few failures and then a success of one of them is any office's morning.
fn after_failures_alone(limits: &Thresholds) -> Success {
    Success { few: usize::MAX, ..success(limits, Severity::Critical) }
}

/// The address to count by. Of IPv6 whoever has one has a whole /64; names of services are no addresses.
pub(super) fn address(case: &Case<'_>) -> Option<String> {
    let address: IpAddr = case.record.source_ip.trim().parse().ok()?;
    Some(match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            Ipv6Net::new(address, 64).map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
        }
    })
}

/// Somebody tries which roles let them in.
static ROLE_PROBING: Detection = Detection {
    id: "role-probing",
    title: "Many roles tried in vain",
    category: Category::Authentication,
    severity: Severity::High,
    techniques: &["T1078.004", "T1087.004", "T1110"],
    wants: &[Want::Calls(STS, &["AssumeRole", "AssumeRoot"]), Want::Calls(SIGN_IN, &["SwitchRole"])],
    // Of the most frequent call of all only the few that fail matter here.
    glance: |record, _| record.source == SIGN_IN || !record.error_code.is_empty(),
    check: role_refused,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.role_failures.step(Severity::High)],
        success: None,
    }),
    why: "Whoever tries one role after the other does not know what they may do: these are found credentials.",
    runbook: &[
        "Find out what the credentials are for, and whether they were ever used from this address",
        "Did one of the roles let them in? qtrail search --user ACTOR",
        "Not explained: disable the access key, or revoke the role's sessions",
    ],
    ..Detection::BASE
};

fn role_refused(case: &Case<'_>) -> Option<Catch> {
    if case.succeeded() || case.actor.is_service() {
        return None;
    }
    let role = role(case);
    let deed = Deed::new("assume", "assumed", if role.is_empty() { "a role" } else { role });
    Some(Catch::new(deed).resource(role).key(case.actor.key()).failure(role))
}

/// The role that was asked for; a refused call says it in its error message alone.
fn role<'c>(case: &'c Case<'_>) -> &'c str {
    let record = case.record;
    let said = [
        record.parameter("roleArn"),
        record.arn_in_error().unwrap_or_default(),
        record.parameter("targetPrincipal"),
        text(field(record.additional(), "SwitchTo")),
        text(field(record.additional(), "RedirectTo")),
    ];
    said.into_iter().find(|role| !role.is_empty()).unwrap_or_default()
}

/// Tokens of an identity provider that AWS does not accept. One role asked for again and again is mostly a mistake in
/// its trust policy; several are not.
static FEDERATED_FAILED: Detection = Detection {
    id: "federated-sign-in-failures",
    title: "Repeated failed sign-ins by SAML or web identity",
    severity: Severity::Medium,
    techniques: &["T1606.002", "T1110"],
    wants: &[Want::Calls(STS, &["AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"])],
    check: federated_refused,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.federated_failures.step(Severity::Medium), limits.role_failures.step(Severity::High)],
        success: None,
    }),
    why: "Somebody presents tokens that AWS does not accept: forged, stolen and expired, or a broken trust policy.",
    runbook: &[
        "Read the error: expired tokens and one role point to a broken deployment, several roles to an attack",
        "Look whether the same address got in",
        "Ask whoever runs the identity provider whether it issued these tokens",
    ],
    ..ROLE_PROBING
};

fn federated_refused(case: &Case<'_>) -> Option<Catch> {
    let from = address(case).unwrap_or_else(|| case.record.source_ip.clone().into_owned());
    Some(role_refused(case)?.key(from))
}

/// One actor is refused again and again, at different things.
static REFUSED_CALLS: Detection = Detection {
    id: "refused-calls",
    title: "Many calls refused",
    category: Category::Reconnaissance,
    severity: Severity::Medium,
    techniques: &["T1580", "T1526", "T1087.004"],
    controls: &["CIS 7.0 5.1", "CIS 3.0 4.1", "CloudWatch.2"],
    wants: &[Want::Refused],
    glance: |record, _| record.refused() && !is_log_delivery(record),
    check: refused,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.refused_calls.step(Severity::Medium), limits.refused_calls.times(5).step(Severity::High)],
        success: None,
    }),
    why: "Whoever is refused at many different calls tries what the credentials are good for.",
    runbook: &[
        "Find out what the actor is for: a new deployment lacks permissions, an attacker tries everything",
        "Look what was not refused: qtrail search --user ACTOR --error none",
        "Not explained: disable the access key, or revoke the role's sessions",
    ],
    ..ROLE_PROBING
};

fn refused(case: &Case<'_>) -> Option<Catch> {
    if is_noise(case) {
        return None;
    }
    let action = called(case);
    // Everybody without a name is not one actor.
    let key = if case.actor.kind == "AWSAccount" {
        format!("{}|{}", case.actor.key(), case.record.source_ip)
    } else {
        case.actor.key()
    };
    Some(Catch::new(Deed::new("call", "called", action.clone())).key(key).failure(action))
}

/// What is refused every day and means nothing: services checking buckets, and the console's pages, which ask for
/// all that they could show. Only AWS's own marks count as the console: whoever calls writes the user agent.
fn is_noise(case: &Case<'_>) -> bool {
    let Case { record, actor, .. } = case;
    let console = actor.console || actor.invoked_by == SIGN_IN;
    is_log_delivery(record)
        || actor.is_service()
        || super::trail::acts_alone(actor)
        || actor.is_root()
        || (console && !record.changes())
}

/// Log delivery asks for each bucket that it writes to and is refused in most of them.
fn is_log_delivery(record: &Record<'_>) -> bool {
    record.source_ip == "delivery.logs.amazonaws.com" && record.name == "HeadBucket"
}

/// `s3:ListBuckets`.
pub(super) fn called(case: &Case<'_>) -> String {
    let source = &*case.record.source;
    format!("{}:{}", source.strip_suffix(".amazonaws.com").unwrap_or(source), case.record.action())
}

/// One actor is refused several kinds of IAM changes: looking for the one that works.
static REFUSED_IAM_CHANGES: Detection = Detection {
    id: "refused-iam-changes",
    title: "Several IAM changes refused",
    category: Category::IamChange,
    severity: Severity::High,
    techniques: &["T1098", "T1548.005"],
    controls: &[],
    check: refused_iam_change,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.refused_iam_changes.step(Severity::High)],
        success: None,
    }),
    why: "Whoever is refused one IAM change after the other looks for the one that gives them more rights.",
    runbook: &[
        "Look whether one went through in between: qtrail findings --category iam_change --actor ACTOR",
        "Ask the actor, not by chat, what they were about to change",
        "Not explained: disable the access key, or revoke the role's sessions",
    ],
    ..REFUSED_CALLS
};

fn refused_iam_change(case: &Case<'_>) -> Option<Catch> {
    const SOURCES: [&str; 7] =
        ["iam", "sso", "sso-directory", "identitystore", "organizations", "rolesanywhere", "account"];
    let service = case.record.source.strip_suffix(".amazonaws.com")?;
    let action = case.record.action();
    // Reports are recorded as changes, and change nothing.
    let change = case.record.changes() && !action.starts_with("Generate") && !action.starts_with("Simulate");
    if !SOURCES.contains(&service) || !change {
        return None;
    }
    refused(case)
}

/// One actor is refused secrets, passwords and sessions on machines.
static REFUSED_CREDENTIALS: Detection = Detection {
    id: "refused-credentials",
    title: "Several secrets or machine logins refused",
    severity: Severity::Medium,
    techniques: &["T1555.006", "T1552", "T1021"],
    controls: &[],
    wants: &[
        Want::Calls("secretsmanager.amazonaws.com", &["GetSecretValue", "BatchGetSecretValue"]),
        Want::Calls("ssm.amazonaws.com", &["GetParameter", "GetParameters", "StartSession", "SendCommand"]),
        Want::Calls("ec2-instance-connect.amazonaws.com", &["SendSSHPublicKey", "SendSerialConsoleSSHPublicKey"]),
        Want::Calls("ec2.amazonaws.com", &["GetPasswordData", "DescribeInstanceAttribute"]),
        Want::Calls("redshift.amazonaws.com", &["GetClusterCredentials", "GetClusterCredentialsWithIAM"]),
    ],
    check: refused_credential,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.refused_credentials.step(Severity::Medium)],
        success: None,
    }),
    why: "Whoever asks for one secret or machine after the other looks for a way further in.",
    ..REFUSED_CALLS
};

fn refused_credential(case: &Case<'_>) -> Option<Catch> {
    const TARGETS: [&str; 7] =
        ["secretId", "name", "names", "target", "instanceIds", "instanceId", "clusterIdentifier"];
    // Of an instance's attributes it is the user data that people leave passwords in.
    let other = case.record.action() == "DescribeInstanceAttribute" && case.record.parameter("attribute") != "userData";
    if case.outcome != Outcome::Denied || other || is_noise(case) {
        return None;
    }
    let request = case.record.request();
    let asked = TARGETS.iter().map(|name| field(request, name)).find(|value| !value.is_null());
    let target = match asked {
        Some(value) => value.to_string(),
        None => case.record.arn_in_error().unwrap_or_default().to_owned(),
    };
    let action = called(case);
    Some(
        Catch::new(Deed::new("call", "called", action.clone()))
            .key(case.actor.key())
            .failure(format!("{action} {target}")),
    )
}

/// A policy is refused because a principal in it does not exist: repeated with other names, that lists the users and
/// roles of any account, and nothing is recorded there.
static PRINCIPAL_PROBING: Detection = Detection {
    id: "principal-probing",
    title: "Principals probed by trust and resource policies",
    severity: Severity::High,
    techniques: &["T1087.004", "T1580"],
    controls: &[],
    wants: &[Want::Named(&[
        "UpdateAssumeRolePolicy",
        "CreateRole",
        "PutBucketPolicy",
        "PutAccessPointPolicy",
        "PutKeyPolicy",
        "CreateKey",
        "CreateGrant",
        "PutResourcePolicy",
        "SetRepositoryPolicy",
        "SetQueueAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "PutVaultAccessPolicy",
    ])],
    glance: |record, _| !record.error_code.is_empty(),
    check: invalid_principal,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.probed_principals.step(Severity::High)],
        success: None,
    }),
    why: "Each refusal tells whether a user or role exists, in whichever account: somebody compiles a list.",
    runbook: &[
        "Look at the names that were tried, and whose account they belong to",
        "Find out what the actor is for; no deployment tries many principals",
        "Not explained: disable the access key, or revoke the role's sessions",
    ],
    ..REFUSED_CALLS
};

fn invalid_principal(case: &Case<'_>) -> Option<Catch> {
    let message = case.record.error_message();
    let malformed = case.record.error_code.contains("MalformedPolicy") && message.is_empty();
    let principal = message.to_ascii_lowercase().contains("principal");
    // Only the console says that something failed without an error code, and it has no policies.
    if case.record.error_code.is_empty() {
        return None;
    }
    if case.outcome != Outcome::Failed || case.actor.is_service() || !(malformed || principal) {
        return None;
    }
    // A deployment repeats one policy until its role exists; who probes changes the name each time.
    let tried = match message.split_once("principal in policy: ") {
        Some((_, principal)) => principal.to_owned(),
        None => case.record.request().to_string(),
    };
    let deed = Deed::new("probe", "probed", format!("principals by {}", called(case)));
    Some(Catch::new(deed).key(case.actor.key()).failure(tried))
}

/// A user of IAM signs in with nothing but a password.
static NO_MFA: Detection = Detection {
    id: "console-sign-in-without-mfa",
    title: "Console sign-in without MFA",
    category: Category::Authentication,
    severity: Severity::High,
    techniques: &["T1078.004"],
    controls: &["CIS 7.0 5.2", "CIS 3.0 4.2", "CloudWatch.3"],
    wants: &[Want::Calls(SIGN_IN, &["ConsoleLogin"])],
    check: without_mfa,
    window: 86_400,
    why: "A password alone opened the console: whoever learns it can do the same.",
    runbook: &[
        "Ask the user whether it was them, from this address",
        "Give the user an MFA device, or move them to single sign-on, and deny what is done without MFA",
    ],
    ..Detection::BASE
};

/// People of an identity provider sign in with its MFA, which the record does not show; root is another detection's.
fn without_mfa(case: &Case<'_>) -> Option<Catch> {
    let additional = case.record.additional();
    let federated = case.actor.kind != "IAMUser" || !text(field(additional, "SamlProviderArn")).is_empty();
    let recorded = text(field(additional, "MFAUsed"));
    let used = recorded.eq_ignore_ascii_case("yes") || case.actor.mfa == Some(true);
    if !case.succeeded() || federated || used || case.actor.is_root() {
        return None;
    }
    let how = if recorded.is_empty() { "to the console, MFA not recorded" } else { "to the console without MFA" };
    Some(Catch::new(Deed::new("sign in", "signed in", how)).key(case.actor.key()))
}

/// The role of a machine signs in to the console: a person holds the machine's credentials.
static INSTANCE_SIGN_IN: Detection = Detection {
    id: "console-sign-in-instance-role",
    title: "An instance's role used to sign in to the console",
    severity: Severity::Critical,
    techniques: &["T1550.001", "T1552.005", "T1078.004"],
    controls: &[],
    wants: &[Want::Calls(SIGN_IN, &["ConsoleLogin", "GetSigninToken"])],
    check: instance_sign_in,
    window: 3600,
    why: "Machines do not use the console: somebody took this instance's credentials and works with them by hand.",
    runbook: &[
        "Revoke the role's sessions now, then isolate the instance and keep its disks",
        "Look at everything this session did: qtrail search --user SESSION",
        "Find out how the credentials left: an open proxy, an SSRF, a stolen key, IMDSv1",
    ],
    ..NO_MFA
};

fn instance_sign_in(case: &Case<'_>) -> Option<Catch> {
    is_instance(case.actor).then(|| {
        let deed = match case.record.action() {
            "ConsoleLogin" => sign_in_deed(),
            _ => Deed::new("get", "got", "a token to sign in to the console"),
        };
        Catch::new(deed).severity(case.graded(Severity::Critical, Severity::High)).key(case.actor.key())
    })
}

/// EC2 names a role's session after the instance.
fn is_instance(actor: &Actor) -> bool {
    let session = actor.arn.rsplit('/').next().unwrap_or_default();
    let id = session.strip_prefix("i-").unwrap_or_default();
    actor.kind == "AssumedRole" && [8, 17].contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A long-term key turned into a console session.
static FEDERATION_TOKEN_SIGN_IN: Detection = Detection {
    id: "console-sign-in-federation-token",
    title: "Console sign-in with a federation token",
    severity: Severity::Medium,
    techniques: &["T1550.001", "T1078.004"],
    controls: &[],
    check: federation_token_sign_in,
    why: "Somebody turned an access key into a console session, which asks for no password and no MFA.",
    runbook: &[
        "Find the GetFederationToken call and the key behind it",
        "Ask the key's owner; not them: disable the key and deny the user everything until the session is over",
    ],
    ..NO_MFA
};

fn federation_token_sign_in(case: &Case<'_>) -> Option<Catch> {
    let other = case.actor.kind != "FederatedUser" || case.actor.issuer_kind == "Root" || case.actor.is_root();
    if !case.succeeded() || other {
        return None;
    }
    let deed = Deed::new("sign in", "signed in", "to the console with a federation token");
    Some(Catch::new(deed).key(case.actor.key()))
}

/// Credentials of the command line are taken into the console. Identity Center's portal does so for everybody.
static SIGN_IN_TOKEN: Detection = Detection {
    id: "console-sign-in-token",
    title: "Command line credentials turned into a console session",
    severity: Severity::Low,
    techniques: &["T1550.001", "T1021.007"],
    controls: &[],
    wants: &[Want::Calls(SIGN_IN, &["GetSigninToken"])],
    check: sign_in_token,
    why: "Stolen keys become a console session this way. Tools of developers do the same.",
    runbook: &[
        "Does the actor use a tool that opens the console, such as aws-vault? Then it is expected",
        "Compare the address with those that the actor's keys are used from",
    ],
    ..NO_MFA
};

fn sign_in_token(case: &Case<'_>) -> Option<Catch> {
    let portal = case.actor.role.starts_with("AWSReservedSSO_") && case.record.user_agent().starts_with("Jersey/");
    if !case.succeeded() || portal || is_instance(case.actor) || case.actor.is_root() {
        return None;
    }
    let severity = if case.actor.kind == "FederatedUser" { Severity::Medium } else { Severity::Low };
    let deed = Deed::new("get", "got", "a token to sign in to the console");
    Some(Catch::new(deed).severity(severity).key(case.actor.key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;
    use crate::testing::{ACCOUNT, caught, findings, record, repeated};
    use serde_json::{Value, json};

    const OTHER_ACCOUNT: &str = "444455556666";

    fn console(user: &str, result: &str) -> Value {
        let mut record = record(SIGN_IN, "ConsoleLogin", json!({"eventType": "AwsConsoleSignIn"}));
        record["userIdentity"] = json!({"type": "IAMUser", "userName": user, "accountId": ACCOUNT, "accessKeyId": ""});
        record["responseElements"] = json!({"ConsoleLogin": result});
        record["additionalEventData"] = json!({"MFAUsed": "No", "MobileVersion": "No"});
        record["eventID"] = json!(format!("{user}-{result}"));
        record
    }

    /// What AWS writes for a name that no user has.
    const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

    fn at(mut record: Value, clock: &str) -> Value {
        record["eventTime"] = json!(format!("2026-11-20T{clock}Z"));
        record["eventID"] = json!(format!("{clock}-{}", record["eventID"]));
        record
    }

    fn from(mut record: Value, address: &str) -> Value {
        record["sourceIPAddress"] = json!(address);
        record
    }

    fn short(found: &[Finding]) -> Vec<(Severity, Outcome, &str)> {
        found.iter().map(|finding| (finding.severity, finding.outcome, finding.key.as_str())).collect()
    }

    const HIGH: (Severity, Outcome) = (Severity::High, Outcome::Failed);

    #[test]
    fn five_failures_of_a_user_in_a_quarter_of_an_hour() {
        let failed = console("alice", "Failure");
        assert!(findings(&USER_BRUTE_FORCE, &repeated(&failed, 4, 60)).is_empty());
        assert!(findings(&USER_BRUTE_FORCE, &repeated(&failed, 8, 240)).is_empty(), "slow as a forgetful person");
        let found = findings(&USER_BRUTE_FORCE, &repeated(&failed, 5, 60));
        assert_eq!(short(&found), [(HIGH.0, HIGH.1, "alice")]);
        assert_eq!(found[0].event_count(), 5);
        assert!(found[0].facts.actors.contains("alice") && found[0].facts.source_ips.contains("203.0.113.7"));
        let copies = vec![failed; 9];
        assert!(findings(&USER_BRUTE_FORCE, &copies).is_empty(), "one record delivered nine times");
    }

    #[test]
    fn a_users_failures_add_up_over_addresses_and_regions() {
        let mut failed = repeated(&console("alice", "Failure"), 5, 60);
        for (i, record) in failed.iter_mut().enumerate() {
            record["sourceIPAddress"] = json!(format!("198.51.100.{i}"));
            record["awsRegion"] = json!(["us-east-1", "eu-north-1"][i % 2]);
        }
        assert_eq!(short(&findings(&USER_BRUTE_FORCE, &failed)), [(HIGH.0, HIGH.1, "alice")]);
        for (i, record) in failed.iter_mut().enumerate() {
            record["recipientAccountId"] = json!([ACCOUNT, OTHER_ACCOUNT][i % 2]);
        }
        assert!(findings(&USER_BRUTE_FORCE, &failed).is_empty(), "two alices of two accounts");
    }

    #[test]
    fn unknown_users_count_as_one_whatever_the_message() {
        let mut unknown = console(HIDDEN, "Failure");
        unknown["errorMessage"] = json!("No username found in supplied account");
        let found = findings(&USER_BRUTE_FORCE, &repeated(&unknown, 5, 60));
        assert_eq!(short(&found), [(HIGH.0, HIGH.1, "a user that does not exist from 203.0.113.7")]);
        let apart: Vec<Value> =
            repeated(&unknown, 5, 60).into_iter().zip(1..).map(|(r, n)| from(r, &format!("198.51.100.{n}"))).collect();
        assert!(findings(&USER_BRUTE_FORCE, &apart).is_empty(), "five people, each with a slip of the finger");
        unknown["responseElements"] = Value::Null;
        assert_eq!(findings(&USER_BRUTE_FORCE, &repeated(&unknown, 5, 60)).len(), 1, "the message alone says it");
    }

    #[test]
    fn a_success_after_an_attack_is_critical_and_after_a_few_failures_a_note() {
        let with = |count: usize, user: &str, clock: &str| {
            let mut records = repeated(&console("alice", "Failure"), count, 60);
            records.insert(0, at(console(user, "Success"), clock));
            findings(&USER_BRUTE_FORCE, &records).first().map(|finding| finding.severity)
        };
        assert_eq!(with(5, "alice", "03:30:00"), Some(Severity::Critical));
        assert_eq!(with(5, "alice", "05:30:00"), Some(Severity::High), "too late");
        assert_eq!(with(5, "alice", "02:30:00"), Some(Severity::High), "before");
        assert_eq!(with(5, "bob", "03:30:00"), Some(Severity::High), "somebody else");
        assert_eq!(with(3, "alice", "03:30:00"), Some(Severity::Informational));
        assert_eq!(with(2, "alice", "03:30:00"), None);
    }

    #[test]
    fn a_check_for_mfa_is_no_sign_in() {
        let step = record(SIGN_IN, "CheckMfa", json!({"responseElements": {"CheckMfa": "Success"}}));
        assert!(ALL.iter().all(|detection| caught(detection, &step).is_none()));
    }

    #[test]
    fn ten_failures_from_an_address_over_users() {
        let users: Vec<Value> =
            (0..10).map(|i| at(console(["a", "b"][i % 2], "Failure"), &format!("03:0{i}:00"))).collect();
        let found = findings(&ADDRESS_BRUTE_FORCE, &users);
        assert_eq!(short(&found), [(HIGH.0, HIGH.1, "203.0.113.7")]);
        let success = |user| {
            let mut all = users.clone();
            all.push(at(console(user, "Success"), "03:20:00"));
            findings(&ADDRESS_BRUTE_FORCE, &all)[0].severity
        };
        assert_eq!(success("b"), Severity::Critical);
        assert_eq!(success("c"), Severity::High, "a colleague behind the same address");
    }

    #[test]
    fn an_offices_morning_is_quiet() {
        let mut records = Vec::new();
        for (i, user) in ["a", "b", "c", "d"].iter().enumerate() {
            records.push(at(console(user, "Failure"), &format!("08:0{i}:00")));
            records.push(at(console(user, "Success"), &format!("08:0{i}:30")));
        }
        for detection in ALL.iter().filter(|detection| detection.threshold.is_some()) {
            assert!(findings(detection, &records).is_empty(), "{}", detection.id);
        }
    }

    #[test]
    fn a_spray_is_many_users_each_perhaps_once() {
        let spray: Vec<Value> = ["a", "b", "c", "d", HIDDEN]
            .iter()
            .enumerate()
            .map(|(i, user)| at(console(user, "Failure"), &format!("03:{i}9:00")))
            .collect();
        assert_eq!(short(&findings(&USER_SPRAY, &spray)), [(HIGH.0, HIGH.1, "203.0.113.7")]);
        assert!(findings(&USER_SPRAY, &spray[..4]).is_empty());
        assert!(findings(&USER_SPRAY, &repeated(&spray[4], 9, 60)).is_empty(), "unknown users are one");
        let mut hit = spray.clone();
        hit.push(at(console("b", "Success"), "03:55:00"));
        assert_eq!(findings(&USER_SPRAY, &hit)[0].severity, Severity::Critical);
    }

    #[test]
    fn a_spray_over_accounts_is_one_finding_of_all_accounts() {
        let mut failed = repeated(&console("admin", "Failure"), 5, 60);
        assert!(findings(&ACCOUNT_SPRAY, &failed).is_empty(), "one account");
        failed[4]["recipientAccountId"] = json!(OTHER_ACCOUNT);
        let found = findings(&ACCOUNT_SPRAY, &failed);
        assert_eq!((short(&found), found[0].account.as_str()), (vec![(HIGH.0, HIGH.1, "203.0.113.7")], "*"));
        assert_eq!(found[0].facts.accounts.len(), 2);
    }

    #[test]
    fn addresses_are_counted_as_their_holders_have_them() {
        let key =
            |address| caught(&ADDRESS_BRUTE_FORCE, &from(console("a", "Failure"), address)).map(|found| found.key);
        assert_eq!(key("2001:db8:1:2:aaaa::1").as_deref(), Some("2001:db8:1:2::/64"));
        assert_eq!(key("2001:db8:1:2:bbbb::9"), key("2001:db8:1:2::"));
        assert_eq!(key("::ffff:203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(key("AWS Internal"), None);
        assert_eq!(key(""), None);
    }

    #[test]
    fn a_wrong_second_factor_after_the_right_password() {
        let mut wrong = console("alice", "Failure");
        assert!(caught(&MFA_FAILED, &wrong).is_none(), "a wrong password");
        wrong["additionalEventData"]["MFAUsed"] = json!("Yes");
        assert!(findings(&MFA_FAILED, &repeated(&wrong, 1, 60)).is_empty());
        assert_eq!(findings(&MFA_FAILED, &repeated(&wrong, 2, 60))[0].severity, Severity::Medium);
        assert_eq!(findings(&MFA_FAILED, &repeated(&wrong, 5, 60))[0].severity, Severity::High);
        wrong["responseElements"]["ConsoleLogin"] = json!("Success");
        assert!(caught(&MFA_FAILED, &wrong).is_none());
    }

    /// A record of an Identity Center sign-in, of before or after user names left the identity.
    fn identity_center(name: &str, result: &str, credential: &str, old: bool) -> Value {
        let mut record = record(SIGN_IN, name, json!({"eventType": "AwsServiceEvent"}));
        record["userIdentity"] = if old {
            json!({"type": "Unknown", "principalId": ACCOUNT, "arn": "", "accountId": ACCOUNT, "userName": "bob"})
        } else {
            json!({"type": "IdentityCenterUser", "accountId": ACCOUNT, "onBehalfOf": {"userId": "u-1"}})
        };
        record["serviceEventDetails"] = json!({name: result});
        record["additionalEventData"] = json!({"AuthWorkflowID": "w", "CredentialType": credential});
        record
    }

    #[test]
    fn identity_center_says_so_in_service_event_details() {
        for (old, key) in [(true, "identity-center:bob"), (false, "identity-center:u-1")] {
            let failed = identity_center("CredentialVerification", "Failure", "PASSWORD", old);
            let mut records = repeated(&failed, 5, 60);
            assert_eq!(short(&findings(&USER_BRUTE_FORCE, &records)), [(HIGH.0, HIGH.1, key)]);
            // The right password is a step; the user is in when `UserAuthentication` says so.
            let step = identity_center("CredentialVerification", "Success", "PASSWORD", old);
            records.push(at(step, "03:10:00"));
            assert_eq!(findings(&USER_BRUTE_FORCE, &records)[0].severity, Severity::High);
            records.push(at(identity_center("UserAuthentication", "Success", "PASSWORD,TOTP", old), "03:10:05"));
            assert_eq!(findings(&USER_BRUTE_FORCE, &records)[0].severity, Severity::Critical);
        }
        let wrong = identity_center("CredentialVerification", "Failure", "TOTP", false);
        assert_eq!(findings(&MFA_FAILED, &repeated(&wrong, 2, 60)).len(), 1);
        let password = identity_center("CredentialVerification", "Failure", "PASSWORD", false);
        assert!(findings(&MFA_FAILED, &repeated(&password, 2, 60)).is_empty());
    }

    fn refused_role(name: &str, number: usize) -> Value {
        let message = format!(
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sts:{name} on resource: \
             arn:aws:iam::111122223333:role/r{number}"
        );
        let mut record = record(STS, name, json!({"errorCode": "AccessDenied", "errorMessage": message}));
        record["eventID"] = json!(format!("role-{number}"));
        record
    }

    #[test]
    fn many_roles_tried_are_an_attack_and_one_role_a_mistake() {
        let many: Vec<Value> = (0..10).map(|i| at(refused_role("AssumeRole", i % 5), &format!("03:0{i}:00"))).collect();
        let found = findings(&ROLE_PROBING, &many);
        assert_eq!((found[0].severity, found[0].outcome), (Severity::High, Outcome::Denied));
        assert_eq!(found[0].facts.resources.len(), 5);
        assert!(findings(&ROLE_PROBING, &repeated(&refused_role("AssumeRole", 1), 50, 10)).is_empty());
        let mut service = many.clone();
        for record in &mut service {
            record["userIdentity"] = json!({"type": "AWSService", "invokedBy": "config.amazonaws.com"});
        }
        assert!(findings(&ROLE_PROBING, &service).is_empty());
        let mut switch = record(SIGN_IN, "SwitchRole", json!({"responseElements": {"SwitchRole": "Failure"}}));
        assert!(caught(&ROLE_PROBING, &switch).is_some());
        switch["responseElements"]["SwitchRole"] = json!("Success");
        assert!(caught(&ROLE_PROBING, &switch).is_none());
    }

    #[test]
    fn refused_tokens_are_counted_by_address() {
        let token = |i: usize| {
            let mut record = refused_role("AssumeRoleWithWebIdentity", i);
            record["userIdentity"] = json!({"type": "WebIdentityUser", "principalId": format!("p{i}")});
            at(record, &format!("03:0{i}:00"))
        };
        let same = repeated(&token(1), 10, 60);
        assert_eq!(findings(&FEDERATED_FAILED, &same)[0].severity, Severity::Medium);
        let many: Vec<Value> = (0..10).map(token).collect();
        let found = findings(&FEDERATED_FAILED, &many);
        assert_eq!((found[0].severity, found[0].key.as_str()), (Severity::High, "203.0.113.7"));
    }

    fn refusal(source: &str, name: &str, i: usize) -> Value {
        let code = ["AccessDenied", "Client.UnauthorizedOperation", "AccessDeniedException"][i % 3];
        let mut record = record(source, name, json!({"errorCode": code}));
        record["eventID"] = json!(format!("{name}-{i}"));
        at(record, &format!("03:0{}:{:02}", i / 60, i % 60))
    }

    fn refusals(count: usize, actions: usize) -> Vec<Value> {
        (0..count).map(|i| refusal("ec2.amazonaws.com", &format!("Describe{}", i % actions), i)).collect()
    }

    #[test]
    fn many_refusals_at_different_calls() {
        let found = findings(&REFUSED_CALLS, &refusals(20, 5));
        assert_eq!(short(&found), [(Severity::Medium, Outcome::Denied, "arn:aws:iam::111122223333:user/alice")]);
        assert_eq!(findings(&REFUSED_CALLS, &refusals(100, 20))[0].severity, Severity::High);
        assert!(findings(&REFUSED_CALLS, &refusals(19, 5)).is_empty());
        assert!(findings(&REFUSED_CALLS, &refusals(300, 4)).is_empty(), "a job that lacks a permission");
    }

    #[test]
    fn refusals_that_mean_nothing_are_not_counted() {
        let quiet = |record: Value| assert!(caught(&REFUSED_CALLS, &record).is_none(), "{record}");
        quiet(from(refusal("s3.amazonaws.com", "HeadBucket", 0), "delivery.logs.amazonaws.com"));
        let mut service = refusal("s3.amazonaws.com", "GetBucketAcl", 0);
        service["userIdentity"] = json!({"type": "AWSService", "invokedBy": "config.amazonaws.com"});
        quiet(service);
        let mut page = refusal("ce.amazonaws.com", "GetCostForecast", 0);
        page["sessionCredentialFromConsole"] = json!("true");
        page["readOnly"] = json!(true);
        quiet(page.clone());
        let mut service = page.clone();
        service["sessionCredentialFromConsole"] = Value::Null;
        service["userIdentity"] = json!({"type": "AssumedRole", "accountId": ACCOUNT, "sessionContext": {"sessionIssuer":
            {"type": "Role", "arn": "arn:aws:iam::1:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"}}});
        quiet(service);
        page["readOnly"] = json!(false);
        assert!(caught(&REFUSED_CALLS, &page).is_some(), "a change is no page");
        page["readOnly"] = json!(true);
        page["sessionCredentialFromConsole"] = Value::Null;
        page["userAgent"] = json!("Mozilla/5.0");
        assert!(caught(&REFUSED_CALLS, &page).is_some(), "whoever calls writes the user agent");
    }

    #[test]
    fn three_different_refused_iam_changes() {
        let of = |names: &[&str]| {
            let records: Vec<Value> =
                names.iter().enumerate().map(|(i, name)| refusal("iam.amazonaws.com", name, i)).collect();
            findings(&REFUSED_IAM_CHANGES, &records).first().map(|finding| (finding.severity, finding.category))
        };
        let high = Some((Severity::High, Category::IamChange));
        assert_eq!(of(&["AttachUserPolicy", "PutUserPolicy", "CreateAccessKey"]), high);
        assert_eq!(of(&["AttachUserPolicy", "PutUserPolicy", "PutUserPolicy"]), None);
        assert_eq!(of(&["AttachUserPolicy", "PutUserPolicy", "GenerateCredentialReport"]), None);
        let mut reads = ["GetUser", "ListRoles", "GetPolicy"].map(|name| refusal("iam.amazonaws.com", name, 0));
        for read in &mut reads {
            read["readOnly"] = json!(true);
        }
        assert!(findings(&REFUSED_IAM_CHANGES, &reads).is_empty());
    }

    #[test]
    fn several_refused_secrets() {
        let secret = |i: usize, name: usize| {
            let mut record = refusal("secretsmanager.amazonaws.com", "GetSecretValue", i);
            record["requestParameters"] = json!({"secretId": format!("s{name}")});
            record
        };
        let of = |names: usize| {
            findings(&REFUSED_CREDENTIALS, &(0..6).map(|i| secret(i, i % names)).collect::<Vec<_>>()).len()
        };
        assert_eq!((of(3), of(1)), (1, 0));
        let mut allowed = secret(0, 0);
        allowed["errorCode"] = Value::Null;
        assert!(caught(&REFUSED_CREDENTIALS, &allowed).is_none());
    }

    #[test]
    fn principals_probed_by_policies() {
        let probe = |i: usize, name: usize| {
            let message = format!("Invalid principal in policy: \"AWS\":\"arn:aws:iam::444455556666:role/r{name}\"");
            let more = json!({"errorCode": "MalformedPolicyDocumentException", "errorMessage": message});
            let mut record = record("iam.amazonaws.com", "UpdateAssumeRolePolicy", more);
            record["eventID"] = json!(format!("probe-{i}"));
            record
        };
        let of = |names: usize| findings(&PRINCIPAL_PROBING, &(0..20).map(|i| probe(i, i % names)).collect::<Vec<_>>());
        assert_eq!(of(10)[0].severity, Severity::High);
        assert!(of(1).is_empty(), "a deployment that waits for its role");
        let mut syntax = probe(0, 0);
        syntax["errorMessage"] = json!("Syntax errors in policy.");
        assert!(caught(&PRINCIPAL_PROBING, &syntax).is_none());
        let bucket = json!({
            "errorCode": "MalformedPolicy",
            "errorMessage": "Invalid principal in policy",
            "requestParameters": {"bucketPolicy": {"Statement": []}}
        });
        assert!(caught(&PRINCIPAL_PROBING, &record("s3.amazonaws.com", "PutBucketPolicy", bucket)).is_some());
    }

    #[test]
    fn a_password_alone_opens_the_console() {
        let mut alice = console("alice", "Success");
        let found = caught(&NO_MFA, &alice).expect("caught");
        assert_eq!(
            (found.lead.severity, found.lead.deed.object.as_str()),
            (Severity::High, "to the console without MFA")
        );
        alice["additionalEventData"] = json!({});
        assert_eq!(caught(&NO_MFA, &alice).expect("caught").lead.deed.object, "to the console, MFA not recorded");
        alice["additionalEventData"]["MFAUsed"] = json!("YES");
        assert!(caught(&NO_MFA, &alice).is_none());
        assert!(caught(&NO_MFA, &console("alice", "Failure")).is_none());
        for (kind, more) in [("AssumedRole", json!({})), ("IAMUser", json!({"SamlProviderArn": "arn:aws:iam::1:saml"}))]
        {
            let mut federated = console("alice", "Success");
            federated["userIdentity"]["type"] = json!(kind);
            federated["additionalEventData"] = more;
            assert!(caught(&NO_MFA, &federated).is_none(), "{kind}");
        }
    }

    fn session(kind: &str, arn: &str, name: &str, agent: &str) -> Value {
        let mut record = record(SIGN_IN, name, json!({"userAgent": agent, "responseElements": {name: "Success"}}));
        record["userIdentity"] = json!({"type": kind, "arn": arn, "accountId": ACCOUNT, "principalId": "p"});
        record
    }

    #[test]
    fn a_machine_in_the_console() {
        let machine = "arn:aws:sts::111122223333:assumed-role/web/i-0123456789abcdef0";
        for name in ["ConsoleLogin", "GetSigninToken"] {
            let found = caught(&INSTANCE_SIGN_IN, &session("AssumedRole", machine, name, "curl")).expect("caught");
            assert_eq!(found.lead.severity, Severity::Critical);
            assert!(caught(&SIGN_IN_TOKEN, &session("AssumedRole", machine, name, "curl")).is_none(), "said once");
        }
        let person = "arn:aws:sts::111122223333:assumed-role/web/i-am-bob";
        assert!(caught(&INSTANCE_SIGN_IN, &session("AssumedRole", person, "ConsoleLogin", "curl")).is_none());
    }

    #[test]
    fn keys_turned_into_a_console_session() {
        let federated = "arn:aws:sts::111122223333:federated-user/bob";
        let found = caught(&FEDERATION_TOKEN_SIGN_IN, &session("FederatedUser", federated, "ConsoleLogin", "x"));
        assert_eq!(found.expect("caught").lead.severity, Severity::Medium);
        let token = |kind, arn, agent| caught(&SIGN_IN_TOKEN, &session(kind, arn, "GetSigninToken", agent));
        assert_eq!(token("FederatedUser", federated, "python").expect("caught").lead.severity, Severity::Medium);
        let role = "arn:aws:sts::111122223333:assumed-role/ops/bob";
        assert_eq!(token("AssumedRole", role, "Go-http-client").expect("caught").lead.severity, Severity::Low);
        let portal = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_1/bob";
        assert!(token("AssumedRole", portal, "Jersey/${project.version} (HttpUrlConnection 11)").is_none());
        assert!(token("AssumedRole", portal, "curl").is_some());
    }

    #[test]
    fn nothing_of_any_shape_makes_a_check_panic() {
        let shapes =
            [Value::Null, json!("text"), json!([1, {"a": 2}]), json!({"roleArn": 7, "userName": ["x"]}), json!(true)];
        let calls = [
            (SIGN_IN, "ConsoleLogin"),
            (SIGN_IN, "SwitchRole"),
            (SIGN_IN, "CredentialVerification"),
            (STS, "AssumeRole"),
            (STS, "AssumeRoot"),
            ("iam.amazonaws.com", "CreateRole"),
            ("iam.amazonaws.com", "EnableMFADevice"),
            ("secretsmanager.amazonaws.com", "GetSecretValue"),
        ];
        for (source, name) in calls {
            for field in
                ["requestParameters", "responseElements", "additionalEventData", "userIdentity", "errorMessage"]
            {
                for shape in &shapes {
                    let record =
                        record(source, name, json!({field: shape, "errorCode": "AccessDenied", "resources": shape}));
                    for detection in ALL.iter().chain(super::super::root::ALL) {
                        let _ = caught(detection, &record);
                    }
                }
            }
        }
    }
}
