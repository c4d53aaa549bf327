//! The agent is killed at random moments under load: no address is ever in two live pods, nothing acknowledged is lost,
//! and nothing is left in the end.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use spiderpool_cni_plugin::agent::{Agent, AgentError, Method};
use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Host, Plugin, Pod};
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse, IpamDelArgs};
use spiderpool_wire::{ErrorCode, path};

/// Times that the agent is killed.
const KILLS: u32 = 200;
/// Workers that speak to the socket, and those that start the plugin for every call.
const CLIENTS: usize = 6;
const PROGRAMS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(30);
/// Endpoints that are looked at after each kill.
const SAMPLE: usize = 10;

/// What a runtime knows of its pods: those whose ADD was answered, and those whose last call was not.
#[derive(Default)]
struct Known {
    held: BTreeMap<String, IpAddr>,
    unsure: BTreeSet<String>,
}

impl Known {
    /// Takes an answer down. A pod is forgotten before its DEL is sent, so whoever is in the list is alive.
    fn answered(&mut self, pod: String, address: IpAddr) {
        let other = self.held.iter().find(|(_, held)| **held == address);
        assert!(other.is_none(), "{address} was given to {pod} while it is in the live pod {other:?}");
        self.held.insert(pod, address);
    }

    /// A live pod, which is alive no longer.
    fn doom(&mut self, random: &mut fastrand::Rng) -> Option<String> {
        let pod = self.held.keys().nth(random.usize(..self.held.len().max(1))).cloned()?;
        self.held.remove(&pod);
        Some(pod)
    }
}

/// Who asks, and how.
#[derive(Clone, Copy)]
enum Caller<'a> {
    Client(&'a Agent),
    Program(&'a Plugin),
}

impl Caller<'_> {
    /// The address that the pod gets; none when there was no answer, or no room.
    fn add(self, pod: &str) -> Option<IpAddr> {
        match self {
            Self::Client(agent) => match agent.ask::<IpamAddResponse>(&Method::POST, path::IP, &add(pod), PATIENCE) {
                Ok(response) => Some(response.ips[0].address.address()),
                Err(AgentError::Said { code, message }) => {
                    assert_eq!(code, ErrorCode::Exhausted, "{message}");
                    None
                }
                Err(AgentError::NotReached { .. } | AgentError::HungUp { .. }) => None,
                Err(error) => panic!("{error}"),
            },
            Self::Program(plugin) => {
                let answer = plugin.add(&Pod::named(pod));
                if answer.ok {
                    return Some(answer.addresses()[0].split('/').next().unwrap().parse().unwrap());
                }
                let (code, text) = answer.error();
                assert!(matches!(code, 11 | 104), "{code} {text}");
                None
            }
        }
    }

    /// Whether the agent said that the pod's addresses are free.
    fn del(self, pod: &str) -> bool {
        match self {
            Self::Client(agent) => match agent.tell(&Method::DELETE, path::IP, &del(pod), PATIENCE) {
                Ok(_) => true,
                Err(AgentError::NotReached { .. } | AgentError::HungUp { .. }) => false,
                Err(error) => panic!("{error}"),
            },
            Self::Program(plugin) => {
                let answer = plugin.call("DEL", &Pod::named(pod));
                assert!(answer.ok || answer.error().0 == 11, "{}", answer.json);
                answer.ok
            }
        }
    }

    /// Gives a pod up, or asks for one.
    fn step(self, known: &Mutex<Known>, random: &mut fastrand::Rng, pod: String) {
        let doomed = if random.u8(..) < 110 { known.lock().unwrap().doom(random) } else { None };
        if let Some(doomed) = doomed {
            if !self.del(&doomed) {
                known.lock().unwrap().unsure.insert(doomed);
            }
        } else if let Some(address) = self.add(&pod) {
            known.lock().unwrap().answered(pod, address);
        } else {
            known.lock().unwrap().unsure.insert(pod);
        }
    }
}

fn add(pod: &str) -> IpamAddArgs {
    let Pod { namespace, name, uid, container, interface } = Pod::named(pod);
    IpamAddArgs {
        container_id: container,
        if_name: interface,
        net_namespace: "/proc/self/ns/net".into(),
        pod_namespace: namespace,
        pod_name: name,
        pod_uid: uid,
        network: "storm".into(),
        ..IpamAddArgs::default()
    }
}

fn del(pod: &str) -> IpamDelArgs {
    let IpamAddArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace, .. } = add(pod);
    IpamDelArgs { container_id, if_name, pod_namespace, pod_name, pod_uid, net_namespace }
}

/// Holds ledger and endpoints against what is known.
fn verify(host: &Host, known: &Known, random: &mut fastrand::Rng) {
    let rows = host.allocations();
    let addresses: BTreeSet<IpAddr> = rows.iter().map(|row| row.address).collect();
    assert_eq!(addresses.len(), rows.len(), "an address is held twice");
    let by_pod: BTreeMap<&str, IpAddr> = rows.iter().map(|row| (&*row.pod_name, row.address)).collect();
    assert_eq!(by_pod.len(), rows.len(), "a pod holds two addresses");
    for (pod, address) in &known.held {
        assert_eq!(by_pod.get(pod.as_str()), Some(address), "{pod} was promised {address}");
    }
    for pod in by_pod.keys() {
        let expected = known.held.contains_key(*pod) || known.unsure.contains(*pod);
        assert!(expected, "{pod} was given up and still holds {}", by_pod[pod]);
    }
    for pod in random.choose_multiple(by_pod.keys(), SAMPLE) {
        let endpoint = host.endpoint("default", pod).expect("an endpoint for every holder");
        let ipv4: Vec<&str> = endpoint.interfaces.iter().map(|nic| &*nic.ipv4).collect();
        assert_eq!(ipv4, [format!("{}/22", by_pod[pod])], "ledger and endpoint of {pod}");
    }
    for pod in &known.unsure {
        assert_eq!(host.endpoint("default", pod).is_some(), by_pod.contains_key(pod.as_str()), "endpoint of {pod}");
    }
}

/// Works until the agent was killed and is back.
fn round(host: &mut Host, plugin: &Plugin, known: Known, number: u32, random: &mut fastrand::Rng) -> Known {
    let agent = host.agent();
    let callers = [vec![Caller::Client(&agent); CLIENTS], vec![Caller::Program(plugin); PROGRAMS]].concat();
    let known = Mutex::new(known);
    let over = AtomicBool::new(false);
    let pause = Duration::from_micros(random.u64(500..40_000));
    thread::scope(|scope| {
        for (worker, caller) in callers.into_iter().enumerate() {
            let (known, over, mut random) = (&known, &over, random.fork());
            scope.spawn(move || {
                for step in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    caller.step(known, &mut random, format!("r{number}-w{worker}-{step}"));
                }
            });
        }
        thread::sleep(pause);
        host.kill();
        host.run();
        over.store(true, Ordering::Relaxed);
    });
    known.into_inner().unwrap()
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
    let plugin = Plugin::of(&host);
    let mut known = Known::default();
    let mut answered = 0;
    for number in 0..KILLS {
        let before = known.held.len();
        known = round(&mut host, &plugin, known, number, &mut random);
        answered += known.held.len().abs_diff(before);
        verify(&host, &known, &mut random);
        // A runtime repeats DEL until it succeeds.
        for pod in std::mem::take(&mut known.unsure) {
            host.release(&del(&pod)).unwrap();
        }
    }
    assert!(answered > 0, "there was no load");
    for pod in known.held.keys() {
        host.release(&del(pod)).unwrap();
    }
    assert!(host.allocations().is_empty(), "{:?}", host.allocations());
    assert_eq!(host.pools()[0].free, 767, "every address is free again");
}
