//! A digest as it lies in the bucket.

use trail::digest::{Digest, DigestName, Metadata, Problem, ProblemKind};
use trail::envelope::ObjectRef;
use trail::log_file::{Inflater, Limits};

use crate::error::Error;
use crate::stores::Stores;

/// The largest digest, delivered and inflated, in bytes: some hundred thousand log files in an hour.
const LARGEST: usize = 128 << 20;

/// A digest and where it was found.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) object: ObjectRef,
    pub(super) name: DigestName,
    pub(super) digest: Digest,
    pub(super) metadata: Metadata,
}

/// Reads a digest. The inner error is what is wrong with it; the outer one that the store could not be asked.
pub(super) async fn digest(
    stores: &Stores,
    object: &ObjectRef,
    name: &DigestName,
) -> Result<Result<Read, Problem>, Error> {
    let problem = |kind, detail: String| Ok(Err(Problem::new(kind, &object.key, &name.chain, detail)));
    let found = match stores.get(object).await {
        Ok(found) => found,
        Err(Error::Object { source: object_store::Error::NotFound { .. }, .. }) => {
            return problem(
                ProblemKind::DigestMissing,
                "it was delivered, or named by the next, and is gone".to_owned(),
            );
        }
        Err(error) => return Err(error),
    };
    if found.size > LARGEST as u64 {
        return problem(ProblemKind::Unreadable, format!("it is larger than {LARGEST} bytes"));
    }
    let metadata = found.metadata();
    let metadata = Metadata::of(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let bytes = found.bytes().await?;
    let inflated = Inflater::new(Limits { file_bytes: LARGEST, ..Limits::default() }).inflate(&bytes);
    if let Some(damage) = inflated.problem {
        return problem(ProblemKind::Unreadable, damage.to_string());
    }
    if inflated.trailing > 0 {
        return problem(ProblemKind::LogAppended, format!("{} bytes follow the end of the digest", inflated.trailing));
    }
    match Digest::parse(&inflated.bytes) {
        Ok(digest) => Ok(Ok(Read { object: object.clone(), name: name.clone(), digest, metadata })),
        Err(reason) => problem(ProblemKind::Unreadable, reason),
    }
}
