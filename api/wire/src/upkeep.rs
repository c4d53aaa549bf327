//! The CNI verbs GC, CHECK and STATUS, which Spiderpool does not have.

use serde::{Deserialize, Serialize};

use crate::lists::null_as_empty;

/// The body of `POST /v1/ipam/gc`: of one network, on this node, only these attachments are left (CNI 1.1, GC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpamGcArgs {
    /// The name of the network. What other networks hold is not touched.
    pub network: String,
    /// All attachments that still exist.
    #[serde(deserialize_with = "null_as_empty")]
    pub valid_attachments: Vec<Attachment>,
}

/// One NIC of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The sandbox's ID.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The NIC's name.
    pub if_name: String,
}

/// The answer to a GC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamGcResponse {
    /// How many addresses were given back.
    pub released: u64,
}

/// The query of `GET /v1/ipam/ip`: which addresses does the ledger say this NIC holds? The answer is an
/// [`IpamAddResponse`](crate::ipam::IpamAddResponse), without entries when it holds none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpamCheckArgs {
    /// The sandbox's ID.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The NIC's name.
    pub if_name: String,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID; empty when the container runtime did not say.
    #[serde(rename = "podUID", default, skip_serializing_if = "String::is_empty")]
    pub pod_uid: String,
}

/// The answer of `GET /v1/ipam/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamStatus {
    /// Whether an ADD could succeed: the agent works and some pool has room.
    pub ready: bool,
    /// Why, in a sentence.
    pub reason: String,
}
