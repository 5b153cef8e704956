//! What it costs a month: prices, measured figures and the size of an organization, and nothing else.
//!
//! `cargo run --release --example cost > docs/cost.md` makes the page anew; with a file as its argument it computes
//! another `cost.toml`.

#![cfg_attr(not(test), expect(clippy::print_stdout, reason = "the page goes to stdout"))]

use std::fmt::Write as _;

use serde::Deserialize;

/// Days of a month.
const DAYS: f64 = 30.0;
/// Minutes of a month.
const MINUTES: f64 = DAYS * 24.0 * 60.0;
/// Regions that deliver digests.
const REGIONS: f64 = 17.0;
/// Records that a part holds.
const PART: f64 = 8e6;
/// How often parts are looked at, a day.
const LOOKS: u32 = 144;

/// All of `cost.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    prices: Prices,
    measured: Measured,
    functions: Functions,
    kept: Kept,
    organization: Vec<Organization>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    lambda_gb_second: f64,
    lambda_million_requests: f64,
    sqs_million_requests: f64,
    eventbridge_million_events: f64,
    s3_thousand_puts: f64,
    s3_million_gets: f64,
    s3_gb_month: f64,
    s3_glacier_instant_gb_month: f64,
    kms_million_requests: f64,
    dynamodb_million_write_units: f64,
    dynamodb_million_read_units: f64,
    dynamodb_gb_month: f64,
    sns_million_requests: f64,
    logs_gb: f64,
    athena_tb_scanned: f64,
    key_month: f64,
    alarm_month: f64,
    metric_month: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "each name says its unit")]
struct Measured {
    ingest_microseconds_a_record: f64,
    absorb_microseconds_a_record: f64,
    final_bytes_a_record: f64,
    hot_bytes_a_record: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Functions {
    milliseconds_a_file: f64,
    ingest_gb: f64,
    compact_gb: f64,
    write_units_a_file: f64,
    findings_a_thousand_records: f64,
    review_microseconds_a_record: f64,
    review_seconds_an_account: f64,
    keys: f64,
    alarms: f64,
    metrics: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    lake_months: f64,
    hot_days: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Organization {
    name: String,
    records: f64,
    records_a_file: f64,
    files_an_invocation: f64,
    accounts: f64,
}

/// A line of the table: what it is, how it comes about, and USD for one organization.
type Line = (&'static str, &'static str, fn(&Month<'_>) -> f64);

/// A month of one organization.
struct Month<'i> {
    inputs: &'i Inputs,
    of: &'i Organization,
}

const LINES: &[Line] = &[
    ("S3 notifications through EventBridge", "an event an object", |m| {
        m.objects() / 1e6 * m.price().eventbridge_million_events
    }),
    ("SQS", "a send an object; a receive and a delete an invocation; 15 polls a minute and queue", |m| {
        (m.objects() + 2.0 * m.invocations() + 3.0 * MINUTES * 15.0) / 1e6 * m.price().sqs_million_requests
    }),
    ("S3: log files and digests read", "a GET an object", |m| m.objects() / 1e6 * m.price().s3_million_gets),
    ("KMS: log files decrypted", "a request a log file, where the trail has a key and the bucket no Bucket Key", |m| {
        m.files() / 1e6 * m.price().kms_million_requests
    }),
    ("ingest", "measured CPU time, waiting for S3 and DynamoDB", |m| {
        m.lambda(m.invocations(), m.ingest_seconds(), m.inputs.functions.ingest_gb)
    }),
    ("lake: hot files", "a PUT an invocation", |m| m.invocations() / 1e3 * m.price().s3_thousand_puts),
    ("lake: compact", "measured CPU time of every pass over a part", |m| {
        let units = DAYS * m.parts() * f64::from(passes().0) + DAYS * f64::from(LOOKS);
        m.lambda(units, m.absorb_seconds(), m.inputs.functions.compact_gb)
    }),
    ("lake: compact's requests", "each hot file read once a part, each part read and written in 8 MB", |m| {
        let pieces = m.absorbed() * m.inputs.measured.final_bytes_a_record / 8e6 + DAYS * f64::from(passes().0);
        (m.invocations() * m.parts() + pieces) / 1e6 * m.price().s3_million_gets
            + pieces / 1e3 * m.price().s3_thousand_puts
    }),
    (
        "lake: what is due",
        "a LIST a thousand hot files: of 2 days every ten minutes, 3 hourly, all every three hours",
        |m| {
            let pages = |days: f64| (days * m.invocations() / DAYS / 1e3).ceil() + 1.0;
            let hourly = DAYS * 24.0;
            let lists = 6.0 * hourly * pages(2.0) + hourly * pages(3.0) + hourly / 3.0 * pages(m.inputs.kept.hot_days);
            lists / 1e3 * m.price().s3_thousand_puts
        },
    ),
    ("lake: kept", "parts and key files for the months that are kept", |m| {
        let bytes = m.of.records * m.inputs.measured.final_bytes_a_record * m.inputs.kept.lake_months;
        (bytes + m.hot_bytes()) / 1e9 * m.price().s3_gb_month
    }),
    ("table: log files, accounts, digests", "write units an object", |m| {
        m.objects() * m.inputs.functions.write_units_a_file / 1e6 * m.price().dynamodb_million_write_units
    }),
    ("table: findings and failed calls", "two units a write, two a read", |m| {
        let wanted = m.of.records / 1e3 * m.inputs.functions.findings_a_thousand_records;
        2.0 * wanted / 1e6 * (m.price().dynamodb_million_write_units + m.price().dynamodb_million_read_units)
    }),
    ("table: kept", "0.4 KB a log file, 400 days", |m| {
        m.files() * 400.0 / DAYS * 400.0 / 1e9 * m.price().dynamodb_gb_month
    }),
    ("audit, verify, notify", "0.5 GB; 3 s an account and look, hourly; 0.3 s every five minutes", |m| {
        let audits = m.of.accounts * DAYS * 2.0;
        m.lambda(audits + MINUTES / 5.0, audits * 3.0 + MINUTES / 5.0 * 0.3, 0.5)
            + m.lambda(MINUTES, MINUTES * 0.2, 0.25)
    }),
    ("alerts", "1,000 by SNS", |m| 1e3 / 1e6 * m.price().sns_million_requests + 0.02),
    ("logs", "0.4 KB an object", |m| m.objects() * 400.0 / 1e9 * m.price().logs_gb),
    ("viewer", "2,000 queries of ten requests and 0.4 s", |m| {
        m.lambda(2e3, 2e3 * 0.4, m.inputs.functions.compact_gb) + 2e4 / 1e6 * m.price().s3_million_gets
    }),
    ("access review", "1.8 GB; an account's snapshot a day, and each record of a quarter read once", |m| {
        let functions = &m.inputs.functions;
        let asking = DAYS * m.of.accounts * functions.review_seconds_an_account;
        let reading = m.of.records * functions.review_microseconds_a_record / 1e6;
        m.lambda(DAYS, asking + reading, functions.compact_gb)
    }),
    ("keys, alarms, metrics", "whatever the volume", |m| {
        let functions = &m.inputs.functions;
        functions.keys * m.price().key_month
            + functions.alarms * m.price().alarm_month
            + functions.metrics * m.price().metric_month
    }),
];

impl Month<'_> {
    fn price(&self) -> &Prices {
        &self.inputs.prices
    }

    fn files(&self) -> f64 {
        self.of.records / self.of.records_a_file
    }

    /// Log files, and a digest an hour, region and account.
    fn objects(&self) -> f64 {
        self.files() + REGIONS * 24.0 * DAYS * self.of.accounts
    }

    fn invocations(&self) -> f64 {
        self.objects() / self.of.files_an_invocation
    }

    fn ingest_seconds(&self) -> f64 {
        let waiting = (self.of.files_an_invocation / 16.0).ceil() * self.inputs.functions.milliseconds_a_file / 1e3;
        self.of.records * self.inputs.measured.ingest_microseconds_a_record / 1e6 + self.invocations() * waiting
    }

    fn parts(&self) -> f64 {
        (self.of.records / DAYS / PART).ceil()
    }

    /// Records that pass through absorbing, each as often as its part is made anew.
    fn absorbed(&self) -> f64 {
        self.of.records * passes().1
    }

    fn absorb_seconds(&self) -> f64 {
        self.absorbed() * self.inputs.measured.absorb_microseconds_a_record / 1e6
    }

    fn hot_bytes(&self) -> f64 {
        self.of.records / DAYS * self.inputs.kept.hot_days * self.inputs.measured.hot_bytes_a_record
    }

    fn lambda(&self, requests: f64, seconds: f64, gb: f64) -> f64 {
        requests / 1e6 * self.price().lambda_million_requests + seconds * gb * self.price().lambda_gb_second
    }
}

/// How often a part is made anew on its day, and how often a record passes through that on average: it is made anew
/// when hot rows are a tenth of it, or hourly.
fn passes() -> (u32, f64) {
    let (mut part, mut since, mut made, mut passed) = (0.0_f64, 0, 0, 0.0);
    for look in 1..=LOOKS {
        let rows = f64::from(look) / f64::from(LOOKS);
        since += 1;
        if rows - part >= 0.1 * part || since * 24 >= LOOKS {
            (part, since) = (rows, 0);
            made += 1;
            passed += rows;
        }
    }
    (made, passed)
}

/// The page.
pub(crate) fn page(inputs: &Inputs) -> String {
    let months: Vec<Month<'_>> = inputs.organization.iter().map(|of| Month { inputs, of }).collect();
    let mut page = INTRODUCTION.to_owned();
    let names: Vec<&str> = months.iter().map(|month| month.of.name.as_str()).collect();
    row(&mut page, "records a month", names.iter().map(ToString::to_string));
    row(&mut page, "---", names.iter().map(|_| "---:".to_owned()));
    let amount = |usd: f64| if usd < 100.0 { format!("{usd:.2}") } else { thousands(usd) };
    for (what, _, cost) in LINES {
        row(&mut page, what, months.iter().map(|month| amount(cost(month))));
    }
    let total = |month: &Month<'_>| LINES.iter().map(|line| line.2(month)).sum::<f64>();
    row(&mut page, "**together**", months.iter().map(|month| format!("**{}**", amount(total(month)))));
    let million = |month: &Month<'_>| amount(total(month) / (month.of.records / 1e6));
    row(&mut page, "a million records", months.iter().map(million));
    let cold = |month: &Month<'_>| {
        let bytes = month.of.records * inputs.measured.final_bytes_a_record * (inputs.kept.lake_months - 3.0).max(0.0);
        let saved = inputs.prices.s3_gb_month - inputs.prices.s3_glacier_instant_gb_month;
        amount(total(month) - bytes / 1e9 * saved)
    };
    row(&mut page, "with Glacier Instant Retrieval after 90 days", months.iter().map(cold));
    page.push_str("\nHow the lines come about:\n\n");
    for (what, how, _) in LINES {
        let _ = writeln!(page, "- {what}: {how}.");
    }
    let (made, passed) = passes();
    let _ = write!(
        page,
        "\nA part of the lake is made anew {made} times on its day, when a tenth has come or an hour has gone: each record \
         passes\nthrough {passed:.1} times. A query that Athena has to answer reads a day's columns, not its JSON: about {} \
         MB at a billion\nrecords a month, {:.4} USD.\n",
        (1e9 / DAYS * 35.0 / 1e6).round(),
        1e9 / DAYS * 35.0 / 1e12 * inputs.prices.athena_tb_scanned
    );
    page
}

const INTRODUCTION: &str = "# What it costs

USD a month, computed from [cost.toml](cost.toml): public prices of us-east-1, CPU times that the benchmarks measured, and
request counts as the functions make them. `cargo run --release --example cost` prints this page; change the file, or give
it another one, and it prints yours. The trail's own cost and that of the log bucket are yours already, and the free tier is
not counted. A year of records is kept searchable.

";

fn row(page: &mut String, head: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(page, "| {head} | {} |", cells.join(" | "));
}

fn thousands(usd: f64) -> String {
    let digits = format!("{usd:.0}");
    let groups: Vec<String> =
        digits.as_bytes().rchunks(3).rev().map(|g| String::from_utf8_lossy(g).into_owned()).collect();
    groups.join(",")
}

#[cfg(not(test))]
fn main() {
    let path =
        std::env::args().nth(1).unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cost.toml").to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let inputs: Inputs = toml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    print!("{}", page(&inputs));
}
