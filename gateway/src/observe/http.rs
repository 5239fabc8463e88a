//! The requests of the gateway, counted by dialect, route, method and class of status. A route is the template that the
//! router or the dialect found, so there are no more of them than the program has.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use ::http::Method;
use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use hyper::body::Body as _;
use pin_project_lite::pin_project;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tower::{Layer, Service};

use super::{DURATIONS, Observer, Outcome, REQUEST_ID, Scope};

/// The route of what no route is for.
const OTHER: &str = "other";

/// The methods that are told apart. The last stands for all others.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER];

/// Classes of status; the last is of requests whose client went away before the answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];

const ABORTED: usize = CLASSES.len() - 1;

/// What is counted of all requests.
#[derive(Clone, Debug)]
pub(super) struct HttpMetrics {
    requests: Family<ByStatus, Counter>,
    durations: Family<ByRoute, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    dialect: &'static str,
    route: String,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    dialect: &'static str,
    route: String,
    method: &'static str,
    status: &'static str,
}

/// The requests of one dialect. A layer for its routes.
#[derive(Clone, Debug)]
pub(crate) struct Dialect(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    observer: Observer,
    routes: RwLock<HashMap<String, Arc<Route>>>,
}

/// One route of a dialect.
#[derive(Debug, Default)]
struct Route {
    template: String,
    methods: [OnceLock<Counted>; METHODS.len()],
}

#[derive(Debug)]
struct Counted {
    requests: [Counter; CLASSES.len()],
    durations: Histogram,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
        }
    }
}

impl HttpMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests to the JSON gateway, by dialect, route, method and class of status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long requests to the JSON gateway took, from their head to that of their answer",
            Unit::Seconds,
            self.durations.clone(),
        );
    }

    /// What never happened is zero, and not absent, from the first request of the route on.
    fn of(&self, dialect: &'static str, route: &str, method: &'static str) -> Counted {
        Counted {
            requests: CLASSES.map(|status| {
                self.requests.get_or_create_owned(&ByStatus {
                    dialect,
                    route: route.to_owned(),
                    method,
                    status,
                })
            }),
            durations: self.durations.get_or_create_owned(&ByRoute {
                dialect,
                route: route.to_owned(),
                method,
            }),
        }
    }
}

impl Dialect {
    pub(super) fn new(name: &'static str, observer: Observer) -> Self {
        Self(Arc::new(Inner {
            name,
            observer,
            routes: RwLock::default(),
        }))
    }

    fn route(&self, template: &str) -> Arc<Route> {
        let routes = &self.0.routes;
        // A thread that panicked while it held the map left it whole.
        let known = routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(template) {
            return Arc::clone(route);
        }
        drop(known);
        let mut known = routes.write().unwrap_or_else(PoisonError::into_inner);
        let route = known.entry(template.to_owned()).or_insert_with(|| {
            Arc::new(Route {
                template: template.to_owned(),
                ..Route::default()
            })
        });
        Arc::clone(route)
    }

    fn count(&self, route: &Route, method: usize, class: usize, took: Duration) {
        let (Some(slot), Some(name)) = (route.methods.get(method), METHODS.get(method)) else {
            return;
        };
        let counted = slot.get_or_init(|| self.0.observer.http.of(self.0.name, &route.template, name));
        if let Some(requests) = counted.requests.get(class) {
            requests.inc();
        }
        counted.durations.observe(took.as_secs_f64());
    }
}

fn method_of(method: &Method) -> usize {
    let known = METHODS.iter().position(|name| *name == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

impl<S> Layer<S> for Dialect {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            endpoint: Arc::new(Endpoint {
                dialect: self.clone(),
                route: OnceLock::new(),
            }),
        }
    }
}

/// A service whose requests are observed. The router has one for each method of a route, and one for what is no route.
#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    endpoint: Arc<Endpoint>,
}

/// What all requests of one service of the router have in common. The first one tells the route.
struct Endpoint {
    dialect: Dialect,
    route: OnceLock<Arc<Route>>,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let dialect = &self.endpoint.dialect;
        let observed = dialect.0.observer.begin(request.headers(), request.extensions());
        self.endpoint.route.get_or_init(|| {
            let matched = request.extensions().get::<MatchedPath>();
            dialect.route(matched.map_or(OTHER, MatchedPath::as_str))
        });
        let method = method_of(request.method());
        Observing {
            answering: observed.scope(self.inner.call(request)),
            request: Answering {
                endpoint: Arc::clone(&self.endpoint),
                method,
                request: observed,
                answered: false,
            },
        }
    }
}

pin_project! {
    /// The answer of a request that is observed.
    pub(crate) struct Observing<F> {
        #[pin]
        answering: Scope<F>,
        request: Answering,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Observing<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.answering.poll(context))?;
        this.request.answered(&mut response);
        Poll::Ready(Ok(response))
    }
}

/// A request until it is answered. Dropped before, its client has gone away.
struct Answering {
    endpoint: Arc<Endpoint>,
    method: usize,
    request: super::Request,
    answered: bool,
}

impl Answering {
    fn answered(&mut self, response: &mut Response) {
        self.answered = true;
        let id = self.request.id().header().clone();
        response.headers_mut().insert(REQUEST_ID, id);
        let status = response.status();
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        self.end(
            class.min(ABORTED),
            status.as_str(),
            response.body().size_hint().exact(),
        );
    }

    fn end(&self, class: usize, status: &str, bytes: Option<u64>) {
        let took = self.request.elapsed();
        let dialect = &self.endpoint.dialect;
        // Of one that was not answered it may not be known.
        let named = self.request.named().filter(|_| self.answered);
        let named = named.map(|template| dialect.route(template));
        let Some(route) = named.as_ref().or_else(|| self.endpoint.route.get()) else {
            return;
        };
        dialect.count(route, self.method, class, took);
        self.request.end(
            took,
            &Outcome {
                protocol: dialect.0.name,
                route: &route.template,
                method: METHODS.get(self.method).copied().unwrap_or(OTHER),
                status,
                failed: CLASSES.get(class) == Some(&"5xx"),
                bytes,
            },
        );
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.answered {
            self.end(ABORTED, CLASSES[ABORTED], None);
        }
    }
}
