//! What one pod has, and how Spiderpool writes it down.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use spiderpool_crd::endpoint::{NicAllocation, PodAllocation, SpiderEndpointFields};
use spiderpool_crd::{Route, SpiderEndpoint, SpiderEndpointStatus};
use spiderpool_ip::Family;

use crate::{Allocation, Holder, Owner};

/// An address of a NIC, and what its pool said about it when it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The NIC's name.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// The prefix length of the pool's subnet.
    pub prefix_length: u8,
    /// The pool's name.
    pub pool: String,
    /// The pool's gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The pool's routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Whether no default route goes through the gateway.
    #[serde(default)]
    pub clean_gateway: bool,
    /// The sandbox's id.
    pub container: String,
    /// The CNI network that asked; empty when none did yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
}

impl Lease {
    /// The family of the address.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// The address as it is put on an interface: `10.6.0.5/16`.
    #[must_use]
    pub fn cidr(&self) -> String {
        format!("{}/{}", self.address, self.prefix_length)
    }
}

/// Everything that one pod has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The pod.
    pub holder: Holder,
    /// The node that it runs on.
    pub node: String,
    /// Its top controller.
    pub owner: Owner,
    /// Its addresses, in the order in which they were given; at least one.
    pub leases: Vec<Lease>,
}

impl Endpoint {
    /// The endpoint of the holder of all of `allocations`; `None` when there are none.
    pub(crate) fn from_allocations<'a>(allocations: impl IntoIterator<Item = &'a Allocation>) -> Option<Self> {
        let mut allocations = allocations.into_iter();
        let Allocation { holder, node, owner, lease, until: _, serial: _ } = allocations.next()?.clone();
        let mut leases = vec![lease];
        leases.extend(allocations.map(|allocation| allocation.lease.clone()));
        Some(Self { holder, node, owner, leases })
    }
}

/// One entry per NIC, in the order in which NICs got their first address.
impl From<&Endpoint> for SpiderEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { holder, node, owner, leases } = endpoint;
        let mut ips: Vec<NicAllocation> = Vec::new();
        for lease in leases {
            let index = ips.iter().position(|nic| nic.interface == lease.interface).unwrap_or_else(|| {
                ips.push(empty_nic(&lease.interface));
                ips.len() - 1
            });
            add(&mut ips[index], lease);
        }
        let mut object = Self::new(&holder.pod, SpiderEndpointFields::default());
        object.metadata.namespace = Some(holder.namespace.clone());
        object.status = Some(SpiderEndpointStatus {
            current: PodAllocation { uid: holder.uid.clone(), node: node.clone(), ips },
            owner_controller_type: owner.kind.clone(),
            owner_controller_name: owner.name.clone(),
        });
        object
    }
}

fn empty_nic(interface: &str) -> NicAllocation {
    NicAllocation {
        interface: interface.to_owned(),
        ipv4: None,
        ipv6: None,
        ipv4_pool: None,
        ipv6_pool: None,
        vlan: Some(0),
        ipv4_gateway: None,
        ipv6_gateway: None,
        clean_gateway: Some(false),
        routes: Vec::new(),
        mac: None,
    }
}

fn add(nic: &mut NicAllocation, lease: &Lease) {
    let (address, pool, gateway) = match lease.family() {
        Family::V4 => (&mut nic.ipv4, &mut nic.ipv4_pool, &mut nic.ipv4_gateway),
        Family::V6 => (&mut nic.ipv6, &mut nic.ipv6_pool, &mut nic.ipv6_gateway),
    };
    *address = Some(lease.cidr());
    *pool = Some(lease.pool.clone());
    *gateway = lease.gateway.map(|gateway| gateway.to_string());
    nic.clean_gateway = Some(nic.clean_gateway == Some(true) || lease.clean_gateway);
    nic.routes.extend(lease.routes.iter().cloned());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_is_written_as_spiderpool_writes_it() {
        let lease = |interface: &str, address: &str, prefix_length, pool: &str| Lease {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            prefix_length,
            pool: pool.to_owned(),
            gateway: None,
            routes: Vec::new(),
            clean_gateway: false,
            container: "c1".to_owned(),
            network: "underlay".to_owned(),
        };
        let route = Route { dst: "10.9.0.0/16".to_owned(), gw: "10.6.0.2".to_owned() };
        let mut first = lease("eth0", "10.6.0.5", 16, "p4");
        first.gateway = Some("10.6.0.1".parse().unwrap());
        first.routes = vec![route];
        let mut second = lease("net1", "10.7.0.5", 16, "q4");
        second.clean_gateway = true;
        let endpoint = Endpoint {
            holder: Holder { namespace: "shop".to_owned(), pod: "web-0".to_owned(), uid: "6b1c".to_owned() },
            node: "node1".to_owned(),
            owner: Owner { kind: "StatefulSet".to_owned(), name: "web".to_owned() },
            leases: vec![first, second, lease("eth0", "fd00::5", 64, "p6")],
        };
        let written = serde_json::to_value(SpiderEndpoint::from(&endpoint)).unwrap();
        let expected = json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderEndpoint",
            "metadata": {"name": "web-0", "namespace": "shop"},
            "status": {
                "current": {
                    "uid": "6b1c", "node": "node1",
                    "ips": [
                        {
                            "interface": "eth0", "ipv4": "10.6.0.5/16", "ipv4Pool": "p4", "ipv4Gateway": "10.6.0.1",
                            "ipv6": "fd00::5/64", "ipv6Pool": "p6", "vlan": 0, "cleanGateway": false,
                            "routes": [{"dst": "10.9.0.0/16", "gw": "10.6.0.2"}],
                        },
                        {"interface": "net1", "ipv4": "10.7.0.5/16", "ipv4Pool": "q4", "vlan": 0, "cleanGateway": true},
                    ],
                },
                "ownerControllerType": "StatefulSet",
                "ownerControllerName": "web",
            },
        });
        assert_eq!(written, expected);
    }
}
