//! Health and metrics over TCP.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use spiderpool_wire::{ErrorBody, ErrorCode};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::gate::Gate;

/// Where metrics are.
pub(crate) const METRICS: &str = "/metrics";

/// Serves `/v1/runtime/{startup,readiness,liveness}` until `stop` is done, where there is a listener.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve_health(
    listener: Option<TcpListener>,
    gate: Arc<Gate>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/runtime/startup", get(started))
        .route("/v1/runtime/liveness", get(alive))
        .route("/v1/runtime/readiness", get(ready))
        .with_state(gate);
    serve(listener, router, stop).await
}

/// Serves `/metrics` until `stop` is done, where there is a listener.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve_metrics(
    listener: Option<TcpListener>,
    gate: Arc<Gate>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve(listener, Router::new().route(METRICS, get(metrics)).with_state(gate), stop).await
}

async fn serve(
    listener: Option<TcpListener>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    match listener {
        Some(listener) => axum::serve(listener, router).with_graceful_shutdown(stop).await,
        None => Ok(()),
    }
}

async fn alive() {}

/// Started means: what the agent needs was there once. An agent that waits for something says what.
async fn started(State(gate): State<Arc<Gate>>) -> Result<(), Failure> {
    gate.agent().map(drop)
}

/// Ready means: requests are served. Whether pools have room is another matter, of CNI's STATUS: an agent is ready before
/// there is the first pool, or no installation would ever be.
async fn ready(State(gate): State<Arc<Gate>>) -> Result<Json<ErrorBody>, Failure> {
    if gate.stop.is_cancelled() {
        return Err(Failure::new(ErrorCode::Unavailable, "the agent is stopping"));
    }
    let agent = gate.agent()?;
    match agent.surroundings.trouble() {
        Some(trouble) => Err(Failure::new(ErrorCode::Unavailable, trouble)),
        None => Ok(Json(ErrorBody(agent.status().reason))),
    }
}

async fn metrics(State(gate): State<Arc<Gate>>) -> Result<impl IntoResponse, Failure> {
    let mut text = String::new();
    encode(&mut text, &gate.agent()?.registry).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
