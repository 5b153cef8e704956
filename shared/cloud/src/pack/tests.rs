use std::io::{Cursor, Read, Seek};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use trail::control::{Status, Verdict};
use trail::detection::Severity;
use trail::digest::{Chain, ChainHead};
use trail::review::{Act, By, Decision, Entry, Period, Population, Subject, SubjectKind, Verb};
use trail::settings::Settings;
use trail::silence::Heard;
use trail::time::Time;

use super::issue::seal;
use super::sheet::{Book, Run, Sheet};
use super::zip::{Archive, Method};
use super::*;
use crate::state::{ChainState, DigestRecord, HeldVerdict, ReviewMeta, State, VerdictChange};
use crate::stores::Place;
use crate::testing::table;

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn period() -> Period {
    Period { id: "2026-Q4".to_owned(), from: at("2026-10-01T00:00:00Z"), to: at("2026-10-04T00:00:00Z") }
}

fn signer(folder: &TempDir) -> Signer {
    Signer::local(&folder.path().join("key.p8"), "111122223333").unwrap()
}

fn ask() -> Ask {
    Ask { period: period(), by: None, account: "111122223333".to_owned(), now: at("2026-10-05T00:00:00Z") }
}

fn checked(bytes: &[u8], known: &Known) -> Verified {
    verify(&mut Cursor::new(bytes), known).unwrap()
}

fn kinds(bytes: &[u8]) -> Vec<ProblemKind> {
    let mut kinds: Vec<_> = checked(bytes, &Known::default()).problems.iter().map(|problem| problem.kind).collect();
    kinds.dedup();
    kinds
}

fn bytes_of(mut file: std::fs::File) -> Vec<u8> {
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn run() -> Run {
    Run { by: "test".to_owned(), at: ask().now, from: period().from, to: period().to }
}

/// A pack with one small table and one small file.
async fn small(signer: &Signer, link: &Link) -> Vec<u8> {
    let mut book = Book::new(tempfile::tempfile().unwrap(), run());
    let mut sheet = Sheet::new("exceptions").unwrap();
    sheet.push(vec![json!("late"), json!("x"), json!(ask().now), json!(""), json!("why")]).unwrap();
    sheet.gap("nothing else");
    book.add(sheet).unwrap();
    book.whole("report.html", ("The report", ""), b"<p>report</p>").unwrap();
    bytes_of(seal(book, (&ask(), link), signer).await.unwrap().1)
}

fn first() -> Link {
    Link { number: 1, previous: None }
}

#[tokio::test]
async fn no_byte_can_be_changed_cut_off_or_added_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let pack = small(&signer(&folder), &first()).await;
    assert_eq!(checked(&pack, &Known::default()).problems, []);
    for place in 0..pack.len() {
        let mut changed = pack.clone();
        changed[place] ^= 1 << (place % 8);
        assert_ne!(kinds(&changed), [], "byte {place} was changed");
        assert_ne!(kinds(&pack[..place]), [], "cut off at {place}");
        let added = [&pack[..place], b"x", &pack[place..]].concat();
        assert_ne!(kinds(&added), [], "added at {place}");
        let missing = [&pack[..place], &pack[place + 1..]].concat();
        assert_ne!(kinds(&missing), [], "byte {place} is missing");
    }
    assert_eq!(kinds(&[&pack[..], b"x"].concat()), [ProblemKind::Added]);
    assert_eq!(kinds(&[b"x", &pack[..]].concat()), [ProblemKind::Added]);
    assert_eq!(kinds(&pack[..pack.len() - 1]), [ProblemKind::CutShort]);
    assert_eq!(kinds(&[]), [ProblemKind::NoArchive]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_make_it_panic_and_none_prove_anything(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), zip in any::<bool>()) {
        if zip {
            bytes.splice(0..0, *b"PK\x03\x04");
            bytes.extend(*b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x30\0\0\0\x20\0\0\0\0\0");
        }
        prop_assert!(!checked(&bytes, &Known::default()).problems.is_empty());
    }
}

/// An archive that somebody else made with a key of his own, out of a pack and his changes.
async fn forged(folder: &TempDir, change: impl Fn(&mut Manifest), files: &[(&str, &[u8])]) -> Vec<u8> {
    let signer = signer(folder);
    let mut archive = Archive::new(tempfile::tempfile().unwrap());
    let mut listed = Vec::new();
    for (path, bytes) in files {
        let written = archive.whole(path, Method::Deflated, bytes).unwrap();
        listed.push(FileFacts {
            path: written.path,
            sha256: written.sha256,
            bytes: written.bytes,
            packed_sha256: written.packed_sha256,
            packed_bytes: written.packed_bytes,
            rows: 0,
            title: String::new(),
            source: String::new(),
            query: String::new(),
            run_by: String::new(),
            run_at: Time(0),
            again: String::new(),
        });
    }
    let pack = small(&signer, &first()).await;
    let mut manifest = checked(&pack, &Known::default()).manifest.unwrap();
    manifest.files = listed;
    change(&mut manifest);
    let text = serde_json::to_vec_pretty(&manifest).unwrap();
    let signature = signer.sign(&text).await.unwrap();
    archive.whole(MANIFEST, Method::Stored, &text).unwrap();
    archive.whole(KEY, Method::Stored, signer.key().pem().as_bytes()).unwrap();
    archive.whole(SIGNATURE, Method::Stored, &signature).unwrap();
    bytes_of(archive.finish().unwrap())
}

#[tokio::test]
async fn each_forgery_has_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let two: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"2")];
    assert_eq!(kinds(&forged(&folder, |_| (), &two).await), []);
    let kinds_of =
        async |change: fn(&mut Manifest), files: &[(&str, &[u8])]| kinds(&forged(&folder, change, files).await);
    assert_eq!(kinds_of(|_| (), &[("../../etc/passwd", b"x")]).await, [ProblemKind::Path]);
    assert_eq!(kinds_of(|_| (), &[("a\\b", b"x"), ("/a", b""), ("a/.b", b"")]).await, [ProblemKind::Path]);
    assert_eq!(kinds_of(|_| (), &[("a", b"1"), ("a", b"1")]).await, [ProblemKind::Duplicate]);
    assert_eq!(
        kinds_of(
            |manifest| {
                manifest.files.pop();
            },
            &two
        )
        .await,
        [ProblemKind::Unlisted]
    );
    assert_eq!(
        kinds_of(|manifest| manifest.files[1].path = "c".into(), &two).await,
        [ProblemKind::Missing, ProblemKind::Unlisted]
    );
    assert_eq!(kinds_of(|manifest| manifest.files.reverse(), &two).await, [ProblemKind::Order]);
    assert_eq!(kinds_of(|manifest| manifest.files[0].sha256 = "0".repeat(64), &two).await, [ProblemKind::Changed]);
    assert_eq!(kinds_of(|manifest| manifest.format = "other/2".into(), &two).await, [ProblemKind::Manifest]);
    assert_eq!(kinds_of(|manifest| manifest.key.sha256 = "0".repeat(64), &two).await, [ProblemKind::Key]);
}

#[tokio::test]
async fn what_inflates_to_more_than_was_said_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = vec![0; 8 << 20];
    let bomb = forged(&folder, |manifest| manifest.files[0].bytes = 10, &[("a", &zeros)]).await;
    assert!(bomb.len() < 20_000);
    assert_eq!(kinds(&bomb), [ProblemKind::Changed]);
}

#[tokio::test]
async fn a_key_that_is_known_has_to_have_signed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pack = small(&signer(&folder), &first()).await;
    let known = |folder: &TempDir| Known { key: Some(signer(folder).key().clone()), previous: None };
    assert_eq!(checked(&pack, &known(&folder)).problems, []);
    let [problem] = &checked(&pack, &known(&other)).problems[..] else { panic!("one problem") };
    assert_eq!(problem.kind, ProblemKind::Key);
    let said = checked(&pack, &Known::default()).statement();
    assert!(said[0].contains("unchanged since 2026-10-05T00:00:00Z, signed by key local of account 111122223333"));
    assert!(
        said.iter().any(|line| line.starts_with("not proven") && line.contains(&signer(&folder).key().fingerprint()))
    );
}

#[tokio::test]
async fn packs_are_a_chain() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(&folder);
    let one = small(&signer, &first()).await;
    let sha256 = |bytes: &[u8]| checked(bytes, &Known::default()).sha256;
    let two = small(&signer, &Link { number: 2, previous: Some(sha256(&one)) }).await;
    let after = |bytes: &[u8], previous: &[u8]| {
        let before = checked(previous, &Known::default());
        let named = before.manifest.and_then(|manifest| manifest.prev_pack_sha256);
        let known = Known { key: None, previous: Some((before.sha256, named)) };
        checked(bytes, &known).problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(after(&two, &one), Vec::<String>::new());
    assert!(after(&one, &two)[0].contains("in the wrong order"));
    let known = Known { key: None, previous: Some(("0".repeat(64), None)) };
    assert!(checked(&two, &known).statement()[0].contains("unchanged since"), "of itself it is as it was signed");
    assert!(after(&two, &two)[0].contains("pack-000002 names"));
    assert!(after(&one, &one)[0].contains("says that it is the first one"));
}

const HOSTILE: &str = "<script>alert(1)</script>";

fn by(who: &str) -> By {
    By {
        who: who.to_owned(),
        arn: format!("arn:aws:iam::111122223333:user/{who}"),
        account: "111122223333".to_owned(),
        proven: "signed".to_owned(),
        address: String::new(),
        person: Some(who.to_owned()),
    }
}

fn subject(name: &str) -> Subject {
    Subject {
        number: 1,
        id: format!("arn:aws:iam::111122223333:user/{name}"),
        kind: SubjectKind::User,
        account: "111122223333".to_owned(),
        name: format!("={HOSTILE}"),
        unique_id: String::new(),
        person: None,
        grants: Vec::new(),
        privileged: true,
        privileged_by: vec!["*".to_owned()],
        mfa: Some(false),
        keys: Vec::new(),
        trusts: Vec::new(),
        created: Some(at("2026-10-02T00:00:00Z")),
        created_by: None,
        given_by: Vec::new(),
        last_used: None,
        actors: Vec::new(),
        usage: trail::review::Usage::default(),
        reviewer: "boss".to_owned(),
        joined: false,
    }
}

/// A state with a little of everything, and a data folder.
async fn filled(folder: &TempDir) -> (State, Place) {
    let state = table().await;
    let place = crate::stores::folder(folder.path()).unwrap();
    let account = "111122223333".to_owned();
    let chain = Chain { account: account.clone(), region: "eu-west-1".to_owned(), ..Chain::default() };
    let heard = Heard {
        account: account.clone(),
        region: "eu-west-1".to_owned(),
        since: Time(0),
        last_heard: Time(1),
        pause: 0,
        pause_before: 0,
        v: 1,
    };
    state.hear(None, &heard).await.unwrap();
    let newest = ChainHead {
        chain: chain.clone(),
        bucket: String::new(),
        object: String::new(),
        start: Time(0),
        end: Time(0),
        hash: String::new(),
        signature: None,
    };
    let end = at("2026-10-02T01:00:00Z");
    let kept = ChainState {
        head: newest,
        since: end,
        digests: 1,
        logs: 3,
        problems: 0,
        foreign: 0,
        compared: end,
        last_problem: None,
        v: 1,
    };
    assert!(state.put_chain(&kept).await.unwrap());
    let object = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/10/02/\
        111122223333_CloudTrail-Digest_eu-west-1_main_eu-west-1_20261002T010000Z.json.gz";
    let digest =
        DigestRecord { object: object.to_owned(), sha256: String::new(), logs: 3, problems: Vec::new(), verified: end };
    state.keep_digest(&chain, end, &digest).await.unwrap();
    judge(&state, &account).await;
    review(&state, &place).await;
    (state, place)
}

async fn judge(state: &State, account: &str) {
    for (time, status) in [("2026-09-01T00:00:00Z", Status::Fail), ("2026-10-02T00:00:00Z", Status::Pass)] {
        let verdict = Verdict {
            control_id: "trail-multi-region".to_owned(),
            status,
            severity: Severity::High,
            account: account.to_owned(),
            region: String::new(),
            resource: "trail".to_owned(),
            reason: HOSTILE.to_owned(),
            blind: Vec::new(),
            evidence: Vec::new(),
            remediation: String::new(),
            remark: String::new(),
            time: at(time),
        };
        let held = HeldVerdict { verdict: verdict.clone(), since: at(time) };
        let change = VerdictChange {
            at: at(time),
            before: None,
            verdict: Some(verdict),
            region: String::new(),
            resource: "trail".to_owned(),
            snapshot: "s".to_owned(),
        };
        state.keep_verdict(&held, None, &change).await.unwrap();
    }
}

async fn review(state: &State, place: &Place) {
    use flate2::write::GzEncoder;
    use std::io::Write;
    let population = Population {
        taken: period().from,
        subjects: vec![subject("eve"), Subject { number: 2, ..subject("bob") }],
        ..Population::default()
    };
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&serde_json::to_vec(&population).unwrap()).unwrap();
    let bytes = gzip.finish().unwrap();
    let sha256 = trail::record::hex(&trail::record::digest(&bytes));
    place.put(&place.join(&["reviews/2026-Q4/population.json.gz"]), bytes).await.unwrap();
    let decision =
        Decision { verb: Verb::Keep, remove: Vec::new(), justification: String::new(), ticket: String::new() };
    let due = at("2026-10-03T00:00:00Z");
    let meta = ReviewMeta {
        period: period(),
        opened: at("2026-10-02T00:00:00Z"),
        due,
        taken: population.taken,
        population: sha256.clone(),
        path: "reviews/2026-Q4/population.json.gz".to_owned(),
        subjects: 2,
        known: trail::review::Known::default(),
        leaver: None,
    };
    assert!(state.put_review(&meta).await.unwrap());
    let next = |_: &[Entry]| {
        let decided = Act::Decided { subject: subject("eve").id, decision: decision.clone() };
        Ok(vec![(None, Act::Opened { population: sha256.clone(), due }), (Some(by("eve")), decided)])
    };
    state.append("2026-Q4", meta.opened, next).await.unwrap();
}

fn unpacked(bytes: &[u8], path: &str) -> String {
    let mut file = Cursor::new(bytes);
    let entries = super::zip::entries(&mut file).unwrap();
    let entry = entries.iter().find(|entry| entry.path == path).unwrap();
    let mut text = String::new();
    let packed = super::zip::packed(&mut file, entry).unwrap();
    flate2::read::DeflateDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn a_pack_says_what_was_seen_and_what_was_not() {
    let home = tempfile::tempdir().unwrap();
    let (state, data) = filled(&home).await;
    let settings = Settings::default();
    let sources = Sources { state: &state, data: &data, lake: None, settings: &settings };
    let (record, built) = issue(&sources, &ask(), &signer(&home), &data).await.unwrap();
    assert_eq!((record.id.as_str(), record.location.as_str()), ("pack-000001", "packs/pack-000001.zip"));
    let bytes = std::fs::read(home.path().join("packs/pack-000001.zip")).unwrap();
    assert_eq!(checked(&bytes, &Known::default()).problems, []);
    let csv = |name: &str| unpacked(&bytes, &format!("data/{name}.csv"));
    assert!(
        csv("controls").contains("FAIL") && csv("controls").contains("PASS"),
        "how it stood before, and the change"
    );
    assert!(csv("digests").contains("2026-10-02,111122223333,eu-west-1"));
    assert!(csv("log-files").contains("2026-10-02,111122223333,0,3,0,0,0,0,true"));
    assert!(csv("review-subjects").contains(&format!("'={HOSTILE}")), "formulas are disarmed");
    for said in ["self_decided", "late,2026-Q4", "undecided,arn:aws:iam::111122223333:user/bob"] {
        assert!(csv("exceptions").contains(said), "{said}: {}", csv("exceptions"));
    }
    let gaps: Vec<&str> = built.manifest.gaps.iter().map(|gap| gap.what.as_str()).collect();
    for said in ["on 2026-10-01, 2026-10-03;", "there was no lake to ask", "no log file read of account 111122223333"] {
        assert!(gaps.iter().any(|gap| gap.contains(said)), "{said}: {gaps:?}");
    }
    let report = unpacked(&bytes, "report.html");
    assert!(!report.contains(HOSTILE) && report.contains("alert(1)"), "escaped, and there");
    assert!(!report.contains("src=") && !report.contains("href="), "nothing from elsewhere");
    assert!(unpacked(&bytes, "coverage.csv").contains("CC8.1"));
    let listed = built.manifest.files.iter().all(|file| !file.path.starts_with("data/") || !file.source.is_empty());
    assert!(listed && built.manifest.files.len() == 2 * trail::evidence::ITEMS.len() + 2);
}

#[tokio::test]
async fn the_same_evidence_gives_the_same_bytes_but_for_the_signature() {
    let home = tempfile::tempdir().unwrap();
    let (state, data) = filled(&home).await;
    let settings = Settings::default();
    let sources = Sources { state: &state, data: &data, lake: None, settings: &settings };
    let signer = signer(&home);
    let one = build(&sources, &ask(), &signer, &first()).await.unwrap();
    let two = build(&sources, &ask(), &signer, &first()).await.unwrap();
    assert_eq!(one.manifest, two.manifest);
}

#[tokio::test]
async fn a_pack_whose_line_was_lost_is_taken_up() {
    let home = tempfile::tempdir().unwrap();
    let (state, data) = filled(&home).await;
    let settings = Settings::default();
    let sources = Sources { state: &state, data: &data, lake: None, settings: &settings };
    issue(&sources, &ask(), &signer(&home), &data).await.unwrap();
    // The table knows of none: the run ended before it was told.
    let (state, _) = filled(&home).await;
    let sources = Sources { state: &state, ..sources };
    let (second, _) = issue(&sources, &ask(), &signer(&home), &data).await.unwrap();
    let packs = state.packs().await.unwrap();
    assert_eq!(packs.iter().map(|pack| pack.id.as_str()).collect::<Vec<_>>(), ["pack-000001", "pack-000002"]);
    assert_eq!(second.prev_pack_sha256.as_ref(), Some(&packs[0].sha256));
    // What lies there and is none of ours stops the chain, and says so.
    std::fs::write(home.path().join("packs/pack-000003.zip"), b"x").unwrap();
    let error = issue(&sources, &ask(), &signer(&home), &data).await.unwrap_err().to_string();
    assert!(error.contains("packs/pack-000003.zip") && error.contains("move it away"), "{error}");
}

#[test]
fn a_table_of_any_length_keeps_only_its_first_rows_in_memory() {
    let mut sheet = Sheet::new("exceptions").unwrap();
    for number in 0..50_000 {
        sheet.push(vec![json!("late"), json!(number), json!(""), json!(""), json!("x".repeat(100))]).unwrap();
    }
    assert_eq!((sheet.rows, sheet.shown.len()), (50_000, super::sheet::SHOWN));
    let mut book = Book::new(tempfile::tempfile().unwrap(), run());
    book.add(sheet).unwrap();
    assert!(book.files.iter().all(|file| file.rows == 50_000 && file.bytes > 5_000_000));
}
