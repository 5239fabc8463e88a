//! Pages as they are sent: rendered, with headers that let them do nothing but what they are for.

use askama::Template;
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::Portal;
use crate::response::{empty, with};

/// No script, no style but the one file, no frame, no form that goes elsewhere. Pictures are an organization's logo, which
/// is at an `https` URL, and the icon.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' https:; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Of every page and redirect: some have a code or a token in their address, which goes to nobody.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = Response::new(Body::from(html));
            *response.status_mut() = status;
            guarded(with(response, header::CONTENT_TYPE, "text/html; charset=utf-8"))
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            guarded(empty(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

/// To another page (303: to be got, whatever the method was).
pub(super) fn see_other(path: &str) -> Response {
    let mut response = guarded(empty(StatusCode::SEE_OTHER));
    if let Ok(path) = HeaderValue::try_from(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// For who wants no page.
pub(super) fn nothing() -> Response {
    guarded(empty(StatusCode::NO_CONTENT))
}

fn guarded(response: Response) -> Response {
    HEADERS
        .into_iter()
        .fold(response, |response, (name, value)| with(response, name, value))
}

/// Tells a browser that has come by `https` to come by nothing else for a year (RFC 6797).
pub(super) async fn for_https_alone(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let (request, body) = request.into_parts();
    let secure = portal.is_secure(&request);
    let response = next.run(Request::from_parts(request, body)).await;
    if secure {
        with(response, header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")
    } else {
        response
    }
}
