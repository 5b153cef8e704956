//! Which days there are, and which files make up a day.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::join_all;
use object_store::ObjectMeta;

use super::footer::{self, Footer};
use super::lookup;
use super::source::{Source, Trouble};
use crate::absorb::stem;
use crate::layout::{DAY, Day, Lake, Part};
use crate::query::Query;

/// A span of so many days is looked at day by day, without asking first which there are.
const FEW: i64 = 3;

/// A part that can be read.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) object: Arc<ObjectMeta>,
    pub(super) part: Part,
    pub(super) footer: Arc<Footer>,
    /// The row groups that its key file names; none where there is no word of it.
    pub(super) groups: Option<BTreeSet<usize>>,
}

/// A day as it is listed. What is hot is listed first: a hot file that is gone by then is in the parts listed after it.
#[derive(Debug)]
struct Listed {
    hot: Vec<ObjectMeta>,
    parts: Vec<(Part, ObjectMeta)>,
}

/// The days that a query is about, newest first.
pub(super) async fn days(lake: &Lake, source: &Source, query: &Query) -> Result<Vec<Day>, Trouble> {
    let first = query.from.map(Day::of);
    let last = query.to.map(|to| Day::of(trail::time::Time(to.0.saturating_sub(1))));
    if let (Some(first), Some(last)) = (first, last)
        && last.end().0.saturating_sub(first.start().0) <= FEW * DAY
    {
        let days = std::iter::successors(Some(last), |day| Some(day.previous()));
        return Ok(days.take_while(|day| *day >= first).collect());
    }
    let mut days = BTreeSet::new();
    for prefix in [lake.hot(None), lake.records(None)] {
        days.extend(source.folders(&prefix).await?.iter().filter_map(Lake::day_of));
    }
    let is_in = |day: &Day| first.is_none_or(|first| *day >= first) && last.is_none_or(|last| *day <= last);
    Ok(days.into_iter().rev().filter(is_in).collect())
}

/// What a day is made of at this moment.
async fn list(lake: &Lake, source: &Source, day: Day) -> Result<Listed, Trouble> {
    let mut hot = source.list(&lake.hot(Some(day))).await?;
    hot.retain(|object| object.location.extension() == Some("parquet"));
    let mut parts = BTreeMap::new();
    for object in source.list(&lake.records(Some(day))).await? {
        let part = object.location.filename().filter(|name| name.ends_with(".parquet")).and_then(Part::parse);
        match part {
            Some(part) => {
                parts.insert((part.of, part.index), (part, object));
            }
            None => source.skip(
                &object.location,
                &crate::error::Error::file(&object.location, "it is not named as a part of a day"),
            ),
        }
    }
    Ok(Listed { hot, parts: parts.into_values().collect() })
}

/// What a day is made of, as far as a query needs it.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) parts: Vec<Opened>,
    /// Hot files that are not in the parts.
    pub(super) hot: Vec<ObjectMeta>,
}

/// Lists a day and opens what may hold a match. What cannot be read is named and left out.
pub(super) async fn open(lake: &Lake, source: &Source, day: Day, query: &Query) -> Result<Files, Trouble> {
    let Listed { hot, parts } = list(lake, source, day).await?;
    let footers = async |part: Part, object: &ObjectMeta| {
        let groups = lookup::groups(lake, source, (day, part, object), query).await?;
        // What is hot is compared with what each part absorbed.
        if hot.is_empty() && groups.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok(None);
        }
        let footer = footer::open(source, object).await?;
        Ok(Some(Opened { object: Arc::new(object.clone()), part, footer, groups }))
    };
    let found = join_all(parts.iter().map(|(part, object)| footers(*part, object))).await;
    let mut opened = Vec::new();
    for ((_, object), found) in parts.iter().zip(found) {
        match found {
            Ok(found) => opened.extend(found),
            Err(Trouble::File(error)) => source.skip(&object.location, &error),
            Err(trouble) => return Err(trouble),
        }
    }
    let hot = unabsorbed(hot, &opened);
    Ok(Files { parts: opened, hot })
}

/// The hot files that are not in the parts: a part takes its own rows alone, so all parts have to have absorbed one.
fn unabsorbed(hot: Vec<ObjectMeta>, parts: &[Opened]) -> Vec<ObjectMeta> {
    let wanted = parts.iter().map(|opened| opened.part.of).max().unwrap_or(0) as usize;
    let mut absorbed: HashMap<&str, usize> = HashMap::new();
    for opened in parts.iter().filter(|opened| opened.part.of as usize == wanted) {
        opened.footer.absorbed.iter().for_each(|name| *absorbed.entry(name).or_default() += 1);
    }
    let is_absorbed =
        |object: &ObjectMeta| wanted > 0 && absorbed.get(stem(&object.location)).is_some_and(|parts| *parts >= wanted);
    hot.into_iter().filter(|object| !is_absorbed(object)).collect()
}
