//! Pods that come and go, agents that crash, and what must be true of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spiderpool_crd::SpiderEndpoint;
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{KubeLedger, KubeLedgerConfig};
use spiderpool_storage::{Endpoint, Ledger, PoolSpace, Release};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::link::Link;
use crate::pod::Pod;

/// Longer than any request can be late, and than it takes to find out.
const SETTLED: Duration = Duration::from_secs(400);

fn pool(name: &str, family: Family, subnet: &str, ips: &str) -> Arc<PoolSpace> {
    Arc::new(PoolSpace::new(name, subnet.parse().unwrap(), IpSet::parse(family, ips.split(',')).unwrap()))
}

/// One node's agent: none while it is down.
pub(crate) struct Agent {
    pub(crate) node: String,
    pub(crate) ledger: Mutex<Option<Arc<KubeLedger>>>,
}

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) pools: Vec<Arc<PoolSpace>>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) runs: Mutex<u64>,
    pub(crate) seed: u64,
    /// Whether no agent crashes.
    pub(crate) lasting: bool,
    /// Whether nothing goes wrong.
    pub(crate) calm: bool,
}

/// Runs the world of that seed; answers with all that the API server did.
pub(crate) fn run(seed: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(seed))
}

async fn simulate(seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let pools = vec![
        pool("p4", Family::V4, "10.6.0.0/16", "10.6.15.253-10.6.16.2"),
        pool("p6", Family::V6, "fd00::/64", "fd00::1-fd00::5"),
    ];
    let addresses =
        |space: &PoolSpace| (0..space.usable.count()).filter_map(|n| space.usable.nth(n)).collect::<Vec<_>>();
    let usable = pools.iter().map(|space| (space.name.clone(), addresses(space))).collect();
    let cluster = Cluster::new(seed, usable);
    let agents = (0..rng.usize(2..=3)).map(|n| Agent { node: format!("node{n}"), ledger: Mutex::new(None) });
    let agents: Vec<_> = agents.collect();
    let crashes = if rng.bool() { rng.usize(1..5) } else { 0 };
    let lasting = crashes == 0;
    let calm = lasting && cluster.0.lock().faults == 0;
    let world = Arc::new(World { cluster, pools, agents, runs: Mutex::new(0), seed, lasting, calm });
    for agent in 0..world.agents.len() {
        world.start(agent).await;
    }
    let mut tasks = Vec::new();
    for agent in 0..world.agents.len() {
        for n in 0..3 {
            let pod = Pod {
                world: Arc::clone(&world),
                agent,
                name: format!("web-{agent}-{n}"),
                rng: fastrand::Rng::with_seed(rng.u64(..)),
                sandboxes: 0,
                left: None,
                inherits: false,
                failed: false,
            };
            tasks.push(tokio::spawn(pod.live()));
        }
    }
    for _ in 0..crashes {
        sleep(Duration::from_millis(rng.u64(..8000))).await;
        let agent = rng.usize(..world.agents.len());
        world.crash(agent);
        sleep(Duration::from_millis(rng.u64(..3000))).await;
        world.start(agent).await;
    }
    let mut left = Vec::new();
    for task in tasks {
        left.extend(task.await.unwrap());
    }
    world.finish(crashes > 0, left).await;
    std::mem::take(&mut world.cluster.0.lock().trace)
}

impl World {
    pub(crate) async fn start(&self, agent: usize) {
        let run = {
            let mut runs = self.runs.lock();
            *runs += 1;
            *runs
        };
        let pools: BTreeMap<String, Arc<PoolSpace>> =
            self.pools.iter().map(|pool| (pool.name.clone(), Arc::clone(pool))).collect();
        let (clock, known, crowd) = (self.cluster.clone(), self.cluster.clone(), self.seed % 2 == 1);
        let config = KubeLedgerConfig {
            node: self.agents[agent].node.clone(),
            blocks: Arc::new(Link { cluster: self.cluster.clone(), run }),
            endpoints: Arc::new(Link { cluster: self.cluster.clone(), run }),
            nodes: Some(Arc::new(Link { cluster: self.cluster.clone(), run })),
            spaces: Arc::new(move |name: &str| pools.get(name).cloned()),
            // In every other world agents expect those that ask.
            pending: Arc::new(move || if crowd { known.pods() } else { Vec::new() }),
            clock: Arc::new(move || clock.now()),
            seed: self.seed ^ run,
        };
        let ledger = loop {
            if let Ok(ledger) = KubeLedger::open(config.clone()).await {
                break ledger;
            }
        };
        *self.agents[agent].ledger.lock() = Some(Arc::new(ledger));
    }

    /// All tasks of the agent end where they are. What they sent goes on.
    pub(crate) fn crash(&self, agent: usize) {
        if let Some(ledger) = self.agents[agent].ledger.lock().take() {
            assert!(futures::FutureExt::now_or_never(ledger.close(Duration::ZERO)).is_some());
        }
    }

    pub(crate) fn ledger(&self, agent: usize) -> Option<Arc<KubeLedger>> {
        self.agents[agent].ledger.lock().clone()
    }

    async fn finish(&self, crashed: bool, mut left: Vec<(usize, Endpoint)>) {
        self.cluster.0.lock().faults = 0;
        sleep(SETTLED).await;
        if crashed {
            self.scan(&left).await;
        }
        // A pod that stays keeps what a run that died asked for in its name, until it goes.
        let twins = crashed && self.cluster.0.lock().held() > left.iter().map(|(_, end)| end.leases.len()).sum();
        if !twins {
            self.agree(&left);
        }
        for (agent, endpoint) in left.drain(..) {
            let ledger = self.ledger(agent).unwrap();
            endpoint.leases.iter().for_each(|lease| drop(self.cluster.0.lock().live.remove(&lease.address)));
            let release = Release { uid: endpoint.holder.uid, ..Release::default() };
            let freed = ledger.release(release).await.unwrap().len();
            assert!(freed == endpoint.leases.len() || twins && freed > endpoint.leases.len());
        }
        sleep(SETTLED).await;
        self.agree(&[]);
    }

    /// What a scan cleans: entries and records that a run asked for that died before it knew the outcome.
    async fn scan(&self, left: &[(usize, Endpoint)]) {
        {
            let state = self.cluster.0.lock();
            for (address, there) in state.blocks.values().flat_map(|stored| &stored.spec.allocations) {
                let known = left.iter().any(|(_, endpoint)| {
                    endpoint.holder.uid == there.pod_uid
                        && endpoint.leases.iter().any(|lease| lease.address == *address)
                });
                let orphan =
                    |(_, what, uid): &(u64, String, String)| *what == address.to_string() && *uid == there.pod_uid;
                assert!(known || state.doubtful.iter().any(orphan), "{address} leaked to {}", there.pod_uid);
            }
        }
        for agent in 0..self.agents.len() {
            self.crash(agent);
            self.start(agent).await;
            let ledger = self.ledger(agent).unwrap();
            for held in ledger.allocations(None).await.unwrap() {
                if !left.iter().any(|(_, endpoint)| endpoint.holder.uid == held.holder.uid) {
                    let release = Release { uid: held.holder.uid.clone(), ..Release::default() };
                    ledger.release(release).await.unwrap();
                }
            }
        }
        sleep(SETTLED).await;
    }

    /// Blocks, records, agents and pods say the same.
    fn agree(&self, left: &[(usize, Endpoint)]) {
        let mut state = self.cluster.0.lock();
        state.check();
        let held = state.blocks.values().flat_map(|stored| &stored.spec.allocations);
        let held: BTreeMap<IpAddr, String> = held.map(|(&at, there)| (at, there.pod_uid.clone())).collect();
        let pods = left.iter().flat_map(|(_, endpoint)| endpoint.leases.iter().map(move |lease| (lease, endpoint)));
        let pods: BTreeMap<_, _> = pods.map(|(lease, end)| (lease.address, end.holder.uid.clone())).collect();
        assert_eq!(held, pods, "blocks (left) and pods");
        let records: BTreeMap<_, _> =
            state.endpoints.iter().map(|((_, name), (_, status))| (name.clone(), status.clone())).collect();
        let expected = left
            .iter()
            .map(|(_, endpoint)| (endpoint.holder.pod.clone(), SpiderEndpoint::from(endpoint).status.unwrap()));
        assert_eq!(records, expected.collect(), "records (left) and pods");
        drop(state);
        for agent in 0..self.agents.len() {
            assert!(self.ledger(agent).unwrap().caught_up());
        }
    }
}
