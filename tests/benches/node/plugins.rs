//! The plugin beside Debian's host-local, in turns, so that both have the same machine.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use spiderpool_tests::{Host, Namespace, Plugin, Pod};

use crate::report::{Report, Samples, timed};
use crate::socket::big_pool;

const ROUNDS: usize = 500;

pub(crate) fn measure(report: &mut Report) {
    let host = Host::with(&big_pool());
    let ours = Plugin::of(&host);
    let reference = HostLocal::new(&host.path("host-local"));
    let plain = Namespace::new();
    let wired = Namespace::new();
    let _ = wired.ip(&["link", "add", "eth0", "type", "veth", "peer", "name", "other"]);
    let _ = (wired.ip(&["link", "set", "eth0", "up"]), wired.ip(&["link", "set", "other", "up"]));
    let mut times: [Vec<Duration>; 7] = Default::default();
    for round in 0..ROUNDS {
        let pod = Pod::named(&format!("p{round}"));
        times[0].push(timed(|| ours.call_in("ADD", &pod, &plain).ok));
        times[1].push(timed(|| reference.call("ADD", &pod, &plain)));
        times[2].push(timed(|| ours.call_in("DEL", &pod, &plain).ok));
        times[3].push(timed(|| reference.call("DEL", &pod, &plain)));
        times[4].push(timed(|| ours.call_in("ADD", &pod, &wired).ok));
        assert!(ours.call_in("DEL", &pod, &wired).ok);
        times[5].push(timed(|| ours.raw(&[("CNI_COMMAND", "VERSION")], b"{\"cniVersion\":\"1.0.0\"}").ok));
        times[6].push(timed(|| reference.version()));
    }
    let [add, add_reference, del, del_reference, add_wired, version, version_reference] = times.map(Samples::of);
    let mut text = format!(
        "One call at a time, {ROUNDS} rounds, both plugins in turns. An ADD of ours is the process, the agent, the \
         policies' answers and one durable write; host-local writes files without waiting for the disk.\n\n\
         | call | ours median ms | ours p99 | host-local median ms | host-local p99 | ratio of medians |\n|---|---|---|---|---|---|\n"
    );
    for (name, ours, reference, goal) in [
        ("ADD", &add, &add_reference, Some(2.0)),
        ("ADD where eth0 exists: the address is announced too", &add_wired, &add_reference, None),
        ("DEL", &del, &del_reference, None),
        ("VERSION, which is the start of the process", &version, &version_reference, Some(1.3)),
    ] {
        let ratio = ours.median() / reference.median();
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {ratio:.2} |",
            ours.median(),
            ours.p99(),
            reference.median(),
            reference.p99()
        );
        if let Some(goal) = goal {
            let found = format!("{ratio:.2} x ({:.2} ms beside {:.2} ms)", ours.median(), reference.median());
            report.figure(name, &format!("≤ {goal} x host-local"), found, ratio <= goal);
        }
    }
    report.section("The plugin, beside host-local", &text);
    binary(report, &host.dist.bin("spiderpool"));
}

fn binary(report: &mut Report, program: &Path) {
    let bytes = fs::read(program).expect("the plugin");
    let (megabytes, linkage) = (bytes.len() as f64 / 1e6, if is_static(&bytes) { "static" } else { "not static" });
    let found = format!("{megabytes:.1} MB, {linkage}");
    report.figure("the plugin's binary", "≤ 8 MB, static", found, megabytes <= 8.0 && is_static(&bytes));
}

/// Whether a 64-bit little-endian ELF file asks for no loader: it has no segment of the type PT_INTERP.
fn is_static(elf: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |offset: usize, size: usize| {
        elf[offset..offset + size].iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    let (table, entry, count) = (number(32, 8) as usize, number(54, 2) as usize, number(56, 2) as usize);
    (0..count).all(|index| number(table + index * entry, 4) != PT_INTERP)
}

struct HostLocal {
    config: String,
}

impl HostLocal {
    const PROGRAM: &str = "/usr/lib/cni/host-local";

    fn new(data: &Path) -> Self {
        let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.7.0.0/16"}]], "dataDir": data});
        Self {
            config: json!({"cniVersion": "1.0.0", "name": "reference", "type": "macvlan", "ipam": ipam}).to_string(),
        }
    }

    fn call(&self, verb: &str, pod: &Pod, netns: &Namespace) -> bool {
        let netns = netns.path().display().to_string();
        self.run(&[
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", &pod.container),
            ("CNI_NETNS", &netns),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/usr/lib/cni"),
        ])
    }

    fn version(&self) -> bool {
        self.run(&[("CNI_COMMAND", "VERSION")])
    }

    fn run(&self, environment: &[(&str, &str)]) -> bool {
        let mut child = Command::new(Self::PROGRAM)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("host-local is missing: apt-get install containernetworking-plugins");
        // VERSION may be answered, and the pipe closed, before anything is read.
        let written = child.stdin.take().expect("a pipe").write_all(self.config.as_bytes());
        assert!(written.is_ok() || environment.contains(&("CNI_COMMAND", "VERSION")), "it does not read: {written:?}");
        child.wait_with_output().expect("it ends").status.success()
    }
}
