//! Listeners of HTTP/1.1 and HTTP/2: the gateway's own, and the one for gRPC of whoever embeds it.
//!
//! What a client can hold before anybody knows who asks is bounded here: connections (`connections`), the time until a
//! request begins (a TLS handshake included) and until its answer is read (`open_requests`), streams and unread bytes of a
//! connection, requests and bytes of their bodies (`in_flight`), what is read of a body that nobody wants (`unread`).

mod after_others;
mod connection;
mod connections;
mod cores;
mod counts;
mod forwarded;
mod handshake;
mod hosts;
mod in_flight;
mod leaving;
mod malformed;
mod open_requests;
mod respond;
mod sockets;
mod tls;
mod unread;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::{Bytes, HttpBody};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::either::Either;
use tower::{BoxError, Service};

pub(crate) use self::forwarded::{Origin, X_FORWARDED_FOR};
use self::{
    after_others::AfterOthers,
    connection::{Connection, Security},
    connections::ConnectionPermit,
    cores::Place,
    forwarded::of_one_host,
    handshake::{Stream, shake_hands},
    in_flight::InFlight,
    malformed::JsonErrors,
    open_requests::Patience,
    respond::Requests,
};
use crate::log_throttle::LogThrottle;

pub use self::{
    connections::ConnectionLimit,
    cores::Cores,
    counts::{Counts, ListenerMetrics},
    forwarded::{ClientAddr, ForwardedHeader, Network, TrustedProxies},
    handshake::PlainHttp,
    in_flight::{CountedBody, is_in_flight_limit},
    leaving::Leaving,
    open_requests::Endless,
    sockets::Sockets,
    tls::{ClientIdentity, Tls, TlsError, TlsFiles, authorities},
    unread::LentBody,
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

/// Most requests that are worked on at once. As many changes may wait for the disk as 1,024: a slow one leaves 512 places to what
/// only reads.
pub const WORKING: usize = 1536;

/// How long a connection that was accepted just before the drain has for its first request, and how often to look for it.
const LAST_CHANCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// How long to wait after the machine has refused a connection for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What all clients of a listener can hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Listeners with clones of one share it.
    pub connections: ConnectionLimit,
    /// How long a new connection may take until the head of its first request is there, whatever the protocol.
    pub first_request: Duration,
    /// How long a request may take from its head to the end of its answer, unless that is [`Endless`]. Then the connection is
    /// closed, within a quarter of that time: without an answer, because who has not sent its request by then was answered before.
    pub request: Duration,
    /// How long the client of an answer that is [`Endless::WhileTaken`] may take nothing of it. Then the connection is closed, in
    /// the same way.
    pub untaken: Duration,
    /// How long a connection may be without a request. HTTP/1.1 has a minute of its own.
    pub idle: Duration,
    /// Most requests at once, until their answers are sent. One more is answered with 503, in gRPC with UNAVAILABLE; a question
    /// whether the server is well is answered all the same. Of one client, by its [`ClientAddr::host`], half as many: a proxy may
    /// stand before all.
    pub requests: usize,
    /// The same for those that are worked on: without those whose body has not come yet, and without those whose answer
    /// has begun. It keeps the time short that each has to wait for the others.
    pub working: usize,
    /// Most bytes of one request's body that the service keeps. What it reads beyond, it throws away.
    pub kept_of_body: usize,
    /// Most bytes of all bodies that are kept at once, without the first 4 KiB of each. See [`is_in_flight_limit`].
    pub in_flight: usize,
    /// What is counted of it.
    pub counts: Counts,
    /// Set before the drain.
    pub leaving: Leaving,
}

impl Limits {
    /// This limit of connections, and what fits every service: 30 s, 2 minutes, 1 minute, 5 minutes, ten thousand requests, 1,536 that are
    /// worked on, 64 KiB of a body, 64 MiB of all.
    #[must_use]
    pub fn new(connections: ConnectionLimit) -> Self {
        Self {
            connections,
            first_request: Duration::from_secs(30),
            request: Duration::from_mins(2),
            untaken: Duration::from_mins(1),
            idle: Duration::from_mins(5),
            requests: 10_000,
            working: WORKING,
            kept_of_body: 64 * 1024,
            in_flight: 64 * 1024 * 1024,
            counts: Counts::default(),
            leaving: Leaving::default(),
        }
    }
}

/// Where connections come from, and how they begin.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Option<(Tls, PlainHttp)>,
    proxies: TrustedProxies,
    cores: Option<Cores>,
}

/// In the clear, served by the runtime that accepts, and with no proxy that is trusted.
impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self {
            socket,
            tls: None,
            proxies: TrustedProxies::default(),
            cores: None,
        }
    }
}

impl Listener {
    /// The same with TLS, if there is any.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>, plain: PlainHttp) -> Self {
        let tls = tls.map(|tls| (tls, plain));
        Self { tls, ..self }
    }

    /// The same behind these.
    #[must_use]
    pub fn behind(self, proxies: TrustedProxies) -> Self {
        Self { proxies, ..self }
    }

    /// The same with connections that are served by these. None: by the runtime that accepts them.
    #[must_use]
    pub fn on(self, cores: Option<Cores>) -> Self {
        Self { cores, ..self }
    }
}

/// A connection whose first request may come.
struct Opened {
    stream: Stream,
    security: Security,
    accepted: Accepted,
}

/// A connection, whatever is spoken on it.
struct Accepted {
    peer: SocketAddr,
    permit: ConnectionPermit,
    place: Place,
    /// Until when the head of its first request must have come.
    deadline: Instant,
}

/// Serves HTTP/1.1 and HTTP/2 by a service that is always ready, as routers are, until `shutdown` ends. Then it accepts nobody, lets the requests in flight finish and
/// returns. Dropping it cuts all connections.
///
/// A request has [`ClientAddr`] as an extension, and [`ClientIdentity`] if the client has a certificate.
pub async fn serve<S, B>(
    listener: impl Into<Listener>,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<LentBody<CountedBody<Incoming>>>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Listener {
        socket,
        tls,
        proxies,
        cores,
    } = listener.into();
    let cores = cores.unwrap_or_else(Cores::here);
    let (drain, draining) = watch::channel(false);
    let mut handshakes = JoinSet::new();
    let mut tasks = JoinSet::new();
    let builder = protocol();
    let in_flight = InFlight::new(&limits);
    let patience = Patience::new(&limits);
    let throttle = LogThrottle::default();
    let refused = Arc::new(LogThrottle::default());
    let mut shutdown = pin!(shutdown);
    loop {
        let opened = tokio::select! {
            accepted = accept(&socket, &limits, &cores, &throttle) => match (accepted, &tls) {
                (Some((stream, accepted)), None) => {
                    let stream = Either::Right(stream);
                    Opened { stream, security: Security::Clear, accepted }
                }
                (Some((stream, accepted)), Some((tls, plain))) => {
                    let runtime = accepted.place.runtime().clone();
                    let shaking = handshake(stream, accepted, tls.clone(), *plain, Arc::clone(&refused));
                    handshakes.spawn_on(shaking, &runtime);
                    continue;
                }
                (None, _) => continue,
            },
            Some(ended) = handshakes.join_next() => match ended {
                Ok(Some(opened)) => opened,
                Ok(None) | Err(_) => continue,
            },
            Some(_) = tasks.join_next() => continue,
            () = &mut shutdown => break,
        };
        let Opened {
            stream,
            security,
            accepted:
                Accepted {
                    peer,
                    permit,
                    place,
                    deadline,
                },
        } = opened;
        let connection = Arc::new(Connection::new(peer.ip(), proxies.clone(), security, patience));
        let requests = Requests::new(
            service.clone(),
            in_flight.clone(),
            in_flight.host(of_one_host(peer.ip())),
            Arc::clone(&connection),
            limits.leaving.clone(),
        );
        let serving = builder
            .serve_connection(TokioIo::new(JsonErrors::new(stream)), requests)
            .into_owned();
        let open = limits.counts.opened();
        let drained = drained(draining.clone(), Arc::clone(&connection));
        let (asked, overdue) = (Arc::clone(&connection), limits.counts.overdue.clone());
        let runtime = place.runtime().clone();
        let served = Arc::clone(&connection);
        let task = async move {
            let _held = (permit, place, open);
            let mut serving = pin!(async move {
                let mut serving = pin!(serving);
                tokio::select! {
                    ended = serving.as_mut() => return ended,
                    () = drained => serving.as_mut().graceful_shutdown(),
                    () = asked.requests.overdue() => {
                        overdue.inc();
                        serving.as_mut().graceful_shutdown();
                        let ended = timeout(patience.farewell(), serving).await;
                        return ended.unwrap_or_else(|_| Err("the client has had its time".into()));
                    }
                }
                serving.await
            });
            let ended = match timeout_at(deadline, serving.as_mut()).await {
                Ok(ended) => ended,
                Err(_) if connection.has_begun() => serving.await,
                Err(_) => {
                    tracing::debug!("a connection without a request was cut");
                    return;
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended early");
            }
        };
        tasks.spawn_on(AfterOthers::new(task, served), &runtime);
    }
    drop((socket, handshakes));
    drain.send_replace(true);
    while tasks.join_next().await.is_some() {}
}

/// Waits until a connection is to end after the requests that it has: at once, unless it is new and its first one has not come.
async fn drained(mut draining: watch::Receiver<bool>, connection: Arc<Connection>) {
    // An error means that the listener is gone, and with it this task.
    let _ = draining.wait_for(|draining| *draining).await;
    let request = async {
        while !connection.has_begun() {
            sleep(LOOK).await;
        }
    };
    // Without a request by then it is one that is kept for later.
    let _ = timeout(LAST_CHANCE, request).await;
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
    socket: &TcpListener,
    limits: &Limits,
    cores: &Cores,
    throttle: &LogThrottle,
) -> Option<(TcpStream, Accepted)> {
    let (stream, peer): (TcpStream, SocketAddr) = match socket.accept().await {
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
    let accepted = Accepted {
        peer,
        permit,
        place: cores.place(),
        deadline: Instant::now() + limits.first_request,
    };
    // Without it an answer may wait for the client's acknowledgement of the one before.
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| accepted.place.settle(stream));
    match ready {
        Ok(stream) => Some((stream, accepted)),
        Err(error) => {
            tracing::debug!(%error, "a connection was gone before it began");
            None
        }
    }
}

/// None: it came to nothing.
async fn handshake(
    stream: TcpStream,
    accepted: Accepted,
    tls: Tls,
    plain: PlainHttp,
    throttle: Arc<LogThrottle>,
) -> Option<Opened> {
    match timeout_at(accepted.deadline, shake_hands(stream, tls, plain)).await {
        Ok(Ok(Some((stream, security)))) => Some(Opened {
            stream,
            security,
            accepted,
        }),
        Ok(Ok(None)) => None,
        Ok(Err(error)) => {
            if throttle.is_due() {
                tracing::info!(%error, "TLS could not be agreed on with some client");
            }
            None
        }
        Err(_) => {
            tracing::debug!("a connection without TLS was cut");
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
