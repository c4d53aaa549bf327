mod addresses;
mod arranging;
mod levels;

use spiderpool_policy_guide::allocation::{Cni, Request};
use spiderpool_policy_guide::types::{Cluster, Context, Family, Moment, Namespace, Node, Pairs, Pod};

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| (String::from(*key), String::from(*value))).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| String::from(*name)).collect()
}

/// A call for `eth0` of a pod without annotations, both families switched on.
fn request() -> Request {
    let context = Context {
        pod: Pod {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: "uid".into(),
            labels: String::new(),
            annotations: Vec::new(),
            owners: Vec::new(),
        },
        namespace: Namespace { name: "shop".into(), labels: String::new(), annotations: Vec::new() },
        node: Node { name: "node-1".into(), labels: String::new() },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: None,
            families: vec![Family::Ipv4, Family::Ipv6],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    };
    let cni = Cni {
        interface_name: "eth0".into(),
        default_ipv4_pools: Vec::new(),
        default_ipv6_pools: Vec::new(),
        clean_gateway: false,
        match_master_subnet: false,
    };
    Request { context, cni }
}

/// The call of a pod with these annotations.
fn annotated(annotations: &[(&str, &str)]) -> Request {
    let mut request = request();
    request.context.pod.annotations = pairs(annotations);
    request
}
