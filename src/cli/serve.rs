//! `userbridge serve`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, builder::BoolishValueParser};
use tokio::sync::mpsc;
use userbridge_gateway::{
    cors::Cors,
    listen::Sockets,
    observe::ObserveFlags,
    program::{ProxyFlags, ServeFlags, StopSignals, TlsFlags},
};

use super::{CliError, Global, call_flags::CallFlags, demo, mail_flags::MailFlags, output};
use crate::{
    server::{Config, Server},
    service::WatchLimits,
    storage::{self, Migrate, schema_version},
};

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Address for gRPC; port 0 takes a free one.
    #[arg(
        long,
        env = "USERBRIDGE_GRPC_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:50051"
    )]
    grpc_addr: SocketAddr,
    /// Address for those who watch the server: GET /metrics, as Prometheus reads it; port 0 takes a free one. Whoever
    /// reaches it is answered. Without it there is none.
    #[arg(long, env = "USERBRIDGE_ADMIN_ADDR", value_name = "ADDR")]
    admin_addr: Option<SocketAddr>,
    /// A replica of the PostgreSQL database, which may lag behind: lists of members are read from it, and nothing else.
    #[arg(
        long,
        env = "USERBRIDGE_DATABASE_REPLICA_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_replica_url: Option<String>,
    /// Refuse a database that is not there or has an older schema: `userbridge migrate` has brought it up to date before.
    #[arg(long, env = "USERBRIDGE_NO_MIGRATE", value_parser = BoolishValueParser::new())]
    no_migrate: bool,
    #[command(flatten)]
    http: ServeFlags,
    #[command(flatten)]
    tls: TlsFlags,
    /// File with authorities in PEM: gRPC takes only clients with a certificate of theirs, beside their key. The event log
    /// names them. It is read again as the certificate is.
    #[arg(
        long,
        env = "USERBRIDGE_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_client_ca: Option<PathBuf>,
    #[command(flatten)]
    proxies: ProxyFlags,
    #[command(flatten)]
    cors: Cors,
    #[command(flatten)]
    calls: CallFlags,
    #[command(flatten)]
    mail: MailFlags,
    #[command(flatten)]
    observe: ObserveFlags,
    /// Add a sample organization with users and a key, and print requests to paste. The data is in a temporary file,
    /// gone with the server, unless --database-url names another. Not over TLS.
    #[arg(long, conflicts_with = "tls_cert")]
    demo: bool,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let _logging = self
            .observe
            .log()
            .map_err(|error| CliError::Usage(error.to_string()))?;
        let observing = self
            .observe
            .start("userbridge")
            .map_err(|error| CliError::Usage(error.to_string()))?;
        // Before anything is started, so that a signal during the start is not missed.
        let mut signals = StopSignals::listen()?;
        let temporary = if self.demo && global.database_url.is_none() {
            Some(tempfile::tempdir()?)
        } else {
            None
        };
        // For the mail of the sample organization, unless it is said where mails go.
        let mail_folder = if self.demo {
            Some(tempfile::tempdir()?)
        } else {
            None
        };
        let public_url = self.mail.public_url.clone();
        let reading = async {
            let database_url = match &temporary {
                Some(folder) => format!("sqlite:{}", folder.path().join("demo.db").display()),
                None => global.database_url().await?,
            };
            let folder = mail_folder.as_ref().map(|folder| folder.path().to_owned());
            let mail = self.mail.config(folder).await?;
            Ok::<_, CliError>((database_url, mail))
        };
        let (database_url, mut mail) = tokio::select! {
            read = reading => read?,
            // The other side of a pipe may never say anything.
            () = signals.recv() => return Ok(()),
        };
        let (links, sent) = mpsc::channel(1);
        if let Some(mail) = mail.as_mut().filter(|_| self.demo) {
            mail.links = Some(links);
        }
        let database = storage::name(&database_url);
        let tls = self.tls.files(self.tls_client_ca);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let config = Config {
            database_url,
            replica_url: self.database_replica_url,
            migrate: if self.no_migrate {
                Migrate::Never
            } else {
                Migrate::Always
            },
            grpc_addr: self.grpc_addr,
            http_addr: self.http.http_addr,
            admin_addr: self.admin_addr,
            tls,
            proxies: self.proxies.proxies(),
            limits: self.http.limits(),
            cors: self.cors,
            calls: self.calls.limits(),
            watches: WatchLimits::default(),
            mail,
            public_url,
            observer: observing.observer.clone(),
            lame_duck: self.http.lame_duck(),
            drain_timeout: self.http.drain_timeout(),
        };
        let start = Server::start_on(Sockets::inherited()?, config);
        let server = tokio::select! {
            server = start => server?,
            // Nothing was accepted yet, and a migration that is cut has not happened.
            () = signals.recv() => return Ok(()),
        };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            database,
            schema = schema_version(),
            grpc_addr = %server.grpc_addr,
            http_addr = %server.http_addr,
            admin_addr = server.admin_addr.map(tracing::field::display),
            "serving"
        );
        let demo = if self.demo {
            Some(demo::prepare(&server.directory).await?)
        } else {
            None
        };
        // Who does not read where it serves may know it.
        let _ = announce(global, &server, scheme, demo.as_ref());
        if self.demo && !global.json {
            tokio::spawn(demo::tell_link(sent));
        }
        let shutdown = async {
            server.shutdown().await;
            observing.stop().await;
        };
        signals.shutdown_with(shutdown).await;
        Ok(())
    }
}

/// Prints the addresses: the real ones, also where port 0 was asked for.
fn announce(
    global: &Global,
    server: &Server,
    scheme: &str,
    demo: Option<&demo::Demo>,
) -> Result<(), CliError> {
    if global.json {
        return output::json(&serde_json::json!({
            "grpc_addr": server.grpc_addr,
            "http_addr": server.http_addr,
            "admin_addr": server.admin_addr,
            "demo": demo,
        }));
    }
    output::line(format_args!("gRPC on {}", server.grpc_addr))?;
    output::line(format_args!("JSON on {scheme}://{}", server.http_addr))?;
    if let Some(addr) = server.admin_addr {
        output::line(format_args!("metrics on http://{addr}/metrics"))?;
    }
    if let Some(demo) = demo {
        output::line(demo.instructions(server))?;
    }
    Ok(())
}
