//! A slow and unreliable way to the API server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::{Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Pieces of a direction that may be under way; a sender who is faster waits.
const UNDER_WAY: usize = 1024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Replies.
    ToClient,
}

/// What holds for all connections; each follows changes at once.
#[derive(Clone, Copy, Debug, Default)]
struct Terms {
    to_server: Duration,
    to_client: Duration,
    /// How often everything was cut so far.
    cuts: u64,
    /// Whether new connections are closed at once.
    refuse: bool,
}

/// Passes bytes between clients and the API server, TLS untouched. It starts without delay, and ends when it is dropped.
///
/// A *lost reply* is a long delay [`ToClient`](Direction::ToClient), a request, and [`cut`](Self::cut) once the server has
/// done it.
pub struct Proxy {
    address: SocketAddr,
    terms: watch::Sender<Terms>,
    accepting: JoinHandle<()>,
    client: Option<(Config, PathBuf)>,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        // The API server's own address, which its certificate names.
        let listener = TcpListener::bind((server.ip(), 0)).await.context("no port for a proxy")?;
        let address = listener.local_addr()?;
        let (terms, seen) = watch::channel(Terms::default());
        let accepting = tokio::spawn(accept(listener, server, seen));
        Ok(Self { address, terms, accepting, client: None })
    }

    pub(crate) fn serve_as(&mut self, config: Config, kubeconfig: PathBuf) {
        self.client = Some((config, kubeconfig));
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that comes this way.
    ///
    /// # Errors
    /// Its certificates cannot be read.
    pub fn client(&self) -> Result<Client> {
        Client::try_from(self.configured()?.0.clone()).context("cannot make a client")
    }

    /// A kubeconfig file of an administrator who comes this way.
    ///
    /// # Errors
    /// None was written.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        Ok(self.configured()?.1.clone())
    }

    /// What is sent from now on arrives this much later. The order stays, and how much fits through does not change.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.terms.send_modify(|terms| match direction {
            Direction::ToServer => terms.to_server = delay,
            Direction::ToClient => terms.to_client = delay,
        });
    }

    /// Drops all connections now, with everything under way in either direction. New ones are accepted.
    pub fn cut(&self) {
        self.terms.send_modify(|terms| terms.cuts += 1);
    }

    /// Closes new connections as soon as they are made, until [`accept`](Self::accept). Those that exist stay.
    pub fn refuse(&self) {
        self.terms.send_modify(|terms| terms.refuse = true);
    }

    /// Takes new connections again.
    pub fn accept(&self) {
        self.terms.send_modify(|terms| terms.refuse = false);
    }

    fn configured(&self) -> Result<&(Config, PathBuf)> {
        self.client.as_ref().context("the proxy has no kubeconfig")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Connections belong to this task: they end with it.
async fn accept(listener: TcpListener, server: SocketAddr, terms: watch::Receiver<Terms>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is this connection's alone, such as a client that has left already.
                let Ok((client, _)) = accepted else { continue };
                if !terms.borrow().refuse {
                    connections.spawn(connect(client, server, terms.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until either side closes it or it is cut. Dropping the sockets closes them.
async fn connect(client: TcpStream, server: SocketAddr, mut terms: watch::Receiver<Terms>) {
    let cuts = terms.borrow().cuts;
    let Ok(server) = TcpStream::connect(server).await else { return };
    // A delay is what was asked for, and no more.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = pass(from_client, to_server, terms.clone(), Direction::ToServer);
    let replies = pass(from_server, to_client, terms.clone(), Direction::ToClient);
    tokio::select! {
        _ = terms.wait_for(|now| now.cuts != cuts) => {}
        _ = async { tokio::join!(requests, replies) } => {}
    }
}

/// Passes bytes one way, each piece when its time has come.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, terms: watch::Receiver<Terms>, direction: Direction) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        // An error is an end, as on the wire.
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let delay = match direction {
                Direction::ToServer => terms.borrow().to_server,
                Direction::ToClient => terms.borrow().to_client,
            };
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The other side learns that no more comes.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
