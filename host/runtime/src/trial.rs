//! A small question to each function before a policy comes into force: what fails always fails here.

use crate::bindings::{
    Admitted, Cidr, Cluster, Cni, Context, Demand, Event, Facts, Family, Holder, IpAddress, IpRange, Judged, Moment,
    Namespace, Nic, Node, Operation, Pod, PodState, Pool, Proposal, Source,
};
use crate::failure::LoadError;
use crate::guest::{Request, Subject};
use crate::loaded::Policy;
use crate::pools::PoolIndex;
use spiderpool_crd::policy::ExtensionPoint;

/// Judges the settings, then asks every function that is in force once. A refusal is a fine answer.
pub(crate) fn run(policy: &Policy) -> Result<(), LoadError> {
    policy.check_settings()?;
    let failed = |function| move |failure| LoadError::Trial { function, failure };
    let (context, cni) = (&context(), &cni());
    if policy.points.contains(&ExtensionPoint::Affinity) {
        let nic = &Nic { name: "eth0".into(), master_addresses: None };
        policy.judge(Subject { context, nic }, &[&pool()]).map_err(failed("affinity.judge"))?;
    }
    if policy.points.contains(&ExtensionPoint::Allocation) {
        let request = Request { context, cni };
        let demands = policy.candidates(request);
        let _refusal = demands.map_err(failed("allocation.candidates"))?.err();
        let steps = policy.arrange(request, &[judged()], &PoolIndex::default());
        let _refusal = steps.map_err(failed("allocation.arrange"))?.err();
    }
    if policy.points.contains(&ExtensionPoint::Validation) {
        policy.review(&proposal(), &facts(), |_| Ok(())).map_err(failed("validation.review"))?;
    }
    if policy.points.contains(&ExtensionPoint::Retention) {
        policy.keep(&holder(), &Event::Gone).map_err(failed("retention.keep"))?;
    }
    Ok(())
}

fn context() -> Context {
    Context {
        pod: Pod {
            namespace: "default".into(),
            name: "trial".into(),
            uid: "00000000-0000-0000-0000-000000000000".into(),
            labels: String::new(),
            annotations: Vec::new(),
            owners: Vec::new(),
        },
        namespace: Namespace { name: "default".into(), labels: String::new(), annotations: Vec::new() },
        node: Node { name: "node".into(), labels: String::new() },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: None,
            families: vec![Family::Ipv4, Family::Ipv6],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    }
}

fn cni() -> Cni {
    Cni {
        interface_name: "eth0".into(),
        default_ipv4_pools: Vec::new(),
        default_ipv6_pools: Vec::new(),
        clean_gateway: false,
        match_master_subnet: false,
    }
}

fn subnet() -> Cidr {
    Cidr { address: IpAddress::Ipv4((192, 0, 2, 0)), prefix_length: 24 }
}

fn pool() -> Pool {
    Pool {
        name: "trial".into(),
        family: Family::Ipv4,
        subnet: subnet(),
        is_default: true,
        node_names: None,
        node_affinity: None,
        namespace_names: None,
        namespace_affinity: None,
        pod_affinity: None,
        multus_names: None,
        labels: None,
        extra: None,
    }
}

fn judged() -> Judged {
    let range = IpRange { first: IpAddress::Ipv4((192, 0, 2, 10)), last: IpAddress::Ipv4((192, 0, 2, 20)) };
    Judged {
        demand: Demand {
            nic: "eth0".into(),
            family: Family::Ipv4,
            sources: vec![Source::ClusterDefault],
            clean_gateway: false,
            match_master_subnet: false,
            origin: "trial".into(),
        },
        pools: vec![Admitted {
            name: "trial".into(),
            subnet: subnet(),
            ranks: vec![0],
            total: 11,
            free: 11,
            ranges: vec![range],
        }],
    }
}

fn proposal() -> Proposal {
    Proposal {
        operation: Operation::Create,
        kind: "SpiderIPPool".into(),
        name: "trial".into(),
        object: br#"{"apiVersion":"spiderpool.spidernet.io/v2beta1","kind":"SpiderIPPool","metadata":{"name":"trial"},"spec":{"subnet":"192.0.2.0/24","ips":["192.0.2.10-192.0.2.20"]}}"#.to_vec(),
        old: None,
        extra: Vec::new(),
    }
}

fn facts() -> Facts {
    Facts {
        families: vec![Family::Ipv4, Family::Ipv6],
        pools: Vec::new(),
        subnets: Vec::new(),
        subnet_feature: false,
        in_use: Vec::new(),
        reserved: Vec::new(),
        guard_deletion: false,
        extra: Vec::new(),
    }
}

fn holder() -> Holder {
    Holder { context: context(), state: PodState::Gone, owners: Vec::new(), migration: None, extra: Vec::new() }
}
