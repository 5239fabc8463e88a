//! The running server: the listeners, the directory behind them, and their end. The one place that puts the layers
//! together.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::Uri;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use userbridge_gateway::{
    Settings, Upstream,
    cors::Cors,
    listen::{self, Limits},
};

use crate::{
    admin::AdminListener,
    domain::Email,
    mail::{MailMetrics, Outbox, Stationery, Transport, warn_of_waiting},
    rpc::{self, LARGEST_MESSAGE, Services},
    service::{Directory, Retries, WatchLimits},
    storage::{self, Migrate, OpenError, Storage},
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
    /// What clients can hold of each listener. Both share the places for connections.
    pub limits: Limits,
    /// Which pages of other origins may call, gRPC-Web and JSON.
    pub cors: Cors,
    /// How many may follow events, and how often they hear that there are none.
    pub watches: WatchLimits,
    /// How mails leave. None: they wait in the database, for another server.
    pub mail: Option<MailConfig>,
    /// Where browsers reach the gateway, for the links in mails and the cookies of pages. None: where it listens.
    pub public_url: Option<Uri>,
    /// How long requests in flight have to finish once the server is told to stop.
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
    /// The database, which is named first, can't be opened.
    #[error("{0}: {1}")]
    Store(String, #[source] OpenError),
    /// The descriptors in the program are not readable.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
}

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
    grpc: JoinHandle<()>,
    http: JoinHandle<()>,
    maintenance: JoinHandle<()>,
    mail: JoinHandle<()>,
    admin: Option<AdminListener>,
    drain_timeout: Duration,
}

impl Server {
    /// Listens, opens the database and returns when requests are answered. While the database is opened and migrated,
    /// the listeners answer already: health says `NOT_SERVING`, everything else UNAVAILABLE.
    ///
    /// # Errors
    ///
    /// The first thing that does not work; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let grpc = bind(config.grpc_addr).await?;
        let http = bind(config.http_addr).await?;
        let grpc_addr = grpc
            .local_addr()
            .map_err(|error| ServerError::Bind(config.grpc_addr, error))?;
        let http_addr = http
            .local_addr()
            .map_err(|error| ServerError::Bind(config.http_addr, error))?;
        let mut registry = Registry::with_prefix("userbridge");
        let metrics = MailMetrics::new(&mut registry);
        let admin = match config.admin_addr {
            Some(addr) => {
                let started = AdminListener::start(addr, registry).await;
                Some(started.map_err(|error| ServerError::Bind(addr, error))?)
            }
            None => None,
        };
        let services = Services::new().await;
        let (stop, stopped) = watch::channel(false);
        let routes = rpc::with_web(services.routes()?, &config.cors);
        let public_url = config.public_url.as_ref().map_or_else(
            || format!("http://{http_addr}"),
            |url| url.to_string().trim_end_matches('/').to_owned(),
        );
        let settings = Settings {
            public_url: config.public_url,
            cors: config.cors,
        };
        let gateway = userbridge_gateway::router(Upstream::in_process(services.published()), &settings);
        let grpc_limits = Limits {
            kept_of_body: LARGEST_MESSAGE,
            ..config.limits.clone()
        };
        let grpc = tokio::spawn(listen::serve(
            grpc,
            routes,
            grpc_limits,
            until_stopped(stopped.clone()),
        ));
        let http = tokio::spawn(listen::serve(
            http,
            gateway,
            config.limits,
            until_stopped(stopped.clone()),
        ));
        let replica_url = config.replica_url.as_deref();
        let storage = match storage::connect_with(&config.database_url, replica_url, config.migrate).await {
            Ok(storage) => storage,
            Err(error) => {
                grpc.abort();
                http.abort();
                return Err(ServerError::Store(storage::name(&config.database_url), error));
            }
        };
        let directory = Directory::new(storage.clone()).with_watch_limits(config.watches);
        services.ready(directory.clone()).await;
        let maintenance = tokio::spawn(directory.clone().maintenance(until_stopped(stopped.clone())));
        let mail = match config.mail {
            Some(mail) => {
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
                tokio::spawn(outbox.run(directory.clone(), until_stopped(stopped)))
            }
            None => tokio::spawn(warn_of_waiting(directory.clone(), until_stopped(stopped))),
        };
        let drain_timeout = config.drain_timeout;
        Ok(Self {
            grpc_addr,
            http_addr,
            admin_addr: admin.as_ref().map(|admin| admin.addr),
            directory,
            services,
            storage,
            stop,
            grpc,
            http,
            maintenance,
            mail,
            admin,
            drain_timeout,
        })
    }

    /// Stops: health says `NOT_SERVING`, nobody new is accepted, requests in flight are answered, accepted writes are
    /// put on disk, and mails that are being sent are sent. A connection that takes longer than the drain timeout is cut; a
    /// mail that takes longer is sent by the next server. Those who watch it are answered until the end.
    pub async fn shutdown(mut self) {
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
        // It writes down what waits, and does not fail.
        let _ = self.maintenance.await;
        self.storage.close().await;
        drop(self.admin);
    }
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| ServerError::Bind(addr, error))
}

async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error means that the server is gone, which is a reason to stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
