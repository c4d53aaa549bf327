//! Health and metrics over TCP.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use spiderpool_wire::ErrorBody;
use tokio::net::TcpListener;

use crate::agent::Agent;

/// Listens on a TCP address.
///
/// # Errors
/// The address is taken or not this machine's.
pub(crate) async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; give another address with {flag}"))
}

/// Serves `/v1/runtime/{startup,readiness,liveness}` until `stop` is done.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve_health(
    listener: TcpListener,
    agent: Arc<Agent>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/runtime/startup", get(alive))
        .route("/v1/runtime/liveness", get(alive))
        .route("/v1/runtime/readiness", get(ready))
        .with_state(agent);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// Serves `/metrics` until `stop` is done.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve_metrics(
    listener: TcpListener,
    registry: Arc<Registry>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new().route("/metrics", get(metrics)).with_state(registry);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn alive() {}

/// Ready means: an ADD may succeed.
async fn ready(State(agent): State<Arc<Agent>>) -> impl IntoResponse {
    let status = agent.status();
    let code = if status.ready { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    (code, axum::Json(ErrorBody(status.reason)))
}

async fn metrics(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            error.to_string(),
        ),
    }
}
