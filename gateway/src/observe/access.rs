//! The access log: a line for each request, by tracing, so as text or as JSON like all others.

use std::time::Duration;

use clap::ValueEnum;

use super::{Outcome, Seen};

/// What the log says of each request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AccessLog {
    /// Nothing.
    #[default]
    Off,
    /// A line without the client's address.
    On,
    /// A line with the client's address.
    WithAddress,
}

impl AccessLog {
    pub(super) fn line(self, request: &Seen, took: Duration, outcome: &Outcome<'_>) {
        if self == Self::Off {
            return;
        }
        let client = request.client.filter(|_| self == Self::WithAddress);
        tracing::info!(
            target: "userbridge_gateway::access",
            request_id = request.id.as_str(),
            protocol = outcome.protocol,
            method = outcome.method,
            route = outcome.route,
            status = outcome.status,
            seconds = took.as_secs_f64(),
            bytes = outcome.bytes,
            client = client.map(|client| tracing::field::display(client.0)),
            "answered"
        );
    }
}
