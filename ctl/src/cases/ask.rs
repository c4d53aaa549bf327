//! From a case to the runtime's types, as the agent makes them from its catalog and ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use spiderpool_ip::{Cidr, Family, IpRange, IpSet};
use spiderpool_runtime::{PoolIndex, Room, conv, types};
use spiderpool_wire::summary::saturate;

use super::format::{Cluster, Operation};
use super::question::{Placement, Review, Scene};

impl Placement {
    /// The question in the runtime's form.
    #[must_use]
    pub fn question(&self) -> spiderpool_runtime::Question {
        let scene = &self.scene;
        let pools = scene.objects.pools.iter().map(|(name, pool)| (pool, scene.usable[name].clone()));
        let masters = self.masters.clone();
        let room = scene.room();
        spiderpool_runtime::Question {
            context: self.context(),
            cni: types::Cni {
                interface_name: self.interface.clone(),
                default_ipv4_pools: self.cni.default_ipv4_ippool.clone(),
                default_ipv6_pools: self.cni.default_ipv6_ippool.clone(),
                clean_gateway: self.cni.clean_gateway,
                match_master_subnet: self.cni.match_master_subnet,
            },
            pools: Arc::new(PoolIndex::new(pools)),
            room: Box::new(move |pool| {
                room.get(pool).map_or(Room { total: 0, free: 0 }, |(total, free)| Room { total: *total, free: *free })
            }),
            masters: Box::new(move |nic| {
                masters.get(nic).cloned().ok_or_else(|| format!("the case has no `masters` for {nic}"))
            }),
        }
    }

    /// With the labels that Kubernetes puts on every namespace and node.
    pub(super) fn context(&self) -> types::Context {
        let Self { pod, moment, scene, .. } = self;
        let metadata = &pod.metadata;
        let namespace = namespace(metadata);
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let of_namespace = scene.objects.namespaces.get(namespace).map(|object| &object.metadata);
        let of_node = scene.objects.nodes.get(node).map(|object| &object.metadata);
        types::Context {
            pod: self::pod(metadata),
            namespace: types::Namespace {
                name: namespace.to_owned(),
                labels: labels(of_namespace, "kubernetes.io/metadata.name", namespace),
                annotations: conv::pairs(of_namespace.and_then(|metadata| metadata.annotations.as_ref())),
            },
            node: types::Node { name: node.to_owned(), labels: labels(of_node, "kubernetes.io/hostname", node) },
            cluster: types::Cluster {
                install_namespace: scene.cluster.install_namespace.clone(),
                default_network: scene.cluster.default_network.clone(),
                families: families(&scene.cluster),
                subnets: scene.cluster.subnets,
            },
            moment: types::Moment { unix_milliseconds: moment.unix_milliseconds, seed: moment.seed },
            extra: Vec::new(),
        }
    }
}

impl Review {
    /// The question in the runtime's form, with the facts that bear on it.
    #[must_use]
    pub fn question(&self) -> (spiderpool_runtime::Review, types::Facts) {
        let review = spiderpool_runtime::Review {
            operation: match self.operation {
                Operation::Create => types::Operation::Create,
                Operation::Update => types::Operation::Update,
                Operation::Delete => types::Operation::Delete,
            },
            kind: self.kind.clone(),
            name: self.name.clone(),
            object: self.object.clone(),
            old: self.old.clone(),
        };
        (review, self.facts())
    }

    fn facts(&self) -> types::Facts {
        let scene = &self.scene;
        let subnet = self.object.pointer("/spec/subnet").and_then(Value::as_str);
        let subnet = subnet.and_then(|text| text.parse::<Cidr>().ok());
        let family = subnet.map(|subnet| subnet.family()).or_else(|| first_family(&self.object));
        let reserved = family.and_then(|family| scene.objects.reserved(family).ok());
        let others = |spaces: Vec<(&String, Cidr, IpSet)>| -> Vec<types::Peer> {
            let touching = spaces
                .into_iter()
                .filter(|(name, cidr, _)| **name != self.name && subnet.is_some_and(|subnet| subnet.overlaps(cidr)));
            touching
                .map(|(name, cidr, space)| types::Peer {
                    name: name.clone(),
                    subnet: conv::cidr(cidr),
                    ranges: conv::ranges(&space),
                })
                .collect()
        };
        types::Facts {
            families: families(&scene.cluster),
            pools: others(scene.pool_spaces()),
            subnets: others(scene.subnet_spaces()),
            subnet_feature: scene.cluster.subnets,
            in_use: scene.used.get(&self.name).map(conv::ranges).unwrap_or_default(),
            reserved: reserved.as_ref().map(conv::ranges).unwrap_or_default(),
            guard_deletion: scene.cluster.guard_deletion,
            extra: Vec::new(),
        }
    }
}

impl Scene {
    /// How many addresses each pool can ever give, and how many now.
    fn room(&self) -> BTreeMap<String, (u64, u64)> {
        let room = self.usable.iter().map(|(name, usable)| {
            let free = self.used.get(name).map_or_else(|| usable.count(), |used| usable.minus(used).count());
            (name.clone(), (saturate(usable.count()), saturate(free)))
        });
        room.collect()
    }

    fn pool_spaces(&self) -> Vec<(&String, Cidr, IpSet)> {
        let all = self.objects.pools.iter();
        all.filter_map(|(name, pool)| Some((name, pool.spec.cidr().ok()?, pool.spec.space().ok()?))).collect()
    }

    fn subnet_spaces(&self) -> Vec<(&String, Cidr, IpSet)> {
        let all = self.objects.subnets.iter();
        all.filter_map(|(name, subnet)| Some((name, subnet.spec.cidr().ok()?, subnet.spec.space().ok()?))).collect()
    }
}

/// A pod, of whose name everything may be left out.
pub(super) fn pod(metadata: &ObjectMeta) -> types::Pod {
    types::Pod {
        namespace: namespace(metadata).to_owned(),
        name: metadata.name.clone().unwrap_or_else(|| "pod".to_owned()),
        uid: metadata.uid.clone().unwrap_or_default(),
        labels: conv::labels(metadata.labels.as_ref()),
        annotations: conv::pairs(metadata.annotations.as_ref()),
        owners: owners(metadata),
    }
}

fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().unwrap_or("default")
}

fn first_family(object: &Value) -> Option<Family> {
    object.pointer("/spec/ips/0")?.as_str()?.parse::<IpRange>().ok().map(|range| range.family())
}

fn families(cluster: &Cluster) -> Vec<types::Family> {
    cluster.families.iter().map(|family| conv::family(*family)).collect()
}

fn owners(metadata: &ObjectMeta) -> Vec<types::Owner> {
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let owner = owner.map(|owner| types::Owner {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    });
    owner.into_iter().collect()
}

fn labels(metadata: Option<&ObjectMeta>, key: &str, value: &str) -> types::Labels {
    let mut labels = metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    conv::labels(Some(&labels))
}
