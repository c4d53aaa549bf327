//! Storms: many pods on many nodes want addresses of one pool that has exactly as many as they are, and while they do,
//! agents, API server and etcd end without a word, requests are refused, answers lost, and clocks jump. Afterwards every pod has an address of its own, answers, ledger and
//! records agree, and when all pods are gone nothing is left.

use std::time::Duration;

use anyhow::{Result, ensure};
use spiderpool_cluster::{Cluster, Direction, Faults, Proxy};
use spiderpool_tests::storm::{Calls, Running, Size, Storm};
use spiderpool_tests::{Controller, Node};

/// For how long calls that failed are made again.
const PATIENCE: Duration = Duration::from_secs(120);

const SIZE: Size = Size { nodes: 4, pods: 50, in_flight: 5 };

/// One in which every call takes longer than usual.
const SMALL: Size = Size { nodes: 4, pods: 20, in_flight: 5 };

/// How often something ends that others need.
const PACE: Duration = Duration::from_millis(700);

/// No call is to be made again.
const ONCE: Duration = Duration::ZERO;

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_of_a_storm_is_served_at_its_first_call() -> Result<()> {
    let cluster = Cluster::start().await?;
    let storm = Storm::prepare(&cluster, &SIZE, None).await?;
    let before = cluster.requests().await?;
    let adds = storm.adds(ONCE).join();
    none_failed(&adds)?;
    // Nodes know their shares: hardly any looks where others are.
    let requests = cluster.requests().await? - &before;
    let looks = requests.sum(|request| request.resource == "spideripblocks" && request.verb == "LIST");
    ensure!(looks < SIZE.nodes as u64, "{requests}");
    storm.verify(&adds).await?;
    // Asked again, as after a restart of the kubelet, every pod has what it had.
    let again = storm.adds(ONCE).join();
    none_failed(&again)?;
    storm.verify(&again).await?;
    let dels = storm.dels(&adds, ONCE).await?.join();
    none_failed(&dels)?;
    storm.verify_empty().await
}

/// How old what a pool's status says may be.
const PROMISED: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_the_pool_follows_a_storm_until_the_pool_can_go() -> Result<()> {
    let cluster = Cluster::start().await?;
    let controller = Controller::start(&cluster.kubeconfig());
    let storm = Storm::prepare(&cluster, &SIZE, None).await?;
    let before = cluster.requests().await?;
    let adds = storm.adds(ONCE).join();
    // What it told meanwhile came from blocks, and is no reason to look for holders without one.
    let requests = cluster.requests().await? - &before;
    let read = requests.sum(|request| request.resource == "spiderippools" && request.verb == "GET");
    assert_eq!(read, 0, "{requests}");
    storm.status_tells(&adds.answers, PROMISED).await?;
    none_failed(&adds)?;
    none_failed(&storm.dels(&adds, ONCE).await?.join())?;
    storm.status_tells(&[], PROMISED).await?;
    storm.delete_pool(PROMISED).await?;
    ensure!(controller.stop(), "the controller did not stop well");
    Ok(())
}

fn none_failed(calls: &Calls) -> Result<()> {
    ensure!(calls.failures.is_empty(), "{} calls failed: {}", calls.failures.len(), calls.failures[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_may_end_in_the_middle_of_anything() -> Result<()> {
    let cluster = Cluster::start().await?;
    let mut storm = Storm::prepare(&cluster, &SIZE, None).await?;
    let mut random = fastrand::Rng::new();
    let mut kill = |storm: &mut Storm| {
        let node = &mut storm.nodes[random.usize(..SIZE.nodes)];
        node.kill();
        node.run();
    };
    let adds = storm.adds(PATIENCE);
    while !adds.is_over() {
        kill(&mut storm);
    }
    let adds = adds.join();
    storm.verify(&adds).await?;
    let dels = storm.dels(&adds, PATIENCE).await?;
    while !dels.is_over() {
        kill(&mut storm);
    }
    let _ = dels.join();
    storm.verify_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn api_server_and_etcd_may_end_in_the_middle_of_anything() -> Result<()> {
    let cluster = Cluster::start().await?;
    let storm = Storm::prepare(&cluster, &SIZE, None).await?;
    let adds = storm.adds(PATIENCE);
    outages(&cluster, &adds).await?;
    let adds = adds.join();
    cluster.ready().await?;
    storm.verify(&adds).await?;
    let dels = storm.dels(&adds, PATIENCE).await?;
    outages(&cluster, &dels).await?;
    let _ = dels.join();
    cluster.ready().await?;
    storm.verify_empty().await
}

/// Ends the API server and etcd in turns for as long as calls are under way.
async fn outages(cluster: &Cluster, calls: &Running) -> Result<()> {
    for server in [&cluster.apiserver, &cluster.etcd].into_iter().cycle() {
        tokio::time::sleep(PACE.mul_f64(fastrand::f64())).await;
        if calls.is_over() {
            return Ok(());
        }
        server.kill()?;
        server.restart().await?;
        cluster.ready().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_api_server_and_lost_replies_double_nothing() -> Result<()> {
    let cluster = Cluster::start().await?;
    let proxy = cluster.proxy().await?;
    let storm = Storm::prepare(&cluster, &SIZE, Some(proxy.kubeconfig()?)).await?;
    let adds = storm.adds(PATIENCE);
    trouble(&proxy, &adds).await;
    let adds = adds.join();
    storm.verify(&adds).await?;
    let dels = storm.dels(&adds, PATIENCE).await?;
    trouble(&proxy, &dels).await;
    let _ = dels.join();
    storm.verify_empty().await
}

/// Delays replies, and cuts connections while some are on their way: what was asked for is done, and nobody is told.
async fn trouble(proxy: &Proxy, calls: &Running) {
    while !calls.is_over() {
        proxy.delay(Direction::ToClient, Duration::from_millis(fastrand::u64(0..100)));
        tokio::time::sleep(PACE.mul_f64(fastrand::f64())).await;
        proxy.cut();
    }
    proxy.delay(Direction::ToClient, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_throttling_and_lost_answers_double_nothing_and_every_pod_is_served() -> Result<()> {
    let cluster = Cluster::start().await?;
    let way = cluster.faulty().await?;
    let storm = Storm::prepare(&cluster, &SMALL, Some(way.kubeconfig().to_owned())).await?;
    way.set(Faults { conflicts: 0.2, throttled: 0.05, lost: 0.1 });
    let adds = storm.adds(PATIENCE).join();
    let met = way.met();
    ensure!(met.conflicts > 0 && met.throttled > 0 && met.lost > 0, "no storm without all faults: {met:?}");
    storm.verify(&adds).await?;
    let _ = storm.dels(&adds, PATIENCE).await?.join();
    storm.verify_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_of_nodes_may_jump_in_the_middle_of_anything() -> Result<()> {
    let cluster = Cluster::start().await?;
    let mut storm = Storm::prepare(&cluster, &SMALL, None).await?;
    for node in &mut storm.nodes {
        node.own_clock();
        node.kill();
        node.run();
    }
    let adds = storm.adds(PATIENCE);
    jumps(&mut storm, &adds, [2001, 2051]);
    let adds = adds.join();
    storm.verify(&adds).await?;
    let dels = storm.dels(&adds, PATIENCE).await?;
    jumps(&mut storm, &dels, [2051, 2001]);
    let _ = dels.join();
    storm.verify_empty().await?;
    let logs: String = storm.nodes.iter().map(Node::log).collect();
    ensure!(logs.contains("2001-01-01T") && logs.contains("2051-01-01T"), "no clock jumped:\n{logs}");
    Ok(())
}

/// Sets the nodes' clocks to these years in turn, and ends an agent now and then, for as long as calls are under way.
fn jumps(storm: &mut Storm, calls: &Running, years: [u32; 2]) {
    for (turn, year) in years.into_iter().cycle().enumerate() {
        for node in &storm.nodes {
            node.set_clock(year);
        }
        std::thread::sleep(PACE / 2);
        let node = &mut storm.nodes[turn % SMALL.nodes];
        if turn > 0 && calls.is_over() {
            return;
        }
        if turn % 3 == 2 {
            node.kill();
            node.run();
        }
    }
}
