//! Spans, sent to a collector by OTLP over gRPC. They wait in a queue that is bounded and are sent by a thread of their own,
//! so a collector that is slow, hangs or is gone costs requests nothing: what does not fit is dropped.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use ::http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
        SpanExporter as Export,
    },
};
use thiserror::Error;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::Outcome;
use crate::log_throttle::LogThrottle;

/// Most spans that wait to be sent: with what is in them, some megabytes.
const WAITING: usize = 4096;

/// How long spans wait for others, to be sent together.
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector may take for some spans. Later they are dropped.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait at the end for the last ones.
const LAST: Duration = Duration::from_secs(4);

const TRACEPARENT: &str = "traceparent";

/// Why spans can't be sent.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The collector's address is none, or asks for TLS.
    #[error("the OTLP endpoint must be a URI such as http://127.0.0.1:4317")]
    Endpoint,
    /// The share of requests is not one.
    #[error("the share of traced requests must be between 0 and 1")]
    Ratio,
    /// The exporter can't be made.
    #[error("traces can't be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// The way of spans to the collector. Clones share it.
#[derive(Clone)]
pub struct Traces(Arc<Inner>);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of a request, or what a caller said of a trace that is not sent.
#[derive(Clone, Debug)]
pub(super) struct Span {
    traces: Traces,
    context: Context,
}

/// The span of something that a request waits for.
#[derive(Debug)]
pub(super) struct ClientSpan(Context);

impl Traces {
    /// Sends the spans of this share of the requests to the collector at a URI with `http`, in the name of this service. Of
    /// a request that has a trace already, its caller has decided. Needs the runtime.
    ///
    /// # Errors
    ///
    /// As [`TracesError`] says; that nobody is there is none.
    pub fn start(endpoint: &str, ratio: f64, service: &'static str) -> Result<Self, TracesError> {
        let uri: ::http::Uri = endpoint.parse().map_err(|_| TracesError::Endpoint)?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(TracesError::Endpoint);
        }
        if !(0.0..=1.0).contains(&ratio) {
            return Err(TracesError::Ratio);
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_scheduled_delay(GATHER)
            .build();
        let exporter = Told {
            exporter,
            throttle: LogThrottle::default(),
        };
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_span_processor(
                BatchSpanProcessor::builder(exporter)
                    .with_batch_config(batches)
                    .build(),
            )
            .build();
        let tracer = provider.tracer("userbridge");
        Ok(Self(Arc::new(Inner { provider, tracer })))
    }

    /// Sends what waits, for some seconds at most.
    pub async fn stop(self) {
        let stopping = tokio::task::spawn_blocking(move || self.0.provider.shutdown_with_timeout(LAST));
        let stopped = tokio::time::timeout(LAST * 2, stopping).await;
        if !matches!(stopped, Ok(Ok(Ok(())))) {
            tracing::warn!("the last spans were not sent");
        }
    }

    /// Begins the span of a request with these headers. It gets its name when it ends.
    pub(super) fn begin(&self, headers: &HeaderMap) -> Span {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let is_left_out = parent.has_active_span() && !parent.span().span_context().is_sampled();
        let context = if is_left_out {
            parent
        } else {
            let builder = self.0.tracer.span_builder("request").with_kind(SpanKind::Server);
            let span = builder.start_with_context(&self.0.tracer, &parent);
            parent.with_span(span)
        };
        Span {
            traces: self.clone(),
            context,
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

impl Span {
    /// Tells another service of it.
    pub(super) fn inject(&self, metadata: &mut MetadataMap) {
        TraceContextPropagator::new().inject_context(&self.context, &mut Metadata(metadata));
    }

    /// None: spans of this request are not sent.
    pub(super) fn child(
        &self,
        name: &'static str,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Option<ClientSpan> {
        if !self.context.span().is_recording() {
            return None;
        }
        let tracer = &self.traces.0.tracer;
        let builder = tracer
            .span_builder(name)
            .with_kind(SpanKind::Client)
            .with_attributes(attributes());
        let span = builder.start_with_context(tracer, &self.context);
        Some(ClientSpan(self.context.with_span(span)))
    }

    pub(super) fn end(&self, outcome: &Outcome<'_>) {
        let span = self.context.span();
        if !span.is_recording() {
            return;
        }
        span.update_name(name(outcome));
        let method = ("http.request.method", outcome.method);
        let (route, status) = if outcome.protocol == "grpc" {
            ("rpc.method", "rpc.grpc.status_code")
        } else {
            span.set_attribute(KeyValue::new(method.0, method.1));
            ("http.route", "http.response.status_code")
        };
        span.set_attribute(KeyValue::new("userbridge.protocol", outcome.protocol));
        span.set_attribute(KeyValue::new(route, outcome.route.to_owned()));
        span.set_attribute(KeyValue::new(status, outcome.status.to_owned()));
        if outcome.failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// As OpenTelemetry's conventions for HTTP and for RPC name spans.
fn name(outcome: &Outcome<'_>) -> Cow<'static, str> {
    if outcome.protocol == "grpc" {
        Cow::Owned(outcome.route.to_owned())
    } else {
        Cow::Owned(format!("{} {}", outcome.method, outcome.route))
    }
}

impl ClientSpan {
    pub(super) fn end(self, failed: Option<&'static str>) {
        let span = self.0.span();
        if let Some(kind) = failed {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Only who the parent is: what vendors add in `tracestate` is a client's text.
struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key).filter(|_| key == TRACEPARENT)?;
        value.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Metadata<'m>(&'m mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (TRACEPARENT, Ok(value)) = (key, MetadataValue::try_from(value)) {
            self.0.insert(TRACEPARENT, value);
        }
    }
}

/// Sends spans, and says in the log that it can't, now and then.
#[derive(Debug)]
struct Told {
    exporter: SpanExporter,
    throttle: LogThrottle,
}

impl Export for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        if let Err(error) = &sent
            && self.throttle.is_due()
        {
            tracing::warn!(%error, "the collector of traces does not take them: some are dropped");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
