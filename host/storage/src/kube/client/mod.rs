//! The API server as the engine and the catalog use it.
//!
//! ```text
//! [ ClusterBlocks ]      SpiderIPBlock   one JSON Patch per change, with tests instead of a resourceVersion
//! [ ClusterEndpoints ]   SpiderEndpoint  as Spiderpool writes them
//! [ ClusterNodes ]       Node            their names
//!         └── requests: one request, one answer or one of six failures; nothing is tried twice
//! ```

mod blocks;
mod connect;
mod endpoints;
mod nodes;
mod pages;
mod patch;
mod requests;

pub use blocks::ClusterBlocks;
pub use connect::{ConnectError, configuration, connect};
pub use endpoints::ClusterEndpoints;
pub use nodes::ClusterNodes;
pub(super) use requests::Requests;
