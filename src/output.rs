//! What is printed, and where: data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use trail::detection::Severity;

/// Stdout, with colours only where somebody sees them (`NO_COLOR`, pipes).
pub(crate) struct Printer {
    out: anstream::AutoStream<io::StdoutLock<'static>>,
}

impl Printer {
    /// A printer on stdout.
    pub(crate) fn new() -> Self {
        Self { out: anstream::AutoStream::auto(io::stdout().lock()) }
    }

    /// A line.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A line in the colour of a severity.
    pub(crate) fn graded(&mut self, severity: Severity, text: &str) -> io::Result<()> {
        let style = style_of(severity);
        writeln!(self.out, "{style}{text}{style:#}")
    }
}

fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => Style::new(),
        Severity::Informational => Style::new().dimmed(),
    }
}

/// A remark for people.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// An error in one line, with its causes and where there is one the way out.
pub(crate) fn error(error: &anyhow::Error) {
    let style = AnsiColor::Red.on_default().bold();
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut said: Vec<&str> = Vec::new();
    for cause in &causes {
        if !said.iter().any(|earlier| earlier.contains(cause.as_str())) {
            said.push(cause);
        }
    }
    let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {}", said.join(": "));
}

/// Whether stdout was closed by whoever reads it: the end of a pipe, no error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// The log on stderr: warnings, or more when asked for.
pub(crate) fn log_to_stderr(verbose: bool) {
    let level = if verbose { LevelFilter::INFO } else { LevelFilter::ERROR };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).without_time();
    tracing_subscriber::registry().with(lines).with(level).init();
}

/// A bar for long work; nothing where stderr is no terminal.
pub(crate) fn progress(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {elapsed} (eta {eta})");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
