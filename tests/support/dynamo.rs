//! A `DynamoDB` engine with the monitor's table, and a real client to look into it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use dynoxide::{Database, server};
use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use std::fmt::Write as _;

use super::http::Server;
use super::{ACCESS_KEY, REGION, SECRET_KEY};

/// The name of the table that every [`Dynamo`] starts with.
pub(crate) const TABLE: &str = "trail";

/// `DynamoDB` in memory on a loopback port.
pub(crate) struct Dynamo {
    server: Server,
    client: Client,
}

impl Dynamo {
    /// Starts the engine and makes [`TABLE`] with both indexes.
    pub(crate) async fn start() -> Self {
        let database = Database::memory().expect("SQLite in memory");
        let server = Server::listen(|listener| server::serve_on(listener, database)).await;
        let client = client(&server.url());
        create_table(&client).await;
        Self { server, client }
    }

    /// For `AWS_ENDPOINT_URL_DYNAMODB`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// A client that goes straight to the engine, past any proxy.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Every item of the table as plain JSON, sorted by `pk` and `sk`.
    ///
    /// Sets are sorted arrays, binary values lowercase hexadecimal.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let scan = self.client.scan().table_name(TABLE).consistent_read(true);
        sorted(scan.into_paginator().items().send().try_collect().await.expect("a scan"))
    }

    /// Every item whose `pk` starts with `prefix`, as [`Dynamo::items`] gives them.
    pub(crate) async fn items_under(&self, prefix: &str) -> Vec<Value> {
        let mut items = self.items().await;
        items.retain(|item| item["pk"].as_str().is_some_and(|pk| pk.starts_with(prefix)));
        items
    }

    /// Deletes an item that [`Dynamo::items`] gave.
    pub(crate) async fn delete(&self, item: &Value) {
        let key = |name: &str| AttributeValue::S(item[name].as_str().expect("a key").to_owned());
        let delete = self.client.delete_item().table_name(TABLE).key("pk", key("pk")).key("sk", key("sk"));
        delete.send().await.expect("deleted");
    }

    /// What is in the index `due` or `feed`, sorted by `pk` and `sk`.
    pub(crate) async fn index(&self, name: &str) -> Vec<Value> {
        let scan = self.client.scan().table_name(TABLE).index_name(name);
        sorted(scan.into_paginator().items().send().try_collect().await.expect("an index"))
    }
}

/// A client of the engine at `url`, or of a proxy before it.
pub(crate) fn client(url: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests"))
        .endpoint_url(url)
        .build();
    Client::from_conf(config)
}

/// Makes the table of DESIGN.md, "State".
async fn create_table(client: &Client) {
    let keys = [("pk", ScalarAttributeType::S), ("sk", ScalarAttributeType::S)];
    let of_indexes =
        [("feed", ScalarAttributeType::S), ("first_seen", ScalarAttributeType::S), ("due", ScalarAttributeType::N)];
    let request = client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema("pk", "sk")))
        .global_secondary_indexes(index("feed", "first_seen", ProjectionType::All))
        .global_secondary_indexes(index("due", "pk", ProjectionType::KeysOnly));
    keys.into_iter().chain(of_indexes).fold(request, defined).send().await.expect("the table is made");
}

/// The request with one more attribute definition.
fn defined(request: CreateTableFluentBuilder, (name, kind): (&str, ScalarAttributeType)) -> CreateTableFluentBuilder {
    let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
    request.attribute_definitions(attribute.build().expect("name and type"))
}

/// An index named after its hash key.
fn index(hash: &str, range: &str, projection: ProjectionType) -> GlobalSecondaryIndex {
    GlobalSecondaryIndex::builder()
        .index_name(hash)
        .set_key_schema(Some(key_schema(hash, range)))
        .projection(Projection::builder().projection_type(projection).build())
        .build()
        .expect("name and keys")
}

/// A hash key and a range key.
fn key_schema(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build())
        .map(|element| element.expect("name and kind"))
        .to_vec()
}

/// Items as JSON, in the order of their keys.
fn sorted(items: Vec<HashMap<String, AttributeValue>>) -> Vec<Value> {
    let mut items: Vec<Value> = items.into_iter().map(object).collect();
    items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
    items
}

/// Attributes as a JSON object.
fn object(attributes: HashMap<String, AttributeValue>) -> Value {
    let members: Map<_, _> = attributes.into_iter().map(|(name, value)| (name, plain(value))).collect();
    Value::Object(members)
}

/// One attribute as the JSON that a reader expects of it.
fn plain(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.into(),
        AttributeValue::N(text) => number(&text),
        AttributeValue::Bool(flag) => flag.into(),
        AttributeValue::B(bytes) => hex(&bytes).into(),
        AttributeValue::L(list) => list.into_iter().map(plain).collect(),
        AttributeValue::M(map) => object(map),
        AttributeValue::Ss(mut set) => {
            set.sort();
            set.into()
        }
        AttributeValue::Ns(set) => number_set(&set),
        AttributeValue::Bs(set) => byte_set(&set),
        _ => Value::Null,
    }
}

/// A number as `DynamoDB` writes it.
fn number(text: &str) -> Value {
    text.parse::<Number>().expect("a DynamoDB number").into()
}

/// A number set, smallest first.
fn number_set(set: &[String]) -> Value {
    let mut numbers: Vec<Value> = set.iter().map(|text| number(text)).collect();
    numbers.sort_by(|a, b| a.as_f64().partial_cmp(&b.as_f64()).expect("no NaN in DynamoDB"));
    numbers.into()
}

/// A binary set, sorted.
fn byte_set(set: &[Blob]) -> Value {
    let mut values: Vec<String> = set.iter().map(hex).collect();
    values.sort();
    values.into()
}

/// Lowercase hexadecimal.
fn hex(bytes: &Blob) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn items_are_plain_json_in_the_order_of_their_keys() {
        let dynamo = Dynamo::start().await;
        put(&dynamo, "F#2", &[("n", AttributeValue::N("1.5".to_owned())), ("b", AttributeValue::Bool(true))]).await;
        let bytes = |bytes: &[u8]| Blob::new(bytes);
        let sets = [
            ("ss", AttributeValue::Ss(vec!["b".to_owned(), "a".to_owned()])),
            ("ns", AttributeValue::Ns(vec!["10".to_owned(), "9".to_owned()])),
            ("bs", AttributeValue::Bs(vec![bytes(&[255]), bytes(&[1, 2])])),
            ("l", AttributeValue::L(vec![AttributeValue::B(bytes(&[10])), AttributeValue::Null(true)])),
            ("m", AttributeValue::M(HashMap::from([("x".to_owned(), AttributeValue::S("y".to_owned()))]))),
        ];
        put(&dynamo, "F#1", &sets).await;
        put(&dynamo, "TH#1", &[]).await;
        let first = json!({
            "pk": "F#1", "sk": "META", "ss": ["a", "b"], "ns": [9, 10], "bs": ["0102", "ff"], "l": ["0a", null],
            "m": { "x": "y" },
        });
        let second = json!({ "pk": "F#2", "sk": "META", "n": 1.5, "b": true });
        assert_eq!(dynamo.items_under("F#").await, [first, second]);
        assert_eq!(dynamo.items().await.len(), 3);
    }

    #[tokio::test]
    async fn the_indexes_are_those_of_the_design() {
        let dynamo = Dynamo::start().await;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let due = AttributeValue::N("50010".to_owned());
        let attributes = [("feed", text("f")), ("first_seen", text("2026-11-22")), ("due", due), ("title", text("t"))];
        put(&dynamo, "F#1", &attributes).await;
        put(&dynamo, "F#2", &[("title", text("in no index"))]).await;
        assert_eq!(dynamo.index("due").await, [json!({ "pk": "F#1", "sk": "META", "due": 50010 })]);
        let whole = dynamo.items_under("F#1").await;
        assert_eq!(dynamo.index("feed").await, whole);
    }

    #[tokio::test]
    async fn a_failed_condition_returns_the_old_item() {
        let dynamo = Dynamo::start().await;
        put(&dynamo, "F#1", &[("v", AttributeValue::N("1".to_owned()))]).await;
        let again = dynamo.client().put_item().table_name(TABLE).set_item(Some(item("F#1", &[])));
        let refused = again
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = refused.expect_err("there is one").into_service_error();
        let PutItemError::ConditionalCheckFailedException(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.item.and_then(|mut item| item.remove("v")), Some(AttributeValue::N("1".to_owned())));
    }

    async fn put(dynamo: &Dynamo, pk: &str, attributes: &[(&str, AttributeValue)]) {
        let request = dynamo.client().put_item().table_name(TABLE).set_item(Some(item(pk, attributes)));
        request.send().await.expect("the item is stored");
    }

    fn item(pk: &str, attributes: &[(&str, AttributeValue)]) -> HashMap<String, AttributeValue> {
        let keys =
            [("pk", pk), ("sk", "META")].map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        let others = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        keys.into_iter().chain(others).collect()
    }
}
