//! The objects that people write, and the pods that ask: what is in force at one moment, as an `Arc<Catalog>`.
//!
//! A cluster's comes from its API server ([`ClusterCatalog`](crate::kube::ClusterCatalog)); without a cluster it is read
//! from a folder of YAML manifests, by what is here.
//!
//! ```text
//! files by name → documents in order → kind known? → admitted? → typed ──→ Arc<Catalog>
//!                        └─────────────── a Problem, and the last good version stays ──┘
//! ```
//!
//! * The folder holds `*.yaml`, `*.yml` and `*.json` in the custom resources' own form, with several documents in a file
//!   and `List`s; subfolders and other files are not looked at.
//! * A file or document that cannot be used is reported with its file, line and field. The last good version of its
//!   objects stays in force, and so do all other files.
//! * An object that is in no file any more is gone.

mod admission;
mod build;
mod controllers;
mod folder;
mod object;
mod owners;
mod pods;
mod problem;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use spiderpool_crd::{
    SpiderCoordinator, SpiderIPPool, SpiderMultusConfig, SpiderPolicy, SpiderReservedIP, SpiderSubnet,
};

use crate::PoolSpace;

pub use admission::{AcceptAll, Admission, Denial, Operation, Review};
pub use controllers::{ControllerKind, Controllers, Finding, FoundController, WantedOrdinals};
pub use folder::{CatalogFolder, FolderError};
pub(crate) use owners::{controller, deployment};
pub use pods::{Dead, KnownPod, LookupError, Pods};
pub use problem::{Problem, Severity};

/// The namespace and the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace; `default` where a manifest names none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A pool and what it may give out.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The object as admitted.
    pub object: Arc<SpiderIPPool>,
    /// Its addresses, less reserved ones. The same allocation as before when nothing about it changed.
    pub space: Arc<PoolSpace>,
}

/// Everything that is in force at one moment, by name. Copying it is cheap: kinds that did not change are shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// The pools that can be used.
    pub pools: Arc<BTreeMap<String, Pool>>,
    /// Reserved addresses.
    pub reserved_ips: Arc<BTreeMap<String, Arc<SpiderReservedIP>>>,
    /// Policies, where they are objects of a cluster. A folder has none: policies have a folder of their own.
    pub policies: Arc<BTreeMap<String, Arc<SpiderPolicy>>>,
    /// Subnets.
    pub subnets: Arc<BTreeMap<String, Arc<SpiderSubnet>>>,
    /// Coordinators.
    pub coordinators: Arc<BTreeMap<String, Arc<SpiderCoordinator>>>,
    /// Configurations of network attachments.
    pub multus_configs: Arc<BTreeMap<NamespacedName, Arc<SpiderMultusConfig>>>,
    /// Controllers of pods by their kind, of a folder. A cluster is asked for each when it counts.
    pub controllers: Arc<BTreeMap<(ControllerKind, NamespacedName), Arc<FoundController>>>,
    /// Pods.
    pub pods: Arc<BTreeMap<NamespacedName, Arc<Pod>>>,
    /// Namespaces.
    pub namespaces: Arc<BTreeMap<String, Arc<Namespace>>>,
    /// Nodes.
    pub nodes: Arc<BTreeMap<String, Arc<Node>>>,
    /// What could not be used, in the order of files and documents, or by kind and name.
    pub problems: Vec<Problem>,
}

impl Catalog {
    /// The UIDs of pods of this node that were made lately and have no network yet, but are to have one of their own: they
    /// ask for addresses soon, if ever.
    #[must_use]
    pub fn pending(&self, now: SystemTime) -> Vec<String> {
        let pending = self.pods.values().filter(|pod| pods::is_pending(pod, now));
        pending.filter_map(|pod| pod.metadata.uid.clone()).collect()
    }
}
