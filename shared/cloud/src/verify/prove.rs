//! Whether one record is what CloudTrail delivered, and AWS signed.

use std::collections::BTreeSet;

use serde::Serialize;
use trail::digest::{Chain, Found, Held, LoggedFile, Window, check_log};
use trail::envelope::ObjectRef;
use trail::log_file::{Inflater, Limits, position_of};
use trail::object_key::ObjectKey;
use trail::record::digest as sha256;
use trail::time::Time;

use super::read::{self, Read};
use crate::error::Error;
use crate::state::{ChainState, DigestRecord, State};
use crate::stores::Stores;

/// Until when after its delivery a log file is signed, in seconds: by the digest of its hour or one of the two after
/// it, and a digest is late now and then.
const SIGNED_WITHIN: i64 = 4 * 3600;

/// Problems of a digest that leave nothing proven by it. Others are of single log files.
const TAINTED: [&str; 6] =
    ["digest_link", "digest_location", "digest_signature", "digest_window", "key_unknown", "unverified"];

/// Proves records. Reads what is there at the moment; remembers nothing.
#[derive(Debug)]
pub struct Prover<'p> {
    /// Where log files and digests are read.
    pub stores: &'p Stores,
    /// How far chains are verified, and what was ingested.
    pub state: Option<&'p State>,
    /// The buckets that may be read. None: objects are paths on this machine.
    pub log_buckets: &'p [String],
}

/// A record as the lake has it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'s> {
    /// The log file: `bucket/key`, or a path.
    pub object: &'s str,
    /// Its place there, from 0.
    pub index: u32,
    /// Its bytes.
    pub json: &'s str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// In a word.
    pub standing: Standing,
    /// In words for people.
    pub reason: String,
    /// The key of the digest that says so.
    pub digest: Option<String>,
    /// The time that this digest covers.
    pub window: Option<Window>,
}

/// What came of it, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It stands in the log file byte for byte, and a verified digest signs that file.
    Proven,
    /// The same, by a digest whose signature was not looked at.
    Listed,
    /// No digest covers it yet.
    Waiting,
    /// The log file or the digest is another one than was signed, or holds no such record.
    Changed,
    /// The log file is gone.
    Missing,
    /// Digests cover its hour, and none names its log file.
    Unsigned,
    /// It cannot be told.
    Unknown,
}

impl Proven {
    fn because(standing: Standing, reason: impl Into<String>) -> Self {
        Self { standing, reason: reason.into(), digest: None, window: None }
    }

    fn by(self, read: &Read) -> Self {
        Self { digest: Some(read.object.key.clone()), window: Some(read.digest.window()), ..self }
    }
}

impl Prover<'_> {
    /// Whether a record is what AWS signed. An error says that a store or the table could not be asked.
    pub async fn prove(&self, shown: &Shown<'_>) -> Result<Proven, Error> {
        let Some(object) = self.object(shown.object) else {
            let reason = format!("it comes from {}, which is in none of the log buckets", shown.object);
            return Ok(Proven::because(Standing::Unknown, reason));
        };
        match self.held(&object, shown).await? {
            Ok(held) => self.signed(&object, held).await,
            Err(proven) => Ok(proven),
        }
    }

    /// The object, where it may be read.
    fn object(&self, name: &str) -> Option<ObjectRef> {
        if self.log_buckets.is_empty() {
            return Some(ObjectRef { bucket: String::new(), key: name.to_owned(), version: None });
        }
        let (bucket, key) = name.split_once('/')?;
        let is_ours = self.log_buckets.iter().any(|known| known == bucket);
        is_ours.then(|| ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), version: None })
    }

    /// The log file that holds the record: of the versions that were ingested, or the one that is there now. The inner
    /// error is what is wrong.
    async fn held(&self, object: &ObjectRef, shown: &Shown<'_>) -> Result<Result<Held, Proven>, Error> {
        let known = match self.state {
            Some(state) => state.file_records(&object.id()).await?,
            None => Vec::new(),
        };
        let versions: BTreeSet<_> = known.into_iter().filter_map(|file| file.version).collect();
        let mut wrong = Proven::because(Standing::Missing, "its log file is not there any more");
        for version in versions.into_iter().map(Some).chain([None]) {
            match self.look(&ObjectRef { version, ..object.clone() }, shown).await? {
                Some(Ok(held)) => return Ok(Ok(held)),
                Some(Err(changed)) => wrong = changed,
                None => {}
            }
        }
        Ok(Err(wrong))
    }

    /// What one version of a log file holds; none where there is none.
    async fn look(&self, object: &ObjectRef, shown: &Shown<'_>) -> Result<Option<Result<Held, Proven>>, Error> {
        if object.bucket.is_empty() && !tokio::fs::try_exists(&object.key).await.unwrap_or(true) {
            return Ok(None);
        }
        let found = match self.stores.get(object).await {
            Ok(found) => found,
            Err(Error::Object { source: object_store::Error::NotFound { .. }, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let limits = Limits::default();
        let changed = |reason: String| Ok(Some(Err(Proven::because(Standing::Changed, reason))));
        if found.size > limits.file_bytes as u64 {
            return changed(format!("its log file is larger than {} bytes", limits.file_bytes));
        }
        let inflated = Inflater::new(limits).inflate(&found.bytes().await?);
        if let Some(problem) = inflated.problem {
            return changed(format!("its log file is damaged: {problem}"));
        }
        if position_of(shown.json.as_bytes(), &inflated.bytes, shown.index as usize).is_none() {
            return changed("its log file holds no such record, byte for byte".to_owned());
        }
        Ok(Some(Ok(Held { sha256: sha256(&inflated.bytes), trailing: inflated.trailing })))
    }

    /// Whether AWS signed this very log file.
    async fn signed(&self, object: &ObjectRef, held: Held) -> Result<Proven, Error> {
        let name = Chain::of_log(&object.key).zip(ObjectKey::parse(&object.key).time);
        let Some((place, delivered)) = name else {
            let reason = "its log file has no name that CloudTrail gives, so no digest can name it";
            return Ok(Proven::because(Standing::Unknown, reason));
        };
        let found = Found::File(held);
        let mut chains = match self.state {
            Some(state) => state.chains_of(&place.account).await?,
            None => Vec::new(),
        };
        chains.retain(|chain| chain.head.chain.place() == place);
        if chains.is_empty() && self.log_buckets.is_empty() {
            return self.listed(object, &found, (&place, delivered)).await;
        }
        if chains.is_empty() {
            let reason = "no chain of digests is known for its account and region: log file validation is off, or \
                          nothing of it was verified yet";
            return Ok(Proven::because(Standing::Unknown, reason));
        }
        for chain in &chains {
            if let Some(proven) = self.by_chain(chain, object, &found, delivered).await? {
                return Ok(proven);
            }
        }
        Ok(unnamed(chains.iter().map(|chain| chain.head.end).max().unwrap_or_default(), delivered))
    }

    /// What a chain says of a log file; none where it does not name it.
    async fn by_chain(
        &self,
        chain: &ChainState,
        object: &ObjectRef,
        found: &Found,
        delivered: Time,
    ) -> Result<Option<Proven>, Error> {
        let Some(state) = self.state else { return Ok(None) };
        let span = (delivered, Time(delivered.0 + SIGNED_WITHIN));
        for record in state.digest_records(&chain.head.chain, span).await? {
            let Some(name) = trail::digest::DigestName::parse(&record.object) else { continue };
            let at = ObjectRef { bucket: chain.head.bucket.clone(), key: record.object.clone(), version: None };
            let read = match read::digest(self.stores, &at, &name).await? {
                Ok(read) => read,
                Err(problem) => {
                    let reason = format!("the digest {} was verified and is not usable any more: ", record.object);
                    return Ok(Some(Proven::because(Standing::Unknown, reason + &problem.detail)));
                }
            };
            if let Some(signed) = read.names(object) {
                return Ok(Some(judged(&read, signed, &record, found)));
            }
        }
        Ok(None)
    }

    /// What digests say that lie beside the log file, in a copy of its bucket.
    async fn listed(
        &self,
        object: &ObjectRef,
        found: &Found,
        (place, delivered): (&Chain, Time),
    ) -> Result<Proven, Error> {
        let mut last = None;
        for (name, key) in beside(place, delivered).await {
            let at = ObjectRef { bucket: String::new(), key, version: None };
            let Ok(read) = read::digest(self.stores, &at, &name).await? else { continue };
            last = last.max(Some(read.digest.end));
            let Some(signed) = read.names(object) else { continue };
            let reason = "a digest beside it lists its log file with this very hash; `qtrail verify --keys` proves \
                          that AWS signed that digest";
            return Ok(compared(&read, signed, found, Proven::because(Standing::Listed, reason)));
        }
        let nothing = || Proven::because(Standing::Unknown, "no digest of its hour lies beside its log file");
        Ok(last.map_or_else(nothing, |last| unnamed(last, delivered)))
    }
}

impl Read {
    /// What this digest signs under an object's name. A copy of a bucket lies under names of its own up to `AWSLogs/`.
    fn names(&self, object: &ObjectRef) -> Option<&LoggedFile> {
        let own = |key: &str| key.rfind("AWSLogs/").map(|at| key[at..].to_owned());
        let is_it = |file: &&LoggedFile| match object.bucket.as_str() {
            "" => own(&file.object).is_some() && own(&file.object) == own(&object.key),
            bucket => file.bucket == bucket && file.object == object.key,
        };
        self.digest.log_files.iter().find(is_it)
    }
}

/// What a verified digest that names the log file comes to.
fn judged(read: &Read, signed: &LoggedFile, record: &DigestRecord, found: &Found) -> Proven {
    if read.digest.hash != record.sha256 {
        return Proven::because(Standing::Changed, "the digest that names it is not the one that was verified")
            .by(read);
    }
    let taints: Vec<&str> = record.problems.iter().map(String::as_str).filter(|one| TAINTED.contains(one)).collect();
    if !taints.is_empty() {
        let reason = format!("the digest that names it did not prove itself: {}", taints.join(", "));
        return Proven::because(Standing::Unknown, reason).by(read);
    }
    let (window, verified) = (read.digest.window(), record.verified);
    let reason = format!(
        "it stands in its log file byte for byte, and AWS signed that file in the digest of {window}, which was verified \
         at {verified}"
    );
    compared(read, signed, found, Proven::because(Standing::Proven, reason))
}

/// What is said where the log file is what the digest names, and else that it is not.
fn compared(read: &Read, signed: &LoggedFile, found: &Found, agreed: Proven) -> Proven {
    let problem = check_log(signed, found, &read.name.chain, read.digest.window());
    problem.map_or(agreed, |problem| Proven::because(Standing::Changed, problem.detail)).by(read)
}

/// What it means that no digest up to `last` names a log file.
fn unnamed(last: Time, delivered: Time) -> Proven {
    if last.0 < delivered.0 + SIGNED_WITHIN {
        let reason =
            format!("digests are there up to {last}, and the one that names it comes within hours of delivery");
        return Proven::because(Standing::Waiting, reason);
    }
    let reason = "the digests of its hour and of those after it do not name its log file: AWS did not deliver it so";
    Proven::because(Standing::Unsigned, reason)
}

/// The digests of the hours after a delivery that lie in the same folder as its log file, the earliest first.
async fn beside(place: &Chain, delivered: Time) -> BTreeSet<(trail::digest::DigestName, String)> {
    let end = Time(delivered.0 + SIGNED_WITHIN);
    let mut digests = BTreeSet::new();
    for day in [delivered, end].map(|time| place.key(time)).iter().filter_map(|key| key.rsplit_once('/')) {
        let Ok(mut files) = tokio::fs::read_dir(day.0).await else { continue };
        while let Ok(Some(file)) = files.next_entry().await {
            let key = format!("{}/{}", day.0, file.file_name().to_string_lossy());
            let name = trail::digest::DigestName::parse(&key)
                .filter(|name| name.chain.place() == *place && delivered < name.end && name.end <= end);
            digests.extend(name.map(|name| (name, key)));
        }
    }
    digests
}

#[cfg(test)]
mod tests;
