//! Kubernetes label selectors.
//!
//! Meaning as in `metav1.LabelSelector`: every part must hold, and a selector without parts matches everything.

use crate::bindings::types::{Operator, Requirement, Selector};
use crate::metadata::{self, Labels};
use crate::phrase::listing;

/// The part of a selector that does not hold, and what the label is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch<'a> {
    /// An entry of `matchLabels`.
    Label {
        /// The label's key.
        key: &'a str,
        /// The value that the selector wants.
        wanted: &'a str,
        /// The value that the label has; none when it is absent.
        found: Option<&'a str>,
    },
    /// An entry of `matchExpressions`.
    Requirement {
        /// The entry.
        requirement: &'a Requirement,
        /// The value that the label has; none when it is absent.
        found: Option<&'a str>,
    },
}

/// Whether every part of `selector` holds for `labels`.
#[must_use]
pub fn matches(selector: &Selector, labels: &Labels<'_>) -> bool {
    mismatch(selector, labels).is_none()
}

/// The first part of `selector` that does not hold for `labels`; none when it matches.
#[must_use]
pub fn mismatch<'a>(selector: &'a Selector, labels: &Labels<'a>) -> Option<Mismatch<'a>> {
    let mut wanted = metadata::lines(selector.match_labels.as_deref().unwrap_or_default());
    let label = wanted.find(|line| !labels.has(line)).map(|line| {
        let (key, wanted) = line.split_once('=').unwrap_or((line, ""));
        Mismatch::Label { key, wanted, found: labels.get(key) }
    });
    label.or_else(|| {
        selector.match_expressions.iter().flatten().find_map(|requirement| {
            let found = labels.get(&requirement.key);
            (!holds(requirement, found)).then_some(Mismatch::Requirement { requirement, found })
        })
    })
}

fn holds(requirement: &Requirement, found: Option<&str>) -> bool {
    let listed = || found.is_some_and(|found| requirement.values.iter().any(|value| value == found));
    match requirement.operator {
        Operator::IsIn => listed(),
        Operator::NotIn => !listed(),
        Operator::Exists => found.is_some(),
        Operator::DoesNotExist => found.is_none(),
    }
}

impl Mismatch<'_> {
    /// What is wanted and what is there, to follow the words "the label" or a name: for instance
    /// `` `zone` must be `a` and is `b` ``.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (key, wanted, found) = match self {
            Self::Label { key, wanted, found } => (*key, ["must be `", wanted, "`"].concat(), found),
            Self::Requirement { requirement, found } => (requirement.key.as_str(), wanted(requirement), found),
        };
        match found {
            Some(found) => ["`", key, "` ", &wanted, " and is `", found, "`"].concat(),
            None => ["`", key, "` ", &wanted, " and is absent"].concat(),
        }
    }
}

fn wanted(requirement: &Requirement) -> String {
    match requirement.operator {
        Operator::IsIn => ["must be one of ", &listing(&requirement.values)].concat(),
        Operator::NotIn => ["must be none of ", &listing(&requirement.values)].concat(),
        Operator::Exists => "must be present".to_owned(),
        Operator::DoesNotExist => "must be absent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(key: &str, operator: Operator, values: &[&str]) -> Selector {
        let values = values.iter().map(|value| String::from(*value)).collect();
        let requirement = Requirement { key: key.to_owned(), operator, values };
        Selector { match_labels: None, match_expressions: Some(vec![requirement]) }
    }

    #[test]
    fn every_operator_against_present_other_and_absent_labels() {
        use Operator::{DoesNotExist, Exists, IsIn, NotIn};
        let cases = [
            (IsIn, &["a", "b"][..], [true, false, false]),
            (NotIn, &["a", "b"], [false, true, true]),
            (Exists, &[], [true, true, false]),
            (DoesNotExist, &[], [false, false, true]),
            (IsIn, &[], [false, false, false]),
            (NotIn, &[], [true, true, true]),
        ];
        let situations = ["zone=a", "zone=c", "other=a"].map(Labels::of);
        for (operator, values, expected) in cases {
            let selector = expression("zone", operator, values);
            let found = situations.each_ref().map(|labels| matches(&selector, labels));
            assert_eq!(found, expected, "{operator:?} {values:?}");
        }
    }

    #[test]
    fn a_selector_without_parts_matches_everything() {
        let everything = Selector { match_labels: None, match_expressions: None };
        assert!(matches(&everything, &Labels::of("")));
        assert!(matches(&everything, &Labels::of("a=b")));
    }

    #[test]
    fn all_parts_must_hold() {
        let selector = Selector { match_labels: Some("a=1\nb=2".into()), ..expression("c", Operator::Exists, &[]) };
        assert!(matches(&selector, &Labels::of("a=1\nb=2\nc=")));
        for labels in ["b=2\nc=", "a=1\nc=", "a=1\nb=2"] {
            assert!(!matches(&selector, &Labels::of(labels)), "{labels}");
        }
    }

    #[test]
    fn a_mismatch_reads_as_a_sentence() {
        let zone = Selector { match_labels: Some("zone=a".into()), match_expressions: None };
        let cases = [
            (zone.clone(), "zone=b", "`zone` must be `a` and is `b`"),
            (zone, "", "`zone` must be `a` and is absent"),
            (expression("zone", Operator::IsIn, &["a", "b"]), "zone=c", "`zone` must be one of `a`, `b` and is `c`"),
            (expression("zone", Operator::NotIn, &["a"]), "zone=a", "`zone` must be none of `a` and is `a`"),
            (expression("zone", Operator::Exists, &[]), "", "`zone` must be present and is absent"),
            (expression("zone", Operator::DoesNotExist, &[]), "zone=a", "`zone` must be absent and is `a`"),
        ];
        for (selector, labels, expected) in cases {
            assert_eq!(mismatch(&selector, &Labels::of(labels)).map(|part| part.sentence()).as_deref(), Some(expected));
        }
    }
}
