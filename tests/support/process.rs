//! A child process: its output by lines, its memory, its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How often a process is asked whether it ended, and output is looked at again.
const POLL: Duration = Duration::from_millis(2);

/// A running child, killed when dropped.
pub(crate) struct Process {
    child: Mutex<Child>,
    started: Instant,
    /// Whether its children end with it.
    is_family: bool,
}

impl Process {
    /// Starts a command whose output goes to `output`.
    pub(crate) fn spawn(command: &mut Command, output: &Output) -> Self {
        Self::start(command, output, false)
    }

    /// Starts a command that has children of its own, which end with it.
    pub(crate) fn spawn_family(command: &mut Command, output: &Output) -> Self {
        Self::start(command.process_group(0), output, true)
    }

    fn start(command: &mut Command, output: &Output, is_family: bool) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        output.stdout.read(child.stdout.take().expect("a pipe"));
        output.stderr.read(child.stderr.take().expect("a pipe"));
        Self { child: Mutex::new(child), started, is_family }
    }

    /// The moment before the process was made.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Kills the process. When this returns it is gone.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).filter(|_| self.is_family);
        if let Some(group) = group {
            // Gone already: so are its children, or they are nobody's any more.
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.kill().expect("our own child");
        child.wait().expect("our own child");
    }

    /// How the process ended, or `None` while it runs.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("our own child")
    }

    /// Waits for the end.
    pub(crate) async fn exited(&self) -> ExitStatus {
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Resident memory in bytes (`VmRSS`), or `None` when the process is gone.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child().id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("no panic while held")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What processes wrote, line by line.
#[derive(Default, Clone)]
pub(crate) struct Output {
    /// Lines of the standard output.
    pub(crate) stdout: Lines,
    /// Lines of the standard error.
    pub(crate) stderr: Lines,
}

impl Output {
    /// Waits up to five seconds for a line that contains `text`: output arrives after the answer does.
    pub(crate) async fn line_with(&self, text: &str) -> Option<String> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let lines = [self.stdout.all(), self.stderr.all()].concat();
            let found = lines.into_iter().find(|line| line.contains(text));
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The lines of one stream.
#[derive(Default, Clone)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Every line so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while held").clone()
    }

    /// Collects a pipe on a thread of its own, so that a full pipe never stops the process.
    fn read(&self, pipe: impl Read + Send + 'static) {
        let lines = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                lines.push(&line);
            }
        });
    }

    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        self.0.lock().expect("no panic while held").push(line);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[tokio::test]
    async fn output_comes_by_lines_and_the_end_is_told() {
        let output = Output::default();
        let process = Process::spawn(&mut shell("echo one; echo two >&2; printf '\\377 three'; exit 4"), &output);
        assert_eq!(process.exited().await.code(), Some(4));
        assert_eq!(output.line_with("three").await.as_deref(), Some("\u{fffd} three"));
        assert_eq!(output.line_with("two").await.as_deref(), Some("two"));
        assert_eq!((output.stdout.all().len(), output.stderr.all().len()), (2, 1));
    }

    #[tokio::test]
    async fn a_killed_process_is_gone() {
        let process = Process::spawn(&mut shell("exec sleep 600"), &Output::default());
        assert_eq!(process.exit_status(), None);
        assert!(process.resident_bytes().is_some_and(|bytes| bytes > 0));
        process.kill();
        assert_eq!(process.exit_status().and_then(|status| status.signal()), Some(9));
        assert_eq!(process.resident_bytes(), None);
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }
}
