//! One writer for a folder: two commands on one machine do not absorb at once. In the cloud the queue sees to it.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::Error;

/// The right to absorb into a folder. It ends when it is dropped, and with the process, however that ends: so there is
/// no stale lock.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder; `None` while another process has it.
    pub fn take(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("absorb.lock");
        let failed = |error| Error::disk(&path, error);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Lock::take(folder.path()).expect("taken");
        assert!(first.is_some());
        assert!(Lock::take(folder.path()).expect("asked").is_none());
        drop(first);
        assert!(Lock::take(folder.path()).expect("asked").is_some());
    }
}
