//! What a record says behind its header, read from the tree of a record that is written in an unusual way.

use serde_json::Value;

use super::Body;
use super::resources::{Harvest, Part, Place};
use crate::actor::Said;
use crate::record::Record;
use crate::shape::{at, boolean, field, text};

/// The body of a loaded record.
pub(super) fn body<'s>(record: &'s Record<'_>) -> Body<'s> {
    let body = record.body();
    let own = |key: &str| text(&body[key]).into();
    let endpoint = [text(&body["vpcEndpointId"]), text(field(record.additional(), "vpcEndpointId"))];
    let mut harvest = Harvest::new(&record.source, &record.name, &record.region);
    let parts = [
        (Part::Listed, &body["resources"]),
        (Part::Request, record.request()),
        (Part::Response, record.response()),
        (Part::Details, &body["serviceEventDetails"]),
    ];
    for (part, value) in parts {
        walk(&mut harvest, value, Place::of(part));
    }
    harvest.finish();
    Body {
        said: Said::of(record),
        user_agent: record.user_agent().into(),
        error_message: record.error_message().into(),
        request_id: own("requestID"),
        shared_event_id: own("sharedEventID"),
        vpc_endpoint: endpoint.into_iter().find(|id| !id.is_empty()).unwrap_or_default().into(),
        tls: text(at(body, &["tlsDetails", "tlsVersion"])).into(),
        is_management: boolean(&body["managementEvent"]),
        harvest,
    }
}

fn walk<'s>(harvest: &mut Harvest<'s>, value: &'s Value, place: Place<'_>) {
    match value {
        Value::String(text) => harvest.take(place, text.into()),
        Value::Array(elements) => elements.iter().for_each(|element| walk(harvest, element, place)),
        Value::Object(members) if !place.is_left_out() => {
            members.iter().for_each(|(key, member)| walk(harvest, member, place.member(key)));
        }
        _ => {}
    }
}
