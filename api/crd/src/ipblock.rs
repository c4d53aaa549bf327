//! SpiderIPBlock: who holds which of 256 aligned addresses of a pool. The only truth about it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spiderpool_ip::Block;

use crate::schema;

/// The records of one block. Made on first use, owned by the pool; labelled with
/// [`LABEL_BLOCK_POOL`](crate::keys::LABEL_BLOCK_POOL) and, when there is no room,
/// [`LABEL_BLOCK_FULL`](crate::keys::LABEL_BLOCK_FULL).
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderIPBlock",
    plural = "spideripblocks",
    shortname = "sib",
    category = "spiderpool",
    derive = "PartialEq",
    doc = "Who holds which of 256 aligned addresses of a pool. Written by the agents; edit it only to repair it.",
    printcolumn(name = "POOL", type_ = "string", json_path = ".spec.pool"),
    printcolumn(name = "BLOCK", type_ = "string", json_path = ".spec.block")
)]
#[serde(rename_all = "camelCase")]
pub struct SpiderIPBlockSpec {
    /// The name of the pool.
    pub pool: String,

    /// The block as a CIDR: an IPv4 `/24` or an IPv6 `/120`.
    #[schemars(schema_with = "schema::text")]
    pub block: Block,

    /// The holders of addresses, by address. Written even when empty: patches add to it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BlockAllocation>")]
    pub allocations: BTreeMap<IpAddr, BlockAllocation>,

    /// Addresses that are free and not to be given out for a while, by address. Written even when empty, as above.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Quarantine>")]
    pub quarantine: BTreeMap<IpAddr, Quarantine>,
}

/// The holder of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockAllocation {
    /// `namespace/name` of the pod, or of the virtual machine that it runs.
    pub pod: String,
    /// The pod's UID.
    pub pod_uid: String,
    /// The NIC's name.
    pub interface: String,
    /// The node's name.
    pub node: String,
    /// The sandbox that asked for it.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The CNI network that it asked for, so that garbage collection of one network leaves the others' addresses alone;
    /// empty in records that were taken over from `status.allocatedIPs`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// The pod's top controller as `Kind/name`, such as `StatefulSet/web`; empty in records that were taken over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Whether no default route goes through the pool's gateway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clean_gateway: bool,
}

impl SpiderIPBlock {
    /// The object's name: the pool's, a dot, and the block's first address in hexadecimal: `p4.0a060000`.
    ///
    /// Always a valid object name (RFC 1123 subdomain, at most 253 bytes): of a pool name that leaves no room for the
    /// address the beginning is kept and the rest becomes a hash.
    #[must_use]
    pub fn name_of(pool: &str, block: Block) -> String {
        let address = match block.address(0) {
            IpAddr::V4(first) => format!("{:08x}", first.to_bits()),
            IpAddr::V6(first) => format!("{:032x}", first.to_bits()),
        };
        format!("{}.{address}", fitted(pool, 253 - 1 - 32))
    }

    /// The value of [`LABEL_BLOCK_POOL`](crate::keys::LABEL_BLOCK_POOL): the pool's name; where that is too long for a
    /// label (63 bytes), its beginning and a hash.
    #[must_use]
    pub fn label_of(pool: &str) -> String {
        fitted(pool, 63)
    }
}

/// An object's name in at most `room` bytes, still different for different names.
fn fitted(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    // FNV-1a: the same in all versions and on all machines, which the standard library's hash is not.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step);
    let kept = name[..room - 17].trim_end_matches(['.', '-']);
    format!("{kept}-{hash:016x}")
}

/// Why an address is not to be given out, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    /// The moment from which it is free again.
    pub until: Time,
    /// What happened, for people.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_block_reads_and_prints_as_stored() {
        let stored = json!({
            "pool": "p4",
            "block": "10.6.0.0/24",
            "allocations": {
                "10.6.0.5": {
                    "pod": "shop/web-0", "podUid": "6b1c", "interface": "eth0", "node": "node1", "containerID": "abc",
                    "network": "underlay", "owner": "StatefulSet/web", "cleanGateway": true,
                },
            },
            "quarantine": {"10.6.0.6": {"until": "2026-01-02T03:04:05Z", "reason": "answered by 02:00:00:00:00:01"}},
        });
        let spec: SpiderIPBlockSpec = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(spec.block.to_string(), "10.6.0.0/24");
        assert_eq!(serde_json::to_value(spec).unwrap(), stored);
    }

    #[test]
    fn a_name_fits_whatever_the_pool_is_called() {
        let name = |pool: &str, block: &str| SpiderIPBlock::name_of(pool, block.parse().unwrap());
        assert_eq!(name("p4", "10.6.0.0/24"), "p4.0a060000");
        assert_eq!(name("p6", "fd00::100/120"), "p6.fd000000000000000000000000000100");
        let (long, other) = ("a".repeat(253), format!("{}b", "a".repeat(252)));
        assert_ne!(name(&long, "10.6.0.0/24"), name(&other, "10.6.0.0/24"));
        assert_eq!(name(&long, "fd00::/120").len(), 253);
        assert_eq!(SpiderIPBlock::label_of("p4"), "p4");
        assert_eq!(SpiderIPBlock::label_of(&long).len(), 63);
    }

    #[test]
    fn a_block_of_another_size_is_refused() {
        let error = serde_json::from_value::<SpiderIPBlockSpec>(json!({"pool": "p4", "block": "10.6.0.0/16"}));
        let message = "10.6.0.0/16 is not a block of 256 addresses; write 10.6.0.0/24";
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}
