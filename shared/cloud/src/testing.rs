//! Servers on loopback for the tests in this crate: as little of AWS as they need.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::state::State;

/// What a request said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// Reads a request whole.
pub(crate) async fn read(stream: &mut TcpStream) -> Heard {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request breaks off");
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = text.lines();
        let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.into(), b.into())).collect();
        let request = Heard { target, headers, body: bytes[end + 4..].to_vec() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        if request.body.len() >= length {
            return request;
        }
    }
}

/// Answers with a status and a body, and closes.
pub(crate) async fn write(mut stream: TcpStream, (status, body): (u16, String)) {
    let fields = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((fields + &body).as_bytes()).await.unwrap();
}

/// An empty table that knows gets, puts where nothing is, transactions of puts, ranges, and the feed.
pub(crate) async fn table() -> State {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut items = BTreeMap::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            let body = serde_json::from_slice(&request.body).unwrap();
            let operation = request.header("x-amz-target").unwrap().rsplit('.').next().unwrap();
            let (status, answer) = answer(&mut items, operation, &body);
            write(stream, (status, answer.to_string())).await;
        }
    });
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("eu-west-1")).endpoint_url(url);
    let config = config.credentials_provider(Credentials::new("a", "b", None, None, "test")).load().await;
    State::new(aws_sdk_dynamodb::Client::new(&config), "table")
}

fn answer(items: &mut BTreeMap<(String, String), Value>, operation: &str, body: &Value) -> (u16, Value) {
    let key = |of: &Value| (of["pk"]["S"].as_str().unwrap().to_owned(), of["sk"]["S"].as_str().unwrap().to_owned());
    match operation {
        "GetItem" => {
            let found = items.get(&key(&body["Key"]));
            (200, found.map_or_else(|| json!({}), |item| json!({"Item": item})))
        }
        "PutItem" => {
            let (key, condition) = (key(&body["Item"]), body["ConditionExpression"].as_str());
            assert!(matches!(condition, None | Some("attribute_not_exists(pk)")), "{condition:?}");
            if let Some(item) = items.get(&key).filter(|_| condition.is_some()) {
                let failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                return (400, json!({"__type": failed, "Item": item}));
            }
            items.insert(key, body["Item"].clone());
            (200, json!({}))
        }
        "TransactWriteItems" => {
            for put in body["TransactItems"].as_array().unwrap() {
                let item = &put["Put"]["Item"];
                items.insert(key(item), item.clone());
            }
            (200, json!({}))
        }
        "Query" if body["IndexName"] == "feed" => {
            let feed = &body["ExpressionAttributeValues"][":feed"];
            let found: Vec<&Value> = items.values().filter(|item| item["feed"] == *feed).collect();
            (200, json!({"Items": found, "Count": found.len()}))
        }
        "Query" => {
            let value = |name: &str| body["ExpressionAttributeValues"][name]["S"].as_str().unwrap().to_owned();
            let range = (value(":pk"), value(":from"))..=(value(":pk"), value(":to"));
            let found: Vec<&Value> = items.range(range).map(|(_, item)| item).collect();
            (200, json!({"Items": found, "Count": found.len()}))
        }
        other => panic!("{other} is not known here"),
    }
}
