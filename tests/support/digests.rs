//! Log files and their digests as `CloudTrail` delivers them, signed with a key of our own, and ways to tamper.
//!
//! For the unit tests of `trail`, the system tests, the benchmark and the demo alike.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use trail::record::{digest as sha256, hex};
use trail::time::Time;

/// A key that signs nothing but tests.
const KEY: &[u8] = include_bytes!("digest_key.der");

/// 2024-11-20T00:05:00Z: when the first window begins unless said otherwise.
pub(crate) const START: i64 = 1_732_061_100;

/// What chain is made.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) bucket: &'static str,
    /// Ends with a slash where there is one.
    pub(crate) prefix: &'static str,
    pub(crate) organization: Option<&'static str>,
    pub(crate) account: &'static str,
    pub(crate) region: &'static str,
    pub(crate) trail: &'static str,
    pub(crate) home_region: &'static str,
    pub(crate) start: i64,
    pub(crate) hours: usize,
    /// The log files of each hour but the third, which has none.
    pub(crate) logs: usize,
    /// A record that one of the log files of this hour holds.
    pub(crate) record: Option<(usize, Value)>,
    /// Hours whose digests name no predecessor.
    pub(crate) anchors: Vec<usize>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            bucket: "logs",
            prefix: "",
            organization: None,
            account: "111122223333",
            region: "eu-central-1",
            trail: "main_trail",
            home_region: "eu-central-1",
            start: START,
            hours: 6,
            logs: 2,
            record: None,
            anchors: vec![0],
        }
    }
}

/// An object with its user metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) gzip: Vec<u8>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a digest says of the one before.
#[derive(Debug, Clone)]
pub(crate) struct Previous {
    pub(crate) key: String,
    pub(crate) hash: String,
    pub(crate) signature: String,
}

/// A bucket with a chain in it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) chain: Chain,
    pub(crate) objects: BTreeMap<String, Stored>,
    /// The digests' keys, the oldest first.
    pub(crate) digests: Vec<String>,
    /// The log files' keys, hour by hour.
    pub(crate) logs: Vec<Vec<String>>,
}

/// The answer of `ListPublicKeys` with the key that everything here is signed with.
pub(crate) fn public_keys() -> Value {
    json!({"PublicKeyList": [{
        "Value": base64::engine::general_purpose::STANDARD.encode(signer(KEY).public_key().as_ref()),
        "ValidityStartTime": 1_700_000_000, "ValidityEndTime": 1_999_999_999.0, "Fingerprint": fingerprint(),
    }]})
}

fn fingerprint() -> String {
    hex(&sha256(KEY))[..32].to_owned()
}

fn signer(key: &[u8]) -> RsaKeyPair {
    RsaKeyPair::from_der(key).expect("a PKCS #1 key")
}

fn sign(key: &[u8], text: &str) -> String {
    let signer = signer(key);
    let mut signature = vec![0; signer.public().modulus_len()];
    signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("it signs");
    hex(&signature)
}

/// One gzip member, the same bytes every time.
pub(crate) fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

fn inflated(gzip: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzip), &mut text).expect("whole gzip");
    text
}

fn stamp(seconds: i64) -> String {
    Time(seconds).to_string()
}

impl Chain {
    fn base(&self) -> String {
        let organization = self.organization.map_or(String::new(), |organization| format!("{organization}/"));
        format!("{}AWSLogs/{organization}{}", self.prefix, self.account)
    }

    /// A log file's key.
    pub(crate) fn log_key(&self, delivered: i64, unique: &str) -> String {
        let (base, Self { account, region, .. }) = (self.base(), self);
        let date = Time(delivered).date().replace('-', "/");
        let minute = stamp(delivered).replace(['-', ':'], "")[..13].to_owned();
        format!("{base}/CloudTrail/{region}/{date}/{account}_CloudTrail_{region}_{minute}Z_{unique}.json.gz")
    }

    fn digest_key(&self, end: i64) -> String {
        let (base, Self { account, region, trail, home_region, .. }) = (self.base(), self);
        let date = Time(end).date().replace('-', "/");
        let end = stamp(end).replace(['-', ':'], "");
        format!(
            "{base}/CloudTrail-Digest/{region}/{date}/{account}_CloudTrail-Digest_{region}_{trail}_{home_region}_{end}.json.gz"
        )
    }

    /// Where the last window ends.
    pub(crate) fn end(&self) -> i64 {
        self.start + 3600 * i64::try_from(self.hours).expect("few")
    }

    /// The chain, whole.
    pub(crate) fn make(self) -> Bucket {
        let mut bucket = Bucket { chain: self, objects: BTreeMap::new(), digests: Vec::new(), logs: Vec::new() };
        let mut previous = None;
        for hour in 0..bucket.chain.hours {
            let logs = bucket.make_logs(hour);
            let from = bucket.hour(hour);
            let before = previous.filter(|_| !bucket.chain.anchors.contains(&hour));
            let made = bucket.put_digest((from, from + 3600), &logs, before.as_ref());
            bucket.logs.push(logs);
            bucket.digests.push(made.key.clone());
            previous = Some(made);
        }
        bucket
    }
}

impl Bucket {
    fn hour(&self, hour: usize) -> i64 {
        self.chain.start + 3600 * i64::try_from(hour).expect("few")
    }

    fn make_logs(&mut self, hour: usize) -> Vec<String> {
        let count = if hour == 2 { 0 } else { self.chain.logs };
        (0..count).map(|n| self.make_log(hour, n)).collect()
    }

    fn make_log(&mut self, hour: usize, n: usize) -> String {
        let delivered = self.hour(hour) + 300 + 1200 * i64::try_from(n).expect("few") % 3300;
        let id = hex(&sha256(format!("{}{hour}-{n}", self.chain.region).as_bytes()));
        let key = self.chain.log_key(delivered, &id[..16]);
        let mut records = vec![json!({
            "eventVersion": "1.11", "eventTime": stamp(delivered - 60), "eventSource": "ec2.amazonaws.com",
            "eventName": "DescribeInstances", "awsRegion": self.chain.region, "eventID": id[..32],
            "recipientAccountId": self.chain.account, "eventCategory": "Management", "eventType": "AwsApiCall",
        })];
        records
            .extend(self.chain.record.iter().filter(|(at, _)| *at == hour && n == 0).map(|(_, record)| record.clone()));
        self.put(&key, json!({"Records": records}).to_string().as_bytes());
        key
    }

    /// Puts a log file.
    pub(crate) fn put(&mut self, key: &str, text: &[u8]) {
        self.objects.insert(key.to_owned(), Stored { gzip: gzipped(text), metadata: BTreeMap::new() });
    }

    /// Signs log files that lie here and puts the digest; yields what the next one says of it.
    pub(crate) fn put_digest(&mut self, window: (i64, i64), logs: &[String], before: Option<&Previous>) -> Previous {
        let entry = |key: &String| {
            let hash = hex(&sha256(&inflated(&self.objects[key].gzip)));
            json!({"s3Bucket": self.chain.bucket, "s3Object": key, "hashValue": hash, "hashAlgorithm": "SHA-256",
                "newestEventTime": stamp(window.0), "oldestEventTime": stamp(window.0)})
        };
        let key = self.chain.digest_key(window.1);
        let digest = json!({
            "awsAccountId": self.chain.account,
            "digestStartTime": stamp(window.0),
            "digestEndTime": stamp(window.1),
            "digestS3Bucket": self.chain.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": fingerprint(),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": null,
            "oldestEventTime": null,
            "previousDigestS3Bucket": before.map(|_| self.chain.bucket),
            "previousDigestS3Object": before.map(|before| &before.key),
            "previousDigestHashValue": before.map(|before| &before.hash),
            "previousDigestHashAlgorithm": before.map(|_| "SHA-256"),
            "previousDigestSignature": before.map(|before| &before.signature),
            "logFiles": logs.iter().map(entry).collect::<Vec<_>>(),
        });
        self.put_signed(&key, &digest)
    }

    /// Signs a digest as it is and puts it: what only AWS can do.
    pub(crate) fn put_signed(&mut self, key: &str, digest: &Value) -> Previous {
        let text = digest.to_string();
        let said = |member: &str| digest[member].as_str().unwrap_or("null").to_owned();
        let hash = hex(&sha256(text.as_bytes()));
        let to_sign = format!(
            "{}\n{}/{}\n{hash}\n{}",
            said("digestEndTime"),
            said("digestS3Bucket"),
            said("digestS3Object"),
            said("previousDigestSignature")
        );
        let signature = sign(KEY, &to_sign);
        let metadata = [("signature", signature.as_str()), ("signature-algorithm", "SHA256withRSA")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()));
        self.objects.insert(key.to_owned(), Stored { gzip: gzipped(text.as_bytes()), metadata: metadata.into() });
        Previous { key: key.to_owned(), hash, signature }
    }

    /// The JSON of an object.
    pub(crate) fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&self.text(key)).expect("JSON")
    }

    /// The text of an object.
    pub(crate) fn text(&self, key: &str) -> Vec<u8> {
        inflated(&self.objects[key].gzip)
    }

    /// Changes the text of an object and leaves its metadata.
    pub(crate) fn rewrite(&mut self, key: &str, text: &[u8]) {
        self.objects.get_mut(key).expect("an object").gzip = gzipped(text);
    }

    /// Signs a digest anew with other contents, as AWS could.
    pub(crate) fn sign_anew(&mut self, key: &str, change: impl FnOnce(&mut Value)) {
        let mut digest = self.json(key);
        change(&mut digest);
        self.put_signed(key, &digest);
    }

    /// Deletes the digests of some hours, and their log files where `logs` says so.
    pub(crate) fn delete(&mut self, hours: impl IntoIterator<Item = usize>, logs: bool) {
        for hour in hours {
            self.objects.remove(&self.digests[hour]);
            for key in self.logs[hour].iter().filter(|_| logs) {
                self.objects.remove(key);
            }
        }
    }
}
