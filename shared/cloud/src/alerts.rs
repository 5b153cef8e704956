//! Alerts: from what is owed in the table to what people read.
//!
//! An alert is sent at least once. It is owed until it was published, and only then no longer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use futures::{StreamExt, TryStreamExt, stream};
use trail::alert::{Entry, Level, Message, Related, Status, Storm, Thread, message};
use trail::settings::Settings;
use trail::time::Time;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::state::{HistoryLine, Query, State};

/// How many alerts a minute are sent one by one; the rest go out as one summary.
pub const SINGLE_ALERTS_A_MINUTE: i64 = 30;

/// How long the number of confirmed subscribers is believed, in seconds.
const SUBSCRIBERS_KEPT_SECONDS: i64 = 60;

/// Claims and clears under way at the same time.
const WRITES_AT_ONCE: usize = 16;

/// How often a thread is tried for against other publishers.
const RACES: usize = 8;

/// The topics, and what the messages need to know.
#[derive(Debug)]
pub struct Alerts {
    client: Client,
    people: String,
    chat: Option<String>,
    viewer: Option<String>,
    metrics: Metrics,
    subscribers: Mutex<Option<(Time, i64)>>,
    unheard: AtomicBool,
}

/// Where alerts go.
#[derive(Debug, Clone)]
pub struct Topics {
    /// ARN of the topic for people.
    pub people: String,
    /// ARN of the topic for chat, where there is one.
    pub chat: Option<String>,
}

/// What became of something that was owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was sent.
    Sent,
    /// Its thread was told already.
    Silent,
    /// It stays owed: too many at once, or nobody would hear.
    Owed,
}

impl Alerts {
    /// Alerts to these topics; without a chat topic chat is left out.
    pub fn new(client: Client, topics: Topics, viewer: Option<String>, metrics: Metrics) -> Self {
        let Topics { people, chat } = topics;
        let (subscribers, unheard) = (Mutex::new(None), AtomicBool::new(false));
        Self { client, people, chat, viewer, metrics, subscribers, unheard }
    }

    /// How many subscribers of the topic for people have confirmed. SNS accepts messages for none, and drops them.
    pub async fn confirmed_subscribers(&self, now: Time) -> Result<i64, Error> {
        if let Some((asked, count)) = *self.known_subscribers()
            && now.0 - asked.0 < SUBSCRIBERS_KEPT_SECONDS
            && count > 0
        {
            return Ok(count);
        }
        let asked = self.client.get_topic_attributes().topic_arn(&self.people).send().await;
        let answer = asked.map_err(|e| Error::alerts("GetTopicAttributes", e))?;
        let confirmed = answer.attributes().and_then(|all| all.get("SubscriptionsConfirmed"));
        let count = confirmed.and_then(|count| count.parse().ok()).unwrap_or(0);
        *self.known_subscribers() = Some((now, count));
        self.unheard.store(count == 0, Ordering::Relaxed);
        Ok(count)
    }

    fn known_subscribers(&self) -> std::sync::MutexGuard<'_, Option<(Time, i64)>> {
        self.subscribers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether alerts stay owed because nobody has confirmed a subscription.
    pub fn is_unheard(&self) -> bool {
        self.unheard.load(Ordering::Relaxed)
    }

    /// Tells people about one finding, unless its thread was told already or too much is going on.
    pub async fn tell(&self, state: &State, entry: &Entry, settings: &Settings, now: Time) -> Result<Told, Error> {
        let Some(level) = entry.due else { return Ok(Told::Silent) };
        if !self.claim(state, entry, now).await? {
            state.clear_due(entry, level, None).await?;
            return Ok(Told::Silent);
        }
        if self.confirmed_subscribers(now).await? == 0 || state.take_place(now).await? > SINGLE_ALERTS_A_MINUTE {
            return Ok(Told::Owed);
        }
        let related = self.related(state, entry, now).await?;
        self.publish(&message(entry, settings, &related)).await?;
        self.sent(state, entry, level, now).await?;
        Ok(Told::Sent)
    }

    /// Tells people about many findings in one message.
    pub async fn tell_storm(
        &self,
        state: &State,
        entries: &[Entry],
        (settings, now): (&Settings, Time),
    ) -> Result<(), Error> {
        if self.confirmed_subscribers(now).await? == 0 {
            return Ok(());
        }
        let owed = entries.iter().filter_map(|entry| Some((entry, entry.due?)));
        let claims = owed.map(|(entry, level)| async move {
            if self.claim(state, entry, now).await? {
                return Ok(Some((entry, level)));
            }
            state.clear_due(entry, level, None).await?;
            Ok::<_, Error>(None)
        });
        let claimed: Vec<_> = stream::iter(claims).buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
        let news: Vec<(&Entry, Level)> = claimed.into_iter().flatten().collect();
        if news.is_empty() {
            return Ok(());
        }
        let mut storm = Storm { findings: news.iter().map(|(entry, _)| entry.finding.clone()).collect() };
        storm.findings.sort_by(|a, b| (b.severity, a.first_seen).cmp(&(a.severity, b.first_seen)));
        self.publish(&storm.message(settings)).await?;
        let clears = news.into_iter().map(|(entry, level)| self.sent(state, entry, level, now));
        stream::iter(clears).buffer_unordered(WRITES_AT_ONCE).try_collect().await
    }

    /// Whether a finding is news to its thread. If so the thread is told of it before people are: should the
    /// publisher die in between, the finding is still owed and the thread knows it as its own.
    async fn claim(&self, state: &State, entry: &Entry, now: Time) -> Result<bool, Error> {
        let id = entry.finding.thread_id();
        for _ in 0..RACES {
            let thread = state.thread(&id).await?;
            if !Thread::is_news(thread.as_ref(), &entry.finding, now) {
                return Ok(false);
            }
            if state.put_thread(&id, &Thread::told(thread.as_ref(), &entry.finding, now)).await? {
                return Ok(true);
            }
        }
        Err(Error::Contended(format!("thread {id}")))
    }

    async fn sent(&self, state: &State, entry: &Entry, level: Level, now: Time) -> Result<(), Error> {
        let line = HistoryLine::new(now, "alert sent", "qtrail", &format!("level {}", level.0));
        state.clear_due(entry, level, Some(&line)).await?;
        Ok(())
    }

    /// What else people should know. Nothing here is worth losing the alert for.
    async fn related(&self, state: &State, entry: &Entry, now: Time) -> Result<Related, Error> {
        let lead = &entry.finding.lead;
        let key = &lead.actor.access_key;
        let issued_by =
            if key.starts_with("ASIA") && lead.actor.is_root() { state.issuer_of(key).await? } else { None };
        let also = if lead.actor.name.is_empty() { Vec::new() } else { self.also(state, entry, now).await };
        Ok(Related { now: Some(now), also, issued_by, viewer: self.viewer.clone() })
    }

    /// Other open findings of the same actor since the day before.
    async fn also(&self, state: &State, entry: &Entry, now: Time) -> Vec<trail::finding::Finding> {
        let query = Query { days: 1, actor: Some(entry.finding.lead.actor.display()), ..Query::default() };
        let found = state.findings(&query, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "other findings of the actor are not known");
            Vec::new()
        });
        let others = found.into_iter().filter(|other| other.finding.finding_id != entry.finding.finding_id);
        others.filter(|other| other.status != Status::Closed).map(|other| other.finding).take(5).collect()
    }

    /// Sends a message to people, and to chat where there is chat.
    pub async fn publish(&self, message: &Message) -> Result<(), Error> {
        let mut publish = self
            .client
            .publish()
            .topic_arn(&self.people)
            .subject(&message.subject)
            .message_structure("json")
            .message(message.structured());
        for (name, value) in attributes(message)? {
            publish = publish.message_attributes(name, value);
        }
        publish.send().await.map_err(|e| Error::alerts("Publish", e))?;
        if let Some(chat) = &self.chat
            && let Err(error) = self.publish_chat(chat, message).await
        {
            self.metrics.emit(&[("ChatFailures", 1)]);
            // People have been told. Owing the alert for chat's sake would tell them again every minute.
            tracing::error!(%error, "chat was not told");
        }
        Ok(())
    }

    async fn publish_chat(&self, topic: &str, message: &Message) -> Result<(), Error> {
        let mut publish = self.client.publish().topic_arn(topic).message(message.chat.to_string());
        for (name, value) in attributes(message)? {
            publish = publish.message_attributes(name, value);
        }
        publish.send().await.map_err(|e| Error::alerts("Publish", e))?;
        Ok(())
    }
}

fn attributes(message: &Message) -> Result<Vec<(&'static str, MessageAttributeValue)>, Error> {
    let built = |value: &String| {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        value.map_err(|e| Error::alerts("Publish", e))
    };
    message.attributes.iter().map(|(name, value)| Ok((*name, built(value)?))).collect()
}
