//! Objects as they are watched: no more of them than is kept.

use std::borrow::Cow;
use std::marker::PhantomData;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde_json::Value;
use spiderpool_crd::SpiderIPPool;

/// An object of kind `K` with its specification as written. Reading it never fails, whatever people wrote, so that a bad
/// object does not stop the watch; its status, which may be megabytes, is passed over.
#[derive(Deserialize)]
#[serde(bound = "")]
pub(super) struct Written<K> {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Value,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

/// A pool, with what its status says of holders.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct WholePool {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Value,
    #[serde(default)]
    pub(super) status: Value,
}

/// A pod with what tells whether it lives, and has a network already.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LeanPod {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: LeanPodSpec,
    #[serde(default)]
    status: LeanPodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanPodSpec {
    node_name: Option<String>,
    host_network: Option<bool>,
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct LeanPodStatus {
    phase: Option<String>,
    reason: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
}

impl From<LeanPod> for Pod {
    fn from(LeanPod { metadata, spec, status }: LeanPod) -> Self {
        let LeanPodSpec { node_name, host_network, restart_policy } = spec;
        let LeanPodStatus { phase, reason, pod_ip } = status;
        Self {
            metadata: kept(metadata),
            spec: Some(PodSpec { node_name, host_network, restart_policy, ..PodSpec::default() }),
            status: Some(PodStatus { phase, reason, pod_ip, ..PodStatus::default() }),
        }
    }
}

/// Metadata without what nobody asks for.
pub(super) fn kept(mut metadata: ObjectMeta) -> ObjectMeta {
    metadata.managed_fields = None;
    // Changes with the status: without it, an object that only changed there stays the same.
    metadata.resource_version = None;
    if let Some(annotations) = &mut metadata.annotations {
        // The whole object once more.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    metadata
}

impl<K> Written<K> {
    pub(super) fn new(metadata: ObjectMeta, spec: Value) -> Self {
        Self { metadata, spec, kind: PhantomData }
    }
}

impl<K> Clone for Written<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), spec: self.spec.clone(), kind: PhantomData }
    }
}

impl<K> std::fmt::Debug for Written<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.metadata.name)
    }
}

/// Has `$lean` asked for where `$full` is.
macro_rules! stands_for {
    ($lean:ty, $full:ty $(, $k:ident)?) => {
        impl$(<$k: Resource<DynamicType = ()>>)? Resource for $lean {
            type DynamicType = ();
            type Scope = <$full as Resource>::Scope;

            fn kind((): &()) -> Cow<'_, str> {
                <$full>::kind(&())
            }

            fn group((): &()) -> Cow<'_, str> {
                <$full>::group(&())
            }

            fn version((): &()) -> Cow<'_, str> {
                <$full>::version(&())
            }

            fn plural((): &()) -> Cow<'_, str> {
                <$full>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

stands_for!(Written<K>, K, K);
stands_for!(WholePool, SpiderIPPool);
stands_for!(LeanPod, Pod);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_is_read_whatever_it_says_and_its_status_is_not() {
        let object = json!({
            "metadata": {"name": "p", "managedFields": [{}], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b",
            }},
            "spec": [1],
            "status": {"allocatedIPs": 7},
        });
        let pool: Written<SpiderIPPool> = serde_json::from_value(object).unwrap();
        assert_eq!(pool.spec, json!([1]));
        let metadata = kept(pool.metadata);
        assert_eq!(metadata.managed_fields, None);
        assert_eq!(metadata.annotations, Some([("a".to_owned(), "b".to_owned())].into()));
    }

    #[test]
    fn of_a_pod_remains_what_tells_whether_it_lives_and_has_a_network() {
        let object = json!({
            "metadata": {"name": "a", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"nodeName": "n", "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Failed", "reason": "Evicted", "podIP": "10.0.0.1", "hostIP": "10.0.0.9"},
        });
        let pod = Pod::from(serde_json::from_value::<LeanPod>(object).unwrap());
        let kept = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"nodeName": "n", "restartPolicy": "Never", "containers": []},
            "status": {"phase": "Failed", "reason": "Evicted", "podIP": "10.0.0.1"},
        });
        assert_eq!(serde_json::to_value(pod).unwrap(), kept);
    }
}
