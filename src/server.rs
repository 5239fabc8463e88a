//! The running server: the listeners, the directory behind them, and their end. The one place that puts the layers
//! together.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::Uri;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep,
};
use userbridge_gateway::{
    Settings, Upstream,
    cors::Cors,
    listen::{
        self, Cores, Leaving, Limits, Listener, PlainHttp, Sockets, Tls, TlsError, TlsFiles, TrustedProxies,
    },
    observe::Observer,
};

use crate::{
    admin::AdminListener,
    domain::Email,
    mail::{MailMetrics, Outbox, Stationery, Transport, warn_of_waiting},
    observe::ServerMetrics,
    rpc::{self, LARGEST_MESSAGE, Observed, Services},
    service::{CallLimits, Directory, Retries, WatchLimits},
    storage::{self, Migrate, OpenError, Storage},
    workers::Workers,
};

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// A URL that [`storage::connect`] understands.
    pub database_url: String,
    /// A replica of it that may lag behind, for lists of members. Only of PostgreSQL.
    pub replica_url: Option<String>,
    /// What to do about a database that is not there, or has an older schema.
    pub migrate: Migrate,
    /// Where to listen for gRPC; port 0 takes a free one.
    pub grpc_addr: SocketAddr,
    /// Where to listen for JSON; port 0 takes a free one.
    pub http_addr: SocketAddr,
    /// Where to listen for those who watch the server; port 0 takes a free one. None: nowhere.
    pub admin_addr: Option<SocketAddr>,
    /// What both listeners for clients show. None: they speak in the clear.
    pub tls: Option<TlsFiles>,
    /// Whose word is taken of who asks, and how.
    pub proxies: TrustedProxies,
    /// What clients can hold of each listener. Both share the places for connections.
    pub limits: Limits,
    /// Which pages of other origins may call, gRPC-Web and JSON.
    pub cors: Cors,
    /// How often keys may call, and be wrong.
    pub calls: CallLimits,
    /// How many may follow events, and how often they hear that there are none.
    pub watches: WatchLimits,
    /// How mails leave. None: they wait in the database, for another server.
    pub mail: Option<MailConfig>,
    /// Where browsers reach the gateway, for the links in mails and the cookies of pages. None: where it listens.
    pub public_url: Option<Uri>,
    /// How requests are observed.
    pub observer: Observer,
    /// How long requests are accepted as before once the server is told to stop, while health says that it is not ready.
    pub lame_duck: Duration,
    /// How long requests in flight have to finish then.
    pub drain_timeout: Duration,
}

/// How mails leave.
#[derive(Clone, Debug)]
pub struct MailConfig {
    pub transport: Transport,
    /// Whom mails are from where an organization has no sender.
    pub from: Email,
    pub retries: Retries,
    /// How long sending one mail may take.
    pub timeout: Duration,
    /// Is told the link of each mail that was sent.
    pub links: Option<mpsc::Sender<String>>,
}

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address can't be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No address is the one of a socket that was handed over.
    #[error("a socket for {0} was handed over, and no flag names that address")]
    Unwanted(SocketAddr),
    /// The machine has no thread to spare.
    #[error("cannot start threads: {0}")]
    Threads(#[source] io::Error),
    /// The database, which is named first, can't be opened.
    #[error("{0}: {1}")]
    Store(String, #[source] OpenError),
    /// The descriptors in the program are not readable.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The same.
    #[error(transparent)]
    Descriptors(#[from] prost::DecodeError),
}

/// How long a database may write down nothing of the last things, or take to close, after which it is left as it is.
const CLOSING: Duration = Duration::from_secs(10);

/// A server that answers. Stop it with [`Server::shutdown`].
pub struct Server {
    /// Where it listens for gRPC.
    pub grpc_addr: SocketAddr,
    /// Where it listens for JSON.
    pub http_addr: SocketAddr,
    /// Where it listens for those who watch it.
    pub admin_addr: Option<SocketAddr>,
    /// The directory that it serves.
    pub directory: Directory,
    services: Services,
    storage: Arc<dyn Storage>,
    stop: watch::Sender<bool>,
    /// When nobody is answered any more.
    finish: watch::Sender<bool>,
    grpc: JoinHandle<()>,
    http: JoinHandle<()>,
    maintenance: JoinHandle<()>,
    mail: JoinHandle<()>,
    admin: Option<AdminListener>,
    leaving: Leaving,
    lame_duck: Duration,
    drain_timeout: Duration,
    /// Dropped last: they serve until the end.
    _workers: Workers,
}

impl Server {
    /// Listens, opens the database and returns when requests are answered. While the database is opened and migrated,
    /// the listeners answer already: health says `NOT_SERVING`, everything else UNAVAILABLE.
    ///
    /// # Errors
    ///
    /// The first thing that does not work; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        Self::start_on(Sockets::default(), config).await
    }

    /// The same, with sockets that were handed over. Whoever connects there waits until requests are answered, or is
    /// answered by another process that has them as well.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn start_on(mut sockets: Sockets, config: Config) -> Result<Self, ServerError> {
        let tls = config.tls.map(Tls::start).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (open, opened) = watch::channel(sockets.is_empty());
        let grpc = bind(&mut sockets, config.grpc_addr).await?;
        let http = bind(&mut sockets, config.http_addr).await?;
        let grpc_addr = address(&grpc, config.grpc_addr)?;
        let http_addr = address(&http, config.http_addr)?;
        let (metrics, registry) = ServerMetrics::new(&config.observer)?;
        let services = Services::new().await;
        let admin = match config.admin_addr {
            Some(addr) => Some(admin(&mut sockets, addr, registry, services.clone()).await?),
            None => None,
        };
        if let Some(addr) = sockets.rest().next() {
            return Err(ServerError::Unwanted(addr));
        }
        let workers = Workers::for_database(&config.database_url).map_err(ServerError::Threads)?;
        let runtimes = workers.runtimes();
        let (stop, stopped) = watch::channel(false);
        let watched = |services| Observed::new(services, config.observer.clone(), metrics.calls.clone());
        let routes = rpc::with_web(watched(services.routes()?), &config.cors);
        let public_url = match &config.public_url {
            Some(url) => url.to_string().trim_end_matches('/').to_owned(),
            None => format!("{scheme}://{http_addr}"),
        };
        let settings = Settings {
            public_url: config.public_url,
            observer: config.observer.clone(),
            leaving: config.limits.leaving.clone(),
            cors: config.cors,
        };
        let leaving = config.limits.leaving.clone();
        let users = services.users(config.observer.clone(), metrics.calls.clone());
        let upstream = Upstream::in_process(watched(services.published())).with_users(users);
        let gateway = userbridge_gateway::router(upstream, &settings);
        let limits = |listener| Limits {
            counts: metrics.listeners.of(listener),
            ..config.limits.clone()
        };
        let cores = Cores::new(runtimes.clone());
        let listener = |socket, tls, plain| {
            let listener = Listener::from(socket).with_tls(tls, plain);
            listener.behind(config.proxies.clone()).on(cores.clone())
        };
        let grpc = listener(grpc, tls.clone().map(Tls::asking_clients), PlainHttp::Closed);
        let http = listener(http, tls, PlainHttp::Redirected);
        let mut grpc_limits = limits("grpc");
        grpc_limits.kept_of_body = LARGEST_MESSAGE;
        let serving = listen::serve(grpc, routes, grpc_limits, until(stopped.clone()));
        let grpc = tokio::spawn(until(opened.clone()).then(|()| serving));
        let serving = listen::serve(http, gateway, limits("http"), until(stopped.clone()));
        let http = tokio::spawn(until(opened).then(|()| serving));
        let replica_url = config.replica_url.as_deref();
        let opening = storage::connect_with(&config.database_url, replica_url, config.migrate, runtimes);
        let storage = match opening.await {
            Ok(storage) => storage,
            Err(error) => {
                grpc.abort();
                http.abort();
                return Err(ServerError::Store(storage::name(&config.database_url), error));
            }
        };
        let storage = metrics.storage(storage);
        let directory = Directory::new(storage.clone())
            .with_watch_limits(config.watches)
            .with_call_limits(config.calls);
        metrics.watch(storage.clone(), directory.clone());
        services.ready(directory.clone()).await;
        open.send_replace(true);
        let (finish, finished) = watch::channel(false);
        let maintenance = tokio::spawn(directory.clone().maintenance(until(finished)));
        let mail = tokio::spawn(deliver(
            config.mail,
            public_url,
            metrics.mails,
            directory.clone(),
            until(stopped),
        ));
        Ok(Self {
            grpc_addr,
            http_addr,
            admin_addr: admin.as_ref().map(|admin| admin.addr),
            directory,
            services,
            storage,
            stop,
            finish,
            grpc,
            http,
            maintenance,
            mail,
            admin,
            leaving,
            lame_duck: config.lame_duck,
            drain_timeout: config.drain_timeout,
            _workers: workers,
        })
    }

    /// Stops: health says `NOT_SERVING`, and once the lame-duck time is over nobody new is accepted, requests in flight are
    /// answered, accepted writes are put on disk, and mails that are being sent are sent. A connection that takes longer than the drain timeout is cut; a
    /// mail that takes longer is sent by the next server. Those who watch it are answered until the end.
    pub async fn shutdown(mut self) {
        self.leaving.set();
        self.services.leave().await;
        sleep(self.lame_duck).await;
        self.services.drain().await;
        self.stop.send_replace(true);
        let drained = async {
            let _ = (&mut self.grpc).await;
            let _ = (&mut self.http).await;
        };
        if tokio::time::timeout(self.drain_timeout, drained).await.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
            self.grpc.abort();
            self.http.abort();
        }
        // A mail server that does not answer is not waited for for ever.
        if tokio::time::timeout(self.drain_timeout, &mut self.mail)
            .await
            .is_err()
        {
            tracing::warn!("a mail was still being sent");
            self.mail.abort();
        }
        self.finish.send_replace(true);
        let commits = self.storage.commits();
        let closed = async {
            // It writes down what waits, also of the last requests, and does not fail.
            let _ = self.maintenance.await;
            self.storage.close().await;
        };
        tokio::select! {
            () = closed => {}
            () = silence(commits) => tracing::warn!("the database did not answer in time and was left as by a crash"),
        }
        drop(self.admin);
    }
}

/// Until nothing was committed for a while, or nothing more will be.
async fn silence(mut commits: watch::Receiver<u64>) {
    while let Ok(Ok(())) = tokio::time::timeout(CLOSING, commits.changed()).await {}
    if commits.has_changed().is_err() {
        // It closes.
        sleep(CLOSING).await;
    }
}

/// Sends mails until it is told to stop; where there is no way to send them, it says so while some wait.
async fn deliver(
    mail: Option<MailConfig>,
    public_url: String,
    metrics: MailMetrics,
    directory: Directory,
    stopped: impl Future<Output = ()>,
) {
    let Some(mail) = mail else {
        return warn_of_waiting(directory, stopped).await;
    };
    let outbox = Outbox {
        transport: mail.transport,
        stationery: Stationery {
            from: mail.from,
            public_url,
        },
        retries: mail.retries,
        timeout: mail.timeout,
        metrics,
        links: mail.links,
    };
    outbox.run(directory, stopped).await;
}

/// Answers those who watch the server.
async fn admin(
    sockets: &mut Sockets,
    addr: SocketAddr,
    registry: Registry,
    services: Services,
) -> Result<AdminListener, ServerError> {
    let listener = bind(sockets, addr).await?;
    AdminListener::start(listener, registry, services).map_err(|error| ServerError::Bind(addr, error))
}

async fn bind(sockets: &mut Sockets, addr: SocketAddr) -> Result<TcpListener, ServerError> {
    let listening = sockets.listen(addr).await;
    listening.map_err(|error| ServerError::Bind(addr, error))
}

/// The real one, also where a free port was asked for.
fn address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, ServerError> {
    let address = listener.local_addr();
    address.map_err(|error| ServerError::Bind(asked, error))
}

/// Waits until it is time.
async fn until(mut time: watch::Receiver<bool>) {
    // An error means that the server is gone, which is a reason to stop as well.
    let _ = time.wait_for(|is_time| *is_time).await;
}
