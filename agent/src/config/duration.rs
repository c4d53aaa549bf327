//! Durations as Go writes them: `50s`, `1m30s`, `1.5h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Spiderpool's bound: a request must end before the plugin gives up waiting for the agent.
const LONGEST_REQUEST: Duration = Duration::from_secs(100);

/// `iaasNetworkProvider.httpRequestTimeout`; empty stands for Spiderpool's default.
pub(super) fn request_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    match parse(&text) {
        Some(timeout) if timeout > Duration::ZERO && timeout < LONGEST_REQUEST => Ok(Some(timeout)),
        Some(_) => Err(de::Error::custom(format!("{text:?} is not between 0s and 100s"))),
        None => Err(de::Error::custom(format!("{text:?} is no duration; write one such as \"50s\" or \"1m30s\""))),
    }
}

/// Longer than this nobody waits for one answer from the network that a pod is about to join.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// `detectOptions.interval` and `.timeout`.
pub(super) fn of_detection<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    match parse(&text) {
        Some(time) if time <= LONGEST_ANSWER => Ok(time),
        Some(_) => Err(de::Error::custom(format!("{text:?} is more than 10s"))),
        None => Err(de::Error::custom(format!("{text:?} is no duration; write one such as \"100ms\""))),
    }
}

/// A sum of numbers with units, without blanks.
fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("50s", Some(50_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("300ms", Some(300)),
            ("0", Some(0)),
            ("", None),
            ("50", None),
            ("s", None),
            ("5 s", None),
            ("1d", None),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), milliseconds.map(Duration::from_millis), "{text:?}");
        }
    }
}
