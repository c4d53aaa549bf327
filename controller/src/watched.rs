//! What the watches read of objects: everything else is skipped while reading, without being stored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::ClusterResourceScope;
use serde::Deserialize;
use spiderpool_crd::SpiderIPBlock;

/// A SpiderIPBlock without what only agents need. Its texts are read later, so that a bad one spoils no other block.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WatchedBlock {
    /// See there.
    pub metadata: ObjectMeta,
    /// See there.
    pub spec: WatchedBlockSpec,
}

/// See [`SpiderIPBlockSpec`](spiderpool_crd::SpiderIPBlockSpec).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WatchedBlockSpec {
    /// The name of the pool.
    pub pool: String,
    /// The block as a CIDR.
    pub block: String,
    /// The holders of addresses, by address: see [`BlockAllocation`](spiderpool_crd::ipblock::BlockAllocation).
    #[serde(default)]
    pub allocations: BTreeMap<String, String>,
}

impl Resource for WatchedBlock {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        SpiderIPBlock::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        SpiderIPBlock::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        SpiderIPBlock::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        SpiderIPBlock::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
