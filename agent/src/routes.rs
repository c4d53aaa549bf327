//! Routes that a pod asks for by itself, beside those of its pools.

use std::net::IpAddr;

use serde::Deserialize;
use spiderpool_crd::keys::ANNOTATION_ROUTES;
use spiderpool_ip::{Cidr, Family, parse_address};
use spiderpool_wire::ErrorCode;
use spiderpool_wire::ipam::{IpConfig, Route};

use crate::failure::Failure;

/// A route of the annotation; the interface is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodRoute {
    /// The destination.
    pub dst: Cidr,
    /// The gateway, of the same family.
    pub gw: IpAddr,
}

#[derive(Deserialize)]
struct Written {
    dst: String,
    gw: String,
}

/// The routes of a pod's annotation, in the order written; none without it.
///
/// # Errors
/// The annotation is no JSON of the right shape, or a route of it is none.
pub(crate) fn of(annotations: &[(String, String)]) -> Result<Vec<PodRoute>, Failure> {
    let Some((_, text)) = annotations.iter().find(|(key, _)| key == ANNOTATION_ROUTES) else { return Ok(Vec::new()) };
    read(text).map_err(|error| {
        let message = format!(
            "wrong input: the pod annotation {ANNOTATION_ROUTES} cannot be used: {error}; it is `{}`; write for example \
             `[{{\"dst\": \"10.0.0.0/16\", \"gw\": \"10.6.0.1\"}}]`",
            excerpt(text)
        );
        Failure::new(ErrorCode::Refused, message)
    })
}

fn read(text: &str) -> Result<Vec<PodRoute>, String> {
    let routes: Vec<Written> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    routes.into_iter().map(route).collect()
}

fn route(Written { dst, gw }: Written) -> Result<PodRoute, String> {
    let network: Cidr = dst.parse().map_err(|error| format!("dst {dst:?}: {error}"))?;
    let gateway = parse_address(&gw).map_err(|error| format!("gw {gw:?}: {error}"))?;
    if network.family() != Family::of(gateway) {
        return Err(format!("dst {dst} and gw {gw} are of different families"));
    }
    Ok(PodRoute { dst: network.canonical(), gw: gateway })
}

fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(512)]
}

/// Adds the pod's routes to those of its pools: each goes to the interface of the first address whose network holds the
/// gateway. There, it takes the place of a pool's route to the same destination: an interface cannot have both. What is
/// left has no such interface.
pub(crate) fn add(routes: &mut Vec<Route>, addresses: &[IpConfig], of_pod: Vec<PodRoute>) -> Vec<PodRoute> {
    let mut left = Vec::new();
    for PodRoute { dst, gw } in of_pod {
        match addresses.iter().find(|ip| ip.address.contains(gw)) {
            None => left.push(PodRoute { dst, gw }),
            Some(IpConfig { nic, .. }) => {
                routes.retain(|route| route.if_name != *nic || route.dst != dst);
                routes.push(Route { if_name: nic.clone(), dst, gw });
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(text: &str) -> Result<Vec<PodRoute>, String> {
        of(&[(ANNOTATION_ROUTES.into(), text.into())]).map_err(|failure| failure.message)
    }

    fn route(if_name: &str, dst: &str, gw: &str) -> Route {
        Route { if_name: if_name.into(), dst: dst.parse().unwrap(), gw: gw.parse().unwrap() }
    }

    #[test]
    fn what_cannot_be_a_route_is_told_with_the_text() {
        let cases = [
            ("10.0.0.0/16", "expected a sequence"),
            (r#"[{"dst": "10.0.0.0/16"}]"#, "missing field `gw`"),
            (r#"[{"dst": "10.0.0.0", "gw": "10.6.0.1"}]"#, "dst \"10.0.0.0\""),
            (r#"[{"dst": "10.0.0.0/16", "gw": "10.6.0.1/24"}]"#, "gw \"10.6.0.1/24\""),
            (r#"[{"dst": "fd00::/16", "gw": "10.6.0.1"}]"#, "different families"),
        ];
        for (text, part) in cases {
            let error = annotated(text).unwrap_err();
            for part in ["wrong input", ANNOTATION_ROUTES, part, text] {
                assert!(error.contains(part), "no {part:?} in: {error}");
            }
        }
        assert_eq!(of(&[]), Ok(Vec::new()));
        assert_eq!(annotated("[]"), Ok(Vec::new()));
    }

    #[test]
    fn each_goes_where_its_gateway_is_and_before_the_pools() {
        let addresses: Vec<IpConfig> = serde_json::from_value(serde_json::json!([
            {"version": 4, "address": "10.6.0.10/24", "nic": "eth0"},
            {"version": 6, "address": "fd06::10/64", "nic": "eth0"},
            {"version": 4, "address": "10.7.0.10/24", "nic": "net1"},
        ]))
        .unwrap();
        let mut routes = vec![route("eth0", "0.0.0.0/0", "10.6.0.1"), route("net1", "0.0.0.0/0", "10.7.0.1")];
        let asked = r#"[{"dst": "10.9.1.1/16", "gw": "10.7.0.2"}, {"dst": "0.0.0.0/0", "gw": "10.6.0.2"},
                        {"dst": "fd99::/64", "gw": "fd06::1"}, {"dst": "10.8.0.0/16", "gw": "10.99.0.1"}]"#;
        let left = add(&mut routes, &addresses, annotated(asked).unwrap());
        let expected = [
            route("net1", "0.0.0.0/0", "10.7.0.1"),
            route("net1", "10.9.0.0/16", "10.7.0.2"),
            route("eth0", "0.0.0.0/0", "10.6.0.2"),
            route("eth0", "fd99::/64", "fd06::1"),
        ];
        assert_eq!(routes, expected);
        assert_eq!(left.iter().map(|route| route.gw.to_string()).collect::<Vec<_>>(), ["10.99.0.1"]);
    }
}
