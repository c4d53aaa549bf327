//! Records of endpoints are created: the limit of what a cluster can take.

use anyhow::Result;
use futures::future::try_join_all;
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;

use crate::meter::{Row, measure};

const WRITES: u32 = 500;

/// Replies with the object, and with its metadata alone.
const REPLIES: [(&str, &str); 2] = [
    ("POST endpoint", "application/json"),
    ("POST endpoint, short reply", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
];

pub(crate) async fn created(cluster: &Cluster) -> Result<()> {
    for (name, accept) in REPLIES {
        for in_flight in [1, 10, 30] {
            let namespace = cluster.namespace().await?;
            let url = format!("/apis/spiderpool.spidernet.io/v2beta1/namespaces/{namespace}/spiderendpoints");
            create(cluster.client()?, &url, accept, 0, 10).await?;
            let share = WRITES / in_flight;
            let mut writers = Vec::new();
            for number in 0..in_flight {
                writers.push(create(cluster.client()?, &url, accept, 10 + number * share, share));
            }
            let (sizes, spent) = measure(cluster, try_join_all(writers)).await?;
            let (request, reply) = sizes[0];
            let in_flight_shown = usize::try_from(in_flight)?;
            let writes = share * in_flight;
            let name = name.to_owned();
            println!("{}", Row { name, entries: 0, in_flight: in_flight_shown, writes, request, reply, spent });
        }
    }
    Ok(())
}

async fn create(client: Client, url: &str, accept: &str, first: u32, count: u32) -> Result<(usize, usize)> {
    let mut sizes = (0, 0);
    for number in first..first + count {
        let body = serde_json::to_vec(&endpoint(number))?;
        sizes.0 = body.len();
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(body)?;
        sizes.1 = client.request_text(request).await?.len();
    }
    Ok(sizes)
}

/// A record as Spiderpool writes it.
fn endpoint(number: u32) -> Value {
    let name = format!("checkout-service-7d9f8b6c5d-{number:05}");
    let uid = format!("0d5f1c9e-6c1b-4c58-9a53-{number:012x}");
    json!({
        "apiVersion": "spiderpool.spidernet.io/v2beta1",
        "kind": "SpiderEndpoint",
        "metadata": {
            "name": name,
            "finalizers": ["spiderpool.spidernet.io"],
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": false,
            }],
        },
        "status": {
            "current": {
                "uid": uid,
                "node": format!("worker-{}.cluster.example", number % 100),
                "ips": [{
                    "interface": "eth0", "ipv4": format!("10.6.{}.{}/16", number / 256, number % 256),
                    "ipv4Pool": "pool", "ipv4Gateway": "10.6.0.1", "vlan": 0, "cleanGateway": false, "routes": [],
                }],
            },
            "ownerControllerType": "Deployment",
            "ownerControllerName": "checkout-service",
        },
    })
}
