//! Verifies a pack, offline: with nothing but its bytes, and what one knows of its key and of the pack before.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::write::DeflateDecoder;
use serde::Serialize;
use sha2::{Digest, Sha256};
use trail::record::hex;

use super::manifest::{FORMAT, FileFacts, KEY, MANIFEST, Manifest, SIGNATURE};
use super::sign::PublicKey;
use super::zip::{self, Entry, Fault, Method};

/// The largest manifest that is read, in bytes.
const MOST_MANIFEST: u32 = 16 << 20;

/// The largest key and signature, in bytes.
const MOST_KEY: u32 = 4 << 10;

/// What is wrong with a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// The file in the pack; empty for the pack.
    pub file: String,
    /// In a sentence.
    pub detail: String,
}

/// What kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// It is no zip file.
    NoArchive,
    /// Its end is missing.
    CutShort,
    /// Bytes stand where none belong.
    Added,
    /// Bytes are gone.
    Removed,
    /// A header or the directory was changed.
    Header,
    /// It is larger than packs are.
    TooLarge,
    /// A path that would leave the folder it is unpacked in.
    Path,
    /// A file is there twice.
    Duplicate,
    /// A file that the manifest names is not there.
    Missing,
    /// A file is there that the manifest does not name.
    Unlisted,
    /// Files lie in another order than the manifest has them.
    Order,
    /// A file's bytes were changed.
    Changed,
    /// The manifest cannot be read.
    Manifest,
    /// The signature is not the key's over this manifest.
    Signature,
    /// The key is not the one that it has to be.
    Key,
    /// The pack before is not the one that this one names.
    Previous,
}

impl ProblemKind {
    /// As every interface spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoArchive => "no_archive",
            Self::CutShort => "cut_short",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Header => "header",
            Self::TooLarge => "too_large",
            Self::Path => "path",
            Self::Duplicate => "duplicate",
            Self::Missing => "missing",
            Self::Unlisted => "unlisted",
            Self::Order => "order",
            Self::Changed => "changed",
            Self::Manifest => "manifest",
            Self::Signature => "signature",
            Self::Key => "key",
            Self::Previous => "previous",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file.as_str() {
            "" => write!(f, "{}: {}", self.kind.word(), self.detail),
            file => write!(f, "{}: {file}: {}", self.kind.word(), self.detail),
        }
    }
}

/// What came of verifying.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What the pack says of itself; believe it only where there is no problem.
    pub manifest: Option<Manifest>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// SHA-256 of the whole file: what the next pack names.
    pub sha256: String,
}

/// What is known of a pack beforehand.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The key that has to have signed.
    pub key: Option<PublicKey>,
    /// SHA-256 of the pack before, as a file, and the hash that it itself names.
    pub previous: Option<(String, Option<String>)>,
}

/// Verifies a pack. An error means that its bytes cannot be read at all; everything else is a problem that is told.
pub fn verify<F: Read + Seek>(file: &mut F, known: &Known) -> io::Result<Verified> {
    let sha256 = whole(file)?;
    let mut check = Check { file, problems: Vec::new() };
    let manifest = check.pack(known)?;
    let mut problems = check.problems;
    if let (Some(manifest), Some((previous, named))) = (&manifest, &known.previous) {
        problems.extend(chain(manifest, &sha256, (previous, named.as_deref())));
    }
    Ok(Verified { manifest, problems, sha256 })
}

fn whole(file: &mut (impl Read + Seek)) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    copy(file, &mut |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(hex(&hash.finalize()))
}

fn copy(from: &mut impl Read, to: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => to(&buffer[..read])?,
        }
    }
}

/// Whether the pack before is the one that a pack names.
fn chain(manifest: &Manifest, own: &str, (previous, its_previous): (&str, Option<&str>)) -> Option<Problem> {
    let problem = |detail: String| Some(Problem { kind: ProblemKind::Previous, file: String::new(), detail });
    match manifest.prev_pack_sha256.as_deref() {
        Some(named) if named == previous => None,
        _ if its_previous == Some(own) => {
            problem("these two are in the wrong order: the one that is given as the previous one follows it".to_owned())
        }
        None => problem(format!("{} says that it is the first one", manifest.id)),
        Some(named) => problem(format!("{} names {named}; the one that is given is {previous}", manifest.id)),
    }
}

struct Check<'f, F> {
    file: &'f mut F,
    problems: Vec<Problem>,
}

impl<F: Read + Seek> Check<'_, F> {
    fn say(&mut self, kind: ProblemKind, file: &str, detail: impl Into<String>) {
        self.problems.push(Problem { kind, file: file.to_owned(), detail: detail.into() });
    }

    fn pack(&mut self, known: &Known) -> io::Result<Option<Manifest>> {
        let entries = match zip::entries(self.file) {
            Ok(entries) => entries,
            Err(Fault::Io(error)) => return Err(error),
            Err(fault) => {
                self.say(kind_of(&fault), "", fault.to_string());
                return Ok(None);
            }
        };
        self.paths(&entries);
        let manifest = self.signed(&entries, known)?;
        if let Some(manifest) = &manifest {
            self.files(manifest, &entries)?;
        }
        Ok(manifest)
    }

    fn paths(&mut self, entries: &[Entry]) {
        let mut seen = BTreeSet::new();
        for Entry { path, .. } in entries {
            if !is_safe(path) {
                self.say(
                    ProblemKind::Path,
                    &path.escape_debug().to_string(),
                    "no path that a pack has; do not unpack it",
                );
            }
            if !seen.insert(path) {
                self.say(ProblemKind::Duplicate, path, "it is there twice");
            }
        }
    }

    /// The manifest, and whether the key signed it.
    fn signed(&mut self, entries: &[Entry], known: &Known) -> io::Result<Option<Manifest>> {
        let manifest = self.small(entries, MANIFEST, MOST_MANIFEST)?;
        let pem = self.small(entries, KEY, MOST_KEY)?;
        let signature = self.small(entries, SIGNATURE, MOST_KEY)?;
        let key = pem.as_deref().and_then(|pem| std::str::from_utf8(pem).ok()).and_then(PublicKey::from_pem);
        // One form alone: what PEM allows between its letters would be bytes that nobody vouches for.
        let key = key.filter(|key| pem.as_deref() == Some(key.pem().as_bytes()));
        if pem.is_some() && key.is_none() {
            self.say(ProblemKind::Key, KEY, "it is no key that packs are signed with, or was changed");
        }
        let Some(text) = manifest else { return Ok(None) };
        if let (Some(key), Some(signature)) = (&key, &signature)
            && !key.verifies(&text, signature)
        {
            self.say(
                ProblemKind::Signature,
                SIGNATURE,
                "it is not this key's over this manifest: one of the three was changed",
            );
        }
        let manifest: Manifest = match serde_json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.say(ProblemKind::Manifest, MANIFEST, error.to_string());
                return Ok(None);
            }
        };
        if manifest.format != FORMAT {
            self.say(
                ProblemKind::Manifest,
                MANIFEST,
                format!("its format is {}; this program knows {FORMAT}", manifest.format),
            );
        }
        self.key(key.as_ref(), &manifest, known);
        Ok(Some(manifest))
    }

    fn key(&mut self, key: Option<&PublicKey>, manifest: &Manifest, known: &Known) {
        let Some(key) = key else { return };
        if key.fingerprint() != manifest.key.sha256 {
            self.say(ProblemKind::Key, KEY, format!("the manifest names the key {}", manifest.key.sha256));
        }
        if let Some(wanted) = known.key.as_ref().filter(|wanted| *wanted != key) {
            let (own, wanted) = (key.fingerprint(), wanted.fingerprint());
            self.say(ProblemKind::Key, KEY, format!("it is signed by {own}, and the key that is given is {wanted}"));
        }
    }

    /// A file that lies there as it is; none where there is none, or it is none that can be read.
    fn small(&mut self, entries: &[Entry], path: &str, most: u32) -> io::Result<Option<Vec<u8>>> {
        let Some(entry) = entries.iter().find(|entry| entry.path == path) else {
            self.say(ProblemKind::Missing, path, "it is not there");
            return Ok(None);
        };
        if entry.method != Method::Stored || entry.plain != entry.packed || entry.plain > most {
            self.say(ProblemKind::TooLarge, path, "it is packed or larger than it is in any pack");
            return Ok(None);
        }
        let mut bytes = Vec::new();
        zip::packed(self.file, entry)?.read_to_end(&mut bytes)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes);
        if crc.finalize() != entry.crc {
            self.say(ProblemKind::Changed, path, "its bytes are not those that its checksum is of");
        }
        Ok(Some(bytes))
    }

    fn files(&mut self, manifest: &Manifest, entries: &[Entry]) -> io::Result<()> {
        let listed: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        let own = [MANIFEST, KEY, SIGNATURE];
        for path in &listed {
            if !entries.iter().any(|entry| entry.path == *path) {
                self.say(ProblemKind::Missing, path, "the manifest names it, and it is not there");
            }
        }
        for Entry { path, .. } in entries.iter().filter(|entry| !own.contains(&entry.path.as_str())) {
            if !listed.contains(&path.as_str()) {
                self.say(ProblemKind::Unlisted, path, "the manifest does not name it");
            }
        }
        let order = listed.iter().copied().chain(own);
        if self.problems.is_empty() && !order.eq(entries.iter().map(|entry| entry.path.as_str())) {
            self.say(ProblemKind::Order, "", "files lie in another order than the manifest has them");
        }
        for entry in entries {
            if let Some(facts) = manifest.files.iter().find(|file| file.path == entry.path)
                && let Some(why) = differs(self.file, entry, facts)?
            {
                self.say(ProblemKind::Changed, &entry.path, why);
            }
        }
        Ok(())
    }
}

fn kind_of(fault: &Fault) -> ProblemKind {
    match fault {
        Fault::Io(_) | Fault::NoArchive => ProblemKind::NoArchive,
        Fault::CutShort => ProblemKind::CutShort,
        Fault::After(_) | Fault::Before(_) | Fault::Between { .. } => ProblemKind::Added,
        Fault::Beheaded | Fault::Missing(_) => ProblemKind::Removed,
        Fault::Directory(_) | Fault::Header(_) => ProblemKind::Header,
        Fault::TooLarge => ProblemKind::TooLarge,
    }
}

/// Whether a path stays below the folder that it is unpacked in, on any system.
fn is_safe(path: &str) -> bool {
    let is_plain = |part: &str| {
        let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        letters && !part.is_empty() && !part.starts_with('.')
    };
    path.len() <= 200 && path.split('/').all(is_plain)
}

/// Counts and hashes what a file inflates to, and no more of it than there should be.
struct Inflated {
    hash: Sha256,
    crc: crc32fast::Hasher,
    bytes: u64,
    most: u64,
}

impl Write for Inflated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most {
            return Err(io::Error::other("it is longer than the manifest says"));
        }
        self.hash.update(bytes);
        self.crc.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In what a file is not as the manifest says.
fn differs<F: Read + Seek>(file: &mut F, entry: &Entry, facts: &FileFacts) -> io::Result<Option<String>> {
    let sizes = (u64::from(entry.plain), u64::from(entry.packed));
    if sizes != (facts.bytes, facts.packed_bytes) || entry.method != Method::Deflated {
        return Ok(Some(format!("it has {} bytes and not {}", entry.plain, facts.bytes)));
    }
    let sink = Inflated { hash: Sha256::new(), crc: crc32fast::Hasher::new(), bytes: 0, most: facts.bytes };
    let mut decoder = DeflateDecoder::new(sink);
    let (mut hash, mut broken) = (Sha256::new(), None);
    copy(&mut zip::packed(file, entry)?, &mut |bytes| {
        hash.update(bytes);
        if broken.is_none() {
            broken = decoder.write_all(bytes).err();
        }
        Ok(())
    })?;
    let packed = hex(&hash.finalize());
    let inflated = match broken {
        None => decoder.finish(),
        Some(error) => Err(error),
    };
    let whole = "its bytes are not those that were signed";
    Ok(match inflated {
        _ if packed != facts.packed_sha256 => Some(whole.to_owned()),
        Err(error) => Some(error.to_string()),
        Ok(sink) => {
            let (sha256, crc) = (hex(&sink.hash.finalize()), sink.crc.finalize());
            (sha256 != facts.sha256 || crc != entry.crc || sink.bytes != facts.bytes).then(|| whole.to_owned())
        }
    })
}

impl Verified {
    /// Whether the pack itself is as it was signed, whatever is with the one before.
    pub fn is_as_signed(&self) -> bool {
        self.manifest.is_some() && self.problems.iter().all(|problem| problem.kind == ProblemKind::Previous)
    }

    /// What is proven, and what is not, in lines for people.
    pub fn statement(&self) -> Vec<String> {
        let Some(manifest) = self.manifest.as_ref().filter(|_| self.is_as_signed()) else {
            return vec![
                "This pack proves nothing: it is not as it was signed, or not by the key that was given.".to_owned(),
            ];
        };
        let Manifest { id, created_at, key, period, files, gaps, .. } = manifest;
        let account = match key.account.as_str() {
            "" => "an account that it does not name".to_owned(),
            account => format!("account {account}"),
        };
        let chain = match &manifest.prev_pack_sha256 {
            Some(previous) => format!("the pack before has the SHA-256 {previous}"),
            None => "it is the first of its chain".to_owned(),
        };
        vec![
            format!(
                "{id}, {} to {}: unchanged since {created_at}, signed by key {} of {account}",
                period.from, period.to, key.id
            ),
            format!(
                "proven: its {} files are byte for byte those that the holder of this key signed; {chain}",
                files.len()
            ),
            format!("not proven: that the key is that account's. Compare its fingerprint, SHA-256 {}", key.sha256),
            comparison(&key.id),
            "not proven: that the clock was right. Under Object Lock, S3's own date of the object says so".to_owned(),
            format!("not proven: that what was collected is all there is. The pack names {} gaps itself", gaps.len()),
        ]
    }
}

fn comparison(id: &str) -> String {
    if !id.starts_with("arn:") {
        return "  it is a local key: ask whoever made the pack for it, on another way than the pack came".to_owned();
    }
    let quoted: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || ":/-_".contains(*c)).collect();
    let asked = "--query PublicKey --output text | base64 -d | sha256sum";
    format!("  aws kms get-public-key --key-id {quoted} {asked}")
}
