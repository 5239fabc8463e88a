//! Reading the body of a request: not too much of it, and not for ever.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use http_body_util::BodyExt as _;

use crate::listen::is_in_flight_limit;

/// The largest body, in bytes, of contracts that have no limit of their own.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// How much of a body that is too large, or that nobody wants, is read before the answer, so that the client is done sending and
/// reads the answer.
pub(crate) const MAX_DISCARDED: usize = 1024 * 1024;

/// How long a client may take to send its body.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It has more bytes than the reader takes.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The bodies of all clients together are too large now.
    Overloaded,
    /// The client broke off: nobody will read the answer.
    BrokenOff,
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read(body: Body, max: usize) -> Result<Vec<u8>, BodyError> {
    // What the client has announced. Of a body in chunks that is nothing.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_DISCARDED {
        return Err(BodyError::TooLarge);
    }
    tokio::time::timeout(TIMEOUT, collect(body, announced, max))
        .await
        .unwrap_or(Err(BodyError::TooSlow))
}

async fn collect(mut body: Body, expected: usize, max: usize) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::with_capacity(expected.min(max));
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_in_flight_limit(&error) {
                BodyError::Overloaded
            } else {
                BodyError::BrokenOff
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > MAX_DISCARDED {
            break;
        }
        if seen <= max {
            bytes.extend_from_slice(&data);
        }
    }
    if seen > max {
        Err(BodyError::TooLarge)
    } else {
        Ok(bytes)
    }
}
