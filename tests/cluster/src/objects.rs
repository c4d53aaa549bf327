//! Objects that tests begin with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::Cluster;

/// The chart's custom resource definitions.
const RESOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/spiderpool/crds");

/// Creates what the chart installs, and waits until it is served.
pub(crate) async fn install_resources(client: &Client) -> Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let mut names = Vec::new();
    for file in fs::read_dir(RESOURCES).with_context(|| format!("cannot read {RESOURCES}"))? {
        let path = file?.path();
        let definition = read(&path)?;
        let created = api.create(&PostParams::default(), &definition).await;
        let created = created.with_context(|| format!("the API server refuses {}", path.display()))?;
        names.push(created.metadata.name.context("a definition without a name")?);
    }
    ensure!(!names.is_empty(), "no definitions in {RESOURCES}: run `cargo xtask crds`");
    for name in names {
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        timeout(Duration::from_secs(30), established)
            .await
            .with_context(|| format!("{name} is not established after 30 s"))?
            .with_context(|| format!("cannot watch {name}"))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<CustomResourceDefinition> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is no definition of a custom resource", path.display()))
}

impl Cluster {
    /// Makes a namespace that no other test has, and returns its name.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn namespace(&self) -> Result<String> {
        let name = format!("test-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let created = Api::all(self.client()?).create(&PostParams::default(), &namespace).await;
        created.with_context(|| format!("cannot make the namespace {name}"))?;
        Ok(name)
    }

    /// Makes a node: an object with the label `kubernetes.io/hostname`, nothing runs there. Nodes have no namespace: those
    /// of a shared cluster are seen by all tests.
    ///
    /// # Errors
    /// There is one of that name, or the API server refuses or does not answer.
    pub async fn node(&self, name: &str) -> Result<Node> {
        let labels = BTreeMap::from([("kubernetes.io/hostname".to_owned(), name.to_owned())]);
        let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        let node = Node { metadata, ..Node::default() };
        let created = Api::all(self.client()?).create(&PostParams::default(), &node).await;
        created.with_context(|| format!("cannot make the node {name}"))
    }
}
