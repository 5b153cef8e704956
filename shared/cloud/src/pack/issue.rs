//! Makes a pack, puts it where nobody can change it, and adds it to the chain of packs.

use std::fs::File;
use std::io::{Read, Seek};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use tempfile::NamedTempFile;
use trail::record::hex;
use trail::review::{By, Period};
use trail::time::Time;

use super::contents::{Sources, fill};
use super::manifest::{FORMAT, KEY, MANIFEST, Manifest, SIGNATURE, Versions};
use super::report::{About, coverage, report};
use super::sheet::{Book, Run};
use super::sign::Signer;
use super::verify::{Known, verify};
use super::zip::Method;
use crate::error::Error;
use crate::state::{PackRecord, State};
use crate::stores::Place;

/// How often the end of the chain is looked for while others add to it.
const RACES: usize = 8;

/// Up to so many bytes an object is written in one piece, and only where nothing lies.
const ONE_PIECE: u64 = 64 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The time that it is to be about.
    pub period: Period,
    /// Who asks, as it was proven; `None`: this system, on its schedule.
    pub by: Option<By>,
    /// The account that the evidence was collected in.
    pub account: String,
    /// Now.
    pub now: Time,
}

/// A pack's place in the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number, from 1.
    pub number: u64,
    /// SHA-256 of the pack before.
    pub previous: Option<String>,
}

impl Link {
    /// The one behind a pack, or the first.
    pub fn after(last: Option<&PackRecord>) -> Self {
        Self { number: last.map_or(1, |last| last.number + 1), previous: last.map(|last| last.sha256.clone()) }
    }

    /// The pack's id.
    pub fn id(&self) -> String {
        id(self.number)
    }
}

fn id(number: u64) -> String {
    format!("pack-{number:06}")
}

/// A pack that was made and lies in a file of its own, which is deleted with this value.
#[derive(Debug)]
pub struct Built {
    /// The file.
    pub file: NamedTempFile,
    /// What it says of itself.
    pub manifest: Manifest,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Bytes of the file.
    pub bytes: u64,
}

fn said_by(by: Option<&By>) -> String {
    match by {
        None => "this system".to_owned(),
        Some(by) if by.arn.is_empty() => format!("{} ({})", by.who, by.proven),
        Some(by) => format!("{} ({})", by.arn, by.proven),
    }
}

fn failed(error: &std::io::Error) -> Error {
    Error::Pack(error.to_string())
}

/// Makes a pack. Its files are written as they are produced; what is held in memory does not grow with them.
pub async fn build(sources: &Sources<'_>, ask: &Ask, signer: &Signer, link: &Link) -> Result<Built, Error> {
    let file = NamedTempFile::new().map_err(|e| failed(&e))?;
    let run = Run { by: said_by(ask.by.as_ref()), at: ask.now, from: ask.period.from, to: ask.period.to };
    let mut book = Book::new(file.reopen().map_err(|e| failed(&e))?, run);
    fill(sources, &mut book).await?;
    let id = link.id();
    let about = About {
        id: &id,
        account: &ask.account,
        key: signer.facts(),
        previous: link.previous.as_deref(),
        previous_option: if link.number > 1 {
            format!(" --previous {}.zip", self::id(link.number - 1))
        } else {
            String::new()
        },
    };
    let html = report(&book, &about)?;
    let again = "qtrail pack --from … --to …";
    book.whole("coverage.csv", ("Which files speak to which criterion", again), coverage(&book.sections).as_bytes())?;
    book.whole("report.html", ("The report that a person reads", again), html.as_bytes())?;
    let (manifest, written) = seal(book, (ask, link), signer).await?;
    let (sha256, bytes) = hashed(written).map_err(|e| failed(&e))?;
    Ok(Built { file, manifest, sha256, bytes })
}

/// Adds manifest, key and signature.
pub(super) async fn seal(book: Book, (ask, link): (&Ask, &Link), signer: &Signer) -> Result<(Manifest, File), Error> {
    let Book { mut archive, files, gaps, .. } = book;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        id: link.id(),
        number: link.number,
        period: ask.period.clone(),
        account: ask.account.clone(),
        created_at: ask.now,
        created_by: ask.by.clone(),
        versions: Versions::own(),
        prev_pack_sha256: link.previous.clone(),
        key: signer.facts().clone(),
        gaps,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Pack(format!("its manifest: {e}")))?;
    let signature = signer.sign(&text).await?;
    let pem = signer.key().pem();
    for (path, bytes) in [(MANIFEST, text.as_slice()), (KEY, pem.as_bytes()), (SIGNATURE, signature.as_slice())] {
        archive.whole(path, Method::Stored, bytes).map_err(|e| failed(&e))?;
    }
    Ok((manifest, archive.finish().map_err(|e| failed(&e))?))
}

fn hashed(mut file: File) -> std::io::Result<(String, u64)> {
    use sha2::{Digest, Sha256};
    file.rewind()?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex(&hash.finalize()), bytes)),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// Makes a pack, keeps it under `packs/` and adds it to the chain.
///
/// The object is written first and the table second. Where a run ended in between, the next one finds an object
/// at the chain's end that the table does not know, verifies it and takes it up.
pub async fn issue(
    sources: &Sources<'_>,
    ask: &Ask,
    signer: &Signer,
    packs: &Place,
) -> Result<(PackRecord, Built), Error> {
    for _ in 0..RACES {
        let known = sources.state.packs().await?;
        let link = Link::after(known.last());
        let path = packs.join(&["packs", &format!("{}.zip", link.id())]);
        if take_up(sources.state, (packs, &path), (&link, signer)).await? {
            continue;
        }
        let mut built = build(sources, ask, signer, &link).await?;
        if !put(packs, &path, &mut built).await? {
            continue;
        }
        let record = record(&built.manifest, (&built.sha256, built.bytes), &path);
        if sources.state.keep_pack(&record).await? {
            return Ok((record, built));
        }
    }
    Err(Error::Contended("the chain of packs".to_owned()))
}

fn record(manifest: &Manifest, (sha256, bytes): (&str, u64), path: &Path) -> PackRecord {
    PackRecord {
        id: manifest.id.clone(),
        number: manifest.number,
        period: manifest.period.clone(),
        created_at: manifest.created_at,
        created_by: manifest.created_by.clone(),
        sha256: sha256.to_owned(),
        prev_pack_sha256: manifest.prev_pack_sha256.clone(),
        bytes,
        location: path.to_string(),
        key: manifest.key.id.clone(),
        key_sha256: manifest.key.sha256.clone(),
        gaps: manifest.gaps.len() as u64,
    }
}

/// Adds a pack to the table that lies there already. Yields false where none does.
async fn take_up(
    state: &State,
    (packs, path): (&Place, &Path),
    (link, signer): (&Link, &Signer),
) -> Result<bool, Error> {
    let stored = |error| Error::object(path.to_string(), error);
    let found = match packs.store.get(path).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(false),
        found => found.map_err(stored)?,
    };
    let bytes = found.meta.size;
    let mut file = tempfile::tempfile().map_err(|e| failed(&e))?;
    let mut pieces = found.into_stream();
    while let Some(piece) = pieces.try_next().await.map_err(stored)? {
        std::io::Write::write_all(&mut file, &piece).map_err(|e| failed(&e))?;
    }
    let known = Known { key: Some(signer.key().clone()), previous: None };
    let verified = verify(&mut file, &known).map_err(|e| failed(&e))?;
    let of_chain = |manifest: &Manifest| manifest.id == link.id() && manifest.prev_pack_sha256 == link.previous;
    let why = verified.problems.first().map_or_else(|| "it is not of this chain".to_owned(), ToString::to_string);
    let sound = verified.manifest.filter(of_chain).filter(|_| verified.problems.is_empty());
    let manifest = sound.ok_or_else(|| {
        Error::Pack(format!("{path} lies at the end of the chain and cannot be taken up: {why}; move it away"))
    })?;
    state.keep_pack(&record(&manifest, (&verified.sha256, bytes), path)).await?;
    Ok(true)
}

/// Writes a pack where nothing lies. Yields false where something does.
async fn put(packs: &Place, path: &Path, built: &mut Built) -> Result<bool, Error> {
    let stored = |error| Error::object(path.to_string(), error);
    let mut file = built.file.reopen().map_err(|e| failed(&e))?;
    if built.bytes <= ONE_PIECE {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        let options = PutOptions::from(PutMode::Create);
        return match packs.store.put_opts(path, PutPayload::from(bytes), options).await {
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            put => put.map(|_| true).map_err(stored),
        };
    }
    // A multipart upload cannot be made conditional: nothing lay there when the chain was read, and under Object Lock
    // with versions a second one would leave the first in place.
    let mut upload = WriteMultipart::new(packs.store.put_multipart(path).await.map_err(stored)?);
    let mut buffer = vec![0; 8 << 20];
    loop {
        match file.read(&mut buffer).map_err(|e| failed(&e))? {
            0 => break,
            read => {
                upload.wait_for_capacity(2).await.map_err(stored)?;
                upload.write(&buffer[..read]);
            }
        }
    }
    upload.finish().await.map(|_| true).map_err(stored)
}
