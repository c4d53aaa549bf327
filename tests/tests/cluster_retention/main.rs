//! Who keeps addresses in a cluster: pods of real StatefulSets, of other controllers and of virtual machines, on nodes of a
//! real API server. Nobody runs controllers or kubelets: the tests do what these would.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod site;

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use site::{Site, define, object, plural};
use spiderpool_cluster::Cluster;
use spiderpool_tests::{Node, Plugin, Pod};

#[tokio::test(flavor = "multi_thread")]
async fn cluster_a_stateful_sets_pod_keeps_its_address_on_another_node() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "stateful", 81, "").await?;
    site.set(2, json!({})).await?;
    let (first, zero) = (site.member(1, 0).await?, site.member(0, 0).await?);
    assert_eq!(site.add(&first, 0), ["10.81.0.10/24"]);
    assert_eq!(site.add(&zero, 0), ["10.81.0.11/24"]);
    assert_eq!(Plugin::on(&site.nodes[0]).add(&zero.nic("net1")).addresses(), ["10.81.0.12/24"]);
    let mut zero = zero;
    for node in [0, 1, 0, 1] {
        let was = site.nodes.iter().position(|node| {
            !node.allocations().is_empty() && { node.allocations().iter().any(|row| row.pod_uid == zero.uid) }
        });
        site.end(&zero, was.unwrap()).await?;
        site.holders(&["web-0", "web-0", "web-1"]).await?;
        zero = site.member(0, node).await?;
        assert_eq!(site.add(&zero, node), ["10.81.0.11/24"], "{}", site.nodes[node].log());
        assert_eq!(Plugin::on(&site.nodes[node]).add(&zero.nic("net1")).addresses(), ["10.81.0.12/24"]);
        assert_eq!(site.add(&zero, node), ["10.81.0.11/24"], "again the same");
        let held = site.held().await?;
        assert_eq!(held.iter().filter(|(_, uid, _)| *uid == zero.uid).count(), 2, "{held:?}");
        assert_eq!(held.len(), 3, "{held:?}");
    }
    site.nodes.iter().try_for_each(Node::caught_up)?;
    let record = site.kubectl(&["get", "spiderendpoint", "web-0", "-o", "jsonpath={.status.current.uid}"]).await?;
    assert_eq!(record.trim(), zero.uid);

    // What was given up is not handed back: another has it by now.
    site.set(0, json!({})).await?;
    site.end(&zero, 1).await?;
    Plugin::on(&site.nodes[1]).del(&zero.nic("net1"));
    site.holders(&["web-1"]).await?;
    site.set(2, json!({})).await?;
    let other = site.pod("other", 1, ("apps/v1", "StatefulSet", "web"), json!({})).await?;
    assert_eq!(site.add(&other, 1), ["10.81.0.11/24"]);
    let zero = site.member(0, 0).await?;
    assert_ne!(site.add(&zero, 0), ["10.81.0.11/24"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn g00010_cluster_a_stateful_sets_surplus_and_its_end_free_addresses() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "scaled", 82, "").await?;
    site.set(3, json!({})).await?;
    let mut pods = Vec::new();
    for ordinal in 0..3 {
        let pod = site.member(ordinal, 0).await?;
        drop(site.add(&pod, 0));
        pods.push(pod);
    }
    site.set(1, json!({})).await?;
    for pod in &pods {
        site.end(pod, 0).await?;
    }
    site.holders(&["web-0"]).await?;
    let zero = site.member(0, 1).await?;
    drop(site.add(&zero, 1));
    site.kubectl(&["delete", "statefulset", "web"]).await?;
    site.end(&zero, 1).await?;
    site.holders(&[]).await?;

    // Scaled down and up again within the time that its annotation gives.
    site.set(1, json!({"ipam.spidernet.io/retain": "2s"})).await?;
    let zero = site.member(0, 0).await?;
    let before = site.add(&zero, 0);
    site.set(0, json!({"ipam.spidernet.io/retain": "2s"})).await?;
    site.end(&zero, 0).await?;
    site.holders(&["web-0"]).await?;
    let zero = site.member(0, 1).await?;
    assert_eq!(site.add(&zero, 1), before, "{}", site.nodes[1].log());
    site.end(&zero, 1).await?;
    let begun = Instant::now();
    assert_eq!(site.held().await?.len(), 1);
    site.holders(&[]).await?;
    assert!(begun.elapsed() < Duration::from_secs(10), "two seconds took {:?}", begun.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_a_pod_that_lives_keeps_its_address_and_leaves_nothing_when_it_ends() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "alive", 83, "").await?;
    // Of a controller that keeps nothing: its pods are as good as anybody's.
    let owner =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of", "namespace": site.namespace}});
    cluster.apply(&owner.to_string()).await?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": site.namespace, "annotations": {
            "ipam.spidernet.io/ippool": json!({"ipv4": [site.pool]}).to_string(),
        }},
        "spec": {"nodeName": site.nodes[0].name, "containers": [{"name": "main", "image": "none"}]},
    });
    cluster.apply(&pod.to_string()).await?;
    let uid = site.kubectl(&["get", "pod", "web", "-o", "jsonpath={.metadata.uid}"]).await?.trim().to_owned();
    let web = Pod { namespace: site.namespace.clone(), uid, ..Pod::named("web") };
    let before = site.add(&web, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    Plugin::on(&site.nodes[0]).del(&web);
    site.holders(&["web"]).await?;
    let again = web.in_sandbox("second");
    assert_eq!(site.add(&again, 0), before);
    Plugin::on(&site.nodes[0]).del(&again);
    site.holders(&["web"]).await?;
    // Nobody calls DEL again.
    site.kubectl(&["delete", "pod", "web", "--wait=false"]).await?;
    site.holders(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_a_deployments_annotation_keeps_addresses_for_a_while_at_the_price_of_a_list() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let site = Site::new(cluster, "deployed", 88, "").await?;
    let lists = async || -> Result<u64> {
        let requests = cluster.requests().await?;
        Ok(requests.sum(|request| request.resource == "deployments" && request.verb == "LIST"))
    };
    let mut pods = Vec::new();
    for (name, annotations) in [("web", json!({"ipam.spidernet.io/retain": "5s"})), ("api", json!({}))] {
        let set = site.deployment(name, annotations).await?;
        for number in 0..2 {
            let pod = site.pod(&format!("{set}-{number}"), 0, ("apps/v1", "ReplicaSet", &set), json!({})).await?;
            drop(site.add(&pod, 0));
            pods.push(pod);
        }
    }
    let before = lists().await?;
    for pod in &pods {
        site.kubectl(&["delete", "pod", &pod.name, "--grace-period=0", "--force"]).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    pods.iter().for_each(|pod| Plugin::on(&site.nodes[0]).del(pod));
    assert_eq!(lists().await? - before, 1, "one for all four");
    site.holders(&["web-5d4f8-0", "web-5d4f8-1"]).await?;
    site.holders(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_without_its_api_server_a_del_of_a_stateful_pod_is_quick_and_asked_again() -> Result<()> {
    let cluster = Cluster::start().await?;
    let site = Site::new(&cluster, "away", 84, "").await?;
    site.set(1, json!({})).await?;
    let zero = site.member(0, 0).await?;
    drop(site.add(&zero, 0));
    site.kubectl(&["delete", "pod", "web-0", "--wait=false"]).await?;
    site.set(0, json!({})).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.apiserver.kill()?;
    let begun = Instant::now();
    Plugin::on(&site.nodes[0]).del(&zero);
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    assert_eq!(site.nodes[0].allocations().len(), 1, "nobody knows whether it is wanted");
    cluster.apiserver.restart().await?;
    site.holders(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t00003_cluster_pods_of_a_listed_controller_keep_addresses_until_it_goes() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (group, kind) = ("apps.kruise.io", "StatefulSet");
    define(cluster, group, "v1beta1", &[kind]).await?;
    let listed = "statefulControllers: [{apiVersion: apps.kruise.io/v1beta1, kind: StatefulSet}]\n";
    for (name, number, conf, kept) in [("kruise", 85, "", false), ("kruise-listed", 86, listed, true)] {
        let site = Site::new(cluster, name, number, conf).await?;
        let version = "apps.kruise.io/v1beta1";
        cluster.apply(&object(version, kind, "web", &site.namespace, json!([]))).await?;
        let pod = site.pod("web-0", 0, (version, kind, "web"), json!({})).await?;
        let first = site.add(&pod, 0);
        site.end(&pod, 0).await?;
        site.holders(if kept { &["web-0"] } else { &[] }).await?;
        let pod = site.pod("web-0", 1, (version, kind, "web"), json!({})).await?;
        let second = site.add(&pod, 1);
        assert!(second == first || !kept, "{first:?} was kept for it, {second:?} was given");
        site.kubectl(&["delete", &plural(version, kind), "web"]).await?;
        site.end(&pod, 1).await?;
        site.holders(&[]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f00001_f00002_f00003_cluster_a_virtual_machine_keeps_its_addresses() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (machine, instance, migration) =
        ("VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceMigration");
    define(cluster, "kubevirt.io", "v1", &[machine, instance, migration]).await?;
    let site = Site::new(cluster, "machines", 87, "enableIPConflictDetection: true\n").await?;
    let version = "kubevirt.io/v1";
    cluster.apply(&object(version, machine, "vm", &site.namespace, json!([]))).await?;
    let uid = site.kubectl(&["get", &plural(version, machine), "vm", "-o", "jsonpath={.metadata.uid}"]).await?;
    let owner = json!([{"apiVersion": version, "kind": machine, "name": "vm", "uid": uid.trim(), "controller": true}]);
    let started = object(version, instance, "vm", &site.namespace, owner);
    cluster.apply(&started).await?;

    let first = site.pod("virt-launcher-vm-aaaaa", 0, (version, instance, "vm"), json!({})).await?;
    assert_eq!(site.add(&first, 0), ["10.87.0.10/24"]);
    assert_eq!(Plugin::on(&site.nodes[0]).add(&first.nic("net1")).addresses(), ["10.87.0.11/24"]);
    assert!(site.held().await?.iter().all(|(name, ..)| name == "vm"), "{:?}", site.held().await?);
    let found = site.nodes[0].endpoint(&site.namespace, &first.name);
    assert_eq!(found.interfaces.len(), 2, "it is found by the name of its pod: {found:?}");
    // Stopped, and started on another node.
    site.kubectl(&["delete", &plural(version, instance), "vm"]).await?;
    site.end(&first, 0).await?;
    Plugin::on(&site.nodes[0]).del(&first.nic("net1"));
    site.holders(&["vm", "vm"]).await?;
    cluster.apply(&started).await?;
    let second = site.pod("virt-launcher-vm-bbbbb", 1, (version, instance, "vm"), json!({})).await?;
    assert_eq!(site.add(&second, 1), ["10.87.0.10/24"]);
    assert_eq!(Plugin::on(&site.nodes[1]).add(&second.nic("net1")).addresses(), ["10.87.0.11/24"]);

    // Migrated live: both pods have the addresses meanwhile.
    cluster.apply(&object(version, migration, "move", &site.namespace, json!([]))).await?;
    let target = json!({"kubevirt.io/migrationJobName": "move"});
    let third = site.pod("virt-launcher-vm-ccccc", 0, (version, instance, "vm"), target).await?;
    assert_eq!(site.add(&third, 0), ["10.87.0.10/24"]);
    assert_eq!(Plugin::on(&site.nodes[0]).add(&third.nic("net1")).addresses(), ["10.87.0.11/24"]);
    assert!(site.nodes[0].log().contains("live migration `move`"), "{}", site.nodes[0].log());
    site.end(&second, 1).await?;
    assert!(site.held().await?.iter().all(|(_, uid, _)| *uid == third.uid), "{:?}", site.held().await?);

    site.kubectl(&["delete", &plural(version, machine), "vm"]).await?;
    site.kubectl(&["delete", &plural(version, instance), "vm"]).await?;
    site.end(&third, 0).await?;
    Plugin::on(&site.nodes[0]).del(&third.nic("net1"));
    site.holders(&[]).await
}
