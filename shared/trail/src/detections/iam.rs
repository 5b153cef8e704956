//! Changes of IAM, graded by what they give.
//!
//! A change is judged once, by the files below; its [`Topic`] says which of the detections here speaks for it, so that
//! nothing falls through and nothing is told twice. Routine changes of one actor and kind are one finding an hour;
//! whatever gives something serious is a finding for each actor and target.

use crate::detection::{Case, Catch, Category, Detection, Severity, Want};

pub(in crate::detections) mod change;
pub(in crate::detections) mod credentials;
pub(in crate::detections) mod grants;
pub(in crate::detections) mod neighbours;
mod rest;
mod trust;
pub(in crate::detections) mod wording;

#[cfg(test)]
pub(in crate::detections) mod tests;

use change::{Change, Topic};
use neighbours::{ACCESS_ANALYZER, ACCOUNT, ROLES_ANYWHERE};

pub(super) const ALL: &[&Detection] = &[
    &KEY_QUARANTINED,
    &RIGHTS_GRANTED,
    &TRUST_OPENED,
    &CREDENTIAL_ISSUED,
    &SECOND_FACTOR_REMOVED,
    &GUARDRAIL_REMOVED,
    &IDENTITY_PROVIDER_CHANGED,
    &ACCOUNT_SETTING_CHANGED,
    &ACCESS_DELEGATED,
    &CHANGE_HIDDEN,
    &CHANGE_REFUSED,
    &CHANGED,
];

const IAM: &str = "iam.amazonaws.com";

/// IAM itself, and what else decides who may do what.
const CHANGES: &[Want] = &[
    Want::Changes(IAM),
    Want::Changes(ROLES_ANYWHERE),
    Want::Changes(ACCOUNT),
    Want::Changes(ACCESS_ANALYZER),
    Want::Changes(super::organizations::ORGANIZATIONS),
    Want::Changes(super::identity_center::SSO),
    Want::Changes(super::identity_center::DIRECTORY),
    Want::Changes(super::identity_center::IDENTITY_STORE),
];

/// What a record comes to if it is a change about `topic`.
pub(super) fn about(case: &Case<'_>, topic: Topic) -> Option<Catch> {
    settled(case).filter(|change| change.topic == topic).map(|change| change.catch(case))
}

fn settled(case: &Case<'_>) -> Option<Change> {
    let change = match &*case.record.source {
        IAM => judge(case),
        ROLES_ANYWHERE | ACCOUNT | ACCESS_ANALYZER => neighbours::judge(case),
        super::organizations::ORGANIZATIONS => Some(super::organizations::judge(case)),
        _ => super::identity_center::judge(case),
    };
    change.map(|change| change.settled(case))
}

fn judge(case: &Case<'_>) -> Option<Change> {
    if credentials::is_about_root(case) || is_own_part(case) {
        return None;
    }
    grants::judge(case)
        .or_else(|| credentials::judge(case))
        .or_else(|| trust::judge(case))
        .or_else(|| rest::judge(case))
}

/// Whether a call is about a role or policy of this system: those have a detection of their own, in `own_parts`.
fn is_own_part(case: &Case<'_>) -> bool {
    const OF_ROLES: [&str; 10] = [
        "CreateRole",
        "DeleteRole",
        "UpdateRole",
        "UpdateAssumeRolePolicy",
        "PutRolePolicy",
        "DeleteRolePolicy",
        "AttachRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "DeleteRolePermissionsBoundary",
    ];
    const OF_POLICIES: [&str; 3] = ["CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicy"];
    let name = match case.record.action() {
        action if OF_ROLES.contains(&action) => case.record.parameter("roleName"),
        action if OF_POLICIES.contains(&action) => case.record.parameter("policyArn"),
        _ => return false,
    };
    super::own_parts::is_part(case, name)
}

/// AWS limits a user whose key it found in public; lifting that counts as much.
static KEY_QUARANTINED: Detection = Detection {
    id: "iam-key-quarantined",
    title: "AWS says that an access key leaked, or its quarantine was lifted",
    category: Category::IamChange,
    severity: Severity::Critical,
    techniques: &["T1552.001", "T1078.004"],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::Quarantine),
    why: "AWS found a user's access key in public. Strangers have it, and the quarantine stops only a part of what they can do.",
    runbook: &[
        "Deactivate the user's access keys now: aws iam update-access-key --status Inactive",
        "Look at everything the keys did since they leaked: qtrail search --user USER",
        "Read AWS's support case: it names the key and where it was found",
        "Remove what was created with them (users, keys, roles, instances) before the quarantine is lifted",
    ],
    ..Detection::BASE
};

/// Rights of an administrator or a way to them, to others or to oneself; any right to oneself.
static RIGHTS_GRANTED: Detection = Detection {
    id: "iam-rights-granted",
    title: "Administrator rights, or a way to them, granted",
    severity: Severity::High,
    techniques: &["T1098.003", "T1548.005"],
    controls: &["CIS 7.0 5.4", "CIS 3.0 4.4", "CloudWatch.4"],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::Grant),
    why: "Whoever holds this can take the whole account, and go on holding it after the way in is closed.",
    runbook: &[
        "Ask the actor, not by chat: which change request was this for?",
        "Look at what the receiver did since: qtrail search --user RECEIVER",
        "Not expected: take the policy or membership back, then the receiver's credentials, then the actor's",
    ],
    ..KEY_QUARANTINED
};

/// A role lets in anyone, an account outside, or every user of an identity provider.
static TRUST_OPENED: Detection = Detection {
    id: "iam-trust-opened",
    title: "Role opened to outsiders",
    techniques: &["T1098.001", "T1199"],
    controls: &[],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::Trust),
    why: "A role's trust policy is a door: it stays open when passwords and keys are changed.",
    runbook: &[
        "Read the role's trust policy: aws iam get-role --role-name ROLE",
        "Look who came in by it",
        "Not expected: restore the trust policy and revoke the role's sessions",
    ],
    ..RIGHTS_GRANTED
};

/// A key, password or certificate for another user.
static CREDENTIAL_ISSUED: Detection = Detection {
    id: "iam-credential-issued",
    title: "Credential made for another user",
    techniques: &["T1098.001", "T1098"],
    controls: &[],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::Credential),
    why: "Who makes a key or password for another user can act as that user, and is not found under another name.",
    runbook: &[
        "Ask the actor and the user, not by chat: does the user have this credential?",
        "Look at what was signed with it: qtrail search --user USER",
        "Not expected: deactivate the credential, then look at the actor",
    ],
    ..RIGHTS_GRANTED
};

/// A user's second factor is switched off.
static SECOND_FACTOR_REMOVED: Detection = Detection {
    id: "iam-mfa-removed",
    title: "MFA device removed",
    techniques: &["T1556.006"],
    controls: &[],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::SecondFactor),
    why: "Without the device, the password alone opens the user's account.",
    runbook: &[
        "Ask the user, not by chat: a lost or a new phone?",
        "Look whether a new device was registered since, and from where the user signed in",
        "Not expected: change the password, revoke the sessions, register a device together",
    ],
    ..RIGHTS_GRANTED
};

/// A boundary, a denying policy, the password policy is gone.
static GUARDRAIL_REMOVED: Detection = Detection {
    id: "iam-guardrail-removed",
    title: "Guardrail removed",
    techniques: &["T1562", "T1556", "T1098"],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::Guardrail),
    why: "What limited these identities limits them no more; what comes next is what the limit was there against.",
    runbook: &[
        "Ask the actor which change request this was for",
        "Look at what the freed identities did since: qtrail search --user USER",
        "Not expected: put it back first, then look at the actor",
    ],
    ..RIGHTS_GRANTED
};

/// Identity providers, and the certificate authorities of Roles Anywhere.
static IDENTITY_PROVIDER_CHANGED: Detection = Detection {
    id: "iam-identity-provider-changed",
    title: "Identity provider changed",
    techniques: &["T1484.002", "T1556"],
    controls: &[],
    wants: &[Want::Changes(IAM), Want::Changes(ROLES_ANYWHERE)],
    check: |case| about(case, Topic::Federation),
    why: "Whoever controls an identity provider can make identities, and sign in as any of its users.",
    runbook: &[
        "Ask the owner of single sign-on which change request this was for",
        "Look which roles trust the provider, and who came in by them since",
        "Not expected: restore the provider's metadata, then revoke the sessions of those roles",
    ],
    ..RIGHTS_GRANTED
};

/// A setting of the account.
static ACCOUNT_SETTING_CHANGED: Detection = Detection {
    id: "iam-account-setting-changed",
    title: "Setting of the whole account changed",
    techniques: &["T1098"],
    controls: &[],
    wants: &[Want::Changes(IAM), Want::Changes(ACCOUNT)],
    check: |case| about(case, Topic::Setting),
    why: "These settings are changed once in years, and everything in the account rests on them.",
    runbook: &[
        "Ask the owner of the account which change request this was for",
        "Look at the actor's other calls in the hour before: qtrail search --user ACTOR",
        "Not expected: set it back, then disable the actor's credentials",
    ],
    ..RIGHTS_GRANTED
};

/// Temporary access for a partner.
static ACCESS_DELEGATED: Detection = Detection {
    id: "iam-access-delegated",
    title: "Access delegated to a partner",
    techniques: &["T1098.003", "T1199"],
    controls: &[],
    wants: &[Want::Changes(IAM)],
    check: |case| about(case, Topic::Delegation),
    why: "A delegation lets somebody outside act here with rights of whoever accepted it.",
    runbook: &[
        "Read the request: aws iam get-delegation-request --delegation-request-id ID",
        "Ask whoever accepted it whether they asked that partner for help",
        "Not expected: reject it while the token is not sent; after that, limit whoever accepted it",
    ],
    ..RIGHTS_GRANTED
};

/// A change whose content `CloudTrail` left out.
static CHANGE_HIDDEN: Detection = Detection {
    id: "iam-change-hidden",
    title: "IAM changed, the content left out of the record",
    techniques: &["T1562.008", "T1098.003"],
    controls: &[],
    wants: CHANGES,
    check: |case| about(case, Topic::Hidden),
    why: "CloudTrail leaves out what is too large. Padding a policy with blanks hides what it gives.",
    runbook: &[
        "Read what is there now: aws iam get-user-policy, get-role-policy, get-policy-version, get-role",
        "Judge it as if nobody had reviewed it: nobody has",
        "Padded, or not expected: remove it, then look at the actor",
    ],
    ..RIGHTS_GRANTED
};

/// An attempt that AWS refused or could not carry out.
static CHANGE_REFUSED: Detection = Detection {
    id: "iam-change-refused",
    title: "IAM change refused or failed",
    severity: Severity::Medium,
    techniques: &["T1098"],
    controls: &["CIS 7.0 5.1", "CIS 3.0 4.1"],
    wants: CHANGES,
    check: |case| about(case, Topic::Refused),
    why: "Nothing was changed, but somebody tried with credentials that were not meant for it.",
    runbook: &[
        "Ask the actor whether it was them",
        "Look at what else was refused: qtrail search --user ACTOR --error '*'",
        "Not them: disable the credentials, for what they are allowed may be enough",
    ],
    ..RIGHTS_GRANTED
};

/// Every other change.
static CHANGED: Detection = Detection {
    id: "iam-changed",
    title: "IAM changed",
    severity: Severity::Medium,
    techniques: &["T1098", "T1136.003"],
    controls: &["CIS 7.0 5.4", "CIS 3.0 4.4", "CloudWatch.4"],
    wants: &[Want::Changes(IAM), Want::Changes(ROLES_ANYWHERE), Want::Changes(ACCOUNT), Want::Changes(ACCESS_ANALYZER)],
    check: |case| about(case, Topic::Routine),
    why: "Every change of who may do what is to be seen by a second pair of eyes.",
    runbook: &[
        "Compare with the change request or the pipeline's run",
        "Not expected: look at the actor's other calls: qtrail search --user ACTOR",
    ],
    ..RIGHTS_GRANTED
};
