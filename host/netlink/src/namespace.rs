use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic;
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

/// An open network namespace. It stays usable while this value lives, even when its name is removed meanwhile.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    path: PathBuf,
}

/// Why a network namespace could not be opened or entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// There is nothing at the path, or it may not be read.
    #[error("cannot open the network namespace {}: {source}{}", path.display(), open_remedy(source))]
    Open {
        /// The path given.
        path: PathBuf,
        /// The error of `open`.
        #[source]
        source: io::Error,
    },
    /// The path leads to something else: a leftover mount point, an ordinary file, a namespace of another kind.
    #[error(
        "{} is not a network namespace; if it is left over from a restart or a removed pod, delete it with \
         `ip netns delete` or `rm`, else pass a path like /var/run/netns/NAME or /proc/PID/ns/net",
        path.display()
    )]
    NotANetworkNamespace {
        /// The path given.
        path: PathBuf,
    },
    /// The kernel did not let the thread in.
    #[error("cannot enter the network namespace {}: {source}; run as root or with CAP_SYS_ADMIN", path.display())]
    Enter {
        /// The path given.
        path: PathBuf,
        /// The error of `setns`.
        #[source]
        source: io::Error,
    },
    /// The thread that was to enter could not be started.
    #[error("cannot start a thread to enter the network namespace {}: {source}; is the limit of processes reached?",
        path.display())]
    Thread {
        /// The path given.
        path: PathBuf,
        /// The error of starting the thread.
        #[source]
        source: io::Error,
    },
}

impl Namespace {
    /// Opens the namespace at `path`, as `/var/run/netns/NAME` or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// [`NamespaceError::Open`] or [`NamespaceError::NotANetworkNamespace`], both with the path.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, NamespaceError> {
        let path = path.into();
        let failed = |source: io::Error| NamespaceError::Open { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let kind = fstatfs(&file).map_err(|errno| failed(errno.into()))?.filesystem_type();
        if kind != NSFS_MAGIC {
            return Err(NamespaceError::NotANetworkNamespace { path });
        }
        Ok(Self { file, path })
    }

    /// The path by which the namespace was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the calling thread into the namespace for good: for a program that is about to end there. A thread that is to
    /// come back, or serves others, uses [`in_namespace`].
    ///
    /// # Errors
    /// [`NamespaceError::Enter`] or [`NamespaceError::NotANetworkNamespace`]: a namespace of another kind shows only now.
    pub fn enter(&self) -> Result<(), NamespaceError> {
        setns(self, CloneFlags::CLONE_NEWNET).map_err(|errno| refusal(self, errno))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Runs `work` inside `namespace` and hands back what it returns.
///
/// The work runs on a thread started for it, which ends with it: a thread that serves others would have to be brought
/// back home on every way out, a panic included. The caller waits; no thread of its own moves. A panic of `work` goes
/// on in the caller.
///
/// # Errors
/// [`NamespaceError::Enter`], [`NamespaceError::NotANetworkNamespace`] (a namespace of another kind shows only now) or
/// [`NamespaceError::Thread`]; `work` has not run then.
pub fn in_namespace<T: Send>(namespace: &Namespace, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
    let enter_and_work = || {
        namespace.enter()?;
        Ok(work())
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, enter_and_work)
            .map_err(|source| NamespaceError::Thread { path: namespace.path.clone(), source })?;
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

fn refusal(namespace: &Namespace, errno: Errno) -> NamespaceError {
    let path = namespace.path.clone();
    match errno {
        Errno::EINVAL => NamespaceError::NotANetworkNamespace { path },
        errno => NamespaceError::Enter { path, source: errno.into() },
    }
}

fn open_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; is the pod gone already?",
        io::ErrorKind::PermissionDenied => "; run as root",
        _ => "",
    }
}
