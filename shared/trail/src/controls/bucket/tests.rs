use super::*;
use crate::control::{Context, Status};
use crate::controls::testing::{
    ACCOUNT, Account, BUCKET, LOGGING, MANAGEMENT, TRAIL, absent, assert_said, context, denied,
};
use Status::{Fail, NotApplicable, Partial, Pass, Unknown};
use serde_json::json;

/// The account as it should be, with one answer about the bucket changed.
fn with(call: &str, body: &Value) -> Account {
    let mut account = Account::with_trail();
    account.answer_call(call, body);
    account
}

fn refused(call: &str) -> Account {
    let mut account = Account::with_trail();
    account.refuse_call(call, &denied());
    account
}

/// The account with a bucket of this owner; empty for one that nobody owns who was asked.
fn owned_by(owner: &str) -> Account {
    let mut account = Account::with_trail();
    account.forget("s3:HeadBucket");
    let about = [("Bucket", BUCKET), ("ExpectedBucketOwner", owner)];
    let about = if owner.is_empty() { &about[..1] } else { &about[..] };
    account.put("s3:HeadBucket", "eu-west-1", about, json!({}));
    account
}

#[test]
fn the_bucket_lies_in_the_logging_account() {
    let mut alone = owned_by(ACCOUNT);
    alone.refuse_call("organizations:DescribeOrganization", &absent("AWSOrganizationsNotInUseException"));
    let mut gone = Account::with_trail();
    gone.refuse_call("s3:HeadBucket", &absent("NoSuchBucket"));
    for (account, status, words) in [
        (Account::with_trail(), Pass, "logging account 999988887777"),
        (owned_by(ACCOUNT), Fail, "which it is the record of"),
        (owned_by(MANAGEMENT), Partial, "management account"),
        (owned_by("121212121212"), Fail, "the logging account is 999988887777"),
        (owned_by(""), Fail, "none of the accounts"),
        (gone, Fail, "does not exist"),
        (alone.clone(), Fail, "there is no organization"),
        (refused("s3:HeadBucket"), Unknown, "HeadBucket denied"),
    ] {
        assert_said(&account, &context(), ("dedicated-logging-account", status, words));
    }
    assert_eq!(alone.only("dedicated-logging-account", &context()).severity, Severity::Low, "nobody is woken by it");
    let unset = Context { logging_account: String::new(), ..context() };
    assert_said(&owned_by(LOGGING), &unset, ("dedicated-logging-account", Unknown, "no logging account is set"));
}

#[test]
fn public_is_what_no_block_closes() {
    let open = json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]});
    let without_block = || {
        let mut account = Account::with_trail();
        account.refuse_call("s3:GetPublicAccessBlock", &absent("NoSuchPublicAccessBlockConfiguration"));
        account.put("s3control:GetPublicAccessBlock", GLOBAL, &[("AccountId", LOGGING)], json!({}));
        account
    };
    let opened = |mut account: Account| {
        account.answer_call("s3:GetBucketPolicyStatus", &json!({}));
        account.answer_call("s3:GetBucketPolicy", &json!({"Policy": open.to_string()}));
        account
    };
    let mut by_acl = without_block();
    let grant = json!({"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"});
    by_acl.answer_call("s3:GetBucketAcl", &json!({"Grants": [grant]}));
    let mut ignoring = opened(without_block());
    let restrict = json!({"PublicAccessBlockConfiguration": {"RestrictPublicBuckets": true}});
    ignoring.answer_call("s3:GetPublicAccessBlock", &restrict);
    let mut of_account = opened(without_block());
    of_account.set(
        "s3control:GetPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        json!({"BlockPublicAcls": true,
        "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}),
    );
    let mut unseen = opened(without_block());
    unseen.refuse_call("s3control:GetPublicAccessBlock", &denied());
    let mut dark = without_block();
    dark.refuse_call("s3:GetBucketPolicy", &denied());
    dark.refuse_call("s3:GetBucketPolicyStatus", &denied());
    let mut gone = without_block();
    gone.refuse_call("s3:HeadBucket", &absent("NoSuchBucket"));
    for (account, status, words) in [
        (Account::with_trail(), Pass, "is on for the bucket"),
        (opened(Account::with_trail()), Pass, "is on for the bucket"),
        (of_account, Pass, "the bucket's account"),
        (opened(without_block()), Fail, "Principal * may s3:GetObject"),
        (by_acl, Fail, "READ to AllUsers"),
        (ignoring, Partial, "not public now"),
        (without_block(), Partial, "not public now"),
        (unseen, Unknown, "so it may be blocked"),
        (dark, Unknown, "GetBucketPolicy denied"),
        (gone, NotApplicable, "does not exist"),
    ] {
        assert_said(&account, &context(), ("log-bucket-not-public", status, words));
    }
}

#[test]
fn cloudtrail_alone_writes() {
    let of = |statements: Value| {
        with("s3:GetBucketPolicy", &json!({"Policy": json!({"Statement": statements}).to_string()}))
    };
    let deliver = |more: Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "s3:PutObject", "Resource": "*"});
        statement["Condition"] = more;
        statement
    };
    let named = deliver(json!({"StringEquals": {"aws:SourceArn": TRAIL}}));
    let tls = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
    let other = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/ci"},
        "Action": "s3:Delete*", "Resource": "*"});
    let not = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "s3:*", "Resource": "*"});
    let mut none = Account::with_trail();
    none.refuse_call("s3:GetBucketPolicy", &absent("NoSuchBucketPolicy"));
    for (account, status, words) in [
        (Account::with_trail(), Pass, "CloudTrail alone writes"),
        (of(json!([named, tls])), Pass, "CloudTrail alone writes"),
        (of(json!([named])), Partial, "without TLS"),
        (of(json!([deliver(json!({})), tls])), Partial, "no aws:SourceArn"),
        (of(json!([deliver(json!({"StringLike": {"aws:SourceArn": "*"}})), tls])), Partial, "no aws:SourceArn"),
        (of(json!([named, tls, other])), Fail, "role/ci may s3:DeleteObject"),
        (of(json!([named, tls, not])), Fail, "NotPrincipal"),
        (of(json!([tls])), Fail, "CloudTrail may not write"),
        (none, Fail, "no policy"),
        (with("s3:GetBucketPolicy", &json!({"Policy": "{"})), Unknown, "not known"),
        (refused("s3:GetBucketPolicy"), Unknown, "GetBucketPolicy denied"),
    ] {
        assert_said(&account, &context(), ("log-bucket-policy", status, words));
    }
}

#[test]
fn access_is_recorded() {
    let none = with("s3:GetBucketLogging", &json!({}));
    let itself = with("s3:GetBucketLogging", &json!({"LoggingEnabled": {"TargetBucket": BUCKET}}));
    for (account, status, words) in [
        (Account::with_trail(), Pass, "access-logs"),
        (itself, Partial, "into the bucket itself"),
        // The only trail with data events delivers into this very bucket.
        (none, Fail, "neither"),
        (refused("s3:GetBucketLogging"), Unknown, "GetBucketLogging denied"),
    ] {
        assert_said(&account, &context(), ("log-bucket-access-recorded", status, words));
    }
}

#[test]
fn log_files_cannot_be_deleted() {
    let lock = |rule: Value| {
        with("s3:GetObjectLockConfiguration", &json!({"ObjectLockConfiguration": {"Rule": {"DefaultRetention": rule}}}))
    };
    let mut unlocked = Account::with_trail();
    unlocked.refuse_call("s3:GetObjectLockConfiguration", &absent("ObjectLockConfigurationNotFoundError"));
    for (account, status, words) in [
        (Account::with_trail(), Pass, "COMPLIANCE, 400 days"),
        (lock(json!({"Mode": "GOVERNANCE", "Years": 1})), Pass, "GOVERNANCE, 365 days"),
        (lock(json!({"Mode": "GOVERNANCE", "Days": 30})), Partial, "holds 30 days"),
        (unlocked, Partial, "Object Lock and MFA delete are off"),
        (with("s3:GetBucketVersioning", &json!({})), Fail, "versioning is off"),
        (with("s3:GetBucketVersioning", &json!({"Status": "Enabled", "MFADelete": "Enabled"})), Pass, "MFA"),
        (refused("s3:GetObjectLockConfiguration"), Unknown, "GetObjectLockConfiguration denied"),
    ] {
        assert_said(&account, &context(), ("log-bucket-immutable", status, words));
    }
}

#[test]
fn log_files_are_kept() {
    let rule = |rule: Value| {
        let mut account = Account::with_trail();
        account.answer_call("s3:GetBucketLifecycleConfiguration", &json!({"Rules": [rule]}));
        account
    };
    for (account, status, words) in [
        (Account::with_trail(), Pass, "nothing expires"),
        (rule(json!({"ID": "old", "Status": "Enabled", "Expiration": {"Days": 30}})), Fail, "deletes after 30 days"),
        (
            rule(json!({"ID": "d", "Filter": {"Prefix": "AWSLogs/1/CloudTrail-Digest/"}, "Expiration": {"Days": 9}})),
            Fail,
            "rule d",
        ),
        (rule(json!({"ID": "x", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}})), Pass, "365"),
        (rule(json!({"ID": "x", "Status": "Disabled", "Expiration": {"Days": 1}})), Pass, "365"),
        (rule(json!({"ID": "x", "Filter": {"Tag": {"Key": "a"}}, "Expiration": {"Days": 1}})), Pass, "365"),
        (rule(json!({"ID": "x", "Expiration": {"Days": 400}})), Pass, "365"),
        (rule(json!({"ID": "x", "Expiration": {"Date": "2026-12-01"}})), Fail, "on a day"),
        (rule(json!({"ID": "n", "NoncurrentVersionExpiration": {"NoncurrentDays": 7}})), Partial, "old versions"),
        (
            rule(json!({"ID": "g", "Transitions": [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}]})),
            Partial,
            "out of reach",
        ),
        (with("s3:GetBucketLifecycleConfiguration", &json!({})), Unknown, "not known"),
        (refused("s3:GetBucketLifecycleConfiguration"), Unknown, "denied"),
    ] {
        assert_said(&account, &context(), ("log-retention", status, words));
    }
}
