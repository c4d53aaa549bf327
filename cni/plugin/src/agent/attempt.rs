use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use httparse::{EMPTY_HEADER, Response, Status};
use socket2::{Domain, SockAddr, Socket, Type};
use spiderpool_wire::{ErrorBody, ErrorCode};

use super::AgentError;

/// Far more than any answer to a plugin: what is larger comes from something else.
const LONGEST_ANSWER: usize = 16 << 20;
/// How much is read at once: as a rule, all of an answer.
const AT_ONCE: usize = 8 << 10;
/// The most header fields of an answer. An agent sends four.
const FIELDS: usize = 32;

/// An answer came.
pub(super) struct Answer {
    status: StatusCode,
    code: ErrorCode,
    body: Vec<u8>,
}

/// None came.
pub(super) enum Broken {
    NotReached(io::Error),
    HungUp,
    TooLate,
    Garbage(String),
}

impl Answer {
    pub(super) fn read(self, socket: &Path, request: &str) -> Result<Vec<u8>, AgentError> {
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
pub(super) fn attempt(socket: &Path, request: &[u8], deadline: Instant) -> Result<Answer, Broken> {
    let mut stream = connect(socket, deadline)?;
    stream.write_all(request).map_err(broken)?;
    let mut bytes = Vec::with_capacity(AT_ONCE);
    let head = loop {
        match Head::parse(&bytes)? {
            Some(head) => break head,
            None if read(&mut stream, &mut bytes, deadline)? == 0 => return Err(Broken::HungUp),
            None => {}
        }
    };
    let end = head.length.map(|length| head.size.saturating_add(length));
    while end.is_none_or(|end| bytes.len() < end) {
        if bytes.len().max(end.unwrap_or_default()) > LONGEST_ANSWER {
            return Err(Broken::Garbage(format!("an answer of more than {LONGEST_ANSWER} bytes")));
        }
        if read(&mut stream, &mut bytes, deadline)? == 0 {
            if end.is_some() {
                return Err(Broken::HungUp);
            }
            break;
        }
    }
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes.drain(..head.size);
    Ok(Answer { status: head.status, code: head.code, body: bytes })
}

/// Where so many requests wait in the socket's queue that there is no room for another, it waits for that.
fn connect(socket: &Path, deadline: Instant) -> Result<UnixStream, Broken> {
    let connected = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|stream| {
        stream.set_write_timeout(Some(left(deadline)))?;
        stream.connect(&SockAddr::unix(socket)?)?;
        Ok(stream)
    });
    connected.map(|stream| OwnedFd::from(stream).into()).map_err(Broken::NotReached)
}

/// Adds what comes next to `bytes`; how much that was, and nothing if nothing will come.
fn read(stream: &mut UnixStream, bytes: &mut Vec<u8>, deadline: Instant) -> Result<usize, Broken> {
    stream.set_read_timeout(Some(left(deadline))).map_err(broken)?;
    let before = bytes.len();
    bytes.resize(before + AT_ONCE, 0);
    let found = loop {
        match stream.read(&mut bytes[before..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            found => break found,
        }
    };
    bytes.truncate(before + found.as_ref().unwrap_or(&0));
    found.map_err(broken)
}

/// What is left of the time: a timeout of a socket, which is not zero.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn broken(error: io::Error) -> Broken {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Broken::TooLate,
        _ => Broken::HungUp,
    }
}

/// What an answer begins with (RFC 9112, 4 and 5).
struct Head {
    /// How long it is.
    size: usize,
    status: StatusCode,
    code: ErrorCode,
    /// The length of the body; none: it ends with the connection (RFC 9112, 6.3).
    length: Option<usize>,
}

impl Head {
    /// None as long as its end has not come.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let garbage = |what: String| Err(Broken::Garbage(what));
        let mut fields = [EMPTY_HEADER; FIELDS];
        let mut response = Response::new(&mut fields);
        let size = match response.parse(bytes) {
            Ok(Status::Complete(size)) => size,
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return garbage(error.to_string()),
        };
        let Some(Ok(status)) = response.code.map(StatusCode::from_u16) else {
            return garbage("an answer without a status".into());
        };
        let field = |name: &str| response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        if let Some(field) = field(TRANSFER_ENCODING.as_str()) {
            return garbage(format!("{}: {}", field.name, String::from_utf8_lossy(field.value)));
        }
        let code = ErrorCode::parse(field(ErrorCode::HEADER).map(|field| field.value));
        let length = match field(CONTENT_LENGTH.as_str()).map(|field| str::from_utf8(field.value).map(str::parse)) {
            None => None,
            Some(Ok(Ok(length))) => Some(length),
            Some(_) => return garbage("a content-length that is no number".into()),
        };
        Ok(Some(Self { size, status, code, length }))
    }
}

/// How long to wait after the n-th try, from 1: 50 ms, doubling, each between half and one and a half of that, so that
/// those who lost the same agent do not come back at once.
pub(super) fn pause(tries: u32) -> Duration {
    let base = Duration::from_millis(50) * 2_u32.saturating_pow(tries.saturating_sub(1).min(8));
    let random = RandomState::new().hash_one(tries);
    let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
    base.mul_f64(0.5 + fraction)
}
