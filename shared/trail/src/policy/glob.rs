//! The wildcards of policy documents.

/// Whether `pattern`, in which `*` stands for anything and `?` for one character, covers `text`. Letters have either
/// case, as in the actions of a policy.
pub fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit: behind the star, one character further on.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else { return false };
                retry = Some((after_star, from + 1));
                (p, t) = (after_star, from + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == b'*')
}

/// Whether a value fixes anything at all: `*` and `???` do not.
pub(super) fn is_fixed(value: &str) -> bool {
    value.chars().any(char::is_alphanumeric)
}

/// What comes before the first wildcard.
pub(super) fn literal_prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_cover_what_iam_says_they_do() {
        for (pattern, text) in [
            ("*", "iam:CreateUser"),
            ("*:*", "iam:CreateUser"),
            ("IAM:*", "iam:CreateUser"),
            ("iam:*Policy", "iam:PutUserPolicy"),
            ("iam:?reateUser", "iam:CreateUser"),
            ("i*m:Cr*e*r", "iam:CreateUser"),
            ("", ""),
            ("**", ""),
        ] {
            assert!(covers(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("iam:Get*", "iam:CreateUser"), ("iam:", "iam:CreateUser"), ("?", ""), ("a*b", "ac")] {
            assert!(!covers(pattern, text), "{pattern} {text}");
        }
    }

    /// The obvious definition, exponential in the number of stars.
    fn oracle(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some((b'*', rest)), None) => oracle(rest, text),
            (Some((b'*', rest)), Some((_, tail))) => oracle(rest, text) || oracle(pattern, tail),
            (Some(_), None) => false,
            (Some((p, rest)), Some((t, tail))) => (*p == b'?' || p == t) && oracle(rest, tail),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(covers(&pattern, &text), oracle(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
