//! The catalog of a real API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;
use spiderpool_crd::{MANAGER_PROJECTION, SpiderIPPool, SpiderReservedIP};
use spiderpool_storage::Records;
use spiderpool_storage::catalog::{Catalog, KnownPod, NamespacedName};
use spiderpool_storage::kube::{ClusterCatalog, connect};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(60);

async fn wait(catalog: &ClusterCatalog, holds: impl Fn(&Catalog) -> bool) -> Result<Arc<Catalog>> {
    let mut catalogs = catalog.subscribe();
    let found = timeout(LONG, catalogs.wait_for(|catalog| holds(catalog))).await.context("it does not come")??;
    Ok(Arc::clone(&found))
}

fn pod(name: &str, node: Option<&str>, metadata: &Value) -> Result<Pod> {
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": metadata,
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
    }))?;
    pod.metadata.name = Some(name.to_owned());
    Ok(pod)
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<K>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    Ok(api.create(&PostParams::default(), object).await?)
}

fn written_by(manager: &str) -> PatchParams {
    PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() }
}

async fn find(catalog: &ClusterCatalog, pod: &Pod) -> Result<Option<KnownPod>> {
    let name = |text: &Option<String>| text.clone().unwrap_or_default();
    let metadata = &pod.metadata;
    let pods = catalog.pods();
    Ok(pods.find(&name(&metadata.namespace), &name(&metadata.name), &name(&metadata.uid)).await?)
}

#[tokio::test]
async fn a_node_learns_what_it_needs_and_no_more() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    cluster.node("follows").await?;
    let client = connect(cluster.config().clone()).await?;
    let catalog = ClusterCatalog::watch(client.clone(), "follows");
    assert!(!catalog.freshness().is_current());
    timeout(LONG, catalog.ready()).await?;
    timeout(LONG, catalog.subscribe_freshness().wait_for(|it| it.is_current())).await??;
    let first = catalog.current();
    assert!(first.namespaces.contains_key(&namespace));
    assert_eq!(first.nodes.keys().collect::<Vec<_>>(), ["follows"]);

    let pools = Api::<SpiderIPPool>::all(client.clone());
    let spec = json!({"subnet": "10.61.0.0/16", "ips": ["10.61.0.1-10.61.0.9"]});
    create(&pools, &SpiderIPPool::new("followed", serde_json::from_value(spec)?)).await?;
    wait(&catalog, |catalog| catalog.pools.contains_key("followed")).await?;
    let reserve = SpiderReservedIP::new("followed", serde_json::from_value(json!({"ips": ["10.61.0.9"]}))?);
    create(&Api::all(client.clone()), &reserve).await?;
    let measured = wait(&catalog, |catalog| catalog.pools["followed"].space.usable.count() == 8).await?;

    // Neither our status nor a pod is a reason to look at pools again.
    let reads = async || -> Result<u64> {
        let requests = cluster.requests().await?;
        Ok(requests.sum(|request| request.resource == "spiderippools" && request.verb == "GET"))
    };
    let read = reads().await?;
    for count in 9..12 {
        let status = kube::api::Patch::Merge(json!({"status": {"allocatedIPs": "{}", "totalIPCount": count}}));
        pools.patch_status("followed", &written_by(MANAGER_PROJECTION), &status).await?;
    }
    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
    create(&pods, &pod("elsewhere", Some("another"), &json!({}))?).await?;
    create(&pods, &pod("here", Some("follows"), &json!({}))?).await?;
    let key = |name: &str| NamespacedName { namespace: namespace.clone(), name: name.to_owned() };
    let after = wait(&catalog, |catalog| catalog.pods.contains_key(&key("here"))).await?;
    ensure!(!after.pods.contains_key(&key("elsewhere")));
    let (before, now) = (&measured.pools["followed"], &after.pools["followed"]);
    ensure!(Arc::ptr_eq(&before.object, &now.object) && now.object.status.is_none());
    assert_eq!(reads().await?, read);
    let merge = |patch: Value| kube::api::Patch::Merge(patch);
    pools.patch("followed", &Default::default(), &merge(json!({"metadata": {"labels": {"rack": "a"}}}))).await?;
    let is_labelled = |catalog: &Catalog| catalog.pools["followed"].object.metadata.labels.is_some();
    wait(&catalog, is_labelled).await?;
    assert_eq!(reads().await?, read, "metadata is told without reading");
    let ips = json!({"spec": {"ips": ["10.61.0.1-10.61.0.5"]}});
    pools.patch("followed", &Default::default(), &merge(ips)).await?;
    let changed = wait(&catalog, |catalog| catalog.pools["followed"].space.usable.count() == 5).await?;
    ensure!(is_labelled(&changed));
    assert_eq!(reads().await?, read + 1, "a specification is read once");

    pools.delete("followed", &DeleteParams::default()).await?;
    wait(&catalog, |catalog| !catalog.pools.contains_key("followed")).await?;
    Ok(())
}

#[tokio::test]
async fn whether_records_of_holders_must_be_read_again_is_a_matter_of_who_wrote_them() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = connect(cluster.config().clone()).await?;
    let pools = Api::<SpiderIPPool>::all(client.clone());
    let spec = json!({"subnet": "10.62.0.0/16", "ips": ["10.62.0.1-10.62.0.9"]});
    create(&pools, &SpiderIPPool::new("recorded", serde_json::from_value(spec)?)).await?;
    let catalog = ClusterCatalog::watch(client.clone(), "records");
    timeout(LONG, catalog.ready()).await?;
    let records = |catalog: &Catalog| catalog.pools["recorded"].space.records.clone();
    assert_eq!(records(&catalog.current()), Records::None);

    let write = async |manager: &str, address: &str| -> Result<()> {
        let text = json!({address: {"pod": "shop/web-0", "podUid": "u"}}).to_string();
        let patch = kube::api::Patch::Merge(json!({"status": {"allocatedIPs": text}}));
        pools.patch_status("recorded", &written_by(manager), &patch).await?;
        Ok(())
    };
    // What comes first from us is of blocks, and no reason to look.
    write(MANAGER_PROJECTION, "10.62.0.1").await?;
    write("spiderpool-agent", "10.62.0.2").await?;
    wait(&catalog, |catalog| records(catalog) == Records::Open).await?;
    write(MANAGER_PROJECTION, "10.62.0.3").await?;
    let settled = |catalog: &Catalog| matches!(records(catalog), Records::Settled(_));
    let first = records(&*wait(&catalog, settled).await?);
    write("spiderpool-controller", "10.62.0.4").await?;
    wait(&catalog, |catalog| records(catalog) == Records::Open).await?;
    write(MANAGER_PROJECTION, "10.62.0.5").await?;
    ensure!(records(&*wait(&catalog, settled).await?) != first, "what was read then may be wrong now");

    let late = ClusterCatalog::watch(client, "records-late");
    timeout(LONG, late.ready()).await?;
    ensure!(settled(&late.current()), "written by us, and to be read once");
    pools.delete("recorded", &DeleteParams::default()).await?;
    Ok(())
}

async fn owned(client: &Client, namespace: &str, name: &str, owner: Value, labels: Value) -> Result<Pod> {
    let metadata = json!({"ownerReferences": [owner], "labels": labels});
    create(&Api::namespaced(client.clone(), namespace), &pod(name, None, &metadata)?).await
}

#[tokio::test]
async fn pods_are_found_with_those_they_belong_to() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    let client = connect(cluster.config().clone()).await?;
    let catalog = ClusterCatalog::watch(client.clone(), "knows-nobody");
    timeout(LONG, catalog.ready()).await?;
    let owner = |kind: &str, version: &str, name: &str, uid: &str| json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true});
    let cron = owner("CronJob", "batch/v1", "nightly", "c1");
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}});
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "nightly-1", "ownerReferences": [cron]}, "spec": {"template": template},
    }))?;
    let job = create(&Api::<Job>::namespaced(client.clone(), &namespace), &job).await?;
    let job_uid = job.metadata.uid.context("no uid")?;
    let cases = [
        ("web", owner("ReplicaSet", "apps/v1", "web-5d4", "r1"), "ReplicaSet/web-5d4 Deployment/web"),
        ("gone", owner("ReplicaSet", "apps/v1", "other", "r2"), "ReplicaSet/other"),
        ("set", owner("StatefulSet", "apps/v1", "set", "s1"), "StatefulSet/set"),
        ("job", owner("Job", "batch/v1", "nightly-1", &job_uid), "Job/nightly-1 CronJob/nightly"),
        ("replaced", owner("Job", "batch/v1", "nightly-1", "j0"), "Job/nightly-1"),
    ];
    for (name, owner, expected) in cases {
        let pod = owned(&client, &namespace, name, owner, json!({"pod-template-hash": "5d4"})).await?;
        let found = find(&catalog, &pod).await?.context("not found")?;
        let owners: Vec<String> = found.owners.iter().map(|owner| format!("{}/{}", owner.kind, owner.name)).collect();
        assert_eq!(owners.join(" "), expected, "{name}");
        assert_eq!((Some(&found.uid), found.dead), (pod.metadata.uid.as_ref(), None));
    }
    let mut stranger = pod("web", None, &json!({"namespace": namespace, "uid": "another"}))?;
    assert_eq!(find(&catalog, &stranger).await?, None);
    stranger.metadata.uid = None;
    ensure!(find(&catalog, &stranger).await?.is_some(), "without a uid, any pod of the name is meant");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_comes_back() -> Result<()> {
    let cluster = Cluster::start().await?;
    let client = connect(cluster.config().clone()).await?;
    let catalog = ClusterCatalog::watch(client.clone(), "lonely");
    timeout(LONG, catalog.ready()).await?;
    let before = catalog.current();
    let mut freshness = catalog.subscribe_freshness();
    cluster.apiserver.kill()?;
    let said = timeout(LONG, freshness.wait_for(|it| it.failing.is_some())).await??.clone();
    ensure!(said.failing.as_deref().is_some_and(|words| words.starts_with("cannot watch ")), "{said:?}");
    assert_eq!(catalog.current(), before, "what was known stays");
    let lost = catalog.pods().find("default", "nobody", "").await;
    ensure!(lost.is_err(), "nobody can know that: {lost:?}");
    cluster.apiserver.restart().await?;
    timeout(LONG, freshness.wait_for(|it| it.is_current())).await??;
    let pool = SpiderIPPool::new("later", serde_json::from_value(json!({"subnet": "10.62.0.0/16"}))?);
    create(&Api::all(client), &pool).await?;
    wait(&catalog, |catalog| catalog.pools.contains_key("later")).await?;
    Ok(())
}
