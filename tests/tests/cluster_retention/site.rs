//! Nodes of a cluster with a pool, and the objects that pods belong to.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;
use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Node, Plugin, Pod};

/// What becomes so within this time, becomes so; a limit, not an expectation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace with nodes and a pool of its own.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: String,
    pub(crate) pool: String,
    pub(crate) nodes: Vec<Node>,
}

impl<'a> Site<'a> {
    /// `number` is that of the pool's network, 10.N.0.0/24, with the addresses from 10 on; `conf` are lines of `conf.yml`.
    pub(crate) async fn new(cluster: &'a Cluster, name: &str, number: u8, conf: &str) -> Result<Self> {
        let namespace = cluster.namespace().await?;
        let ips = format!("10.{number}.0.10-10.{number}.0.19");
        cluster.apply(&pool(name, &format!("10.{number}.0.0/24"), &ips, &[])).await?;
        let mut nodes = Vec::new();
        for place in ["a", "b"] {
            let node = format!("{name}-{place}");
            cluster.node(&node).await?;
            let mut node = Node::stopped(&node, &cluster.kubeconfig());
            node.configure(conf);
            node.run();
            nodes.push(node);
        }
        Ok(Self { cluster, namespace, pool: name.to_owned(), nodes })
    }

    pub(crate) async fn kubectl(&self, what: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[what, &["--namespace", &self.namespace]].concat()).await
    }

    /// The StatefulSet `web`.
    pub(crate) async fn set(&self, replicas: u32, annotations: Value) -> Result<()> {
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "web", "namespace": self.namespace, "annotations": annotations},
            "spec": {
                "replicas": replicas,
                "serviceName": "web",
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": "none"}]},
                },
            },
        });
        self.cluster.apply(&set.to_string()).await.map(drop)
    }

    /// Creates a pod of an owner on a node, and says how the runtime calls it.
    pub(crate) async fn pod(
        &self,
        name: &str,
        node: usize,
        owner: (&str, &str, &str),
        annotations: Value,
    ) -> Result<Pod> {
        let (api_version, kind, of) = owner;
        let found = self.kubectl(&["get", &plural(api_version, kind), of, "-o", "jsonpath={.metadata.uid}"]).await?;
        let mut annotations = annotations;
        annotations["ipam.spidernet.io/ippool"] = json!({"ipv4": [self.pool]}).to_string().into();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {"app": "web"},
                "annotations": annotations,
                "ownerReferences": [
                    {"apiVersion": api_version, "kind": kind, "name": of, "uid": found.trim(), "controller": true},
                ],
            },
            "spec": {"nodeName": self.nodes[node].name, "containers": [{"name": "main", "image": "none"}]},
        });
        self.cluster.apply(&object.to_string()).await?;
        let uid = self.kubectl(&["get", "pod", name, "-o", "jsonpath={.metadata.uid}"]).await?.trim().to_owned();
        let container = format!("sandbox-{uid}");
        Ok(Pod { namespace: self.namespace.clone(), name: name.into(), uid, container, interface: "eth0".into() })
    }

    /// A Deployment and its ReplicaSet; the name of the latter.
    pub(crate) async fn deployment(&self, name: &str, annotations: Value) -> Result<String> {
        let labels = json!({"app": name});
        let spec = json!({
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}},
        });
        let object = |kind: &str, metadata: Value| {
            json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}).to_string()
        };
        let metadata = json!({"name": name, "namespace": self.namespace, "annotations": annotations});
        self.cluster.apply(&object("Deployment", metadata)).await?;
        let uid = self.kubectl(&["get", "deployment", name, "-o", "jsonpath={.metadata.uid}"]).await?;
        let set = format!("{name}-5d4f8");
        let owner = json!([{
            "apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid.trim(), "controller": true,
        }]);
        let metadata = json!({"name": set, "namespace": self.namespace, "ownerReferences": owner});
        self.cluster.apply(&object("ReplicaSet", metadata)).await?;
        Ok(set)
    }

    pub(crate) async fn member(&self, ordinal: u32, node: usize) -> Result<Pod> {
        self.pod(&format!("web-{ordinal}"), node, ("apps/v1", "StatefulSet", "web"), json!({})).await
    }

    /// ADD, when the agent has heard of the pool.
    pub(crate) fn add(&self, pod: &Pod, node: usize) -> Vec<String> {
        let begun = Instant::now();
        while !self.nodes[node].pools().iter().any(|pool| pool.name == self.pool) {
            assert!(begun.elapsed() < PATIENCE, "{}", self.nodes[node].log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Plugin::on(&self.nodes[node]).add(pod).addresses()
    }

    /// What a kubelet does when a pod is deleted: DEL, then the object goes.
    pub(crate) async fn end(&self, pod: &Pod, node: usize) -> Result<()> {
        self.kubectl(&["delete", "pod", &pod.name, "--wait=false"]).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Plugin::on(&self.nodes[node]).del(pod);
        self.kubectl(&["delete", "pod", &pod.name, "--grace-period=0", "--force"]).await.map(drop)
    }

    /// What blocks say: names of pods, uids and addresses.
    pub(crate) async fn held(&self) -> Result<Vec<(String, String, String)>> {
        let blocks: Value = serde_json::from_str(&self.kubectl(&["get", "spideripblocks", "-o", "json"]).await?)?;
        let blocks = blocks["items"].as_array().unwrap().iter().filter(|block| block["spec"]["pool"] == *self.pool);
        let word = |record: &Value, key: &str| {
            let words = record.as_str().unwrap().split(' ');
            words.filter_map(|word| word.strip_prefix(key)).next().unwrap_or_default().to_owned()
        };
        let records = blocks.filter_map(|block| block["spec"]["allocations"].as_object()).flatten();
        let mut held: Vec<_> = records
            .map(|(address, record)| {
                let name = word(record, "pod=").rsplit('/').next().unwrap().to_owned();
                (name, word(record, "uid="), address.clone())
            })
            .collect();
        held.sort();
        Ok(held)
    }

    /// Waits until these pods hold addresses, and no others.
    pub(crate) async fn holders(&self, names: &[&str]) -> Result<()> {
        let begun = Instant::now();
        loop {
            let held = self.held().await?;
            let found: Vec<&str> = held.iter().map(|(name, ..)| name.as_str()).collect();
            if found == names {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{held:?} and not {names:?}. The agents said:\n{}\n{}", self.nodes[0].log(), self.nodes[1].log());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

pub(crate) fn plural(api_version: &str, kind: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap();
    format!("{}s.{version}.{group}", kind.to_lowercase())
}

/// A kind of which only metadata counts.
pub(crate) fn definition(group: &str, version: &str, kind: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
    .to_string()
}

pub(crate) async fn define(cluster: &Cluster, group: &str, version: &str, kinds: &[&str]) -> Result<()> {
    for kind in kinds {
        cluster.apply(&definition(group, version, kind)).await?;
        let name = format!("crd/{}s.{group}", kind.to_lowercase());
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &name]).await?;
    }
    Ok(())
}

pub(crate) fn object(api_version: &str, kind: &str, name: &str, namespace: &str, owner: Value) -> String {
    let metadata = json!({"name": name, "namespace": namespace, "ownerReferences": owner});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}).to_string()
}
