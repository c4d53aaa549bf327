//! The verbs of the IPAM plugin, in pods of the tests' own: what is asked of the agent, and what becomes of its answer.

mod peer;

use std::thread;
use std::time::Duration;

use peer::{Asked, Node, Pod, Reply, call, variables};
use serde_json::{Value, json};

fn ip(address: &str, nic: &str, gateway: &str) -> Value {
    let version = if address.contains(':') { 6 } else { 4 };
    json!({"version": version, "address": address, "nic": nic, "gateway": gateway, "ipPool": "p"})
}

/// Answers the ADD with `ips`, and whatever follows with success.
fn giving(ips: Value) -> impl Fn(usize) -> Reply + Send + 'static {
    move |n| match n {
        0 => Reply::Well(json!({"ips": ips, "routes": [
            {"ifName": "eth0", "dst": "0.0.0.0/0", "gw": "10.6.0.1"},
            {"ifName": "net1", "dst": "10.0.0.0/8", "gw": "10.7.0.1"},
        ]})),
        _ => Reply::Done,
    }
}

fn sandbox() -> Value {
    json!({"containerID": "abc", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c"})
}

/// The fields of `sandbox` and `more`.
fn with(more: Value) -> Value {
    let mut all = sandbox();
    all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    all
}

#[test]
fn add_asks_once_and_prints_what_is_for_this_interface() {
    let (node, pod) = (Node::new(), Pod::new());
    let ips = json!([
        ip("10.6.0.5/16", "eth0", "10.6.0.1"),
        ip("10.7.0.5/16", "net1", "10.7.0.1"),
        ip("fd00::5/64", "eth0", "fd00::1")
    ]);
    let asked = node.agent(giving(ips));
    let result = call(&variables("ADD", &pod.netns()), &node.network("0.4.0", json!({}))).well();
    assert_eq!(
        result,
        json!({
            "cniVersion": "0.4.0",
            "ips": [
                {"version": "4", "address": "10.6.0.5/16", "gateway": "10.6.0.1"},
                {"version": "6", "address": "fd00::5/64", "gateway": "fd00::1"},
            ],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.6.0.1"}],
            "dns": {},
        })
    );
    let requests: Vec<Asked> = asked.try_iter().collect();
    let body = with(json!({
        "ifName": "eth0", "netNamespace": pod.netns(), "defaultIPv4IPPool": ["p4"], "network": "underlay",
    }));
    assert_eq!(requests, [("POST /v1/ipam/ip".to_owned(), body)]);
    assert!(node.log().contains("got 10.6.0.5/16, fd00::5/64 after"), "{}", node.log());
}

#[test]
fn an_agents_no_reaches_the_runtime() {
    let (node, pod) = (Node::new(), Pod::new());
    let _asked = node.agent(|_| Reply::No("exhausted", "all IP addresses used out: pool p4"));
    let ended = call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).error();
    assert_eq!(ended, (104, "all IP addresses used out: pool p4".to_owned(), String::new()));
}

#[test]
fn addresses_of_other_interfaces_only_are_an_error_and_given_back() {
    let (node, pod) = (Node::new(), Pod::new());
    let asked = node.agent(giving(json!([ip("10.7.0.5/16", "net1", "10.7.0.1")])));
    let (code, msg, details) = call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).error();
    assert_eq!((code, msg.as_str()), (105, "no Interface eth0 IP allocation found"));
    assert!(details.starts_with("the agent gave addresses to net1; does the annotation"), "{details}");
    let back = ("DELETE /v1/ipam/ip".to_owned(), with(json!({"ifName": "eth0", "netNamespace": pod.netns()})));
    assert_eq!(asked.try_iter().nth(1), Some(back));
}

#[test]
fn a_conflict_is_reported_given_back_and_named() {
    let (pod, neighbour) = Pod::with_neighbour();
    neighbour.ip("addr add 10.6.0.5/16 dev eth0");
    let node = Node::new();
    let mut four = ip("10.6.0.5/16", "eth0", "10.6.0.1");
    four["enableIPConflictDetection"] = true.into();
    let mut six = ip("fd00::5/64", "eth0", "fd00::1");
    six["enableIPConflictDetection"] = true.into();
    let asked = node.agent(giving(json!([four, six])));
    let (code, msg, details) = call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).error();
    assert_eq!((code, msg.as_str()), (106, "ip conflict on eth0: 10.6.0.5 (pool p) is in use by 02:00:00:00:00:09"));
    assert!(details.starts_with("the next attempt gets another address"), "{details}");
    let after: Vec<Asked> = asked.try_iter().skip(1).collect();
    let conflict = with(json!({
        "netNamespace": pod.netns(), "isReleaseConflictIPs": true,
        "conflicts": [{"address": "10.6.0.5", "mac": "02:00:00:00:00:09"}],
    }));
    let back = with(json!({"ifName": "eth0", "netNamespace": pod.netns()}));
    assert_eq!(after, [("DELETE /v1/ipam/ips".to_owned(), conflict), ("DELETE /v1/ipam/ip".to_owned(), back)]);
}

#[test]
fn a_gateway_that_does_not_answer_is_named_and_one_that_does_is_fine() {
    let (pod, neighbour) = Pod::with_neighbour();
    neighbour.ip("addr add 10.6.0.1/16 dev eth0");
    for (gateway, code) in [("10.6.0.1", None), ("10.6.0.2", Some(107))] {
        let node = Node::new();
        let mut four = ip("10.6.0.5/16", "eth0", gateway);
        four["enableGatewayDetection"] = true.into();
        let asked = node.agent(giving(json!([four])));
        let ended = call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({})));
        match code {
            None => assert_eq!(ended.well()["ips"][0]["gateway"], gateway),
            Some(code) => {
                let (number, msg, details) = ended.error();
                assert_eq!((number, msg.as_str()), (code, "gateway 10.6.0.2 is unreachable"));
                assert!(details.contains("is spec.gateway of pool p right"), "{details}");
                let after: Vec<_> = asked.try_iter().skip(1).map(|(target, _)| target).collect();
                assert_eq!(after, ["DELETE /v1/ipam/ip"], "nothing is put aside");
            }
        }
    }
}

#[test]
fn detection_is_skipped_where_the_interface_comes_later() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut four = ip("10.6.0.5/16", "eth0", "10.6.0.1");
    four["enableIPConflictDetection"] = true.into();
    let _asked = node.agent(giving(json!([four])));
    call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).well();
    assert!(node.log().contains("conflict and gateway detection are skipped"), "{}", node.log());
}

#[test]
fn neighbours_learn_of_the_address() {
    let (pod, neighbour) = Pod::with_neighbour();
    neighbour.ip("addr add 10.6.0.9/16 dev eth0");
    neighbour.ip("neigh add 10.6.0.5 lladdr 02:00:00:00:00:77 dev eth0 nud stale");
    let node = Node::new();
    let _asked = node.agent(giving(json!([ip("10.6.0.5/16", "eth0", "10.6.0.1")])));
    call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).well();
    let link: Value = serde_json::from_str(&pod.ip("-j link show eth0")).unwrap();
    let mac = link[0]["address"].as_str().unwrap();
    let known = (0..50).any(|_| {
        thread::sleep(Duration::from_millis(10));
        neighbour.ip("neigh show 10.6.0.5").contains(mac)
    });
    assert!(known, "{} is not {mac}; {}", neighbour.ip("neigh show"), node.log());
}

#[test]
fn del_needs_neither_namespace_nor_pod_and_is_content_with_nothing() {
    let node = Node::new();
    let asked = node.agent(|n| match n {
        0 => Reply::No("not-found", "there is nothing"),
        1 => Reply::Done,
        _ => Reply::No("internal", "the disk is full"),
    });
    let variables = &variables("DEL", "")[..3];
    let network = node.network("0.3.0", json!({}));
    for _ in 0..2 {
        let ended = call(variables, &network);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    }
    assert_eq!(call(variables, &network).error().1, "the disk is full");
    let body = json!({"containerID": "abc", "ifName": "eth0", "podNamespace": "", "podName": "", "podUID": ""});
    assert_eq!(asked.try_iter().next(), Some(("DELETE /v1/ipam/ip".to_owned(), body)));
}

#[test]
fn check_compares_promise_ledger_and_interface() {
    let (pod, _neighbour) = Pod::with_neighbour();
    pod.ip("addr add 10.6.0.5/16 dev eth0");
    let promise = |address: &str| {
        json!({"prevResult": {
            "cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": pod.netns()}],
            "ips": [{"address": address, "interface": 0}],
        }})
    };
    let cases = [
        ("10.6.0.5/16", "10.6.0.5/16", None),
        (
            "10.6.0.5/16",
            "10.6.0.7/16",
            Some("the ledger does not hold 10.6.0.5/16 for eth0 of this sandbox any more".to_owned()),
        ),
        ("10.6.0.7/16", "10.6.0.7/16", Some(format!("10.6.0.7/16 is not on eth0 in {} any more", pod.netns()))),
    ];
    for (promised, held, wrong) in cases {
        let node = Node::new();
        let held = json!({"ips": [ip(held, "eth0", "10.6.0.1")]});
        let asked = node.agent(move |_| Reply::Well(held.clone()));
        let ended = call(&variables("CHECK", &pod.netns()), &node.network("1.0.0", promise(promised)));
        match wrong {
            None => assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "")),
            Some(wrong) => assert_eq!(ended.error(), (109, wrong, "delete the pod so that it is made again".into())),
        }
        let target = "GET /v1/ipam/ip?containerID=abc&ifName=eth0&podNamespace=shop&podName=web-0&podUID=6b1c";
        assert_eq!(asked.try_iter().next(), Some((target.to_owned(), Value::Null)));
    }
    let node = Node::new();
    let _asked = node.agent(|_| Reply::No("not-found", "the ledger holds no address for eth0"));
    let network = node.network("1.0.0", promise("10.6.0.5/16"));
    assert_eq!(call(&variables("CHECK", &pod.netns()), &network).error().0, 109);
    let missing = call(&variables("CHECK", &pod.netns()), &node.network("1.0.0", json!({}))).error();
    assert_eq!((missing.0, missing.1.as_str()), (7, "the network configuration has no prevResult"));
}

#[test]
fn status_says_whether_an_add_could_succeed() {
    for (ready, code) in [(true, None), (false, Some(50))] {
        let node = Node::new();
        let asked = node.agent(move |_| Reply::Well(json!({"ready": ready, "reason": "no pool has room"})));
        let ended = call(&[("CNI_COMMAND", "STATUS")], &node.network("1.1.0", json!({})));
        match code {
            None => assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "")),
            Some(code) => assert_eq!(ended.error(), (code, "no pool has room".into(), String::new())),
        }
        assert_eq!(asked.try_iter().next(), Some(("GET /v1/ipam/status".to_owned(), Value::Null)));
    }
}

#[test]
fn gc_tells_the_agent_what_is_left() {
    let node = Node::new();
    let asked = node.agent(|_| Reply::Well(json!({"released": 2})));
    let valid = json!({"cni.dev/valid-attachments": [{"containerID": "abc", "ifname": "eth0"}]});
    let ended = call(&[("CNI_COMMAND", "GC")], &node.network("1.1.0", valid));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""));
    let body = json!({"network": "underlay", "validAttachments": [{"containerID": "abc", "ifName": "eth0"}]});
    assert_eq!(asked.try_iter().next(), Some(("POST /v1/ipam/gc".to_owned(), body)));
    assert!(node.log().contains("released 2 addresses"), "{}", node.log());
    let missing = call(&[("CNI_COMMAND", "GC")], &node.network("1.1.0", json!({}))).error();
    assert_eq!((missing.0, missing.1.as_str()), (7, "the network configuration has no cni.dev/valid-attachments"));
}
