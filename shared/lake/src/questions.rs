//! The questions that are asked after an incident, as filters to fill in.

use crate::query::{Query, QueryError};
use crate::sql::sql;

/// A question: filters that stand, and those that whoever asks fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Its name in addresses.
    pub id: &'static str,
    /// The question.
    pub title: &'static str,
    /// How the answer is read.
    pub about: &'static str,
    /// What stands: filter and value.
    pub filters: &'static [(&'static str, &'static str)],
    /// What is filled in: filter, and what it is called here.
    pub asks: &'static [(&'static str, &'static str)],
}

const CREATES: &str = "Create*,Run*,Allocate*,Register*,Import*,Restore*,Launch*,Request*,Copy*";
const DELETES: &str = "Terminate*,Delete*,Deregister*,Release*,Remove*,Destroy*,Schedule*Deletion,Purge*,Empty*";
const PERSISTENCE: &str = "CreateUser,CreateAccessKey,CreateLoginProfile,UpdateLoginProfile,UpdateAccessKey,\
    UpdateAssumeRolePolicy,CreateRole,Attach*Policy,Put*Policy,AddUserToGroup,CreateOpenIDConnectProvider,\
    CreateSAMLProvider,UpdateSAMLProvider,CreateVirtualMFADevice,EnableMFADevice,DeactivateMFADevice,\
    UploadSSHPublicKey,UploadSigningCertificate,CreateServiceSpecificCredential,CreateTrustAnchor,CreateProfile";
const ESCALATION: &str = "CreatePolicyVersion,SetDefaultPolicyVersion,Attach*Policy,Put*Policy,AddUserToGroup,\
    UpdateAssumeRolePolicy,CreateAccessKey,CreateLoginProfile,UpdateLoginProfile,PassRole,AddRoleToInstanceProfile,\
    AssociateIamInstanceProfile,ReplaceIamInstanceProfileAssociation,CreateFunction*,UpdateFunctionCode*,\
    UpdateFunctionConfiguration*,CreateStack,UpdateStack,RunTask,CreateDevEndpoint,CreateNotebookInstance,\
    DeleteRolePermissionsBoundary,DeleteUserPermissionsBoundary,CreateAccountAssignment,\
    PutInlinePolicyToPermissionSet";
const BLINDING: &str = "StopLogging,DeleteTrail,UpdateTrail,PutEventSelectors,PutInsightSelectors,DeleteEventDataStore,\
    StopEventDataStoreIngestion,DeleteFlowLogs,DeleteDetector,UpdateDetector,DisassociateFromMasterAccount,\
    DisassociateFromAdministratorAccount,StopConfigurationRecorder,DeleteConfigurationRecorder,DeleteDeliveryChannel,\
    DisableSecurityHub,DeleteLogGroup,DeleteLogStream,PutRetentionPolicy,PutBucketLifecycle*,PutBucketLogging,\
    DisableKey,ScheduleKeyDeletion,DeleteAlarms,DisableAlarmActions";
const OPENINGS: &str = "AuthorizeSecurityGroupIngress,AuthorizeSecurityGroupEgress,ModifySecurityGroupRules,\
    CreateNetworkAclEntry,ReplaceNetworkAclEntry";
const PUBLIC_BUCKETS: &str = "PutBucketPolicy,DeleteBucketPolicy,PutBucketAcl,PutObjectAcl,PutBucketWebsite,\
    PutPublicAccessBlock,DeletePublicAccessBlock,PutBucketPublicAccessBlock,DeleteBucketPublicAccessBlock,\
    PutAccountPublicAccessBlock,DeleteAccountPublicAccessBlock,PutAccessPointPolicy";
const SHARES: &str = "ModifySnapshotAttribute,ModifyImageAttribute,ModifyDBSnapshotAttribute,\
    ModifyDBClusterSnapshotAttribute,CreateResourceShare,AssociateResourceShare,AddPermission*,AddLayerVersionPermission*,\
    SetRepositoryPolicy,PutImage,AuthorizeSnapshotAccess";
const SECRETS: &str = "GetSecretValue,BatchGetSecretValue,PutSecretValue,GetParameter*,Decrypt,ReEncrypt,\
    GenerateDataKey*,GetPasswordData,GetAuthorizationToken";

/// All of them, in the order in which an investigation tends to go.
pub const ALL: [Question; 25] = [
    ask(
        "created",
        "Who created this resource, when, and from which address?",
        "The first line of its history. The id may stand in the call's answer alone; that is looked at, too.",
        (&[("action", CREATES), ("writes", "yes")], &[("resource", "ARN, id or name")]),
    ),
    ask(
        "deleted",
        "Who deleted or terminated it?",
        "Refused attempts are shown with their error.",
        (&[("action", DELETES), ("writes", "yes")], &[("resource", "ARN, id or name")]),
    ),
    ask(
        "history",
        "What happened to this resource?",
        "All changes, newest first.",
        (&[("writes", "yes")], &[("resource", "ARN, id or name")]),
    ),
    ask(
        "user",
        "What did this user do?",
        "Sessions of a role are named after whoever took it: a part of the name, of the role or of the ARN will do.",
        (&[], &[("user", "name, role or session"), ("from", "from"), ("to", "to")]),
    ),
    ask(
        "access-key",
        "What was done with this access key?",
        "AKIA keys are a user's own, ASIA keys a session's.",
        (&[], &[("access-key", "access key")]),
    ),
    ask(
        "roles-taken",
        "Which roles did this key take, and with which sessions?",
        "Each line gave out a key: ask what was done with that one.",
        (
            &[("action", "AssumeRole*,GetSessionToken,GetFederationToken,AssumeRoot,GetRoleCredentials")],
            &[("access-key", "access key")],
        ),
    ),
    ask(
        "behind-session",
        "Who is behind this role session?",
        "The call that gave out the session's key; who signed that call is one step closer to a person.",
        (&[], &[("issued-key", "the session's access key")]),
    ),
    ask(
        "address",
        "What came from this address or network, in all accounts?",
        "A network is written as 203.0.113.0/24.",
        (&[], &[("ip", "address or network")]),
    ),
    ask(
        "new-addresses",
        "Where has this user come from, and with which programs?",
        "Count the lines by address, user agent and region; what first appears within the span is new.",
        (&[("services", "no")], &[("user", "name, role or session"), ("from", "from"), ("to", "to")]),
    ),
    ask(
        "root",
        "What did root do?",
        "Services that act for root are left out. Nobody needs root in daily work.",
        (&[("root", "yes"), ("services", "no")], &[]),
    ),
    ask(
        "no-mfa",
        "Who signed in to the console without a second factor?",
        "Users of Identity Center and of SAML show their second factor to their own directory, not here.",
        (&[("action", "ConsoleLogin"), ("mfa", "no")], &[]),
    ),
    ask(
        "persistence",
        "Did somebody leave a way back in?",
        "New users, keys, passwords, trust and policies.",
        (&[("action", PERSISTENCE), ("writes", "yes")], &[]),
    ),
    ask(
        "escalation",
        "Did somebody give themselves more power?",
        "Policies, and calls that hand a role to something that they control. Refused attempts count.",
        (&[("action", ESCALATION), ("writes", "yes")], &[]),
    ),
    ask(
        "blinding",
        "Was logging tampered with?",
        "Trails, their buckets and keys, flow logs, GuardDuty, Config, alarms. Refused attempts count.",
        (&[("action", BLINDING)], &[]),
    ),
    ask(
        "opened",
        "What was opened to the internet?",
        "Rules of security groups and network ACLs for all addresses.",
        (&[("action", OPENINGS), ("text", "0.0.0.0/0,::/0")], &[]),
    ),
    ask(
        "security-group",
        "How did this security group change?",
        "Its rules before and after stand in each record.",
        (&[("service", "ec2"), ("writes", "yes")], &[("resource", "sg-…")]),
    ),
    ask(
        "public-buckets",
        "Was a bucket made public?",
        "Policies, ACLs and public access blocks, of buckets and of accounts.",
        (&[("action", PUBLIC_BUCKETS), ("writes", "yes")], &[]),
    ),
    ask(
        "shared",
        "What was shared with other accounts?",
        "Snapshots, images, databases, functions, repositories.",
        (&[("action", SHARES), ("writes", "yes")], &[]),
    ),
    ask(
        "objects",
        "Which objects did they read or delete?",
        "Only where the trail records data events.",
        (
            &[("category", "Data"), ("service", "s3"), ("action", "GetObject*,CopyObject,DeleteObject*")],
            &[("user", "name, role or session")],
        ),
    ),
    ask(
        "secrets",
        "Which secrets, parameters and keys were used?",
        "What a stolen session read has to be replaced.",
        (&[("action", SECRETS), ("services", "no")], &[]),
    ),
    ask(
        "refused",
        "Who was refused again and again?",
        "Many errors from one user or address are somebody who looks around. Failed sign-ins are among them.",
        (&[("error", "AccessDenied*,*Unauthorized*,Failure,*NotAuthorized*,AuthFailure")], &[]),
    ),
    ask(
        "before-outage",
        "What changed just before the outage?",
        "All changes by people and their programs; half an hour is a good start.",
        (&[("writes", "yes"), ("services", "no")], &[("from", "from"), ("to", "to")]),
    ),
    ask(
        "by-hand",
        "What was changed by hand?",
        "Changes in the console, beside what templates and pipelines do.",
        (&[("writes", "yes"), ("console", "yes")], &[]),
    ),
    ask(
        "cross-account",
        "Who came in from other accounts?",
        "Callers whose identity is of another account than the record.",
        (&[("cross-account", "yes"), ("services", "no")], &[]),
    ),
    ask(
        "elsewhere",
        "What was changed in regions that are not in use?",
        "Fill in the regions in use, with a ! in front: what is left should be nothing. Miners like such regions.",
        (&[("writes", "yes"), ("services", "no")], &[("region", "!regions in use")]),
    ),
];

type Filters = &'static [(&'static str, &'static str)];

const fn ask(
    id: &'static str,
    title: &'static str,
    about: &'static str,
    (filters, asks): (Filters, Filters),
) -> Question {
    Question { id, title, about, filters, asks }
}

impl Question {
    /// The question of that name.
    pub fn named(id: &str) -> Option<&'static Self> {
        ALL.iter().find(|question| question.id == id)
    }

    /// The query, with what was filled in. What was not is left out.
    pub fn query(&self, answers: &[(&str, &str)]) -> Result<Query, QueryError> {
        let asked = |name: &str| self.asks.iter().any(|(ask, _)| *ask == name);
        let answered = answers.iter().copied().filter(|(name, value)| asked(name) && !value.is_empty());
        Query::of(answered.chain(self.filters.iter().copied()))
    }

    /// The query over a week in which each blank holds an example.
    pub fn example(&self) -> Result<Query, QueryError> {
        let answers = self.asks.iter().map(|(name, _)| (*name, example(name)));
        let mut pairs = vec![("from", example("from")), ("to", example("to"))];
        pairs.extend(answers.filter(|(name, _)| !matches!(*name, "from" | "to")));
        Query::of(pairs.into_iter().chain(self.filters.iter().copied()))
    }

    /// The statement that [`Question::example`] comes to.
    pub fn statement(&self) -> Result<String, QueryError> {
        self.example().map(|query| sql(&query))
    }
}

/// A value that a filter takes, to be replaced.
pub fn example(name: &str) -> &'static str {
    match name {
        "resource" => "i-0123456789abcdef0",
        "user" => "alice",
        "access-key" => "AKIAIOSFODNN7EXAMPLE",
        "issued-key" => "ASIAIOSFODNN7EXAMPLE",
        "ip" => "203.0.113.0/24",
        "region" => "!eu-central-1,us-east-1",
        "from" => "2026-11-16",
        "to" => "2026-11-23",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_question_can_be_asked() {
        let ids: BTreeSet<&str> = ALL.iter().map(|question| question.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for question in &ALL {
            let query = question.example().unwrap_or_else(|error| panic!("{}: {error}", question.id));
            assert!(query.from < query.to, "{}", question.id);
            let answers: Vec<(&str, &str)> = question.asks.iter().map(|(name, _)| (*name, example(name))).collect();
            assert!(!question.query(&answers).expect("a query").filters.is_empty(), "{}", question.id);
            assert!(question.asks.iter().all(|(name, label)| !example(name).is_empty() && !label.is_empty()));
        }
    }

    #[test]
    fn what_is_filled_in_is_asked_for_and_nothing_else() {
        let history = Question::named("history").expect("a question");
        let query = history.query(&[("resource", "sg-1"), ("user", "mallory"), ("resource", "")]).expect("a query");
        let given: Vec<&str> = query.filters.iter().map(|filter| filter.given.as_str()).collect();
        assert_eq!(given, ["sg-1", "yes"]);
    }
}
