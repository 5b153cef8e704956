//! What the templates promise, judged on the stack that they become with given parameters.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde_json::{Map, Value, json};
use trail::canary::PREFIX;

const TEMPLATE: &str = include_str!("../../template.yaml");
const TRAIL_BUCKET: &str = include_str!("../../trail-bucket.yaml");
const MEMBER_ROLE: &str = include_str!("../../member-role.yaml");
const ATHENA: &str = include_str!("../../athena.yaml");
const CARGO: &str = include_str!("../../Cargo.toml");
const READS_ENVIRONMENT: &str = include_str!("../../shared/cloud/src/deployment.rs");
const DEPLOYING: &str = include_str!("../../docs/deploy.md");
const REVIEW_DAILY: &str = include_str!("../../events/invocations/review-daily.json");
const REVIEW_OPEN: &str = include_str!("../../events/invocations/review-open.json");
const REVIEW_LEAVER: &str = include_str!("../../events/invocations/review-leaver.json");
const REVIEW_PACK: &str = include_str!("../../events/invocations/review-pack.json");

const ARRIVALS: [&str; 3] = ["EventBridge", "SnsTopic", "S3"];
const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:logs";
const TRAIL_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/trail";
const ACCOUNT: &str = "999988887777";
const EMITTED: [&str; 13] = [
    "AccountsAudited",
    "AuditFailures",
    "VerifyFailures",
    "CanaryFindings",
    "SilentRegions",
    "LogFiles",
    "DigestFiles",
    "RecordsQuarantined",
    "RecordsUnaccounted",
    "ConfirmedSubscribers",
    "SettingsErrors",
    "ChatFailures",
    "LakeStale",
];
/// What a review asks AWS of an account and of the organization.
const QUESTIONS_OF_ACCESS: [&str; 25] = [
    "iam:GenerateCredentialReport",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetCredentialReport",
    "iam:ListAccessKeys",
    "iam:ListOpenIDConnectProviders",
    "iam:ListSAMLProviders",
    "iam:ListVirtualMFADevices",
    "identitystore:ListGroupMemberships",
    "identitystore:ListGroups",
    "identitystore:ListUsers",
    "organizations:DescribeOrganization",
    "organizations:DescribePolicy",
    "organizations:ListAccounts",
    "organizations:ListParents",
    "organizations:ListPolicies",
    "organizations:ListTargetsForPolicy",
    "sso:DescribePermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:GetPermissionsBoundaryForPermissionSet",
    "sso:ListAccountAssignments",
    "sso:ListAccountsForProvisionedPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListInstances",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListPermissionSets",
];
const EVERYTHING: [(&str, &str); 6] = [
    ("FastPath", "true"),
    ("Email", "people@example.com"),
    ("SlackWorkspaceId", "T01"),
    ("SlackChannelId", "C01"),
    ("TrailKmsKeyArn", TRAIL_KEY),
    ("LogBucketAccountId", "444455556666"),
];

#[test]
fn the_member_role_may_do_what_collecting_needs_and_nothing_else() {
    let stack = Stack::member_role(&[]);
    let policy = statements_within(&stack.resources["AuditRole"]["Properties"]["Policies"]);
    let listed: Vec<String> = policy.iter().flat_map(|statement| list(&statement["Action"])).collect();
    assert!(policy.iter().all(|statement| statement["Effect"] == "Allow" && statement["Resource"] == "*"));
    let needed =
        [cloud::collect::permissions(), cloud::collect::access_permissions(), cloud::collect::directory_permissions()];
    let needed = texts(&needed.concat());
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), needed);
    let sorted = |statement: &Value| list(&statement["Action"]).collect::<Vec<_>>().is_sorted();
    assert!(policy.iter().all(sorted) && listed.len() == needed.len(), "sorted, and each once: {listed:?}");
    let audited = policy[..2].iter().flat_map(|statement| list(&statement["Action"])).collect::<BTreeSet<_>>();
    assert_eq!(audited, texts(&cloud::collect::permissions()), "the audit's own come first, and alone");
    assert_eq!(policy[1]["Condition"]["StringLike"]["s3:prefix"], json!(["AWSLogs/*", "*/AWSLogs/*"]));
}

#[test]
fn the_member_role_lets_in_one_role_of_one_account_of_the_organization() {
    let conditions = |given: &[(&str, &str)]| {
        let stack = Stack::member_role(given);
        let trust = statements_within(&stack.resources["AuditRole"]["Properties"]["AssumeRolePolicyDocument"]);
        assert_eq!((trust.len(), &trust[0]["Action"]), (1, &json!("sts:AssumeRole")));
        let account = json!({"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${LoggingAccountId}:root"}});
        assert_eq!(trust[0]["Principal"], account);
        trust[0]["Condition"].clone()
    };
    assert_eq!(conditions(&[]), json!({"StringEquals": {"sts:ExternalId": "word"}}));
    let role = "arn:aws:iam::999988887777:role/audit";
    let expected = json!({
        "StringEquals": {"sts:ExternalId": "word", "aws:PrincipalOrgID": "o-abcdefghij"},
        "ArnEquals": {"aws:PrincipalArn": role},
    });
    assert_eq!(conditions(&[("OrganizationId", "o-abcdefghij"), ("AuditRoleArn", role)]), expected);
    let review = "arn:aws:iam::999988887777:role/review";
    let both = conditions(&[("AuditRoleArn", role), ("ReviewRoleArn", review)]);
    assert_eq!(both["ArnEquals"], json!({"aws:PrincipalArn": [role, review]}));
    let default = cloud::collect::Options::default().role;
    assert_eq!(Stack::member_role(&[]).property("AuditRole", "/RoleName"), &json!(default));
}

#[test]
fn the_key_lets_in_exactly_the_services_that_write_to_queues_and_topics() {
    let cases = [
        ("EventBridge", "false", vec!["cloudwatch.amazonaws.com", "events.amazonaws.com"]),
        ("SnsTopic", "false", vec!["cloudwatch.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com"]),
        ("SnsTopic", "true", vec!["cloudwatch.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com"]),
        ("S3", "false", vec!["cloudwatch.amazonaws.com", "events.amazonaws.com", "s3.amazonaws.com"]),
        ("S3", "true", vec!["cloudwatch.amazonaws.com", "events.amazonaws.com", "s3.amazonaws.com"]),
    ];
    for (arrival, fast_path, expected) in cases {
        let stack = Stack::application(&[("Notifications", arrival), ("FastPath", fast_path)]);
        let services: BTreeSet<String> = key_policy(&stack).iter().filter_map(service).collect();
        assert_eq!(services, texts(&expected), "the key's services with {arrival}, fast path {fast_path}");
    }
}

#[test]
fn each_service_may_encrypt_and_decrypt_and_nothing_else() {
    for arrival in ARRIVALS {
        for statement in key_policy(&Stack::application(&[("Notifications", arrival), ("FastPath", "true")])) {
            let Some(service) = service(&statement) else { continue };
            let actions: BTreeSet<String> = list(&statement["Action"]).map(|action| action.replace('*', "")).collect();
            assert_eq!(actions, texts(&["kms:Decrypt", "kms:GenerateDataKey"]), "what {service} does with the key");
        }
    }
}

#[test]
fn a_service_uses_the_key_for_its_known_source_where_it_tells_one() {
    for arrival in ARRIVALS {
        for statement in key_policy(&Stack::application(&[("Notifications", arrival), ("FastPath", "true")])) {
            let expected = match service(&statement).as_deref() {
                Some("cloudwatch.amazonaws.com" | "s3.amazonaws.com") => {
                    json!({"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}})
                }
                Some("sns.amazonaws.com") => json!({"ArnEquals": {"aws:SourceArn": TOPIC}}),
                // EventBridge tells none: any condition on the source would refuse it.
                _ => Value::Null,
            };
            assert_eq!(statement["Condition"], expected, "the condition of {statement}");
        }
    }
}

#[test]
fn s3_of_the_log_buckets_own_account_may_use_the_key() {
    let stack = Stack::application(&[("Notifications", "S3"), ("LogBucketAccountId", "444455556666")]);
    let statement = key_policy(&stack).into_iter().find(|one| service(one).as_deref() == Some("s3.amazonaws.com"));
    let condition = statement.map(|one| one["Condition"]["StringEquals"]["aws:SourceAccount"].clone());
    assert_eq!(condition, Some(json!("444455556666")));
}

#[test]
fn only_the_announcer_of_log_files_and_the_canarys_rule_may_write_to_their_queue() {
    let cases = [
        ("EventBridge", "events.amazonaws.com", json!({"Fn::GetAtt": "LogFileRule.Arn"})),
        ("SnsTopic", "sns.amazonaws.com", json!(TOPIC)),
        ("S3", "s3.amazonaws.com", json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::${LogBucketName}"})),
    ];
    for (arrival, service, source) in cases {
        let stack = Stack::application(&[("Notifications", arrival), ("FastPath", "true")]);
        let canary = ("events.amazonaws.com".to_owned(), json!({"Fn::GetAtt": "CanaryRule.Arn"}));
        let writers = writers(&stack, "LogFileQueue");
        let known = writers.contains(&canary) && writers.contains(&(service.to_owned(), source));
        assert!(known && writers.len() == 2, "writers with {arrival}: {writers:?}");
    }
}

#[test]
fn a_log_bucket_of_another_account_is_known_by_that_account_too() {
    let stack = Stack::application(&[("Notifications", "S3"), ("LogBucketAccountId", "444455556666")]);
    let policy = queue_policy(&stack, "LogFileQueue");
    let allowed = policy.iter().find(|one| service(one).as_deref() == Some("s3.amazonaws.com"));
    let account = allowed.map(|one| one["Condition"]["StringEquals"]["aws:SourceAccount"].clone());
    assert_eq!(account, Some(json!("444455556666")));
}

#[test]
fn the_fast_path_is_written_by_its_rule_and_by_nobody_else() {
    let stack = Stack::application(&EVERYTHING);
    let rule = json!({"Fn::GetAtt": "FastPathRule.Arn"});
    assert_eq!(writers(&stack, "FastPathQueue"), [("events.amazonaws.com".to_owned(), rule.clone())]);
    let refusal = json!({
        "Sid": "NobodyElse", "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": "FastPathQueue.Arn"}, "Condition": {"ArnNotEquals": {"aws:SourceArn": rule}},
    });
    let policy = queue_policy(&stack, "FastPathQueue");
    assert!(policy.contains(&refusal), "an administrator could forge a record: {policy:?}");
}

#[test]
fn without_the_fast_path_nothing_of_it_is_there() {
    let stack = Stack::application(&[]);
    let parts: Vec<_> = stack.resources.keys().filter(|name| name.starts_with("FastPath")).collect();
    assert!(parts.is_empty(), "{parts:?} of a fast path that is off");
}

#[test]
fn nobody_may_write_to_a_dead_letter_queue_but_its_own_queue() {
    let stack = Stack::application(&EVERYTHING);
    for queue in ["LogFileQueue", "FastPathQueue", "AuditQueue"] {
        let dead = dead_letters_of(&stack, queue);
        assert_eq!(writers(&stack, &dead), [], "writers of {dead}");
        let allowed = stack.property(&dead, "/RedriveAllowPolicy");
        let name = stack.property(queue, "/QueueName/Fn::Sub").as_str().unwrap_or_default();
        let arn =
            json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{name}")});
        assert_eq!(allowed, &json!({"redrivePermission": "byQueue", "sourceQueueArns": [arn]}), "{dead}");
    }
}

#[test]
fn every_queue_is_encrypted_kept_14_days_and_refuses_plain_text() {
    let stack = Stack::application(&EVERYTHING);
    let queues = stack.of_type("AWS::SQS::Queue");
    assert_eq!(queues.len(), 9);
    for queue in queues {
        assert_eq!(stack.property(queue, "/KmsMasterKeyId"), &json!({"Fn::GetAtt": "Key.Arn"}), "{queue}");
        assert_eq!(stack.property(queue, "/MessageRetentionPeriod"), 14 * 24 * 3600, "{queue}");
        assert!(queue_policy(&stack, queue).iter().any(refuses_plain_text), "{queue} takes plain text");
    }
}

#[test]
fn a_message_stays_hidden_for_six_timeouts_and_the_batching_window() {
    let stack = Stack::application(&EVERYTHING);
    let timeout = stack.property("IngestFunction", "/Timeout").as_i64().unwrap_or(i64::MAX);
    for (queue, source) in sources(&stack) {
        let window = source["MaximumBatchingWindowInSeconds"].as_i64().unwrap_or(i64::MAX);
        let hidden = stack.property(&queue, "/VisibilityTimeout").as_i64().unwrap_or_default();
        assert!(hidden >= 6 * timeout + window, "{queue}: {hidden} s for a timeout of {timeout} s");
    }
}

#[test]
fn a_message_fails_alone_and_concurrency_is_bounded() {
    let stack = Stack::application(&EVERYTHING);
    let sources = sources(&stack);
    assert_eq!(sources.keys().cloned().collect::<BTreeSet<_>>(), texts(&["FastPathQueue", "LogFileQueue"]));
    for (queue, source) in sources {
        assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{queue}");
        assert!(source["ScalingConfig"]["MaximumConcurrency"].as_i64() >= Some(2), "{queue}");
        assert!(source["BatchSize"].as_i64() > Some(1), "{queue}");
    }
}

#[test]
fn the_ingest_role_may_do_these_things_and_no_others() {
    let expected = [
        ("dynamodb:GetItem", "Table"),
        ("dynamodb:PutItem", "Table"),
        ("dynamodb:Query", "Table"),
        ("dynamodb:Query", "Table/feed"),
        ("dynamodb:UpdateItem", "Table"),
        ("kms:Decrypt", "Key"),
        ("kms:Decrypt", "TrailKey"),
        ("kms:DescribeKey", "Key"),
        ("kms:Encrypt", "Key"),
        ("kms:GenerateDataKey", "Key"),
        ("kms:GenerateDataKey*", "Key"),
        ("kms:ReEncrypt*", "Key"),
        ("logs:CreateLogStream", "IngestLogs"),
        ("logs:PutLogEvents", "IngestLogs"),
        ("s3:GetObject", "LogBucket/*"),
        ("s3:GetObject", "canaries"),
        ("s3:GetObject", "settings"),
        ("s3:GetObjectVersion", "LogBucket/*"),
        ("s3:GetObjectVersion", "canaries"),
        ("s3:ListBucket", "DataBucket"),
        ("s3:PutObject", "hot"),
        ("s3:PutObject", "quarantine"),
        ("sns:GetTopicAttributes", "ChatTopic"),
        ("sns:GetTopicAttributes", "PeopleTopic"),
        ("sns:Publish", "ChatTopic"),
        ("sns:Publish", "PeopleTopic"),
        ("sqs:DeleteMessage", "FastPathQueue"),
        ("sqs:DeleteMessage", "LogFileQueue"),
        ("sqs:GetQueueAttributes", "FastPathQueue"),
        ("sqs:GetQueueAttributes", "LogFileQueue"),
        ("sqs:ReceiveMessage", "FastPathQueue"),
        ("sqs:ReceiveMessage", "LogFileQueue"),
    ];
    assert_grants(&Stack::application(&EVERYTHING), "IngestRole", &expected);
}

#[test]
fn the_compact_role_writes_parts_reads_hot_rows_and_deletes_nothing() {
    let expected = [
        ("dynamodb:GetItem", "Table"),
        ("dynamodb:PutItem", "Table"),
        ("dynamodb:Query", "Table"),
        ("dynamodb:UpdateItem", "Table"),
        ("kms:Decrypt", "Key"),
        ("kms:DescribeKey", "Key"),
        ("kms:Encrypt", "Key"),
        ("kms:GenerateDataKey", "Key"),
        ("kms:GenerateDataKey*", "Key"),
        ("kms:ReEncrypt*", "Key"),
        ("logs:CreateLogStream", "CompactLogs"),
        ("logs:PutLogEvents", "CompactLogs"),
        ("s3:AbortMultipartUpload", "cuts"),
        ("s3:AbortMultipartUpload", "keys"),
        ("s3:AbortMultipartUpload", "records"),
        ("s3:GetObject", "cuts"),
        ("s3:GetObject", "hot"),
        ("s3:GetObject", "keys"),
        ("s3:GetObject", "records"),
        ("s3:GetObject", "settings"),
        ("s3:ListBucket", "DataBucket"),
        ("s3:PutObject", "cuts"),
        ("s3:PutObject", "keys"),
        ("s3:PutObject", "records"),
        ("sqs:DeleteMessage", "CompactQueue"),
        ("sqs:GetQueueAttributes", "CompactQueue"),
        ("sqs:ReceiveMessage", "CompactQueue"),
        ("sqs:SendMessage", "CompactQueue"),
    ];
    assert_grants(&Stack::application(&EVERYTHING), "CompactRole", &expected);
}

#[test]
fn parts_are_absorbed_side_by_side_and_none_twice_at_once() {
    let stack = Stack::application(&[]);
    for queue in ["CompactQueue", "CompactDeadLetters"] {
        assert_eq!(stack.property(queue, "/FifoQueue"), true, "{queue}");
    }
    assert_eq!(stack.property("CompactQueue", "/ContentBasedDeduplication"), true);
    let source = stack.property("CompactFunction", "/Events/Parts/Properties");
    assert_eq!(
        (&source["BatchSize"], &source["FunctionResponseTypes"]),
        (&json!(1), &json!(["ReportBatchItemFailures"]))
    );
    let timeout = stack.property("CompactFunction", "/Timeout").as_i64().expect("seconds");
    assert!(stack.property("CompactQueue", "/VisibilityTimeout").as_i64() >= Some(6 * timeout));
    let plan = stack.property("CompactFunction", "/Events/Plan").clone();
    let last_days = json!({"do": "plan", "days": 2});
    assert_eq!((payload(&plan), &plan["Properties"]["Schedule"]), (last_days, &json!("rate(10 minutes)")));
    assert_eq!(payload(stack.property("CompactFunction", "/Events/Stragglers")), json!({"do": "plan"}), "all days");
}

#[test]
fn hot_rows_that_wait_or_that_nobody_looks_for_are_an_alarm() {
    let alarm = alarm(&Stack::application(&[]), "LakeStale", &json!({"Ref": "AWS::StackName"}));
    assert_eq!((&alarm["TreatMissingData"], &alarm["Threshold"]), (&json!("breaching"), &json!(0)));
    assert_eq!(seconds(&alarm), 7200);
    // The schedule's hour and the alarm's need not begin together.
    assert_eq!(alarm["Period"], 3600);
}

#[test]
fn athena_reads_the_days_of_the_lake_and_stops_where_it_gets_dear() {
    let given = [("DataBucketName", "data"), ("KeyArn", TRAIL_KEY)];
    let stack = Stack::new(ATHENA, &given);
    let table = stack.property("Records", "/TableInput");
    let parameters = &table["Parameters"];
    assert_eq!(table["PartitionKeys"], json!([{"Name": "dt", "Type": "string"}]));
    assert_eq!(
        (&parameters["projection.dt.type"], &parameters["projection.enabled"]),
        (&json!("date"), &json!("true"))
    );
    let place = json!({"Fn::Sub": "s3://${DataBucketName}/records/dt=${!dt}/"});
    assert_eq!(parameters["storage.location.template"], place);
    let columns = table["StorageDescriptor"]["Columns"].as_array().expect("columns");
    let named: Vec<&str> = columns.iter().filter_map(|column| column["Name"].as_str()).collect();
    assert_eq!(named, ::lake::columns::ALL.map(::lake::columns::Column::name));
    let group = stack.property("WorkGroup", "/WorkGroupConfiguration");
    assert_eq!(group["EnforceWorkGroupConfiguration"], true);
    assert!(group["BytesScannedCutoffPerQuery"].as_i64() > Some(0) || group["BytesScannedCutoffPerQuery"].is_object());
    let queries = stack.of_type("AWS::Athena::NamedQuery");
    assert_eq!(queries.len(), ::lake::questions::ALL.len());
    let actions = statements_within(&stack.resources["Investigator"]["Properties"]["PolicyDocument"]);
    let written: Vec<String> = actions
        .iter()
        .filter(|one| list(&one["Action"]).any(|action| action == "s3:PutObject" || action.contains("Delete")))
        .flat_map(|one| list(&one["Resource"]))
        .collect();
    assert_eq!(written, [r#"{"Fn::Sub":"${Results.Arn}/*"}"#], "who asks writes results and nothing else");
}

#[test]
fn the_notify_role_may_do_these_things_and_no_others() {
    let expected = [
        ("dynamodb:DeleteItem", "Table"),
        ("dynamodb:GetItem", "Table"),
        ("dynamodb:PutItem", "Table"),
        ("dynamodb:Query", "Table"),
        ("dynamodb:Query", "Table/feed"),
        ("dynamodb:Scan", "Table/due"),
        ("dynamodb:UpdateItem", "Table"),
        ("kms:Decrypt", "Key"),
        ("kms:DescribeKey", "Key"),
        ("kms:Encrypt", "Key"),
        ("kms:GenerateDataKey", "Key"),
        ("kms:GenerateDataKey*", "Key"),
        ("kms:ReEncrypt*", "Key"),
        ("logs:CreateLogStream", "NotifyLogs"),
        ("logs:PutLogEvents", "NotifyLogs"),
        ("s3:GetObject", "settings"),
        ("s3:ListBucket", "DataBucket"),
        ("s3:PutObject", "canaries"),
        ("sns:GetTopicAttributes", "ChatTopic"),
        ("sns:GetTopicAttributes", "PeopleTopic"),
        ("sns:Publish", "ChatTopic"),
        ("sns:Publish", "PeopleTopic"),
    ];
    assert_grants(&Stack::application(&EVERYTHING), "NotifyRole", &expected);
}

#[test]
fn only_sent_test_alerts_can_be_deleted() {
    let stack = Stack::application(&EVERYTHING);
    let deletes = |one: &Value| list(&one["Action"]).any(|action| action == "dynamodb:DeleteItem");
    for statement in role_statements(&stack, "NotifyRole").into_iter().filter(deletes) {
        let keys = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "N#*"}});
        assert_eq!(statement["Condition"], keys, "a finding or its history could be deleted");
    }
}

#[test]
fn who_types_into_the_chat_may_do_nothing() {
    assert_grants(&Stack::application(&EVERYTHING), "SlackRole", &[]);
}

#[test]
fn keys_are_used_through_named_services_alone() {
    let stack = Stack::application(&EVERYTHING);
    for role in ["IngestRole", "NotifyRole", "ReviewRole", "ViewerRole"] {
        for statement in role_statements(&stack, role) {
            // Nobody signs packs for it.
            let signs = statement["Resource"] == json!({"Fn::GetAtt": "EvidenceKey.Arn"});
            if !signs && list(&statement["Action"]).any(|action| action.starts_with("kms:")) {
                let via = &statement["Condition"]["StringLike"]["kms:ViaService"];
                assert!(list(via).count() > 0, "{role} uses a key for itself: {statement}");
                assert!(list(via).all(|service| service != "*"), "{role} uses a key through anything: {statement}");
            }
        }
    }
}

#[test]
fn without_a_trail_key_no_other_key_is_decrypted_with() {
    let stack = Stack::application(&[]);
    let own = json!({"Fn::GetAtt": "Key.Arn"});
    for statement in role_statements(&stack, "IngestRole") {
        if list(&statement["Action"]).any(|action| action.starts_with("kms:")) {
            assert_eq!(statement["Resource"], own, "{statement}");
        }
    }
}

#[test]
fn nothing_is_allowed_on_everything() {
    // What only reads settings, and cannot know beforehand of which trails, buckets and keys.
    let audited = statements_within(&Stack::member_role(&[]).resources["AuditRole"]["Properties"]["Policies"]);
    // The action knows no resources.
    let public_keys = json!({
        "Sid": "KeysThatAwsSignsWith", "Effect": "Allow", "Action": "cloudtrail:ListPublicKeys", "Resource": "*",
    });
    for stack in [Stack::application(&EVERYTHING), Stack::trail_bucket(&[("Trail", "Account")])] {
        for (name, resource) in &stack.resources {
            for statement in statements_within(resource).into_iter().filter(|one| one["Effect"] == "Allow") {
                // In a key's own policy `*` is that key. The account's administrators have to be able to mend it.
                let key = resource["Type"] == "AWS::KMS::Key";
                let is_reading = name == "AuditRole" && audited.contains(&statement);
                let is_asking = name == "ReviewRole" && asks_who_has_access(&statement);
                let is_known = key || is_reading || is_asking || statement == public_keys;
                assert!(is_known || list(&statement["Resource"]).all(|one| one != "*"), "{name}: {statement}");
                let account = key && statement["Sid"] == "AccountDecidesByIam";
                let all = |action: &str| action == "*" || action.ends_with(":*");
                assert!(account || !list(&statement["Action"]).any(|one| all(&one)), "{name}: {statement}");
                assert_ne!(statement["Principal"], "*", "{name} lets in everybody");
                assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none(), "{name}");
            }
        }
    }
}

#[test]
fn the_audit_function_may_read_of_its_own_account_what_its_role_reads_of_others() {
    let stack = Stack::application(&[]);
    let own = role_statements(&stack, "AuditRole");
    let of_members = statements_within(&Stack::member_role(&[]).resources["AuditRole"]["Properties"]["Policies"]);
    // The others are those of the function that reviews access.
    for statement in of_members.into_iter().take(2) {
        assert!(own.contains(&statement), "{statement}");
    }
    let taken: Vec<_> = own.iter().filter(|one| one["Action"] == "sts:AssumeRole").collect();
    let role = json!({"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${AuditRoleName}"});
    assert_eq!(taken.iter().map(|one| &one["Resource"]).collect::<Vec<_>>(), [&role], "that role and no other");
}

#[test]
fn what_is_deleted_from_the_table_is_no_evidence() {
    let stack = Stack::application(&[]);
    for (role, keys) in
        [("NotifyRole", json!("N#*")), ("VerifyRole", json!("DIGESTS")), ("AuditRole", json!(["A#*", "TOUCHED"]))]
    {
        let deletes: Vec<_> = role_statements(&stack, role)
            .into_iter()
            .filter(|one| list(&one["Action"]).any(|action| action == "dynamodb:DeleteItem"))
            .collect();
        assert_eq!(deletes.len(), 1, "{role}");
        let condition = deletes[0]["Condition"].as_object().expect("a condition").values().next().cloned();
        assert_eq!(condition.expect("one")["dynamodb:LeadingKeys"], keys, "{role}");
    }
    assert!(role_statements(&stack, "IngestRole").iter().all(|one| !one.to_string().contains("DeleteItem")));
}

#[test]
fn roles_are_taken_by_one_service_each_and_carry_no_managed_policy() {
    let stack = Stack::application(&EVERYTHING);
    let names = ["AuditRole", "CompactRole", "IngestRole", "NotifyRole", "ReviewRole", "VerifyRole", "ViewerRole"];
    let functions = names.map(|role| (role, "lambda"));
    let roles = [&functions[..], &[("SlackRole", "chatbot")]].concat();
    for (role, service) in &roles {
        let trust = stack.property(role, "/AssumeRolePolicyDocument/Statement/0/Principal");
        assert_eq!(trust, &json!({"Service": format!("{service}.amazonaws.com")}), "{role}");
        assert!(stack.resources[*role]["Properties"].get("ManagedPolicyArns").is_none(), "{role}");
    }
    assert_eq!(stack.of_type("AWS::IAM::Role").len(), roles.len());
}

#[test]
fn the_table_is_encrypted_recoverable_and_cannot_be_deleted() {
    let stack = Stack::application(&[]);
    let table = &stack.resources["Table"]["Properties"];
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(table["SSESpecification"]["KMSMasterKeyId"], json!({"Fn::GetAtt": "Key.Arn"}));
    assert_eq!(table["TimeToLiveSpecification"], json!({"Enabled": true, "AttributeName": "expires"}));
    assert_eq!(schema(table, &table["KeySchema"]), [("pk", "S"), ("sk", "S")]);
}

#[test]
fn the_table_has_the_indexes_feed_and_due() {
    let stack = Stack::application(&[]);
    let table = &stack.resources["Table"]["Properties"];
    let indexes = table["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> =
        indexes.iter().map(|index| (&index["IndexName"], &index["Projection"]["ProjectionType"])).collect();
    assert_eq!(found, [(&json!("feed"), &json!("ALL")), (&json!("due"), &json!("KEYS_ONLY"))]);
    let schemas: Vec<_> = indexes.iter().map(|index| schema(table, &index["KeySchema"])).collect();
    assert_eq!(schemas, [[("feed", "S"), ("first_seen", "S")], [("due", "N"), ("pk", "S")]]);
}

#[test]
fn what_holds_evidence_outlives_the_stack() {
    for (stack, names) in [
        (Stack::application(&[]), vec!["Key", "Table", "DataBucket", "DataBucketPolicy"]),
        (Stack::application(&[]), vec!["EvidenceBucket", "EvidenceBucketPolicy", "EvidenceKey"]),
        (Stack::trail_bucket(&[]), vec!["TrailKey", "LogBucket", "LogBucketPolicy"]),
    ] {
        for name in names {
            let resource = &stack.resources[name];
            assert_eq!(
                (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
                (&json!("Retain"), &json!("Retain")),
                "{name}"
            );
        }
    }
}

#[test]
fn the_data_bucket_is_versioned_encrypted_private_and_refuses_plain_text() {
    assert_private_bucket(&Stack::application(&[]), "DataBucket");
    assert_encrypted_bucket(&Stack::application(&[]), "DataBucket");
}

#[test]
fn earlier_settings_are_kept_for_ever() {
    let stack = Stack::application(&[]);
    let rules = stack.property("DataBucket", "/LifecycleConfiguration/Rules").as_array().cloned().unwrap_or_default();
    for rule in rules {
        let expires = rule.get("NoncurrentVersionExpiration").is_some() || rule.get("ExpirationInDays").is_some();
        let prefix = rule["Prefix"].as_str().unwrap_or_default();
        assert!(!expires || !"settings/config.toml".starts_with(prefix), "{rule} deletes settings");
    }
}

#[test]
fn every_dead_letter_queue_has_an_alarm() {
    let stack = Stack::application(&EVERYTHING);
    for queue in ["LogFileQueue", "FastPathQueue"] {
        let dead = dead_letters_of(&stack, queue);
        let dimension = json!({"Fn::GetAtt": format!("{dead}.QueueName")});
        let alarm = alarm(&stack, "ApproximateNumberOfMessagesVisible", &dimension);
        assert_eq!((&alarm["Threshold"], &alarm["EvaluationPeriods"]), (&json!(0), &json!(1)), "{dead}");
    }
}

#[test]
fn every_queue_has_an_alarm_on_its_oldest_message() {
    let stack = Stack::application(&EVERYTHING);
    for queue in ["LogFileQueue", "FastPathQueue"] {
        alarm(&stack, "ApproximateAgeOfOldestMessage", &json!({"Fn::GetAtt": format!("{queue}.QueueName")}));
    }
}

#[test]
fn silence_for_two_and_a_half_hours_is_an_alarm() {
    let stack = Stack::application(&[]);
    for metric in ["LogFiles", "DigestFiles"] {
        let alarm = alarm(&stack, metric, &json!({"Ref": "AWS::StackName"}));
        assert_eq!(alarm["TreatMissingData"], "breaching", "{metric}: who is silent emits nothing");
        assert_eq!(seconds(&alarm), 9000, "{metric}");
        assert_eq!(
            (&alarm["ComparisonOperator"], &alarm["Threshold"]),
            (&json!("LessThanThreshold"), &json!(1)),
            "{metric}"
        );
    }
}

#[test]
fn two_hours_without_a_canary_are_an_alarm_and_so_are_two_of_silence_or_without_a_look() {
    let stack = Stack::application(&[]);
    let below = ("CanaryFindings", "Sum", "LessThanThreshold", 1);
    let above = ("SilentRegions", "Maximum", "GreaterThanThreshold", 0);
    for (metric, statistic, comparison, threshold) in [below, above] {
        let alarm = alarm(&stack, metric, &json!({"Ref": "AWS::StackName"}));
        assert_eq!(alarm["TreatMissingData"], "breaching", "{metric}: who does not look emits nothing");
        assert_eq!(seconds(&alarm), 7200, "{metric}");
        assert_eq!(alarm["Statistic"], statistic, "{metric}");
        assert_eq!((&alarm["ComparisonOperator"], &alarm["Threshold"]), (&json!(comparison), &json!(threshold)));
        // The schedule's hour and the alarm's need not begin together.
        assert_eq!(alarm["Period"], 3600, "{metric} is emitted once an hour");
    }
}

#[test]
fn a_canary_joins_the_log_files_however_those_are_announced() {
    for arrival in ARRIVALS {
        let stack = Stack::application(&[("Notifications", arrival)]);
        let pattern = json!({
            "source": ["aws.s3"], "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [{"Ref": "DataBucket"}]}, "object": {"key": [{"prefix": PREFIX}]}},
        });
        assert_eq!(stack.property("CanaryRule", "/EventPattern"), &pattern, "{arrival}");
        assert_eq!(stack.property("CanaryRule", "/Targets/0/Arn"), &json!({"Fn::GetAtt": "LogFileQueue.Arn"}));
        let announces =
            stack.property("DataBucket", "/NotificationConfiguration/EventBridgeConfiguration/EventBridgeEnabled");
        assert_eq!(announces, true, "{arrival}");
    }
}

#[test]
fn canaries_are_forgotten_after_a_week_absorbed_rows_after_45_days_and_nothing_else_is() {
    let stack = Stack::application(&[]);
    let rules = stack.property("DataBucket", "/LifecycleConfiguration/Rules").as_array().cloned().unwrap_or_default();
    let expiring: Vec<_> = rules.iter().filter(|rule| rule.get("ExpirationInDays").is_some()).collect();
    let [hot, canaries] = expiring[..] else { panic!("two rules delete what is current: {expiring:?}") };
    assert_eq!((&hot["Prefix"], &hot["ExpirationInDays"]), (&json!("hot/"), &json!(45)));
    assert_eq!((&canaries["Prefix"], &canaries["ExpirationInDays"]), (&json!(PREFIX), &json!(7)));
    assert_eq!(
        (&canaries["Status"], &canaries["NoncurrentVersionExpiration"]["NoncurrentDays"]),
        (&json!("Enabled"), &json!(1))
    );
}

#[test]
fn a_notify_function_that_does_not_run_is_an_alarm() {
    let alarm = alarm(&Stack::application(&[]), "Invocations", &json!({"Ref": "NotifyFunction"}));
    assert_eq!(alarm["TreatMissingData"], "breaching");
}

#[test]
fn an_hour_without_a_subscriber_is_an_alarm() {
    let alarm = alarm(&Stack::application(&[]), "ConfirmedSubscribers", &json!({"Ref": "AWS::StackName"}));
    assert_eq!((seconds(&alarm), &alarm["Threshold"]), (3600, &json!(1)));
}

#[test]
fn errors_and_throttles_of_each_function_are_alarms() {
    let stack = Stack::application(&[]);
    for function in stack.of_type("AWS::Serverless::Function") {
        for metric in ["Errors", "Throttles"] {
            alarm(&stack, metric, &json!({"Ref": function}));
        }
    }
}

#[test]
fn alerts_that_sns_cannot_deliver_are_an_alarm() {
    let stack = Stack::application(&EVERYTHING);
    for topic in stack.of_type("AWS::SNS::Topic") {
        alarm(&stack, "NumberOfNotificationsFailed", &json!({"Fn::GetAtt": format!("{topic}.TopicName")}));
    }
}

#[test]
fn events_that_cannot_be_queued_quarantined_records_and_bad_settings_are_alarms() {
    let stack = Stack::application(&EVERYTHING);
    let rules = stack.of_type("AWS::Events::Rule");
    assert_eq!(rules, ["CanaryRule", "FastPathRule", "LogFileRule"]);
    for rule in rules {
        alarm(&stack, "FailedInvocations", &json!({"Ref": rule}));
    }
    alarm(&stack, "RecordsQuarantined", &json!({"Ref": "AWS::StackName"}));
    alarm(&stack, "SettingsErrors", &json!({"Ref": "AWS::StackName"}));
}

#[test]
fn every_alarm_reaches_people_says_what_is_wrong_and_decides_about_missing_data() {
    let stack = Stack::application(&EVERYTHING);
    for name in stack.of_type("AWS::CloudWatch::Alarm") {
        let alarm = &stack.resources[name]["Properties"];
        assert_eq!(alarm["AlarmActions"], json!([{"Ref": "PeopleTopic"}]), "{name}");
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.len() > 40), "{name} explains nothing");
        assert!(alarm["TreatMissingData"].is_string(), "{name}");
    }
}

#[test]
fn alarms_watch_metrics_that_the_functions_emit() {
    let stack = Stack::application(&EVERYTHING);
    let own = |name: &&str| stack.resources[*name]["Properties"]["Namespace"] == "QuickInfraTrail";
    for name in stack.of_type("AWS::CloudWatch::Alarm").into_iter().filter(own) {
        let metric = stack.property(name, "/MetricName").as_str().unwrap_or_default();
        assert!(EMITTED.contains(&metric), "{name} waits for {metric}, which nobody emits");
    }
}

#[test]
fn what_is_paid_for_each_month_is_counted_in_the_cost() {
    let cost: Value = toml::from_str(include_str!("../../docs/cost.toml")).expect("docs/cost.toml");
    let stack = Stack::application(&[]);
    for (what, kind) in [("alarms", "AWS::CloudWatch::Alarm"), ("keys", "AWS::KMS::Key")] {
        assert_eq!(cost["functions"][what], stack.of_type(kind).len(), "{what}");
    }
}

#[test]
fn cloudwatch_may_publish_to_people_and_nobody_plainly() {
    let stack = Stack::application(&EVERYTHING);
    let people = topic_policy(&stack, "PeopleTopic");
    let allowed: Vec<_> = people.iter().filter(|one| one["Effect"] == "Allow").collect();
    assert_eq!(allowed.iter().filter_map(|one| service(one)).collect::<Vec<_>>(), ["cloudwatch.amazonaws.com"]);
    assert!(allowed[0]["Condition"]["StringEquals"].get("aws:SourceAccount").is_some(), "{allowed:?}");
    for topic in stack.of_type("AWS::SNS::Topic") {
        assert!(topic_policy(&stack, topic).iter().any(refuses_plain_text), "{topic} takes plain text");
        assert_eq!(stack.property(topic, "/KmsMasterKeyId"), &json!({"Fn::GetAtt": "Key.Arn"}), "{topic}");
    }
}

#[test]
fn slack_is_left_out_when_it_is_not_given() {
    let stack = Stack::application(&[]);
    assert!(
        stack.of_type("AWS::Chatbot::SlackChannelConfiguration").is_empty(),
        "an unauthorized workspace rolls back"
    );
    assert_eq!(stack.of_type("AWS::SNS::Topic"), ["PeopleTopic"]);
    assert_eq!(environment(&stack, "NotifyFunction")["QTRAIL_CHAT_TOPIC"], "");
}

#[test]
fn slack_receives_the_chat_topic() {
    let stack = Stack::application(&EVERYTHING);
    assert_eq!(stack.property("Slack", "/SnsTopicArns"), &json!([{"Ref": "ChatTopic"}]));
    assert_eq!(environment(&stack, "NotifyFunction")["QTRAIL_CHAT_TOPIC"], json!({"Ref": "ChatTopic"}));
    assert!(stack.property("Slack", "/GuardrailPolicies/0").is_object(), "the default guardrail allows everything");
}

#[test]
fn email_is_subscribed_when_it_is_given() {
    assert!(!Stack::application(&[]).resources.contains_key("PeopleEmail"));
    let stack = Stack::application(&EVERYTHING);
    assert_eq!(stack.property("PeopleEmail", "/Endpoint"), "people@example.com");
}

#[test]
fn the_log_topic_is_subscribed_in_its_own_region() {
    let stack = Stack::application(&[("Notifications", "SnsTopic")]);
    let subscription = &stack.resources["LogFileTopicSubscription"]["Properties"];
    assert_eq!((&subscription["TopicArn"], &subscription["Protocol"]), (&json!(TOPIC), &json!("sqs")));
    assert_eq!(subscription["Endpoint"], json!({"Fn::GetAtt": "LogFileQueue.Arn"}));
    assert_eq!(subscription["Region"], json!({"Fn::Select": [3, {"Fn::Split": [":", TOPIC]}]}));
}

#[test]
fn rules_match_events_of_aws_alone() {
    let stack = Stack::application(&EVERYTHING);
    assert_eq!(stack.property("LogFileRule", "/EventPattern/source"), &json!(["aws.s3"]));
    assert_eq!(stack.property("LogFileRule", "/EventPattern/detail/bucket/name"), &json!([parameter("LogBucketName")]));
    assert_eq!(stack.property("FastPathRule", "/EventPattern/source"), &json!([{"prefix": "aws."}]));
    let kinds = json!(["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"]);
    assert_eq!(stack.property("FastPathRule", "/EventPattern/detail-type"), &kinds);
}

#[test]
fn another_account_may_forward_object_events_and_nothing_else() {
    let stack = Stack::application(&EVERYTHING);
    let statement = stack.property("LogBucketAccountMayForward", "/Statement");
    let condition = json!({"StringEquals": {"events:source": "aws.s3", "events:detail-type": "Object Created"}});
    assert_eq!((&statement["Action"], &statement["Condition"]), (&json!("events:PutEvents"), &condition));
    assert!(!Stack::application(&[]).resources.contains_key("LogBucketAccountMayForward"));
}

#[test]
fn functions_run_on_x86_64_unless_arm64_is_asked_for() {
    let stack = Stack::application(&[]);
    assert_eq!(stack.globals["Architectures"], json!(["x86_64"]));
    let arm = Stack::application(&[("Architecture", "arm64")]);
    assert_eq!(arm.globals["Architectures"], json!(["arm64"]));
    assert_eq!(
        (&stack.globals["Runtime"], &stack.globals["Handler"]),
        (&json!("provided.al2023"), &json!("bootstrap"))
    );
}

#[test]
fn each_function_is_built_from_its_own_package() {
    let stack = Stack::application(&[]);
    for (function, package, memory, timeout) in [
        ("IngestFunction", "ingest", 1769, 120),
        ("NotifyFunction", "notify", 256, 60),
        ("CompactFunction", "compact", 1769, 900),
        ("ReviewFunction", "review", 1769, 900),
    ] {
        assert_eq!(stack.resources[function]["Metadata"]["BuildMethod"], "rust-cargolambda");
        assert_eq!(stack.property(function, "/CodeUri"), &json!(format!("functions/{package}")));
        assert_eq!(stack.property(function, "/MemorySize"), memory, "{function}");
        assert_eq!(stack.property(function, "/Timeout"), timeout, "{function}");
        assert!(stack.resources[function]["Properties"].get("ReservedConcurrentExecutions").is_none());
    }
}

#[test]
fn whoever_deploys_is_told_of_each_parameter_and_of_each_setting_of_a_review() {
    let parameters = parse(TEMPLATE)["Parameters"].as_object().cloned().unwrap_or_default();
    let settings = serde_json::to_value(trail::settings::Review::default()).expect("settings");
    let settings = settings.as_object().cloned().unwrap_or_default();
    assert!(!parameters.is_empty() && !settings.is_empty());
    for name in parameters.keys().chain(settings.keys()) {
        assert!(DEPLOYING.contains(&format!("`{name}`")), "docs/deploy.md does not know {name}");
    }
}

#[test]
fn the_invocations_that_people_are_told_of_are_the_examples() {
    for example in [REVIEW_OPEN, REVIEW_LEAVER, REVIEW_PACK] {
        let invocation: Value = serde_json::from_str(example).expect("an invocation");
        let told = DEPLOYING.split('`').filter(|quoted| quoted.starts_with('{'));
        let known = told.filter_map(|quoted| serde_json::from_str::<Value>(quoted).ok()).any(|one| one == invocation);
        assert!(known, "docs/deploy.md does not have {invocation}");
    }
}

#[test]
fn sam_builds_with_the_settings_of_the_lambda_profile() {
    let cargo: Value = toml::from_str(CARGO).expect("Cargo.toml is TOML");
    let build = &cargo["workspace"]["metadata"]["lambda"]["build"];
    assert_eq!(build["disable_optimizations"], true, "cargo-lambda would choose its own");
    let given: BTreeSet<String> = list(&build["config"]).map(|setting| unquoted(&setting)).collect();
    let profile = cargo["profile"]["lambda"].as_object().cloned().unwrap_or_default();
    for (name, value) in profile.iter().filter(|(name, _)| *name != "inherits") {
        let setting = unquoted(&format!("profile.release.{name}={value}"));
        assert!(given.contains(&setting), "{setting} is not in {given:?}");
    }
}

#[test]
fn every_function_is_told_all_it_needs() {
    let shared = [
        "QTRAIL_ACCOUNT",
        "QTRAIL_CHAT_TOPIC",
        "QTRAIL_DATA",
        "QTRAIL_DEPLOY_ROLE",
        "QTRAIL_LOG_BUCKETS",
        "QTRAIL_PEOPLE_TOPIC",
        "QTRAIL_PUBLISHER_TIMEOUT",
        "QTRAIL_SETTINGS",
        "QTRAIL_STACK",
        "QTRAIL_TABLE",
        "QTRAIL_TRAIL_KEYS",
        "QTRAIL_VIEWER_URL",
    ];
    let stack = Stack::application(&EVERYTHING);
    let of = |own: &[&'static str]| texts(&[&shared, own].concat());
    assert_eq!(variables(&stack, "IngestFunction"), of(&["QTRAIL_FAST_PATH_QUEUE"]));
    assert_eq!(variables(&stack, "NotifyFunction"), of(&["QTRAIL_DEAD_LETTERS_URL", "QTRAIL_QUEUE_URL"]));
    let asks = ["QTRAIL_AUDIT_EXTERNAL_ID", "QTRAIL_AUDIT_ROLE"];
    let keeps = ["QTRAIL_EVIDENCE", "QTRAIL_EVIDENCE_KEY"];
    assert_eq!(variables(&stack, "ReviewFunction"), of(&[asks, keeps].concat()));
    assert_eq!(variables(&stack, "ViewerFunction"), of(&["QTRAIL_EVIDENCE", "QTRAIL_VIEWER_DOOR"]));
}

#[test]
fn every_variable_that_the_functions_read_is_set() {
    let stack = Stack::application(&EVERYTHING);
    let functions = ["IngestFunction", "NotifyFunction", "CompactFunction", "ReviewFunction"];
    let set: BTreeSet<String> = functions.iter().flat_map(|function| variables(&stack, function)).collect();
    let words = READS_ENVIRONMENT.split('"').filter(|word| word.starts_with("QTRAIL_"));
    for word in words {
        assert!(set.contains(word), "the functions read {word}, which template.yaml does not set");
    }
}

#[test]
fn the_environment_names_this_stacks_parts() {
    let stack = Stack::application(&EVERYTHING);
    let environment = environment(&stack, "IngestFunction");
    assert_eq!(environment["QTRAIL_FAST_PATH_QUEUE"], json!({"Fn::GetAtt": "FastPathQueue.Arn"}));
    assert_eq!(environment["QTRAIL_DATA"], json!({"Fn::Sub": "s3://${DataBucket}"}));
    assert_eq!(environment["QTRAIL_SETTINGS"], json!({"Fn::Sub": "s3://${DataBucket}/${SettingsKey}"}));
    let keys = json!({"Fn::Sub": "${TrailKmsKeyArn},${Key.Arn},${EvidenceKey.Arn}"});
    assert_eq!(environment["QTRAIL_TRAIL_KEYS"], keys, "the key that signs is guarded too");
    assert_eq!(environment["QTRAIL_TABLE"], json!({"Ref": "Table"}));
}

#[test]
fn whoever_reads_or_writes_packs_is_told_the_same_place() {
    let stack = Stack::application(&[]);
    for function in ["ReviewFunction", "ViewerFunction"] {
        let place = &environment(&stack, function)["QTRAIL_EVIDENCE"];
        assert_eq!(place, &json!({"Fn::Sub": "s3://${EvidenceBucket}"}), "{function}");
    }
    let key = &environment(&stack, "ReviewFunction")["QTRAIL_EVIDENCE_KEY"];
    assert_eq!(key, &json!({"Fn::GetAtt": "EvidenceKey.Arn"}));
}

#[test]
fn a_publisher_is_given_up_only_after_every_function_has_ended() {
    let stack = Stack::application(&[]);
    let given =
        environment(&stack, "NotifyFunction")["QTRAIL_PUBLISHER_TIMEOUT"].as_str().and_then(|one| one.parse().ok());
    // Compacting publishes nothing: its findings are owed, and `notify` tells them. Reviewing runs for longer, and tells
    // each finding right after it was written.
    let longer = ["CompactFunction", "ReviewFunction"];
    let publishers = stack.of_type("AWS::Serverless::Function").into_iter().filter(|name| !longer.contains(name));
    for function in publishers {
        assert!(given > stack.property(function, "/Timeout").as_i64(), "{function} may still be publishing");
    }
}

#[test]
fn notify_runs_each_minute_each_hour_each_morning_and_after_each_deployment() {
    let stack = Stack::application(&[]);
    let events = stack.property("NotifyFunction", "/Events");
    assert_eq!(events["Due"]["Properties"]["Schedule"], "rate(1 minute)");
    assert_eq!(payload(&events["Due"]), json!({"do": "due"}));
    assert_eq!(events["Summary"]["Properties"]["Schedule"], "cron(0 7 * * ? *)");
    assert_eq!(payload(&events["Summary"]), json!({"do": "summary"}));
    for (event, what) in [("Canary", "canary"), ("Silence", "silence")] {
        assert_eq!(events[event]["Properties"]["Schedule"], "rate(1 hour)");
        assert_eq!(payload(&events[event]), json!({"do": what}));
    }
    let pattern = &events["Deployed"]["Properties"]["Pattern"];
    assert_eq!(pattern["detail"]["stack-id"], json!([{"Ref": "AWS::StackId"}]), "other stacks' deployments");
    assert_eq!(pattern["detail"]["status-details"]["status"], json!(["CREATE_COMPLETE", "UPDATE_COMPLETE"]));
    assert!(events["Deployed"]["Properties"].get("Input").is_none(), "the event itself is the payload");
}

#[test]
fn every_function_logs_to_a_group_of_its_own_that_forgets() {
    let stack = Stack::application(&[]);
    let groups = [("IngestFunction", "IngestLogs"), ("NotifyFunction", "NotifyLogs"), ("ReviewFunction", "ReviewLogs")];
    for (function, group) in groups {
        assert_eq!(stack.property(function, "/LoggingConfig/LogGroup"), &json!({"Ref": group}), "{function}");
    }
    for group in stack.of_type("AWS::Logs::LogGroup") {
        // Who looked at what is asked for in the next year's audit.
        let days = if group == "ViewerLogs" { 400 } else { 90 };
        assert_eq!(stack.property(group, "/RetentionInDays"), days, "{group}");
    }
}

#[test]
fn the_viewer_reads_and_writes_nothing_but_what_people_decide() {
    let stack = Stack::application(&EVERYTHING);
    let statements = role_statements(&stack, "ViewerRole");
    let writes =
        ["PutItem", "UpdateItem", "DeleteItem", "PutObject", "DeleteObject", "Publish", "SendMessage", "Invoke"];
    for statement in &statements {
        let written: Vec<_> =
            list(&statement["Action"]).filter(|one| writes.iter().any(|word| one.contains(word))).collect();
        if !written.is_empty() {
            let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
            assert_eq!(keys, &json!(["F#*", "TH#*", "R#*", "EFFECTS", "ASKED#*"]), "{written:?}");
            assert_eq!(statement["Condition"]["Null"]["dynamodb:LeadingKeys"], "false", "a write without a key");
        }
    }
    let sees_logs = |stack: &Stack| {
        role_statements(stack, "ViewerRole").iter().any(|one| one.to_string().contains("${LogBucketName}"))
    };
    assert!(sees_logs(&stack));
    assert!(!sees_logs(&Stack::application(&[("ViewerSeesLogBucket", "false")])));
}

#[test]
fn the_viewer_reads_snapshots_reviews_and_packs() {
    let stack = Stack::application(&EVERYTHING);
    let read: BTreeSet<String> = role_statements(&stack, "ViewerRole")
        .iter()
        .filter(|one| list(&one["Action"]).any(|action| action == "s3:GetObject"))
        .flat_map(|one| list(&one["Resource"]).map(|resource| subject(&resource)))
        .collect();
    let own = ["access", "hot", "keys", "packs", "people", "records", "reviews"];
    assert_eq!(read, texts(&[&own[..], &["LogBucket/*"]].concat()));
}

#[test]
fn the_review_role_may_do_these_things_and_no_others() {
    let own = [
        ("dynamodb:GetItem", "Table"),
        ("dynamodb:PutItem", "Table"),
        ("dynamodb:Query", "Table"),
        ("dynamodb:Query", "Table/feed"),
        ("dynamodb:UpdateItem", "Table"),
        ("kms:Decrypt", "Key"),
        ("kms:DescribeKey", "Key"),
        ("kms:Encrypt", "Key"),
        ("kms:GenerateDataKey", "Key"),
        ("kms:GenerateDataKey*", "Key"),
        ("kms:GetPublicKey", "EvidenceKey"),
        ("kms:ReEncrypt*", "Key"),
        ("kms:Sign", "EvidenceKey"),
        ("logs:CreateLogStream", "ReviewLogs"),
        ("logs:PutLogEvents", "ReviewLogs"),
        ("s3:GetObject", "access"),
        ("s3:GetObject", "cuts"),
        ("s3:GetObject", "hot"),
        ("s3:GetObject", "keys"),
        ("s3:GetObject", "packs"),
        ("s3:GetObject", "people"),
        ("s3:GetObject", "records"),
        ("s3:GetObject", "reviews"),
        ("s3:GetObject", "settings"),
        ("s3:ListBucket", "DataBucket"),
        ("s3:ListBucket", "EvidenceBucket"),
        ("s3:PutObject", "access"),
        ("s3:PutObject", "packs"),
        ("s3:PutObject", "reviews"),
        ("sns:GetTopicAttributes", "ChatTopic"),
        ("sns:GetTopicAttributes", "PeopleTopic"),
        ("sns:Publish", "ChatTopic"),
        ("sns:Publish", "PeopleTopic"),
        ("sqs:SendMessage", "ReviewDeadLetters"),
        ("sts:AssumeRole", "member roles"),
    ];
    let expected = [&QUESTIONS_OF_ACCESS.map(|action| (action, "*"))[..], &own].concat();
    assert_grants(&Stack::application(&EVERYTHING), "ReviewRole", &expected);
}

#[test]
fn what_the_review_function_reports_of_others_it_cannot_have_written() {
    let stack = Stack::application(&EVERYTHING);
    let writes = |one: &Value| list(&one["Action"]).any(|action| action == "dynamodb:PutItem");
    let writing: Vec<_> = role_statements(&stack, "ReviewRole").into_iter().filter(writes).collect();
    let [writing] = &writing[..] else { panic!("one statement writes to the table: {writing:?}") };
    let keys = json!(["R#*", "REVIEWS", "EFFECTS", "PACKS", "N#*", "F#*", "TH#*", "ALERTS#*", "SETTINGS"]);
    assert_eq!(writing["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"], keys);
    assert_eq!(writing["Condition"]["Null"]["dynamodb:LeadingKeys"], "false", "a write without a key");
}

#[test]
fn whatever_the_member_role_tells_the_audit_or_the_review_function_may_ask_of_its_own_account() {
    let stack = Stack::application(&[]);
    let own = [role_statements(&stack, "AuditRole"), role_statements(&stack, "ReviewRole")].concat();
    for statement in statements_within(&Stack::member_role(&[]).resources["AuditRole"]["Properties"]["Policies"]) {
        assert!(own.contains(&statement), "{statement}");
    }
    let role = json!({"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${AuditRoleName}"});
    let taken = own.iter().filter(|one| one["Action"] == "sts:AssumeRole");
    assert_eq!(taken.map(|one| &one["Resource"]).collect::<Vec<_>>(), [&role, &role], "that role and no other");
    assert!(stack.outputs.contains_key("ReviewRoleArn"), "whom other accounts let in is not printed");
}

#[test]
fn nothing_here_deletes_an_object_or_touches_a_lock() {
    let stack = Stack::application(&EVERYTHING);
    let forbidden =
        ["s3:Delete", "s3:Bypass", "s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:PutBucket", "s3:*"];
    for role in stack.of_type("AWS::IAM::Role") {
        for action in role_statements(&stack, role).iter().flat_map(|one| list(&one["Action"])) {
            assert!(!forbidden.iter().any(|word| action.starts_with(word)), "{role} may {action}");
        }
    }
}

#[test]
fn the_evidence_bucket_is_versioned_encrypted_private_and_refuses_plain_text() {
    assert_private_bucket(&Stack::application(&[]), "EvidenceBucket");
    assert_encrypted_bucket(&Stack::application(&[]), "EvidenceBucket");
}

#[test]
fn evidence_is_locked_for_as_long_and_as_hard_as_was_asked_for() {
    let retention = |given: &[(&str, &str)]| {
        let stack = Stack::application(given);
        assert_eq!(stack.property("EvidenceBucket", "/ObjectLockEnabled"), true);
        assert_eq!(stack.property("EvidenceBucket", "/ObjectLockConfiguration/ObjectLockEnabled"), "Enabled");
        stack.property("EvidenceBucket", "/ObjectLockConfiguration/Rule/DefaultRetention").clone()
    };
    assert_eq!(retention(&[]), json!({"Mode": "GOVERNANCE", "Years": 7}));
    let asked = retention(&[("EvidenceLockMode", "COMPLIANCE"), ("EvidenceYears", "10")]);
    assert_eq!(asked, json!({"Mode": "COMPLIANCE", "Years": "10"}));
    let rules = Stack::application(&[]).property("EvidenceBucket", "/LifecycleConfiguration/Rules").clone();
    assert!(!rules.to_string().contains("Expiration"), "evidence expires: {rules}");
}

#[test]
fn nobody_passes_the_lock_and_the_review_function_alone_stores_packs() {
    let stack = Stack::application(&EVERYTHING);
    let policy = statements_within(&stack.resources["EvidenceBucketPolicy"]);
    assert!(policy.iter().all(|one| one["Effect"] == "Deny" && one["Principal"] == "*"), "it lets somebody in");
    let objects = json!({"Fn::Sub": "${EvidenceBucket.Arn}/*"});
    let refuses = |actions: Value, condition: Value| {
        policy.iter().any(|one| one["Action"] == actions && one["Resource"] == objects && one["Condition"] == condition)
    };
    let deletion = json!(["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion"]);
    assert!(refuses(deletion, Value::Null), "{policy:?}");
    let others = json!({"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": "ReviewRole.Arn"}}});
    assert!(refuses(json!("s3:PutObject"), others), "{policy:?}");
    for role in stack.of_type("AWS::IAM::Role").into_iter().filter(|role| *role != "ReviewRole") {
        let writes = |one: &Value| list(&one["Action"]).any(|action| action.starts_with("s3:Put"));
        let written = role_statements(&stack, role).into_iter().filter(writes);
        assert!(!written.into_iter().any(|one| one["Resource"].to_string().contains("Evidence")), "{role}");
    }
}

#[test]
fn the_key_that_signs_packs_can_do_nothing_else() {
    let stack = Stack::application(&[]);
    let key = &stack.resources["EvidenceKey"]["Properties"];
    assert_eq!((&key["KeySpec"], &key["KeyUsage"]), (&json!("ECC_NIST_P256"), &json!("SIGN_VERIFY")));
    assert!(key.get("EnableKeyRotation").is_none(), "KMS rotates no such key, and refuses the template");
    assert_eq!(stack.outputs["EvidenceKeyArn"]["Value"], json!({"Fn::GetAtt": "EvidenceKey.Arn"}));
}

#[test]
fn the_review_function_alone_signs_and_no_policy_of_iam_can_change_that() {
    let stack = Stack::application(&EVERYTHING);
    let this = json!({"aws:PrincipalArn": {"Fn::GetAtt": "ReviewRole.Arn"}});
    let others = json!({"ArnNotEquals": this});
    let policy = statements_within(&stack.resources["EvidenceKey"]);
    let (allowed, denied): (Vec<_>, Vec<_>) = policy.into_iter().partition(|one| one["Effect"] == "Allow");
    let signs = |one: &&Value| {
        list(&one["Action"]).any(|action| ["kms:Sign", "kms:CreateGrant"].contains(&&*action) || action.contains('*'))
    };
    let (signing, administering): (Vec<_>, Vec<_>) = allowed.iter().partition(signs);
    assert_eq!((signing.len(), &signing[0]["Action"]), (1, &json!("kms:Sign")));
    assert_eq!(signing[0]["Condition"], json!({"ArnEquals": this}));
    let mended = administering.iter().flat_map(|one| list(&one["Action"])).any(|action| action == "kms:PutKeyPolicy");
    assert!(mended, "nobody could ever mend it");
    assert_eq!(denied.len(), 1);
    assert_eq!((&denied[0]["Action"], &denied[0]["Principal"]), (&json!(["kms:CreateGrant", "kms:Sign"]), &json!("*")));
    assert_eq!(denied[0]["Condition"], others);
    for role in stack.of_type("AWS::IAM::Role").into_iter().filter(|role| *role != "ReviewRole") {
        assert!(!role_statements(&stack, role).iter().any(|one| one.to_string().contains("kms:Sign")), "{role}");
    }
}

#[test]
fn the_review_function_runs_each_day_and_keeps_what_failed() {
    let stack = Stack::application(&[]);
    let daily = stack.property("ReviewFunction", "/Events/Daily");
    assert_eq!(daily["Properties"]["Schedule"], "cron(0 6 * * ? *)", "before the daily summary");
    assert_eq!(payload(daily), serde_json::from_str::<Value>(REVIEW_DAILY).expect("an invocation"));
    let failed = stack.property("ReviewFunction", "/EventInvokeConfig/DestinationConfig/OnFailure");
    assert_eq!(failed, &json!({"Type": "SQS", "Destination": {"Fn::GetAtt": "ReviewDeadLetters.Arn"}}));
    assert_eq!(writers(&stack, "ReviewDeadLetters"), [], "nobody else writes there");
    alarm(&stack, "ApproximateNumberOfMessagesVisible", &json!({"Fn::GetAtt": "ReviewDeadLetters.QueueName"}));
}

#[test]
fn a_review_function_that_does_not_run_is_an_alarm_after_its_day() {
    let alarm = alarm(&Stack::application(&[]), "Invocations", &json!({"Ref": "ReviewFunction"}));
    assert_eq!(alarm["TreatMissingData"], "breaching", "who does not run emits nothing");
    assert!((24 * 3600..=7 * 24 * 3600).contains(&seconds(&alarm)), "CloudWatch looks back a week at most");
    assert_eq!((&alarm["ComparisonOperator"], &alarm["Threshold"]), (&json!("LessThanThreshold"), &json!(1)));
}

#[test]
fn each_function_of_the_viewer_has_one_door() {
    let tokens = [("ViewerJwtIssuer", "https://idp.example.org"), ("ViewerJwtAudience", "trail")];
    let stack = Stack::application(&tokens);
    let doors =
        ["ViewerFunction", "ViewerApiFunction"].map(|name| environment(&stack, name)["QTRAIL_VIEWER_DOOR"].clone());
    assert_eq!(doors, ["invoke", "token"]);
    assert!(stack.resources["ViewerFunction"]["Properties"].get("Events").is_none(), "no address leads to it");
    assert!(stack.resources["ViewerFunction"]["Properties"].get("FunctionUrlConfig").is_none());
    assert_eq!(stack.property("ViewerApi", "/Auth/DefaultAuthorizer"), "Tokens");
    let invoked = json!({"Fn::GetAtt": "ViewerFunction.Arn"});
    assert_eq!(stack.property("ViewerPolicy", "/PolicyDocument/Statement/0/Resource"), &invoked);
    let closed = Stack::application(&[]);
    assert!(closed.of_type("AWS::Serverless::HttpApi").is_empty(), "no public address unless it is asked for");
    assert!(!closed.resources.contains_key("ViewerApiFunction"));
}

#[test]
fn outputs_say_what_another_account_has_to_add() {
    let stack = Stack::application(&EVERYTHING);
    let bucket = printed_statement(&stack, "AddToLogBucketPolicy");
    assert_eq!(bucket["Action"], json!(["s3:GetObject", "s3:GetObjectVersion"]));
    assert_eq!(bucket["Principal"], json!({"AWS": ["${IngestRole.Arn}", "${VerifyRole.Arn}"]}));
    let listing = printed_statement(&stack, "AddToLogBucketPolicyToo");
    assert_eq!(listing["Action"], "s3:ListBucket");
    assert_eq!(listing["Principal"], json!({"AWS": "${VerifyRole.Arn}"}));
    assert_eq!(listing["Resource"], "arn:${AWS::Partition}:s3:::${LogBucketName}");
    assert_eq!(bucket["Resource"], "arn:${AWS::Partition}:s3:::${LogBucketName}/*");
    let key = printed_statement(&stack, "AddToTrailKeyPolicy");
    assert_eq!((&key["Action"], &key["Principal"]), (&json!("kms:Decrypt"), &bucket["Principal"]));
}

#[test]
fn outputs_keep_quiet_about_other_accounts_where_there_is_none() {
    for own in ["", ACCOUNT] {
        let stack = Stack::application(&[("LogBucketAccountId", own), ("TrailKmsKeyArn", TRAIL_KEY)]);
        let told: Vec<_> =
            stack.outputs.keys().filter(|name| name.starts_with("AddTo") || *name == "ForwardEventsTo").collect();
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn the_made_log_bucket_is_versioned_private_and_announces_its_objects() {
    let stack = Stack::trail_bucket(&[]);
    assert_private_bucket(&stack, "LogBucket");
    let announced =
        stack.property("LogBucket", "/NotificationConfiguration/EventBridgeConfiguration/EventBridgeEnabled");
    assert_eq!(announced, true);
}

#[test]
fn the_made_bucket_and_key_take_log_files_of_one_trail_alone() {
    let cases = [(vec![("Trail", "Account")], ACCOUNT_REF), (vec![("Trail", "Organization")], "123456789012")];
    for (parameters, owner) in cases {
        let stack = Stack::trail_bucket(&parameters);
        let mut allowed = statements_within(&stack.resources["LogBucketPolicy"]);
        allowed.extend(statements_within(&stack.resources["TrailKey"]));
        for statement in allowed.iter().filter(|one| service(one).as_deref() == Some("cloudtrail.amazonaws.com")) {
            let source = statement["Condition"]["StringEquals"]["aws:SourceArn"].to_string();
            assert!(source.contains(owner) && source.contains("trail/${TrailName}"), "{statement}");
        }
        assert_eq!(allowed.iter().filter(|one| service(one).is_some()).count(), 4);
    }
}

#[test]
fn a_made_organization_trail_may_write_for_all_accounts() {
    let stack = Stack::trail_bucket(&[("Trail", "Organization")]);
    let written =
        statements_within(&stack.resources["LogBucketPolicy"]).into_iter().find(|one| one["Sid"] == "CloudTrailWrites");
    let prefixes = written.map(|one| one["Resource"].to_string()).unwrap_or_default();
    assert!(prefixes.contains("AWSLogs/${OrganizationId}/*"), "{prefixes}");
    assert_eq!(stack.property("LogTrail", "/IsOrganizationTrail"), true);
}

#[test]
fn the_made_trail_records_all_regions_and_all_management_events() {
    for data_events in ["true", "false"] {
        let stack = Stack::trail_bucket(&[("DataEvents", data_events)]);
        let trail = &stack.resources["LogTrail"]["Properties"];
        for setting in ["IsLogging", "IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation"] {
            assert_eq!(trail[setting], true, "{setting}");
        }
        assert_eq!(trail["KMSKeyId"], json!({"Fn::GetAtt": "TrailKey.Arn"}));
        let management = json!([{"Field": "eventCategory", "Equals": ["Management"]}]);
        assert_eq!(trail["AdvancedEventSelectors"][0]["FieldSelectors"], management, "a further field would narrow it");
        let selectors = trail["AdvancedEventSelectors"].as_array().map(Vec::len);
        assert_eq!(selectors, Some(if data_events == "true" { 4 } else { 2 }));
    }
}

#[test]
fn object_lock_and_deletion_are_what_was_asked_for() {
    let open = Stack::trail_bucket(&[]);
    assert!(open.resources["LogBucket"]["Properties"].get("ObjectLockConfiguration").is_none());
    assert_eq!(open.property("LogBucket", "/LifecycleConfiguration/Rules").as_array().map(Vec::len), Some(1));
    let locked = Stack::trail_bucket(&[("ObjectLockMode", "COMPLIANCE"), ("DeleteAfterDays", "800")]);
    assert_eq!(locked.property("LogBucket", "/ObjectLockEnabled"), true);
    let retention = json!({"Mode": "COMPLIANCE", "Days": 365});
    assert_eq!(locked.property("LogBucket", "/ObjectLockConfiguration/Rule/DefaultRetention"), &retention);
    assert_eq!(locked.property("LogBucket", "/LifecycleConfiguration/Rules/1/ExpirationInDays"), "800");
}

#[test]
fn the_made_buckets_outputs_are_the_applications_parameters() {
    let parameters = parse(TEMPLATE)["Parameters"].as_object().cloned().unwrap_or_default();
    let bucket = Stack::trail_bucket(&[]);
    for name in ["LogBucketName", "TrailKmsKeyArn", "Notifications"] {
        assert!(bucket.outputs.contains_key(name) && parameters.contains_key(name), "{name}");
    }
}

/// How the account of a stack stands in a text that is not yet substituted.
const ACCOUNT_REF: &str = "AWS::AccountId";

/// A template with its parameters put in, its conditions decided, and what they leave out left out.
struct Stack {
    resources: BTreeMap<String, Value>,
    outputs: BTreeMap<String, Value>,
    globals: Value,
}

impl Stack {
    fn application(given: &[(&str, &str)]) -> Self {
        Self::new(TEMPLATE, &[&[("LogBucketName", "logs"), ("SnsTopicArn", TOPIC)], given].concat())
    }

    fn trail_bucket(given: &[(&str, &str)]) -> Self {
        let organization = [("OrganizationId", "o-abcdefghij"), ("ManagementAccountId", "123456789012")];
        Self::new(TRAIL_BUCKET, &[&organization, given].concat())
    }

    fn member_role(given: &[(&str, &str)]) -> Self {
        let needed = [("LoggingAccountId", ACCOUNT), ("ExternalId", "word")];
        Self::new(MEMBER_ROLE, &[&needed, given].concat())
    }

    fn new(text: &str, given: &[(&str, &str)]) -> Self {
        let template = parse(text);
        let resolver = Resolver::new(&template, given);
        Self {
            resources: resolver.section(&template["Resources"]),
            outputs: resolver.section(&template["Outputs"]),
            globals: resolver.resolve(&template["Globals"]["Function"]).unwrap_or_default(),
        }
    }

    fn of_type(&self, kind: &str) -> Vec<&str> {
        self.resources.iter().filter(|(_, one)| one["Type"] == kind).map(|(name, _)| name.as_str()).collect()
    }

    fn property(&self, resource: &str, pointer: &str) -> &Value {
        let found = self.resources.get(resource).and_then(|one| one["Properties"].pointer(pointer));
        found.unwrap_or_else(|| panic!("{resource} has no {pointer}"))
    }
}

/// What the parameters make of a template's functions.
struct Resolver<'a> {
    parameters: BTreeMap<String, Value>,
    conditions: &'a Value,
}

impl<'a> Resolver<'a> {
    fn new(template: &'a Value, given: &[(&str, &str)]) -> Self {
        let declared = template["Parameters"].as_object().into_iter().flatten();
        let mut parameters: BTreeMap<_, _> =
            declared.map(|(name, one)| (name.clone(), one["Default"].clone())).collect();
        for (name, value) in given {
            assert!(parameters.contains_key(*name), "no parameter {name}");
            parameters.insert((*name).to_owned(), json!(value));
        }
        Self { parameters, conditions: &template["Conditions"] }
    }

    fn section(&self, section: &Value) -> BTreeMap<String, Value> {
        let there = |one: &Value| one["Condition"].as_str().is_none_or(|condition| self.holds(condition));
        let entries = section.as_object().into_iter().flatten().filter(|(_, one)| there(one));
        entries.filter_map(|(name, one)| Some((name.clone(), self.resolve(one)?))).collect()
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.conditions[condition])
    }

    fn is_true(&self, test: &Value) -> bool {
        let (function, arguments) = function(test).unwrap_or_else(|| panic!("no condition: {test}"));
        let parts = || arguments.as_array().into_iter().flatten();
        match function {
            "Fn::Equals" => {
                text_of(self.resolve(&arguments[0]).as_ref()) == text_of(self.resolve(&arguments[1]).as_ref())
            }
            "Fn::Not" => !self.is_true(&arguments[0]),
            "Fn::And" => parts().all(|part| self.is_true(part)),
            "Fn::Or" => parts().any(|part| self.is_true(part)),
            "Condition" => self.holds(arguments.as_str().unwrap_or_default()),
            other => panic!("{other} is no condition"),
        }
    }

    /// The value that stands there in the end; none where it is `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Option<Value> {
        match (function(value), value) {
            (Some(("Ref", name)), _) => self.reference(name.as_str().unwrap_or_default()),
            (Some(("Fn::If", choice)), _) => {
                let branch = if self.holds(choice[0].as_str().unwrap_or_default()) { 1 } else { 2 };
                self.resolve(&choice[branch])
            }
            (_, Value::Array(items)) => Some(items.iter().filter_map(|item| self.resolve(item)).collect()),
            (_, Value::Object(fields)) => {
                let kept = fields.iter().filter_map(|(name, field)| Some((name.clone(), self.resolve(field)?)));
                Some(Value::Object(kept.collect()))
            }
            _ => Some(value.clone()),
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        match self.parameters.get(name) {
            _ if name == "AWS::NoValue" => None,
            Some(value) => Some(value.clone()),
            None => Some(json!({"Ref": name})),
        }
    }
}

fn function(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, argument) = fields.iter().next()?;
    (name == "Ref" || name == "Condition" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

/// As conditions compare: as text, and this account by its number.
fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(fields)) if fields.get("Ref") == Some(&json!("AWS::AccountId")) => ACCOUNT.to_owned(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn parse(text: &str) -> Value {
    let documents = YamlOwned::load_from_str(text).expect("a template is YAML");
    plain(&documents[0])
}

/// YAML as JSON, with the short tags of functions in their long form.
fn plain(node: &YamlOwned) -> Value {
    match node {
        YamlOwned::Tagged(tag, inner) => {
            let name = if matches!(tag.suffix.as_str(), "Ref" | "Condition") { "" } else { "Fn::" };
            json!({ format!("{name}{}", tag.suffix): plain(inner) })
        }
        YamlOwned::Mapping(fields) => {
            let entries =
                fields.iter().map(|(name, field)| (name.as_str().unwrap_or_default().to_owned(), plain(field)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        YamlOwned::Sequence(items) => items.iter().map(plain).collect(),
        YamlOwned::Value(ScalarOwned::String(text)) => json!(text),
        YamlOwned::Value(ScalarOwned::Integer(number)) => json!(number),
        YamlOwned::Value(ScalarOwned::Boolean(truth)) => json!(truth),
        other => panic!("the template has {other:?}"),
    }
}

fn texts(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

/// A policy's string or list of strings; what is not a string, as JSON.
fn list(value: &Value) -> impl Iterator<Item = String> {
    let items = match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    items.into_iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
}

fn service(statement: &Value) -> Option<String> {
    statement["Principal"]["Service"].as_str().map(str::to_owned)
}

fn refuses_plain_text(statement: &Value) -> bool {
    let everybody = statement["Effect"] == "Deny" && statement["Principal"] == "*";
    everybody && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}})
}

/// All policy statements anywhere in a resource.
fn statements_within(value: &Value) -> Vec<Value> {
    let Some(fields) = value.as_object() else {
        return value.as_array().into_iter().flatten().flat_map(statements_within).collect();
    };
    if fields.contains_key("Effect") {
        return vec![value.clone()];
    }
    fields.values().flat_map(statements_within).collect()
}

/// Whether a statement allows questions about identities and the organization, and nothing else.
fn asks_who_has_access(statement: &Value) -> bool {
    let services = ["iam", "identitystore", "organizations", "sso"];
    let verbs = ["Describe", "Get", "List", "GenerateCredentialReport"];
    let asks = |action: String| {
        let (service, call) = action.split_once(':').unwrap_or_default();
        services.contains(&service) && verbs.iter().any(|verb| call.starts_with(verb))
    };
    list(&statement["Action"]).all(asks)
}

fn key_policy(stack: &Stack) -> Vec<Value> {
    statements_within(&stack.resources["Key"])
}

fn queue_policy(stack: &Stack, queue: &str) -> Vec<Value> {
    policy_of(stack, "AWS::SQS::QueuePolicy", "Queues", queue)
}

fn topic_policy(stack: &Stack, topic: &str) -> Vec<Value> {
    policy_of(stack, "AWS::SNS::TopicPolicy", "Topics", topic)
}

fn policy_of(stack: &Stack, kind: &str, list: &str, subject: &str) -> Vec<Value> {
    let of_subject = |name: &&str| stack.resources[*name]["Properties"][list] == json!([{"Ref": subject}]);
    let policies: Vec<_> = stack.of_type(kind).into_iter().filter(of_subject).collect();
    assert_eq!(policies.len(), 1, "{subject} has one policy");
    statements_within(&stack.resources[policies[0]])
}

/// Who may write to a queue: the service, and from which source.
fn writers(stack: &Stack, queue: &str) -> Vec<(String, Value)> {
    let allowed = queue_policy(stack, queue).into_iter().filter(|one| one["Effect"] == "Allow");
    let writer = |one: Value| {
        assert_eq!(one["Action"], "sqs:SendMessage", "{queue}: {one}");
        (service(&one).unwrap_or_default(), one["Condition"]["ArnEquals"]["aws:SourceArn"].clone())
    };
    allowed.map(writer).collect()
}

fn dead_letters_of(stack: &Stack, queue: &str) -> String {
    let target = stack.property(queue, "/RedrivePolicy/deadLetterTargetArn/Fn::GetAtt");
    target.as_str().and_then(|arn| arn.strip_suffix(".Arn")).unwrap_or_default().to_owned()
}

/// The queues that the ingest function reads, each with the settings of its source.
fn sources(stack: &Stack) -> BTreeMap<String, Value> {
    let queue = |arn: &Value| arn["Fn::GetAtt"].as_str().and_then(|arn| arn.strip_suffix(".Arn")).map(str::to_owned);
    let events = stack.property("IngestFunction", "/Events").as_object().into_iter().flatten();
    let declared = events.map(|(_, event)| (queue(&event["Properties"]["Queue"]), event["Properties"].clone()));
    let mapped = stack.of_type("AWS::Lambda::EventSourceMapping").into_iter().map(|name| {
        let mapping = &stack.resources[name]["Properties"];
        (queue(&mapping["EventSourceArn"]), mapping.clone())
    });
    declared.chain(mapped).filter_map(|(queue, source)| Some((queue?, source))).collect()
}

fn role_statements(stack: &Stack, role: &str) -> Vec<Value> {
    let mut statements = statements_within(&stack.resources[role]["Properties"]["Policies"]);
    for policy in stack.of_type("AWS::IAM::RolePolicy") {
        if stack.property(policy, "/RoleName") == &json!({"Ref": role}) {
            statements.extend(statements_within(&stack.resources[policy]));
        }
    }
    statements
}

fn assert_grants(stack: &Stack, role: &str, expected: &[(&str, &str)]) {
    let mut granted = BTreeSet::new();
    for statement in role_statements(stack, role) {
        assert_eq!(statement["Effect"], "Allow", "{role}");
        for action in list(&statement["Action"]) {
            granted.extend(list(&statement["Resource"]).map(|resource| (action.clone(), subject(&resource))));
        }
    }
    let expected: BTreeSet<_> = expected.iter().map(|&(action, on)| (action.to_owned(), on.to_owned())).collect();
    let more: Vec<_> = granted.difference(&expected).collect();
    let less: Vec<_> = expected.difference(&granted).collect();
    assert!(more.is_empty() && less.is_empty(), "{role} may also {more:?} and lacks {less:?}");
}

/// A short word for what a statement's resource is.
fn subject(resource: &str) -> String {
    let known = [
        (r#"{"Fn::Sub":"${Table.Arn}/index/due"}"#, "Table/due"),
        (r#"{"Fn::Sub":"${Table.Arn}/index/feed"}"#, "Table/feed"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/${SettingsKey}"}"#, "settings"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/quarantine/*"}"#, "quarantine"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/canary/*"}"#, "canaries"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/hot/*"}"#, "hot"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/records/*"}"#, "records"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/keys/*"}"#, "keys"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/cuts/*"}"#, "cuts"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/access/*"}"#, "access"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/reviews/*"}"#, "reviews"),
        (r#"{"Fn::Sub":"${DataBucket.Arn}/people.*"}"#, "people"),
        (r#"{"Fn::Sub":"${EvidenceBucket.Arn}/packs/*"}"#, "packs"),
        (r#"{"Fn::Sub":"arn:${AWS::Partition}:iam::*:role/${AuditRoleName}"}"#, "member roles"),
        (r#"{"Fn::Sub":"arn:${AWS::Partition}:s3:::${LogBucketName}/*"}"#, "LogBucket/*"),
        (TRAIL_KEY, "TrailKey"),
    ];
    if let Some((_, word)) = known.iter().find(|(text, _)| *text == resource) {
        return (*word).to_owned();
    }
    let inner = resource.trim_matches(['{', '}']).replace("\"Fn::GetAtt\":", "").replace("\"Ref\":", "");
    inner.trim_matches('"').trim_end_matches(".Arn").to_owned()
}

/// The attributes of a key, each with its type.
fn schema<'a>(table: &'a Value, key: &'a Value) -> Vec<(&'a str, &'a str)> {
    let text = |value: &'a Value| value.as_str().unwrap_or_default();
    let declared = table["AttributeDefinitions"].as_array().into_iter().flatten();
    let kinds: BTreeMap<_, _> =
        declared.map(|one| (text(&one["AttributeName"]), text(&one["AttributeType"]))).collect();
    let names = key.as_array().into_iter().flatten().map(|part| text(&part["AttributeName"]));
    names.map(|name| (name, kinds[name])).collect()
}

fn assert_private_bucket(stack: &Stack, bucket: &str) {
    assert_eq!(stack.property(bucket, "/VersioningConfiguration/Status"), "Enabled");
    let closed = json!({
        "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
    });
    assert_eq!(stack.property(bucket, "/PublicAccessBlockConfiguration"), &closed);
    assert_eq!(stack.property(bucket, "/OwnershipControls/Rules/0/ObjectOwnership"), "BucketOwnerEnforced");
    let policy = statements_within(&stack.resources[&format!("{bucket}Policy")]);
    assert!(policy.iter().any(refuses_plain_text), "{bucket} takes plain text");
}

fn assert_encrypted_bucket(stack: &Stack, bucket: &str) {
    let encryption = stack.property(bucket, "/BucketEncryption/ServerSideEncryptionConfiguration/0");
    assert_eq!(encryption["BucketKeyEnabled"], true);
    assert_eq!(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"], json!({"Fn::GetAtt": "Key.Arn"}));
}

/// The one alarm on a metric of a thing.
fn alarm(stack: &Stack, metric: &str, of: &Value) -> Value {
    let alarms = stack.of_type("AWS::CloudWatch::Alarm").into_iter().map(|name| &stack.resources[name]["Properties"]);
    let found: Vec<_> =
        alarms.filter(|one| one["MetricName"] == metric && &one["Dimensions"][0]["Value"] == of).collect();
    assert_eq!(found.len(), 1, "alarms on {metric} of {of}");
    let own = found[0]["Namespace"] == "QuickInfraTrail";
    assert!(!own || found[0]["Dimensions"][0]["Name"] == "Stack", "{metric} is emitted with the dimension Stack");
    found[0].clone()
}

fn seconds(alarm: &Value) -> i64 {
    let number = |name: &str| alarm[name].as_i64().unwrap_or_default();
    number("Period") * number("EvaluationPeriods")
}

fn environment(stack: &Stack, function: &str) -> Map<String, Value> {
    let mut variables = stack.globals["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
    let own = stack.resources[function]["Properties"]["Environment"]["Variables"].as_object().cloned();
    variables.extend(own.unwrap_or_default());
    variables
}

fn variables(stack: &Stack, function: &str) -> BTreeSet<String> {
    environment(stack, function).into_iter().map(|(name, _)| name).collect()
}

fn payload(event: &Value) -> Value {
    let text = event["Properties"]["Input"].as_str().unwrap_or_default();
    serde_json::from_str(text).expect("a payload is JSON")
}

fn parameter(name: &str) -> Value {
    Resolver::new(&parse(TEMPLATE), &[("LogBucketName", "logs")]).reference(name).unwrap_or_default()
}

fn printed_statement(stack: &Stack, output: &str) -> Value {
    let text = stack.outputs[output]["Value"]["Fn::Sub"].as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{output} is no statement: {error}: {text}"))
}

fn unquoted(setting: &str) -> String {
    setting.replace(['\'', '"'], "")
}
