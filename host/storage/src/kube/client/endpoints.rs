//! SpiderEndpoint objects in the API server, as Spiderpool writes them.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Request, header};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, GetParams, ListParams, PostParams, Preconditions};
use kube::core::request;
use kube::{Client, Resource as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use spiderpool_crd::{FINALIZER, SpiderEndpoint, SpiderEndpointStatus};

use super::pages::Extent;
use super::requests::{Failure, Requests, metadata_only};
use crate::kube::{EndpointStore, PodRef, RecordedEndpoint, StoreError};
use crate::{BoxFuture, Endpoint};

/// Endpoints per page.
const ENDPOINTS_PER_PAGE: u32 = 500;
/// How often a record is looked at again that somebody else changes at the same time.
const ROUNDS: u32 = 5;
/// The kind of an owner whose name is the record's, in place of the pod's.
const VIRTUAL_MACHINE: &str = "VirtualMachineInstance";

/// The endpoint records of a cluster.
///
/// A record has the name of its pod; that of a virtual machine, the machine's, which then is the holder's name too. Its
/// finalizer keeps it until it is removed here. It is owned by its pod, except where it outlives pods: those of a
/// StatefulSet, and of a virtual machine.
pub struct ClusterEndpoints {
    requests: Requests,
}

impl ClusterEndpoints {
    /// The endpoints that `client` reaches. An answer may take 5 s.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { requests: Requests::new(client) }
    }

    /// The same, where an answer may take as long as `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.requests.timeout = timeout;
        self
    }

    async fn put_record(&self, endpoint: &Endpoint, over: &BTreeSet<String>) -> Result<(), StoreError> {
        let object = object(endpoint);
        let pod = PodRef::from(endpoint.holder.clone());
        for _ in 0..ROUNDS {
            // Most pods are new, and one request is all they cost.
            match self.create(&pod, &object).await {
                Err(StoreError::Exists(_)) => {}
                other => return other,
            }
            if self.replace(&pod, &object, over).await? {
                return Ok(());
            }
        }
        Err(contended(&pod))
    }

    async fn create(&self, pod: &PodRef, object: &SpiderEndpoint) -> Result<(), StoreError> {
        let body = serde_json::to_vec(object).map_err(request::Error::SerializeBody);
        let request = body.and_then(|body| request::Request::new(path(pod)).create(&PostParams::default(), body));
        let created = self.requests.write::<IgnoredAny>(metadata_only(request)).await;
        created.map(drop).map_err(|failure| failure.about(named(pod)))
    }

    /// Replaces the record that is there, unless it is to stay; whether it is as it should be now.
    async fn replace(
        &self,
        pod: &PodRef,
        object: &SpiderEndpoint,
        over: &BTreeSet<String>,
    ) -> Result<bool, StoreError> {
        let request = request::Request::new(path(pod)).get(&pod.name, &GetParams::default());
        let there: SpiderEndpoint = match self.requests.read(request).await {
            Ok(there) => there,
            Err(failure) if failure.is_absent() => return Ok(false),
            Err(failure) => return Err(failure.about(named(pod))),
        };
        let whose = there.status.as_ref().map(|status| &status.current.uid);
        let known = whose.is_none_or(|uid| *uid == pod.uid || over.contains(uid));
        if !known && !self.is_the_pod(pod, object).await? {
            return Ok(true);
        }
        let ending = there.metadata.deletion_timestamp.is_some();
        let metadata = merged(there.metadata.clone(), object);
        if !ending && metadata == there.metadata && there.status == object.status {
            return Ok(true);
        }
        // Nothing brings back what is being deleted: it has to go, so that a new one can be made.
        let metadata = if ending { ObjectMeta { finalizers: None, ..metadata } } else { metadata };
        let wanted = SpiderEndpoint { metadata, ..object.clone() };
        let body = serde_json::to_vec(&wanted).map_err(request::Error::SerializeBody);
        let request =
            body.and_then(|body| request::Request::new(path(pod)).replace(&pod.name, &PostParams::default(), body));
        match self.requests.write::<IgnoredAny>(metadata_only(request)).await {
            Ok(_) => Ok(!ending),
            Err(failure) if failure.is_absent() || failure.code() == Some(409) => Ok(false),
            Err(failure) => Err(failure.about(named(pod))),
        }
    }

    /// Whether it is this pod that exists under the name. A virtual machine has no pod of its name, and is believed.
    async fn is_the_pod(&self, pod: &PodRef, object: &SpiderEndpoint) -> Result<bool, StoreError> {
        if object.status.as_ref().is_some_and(|status| status.owner_controller_type == VIRTUAL_MACHINE) {
            return Ok(true);
        }
        let path = Pod::url_path(&(), Some(&pod.namespace));
        let request = request::Request::new(path).get(&pod.name, &GetParams::default());
        match self.requests.read::<VersionObject>(metadata_only(request)).await {
            Ok(there) => Ok(there.metadata.uid.as_ref() == Some(&pod.uid)),
            Err(failure) if failure.is_absent() => Ok(false),
            Err(failure) => Err(failure.about(format!("Pod {}/{}", pod.namespace, pod.name))),
        }
    }

    async fn remove_record(&self, pod: &PodRef) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            let freed = match self.release(pod).await {
                Ok(Some(freed)) => freed,
                Ok(None) => return Ok(()),
                Err(failure) if failure.is_absent() => return Ok(()),
                Err(failure) => return Err(failure.about(named(pod))),
            };
            let exactly = Preconditions { uid: freed.uid, resource_version: freed.resource_version };
            let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
            let request = request::Request::new(path(pod)).delete(&pod.name, &params);
            match self.requests.write::<IgnoredAny>(metadata_only(request)).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.is_absent() => return Ok(()),
                // Somebody wrote to it since. Whose is it now?
                Err(failure) if failure.code() == Some(409) => {}
                Err(failure) => return Err(failure.about(named(pod))),
            }
        }
        Err(contended(pod))
    }

    /// Takes the finalizer off the record of the pod of that uid; none if it is another's.
    async fn release(&self, pod: &PodRef) -> Result<Option<Version>, Failure> {
        let steps = json!([
            {"op": "test", "path": "/status/current/uid", "value": pod.uid},
            {"op": "add", "path": "/metadata/finalizers", "value": []},
        ]);
        let request = Request::patch(format!("{}/{}", path(pod), pod.name))
            .header(header::CONTENT_TYPE, "application/json-patch+json")
            .body(steps.to_string().into_bytes())
            .map_err(request::Error::BuildRequest);
        match self.requests.write::<VersionObject>(metadata_only(request)).await {
            Ok(object) => Ok(Some(object.metadata)),
            Err(failure) if failure.is_failed_test() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl EndpointStore for ClusterEndpoints {
    fn put<'a>(&'a self, endpoint: &'a Endpoint, over: &'a BTreeSet<String>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.put_record(endpoint, over))
    }

    fn get<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<Option<RecordedEndpoint>, StoreError>> {
        Box::pin(async move {
            let path = SpiderEndpoint::url_path(&(), Some(namespace));
            let request = request::Request::new(path).get(pod, &GetParams::default());
            match self.requests.read::<RecordObject>(request).await {
                Ok(object) => Ok(object.record()),
                Err(failure) if failure.is_absent() => Ok(None),
                Err(failure) => Err(failure.about(format!("SpiderEndpoint {namespace}/{pod}"))),
            }
        })
    }

    fn remove<'a>(&'a self, pod: &'a PodRef) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.remove_record(pod))
    }

    fn of_node<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Vec<RecordedEndpoint>, StoreError>> {
        Box::pin(async move {
            let mut records = Vec::new();
            let each = |item: &RawValue| match serde_json::from_str::<RecordObject>(item.get()) {
                // One without a status is of nobody's node.
                Ok(object) => records.extend(object.record().filter(|record| record.status.current.node == node)),
                Err(error) => {
                    let start: String = item.get().chars().take(200).collect();
                    tracing::warn!("a SpiderEndpoint cannot be read and is passed over: {error}: {start}…");
                }
            };
            let (path, params) = (SpiderEndpoint::url_path(&(), None), ListParams::default().limit(ENDPOINTS_PER_PAGE));
            self.requests.list(&path, &params, Extent::Whole, "SpiderEndpoints", each).await?;
            Ok(records)
        })
    }
}

fn path(pod: &PodRef) -> String {
    SpiderEndpoint::url_path(&(), Some(&pod.namespace))
}

fn named(pod: &PodRef) -> String {
    format!("SpiderEndpoint {}/{}", pod.namespace, pod.name)
}

fn contended(pod: &PodRef) -> StoreError {
    StoreError::Unknown(format!("{} was changed by others {ROUNDS} times meanwhile", named(pod)))
}

/// The record as it is written.
fn object(endpoint: &Endpoint) -> SpiderEndpoint {
    let mut object = SpiderEndpoint::from(endpoint);
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    if !matches!(endpoint.owner.kind.as_str(), "StatefulSet" | VIRTUAL_MACHINE) {
        object.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: endpoint.holder.pod.clone(),
            uid: endpoint.holder.uid.clone(),
            ..OwnerReference::default()
        }]);
    }
    object
}

/// What is there, with what we say about it.
fn merged(there: ObjectMeta, object: &SpiderEndpoint) -> ObjectMeta {
    let mut finalizers = there.finalizers.unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    let owner_references = object.metadata.owner_references.clone();
    ObjectMeta { finalizers: Some(finalizers), owner_references, ..there }
}

#[derive(Deserialize)]
struct VersionObject {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    uid: Option<String>,
    resource_version: Option<String>,
}

#[derive(Deserialize)]
struct RecordObject {
    metadata: RecordMeta,
    #[serde(default)]
    status: Option<SpiderEndpointStatus>,
}

#[derive(Deserialize)]
struct RecordMeta {
    namespace: String,
    name: String,
}

impl RecordObject {
    fn record(self) -> Option<RecordedEndpoint> {
        let RecordMeta { namespace, name } = self.metadata;
        let status = self.status?;
        Some(RecordedEndpoint { pod: PodRef { namespace, name, uid: status.current.uid.clone() }, status })
    }
}
