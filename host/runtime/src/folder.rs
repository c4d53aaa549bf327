//! A watched folder of policies: `.wasm` files, and SpiderPolicy manifests that say how they are used.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use notify::{RecursiveMode, Watcher};
use spiderpool_crd::policy::PolicySource as Source;
use spiderpool_crd::{SpiderPolicy, SpiderPolicySpec};
use tracing::warn;

use crate::failure::HostError;
use crate::host::PolicyHost;
use crate::loaded::PolicySource;

/// After the last of a burst of changes: a file that is being copied makes many.
const QUIET: Duration = Duration::from_millis(100);

/// How often the folder is looked at even when nothing was heard: events can be lost.
const LOOK: Duration = Duration::from_secs(5);

/// A folder whose policies are in force for as long as this lives.
pub struct PolicyFolder {
    _watcher: notify::RecommendedWatcher,
}

impl PolicyFolder {
    /// Puts the folder's policies in force, now and whenever it changes. A missing folder is made.
    ///
    /// Every `.yaml` or `.yml` file may hold SpiderPolicy documents, whose `source.file` is relative to the folder. A
    /// `.wasm` file that no manifest names is a policy of its own, under its file's name and with defaults.
    ///
    /// # Errors
    /// The folder cannot be made or watched.
    pub fn watch(host: PolicyHost, folder: &Path) -> Result<Self, HostError> {
        let failed = |cause: String| HostError::Folder {
            what: "folder of policies",
            path: folder.to_owned(),
            cause,
            remedy: "name a folder that this user can read with --policies",
        };
        fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        let (heard, changes) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // The follower is gone when the host stops.
                let _ = heard.send(());
            }
        })
        .map_err(|error| failed(error.to_string()))?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| failed(error.to_string()))?;
        let folder = folder.to_owned();
        let mut seen = fingerprint(&folder);
        host.apply(read(&folder));
        let follow = move || {
            loop {
                match changes.recv_timeout(LOOK) {
                    Ok(()) => while changes.recv_timeout(QUIET).is_ok() {},
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let now = fingerprint(&folder);
                if now != seen {
                    host.apply(read(&folder));
                    seen = now;
                }
            }
        };
        let thread = thread::Builder::new().name("policy-folder".into()).spawn(follow);
        thread.map_err(|error| failed(error.to_string()))?;
        Ok(Self { _watcher: watcher })
    }
}

/// What tells whether anything changed.
fn fingerprint(folder: &Path) -> BTreeSet<(PathBuf, u64, Option<SystemTime>)> {
    let Ok(files) = files(folder) else { return BTreeSet::new() };
    let facts = files.into_iter().map(|path| {
        let metadata = fs::metadata(&path).ok();
        let size = metadata.as_ref().map_or(0, fs::Metadata::len);
        (path, size, metadata.and_then(|metadata| metadata.modified().ok()))
    });
    facts.collect()
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// The policies of a folder. What cannot be read is told in the log and left out.
fn read(folder: &Path) -> Vec<PolicySource> {
    let files = files(folder).unwrap_or_else(|error| {
        warn!("{}: {error}; no policy of it is in force", folder.display());
        Vec::new()
    });
    let has_extension = |path: &PathBuf, wanted: &[&str]| {
        path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| wanted.contains(&extension))
    };
    let mut policies: Vec<PolicySource> = Vec::new();
    for path in files.iter().filter(|path| has_extension(path, &["yaml", "yml"])) {
        for policy in manifests(path, folder) {
            if policies.iter().any(|other| other.name == policy.name) {
                warn!(
                    "{}: SpiderPolicy {} is declared already in another file; rename one",
                    path.display(),
                    policy.name
                );
            } else {
                policies.push(policy);
            }
        }
    }
    let named: BTreeSet<PathBuf> = policies
        .iter()
        .filter_map(|policy| match &policy.spec.source {
            Source::File(file) => Some(folder.join(file)),
            _ => None,
        })
        .collect();
    let bare =
        files.iter().filter(|path| has_extension(path, &["wasm"]) && !named.contains(*path)).filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let spec = SpiderPolicySpec::new(Source::File(path.file_name()?.to_str()?.to_owned()));
            Some(PolicySource { name, spec, folder: folder.to_owned() })
        });
    let bare: Vec<PolicySource> =
        bare.filter(|policy| policies.iter().all(|other| other.name != policy.name)).collect();
    policies.extend(bare);
    policies
}

fn manifests(path: &Path, folder: &Path) -> Vec<PolicySource> {
    let documents = fs::read_to_string(path).map_err(|error| error.to_string());
    let documents = documents
        .and_then(|text| serde_saphyr::from_multiple::<SpiderPolicy>(&text).map_err(|error| error.to_string()));
    match documents {
        Ok(documents) => {
            let policies = documents.into_iter().filter_map(|policy| {
                let name = policy.metadata.name.filter(|name| !name.is_empty());
                if name.is_none() {
                    warn!("{}: a SpiderPolicy has no metadata.name; give it one", path.display());
                }
                Some(PolicySource { name: name?, spec: policy.spec, folder: folder.to_owned() })
            });
            policies.collect()
        }
        Err(error) => {
            warn!("{}: {error}; the policies of this file are not in force", path.display());
            Vec::new()
        }
    }
}
