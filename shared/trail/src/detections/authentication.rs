//! Who tries to get in: failed sign-ins, refused calls, and sign-ins that should not be.
//!
//! One failure is nobody's attack. Most detections here count, by user, by address or by actor, and say something when
//! a window is full. See [`crate::window`].

use std::net::IpAddr;

use ipnet::Ipv6Net;

use crate::actor::Actor;
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::record::Outcome;
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

/// What AWS writes for a user name that does not exist: it may be a password, typed into the wrong field.
const UNKNOWN_USER: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

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
        "Look what else came from these addresses: qtrail search --ip ADDRESS",
    ],
    ..Detection::BASE
};

fn by_user(case: &Case<'_>) -> Option<Catch> {
    let sign_in = SignIn::of(case).filter(|sign_in| !sign_in.root)?;
    Some(sign_in.tally(&sign_in.user).key(sign_in.user.as_str()))
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
        "Look what else came from this address: qtrail search --ip ADDRESS",
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
    check: role_refused,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.role_failures.step(Severity::High)],
        success: None,
    }),
    why: "Whoever tries one role after the other does not know what they may do: these are found credentials.",
    runbook: &[
        "Find out what the credentials are for, and whether they were ever used from this address",
        "Did one of the roles let them in? qtrail search --user ACTOR --action AssumeRole",
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
        "Look whether the same address got in: qtrail search --ip ADDRESS --action AssumeRoleWithSAML",
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
    check: refused,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Denied,
        steps: vec![limits.refused_calls.step(Severity::Medium), limits.refused_calls.times(5).step(Severity::High)],
        success: None,
    }),
    why: "Whoever is refused at many different calls tries what the credentials are good for.",
    runbook: &[
        "Find out what the actor is for: a new deployment lacks permissions, an attacker tries everything",
        "Look what was not refused: qtrail search --user ACTOR",
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
    let delivery = record.source_ip == "delivery.logs.amazonaws.com" && record.action() == "HeadBucket";
    let console = actor.console || actor.invoked_by == SIGN_IN;
    delivery || actor.is_service() || actor.is_root() || (console && !record.changes())
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
        Want::Calls("ec2.amazonaws.com", &["GetPasswordData"]),
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
    if case.outcome != Outcome::Denied || is_noise(case) {
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
        "Find the GetFederationToken call and the key behind it: qtrail search --action GetFederationToken",
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
