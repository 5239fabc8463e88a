//! Calls, counted by method and code, around all services: those from sockets and those of the gateway in the same process.
//! Methods come from the descriptors; a call of any other is one of `other`.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use axum::body::{Bytes, HttpBody};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;
use tonic::{Code, Status, body::Body};
use tower::Service;
use userbridge_gateway::observe::{self, DURATIONS, Observer, Outcome, REQUEST_ID, Scope};

use super::proto;

/// The method of a call that no method is for.
const OTHER: &str = "other";

/// Names of the codes, by their numbers (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What is counted of calls. Clones count the same.
#[derive(Clone)]
pub(crate) struct CallMetrics(Arc<Inner>);

struct Inner {
    calls: Family<ByCode, Counter>,
    /// By path.
    methods: HashMap<String, Arc<Method>>,
    other: Arc<Method>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMethod {
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    method: String,
    code: &'static str,
}

pub(super) struct Method {
    /// With its service, without the first slash.
    name: String,
    /// Whether it answers with a stream, whose end tells the code.
    streams: bool,
    /// By code; made when it first happens, but for OK.
    codes: [OnceLock<Counter>; CODES.len()],
    durations: Histogram,
}

impl CallMetrics {
    /// Counters that stand at zero and are shown with the rest of the registry.
    ///
    /// # Errors
    ///
    /// The descriptors that were compiled into this program are not readable.
    pub(crate) fn new(registry: &mut Registry) -> Result<Self, DecodeError> {
        let calls = Family::default();
        let durations = Family::<ByMethod, Histogram>::new_with_constructor(|| Histogram::new(DURATIONS));
        registry.register(
            "grpc_requests",
            "Calls that were answered, by method and code, those of the gateway in the same process included",
            calls.clone(),
        );
        registry.register_with_unit(
            "grpc_request_duration",
            "How long calls took; those that answer with a stream until its end",
            Unit::Seconds,
            durations.clone(),
        );
        let method = |name: String, streams| {
            let method = Method {
                durations: durations.get_or_create_owned(&ByMethod { method: name.clone() }),
                name,
                streams,
                codes: Default::default(),
            };
            let _ = method.code(&calls, Code::Ok);
            Arc::new(method)
        };
        let mut methods = HashMap::new();
        for descriptors in [proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
            for file in FileDescriptorSet::decode(descriptors)?.file {
                for service in &file.service {
                    for one in &service.method {
                        let name = format!("{}.{}/{}", file.package(), service.name(), one.name());
                        methods.insert(format!("/{name}"), method(name, one.server_streaming()));
                    }
                }
            }
        }
        let other = method(OTHER.to_owned(), false);
        Ok(Self(Arc::new(Inner {
            calls,
            methods,
            other,
        })))
    }

    /// By its path.
    pub(super) fn method(&self, path: &str) -> Arc<Method> {
        Arc::clone(self.0.methods.get(path).unwrap_or(&self.0.other))
    }
}

impl Method {
    fn code(&self, calls: &Family<ByCode, Counter>, code: Code) -> Option<&Counter> {
        let number = code as usize;
        let (slot, name) = (self.codes.get(number)?, CODES.get(number)?);
        Some(slot.get_or_init(|| {
            calls.get_or_create_owned(&ByCode {
                method: self.name.clone(),
                code: name,
            })
        }))
    }
}

/// Services whose calls are observed.
#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    observer: Observer,
    metrics: CallMetrics,
}

impl<S> Observed<S> {
    pub(crate) const fn new(inner: S, observer: Observer, metrics: CallMetrics) -> Self {
        Self {
            inner,
            observer,
            metrics,
        }
    }
}

impl<S, B> Service<Request<B>> for Observed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = self.metrics.method(request.uri().path());
        let seen = self.observer.begin(request.headers(), request.extensions());
        let call = Call::begin(method, self.metrics.clone(), seen);
        Observing {
            answering: call.scope(self.inner.call(request)),
            call: Some(call),
        }
    }
}

pin_project! {
    /// The answer of a call that is observed.
    pub(crate) struct Observing<F> {
        #[pin]
        answering: Scope<F>,
        // Until it is answered.
        call: Option<Call>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Observing<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answering.poll(context));
        let Some(mut call) = this.call.take() else {
            return Poll::Ready(Ok(response));
        };
        let id = call.request.id().header().clone();
        response.headers_mut().insert(REQUEST_ID, id);
        match code(response.headers()) {
            None if call.method.streams => {
                response = response.map(|inner| Body::new(Streaming { inner, call }));
            }
            // One message, which is encoded as it is sent.
            code => call.end(code.unwrap_or(Code::Ok), response.body().size_hint().exact()),
        }
        Poll::Ready(Ok(response))
    }
}

/// The code that headers or trailers have.
fn code(headers: &HeaderMap) -> Option<Code> {
    let code = headers.get(Status::GRPC_STATUS)?;
    Some(Code::from_bytes(code.as_bytes()))
}

/// A call until it is answered. Dropped before, its caller has gone away.
pub(super) struct Call {
    method: Arc<Method>,
    metrics: CallMetrics,
    request: observe::Request,
    ended: bool,
}

impl Call {
    pub(super) const fn begin(method: Arc<Method>, metrics: CallMetrics, request: observe::Request) -> Self {
        Self {
            method,
            metrics,
            request,
            ended: false,
        }
    }

    /// The future, in which this call is the current request.
    pub(super) fn scope<F: Future>(&self, answering: F) -> observe::Scope<F> {
        self.request.scope(answering)
    }

    /// Counts it. The size of its answer is in bytes, where that is known.
    pub(super) fn end(&mut self, code: Code, bytes: Option<u64>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.request.elapsed();
        self.method.durations.observe(took.as_secs_f64());
        if let Some(counter) = self.method.code(&self.metrics.0.calls, code) {
            counter.inc();
        }
        let failed = matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        self.request.end(
            took,
            &Outcome {
                protocol: "grpc",
                route: &self.method.name,
                method: "POST",
                status: CODES.get(code as usize).copied().unwrap_or_default(),
                failed,
                bytes,
            },
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled, None);
    }
}

/// The answer of a method that streams. What its trailers say is how the call ended.
struct Streaming {
    inner: Body,
    call: Call,
}

impl HttpBody for Streaming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(code) {
                    self.call.end(code, None);
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.end(status.code(), None),
            Poll::Ready(None) => self.call.end(Code::Ok, None),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
