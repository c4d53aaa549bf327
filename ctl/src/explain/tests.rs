use expect_test::expect;
use serde_json::{Value, json};

use super::*;

fn explain(explanation: Value) -> String {
    text(&serde_json::from_value(explanation).unwrap())
}

#[test]
fn a_decision_is_told_from_candidates_to_verdict() {
    let text = explain(json!({
        "pod": "shop/batch-1",
        "demands": [
            {
                "interface": "eth0", "family": 4, "origin": "pod annotation ipam.spidernet.io/ippool",
                "candidates": [
                    {"pool": "rack-a-v4", "admitted": [{"policy": "rack", "rank": 0}, {"policy": "builtin-affinity", "rank": 0}]},
                    {"pool": "rack-b-v4", "admitted": [{"policy": "rack", "rank": 10}, {"policy": "builtin-affinity", "rank": 0}]},
                    {"pool": "full-v4", "admitted": [{"policy": "rack", "rank": 0}, {"policy": "builtin-affinity", "rank": 0}]},
                    {"pool": "cache-v4", "refused": {"policy": "builtin-affinity", "reason": "the pod has no label app=cache"}},
                    {"pool": "old", "refused": {"reason": "it is being deleted"}},
                ],
                "plan": [
                    {"pool": "rack-b-v4", "pick": {"sticky": "batch-1"}},
                    {"pool": "rack-a-v4", "pick": "lowest"},
                ],
                "skipped": [{"pool": "full-v4", "reason": "all 16 addresses are held"}],
            },
            {
                "interface": "eth0", "family": 6, "origin": "cluster default",
                "candidates": [{"pool": "default-v6", "admitted": []}],
                "plan": [{"pool": "default-v6", "pick": {"exactly": ["fd00::1", "fd00::2"]}}],
            },
        ],
    }));
    expect![[r#"
        Pod shop/batch-1

        eth0 IPv4, pools from: pod annotation ipam.spidernet.io/ippool
          ✓ rack-a-v4  admitted, ranks: rack 0, builtin-affinity 0
          ✓ rack-b-v4  admitted, ranks: rack 10, builtin-affinity 0
          - full-v4    passed over: all 16 addresses are held
          ✗ cache-v4   refused by builtin-affinity: the pod has no label app=cache
          ✗ old        left out: it is being deleted
          tried in this order:
            1. rack-b-v4  the address that belongs to the key "batch-1", or the next free one
            2. rack-a-v4  the lowest free address

        eth0 IPv6, pools from: cluster default
          ✓ default-v6  admitted
          tried in this order:
            1. default-v6  the first free one of fd00::1, fd00::2

        The pod would get an IPv4 address for eth0 from rack-b-v4 (or the pool after it) and an IPv6 address for eth0 from default-v6.
    "#]].assert_eq(&text);
}

#[test]
fn a_refusal_is_the_last_word() {
    let text = explain(json!({
        "pod": "shop/intruder",
        "demands": [{
            "interface": "eth0", "family": 4, "origin": "cluster default",
            "candidates": [{"pool": "a", "refused": {"policy": "builtin-affinity", "reason": "it is for node n2"}}],
        }],
        "refusal": "no pool may serve eth0 IPv4; widen the affinity of a pool or name another one",
    }));
    expect![[r#"
        Pod shop/intruder

        eth0 IPv4, pools from: cluster default
          ✗ a  refused by builtin-affinity: it is for node n2

        Refused: no pool may serve eth0 IPv4; widen the affinity of a pool or name another one
    "#]]
    .assert_eq(&text);
    let text = explain(json!({"pod": "shop/a", "demands": [], "refusal": "there is no such pod"}));
    expect![[r#"
        Pod shop/a

        Refused: there is no such pod
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_is_kept_for_the_pod_is_told_before_what_is_chosen() {
    let demand = |family: u8| {
        json!({"interface": "eth0", "family": family, "origin": "cluster default",
            "candidates": [{"pool": "p", "admitted": []}], "plan": [{"pool": "p", "pick": "lowest"}]})
    };
    let text = explain(json!({
        "pod": "shop/web-0",
        "demands": [demand(4), demand(6)],
        "kept": [
            {"interface": "eth0", "address": "10.6.0.5", "pool": "p", "from": "f00"},
            {"interface": "net1", "address": "10.7.0.5", "pool": "q"},
        ],
    }));
    let told = text.lines().last().unwrap_or_default();
    expect![[r#"
        The pod would get 10.6.0.5 for eth0 from p, which the pod before it left (uid f00), 10.7.0.5 for net1 from q, which it has and an IPv6 address for eth0 from p."#]]
    .assert_eq(told);
}

#[test]
fn many_addresses_are_listed_in_one_sentence() {
    let demand = |interface: &str| {
        json!({"interface": interface, "family": 4, "origin": "cluster default", "candidates": [],
               "plan": [{"pool": "a", "pick": "lowest"}, {"pool": "b", "pick": "spread"}, {"pool": "c", "pick": "lowest"}]})
    };
    let text = explain(json!({"pod": "s/p", "demands": [demand("eth0"), demand("net1"), demand("net2")]}));
    expect!["The pod would get an IPv4 address for eth0 from a (or the pools after it), an IPv4 address for net1 from a (or the pools after it) and an IPv4 address for net2 from a (or the pools after it)."].assert_eq(text.lines().last().unwrap());
}
