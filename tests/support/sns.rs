//! A fake of SNS: the query protocol, the checks that AWS makes, and a memory of what was published.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hyper::{Request, StatusCode};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::http::{self, Answer, Server};
use super::{ACCOUNT, REGION};

/// The largest message with its attributes, in bytes (SNS quotas).
const MESSAGE_LIMIT: usize = 256 * 1024;

/// A subject is shorter than this many characters (SNS API reference, Publish).
const SUBJECT_LIMIT: usize = 100;

/// SNS on a loopback port.
pub(crate) struct Sns {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// A message that SNS accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// The topic's ARN.
    pub(crate) topic: String,
    /// What email shows above the text.
    pub(crate) subject: Option<String>,
    /// The message as sent: with [`Published::structure`] an object with a text per protocol.
    pub(crate) message: String,
    /// `json` or nothing.
    pub(crate) structure: Option<String>,
    /// The values that filter policies see.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Published {
    /// The text that a subscriber with this protocol gets.
    pub(crate) fn text_for(&self, protocol: &str) -> String {
        if self.structure.is_none() {
            return self.message.clone();
        }
        let texts: Map<String, Value> = serde_json::from_str(&self.message).expect("checked when published");
        let text = [protocol, "default"].into_iter().find_map(|name| texts.get(name)?.as_str());
        text.expect("a default, checked when published").to_owned()
    }
}

/// A way in which SNS refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    /// `Throttling`, which clients try again.
    Throttled,
    /// `InternalError`, which clients try again.
    Internal,
    /// `AuthorizationError`, which no client tries again.
    Denied,
}

impl Sns {
    /// Starts without topics.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::answering(move |request| {
            let answer = answer(&shared, &request);
            async move { Some(answer) }
        })
        .await;
        Self { server, state }
    }

    /// For `AWS_ENDPOINT_URL_SNS`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Makes a topic with one confirmed subscription and returns its ARN.
    pub(crate) fn create_topic(&self, name: &str) -> String {
        let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}");
        self.confirm(&arn, 1);
        arn
    }

    /// Sets how many subscriptions of a topic are confirmed.
    pub(crate) fn confirm(&self, topic: &str, subscriptions: usize) {
        self.state().topics.insert(topic.to_owned(), subscriptions);
    }

    /// Makes the next `times` calls of an action, say `Publish`, fail. Clients' own retries count.
    pub(crate) fn fail(&self, action: &str, times: usize, failure: Failure) {
        self.state().failures.insert(action.to_owned(), (times, failure));
    }

    /// Everything accepted so far, in order.
    pub(crate) fn published(&self) -> Vec<Published> {
        self.state().published.clone()
    }

    /// What one topic accepted, in order.
    pub(crate) fn published_to(&self, topic: &str) -> Vec<Published> {
        self.published().into_iter().filter(|message| message.topic == topic).collect()
    }

    /// How often an action was asked for, refused calls included.
    pub(crate) fn calls(&self, action: &str) -> usize {
        self.state().calls.get(action).copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

/// An error answer as SNS writes it.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
    let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let error = format!("<Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message>");
    http::answer(
        status,
        "text/xml",
        format!("<ErrorResponse {NAMESPACE}><Error>{error}</Error>{TRAILER}</ErrorResponse>"),
    )
}

const NAMESPACE: &str = r#"xmlns="http://sns.amazonaws.com/doc/2010-03-31/""#;
const TRAILER: &str = "<RequestId>00000000-0000-4000-8000-000000000000</RequestId>";

/// What the fake remembers.
#[derive(Default)]
struct State {
    /// Confirmed subscriptions by ARN.
    topics: BTreeMap<String, usize>,
    published: Vec<Published>,
    failures: BTreeMap<String, (usize, Failure)>,
    calls: BTreeMap<String, usize>,
}

impl State {
    /// The failure that is due for this call, if any.
    fn failure(&mut self, action: &str) -> Option<Failure> {
        let (left, failure) = self.failures.get_mut(action)?;
        *left = left.checked_sub(1)?;
        Some(*failure)
    }

    /// Does what was asked for and returns the result as XML.
    fn perform(&mut self, action: &str, form: &Form) -> Result<String, Refusal> {
        *self.calls.entry(action.to_owned()).or_default() += 1;
        if let Some(failure) = self.failure(action) {
            return Err(failure.into());
        }
        match action {
            "Publish" => self.publish(form),
            "GetTopicAttributes" => self.topic_attributes(form.require("TopicArn")?),
            _ => Err(Refusal::new("InvalidAction", format!("The action {action} is not valid for this endpoint."))),
        }
    }

    fn publish(&mut self, form: &Form) -> Result<String, Refusal> {
        let message = checked(form)?;
        self.subscriptions(&message.topic)?;
        self.published.push(message);
        Ok(format!("<MessageId>00000000-0000-4000-8000-{:012}</MessageId>", self.published.len()))
    }

    fn topic_attributes(&self, topic: &str) -> Result<String, Refusal> {
        let confirmed = self.subscriptions(topic)?.to_string();
        let attributes = [("TopicArn", topic), ("Owner", ACCOUNT), ("SubscriptionsConfirmed", &confirmed)]
            .map(|(key, value)| format!("<entry><key>{key}</key><value>{value}</value></entry>"));
        Ok(format!("<Attributes>{}</Attributes>", attributes.concat()))
    }

    fn subscriptions(&self, topic: &str) -> Result<usize, Refusal> {
        let unknown = || Refusal { status: StatusCode::NOT_FOUND, ..Refusal::new("NotFound", "Topic does not exist") };
        self.topics.get(topic).copied().ok_or_else(unknown)
    }
}

/// Answers one request.
fn answer(state: &Mutex<State>, request: &Request<Bytes>) -> Answer {
    let form = Form::parse(request.body());
    let action = form.get("Action").unwrap_or_default();
    match state.lock().expect("no panic while held").perform(action, &form) {
        Ok(result) => {
            let result = format!("<{action}Result>{result}</{action}Result>");
            let metadata = format!("<ResponseMetadata>{TRAILER}</ResponseMetadata>");
            let xml = format!("<{action}Response {NAMESPACE}>{result}{metadata}</{action}Response>");
            http::answer(StatusCode::OK, "text/xml", xml)
        }
        Err(refusal) => error(refusal.status, refusal.code, &refusal.message),
    }
}

/// A call that is refused.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// The refusal that SNS gives for most bad input.
    fn parameter(what: &str) -> Self {
        Self::new("InvalidParameter", format!("Invalid parameter: {what}"))
    }

    fn attribute(name: &str, what: &str) -> Self {
        Self::new("ParameterValueInvalid", format!("The message attribute '{name}' {what}"))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let (status, code, message) = match failure {
            Failure::Throttled => (StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded"),
            Failure::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "Internal failure"),
            Failure::Denied => (StatusCode::FORBIDDEN, "AuthorizationError", "User is not authorized to perform this"),
        };
        Self { status, ..Self::new(code, message) }
    }
}

/// The fields of a form-encoded request.
struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::parameter(name))
    }
}

/// The operation that a form-encoded body asks for.
pub(crate) fn action(body: &[u8]) -> Option<String> {
    Form::parse(body).get("Action").map(str::to_owned)
}

/// The message of a Publish call when AWS would accept it.
fn checked(form: &Form) -> Result<Published, Refusal> {
    let message = form.require("Message")?;
    let subject = form.get("Subject");
    let structure = form.get("MessageStructure");
    let attributes = attributes(form)?;
    check_size(message, &attributes)?;
    subject.map_or(Ok(()), check_subject)?;
    structure.map_or(Ok(()), |structure| check_structure(structure, message))?;
    Ok(Published {
        topic: form.require("TopicArn")?.to_owned(),
        subject: subject.map(str::to_owned),
        message: message.to_owned(),
        structure: structure.map(str::to_owned),
        attributes: attributes.into_iter().map(|attribute| (attribute.name, attribute.value)).collect(),
    })
}

/// Printable ASCII that does not begin with a space, under the limit.
fn check_subject(subject: &str) -> Result<(), Refusal> {
    let printable = subject.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let begins = subject.bytes().next().is_some_and(|byte| byte != b' ');
    if printable && begins && subject.len() < SUBJECT_LIMIT {
        return Ok(());
    }
    Err(Refusal::parameter("Subject"))
}

/// Not empty, and with the attributes not over the limit.
fn check_size(message: &str, attributes: &[Attribute]) -> Result<(), Refusal> {
    if message.is_empty() {
        return Err(Refusal::parameter("Empty message"));
    }
    let size = message.len() + attributes.iter().map(Attribute::size).sum::<usize>();
    if size > MESSAGE_LIMIT {
        return Err(Refusal::parameter("Message too long"));
    }
    Ok(())
}

/// The only structure is `json`: an object with a text for `default`.
fn check_structure(structure: &str, message: &str) -> Result<(), Refusal> {
    if structure != "json" {
        return Err(Refusal::parameter("MessageStructure"));
    }
    let texts: Map<String, Value> = serde_json::from_str(message)
        .map_err(|_| Refusal::parameter("Message Structure - JSON message body failed to parse"))?;
    if texts.get("default").is_some_and(Value::is_string) {
        return Ok(());
    }
    Err(Refusal::parameter("Message Structure - No default entry in JSON message body"))
}

/// A message attribute.
struct Attribute {
    name: String,
    kind: String,
    value: String,
}

impl Attribute {
    /// The attribute with number `index`, counted from 1, if there is one.
    fn read(form: &Form, index: usize) -> Option<Result<Self, Refusal>> {
        let field = |name: &str| form.get(&format!("MessageAttributes.entry.{index}.{name}")).map(str::to_owned);
        let name = field("Name")?;
        let value = field("Value.StringValue").or_else(|| field("Value.BinaryValue")).unwrap_or_default();
        let kind = field("Value.DataType").unwrap_or_default();
        Some(Self { name, kind, value }.check())
    }

    fn check(self) -> Result<Self, Refusal> {
        let base = self.kind.split('.').next().unwrap_or_default();
        if !matches!(base, "String" | "Number" | "Binary") {
            return Err(Refusal::attribute(&self.name, "has an invalid message attribute type"));
        }
        if self.value.is_empty() {
            return Err(Refusal::attribute(&self.name, "must contain non-empty message attribute value"));
        }
        Ok(self)
    }

    /// Bytes that count towards the limit.
    fn size(&self) -> usize {
        self.name.len() + self.kind.len() + self.value.len()
    }
}

/// All attributes of a message.
fn attributes(form: &Form) -> Result<Vec<Attribute>, Refusal> {
    (1..).map_while(|index| Attribute::read(form, index)).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::Client;
    use aws_sdk_sns::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_sns::error::ProvideErrorMetadata;
    use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
    use aws_sdk_sns::types::MessageAttributeValue;
    use serde_json::json;

    use super::super::{ACCESS_KEY, SECRET_KEY};
    use super::*;

    #[tokio::test]
    async fn messages_are_recorded_in_order() {
        let sns = Sns::start().await;
        let (people, chat) = (sns.create_topic("people"), sns.create_topic("chat"));
        let texts = json!({ "default": "for all & <any>", "email": "for\nreaders" }).to_string();
        let first = client(&sns).publish().topic_arn(&people).subject("Root used").message(&texts);
        let first = first.message_structure("json").message_attributes("severity", attribute("String", "HIGH"));
        first.send().await.expect("accepted");
        client(&sns).publish().topic_arn(&chat).message("plain").send().await.expect("accepted");
        let expected = Published {
            topic: people.clone(),
            subject: Some("Root used".to_owned()),
            message: texts,
            structure: Some("json".to_owned()),
            attributes: BTreeMap::from([("severity".to_owned(), "HIGH".to_owned())]),
        };
        assert_eq!(sns.published_to(&people), [expected]);
        let [first, second] = &sns.published()[..] else { panic!("two messages") };
        let texts = (first.text_for("email"), first.text_for("sqs"), second.text_for("email"));
        assert_eq!(texts, ("for\nreaders".to_owned(), "for all & <any>".to_owned(), "plain".to_owned()));
    }

    #[tokio::test]
    async fn subjects_are_printable_short_and_on_one_line() {
        for subject in [" space first", "two\nlines", "caf\u{e9}", "bell\u{7}", "", &"x".repeat(100)] {
            let code = refusal(|publish| publish.message("m").subject(subject)).await;
            assert_eq!(code.as_deref(), Some("InvalidParameter"), "{subject:?}");
        }
        assert_eq!(refusal(|publish| publish.message("m").subject("x".repeat(99))).await, None);
    }

    #[tokio::test]
    async fn messages_fit_with_their_attributes() {
        let limit = "x".repeat(MESSAGE_LIMIT);
        assert_eq!(refusal(|publish| publish.message(&limit)).await, None);
        let code = refusal(|publish| publish.message(&limit).message_attributes("a", attribute("String", "b"))).await;
        assert_eq!(code.as_deref(), Some("InvalidParameter"));
        assert_eq!(refusal(|publish| publish.message("")).await.as_deref(), Some("InvalidParameter"));
    }

    #[tokio::test]
    async fn a_json_structure_has_a_default_text() {
        for message in ["not JSON", "[]", r#"{"email":"x"}"#, r#"{"default":{}}"#] {
            let code = refusal(|publish| publish.message_structure("json").message(message)).await;
            assert_eq!(code.as_deref(), Some("InvalidParameter"), "{message}");
        }
        let other = refusal(|publish| publish.message_structure("xml").message("m")).await;
        assert_eq!(other.as_deref(), Some("InvalidParameter"));
    }

    #[tokio::test]
    async fn attributes_have_a_type_and_a_value() {
        for bad in [attribute("Text", "x"), attribute("String", "")] {
            let code = refusal(|publish| publish.message("m").message_attributes("a", bad.clone())).await;
            assert_eq!(code.as_deref(), Some("ParameterValueInvalid"), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn topics_know_their_confirmed_subscriptions() {
        let sns = Sns::start().await;
        let people = sns.create_topic("people");
        sns.confirm(&people, 0);
        let answer = client(&sns).get_topic_attributes().topic_arn(&people).send().await.expect("a topic");
        let attributes = answer.attributes.expect("attributes");
        assert_eq!(attributes["SubscriptionsConfirmed"], "0");
        let unknown = client(&sns).publish().topic_arn("arn:aws:sns:x:1:other").message("m").send().await;
        assert_eq!(unknown.expect_err("no such topic").code(), Some("NotFound"));
        let other = client(&sns).list_topics().send().await;
        assert_eq!(other.expect_err("not offered").code(), Some("InvalidAction"));
    }

    #[tokio::test]
    async fn failures_come_when_asked_for() {
        let sns = Sns::start().await;
        let topic = sns.create_topic("people");
        let publish = || client(&sns).publish().topic_arn(&topic).message("m");
        sns.fail("Publish", 2, Failure::Throttled);
        publish().send().await.expect("the third try of the client succeeds");
        assert_eq!((sns.calls("Publish"), sns.published().len()), (3, 1));
        for (failure, code) in [(Failure::Internal, "InternalError"), (Failure::Denied, "AuthorizationError")] {
            sns.fail("Publish", usize::MAX, failure);
            assert_eq!(publish().send().await.expect_err("it fails").code(), Some(code));
        }
        assert_eq!(sns.published().len(), 1);
    }

    /// The code of the refusal, or `None` when SNS took the message.
    async fn refusal(message: impl FnOnce(PublishFluentBuilder) -> PublishFluentBuilder) -> Option<String> {
        let sns = Sns::start().await;
        let publish = client(&sns).publish().topic_arn(sns.create_topic("people"));
        let refused = message(publish).send().await.err();
        assert_eq!(sns.published().is_empty(), refused.is_some());
        refused.and_then(|refusal| refusal.code().map(str::to_owned))
    }

    fn attribute(kind: &str, value: &str) -> MessageAttributeValue {
        MessageAttributeValue::builder().data_type(kind).string_value(value).build().expect("a type")
    }

    fn client(sns: &Sns) -> Client {
        let config = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests"))
            .endpoint_url(sns.url())
            .build();
        Client::from_conf(config)
    }
}
