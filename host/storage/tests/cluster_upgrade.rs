//! Pods that Spiderpool served keep their addresses when this takes over, on a real API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;
use spiderpool_crd::{SpiderEndpoint, SpiderIPPool};
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{ClusterBlocks, ClusterEndpoints, KubeLedger, KubeLedgerConfig, connect};
use spiderpool_storage::{Choice, Holder, Ledger as _, Owner, Pick, PoolSpace, Release, Reservation, Want};

/// The pool `name` as Spiderpool left it: three addresses, of which the first two are held.
async fn left_pool(client: &Client, name: &str, namespace: &str) -> Result<Arc<PoolSpace>> {
    let api = Api::<SpiderIPPool>::all(client.clone());
    let spec = json!({"subnet": "10.6.0.0/16", "ips": ["10.6.0.63-10.6.0.65"]});
    let pool = SpiderIPPool::new(name, serde_json::from_value(spec)?);
    api.create(&PostParams::default(), &pool).await?;
    let holders = json!({
        "10.6.0.63": {"pod": format!("{namespace}/web-0"), "podUid": "uid-0"},
        "10.6.0.64": {"pod": format!("{namespace}/web-1"), "podUid": "uid-1"},
    });
    let status = json!({"status": {"allocatedIPs": holders.to_string(), "allocatedIPCount": 2}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    let usable = IpSet::parse(Family::V4, ["10.6.0.63-10.6.0.65"])?;
    Ok(Arc::new(PoolSpace::new(name, "10.6.0.0/16".parse()?, usable)))
}

/// The endpoint of `web-N` as Spiderpool left it.
async fn left_endpoint(client: &Client, namespace: &str, node: &str, n: u8, pool: &str) -> Result<Value> {
    let object = json!({
        "apiVersion": "spiderpool.spidernet.io/v2beta1",
        "kind": "SpiderEndpoint",
        "metadata": {"name": format!("web-{n}"), "namespace": namespace, "finalizers": ["spiderpool.spidernet.io"]},
        "status": {
            "current": {
                "uid": format!("uid-{n}"), "node": node,
                "ips": [{"interface": "eth0", "ipv4": format!("10.6.0.{}/16", 63 + n), "ipv4Pool": pool, "vlan": 0,
                         "cleanGateway": false}],
            },
            "ownerControllerType": "StatefulSet", "ownerControllerName": "web",
        },
    });
    let api = Api::<SpiderEndpoint>::namespaced(client.clone(), namespace);
    let created = api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(serde_json::to_value(created.metadata.resource_version)?)
}

async fn open(client: &Client, node: &str, space: &Arc<PoolSpace>) -> Result<KubeLedger> {
    let space = Arc::clone(space);
    let spaces = Arc::new(move |name: &str| (name == space.name).then(|| Arc::clone(&space)));
    let blocks = Arc::new(ClusterBlocks::new(client.clone()));
    let endpoints = Arc::new(ClusterEndpoints::new(client.clone()));
    Ok(KubeLedger::open(KubeLedgerConfig::new(node.to_owned(), blocks, endpoints, spaces)).await?)
}

async fn held(ledger: &KubeLedger) -> Result<Vec<String>> {
    let held = ledger.allocations(None).await?;
    Ok(held.iter().map(|held| format!("{} {} {}", held.lease.address, held.holder.pod, held.lease.interface)).collect())
}

#[tokio::test]
async fn pods_keep_what_spiderpool_gave_them() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (client, namespace) = (connect(cluster.config().clone()).await?, cluster.namespace().await?);
    let pool = format!("left-{namespace}");
    let space = left_pool(&client, &pool, &namespace).await?;
    let [one, other] = ["a", "b"].map(|node| format!("{node}-{namespace}"));
    let versions = [
        left_endpoint(&client, &namespace, &one, 0, &pool).await?,
        left_endpoint(&client, &namespace, &other, 1, &pool).await?,
    ];

    // Each node takes over its own, twice without harm, and no record is touched.
    let first = open(&client, &one, &space).await?;
    let second = open(&client, &other, &space).await?;
    assert_eq!(held(&first).await?, ["10.6.0.63 web-0 eth0"]);
    assert_eq!(held(&second).await?, ["10.6.0.64 web-1 eth0"]);
    drop(first);
    let first = open(&client, &one, &space).await?;
    assert_eq!(held(&first).await?, ["10.6.0.63 web-0 eth0"]);
    assert!(first.close(Duration::from_secs(20)).await && second.close(Duration::from_secs(20)).await);
    let api = Api::<SpiderEndpoint>::namespaced(client.clone(), &namespace);
    for (n, version) in versions.iter().enumerate() {
        let now = api.get(&format!("web-{n}")).await?.metadata.resource_version;
        assert_eq!(serde_json::to_value(now)?, *version, "the record of web-{n} was written");
    }

    // A new pod gets the address that is left, and what was taken over can be given back.
    let first = open(&client, &one, &space).await?;
    let new = first.reserve(reservation(&namespace, &one, &space)).await?;
    assert_eq!(new.leases[0].address.to_string(), "10.6.0.65");
    let release = Release { uid: "uid-0".to_owned(), container: Some(String::new()), ..Release::default() };
    assert_eq!(first.release(release).await?.len(), 1);
    assert!(first.close(Duration::from_secs(20)).await);
    assert!(api.get_opt("web-0").await?.is_none(), "its record went with it");
    api.get_opt("web-1").await?.context("the other one stays")?;
    Ok(())
}

fn reservation(namespace: &str, node: &str, space: &Arc<PoolSpace>) -> Reservation {
    let choice = Choice { space: Arc::clone(space), pick: Pick::Lowest };
    let want = Want {
        interface: "eth0".to_owned(),
        family: Family::V4,
        network: "underlay".to_owned(),
        clean_gateway: false,
        inherits: Vec::new(),
        choices: vec![choice],
    };
    Reservation {
        holder: Holder { namespace: namespace.to_owned(), pod: "new".to_owned(), uid: "uid-new".to_owned() },
        node: node.to_owned(),
        container: "c1".to_owned(),
        owner: Owner { kind: "Pod".to_owned(), name: "new".to_owned() },
        comes_back: false,
        wants: vec![want],
    }
}
