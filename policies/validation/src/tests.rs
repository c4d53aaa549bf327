mod pool_create;
mod pool_defaults;
mod pool_update;
mod reserved_ip;

use serde_json::{Value, json};
use spiderpool_ip::{Cidr, Family, IpSet};
use spiderpool_policy_guide::address::from_std;
use spiderpool_policy_guide::types::{self, IpRange};
use spiderpool_policy_guide::validation::{Cause, CauseKind, Facts, Operation, Outcome, Peer, Proposal};
use spiderpool_policy_guide::{Settings, Validation};

use crate::BuiltinValidation;

/// Both families on, nobody else there, nothing in use.
fn facts() -> Facts {
    Facts {
        families: vec![types::Family::Ipv4, types::Family::Ipv6],
        pools: Vec::new(),
        subnets: Vec::new(),
        subnet_feature: false,
        in_use: Vec::new(),
        reserved: Vec::new(),
        guard_deletion: false,
        extra: Vec::new(),
    }
}

fn ranges(items: &[&str]) -> Vec<IpRange> {
    let Some(first) = items.first() else { return Vec::new() };
    let family = if first.contains(':') { Family::V6 } else { Family::V4 };
    let set = IpSet::parse(family, items.iter().copied()).unwrap();
    set.iter_ranges().map(|it| IpRange { first: from_std(it.first()), last: from_std(it.last()) }).collect()
}

fn peer(name: &str, subnet: &str, ips: &[&str]) -> Peer {
    let cidr: Cidr = subnet.parse().unwrap();
    let subnet = types::Cidr { address: from_std(cidr.address()), prefix_length: cidr.prefix() };
    Peer { name: name.into(), subnet, ranges: ranges(ips) }
}

fn object(kind: &str, metadata: &Value, spec: &Value) -> Value {
    json!({"apiVersion": "spiderpool.spidernet.io/v2beta1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn pool(spec: &Value) -> Value {
    object("SpiderIPPool", &json!({"name": "a"}), spec)
}

/// The object after all changes, or what is wrong with it.
fn review(operation: Operation, object: &Value, old: Option<&Value>, facts: &Facts) -> Result<Value, Vec<Cause>> {
    let proposal = Proposal {
        operation,
        kind: object["kind"].as_str().unwrap().to_owned(),
        name: object["metadata"]["name"].as_str().unwrap_or("a").to_owned(),
        object: object.to_string().into_bytes(),
        old: old.map(|old| old.to_string().into_bytes()),
        extra: Vec::new(),
    };
    let changes = match BuiltinValidation::review("{}".into(), proposal, facts.clone()) {
        Outcome::Deny(causes) => return Err(causes),
        Outcome::Allow(changes) => changes,
    };
    let mut object = object.clone();
    for change in changes {
        let (parent, key) = change.path.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let value = serde_json::from_str(&change.value.unwrap()).unwrap();
        parent.insert(key.replace("~1", "/").replace("~0", "~"), value);
    }
    Ok(object)
}

fn create(object: &Value, facts: &Facts) -> Result<Value, Vec<Cause>> {
    review(Operation::Create, object, None, facts)
}

/// What is expected of a denial: field, kind, and a part of the message.
type Expected<'a> = &'a [(&'a str, CauseKind, &'a str)];

fn assert_denied(reviewed: Result<Value, Vec<Cause>>, expected: Expected<'_>, case: &str) {
    let causes = reviewed.expect_err(case);
    let found: Vec<_> = causes.iter().map(|cause| (cause.field.as_str(), &cause.kind)).collect();
    let wanted: Vec<_> = expected.iter().map(|(field, kind, _)| (*field, kind)).collect();
    assert_eq!(found, wanted, "{case}: {causes:?}");
    for (cause, (_, _, part)) in causes.iter().zip(expected) {
        assert!(cause.message.contains(part), "{case}: {} does not say {part:?}", cause.message);
    }
}

#[test]
fn settings_are_empty_or_refused() {
    assert_eq!(BuiltinValidation::check("{}".into()), Ok(()));
    let problems = BuiltinValidation::check(r#"{"strict": true}"#.into()).unwrap_err();
    assert_eq!(problems[0].field, "strict");
}

#[test]
fn other_kinds_are_allowed_as_they_are() {
    let other = object("SpiderCoordinator", &json!({"name": "default"}), &json!({"mode": 7}));
    for operation in [Operation::Create, Operation::Update, Operation::Delete] {
        assert_eq!(review(operation, &other, None, &facts()), Ok(other.clone()), "{operation:?}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for (bytes, part) in [("{", "not JSON"), ("[]", "no mapping"), ("", "not JSON")] {
        let proposal = Proposal {
            operation: Operation::Create,
            kind: "SpiderIPPool".into(),
            name: "a".into(),
            object: bytes.into(),
            old: None,
            extra: Vec::new(),
        };
        let Outcome::Deny(causes) = crate::review(&proposal, &facts()) else { panic!("{bytes:?} is allowed") };
        assert!(causes[0].message.contains(part), "{bytes:?}: {}", causes[0].message);
    }
}

#[test]
fn a_flood_of_causes_is_counted_and_long_text_is_cut() {
    let many: Vec<String> = (0..60).map(|number| format!("x{number}")).collect();
    let causes = create(&pool(&json!({"subnet": "10.6.0.0/16", "ips": many})), &facts()).unwrap_err();
    assert_eq!((causes.len(), causes[49].field.as_str()), (51, "spec.ips[49]"));
    assert!(causes[50].message.starts_with("10 more"), "{}", causes[50].message);
    let long = json!({"subnet": "10.6.0.0/16", "ips": ["x".repeat(1 << 20)]});
    let causes = create(&pool(&long), &facts()).unwrap_err();
    assert!(causes[0].message.len() <= 4096);
}
