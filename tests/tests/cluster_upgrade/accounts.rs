//! Agent and controller as pods: by their service accounts, with the role that Spiderpool's chart gives and what
//! docs/migration.md adds to it.
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use spiderpool_cluster::Cluster;
use spiderpool_tests::upgrade::Estate;
use spiderpool_tests::{Account, Controller, Node, Plugin};

use crate::PATIENCE;
use crate::pods::{ONE, kind};

const MIGRATION: &str = include_str!("../../../docs/migration.md");

/// What Spiderpool's chart lets both do, as far as it matters here.
const SPIDERPOOL: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: spiderpool-admin}
rules:
- {apiGroups: [""], resources: [configmaps, endpoints, namespaces, pods, pods/status], verbs: [get, list, watch, update, patch]}
- {apiGroups: [""], resources: [events], verbs: [create, get, list, watch, update, patch, delete]}
- {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}
- {apiGroups: [apps], resources: [daemonsets, deployments, replicasets, statefulsets], verbs: [get, list, watch, update]}
- {apiGroups: [batch], resources: [cronjobs, jobs], verbs: [get, list, watch, update, delete]}
- apiGroups: [spiderpool.spidernet.io]
  resources: [spiderendpoints, spiderreservedips, spidersubnets, spidercoordinators, spidermultusconfigs, spiderippools]
  verbs: [create, delete, get, list, patch, update, watch]
- apiGroups: [spiderpool.spidernet.io]
  resources: [spidercoordinators/status, spiderippools/status, spidersubnets/status]
  verbs: [get, patch, update]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_of_spiderpool_are_enough_with_what_the_migration_adds() -> Result<()> {
    let cluster = Cluster::shared().await?;
    cluster.apply(SPIDERPOOL).await?;
    cluster.apply(added()?).await?;
    for account in ["spiderpool-agent", "spiderpool-controller"] {
        bind(cluster, account, &["spiderpool-admin", "spiderpool-blocks"]).await?;
    }

    let mut estate = Estate::found(cluster, &[("front", "10.74.0.0/16", "10.74.0.10", "10.74.0.99")]).await?;
    cluster.node("as-pod").await?;
    let kind = kind("web", ONE);
    let served = estate.served(vec![(kind, "as-pod".to_owned()); 2]).await?;
    let controller = Controller::start_as(&Account::of(cluster, "spiderpool-controller").await?);
    let mut node = start_as(cluster, "as-pod", "spiderpool-agent").await?;

    let plugin = Plugin::on(&node);
    let pod = estate.pod("new", &kind, "as-pod").await?;
    let address = plugin.add(&pod).addresses().pop().and_then(|cidr| cidr.split('/').next()?.parse().ok());
    let front = estate.pools.get_mut("front").context("the pool")?;
    front.holds(address.context("an address")?, &pod)?;
    estate.delete_pod(&served[0].pod.name).await?;
    // Until the agent has heard of it, the pod lives and keeps its address.
    tokio::time::sleep(Duration::from_millis(500)).await;
    plugin.del(&served[0].pod);
    estate.pools.get_mut("front").context("the pool")?.forget(&served[0].pod);
    let refused = estate.pod("far", &kind, "elsewhere").await?;
    ensure!(!plugin.add(&refused).ok, "a pod of another node is served");
    let begun = Instant::now();
    while cluster
        .kubectl(&["get", "events.events.k8s.io", "--namespace", &estate.namespace, "-o", "name"])
        .await?
        .is_empty()
    {
        ensure!(begun.elapsed() < PATIENCE, "no Event tells of the refusal: {}", node.log());
    }
    node.caught_up()?;
    estate.blocks_agree().await?;
    estate.endpoints_agree(&[]).await?;
    estate.listed(PATIENCE).await?;
    ensure!(node.stop(), "{}", node.log());
    for log in [node.log(), controller.log()] {
        ensure!(!log.contains("forbidden"), "{log}");
    }
    ensure!(controller.stop(), "the controller did not stop well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_may_not_list_nodes_says_so_and_serves() -> Result<()> {
    const ITS_OWN: &str = "resources: [nodes], resourceNames: [lonely]";
    let cluster = Cluster::shared().await?;
    let role = SPIDERPOOL.replace("spiderpool-admin", "spiderpool-lonely").replace("resources: [nodes]", ITS_OWN);
    ensure!(role.contains(ITS_OWN), "the role lets list all nodes");
    cluster.apply(&role).await?;
    cluster.apply(&added()?.replace("spiderpool-blocks", "spiderpool-lonely-blocks")).await?;
    bind(cluster, "lonely", &["spiderpool-lonely", "spiderpool-lonely-blocks"]).await?;

    let estate = Estate::found(cluster, &[("front", "10.75.0.0/16", "10.75.0.10", "10.75.0.99")]).await?;
    cluster.node("lonely").await?;
    let mut node = start_as(cluster, "lonely", "lonely").await?;
    let pod = estate.pod("new", &kind("web", ONE), "lonely").await?;
    let begun = Instant::now();
    while !node.log().contains("nodes cannot be listed") {
        ensure!(begun.elapsed() < PATIENCE, "nothing tells of it: {}", node.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let warning = node.log().lines().find(|line| line.contains("nodes cannot be listed")).map(str::to_owned);
    let warning = warning.context("a warning")?;
    ensure!(warning.contains("WARN") && warning.contains("forbidden"), "{warning}");
    ensure!(warning.contains("see that the agent's account may list nodes"), "{warning}");
    let answer = Plugin::on(&node).add(&pod);
    ensure!(answer.ok && answer.addresses() == ["10.75.0.10/16"], "{answer:?}");
    ensure!(node.stop(), "{}", node.log());
    Ok(())
}

/// The role that docs/migration.md has users add.
fn added() -> Result<&'static str> {
    MIGRATION.split("YAML'\n").nth(1).and_then(|text| text.split("   YAML").next()).context("a role")
}

/// Gives the account these roles.
async fn bind(cluster: &Cluster, account: &str, roles: &[&str]) -> Result<()> {
    for role in roles {
        let (name, account) = (format!("{account}-{role}"), format!("kube-system:{account}"));
        cluster
            .kubectl(&["create", "clusterrolebinding", &name, "--clusterrole", role, "--serviceaccount", &account])
            .await?;
    }
    Ok(())
}

/// A node whose agent serves, by that account.
async fn start_as(cluster: &Cluster, name: &str, account: &str) -> Result<Node> {
    let account = Account::of(cluster, account).await?;
    let mut node = Node::stopped(name, &cluster.kubeconfig());
    node.set("KUBECONFIG", None);
    account.environment().iter().for_each(|(name, value)| node.set(name, Some(value)));
    node.account = Some(account);
    node.run();
    Ok(node)
}
