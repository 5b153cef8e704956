//! How new the newest record is. Over an old lake, spans of time count back from there.

use lake::answer::{Content, Page};
use lake::{Error, Query};
use trail::time::Time;

use crate::Viewer;

/// Older than this, in seconds, the lake is a recording: CloudTrail itself is late by 15 minutes at the most.
const OLD: i64 = 6 * 3_600;

/// What was found last, for the days that there were.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    content: Content,
    time: Option<Time>,
}

/// From where spans of time count back.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    /// That time.
    pub(crate) time: Time,
    /// The newest record, where it is not new.
    pub(crate) old: Option<Time>,
    /// Days that the lake has.
    pub(crate) content: Content,
}

impl Viewer {
    /// From where spans of time count back: now, or just behind the newest record of an old lake.
    pub(crate) async fn anchor(&self) -> Result<Anchor, Error> {
        let now = (self.now)();
        let content = self.lake.content().await?;
        let Some((day, _)) = content.days.last() else { return Ok(Anchor { time: now, old: None, content }) };
        if day.end().0 > now.0 - OLD {
            return Ok(Anchor { time: now, old: None, content });
        }
        let newest = self.newest_of(&content, day.start()).await?;
        let time = newest.map_or(day.end(), |newest| Time(newest.0 + 1));
        Ok(Anchor { time, old: newest, content })
    }

    async fn newest_of(&self, content: &Content, from: Time) -> Result<Option<Time>, Error> {
        if let Some(known) = self.known_newest(content) {
            return Ok(Some(known));
        }
        let query = Query { from: Some(from), ..Query::default() };
        let answer = self.lake.search(&query, &Page { limit: 1, ..Page::default() }).await?;
        let time = answer.rows.first().map(|facts| facts.event_time);
        *self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Newest { content: content.clone(), time };
        Ok(time)
    }

    fn known_newest(&self, content: &Content) -> Option<Time> {
        let known = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.time.filter(|_| known.content == *content)
    }
}
