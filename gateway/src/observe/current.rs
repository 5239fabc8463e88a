//! The request that a task is answering. It is found where nobody hands it on: in calls to the directory, and in what the
//! directory asks of its storage.

use std::{future::Future, net::IpAddr};

use ::http::{HeaderValue, header};
use opentelemetry::KeyValue;
use tokio::task::futures::TaskLocalFuture;

use crate::listen::{ClientAddr, X_FORWARDED_FOR};

use super::{
    Request,
    request_id::{REQUEST_ID, RequestId},
    traces::ClientSpan,
};

tokio::task_local! {
    static CURRENT: Request;
}

/// The future of a request.
pub type Scope<F> = TaskLocalFuture<Request, F>;

/// A span of something that the current request waits for.
#[derive(Debug)]
pub struct ChildSpan(ClientSpan);

pub(super) fn scope<F: Future>(request: Request, answering: F) -> Scope<F> {
    CURRENT.scope(request, answering)
}

/// The id of the current request. None: this is done for nobody.
#[must_use]
pub fn request_id() -> Option<RequestId> {
    CURRENT.try_with(|current| current.id().clone()).ok()
}

/// Names the route that the current request is for, once: a template of ours, never what a client wrote.
pub(crate) fn name_route(template: &'static str) {
    // Outside a request there is nothing to name.
    let _ = CURRENT.try_with(|current| current.0.route.set(template));
}

/// Adds the id, the span and the client of the current request to what is asked of another service. The client is an extension,
/// which a service of this process finds; see [`forwarded`].
pub(crate) fn propagate<T>(request: &mut tonic::Request<T>) {
    // Outside a request there is nothing to pass on.
    let _ = CURRENT.try_with(|Request(current)| {
        if let Some(client) = current.client {
            request.extensions_mut().insert(client);
        }
        let metadata = request.metadata_mut();
        metadata.as_mut().insert(REQUEST_ID, current.id.header().clone());
        if let Some(span) = &current.span {
            span.inject(metadata);
        }
    });
}

/// The same with the client in headers, as proxies say it, for a service behind a socket: it takes the word of proxies that it
/// trusts, and reads one of the two.
pub(crate) fn forwarded<B>(mut request: ::http::Request<B>) -> ::http::Request<B> {
    if let Some(ClientAddr(address)) = request.extensions_mut().remove() {
        let node = match address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        for (name, value) in [(X_FORWARDED_FOR, address.to_string()), (header::FORWARDED, node)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                request.headers_mut().insert(name, value);
            }
        }
    }
    request
}

/// Begins a span of something that the current request asks of another system. None, and nothing is made, unless the
/// request is one of those whose spans are sent.
#[must_use]
pub fn child(name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) -> Option<ChildSpan> {
    CURRENT
        .try_with(|current| {
            let span = current.0.span.as_ref()?;
            span.child(name, attributes).map(ChildSpan)
        })
        .ok()
        .flatten()
}

impl ChildSpan {
    /// Ends it. Dropped before, it ends as well, as one that nobody waited for.
    pub fn end(self, failed: Option<&'static str>) {
        self.0.end(failed);
    }
}
