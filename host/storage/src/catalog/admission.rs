//! Asking whether an object may be in force.

use serde_json::Value;

use crate::catalog::Catalog;

/// Judges objects before they come into force, as admission webhooks do in a cluster.
pub trait Admission: Send + Sync {
    /// Answers with the object as it is to be (defaults filled in), or with everything that is wrong with it.
    ///
    /// Called from a thread that may block. Not called for an object that is the same as the one in force.
    ///
    /// # Errors
    /// All causes, each with its field.
    fn admit(&self, review: Review<'_>) -> Result<Value, Vec<Denial>>;
}

/// An object that wants to come into force.
#[derive(Clone, Debug)]
pub struct Review<'a> {
    /// Whether there is one already.
    pub operation: Operation,
    /// The kind, such as `SpiderIPPool`.
    pub kind: &'a str,
    /// The namespace; `None` for kinds that have none.
    pub namespace: Option<&'a str>,
    /// The name.
    pub name: &'a str,
    /// The object as written.
    pub object: Value,
    /// The object in force, as admitted.
    pub old: Option<&'a Value>,
    /// What is in force, the documents before this one included.
    pub accepted: &'a Catalog,
}

/// What happens to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// There is none of that kind and name yet.
    Create,
    /// One is in force.
    Update,
}

/// A cause for refusing an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The field, such as `spec.ips[2]`; empty when it is about the whole object.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Admits every object as written. What cannot be read as its kind is refused all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptAll;

impl Admission for AcceptAll {
    fn admit(&self, review: Review<'_>) -> Result<Value, Vec<Denial>> {
        Ok(review.object)
    }
}
