//! What is searched for in a record, in typed fields: what the lake's columns hold.

use std::borrow::Cow;

use serde::Serialize;

use crate::actor::Actor;
use crate::record::{Record, Unreadable};
use crate::shape::{at, field, text};
use crate::time::Time;

/// The facts of one record. A text that the record does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts<'a> {
    /// `eventTime`.
    pub event_time: Time,
    /// What identifies the record within its account, as [`Record::identity`] has it: findings name the same id.
    pub event_id: Cow<'a, str>,
    /// The account that the record belongs to: twelve digits, or `-`.
    pub account: Cow<'a, str>,
    /// `awsRegion`.
    pub region: Cow<'a, str>,
    /// `eventSource`.
    pub event_source: Cow<'a, str>,
    /// `eventName`, without a date that Lambda appends.
    pub event_name: Cow<'a, str>,
    /// `eventCategory`; of older records what their type says.
    pub category: Cow<'a, str>,
    /// `eventType`.
    pub event_type: Cow<'a, str>,
    /// Whether the call only reads: the record says, else its name.
    pub read_only: bool,
    /// `errorCode`; of failed sign-ins, which have none, `Failure`.
    pub error_code: Cow<'a, str>,
    /// `errorMessage`.
    pub error_message: Cow<'a, str>,
    /// `userIdentity.type`.
    pub actor_type: Cow<'a, str>,
    /// `userIdentity.arn`.
    pub actor_arn: Cow<'a, str>,
    /// Who a person would say it was: [`Actor::name`].
    pub actor_name: Cow<'a, str>,
    /// `userIdentity.principalId`.
    pub principal_id: Cow<'a, str>,
    /// The account of the identity.
    pub actor_account: Cow<'a, str>,
    /// The ARN of the role or user that issued the session.
    pub issuer_arn: Cow<'a, str>,
    /// The access key that signed the call.
    pub access_key: Cow<'a, str>,
    /// The access key that the call gave out: by `AssumeRole…`, `GetSessionToken`, `CreateAccessKey` and the like.
    pub issued_key: Cow<'a, str>,
    /// `sourceIdentity` of the session, or of the one that is asked for.
    pub source_identity: Cow<'a, str>,
    /// The user of Identity Center on whose behalf the call was made.
    pub on_behalf_of: Cow<'a, str>,
    /// The service through which the call came.
    pub invoked_by: Cow<'a, str>,
    /// `sourceIPAddress`.
    pub source_ip: Cow<'a, str>,
    /// `userAgent`.
    pub user_agent: Cow<'a, str>,
    /// `vpcEndpointId`.
    pub vpc_endpoint: Cow<'a, str>,
    /// `tlsDetails.tlsVersion`.
    pub tls: Cow<'a, str>,
    /// `requestID`.
    pub request_id: Cow<'a, str>,
    /// `sharedEventID`: the same in the records that several accounts get of one call.
    pub shared_event_id: Cow<'a, str>,
    /// Whether the session used a second factor, where the record says: [`Actor::mfa`].
    pub mfa: Option<bool>,
    /// Whether a person did it in the console.
    pub console: bool,
    /// Whether a service did it, on its own or for somebody: [`Actor::is_service`].
    pub by_service: bool,
    /// Whether it was the root user, or a session that root issued.
    pub root: bool,
    /// Whether the identity is of another account than the record.
    pub cross_account: bool,
    /// ARNs, ids and names of what the call is about: from `resources`, request and response.
    pub resources: Vec<Cow<'a, str>>,
    /// Their types, by the names that CloudFormation has for them, each once.
    pub resource_types: Vec<Cow<'a, str>>,
    /// The object that the record was delivered in: `bucket/key`, or a path.
    pub source_object: Cow<'a, str>,
    /// Where in that object, counted from 0.
    pub source_index: u32,
    /// The record as it was delivered. Empty where it was not asked for.
    pub json: Cow<'a, str>,
}

/// What the log file's name or the envelope says of a record that does not say it itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hint<'h> {
    /// The account.
    pub account: Option<&'h str>,
    /// When it was delivered.
    pub time: Time,
}

impl<'a> Facts<'a> {
    /// The facts of a record.
    pub fn of(record: &Record<'a>, hint: Hint<'_>) -> Result<Self, Unreadable> {
        record.load()?;
        let actor = record.actor();
        let identity = record.identity(hint.account);
        let own = |text: &str| Cow::Owned(text.to_owned());
        let body = record.body();
        Ok(Self {
            event_time: record.event_time().unwrap_or(hint.time),
            cross_account: !actor.account.is_empty() && actor.account != identity.account,
            event_id: identity.id.into(),
            account: identity.account.into(),
            region: record.region.clone(),
            event_source: record.source.clone(),
            event_name: own(record.action()),
            category: record.category.clone(),
            event_type: record.event_type.clone(),
            read_only: !record.changes(),
            error_code: record.error_code.clone(),
            error_message: own(record.error_message()),
            root: actor.is_root() && !actor.is_service(),
            by_service: actor.is_service(),
            issued_key: own(text(at(record.response(), &["credentials", "accessKeyId"]))),
            request_id: own(text(field(body, "requestID"))),
            source_ip: record.source_ip.clone(),
            user_agent: own(record.user_agent()),
            mfa: actor.mfa,
            console: actor.console,
            json: record.text().into(),
            ..Self::of_actor(actor)
        })
    }

    fn of_actor(actor: Actor) -> Self {
        Self {
            actor_type: actor.kind.into(),
            actor_arn: actor.arn.into(),
            actor_name: actor.name.into(),
            principal_id: actor.principal.into(),
            actor_account: actor.account.into(),
            issuer_arn: actor.issuer_arn.into(),
            access_key: actor.access_key.into(),
            invoked_by: actor.invoked_by.into(),
            ..Self::default()
        }
    }
}
