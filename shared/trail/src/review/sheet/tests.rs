use proptest::prelude::*;

use super::*;
use crate::review::Entry;
use crate::review::effect::Known;
use crate::review::standing::At;
use crate::review::testing::*;
use crate::settings::Review;

fn standing(log: &[Entry]) -> Standing {
    let (settings, known) = (Review::default(), Known::default());
    Standing::of(&population(), log, At { settings: &settings, known: &known, now: day(9) })
}

fn fresh() -> Standing {
    standing(&log([opened()]))
}

fn sheet(standing: &Standing) -> String {
    String::from_utf8(out(standing, &|_| String::new())).expect("UTF-8")
}

/// A sheet as it comes back, of these rows: number, id, decision, remove, justification, ticket.
fn rows(rows: &[[&str; 6]]) -> String {
    let mut text = "number,id,decision,remove,justification,ticket\n".to_owned();
    for row in rows {
        text.push_str(&row.join(","));
        text.push('\n');
    }
    text
}

fn problems(text: &str) -> Vec<(u64, Problem)> {
    back(text.as_bytes(), &fresh()).errors.into_iter().map(|error| (error.line, error.problem)).collect()
}

fn dave() -> String {
    population().subjects[2].id.clone()
}

#[test]
fn what_goes_out_comes_back() {
    let population = population();
    let group = grant(GrantKind::Group, "auditors", "");
    let decision = Decision { justification: "=1+1, \"quoted\"\nnext".to_owned(), ..modify(vec![group]) };
    let standing = standing(&log([opened(), decided("bob", &population.subjects[2], decision.clone())]));
    let text = sheet(&standing);
    assert!(text.starts_with("number,id,account,name,kind,"), "{text}");
    assert!(text.contains("\"'=1+1, \"\"quoted\"\"\nnext\""), "{text}");
    let read = back(text.as_bytes(), &standing);
    assert_eq!(read, Sheet { proposals: vec![(dave(), decision)], empty: 3, errors: Vec::new() });
}

#[test]
fn a_good_row_is_a_proposal_whatever_is_wrong_with_the_others() {
    let dave = dave();
    let text = rows(&[["99", "x", "keep", "", "", ""], ["3", &dave, "Revoke", "", "left", "OPS-1"]]);
    let read = back(format!("\u{feff}{text}").as_bytes(), &fresh());
    let decision = Decision { justification: "left".to_owned(), ticket: "OPS-1".to_owned(), ..revoke() };
    assert_eq!(read.proposals, [(dave, decision)]);
    assert_eq!(read.errors.len(), 1);
}

#[test]
fn each_wrong_row_has_its_own_error() {
    let dave = dave();
    let one = |row: [&str; 6]| {
        problems(&rows(&[row])).pop().map(|(line, problem)| {
            assert_eq!(line, 2);
            problem
        })
    };
    assert_eq!(one(["99", &dave, "keep", "", "", ""]), Some(Problem::UnknownSubject("99".to_owned())));
    assert_eq!(one(["x", &dave, "keep", "", "", ""]), Some(Problem::UnknownSubject("x".to_owned())));
    assert!(matches!(one(["2", &dave, "keep", "", "", ""]), Some(Problem::ChangedId { number: 2, .. })));
    assert_eq!(one(["3", &dave, "maybe", "", "", ""]), Some(Problem::Decision("maybe".to_owned())));
    assert_eq!(one(["3", &dave, "modify", "group:x", "", ""]), Some(Problem::Grant("group:x".to_owned())));
    assert_eq!(one(["3", &dave, "", "", "because", ""]), Some(Problem::Undecided("justification")));
    assert_eq!(one(["3", &dave, "keep", "", "=HYPERLINK(1)", ""]), Some(Problem::Formula("justification")));
    assert_eq!(one(["3", &dave, "keep", "", "", " @x"]), Some(Problem::Formula("ticket")));
    assert_eq!(one(["3", &dave, "", "", "", ""]), None);
    assert_eq!(problems(&(rows(&[]) + "3,x,keep\n")), [(2, Problem::Cells(3, 6))]);
}

#[test]
fn of_two_decisions_about_one_subject_neither_counts() {
    let dave = dave();
    let text = rows(&[["3", &dave, "keep", "", "", ""], ["3", &dave, "revoke", "", "", ""]]);
    let read = back(text.as_bytes(), &fresh());
    assert_eq!(read.proposals, []);
    assert_eq!(read.errors, [SheetError { line: 3, problem: Problem::Twice { first: 2 } }]);
    // As spreadsheets of Windows end their lines.
    let windows = back(text.replace('\n', "\r\n").as_bytes(), &fresh());
    assert_eq!(windows, read);
}

#[test]
fn another_encoding_and_missing_columns_are_told() {
    let latin = [rows(&[]).as_bytes(), b"3,x,keep,,caf\xe9,\n"].concat();
    let of = |bytes: &[u8]| back(bytes, &fresh()).errors;
    assert_eq!(of(&latin), [SheetError { line: 2, problem: Problem::Encoding }]);
    let wide: Vec<u8> = "number".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(of(&wide), [SheetError { line: 1, problem: Problem::Encoding }]);
    let missing = Problem::Columns(vec!["remove".to_owned(), "ticket".to_owned()]);
    assert_eq!(of(b"number,id,decision,justification\n"), [SheetError { line: 1, problem: missing }]);
    assert!(matches!(of(b"")[..], [SheetError { line: 1, problem: Problem::Columns(_) }]));
    assert!(of(b"number;id;decision\n")[0].to_string().contains("separated by commas"));
}

proptest! {
    #[test]
    fn no_cell_is_a_formula_and_none_is_lost(justification in any::<String>(), ticket in "[=+@'a\"\\n,-]{0,6}") {
        let trimmed = |text: &str| text.trim().to_owned();
        let decision = Decision { justification: trimmed(&justification), ticket: trimmed(&ticket), ..keep() };
        let standing = standing(&log([opened(), decided("bob", &population().subjects[2], decision.clone())]));
        let bytes = out(&standing, &|_| String::new());
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        for record in reader.records() {
            prop_assert!(record.expect("a row").iter().all(|cell| !cell.starts_with(FORMULA)));
        }
        let read = back(&bytes, &standing);
        // A quote that somebody wrote before a formula is taken for ours, and what is blank is no text.
        let clear = |text: &str| text == armed(text).trim();
        if clear(&decision.justification) && clear(&decision.ticket) {
            prop_assert_eq!(read.errors, []);
            prop_assert_eq!(read.proposals, vec![(dave(), decision)]);
        }
    }

    #[test]
    fn any_bytes_are_read_or_explained(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let read = back(&bytes, &fresh());
        prop_assert!(!read.errors.is_empty());
    }
}
