//! The agent of a cluster's node, against a real API server: what it gives, refuses and tells, and what remains when it or
//! the API server goes away. Asserted with kubectl where the cluster is concerned.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod removed_block;
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use site::{PATIENCE, Site};
use spiderpool_cluster::Cluster;
use spiderpool_tests::manifests::{policy, pool};
use spiderpool_tests::{Answer, Node, Pod};
use spiderpool_wire::summary::PolicyPhase;

/// What the kubelet would give up on: an answer that takes longer than this is none.
const BOUND: Duration = Duration::from_secs(40);

/// Calls that must end soon, however they end.
fn timed(call: impl FnOnce() -> Answer) -> Answer {
    let begun = Instant::now();
    let answer = call();
    assert!(begun.elapsed() < BOUND, "it took {:?}: {}", begun.elapsed(), answer.json);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_takes_an_address_of_the_pool_that_the_pod_names_and_del_frees_it() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "add-del").await?;
    cluster.apply(&pool("add-del", "10.61.0.0/24", "10.61.0.10-10.61.0.19", &["gateway: 10.61.0.1"])).await?;
    site.knows("add-del");
    let web = site.pod("web-0", "add-del").await?;

    assert_eq!(site.plugin.add(&web).addresses(), ["10.61.0.10/24"]);
    assert_eq!(site.held("add-del").await?, [("10.61.0.10".to_owned(), web.uid.clone())]);
    let endpoint = site.endpoint("web-0", true).await?;
    let current = &endpoint["status"]["current"];
    assert_eq!(current["uid"], web.uid.as_str(), "{endpoint}");
    assert_eq!(current["node"], "add-del", "{endpoint}");
    assert_eq!(current["ips"][0]["ipv4"], "10.61.0.10/24", "{endpoint}");
    assert_eq!(endpoint["metadata"]["ownerReferences"][0]["uid"], web.uid.as_str(), "{endpoint}");
    let block = ["add-del.0a3d0000", "add-del", "10.61.0.0/28", "0400"];
    assert_eq!(site.printed(&["spideripblock", block[0]]).await?, block);
    let record = ["web-0", "eth0", "add-del", "10.61.0.10/24", "add-del"];
    assert_eq!(site.printed(&["spiderendpoint", "web-0"]).await?, record);

    assert_eq!(site.plugin.add(&web).addresses(), ["10.61.0.10/24"], "again the same");
    site.end(&web).await?;
    site.plugin.del(&web);
    assert_eq!(site.held("add-del").await?, []);
    site.endpoint("web-0", false).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_are_unknown_dead_or_elsewhere_get_nothing_and_hear_why() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "refusing").await?;
    cluster.apply(&pool("refusing", "10.62.0.0/24", "10.62.0.10-10.62.0.19", &[])).await?;
    site.knows("refusing");
    let (dead, elsewhere) = (site.pod("dead", "refusing").await?, site.pod_of("far", "refusing", "other-node").await?);
    let ended = ["patch", "pod", "dead", "--namespace", &site.namespace, "--subresource", "status", "--patch"];
    cluster.kubectl(&[&ended[..], &[r#"{"status": {"phase": "Failed"}}"#]].concat()).await?;

    let (_, text) = timed(|| site.plugin.add(&Pod::named("nobody").of(&site.namespace))).error();
    assert!(text.contains(&format!("{}/nobody", site.namespace)) && text.contains("does not exist"), "{text}");
    // The news of the pod's end may come after the first ADD.
    let begun = Instant::now();
    let text = loop {
        let answer = site.plugin.add(&dead);
        if !answer.ok {
            break answer.error().1;
        }
        site.plugin.del(&dead);
        assert!(begun.elapsed() < PATIENCE, "a dead pod is served");
    };
    assert!(text.contains("has failed and is not started again"), "{text}");
    let (_, text) = site.plugin.add(&elsewhere).error();
    assert!(text.contains("other-node") && text.contains("refusing"), "{text}");
    assert_eq!(site.held("refusing").await?, []);

    for (pod, said) in [("dead", "has failed and is not started again"), ("far", "other-node")] {
        let event = site.event(pod).await?;
        assert_eq!((&event["type"], &event["reason"]), (&"Warning".into(), &"AddressesRefused".into()), "{event}");
        assert!(event["note"].as_str().unwrap().contains(said), "{event}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_room_hears_it_and_is_served_when_there_is_some() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "exhausted").await?;
    cluster.apply(&pool("exhausted", "10.63.0.0/24", "10.63.0.10", &[])).await?;
    site.knows("exhausted");
    let (first, second) = (site.pod("first", "exhausted").await?, site.pod("second", "exhausted").await?);
    let other = Site::new(cluster, "exhausted-2").await?;
    other.knows("exhausted");
    assert_eq!(site.plugin.add(&first).addresses(), ["10.63.0.10/24"]);
    let (code, text) = site.plugin.add(&second).error();
    assert!(code == 104 && text.contains("exhausted"), "{code} {text}");
    let event = site.event("second").await?;
    assert_eq!(event["reason"], "AddressesExhausted", "{event}");
    // Another node takes the room that comes back and gives it back again: this one has to look for itself.
    site.end(&first).await?;
    let third = other.pod("third", "exhausted").await?;
    assert_eq!(other.plugin.add(&third).addresses(), ["10.63.0.10/24"]);
    assert!(!site.plugin.add(&second).ok);
    other.end(&third).await?;
    assert_eq!(site.plugin.add(&second).addresses(), ["10.63.0.10/24"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_knows_its_addresses_however_it_ended() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut site = Site::new(cluster, "restarted").await?;
    cluster.apply(&pool("restarted", "10.64.0.0/24", "10.64.0.10-10.64.0.19", &[])).await?;
    site.knows("restarted");
    let web = site.pod("web-0", "restarted").await?;
    let before = site.plugin.add(&web).addresses();
    for kill in [true, false] {
        if kill {
            site.node.kill();
        } else {
            assert!(site.node.stop(), "{}", site.node.log());
            assert!(!site.node.socket().exists());
        }
        site.node.run();
        let held = site.node.allocations();
        assert!(held.len() == 1 && held[0].pod_name == "web-0", "{held:?}");
        assert_eq!(site.plugin.add(&web).addresses(), before);
    }
    site.node.kill();
    site.node.run();
    site.end(&web).await?;
    assert_eq!(site.held("restarted").await?, []);
    site.endpoint("web-0", false).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_api_server_the_agent_says_so_soon_and_works_again_afterwards() -> Result<()> {
    let cluster = Cluster::start().await?;
    let mut site = Site::new(&cluster, "alone").await?;
    cluster.apply(&pool("alone", "10.65.0.0/24", "10.65.0.10-10.65.0.19", &[])).await?;
    site.knows("alone");
    let (held, waiting) = (site.pod("held", "alone").await?, site.pod("waiting", "alone").await?);
    let _ = site.plugin.add(&held).addresses();

    cluster.kubectl(&["delete", "pod", "held", "--namespace", &site.namespace, "--wait=false"]).await?;
    // A pod that lives, as far as the agent has heard, would keep its address, and no write would fail.
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.apiserver.kill()?;
    let (code, text) = timed(|| site.plugin.add(&waiting)).error();
    assert!(code == 11 && text.contains("API server"), "{code} {text}");
    let (code, text) = timed(|| site.plugin.call("DEL", &held)).error();
    assert!(code == 11 && text.contains("API server"), "{code} {text}");
    let begun = Instant::now();
    let (status, said) = loop {
        let (status, said) = site.node.health("readiness").unwrap();
        if status != 200 {
            break (status, said);
        }
        assert!(begun.elapsed() < PATIENCE, "the agent says that it is ready: {said}");
        thread::sleep(Duration::from_millis(100));
    };
    assert!(status == 500 && said.contains("API server"), "{status} {said}");
    assert_eq!(site.node.health("liveness").unwrap().0, 200);

    // One that starts meanwhile waits, says for what, and can be stopped all the same.
    site.node.kill();
    for stop in [true, false] {
        site.node.spawn();
        let waits =
            || site.node.health("startup").is_some_and(|(status, said)| status == 500 && said.contains("waiting"));
        let begun = Instant::now();
        while !waits() {
            assert!(begun.elapsed() < PATIENCE, "{:?} {}", site.node.health("startup"), site.node.log());
            thread::sleep(Duration::from_millis(50));
        }
        assert!(!stop || site.node.stop(), "{}", site.node.log());
    }
    let (code, text) = timed(|| site.plugin.add(&waiting)).error();
    assert!(code == 11 && text.contains("not ready yet"), "{code} {text}");

    cluster.apiserver.restart().await?;
    let begun = Instant::now();
    while site.node.health("startup").is_none_or(|(status, _)| status != 200) {
        assert!(begun.elapsed() < PATIENCE, "{}", site.node.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(site.plugin.add(&waiting).addresses().len(), 1);
    site.end(&held).await?;
    let left: Vec<String> = site.held("alone").await?.into_iter().map(|(_, uid)| uid).collect();
    assert_eq!(left, [waiting.uid]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_come_from_conf_yml_and_the_environment() -> Result<()> {
    let cluster = Cluster::shared().await?;
    cluster.node("configured").await?;
    let mut node = Node::stopped("configured", &cluster.kubeconfig());
    node.configure("enableIPv6: perhaps\n");
    let said = String::from_utf8(node.run_to_end().stderr)?;
    assert!(said.contains("enableIPv6") && said.contains("line 2"), "{said}");
    node.set("SPIDERPOOL_NODE_NAME", None);
    node.set("SPIDERPOOL_POD_NAME", Some(" "));
    node.configure("");
    let said = String::from_utf8(node.run_to_end().stderr)?;
    assert!(said.contains("SPIDERPOOL_NODE_NAME") && said.contains("SPIDERPOOL_POD_NAME"), "{said}");

    node.set("SPIDERPOOL_NODE_NAME", Some("configured"));
    node.set("SPIDERPOOL_POD_NAME", Some("agent"));
    node.set("SPIDERPOOL_GOPS_LISTEN_PORT", Some("5712"));
    node.set("SPIDERPOOL_ENABLED_METRIC", Some("false"));
    node.configure(
        "enableAutoPoolForApplication: true\nenableIPv6: false\nenableIPConflictDetection: true\nenableOther: 1\n",
    );
    node.run();
    let log = node.log();
    for note in ["enableAutoPoolForApplication", "enableOther", "SPIDERPOOL_GOPS_LISTEN_PORT"] {
        assert_eq!(log.lines().filter(|line| line.contains(note)).count(), 1, "{note}:\n{log}");
    }
    assert!(log.contains("metrics=nowhere"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metric_prints_shutdown_stops_and_health_tells() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut site = Site::new(cluster, "asked").await?;
    cluster.apply(&pool("asked", "10.66.0.0/24", "10.66.0.10-10.66.0.19", &[])).await?;
    site.knows("asked");
    let web = site.pod("web-0", "asked").await?;
    let _ = site.plugin.add(&web).addresses();
    for what in ["startup", "readiness", "liveness"] {
        let (status, said) = site.node.health(what).unwrap();
        assert_eq!(status, 200, "{what}: {said}");
    }
    let metric = site.node.program().args(["metric", "--port", &site.node.metric_port().unwrap()]).output()?;
    let text = String::from_utf8(metric.stdout)?;
    for line in ["spiderpool_ipam_allocation_counts_total 1", "spiderpool_ipam_release_counts_total 0"] {
        assert!(metric.status.success() && text.lines().any(|printed| printed == line), "{line}:\n{text}");
    }
    let shutdown = site.node.program().arg("shutdown").arg("--socket").arg(site.node.socket()).output()?;
    assert!(shutdown.status.success(), "{}", String::from_utf8_lossy(&shutdown.stderr));
    assert!(site.node.wait(), "{}", site.node.log());
    assert_eq!(site.held("asked").await?.len(), 1, "what was given stays given");
    site.endpoint("web-0", true).await?;
    let shutdown = site.node.program().arg("shutdown").arg("--config-path").arg(site.node.path("conf.yml")).output()?;
    assert!(!shutdown.status.success());
    let said = String::from_utf8(shutdown.stderr)?;
    assert!(said.contains("no agent listens on"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_never_share_an_address() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (one, other) = tokio::try_join!(Site::new(cluster, "one"), Site::new(cluster, "other"))?;
    cluster.apply(&pool("shared", "10.67.0.0/24", "10.67.0.10-10.67.0.29", &[])).await?;
    let mut pods = Vec::new();
    for index in 0..20 {
        let site = if index % 2 == 0 { &one } else { &other };
        site.knows("shared");
        pods.push((site, site.pod(&format!("web-{index}"), "shared").await?));
    }
    let addresses: BTreeSet<String> = thread::scope(|scope| {
        let adds: Vec<_> =
            pods.iter().map(|(site, pod)| scope.spawn(move || site.plugin.add(pod).addresses())).collect();
        adds.into_iter().flat_map(|add| add.join().unwrap()).collect()
    });
    assert_eq!(addresses.len(), 20, "{addresses:?}");
    let uids: BTreeSet<String> = one.held("shared").await?.into_iter().map(|(_, uid)| uid).collect();
    assert_eq!(uids, pods.iter().map(|(_, pod)| pod.uid.clone()).collect());
    for (site, pod) in &pods {
        site.end(pod).await?;
    }
    assert_eq!(one.held("shared").await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_many_pods_to_start_begins_with_its_share_of_the_pool() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.node("first").await?;
    let site = Site::new(&cluster, "second").await?;
    cluster.apply(&pool("divided", "10.68.0.0/24", "10.68.0.32-10.68.0.95", &[])).await?;
    site.knows("divided");
    let alone = site.pod("alone", "divided").await?;
    assert_eq!(site.plugin.add(&alone).addresses(), ["10.68.0.32/24"], "the lowest");
    for index in 0..7 {
        site.pod(&format!("web-{index}"), "divided").await?;
    }
    let eighth = site.pod("web-7", "divided").await?;
    assert_eq!(site.plugin.add(&eighth).addresses(), ["10.68.0.64/24"], "the first of the second half");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_the_nodes_folder_are_in_force() -> Result<()> {
    let cluster = Cluster::shared().await?;
    cluster.node("with-policy").await?;
    let mut node = Node::stopped("with-policy", &cluster.kubeconfig());
    fs::copy(node.dist.example("rack-and-octet"), node.policies().join("rack.wasm"))?;
    cluster.apply(&policy("rack", "rack.wasm", &["settings: {rackLabel: rack}"])).await?;
    node.run();
    let begun = Instant::now();
    while !node.policy_summaries().iter().any(|policy| policy.name == "rack" && policy.phase == PolicyPhase::Ready) {
        assert!(begun.elapsed() < PATIENCE, "{:?} {}", node.policy_summaries(), node.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!node.log().contains("has no effect"), "{}", node.log());
    Ok(())
}
