//! Pods that ask for addresses: what is known about them, and who they belong to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use tokio::sync::watch;

use super::{Catalog, NamespacedName};
use crate::BoxFuture;
use crate::kube::StoreError;

/// A pod, as far as giving it addresses is concerned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownPod {
    /// Its UID; empty when a manifest does not tell it.
    pub uid: String,
    /// The node that it runs on; empty when it is not told.
    pub node: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Why it gets no addresses any more; none while it lives.
    pub dead: Option<Dead>,
    /// Its controller, the controller of that, and so on to the top; empty when nothing controls it. The `uid` of one that
    /// was told by its name alone is empty.
    pub owners: Vec<OwnerReference>,
}

/// Why a pod is not alive, by Spiderpool's rule: one whose containers are started again needs its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// It has a `deletionTimestamp`.
    Deleting,
    /// All containers ended well, and none is started again.
    Succeeded,
    /// A container failed, and none is started again.
    Failed,
    /// The node threw it out.
    Evicted,
    /// Its object is gone.
    Deleted,
}

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleting => "is being deleted",
            Self::Succeeded => "has succeeded and is not started again",
            Self::Failed => "has failed and is not started again",
            Self::Evicted => "was evicted",
            Self::Deleted => "was deleted",
        })
    }
}

/// Finds pods.
pub trait Pods: Send + Sync {
    /// The pod of that name, as [`Pods::find`] tells it, as far as it is known without asking anybody; one that was deleted a
    /// little while ago as it was last seen. One of another name is told as well if it has the UID: a virtual machine's pods
    /// are known by the machine's name.
    fn seen(&self, namespace: &str, name: &str, uid: &str) -> Option<KnownPod>;

    /// The pod of that name. `uid` is what the container runtime calls it, and may be empty: any pod of the name.
    ///
    /// In a cluster, none means that there is no such pod any more; without one, that nobody wrote a manifest, and the
    /// manifest's uid may be another one than asked for.
    ///
    /// # Errors
    /// The API server was asked and did not answer.
    fn find<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownPod>, LookupError>>;
}

/// Nobody knows whether there is such an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot look up {what}: {cause}")]
pub struct LookupError {
    /// What was looked for, such as `Pod shop/web-0`.
    pub what: String,
    /// What happened.
    #[source]
    pub cause: StoreError,
}

impl KnownPod {
    /// What an object says about itself, with `owners` from elsewhere.
    pub(crate) fn new(pod: &Pod, owners: Vec<OwnerReference>) -> Self {
        let ObjectMeta { uid, labels, annotations, .. } = pod.metadata.clone();
        Self {
            uid: uid.unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
            dead: dead(pod),
            owners,
        }
    }
}

fn dead(pod: &Pod) -> Option<Dead> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(Dead::Deleting);
    }
    let status = pod.status.as_ref()?;
    let restart = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
    match status.phase.as_deref() {
        Some("Succeeded") if restart != "Always" => Some(Dead::Succeeded),
        Some("Failed") if restart == "Never" => Some(Dead::Failed),
        Some("Failed") if status.reason.as_deref() == Some("Evicted") => Some(Dead::Evicted),
        _ => None,
    }
}

/// For how long after it was made a pod is expected to ask soon. One that has not started by then waits for something else, a
/// volume or an image, and may do so for days.
const EXPECTED: Duration = Duration::from_secs(60);

/// Whether it was made lately, and has a network of its own that is not there yet. It has an address as soon as that is,
/// which may be long before its images are.
pub(super) fn is_pending(pod: &Pod, now: SystemTime) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_network = pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some());
    let shares_network = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default();
    let made = pod.metadata.creation_timestamp.as_ref().map(|made| SystemTime::from(made.0));
    // The API server's clock may be ahead.
    let age = made.map(|made| now.duration_since(made).unwrap_or_else(|error| error.duration()));
    let is_young = age.is_some_and(|age| age < EXPECTED);
    pod.metadata.deletion_timestamp.is_none() && phase == Some("Pending") && is_young && !has_network && !shares_network
}

/// The pods that people wrote down.
pub(super) struct WrittenPods(pub(super) watch::Receiver<Arc<Catalog>>);

impl Pods for WrittenPods {
    fn seen(&self, namespace: &str, name: &str, _uid: &str) -> Option<KnownPod> {
        let catalog = Arc::clone(&self.0.borrow());
        let key = NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() };
        let pod = catalog.pods.get(&key)?;
        Some(KnownPod::new(pod, catalog.owners(namespace, &pod.metadata)))
    }

    fn find<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownPod>, LookupError>> {
        Box::pin(std::future::ready(Ok(self.seen(namespace, name, uid))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pod_that_is_not_started_again_is_dead() {
        let dead = |restart: &str, phase: &str, reason: &str| {
            let pod = json!({
                "metadata": {"name": "a"},
                "spec": {"restartPolicy": restart, "containers": []},
                "status": {"phase": phase, "reason": reason},
            });
            dead(&serde_json::from_value(pod).unwrap())
        };
        let cases = [
            ("Always", "Running", "", None),
            ("Always", "Succeeded", "", None),
            ("OnFailure", "Succeeded", "", Some(Dead::Succeeded)),
            ("Never", "Succeeded", "", Some(Dead::Succeeded)),
            ("OnFailure", "Failed", "", None),
            ("Never", "Failed", "", Some(Dead::Failed)),
            ("Always", "Failed", "Evicted", Some(Dead::Evicted)),
        ];
        for (restart, phase, reason, expected) in cases {
            assert_eq!(dead(restart, phase, reason), expected, "{restart} {phase} {reason}");
        }
    }

    #[test]
    fn a_pod_is_pending_that_is_to_start_soon_with_a_network_of_its_own() {
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let made_at = "2001-09-09T01:46:40Z";
        let pod = |part: &str, field: &str, value: Value| {
            let mut pod = json!({
                "metadata": {"creationTimestamp": made_at},
                "spec": {"hostNetwork": false, "containers": []},
                "status": {"phase": "Pending"},
            });
            pod[part][field] = value;
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        let new = pod("metadata", "name", json!("web-0"));
        for age in [0, 59] {
            assert!(is_pending(&new, made + Duration::from_secs(age)), "{age} s");
        }
        assert!(is_pending(&new, made - Duration::from_secs(3)), "the API server's clock is ahead");
        assert!(!is_pending(&new, made + Duration::from_secs(60)), "it waits for something else");
        let others = [
            ("spec", "hostNetwork", json!(true)),
            ("status", "phase", json!("Running")),
            ("status", "podIP", json!("10.6.0.1")),
            ("metadata", "deletionTimestamp", json!(made_at)),
            ("metadata", "creationTimestamp", Value::Null),
        ];
        for (part, field, value) in others {
            assert!(!is_pending(&pod(part, field, value.clone()), made), "{field}: {value}");
        }
    }
}
