//! Pools as they are followed: by their metadata, and read only when their specification has changed.
//!
//! The status of a pool, which may have a megabyte, changes all the time, and would be sent to every node each time. Who
//! wrote its records of holders last is in the metadata ([`managedFields`]), which tells whether they must be read again
//! ([`Records`]).
//!
//! [`managedFields`]: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management

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

use super::lean::{WholePool, Written};
use super::records;
use super::waits::{Waits, waits};
use crate::Records;

/// How many pools are read at once when all are.
const AT_ONCE: usize = 8;

type Metadata = PartialObjectMeta<SpiderIPPool>;

/// A pool as far as a node needs it.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) written: Written<SpiderIPPool>,
    pub(super) records: Records,
}

/// What a pool had in this generation.
struct Known {
    uid: Option<String>,
    generation: i64,
    spec: Value,
    records: Records,
}

/// Reads pools whose generation is not known yet.
struct Reader {
    pools: Api<WholePool>,
    /// By name.
    known: BTreeMap<String, Known>,
}

struct Follower {
    watch: BoxStream<'static, watcher::Result<Event<Metadata>>>,
    reader: Reader,
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
        reader: Reader { pools: Api::all(client.clone()), known: BTreeMap::new() },
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
                    reads.push(self.reader.read(metadata).boxed());
                }
                let pools: Vec<Option<Pool>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
                self.coming.clear();
                self.reader.known.clear();
                self.ready.push_back(Event::Init);
                for pool in pools.into_iter().flatten() {
                    self.reader.keep(&pool);
                    self.ready.push_back(Event::InitApply(pool));
                }
                self.ready.push_back(Event::InitDone);
            }
            Event::Apply(object) => {
                if let Some(pool) = self.reader.read(&object.metadata).await? {
                    self.reader.keep(&pool);
                    self.ready.push_back(Event::Apply(pool));
                }
            }
            Event::Delete(object) => {
                self.reader.known.remove(object.metadata.name.as_deref().unwrap_or_default());
                let written = Written::new(object.metadata.clone(), Value::Null);
                self.ready.push_back(Event::Delete(Pool { written, records: Records::default() }));
            }
        }
        Ok(())
    }
}

impl Reader {
    /// The pool that has such metadata, or newer; none if it is gone, or if something newer was told already.
    async fn read(&self, metadata: &ObjectMeta) -> kube::Result<Option<Pool>> {
        let name = metadata.name.as_deref().unwrap_or_default();
        let known = self.known.get(name).filter(|known| known.uid == metadata.uid);
        match (known, metadata.generation) {
            (Some(known), Some(generation)) if generation < known.generation => Ok(None),
            (Some(known), Some(generation)) if generation == known.generation => {
                let written = Written::new(metadata.clone(), known.spec.clone());
                Ok(Some(Pool { written, records: records::after(&known.records, metadata) }))
            }
            _ => Ok(self.pools.get_opt(name).await?.map(|whole| {
                let records = records::of(&whole);
                Pool { written: Written::new(whole.metadata, whole.spec), records }
            })),
        }
    }

    fn keep(&mut self, pool: &Pool) {
        let metadata = &pool.written.metadata;
        let name = metadata.name.clone().unwrap_or_default();
        match metadata.generation {
            Some(generation) => {
                let (spec, records) = (pool.written.spec.clone(), pool.records.clone());
                let known = Known { uid: metadata.uid.clone(), generation, spec, records };
                self.known.insert(name, known);
            }
            None => drop(self.known.remove(&name)),
        }
    }
}
