//! Names of pools that stand for several: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a character meant as it is.

use spiderpool_policy_guide::allocation::Source;

/// The source that an entry of a list of pools means.
///
/// # Errors
/// What is wrong with the pattern.
pub(crate) fn source(entry: &str) -> Result<Source, &'static str> {
    if entry.is_empty() {
        return Err("an entry is empty");
    }
    if !entry.contains(['*', '?', '[']) {
        return Ok(Source::Pool(entry.to_owned()));
    }
    check(entry)?;
    Ok(Source::Matching(entry.to_owned()))
}

/// Patterns as Go's `filepath.Match` reads them.
fn check(pattern: &str) -> Result<(), &'static str> {
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => {
                rest.next().ok_or("a `\\` at its end stands before nothing")?;
            }
            '[' => rest = class(rest)?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads a class after its `[` and returns what follows its `]`.
fn class(mut rest: std::str::Chars<'_>) -> Result<std::str::Chars<'_>, &'static str> {
    const OPEN: &str = "a `[` has no `]`";
    const EMPTY: &str = "a class has no character, or a range has no end; `[a-z]` would be right";
    if rest.as_str().starts_with('^') {
        rest.next();
    }
    let mut ranges = 0;
    loop {
        if ranges > 0 && rest.as_str().starts_with(']') {
            rest.next();
            return Ok(rest);
        }
        bound(&mut rest, OPEN, EMPTY)?;
        if rest.as_str().starts_with('-') {
            rest.next();
            bound(&mut rest, OPEN, EMPTY)?;
        }
        ranges += 1;
    }
}

/// Reads one end of a range of characters.
fn bound(rest: &mut std::str::Chars<'_>, open: &'static str, empty: &'static str) -> Result<(), &'static str> {
    match rest.next().ok_or(open)? {
        '-' | ']' => Err(empty),
        '\\' => rest.next().map(|_| ()).ok_or(open),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_or_patterns() {
        for name in ["pool", "pool-a.b", "a]b", "a^b"] {
            assert_eq!(source(name), Ok(Source::Pool(name.to_owned())));
        }
        for pattern in ["*", "pool-?", "pool-[a-z]", "[^a]*", "[a-cx]", "\\**", "[\\]]", "a*]"] {
            assert_eq!(source(pattern), Ok(Source::Matching(pattern.to_owned())));
        }
    }

    #[test]
    fn what_is_neither_is_explained() {
        let cases = [
            ("", "an entry is empty"),
            ("pool-[", "no `]`"),
            ("pool-[a", "no `]`"),
            ("pool-[^", "no `]`"),
            ("[]", "a class has no character"),
            ("[^]", "a class has no character"),
            ("[a-]", "a range has no end"),
            ("[-a]", "a class has no character"),
            ("*\\", "stands before nothing"),
            ("[\\", "no `]`"),
        ];
        for (entry, expected) in cases {
            let error = source(entry).expect_err(entry);
            assert!(error.contains(expected), "{entry}: {error}");
        }
    }
}
