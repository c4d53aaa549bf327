//! Sentences for people, within the bounds of the contract.

/// Bytes that a message may have; the host takes a longer one for a failure of the policy.
pub const MESSAGE_BYTES: usize = 4096;

/// Names in a list before the rest is counted: a person reads eight, and a pool may name thousands of nodes.
const NAMES: usize = 8;

/// Bytes of foreign text, such as an annotation, that a sentence repeats.
const EXCERPT_BYTES: usize = 512;

/// Names in backquotes with commas between them; where there are many, the first few and how many more.
#[must_use]
pub fn listing(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES)].join("`, `");
    match names.len() - names.len().min(NAMES) {
        0 => ["`", &shown, "`"].concat(),
        more => ["`", &shown, "` and ", &more.to_string(), " more"].concat(),
    }
}

/// Text that somebody else wrote, shortened to what a sentence can carry.
#[must_use]
pub fn excerpt(text: &str) -> String {
    match text.len() {
        0..=EXCERPT_BYTES => text.to_owned(),
        _ => [&text[..text.floor_char_boundary(EXCERPT_BYTES)], "…"].concat(),
    }
}

/// A message as the host accepts it: at most [`MESSAGE_BYTES`].
#[must_use]
pub fn bounded(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_after_eight_names() {
        let names: Vec<String> = (1..=10).map(|number| number.to_string()).collect();
        assert_eq!(listing(&names[..1]), "`1`");
        assert_eq!(listing(&names[..2]), "`1`, `2`");
        assert_eq!(listing(&names), "`1`, `2`, `3`, `4`, `5`, `6`, `7`, `8` and 2 more");
    }

    #[test]
    fn cuts_never_split_a_character() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ß".repeat(300)), "ß".repeat(256) + "…");
        assert_eq!(excerpt(&("x".to_owned() + &"ß".repeat(300))), "x".to_owned() + &"ß".repeat(255) + "…");
        assert_eq!(bounded("x".to_owned() + &"ß".repeat(4096)).len(), MESSAGE_BYTES - 1);
    }
}
