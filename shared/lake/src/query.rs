//! What can be asked of the lake: filters that all have to hold, over a span of time.
//!
//! A query is a list of `name=value` pairs, the same on the command line, in the page's address and in a preset:
//!
//! ```text
//! user=alice  action=Terminate*,Delete*  ip=203.0.113.0/24  service=!kms  error=*  writes=yes
//! ```
//!
//! Values beside each other mean any of them, a `!` in front none of them, `*` in a value stands for any letters.

use std::net::IpAddr;

use ipnet::IpNet;
use trail::facts::Facts;
use trail::policy::covers;
use trail::resource_type::canonical;
pub(crate) use trail::resource_type::is_unique_id;
use trail::time::Time;

use crate::columns::{Column, Kind};

/// Filters over a span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The first second that counts.
    pub from: Option<Time>,
    /// The first second that no longer counts.
    pub to: Option<Time>,
    /// All of them have to hold.
    pub filters: Vec<Filter>,
}

/// One condition: some value in one of the field's columns matches one of the patterns, or none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What it is about.
    pub field: Field,
    /// Whether none may match.
    pub negated: bool,
    /// Any of these.
    pub any: Vec<Pattern>,
    /// The value as it was given, without the `!`.
    pub given: String,
}

/// What can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "`FIELDS` says of each what it is")]
pub enum Field {
    User,
    Issuer,
    AccessKey,
    IssuedKey,
    Ip,
    Agent,
    Service,
    Action,
    Resource,
    ResourceType,
    Account,
    Region,
    Error,
    Category,
    Identity,
    InvokedBy,
    VpcEndpoint,
    OnBehalfOf,
    Id,
    RequestId,
    SharedId,
    Text,
    Writes,
    Mfa,
    Console,
    Services,
    Root,
    CrossAccount,
}

/// What a filter looks for in one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Whatever is there.
    Anything,
    /// Letter for letter.
    Equal(String),
    /// The same in letters of either case.
    Same(String),
    /// These letters of either case somewhere in it.
    Holds(String),
    /// The whole of it, with `*` for any letters and `?` for one, in letters of either case.
    Glob(String),
    /// An address in this network.
    Network(IpNet),
    /// A resource of this name: the whole of it, or what stands last in its ARN.
    Named(String),
    /// The answer of a flag.
    Flag(bool),
}

/// A query that cannot be asked, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No such filter.
    #[error("there is no filter `{name}`; there are {known}")]
    Unknown {
        /// As given.
        name: String,
        /// All there are.
        known: String,
    },
    /// A value that the filter cannot take.
    #[error("{name}: `{value}` is {why}")]
    Value {
        /// The filter.
        name: &'static str,
        /// As given.
        value: String,
        /// What would do.
        why: &'static str,
    },
    /// A span that holds no second.
    #[error("nothing lies between {from} and {to}: the end has to come after the beginning")]
    Span {
        /// The beginning.
        from: Time,
        /// The end.
        to: Time,
    },
    /// Too much to read.
    #[error(
        "this would read about {} MB in {days} days, the limit is {} MB: narrow the time, or add a user, key, address or \
         resource",
        bytes / 1_000_000, limit / 1_000_000
    )]
    TooWide {
        /// The estimate.
        bytes: u64,
        /// How many days it lies in.
        days: usize,
        /// The limit in force.
        limit: u64,
    },
}

/// A field: its name in queries, the columns that it looks in, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// The field.
    pub field: Field,
    /// Its name.
    pub name: &'static str,
    /// Where it looks.
    pub columns: &'static [Column],
    /// For help texts.
    pub about: &'static str,
}

/// All fields.
pub const FIELDS: &[FieldInfo] = {
    use Column as C;
    const USER: &[Column] = &[C::ActorName, C::ActorArn, C::PrincipalId, C::SourceIdentity, C::OnBehalfOf];
    const fn is(field: Field, name: &'static str, columns: &'static [Column], about: &'static str) -> FieldInfo {
        FieldInfo { field, name, columns, about }
    }
    &[
        is(Field::User, "user", USER, "who: a part of the name, the role, the session or the ARN"),
        is(Field::Issuer, "issuer", &[C::IssuerArn], "the role or user that issued the session: a part of its ARN"),
        is(Field::AccessKey, "access-key", &[C::AccessKey], "the access key that signed the call"),
        is(Field::IssuedKey, "issued-key", &[C::IssuedKey], "the access key that the call gave out"),
        is(Field::Ip, "ip", &[C::SourceIp], "an address, a network such as 203.0.113.0/24, or a service's name"),
        is(Field::Agent, "agent", &[C::UserAgent], "a part of the user agent"),
        is(Field::Service, "service", &[C::EventSource], "the service: ec2, or ec2.amazonaws.com"),
        is(Field::Action, "action", &[C::EventName], "the action: RunInstances, Delete*, or ec2:RunInstances"),
        is(Field::Resource, "resource", &[C::Resources], "an ARN, an id or a name, in request or response"),
        is(Field::ResourceType, "resource-type", &[C::ResourceTypes], "AWS::RDS::DBInstance, or rds:db"),
        is(Field::Account, "account", &[C::Account], "the account's twelve digits"),
        is(Field::Region, "region", &[C::Region], "the region"),
        is(Field::Error, "error", &[C::ErrorCode], "an error code, * for any, none for success"),
        is(Field::Category, "category", &[C::Category], "Management, Data, Insight or NetworkActivity"),
        is(Field::Identity, "identity", &[C::ActorType], "the identity's type: IAMUser, AssumedRole, Root …"),
        is(Field::InvokedBy, "invoked-by", &[C::InvokedBy], "the service through which the call came"),
        is(Field::VpcEndpoint, "vpc-endpoint", &[C::VpcEndpoint], "the VPC endpoint"),
        is(Field::OnBehalfOf, "on-behalf-of", &[C::OnBehalfOf], "the Identity Center user behind a service's call"),
        is(Field::Id, "id", &[C::EventId], "the record's id"),
        is(Field::RequestId, "request-id", &[C::RequestId], "the request's id"),
        is(Field::SharedId, "shared-id", &[C::SharedEventId], "the id that records of several accounts share"),
        is(Field::Text, "text", &[C::Json], "letters anywhere in the record: slow, so narrow it by something else"),
        is(Field::Writes, "writes", &[C::ReadOnly], "yes: only what changes something; no: only what reads"),
        is(Field::Mfa, "mfa", &[C::Mfa], "whether the session used a second factor"),
        is(Field::Console, "console", &[C::Console], "whether a person did it in the console"),
        is(Field::Services, "services", &[C::ByService], "no: hide what AWS services do"),
        is(Field::Root, "root", &[C::Root], "the root user and its sessions"),
        is(Field::CrossAccount, "cross-account", &[C::CrossAccount], "callers from another account"),
    ]
};

impl Field {
    /// What the field is.
    pub fn info(self) -> &'static FieldInfo {
        // `FIELDS` has each field; a test says so.
        FIELDS.iter().find(|info| info.field == self).unwrap_or(&FIELDS[0])
    }

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Where it looks.
    pub fn columns(self) -> &'static [Column] {
        self.info().columns
    }

    /// The column whose values a facet counts.
    pub fn counted(self) -> Column {
        self.columns()[0]
    }

    /// The field of that name.
    pub fn named(name: &str) -> Option<Self> {
        FIELDS.iter().find(|info| info.name == name).map(|info| info.field)
    }

    fn is_flag(self) -> bool {
        self.columns()[0].kind() == Kind::Flag
    }
}

impl Query {
    /// Takes up one `name=value` pair; `from` and `to` are such, too.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "from" => self.from = Some(time("from", value)?),
            "to" => self.to = Some(time("to", value)?),
            _ => {
                let unknown = || QueryError::Unknown { name: name.to_owned(), known: known() };
                self.filters.extend(Filter::parse(Field::named(name).ok_or_else(unknown)?, value)?);
            }
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(QueryError::Span { from, to }),
            _ => Ok(()),
        }
    }

    /// A query of such pairs.
    pub fn of<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Self, QueryError> {
        let mut query = Self::default();
        pairs.into_iter().try_for_each(|(name, value)| query.add(name, value))?;
        Ok(query)
    }

    /// Whether a record is asked for.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.from.is_none_or(|from| facts.event_time >= from)
            && self.to.is_none_or(|to| facts.event_time < to)
            && self.filters.iter().all(|filter| filter.matches(facts))
    }
}

impl Filter {
    /// Reads a value: usually one filter; `ec2:RunInstances` is one of the service and one of the action.
    pub fn parse(field: Field, value: &str) -> Result<Vec<Self>, QueryError> {
        let (negated, given) = value.strip_prefix('!').map_or((false, value), |rest| (true, rest));
        if field == Field::Action
            && let Some((service, action)) = given.split_once(':')
        {
            if negated || action.contains(':') {
                return Err(refused(field, value, "for one service at a time, and not to be negated"));
            }
            return Ok([Self::parse(Field::Service, service)?, Self::parse(Field::Action, action)?].concat());
        }
        let words = words(given);
        if words.is_empty() {
            return Err(refused(field, value, "empty"));
        }
        let is_none = |word: &Word| field == Field::Error && word.text == "none";
        if words.iter().any(is_none) {
            if words.len() > 1 {
                return Err(refused(field, value, "both an error and none: ask for one of them"));
            }
            return Ok(vec![Self { field, negated: !negated, any: vec![Pattern::Anything], given: given.to_owned() }]);
        }
        let any = words.iter().map(|word| pattern(field, word)).collect::<Result<_, _>>()?;
        Ok(vec![Self { field, negated, any, given: given.to_owned() }])
    }

    /// Whether it holds of a record.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let found = self.field.columns().iter().any(|column| {
            column.flag(facts).is_some_and(|flag| self.any.contains(&Pattern::Flag(flag)))
                || column.texts(facts).any(|text| self.catches(text))
        });
        found != self.negated
    }

    /// Whether one of its patterns matches a value, negated or not.
    pub fn catches(&self, value: &str) -> bool {
        self.any.iter().any(|pattern| pattern.matches(value))
    }
}

impl Pattern {
    /// Whether a value matches; an empty one never does.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Anything => !value.is_empty(),
            Self::Equal(text) => value == text,
            Self::Same(text) => value.eq_ignore_ascii_case(text),
            Self::Holds(text) => holds(value.as_bytes(), text.as_bytes()),
            Self::Glob(glob) => covers(glob, value),
            Self::Network(network) => value.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
            Self::Named(name) => is_named(value, name),
            Self::Flag(_) => false,
        }
    }
}

/// One of several values.
struct Word {
    text: String,
    /// Whether it holds a `*` or `?` that stands for others.
    is_glob: bool,
}

/// The values between commas. A backslash takes its meaning from the letter after it.
fn words(given: &str) -> Vec<Word> {
    let mut words = vec![Word { text: String::new(), is_glob: false }];
    let mut letters = given.chars();
    while let (Some(letter), Some(word)) = (letters.next(), words.last_mut()) {
        match letter {
            ',' => words.push(Word { text: String::new(), is_glob: false }),
            '\\' => word.text.extend(letters.next()),
            letter => {
                word.is_glob |= matches!(letter, '*' | '?');
                word.text.push(letter);
            }
        }
    }
    let trimmed = words.into_iter().map(|word| Word { text: word.text.trim().to_owned(), ..word });
    trimmed.filter(|word| !word.text.is_empty()).collect()
}

/// A value as a filter takes it for itself, whatever letters it has.
pub fn literally(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, letter) in value.char_indices() {
        if matches!(letter, '\\' | ',' | '*' | '?') || at == 0 && letter == '!' {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn pattern(field: Field, Word { text, is_glob }: &Word) -> Result<Pattern, QueryError> {
    let (word, has_star) = (text.as_str(), *is_glob);
    if field.is_flag() {
        return flag(field, word);
    }
    if word == "*" && has_star {
        return Ok(Pattern::Anything);
    }
    let text = word.to_owned();
    Ok(match field {
        Field::User | Field::Issuer | Field::Agent | Field::OnBehalfOf if !has_star => Pattern::Holds(text),
        Field::Text => Pattern::Holds(text),
        Field::Ip => return address(word, has_star),
        Field::Account if !has_star && !is_account(word) => {
            return Err(refused(field, word, "no account: those have twelve digits"));
        }
        Field::Category if !has_star && !CATEGORIES.iter().any(|known| known.eq_ignore_ascii_case(word)) => {
            return Err(refused(field, word, "none of Management, Data, Insight, NetworkActivity"));
        }
        Field::Service if !word.contains('.') && !has_star => Pattern::Same(format!("{word}.amazonaws.com")),
        Field::Resource if !has_star => Pattern::Named(text),
        // A word that the table does not know may be a type that came after it.
        Field::ResourceType if !has_star => Pattern::Same(canonical(word).map_or(text, str::to_owned)),
        Field::AccessKey | Field::IssuedKey | Field::Id if !has_star => Pattern::Equal(text),
        _ if has_star => Pattern::Glob(text),
        _ => Pattern::Same(text),
    })
}

/// Of a flag `yes` and `no`. The `writes` are what does not only read.
fn flag(field: Field, word: &str) -> Result<Pattern, QueryError> {
    let said = match word.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => true,
        "no" | "false" | "0" => false,
        _ => return Err(refused(field, word, "neither yes nor no")),
    };
    Ok(Pattern::Flag(said != (field == Field::Writes)))
}

/// `eventCategory` of records.
const CATEGORIES: [&str; 5] = ["Management", "Data", "Insight", "NetworkActivity", "Aggregated"];

/// Twelve digits, or the dash of records that name no account.
fn is_account(word: &str) -> bool {
    word == "-" || word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn address(word: &str, has_star: bool) -> Result<Pattern, QueryError> {
    // A service's name has letters that no number has.
    let is_name =
        word.contains(|letter: char| letter.is_alphabetic() && !letter.is_ascii_hexdigit()) && !word.contains('/');
    match (word.parse::<IpNet>(), word.parse::<IpAddr>()) {
        (Ok(network), _) => Ok(Pattern::Network(network)),
        (_, Ok(address)) => Ok(Pattern::Equal(address.to_string())),
        _ if has_star => Ok(Pattern::Glob(word.to_owned())),
        _ if is_name => Ok(Pattern::Same(word.to_owned())),
        _ => Err(refused(
            Field::Ip,
            word,
            "neither an address such as 203.0.113.7, nor a network such as 203.0.113.0/24, nor a service's name",
        )),
    }
}

fn time(name: &'static str, value: &str) -> Result<Time, QueryError> {
    let day = || Time::parse(&format!("{value}T00:00:00Z"));
    // As people write it: to the minute or the second, with a blank, in UTC.
    let short = || {
        let (date, clock) = value.split_once(['T', ' '])?;
        let seconds = if clock.len() == 5 { ":00" } else { "" };
        Time::parse(&format!("{date}T{clock}{seconds}Z"))
    };
    let why = "no time such as 2026-11-20T03:00:00Z, 2026-11-20 03:00 or 2026-11-20, in UTC";
    Time::parse(value).or_else(day).or_else(short).ok_or_else(|| QueryError::Value {
        name,
        value: value.to_owned(),
        why,
    })
}

fn refused(field: Field, value: &str, why: &'static str) -> QueryError {
    QueryError::Value { name: field.name(), value: value.to_owned(), why }
}

fn known() -> String {
    let names: Vec<&str> = ["from", "to"].into_iter().chain(FIELDS.iter().map(|info| info.name)).collect();
    names.join(", ")
}

/// Whether `text` holds `part`, in letters of either case.
fn holds(text: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else { return true };
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text)
        .any(|at| text.get(at + 1..=at + rest.len()).is_some_and(|next| next.eq_ignore_ascii_case(rest)))
}

/// A resource is named by all of its ARN or id, by what stands last in it, and an id of EC2's kind by any ARN of it.
fn is_named(value: &str, name: &str) -> bool {
    let last = |text: &str, part: &str| {
        text.strip_suffix(part).is_some_and(|before| before.ends_with('/') || before.ends_with(':'))
    };
    value == name || last(value, name) || is_unique_id(value) && last(name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            event_time: Time(1000),
            actor_name: "alice@example.com".into(),
            event_source: "ec2.amazonaws.com".into(),
            event_name: "TerminateInstances".into(),
            source_ip: "203.0.113.7".into(),
            resources: vec!["i-0abcdef1234567890".into(), "arn:aws:iam::111122223333:role/ops".into()],
            resource_types: vec!["AWS::EC2::Instance".into()],
            ..Facts::default()
        }
    }

    fn holds_of(name: &str, value: &str) -> bool {
        Query::of([(name, value)]).expect("a query").matches(&facts())
    }

    #[test]
    fn each_field_has_its_line() {
        assert_eq!(FIELDS.len(), Field::CrossAccount as usize + 1);
        assert!(FIELDS.iter().enumerate().all(|(at, info)| info.field as usize == at));
    }

    #[test]
    fn filters_hold_or_not() {
        for (name, value) in [
            ("user", "ALICE"),
            ("user", "alice@*"),
            ("ip", "203.0.113.0/24"),
            ("ip", "203.0.113.7"),
            ("service", "ec2"),
            ("action", "ec2:Terminate*"),
            ("action", "Delete*,Terminate*"),
            ("resource", "ops"),
            ("resource", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abcdef1234567890"),
            ("resource", "i-0abc*"),
            ("resource-type", "EC2:instance"),
            ("resource-type", "aws::ec2::instance"),
            ("resource-type", "AWS::EC2::*"),
            ("resource-type", "!rds:db"),
            ("error", "none"),
            ("writes", "yes"),
            ("region", "!eu-west-1"),
            ("from", "1970-01-01"),
        ] {
            assert!(holds_of(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("user", "bob"),
            ("user", "alice*com2"),
            ("ip", "203.0.113.70"),
            ("service", "kms"),
            ("action", "Terminate"),
            ("resource", "op"),
            ("resource-type", "ec2:vpc"),
            ("resource-type", "instance"),
            ("error", "*"),
            ("writes", "no"),
            ("root", "yes"),
            ("mfa", "yes"),
            ("service", "!ec2"),
            ("to", "1970-01-01T00:16:40Z"),
        ] {
            assert!(!holds_of(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_value_stands_for_itself_whatever_letters_it_has() {
        for value in ["a,b", "!a", "a*", "?", "back\\slash", "none, of\\,it", ",", "\\!"] {
            let facts = Facts { user_agent: value.into(), event_name: value.into(), ..facts() };
            for field in ["agent", "action"] {
                let query = Query::of([(field, literally(value).as_str())]).expect("a query");
                assert!(query.matches(&facts), "{field}={value}");
                let other = Facts { user_agent: "ab".into(), event_name: "ab".into(), ..Facts::default() };
                assert!(!query.matches(&other), "{field}={value}");
            }
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for (name, value) in [
            ("ip", "300.1.1.1"),
            ("ip", "1.2.3.4/33"),
            ("ip", "198.51.100"),
            ("account", "abc"),
            ("account", "11112222333"),
            ("category", "Foo"),
            ("error", "none,AccessDenied"),
        ] {
            let refused = Query::of([(name, value)]).expect_err(value).to_string();
            assert!(refused.starts_with(name), "{refused}");
        }
        for (name, value) in [
            ("ip", "cloudformation.amazonaws.com"),
            ("ip", "AWS Internal"),
            ("ip", "198.51.100.*"),
            ("ip", "2001:db8::/32"),
            ("account", "1111*"),
            ("category", "data"),
            ("from", "2026-11-20 03:10"),
            ("from", "2026-11-20T03:10"),
        ] {
            assert!(Query::of([(name, value)]).is_ok(), "{name}={value}");
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let why = |name, value| Query::of([(name, value)]).expect_err("refused").to_string();
        assert!(why("usr", "x").contains("there are from, to, user"));
        assert!(why("user", " ,").contains("empty"));
        assert!(why("mfa", "maybe").contains("neither yes nor no"));
        assert!(why("from", "yesterday").contains("2026-11-20"));
        let span = Query::of([("from", "2026-11-20"), ("to", "2026-11-20")]).expect_err("no span");
        assert!(matches!(span, QueryError::Span { .. }));
    }
}
