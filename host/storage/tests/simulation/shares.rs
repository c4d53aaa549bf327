//! How nodes divide a pool that they fill together.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{KubeLedger, KubeLedgerConfig, Mark};
use spiderpool_storage::{Ledger as _, Pick, PoolSpace};

use crate::calm::{ask_of, calm, config_of, test};
use crate::cluster::Link;

const NODES: u8 = 3;
const PODS: u8 = 20;

/// The pods of one node, which come one after the other, and where their addresses are.
async fn fill(agent: &KubeLedger, space: &Arc<PoolSpace>, node: u8) -> Vec<IpAddr> {
    let adds = (0..PODS).map(|n| async move {
        tokio::time::sleep(Duration::from_millis(u64::from(n) * 3)).await;
        let uid = uid(node, n);
        agent.reserve(ask_of(space, &uid, &uid, &[], Pick::Lowest)).await.unwrap().leases[0].address
    });
    join_all(adds).await
}

fn uid(node: u8, n: u8) -> String {
    format!("{node}-{n}")
}

#[test]
fn nodes_whose_pods_are_about_to_start_fill_a_pool_without_meeting() {
    for seed in 0..20 {
        test(async move {
            let usable = IpSet::parse(Family::V4, ["10.6.0.0-10.6.0.59"]).unwrap();
            let space = Arc::new(PoolSpace::new("p4", "10.6.0.0/16".parse().unwrap(), usable));
            let cluster = calm(seed, "p4", (0..60).map(|last| IpAddr::from([10, 6, 0, last])).collect());
            let mut agents = Vec::new();
            for node in 0..NODES {
                let run = u64::from(node);
                let config = KubeLedgerConfig {
                    nodes: Some(Arc::new(Link { cluster: cluster.clone(), run })),
                    pending: Arc::new(move || (0..PODS).map(|n| uid(node, n)).collect()),
                    ..config_of(&cluster, &format!("node{node}"), run, Arc::clone(&space))
                };
                agents.push(KubeLedger::open(config).await.unwrap());
            }
            // Until each has heard of the other nodes, and what was seen is worth another look.
            tokio::time::sleep(Duration::from_secs(10)).await;
            cluster.0.lock().trace.clear();
            let filled = join_all((0..NODES).map(|node| fill(&agents[usize::from(node)], &space, node))).await;
            for (node, mut addresses) in (0..NODES).zip(filled) {
                addresses.sort();
                let share: Vec<_> =
                    (node * PODS..(node + 1) * PODS).map(|last| IpAddr::from([10, 6, 0, last])).collect();
                assert_eq!(addresses, share, "seed {seed}, node{node}");
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
            // Who changes a block unseen cannot say what others hold of it; its label is put right afterwards.
            tokio::time::sleep(Duration::from_secs(10)).await;
            for stored in cluster.0.lock().blocks.values() {
                assert_eq!(stored.mark, Some(Mark::of(&stored.spec)), "seed {seed}: {:?}", stored.spec);
            }
        });
    }
}
