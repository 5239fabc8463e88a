//! For whoever starts, stops and balances: `/healthz` says that the process answers, `/readyz` that requests may be sent to it.

use axum::{Router, http::StatusCode, routing::get};

const HEALTHZ: &str = "/healthz";
const READYZ: &str = "/readyz";

/// The same question in gRPC (grpc.health.v1).
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Whether who asks for this path wants to know how the server is. That is answered also when there is no room for more.
pub(crate) fn is_probe(path: &str) -> bool {
    [HEALTHZ, READYZ, CHECK].contains(&path)
}

/// Routes that say `ok`, or 503 if `is_ready` ends with false. It must end, and must not be a load however often it is
/// asked.
pub fn routes<F>(is_ready: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router
where
    F: Future<Output = bool> + Send,
{
    let readyz = async move || {
        if is_ready().await {
            (StatusCode::OK, "ok\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    Router::new()
        .route(HEALTHZ, get(async || "ok\n"))
        .route(READYZ, get(readyz))
}
