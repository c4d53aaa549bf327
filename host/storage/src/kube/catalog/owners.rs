//! Who a pod belongs to.

use std::collections::HashMap;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use kube::api::GetParams;
use kube::core::Request;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::catalog::{LookupError, controller, deployment};
use crate::kube::client::Requests;

/// How many objects are remembered. More ReplicaSets and Jobs than this are seldom at work on one node.
const REMEMBERED: usize = 1024;

/// Looks up the controllers of controllers.
pub(super) struct Owners {
    requests: Requests,
    /// The controller of the object of a UID, where it was looked up. It hardly ever changes.
    known: Mutex<HashMap<String, Option<OwnerReference>>>,
}

#[derive(Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

impl Owners {
    pub(super) fn new(requests: Requests) -> Self {
        Self { requests, known: Mutex::default() }
    }

    /// The pod's controller and what controls that, nearest first, as Spiderpool has it: a ReplicaSet may belong to a
    /// Deployment, a Job to a CronJob, anything else stands for itself.
    ///
    /// A Deployment is told by the name of its ReplicaSet, so its pods cost no request; whether it still exists, and
    /// its UID, is then not known. An object that is gone stands for itself.
    pub(super) async fn of(&self, pod: &ObjectMeta) -> Result<Vec<OwnerReference>, LookupError> {
        let Some(first) = controller(pod) else {
            return Ok(Vec::new());
        };
        let namespace = pod.namespace.as_deref().unwrap_or_default();
        let above = match (first.api_version.as_str(), first.kind.as_str()) {
            ("apps/v1", "ReplicaSet") => match deployment(pod, first) {
                Some(deployment) => Some(deployment),
                None => self.above(&ReplicaSet::url_path(&(), Some(namespace)), namespace, first).await?,
            },
            ("batch/v1", "Job") => self.above(&Job::url_path(&(), Some(namespace)), namespace, first).await?,
            _ => None,
        };
        Ok([Some(first.clone()), above].into_iter().flatten().collect())
    }

    /// The same as far as it is known without asking.
    pub(super) fn seen(&self, pod: &ObjectMeta) -> Vec<OwnerReference> {
        let Some(first) = controller(pod) else {
            return Vec::new();
        };
        let above = deployment(pod, first).or_else(|| self.known.lock().get(&first.uid).cloned().flatten());
        [Some(first.clone()), above].into_iter().flatten().collect()
    }

    /// The controller of `object`, which is at `path`.
    async fn above(
        &self,
        path: &str,
        namespace: &str,
        object: &OwnerReference,
    ) -> Result<Option<OwnerReference>, LookupError> {
        if let Some(known) = self.known.lock().get(&object.uid) {
            return Ok(known.clone());
        }
        let what = format!("{} {namespace}/{}", object.kind, object.name);
        let request = Request::new(path).get_metadata(&object.name, &GetParams::default());
        let found = match self.requests.read::<Object>(request).await {
            // Another one of the same name is not the one that the pod belongs to.
            Ok(found) => Some(found.metadata).filter(|found| found.uid.as_ref() == Some(&object.uid)),
            Err(failure) if failure.is_absent() => None,
            Err(failure) => return Err(LookupError { cause: failure.about(&what), what }),
        };
        let above = found.as_ref().and_then(controller).cloned();
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(object.uid.clone(), above.clone());
        Ok(above)
    }
}
