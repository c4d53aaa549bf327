//! What a node's pods wait for, measured and written into docs/benchmarks.md: `make bench`.
#![expect(clippy::print_stdout, reason = "progress, for the person who waits")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Host, Namespace, Plugin, Pod};
use spiderpool_wire::ipam::{IpamAddArgs, IpamDelArgs};

const ROUNDS: usize = 500;

fn main() {
    let mut report = String::from("# Benchmarks\n\nWritten by `make bench`; figures of one run on one machine.\n\n");
    machine(&mut report);
    plugins(&mut report);
    socket(&mut report);
    memory(&mut report);
    other(&mut report, "The sandbox: one call, one decision", "spiderpool-runtime", "decide");
    other(&mut report, "The local ledger", "spiderpool-storage", "ledger");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    fs::write(path, report).expect("docs/benchmarks.md can be written");
}

fn machine(report: &mut String) {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let _ = writeln!(
        report,
        "Machine: {cores} cores ({}), Linux {}. Load when it began: {}.\n",
        model.trim_start_matches([':', ' ', '\t']),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or_default()
    );
}

fn big_pool() -> String {
    pool("big", "10.6.0.0/16", "10.6.1.0-10.6.250.255", &["default: true"])
}

/// Sorted samples in milliseconds.
struct Samples(Vec<f64>);

impl Samples {
    fn of(times: Vec<Duration>) -> Self {
        let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * share).round() as usize]
    }
}

fn timed(call: impl FnOnce() -> bool) -> Duration {
    let begun = Instant::now();
    assert!(call(), "a measured call failed");
    begun.elapsed()
}

/// ADD and DEL by the plugin, beside Debian's host-local, in turns.
fn plugins(report: &mut String) {
    println!("plugins: {ROUNDS} rounds");
    let host = Host::with(&big_pool());
    let ours = Plugin::of(&host);
    let reference = HostLocal::new(host.path("host-local").display().to_string());
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
    let _ = writeln!(
        report,
        "## The plugin, beside host-local\n\nOne call at a time, {ROUNDS} rounds, both plugins in turns. An ADD of ours is \
         the process, the agent, three policies' answers and one durable write; host-local writes a file without waiting \
         for the disk. Wanted: ADD at most twice host-local's median, VERSION at most 1.3 times.\n\n\
         | call | ours median ms | ours p99 | host-local median ms | host-local p99 | ratio of medians |\n|---|---|---|---|---|---|"
    );
    for (name, ours, reference) in [
        ("ADD", &add, &add_reference),
        ("ADD where eth0 exists (announces the address)", &add_wired, &add_reference),
        ("DEL", &del, &del_reference),
        ("VERSION", &version, &version_reference),
    ] {
        let _ = writeln!(
            report,
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            ours.at(0.5),
            ours.at(0.99),
            reference.at(0.5),
            reference.at(0.99),
            ours.at(0.5) / reference.at(0.5)
        );
    }
    let size = fs::metadata(host.dist.bin("spiderpool")).map_or(0, |metadata| metadata.len());
    let _ = writeln!(report, "\nThe plugin's binary: {:.2} MB (wanted: at most 8), static.\n", size as f64 / 1e6);
}

struct HostLocal {
    config: String,
}

impl HostLocal {
    const PROGRAM: &str = "/usr/lib/cni/host-local";

    fn new(data: String) -> Self {
        let ranges = json!([[{"subnet": "10.7.0.0/16"}]]);
        let ipam = json!({"type": "host-local", "ranges": ranges, "dataDir": data});
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
        use std::io::Write as _;
        let mut child = Command::new(Self::PROGRAM)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("host-local is missing: apt-get install containernetworking-plugins");
        child.stdin.take().expect("a pipe").write_all(self.config.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends").status.success()
    }
}

/// ADDs over the socket, several at a time.
fn socket(report: &mut String) {
    println!("socket: 1, 10, 64 in flight");
    let _ = writeln!(
        report,
        "## The agent, over its socket\n\n| in flight | ADDs/s | median ms | p99 ms |\n|---|---|---|---|"
    );
    for in_flight in [1, 10, 64] {
        let host = Host::with(&big_pool());
        let next = AtomicUsize::new(0);
        let all = 4000;
        let begun = Instant::now();
        let times: Vec<Duration> = thread::scope(|scope| {
            let work = || {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        return times;
                    }
                    times.push(timed(|| host.allocate(&add(number)).is_ok()));
                }
            };
            let workers: Vec<_> = (0..in_flight).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
        });
        let rate = all as f64 / begun.elapsed().as_secs_f64();
        let times = Samples::of(times);
        let _ = writeln!(report, "| {in_flight} | {rate:.0} | {:.2} | {:.2} |", times.at(0.5), times.at(0.99));
    }
    let _ = writeln!(report, "\nClient and agent share the cores; every request opens a connection of its own.\n");
}

fn add(number: usize) -> IpamAddArgs {
    IpamAddArgs {
        container_id: format!("c{number}"),
        if_name: "eth0".into(),
        net_namespace: "/proc/self/ns/net".into(),
        pod_namespace: "default".into(),
        pod_name: format!("p{number}"),
        pod_uid: format!("u{number}"),
        ..IpamAddArgs::default()
    }
}

fn memory(report: &mut String) {
    println!("memory");
    let host = Host::with(&big_pool());
    let before = host.resident_kib();
    for number in 0..1000 {
        host.allocate(&add(number)).expect("an address");
    }
    let after = host.resident_kib();
    for number in 0..1000 {
        let IpamAddArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace, .. } = add(number);
        let args = IpamDelArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace };
        host.release(&args).expect("released");
    }
    let _ = writeln!(
        report,
        "## The agent's memory\n\nResident: {:.1} MB at start, {:.1} MB after 1,000 allocations with the three built-in \
         policies (wanted: at most 40).\n",
        before as f64 / 1024.0,
        after as f64 / 1024.0
    );
}

/// The benchmark of another package, in its own words.
fn other(report: &mut String, title: &str, package: &str, bench: &str) {
    println!("{package}: {bench}");
    let output =
        Command::new(env!("CARGO")).args(["bench", "--quiet", "--package", package, "--bench", bench]).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
    let _ = writeln!(
        report,
        "## {title}\n\n`cargo bench --package {package} --bench {bench}`:\n\n```text\n{}\n```\n",
        String::from_utf8_lossy(&output.stdout).trim()
    );
}
