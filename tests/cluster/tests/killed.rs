//! A test's process that is killed leaves nothing behind.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spiderpool_cluster::Cluster;
use tokio::time::{sleep, timeout};

/// Names the file in which the process that is going to be killed says what it has started.
const VICTIM: &str = "SPIDERPOOL_TEST_VICTIM";

#[tokio::test]
async fn a_killed_process_leaves_neither_servers_nor_data() -> Result<()> {
    if let Some(file) = env::var_os(VICTIM) {
        return be_killed(Path::new(&file)).await;
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("started");
    // This very test, in a process of its own.
    let mut victim = Command::new(env::current_exe()?)
        .args(["--exact", "a_killed_process_leaves_neither_servers_nor_data"])
        .env(VICTIM, &file)
        .stdout(Stdio::null())
        .spawn()?;
    let started = async {
        loop {
            if let Ok(text) = fs::read_to_string(&file) {
                break text;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let started = timeout(Duration::from_secs(120), started).await.context("the other process starts no cluster")?;
    let (data, processes) = started.split_once('\n').context("a folder and processes")?;
    let processes = processes.split_whitespace().collect::<Vec<_>>();
    ensure!(Path::new(data).is_dir() && processes.len() == 2, "no cluster: {started}");
    ensure!(processes.iter().all(|process| runs(process)), "no servers: {started}");

    victim.kill()?;
    victim.wait()?;
    let gone = async {
        while Path::new(data).exists() || processes.iter().any(|process| runs(process)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), gone).await.with_context(|| format!("something is left of {started}"))
}

/// Whether a process runs: one that waits to be reaped by whoever adopted it has no program any more.
fn runs(process: &str) -> bool {
    fs::read_link(format!("/proc/{process}/exe")).is_ok()
}

/// Starts a cluster, says so, and waits for the end.
async fn be_killed(file: &Path) -> Result<()> {
    let cluster = Cluster::shared().await?;
    let data = cluster.kubeconfig().parent().context("a folder")?.display().to_string();
    let text = format!("{data}\n{} {}", cluster.apiserver.pid()?, cluster.etcd.pid()?);
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, file)?;
    std::future::pending().await
}
