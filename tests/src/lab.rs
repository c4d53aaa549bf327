use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers of namespaces, so that tests of one process do not meet.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace that is deleted when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    /// Its name, for `ip -n`.
    pub name: String,
}

impl Namespace {
    /// A new one, with its loopback up.
    ///
    /// # Panics
    /// It cannot be made, mostly because the test does not run as root.
    #[must_use]
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "network namespaces need root: run `sudo make test`");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("spt{}-{number}", std::process::id());
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Self { name }
    }

    /// Its file, for CNI_NETNS.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/var/run/netns").join(&self.name)
    }

    /// Runs `ip` in it and returns what it says.
    #[must_use]
    pub fn ip(&self, args: &[&str]) -> String {
        ip(&[&["-n", &self.name], args].concat())
    }

    /// A command that runs in it.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What cannot be deleted now goes with the machine.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Runs `ip`.
///
/// # Panics
/// It fails.
pub fn ip(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).output().expect("ip is missing: apt-get install iproute2");
    assert!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A node whose interface `uplink` leads to a gateway that has 10.60.0.1/24 and fd60::1/64.
#[derive(Debug)]
pub struct Lab {
    /// The node.
    pub node: Namespace,
    /// What is behind the uplink: its interface is `gw`.
    pub gateway: Namespace,
}

impl Lab {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let lab = Self { node: Namespace::new(), gateway: Namespace::new() };
        let _ =
            lab.node.ip(&["link", "add", "uplink", "type", "veth", "peer", "name", "gw", "netns", &lab.gateway.name]);
        let _ = lab.node.ip(&["link", "set", "uplink", "up"]);
        let _ = lab.gateway.ip(&["link", "set", "gw", "up"]);
        lab.hold("10.60.0.1/24");
        lab.hold("fd60::1/64");
        lab
    }

    /// Has the host behind the uplink hold an address.
    pub fn hold(&self, address: &str) {
        let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        let _ = self.gateway.ip(&[&["addr", "add", address, "dev", "gw"], nodad].concat());
    }

    /// The hardware address of the host behind the uplink.
    #[must_use]
    pub fn gateway_mac(&self) -> String {
        let link: serde_json::Value =
            serde_json::from_str(&self.gateway.ip(&["-j", "link", "show", "gw"])).expect("JSON");
        link[0]["address"].as_str().expect("an address").to_owned()
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}
