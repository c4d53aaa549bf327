//! A cluster as Spiderpool leaves it: pools that list their holders, SpiderEndpoints, and the pods themselves.
//!
//! Written from what Spiderpool's objects look like, without our own types: those would read whatever they wrote.

mod check;
mod pool;

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;
use spiderpool_crd::{SpiderEndpoint, SpiderIPBlock, SpiderIPPool};

use crate::Pod;

pub use pool::{Holder, Pool};

/// Objects that are created at once.
const AT_ONCE: usize = 32;

/// A NIC, and the pools that it has addresses of.
pub type Nic = (&'static str, &'static [&'static str]);

/// What a pod is, and what there is of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The first part of its name.
    pub name: &'static str,
    /// Whether it is of a StatefulSet; else nobody's.
    pub stateful: bool,
    /// Its NICs.
    pub nics: &'static [Nic],
    /// Whether the pod exists.
    pub exists: bool,
    /// Whether it has a SpiderEndpoint.
    pub recorded: bool,
    /// Whether its pools are listed without the names of NICs, of which only the first has asked yet.
    pub starting: bool,
}

/// A pod that Spiderpool gave addresses to.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The pod. Spiderpool never wrote down its sandbox.
    pub pod: Pod,
    /// What it is.
    pub kind: Kind,
    /// The node's name.
    pub node: String,
    /// Its addresses by NIC and pool.
    pub given: Vec<(&'static str, &'static str, IpAddr)>,
}

/// The cluster.
pub struct Estate {
    /// The namespace of all pods.
    pub namespace: String,
    /// Pools by what tests call them. In the end their holders must be these.
    pub pools: BTreeMap<&'static str, Pool>,
    client: Client,
}

impl Tenant {
    /// What an ADD of the NIC has to answer.
    #[must_use]
    pub fn addresses(&self, estate: &Estate, nic: &str) -> Vec<String> {
        let of_nic = self.given.iter().filter(|(other, ..)| *other == nic);
        of_nic.map(|(_, pool, address)| estate.pools[pool].cidr(*address)).collect()
    }
}

impl Estate {
    /// Makes the pools, each of which a test calls by the first of its words.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn found(cluster: &Cluster, pools: &[(&'static str, &str, &str, &str)]) -> Result<Self> {
        let namespace = cluster.namespace().await?;
        let client = cluster.client()?;
        let api = Api::<SpiderIPPool>::all(client.clone());
        let mut all = BTreeMap::new();
        for (role, subnet, first, last) in pools {
            let pool = Pool::new(format!("{role}-of-{namespace}"), subnet, first)?;
            api.create(&PostParams::default(), &serde_json::from_value(pool.object(last))?).await?;
            all.insert(*role, pool);
        }
        Ok(Self { namespace, pools: all, client })
    }

    /// Lets pods of these kinds have been served, in this order, on the nodes of these names; and writes down who holds what.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn served(&mut self, pods: Vec<(Kind, String)>) -> Result<Vec<Tenant>> {
        let estate = &*self;
        let made = stream::iter(pods.into_iter().enumerate()).map(|(number, (kind, node))| async move {
            let name = format!("{}-{number}", kind.name);
            let pod = match kind.exists {
                true => estate.pod(&name, &kind, &node).await?,
                false => estate.named(&name, format!("uid-of-{name}")),
            };
            anyhow::Ok((kind, node, pod))
        });
        let made: Vec<_> = made.buffered(AT_ONCE).try_collect().await?;
        let tenants: Vec<Tenant> = made.into_iter().map(|(kind, node, pod)| self.give(kind, node, pod)).collect();
        let recorded = tenants.iter().filter(|tenant| tenant.kind.recorded);
        let api = Api::<SpiderEndpoint>::namespaced(self.client.clone(), &self.namespace);
        let recorded = recorded.map(|tenant| serde_json::from_value(self.endpoint(tenant)));
        let recorded: Vec<SpiderEndpoint> = recorded.collect::<Result<_, _>>()?;
        let parameters = PostParams::default();
        let made = stream::iter(&recorded).map(|endpoint| api.create(&parameters, endpoint));
        let _: Vec<_> = made.buffer_unordered(AT_ONCE).try_collect().await?;
        self.write_status().await?;
        Ok(tenants)
    }

    /// Writes the pools' status as Spiderpool does.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn write_status(&self) -> Result<()> {
        let api = Api::<SpiderIPPool>::all(self.client.clone());
        for pool in self.pools.values() {
            let status = json!({"status": {"allocatedIPs": pool.listed(), "allocatedIPCount": pool.holders.len()}});
            api.patch_status(&pool.name, &PatchParams::default(), &Patch::Merge(status)).await?;
        }
        Ok(())
    }

    /// Lets Spiderpool take back what a pod had, and the pod is gone.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn released(&mut self, Tenant { pod, kind, .. }: &Tenant) -> Result<()> {
        self.pools.values_mut().for_each(|pool| pool.forget(pod));
        self.write_status().await?;
        if kind.recorded {
            let api = Api::<SpiderEndpoint>::namespaced(self.client.clone(), &self.namespace);
            let none = json!({"metadata": {"finalizers": null}});
            api.patch(&pod.name, &PatchParams::default(), &Patch::Merge(none)).await?;
            api.delete(&pod.name, &DeleteParams::default()).await?;
        }
        if kind.exists { self.delete_pod(&pod.name).await } else { Ok(()) }
    }

    /// Deletes the blocks of the pools.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn delete_blocks(&self) -> Result<()> {
        let api = Api::<SpiderIPBlock>::all(self.client.clone());
        for block in api.list(&ListParams::default()).await?.items {
            if self.pools.values().any(|pool| pool.name == block.spec.pool) {
                api.delete(&block.name_any(), &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Creates a pod.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn pod(&self, name: &str, kind: &Kind, node: &str) -> Result<Pod> {
        let nics = kind.nics.iter().map(|(nic, pools)| {
            let of = |v6: bool| pools.iter().map(|pool| &self.pools[pool]).filter(move |pool| pool.is_v6() == v6);
            let names = |v6| of(v6).map(|pool| pool.name.as_str()).collect::<Vec<_>>();
            json!({"interface": if kind.starting { "" } else { nic }, "ipv4": names(false), "ipv6": names(true)})
        });
        let annotation = Value::from(nics.collect::<Vec<_>>()).to_string();
        let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": kind.name, "uid": "1", "controller": true}]);
        let object = json!({
            "metadata": {
                "name": name,
                "annotations": {"ipam.spidernet.io/ippools": annotation},
                "ownerReferences": if kind.stateful { owner } else { json!([]) },
            },
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
        });
        let made: PodObject = self.pods().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(self.named(name, made.metadata.uid.context("a pod without a uid")?))
    }

    /// Deletes a pod that has ended.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn delete_pod(&self, name: &str) -> Result<()> {
        self.pods().delete(name, &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    fn pods(&self) -> Api<PodObject> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn named(&self, name: &str, uid: String) -> Pod {
        let container = format!("sandbox-of-{uid}");
        Pod { namespace: self.namespace.clone(), name: name.to_owned(), uid, container, interface: "eth0".to_owned() }
    }

    /// A pod has one address of a pool, whatever its NICs: so Spiderpool gave it the same again.
    fn give(&mut self, kind: Kind, node: String, pod: Pod) -> Tenant {
        let mut given = Vec::new();
        for (nic, pools) in kind.nics {
            for role in *pools {
                if let Some(pool) = self.pools.get_mut(role) {
                    given.push((*nic, *role, pool.give(&pod)));
                }
            }
        }
        Tenant { pod, kind, node, given }
    }

    fn endpoint(&self, Tenant { pod, kind, node, given }: &Tenant) -> Value {
        let nics = kind.nics.iter().enumerate().map(|(place, (nic, _))| {
            let name = if kind.starting && place > 0 { "" } else { nic };
            let mut entry = json!({"interface": name, "vlan": 0, "cleanGateway": false});
            for (_, role, address) in given.iter().filter(|(other, ..)| other == nic) {
                let pool = &self.pools[role];
                let family = if address.is_ipv6() { "ipv6" } else { "ipv4" };
                entry[family] = pool.cidr(*address).into();
                entry[format!("{family}Pool")] = pool.name.clone().into();
                entry[format!("{family}Gateway")] = pool.gateway().to_string().into();
            }
            entry
        });
        let (owner, owner_name) = if kind.stateful { ("StatefulSet", kind.name) } else { ("Pod", pod.name.as_str()) };
        json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderEndpoint",
            "metadata": {
                "name": pod.name,
                "finalizers": [check::FINALIZER],
                "ownerReferences": check::owners(kind.stateful, &pod.name, &pod.uid),
            },
            "status": {
                "current": {"uid": pod.uid, "node": node, "ips": nics.collect::<Vec<_>>()},
                "ownerControllerType": owner,
                "ownerControllerName": owner_name,
            },
        })
    }
}
