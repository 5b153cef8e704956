//! `qtrail verify`: log files and digests against what AWS signed.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use trail::digest::{Chain, DigestName, Problem, ProblemKind, PublicKeys, Window, unsigned};
use trail::object_key::{ObjectKey, ObjectKind};
use trail::time::Time;

use crate::Ending;
use crate::cli::{ProblemFormat, VerifyArgs};
use crate::output::{self, Printer};

mod chain;
mod gaps;
mod source;

use chain::Followed;
use source::Source;

/// Runs the command.
pub(crate) async fn run(arguments: VerifyArgs) -> anyhow::Result<Ending> {
    let keys = keys(&arguments)?;
    if let (Some(from), Some(to)) = (arguments.from, arguments.to) {
        ensure!(from < to, "--from {from} is not before --to {to}");
    }
    let asked = Asked { from: arguments.from, to: arguments.to, now: now() };
    let verified = verify(&arguments.source, keys, asked).await?;
    print(&mut Printer::new(), &verified.problems, arguments.format)?;
    output::note(&verified.summary());
    Ok(verified.ending())
}

/// Verifies all chains of a bucket or a folder.
pub(crate) async fn verify(name: &str, keys: PublicKeys, asked: Asked) -> anyhow::Result<Verified> {
    let started = Instant::now();
    let source = Source::open(name).await?;
    let listed = Listed::of(source.list().await?);
    if listed.digests.is_empty() && listed.logs.is_empty() && asked.window().is_none() {
        bail!(
            "{name}: no digests and no log files there\nhint: digests lie under AWSLogs/…/CloudTrail-Digest/; say \
             --from and --to if there should be some"
        );
    }
    let bar = output::progress((listed.logs.len() + listed.digests.values().map(Vec::len).sum::<usize>()) as u64);
    let verification = Verification { source, keys, asked, hashes: RandomState::new(), bar };
    let verified = Arc::new(verification).all(listed).await;
    Ok(Verified { seconds: started.elapsed().as_secs_f64(), ..verified })
}

fn keys(arguments: &VerifyArgs) -> anyhow::Result<PublicKeys> {
    let path = arguments.keys.display();
    let text = std::fs::read(&arguments.keys).with_context(|| format!("{path}"))?;
    PublicKeys::from_json(&text).with_context(|| {
        format!("{path}: hint: write it with `aws cloudtrail list-public-keys --start-time … --region …`")
    })
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Prints problems, a line each.
pub(crate) fn print(printer: &mut Printer, problems: &[Problem], format: ProblemFormat) -> anyhow::Result<()> {
    for problem in problems {
        match format {
            ProblemFormat::Text => printer.graded(problem.severity, &problem.line())?,
            ProblemFormat::Ndjson => printer.line(&serde_json::to_string(problem)?)?,
        }
    }
    Ok(())
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// From when on everything has to be covered.
    pub(crate) from: Option<Time>,
    /// Until when.
    pub(crate) to: Option<Time>,
    /// The time of the judgement.
    pub(crate) now: Time,
}

impl Asked {
    /// Whether a digest whose window ends then belongs to what is asked for: the last one begins before `to`.
    fn wants(&self, end: Time) -> bool {
        let after = self.from.is_none_or(|from| from < end);
        after && self.to.is_none_or(|to| end.0.saturating_sub(3600) < to.0)
    }

    fn window(&self) -> Option<Window> {
        let any = self.from.is_some() || self.to.is_some();
        any.then(|| Window { from: self.from.unwrap_or_default(), to: self.to.unwrap_or(self.now) })
    }
}

/// What lies there.
#[derive(Debug, Default)]
struct Listed {
    digests: BTreeMap<Chain, Vec<(Time, String)>>,
    logs: Vec<String>,
    /// Among the digests, but not by their names.
    odd: Vec<String>,
}

impl Listed {
    fn of(keys: Vec<String>) -> Self {
        let mut listed = Self::default();
        for key in keys {
            if let Some(name) = DigestName::parse(&key) {
                listed.digests.entry(name.chain).or_default().push((name.end, key));
            } else if Chain::of_log(&key).is_some() {
                listed.logs.push(key);
            } else if key.ends_with(".json.gz") && ObjectKey::parse(&key).kind == ObjectKind::Digest {
                listed.odd.push(key);
            }
        }
        listed.digests.values_mut().for_each(|digests| digests.sort());
        listed.logs.sort();
        listed
    }
}

/// A run over one source.
struct Verification {
    source: Source,
    keys: PublicKeys,
    asked: Asked,
    hashes: RandomState,
    bar: indicatif::ProgressBar,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// What is wrong, in order of chain and time.
    pub(crate) problems: Vec<Problem>,
    digests: usize,
    logs: usize,
    /// Log files that nothing signs and nothing should: older than the first digest, or while validation was off.
    beyond: usize,
    covered: Option<Window>,
    seconds: f64,
}

impl Verification {
    async fn all(self: Arc<Self>, listed: Listed) -> Verified {
        let Listed { mut digests, logs, odd } = listed;
        for wanted in digests.values_mut() {
            wanted.retain(|(end, _)| self.asked.wants(*end));
        }
        let mut followed = self.follow_all(digests).await;
        self.bar.finish_and_clear();
        let mut verified = Verified::default();
        verified.problems.extend(odd.iter().map(|key| {
            let detail = "it lies among the digests, but no digest of CloudTrail's has such a name";
            Problem::new(ProblemKind::DigestLocation, key, &Chain::default(), detail)
        }));
        let explained = self.explain(&mut followed, &logs).await;
        self.look_for_unsigned(&followed, &logs, &explained, &mut verified);
        for one in followed {
            verified.take(one);
        }
        verified.finish()
    }

    /// One way to remember a name in eight bytes; nobody outside can make two names meet.
    fn mark(&self, key: &str) -> u64 {
        self.hashes.hash_one(key)
    }

    fn look_for_unsigned(&self, followed: &[Followed], logs: &[String], off: &[(Chain, Window)], into: &mut Verified) {
        let signed: HashSet<u64> = followed.iter().flat_map(|one| one.signed.iter().copied()).collect();
        let mut places: BTreeMap<Chain, Option<Window>> = BTreeMap::new();
        for one in followed.iter().filter(|one| !one.chain.backfill) {
            let known = places.entry(one.chain.place()).or_default();
            let from = self.asked.from.or(one.covered.map(|covered| covered.from));
            let from = from.into_iter().chain(known.map(|known| known.from)).min();
            *known = from.map(|from| Window { from, to: self.asked.to.unwrap_or(Time(i64::MAX)) });
        }
        let mut without: BTreeMap<Chain, Vec<&String>> = BTreeMap::new();
        for key in logs.iter().filter(|key| !signed.contains(&self.mark(key))) {
            let Some(place) = Chain::of_log(key) else { continue };
            let delivered = ObjectKey::parse(key).time.unwrap_or_default();
            if off.iter().any(|(chain, window)| *chain == place && window.from <= delivered && delivered < window.to) {
                into.beyond += 1;
            } else if let Some(covered) = places.get(&place) {
                let told = unsigned(key, *covered, self.asked.now);
                into.beyond += usize::from(told.is_none());
                into.problems.extend(told);
            } else if unsigned(key, self.asked.window(), self.asked.now).is_some() {
                without.entry(place).or_default().push(key);
            }
        }
        into.problems.extend(without.iter().map(|(place, keys)| no_digests(place, keys)));
        if followed.is_empty()
            && without.is_empty()
            && let Some(window) = self.asked.window()
        {
            let detail = "no digest and no log file lies there: nothing proves that anything was recorded";
            let told = Problem::new(ProblemKind::DigestMissing, self.source.name(), &Chain::default(), detail);
            into.problems.push(told.within(window));
        }
    }
}

/// Log files of an account and region where no digest is.
fn no_digests(place: &Chain, keys: &[&String]) -> Problem {
    let times = || keys.iter().filter_map(|key| ObjectKey::parse(key).time);
    let window = Window { from: times().min().unwrap_or_default(), to: times().max().unwrap_or_default() };
    let detail = format!("{} log files lie there and no digest: nothing proves them", keys.len());
    let folder = format!("{}AWSLogs/{}/CloudTrail-Digest/{}/", place.prefix, place.account, place.region);
    Problem::new(ProblemKind::DigestMissing, &folder, place, detail).within(window)
}

impl Verified {
    fn take(&mut self, one: Followed) {
        self.digests += one.digests;
        self.logs += one.signed.len();
        self.problems.extend(one.problems);
        if let Some(covered) = one.covered.filter(|_| !one.chain.backfill) {
            let so_far = self.covered.unwrap_or(covered);
            self.covered = Some(Window { from: so_far.from.max(covered.from), to: so_far.to.min(covered.to) });
        }
    }

    fn finish(mut self) -> Self {
        self.problems.sort_by(|a, b| {
            let order = |p: &Problem| (p.chain.clone(), p.window, p.kind, p.object.clone());
            order(a).cmp(&order(b))
        });
        self.problems.dedup();
        self
    }

    /// The last line. `covered` is what every chain covers.
    pub(crate) fn summary(&self) -> String {
        let covered = self.covered.filter(|covered| covered.from < covered.to);
        let covered = covered.map_or_else(|| "-".to_owned(), |covered| covered.to_string());
        format!(
            "digests={} logs={} beyond={} problems={} covered={covered} seconds={:.2}",
            self.digests,
            self.logs,
            self.beyond,
            self.problems.len(),
            self.seconds
        )
    }

    fn ending(&self) -> Ending {
        if self.problems.iter().any(|problem| problem.kind == ProblemKind::Unreadable) {
            Ending::Unread
        } else if self.problems.is_empty() {
            Ending::Done
        } else {
            Ending::Found
        }
    }
}
