//! What Spiderpool would find, and what must be so at any time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use spiderpool_crd::{SpiderEndpoint, SpiderIPBlock, SpiderIPPool};

use super::{Estate, Holder};

pub(super) const FINALIZER: &str = "spiderpool.spidernet.io";

/// The owner references of a pod's endpoint: that of a StatefulSet's pod outlives it.
pub(super) fn owners(stateful: bool, pod: &str, uid: &str) -> Value {
    if stateful { json!([]) } else { json!([{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}]) }
}

impl Estate {
    /// Waits until the pools' status is what Spiderpool would have written: who holds what, byte by byte, and how many.
    ///
    /// # Errors
    /// It is not, for as long as `patience`; the first difference.
    pub async fn listed(&self, patience: Duration) -> Result<()> {
        let api = Api::<SpiderIPPool>::all(self.client.clone());
        let begun = Instant::now();
        for pool in self.pools.values() {
            loop {
                let object = api.get(&pool.name).await?;
                let status = object.status.clone().unwrap_or_default();
                let count = i64::try_from(pool.holders.len())?;
                if status.allocated_ips == pool.listed() && status.allocated_ip_count == Some(count) {
                    ensure!(object.metadata.finalizers == Some(vec![FINALIZER.to_owned()]), "{:?}", object.metadata);
                    break;
                }
                if begun.elapsed() > patience {
                    let text = status.allocated_ips.as_deref().unwrap_or("{}");
                    let listed: BTreeMap<IpAddr, Holder> =
                        serde_json::from_str(text).context("not Spiderpool's form")?;
                    same(&pool.name, &listed, &pool.holders)?;
                    anyhow::bail!(
                        "{}: {count} holders, and it says {:?}: {text}",
                        pool.name,
                        status.allocated_ip_count
                    );
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// No block says anything else than who holds its addresses.
    ///
    /// # Errors
    /// One does; the first difference.
    pub async fn blocks_agree(&self) -> Result<()> {
        let blocks = Api::<SpiderIPBlock>::all(self.client.clone()).list(&ListParams::default()).await?;
        for pool in self.pools.values() {
            let (mut said, mut expected) = (BTreeMap::new(), BTreeMap::new());
            for spec in blocks.items.iter().map(|block| &block.spec).filter(|spec| spec.pool == pool.name) {
                said.extend(spec.allocations.iter().map(|(address, record)| {
                    (*address, Holder { pod: record.pod.clone(), pod_uid: record.pod_uid.clone() })
                }));
                expected.extend(pool.holders.clone().into_iter().filter(|(address, _)| spec.block.contains(*address)));
            }
            same(&format!("blocks of {}", pool.name), &said, &expected)?;
        }
        Ok(())
    }

    /// Every SpiderEndpoint says what its pod holds, all of it, as Spiderpool would have it. `without` have none.
    ///
    /// # Errors
    /// One does not.
    pub async fn endpoints_agree(&self, without: &[&str]) -> Result<()> {
        let endpoints = Api::<SpiderEndpoint>::namespaced(self.client.clone(), &self.namespace);
        let mut said: BTreeMap<(String, IpAddr), Holder> = BTreeMap::new();
        for endpoint in endpoints.list(&ListParams::default()).await?.items {
            let name = endpoint.metadata.name.clone().context("a name")?;
            let status = endpoint.status.with_context(|| format!("endpoint {name} has no status"))?;
            let uid = status.current.uid;
            let metadata = json!(endpoint.metadata);
            ensure!(metadata["finalizers"] == json!([FINALIZER]), "{metadata}");
            let owners = owners(status.owner_controller_type == "StatefulSet", &name, &uid);
            ensure!(metadata.get("ownerReferences").cloned().unwrap_or(json!([])) == owners, "{metadata}");
            let holder = Holder { pod: format!("{}/{name}", self.namespace), pod_uid: uid };
            for nic in status.current.ips {
                for (address, pool) in [(nic.ipv4, nic.ipv4_pool), (nic.ipv6, nic.ipv6_pool)] {
                    let Some((address, pool)) = address.zip(pool) else { continue };
                    let bare = address.split('/').next().unwrap_or_default().parse()?;
                    let of_pool = self.pools.values().find(|known| known.name == pool).context("an unknown pool")?;
                    ensure!(address == of_pool.cidr(bare), "{name}: {address}");
                    said.insert((pool, bare), holder.clone());
                }
            }
        }
        let mut expected = BTreeMap::new();
        for pool in self.pools.values() {
            let recorded = pool.holders.iter().filter(|(_, holder)| {
                let name = holder.pod.rsplit('/').next().unwrap_or_default();
                !without.iter().any(|prefix| name.starts_with(prefix))
            });
            expected.extend(recorded.map(|(address, holder)| ((pool.name.clone(), *address), holder.clone())));
        }
        same("SpiderEndpoints", &said, &expected)
    }
}

fn same<K: Ord + std::fmt::Debug>(
    what: &str,
    said: &BTreeMap<K, Holder>,
    expected: &BTreeMap<K, Holder>,
) -> Result<()> {
    for (address, holder) in expected {
        ensure!(
            said.get(address) == Some(holder),
            "{what}: {address:?} is {holder:?}'s, not {:?}'s",
            said.get(address)
        );
    }
    for (address, holder) in said {
        ensure!(expected.contains_key(address), "{what}: nobody holds {address:?}, which is {holder:?}'s there");
    }
    Ok(())
}
