//! Pods of every kind of workload get an address and give it back.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use spiderpool_tests::manifests::{self, object};
use spiderpool_tests::{Answer, Host, Plugin, Pod};

use super::ENGINE;
use super::case::{IPPOOL, add_at_once, gets, pod, pool, pool6, recorded, refused};

/// A pod of a controller; one of the kind `Pod` has none.
fn owned(api_version: &str, kind: &str, name: &str) -> String {
    let owner = format!(
        "ownerReferences: [{{apiVersion: {api_version}, kind: {kind}, name: web, uid: uid-of-web, controller: true}}]"
    );
    let metadata = ["namespace: default", &format!("uid: uid-{name}"), &owner];
    object("Pod", name, &metadata[..if kind == "Pod" { 2 } else { 3 }])
}

/// A pod of a controller gets an address, is seen, and frees it.
#[track_caller]
fn comes_and_goes(api_version: &str, kind: &str, name: &str) {
    let manifests = pool("p", 6, &["default: true"]) + &owned(api_version, kind, name);
    let host = Host::on(ENGINE, &manifests);
    let web = Pod::named(name);
    assert_eq!(gets(&host, &web), ["10.6.0.10/24"], "{kind}");
    assert_eq!(host.endpoint("default", name).unwrap().interfaces[0].ipv4, "10.6.0.10/24");
    recorded(&host, &web, Some("10.6.0.10/24"));
    assert_eq!((host.allocations().len(), host.pools()[0].allocated), (1, 1));
    Plugin::of(&host).del(&web);
    assert_eq!((host.endpoint("default", name), host.allocations().len(), host.pools()[0].allocated), (None, 0, 0));
    recorded(&host, &web, None);
}

#[test]
fn e00001_a_pod_without_controller() {
    comes_and_goes("", "Pod", "web");
}

#[test]
fn e00002_a_pod_of_a_deployment() {
    comes_and_goes("apps/v1", "ReplicaSet", "web-5d9c-x7k2p");
}

#[test]
fn e00003_a_pod_of_a_stateful_set_that_is_gone() {
    comes_and_goes("apps/v1", "StatefulSet", "web-0");
}

#[test]
fn e00004_a_pod_of_a_daemon_set() {
    comes_and_goes("apps/v1", "DaemonSet", "web-k2p7x");
}

#[test]
fn e00005_a_pod_of_a_job() {
    comes_and_goes("batch/v1", "Job", "web-p7xk2");
}

#[test]
fn e00006_a_pod_of_a_replica_set() {
    comes_and_goes("apps/v1", "ReplicaSet", "web-x7k2p");
}

#[test]
fn t00001_a_pod_of_a_controller_that_nobody_here_knows() {
    comes_and_goes("apps.kruise.io/v1alpha1", "CloneSet", "web-2k7px");
}

#[test]
fn e00007_a_pod_with_a_huge_manifest() {
    let mut web =
        String::from("---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: default\n  uid: uid-web\n");
    web += "  labels:\n";
    (0..500).for_each(|n| writeln!(web, "    label-{n}.example.com/name-{n}: value-{n}").unwrap());
    web += "  annotations:\n";
    (0..200).for_each(|n| writeln!(web, "    annotation-{n}: {}", "x".repeat(1000)).unwrap());
    web += "spec:\n  containers:\n  - name: web\n    image: web\n    env:\n";
    (0..500).for_each(|n| writeln!(web, "    - {{name: VARIABLE_{n}, value: {}}}", "y".repeat(100)).unwrap());
    let host = Host::on(
        ENGINE,
        &(pool("p", 6, &["default: true", "podAffinity: {matchLabels: {label-7.example.com/name-7: value-7}}"]) + &web),
    );
    assert_eq!(gets(&host, &Pod::named("web")), ["10.6.0.10/24"]);
}

#[test]
fn e00009_a_pod_that_names_pools_of_one_family_gets_that_family_alone() {
    let manifests = pool("v4", 6, &["default: true"])
        + &pool6("v6", 6, &["default: true"])
        + &pod("four", &[(IPPOOL, r#"{"ipv4": ["v4"]}"#)])
        + &pod("six", &[(IPPOOL, r#"{"ipv6": ["v6"]}"#)]);
    let host = Host::on(ENGINE, &manifests);
    assert_eq!(gets(&host, &Pod::named("four")), ["10.6.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("six")), ["fd06::10/64"]);
    assert_eq!(gets(&host, &Pod::named("both")), ["10.6.0.11/24", "fd06::11/64"]);
}

#[test]
fn g00002_pods_of_one_name_in_two_namespaces_have_nothing_to_do_with_each_other() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true"]));
    let of = |namespace: &str| Pod {
        uid: format!("uid-{namespace}"),
        container: format!("sandbox-{namespace}"),
        ..Pod::named("web-0").of(namespace)
    };
    assert_eq!(gets(&host, &of("shop")), ["10.6.0.10/24"]);
    assert_eq!(gets(&host, &of("bank")), ["10.6.0.11/24"]);
    Plugin::of(&host).del(&of("shop"));
    assert_eq!(host.endpoint("shop", "web-0"), None);
    assert_eq!(host.endpoint("bank", "web-0").unwrap().interfaces[0].ipv4, "10.6.0.11/24");
    assert_eq!(gets(&host, &of("home")), ["10.6.0.10/24"], "the lowest free address, at once");
}

#[test]
fn g00001_what_pods_of_a_deleted_namespace_held_goes_with_their_del() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true"]));
    let pods = ["early", "late"].map(|name| Pod::named(name).of("doomed"));
    assert_eq!(gets(&host, &pods[0]), ["10.6.0.10/24"]);
    host.write("late.yaml", &manifests::pod("doomed", "late", "uid-late", &[]));
    host.delete_namespace("doomed");
    assert_eq!(
        gets(&host, &pods[1]),
        ["10.6.0.11/24"],
        "nothing can be made in the namespace any more, not even a record"
    );
    for pod in &pods {
        Plugin::of(&host).del(pod);
        host.delete_pod(pod);
    }
    assert!(host.allocations().is_empty());
    recorded(&host, &pods[0], None);
}

#[test]
fn g00006_a_pod_of_a_job_that_has_ended_gets_nothing_more_and_gives_back() {
    let job = owned("batch/v1", "Job", "web-p7xk2") + "spec: {restartPolicy: Never}\n";
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"])));
    host.write("job.yaml", &job);
    let web = Pod::named("web-p7xk2");
    host.wait_for("it is known", || host.ctl(&["explain", "default/web-p7xk2"]).status.success());
    assert_eq!(gets(&host, &web), ["10.6.0.10/24"]);
    host.write("job.yaml", &(job + "status: {phase: Succeeded}\n"));
    host.wait_for("its end is known", || !host.ctl(&["explain", "default/web-p7xk2"]).status.success());
    refused(&host, &web.in_sandbox("late"), 103, &["has succeeded", "gets no address"]);
    Plugin::of(&host).del(&web);
    assert!(host.allocations().is_empty());
}

#[test]
fn g00011_g00012_pods_of_all_kinds_compete_for_one_pool_and_none_shares_an_address() {
    let kinds = [
        ("", "Pod", "bare"),
        ("apps/v1", "ReplicaSet", "web-5d9c-x7k2p"),
        ("apps/v1", "DaemonSet", "web-k2p7x"),
        ("batch/v1", "Job", "web-p7xk2"),
        ("apps/v1", "StatefulSet", "web-0"),
        ("apps/v1", "StatefulSet", "web-1"),
        ("apps/v1", "StatefulSet", "db-0"),
        ("apps/v1", "StatefulSet", "db-1"),
        ("apps.kruise.io/v1alpha1", "CloneSet", "web-2k7px"),
        ("", "Pod", "other"),
        ("apps/v1", "ReplicaSet", "late-5d9c-p2k7x"),
        ("batch/v1", "Job", "late-k2px7"),
    ];
    let objects: String = kinds.iter().map(|(version, kind, name)| owned(version, kind, name)).collect();
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &objects));
    let pods: Vec<Pod> = kinds.iter().map(|(_, _, name)| Pod::named(name)).collect();
    let answers = add_at_once(&host, &pods);
    let given: BTreeSet<String> = answers.iter().filter(|answer| answer.ok).flat_map(Answer::addresses).collect();
    assert_eq!(given.len(), 10, "all that the pool has, each once: {answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.ok).count(), 10);
    for (pod, answer) in pods.iter().zip(&answers) {
        assert!(answer.ok || answer.error().0 == 104, "{}", answer.json);
        Plugin::of(&host).del(pod);
    }
    assert!(host.allocations().is_empty());
}
