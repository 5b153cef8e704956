//! Points in time, in whole seconds as CloudTrail records them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds since 1970-01-01 UTC. Read and written as RFC 3339.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Reads RFC 3339, and the basic form `20260131T010628Z` that object names and some session contexts use.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(Self(time.as_second()));
        }
        let digits = text.strip_suffix('Z')?;
        let (date, clock) = digits.split_once('T')?;
        let seconds = if clock.len() == 4 { "00" } else { clock.get(4..)? };
        let extended = format!(
            "{}-{}-{}T{}:{}:{seconds}Z",
            date.get(..4)?,
            date.get(4..6)?,
            date.get(6..)?,
            clock.get(..2)?,
            clock.get(2..4)?
        );
        extended.parse::<Timestamp>().ok().map(|time| Self(time.as_second()))
    }

    /// The start of the span of `seconds` that this time lies in.
    #[must_use]
    pub fn floor(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(seconds.max(1))))
    }

    /// `2026-11-20`.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }

    /// `03:02:40`.
    pub fn clock(self) -> String {
        self.to_string().chars().skip(11).take(8).collect()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = Timestamp::from_second(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no RFC 3339 time")))
    }
}
