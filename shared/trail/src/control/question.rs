//! What has to be asked so that controls can judge.

use std::collections::BTreeSet;

/// Of what a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Once an account.
    Account,
    /// In each enabled region of an account.
    Region,
    /// Of each trail, in its home region.
    Trail,
    /// Of each trail, in every region that it is seen in.
    TrailInRegion,
    /// Of each bucket that a trail delivers to, with its owner's credentials.
    Bucket,
    /// Of each key that a trail encrypts with, in the key's account and region.
    Key,
    /// Of each log group that a trail delivers to.
    LogGroup,
    /// Of the organization, with the credentials of the management account or a delegated administrator.
    Organization,
    /// Of each service control policy.
    Policy,
}

/// A question, and what it takes to ask it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Service and call as the API reference has it: `s3:ListBuckets`.
    pub call: &'static str,
    /// The IAM permission it needs, which is often named otherwise: `s3:ListAllMyBuckets`.
    pub permission: &'static str,
    /// Of what it is asked.
    pub scope: Scope,
    /// The parameters by which its answer is found again, beside the region.
    pub parameters: &'static [&'static str],
}

const fn ask(call: &'static str, scope: Scope, parameters: &'static [&'static str]) -> Question {
    Question { call, permission: call, scope, parameters }
}

const fn by(permission: &'static str, question: Question) -> Question {
    Question { permission, ..question }
}

/// All questions that any control wants answered.
pub const QUESTIONS: &[Question] = &[
    ask("account:ListRegions", Scope::Account, &[]),
    ask("cloudtrail:DescribeTrails", Scope::Region, &[]),
    ask("cloudtrail:GetTrailStatus", Scope::TrailInRegion, &["Name"]),
    ask("cloudtrail:GetEventSelectors", Scope::Trail, &["TrailName"]),
    ask("config:DescribeConfigurationRecorders", Scope::Region, &[]),
    ask("config:DescribeConfigurationRecorderStatus", Scope::Region, &[]),
    ask("config:DescribeDeliveryChannels", Scope::Region, &[]),
    ask("ec2:DescribeVpcs", Scope::Region, &[]),
    ask("ec2:DescribeFlowLogs", Scope::Region, &[]),
    ask("iam:GetAccountAuthorizationDetails", Scope::Account, &[]),
    ask("kms:DescribeKey", Scope::Key, &["KeyId"]),
    ask("kms:GetKeyPolicy", Scope::Key, &["KeyId"]),
    ask("kms:GetKeyRotationStatus", Scope::Key, &["KeyId"]),
    ask("kms:ListGrants", Scope::Key, &["KeyId"]),
    ask("lambda:ListFunctions", Scope::Region, &[]),
    ask("logs:DescribeLogGroups", Scope::LogGroup, &["logGroupNamePrefix"]),
    ask("organizations:DescribeOrganization", Scope::Account, &[]),
    ask("organizations:ListAccounts", Scope::Organization, &[]),
    ask("organizations:ListPolicies", Scope::Organization, &[]),
    ask("organizations:DescribePolicy", Scope::Policy, &["PolicyId"]),
    ask("organizations:ListTargetsForPolicy", Scope::Policy, &["PolicyId"]),
    by("s3:ListAllMyBuckets", ask("s3:ListBuckets", Scope::Account, &[])),
    by("s3:ListBucket", ask("s3:HeadBucket", Scope::Bucket, &["Bucket", "ExpectedBucketOwner"])),
    ask("s3:GetBucketPolicy", Scope::Bucket, &["Bucket"]),
    ask("s3:GetBucketPolicyStatus", Scope::Bucket, &["Bucket"]),
    by("s3:GetBucketPublicAccessBlock", ask("s3:GetPublicAccessBlock", Scope::Bucket, &["Bucket"])),
    ask("s3:GetBucketAcl", Scope::Bucket, &["Bucket"]),
    ask("s3:GetBucketVersioning", Scope::Bucket, &["Bucket"]),
    by("s3:GetBucketObjectLockConfiguration", ask("s3:GetObjectLockConfiguration", Scope::Bucket, &["Bucket"])),
    by("s3:GetLifecycleConfiguration", ask("s3:GetBucketLifecycleConfiguration", Scope::Bucket, &["Bucket"])),
    ask("s3:GetBucketLogging", Scope::Bucket, &["Bucket"]),
    by("s3:GetBucketNotification", ask("s3:GetBucketNotificationConfiguration", Scope::Bucket, &["Bucket"])),
    by("s3:ListBucketVersions", ask("s3:ListObjectVersions", Scope::Bucket, &["Bucket"])),
    by("s3:GetAccountPublicAccessBlock", ask("s3control:GetPublicAccessBlock", Scope::Account, &["AccountId"])),
    by("s3:ListAccessPoints", ask("s3control:ListAccessPoints", Scope::Bucket, &["AccountId", "Bucket"])),
];

/// The calls of all questions.
pub(crate) const CALLS: [&str; QUESTIONS.len()] = {
    let mut calls = [""; QUESTIONS.len()];
    let mut index = 0;
    while index < calls.len() {
        calls[index] = QUESTIONS[index].call;
        index += 1;
    }
    calls
};

/// The IAM permission that a call needs; `None` for a call that no control makes.
pub fn permission(call: &str) -> Option<&'static str> {
    QUESTIONS.iter().find(|question| question.call == call).map(|question| question.permission)
}

/// The IAM permissions that all controls together need, sorted: what the role in member accounts has to grant.
pub fn permissions() -> Vec<&'static str> {
    let all: BTreeSet<_> = crate::controls::all().iter().flat_map(|control| control.permissions()).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_a_control_is_asked_and_every_question_is_some_controls() {
        // One control judges whether all of them were answered.
        let readers = crate::controls::all().iter().filter(|control| control.calls.len() < CALLS.len());
        let called: BTreeSet<&str> = readers.flat_map(|control| control.calls.iter().copied()).collect();
        let asked: BTreeSet<&str> = QUESTIONS.iter().map(|question| question.call).collect();
        assert_eq!(called, asked);
        assert_eq!(asked.len(), QUESTIONS.len(), "a question is there twice");
    }

    #[test]
    fn permissions_are_named_as_iam_names_them() {
        let all = permissions();
        assert!(all.is_sorted() && all.contains(&"s3:ListAllMyBuckets") && !all.contains(&"s3:ListBuckets"), "{all:?}");
        assert_eq!(permission("s3:GetBucketLifecycleConfiguration"), Some("s3:GetLifecycleConfiguration"));
        assert_eq!(permission("s3:DeleteBucket"), None);
        for permission in all {
            let (_, action) = permission.split_once(':').expect("a service and an action");
            assert!(["Get", "List", "Describe"].iter().any(|read| action.starts_with(read)), "{permission} may write");
        }
    }
}
