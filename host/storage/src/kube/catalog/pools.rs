//! Pools as they are followed: by their metadata, and read only when their specification has changed.
//!
//! The status of a pool, which may have a megabyte, changes all the time, and would be sent to every node each time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client};
use serde_json::Value;
use spiderpool_crd::SpiderIPPool;

use super::lean::Written;
use super::waits::{Waits, waits};

/// How many pools are read at once when all are.
const AT_ONCE: usize = 8;

type Metadata = PartialObjectMeta<SpiderIPPool>;
type Pool = Written<SpiderIPPool>;

/// The specification that a pool had.
struct Known {
    uid: Option<String>,
    generation: i64,
    spec: Value,
}

struct Specifications {
    pools: Api<Pool>,
    /// By name.
    known: BTreeMap<String, Known>,
}

struct Follower {
    watch: BoxStream<'static, watcher::Result<Event<Metadata>>>,
    specifications: Specifications,
    /// What a list that is under way has told so far.
    coming: Vec<ObjectMeta>,
    /// What is to be told.
    ready: VecDeque<Event<Pool>>,
    /// What could not be completed, and is tried again after a wait.
    again: Option<Event<Metadata>>,
    waits: Waits,
}

/// The pools of a cluster. What fails is told, and tried again for ever.
pub(super) fn follow(client: &Client) -> impl Stream<Item = watcher::Result<Event<Pool>>> + Send + 'static {
    let watch = watcher(Api::<Metadata>::all(client.clone()), Config::default()).backoff(waits()).boxed();
    let follower = Follower {
        watch,
        specifications: Specifications { pools: Api::all(client.clone()), known: BTreeMap::new() },
        coming: Vec::new(),
        ready: VecDeque::new(),
        again: None,
        waits: waits(),
    };
    stream::unfold(follower, |mut follower| async move {
        let told = follower.next().await?;
        Some((told, follower))
    })
}

impl Follower {
    async fn next(&mut self) -> Option<watcher::Result<Event<Pool>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            let event = match self.again.take() {
                Some(event) => {
                    tokio::time::sleep(self.waits.next().unwrap_or(Duration::from_secs(1))).await;
                    event
                }
                None => match self.watch.next().await? {
                    Ok(event) => event,
                    Err(error) => return Some(Err(error)),
                },
            };
            match self.complete(&event).await {
                Ok(()) => self.waits = waits(),
                Err(error) => {
                    self.again = Some(event);
                    return Some(Err(watcher::Error::WatchFailed(error)));
                }
            }
        }
    }

    /// Reads what is missing of what an event tells.
    async fn complete(&mut self, event: &Event<Metadata>) -> kube::Result<()> {
        match event {
            Event::Init => self.coming.clear(),
            Event::InitApply(object) => self.coming.push(object.metadata.clone()),
            Event::InitDone => {
                let mut reads = Vec::new();
                for metadata in &self.coming {
                    reads.push(self.specifications.read(metadata).boxed());
                }
                let pools: Vec<Option<Pool>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
                self.coming.clear();
                self.specifications.known.clear();
                self.ready.push_back(Event::Init);
                for pool in pools.into_iter().flatten() {
                    self.specifications.keep(&pool);
                    self.ready.push_back(Event::InitApply(pool));
                }
                self.ready.push_back(Event::InitDone);
            }
            Event::Apply(object) => {
                if let Some(pool) = self.specifications.read(&object.metadata).await? {
                    self.specifications.keep(&pool);
                    self.ready.push_back(Event::Apply(pool));
                }
            }
            Event::Delete(object) => {
                self.specifications.known.remove(object.metadata.name.as_deref().unwrap_or_default());
                self.ready.push_back(Event::Delete(Pool::new(object.metadata.clone(), Value::Null)));
            }
        }
        Ok(())
    }
}

impl Specifications {
    /// The pool that has such metadata, or newer; none if it is gone, or if something newer was told already.
    async fn read(&self, metadata: &ObjectMeta) -> kube::Result<Option<Pool>> {
        let name = metadata.name.as_deref().unwrap_or_default();
        let known = self.known.get(name).filter(|known| known.uid == metadata.uid);
        match (known, metadata.generation) {
            (Some(known), Some(generation)) if generation < known.generation => Ok(None),
            (Some(known), Some(generation)) if generation == known.generation => {
                Ok(Some(Pool::new(metadata.clone(), known.spec.clone())))
            }
            _ => self.pools.get_opt(name).await,
        }
    }

    fn keep(&mut self, pool: &Pool) {
        let metadata = &pool.metadata;
        let name = metadata.name.clone().unwrap_or_default();
        match metadata.generation {
            Some(generation) => {
                let known = Known { uid: metadata.uid.clone(), generation, spec: pool.spec.clone() };
                self.known.insert(name, known);
            }
            None => drop(self.known.remove(&name)),
        }
    }
}
