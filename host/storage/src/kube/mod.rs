//! The ledger and the catalog of a cluster: everything that is remembered lives in its API server.

mod engine;
mod store;

pub use engine::{Clock, KubeLedger, KubeLedgerConfig, Spaces};
pub use store::{
    BlockId, BlockStore, Change, ChangeError, EndpointStore, FullMark, PodRef, RecordedEndpoint, StoreError,
    StoredBlock,
};
