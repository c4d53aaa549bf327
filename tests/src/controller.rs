use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use spiderpool_cluster::{spawn, tied};
use tempfile::TempDir;

use crate::{Account, Dist};

const PROGRAM: &str = "spiderpool-controller";

/// It reads everything within this time; a limit, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster's spiderpool-controller.
pub struct Controller {
    child: Child,
    folder: TempDir,
}

impl Controller {
    /// Starts it with an administrator's kubeconfig, and waits until it has read everything.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    #[must_use]
    pub fn start(kubeconfig: &Path) -> Self {
        let mut command = tied(Dist::find().bin(PROGRAM));
        command.env_clear().env("KUBECONFIG", kubeconfig);
        Self::run(command)
    }

    /// Starts it as a pod with this account would be, and waits until it has read everything.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    #[must_use]
    pub fn start_as(account: &Account) -> Self {
        let mut command = account.program(&Dist::find().bin(PROGRAM));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(account.environment());
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let folder = tempfile::Builder::new().prefix("spiderpool-test.").tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        command
            .args(["daemon", "--bind-address=127.0.0.1", "--health-port=0", "--metric-port=0", "--log-format=text"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = spawn(command).expect("the controller starts");
        let mut controller = Self { child, folder };
        let begun = Instant::now();
        while !controller.log().contains("all pools and blocks have been read") {
            let ended = controller.child.try_wait().expect("wait");
            assert!(ended.is_none(), "the controller ended: {}", controller.log());
            assert!(begun.elapsed() < PATIENCE, "the controller reads and reads: {}", controller.log());
            thread::sleep(Duration::from_millis(10));
        }
        controller
    }

    /// Asks it to stop, and waits for it. Answers whether it said that all was well.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn stop(mut self) -> bool {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).expect("signal");
        self.child.wait().expect("wait").success()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
