//! The catalog of a cluster: what one node needs of it, and no more.
//!
//! ```text
//! pools                                    metadata, spec if changed  ─┐
//! reserved addresses, policies             as written, without status ─┤
//! namespaces, this node                    metadata                   ─┼→ State ─→ Arc<Catalog>
//! pods of this node                        metadata, whether alive    ─┘
//! ```
//!
//! * An object that cannot be read fails alone and is in [`Catalog::problems`]; it is not used until it is repaired.
//!   There is no last good version, so that agents agree whenever they were started.
//! * While the API server is away, what was known stays in force; watches come back by themselves, for ever.

mod controllers;
mod lately;
mod lean;
mod owners;
mod pods;
mod pools;
mod records;
mod shelf;
mod state;
mod waits;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll, StreamExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use self::controllers::ClusterControllers;
use self::pods::ClusterPods;
use self::state::{Heard, State};
use self::waits::waits;
use crate::catalog::{Catalog, Controllers, Pods};

/// How long changes are collected before they come into force together.
const TOGETHER: Duration = Duration::from_millis(5);
/// How often a server that was away is asked whether it is back, and how long it may take to say so.
const PROBE: Duration = Duration::from_secs(1);
/// How long a refusal counts that is not repeated: watches try again after ten seconds at most.
const REFUSAL: Duration = Duration::from_secs(15);

/// What is in force in a cluster, as seen from one node, kept current by a task. Dropping it ends the task.
pub struct ClusterCatalog {
    catalog: watch::Receiver<Arc<Catalog>>,
    freshness: watch::Receiver<Freshness>,
    pods: Arc<ClusterPods>,
    controllers: Arc<ClusterControllers>,
    task: JoinHandle<()>,
}

/// Whether a catalog can be relied on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Every kind was read once. Until then the catalog is empty.
    pub read: bool,
    /// What keeps it from being followed now, in a sentence. What was read before stays in force.
    pub failing: Option<String>,
}

impl Freshness {
    /// Whether the catalog says what is so now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.read && self.failing.is_none()
    }
}

impl ClusterCatalog {
    /// Begins to follow what the node of that name needs. Does not wait for the API server.
    #[must_use]
    pub fn watch(client: Client, node: &str) -> Self {
        let (catalogs, catalog) = watch::channel(Arc::default());
        let (freshnesses, freshness) = watch::channel(Freshness::default());
        let pods = Arc::new(ClusterPods::new(client.clone(), catalog.clone()));
        let controllers = Arc::new(ClusterControllers::new(client.clone()));
        let watches = watches(&client, node);
        let state = State::default();
        let failing = BTreeMap::new();
        let follower =
            Follower { client, watches, state, pods: Arc::clone(&pods), failing, catalogs, freshnesses, due: None };
        Self { catalog, freshness, pods, controllers, task: tokio::spawn(follower.run()) }
    }

    /// Waits until every kind was read once.
    pub async fn ready(&self) {
        // The sender lives as long as the task, and that as long as this.
        let _ = self.freshness.clone().wait_for(|freshness| freshness.read).await;
    }

    /// What is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    /// Tells when something else is in force. Kinds that did not change are the same allocation as before.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.clone()
    }

    /// Whether it can be relied on.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness.borrow().clone()
    }

    /// Tells when that changes.
    #[must_use]
    pub fn subscribe_freshness(&self) -> watch::Receiver<Freshness> {
        self.freshness.clone()
    }

    /// The pods of the cluster.
    #[must_use]
    pub fn pods(&self) -> Arc<dyn Pods> {
        Arc::<ClusterPods>::clone(&self.pods)
    }

    /// The controllers of its pods.
    #[must_use]
    pub fn controllers(&self) -> Arc<dyn Controllers> {
        Arc::<ClusterControllers>::clone(&self.controllers)
    }
}

impl Drop for ClusterCatalog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ClusterCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterCatalog").field("freshness", &self.freshness()).finish_non_exhaustive()
    }
}

/// What a watch of a kind told, or why it could not.
type Told = (&'static str, Result<Heard, watcher::Error>);

fn watches(client: &Client, node: &str) -> SelectAll<BoxStream<'static, Told>> {
    fn all<K>(
        kind: &'static str,
        watch: impl futures::Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        heard: fn(Event<K>) -> Heard,
    ) -> BoxStream<'static, Told>
    where
        K: Send + 'static,
    {
        watch.backoff(waits()).map(move |told| (kind, told.map(heard))).boxed()
    }
    fn api<K: kube::Resource<DynamicType = ()>>(client: &Client) -> Api<K> {
        Api::all(client.clone())
    }
    let this_node = Config::default().fields(&format!("metadata.name={node}"));
    let pods_here = Config::default().fields(&format!("spec.nodeName={node}"));
    futures::stream::select_all([
        pools::follow(client).map(|told| ("SpiderIPPools", told.map(Heard::Pool))).boxed(),
        all("SpiderReservedIPs", watcher(api(client), Config::default()), Heard::ReservedIp),
        all("SpiderPolicies", watcher(api(client), Config::default()), Heard::Policy),
        all("Namespaces", watcher(api(client), Config::default()), Heard::Namespace),
        all("Nodes", watcher(api(client), this_node), Heard::Node),
        all("Pods", watcher(api(client), pods_here), Heard::Pod),
    ])
}

/// What keeps a watch from following.
struct Trouble {
    words: String,
    /// When the server said no, for good as far as one can tell: asking whether it is there tells nothing then.
    refused: Option<Instant>,
}

struct Follower {
    client: Client,
    watches: SelectAll<BoxStream<'static, Told>>,
    state: State,
    pods: Arc<ClusterPods>,
    failing: BTreeMap<&'static str, Trouble>,
    catalogs: watch::Sender<Arc<Catalog>>,
    freshnesses: watch::Sender<Freshness>,
    /// When what has changed comes into force.
    due: Option<Instant>,
}

impl Follower {
    async fn run(mut self) {
        let mut probe = tokio::time::interval(PROBE);
        probe.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.due.unwrap_or_else(Instant::now);
            tokio::select! {
                // Without order, a stream of changes could keep all of them from coming into force.
                biased;
                () = sleep_until(due), if self.due.is_some() => self.publish(),
                told = self.watches.next() => match told {
                    Some((kind, told)) => self.hear(kind, told),
                    None => return,
                },
                _ = probe.tick(), if !self.failing.is_empty() => self.probe().await,
            }
        }
    }

    fn hear(&mut self, kind: &'static str, told: Result<Heard, watcher::Error>) {
        match told {
            Ok(heard) => {
                self.failing.remove(kind);
                if self.state.hear(heard) && self.state.is_complete() {
                    self.due.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
            }
            Err(error) => {
                let trouble = Trouble {
                    words: format!("cannot watch {kind}: {error}"),
                    refused: refused(&error).then(Instant::now),
                };
                tracing::debug!("{}", trouble.words);
                self.failing.insert(kind, trouble);
            }
        }
        self.tell();
    }

    fn publish(&mut self) {
        self.due = None;
        let before = Arc::clone(&self.catalogs.borrow());
        let catalog = self.state.catalog(&before);
        if !Arc::ptr_eq(&before.pods, &catalog.pods) {
            self.pods.remember_deleted(&before.pods, &catalog.pods);
        }
        self.catalogs.send_if_modified(|current| {
            let changed = **current != catalog;
            if changed {
                *current = Arc::new(catalog);
            }
            changed
        });
        self.freshnesses.send_if_modified(|freshness| !std::mem::replace(&mut freshness.read, true));
    }

    /// A watch that comes back is silent until something happens, so the server is asked whether it is there.
    async fn probe(&mut self) {
        let is_back = match self.failing.values().any(|trouble| trouble.refused.is_none()) {
            true => matches!(timeout(PROBE, self.client.apiserver_version()).await, Ok(Ok(_))),
            false => false,
        };
        self.failing.retain(|_, trouble| trouble.refused.map_or(!is_back, |since| since.elapsed() < REFUSAL));
        self.tell();
    }

    fn tell(&self) {
        let failing = self.failing.values().next().map(|trouble| trouble.words.clone());
        self.freshnesses.send_if_modified(|freshness| {
            let changed = freshness.failing != failing;
            freshness.failing = failing;
            changed
        });
    }
}

/// Whether the API server said no, rather than nothing or that it is not ready.
fn refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => matches!(status.code, 401 | 403 | 404),
        _ => false,
    }
}
