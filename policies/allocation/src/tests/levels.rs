use spiderpool_policy_guide::allocation::{Demand, RefusalKind, Request, Source};
use spiderpool_policy_guide::types::Family;

use super::{annotated, names, pairs, request};
use crate::candidates;

const IPPOOLS: &str = "ipam.spidernet.io/ippools";
const IPPOOL: &str = "ipam.spidernet.io/ippool";
const V4: &str = "ipam.spidernet.io/default-ipv4-ippool";
const V6: &str = "ipam.spidernet.io/default-ipv6-ippool";

/// A demand in a line: interface, family, sources, and its flags.
fn line(demand: &Demand) -> String {
    let sources = demand.sources.iter().map(|source| match source {
        Source::Pool(name) => name.clone(),
        Source::Matching(pattern) => format!("~{pattern}"),
        Source::ClusterDefault => "default".to_owned(),
        Source::Other(other) => panic!("{other}"),
    });
    let family = if demand.family == Family::Ipv4 { 4 } else { 6 };
    let clean = if demand.clean_gateway { " clean" } else { "" };
    let master = if demand.match_master_subnet { " master" } else { "" };
    format!("{} {family} {}{clean}{master}", demand.nic, sources.collect::<Vec<_>>().join(","))
}

#[track_caller]
fn demanded(request: &Request, expected: &[&str], origin: &str) {
    let demands = candidates(request).unwrap_or_else(|refusal| panic!("{}", refusal.message));
    assert_eq!(demands.iter().map(line).collect::<Vec<_>>(), expected);
    for demand in &demands {
        assert!(demand.origin.contains(origin), "{}", demand.origin);
    }
}

#[track_caller]
fn refused(request: &Request, kind: &RefusalKind, parts: &[&str]) {
    let refusal = match candidates(request) {
        Err(refusal) => refusal,
        Ok(demands) => panic!("not refused: {:?}", demands.iter().map(line).collect::<Vec<_>>()),
    };
    assert_eq!(&refusal.kind, kind, "{}", refusal.message);
    for part in parts {
        assert!(refusal.message.contains(part), "no {part:?} in: {}", refusal.message);
    }
    assert!(refusal.message.len() <= 4096);
}

fn malformed(key: &str) -> RefusalKind {
    RefusalKind::Malformed(key.to_owned())
}

#[test]
fn the_most_specific_place_decides_alone() {
    let mut request =
        annotated(&[(IPPOOL, r#"{"ipv4": ["pod"]}"#), (IPPOOLS, r#"[{"interface": "eth0", "ipv4": ["interfaces"]}]"#)]);
    request.context.namespace.annotations = pairs(&[(V4, r#"["namespace"]"#), (V6, r#"["namespace6"]"#)]);
    request.cni.default_ipv4_pools = names(&["cni"]);
    request.cni.default_ipv6_pools = names(&["cni6"]);
    demanded(&request, &["eth0 4 interfaces"], "pod annotation ipam.spidernet.io/ippools");
    request.context.pod.annotations.pop();
    demanded(&request, &["eth0 4 pod"], "pod annotation ipam.spidernet.io/ippool");
    request.context.pod.annotations.clear();
    demanded(&request, &["eth0 4 namespace", "eth0 6 namespace6"], "namespace annotation ipam.spidernet.io/default-ip");
    request.context.namespace.annotations.remove(0);
    demanded(&request, &["eth0 6 namespace6"], "namespace annotation ipam.spidernet.io/default-ipv6-ippool");
    request.context.namespace.annotations.clear();
    demanded(&request, &["eth0 4 cni", "eth0 6 cni6"], "CNI configuration default_ip");
    request.cni.default_ipv4_pools.clear();
    demanded(&request, &["eth0 6 cni6"], "CNI configuration default_ipv6_ippool");
    request.cni.default_ipv6_pools.clear();
    demanded(&request, &["eth0 4 default", "eth0 6 default"], "default pools of the cluster");
}

#[test]
fn the_order_written_is_kept_and_patterns_are_told_from_names() {
    let request = annotated(&[(IPPOOL, r#"{"ipv4": ["z", "a-*", "m?", "[b-d]1", "c"], "ipv6": null}"#)]);
    demanded(&request, &["eth0 4 z,~a-*,~m?,~[b-d]1,c"], "ippool");
}

#[test]
fn every_listed_interface_is_demanded() {
    let named = r#"[{"interface": "net1", "ipv4": ["b"], "ipv6": ["b6"], "cleangateway": true},
                    {"interface": "eth0", "ipv4": ["a"]}]"#;
    demanded(&annotated(&[(IPPOOLS, named)]), &["net1 4 b clean", "net1 6 b6 clean", "eth0 4 a"], "ippools");
    let positional = r#"[{"ipv4": ["a"]}, {"interface": "", "ipv6": ["b6"]}]"#;
    demanded(&annotated(&[(IPPOOLS, positional)]), &["eth0 4 a", "net1 6 b6"], "ippools");
    let networks = ("k8s.v1.cni.cncf.io/networks", "lan@fast0");
    demanded(&annotated(&[(IPPOOLS, positional), networks]), &["eth0 4 a", "fast0 6 b6"], "ippools");
}

#[test]
fn what_the_cni_configuration_says_is_for_its_interface() {
    let with_cni = |mut request: Request| {
        request.cni.clean_gateway = true;
        request.cni.match_master_subnet = true;
        request
    };
    let pod = with_cni(annotated(&[(IPPOOL, r#"{"ipv4": ["a"]}"#)]));
    demanded(&pod, &["eth0 4 a clean master"], "ippool");
    demanded(&with_cni(request()), &["eth0 4 default clean master", "eth0 6 default clean master"], "default");
    let named = r#"[{"interface": "net1", "ipv4": ["b"]}, {"interface": "eth0", "ipv4": ["a"]}]"#;
    demanded(&with_cni(annotated(&[(IPPOOLS, named)])), &["net1 4 b", "eth0 4 a master"], "ippools");
    let positional = r#"[{"ipv4": ["a"]}, {"ipv4": ["b"]}]"#;
    demanded(&with_cni(annotated(&[(IPPOOLS, positional)])), &["eth0 4 a master", "net1 4 b"], "ippools");
}

#[test]
fn families_that_are_switched_off_are_left_out() {
    let mut request = annotated(&[(IPPOOL, r#"{"ipv4": ["a"], "ipv6": ["a6"]}"#)]);
    request.context.cluster.families = vec![Family::Ipv4];
    demanded(&request, &["eth0 4 a"], "ippool");
    request.context.pod.annotations.clear();
    demanded(&request, &["eth0 4 default"], "default");
    request.context.namespace.annotations = pairs(&[(V4, r#"["a"]"#), (V6, r#"["a6"]"#)]);
    demanded(&request, &["eth0 4 a"], "namespace");
}

#[test]
fn a_place_that_names_only_what_is_switched_off_says_so() {
    let unsupported = |family: &str| RefusalKind::Unsupported(family.to_owned());
    let mut request = annotated(&[(IPPOOL, r#"{"ipv6": ["a6"]}"#)]);
    request.context.cluster.families = vec![Family::Ipv4];
    request.cni.default_ipv4_pools = names(&["never"]);
    refused(&request, &unsupported("ipv6"), &[IPPOOL, "IPv6 is switched off", "enableIPv6"]);
    let partly = r#"[{"interface": "eth0", "ipv4": ["a"]}, {"interface": "net1", "ipv6": ["a6"]}]"#;
    request.context.pod.annotations = pairs(&[(IPPOOLS, partly)]);
    refused(&request, &unsupported("ipv6"), &[IPPOOLS, "net1"]);
    request.context.pod.annotations.clear();
    request.context.namespace.annotations = pairs(&[(V6, r#"["a6"]"#)]);
    refused(&request, &unsupported("ipv6"), &["namespace annotation", V6]);
    request.context.namespace.annotations.clear();
    request.context.cluster.families = vec![Family::Ipv6];
    refused(&request, &unsupported("ipv4"), &["CNI configuration default_ipv4_ippool", "enableIPv4"]);
    request.cni.default_ipv4_pools.clear();
    request.context.cluster.families.clear();
    refused(&request, &RefusalKind::NoCandidates, &["both IPv4 and IPv6 are switched off"]);
}

#[test]
fn a_pool_twice_for_an_interface_is_refused() {
    let twice = RefusalKind::DuplicatePool("a".to_owned());
    refused(&annotated(&[(IPPOOL, r#"{"ipv4": ["a", "b", "a"]}"#)]), &twice, &[IPPOOL, "`a` is named twice for eth0"]);
    let shared = r#"[{"interface": "eth0", "ipv4": ["a"]}, {"interface": "net1", "ipv4": ["a"]}]"#;
    demanded(&annotated(&[(IPPOOLS, shared)]), &["eth0 4 a", "net1 4 a"], "ippools");
    let mut request = request();
    request.cni.default_ipv6_pools = names(&["a", "a"]);
    refused(&request, &twice, &["CNI configuration default_ipv6_ippool"]);
}

#[test]
fn interfaces_are_named_all_or_none_once_each_and_with_the_current_one() {
    let cases = [
        ("[]", malformed(IPPOOLS), "it has no element"),
        (r#"[{"ipv4": ["a"]}, {"interface": "net1", "ipv4": ["b"]}]"#, malformed(IPPOOLS), "name all or none"),
        (
            r#"[{"interface": "eth0", "ipv4": ["a"]}, {"interface": "eth0", "ipv6": ["b"]}]"#,
            malformed(IPPOOLS),
            "the interface eth0 has two elements",
        ),
        (
            r#"[{"interface": "net1", "ipv4": ["a"]}]"#,
            RefusalKind::InterfaceMissing("eth0".to_owned()),
            "the interface eth0 is added now",
        ),
        (r#"[{"interface": "eth0"}]"#, malformed(IPPOOLS), "names no pool for eth0"),
        (r#"[{"ipv4": ["a"]}, {"ipv4": []}]"#, malformed(IPPOOLS), "names no pool for net1"),
    ];
    for (text, kind, part) in cases {
        refused(&annotated(&[(IPPOOLS, text)]), &kind, &[IPPOOLS, part, "write for example `[{\"interface\""]);
    }
}

#[test]
fn text_that_cannot_be_read_is_shown_with_an_example() {
    let cases = [
        (IPPOOL, "pool-a", "expected value at line 1"),
        (IPPOOL, r#"{"ipv4": "a"}"#, "invalid type: string \"a\", expected a sequence"),
        (IPPOOL, "{}", "names no pool for eth0"),
        (IPPOOL, r#"{"ipv4": [""]}"#, "an entry is empty"),
        (IPPOOL, r#"{"ipv4": ["a-["]}"#, "in `a-[` a `[` has no `]`"),
        (IPPOOLS, r#"{"ipv4": ["a"]}"#, "expected a sequence"),
        (IPPOOLS, "", "EOF while parsing"),
    ];
    for (key, text, part) in cases {
        let example = if key == IPPOOL { r#"`{"ipv4": ["pool-a"]}`"# } else { r#"`[{"interface""# };
        refused(&annotated(&[(key, text)]), &malformed(key), &[key, part, &format!("it is `{text}`"), example]);
    }
    for key in [V4, V6] {
        for (text, part) in [("a", "expected value"), ("[]", "names no pool"), ("{}", "expected a sequence")] {
            let mut request = request();
            request.context.namespace.annotations = pairs(&[(key, text)]);
            refused(&request, &malformed(key), &["namespace annotation", key, part, r#"`["pool-a", "pool-b"]`"#]);
        }
    }
}

#[test]
fn one_namespace_annotation_that_cannot_be_read_spoils_both() {
    let mut request = request();
    request.context.namespace.annotations = pairs(&[(V4, r#"["a"]"#), (V6, "a6")]);
    refused(&request, &malformed(V6), &[V6]);
}

#[test]
fn long_annotations_do_not_make_long_messages() {
    refused(&annotated(&[(IPPOOL, &"x".repeat(100_000))]), &malformed(IPPOOL), &["…`"]);
}

#[test]
fn subnet_annotations_count_only_with_their_feature() {
    for key in ["ipam.spidernet.io/subnets", "ipam.spidernet.io/subnet"] {
        let mut request = annotated(&[(key, r#"{"ipv4": ["s"]}"#)]);
        demanded(&request, &["eth0 4 default", "eth0 6 default"], "default");
        request.context.cluster.subnets = true;
        refused(&request, &RefusalKind::Unsupported(key.to_owned()), &[key, "SpiderSubnet", IPPOOL]);
        request.context.pod.annotations = pairs(&[(IPPOOL, r#"{"ipv4": ["a"]}"#)]);
        demanded(&request, &["eth0 4 a"], "ippool");
    }
}
