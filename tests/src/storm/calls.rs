use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::close;

use super::Storm;
use crate::{Answer, Plugin, Pod};

/// How long news of pods may be on their way.
const HEARD: Duration = Duration::from_secs(1);
/// How long a runtime waits before it tries anew for a pod whose call failed.
const AGAIN: Duration = Duration::from_millis(200);

/// Calls for all pods of a storm, all answered.
#[derive(Debug)]
pub struct Calls {
    /// The last answer for each pod.
    pub answers: Vec<Answered>,
    /// How long each call took that succeeded, from the start of the plugin to its end.
    pub times: Vec<Duration>,
    /// What calls said that failed.
    pub failures: Vec<String>,
    /// From the first call to the last answer.
    pub took: Duration,
}

/// What a pod was answered.
#[derive(Debug)]
pub struct Answered {
    /// The node's place among those of the storm.
    pub node: usize,
    /// The pod, in the sandbox for which it was.
    pub pod: Pod,
    /// The answer.
    pub answer: Answer,
}

/// Calls under way.
pub struct Running {
    begun: Instant,
    workers: Vec<JoinHandle<Calls>>,
    /// Nor is removing their namespaces, one node after the other while the rest is still at work.
    plugins: Vec<Arc<Plugin>>,
}

impl Storm {
    /// Begins an ADD for every pod. One that fails is made again for as long as `patience`, as a kubelet does: in a new
    /// sandbox, after DEL for the old one.
    #[must_use]
    pub fn adds(&self, patience: Duration) -> Running {
        self.begin("ADD", self.pods.clone(), patience)
    }

    /// Begins a STATUS in place of every ADD: the same plugins, and agents that are asked nothing about the ledger.
    #[must_use]
    pub fn statuses(&self) -> Running {
        self.begin("STATUS", self.pods.clone(), Duration::ZERO)
    }

    /// Has all pods deleted, and begins a DEL for every one that was answered. One that fails is made again for as long as
    /// `patience`.
    ///
    /// # Errors
    /// The API server does not take the deletion.
    pub async fn dels(&self, adds: &Calls, patience: Duration) -> Result<Running> {
        let pods: Api<PodObject> = Api::namespaced(self.client.clone(), &self.namespace);
        pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        // A kubelet acts on what it has seen, and so does the agent: a pod that lives keeps its address.
        tokio::time::sleep(HEARD).await;
        let mut pods = vec![Vec::new(); self.nodes.len()];
        for Answered { node, pod, .. } in &adds.answers {
            pods[*node].push(pod.clone());
        }
        Ok(self.begin("DEL", pods, patience))
    }

    fn begin(&self, verb: &'static str, pods: Vec<Vec<Pod>>, patience: Duration) -> Running {
        // Making their namespaces and the threads is no part of it.
        let plugins: Vec<_> = self.nodes.iter().map(|node| Arc::new(Plugin::on(node))).collect();
        let start = Arc::new(Barrier::new(self.nodes.len() * self.in_flight + 1));
        let mut workers = Vec::new();
        for (node, (plugin, pods)) in plugins.iter().zip(pods).enumerate() {
            let waiting = Arc::new(Mutex::new(VecDeque::from(pods)));
            for _ in 0..self.in_flight {
                let (plugin, waiting, start) = (Arc::clone(plugin), Arc::clone(&waiting), Arc::clone(&start));
                workers.push(thread::spawn(move || {
                    let alone = without_files();
                    start.wait();
                    alone.expect("a table of open files");
                    Worker { node, verb, plugin, until: Instant::now() + patience }.work(&waiting)
                }));
            }
        }
        let begun = Instant::now();
        start.wait();
        Running { begun, workers, plugins }
    }
}

impl Running {
    /// Whether all calls were answered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for all answers.
    ///
    /// # Panics
    /// A call could not be made at all.
    #[must_use]
    pub fn join(self) -> Calls {
        let mut all = Calls::none();
        let Self { begun, workers, plugins } = self;
        for worker in workers {
            let Calls { answers, times, failures, took: _ } = worker.join().expect("the plugin is called");
            all.answers.extend(answers);
            all.times.extend(times);
            all.failures.extend(failures);
        }
        all.took = begun.elapsed();
        drop(plugins);
        all
    }
}

impl Calls {
    fn none() -> Self {
        Self { answers: Vec::new(), times: Vec::new(), failures: Vec::new(), took: Duration::ZERO }
    }
}

/// One of a node's calls at a time.
struct Worker {
    node: usize,
    verb: &'static str,
    plugin: Arc<Plugin>,
    until: Instant,
}

impl Worker {
    fn work(self, waiting: &Mutex<VecDeque<Pod>>) -> Calls {
        let mut calls = Calls::none();
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(pod) = next else { return calls };
            let answered = self.serve(pod, &mut calls);
            calls.answers.push(answered);
        }
    }

    fn serve(&self, mut pod: Pod, calls: &mut Calls) -> Answered {
        for sandbox in 1_u32.. {
            let begun = Instant::now();
            let answer = self.plugin.call(self.verb, &pod);
            let took = begun.elapsed();
            if answer.ok {
                calls.times.push(took);
            } else {
                calls.failures.push(answer.json.to_string());
            }
            if answer.ok || Instant::now() > self.until {
                return Answered { node: self.node, pod, answer };
            }
            if self.verb == "ADD" {
                // A runtime cleans up as far as it can, and goes on.
                let _ = self.plugin.call("DEL", &pod);
                pod.container = format!("{sandbox:0>64}-{}", pod.uid);
            }
            thread::sleep(AGAIN);
        }
        unreachable!("nobody has so much patience")
    }
}

/// Gives this thread a table of open files of its own, with nothing in it but the standard ones. The start of a program costs
/// the more the more files are open, and on a node these are not those of all other nodes' calls.
fn without_files() -> Result<()> {
    unshare(CloneFlags::CLONE_FILES)?;
    let names = std::fs::read_dir("/proc/thread-self/fd")?.map(|entry| Ok(entry?.file_name()));
    let names: Vec<_> = names.collect::<std::io::Result<_>>()?;
    for file in names.iter().filter_map(|name| name.to_str()?.parse::<RawFd>().ok()) {
        if file > 2 {
            // The folder just read was one of them.
            let _ = close(file);
        }
    }
    Ok(())
}
