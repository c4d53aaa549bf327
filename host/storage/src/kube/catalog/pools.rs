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
use spiderpool_crd::keys::MANAGER_PROJECTION;
use spiderpool_crd::{SpiderIPPool, managers_of_records};

use super::lean::WholePool;
use super::waits::{Waits, waits};
use crate::Records;

/// How many pools are read at once when all are.
const AT_ONCE: usize = 8;

type Metadata = PartialObjectMeta<SpiderIPPool>;

/// A pool as far as a node needs it.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Value,
    pub(super) records: Records,
}

/// What a pool had in this generation.
struct Known {
    uid: Option<String>,
    generation: i64,
    spec: Value,
    records: Records,
}

/// Who wrote a pool's records of holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// There are none, or they were removed; or nobody knows.
    Nobody,
    /// spiderpool-controller, from blocks.
    Us,
    Others,
}

struct Specifications {
    pools: Api<WholePool>,
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
                let metadata = object.metadata.clone();
                let pool = Pool { metadata, spec: Value::Null, records: Records::default() };
                self.ready.push_back(Event::Delete(pool));
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
                let records = records_after(&known.records, metadata);
                Ok(Some(Pool { metadata: metadata.clone(), spec: known.spec.clone(), records }))
            }
            _ => Ok(self.pools.get_opt(name).await?.map(Pool::from)),
        }
    }

    fn keep(&mut self, pool: &Pool) {
        let metadata = &pool.metadata;
        let name = metadata.name.clone().unwrap_or_default();
        match metadata.generation {
            Some(generation) => {
                let (spec, records) = (pool.spec.clone(), pool.records.clone());
                let known = Known { uid: metadata.uid.clone(), generation, spec, records };
                self.known.insert(name, known);
            }
            None => drop(self.known.remove(&name)),
        }
    }
}

impl From<WholePool> for Pool {
    fn from(WholePool { metadata, spec, status }: WholePool) -> Self {
        let has_none = match &status["allocatedIPs"] {
            Value::Null => true,
            Value::String(text) => matches!(text.trim(), "" | "{}"),
            _ => false,
        };
        let records = match writer(&metadata) {
            _ if has_none => Records::None,
            Writer::Us => settled(&metadata),
            Writer::Nobody | Writer::Others => Records::Open,
        };
        Self { metadata, spec, records }
    }
}

/// What is known of the records once the pool has that metadata. Whoever adds one is its writer; what we write of addresses
/// without a block was there before.
fn records_after(before: &Records, metadata: &ObjectMeta) -> Records {
    match (writer(metadata), before) {
        // Somebody has cleared who wrote what.
        _ if metadata.managed_fields.as_ref().is_none_or(Vec::is_empty) => Records::Open,
        (Writer::Others, _) => Records::Open,
        (Writer::Us, Records::Open) => settled(metadata),
        (Writer::Us | Writer::Nobody, before) => before.clone(),
    }
}

fn settled(metadata: &ObjectMeta) -> Records {
    Records::Settled(metadata.resource_version.as_deref().unwrap_or_default().into())
}

fn writer(metadata: &ObjectMeta) -> Writer {
    match managers_of_records(metadata)[..] {
        [] => Writer::Nobody,
        [MANAGER_PROJECTION] => Writer::Us,
        _ => Writer::Others,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pool whose fields such managers have written.
    fn whole(managers: &[(&str, &str)], field: &Value) -> WholePool {
        let entry = |(manager, field): &(&str, &str)| {
            let fields = json!({"f:status": {".": {}, *field: {}}});
            json!({"manager": manager, "operation": "Update", "subresource": "status", "fieldsV1": fields})
        };
        let entries: Vec<Value> = managers.iter().map(entry).collect();
        let metadata = json!({"name": "p", "resourceVersion": "7", "managedFields": entries});
        serde_json::from_value(json!({"metadata": metadata, "status": {"allocatedIPs": field}})).unwrap()
    }

    const RECORDS: &str = r#"{"10.6.0.9":{"pod":"shop/web-0","podUid":"u"}}"#;
    const OURS: (&str, &str) = (MANAGER_PROJECTION, "f:allocatedIPs");
    const THEIRS: (&str, &str) = ("spiderpool-agent", "f:allocatedIPs");
    const COUNTS: (&str, &str) = ("spiderpool-controller", "f:allocatedIPCount");

    #[test]
    fn records_are_as_open_as_who_wrote_them() {
        let settled = || Records::Settled("7".into());
        let read = |managers: &[_], field| Pool::from(whole(managers, &field)).records;
        for nothing in [Value::Null, json!(""), json!("{}")] {
            assert_eq!(read(&[THEIRS, COUNTS], nothing), Records::None);
        }
        assert_eq!(read(&[OURS, COUNTS], json!(RECORDS)), settled());
        for others in [&[THEIRS, COUNTS][..], &[OURS, THEIRS], &[COUNTS], &[]] {
            assert_eq!(read(others, json!(RECORDS)), Records::Open, "{others:?}");
        }
    }

    #[test]
    fn who_has_written_since_opens_and_settles_records() {
        let settled = |since: &str| Records::Settled(since.into());
        let after = |before: Records, managers: &[_]| records_after(&before, &whole(managers, &Value::Null).metadata);
        for before in [Records::None, settled("3"), Records::Open] {
            assert_eq!(after(before.clone(), &[COUNTS]), before, "of no concern, or removed");
            assert_eq!(after(before.clone(), &[THEIRS, COUNTS]), Records::Open);
            assert_eq!(after(before.clone(), &[OURS, THEIRS]), Records::Open);
            assert_eq!(after(before, &[]), Records::Open, "nobody knows any more");
        }
        assert_eq!(after(Records::None, &[OURS]), Records::None);
        assert_eq!(after(settled("3"), &[OURS]), settled("3"));
        assert_eq!(after(Records::Open, &[OURS]), settled("7"));
    }
}
