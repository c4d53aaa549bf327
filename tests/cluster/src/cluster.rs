//! Both servers, and what a test asks of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::{Client, Config};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::certificates::Certificates;
use crate::faulty::Faulty;
use crate::folder::{Durability, Folder};
use crate::kubeconfig::{configuration, kubeconfig};
use crate::proxy::Proxy;
use crate::requests::Requests;
use crate::server::{Readiness, Server};
use crate::{objects, tools};

/// How a cluster is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What etcd's writes cost.
    pub durability: Durability,
}

/// An etcd and an API server with our custom resources.
pub struct Cluster {
    /// The API server.
    pub apiserver: Server,
    /// Its store.
    pub etcd: Server,
    address: SocketAddr,
    config: Config,
    certificates: Certificates,
    pub(crate) namespaces: AtomicU32,
    // Last: it goes when nobody writes there any more.
    folder: Folder,
}

impl Cluster {
    /// Starts a cluster of one's own, for tests that hurt it.
    ///
    /// # Errors
    /// A program is missing or does not start; the message says what to do.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// The same, with options.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub async fn start_with(options: Options) -> Result<Self> {
        let folder = Folder::make(options.durability)?;
        let address = free_address()?;
        let certificates = Certificates::make(folder.path(), address.ip()).context("cannot make certificates")?;
        let config = configuration(folder.path(), "admin", &format!("https://{address}"), &certificates).await?;
        let etcd = etcd(folder.path(), options.durability)?;
        let apiserver = apiserver(folder.path(), address, &certificates, &config)?;
        let namespaces = AtomicU32::new(0);
        let cluster = Self { apiserver, etcd, address, config, certificates, namespaces, folder };
        // The API server waits for etcd by itself; side by side they are ready sooner.
        cluster.etcd.spawn()?;
        cluster.apiserver.spawn()?;
        cluster.ready().await?;
        objects::install_resources(&cluster.client()?).await?;
        Ok(cluster)
    }

    /// The cluster that all tests of this program use together; the first to ask starts it. Leave its servers alone.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Waits until both servers are ready, for instance after etcd was restarted alone.
    ///
    /// # Errors
    /// One ends or does not become ready.
    pub async fn ready(&self) -> Result<()> {
        self.etcd.ready().await?;
        self.apiserver.ready().await
    }

    /// Waits until both servers rest, for at most half a minute: after its start an API server works for some seconds on the
    /// descriptions of its resources, and measurements would share the processor with that.
    ///
    /// # Errors
    /// One does not run.
    pub async fn calm(&self) -> Result<()> {
        const CALM: Duration = Duration::from_millis(50);
        let used = || Ok::<_, anyhow::Error>(self.apiserver.usage()?.cpu + self.etcd.usage()?.cpu);
        for _ in 0..30 {
            let before = used()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            if used()? - before <= CALM {
                break;
            }
        }
        Ok(())
    }

    /// A client that may do everything. It belongs to the runtime in which it is made.
    ///
    /// # Errors
    /// Its certificates cannot be read.
    pub fn client(&self) -> Result<Client> {
        Client::try_from(self.config.clone()).context("cannot make a client")
    }

    /// What that client is made from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A kubeconfig file of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig(self.folder.path(), "admin")
    }

    /// Where the API server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to the API server that can be made slow and cut. It works as long as the runtime in which it is made.
    ///
    /// # Errors
    /// No port is left.
    pub async fn proxy(&self) -> Result<Proxy> {
        let mut proxy = Proxy::start(self.address).await?;
        let name = format!("proxy-{}", proxy.address().port());
        let server = format!("https://{}", proxy.address());
        let config = configuration(self.folder.path(), &name, &server, &self.certificates).await?;
        proxy.serve_as(config, kubeconfig(self.folder.path(), &name));
        Ok(proxy)
    }

    /// A way to the API server on which requests can be made to fail. It works as long as the runtime in which it is made.
    ///
    /// # Errors
    /// No port is left.
    pub async fn faulty(&self) -> Result<Faulty> {
        let (mut faulty, address) = Faulty::start(self.client()?, self.address.ip()).await?;
        let name = format!("faulty-{}", address.port());
        configuration(self.folder.path(), &name, &format!("http://{address}"), &self.certificates).await?;
        faulty.serve_as(kubeconfig(self.folder.path(), &name));
        Ok(faulty)
    }

    /// Runs kubectl as an administrator and returns what it prints.
    ///
    /// # Errors
    /// It fails; with its own words.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.run_kubectl(arguments, "").await
    }

    /// Creates or changes the objects of a manifest (YAML), by `kubectl apply`.
    ///
    /// # Errors
    /// One is refused; with the server's words.
    pub async fn apply(&self, manifest: &str) -> Result<String> {
        self.run_kubectl(&["apply", "--filename", "-"], manifest).await
    }

    /// What the API server was asked since its start. Asking costs it some ten milliseconds: read its usage before.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn requests(&self) -> Result<Requests> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self.client()?.request_text(request).await.context("the API server does not tell its metrics")?;
        Requests::parse(&text)
    }

    async fn run_kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = Command::new(tools::program("kubectl")?)
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("--cache-dir")
            .arg(self.folder.path().join("kubectl"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start kubectl")?;
        let mut stdin = child.stdin.take().context("kubectl has no input")?;
        let (written, output) = tokio::join!(
            async {
                let result = stdin.write_all(input.as_bytes()).await;
                drop(stdin);
                result
            },
            child.wait_with_output()
        );
        let output = output.context("kubectl is lost")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`kubectl {}` failed ({}):\n{}", arguments.join(" "), output.status, said.trim_end());
        }
        written.context("kubectl did not read its input")?;
        String::from_utf8(output.stdout).context("kubectl printed something that is not UTF-8")
    }
}

/// An address on loopback that is this cluster's alone, also while its API server is down: 127.64.0.0/10 has one for every
/// process, and the port is below those that the kernel gives out by itself.
fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(16443);
    let process = std::process::id() & 0x003f_ffff;
    let ip = IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(127, 64, 0, 0).to_bits() | process));
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        // Somebody may listen there on all addresses.
        match TcpListener::bind((ip, port)) {
            Ok(listener) => return Ok(listener.local_addr()?),
            Err(error) if port > 30_000 => bail!("no port for an API server on {ip}: {error}"),
            Err(_) => {}
        }
    }
}

fn etcd(folder: &Path, durability: Durability) -> Result<Server> {
    let socket = folder.join("etcd.sock");
    let url = format!("unix://{}", socket.display());
    let mut arguments = vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={url}"),
        // Has to be a host and a port; the API server does not ask for it.
        "--advertise-client-urls=http://localhost:2379".to_owned(),
        format!("--listen-peer-urls=unix://{}", folder.join("peer.sock").display()),
        "--log-level=warn".to_owned(),
    ];
    if durability == Durability::Memory {
        arguments.push("--unsafe-no-fsync".to_owned());
    }
    Server::new("etcd", arguments, folder, Readiness::Socket(socket))
}

fn apiserver(folder: &Path, address: SocketAddr, certificates: &Certificates, config: &Config) -> Result<Server> {
    let Certificates { authority: _, server, token: _, tokens, accounts_key, accounts_public_key } = certificates;
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let mut arguments = vec![
        format!("--etcd-servers=unix://{}", folder.join("etcd.sock").display()),
        format!("--bind-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
        file("tls-cert-file", &server.certificate),
        file("tls-private-key-file", &server.key),
        file("token-auth-file", tokens),
        file("service-account-key-file", accounts_public_key),
        file("service-account-signing-key-file", accounts_key),
    ];
    let fixed = [
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
        "--authorization-mode=RBAC",
        "--anonymous-auth=false",
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged=true",
        // Nobody reaches it by way of the Service `kubernetes`. An address has to be given where there is no default
        // route, and loopback ones are refused: this one belongs to documentation.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        "--shutdown-delay-duration=0",
    ];
    arguments.extend(fixed.map(str::to_owned));
    Server::new("kube-apiserver", arguments, folder, Readiness::Api(Box::new(config.clone())))
}
