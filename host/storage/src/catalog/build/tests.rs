use super::super::{AcceptAll, NamespacedName};
use super::*;

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: Ok(text.to_owned()) }
}

fn pool(name: &str, subnet: &str, ips: &str) -> String {
    format!(
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderIPPool\nmetadata:\n  name: {name}\n\
         spec:\n  subnet: {subnet}\n  ips:\n    - {ips}\n"
    )
}

fn reserved(ips: &str) -> String {
    format!(
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderReservedIP\nmetadata: {{name: r}}\n\
         spec: {{ips: [{ips}]}}\n"
    )
}

fn usable(catalog: &Catalog, name: &str) -> String {
    catalog.pools[name].space.usable.to_string()
}

fn said(catalog: &Catalog) -> Vec<String> {
    catalog.problems.iter().map(ToString::to_string).collect()
}

/// Refuses pools with a gateway, and fills in `spec.default`.
struct NoGateways;

impl Admission for NoGateways {
    fn admit(&self, mut review: Review<'_>) -> Result<Value, Vec<Denial>> {
        if review.kind != "SpiderIPPool" {
            return Ok(review.object);
        }
        assert_eq!(review.operation == Operation::Update, review.accepted.pools.contains_key(review.name));
        if review.object["spec"].get("gateway").is_some() {
            return Err(vec![denial("spec.gateway", "no gateways here"), denial("spec", "nor anything else")]);
        }
        review.object["spec"]["default"] = true.into();
        Ok(review.object)
    }
}

#[test]
fn every_kind_is_read() {
    let crd = |kind: &str, rest: &str| {
        format!("---\napiVersion: spiderpool.spidernet.io/v2beta1\nkind: {kind}\nmetadata: {{name: x}}\n{rest}\n")
    };
    let core = |kind: &str| format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\n");
    let text = [
        crd("SpiderIPPool", "spec: {subnet: 10.6.0.0/16, ips: [10.6.0.5], gateway: 10.6.0.5}"),
        crd("SpiderReservedIP", "spec: {ips: [fd00::1]}"),
        crd("SpiderSubnet", "spec: {subnet: 10.6.0.0/16}"),
        crd("SpiderCoordinator", "spec: {mode: auto}"),
        crd("SpiderMultusConfig", "spec: {}"),
        core("Pod"),
        core("Namespace"),
        core("Node"),
    ];
    let catalog = Builder::default().build(&[file("all.yaml", &text.concat())], &AcceptAll);
    let one = NamespacedName { namespace: "default".to_owned(), name: "x".to_owned() };
    assert!(catalog.pods.contains_key(&one) && catalog.multus_configs.contains_key(&one));
    assert_eq!((catalog.namespaces.len(), catalog.nodes.len(), catalog.subnets.len()), (1, 1, 1));
    assert_eq!((catalog.reserved_ips.len(), catalog.coordinators.len()), (1, 1));
    assert_eq!(usable(&catalog, "x"), "", "the gateway is never given");
    assert!(catalog.problems.iter().all(|problem| problem.severity == Severity::Note), "{:?}", said(&catalog));
    assert_eq!(catalog.problems.len(), 3);
}

#[test]
fn a_list_holds_objects_and_unknown_kinds_are_named() {
    let text = "apiVersion: v1\nkind: List\nitems:\n\
                - {apiVersion: v1, kind: Node, metadata: {name: n}}\n\
                - {apiVersion: v1, kind: Nodes, metadata: {name: n}}\n\
                - {apiVersion: v2, kind: Node, metadata: {name: m}}\n\
                - {apiVersion: v1, kind: Node, metadata: {name: 7}}\n";
    let catalog = Builder::default().build(&[file("l.yaml", text)], &AcceptAll);
    assert_eq!(catalog.nodes.len(), 1);
    let said = said(&catalog);
    assert!(said[0].starts_with("l.yaml:5: kind: Nodes is not a kind that is known here; known are SpiderIPPool,"));
    assert_eq!(said[1], "l.yaml:6: apiVersion: v2 has no Node here; write v1");
    assert_eq!(said[2], "l.yaml:7: metadata.name: must be a text; write it in quotes");
}

#[test]
fn reserved_addresses_come_out_of_pools_in_whatever_file_they_are() {
    let mut builder = Builder::default();
    let pool = file("a.yaml", &pool("p", "10.6.0.0/16", "10.6.0.1-10.6.0.9"));
    let catalog = builder.build(&[pool.clone(), file("b.yaml", &reserved("10.6.0.3-10.6.0.4"))], &AcceptAll);
    assert_eq!(usable(&catalog, "p"), "10.6.0.1-10.6.0.2,10.6.0.5-10.6.0.9");
    let again = builder.build(&[pool.clone(), file("b.yaml", &reserved("10.6.0.3-10.6.0.4"))], &AcceptAll);
    assert!(Arc::ptr_eq(&catalog.pools["p"].space, &again.pools["p"].space), "a space that did not change is kept");
    let catalog = builder.build(&[pool], &AcceptAll);
    assert_eq!(usable(&catalog, "p"), "10.6.0.1-10.6.0.9");
}

#[test]
fn a_bad_version_leaves_the_last_good_one_and_all_others() {
    let mut builder = Builder::default();
    let good = pool("p", "10.6.0.0/16", "10.6.0.1");
    let other = file("b.yaml", &pool("q", "10.7.0.0/16", "10.7.0.1"));
    builder.build(&[file("a.yaml", &good), other.clone()], &AcceptAll);
    let cases = [
        (good.replace("10.6.0.1\n", "10.6.0.x\n"), "a.yaml:8: SpiderIPPool p: spec.ips[0]: \"10.6.0.x\""),
        (good.replace("10.6.0.1\n", "10.9.0.1\n"), "a.yaml:7: SpiderIPPool p: spec.ips: 10.9.0.1 is not in the subnet"),
        (
            good.replace("subnet: 10.6.0.0/16", "subnet: 10.6.1.0/16"),
            "a.yaml:6: SpiderIPPool p: spec.subnet: unformatted",
        ),
        (good.replace("subnet: 10.6.0.0/16", "subnet: [1]"), "a.yaml:6: SpiderIPPool p: spec.subnet: invalid type"),
        (
            good.replace("ips:", "gateway: 10.7.0.1\n  ips:"),
            "a.yaml:7: SpiderIPPool p: spec.gateway: 10.7.0.1 is not in",
        ),
        (good.replace("  ips:", "  ips: ["), "a.yaml:"),
        (good.replace("kind: SpiderIPPool\n", ""), "a.yaml:1: kind: is missing"),
    ];
    for (bad, message) in cases {
        let catalog = builder.build(&[file("a.yaml", &bad), other.clone()], &AcceptAll);
        assert_eq!(usable(&catalog, "p"), "10.6.0.1", "{bad}");
        assert_eq!(usable(&catalog, "q"), "10.7.0.1", "{bad}");
        let said = said(&catalog);
        assert!(said.len() == 1 && said[0].starts_with(message), "{said:?} is not {message:?}");
    }
    let unreadable = SourceFile { name: "a.yaml".into(), text: Err("disk on fire".to_owned()) };
    let catalog = builder.build(&[unreadable, other.clone()], &AcceptAll);
    assert_eq!(said(&catalog), ["a.yaml: cannot be read: disk on fire"]);
    assert!(catalog.pools.contains_key("p"));
    let catalog = builder.build(&[other], &AcceptAll);
    assert_eq!(catalog.pools.keys().collect::<Vec<_>>(), ["q"], "a file that is gone takes its objects with it");
    assert!(catalog.problems.is_empty());
}

#[test]
fn an_object_written_twice_is_reported_with_both_places() {
    let text = pool("p", "10.6.0.0/16", "10.6.0.1");
    let twice = [file("a.yaml", &text), file("b.yaml", &format!("---\n{}", text.replace("0.1", "0.2")))];
    let mut builder = Builder::default();
    let catalog = builder.build(&twice, &AcceptAll);
    assert_eq!(usable(&catalog, "p"), "10.6.0.1");
    let expected = "b.yaml:5: SpiderIPPool p: metadata.name: the same object is written in a.yaml:1 already, which \
                    counts; remove one of them";
    assert_eq!(said(&catalog), [expected]);
    let catalog = builder.build(&twice[1..], &AcceptAll);
    assert_eq!((usable(&catalog, "p"), catalog.problems.len()), ("10.6.0.2".to_owned(), 0));
}

#[test]
fn admission_fills_in_refuses_and_is_asked_again() {
    let mut builder = Builder::default();
    let good = pool("p", "10.6.0.0/16", "10.6.0.1");
    let bad = good.replace("  ips:", "  gateway: 10.6.0.9\n  ips:");
    let catalog = builder.build(&[file("a.yaml", &bad)], &NoGateways);
    assert!(catalog.pools.is_empty());
    let expected = [
        "a.yaml:5: SpiderIPPool p: spec: nor anything else",
        "a.yaml:7: SpiderIPPool p: spec.gateway: no gateways here",
    ];
    assert_eq!(said(&catalog), expected);
    let catalog = builder.build(&[file("a.yaml", &good)], &NoGateways);
    assert_eq!(catalog.pools["p"].object.spec.default, Some(true));
    let catalog = builder.build(&[file("a.yaml", &bad)], &NoGateways);
    assert_eq!((catalog.problems.len(), catalog.pools.len()), (2, 1), "the last good version stays");
    let catalog = builder.build(&[file("a.yaml", &bad)], &AcceptAll);
    assert_eq!((catalog.problems.len(), usable(&catalog, "p").as_str()), (0, "10.6.0.1"));
}
