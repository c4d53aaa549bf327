//! SpiderPolicy objects, brought into force with components from a folder of the node.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spiderpool_crd::SpiderPolicy;
use spiderpool_crd::policy::PolicySource as Source;
use spiderpool_runtime::{PolicyHost, PolicySource};
use spiderpool_storage::catalog::Catalog;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often components are looked at: a file that is put in place changes no object.
const LOOK: Duration = Duration::from_secs(5);

/// Policies, and what tells whether their components are still the same.
type Wanted = (Vec<PolicySource>, Vec<Option<(u64, Option<SystemTime>)>>);

/// Puts the policies of the catalog in force, and from then on whatever becomes of them until `stop`. Returns when
/// those that are there now are in force, or were refused.
pub(super) async fn follow(
    host: PolicyHost,
    mut catalogs: watch::Receiver<Arc<Catalog>>,
    folder: PathBuf,
    stop: CancellationToken,
) {
    let mut seen = wanted(&catalogs.borrow_and_update().policies, &folder);
    apply(&host, seen.0.clone()).await;
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        // Either there is news, or it is time to look at files; without a catalog there is nothing to follow.
        while !matches!(timeout(LOOK, catalogs.changed()).await, Ok(Err(_))) {
            let policies = Arc::clone(&catalogs.borrow_and_update().policies);
            let now = wanted(&policies, &folder);
            if now != seen {
                apply(&host, now.0.clone()).await;
                seen = now;
            }
        }
    }));
}

/// Compiling takes its time, and what is refused is told by the host.
async fn apply(host: &PolicyHost, policies: Vec<PolicySource>) {
    let host = host.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || host.apply(policies)).await {
        warn!("policies stay as they are: {error}");
    }
}

fn wanted(policies: &BTreeMap<String, Arc<SpiderPolicy>>, folder: &Path) -> Wanted {
    let sources: Vec<PolicySource> = policies
        .iter()
        .map(|(name, policy)| PolicySource { name: name.clone(), spec: policy.spec.clone(), folder: folder.into() })
        .collect();
    let files = sources.iter().map(|policy| match &policy.spec.source {
        Source::File(file) => fs::metadata(folder.join(file)).ok().map(|file| (file.len(), file.modified().ok())),
        Source::ConfigMap(_) | Source::Oci(_) => None,
    });
    let files = files.collect();
    (sources, files)
}

#[cfg(test)]
mod tests {
    use spiderpool_crd::SpiderPolicySpec;

    use super::*;

    #[test]
    fn a_component_that_is_put_in_place_or_changed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let spec = SpiderPolicySpec::new(Source::File("a.wasm".into()));
        let policies = BTreeMap::from([("a".to_owned(), Arc::new(SpiderPolicy::new("a", spec)))]);
        let missing = wanted(&policies, folder.path());
        assert_eq!(missing, wanted(&policies, folder.path()));
        fs::write(folder.path().join("a.wasm"), "one").unwrap();
        let there = wanted(&policies, folder.path());
        assert_ne!(missing, there);
        fs::write(folder.path().join("a.wasm"), "other").unwrap();
        assert_ne!(there, wanted(&policies, folder.path()));
    }
}
