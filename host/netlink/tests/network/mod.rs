//! Network namespaces of the tests' own. Nothing here has a name in the file system, so nothing is left over.

use std::os::fd::{AsFd, AsRawFd};
use std::process::{self, Command};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use spiderpool_netlink::{Namespace, in_namespace};

/// A new, empty network namespace, gone with the value.
pub(crate) fn fresh_namespace() -> Namespace {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("run as root: sudo make test");
        Namespace::open("/proc/thread-self/ns/net").expect("the namespace of this thread")
    });
    thread.join().expect("a new network namespace")
}

/// A path to `namespace` that other processes can use.
pub(crate) fn path_of(namespace: &Namespace) -> String {
    format!("/proc/{}/fd/{}", process::id(), namespace.as_fd().as_raw_fd())
}

/// Runs `ip` with `arguments` inside `namespace` and returns what it prints.
pub(crate) fn ip(namespace: &Namespace, arguments: &str) -> String {
    let run =
        || Command::new("ip").args(arguments.split(' ')).output().expect("install iproute2: apt install iproute2");
    let output = in_namespace(namespace, run).expect("run as root: sudo make test");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ip prints UTF-8")
}

/// The first object that `ip -j` prints.
pub(crate) fn ip_json(namespace: &Namespace, arguments: &str) -> Value {
    let list: Value = serde_json::from_str(&ip(namespace, &format!("-j {arguments}"))).expect("ip -j prints JSON");
    list[0].clone()
}
