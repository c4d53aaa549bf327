//! Two machines on one wire, in network namespaces of the test's own. Nothing here has a name in the file system, so
//! nothing is left over.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{self, Command};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;
use spiderpool_probe::{Interface, MacAddress};

/// A network namespace with an interface `eth0`.
pub(crate) struct Machine {
    namespace: File,
}

/// A pod and its neighbour, joined by a veth pair, both ends up, without any address.
pub(crate) fn pair() -> (Machine, Machine) {
    let (pod, neighbour) = (Machine::new(), Machine::new());
    let far = format!("/proc/{}/fd/{}", process::id(), neighbour.namespace.as_raw_fd());
    pod.ip(&format!("link add eth0 type veth peer name eth0 netns {far}"));
    for machine in [&pod, &neighbour] {
        machine.ip("link set lo up");
        machine.ip("link set eth0 up");
    }
    (pod, neighbour)
}

impl Machine {
    fn new() -> Self {
        let thread = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("run as root: sudo make test");
            File::open("/proc/thread-self/ns/net").expect("the namespace of this thread")
        });
        Self { namespace: thread.join().expect("a new network namespace") }
    }

    /// Runs `work` inside, on a thread that ends with it.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter_and_work = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).expect("run as root: sudo make test");
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `ip` with `arguments` inside and returns what it prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let run = || Command::new("ip").args(arguments.split(' ')).output();
        let output = self.inside(run).expect("install iproute2: apt install iproute2");
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("ip prints UTF-8")
    }

    fn ip_json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ip(&format!("-j {arguments}"))).expect("ip -j prints JSON")
    }

    /// Gives `eth0` an address that is in use at once.
    pub(crate) fn hold(&self, address: &str) {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("addr add {address} dev eth0{nodad}"));
    }

    /// `eth0` as `ip` describes it.
    pub(crate) fn interface(&self) -> Interface {
        let link = self.ip_json("link show eth0")[0].clone();
        let index = link["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok()).expect("an index");
        Interface { name: "eth0".into(), index, mac: mac(link["address"].as_str().expect("an address")) }
    }

    /// Which Ethernet address this machine's neighbour cache has for `address`.
    pub(crate) fn knows(&self, address: IpAddr) -> Option<MacAddress> {
        let list = self.ip_json(&format!("neigh show {address} dev eth0"));
        list[0]["lladdr"].as_str().map(mac)
    }
}

/// Reads `02:00:00:00:00:01`.
pub(crate) fn mac(text: &str) -> MacAddress {
    let octets: Vec<_> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).expect("hexadecimal")).collect();
    MacAddress(octets.try_into().expect("six octets"))
}
