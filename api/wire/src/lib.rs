//! What the plugins and `spiderpoolctl` say to the agent, and what it answers: JSON over HTTP on a unix socket.
//!
//! The shapes are Spiderpool's, key by key; [`upkeep`], [`explain`] and [`summary`] are added by this project under
//! the same base path. Fields that may be missing are left out when empty and read as empty when missing or `null`,
//! as Go programs write them. Unknown fields are ignored. Nothing here does I/O.

pub mod coordinator;
pub mod endpoint;
mod error;
pub mod explain;
pub mod ipam;
mod lists;
pub mod summary;
pub mod upkeep;

pub use error::{ErrorBody, ErrorCode};

/// The agent's socket, unless configured otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/spidernet/spiderpool.sock";

/// Where requests go, and with which method.
pub mod path {
    /// `GET`: 200 when the agent works.
    pub const HEALTHY: &str = "/v1/ipam/healthy";
    /// `POST` [`IpamAddArgs`](crate::ipam::IpamAddArgs), `DELETE` [`IpamDelArgs`](crate::ipam::IpamDelArgs), and
    /// `GET` with [`IpamCheckArgs`](crate::upkeep::IpamCheckArgs) in the query.
    pub const IP: &str = "/v1/ipam/ip";
    /// `DELETE` [`IpamBatchDelArgs`](crate::ipam::IpamBatchDelArgs); `POST` does nothing.
    pub const IPS: &str = "/v1/ipam/ips";
    /// `POST` [`IpamGcArgs`](crate::upkeep::IpamGcArgs).
    pub const GC: &str = "/v1/ipam/gc";
    /// `GET`: [`IpamStatus`](crate::upkeep::IpamStatus).
    pub const STATUS: &str = "/v1/ipam/status";
    /// `GET` with [`ExplainArgs`](crate::explain::ExplainArgs) in the query.
    pub const EXPLAIN: &str = "/v1/ipam/explain";
    /// `GET`: a list of [`PoolSummary`](crate::summary::PoolSummary).
    pub const POOLS: &str = "/v1/ipam/pools";
    /// `GET`: a list of [`AllocationSummary`](crate::summary::AllocationSummary).
    pub const ALLOCATIONS: &str = "/v1/ipam/allocations";
    /// `GET`: a list of [`PolicySummary`](crate::summary::PolicySummary).
    pub const POLICIES: &str = "/v1/policies";
    /// `GET` with [`WorkloadEndpointArgs`](crate::endpoint::WorkloadEndpointArgs) in the query.
    pub const WORKLOAD_ENDPOINT: &str = "/v1/workloadendpoint";
    /// `GET` with [`CoordinatorConfigArgs`](crate::coordinator::CoordinatorConfigArgs) as a body.
    pub const COORDINATOR_CONFIG: &str = "/v1/coordinator/config";
}

/// The HTTP status codes that mean something.
pub mod status {
    /// It is done.
    pub const OK: u16 = 200;
    /// The query of a request lacks something.
    pub const BAD_REQUEST: u16 = 400;
    /// There is no such endpoint.
    pub const NOT_FOUND: u16 = 404;
    /// It failed, or the body of the request lacks something.
    pub const FAILED: u16 = 500;
    /// Conflicting addresses of a stateless workload may not be released: that is switched off.
    pub const FORBIDDEN_STATELESS: u16 = 521;
    /// Conflicting addresses of a stateful workload are never released.
    pub const FORBIDDEN_STATEFUL: u16 = 522;
}
