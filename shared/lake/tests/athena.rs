//! `athena.yaml` says what the code says: its columns and its questions are made here.

use std::fmt::Write as _;
use std::path::Path;

use lake::columns;
use lake::questions::{self, Question, example};
use lake::sql::glue_type;

/// Set, it has the test write the template instead of comparing.
const WRITES: &str = "QTRAIL_WRITE_ATHENA";

#[test]
fn the_template_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../athena.yaml");
    let there = std::fs::read_to_string(&path).expect("athena.yaml");
    let made = with(&with(&there, "columns", &made_columns()), "questions", &made_questions());
    if std::env::var_os(WRITES).is_some() {
        std::fs::write(&path, &made).expect("athena.yaml");
    } else {
        let hint = format!("run `{WRITES}=1 cargo test -p lake --test athena` and commit athena.yaml");
        let differs = there.lines().zip(made.lines()).position(|(there, made)| there != made);
        assert!(there == made, "athena.yaml is older than the code, from line {differs:?}\nhint: {hint}");
    }
}

/// The text with the lines of a section replaced.
fn with(text: &str, section: &str, lines: &str) -> String {
    let head = format!("# Made by shared/lake/tests/athena.rs: {section}.\n");
    let (before, rest) = text.split_once(&head).unwrap_or_else(|| panic!("athena.yaml has no section {section}"));
    let (_, after) = rest.split_once("# End.\n").expect("a section has an end");
    let indent = before.rsplit('\n').next().unwrap_or_default();
    format!("{before}{head}{lines}{indent}# End.\n{after}")
}

fn made_columns() -> String {
    let column = |column: &columns::Column| {
        let (name, kind) = (column.name(), glue_type(*column));
        format!("            - {{Name: {name}, Type: {kind}}}\n")
    };
    columns::ALL.iter().map(column).collect()
}

fn made_questions() -> String {
    questions::ALL.iter().map(named_query).collect()
}

fn named_query(question: &Question) -> String {
    let mut text = format!("  Question{}:\n    Type: AWS::Athena::NamedQuery\n    Properties:\n", camel(question.id));
    text += "      Database: !Ref Database\n      WorkGroup: !Ref WorkGroup\n";
    let _ = writeln!(text, "      Name: \"{}\"", question.title);
    let _ = writeln!(text, "      Description: \"{}\"", described(question));
    text += "      QueryString: |-\n";
    for line in question.statement().expect("a statement").lines() {
        let _ = writeln!(text, "        {line}");
    }
    text + "\n"
}

/// How the answer is read, and what is to be replaced.
fn described(question: &Question) -> String {
    let asks = question.asks.iter().filter(|(name, _)| !matches!(*name, "from" | "to"));
    let blanks: Vec<String> = asks.map(|(name, label)| format!("{} ({label})", example(name))).collect();
    let blanks = if blanks.is_empty() { String::new() } else { format!(" and {}", blanks.join(", ")) };
    format!("{} Replace the days{blanks}.", question.about)
}

fn camel(id: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    id.split('-').map(word).collect()
}
