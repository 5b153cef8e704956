//! The command line: what can be asked for, and how.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lake::layout::Day;
use trail::alert::{Resolution, Status};
use trail::detection::{Category, Severity};
use trail::time::Time;

/// Reads CloudTrail log files, raises findings, alerts people.
#[derive(Debug, Parser)]
#[command(
    name = "qtrail",
    version,
    about,
    max_term_width = 100,
    after_help = "Exit status: 0 done; 1 done and \
    --fail-on was reached, or a verification found a problem, or an audit a FAIL or PARTIAL; 2 something could not be read, or the usage is wrong. Data goes to stdout, everything \
    else to stderr."
)]
pub(crate) struct Cli {
    /// Say more about what is done
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `qtrail` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look for attacks in log files, without keeping anything
    #[command(after_help = "Examples:\n  qtrail scan AWSLogs/\n  qtrail scan --format ndjson --min-severity HIGH \
        logs/ | jq .title\n  qtrail scan --fail-on CRITICAL today.json.gz")]
    Scan(ScanArgs),
    /// Read log files into the state and the lake: findings to work with, records to search
    #[command(after_help = "Examples:\n  qtrail ingest AWSLogs/\n  qtrail ingest \
        s3://my-trail-logs/AWSLogs/111122223333/ --data ./case-42")]
    Ingest(IngestArgs),
    /// Search the records of the lake, newest first
    #[command(after_help = "Examples:\n  qtrail search --user alice --from 2026-11-20\n  qtrail search --resource \
        i-0abcdef1234567890 --action 'Run*,Terminate*'\n  qtrail search --ip 203.0.113.0/24 --writes --format ndjson \
        --lake s3://my-data-bucket\n\nAll filters have to hold. Values beside each other (A,B) mean any of them, ! in \
        front none of them, * any letters.")]
    Search(SearchArgs),
    /// Write the records that match to a file
    #[command(after_help = "Example:\n  qtrail export --access-key AKIAIOSFODNN7EXAMPLE --format csv --output \
        key.csv")]
    Export(ExportArgs),
    /// Make days of the lake again from raw log files: no findings, no alerts
    #[command(after_help = "Examples:\n  qtrail rebuild --from 2026-11-01 --to 2026-12-01 AWSLogs/\n  qtrail rebuild \
        --from 2020-01-01 --to 2026-01-01 --lake s3://quickinfra-trail-data s3://my-trail-logs/AWSLogs/\n\nLog files are \
        chosen by the time in their names: of a day itself and of the two days after it. Records of other days are left \
        out, and other days stay as they are. A run that was stopped goes on where it was when it is started again.")]
    Rebuild(RebuildArgs),
    /// Review who has access: decide, follow what is taken away, sign off
    #[command(after_help = "Examples:\n  qtrail review list\n  qtrail review subjects 2026-Q3 --undecided\n  qtrail \
        review decide 2026-Q3 17 revoke --ticket OPS-7\n  qtrail review decide 2026-Q3 18 modify --remove \
        group:admins --justification 'reads bills'\n  qtrail review sheet 2026-Q3 > review.csv\n  qtrail review \
        propose 2026-Q3 review.csv\n  qtrail review sign-off 2026-Q3 --statement 'All access was reviewed.'")]
    Review(ReviewArgs),
    /// List findings, show one, set its status
    #[command(after_help = "Examples:\n  qtrail findings --status new --severity HIGH\n  qtrail findings show 3f9a2b\
        \n  qtrail findings close 3f9a2b --as expected --note \"planned, CHG-1234\"")]
    Findings(FindingsArgs),
    /// Whether everything runs: each line is ok or says what to do
    Status(StatusArgs),
    /// The page: search records, work with findings, see trails and digests
    #[command(after_help = "Examples:\n  qtrail view\n  qtrail view --data ./case-42 --listen 127.0.0.1:9090\n  \
        qtrail view --lake s3://my-trail-data --table quickinfra-trail\n\nOnly this machine can reach it, and only with the \
        address that is printed: it holds a token.")]
    View(ViewArgs),
    /// A small organization's day with an intrusion hidden in it, its trail settings and digests; nothing to set up
    Demo(DemoArgs),
    /// Judge trail settings as controls: of all accounts, or as they were recorded
    #[command(after_help = "Examples:\n  qtrail audit --profile logging\n  qtrail audit --profile logging --account \
        111122223333 --record settings.ndjson\n  qtrail audit --snapshot settings.ndjson --format ndjson | jq \
        'select(.status == \"FAIL\")'\n\nOther accounts are asked with a read-only role, as member-role.yaml makes \
        it.\n\nExit status: 0 everything passes; 1 something fails; 2 something could not be looked at.")]
    Audit(AuditArgs),
    /// Prove that log files are all there and as AWS signed them
    #[command(after_help = "Examples:\n  aws cloudtrail list-public-keys --start-time 2026-01-01 --region eu-west-1 \
        > keys.json\n  qtrail verify --keys keys.json s3://my-trail-logs\n  qtrail verify --keys keys.json \
        --from 2026-10-01 --to 2026-11-01 ./copy-of-the-bucket\n\nKeys are asked for in the region of the log files; \
        answers of several regions may stand one after another in the file.\nS3's user metadata of a digest lies in a \
        folder as <object>.metadata.json; without it the digest after it proves a digest.\n\nExit status: 0 all as AWS \
        signed it; 1 a problem; 2 something could not be read.")]
    Verify(VerifyArgs),
    /// Who created, changed and deleted a resource, and who stands behind it
    #[command(after_help = "Examples:\n  qtrail who i-0abc1234def567890\n  qtrail who svc-backup --data ./case-42 \
        --from 2026-11-20\n  qtrail who arn:aws:s3:::invoices --lake s3://my-lake/trail --format ndjson | jq .chain")]
    Who(WhoArgs),
    /// Who was allowed an action: principals by their policies, groups, permission sets, boundaries and service control
    /// policies
    #[command(after_help = "Examples:\n  qtrail who-can rds:DeleteDBInstance\n  qtrail who-can s3:Delete* --resource \
        arn:aws:s3:::invoices/2026/* --at 2026-11-20\n  qtrail who-can iam:CreateAccessKey --lake s3://my-data-bucket \
        --format ndjson | jq .arn\n\nAnswered from the last complete snapshot before that date; `qtrail review snapshot` \
        takes one. An upper bound: what was not evaluated is named on stderr.\n\nExit status: 0 answered; 2 something \
        could not be seen, so that somebody may be missing.")]
    WhoCan(WhoCanArgs),
    /// Evidence for an auditor in one signed archive; and what such an archive proves
    #[command(
        after_help = "Examples:\n  qtrail pack --from 2026-10-01 --to 2027-01-01\n  qtrail pack --from 2026-10-01 \
        --to 2027-01-01 --table quickinfra-trail --lake s3://my-trail-data --packs s3://my-evidence --kms-key \
        alias/quickinfra-trail-packs\n  qtrail pack verify pack-000002.zip --previous pack-000001.zip --key \
        key.pem\n\nExit status of verify: 0 as it was signed; 1 a problem; 2 it cannot be read."
    )]
    Pack(PackArgs),
    /// Everything that is looked for, in records and in trail settings: severity, category, id, references
    Detections,
    /// Completions for a shell
    #[command(after_help = "Example:\n  qtrail completions bash > /etc/bash_completion.d/qtrail")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// `qtrail scan`.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Files or folders: .json.gz, .json, or an object a line
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Print a match a line instead of findings, records counted towards a threshold included
    #[arg(long)]
    pub(crate) matches: bool,
    /// Leave out what is less severe
    #[arg(long, value_name = "LEVEL", value_parser = severity, default_value = "INFORMATIONAL")]
    pub(crate) min_severity: Severity,
    /// Exit with 1 when something at least this severe was found
    #[arg(long, value_name = "LEVEL", value_parser = severity)]
    pub(crate) fail_on: Option<Severity>,
    /// The deployment's config.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

/// `qtrail ingest`.
#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Files, folders or s3:// URLs
    #[arg(required = true, value_name = "PATH|s3://URL")]
    pub(crate) sources: Vec<String>,
    /// Where the state and the lake are kept
    #[arg(long, value_name = "DIR", default_value = "./qtrail-data")]
    pub(crate) data: PathBuf,
    /// The deployment's config.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

/// `qtrail rebuild`.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// Files, folders or s3:// URLs
    #[arg(required = true, value_name = "PATH|s3://URL")]
    pub(crate) sources: Vec<String>,
    /// The first day
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) from: Day,
    /// The first day that stays as it is
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) to: Day,
    /// Where the state and the lake are kept
    #[arg(long, value_name = "DIR", default_value = "./qtrail-data", conflicts_with = "lake")]
    pub(crate) data: PathBuf,
    /// A deployment's lake instead (the stack's output `LakeUrl`)
    #[arg(long, value_name = "URL")]
    pub(crate) lake: Option<String>,
}

/// Which state is meant: a folder's, or a deployment's.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateArgs {
    /// The folder that `qtrail ingest` filled
    #[arg(long, value_name = "DIR", default_value = "./qtrail-data", global = true)]
    pub(crate) data: PathBuf,
    /// The table of a deployment instead (the stack's output `TableName`)
    #[arg(long, value_name = "NAME", env = "QTRAIL_TABLE", global = true)]
    pub(crate) table: Option<String>,
    /// The deployment's config.toml: names of accounts
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) settings: Option<PathBuf>,
}

/// Where the lake is.
#[derive(Debug, Clone, Args)]
pub(crate) struct LakeArgs {
    /// The folder that `qtrail ingest` filled
    #[arg(long, value_name = "DIR", default_value = "./qtrail-data")]
    pub(crate) data: PathBuf,
    /// A deployment's lake instead (the stack's output `LakeUrl`), or any folder
    #[arg(long, value_name = "URL", env = "QTRAIL_LAKE")]
    pub(crate) lake: Option<String>,
}

/// Which records.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Who: a part of the name, the role, the session or the ARN
    #[arg(long, value_name = "TEXT")]
    pub(crate) user: Option<String>,
    /// An ARN, an id or a name, in request or response
    #[arg(long, value_name = "TEXT")]
    pub(crate) resource: Option<String>,
    /// `AWS::RDS::DBInstance`, or its short form rds:db
    #[arg(long, value_name = "TYPE")]
    pub(crate) resource_type: Option<String>,
    /// The action: `RunInstances`, 'Delete*', ec2:RunInstances
    #[arg(long, value_name = "NAME")]
    pub(crate) action: Option<String>,
    /// An address, a network, or the name of the service that called
    #[arg(long, value_name = "CIDR")]
    pub(crate) ip: Option<String>,
    /// The access key that signed the call
    #[arg(long, value_name = "KEY")]
    pub(crate) access_key: Option<String>,
    /// The account's twelve digits
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// The region
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// An error code, '*' for any, none for success
    #[arg(long, value_name = "CODE")]
    pub(crate) error: Option<String>,
    /// The first moment that counts, in UTC: 2026-11-20, '2026-11-20 03:00' or 2026-11-20T03:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// The first moment that no longer counts, in the same forms
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Any other filter; a wrong name lists them all
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub(crate) filters: Vec<String>,
    /// Only what changes something
    #[arg(long)]
    pub(crate) writes: bool,
}

/// `qtrail search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    /// How many records at the most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Go on where an answer ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    /// How records are printed
    #[arg(long, value_enum, default_value_t = RecordFormat::Text)]
    pub(crate) format: RecordFormat,
}

/// `qtrail export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// How records are written
    #[arg(long, value_enum, default_value_t = RecordFormat::Ndjson)]
    pub(crate) format: RecordFormat,
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// A line each, for people
    Text,
    /// A JSON object a line: the columns, and the record as it was delivered
    Ndjson,
    /// A table for spreadsheets
    Csv,
}

/// `qtrail findings`.
#[derive(Debug, Args)]
pub(crate) struct FindingsArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Only this status
    #[arg(long, value_parser = status, global = true)]
    pub(crate) status: Option<Status>,
    /// At least this severe
    #[arg(long, value_name = "LEVEL", value_parser = severity, global = true)]
    pub(crate) severity: Option<Severity>,
    /// Only this category
    #[arg(long, value_parser = category, global = true)]
    pub(crate) category: Option<Category>,
    /// Only actors whose name contains this
    #[arg(long, global = true)]
    pub(crate) actor: Option<String>,
    /// How many days back from today, by first sight
    #[arg(long, default_value_t = 90, global = true)]
    pub(crate) days: i64,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) action: Option<FindingsAction>,
}

/// What is done with findings.
#[derive(Debug, Subcommand)]
pub(crate) enum FindingsAction {
    /// List them (what happens without a word)
    List,
    /// Show one with its records and history
    Show {
        /// The id, or how it begins
        id: String,
    },
    /// Somebody looks at it: silent from here unless it gets worse
    Ack {
        /// The id, or how it begins
        id: String,
        /// Why; kept in the history
        #[arg(long)]
        note: String,
    },
    /// Done with it; it opens again if it happens again
    Close {
        /// The id, or how it begins
        id: String,
        /// As what
        #[arg(long = "as", value_parser = resolution)]
        resolution: Resolution,
        /// Why; kept in the history
        #[arg(long)]
        note: String,
    },
}

/// `qtrail status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// `qtrail review`.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Lines::Text, global = true)]
    pub(crate) format: Lines,
    #[command(subcommand)]
    pub(crate) action: ReviewAction,
}

/// For people, or a JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lines {
    /// For people
    Text,
    /// A JSON object a line
    Ndjson,
}

/// How AWS is asked.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// A profile of your AWS configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The role that asks in other accounts
    #[arg(long, value_name = "NAME", default_value = "QuickInfraTrailAudit")]
    pub(crate) role: String,
    /// What those roles want to be told
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
}

/// What is done with reviews.
#[derive(Debug, Subcommand)]
pub(crate) enum ReviewAction {
    /// The reviews there are
    List,
    /// Open a review over its population
    Open {
        /// The review, as its population is stored: 2026-Q3
        review: String,
    },
    /// Open a review of one person who leaves
    Leaver {
        /// The person, as people.csv has them
        person: String,
    },
    /// Ask AWS who has access, and keep the answers: what reviews are opened over and `qtrail who-can` is answered from.
    /// Open reviews learn from them what is gone, back or new
    Snapshot(SnapshotArgs),
    /// Bring the people's list
    People {
        /// people.csv: person, aliases, manager, status, start, end
        file: PathBuf,
    },
    /// How a review stands, or one subject of it
    Show {
        /// The review
        review: String,
        /// A subject, by number or id
        subject: Option<String>,
    },
    /// Its subjects, a line each
    Subjects {
        /// The review
        review: String,
        /// Only those that nobody has decided about
        #[arg(long)]
        undecided: bool,
    },
    /// Decide about a subject
    Decide(DecideArgs),
    /// Note an exception that somebody outside approved: a single administrator
    Except {
        /// The review
        review: String,
        /// The subject, by number or id
        subject: String,
        /// Why
        #[arg(long, value_name = "WHY")]
        reason: String,
        /// Who outside approved it
        #[arg(long, value_name = "WHO")]
        approver: String,
    },
    /// The review as a spreadsheet (CSV)
    Sheet {
        /// The review
        review: String,
    },
    /// Take in a spreadsheet that came back: its rows are proposals
    Propose {
        /// The review
        review: String,
        /// The file
        file: PathBuf,
    },
    /// Confirm what is proposed, as the reviewer
    Confirm {
        /// The review
        review: String,
        /// The subjects, by number or id
        #[arg(required = true)]
        subjects: Vec<String>,
    },
    /// Sign a review off, as an approver
    SignOff {
        /// The review
        review: String,
        /// What is stated
        #[arg(long, value_name = "TEXT")]
        statement: String,
        /// The population is partial, and that is known: the statement will say so
        #[arg(long)]
        partial: bool,
    },
}

/// `qtrail review decide`.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The review
    pub(crate) review: String,
    /// The subject, by number or id
    pub(crate) subject: String,
    /// keep, modify or revoke
    #[arg(value_parser = verb)]
    pub(crate) verb: trail::review::Verb,
    /// What goes, as the subject's grants are printed; for modify
    #[arg(long, value_name = "GRANT")]
    pub(crate) remove: Vec<String>,
    /// Why access that is privileged or unused stays
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) justification: String,
    /// Where it was approved
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) ticket: String,
}

fn verb(word: &str) -> Result<trail::review::Verb, String> {
    trail::review::Verb::parse(word).ok_or_else(|| format!("`{word}` is none of keep, modify, revoke"))
}

/// `qtrail view`.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// The lake of a deployment, s3:// and its data bucket, or a folder
    #[arg(long, value_name = "URL")]
    pub(crate) lake: Option<String>,
    /// Ask a deployment's viewer function instead, with your own credentials (the stack's output `ViewerName`)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["lake", "table"])]
    pub(crate) function: Option<String>,
    /// Where it listens; an address of this machine alone
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: std::net::SocketAddr,
}

/// `qtrail audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Judge a recording instead of asking AWS, as of when it was taken
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "record"])]
    pub(crate) snapshot: Option<PathBuf>,
    /// Whose credentials ask, as ~/.aws/config names them
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Keep what AWS answered, to be judged again with --snapshot
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Only these accounts; without it all of the organization
    #[arg(long, value_name = "ID", value_parser = account)]
    pub(crate) account: Vec<String>,
    /// The read-only role in other accounts
    #[arg(long, value_name = "NAME", default_value = "QuickInfraTrailAudit")]
    pub(crate) role: String,
    /// The word that those roles want to be told
    #[arg(long, value_name = "WORD")]
    pub(crate) external_id: Option<String>,
    /// The account that log files are to be delivered to; without it the one that asks
    #[arg(long, value_name = "ID", value_parser = account)]
    pub(crate) logging_account: Option<String>,
    /// The table of a deployment: what it knows of digests and deliveries is judged as well
    #[arg(long, value_name = "NAME", env = "QTRAIL_TABLE")]
    pub(crate) table: Option<String>,
    /// The deployment's config.toml: names of accounts
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// How verdicts are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `qtrail verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A bucket, or a copy of it
    #[arg(value_name = "PATH|s3://URL")]
    pub(crate) source: String,
    /// AWS's public keys, as `aws cloudtrail list-public-keys` prints them
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: PathBuf,
    /// From when on everything has to be covered (RFC 3339, or a day)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Time>,
    /// Until when everything has to be covered
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<Time>,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t = ProblemFormat::Text)]
    pub(crate) format: ProblemFormat,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProblemFormat {
    /// A line each, for people
    Text,
    /// A JSON object a line
    Ndjson,
}

/// `qtrail pack`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// The first moment that it is about (RFC 3339, or a day)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Time>,
    /// The first moment that it is no longer about
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<Time>,
    /// Write it to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The lake of a deployment, s3:// and its data bucket, or a folder
    #[arg(long, value_name = "URL", env = "QTRAIL_LAKE")]
    pub(crate) lake: Option<String>,
    /// Where packs are kept, s3:// and a bucket under Object Lock, or a folder; without it the data folder
    #[arg(long, value_name = "URL")]
    pub(crate) packs: Option<String>,
    /// The KMS key that signs, `ECC_NIST_P256` for `SIGN_VERIFY`; without it a key in the data folder
    #[arg(long, value_name = "ID|ARN|ALIAS")]
    pub(crate) kms_key: Option<String>,
    #[command(subcommand)]
    pub(crate) action: Option<PackAction>,
}

/// What is done with a pack.
#[derive(Debug, Subcommand)]
pub(crate) enum PackAction {
    /// Tell what a pack proves, offline
    Verify(PackVerifyArgs),
}

/// `qtrail pack verify`.
#[derive(Debug, Args)]
pub(crate) struct PackVerifyArgs {
    /// The pack
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The public key that has to have signed it, in PEM
    #[arg(long, value_name = "PEM")]
    pub(crate) key: Option<PathBuf>,
    /// The pack before
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t = ProblemFormat::Text)]
    pub(crate) format: ProblemFormat,
}

/// `qtrail who`.
#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// An ARN, an id or a name
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Nothing before this (RFC 3339, or a day)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Time>,
    /// Nothing from here on
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<Time>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = WhoFormat::Text)]
    pub(crate) format: WhoFormat,
}

/// How deeds are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhoFormat {
    /// A story, oldest first
    Text,
    /// A JSON object a line
    Ndjson,
}

/// `qtrail who-can`.
#[derive(Debug, Args)]
pub(crate) struct WhoCanArgs {
    /// The action as policies name it: rds:DeleteDBInstance, 's3:Delete*'
    #[arg(value_name = "ACTION")]
    pub(crate) action: String,
    /// On which resource; without it on any
    #[arg(long, value_name = "ARN")]
    pub(crate) resource: Option<String>,
    /// As it was at this time (RFC 3339, or the beginning of a day); without it as it is
    #[arg(long, value_name = "DATE", value_parser = time)]
    pub(crate) at: Option<Time>,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// How principals are printed
    #[arg(long, value_enum, default_value_t = HolderFormat::Text)]
    pub(crate) format: HolderFormat,
}

/// How principals are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HolderFormat {
    /// A line each, for people
    Text,
    /// A JSON object a line
    Ndjson,
}

/// `qtrail demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print and end
    #[arg(long)]
    pub(crate) no_view: bool,
    /// Where the day is kept, with its review and its evidence pack; made anew each time. Other formats than text keep
    /// nothing
    #[arg(long, value_name = "DIR", default_value = "./qtrail-demo")]
    pub(crate) data: PathBuf,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line each, for people
    Text,
    /// A JSON object a line
    Ndjson,
    /// OCSF, a JSON object a line
    Ocsf,
}

fn time(text: &str) -> Result<Time, String> {
    let day = || Time::parse(&format!("{text}T00:00:00Z"));
    Time::parse(text).or_else(day).ok_or_else(|| "a time such as 2026-11-20T03:00:00Z, or a day".to_owned())
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "a day such as 2026-11-20".to_owned())
}

fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| text.to_owned()).ok_or_else(|| "an account's twelve digits".to_owned())
}

fn severity(word: &str) -> Result<Severity, String> {
    named(&word.to_uppercase(), "INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL")
}

fn status(word: &str) -> Result<Status, String> {
    named(word, "new, acknowledged, closed")
}

fn category(word: &str) -> Result<Category, String> {
    named(
        word,
        "root_usage, iam_change, network_exposure, public_access, trail_tampering, authentication, security_service, \
         data_access, compute, persistence, reconnaissance, exfiltration, impact, trail_settings, integrity, other",
    )
}

fn resolution(word: &str) -> Result<Resolution, String> {
    named(word, "expected, fixed, incident, false_alarm")
}

/// A word as the interfaces spell it.
fn named<T: serde::de::DeserializeOwned>(word: &str, known: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|_| format!("one of {known}"))
}

/// Prints completions for a shell.
pub(crate) fn print_completions(shell: Shell) -> io::Result<()> {
    // Into memory first: the generator panics when whoever reads closes the pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "qtrail", &mut script);
    io::stdout().write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
