//! The ledger and the catalog of a cluster: everything that is remembered lives in its API server.

mod store;

pub use store::{
    BlockId, BlockStore, Change, ChangeError, EndpointStore, FullMark, PodRef, RecordedEndpoint, StoreError,
    StoredBlock,
};
