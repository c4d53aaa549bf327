use super::*;

fn filled(object: &Value) -> Value {
    create(object, &facts()).expect("a pool that may be")
}

#[test]
fn finalizer_family_and_label_are_added_to_what_is_there() {
    let metadata = json!({"name": "a", "labels": {"team": "net"}, "finalizers": ["example.com/mine"]});
    let filled = filled(&object("SpiderIPPool", &metadata, &json!({"subnet": "10.6.0.0/16"})));
    assert_eq!(filled["metadata"]["finalizers"], json!(["example.com/mine", "spiderpool.spidernet.io"]));
    assert_eq!(filled["metadata"]["labels"], json!({"team": "net", "ipam.spidernet.io/ippool-cidr": "10-6-0-0-16"}));
    assert_eq!(filled["spec"], json!({"subnet": "10.6.0.0/16", "ipVersion": 4}));
}

#[test]
fn null_and_nothing_are_the_same() {
    for metadata in [json!({"name": "a"}), json!({"name": "a", "labels": null, "finalizers": null}), json!(null)] {
        let spec = json!({"subnet": "fd00::/64", "ipVersion": null, "ips": null, "gateway": null, "podAffinity": null});
        let filled = filled(&object("SpiderIPPool", &metadata, &spec));
        assert_eq!(filled["metadata"]["finalizers"], json!(["spiderpool.spidernet.io"]), "{metadata}");
        assert_eq!(filled["metadata"]["labels"]["ipam.spidernet.io/ippool-cidr"], "fd00---64", "{metadata}");
        assert_eq!(filled["spec"]["ipVersion"], 6, "{metadata}");
    }
}

#[test]
fn what_is_complete_is_not_changed() {
    let metadata = json!({
        "name": "a",
        "labels": {"ipam.spidernet.io/ippool-cidr": "10-6-0-0-16"},
        "finalizers": ["spiderpool.spidernet.io"],
    });
    let spec = json!({"ipVersion": 4, "subnet": "10.6.0.0/16", "ips": ["10.6.0.1", "10.6.0.9"]});
    let complete = object("SpiderIPPool", &metadata, &spec);
    let proposal = Proposal {
        operation: Operation::Create,
        kind: "SpiderIPPool".into(),
        name: "a".into(),
        object: complete.to_string().into_bytes(),
        old: None,
        extra: Vec::new(),
    };
    assert_eq!(crate::review(&proposal, &facts()), Outcome::Allow(Vec::new()));
}

#[test]
fn a_label_of_another_subnet_is_put_right() {
    let metadata = json!({"name": "a", "labels": {"ipam.spidernet.io/ippool-cidr": "10-7-0-0-16"}});
    let filled = filled(&object("SpiderIPPool", &metadata, &json!({"subnet": "10.6.0.0/16"})));
    assert_eq!(filled["metadata"]["labels"]["ipam.spidernet.io/ippool-cidr"], "10-6-0-0-16");
}

#[test]
fn labels_of_subnets() {
    let cases = [("10.6.0.0/16", "10-6-0-0-16"), ("fd00::/64", "fd00---64"), ("fd00:1:2:3::/64", "fd00-1-2-3---64")];
    for (subnet, label) in cases {
        let filled = filled(&pool(&json!({"subnet": subnet})));
        assert_eq!(filled["metadata"]["labels"]["ipam.spidernet.io/ippool-cidr"], label, "{subnet}");
    }
}

#[test]
fn lists_of_more_than_one_are_sorted_and_joined() {
    let cases = [
        (json!(["10.6.0.9", "10.6.0.1"]), json!(["10.6.0.1", "10.6.0.9"])),
        (json!(["10.6.0.2", "10.6.0.1"]), json!(["10.6.0.1-10.6.0.2"])),
        (json!(["10.6.0.1", "10.6.0.1"]), json!(["10.6.0.1"])),
        (json!(["10.6.0.5-10.6.0.9", "10.6.0.1-10.6.0.6"]), json!(["10.6.0.1-10.6.0.9"])),
        (json!(["10.6.0.10", "10.6.0.9"]), json!(["10.6.0.9-10.6.0.10"])),
        (json!(["10.6.0.1-10.6.0.1"]), json!(["10.6.0.1-10.6.0.1"])),
        (json!([]), json!([])),
    ];
    for (written, merged) in cases {
        for field in ["ips", "excludeIPs"] {
            let filled = filled(&pool(&json!({"subnet": "10.6.0.0/16", field: written})));
            assert_eq!(filled["spec"][field], merged, "{field} {written}");
        }
    }
}
