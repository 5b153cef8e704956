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

/// What a record says of whoever made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity<'i> {
    /// `userIdentity.type`.
    pub kind: &'i str,
    /// `userIdentity.arn`.
    pub arn: &'i str,
    /// The ARN of the role or user that issued the session.
    pub issuer: &'i str,
    /// The account of the identity; where it says none, that of the record.
    pub account: &'i str,
}

/// How roles of Identity Center begin.
const RESERVED: &str = "AWSReservedSSO_";

impl ActorKey {
    /// Under which names a record is counted. Services, callers of other accounts and those who only ask for a session
    /// are under none: what they do with it is counted for the role.
    pub fn of(identity: &Identity<'_>) -> [Option<Self>; 2] {
        let Identity { kind, arn, issuer, account } = *identity;
        match kind {
            "Root" => [Some(Self::Root(account.to_owned())), None],
            "IAMUser" if !arn.is_empty() => [Some(Self::User(arn.to_owned())), None],
            "AssumedRole" if !issuer.is_empty() => {
                let session = arn.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty());
                let is_reserved = issuer.rsplit('/').next().is_some_and(|name| name.starts_with(RESERVED));
                let of_user = |name: &str| Self::Session { role: issuer.to_owned(), name: name.to_owned() };
                [Some(Self::Role(issuer.to_owned())), session.filter(|_| is_reserved).map(of_user)]
            }
            "FederatedUser" if issuer.contains(":user/") => [Some(Self::User(issuer.to_owned())), None],
            "FederatedUser" if issuer.ends_with(":root") => [Some(Self::Root(account.to_owned())), None],
            _ => [None, None],
        }
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The account that it belongs to.
    pub account: String,
    /// Its id.
    pub id: String,
    /// When it happened.
    pub time: Time,
}
