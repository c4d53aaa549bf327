use super::*;
use CauseKind::{Duplicate, Forbidden, Invalid, NotSupported, Required};

/// The spec of a plain pool with `fields` in it or instead.
fn with(fields: &Value) -> Value {
    let mut spec = json!({"subnet": "10.6.0.0/16", "ips": ["10.6.0.10-10.6.0.20"]});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    pool(&spec)
}

fn assert_table(facts: &Facts, cases: &[(Value, Expected<'_>)]) {
    for (fields, expected) in cases {
        let reviewed = create(&with(fields), facts);
        match expected {
            [] => assert!(reviewed.is_ok(), "{fields}: {reviewed:?}"),
            causes => assert_denied(reviewed, causes, &fields.to_string()),
        }
    }
}

#[test]
fn family_and_subnet() {
    let cases: [(Value, Expected<'_>); 13] = [
        (json!({}), &[]),
        (json!({"ipVersion": 4}), &[]),
        (json!({"subnet": "fd00::/64", "ips": ["fd00::1-fd00::ffff"], "ipVersion": 6}), &[]),
        (json!({"ipVersion": 5}), &[("spec.ipVersion", NotSupported, "`5` is no IP version; write 4 or 6")]),
        (json!({"ipVersion": "4"}), &[("spec.ipVersion", NotSupported, "`\"4\"` is no IP version")]),
        (json!({"ipVersion": 6}), &[("spec.subnet", Invalid, "10.6.0.0/16 is IPv4, and spec.ipVersion says 6")]),
        (json!({"subnet": null}), &[("spec.subnet", Required, "write its CIDR")]),
        (json!({"subnet": 7}), &[("spec.subnet", Invalid, "`7` is not text")]),
        (json!({"subnet": "10.6.0.0"}), &[("spec.subnet", Invalid, "\"10.6.0.0\" is not a CIDR")]),
        (json!({"subnet": "10.6.0.0/33"}), &[("spec.subnet", Invalid, "33")]),
        (json!({"subnet": "10.6.0.1/16"}), &[("spec.subnet", Invalid, "please change it to 10.6.0.0/16")]),
        (json!({"subnet": "fd00:0::/64"}), &[("spec.subnet", Invalid, "please change it to fd00::/64")]),
        (json!({"subnet": "10.6.0.1/16", "gateway": "x"}), &[("spec.subnet", Invalid, "unformatted subnet")]),
    ];
    assert_table(&facts(), &cases);
    let only_v6 = Facts { families: vec![types::Family::Ipv6], ..facts() };
    let cases: [(Value, Expected<'_>); 2] = [
        (json!({}), &[("spec.ipVersion", Forbidden, "IPv4 is disabled; set enableIPv4 to true")]),
        (json!({"subnet": "fd00::/64", "ips": []}), &[]),
    ];
    assert_table(&only_v6, &cases);
}

#[test]
fn networks_of_pools_are_the_same_or_share_nothing() {
    let facts = Facts { pools: vec![peer("wide", "10.6.0.0/16", &[]), peer("other", "10.6.0.0/24", &[])], ..facts() };
    let cases: [(Value, Expected<'_>); 4] = [
        (json!({"subnet": "10.7.0.0/16", "ips": []}), &[]),
        (json!({}), &[("spec.subnet", Invalid, "10.6.0.0/16 overlaps 10.6.0.0/24 of IPPool other")]),
        (
            json!({"subnet": "10.6.0.0/24", "ips": ["bad"]}),
            &[("spec.subnet", Invalid, "10.6.0.0/24 overlaps 10.6.0.0/16 of IPPool wide")],
        ),
        (
            json!({"subnet": "10.0.0.0/8"}),
            &[("spec.subnet", Invalid, "IPPool wide"), ("spec.subnet", Invalid, "IPPool other")],
        ),
    ];
    assert_table(&facts, &cases);
}

#[test]
fn addresses() {
    let cases: [(Value, Expected<'_>); 17] = [
        (json!({"ips": []}), &[]),
        (json!({"ips": ["10.6.0.0-10.6.255.255"]}), &[]),
        (json!({"ips": "10.6.0.1"}), &[("spec.ips", Invalid, "is not a list")]),
        (json!({"ips": [1]}), &[("spec.ips[0]", Invalid, "`1` is not text")]),
        (json!({"ips": ["10.6.0.300"]}), &[("spec.ips[0]", Invalid, "10.6.0.300")]),
        (json!({"ips": ["10.6.0.1 - 10.6.0.2"]}), &[("spec.ips[0]", Invalid, "write \"10.6.0.1-10.6.0.2\"")]),
        (json!({"ips": ["10.6.0.0/30"]}), &[("spec.ips[0]", Invalid, "write 10.6.0.0-10.6.0.3")]),
        (json!({"ips": ["10.6.0.9-10.6.0.1"]}), &[("spec.ips[0]", Invalid, "write 10.6.0.1-10.6.0.9")]),
        (json!({"ips": ["10.6.0.1", "10.6.0.9-10.6.0.3"]}), &[("spec.ips[1]", Invalid, "write 10.6.0.3-10.6.0.9")]),
        (json!({"ips": ["fd00::1"]}), &[("spec.ips[0]", Invalid, "fd00::1 is IPv6; write IPv4")]),
        (json!({"ips": ["10.7.0.1"]}), &[("spec.ips[0]", Invalid, "not inside the subnet 10.6.0.0/16")]),
        (json!({"ips": ["10.6.255.0-10.7.0.1"]}), &[("spec.ips[0]", Invalid, "not inside the subnet")]),
        (json!({"ips": ["10.7.0.1", "10.6.0.1"]}), &[("spec.ips[0]", Invalid, "10.7.0.1 is not inside the subnet")]),
        (json!({"ips": ["10.6.0.1-10.6.0.9", "10.6.0.5"]}), &[]),
        (json!({"excludeIPs": ["10.6.0.12", "10.6.9.9"]}), &[]),
        (json!({"excludeIPs": ["10.7.0.1"]}), &[("spec.excludeIPs[0]", Invalid, "not inside the subnet")]),
        (
            json!({"ips": ["x", "10.6.0.1", "10.7.0.1"], "excludeIPs": ["y"]}),
            &[
                ("spec.ips[0]", Invalid, "x"),
                ("spec.ips[2]", Invalid, "10.7.0.1"),
                ("spec.excludeIPs[0]", Invalid, "y"),
            ],
        ),
    ];
    assert_table(&facts(), &cases);
}

#[test]
fn addresses_of_other_pools() {
    let neighbours = vec![
        peer("low", "10.6.0.0/16", &["10.6.0.1-10.6.0.11"]),
        peer("high", "10.6.0.0/16", &["10.6.0.15", "10.6.0.20-10.6.0.30"]),
    ];
    let facts = Facts { pools: neighbours, ..facts() };
    let cases: [(Value, Expected<'_>); 3] = [
        (json!({"ips": ["10.6.0.12-10.6.0.14"]}), &[]),
        (json!({"excludeIPs": ["10.6.0.10-10.6.0.11", "10.6.0.15", "10.6.0.20"]}), &[]),
        (
            json!({}),
            &[
                ("spec.ips", Forbidden, "overlap with IPPool low in IP ranges 10.6.0.10-10.6.0.11;"),
                ("spec.ips", Forbidden, "overlap with IPPool high in IP ranges 10.6.0.15, 10.6.0.20;"),
            ],
        ),
    ];
    assert_table(&facts, &cases);
}

#[test]
fn addresses_of_the_owning_subnet() {
    let owned = Facts { subnets: vec![peer("net", "10.6.0.0/16", &["10.6.0.10-10.6.0.18"])], ..facts() };
    let on = Facts { subnet_feature: true, ..owned.clone() };
    let outside: Expected<'_> = &[("spec.ips", Forbidden, "SpiderSubnet net does not have 10.6.0.19-10.6.0.20;")];
    assert_table(&on, &[(json!({"ips": ["10.6.0.10-10.6.0.18"]}), &[]), (json!({}), outside)]);
    assert_table(&owned, &[(json!({}), &[])]);
    let elsewhere = Facts { subnets: vec![peer("net", "10.6.0.0/24", &[])], subnet_feature: true, ..facts() };
    assert_table(&elsewhere, &[(json!({}), &[])]);
}

#[test]
fn gateway() {
    let v6 = |ips: &str, gateway: &str| json!({"subnet": "fd00::/64", "ips": [ips], "gateway": gateway});
    let cases: [(Value, Expected<'_>); 10] = [
        (json!({"gateway": "10.6.0.1"}), &[]),
        (json!({"gateway": "10.6.0.10", "excludeIPs": ["10.6.0.10"]}), &[]),
        (v6("fd00::2", "fd00:0::1"), &[]),
        (json!({"gateway": ""}), &[("spec.gateway", Invalid, "is not an IP address")]),
        (json!({"gateway": "10.6.0.1/16"}), &[("spec.gateway", Invalid, "10.6.0.1/16")]),
        (json!({"gateway": ["10.6.0.1"]}), &[("spec.gateway", Invalid, "is not text")]),
        (json!({"gateway": "10.7.0.1"}), &[("spec.gateway", Invalid, "10.7.0.1 is not inside the subnet 10.6.0.0/16")]),
        (json!({"gateway": "fd00::1"}), &[("spec.gateway", Invalid, "fd00::1 is not inside")]),
        (json!({"gateway": "10.6.0.20"}), &[("spec.gateway", Forbidden, "add it to spec.excludeIPs")]),
        (v6("fd00:0::1", "fd00::1"), &[("spec.gateway", Forbidden, "fd00::1 is among the pool's addresses")]),
    ];
    assert_table(&facts(), &cases);
}

#[test]
fn routes() {
    let route = |dst: &str, gw: &str| json!({"routes": [{"dst": dst, "gw": gw}]});
    let twice = json!({"routes": [{"dst": "10.8.0.0/16", "gw": "10.6.0.1"}, {"dst": "10.8.0.1/16", "gw": "10.6.0.2"}]});
    let cases: [(Value, Expected<'_>); 13] = [
        (json!({"routes": []}), &[]),
        (route("10.8.0.0/16", "10.6.0.1"), &[]),
        (route("10.8.0.1/16", "10.6.0.1"), &[]),
        (json!({"routes": {}}), &[("spec.routes", Invalid, "is not a list")]),
        (
            json!({"routes": ["10.8.0.0/16"]}),
            &[
                ("spec.routes[0].dst", Required, "write a CIDR"),
                ("spec.routes[0].gw", Required, "10.6.0.0-10.6.255.255"),
            ],
        ),
        (json!({"routes": [{"dst": 8, "gw": "10.6.0.1"}]}), &[("spec.routes[0].dst", Invalid, "`8` is not text")]),
        (route("10.8.0.0", "10.6.0.1"), &[("spec.routes[0].dst", Invalid, "is not a CIDR")]),
        (route("fd00::/64", "10.6.0.1"), &[("spec.routes[0].dst", Invalid, "fd00::/64 is IPv6, and the pool is IPv4")]),
        (route("0.0.0.0/0", "10.6.0.1"), &[("spec.routes[0].dst", Forbidden, "write its gateway as spec.gateway")]),
        (route("10.0.0.0/0", "10.6.0.1"), &[("spec.routes[0].dst", Forbidden, "default route")]),
        (route("10.8.0.0/16", "gw"), &[("spec.routes[0].gw", Invalid, "gw")]),
        (route("10.8.0.0/16", "10.7.0.1"), &[("spec.routes[0].gw", Invalid, "10.7.0.1 is not inside the subnet")]),
        (twice, &[("spec.routes[1].dst", Duplicate, "10.8.0.0/16")]),
    ];
    assert_table(&facts(), &cases);
}

#[test]
fn pod_affinity() {
    const FIRST: &str = "spec.podAffinity.matchExpressions[0]";
    let [key, operator, values, value] =
        ["key", "operator", "values", "values[0]"].map(|part| format!("{FIRST}.{part}"));
    let affinity = |selector: Value| json!({"podAffinity": selector});
    let expression = |key: &str, operator: &str, values: &[&str]| {
        affinity(json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
    };
    let cases: [(Value, Expected<'_>); 19] = [
        (affinity(json!({"matchLabels": {"app": "web", "example.com/tier": ""}})), &[]),
        (expression("app", "In", &["a", "b"]), &[]),
        (expression("app", "NotIn", &["a"]), &[]),
        (expression("app", "Exists", &[]), &[]),
        (expression("app", "DoesNotExist", &[]), &[]),
        (affinity(json!({})), &[("spec.podAffinity", Required, "the selector is empty")]),
        (affinity(json!({"matchLabels": {}})), &[("spec.podAffinity", Required, "leave podAffinity out")]),
        (affinity(json!("app=web")), &[("spec.podAffinity", Invalid, "is not a label selector")]),
        (affinity(json!({"matchLabels": ["app"]})), &[("spec.podAffinity.matchLabels", Invalid, "is not a mapping")]),
        (affinity(json!({"matchLabels": {"-": "x"}})), &[("spec.podAffinity.matchLabels", Invalid, "`-` is no key")]),
        (
            affinity(json!({"matchLabels": {"app": "a b"}})),
            &[("spec.podAffinity.matchLabels[app]", Invalid, "`a b` is no value")],
        ),
        (
            affinity(json!({"matchLabels": {"app": 1}})),
            &[("spec.podAffinity.matchLabels[app]", Invalid, "`1` is not text")],
        ),
        (expression("app", "Has", &[]), &[(&operator, NotSupported, "`\"Has\"` is no operator; write In, NotIn")]),
        (expression("app", "In", &[]), &[(&values, Required, "at least one")]),
        (expression("app", "Exists", &["a"]), &[(&values, Forbidden, "remove the values")]),
        (expression("a b", "Exists", &[]), &[(&key, Invalid, "`a b` is no key")]),
        (expression("app", "In", &["-"]), &[(&value, Invalid, "`-` is no value")]),
        (
            affinity(json!({"matchExpressions": ["app"]})),
            &[(&key, Required, "write the key"), (&operator, NotSupported, "nothing is no operator")],
        ),
        (affinity(json!({"matchExpressions": {}})), &[("spec.podAffinity.matchExpressions", Invalid, "is not a list")]),
    ];
    assert_table(&facts(), &cases);
}

#[test]
fn pod_affinity_of_a_pool_for_one_application() {
    let metadata = json!({"name": "a", "labels": {"ipam.spidernet.io/owner-application-name": "web"}});
    let review = |affinity: Value| {
        create(&object("SpiderIPPool", &metadata, &json!({"subnet": "10.6.0.0/16", "podAffinity": affinity})), &facts())
    };
    let raw = json!({"matchLabels": {"ipam.spidernet.io/app-api-group": "", "ipam.spidernet.io/app-name": "a/b"}});
    assert!(review(raw).is_ok());
    assert!(review(json!({})).is_ok());
    let stranger = review(json!({"matchLabels": {"app": "web"}}));
    assert_denied(stranger, &[("spec.podAffinity.matchLabels", Forbidden, "`app`")], "a key of others");
    let expressions = review(json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]}));
    assert_denied(expressions, &[("spec.podAffinity.matchExpressions", Forbidden, "remove")], "expressions");
}

#[test]
fn what_does_not_depend_on_each_other_is_told_at_once() {
    let object = with(&json!({
        "ips": ["10.7.0.1"],
        "gateway": "10.8.0.1",
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.6.0.1"}],
        "podAffinity": {},
    }));
    let expected: Expected<'_> = &[
        ("spec.ips[0]", Invalid, ""),
        ("spec.gateway", Invalid, ""),
        ("spec.routes[0].dst", Forbidden, ""),
        ("spec.podAffinity", Required, ""),
    ];
    assert_denied(create(&object, &facts()), expected, "four fields");
}
