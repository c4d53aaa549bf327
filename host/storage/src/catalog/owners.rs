//! Who a pod belongs to, by what its own metadata and manifests tell.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::Catalog;

/// The label by which a Deployment tells its ReplicaSets' pods apart. A ReplicaSet is called after both.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The owner that manages an object, as opposed to those that only keep it from being collected.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The Deployment above a pod's controller, if that is a ReplicaSet that is called `<deployment>-<hash>`.
pub(crate) fn deployment(pod: &ObjectMeta, replica_set: &OwnerReference) -> Option<OwnerReference> {
    if (replica_set.api_version.as_str(), replica_set.kind.as_str()) != ("apps/v1", "ReplicaSet") {
        return None;
    }
    let hash = pod.labels.as_ref()?.get(TEMPLATE_HASH)?;
    let name = replica_set.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    (!hash.is_empty() && !name.is_empty()).then(|| OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        controller: Some(true),
        ..OwnerReference::default()
    })
}

impl Catalog {
    /// The pod's controller and what controls that, nearest first, as far as it is written down.
    pub(super) fn owners(&self, namespace: &str, pod: &ObjectMeta) -> Vec<OwnerReference> {
        let Some(first) = controller(pod) else { return Vec::new() };
        let written = self.controller(namespace, first).and_then(|found| found.controller.clone());
        let above = written.or_else(|| deployment(pod, first));
        [Some(first.clone()), above].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_set_that_is_called_after_its_hash_tells_its_deployment() {
        let of = |kind: &str, name: &str, hash: &str| {
            let labels = Some([(TEMPLATE_HASH.to_owned(), hash.to_owned())].into());
            let pod = ObjectMeta { labels, ..ObjectMeta::default() };
            let [api_version, kind, name] = ["apps/v1", kind, name].map(str::to_owned);
            let owner = OwnerReference { api_version, kind, name, ..OwnerReference::default() };
            deployment(&pod, &owner).map(|owner| format!("{} {}", owner.kind, owner.name))
        };
        let name = |name: &str, hash: &str| of("ReplicaSet", name, hash);
        assert_eq!(name("web-front-5d4f8", "5d4f8").as_deref(), Some("Deployment web-front"));
        for (replica_set, hash) in [("web", "5d4f8"), ("web5d4f8", "5d4f8"), ("-5d4f8", "5d4f8"), ("web-", "")] {
            assert_eq!(name(replica_set, hash), None, "{replica_set} {hash}");
        }
        assert_eq!(of("StatefulSet", "web-5d4f8", "5d4f8"), None);
    }
}
