//! The ledger and the catalog of a cluster: everything that is remembered lives in its API server.

mod catalog;
mod client;
mod engine;
mod mark;
mod store;

pub use catalog::{ClusterCatalog, Freshness};
pub use client::{ClusterBlocks, ClusterEndpoints, ClusterNodes, ConnectError, configuration, connect};
pub use engine::{Clock, KubeLedger, KubeLedgerConfig, Pending, Spaces};
pub use mark::Mark;
pub use store::{
    BlockId, BlockMark, BlockStore, Change, ChangeError, EndpointStore, NodeStore, Origin, PodRef, RecordedEndpoint,
    StoreError, StoredBlock,
};
