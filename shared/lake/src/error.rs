//! What can go wrong with the lake.

/// An error that names the object, or what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store did not do what it was asked.
    #[error("{object}: {source}")]
    Store {
        /// The object or prefix.
        object: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// An object that is no file of the lake, or a damaged one.
    #[error("{object}: {why}")]
    File {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file that a later version wrote.
    #[error("{object} has schema version {version}, this program knows {known}: update it")]
    LaterSchema {
        /// The object.
        object: String,
        /// The file's version.
        version: u32,
        /// Ours.
        known: u32,
    },
    /// A query that cannot be asked.
    #[error(transparent)]
    Query(#[from] crate::query::QueryError),
}

#[expect(clippy::needless_pass_by_value, reason = "what an error is about is named where it occurs, by value or not")]
impl Error {
    /// A failure of the store over an object.
    pub(crate) fn store(object: impl ToString, source: object_store::Error) -> Self {
        Self::Store { object: object.to_string(), source }
    }

    /// A file that cannot be used.
    pub(crate) fn file(object: impl ToString, why: impl ToString) -> Self {
        Self::File { object: object.to_string(), why: why.to_string() }
    }
}
