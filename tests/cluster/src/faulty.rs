//! A way to the API server on which requests fail now and then, as they do at a server that has too much to do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The share of requests, of 0 to 1, that each fault meets. A request meets one at most. A fault that has met none yet meets the
/// first that it can: few requests are reason enough to meet every fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Changes that are answered with 409 and not done: somebody else was faster.
    pub conflicts: f64,
    /// Requests of any kind that are answered with 429 and not done, to be made again after a second.
    pub throttled: f64,
    /// Changes that are done, whose answers get lost with their connections.
    pub lost: f64,
}

/// How many requests met each fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// 409.
    pub conflicts: u64,
    /// 429.
    pub throttled: u64,
    /// No answer.
    pub lost: u64,
}

/// Passes requests to the API server as an administrator, without TLS on the clients' side, and has some of them fail. It
/// starts without faults, and ends when it is dropped.
pub struct Faulty {
    kubeconfig: PathBuf,
    faults: watch::Sender<Faults>,
    met: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    conflicts: AtomicU64,
    throttled: AtomicU64,
    lost: AtomicU64,
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    Fine,
    Conflict,
    Throttled,
    Lost,
}

impl Faulty {
    /// Listens, and gives the address to whoever writes the kubeconfig.
    pub(crate) async fn start(client: Client, ip: std::net::IpAddr) -> Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((ip, 0)).await.context("no port for a proxy")?;
        let address = listener.local_addr()?;
        let (faults, shares) = watch::channel(Faults::default());
        let met = Arc::<Counts>::default();
        let way = Way { client, shares, met: Arc::clone(&met) };
        let accepting = tokio::spawn(accept(listener, way));
        Ok((Self { kubeconfig: PathBuf::new(), faults, met, accepting }, address))
    }

    pub(crate) fn serve_as(&mut self, kubeconfig: PathBuf) {
        self.kubeconfig = kubeconfig;
    }

    /// A kubeconfig file of an administrator who comes this way.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What holds from the next request on.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// What requests have met so far.
    #[must_use]
    pub fn met(&self) -> Met {
        self.met.read()
    }
}

impl Counts {
    fn read(&self) -> Met {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Self { conflicts, throttled, lost } = self;
        Met { conflicts: count(conflicts), throttled: count(throttled), lost: count(lost) }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Way {
    client: Client,
    shares: watch::Receiver<Faults>,
    met: Arc<Counts>,
}

/// Connections belong to this task: they end with it.
async fn accept(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is this connection's alone, such as a client that has left already.
                let Ok((client, _)) = accepted else { continue };
                let way = way.clone();
                let served = service_fn(move |request| way.clone().pass(request));
                connections.spawn(async move {
                    // A connection that breaks is what is wanted of some.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(client), served).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The answer got lost.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

impl Way {
    async fn pass(self, mut request: Request<Incoming>) -> Result<Response<Body>, Lost> {
        let fate = self.shares.borrow().fate(request.method(), fastrand::f64(), self.met.read());
        let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        match fate {
            Fate::Conflict => {
                count(&self.met.conflicts);
                return Ok(refusal(StatusCode::CONFLICT, "Conflict"));
            }
            Fate::Throttled => {
                count(&self.met.throttled);
                return Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"));
            }
            Fate::Fine | Fate::Lost => {}
        }
        // The client here says who asks, and where.
        for name in [header::HOST, header::AUTHORIZATION, header::CONNECTION] {
            request.headers_mut().remove(name);
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
        let answer = self.client.send(Request::from_parts(head, body.into())).await.map_err(|_| Lost)?;
        if matches!(fate, Fate::Lost) {
            count(&self.met.lost);
            return Err(Lost);
        }
        Ok(answer)
    }
}

impl Faults {
    /// What becomes of a request that draws this number, of 0 to 1, when faults have met so many.
    fn fate(self, method: &Method, drawn: f64, met: Met) -> Fate {
        let Self { conflicts, throttled, lost } = self;
        let changes = *method != Method::GET;
        let patches = *method == Method::PATCH || *method == Method::PUT;
        let is_first = |share: f64, met: u64| share > 0.0 && met == 0;
        if patches && (is_first(conflicts, met.conflicts) || drawn > 1.0 - conflicts) {
            Fate::Conflict
        } else if is_first(lost, met.lost) && changes {
            Fate::Lost
        } else if is_first(throttled, met.throttled) || drawn < throttled {
            Fate::Throttled
        } else if drawn < throttled + lost && changes {
            Fate::Lost
        } else {
            Fate::Fine
        }
    }
}

/// A no in the API server's words.
fn refusal(code: StatusCode, reason: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code.as_u16(), "reason": reason,
        "message": "this is a test of what clients do about it",
    });
    let mut response = Response::new(Body::from(status.to_string().into_bytes()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if code == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}
