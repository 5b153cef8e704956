//! The archive: a zip file of one form, so that every byte of it is either data or follows from what is known.
//!
//! Any unzip reads it. The writer uses one form of header alone (no extra fields, comments, flags or times), and the
//! reader takes nothing else: headers are written again from what they say and compared, data that nobody names has no
//! place. So no byte can be changed, put between or hung on without notice. The form without zip64 holds 4 GiB.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};
use trail::record::hex;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;

const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: u64 = 46;
const END_BYTES: u64 = 22;

/// Zip 2.0: deflate.
const VERSION: u16 = 20;

/// 1 January 1980: the earliest time that the form can say. When a pack was made is in its manifest.
const DATE: u16 = 0x0021;

/// So many files at the most.
pub(super) const MOST_ENTRIES: usize = 4_096;

/// A directory of more bytes is not read.
const MOST_DIRECTORY: u64 = MOST_ENTRIES as u64 * 512;

/// How a file lies in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// As it is.
    Stored,
    /// Deflated.
    Deflated,
}

impl Method {
    fn number(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::Deflated => 8,
        }
    }

    fn of(number: u16) -> Option<Self> {
        [Self::Stored, Self::Deflated].into_iter().find(|method| method.number() == number)
    }
}

/// A file as the directory names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) method: Method,
    pub(super) crc: u32,
    /// Bytes in the archive.
    pub(super) packed: u32,
    /// Bytes of the file.
    pub(super) plain: u32,
    /// Where its header begins.
    pub(super) offset: u32,
}

fn put(into: &mut Vec<u8>, shorts: &[u16]) {
    shorts.iter().for_each(|short| into.extend(short.to_le_bytes()));
}

fn put_long(into: &mut Vec<u8>, longs: &[u32]) {
    longs.iter().for_each(|long| into.extend(long.to_le_bytes()));
}

impl Entry {
    fn name_length(&self) -> u16 {
        u16::try_from(self.path.len()).unwrap_or(u16::MAX)
    }

    fn common(&self, into: &mut Vec<u8>) {
        put(into, &[VERSION, 0, self.method.number(), 0, DATE]);
        put_long(into, &[self.crc, self.packed, self.plain]);
        put(into, &[self.name_length(), 0]);
    }

    fn local(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_long(&mut bytes, &[LOCAL]);
        self.common(&mut bytes);
        bytes.extend(self.path.as_bytes());
        bytes
    }

    fn central(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_long(&mut bytes, &[CENTRAL]);
        put(&mut bytes, &[VERSION]);
        self.common(&mut bytes);
        put(&mut bytes, &[0, 0, 0]);
        put_long(&mut bytes, &[0, self.offset]);
        bytes.extend(self.path.as_bytes());
        bytes
    }

    /// Where its data begins.
    fn data(&self) -> u64 {
        u64::from(self.offset) + LOCAL_BYTES + self.path.len() as u64
    }

    /// The first byte behind its data.
    fn end(&self) -> u64 {
        self.data() + u64::from(self.packed)
    }
}

fn end_of_directory(entries: usize, size: u32, offset: u32) -> Vec<u8> {
    let entries = u16::try_from(entries).unwrap_or(u16::MAX);
    let mut bytes = Vec::new();
    put_long(&mut bytes, &[END]);
    put(&mut bytes, &[0, 0, entries, entries]);
    put_long(&mut bytes, &[size, offset]);
    put(&mut bytes, &[0]);
    bytes
}

/// What was written of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) path: String,
    /// SHA-256 of the file.
    pub(super) sha256: String,
    pub(super) bytes: u64,
    /// SHA-256 of the bytes in the archive.
    pub(super) packed_sha256: String,
    pub(super) packed_bytes: u64,
}

/// Writes an archive, file after file, as they are produced.
#[derive(Debug)]
pub(super) struct Archive {
    out: BufWriter<File>,
    entries: Vec<Entry>,
}

/// Counts and hashes what goes through to the archive.
#[derive(Debug)]
struct Packed<'a> {
    out: &'a mut BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Packed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file that is being written.
pub(super) struct Writing<'a> {
    body: Body<'a>,
    entry: Entry,
    crc: Hasher,
    hash: Sha256,
    bytes: u64,
    entries: &'a mut Vec<Entry>,
}

enum Body<'a> {
    Stored(Packed<'a>),
    Deflated(DeflateEncoder<Packed<'a>>),
}

fn too_large() -> io::Error {
    io::Error::other("it would be larger than 4 GiB; make packs of shorter periods")
}

fn narrow(bytes: u64) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| too_large())
}

impl Archive {
    /// An archive in an empty file.
    pub(super) fn new(file: File) -> Self {
        Self { out: BufWriter::with_capacity(64 << 10, file), entries: Vec::new() }
    }

    /// Begins a file.
    pub(super) fn begin(&mut self, path: &str, method: Method) -> io::Result<Writing<'_>> {
        let offset = narrow(self.out.stream_position()?)?;
        let entry = Entry { path: path.to_owned(), method, crc: 0, packed: 0, plain: 0, offset };
        self.out.write_all(&entry.local())?;
        let packed = Packed { out: &mut self.out, hash: Sha256::new(), bytes: 0 };
        let body = match method {
            Method::Stored => Body::Stored(packed),
            Method::Deflated => Body::Deflated(DeflateEncoder::new(packed, Compression::default())),
        };
        let (crc, hash) = (Hasher::new(), Sha256::new());
        Ok(Writing { body, entry, crc, hash, bytes: 0, entries: &mut self.entries })
    }

    /// Writes a file whole.
    pub(super) fn whole(&mut self, path: &str, method: Method, bytes: &[u8]) -> io::Result<Written> {
        let mut writing = self.begin(path, method)?;
        writing.write_all(bytes)?;
        writing.finish()
    }

    /// Writes the directory, and hands the file back.
    pub(super) fn finish(mut self) -> io::Result<File> {
        let offset = narrow(self.out.stream_position()?)?;
        let directory: Vec<u8> = self.entries.iter().flat_map(Entry::central).collect();
        if self.entries.len() > MOST_ENTRIES {
            return Err(io::Error::other(format!("it would hold more than {MOST_ENTRIES} files")));
        }
        self.out.write_all(&directory)?;
        self.out.write_all(&end_of_directory(self.entries.len(), narrow(directory.len() as u64)?, offset))?;
        narrow(self.out.stream_position()?)?;
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.body {
            Body::Stored(packed) => packed.write(bytes)?,
            Body::Deflated(encoder) => encoder.write(bytes)?,
        };
        self.crc.update(&bytes[..written]);
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        narrow(self.bytes)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writing<'_> {
    /// Ends the file: only now its header can say how large it is.
    pub(super) fn finish(self) -> io::Result<Written> {
        let packed = match self.body {
            Body::Stored(packed) => packed,
            Body::Deflated(encoder) => encoder.finish()?,
        };
        let mut entry = self.entry;
        (entry.crc, entry.plain, entry.packed) = (self.crc.finalize(), narrow(self.bytes)?, narrow(packed.bytes)?);
        let end = narrow(packed.out.stream_position()?)?;
        packed.out.seek(SeekFrom::Start(entry.offset.into()))?;
        packed.out.write_all(&entry.local())?;
        packed.out.seek(SeekFrom::Start(end.into()))?;
        let written = Written {
            path: entry.path.clone(),
            sha256: hex(&self.hash.finalize()),
            bytes: self.bytes,
            packed_sha256: hex(&packed.hash.finalize()),
            packed_bytes: packed.bytes,
        };
        self.entries.push(entry);
        Ok(written)
    }
}

/// Why bytes are not an archive of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("this is no zip file")]
    NoArchive,
    #[error("the end is missing: the file was cut short, or its last bytes were changed")]
    CutShort,
    #[error("{0} bytes stand behind the end")]
    After(u64),
    #[error("{0} bytes stand in front of the beginning")]
    Before(u64),
    #[error("bytes are missing at the beginning")]
    Beheaded,
    #[error("{count} bytes stand {place}")]
    Between { count: u64, place: String },
    #[error("bytes are missing {0}")]
    Missing(String),
    #[error("the directory is not as it was written: {0}")]
    Directory(String),
    #[error("the header of {0} is not as it was written")]
    Header(String),
    #[error("it holds more files, or longer names, than a pack does")]
    TooLarge,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn bytes_at(file: &mut (impl Read + Seek), at: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files of an archive, in their order: every byte that is not theirs is as it was written.
pub(super) fn entries(file: &mut (impl Read + Seek)) -> Result<Vec<Entry>, Fault> {
    let length = file.seek(SeekFrom::End(0))?;
    let (count, size, offset) = end(file, length)?;
    let entries = directory(file, (count, size, offset))?;
    let mut at = 0;
    for entry in &entries {
        between(at, entry.offset.into(), &format!("in front of {}", entry.path))?;
        if bytes_at(file, entry.offset.into(), entry.data() - u64::from(entry.offset))? != entry.local() {
            return Err(Fault::Header(entry.path.clone()));
        }
        at = entry.end();
    }
    between(at, offset.into(), "in front of the directory")?;
    Ok(entries)
}

fn between(at: u64, begins: u64, place: &str) -> Result<(), Fault> {
    match begins.checked_sub(at) {
        Some(0) => Ok(()),
        Some(count) => Err(Fault::Between { count, place: place.to_owned() }),
        None => Err(Fault::Missing(place.to_owned())),
    }
}

/// What the last bytes say: how many files, and the directory's size and place.
fn end(file: &mut (impl Read + Seek), length: u64) -> Result<(usize, u32, u32), Fault> {
    let searched = length.min(64 << 10);
    let tail = bytes_at(file, length - searched, searched)?;
    let signature = END.to_le_bytes();
    let Some(found) = tail.windows(4).rposition(|four| four == signature) else {
        let begins = bytes_at(file, 0, 4)?;
        return Err(if begins == LOCAL.to_le_bytes() { Fault::CutShort } else { Fault::NoArchive });
    };
    let last = &tail[found..];
    let Some(behind) = (last.len() as u64).checked_sub(END_BYTES) else { return Err(Fault::CutShort) };
    if behind > 0 {
        return Err(Fault::After(behind));
    }
    let (count, size, offset) = (short(last, 10), word(last, 12), word(last, 16));
    if last != end_of_directory(count.into(), size, offset) {
        return Err(Fault::Directory("its end".to_owned()));
    }
    displaced(file, length - END_BYTES, (size, offset))?;
    Ok((count.into(), size, offset))
}

/// Whether the directory lies where its end says; if not, what was put in or taken away.
fn displaced(file: &mut (impl Read + Seek), end: u64, (size, offset): (u32, u32)) -> Result<(), Fault> {
    let said = u64::from(offset) + u64::from(size);
    if said == end {
        return Ok(());
    }
    let begins_well = bytes_at(file, 0, 4)? == LOCAL.to_le_bytes();
    let in_place = bytes_at(file, offset.into(), 4)? == CENTRAL.to_le_bytes();
    Err(match (end.checked_sub(said), begins_well, in_place) {
        (Some(more), false, _) => Fault::Before(more),
        (Some(count), true, true) => Fault::Between { count, place: "behind the directory".to_owned() },
        (Some(count), true, false) => Fault::Between { count, place: "between the files".to_owned() },
        (None, false, _) => Fault::Beheaded,
        (None, true, _) => Fault::Missing("between the files or in the directory".to_owned()),
    })
}

fn directory(file: &mut (impl Read + Seek), (count, size, offset): (usize, u32, u32)) -> Result<Vec<Entry>, Fault> {
    if u64::from(size) > MOST_DIRECTORY || count > MOST_ENTRIES {
        return Err(Fault::TooLarge);
    }
    let bytes = bytes_at(file, offset.into(), size.into())?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::with_capacity(count);
    for number in 1..=count {
        let (entry, length) = central(rest).ok_or_else(|| Fault::Directory(format!("line {number}")))?;
        rest = &rest[length..];
        entries.push(entry);
    }
    if rest.is_empty() { Ok(entries) } else { Err(Fault::Directory("it is longer than it says".to_owned())) }
}

/// A line of the directory and its length, if it is one that the writer would write.
fn central(bytes: &[u8]) -> Option<(Entry, usize)> {
    let fixed = usize::try_from(CENTRAL_BYTES).ok()?;
    let length = fixed + usize::from(short(bytes, 28));
    let name = std::str::from_utf8(bytes.get(fixed..length)?).ok()?;
    let entry = Entry {
        path: name.to_owned(),
        method: Method::of(short(bytes, 10))?,
        crc: word(bytes, 16),
        packed: word(bytes, 20),
        plain: word(bytes, 24),
        offset: word(bytes, 42),
    };
    (entry.central() == bytes[..length]).then_some((entry, length))
}

/// The bytes of a file as they lie in the archive.
pub(super) fn packed<'f, F: Read + Seek>(file: &'f mut F, entry: &Entry) -> io::Result<io::Take<&'f mut F>> {
    file.seek(SeekFrom::Start(entry.data()))?;
    Ok(file.take(entry.packed.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, Method, &[u8])]) -> Vec<u8> {
        let file = tempfile::tempfile().unwrap();
        let mut archive = Archive::new(file);
        for (path, method, bytes) in files {
            archive.whole(path, *method, bytes).unwrap();
        }
        let mut file = archive.finish().unwrap();
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn fault(bytes: &[u8]) -> String {
        entries(&mut io::Cursor::new(bytes)).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes =
            archive(&[("a/b.txt", Method::Deflated, b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"), ("c", Method::Stored, b"c")]);
        let found = entries(&mut io::Cursor::new(&bytes)).unwrap();
        let said: Vec<_> = found.iter().map(|entry| (entry.path.as_str(), entry.method, entry.plain)).collect();
        assert_eq!(said, [("a/b.txt", Method::Deflated, 28), ("c", Method::Stored, 1)]);
        assert!(found[0].packed < 28);
        assert_eq!(bytes, archive(&[("a/b.txt", Method::Deflated, &[b'a'; 28]), ("c", Method::Stored, b"c")]));
        assert_eq!(entries(&mut io::Cursor::new(archive(&[]))).unwrap(), []);
    }

    #[test]
    fn each_fault_has_its_own_answer() {
        let bytes = archive(&[("first", Method::Stored, b"1111"), ("second", Method::Stored, b"22")]);
        let with = |at: usize, more: &[u8]| [&bytes[..at], more, &bytes[at..]].concat();
        let second = 30 + 5 + 4;
        let directory = second + 30 + 6 + 2;
        assert_eq!(fault(&with(0, b"xyz")), "3 bytes stand in front of the beginning");
        assert_eq!(fault(&with(bytes.len(), b"xyz")), "3 bytes stand behind the end");
        assert_eq!(fault(&with(second, b"xyz")), "3 bytes stand between the files");
        assert_eq!(fault(&with(bytes.len() - 22, b"xyz")), "3 bytes stand behind the directory");
        assert_eq!(fault(&bytes[3..]), "bytes are missing at the beginning");
        assert_eq!(
            fault(&[&bytes[..second], &bytes[directory..]].concat()),
            "bytes are missing between the files or in the directory"
        );
        assert!(fault(&bytes[..bytes.len() - 1]).starts_with("the end is missing"));
        assert!(fault(&bytes[..second]).starts_with("the end is missing"));
        assert_eq!(fault(b"hello"), "this is no zip file");
        assert_eq!(fault(b""), "this is no zip file");
        let mut flipped = bytes.clone();
        flipped[second + 14] ^= 1;
        assert_eq!(fault(&flipped), "the header of second is not as it was written");
    }
}
