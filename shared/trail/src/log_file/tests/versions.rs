//! A record of every version that AWS has written and of every kind of identity.

use super::header;
use crate::log_file::skim::Cursor;
use crate::record::{Kind, Outcome, Record};

/// A record as delivered, and what it says.
struct Fixture {
    version: &'static str,
    text: &'static str,
    /// Source, name, time, id, region, source address.
    call: [&'static str; 6],
    /// Error code, event type, category, recipient account.
    more: [&'static str; 4],
    read_only: Option<bool>,
    outcome: Outcome,
    /// The identity's type, and the name of who is behind it.
    actor: (&'static str, &'static str),
    /// Whether it may be the root user, and somebody of another account.
    suspicion: (bool, bool),
}

const FIXTURES: &[Fixture] = &[
    // 1.0 had neither request nor record ids, and no read-only flag.
    Fixture {
        version: "1.0",
        text: r#"{"eventVersion":"1.0","userIdentity":{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","userName":"example-alias"},"eventTime":"2013-11-20T03:02:11Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"AWSConsole","requestParameters":{"userName":"dave"},"responseElements":{"user":{"userName":"dave"}}}"#,
        call: ["iam.amazonaws.com", "CreateUser", "2013-11-20T03:02:11Z", "", "us-east-1", "203.0.113.7"],
        more: ["", "", "", ""],
        read_only: None,
        outcome: Outcome::Success,
        actor: ("Root", "root@111122223333"),
        suspicion: (true, false),
    },
    Fixture {
        version: "1.01",
        text: r#"{"eventVersion":"1.01","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE1","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE1","userName":"alice"},"eventTime":"2014-03-06T21:22:54Z","eventSource":"ec2.amazonaws.com","eventName":"StartInstances","awsRegion":"us-east-2","sourceIPAddress":"2001:db8::7","userAgent":"ec2-api-tools 1.6","requestParameters":{"instancesSet":{"items":[{"instanceId":"i-0a1b2c3d"}]}},"responseElements":null,"requestID":"r-1","eventID":"e-101","readOnly":"false"}"#,
        call: ["ec2.amazonaws.com", "StartInstances", "2014-03-06T21:22:54Z", "e-101", "us-east-2", "2001:db8::7"],
        more: ["", "", "", ""],
        read_only: Some(false),
        outcome: Outcome::Success,
        actor: ("IAMUser", "alice"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.02",
        text: r#"{"eventVersion":"1.02","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE1:bob@example.com","arn":"arn:aws:sts::111122223333:assumed-role/Ops/bob@example.com","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE1","sessionContext":{"attributes":{"mfaAuthenticated":"true","creationDate":"20150120T010628Z"},"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE1","arn":"arn:aws:iam::111122223333:role/Ops","accountId":"111122223333","userName":"Ops"}}},"eventTime":"2015-01-20T03:02:11Z","eventSource":"s3.amazonaws.com","eventName":"ListBuckets","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.9","userAgent":"[aws-sdk-java]","requestParameters":null,"responseElements":null,"requestID":"r-2","eventID":"e-102","eventType":"AwsApiCall","recipientAccountId":"111122223333"}"#,
        call: ["s3.amazonaws.com", "ListBuckets", "2015-01-20T03:02:11Z", "e-102", "us-east-1", "198.51.100.9"],
        more: ["", "AwsApiCall", "", "111122223333"],
        read_only: None,
        outcome: Outcome::Success,
        actor: ("AssumedRole", "bob@example.com"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.03",
        text: r#"{"eventVersion":"1.03","userIdentity":{"type":"Role","principalId":"AROAEXAMPLE2","arn":"arn:aws:iam::111122223333:role/batch","accountId":"111122223333"},"eventTime":"2016-02-29T23:59:59Z","eventSource":"sqs.amazonaws.com","eventName":"CreateQueue","awsRegion":"eu-west-1","sourceIPAddress":"AWS Internal","userAgent":"AWS Internal","errorCode":"Client.DryRunOperation","errorMessage":"Request would have succeeded","requestParameters":"HIDDEN_DUE_TO_SECURITY_REASONS","responseElements":null,"requestID":"r-3","eventID":"e-103","readOnly":"True","eventType":"AwsApiCall","recipientAccountId":"111122223333","sharedEventID":"s-103"}"#,
        call: ["sqs.amazonaws.com", "CreateQueue", "2016-02-29T23:59:59Z", "e-103", "eu-west-1", "AWS Internal"],
        more: ["Client.DryRunOperation", "AwsApiCall", "", "111122223333"],
        read_only: Some(true),
        outcome: Outcome::Failed,
        actor: ("Role", "AROAEXAMPLE2"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.04",
        text: r#"{"eventVersion":"1.04","userIdentity":{"type":"FederatedUser","principalId":"111122223333:carol","arn":"arn:aws:sts::111122223333:federated-user/carol","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE2","sessionContext":{"sessionIssuer":{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"}}},"eventTime":"2017-05-01T00:00:00Z","eventSource":"sns.amazonaws.com","eventName":"ListTopics","awsRegion":"ap-southeast-2","sourceIPAddress":"203.0.113.9","userAgent":"aws-cli/1.11","errorCode":"AuthorizationErrorException","errorMessage":"not allowed","requestParameters":[],"responseElements":null,"requestID":"r-4","eventID":"e-104","eventType":"AwsApiCall","recipientAccountId":"111122223333","vpcEndpointId":"vpce-1"}"#,
        call: ["sns.amazonaws.com", "ListTopics", "2017-05-01T00:00:00Z", "e-104", "ap-southeast-2", "203.0.113.9"],
        more: ["AuthorizationErrorException", "AwsApiCall", "", "111122223333"],
        read_only: None,
        outcome: Outcome::Failed,
        actor: ("FederatedUser", "carol"),
        suspicion: (true, false),
    },
    Fixture {
        version: "1.05",
        text: r#"{"eventVersion":"1.05","userIdentity":{"type":"Unknown","principalId":"111122223333","accountId":"111122223333","userName":"dave"},"eventTime":"2020-11-20T08:00:00Z","eventSource":"signin.amazonaws.com","eventName":"CredentialVerification","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.7","userAgent":"Mozilla/5.0","requestParameters":null,"responseElements":null,"additionalEventData":{"CredentialType":"PASSWORD"},"requestID":"r-5","eventID":"e-105","readOnly":false,"eventType":"AwsServiceEvent","recipientAccountId":"111122223333","serviceEventDetails":{"CredentialVerification":"Failure"}}"#,
        call: [
            "signin.amazonaws.com",
            "CredentialVerification",
            "2020-11-20T08:00:00Z",
            "e-105",
            "eu-central-1",
            "203.0.113.7",
        ],
        more: ["", "AwsServiceEvent", "", "111122223333"],
        read_only: Some(false),
        outcome: Outcome::Failed,
        actor: ("Unknown", "dave"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.06",
        text: r#"{"eventVersion":"1.06","userIdentity":{"type":"AWSAccount","principalId":"AROAEXAMPLE3:s","accountId":"777788889999"},"eventTime":"2021-01-01T12:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.77","userAgent":"Boto3","errorCode":"AccessDenied","errorMessage":"not authorized","requestParameters":null,"responseElements":null,"requestID":"r-6","eventID":"e-106","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","sharedEventID":"s-106"}"#,
        call: ["sts.amazonaws.com", "AssumeRole", "2021-01-01T12:00:00Z", "e-106", "us-east-1", "198.51.100.77"],
        more: ["AccessDenied", "AwsApiCall", "", "111122223333"],
        read_only: Some(true),
        outcome: Outcome::Denied,
        actor: ("AWSAccount", "account 777788889999/AROAEXAMPLE3:s"),
        suspicion: (false, true),
    },
    Fixture {
        version: "1.07",
        text: r#"{"eventVersion":"1.07","userIdentity":{"type":"AWSService","invokedBy":"cloudtrail.amazonaws.com"},"eventTime":"2021-04-02T12:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetBucketAcl","awsRegion":"eu-west-1","sourceIPAddress":"cloudtrail.amazonaws.com","userAgent":"cloudtrail.amazonaws.com","requestParameters":{"bucketName":"example-trail-logs","acl":""},"responseElements":null,"additionalEventData":{"bytesTransferredIn":0},"requestID":"r-7","eventID":"e-107","readOnly":true,"resources":[{"ARN":"arn:aws:s3:::example-trail-logs","accountId":"111122223333","type":"AWS::S3::Bucket"}],"eventType":"AwsApiCall","managementEvent":true,"eventCategory":"Management","recipientAccountId":"111122223333"}"#,
        call: [
            "s3.amazonaws.com",
            "GetBucketAcl",
            "2021-04-02T12:00:00Z",
            "e-107",
            "eu-west-1",
            "cloudtrail.amazonaws.com",
        ],
        more: ["", "AwsApiCall", "Management", "111122223333"],
        read_only: Some(true),
        outcome: Outcome::Success,
        actor: ("AWSService", "cloudtrail.amazonaws.com"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.08",
        text: r#"{"eventVersion":"1.08","userIdentity":{"type":"SAMLUser","principalId":"qualifier:carol","userName":"carol","identityProvider":"arn:aws:iam::111122223333:saml-provider/Example"},"eventTime":"2022-07-20T06:30:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRoleWithSAML","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.30","userAgent":"aws-sdk-go","requestParameters":{"roleArn":"arn:aws:iam::111122223333:role/Ops"},"responseElements":{"subject":"carol"},"requestID":"r-8","eventID":"e-108","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.2"},"sessionCredentialFromConsole":"true","addendum":{"reason":"UPDATED_DATA","updatedFields":"errorCode","originalRequestID":"r-0","originalEventID":"e-original"}}"#,
        call: ["sts.amazonaws.com", "AssumeRoleWithSAML", "2022-07-20T06:30:00Z", "e-108", "us-east-1", "203.0.113.30"],
        more: ["", "AwsApiCall", "Management", "111122223333"],
        read_only: Some(true),
        outcome: Outcome::Success,
        actor: ("SAMLUser", "carol@Example"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.09",
        text: r#"{"eventVersion":"1.09","userIdentity":{"type":"WebIdentityUser","principalId":"accounts.example.com:client:sub-1","userName":"sub-1","identityProvider":"accounts.example.com"},"eventTime":"2024-01-31T23:00:01Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRoleWithWebIdentity","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.44","userAgent":"sdk","errorCode":"InvalidIdentityToken","errorMessage":"No OpenIDConnect provider found","requestParameters":{"roleArn":"arn:aws:iam::111122223333:role/ci"},"responseElements":null,"requestID":"r-9","eventID":"e-109","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","vpcEndpointId":"vpce-2","vpcEndpointAccountId":"111122223333","eventCategory":"Management"}"#,
        call: [
            "sts.amazonaws.com",
            "AssumeRoleWithWebIdentity",
            "2024-01-31T23:00:01Z",
            "e-109",
            "eu-west-1",
            "192.0.2.44",
        ],
        more: ["InvalidIdentityToken", "AwsApiCall", "Management", "111122223333"],
        read_only: Some(true),
        outcome: Outcome::Failed,
        actor: ("WebIdentityUser", "sub-1@accounts.example.com"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.10",
        text: r#"{"eventVersion":"1.10","userIdentity":{"type":"Directory","userName":"erin"},"eventTime":"2025-03-03T10:11:12Z","eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.12","userAgent":"aws-cli/2.17","requestParameters":{"omitted":true,"originalSize":120000,"reason":"requestParameters too large"},"responseElements":null,"requestID":"r-10","eventID":"e-110","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}"#,
        call: ["iam.amazonaws.com", "PutRolePolicy", "2025-03-03T10:11:12Z", "e-110", "us-east-1", "203.0.113.12"],
        more: ["", "AwsApiCall", "Management", "111122223333"],
        read_only: Some(false),
        outcome: Outcome::Success,
        actor: ("Directory", "erin"),
        suspicion: (false, false),
    },
    Fixture {
        version: "1.11",
        text: r#"{"eventVersion":"1.11","userIdentity":{"type":"IdentityCenterUser","accountId":"111122223333","onBehalfOf":{"userId":"u-1","identityStoreArn":"arn:aws:identitystore::111122223333:identitystore/d-1"},"credentialId":"c-1"},"eventTime":"2026-11-20T03:02:11Z","eventSource":"lambda.amazonaws.com","eventName":"AddPermission20150331v2","awsRegion":"eu-north-1","sourceIPAddress":"203.0.113.7","userAgent":"Mozilla/5.0","requestParameters":{"principal":"*"},"responseElements":{"statement":"{\"Effect\":\"Allow\"}"},"additionalEventData":{"UserName":"frank@example.com"},"requestID":"r-11","eventID":"e-111","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","eventContext":{"requestContext":{"aws:PrincipalTag/team":"pay"},"tagContext":{}}}"#,
        call: [
            "lambda.amazonaws.com",
            "AddPermission20150331v2",
            "2026-11-20T03:02:11Z",
            "e-111",
            "eu-north-1",
            "203.0.113.7",
        ],
        more: ["", "AwsApiCall", "Management", "111122223333"],
        read_only: Some(false),
        outcome: Outcome::Success,
        actor: ("IdentityCenterUser", "frank@example.com"),
        suspicion: (false, false),
    },
];

#[test]
fn there_is_one_of_each_version_and_identity() {
    let mut versions: Vec<_> = FIXTURES.iter().map(|fixture| fixture.version).collect();
    versions.sort_unstable();
    let all: Vec<_> = std::iter::once("1.0".to_owned()).chain((1..12).map(|minor| format!("1.{minor:02}"))).collect();
    assert_eq!(versions, all);
    let mut identities: Vec<_> = FIXTURES.iter().map(|fixture| fixture.actor.0).collect();
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), 12);
}

#[test]
fn every_header_field_is_read_quickly_and_carefully() {
    for fixture in FIXTURES {
        let mut record = Record::default();
        let end = record.skim(fixture.text, &mut Cursor::new(fixture.text.as_bytes(), 0), 0);
        assert_eq!(end, Some(fixture.text.len()), "{}", fixture.version);
        assert_eq!(header(&record), header(&Record::parse_any(fixture.text).expect("valid JSON")));
        let call = [&record.source, &record.name, &record.time, &record.id, &record.region, &record.source_ip];
        assert_eq!(call.map(|text| &**text), fixture.call);
        let more = [&record.error_code, &record.event_type, &record.category, &record.recipient_account];
        assert_eq!(more.map(|text| &**text), fixture.more);
        assert_eq!(record.read_only, fixture.read_only, "{}", fixture.version);
        assert_eq!((record.may_be_root(), record.may_be_foreign()), fixture.suspicion, "{}", fixture.version);
    }
}

#[test]
fn what_a_record_means_is_read_from_its_body() {
    for fixture in FIXTURES {
        let record = Record::parse(fixture.text).expect("valid JSON");
        record.load().expect("valid JSON");
        assert_eq!(record.kind(), Kind::Api);
        assert_eq!(record.body()["eventVersion"], fixture.version);
        assert_eq!(record.outcome(), fixture.outcome, "{}", fixture.version);
        let actor = record.actor();
        assert_eq!((&*actor.kind, &*actor.name), fixture.actor);
    }
}

#[test]
fn a_record_is_known_by_its_id_by_the_one_it_corrects_or_by_its_text() {
    let id = |version: &str| {
        let fixture = FIXTURES.iter().find(|fixture| fixture.version == version).expect("a fixture");
        Record::parse(fixture.text).expect("valid JSON").identity(Some("999988887777"))
    };
    assert_eq!((&*id("1.11").account, &*id("1.11").id), ("111122223333", "e-111"));
    assert_eq!(id("1.08").id, "e-original");
    assert_eq!((&*id("1.0").account, id("1.0").id.len()), ("999988887777", 64));
}
