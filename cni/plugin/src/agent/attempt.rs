use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use spiderpool_wire::{ErrorBody, ErrorCode};
use tokio::net::UnixStream;

use super::AgentError;

/// Far more than any answer to a plugin: what is larger comes from something else.
const LONGEST_ANSWER: usize = 16 << 20;

/// An answer came.
pub(super) struct Answer {
    status: StatusCode,
    code: ErrorCode,
    body: Bytes,
}

/// None came.
pub(super) enum Broken {
    NotReached(io::Error),
    /// So many requests wait in the socket's queue that there is no room for another.
    Busy(io::Error),
    HungUp,
    Garbage(String),
}

impl Answer {
    pub(super) fn read(self, socket: &Path, request: &str) -> Result<Bytes, AgentError> {
        if self.status == StatusCode::OK {
            return Ok(self.body);
        }
        let message = ErrorBody::from_bytes(&self.body).0;
        if message.is_empty() {
            let what = format!("status {} without a reason", self.status);
            return Err(AgentError::Garbage { socket: socket.to_owned(), request: request.to_owned(), what });
        }
        Err(AgentError::Said { code: self.code, message })
    }
}

/// Asks once.
pub(super) async fn attempt(socket: &Path, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
    let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Broken::Busy(error),
        _ => Broken::NotReached(error),
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the runtime, which lives for this request only.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let code = ErrorCode::parse(response.headers().get(ErrorCode::HEADER).map(|value| value.as_bytes()));
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => broken(*error),
        Err(error) => Broken::Garbage(format!("an answer of more than {LONGEST_ANSWER} bytes: {error}")),
    })?;
    Ok(Answer { status, code, body: body.to_bytes() })
}

fn broken(error: hyper::Error) -> Broken {
    if error.is_parse() {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return Broken::Garbage(format!("{error}{cause}"));
    }
    Broken::HungUp
}

/// How long to wait after the n-th try, from 1: 50 ms, doubling, each between half and one and a half of that, so that
/// those who lost the same agent do not come back at once.
pub(super) fn pause(tries: u32) -> Duration {
    let base = Duration::from_millis(50) * 2_u32.saturating_pow(tries.saturating_sub(1).min(8));
    let random = RandomState::new().hash_one(tries);
    let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
    base.mul_f64(0.5 + fraction)
}
