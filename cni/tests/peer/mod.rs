//! The plugin as a container runtime starts it, a scripted agent, and pods. The script is for what a real agent cannot be
//! brought to do on demand; what it gets is kept.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the agent was asked: method and target, and the body.
pub(crate) type Asked = (String, Value);

/// What the scripted agent does with a request.
pub(crate) enum Reply {
    /// Answer 200 with this body.
    Well(Value),
    /// Answer 200 with nothing.
    Done,
    /// Answer 500 with this header and sentence.
    No(&'static str, &'static str),
    /// Write these bytes and hang up.
    Bytes(&'static [u8]),
}

/// A folder with the socket and the log of one test.
pub(crate) struct Node {
    folder: TempDir,
}

/// How one call ended: the status, and what was on stdout.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("cni.log")).unwrap_or_default()
    }

    /// A network configuration whose `ipam` part names this node's socket and log; `fields` are added beside it.
    pub(crate) fn network(&self, version: &str, fields: Value) -> String {
        let mut network = json!({
            "cniVersion": version, "name": "underlay", "type": "macvlan",
            "ipam": {
                "type": "spiderpool", "ipam_unix_socket_path": self.path("agent.sock"),
                "log_file_path": self.path("cni.log"), "default_ipv4_ippool": ["p4"],
            },
        });
        network.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        network.to_string()
    }

    /// Starts the scripted agent: the n-th connection, from 0, is answered as `script` says.
    pub(crate) fn agent(&self, script: impl Fn(usize) -> Reply + Send + 'static) -> Receiver<Asked> {
        let listener = UnixListener::bind(self.path("agent.sock")).expect("the socket is free");
        let (tell, asked) = channel();
        thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.expect("a connection");
                let request = read(&mut stream);
                // The test may have seen enough.
                let _ = tell.send(request);
                stream.write_all(&script(n).bytes()).expect("the plugin reads");
            }
        });
        asked
    }
}

impl Reply {
    fn bytes(self) -> Vec<u8> {
        let (head, body) = match self {
            Self::Well(body) => ("200 OK".to_owned(), body.to_string()),
            Self::Done => ("200 OK".to_owned(), String::new()),
            Self::No(header, sentence) => {
                (format!("500 No\r\nspiderpool-error: {header}"), Value::from(sentence).to_string())
            }
            Self::Bytes(bytes) => return bytes.to_vec(),
        };
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

fn read(stream: &mut UnixStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).expect("a request line");
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        match line.trim().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a length"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    (first.trim().trim_end_matches(" HTTP/1.1").to_owned(), body)
}

/// An attachment of `shop/web-0`, as variables. Without `netns` there is no `CNI_NETNS`.
pub(crate) fn variables<'a>(verb: &'a str, netns: &'a str) -> Vec<(&'a str, &'a str)> {
    let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=6b1c";
    let all = [
        ("CNI_COMMAND", verb),
        ("CNI_CONTAINERID", "abc"),
        ("CNI_NETNS", netns),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", args),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

pub(crate) fn start(program: &Path, variables: &[(&str, &str)], stdout: Stdio) -> Child {
    Command::new(program)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the plugin starts")
}

/// One call of the plugin, from start to end.
pub(crate) fn call(variables: &[(&str, &str)], stdin: &str) -> Ended {
    let child = start(Path::new(env!("CARGO_BIN_EXE_spiderpool")), variables, Stdio::piped());
    end(child, stdin)
}

pub(crate) fn end(mut child: Child, stdin: &str) -> Ended {
    // A plugin that does not need its configuration may be gone before it is written.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the plugin ends");
    Ended {
        status: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
    }
}

impl Ended {
    /// The result, of a call that went well.
    #[track_caller]
    pub(crate) fn well(&self) -> Value {
        assert_eq!(self.status, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).expect("JSON on stdout")
    }

    /// Code, message and details, of a call that failed as the protocol says.
    #[track_caller]
    pub(crate) fn error(&self) -> (u64, String, String) {
        assert_eq!(self.status, Some(1), "{self:?}");
        let error: Value = serde_json::from_str(&self.stdout).expect("JSON on stdout");
        assert!(error["cniVersion"].is_string(), "{error}");
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (error["code"].as_u64().expect("a code"), text("msg"), text("details"))
    }
}

/// A network namespace of the test's own, gone with the value.
pub(crate) struct Pod {
    namespace: File,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let thread = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("run as root: sudo make test");
            File::open("/proc/thread-self/ns/net").expect("the namespace of this thread")
        });
        Self { namespace: thread.join().expect("a new network namespace") }
    }

    /// A path to the namespace that other processes can use.
    pub(crate) fn netns(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.namespace.as_raw_fd())
    }

    /// Runs `ip` with `arguments` inside and returns what it prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let run = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).expect("run as root: sudo make test");
            Command::new("ip").args(arguments.split(' ')).output().expect("install iproute2: apt install iproute2")
        };
        let output = thread::scope(|scope| scope.spawn(run).join()).expect("ip ran");
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("ip prints UTF-8")
    }

    /// A pod and a neighbour, whose `eth0` are joined by a veth pair. The pod's end is down.
    pub(crate) fn with_neighbour() -> (Self, Self) {
        let (pod, neighbour) = (Self::new(), Self::new());
        pod.ip(&format!("link add eth0 type veth peer name eth0 netns {}", neighbour.netns()));
        neighbour.ip("link set eth0 address 02:00:00:00:00:09 up");
        (pod, neighbour)
    }
}
