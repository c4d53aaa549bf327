//! A policy host in a folder of its own, and questions to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use spiderpool_crd::{SpiderIPPool, SpiderPolicySpec};
use spiderpool_ip::{Family, IpSet};
use spiderpool_runtime::types::{Cluster, Cni, Context, Event, Holder, Moment, Namespace, Node, Pod, PodState};
use spiderpool_runtime::{
    Departure, HostConfig, PolicyHost, PolicySource, PoolIndex, Question, Retention, Room, types,
};
use spiderpool_wire::summary::PolicySummary;
use tempfile::TempDir;

use crate::guest;

pub(crate) struct Place {
    pub(crate) host: PolicyHost,
    folder: TempDir,
}

/// The program that compiles policies, built before.
pub(crate) fn compiler() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    let compiler = target.join("spiderpool-policy-compiler");
    assert!(compiler.exists(), "{} is missing: cargo build --package spiderpool-policy-compiler", compiler.display());
    compiler
}

impl Place {
    /// Its built-in policies admit every pool, take the pool `a`, allow every object, and release every address.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builtin = folder.path().join("builtin");
        std::fs::create_dir(&builtin).unwrap();
        std::fs::write(builtin.join("builtin-affinity.wasm"), guest::affinity("")).unwrap();
        std::fs::write(builtin.join("builtin-allocation.wasm"), guest::allocation("a", "")).unwrap();
        std::fs::write(builtin.join("builtin-validation.wasm"), guest::validation("")).unwrap();
        std::fs::write(builtin.join("builtin-retention.wasm"), guest::releasing()).unwrap();
        let host = PolicyHost::open(config(folder.path())).unwrap();
        Self { host, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A policy, its component written to the folder.
    pub(crate) fn policy(&self, name: &str, wasm: &[u8], spec: Value) -> PolicySource {
        std::fs::write(self.path().join(name).with_extension("wasm"), wasm).unwrap();
        let mut whole = json!({"source": {"file": format!("{name}.wasm")}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let spec: SpiderPolicySpec = serde_json::from_value(whole).unwrap();
        PolicySource { name: name.into(), spec, folder: self.path().into() }
    }

    /// Puts one policy in force; what became of it.
    pub(crate) fn apply(&self, policy: PolicySource) -> PolicySummary {
        let name = policy.name.clone();
        let summaries = self.host.apply(vec![policy]);
        summaries.into_iter().find(|summary| summary.name == name).unwrap()
    }

    /// The pools that are tried for a pod, or the error.
    pub(crate) fn decide(&self, pod: &str) -> Result<Vec<String>, String> {
        let decided = self.host.policies().decide(&question(pod));
        let steps = decided.map_err(|error| error.to_string())?.steps;
        Ok(steps.into_iter().flat_map(|step| step.choices).map(|(pool, _)| pool).collect())
    }

    /// What becomes of the addresses of a pod that is gone.
    pub(crate) fn retain(&self, pod: &str) -> Retention {
        self.host.policies().retain(&departure(pod)).unwrap()
    }
}

pub(crate) fn config(folder: &Path) -> HostConfig {
    HostConfig::new(folder.join("builtin"), folder.join("cache"), compiler())
}

/// Two default pools, `a` with 10.0.0.10 to 10.0.0.20 and `b`.
pub(crate) fn pools() -> PoolIndex {
    let pool = |name: &str, ips: &str| -> (SpiderIPPool, IpSet) {
        let object = json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1", "kind": "SpiderIPPool", "metadata": {"name": name},
            "spec": {"subnet": "10.0.0.0/16", "ips": [ips], "default": true},
        });
        (serde_json::from_value(object).unwrap(), IpSet::parse(Family::V4, [ips]).unwrap())
    };
    let (a, b) = (pool("a", "10.0.0.10-10.0.0.20"), pool("b", "10.0.1.10-10.0.1.20"));
    PoolIndex::new([(&a.0, a.1), (&b.0, b.1)])
}

/// What a pod in a namespace labelled `team: red` asks. Only a pod named with 5 letters is answered well by bad guests.
pub(crate) fn question(pod: &str) -> Question {
    Question {
        context: context(pod),
        cni: Cni {
            interface_name: "eth0".into(),
            default_ipv4_pools: Vec::new(),
            default_ipv6_pools: Vec::new(),
            clean_gateway: false,
            match_master_subnet: false,
        },
        pools: Arc::new(pools()),
        room: Box::new(|_| Room { total: 11, free: 11 }),
        masters: Box::new(|_| Ok(Vec::new())),
    }
}

fn context(pod: &str) -> Context {
    let labels = "team=red\n".to_owned();
    Context {
        pod: Pod {
            namespace: "default".into(),
            name: pod.into(),
            uid: "1".into(),
            labels: String::new(),
            annotations: Vec::new(),
            owners: Vec::new(),
        },
        namespace: Namespace { name: "default".into(), labels, annotations: Vec::new() },
        node: Node { name: "node".into(), labels: String::new() },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: None,
            families: vec![types::Family::Ipv4],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    }
}

/// That the same pod is gone, of whose controllers nothing is known.
pub(crate) fn departure(pod: &str) -> Departure {
    let holder =
        Holder { context: context(pod), state: PodState::Gone, owners: Vec::new(), migration: None, extra: Vec::new() };
    Departure { holder, event: Event::Gone }
}
