//! Addresses in the text fields of specifications, and which item of which field is wrong.

use std::fmt::Display;

use serde::{Deserialize, Deserializer};
use spiderpool_ip::{Family, IpRange, IpSet, SetError};

/// A field that does not hold what it must, by its path in the object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FieldError {
    /// The path, such as `spec.ips[2]`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl FieldError {
    pub(crate) fn new(path: impl Into<String>, problem: impl Display) -> Self {
        Self { path: path.into(), problem: problem.to_string() }
    }
}

/// The addresses of the list `field`, all of `family`.
pub(crate) fn addresses(field: &str, family: Family, items: &[String]) -> Result<IpSet, FieldError> {
    let mut ranges = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = || format!("{field}[{index}]");
        let range: IpRange = item.parse().map_err(|problem| FieldError::new(path(), problem))?;
        if range.family() != family {
            return Err(FieldError::new(path(), SetError::Family { range, family }));
        }
        ranges.push(range);
    }
    IpSet::from_ranges(family, ranges).map_err(|problem| FieldError::new(field, problem))
}

/// Reads a list that may be `null`, as the API server prunes it: `excludeIPs:` with nothing after it is an empty list.
pub(crate) fn null_as_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
