use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use spiderpool_cluster::{Cluster, tied};
use tempfile::TempDir;

/// Shows the folder at the place where the kubelet puts it, to one program alone.
const SCRIPT: &str = "set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
mount --bind \"$0\" /run/secrets/kubernetes.io/serviceaccount
exec \"$@\"";

/// A service account as a pod has it: a token and the authority's certificate in files, and where the API server is.
#[derive(Debug)]
pub struct Account {
    folder: TempDir,
    server: SocketAddr,
}

impl Account {
    /// The account of that name in `kube-system`, made if need be. It may do nothing by itself.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn of(cluster: &Cluster, name: &str) -> Result<Self> {
        let account =
            format!("{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}, namespace: kube-system}}}}");
        cluster.apply(&account).await?;
        let token = cluster.kubectl(&["create", "token", name, "--namespace", "kube-system"]).await?;
        let kubeconfig: Value = serde_json::from_slice(&fs::read(cluster.kubeconfig())?)?;
        let authority = &kubeconfig["clusters"][0]["cluster"]["certificate-authority"];
        let folder = tempfile::Builder::new().prefix("spiderpool-test.").tempdir()?;
        fs::copy(authority.as_str().context("an authority")?, folder.path().join("ca.crt"))?;
        fs::write(folder.path().join("token"), token.trim())?;
        fs::write(folder.path().join("namespace"), "kube-system")?;
        Ok(Self { folder, server: cluster.address() })
    }

    /// The environment that a pod has.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("KUBERNETES_SERVICE_HOST", self.server.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", self.server.port().to_string()),
        ]
    }

    /// The program in a mount namespace of its own, where the account's files are where a pod has them. Its process id is
    /// the command's.
    #[must_use]
    pub fn program(&self, program: &Path) -> Command {
        let mut command = tied("unshare");
        command.args(["--mount", "sh", "-c", SCRIPT]).arg(self.folder.path()).arg(program);
        command
    }
}
