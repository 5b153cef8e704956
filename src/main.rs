//! `qtrail`: QuickInfra Trail over files or a live account.

use std::process::ExitCode;

use clap::Parser;

mod audit;
mod cli;
mod demo;
mod detections;
mod findings;
mod ingest;
mod input;
mod output;
mod pack;
mod place;
mod rebuild;
mod review;
mod scan;
mod search;
mod status;
mod verify;
mod view;
mod who;
mod who_can;

use cli::{Cli, Command};

/// How a command ended, as its exit status says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// Done.
    Done,
    /// Done, and what was asked to be told by the exit status is there.
    Found,
    /// Something could not be read. What could be read was reported.
    Unread,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Who looks at what is said by the page's log.
    output::log_to_stderr(cli.verbose || matches!(cli.command, Command::View(_)));
    match run(cli.command) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Found) => ExitCode::from(1),
        Ok(Ending::Unread) => ExitCode::from(2),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Scan(arguments) => scan::run(&arguments),
        Command::Demo(arguments) => block_on(demo::run(arguments)),
        Command::Ingest(arguments) => block_on(ingest::run(arguments)),
        Command::Search(arguments) => block_on(search::run(arguments)),
        Command::Export(arguments) => block_on(search::export(arguments)),
        Command::Rebuild(arguments) => block_on(rebuild::run(arguments)),
        Command::Review(arguments) => block_on(review::run(arguments)),
        Command::Findings(arguments) => block_on(findings::run(arguments)),
        Command::Status(arguments) => block_on(status::run(arguments)),
        Command::Audit(arguments) => block_on(audit::run(arguments)),
        Command::Verify(arguments) => block_on(verify::run(arguments)),
        Command::View(arguments) => block_on(view::run(arguments)),
        Command::Who(arguments) => block_on(who::run(arguments)),
        Command::WhoCan(arguments) => block_on(who_can::run(arguments)),
        Command::Pack(arguments) => block_on(pack::run(arguments)),
        Command::Detections => detections::run(),
        Command::Completions { shell } => {
            cli::print_completions(shell)?;
            Ok(Ending::Done)
        }
    }
}

/// Files are read by few threads: each keeps memory of its own, and more than the processors can feed gain nothing.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().max_blocking_threads(8).enable_all().build()?.block_on(work)
}
