//! Native code of components: made by a child process, kept in a folder that nobody else may write.
//!
//! What the engine loads is trusted as the agent itself is. So the folder belongs to the agent's user alone, and code is
//! loaded only if it has the digest that was written down when it was made.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use spiderpool_engine::REVISION;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::failure::{HostError, LoadError};
use crate::inspect::digest;

/// How long compiling may take. JavaScript's runtime takes 10 s.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long code is kept after it was last loaded. Making it again takes a second or so; keeping that of every build of
/// a policy that somebody works on fills a disk.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How the names of folders begin in which code is made.
const WORK: &str = "compiling-";

/// Compiled components.
#[derive(Clone, Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
    compiler: PathBuf,
    timeout: Duration,
}

impl CodeCache {
    pub(crate) fn open(folder: PathBuf, compiler: PathBuf) -> Result<Self, HostError> {
        let failed = |cause: String, remedy| HostError::Folder {
            what: "cache of compiled policies",
            path: folder.clone(),
            cause,
            remedy,
        };
        let make = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        make.map_err(|error| failed(error.to_string(), "name a folder that this user can write"))?;
        let metadata = fs::metadata(&folder).map_err(|error| failed(error.to_string(), "name another folder"))?;
        let me = nix::unistd::geteuid().as_raw();
        if metadata.uid() != me {
            return Err(failed(format!("it belongs to user {}", metadata.uid()), "remove it, or name another folder"));
        }
        if metadata.mode() & 0o077 != 0 {
            let close = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
            close.map_err(|error| failed(error.to_string(), "chmod 700 it"))?;
        }
        let cache = Self { folder, compiler, timeout: TIMEOUT };
        cache.prune();
        Ok(cache)
    }

    /// Removes what was not loaded for long, and the working folders of those who died while they compiled.
    fn prune(&self) {
        let ours = |path: &Path| {
            let extension = path.extension().unwrap_or_default();
            extension == "cwasm" || extension == "blake3" || path.file_name().is_some_and(is_work)
        };
        let age = |entry: &fs::DirEntry| entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in entries.filter(|entry| age(entry) > Some(KEPT)).map(|entry| entry.path()).filter(|path| ours(path))
        {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            debug!(path = %path.display(), ?removed, "compiled policy was not used for long");
        }
    }

    /// The native code of the component with this digest, made if it is not there yet.
    pub(crate) fn load(&self, engine: &Engine, wasm: &[u8], wasm_digest: &str) -> Result<Component, LoadError> {
        let name = digest(&[wasm_digest.as_bytes(), REVISION.as_bytes()].concat());
        let code = self.folder.join(name.trim_start_matches("sha256:")).with_extension("cwasm");
        let seal = code.with_extension("blake3");
        if let Some(component) = sealed(engine, &code, &seal) {
            used(&[&code, &seal]);
            return Ok(component);
        }
        self.compile(wasm, &code, &seal)?;
        sealed(engine, &code, &seal).ok_or_else(|| {
            LoadError::Compile("the compiler belongs to another version of spiderpool; install both alike".into())
        })
    }

    fn compile(&self, wasm: &[u8], code: &Path, seal: &Path) -> Result<(), LoadError> {
        let failed = |error: std::io::Error| LoadError::Compile(format!("{}: {error}", self.folder.display()));
        let begun = Instant::now();
        let work = tempfile::Builder::new().prefix(WORK).tempdir_in(&self.folder).map_err(failed)?;
        let (input, output) = (work.path().join("policy.wasm"), work.path().join("policy.cwasm"));
        fs::write(&input, wasm).map_err(failed)?;
        self.run(work.path(), &input, &output)?;
        let made = mark(&fs::read(&output).map_err(failed)?);
        // The seal goes first: code without its own seal is made again, code with a wrong one too.
        let new_seal = work.path().join("seal");
        fs::write(&new_seal, made).and_then(|()| fs::rename(&new_seal, seal)).map_err(failed)?;
        fs::rename(&output, code).map_err(failed)?;
        debug!(took = ?begun.elapsed(), code = %code.display(), "compiled a policy");
        Ok(())
    }

    fn run(&self, work: &Path, input: &Path, output: &Path) -> Result<(), LoadError> {
        let name = self.compiler.display();
        // A file, not a pipe: nobody reads while the compiler runs.
        let words = work.join("words");
        let log = fs::File::create(&words).map_err(|error| LoadError::Compile(error.to_string()))?;
        let mut child = Command::new(&self.compiler)
            .args([input, output])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| {
                LoadError::Compile(format!("{name}: {error}; install it, or name it with --policy-compiler"))
            })?;
        let begun = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begun.elapsed() < self.timeout => thread::sleep(Duration::from_millis(2)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let seconds = self.timeout.as_secs_f32();
                    return Err(LoadError::Compile(format!("it took more than {seconds} s; make it smaller")));
                }
                Err(error) => return Err(LoadError::Compile(error.to_string())),
            }
        };
        if status.success() { Ok(()) } else { Err(LoadError::Compile(ended(&name.to_string(), status, &words))) }
    }
}

/// How the compiler ended, and which of the bounds that it sets itself that tells of.
fn ended(name: &str, status: ExitStatus, words: &Path) -> String {
    let mut said = String::new();
    // A compiler that says more than this says the same again.
    let _ = fs::File::open(words).map(|file| file.take(4096).read_to_string(&mut said));
    let said = said.trim();
    match status.signal().map(Signal::try_from) {
        Some(Ok(Signal::SIGXCPU)) => "it takes too much processor time; make it smaller".into(),
        Some(Ok(Signal::SIGXFSZ)) => "its native code is too large; make it smaller".into(),
        Some(Ok(Signal::SIGABRT)) if said.contains("memory allocation") => {
            "it takes too much memory; make it smaller".into()
        }
        _ => format!("{name} ended with {status}: {said}"),
    }
}

fn is_work(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(WORK.as_bytes())
}

/// Notes for [`CodeCache::prune`] that files are needed.
fn used(files: &[&Path]) {
    for file in files {
        let noted = fs::File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
        noted.unwrap_or_else(|error| debug!(%error, file = %file.display(), "cannot note that code is used"));
    }
}

/// What a seal says about code. Code is four times as long as its policy and read at every load, so this is the quicker
/// hash; it never leaves the machine.
fn mark(code: &[u8]) -> String {
    blake3::hash(code).to_hex().to_string()
}

/// Native code that has the mark of its seal, and that this engine takes.
fn sealed(engine: &Engine, code: &Path, seal: &Path) -> Option<Component> {
    let bytes = fs::read(code).ok()?;
    if mark(&bytes) != fs::read_to_string(seal).ok()? {
        warn!(code = %code.display(), "compiled policy does not match its seal; making it again");
        return None;
    }
    #[expect(unsafe_code, reason = "only this user writes the folder, and the bytes are those that the compiler wrote")]
    let component = unsafe { Component::deserialize(engine, &bytes) };
    component.inspect_err(|error| debug!(%error, "compiled policy is of another engine; making it again")).ok()
}
