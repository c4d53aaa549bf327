//! The servers themselves: what they serve, and what remains when they are hurt.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::json;
use spiderpool_cluster::{Cluster, Durability, Options};
use tokio::time::timeout;

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

async fn exists(client: Client, name: &str) -> Result<bool> {
    Ok(Api::<ConfigMap>::namespaced(client, "default").get_opt(name).await?.is_some())
}

#[tokio::test]
async fn a_shared_cluster_gives_each_test_a_namespace_of_its_own() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (one, other) = tokio::try_join!(cluster.namespace(), cluster.namespace())?;
    ensure!(one != other, "both got {one}");
    for namespace in [&one, &other] {
        Api::namespaced(cluster.client()?, namespace).create(&PostParams::default(), &config_map("same")).await?;
    }
    let listed = cluster.kubectl(&["get", "configmaps", "--all-namespaces", "--output", "name"]).await?;
    assert_eq!(listed.matches("configmap/same").count(), 2, "{listed}");
    Ok(())
}

#[tokio::test]
async fn pods_are_created_on_nodes_without_anybody_who_runs_them() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    let node = cluster.node("pods-are-created-here").await?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web-0"},
        "spec": {"nodeName": node.metadata.name, "containers": [{"name": "main", "image": "none"}]},
    }))?;
    let pod = Api::namespaced(cluster.client()?, &namespace).create(&PostParams::default(), &pod).await?;
    assert_eq!(pod.status.and_then(|status| status.phase).as_deref(), Some("Pending"));
    Ok(())
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut config = cluster.config().clone();
    config.auth_info = kube::config::AuthInfo::default();
    let answer = Client::try_from(config)?.apiserver_version().await;
    match answer {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 401, "{status:?}"),
        other => anyhow::bail!("a stranger got {other:?}"),
    }
    let version = cluster.client()?.apiserver_version().await?;
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"), "{version:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_stored_survives_that_both_are_killed() -> Result<()> {
    for durability in [Durability::Memory, Durability::Disk] {
        let cluster = Cluster::start_with(Options { durability }).await?;
        let client = cluster.client()?;
        let api = Api::<ConfigMap>::namespaced(client.clone(), "default");
        api.create(&PostParams::default(), &config_map("one")).await?;

        cluster.apiserver.kill()?;
        ensure!(exists(client.clone(), "one").await.is_err(), "a killed API server answers");
        ensure!(cluster.apiserver.usage().is_err(), "a killed API server uses something");
        cluster.apiserver.restart().await?;
        ensure!(exists(client.clone(), "one").await?, "lost with the API server");

        api.create(&PostParams::default(), &config_map("two")).await?;
        cluster.etcd.kill()?;
        cluster.etcd.restart().await?;
        cluster.ready().await?;
        ensure!(exists(client.clone(), "two").await?, "lost with etcd");

        cluster.etcd.kill()?;
        cluster.apiserver.kill()?;
        cluster.etcd.restart().await?;
        cluster.apiserver.restart().await?;
        ensure!(exists(cluster.client()?, "one").await? && exists(cluster.client()?, "two").await?, "lost with both");
        let listed = cluster.kubectl(&["get", "spiderippools"]).await?;
        assert_eq!(listed, "");
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_later() -> Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.client()?;
    cluster.apiserver.pause()?;
    let asked = tokio::spawn(async move { exists(client, "none").await });
    let mut asked = Box::pin(asked);
    ensure!(timeout(Duration::from_millis(500), &mut asked).await.is_err(), "a paused API server answers");
    cluster.apiserver.resume()?;
    let found = timeout(Duration::from_secs(30), asked).await.context("no answer after it was resumed")???;
    assert!(!found);
    Ok(())
}

#[tokio::test]
async fn two_clusters_know_nothing_of_each_other() -> Result<()> {
    let (one, other) = tokio::try_join!(Cluster::start(), Cluster::start())?;
    assert_ne!(one.address(), other.address());
    Api::namespaced(one.client()?, "default").create(&PostParams::default(), &config_map("mine")).await?;
    ensure!(exists(one.client()?, "mine").await?);
    ensure!(!exists(other.client()?, "mine").await?);
    // The certificates of one are worth nothing at the other.
    let mut config = one.config().clone();
    config.cluster_url = other.config().cluster_url.clone();
    ensure!(Client::try_from(config)?.apiserver_version().await.is_err(), "one's client gets into the other");
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_a_cluster_that_is_dropped() -> Result<()> {
    let cluster = Cluster::start().await?;
    let folder = cluster.kubeconfig().parent().context("a folder")?.to_owned();
    let processes = [cluster.apiserver.pid()?, cluster.etcd.pid()?];
    ensure!(folder.is_dir());
    drop(cluster);
    ensure!(!folder.exists(), "{} is left", folder.display());
    for process in processes {
        ensure!(nix::sys::signal::kill(process, None).is_err(), "{process} is left");
    }
    Ok(())
}

#[tokio::test]
async fn usage_grows_with_work() -> Result<()> {
    let cluster = Cluster::start().await?;
    let before = cluster.apiserver.usage()?;
    let api = Api::<ConfigMap>::namespaced(cluster.client()?, "default");
    for number in 0..200 {
        api.create(&PostParams::default(), &config_map(&format!("work-{number}"))).await?;
    }
    let used = cluster.apiserver.usage()? - before;
    ensure!(used.cpu >= Duration::from_millis(50), "200 objects for {:?} of CPU time", used.cpu);
    ensure!(used.memory > 50 << 20, "an API server in {} bytes", used.memory);
    Ok(())
}
