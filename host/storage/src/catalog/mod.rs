//! The objects that people write, read from a folder of YAML manifests.
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
mod folder;
mod object;
mod problem;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use spiderpool_crd::{SpiderCoordinator, SpiderIPPool, SpiderMultusConfig, SpiderReservedIP, SpiderSubnet};

use crate::PoolSpace;

pub use admission::{AcceptAll, Admission, Denial, Operation, Review};
pub use folder::{CatalogFolder, FolderError};
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

/// Everything that is in force at one moment, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// The pools that can be used.
    pub pools: BTreeMap<String, Pool>,
    /// Reserved addresses.
    pub reserved_ips: BTreeMap<String, Arc<SpiderReservedIP>>,
    /// Subnets.
    pub subnets: BTreeMap<String, Arc<SpiderSubnet>>,
    /// Coordinators.
    pub coordinators: BTreeMap<String, Arc<SpiderCoordinator>>,
    /// Configurations of network attachments.
    pub multus_configs: BTreeMap<NamespacedName, Arc<SpiderMultusConfig>>,
    /// Pods.
    pub pods: BTreeMap<NamespacedName, Arc<Pod>>,
    /// Namespaces.
    pub namespaces: BTreeMap<String, Arc<Namespace>>,
    /// Nodes.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// What could not be used, in the order of files and documents.
    pub problems: Vec<Problem>,
}
