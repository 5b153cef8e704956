//! The span of time that a review is about.

use serde::{Deserialize, Serialize};

use crate::time::Time;

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
