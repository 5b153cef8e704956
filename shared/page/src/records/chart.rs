//! How the records lie in time.

use lake::answer::Bucket;
use trail::detection::Severity;
use trail::time::Time;

use crate::address::{Address, Span};
use crate::text::{how_long, number};

/// The histogram, as the script wants it.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) data: String,
    pub(super) base: String,
    pub(super) bars: Vec<(String, String, String, String)>,
    pub(super) step: String,
}

pub(super) fn chart(address: &Address, buckets: &[Bucket], found: &[(Time, Severity, String)]) -> Chart {
    let numbers = |of: fn(&Bucket) -> i64| buckets.iter().map(of).collect::<Vec<_>>();
    let marks: Vec<_> = found.iter().map(|(time, severity, what)| (time.0, *severity as u8, what)).collect();
    let data = serde_json::json!({
        "starts": numbers(|bucket| bucket.start.0),
        "total": numbers(|bucket| i64::try_from(bucket.total).unwrap_or(i64::MAX)),
        "writes": numbers(|bucket| i64::try_from(bucket.writes).unwrap_or(i64::MAX)),
        "errors": numbers(|bucket| i64::try_from(bucket.errors).unwrap_or(i64::MAX)),
        "seconds": buckets[0].seconds,
        "marks": marks,
    });
    let full = buckets.iter().filter(|bucket| bucket.total > 0);
    let bar = |bucket: &Bucket| {
        (bucket.start.to_string(), number(bucket.total), number(bucket.writes), number(bucket.errors))
    };
    Chart {
        data: data.to_string(),
        base: address.during(Span::Between(None, None)).href(),
        bars: full.map(bar).collect(),
        step: how_long(buckets[0].seconds),
    }
}
