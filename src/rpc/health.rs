//! `grpc.health.v1.Health`, with watches that end when the server does.

use std::{pin::Pin, time::Duration};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::{sync::watch, time::sleep};
use tonic::{Request, Response, Status};
use tonic_health::{
    pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server},
    server::HealthService,
};
use userbridge_gateway::listen::Endless;

use super::{Services, drained};

/// How long a watch goes on after the drain has begun, so that it still tells of it.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The name of the server as a whole.
const WHOLE: &str = "";

/// tonic's health service. A watch of it would go on as long as its caller, and keep the server from stopping. Of the server as
/// a whole it says what it knows only after it has tried.
pub(super) struct Health {
    inner: HealthService,
    services: Services,
    draining: watch::Receiver<bool>,
}

impl Health {
    /// Of these services. Watches end soon after they drain.
    pub(super) fn new(services: &Services) -> Self {
        Self {
            inner: HealthService::from_health_reporter(services.health.clone()),
            services: services.clone(),
            draining: services.draining.subscribe(),
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
        let is_whole = request.get_ref().service == WHOLE;
        let mut response = self.inner.check(request).await?;
        if is_whole && !self.services.is_ready().await {
            response.get_mut().set_status(ServingStatus::NotServing);
        }
        Ok(response)
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let statuses = self.inner.watch(request).await?.into_inner();
        let drained = drained(self.draining.clone()).then(|()| sleep(LAST_WORDS));
        Ok(super::endless(statuses.take_until(drained), Endless::Always))
    }
}
