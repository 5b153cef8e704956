//! The span of time that a review is about, and the days that count until something is due.

use std::fmt;

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// A quarter, or any span that a review is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// `2026-Q4`, `FY2027-Q1`, `2026-11-20-leaver-alice`: the review's id.
    pub id: String,
    /// Its first second.
    pub from: Time,
    /// The first second after it.
    pub to: Time,
}

/// Why a text names no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodError {
    /// Of no form that is known.
    #[error(
        "`{0}` is no period: write a quarter as 2026-Q4, a fiscal one as FY2027-Q1, or days as 2026-10-01..2026-12-31"
    )]
    Form(String),
    /// The last day lies before the first one.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
}

/// A quarter by its name: a fiscal year is called after the calendar year that it ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quarter {
    fiscal: bool,
    year: i16,
    number: i8,
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.fiscal { "FY" } else { "" };
        write!(f, "{prefix}{:04}-Q{}", self.year, self.number)
    }
}

impl Quarter {
    fn parse(text: &str) -> Option<Self> {
        let (fiscal, rest) = text.strip_prefix("FY").map_or((false, text), |rest| (true, rest));
        let (year, number) = rest.split_once("-Q")?;
        let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
        let quarter = Self { fiscal, year: year.parse().ok()?, number: number.parse().ok()? };
        (is_year && number.len() == 1 && (1..=4).contains(&quarter.number) && quarter.year > 0).then_some(quarter)
    }

    /// The quarter that a day lies in, of years that begin with this month.
    fn of(day: Date, first_month: i8) -> Self {
        let since = (day.month() - first_month).rem_euclid(12);
        let begins = if day.month() < first_month { day.year() - 1 } else { day.year() };
        let fiscal = first_month != 1;
        Self { fiscal, year: begins + i16::from(fiscal), number: since / 3 + 1 }
    }

    /// Its first day.
    fn begin(self, first_month: i8) -> Option<Date> {
        let first_month = if self.fiscal { first_month } else { 1 };
        let begins = self.year - i16::from(first_month != 1);
        let year = Date::new(begins, first_month, 1).ok()?;
        year.checked_add(Span::new().months(i64::from(self.number - 1) * 3)).ok()
    }

    fn after(self, quarters: i16) -> Self {
        let all = self.year * 4 + i16::from(self.number) - 1 + quarters;
        let number = i8::try_from(all.rem_euclid(4)).unwrap_or_default() + 1;
        Self { year: all.div_euclid(4), number, ..self }
    }
}

impl Period {
    /// The quarter that a time lies in. Years begin with this month, from 1 to 12: with 1 they are calendar years.
    pub fn quarter(time: Time, first_month: i64) -> Self {
        let first_month = month(first_month);
        let quarter = Quarter::of(day_of(time), first_month);
        let begin = quarter.begin(first_month).unwrap_or_else(|| day_of(time));
        Self::beginning(quarter, begin)
    }

    /// Reads `2026-Q4`, `FY2027-Q1` or `2026-10-01..2026-12-31`, the last day included. A fiscal quarter begins as the
    /// settings say; where years begin in January, it is called by its calendar name.
    pub fn parse(text: &str, first_month: i64) -> Result<Self, PeriodError> {
        let form = || PeriodError::Form(text.to_owned());
        let first_month = month(first_month);
        if let Some(quarter) = Quarter::parse(text) {
            let begin = quarter.begin(first_month).ok_or_else(form)?;
            let fiscal = quarter.fiscal && first_month != 1;
            return Ok(Self::beginning(Quarter { fiscal, ..quarter }, begin));
        }
        let (first, last) = text.split_once("..").ok_or_else(form)?;
        let (from, last) = (day(first).ok_or_else(form)?, day(last).ok_or_else(form)?);
        if last < from {
            return Err(PeriodError::Backwards(text.to_owned()));
        }
        Ok(Self { id: text.to_owned(), from, to: Time(last.0 + DAY) })
    }

    /// What a review is about that is opened because somebody leaves: the days before.
    pub fn of_leaver(person: &str, now: Time, days: i64) -> Self {
        let plain = person.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        let id = format!("{}-leaver-{}", now.date(), plain.collect::<String>());
        Self { id, from: Time(now.0 - days * DAY), to: now }
    }

    /// The quarter before this one; none where this is no quarter.
    pub fn previous(&self) -> Option<Self> {
        self.shifted(-1)
    }

    /// The quarter after this one; none where this is no quarter.
    pub fn next(&self) -> Option<Self> {
        self.shifted(1)
    }

    /// Whether a time lies in it.
    pub fn contains(&self, time: Time) -> bool {
        self.from <= time && time < self.to
    }

    fn shifted(&self, quarters: i16) -> Option<Self> {
        let quarter = Quarter::parse(&self.id)?;
        let begin = day_of(self.from).checked_add(Span::new().months(i64::from(quarters) * 3)).ok()?;
        Some(Self::beginning(quarter.after(quarters), begin))
    }

    fn beginning(quarter: Quarter, begin: Date) -> Self {
        let end = begin.saturating_add(Span::new().months(3));
        Self { id: quarter.to_string(), from: midnight(begin), to: midnight(end) }
    }
}

/// When something is due that so many business days are left for: the last second of the last of them, the day itself
/// not counted. Business days are Monday to Friday, in UTC; holidays are nobody's that this system knows.
pub fn due(from: Time, business_days: i64) -> Time {
    let last = business_until(day_number(from)) + business_days.max(0) - 1;
    let last = if business_days > 0 { last.div_euclid(5) * 7 + last.rem_euclid(5) - 3 } else { day_number(from) };
    Time((last + 1) * DAY - 1)
}

/// How many business days lie after the day of one time, up to and with the day of the other.
pub fn business_days(from: Time, to: Time) -> i64 {
    business_until(day_number(to)) - business_until(day_number(from))
}

/// Reads a day such as `2026-10-01` as its first second.
pub fn day(text: &str) -> Option<Time> {
    let is_day = text.len() == 10;
    text.parse::<Date>().ok().filter(|_| is_day).map(midnight)
}

/// Business days up to and with this one, since the Monday before 1970, which began on a Thursday.
fn business_until(day: i64) -> i64 {
    let since = day + 3;
    since.div_euclid(7) * 5 + (since.rem_euclid(7) + 1).min(5)
}

/// Days since 1970.
fn day_number(time: Time) -> i64 {
    time.0.div_euclid(DAY)
}

fn month(number: i64) -> i8 {
    i8::try_from(number).ok().filter(|month| (1..=12).contains(month)).unwrap_or(1)
}

fn day_of(time: Time) -> Date {
    let timestamp = jiff::Timestamp::from_second(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(TimeZone::UTC).date()
}

fn midnight(day: Date) -> Time {
    let zoned = day.to_zoned(TimeZone::UTC);
    Time(zoned.map_or(0, |zoned| zoned.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).expect("a time")
    }

    fn span(period: &Period) -> (&str, String, String) {
        (period.id.as_str(), period.from.date(), period.to.date())
    }

    #[test]
    fn quarters_of_calendar_and_fiscal_years() {
        for (at, first_month, expected) in [
            ("2026-12-31T23:59:59Z", 1, ("2026-Q4", "2026-10-01", "2027-01-01")),
            ("2027-01-01T00:00:00Z", 1, ("2027-Q1", "2027-01-01", "2027-04-01")),
            ("2026-10-01T00:00:00Z", 10, ("FY2027-Q1", "2026-10-01", "2027-01-01")),
            ("2026-09-30T23:59:59Z", 10, ("FY2026-Q4", "2026-07-01", "2026-10-01")),
            ("2026-01-15T00:00:00Z", 2, ("FY2026-Q4", "2025-11-01", "2026-02-01")),
            ("2026-12-31T00:00:00Z", 12, ("FY2027-Q1", "2026-12-01", "2027-03-01")),
        ] {
            let quarter = Period::quarter(time(at), first_month);
            let (id, from, to) = expected;
            assert_eq!(span(&quarter), (id, from.to_owned(), to.to_owned()), "{at} {first_month}");
            assert_eq!(Period::parse(id, first_month), Ok(quarter));
        }
    }

    #[test]
    fn what_is_named_is_read_or_explained() {
        let days = Period::parse("2026-10-05..2026-10-05", 1).expect("a day");
        assert_eq!((days.from, days.to), (time("2026-10-05T00:00:00Z"), time("2026-10-06T00:00:00Z")));
        assert_eq!(days.previous(), None);
        assert_eq!(Period::parse("FY2027-Q1", 1).expect("a quarter").id, "2027-Q1");
        let calendar = Period::parse("2026-Q4", 10).expect("a quarter");
        assert_eq!(span(&calendar), ("2026-Q4", "2026-10-01".to_owned(), "2027-01-01".to_owned()));
        assert!(matches!(Period::parse("2026-10-05..2026-10-04", 1), Err(PeriodError::Backwards(_))));
        for text in
            ["", "2026", "2026-Q5", "2026-Q0", "26-Q1", "2026-Q+1", "FY-Q1", "2026-10-05", "2026-13-01..x", "é-Q1"]
        {
            assert_eq!(Period::parse(text, 1), Err(PeriodError::Form(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_leavers_review_has_a_name_that_can_be_a_key() {
        let period = Period::of_leaver("Ann/../O'Neil", time("2026-11-20T10:00:00Z"), 90);
        assert_eq!(
            span(&period),
            ("2026-11-20-leaver-ann----o-neil", "2026-08-22".to_owned(), "2026-11-20".to_owned())
        );
    }

    #[test]
    fn business_days_leave_weekends_out() {
        let friday = time("2026-11-20T17:00:00Z");
        for (days, until) in [(0, "2026-11-20"), (1, "2026-11-23"), (5, "2026-11-27"), (6, "2026-11-30")] {
            assert_eq!(due(friday, days).to_string(), format!("{until}T23:59:59Z"), "{days}");
        }
        assert_eq!(due(time("2026-11-22T00:00:00Z"), 1).date(), "2026-11-23", "from a Sunday");
        assert_eq!(business_days(friday, time("2026-11-23T00:00:00Z")), 1);
        assert_eq!(business_days(friday, time("2026-11-22T23:00:00Z")), 0);
    }

    /// Day by day, as one would count on a calendar.
    fn naive(from: Time, days: i64) -> Time {
        let (mut day, mut left) = (day_of(from), days);
        while left > 0 {
            day = day.tomorrow().expect("a day");
            left -= i64::from(!matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday));
        }
        Time(midnight(day).0 + DAY - 1)
    }

    proptest! {
        #[test]
        fn due_days_are_those_of_the_calendar(seconds in -4_000_000_000_i64..8_000_000_000, days in 0_i64..400) {
            prop_assert_eq!(due(Time(seconds), days), naive(Time(seconds), days));
            prop_assert_eq!(business_days(Time(seconds), due(Time(seconds), days)), days);
        }

        #[test]
        fn quarters_follow_each_other_without_gaps(seconds in 0_i64..8_000_000_000, first_month in 1_i64..=12) {
            let quarter = Period::quarter(Time(seconds), first_month);
            prop_assert!(quarter.contains(Time(seconds)));
            prop_assert_eq!(quarter.next(), Some(Period::quarter(quarter.to, first_month)));
            prop_assert_eq!(quarter.previous(), Some(Period::quarter(Time(quarter.from.0 - 1), first_month)));
            prop_assert_eq!(Period::parse(&quarter.id, first_month), Ok(quarter));
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,30}", first_month in any::<i64>()) {
            let _ = Period::parse(&text, first_month);
        }
    }
}
