//! What the agent is about: coming up, serving, or going away. Whoever asks it something comes by here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use spiderpool_wire::ErrorCode;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::agent::Agent;
use crate::failure::Failure;

/// How long a request waits for an agent that is coming up: a restart takes a second or two, and a pod that waits that long
/// is better off than one whose sandbox is made again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stands between those who ask and the agent, from before it can answer until after it cannot any more.
pub(crate) struct Gate {
    stage: watch::Sender<Stage>,
    /// Cancelled when the agent is to stop.
    pub stop: CancellationToken,
}

#[derive(Clone)]
enum Stage {
    /// Not there yet, because of this.
    Starting(String),
    /// There.
    Serving(Arc<Agent>),
}

impl Gate {
    /// An agent that is coming up.
    pub(crate) fn new(doing: &str) -> Arc<Self> {
        let (stage, _) = watch::channel(Stage::Starting(doing.to_owned()));
        Arc::new(Self { stage, stop: CancellationToken::new() })
    }

    /// Says what the agent waits for, to whoever asks.
    pub(crate) fn waits(&self, doing: String) {
        self.stage.send_replace(Stage::Starting(doing));
    }

    /// From now on `agent` answers.
    pub(crate) fn open(&self, agent: Arc<Agent>) {
        self.stage.send_replace(Stage::Serving(agent));
    }

    /// The agent, if it has come up.
    ///
    /// # Errors
    /// What it waits for.
    pub(crate) fn agent(&self) -> Result<Arc<Agent>, Failure> {
        match &*self.stage.borrow() {
            Stage::Serving(agent) => Ok(Arc::clone(agent)),
            Stage::Starting(doing) => {
                Err(Failure::new(ErrorCode::Unavailable, format!("the agent is not ready yet: {doing}")))
            }
        }
    }

    /// The agent; waits a while for one that is coming up.
    ///
    /// # Errors
    /// What it still waits for.
    async fn agent_soon(&self) -> Result<Arc<Agent>, Failure> {
        let mut stage = self.stage.subscribe();
        let come_up = stage.wait_for(|stage| matches!(stage, Stage::Serving(_)));
        // Whatever ended the wait, the stage tells what the agent is about.
        let _ = timeout(PATIENCE, self.stop.run_until_cancelled(come_up)).await;
        self.agent()
    }

    /// Has the agent stop.
    pub(crate) fn close(&self, asked_by: &str) {
        if !self.stop.is_cancelled() {
            info!("stopping, asked by {asked_by}: requests that have begun are answered");
            self.stop.cancel();
        }
    }
}

/// The agent, for handlers of requests.
pub(crate) struct Ctx(pub Arc<Agent>);

impl FromRequestParts<Arc<Gate>> for Ctx {
    type Rejection = Failure;

    async fn from_request_parts(_: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Failure> {
        gate.agent_soon().await.map(Self)
    }
}
