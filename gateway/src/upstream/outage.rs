//! A directory behind a socket that does not answer, in the log: when it begins, now and then while it lasts, and when
//! it is over.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
};

use http::{Response, StatusCode};
use tonic::{Code, Status};

use crate::log_throttle::LogThrottle;

/// What is known of an outage.
#[derive(Debug)]
pub(super) struct Outage {
    /// Where the directory is.
    upstream: String,
    lasting: AtomicBool,
    lines: LogThrottle,
}

impl Outage {
    pub(super) fn new(upstream: String) -> Self {
        Self {
            upstream,
            lasting: AtomicBool::new(false),
            lines: LogThrottle::default(),
        }
    }

    /// Takes note of what came of a call.
    pub(super) fn note<B, E: Error>(&self, result: &Result<Response<B>, E>) {
        let upstream = &self.upstream;
        let cause = match result {
            Ok(response) if response.status() != StatusCode::OK => format!("HTTP {}", response.status()),
            Ok(response) if is_unavailable(response) => "UNAVAILABLE".to_owned(),
            Ok(_) => {
                if self.lasting.swap(false, Ordering::Relaxed) {
                    tracing::info!(%upstream, "the directory answers again");
                }
                return;
            }
            Err(error) => causes(error),
        };
        self.lasting.store(true, Ordering::Relaxed);
        if self.lines.is_due() {
            tracing::error!(%upstream, cause, "the directory does not answer");
        }
    }
}

fn is_unavailable<B>(response: &Response<B>) -> bool {
    let status = response.headers().get(Status::GRPC_STATUS);
    status.is_some_and(|status| Code::from_bytes(status.as_bytes()) == Code::Unavailable)
}

/// An error and what caused it, in one line.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some repeat what they wrap.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
