//! A node of a cluster, and what tests ask the cluster.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;
use spiderpool_tests::{Node, Plugin, Pod};

/// What becomes so within this time, becomes so; a limit, not an expectation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An agent's node, its plugin, and a namespace of the test's own.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: String,
    pub(crate) node: Node,
    pub(crate) plugin: Plugin,
}

impl<'a> Site<'a> {
    pub(crate) async fn new(cluster: &'a Cluster, node: &str) -> Result<Self> {
        let namespace = cluster.namespace().await?;
        cluster.node(node).await?;
        let node = Node::start(node, &cluster.kubeconfig());
        let plugin = Plugin::on(&node);
        Ok(Self { cluster, namespace, node, plugin })
    }

    /// Creates a pod of this node that names its pool, and says how the runtime calls it.
    pub(crate) async fn pod(&self, name: &str, pool: &str) -> Result<Pod> {
        self.pod_of(name, pool, &self.node.name).await
    }

    pub(crate) async fn pod_of(&self, name: &str, pool: &str, node: &str) -> Result<Pod> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "annotations": {"ipam.spidernet.io/ippool": json!({"ipv4": [pool]}).to_string()},
            },
            "spec": {
                "nodeName": node,
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "none"}],
            },
        });
        self.cluster.apply(&object.to_string()).await?;
        let uid = self.object("pod", name).await?["metadata"]["uid"].as_str().unwrap().to_owned();
        let container = format!("sandbox-{name}");
        Ok(Pod { namespace: self.namespace.clone(), name: name.into(), uid, container, interface: "eth0".into() })
    }

    pub(crate) async fn object(&self, kind: &str, name: &str) -> Result<Value> {
        get(self.cluster, &[kind, name, "--namespace", &self.namespace]).await
    }

    /// What blocks say about a pool: addresses with the uids of their pods.
    pub(crate) async fn held(&self, pool: &str) -> Result<Vec<(String, String)>> {
        let blocks = get(self.cluster, &["spideripblocks"]).await?;
        let of_pool = blocks["items"].as_array().unwrap().iter().filter(|block| block["spec"]["pool"] == pool);
        let held = of_pool.filter_map(|block| block["spec"]["allocations"].as_object()).flatten();
        let uid =
            |record: &Value| record.as_str()?.split(' ').find_map(|word| Some(word.strip_prefix("uid=")?.to_owned()));
        Ok(held.map(|(address, record)| (address.clone(), uid(record).unwrap())).collect())
    }

    /// Has a pod deleted and its sandbox removed; its addresses are free then.
    pub(crate) async fn end(&self, pod: &Pod) -> Result<()> {
        self.cluster.kubectl(&["delete", "pod", &pod.name, "--namespace", &self.namespace, "--wait=false"]).await?;
        self.plugin.del(pod);
        let begun = Instant::now();
        while self.node.allocations().iter().any(|row| row.pod_uid == pod.uid) {
            if begun.elapsed() > PATIENCE {
                bail!("{} holds addresses after {PATIENCE:?}. The agent said:\n{}", pod.name, self.node.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until there is, or is not, an endpoint of that name; answers with it.
    pub(crate) async fn endpoint(&self, name: &str, there: bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let list = get(self.cluster, &["spiderendpoints", "--namespace", &self.namespace]).await?;
            let found = list["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == name);
            if found.is_some() == there {
                return Ok(found.cloned().unwrap_or_default());
            }
            if begun.elapsed() > PATIENCE {
                bail!("endpoint {name} there={there}: not so after {PATIENCE:?}. The agent said:\n{}", self.node.log());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The columns that kubectl prints of one object; empty ones are missing.
    pub(crate) async fn printed(&self, what: &[&str]) -> Result<Vec<String>> {
        let get = ["get", "--no-headers", "--namespace", &self.namespace];
        let row = self.cluster.kubectl(&[&get[..], what].concat()).await?;
        Ok(row.split_whitespace().map(str::to_owned).collect())
    }

    /// Waits for an Event about a pod.
    pub(crate) async fn event(&self, pod: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let list = get(self.cluster, &["events.events.k8s.io", "--namespace", &self.namespace]).await?;
            if let Some(found) = list["items"].as_array().unwrap().iter().find(|item| item["regarding"]["name"] == pod)
            {
                return Ok(found.clone());
            }
            if begun.elapsed() > PATIENCE {
                bail!("no Event about {pod} after {PATIENCE:?}. The agent said:\n{}", self.node.log());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the agent has heard of a pool.
    pub(crate) fn knows(&self, pool: &str) {
        let begun = Instant::now();
        while !self.node.pools().iter().any(|summary| summary.name == pool) {
            assert!(begun.elapsed() < PATIENCE, "pool {pool} is not known: {}", self.node.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) async fn get(cluster: &Cluster, what: &[&str]) -> Result<Value> {
    let text = cluster.kubectl(&[&["get", "--output", "json"], what].concat()).await?;
    Ok(serde_json::from_str(&text)?)
}
