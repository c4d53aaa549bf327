use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use spiderpool_cluster::Cluster;
use spiderpool_crd::SpiderEndpoint;

/// How many SpiderEndpoints a second the API server creates when nothing else is asked of it: no allocation that writes one
/// can be faster. `count` are created, `in_flight` at once.
///
/// # Errors
/// The API server refuses one or does not answer.
pub async fn endpoints_per_second(cluster: &Cluster, count: usize, in_flight: usize) -> Result<f64> {
    let namespace = cluster.namespace().await?;
    let api: Api<SpiderEndpoint> = Api::namespaced(cluster.client()?, &namespace);
    let objects = (0..count).map(|number| {
        let nic = json!({
            "interface": "eth0", "ipv4": "10.6.0.5/16", "ipv4Pool": "storm", "vlan": 0, "cleanGateway": false,
        });
        let status = json!({
            "current": {"uid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "node": "node-1", "ips": [nic]},
            "ownerControllerType": "Deployment",
            "ownerControllerName": "web",
        });
        let metadata = json!({"name": format!("limit-{number}"), "finalizers": ["spiderpool.spidernet.io"]});
        let object = json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderEndpoint",
            "metadata": metadata,
            "status": status,
        });
        serde_json::from_value::<SpiderEndpoint>(object)
    });
    let objects = objects.collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let parameters = PostParams::default();
    let made = stream::iter(&objects).map(|object| api.create(&parameters, object));
    let made: Vec<_> = made.buffer_unordered(in_flight).try_collect().await.context("cannot create SpiderEndpoints")?;
    Ok(made.len() as f64 / begun.elapsed().as_secs_f64())
}
