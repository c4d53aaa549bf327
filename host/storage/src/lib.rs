//! What is remembered: the ledger of addresses, and the catalog of objects that people write.
//!
//! ```text
//!        reserve, release, retain, …                 folder of YAML manifests, or an API server
//!                   │                                                 │ watched
//!                   ▼                                                 ▼
//! [ Ledger ] ← [ local: one writer, group       [ catalog, kube: parse → admit → Arc<Catalog> ]
//!              commit, redb                                           │
//!            | kube: blocks in the API server,                        ▼
//!              compare and swap ]                      pools as PoolSpace, pods, nodes, …
//!                   │
//!                   ▼
//!         who holds which address
//! ```
//!
//! * [`Ledger`] is the trait that the agent speaks to; [`LocalLedger`] is the engine for one machine without a cluster,
//!   [`kube::KubeLedger`] that of a node in one.
//! * [`block`] is 16 addresses as pure data, the unit that the ledger is cut into.
//! * [`catalog`] reads a folder and never lets one bad file harm another; [`kube::ClusterCatalog`] watches an API server.
//!
//! Nothing here decides which pool a pod gets: a reservation arrives as a plan, and is carried out.

pub mod block;
pub mod catalog;
mod endpoint;
mod failure;
pub mod kube;
mod ledger;
mod local;
mod place;
mod space;

pub use endpoint::{Endpoint, Lease};
pub use failure::{ClusterError, LedgerError, ReserveError, StorageError, Tried, Why};
pub use ledger::{
    Allocation, BoxFuture, Choice, Holder, Ledger, Owner, Pick, Quarantine, Release, Reservation, Usage, Want,
};
pub use local::LocalLedger;
pub use space::{PoolSpace, Records};
