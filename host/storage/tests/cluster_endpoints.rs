//! Endpoint records in a real API server.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use spiderpool_cluster::Cluster;
use spiderpool_crd::SpiderEndpoint;
use spiderpool_storage::kube::{ClusterEndpoints, EndpointStore as _, PodRef, connect};
use spiderpool_storage::{Endpoint, Holder, Lease, Owner};

async fn client() -> Result<(Client, String)> {
    let cluster = Cluster::shared().await?;
    Ok((connect(cluster.config().clone()).await?, cluster.namespace().await?))
}

fn endpoint(namespace: &str, uid: &str, owner: &str, address: &str) -> Endpoint {
    let lease = Lease {
        interface: "eth0".to_owned(),
        address: address.parse().expect("an address"),
        prefix_length: 16,
        pool: "p4".to_owned(),
        gateway: None,
        routes: Vec::new(),
        clean_gateway: false,
        container: "c1".to_owned(),
        network: "underlay".to_owned(),
    };
    Endpoint {
        holder: Holder { namespace: namespace.to_owned(), pod: "web-0".to_owned(), uid: uid.to_owned() },
        node: format!("node-of-{namespace}"),
        owner: Owner { kind: owner.to_owned(), name: "web".to_owned() },
        leases: vec![lease],
    }
}

/// No pod of the node had the record before.
fn nobody() -> BTreeSet<String> {
    BTreeSet::new()
}

fn pod(namespace: &str, uid: &str) -> PodRef {
    PodRef { namespace: namespace.to_owned(), name: "web-0".to_owned(), uid: uid.to_owned() }
}

#[tokio::test]
async fn a_record_is_written_as_spiderpool_writes_it() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    let api = Api::<SpiderEndpoint>::namespaced(client, &namespace);
    let first = endpoint(&namespace, "a", "Deployment", "10.6.0.5");
    endpoints.put(&first, &nobody()).await?;
    let stored = api.get("web-0").await?;
    assert_eq!(stored.metadata.finalizers, Some(vec!["spiderpool.spidernet.io".to_owned()]));
    let owners = serde_json::to_value(&stored.metadata.owner_references)?;
    assert_eq!(owners, json!([{"apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "a"}]));
    assert_eq!(stored.status, SpiderEndpoint::from(&first).status);

    // The same again writes nothing; another address is written.
    endpoints.put(&first, &nobody()).await?;
    assert_eq!(api.get("web-0").await?.metadata.resource_version, stored.metadata.resource_version);
    let second = endpoint(&namespace, "a", "Deployment", "10.6.0.6");
    endpoints.put(&second, &nobody()).await?;
    assert_eq!(api.get("web-0").await?.status, SpiderEndpoint::from(&second).status);

    let records = endpoints.of_node(&format!("node-of-{namespace}")).await?;
    assert_eq!(records.iter().map(|record| record.pod.clone()).collect::<Vec<_>>(), [pod(&namespace, "a")]);
    assert_eq!(Some(&records[0].status), SpiderEndpoint::from(&second).status.as_ref());
    assert_eq!(endpoints.of_node("elsewhere").await?, []);
    Ok(())
}

#[tokio::test]
async fn what_outlives_pods_is_not_owned_by_one() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    endpoints.put(&endpoint(&namespace, "a", "StatefulSet", "10.6.0.5"), &nobody()).await?;
    let stored = Api::<SpiderEndpoint>::namespaced(client, &namespace).get("web-0").await?;
    assert_eq!(stored.metadata.owner_references, None);
    Ok(())
}

#[tokio::test]
async fn a_record_of_a_dead_pod_never_blocks() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    let api = Api::<SpiderEndpoint>::namespaced(client, &namespace);
    endpoints.put(&endpoint(&namespace, "a", "Deployment", "10.6.0.5"), &nobody()).await?;
    let next = endpoint(&namespace, "b", "Deployment", "10.6.0.6");
    endpoints.put(&next, &BTreeSet::from(["a".to_owned()])).await?;
    let stored = api.get("web-0").await?;
    assert_eq!(stored.status, SpiderEndpoint::from(&next).status);
    assert_eq!(stored.metadata.owner_references.context("no owner")?[0].uid, "b");

    // Deleted by somebody, and kept by its finalizer.
    api.delete("web-0", &DeleteParams::default()).await?;
    let last = endpoint(&namespace, "c", "Deployment", "10.6.0.7");
    endpoints.put(&last, &BTreeSet::from(["b".to_owned()])).await?;
    let stored = api.get("web-0").await?;
    assert_eq!((stored.metadata.deletion_timestamp, stored.status), (None, SpiderEndpoint::from(&last).status));
    Ok(())
}

#[tokio::test]
async fn of_pods_of_two_nodes_the_one_that_exists_has_the_record() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    assert_eq!(endpoints.get(&namespace, "web-0").await?, None);
    let gone = endpoint(&namespace, "a", "StatefulSet", "10.6.0.5");
    endpoints.put(&gone, &nobody()).await?;
    let left = endpoints.get(&namespace, "web-0").await?.context("no record")?;
    assert_eq!((left.pod, Some(left.status)), (pod(&namespace, "a"), SpiderEndpoint::from(&gone).status));

    let object = json!({"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let uid = pods.create(&PostParams::default(), &serde_json::from_value(object)?).await?.metadata.uid;
    let uid = uid.context("no uid")?;
    endpoints.put(&endpoint(&namespace, &uid, "StatefulSet", "10.6.0.6"), &nobody()).await?;
    let whose = async || anyhow::Ok(endpoints.get(&namespace, "web-0").await?.context("no record")?.pod.uid);
    assert_eq!(whose().await?, uid, "a dead pod's record blocks it");

    // What comes late, now and when no pod of the name is left.
    endpoints.put(&gone, &nobody()).await?;
    endpoints.remove(&pod(&namespace, "a")).await?;
    assert_eq!(whose().await?, uid);
    pods.delete("web-0", &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
    endpoints.put(&gone, &nobody()).await?;
    assert_eq!(whose().await?, uid);
    // A machine has no pod of its name.
    endpoints.put(&endpoint(&namespace, "vm", "VirtualMachineInstance", "10.6.0.7"), &nobody()).await?;
    assert_eq!(whose().await?, "vm");
    Ok(())
}

#[tokio::test]
async fn only_the_record_of_that_very_pod_is_removed() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    let api = Api::<SpiderEndpoint>::namespaced(client, &namespace);
    endpoints.remove(&pod(&namespace, "a")).await?;
    endpoints.put(&endpoint(&namespace, "b", "Deployment", "10.6.0.5"), &nobody()).await?;
    endpoints.remove(&pod(&namespace, "a")).await?;
    assert!(api.get("web-0").await?.metadata.finalizers.is_some(), "another pod's record was touched");
    // Whoever took the finalizers off already does not keep it.
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("web-0", &PatchParams::default(), &none).await?;
    endpoints.remove(&pod(&namespace, "b")).await?;
    assert_eq!(api.get_opt("web-0").await?, None);
    endpoints.put(&endpoint(&namespace, "c", "Deployment", "10.6.0.5"), &nobody()).await?;
    api.delete("web-0", &DeleteParams::default()).await?;
    endpoints.remove(&pod(&namespace, "c")).await?;
    assert_eq!(api.get_opt("web-0").await?, None);
    Ok(())
}
