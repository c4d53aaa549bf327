//! `spec.gateway`.

use serde_json::Value;
use spiderpool_ip::{Cidr, parse_address};
use spiderpool_policy_guide::validation::Cause;

use super::space::{self, Space};
use crate::cause;
use crate::document::text;

const FIELD: &str = "spec.gateway";

/// An address of the subnet that the pool does not give to a pod; `space` is none where that is not known.
pub(super) fn review(object: &Value, subnet: Cidr, space: Option<&Space>) -> Result<(), Cause> {
    let Some(text) = text(object, FIELD)? else { return Ok(()) };
    let gateway = parse_address(text).map_err(|error| cause::invalid(FIELD, error))?;
    if !subnet.contains(gateway) {
        let message =
            format!("the gateway {gateway} is not inside the subnet {subnet}; write an address of {}", subnet.range());
        return Err(cause::invalid(FIELD, message));
    }
    if space.is_some_and(|space| space.contains(gateway)) {
        let message = format!(
            "the gateway {gateway} is among the pool's addresses, and a pod would get it; take it out of {}, or add it to {}",
            space::IPS,
            space::EXCLUDED
        );
        return Err(cause::forbidden(FIELD, message));
    }
    Ok(())
}
