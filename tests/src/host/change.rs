//! What changes around a machine's agent.

use std::fs;
use std::path::Path;

use super::Host;
use crate::Pod;
use crate::manifests::{object, policy};

impl Host {
    /// Writes a manifest; on a cluster, has its objects as it says.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        match &self.objects {
            Some(objects) => objects.write(name, text),
            None => fs::write(self.path("manifests").join(name), text).expect("a manifest"),
        }
    }

    /// Deletes a manifest; on a cluster, its objects.
    ///
    /// # Panics
    /// There is none.
    pub fn remove(&self, name: &str) {
        match &self.objects {
            Some(objects) => objects.write(name, ""),
            None => fs::remove_file(self.path("manifests").join(name)).expect("a manifest"),
        }
    }

    /// Puts a component among the user's policies, with a SpiderPolicy of the name. `lines` are further ones of its spec.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn policy(&self, name: &str, component: &Path, lines: &[&str]) {
        let file = format!("{name}.wasm");
        fs::copy(component, self.policies().join(&file)).expect("a component");
        self.write(&format!("policies/{name}.yaml"), &policy(name, &file, lines));
    }

    /// Deletes a pod's object, as by force. Without Kubernetes there is none: the runtime's DEL is all that one hears.
    ///
    /// # Panics
    /// The API server refuses.
    pub fn delete_pod(&self, pod: &Pod) {
        if let Some(objects) = &self.objects {
            objects.delete_pod(pod);
        }
    }

    /// Deletes a namespace's object, which stays while there is something in it. Without Kubernetes nobody is told.
    ///
    /// # Panics
    /// The API server refuses, or there is no such namespace.
    pub fn delete_namespace(&self, name: &str) {
        if let Some(objects) = &self.objects {
            objects.delete_namespace(name);
        }
    }

    /// Has a pod's object say that the pod is being deleted. Without Kubernetes that is its manifest, `NAME.yaml`.
    ///
    /// # Panics
    /// The API server refuses.
    pub fn end_pod(&self, pod: &Pod) {
        match &self.objects {
            Some(objects) => objects.end_pod(pod),
            None => {
                let Pod { namespace, name, uid, .. } = pod;
                let metadata = [
                    &*format!("namespace: {namespace}"),
                    &format!("uid: {uid}"),
                    "deletionTimestamp: 2024-01-01T00:00:00Z",
                ];
                self.write(&format!("{name}.yaml"), &object("Pod", name, &metadata));
            }
        }
    }
}
