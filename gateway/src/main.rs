//! The gateway as a program of its own, in front of a directory elsewhere.

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    num::NonZeroUsize,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use axum::http::Uri;
use clap::Parser;
use thiserror::Error;
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use userbridge_gateway::{
    Upstream,
    listen::{self, ConnectionLimit, Limits},
    log, router,
    stop::Stop,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves the JSON contracts and passes each call on to a Userbridge directory over gRPC.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The directory's gRPC address.
    #[arg(
        long,
        env = "USERBRIDGE_UPSTREAM",
        value_name = "URI",
        default_value = "http://127.0.0.1:50051"
    )]
    upstream: Uri,
    /// Address to serve JSON on; port 0 takes a free one.
    #[arg(
        long,
        env = "USERBRIDGE_HTTP_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    http_addr: SocketAddr,
    /// Most connections at once. One address gets half of them.
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
}

/// Why it does not serve.
#[derive(Debug, Error)]
enum GatewayError {
    #[error("--upstream must be a URI such as http://127.0.0.1:50051, not {0}")]
    Upstream(Uri),
    #[error("--upstream {0}: TLS is not supported, only http://")]
    UpstreamTls(Uri),
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = match log::filter() {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), GatewayError> {
    let upstream = Upstream::connect(plain(arguments.upstream)?);
    let mut stop = Stop::listen()?;
    let addr = arguments.http_addr;
    let bound = TcpListener::bind(addr).await;
    let listener = bound.map_err(|error| GatewayError::Bind(addr, error))?;
    println!("JSON on http://{}", listener.local_addr()?);
    let limits = Limits::new(ConnectionLimit::within_open_files(
        arguments.max_connections.get(),
    ));
    let stopping = Arc::new(Notify::new());
    let stopped = Arc::clone(&stopping);
    let serving = listen::serve(listener, router(upstream), limits, async move {
        stopped.notified().await;
    });
    let mut serving = tokio::spawn(serving);
    stop.told().await;
    tracing::info!("stopping");
    stopping.notify_one();
    let drain = Duration::from_secs(arguments.drain_seconds);
    tokio::select! {
        drained = timeout(drain, &mut serving) => if drained.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
        },
        () = stop.told() => tracing::warn!("told a second time: ended at once"),
    }
    serving.abort();
    Ok(())
}

/// An upstream that can be reached: TLS is not there yet.
fn plain(upstream: Uri) -> Result<Uri, GatewayError> {
    match upstream.scheme_str() {
        Some("http") if upstream.authority().is_some() => Ok(upstream),
        Some("https") => Err(GatewayError::UpstreamTls(upstream)),
        _ => Err(GatewayError::Upstream(upstream)),
    }
}
