//! What must be so after a storm: the first two invariants of the ledger.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::ListParams;
use spiderpool_crd::{SpiderEndpoint, SpiderIPBlock};

use super::calls::Answered;
use super::fill::ELSEWHERE;
use super::{Calls, Storm};

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

    /// Nothing is left of any pod, in the ledger and in records.
    ///
    /// # Errors
    /// Something is; what.
    pub async fn verify_empty(&self) -> Result<()> {
        same("ledger", &self.ledger().await?, &Held::new())?;
        self.caught_up()?;
        same("SpiderEndpoints", &self.records().await?, &Held::new())
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
    let served = adds.answers.iter().map(|Answered { pod, answer, .. }| {
        ensure!(answer.ok, "pod {} was not served: {}", pod.name, answer.json);
        let addresses = answer.addresses();
        ensure!(addresses.len() == 1, "pod {} was given {addresses:?}", pod.name);
        let (address, _) = addresses[0].split_once('/').context("an address without a prefix length")?;
        Ok((pod.uid.clone(), address.parse()?))
    });
    served.collect()
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
