//! What can go wrong on the AWS side.

use std::error::Error as StdError;

/// An error that names the thing, and what it was wanted for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// DynamoDB did not do what it was asked.
    #[error("DynamoDB {operation}: {detail}")]
    State {
        /// The API call.
        operation: &'static str,
        /// What it said.
        detail: String,
    },
    /// An item in the table that cannot be read or written.
    #[error("an item of the table: {0}")]
    Item(String),
    /// Other writers were faster again and again.
    #[error("{0} is written by too many at once; try again")]
    Contended(String),
    /// SNS did not take a message.
    #[error("SNS {operation}: {detail}")]
    Alerts {
        /// The API call.
        operation: &'static str,
        /// What it said.
        detail: String,
    },
    /// An object could not be read or written.
    #[error("{object}: {source}")]
    Object {
        /// Bucket and key, or path.
        object: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// The lake could not be written or read.
    #[error("the lake: {0}")]
    Lake(Box<lake::Error>),
    /// A message from a bucket that the settings do not name.
    #[error("bucket {0} is not one of the log buckets; add it to LogBuckets if it is")]
    ForeignBucket(String),
    /// A record by itself in a queue that is open to others than EventBridge.
    #[error("a record by itself is taken from the fast path's queue alone")]
    NotFastPath,
    /// A message that cannot be understood.
    #[error(transparent)]
    Envelope(#[from] trail::envelope::EnvelopeError),
    /// A log file that cannot be read whole.
    #[error("{object}: {problem}")]
    LogFile {
        /// Bucket and key.
        object: String,
        /// What is wrong with it.
        problem: trail::log_file::Problem,
    },
    /// A record that came by itself and cannot be evaluated.
    #[error("a record: {0}")]
    Record(#[from] trail::record::Unreadable),
    /// The environment or an argument lacks something.
    #[error("{0}")]
    Configuration(String),
    /// An evidence pack cannot be made, signed or kept.
    #[error("the evidence pack: {0}")]
    Pack(String),
    /// Somebody may not do that in a review.
    #[error(transparent)]
    Refusal(Box<trail::review::Refusal>),
    /// The log of a review is not what was written.
    #[error("review {review}: {problem}; the data bucket's versions and CloudTrail say by whom")]
    Review {
        /// Its id.
        review: String,
        /// What is wrong.
        problem: trail::review::Broken,
    },
    /// No such finding, or several that begin like that.
    #[error("{0}")]
    NoSuchFinding(String),
}

impl From<lake::Error> for Error {
    fn from(error: lake::Error) -> Self {
        // The largest by far, and every result of this crate would be as large.
        Self::Lake(Box::new(error))
    }
}

impl From<trail::review::Refusal> for Error {
    fn from(refusal: trail::review::Refusal) -> Self {
        Self::Refusal(Box::new(refusal))
    }
}

impl Error {
    pub(crate) fn state(operation: &'static str, error: impl StdError) -> Self {
        Self::State { operation, detail: chain(&error) }
    }

    pub(crate) fn alerts(operation: &'static str, error: impl StdError) -> Self {
        Self::Alerts { operation, detail: chain(&error) }
    }

    pub(crate) fn object(object: impl Into<String>, source: object_store::Error) -> Self {
        Self::Object { object: object.into(), source }
    }
}

/// An error with its causes: SDK errors say nothing by themselves.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}
