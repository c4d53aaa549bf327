use expect_test::expect;
use serde_json::{Value, json};

use super::*;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[test]
fn pools_are_rows_with_their_numbers_to_the_right() {
    let text = pools(&read::<Vec<PoolSummary>>(json!([
        {"name": "default-v4", "family": 4, "subnet": "10.60.0.0/24", "total": 88, "allocated": 3, "quarantined": 1, "free": 84,
         "default": true, "disabled": false},
        {"name": "wide-v6", "family": 6, "subnet": "fd60::/64", "total": u64::MAX, "allocated": 0, "quarantined": 0, "free": u64::MAX,
         "default": false, "disabled": true},
    ])));
    expect![[r#"
        NAME        FAMILY  SUBNET         TOTAL  ALLOCATED  QUARANTINED    FREE  DEFAULT  DISABLED
        default-v4  IPv4    10.60.0.0/24      88          3            1      84  yes
        wide-v6     IPv6    fd60::/64     ≥ 2^64          0            0  ≥ 2^64           yes
    "#]]
    .assert_eq(&text);
}

#[test]
fn allocations_name_who_holds_what() {
    let text = allocations(&read::<Vec<AllocationSummary>>(json!([
        {"address": "10.6.0.5", "pool": "p4", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c",
         "interface": "eth0", "node": "n1", "containerID": "abc"},
        {"address": "fd00::5", "pool": "p6", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c",
         "interface": "eth0", "node": "", "containerID": "abc"},
    ])));
    expect![[r#"
        ADDRESS   POOL  NAMESPACE  POD    INTERFACE  NODE
        10.6.0.5  p4    shop       web-0  eth0       n1
        fd00::5   p6    shop       web-0  eth0       -
    "#]]
    .assert_eq(&text);
}

#[test]
fn policies_say_their_phase_and_below_why() {
    let text = policies(&read::<Vec<PolicySummary>>(json!([
        {"name": "rack", "order": 10, "mode": "enforce", "onFailure": "deny", "extensionPoints": ["affinity"],
         "digest": "sha256:0123456789abcdef", "contractVersion": "0.1.0", "phase": "Ready"},
        {"name": "broken", "order": 100, "mode": "shadow", "onFailure": "fallback", "extensionPoints": [],
         "phase": "Failed", "message": "broken.wasm is not a WebAssembly component"},
    ])));
    expect![[r#"
        NAME    ORDER  PHASE   ASKED FOR  MODE     ON FAILURE  CONTRACT  DIGEST
        rack       10  Ready   affinity   enforce  deny        0.1.0     0123456789ab
        broken    100  Failed  -          shadow   fallback    -         -

        broken: broken.wasm is not a WebAssembly component
    "#]]
    .assert_eq(&text);
}

#[test]
fn empty_lists_are_sentences() {
    assert_eq!(pools(&[]), "There are no pools.\n");
    assert_eq!(allocations(&[]), "No address is held.\n");
    assert_eq!(policies(&[]), "There are no policies.\n");
}
