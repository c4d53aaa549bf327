//! One question to the agent: HTTP over its unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spiderpool_wire::ErrorBody;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A person waits no longer. The slowest answer lists some 100,000 addresses, which takes well under a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer that is larger is no answer: a million addresses take a quarter of it.
const LARGEST_ANSWER: usize = 1 << 30;

/// The agent of this node.
pub(crate) struct Agent {
    socket: PathBuf,
}

impl Agent {
    pub(crate) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks for what is at `path`.
    ///
    /// # Errors
    /// When nobody listens at the socket, the agent refuses, or its answer has another shape.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        match timeout(PATIENCE, self.ask(path)).await {
            Ok(answer) => answer,
            Err(_) => bail!(
                "the agent at {} took the question and has not answered for {} s; look at its log",
                self.socket.display(),
                PATIENCE.as_secs(),
            ),
        }
    }

    /// The same with a query.
    ///
    /// # Errors
    /// As [`Agent::get`].
    pub(crate) async fn get_with<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T> {
        let query = serde_urlencoded::to_string(query).context("cannot write the question")?;
        self.get(&format!("{path}?{query}")).await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| unreachable_agent(&self.socket, &error))?;
        let broken = || format!("the agent at {} broke off the conversation", self.socket.display());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(broken)?;
        let conversation = tokio::spawn(connection);
        let request = Request::get(path).header(HOST, "agent").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await.with_context(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!("{}: {error}", broken()))?.to_bytes();
        conversation.abort();
        match status {
            StatusCode::OK => serde_json::from_slice(&body).with_context(|| {
                format!(
                    "the agent at {} answers {path} in another shape; are both of one version?",
                    self.socket.display()
                )
            }),
            StatusCode::NOT_FOUND if ErrorBody::from_bytes(&body).0.is_empty() => {
                bail!("the agent at {} does not know {path}; it is older than spiderpoolctl", self.socket.display())
            }
            _ => bail!("{}", ErrorBody::from_bytes(&body)),
        }
    }
}

fn unreachable_agent(socket: &Path, error: &std::io::Error) -> anyhow::Error {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let socket = socket.display();
    match error.kind() {
        NotFound => anyhow!(
            "no agent listens at {socket}: the socket does not exist. Start spiderpool-agent, or name its socket with \
             --socket or SPIDERPOOL_SOCKET"
        ),
        ConnectionRefused => anyhow!(
            "no agent listens at {socket}: the socket is left over from one that has ended. Start spiderpool-agent \
             again and look at its log"
        ),
        PermissionDenied => anyhow!("{socket} is not for this user; run spiderpoolctl as root, as the agent does"),
        _ => anyhow!("cannot reach the agent at {socket}: {error}"),
    }
}

#[cfg(test)]
mod tests;
