//! The agent over its socket: how many ADDs a second, and what memory it takes.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use spiderpool_tests::Host;
use spiderpool_tests::manifests::pool;
use spiderpool_wire::ipam::{IpamAddArgs, IpamDelArgs};

use crate::report::{Report, Samples, timed};

const ADDS: usize = 4000;

pub(crate) fn big_pool() -> String {
    pool("big", "10.6.0.0/16", "10.6.1.0-10.6.250.255", &["default: true"])
}

/// ADDs, several at a time.
pub(crate) fn in_flight(report: &mut Report) {
    let mut text = format!(
        "{ADDS} ADDs with the built-in policies, durable. Client and agent share the cores; every request opens a \
         connection of its own.\n\n| in flight | ADDs/s | median ms | p99 ms |\n|---|---|---|---|\n"
    );
    for in_flight in [1, 10, 64] {
        let host = Host::with(&big_pool());
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        let times: Vec<Duration> = thread::scope(|scope| {
            let work = || {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ADDS {
                        return times;
                    }
                    times.push(timed(|| host.allocate(&add(number)).is_ok()));
                }
            };
            let workers: Vec<_> = (0..in_flight).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
        });
        let rate = ADDS as f64 / begun.elapsed().as_secs_f64();
        let times = Samples::of(times);
        let _ = writeln!(text, "| {in_flight} | {rate:.0} | {:.2} | {:.2} |", times.median(), times.p99());
    }
    report.section("The agent, over its socket", &text);
}

fn add(number: usize) -> IpamAddArgs {
    IpamAddArgs {
        container_id: format!("{number:064x}"),
        if_name: "eth0".into(),
        net_namespace: "/proc/self/ns/net".into(),
        pod_namespace: "default".into(),
        pod_name: format!("web-6b8f9c7d5-{number:05}"),
        pod_uid: format!("{number:08x}-0000-4000-8000-000000000000"),
        ..IpamAddArgs::default()
    }
}

/// Resident memory of the agent with a thousand addresses held, and after ten times as many came and went.
pub(crate) fn memory(report: &mut Report) {
    let host = Host::with(&big_pool());
    let mebibytes = || host.resident_kib() as f64 / 1024.0;
    let before = mebibytes();
    for number in 0..1000 {
        host.allocate(&add(number)).expect("an address");
    }
    let after = mebibytes();
    for number in 1000..11_000 {
        host.allocate(&add(number)).expect("an address");
        let IpamAddArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace, .. } = add(number);
        let args = IpamDelArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace };
        host.release(&args).expect("released");
    }
    let later = mebibytes();
    let what = "the agent's resident memory after 1,000 allocations, built-in policies loaded";
    report.figure(what, "≤ 40 MB", format!("{:.1} MB", after * 1.048_576), after * 1.048_576 <= 40.0);
    let text = format!(
        "Resident: {before:.1} MiB at start, {after:.1} MiB with 1,000 addresses held, {later:.1} MiB after 10,000 more \
         came and went."
    );
    report.section("The agent's memory", &text);
}
