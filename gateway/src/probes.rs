//! For whoever starts, stops and balances: `/healthz` says that the process answers, `/readyz` that requests may be sent to it.

use axum::{Router, http::StatusCode, routing::get};

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
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
}
