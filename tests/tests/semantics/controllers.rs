//! Controllers as manifests tell of them: kinds that no API server serves, ends that nobody completes. In a cluster that is
//! the matter of `cluster_retention`.

use spiderpool_tests::{Host, HostOptions, Plugin};

use super::ENGINE;
use super::case::{gets, pool};
use super::retention::{member, member_of, set, web};

#[test]
fn e00003_a_pod_of_a_stateful_set_that_is_going_keeps_nothing() {
    let going = set(1, &["deletionTimestamp: \"2024-01-01T00:00:00Z\""]);
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &going + &member(0, &[])));
    drop(gets(&host, &web(0, 1)));
    Plugin::of(&host).del(&web(0, 1));
    assert!(host.allocations().is_empty(), "{}", host.log());
}

#[test]
fn t00003_pods_of_other_controllers_are_stateless_unless_these_are_listed() {
    let kruise = "apps.kruise.io/v1beta1";
    let manifests = pool("p", 6, &["default: true"]) + &member_of(kruise, 0, &[]);
    let listed = format!("statefulControllers: [{{apiVersion: {kruise}, kind: StatefulSet}}]");
    for (conf, kept) in [(String::new(), 0), (listed, 1)] {
        let host = Host::start(&manifests, HostOptions { conf, ..HostOptions::on(ENGINE) });
        drop(gets(&host, &web(0, 1)));
        Plugin::of(&host).del(&web(0, 1));
        assert_eq!(host.allocations().len(), kept, "{}", host.log());
    }
}
