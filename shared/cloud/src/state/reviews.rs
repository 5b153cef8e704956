//! Access reviews: what each is about, its log, and what is waited for.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trail::review::effect::Open;
use trail::review::{Act, By, Entry, Known, Period};
use trail::time::Time;

use super::{Item, RACES, State, keys, pause, string, text_of};
use crate::error::Error;

/// The partition that lists all reviews.
const REVIEWS: &str = "REVIEWS";

/// The partition of all that is waited for, over all reviews: one query finds it.
const EFFECTS: &str = "EFFECTS";

/// What a review is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewMeta {
    /// The span that it is about; its id is the review's.
    pub period: Period,
    /// When it was opened.
    pub opened: Time,
    /// Until when all has to be decided.
    pub due: Time,
    /// When the population was taken.
    pub taken: Time,
    /// SHA-256 of the population as it is stored.
    pub population: String,
    /// Where that is.
    pub path: String,
    /// How many subjects it has.
    pub subjects: usize,
    /// Names that stand in records of Identity Center and not in the population.
    pub known: Known,
    /// The person who leaves, where it was opened for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaver: Option<String>,
}

/// What is to be put behind a log.
pub type Append = Vec<(Option<By>, Act)>;

impl State {
    /// Notes a review; yields false where there is one of that id.
    pub async fn put_review(&self, meta: &ReviewMeta) -> Result<bool, Error> {
        let id = &meta.period.id;
        let winner = self.put_if(document(keys(&format!("R#{id}"), "META"), meta)?, None).await?;
        if let Some(winner) = winner
            && read::<ReviewMeta>(&winner)? != *meta
        {
            return Ok(false);
        }
        self.put(document(keys(REVIEWS, id), meta)?).await?;
        Ok(true)
    }

    /// What a review is about; none where there is no such review.
    pub async fn review(&self, id: &str) -> Result<Option<ReviewMeta>, Error> {
        let item = self.get(keys(&format!("R#{id}"), "META")).await?;
        item.as_ref().map(read).transpose()
    }

    /// All reviews, the oldest population first.
    pub async fn reviews(&self) -> Result<Vec<ReviewMeta>, Error> {
        let items = self.query_range(REVIEWS, ("!", "~")).await?;
        let mut reviews = items.iter().map(read).collect::<Result<Vec<ReviewMeta>, _>>()?;
        reviews.sort_by(|a, b| (a.taken, &a.period.id).cmp(&(b.taken, &b.period.id)));
        Ok(reviews)
    }

    /// A review's log, whole and as it was written.
    pub async fn review_log(&self, id: &str) -> Result<Vec<Entry>, Error> {
        let items = self.query_range(&format!("R#{id}"), ("E#", "E#~")).await?;
        let log = items.iter().map(read).collect::<Result<Vec<Entry>, _>>()?;
        Entry::verify(&log).map_err(|problem| Error::Review { review: id.to_owned(), problem })?;
        Ok(log)
    }

    /// Puts entries behind a review's log. What is to be put is asked for anew whenever somebody else was faster: it is
    /// judged by the very log that it follows, and what is there already must not be asked for again. Yields what was
    /// put.
    pub async fn append(
        &self,
        id: &str,
        at: Time,
        next: impl Fn(&[Entry]) -> Result<Append, Error>,
    ) -> Result<Vec<Entry>, Error> {
        let mut log = self.review_log(id).await?;
        let mut put = Vec::new();
        for attempt in 0..RACES {
            let mut lost = false;
            for (by, act) in next(&log)? {
                let entry = Entry::chain(log.last(), at, by, act);
                if !self.put_entry(id, &entry).await? {
                    lost = true;
                    break;
                }
                log.push(entry.clone());
                put.push(entry);
            }
            if !lost {
                return Ok(put);
            }
            pause(attempt).await;
            log = self.review_log(id).await?;
        }
        Err(Error::Contended(format!("the log of review {id}")))
    }

    /// Yields false where another entry has this number.
    async fn put_entry(&self, id: &str, entry: &Entry) -> Result<bool, Error> {
        let item = document(keys(&format!("R#{id}"), &format!("E#{:010}", entry.number)), entry)?;
        let winner = self.put_if(item, None).await?;
        // The answer to the first try was lost: this is what it wrote.
        winner.map_or(Ok(true), |winner| Ok(read::<Entry>(&winner)? == *entry))
    }

    /// Keeps what is waited for of a subject; `None`: nothing any more. Nothing is deleted: nobody who decides may.
    pub async fn keep_open(&self, (review, number): (&str, u32), open: Option<&Open>) -> Result<(), Error> {
        let key = keys(EFFECTS, &format!("{review}#{number:010}"));
        self.put(document(key, &open)?).await
    }

    /// Everything that is waited for.
    pub async fn open_effects(&self) -> Result<Vec<Open>, Error> {
        let items = self.query_range(EFFECTS, ("!", "~")).await?;
        let open = items.iter().map(read::<Option<Open>>).collect::<Result<Vec<_>, _>>()?;
        Ok(open.into_iter().flatten().collect())
    }
}

/// An item that holds a value as JSON text: its hash is over that text.
/// A document as reviews are kept.
pub(super) fn document(mut item: Item, value: &impl Serialize) -> Result<Item, Error> {
    let text = serde_json::to_string(value).map_err(|e| Error::Item(e.to_string()))?;
    item.insert("json".to_owned(), AttributeValue::S(text));
    item.insert("kind".to_owned(), string("review"));
    Ok(item)
}

/// What a document holds.
pub(super) fn read<T: DeserializeOwned>(item: &Item) -> Result<T, Error> {
    serde_json::from_str(text_of(item, "json"))
        .map_err(|e| Error::Item(format!("{} {}: {e}", text_of(item, "pk"), text_of(item, "sk"))))
}
