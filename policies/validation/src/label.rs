//! What Kubernetes takes for the key and for the value of a label (Kubernetes documentation, Labels and Selectors,
//! Syntax and character set).

use spiderpool_policy_guide::phrase::excerpt;

/// The longest name and the longest value, in bytes.
const NAME: usize = 63;

/// The longest prefix of a key: that of a DNS name (RFC 1123).
const PREFIX: usize = 253;

/// `name` or `prefix/name`.
pub(crate) fn key(text: &str) -> Result<(), String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_none_or(is_dns_name) && is_name(name) {
        return Ok(());
    }
    let text = excerpt(text);
    Err(format!(
        "`{text}` is no key of a label; write up to {NAME} letters, digits, `-`, `_` and `.`, with a letter or digit at \
         both ends, and before it, if you like, a DNS name and a slash"
    ))
}

/// Nothing, or what is right for the name of a key.
pub(crate) fn value(text: &str) -> Result<(), String> {
    if text.is_empty() || is_name(text) {
        return Ok(());
    }
    let text = excerpt(text);
    Err(format!(
        "`{text}` is no value of a label; write up to {NAME} letters, digits, `-`, `_` and `.`, with a letter or digit \
         at both ends, or nothing"
    ))
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= NAME && text.bytes().all(inner) && has_ends(text, |byte| byte.is_ascii_alphanumeric())
}

fn is_dns_name(text: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| part.bytes().all(|byte| outer(byte) || byte == b'-') && has_ends(part, outer);
    text.len() <= PREFIX && text.split('.').all(is_part)
}

fn has_ends(text: &str, right: impl Fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(&right) && text.bytes().next_back().is_some_and(&right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_name_and_perhaps_a_prefix() {
        let long = |length| "a".repeat(length);
        let right = ["app", "A.b_c-9", "example.com/app", "x/y", &long(63), &(long(253) + "/a")];
        for text in right {
            assert_eq!(key(text), Ok(()), "{text}");
        }
        let wrong = [
            "",
            "-app",
            "app-",
            "a b",
            "a/",
            "/a",
            "a/b/c",
            "Example.com/a",
            "a..b/c",
            "-a.b/c",
            "ß",
            &long(64),
            &(long(254) + "/a"),
        ];
        for text in wrong {
            assert!(key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_may_be_empty() {
        for text in ["", "web", "1.2", "a_b"] {
            assert_eq!(value(text), Ok(()), "{text}");
        }
        for text in ["-", "a/b", "a b", "a.", &"a".repeat(64)] {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
