//! Readers for the shapes in which services record one and the same thing.
//!
//! A list is an array, `{"items":[…]}`, or a single object; a scalar is itself or `{"content":…}`; a key begins with
//! either case; booleans and numbers come as text (user guide, record contents; measured on recorded logs).

use serde_json::Value;

/// A member of an object, whichever case its name begins with. Null where there is none.
pub fn field<'v>(value: &'v Value, key: &str) -> &'v Value {
    static NULL: Value = Value::Null;
    let Value::Object(map) = value else { return &NULL };
    if let Some(found) = map.get(key) {
        return found;
    }
    map.iter().find(|(name, _)| same_key(name.as_bytes(), key.as_bytes())).map_or(&NULL, |(_, found)| found)
}

fn same_key(name: &[u8], key: &[u8]) -> bool {
    match (name.split_first(), key.split_first()) {
        (Some((a, name)), Some((b, key))) => a.eq_ignore_ascii_case(b) && name == key,
        _ => false,
    }
}

/// The member at a path of [`field`]s.
pub fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, key| field(value, key))
}

/// What a list holds: the elements of an array or of `items`, a lone value, nothing for null and `{}`.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.iter().collect(),
        Value::Object(map) if map.is_empty() => Vec::new(),
        Value::Object(map) => match map.get("items").or_else(|| map.get("Items")) {
            Some(items) => list(items),
            None => vec![value],
        },
        lone => vec![lone],
    }
}

/// Text, or the text in `{"content":…}`; empty for everything else.
pub fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Object(map) => map.get("content").and_then(Value::as_str).unwrap_or_default(),
        _ => "",
    }
}

/// The texts of a list.
pub fn texts(value: &Value) -> Vec<&str> {
    list(value).into_iter().map(text).filter(|text| !text.is_empty()).collect()
}

/// A boolean, also as text. `None` where it is neither.
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(word) if word.eq_ignore_ascii_case("true") => Some(true),
        Value::String(word) if word.eq_ignore_ascii_case("false") => Some(false),
        Value::Object(map) => map.get("content").and_then(boolean),
        _ => None,
    }
}

/// Whether a value says yes.
pub fn truthy(value: &Value) -> bool {
    boolean(value) == Some(true)
}

/// Whether a value says no. Absence is no answer.
pub fn falsy(value: &Value) -> bool {
    boolean(value) == Some(false)
}

/// A whole number, also as text.
pub fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.trim().parse().ok(),
        Value::Object(map) => map.get("content").and_then(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_in_every_shape() {
        for shape in [json!([{"a": 1}]), json!({"items": [{"a": 1}]}), json!({"Items": [{"a": 1}]}), json!({"a": 1})] {
            assert_eq!(list(&shape), [&json!({"a": 1})], "{shape}");
        }
        assert!(list(&json!({})).is_empty());
        assert!(list(&Value::Null).is_empty());
    }

    #[test]
    fn the_first_letter_has_either_case() {
        assert_eq!(field(&json!({"GroupId": "sg-1"}), "groupId"), "sg-1");
        assert_eq!(field(&json!({"groupId": "sg-1"}), "GroupId"), "sg-1");
        assert!(field(&json!({"groupid": "sg-1"}), "groupId").is_null());
        assert!(field(&json!({"é": 1}), "e").is_null());
    }

    #[test]
    fn scalars_in_every_shape() {
        assert_eq!(number(&json!("443")), Some(443));
        assert_eq!(text(&json!({"content": "fl-1", "tag": 1})), "fl-1");
        assert_eq!(boolean(&json!("True")), Some(true));
        assert!(!falsy(&Value::Null));
    }
}
