//! Listeners of HTTP/1.1 and HTTP/2: the gateway's own, and the one for gRPC of whoever embeds it.
//!
//! What a client can hold before anybody knows who asks is bounded here: connections (`connections`), the time until a
//! request begins, streams and unread bytes of a connection, requests and bytes of their bodies (`in_flight`).

mod connections;
mod counts;
mod in_flight;
mod malformed;
mod respond;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tower::{BoxError, Service};

use self::{connections::ConnectionPermit, in_flight::InFlight, malformed::JsonErrors, respond::Requests};
use crate::log_throttle::LogThrottle;

pub use self::{
    connections::ConnectionLimit,
    counts::{Counts, ListenerMetrics},
    in_flight::{CountedBody, is_in_flight_limit},
};

/// How long a client may take to send the head of a request that is not its first. A connection kept open between
/// requests is under it too.
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest head of a request of HTTP/1.1, in bytes.
const MAX_HEADER: usize = 32 * 1024;

/// The longest header list of a request of HTTP/2, in bytes: what gRPC's own servers take.
const MAX_HEADER_LIST: u32 = 8 * 1024;

/// Most requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 256;

/// How many bytes of a request of HTTP/2 the client may send before some were read.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The same for all requests of a connection.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How long to wait after the machine has refused a connection for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Where a request comes from: an extension of each.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddr(pub IpAddr);

/// What all clients of a listener can hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Listeners with clones of one share it.
    pub connections: ConnectionLimit,
    /// How long a new connection may take until the head of its first request is there, whatever the protocol.
    pub first_request: Duration,
    /// Most requests at once, until their answers are sent. One more is answered with 503, in gRPC with UNAVAILABLE.
    pub requests: usize,
    /// Most bytes of one request's body that the service keeps. What it reads beyond, it throws away.
    pub kept_of_body: usize,
    /// Most bytes of all bodies that are kept at once, without the first 4 KiB of each. See [`is_in_flight_limit`].
    pub in_flight: usize,
    /// What is counted of it.
    pub counts: Counts,
}

impl Limits {
    /// This limit of connections, and what fits every service: 30 s, ten thousand requests, 64 KiB of a body, 64 MiB of all.
    #[must_use]
    pub fn new(connections: ConnectionLimit) -> Self {
        Self {
            connections,
            first_request: Duration::from_secs(30),
            requests: 10_000,
            kept_of_body: 64 * 1024,
            in_flight: 64 * 1024 * 1024,
            counts: Counts::default(),
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 until `shutdown` ends. Then it accepts nobody, lets the requests in flight finish and
/// returns. Dropping it cuts all connections.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<CountedBody<Incoming>>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let connections = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let builder = protocol();
    let in_flight = InFlight::new(&limits);
    let throttle = LogThrottle::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, client, permit) = tokio::select! {
            accepted = accept(&listener, &limits, &throttle) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
            Some(_) = tasks.join_next() => continue,
            () = &mut shutdown => break,
        };
        let requests = Requests::new(service.clone(), in_flight.clone(), client);
        let begun = requests.begun();
        let connection = builder
            .serve_connection(
                TokioIo::new(JsonErrors::new(stream)),
                TowerToHyperService::new(requests),
            )
            .into_owned();
        let connection = connections.watch(connection);
        let first_request = limits.first_request;
        let open = limits.counts.opened();
        tasks.spawn(async move {
            let _held = (permit, open);
            let mut connection = pin!(connection);
            let ended = match timeout(first_request, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) if begun.is_set() => connection.await,
                Err(_) => {
                    tracing::debug!("a connection without a request was cut");
                    return;
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}

fn protocol() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// None: the next connection was refused or is gone, or none could be accepted for now.
async fn accept(
    listener: &TcpListener,
    limits: &Limits,
    throttle: &LogThrottle,
) -> Option<(TcpStream, ClientAddr, ConnectionPermit)> {
    let (stream, peer): (TcpStream, SocketAddr) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            pause(&error, throttle).await;
            return None;
        }
    };
    let Some(permit) = limits.connections.acquire(peer.ip()) else {
        limits.counts.refused.inc();
        return None;
    };
    // Without it an answer may wait for the client's acknowledgement of the one before.
    match stream.set_nodelay(true) {
        Ok(()) => Some((stream, ClientAddr(peer.ip()), permit)),
        Err(error) => {
            tracing::debug!(%error, "a connection was gone before it began");
            None
        }
    }
}

async fn pause(error: &io::Error, throttle: &LogThrottle) {
    // These concern the one connection, not the listener.
    let of_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !of_connection {
        if throttle.is_due() {
            tracing::error!(%error, "accepting connections fails");
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
