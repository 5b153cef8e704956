use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::log_file::Inflater;
use crate::testing::{ACCOUNT, record};

fn of(record: &Value) -> Facts<'static> {
    let text = record.to_string();
    let parsed = Record::parse(&text).expect("a record");
    assert!(skim::body(&parsed).is_some(), "read in one pass: {text}");
    Facts::of(&parsed, Hint::default()).expect("readable").into_owned()
}

fn call(source: &str, name: &str, request: Value, response: Value) -> Facts<'static> {
    let mut one = record(&format!("{source}.amazonaws.com"), name, Value::Null);
    (one["requestParameters"], one["responseElements"]) = (request, response);
    of(&one)
}

/// The two readers and the actor agree; the tree has its members in another order.
fn assert_agreement(text: &str) {
    let Ok(parsed) = Record::parse(text) else { return };
    let hint = Hint { account: Some("444455556666"), time: Time(7) };
    let Ok(mut careful) = Facts::carefully(&parsed, hint) else { return };
    let mut facts = Facts::of(&parsed, hint).expect("the careful reader can read it");
    for list in [&mut careful, &mut facts].into_iter().flat_map(|one| [&mut one.resources, &mut one.resource_types]) {
        list.sort();
    }
    assert_eq!(facts, careful, "{text}");
    let actor = parsed.actor();
    let said = (actor.name, actor.mfa, actor.console, actor.arn, actor.kind, actor.access_key, actor.issuer_arn);
    let Facts { actor_name, mfa, console, actor_arn, actor_type, access_key, issuer_arn, .. } =
        facts.clone().into_owned();
    let own = [actor_name, actor_arn, actor_type, access_key, issuer_arn].map(Cow::into_owned);
    assert_eq!(own, [said.0, said.3, said.4, said.5, said.6]);
    assert_eq!((mfa, console, facts.by_service), (said.1, said.2, parsed.actor().is_service()));
    let identity = parsed.identity(hint.account);
    assert_eq!((&*facts.account, &*facts.event_id), (&*identity.account, &*identity.id));
}

#[test]
fn an_instance_is_found_by_its_id_in_the_response() {
    let facts = call(
        "ec2",
        "RunInstances",
        json!({"instancesSet": {"items": [{"imageId": "ami-0abcdef1234567890", "keyName": "ops"}]},
            "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": [{"key": "k", "value": "sg-0abcdef1"}]}]}}),
        json!({"instancesSet": {"items": [{"instanceId": "i-0abcdef1234567890", "subnetId": "subnet-0abcdef1",
            "tagSet": {"items": [{"key": "Name", "value": "arn:aws:s3:::decoy"}]}}]}}),
    );
    assert_eq!(facts.resources, ["ami-0abcdef1234567890", "ops", "i-0abcdef1234567890", "subnet-0abcdef1"]);
    assert_eq!(facts.resource_types, ["AWS::EC2::Ami", "AWS::EC2::KeyPair", "AWS::EC2::Instance", "AWS::EC2::Subnet"]);
}

#[test]
fn a_database_is_found_by_name_and_arn() {
    let arn = "arn:aws:rds:eu-west-1:111122223333:db:orders";
    let request = json!({"dBInstanceIdentifier": "orders", "skipFinalSnapshot": true});
    let facts =
        call("rds", "DeleteDBInstance", request, json!({"dBInstanceIdentifier": "orders", "dBInstanceArn": arn}));
    assert_eq!(facts.resources, ["orders", arn]);
    assert_eq!(facts.resource_types, ["AWS::RDS::DBInstance"]);
    assert!(!facts.read_only);
}

#[test]
fn a_policy_names_nothing() {
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Resource": "arn:aws:s3:::logs/*"}]});
    let facts = call("s3", "PutBucketPolicy", json!({"bucketName": "logs", "bucketPolicy": policy}), Value::Null);
    assert_eq!(facts.resources, ["logs"]);
    assert_eq!(facts.resource_types, ["AWS::S3::Bucket"]);
    let request = json!({"policyName": "p", "policyDocument": policy.to_string()});
    assert_eq!(call("iam", "PutUserPolicy", request, Value::Null).resources, ["p"]);
}

#[test]
fn a_security_group_is_found_in_both_spellings() {
    let open = json!({"groupId": "sg-0abcdef1", "ipPermissions": {"items": [{"ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}});
    let answer = json!({"securityGroupRuleSet": {"items": [{"securityGroupRuleId": "sgr-0abcdef1"}]}});
    let facts = call("ec2", "AuthorizeSecurityGroupIngress", open, answer);
    assert_eq!(facts.resources, ["sg-0abcdef1", "sgr-0abcdef1"]);
    assert_eq!(facts.resource_types, ["AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupRule"]);
    let wrapped = json!({"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-0abcdef1", "tag": 1}}});
    assert_eq!(call("ec2", "DeleteFlowLogs", wrapped, Value::Null).resource_types, ["AWS::EC2::FlowLog"]);
}

#[test]
fn keys_that_a_call_gives_out_are_told() {
    let credentials = json!({"credentials": {"accessKeyId": "ASIAEXAMPLE", "sessionToken": "t"}});
    let request = json!({"roleArn": "arn:aws:iam::111122223333:role/ops", "sourceIdentity": "alice"});
    for name in ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "GetSessionToken"] {
        let facts = call("sts", name, request.clone(), credentials.clone());
        assert_eq!((&*facts.issued_key, &*facts.source_identity), ("ASIAEXAMPLE", "alice"), "{name}");
        assert_eq!(facts.resources, ["arn:aws:iam::111122223333:role/ops"]);
    }
    let created = json!({"accessKey": {"userName": "bob", "accessKeyId": "AKIAEXAMPLE", "status": "Active"}});
    let facts = call("iam", "CreateAccessKey", json!({"userName": "bob"}), created);
    assert_eq!((&*facts.issued_key, facts.resources.len()), ("AKIAEXAMPLE", 2));
    assert_eq!(facts.resource_types, ["AWS::IAM::User", "AWS::IAM::AccessKey"]);
    let gone = call("iam", "DeleteAccessKey", json!({"accessKeyId": "AKIAEXAMPLE"}), Value::Null);
    assert_eq!((&*gone.issued_key, &*gone.resources[0]), ("", "AKIAEXAMPLE"));
}

#[test]
fn a_failed_sign_in_has_an_error() {
    let sign_in = |result: &str, more: Value| {
        let mut one = record("signin.amazonaws.com", "ConsoleLogin", more);
        one["responseElements"] = json!({"ConsoleLogin": result});
        of(&one)
    };
    let failed = sign_in("Failure", json!({"errorMessage": "Failed authentication"}));
    assert_eq!((&*failed.error_code, &*failed.error_message), ("Failure", "Failed authentication"));
    let passed = sign_in("Success", json!({"additionalEventData": {"MFAUsed": "Yes"}}));
    assert_eq!((&*passed.error_code, passed.mfa), ("", Some(true)));
}

#[test]
fn an_object_goes_by_its_arn() {
    let request = json!({"bucketName": "data", "key": "a/b.csv", "Host": "data.s3.amazonaws.com"});
    let bare = call("s3", "GetObject", request.clone(), Value::Null);
    assert_eq!(bare.resources, ["data", "arn:aws:s3:::data/a/b.csv"]);
    assert_eq!(bare.resource_types, ["AWS::S3::Bucket", "AWS::S3::Object"]);
    let listed = json!([{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::data/a/b.csv"},
        {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::data"}]);
    let full = of(&record(
        "s3.amazonaws.com",
        "GetObject",
        json!({"requestParameters": request, "resources": listed,
        "additionalEventData": {"vpcEndpointId": "vpce-0abcdef1"}, "tlsDetails": {"tlsVersion": "TLSv1.3"}}),
    ));
    assert_eq!(full.resources, ["arn:aws:s3:::data/a/b.csv", "arn:aws:s3:::data", "data"]);
    assert_eq!(full.resource_types, ["AWS::S3::Object", "AWS::S3::Bucket"]);
    assert_eq!((&*full.vpc_endpoint, &*full.tls), ("vpce-0abcdef1", "TLSv1.3"));
}

#[test]
fn identity_center_says_who_and_what_came_of_it() {
    let facts = of(&record(
        "signin.amazonaws.com",
        "UserAuthentication",
        json!({
            "userIdentity": {"type": "Unknown", "accountId": ACCOUNT, "onBehalfOf": {"userId": "u-1",
                "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1"}},
            "additionalEventData": {"UserName": "carol@example.com"},
            "serviceEventDetails": {"UserAuthentication": "Failure"}
        }),
    ));
    assert_eq!((&*facts.actor_name, &*facts.on_behalf_of), ("carol@example.com", "u-1"));
    assert_eq!(&*facts.error_code, "Failure");
}

#[test]
fn callers_of_other_accounts_and_root_are_marked() {
    let identity = |identity: Value| of(&record("s3.amazonaws.com", "GetObject", json!({"userIdentity": identity})));
    assert!(identity(json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AIDAX"})).cross_account);
    assert!(!identity(json!({"type": "IAMUser", "accountId": ACCOUNT})).cross_account);
    let root = identity(json!({"type": "Root", "accountId": ACCOUNT, "arn": "arn:aws:iam::111122223333:root"}));
    assert!(root.root && !root.cross_account && root.actor_name == format!("root@{ACCOUNT}"));
    assert!(identity(json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"})).by_service);
}

#[test]
fn names_and_categories_of_older_records() {
    let facts = |more: Value| {
        let mut one = record("lambda.amazonaws.com", "AddPermission20150331v2", more);
        one.as_object_mut().expect("an object").remove("eventCategory");
        of(&one)
    };
    assert_eq!(facts(json!({})).event_name, "AddPermission");
    assert_eq!(facts(json!({})).category, "Management");
    assert_eq!(facts(json!({"managementEvent": false})).category, "Data");
    assert_eq!(facts(json!({"eventType": "AwsVpceEvent"})).category, "NetworkActivity");
    assert_eq!(facts(json!({"eventType": "AwsCloudTrailInsight"})).category, "Insight");
}

#[test]
fn no_record_has_more_than_its_share() {
    let many: Vec<String> = (0..500).map(|i| format!("arn:aws:s3:::b{i}")).collect();
    assert_eq!(call("made-up", "Do", json!({ "arns": many }), Value::Null).resources.len(), 64);
    let long = format!("arn:aws:s3:::b/{}", "x".repeat(3000));
    assert!(call("made-up", "Do", json!({ "arn": long }), Value::Null).resources.is_empty());
}

#[test]
fn an_ordinary_record_is_borrowed_whole() {
    let text = record("iam.amazonaws.com", "DeleteUser", json!({"requestParameters": {"userName": "bob"}})).to_string();
    let parsed = Record::parse(&text).expect("a record");
    let measured = allocation_counter::measure(|| drop(Facts::of(&parsed, Hint::default())));
    assert!(measured.count_total <= 2, "the two lists alone are allocated: {measured:?}");
}

#[test]
fn odd_records_are_read_alike() {
    let plain = record("iam.amazonaws.com", "CreateUser", json!({"requestParameters": {"userName": "b\"o\u{e9}b"}}));
    let pretty = serde_json::to_string_pretty(&plain).expect("JSON");
    let text = plain.to_string();
    let with = |from: &str, to: &str| text.replacen(from, to, 1);
    let odd = [
        pretty,
        with("\"alice\"", r#""al\u0069ce""#),
        with("\"userName\":\"alice\"", r#""userName":"x","userName":"alice""#),
        with("\"userName\":\"alice\"", r#""UserName":"alice""#),
        with("\"userAgent\":", r#""userAgent":"first","userAgent":"#),
        with("\"requestParameters\":{", r#""requestParameters":{"items":[{"userName":{"content":"carl","tag":1}}],"#),
        with("\"requestID\":\"", r#""requestID":17,"other":""#),
        with("\"eventSource\":\"iam", r#""eventSource":"i\u0061m"#),
        json!({"userIdentity": null, "eventName": "X", "requestParameters": "text", "responseElements": ["i-0abcdef1"]}).to_string(),
        json!({"eventType": "AwsCloudTrailInsight", "insightDetails": {"state": "Start"}}).to_string(),
        json!({"userIdentity": {"type": ["Root"], "sessionContext": "none"}, "additionalEventData": "x"}).to_string(),
        json!({"userIdentity": {"type": {"content": "Root"}, "sessionContext": {"webIdFederationData": {}}}}).to_string(),
        json!({"addendum": {"originalEventID": "o"}, "eventID": "e", "sessionCredentialFromConsole": "true"}).to_string(),
    ];
    odd.iter().for_each(|text| assert_agreement(text));
    assert!(Facts::of(&Record::parse(r#"{"a":{"b":tru}}"#).expect("a header"), Hint::default()).is_ok());
    assert!(Facts::of(&Record::parse(r#"{"requestParameters":{"b":}}"#).expect("a header"), Hint::default()).is_err());
}

#[test]
fn the_log_files_of_the_events_folder_are_read_alike() {
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/aws")];
    let mut records = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text =
                Inflater::new(crate::log_file::Limits::default()).inflate(&std::fs::read(entry).expect("a file"));
            let file: Value = serde_json::from_slice(&text.bytes).expect("JSON");
            for record in file["Records"].as_array().into_iter().flatten() {
                assert_agreement(&record.to_string());
                records += 1;
            }
        }
    }
    assert!(records > 100, "{records}");
}

fn any_text() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("arn:aws:s3:::logs/\"a\"")),
        Just(json!("i-0abcdef1234567890")),
        Just(json!("Failure")),
        Just(json!("true")),
        Just(json!("Root")),
        "[a-zé\"\\\\/:]{0,12}".prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "userName",
        "UserName",
        "content",
        "items",
        "tags",
        "Statement",
        "name",
        "bucketName",
        "key",
        "credentials",
        "accessKeyId",
        "accountId",
        "arn",
        "ARN",
        "type",
        "sessionContext",
        "sessionIssuer",
        "attributes",
        "invokedBy",
        "mfaAuthenticated",
        "sourceIdentity",
        "assumedRoot",
        "webIdFederationData",
        "onBehalfOf",
        "userId",
        "MFAUsed",
        "PutObject",
        "tlsVersion",
        "vpcEndpointId",
        "principalId",
    ]);
    any_text().prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..6)
                .prop_map(|members| members.into_iter().map(|(key, member)| (key.to_owned(), member)).collect()),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Value> {
    let names = [
        "userIdentity",
        "requestParameters",
        "responseElements",
        "additionalEventData",
        "resources",
        "tlsDetails",
        "serviceEventDetails",
        "userAgent",
        "errorMessage",
        "requestID",
        "vpcEndpointId",
        "sessionCredentialFromConsole",
        "managementEvent",
        "sharedEventID",
        "recipientAccountId",
        "sourceIPAddress",
        "eventCategory",
    ];
    let members = prop::collection::hash_map(prop::sample::select(names.to_vec()), any_value(), 0..8);
    let source = prop::sample::select(vec!["s3.amazonaws.com", "signin.amazonaws.com", "iam.amazonaws.com"]);
    (source, members).prop_map(|(source, members)| {
        let mut record = record(source, "PutObject", json!({}));
        members.into_iter().for_each(|(key, member)| record[key] = member);
        record
    })
}

proptest! {
    #[test]
    fn both_readers_agree(record in any_record(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&record).expect("JSON") } else { record.to_string() };
        assert_agreement(&text);
    }
}
