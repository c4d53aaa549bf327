//! `spec.ipVersion`.

use serde_json::Value;
use spiderpool_ip::Family;
use spiderpool_policy_guide::types;
use spiderpool_policy_guide::validation::{Cause, Facts};

use crate::cause;
use crate::document::{excerpt, value};

/// The field.
pub(crate) const FIELD: &str = "spec.ipVersion";

/// The family that is written; none where nothing is.
pub(crate) fn written(object: &Value) -> Result<Option<Family>, Cause> {
    let Some(found) = value(object, FIELD) else { return Ok(None) };
    match found.as_i64().and_then(|version| Family::try_from(version).ok()) {
        Some(family) => Ok(Some(family)),
        None => Err(cause::not_supported(FIELD, format!("{} is no IP version; write 4 or 6", excerpt(found)))),
    }
}

/// That the family is switched on.
pub(crate) fn enabled(family: Family, facts: &Facts) -> Result<(), Cause> {
    if facts.families.iter().any(|enabled| native(*enabled) == family) {
        return Ok(());
    }
    let message = format!(
        "{family} is disabled; set enableIPv{0} to true in Spiderpool's configuration, or write addresses of the other family",
        family.version()
    );
    Err(cause::forbidden(FIELD, message))
}

/// That a family, once written, stays.
pub(crate) fn unchanged(old: &Value, new: &Value) -> Result<(), Cause> {
    match (value(old, FIELD), value(new, FIELD)) {
        (Some(before), Some(after)) if before != after => {
            let message = format!(
                "the IP version is not changeable from {} to {}; restore it, or make a new object",
                excerpt(before),
                excerpt(after)
            );
            Err(cause::forbidden(FIELD, message))
        }
        _ => Ok(()),
    }
}

/// The same family in arithmetic.
fn native(family: types::Family) -> Family {
    match family {
        types::Family::Ipv4 => Family::V4,
        types::Family::Ipv6 => Family::V6,
    }
}
