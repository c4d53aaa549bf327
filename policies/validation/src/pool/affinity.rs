//! `spec.podAffinity`. The other selectors of a pool are read when they are used.

use serde_json::Value;
use spiderpool_policy_guide::validation::Cause;

use super::OWNER_APPLICATION;
use crate::document::{as_text, excerpt, has_label, list, value};
use crate::{cause, label};

const FIELD: &str = "spec.podAffinity";
const LABELS: &str = "spec.podAffinity.matchLabels";
const EXPRESSIONS: &str = "spec.podAffinity.matchExpressions";

/// The keys by which a pool that was made for one application names it. Their values are no label values.
const APPLICATION: [&str; 5] = [
    "ipam.spidernet.io/app-api-group",
    "ipam.spidernet.io/app-api-version",
    "ipam.spidernet.io/app-kind",
    "ipam.spidernet.io/app-namespace",
    "ipam.spidernet.io/app-name",
];

/// A label selector that says something; in a pool that was made for one application, the keys that name it.
pub(super) fn review(object: &Value) -> Vec<Cause> {
    let Some(affinity) = value(object, FIELD) else { return Vec::new() };
    if !affinity.is_object() {
        let message =
            format!("{} is not a label selector; write matchLabels or matchExpressions in it", excerpt(affinity));
        return vec![cause::invalid(FIELD, message)];
    }
    let (labels, expressions) = match (labels(object), list(object, EXPRESSIONS)) {
        (Ok(labels), Ok(expressions)) => (labels, expressions),
        (labels, expressions) => return labels.err().into_iter().chain(expressions.err()).collect(),
    };
    if has_label(object, OWNER_APPLICATION) {
        return of_application(&labels, expressions);
    }
    if labels.is_empty() && expressions.is_empty() {
        let message = "the selector is empty; write matchLabels or matchExpressions in it, or leave podAffinity out to serve every pod";
        return vec![cause::required(FIELD, message)];
    }
    let labels = labels.into_iter().flat_map(|(key, value)| match_label(key, value));
    let expressions =
        expressions.iter().enumerate().flat_map(|(index, it)| expression(it, &format!("{EXPRESSIONS}[{index}]")));
    labels.chain(expressions).collect()
}

fn labels(object: &Value) -> Result<Vec<(&str, &Value)>, Cause> {
    match value(object, LABELS) {
        None => Ok(Vec::new()),
        Some(Value::Object(labels)) => Ok(labels.iter().map(|(key, value)| (key.as_str(), value)).collect()),
        Some(other) => {
            Err(cause::invalid(LABELS, format!("{} is not a mapping; write `key: value` lines", excerpt(other))))
        }
    }
}

fn of_application(labels: &[(&str, &Value)], expressions: &[Value]) -> Vec<Cause> {
    let strangers = labels.iter().filter(|(key, _)| !APPLICATION.contains(key)).map(|(key, _)| {
        let keys = APPLICATION.join(", ");
        let message = format!("`{key}` is not for a pool that was made for one application; write only {keys}");
        cause::forbidden(LABELS, message)
    });
    let mut causes: Vec<Cause> = strangers.collect();
    if !expressions.is_empty() {
        let message = "a pool that was made for one application has none; remove matchExpressions";
        causes.push(cause::forbidden(EXPRESSIONS, message));
    }
    causes
}

fn match_label(key: &str, value: &Value) -> Vec<Cause> {
    let wrong_key = label::key(key).map_err(|message| cause::invalid(LABELS, message));
    let path = format!("{LABELS}[{key}]");
    [wrong_key.err(), label_value(value, &path).err()].into_iter().flatten().collect()
}

fn label_value(value: &Value, path: &str) -> Result<(), Cause> {
    let text = as_text(value, path)?;
    label::value(text).map_err(|message| cause::invalid(path, message))
}

fn expression(expression: &Value, path: &str) -> Vec<Cause> {
    let at = |part: &str| format!("{path}.{part}");
    let mut causes: Vec<Cause> = key(expression, &at("key")).err().into_iter().collect();
    let values = match list(expression, "values") {
        Ok(values) => values,
        Err(cause) => {
            causes.push(Cause { field: at("values"), ..cause });
            return causes;
        }
    };
    let listed = values.iter().enumerate();
    causes.extend(listed.filter_map(|(index, value)| label_value(value, &format!("{path}.values[{index}]")).err()));
    causes.extend(operator(expression, values.len(), &at("operator"), &at("values")).err());
    causes
}

fn key(expression: &Value, path: &str) -> Result<(), Cause> {
    let found = value(expression, "key").ok_or_else(|| cause::required(path, "write the key of a label"))?;
    label::key(as_text(found, path)?).map_err(|message| cause::invalid(path, message))
}

fn operator(expression: &Value, values: usize, path: &str, values_path: &str) -> Result<(), Cause> {
    match value(expression, "operator").and_then(Value::as_str) {
        Some("In" | "NotIn") if values == 0 => {
            Err(cause::required(values_path, "In and NotIn compare with values; write at least one"))
        }
        Some("Exists" | "DoesNotExist") if values > 0 => {
            Err(cause::forbidden(values_path, "Exists and DoesNotExist compare with nothing; remove the values"))
        }
        Some("In" | "NotIn" | "Exists" | "DoesNotExist") => Ok(()),
        _ => {
            let found = value(expression, "operator").map_or_else(|| "nothing".to_owned(), excerpt);
            let message = format!("{found} is no operator; write In, NotIn, Exists or DoesNotExist");
            Err(cause::not_supported(path, message))
        }
    }
}
