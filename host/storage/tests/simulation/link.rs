//! Requests to that API server: each waits, may be refused, and goes on without its sender.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use spiderpool_crd::SpiderEndpoint;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Block;
use spiderpool_storage::kube::{
    BlockId, BlockMark, BlockStore, Change, ChangeError, EndpointStore, Mark, NodeStore, Origin, PodRef,
    RecordedEndpoint, StoreError, StoredBlock,
};
use spiderpool_storage::{BoxFuture, Endpoint};
use tokio::sync::oneshot;

use crate::cluster::{Cluster, Fate, State, brief};

/// The cluster as one run of an agent sees it.
pub(crate) struct Link {
    pub(crate) cluster: Cluster,
    pub(crate) run: u64,
}

impl Link {
    /// Sends a request, which goes on when its sender is gone.
    fn call<T, E>(
        &self,
        what: String,
        doubts: Vec<(String, String)>,
        work: impl FnOnce(&mut State) -> Result<T, E> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (cluster, run) = (self.cluster.clone(), self.run);
        let writes = !what.starts_with("read");
        Box::pin(async move {
            let (fate, there, back, late) = {
                let mut state = cluster.0.lock();
                let late = Duration::from_millis(state.rng.u64(50..50_000));
                (state.fate(writes), state.delay(), state.delay(), late)
            };
            for (whose, uid) in doubts {
                let mut state = cluster.0.lock();
                state.ask(&whose, &uid);
                // Learned only if the reply comes; whoever crashes does not wait for it.
                state.doubtful.insert((run, whose, uid));
            }
            let unknown = || E::from(StoreError::Unknown("the connection was lost".to_owned()));
            let landing = match fate {
                Fate::Throttled => {
                    tokio::time::sleep(there).await;
                    return Err(StoreError::Throttled { after: back }.into());
                }
                Fate::Unreachable => {
                    tokio::time::sleep(there).await;
                    return Err(StoreError::Unreachable("connection refused".to_owned()).into());
                }
                Fate::Never => {
                    tokio::time::sleep(there).await;
                    return Err(unknown());
                }
                Fate::Late => late,
                Fate::Done | Fate::ReplyLost => there,
            };
            let (reply, answer) = oneshot::channel();
            let state = Arc::clone(&cluster.0);
            tokio::spawn(async move {
                tokio::time::sleep(landing).await;
                let outcome = {
                    let mut state = state.lock();
                    let outcome = work(&mut state);
                    let result = if outcome.is_ok() { "done" } else { "not done" };
                    state.note(&format!("run {run}: {what}: {result}"));
                    outcome
                };
                tokio::time::sleep(back).await;
                let _ = reply.send(outcome);
            });
            match fate {
                Fate::Late => {
                    tokio::time::sleep(back).await;
                    Err(unknown())
                }
                Fate::ReplyLost => {
                    let _ = answer.await;
                    Err(unknown())
                }
                _ => answer.await.unwrap_or_else(|_| Err(unknown())),
            }
        })
    }
}

impl NodeStore for Link {
    fn names(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        self.call("read nodes".to_owned(), vec![], |state| Ok(state.nodes.clone()))
    }
}

impl BlockStore for Link {
    fn get<'a>(&'a self, id: &'a BlockId) -> BoxFuture<'a, Result<Option<StoredBlock>, StoreError>> {
        let id = id.clone();
        self.call(format!("read {id}"), vec![], move |state| Ok(state.blocks.get(&id).cloned()))
    }

    fn blocks<'a>(&'a self, pool: &'a str) -> BoxFuture<'a, Result<Vec<StoredBlock>, StoreError>> {
        let pool = pool.to_owned();
        self.call(format!("read pool {pool}"), vec![], move |state| {
            Ok(state.blocks.values().filter(|stored| stored.spec.pool == pool).cloned().collect())
        })
    }

    fn all_blocks(&self) -> BoxFuture<'_, Result<Vec<StoredBlock>, StoreError>> {
        self.call("read all".to_owned(), vec![], |state| Ok(state.blocks.values().cloned().collect()))
    }

    fn marks<'a>(&'a self, pool: &'a str, near: Option<Block>) -> BoxFuture<'a, Result<Vec<BlockMark>, StoreError>> {
        let pool = pool.to_owned();
        self.call(format!("read marks of {pool}"), vec![], move |state| {
            let is_near = |block| near.is_none_or(|near| near.neighbourhood().contains(&block));
            let of_pool = state.blocks.iter().filter(|(id, _)| id.pool == pool && is_near(id.block));
            let mark = |(id, stored): (&BlockId, &StoredBlock)| BlockMark {
                block: id.block,
                version: stored.version.clone(),
                mark: stored.mark,
                made: state.made_at.get(id).copied(),
            };
            Ok(of_pool.map(mark).collect())
        })
    }

    fn create<'a>(
        &'a self,
        id: &'a BlockId,
        _: Origin<'a>,
        first: &'a BTreeMap<IpAddr, BlockAllocation>,
    ) -> BoxFuture<'a, Result<StoredBlock, StoreError>> {
        let (id, first) = (id.clone(), first.clone());
        let doubts = first.iter().map(|(address, to)| (address.to_string(), to.pod_uid.clone())).collect();
        let takes = first.iter().map(|(&address, to)| brief(&Change::Take { address, to: to.clone() }));
        let what = format!("create {id}{}", takes.collect::<String>());
        self.call(what, doubts, move |state| state.create(&id, first))
    }

    fn change<'a>(
        &'a self,
        id: &'a BlockId,
        changes: &'a [Change],
        mark: Option<Mark>,
    ) -> BoxFuture<'a, Result<StoredBlock, ChangeError>> {
        let (id, changes) = (id.clone(), changes.to_vec());
        let takes = changes.iter().filter_map(|change| match change {
            Change::Take { address, to } => Some((address.to_string(), to.pod_uid.clone())),
            Change::Move { address, from, to } if from.pod_uid != to.pod_uid => {
                Some((address.to_string(), to.pod_uid.clone()))
            }
            _ => None,
        });
        let takes = takes.collect();
        let given = changes.iter().filter_map(|change| match change {
            Change::Free { from, .. } | Change::Rest { from: Some(from), .. } => Some(from),
            Change::Move { from, to, .. } if from.pod_uid != to.pod_uid => Some(from),
            _ => None,
        });
        self.cluster.0.lock().freed.extend(given.map(|from| from.container_id.clone()));
        let what = changes.iter().map(brief).collect::<String>();
        self.call(format!("change {id}{what}"), takes, move |state| state.change(&id, &changes, mark))
    }
}

impl EndpointStore for Link {
    fn put<'a>(&'a self, endpoint: &'a Endpoint, over: &'a BTreeSet<String>) -> BoxFuture<'a, Result<(), StoreError>> {
        let over = over.clone();
        let holder = endpoint.holder.clone();
        let key = (holder.namespace.clone(), holder.pod.clone());
        let status = SpiderEndpoint::from(endpoint).status;
        let doubt = vec![(holder.pod.clone(), holder.uid.clone())];
        self.call(format!("put {holder}"), doubt, move |state| {
            let mine = |uid: &String| *uid == holder.uid;
            let stays = state.endpoints.get(&key).is_some_and(|(uid, _)| !mine(uid) && !over.contains(uid));
            if !stays || state.pods.get(&holder.pod).is_some_and(mine) {
                state.endpoints.extend(status.map(|status| (key, (holder.uid, status))));
            }
            Ok(())
        })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<Option<RecordedEndpoint>, StoreError>> {
        let (namespace, name) = (namespace.to_owned(), pod.to_owned());
        self.call(format!("read endpoint {name}"), vec![], move |state| {
            let recorded = state.endpoints.get(&(namespace.clone(), name.clone())).cloned();
            Ok(recorded.map(|(uid, status)| RecordedEndpoint { pod: PodRef { namespace, name, uid }, status }))
        })
    }

    fn remove<'a>(&'a self, pod: &'a PodRef) -> BoxFuture<'a, Result<(), StoreError>> {
        let pod = pod.clone();
        self.call(format!("remove {}", pod.uid), vec![], move |state| {
            let key = (pod.namespace, pod.name);
            if state.endpoints.get(&key).is_some_and(|(uid, _)| *uid == pod.uid) {
                state.endpoints.remove(&key);
            }
            Ok(())
        })
    }

    fn of_node<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Vec<RecordedEndpoint>, StoreError>> {
        let node = node.to_owned();
        self.call(format!("read endpoints of {node}"), vec![], move |state| {
            let recorded = state.endpoints.iter().filter(|(_, (_, status))| status.current.node == node);
            let recorded = recorded.map(|((namespace, name), (uid, status))| RecordedEndpoint {
                pod: PodRef { namespace: namespace.clone(), name: name.clone(), uid: uid.clone() },
                status: status.clone(),
            });
            Ok(recorded.collect())
        })
    }
}
