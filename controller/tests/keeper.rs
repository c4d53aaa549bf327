//! The daemon against a real API server: what it writes, and what it leaves alone.

mod daemon;
mod objects;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use daemon::Daemon;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use objects::{Objects, Pool, Told};
use serde_json::json;
use spiderpool_cluster::Cluster;
use spiderpool_crd::{FINALIZER, MANAGER_PROJECTION, SpiderIPBlock, managers_of_records};

const PROMISED: Duration = Duration::from_secs(2);
/// Where it is not about time, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// The shared cluster, and a daemon that looks at all of it; tests have pools of their own.
async fn begin(test: &str) -> Result<(Objects, Daemon)> {
    let cluster = Cluster::shared().await?;
    let daemon = Daemon::start(&cluster.kubeconfig(), &[]).await?;
    Ok((Objects::new(cluster.client()?, test), daemon))
}

#[tokio::test]
async fn counts_and_holders_follow_within_the_promised_time() -> Result<()> {
    let (objects, _daemon) = begin("follow").await?;
    objects.pool("10.6.0.0/16", "10.6.0.1-10.6.1.244", None).await?;
    objects
        .until(PROMISED, "finalizer and size", |pool| {
            pool.finalizers().contains(&FINALIZER.to_owned())
                && pool.total() == Some(500)
                && pool.allocated() == Some(0)
                && pool.listed().is_none()
        })
        .await?;

    objects.block("10.6.0.0/28", &[("10.6.0.9", "web-0"), ("10.6.0.10", "web-1")]).await?;
    let two = concat!(
        r#"{"10.6.0.10":{"pod":"shop/web-1","podUid":"uid-web-1"},"#,
        r#""10.6.0.9":{"pod":"shop/web-0","podUid":"uid-web-0"}}"#,
    );
    objects.until(PROMISED, "two holders", |pool| pool.allocated() == Some(2) && pool.listed() == Some(two)).await?;

    // A change of single addresses, as agents make it.
    let changes = json!([
        {"op": "remove", "path": "/spec/allocations/10.6.0.9"},
        {"op": "add", "path": "/spec/allocations/10.6.0.11", "value": objects::holder("a&b")},
    ]);
    objects.change_block("10.6.0.0/28", changes).await?;
    let other = concat!(
        r#"{"10.6.0.10":{"pod":"shop/web-1","podUid":"uid-web-1"},"#,
        r#""10.6.0.11":{"pod":"shop/a\u0026b","podUid":"uid-a\u0026b"}}"#,
    );
    objects.until(PROMISED, "the other holder", |pool| pool.listed() == Some(other)).await?;

    objects.resize("10.6.0.1-10.6.0.20").await?;
    objects.until(PROMISED, "the new size", |pool| pool.total() == Some(20)).await?;
    let changes = json!([
        {"op": "remove", "path": "/spec/allocations/10.6.0.10"},
        {"op": "remove", "path": "/spec/allocations/10.6.0.11"},
    ]);
    objects.change_block("10.6.0.0/28", changes).await?;
    objects.until(PROMISED, "no holder", |pool| pool.allocated() == Some(0) && pool.listed().is_none()).await?;
    Ok(())
}

#[tokio::test]
async fn a_storm_of_changes_is_few_writes_and_silence_none() -> Result<()> {
    // Its own cluster: what daemon and pool count is this test's alone.
    let cluster = Cluster::start().await?;
    let first = Daemon::start(&cluster.kubeconfig(), &[]).await?;
    let objects = Objects::new(cluster.client()?, "storm");
    objects.pool("10.7.0.0/16", "10.7.0.1-10.7.0.254", None).await?;
    objects.block("10.7.0.0/28", &[]).await?;
    objects.until(PATIENCE, "an empty pool", |pool| pool.allocated() == Some(0)).await?;
    let writes = first.metric("spiderpool_controller_pool_writes_total").await?;
    let begun = Instant::now();
    for change in 0..70 {
        let path = format!("/spec/allocations/10.7.0.{}", 1 + change % 14);
        let change = json!([{"op": "add", "path": path, "value": objects::holder(&format!("web-{change}"))}]);
        objects.change_block("10.7.0.0/28", change).await?;
    }
    let last = |list: &str| list.contains("web-69");
    let settled = objects.until(PATIENCE, "all of them", |pool| pool.listed().is_some_and(last)).await?;
    let periods = begun.elapsed().as_secs_f64() / 0.5;
    let writes = first.metric("spiderpool_controller_pool_writes_total").await? - writes;
    ensure!(writes <= periods + 2.0, "{writes} writes in {periods} half seconds");

    // Another daemon that reads everything anew finds nothing to do, and quarantine matters to neither.
    let second = Daemon::start(&cluster.kubeconfig(), &[]).await?;
    let rest = json!({"until": "2030-01-02T03:04:05Z", "reason": "answered by 02:00:00:00:00:01"});
    let change = json!([{"op": "add", "path": "/spec/quarantine/10.7.0.15", "value": rest}]);
    objects.change_block("10.7.0.0/28", change).await?;
    // Who knows of a later block has seen that.
    let later = Objects::new(cluster.client()?, "later");
    later.pool("10.8.0.0/26", "10.8.0.1", None).await?;
    later.block("10.8.0.0/28", &[("10.8.0.1", "web-0")]).await?;
    for daemon in [&first, &second] {
        daemon.until_metric(PATIENCE, "spiderpool_controller_blocks", 2.0).await?;
    }
    later.until(PATIENCE, "the later one", |pool| pool.allocated() == Some(1)).await?;
    ensure!(objects.get().await?.resource_version() == settled.resource_version(), "it was written again");
    for daemon in [first, second] {
        ensure!(daemon.metric("spiderpool_controller_pool_write_failures_total").await? == 0.0, "a write failed");
    }
    Ok(())
}

#[tokio::test]
async fn ipv6_is_written_as_go_does() -> Result<()> {
    let (objects, _daemon) = begin("ipv6").await?;
    objects.pool("fd00::/64", "fd00::-fd00::ffff:ffff:ffff:ffff", None).await?;
    objects.until(PATIENCE, "the size, as far as it can be told", |pool| pool.total() == Some(i64::MAX)).await?;
    objects.resize("fd00::1-fd00::fff").await?;
    objects.block("fd00::/124", &[("fd00::a", "web-0"), ("fd00::1", "web-1")]).await?;
    let two = concat!(
        r#"{"fd00::1":{"pod":"shop/web-1","podUid":"uid-web-1"},"#,
        r#""fd00::a":{"pod":"shop/web-0","podUid":"uid-web-0"}}"#,
    );
    objects.until(PATIENCE, "two holders", |pool| pool.listed() == Some(two) && pool.total() == Some(4095)).await?;
    Ok(())
}

#[tokio::test]
async fn records_stay_until_a_block_takes_them_over() -> Result<()> {
    let (objects, _daemon) = begin("upgrade").await?;
    // As an older release left it, with a key that is not written any more.
    let left = concat!(
        r#"{"10.9.0.5":{"interface":"eth0","pod":"shop/web-0","podUid":"uid-web-0"},"#,
        r#""10.9.1.7":{"pod":"shop/web-1","podUid":"uid-web-1"}}"#,
    );
    objects.pool("10.9.0.0/16", "10.9.0.1-10.9.1.254", Some(left)).await?;
    let both = left.replace(r#""interface":"eth0","#, "");
    objects.until(PATIENCE, "both count", |pool| pool.allocated() == Some(2) && pool.listed() == Some(&both)).await?;

    objects.block("10.9.0.0/28", &[("10.9.0.5", "web-0")]).await?;
    objects.change_block("10.9.0.0/28", json!([{"op": "remove", "path": "/spec/allocations/10.9.0.5"}])).await?;
    let one = r#"{"10.9.1.7":{"pod":"shop/web-1","podUid":"uid-web-1"}}"#;
    let waits = |pool: &Pool| pool.allocated() == Some(1) && pool.listed() == Some(one);
    let waiting = objects.until(PATIENCE, "one is left", waits).await?;
    assert_eq!(managers_of_records(&waiting.metadata), ["spiderpool-controller"]);

    objects.block("10.9.1.0/28", &[("10.9.1.7", "web-1")]).await?;
    objects
        .change_block(
            "10.9.1.0/28",
            json!([{"op": "add", "path": "/spec/allocations/10.9.1.8", "value": objects::holder("web-2")}]),
        )
        .await?;
    let projected = objects.until(PATIENCE, "both are in blocks", |pool| pool.allocated() == Some(2)).await?;
    assert_eq!(managers_of_records(&projected.metadata), [MANAGER_PROJECTION]);
    // Who makes it again must look for what it had.
    objects.delete_block("10.9.1.0/28").await?;
    let is_told = |pool: &Pool| managers_of_records(&pool.metadata) == ["spiderpool-controller"];
    let waiting =
        objects.until(PATIENCE, "both wait", |pool| is_told(pool) && pool.listed() == projected.listed()).await?;
    assert_eq!(waiting.allocated(), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_pool_that_is_deleted_waits_for_its_last_address() -> Result<()> {
    let (objects, _daemon) = begin("deleted").await?;
    objects.pool("10.10.0.0/16", "10.10.0.1-10.10.1.254", None).await?;
    objects.block("10.10.0.0/28", &[("10.10.0.5", "web-0")]).await?;
    objects.block("10.10.1.0/28", &[]).await?;
    let is_kept = |pool: &Pool| pool.allocated() == Some(1) && pool.finalizers().contains(&FINALIZER.to_owned());
    objects.until(PATIENCE, "one holder", is_kept).await?;
    objects.delete().await?;
    // It is looked at again by any change, and still waits.
    objects
        .change_block(
            "10.10.0.0/28",
            json!([
                {"op": "add", "path": "/spec/allocations/10.10.0.6", "value": objects::holder("web-1")},
                {"op": "remove", "path": "/spec/allocations/10.10.0.5"},
            ]),
        )
        .await?;
    let waiting = objects
        .until(PATIENCE, "the other holder", |pool| pool.listed().is_some_and(|list| list.contains("10.10.0.6")))
        .await?;
    ensure!(waiting.is_terminating() && is_kept(&waiting), "{waiting:?}");

    objects.change_block("10.10.0.0/28", json!([{"op": "remove", "path": "/spec/allocations/10.10.0.6"}])).await?;
    objects.until_gone(PATIENCE).await?;
    let blocks = Api::<SpiderIPBlock>::all(Cluster::shared().await?.client()?);
    for block in ["10.10.0.0/28", "10.10.1.0/28"] {
        ensure!(blocks.get_opt(&objects.block_name(block)?).await?.is_none(), "{block} is left");
    }
    Ok(())
}

#[tokio::test]
async fn holders_above_the_limit_are_counted_but_for_those_that_nobody_has_taken_over() -> Result<()> {
    // Its own cluster: another daemon with another limit would write what this one removes.
    let cluster = Cluster::start().await?;
    let daemon = Daemon::start(&cluster.kubeconfig(), &["--max-allocated-ips", "2"]).await?;
    let objects = Objects::new(cluster.client()?, "large");
    let waiting = r#"{"10.11.1.7":{"pod":"shop/web-1","podUid":"uid-web-1"}}"#;
    objects.pool("10.11.0.0/16", "10.11.0.1-10.11.255.254", Some(waiting)).await?;
    let held: Vec<String> = (1..=6).map(|last| format!("10.11.0.{last}")).collect();
    let held: Vec<(&str, &str)> = held.iter().map(|address| (address.as_str(), "web-0")).collect();
    objects.block("10.11.0.0/28", &held).await?;
    objects.until(PATIENCE, "counts", |pool| pool.allocated() == Some(7) && pool.listed() == Some(waiting)).await?;
    objects.block("10.11.1.0/28", &[("10.11.1.7", "web-1")]).await?;
    objects.until(PATIENCE, "counts alone", |pool| pool.allocated() == Some(7) && pool.listed().is_none()).await?;

    // When there are few, holders that were counted only are read again.
    let gone = (1..=4).map(|last| json!({"op": "remove", "path": format!("/spec/allocations/10.11.0.{last}")}));
    let gone = gone.chain([json!({"op": "remove", "path": "/spec/allocations/10.11.0.6"})]).collect();
    objects.change_block("10.11.0.0/28", gone).await?;
    let both = |list: &str| list.contains("10.11.0.5") && list.contains("10.11.1.7");
    objects.until(PATIENCE, "holders", |pool| pool.listed().is_some_and(both)).await?;

    // And an API server that goes and comes back is no reason to stop.
    cluster.apiserver.kill()?;
    cluster.apiserver.restart().await?;
    cluster.ready().await?;
    objects.change_block("10.11.0.0/28", json!([{"op": "remove", "path": "/spec/allocations/10.11.0.5"}])).await?;
    objects.until(Duration::from_secs(60), "it goes on", |pool| pool.allocated() == Some(1)).await?;
    daemon.stop().await
}

#[tokio::test]
async fn a_pool_that_cannot_be_read_fails_alone() -> Result<()> {
    let (objects, _daemon) = begin("broken").await?;
    objects.pool("10.12.0.0/16", "10.12.0.9-10.12.0.1", Some("[broken")).await?;
    objects.block("10.12.0.0/28", &[("10.12.0.5", "web-0")]).await?;
    let seen = objects.until(PATIENCE, "its count", |pool| pool.allocated() == Some(1)).await?;
    ensure!(seen.listed() == Some("[broken") && seen.total().is_none(), "{seen:?}");
    objects.delete().await?;
    // Its last holder goes, and nobody knows whether that was the last.
    objects.change_block("10.12.0.0/28", json!([{"op": "remove", "path": "/spec/allocations/10.12.0.5"}])).await?;
    objects.until(PATIENCE, "no count", |pool| pool.allocated() == Some(0) && pool.is_terminating()).await?;
    // Clearing it says so.
    let api = Api::<Pool>::all(Cluster::shared().await?.client()?);
    let cleared = json!({"status": {"allocatedIPs": null}});
    api.patch_status(&objects.name, &PatchParams::default(), &Patch::Merge(cleared)).await?;
    objects.until_gone(PATIENCE).await?;
    ensure!(api.delete(&objects.name, &DeleteParams::default()).await.is_err(), "it is still there");
    Ok(())
}

#[tokio::test]
async fn it_is_ready_when_all_has_been_read_and_stops_when_asked() -> Result<()> {
    let (_, daemon) = begin("health").await?;
    for endpoint in ["startup", "readiness", "liveness"] {
        ensure!(daemon.health(endpoint).await?.starts_with("HTTP/1.1 200"), "{endpoint}");
    }
    ensure!(daemon.metrics().await?.contains("spiderpool_controller_pools "), "no metrics");
    daemon.stop().await
}
