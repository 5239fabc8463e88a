//! Deadlines: a call ends when its caller stops waiting, and none waits for ever. Outermost around each service.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::Map};
use http::{HeaderMap, HeaderName, Request, Response};
use tokio::time::{Timeout, error::Elapsed, timeout};
use tonic::{body::Body, server::NamedService};
use tower::Service;

use super::status;

/// At most eight digits and a unit.
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The longest that a call may take, whatever its caller says.
const LONGEST: Duration = Duration::from_secs(30);

/// How long before the caller's own clock gives up the answer is sent, so that it arrives.
const MARGIN: Duration = Duration::from_millis(2);

/// Ends calls of the service within by `grpc-timeout`, with `DEADLINE_EXCEEDED`, and completes errors that no method of
/// ours has made.
///
/// tonic's transport ends calls on sockets only, and with another code. The gateway's calls inside one process pass
/// through here like all others.
#[derive(Clone)]
pub(super) struct Deadline<S> {
    inner: S,
}

impl<S> Deadline<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: NamedService> NamedService for Deadline<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Result<Response<Body>, Infallible>;

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<Timeout<S::Future>, fn(Result<Answer, Elapsed>) -> Answer>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        timeout(time_for(request.headers()), self.inner.call(request)).map(in_time)
    }
}

fn in_time(result: Result<Answer, Elapsed>) -> Answer {
    match result {
        Ok(answer) => answer.map(status::complete),
        Err(_) => Ok(status::deadline_exceeded().into_http()),
    }
}

/// How long a call with these headers may take.
pub(super) fn time_for(headers: &HeaderMap) -> Duration {
    requested(headers).map_or(LONGEST, |asked| asked.saturating_sub(MARGIN).min(LONGEST))
}

/// What the caller says. A value that is not understood counts as absent.
fn requested(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 60 * 60)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            requested(&headers)
        };
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        for bad in ["", "S", "5", "100000000S", "+5S", "5 S", "5s"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
