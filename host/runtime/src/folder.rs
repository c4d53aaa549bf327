//! A watched folder of policies: `.wasm` files, and SpiderPolicy manifests that say how they are used.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::load::PolicySource;

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
    /// `.wasm` file that no manifest names is a policy of its own, under its file's name and with defaults. A manifest
    /// that cannot be read is told in the log, with its line; what it said before stays in force.
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
        let mut contents = Contents::new(folder.to_owned());
        let mut seen = contents.fingerprint();
        host.apply(contents.read());
        let follow = move || {
            loop {
                match changes.recv_timeout(LOOK) {
                    Ok(()) => while changes.recv_timeout(QUIET).is_ok() {},
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let now = contents.fingerprint();
                if now != seen {
                    host.apply(contents.read());
                    seen = now;
                }
            }
        };
        let thread = thread::Builder::new().name("policy-folder".into()).spawn(follow);
        thread.map_err(|error| failed(error.to_string()))?;
        Ok(Self { _watcher: watcher })
    }
}

/// The folder, and what its manifests said when they could be read last.
struct Contents {
    folder: PathBuf,
    manifests: BTreeMap<PathBuf, Vec<PolicySource>>,
}

impl Contents {
    fn new(folder: PathBuf) -> Self {
        Self { folder, manifests: BTreeMap::new() }
    }

    /// What tells whether anything changed, components elsewhere that manifests name included.
    fn fingerprint(&self) -> BTreeSet<(PathBuf, u64, Option<SystemTime>)> {
        let mut paths = files(&self.folder).unwrap_or_default();
        paths.extend(self.manifests.values().flatten().filter_map(component));
        let facts = paths.into_iter().map(|path| {
            let metadata = fs::metadata(&path).ok();
            let size = metadata.as_ref().map_or(0, fs::Metadata::len);
            (path, size, metadata.and_then(|metadata| metadata.modified().ok()))
        });
        facts.collect()
    }

    /// The policies of the folder.
    fn read(&mut self) -> Vec<PolicySource> {
        let files = files(&self.folder).unwrap_or_else(|error| {
            warn!("{}: {error}; no policy of it is in force", self.folder.display());
            Vec::new()
        });
        self.manifests.retain(|path, _| files.contains(path));
        let mut policies: Vec<PolicySource> = Vec::new();
        let mut unreadable = Vec::new();
        for path in files.iter().filter(|path| has_extension(path, &["yaml", "yml"])) {
            match manifests(path, &self.folder) {
                Ok(read) => drop(self.manifests.insert(path.clone(), read)),
                Err(error) => {
                    warn!("{}: {error}; what the file said before stays in force", path.display());
                    unreadable.push(fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
            for policy in self.manifests.get(path).into_iter().flatten() {
                if policies.iter().any(|other| other.name == policy.name) {
                    warn!("{}: SpiderPolicy {} is declared already; rename one", path.display(), policy.name);
                } else {
                    policies.push(policy.clone());
                }
            }
        }
        let mut bare = bare(&files, &policies, &self.folder);
        // A manifest with a slip of the pen must not put its component in force without settings, order and scope.
        bare.retain(|policy| {
            let file = policy.name.clone() + ".wasm";
            !unreadable.iter().flatten().any(|text| text.contains(&file))
        });
        policies.extend(bare);
        policies
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| wanted.contains(&extension))
}

/// The file that holds a policy's component, if it is a file.
fn component(policy: &PolicySource) -> Option<PathBuf> {
    match &policy.spec.source {
        Source::File(file) => Some(policy.folder.join(file)),
        Source::ConfigMap(_) | Source::Oci(_) => None,
    }
}

/// Components that no manifest names.
fn bare(files: &[PathBuf], declared: &[PolicySource], folder: &Path) -> Vec<PolicySource> {
    let named: BTreeSet<PathBuf> = declared.iter().filter_map(component).collect();
    let components = files.iter().filter(|path| has_extension(path, &["wasm"]) && !named.contains(*path));
    let policies = components.filter_map(|path| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let spec = SpiderPolicySpec::new(Source::File(path.file_name()?.to_str()?.to_owned()));
        let taken = declared.iter().any(|policy| policy.name == name);
        if taken {
            warn!(
                "{}: a manifest names a policy {name} but not this file; name it there, or rename it",
                path.display()
            );
        }
        (!taken).then(|| PolicySource { name, spec, folder: folder.to_owned() })
    });
    policies.collect()
}

/// The policies of one file, or what is wrong with it and where.
fn manifests(path: &Path, folder: &Path) -> Result<Vec<PolicySource>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let documents = serde_saphyr::from_multiple::<SpiderPolicy>(&text).map_err(|error| error.to_string())?;
    let policies = documents.into_iter().map(|policy| {
        let name = policy.metadata.name.filter(|name| !name.is_empty());
        let name = name.ok_or("a SpiderPolicy has no metadata.name; give it one")?;
        Ok(PolicySource { name, spec: policy.spec, folder: folder.to_owned() })
    });
    policies.collect()
}
