//! Health and metrics over TCP.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Listens on a port of an address, or of all.
///
/// # Errors
/// The port is taken, or the address not this machine's.
pub(crate) async fn listen(address: Option<IpAddr>, port: u16, flag: &str) -> anyhow::Result<TcpListener> {
    let bound = match address {
        Some(address) => TcpListener::bind((address, port)).await,
        // Serves IPv4 too, where there is IPv6 at all.
        None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            bound => bound,
        },
    };
    let place = address.map_or_else(|| "all addresses".to_owned(), |address| address.to_string());
    bound
        .with_context(|| format!("cannot listen on port {port} of {place}; give another with {flag} or --bind-address"))
}

/// Serves `/v1/runtime/{startup,readiness,liveness}` until `stop` is done.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve_health(
    listener: TcpListener,
    ready: watch::Receiver<bool>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/runtime/startup", get(alive))
        .route("/v1/runtime/liveness", get(alive))
        .route("/v1/runtime/readiness", get(readiness))
        .with_state(ready);
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

/// Ready means: pools and blocks have been read, changes are written.
async fn readiness(State(ready): State<watch::Receiver<bool>>) -> impl IntoResponse {
    if *ready.borrow() {
        (StatusCode::OK, axum::Json("pools and blocks are watched"))
    } else {
        let reason = "pools and blocks have not been read yet; if this lasts, the log says what the API server answers";
        (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(reason))
    }
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
