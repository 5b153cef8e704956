//! The quick reader of headers against serde.

use proptest::prelude::*;
use serde_json::Value;

use super::header;
use super::json::record;
use super::unwanted;
use crate::log_file::skim::Cursor;
use crate::record::Record;

/// The header that the quick reader sees in a record that begins at `start`, and where the record ends.
fn skimmed(text: &str, start: usize) -> Option<(Vec<String>, usize)> {
    let mut record = Record::default();
    let end = record.skim(text, &mut Cursor::new(text.as_bytes(), start), start)?;
    Some((header(&record), end))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_it_reads_is_what_serde_reads(text in record()) {
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        let careful = Record::parse_any(&text).expect("valid JSON");
        if let Some((quick, end)) = skimmed(&text, 0) {
            prop_assert_eq!(end, text.len());
            prop_assert_eq!(quick, header(&careful));
        }
        prop_assert_eq!(header(&Record::parse(&text).expect("valid JSON")), header(&careful));
    }

    #[test]
    fn the_place_in_the_file_does_not_matter(text in record(), before in 0..200_usize) {
        let file = format!("{}{text},{{\"more\":\"\\\\\"}}", " ".repeat(before));
        let alone = skimmed(&text, 0).map(|(header, end)| (header, end + before));
        prop_assert_eq!(skimmed(&file, before), alone);
    }

    #[test]
    fn damage_does_not_make_it_stumble(text in record(), at in any::<prop::sample::Index>(), byte in 0_u8..0x80) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        let quick = skimmed(&text, 0);
        // On text that is still JSON it has to be right; on anything else it only has to come to an end.
        if serde_json::from_str::<Value>(&text).is_ok()
            && let Some((quick, end)) = quick
        {
            prop_assert_eq!(end, text.len());
            prop_assert_eq!(quick, header(&Record::parse_any(&text).expect("valid JSON")));
        }
    }
}

#[test]
fn a_record_as_aws_writes_it_is_read_quickly() {
    let text = unwanted(1);
    let (quick, end) = skimmed(&text, 0).expect("compact JSON");
    assert_eq!(end, text.len());
    assert_eq!(quick, header(&Record::parse_any(&text).expect("valid JSON")));
}

#[test]
fn a_record_that_is_cut_off_anywhere_is_none() {
    let text = unwanted(1);
    for length in 0..text.len() {
        assert_eq!(skimmed(&text[..length], 0), None, "{}", &text[..length]);
    }
}

#[test]
fn of_a_key_that_is_there_twice_the_last_one_counts() {
    let record = Record::parse(r#"{"eventName":"First","eventName":"Last"}"#).expect("valid JSON");
    assert_eq!(record.name, "Last");
}

#[test]
fn a_key_in_escapes_is_the_key() {
    let record = Record::parse(r#"{"\u0065ventName":"StopLogging","eventID":"a\u002fb"}"#).expect("valid JSON");
    assert_eq!((&*record.name, &*record.id), ("StopLogging", "a/b"));
}
