//! What happens around each request of a connection.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{self, Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use futures_util::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{Either as EitherBody, Full};
use hyper::body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{BoxError, Service};

use super::{
    connection::Connection,
    forwarded::{ClientAddr, Origin},
    hosts::Host,
    in_flight::{CountedBody, InFlight, RequestPermit},
    leaving::Leaving,
    open_requests::OpenRequest,
    unread::{self, AfterBody, LentBody},
};
use crate::{probes, response};

/// The body of the 503 when too many requests are in flight. No dialect is asked, so there is the name under which
/// each looks for a text.
const FULL: &str = r#"{"detail":"Service Unavailable","message":"Service Unavailable"}"#;

/// The body of the 400 for who speaks plain HTTP where TLS is spoken.
const NEEDS_TLS: &str = r#"{"detail":"This port speaks TLS","message":"This port speaks TLS"}"#;

/// The body of the 400 for a request with more than one `Host`, which each on its way may read otherwise (RFC 9112 §3.2).
const ONE_HOST: &str = r#"{"detail":"Bad Request","message":"Bad Request"}"#;

/// The service of one connection: it notes that a request has come, and counts it and the bytes of its body until it is
/// answered.
pub(super) struct Requests<S> {
    inner: S,
    in_flight: InFlight,
    /// At the other end of the connection.
    peer: Arc<Host>,
    connection: Arc<Connection>,
    leaving: Leaving,
}

impl<S> Requests<S> {
    pub(super) const fn new(
        inner: S,
        in_flight: InFlight,
        peer: Arc<Host>,
        connection: Arc<Connection>,
        leaving: Leaving,
    ) -> Self {
        Self {
            inner,
            in_flight,
            peer,
            connection,
            leaving,
        }
    }

    /// Whose request it is: the peer's, or that of whom a trusted proxy names.
    fn host(&self, client: ClientAddr) -> Arc<Host> {
        let address = client.host();
        if address == self.peer.address {
            Arc::clone(&self.peer)
        } else {
            self.in_flight.host(address)
        }
    }
}

/// A refusal without the service.
type Refused<R> = Ready<Result<Response<CountedResponse<R>>, Infallible>>;

impl<S, B, R> hyper::service::Service<Request<B>> for Requests<S>
where
    S: Service<Request<LentBody<CountedBody<B>>>, Response = Response<R>, Error = Infallible> + Clone,
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    R: Send + 'static,
{
    type Response = Response<CountedResponse<R>>;
    type Error = Infallible;
    type Future = Either<
        Answering<AfterBody<S::Future, CountedBody<B>, R>>,
        AfterBody<Refused<R>, B, CountedResponse<R>>,
    >;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        self.connection.begin(request.version());
        if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
            let refused = response::json_text(StatusCode::BAD_REQUEST, ONE_HOST);
            return Either::Right(unread::lend(request).1.after(ready(Ok(refused))));
        }
        if self.connection.is_missing_tls() {
            let refused = needs_tls(with_tls(&request));
            return Either::Right(unread::lend(request).1.after(ready(Ok(refused))));
        }
        let client = self.connection.describe(&mut request);
        let is_probe = probes::is_probe(request.uri().path());
        let Some(permit) = self.in_flight.acquire(self.host(client), is_probe) else {
            let refused = if is_grpc(request.headers()) {
                grpc_refusal()
            } else {
                refusal()
            };
            return Either::Right(unread::lend(request).1.after(ready(Ok(refused))));
        };
        let open = OpenRequest::begin(Arc::clone(&self.connection));
        let is_last = self.leaving.is_set() && request.version() <= Version::HTTP_11;
        let request = request.map(|body| CountedBody::new(body, Arc::clone(&permit)));
        let (request, loan) = unread::lend(request);
        Either::Left(Answering {
            inner: loan.after(self.inner.clone().call(request)),
            held: Some((permit, open)),
            is_last,
        })
    }
}

pin_project! {
    /// The answer of a request that is in flight.
    pub(super) struct Answering<F> {
        #[pin]
        inner: F,
        held: Option<(Arc<RequestPermit>, OpenRequest)>,
        // Of its connection.
        is_last: bool,
    }
}

impl<F: Future<Output = Result<Response<R>, Infallible>>, R> Future for Answering<F> {
    type Output = Result<Response<CountedResponse<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = task::ready!(this.inner.poll(context));
        let mut held = this.held.take();
        if let Some((permit, open)) = &mut held {
            permit.work(false);
            if let Some(endless) = response.extensions().get() {
                open.is_endless(*endless);
            }
        }
        if *this.is_last {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(response.map(|body| CountedResponse {
            inner: EitherBody::Left(body),
            held,
        })))
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

/// The same address with `https`, for who only asks: what is more was sent in the clear already, so its sender is to notice.
fn with_tls<B>(request: &Request<B>) -> Option<HeaderValue> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let host = Origin::of(request.uri(), request.headers(), request.extensions()).host?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    HeaderValue::try_from(format!("https://{host}{path}")).ok()
}

/// For who speaks plain HTTP where TLS is spoken.
fn needs_tls<R>(location: Option<HeaderValue>) -> Response<CountedResponse<R>> {
    let Some(location) = location else {
        return response::json_text(StatusCode::BAD_REQUEST, NEEDS_TLS);
    };
    let mut response = Response::new(CountedResponse::from(""));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

impl<R> From<&'static str> for CountedResponse<R> {
    fn from(text: &'static str) -> Self {
        Self {
            inner: EitherBody::Right(Full::from(text)),
            held: None,
        }
    }
}

/// The body of a response. Its request is in flight until all of it is sent.
pub(super) struct CountedResponse<R> {
    inner: EitherBody<R, Full<Bytes>>,
    held: Option<(Arc<RequestPermit>, OpenRequest)>,
}

impl<R: HttpBody<Data = Bytes> + Unpin> HttpBody for CountedResponse<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let polled = match &mut self.inner {
            EitherBody::Left(body) => Pin::new(body).poll_frame(context),
            EitherBody::Right(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never: Infallible| match never {}),
        };
        if let Some((_, open)) = &mut self.held {
            open.is_taken(polled.is_ready());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            EitherBody::Left(body) => body.is_end_stream(),
            EitherBody::Right(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            EitherBody::Left(body) => body.size_hint(),
            EitherBody::Right(body) => body.size_hint(),
        }
    }
}
