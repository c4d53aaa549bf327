use super::*;
use CauseKind::{Forbidden, Invalid, Required};

fn old() -> Value {
    let metadata = json!({"name": "a", "finalizers": ["spiderpool.spidernet.io"]});
    object("SpiderIPPool", &metadata, &json!({"ipVersion": 4, "subnet": "10.6.0.0/16", "ips": ["10.6.0.10-10.6.0.19"]}))
}

fn with(fields: &Value) -> Value {
    let mut object = old();
    object["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

fn update(object: &Value, facts: &Facts) -> Result<Value, Vec<Cause>> {
    review(Operation::Update, object, Some(&old()), facts)
}

#[test]
fn family_and_subnet_stay() {
    let cases: [(Value, Expected<'_>); 6] = [
        (json!({"ipVersion": 6}), &[("spec.ipVersion", Forbidden, "not changeable from `4` to `6`")]),
        (
            json!({"subnet": "10.7.0.0/16"}),
            &[("spec.subnet", Forbidden, "not changeable from 10.6.0.0/16 to 10.7.0.0/16")],
        ),
        (json!({"subnet": "10.6.0.0/24", "ips": ["x"]}), &[("spec.subnet", Forbidden, "make a new pool")]),
        (
            json!({"subnet": "fd00::/64", "ipVersion": 6}),
            &[("spec.ipVersion", Forbidden, ""), ("spec.subnet", Forbidden, "")],
        ),
        (json!({"subnet": "10.6.0.1/16"}), &[("spec.subnet", Invalid, "please change it to 10.6.0.0/16")]),
        (json!({"subnet": null}), &[("spec.subnet", Required, "")]),
    ];
    for (fields, expected) in cases {
        assert_denied(update(&with(&fields), &facts()), expected, &fields.to_string());
    }
}

#[test]
fn a_family_left_out_is_filled_in_and_a_subnet_may_be_put_in_order() {
    assert_eq!(update(&with(&json!({"ipVersion": null})), &facts()).unwrap()["spec"]["ipVersion"], 4);
    let mut disorderly = old();
    disorderly["spec"]["subnet"] = json!("10.6.0.1/16");
    disorderly["spec"]["ipVersion"] = json!(null);
    assert!(review(Operation::Update, &old(), Some(&disorderly), &facts()).is_ok());
}

#[test]
fn an_update_gets_defaults_and_rules_like_a_new_pool() {
    let updated = update(&with(&json!({"ips": ["10.6.0.11", "10.6.0.10"]})), &facts()).unwrap();
    assert_eq!(updated["spec"]["ips"], json!(["10.6.0.10-10.6.0.11"]));
    assert_eq!(updated["metadata"]["labels"]["ipam.spidernet.io/ippool-cidr"], "10-6-0-0-16");
    let backwards = update(&with(&json!({"ips": ["10.6.0.9-10.6.0.1"]})), &facts());
    assert_denied(backwards, &[("spec.ips[0]", Invalid, "write 10.6.0.1-10.6.0.9")], "backwards");
    let neighbour = Facts { pools: vec![peer("b", "10.6.0.0/16", &["10.6.0.19"])], ..facts() };
    assert_denied(update(&old(), &neighbour), &[("spec.ips", Forbidden, "IPPool b")], "a neighbour's address");
    let only_v6 = Facts { families: vec![types::Family::Ipv6], ..facts() };
    assert_denied(update(&old(), &only_v6), &[("spec.ipVersion", Forbidden, "IPv4 is disabled")], "switched off");
}

#[test]
fn a_subnet_that_overlaps_anothers_is_past_repair_and_not_held_against_an_update() {
    let neighbour = Facts { pools: vec![peer("b", "10.6.0.0/24", &["10.6.0.19"])], ..facts() };
    assert!(update(&old(), &neighbour).is_ok());
}

#[test]
fn addresses_that_pods_hold_stay() {
    let held = Facts { in_use: ranges(&["10.6.0.12", "10.6.0.15-10.6.0.17"]), ..facts() };
    let cases: [(Value, Expected<'_>); 5] = [
        (json!({}), &[]),
        (json!({"ips": ["10.6.0.12", "10.6.0.15-10.6.0.17"]}), &[]),
        (json!({"excludeIPs": ["10.6.0.11", "10.6.0.18"]}), &[]),
        (json!({"ips": ["10.6.0.10-10.6.0.16"]}), &[("spec.ips", Forbidden, "pods hold 10.6.0.17;")]),
        (json!({"excludeIPs": ["10.6.0.11-10.6.0.15"]}), &[("spec.ips", Forbidden, "pods hold 10.6.0.12, 10.6.0.15;")]),
    ];
    for (fields, expected) in cases {
        let reviewed = update(&with(&fields), &held);
        match expected {
            [] => assert!(reviewed.is_ok(), "{fields}: {reviewed:?}"),
            causes => assert_denied(reviewed, causes, &fields.to_string()),
        }
    }
}

#[test]
fn addresses_are_compared_by_value() {
    let spec = |ips: &str| json!({"ipVersion": 6, "subnet": "fd00::/64", "ips": [ips]});
    let held = Facts { in_use: ranges(&["fd00::1"]), ..facts() };
    let reviewed = review(Operation::Update, &pool(&spec("FD00:0::1")), Some(&pool(&spec("fd00::1"))), &held);
    assert!(reviewed.is_ok(), "{reviewed:?}");
}

#[test]
fn a_terminating_pool_is_let_go_and_nothing_else() {
    let mut going = old();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let expected: Expected<'_> = &[("metadata.deletionTimestamp", Forbidden, "cannot update a terminating IPPool")];
    let labelled = json!({"team": "net"});
    for object in [going.clone(), {
        let mut it = going.clone();
        it["metadata"]["labels"] = labelled;
        it
    }] {
        assert_denied(review(Operation::Update, &object, Some(&going), &facts()), expected, &object.to_string());
    }
    let mut free = going.clone();
    free["metadata"]["finalizers"] = json!([]);
    assert_eq!(review(Operation::Update, &free, Some(&going), &facts()), Ok(free));
}

#[test]
fn an_update_without_the_old_object_is_refused() {
    let reviewed = review(Operation::Update, &old(), None, &facts());
    assert_denied(reviewed, &[("", Required, "without the object as it was")], "no old object");
}

#[test]
fn a_pool_in_use_is_deleted_unless_deletion_is_guarded() {
    let held = ranges(&["10.6.0.12", "10.6.0.15-10.6.0.17"]);
    let in_use = Facts { in_use: held, ..facts() };
    let guarded = Facts { guard_deletion: true, ..facts() };
    for allowed in [facts(), in_use.clone(), guarded] {
        assert_eq!(review(Operation::Delete, &old(), None, &allowed), Ok(old()));
    }
    let both = Facts { guard_deletion: true, ..in_use };
    let message = "cannot delete an IPPool with allocated IPs(4): pods hold 10.6.0.12, 10.6.0.15-10.6.0.17 of a";
    assert_denied(
        review(Operation::Delete, &old(), None, &both),
        &[("metadata.name", Forbidden, message)],
        "guarded and in use",
    );
}
