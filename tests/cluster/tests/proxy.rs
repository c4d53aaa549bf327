//! The slow and unreliable way to the API server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use spiderpool_cluster::{Cluster, Direction};
use tokio::time::{sleep, timeout};

/// Much longer than anything takes here, and waited for once per direction.
const DELAY: Duration = Duration::from_millis(700);

fn config_map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

#[tokio::test]
async fn each_direction_has_a_delay_of_its_own() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let proxy = cluster.proxy().await?;
    let client = proxy.client()?;
    // The connection is made without delay and kept.
    client.apiserver_version().await?;
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.delay(direction, DELAY);
        let started = Instant::now();
        client.apiserver_version().await?;
        ensure!(started.elapsed() >= DELAY, "{direction:?} took {:?}", started.elapsed());
        proxy.delay(direction, Duration::ZERO);
        let started = Instant::now();
        client.apiserver_version().await?;
        ensure!(started.elapsed() < DELAY, "{direction:?} without delay took {:?}", started.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn a_cut_loses_the_reply_of_what_was_done() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    let proxy = cluster.proxy().await?;
    let far = Api::<ConfigMap>::namespaced(proxy.client()?, &namespace);
    let near = Api::<ConfigMap>::namespaced(cluster.client()?, &namespace);
    ensure!(far.get_opt("lost").await?.is_none());

    proxy.delay(Direction::ToClient, Duration::from_secs(3600));
    let asked = tokio::spawn({
        let far = far.clone();
        async move { far.create(&PostParams::default(), &config_map("lost")).await }
    });
    let arrives = async {
        while near.get_opt("lost").await?.is_none() {
            sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, kube::Error>(())
    };
    timeout(Duration::from_secs(30), arrives).await.context("the request does not arrive")??;
    ensure!(!asked.is_finished(), "a reply came through");
    proxy.cut();
    let answer = timeout(Duration::from_secs(30), asked).await.context("a cut connection stays")??;
    ensure!(answer.is_err(), "a lost reply is {answer:?}");

    // The next connection works.
    proxy.delay(Direction::ToClient, Duration::ZERO);
    ensure!(far.get_opt("lost").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_is_an_error_until_it_is_accepted() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let proxy = cluster.proxy().await?;
    proxy.refuse();
    let refused = timeout(Duration::from_secs(30), proxy.client()?.apiserver_version()).await;
    ensure!(refused.context("neither refused nor answered")?.is_err());
    proxy.accept();
    proxy.client()?.apiserver_version().await?;
    ensure!(proxy.kubeconfig()?.is_file());
    Ok(())
}
