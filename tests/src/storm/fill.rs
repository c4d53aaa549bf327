use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, Client};
use spiderpool_crd::SpiderIPPool;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Block;
use spiderpool_storage::Records;
use spiderpool_storage::kube::{BlockId, BlockStore, ClusterBlocks, Origin};

use super::AT_ONCE;

/// The node of those who hold addresses before a storm begins.
pub(super) const ELSEWHERE: &str = "elsewhere";

/// Has pods of a node that takes no part hold the addresses from 10.6.0.0 on, so many, in blocks as an agent makes
/// them.
pub(super) async fn fill(client: Client, pool: &str, held: usize) -> Result<()> {
    let object =
        Api::<SpiderIPPool>::all(client.clone()).get(pool).await.context("the pool of a storm is not there")?;
    let uid = object.metadata.uid.unwrap_or_default();
    let blocks = ClusterBlocks::new(client);
    let addresses = (0..u32::try_from(held)?).map(|number| IpAddr::from(Ipv4Addr::from(0x0a06_0000 + number)));
    let addresses: Vec<IpAddr> = addresses.collect();
    let made = addresses.chunk_by(|one, other| Block::containing(*one) == Block::containing(*other)).map(|of_block| {
        let holders = of_block.iter().map(|&address| (address, holder(address))).collect();
        let id = BlockId { pool: pool.to_owned(), block: Block::containing(of_block[0]) };
        let (blocks, origin) = (&blocks, Origin { uid: &uid, records: Records::None });
        async move { blocks.create(&id, origin, &holders).await.map(drop) }
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<()>().await.context("cannot fill the pool of a storm")
}

fn holder(address: IpAddr) -> BlockAllocation {
    BlockAllocation {
        pod: format!("elsewhere/of-{address}"),
        pod_uid: format!("uid-of-{address}"),
        interface: "eth0".to_owned(),
        node: ELSEWHERE.to_owned(),
        container_id: format!("sandbox-of-{address}"),
        ..BlockAllocation::default()
    }
}
