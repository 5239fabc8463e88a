//! The gateway as a program of its own, in front of a directory elsewhere.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use axum::http::Uri;
use clap::{Args, Parser};
use thiserror::Error;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tonic::transport;
use userbridge_gateway::{
    Settings, Upstream, UpstreamTls,
    config_file::{self, ConfigFile, Parsed},
    cors::Cors,
    listen::{self, Listener, PlainHttp, Sockets, Tls, TlsError, authorities},
    observe::{ObserveFlags, TracesError},
    program::{ProxyFlags, ServeFlags, StopSignals, TlsFlags, outlive_file_limits},
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
    #[command(flatten)]
    upstream_tls: UpstreamFlags,
    /// Where browsers reach this gateway. If that is by https, the cookie of the hosted pages goes by nothing else.
    #[arg(long, env = "USERBRIDGE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<Uri>,
    #[command(flatten)]
    cors: Cors,
    #[command(flatten)]
    serve: ServeFlags,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    proxies: ProxyFlags,
    #[command(flatten)]
    observe: ObserveFlags,
    #[command(flatten)]
    config: ConfigFile,
}

/// What an upstream with `https` needs. These files are read at the start.
#[derive(Args)]
#[expect(clippy::struct_field_names, reason = "clap names the flags by them")]
struct UpstreamFlags {
    /// File with the authorities in PEM that certify the upstream; those of the machine otherwise.
    #[arg(long, env = "USERBRIDGE_UPSTREAM_CA", value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// File with a certificate in PEM, for an upstream that asks for one.
    #[arg(
        long,
        env = "USERBRIDGE_UPSTREAM_CERT",
        value_name = "FILE",
        requires = "upstream_key"
    )]
    upstream_cert: Option<PathBuf>,
    /// File with its private key in PEM.
    #[arg(
        long,
        env = "USERBRIDGE_UPSTREAM_KEY",
        value_name = "FILE",
        requires = "upstream_cert"
    )]
    upstream_key: Option<PathBuf>,
}

/// Why it does not serve.
#[derive(Debug, Error)]
enum GatewayError {
    #[error("--upstream must be a URI such as http://127.0.0.1:50051, not {0}")]
    Upstream(Uri),
    #[error("{0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    #[error("--upstream {0}: {1}")]
    UpstreamTls(Uri, #[source] transport::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    #[error("a socket for {0} was handed over, and --http-addr is another address")]
    Unwanted(SocketAddr),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Parsed::<Arguments> { arguments, .. } = match config_file::parse(None) {
        Ok(parsed) => parsed,
        Err(error) => {
            tell(&error);
            return ExitCode::from(2);
        }
    };
    let _logging = match arguments.observe.log() {
        Ok(logging) => logging,
        Err(error) => {
            tell(&error);
            return ExitCode::from(2);
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

/// The exit code says that there was an error, too, so that this may fail.
fn tell(error: &dyn Error) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

async fn run(arguments: Arguments) -> Result<(), GatewayError> {
    let upstream = upstream(arguments.upstream, arguments.upstream_tls)?;
    outlive_file_limits()?;
    let signals = StopSignals::listen()?;
    let observing = arguments.observe.start("userbridge-gateway")?;
    let addr = arguments.serve.http_addr;
    let mut sockets = Sockets::inherited()?;
    let bound = sockets.listen(addr).await;
    if let Some(addr) = sockets.rest().next() {
        return Err(GatewayError::Unwanted(addr));
    }
    let listener = bound.map_err(|error| GatewayError::Bind(addr, error))?;
    let tls = arguments.tls.files(None).map(Tls::start).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    // Who does not read where it serves may know it.
    let _ = writeln!(io::stdout(), "JSON on {scheme}://{}", listener.local_addr()?);
    let listener = Listener::from(listener)
        .with_tls(tls, PlainHttp::Redirected)
        .behind(arguments.proxies.proxies());
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = arguments.serve.limits();
    let settings = Settings {
        public_url: arguments.public_url,
        observer: observing.observer.clone(),
        leaving: limits.leaving.clone(),
        cors: arguments.cors,
    };
    let leaving = limits.leaving.clone();
    let routes = router(upstream, &settings);
    let mut serving = tokio::spawn(listen::serve(listener, routes, limits, async {
        // It is dropped when it is time.
        let _ = stopped.await;
    }));
    let drain = async {
        leaving.set();
        sleep(arguments.serve.lame_duck()).await;
        drop(stop);
        let drained = timeout(arguments.serve.drain_timeout(), &mut serving).await;
        if drained.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
        }
        observing.stop().await;
    };
    signals.shutdown_with(drain).await;
    serving.abort();
    Ok(())
}

fn upstream(uri: Uri, flags: UpstreamFlags) -> Result<Upstream, GatewayError> {
    match uri.scheme_str() {
        Some("http") if uri.authority().is_some() => Ok(Upstream::connect(uri)),
        Some("https") if uri.authority().is_some() => {
            let tls = UpstreamTls {
                authorities: flags.upstream_ca.as_deref().map(authorities).transpose()?,
                identity: match (flags.upstream_cert, flags.upstream_key) {
                    (Some(cert), Some(key)) => Some((read(&cert)?, read(&key)?)),
                    _ => None,
                },
            };
            let connected = Upstream::connect_over_tls(uri.clone(), tls);
            connected.map_err(|error| GatewayError::UpstreamTls(uri, error))
        }
        _ => Err(GatewayError::Upstream(uri)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GatewayError> {
    fs::read(path).map_err(|error| GatewayError::Read(path.to_owned(), error))
}
