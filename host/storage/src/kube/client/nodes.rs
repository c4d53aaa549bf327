//! Nodes in the API server.

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Client, Resource as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::pages::Extent;
use super::requests::Requests;
use crate::BoxFuture;
use crate::kube::{NodeStore, StoreError};

/// The nodes of a cluster.
pub struct ClusterNodes {
    requests: Requests,
}

#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

impl ClusterNodes {
    /// The nodes that `client` reaches. An answer may take 5 s.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { requests: Requests::new(client) }
    }
}

impl NodeStore for ClusterNodes {
    fn names(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(async move {
            let mut names = Vec::new();
            let each = |item: &RawValue| {
                names.extend(serde_json::from_str::<Named>(item.get()).ok().map(|node| node.metadata.name));
            };
            // From the API server's memory: there may be thousands, and many agents that ask.
            let params = ListParams::default().match_any();
            self.requests.list(Node::url_path(&(), None).as_str(), &params, Extent::Metadata, "Nodes", each).await?;
            Ok(names)
        })
    }
}
