//! The way to the API server on which requests fail.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Error};
use serde_json::json;
use spiderpool_cluster::{Cluster, Faults, Faulty, Met};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn each_fault_meets_its_share_of_requests() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    let faulty = cluster.faulty().await?;
    let config = config(&faulty).await?;
    let address = config.cluster_url.authority().context("an address")?.to_string();
    let far = Api::<ConfigMap>::namespaced(Client::try_from(config)?, &namespace);
    let near = Api::<ConfigMap>::namespaced(cluster.client()?, &namespace);
    let change = Patch::Merge(json!({"data": {"changed": "yes"}}));
    let changed = |object: ConfigMap| object.data.is_some_and(|data| data.contains_key("changed"));

    far.create(&PostParams::default(), &object("fine")).await?;
    ensure!(changed(far.patch("fine", &PatchParams::default(), &change).await?));

    far.create(&PostParams::default(), &object("contested")).await?;
    faulty.set(Faults { conflicts: 1.0, ..Faults::default() });
    let answer = far.patch("contested", &PatchParams::default(), &change).await;
    ensure!(matches!(&answer, Err(Error::Api(status)) if status.code == 409), "{answer:?}");
    ensure!(!changed(far.get("contested").await?), "a conflict changes nothing, and reading has none");

    // A client would try on: this asks once.
    faulty.set(Faults { throttled: 1.0, ..Faults::default() });
    let mut connection = TcpStream::connect(&address).await?;
    connection.write_all(b"GET /version HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 1"), "{answer}");

    faulty.set(Faults { lost: 1.0, ..Faults::default() });
    let answer = far.create(&PostParams::default(), &object("lost")).await;
    ensure!(matches!(&answer, Err(error) if !matches!(error, Error::Api(_))), "{answer:?}");
    ensure!(near.get_opt("lost").await?.is_some(), "it is done all the same");
    let Met { conflicts, throttled, lost } = faulty.met();
    ensure!((conflicts, throttled) == (1, 1) && lost >= 1, "{conflicts} {throttled} {lost}");
    Ok(())
}

#[tokio::test]
async fn each_fault_meets_the_first_request_that_it_can() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    let faulty = cluster.faulty().await?;
    let far = Api::<ConfigMap>::namespaced(Client::try_from(config(&faulty).await?)?, &namespace);
    let rare = f64::MIN_POSITIVE;
    faulty.set(Faults { conflicts: rare, throttled: rare, lost: rare });
    let answer = far.create(&PostParams::default(), &object("lost")).await;
    ensure!(matches!(&answer, Err(error) if !matches!(error, Error::Api(_))), "{answer:?}");
    let change = Patch::Merge(json!({"data": {"changed": "yes"}}));
    let answer = far.patch("lost", &PatchParams::default(), &change).await;
    ensure!(matches!(&answer, Err(Error::Api(status)) if status.code == 409), "{answer:?}");
    far.get("lost").await?;
    ensure!(faulty.met() == Met { conflicts: 1, throttled: 1, lost: 1 }, "{:?}", faulty.met());
    Ok(())
}

/// What a client needs that comes this way.
async fn config(faulty: &Faulty) -> Result<Config> {
    let read = Kubeconfig::read_from(faulty.kubeconfig())?;
    Ok(Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?)
}

fn object(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}
