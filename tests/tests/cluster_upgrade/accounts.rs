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
    let added = MIGRATION.split("YAML'\n").nth(1).and_then(|text| text.split("   YAML").next()).context("a role")?;
    cluster.apply(added).await?;
    let accounts = ["spiderpool-agent", "spiderpool-controller"];
    for (role, account) in
        ["spiderpool-admin", "spiderpool-blocks"].iter().flat_map(|role| accounts.map(|of| (role, of)))
    {
        let (name, account) = (format!("{account}-{role}"), format!("kube-system:{account}"));
        cluster
            .kubectl(&["create", "clusterrolebinding", &name, "--clusterrole", role, "--serviceaccount", &account])
            .await?;
    }

    let mut estate = Estate::found(cluster, &[("front", "10.74.0.0/16", "10.74.0.10", "10.74.0.99")]).await?;
    cluster.node("as-pod").await?;
    let kind = kind("web", ONE);
    let served = estate.served(vec![(kind, "as-pod".to_owned()); 2]).await?;
    let controller = Controller::start_as(&Account::of(cluster, "spiderpool-controller").await?);
    let account = Account::of(cluster, "spiderpool-agent").await?;
    let mut node = Node::stopped("as-pod", &cluster.kubeconfig());
    node.set("KUBECONFIG", None);
    account.environment().iter().for_each(|(name, value)| node.set(name, Some(value)));
    node.account = Some(account);
    node.run();

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
