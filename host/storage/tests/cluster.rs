//! Blocks in a real API server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use spiderpool_cluster::Cluster;
use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
use spiderpool_crd::{SpiderIPBlock, SpiderIPPool};
use spiderpool_ip::Block;
use spiderpool_storage::Records;
use spiderpool_storage::block::Bits;
use spiderpool_storage::kube::{
    BlockId, BlockMark, BlockStore as _, Change, ChangeError, ClusterBlocks, ClusterNodes, Mark, NodeStore as _,
    Origin, StoreError, StoredBlock, connect,
};

const UNMARKED: Option<Mark> = Some(Mark { held: Bits(0), passing: Bits(0) });

/// A client as agents have it, and a pool that nobody else has.
async fn pool(name: &str, subnet: &str) -> Result<Client> {
    let client = connect(Cluster::shared().await?.config().clone()).await?;
    let pool = SpiderIPPool::new(name, serde_json::from_value(json!({"subnet": subnet}))?);
    Api::all(client.clone()).create(&PostParams::default(), &pool).await?;
    Ok(client)
}

fn id(pool: &str, block: &str) -> BlockId {
    BlockId { pool: pool.to_owned(), block: block.parse().expect("a block") }
}

fn holder(uid: &str) -> BlockAllocation {
    BlockAllocation {
        pod: format!("shop/{uid}"),
        pod_uid: uid.to_owned(),
        interface: "eth0".to_owned(),
        node: "node1".to_owned(),
        container_id: "c1".to_owned(),
        network: "underlay".to_owned(),
        owner: "StatefulSet/web".to_owned(),
        clean_gateway: true,
        until: None,
        further: String::new(),
    }
}

fn take(address: &str, uid: &str) -> Change {
    Change::Take { address: address.parse().expect("an address"), to: holder(uid) }
}

fn holders(block: &StoredBlock) -> Vec<(String, &str)> {
    block.spec.allocations.iter().map(|(address, it)| (address.to_string(), it.pod_uid.as_str())).collect()
}

#[tokio::test]
async fn nodes_are_known_by_name() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let names = ["counted-b", "counted-a", "counted-c"];
    for name in names {
        cluster.node(name).await?;
    }
    let known = ClusterNodes::new(cluster.client()?).names().await?;
    assert!(names.iter().all(|name| known.iter().any(|known| known == name)), "{known:?}");
    Ok(())
}

#[tokio::test]
async fn two_writers_fail_each_other_only_where_they_want_the_same_address() -> Result<()> {
    let client = pool("same", "10.1.0.0/16").await?;
    // Many writers of one block at once make the server try again and again, on a machine that others use too.
    let patient = |client| ClusterBlocks::new(client).with_timeout(Duration::from_secs(60));
    let (one, other) = (patient(client.clone()), patient(client));
    let id = id("same", "10.1.0.0/28");
    one.create(&id, Origin::default(), &BTreeMap::new()).await?;
    let (first, second) = ([take("10.1.0.5", "a")], [take("10.1.0.5", "b")]);
    let (a, b) = tokio::join!(one.change(&id, &first, UNMARKED), other.change(&id, &second, UNMARKED));
    let (won, lost) = if a.is_ok() { (a?, b) } else { (b?, a) };
    assert_eq!(lost, Err(ChangeError::Lost));
    assert_eq!(won.spec.allocations.len(), 1);

    let changes: Vec<[Change; 1]> = (10..42).map(|i| [take(&format!("10.1.0.{i}"), &format!("u{i}"))]).collect();
    let writers = changes.iter().map(|change| one.change(&id, change, UNMARKED));
    for written in futures::future::join_all(writers).await {
        written.context("different addresses")?;
    }
    let block = other.get(&id).await?.context("no block")?;
    assert_eq!(block.spec.allocations.len(), 33);
    assert_eq!(block.spec.allocations[&"10.1.0.10".parse::<IpAddr>()?], holder("u10"));
    Ok(())
}

#[tokio::test]
async fn a_change_happens_as_a_whole_or_not_at_all() -> Result<()> {
    let blocks = ClusterBlocks::new(pool("whole", "fd01::/64").await?);
    let id = id("whole", "fd01::/124");
    let created = blocks.create(&id, Origin::default(), &BTreeMap::new()).await?;
    let taken = blocks.change(&id, &[take("fd01::5", "a")], UNMARKED).await?;
    assert_ne!(created.version, taken.version);
    let nobody: Vec<Change> = vec![take("fd01::6", "b"), take("fd01::5", "b")];
    assert_eq!(blocks.change(&id, &nobody, UNMARKED).await, Err(ChangeError::Lost));
    assert_eq!(blocks.get(&id).await?, Some(taken.clone()));

    let address: IpAddr = "fd01::5".parse()?;
    let rest = Quarantine { until: serde_json::from_value(json!("2026-01-02T03:04:05Z"))?, reason: "answered".into() };
    // Each of these demands a state that is not there, of an address that is or is not held.
    for wrong in [
        Change::Free { address, from: holder("b") },
        Change::Free { address, from: BlockAllocation { container_id: "c0".into(), ..holder("a") } },
        Change::Free { address: "fd01::7".parse()?, from: holder("a") },
        Change::Move { address: "fd01::7".parse()?, from: holder("a"), to: holder("b") },
        Change::Rest { address, from: None, rest: rest.clone() },
        Change::Rest { address, from: Some(holder("b")), rest: rest.clone() },
        Change::Wake { address, from: rest.clone() },
    ] {
        let changes = [wrong];
        assert_eq!(blocks.change(&id, &changes, UNMARKED).await, Err(ChangeError::Lost), "{changes:?}");
    }
    let moved = BlockAllocation { container_id: "c2".into(), ..holder("a") };
    let changes = [Change::Move { address, from: holder("a"), to: moved.clone() }];
    assert_eq!(blocks.change(&id, &changes, UNMARKED).await?.spec.allocations[&address], moved);
    let changes = [Change::Rest { address, from: Some(moved), rest: rest.clone() }];
    let resting = blocks.change(&id, &changes, UNMARKED).await?;
    assert_eq!((resting.spec.allocations.len(), &resting.spec.quarantine[&address]), (0, &rest));
    assert_eq!(blocks.change(&id, &[take("fd01::5", "b")], UNMARKED).await, Err(ChangeError::Lost), "it rests");
    let later = Quarantine { until: serde_json::from_value(json!("2026-01-02T03:04:06Z"))?, ..rest.clone() };
    assert_eq!(blocks.change(&id, &[Change::Wake { address, from: later }], UNMARKED).await, Err(ChangeError::Lost));
    let both = [Change::Wake { address, from: rest }, take("fd01::5", "b")];
    let woken = blocks.change(&id, &both, UNMARKED).await?;
    assert_eq!((holders(&woken), woken.spec.quarantine.len()), (vec![("fd01::5".to_owned(), "b")], 0));
    let freed = blocks.change(&id, &[Change::Free { address, from: holder("b") }], UNMARKED).await?;
    assert_eq!(holders(&freed), []);
    Ok(())
}

#[tokio::test]
async fn nobody_keeps_track_of_fields_and_the_pool_owns_its_blocks() -> Result<()> {
    let client = pool("tracked", "10.2.0.0/16").await?;
    let blocks = ClusterBlocks::new(client.clone());
    let id = id("tracked", "10.2.3.0/28");
    let address = "10.2.3.9".parse()?;
    blocks.create(&id, Origin::default(), &BTreeMap::from([(address, holder("a"))])).await?;
    let new = Api::<SpiderIPBlock>::all(client.clone()).get("tracked.0a020300").await?;
    let tracked = new.metadata.managed_fields.context("a new block has no managedFields")?;
    let fields = tracked[0].fields_v1.as_ref().context("its managedFields name no fields")?;
    assert_eq!(fields.0["f:spec"], json!({}), "a new block's fields are tracked one by one");
    for address in ["10.2.3.1", "10.2.3.2"] {
        blocks.change(&id, &[take(address, address)], UNMARKED).await?;
        let stored = Api::<SpiderIPBlock>::all(client.clone()).get("tracked.0a020300").await?;
        assert_eq!(stored.metadata.managed_fields, None, "after {address}");
    }
    let pool = Api::<SpiderIPPool>::all(client.clone()).get("tracked").await?;
    let stored = Api::<SpiderIPBlock>::all(client).get("tracked.0a020300").await?;
    let owner = &stored.metadata.owner_references.context("no owner")?[0];
    assert_eq!(
        (owner.kind.as_str(), Some(&owner.uid), owner.controller),
        ("SpiderIPPool", pool.metadata.uid.as_ref(), Some(true))
    );
    Ok(())
}

#[tokio::test]
async fn marks_come_and_go_with_changes() -> Result<()> {
    let blocks = ClusterBlocks::new(pool("marked", "10.3.0.0/16").await?);
    let (first, second) = (id("marked", "10.3.0.0/28"), id("marked", "10.3.1.0/28"));
    let begun = SystemTime::now();
    for id in [&first, &second] {
        blocks.create(id, Origin::default(), &BTreeMap::new()).await?;
    }
    let mark: Mark = "0002".parse()?;
    let held = blocks.change(&first, &[take("10.3.0.1", "a")], Some(mark)).await?;
    assert_eq!(held.mark, Some(mark));
    let held = blocks.change(&first, &[take("10.3.0.2", "b")], None).await?;
    assert_eq!(held.mark, Some(mark), "it stays as it is");
    let mut marks = blocks.marks("marked", None).await?;
    marks.sort_by_key(|of| of.block);
    assert_eq!(marks.iter().map(|of| of.block.to_string()).collect::<Vec<_>>(), ["10.3.0.0/28", "10.3.1.0/28"]);
    assert_eq!((&marks[0].version, marks[0].mark, marks[1].mark), (&held.version, Some(mark), UNMARKED));
    // It is told in whole seconds, by the clock of this machine.
    let age = |of: &BlockMark| begun.duration_since(of.made.unwrap()).unwrap_or_default();
    assert!(marks.iter().all(|of| age(of) < Duration::from_secs(1)), "{marks:?}");
    let freed = Change::Free { address: "10.3.0.1".parse()?, from: holder("a") };
    assert_eq!(blocks.change(&first, &[freed], UNMARKED).await?.mark, UNMARKED);
    assert_eq!(blocks.marks("marked", None).await?.iter().filter(|of| of.mark != UNMARKED).count(), 0);
    assert_eq!(blocks.blocks("marked").await?.len(), 2);
    let far = id("marked", "10.3.16.0/28");
    blocks.create(&far, Origin::default(), &BTreeMap::new()).await?;
    let near = blocks.marks("marked", Some("10.3.31.240/28".parse()?)).await?;
    assert_eq!(near.iter().map(|of| of.block).collect::<Vec<_>>(), [far.block]);
    assert_eq!(blocks.marks("marked", Some(first.block)).await?.len(), 2);
    assert_eq!(blocks.blocks("mark").await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn the_largest_pool_is_listed_whole() -> Result<()> {
    let client = pool("large", "fd02::/64").await?;
    let blocks = ClusterBlocks::new(client);
    // More than two pages.
    let first = 0xfd02_u128 << 112;
    let blocks_of_pool = (0..1_096_u128).map(|i| Block::containing(IpAddr::V6((first + (i << 4)).into())));
    let ids: Vec<BlockId> = blocks_of_pool.map(|block| BlockId { pool: "large".to_owned(), block }).collect();
    let nobody = BTreeMap::new();
    for ids in ids.chunks(32) {
        for created in
            futures::future::join_all(ids.iter().map(|id| blocks.create(id, Origin::default(), &nobody))).await
        {
            created?;
        }
    }
    let mut marks = blocks.marks("large", None).await?;
    marks.sort_by_key(|of| of.block);
    let mut expected: Vec<_> = ids.iter().map(|id| id.block).collect();
    expected.sort();
    assert_eq!(marks.iter().map(|of| of.block).collect::<Vec<_>>(), expected);
    let mut listed: Vec<_> = blocks.blocks("large").await?.into_iter().map(|block| block.spec.block).collect();
    listed.sort();
    assert_eq!(listed, expected);
    let all = blocks.all_blocks().await?;
    assert_eq!(all.iter().filter(|block| block.spec.pool == "large").count(), 1_096);
    Ok(())
}

#[tokio::test]
async fn a_block_begins_with_what_spiderpool_gave_out() -> Result<()> {
    let client = pool("seeded", "10.4.0.0/16").await?;
    let records = json!({
        "10.4.0.9": {"pod": "shop/web-0", "podUid": "6b1c"},
        "10.4.1.9": {"pod": "shop/web-1", "podUid": "77aa"},
    });
    let status = json!({"status": {"allocatedIPs": records.to_string(), "allocatedIPCount": 2}});
    let patch = kube::api::Patch::Merge(&status);
    Api::<SpiderIPPool>::all(client.clone()).patch_status("seeded", &Default::default(), &patch).await?;
    let blocks = ClusterBlocks::new(client);
    let id = id("seeded", "10.4.0.0/28");
    // Whoever makes the block takes what is free of it, and nothing else.
    let first = BTreeMap::from([("10.4.0.9".parse()?, holder("late")), ("10.4.0.8".parse()?, holder("new"))]);
    let block = blocks.create(&id, Origin::default(), &first).await?;
    assert_eq!(holders(&block), [("10.4.0.8".to_owned(), "new"), ("10.4.0.9".to_owned(), "6b1c")]);
    let address: IpAddr = "10.4.0.9".parse()?;
    let seed = block.spec.allocations[&address].clone();
    assert_eq!((seed.interface.as_str(), seed.node.as_str(), seed.container_id.as_str()), ("", "", ""));
    let complete = [Change::Move { address, from: seed, to: holder("6b1c") }];
    assert_eq!(blocks.change(&id, &complete, UNMARKED).await?.spec.allocations[&address], holder("6b1c"));
    Ok(())
}

#[tokio::test]
async fn a_pool_is_read_no_more_often_than_what_is_known_of_its_records_demands() -> Result<()> {
    let client = pool("again", "10.8.0.0/16").await?;
    let pools = Api::<SpiderIPPool>::all(client.clone());
    let uid = pools.get("again").await?.metadata.uid.unwrap_or_default();
    let blocks = ClusterBlocks::new(client.clone());
    let nobody = BTreeMap::new();
    let settled = |since: &str| Records::Settled(since.into());
    let make = async |net: &str, uid: &str, records| {
        let made = blocks.create(&id("again", net), Origin { uid, records }, &nobody).await?;
        Ok::<_, anyhow::Error>(holders(&made).len())
    };
    make("10.8.0.0/28", &uid, Records::Open).await?;
    make("10.8.0.16/28", &uid, settled("1")).await?;
    make("10.8.0.32/28", &uid, Records::Open).await?;
    // A trace that tells whether the pool is read.
    let records: serde_json::Map<_, _> =
        (1..9).map(|n| (format!("10.8.{n}.9"), json!({"pod": "shop/web-0"}))).collect();
    let patch = kube::api::Patch::Merge(json!({"status": {"allocatedIPs": json!(records).to_string()}}));
    pools.patch_status("again", &Default::default(), &patch).await?;
    assert_eq!(make("10.8.1.0/28", &uid, Records::Open).await?, 0, "read a moment ago");
    assert_eq!(make("10.8.2.0/28", &uid, Records::None).await?, 0, "known to say nothing");
    assert_eq!(make("10.8.3.0/28", &uid, settled("2")).await?, 1, "others wrote since it was read");
    let patch = kube::api::Patch::Merge(json!({"status": {"allocatedIPs": null}}));
    pools.patch_status("again", &Default::default(), &patch).await?;
    assert_eq!(make("10.8.4.0/28", &uid, settled("2")).await?, 1, "nothing else was to be expected");
    assert_eq!(make("10.8.5.0/28", &uid, Records::Open).await?, 0, "anything is to be expected");

    pools.delete("again", &Default::default()).await?;
    pool("again", "10.8.0.0/16").await?;
    let other = pools.get("again").await?.metadata.uid.unwrap_or_default();
    assert_ne!(uid, other);
    make("10.8.6.0/28", &other, Records::Open).await?;
    make("10.8.7.0/28", &other, Records::None).await?;
    for name in ["again.0a080600", "again.0a080700"] {
        let made = Api::<SpiderIPBlock>::all(client.clone()).get(name).await?;
        let owners = made.metadata.owner_references.unwrap_or_default();
        assert_eq!(owners.iter().map(|owner| owner.uid.as_str()).collect::<Vec<_>>(), [&other]);
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_told_apart() -> Result<()> {
    let client = pool("errors", "10.5.0.0/16").await?;
    let blocks = ClusterBlocks::new(client.clone());
    let here = id("errors", "10.5.0.0/28");
    assert_eq!(blocks.get(&here).await?, None);
    let gone = ChangeError::Store(StoreError::Gone("SpiderIPBlock errors.0a050000".to_owned()));
    assert_eq!(blocks.change(&here, &[take("10.5.0.1", "a")], UNMARKED).await, Err(gone));
    blocks.create(&here, Origin::default(), &BTreeMap::new()).await?;
    let exists = StoreError::Exists("SpiderIPBlock errors.0a050000".to_owned());
    assert_eq!(blocks.create(&here, Origin::default(), &BTreeMap::new()).await, Err(exists));
    let nowhere = StoreError::Gone("SpiderIPPool nowhere".to_owned());
    assert_eq!(blocks.create(&id("nowhere", "10.5.0.0/28"), Origin::default(), &BTreeMap::new()).await, Err(nowhere));

    // What the server refuses is nobody's lost race.
    let endless = "a".repeat(4 << 20);
    let refused = blocks.change(&here, &[take("10.5.0.1", &endless)], UNMARKED).await;
    let Err(ChangeError::Store(StoreError::Refused(words))) = refused else { anyhow::bail!("{refused:?}") };
    ensure!(words.contains("too large"), "{words}");

    // A block that lost its labels gets them back.
    let patch =
        kube::api::Patch::Json::<()>(serde_json::from_value(json!([{"op": "remove", "path": "/metadata/labels"}]))?);
    Api::<SpiderIPBlock>::all(client.clone()).patch("errors.0a050000", &Default::default(), &patch).await?;
    assert_eq!(blocks.blocks("errors").await?, []);
    let healed = blocks.change(&here, &[take("10.5.0.1", "a")], UNMARKED).await?;
    assert_eq!(blocks.blocks("errors").await?, [healed]);

    // A pool that ends gets no new blocks.
    let api = Api::<SpiderIPPool>::all(client);
    let keep = kube::api::Patch::Merge(json!({"metadata": {"finalizers": ["spiderpool.spidernet.io"]}}));
    api.patch("errors", &Default::default(), &keep).await?;
    api.delete("errors", &Default::default()).await?;
    let ends = StoreError::Gone("SpiderIPPool errors".to_owned());
    assert_eq!(blocks.create(&id("errors", "10.5.1.0/28"), Origin::default(), &BTreeMap::new()).await, Err(ends));
    Ok(())
}
