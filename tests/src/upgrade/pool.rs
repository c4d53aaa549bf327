use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Pod;

/// Every so many of a pool's addresses was given back before.
const GAP: u32 = 7;

/// A record of `status.allocatedIPs`, with every key that Spiderpool writes and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Holder {
    /// `namespace/name`.
    pub pod: String,
    /// Its uid.
    pub pod_uid: String,
}

/// A pool, and who holds what of it.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The holders.
    pub holders: BTreeMap<IpAddr, Holder>,
    subnet: String,
    gateway: IpAddr,
    first: IpAddr,
    next: IpAddr,
    given: u32,
}

impl Pool {
    pub(super) fn new(name: String, subnet: &str, first: &str) -> Result<Self> {
        let (network, _) = subnet.split_once('/').context("a subnet without a prefix length")?;
        let first = first.parse()?;
        Ok(Self {
            name,
            holders: BTreeMap::new(),
            subnet: subnet.to_owned(),
            gateway: after(network.parse()?),
            first,
            next: first,
            given: 0,
        })
    }

    pub(super) fn object(&self, last: &str) -> Value {
        let ips = format!("{}-{last}", self.first);
        json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderIPPool",
            "metadata": {"name": self.name, "finalizers": [super::check::FINALIZER]},
            "spec": {"subnet": self.subnet, "ips": [ips], "gateway": self.gateway()},
        })
    }

    pub(super) fn gateway(&self) -> IpAddr {
        self.gateway
    }

    pub(super) fn is_v6(&self) -> bool {
        self.gateway.is_ipv6()
    }

    /// An address as a CNI result has it.
    #[must_use]
    pub fn cidr(&self, address: IpAddr) -> String {
        let (_, prefix) = self.subnet.split_once('/').unwrap_or_default();
        format!("{address}/{prefix}")
    }

    /// The pod's address: what it has already, or the next.
    pub(super) fn give(&mut self, pod: &Pod) -> IpAddr {
        let has = self.holders.iter().find(|(_, holder)| holder.pod_uid == pod.uid);
        if let Some((address, _)) = has {
            return *address;
        }
        self.given += 1;
        if self.given.is_multiple_of(GAP) {
            self.next = after(self.next);
        }
        while self.holders.contains_key(&self.next) {
            self.next = after(self.next);
        }
        let address = self.next;
        self.holders.insert(address, Holder::of(pod));
        address
    }

    /// Whether the address is one of this pool's subnet: the first two bytes tell pools of tests apart.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        start(address) == start(self.gateway)
    }

    /// The pod was given the address.
    ///
    /// # Errors
    /// Somebody has it.
    pub fn holds(&mut self, address: IpAddr, pod: &Pod) -> Result<()> {
        let other = self.holders.insert(address, Holder::of(pod));
        ensure!(other.is_none(), "{address} was given to {} and is {other:?}'s", pod.name);
        Ok(())
    }

    /// The pod has nothing of this pool any more.
    pub fn forget(&mut self, pod: &Pod) {
        self.holders.retain(|_, holder| holder.pod_uid != pod.uid);
    }

    /// `status.allocatedIPs`.
    #[must_use]
    pub fn listed(&self) -> Option<String> {
        // By the text of the address, as Go sorts the keys of a map.
        let records: BTreeMap<String, &Holder> =
            self.holders.iter().map(|(ip, holder)| (ip.to_string(), holder)).collect();
        (!records.is_empty()).then(|| json!(records).to_string())
    }
}

impl Holder {
    fn of(pod: &Pod) -> Self {
        Self { pod: format!("{}/{}", pod.namespace, pod.name), pod_uid: pod.uid.clone() }
    }
}

fn after(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() + 1).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() + 1).into()),
    }
}

fn start(address: IpAddr) -> (bool, [u8; 2]) {
    match address {
        IpAddr::V4(address) => (false, [address.octets()[0], address.octets()[1]]),
        IpAddr::V6(address) => (true, [address.octets()[0], address.octets()[1]]),
    }
}
