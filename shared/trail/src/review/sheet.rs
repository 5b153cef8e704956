//! The review as a spreadsheet: out as CSV, and back as proposals.
//!
//! Nothing of a sheet decides: its rows are proposals until the named reviewer confirms them as himself. A row that
//! cannot be read is told with its line, and costs the others nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;

use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};

use super::decision::{Decision, Verb};
use super::population::{Grant, GrantKind, Subject, SubjectKind};
use super::standing::{Line, Stage, Standing};

#[cfg(test)]
mod tests;

/// The columns, what is to be filled in last.
pub const COLUMNS: [&str; 14] = [
    "number",
    "id",
    "account",
    "name",
    "kind",
    "privileged",
    "privileges",
    "last_use",
    "reviewer",
    "suggestion",
    "decision",
    "remove",
    "justification",
    "ticket",
];

/// Those that are read back.
const READ: [&str; 6] = ["number", "id", "decision", "remove", "justification", "ticket"];

/// The largest sheet, in bytes.
const LARGEST: usize = 64 << 20;

/// What a spreadsheet takes for a formula begins with one of these, also in their full width.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// What is wrong with a sheet, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SheetError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line of a sheet, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not UTF-8.
    #[error("this is not UTF-8: save the sheet as UTF-8 (in Excel: \"CSV UTF-8\")")]
    Encoding,
    /// Far too large.
    #[error("the sheet has more than {} MiB: is it the right file?", LARGEST >> 20)]
    TooLarge,
    /// No CSV.
    #[error("this is no CSV: {0}")]
    NotCsv(String),
    /// Columns are missing.
    #[error("there is no column {}: bring back the sheet as it went out, separated by commas", .0.join(", "))]
    Columns(Vec<String>),
    /// A row with too few or too many cells.
    #[error("there are {0} cells and {1} columns: is there a comma too many, or one missing?")]
    Cells(usize, usize),
    /// No such subject.
    #[error("the review has no subject with the number {0:?}: bring back the rows that went out")]
    UnknownSubject(String),
    /// The number is another subject's.
    #[error("number {number} is {expected}, and the row says {found:?}: number and id were changed against each other")]
    ChangedId {
        /// The number.
        number: u32,
        /// Whose it is.
        expected: String,
        /// What the row says.
        found: String,
    },
    /// Two rows about one subject.
    #[error("line {first} decides about this subject already: leave one of the two")]
    Twice {
        /// The earlier line.
        first: u64,
    },
    /// A formula.
    #[error("the cell {0} holds a formula: write plain words, beginning with a letter")]
    Formula(&'static str),
    /// No decision.
    #[error("{0:?} is no decision: write keep, modify or revoke, or leave the cell empty")]
    Decision(String),
    /// No grant.
    #[error("{0:?} is nothing that the subject has: write what the column privileges says, separated by semicolons")]
    Grant(String),
    /// Something is filled in, and no decision.
    #[error("{0} is filled in, and there is no decision: write keep, modify or revoke")]
    Undecided(&'static str),
}

/// A sheet that came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    /// What is proposed: subject's ids with decisions.
    pub proposals: Vec<(String, Decision)>,
    /// Rows without a decision.
    pub empty: usize,
    /// What could not be read.
    pub errors: Vec<SheetError>,
}

/// The review as CSV: RFC 4180, and no cell is one that a spreadsheet would compute.
pub fn out(standing: &Standing, suggested: &dyn Fn(&Subject) -> String) -> Vec<u8> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(COLUMNS);
    for (subject, line) in standing.subjects().filter(|(_, line)| line.stage != Stage::Gone) {
        let _ = writer.write_record(row(subject, line, suggested(subject)).map(|cell| disarmed(&cell)));
    }
    writer.into_inner().unwrap_or_default()
}

/// Reads a sheet that came back: what it proposes, and what is wrong with which line.
pub fn back(bytes: &[u8], standing: &Standing) -> Sheet {
    let mut sheet = Sheet::default();
    if let Err(error) = read(bytes, standing, &mut sheet) {
        sheet.errors.push(error);
    }
    sheet
}

fn row(subject: &Subject, line: &Line, suggestion: String) -> [String; 14] {
    let decision = line.decision.as_ref();
    let text = |of: fn(&Decision) -> &String| decision.map_or(String::new(), |decision| of(decision).clone());
    let last = subject.last_used.max(subject.usage.last);
    [
        subject.number.to_string(),
        subject.id.clone(),
        subject.account.clone(),
        subject.name.clone(),
        subject.kind.word().to_owned(),
        subject.privileged_by.join(" "),
        grants(&subject.grants),
        last.map_or_else(|| "never seen".to_owned(), |last| last.to_string()),
        subject.reviewer.clone(),
        suggestion,
        decision.map_or(String::new(), |decision| decision.verb.to_string()),
        decision.map_or(String::new(), |decision| grants(&decision.remove)),
        text(|decision| &decision.justification),
        text(|decision| &decision.ticket),
    ]
}

fn grants(grants: &[Grant]) -> String {
    grants.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A cell that no spreadsheet takes for a formula.
fn disarmed(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

/// The cell as it was before it was disarmed.
fn armed(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

fn read(bytes: &[u8], standing: &Standing, sheet: &mut Sheet) -> Result<(), SheetError> {
    // The reader counts a line too few after a pair of carriage return and line feed.
    let text = decoded(bytes)?.replace("\r\n", "\n");
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let not_csv =
        |error: &csv::Error| wrong(error.position().map_or(1, csv::Position::line), Problem::NotCsv(error.to_string()));
    let header = reader.headers().map_err(|error| not_csv(&error))?.clone();
    let places = places(&header).map_err(|missing| wrong(1, Problem::Columns(missing)))?;
    let numbered = standing.subjects().map(|(subject, _)| (subject.number, subject)).collect();
    let mut rows =
        Rows { by_number: numbered, columns: header.len(), lines: HashMap::new(), contested: HashSet::new() };
    for record in reader.records() {
        let record = record.map_err(|error| not_csv(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        match rows.row(&Cells { record: &record, places }, line) {
            Ok(Some(proposal)) => sheet.proposals.push(proposal),
            Ok(None) => sheet.empty += 1,
            Err(problem) => sheet.errors.push(wrong(line, problem)),
        }
    }
    sheet.proposals.retain(|(subject, _)| !rows.contested.contains(subject));
    Ok(())
}

/// The rows of a sheet, while it is read.
struct Rows<'s> {
    by_number: HashMap<u32, &'s Subject>,
    columns: usize,
    /// In which line each subject was decided about.
    lines: HashMap<u32, u64>,
    /// Subjects with two rows, of which neither counts.
    contested: HashSet<String>,
}

impl Rows<'_> {
    fn row(&mut self, cells: &Cells<'_>, line: u64) -> Result<Option<(String, Decision)>, Problem> {
        cells.check(self.columns)?;
        let subject = cells.subject(&self.by_number)?;
        let Some(decision) = cells.decision(subject)? else { return Ok(None) };
        if let Some(first) = self.lines.insert(subject.number, line) {
            self.contested.insert(subject.id.clone());
            return Err(Problem::Twice { first });
        }
        Ok(Some((subject.id.clone(), decision)))
    }
}

fn wrong(line: u64, problem: Problem) -> SheetError {
    SheetError { line, problem }
}

/// The text without a byte order mark.
fn decoded(bytes: &[u8]) -> Result<&str, SheetError> {
    if bytes.len() > LARGEST {
        return Err(wrong(1, Problem::TooLarge));
    }
    if bytes.iter().take(4).any(|byte| *byte == 0) {
        return Err(wrong(1, Problem::Encoding));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        wrong(before.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n')), Problem::Encoding)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Where each column that is read stands.
fn places(header: &StringRecord) -> Result<[usize; 6], Vec<String>> {
    let place = |column: &str| header.iter().position(|name| name.trim().eq_ignore_ascii_case(column));
    let missing: Vec<String> = READ.iter().filter(|column| place(column).is_none()).map(|c| (*c).to_owned()).collect();
    if missing.is_empty() { Ok(READ.map(|column| place(column).unwrap_or_default())) } else { Err(missing) }
}

/// A row that came back.
struct Cells<'r> {
    record: &'r StringRecord,
    places: [usize; 6],
}

impl<'r> Cells<'r> {
    fn cell(&self, column: &'static str) -> &'r str {
        let place = READ.iter().position(|read| *read == column).and_then(|nth| self.places.get(nth));
        place.and_then(|place| self.record.get(*place)).unwrap_or_default()
    }

    /// A text as somebody wrote it.
    fn text(&self, column: &'static str) -> &'r str {
        armed(self.cell(column)).trim()
    }

    fn check(&self, columns: usize) -> Result<(), Problem> {
        if self.record.len() != columns {
            return Err(Problem::Cells(self.record.len(), columns));
        }
        let formula = READ.into_iter().find(|column| self.cell(column).trim_start_matches(' ').starts_with(FORMULA));
        formula.map_or(Ok(()), |column| Err(Problem::Formula(column)))
    }

    fn subject<'s>(&self, by_number: &HashMap<u32, &'s Subject>) -> Result<&'s Subject, Problem> {
        let number = self.text("number");
        let found = number.parse().ok().and_then(|number: u32| by_number.get(&number));
        let subject = *found.ok_or_else(|| Problem::UnknownSubject(number.to_owned()))?;
        if self.text("id") == subject.id {
            return Ok(subject);
        }
        let (expected, found) = (subject.id.clone(), self.text("id").to_owned());
        Err(Problem::ChangedId { number: subject.number, expected, found })
    }

    fn decision(&self, subject: &Subject) -> Result<Option<Decision>, Problem> {
        let [remove, justification, ticket] = ["remove", "justification", "ticket"].map(|column| self.text(column));
        let word = self.text("decision");
        if word.is_empty() {
            let filled = [("remove", remove), ("justification", justification), ("ticket", ticket)];
            let filled = filled.into_iter().find(|(_, text)| !text.is_empty());
            return filled.map_or(Ok(None), |(column, _)| Err(Problem::Undecided(column)));
        }
        let verb = Verb::parse(word).ok_or_else(|| Problem::Decision(word.to_owned()))?;
        let named = remove.split(';').map(str::trim).filter(|text| !text.is_empty());
        let grant = |text: &str| {
            let found = subject.grants.iter().find(|grant| grant.to_string() == text);
            found.cloned().ok_or_else(|| Problem::Grant(text.to_owned()))
        };
        let remove = named.map(grant).collect::<Result<_, _>>()?;
        let (justification, ticket) = (justification.to_owned(), ticket.to_owned());
        Ok(Some(Decision { verb, remove, justification, ticket }))
    }
}

impl Verb {
    /// Reads `keep`, `modify`, `revoke`.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Keep, Self::Modify, Self::Revoke].into_iter().find(|verb| verb.word().eq_ignore_ascii_case(word))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Modify => "modify",
            Self::Revoke => "revoke",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl GrantKind {
    fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::InlinePolicy => "inline_policy",
            Self::Group => "group",
            Self::Password => "password",
            Self::AccessKey => "access_key",
            Self::PermissionSet => "permission_set",
            Self::DirectoryGroup => "directory_group",
            Self::Trust => "trust",
        }
    }
}

impl SubjectKind {
    /// `user`, `saml_provider`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
            Self::Role => "role",
            Self::Assignment => "assignment",
            Self::SamlProvider => "saml_provider",
            Self::OidcProvider => "oidc_provider",
        }
    }
}

impl fmt::Display for Grant {
    /// `policy:arn:aws:iam::aws:policy/ReadOnlyAccess via auditors`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.word(), self.name)?;
        if self.via.is_empty() { Ok(()) } else { write!(f, " via {}", self.via) }
    }
}
