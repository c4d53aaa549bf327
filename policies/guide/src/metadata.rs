//! Labels and annotations.

/// Labels, made ready for many questions: the text is cut into pairs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Labels<'a> {
    /// The labels that a text of the contract holds.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        Self(pairs(text).collect())
    }

    /// The value of the label `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(candidate, _)| same_key(candidate, key)).map(|(_, value)| *value)
    }
}

/// Keys and values of labels, in the order of their keys.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once('='))
}

/// The value of one label. For more than a few questions to the same text, see [`Labels`].
#[must_use]
pub fn label<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text).find(|(candidate, _)| same_key(candidate, key)).map(|(_, value)| value)
}

/// The value of the annotation `key`.
#[must_use]
pub fn annotation<'a>(annotations: &'a [(String, String)], key: &str) -> Option<&'a str> {
    annotations.iter().find(|(candidate, _)| same_key(candidate, key)).map(|(_, value)| value.as_str())
}

/// Keys share long beginnings (`app.kubernetes.io/…`) and differ in their last letter, so that goes first: comparing all
/// bytes is a call of its own, and thousands of pools ask for the same dozen labels.
fn same_key(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.as_bytes().last() == b.as_bytes().last() && a == b
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
        assert_eq!(Labels::of(""), Labels::default());
    }

    #[test]
    fn annotations_hold_any_text() {
        let annotations = [("a".to_owned(), "{\n\"b\": 1}".to_owned())];
        assert_eq!(annotation(&annotations, "a"), Some("{\n\"b\": 1}"));
        assert_eq!(annotation(&annotations, "b"), None);
    }
}
