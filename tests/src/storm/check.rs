//! What must be so after a storm: the first two invariants of the ledger.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use spiderpool_crd::{AllocatedIps, PoolHolder, SpiderEndpoint, SpiderIPBlock, SpiderIPPool};

use super::calls::Answered;
use super::fill::ELSEWHERE;
use super::{Calls, PATIENCE, Storm};
use crate::Pod;

/// Addresses by the uids of their pods.
type Held = BTreeMap<String, IpAddr>;

impl Storm {
    /// Every pod has an address of its own; answers, ledger and records say the same.
    ///
    /// # Errors
    /// They do not; the first difference.
    pub async fn verify(&self, adds: &Calls) -> Result<()> {
        let answered = answered(adds)?;
        ensure!(answered.len() == self.count(), "{} of {} pods have an address", answered.len(), self.count());
        let mut holders = BTreeMap::new();
        for (uid, address) in &answered {
            let other = holders.insert(address, uid);
            ensure!(other.is_none(), "{address} was given to {uid} and to {other:?}");
        }
        same("ledger", &self.ledger().await?, &answered)?;
        self.caught_up()?;
        same("SpiderEndpoints", &self.records().await?, &answered)
    }

    /// Nothing is left of any pod, in the ledger and in records; at the latest a minute after the last call.
    ///
    /// # Errors
    /// Something is; what.
    pub async fn verify_empty(&self) -> Result<()> {
        let begun = Instant::now();
        while !self.ledger().await?.is_empty() && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let left = self.ledger().await?;
        ensure!(left.is_empty(), "nobody gave back {left:?}:\n{}", self.told_of(left.keys()));
        self.caught_up()?;
        same("SpiderEndpoints", &self.records().await?, &Held::new())
    }

    /// Waits until the pool's status tells that these hold their addresses, and nobody else.
    ///
    /// # Errors
    /// It does not within `patience`.
    pub async fn status_tells(&self, answers: &[Answered], patience: Duration) -> Result<()> {
        let begun = Instant::now();
        let holders = answers.iter().map(|answered| {
            let Pod { namespace, name, uid, .. } = &answered.pod;
            Ok((address(answered)?, PoolHolder { pod: format!("{namespace}/{name}"), pod_uid: uid.clone() }))
        });
        let wanted = AllocatedIps(holders.collect::<Result<_>>()?).to_field();
        let count = i64::try_from(answers.len())?;
        let api: Api<SpiderIPPool> = Api::all(self.client.clone());
        loop {
            let status = api.get(&self.pool).await?.status.unwrap_or_default();
            if status.allocated_ips == wanted && status.allocated_ip_count == Some(count) {
                return Ok(());
            }
            ensure!(begun.elapsed() < patience, "after {patience:?} it does not tell of {count} holders: {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Deletes the pool, and waits until it is gone with its blocks.
    ///
    /// # Errors
    /// It is not within `patience`.
    pub async fn delete_pool(&self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        let api: Api<SpiderIPPool> = Api::all(self.client.clone());
        api.delete(&self.pool, &DeleteParams::default()).await?;
        while let Some(pool) = api.get_opt(&self.pool).await? {
            ensure!(begun.elapsed() < patience, "after {patience:?} there is still {pool:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let blocks = Api::<SpiderIPBlock>::all(self.client.clone()).list(&ListParams::default()).await?;
        let left = blocks.items.iter().filter(|block| block.spec.pool == self.pool).count();
        ensure!(left == 0, "{left} blocks of a pool that is gone");
        Ok(())
    }

    /// What the agents logged of these pods.
    fn told_of<'a>(&self, uids: impl Iterator<Item = &'a String>) -> String {
        let uids: Vec<_> = uids.collect();
        let mut told = String::new();
        for node in &self.nodes {
            for line in node.log().lines().filter(|line| uids.iter().any(|uid| line.contains(uid.as_str()))) {
                told += &format!("{}: {line}\n", node.name);
            }
        }
        told
    }

    async fn ledger(&self) -> Result<Held> {
        let api: Api<SpiderIPBlock> = Api::all(self.client.clone());
        let blocks = api.list(&ListParams::default()).await.context("cannot list blocks")?;
        let mut held = Held::new();
        for block in blocks.items.into_iter().filter(|block| block.spec.pool == self.pool) {
            for (address, record) in block.spec.allocations {
                if record.node == ELSEWHERE {
                    continue;
                }
                let other = held.insert(record.pod_uid, address);
                ensure!(other.is_none(), "the ledger has {address} and {other:?} for pod {}", record.pod);
            }
        }
        Ok(held)
    }

    async fn records(&self) -> Result<Held> {
        let api: Api<SpiderEndpoint> = Api::namespaced(self.client.clone(), &self.namespace);
        let records = api.list(&ListParams::default()).await.context("cannot list SpiderEndpoints")?;
        let mut held = Held::new();
        for status in records.items.into_iter().filter_map(|record| record.status) {
            let nics = status.current.ips;
            ensure!(nics.len() == 1, "the record of pod {} has not one NIC: {nics:?}", status.current.uid);
            let address = nics[0].ipv4.as_deref().and_then(|text| text.split('/').next()?.parse().ok());
            held.insert(status.current.uid, address.context("a record without an address")?);
        }
        Ok(held)
    }
}

fn answered(adds: &Calls) -> Result<Held> {
    adds.answers.iter().map(|answered| Ok((answered.pod.uid.clone(), address(answered)?))).collect()
}

fn address(Answered { pod, answer, .. }: &Answered) -> Result<IpAddr> {
    ensure!(answer.ok, "pod {} was not served: {}", pod.name, answer.json);
    let addresses = answer.addresses();
    ensure!(addresses.len() == 1, "pod {} was given {addresses:?}", pod.name);
    let (address, _) = addresses[0].split_once('/').context("an address without a prefix length")?;
    Ok(address.parse()?)
}

fn same(what: &str, found: &Held, answered: &Held) -> Result<()> {
    for (uid, address) in answered {
        ensure!(found.get(uid) == Some(address), "{what}: pod {uid} has {:?}, was given {address}", found.get(uid));
    }
    for (uid, address) in found {
        ensure!(answered.contains_key(uid), "{what}: {address} is held by {uid}, which has none");
    }
    Ok(())
}
