//! What asking a policy costs.
//!
//! * one call of the built-in `affinity.judge`, with a fresh instance and all bounds, for 1 to 1,000 pools;
//! * the same from two threads at once;
//! * a whole decision: candidates, judge, arrange;
//! * loading a component that was compiled before, alone, and with all that is looked at before it is used.
//!
//! `cargo bench -p spiderpool-runtime`. The pod has 8 labels and 6 annotations of 120 bytes, the node 19 labels, every
//! pool a pod selector with one label. Every figure is measured in windows of a tenth of a second; median and 99th
//! percentile are those of the window with the lowest median: whatever else the machine does only adds to times, and often
//! for seconds on end. The median of all windows stands beside them.
//! With `--json` (`cargo bench -p spiderpool-runtime -- --json`) every line is an object; times are in microseconds.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures and stops at the first error"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;
use spiderpool_crd::{SpiderIPPool, SpiderPolicySpec};
use spiderpool_ip::IpSet;
use spiderpool_runtime::types::{
    Cluster, Cni, Context, Family, Labels, Moment, Namespace, Nic, Node, Pairs, Pod, Pool, Subject, Verdict,
};
use spiderpool_runtime::{HostConfig, PolicyHost, PolicySet, PolicySource, PoolIndex, Question, Room, conv};
use spiderpool_wire::summary::PolicyPhase;
use wasmtime::Engine;
use wasmtime::component::Component;

/// How long each figure is measured at once, and how often.
const WINDOW: Duration = Duration::from_millis(100);
const WINDOWS: usize = 30;

fn main() {
    // Cargo passes `--bench`; a person may pass a word of what is to be measured.
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let wanted = |what: &str| what.contains(&word);
    let folder = tempfile::tempdir().unwrap();
    let target = target();
    let policies = target.join("policies");
    let config = HostConfig::new(policies.clone(), folder.path().join("cache"), compiler(&target));
    let host = PolicyHost::open(config).unwrap();
    let set = host.policies();
    let report = Report::begin(std::env::args().any(|argument| argument == "--json"));
    for count in [1, 10, 100, 1000].into_iter().filter(|count| wanted(&judged(*count))) {
        one_call(&set, count, report);
    }
    if wanted("threads") {
        threads(&set, report);
    }
    if wanted("decision") {
        for count in [1, 10, 100, 1000] {
            let question = question(count);
            report.times(&format!("decision, {count} pools"), &measure(|| drop(set.decide(&question).unwrap())));
        }
    }
    if wanted("load") {
        load_code(&folder.path().join("cache"), report);
        load(&host, &policies, report);
    }
}

fn one_call(set: &PolicySet, count: usize, report: Report) {
    let records: Vec<Pool> = pools(count).iter().map(|pool| conv::pool(pool).unwrap()).collect();
    let records: Vec<&Pool> = records.iter().collect();
    let subject = Subject { context: context(), nic: Nic { name: "eth0".into(), master_addresses: None } };
    report.times(&judged(count), &measure(|| judge(set, &subject, &records)));
}

fn judged(count: usize) -> String {
    format!("judge, {count} pools")
}

fn judge(set: &PolicySet, subject: &Subject, pools: &[&Pool]) {
    let verdicts = set.judge("builtin-affinity", subject, pools).unwrap().unwrap();
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Admit(_))), "{:?}", verdicts[0]);
}

fn threads(set: &PolicySet, report: Report) {
    let pools = pools(10);
    let records: Vec<Pool> = pools.iter().map(|pool| conv::pool(pool).unwrap()).collect();
    let subject = Subject { context: context(), nic: Nic { name: "eth0".into(), master_addresses: None } };
    let run = || {
        let records: Vec<&Pool> = records.iter().collect();
        window(&mut || judge(set, &subject, &records)).len()
    };
    // One beside two, at once, so that both meet the same machine.
    let beside = |_| {
        let one = run() as f64;
        let two: u64 = thread::scope(|scope| {
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        two as f64 / one
    };
    let mut ratios: Vec<f64> = (0..WINDOWS).map(beside).collect();
    ratios.sort_by(f64::total_cmp);
    report.ratio("judge, 10 pools, two threads", ratios[WINDOWS / 2], "times the calls of one");
}

/// Native code that was made before, from its file to something that can be called.
fn load_code(cache: &Path, report: Report) {
    let engine = Engine::new(&spiderpool_engine::config()).unwrap();
    let files = std::fs::read_dir(cache).unwrap().map(|file| file.unwrap().path());
    let code = files.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let times = measure(|| {
        let bytes = std::fs::read(&code).unwrap();
        #[expect(unsafe_code, reason = "this process has just had it compiled")]
        let component = unsafe { Component::deserialize(&engine, &bytes) };
        drop(component.unwrap());
    });
    report.times("load a precompiled policy", &times);
}

/// A change of the policy's order has everything looked at again except the compiling.
fn load(host: &PolicyHost, policies: &Path, report: Report) {
    let mut order = 0;
    let times = measure(|| {
        order += 1;
        let mut spec: SpiderPolicySpec =
            serde_json::from_value(json!({"source": {"file": "builtin-affinity.wasm"}})).unwrap();
        spec.order = order % 1000;
        let source = PolicySource { name: "again".into(), spec, folder: policies.to_owned() };
        let summaries = host.apply(vec![source]);
        assert!(summaries.iter().all(|summary| summary.phase == PolicyPhase::Ready), "{summaries:?}");
    });
    report.times("load, check and try a precompiled policy", &times);
}

/// Times in nanoseconds.
struct Times {
    all: Histogram<u64>,
    /// Those of the window with the lowest median.
    quiet: Histogram<u64>,
}

fn measure(mut act: impl FnMut()) -> Times {
    for _ in 0..20 {
        act();
    }
    let windows: Vec<_> = (0..WINDOWS).map(|_| window(&mut act)).collect();
    let mut all = Histogram::new(3).unwrap();
    windows.iter().for_each(|window| all.add(window).unwrap());
    let quiet = windows.into_iter().min_by_key(|window| window.value_at_quantile(0.5)).unwrap();
    Times { all, quiet }
}

fn window(act: &mut impl FnMut()) -> Histogram<u64> {
    let mut times = Histogram::new(3).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < WINDOW {
        let one = Instant::now();
        act();
        times.record(u64::try_from(one.elapsed().as_nanos()).unwrap()).unwrap();
    }
    times
}

/// Prints figures as they come, for people or for programs.
#[derive(Clone, Copy)]
struct Report {
    json: bool,
}

impl Report {
    fn begin(json: bool) -> Self {
        if !json {
            println!(
                "{:<44}{:>10}{:>10}{:>10}{:>16}{:>12}",
                "", "lowest", "median", "p99", "median of all", "per second"
            );
        }
        Self { json }
    }

    fn times(self, what: &str, Times { all, quiet }: &Times) {
        let [median, p99] = [0.5, 0.99].map(|quantile| quiet.value_at_quantile(quantile) as f64 / 1e3);
        let [lowest, of_all] = [0.0, 0.5].map(|quantile| all.value_at_quantile(quantile) as f64 / 1e3);
        let rate = quiet.len() as f64 / WINDOW.as_secs_f64();
        if self.json {
            let figures = json!({
                "what": what, "lowest": lowest, "median": median, "p99": p99, "medianOfAll": of_all, "perSecond": rate,
            });
            println!("{figures}");
        } else {
            println!("{what:<44}{lowest:>7.1} µs{median:>7.1} µs{p99:>7.1} µs{of_all:>13.1} µs{rate:>12.0}");
        }
    }

    fn ratio(self, what: &str, ratio: f64, of: &str) {
        if self.json {
            println!("{}", json!({"what": what, "ratio": ratio, "of": of}));
        } else {
            println!("{what:<44}{ratio:>10.2} {of}");
        }
    }
}

/// The folder that cargo builds into.
fn target() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let target = bench.ancestors().nth(3).unwrap().to_owned();
    let policy = target.join("policies/builtin-affinity.wasm");
    assert!(policy.exists(), "{} is missing: cargo xtask guests", policy.display());
    target
}

/// The compiler, whichever way it was built: what it makes is the same.
fn compiler(target: &Path) -> PathBuf {
    let built = ["release", "debug"].map(|profile| target.join(profile).join("spiderpool-policy-compiler"));
    let found = built.into_iter().find(|path| path.exists());
    found.expect("the compiler is missing: cargo build --package spiderpool-policy-compiler")
}

fn pairs(count: usize, of: &str, length: usize) -> Pairs {
    (0..count).map(|n| (format!("{of}.example.com/key-{n:02}"), format!("{n:0length$}"))).collect()
}

fn labels(count: usize, of: &str) -> Labels {
    conv::labels(Some(&pairs(count, of, 12).into_iter().collect()))
}

fn context() -> Context {
    Context {
        pod: Pod {
            namespace: "default".into(),
            name: "web-7c5d9f6b4-x2x9k".into(),
            uid: "6f0c2a52-0a2f-4d0e-9f0a-111111111111".into(),
            labels: labels(8, "pod"),
            annotations: pairs(6, "annotation", 120),
            owners: Vec::new(),
        },
        namespace: Namespace { name: "default".into(), labels: labels(3, "namespace"), annotations: Vec::new() },
        node: Node { name: "node-17".into(), labels: labels(19, "node") },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: Some("kube-system/macvlan".into()),
            families: vec![Family::Ipv4],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    }
}

fn pools(count: usize) -> Vec<SpiderIPPool> {
    let pool = |n: usize| {
        json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderIPPool",
            "metadata": {"name": format!("pool-{n:04}")},
            "spec": {
                "subnet": "10.0.0.0/8", "ips": [format!("10.{}.{}.1-10.{}.{}.250", n / 250, n % 250, n / 250, n % 250)],
                "default": true,
                "podAffinity": {"matchLabels": {"pod.example.com/key-03": format!("{:012}", 3)}},
            },
        })
    };
    (0..count).map(|n| serde_json::from_value(pool(n)).unwrap()).collect()
}

fn question(count: usize) -> Question {
    let pools = pools(count);
    let usable = |pool: &SpiderIPPool| {
        IpSet::parse(spiderpool_ip::Family::V4, pool.spec.ips.iter().map(String::as_str)).unwrap()
    };
    Question {
        context: context(),
        cni: Cni {
            interface_name: "eth0".into(),
            default_ipv4_pools: Vec::new(),
            default_ipv6_pools: Vec::new(),
            clean_gateway: false,
            match_master_subnet: false,
        },
        pools: Arc::new(PoolIndex::new(pools.iter().map(|pool| (pool, usable(pool))))),
        room: Box::new(|_| Room { total: 250, free: 200 }),
        masters: Box::new(|_| Ok(Vec::new())),
    }
}
