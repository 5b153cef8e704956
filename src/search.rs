//! `qtrail search` and `qtrail export`: records of the lake.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use cloud::stores::{Place, Stores, folder};
use lake::answer::{Answer, Cursor, Page, Read};
use lake::{Lake, Query, table};
use sha2::{Digest, Sha256};
use trail::alert::clean;
use trail::facts::Facts;
use trail::record::{hex, is_refusal};

use crate::Ending;
use crate::cli::{ExportArgs, LakeArgs, QueryArgs, RecordFormat, SearchArgs};
use crate::output::{self, Printer};

/// Records asked for at once by an export.
const BATCH: usize = 10_000;

/// Bytes that one answer may read.
const BUDGET: u64 = 100_000_000_000;

/// Resources named in a line.
const NAMED: usize = 2;

/// Runs `qtrail search`.
pub(crate) async fn run(arguments: SearchArgs) -> anyhow::Result<Ending> {
    let lake = open(&arguments.lake).await?;
    let query = query(&arguments.query)?;
    if arguments.limit == 0 {
        bail!("--limit 0 asks for nothing: it is at least 1");
    }
    let after = arguments.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let page = Page {
        limit: arguments.limit,
        after: after.map_err(|why| anyhow::anyhow!("--cursor: {why}"))?,
        json: arguments.format == RecordFormat::Ndjson,
        budget: BUDGET,
    };
    let started = std::time::Instant::now();
    let answer = lake.search(&query, &page).await?;
    print(&answer, arguments.format)?;
    note_skipped(&answer.read);
    let read = &answer.read;
    output::note(&format!(
        "records={} files={} requests={} megabytes={:.1} seconds={:.2}",
        answer.rows.len(),
        read.files,
        read.requests,
        Megabytes(read.bytes).value(),
        started.elapsed().as_secs_f64()
    ));
    if let Some(next) = &answer.next {
        output::note(&format!("there are more: --limit {}, or --cursor '{next}'", arguments.limit.saturating_mul(10)));
    }
    if answer.rows.is_empty() {
        say_why_nothing(&lake, &arguments.lake, read.is_partial()).await?;
    }
    Ok(if read.is_partial() { Ending::Unread } else { Ending::Done })
}

/// Runs `qtrail export`.
pub(crate) async fn export(arguments: ExportArgs) -> anyhow::Result<Ending> {
    let lake = open(&arguments.lake).await?;
    let query = query(&arguments.query)?;
    let shown = arguments.output.display().to_string();
    let parent = arguments.output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).with_context(|| shown.clone())?;
    let mut written = Written { file, hash: Sha256::new(), records: 0 };
    let is_partial = written.all(&lake, &query, arguments.format).await.with_context(|| shown.clone())?;
    let (records, sha256) = (written.records, hex(&written.hash.finalize()));
    written.file.as_file().sync_all().with_context(|| shown.clone())?;
    written.file.persist(&arguments.output).with_context(|| shown.clone())?;
    if records == 0 {
        say_why_nothing(&lake, &arguments.lake, is_partial).await?;
    }
    output::note(&format!("records={records} sha256={sha256} file={shown}"));
    Ok(if is_partial { Ending::Unread } else { Ending::Done })
}

/// A file under way. It gets its name when it is whole.
struct Written {
    file: tempfile::NamedTempFile,
    hash: Sha256,
    records: u64,
}

impl Written {
    /// Writes all records that match; yields whether some could not be read.
    async fn all(&mut self, lake: &Lake, query: &Query, format: RecordFormat) -> anyhow::Result<bool> {
        let mut page = Page { limit: BATCH, json: format == RecordFormat::Ndjson, budget: BUDGET, ..Page::default() };
        let mut is_partial = false;
        if format == RecordFormat::Csv {
            self.write(&format!("{}\r\n", table::csv_heading()))?;
        }
        loop {
            let answer = lake.search(query, &page).await?;
            for facts in &answer.rows {
                let end = if format == RecordFormat::Csv { "\r\n" } else { "\n" };
                self.write(&(line(facts, format) + end))?;
                self.records += 1;
            }
            if !is_partial {
                note_skipped(&answer.read);
            }
            is_partial |= answer.read.is_partial();
            page.after = answer.next;
            if page.after.is_none() {
                return Ok(is_partial);
            }
        }
    }

    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.hash.update(text);
        self.file.write_all(text.as_bytes())
    }
}

/// The lake that the arguments mean.
pub(crate) async fn open(arguments: &LakeArgs) -> anyhow::Result<Lake> {
    let place = place(arguments).await?;
    Ok(Lake::new(place.store, place.prefix))
}

/// Where the lake and everything beside it lies.
pub(crate) async fn place(arguments: &LakeArgs) -> anyhow::Result<Place> {
    match &arguments.lake {
        Some(url) if url.contains("://") => Ok(Stores::new(cloud::deployment::sdk_config().await).open(url)?),
        url => {
            let path = url.as_ref().map_or(arguments.data.as_path(), Path::new);
            if !path.is_dir() {
                bail!("{} holds no lake: run qtrail ingest first, or name one with --lake", path.display());
            }
            Ok(folder(path)?)
        }
    }
}

/// The query that the arguments mean.
fn query(arguments: &QueryArgs) -> anyhow::Result<Query> {
    let mut query = Query::default();
    let named = [
        ("user", &arguments.user),
        ("resource", &arguments.resource),
        ("resource-type", &arguments.resource_type),
        ("action", &arguments.action),
        ("ip", &arguments.ip),
        ("access-key", &arguments.access_key),
        ("account", &arguments.account),
        ("region", &arguments.region),
        ("error", &arguments.error),
        ("from", &arguments.from),
        ("to", &arguments.to),
    ];
    for (name, value) in named {
        value.iter().try_for_each(|value| query.add(name, value))?;
    }
    for given in &arguments.filters {
        let Some((name, value)) = given.split_once('=') else {
            bail!("--filter {given}: NAME=VALUE is wanted, such as --filter agent=terraform");
        };
        query.add(name, value)?;
    }
    if arguments.writes {
        query.add("writes", "yes")?;
    }
    Ok(query)
}

fn print(answer: &Answer, format: RecordFormat) -> std::io::Result<()> {
    let mut printer = Printer::new();
    if format == RecordFormat::Csv {
        printer.line(&table::csv_heading())?;
    }
    answer.rows.iter().try_for_each(|facts| printer.line(&line(facts, format)))
}

fn line(facts: &Facts<'_>, format: RecordFormat) -> String {
    match format {
        RecordFormat::Text => text_line(facts),
        RecordFormat::Ndjson => table::json_line(facts).to_string(),
        RecordFormat::Csv => table::csv_line(facts),
    }
}

/// `2026-11-20 03:02:40Z denied  111122223333/eu-west-1 alice ec2:RunInstances i-0abc, from 203.0.113.7`.
pub(crate) fn text_line(facts: &Facts<'_>) -> String {
    let outcome = match &*facts.error_code {
        "" => "success",
        code if is_refusal(code) => "denied",
        _ => "failed",
    };
    let service = facts.event_source.trim_end_matches(".amazonaws.com");
    let mut named: Vec<String> = facts.resources.iter().take(NAMED).map(|resource| clean(resource)).collect();
    if facts.resources.len() > NAMED {
        named.push(format!("and {} more", facts.resources.len() - NAMED));
    }
    let resources = if named.is_empty() { String::new() } else { format!(" {}", named.join(", ")) };
    let code = if facts.error_code.is_empty() { String::new() } else { format!(" ({})", clean(&facts.error_code)) };
    format!(
        "{} {}Z {outcome:<7} {}/{} {} {}:{}{code}{resources}, from {}  {}",
        facts.event_time.date(),
        facts.event_time.clock(),
        clean(&facts.account),
        clean(&facts.region),
        clean(&facts.actor_name),
        clean(service),
        clean(&facts.event_name),
        clean(&facts.source_ip),
        clean(&facts.event_id),
    )
}

/// What could not be read, on stderr.
pub(crate) fn note_skipped(read: &Read) {
    for (object, why) in &read.skipped {
        output::note(&format!("not read: {}: {}", clean(object), clean(why)));
    }
    if !read.skipped.is_empty() {
        output::note("hint: `qtrail rebuild --from DAY --to DAY LOGS` makes a day anew from its log files");
    }
    if read.cut {
        output::note("the answer ends where the limit of bytes to read was reached: narrow the time or the filters");
    }
}

async fn say_why_nothing(lake: &Lake, arguments: &LakeArgs, is_partial: bool) -> anyhow::Result<()> {
    let days = lake.content().await?.days;
    let said = if let (Some((first, _)), Some((last, _))) = (days.first(), days.last()) {
        let where_ = if is_partial { " in what could be read" } else { "" };
        format!("nothing matches{where_}; the lake holds {first} to {last}")
    } else {
        let place = arguments.lake.clone().unwrap_or_else(|| arguments.data.display().to_string());
        format!("the lake in {place} is empty: qtrail ingest or qtrail rebuild fills it")
    };
    output::note(&said);
    Ok(())
}

/// Bytes for people.
struct Megabytes(u64);

impl Megabytes {
    fn value(&self) -> f64 {
        f64::from(u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)) / 1000.0
    }
}
