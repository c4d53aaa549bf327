//! SpiderIPBlock objects in the API server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::api::{GetParams, ListParams, PostParams};
use kube::core::request;
use kube::{Client, Resource as _};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_crd::keys::{LABEL_BLOCK_HELD, LABEL_BLOCK_NEIGHBOURHOOD, LABEL_BLOCK_POOL};
use spiderpool_crd::{AllocatedIps, PoolHolder, SpiderIPBlock, SpiderIPBlockSpec, SpiderIPPool, SpiderIPPoolStatus};
use spiderpool_ip::Block;

use super::pages::Extent;
use super::patch::{labels, patch};
use super::requests::Requests;
use crate::kube::{BlockId, BlockMark, BlockStore, Change, ChangeError, Mark, Origin, StoreError, StoredBlock};
use crate::{BoxFuture, Records};

/// Blocks per page: a full one is some 4 KiB, so that a page stays small enough for the timeout of one request.
const BLOCKS_PER_PAGE: u32 = 500;

/// How long [`Records::Open`] are good for making blocks: in a storm a node makes one block after another.
const OPEN: Duration = Duration::from_secs(10);
/// How long others are kept. They stay good for ever; but so that those of pools that are gone do not stay, too.
const SETTLED: Duration = Duration::from_secs(3600);

/// The blocks of a cluster.
///
/// A pool that Spiderpool served before left its addresses in `status.allocatedIPs`, which says no more than a pod and its
/// UID. Such a record is taken over with everything else empty; whoever finds one (its `interface` is empty, which no
/// record of ours is) completes it by [`Change::Move`] once the SpiderEndpoint of the pod, or the next ADD of it, tells
/// the NIC and the sandbox. Records of old releases have no `podUid` either; they belong to the pod that they name. How
/// often they are read is a matter of [`Records`].
pub struct ClusterBlocks {
    requests: Requests,
    /// By name.
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
}

/// What a new block takes from its pool.
struct Pool {
    uid: String,
    /// Who had which address of it under Spiderpool.
    seeds: AllocatedIps,
    /// What was known of them when they were read.
    records: Records,
    read: Instant,
}

impl Pool {
    fn is_good_for(&self, origin: &Origin<'_>) -> bool {
        self.uid == origin.uid && self.records == origin.records && self.is_kept()
    }

    fn is_kept(&self) -> bool {
        self.read.elapsed() < if self.records == Records::Open { OPEN } else { SETTLED }
    }
}

impl ClusterBlocks {
    /// The blocks that `client` reaches. An answer may take 5 s.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { requests: Requests::new(client), pools: Mutex::default() }
    }

    /// The same, where an answer may take as long as `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.requests.timeout = timeout;
        self
    }

    /// The blocks that a list names.
    async fn list(&self, params: ListParams) -> Result<Vec<StoredBlock>, StoreError> {
        let mut blocks = Vec::new();
        let each = |item: &RawValue| match serde_json::from_str::<BlockObject>(item.get()) {
            Ok(object) => blocks.push(object.into()),
            Err(error) => unreadable(item, &error),
        };
        self.requests.list(&path(), &params.limit(BLOCKS_PER_PAGE), Extent::Whole, "SpiderIPBlocks", each).await?;
        Ok(blocks)
    }

    async fn new_block(
        &self,
        id: &BlockId,
        origin: Origin<'_>,
        first: &BTreeMap<IpAddr, BlockAllocation>,
    ) -> Result<StoredBlock, StoreError> {
        let object = if origin.records == Records::None && !origin.uid.is_empty() {
            new_object(id, origin.uid, &AllocatedIps::default(), first)
        } else {
            let known = self.pools.lock().get(&id.pool).cloned();
            let pool = match known.filter(|pool| pool.is_good_for(&origin)) {
                Some(pool) => pool,
                None => self.read_pool(&id.pool, origin.records).await?,
            };
            new_object(id, &pool.uid, &pool.seeds, first)
        };
        let request = request::Request::new(path()).create(&PostParams::default(), object);
        let created: BlockObject = self.requests.write(request).await.map_err(|failure| failure.about(named(id)))?;
        Ok(created.into())
    }

    async fn read_pool(&self, name: &str, records: Records) -> Result<Arc<Pool>, StoreError> {
        let what = format!("SpiderIPPool {name}");
        let begun = Instant::now();
        let request = request::Request::new(SpiderIPPool::url_path(&(), None)).get(name, &GetParams::default());
        let PoolObject { metadata, status } =
            self.requests.read(request).await.map_err(|failure| failure.about(&what))?;
        if metadata.deletion_timestamp.is_some() {
            return Err(StoreError::Gone(what));
        }
        let field = status.and_then(|status| status.allocated_ips);
        let seeds = AllocatedIps::parse(field.as_deref());
        let seeds = seeds.map_err(|error| StoreError::Refused(format!("{what}: {error}")))?;
        let pool = Arc::new(Pool { uid: metadata.uid.unwrap_or_default(), seeds, records, read: begun });
        let mut pools = self.pools.lock();
        pools.retain(|_, pool| pool.is_kept());
        pools.insert(name.to_owned(), Arc::clone(&pool));
        Ok(pool)
    }

    async fn change_block(
        &self,
        id: &BlockId,
        changes: &[Change],
        mark: Option<Mark>,
    ) -> Result<StoredBlock, ChangeError> {
        let body = serde_json::to_vec(&patch(id, changes, mark)).map_err(request::Error::SerializeBody);
        let request = body.and_then(|body| {
            Request::patch(format!("{}/{}", path(), SpiderIPBlock::name_of(&id.pool, id.block)))
                .header(header::CONTENT_TYPE, "application/json-patch+json")
                .body(body)
                .map_err(request::Error::BuildRequest)
        });
        match self.requests.write::<BlockObject>(request).await {
            Ok(object) => Ok(object.into()),
            Err(failure) if failure.is_failed_test() => Err(ChangeError::Lost),
            Err(failure) => Err(failure.about(named(id)).into()),
        }
    }
}

impl BlockStore for ClusterBlocks {
    fn get<'a>(&'a self, id: &'a BlockId) -> BoxFuture<'a, Result<Option<StoredBlock>, StoreError>> {
        Box::pin(async move {
            let name = SpiderIPBlock::name_of(&id.pool, id.block);
            let request = request::Request::new(path()).get(&name, &GetParams::default());
            match self.requests.read::<BlockObject>(request).await {
                Ok(object) => Ok(Some(object.into())),
                Err(failure) if failure.is_absent() => Ok(None),
                Err(failure) => Err(failure.about(named(id))),
            }
        })
    }

    fn blocks<'a>(&'a self, pool: &'a str) -> BoxFuture<'a, Result<Vec<StoredBlock>, StoreError>> {
        Box::pin(async move {
            let mut blocks = self.list(of_pool(pool)).await?;
            // Two long names may have the same label, however unlikely.
            blocks.retain(|block| block.spec.pool == pool);
            Ok(blocks)
        })
    }

    fn all_blocks(&self) -> BoxFuture<'_, Result<Vec<StoredBlock>, StoreError>> {
        Box::pin(self.list(ListParams::default()))
    }

    fn marks<'a>(&'a self, pool: &'a str, near: Option<Block>) -> BoxFuture<'a, Result<Vec<BlockMark>, StoreError>> {
        Box::pin(async move {
            let mut marks = Vec::new();
            let each = |item: &RawValue| match serde_json::from_str::<BlockMetaObject>(item.get()) {
                Ok(BlockMetaObject { metadata }) => {
                    let block = block_of(&metadata.name);
                    // A name that we did not give, or of another pool with the same label.
                    if let Some(block) = block.filter(|block| SpiderIPBlock::name_of(pool, *block) == metadata.name) {
                        let (mark, made) = (metadata.mark(), metadata.creation_timestamp.map(|made| made.0.into()));
                        marks.push(BlockMark { block, version: metadata.resource_version, mark, made });
                    }
                }
                Err(error) => unreadable(item, &error),
            };
            let params = near.map_or_else(|| of_pool(pool), |near| around(pool, near)).limit(BLOCKS_PER_PAGE);
            self.requests.list(&path(), &params, Extent::Metadata, "SpiderIPBlocks", each).await?;
            Ok(marks)
        })
    }

    fn create<'a>(
        &'a self,
        id: &'a BlockId,
        origin: Origin<'a>,
        first: &'a BTreeMap<IpAddr, BlockAllocation>,
    ) -> BoxFuture<'a, Result<StoredBlock, StoreError>> {
        Box::pin(async move { self.new_block(id, origin, first).await })
    }

    fn change<'a>(
        &'a self,
        id: &'a BlockId,
        changes: &'a [Change],
        mark: Option<Mark>,
    ) -> BoxFuture<'a, Result<StoredBlock, ChangeError>> {
        Box::pin(async move { self.change_block(id, changes, mark).await })
    }
}

fn path() -> String {
    SpiderIPBlock::url_path(&(), None)
}

fn of_pool(pool: &str) -> ListParams {
    ListParams::default().labels(&format!("{LABEL_BLOCK_POOL}={}", SpiderIPBlock::label_of(pool)))
}

fn around(pool: &str, near: Block) -> ListParams {
    let (pool, around) = (SpiderIPBlock::label_of(pool), SpiderIPBlock::neighbourhood_of(near));
    ListParams::default().labels(&format!("{LABEL_BLOCK_POOL}={pool},{LABEL_BLOCK_NEIGHBOURHOOD}={around}"))
}

fn named(id: &BlockId) -> String {
    format!("SpiderIPBlock {}", SpiderIPBlock::name_of(&id.pool, id.block))
}

fn unreadable(item: &RawValue, error: &serde_json::Error) {
    #[derive(Deserialize)]
    struct Named {
        metadata: ObjectMeta,
    }
    let name = serde_json::from_str::<Named>(item.get()).ok().and_then(|object| object.metadata.name);
    tracing::error!("SpiderIPBlock {} cannot be read and is passed over: {error}; repair it", name.unwrap_or_default());
}

/// The block that an object is about, by its name: its first address in hexadecimal is behind the last dot.
fn block_of(name: &str) -> Option<Block> {
    let (_, first) = name.rsplit_once('.')?;
    let address = match first.len() {
        8 => IpAddr::V4(u32::from_str_radix(first, 16).ok()?.into()),
        32 => IpAddr::V6(u128::from_str_radix(first, 16).ok()?.into()),
        _ => return None,
    };
    Some(Block::containing(address))
}

/// A block as it is stored, read without a detour.
#[derive(Deserialize)]
struct BlockObject {
    metadata: BlockMeta,
    spec: SpiderIPBlockSpec,
}

#[derive(Deserialize)]
struct BlockMetaObject {
    metadata: BlockMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockMeta {
    name: String,
    uid: String,
    resource_version: String,
    creation_timestamp: Option<Time>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl BlockMeta {
    fn mark(&self) -> Option<Mark> {
        self.labels.get(LABEL_BLOCK_HELD)?.parse().ok()
    }
}

impl From<BlockObject> for StoredBlock {
    fn from(BlockObject { metadata, spec }: BlockObject) -> Self {
        Self { mark: metadata.mark(), uid: metadata.uid, version: metadata.resource_version, spec }
    }
}

/// What is read of a pool to make a block of it.
#[derive(Deserialize)]
struct PoolObject {
    metadata: ObjectMeta,
    #[serde(default)]
    status: Option<SpiderIPPoolStatus>,
}

/// The object of a new block of the pool with that uid, with what `seeds` say about its addresses, and the `first` to take
/// others.
fn new_object(id: &BlockId, uid: &str, seeds: &AllocatedIps, first: &BTreeMap<IpAddr, BlockAllocation>) -> Vec<u8> {
    let range = id.block.range();
    let mut allocations = first.clone();
    for (&address, holder) in seeds.0.range(range.first()..=range.last()) {
        if first.get(&address).is_none_or(|first| first.pod_uid != holder.pod_uid) {
            allocations.insert(address, taken_over(holder));
        }
    }
    let spec = SpiderIPBlockSpec { pool: id.pool.clone(), block: id.block, allocations, quarantine: BTreeMap::new() };
    let owner = OwnerReference {
        api_version: SpiderIPPool::api_version(&()).into(),
        kind: SpiderIPPool::kind(&()).into(),
        name: id.pool.clone(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let object = json!({
        "apiVersion": SpiderIPBlock::api_version(&()),
        "kind": SpiderIPBlock::kind(&()),
        "metadata": {
            "name": SpiderIPBlock::name_of(&id.pool, id.block),
            "labels": labels(id, Mark::of(&spec)),
            "ownerReferences": [owner],
        },
        "spec": spec,
    });
    object.to_string().into_bytes()
}

fn taken_over(holder: &PoolHolder) -> BlockAllocation {
    BlockAllocation { pod: holder.pod.clone(), pod_uid: holder.pod_uid.clone(), ..BlockAllocation::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_block() {
        for (pool, block) in [("p4", "10.6.0.0/28"), ("a.b.0a060100", "10.7.0.0/28"), ("p6", "fd00::100/124")] {
            let block: Block = block.parse().unwrap();
            assert_eq!(block_of(&SpiderIPBlock::name_of(pool, block)), Some(block));
        }
        assert_eq!(block_of("p4"), None);
        assert_eq!(block_of("p4.zzzzzzzz"), None);
    }

    #[test]
    fn a_new_block_has_what_the_status_says_and_what_the_same_pod_knows_better() {
        let holder = |uid: &str| PoolHolder { pod: format!("ns/{uid}"), pod_uid: uid.to_owned() };
        let addresses = [[10, 6, 0, 1], [10, 6, 0, 2]].map(IpAddr::from);
        let seeds = AllocatedIps(addresses.into_iter().zip(["a", "b"].map(holder)).collect());
        let whole = |uid: &str| BlockAllocation { interface: "eth0".to_owned(), ..taken_over(&holder(uid)) };
        let id = BlockId { pool: "p4".to_owned(), block: Block::containing(addresses[0]) };
        let object = new_object(&id, "uid", &seeds, &addresses.into_iter().zip(["a", "else"].map(whole)).collect());
        let spec: SpiderIPBlockSpec =
            serde_json::from_value(serde_json::from_slice::<serde_json::Value>(&object).unwrap()["spec"].take())
                .unwrap();
        assert_eq!(spec.allocations, addresses.into_iter().zip([whole("a"), taken_over(&holder("b"))]).collect());
    }
}
