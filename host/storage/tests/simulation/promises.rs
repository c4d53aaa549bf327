//! What chance would rarely show: repairs by hand, and what a refusal costs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::block::Bits;
use spiderpool_storage::kube::KubeLedger;
use spiderpool_storage::{Endpoint, Ledger, Pick, PoolSpace, Release, Reservation, ReserveError, Want};

use crate::calm::{agent_of, ask_of, calm, test};
use crate::cluster::Cluster;

fn space() -> Arc<PoolSpace> {
    Arc::new(PoolSpace::new(
        "p4",
        "10.6.0.0/16".parse().unwrap(),
        IpSet::parse(Family::V4, ["10.6.0.1-10.6.0.2"]).unwrap(),
    ))
}

fn cluster() -> Cluster {
    let usable = ["10.6.0.1", "10.6.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
    calm(1, "p4", usable.to_vec())
}

async fn agent(cluster: &Cluster, node: &str, run: u64) -> KubeLedger {
    agent_of(cluster, node, run, space()).await
}

async fn add(agent: &KubeLedger, uid: &str) -> Result<Endpoint, ReserveError> {
    add_as(agent, uid, Pick::Lowest).await
}

async fn add_as(agent: &KubeLedger, uid: &str, pick: Pick) -> Result<Endpoint, ReserveError> {
    agent.reserve(ask(uid, uid, &[], pick)).await
}

/// As `uid`, which is the next pod of the name.
async fn follow(agent: &KubeLedger, pod: &str, uid: &str) -> Result<Endpoint, ReserveError> {
    agent.reserve(ask(pod, uid, &["p4"], Pick::Lowest)).await
}

fn ask(pod: &str, uid: &str, inherits: &[&str], pick: Pick) -> Reservation {
    ask_of(&space(), pod, uid, inherits, pick)
}

fn lives(cluster: &Cluster, pod: &str, uid: &str) {
    cluster.0.lock().pods.insert(pod.to_owned(), uid.to_owned());
}

/// Whose the record of that name is, and of which node.
fn record(cluster: &Cluster, pod: &str) -> Option<(String, String)> {
    let state = cluster.0.lock();
    let (uid, status) = state.endpoints.get(&("ns".to_owned(), pod.to_owned()))?;
    Some((uid.clone(), status.current.node.clone()))
}

async fn recorded(agent: &KubeLedger) {
    while !agent.caught_up() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn of(uid: &str) -> Release {
    Release { uid: uid.to_owned(), ..Release::default() }
}

/// Whether the label says that both addresses are held.
fn full(cluster: &Cluster) -> bool {
    cluster.0.lock().blocks.values().next().unwrap().mark.unwrap().held == Bits(0b110)
}

#[test]
fn an_address_that_was_given_away_by_hand_is_not_answered_again() {
    test(async {
        let cluster = cluster();
        let agent = agent(&cluster, "node1", 1).await;
        let first = add(&agent, "a").await.unwrap().leases[0].address;
        for stored in cluster.0.lock().blocks.values_mut() {
            stored.spec.allocations.get_mut(&first).unwrap().pod_uid = "somebody".to_owned();
            stored.version = "by hand".to_owned();
        }
        let second = add(&agent, "a").await.unwrap();
        assert_eq!(second.leases.len(), 1);
        assert_ne!(second.leases[0].address, first);
    });
}

#[test]
fn a_block_is_marked_while_it_is_full_whoever_filled_it() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        for agent in [&one, &other] {
            add(agent, "first").await.unwrap();
            agent.release(Release { uid: "first".to_owned(), ..Release::default() }).await.unwrap();
        }
        let at = |text: &str| Pick::Exactly(vec![text.parse().unwrap()]);
        // Neither knows of the other: each believes that it leaves one address free.
        let (a, b) = futures::join!(add_as(&one, "a", at("10.6.0.1")), add_as(&other, "b", at("10.6.0.2")));
        assert!(a.is_ok() && b.is_ok());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(full(&cluster));
        one.release(Release { uid: "a".to_owned(), ..Release::default() }).await.unwrap();
        assert!(!full(&cluster));
    });
}

#[test]
fn a_refusal_is_made_sure_of_and_costs_one_list_of_marks() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        add(&one, "a").await.unwrap();
        add(&one, "b").await.unwrap();
        assert!(matches!(add(&other, "c").await, Err(ReserveError::Exhausted { .. })));
        tokio::time::sleep(Duration::from_secs(10)).await;
        let before = cluster.0.lock().calls;
        assert!(matches!(add(&other, "c").await, Err(ReserveError::Exhausted { .. })));
        assert_eq!(cluster.0.lock().calls - before, 1);
        one.release(Release { uid: "a".to_owned(), ..Release::default() }).await.unwrap();
        assert!(add(&other, "c").await.is_ok(), "a stale picture refused a pod");
    });
}

#[test]
fn a_record_follows_the_reply_and_a_graceful_stop_waits_for_it() {
    test(async {
        let cluster = cluster();
        let agent = agent(&cluster, "node1", 1).await;
        add(&agent, "a").await.unwrap();
        assert!(!agent.caught_up(), "the reply does not wait for the record");
        assert!(agent.close(Duration::from_secs(60)).await);
        let state = cluster.0.lock();
        assert_eq!(state.endpoints.values().map(|(uid, _)| uid.as_str()).collect::<Vec<_>>(), ["a"]);
    });
}

#[test]
fn a_pod_that_comes_back_on_another_node_inherits_by_its_record() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        lives(&cluster, "web-0", "a");
        let first = follow(&one, "web-0", "a").await.unwrap();
        recorded(&one).await;
        lives(&cluster, "web-0", "b");
        let second = follow(&other, "web-0", "b").await.unwrap();
        assert_eq!((second.leases[0].address, second.node.as_str()), (first.leases[0].address, "node2"));
        recorded(&other).await;
        assert_eq!(record(&cluster, "web-0"), Some(("b".to_owned(), "node2".to_owned())));

        // The first node has not heard of it, neither now nor when it starts anew, and harms nobody.
        assert_eq!(one.release(of("a")).await.unwrap(), []);
        recorded(&one).await;
        drop(one);
        let one = agent(&cluster, "node1", 3).await;
        recorded(&one).await;
        assert_eq!(record(&cluster, "web-0"), Some(("b".to_owned(), "node2".to_owned())));
        assert_eq!(one.allocations(None).await.unwrap(), []);
        cluster.0.lock().check();
    });
}

#[test]
fn what_a_dead_pod_keeps_elsewhere_does_not_take_the_record_back() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        lives(&cluster, "web-0", "a");
        follow(&one, "web-0", "a").await.unwrap();
        recorded(&one).await;
        assert_eq!(record(&cluster, "web-0"), Some(("a".to_owned(), "node1".to_owned())), "it stays while it is kept");
        lives(&cluster, "web-0", "b");
        other.reserve(ask("web-0", "b", &[], Pick::Lowest)).await.unwrap();
        recorded(&other).await;
        assert_eq!(record(&cluster, "web-0"), Some(("b".to_owned(), "node2".to_owned())), "a dead pod's blocks it");
        drop(one);
        let one = agent(&cluster, "node1", 3).await;
        recorded(&one).await;
        one.retain(of("a"), cluster.now()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(record(&cluster, "web-0"), Some(("b".to_owned(), "node2".to_owned())));
        assert_eq!(cluster.0.lock().held(), 1);
    });
}

/// A request that nobody got an answer about lands after the pod got another address, and after the agent died: both are
/// the pod's now, for the same sandbox.
#[test]
fn of_two_addresses_of_one_interface_the_one_that_was_answered_is_answered_again() {
    test(async {
        let cluster = cluster();
        let before = agent(&cluster, "node1", 1).await;
        let answered = add_as(&before, "a", Pick::Exactly(vec!["10.6.0.2".parse().unwrap()])).await.unwrap();
        recorded(&before).await;
        drop(before);
        for stored in cluster.0.lock().blocks.values_mut() {
            let entry = stored.spec.allocations[&answered.leases[0].address].clone();
            stored.spec.allocations.insert("10.6.0.1".parse().unwrap(), entry);
            stored.version = "landed late".to_owned();
        }
        let after = agent(&cluster, "node1", 2).await;
        assert_eq!(add(&after, "a").await.unwrap().leases, answered.leases);
    });
}

#[test]
fn nobody_looks_for_an_inheritance_that_is_not_wanted() {
    test(async {
        let cluster = cluster();
        let agent = agent(&cluster, "node1", 1).await;
        let calls = |cluster: &Cluster| cluster.0.lock().calls;
        add(&agent, "warm").await.unwrap();
        agent.release(of("warm")).await.unwrap();
        recorded(&agent).await;
        let before = calls(&cluster);
        add(&agent, "a").await.unwrap();
        let plain = calls(&cluster) - before;
        recorded(&agent).await;
        let before = calls(&cluster);
        follow(&agent, "new", "b").await.unwrap();
        assert_eq!(calls(&cluster) - before, plain + 1, "one look at the record");
        recorded(&agent).await;
        let before = calls(&cluster);
        follow(&agent, "new", "c").await.unwrap();
        assert_eq!(calls(&cluster) - before, plain, "what this node holds needs none");
    });
}

#[test]
fn of_two_that_come_back_on_two_nodes_at_once_one_inherits() {
    for seed in 0..50 {
        test(async move {
            let cluster = cluster();
            cluster.0.lock().rng = fastrand::Rng::with_seed(seed);
            let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
            lives(&cluster, "web-0", "a");
            let first = follow(&one, "web-0", "a").await.unwrap();
            recorded(&one).await;
            let (b, c) = futures::join!(follow(&one, "web-0", "b"), follow(&other, "web-0", "c"));
            let [b, c] = [b, c].map(|endpoint| endpoint.unwrap().leases[0].address);
            assert!([b, c].contains(&first.leases[0].address), "seed {seed}");
            // Only who was served, and written down as the pod of that name, before the other looked is its predecessor.
            let state = cluster.0.lock();
            let [written, looked] =
                ["put ns/web-0 (b)", "run 2: read endpoint web-0"].map(|what| state.trace.find(what));
            let chain = written.is_some_and(|written| looked.is_some_and(|looked| written < looked));
            assert!(b != c || chain, "seed {seed}");
            assert_eq!(state.held(), if b == c { 1 } else { 2 }, "seed {seed}");
        });
    }
}

#[test]
fn a_failed_heir_leaves_the_address_with_its_predecessor() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        let first = follow(&one, "web-0", "a").await.unwrap();
        add(&one, "else").await.unwrap();
        recorded(&one).await;
        let mut both = ask("web-0", "b", &["p4"], Pick::Lowest);
        both.wants.push(Want { interface: "net1".to_owned(), ..both.wants[0].clone() });
        assert!(matches!(other.reserve(both).await, Err(ReserveError::Exhausted { .. })));
        let left = other.allocations(Some("p4")).await.unwrap();
        let left: Vec<_> = left.iter().map(|held| (held.holder.uid.as_str(), held.lease.address)).collect();
        assert_eq!(left[0], ("a", first.leases[0].address));
        // Wherever it comes next, it gets what is its.
        recorded(&other).await;
        let again = follow(&one, "web-0", "c").await.unwrap();
        assert_eq!(again.leases[0].address, first.leases[0].address);
    });
}

#[test]
fn any_node_can_give_back_what_a_pod_left_on_another() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        follow(&one, "web-0", "a").await.unwrap();
        recorded(&one).await;
        let left = other.recorded("ns", "web-0").await.unwrap().unwrap();
        assert_eq!((left.holder.uid.as_str(), left.node.as_str()), ("a", "node1"));
        let given = other.reclaim(left.holder.clone(), left.leases.clone()).await.unwrap();
        assert_eq!((given.len(), cluster.0.lock().held()), (1, 0));
        let heir = follow(&one, "web-0", "b").await.unwrap();
        assert_eq!(heir.leases[0].address, left.leases[0].address, "the lowest, which is free again");
        assert_eq!(other.reclaim(left.holder, left.leases).await.unwrap(), [], "it is the next pod's");
        assert_eq!(cluster.0.lock().held(), 1);
    });
}

#[test]
fn what_a_node_kept_that_is_gone_is_free_when_its_end_has_come() {
    test(async {
        let cluster = cluster();
        let (one, other) = (agent(&cluster, "node1", 1).await, agent(&cluster, "node2", 2).await);
        for uid in ["a", "b"] {
            add(&one, uid).await.unwrap();
        }
        assert!(full(&cluster));
        one.retain(of("a"), cluster.now() + Duration::from_secs(60)).await.unwrap();
        drop(one);
        assert!(!full(&cluster), "nobody would take the mark off");
        let refused = add(&other, "c").await;
        assert!(matches!(refused, Err(ReserveError::Exhausted { .. })), "{refused:?}");
        tokio::time::sleep(Duration::from_secs(70)).await;
        assert_eq!(cluster.0.lock().held(), 2, "nobody asked");
        assert_eq!(other.usage(&space()).free, 1);
        assert!(add(&other, "c").await.is_ok());
    });
}
