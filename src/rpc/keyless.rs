//! Streams that take no key and last for as long as their callers like: few at once, in all and from one address.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    TryFutureExt as _,
    future::{BoxFuture, ready},
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tonic::{body::Body, server::NamedService};
use tower::Service;
use userbridge_gateway::listen::ClientAddr;

use super::status;
use crate::service::Places;

/// Calls of one method of the service within have a place until their answer has ended. Without one they are refused with
/// `RESOURCE_EXHAUSTED`.
#[derive(Clone)]
pub(super) struct Keyless<S> {
    inner: S,
    method: &'static str,
    /// By host. None: they are not of a socket.
    places: Arc<Places<Option<IpAddr>>>,
}

impl<S> Keyless<S> {
    pub(super) const fn new(inner: S, method: &'static str, places: Arc<Places<Option<IpAddr>>>) -> Self {
        Self {
            inner,
            method,
            places,
        }
    }
}

impl<S: NamedService> NamedService for Keyless<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Keyless<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !request.uri().path().ends_with(self.method) {
            return Box::pin(self.inner.call(request));
        }
        let client: Option<&ClientAddr> = request.extensions().get();
        let Some(place) = self.places.take(client.map(|client| client.host())) else {
            return Box::pin(ready(Ok(status::overloaded().into_http())));
        };
        let answering = self.inner.call(request);
        Box::pin(answering.map_ok(|response| {
            response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &place;
                    frame
                }))
            })
        }))
    }
}
