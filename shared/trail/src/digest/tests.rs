use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::log_file::{Inflater, Limits};
use crate::record::Record;

#[path = "../../../../tests/support/digests.rs"]
mod making;

use making::{Bucket, START, public_keys};

/// An hour, a bucket and all of its chains: what a command does, over memory.
fn verify(bucket: &Bucket) -> Vec<Problem> {
    verify_window(bucket, None, None)
}

fn keys() -> PublicKeys {
    PublicKeys::from_json(public_keys().to_string().as_bytes()).expect("keys")
}

fn now(bucket: &Bucket) -> Time {
    Time(bucket.chain.end() + 86_400)
}

fn verify_window(bucket: &Bucket, from: Option<i64>, to: Option<i64>) -> Vec<Problem> {
    let (keys, now) = (keys(), now(bucket));
    let mut chains: BTreeMap<Chain, Vec<(Time, &String)>> = BTreeMap::new();
    for key in bucket.objects.keys() {
        if let Some(name) = DigestName::parse(key) {
            chains.entry(name.chain).or_default().push((name.end, key));
        }
    }
    let mut problems = Vec::new();
    for digests in chains.values_mut() {
        digests.sort();
        let mut walk = Walk::new(&keys, now, from.map(Time));
        for (_, key) in digests {
            problems.extend(step(bucket, &mut walk, key));
        }
        let walked = walk.finish(to.map(Time));
        problems.extend(walked.problems);
        problems.extend(walked.gaps.iter().filter(|gap| !explained(bucket, gap)).map(Gap::unexplained));
    }
    problems
}

fn step(bucket: &Bucket, walk: &mut Walk<'_>, key: &str) -> Vec<Problem> {
    let stored = &bucket.objects[key];
    let metadata = Metadata::of(stored.metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let name = DigestName::parse(key).expect("a digest's name");
    match Digest::parse(&bucket.text(key)) {
        Err(reason) => {
            walk.skip(key, &name, reason);
            Vec::new()
        }
        Ok(digest) => {
            let evidence = Evidence::Metadata(&metadata);
            walk.step(&Arrived { bucket: bucket.chain.bucket, key, name: &name, digest: &digest, evidence });
            let judged = digest.log_files.iter();
            judged.filter_map(|log| check_log(log, &found(bucket, &log.object), &name.chain, digest.window())).collect()
        }
    }
}

fn found(bucket: &Bucket, key: &str) -> Found {
    let Some(stored) = bucket.objects.get(key) else { return Found::Nothing };
    let inflated = Inflater::new(Limits::default()).inflate(&stored.gzip);
    match inflated.problem {
        Some(problem) => Found::Damaged(problem.to_string()),
        None => Found::File(Held { sha256: sha256(&inflated.bytes), trailing: inflated.trailing }),
    }
}

fn explained(bucket: &Bucket, gap: &Gap) -> bool {
    bucket.logs.iter().flatten().filter(|key| bucket.objects.contains_key(*key)).any(|key| {
        let file = bucket.json(key);
        let records = file["Records"].as_array().expect("records");
        records.iter().any(|record| {
            let text = record.to_string();
            let change = TrailChange::of(&Record::parse(&text).expect("a record"));
            change.is_some_and(|change| gap.is_explained_by(&change))
        })
    })
}

fn kinds(problems: &[Problem]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = problems.iter().map(|problem| problem.kind.word()).collect();
    kinds.sort_unstable();
    kinds
}

fn plain() -> Bucket {
    making::Chain::default().make()
}

/// Somebody's call upon the trail.
fn call(name: &str, at: i64, parameters: &Value) -> Value {
    crate::testing::record(
        "cloudtrail.amazonaws.com",
        name,
        json!({"eventTime": Time(at).to_string(), "awsRegion": "eu-central-1", "requestParameters": parameters}),
    )
}

#[test]
fn what_aws_delivers_is_in_order_whatever_the_layout() {
    for chain in [
        making::Chain::default(),
        making::Chain { prefix: "my prefix/", ..making::Chain::default() },
        making::Chain { organization: Some("o-exampleorg1"), region: "us-east-1", ..making::Chain::default() },
    ] {
        let bucket = chain.make();
        assert_eq!(verify_window(&bucket, Some(START), Some(bucket.chain.end())), []);
    }
}

#[test]
fn a_name_says_which_chain_it_belongs_to_and_a_chain_makes_the_name() {
    let bucket = making::Chain { prefix: "p/", organization: Some("o-exampleorg1"), ..making::Chain::default() }.make();
    for key in &bucket.digests {
        let name = DigestName::parse(key).expect("a name");
        assert_eq!((&*name.chain.trail, &*name.chain.home_region), ("main_trail", "eu-central-1"));
        assert_eq!(name.chain.key(name.end), *key);
        assert_eq!(name.chain.to_string(), "p/o-exampleorg1/111122223333/eu-central-1/main_trail@eu-central-1");
        let backfill = DigestName::parse(&key.replace(".json.gz", "_backfill.json.gz")).expect("a name");
        assert!(backfill.chain.backfill && backfill.end == name.end && backfill.chain.place() == name.chain.place());
    }
    for key in &bucket.logs[0] {
        assert_eq!(DigestName::parse(key), None);
        let place = DigestName::parse(&bucket.digests[0]).expect("a name").chain.place();
        assert_eq!(Chain::of_log(key), Some(place));
    }
}

#[test]
fn each_of_several_missing_digests_is_told_with_its_window() {
    let mut bucket = plain();
    bucket.delete([2, 3], false);
    let problems = verify(&bucket);
    assert_eq!(kinds(&problems), ["digest_missing"; 2]);
    let objects: Vec<&str> = problems.iter().map(|problem| problem.object.as_str()).collect();
    assert_eq!(objects, [&bucket.digests[3], &bucket.digests[2]]);
    let window = problems[1].window.map(|window| window.to_string());
    assert_eq!(window.as_deref(), Some("2024-11-20T02:05:00Z/2024-11-20T03:05:00Z"));
}

#[test]
fn the_ends_of_a_chain_are_measured_against_the_window_that_must_be_covered() {
    let mut bucket = plain();
    bucket.delete([0, 1, 4, 5], true);
    assert_eq!(kinds(&verify(&bucket)), ["digest_missing"], "the one that the oldest names");
    let (from, to) = (Some(START), Some(bucket.chain.end()));
    let problems = verify_window(&bucket, from, to);
    let mut missing: Vec<&str> = problems.iter().map(|problem| problem.object.as_str()).collect();
    missing.sort_unstable();
    assert_eq!(missing, [0, 1, 4, 5].map(|hour| bucket.digests[hour].as_str()));
    assert_eq!(verify_window(&bucket, Some(START + 7200), Some(bucket.chain.end() - 7200)), []);
}

#[test]
fn what_should_have_come_by_now_is_known_from_the_head_alone() {
    let bucket = plain();
    let key = &bucket.digests[5];
    let digest = Digest::parse(&bucket.text(key)).expect("a digest");
    let head = ChainHead::of(&DigestName::parse(key).expect("a name").chain, &digest, None);
    let stored: ChainHead = serde_json::from_value(serde_json::to_value(&head).expect("JSON")).expect("the same");
    assert_eq!(stored, head);
    assert_eq!(head.missing_by(Time(head.end.0 + GRACE)), []);
    assert_eq!(head.missing_by(Time(head.end.0 + GRACE + 1)).len(), 1);
    assert_eq!(head.missing_by(Time(head.end.0 + GRACE + 2 * HOUR + 1)).len(), 3);
    assert_eq!(head.missing_by(Time(i64::MAX)).len(), 1001, "no flood");
}

#[test]
fn a_gap_has_to_be_explained_by_a_call_upon_this_trail_when_it_begins() {
    let stopped = START + 2 * 3600 - 600;
    let arn = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/main_trail";
    let denied = json!({"errorCode": "AccessDenied"});
    for (record, explained) in [
        (None, false),
        (Some(call("StopLogging", stopped, &json!({"name": "main_trail"}))), true),
        (Some(call("StopLogging", stopped, &json!({"name": arn}))), true),
        (Some(call("DeleteTrail", stopped, &json!({"name": arn}))), true),
        (Some(call("UpdateTrail", stopped, &json!({"name": arn, "enableLogFileValidation": false}))), true),
        (Some(call("UpdateTrail", stopped, &json!({"name": arn}))), false),
        (Some(call("StopLogging", stopped, &json!({"name": "another"}))), false),
        (Some(call("StartLogging", stopped, &json!({"name": "main_trail"}))), false),
        (Some(call("StopLogging", START - 3600, &json!({"name": "main_trail"}))), false),
        (
            Some({
                let mut record = call("StopLogging", stopped, &json!({"name": "main_trail"}));
                record["errorCode"] = denied["errorCode"].clone();
                record
            }),
            false,
        ),
    ] {
        let told = format!("{record:?}");
        let chain =
            making::Chain { anchors: vec![0, 3], record: record.map(|record| (1, record)), ..making::Chain::default() };
        let mut bucket = chain.make();
        bucket.delete([2], true);
        let expected: &[&str] = if explained { &[] } else { &["gap_unexplained"] };
        assert_eq!(kinds(&verify(&bucket)), expected, "{told}");
    }
}

#[test]
fn the_beginning_of_a_chain_has_to_be_explained_where_it_should_have_been_covered() {
    for (name, explained) in [("CreateTrail", true), ("StartLogging", true), ("StopLogging", false)] {
        let record = call(name, START + 60, &json!({"name": "main_trail"}));
        let bucket = making::Chain { record: Some((0, record)), ..making::Chain::default() }.make();
        let expected: &[&str] = if explained { &[] } else { &["gap_unexplained"] };
        assert_eq!(kinds(&verify_window(&bucket, Some(START - 7200), None)), expected, "{name}");
    }
}

#[test]
fn digests_that_lie_about_their_place_time_or_predecessor() {
    let cases: [(&str, &[&str]); 7] = [
        ("digestS3Bucket", &["digest_location"]),
        ("digestS3Object", &["digest_link", "digest_location"]),
        ("digestStartTime", &["digest_window"]),
        ("previousDigestS3Object", &["digest_link"]),
        ("previousDigestS3Bucket", &["digest_link"]),
        ("previousDigestHashValue", &["digest_link"]),
        ("digestSignatureAlgorithm", &["digest_signature"]),
    ];
    for (member, expected) in cases {
        let mut bucket = plain();
        let last = bucket.digests[5].clone();
        let own = json!(last);
        bucket.sign_anew(&last, |digest| {
            digest[member] = match member {
                "previousDigestS3Object" => own,
                "digestS3Object" => digest["previousDigestS3Object"].clone(),
                "digestStartTime" => json!("2024-11-20T05:00:00Z"),
                _ => json!("another"),
            }
        });
        let problems = verify(&bucket);
        let found: std::collections::BTreeSet<_> = kinds(&problems).into_iter().collect();
        assert!(expected.iter().all(|kind| found.contains(kind)), "{member}: {problems:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_hides_nothing_that_is_missing() {
    let mut bucket = plain();
    bucket.delete([2], false);
    bucket.rewrite(&bucket.digests[3].clone(), b"x");
    let end = bucket.chain.end();
    assert_eq!(kinds(&verify(&bucket)), ["digest_missing", "unreadable"]);
    let far = bucket.digests[5].replace("20241120T060500Z", "20441120T060500Z");
    bucket.put(&far, b"x");
    let problems = verify_window(&bucket, Some(START), Some(end + 7200));
    assert!(kinds(&problems).iter().filter(|kind| **kind == "digest_missing").count() > 2, "{problems:?}");
}

#[test]
fn a_date_in_the_future_covers_nothing() {
    let mut bucket = plain();
    let far = bucket.chain.end() + 50 * 365 * 86_400;
    let before = making::Previous { key: bucket.digests[5].clone(), hash: "00".into(), signature: "00".into() };
    bucket.put_digest((far - 3600, far), &[], Some(&before));
    let problems = verify_window(&bucket, None, Some(bucket.chain.end() + 3600));
    assert_eq!(
        kinds(&problems),
        ["digest_link", "digest_link", "digest_missing", "digest_window", "digest_window", "key_unknown"]
    );
}

#[test]
fn keys_as_the_api_answers_and_as_the_cli_prints() {
    let answer = public_keys();
    let mut printed = answer.clone();
    printed["PublicKeyList"][0]["ValidityStartTime"] = json!("2023-11-14T22:13:20+00:00");
    printed["PublicKeyList"][0]["ValidityEndTime"] = json!("2033-05-18T03:33:19Z");
    let keys = keys();
    for text in [printed.to_string(), json!([answer]).to_string(), format!("{answer}\n{answer}")] {
        assert_eq!(PublicKeys::from_json(text.as_bytes()).expect("keys"), keys, "{text}");
    }
    for bad in
        ["", "x", "{}", "[]", r#"{"PublicKeyList":[]}"#, r#"{"PublicKeyList":[{"Fingerprint":"a","Value":"%"}]}"#]
    {
        assert!(PublicKeys::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_known_fingerprint_with_another_key_is_told_and_not_taken() {
    let mut pinned = PublicKeys::default();
    let fingerprint = public_keys()["PublicKeyList"][0]["Fingerprint"].as_str().expect("text").to_owned();
    assert_eq!(pinned.pin(keys()), [Pinned::New(fingerprint.clone())]);
    assert_eq!(pinned.pin(keys()), []);
    let stored: PublicKeys = serde_json::from_value(serde_json::to_value(&pinned).expect("JSON")).expect("keys");
    assert_eq!(stored, pinned);
    let mut other = public_keys();
    other["PublicKeyList"][0]["Value"] = json!("AAAA");
    let other = PublicKeys::from_json(other.to_string().as_bytes()).expect("keys");
    assert_eq!(pinned.pin(other), [Pinned::Changed(fingerprint)]);
    assert_eq!(stored, pinned);
}

#[test]
fn keys_that_are_unknown_or_not_in_force_prove_nothing() {
    let bucket = plain();
    let digest = Digest::parse(&bucket.text(&bucket.digests[0])).expect("a digest");
    let mut late = public_keys();
    late["PublicKeyList"][0]["ValidityStartTime"] = json!(START + 86_400);
    let late = PublicKeys::from_json(late.to_string().as_bytes()).expect("keys");
    let verify = |keys: &PublicKeys| keys.verify(&digest.fingerprint, Some(digest.end), "", "");
    assert!(matches!(verify(&late), Err(SignatureFault::NotInForce { .. })));
    assert!(matches!(verify(&PublicKeys::default()), Err(SignatureFault::UnknownKey(_))));
    assert_eq!(verify(&keys()), Err(SignatureFault::Wrong));
}

#[test]
fn files_that_nobody_signed_are_told_once_they_should_have_been() {
    let bucket = plain();
    let key = &bucket.logs[3][0];
    let delivered = START + 3 * 3600 + 300;
    let covered = |from, to| Some(Window { from: Time(from), to: Time(to) });
    assert!(unsigned(key, None, Time(delivered + GRACE + 60)).is_some());
    assert!(unsigned(key, None, Time(delivered + GRACE - 60)).is_none(), "still to come");
    assert!(unsigned(key, covered(delivered + 60, i64::MAX), Time(i64::MAX)).is_none(), "before validation");
    assert!(unsigned(key, covered(START, delivered), Time(i64::MAX)).is_none(), "not asked for");
    assert!(unsigned(&bucket.digests[0], None, Time(i64::MAX)).is_none(), "no log file");
}

#[test]
fn a_line_for_people_is_one_line_whatever_names_hold() {
    let mut bucket = plain();
    let key = bucket.chain.log_key(START, "\u{202e}evil\nname");
    bucket.put(&key, b"{}");
    let line = unsigned(&key, None, Time(i64::MAX)).expect("told").line();
    assert!(line.starts_with("HIGH     log_unsigned     111122223333/eu-central-1  2024-11-20T00:05:00Z/"), "{line}");
    assert!(!line.contains('\n') && !line.contains('\u{202e}'), "{line}");
}

/// The objects whose every byte matters, with the place of the byte: text, or signature.
fn change_one_byte(bucket: &mut Bucket, object: usize, at: usize, to: u8) -> bool {
    let key = bucket.objects.keys().nth(object % bucket.objects.len()).expect("an object").clone();
    let mut text = bucket.text(&key);
    let signature = bucket.objects[&key].metadata.get("signature").cloned().unwrap_or_default();
    let place = at % (text.len() + signature.len());
    if let Some(byte) = text.get_mut(place) {
        let changed = *byte != to;
        *byte = to;
        bucket.rewrite(&key, &text);
        return changed;
    }
    let mut bytes = signature.into_bytes();
    let byte = &mut bytes[place - text.len()];
    // A letter's case means nothing in hexadecimal.
    let changed = !byte.eq_ignore_ascii_case(&to);
    *byte = to;
    let signature = String::from_utf8_lossy(&bytes).into_owned();
    bucket.objects.get_mut(&key).expect("an object").metadata.insert("signature".to_owned(), signature);
    changed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 256 } else { 2048 }))]

    #[test]
    fn any_byte_that_is_changed_anywhere_is_told(object in 0_usize..16, at in any::<usize>(), to in any::<u8>()) {
        let mut bucket = plain();
        if change_one_byte(&mut bucket, object, at, to) {
            prop_assert!(!verify(&bucket).is_empty());
        } else {
            prop_assert_eq!(verify(&bucket), []);
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..512), text in ".*") {
        let _ = Digest::parse(&bytes);
        let _ = PublicKeys::from_json(&bytes);
        let _ = Metadata::from_json(&bytes);
        let _ = DigestName::parse(&text);
        let _ = Chain::of_log(&text);
    }

    #[test]
    fn digests_with_odd_values_are_judged_without_a_panic(
        member in prop::sample::select(vec!["digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object",
            "digestPublicKeyFingerprint", "previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue",
            "previousDigestSignature", "logFiles"]),
        value in prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!([])), Just(json!([{}])), ".*".prop_map(Value::from),
            Just(json!("-009999-01-01T00:00:00Z")), Just(json!("9999-12-30T00:00:00Z"))],
        hour in 0_usize..6,
    ) {
        let mut bucket = plain();
        let key = bucket.digests[hour].clone();
        let before = bucket.json(&key)[member].clone();
        bucket.sign_anew(&key, |digest| digest[member] = value.clone());
        let silent = before == value || member == "logFiles";
        prop_assert!(silent || !verify_window(&bucket, Some(START), Some(bucket.chain.end())).is_empty());
    }
}
