//! Texts that somebody else wrote, made fit to be looked at. The templates escape what is HTML in them.

/// The text with what a reader would not see, or be misled by, spelled out: controls, and marks that turn the direction.
pub(crate) fn plain(text: &str) -> String {
    if !text.chars().any(deceives) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if deceives(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}

fn deceives(letter: char) -> bool {
    letter.is_control() && letter != '\n'
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// JSON set out in lines. Order, numbers and escapes stay as they are: it is evidence.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_string {
            out.push(letter);
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                    continue;
                }
                depth += 1;
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ if letter.is_ascii_whitespace() => {}
            _ => {
                in_string = letter == '"';
                out.push(letter);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    // What is nested deeper than anybody reads would cost memory squared.
    (0..depth.min(40)).for_each(|_| out.push_str("  "));
}

/// `1,234,567`.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.1 MB`.
pub(crate) fn bytes(count: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", count / unit, count % unit * 10 / unit);
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

/// `3 h 10 min`: how long, in the two largest units.
pub(crate) fn how_long(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = seconds.max(0);
    let at = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let (unit, name) = units[at];
    let first = format!("{} {name}", seconds / unit);
    match units.get(at + 1) {
        Some((next, name)) if seconds % unit >= *next && at < 2 => format!("{first} {} {name}", seconds % unit / next),
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_spelled_out() {
        assert_eq!(plain("alice\u{202e}nimda\0"), "alice\\u{202e}nimda\\u{0}");
        assert_eq!(plain("Zoë <b> 東京"), "Zoë <b> 東京");
    }

    #[test]
    fn json_is_set_out_as_it_stands() {
        let text = r#"{"b":1.50,"a":["x, {y}\"",{}],"c":{ },"d":"\\"}"#;
        let shown =
            "{\n  \"b\": 1.50,\n  \"a\": [\n    \"x, {y}\\\"\",\n    {}\n  ],\n  \"c\": {},\n  \"d\": \"\\\\\"\n}";
        assert_eq!(indented(text), shown);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!((number(0), number(1_234_567)), ("0".to_owned(), "1,234,567".to_owned()));
        assert_eq!((bytes(999), bytes(1_150_000)), ("999 B".to_owned(), "1.1 MB".to_owned()));
        assert_eq!((how_long(240), how_long(11_400)), ("4 min".to_owned(), "3 h 10 min".to_owned()));
        assert_eq!((how_long(86_400 * 3 + 7200), how_long(0)), ("3 d 2 h".to_owned(), "0 s".to_owned()));
    }
}
