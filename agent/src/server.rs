//! The socket: which request is answered by what.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use spiderpool_wire::endpoint::{WorkloadEndpointArgs, WorkloadEndpointStatus};
use spiderpool_wire::explain::{ExplainArgs, Explanation};
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse};
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary};
use spiderpool_wire::upkeep::{IpamCheckArgs, IpamGcResponse, IpamStatus};
use spiderpool_wire::{ErrorCode, path};
use thiserror::Error;
use tokio::net::UnixListener;

use crate::failure::Failure;
use crate::gate::{Ctx, Gate};

/// `POST`: the agent stops, as on SIGTERM.
pub(crate) const SHUTDOWN: &str = "/v1/runtime/shutdown";

/// Why the socket cannot be served.
#[derive(Debug, Error)]
pub(crate) enum SocketError {
    /// Another agent answers there.
    #[error("socket {0}: another agent is serving it; stop that one, or give another path with --socket")]
    Taken(PathBuf),
    /// Something that is no socket is in the way.
    #[error("socket {0}: a file that is no socket is in the way; remove it, or give another path with --socket")]
    InTheWay(PathBuf),
    /// The system refuses.
    #[error("socket {path}: {source}; check that its folder can be written by this user")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Listens on a unix socket that only root can speak to. A socket left behind by a killed agent is replaced.
///
/// # Errors
/// Somebody else serves the socket, something else is in its place, or it cannot be made.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(SocketError::InTheWay(path.to_owned()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(SocketError::Taken(path.to_owned()));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Serves until `stop` is done, then answers what has begun.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve(
    gate: Arc<Gate>,
    listener: UnixListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(gate)).with_graceful_shutdown(stop).await
}

fn router(gate: Arc<Gate>) -> Router {
    Router::new()
        .route(path::HEALTHY, get(healthy))
        .route(path::IP, get(check).post(add).delete(del))
        .route(path::IPS, post(no_op).delete(del_batch))
        .route(path::GC, axum::routing::post(gc))
        .route(path::STATUS, get(status))
        .route(path::EXPLAIN, get(explain))
        .route(path::POOLS, get(pools))
        .route(path::ALLOCATIONS, get(allocations))
        .route(path::POLICIES, get(policies))
        .route(path::WORKLOAD_ENDPOINT, get(endpoint))
        .route(SHUTDOWN, post(shutdown))
        .fallback(unknown)
        .with_state(gate)
}

type Answer<T> = Result<Json<T>, Failure>;

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(ErrorCode::BadRequest, format!("the request's JSON is not as expected: {error}")))
}

/// An agent that has come up is well.
async fn healthy(_: Ctx) {}

async fn shutdown(State(gate): State<Arc<Gate>>) {
    gate.close("spiderpool-agent shutdown");
}

/// Spiderpool answers batch allocation with success and does nothing; callers rely on the success.
async fn no_op() {}

async fn add(Ctx(agent): Ctx, body: Bytes) -> Answer<IpamAddResponse> {
    let args: IpamAddArgs = parse(&body)?;
    agent.allocate(args).await.map(Json)
}

async fn del(Ctx(agent): Ctx, body: Bytes) -> Result<(), Failure> {
    agent.release(parse(&body)?).await
}

async fn del_batch(Ctx(agent): Ctx, body: Bytes) -> Result<(), Failure> {
    agent.release_conflicting(parse(&body)?).await
}

async fn gc(Ctx(agent): Ctx, body: Bytes) -> Answer<IpamGcResponse> {
    agent.collect(parse(&body)?).await.map(Json)
}

async fn check(Ctx(agent): Ctx, Query(args): Query<IpamCheckArgs>) -> Answer<IpamAddResponse> {
    agent.check(args).await.map(Json)
}

async fn status(Ctx(agent): Ctx) -> Json<IpamStatus> {
    Json(agent.status())
}

async fn explain(Ctx(agent): Ctx, Query(args): Query<ExplainArgs>) -> Answer<Explanation> {
    agent.explain(args).await.map(Json)
}

async fn pools(Ctx(agent): Ctx) -> Json<Vec<PoolSummary>> {
    Json(agent.pools())
}

async fn allocations(Ctx(agent): Ctx) -> Answer<Vec<AllocationSummary>> {
    agent.allocations().await.map(Json)
}

async fn policies(Ctx(agent): Ctx) -> Json<Vec<PolicySummary>> {
    Json(agent.policies())
}

async fn endpoint(Ctx(agent): Ctx, Query(args): Query<WorkloadEndpointArgs>) -> Answer<WorkloadEndpointStatus> {
    agent.endpoint(args).await.map(Json)
}

async fn unknown(method: axum::http::Method, uri: axum::http::Uri) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("this agent does not serve {method} {}", uri.path()))
}
