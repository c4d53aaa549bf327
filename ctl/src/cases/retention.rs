//! What became of a pod's addresses, beside what was expected.

use spiderpool_runtime::{Fate, RetainError, Retention};

use super::compare::Comparison;
use super::expectation::{FateExpectation, RetentionExpectation};

/// Compares what became of a pod's addresses. That a policy broke is never what was expected.
#[must_use]
pub fn compare_retention(
    RetentionExpectation { fate, reason }: &RetentionExpectation,
    retained: &Result<Retention, RetainError>,
) -> Comparison {
    let (actual, message) = match retained {
        Ok(Retention { failure: None, fate, message, .. }) => (Ok(expectation(*fate)), message.clone()),
        Ok(Retention { message, .. }) => (Err("nothing"), message.clone()),
        Err(error) => (Err("nothing"), error.to_string()),
    };
    let mut comparison = Comparison::default();
    let text = actual.map_or_else(str::to_owned, text);
    comparison.check(
        actual == Ok(*fate),
        &format!("retention: {}", self::text(*fate)),
        &format!("retention: {text}: {message}"),
    );
    if let Some(part) = reason {
        comparison.check(message.contains(part), &format!("reason: {part}"), &format!("reason: {message}"));
    }
    comparison
}

fn expectation(fate: Fate) -> FateExpectation {
    match fate {
        Fate::Keep => FateExpectation::Keep,
        Fate::Release => FateExpectation::Release,
        Fate::ReleaseAfter(time) => FateExpectation::After(time),
    }
}

fn text(fate: FateExpectation) -> String {
    match fate {
        FateExpectation::Keep => "keep".to_owned(),
        FateExpectation::Release => "release".to_owned(),
        FateExpectation::After(time) => format!("after {}", humantime::format_duration(time)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use spiderpool_runtime::CallFailure;

    use super::*;

    fn said(fate: Fate) -> Retention {
        Retention {
            policy: "builtin-retention".to_owned(),
            fate,
            message: "the set wants it".to_owned(),
            failure: None,
        }
    }

    fn compared(fate: FateExpectation, reason: Option<&str>, retained: Result<Retention, RetainError>) -> Comparison {
        compare_retention(&RetentionExpectation { fate, reason: reason.map(str::to_owned) }, &retained)
    }

    #[test]
    fn what_holds_is_written_alike() {
        let minute = Duration::from_secs(60);
        for (expected, fate) in [
            (FateExpectation::Keep, Fate::Keep),
            (FateExpectation::Release, Fate::Release),
            (FateExpectation::After(minute), Fate::ReleaseAfter(minute)),
        ] {
            assert!(compared(expected, Some("wants"), Ok(said(fate))).holds());
            assert!(!compared(expected, Some("no such words"), Ok(said(fate))).holds());
        }
    }

    #[test]
    fn what_differs_says_what_came_and_why() {
        let comparison = compared(FateExpectation::Keep, None, Ok(said(Fate::ReleaseAfter(Duration::from_secs(90)))));
        assert_eq!(comparison.expected, "retention: keep\n");
        assert_eq!(comparison.actual, "retention: after 1m 30s: the set wants it\n");
    }

    #[test]
    fn a_policy_that_breaks_is_never_what_was_expected() {
        let broken = Retention { failure: Some(CallFailure::Stack), ..said(Fate::Keep) };
        for retained in [Ok(broken), Err(RetainError::Nobody)] {
            let comparison = compared(FateExpectation::Keep, None, retained);
            assert!(comparison.actual.starts_with("retention: nothing: "), "{comparison:?}");
        }
    }
}
