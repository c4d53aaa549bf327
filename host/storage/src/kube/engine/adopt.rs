//! Taking over what pods of this node got before there were blocks.
//!
//! Spiderpool kept holders in `status.allocatedIPs` of pools, by pod and uid, and NICs in SpiderEndpoints. A block starts with
//! the former; here its records are completed by the latter, so that the node knows what its pods have. Doing it twice is
//! doing it once: a record that has a NIC is left alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use spiderpool_crd::endpoint::NicAllocation;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Block;

use super::retry::{self, Chance};
use super::shared::{bounded, retried};
use crate::LedgerError;
use crate::kube::{BlockId, BlockStore, Change, ChangeError, Mark, Origin, RecordedEndpoint, StoreError, StoredBlock};

/// What one endpoint says about one address.
pub(super) struct Claim {
    pub(super) address: IpAddr,
    pub(super) record: BlockAllocation,
}

/// Completes the records that `recorded` tells about. `blocks` are all that exist, and are kept current.
///
/// # Errors
/// The API server did not answer in time, or refuses.
pub(super) async fn adopt(
    store: &dyn BlockStore,
    chance: &Chance,
    recorded: &[RecordedEndpoint],
    blocks: &mut Vec<StoredBlock>,
) -> Result<(), LedgerError> {
    let mut by_block: BTreeMap<BlockId, Vec<Claim>> = BTreeMap::new();
    for (pool, claim) in recorded.iter().flat_map(claims) {
        by_block.entry(BlockId { pool, block: Block::containing(claim.address) }).or_default().push(claim);
    }
    for (id, mut claims) in by_block {
        claims.sort_by(|one, other| one.record.interface.cmp(&other.record.interface));
        let known = blocks.iter().position(|stored| stored.spec.pool == id.pool && stored.spec.block == id.block);
        let stored = match known {
            Some(index) => Some(blocks.swap_remove(index)),
            None => made(store, chance, &id).await?,
        };
        if let Some(stored) = stored {
            claims.iter().filter(|claim| !claim.is_held(&stored)).for_each(|claim| claim.warn(&id));
            blocks.push(complete(store, chance, &id, &claims, stored).await?);
        }
    }
    Ok(())
}

/// The block, made from what the pool's status says; none when the pool is gone.
async fn made(store: &dyn BlockStore, chance: &Chance, id: &BlockId) -> Result<Option<StoredBlock>, LedgerError> {
    let what = format!("make the block {id}");
    let created = retried(chance, &what, || {
        Box::pin(async move {
            match store.create(id, Origin::default(), &BTreeMap::new()).await {
                Ok(stored) => Ok(Some(stored)),
                Err(StoreError::Exists(_)) => store.get(id).await,
                Err(StoreError::Gone(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
    });
    created.await
}

async fn complete(
    store: &dyn BlockStore,
    chance: &Chance,
    id: &BlockId,
    claims: &[Claim],
    mut stored: StoredBlock,
) -> Result<StoredBlock, LedgerError> {
    let mut attempt = 0;
    loop {
        let mut changes: BTreeMap<IpAddr, Change> = BTreeMap::new();
        for claim in claims {
            // Spiderpool gave all NICs of a pod the same address of a pool. It is the first one's.
            if !changes.contains_key(&claim.address) {
                changes.extend(claim.change(&stored).map(|change| (claim.address, change)));
            }
        }
        if changes.is_empty() {
            return Ok(stored);
        }
        let changes: Vec<Change> = changes.into_values().collect();
        let mark = Mark::of(&stored.spec).after(id.block, &changes);
        tracing::info!(block = %id, addresses = changes.len(), "taking over what Spiderpool gave to pods of this node");
        match bounded(store.change(id, &changes, Some(mark))).await {
            Ok(changed) => return Ok(changed),
            Err(ChangeError::Store(error)) if !retry::passing(&error) || attempt == ATTEMPTS => {
                return Err(retry::failed(format!("take over addresses of {id}"), &error).into());
            }
            Err(ChangeError::Lost) if attempt == ATTEMPTS => {
                return Err(retry::outrun(format!("take over addresses of {id}")).into());
            }
            Err(ChangeError::Store(error)) => tokio::time::sleep(chance.wait(attempt, &error)).await,
            Err(ChangeError::Lost) => {}
        }
        attempt += 1;
        let what = format!("read the block {id}");
        match retried(chance, &what, || store.get(id)).await? {
            Some(now) => stored = now,
            None => return Ok(stored),
        }
    }
}

/// Other nodes take over their records of the same block at the same time; a few rounds are enough for all of them.
const ATTEMPTS: u32 = 20;

impl Claim {
    /// Whether the address is the pod's, whatever NIC it is for.
    fn is_held(&self, stored: &StoredBlock) -> bool {
        stored.spec.allocations.get(&self.address).is_some_and(|there| {
            there.pod_uid == self.record.pod_uid || there.pod_uid.is_empty() && there.pod == self.record.pod
        })
    }

    /// Perhaps only the record was behind when an agent died. Or an agent of Spiderpool gave the address when there was a
    /// block of it already, and nobody knows of that.
    fn warn(&self, id: &BlockId) {
        tracing::warn!(
            pod = self.record.pod,
            "its SpiderEndpoint says that it holds {} of pool {}, and it does not; the record is corrected. If the pod runs \
             and uses the address, delete it, so that it asks again",
            self.address,
            id.pool
        );
    }

    fn change(&self, stored: &StoredBlock) -> Option<Change> {
        let there = stored.spec.allocations.get(&self.address)?;
        let untold = there.interface.is_empty() && self.is_held(stored);
        // A virtual machine's record names the machine, not the pod.
        let to = BlockAllocation { pod: there.pod.clone(), ..self.record.clone() };
        untold.then(|| Change::Move { address: self.address, from: there.clone(), to })
    }
}

/// What an endpoint says, address by address, with the pool of each. A NIC that has not asked yet has no name: it gets the
/// one that multus gives it by its place.
pub(super) fn claims(recorded: &RecordedEndpoint) -> impl Iterator<Item = (String, Claim)> + '_ {
    let RecordedEndpoint { pod, status } = recorded;
    let nics = status.current.ips.iter().enumerate();
    nics.flat_map(|(place, nic)| addresses(nic).map(move |found| (place, found))).map(
        move |(place, (nic, pool, address))| {
            let by_place = || format!("net{place}");
            let record = BlockAllocation {
                pod: format!("{}/{}", pod.namespace, pod.name),
                pod_uid: pod.uid.clone(),
                interface: Some(nic.interface.clone()).filter(|name| !name.is_empty()).unwrap_or_else(by_place),
                node: status.current.node.clone(),
                owner: format!("{}/{}", status.owner_controller_type, status.owner_controller_name),
                clean_gateway: nic.clean_gateway == Some(true),
                ..BlockAllocation::default()
            };
            (pool, Claim { address, record })
        },
    )
}

fn addresses(nic: &NicAllocation) -> impl Iterator<Item = (&NicAllocation, String, IpAddr)> {
    let families = [(&nic.ipv4, &nic.ipv4_pool), (&nic.ipv6, &nic.ipv6_pool)];
    families.into_iter().filter_map(move |(address, pool)| {
        let address = address.as_deref()?.split('/').next()?.parse().ok()?;
        Some((nic, pool.clone()?, address))
    })
}
