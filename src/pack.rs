//! `qtrail pack`: evidence for an auditor, in one signed archive; and what such an archive proves.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use cloud::deployment::{now, sdk_config};
use cloud::pack::{Ask, Built, Known, Problem, ProblemKind, PublicKey, Signer, Sources, Verified, issue, verify};
use cloud::stores::{Place, Stores, folder};
use lake::Lake;
use trail::review::{By, Period};
use trail::settings::Settings;

use crate::cli::{PackAction, PackArgs, PackVerifyArgs, ProblemFormat};
use crate::output::{self, Printer};
use crate::{Ending, input, place};

/// The local key, in the data folder.
pub(crate) const KEY: &str = "pack-key.p8";

/// Runs the command.
pub(crate) async fn run(arguments: PackArgs) -> anyhow::Result<Ending> {
    match &arguments.action {
        Some(PackAction::Verify(asked)) => verify_file(asked),
        None => make(&arguments).await,
    }
}

/// Where a pack's evidence comes from and where it goes.
struct Deployment {
    data: Place,
    packs: Place,
    lake: Option<Lake>,
}

async fn make(arguments: &PackArgs) -> anyhow::Result<Ending> {
    let (Some(from), Some(to)) = (arguments.from, arguments.to) else { bail!("--from and --to say which time") };
    ensure!(from < to, "--from is not before --to");
    ensure!(from < now(), "--from is still to come");
    let settings = input::settings_of(&arguments.state)?;
    let state = place::state(&arguments.state).await?;
    let deployment = deployment(arguments).await?;
    let account = account(&settings);
    let signer = match &arguments.kms_key {
        Some(key) => Signer::kms(&sdk_config().await, key).await?,
        None => Signer::local(&arguments.state.data.join(KEY), &account)?,
    };
    let period = Period { id: format!("{}/{}", from.date(), to.date()), from, to };
    let ask = Ask { period, by: Some(myself()), account, now: now() };
    let Deployment { data, packs, lake } = &deployment;
    let sources = Sources { state: &state, data, lake: lake.as_ref(), settings: &settings };
    let (record, built) = issue(&sources, &ask, &signer, packs).await?;
    if let Some(out) = &arguments.out {
        copy(&built, out)?;
    }
    keep_key(&arguments.state.data, &signer)?;
    let mut printer = Printer::new();
    let shown = |path: &PathBuf| path.display().to_string();
    printer.line(&arguments.out.as_ref().map_or_else(|| located(arguments, &record.location), shown))?;
    let files = built.manifest.files.len();
    output::note(&format!("{}: {files} files, {} bytes, SHA-256 {}", record.id, record.bytes, record.sha256));
    for gap in &built.manifest.gaps {
        output::note(&format!("gap: {}: {}", gap.file, visible(&gap.what)));
    }
    output::note(&format!("signed by {} (SHA-256 {})", record.key, record.key_sha256));
    Ok(Ending::Done)
}

/// Puts the public key into the data folder: to be handed over on another way than the pack.
pub(crate) fn keep_key(folder: &Path, signer: &Signer) -> anyhow::Result<()> {
    let path = folder.join("pack-key.pem");
    std::fs::write(&path, signer.key().pem()).with_context(|| format!("{}", path.display()))
}

fn located(arguments: &PackArgs, location: &str) -> String {
    match &arguments.packs {
        Some(url) if url.starts_with("s3://") => {
            let bucket = url.trim_start_matches("s3://").split('/').next().unwrap_or_default();
            format!("s3://{bucket}/{location}")
        }
        Some(folder) => Path::new(folder).join(location).display().to_string(),
        None => arguments.state.data.join(location).display().to_string(),
    }
}

fn account(settings: &Settings) -> String {
    let said = [&settings.own.account, &settings.audit.logging_account];
    said.into_iter().find(|account| !account.is_empty()).cloned().unwrap_or_default()
}

async fn deployment(arguments: &PackArgs) -> anyhow::Result<Deployment> {
    let stores = Stores::new(sdk_config().await);
    let url = match (&arguments.lake, &arguments.state.table) {
        (Some(url), _) => url.clone(),
        (None, Some(_)) => bail!("--table wants --lake: the deployment's data bucket (the stack's output `LakeUrl`)"),
        (None, None) => arguments.state.data.display().to_string(),
    };
    let data = stores.open(&url)?;
    let packs = match &arguments.packs {
        Some(url) => stores.open_locked(url)?,
        None => folder(&arguments.state.data)?,
    };
    let lake = Some(Lake::new(data.store.clone(), data.prefix.clone()));
    Ok(Deployment { data, packs, lake })
}

/// Whoever sits at this machine: nobody proves who that is.
fn myself() -> By {
    let who = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    By {
        who: who.unwrap_or_else(|| "unknown".to_owned()),
        arn: String::new(),
        account: String::new(),
        proven: "local".to_owned(),
        address: String::new(),
        person: None,
    }
}

fn copy(built: &Built, out: &Path) -> anyhow::Result<()> {
    let shown = out.display().to_string();
    let mut from = built.file.reopen().with_context(|| shown.clone())?;
    let mut to = File::options().write(true).create_new(true).open(out).with_context(|| shown.clone())?;
    std::io::copy(&mut from, &mut to).with_context(|| shown)?;
    Ok(())
}

fn verify_file(asked: &PackVerifyArgs) -> anyhow::Result<Ending> {
    let mut known = Known::default();
    if let Some(path) = &asked.key {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        let key = PublicKey::from_pem(&text);
        known.key = Some(key.with_context(|| format!("{}: no public key over P-256 in PEM", path.display()))?);
    }
    if let Some(path) = &asked.previous {
        let before = verified(path, &Known::default())?;
        if let Some(problem) = before.problems.first() {
            output::note(&format!("{}: the previous pack is not as it was signed: {problem}", path.display()));
        }
        known.previous = Some((before.sha256, before.manifest.and_then(|manifest| manifest.prev_pack_sha256)));
    }
    let verified = verified(&asked.file, &known)?;
    tell(&verified, asked.format)?;
    let unread = |problem: &Problem| matches!(problem.kind, ProblemKind::NoArchive | ProblemKind::TooLarge);
    Ok(match verified.problems.as_slice() {
        [] => Ending::Done,
        problems if problems.iter().any(unread) => Ending::Unread,
        _ => Ending::Found,
    })
}

fn verified(path: &Path, known: &Known) -> anyhow::Result<Verified> {
    let shown = || format!("{}", path.display());
    let mut file = File::open(path).with_context(shown)?;
    verify(&mut file, known).with_context(shown)
}

/// Foreign text without letters that steer a terminal or hide; nothing is cut from hashes.
fn visible(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn tell(verified: &Verified, format: ProblemFormat) -> anyhow::Result<()> {
    let mut printer = Printer::new();
    for problem in &verified.problems {
        match format {
            ProblemFormat::Text => printer.line(&visible(&problem.to_string()))?,
            ProblemFormat::Ndjson => printer.line(&serde_json::to_string(problem)?)?,
        }
    }
    for line in verified.statement() {
        let line = visible(&line);
        match format {
            ProblemFormat::Text if verified.is_as_signed() => printer.line(&line)?,
            _ => output::note(&line),
        }
    }
    output::note(&format!("sha256={} problems={}", verified.sha256, verified.problems.len()));
    Ok(())
}
