//! What the key file of a part says about a query.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::cache::{Weighs, version};
use super::source::{Source, Trouble};
use crate::keys::{Header, Lookup, Unread, identity, may_tell};
use crate::layout::{Day, Lake, Part};
use crate::query::{Filter, Query};

/// A key file of which the first bytes are known.
#[derive(Debug)]
pub(crate) struct Keys {
    object: ObjectMeta,
    header: Header,
    start: Bytes,
}

impl Weighs for Keys {
    fn bytes(&self) -> usize {
        self.header.memory() + self.start.len()
    }
}

/// The row groups of a part that may hold a match; none where only the part itself can say.
pub(super) async fn groups(
    lake: &Lake,
    source: &Source,
    (day, part, object): (Day, Part, &ObjectMeta),
    query: &Query,
) -> Result<Option<BTreeSet<usize>>, Trouble> {
    if !query.filters.iter().any(may_tell) {
        return Ok(None);
    }
    let Some(keys) = open(source, &lake.keys(day, part), object).await? else { return Ok(None) };
    let lookups: Vec<(&Filter, Vec<Lookup>)> =
        query.filters.iter().filter_map(|filter| Some((filter, keys.header.lookups(filter)?))).collect();
    let ranges = lookups.iter().flat_map(|(_, all)| all).map(|lookup| lookup.range.clone());
    let is_far = |range: &std::ops::Range<u64>| range.end > keys.start.len() as u64 && !range.is_empty();
    let pieces = source.ranges(&keys.object, ranges.filter(is_far).collect()).await?;
    let mut groups: Option<BTreeSet<usize>> = None;
    for (filter, lookups) in lookups {
        let mut found = BTreeSet::new();
        for lookup in lookups {
            let near = usize::try_from(lookup.range.start).ok().zip(usize::try_from(lookup.range.end).ok());
            let near = near.and_then(|(start, end)| keys.start.get(start..end));
            let far = || pieces.slice(&lookup.range);
            let bytes = near.map(Bytes::copy_from_slice).map_or_else(far, Ok);
            let Ok(Some(named)) = bytes.map(|bytes| keys.header.groups(&lookup, &bytes, filter)) else {
                return Ok(None);
            };
            found.extend(named);
        }
        groups = Some(match groups {
            None => found,
            Some(before) => before.intersection(&found).copied().collect(),
        });
    }
    Ok(groups)
}

async fn open(source: &Source, path: &Path, part: &ObjectMeta) -> Result<Option<Arc<Keys>>, Trouble> {
    let name = version(part);
    if let Some(keys) = source.shelves.keys.get(&name) {
        return Ok(Some(keys));
    }
    let wanted = if source.is_remote { 256 << 10 } else { 64 << 10 };
    // A key file is made from its part and can be done without: where the store itself fails, the part says so.
    let Ok(Some((mut start, object))) = source.head(path, wanted).await else { return Ok(None) };
    let identity = identity(part.size, part.e_tag.as_deref());
    let mut parsed = Header::parse(&start, identity);
    if let Err(Unread::Short(bytes)) = parsed {
        start = source.get(&object, Some(0..bytes as u64)).await?;
        parsed = Header::parse(&start, identity);
    }
    // One that is not of this part, or no key file at all, is as good as none.
    let Ok(header) = parsed else { return Ok(None) };
    let keys = Arc::new(Keys { object, header, start });
    source.shelves.keys.keep(name, &keys);
    Ok(Some(keys))
}
