//! The requests to the API server. Nothing here decides or retries.

use std::future::Future;
use std::time::Duration;

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use spiderpool_crd::keys::LABEL_BLOCK_POOL;
use spiderpool_crd::{SpiderIPBlock, SpiderIPPool};
use tokio::time::timeout;

use crate::step::{MANAGER, Step};

/// After that nobody waits for an answer any more. What is late does no harm: it names the version that it was made from.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a step was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    /// The pool or a block is not what it was when the step was decided.
    #[error("the pool or a block has changed meanwhile")]
    Stale,
    /// A block of a pool that nobody holds an address of is there still.
    #[error("SpiderIPBlock {0} of the pool is there still; if it stays, look at its finalizers and its spec")]
    Left(String),
    /// There is no such pool.
    #[error("the pool does not exist any more")]
    Gone,
    /// Anything else.
    #[error("the API server does not do it: {0}")]
    Refused(#[source] kube::Error),
    /// No answer.
    #[error("the API server did not answer for {PATIENCE:?}")]
    Silent,
}

/// Carries out a step; the pool as it is afterwards.
///
/// # Errors
/// See [`ActError`].
pub(crate) async fn carry_out(client: Client, pool: &str, step: Step) -> Result<SpiderIPPool, ActError> {
    match step {
        Step::Object(patch) => patch_object(client, pool, patch).await,
        Step::Status { patch, manager } => {
            let api = Api::<SpiderIPPool>::all(client);
            answer(api.patch_status(pool, &parameters(manager), &Patch::Merge(patch))).await
        }
        Step::Release { blocks, patch } => {
            delete_blocks(client.clone(), pool, blocks).await?;
            patch_object(client, pool, patch).await
        }
    }
}

async fn patch_object(client: Client, pool: &str, patch: Value) -> Result<SpiderIPPool, ActError> {
    answer(Api::<SpiderIPPool>::all(client).patch(pool, &parameters(MANAGER), &Patch::Merge(patch))).await
}

async fn delete_blocks(client: Client, pool: &str, blocks: Vec<(String, String)>) -> Result<(), ActError> {
    let api = Api::<SpiderIPBlock>::all(client);
    for (name, version) in blocks {
        let preconditions = Preconditions { resource_version: Some(version), uid: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match answer(api.delete(&name, &parameters)).await {
            // Kubernetes' garbage collector may have been there before.
            Ok(_) | Err(ActError::Gone) => {}
            Err(error) => return Err(error),
        }
    }
    // One may have been made by somebody who read the pool before its deletion began; the watch may tell it later.
    let selector = format!("{LABEL_BLOCK_POOL}={}", SpiderIPBlock::label_of(pool));
    let left = answer(api.list_metadata(&ListParams::default().labels(&selector).limit(1))).await?;
    match left.items.into_iter().next() {
        None => Ok(()),
        Some(block) => Err(ActError::Left(block.name_any())),
    }
}

fn parameters(manager: &str) -> PatchParams {
    PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() }
}

async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ActError> {
    match timeout(PATIENCE, request).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(ActError::Stale),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(ActError::Gone),
        Ok(Err(error)) => Err(ActError::Refused(error)),
        Err(_) => Err(ActError::Silent),
    }
}
