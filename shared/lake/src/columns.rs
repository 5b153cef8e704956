//! The columns: one list that says everything of each. Schema, writing and reading are made from it.
//!
//! Evolution is additive: a column is only ever appended before `json`, and older files read as if it were empty.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use trail::facts::Facts;

/// The version of the schema, kept in each file's metadata under `qtrail.schema`.
pub const VERSION: u32 = 1;

/// The metadata key of the version.
pub(crate) const VERSION_KEY: &str = "qtrail.schema";

/// One column of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named as the field of Facts that it holds")]
pub enum Column {
    EventTime,
    EventId,
    Account,
    Region,
    EventSource,
    EventName,
    Category,
    EventType,
    ReadOnly,
    ErrorCode,
    ErrorMessage,
    ActorType,
    ActorArn,
    ActorName,
    PrincipalId,
    ActorAccount,
    IssuerArn,
    AccessKey,
    IssuedKey,
    SourceIdentity,
    OnBehalfOf,
    InvokedBy,
    SourceIp,
    UserAgent,
    VpcEndpoint,
    Tls,
    RequestId,
    SharedEventId,
    Mfa,
    Console,
    ByService,
    Root,
    CrossAccount,
    Resources,
    ResourceTypes,
    SourceObject,
    SourceIndex,
    Json,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Milliseconds since 1970 in UTC.
    Time,
    /// Text; empty is null.
    Text,
    /// True, false or, for `mfa` alone, unknown.
    Flag,
    /// A list of texts.
    Texts,
    /// A whole number.
    Number,
}

/// All of them, in the files' order.
pub const ALL: [Column; 38] = {
    use Column as C;
    [
        C::EventTime,
        C::EventId,
        C::Account,
        C::Region,
        C::EventSource,
        C::EventName,
        C::Category,
        C::EventType,
        C::ReadOnly,
        C::ErrorCode,
        C::ErrorMessage,
        C::ActorType,
        C::ActorArn,
        C::ActorName,
        C::PrincipalId,
        C::ActorAccount,
        C::IssuerArn,
        C::AccessKey,
        C::IssuedKey,
        C::SourceIdentity,
        C::OnBehalfOf,
        C::InvokedBy,
        C::SourceIp,
        C::UserAgent,
        C::VpcEndpoint,
        C::Tls,
        C::RequestId,
        C::SharedEventId,
        C::Mfa,
        C::Console,
        C::ByService,
        C::Root,
        C::CrossAccount,
        C::Resources,
        C::ResourceTypes,
        C::SourceObject,
        C::SourceIndex,
        C::Json,
    ]
};

/// The fields of `Facts` that are texts, by column.
macro_rules! text_of {
    ($column:expr, $facts:expr, $($reference:tt)+) => {
        Some(match $column {
            Column::EventId => $($reference)+ $facts.event_id,
            Column::Account => $($reference)+ $facts.account,
            Column::Region => $($reference)+ $facts.region,
            Column::EventSource => $($reference)+ $facts.event_source,
            Column::EventName => $($reference)+ $facts.event_name,
            Column::Category => $($reference)+ $facts.category,
            Column::EventType => $($reference)+ $facts.event_type,
            Column::ErrorCode => $($reference)+ $facts.error_code,
            Column::ErrorMessage => $($reference)+ $facts.error_message,
            Column::ActorType => $($reference)+ $facts.actor_type,
            Column::ActorArn => $($reference)+ $facts.actor_arn,
            Column::ActorName => $($reference)+ $facts.actor_name,
            Column::PrincipalId => $($reference)+ $facts.principal_id,
            Column::ActorAccount => $($reference)+ $facts.actor_account,
            Column::IssuerArn => $($reference)+ $facts.issuer_arn,
            Column::AccessKey => $($reference)+ $facts.access_key,
            Column::IssuedKey => $($reference)+ $facts.issued_key,
            Column::SourceIdentity => $($reference)+ $facts.source_identity,
            Column::OnBehalfOf => $($reference)+ $facts.on_behalf_of,
            Column::InvokedBy => $($reference)+ $facts.invoked_by,
            Column::SourceIp => $($reference)+ $facts.source_ip,
            Column::UserAgent => $($reference)+ $facts.user_agent,
            Column::VpcEndpoint => $($reference)+ $facts.vpc_endpoint,
            Column::Tls => $($reference)+ $facts.tls,
            Column::RequestId => $($reference)+ $facts.request_id,
            Column::SharedEventId => $($reference)+ $facts.shared_event_id,
            Column::SourceObject => $($reference)+ $facts.source_object,
            Column::Json => $($reference)+ $facts.json,
            _ => return None,
        })
    };
}

impl Column {
    /// Its name in the files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventTime => "event_time",
            Self::EventId => "event_id",
            Self::Account => "account",
            Self::Region => "region",
            Self::EventSource => "event_source",
            Self::EventName => "event_name",
            Self::Category => "category",
            Self::EventType => "event_type",
            Self::ReadOnly => "read_only",
            Self::ErrorCode => "error_code",
            Self::ErrorMessage => "error_message",
            Self::ActorType => "actor_type",
            Self::ActorArn => "actor_arn",
            Self::ActorName => "actor_name",
            Self::PrincipalId => "principal_id",
            Self::ActorAccount => "actor_account",
            Self::IssuerArn => "issuer_arn",
            Self::AccessKey => "access_key",
            Self::IssuedKey => "issued_key",
            Self::SourceIdentity => "source_identity",
            Self::OnBehalfOf => "on_behalf_of",
            Self::InvokedBy => "invoked_by",
            Self::SourceIp => "source_ip",
            Self::UserAgent => "user_agent",
            Self::VpcEndpoint => "vpc_endpoint",
            Self::Tls => "tls",
            Self::RequestId => "request_id",
            Self::SharedEventId => "shared_event_id",
            Self::Mfa => "mfa",
            Self::Console => "console",
            Self::ByService => "by_service",
            Self::Root => "root",
            Self::CrossAccount => "cross_account",
            Self::Resources => "resources",
            Self::ResourceTypes => "resource_types",
            Self::SourceObject => "source_object",
            Self::SourceIndex => "source_index",
            Self::Json => "json",
        }
    }

    /// What it holds.
    pub const fn kind(self) -> Kind {
        match self {
            Self::EventTime => Kind::Time,
            Self::ReadOnly | Self::Mfa | Self::Console | Self::ByService | Self::Root | Self::CrossAccount => {
                Kind::Flag
            }
            Self::Resources | Self::ResourceTypes => Kind::Texts,
            Self::SourceIndex => Kind::Number,
            _ => Kind::Text,
        }
    }

    /// The column's text of these facts; empty where it holds no single text.
    pub fn text<'f>(self, facts: &'f Facts<'_>) -> &'f str {
        self.text_field(facts).map_or("", |text| text)
    }

    /// The column's texts of these facts, none of them empty: the elements of a list, else the one there is.
    pub fn texts<'f>(self, facts: &'f Facts<'_>) -> impl Iterator<Item = &'f str> {
        let list: &'f [Cow<'_, str>] = match self {
            Self::Resources => &facts.resources,
            Self::ResourceTypes => &facts.resource_types,
            _ => &[],
        };
        let one = Some(self.text(facts)).filter(|text| !text.is_empty());
        list.iter().map(|text| &**text).chain(one)
    }

    /// The column's answer of these facts; `None` where it holds none.
    pub fn flag(self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::ReadOnly => Some(facts.read_only),
            Self::Mfa => facts.mfa,
            Self::Console => Some(facts.console),
            Self::ByService => Some(facts.by_service),
            Self::Root => Some(facts.root),
            Self::CrossAccount => Some(facts.cross_account),
            _ => None,
        }
    }

    fn text_field<'f>(self, facts: &'f Facts<'_>) -> Option<&'f str> {
        text_of!(self, facts, &)
    }

    /// Where the column's text goes.
    pub(crate) fn text_mut<'f, 'a>(self, facts: &'f mut Facts<'a>) -> Option<&'f mut Cow<'a, str>> {
        text_of!(self, facts, &mut)
    }

    /// Where the column's texts go.
    pub(crate) fn texts_mut<'f, 'a>(self, facts: &'f mut Facts<'a>) -> Option<&'f mut Vec<Cow<'a, str>>> {
        match self {
            Self::Resources => Some(&mut facts.resources),
            Self::ResourceTypes => Some(&mut facts.resource_types),
            _ => None,
        }
    }

    /// Takes up the column's answer.
    pub(crate) fn set_flag(self, facts: &mut Facts<'_>, flag: bool) {
        match self {
            Self::ReadOnly => facts.read_only = flag,
            Self::Mfa => facts.mfa = Some(flag),
            Self::Console => facts.console = flag,
            Self::ByService => facts.by_service = flag,
            Self::Root => facts.root = flag,
            Self::CrossAccount => facts.cross_account = flag,
            _ => {}
        }
    }

    /// Whether every row has it.
    pub(crate) const fn is_required(self) -> bool {
        matches!(self, Self::EventTime | Self::EventId | Self::Account)
    }

    fn data_type(self) -> DataType {
        match self.kind() {
            // Seconds have no logical type in Parquet.
            Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Kind::Text => DataType::Utf8,
            Kind::Flag => DataType::Boolean,
            Kind::Texts => DataType::List(Arc::new(Field::new("element", DataType::Utf8, false))),
            Kind::Number => DataType::Int32,
        }
    }
}

/// The schema of every file that this version writes.
pub fn schema() -> Schema {
    Schema::new(ALL.iter().map(|one| Field::new(one.name(), one.data_type(), !one.is_required())).collect::<Vec<_>>())
}
