//! What the engine for clusters relies on: how this API server treats patches of single addresses.

use anyhow::{Context, Result, ensure};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;

const URL: &str = "/apis/spiderpool.spidernet.io/v2beta1/spideripblocks";

fn holder(pod: &str) -> Value {
    format!("pod=shop/{pod} uid={pod} nic=eth0 node=node1 sandbox={pod}").into()
}

async fn send(client: &Client, method: Method, url: &str, kind: &str, body: &Value) -> kube::Result<Value> {
    let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
    let request = Request::builder().method(method).uri(url).header("content-type", kind).body(body);
    client.request(request.map_err(kube::Error::HttpError)?).await
}

/// A block with nothing in it; its URL.
async fn block(client: &Client) -> Result<String> {
    let object = json!({
        "apiVersion": "spiderpool.spidernet.io/v2beta1",
        "kind": "SpiderIPBlock",
        "metadata": {"generateName": "block-"},
        "spec": {"pool": "pool", "block": "10.6.0.0/28", "allocations": {}, "quarantine": {}},
    });
    let made = send(client, Method::POST, URL, "application/json", &object).await?;
    Ok(format!("{URL}/{}", made["metadata"]["name"].as_str().context("a block without a name")?))
}

async fn patch(client: &Client, url: &str, operations: Value) -> kube::Result<Value> {
    send(client, Method::PATCH, url, "application/json-patch+json", &operations).await
}

fn take(address: &str, pod: &str) -> Value {
    let path = format!("/spec/allocations/{address}");
    json!([{"op": "test", "path": path, "value": null}, {"op": "add", "path": path, "value": holder(pod)}])
}

fn code(result: kube::Result<Value>) -> Result<u16> {
    match result {
        Err(kube::Error::Api(status)) => Ok(status.code),
        other => anyhow::bail!("expected a refusal and got {other:?}"),
    }
}

#[tokio::test]
async fn an_address_is_taken_only_if_nobody_has_it() -> Result<()> {
    let client = Cluster::shared().await?.client()?;
    let url = block(&client).await?;
    let taken = patch(&client, &url, take("10.6.0.5", "a")).await?;
    assert_eq!(taken["spec"]["allocations"]["10.6.0.5"], holder("a"), "the reply carries the block");
    assert_eq!(code(patch(&client, &url, take("10.6.0.5", "b")).await)?, 422);

    // Of several addresses all or none.
    let both =
        [take("10.6.0.6", "b"), take("10.6.0.5", "b")].into_iter().flat_map(|ops| ops.as_array().cloned()).flatten();
    assert_eq!(code(patch(&client, &url, both.collect()).await)?, 422);
    let now = send(&client, Method::GET, &url, "application/json", &Value::Null).await?;
    assert_eq!(now["spec"]["allocations"], json!({"10.6.0.5": holder("a")}));
    Ok(())
}

#[tokio::test]
async fn an_address_is_given_back_only_by_its_holder() -> Result<()> {
    let client = Cluster::shared().await?.client()?;
    let url = block(&client).await?;
    patch(&client, &url, take("10.6.0.5", "a")).await?;
    let give = |pod: &str| {
        json!([
            {"op": "test", "path": "/spec/allocations/10.6.0.5", "value": holder(pod)},
            {"op": "remove", "path": "/spec/allocations/10.6.0.5"},
        ])
    };
    assert_eq!(code(patch(&client, &url, give("b")).await)?, 422);
    let left = patch(&client, &url, give("a")).await?;
    assert_eq!(left["spec"]["allocations"], json!({}));
    // What is not there any more is nobody's.
    assert_eq!(code(patch(&client, &url, give("a")).await)?, 422);
    Ok(())
}

#[tokio::test]
async fn writers_of_different_addresses_never_fail_and_of_one_address_one_succeeds() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let url = block(&cluster.client()?).await?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (client, url) = (cluster.client()?, url.clone());
        writers.spawn(async move {
            let pod = format!("writer-{writer}");
            let mut won = 0;
            for turn in 0..10 {
                patch(&client, &url, take(&format!("10.6.0.{}", 100 + writer * 10 + turn), &pod)).await?;
                match patch(&client, &url, take(&format!("10.6.0.{turn}"), &pod)).await {
                    Ok(_) => won += 1,
                    Err(kube::Error::Api(status)) if status.code == 422 => {}
                    Err(error) => return Err(error),
                }
            }
            Ok::<_, kube::Error>(won)
        });
    }
    let won = writers.join_all().await.into_iter().sum::<kube::Result<u32>>()?;
    assert_eq!(won, 10, "each of the ten addresses in dispute has one winner");
    let now = send(&cluster.client()?, Method::GET, &url, "application/json", &Value::Null).await?;
    assert_eq!(now["spec"]["allocations"].as_object().map(serde_json::Map::len), Some(50));
    Ok(())
}

#[tokio::test]
async fn managed_fields_that_were_cleared_stay_away() -> Result<()> {
    let client = Cluster::shared().await?.client()?;
    let url = block(&client).await?;
    let tracked = patch(&client, &url, take("10.6.0.4", "a")).await?;
    ensure!(tracked["metadata"].get("managedFields").is_some(), "nothing to clear: {tracked}");
    let mut first = take("10.6.0.5", "a");
    let clear = json!({"op": "add", "path": "/metadata/managedFields", "value": [{}]});
    first.as_array_mut().context("operations")?.push(clear);
    for operations in [first, take("10.6.0.6", "a")] {
        let block = patch(&client, &url, operations).await?;
        ensure!(block["metadata"].get("managedFields").is_none(), "still tracked: {block}");
    }
    Ok(())
}
