//! Objects as JSON: reading single fields, and changing them.
//!
//! Fields are named by paths such as `spec.ips`, as causes name them. `null` counts as absent, as it does for the API
//! server.

use serde_json::{Value, json};
use spiderpool_policy_guide::phrase;
use spiderpool_policy_guide::validation::{Cause, Change};

use crate::cause;

/// What Spiderpool puts on objects that must not go before it has let them go.
pub(crate) const FINALIZER: &str = "spiderpool.spidernet.io";

const FINALIZERS: &str = "metadata.finalizers";

/// Reads an object.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Vec<Cause>> {
    let denial = |message: String| vec![cause::invalid("", message)];
    match serde_json::from_slice(bytes) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(denial("the object is JSON, but no mapping; write fields with `metadata` and `spec`".to_owned())),
        Err(error) => Err(denial(format!("the object is not JSON: {error}; write it anew"))),
    }
}

/// The value at `path`.
pub(crate) fn value<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// The text at `path`.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> Result<Option<&'a str>, Cause> {
    value(object, path).map(|value| as_text(value, path)).transpose()
}

/// The value as text; `path` says where it stands.
pub(crate) fn as_text<'a>(value: &'a Value, path: &str) -> Result<&'a str, Cause> {
    value.as_str().ok_or_else(|| cause::invalid(path, format!("{} is not text; write it in quotes", excerpt(value))))
}

/// The list at `path`; empty where there is none.
pub(crate) fn list<'a>(object: &'a Value, path: &str) -> Result<&'a [Value], Cause> {
    match value(object, path) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(cause::invalid(path, format!("{} is not a list; write it as one", excerpt(other)))),
    }
}

/// A value as a sentence can carry it.
pub(crate) fn excerpt(value: &Value) -> String {
    format!("`{}`", phrase::excerpt(&value.to_string()))
}

/// Whether the object is being deleted.
pub(crate) fn is_terminating(object: &Value) -> bool {
    value(object, "metadata.deletionTimestamp").is_some()
}

/// Whether [`FINALIZER`] is on the object.
pub(crate) fn has_finalizer(object: &Value) -> bool {
    value(object, FINALIZERS).and_then(Value::as_array).is_some_and(|items| items.iter().any(|item| item == FINALIZER))
}

/// Whether the object has the label `key`.
pub(crate) fn has_label(object: &Value, key: &str) -> bool {
    label(object, key).is_some()
}

fn label<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    value(object, "metadata.labels")?.get(key)
}

/// An object that is being filled in, and what has changed so far.
///
/// A field whose parent is something else than a mapping is left alone: the rules, or the API server, tell of it.
pub(crate) struct Draft {
    object: Value,
    changes: Vec<Change>,
}

impl Draft {
    /// A draft without changes.
    pub(crate) fn of(object: Value) -> Self {
        Self { object, changes: Vec::new() }
    }

    /// The object with all changes so far.
    pub(crate) fn object(&self) -> &Value {
        &self.object
    }

    /// All changes, in the order in which they were made.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Sets the value at `path`.
    pub(crate) fn set(&mut self, path: &str, value: Value) {
        let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
        self.set_key(parent, key, value);
    }

    /// Sets the label `key`, unless it has this value.
    pub(crate) fn set_label(&mut self, key: &str, value: &str) {
        if label(&self.object, key).is_none_or(|found| found != value) {
            self.set_key("metadata.labels", key, json!(value));
        }
    }

    /// Adds [`FINALIZER`] where it is missing.
    pub(crate) fn add_finalizer(&mut self) {
        if has_finalizer(&self.object) {
            return;
        }
        let Ok(others) = list(&self.object, FINALIZERS) else { return };
        let all = others.iter().cloned().chain([json!(FINALIZER)]).collect();
        self.set(FINALIZERS, Value::Array(all));
    }

    /// Sets `key`, which may have dots in it, of the mapping at `parent`; makes the mapping where there is none.
    fn set_key(&mut self, parent: &str, key: &str, value: Value) {
        if !parent.is_empty() && self::value(&self.object, parent).is_none() {
            self.set(parent, json!({}));
        }
        let pointer = parent.split('.').filter(|step| !step.is_empty()).fold(String::new(), |it, step| it + "/" + step);
        let Some(Value::Object(fields)) = self.object.pointer_mut(&pointer) else { return };
        let escaped = key.replace('~', "~0").replace('/', "~1");
        self.changes.push(Change { path: format!("{pointer}/{escaped}"), value: Some(value.to_string()) });
        fields.insert(key.to_owned(), value);
    }
}
