//! Asking the validation chain about an object.

use std::sync::Arc;

use serde_json::Value;
use spiderpool_crd::policy::ExtensionPoint;
use thiserror::Error;
use tracing::warn;

use crate::bindings::{Cause, Change, Facts, Operation, Outcome, Proposal};
use crate::failure::CallFailure;
use crate::set::{Asker, PolicySet};

/// An object that is to be created, changed or deleted.
#[derive(Clone, Debug)]
pub struct Review {
    /// What is done.
    pub operation: Operation,
    /// The kind, for instance `SpiderIPPool`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The object: as it is to be; as it is, when it is to be deleted.
    pub object: Value,
    /// The object as it was; for updates.
    pub old: Option<Value>,
}

/// Why an object is not to be.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ReviewError {
    /// A policy says no.
    #[error("denied by policy {policy}: {}", sentence(.causes))]
    Denied {
        /// Which.
        policy: String,
        /// Everything that is wrong.
        causes: Vec<Cause>,
    },
    /// A policy has no valid answer, and says that this means no.
    #[error("policy {policy} failed: {failure}")]
    PolicyFailed {
        /// Which.
        policy: String,
        /// How.
        failure: CallFailure,
    },
}

fn sentence(causes: &[Cause]) -> String {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>().join("; ")
}

impl PolicySet {
    /// The object after all changes of the chain. A policy that fails and may be done without is left out, and the
    /// review done again; scopes do not count, because there is no pod.
    ///
    /// # Errors
    /// A policy denies it, or fails and is not to be passed over.
    pub fn review(&self, review: Review, facts: Facts) -> Result<Value, ReviewError> {
        let old = review.old.as_ref().map(|old| old.to_string().into_bytes());
        let proposal = |object: &Value| Proposal {
            operation: review.operation,
            kind: review.kind.clone(),
            name: review.name.clone(),
            object: object.to_string().into_bytes(),
            old: old.clone(),
            extra: Vec::new(),
        };
        let mut without = Vec::new();
        let reviewed = loop {
            let asker = Asker { pod: None, without: &without };
            let chain = self.enforced(ExtensionPoint::Validation, asker);
            let mut object = review.object.clone();
            let mut answers = chain.iter().map(|policy| {
                let answer = policy.review(&proposal(&object), &facts, |outcome| read(outcome, &object));
                match answer {
                    Ok(Ok(changed)) => object = changed,
                    Ok(Err(causes)) => return Err((policy, Ok(causes))),
                    Err(failure) => return Err((policy, Err(failure))),
                }
                Ok(())
            });
            match answers.find_map(Result::err) {
                None => break Ok(object),
                Some((policy, Ok(causes))) => {
                    break Err(ReviewError::Denied { policy: policy.name().to_owned(), causes });
                }
                Some((policy, Err(failure))) if policy.falls_back() => {
                    warn!(policy = policy.name(), "reviewing without a policy that failed: {failure}");
                    without.push(Arc::clone(policy));
                }
                Some((policy, Err(failure))) => {
                    break Err(ReviewError::PolicyFailed { policy: policy.name().to_owned(), failure });
                }
            }
        };
        for policy in self.shadows(ExtensionPoint::Validation, None) {
            let answer = policy.review(&proposal(&review.object), &facts, |outcome| read(outcome, &review.object));
            if answer.is_ok_and(|answer| answer.is_ok()) != reviewed.is_ok() {
                policy.count_difference();
            }
        }
        reviewed
    }
}

/// The object with what the policy changes, or why it is denied.
fn read(outcome: Outcome, object: &Value) -> Result<Result<Value, Vec<Cause>>, CallFailure> {
    let changes = match outcome {
        Outcome::Deny(causes) if causes.is_empty() => {
            return Err(CallFailure::Wrong("a denial without a cause".into()));
        }
        Outcome::Deny(causes) => return Ok(Err(causes)),
        Outcome::Allow(changes) => changes,
    };
    let mut object = object.clone();
    for Change { path, value } in &changes {
        apply(&mut object, path, value.as_deref()).map_err(CallFailure::Wrong)?;
    }
    Ok(Ok(object))
}

/// Sets or removes what a JSON pointer (RFC 6901) names.
fn apply(object: &mut Value, path: &str, value: Option<&str>) -> Result<(), String> {
    let wrong = |what: &str| format!("a change of {path:?}: {what}");
    let value =
        value.map(serde_json::from_str::<Value>).transpose().map_err(|error| wrong(&format!("no JSON: {error}")))?;
    let (parent, key) = path.rsplit_once('/').ok_or_else(|| wrong("no JSON pointer; it begins with a slash"))?;
    let key = key.replace("~1", "/").replace("~0", "~");
    match (object.pointer_mut(parent), value) {
        (Some(Value::Object(parent)), Some(value)) => drop(parent.insert(key, value)),
        (Some(Value::Object(parent)), None) => drop(parent.remove(&key)),
        (Some(Value::Array(parent)), value) => {
            let index = if key == "-" { Some(parent.len()) } else { key.parse::<usize>().ok() };
            match (index, value) {
                (Some(index), Some(value)) if index < parent.len() => parent[index] = value,
                (Some(index), Some(value)) if index == parent.len() => parent.push(value),
                (Some(index), None) if index < parent.len() => drop(parent.remove(index)),
                _ => return Err(wrong("no such element")),
            }
        }
        _ => return Err(wrong("there is no object or list to hold it")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::apply;

    #[test]
    fn changes_set_and_remove_what_pointers_name() {
        let mut object = json!({"spec": {"ips": ["a", "b"]}});
        apply(&mut object, "/metadata", Some("{}")).unwrap();
        apply(&mut object, "/metadata/a~1b", Some("1")).unwrap();
        apply(&mut object, "/spec/ips/0", None).unwrap();
        apply(&mut object, "/spec/ips/-", Some(r#""c""#)).unwrap();
        assert_eq!(object, json!({"metadata": {"a/b": 1}, "spec": {"ips": ["b", "c"]}}));
    }

    #[test]
    fn changes_that_do_not_apply_are_told() {
        for (path, value) in [("", "1"), ("/nowhere/x", "1"), ("/spec/ips/7", "1"), ("/spec", "{")] {
            let mut object = json!({"spec": {"ips": ["a"]}});
            assert!(apply(&mut object, path, Some(value)).is_err(), "{path}");
        }
    }
}
