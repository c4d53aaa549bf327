//! What cases are made of.

use std::thread;

use spiderpool_tests::{Answer, Host, Plugin, Pod};

pub(crate) const IPPOOL: &str = "ipam.spidernet.io/ippool";
pub(crate) const IPPOOLS: &str = "ipam.spidernet.io/ippools";
pub(crate) const IP_ADDRESSES: &str = "ipam.spidernet.io/ip-addresses";
pub(crate) const ROUTES: &str = "ipam.spidernet.io/routes";
pub(crate) const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// A Pod of `default` with annotations.
pub(crate) fn pod(name: &str, annotations: &[(&str, &str)]) -> String {
    spiderpool_tests::manifests::pod("default", name, &format!("uid-{name}"), annotations)
}

/// A pool of 10.N.0.0/24 with the addresses 10.N.0.10 to 10.N.0.19. `more` are further lines of its spec.
pub(crate) fn pool(name: &str, number: u8, more: &[&str]) -> String {
    let (subnet, ips) = (format!("10.{number}.0.0/24"), format!("10.{number}.0.10-10.{number}.0.19"));
    spiderpool_tests::manifests::pool(name, &subnet, &ips, more)
}

/// A pool of fdNN::/64 with the addresses fdNN::10 to fdNN::19.
pub(crate) fn pool6(name: &str, number: u8, more: &[&str]) -> String {
    let (subnet, ips) = (format!("fd{number:02}::/64"), format!("fd{number:02}::10-fd{number:02}::19"));
    spiderpool_tests::manifests::pool(name, &subnet, &ips, more)
}

/// The addresses that the pod gets.
#[track_caller]
pub(crate) fn gets(host: &Host, pod: &Pod) -> Vec<String> {
    Plugin::of(host).add(pod).addresses()
}

/// The pod gets nothing, holds nothing, and hears all of these words.
#[track_caller]
pub(crate) fn refused(host: &Host, pod: &Pod, code: u64, words: &[&str]) {
    let before = host.allocations();
    let (found, text) = Plugin::of(host).add(pod).error();
    assert_eq!(found, code, "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    assert_eq!(host.allocations(), before, "a refused pod takes nothing");
}

/// How many addresses a pool has; none when there is no such pool.
pub(crate) fn total(host: &Host, name: &str) -> Option<u64> {
    host.pools().into_iter().find(|pool| pool.name == name).map(|pool| pool.total)
}

/// Calls ADD for all of them at once.
pub(crate) fn add_at_once(host: &Host, pods: &[Pod]) -> Vec<Answer> {
    let plugin = &Plugin::of(host);
    thread::scope(|scope| {
        let calls: Vec<_> = pods.iter().map(|pod| scope.spawn(move || plugin.add(pod))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

/// The pod's endpoint tells this IPv4 address, or there is none, at the latest when it is written.
#[track_caller]
pub(crate) fn recorded(host: &Host, pod: &Pod, address: Option<&str>) {
    host.wait_for("the endpoint tells", || host.recorded(pod).as_deref() == address);
}
