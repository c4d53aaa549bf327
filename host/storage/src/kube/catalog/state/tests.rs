use serde_json::{Value, json};

use super::*;

fn written<K>(name: &str, spec: Value) -> Written<K> {
    let object = json!({"metadata": {"name": name, "resourceVersion": "7"}, "spec": spec, "status": {"any": "thing"}});
    serde_json::from_value(object).unwrap()
}

fn pool(name: &str, spec: Value) -> Heard {
    pool_with(name, spec, Records::Open)
}

fn pool_with(name: &str, spec: Value, records: Records) -> Heard {
    Heard::Pool(Event::Apply(pools::Pool { written: written(name, spec), records }))
}

fn reserved(name: &str, spec: Value) -> Heard {
    Heard::ReservedIp(Event::Apply(written(name, spec)))
}

fn pod(name: &str) -> Heard {
    let object = json!({"metadata": {"namespace": "shop", "name": name, "uid": name}});
    Heard::Pod(Event::Apply(serde_json::from_value(object).unwrap()))
}

fn p4() -> Value {
    json!({"subnet": "10.6.0.0/24", "ips": ["10.6.0.1-10.6.0.9"]})
}

#[test]
fn a_pod_that_comes_leaves_everything_else_as_it_was() {
    let mut state = State::default();
    state.hear(pool("p4", p4()));
    let before = state.catalog(&Catalog::default());
    assert!(state.hear(pod("web-0")));
    let after = state.catalog(&before);
    assert_eq!((before.pods.len(), after.pods.len()), (0, 1));
    assert!(Arc::ptr_eq(&before.pools, &after.pools));
    assert!(!state.hear(pod("web-0")), "the same again is no change");
}

#[test]
fn reserving_changes_the_space_of_the_pools_that_have_the_address() {
    let mut state = State::default();
    state.hear(pool("p4", p4()));
    state.hear(pool("q4", json!({"subnet": "10.7.0.0/24", "ips": ["10.7.0.1"]})));
    let before = state.catalog(&Catalog::default());
    state.hear(reserved("r", json!({"ips": ["10.6.0.2-10.6.0.9"]})));
    let after = state.catalog(&before);
    assert_eq!(after.pools["p4"].space.usable.to_string(), "10.6.0.1");
    assert!(Arc::ptr_eq(&before.pools["q4"].space, &after.pools["q4"].space));
    // And back, when the reservation goes.
    state.hear(Heard::ReservedIp(Event::Delete(written("r", json!({"ips": ["10.6.0.2"]})))));
    assert_eq!(state.catalog(&after).pools["p4"].space.usable.count(), 9);
}

#[test]
fn what_is_known_of_a_pools_records_comes_with_its_space() {
    let mut state = State::default();
    let mut catalog = Catalog::default();
    for records in [Records::None, Records::Open, Records::Settled("9".into())] {
        assert!(state.hear(pool_with("p4", p4(), records.clone())));
        catalog = state.catalog(&catalog);
        assert_eq!(catalog.pools["p4"].space.records, records);
        assert!(!state.hear(pool_with("p4", p4(), records)));
    }
}

#[test]
fn a_bad_object_fails_alone_and_is_named() {
    let mut state = State::default();
    for heard in [
        pool("good", p4()),
        pool("shape", json!({"subnet": ["10.6.0.0/24"]})),
        pool("none", Value::Null),
        pool("subnet", json!({"subnet": "10.6.0.1/24"})),
        pool("range", json!({"subnet": "10.6.0.0/24", "ips": ["10.6.0.9-10.6.0.1"]})),
        pool("outside", json!({"subnet": "10.6.0.0/24", "ips": ["10.9.0.1"]})),
        reserved("r", json!({"ips": ["10.6.0.2", "x"]})),
        Heard::Policy(Event::Apply(written("mine", json!({"source": {"oci": "registry.example/a:1"}})))),
        Heard::Policy(Event::Apply(written("odd", json!({"source": {"file": "a.wasm"}, "order": "first"})))),
    ] {
        state.hear(heard);
    }
    let catalog = state.catalog(&Catalog::default());
    assert_eq!(catalog.pools.keys().collect::<Vec<_>>(), ["good"]);
    assert_eq!(catalog.pools["good"].space.usable.count(), 9, "a bad reservation reserves nothing");
    assert_eq!((catalog.reserved_ips.len(), catalog.policies.len()), (0, 1));
    let said: Vec<String> = catalog.problems.iter().map(ToString::to_string).collect();
    let begins = [
        "SpiderIPPool none: spec: ",
        "SpiderIPPool outside: spec.ips: 10.9.0.1 is not in the subnet",
        "SpiderIPPool range: spec.ips[0]: ",
        "SpiderIPPool shape: spec.subnet: ",
        "SpiderIPPool subnet: spec.subnet: ",
        "SpiderPolicy mine: spec.source.oci: is kept but has no effect",
        "SpiderPolicy odd: spec.order: ",
        "SpiderReservedIP r: spec.ips[1]: ",
    ];
    assert_eq!(said.len(), begins.len(), "{said:#?}");
    for (said, begin) in said.iter().zip(begins) {
        assert!(said.starts_with(begin), "{said} does not begin with {begin}");
    }
    // Repaired, it is used.
    state.hear(pool("shape", p4()));
    let repaired = state.catalog(&catalog);
    assert_eq!((repaired.pools.len(), repaired.problems.len()), (2, 7));
}

#[test]
fn the_catalog_is_complete_when_every_kind_was_told() {
    let mut state = State::default();
    let init: [fn() -> [Heard; 2]; 6] = [
        || [Heard::Pool(Event::Init), Heard::Pool(Event::InitDone)],
        || [Heard::ReservedIp(Event::Init), Heard::ReservedIp(Event::InitDone)],
        || [Heard::Policy(Event::Init), Heard::Policy(Event::InitDone)],
        || [Heard::Namespace(Event::Init), Heard::Namespace(Event::InitDone)],
        || [Heard::Node(Event::Init), Heard::Node(Event::InitDone)],
        || [Heard::Pod(Event::Init), Heard::Pod(Event::InitDone)],
    ];
    for told in init {
        for heard in told() {
            assert!(!state.is_complete());
            state.hear(heard);
        }
    }
    assert!(state.is_complete());
}
