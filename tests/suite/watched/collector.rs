//! A collector of spans: a real server of the OTLP protocol.

use std::{net::SocketAddr, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// Long enough for anything that comes at all.
const NEVER: Duration = Duration::from_secs(30);

/// All that was received.
pub(super) struct Collector {
    pub(super) addr: SocketAddr,
    received: watch::Receiver<Vec<Span>>,
}

struct Service(watch::Sender<Vec<Span>>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans;
        let spans = spans.into_iter().flat_map(|resource| resource.scope_spans);
        let spans: Vec<_> = spans.flat_map(|scope| scope.spans).collect();
        self.0.send_modify(|received| received.extend(spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, received) = watch::channel(Vec::new());
        let server = Server::builder().add_service(TraceServiceServer::new(Service(sender)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { addr, received }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans, once these are enough.
    pub(super) async fn spans(&mut self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let waiting = self.received.wait_for(|spans| enough(spans));
        let spans = timeout(NEVER, waiting).await.expect("spans come");
        spans.unwrap().clone()
    }

    /// All spans until now.
    pub(super) fn all(&self) -> Vec<Span> {
        self.received.borrow().clone()
    }
}

/// The value of an attribute that is a text.
pub(super) fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}
