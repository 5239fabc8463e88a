//! The files that pages refer to. They are in the program, so nothing has to be installed with it.

use axum::{body::Body, response::Response};
use http::header;

use crate::response::with;

pub(super) const STYLE: &str = "/cloud-views/portal.css";
pub(super) const ICON: &str = "/cloud-views/portal.svg";

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("assets/portal.css"))
}

pub(super) async fn icon() -> Response {
    file("image/svg+xml", include_str!("assets/portal.svg"))
}

/// Kept for an hour: after an update of the program, pages look old for no longer than that.
fn file(content_type: &'static str, text: &'static str) -> Response {
    let response = with(
        Response::new(Body::from(text)),
        header::CONTENT_TYPE,
        content_type,
    );
    let response = with(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    with(response, header::CACHE_CONTROL, "public, max-age=3600")
}
