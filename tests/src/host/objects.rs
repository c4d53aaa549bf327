//! Objects of a real API server, written as manifests are, and pods as a kubelet knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;
use tokio::runtime::Runtime;

use crate::Pod;

/// Who owns the fields that manifests set: what a manifest no longer says is taken away.
const WRITER: &str = "manifests";

/// Our own kinds.
const OWN: &str = "spiderpool.spidernet.io/v2beta1";

/// What does not stay from one machine to the next.
const CLUSTER_WIDE: [(&str, &str); 5] =
    [(OWN, "SpiderIPPool"), (OWN, "SpiderIPBlock"), (OWN, "SpiderReservedIP"), (OWN, "SpiderPolicy"), ("v1", "Node")];
const NAMESPACED: [(&str, &str); 5] = [
    (OWN, "SpiderEndpoint"),
    ("v1", "Pod"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "Deployment"),
];

/// Where requests of tests that wait for them are sent from; the cluster's servers belong to it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A pod as tests call it: namespace, name, uid.
type Called = (String, String, String);

/// Where an object is.
type Place = (ApiResource, Option<String>, String);

/// The API server of this process's tests, while it is one machine's turn.
pub(crate) struct Objects {
    client: Client,
    kubeconfig: PathBuf,
    /// Where pods run.
    node: String,
    written: Mutex<BTreeMap<String, Vec<Place>>>,
    /// The uids that the API server made for pods, which tests call by uids of their own.
    uids: Mutex<BTreeMap<Called, String>>,
    /// What pods were made of, by namespace and name.
    pods: Mutex<BTreeMap<(String, String), Value>>,
    /// Those that have ended.
    ended: Mutex<BTreeSet<Called>>,
}

impl Objects {
    /// An API server without objects of earlier machines, with a node of this name.
    ///
    /// # Panics
    /// The API server does not start, or refuses.
    pub(crate) fn begin(node: &str) -> Self {
        let (client, kubeconfig) = wait(async {
            let cluster = Cluster::shared().await.expect("a cluster");
            (cluster.client().expect("a client"), cluster.kubeconfig())
        });
        let (written, uids, pods, ended) = <_>::default();
        let objects = Self { client, kubeconfig, node: node.into(), written, uids, pods, ended };
        wait(objects.sweep());
        wait(objects.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})));
        objects
    }

    /// A kubeconfig file of an administrator.
    pub(crate) fn kubeconfig(&self) -> &PathBuf {
        &self.kubeconfig
    }

    /// Makes and changes objects so that they are as the file says, and deletes those that it said before and says no
    /// longer.
    ///
    /// # Panics
    /// The text cannot be read, or the API server refuses.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let options = serde_saphyr::options! { strict_booleans: true };
        let objects: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).expect("manifests");
        let now: Vec<Place> = objects.iter().map(place).collect();
        let before = self.written.lock().expect("no panic").insert(file.into(), now.clone()).unwrap_or_default();
        wait(async {
            for object in objects {
                self.apply(object).await;
            }
            for (resource, namespace, name) in before {
                if !now.iter().any(|(kind, other, same)| (kind, other, same) == (&resource, &namespace, &name)) {
                    self.delete(&resource, namespace.as_deref(), &name).await;
                }
            }
        });
    }

    /// The uid by which the kubelet calls a pod. For ADD it has one in any case: without an object there is no pod.
    ///
    /// # Panics
    /// Another pod of the name is there: delete it first.
    pub(crate) fn uid(&self, pod: &Pod, verb: &str) -> String {
        if verb == "ADD" && self.ended.lock().expect("no panic").remove(&called(pod)) {
            self.uids.lock().expect("no panic").remove(&called(pod));
        }
        match self.known(pod) {
            Some(uid) => uid,
            None if verb == "ADD" => self.create(pod),
            None => pod.uid.clone(),
        }
    }

    /// The uid that a pod has, or had.
    pub(crate) fn known(&self, pod: &Pod) -> Option<String> {
        self.uids.lock().expect("no panic").get(&called(pod)).cloned()
    }

    fn create(&self, pod: &Pod) -> String {
        // One after the other: two ADDs of one pod at once are of one pod.
        let mut uids = self.uids.lock().expect("no panic");
        if let Some(uid) = uids.get(&called(pod)) {
            return uid.clone();
        }
        let of_name = |(namespace, name, _): &&Called| *namespace == pod.namespace && *name == pod.name;
        let bare = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": pod.namespace, "name": pod.name},
        });
        let before = self.pods.lock().expect("no panic").get(&(pod.namespace.clone(), pod.name.clone())).cloned();
        let object = before.unwrap_or(bare);
        let made = wait(self.send(object));
        let uid = made.uid().expect("a uid");
        assert!(!uids.iter().any(|(key, other)| of_name(&key) && *other == uid), "delete the pod {} first", pod.name);
        uids.insert(called(pod), uid.clone());
        uid
    }

    /// Deletes a pod's object, should it be this pod's. Another ADD for the pod makes it anew.
    ///
    /// # Panics
    /// The API server refuses.
    pub(crate) fn end(&self, pod: &Pod) {
        let Some(uid) = self.known(pod) else { return };
        let api = self.api(&resource("v1", "Pod"), Some(&pod.namespace));
        let there = wait(api.get_opt(&pod.name)).expect("an answer");
        if there.is_some_and(|there| there.uid() == Some(uid)) {
            self.delete_pod(pod);
            self.ended.lock().expect("no panic").insert(called(pod));
        }
    }

    /// Deletes a pod's object at once, as by force.
    ///
    /// # Panics
    /// The API server refuses.
    pub(crate) fn delete_pod(&self, pod: &Pod) {
        wait(self.delete(&resource("v1", "Pod"), Some(&pod.namespace), &pod.name));
    }

    /// Deletes a pod's object as people do: it stays, marked, until the kubelet has ended the pod.
    ///
    /// # Panics
    /// The API server refuses, or there is no such pod.
    pub(crate) fn end_pod(&self, pod: &Pod) {
        let api = self.api(&resource("v1", "Pod"), Some(&pod.namespace));
        let left = wait(api.delete(&pod.name, &DeleteParams::default().grace_period(30))).expect("a pod");
        assert!(left.left().is_some_and(|pod| pod.metadata.deletion_timestamp.is_some()), "it is gone at once");
    }

    /// The IPv4 address that the first interface has according to a pod's SpiderEndpoint.
    ///
    /// # Panics
    /// The API server does not say.
    pub(crate) fn recorded(&self, pod: &Pod) -> Option<String> {
        let api = self.api(&resource(OWN, "SpiderEndpoint"), Some(&pod.namespace));
        let endpoint = wait(api.get_opt(&pod.name)).expect("an answer")?;
        endpoint.data["status"]["current"]["ips"][0]["ipv4"].as_str().map(str::to_owned)
    }

    /// Deletes a namespace. It stays as one that is being deleted, with all that is in it: nobody is there who would go on.
    ///
    /// # Panics
    /// The API server refuses, or there is no such namespace.
    pub(crate) fn delete_namespace(&self, name: &str) {
        wait(self.api(&resource("v1", "Namespace"), None).delete(name, &DeleteParams::default())).expect("a namespace");
    }

    /// Deletes everything of earlier machines. Other namespaces stay, as bare as they were.
    async fn sweep(&self) {
        for (version, kind) in CLUSTER_WIDE {
            self.delete_all(&resource(version, kind)).await;
        }
        for (version, kind) in NAMESPACED {
            let resource = resource(version, kind);
            let all = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
            for object in all.list(&ListParams::default()).await.expect("a list") {
                self.delete(&resource, object.namespace().as_deref(), &object.name_any()).await;
            }
        }
        let namespaces = Api::<DynamicObject>::all_with(self.client.clone(), &resource("v1", "Namespace"));
        for namespace in namespaces.list(&ListParams::default()).await.expect("a list") {
            let name = namespace.name_any();
            if namespace.metadata.deletion_timestamp.is_some() {
                let empty = json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []},
                });
                namespaces
                    .replace_subresource("finalize", &name, &PostParams::default(), &empty)
                    .await
                    .expect("its end");
            } else if namespace.managed_fields().iter().any(|fields| fields.manager.as_deref() == Some(WRITER)) {
                self.namespace(&name).await;
            }
        }
    }

    async fn delete_all(&self, resource: &ApiResource) {
        let api = self.api(resource, None);
        let done = api.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await;
        done.unwrap_or_else(|error| panic!("cannot delete all {}: {error}", resource.plural));
    }

    async fn delete(&self, resource: &ApiResource, namespace: Option<&str>, name: &str) {
        match self.api(resource, namespace).delete(name, &DeleteParams::default().grace_period(0)).await {
            Ok(_) => {}
            // Somebody was faster.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("cannot delete {} {name}: {error}", resource.kind),
        }
    }

    /// Makes an object or changes it, with its status as whoever has it in hand would, and keeps a pod's uid in mind.
    async fn apply(&self, object: Value) {
        let said = object["metadata"]["uid"].as_str().map(str::to_owned);
        let status = object.get("status").cloned();
        let made = self.send(object).await;
        if let Some(status) = status {
            let of = made.types.clone().expect("a kind");
            let resource = resource(&of.api_version, &of.kind);
            let api = self.api(&resource, made.namespace().as_deref());
            let change = Patch::Merge(json!({"status": status}));
            api.patch_status(&made.name_any(), &PatchParams::default(), &change).await.expect("a status");
        }
        if let (Some(said), Some(uid)) = (said, made.uid()) {
            let key = (made.namespace().unwrap_or_default(), made.name_any(), said);
            self.uids.lock().expect("no panic").insert(key, uid);
        }
    }

    async fn send(&self, mut object: Value) -> DynamicObject {
        let (resource, namespace, name) = place(&object);
        if let Some(namespace) = &namespace {
            self.namespace_of(namespace).await;
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // The API server makes them.
            metadata.remove("uid");
        }
        if resource.kind == "Pod" {
            let key = (namespace.clone().unwrap_or_default(), name.clone());
            self.pods.lock().expect("no panic").insert(key, object.clone());
            let spec = &mut object["spec"];
            if spec["containers"].is_null() {
                spec["containers"] = json!([{"name": "main", "image": "none"}]);
            }
            spec["nodeName"] = self.node.as_str().into();
            self.own(&mut object, namespace.as_deref()).await;
        }
        self.patch(&resource, namespace.as_deref(), &name, &object).await
    }

    /// Names the owners by the uids that they have. One that is not there, or of a kind that nobody serves, keeps the uid that
    /// is written.
    async fn own(&self, object: &mut Value, namespace: Option<&str>) {
        let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() else { return };
        for owner in owners {
            let text = |key: &str| owner[key].as_str().expect("a text").to_owned();
            let api = self.api(&resource(&text("apiVersion"), &text("kind")), namespace);
            if let Some(uid) = api.get(&text("name")).await.ok().and_then(|there| there.uid()) {
                owner["uid"] = uid.into();
            }
        }
    }

    /// Makes the namespace, unless it is there.
    async fn namespace_of(&self, name: &str) {
        let all = self.api(&resource("v1", "Namespace"), None);
        if all.get_opt(name).await.expect("an answer").is_none() {
            self.namespace(name).await;
        }
    }

    async fn namespace(&self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.patch(&resource("v1", "Namespace"), None, name, &object).await;
    }

    async fn patch(&self, of: &ApiResource, namespace: Option<&str>, name: &str, object: &Value) -> DynamicObject {
        let done =
            self.api(of, namespace).patch(name, &PatchParams::apply(WRITER).force(), &Patch::Apply(object)).await;
        done.unwrap_or_else(|error| panic!("the API server refuses {} {name}: {error}", of.kind))
    }

    fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    RUNTIME.block_on(answer)
}

fn called(pod: &Pod) -> Called {
    (pod.namespace.clone(), pod.name.clone(), pod.uid.clone())
}

fn place(object: &Value) -> Place {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().map(str::to_owned);
    (resource(&text(&object["apiVersion"]), &text(&object["kind"])), namespace, text(&metadata["name"]))
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
