//! Patterns over whole names, with the rules of Go's `filepath.Match`, which Spiderpool uses.

/// Whether all of `name` matches `pattern`: `*` any run without `/`, `?` one character but `/`, `[a-z]` and `[^a-z]`
/// one character of a class, `\` takes the next character as it is. A malformed pattern matches nothing.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star was and how far it reaches: the only place to go back to.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            None if n == name.len() => return true,
            None => None,
            Some(_) => name.get(n).and_then(|&c| one(&pattern[p..], c)),
        };
        match (step, star) {
            (Some(width), _) => (p, n) = (p + width, n + 1),
            (None, Some((after, reach))) if name.get(reach).is_some_and(|&c| c != '/') => {
                star = Some((after, reach + 1));
                (p, n) = (after, reach + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How many characters of the pattern match `c`, or none.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => (c != '/').then_some(1),
        ['\\', literal, ..] => (*literal == c).then_some(2),
        ['\\'] => None,
        ['[', class @ ..] => {
            let (width, matched) = class_of(class, c)?;
            matched.then_some(width + 1)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

/// The width of a class up to and with its `]`, and whether `c` is in it.
fn class_of(class: &[char], c: char) -> Option<(usize, bool)> {
    let negated = class.first() == Some(&'^');
    let mut at = usize::from(negated);
    let mut matched = false;
    let mut empty = true;
    loop {
        if class.get(at) == Some(&']') && !empty {
            return Some((at + 1, matched != negated));
        }
        let low = escaped(class, &mut at)?;
        let high = if class.get(at) == Some(&'-') {
            at += 1;
            escaped(class, &mut at)?
        } else {
            low
        };
        matched |= (low..=high).contains(&c);
        empty = false;
    }
}

fn escaped(class: &[char], at: &mut usize) -> Option<char> {
    let c = match class.get(*at)? {
        '-' | ']' => return None,
        '\\' => {
            *at += 1;
            *class.get(*at)?
        }
        c => *c,
    };
    *at += 1;
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_go() {
        let cases = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[]a]", "]", false),
            ("[-]", "-", false),
            ("[", "a", false),
            ("a[", "a", false),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("pool-?-v4", "pool-a-v4", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} against {name}");
        }
    }
}
