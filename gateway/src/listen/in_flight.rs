//! Requests that are being answered, and the bytes of their bodies.

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use thiserror::Error;
use tower::BoxError;

use super::{Counts, Limits};
use crate::log_throttle::LogThrottle;

/// So much of each body is not counted, so that an honest small request is read even while others hold all there is.
/// The number of connections bounds these.
const UNCOUNTED: usize = 4 * 1024;

/// The requests of a listener that are being answered.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<All>);

#[derive(Debug)]
struct All {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    max_requests: usize,
    max_bytes: usize,
    max_bytes_per_body: usize,
    counts: Counts,
    log_throttle: LogThrottle,
}

/// One request and what it keeps, given back when it is dropped.
#[derive(Debug)]
pub(super) struct RequestPermit {
    all: Arc<All>,
    counted: AtomicUsize,
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
            bytes: AtomicUsize::new(0),
            max_requests: limits.requests,
            max_bytes: limits.in_flight,
            max_bytes_per_body: limits.kept_of_body,
            counts: limits.counts.clone(),
            log_throttle: LogThrottle::default(),
        }))
    }

    /// For one more request, of which no byte is read yet. None: there are as many as may be.
    pub(super) fn acquire(&self) -> Option<Arc<RequestPermit>> {
        let all = &self.0;
        if all.requests.fetch_add(1, Ordering::Relaxed) >= all.max_requests {
            all.requests.fetch_sub(1, Ordering::Relaxed);
            all.counts.shed.inc();
            if all.log_throttle.is_due() {
                tracing::warn!(max = all.max_requests, "too many requests: some are refused");
            }
            return None;
        }
        all.counts.requests.inc();
        Some(Arc::new(RequestPermit {
            all: Arc::clone(all),
            counted: AtomicUsize::new(0),
        }))
    }
}

impl RequestPermit {
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
        self.all
            .bytes
            .fetch_sub(*self.counted.get_mut(), Ordering::Relaxed);
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
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)) else {
            return Poll::Ready(None);
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
    use http_body_util::{BodyExt as _, Full};

    use super::*;
    use crate::listen::ConnectionLimit;

    #[tokio::test]
    async fn bodies_beyond_the_bound_are_refused_until_others_are_done_but_for_small_ones() {
        let in_flight = InFlight::new(&Limits {
            in_flight: 100_000,
            requests: 3,
            ..Limits::new(ConnectionLimit::new(1))
        });
        let read = async |bytes: usize| {
            let permit = in_flight.acquire().unwrap();
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
        let third = in_flight.acquire();
        assert!(third.is_some());
        assert!(in_flight.acquire().is_none(), "there are three requests");
        drop((small, second, third));
        assert_eq!(in_flight.0.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(in_flight.0.requests.load(Ordering::Relaxed), 0);
    }
}
