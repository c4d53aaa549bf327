//! A cluster that Spiderpool served is switched in place, while pods come and go, and back again. What a person does for it is
//! told in docs/migration.md.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod accounts;
mod pods;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pods::{ELSEWHERE, ONE, kind, learn, mixed, work};
use spiderpool_cluster::Cluster;
use spiderpool_tests::upgrade::{Estate, Tenant};
use spiderpool_tests::{Controller, Node};

/// Where it is not about time, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Nodes of the cluster, which run nothing yet.
async fn nodes<const N: usize>(cluster: &Cluster, name: &str) -> Result<[String; N]> {
    let names = std::array::from_fn(|number| format!("{name}-{number}"));
    for name in &names {
        cluster.node(name).await?;
    }
    Ok(names)
}

/// Starts ours, lets pods come and go, and looks at everything. What runs is running still.
async fn switch(
    cluster: &Cluster,
    estate: &mut Estate,
    names: &[String],
    tenants: &[Tenant],
) -> Result<(Controller, Vec<Node>)> {
    let controller = Controller::start(&cluster.kubeconfig());
    let nodes = Node::start_all(names, &cluster.kubeconfig());
    let news = work(estate, &nodes, tenants);
    learn(estate, news)?;
    nodes.iter().try_for_each(Node::caught_up)?;
    estate.blocks_agree().await?;
    estate.endpoints_agree(&[ELSEWHERE.name]).await?;
    estate.listed(PATIENCE).await?;
    Ok((controller, nodes))
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_keep_their_addresses_while_others_come_and_go() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let pools = [
        ("front", "10.71.0.0/16", "10.71.0.10", "10.71.4.249"),
        ("back", "10.72.0.0/16", "10.72.0.10", "10.72.1.249"),
        ("six", "fd71::/64", "fd71::10", "fd71::fff"),
    ];
    let mut estate = Estate::found(cluster, &pools).await?;
    let names = nodes::<3>(cluster, "upgraded").await?;
    let tenants = estate.served(mixed(&names, 1000)).await?;
    // Of one pod the address was given by an agent of Spiderpool that ran too long: its record is gone.
    let two = tenants.iter().find(|tenant| tenant.kind.name == "two").context("a pod that is left alone")?;
    estate.pools.get_mut("front").context("the pool")?.forget(&two.pod);
    estate.write_status().await?;
    let (_controller, nodes) = switch(cluster, &mut estate, &names, &tenants).await?;
    let warned = |log: &str| log.lines().any(|line| line.contains("and it does not") && line.contains(&two.pod.name));
    ensure!(nodes.iter().any(|node| warned(&node.log())), "nobody tells of the pod without a record");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn spiderpool_takes_over_again_and_so_do_we() -> Result<()> {
    let cluster = Cluster::shared().await?;
    // More addresses than Spiderpool would give of one pool, and few of them are held.
    let pools = [
        ("front", "10.75.0.0/16", "10.75.0.10", "10.75.255.249"),
        ("back", "10.76.0.0/16", "10.76.0.10", "10.76.255.249"),
        ("six", "fd75::/64", "fd75::10", "fd75::ffff:ffff:ffff"),
    ];
    let mut estate = Estate::found(cluster, &pools).await?;
    let names = nodes::<1>(cluster, "back").await?;
    let tenants = estate.served(mixed(&names, 200)).await?;
    let (controller, mut nodes) = switch(cluster, &mut estate, &names, &tenants).await?;
    ensure!(nodes[0].stop(), "{}", nodes[0].log());
    estate.listed(PATIENCE).await?;
    ensure!(controller.stop(), "the controller did not stop well");
    estate.delete_blocks().await?;
    estate.endpoints_agree(&[ELSEWHERE.name]).await?;

    // What Spiderpool does meanwhile counts.
    let ended = tenants.iter().find(|tenant| tenant.kind.name == "two").context("a pod that was left alone")?;
    estate.released(ended).await?;
    let between = kind("restarted-between", ONE);
    let tenants = estate.served(vec![(between, names[0].clone()); 10]).await?;
    switch(cluster, &mut estate, &names, &tenants).await?;
    Ok(())
}
