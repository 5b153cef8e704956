//! Who the people are: `people.csv`, as the personnel office brings it.
//!
//! A row a person: `person,aliases,manager,status,start,end`. What is wrong with the list is told with its line, and
//! nothing of a wrong list is used: half a list would make leavers out of people.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use csv::{ReaderBuilder, StringRecord};

use super::period::day;
use super::population::Person;
use crate::time::Time;

/// The columns that a list has to have.
const COLUMNS: [&str; 6] = ["person", "aliases", "manager", "status", "start", "end"];

/// Seconds in a day.
const DAY: i64 = 86_400;

/// The largest list, in bytes.
const LARGEST: usize = 32 << 20;

/// The people's list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    persons: BTreeMap<String, Person>,
    /// Ids of persons by each of their names, in lower case.
    names: HashMap<String, String>,
    /// What was left aside, in words: columns that nobody knows.
    pub warnings: Vec<String>,
}

/// What is wrong with a people's list, where, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeopleError {
    /// Not UTF-8.
    #[error("people.csv, line {line}: {found}; save it as UTF-8 (in Excel: \"CSV UTF-8\")")]
    Encoding {
        /// The line of the first byte that is none.
        line: u64,
        /// What it seems to be.
        found: String,
    },
    /// Columns are missing.
    #[error("people.csv, line 1: there is no column {}; the columns are {}, separated by commas{hint}", missing.join(", "), COLUMNS.join(","))]
    Columns {
        /// Those that are missing.
        missing: Vec<String>,
        /// What may have happened.
        hint: String,
    },
    /// No person in it.
    #[error(
        "people.csv has no person in it: everybody would count as unknown; bring a list with a row for each person"
    )]
    Empty,
    /// Larger than any list of people.
    #[error("people.csv has more than {} MiB; is it the right file?", LARGEST >> 20)]
    TooLarge,
    /// A row that cannot be read.
    #[error("people.csv, line {line}: {problem}")]
    Row {
        /// Its line.
        line: u64,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Two persons have one name.
    #[error(
        "people.csv, line {line}: `{name}` is a name of `{person}` and, in line {first}, of `{other}`; leave it to one of them"
    )]
    Twice {
        /// The later line.
        line: u64,
        /// The name.
        name: String,
        /// Whose it is in the later line.
        person: String,
        /// The earlier line.
        first: u64,
        /// Whose it is there.
        other: String,
    },
    /// A manager who is not in the list.
    #[error(
        "people.csv, line {line}: the manager `{manager}` of `{person}` is not in the list; add a row for the manager, or leave the column empty"
    )]
    Manager {
        /// The line.
        line: u64,
        /// The person.
        person: String,
        /// The manager.
        manager: String,
    },
    /// People who are each other's managers.
    #[error("people.csv, line {line}: {} manage each other in a circle; leave the column empty for the one at the top", people.join(" -> "))]
    Circle {
        /// The line of the first of them.
        line: u64,
        /// The circle.
        people: Vec<String>,
    },
}

/// A row, before it is known whether its manager is there.
struct Row {
    line: u64,
    person: Person,
    aliases: Vec<String>,
}

impl super::Persons for People {
    fn person(&self, name: &str) -> Option<String> {
        self.find([name]).map(|person| person.id.clone())
    }
}

impl People {
    /// Reads a list: UTF-8 with or without a byte order mark, columns in any order.
    pub fn read(bytes: &[u8]) -> Result<Self, PeopleError> {
        // The reader counts a line too few after a pair of carriage return and line feed.
        let text = decoded(bytes)?.replace("\r\n", "\n");
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let unreadable = |error: &csv::Error| wrong(error.position().map_or(1, csv::Position::line), error.to_string());
        let header = reader.headers().map_err(|e| unreadable(&e))?.clone();
        let columns = Columns::of(&header)?;
        let mut rows = Vec::new();
        for record in reader.records() {
            rows.extend(columns.row(&record.map_err(|e| unreadable(&e))?)?);
        }
        let names = names(&rows)?;
        let persons = managed(&rows, &names)?;
        check_circles(&rows, &persons)?;
        if persons.is_empty() {
            return Err(PeopleError::Empty);
        }
        Ok(Self { persons, names, warnings: unknown(&header) })
    }

    /// A person by the list's name for them.
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.persons.get(id)
    }

    /// Everybody, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.persons.values()
    }

    /// Whose name one of these is: of an IAM user, an ARN, an email address, whatever the case of its letters.
    pub fn find<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<&Person> {
        let id = names.into_iter().filter(|name| !name.is_empty()).find_map(|name| self.names.get(&folded(name)))?;
        self.persons.get(id)
    }

    /// Who decides for a person at a time: the manager, or where that one has left, the manager's manager.
    pub fn manager_of(&self, person: &Person, at: Time) -> Option<&Person> {
        let above = |person: &Person| self.persons.get(&person.manager);
        std::iter::successors(above(person), |manager| above(manager)).find(|manager| manager.is_there(at))
    }
}

impl Person {
    /// Whether they are there at a time: active, begun, and not over. The last day counts whole.
    pub fn is_there(&self, at: Time) -> bool {
        self.active && self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at.0 < end.0 + DAY)
    }

    /// Days from the last day until access was gone; 0 and less: it was in time. `None`: no last day is known.
    pub fn days_to_removal(&self, removed: Time) -> Option<i64> {
        self.end.map(|end| removed.0.div_euclid(DAY) - end.0.div_euclid(DAY))
    }
}

/// Names are compared whatever the case of their letters.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

fn wrong(line: u64, problem: impl Into<String>) -> PeopleError {
    PeopleError::Row { line, problem: problem.into() }
}

/// The text without a byte order mark.
fn decoded(bytes: &[u8]) -> Result<&str, PeopleError> {
    if bytes.len() > LARGEST {
        return Err(PeopleError::TooLarge);
    }
    let encoding = |line, found: &str| PeopleError::Encoding { line, found: found.to_owned() };
    let head = &bytes[..bytes.len().min(4)];
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || head.contains(&0) {
        return Err(encoding(1, "this is UTF-16 or UTF-32"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n'));
        encoding(line, "there are letters in another encoding, as in Latin-1 or Windows-1252")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// In which place each column stands, in the order of [`COLUMNS`].
#[derive(Debug, Clone, Copy)]
struct Columns([usize; 6]);

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, PeopleError> {
        let place = |column: &str| header.iter().position(|name| folded(name) == column);
        let missing: Vec<String> =
            COLUMNS.iter().filter(|column| place(column).is_none()).map(|&column| column.to_owned()).collect();
        if missing.is_empty() {
            return Ok(Self(COLUMNS.map(|column| place(column).unwrap_or_default())));
        }
        let lone = header.get(0).filter(|_| header.len() == 1).unwrap_or_default();
        let separated =
            [(";", "semicolons"), ("\t", "tabs")].into_iter().find(|(separator, _)| lone.contains(separator));
        let hint = separated.map_or(String::new(), |(_, by)| format!("; these are separated by {by}"));
        Err(PeopleError::Columns { missing, hint })
    }

    /// A row; none where all of it is empty.
    fn row(self, record: &StringRecord) -> Result<Option<Row>, PeopleError> {
        if record.iter().all(|field| field.trim().is_empty()) {
            return Ok(None);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let most = self.0.into_iter().max().unwrap_or_default();
        if record.len() <= most {
            let problem = format!("there are {} fields, and the columns need {}", record.len(), most + 1);
            return Err(wrong(line, format!("{problem}; is there a comma missing?")));
        }
        let [id, aliases, manager, status, start, end] = self.0.map(|place| record[place].trim());
        if id.is_empty() {
            return Err(wrong(line, "there is no name in the column person"));
        }
        let active = is_active(status).ok_or_else(|| {
            wrong(line, format!("`{status}` is no status: write active, or left for who is no longer there"))
        })?;
        let (start, end) = (date(line, "start", start)?, date(line, "end", end)?);
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            return Err(wrong(line, format!("`{id}` ends before the start: see the columns start and end")));
        }
        let person = Person { id: id.to_owned(), active, manager: manager.to_owned(), start, end };
        let aliases = aliases.split([';', ' ']).filter(|alias| !alias.is_empty()).map(str::to_owned).collect();
        Ok(Some(Row { line, person, aliases }))
    }
}

fn is_active(status: &str) -> Option<bool> {
    match folded(status).as_str() {
        "active" | "on leave" => Some(true),
        "left" | "inactive" | "leaver" | "terminated" => Some(false),
        _ => None,
    }
}

fn date(line: u64, column: &str, text: &str) -> Result<Option<Time>, PeopleError> {
    let bad = || wrong(line, format!("`{text}` in the column {column} is no day: write it like 2026-11-20"));
    if text.is_empty() { Ok(None) } else { day(text).map(Some).ok_or_else(bad) }
}

/// Columns that nobody knows, in words.
fn unknown(header: &StringRecord) -> Vec<String> {
    let strange = header.iter().filter(|name| !COLUMNS.contains(&folded(name).as_str()));
    strange.map(|name| format!("people.csv: the column `{}` is not used", name.trim())).collect()
}

/// Ids of persons by all of their names, in lower case.
fn names(rows: &[Row]) -> Result<HashMap<String, String>, PeopleError> {
    let mut taken: HashMap<String, &Row> = HashMap::new();
    for row in rows {
        for name in row.aliases.iter().chain([&row.person.id]) {
            let other = taken.insert(folded(name), row).filter(|other| other.line != row.line);
            if let Some(other) = other {
                return Err(PeopleError::Twice {
                    line: row.line,
                    name: name.clone(),
                    person: row.person.id.clone(),
                    first: other.line,
                    other: other.person.id.clone(),
                });
            }
        }
    }
    Ok(taken.into_iter().map(|(name, row)| (name, row.person.id.clone())).collect())
}

/// Persons by id, each manager by the id of theirs.
fn managed(rows: &[Row], names: &HashMap<String, String>) -> Result<BTreeMap<String, Person>, PeopleError> {
    let of = |row: &Row| {
        let mut person = row.person.clone();
        if !person.manager.is_empty() {
            let missing = || PeopleError::Manager {
                line: row.line,
                person: row.person.id.clone(),
                manager: row.person.manager.clone(),
            };
            person.manager = names.get(&folded(&person.manager)).cloned().ok_or_else(missing)?;
        }
        Ok((person.id.clone(), person))
    };
    rows.iter().map(of).collect()
}

fn check_circles(rows: &[Row], persons: &BTreeMap<String, Person>) -> Result<(), PeopleError> {
    // Whoever was climbed from once leads out of no circle twice.
    let mut clear: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let mut climbed: Vec<&str> = Vec::new();
        let mut at = persons.get(&row.person.id);
        while let Some(person) = at.filter(|person| !clear.contains(person.id.as_str())) {
            if let Some(begin) = climbed.iter().position(|id| *id == person.id) {
                let people = climbed[begin..].iter().copied().chain([person.id.as_str()]).map(str::to_owned).collect();
                return Err(PeopleError::Circle { line: row.line, people });
            }
            climbed.push(&person.id);
            at = persons.get(&person.manager);
        }
        clear.extend(climbed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "person,aliases,manager,status,start,end\n";

    fn read(rows: &str) -> Result<People, PeopleError> {
        People::read(format!("{HEAD}{rows}").as_bytes())
    }

    fn refused(rows: &str) -> String {
        read(rows).expect_err(rows).to_string()
    }

    fn time(text: &str) -> Time {
        Time::parse(text).expect("a time")
    }

    #[test]
    fn people_are_found_by_each_of_their_names() {
        let list = "\u{feff}Status,Room,person,manager,aliases,end,start\r\n\
            active,12,Alice Ng,bob,\"alice; a.ng@example.com arn:aws:iam::111122223333:user/alice\",,2020-01-01\r\n\
            active,,Bob,,bob@example.com,,\r\n,,,,,,\r\n";
        let people = People::read(list.as_bytes()).expect("a list");
        for name in ["ALICE", "A.Ng@Example.com", "alice ng", "arn:aws:iam::111122223333:user/alice"] {
            assert_eq!(people.find(["", "nobody", name]).map(|person| person.id.as_str()), Some("Alice Ng"), "{name}");
        }
        assert_eq!(people.person("Alice Ng").map(|person| person.manager.as_str()), Some("Bob"));
        assert_eq!(people.warnings, ["people.csv: the column `Room` is not used"]);
        assert_eq!(people.find(["carol", ""]), None);
    }

    #[test]
    fn another_encoding_is_named_with_its_line() {
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(HEAD.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let bare: Vec<u8> = HEAD.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [utf16, bare] {
            let error = People::read(&bytes).expect_err("UTF-16").to_string();
            assert!(error.contains("line 1") && error.contains("UTF-16") && error.contains("UTF-8"), "{error}");
        }
        let latin = [HEAD.as_bytes(), b"bob,,,active,,\nJos\xe9,,,active,,\n"].concat();
        let error = People::read(&latin).expect_err("Latin-1").to_string();
        assert!(error.contains("line 3") && error.contains("Latin-1"), "{error}");
    }

    #[test]
    fn each_fault_has_its_line_and_a_way_out() {
        for (rows, line, hint) in [
            ("a,,,active,,\nb,,,gone,,\n", "line 3", "write active, or left"),
            ("a,,,active,20/11/2026,\n", "line 2", "like 2026-11-20"),
            ("a,,,active,,2026-02-30\n", "line 2", "column end"),
            ("a,,,active,2026-02-02,2026-02-01\n", "line 2", "before the start"),
            (",x,,active,,\n", "line 2", "no name in the column person"),
            ("a,,,active\n", "line 2", "comma missing"),
            ("a,x,,active,,\nb,y;X,,active,,\n", "line 3", "`X` is a name of `b` and, in line 2, of `a`"),
            ("a,,,active,,\nA,,,active,,\n", "line 3", "leave it to one of them"),
            ("a,,zoe,active,,\n", "line 2", "the manager `zoe` of `a` is not in the list"),
            ("x,,a,active,,\na,,b,active,,\nb,,a,active,,\n", "line 2", "a -> b -> a"),
            ("a,,A,active,,\n", "line 2", "a -> a"),
            ("", "no person", "bring a list"),
        ] {
            let error = refused(rows);
            assert!(error.contains(line) && error.contains(hint), "{rows}: {error}");
            // As spreadsheets of Windows end their lines.
            assert_eq!(refused(&rows.replace('\n', "\r\n")), error);
        }
    }

    #[test]
    fn missing_columns_are_named() {
        let error = People::read(b"person,status\na,active\n").expect_err("columns").to_string();
        assert!(error.contains("there is no column aliases, manager, start, end"), "{error}");
        let error = People::read(b"person;aliases;manager;status;start;end\n").expect_err("columns").to_string();
        assert!(error.contains("separated by semicolons"), "{error}");
        let error = People::read(b"").expect_err("nothing").to_string();
        assert!(error.contains("there is no column person"), "{error}");
    }

    #[test]
    fn the_last_day_counts_and_days_to_removal_are_counted_from_it() {
        let people = read("a,,,active,2026-01-05,2026-11-20\nb,,,left,,2026-11-20\n").expect("a list");
        let there = |id: &str, at: &str| people.person(id).is_some_and(|person| person.is_there(time(at)));
        assert!(there("a", "2026-11-20T23:59:59Z") && !there("a", "2026-11-21T00:00:00Z"));
        assert!(!there("a", "2026-01-04T23:59:59Z") && !there("b", "2026-11-01T00:00:00Z"));
        let days = |removed: &str| people.person("a").and_then(|person| person.days_to_removal(time(removed)));
        assert_eq!((days("2026-11-20T18:00:00Z"), days("2026-11-23T09:00:00Z")), (Some(0), Some(3)));
        assert_eq!(days("2026-11-18T09:00:00Z"), Some(-2));
    }

    #[test]
    fn where_the_manager_has_left_the_next_one_decides() {
        let people = read("a,,b,active,,\nb,,c,left,,\nc,,,active,,\nd,,,active,,\n").expect("a list");
        let manager = |id: &str| {
            let person = people.person(id).expect("a person");
            people.manager_of(person, time("2026-11-20T00:00:00Z")).map(|manager| manager.id.as_str())
        };
        assert_eq!((manager("a"), manager("d")), (Some("c"), None));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = People::read(&bytes);
            let _ = People::read(&[HEAD.as_bytes(), &bytes].concat());
        }

        #[test]
        fn circles_are_found_and_nothing_else(managers in prop::collection::vec(0_usize..8, 1..8)) {
            let count = managers.len();
            let row = |(person, manager): (usize, &usize)| match *manager {
                manager if manager < count => format!("p{person},,p{manager},active,,\n"),
                _ => format!("p{person},,,active,,\n"),
            };
            let rows = managers.iter().enumerate().map(row).collect::<Vec<_>>().concat();
            // Whoever climbs longer than there are people goes in a circle.
            let climbs = |mut at: usize| (0..=count).all(|_| { at = *managers.get(at).unwrap_or(&usize::MAX); at < count });
            let is_circle = (0..count).any(climbs);
            prop_assert_eq!(matches!(read(&rows), Err(PeopleError::Circle { .. })), is_circle);
        }
    }
}
