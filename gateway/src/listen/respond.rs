//! What happens around each request of a connection.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::{Frame, SizeHint};
use tower::Service;

use super::in_flight::{Counted, Held, InFlight};

/// What is answered over HTTP when too many requests are in flight. No dialect is asked, so there is the name under which
/// each looks for a text.
const FULL: &str = r#"{"detail":"Service Unavailable","message":"Service Unavailable"}"#;

/// The service of one connection: it notes that a request has come, and counts it and the bytes of its body until it is
/// answered.
#[derive(Clone)]
pub(super) struct Requests<S> {
    inner: S,
    in_flight: InFlight,
    begun: Begun,
}

/// Whether the head of a request has come.
#[derive(Clone, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Requests<S> {
    pub(super) fn new(inner: S, in_flight: InFlight) -> Self {
        Self {
            inner,
            in_flight,
            begun: Begun::default(),
        }
    }

    pub(super) fn begun(&self) -> Begun {
        self.begun.clone()
    }
}

impl<S, B, R> Service<Request<B>> for Requests<S>
where
    S: Service<Request<Counted<B>>, Response = Response<R>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begun.0.store(true, Ordering::Relaxed);
        let Some(held) = self.in_flight.hold() else {
            let grpc = is_grpc(request.headers());
            return Box::pin(async move { Ok(if grpc { grpc_refusal() } else { refusal() }) });
        };
        let request = request.map(|body| Counted::new(body, Arc::clone(&held)));
        let answering = self.inner.call(request);
        Box::pin(async move {
            let Ok(response) = answering.await;
            Ok(response.map(|body| Answer {
                inner: Either::Left(body),
                _held: Some(held),
            }))
        })
    }
}

/// gRPC over HTTP/2, "Requests": the content type is `application/grpc`, with or without a format.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// UNAVAILABLE, in an answer that has nothing but its head.
fn grpc_refusal<R>() -> Response<Answer<R>> {
    let mut response = answer(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("14"));
    headers.insert(
        "grpc-message",
        HeaderValue::from_static("too many requests are in flight"),
    );
    response
}

fn answer<R>(body: Bytes) -> Response<Answer<R>> {
    Response::new(Answer {
        inner: Either::Right(Full::new(body)),
        _held: None,
    })
}

fn refusal<R>() -> Response<Answer<R>> {
    let mut response = answer(Bytes::from_static(FULL.as_bytes()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The body of an answer. Its request is in flight until all of it is sent.
pub(super) struct Answer<R> {
    inner: Either<R, Full<Bytes>>,
    _held: Option<Arc<Held>>,
}

impl<R: HttpBody<Data = Bytes> + Unpin> HttpBody for Answer<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match &mut self.inner {
            Either::Left(body) => Pin::new(body).poll_frame(context),
            Either::Right(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never: Infallible| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Either::Left(body) => body.is_end_stream(),
            Either::Right(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Either::Left(body) => body.size_hint(),
            Either::Right(body) => body.size_hint(),
        }
    }
}
