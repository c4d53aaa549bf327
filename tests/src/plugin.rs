use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spiderpool_cni_plugin::agent::Agent;
use spiderpool_wire::{path, summary::AllocationSummary};

use crate::host::{Objects, PATIENCE};
use crate::{Dist, Host, Namespace, Node};

/// A pod as the container runtime names it.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid. On a cluster the API server makes uids; this one then stands for that of the pod's object, which is made
    /// by the first ADD if need be.
    pub uid: String,
    /// Its sandbox's id.
    pub container: String,
    /// The interface that is added.
    pub interface: String,
}

impl Pod {
    /// A pod of that name in `default`; its uid and its sandbox are made of the name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            namespace: "default".into(),
            name: name.into(),
            uid: format!("uid-{name}"),
            container: format!("sandbox-{name}"),
            interface: "eth0".into(),
        }
    }

    /// The same pod in another namespace.
    #[must_use]
    pub fn of(self, namespace: &str) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// The same pod in another sandbox.
    #[must_use]
    pub fn in_sandbox(&self, container: &str) -> Self {
        Self { container: container.into(), ..self.clone() }
    }

    /// Another interface of the same pod.
    #[must_use]
    pub fn nic(&self, interface: &str) -> Self {
        Self { interface: interface.into(), ..self.clone() }
    }
}

/// What a plugin printed, and whether it succeeded.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Exit status zero.
    pub ok: bool,
    /// The JSON on standard output; null when there was none.
    pub json: Value,
}

impl Answer {
    /// The addresses of a result, with prefix lengths.
    ///
    /// # Panics
    /// It is an error.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        assert!(self.ok, "{}", self.json);
        let ips = self.json["ips"].as_array().cloned().unwrap_or_default();
        ips.iter().map(|ip| ip["address"].as_str().expect("an address").to_owned()).collect()
    }

    /// The code of an error, and all that it says.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn error(&self) -> (u64, String) {
        assert!(!self.ok, "no error: {}", self.json);
        let text = |key: &str| self.json[key].as_str().unwrap_or_default().to_owned();
        (self.json["code"].as_u64().expect("a code"), format!("{} {}", text("msg"), text("details")))
    }
}

/// The plugin, called as a container runtime calls it.
pub struct Plugin {
    program: PathBuf,
    path: String,
    /// The network configuration.
    pub config: Value,
    /// The namespace in which it runs; the machine's own when none.
    node: Option<String>,
    netns: Namespace,
    /// Where pods are objects, and have the uids of these.
    objects: Option<Arc<Objects>>,
}

impl Plugin {
    /// The IPAM plugin of a host, called directly.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self { objects: host.objects(), ..Self::asking(&host.dist, &host.socket(), &host.path("cni.log")) }
    }

    /// The IPAM plugin of a node of a cluster, called directly.
    #[must_use]
    pub fn on(node: &Node) -> Self {
        Self::asking(&node.dist, &node.socket(), &node.path("cni.log"))
    }

    fn asking(dist: &Dist, socket: &Path, log: &Path) -> Self {
        let config = json!({
            "cniVersion": "1.1.0",
            "name": "underlay",
            "type": "spiderpool",
            "ipam": {
                "type": "spiderpool",
                "ipam_unix_socket_path": socket,
                "log_file_path": log,
            },
        });
        let program = dist.bin("spiderpool");
        Self {
            program,
            path: dist.bins().display().to_string(),
            config,
            node: None,
            netns: Namespace::new(),
            objects: None,
        }
    }

    /// Debian's macvlan plugin on a node's uplink, delegating to the host's.
    ///
    /// # Panics
    /// It is not installed.
    #[must_use]
    pub fn macvlan(host: &Host, node: &Namespace) -> Self {
        let plugins = Path::new("/usr/lib/cni");
        let program = plugins.join("macvlan");
        assert!(program.exists(), "{} is missing: apt-get install containernetworking-plugins", program.display());
        let mut plugin = Self::of(host);
        plugin.config["cniVersion"] = "1.0.0".into();
        plugin.config["type"] = "macvlan".into();
        plugin.config["master"] = "uplink".into();
        plugin.config["mode"] = "bridge".into();
        plugin.path = format!("{}:{}", host.dist.bins().display(), plugins.display());
        Self { program, node: Some(node.name.clone()), ..plugin }
    }

    /// Calls a verb for a pod whose network namespace is the plugin's own.
    #[must_use]
    pub fn call(&self, verb: &str, pod: &Pod) -> Answer {
        self.call_in(verb, pod, &self.netns)
    }

    /// Calls a verb for a pod.
    #[must_use]
    pub fn call_in(&self, verb: &str, pod: &Pod, netns: &Namespace) -> Answer {
        finish(self.begin_in(verb, pod, netns))
    }

    /// Begins a call for a pod whose network namespace is the plugin's own, and does not wait for its end.
    #[must_use]
    pub fn begin(&self, verb: &str, pod: &Pod) -> Child {
        self.begin_in(verb, pod, &self.netns)
    }

    fn begin_in(&self, verb: &str, pod: &Pod, netns: &Namespace) -> Child {
        let uid = self.objects.as_ref().map_or_else(|| pod.uid.clone(), |objects| objects.uid(pod, verb));
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={uid}",
            pod.namespace, pod.name, pod.container
        );
        let netns = netns.path().display().to_string();
        let environment = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", &pod.container),
            ("CNI_NETNS", &netns),
            ("CNI_IFNAME", &pod.interface),
            ("CNI_ARGS", &args),
            ("CNI_PATH", &self.path),
        ];
        self.spawn(&environment, self.config.to_string().as_bytes())
    }

    /// Calls the program with this environment and this on standard input.
    #[must_use]
    pub fn raw(&self, environment: &[(&str, &str)], stdin: &[u8]) -> Answer {
        finish(self.spawn(environment, stdin))
    }

    fn spawn(&self, environment: &[(&str, &str)], stdin: &[u8]) -> Child {
        let mut command = match &self.node {
            Some(node) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", node]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(environment.iter().copied());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it starts");
        // A plugin may refuse before it reads.
        let _ = child.stdin.take().expect("a pipe").write_all(stdin);
        child
    }

    /// ADD.
    #[must_use]
    pub fn add(&self, pod: &Pod) -> Answer {
        self.call("ADD", pod)
    }

    /// The end of a pod: its object goes, where pods are objects, then comes DEL, which must succeed. What the pod held of the
    /// interface is free afterwards.
    ///
    /// # Panics
    /// DEL fails, or frees nothing.
    pub fn del(&self, pod: &Pod) {
        self.end(pod);
        if self.objects.is_none() {
            return;
        }
        let begun = Instant::now();
        while self.holds(pod) {
            assert!(begun.elapsed() < PATIENCE, "{} holds addresses of {} after its end", pod.name, pod.interface);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end of a pod that may leave its addresses to the next one.
    ///
    /// # Panics
    /// DEL fails.
    pub fn end(&self, pod: &Pod) {
        if let Some(objects) = &self.objects {
            objects.end(pod);
        }
        self.remove_sandbox(pod);
    }

    /// DEL of a pod that may live on in another sandbox; it must succeed.
    ///
    /// # Panics
    /// It fails.
    pub fn remove_sandbox(&self, pod: &Pod) {
        let answer = self.call("DEL", pod);
        assert!(answer.ok, "DEL: {}", answer.json);
    }

    /// Whether the pod's sandbox has addresses for the interface.
    fn holds(&self, pod: &Pod) -> bool {
        let socket = self.config["ipam"]["ipam_unix_socket_path"].as_str().expect("a path");
        let all: Vec<AllocationSummary> =
            Agent::at(Path::new(socket)).get(path::ALLOCATIONS, &(), PATIENCE).expect("allocations");
        all.iter().any(|row| row.container_id == pod.container && row.interface == pod.interface)
    }
}

/// Waits for the end of a call.
fn finish(call: Child) -> Answer {
    let output = call.wait_with_output().expect("it ends");
    Answer { ok: output.status.success(), json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null) }
}
