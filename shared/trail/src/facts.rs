//! What is searched for in a record, in typed fields: what the lake's columns hold.

use std::borrow::Cow;

use serde::Serialize;

use crate::actor::Said;
use crate::record::{Kind, Record, Unreadable};
use crate::time::Time;

use resources::Harvest;

mod resources;
mod skim;
mod tree;

#[cfg(test)]
mod tests;

/// The facts of one record. A text that the record does not have is empty. Texts are borrowed from the record's own
/// unless they are escaped in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column that can be asked for")]
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
    /// Who a person would say it was: [`name`](crate::actor::Actor::name).
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
    /// `vpcEndpointId`, which some services have in `additionalEventData` alone.
    pub vpc_endpoint: Cow<'a, str>,
    /// `tlsDetails.tlsVersion`.
    pub tls: Cow<'a, str>,
    /// `requestID`.
    pub request_id: Cow<'a, str>,
    /// `sharedEventID`: the same in the records that several accounts get of one call.
    pub shared_event_id: Cow<'a, str>,
    /// Whether the session used a second factor, where the record says: [`mfa`](crate::actor::Actor::mfa).
    pub mfa: Option<bool>,
    /// Whether a person did it in the console.
    pub console: bool,
    /// Whether a service did it, on its own or for somebody: [`is_service`](crate::actor::Actor::is_service).
    pub by_service: bool,
    /// Whether it was the root user, or a session that root issued.
    pub root: bool,
    /// Whether the identity is of another account than the record, where both are known.
    pub cross_account: bool,
    /// ARNs, ids and names of what the call is about: from `resources`, request and response, in this order, each
    /// once; at the most 64, and none that is longer than 2048 bytes. Tags and policies are left out.
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

/// What a record says behind its header, borrowed from its text or from its tree.
#[derive(Debug)]
struct Body<'s> {
    said: Said<'s>,
    user_agent: Cow<'s, str>,
    error_message: Cow<'s, str>,
    request_id: Cow<'s, str>,
    shared_event_id: Cow<'s, str>,
    vpc_endpoint: Cow<'s, str>,
    tls: Cow<'s, str>,
    /// `managementEvent`, where the record says.
    is_management: Option<bool>,
    harvest: Harvest<'s>,
}

impl<'a> Facts<'a> {
    /// The facts of a record.
    ///
    /// A record that is written as AWS writes them is read in one pass over its text. Anything out of the ordinary is
    /// left to a reader that builds a tree; where neither can read it, it is unreadable.
    pub fn of(record: &Record<'a>, hint: Hint<'_>) -> Result<Self, Unreadable> {
        match skim::body(record) {
            Some(body) => Ok(Self::assemble(record, body, hint)),
            None => Self::carefully(record, hint),
        }
    }

    fn carefully(record: &Record<'a>, hint: Hint<'_>) -> Result<Self, Unreadable> {
        record.load()?;
        let facts = Facts::assemble(record, tree::body(record), hint).into_owned();
        Ok(Facts { json: record.text().into(), ..facts })
    }

    fn assemble(record: &Record<'a>, body: Body<'a>, hint: Hint<'_>) -> Self {
        let Body { said, harvest, .. } = body;
        let account = account(record, hint);
        let failed = record.error_code.is_empty() && record.is_failed_sign_in(&harvest.result, &body.error_message);
        Self {
            event_time: record.event_time().unwrap_or(hint.time),
            event_id: record.identity_id(),
            cross_account: !said.account.is_empty() && account != "-" && said.account != account,
            account,
            region: record.region.clone(),
            event_source: record.source.clone(),
            event_name: record.action_text(),
            category: category(record, body.is_management),
            event_type: record.event_type.clone(),
            read_only: !record.changes(),
            error_code: if failed { "Failure".into() } else { record.error_code.clone() },
            error_message: body.error_message,
            issued_key: harvest.issued_key,
            source_identity: match said.source_identity {
                "" => harvest.source_identity,
                of_session => of_session.into(),
            },
            source_ip: record.source_ip.clone(),
            user_agent: body.user_agent,
            vpc_endpoint: body.vpc_endpoint,
            tls: body.tls,
            request_id: body.request_id,
            shared_event_id: body.shared_event_id,
            resources: harvest.resources,
            resource_types: harvest.types,
            json: record.text().into(),
            ..Self::of_actor(&said)
        }
    }

    fn of_actor(said: &Said<'a>) -> Self {
        Self {
            actor_type: said.kind.into(),
            actor_arn: said.arn.into(),
            actor_name: said.name(),
            principal_id: said.principal.into(),
            actor_account: said.account.into(),
            issuer_arn: said.issuer_arn.into(),
            access_key: said.access_key.into(),
            on_behalf_of: said.on_behalf_of.into(),
            invoked_by: said.invoked_by.into(),
            mfa: said.mfa(),
            console: said.console,
            by_service: said.is_service(),
            root: said.is_root() && !said.is_service(),
            ..Self::default()
        }
    }

    /// The same facts, borrowed from nothing.
    #[must_use]
    pub fn into_owned(self) -> Facts<'static> {
        Facts {
            event_time: self.event_time,
            event_id: owned(self.event_id),
            account: owned(self.account),
            region: owned(self.region),
            event_source: owned(self.event_source),
            event_name: owned(self.event_name),
            category: owned(self.category),
            event_type: owned(self.event_type),
            read_only: self.read_only,
            error_code: owned(self.error_code),
            error_message: owned(self.error_message),
            actor_type: owned(self.actor_type),
            actor_arn: owned(self.actor_arn),
            actor_name: owned(self.actor_name),
            principal_id: owned(self.principal_id),
            actor_account: owned(self.actor_account),
            issuer_arn: owned(self.issuer_arn),
            access_key: owned(self.access_key),
            issued_key: owned(self.issued_key),
            source_identity: owned(self.source_identity),
            on_behalf_of: owned(self.on_behalf_of),
            invoked_by: owned(self.invoked_by),
            source_ip: owned(self.source_ip),
            user_agent: owned(self.user_agent),
            vpc_endpoint: owned(self.vpc_endpoint),
            tls: owned(self.tls),
            request_id: owned(self.request_id),
            shared_event_id: owned(self.shared_event_id),
            mfa: self.mfa,
            console: self.console,
            by_service: self.by_service,
            root: self.root,
            cross_account: self.cross_account,
            resources: self.resources.into_iter().map(owned).collect(),
            resource_types: self.resource_types.into_iter().map(owned).collect(),
            source_object: owned(self.source_object),
            source_index: self.source_index,
            json: owned(self.json),
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    match text {
        Cow::Borrowed("") => Cow::Borrowed(""),
        text => Cow::Owned(text.into_owned()),
    }
}

fn account<'a>(record: &Record<'a>, hint: Hint<'_>) -> Cow<'a, str> {
    match (&*record.recipient_account, hint.account) {
        ("", Some(account)) => Cow::Owned(account.to_owned()),
        ("", None) => "-".into(),
        _ => record.recipient_account.clone(),
    }
}

/// Records have their category since version 1.07 of what they contain, and `managementEvent` since 1.06.
fn category<'a>(record: &Record<'a>, is_management: Option<bool>) -> Cow<'a, str> {
    match (record.kind(), is_management) {
        _ if !record.category.is_empty() => record.category.clone(),
        (Kind::Insight, _) => "Insight".into(),
        (Kind::NetworkActivity, _) => "NetworkActivity".into(),
        (Kind::Aggregated, _) => "Aggregated".into(),
        (Kind::Api, Some(false)) => "Data".into(),
        (Kind::Api, _) => "Management".into(),
    }
}
