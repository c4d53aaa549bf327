//! Controllers of a cluster's pods, asked for when they count.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{ApiResource, DynamicObject, GetParams, GroupVersionKind};
use kube::core::Request;
use kube::{Client, Resource as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::lately::Lately;
use crate::BoxFuture;
use crate::catalog::{Controllers, Finding, FoundController};
use crate::kube::client::Requests;

/// The controllers of a cluster.
pub(super) struct ClusterControllers {
    requests: Requests,
    lately: Lately,
}

#[derive(Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

impl ClusterControllers {
    pub(super) fn new(client: Client) -> Self {
        Self { requests: Requests::new(client.clone()), lately: Lately::new(client) }
    }

    async fn look(&self, namespace: &str, owner: &OwnerReference) -> Finding {
        let OwnerReference { api_version, kind, name, .. } = owner;
        let params = GetParams::default();
        if (api_version.as_str(), kind.as_str()) == ("apps/v1", "StatefulSet") {
            let request = Request::new(StatefulSet::url_path(&(), Some(namespace))).get(name, &params);
            return self.read(owner, request, FoundController::of).await;
        }
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        // The plural is that of the English word, as it is for all controllers that anybody has met.
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let path = DynamicObject::url_path(&resource, Some(namespace));
        let request = Request::new(path).get_metadata(name, &params);
        self.read(owner, request, |Object { metadata }| FoundController::new(metadata)).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        owner: &OwnerReference,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
        found: impl FnOnce(T) -> FoundController,
    ) -> Finding {
        match self.requests.read::<T>(request).await {
            Ok(object) => Finding::Found(Box::new(found(object))),
            Err(failure) if failure.is_absent() => Finding::Missing,
            Err(failure) => Finding::Unknown(failure.about(format!("{} {}", owner.kind, owner.name)).to_string()),
        }
    }
}

impl Controllers for ClusterControllers {
    fn find<'a>(&'a self, namespace: &'a str, owner: &'a OwnerReference) -> BoxFuture<'a, Finding> {
        Box::pin(self.look(namespace, owner))
    }

    fn find_lately<'a>(&'a self, namespace: &'a str, owner: &'a OwnerReference) -> BoxFuture<'a, Finding> {
        Box::pin(self.lately.find(namespace, owner))
    }
}
