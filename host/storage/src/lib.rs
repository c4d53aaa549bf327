//! What is remembered: the ledger of addresses, and the catalog of objects that people write.
//!
//! ```text
//!                 reserve, release, retain, …                        folder of YAML manifests
//!                            │                                                 │ watched
//!                            ▼                                                 ▼
//! [ Ledger ] ← [ local: one writer, group commit, redb ]    [ catalog: parse → admit → Arc<Catalog> ]
//!                            │                                                 │
//!                            ▼                                                 ▼
//!                  who holds which address                     pools as PoolSpace, pods, nodes, …
//! ```
//!
//! * [`Ledger`] is the trait that the agent speaks to; `LocalLedger` is the engine for one machine without a cluster.
//! * [`block`] is 16 addresses as pure data, the unit that the ledger is cut into.
//! * [`catalog`] reads a folder and never lets one bad file harm another.
//!
//! Nothing here decides which pool a pod gets: a reservation arrives as a plan, and is carried out.

pub mod block;
pub mod catalog;
mod endpoint;
pub mod kube;
mod ledger;
mod local;
mod place;
mod space;

pub use endpoint::{Endpoint, Lease};
pub use ledger::{
    Allocation, BoxFuture, Choice, ClusterError, Holder, Ledger, LedgerError, Owner, Pick, Quarantine, Release,
    Reservation, ReserveError, StorageError, Tried, Usage, Want, Why,
};
pub use local::LocalLedger;
pub use space::{PoolSpace, Records};
