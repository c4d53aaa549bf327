//! Asking the agent of this node: what `spiderpool-agent metric` and `spiderpool-agent shutdown` do.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use spiderpool_wire::ErrorBody;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::{observe, server};

/// An agent answers these from memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints the metrics of the agent whose port of metrics is `port`.
///
/// # Errors
/// No agent answers there, or it has none yet.
pub(crate) async fn metric(port: u16) -> anyhow::Result<()> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let stream = TcpStream::connect(address).await.with_context(|| {
        format!(
            "no agent serves metrics at {}:{port}; look whether it runs and has SPIDERPOOL_ENABLED_METRIC=true, or \
             name its port with --port",
            address.0
        )
    })?;
    let text = request(stream, Method::GET, observe::METRICS).await?;
    spiderpool_cli::print(text)
}

/// Asks the agent at `socket` to stop, and waits until it has.
///
/// # Errors
/// No agent answers there, or it takes longer than `patience`.
pub(crate) async fn shutdown(socket: &Path, patience: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let stream = UnixStream::connect(socket).await.with_context(|| {
        format!(
            "no agent listens on {}; it does not run, or its socket is elsewhere: name it with --socket",
            socket.display()
        )
    })?;
    request(stream, Method::POST, server::SHUTDOWN).await?;
    while UnixStream::connect(socket).await.is_ok() {
        if begun.elapsed() > patience {
            bail!("the agent was told to stop and is still at work after {patience:?}; look at its log");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn request(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    path: &str,
) -> anyhow::Result<Bytes> {
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the exchange, and what goes wrong with it is told there.
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header(header::HOST, "agent");
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = response.status();
        anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    let answer = timeout(PATIENCE, exchange).await;
    match answer.with_context(|| format!("the agent does not answer within {PATIENCE:?}"))?? {
        (StatusCode::OK, body) => Ok(body),
        (status, body) => bail!("the agent says {status}: {}", ErrorBody::from_bytes(&body)),
    }
}
