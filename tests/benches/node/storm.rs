//! The cluster under a storm of pods.

use std::fmt::Write as _;
use std::future::Future;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use spiderpool_cluster::{Cluster, Requests, Usage};
use spiderpool_tests::storm::{Calls, Size, Storm, endpoints_per_second};
use tokio::runtime::Runtime;

use crate::report::{Report, Samples};

/// No call is made again: one that fails is counted.
const ONCE: Duration = Duration::ZERO;

/// The storm that goals are set for.
const STORM: Size = Size { nodes: 10, pods: 100, in_flight: 10 };

/// As many pods on more nodes.
const WIDE: Size = Size { nodes: 100, pods: 10, in_flight: 10 };

/// One pod for every node, all at once.
const THIN: Size = Size { nodes: 100, pods: 1, in_flight: 1 };

/// One ADD at a time.
const SINGLY: Size = Size { nodes: 1, pods: 100, in_flight: 1 };

/// How often what goals are set for is measured, in turns with what it is compared with: the machine is not equally fast at
/// all times.
const TRIES: usize = 3;
/// More bytes of memory than the processes of a storm need.
const MEMORY: usize = 1 << 30;
/// The bytes of a page.
const PAGE: usize = 4096;
/// How much of a pool of 65,536 is held at last.
const MUCH: usize = 64_000;

/// What profiles of the first row and of the one with 100 nodes say. It does not change with every run.
const LIMITS: &str = "
What limits it: both cores are busy from the first call to the last. Of some 2.3 s of processor time in which the first row's \
ADDs are served, starting the plugin and its processes take 0.9 s, the API server 0.7 s, agents 0.5 s, etcd 0.13 s. \
SpiderEndpoints are written behind the replies: their creation costs the API server more than twice as much as all blocks. \
With all calls in flight all the time the mean of what one takes is their number divided by the rate. With 100 nodes 1,000 \
plugins run at once, which alone costs a sixth, as STATUS/s shows; and 100 agents and their first requests take more than ten. \
Each node begins with its share of the pool, so that next to none comes too late for an address. But a share is ten addresses, \
which mostly lie in two of 63 blocks: every other of these is asked for by a node that does not make it before it is made, \
which costs two requests more. Each node's ten calls arrive one by one over a second; an agent waits for all of them, since a \
write for each handful costs more than the wait: the storm takes a fifth less than without. One pod on each of 100 nodes has \
nobody to share a write with: every agent lists labels once, and those who come before the first write was made lose the \
lowest address to one of them.
";

/// What one storm came to.
struct Outcome {
    size: Size,
    rate: f64,
    times: Samples,
    failed: usize,
    /// Until all records said what was answered.
    settled: Duration,
    apiserver: Usage,
    etcd: Usage,
    agents: Usage,
    requests: Requests,
    /// Calls of STATUS a second, as many at once: plugins and agents without the ledger.
    statuses: f64,
    dels: f64,
}

impl Outcome {
    fn pods(&self) -> f64 {
        (self.size.nodes * self.size.pods) as f64
    }

    /// Requests that agents made for each allocation, watches and the API server's own work left out.
    fn requests_each(&self) -> f64 {
        self.requests.sum(|request| ours(&request.resource) && request.verb != "WATCH") as f64 / self.pods()
    }
}

fn ours(resource: &str) -> bool {
    resource.starts_with("spider") || ["pods", "replicasets", "deployments", "nodes"].contains(&resource)
}

/// A storm, its undoing, and what both took. Fails when anything is not as it must be afterwards.
async fn storm(cluster: &Cluster, size: Size, held: usize) -> Result<Outcome> {
    let storm = Storm::prepare_after(held, cluster, &size, None).await?;
    cluster.calm().await?;
    touch_memory();
    let requests = cluster.requests().await?;
    let before = [cluster.apiserver.usage()?, cluster.etcd.usage()?, storm.usage()?];
    let begun = std::time::Instant::now();
    let adds = storm.adds(ONCE).join();
    storm.caught_up()?;
    let settled = begun.elapsed();
    let after = [cluster.apiserver.usage()?, cluster.etcd.usage()?, storm.usage()?];
    let requests = cluster.requests().await? - &requests;
    storm.verify(&adds).await?;
    let dels = storm.dels(&adds, ONCE).await?.join();
    ensure!(dels.failures.is_empty(), "DEL: {:?}", dels.failures.first());
    storm.verify_empty().await?;
    let statuses = storm.statuses().join();
    ensure!(statuses.failures.is_empty(), "STATUS: {:?}", statuses.failures.first());
    let Calls { times, failures, took, .. } = adds;
    let [apiserver, etcd, agents] = std::array::from_fn(|place| after[place] - before[place]);
    let pods = storm.count() as f64;
    let outcome = Outcome {
        size,
        rate: pods / took.as_secs_f64(),
        times: Samples::of(times),
        failed: failures.len(),
        settled,
        apiserver,
        etcd,
        agents,
        requests,
        statuses: pods / statuses.took.as_secs_f64(),
        dels: pods / dels.took.as_secs_f64(),
    };
    println!("{}", row(&outcome));
    Ok(outcome)
}

/// Has the host of a virtual machine give memory back that it took away while it lay idle. That takes some 10 µs a page, or
/// half a second of processor time in a storm that has a thousand processes at once.
fn touch_memory() {
    let mut memory = Vec::<u8>::with_capacity(MEMORY);
    memory.spare_capacity_mut().iter_mut().step_by(PAGE).for_each(|byte| {
        byte.write(1);
    });
    black_box(memory.as_mut_ptr());
}

/// Storms of several shapes.
pub(crate) fn measure(report: &mut Report) {
    let mut tries = Vec::new();
    let mut wide = Vec::new();
    for _ in 0..TRIES {
        let (storm, limit) = beside_limit();
        let other = alone(WIDE, 0);
        wide.push((other.rate / storm.rate, other));
        tries.push((storm, limit));
    }
    tries.sort_by(|(one, _), (other, _)| one.rate.total_cmp(&other.rate));
    wide.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let shares = wide.iter().map(|(share, _)| format!("{share:.2}")).collect::<Vec<_>>().join(", ");
    let (first, limit) = tries.remove(TRIES / 2);
    let (wide_share, wide) = wide.remove(TRIES / 2);
    let singly = alone(SINGLY, 0);
    goals(report, &first, limit, wide_share, &singly);
    let few = alone(Size { in_flight: 1, ..STORM }, 0);
    let one = alone(Size { nodes: 1, pods: 1000, in_flight: 100 }, 0);
    let others = [wide, few, singly, one, alone(THIN, 0)];
    let mut text = format!(
        "A real kube-apiserver and etcd, agents as processes, the plugin started for every call, all on this machine; a \
         pool of exactly as many addresses as pods. Every pod got an address of its own, and answers, ledger and \
         SpiderEndpoints agreed; after DEL for all nothing was left. Times are those of ADDs, from the start of the plugin \
         to its end; processor time and requests until all SpiderEndpoints were written. STATUS/s is how fast as many \
         calls of STATUS are answered, as many at once: plugins and agents without the ledger. The first storm was made {TRIES} \
         times, and this is the one in the middle; right after it the API server alone created {limit:.0} SpiderEndpoints/s. \
         The others: {}. That with 100 nodes was made in turns with it, and had {shares} of its rate. The memory that storms \
         need was touched before.\n\n\
         | nodes x pods | in flight | ADD/s | median ms | p99 ms | failed | all records after s | STATUS/s | DEL/s | CPU s: API server | \
         etcd | agents | requests per ADD | memory of the largest agent MiB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        tries
            .iter()
            .map(|(other, limit)| format!("{:.0} ADD/s of {limit:.0}", other.rate))
            .collect::<Vec<_>>()
            .join(", "),
    );
    for outcome in [&first].into_iter().chain(&others) {
        let _ = writeln!(text, "{}", row(outcome));
    }
    text.push_str(LIMITS);
    let _ = write!(text, "\nRequests of the first row:\n\n```text\n{}```", first.requests);
    report.section("Storms", &text);
}

/// How a pool of 65,536 addresses fills: a thousand pods where so many addresses are held already.
pub(crate) fn filling(report: &mut Report) {
    let mut text =
        "1,000 pods on 10 nodes, 100 calls in flight, and 100 pods on one node, one call at a time, in a pool \
                    from 10.6.0.0 on whose lowest addresses are held already, with as many left as there are pods.\n\n\
                    | held before | ADD/s | median ms | p99 ms | requests per ADD | one at a time, median ms |\n\
                    |---|---|---|---|---|---|\n"
            .to_owned();
    let singly = |held| alone(SINGLY, held).times.median();
    for held in [0, 16_000, 32_000, 48_000, MUCH] {
        let many = alone(STORM, held);
        let one = singly(held);
        let Outcome { rate, times, .. } = &many;
        let each = many.requests_each();
        let _ = writeln!(
            text,
            "| {held} | {rate:.0} | {:.1} | {:.1} | {each:.2} | {one:.1} |",
            times.median(),
            times.p99()
        );
    }
    // The machine is half as fast for minutes on end: what is compared is measured in turns.
    let mut ratios: Vec<f64> = (0..TRIES).map(|_| singly(MUCH) / singly(0)).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[TRIES / 2];
    let _ = writeln!(text, "\nThe last beside the first, one at a time, {TRIES} times in turns: {ratios:.2?}.");
    report.figure(
        "one ADD in a pool with 64,000 addresses held, beside an empty one",
        "≤ 1.2 x",
        format!("{ratio:.2} x"),
        ratio <= 1.2,
    );
    report.section("Filling a pool of 65,536 addresses in a cluster", &text);
}

/// The storm that goals are set for, and how many SpiderEndpoints a second its API server creates right after it.
fn beside_limit() -> (Outcome, f64) {
    run(async {
        let cluster = Cluster::start().await?;
        let outcome = storm(&cluster, STORM, 0).await?;
        cluster.calm().await?;
        let limit = endpoints_per_second(&cluster, 1000, 100).await?;
        println!("{limit:.0} SpiderEndpoints/s");
        Ok((outcome, limit))
    })
}

/// A storm on a cluster of its own, in a pool of which so many addresses are held already.
fn alone(size: Size, held: usize) -> Outcome {
    run(async { storm(&Cluster::start().await?, size, held).await })
}

fn row(outcome: &Outcome) -> String {
    let Outcome { size: Size { nodes, pods, in_flight }, rate, times, failed, settled, statuses, dels, .. } = outcome;
    format!(
        "| {nodes} x {pods} | {} | {rate:.0} | {:.1} | {:.1} | {failed} | {:.1} | {statuses:.0} | {dels:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} |",
        nodes * in_flight,
        times.median(),
        times.p99(),
        settled.as_secs_f64(),
        outcome.apiserver.cpu.as_secs_f64(),
        outcome.etcd.cpu.as_secs_f64(),
        outcome.agents.cpu.as_secs_f64(),
        outcome.requests_each(),
        outcome.agents.memory as f64 / f64::from(1 << 20),
    )
}

fn goals(report: &mut Report, first: &Outcome, limit: f64, wide_share: f64, singly: &Outcome) {
    let Outcome { rate, times, failed, .. } = first;
    let mut goal = |what: &str, wanted: &str, found: String, reached: bool| {
        report.figure(&format!("storm, 10 nodes x 100 pods, 100 in flight: {what}"), wanted, found, reached);
    };
    goal("rate", "≥ 400 ADD/s", format!("{rate:.0}/s"), *rate >= 400.0);
    let share = rate / limit;
    goal("rate beside what the API server creates", "≥ 0.4", format!("{share:.2} of {limit:.0}/s"), share >= 0.4);
    goal("median", "≤ 100 ms", format!("{:.0} ms", times.median()), times.median() <= 100.0);
    goal("99th percentile", "≤ 400 ms", format!("{:.0} ms", times.p99()), times.p99() <= 400.0);
    goal("failed calls", "none", failed.to_string(), *failed == 0);
    let cpu = first.apiserver.cpu.as_secs_f64();
    goal("processor time of the API server", "≤ 4 s", format!("{cpu:.1} s"), cpu <= 4.0);
    let each = first.requests_each();
    goal("requests per allocation", "≤ 2.2", format!("{each:.2}"), each <= 2.2);
    goal("rate of 100 nodes x 10 pods beside it", "≥ 0.8", format!("{wide_share:.2}"), wide_share >= 0.8);
    let median = singly.times.median();
    report.figure("one ADD at a time in a cluster", "≤ 10 ms", format!("{median:.1} ms"), median <= 10.0);
}

/// Runs what must not fail.
fn run<T>(measured: impl Future<Output = Result<T>>) -> T {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(measured).unwrap_or_else(|error| panic!("{error:#}"))
}
