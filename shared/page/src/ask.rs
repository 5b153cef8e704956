//! The box that takes anything: a pasted key, ARN, address or id becomes the filter that it is meant for.

use std::net::IpAddr;

use lake::query::Field;

/// The filters that a text stands for, as names and values. Words that say `name=value` are taken as they are.
pub(crate) fn read(text: &str) -> Vec<(&'static str, String)> {
    let text = text.trim();
    if !text.contains('=') && text.chars().any(char::is_whitespace) && !text.contains(':') {
        let all: Vec<_> = text.split_whitespace().map(one).collect();
        // `Alice Smith`: words that are all nothing else are one name.
        let is_name = all.iter().all(|(name, _)| *name == "user");
        return if is_name { vec![("user", text.to_owned())] } else { all };
    }
    words(text).iter().map(|word| one(word)).collect()
}

/// Other filters that the same value makes sense with.
pub(crate) fn also(name: &str) -> &'static [&'static str] {
    match name {
        "access-key" => &["issued-key"],
        "issued-key" => &["access-key"],
        "user" => &["resource", "issuer", "text"],
        "issuer" => &["resource", "user"],
        "resource" => &["user", "text"],
        "id" => &["request-id", "shared-id"],
        "action" => &["resource", "error"],
        "error" => &["action"],
        _ => &[],
    }
}

/// Splits at blanks that stand in no quotes.
fn words(text: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => all.extend(Some(std::mem::take(&mut word))),
            _ => word.push(letter),
        }
    }
    all.push(word);
    all.retain(|word| !word.is_empty());
    all
}

fn one(word: &str) -> (&'static str, String) {
    if let Some((name, value)) = word.split_once('=')
        && let Some(end) = ["from", "to"].into_iter().find(|end| *end == name)
    {
        return (end, value.to_owned());
    }
    if let Some((name, value)) = word.split_once('=')
        && let Some(field) = Field::named(name)
    {
        return (field.name(), value.to_owned());
    }
    let (sign, bare) = word.strip_prefix('!').map_or(("", word), |bare| ("!", bare));
    let bare = bare.trim_matches([',', ';', '"', '\'', '<', '>', '(', ')']);
    let (name, value) = recognised(bare);
    (name, format!("{sign}{value}"))
}

fn recognised(word: &str) -> (&'static str, String) {
    let own = |name| (name, word.to_owned());
    if word.starts_with("arn:") {
        return (of_arn(word), word.to_owned());
    }
    if let Some(rest) = word.strip_prefix("s3://") {
        return ("resource", rest.split('/').next().unwrap_or(rest).to_owned());
    }
    match word {
        _ if is_key(word) => own("access-key"),
        _ if is_principal(word) => own("user"),
        _ if is_address(word) => own("ip"),
        _ if word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()) => own("account"),
        _ if is_uuid(word) => own("id"),
        _ if is_resource_id(word) => own("resource"),
        _ if word.ends_with(".amazonaws.com") => own("service"),
        _ if word.starts_with("vpce-") => own("vpc-endpoint"),
        _ if word.starts_with("AWS::") => own("resource-type"),
        _ if is_region(word) => own("region"),
        _ if is_error(word) => own("error"),
        _ if is_action(word) => own("action"),
        _ if word.contains(':') && !word.contains('@') => own("resource-type"),
        _ => own("user"),
    }
}

/// Sessions and users act, roles issue sessions, everything else is acted upon.
fn of_arn(arn: &str) -> &'static str {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match (parts.get(2), parts.get(5)) {
        (Some(&"sts"), _) => "user",
        (Some(&"iam"), Some(rest)) if rest.starts_with("user/") || *rest == "root" => "user",
        (Some(&"iam"), Some(rest)) if rest.starts_with("role/") => "issuer",
        _ => "resource",
    }
}

fn is_key(word: &str) -> bool {
    let is_one = word.starts_with("AKIA") || word.starts_with("ASIA") || word.starts_with("ABIA");
    is_one && word.len() >= 12 && is_upper(word)
}

fn is_principal(word: &str) -> bool {
    let prefix = word.get(..4).unwrap_or_default();
    ["AROA", "AIDA", "ANPA", "AGPA"].contains(&prefix)
        && word.len() >= 12
        && is_upper(word.split(':').next().unwrap_or(word))
}

fn is_upper(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn is_address(word: &str) -> bool {
    let (address, prefix) = word.split_once('/').map_or((word, None), |(address, prefix)| (address, Some(prefix)));
    address.parse::<IpAddr>().is_ok() && prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= 128))
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `i-0abc…`, `sg-…`, `subnet-…`: EC2's kind, also when it was cut.
fn is_resource_id(word: &str) -> bool {
    let Some((kind, id)) = word.rsplit_once('-') else { return false };
    let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_kind
        && id.len() >= 4
        && id.trim_end_matches('*').bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [first, middle @ .., last] => {
            first.len() == 2
                && !middle.is_empty()
                && middle.iter().all(is_word)
                && last.len() == 1
                && last.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn is_error(word: &str) -> bool {
    let known = ["AccessDenied", "Client.", "Server.", "Unauthorized", "Throttl", "Invalid", "NoSuch"];
    let is_word = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'*'));
    is_word
        && (known.iter().any(|start| word.starts_with(start))
            || ["Exception", "NotFound", "Fault", "UnauthorizedOperation"].iter().any(|end| word.ends_with(end)))
}

/// `RunInstances`, `Delete*`, `ec2:RunInstances`.
fn is_action(word: &str) -> bool {
    let action = word.split_once(':').map_or(word, |(_, action)| action);
    let mut letters = action.chars();
    let begins = letters.next().is_some_and(|letter| letter.is_ascii_uppercase());
    let humps = letters.clone().any(|letter| letter.is_ascii_uppercase());
    begins
        && (humps || action.ends_with('*') || action != word)
        && action.chars().any(|letter| letter.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_recognised() {
        for (text, name) in [
            ("AKIAIOSFODNN7EXAMPLE", "access-key"),
            ("ASIAEXAMPLE7Q2M", "access-key"),
            ("AROAEXAMPLEROLEID:alice", "user"),
            ("arn:aws:sts::111122223333:assumed-role/ops/alice", "user"),
            ("arn:aws:iam::111122223333:role/ops", "issuer"),
            ("arn:aws:iam::111122223333:user/alice", "user"),
            ("arn:aws:s3:::bucket", "resource"),
            ("203.0.113.7", "ip"),
            ("203.0.113.0/24", "ip"),
            ("2001:db8::1", "ip"),
            ("i-0abcdef1234567890", "resource"),
            ("sg-0a1b", "resource"),
            ("vol-0abc*", "resource"),
            ("111122223333", "account"),
            ("b1a2c3d4-0000-4000-8000-123456789abc", "id"),
            ("eu-west-1", "region"),
            ("us-gov-west-1", "region"),
            ("RunInstances", "action"),
            ("Delete*", "action"),
            ("ec2:RunInstances", "action"),
            ("rds:db", "resource-type"),
            ("AWS::EC2::Instance", "resource-type"),
            ("AccessDenied", "error"),
            ("NoSuchBucket", "error"),
            ("kms.amazonaws.com", "service"),
            ("alice@example.com", "user"),
            ("Alice", "user"),
            ("svc-backup", "user"),
            ("ip=10.0.0.0/8", "ip"),
            ("to=2026-11-20T03:10:00Z", "to"),
        ] {
            assert_eq!(read(text)[0].0, name, "{text}");
        }
    }

    #[test]
    fn several_words_are_several_filters() {
        assert_eq!(read("Alice Smith"), [("user", "Alice Smith".to_owned())]);
        assert_eq!(read("alice eu-west-1"), [("user", "alice".to_owned()), ("region", "eu-west-1".to_owned())]);
        let both = [("user", "Alice Smith".to_owned()), ("service", "!kms".to_owned())];
        assert_eq!(read("user=\"Alice Smith\" service=!kms"), both);
        assert_eq!(read("s3://bucket/key"), [("resource", "bucket".to_owned())]);
        assert!(read("  ").is_empty());
    }
}
