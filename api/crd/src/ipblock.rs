//! SpiderIPBlock: who holds which of 16 aligned addresses of a pool. The only truth about it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spiderpool_ip::Block;

use crate::schema;

/// The records of one block. Made on first use, owned by the pool. Its labels tell what lists are chosen by:
/// `ipam.spidernet.io/block-pool` the pool, `ipam.spidernet.io/block-neighbourhood` what is near it, and
/// `ipam.spidernet.io/block-held` which of its addresses are not free: 16 bits in hexadecimal, the first address the lowest;
/// after a dash those that are kept or quarantined for a time.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderIPBlock",
    plural = "spideripblocks",
    shortname = "sib",
    category = "spiderpool",
    derive = "PartialEq",
    doc = "Who holds which of 16 aligned addresses of a pool. Written by the agents; edit it only to repair it.",
    printcolumn(name = "POOL", type_ = "string", json_path = ".spec.pool"),
    printcolumn(name = "BLOCK", type_ = "string", json_path = ".spec.block"),
    printcolumn(
        name = "HELD",
        type_ = "string",
        description = "Which addresses are not free: 16 bits, the first address the lowest; after a dash those kept for a time.",
        json_path = r".metadata.labels['ipam\.spidernet\.io/block\-held']"
    )
)]
#[serde(rename_all = "camelCase")]
// Else the API server notes who wrote which address of a new block, and reads that again for every list of blocks.
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct SpiderIPBlockSpec {
    /// The name of the pool.
    pub pool: String,

    /// The block as a CIDR: an IPv4 `/28` or an IPv6 `/124`.
    #[schemars(schema_with = "schema::text")]
    pub block: Block,

    /// The holders of addresses, by address: `pod=shop/web-0 uid=6b1c nic=eth0 node=node1 sandbox=abc`. Written even when
    /// empty: patches add to it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub allocations: BTreeMap<IpAddr, BlockAllocation>,

    /// Addresses that are free and not to be given out for a while, by address. Written even when empty, as above.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Quarantine>")]
    pub quarantine: BTreeMap<IpAddr, Quarantine>,
}

/// The holder of an address.
///
/// Written as one text of words, `pod=shop/web-0 uid=6b1c nic=eth0 node=node1 sandbox=abc`, because an API server pays for
/// every field of an object with every write of it: a block of objects with eight fields each costs three times as much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockAllocation {
    /// `pod`: `namespace/name` of the pod, or of the virtual machine that it runs.
    pub pod: String,
    /// `uid`: the pod's UID; records of old releases of Spiderpool have none.
    pub pod_uid: String,
    /// `nic`: the NIC's name; empty in records that were taken over from `status.allocatedIPs`, as all that follows.
    pub interface: String,
    /// `node`: the node's name.
    pub node: String,
    /// `sandbox`: the container's id that asked for it.
    pub container_id: String,
    /// `network`: the CNI network that it asked for, so that garbage collection of one network leaves the others' addresses
    /// alone.
    pub network: String,
    /// `owner`: the pod's top controller as `Kind/name`, such as `StatefulSet/web`.
    pub owner: String,
    /// `cleanGateway`: whether no default route goes through the pool's gateway.
    pub clean_gateway: bool,
    /// `until`: the moment at which it is given back, in entries that are kept for a pod that is gone.
    pub until: Option<Time>,
    /// Words of later versions, kept as they are.
    pub further: String,
}

/// Why a text is no record of a holder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no pod; write pod=NAMESPACE/NAME uid=UID …, or remove the address to free it")]
pub struct BlockAllocationError(pub String);

impl fmt::Display for BlockAllocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pod, pod_uid, interface, node, container_id, network, owner, clean_gateway, until, further } = self;
        write!(f, "pod={pod}")?;
        let words = [
            ("uid", pod_uid),
            ("nic", interface),
            ("node", node),
            ("sandbox", container_id),
            ("network", network),
            ("owner", owner),
        ];
        for (key, value) in words.into_iter().filter(|(_, value)| !value.is_empty()) {
            write!(f, " {key}={value}")?;
        }
        if *clean_gateway {
            f.write_str(" cleanGateway")?;
        }
        if let Some(Time(until)) = until {
            write!(f, " until={until}")?;
        }
        if further.is_empty() { Ok(()) } else { write!(f, " {further}") }
    }
}

impl FromStr for BlockAllocation {
    type Err = BlockAllocationError;

    fn from_str(text: &str) -> Result<Self, BlockAllocationError> {
        let mut record = Self::default();
        let mut further = Vec::new();
        for word in text.split_whitespace() {
            let (field, value) = match word.split_once('=') {
                Some(("pod", value)) => (&mut record.pod, value),
                Some(("uid", value)) => (&mut record.pod_uid, value),
                Some(("nic", value)) => (&mut record.interface, value),
                Some(("node", value)) => (&mut record.node, value),
                Some(("sandbox", value)) => (&mut record.container_id, value),
                Some(("network", value)) => (&mut record.network, value),
                Some(("owner", value)) => (&mut record.owner, value),
                None if word == "cleanGateway" => {
                    record.clean_gateway = true;
                    continue;
                }
                // What is no moment is no end: the address stays held.
                Some(("until", value)) if record.until.is_none() => {
                    match value.parse() {
                        Ok(until) => record.until = Some(Time(until)),
                        Err(_) => further.push(word),
                    }
                    continue;
                }
                _ => {
                    further.push(word);
                    continue;
                }
            };
            value.clone_into(field);
        }
        record.further = further.join(" ");
        if record.pod.is_empty() { Err(BlockAllocationError(text.to_owned())) } else { Ok(record) }
    }
}

impl From<BlockAllocation> for String {
    fn from(record: BlockAllocation) -> Self {
        record.to_string()
    }
}

impl TryFrom<String> for BlockAllocation {
    type Error = BlockAllocationError;

    fn try_from(text: String) -> Result<Self, BlockAllocationError> {
        text.parse()
    }
}

impl SpiderIPBlock {
    /// The object's name: the pool's, a dot, and the block's first address in hexadecimal: `p4.0a060000`.
    ///
    /// Always a valid object name (RFC 1123 subdomain, at most 253 bytes): of a pool name that leaves no room for the
    /// address the beginning is kept and the rest becomes a hash.
    #[must_use]
    pub fn name_of(pool: &str, block: Block) -> String {
        format!("{}.{}", fitted(pool, 253 - 1 - 32), first_of(block))
    }

    /// The value of [`LABEL_BLOCK_NEIGHBOURHOOD`](crate::keys::LABEL_BLOCK_NEIGHBOURHOOD).
    #[must_use]
    pub fn neighbourhood_of(block: Block) -> String {
        first_of(*block.neighbourhood().start())
    }

    /// The value of [`LABEL_BLOCK_POOL`](crate::keys::LABEL_BLOCK_POOL): the pool's name; where that is too long for a
    /// label (63 bytes), its beginning and a hash.
    #[must_use]
    pub fn label_of(pool: &str) -> String {
        fitted(pool, 63)
    }
}

/// A block's first address in hexadecimal.
fn first_of(block: Block) -> String {
    match block.address(0) {
        IpAddr::V4(first) => format!("{:08x}", first.to_bits()),
        IpAddr::V6(first) => format!("{:032x}", first.to_bits()),
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
            "block": "10.6.0.0/28",
            "allocations": {
                "10.6.0.5": "pod=shop/web-0 uid=6b1c nic=eth0 node=node1 sandbox=abc network=underlay owner=StatefulSet/web \
                             cleanGateway until=2026-01-02T03:04:05Z later=1 word",
                "10.6.0.7": "pod=shop/old-0 uid=77aa",
                "10.6.0.8": "pod=shop/odd-0 uid=88bb until=tomorrow",
            },
            "quarantine": {"10.6.0.6": {"until": "2026-01-02T03:04:05Z", "reason": "answered by 02:00:00:00:00:01"}},
        });
        let spec: SpiderIPBlockSpec = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(spec.block.to_string(), "10.6.0.0/28");
        let [first, second] = [5, 7].map(|last| &spec.allocations[&IpAddr::from([10, 6, 0, last])]);
        assert_eq!((first.owner.as_str(), first.clean_gateway), ("StatefulSet/web", true));
        assert_eq!((first.further.as_str(), second.node.as_str()), ("later=1 word", ""));
        let [ends, never] = [first, second].map(|entry| entry.until.as_ref().map(|until| until.0.to_string()));
        assert_eq!((ends.as_deref(), never), (Some("2026-01-02T03:04:05Z"), None));
        let odd = &spec.allocations[&IpAddr::from([10, 6, 0, 8])];
        assert_eq!((&odd.until, odd.further.as_str()), (&None, "until=tomorrow"));
        assert_eq!(serde_json::to_value(spec).unwrap(), stored);
    }

    #[test]
    fn a_record_without_a_pod_is_refused() {
        let error = "nic=eth0 uid=6b1c".parse::<BlockAllocation>().unwrap_err().to_string();
        assert_eq!(
            error,
            r#""nic=eth0 uid=6b1c" names no pod; write pod=NAMESPACE/NAME uid=UID …, or remove the address to free it"#
        );
    }

    #[test]
    fn a_name_fits_whatever_the_pool_is_called() {
        let name = |pool: &str, block: &str| SpiderIPBlock::name_of(pool, block.parse().unwrap());
        assert_eq!(name("p4", "10.6.0.0/28"), "p4.0a060000");
        assert_eq!(name("p6", "fd00::100/124"), "p6.fd000000000000000000000000000100");
        let (long, other) = ("a".repeat(253), format!("{}b", "a".repeat(252)));
        assert_ne!(name(&long, "10.6.0.0/28"), name(&other, "10.6.0.0/28"));
        assert_eq!(name(&long, "fd00::/124").len(), 253);
        assert_eq!(SpiderIPBlock::label_of("p4"), "p4");
        assert_eq!(SpiderIPBlock::label_of(&long).len(), 63);
    }

    #[test]
    fn a_block_of_another_size_is_refused() {
        let error = serde_json::from_value::<SpiderIPBlockSpec>(json!({"pool": "p4", "block": "10.6.0.0/16"}));
        let message = "10.6.0.0/16 is not a block of 16 addresses; write 10.6.0.0/28";
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}
