//! What happens around each request of a connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::Request;
use tower::Service;

use super::in_flight::{Counted, Held, InFlight};

/// The service of one connection: it notes that a request has come, and counts the bytes of bodies.
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

impl<S, B> Service<Request<B>> for Requests<S>
where
    S: Service<Request<Counted<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Responding<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begun.0.store(true, Ordering::Relaxed);
        let held = self.in_flight.hold();
        let request = request.map(|body| Counted::new(body, Arc::clone(&held)));
        Responding {
            inner: Box::pin(self.inner.call(request)),
            _held: held,
        }
    }
}

/// The answer to a request, which keeps its body until there is one.
pub(super) struct Responding<F> {
    inner: Pin<Box<F>>,
    _held: Arc<Held>,
}

impl<F: Future> Future for Responding<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.inner.as_mut().poll(context)
    }
}
