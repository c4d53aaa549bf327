//! How nodes divide a pool that they fill together.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{KubeLedger, KubeLedgerConfig, Mark, StoredBlock};
use spiderpool_storage::{Ledger as _, Pick, PoolSpace, Release};
use tokio::time::Instant;

use crate::calm::{agent_of, ask_of, calm, config_of, test};
use crate::cluster::Cluster;
use crate::link::Link;

const NODES: u8 = 3;
const PODS: u8 = 20;
/// Nodes with a pod each.
const WIDE: u8 = 100;

/// Three agents that know of each other, with pods that are about to start, and a pool with twenty addresses left for each,
/// the lowest of which, so many, pods of another node hold.
async fn start(seed: u64, held: u8) -> (Cluster, Arc<PoolSpace>, Vec<KubeLedger>) {
    let count = held + NODES * PODS;
    let usable = IpSet::parse(Family::V4, [format!("10.6.0.0-10.6.0.{}", count - 1).as_str()]).unwrap();
    let space = Arc::new(PoolSpace::new("p4", "10.6.0.0/16".parse().unwrap(), usable));
    let cluster = calm(seed, "p4", (0..count).map(address).collect());
    let other = agent_of(&cluster, "other", NODES.into(), Arc::clone(&space)).await;
    for n in 0..held {
        let uid = uid(NODES, n);
        let held = other.reserve(ask_of(&space, &uid, &uid, &[], Pick::Lowest)).await.unwrap();
        assert_eq!(held.leases[0].address, address(n));
    }
    let mut agents = Vec::new();
    for node in 0..NODES {
        agents.push(open(&cluster, &space, &format!("node{node}"), node, PODS).await);
    }
    settle(&cluster).await;
    (cluster, space, agents)
}

/// The agent of a node that has the list of nodes, with so many pods that are about to start.
async fn open(cluster: &Cluster, space: &Arc<PoolSpace>, name: &str, node: u8, pending: u8) -> KubeLedger {
    let run = u64::from(node);
    let config = KubeLedgerConfig {
        nodes: Some(Arc::new(Link { cluster: cluster.clone(), run })),
        pending: Arc::new(move || (0..pending).map(|n| uid(node, n)).collect()),
        ..config_of(cluster, name, run, Arc::clone(space))
    };
    KubeLedger::open(config).await.unwrap()
}

/// Until each has heard of the other nodes, and what was seen is worth another look.
async fn settle(cluster: &Cluster) {
    tokio::time::sleep(Duration::from_secs(10)).await;
    cluster.0.lock().trace.clear();
}

/// So many pods of one node, which come one after the other, and where their addresses are.
async fn fill(agent: &KubeLedger, space: &Arc<PoolSpace>, node: u8, pods: u8) -> Vec<IpAddr> {
    fill_slowly(agent, space, node, pods, Duration::from_millis(3)).await
}

async fn fill_slowly(agent: &KubeLedger, space: &Arc<PoolSpace>, node: u8, pods: u8, apart: Duration) -> Vec<IpAddr> {
    let adds = (0..pods).map(|n| async move {
        tokio::time::sleep(apart * n.into()).await;
        let uid = uid(node, n);
        agent.reserve(ask_of(space, &uid, &uid, &[], Pick::Lowest)).await.unwrap().leases[0].address
    });
    let mut addresses = join_all(adds).await;
    addresses.sort();
    addresses
}

fn uid(node: u8, n: u8) -> String {
    format!("{node}-{n}")
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 6, 0, last])
}

/// The first so many addresses of a node's share of what comes after those that are held.
fn share(held: u8, node: u8, pods: u8) -> Vec<IpAddr> {
    let first = held + node * PODS;
    (first..first + pods).map(address).collect()
}

fn labels_are_right(cluster: &Cluster, seed: u64) {
    for stored in cluster.0.lock().blocks.values() {
        assert_eq!(stored.mark, Some(Mark::of(&stored.spec)), "seed {seed}: {:?}", stored.spec);
    }
}

#[test]
fn nodes_whose_pods_are_about_to_start_fill_a_pool_without_meeting() {
    for (seed, held) in (0..20).flat_map(|seed| [(seed, 0), (seed, 32)]) {
        test(async move {
            let (cluster, space, agents) = start(seed, held).await;
            let fill = |node: u8| fill(&agents[usize::from(node)], &space, node, PODS);
            for (node, addresses) in (0..NODES).zip(join_all((0..NODES).map(fill)).await) {
                assert_eq!(addresses, share(held, node, PODS), "seed {seed}, node{node}");
            }
            let trace = std::mem::take(&mut cluster.0.lock().trace);
            assert!(!trace.contains("read"), "seed {seed}: {trace}");
            for run in 0..NODES {
                let first = trace.lines().find(|line| line.contains(&format!(" run {run}: "))).unwrap();
                assert!(
                    first.matches("; take").count() >= 8,
                    "seed {seed}: the first to ask waits for others: {first}"
                );
            }
            // Whether the one that shares a block with another comes first is a guess.
            let wrong = trace.lines().filter(|line| line.ends_with("not done")).count();
            assert!(wrong <= 2 * usize::from(NODES - 1), "seed {seed}: {trace}");
            tokio::time::sleep(Duration::from_secs(10)).await;
            labels_are_right(&cluster, seed);
        });
    }
}

/// One write for all, though they come over a second.
#[test]
fn pods_that_one_block_has_room_for_are_waited_for_as_a_whole() {
    const FEW: u8 = 10;
    for seed in 0..20 {
        test(async move {
            let (cluster, space, _) = start(seed, 0).await;
            let agent = open(&cluster, &space, "node0", 0, FEW).await;
            settle(&cluster).await;
            let addresses = fill_slowly(&agent, &space, 0, FEW, Duration::from_millis(100)).await;
            assert_eq!(addresses, share(0, 0, FEW), "seed {seed}");
            let trace = std::mem::take(&mut cluster.0.lock().trace);
            let writes: Vec<_> = trace.lines().filter(|line| line.contains("; take")).collect();
            assert_eq!(writes.len(), 1, "seed {seed}: {trace}");
        });
    }
}

/// Who gives an address back meanwhile is none of them.
#[test]
fn a_crowd_is_waited_for_though_others_go() {
    const FEW: u8 = 10;
    for seed in 0..20 {
        test(async move {
            let (cluster, space, _) = start(seed, 0).await;
            let agent = &open(&cluster, &space, "node0", 0, FEW).await;
            let before: Vec<_> = (FEW..PODS).map(|n| uid(0, n)).collect();
            for (uid, n) in before.iter().zip(NODES * PODS - FEW..) {
                let exactly = Pick::Exactly(vec![address(n)]);
                agent.reserve(ask_of(&space, uid, uid, &[], exactly)).await.unwrap();
            }
            settle(&cluster).await;
            let dels = before.into_iter().map(|uid| async move {
                tokio::time::sleep(Duration::from_millis(150)).await;
                agent.release(Release { uid, ..Release::default() }).await.unwrap();
            });
            join(fill_slowly(agent, &space, 0, FEW, Duration::from_millis(100)), join_all(dels)).await;
            let trace = std::mem::take(&mut cluster.0.lock().trace);
            let writes: Vec<_> = trace.lines().filter(|line| line.contains("; take")).collect();
            assert_eq!(writes.len(), 1, "seed {seed}: {trace}");
        });
    }
}

/// Some pods never ask: they have another network, or wait for a volume.
#[test]
fn pods_that_do_not_come_are_waited_for_once_and_not_for_long() {
    for seed in 0..20 {
        test(async move {
            let (cluster, space, _) = start(seed, 0).await;
            let agent = open(&cluster, &space, "node0", 0, 14).await;
            settle(&cluster).await;
            for (n, waits) in [(0, 1_500..1_550), (1, 0..50), (2, 0..50)] {
                let uid = uid(0, n);
                let begun = Instant::now();
                let sent = async {
                    let is_sent = || cluster.0.lock().doubtful.iter().any(|(_, _, whose)| *whose == uid);
                    while !is_sent() && begun.elapsed() < Duration::from_secs(10) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    begun.elapsed().as_millis()
                };
                let (held, sent) = join(agent.reserve(ask_of(&space, &uid, &uid, &[], Pick::Lowest)), sent).await;
                held.unwrap();
                assert!(waits.contains(&sent), "seed {seed}: pod {n} was written after {sent} ms");
            }
        });
    }
}

/// Who changes a block unseen cannot say what others hold of it. Here that neither hides room nor promises any.
#[test]
fn the_label_of_a_block_that_was_changed_unseen_is_put_right() {
    let wrong = &Cell::new(0);
    for seed in 0..20 {
        test(async move {
            let (cluster, space, agents) = start(seed, 0).await;
            let (few, all) = tokio::join!(fill(&agents[1], &space, 1, 3), fill(&agents[0], &space, 0, PODS));
            assert_eq!((few, all), (share(0, 1, 3), share(0, 0, PODS)), "seed {seed}");
            let is_shared = |stored: &StoredBlock| stored.spec.block.contains(address(PODS));
            let shared = cluster.0.lock().blocks.values().find(|stored| is_shared(stored)).cloned().unwrap();
            wrong.set(wrong.get() + u32::from(shared.mark != Some(Mark::of(&shared.spec))));
            tokio::time::sleep(Duration::from_secs(10)).await;
            labels_are_right(&cluster, seed);
        });
    }
    // Where the block is changed once more soon after, that has put it right at no cost.
    assert!(wrong.get() > 15, "it was wrong in {} of 20 worlds", wrong.get());
}

/// The pods of a Deployment come to all nodes at once, one to each.
#[test]
fn nodes_with_one_pod_each_see_that_others_are_at_work() {
    // Those who come within the time of one call cannot know of each other, and lose one address each.
    let rows = [(0, 2 * usize::from(WIDE)), (5, usize::from(WIDE) / 2)];
    for (seed, (apart, late)) in (0..10).flat_map(|seed| rows.map(|row| (seed, row))) {
        test(async move {
            let usable = IpSet::parse(Family::V4, ["10.6.0.0-10.6.0.199"]).unwrap();
            let space = &Arc::new(PoolSpace::new("p4", "10.6.0.0/16".parse().unwrap(), usable));
            let cluster = calm(seed, "p4", (0..2 * WIDE).map(address).collect());
            let name = |node: u8| format!("node{node:02}");
            cluster.0.lock().nodes = (0..WIDE).map(name).collect();
            let mut agents = Vec::new();
            for node in 0..WIDE {
                agents.push(open(&cluster, space, &name(node), node, 1).await);
            }
            settle(&cluster).await;
            let adds = agents.iter().zip(0..).map(|(agent, node)| async move {
                tokio::time::sleep(Duration::from_millis(u64::from(node) * apart)).await;
                fill(agent, space, node, 1).await
            });
            let given: BTreeSet<_> = join_all(adds).await.into_iter().flatten().collect();
            assert_eq!(given.len(), usize::from(WIDE), "seed {seed}");
            let trace = std::mem::take(&mut cluster.0.lock().trace);
            let count = |what: &str| trace.lines().filter(|line| line.contains(what)).count();
            assert!(count("not done") <= late, "seed {seed}: {} came too late", count("not done"));
            // Each looks once, before it makes a block; who was too late has its share, and need not look.
            assert_eq!(count("read marks"), usize::from(WIDE), "seed {seed}");
        });
    }
}
