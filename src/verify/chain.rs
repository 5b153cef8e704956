//! One chain: its digests in order, and the log files that they sign.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryFutureExt, stream};
use trail::digest::{
    Arrived, Chain, Digest, DigestName, Evidence, Found, Gap, Held, LoggedFile, Metadata, Problem, ProblemKind, Walk,
    Window, check_log,
};
use trail::log_file::{Inflater, Limits};
use trail::record::digest as sha256;
use trail::time::Time;

use super::Verification;
use super::source::Object;

/// How many chains are followed at once.
const CHAINS: usize = 4;

/// How many objects of one chain are on their way at once.
const IN_FLIGHT: usize = 16;

/// A chain that was followed to its end.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) chain: Chain,
    pub(super) problems: Vec<Problem>,
    pub(super) gaps: Vec<Gap>,
    pub(super) covered: Option<Window>,
    pub(super) digests: usize,
    /// The log files that its digests sign, as marks.
    pub(super) signed: HashSet<u64>,
    /// Those of them that are there, and as signed by a digest in whose signature nothing is wrong.
    pub(super) proven: HashSet<u64>,
}

/// A digest that was read, or why not.
struct Loaded {
    key: String,
    name: DigestName,
    metadata: Option<Metadata>,
    digest: Result<Digest, String>,
    trailing: usize,
}

impl Verification {
    /// Follows all chains.
    pub(super) async fn follow_all(self: &Arc<Self>, chains: BTreeMap<Chain, Vec<(Time, String)>>) -> Vec<Followed> {
        let chains = chains.into_iter().map(|(chain, digests)| self.clone().follow(chain, digests));
        stream::iter(chains).buffered(CHAINS).collect().await
    }

    async fn follow(self: Arc<Self>, chain: Chain, digests: Vec<(Time, String)>) -> Followed {
        let mut walk = Walk::new(&self.keys, self.asked.now, self.asked.from);
        let mut followed = Followed { chain: chain.clone(), digests: digests.len(), ..Followed::default() };
        let named = digests.into_iter().map(|(end, key)| (DigestName { chain: chain.clone(), end }, key));
        let loads = named.map(|(name, key)| self.load(name, key));
        let mut loads = std::pin::pin!(stream::iter(loads).buffered(IN_FLIGHT));
        let mut next = loads.next().await;
        while let Some(loaded) = next {
            next = loads.next().await;
            let successor = next.as_ref().and_then(|next| next.digest.as_ref().ok());
            let proven = take_step(&mut walk, &loaded, successor, &self.source.bucket);
            if loaded.trailing > 0 {
                let detail = format!("{} bytes follow the end of what AWS signed", loaded.trailing);
                followed.problems.push(Problem::new(ProblemKind::LogAppended, &loaded.key, &chain, detail));
            }
            if let Ok(digest) = loaded.digest {
                self.check_logs(digest, proven, &mut followed).await;
            }
            self.bar.inc(1);
        }
        if followed.digests == 0 {
            return self.nothing_in_window(followed);
        }
        let walked = walk.finish(self.asked.to);
        followed.problems.extend(walked.problems);
        followed.gaps = walked.gaps;
        followed.covered = walked.covered;
        followed
    }

    /// A chain whose digests all lie outside of what was asked for.
    fn nothing_in_window(&self, mut followed: Followed) -> Followed {
        if let Some(window) = self.asked.window() {
            let detail = "none of its digests covers any of this window";
            let told = Problem::new(ProblemKind::DigestMissing, "", &followed.chain, detail).within(window);
            followed.problems.extend((!followed.chain.backfill).then_some(told));
        }
        followed
    }

    async fn load(&self, name: DigestName, key: String) -> Loaded {
        let read = self.source.read(&key).await.and_then(|found| found.ok_or_else(|| "it is gone".to_owned()));
        match read {
            Err(reason) => Loaded { key, name, metadata: None, digest: Err(reason), trailing: 0 },
            Ok(Object { bytes, metadata }) => {
                let inflated = Inflater::new(Limits::default()).inflate(&bytes);
                let digest = match inflated.problem {
                    Some(problem) => Err(problem.to_string()),
                    None => Digest::parse(&inflated.bytes),
                };
                Loaded { key, name, metadata, digest, trailing: inflated.trailing }
            }
        }
    }

    async fn check_logs(self: &Arc<Self>, digest: Digest, proven: bool, followed: &mut Followed) {
        let window = digest.window();
        let checks = digest.log_files.into_iter().map(|log| {
            let this = self.clone();
            // Tasks of their own: inflating and hashing take all cores.
            tokio::spawn(async move {
                let found = this.find(&log).await;
                (log, found)
            })
            .map_err(|error| error.to_string())
        });
        let mut checks = stream::iter(checks).buffer_unordered(IN_FLIGHT);
        while let Some(done) = checks.next().await {
            // A task ends early only with the process.
            let Ok((log, found)) = done else { continue };
            let mark = self.mark(&log.object);
            let problem = check_log(&log, &found, &followed.chain, window);
            if proven && problem.is_none() {
                followed.proven.insert(mark);
            }
            if followed.signed.insert(mark) {
                self.bar.inc(1);
            }
            followed.problems.extend(problem);
        }
    }

    /// What lies under a signed log file's name.
    async fn find(&self, log: &LoggedFile) -> Found {
        if log.bucket != self.source.bucket {
            return Found::Unreadable(format!("it lies in another bucket, {}, which was not looked at", log.bucket));
        }
        match self.source.read(&log.object).await {
            Err(reason) => Found::Unreadable(reason),
            Ok(None) => Found::Nothing,
            Ok(Some(object)) => found_in(&object.bytes),
        }
    }
}

thread_local! {
    /// Inflating needs tables and a buffer, which are used again.
    static INFLATER: std::cell::RefCell<Inflater> = std::cell::RefCell::new(Inflater::new(Limits::default()));
}

fn found_in(bytes: &[u8]) -> Found {
    INFLATER.with_borrow_mut(|inflater| {
        let inflated = inflater.inflate(bytes);
        let found = match inflated.problem {
            Some(problem) => Found::Damaged(problem.to_string()),
            None => Found::File(Held { sha256: sha256(&inflated.bytes), trailing: inflated.trailing }),
        };
        inflater.recycle(inflated.bytes);
        found
    })
}

/// Walks on to the next digest; yields whether AWS signed it beyond doubt.
fn take_step(walk: &mut Walk<'_>, loaded: &Loaded, successor: Option<&Digest>, bucket: &str) -> bool {
    let Loaded { key, name, metadata, digest, .. } = loaded;
    let digest = match digest {
        Ok(digest) => digest,
        Err(reason) => {
            walk.skip(key, name, reason.clone());
            return false;
        }
    };
    let successor = successor.filter(|next| next.previous_object.as_deref() == Some(key));
    let evidence = match (metadata, successor.and_then(|next| next.previous_signature.as_deref())) {
        (Some(metadata), _) => Evidence::Metadata(metadata),
        (None, Some(signature)) => Evidence::Successor(signature),
        (None, None) => Evidence::Lost,
    };
    walk.step(&Arrived { bucket, key, name, digest, evidence })
}
