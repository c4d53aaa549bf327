use spiderpool_policy_guide::address::from_std;
use spiderpool_policy_guide::affinity::{Nic, Reason, ReasonKind, Subject, Verdict};
use spiderpool_policy_guide::types::*;

use super::judge;

/// Labels, as the contract has them.
fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Annotations, as the contract has them.
fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| (String::from(*key), String::from(*value))).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| String::from(*name)).collect()
}

fn labelled(wanted: &[(&str, &str)]) -> Option<Selector> {
    Some(Selector { match_labels: (!wanted.is_empty()).then(|| labels(wanted)), match_expressions: None })
}

fn address(text: &str) -> IpAddress {
    from_std(text.parse().expect(text))
}

/// A pod `web-0` of the StatefulSet `web` in `shop`, on `node-1`, for `eth0`.
fn subject() -> Subject {
    let owner =
        Owner { api_version: "apps/v1".into(), kind: "StatefulSet".into(), name: "web".into(), uid: "owner".into() };
    let pod = Pod {
        namespace: "shop".into(),
        name: "web-0".into(),
        uid: "pod".into(),
        labels: labels(&[("app", "web")]),
        annotations: Vec::new(),
        owners: vec![owner],
    };
    let cluster = Cluster {
        install_namespace: "kube-system".into(),
        default_network: None,
        families: vec![Family::Ipv4, Family::Ipv6],
        subnets: false,
    };
    let context = Context {
        pod,
        namespace: Namespace { name: "shop".into(), labels: labels(&[("team", "red")]), annotations: Vec::new() },
        node: Node { name: "node-1".into(), labels: labels(&[("zone", "a")]) },
        cluster,
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    };
    Subject { context, nic: Nic { name: "eth0".into(), master_addresses: None } }
}

/// A pool that names nothing.
fn pool() -> Pool {
    Pool {
        name: "pool".into(),
        family: Family::Ipv4,
        subnet: Cidr { address: address("10.0.0.0"), prefix_length: 16 },
        is_default: false,
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

fn verdict(subject: &Subject, pool: Pool) -> Verdict {
    let mut verdicts = judge(subject, &[pool]);
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

#[track_caller]
fn admitted(subject: &Subject, pool: Pool, rank: i32) {
    assert_eq!(verdict(subject, pool), Verdict::Admit(rank));
}

/// `parts` are pieces of the sentence that a person must find in it.
#[track_caller]
fn refused(subject: &Subject, pool: Pool, kind: &ReasonKind, parts: &[&str]) {
    let Verdict::Refuse(Reason { kind: found, message }) = verdict(subject, pool) else {
        panic!("admitted, and should not be: {parts:?}")
    };
    assert_eq!(&found, kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn a_pool_that_names_nothing_serves_everybody_last() {
    admitted(&subject(), pool(), 0);
}

#[test]
fn verdicts_come_in_the_order_of_the_pools() {
    let pools = [
        pool(),
        Pool { node_names: Some(names(&["other"])), ..pool() },
        Pool { node_names: Some(names(&["node-1"])), ..pool() },
    ];
    let verdicts = judge(&subject(), &pools);
    assert!(matches!(verdicts[..], [Verdict::Admit(0), Verdict::Refuse(_), Verdict::Admit(16)]), "{verdicts:?}");
}

#[test]
fn nodes_by_name_beat_nodes_by_label() {
    let here = labelled(&[("zone", "a")]);
    let elsewhere = labelled(&[("zone", "b")]);
    let listed = names(&["node-0", "node-1"]);
    let subject = subject();
    admitted(&subject, Pool { node_affinity: here.clone(), ..pool() }, 8);
    admitted(&subject, Pool { node_names: Some(listed.clone()), ..pool() }, 16);
    admitted(&subject, Pool { node_names: Some(listed), node_affinity: elsewhere.clone(), ..pool() }, 24);
    refused(
        &subject,
        Pool { node_names: Some(names(&["node-0"])), node_affinity: here, ..pool() },
        &ReasonKind::Node,
        &["`node-0`", "spec.nodeName", "the pod's node is `node-1`"],
    );
    refused(
        &subject,
        Pool { node_affinity: elsewhere, ..pool() },
        &ReasonKind::Node,
        &["the node `node-1`", "spec.nodeAffinity", "`zone` must be `b` and is `a`"],
    );
}

#[test]
fn namespaces_by_name_beat_namespaces_by_label() {
    let ours = labelled(&[("team", "red")]);
    let theirs = labelled(&[("team", "blue")]);
    let subject = subject();
    admitted(&subject, Pool { namespace_affinity: ours.clone(), ..pool() }, 2);
    admitted(
        &subject,
        Pool { namespace_names: Some(names(&["shop"])), namespace_affinity: theirs.clone(), ..pool() },
        6,
    );
    refused(
        &subject,
        Pool { namespace_names: Some(names(&["other"])), namespace_affinity: ours, ..pool() },
        &ReasonKind::Namespace,
        &["`other`", "spec.namespaceName", "the pod's namespace is `shop`"],
    );
    refused(
        &subject,
        Pool { namespace_affinity: theirs, ..pool() },
        &ReasonKind::Namespace,
        &["spec.namespaceAffinity", "`team` must be `blue` and is `red`"],
    );
}

#[test]
fn pods_by_label() {
    let subject = subject();
    admitted(&subject, Pool { pod_affinity: labelled(&[("app", "web")]), ..pool() }, 32);
    let absent = Requirement { key: "gone".into(), operator: Operator::NotIn, values: names(&["a"]) };
    let selector = Selector { match_labels: None, match_expressions: Some(vec![absent]) };
    admitted(&subject, Pool { pod_affinity: Some(selector), ..pool() }, 32);
    refused(
        &subject,
        Pool { pod_affinity: labelled(&[("app", "db")]), ..pool() },
        &ReasonKind::Pod,
        &["the pod `web-0`", "spec.podAffinity", "`app` must be `db` and is `web`"],
    );
}

/// A pool that was created for the application `(group, version, kind, namespace, name)`.
fn created_for(application: [&str; 5]) -> Pool {
    let keys = ["app-api-group", "app-api-version", "app-kind", "app-namespace", "app-name"];
    let match_labels =
        keys.iter().zip(application).map(|(key, value)| format!("ipam.spidernet.io/{key}={value}\n")).collect();
    Pool {
        labels: Some(labels(&[("ipam.spidernet.io/owner-application-name", application[4])])),
        pod_affinity: Some(Selector { match_labels: Some(match_labels), match_expressions: None }),
        ..pool()
    }
}

#[test]
fn pools_of_an_application_serve_its_pods_alone() {
    let subject = subject();
    let web = ["apps", "v1", "StatefulSet", "shop", "web"];
    admitted(&subject, created_for(web), 32);
    for (part, other) in ["batch", "v2", "Deployment", "other", "db"].into_iter().enumerate() {
        let mut application = web;
        application[part] = other;
        refused(
            &subject,
            created_for(application),
            &ReasonKind::Pod,
            &["created for the application", other, "shop/web"],
        );
    }
    let mut incomplete = created_for(web);
    let wanted = incomplete.pod_affinity.as_mut().and_then(|affinity| affinity.match_labels.as_mut()).unwrap();
    *wanted = wanted.lines().skip(1).collect::<Vec<_>>().join("\n");
    refused(&subject, incomplete, &ReasonKind::Pod, &["created for the application"]);
}

#[test]
fn applications_of_the_core_group_match_like_any_other() {
    let mut subject = subject();
    let controller =
        Owner { api_version: "v1".into(), kind: "ReplicationController".into(), name: "old".into(), uid: "u".into() };
    subject.context.pod.owners.push(controller);
    admitted(&subject, created_for(["", "v1", "ReplicationController", "shop", "old"]), 32);
    subject.context.pod.owners.clear();
    admitted(&subject, created_for(["", "v1", "Pod", "shop", "web-0"]), 32);
}

#[test]
fn pools_of_an_application_keep_their_other_conditions() {
    let mut subject = subject();
    let web = created_for(["apps", "v1", "StatefulSet", "shop", "web"]);
    subject.context.cluster.default_network = Some("kube-system/lan".into());
    refused(&subject, Pool { multus_names: Some(names(&["wan"])), ..web.clone() }, &ReasonKind::Network, &["`wan`"]);
    subject.nic.master_addresses = Some(vec![address("192.168.0.1")]);
    refused(&subject, web, &ReasonKind::MasterSubnet, &["192.168.0.1"]);
}

#[test]
fn the_first_interface_takes_the_pods_network_else_the_clusters() {
    let lan = || Pool { multus_names: Some(names(&["lan", "shop/extra"])), ..pool() };
    let mut subject = subject();
    admitted(&subject, pool(), 0);
    refused(&subject, lan(), &ReasonKind::Network, &["not known", "v1.multus-cni.io/default-network"]);
    subject.context.cluster.default_network = Some("kube-system/lan".into());
    admitted(&subject, lan(), 1);
    let cases = [
        ("lan", true),
        ("kube-system/lan@eth0", true),
        ("lan, wan", true),
        (r#"[{"name": "lan"}]"#, true),
        (r#"[{"name": "extra", "namespace": "shop", "mac": "02:00:00:00:00:01"}]"#, true),
        (r#"[{"name": "lan", "namespace": ""}]"#, true),
        ("extra", false),
        ("wan, lan", false),
        ("shop/lan", false),
    ];
    for (annotation, serves) in cases {
        subject.context.pod.annotations = pairs(&[("v1.multus-cni.io/default-network", annotation)]);
        if serves {
            admitted(&subject, lan(), 1);
        } else {
            refused(&subject, lan(), &ReasonKind::Network, &["`lan`, `shop/extra`", "pod annotation"]);
        }
    }
}

#[test]
fn further_interfaces_are_found_by_name() {
    let cases = [
        ("lan", "net1", Some("shop/lan")),
        ("lan,kube-system/wan", "net2", Some("kube-system/wan")),
        ("lan@fast0, wan", "fast0", Some("shop/lan")),
        ("lan@fast0, wan", "net2", Some("shop/wan")),
        ("lan@fast0, wan", "net1", None),
        (r#"[{"name": "lan"}, {"name": "wan", "namespace": "net", "interface": "eth1"}]"#, "eth1", Some("net/wan")),
        (r#"[{"name": "lan", "ips": ["10.0.0.1/24"], "default-route": []}]"#, "net1", Some("shop/lan")),
        ("lan", "net2", None),
        ("lan", "net01", None),
        ("", "net1", None),
    ];
    for (annotation, nic, expected) in cases {
        let mut subject = subject();
        subject.nic.name = nic.into();
        subject.context.pod.annotations = pairs(&[("k8s.v1.cni.cncf.io/networks", annotation)]);
        let network = expected.unwrap_or("shop/lan");
        let pool = Pool { multus_names: Some(names(&[network])), ..pool() };
        match expected {
            Some(_) => admitted(&subject, pool, 1),
            None => refused(&subject, pool, &ReasonKind::Network, &["no entry for the interface", nic]),
        }
    }
}

#[test]
fn networks_that_cannot_be_read_are_explained() {
    let cases = [
        ("Lan", "`Lan` is not a name"),
        ("-lan", "`-lan` is not a name"),
        ("a/b/c", "`b/c` is not a name"),
        ("lan@a-very-long-interface", "`a-very-long-interface` is not an interface name"),
        ("lan@a/b", "`a/b` is not an interface name"),
        ("lan,,wan", "`` is not a name"),
        (r#"[{"namespace": "shop"}]"#, "missing field `name`"),
        (r#"{"name": "lan"}"#, "invalid type: map, expected a sequence"),
        (r#"[{"name": "lan""#, "EOF while parsing"),
    ];
    for (annotation, error) in cases {
        let mut subject = subject();
        subject.nic.name = "net1".into();
        subject.context.pod.annotations = pairs(&[("k8s.v1.cni.cncf.io/networks", annotation)]);
        admitted(&subject, pool(), 0);
        let demanding = Pool { multus_names: Some(names(&["lan"])), ..pool() };
        refused(
            &subject,
            demanding,
            &ReasonKind::Malformed,
            &["k8s.v1.cni.cncf.io/networks", error, "write for example"],
        );
    }
}

#[test]
fn a_default_network_that_names_nothing_is_explained() {
    for annotation in ["", "[]"] {
        let mut subject = subject();
        subject.context.pod.annotations = pairs(&[("v1.multus-cni.io/default-network", annotation)]);
        let demanding = Pool { multus_names: Some(names(&["lan"])), ..pool() };
        refused(&subject, demanding, &ReasonKind::Malformed, &["it names no network"]);
    }
}

#[test]
fn the_parent_device_must_be_in_the_pools_network_when_asked() {
    let mut subject = subject();
    subject.nic.master_addresses = Some(vec![address("fd00::1"), address("10.0.3.4")]);
    admitted(&subject, pool(), 0);
    subject.nic.master_addresses = Some(vec![address("10.1.0.1")]);
    refused(&subject, pool(), &ReasonKind::MasterSubnet, &["10.0.0.0/16", "`10.1.0.1`", "match_master_subnet"]);
    subject.nic.master_addresses = Some(Vec::new());
    refused(&subject, pool(), &ReasonKind::MasterSubnet, &["the device has none"]);
}

#[test]
fn the_more_telling_condition_goes_first_whatever_the_others_say() {
    let mut subject = subject();
    subject.context.cluster.default_network = Some("kube-system/lan".into());
    let all = Pool {
        pod_affinity: labelled(&[("app", "web")]),
        node_names: Some(names(&["node-1"])),
        node_affinity: labelled(&[]),
        namespace_names: Some(names(&["shop"])),
        namespace_affinity: labelled(&[]),
        multus_names: Some(names(&["lan"])),
        ..pool()
    };
    admitted(&subject, Pool { pod_affinity: None, ..all.clone() }, 31);
    admitted(&subject, Pool { pod_affinity: all.pod_affinity.clone(), ..pool() }, 32);
    admitted(&subject, all, 63);
}

#[test]
fn the_first_rule_that_fails_is_the_one_that_is_told() {
    let nowhere = Pool {
        node_names: Some(names(&["other"])),
        namespace_names: Some(names(&["other"])),
        pod_affinity: labelled(&[("app", "other")]),
        multus_names: Some(names(&["other"])),
        ..pool()
    };
    let subject = subject();
    refused(&subject, nowhere.clone(), &ReasonKind::Node, &[]);
    let nowhere = Pool { node_names: None, ..nowhere };
    refused(&subject, nowhere.clone(), &ReasonKind::Namespace, &[]);
    let nowhere = Pool { namespace_names: None, ..nowhere };
    refused(&subject, nowhere.clone(), &ReasonKind::Pod, &[]);
    refused(&subject, Pool { pod_affinity: None, ..nowhere }, &ReasonKind::Network, &[]);
}

#[test]
fn messages_stay_within_the_contract() {
    let long = "n".repeat(2000);
    let crowd = Pool { node_names: Some(names(&[long.as_str(); 100])), ..pool() };
    let Verdict::Refuse(reason) = verdict(&subject(), crowd) else { panic!("admitted") };
    assert!(reason.message.len() <= 4096, "{}", reason.message.len());
}
