//! Whether the directory may be asked.

use std::time::Duration;

use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Upstream;

/// How long the directory has to say so. It takes two seconds itself to find out that its database does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

impl Upstream {
    /// Whether the directory as a whole serves. One that does not say does not.
    pub(crate) async fn is_ready(&self) -> bool {
        let mut health = HealthClient::new(self.connection());
        let service = String::new();
        let asked = timeout(PATIENCE, health.check(HealthCheckRequest { service })).await;
        matches!(asked, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
    }
}
