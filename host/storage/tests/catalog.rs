//! A folder of manifests while people edit it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that should not be")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spiderpool_storage::catalog::{AcceptAll, Catalog, CatalogFolder};

fn pool(name: &str, ips: &str) -> String {
    format!(
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderIPPool\nmetadata: {{name: {name}}}\n\
         spec: {{subnet: 10.6.0.0/16, ips: [{ips}]}}\n"
    )
}

#[track_caller]
fn wait(folder: &CatalogFolder, what: impl Fn(&Catalog) -> bool) -> Arc<Catalog> {
    let start = Instant::now();
    loop {
        let catalog = folder.current();
        if what(&catalog) {
            return catalog;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{catalog:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn open(folder: &Path) -> CatalogFolder {
    CatalogFolder::watch(folder, Arc::new(AcceptAll)).unwrap()
}

#[test]
fn changes_come_into_force_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), pool("p", "10.6.0.1")).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/x.yaml"), "not: [yaml").unwrap();
    fs::write(folder.path().join("notes.txt"), "not: [yaml").unwrap();
    fs::write(folder.path().join(".hidden.yaml"), "not: [yaml").unwrap();
    let catalog = open(folder.path());
    assert_eq!(catalog.current().pools["p"].space.usable.count(), 1);
    assert_eq!(catalog.current().problems, []);

    fs::write(folder.path().join("b.yaml"), pool("q", "10.6.0.2")).unwrap();
    wait(&catalog, |catalog| catalog.pools.contains_key("q"));
    fs::write(folder.path().join("b.yaml"), "kind: [").unwrap();
    let broken = wait(&catalog, |catalog| !catalog.problems.is_empty());
    assert_eq!(broken.problems[0].file, Path::new("b.yaml"));
    assert_eq!(broken.pools.len(), 2);
    fs::rename(folder.path().join("b.yaml"), folder.path().join("b.off")).unwrap();
    wait(&catalog, |catalog| catalog.problems.is_empty() && catalog.pools.len() == 1);
    // As editors save: a new file takes the place of the old one.
    fs::write(folder.path().join("new"), pool("p", "10.6.0.1-10.6.0.9")).unwrap();
    fs::rename(folder.path().join("new"), folder.path().join("a.yaml")).unwrap();
    wait(&catalog, |catalog| catalog.pools["p"].space.usable.count() == 9);
}

#[tokio::test(flavor = "current_thread")]
async fn only_changes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), pool("p", "10.6.0.1")).unwrap();
    let catalog = open(folder.path());
    let mut updates = catalog.subscribe();
    catalog.look_again();
    fs::write(folder.path().join("a.yaml"), pool("p", "10.6.0.1")).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), updates.changed()).await.is_err());
    fs::write(folder.path().join("a.yaml"), pool("p", "10.6.0.2")).unwrap();
    tokio::time::timeout(Duration::from_secs(5), updates.changed()).await.unwrap().unwrap();
}

#[test]
fn a_folder_that_goes_away_leaves_what_is_in_force() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("manifests");
    let error = CatalogFolder::watch(&path, Arc::new(AcceptAll)).unwrap_err().to_string();
    assert!(error.contains("manifests cannot be read") && error.ends_with("make it, or name another one"), "{error}");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.yaml"), pool("p", "10.6.0.1")).unwrap();
    let catalog = open(&path);
    fs::rename(&path, parent.path().join("away")).unwrap();
    catalog.look_again();
    let without = wait(&catalog, |catalog| !catalog.problems.is_empty());
    assert_eq!(without.pools.len(), 1);
    assert_eq!(without.problems[0].file, path);
    fs::rename(parent.path().join("away"), &path).unwrap();
    catalog.look_again();
    wait(&catalog, |catalog| catalog.problems.is_empty());
}
