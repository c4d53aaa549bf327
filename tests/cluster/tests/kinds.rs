//! Every kind of the chart, as the API server knows it: what it takes, and what its schema refuses.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use spiderpool_cluster::Cluster;

/// A kind, an object of it, and a part of that object with something in its place that the schema has to refuse.
struct Case {
    resource: &'static str,
    good: &'static str,
    replaced: &'static str,
    wrong: &'static str,
    /// The field that the API server names.
    named: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        resource: "spiderippool/good",
        good: "{kind: SpiderIPPool, spec: {subnet: 10.6.0.0/16, ips: [10.6.0.5-10.6.0.9], disable: false}}",
        replaced: "disable: false",
        wrong: "disable: perhaps",
        named: "spec.disable",
    },
    Case {
        resource: "spidersubnet/good",
        good: "{kind: SpiderSubnet, spec: {subnet: 10.6.0.0/16, ips: [10.6.0.0-10.6.0.9]}}",
        replaced: "subnet: 10.6.0.0/16",
        wrong: "gateway: 10.6.0.1",
        named: "spec.subnet",
    },
    Case {
        resource: "spiderreservedip/good",
        good: "{kind: SpiderReservedIP, spec: {ips: [10.6.0.7]}}",
        replaced: "[10.6.0.7]",
        wrong: "10.6.0.7",
        named: "spec.ips",
    },
    Case {
        resource: "spidercoordinator/good",
        good: "{kind: SpiderCoordinator, spec: {mode: auto}}",
        replaced: "mode: auto",
        wrong: "mode: sideways",
        named: "spec.mode",
    },
    Case {
        resource: "spidermultusconfig/good",
        good: "{kind: SpiderMultusConfig, spec: {cniType: macvlan, macvlan: {master: [eth0]}}}",
        replaced: "cniType: macvlan",
        wrong: "cniType: carrier-pigeon",
        named: "spec.cniType",
    },
    Case {
        resource: "spiderendpoint/good",
        good: "{kind: SpiderEndpoint, status: {current: {uid: a, node: node1, ips: [{interface: eth0, ipv4: 10.6.0.5/16}]}, \
               ownerControllerType: Pod, ownerControllerName: web-0}}",
        replaced: "uid: a, ",
        wrong: "",
        named: "status.current.uid",
    },
    Case {
        resource: "spideripblock/good",
        good: "{kind: SpiderIPBlock, spec: {pool: p4, block: 10.6.0.0/24}}",
        replaced: "pool: p4, ",
        wrong: "",
        named: "spec.pool",
    },
    Case {
        resource: "spiderpolicy/good",
        good: "{kind: SpiderPolicy, spec: {source: {file: rack.wasm}, onFailure: deny}}",
        replaced: "onFailure: deny",
        wrong: "onFailure: panic",
        named: "spec.onFailure",
    },
];

fn manifest(object: &str, name: &str) -> String {
    let head = format!("{{apiVersion: spiderpool.spidernet.io/v2beta1, metadata: {{name: {name}}}, ");
    object.replacen('{', &head, 1)
}

#[tokio::test]
async fn every_kind_takes_what_it_should_and_nothing_else() -> Result<()> {
    let cluster = Cluster::shared().await?;
    for Case { resource, good, replaced, wrong, named } in CASES {
        cluster.apply(&manifest(good, "good")).await.with_context(|| format!("{resource} is refused"))?;
        let shown = cluster.kubectl(&["get", resource, "--output", "name"]).await?;
        let expected = resource.replace('/', ".spiderpool.spidernet.io/");
        assert_eq!(shown.trim_end(), expected);

        ensure!(good.contains(replaced), "{resource}: {good} does not contain {replaced}");
        let bad = manifest(&good.replace(replaced, wrong), "wrong");
        let refusal = match cluster.apply(&bad).await {
            Ok(said) => anyhow::bail!("{bad} is accepted: {said}"),
            Err(error) => format!("{error:#}"),
        };
        ensure!(refusal.contains(named), "{resource}: the refusal does not name {named}: {refusal}");
    }
    Ok(())
}

#[tokio::test]
async fn all_definitions_of_the_chart_are_served() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let served = cluster
        .kubectl(&["api-resources", "--api-group", "spiderpool.spidernet.io", "--output", "name", "--no-headers"])
        .await?;
    let served = served.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let expected = spiderpool_crd::all_crds().into_iter().filter_map(|definition| definition.metadata.name);
    assert_eq!(served, expected.collect());
    assert_eq!(served.len(), CASES.len(), "a kind without a case: {served:?}");
    Ok(())
}
