//! Asking the agent: one HTTP request over its unix socket.
//!
//! With blocking calls, and no more of HTTP/1.1 than the agent speaks: a plugin lives for one request, and the start of an
//! asynchronous runtime with a client for everything takes longer than the request.
//!
//! ## Guarantees
//! Every request ends within the time given. A connection that breaks is tried again, a few times: all requests of
//! [`spiderpool_wire`] may be repeated, because the agent knows them by sandbox and interface.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spiderpool_wire::ErrorCode;

use crate::{CniError, Code};

mod attempt;

#[cfg(test)]
mod tests;

use attempt::{Broken, attempt, pause};

/// How often a broken connection is tried again. With the pauses of [`pause`] that is some three seconds: an agent that
/// was restarted listens again by then.
const TRIES: u32 = 7;

/// The agent of this node.
#[derive(Clone, Debug)]
pub struct Agent {
    socket: PathBuf,
}

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Nobody listens on the socket, or it may not be opened.
    #[error("cannot reach spiderpool-agent at {}: {source}", socket.display())]
    NotReached {
        /// The socket.
        socket: PathBuf,
        /// The error of `connect`.
        #[source]
        source: io::Error,
    },
    /// The connection broke every time.
    #[error("spiderpool-agent at {} hung up {tries} times before it answered {request}", socket.display())]
    HungUp {
        /// The socket.
        socket: PathBuf,
        /// Method and path.
        request: String,
        /// How often it was tried.
        tries: u32,
    },
    /// No answer came in time.
    #[error("spiderpool-agent at {} did not answer {request} within {} s", socket.display(), within.as_secs())]
    TooLate {
        /// The socket.
        socket: PathBuf,
        /// Method and path.
        request: String,
        /// The time that it had.
        within: Duration,
    },
    /// What came back is not an answer of an agent.
    #[error("what answered {request} at {} does not speak as spiderpool-agent does: {what}", socket.display())]
    Garbage {
        /// The socket.
        socket: PathBuf,
        /// Method and path.
        request: String,
        /// What is wrong with it.
        what: String,
    },
    /// The agent says no.
    #[error("{message}")]
    Said {
        /// The kind of no.
        code: ErrorCode,
        /// The agent's sentence.
        message: String,
    },
    /// The request could not be made.
    #[error("cannot ask spiderpool-agent: {0}")]
    Request(String),
}

impl Agent {
    /// The agent behind a socket. Nothing is opened before something is asked.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Sends `body` and reads the answer.
    ///
    /// # Errors
    /// Any [`AgentError`].
    pub fn ask<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, AgentError> {
        let answer = self.tell(method, path, body, within)?;
        self.read(method, path, &answer)
    }

    /// Sends `body` and returns what came back, which may be nothing.
    ///
    /// # Errors
    /// Any [`AgentError`].
    pub fn tell(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<Vec<u8>, AgentError> {
        let body = serde_json::to_vec(body).map_err(|error| AgentError::Request(error.to_string()))?;
        self.exchange(method, path, path, &body, within)
    }

    /// Asks with `GET` and a query.
    ///
    /// # Errors
    /// Any [`AgentError`].
    pub fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
        within: Duration,
    ) -> Result<T, AgentError> {
        let query = serde_urlencoded::to_string(query).map_err(|error| AgentError::Request(error.to_string()))?;
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let answer = self.exchange(&Method::GET, path, &target, &[], within)?;
        self.read(&Method::GET, path, &answer)
    }

    fn read<T: DeserializeOwned>(&self, method: &Method, path: &str, answer: &[u8]) -> Result<T, AgentError> {
        serde_json::from_slice(answer).map_err(|error| AgentError::Garbage {
            socket: self.socket.clone(),
            request: format!("{method} {path}"),
            what: error.to_string(),
        })
    }

    /// Tries until there is an answer. An agent that was not there in the first place is not waited for: the container
    /// runtime tries again anyway, and shows the reason meanwhile.
    fn exchange(
        &self,
        method: &Method,
        path: &str,
        target: &str,
        body: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>, AgentError> {
        let deadline = Instant::now() + within;
        let (request, name) = (request(method, target, body), format!("{method} {path}"));
        let mut was_there = false;
        let mut tries = 0;
        loop {
            tries += 1;
            match attempt(&self.socket, &request, deadline) {
                Ok(answer) => return answer.read(&self.socket, &name),
                Err(Broken::NotReached(source)) if tries == TRIES || !was_there => {
                    return Err(AgentError::NotReached { socket: self.socket.clone(), source });
                }
                Err(Broken::HungUp) if tries == TRIES => {
                    return Err(AgentError::HungUp { socket: self.socket.clone(), request: name, tries });
                }
                Err(Broken::Garbage(what)) => {
                    return Err(AgentError::Garbage { socket: self.socket.clone(), request: name, what });
                }
                Err(Broken::NotReached(_)) => {}
                Err(Broken::HungUp) => was_there = true,
                Err(Broken::TooLate) => {
                    return Err(AgentError::TooLate { socket: self.socket.clone(), request: name, within });
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            thread::sleep(pause(tries).min(left));
            if Instant::now() >= deadline {
                return Err(AgentError::TooLate { socket: self.socket.clone(), request: name, within });
            }
        }
    }
}

/// A request as it is sent (RFC 9112, 3 and 9.6): the only one of its connection.
fn request(method: &Method, target: &str, body: &[u8]) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: spiderpool-agent\r\nconnection: close\r\n{kind}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

impl From<AgentError> for CniError {
    fn from(error: AgentError) -> Self {
        let msg = error.to_string();
        let (code, details) = match &error {
            AgentError::NotReached { socket, source } => (Code::TryAgainLater, not_reached(socket, source)),
            AgentError::HungUp { .. } => {
                (Code::TryAgainLater, "is it being restarted again and again? look at its log".into())
            }
            AgentError::TooLate { .. } => {
                (Code::TryAgainLater, "it is stuck or overloaded: look at its log and metrics".into())
            }
            AgentError::Garbage { socket, .. } => (
                Code::Internal,
                format!("is ipam_unix_socket_path ({}) that of an agent of this version?", socket.display()),
            ),
            AgentError::Request(_) => (Code::Internal, String::new()),
            AgentError::Said { code, .. } => (said(*code), String::new()),
        };
        Self::new(code, msg).details(details)
    }
}

fn said(code: ErrorCode) -> Code {
    match code {
        ErrorCode::BadRequest => Code::BadRequest,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::Refused | ErrorCode::ForbiddenStateless | ErrorCode::ForbiddenStateful => Code::Refused,
        ErrorCode::Exhausted => Code::Exhausted,
        ErrorCode::Unavailable => Code::TryAgainLater,
        ErrorCode::Internal => Code::Internal,
    }
}

fn not_reached(socket: &std::path::Path, source: &io::Error) -> String {
    let socket = socket.display();
    match source.kind() {
        io::ErrorKind::NotFound => format!(
            "is spiderpool-agent running on this node, and is {socket} the socket that it was given \
             (ipam_unix_socket_path of the CNI configuration)?"
        ),
        io::ErrorKind::ConnectionRefused => {
            "the socket is there but nobody listens: spiderpool-agent was stopped or is starting; look at its log"
                .into()
        }
        io::ErrorKind::PermissionDenied => format!("run the plugin as root, or look at the rights of {socket}"),
        io::ErrorKind::WouldBlock => "too many requests wait for it: look at its log and metrics".into(),
        _ => format!("look at {socket} and at the log of spiderpool-agent"),
    }
}
