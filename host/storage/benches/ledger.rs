//! How fast the local ledger is, durably.
//!
//! * one reservation at a time, and 64 in flight: rate, median and 99th percentile;
//! * filling a pool of 65,536 addresses: time per 1,000 reservations, the first against the last.
//!
//! `cargo bench -p spiderpool-storage`, with `BENCH_SERIES=1` for every thousand; the data goes to the folder named by `BENCH_DIR`, or to the system's folder for
//! temporary files, which should be on a disk that matters.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures and stops at the first error"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::{Choice, Holder, Ledger, LocalLedger, Owner, Pick, PoolSpace, Release, Reservation, Want};

const IN_FLIGHT: usize = 64;
/// How often the large pool is filled.
const FILLINGS: u64 = 9;

fn main() {
    let folder = match std::env::var_os("BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ledger = Arc::new(LocalLedger::open(folder.path()).unwrap());
    runtime.block_on(async {
        one_by_one(&ledger).await;
        in_flight(&ledger).await;
        let before = resident();
        fill(&ledger).await;
        let each = (resident() - before) / 65_536.0;
        println!("{:<34}{each:>10.0} bytes", "memory per address that is held");
        usage(&ledger);
    });
    let opened = Instant::now();
    drop(Arc::into_inner(ledger).unwrap());
    println!("{:<34}{:>10.1} ms", "closing", millis(opened.elapsed()));
    let opened = Instant::now();
    let ledger = LocalLedger::open(folder.path()).unwrap();
    println!("{:<34}{:>10.1} ms", "opening with 65,536 held", millis(opened.elapsed()));
    let held = ledger.usage(&pool("fill", "10.8.0.0-10.8.255.255")).allocated;
    assert_eq!(held, 65_536);
    let file = std::fs::metadata(folder.path().join("ledger.redb")).unwrap().len();
    println!("{:<34}{:>10.1} MB", "file", file as f64 / 1e6);
}

fn pool(name: &str, ips: &str) -> Arc<PoolSpace> {
    let usable = IpSet::parse(Family::V4, [ips]).unwrap();
    Arc::new(PoolSpace::new(name, "10.0.0.0/8".parse().unwrap(), usable))
}

fn reservation(space: &Arc<PoolSpace>, number: u64) -> Reservation {
    let choice = Choice { space: Arc::clone(space), pick: Pick::Lowest };
    Reservation {
        holder: Holder {
            namespace: "bench".to_owned(),
            pod: format!("web-6b8f9c7d5-{number:05}"),
            uid: format!("{number:08x}-0000-4000-8000-000000000000"),
        },
        node: "node1".to_owned(),
        container: format!("{number:064x}"),
        owner: Owner { kind: "Deployment".to_owned(), name: "web".to_owned() },
        comes_back: false,
        wants: vec![Want {
            interface: "eth0".to_owned(),
            family: Family::V4,
            network: "underlay".to_owned(),
            clean_gateway: false,
            inherits: Vec::new(),
            choices: vec![choice],
        }],
    }
}

async fn one_by_one(ledger: &Arc<LocalLedger>) {
    let space = pool("single", "10.6.0.0-10.6.15.255");
    let mut latency = Histogram::<u64>::new(3).unwrap();
    let start = Instant::now();
    for number in 0..2_000 {
        let asked = Instant::now();
        ledger.reserve(reservation(&space, number)).await.unwrap();
        latency.record(asked.elapsed().as_micros() as u64).unwrap();
    }
    report("1 in flight", 2_000, start.elapsed(), &latency);
    give_back(ledger, 0..2_000).await;
}

async fn in_flight(ledger: &Arc<LocalLedger>) {
    let space = pool("many", "10.7.0.0-10.7.255.255");
    let (elapsed, latency) = storm(ledger, &space, 100_000..150_000).await;
    report("64 in flight", 50_000, elapsed, &latency);
    let start = Instant::now();
    give_back(ledger, 100_000..150_000).await;
    let rate = 50_000.0 / start.elapsed().as_secs_f64();
    println!("{:<34}{rate:>10.0} /s", "releases, 64 in flight");
}

/// Fills a pool and tells what a thousand reservations take at either end, the median of ten: by the clock, and in
/// processor time, which says whether the work grows also on a machine that is busy with something else. A machine's speed
/// drifts within one filling by more than what is looked for, so it is done several times; the medians of those count.
async fn fill(ledger: &Arc<LocalLedger>) {
    let space = pool("fill", "10.8.0.0-10.8.255.255");
    let mut ends: [Vec<(f64, f64)>; 2] = Default::default();
    for filling in 0..FILLINGS {
        let begin = 1_000_000 * (filling + 1);
        let (mut clock, mut processor) = (Vec::new(), Vec::new());
        for thousand in 0..65 {
            let first = begin + thousand * 1_000;
            let before = processor_time();
            clock.push(millis(storm(ledger, &space, first..first + 1_000).await.0));
            processor.push(millis(processor_time() - before));
        }
        storm(ledger, &space, begin + 65_000..begin + 65_536).await;
        for (ends, times) in ends.iter_mut().zip([&clock, &processor]) {
            ends.push((median(&times[..10]), median(&times[55..])));
        }
        if std::env::var_os("BENCH_SERIES").is_some() {
            println!("{clock:.1?}\n{processor:.1?}");
        }
        if filling + 1 < FILLINGS {
            give_back(ledger, begin..begin + 65_536).await;
        }
    }
    for (what, ends) in ["clock", "processor"].into_iter().zip(ends) {
        let of = |pick: fn(&(f64, f64)) -> f64| median(&ends.iter().map(pick).collect::<Vec<_>>());
        let (first, last, ratio) = (of(|end| end.0), of(|end| end.1), of(|end| end.1 / end.0));
        let what = format!("1,000 of 65,536, {what}");
        println!("{what:<34}{first:>10.1} ms at first, {last:.1} ms at last: {ratio:.2} x");
    }
    let error = ledger.reserve(reservation(&space, 1_000_000 * (FILLINGS + 1))).await.unwrap_err();
    println!("then: {error}");
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What all threads of this process have used of the processors.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros as u64)
}

fn usage(ledger: &LocalLedger) {
    let space = pool("fill", "10.8.0.0-10.8.255.255");
    let start = Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(ledger.usage(&space));
    }
    println!("{:<34}{:>10.0} ns", "usage of a pool", start.elapsed().as_nanos() as f64 / 100_000.0);
}

/// Reserves for every number, with [`IN_FLIGHT`] requests on their way at any time.
async fn storm(
    ledger: &Arc<LocalLedger>,
    space: &Arc<PoolSpace>,
    numbers: std::ops::Range<u64>,
) -> (Duration, Histogram<u64>) {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let start = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (ledger, space, next, end) = (Arc::clone(ledger), Arc::clone(space), Arc::clone(&next), numbers.end);
            tokio::spawn(async move {
                let mut latency = Histogram::<u64>::new(3).unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return latency;
                    }
                    let asked = Instant::now();
                    ledger.reserve(reservation(&space, number)).await.unwrap();
                    latency.record(asked.elapsed().as_micros() as u64).unwrap();
                }
            })
        })
        .collect();
    let mut latency = Histogram::<u64>::new(3).unwrap();
    for task in tasks {
        latency.add(task.await.unwrap()).unwrap();
    }
    (start.elapsed(), latency)
}

async fn give_back(ledger: &Arc<LocalLedger>, numbers: std::ops::Range<u64>) {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (ledger, next, end) = (Arc::clone(ledger), Arc::clone(&next), numbers.end);
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return;
                    }
                    let uid = format!("{number:08x}-0000-4000-8000-000000000000");
                    let freed = ledger.release(Release { uid, ..Release::default() }).await.unwrap();
                    assert_eq!(freed.len(), 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn report(what: &str, count: u64, elapsed: Duration, latency: &Histogram<u64>) {
    let rate = count as f64 / elapsed.as_secs_f64();
    let (p50, p99) = (latency.value_at_quantile(0.5), latency.value_at_quantile(0.99));
    println!("{what:<34}{rate:>10.0} /s  p50 {p50} us  p99 {p99} us");
}

/// Resident memory of this process, in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
