//! `grpc.health.v1.Health`, with watches that end when the server does.

use std::{pin::Pin, time::Duration};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::{sync::watch, time::sleep};
use tonic::{Request, Response, Status};
use tonic_health::{
    pb::{HealthCheckRequest, HealthCheckResponse, health_server},
    server::{HealthReporter, HealthService},
};

use super::drained;

/// How long a watch goes on after the drain has begun, so that it still tells of it.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// tonic's health service. A watch of it would go on as long as its caller, and keep the server from stopping.
pub(super) struct Health {
    inner: HealthService,
    draining: watch::Receiver<bool>,
}

impl Health {
    /// Watches end soon after `draining` turns true.
    pub(super) fn new(reporter: &HealthReporter, draining: watch::Receiver<bool>) -> Self {
        Self {
            inner: HealthService::from_health_reporter(reporter.clone()),
            draining,
        }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.inner.check(request).await
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let statuses = self.inner.watch(request).await?.into_inner();
        let drained = drained(self.draining.clone()).then(|()| sleep(LAST_WORDS));
        Ok(Response::new(Box::pin(statuses.take_until(drained))))
    }
}
