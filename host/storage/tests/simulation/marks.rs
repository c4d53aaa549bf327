//! What agents make of each other's labels, and how they keep out of each other's way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::future::join_all;
use spiderpool_ip::Block;
use spiderpool_storage::kube::{KubeLedger, Mark};
use spiderpool_storage::{Ledger as _, Pick, Release};

use crate::calm::{agent_of, ask_of, calm_wide, test, wide};
use crate::cluster::Cluster;

/// A cluster with two agents that have known the pool for a while, and nothing of each other.
async fn two(seed: u64) -> (Cluster, KubeLedger, KubeLedger) {
    let cluster = calm_wide(seed);
    let one = agent_of(&cluster, "node1", 1, wide()).await;
    let other = agent_of(&cluster, "node2", 2, wide()).await;
    pass().await;
    (cluster, one, other)
}

/// Until what was seen is worth another look.
async fn pass() {
    tokio::time::sleep(Duration::from_secs(10)).await;
}

async fn add(agent: &KubeLedger, uid: &str) -> IpAddr {
    agent.reserve(ask_of(&wide(), uid, uid, &[], Pick::Lowest)).await.unwrap().leases[0].address
}

async fn del(agent: &KubeLedger, uid: &str) {
    agent.release(Release { uid: uid.to_owned(), ..Release::default() }).await.unwrap();
}

fn at(last: u8) -> IpAddr {
    IpAddr::from([10, 6, 0, last])
}

#[test]
fn where_there_is_room_is_known_by_one_list_of_labels() {
    test(async {
        let (cluster, one, other) = two(1).await;
        for (uid, address) in [("a", 0), ("b", 1)] {
            assert_eq!(add(&one, uid).await, at(address));
        }
        pass().await;
        let before = cluster.0.lock().calls;
        assert_eq!(add(&other, "c").await, at(2), "the lowest that is free, in a block that it has never read");
        assert_eq!(cluster.0.lock().calls - before, 2, "a list and a change");
    });
}

#[test]
fn a_label_that_is_behind_costs_another_try_and_nothing_else() {
    test(async {
        let (cluster, one, other) = two(1).await;
        add(&one, "a").await;
        cluster.0.lock().blocks.values_mut().for_each(|stored| stored.mark = Some(Mark::default()));
        assert_ne!(add(&other, "b").await, at(0));
        assert!(cluster.0.lock().trace.contains("not done"), "the label was believed");
    });
}

#[test]
fn after_a_lost_address_one_list_tells_of_all_blocks() {
    test(async {
        let (cluster, one, other) = two(1).await;
        add(&one, "a").await;
        assert_eq!(add(&other, "b").await, at(1));
        pass().await;
        let before = cluster.0.lock().trace.len();
        add(&one, "c").await;
        let told = cluster.0.lock().trace[before..].to_owned();
        assert!(told.contains("not done"), "it wanted what the other had:\n{told}");
        assert!(told.contains("read marks of p4") && !told.contains("read 10.6.0"), "{told}");
    });
}

#[test]
fn no_label_hides_an_address_that_was_given_back_while_another_was_taken() {
    for seed in 0..20 {
        test(async {
            let (cluster, one, other) = two(seed).await;
            assert_eq!((add(&one, "a").await, add(&other, "b").await), (at(0), at(1)));
            futures::join!(del(&one, "a"), add(&other, "c"));
            pass().await;
            for stored in cluster.0.lock().blocks.values() {
                let hidden = stored.mark.unwrap().held.minus(Mark::of(&stored.spec).held);
                assert!(hidden.is_empty(), "seed {seed}: {stored:?}");
            }
        });
    }
}

#[test]
fn where_many_come_at_once_every_node_has_a_block_of_its_own_from_the_first() {
    test(async {
        let cluster = calm_wide(1);
        let nodes = ["node1", "node2", "node3"];
        let agents = join_all(nodes.iter().zip(1..).map(|(node, run)| agent_of(&cluster, node, run, wide()))).await;
        pass().await;
        let before = cluster.0.lock().calls;
        let pods = agents.iter().zip(nodes).flat_map(|(agent, node)| (0..10).map(move |pod| (agent, node, pod)));
        let adds = pods.map(|(agent, node, pod)| async move { (node, add(agent, &format!("{node}-{pod}")).await) });
        let mut blocks: BTreeMap<&str, BTreeSet<Block>> = BTreeMap::new();
        for (node, address) in join_all(adds).await {
            blocks.entry(node).or_default().insert(Block::containing(address));
        }
        assert_eq!(cluster.0.lock().calls - before, 6, "each agent looks once, and writes once");
        assert!(blocks.values().all(|blocks| blocks.len() == 1), "{blocks:?}");
    });
}
