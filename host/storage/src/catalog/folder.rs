//! The folder: reading its files, and noticing when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;

use super::build::{Builder, SourceFile};
use super::controllers::WrittenControllers;
use super::pods::WrittenPods;
use super::{Admission, Catalog, Controllers, Pods, Problem, Severity};

/// How long the folder must be quiet before it is read: editors and `kubectl`-like tools write in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// The longest that a folder which never gets quiet is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the folder is read without a reason: notifications are lost on some file systems, and when the folder
/// itself is replaced.
const PERIOD: Duration = Duration::from_secs(10);
/// Files above this size are no manifests; reading them would only cost memory.
const LARGEST_FILE: u64 = 16 << 20;

/// The folder cannot be watched at all.
#[derive(Debug, thiserror::Error)]
#[error("the folder of manifests {} cannot be read: {source}; make it, or name another one", .folder.display())]
pub struct FolderError {
    /// The folder.
    pub folder: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// What is in force, kept current by a thread of its own. Dropping it ends the thread.
#[derive(Debug)]
pub struct CatalogFolder {
    catalog: watch::Receiver<Arc<Catalog>>,
    wake: SyncSender<Wake>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Look,
    Stop,
}

impl CatalogFolder {
    /// Reads the folder and goes on watching it. Blocks until it was read once.
    ///
    /// # Errors
    /// The folder itself cannot be read. Whatever is wrong with its files is in [`Catalog::problems`].
    pub fn watch(folder: &Path, admission: Arc<dyn Admission>) -> Result<Self, FolderError> {
        let named = folder.to_owned();
        let unusable = move |source| FolderError { folder: named.clone(), source };
        // One place is enough: whoever finds it taken knows that a look is due.
        let (wake, woken) = sync_channel(1);
        // Before the first look, so that no change falls between the two.
        let notifier = notify(folder, &wake);
        let files = read(folder).map_err(&unusable)?;
        let mut builder = Builder::default();
        let first = builder.build(&files, admission.as_ref());
        let (updates, catalog) = watch::channel(Arc::new(first));
        let folder = folder.to_owned();
        let watcher = Watcher { folder, admission, builder, updates, woken, wake: wake.clone(), notifier };
        let thread = std::thread::Builder::new().name("catalog".to_owned()).spawn(move || watcher.run());
        Ok(Self { catalog, wake, thread: Some(thread.map_err(unusable)?) })
    }

    /// What is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    /// Tells when something else is in force.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.clone()
    }

    /// The pods of the folder's manifests.
    #[must_use]
    pub fn pods(&self) -> Arc<dyn Pods> {
        Arc::new(WrittenPods(self.subscribe()))
    }

    /// The controllers of the folder's manifests.
    #[must_use]
    pub fn controllers(&self) -> Arc<dyn Controllers> {
        Arc::new(WrittenControllers(self.subscribe()))
    }

    /// Has the folder read again soon: objects that were refused are judged anew, as after a change of rules.
    pub fn look_again(&self) {
        // A full queue means that a look is due anyway.
        let _ = self.wake.try_send(Wake::Look);
    }
}

impl Drop for CatalogFolder {
    fn drop(&mut self) {
        // Waits at most for the look that is under way.
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the catalog's thread had panicked");
        }
    }
}

struct Watcher {
    folder: PathBuf,
    admission: Arc<dyn Admission>,
    builder: Builder,
    updates: watch::Sender<Arc<Catalog>>,
    woken: Receiver<Wake>,
    wake: SyncSender<Wake>,
    /// Notifies as long as it is kept.
    notifier: Option<RecommendedWatcher>,
}

impl Watcher {
    fn run(mut self) {
        loop {
            match self.woken.recv_timeout(PERIOD) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Wake::Look) => {
                    if self.settle() == Wake::Stop {
                        return;
                    }
                }
                // A folder that was replaced is another one for the kernel.
                Err(RecvTimeoutError::Timeout) => self.notifier = notify(&self.folder, &self.wake),
            }
            self.look();
        }
    }

    /// Waits until the folder is quiet.
    fn settle(&self) -> Wake {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.woken.recv_timeout(QUIET) {
                Ok(Wake::Look) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Wake::Stop,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        Wake::Look
    }

    fn look(&mut self) {
        let catalog = match read(&self.folder) {
            Ok(files) => self.builder.build(&files, self.admission.as_ref()),
            Err(error) => {
                let mut catalog = self.updates.borrow().as_ref().clone();
                catalog.problems = vec![Problem {
                    severity: Severity::Refused,
                    file: self.folder.clone(),
                    line: None,
                    object: String::new(),
                    field: String::new(),
                    message: format!("cannot be read: {error}; what was in force stays, until the folder is back"),
                }];
                catalog
            }
        };
        self.updates.send_if_modified(|current| {
            let changed = **current != catalog;
            if changed {
                *current = Arc::new(catalog);
            }
            changed
        });
    }
}

/// Has `wake` told about changes in the folder, as long as the answer is kept.
fn notify(folder: &Path, wake: &SyncSender<Wake>) -> Option<RecommendedWatcher> {
    let wake = wake.clone();
    let told = move |event: notify::Result<notify::Event>| {
        // Reading the folder is an event as well, and would never end.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = wake.try_send(Wake::Look);
        }
    };
    let watching = notify::recommended_watcher(told).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let (folder, seconds) = (folder.display(), PERIOD.as_secs());
    watching
        .inspect_err(|error| {
            tracing::warn!(%error, "changes of {folder} are not notified; it is read every {seconds} s instead");
        })
        .ok()
}

/// The manifests of the folder, by name.
fn read(folder: &Path) -> io::Result<Vec<SourceFile>> {
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = PathBuf::from(entry?.file_name());
        let hidden = path.to_string_lossy().starts_with('.');
        let manifest =
            path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        if manifest && !hidden && !folder.join(&path).is_dir() {
            names.push(path);
        }
    }
    names.sort();
    let files = names.into_iter().filter_map(|name| {
        let text = match read_file(&folder.join(&name)) {
            // Gone since it was listed: the same as never having been there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            other => other.map_err(|error| error.to_string()),
        };
        Some(SourceFile { name, text })
    });
    Ok(files.collect())
}

fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > LARGEST_FILE {
        let message = format!("it is larger than {} MiB; split it", LARGEST_FILE >> 20);
        return Err(io::Error::other(message));
    }
    fs::read_to_string(path)
}
