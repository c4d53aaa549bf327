//! Who asks: the pod as far as it is known, for the ledger and for policies.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use spiderpool_runtime::{conv, types};
use spiderpool_storage::catalog::{Catalog, KnownPod};
use spiderpool_storage::{Holder, Owner};
use spiderpool_wire::ErrorCode;

use crate::failure::Failure;
use crate::stateful::Kinds;

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
    /// Somebody who asks: what the request says, and what is known of the pod.
    ///
    /// # Errors
    /// The pod does not live any more.
    pub(crate) fn new(claim: Claim<'_>, uid: &str, known: KnownPod, catalog: &Catalog) -> Result<Self, Failure> {
        let KnownPod { uid: _, node: _, labels, annotations, dead, owners } = known;
        let Claim { namespace, name, .. } = claim;
        if let Some(dead) = dead {
            let message = format!("pod {namespace}/{name} {dead}; it gets no address");
            return Err(Failure::new(ErrorCode::Refused, message));
        }
        let owners: Vec<types::Owner> = owners.into_iter().map(owner).collect();
        Ok(Self {
            holder: Holder { namespace: namespace.into(), pod: name.into(), uid: uid.into() },
            owner: top(&owners, name),
            pod: types::Pod {
                namespace: namespace.into(),
                name: name.into(),
                uid: uid.into(),
                labels: conv::labels(Some(&labels)),
                annotations: annotations.into_iter().collect(),
                owners,
            },
            namespace: self::namespace(namespace, catalog),
        })
    }

    /// The same where the pod is one of a virtual machine, which holds the addresses in its stead: pods of a machine have
    /// names of their own.
    pub(crate) fn of_machine(mut self, kinds: &Kinds) -> Self {
        if let Some(machine) = kinds.machine(&self.pod.owners) {
            self.holder.pod = machine.to_owned();
        }
        self
    }
}

/// The top controller of a pod, for the ledger.
pub(crate) fn top(owners: &[types::Owner], pod: &str) -> Owner {
    owners.last().map_or_else(
        || Owner { kind: "Pod".into(), name: pod.into() },
        |owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() },
    )
}

/// A namespace, as far as it is known.
pub(crate) fn namespace(name: &str, catalog: &Catalog) -> types::Namespace {
    let metadata = catalog.namespaces.get(name).map(|namespace| &namespace.metadata);
    types::Namespace {
        name: name.into(),
        labels: namespace_labels(name, metadata),
        annotations: conv::pairs(metadata.and_then(|metadata| metadata.annotations.as_ref())),
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

/// A controller, for policies.
pub(crate) fn owner(reference: OwnerReference) -> types::Owner {
    let OwnerReference { api_version, kind, name, uid, .. } = reference;
    types::Owner { api_version, kind, name, uid }
}
