//! A cluster where nothing goes wrong by chance, and agents that know one pool of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{KubeLedger, KubeLedgerConfig};
use spiderpool_storage::{Choice, Holder, Owner, Pick, PoolSpace, Reservation, Want};

use crate::cluster::Cluster;
use crate::link::Link;

/// A cluster with that pool. Requests take as long as the seed says.
pub(crate) fn calm(seed: u64, pool: &str, usable: Vec<IpAddr>) -> Cluster {
    let cluster = Cluster::new(seed, BTreeMap::from([(pool.to_owned(), usable)]));
    cluster.0.lock().faults = 0;
    cluster
}

/// A pool of sixteen blocks.
pub(crate) fn wide() -> Arc<PoolSpace> {
    let usable = IpSet::parse(Family::V4, ["10.6.0.0-10.6.0.255"]).unwrap();
    Arc::new(PoolSpace::new("p4", "10.6.0.0/16".parse().unwrap(), usable))
}

/// A cluster with that pool.
pub(crate) fn calm_wide(seed: u64) -> Cluster {
    calm(seed, "p4", (0..=255).map(|last| IpAddr::from([10, 6, 0, last])).collect())
}

/// An agent that knows that one pool.
pub(crate) async fn agent_of(cluster: &Cluster, node: &str, run: u64, space: Arc<PoolSpace>) -> KubeLedger {
    KubeLedger::open(config_of(cluster, node, run, space)).await.unwrap()
}

/// What such an agent is made of.
pub(crate) fn config_of(cluster: &Cluster, node: &str, run: u64, space: Arc<PoolSpace>) -> KubeLedgerConfig {
    let link = || Link { cluster: cluster.clone(), run };
    let spaces = Arc::new(move |name: &str| (name == space.name).then(|| Arc::clone(&space)));
    let mut config = KubeLedgerConfig::new(node.to_owned(), Arc::new(link()), Arc::new(link()), spaces);
    let clock = cluster.clone();
    (config.clock, config.seed) = (Arc::new(move || clock.now()), run);
    config
}

/// One IPv4 address of that pool for `eth0`.
pub(crate) fn ask_of(space: &Arc<PoolSpace>, pod: &str, uid: &str, inherits: &[&str], pick: Pick) -> Reservation {
    let want = Want {
        interface: "eth0".to_owned(),
        family: Family::V4,
        network: String::new(),
        clean_gateway: false,
        inherits: inherits.iter().map(ToString::to_string).collect(),
        choices: vec![Choice { space: Arc::clone(space), pick }],
    };
    Reservation {
        holder: Holder { namespace: "ns".to_owned(), pod: pod.to_owned(), uid: uid.to_owned() },
        node: "any".to_owned(),
        container: format!("{uid}-s"),
        owner: Owner::default(),
        comes_back: false,
        wants: vec![want],
    }
}

/// Runs it in twenty clusters with a wide pool and one agent each, and tells their seeds.
pub(crate) fn alone(work: impl AsyncFn(u64, Cluster, KubeLedger)) {
    for seed in 0..20 {
        test(async {
            let cluster = calm_wide(seed);
            let agent = agent_of(&cluster, "node0", 0, wide()).await;
            work(seed, cluster, agent).await;
        });
    }
}

/// Runs it in time that passes as fast as nothing happens.
pub(crate) fn test(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work);
}
