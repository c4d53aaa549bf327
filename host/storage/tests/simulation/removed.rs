//! A block that somebody removes by hand while pods have addresses of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::KubeLedger;
use spiderpool_storage::{Ledger, Pick, PoolSpace, Release};

use crate::calm::{agent_of, ask_of, calm, test};
use crate::cluster::Cluster;

fn space() -> Arc<PoolSpace> {
    let usable = IpSet::parse(Family::V4, ["10.6.0.1-10.6.0.8"]).unwrap();
    Arc::new(PoolSpace::new("p4", "10.6.0.0/16".parse().unwrap(), usable))
}

fn cluster() -> Cluster {
    calm(1, "p4", (1..=8).map(|last| [10, 6, 0, last].into()).collect())
}

async fn add(agent: &KubeLedger, uid: &str) -> IpAddr {
    agent.reserve(ask_of(&space(), uid, uid, &[], Pick::Lowest)).await.unwrap().leases[0].address
}

fn of(uid: &str) -> Release {
    Release { uid: uid.to_owned(), ..Release::default() }
}

fn remove_block(cluster: &Cluster) {
    cluster.0.lock().blocks.clear();
}

/// Makes every entry what a block takes over from the pool's status.
fn make_bare(cluster: &Cluster) {
    for stored in cluster.0.lock().blocks.values_mut() {
        stored.version = "from the status".to_owned();
        for there in stored.spec.allocations.values_mut() {
            let BlockAllocation { pod, pod_uid, .. } = there.clone();
            *there = BlockAllocation { pod, pod_uid, ..BlockAllocation::default() };
        }
    }
}

#[test]
fn a_node_makes_a_removed_block_again_with_what_it_holds_there() {
    test(async {
        let cluster = cluster();
        let agent = agent_of(&cluster, "node1", 1, space()).await;
        let before = [add(&agent, "a").await, add(&agent, "b").await];
        // Found by the pod itself that asks again, by one that goes, or by another one.
        remove_block(&cluster);
        assert_eq!(add(&agent, "a").await, before[0]);
        assert_eq!(cluster.0.lock().held(), 2, "what was not asked about is back, too");
        remove_block(&cluster);
        assert!(!before.contains(&add(&agent, "c").await));
        assert_eq!(cluster.0.lock().held(), 3);
        remove_block(&cluster);
        assert_eq!(agent.release(of("a")).await.unwrap().len(), 1);
        assert_eq!(cluster.0.lock().held(), 2);
        for uid in ["b", "c"] {
            agent.release(of(uid)).await.unwrap();
        }
        assert_eq!(cluster.0.lock().held(), 0);
    });
}

#[test]
fn a_block_that_was_made_again_with_the_same_entries_is_as_good() {
    test(async {
        let cluster = cluster();
        let agent = agent_of(&cluster, "node1", 1, space()).await;
        let before = [add(&agent, "a").await, add(&agent, "b").await];
        for stored in cluster.0.lock().blocks.values_mut() {
            stored.uid = "from a backup".to_owned();
            stored.version = "from a backup".to_owned();
        }
        assert_eq!(agent.release(of("a")).await.unwrap().len(), 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(cluster.0.lock().held(), 1, "what was given back is not claimed");
        assert_eq!(add(&agent, "b").await, before[1]);
    });
}

#[test]
fn a_removed_block_that_a_refusal_finds_is_made_again() {
    test(async {
        let cluster = cluster();
        let agent = agent_of(&cluster, "node1", 1, space()).await;
        let mut all = BTreeSet::new();
        for uid in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            all.insert(add(&agent, uid).await);
        }
        remove_block(&cluster);
        let refused = agent.reserve(ask_of(&space(), "i", "i", &[], Pick::Lowest)).await;
        assert!(refused.is_err(), "all addresses are in use: {refused:?}");
        assert_eq!(cluster.0.lock().held(), all.len());
    });
}

#[test]
fn what_a_node_held_it_claims_in_the_block_that_another_made() {
    test(async {
        let cluster = cluster();
        let (one, other) =
            (agent_of(&cluster, "node1", 1, space()).await, agent_of(&cluster, "node2", 2, space()).await);
        let [a, b, c] = [add(&one, "a").await, add(&one, "b").await, add(&other, "c").await];
        remove_block(&cluster);
        // Without a status nobody tells it of a and b: it begins with the lowest.
        let d = add(&other, "d").await;
        assert_eq!(d, a);
        let e = add(&one, "e").await;
        assert!(![a, b, c].contains(&e));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(cluster.0.lock().held(), 4, "b's is claimed before it asks");
        assert_eq!(add(&one, "b").await, b);
        assert_eq!(add(&other, "c").await, c);
        assert_ne!(add(&one, "a").await, d, "it is another pod's now");
        assert_eq!(cluster.0.lock().held(), 5);
        for (agent, uids) in [(&one, vec!["a", "b", "e"]), (&other, vec!["c", "d"])] {
            for uid in uids {
                agent.release(of(uid)).await.unwrap();
            }
        }
        assert_eq!(cluster.0.lock().held(), 0);
    });
}

#[test]
fn a_node_knows_its_pods_where_a_block_names_no_more_than_these() {
    test(async {
        let cluster = cluster();
        let agent = agent_of(&cluster, "node1", 1, space()).await;
        let before = [add(&agent, "a").await, add(&agent, "b").await, add(&agent, "c").await];
        make_bare(&cluster);
        // Another pod's change is the first to see it.
        assert!(!before.contains(&add(&agent, "d").await));
        assert_eq!(add(&agent, "a").await, before[0]);
        let whole = |entry: &BlockAllocation| entry.interface == "eth0" && entry.node == "node1";
        let told = |cluster: &Cluster, address| {
            cluster.0.lock().blocks.values().all(|stored| whole(&stored.spec.allocations[address]))
        };
        assert!(told(&cluster, &before[0]), "its entry is whole again");
        make_bare(&cluster);
        assert_eq!(agent.release(of("b")).await.unwrap().len(), 1);
        // With an end, the node has to find it again.
        agent.retain(of("c"), cluster.now() + Duration::from_secs(60)).await.unwrap();
        assert!(told(&cluster, &before[2]));
        tokio::time::sleep(Duration::from_secs(70)).await;
        assert_eq!(cluster.0.lock().held(), 2);
        for uid in ["a", "d"] {
            agent.release(of(uid)).await.unwrap();
        }
        assert_eq!(cluster.0.lock().held(), 0);
    });
}

/// Longer than any request can be late.
const SETTLED: Duration = Duration::from_secs(400);

#[test]
fn a_removed_block_is_made_again_over_an_api_server_that_fails() {
    for seed in 0..200 {
        test(async move {
            let cluster = calm(seed, "p4", (1..=8).map(|last| [10, 6, 0, last].into()).collect());
            let agent = agent_of(&cluster, "node1", 1, space()).await;
            let before = [add(&agent, "a").await, add(&agent, "b").await];
            remove_block(&cluster);
            cluster.0.lock().faults = 40;
            let c = loop {
                // A kubelet asks again.
                if let Ok(held) = agent.reserve(ask_of(&space(), "c", "c", &[], Pick::Lowest)).await {
                    break held.leases[0].address;
                }
            };
            assert!(!before.contains(&c), "seed {seed}: {c} is another pod's");
            cluster.0.lock().faults = 0;
            tokio::time::sleep(SETTLED).await;
            assert_eq!(cluster.0.lock().held(), 3, "seed {seed}");
            assert_eq!(
                [add(&agent, "a").await, add(&agent, "b").await, add(&agent, "c").await],
                [before[0], before[1], c]
            );
            for uid in ["a", "b", "c"] {
                agent.release(of(uid)).await.unwrap();
            }
            assert_eq!(cluster.0.lock().held(), 0, "seed {seed}");
        });
    }
}
