//! The gateway as a program of its own, in front of a directory elsewhere.

use std::{io, net::SocketAddr, process::ExitCode};

use axum::http::Uri;
use clap::Parser;
use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use userbridge_gateway::{
    Settings, Upstream,
    cors::Cors,
    listen, log,
    program::{ServeFlags, StopSignals},
    router,
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
    /// Where browsers reach this gateway. If that is by https, the cookie of the hosted pages goes by nothing else.
    #[arg(long, env = "USERBRIDGE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<Uri>,
    #[command(flatten)]
    cors: Cors,
    #[command(flatten)]
    serve: ServeFlags,
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
    if let Err(error) = log::init() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
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
    let signals = StopSignals::listen()?;
    let addr = arguments.serve.http_addr;
    let bound = TcpListener::bind(addr).await;
    let listener = bound.map_err(|error| GatewayError::Bind(addr, error))?;
    println!("JSON on http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = arguments.serve.limits();
    let settings = Settings {
        public_url: arguments.public_url,
        cors: arguments.cors,
    };
    let routes = router(upstream, &settings);
    let mut serving = tokio::spawn(listen::serve(listener, routes, limits, async {
        // It is dropped when it is time.
        let _ = stopped.await;
    }));
    let drain = async {
        drop(stop);
        let drained = timeout(arguments.serve.drain_timeout(), &mut serving).await;
        if drained.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
        }
    };
    signals.shutdown_with(drain).await;
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
