//! What happens around each request of a connection.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::{Frame, SizeHint};
use tower::Service;

use super::{
    ClientAddr,
    in_flight::{CountedBody, InFlight, RequestPermit},
};
use crate::response;

/// The body of the 503 when too many requests are in flight. No dialect is asked, so there is the name under which
/// each looks for a text.
const FULL: &str = r#"{"detail":"Service Unavailable","message":"Service Unavailable"}"#;

/// The service of one connection: it notes that a request has come, and counts it and the bytes of its body until it is
/// answered.
#[derive(Clone)]
pub(super) struct Requests<S> {
    inner: S,
    in_flight: InFlight,
    client: ClientAddr,
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
    pub(super) fn new(inner: S, in_flight: InFlight, client: ClientAddr) -> Self {
        Self {
            inner,
            in_flight,
            client,
            begun: Begun::default(),
        }
    }

    pub(super) fn begun(&self) -> Begun {
        self.begun.clone()
    }
}

impl<S, B, R> Service<Request<B>> for Requests<S>
where
    S: Service<Request<CountedBody<B>>, Response = Response<R>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<CountedResponse<R>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begun.0.store(true, Ordering::Relaxed);
        let Some(permit) = self.in_flight.acquire() else {
            let grpc = is_grpc(request.headers());
            return Box::pin(async move { Ok(if grpc { grpc_refusal() } else { refusal() }) });
        };
        let mut request = request.map(|body| CountedBody::new(body, Arc::clone(&permit)));
        request.extensions_mut().insert(self.client);
        let answering = self.inner.call(request);
        Box::pin(async move {
            let Ok(response) = answering.await;
            Ok(response.map(|body| CountedResponse {
                inner: Either::Left(body),
                _permit: Some(permit),
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

/// UNAVAILABLE, in a response that has nothing but its head.
fn grpc_refusal<R>() -> Response<CountedResponse<R>> {
    let message = "too many requests are in flight";
    [
        (header::CONTENT_TYPE, "application/grpc"),
        (HeaderName::from_static("grpc-status"), "14"),
        (HeaderName::from_static("grpc-message"), message),
    ]
    .into_iter()
    .fold(
        Response::new(CountedResponse::from("")),
        |response, (name, value)| response::with(response, name, value),
    )
}

fn refusal<R>() -> Response<CountedResponse<R>> {
    let response = response::json_text(StatusCode::SERVICE_UNAVAILABLE, FULL);
    response::retry_after(response, Duration::from_secs(1))
}

impl<R> From<&'static str> for CountedResponse<R> {
    fn from(text: &'static str) -> Self {
        Self {
            inner: Either::Right(Full::from(text)),
            _permit: None,
        }
    }
}

/// The body of a response. Its request is in flight until all of it is sent.
pub(super) struct CountedResponse<R> {
    inner: Either<R, Full<Bytes>>,
    _permit: Option<Arc<RequestPermit>>,
}

impl<R: HttpBody<Data = Bytes> + Unpin> HttpBody for CountedResponse<R> {
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
