//! One pool of a test, and its blocks.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use spiderpool_crd::keys::LABEL_BLOCK_POOL;
use spiderpool_crd::{SpiderIPBlock, SpiderIPPool};
use tokio::time::timeout;

pub(crate) type Pool = SpiderIPPool;

/// What a status says.
pub(crate) trait Told {
    fn listed(&self) -> Option<&str>;
    fn allocated(&self) -> Option<i64>;
    fn total(&self) -> Option<i64>;
}

impl Told for Pool {
    fn listed(&self) -> Option<&str> {
        self.status.as_ref()?.allocated_ips.as_deref()
    }

    fn allocated(&self) -> Option<i64> {
        self.status.as_ref()?.allocated_ip_count
    }

    fn total(&self) -> Option<i64> {
        self.status.as_ref()?.total_ip_count
    }
}

/// The pool of a test.
pub(crate) struct Objects {
    pub(crate) name: String,
    pools: Api<Pool>,
    blocks: Api<SpiderIPBlock>,
}

/// The holder of an address, as agents write it.
pub(crate) fn holder(pod: &str) -> Value {
    format!("pod=shop/{pod} uid=uid-{pod} nic=eth0 node=node1 sandbox=0123 network=underlay owner=StatefulSet/web")
        .into()
}

impl Objects {
    pub(crate) fn new(client: Client, test: &str) -> Self {
        Self { name: test.to_owned(), pools: Api::all(client.clone()), blocks: Api::all(client) }
    }

    /// Makes the pool; with `listed` as Spiderpool left it, in the status and with the finalizer of its webhook.
    pub(crate) async fn pool(&self, subnet: &str, ips: &str, listed: Option<&str>) -> Result<()> {
        let mut pool = Pool::new(&self.name, serde_json::from_value(json!({"subnet": subnet, "ips": [ips]}))?);
        pool.metadata.finalizers = listed.map(|_| vec![spiderpool_crd::FINALIZER.to_owned()]);
        self.pools.create(&PostParams::default(), &pool).await?;
        if listed.is_some() {
            let status = json!({"status": {"allocatedIPs": listed}});
            self.pools.patch_status(&self.name, &PatchParams::default(), &Patch::Merge(status)).await?;
        }
        Ok(())
    }

    pub(crate) async fn get(&self) -> Result<Pool> {
        Ok(self.pools.get(&self.name).await?)
    }

    pub(crate) async fn resize(&self, ips: &str) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"ips": [ips]}}));
        self.pools.patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    pub(crate) async fn delete(&self) -> Result<()> {
        self.pools.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }

    pub(crate) fn block_name(&self, block: &str) -> Result<String> {
        Ok(SpiderIPBlock::name_of(&self.name, block.parse()?))
    }

    pub(crate) async fn block(&self, block: &str, holders: &[(&str, &str)]) -> Result<()> {
        let allocations: serde_json::Map<String, Value> =
            holders.iter().map(|(address, pod)| ((*address).to_owned(), holder(pod))).collect();
        let spec = json!({"pool": self.name, "block": block, "allocations": allocations, "quarantine": {}});
        let mut object = SpiderIPBlock::new(&self.block_name(block)?, serde_json::from_value(spec)?);
        object.labels_mut().insert(LABEL_BLOCK_POOL.to_owned(), SpiderIPBlock::label_of(&self.name));
        object.metadata.owner_references = self.get().await?.owner_ref(&()).map(|owner| vec![owner]);
        self.blocks.create(&PostParams::default(), &object).await?;
        Ok(())
    }

    /// A JSON patch of a block.
    pub(crate) async fn change_block(&self, block: &str, changes: Value) -> Result<()> {
        let patch = Patch::<SpiderIPBlock>::Json(serde_json::from_value(changes)?);
        self.blocks.patch(&self.block_name(block)?, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    pub(crate) async fn delete_block(&self, block: &str) -> Result<()> {
        self.blocks.delete(&self.block_name(block)?, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until the pool is as it should be.
    pub(crate) async fn until(&self, patience: Duration, what: &str, is_so: impl Fn(&Pool) -> bool) -> Result<Pool> {
        let condition = |pool: Option<&Pool>| pool.is_some_and(&is_so);
        match timeout(patience, await_condition(self.pools.clone(), &self.name, condition)).await {
            Ok(pool) => pool?.context("the pool is gone"),
            Err(_) => bail!("{what}: not after {patience:?}; it is {:?}", self.get().await?),
        }
    }

    /// Waits until the pool is gone.
    pub(crate) async fn until_gone(&self, patience: Duration) -> Result<()> {
        let gone = |pool: Option<&Pool>| pool.is_none();
        timeout(patience, await_condition(self.pools.clone(), &self.name, gone))
            .await
            .with_context(|| format!("not gone after {patience:?}"))??;
        Ok(())
    }
}
