//! How clients come to the API server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::certificates::Certificates;

/// The kubeconfig of that name.
pub(crate) fn kubeconfig(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.kubeconfig"))
}

/// Writes the kubeconfig of an administrator who comes by the URL `server`, and reads it as a client does.
pub(crate) async fn configuration(
    folder: &Path,
    name: &str,
    server: &str,
    certificates: &Certificates,
) -> Result<Config> {
    let Certificates { authority, token, .. } = certificates;
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": server, "certificate-authority": authority,
        }}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    });
    let path = kubeconfig(folder, name);
    // Every JSON text is a YAML text.
    fs::write(&path, content.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    let read = Kubeconfig::read_from(&path)?;
    Ok(Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?)
}
