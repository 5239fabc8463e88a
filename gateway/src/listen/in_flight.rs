//! Requests that are being answered, and the bytes of their bodies.

use std::{
    error::Error,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use thiserror::Error;
use tower::BoxError;

use super::{
    Counts, Limits,
    hosts::{Host, Hosts},
};
use crate::log_throttle::LogThrottle;

/// So much of each body is not counted, so that an honest small request is read even while others hold all there is.
/// The number of connections bounds these.
const UNCOUNTED: usize = 4 * 1024;

/// So many questions whether the server is well are answered beyond the most requests.
const PROBES: usize = 64;

/// The requests of a listener that are being answered.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<All>);

#[derive(Debug)]
struct All {
    requests: AtomicUsize,
    working: AtomicUsize,
    bytes: AtomicUsize,
    hosts: Hosts,
    max_requests: usize,
    max_requests_per_host: usize,
    max_working: usize,
    max_bytes: usize,
    max_bytes_per_body: usize,
    counts: Counts,
    log_throttle: LogThrottle,
}

/// One request and what it keeps, given back when it is dropped.
#[derive(Debug)]
pub(super) struct RequestPermit {
    all: Arc<All>,
    host: Arc<Host>,
    counted: AtomicUsize,
    /// It is one of those that are worked on.
    working: AtomicBool,
}

/// A body whose bytes are counted as they come.
#[derive(Debug)]
pub struct CountedBody<B> {
    inner: B,
    read: usize,
    permit: Arc<RequestPermit>,
}

#[derive(Debug, Error)]
#[error("too many bytes are in flight")]
struct InFlightLimit;

/// Whether a body could not be read because those of all clients together have too many bytes. This passes.
#[must_use]
pub fn is_in_flight_limit(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<InFlightLimit>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl InFlight {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(All {
            requests: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            hosts: Hosts::default(),
            max_requests: limits.requests,
            max_requests_per_host: limits.requests.div_ceil(2),
            max_working: limits.working,
            max_bytes: limits.in_flight,
            max_bytes_per_body: limits.kept_of_body,
            counts: limits.counts.clone(),
            log_throttle: LogThrottle::default(),
        }))
    }

    /// Whose requests are counted together, of an address that stands for one host.
    pub(super) fn host(&self, address: IpAddr) -> Arc<Host> {
        self.0.hosts.of(address)
    }

    /// For one more request of this host, of which no byte of the body is read yet. None: there are as many as may be, in total or
    /// of this host, which gets half of them.
    pub(super) fn acquire(&self, host: Arc<Host>, is_probe: bool) -> Option<Arc<RequestPermit>> {
        let all = &self.0;
        let beyond = if is_probe { PROBES } else { 0 };
        let requests = all.requests.fetch_add(1, Ordering::Relaxed);
        let of_host = host.requests.fetch_add(1, Ordering::Relaxed);
        let working = all.working.fetch_add(1, Ordering::Relaxed);
        let busy = !is_probe && working >= all.max_working;
        let full = requests >= all.max_requests + beyond || of_host >= all.max_requests_per_host + beyond;
        if busy || full {
            host.requests.fetch_sub(1, Ordering::Relaxed);
            all.requests.fetch_sub(1, Ordering::Relaxed);
            all.working.fetch_sub(1, Ordering::Relaxed);
            all.counts.shed.inc();
            if all.log_throttle.is_due() {
                tracing::warn!(address = %host.address, of_address = of_host, requests, working, "too many requests: some are refused");
            }
            return None;
        }
        all.counts.requests.inc();
        Some(Arc::new(RequestPermit {
            all: Arc::clone(all),
            host,
            counted: AtomicUsize::new(0),
            working: AtomicBool::new(true),
        }))
    }
}

impl RequestPermit {
    /// Whether it is worked on from now on, or somebody else has to do something first.
    pub(super) fn work(&self, works: bool) {
        if self.working.load(Ordering::Relaxed) == works {
            return;
        }
        if self.working.swap(works, Ordering::Relaxed) != works {
            if works {
                self.all.working.fetch_add(1, Ordering::Relaxed);
            } else {
                self.all.working.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts a body of which so many bytes were read until now.
    fn count(&self, bytes: usize) -> Result<(), InFlightLimit> {
        let all = &self.all;
        let counted = bytes.min(all.max_bytes_per_body).saturating_sub(UNCOUNTED);
        let more = counted.saturating_sub(self.counted.load(Ordering::Relaxed));
        if more == 0 {
            return Ok(());
        }
        if all.bytes.fetch_add(more, Ordering::Relaxed) + more > all.max_bytes {
            all.bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(InFlightLimit);
        }
        self.counted.store(counted, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.work(false);
        self.all
            .bytes
            .fetch_sub(*self.counted.get_mut(), Ordering::Relaxed);
        self.host.requests.fetch_sub(1, Ordering::Relaxed);
        self.all.requests.fetch_sub(1, Ordering::Relaxed);
        self.all.counts.requests.dec();
    }
}

impl<B> CountedBody<B> {
    pub(super) const fn new(inner: B, permit: Arc<RequestPermit>) -> Self {
        Self {
            inner,
            read: 0,
            permit,
        }
    }
}

impl<B> HttpBody for CountedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        self.permit.work(polled.is_ready());
        let frame = match polled {
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let frame = frame.map_err(Into::into)?;
        if let Some(data) = frame.data_ref() {
            self.read += data.len();
            self.permit.count(self.read)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::poll_fn;
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use tokio::sync::mpsc;

    use super::*;
    use crate::listen::ConnectionLimit;

    fn take(in_flight: &InFlight, host: &str, is_probe: bool) -> Option<Arc<RequestPermit>> {
        in_flight.acquire(in_flight.host(host.parse().unwrap()), is_probe)
    }

    #[tokio::test]
    async fn bodies_beyond_the_bound_are_refused_until_others_are_done_but_for_small_ones() {
        let in_flight = InFlight::new(&Limits {
            in_flight: 100_000,
            requests: 6,
            ..Limits::new(ConnectionLimit::new(1))
        });
        let read = async |bytes: usize| {
            let permit = take(&in_flight, "192.0.2.1", false).unwrap();
            let body = Full::new(Bytes::from(vec![b'x'; bytes]));
            let read = CountedBody::new(body, Arc::clone(&permit)).collect().await;
            read.map(|_| permit)
        };
        // More than a service keeps counts as what it keeps.
        let first = read(1_000_000).await.unwrap();
        let refused = read(64 * 1024).await.unwrap_err();
        assert!(is_in_flight_limit(&*refused));
        let small = read(UNCOUNTED).await.unwrap();
        drop(first);
        let second = read(64 * 1024).await.unwrap();
        let third = take(&in_flight, "192.0.2.1", false);
        assert!(third.is_some());
        assert!(
            take(&in_flight, "192.0.2.1", false).is_none(),
            "one host has half"
        );
        assert!(
            take(&in_flight, "192.0.2.1", true).is_some(),
            "and one that asks how it goes"
        );
        let others = ["192.0.2.2", "192.0.2.2", "192.0.2.3"].map(|host| take(&in_flight, host, false));
        assert!(others.iter().all(Option::is_some));
        assert!(take(&in_flight, "192.0.2.4", false).is_none(), "all are taken");
        assert!(take(&in_flight, "192.0.2.4", true).is_some());
        drop((small, second, third, others));
        assert_eq!(in_flight.0.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(in_flight.0.requests.load(Ordering::Relaxed), 0);
        assert_eq!(in_flight.0.working.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn who_waits_for_its_client_is_not_worked_on() {
        let in_flight = InFlight::new(&Limits {
            working: 1,
            ..Limits::new(ConnectionLimit::new(1))
        });
        let acquire = || take(&in_flight, "192.0.2.1", false);
        let permit = acquire().unwrap();
        assert!(acquire().is_none());
        let (sender, mut frames) = mpsc::channel::<Result<Frame<Bytes>, BoxError>>(1);
        let frames = poll_fn(move |context| frames.poll_recv(context));
        let mut body = CountedBody::new(StreamBody::new(frames), Arc::clone(&permit));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        let other = acquire();
        assert!(other.is_some(), "nothing of the body has come");
        drop((other, sender));
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
        assert!(acquire().is_none(), "all of it has come");
        permit.work(false);
        assert!(acquire().is_some(), "its answer has begun");
    }
}
