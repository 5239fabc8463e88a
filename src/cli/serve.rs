//! `userbridge serve`.

use std::{io::IsTerminal as _, net::SocketAddr, num::NonZeroUsize, time::Duration};

use clap::Args;
use userbridge_gateway::{
    listen::{ConnectionLimit, Limits},
    log,
    stop::Stop,
};

use super::{CliError, Global, demo, output};
use crate::{
    server::{Config, Server},
    service::WatchLimits,
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
    /// Address for JSON; port 0 takes a free one.
    #[arg(
        long,
        env = "USERBRIDGE_HTTP_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    http_addr: SocketAddr,
    /// Most connections at once, to both addresses together. One client address gets half of them.
    #[arg(
        long,
        env = "USERBRIDGE_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "4096"
    )]
    max_connections: NonZeroUsize,
    /// Seconds that requests in flight have to finish after SIGTERM. A second SIGTERM ends at once.
    #[arg(
        long,
        env = "USERBRIDGE_DRAIN_SECONDS",
        value_name = "SECONDS",
        default_value_t = 20
    )]
    drain_seconds: u64,
    /// Add a sample organization with users and a key, and print requests to paste. The data is in a temporary file,
    /// gone with the server, unless --database-url names another.
    #[arg(long)]
    demo: bool,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let filter = log::filter().map_err(|error| CliError::Usage(error.to_string()))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
        // Before anything is started, so that a signal during the start is not missed.
        let mut stop = Stop::listen()?;
        let temporary = if self.demo && global.database_url.is_none() {
            Some(tempfile::tempdir()?)
        } else {
            None
        };
        let database_url = match &temporary {
            Some(folder) => format!("sqlite:{}", folder.path().join("demo.db").display()),
            None => global.database_url().to_owned(),
        };
        let start = Server::start(Config {
            database_url,
            grpc_addr: self.grpc_addr,
            http_addr: self.http_addr,
            limits: Limits::new(ConnectionLimit::within_open_files(self.max_connections.get())),
            watches: WatchLimits::default(),
            drain_timeout: Duration::from_secs(self.drain_seconds),
        });
        let server = tokio::select! {
            server = start => server?,
            // Nothing was accepted yet, and a migration that is cut has not happened.
            () = stop.told() => return Ok(()),
        };
        let demo = if self.demo {
            Some(demo::prepare(&server.directory).await?)
        } else {
            None
        };
        announce(global, &server, demo.as_ref())?;
        stop.told().await;
        tracing::info!("stopping");
        tokio::select! {
            () = server.shutdown() => {}
            () = stop.told() => tracing::warn!("told a second time: ended at once"),
        }
        Ok(())
    }
}

/// Says where it serves. The addresses are the real ones, also where port 0 was asked for.
fn announce(global: &Global, server: &Server, demo: Option<&demo::Demo>) -> Result<(), CliError> {
    if global.json {
        return output::json(&serde_json::json!({
            "grpc_addr": server.grpc_addr,
            "http_addr": server.http_addr,
            "demo": demo,
        }));
    }
    println!("gRPC on {}", server.grpc_addr);
    println!("JSON on http://{}", server.http_addr);
    if let Some(demo) = demo {
        println!("{}", demo.instructions(server));
    }
    Ok(())
}
