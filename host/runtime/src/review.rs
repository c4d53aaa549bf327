//! Asking the validation chain about an object.

use serde_json::Value;
use spiderpool_crd::policy::ExtensionPoint;
use thiserror::Error;

use crate::bindings::{Cause, Change, Facts, Operation, Outcome, Proposal};
use crate::failure::CallFailure;
use crate::loaded::Policy;
use crate::set::PolicySet;

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
    /// The object after all changes of the chain.
    ///
    /// # Errors
    /// A policy denies it, or fails and is not to be passed over.
    pub fn review(&self, review: Review, facts: Facts) -> Result<Value, ReviewError> {
        let Review { operation, kind, name, mut object, old } = review;
        let old = old.map(|old| old.to_string().into_bytes());
        for policy in self.at(ExtensionPoint::Validation) {
            let proposal = Proposal {
                operation,
                kind: kind.clone(),
                name: name.clone(),
                object: object.to_string().into_bytes(),
                old: old.clone(),
                extra: Vec::new(),
            };
            match ask(policy, &proposal, &facts, &object) {
                Ok(_) if policy.is_shadow() => {}
                Ok(Ok(changed)) => object = changed,
                Ok(Err(_)) | Err(_) if policy.is_shadow() => policy.count_difference(),
                Ok(Err(causes)) => return Err(ReviewError::Denied { policy: policy.name.clone(), causes }),
                Err(_) if policy.falls_back() => {}
                Err(failure) => return Err(ReviewError::PolicyFailed { policy: policy.name.clone(), failure }),
            }
        }
        Ok(object)
    }
}

fn ask(
    policy: &Policy,
    proposal: &Proposal,
    facts: &Facts,
    object: &Value,
) -> Result<Result<Value, Vec<Cause>>, CallFailure> {
    match policy.review(proposal, facts)? {
        Outcome::Deny(causes) if causes.is_empty() => {
            let failure = CallFailure::Wrong("a denial without a cause".into());
            policy.count_wrong("review", &failure);
            Err(failure)
        }
        Outcome::Deny(causes) => Ok(Err(causes)),
        Outcome::Allow(changes) => {
            let mut object = object.clone();
            for Change { path, value } in &changes {
                apply(&mut object, path, value.as_deref()).map_err(|what| {
                    let failure = CallFailure::Wrong(what);
                    policy.count_wrong("review", &failure);
                    failure
                })?;
            }
            Ok(Ok(object))
        }
    }
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
