//! The listener for those who watch the server: what it counts, as Prometheus reads it, and whether it is ready. Nobody needs a key, so it says
//! nothing about organizations or people.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use prometheus_client::{
    encoding::prometheus_text::{CONTENT_TYPE, encode},
    registry::Registry,
};
use tokio::{net::TcpListener, task::JoinHandle};
use userbridge_gateway::{
    listen::{self, ConnectionLimit, Limits},
    probes,
};

use crate::rpc::Services;

/// Most connections at once. They are apart from those of clients, so that it answers when clients have taken all of theirs;
/// and few, so that there are file descriptors for them.
const CONNECTIONS: usize = 16;

/// The listener. It answers until it is dropped, also while the server drains.
pub(crate) struct AdminListener {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl AdminListener {
    /// Answers from now on.
    ///
    /// # Errors
    ///
    /// The listener does not know its address.
    pub(crate) fn start(listener: TcpListener, registry: Registry, services: Services) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let limits = Limits {
            requests: CONNECTIONS,
            ..Limits::new(ConnectionLimit::new(CONNECTIONS))
        };
        let serving = listen::serve(
            listener,
            routes(registry, services),
            limits,
            std::future::pending(),
        );
        Ok(Self {
            addr,
            task: tokio::spawn(serving),
        })
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes(registry: Registry, services: Services) -> Router {
    let is_ready = move || {
        let services = services.clone();
        async move { services.is_ready().await }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::new(registry))
        .merge(probes::routes(is_ready))
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
