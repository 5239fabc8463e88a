//! Flags of every program that serves: what it says of itself and of its requests, and where.

use clap::Args;

use super::{AccessLog, Observer, Traces, TracesError};
use crate::log::{self, Format, InvalidLog, Logging};

#[derive(Args, Clone, Debug)]
pub struct ObserveFlags {
    /// How the log is written to stderr.
    #[arg(
        long,
        env = "USERBRIDGE_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Text
    )]
    log_format: Format,
    /// Whether the log has a line for each request, and with the client's address.
    #[arg(
        long,
        env = "USERBRIDGE_ACCESS_LOG",
        value_name = "WHAT",
        value_enum,
        default_value_t = AccessLog::Off
    )]
    access_log: AccessLog,
    /// Where spans are sent by OTLP over gRPC, such as `http://127.0.0.1:4317`. Without it no spans are made.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URI")]
    otlp_endpoint: Option<String>,
    /// The share of requests whose spans are sent, from 0 to 1. Of a request with a `traceparent` its caller has decided.
    #[arg(
        long,
        env = "USERBRIDGE_TRACE_RATIO",
        value_name = "SHARE",
        value_parser = share,
        default_value_t = 0.01
    )]
    trace_ratio: f64,
}

/// How a program observes its requests.
#[derive(Clone, Debug)]
pub struct Observing {
    pub observer: Observer,
    traces: Option<Traces>,
}

impl ObserveFlags {
    /// Begins to log.
    ///
    /// # Errors
    ///
    /// What is to be logged is not understood.
    pub fn log(&self) -> Result<Logging, InvalidLog> {
        log::init(self.log_format)
    }

    /// Begins to observe requests, in the name of this service. Needs the runtime.
    ///
    /// # Errors
    ///
    /// As [`TracesError`] says.
    pub fn start(&self, service: &'static str) -> Result<Observing, TracesError> {
        let endpoint = self
            .otlp_endpoint
            .as_deref()
            .filter(|endpoint| !endpoint.is_empty());
        let traces = endpoint
            .map(|endpoint| Traces::start(endpoint, self.trace_ratio, service))
            .transpose()?;
        Ok(Observing {
            observer: Observer::new(traces.clone(), self.access_log),
            traces,
        })
    }
}

fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or("must be from 0 to 1")
}

impl Observing {
    /// Sends the last spans, for some seconds at most.
    pub async fn stop(self) {
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_from_0_to_1() {
        assert_eq!(share("0"), Ok(0.0));
        assert_eq!(share("0.05"), Ok(0.05));
        assert_eq!(share("1"), Ok(1.0));
        for bad in ["", "-0.1", "1.1", "nan", "inf", "half"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
