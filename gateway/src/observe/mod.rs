//! What is seen of requests while they are answered: an id that goes with each, what is counted, a line in the log, and
//! spans. Of what a client wrote, nothing is in any of them but its id, if that is well-formed; requests are named by the
//! route or the method that they found.
//!
//! An [`Observer`] begins a request and ends it ([`Request`]); `http` does that around each route of the gateway, and
//! whoever serves gRPC around its methods. In between the request is the current one (`current`), so that what it asks of
//! others can pass its id and its span on.

mod access;
mod current;
mod flags;
mod http;
mod request_id;
mod traces;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use ::http::{Extensions, HeaderMap};
use prometheus_client::registry::Registry;

pub use self::{
    access::AccessLog,
    current::{ChildSpan, Scope, child, request_id},
    flags::{ObserveFlags, Observing},
    request_id::{REQUEST_ID, RequestId},
    traces::{Traces, TracesError},
};
pub(crate) use self::{
    current::{forwarded, name_route, propagate},
    http::Dialect,
};
use self::{http::HttpMetrics, traces::Span};

use crate::listen::ClientAddr;

/// Upper bounds of the durations that are told apart, in seconds. A look-up takes less than a millisecond, and no call more
/// than half a minute.
pub const DURATIONS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// How requests are observed. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    traces: Option<Traces>,
    access_log: AccessLog,
    http: HttpMetrics,
}

/// A request that is being answered. Clones are one.
#[derive(Clone, Debug)]
pub struct Request(Arc<Seen>);

/// What is known of a request.
#[derive(Debug)]
struct Seen {
    id: RequestId,
    span: Option<Span>,
    started: Instant,
    access_log: AccessLog,
    client: Option<ClientAddr>,
    /// What it turned out to be for, where the router does not know.
    route: OnceLock<&'static str>,
}

/// What a request was, and what became of it: words of ours.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'o> {
    /// A dialect, or `grpc`.
    pub protocol: &'static str,
    /// The template of a route, or the full name of a method.
    pub route: &'o str,
    /// Of HTTP.
    pub method: &'static str,
    /// The status of HTTP or the code of gRPC.
    pub status: &'o str,
    /// Whether it is the server's fault.
    pub failed: bool,
    /// Of the answer's body, where that is known.
    pub bytes: Option<u64>,
}

impl Observer {
    /// Sends spans, if there is somewhere to send them, and logs requests as it is said.
    #[must_use]
    pub fn new(traces: Option<Traces>, access_log: AccessLog) -> Self {
        Self {
            traces,
            access_log,
            http: HttpMetrics::default(),
        }
    }

    /// Shows what is counted of the gateway's requests with the rest of the registry.
    pub fn register(&self, registry: &mut Registry) {
        self.http.register(registry);
    }

    /// Begins a request, by its headers. A span is a child of the caller's, if it has one.
    #[must_use]
    pub fn begin(&self, headers: &HeaderMap, extensions: &Extensions) -> Request {
        Request(Arc::new(Seen {
            id: RequestId::of(headers),
            span: self.traces.as_ref().map(|traces| traces.begin(headers)),
            started: Instant::now(),
            access_log: self.access_log,
            client: extensions.get().copied(),
            route: OnceLock::new(),
        }))
    }

    /// Counts the requests of one dialect.
    pub(crate) fn dialect(&self, name: &'static str) -> Dialect {
        Dialect::new(name, self.clone())
    }
}

impl Request {
    /// The future, in which this request is the current one.
    pub fn scope<F: Future>(&self, answering: F) -> Scope<F> {
        current::scope(self.clone(), answering)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.0.id
    }

    /// The route that was named while it was the current one.
    fn named(&self) -> Option<&'static str> {
        self.0.route.get().copied()
    }

    /// How long it has taken until now.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Ends its span and writes its line in the log, if there are any.
    pub fn end(&self, took: Duration, outcome: &Outcome<'_>) {
        if let Some(span) = &self.0.span {
            span.end(outcome);
        }
        self.0.access_log.line(&self.0, took, outcome);
    }
}
