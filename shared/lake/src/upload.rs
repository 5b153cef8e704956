//! One object, written piece by piece and there as a whole or not at all.

use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};

use crate::error::Error;

/// Bytes of a piece. S3 takes 10,000 of them.
const PIECE: usize = 16 << 20;

/// What has to lie at a path still, for it to be overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing.
    Nothing,
    /// This version.
    Version(Option<String>),
    /// Anything: a day is made anew.
    Anything,
}

/// An object on its way. Dropped without [`Upload::finish`], it leaves what was there before.
#[derive(Debug)]
pub(crate) struct Upload<'l> {
    store: &'l dyn ObjectStore,
    path: Path,
    expected: Expected,
    waiting: Vec<u8>,
    pieces: Option<Box<dyn MultipartUpload>>,
    bytes: u64,
}

impl<'l> Upload<'l> {
    pub(crate) fn new(store: &'l dyn ObjectStore, path: Path, expected: Expected) -> Self {
        Self { store, path, expected, waiting: Vec::new(), pieces: None, bytes: 0 }
    }

    /// Takes what has been written so far.
    pub(crate) async fn take(&mut self, written: &mut Vec<u8>) -> Result<(), Error> {
        self.bytes += written.len() as u64;
        self.waiting.append(written);
        if self.waiting.len() < PIECE {
            return Ok(());
        }
        if self.pieces.is_none() {
            self.pieces = Some(self.store.put_multipart(&self.path).await.map_err(|error| self.failed(error))?);
        }
        self.send().await
    }

    /// Puts the object in place, unless somebody else did since it was read. Yields its size.
    pub(crate) async fn finish(mut self) -> Result<u64, Error> {
        let result = match self.pieces {
            None => self.put().await,
            Some(_) => self.complete().await,
        };
        if let (Err(_), Some(pieces)) = (&result, &mut self.pieces) {
            // The bucket's lifecycle ends what stays behind.
            pieces.abort().await.ok();
        }
        result.map(|()| self.bytes)
    }

    async fn send(&mut self) -> Result<(), Error> {
        let piece = PutPayload::from(std::mem::take(&mut self.waiting));
        let Some(pieces) = &mut self.pieces else { return Ok(()) };
        let sent = pieces.put_part(piece).await;
        sent.map_err(|error| self.failed(error))
    }

    async fn complete(&mut self) -> Result<(), Error> {
        self.send().await?;
        // A multipart upload cannot be made conditional, so this narrows the gap; the queue or the lock closes it.
        self.check().await?;
        let Some(pieces) = &mut self.pieces else { return Ok(()) };
        let completed = pieces.complete().await;
        completed.map(drop).map_err(|error| self.failed(error))
    }

    async fn put(&mut self) -> Result<(), Error> {
        let payload = PutPayload::from(std::mem::take(&mut self.waiting));
        let mode = match &self.expected {
            Expected::Nothing => PutMode::Create,
            Expected::Version(etag) => PutMode::Update(UpdateVersion { e_tag: etag.clone(), version: None }),
            Expected::Anything => PutMode::Overwrite,
        };
        match self.put_as(mode, payload.clone()).await {
            // A folder cannot compare versions; its lock keeps others out.
            Err(object_store::Error::NotImplemented { .. }) => {
                self.check().await?;
                let put = self.put_as(PutMode::Overwrite, payload).await;
                put.map(drop).map_err(|error| self.failed(error))
            }
            put => put.map(drop).map_err(|error| self.failed(error)),
        }
    }

    async fn put_as(&self, mode: PutMode, payload: PutPayload) -> object_store::Result<PutResult> {
        self.store.put_opts(&self.path, payload, PutOptions::from(mode)).await
    }

    async fn check(&self) -> Result<(), Error> {
        let now = match self.store.head(&self.path).await {
            Err(object_store::Error::NotFound { .. }) => Expected::Nothing,
            found => Expected::Version(found.map_err(|error| self.failed(error))?.e_tag),
        };
        if self.expected == Expected::Anything || self.expected == now {
            return Ok(());
        }
        Err(Error::Overtaken { object: self.path.to_string() })
    }

    fn failed(&self, error: object_store::Error) -> Error {
        match error {
            object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. } => {
                Error::Overtaken { object: self.path.to_string() }
            }
            error => Error::store(&self.path, error),
        }
    }
}
