//! What is known of files from earlier queries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectMeta;

use super::footer::Footer;
use super::lookup::Keys;

/// Bytes that footers, and that key files may take.
const KEPT: usize = 48 << 20;

/// Something that takes memory.
pub(super) trait Weighs {
    /// About how many bytes.
    fn bytes(&self) -> usize;
}

/// Footers and the beginnings of key files.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    pub(super) footers: Shelf<Footer>,
    pub(super) keys: Shelf<Keys>,
}

/// What was used last, by the version of a part.
#[derive(Debug)]
pub(super) struct Shelf<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    things: HashMap<String, (Arc<T>, u64)>,
    bytes: usize,
    clock: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept { things: HashMap::new(), bytes: 0, clock: 0 }))
    }
}

impl<T: Weighs> Shelf<T> {
    pub(super) fn get(&self, name: &str) -> Option<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        let (thing, used) = kept.things.get_mut(name)?;
        *used = now;
        Some(thing.clone())
    }

    pub(super) fn keep(&self, name: String, thing: &Arc<T>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let entry = (thing.clone(), kept.clock);
        kept.bytes += thing.bytes();
        if let Some((before, _)) = kept.things.insert(name, entry) {
            kept.bytes -= before.bytes();
        }
        while kept.bytes > KEPT && kept.things.len() > 1 {
            let oldest = kept.things.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone());
            let removed = oldest.and_then(|name| kept.things.remove(&name));
            kept.bytes -= removed.map_or(0, |(thing, _)| thing.bytes());
        }
    }
}

/// A name that another version of the object does not have.
pub(super) fn version(object: &ObjectMeta) -> String {
    let tag = object.e_tag.as_deref().unwrap_or_default();
    format!("{} {} {} {tag}", object.location, object.size, object.last_modified)
}
