//! The gateway as a program of its own, in front of a directory elsewhere.

use std::{io::IsTerminal as _, net::SocketAddr, process::ExitCode};

use axum::http::Uri;
use clap::Parser;
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tracing_subscriber::EnvFilter;
use userbridge_gateway::{Upstream, listen, router};

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("USERBRIDGE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
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

async fn run(arguments: Arguments) -> std::io::Result<()> {
    if arguments.upstream.scheme().is_none() || arguments.upstream.authority().is_none() {
        return Err(std::io::Error::other(
            "--upstream must be a URI such as http://127.0.0.1:50051",
        ));
    }
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(arguments.http_addr).await?;
    println!("JSON on http://{}", listener.local_addr()?);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    listen::serve(listener, router(Upstream::connect(arguments.upstream)), shutdown).await;
    Ok(())
}
