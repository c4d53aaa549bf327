//! Durations as Kubernetes has them, whole numbers with a unit, and days.

/// Ten years: what the contract allows.
const MOST: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// Milliseconds of `30s`, `1h30m` or `7d`. None for anything else, and for more than ten years.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (number, more) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, more) = more.split_at(more.find(|c: char| c.is_ascii_digit()).unwrap_or(more.len()));
        let scale = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = more;
    }
    (!text.is_empty() && sum <= MOST).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn numbers_with_units_add_up() {
        let cases = [
            ("0s", 0),
            ("30s", 30_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("3650d", 315_360_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_too_long_is_none() {
        for text in
            ["", "10", "s", "10 m", "-5s", "+5s", "1.5h", "10min", "5m3", "1w", "3651d", "99999999999999999999s", "٣s"]
        {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
