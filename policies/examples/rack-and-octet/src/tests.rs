use spiderpool_policy_guide::address::from_std;
use spiderpool_policy_guide::affinity::{Nic, ReasonKind, Subject, Verdict};
use spiderpool_policy_guide::allocation::{Admitted, Cni, Judged, Pick, Refusal, RefusalKind, Request, Source};
use spiderpool_policy_guide::types::{Cidr, Cluster, Context, Family, Labels, Moment, Namespace, Node, Pod, Pool};
use spiderpool_policy_guide::{Affinity, Allocation, Settings};

use super::RackAndOctet;

const RACK: &str = "topology.example.com/rack";
const LENIENT: &str = r#"{"rackLabel": "topology.example.com/rack"}"#;
const STRICT: &str = r#"{"rackLabel": "topology.example.com/rack", "strict": true}"#;

fn racked(rack: Option<&str>) -> Labels {
    rack.map(|rack| format!("{RACK}={rack}")).unwrap_or_default()
}

/// The pod `shop/db-0` on a node of this rack.
fn context(rack: Option<&str>) -> Context {
    Context {
        pod: Pod {
            namespace: "shop".into(),
            name: "db-0".into(),
            uid: "uid".into(),
            labels: String::new(),
            annotations: Vec::new(),
            owners: Vec::new(),
        },
        namespace: Namespace { name: "shop".into(), labels: String::new(), annotations: Vec::new() },
        node: Node { name: "node-1".into(), labels: racked(rack) },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: None,
            families: vec![Family::Ipv4],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    }
}

fn network() -> Cidr {
    Cidr { address: from_std(std::net::Ipv4Addr::new(10, 0, 0, 0).into()), prefix_length: 24 }
}

fn pool(rack: Option<&str>) -> Pool {
    Pool {
        name: "pool".into(),
        family: Family::Ipv4,
        subnet: network(),
        is_default: false,
        node_names: None,
        node_affinity: None,
        namespace_names: None,
        namespace_affinity: None,
        pod_affinity: None,
        multus_names: None,
        labels: Some(racked(rack)),
        extra: None,
    }
}

fn request() -> Request {
    let cni = Cni {
        interface_name: "eth0".into(),
        default_ipv4_pools: vec!["a".into(), "b-*".into()],
        default_ipv6_pools: Vec::new(),
        clean_gateway: false,
        match_master_subnet: false,
    };
    Request { context: context(None), cni }
}

fn verdict(settings: &str, node: Option<&str>, rack: Option<&str>) -> Verdict {
    let subject = Subject { context: context(node), nic: Nic { name: "eth0".into(), master_addresses: None } };
    let mut verdicts = RackAndOctet::judge(settings.to_owned(), subject, vec![pool(rack)]);
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

#[test]
fn settings_are_judged_by_field() {
    assert_eq!(RackAndOctet::check(LENIENT.to_owned()), Ok(()));
    assert_eq!(RackAndOctet::check(STRICT.to_owned()), Ok(()));
    let cases = [
        ("{}", "rackLabel", "missing field"),
        (r#"{"rackLabel": ""}"#, "rackLabel", "write for example"),
        (r#"{"rackLabel": "a/b/c"}"#, "rackLabel", "not the key of a label"),
        (r#"{"rackLabel": "/rack"}"#, "rackLabel", "not the key of a label"),
        (r#"{"rackLabel": "rack-"}"#, "rackLabel", "not the key of a label"),
        (r#"{"rackLabel": "a rack"}"#, "rackLabel", "not the key of a label"),
        (r#"{"rackLabel": "rack", "strickt": true}"#, "strickt", "expected `rackLabel` or `strict`"),
        (r#"{"rackLabel": "rack", "strict": "yes"}"#, "", "expected a boolean"),
    ];
    for (settings, field, message) in cases {
        let problems = RackAndOctet::check(settings.to_owned()).expect_err(settings);
        assert_eq!(problems[0].field, field, "{settings}");
        assert!(problems[0].message.contains(message), "{settings}: {}", problems[0].message);
    }
}

#[test]
fn the_own_rack_goes_before_no_rack_before_other_racks() {
    let cases = [
        (Some("r1"), Some("r1"), 1),
        (Some("r1"), None, 0),
        (Some("r1"), Some("r2"), -1),
        (None, Some("r1"), -1),
        (None, None, 0),
    ];
    for (node, pool, rank) in cases {
        assert_eq!(verdict(LENIENT, node, pool), Verdict::Admit(rank), "node {node:?}, pool {pool:?}");
    }
}

#[test]
fn strictly_other_racks_are_refused_and_the_person_learns_what_to_change() {
    assert_eq!(verdict(STRICT, Some("r1"), Some("r1")), Verdict::Admit(1));
    assert_eq!(verdict(STRICT, Some("r1"), None), Verdict::Admit(0));
    let cases = [
        (Some("r1"), ["`r2`", "`r1`", "name a pool of that rack"]),
        (None, ["`r2`", "`node-1` has no label", "label the node"]),
    ];
    for (node, parts) in cases {
        let Verdict::Refuse(reason) = verdict(STRICT, node, Some("r2")) else { panic!("admitted: {node:?}") };
        assert_eq!(reason.kind, ReasonKind::Other("rack".to_owned()));
        for part in parts {
            assert!(reason.message.contains(part), "no {part:?} in: {}", reason.message);
        }
    }
}

#[test]
fn candidates_are_those_of_the_builtin_policy() {
    let demands = RackAndOctet::candidates(LENIENT.to_owned(), request()).expect("the CNI configuration names pools");
    assert_eq!(demands, spiderpool_policy_allocation::candidates(&request()).expect("the same"));
    assert_eq!(demands[0].sources, [Source::Pool("a".to_owned()), Source::Matching("b-*".to_owned())]);
}

#[test]
fn a_pod_keeps_its_address_by_name_in_the_builtin_order() {
    let demands = RackAndOctet::candidates(LENIENT.to_owned(), request()).expect("the CNI configuration names pools");
    let admitted = |name: &str, rank| Admitted {
        name: name.to_owned(),
        subnet: network(),
        ranks: vec![rank],
        total: 10,
        free: 5,
        ranges: Vec::new(),
    };
    let pools = vec![admitted("other-rack", -1), admitted("own-rack", 1)];
    let judged = demands.into_iter().map(|demand| Judged { demand, pools: pools.clone() }).collect();
    let steps = RackAndOctet::arrange(LENIENT.to_owned(), request(), judged).expect("both pools have room");
    let choices: Vec<_> = steps[0].choices.iter().map(|choice| (choice.pool.as_str(), &choice.pick)).collect();
    let sticky = Pick::Sticky("shop/db-0".to_owned());
    assert_eq!(choices, [("own-rack", &sticky), ("other-rack", &sticky)]);
}

#[test]
fn wrong_settings_are_an_answer_to_every_question() {
    let Verdict::Refuse(reason) = verdict("{}", None, None) else { panic!("admitted") };
    assert_eq!(reason.kind, ReasonKind::Malformed);
    let refused = |refusal: Refusal| {
        assert_eq!(refusal.kind, RefusalKind::Other("settings".to_owned()));
        assert!(refusal.message.starts_with("rackLabel: "), "{}", refusal.message);
    };
    refused(RackAndOctet::candidates("{}".to_owned(), request()).expect_err("no settings"));
    refused(RackAndOctet::arrange("{}".to_owned(), request(), Vec::new()).expect_err("no settings"));
}
