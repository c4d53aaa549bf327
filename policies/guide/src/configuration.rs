//! From settings, which arrive as JSON text, to a type of the policy's own.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bindings::settings::Problem;

/// The settings of a policy that has none: only `{}` is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads `settings` into a type of the policy's own. Give that type `#[serde(deny_unknown_fields)]`, or a key that is
/// misspelt is silently ignored.
///
/// # Errors
/// One problem that says what was found where and what would be right, fit to be returned from `check` as it is.
pub fn parse<T: DeserializeOwned>(settings: &str) -> Result<T, Vec<Problem>> {
    serde_json::from_str(settings).map_err(|error| vec![problem(&error.to_string())])
}

/// A problem of the setting `field`; an empty `field` means the settings as a whole.
#[must_use]
pub fn problem_of(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: message.to_owned() }
}

/// Problems in one line, for policies that have to answer a question in spite of wrong settings.
#[must_use]
pub fn sentence(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| match problem.field.as_str() {
        "" => problem.message.clone(),
        field => [field, ": ", &problem.message].concat(),
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// Takes the key out of those messages that begin with one.
fn problem(error: &str) -> Problem {
    let field = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| error.strip_prefix(start)?.split_once('`'))
        .map_or("", |(field, _)| field);
    problem_of(field, &["these settings cannot be used: ", error].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Racks {
        rack_label: String,
        #[serde(default)]
        strict: bool,
    }

    #[test]
    fn right_settings_become_the_policys_own_type() {
        let expected = Racks { rack_label: "rack".to_owned(), strict: false };
        assert_eq!(parse(r#"{"rackLabel": "rack"}"#), Ok(expected));
        assert_eq!(parse("{}"), Ok(NoSettings {}));
    }

    #[test]
    fn wrong_settings_name_the_field_and_what_would_be_right() {
        let cases = [
            (r#"{"rackLable": "rack"}"#, "rackLable", "expected `rackLabel` or `strict`"),
            ("{}", "rackLabel", "missing field"),
            (r#"{"rackLabel": "a", "rackLabel": "b"}"#, "rackLabel", "duplicate field"),
            (r#"{"rackLabel": 7}"#, "", "invalid type: integer `7`, expected a string"),
            ("[]", "", "invalid length 0"),
            ("{", "", "EOF while parsing"),
        ];
        for (settings, field, message) in cases {
            let problems = parse::<Racks>(settings).expect_err(settings);
            assert_eq!(problems.len(), 1, "{settings}");
            assert_eq!(problems[0].field, field, "{settings}");
            assert!(problems[0].message.contains(message), "{settings}: {}", problems[0].message);
        }
    }

    #[test]
    fn a_policy_without_settings_says_which_one_it_does_not_know() {
        let problems = parse::<NoSettings>(r#"{"colour": 1}"#).expect_err("an unknown field");
        assert_eq!(problems[0].field, "colour");
        assert_eq!(sentence(&problems[..1]), ["colour: ", &problems[0].message].concat());
    }
}
