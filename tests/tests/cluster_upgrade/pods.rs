//! The pods of the tests: what Spiderpool served them with, and what becomes of them afterwards.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use spiderpool_tests::upgrade::{Estate, Kind, Nic, Tenant};
use spiderpool_tests::{Node, Plugin, Pod};
use tokio::runtime::Handle;

pub(crate) const ONE: &[Nic] = &[("eth0", &["front"])];
const DUAL: &[Nic] = &[("eth0", &["front", "six"])];
const TWO: &[Nic] = &[("eth0", &["front"]), ("net1", &["back"])];
/// Spiderpool gives both the same address.
const TWICE: &[Nic] = &[("eth0", &["back"]), ("net1", &["back"])];

/// Pods with these NICs.
pub(crate) const fn kind(name: &'static str, nics: &'static [Nic]) -> Kind {
    Kind { name, stateful: false, nics, exists: true, recorded: true, starting: false }
}

/// How long news of pods may be on their way.
const HEARD: Duration = Duration::from_millis(500);

/// Pods stay, and nobody asks about them.
const QUIET: [Kind; 4] = [kind("dual", DUAL), kind("two", TWO), kind("twice", TWICE), STATEFUL];
const STATEFUL: Kind = Kind { stateful: true, ..kind("web", ONE) };
/// The second NIC is still to be added.
const STARTING: Kind = Kind { starting: true, ..kind("starting", TWO) };
/// Their sandboxes are made anew.
const RESTARTED: [Kind; 3] = [kind("restarted-dual", DUAL), kind("restarted-two", TWO), WEB_RESTARTED];
const WEB_RESTARTED: Kind = Kind { stateful: true, ..kind("restarted-web", ONE) };
/// They end.
const ENDED: [Kind; 3] = [kind("ended-dual", DUAL), kind("ended-two", TWO), kind("ended-twice", TWICE)];
/// They end, and others of their names begin.
const REPLACED: Kind = Kind { stateful: true, ..kind("replaced", ONE) };
/// They end without their nodes' hearing of it in time: the next one of the name comes first.
const OVERTAKEN: Kind = Kind { stateful: true, ..kind("overtaken", ONE) };
/// Deleted by force while their nodes were down.
const GONE: Kind = Kind { exists: false, ..kind("gone", DUAL) };
/// Their nodes have no agent yet.
pub(crate) const ELSEWHERE: Kind = Kind { exists: false, recorded: false, ..kind("elsewhere", ONE) };

/// Which of the pods of each node there are how many of.
fn per_node() -> Vec<(Kind, usize)> {
    let several = |kinds: &[Kind], count| kinds.iter().map(|kind| (*kind, count)).collect::<Vec<_>>();
    [
        several(&QUIET, 12),
        several(&RESTARTED, 6),
        several(&ENDED, 5),
        several(&[REPLACED, OVERTAKEN, GONE, STARTING], 4),
    ]
    .concat()
}

/// So many pods: some of every kind of each node, the others of nodes without an agent. Mixed, so that they share blocks.
pub(crate) fn mixed(nodes: &[String], all: usize) -> Vec<(Kind, String)> {
    let kinds = per_node();
    let of_nodes = nodes.iter().flat_map(|node| kinds.iter().map(move |(kind, count)| (*kind, node, *count)));
    let mut pods: Vec<_> = of_nodes.flat_map(|(kind, node, count)| vec![(kind, node.clone()); count]).collect();
    pods.extend(vec![(ELSEWHERE, "elsewhere".to_owned()); all - pods.len()]);
    let mut random = fastrand::Rng::with_seed(7);
    random.shuffle(&mut pods);
    pods
}

/// What became of a pod.
pub(crate) enum News {
    Given(Pod, Vec<String>),
    Freed(Pod),
}

/// A node's plugin, and what is asked of it.
struct Runtime<'a> {
    estate: &'a Estate,
    node: &'a Node,
    plugin: Plugin,
    cluster: Handle,
}

impl Runtime<'_> {
    /// Pods come that Spiderpool never saw.
    fn newcomers(&self) -> Vec<News> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let kinds = [kind("new-dual", DUAL), kind("new-two", TWO)].into_iter().cycle().take(16);
        let news = kinds.map(|kind| {
            let name = format!("{}-{}", kind.name, NUMBER.fetch_add(1, Ordering::Relaxed));
            self.added(&self.created(&name, &kind), &kind)
        });
        news.collect()
    }

    /// Pods that Spiderpool served go on, end, and begin again.
    fn go_on(&self, tenants: &[Tenant]) -> Vec<News> {
        tenants.iter().flat_map(|tenant| self.goes_on(tenant)).collect()
    }

    fn goes_on(&self, tenant: &Tenant) -> Vec<News> {
        let Tenant { pod, kind, .. } = tenant;
        match kind.name {
            name if name.starts_with("restarted") => {
                let again = pod.in_sandbox(&format!("another-of-{}", pod.uid));
                for (nic, _) in kind.nics {
                    let answer = self.plugin.add(&again.nic(nic));
                    assert_eq!(answer.addresses(), tenant.addresses(self.estate, nic), "{} {nic}", pod.name);
                }
                self.deleted(pod, kind);
                vec![]
            }
            name if name == STARTING.name => {
                let answer = self.plugin.add(&pod.nic("net1"));
                assert_eq!(answer.addresses(), tenant.addresses(self.estate, "net1"), "{}", pod.name);
                vec![]
            }
            name if name.starts_with("ended") => {
                self.removed(pod);
                self.deleted(pod, kind);
                vec![News::Freed(pod.clone())]
            }
            name if name == REPLACED.name => {
                self.removed(pod);
                self.deleted(pod, kind);
                let next = self.created(&pod.name, kind);
                vec![News::Freed(pod.clone()), self.added(&next, kind)]
            }
            name if name == OVERTAKEN.name => {
                self.removed(pod);
                let next = self.created(&pod.name, kind);
                let given = self.added(&next, kind);
                self.deleted(pod, kind);
                vec![News::Freed(pod.clone()), given]
            }
            _ => vec![],
        }
    }

    fn added(&self, pod: &Pod, kind: &Kind) -> News {
        let nics = kind.nics.iter();
        News::Given(pod.clone(), nics.flat_map(|(nic, _)| self.plugin.add(&pod.nic(nic)).addresses()).collect())
    }

    fn deleted(&self, pod: &Pod, kind: &Kind) {
        kind.nics.iter().for_each(|(nic, _)| self.plugin.del(&pod.nic(nic)));
    }

    fn created(&self, name: &str, kind: &Kind) -> Pod {
        self.cluster.block_on(self.estate.pod(name, kind, &self.node.name)).unwrap()
    }

    fn removed(&self, pod: &Pod) {
        self.cluster.block_on(self.estate.delete_pod(&pod.name)).unwrap();
        // Until the agent has heard of it, the pod lives and keeps its address.
        std::thread::sleep(HEARD);
    }
}

/// Lets all nodes work at once.
pub(crate) fn work(estate: &Estate, nodes: &[Node], tenants: &[Tenant]) -> Vec<News> {
    let cluster = Handle::current();
    let all = |node: &Node| tenants.iter().filter(|tenant| tenant.node == node.name).cloned().collect::<Vec<_>>();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let mut working = Vec::new();
            for node in nodes {
                let tenants = all(node);
                let runtime = || Runtime { estate, node, plugin: Plugin::on(node), cluster: cluster.clone() };
                let (one, other) = (runtime(), runtime());
                working.push(scope.spawn(move || one.newcomers()));
                working.push(scope.spawn(move || other.go_on(&tenants)));
            }
            working.into_iter().flat_map(|news| news.join().unwrap()).collect()
        })
    })
}

/// Brings what tests expect up to date. Nobody may get what somebody else has.
pub(crate) fn learn(estate: &mut Estate, news: Vec<News>) -> Result<()> {
    for news in &news {
        if let News::Freed(pod) = news {
            estate.pools.values_mut().for_each(|pool| pool.forget(pod));
        }
    }
    for news in &news {
        if let News::Given(pod, addresses) = news {
            for cidr in addresses {
                let address: IpAddr = cidr.split('/').next().context("an address")?.parse()?;
                let pool = estate.pools.values_mut().find(|pool| pool.has(address)).context("of no pool")?;
                pool.holds(address, pod)?;
            }
        }
    }
    Ok(())
}
