//! Reading the body of a request: not too much of it, and not for ever.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt as _;

use crate::listen::is_too_much;

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// How much of a body that is too large is read before it is refused, so that the client is done sending and reads the
/// answer.
const MAX_DISCARDED: usize = 1024 * 1024;

/// How long a client may take to send its body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no body to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It has more than 64 KiB.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The bodies of all clients together are too large now.
    NoRoom,
    /// The client broke off: nobody will read the answer.
    BrokenOff,
}

/// The whole body.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Unread> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_DISCARDED) {
        return Err(Unread::TooLarge);
    }
    tokio::time::timeout(TIMEOUT, collect(body, announced.unwrap_or_default()))
        .await
        .unwrap_or(Err(Unread::TooSlow))
}

async fn collect(mut body: Body, expected: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::with_capacity(expected.min(MAX_BODY));
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_too_much(&error) {
                Unread::NoRoom
            } else {
                Unread::BrokenOff
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > MAX_DISCARDED {
            break;
        }
        if seen <= MAX_BODY {
            bytes.extend_from_slice(&data);
        }
    }
    if seen > MAX_BODY {
        Err(Unread::TooLarge)
    } else {
        Ok(bytes)
    }
}
