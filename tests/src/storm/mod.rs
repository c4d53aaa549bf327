//! Many pods at once, on many nodes of a real API server: what is asked of a cluster when it comes back after a power cut.
//!
//! Pods, ReplicaSets and Deployments are objects that nobody runs; agents are processes, one per node; every call starts
//! the plugin, as a container runtime does.

mod calls;
mod check;
mod fill;
mod limit;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spiderpool_cluster::{Cluster, Usage};

use crate::manifests;
use crate::{Node, Pod};

pub use calls::{Answered, Calls, Running};
pub use limit::endpoints_per_second;

/// The pods of one Deployment.
const REPLICAS: usize = 10;
/// Objects that are created at once.
const AT_ONCE: usize = 64;
/// What becomes so within this time, becomes so; a limit, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// How large a storm is.
#[derive(Clone, Debug)]
pub struct Size {
    /// Nodes, with an agent each.
    pub nodes: usize,
    /// Pods of each node.
    pub pods: usize,
    /// Calls that each node has under way at once.
    pub in_flight: usize,
}

/// A pool of exactly as many addresses as there are pods, and nodes that are ready to ask.
pub struct Storm {
    /// The nodes. Their agents serve.
    pub nodes: Vec<Node>,
    /// The pods of each node.
    pub pods: Vec<Vec<Pod>>,
    /// The namespace of the pods.
    pub namespace: String,
    /// The pool, which is every pod's.
    pub pool: String,
    client: Client,
    in_flight: usize,
}

impl Storm {
    /// Makes the objects and starts the agents. `kubeconfig` is theirs, where it is not the cluster's own.
    ///
    /// # Errors
    /// The API server refuses something or does not answer.
    ///
    /// # Panics
    /// An agent does not start.
    pub async fn prepare(cluster: &Cluster, size: &Size, kubeconfig: Option<PathBuf>) -> Result<Self> {
        Self::prepare_after(0, cluster, size, kubeconfig).await
    }

    /// The same in a pool whose lowest addresses, so many, pods of other nodes hold already.
    ///
    /// # Errors
    /// The API server refuses something or does not answer.
    ///
    /// # Panics
    /// An agent does not start.
    pub async fn prepare_after(
        held: usize,
        cluster: &Cluster,
        size: &Size,
        kubeconfig: Option<PathBuf>,
    ) -> Result<Self> {
        let namespace = cluster.namespace().await?;
        let count = held + size.nodes * size.pods;
        ensure!(count <= 1 << 16, "{count} pods do not fit into a /16");
        let pool = format!("pool-of-{namespace}");
        let last = u32::try_from(count)? - 1;
        let ips = format!("10.6.0.0-10.6.{}.{}", last >> 8, last & 255);
        cluster.apply(&manifests::pool(&pool, "10.0.0.0/8", &ips, &["default: true"])).await?;
        fill::fill(cluster.client()?, &pool, held).await?;
        let names: Vec<String> = (0..size.nodes).map(|number| format!("{namespace}-node-{number}")).collect();
        for name in &names {
            cluster.node(name).await?;
        }
        let client = cluster.client()?;
        let pods = make_pods(&client, &namespace, &names, size.pods).await?;
        let kubeconfig = kubeconfig.unwrap_or_else(|| cluster.kubeconfig());
        let nodes = Node::start_all(&names, &kubeconfig);
        let storm = Self { nodes, pods, namespace, pool, client, in_flight: size.in_flight };
        storm.knows_pool();
        Ok(storm)
    }

    /// How many pods there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pods.iter().map(Vec::len).sum()
    }

    /// What all agents have used since their start; the memory is that of the largest.
    ///
    /// # Errors
    /// One does not run.
    pub fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for node in &self.nodes {
            let Usage { cpu, memory } = node.usage()?;
            sum = Usage { cpu: sum.cpu + cpu, memory: sum.memory.max(memory) };
        }
        Ok(sum)
    }

    /// Waits until every agent says that its SpiderEndpoints tell what its pods hold.
    ///
    /// # Errors
    /// Not within a minute.
    pub fn caught_up(&self) -> Result<()> {
        self.nodes.iter().try_for_each(Node::caught_up)
    }

    /// Waits until every agent knows the pool: a call does not wait for that.
    fn knows_pool(&self) {
        for node in &self.nodes {
            let begun = Instant::now();
            while !node.pools().iter().any(|pool| pool.name == self.pool) {
                assert!(begun.elapsed() < PATIENCE, "{} does not know pool {}: {}", node.name, self.pool, node.log());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Deployments with their ReplicaSets and pods. Each node has pods of its own Deployments, so that any two nodes of any size
/// of storm differ in nothing but their names.
async fn make_pods(client: &Client, namespace: &str, nodes: &[String], pods: usize) -> Result<Vec<Vec<Pod>>> {
    let mut all = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let deployments = (0..pods.div_ceil(REPLICAS)).map(|place| format!("web-{number}-{place}"));
        let sets = stream::iter(deployments).map(|name| replica_set(client, namespace, name));
        let sets: Vec<(String, String)> = sets.buffered(AT_ONCE).try_collect().await?;
        let objects = (0..pods).map(|place| {
            let (set, uid) = &sets[place / REPLICAS];
            pod(&format!("{set}-{:05}", place % REPLICAS), node, set, uid)
        });
        let made = stream::iter(objects).map(|object| create::<PodObject>(client, namespace, object));
        let made: Vec<PodObject> = made.buffered(AT_ONCE).try_collect().await?;
        let known = made.into_iter().map(|pod| {
            let name = pod.metadata.name.context("a pod without a name")?;
            let uid = pod.metadata.uid.context("a pod without a uid")?;
            let container = format!("{:x<64}", uid.replace('-', ""));
            Ok(Pod { namespace: namespace.to_owned(), name, uid, container, interface: "eth0".to_owned() })
        });
        all.push(known.collect::<Result<Vec<_>>>()?);
    }
    Ok(all)
}

/// A Deployment and its ReplicaSet; name and uid of the latter.
async fn replica_set(client: &Client, namespace: &str, name: String) -> Result<(String, String)> {
    let spec = json!({
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        },
    });
    let object = json!({"metadata": {"name": name}, "spec": spec});
    let deployment: Deployment = create(client, namespace, object).await?;
    let set = format!("{name}-{HASH}");
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": deployment.metadata.uid, "controller": true,
    }]);
    let object = json!({"metadata": {"name": set, "ownerReferences": owner}, "spec": spec});
    let made: ReplicaSet = create(client, namespace, object).await?;
    Ok((set, made.metadata.uid.context("a ReplicaSet without a uid")?))
}

/// What a Deployment would call its pods' template.
const HASH: &str = "7c5d9f8b6";

fn pod(name: &str, node: &str, set: &str, uid: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {"app": set.trim_end_matches(HASH).trim_end_matches('-'), "pod-template-hash": HASH},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": uid, "controller": true},
            ],
        },
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
    })
}

async fn create<K>(client: &Client, namespace: &str, object: Value) -> Result<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let object = serde_json::from_value(object)?;
    api.create(&PostParams::default(), &object).await.context("the API server refuses an object of the storm")
}
