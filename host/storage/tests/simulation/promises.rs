//! What chance would rarely show: repairs by hand, marks, and what a refusal costs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{KubeLedger, KubeLedgerConfig};
use spiderpool_storage::{
    Choice, Endpoint, Holder, Ledger, Owner, Pick, PoolSpace, Release, Reservation, ReserveError, Want,
};

use crate::cluster::{Cluster, Link};

fn space() -> Arc<PoolSpace> {
    Arc::new(PoolSpace {
        name: "p4".to_owned(),
        uid: String::new(),
        subnet: "10.6.0.0/16".parse().unwrap(),
        usable: IpSet::parse(Family::V4, ["10.6.0.1-10.6.0.2"]).unwrap(),
        gateway: None,
        routes: Vec::new(),
    })
}

fn cluster() -> Cluster {
    let usable = ["10.6.0.1", "10.6.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
    let cluster = Cluster::new(1, BTreeMap::from([("p4".to_owned(), usable.to_vec())]));
    cluster.0.lock().faults = 0;
    cluster
}

async fn agent(cluster: &Cluster, node: &str, run: u64) -> KubeLedger {
    let link = || Link { cluster: cluster.clone(), run };
    let spaces = Arc::new(|name: &str| (name == "p4").then(space));
    let mut config = KubeLedgerConfig::new(node.to_owned(), Arc::new(link()), Arc::new(link()), spaces);
    config.seed = run;
    KubeLedger::open(config).await.unwrap()
}

async fn add(agent: &KubeLedger, uid: &str) -> Result<Endpoint, ReserveError> {
    add_as(agent, uid, Pick::Lowest).await
}

async fn add_as(agent: &KubeLedger, uid: &str, pick: Pick) -> Result<Endpoint, ReserveError> {
    let want = Want {
        interface: "eth0".to_owned(),
        family: Family::V4,
        network: String::new(),
        clean_gateway: false,
        choices: vec![Choice { space: space(), pick }],
    };
    let reservation = Reservation {
        holder: Holder { namespace: "ns".to_owned(), pod: uid.to_owned(), uid: uid.to_owned() },
        node: "any".to_owned(),
        container: format!("{uid}-s"),
        owner: Owner::default(),
        wants: vec![want],
    };
    agent.reserve(reservation).await
}

fn test(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work);
}

fn full(cluster: &Cluster) -> bool {
    cluster.0.lock().blocks.values().next().unwrap().full.is_some()
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
