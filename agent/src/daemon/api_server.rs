//! The API server: the way there, waiting for it at the start, and noticing when it is away.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use kube::Client;
use parking_lot::Mutex;
use spiderpool_storage::kube::{ConnectError, configuration, connect};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::gate::Gate;

/// How long one look at the API server may take, and the pause after one that failed, as Spiderpool documents.
const LOOK: Duration = Duration::from_secs(2);

/// After so many tries Spiderpool gives up and is started again. Here it is time to say once more that the agent waits.
const TRIES: u32 = 15;

/// The pause between looks while all is well. Watches and requests notice when it is not, and a thousand nodes ask.
const PAUSE: Duration = Duration::from_secs(15);

/// The API server of the cluster.
#[derive(Clone)]
pub(super) struct ApiServer {
    pub(super) client: Client,
    url: String,
    trouble: Arc<Mutex<Option<String>>>,
}

impl ApiServer {
    /// The one that `KUBECONFIG` names, else that of the cluster whose pod this is.
    ///
    /// # Errors
    /// Neither is there, or it cannot be read.
    pub(super) async fn find() -> anyhow::Result<Self> {
        // Their sentences tell their causes already.
        let said = |error: ConnectError| anyhow::Error::msg(error.to_string());
        let config = configuration(None).await.map_err(said)?;
        let url = config.cluster_url.to_string();
        let client = connect(config).await.map_err(said)?;
        Ok(Self { client, url, trouble: Arc::default() })
    }

    /// Waits until it is ready, however long that takes, and says so in the log and at the gate.
    pub(super) async fn wait(&self, gate: &Gate) {
        for attempt in 1_u32.. {
            let Err(trouble) = self.look().await else {
                info!(api_server = self.url, "the API server is ready");
                return;
            };
            if attempt % TRIES == 1 {
                warn!("{trouble}; waiting for it (try {attempt})");
            }
            gate.waits(format!("{trouble}; waiting for it (try {attempt})"));
            sleep(LOOK).await;
        }
    }

    /// Looks at it now and then until `stop`, and says in the log when it goes away and comes back.
    pub(super) fn watch(&self, stop: CancellationToken) {
        let server = self.clone();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            loop {
                let trouble = server.look().await.err();
                let was = std::mem::replace(&mut *server.trouble.lock(), trouble.clone());
                match (&was, &trouble) {
                    (None, Some(trouble)) => warn!("{trouble}; ADDs and DELs fail until it is back"),
                    (Some(_), None) => info!("the API server is back"),
                    (None, None) | (Some(_), Some(_)) => {}
                }
                sleep(if trouble.is_some() { LOOK } else { PAUSE }).await;
            }
        }));
    }

    /// What was wrong with it at the last look.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    async fn look(&self) -> Result<(), String> {
        let request = Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
        let trouble = match timeout(LOOK, self.client.request_text(request)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {LOOK:?}"),
        };
        Err(format!("the API server {} is not ready: {trouble}", self.url))
    }
}

/// An error with its causes: the outermost one of a connection says no more than that there was one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
