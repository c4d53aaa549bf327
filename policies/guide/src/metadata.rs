//! Labels and annotations.
//!
//! Loops are what the sandbox meters, so a byte at a time is slow in there: here text is walked eight bytes at a time.

/// Labels, made ready for many questions: the text is cut into lines once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a>(Vec<&'a str>);

impl<'a> Labels<'a> {
    /// The labels that a text of the contract holds.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        Self(lines(text).collect())
    }

    /// The value of the label `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|line| value_in(line, key))
    }

    /// Whether the line `key=value` is among them: the quickest of questions.
    #[must_use]
    pub fn has(&self, line: &str) -> bool {
        self.0.iter().any(|candidate| same(candidate, line))
    }
}

/// The lines `key=value` of labels, in the order of their keys.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = line_end(rest.as_bytes());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

/// The value of one label. For more than a few questions to the same text, see [`Labels`].
#[must_use]
pub fn label<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    lines(text).find_map(|line| value_in(line, key))
}

/// The value of the annotation `key`.
#[must_use]
pub fn annotation<'a>(annotations: &'a [(String, String)], key: &str) -> Option<&'a str> {
    annotations.iter().find(|(candidate, _)| same(candidate, key)).map(|(_, value)| value.as_str())
}

fn value_in<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let is_key = line.as_bytes().get(key.len()) == Some(&b'=') && same(&line[..key.len()], key);
    is_key.then(|| &line[key.len() + 1..])
}

/// Keys share long beginnings (`app.kubernetes.io/…`) and differ at their ends, so these go first.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() || a.last() != b.last() {
        return false;
    }
    let (words_a, rest_a) = a.as_chunks::<8>();
    let (words_b, rest_b) = b.as_chunks::<8>();
    words_a.iter().zip(words_b).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b)) && rest_a == rest_b
}

/// Where the first line ends: at its line break, or at the end of the text.
fn line_end(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // A byte is zero here where it is a line break there; the lowest top bit that is set belongs to the first such.
        let zeroed = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        let found = zeroed.wrapping_sub(ONES) & !zeroed & TOPS;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    text.len() - rest.len() + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_their_whole_key() {
        let text = "app=web\napp.kubernetes.io/name=shop\nempty=\nodd=a=b\n";
        let labels = Labels::of(text);
        let cases = [
            ("app", Some("web")),
            ("app.kubernetes.io/name", Some("shop")),
            ("empty", Some("")),
            ("odd", Some("a=b")),
            ("ap", None),
            ("name", None),
            ("web", None),
            ("", None),
        ];
        for (key, value) in cases {
            assert_eq!((labels.get(key), label(text, key)), (value, value), "{key}");
        }
        assert!(labels.has("app=web") && !labels.has("app=we") && !labels.has("pp=web"));
        assert_eq!(Labels::of(""), Labels::default());
    }

    #[test]
    fn lines_end_wherever_they_end() {
        for first in 0..40 {
            for second in 0..20 {
                let (first, second) = ("a".repeat(first), "b".repeat(second));
                for text in [format!("{first}\n{second}"), format!("{first}\n{second}\n")] {
                    assert_eq!(lines(&text).collect::<Vec<_>>(), text.lines().collect::<Vec<_>>(), "{text:?}");
                }
            }
        }
        assert_eq!(lines("größe=ä\nb=c").collect::<Vec<_>>(), ["größe=ä", "b=c"]);
    }

    #[test]
    fn annotations_hold_any_text() {
        let annotations = [("a".to_owned(), "{\n\"b\": 1}".to_owned())];
        assert_eq!(annotation(&annotations, "a"), Some("{\n\"b\": 1}"));
        assert_eq!(annotation(&annotations, "b"), None);
    }
}
