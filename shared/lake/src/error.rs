//! What can go wrong with the lake.

use crate::layout::Day;

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
    /// Another writer was faster. Nothing is lost: the next run takes up what is left.
    #[error("{object} was written by somebody else in the meantime; nothing was changed, run it again")]
    Overtaken {
        /// The object.
        object: String,
    },
    /// A day is cut into another number of parts than was asked for.
    #[error("{day} is cut into {of} parts, not into {asked}: ask again what is pending")]
    Cut {
        /// The day.
        day: Day,
        /// Its parts.
        of: u32,
        /// As asked.
        asked: u32,
    },
    /// A part that cannot be read, so that nothing can be added to it.
    #[error("{object} cannot be read ({why}): make the day anew with `qtrail rebuild --from {day} --to {after}`")]
    Part {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: String,
        /// Its day.
        day: Day,
        /// The day after it.
        after: Day,
    },
    /// A file on this machine's disk.
    #[error("{path}: {source}")]
    Disk {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A query that cannot be asked.
    #[error(transparent)]
    Query(#[from] crate::query::QueryError),
}

impl Error {
    /// A failure of the store over an object.
    pub(crate) fn store(object: impl ToString, source: object_store::Error) -> Self {
        Self::Store { object: object.to_string(), source }
    }

    /// The same, of a file that is a part of a day: says how it is mended.
    pub(crate) fn of_part(self, day: Day) -> Self {
        match self {
            Self::File { object, why } => Self::Part { object, why, day, after: day.next() },
            error => error,
        }
    }

    /// A failure of this machine's disk.
    pub(crate) fn disk(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Disk { path: path.display().to_string(), source }
    }

    /// A file that cannot be used.
    pub(crate) fn file(object: impl ToString, why: impl ToString) -> Self {
        Self::File { object: object.to_string(), why: why.to_string() }
    }
}
