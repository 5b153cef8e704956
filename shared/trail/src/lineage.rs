//! What a record did to a resource, and where to look for whoever stands behind it.
//!
//! Pure: what has to be looked up is named, not looked up.

use serde::Serialize;
use serde_json::Value;

use crate::alert::is_invisible;
use crate::facts::Facts;
use crate::record::{Outcome, is_refusal};
use crate::shape::{at, field, text};
use crate::time::Time;

/// What a record did, or was to do, to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It came into being.
    Creation,
    /// It is another than before.
    Change,
    /// It is gone, or will be.
    Deletion,
    /// It was made use of: an image that an instance is started from, a role that is assumed.
    Use,
}

/// What a record did to the resource that `is_meant` recognizes by key and text, the key being empty where a text stands
/// under none; nothing where the record only reads, or does not name it.
pub fn act(facts: &Facts<'_>, body: &Value, is_meant: &dyn Fn(&str, &str) -> bool) -> Option<Act> {
    if facts.read_only {
        return None;
    }
    let mut places = Places { is_meant, action: &facts.event_name, found: Vec::new(), passed: true };
    places.walk(&body["requestParameters"], "", 0);
    places.walk(&body["responseElements"], "", 0);
    let is_subject = places.found.contains(&true);
    let is_named = !places.found.is_empty() || facts.resources.iter().any(|name| is_meant("", name));
    // A role that another service's call names is handed over to be used, and stays as it is.
    if is_named && !places.found.is_empty() && places.passed && facts.event_source != "iam.amazonaws.com" {
        return Some(Act::Use);
    }
    is_named.then(|| judge(facts, is_subject || is_object(facts, &places.found)))
}

/// Of an object of S3 the ARN stands nowhere: bucket and key make it.
fn is_object(facts: &Facts<'_>, found: &[bool]) -> bool {
    found.is_empty() && facts.event_source == "s3.amazonaws.com" && facts.event_name.contains("Object")
}

fn judge(facts: &Facts<'_>, is_subject: bool) -> Act {
    const MAKES: [&str; 9] =
        ["Create", "Run", "Allocate", "Register", "Import", "Restore", "Copy", "Launch", "Request"];
    const ENDS: [&str; 6] = ["Delete", "Terminate", "Deregister", "Release", "Destroy", "Purge"];
    const USES: [&str; 8] = ["Run", "Launch", "Copy", "Restore", "Invoke", "Assume", "CreateSnapshot", "CreateImage"];
    let begins = |verbs: &[&str]| verbs.iter().any(|verb| facts.event_name.starts_with(verb));
    let is_scheduled = facts.event_name.starts_with("Schedule") && facts.event_name.ends_with("Deletion");
    match is_subject {
        true if begins(&ENDS) || is_scheduled => Act::Deletion,
        true if begins(&MAKES) => Act::Creation,
        _ if begins(&USES) || facts.event_source == "sts.amazonaws.com" => Act::Use,
        _ => Act::Change,
    }
}

/// Where a resource stands in request and response; each time whether it is what the action is about.
struct Places<'p> {
    is_meant: &'p dyn Fn(&str, &str) -> bool,
    action: &'p str,
    found: Vec<bool>,
    /// Whether all that was found so far are ARNs of roles.
    passed: bool,
}

impl Places<'_> {
    fn walk(&mut self, value: &Value, key: &str, depth: u8) {
        match value {
            Value::String(text) if (self.is_meant)(key, text) => {
                self.passed &= text.contains(":role/");
                self.found.push(is_subject(self.action, key, depth));
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.walk(element, key, depth)),
            Value::Object(members) => {
                for (name, member) in members {
                    let is_wrapper = matches!(&**name, "items" | "item" | "content" | "member");
                    let name = if is_wrapper { key } else { name };
                    self.walk(member, name, depth.saturating_add(1));
                }
            }
            _ => {}
        }
    }
}

/// Whether what stands under a key is what the action is about: `groupId` of `DeleteSecurityGroup` is, `userName` of
/// `DeleteLoginProfile` is not.
fn is_subject(action: &str, key: &str, depth: u8) -> bool {
    let noun = action.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let noun = noun.find(|c: char| c.is_ascii_uppercase()).map_or("", |at| &noun[at..]);
    let noun = noun.split("From").next().unwrap_or(noun).to_ascii_lowercase();
    let stem = stem(key);
    if stem.is_empty() {
        return depth <= 2;
    }
    let noun = noun.strip_suffix("deletion").unwrap_or(&noun).trim_end_matches('s');
    // What is made along with an instance has no call of its own.
    let is_along = action == "RunInstances" && matches!(stem.as_str(), "networkinterface" | "volume");
    is_along || noun.ends_with(&stem)
}

/// What a key says a thing is: `dBInstanceIdentifier` is a `dbinstance`, `name` and `arn` may be anything.
fn stem(key: &str) -> String {
    const ENDS: [&str; 6] = ["identifier", "names", "name", "arn", "ids", "id"];
    let lower = key.to_ascii_lowercase();
    let stem = ENDS.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    if stem == "resource" { String::new() } else { stem.trim_end_matches('s').to_owned() }
}

/// What an ARN says of a resource that records name without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    service: &'a str,
    account: &'a str,
    /// `user` of `user/ops/alice`; empty of buckets and topics.
    word: &'a str,
    /// What stands last: `alice`.
    pub name: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads an ARN of a resource that goes by a name. Objects of S3 do not.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':').skip(1);
        let (service, _, account, resource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let name = resource.rsplit(['/', ':']).next().filter(|name| !name.is_empty())?;
        let word = resource.find(['/', ':']).map_or("", |end| &resource[..end]);
        (service != "s3" || word.is_empty()).then_some(Self { service, account, word, name })
    }

    /// Whether a text under this key of a record means the resource, by its name alone.
    pub fn is_meant(&self, facts: &Facts<'_>, key: &str, text: &str) -> bool {
        let stem = stem(key);
        let is_of = |service: &str| service.split('.').next() == Some(self.service);
        text == self.name
            && !key.is_empty()
            && (stem.is_empty() || self.word.is_empty() || stem.starts_with(self.word))
            && is_of(&facts.event_source)
            && (self.account.is_empty() || facts.account == self.account)
    }
}

/// What came of a call, by its error code.
pub fn outcome(facts: &Facts<'_>) -> Outcome {
    match &*facts.error_code {
        "" => Outcome::Success,
        code if is_refusal(code) => Outcome::Denied,
        _ => Outcome::Failed,
    }
}

/// Where whoever stands behind a record is to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// In the record that gave out this key. Else it ends with what this record says of itself.
    Key {
        /// The key of the session.
        key: String,
        /// When it was given out, where the record says.
        since: Option<Time>,
        /// What is known without that record.
        or: Option<Person>,
    },
    /// In the sign-in of this user before it, and in who made the user.
    User(Person),
    /// It is a person.
    Person(Person),
    /// A service that acts for people.
    Service(String),
    /// Somebody of another account: in that account's record of the same call.
    Elsewhere {
        /// The account, where it is known.
        account: String,
        /// What is known of the identity.
        principal: String,
    },
    /// The root user.
    Root,
    /// Nobody that AWS names: the name was hidden, or there was none.
    Hidden,
    /// Nobody: a request without credentials.
    Anonymous,
}

/// Somebody who is known by a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The name.
    pub name: String,
    /// Who says so.
    pub by: Vouched,
}

/// Who says what somebody's name is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Vouched {
    /// A user of IAM: its key or password.
    User {
        /// The user's ARN.
        arn: String,
        /// The key that signed; empty of a console session.
        access_key: String,
    },
    /// A user of Identity Center.
    IdentityCenter {
        /// The permission set, where the role's name says it.
        permission_set: String,
    },
    /// The source identity of the session, which is set once and kept through all roles.
    SourceIdentity,
    /// An identity provider.
    Provider {
        /// Its ARN or host.
        provider: String,
        /// Its name for the identity.
        subject: String,
        /// The repository, where a pipeline of GitHub's signed in.
        repository: String,
    },
}

/// The next step from a record up to whoever stands behind it.
pub fn step(facts: &Facts<'_>, body: &Value) -> Step {
    let arn = &*facts.actor_arn;
    match &*facts.actor_type {
        _ if facts.actor_name == crate::actor::UNKNOWN_USER => Step::Hidden,
        "AWSService" => Step::Service(service(facts)),
        "AWSAccount" if facts.principal_id == "anonymous" || facts.actor_account == "anonymous" => Step::Anonymous,
        "AWSAccount" | "Unknown" if facts.on_behalf_of.is_empty() => {
            Step::Elsewhere { account: facts.actor_account.to_string(), principal: facts.principal_id.to_string() }
        }
        "Root" if !facts.access_key.starts_with("ASIA") || facts.console => Step::Root,
        "IAMUser" => of_user(facts),
        "SAMLUser" | "WebIdentityUser" => Step::Person(provider(body)),
        _ if role(arn).is_some_and(|role| role.starts_with("AWSServiceRoleFor")) => Step::Service(service(facts)),
        _ if !facts.on_behalf_of.is_empty() || is_identity_center(arn) => Step::Person(identity_center(facts)),
        _ if facts.access_key.starts_with("ASIA") => of_session(facts, body),
        _ if facts.root => Step::Root,
        _ => known(facts, body).map_or(
            Step::Elsewhere { account: facts.actor_account.to_string(), principal: facts.principal_id.to_string() },
            Step::Person,
        ),
    }
}

fn of_user(facts: &Facts<'_>) -> Step {
    let by = Vouched::User { arn: facts.actor_arn.to_string(), access_key: facts.access_key.to_string() };
    let person = Person { name: facts.actor_name.to_string(), by };
    if facts.access_key.starts_with("ASIA") && !facts.console {
        return Step::Key { key: facts.access_key.to_string(), since: None, or: Some(person) };
    }
    Step::User(person)
}

fn of_session(facts: &Facts<'_>, body: &Value) -> Step {
    let created = text(at(body, &["userIdentity", "sessionContext", "attributes", "creationDate"]));
    Step::Key { key: facts.access_key.to_string(), since: Time::parse(created), or: known(facts, body) }
}

/// What a session says of the person without the record that issued it.
fn known(facts: &Facts<'_>, body: &Value) -> Option<Person> {
    if !facts.source_identity.is_empty() {
        return Some(Person { name: facts.source_identity.to_string(), by: Vouched::SourceIdentity });
    }
    let federation = at(body, &["userIdentity", "sessionContext", "webIdFederationData"]);
    let host = text(field(federation, "federatedProvider"));
    if host.is_empty() {
        return None;
    }
    let subject = at(federation, &["attributes"]);
    let subject = subject.as_object().and_then(|all| all.iter().find(|(key, _)| key.ends_with(":sub")));
    Some(of_provider(host, subject.map_or("", |(_, value)| text(value))))
}

/// Who an identity provider says it is.
fn provider(body: &Value) -> Person {
    let identity = field(body, "userIdentity");
    of_provider(text(field(identity, "identityProvider")), text(field(identity, "userName")))
}

fn of_provider(provider: &str, subject: &str) -> Person {
    let repository = subject.strip_prefix("repo:").and_then(|rest| rest.split(':').next()).unwrap_or_default();
    let is_github = provider.contains("token.actions.githubusercontent.com");
    let name = if subject.is_empty() { provider } else { subject };
    let by = Vouched::Provider {
        provider: provider.to_owned(),
        subject: subject.to_owned(),
        repository: if is_github { repository.to_owned() } else { String::new() },
    };
    Person { name: name.to_owned(), by }
}

fn identity_center(facts: &Facts<'_>) -> Person {
    let role = role(&facts.actor_arn).and_then(|role| role.strip_prefix("AWSReservedSSO_")).unwrap_or_default();
    let permission_set = role.rsplit_once('_').map_or(role, |(set, _)| set).to_owned();
    let name = session(&facts.actor_arn).filter(|_| is_identity_center(&facts.actor_arn));
    let name = name.unwrap_or(&facts.on_behalf_of).to_owned();
    Person { name, by: Vouched::IdentityCenter { permission_set } }
}

fn is_identity_center(arn: &str) -> bool {
    role(arn).is_some_and(|role| role.starts_with("AWSReservedSSO_"))
}

/// The role of a session's ARN.
fn role(arn: &str) -> Option<&str> {
    arn.split_once(":assumed-role/")?.1.split('/').next()
}

/// The name of a session by its ARN.
fn session(arn: &str) -> Option<&str> {
    Some(arn.split_once(":assumed-role/")?.1.split_once('/')?.1)
}

/// The service that a record is an act of.
pub fn service(facts: &Facts<'_>) -> String {
    let said = [&facts.invoked_by, &facts.source_ip, &facts.user_agent];
    let found = said.into_iter().find(|name| name.ends_with(".amazonaws.com"));
    // An address or a tool is no service's name.
    found.or(Some(said[0]).filter(|name| !name.is_empty())).map_or("an AWS service".to_owned(), ToString::to_string)
}

/// Something through which people make a service act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// What it is.
    pub kind: HolderKind,
    /// Its name.
    pub name: String,
}

/// A kind of such things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "`HOLDERS` says of each what it is")]
pub enum HolderKind {
    AutoScalingGroup,
    LaunchTemplate,
    Stack,
    EksCluster,
    EksNodegroup,
    BatchEnvironment,
    BeanstalkEnvironment,
    Function,
    Instance,
}

/// What a kind is called, whose records tell of its changes, and the keys and tags that name one.
struct HolderInfo {
    kind: HolderKind,
    label: &'static str,
    service: &'static str,
    actions: &'static str,
    names: &'static [&'static str],
}

const HOLDERS: &[HolderInfo] = {
    use HolderKind as K;
    const fn is(
        kind: HolderKind,
        label: &'static str,
        (service, actions): (&'static str, &'static str),
        names: &'static [&'static str],
    ) -> HolderInfo {
        HolderInfo { kind, label, service, actions, names }
    }
    &[
        is(
            K::AutoScalingGroup,
            "Auto Scaling group",
            ("autoscaling", "*"),
            &["aws:autoscaling:groupName", "autoScalingGroupName"],
        ),
        is(
            K::LaunchTemplate,
            "launch template",
            ("ec2", "*LaunchTemplate*"),
            &["aws:ec2launchtemplate:id", "launchTemplateId", "launchTemplateName"],
        ),
        is(K::Stack, "stack", ("cloudformation", "*"), &["aws:cloudformation:stack-name", "stackName"]),
        is(K::EksCluster, "EKS cluster", ("eks", "*"), &["eks:cluster-name", "aws:eks:cluster-name"]),
        is(K::EksNodegroup, "EKS node group", ("eks", "*"), &["eks:nodegroup-name", "nodegroupName"]),
        is(
            K::BatchEnvironment,
            "Batch compute environment",
            ("batch", "*"),
            &["aws:batch:compute-environment", "computeEnvironmentName"],
        ),
        is(
            K::BeanstalkEnvironment,
            "Elastic Beanstalk environment",
            ("elasticbeanstalk", "*"),
            &["elasticbeanstalk:environment-name", "environmentName"],
        ),
        is(K::Function, "Lambda function", ("lambda", "*"), &[]),
        is(K::Instance, "instance", ("ec2", "RunInstances"), &[]),
    ]
};

impl HolderKind {
    fn info(self) -> &'static HolderInfo {
        // `HOLDERS` has each kind; a test says so.
        HOLDERS.iter().find(|info| info.kind == self).unwrap_or(&HOLDERS[0])
    }

    /// What it is called.
    pub fn label(self) -> &'static str {
        self.info().label
    }

    /// Service and actions whose records tell of its changes.
    pub fn changes(self) -> (&'static str, &'static str) {
        (self.info().service, self.info().actions)
    }
}

/// How many holders of a record are followed.
const MOST_HOLDERS: usize = 8;

/// The things through which people may have made a service act so: named in tags, request and response, each once.
pub fn holders(facts: &Facts<'_>, body: &Value) -> Vec<Holder> {
    let mut found = Vec::new();
    for part in ["requestParameters", "responseElements", "serviceEventDetails"] {
        named(&body[part], &mut found);
    }
    let of_session =
        [text(at(body, &["requestParameters", "roleSessionName"])), session(&facts.actor_arn).unwrap_or("")];
    for name in of_session.into_iter().filter(|name| !name.is_empty()) {
        if name.starts_with("i-") && crate::resource_type::is_unique_id(name) {
            add(&mut found, HolderKind::Instance, name);
        } else if service(facts) == "lambda.amazonaws.com" {
            add(&mut found, HolderKind::Function, name);
        }
    }
    found.sort_by_key(|holder| holder.kind);
    found
}

fn named(value: &Value, found: &mut Vec<Holder>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| named(element, found)),
        Value::Object(members) => {
            let key = text(field(value, "key"));
            if let Some(kind) = holder_of(key) {
                add(found, kind, text(field(value, "value")));
            }
            for (key, member) in members {
                match holder_of(key) {
                    Some(kind) if member.is_string() => add(found, kind, text(member)),
                    _ => named(member, found),
                }
            }
        }
        _ => {}
    }
}

fn holder_of(key: &str) -> Option<HolderKind> {
    let is_it = |name: &&'static str| name.eq_ignore_ascii_case(key);
    HOLDERS.iter().find(|info| info.names.iter().any(is_it)).map(|info| info.kind)
}

fn add(found: &mut Vec<Holder>, kind: HolderKind, name: &str) {
    let holder = Holder { kind, name: name.to_owned() };
    if !name.is_empty() && found.len() < MOST_HOLDERS && !found.contains(&holder) {
        found.push(holder);
    }
}

/// How much of a foreign text is shown.
const SHOWN: usize = 300;

/// Foreign text for a terminal: what moves the cursor or is not seen stands as `\u{…}`, and it is not too long.
pub fn shown(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at == SHOWN => {
                said.push('…');
                break;
            }
            c if c.is_control() || is_invisible(c) => said.extend(c.escape_unicode()),
            c => said.push(c),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Hint;
    use crate::record::Record;
    use crate::testing::record;
    use serde_json::json;

    fn with<T>(record: &Value, look: impl Fn(&Facts<'_>, &Value) -> T) -> T {
        let text = record.to_string();
        let facts = Facts::of(&Record::parse(&text).expect("a record"), Hint::default()).expect("readable");
        look(&facts, record)
    }

    fn act_on(service: &str, action: &str, (request, response): (Value, Value), resource: &str) -> Option<Act> {
        let more = json!({"requestParameters": request, "responseElements": response,
            "readOnly": action.starts_with("Describe")});
        let record = record(&format!("{service}.amazonaws.com"), action, more);
        with(&record, |facts, body| act(facts, body, &|_, text| text == resource))
    }

    #[test]
    fn the_verb_and_the_place_say_what_was_done() {
        let instance = json!({"instancesSet": {"items": [{"instanceId": "x", "vpcId": "v", "networkInterfaceSet":
            {"items": [{"networkInterfaceId": "eni"}]}}]}});
        let request = |key: &str| (json!({key: "x"}), Value::Null);
        let of = |key: &str| (json!({"imageId": "x", key: "y"}), Value::Null);
        for (service, action, parts, resource, expected) in [
            ("ec2", "RunInstances", (Value::Null, instance.clone()), "x", Some(Act::Creation)),
            ("ec2", "RunInstances", (Value::Null, instance.clone()), "eni", Some(Act::Creation)),
            ("ec2", "RunInstances", (Value::Null, instance.clone()), "v", Some(Act::Use)),
            ("ec2", "RunInstances", of("subnetId"), "x", Some(Act::Use)),
            ("ec2", "TerminateInstances", (instance.clone(), Value::Null), "x", Some(Act::Deletion)),
            ("ec2", "DescribeInstances", (instance, Value::Null), "x", None),
            ("ec2", "DeleteSecurityGroup", request("groupId"), "x", Some(Act::Deletion)),
            ("ec2", "AuthorizeSecurityGroupIngress", request("groupId"), "x", Some(Act::Change)),
            ("ec2", "AuthorizeSecurityGroupIngress", request("groupId"), "z", None),
            ("iam", "CreateUser", request("userName"), "x", Some(Act::Creation)),
            ("iam", "CreateLoginProfile", request("userName"), "x", Some(Act::Change)),
            ("iam", "DeleteLoginProfile", request("userName"), "x", Some(Act::Change)),
            ("iam", "DeleteUser", request("userName"), "x", Some(Act::Deletion)),
            ("iam", "DeletePolicyVersion", request("policyArn"), "x", Some(Act::Change)),
            ("s3", "DeleteBucketPolicy", request("bucketName"), "x", Some(Act::Change)),
            ("s3", "DeleteBucket", request("bucketName"), "x", Some(Act::Deletion)),
            ("s3", "CreateBucket", request("bucketName"), "x", Some(Act::Creation)),
            ("rds", "CreateDBInstance", request("dBInstanceIdentifier"), "x", Some(Act::Creation)),
            ("rds", "RestoreDBInstanceFromDBSnapshot", request("dBInstanceIdentifier"), "x", Some(Act::Creation)),
            ("rds", "RestoreDBInstanceFromDBSnapshot", request("dBSnapshotIdentifier"), "x", Some(Act::Use)),
            ("rds", "DeleteDBInstance", request("dBInstanceIdentifier"), "x", Some(Act::Deletion)),
            ("kms", "ScheduleKeyDeletion", request("keyId"), "x", Some(Act::Deletion)),
            ("cloudtrail", "DeleteTrail", request("name"), "x", Some(Act::Deletion)),
            ("cloudtrail", "StopLogging", request("name"), "x", Some(Act::Change)),
            ("sts", "AssumeRole", request("roleArn"), "x", Some(Act::Use)),
        ] {
            assert_eq!(act_on(service, action, parts, resource), expected, "{action} {resource}");
        }
    }

    #[test]
    fn a_name_means_an_arn_where_service_account_and_key_agree() {
        let arn = Arn::parse("arn:aws:iam::111122223333:user/ops/alice").expect("an ARN");
        let record = record("iam.amazonaws.com", "DeleteUser", json!({}));
        let is_meant = |arn: Arn<'_>, key: &str, text: &str| with(&record, |facts, _| arn.is_meant(facts, key, text));
        assert!(is_meant(arn, "userName", "alice"));
        for (key, text) in [("roleName", "alice"), ("userName", "ops"), ("", "alice")] {
            assert!(!is_meant(arn, key, text), "{key} {text}");
        }
        let elsewhere = Arn::parse("arn:aws:iam::444455556666:user/alice").expect("an ARN");
        assert!(!is_meant(elsewhere, "userName", "alice"));
        assert_eq!(Arn::parse("arn:aws:s3:::invoices").map(|arn| arn.name), Some("invoices"));
        assert_eq!(Arn::parse("arn:aws:s3:::invoices/2026/a.pdf"), None);
        assert_eq!(Arn::parse("alice"), None);
    }

    fn session(arn: &str, more: Value) -> Value {
        let mut identity = json!({"type": "AssumedRole", "arn": arn, "accountId": "111122223333",
            "accessKeyId": "ASIAEXAMPLE", "principalId": "AROAEXAMPLE:s"});
        identity["sessionContext"] = more;
        record("ec2.amazonaws.com", "RunInstances", json!({"userIdentity": identity}))
    }

    #[test]
    fn the_next_step_depends_on_who_a_record_says_it_was() {
        let of = |record: &Value| with(record, step);
        let plain = session(
            "arn:aws:sts::111122223333:assumed-role/ops/s",
            json!({"attributes":
            {"creationDate": "2026-11-20T03:00:00Z"}}),
        );
        let since = Time::parse("2026-11-20T03:00:00Z");
        assert_eq!(of(&plain), Step::Key { key: "ASIAEXAMPLE".to_owned(), since, or: None });
        let person = |name: &str, by| Person { name: name.to_owned(), by };
        let sso =
            session("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_Team_0123/alice@example.com", json!({}));
        let by = Vouched::IdentityCenter { permission_set: "Ops_Team".to_owned() };
        assert_eq!(of(&sso), Step::Person(person("alice@example.com", by)));
        let named = session("arn:aws:sts::111122223333:assumed-role/ops/s", json!({"sourceIdentity": "alice"}));
        let or = Some(person("alice", Vouched::SourceIdentity));
        assert_eq!(of(&named), Step::Key { key: "ASIAEXAMPLE".to_owned(), since: None, or });
        let linked =
            session("arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling", json!({}));
        assert!(matches!(of(&linked), Step::Service(_)));
    }

    #[test]
    fn whoever_has_no_session_ends_it_or_is_looked_for_elsewhere() {
        let of =
            |identity: Value| with(&record("sts.amazonaws.com", "AssumeRole", json!({"userIdentity": identity})), step);
        assert_eq!(of(json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"})), Step::Root);
        assert_eq!(of(json!({"type": "IAMUser", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"})), Step::Hidden);
        assert_eq!(of(json!({"type": "AWSAccount", "accountId": "anonymous", "principalId": ""})), Step::Anonymous);
        let elsewhere = Step::Elsewhere { account: "444455556666".to_owned(), principal: "AIDAX".to_owned() };
        assert_eq!(of(json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AIDAX"})), elsewhere);
        let service = Step::Service("autoscaling.amazonaws.com".to_owned());
        assert_eq!(of(json!({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"})), service);
        let Step::User(user) = of(json!({"type": "IAMUser", "userName": "bob", "arn": "arn:aws:iam::1:user/bob",
            "accessKeyId": "AKIAX"}))
        else {
            panic!("a user")
        };
        assert_eq!(user.name, "bob");
    }

    #[test]
    fn a_pipeline_is_known_by_its_repository_where_github_says_so() {
        let of = |provider: &str, subject: &str| {
            let identity = json!({"type": "WebIdentityUser", "userName": subject, "identityProvider": provider});
            let record = record("sts.amazonaws.com", "AssumeRoleWithWebIdentity", json!({"userIdentity": identity}));
            let Step::Person(person) = with(&record, step) else { panic!("a person") };
            let Vouched::Provider { repository, .. } = person.by else { panic!("a provider") };
            repository
        };
        let github = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
        assert_eq!(of(github, "repo:octo/app:ref:refs/heads/main"), "octo/app");
        assert_eq!(of(github, "someone"), "");
        assert_eq!(of("accounts.google.com", "repo:octo/app:ref:refs/heads/main"), "");
    }

    #[test]
    fn what_a_service_acts_for_stands_in_tags_and_parameters() {
        let request = json!({"tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": [
            {"key": "aws:cloudformation:stack-name", "value": "web"}, {"key": "Name", "value": "x"},
            {"key": "aws:autoscaling:groupName", "value": "web-asg"}]}]},
            "launchTemplate": {"launchTemplateId": "lt-0123456789abcdef0"}});
        let found = with(&record("ec2.amazonaws.com", "RunInstances", json!({"requestParameters": request})), holders);
        let names: Vec<_> = found.iter().map(|holder| (holder.kind.label(), &*holder.name)).collect();
        let expected =
            [("Auto Scaling group", "web-asg"), ("launch template", "lt-0123456789abcdef0"), ("stack", "web")];
        assert_eq!(names, expected);
        let role = json!({"requestParameters": {"roleSessionName": "i-0123456789abcdef0"}});
        let found = with(&record("sts.amazonaws.com", "AssumeRole", role), holders);
        assert_eq!(found[0].kind, HolderKind::Instance);
        let role = json!({"requestParameters": {"roleSessionName": "i-am-nobody"}});
        assert!(with(&record("sts.amazonaws.com", "AssumeRole", role), holders).is_empty());
    }

    #[test]
    fn each_kind_of_holder_has_its_line() {
        assert!(HOLDERS.iter().enumerate().all(|(at, info)| info.kind as usize == at));
        assert_eq!(HOLDERS.len(), HolderKind::Instance as usize + 1);
    }

    #[test]
    fn foreign_text_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2J\n\u{202e}b é"), "a\\u{1b}[2J\\u{a}\\u{202e}b é");
        assert_eq!(shown(&"x".repeat(5000)).chars().count(), SHOWN + 1);
    }
}
