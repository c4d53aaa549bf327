//! Who asks: the pod as far as it is known, for the ledger and for policies.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use spiderpool_runtime::types;
use spiderpool_storage::catalog::Catalog;
use spiderpool_storage::{Holder, Owner};
use spiderpool_wire::ErrorCode;

use crate::failure::Failure;

/// A pod that asks, as the ledger and as policies see it.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    /// For the ledger.
    pub holder: Holder,
    /// For the endpoint record.
    pub owner: Owner,
    /// For policies.
    pub pod: types::Pod,
    /// For policies.
    pub namespace: types::Namespace,
}

/// What a request says about the pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod's name.
    pub name: &'a str,
    /// The pod's uid; may be empty.
    pub uid: &'a str,
    /// The sandbox's id; empty when nothing is to be reserved.
    pub container: &'a str,
}

impl Asker {
    /// Somebody who asks: what the request says, and what is known of the pod. `owners` begins with the pod's own
    /// controller and ends with the top one.
    ///
    /// # Errors
    /// The pod does not live any more.
    pub(crate) fn new(
        claim: Claim<'_>,
        uid: &str,
        pod: Option<&Pod>,
        owners: Vec<types::Owner>,
        catalog: &Catalog,
    ) -> Result<Self, Failure> {
        if let Some(end) = pod.and_then(end) {
            let message = format!("pod {}/{} {end}; it gets no address", claim.namespace, claim.name);
            return Err(Failure::new(ErrorCode::Refused, message));
        }
        let metadata = pod.map(|pod| &pod.metadata);
        let top = owners.last().map_or_else(
            || Owner { kind: "Pod".into(), name: claim.name.into() },
            |owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() },
        );
        let of_namespace = catalog.namespaces.get(claim.namespace).map(|namespace| &namespace.metadata);
        Ok(Self {
            holder: Holder { namespace: claim.namespace.into(), pod: claim.name.into(), uid: uid.into() },
            owner: top,
            pod: types::Pod {
                namespace: claim.namespace.into(),
                name: claim.name.into(),
                uid: uid.into(),
                labels: pairs(metadata.and_then(|metadata| metadata.labels.as_ref())),
                annotations: pairs(metadata.and_then(|metadata| metadata.annotations.as_ref())),
                owners,
            },
            namespace: types::Namespace {
                name: claim.namespace.into(),
                labels: namespace_labels(claim.namespace, of_namespace),
                annotations: pairs(of_namespace.and_then(|metadata| metadata.annotations.as_ref())),
            },
        })
    }
}

/// How a pod that does not live any more ended. One that is deleted, has done its work for good, or was evicted needs no
/// address; one whose containers are started again does.
fn end(pod: &Pod) -> Option<&'static str> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("is being deleted");
    }
    let status = pod.status.as_ref()?;
    let restart = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
    match (status.phase.as_deref(), restart) {
        (Some("Succeeded"), restart) if restart != "Always" => Some("has ended with success"),
        (Some("Failed"), "Never") => Some("has ended with a failure"),
        (Some("Failed"), _) if status.reason.as_deref() == Some("Evicted") => Some("was evicted"),
        _ => None,
    }
}

/// The controller that a pod names.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The node that this agent serves.
pub(crate) fn node(name: &str, catalog: &Catalog) -> types::Node {
    let labels = catalog.nodes.get(name).and_then(|node| node.metadata.labels.as_ref());
    types::Node { name: name.into(), labels: with_label(labels, "kubernetes.io/hostname", name) }
}

/// Kubernetes puts this label on every namespace, so selectors rely on it.
fn namespace_labels(name: &str, metadata: Option<&ObjectMeta>) -> types::Labels {
    with_label(metadata.and_then(|metadata| metadata.labels.as_ref()), "kubernetes.io/metadata.name", name)
}

fn with_label(labels: Option<&BTreeMap<String, String>>, key: &str, value: &str) -> types::Labels {
    let mut labels = labels.cloned().unwrap_or_default();
    labels.entry(key.into()).or_insert_with(|| value.into());
    labels.into_iter().collect()
}

fn pairs(map: Option<&BTreeMap<String, String>>) -> types::Labels {
    map.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// An owner, for policies.
pub(crate) fn owner(reference: &OwnerReference) -> types::Owner {
    types::Owner {
        api_version: reference.api_version.clone(),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
        uid: reference.uid.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(restart: &str, status: Value) -> Pod {
        let spec = json!({"containers": [], "restartPolicy": restart});
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec, "status": status})).unwrap()
    }

    #[test]
    fn a_pod_lives_as_long_as_its_containers_may_run() {
        let cases = [
            ("Always", json!({}), None),
            ("Always", json!({"phase": "Running"}), None),
            ("Always", json!({"phase": "Succeeded"}), None),
            ("OnFailure", json!({"phase": "Succeeded"}), Some("has ended with success")),
            ("Never", json!({"phase": "Succeeded"}), Some("has ended with success")),
            ("OnFailure", json!({"phase": "Failed"}), None),
            ("Never", json!({"phase": "Failed"}), Some("has ended with a failure")),
            ("Always", json!({"phase": "Failed", "reason": "Evicted"}), Some("was evicted")),
        ];
        for (restart, status, expected) in cases {
            assert_eq!(end(&pod(restart, status.clone())), expected, "{restart} {status}");
        }
        let mut deleted = pod("Always", json!({"phase": "Running"}));
        deleted.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(end(&deleted), Some("is being deleted"));
    }
}
