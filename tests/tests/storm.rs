//! The agent is killed at random moments under load: no address is ever in two pods, nothing acknowledged is lost, and
//! nothing is left in the end.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use spiderpool_cni_plugin::agent::{Agent, Method};
use spiderpool_tests::Host;
use spiderpool_tests::manifests::pool;
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse, IpamDelArgs};
use spiderpool_wire::path;

/// Times that the agent is killed.
const KILLS: u32 = 200;
const WORKERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// What a runtime knows of its pods: those whose ADD was answered, and those whose last call was not.
#[derive(Default)]
struct Known {
    held: BTreeMap<String, IpAddr>,
    unsure: BTreeSet<String>,
}

fn args(pod: &str) -> IpamAddArgs {
    IpamAddArgs {
        container_id: format!("c-{pod}"),
        if_name: "eth0".into(),
        net_namespace: "/proc/self/ns/net".into(),
        pod_namespace: "default".into(),
        pod_name: pod.into(),
        pod_uid: format!("u-{pod}"),
        network: "storm".into(),
        ..IpamAddArgs::default()
    }
}

fn del(pod: &str) -> IpamDelArgs {
    let IpamAddArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace, .. } = args(pod);
    IpamDelArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace }
}

/// One step of a worker: gives a pod up, or asks for one.
fn step(agent: &Agent, known: &Mutex<Known>, random: &mut fastrand::Rng, pod: String) {
    let victim = {
        let known = known.lock().unwrap();
        let count = known.held.len();
        (count > 0 && random.u8(..) < 110).then(|| known.held.keys().nth(random.usize(..count)).cloned()).flatten()
    };
    match victim {
        Some(victim) => {
            if known.lock().unwrap().held.remove(&victim).is_none() {
                return;
            }
            if agent.tell(&Method::DELETE, path::IP, &del(&victim), PATIENCE).is_err() {
                known.lock().unwrap().unsure.insert(victim);
            }
        }
        None => match agent.ask::<IpamAddResponse>(&Method::POST, path::IP, &args(&pod), PATIENCE) {
            Ok(response) => {
                let address = response.ips[0].address.address();
                known.lock().unwrap().held.insert(pod, address);
            }
            Err(_) => drop(known.lock().unwrap().unsure.insert(pod)),
        },
    }
}

/// Holds the ledger against what is known.
fn verify(host: &Host, known: &Known, seed: u64) {
    let rows = host.allocations();
    let addresses: BTreeSet<IpAddr> = rows.iter().map(|row| row.address).collect();
    assert_eq!(addresses.len(), rows.len(), "seed {seed}: an address is held twice");
    let by_pod: BTreeMap<&str, IpAddr> = rows.iter().map(|row| (&*row.pod_name, row.address)).collect();
    assert_eq!(by_pod.len(), rows.len(), "seed {seed}: a pod holds two addresses");
    for (pod, address) in &known.held {
        assert_eq!(by_pod.get(pod.as_str()), Some(address), "seed {seed}: {pod} was promised {address}");
    }
    for pod in by_pod.keys() {
        let expected = known.held.contains_key(*pod) || known.unsure.contains(*pod);
        assert!(expected, "seed {seed}: {pod} was given up and still holds {}", by_pod[pod]);
    }
}

#[test]
fn kill_nine_loses_and_doubles_nothing() {
    let seed =
        std::env::var("SPIDERPOOL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    #[expect(clippy::print_stdout, reason = "shown when the test fails, to repeat the run")]
    {
        println!("SPIDERPOOL_SEED={seed}");
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut host = Host::with(&pool("p", "10.6.0.0/22", "10.6.0.1-10.6.2.255", &["default: true"]));
    let agent = host.agent();
    let mut known = Known::default();
    for round in 0..KILLS {
        let shared = Mutex::new(std::mem::take(&mut known));
        let over = AtomicBool::new(false);
        let seeds: Vec<u64> = (0..WORKERS).map(|_| random.u64(..)).collect();
        let pause = Duration::from_micros(random.u64(500..40_000));
        thread::scope(|scope| {
            for (worker, seed) in seeds.into_iter().enumerate() {
                let (agent, shared, over) = (&agent, &shared, &over);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut number = 0;
                    while !over.load(Ordering::Relaxed) {
                        step(agent, shared, &mut random, format!("r{round}-w{worker}-{number}"));
                        number += 1;
                    }
                });
            }
            thread::sleep(pause);
            host.kill();
            host.run();
            over.store(true, Ordering::Relaxed);
        });
        known = shared.into_inner().unwrap();
        verify(&host, &known, seed);
        // A runtime repeats DEL until it succeeds.
        for pod in std::mem::take(&mut known.unsure) {
            host.release(&del(&pod)).unwrap();
        }
    }
    for pod in known.held.keys() {
        host.release(&del(pod)).unwrap();
    }
    assert!(host.allocations().is_empty(), "seed {seed}: {:?}", host.allocations());
}
