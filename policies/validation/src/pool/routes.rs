//! `spec.routes`.

use serde_json::Value;
use spiderpool_ip::{Cidr, parse_address};
use spiderpool_policy_guide::validation::Cause;

use crate::cause;
use crate::document::{list, text};

const FIELD: &str = "spec.routes";

/// Destinations of the pool's family, each once and none the default route; gateways inside the subnet.
pub(super) fn review(object: &Value, subnet: Cidr) -> Vec<Cause> {
    let routes = match list(object, FIELD) {
        Ok(routes) => routes,
        Err(cause) => return vec![cause],
    };
    let mut causes = Vec::new();
    let mut seen: Vec<Cidr> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let field = format!("{FIELD}[{index}]");
        match destination(route, &format!("{field}.dst"), subnet, &seen) {
            Ok(destination) => seen.push(destination),
            Err(cause) => causes.push(cause),
        }
        causes.extend(next_hop(route, &format!("{field}.gw"), subnet).err());
    }
    causes
}

fn destination(route: &Value, field: &str, subnet: Cidr, seen: &[Cidr]) -> Result<Cidr, Cause> {
    let family = subnet.family();
    let written = text_in(route, "dst", field)?.ok_or_else(|| {
        cause::required(field, "a route needs a destination; write a CIDR, like 10.0.0.0/24 or fd00::/64")
    })?;
    let destination: Cidr = written.parse().map_err(|error| cause::invalid(field, error))?;
    if destination.family() != family {
        let message =
            format!("{written} is {}, and the pool is {family}; write an {family} CIDR", destination.family());
        return Err(cause::invalid(field, message));
    }
    if destination.prefix() == 0 {
        let message = format!("{written} is the default route; write its gateway as spec.gateway");
        return Err(cause::forbidden(field, message));
    }
    let destination = destination.canonical();
    if seen.contains(&destination) {
        let message = format!("there is a route to {destination} already; keep one of them");
        return Err(cause::duplicate(field, message));
    }
    Ok(destination)
}

fn next_hop(route: &Value, field: &str, subnet: Cidr) -> Result<(), Cause> {
    let written = text_in(route, "gw", field)?.ok_or_else(|| {
        cause::required(field, format!("a route needs a gateway; write an address of {}", subnet.range()))
    })?;
    let gateway = parse_address(written).map_err(|error| cause::invalid(field, error))?;
    if subnet.contains(gateway) {
        return Ok(());
    }
    let message =
        format!("the gateway {gateway} is not inside the subnet {subnet}; write an address of {}", subnet.range());
    Err(cause::invalid(field, message))
}

/// The text that `route` has under `key`; `field` is where that stands in the object.
fn text_in<'a>(route: &'a Value, key: &str, field: &str) -> Result<Option<&'a str>, Cause> {
    text(route, key).map_err(|cause| Cause { field: field.to_owned(), ..cause })
}
