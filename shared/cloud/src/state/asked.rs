//! Decisions that were taken in: each is made once.

use trail::time::Time;

use super::{State, keys, number, string, text_of};
use crate::error::Error;

/// How long a decision's number is remembered, in seconds: far beyond the minute for which its proof is good.
const KEPT_SECONDS: i64 = 3600;

impl State {
    /// Whether this name is used for the first time.
    pub async fn first_use(&self, name: &str, now: Time) -> Result<bool, Error> {
        let mut item = keys(&format!("ASKED#{name}"), "META");
        item.insert("expires".to_owned(), number(now.0 + KEPT_SECONDS));
        // Tells a write of one's own, whose answer was lost, from somebody else's.
        let mark = format!("{:016x}", fastrand::u64(..));
        item.insert("mark".to_owned(), string(&mark));
        let winner = self.put_if(item, None).await?;
        Ok(winner.is_none_or(|winner| text_of(&winner, "mark") == mark))
    }
}
