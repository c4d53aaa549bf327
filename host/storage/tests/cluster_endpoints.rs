//! Endpoint records in a real API server.

use anyhow::{Context as _, Result};
use kube::api::{DeleteParams, Patch, PatchParams};
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

fn pod(namespace: &str, uid: &str) -> PodRef {
    PodRef { namespace: namespace.to_owned(), name: "web-0".to_owned(), uid: uid.to_owned() }
}

#[tokio::test]
async fn a_record_is_written_as_spiderpool_writes_it() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    let api = Api::<SpiderEndpoint>::namespaced(client, &namespace);
    let first = endpoint(&namespace, "a", "Deployment", "10.6.0.5");
    endpoints.put(&first).await?;
    let stored = api.get("web-0").await?;
    assert_eq!(stored.metadata.finalizers, Some(vec!["spiderpool.spidernet.io".to_owned()]));
    let owners = serde_json::to_value(&stored.metadata.owner_references)?;
    assert_eq!(owners, json!([{"apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "a"}]));
    assert_eq!(stored.status, SpiderEndpoint::from(&first).status);

    // The same again writes nothing; another address is written.
    endpoints.put(&first).await?;
    assert_eq!(api.get("web-0").await?.metadata.resource_version, stored.metadata.resource_version);
    let second = endpoint(&namespace, "a", "Deployment", "10.6.0.6");
    endpoints.put(&second).await?;
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
    endpoints.put(&endpoint(&namespace, "a", "StatefulSet", "10.6.0.5")).await?;
    let stored = Api::<SpiderEndpoint>::namespaced(client, &namespace).get("web-0").await?;
    assert_eq!(stored.metadata.owner_references, None);
    Ok(())
}

#[tokio::test]
async fn a_record_of_a_dead_pod_never_blocks() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    let api = Api::<SpiderEndpoint>::namespaced(client, &namespace);
    endpoints.put(&endpoint(&namespace, "a", "Deployment", "10.6.0.5")).await?;
    let next = endpoint(&namespace, "b", "Deployment", "10.6.0.6");
    endpoints.put(&next).await?;
    let stored = api.get("web-0").await?;
    assert_eq!(stored.status, SpiderEndpoint::from(&next).status);
    assert_eq!(stored.metadata.owner_references.context("no owner")?[0].uid, "b");

    // Deleted by somebody, and kept by its finalizer.
    api.delete("web-0", &DeleteParams::default()).await?;
    let last = endpoint(&namespace, "c", "Deployment", "10.6.0.7");
    endpoints.put(&last).await?;
    let stored = api.get("web-0").await?;
    assert_eq!((stored.metadata.deletion_timestamp, stored.status), (None, SpiderEndpoint::from(&last).status));
    Ok(())
}

#[tokio::test]
async fn only_the_record_of_that_very_pod_is_removed() -> Result<()> {
    let (client, namespace) = client().await?;
    let endpoints = ClusterEndpoints::new(client.clone());
    let api = Api::<SpiderEndpoint>::namespaced(client, &namespace);
    endpoints.remove(&pod(&namespace, "a")).await?;
    endpoints.put(&endpoint(&namespace, "b", "Deployment", "10.6.0.5")).await?;
    endpoints.remove(&pod(&namespace, "a")).await?;
    assert!(api.get("web-0").await?.metadata.finalizers.is_some(), "another pod's record was touched");
    // Whoever took the finalizers off already does not keep it.
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("web-0", &PatchParams::default(), &none).await?;
    endpoints.remove(&pod(&namespace, "b")).await?;
    assert_eq!(api.get_opt("web-0").await?, None);
    endpoints.put(&endpoint(&namespace, "c", "Deployment", "10.6.0.5")).await?;
    api.delete("web-0", &DeleteParams::default()).await?;
    endpoints.remove(&pod(&namespace, "c")).await?;
    assert_eq!(api.get_opt("web-0").await?, None);
    Ok(())
}
