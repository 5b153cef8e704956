//! How fast log files are verified: where their hashes are known, and where they have to be inflated for it.

use std::collections::HashMap;

use flate2::bufread::GzDecoder;
use trail::digest::{
    Arrived, Digest, DigestName, Evidence, Found, Held, LoggedFile, Metadata, PublicKeys, Walk, check_log,
};
use trail::log_file::{Inflater, Limits};
use trail::record::{digest as sha256, hex};
use trail::time::Time;

use crate::corpus::{Corpus, LogFile};
use crate::digests::{Bucket, Chain, public_keys};
use crate::{best_and_median, cpu_seconds, verdict};

/// Log files a second and core, where only hashes are compared.
const LEAST_RATE: f64 = 1000.0;

/// Prints both.
pub(crate) fn report(rounds: usize) {
    println!("verify: CPU time of one thread, {rounds} rounds");
    compare_hashes(rounds);
    compute_hashes(rounds);
}

/// What happens when digests arrive and `ingest` has stored the hashes: everything but fetching.
fn compare_hashes(rounds: usize) {
    let bucket = Chain { hours: 24, logs: 400, ..Chain::default() }.make();
    let keys = PublicKeys::from_json(public_keys().to_string().as_bytes()).expect("keys");
    let known: HashMap<&str, Found> = bucket
        .logs
        .iter()
        .flatten()
        .map(|key| (key.as_str(), Found::File(Held { sha256: sha256(&bucket.text(key)), trailing: 0 })))
        .collect();
    let times: Vec<f64> = (0..rounds).map(|_| cpu_seconds(|| walk(&bucket, &keys, &known))).collect();
    let (best, median) = best_and_median(&times);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let files = known.len() as f64;
    let (best, median) = (files / best, files / median);
    println!(
        "{:<32} best {best:>7.0} files/s  median {median:>7.0} files/s; 24 digests, {files} log files; limit \
         {LEAST_RATE}: {}",
        "hashes compared",
        verdict(median >= LEAST_RATE)
    );
}

fn walk(bucket: &Bucket, keys: &PublicKeys, known: &HashMap<&str, Found>) {
    let mut inflater = Inflater::new(Limits::default());
    let mut walk = Walk::new(keys, Time(i64::MAX), None);
    let mut problems = 0;
    for key in &bucket.digests {
        let stored = &bucket.objects[key];
        let text = inflater.inflate(&stored.gzip);
        let digest = Digest::parse(&text.bytes).expect("a digest");
        inflater.recycle(text.bytes);
        let name = DigestName::parse(key).expect("a name");
        let metadata = Metadata::of(stored.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let evidence = Evidence::Metadata(&metadata);
        walk.step(&Arrived { bucket: bucket.chain.bucket, key, name: &name, digest: &digest, evidence });
        let judged = |log: &LoggedFile| check_log(log, &known[log.object.as_str()], &name.chain, digest.window());
        problems += digest.log_files.iter().filter_map(judged).count();
    }
    assert_eq!((problems, walk.finish(None).problems.len()), (0, 0));
}

/// What happens when a bucket is verified from the objects alone.
fn compute_hashes(rounds: usize) {
    let files: Vec<LogFile> = Corpus { records: 50_000, ..Corpus::default() }.files().collect();
    let signed: Vec<LoggedFile> = files.iter().map(signed).collect();
    let (mut plain, mut inflating, mut verifying) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(cpu_seconds(|| inflate_plainly(&files)));
        inflating.push(cpu_seconds(|| verify(&files, None)));
        verifying.push(cpu_seconds(|| verify(&files, Some(&signed))));
    }
    let figure = |name, times: &[f64]| {
        let (_, median) = best_and_median(times);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (count, megabytes) =
            (files.len() as f64, files.iter().map(|file| file.json_bytes).sum::<usize>() as f64 / 1e6);
        println!("{name:<32} median {:>7.0} files/s  {:>6.0} MB/s", count / median, megabytes / median);
        median
    };
    let plain = figure("D flate2, nothing else", &plain);
    let inflating = figure("E our inflating alone", &inflating);
    let all = figure("F inflate, hash, compare", &verifying);
    println!(
        "ratio D/E {:.2}; limit 1.00: {}; D/F {:.2}: the rest is SHA-256",
        plain / inflating,
        verdict(plain / inflating >= 1.0),
        plain / all
    );
}

fn signed(file: &LogFile) -> LoggedFile {
    let text = Inflater::new(Limits::default()).inflate(&file.gzip).bytes;
    let hash = hex(&sha256(&text));
    LoggedFile { bucket: String::new(), object: file.key.clone(), hash, algorithm: None }
}

fn inflate_plainly(files: &[LogFile]) {
    let mut text = Vec::new();
    for file in files {
        text.clear();
        std::io::Read::read_to_end(&mut GzDecoder::new(&file.gzip[..]), &mut text).expect("whole gzip");
        assert_eq!(text.len(), file.json_bytes);
    }
}

fn verify(files: &[LogFile], signed: Option<&[LoggedFile]>) {
    let mut inflater = Inflater::new(Limits::default());
    let name = DigestName::parse(NAME).expect("a name");
    let window = trail::digest::Window { from: name.end, to: name.end };
    for (at, file) in files.iter().enumerate() {
        let text = inflater.inflate(&file.gzip);
        assert_eq!((&text.problem, text.bytes.len()), (&None, file.json_bytes));
        if let Some(signed) = signed {
            let held = Held { sha256: sha256(&text.bytes), trailing: text.trailing };
            assert_eq!(check_log(&signed[at], &Found::File(held), &name.chain, window), None);
        }
        inflater.recycle(text.bytes);
    }
}

/// Some digest's name.
const NAME: &str = "111122223333_CloudTrail-Digest_eu-central-1_main_eu-central-1_20241120T010500Z.json.gz";
