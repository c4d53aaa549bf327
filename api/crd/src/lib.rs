//! The custom resources: their fields, defaults, columns and keys, in the words of the cluster.
//!
//! ```text
//! SpiderSubnet ─owns→ SpiderIPPool ─owns→ SpiderIPBlock     who holds which address
//!                          ↑ minus SpiderReservedIP
//! SpiderEndpoint           what one pod got, per NIC
//! SpiderPolicy             which component decides, and for whom
//! SpiderCoordinator, SpiderMultusConfig                     how the NICs of a pod are made and routed
//! ```
//!
//! Names and formats are Spiderpool's `v2beta1`, so a cluster's existing objects are read as they are; `SpiderIPBlock`
//! and `SpiderPolicy` are this project's own. Reading ignores unknown fields and fills in the same defaults as the API
//! server does from the schema, so an object means the same in a cluster and in a folder of manifests. Nothing here
//! does I/O.

#![expect(clippy::duplicated_attributes, reason = "every column of a kind says its `type_`")]

pub mod allocated_ips;
pub mod coordinator;
pub mod endpoint;
mod field;
pub mod ipblock;
pub mod ippool;
pub mod keys;
mod manifests;
pub mod multus;
pub mod policy;
pub mod reserved_ip;
mod schema;
pub mod subnet;

pub use allocated_ips::{AllocatedIps, AllocatedIpsError, MANAGER_PROJECTION, PoolHolder, managers_of_records};
pub use coordinator::{CoordinatorSpec, SpiderCoordinator, SpiderCoordinatorStatus};
pub use endpoint::{SpiderEndpoint, SpiderEndpointStatus};
pub use field::FieldError;
pub use ipblock::{SpiderIPBlock, SpiderIPBlockSpec};
pub use ippool::{Route, SpiderIPPool, SpiderIPPoolSpec, SpiderIPPoolStatus};
pub use manifests::{all_crds, crd_manifests};
pub use multus::{SpiderMultusConfig, SpiderMultusConfigSpec};
pub use policy::{SpiderPolicy, SpiderPolicySpec, SpiderPolicyStatus};
pub use reserved_ip::{SpiderReservedIP, SpiderReservedIPSpec};
pub use subnet::{SpiderSubnet, SpiderSubnetSpec, SpiderSubnetStatus};

/// The API group of all kinds.
pub const GROUP: &str = "spiderpool.spidernet.io";
/// The only version, served and stored.
pub const VERSION: &str = "v2beta1";
/// Group and version as `apiVersion` has them.
pub const API_VERSION: &str = "spiderpool.spidernet.io/v2beta1";
/// `kubectl get spiderpool` lists all kinds of this category.
pub const CATEGORY: &str = "spiderpool";
/// The finalizer on pools, subnets, endpoints and coordinators. Equal to the group.
pub const FINALIZER: &str = "spiderpool.spidernet.io";
