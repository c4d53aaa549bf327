//! What is known of pools and blocks, from what the watches say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use kube::ResourceExt;
use kube::runtime::watcher::Event;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_crd::{
    MANAGER_PROJECTION, PoolHolder, SpiderIPBlock, SpiderIPPool, SpiderIPPoolStatus, managers_of_records,
};
use spiderpool_ip::Block;
use tracing::warn;

use crate::projection::{Holders, KnownBlock, is_listed};
use crate::watched::WatchedBlock;

/// A pool, without what its status does not depend on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pool {
    /// Its `resourceVersion`.
    pub version: String,
    /// All of them, ours and others'.
    pub finalizers: Vec<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its size; none when `ips` or `excludeIPs` cannot be read.
    pub total: Option<i64>,
    /// Its status.
    pub status: SpiderIPPoolStatus,
    /// Whether its list of holders says of itself that all of it is in blocks.
    pub projected: bool,
}

/// Blocks of one pool.
pub(crate) type PoolBlocks = BTreeMap<Block, KnownBlock>;

/// Names are forgotten when there are so many times more holders than are listed: not at once, since all blocks are read
/// again when they are needed again.
const MANY: usize = 2;

/// What is known of one pool's blocks.
#[derive(Debug, Default)]
struct Known {
    blocks: PoolBlocks,
    /// All their holders.
    held: usize,
}

/// All that is known.
#[derive(Debug)]
pub(crate) struct View {
    /// How many holders of a pool are listed.
    limit: u32,
    pools: HashMap<String, Pool>,
    blocks: HashMap<String, Known>,
    /// The number of all blocks.
    block_count: usize,
    listing_pools: HashSet<String>,
    listing_blocks: HashSet<(String, Block)>,
}

/// What an event means.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Meaning {
    /// Pools to look at.
    pub changed: Vec<String>,
    /// Pools that are no more.
    pub gone: Vec<String>,
    /// A list is complete.
    pub listed: bool,
    /// A pool has so few holders now that they are listed, and they are not known: read all blocks again.
    pub reread_blocks: bool,
}

impl View {
    /// Nothing is known yet.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            pools: HashMap::new(),
            blocks: HashMap::new(),
            block_count: 0,
            listing_pools: HashSet::new(),
            listing_blocks: HashSet::new(),
        }
    }

    /// A pool.
    pub(crate) fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// The blocks of a pool.
    pub(crate) fn blocks(&self, pool: &str) -> &PoolBlocks {
        static NONE: PoolBlocks = BTreeMap::new();
        self.blocks.get(pool).map_or(&NONE, |known| &known.blocks)
    }

    /// The number of pools, and of blocks.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.pools.len(), self.block_count)
    }

    /// Takes in what the watch of pools says.
    pub(crate) fn pool_event(&mut self, event: Event<SpiderIPPool>) -> Meaning {
        match event {
            Event::Apply(pool) => self.know_pool(&pool),
            Event::Delete(pool) => self.forget_pool(pool.name_any()),
            Event::Init => {
                self.listing_pools.clear();
                Meaning::default()
            }
            Event::InitApply(pool) => {
                self.listing_pools.insert(pool.name_any());
                self.know_pool(&pool)
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listing_pools);
                let gone: Vec<String> = self.pools.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                self.pools.retain(|name, _| listed.contains(name));
                Meaning { gone, listed: true, ..Meaning::default() }
            }
        }
    }

    /// Takes in what the watch of blocks says.
    pub(crate) fn block_event(&mut self, event: Event<WatchedBlock>) -> Meaning {
        match event {
            Event::Apply(block) => self.know_block(block).map(|(_, meaning)| meaning).unwrap_or_default(),
            Event::Delete(block) => self.forget_block(&block),
            Event::Init => {
                self.listing_blocks.clear();
                Meaning::default()
            }
            Event::InitApply(block) => {
                let Some((place, meaning)) = self.know_block(block) else { return Meaning::default() };
                self.listing_blocks.insert(place);
                // All of them are being read.
                Meaning { reread_blocks: false, ..meaning }
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listing_blocks);
                for (pool, Known { blocks, held }) in &mut self.blocks {
                    blocks.retain(|block, _| listed.contains(&(pool.clone(), *block)));
                    *held = blocks.values().map(|block| block.holders.count()).sum();
                }
                self.blocks.retain(|_, known| !known.blocks.is_empty());
                self.block_count = self.blocks.values().map(|known| known.blocks.len()).sum();
                let limit = self.limit;
                let reread_blocks = self.blocks.values().any(|known| known.is_unknown(limit));
                let changed = self.pools.keys().cloned().collect();
                Meaning { changed, listed: true, reread_blocks, ..Meaning::default() }
            }
        }
    }

    /// Takes in the answer to a write that was made from `base`, unless the watch has told something newer.
    pub(crate) fn written(&mut self, base: &str, pool: &SpiderIPPool) {
        if self.pools.get(&pool.name_any()).is_some_and(|known| known.version == base) {
            self.know_pool(pool);
        }
    }

    fn know_pool(&mut self, object: &SpiderIPPool) -> Meaning {
        let name = object.name_any();
        let total = match object.spec.space() {
            Ok(space) => Some(i64::try_from(space.count()).unwrap_or(i64::MAX)),
            Err(problem) => {
                warn!(pool = name, "{problem}; its totalIPCount stays as it is until that is corrected");
                None
            }
        };
        let pool = Pool {
            version: object.resource_version().unwrap_or_default(),
            finalizers: object.finalizers().to_vec(),
            deleting: object.is_terminating(),
            total,
            status: object.status.clone().unwrap_or_default(),
            projected: managers_of_records(&object.metadata).contains(&MANAGER_PROJECTION),
        };
        let before = self.pools.insert(name.clone(), pool);
        let changed = if before.as_ref() == self.pools.get(&name) { Vec::new() } else { vec![name] };
        Meaning { changed, ..Meaning::default() }
    }

    fn forget_pool(&mut self, name: String) -> Meaning {
        self.pools.remove(&name);
        Meaning { gone: vec![name], ..Meaning::default() }
    }

    /// Where a block belongs and what it means, unless it says nonsense.
    fn know_block(&mut self, object: WatchedBlock) -> Option<((String, Block), Meaning)> {
        let block = place(&object)?;
        let version = object.metadata.resource_version.unwrap_or_default();
        let pool = object.spec.pool;
        let records = object.spec.allocations.into_iter().filter_map(|(key, record)| {
            let address = key.parse::<IpAddr>().ok().filter(|address| block.contains(*address));
            if address.is_none() {
                warn!(pool, %block, "{key:?} among the allocations is no address of the block; remove it there");
            }
            Some((address?, holder(&record, &pool, block)))
        });
        let holders = Holders::Listed(records.collect());
        let known = self.blocks.entry(pool.clone()).or_default();
        let count = known.blocks.len();
        let reread_blocks = known.put(block, Some(KnownBlock { version, holders }), self.limit);
        self.block_count += known.blocks.len() - count;
        let meaning = Meaning { changed: vec![pool.clone()], reread_blocks, ..Meaning::default() };
        Some(((pool, block), meaning))
    }

    fn forget_block(&mut self, object: &WatchedBlock) -> Meaning {
        let Some(block) = place(object) else { return Meaning::default() };
        let pool = object.spec.pool.clone();
        let Some(known) = self.blocks.get_mut(&pool) else { return Meaning::default() };
        let count = known.blocks.len();
        let reread_blocks = known.put(block, None, self.limit);
        self.block_count -= count - known.blocks.len();
        if known.blocks.is_empty() {
            self.blocks.remove(&pool);
        }
        Meaning { changed: vec![pool], reread_blocks, ..Meaning::default() }
    }
}

impl Known {
    /// Puts what a block is now in the place of what it was; whether holders have to be read that were forgotten.
    fn put(&mut self, block: Block, now: Option<KnownBlock>, limit: u32) -> bool {
        let count = |known: &Option<KnownBlock>| known.as_ref().map_or(0, |known| known.holders.count());
        let (held, more) = (self.held, count(&now));
        let before = match now {
            Some(now) => self.blocks.insert(block, now),
            None => self.blocks.remove(&block),
        };
        self.held = held + more - count(&before);
        let many = |held: usize| !is_listed(held / MANY, limit);
        if many(self.held) {
            // Those of the others were forgotten when there were so many for the first time.
            let all = if many(held) { self.blocks.range_mut(block..=block) } else { self.blocks.range_mut(..) };
            all.for_each(|(_, known)| known.holders.strip());
        }
        !is_listed(held, limit) && self.is_unknown(limit)
    }

    /// Whether holders are to be listed that were forgotten.
    fn is_unknown(&self, limit: u32) -> bool {
        let forgotten = || self.blocks.values().any(|known| matches!(known.holders, Holders::Counted(_)));
        is_listed(self.held, limit) && forgotten()
    }
}

/// The block that an object is about, if it is one that agents would find.
fn place(object: &WatchedBlock) -> Option<Block> {
    let WatchedBlock { metadata, spec } = object;
    let name = metadata.name.as_deref().unwrap_or_default();
    let block = match spec.block.parse::<Block>() {
        Ok(block) => block,
        Err(problem) => {
            warn!("SpiderIPBlock {name}: spec.block: {problem}; until then nothing of it counts");
            return None;
        }
    };
    let right = SpiderIPBlock::name_of(&spec.pool, block);
    if name != right {
        warn!("SpiderIPBlock {name}: {block} of pool {} is named {right}; nothing of it counts, delete it", spec.pool);
        return None;
    }
    Some(block)
}

/// The holder that a record names. A record that names none holds its address all the same.
fn holder(record: &str, pool: &str, block: Block) -> PoolHolder {
    match record.parse() {
        Ok(BlockAllocation { pod, pod_uid, .. }) => PoolHolder { pod, pod_uid },
        Err(error) => {
            warn!(pool, %block, "{error}");
            PoolHolder { pod: String::new(), pod_uid: String::new() }
        }
    }
}

#[cfg(test)]
mod tests;
