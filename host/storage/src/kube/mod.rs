//! The ledger and the catalog of a cluster: everything that is remembered lives in its API server.

mod catalog;
mod client;
mod engine;
mod mark;
mod store;

pub use catalog::{ClusterCatalog, Freshness};
pub use client::{ClusterBlocks, ClusterEndpoints, ConnectError, configuration, connect};
pub use engine::{Clock, KubeLedger, KubeLedgerConfig, Spaces};
pub use mark::Mark;
pub use store::{
    BlockId, BlockMark, BlockStore, Change, ChangeError, EndpointStore, Origin, PodRef, RecordedEndpoint, StoreError,
    StoredBlock,
};
