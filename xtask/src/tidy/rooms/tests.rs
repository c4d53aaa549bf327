use super::*;

fn problems(room: &str, uses: Vec<Use>) -> Vec<String> {
    let member = Crate { room: room.to_owned(), uses };
    let findings = check_crate(&member, table::EDGES, table::FENCES);
    assert!(findings.iter().all(|finding| finding.file == format!("{room}/Cargo.toml")));
    findings.into_iter().map(|finding| finding.problem).collect()
}

fn ours(room: &str) -> Use {
    Use { name: String::new(), room: Some(room.to_owned()), features: Vec::new(), default_features: true }
}

fn theirs(name: &str, features: &[&str], default_features: bool) -> Use {
    let features = features.iter().map(ToString::to_string).collect();
    Use { name: name.to_owned(), room: None, features, default_features }
}

#[test]
fn edges_that_are_not_in_the_table_are_named() {
    let cases = [
        ("host/runtime", "host/storage", false),
        ("host/runtime", "api/crd", true),
        ("host/storage", "host/runtime/engine", false),
        ("api/ip", "api/wire", false),
        ("api/wire", "api/ip", true),
        ("policies/affinity", "policies/guide", true),
        ("policies/affinity", "policies/allocation", false),
        ("policies/guide", "api/ip", false),
        ("policies/examples/rack-and-octet", "policies/guide", true),
        ("agent", "host/runtime", true),
        ("agent", "host/runtime/compiler", false),
        ("cni/ipam", "host/probe", true),
        ("cni/ipam", "api/crd", false),
        ("cni/plugin", "host/netlink", false),
        ("cni", "cni/ipam", true),
        ("ctl", "agent", false),
        ("tests", "agent", true),
    ];
    for (from, to, allowed) in cases {
        let expected = if allowed { vec![] } else { vec![format!("{from} may not depend on {to}")] };
        assert_eq!(problems(from, vec![ours(to)]), expected);
    }
}

#[test]
fn a_room_that_nobody_thought_of_is_found() {
    assert_eq!(problems("attic", vec![]), ["the room attic is in no row of the table of dependencies"]);
}

#[test]
fn dependencies_stay_behind_their_fences() {
    let cases = [
        ("host/runtime/engine", "wasmtime", 0),
        ("agent", "wasmtime", 1),
        ("ctl", "cranelift-codegen", 1),
        ("host/storage", "kube", 0),
        ("cni/ipam", "kube-client", 1),
        ("host/netlink", "netlink-packet-route", 0),
        ("agent", "rtnetlink", 1),
        ("policies/guide", "wit-bindgen", 0),
        ("policies/affinity", "wit-bindgen", 1),
        ("agent", "tokio", 0),
    ];
    for (room, name, expected) in cases {
        assert_eq!(problems(room, vec![theirs(name, &[], true)]).len(), expected, "{room} uses {name}");
    }
}

#[test]
fn the_nouns_may_derive_resources_but_not_talk_to_a_cluster() {
    for (features, default_features, expected) in
        [(&["derive"][..], false, 0), (&["derive", "client"], false, 1), (&["derive"], true, 1)]
    {
        assert_eq!(
            problems("api/crd", vec![theirs("kube", features, default_features)]).len(),
            expected,
            "{features:?}"
        );
    }
}
