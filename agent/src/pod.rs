//! Who asks: the pod as far as it is known, from its manifest where there is one, else from the CNI arguments.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use spiderpool_runtime::{conv, types};
use spiderpool_storage::catalog::{Catalog, NamespacedName};
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
    /// Finds out who asks.
    ///
    /// The uid of the request wins over the manifest's, which may be that of an earlier pod of the name. Where neither
    /// tells it, the sandbox stands for the pod.
    ///
    /// # Errors
    /// The pod's manifest says that it is being deleted.
    pub(crate) fn of(claim: Claim<'_>, catalog: &Catalog) -> Result<Self, Failure> {
        let key = NamespacedName { namespace: claim.namespace.into(), name: claim.name.into() };
        let metadata = catalog.pods.get(&key).map(|pod| &pod.metadata);
        if metadata.is_some_and(|metadata| metadata.deletion_timestamp.is_some()) {
            let message = format!("pod {}/{} is being deleted; it gets no address", claim.namespace, claim.name);
            return Err(Failure::new(ErrorCode::Refused, message));
        }
        let uid =
            [claim.uid, metadata.and_then(|metadata| metadata.uid.as_deref()).unwrap_or_default(), claim.container]
                .into_iter()
                .find(|uid| !uid.is_empty())
                .unwrap_or_default();
        let owners: Vec<types::Owner> = metadata.and_then(controller).into_iter().map(owner).collect();
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
                labels: conv::labels(metadata.and_then(|metadata| metadata.labels.as_ref())),
                annotations: conv::pairs(metadata.and_then(|metadata| metadata.annotations.as_ref())),
                owners,
            },
            namespace: types::Namespace {
                name: claim.namespace.into(),
                labels: namespace_labels(claim.namespace, of_namespace),
                annotations: conv::pairs(of_namespace.and_then(|metadata| metadata.annotations.as_ref())),
            },
        })
    }
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
    conv::labels(Some(&labels))
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn owner(reference: &OwnerReference) -> types::Owner {
    types::Owner {
        api_version: reference.api_version.clone(),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
        uid: reference.uid.clone(),
    }
}
