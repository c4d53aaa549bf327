//! How a decision about a pod's addresses comes about, for people: asked without allocating anything.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use spiderpool_ip::Family;

/// The query of `GET /v1/ipam/explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainArgs {
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The NIC that would ask; `eth0` when missing.
    #[serde(default = "first_nic")]
    pub if_name: String,
}

fn first_nic() -> String {
    "eth0".to_owned()
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `namespace/name` of the pod.
    pub pod: String,
    /// What is looked for, one entry per NIC and family, in the order of the plan.
    pub demands: Vec<DemandExplanation>,
    /// What the pod gets without anything being chosen for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptAddress>,
    /// Why the pod would get no address, in a sentence; missing when it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// An address that the pod has, or that a pod before it left to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptAddress {
    /// The NIC's name.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// The pool that it is of.
    pub pool: String,
    /// The UID of the pod that left it; missing when the pod has it, or when nobody knows its UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// One NIC and family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DemandExplanation {
    /// The NIC's name.
    pub interface: String,
    /// The family.
    pub family: Family,
    /// Where the candidates are named, such as `pod annotation ipam.spidernet.io/ippool`.
    pub origin: String,
    /// Every candidate and what became of it, in the order named.
    pub candidates: Vec<CandidateExplanation>,
    /// The pools that are tried, in order; empty when refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<PlannedPool>,
    /// Admitted pools that the plan passes over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedPool>,
}

/// A pool that may serve the pod, or may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateExplanation {
    /// The pool's name.
    pub pool: String,
    /// What was decided about it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What was decided about a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// All policies admit it; what each ranks it, in the chain's order.
    Admitted(Vec<PolicyRank>),
    /// One refuses it.
    Refused(PolicyRefusal),
}

/// A policy's opinion of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRank {
    /// The policy's name.
    pub policy: String,
    /// Its rank; pools with a higher one are tried first.
    pub rank: i32,
}

/// Why a pool may not serve the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRefusal {
    /// The policy that refuses; missing when it never got to one, since the pool is terminating, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The reason, in a sentence.
    pub reason: String,
}

/// A pool that is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPool {
    /// The pool's name.
    pub pool: String,
    /// How an address is picked in it.
    pub pick: Pick,
}

/// A pool that is admitted and not tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPool {
    /// The pool's name.
    pub pool: String,
    /// The reason, in a sentence.
    pub reason: String,
}

/// How an address is picked in a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pick {
    /// The lowest free one.
    Lowest,
    /// A free one far from those given lately.
    Spread,
    /// The same one for the same key, as long as it is free; else the next free one above it.
    Sticky(String),
    /// The first free one of these.
    Exactly(Vec<IpAddr>),
}
