//! The way to the API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// How long a connection may take. Shorter than a request may take, so that a request that never left is told from one
/// whose answer was lost.
const CONNECT: Duration = Duration::from_secs(3);

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {}: {cause}; check the file that --kubeconfig or KUBECONFIG names", .file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: Box<kube::config::KubeconfigError>,
    },
    /// Nothing says where it is.
    #[error("nothing says where the API server is: {0}; set KUBECONFIG, or run in a pod with a service account")]
    Nowhere(#[source] Box<kube::config::InferConfigError>),
    /// The credentials cannot be used.
    #[error("cannot make a client for the API server: {0}; check the certificates and keys of the configuration")]
    Client(#[source] Box<kube::Error>),
}

/// Where the API server is and who we are: `kubeconfig` if given, else `$KUBECONFIG`, `~/.kube/config`, or the service
/// account of the pod that this process runs in.
///
/// # Errors
/// None of them can be used.
pub async fn configuration(kubeconfig: Option<&Path>) -> Result<Config, ConnectError> {
    let Some(file) = kubeconfig else {
        return Config::infer().await.map_err(|cause| ConnectError::Nowhere(Box::new(cause)));
    };
    let unusable = |cause| ConnectError::Kubeconfig { file: file.to_owned(), cause: Box::new(cause) };
    let read = Kubeconfig::read_from(file).map_err(unusable)?;
    Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(unusable)
}

/// A client for an agent. It belongs to the runtime in which it is made.
///
/// It repeats nothing by itself: kube's default tries a request up to 15 times when the server is busy, while whoever
/// waits is not told. It speaks HTTP/1.1, with as many connections as requests are in flight, kept for the next ones;
/// nothing limits their rate here.
///
/// # Errors
/// The credentials cannot be used.
pub async fn connect(mut config: Config) -> Result<Client, ConnectError> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|cause| ConnectError::Client(Box::new(cause)))
}
