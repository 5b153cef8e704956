//! What is looked for, and what the settings no longer lower.

use serde_json::json;

use super::Row;
use super::review::Exception;
use crate::settings::Settings;
use crate::time::Time;
use crate::{controls, detections};

/// Detections and controls, a row each.
pub fn rules() -> impl Iterator<Item = Row> {
    let detections = detections::all().into_iter().map(|one| {
        vec![
            json!("detection"),
            json!(one.id),
            json!(one.title),
            json!(one.category),
            json!(one.severity),
            json!(one.techniques),
            json!(one.controls),
            json!(one.lowerable),
            json!(detections::VERSION),
        ]
    });
    let controls = controls::all().iter().map(|one| {
        vec![
            json!("control"),
            json!(one.id),
            json!(one.title),
            json!("trail_settings"),
            json!(one.severity),
            json!([]),
            json!(one.references.all()),
            json!(true),
            json!(detections::VERSION),
        ]
    });
    detections.chain(controls)
}

/// What the settings expect although its time is over: it lowers nothing any more, and should be renewed or removed.
pub fn expired(settings: &Settings, until: Time) -> impl Iterator<Item = Exception> {
    let expected = settings.expected.iter().filter(move |one| one.expires < until).map(|one| {
        let about = [&one.detection, &one.actor, &one.source, &one.resource, &one.account];
        let about: Vec<&str> = about.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        Exception::new("expired_suppression", about.join(" "), one.expires).by(&one.owner).because(&one.reason)
    });
    let networks =
        settings.networks.iter().filter(move |(_, one)| one.expires < until).map(|(name, one)| {
            Exception::new("expired_network", name, one.expires).by(&one.owner).because(&one.reason)
        });
    expected.chain(networks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::item;

    #[test]
    fn there_is_a_row_for_each() {
        let all: Vec<Row> = rules().collect();
        assert_eq!(all.len(), detections::all().len() + controls::all().len());
        assert!(all.iter().all(|row| row.len() == item("rules").unwrap().columns.len()));
    }

    #[test]
    fn what_is_expired_is_an_exception() {
        let text = "[[expected]]\ndetection = \"iam-access-key-created\"\nactor = \"svc-*\"\nreason = \"rotation\"\nowner = \"ops\"\nexpires = \"2026-10-31\"";
        let text = text.replace("detection = \"iam-access-key-created\"\n", "");
        let settings = Settings::from_toml(&text).unwrap();
        let at = |text: &str| expired(&settings, Time::parse(text).unwrap()).collect::<Vec<_>>();
        assert_eq!(at("2026-10-31T00:00:00Z"), []);
        let [one] = &at("2026-12-01T00:00:00Z")[..] else { panic!("one") };
        assert_eq!((one.kind, one.about.as_str(), one.who.as_str()), ("expired_suppression", "svc-*", "ops"));
    }
}
