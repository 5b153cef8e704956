//! Gzip as it should not be.

use proptest::prelude::*;
use proptest::sample::Index;

use super::gzip;
use crate::log_file::{Inflater, Limits, Problem};

fn limits(file_bytes: usize) -> Limits {
    Limits { file_bytes, ..Limits::default() }
}

/// Text that deflate makes something of.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec("[a-f]{0,40}".prop_map(|word: String| word.repeat(7)), 0..60)
        .prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn what_was_packed_comes_out(texts in prop::collection::vec(text(), 1..4)) {
        let mut inflater = Inflater::new(Limits::default());
        for text in texts {
            let inflated = inflater.inflate(&gzip(&text));
            prop_assert_eq!((&inflated.bytes, inflated.trailing, &inflated.problem), (&text, 0, &None));
            inflater.recycle(inflated.bytes);
        }
    }

    #[test]
    fn a_cut_is_noticed_and_what_came_before_it_is_kept(text in text(), cut in any::<Index>()) {
        let whole = gzip(&text);
        let cut = cut.index(whole.len() - 2) + 2;
        let inflated = Inflater::new(Limits::default()).inflate(&whole[..cut]);
        prop_assert!(inflated.problem.is_some());
        prop_assert!(text.starts_with(&inflated.bytes));
    }

    #[test]
    fn a_changed_byte_is_noticed_or_changes_nothing(text in text(), at in any::<Index>(), bits in 1_u8..) {
        let mut object = gzip(&text);
        let at = 2 + at.index(object.len() - 2);
        object[at] ^= bits;
        let inflated = Inflater::new(Limits::default()).inflate(&object);
        prop_assert!(inflated.problem.is_some() || inflated.bytes == text, "byte {}", at);
        prop_assert!(inflated.trailing < object.len());
    }

    #[test]
    fn bytes_after_the_first_member_are_counted_and_not_read(text in text(), after in text()) {
        let after = gzip(&after);
        let inflated = Inflater::new(Limits::default()).inflate(&[gzip(&text), after.clone()].concat());
        prop_assert_eq!((inflated.bytes, inflated.trailing, inflated.problem), (text, after.len(), None));
    }

    #[test]
    fn bytes_of_any_kind_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut inflater = Inflater::new(limits(100_000));
        inflater.inflate(&bytes);
        let inflated = inflater.inflate(&[&[0x1f, 0x8b, 8], bytes.as_slice()].concat());
        prop_assert!(inflated.bytes.len() <= 100_000);
    }
}

#[test]
fn a_bomb_stops_at_the_bound() {
    let bomb = gzip(&vec![b' '; 8 << 20]);
    let inflated = Inflater::new(limits(1 << 20)).inflate(&bomb);
    assert_eq!((inflated.bytes.len(), inflated.problem), (1 << 20, Some(Problem::TooLarge(1 << 20))));
    assert!(inflated.bytes.capacity() < 4 << 20);
}

#[test]
fn a_lie_about_the_size_reserves_nothing_unbelievable() {
    let mut object = gzip(b"a few bytes");
    let size = object.len() - 4;
    object[size..].copy_from_slice(&u32::MAX.to_le_bytes());
    let inflated = Inflater::new(Limits::default()).inflate(&object);
    assert_eq!(inflated.bytes, b"a few bytes");
    assert!(matches!(inflated.problem, Some(Problem::Corrupt(_))));
    assert!(inflated.bytes.capacity() < 1 << 20);
}

#[test]
fn a_file_that_fills_the_limit_is_within_it() {
    let text = vec![b'a'; 70_000];
    let inflated = Inflater::new(limits(70_000)).inflate(&gzip(&text));
    assert_eq!((inflated.bytes.len(), inflated.problem), (70_000, None));
    let inflated = Inflater::new(limits(69_999)).inflate(&gzip(&text));
    assert_eq!((inflated.bytes.len(), inflated.problem), (69_999, Some(Problem::TooLarge(69_999))));
}

#[test]
fn plain_text_is_taken_as_it_is_within_the_limit() {
    let mut inflater = Inflater::new(limits(4));
    assert_eq!(inflater.inflate(b"[{}]").problem, None);
    assert_eq!(inflater.inflate(b"[{} ]").problem, Some(Problem::TooLarge(4)));
    assert_eq!(inflater.inflate(b"").problem, Some(Problem::Empty));
}

#[test]
fn every_part_that_a_header_may_have_is_jumped_over() {
    let plain = gzip(b"text");
    // FHCRC, FEXTRA, FNAME and FCOMMENT of RFC 1952, each with its bytes behind the ten of the fixed header.
    let parts: [(u8, &[u8]); 4] = [(4, b"\x03\x00abc"), (8, b"name\0"), (16, b"comment\0"), (2, b"\x12\x34")];
    for chosen in 0..16_usize {
        let mut object = plain[..10].to_vec();
        for (_, (flag, bytes)) in parts.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1) {
            object[3] |= flag;
            object.extend_from_slice(bytes);
        }
        let header = object.len();
        object.extend_from_slice(&plain[10..]);
        let mut inflater = Inflater::new(Limits::default());
        let read = inflater.inflate(&object);
        assert_eq!((read.bytes.as_slice(), read.problem), (b"text".as_slice(), None), "parts {chosen:04b}");
        for cut in 2..header {
            assert_eq!(inflater.inflate(&object[..cut]).problem, Some(Problem::Truncated(0)), "cut at {cut}");
        }
    }
}
