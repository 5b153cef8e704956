//! What CloudTrail saw of an actor in a period.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Under which name an actor is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKey {
    /// The root user of this account.
    Root(String),
    /// The IAM user with this ARN.
    User(String),
    /// Any session of the role with this ARN.
    Role(String),
    /// The sessions of this name of a role of Identity Center: that user in that account.
    Session {
        /// The role's ARN.
        role: String,
        /// The session's name, which is the user's.
        name: String,
    },
}

/// What was seen. Counts are of all records; lists are capped, the most frequent first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Records.
    pub records: u64,
    /// Those among them that changed something and succeeded.
    pub writes: u64,
    /// Those that AWS refused.
    pub refused: u64,
    /// The first one.
    pub first: Option<Time>,
    /// The last one.
    pub last: Option<Time>,
    /// Records by service.
    pub services: BTreeMap<String, u64>,
    /// Records by action, `service:Name`.
    pub actions: BTreeMap<String, u64>,
    /// When each access key of a user was last seen.
    pub keys: BTreeMap<String, Time>,
    /// A few records, the newest first.
    pub samples: Vec<RecordId>,
}

/// Which record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The account that it belongs to.
    pub account: String,
    /// Its id.
    pub id: String,
    /// When it happened.
    pub time: Time,
}
