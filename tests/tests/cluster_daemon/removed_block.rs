//! Somebody removes a block of which pods hold addresses, while agents and the controller are at work.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spiderpool_cluster::Cluster;
use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Controller, Pod};

use crate::site::{PATIENCE, Site, get};

/// How long news of an object may be on their way to agents.
const HEARD: Duration = Duration::from_secs(1);

/// Waits until the status of the pool is as it should be; answers with its `allocatedIPs`.
async fn listed(cluster: &Cluster, is_right: impl Fn(&str) -> bool) -> Result<String> {
    let begun = Instant::now();
    loop {
        let pool = get(cluster, &["spiderippool", "torn"]).await?;
        let text = pool["status"]["allocatedIPs"].as_str().unwrap_or_default();
        if is_right(text) {
            return Ok(text.to_owned());
        }
        ensure!(begun.elapsed() < PATIENCE, "status.allocatedIPs: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn names(text: &str) -> usize {
    let records: Value = serde_json::from_str(text).unwrap_or_default();
    records.as_object().map_or(0, serde_json::Map::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_a_block_that_somebody_removed_are_not_given_to_others() -> Result<()> {
    let cluster = Cluster::start().await?;
    let _controller = Controller::start(&cluster.kubeconfig());
    let sites = [Site::new(&cluster, "one").await?, Site::new(&cluster, "other").await?];
    cluster.apply(&pool("torn", "10.69.0.0/24", "10.69.0.16-10.69.0.31", &[])).await?;
    let mut pods: Vec<(&Site<'_>, Pod, Vec<String>)> = Vec::new();
    for (number, site) in (0..6).zip(sites.iter().cycle()) {
        site.knows("torn");
        let pod = site.pod(&format!("before-{number}"), "torn").await?;
        let addresses = site.plugin.add(&pod).addresses();
        pods.push((site, pod, addresses));
    }
    let before = listed(&cluster, |text| names(text) == pods.len()).await?;

    let block = get(&cluster, &["spideripblocks"]).await?;
    let block = block["items"][0]["metadata"]["name"].as_str().context("a block")?;
    cluster.kubectl(&["delete", "spideripblock", block]).await?;
    // It means the same, and agents hear that addresses are held of which no block tells.
    let after = listed(&cluster, |text| text != before).await?;
    assert_eq!(serde_json::from_str::<Value>(&after)?, serde_json::from_str::<Value>(&before)?);
    tokio::time::sleep(HEARD).await;

    for (number, site) in (0..6).zip(sites.iter().cycle()) {
        let pod = site.pod(&format!("after-{number}"), "torn").await?;
        let addresses = site.plugin.add(&pod).addresses();
        pods.push((site, pod, addresses));
    }
    let all: BTreeSet<_> = pods.iter().flat_map(|(.., addresses)| addresses).collect();
    assert_eq!(all.len(), pods.len(), "two have the same: {all:?}");
    for (site, pod, addresses) in &pods {
        assert_eq!(site.plugin.add(pod).addresses(), *addresses, "{}", pod.name);
    }
    let uids: BTreeSet<_> = sites[0].held("torn").await?.into_iter().map(|(_, uid)| uid).collect();
    assert_eq!(uids, pods.iter().map(|(_, pod, _)| pod.uid.clone()).collect());
    for (site, pod, _) in &pods {
        site.end(pod).await?;
    }
    assert_eq!(sites[0].held("torn").await?, []);
    Ok(())
}
