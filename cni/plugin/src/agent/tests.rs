//! Against peers that do what a real agent cannot be brought to do on demand.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, connect, listen, socket as socket_of};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// Answers the n-th connection, from 0, as `script` says, after the head of the request came in.
fn peer(script: impl Fn(usize, &mut UnixStream) + Send + 'static) -> (TempDir, Agent, Arc<AtomicUsize>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _: usize = stream.read(&mut head).unwrap();
            script(counter.fetch_add(1, Ordering::SeqCst), &mut stream);
        }
    });
    (folder, Agent::at(socket), served)
}

fn ask(agent: &Agent) -> Result<Value, CniError> {
    Ok(agent.ask(&Method::POST, "/v1/x", &json!({"a": 1}), Duration::from_secs(20))?)
}

const WELL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"b\":2}";

#[test]
fn an_answer_is_read() {
    let (_folder, agent, _) = peer(|_, stream| stream.write_all(WELL).unwrap());
    assert_eq!(ask(&agent).unwrap(), json!({"b": 2}));
}

#[test]
fn an_answer_may_come_in_pieces_and_end_with_the_connection() {
    let (_folder, agent, _) = peer(|_, stream| {
        for piece in [&b"HTTP/1.1 200 OK\r\n"[..], b"content-type: application/json\r\n\r\n{\"b\"", b":2}"] {
            stream.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(ask(&agent).unwrap(), json!({"b": 2}));
}

#[test]
fn what_is_sent_is_one_request_of_its_connection() {
    let sent = request(&Method::POST, "/v1/x", b"{}");
    let head =
        "POST /v1/x HTTP/1.1\r\nhost: spiderpool-agent\r\nconnection: close\r\ncontent-type: application/json\r\n";
    assert_eq!(String::from_utf8(sent).unwrap(), format!("{head}content-length: 2\r\n\r\n{{}}"));
}

#[test]
fn a_cut_connection_is_tried_again() {
    let (_folder, agent, served) = peer(|n, stream| match n {
        0 => {}
        1 => stream.write_all(&WELL[..40]).unwrap(),
        _ => stream.write_all(WELL).unwrap(),
    });
    assert_eq!(ask(&agent).unwrap(), json!({"b": 2}));
    assert_eq!(served.load(Ordering::SeqCst), 3);
}

#[test]
fn one_who_always_hangs_up_is_given_up() {
    let (_folder, agent, served) = peer(|_, _| {});
    let error = ask(&agent).unwrap_err();
    assert_eq!(error.code, Code::TryAgainLater);
    assert!(error.msg.ends_with("hung up 7 times before it answered POST /v1/x"), "{error}");
    assert_eq!(served.load(Ordering::SeqCst), 7);
}

#[test]
fn one_who_hangs_is_left_in_time() {
    let (_folder, agent, _) = peer(|_, _| thread::sleep(Duration::from_secs(60)));
    let start = Instant::now();
    let answer = agent.ask::<Value>(&Method::POST, "/v1/x", &json!({}), Duration::from_secs(1));
    assert!(start.elapsed() < Duration::from_secs(10));
    let error = CniError::from(answer.unwrap_err());
    assert_eq!(error.code, Code::TryAgainLater);
    assert!(error.msg.ends_with("did not answer POST /v1/x within 1 s"), "{error}");
    assert_eq!(error.details, "it is stuck or overloaded: look at its log and metrics");
}

#[test]
fn garbage_is_called_that() {
    let cases: [(&[u8], &str); 5] = [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{\"b\":2}\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "an answer of more than 16777216 bytes"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "invalid HTTP version"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{]", "key must be a string at line 1 column 2"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "status 500 Internal Server Error without a reason"),
    ];
    for (bytes, what) in cases {
        let (_folder, agent, served) = peer(|_, stream| stream.write_all(bytes).unwrap());
        let error = ask(&agent).unwrap_err();
        assert_eq!(error.code, Code::Internal, "{error}");
        assert!(error.msg.contains("does not speak as spiderpool-agent does") && error.msg.contains(what), "{error}");
        assert!(error.details.starts_with("is ipam_unix_socket_path ("), "{error}");
        assert_eq!(served.load(Ordering::SeqCst), 1, "it is not tried again");
    }
}

#[test]
fn the_kind_of_a_no_decides_the_code() {
    let cases = [
        ("spiderpool-error: bad-request\r\n", Code::BadRequest),
        ("spiderpool-error: not-found\r\n", Code::NotFound),
        ("spiderpool-error: refused\r\n", Code::Refused),
        ("spiderpool-error: exhausted\r\n", Code::Exhausted),
        ("spiderpool-error: unavailable\r\n", Code::TryAgainLater),
        ("", Code::Internal),
    ];
    for (header, code) in cases {
        let answer = format!("HTTP/1.1 500 No\r\n{header}content-length: 9\r\n\r\n\"no, pod\"");
        let (_folder, agent, _) = peer(move |_, stream| stream.write_all(answer.as_bytes()).unwrap());
        assert_eq!(ask(&agent).unwrap_err(), CniError::new(code, "no, pod"));
    }
}

#[test]
fn nobody_there_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let start = Instant::now();
    let missing = ask(&Agent::at(&socket)).unwrap_err();
    assert_eq!(missing.code, Code::TryAgainLater);
    let name = socket.display();
    assert_eq!(missing.msg, format!("cannot reach spiderpool-agent at {name}: No such file or directory (os error 2)"));
    assert!(missing.details.starts_with("is spiderpool-agent running on this node"), "{missing}");

    drop(UnixListener::bind(&socket).unwrap());
    let refused = ask(&Agent::at(&socket)).unwrap_err();
    assert_eq!(refused.code, Code::TryAgainLater);
    assert!(refused.details.starts_with("the socket is there but nobody listens"), "{refused}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_full_queue_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = crowded(&socket);
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).unwrap() > 0 {
                stream.write_all(WELL).unwrap();
                return;
            }
        }
    });
    assert_eq!(ask(&Agent::at(&socket)).unwrap(), json!({"b": 2}));
    late.join().unwrap();
}

/// A listener whose queue has no room: those in it have hung up already.
fn crowded(socket: &Path) -> UnixListener {
    let listener = UnixListener::bind(socket).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let address = UnixAddr::new(socket).unwrap();
    loop {
        let caller = socket_of(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
        match connect(caller.as_raw_fd(), &address) {
            Ok(()) => {}
            Err(Errno::EAGAIN) => return listener,
            Err(errno) => panic!("{errno}"),
        }
    }
}
