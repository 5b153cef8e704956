//! Where what a review rests on lies, in the data bucket or folder.
//!
//! | place | what |
//! |---|---|
//! | `access/<taken>/<account>.json.gz` | a snapshot of one account |
//! | `access/<taken>/complete.json` | written last: which accounts there are, with the hashes of their snapshots |
//! | `reviews/<period>/population.json.gz` | the population |
//! | `people.csv`, `people.json` | the people's list; its hash, who brought it and when |

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore as _, PutPayload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trail::review::{People, Population};
use trail::snapshot::Snapshot;
use trail::time::Time;

use crate::error::Error;
use crate::stores::Place;

/// The largest document, in bytes once it is inflated.
const LARGEST: u64 = 1 << 30;

/// Snapshots that are read at the same time.
const AT_ONCE: usize = 8;

/// What a review rests on, in a bucket or folder.
#[derive(Debug, Clone)]
pub struct Store {
    place: Place,
    /// The population that was read last, by the hash of its stored bytes: each page and each decision asks for it.
    last: Arc<Mutex<Option<Read>>>,
}

/// A population, and the hash of its stored bytes.
type Read = (String, Arc<Population>);

/// All snapshots that were taken at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complete {
    /// What they are called after.
    pub taken: Time,
    /// SHA-256 of each account's snapshot, as it is stored.
    pub accounts: BTreeMap<String, String>,
}

/// Who brought the people's list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// SHA-256 of the list.
    pub sha256: String,
    /// Who; empty where it was put there by other ways.
    pub by: String,
    /// When.
    pub at: Option<Time>,
}

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where, from the root of the store on.
    pub path: String,
    /// SHA-256 of the stored bytes.
    pub sha256: String,
}

impl Store {
    /// What lies in this place, which is the data bucket's or folder's.
    pub fn new(place: Place) -> Self {
        Self { place, last: Arc::default() }
    }

    /// Keeps an account's snapshot.
    pub async fn put_snapshot(&self, taken: Time, snapshot: &Snapshot) -> Result<Kept, Error> {
        self.put(&["access", &basic(taken), &format!("{}.json.gz", snapshot.account)], zipped(snapshot)?).await
    }

    /// Which accounts have a snapshot of this time, with their hashes: of one that is not complete, too.
    pub async fn snapshots(&self, taken: Time) -> Result<BTreeMap<String, String>, Error> {
        let folder = self.place.join(&["access", &basic(taken)]);
        let listed = self.place.store.list(Some(&folder)).map_err(|e| Error::object(folder.to_string(), e));
        let found: Vec<Path> = listed.map_ok(|object| object.location).try_collect().await?;
        let accounts = found.iter().filter_map(|path| path.filename()?.strip_suffix(".json.gz").map(str::to_owned));
        let hashed = stream::iter(accounts).map(async |account| {
            let bytes = self.bytes(&["access", &basic(taken), &format!("{account}.json.gz")]).await?;
            Ok((account, sha256(&bytes.unwrap_or_default())))
        });
        hashed.buffered(AT_ONCE).try_collect().await
    }

    /// Says that all snapshots of a time are there. Until then nobody sees any of them.
    pub async fn complete(&self, complete: &Complete) -> Result<Kept, Error> {
        let bytes = serde_json::to_vec_pretty(complete).map_err(|e| unwritable(&e))?;
        self.put(&["access", &basic(complete.taken), "complete.json"], bytes).await
    }

    /// The last snapshots that are complete and were taken before a time.
    pub async fn last_access(&self, before: Time) -> Result<Option<(Time, Vec<Snapshot>)>, Error> {
        for taken in self.times().await?.into_iter().rev().filter(|taken| *taken < before) {
            if let Some(complete) = self.read::<Complete>(&["access", &basic(taken), "complete.json"]).await? {
                return Ok(Some((taken, self.access(taken, &complete).await?)));
            }
        }
        Ok(None)
    }

    /// The times that snapshots were taken at, earliest first, complete or not.
    pub async fn times(&self) -> Result<Vec<Time>, Error> {
        let folder = self.place.join(&["access"]);
        let listed = self.place.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|e| Error::object(folder.to_string(), e))?;
        let mut times: Vec<Time> =
            listed.common_prefixes.iter().filter_map(|path| Time::parse(path.filename()?)).collect();
        times.sort_unstable();
        Ok(times)
    }

    /// Each account's snapshot, if it is the one that was written.
    async fn access(&self, taken: Time, complete: &Complete) -> Result<Vec<Snapshot>, Error> {
        // Owned: a future that borrows from the list could not be handed between threads.
        let each = stream::iter(complete.accounts.clone()).map(|(account, expected)| async move {
            let parts = ["access", &basic(taken), &format!("{account}.json.gz")];
            let path = parts.join("/");
            let bytes = self.bytes(&parts).await?;
            let bytes = bytes.ok_or_else(|| damaged(&path, "it is gone; take the snapshot again"))?;
            if sha256(&bytes) != expected {
                return Err(damaged(&path, "it was changed since it was taken; take the snapshot again"));
            }
            Snapshot::read(&inflated(&path, &bytes)?).map_err(|e| damaged(&path, e))
        });
        each.buffered(AT_ONCE).try_collect().await
    }

    /// Keeps the population of a period.
    pub async fn put_population(&self, period: &str, population: &Population) -> Result<Kept, Error> {
        self.put(&["reviews", segment(period)?, "population.json.gz"], zipped(population)?).await
    }

    /// Keeps what the snapshots of a time make of who has access, beside them.
    pub async fn put_later(&self, taken: Time, population: &Population) -> Result<Kept, Error> {
        self.put(&["access", &basic(taken), "population.gz"], zipped(population)?).await
    }

    /// The population of a period, with the hash of its stored bytes.
    pub async fn population(&self, period: &str) -> Result<Option<(Arc<Population>, Kept)>, Error> {
        let parts = ["reviews", segment(period)?, "population.json.gz"];
        let path = self.place.join(&parts).to_string();
        let Some(bytes) = self.bytes(&parts).await? else { return Ok(None) };
        let kept = Kept { sha256: sha256(&bytes), path };
        let last = self.last().clone();
        if let Some((_, population)) = last.filter(|(sha256, _)| *sha256 == kept.sha256) {
            return Ok(Some((population, kept)));
        }
        let text = inflated(&kept.path, &bytes)?;
        let population: Population = serde_json::from_slice(&text).map_err(|e| damaged(&kept.path, e))?;
        let population = Arc::new(population);
        *self.last() = Some((kept.sha256.clone(), population.clone()));
        Ok(Some((population, kept)))
    }

    fn last(&self) -> MutexGuard<'_, Option<Read>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a people's list, if it is one.
    pub async fn put_people(&self, list: &[u8], by: &str, at: Time) -> Result<People, Error> {
        let people = People::read(list).map_err(|e| Error::Configuration(e.to_string()))?;
        let brought = Brought { sha256: sha256(list), by: by.to_owned(), at: Some(at) };
        let about = serde_json::to_vec_pretty(&brought).map_err(|e| unwritable(&e))?;
        self.put(&["people.csv"], list.to_vec()).await?;
        self.put(&["people.json"], about).await?;
        Ok(people)
    }

    /// The people's list, and who brought it.
    pub async fn people(&self) -> Result<Option<(People, Brought)>, Error> {
        let Some(list) = self.bytes(&["people.csv"]).await? else { return Ok(None) };
        let sha256 = sha256(&list);
        let brought = self.read::<Brought>(&["people.json"]).await?;
        let brought = brought.unwrap_or_else(|| Brought { sha256: sha256.clone(), ..Brought::default() });
        if brought.sha256 != sha256 {
            return Err(damaged("people.csv", "it is not the list that was brought; bring it again"));
        }
        let people = People::read(&list).map_err(|e| Error::Configuration(e.to_string()))?;
        Ok(Some((people, brought)))
    }

    async fn put(&self, parts: &[&str], bytes: Vec<u8>) -> Result<Kept, Error> {
        let path = self.place.join(parts);
        let sha256 = sha256(&bytes);
        self.place.put(&path, PutPayload::from(bytes)).await?;
        Ok(Kept { path: path.to_string(), sha256 })
    }

    async fn bytes(&self, parts: &[&str]) -> Result<Option<Bytes>, Error> {
        let found = self.place.fetch(self.place.join(parts).as_ref()).await?;
        Ok(found.map(|(bytes, _)| bytes))
    }

    async fn read<T: DeserializeOwned>(&self, parts: &[&str]) -> Result<Option<T>, Error> {
        let path = self.place.join(parts).to_string();
        let Some(bytes) = self.bytes(parts).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| damaged(&path, e))
    }
}

/// `20261001T000000Z`.
fn basic(time: Time) -> String {
    time.to_string().replace(['-', ':'], "")
}

/// A period's id as one part of a path.
fn segment(period: &str) -> Result<&str, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !period.is_empty() && period.chars().all(is_plain) && !period.starts_with('.') {
        return Ok(period);
    }
    Err(Error::Configuration(format!("`{period}` is no period's id, such as 2026-Q4")))
}

fn zipped(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut encoder, document).map_err(|e| unwritable(&e))?;
    encoder.flush().and_then(|()| encoder.finish()).map_err(|e| Error::Configuration(e.to_string()))
}

fn inflated(path: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).take(LARGEST).read_to_end(&mut text).map_err(|e| damaged(path, e))?;
    Ok(text)
}

fn sha256(bytes: &[u8]) -> String {
    trail::record::hex(&Sha256::digest(bytes))
}

fn damaged(path: &str, problem: impl std::fmt::Display) -> Error {
    Error::Configuration(format!("{path}: {problem}"))
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::Configuration(format!("a document cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use trail::snapshot::VERSION;

    use super::*;
    use crate::stores::folder;

    fn store() -> (tempfile::TempDir, Store) {
        let data = tempfile::tempdir().expect("a folder");
        let place = folder(data.path()).expect("a place");
        (data, Store::new(place))
    }

    fn snapshot(account: &str, taken: i64) -> Snapshot {
        Snapshot { version: VERSION, account: account.to_owned(), taken: Time(taken), answers: Vec::new() }
    }

    async fn taken(store: &Store, at: i64, accounts: &[&str]) -> Complete {
        for account in accounts {
            store.put_snapshot(Time(at), &snapshot(account, at)).await.expect("kept");
        }
        Complete { taken: Time(at), accounts: store.snapshots(Time(at)).await.expect("listed") }
    }

    #[tokio::test]
    async fn the_last_complete_snapshots_before_a_time_are_found() {
        let (data, store) = store();
        assert_eq!(store.last_access(Time(i64::MAX)).await.expect("none"), None);
        for at in [86_400, 172_800] {
            let complete = taken(&store, at, &["111122223333", "444455556666"]).await;
            store.complete(&complete).await.expect("complete");
        }
        taken(&store, 259_200, &["111122223333"]).await;
        let (at, found) = store.last_access(Time(i64::MAX)).await.expect("read").expect("some");
        assert_eq!(at, Time(172_800), "the newest one is not complete");
        assert_eq!(found, [snapshot("111122223333", 172_800), snapshot("444455556666", 172_800)]);
        let (at, _) = store.last_access(Time(172_800)).await.expect("read").expect("some");
        assert_eq!(at, Time(86_400));
        assert!(data.path().join("access/19700103T000000Z/complete.json").is_file());
    }

    #[tokio::test]
    async fn a_snapshot_that_was_changed_or_is_gone_is_named() {
        let (data, store) = store();
        let complete = taken(&store, 86_400, &["111122223333"]).await;
        store.complete(&complete).await.expect("complete");
        let file = data.path().join("access/19700102T000000Z/111122223333.json.gz");
        let told = async || store.last_access(Time(i64::MAX)).await.expect_err("damaged").to_string();
        std::fs::write(&file, zipped(&snapshot("111122223333", 7)).expect("bytes")).expect("written");
        assert!(told().await.contains("111122223333.json.gz: it was changed"));
        std::fs::remove_file(&file).expect("removed");
        assert!(told().await.contains("it is gone"));
    }

    #[tokio::test]
    async fn populations_are_kept_by_period() {
        let (_data, store) = store();
        let population = Population { taken: Time(5), people_by: "hr".to_owned(), ..Population::default() };
        assert!(store.population("2026-Q4").await.expect("none").is_none());
        let kept = store.put_population("2026-Q4", &population).await.expect("kept");
        assert_eq!(kept.path, "reviews/2026-Q4/population.json.gz");
        assert_eq!(store.population("2026-Q4").await.expect("read"), Some((Arc::new(population), kept)));
        for id in ["", "../x", "a/b", ".."] {
            assert!(store.population(id).await.is_err(), "{id}");
        }
    }

    #[tokio::test]
    async fn a_list_of_people_is_kept_with_who_brought_it() {
        let (data, store) = store();
        assert!(store.people().await.expect("none").is_none());
        let list = b"person,aliases,manager,status,start,end\na,,,active,,\n";
        store.put_people(list, "hr", Time(9)).await.expect("kept");
        let (people, brought) = store.people().await.expect("read").expect("a list");
        assert_eq!((people.iter().count(), brought.by.as_str(), brought.at), (1, "hr", Some(Time(9))));
        let error = store.put_people(b"person\n", "hr", Time(9)).await.expect_err("no list");
        assert!(error.to_string().contains("there is no column"), "{error}");
        assert!(store.people().await.expect("read").is_some(), "the good one is still there");
        let file = data.path().join("people.csv");
        std::fs::write(&file, [&list[..], b"b,,,active,,\n"].concat()).expect("written");
        assert!(store.people().await.expect_err("changed").to_string().contains("bring it again"));
        std::fs::remove_file(data.path().join("people.json")).expect("removed");
        assert_eq!(store.people().await.expect("read").expect("a list").1.by, "", "nobody said who");
    }
}
