use super::*;
use CauseKind::{Forbidden, Invalid, NotSupported, Required};

fn reserved(spec: &Value) -> Value {
    object("SpiderReservedIP", &json!({"name": "r"}), spec)
}

#[test]
fn the_family_comes_from_the_first_item_and_the_list_is_put_in_order() {
    let cases = [
        (json!({"ips": ["10.6.0.9", "10.6.0.1-10.6.0.8"]}), json!({"ipVersion": 4, "ips": ["10.6.0.1-10.6.0.9"]})),
        (json!({"ips": ["fd00::1"]}), json!({"ipVersion": 6, "ips": ["fd00::1"]})),
        (json!({"ipVersion": 4, "ips": []}), json!({"ipVersion": 4, "ips": []})),
        (json!({"ipVersion": 4, "ips": ["10.6.0.1-10.6.0.1"]}), json!({"ipVersion": 4, "ips": ["10.6.0.1-10.6.0.1"]})),
    ];
    for (written, filled) in cases {
        let reviewed = create(&reserved(&written), &facts());
        assert_eq!(reviewed, Ok(reserved(&filled)), "{written}");
    }
}

#[test]
fn rules() {
    let cases: [(Value, Expected<'_>); 9] = [
        (json!({}), &[("spec.ipVersion", Required, "list addresses in spec.ips")]),
        (json!({"ips": "10.6.0.1"}), &[("spec.ips", Invalid, "is not a list")]),
        (json!({"ips": ["x", "10.6.0.1"]}), &[("spec.ips[0]", Invalid, "\"x\" is not an IP")]),
        (json!({"ips": [7]}), &[("spec.ips[0]", Invalid, "`7` is not text")]),
        (json!({"ipVersion": 5, "ips": ["10.6.0.1"]}), &[("spec.ipVersion", NotSupported, "write 4 or 6")]),
        (json!({"ipVersion": 6, "ips": ["10.6.0.1"]}), &[("spec.ips[0]", Invalid, "10.6.0.1 is IPv4; write IPv6")]),
        (json!({"ips": ["10.6.0.9", "fd00::1"]}), &[("spec.ips[1]", Invalid, "fd00::1 is IPv6; write IPv4")]),
        (json!({"ips": ["10.6.0.9", "10.6.0.9-10.6.0.1"]}), &[("spec.ips[1]", Invalid, "write 10.6.0.1-10.6.0.9")]),
        (json!({"ips": ["10.6.0.9", "10.6.0.0/30"]}), &[("spec.ips[1]", Invalid, "write 10.6.0.0-10.6.0.3")]),
    ];
    for (spec, expected) in cases {
        assert_denied(create(&reserved(&spec), &facts()), expected, &spec.to_string());
    }
    let only_v4 = Facts { families: vec![types::Family::Ipv4], ..facts() };
    let switched_off = create(&reserved(&json!({"ips": ["fd00::1"]})), &only_v4);
    assert_denied(switched_off, &[("spec.ipVersion", Forbidden, "IPv6 is disabled")], "switched off");
}

#[test]
fn addresses_that_others_reserve_or_hold_may_be_reserved() {
    let busy = Facts { reserved: ranges(&["10.6.0.1"]), in_use: ranges(&["10.6.0.1"]), ..facts() };
    assert!(create(&reserved(&json!({"ips": ["10.6.0.1"]})), &busy).is_ok());
}

#[test]
fn the_family_stays() {
    let old = reserved(&json!({"ipVersion": 4, "ips": ["10.6.0.1"]}));
    let update = |spec: Value| review(Operation::Update, &reserved(&spec), Some(&old), &facts());
    assert!(update(json!({"ips": ["10.6.0.2"]})).is_ok());
    let changed = update(json!({"ipVersion": 6, "ips": ["fd00::1"]}));
    assert_denied(changed, &[("spec.ipVersion", Forbidden, "not changeable from `4` to `6`")], "written");
    let derived = update(json!({"ips": ["fd00::1"]}));
    assert_denied(derived, &[("spec.ipVersion", Forbidden, "not changeable from `4` to `6`")], "derived");
}

#[test]
fn while_it_goes_its_addresses_stay_and_finalizers_may_go() {
    let spec = json!({"ipVersion": 4, "ips": ["10.6.0.1"]});
    let metadata =
        json!({"name": "r", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/mine"]});
    let going = object("SpiderReservedIP", &metadata, &spec);
    let mut free = going.clone();
    free["metadata"]["finalizers"] = json!([]);
    assert_eq!(review(Operation::Update, &free, Some(&going), &facts()), Ok(free));
    assert_eq!(review(Operation::Update, &going, Some(&reserved(&spec)), &facts()), Ok(going.clone()));
    let mut changed = going.clone();
    changed["spec"]["ips"] = json!(["10.6.0.2"]);
    let expected: Expected<'_> = &[("metadata.deletionTimestamp", Forbidden, "cannot update a terminating ReservedIP")];
    assert_denied(review(Operation::Update, &changed, Some(&going), &facts()), expected, "another address");
}

#[test]
fn it_may_always_be_deleted() {
    let guarded = Facts { guard_deletion: true, in_use: ranges(&["10.6.0.1"]), ..facts() };
    let object = reserved(&json!({"ips": ["10.6.0.1"]}));
    assert_eq!(review(Operation::Delete, &object, None, &guarded), Ok(object));
}
