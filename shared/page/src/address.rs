//! The state of the search page. All of it stands in the page's address, so that every view is a link.

use std::fmt::Write;

use lake::Query;
use lake::query::{Field, QueryError};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use trail::time::Time;

/// The spans of time that are offered, in seconds.
pub(crate) const SPANS: [(&str, i64); 7] = [
    ("15m", 900),
    ("1h", 3_600),
    ("4h", 4 * 3_600),
    ("24h", 86_400),
    ("7d", 7 * 86_400),
    ("30d", 30 * 86_400),
    ("90d", 90 * 86_400),
];

const USUAL: usize = 3;

/// What the page shows, as its address says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Which time.
    pub(crate) span: Span,
    /// What changes something, what only reads, or both.
    pub(crate) kind: Kind,
    /// Filters: names and values, in the order they were added.
    pub(crate) filters: Vec<(String, String)>,
    /// Where a page of the table begins.
    pub(crate) after: Option<String>,
    /// The record that is open beside the table.
    pub(crate) open: Option<String>,
    /// Whether runs of the same thing are shown one by one.
    pub(crate) each: bool,
}

/// Which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// One of [`SPANS`], back from now or from the newest record.
    Last(usize),
    /// From and to, as they were given.
    Between(Option<String>, Option<String>),
}

/// What changes something, what only reads, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What nobody asked for differently: reads are a hundred times as many.
    Writes,
    Reads,
    All,
}

impl Default for Address {
    fn default() -> Self {
        let span = Span::Last(USUAL);
        Self { span, kind: Kind::Writes, filters: Vec::new(), after: None, open: None, each: false }
    }
}

impl Address {
    /// Reads the pairs of an address. What is no filter is found out when it is asked.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut address = Self::default();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            match name.as_str() {
                "t" => {
                    let known = SPANS.iter().position(|(name, _)| *name == value);
                    address.span = Span::Last(known.unwrap_or(USUAL));
                }
                "from" => address.span = Span::Between(Some(value), address.span.end()),
                "to" => address.span = Span::Between(address.span.start(), Some(value)),
                "writes" if value == "all" => address.kind = Kind::All,
                "writes" if value == "no" => address.kind = Kind::Reads,
                "writes" => address.kind = Kind::Writes,
                "after" => address.after = Some(value),
                "open" => address.open = Some(value),
                "runs" => address.each = value == "each",
                "ask" => {}
                _ => address.filters.push((name, value)),
            }
        }
        address
    }

    /// The pairs that say it again.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut pairs = Vec::new();
        match &self.span {
            Span::Last(USUAL) => {}
            Span::Last(at) => pairs.push(own("t", SPANS[*at].0)),
            Span::Between(from, to) => {
                pairs.extend(from.iter().map(|from| own("from", from)));
                pairs.extend(to.iter().map(|to| own("to", to)));
            }
        }
        pairs.extend(self.filters.iter().cloned());
        match self.kind {
            Kind::Writes => {}
            Kind::Reads => pairs.push(own("writes", "no")),
            Kind::All => pairs.push(own("writes", "all")),
        }
        pairs.extend(self.each.then(|| own("runs", "each")));
        pairs.extend(self.after.iter().map(|after| own("after", after)));
        pairs.extend(self.open.iter().map(|open| own("open", open)));
        pairs
    }

    /// The page's address.
    pub(crate) fn href(&self) -> String {
        self.href_of("/records")
    }

    /// The same state for another page.
    pub(crate) fn href_of(&self, path: &str) -> String {
        href(path, &self.pairs())
    }

    /// What the lake is asked, in a span that is known by now.
    pub(crate) fn query(&self, (from, to): (Option<Time>, Option<Time>)) -> Result<Query, QueryError> {
        let mut query = Query { from, to, filters: Vec::new() };
        match self.kind {
            Kind::All => {}
            Kind::Writes => query.add("writes", "yes")?,
            Kind::Reads => query.add("writes", "no")?,
        }
        self.filters.iter().try_for_each(|(name, value)| query.add(name, value))?;
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(QueryError::Span { from, to });
        }
        Ok(query)
    }

    /// With something changed. A page of the table and an open record belong to what was searched before.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = Self { after: None, open: None, ..self.clone() };
        change(&mut other);
        other
    }

    /// With one more filter; one that stands there already is not repeated.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        self.but(|other| {
            let pair = (name.to_owned(), value.to_owned());
            if !other.filters.contains(&pair) {
                other.filters.push(pair);
            }
        })
    }

    /// With the filter that is switched on or off; of a field that answers yes or no there is only one.
    pub(crate) fn switched(&self, name: &str, value: &str) -> Self {
        let on = self.has(name, value);
        self.but(|other| {
            other.filters.retain(|(known, _)| known != name);
            if !on {
                other.filters.push((name.to_owned(), value.to_owned()));
            }
        })
    }

    /// Whether a filter stands there.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.filters.iter().any(|(known, given)| known == name && given == value)
    }

    /// Another span.
    pub(crate) fn during(&self, span: Span) -> Self {
        self.but(|other| other.span = span)
    }
}

impl Span {
    fn start(&self) -> Option<String> {
        if let Self::Between(from, _) = self { from.clone() } else { None }
    }

    fn end(&self) -> Option<String> {
        if let Self::Between(_, to) = self { to.clone() } else { None }
    }

    /// A span that is known by its ends.
    pub(crate) fn between(from: Time, to: Time) -> Self {
        Self::Between(Some(from.to_string()), Some(to.to_string()))
    }

    /// First second and end, as seen from a time.
    pub(crate) fn resolve(&self, from_here: Time) -> Result<(Option<Time>, Option<Time>), QueryError> {
        match self {
            Self::Last(at) => Ok((Some(Time(from_here.0 - SPANS[*at].1)), Some(from_here))),
            Self::Between(from, to) => {
                let mut query = Query::default();
                from.iter().try_for_each(|from| query.add("from", &clock(from)))?;
                to.iter().try_for_each(|to| query.add("to", &clock(to)))?;
                Ok((query.from, query.to))
            }
        }
    }
}

/// People write `2026-11-20 03:00`; it is UTC.
fn clock(given: &str) -> String {
    let text = given.trim().replacen(' ', "T", 1);
    match text.len() {
        16 if text.contains('T') => format!("{text}:00Z"),
        19 if text.contains('T') => format!("{text}Z"),
        _ => text,
    }
}

/// The address of the search that one filter makes, over all records of a span.
pub(crate) fn search(name: &str, value: &str, span: Span) -> String {
    Address { span, kind: Kind::All, ..Address::default() }.with(name, &lake::query::literally(value)).href()
}

/// A path and pairs as an address.
pub(crate) fn href<N: AsRef<str>, V: AsRef<str>>(path: &str, pairs: &[(N, V)]) -> String {
    // As RFC 3986 has it, but for what reads well in a query: `:`, `/`, `*`, `,`, `!`, `@`.
    const KEPT: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'&')
        .add(b'\'')
        .add(b'+')
        .add(b'<')
        .add(b'=')
        .add(b'>')
        .add(b'?')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let mut out = path.to_owned();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let (name, value) = (utf8_percent_encode(name.as_ref(), KEPT), utf8_percent_encode(value.as_ref(), KEPT));
        let _ = write!(out, "{}{name}={value}", if at == 0 { '?' } else { '&' });
    }
    out
}

/// Whether a field takes yes and no alone.
pub(crate) fn is_switch(name: &str) -> bool {
    matches!(
        Field::named(name),
        Some(Field::Writes | Field::Mfa | Field::Console | Field::Services | Field::Root | Field::CrossAccount)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Address {
        Address::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn an_address_says_the_same_again() {
        for pairs in [
            &[][..],
            &[("t", "7d"), ("user", "alice"), ("service", "!kms"), ("service", "!s3"), ("writes", "all")],
            &[("from", "2026-11-20"), ("to", "2026-11-21"), ("error", "*"), ("writes", "no"), ("runs", "each")],
            &[("user", "a&b=c#d+e \"<script>"), ("after", "1~2~3"), ("open", "x")],
        ] {
            let address = read(pairs);
            let said: Vec<_> = address.pairs();
            let said: Vec<_> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(said, pairs);
        }
    }

    #[test]
    fn an_address_carries_any_text() {
        let uri: axum::http::Uri = search("user", "a&b=c#d+e \"<é>'%41", Span::Last(0)).parse().expect("an address");
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).expect("pairs").0;
        assert!(pairs.contains(&("user".to_owned(), "a&b=c#d+e \"<é>'%41".to_owned())), "{pairs:?}");
    }

    #[test]
    fn switches_go_on_and_off() {
        let on = Address::default().switched("console", "yes");
        assert_eq!(on.href(), "/records?console=yes");
        assert_eq!(on.switched("console", "yes"), Address::default());
    }

    #[test]
    fn spans_end_where_records_do() {
        let end = Time(1_000_000);
        assert_eq!(Span::Last(1).resolve(end), Ok((Some(Time(996_400)), Some(end))));
        let minute = Span::Between(Some("2026-11-20 03:00".to_owned()), None);
        assert_eq!(minute.resolve(end), Ok((Time::parse("2026-11-20T03:00:00Z"), None)));
        assert!(Span::Between(Some("soon".to_owned()), None).resolve(end).is_err());
    }
}
