//! What the `ingest` function costs before it does anything: the size of its package, the time to its first poll of
//! the Lambda Runtime API, and the memory it then has.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::memory::megabytes;
use crate::verdict;

/// The limit of the zipped package, in bytes.
const LARGEST_PACKAGE: usize = 9_000_000;
/// The limit from process start to first poll, in milliseconds.
const LONGEST_START: f64 = 40.0;
/// The limit of resident memory at the first poll, in MB.
const LARGEST_MEMORY: u64 = 64;
const STARTS: usize = 12;

pub(crate) fn report() {
    let Some(binary) = binary() else {
        println!("the ingest function: NOT MEASURED, there is no target/lambda/ingest");
        println!("hint: cargo build --profile lambda --package ingest");
        return;
    };
    let package = zipped(&binary);
    println!(
        "ingest package, zipped: {:.2} MB; limit {} MB: {}",
        f64::from(u32::try_from(package).unwrap_or(u32::MAX)) / 1e6,
        LARGEST_PACKAGE / 1_000_000,
        verdict(package < LARGEST_PACKAGE)
    );
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        match start(&binary) {
            Ok(start) => starts.push(start),
            Err(problem) => {
                println!("ingest, start and memory: NOT MEASURED, {problem}");
                return;
            }
        }
    }
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (milliseconds, _) = starts[STARTS / 2];
    let memory = starts.iter().map(|start| start.1).max().unwrap_or_default();
    println!(
        "ingest, process start to first poll: median of {STARTS} {milliseconds:.1} ms, best {:.1} ms; limit {LONGEST_START} ms: {}",
        starts[0].0,
        verdict(milliseconds < LONGEST_START)
    );
    println!(
        "ingest, resident memory at the first poll: {memory} MB; limit {LARGEST_MEMORY} MB: {}",
        verdict(memory < LARGEST_MEMORY)
    );
}

/// The function built for deployment. This bench lies in `<target>/release/deps`.
fn binary() -> Option<PathBuf> {
    let bench = std::env::current_exe().ok()?;
    let path = bench.ancestors().nth(3)?.join("lambda").join("ingest");
    path.is_file().then_some(path)
}

/// The size of a zip archive of this one file at the best compression: its deflate stream and the archive's headers.
fn zipped(binary: &Path) -> usize {
    const HEADERS: usize = 30 + 46 + 22 + 2 * "bootstrap".len();
    let bytes = fs::read(binary).expect("a readable binary");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    packed.expect("writing to memory").len() + HEADERS
}

/// Milliseconds from process start to first poll, and MB resident at that moment.
fn start(binary: &Path) -> Result<(f64, u64), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (sender, polled) = mpsc::channel();
    thread::spawn(move || {
        let request = listener.accept().ok().and_then(|(stream, _)| {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).ok().map(|_| (Instant::now(), line, stream))
        });
        // Whoever waits may have given up by now.
        let _ = sender.send(request);
    });
    let mut command = Command::new(binary);
    command.env_clear().envs(environment(&address.to_string()));
    let started = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    let mut child = Running(child);
    let Ok(Some((at, line, _stream))) = polled.recv_timeout(Duration::from_secs(10)) else {
        return Err(format!("it did not poll within 10 s ({:?})", child.0.try_wait()));
    };
    if !line.starts_with("GET /2018-06-01/runtime/invocation/next") {
        return Err(format!("its first request was {}", line.trim()));
    }
    let memory = megabytes(child.0.id(), "VmRSS:").ok_or("this system does not tell a process's memory in /proc")?;
    Ok((at.duration_since(started).as_secs_f64() * 1e3, memory))
}

/// What Lambda and the template set.
fn environment(runtime_api: &str) -> Vec<(&'static str, String)> {
    let own = [
        ("AWS_LAMBDA_FUNCTION_NAME", "ingest"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEBENCHMARK"),
        ("AWS_SECRET_ACCESS_KEY", "example"),
        ("QTRAIL_TABLE", "qtrail"),
        ("QTRAIL_DATA", "s3://example-trail-data"),
        ("QTRAIL_LOG_BUCKETS", "example-trail-logs"),
        ("QTRAIL_PEOPLE_TOPIC", "arn:aws:sns:eu-west-1:999988887777:qtrail-people"),
        ("QTRAIL_CHAT_TOPIC", "arn:aws:sns:eu-west-1:999988887777:qtrail-chat"),
        ("QTRAIL_ACCOUNT", "999988887777"),
        ("QTRAIL_STACK", "qtrail"),
    ];
    let mut all: Vec<_> = own.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    all.push(("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()));
    all
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
