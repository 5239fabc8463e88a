//! ProductBridge's public API v1.
pub(crate) fn routes(_: crate::Upstream) -> axum::Router {
    axum::Router::new()
}
