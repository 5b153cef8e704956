use std::io::Write as _;

use aws_config::SdkConfig;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use trail::digest::{ChainHead, Digest, DigestName};
use trail::record::hex;

use super::*;
use crate::testing::table;

const RECORD: &str = r#"{"eventVersion":"1.11", "eventName":"RunInstances","eventID":"b"}"#;
const OTHER: &str = r#"{"eventVersion":"1.11","eventName":"StopLogging","eventID":"a"}"#;
const DELIVERED: i64 = 1_795_000_200;
const END: Time = Time(1_795_003_200);

/// A copy of a log bucket with one log file, and a digest that signs it.
struct Copy {
    folder: tempfile::TempDir,
    log: String,
    digest: DigestName,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = format!("{}/", folder.path().display());
        let place =
            Chain { prefix, account: "111122223333".to_owned(), region: "eu-west-1".to_owned(), ..Chain::default() };
        let minute = Time(DELIVERED).to_string().replace(['-', ':'], "")[..13].to_owned();
        let log =
            format!("{}/111122223333_CloudTrail_eu-west-1_{minute}Z_abc.json.gz", place.log_folder(Time(DELIVERED)));
        let chain = Chain { trail: "main".to_owned(), home_region: "eu-west-1".to_owned(), ..place };
        let copy = Self { folder, log, digest: DigestName { chain, end: END } };
        copy.put_log(&[OTHER, RECORD]);
        copy
    }

    fn digest_key(&self) -> String {
        self.digest.chain.key(END)
    }

    fn put_log(&self, records: &[&str]) {
        put(&self.log, &gzip(&text_of(records)));
    }

    /// Signs a hash under the log file's own name, as it is in the bucket.
    fn put_digest(&self, log: &str, hash: &str) -> Digest {
        let own = |key: &str| key[key.rfind("AWSLogs/").unwrap()..].to_owned();
        let files: Vec<Value> = match log {
            "" => Vec::new(),
            log => vec![json!({"s3Bucket": "logs", "s3Object": own(log), "hashValue": hash})],
        };
        let text = json!({
            "digestStartTime": Time(END.0 - 3600).to_string(), "digestEndTime": END.to_string(), "digestS3Bucket": "logs",
            "digestS3Object": own(&self.digest_key()), "digestPublicKeyFingerprint": "f", "previousDigestSignature": null,
            "logFiles": files,
        });
        put(&self.digest_key(), &gzip(text.to_string().as_bytes()));
        Digest::parse(text.to_string().as_bytes()).unwrap()
    }

    /// What `functions/verify` keeps of a digest.
    async fn verified(&self, digest: &Digest, problems: &[&str], head: Time) -> State {
        let state = table().await;
        let chain = &self.digest.chain;
        let record = DigestRecord {
            object: self.digest_key(),
            sha256: digest.hash.clone(),
            logs: 1,
            problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
            verified: Time(END.0 + 900),
        };
        state.keep_digest(chain, END, &record).await.unwrap();
        let head = ChainHead { bucket: String::new(), end: head, ..ChainHead::of(chain, digest, None) };
        let chain = ChainState {
            since: head.start,
            head,
            digests: 1,
            logs: 1,
            problems: 0,
            foreign: 0,
            compared: END,
            last_problem: None,
            v: 1,
        };
        assert!(state.put_chain(&chain).await.unwrap());
        state
    }

    async fn prove(&self, state: Option<&State>, json: &str) -> Proven {
        let stores = Stores::new(SdkConfig::builder().build());
        let prover = Prover { stores: &stores, state, log_buckets: &[] };
        prover.prove(&Shown { object: &self.log, index: 1, json }).await.unwrap()
    }
}

fn text_of(records: &[&str]) -> Vec<u8> {
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}

fn hash_of(records: &[&str]) -> String {
    hex(&sha256(&text_of(records)))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn put(path: &str, bytes: &[u8]) {
    std::fs::create_dir_all(path.rsplit_once('/').unwrap().0).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_verified_digest_proves_a_record() {
    let copy = Copy::new();
    let digest = copy.put_digest(&copy.log, &hash_of(&[OTHER, RECORD]));
    let state = copy.verified(&digest, &[], END).await;
    let proven = copy.prove(Some(&state), RECORD).await;
    assert_eq!((proven.standing, proven.window), (Standing::Proven, Some(digest.window())), "{}", proven.reason);
    assert_eq!(proven.digest, Some(copy.digest_key()));
    // Problems of other log files in the same digest are none of this record's.
    let state = copy.verified(&digest, &["log_changed", "log_missing"], END).await;
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Proven);
}

#[tokio::test]
async fn a_digest_that_did_not_prove_itself_proves_nothing() {
    let copy = Copy::new();
    let digest = copy.put_digest(&copy.log, &hash_of(&[OTHER, RECORD]));
    for taint in TAINTED {
        let state = copy.verified(&digest, &[taint], END).await;
        let proven = copy.prove(Some(&state), RECORD).await;
        assert!(proven.standing == Standing::Unknown && proven.reason.contains(taint), "{proven:?}");
    }
    let state = copy.verified(&digest, &[], END).await;
    copy.put_digest(&copy.log, &hash_of(&[RECORD]));
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Changed, "another digest lies there");
}

#[tokio::test]
async fn what_was_changed_since_is_told() {
    let copy = Copy::new();
    let digest = copy.put_digest(&copy.log, &hash_of(&[OTHER, RECORD]));
    let state = copy.verified(&digest, &[], END).await;
    let almost = RECORD.replace("\"1.11\", ", "\"1.11\",");
    assert_eq!(copy.prove(Some(&state), &almost).await.standing, Standing::Changed, "one space");
    copy.put_log(&[RECORD]);
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Changed, "its neighbour is gone");
    copy.put_log(&[OTHER]);
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Changed, "it is gone itself");
    put(&copy.log, &[gzip(&text_of(&[OTHER, RECORD])), b"more".to_vec()].concat());
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Changed, "bytes follow");
    put(&copy.log, &gzip(&text_of(&[OTHER, RECORD]))[..40]);
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Changed, "it is cut off");
    std::fs::remove_file(&copy.log).unwrap();
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Missing);
}

#[tokio::test]
async fn what_is_not_signed_yet_is_not_what_never_was() {
    let copy = Copy::new();
    let digest = copy.put_digest("", "");
    let state = copy.verified(&digest, &[], END).await;
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Waiting);
    let state = copy.verified(&digest, &[], Time(END.0 + SIGNED_WITHIN)).await;
    assert_eq!(copy.prove(Some(&state), RECORD).await.standing, Standing::Unsigned);
}

#[tokio::test]
async fn digests_in_a_folder_list_and_do_not_prove() {
    let copy = Copy::new();
    assert_eq!(copy.prove(None, RECORD).await.standing, Standing::Unknown, "no digest");
    copy.put_digest(&copy.log, &hash_of(&[OTHER, RECORD]));
    let proven = copy.prove(None, RECORD).await;
    assert!(proven.standing == Standing::Listed && proven.reason.contains("qtrail verify"), "{proven:?}");
    assert_eq!(copy.prove(Some(&table().await), RECORD).await.standing, Standing::Listed, "a state without chains");
    copy.put_digest(&copy.log, &hash_of(&[RECORD]));
    assert_eq!(copy.prove(None, RECORD).await.standing, Standing::Changed);
    copy.put_digest("", "");
    assert_eq!(copy.prove(None, RECORD).await.standing, Standing::Waiting);
    assert!(copy.folder.path().exists());
}

#[tokio::test]
async fn only_log_buckets_are_read() {
    let stores = Stores::new(SdkConfig::builder().build());
    let buckets = ["logs".to_owned()];
    let prover = Prover { stores: &stores, state: None, log_buckets: &buckets };
    for object in ["/etc/passwd", "other/AWSLogs/a.json.gz", "logs", ""] {
        let answer = prover.prove(&Shown { object, index: 0, json: RECORD }).await.unwrap();
        assert!(answer.standing == Standing::Unknown && answer.reason.contains("none of the log buckets"), "{object}");
    }
}
