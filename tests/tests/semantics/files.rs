//! What a folder of manifests refuses by itself. In a cluster it is the controller's webhook that says no.

use spiderpool_tests::{Host, Pod};

use super::ENGINE;
use super::case::{gets, pool, total};

#[test]
fn s00003_an_address_that_is_held_cannot_be_excluded() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true"]));
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.10/24"]);
    host.write("manifests.yaml", &pool("p", 6, &["default: true", "excludeIPs: [10.6.0.10]"]));
    host.wait_for("the change is refused", || host.log().contains("spec.excludeIPs"));
    assert_eq!(total(&host, "p"), Some(10));
    host.write("manifests.yaml", &pool("p", 6, &["default: true", "excludeIPs: [10.6.0.11]"]));
    host.wait_for("another is not", || total(&host, "p") == Some(9));
    assert_eq!(gets(&host, &Pod::named("b")), ["10.6.0.12/24"]);
}

#[test]
fn d00003_a_gateway_or_a_route_that_leads_nowhere_is_refused() {
    let bad = pool("gateway", 6, &["default: true", "gateway: 10.7.0.1"])
        + &pool("route", 8, &["default: true", "routes: [{dst: 10.9.0.0/16, gw: 10.7.0.1}]"])
        + &pool("good", 9, &["default: true", "gateway: 10.9.0.1"]);
    let host = Host::on(ENGINE, &bad);
    assert_eq!(host.pools().iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>(), ["good"]);
    for word in ["SpiderIPPool gateway", "spec.gateway", "SpiderIPPool route", "spec.routes"] {
        assert!(host.log().contains(word), "no {word:?} in: {}", host.log());
    }
}
