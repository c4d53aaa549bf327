//! From what the ledger holds to what the socket says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use spiderpool_ip::{Cidr, Family};
use spiderpool_storage::{Allocation, Endpoint, Lease};
use spiderpool_wire::endpoint::{EndpointRoute, InterfaceStatus, WorkloadEndpointStatus};
use spiderpool_wire::ipam::{IpConfig, IpamAddResponse, Route};
use spiderpool_wire::summary::AllocationSummary;

use crate::detection::Detection;

/// The addresses and routes of all of the pod's interfaces; the plugin keeps those of its own.
pub(crate) fn addresses<'a>(leases: impl IntoIterator<Item = &'a Lease>, detection: Detection<'_>) -> IpamAddResponse {
    let mut response = IpamAddResponse { detect_options: detection.options(), ..IpamAddResponse::default() };
    for lease in leases {
        let Ok(address) = Cidr::new(lease.address, lease.prefix_length) else { continue };
        response.ips.push(IpConfig {
            version: lease.family(),
            address,
            nic: lease.interface.clone(),
            ip_pool: lease.pool.clone(),
            gateway: lease.gateway,
            vlan: 0,
            mac: String::new(),
            enable_gateway_detection: detection.gateway(&lease.pool),
            enable_ip_conflict_detection: detection.conflict(&lease.pool),
        });
        response.routes.extend(routes(lease));
    }
    response
}

/// The pool's routes, and the default route through its gateway unless that is not wanted.
fn routes(lease: &Lease) -> impl Iterator<Item = Route> {
    let through_gateway =
        lease.gateway.filter(|_| !lease.clean_gateway).map(|gateway| (everything(lease.family()), gateway));
    let of_pool = lease.routes.iter().filter_map(|route| Some((route.dst.parse().ok()?, route.gw.parse().ok()?)));
    of_pool.chain(through_gateway).map(|(dst, gw)| Route { if_name: lease.interface.clone(), dst, gw })
}

fn everything(family: Family) -> Cidr {
    let unspecified = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Cidr::new(unspecified, 0).expect("a prefix length of zero is always valid")
}

/// One row of `spiderpoolctl ip list`.
pub(crate) fn allocation(allocation: &Allocation) -> AllocationSummary {
    let Allocation { holder, node, lease, .. } = allocation;
    AllocationSummary {
        address: lease.address,
        pool: lease.pool.clone(),
        pod_namespace: holder.namespace.clone(),
        pod_name: holder.pod.clone(),
        pod_uid: holder.uid.clone(),
        interface: lease.interface.clone(),
        node: node.clone(),
        container_id: lease.container.clone(),
    }
}

/// What a pod has, by interface.
pub(crate) fn endpoint(endpoint: &Endpoint) -> WorkloadEndpointStatus {
    let mut interfaces: Vec<InterfaceStatus> = Vec::new();
    for lease in &endpoint.leases {
        let index = interfaces.iter().position(|nic| nic.interface == lease.interface).unwrap_or_else(|| {
            interfaces.push(InterfaceStatus { interface: lease.interface.clone(), ..Default::default() });
            interfaces.len() - 1
        });
        let nic = &mut interfaces[index];
        let gateway = lease.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        let (address, pool, of_gateway) = match lease.family() {
            Family::V4 => (&mut nic.ipv4, &mut nic.ipv4_pool, &mut nic.ipv4_gateway),
            Family::V6 => (&mut nic.ipv6, &mut nic.ipv6_pool, &mut nic.ipv6_gateway),
        };
        (*address, *pool, *of_gateway) = (lease.cidr(), lease.pool.clone(), gateway);
        nic.routes
            .extend(lease.routes.iter().map(|route| EndpointRoute { dst: route.dst.clone(), gw: route.gw.clone() }));
    }
    WorkloadEndpointStatus {
        pod_namespace: endpoint.holder.namespace.clone(),
        pod_name: endpoint.holder.pod.clone(),
        pod_uid: endpoint.holder.uid.clone(),
        node: endpoint.node.clone(),
        interfaces,
    }
}

#[cfg(test)]
mod tests {
    use spiderpool_storage::catalog::Catalog;

    use super::*;
    use crate::config::Config;

    fn lease(address: &str, clean_gateway: bool) -> Lease {
        Lease {
            interface: "eth0".into(),
            address: address.parse().unwrap(),
            prefix_length: 24,
            pool: "p".into(),
            gateway: Some("10.6.0.1".parse().unwrap()),
            routes: vec![spiderpool_crd::Route { dst: "10.9.0.0/16".into(), gw: "10.6.0.2".into() }],
            clean_gateway,
            container: "c1".into(),
            network: "underlay".into(),
        }
    }

    fn answer(lease: &Lease) -> IpamAddResponse {
        addresses([lease], Detection { config: &Config::default(), catalog: &Catalog::default() })
    }

    #[test]
    fn the_default_route_is_left_out_when_asked() {
        let routes = |clean| {
            let response = answer(&lease("10.6.0.5", clean));
            response.routes.iter().map(|route| route.dst.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(routes(false), ["10.9.0.0/16", "0.0.0.0/0"]);
        assert_eq!(routes(true), ["10.9.0.0/16"]);
    }

    #[test]
    fn the_plugin_is_told_what_to_ask_and_how() {
        let mut config = Config::default();
        config.enable_ip_conflict_detection = true;
        config.detect_options = serde_json::from_value(serde_json::json!({"retries": 7, "timeout": "20ms"})).unwrap();
        let told = addresses([&lease("10.6.0.5", true)], Detection { config: &config, catalog: &Catalog::default() });
        assert_eq!((told.detect_options.retries.get(), told.detect_options.timeout_milliseconds), (7, 20));
        assert!(told.ips[0].enable_ip_conflict_detection && !told.ips[0].enable_gateway_detection);
    }

    #[test]
    fn the_gateway_is_told_even_without_a_default_route() {
        let response = answer(&lease("10.6.0.5", true));
        assert_eq!(response.ips[0].gateway, Some("10.6.0.1".parse().unwrap()));
        assert_eq!(response.ips[0].address.to_string(), "10.6.0.5/24");
    }
}
