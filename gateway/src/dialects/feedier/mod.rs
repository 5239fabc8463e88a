//! Feedier's v3 users (wire contract: `docs/feedier.md`).
//!
//! A request is read by [`input`] as PHP would read it, judged by [`rules`] as Laravel would, asked of the directory by
//! the handler in [`list`] or [`users`], and answered by [`response`], [`user`] or [`page`].
//!
//! To add an endpoint: its path and methods in [`METHODS`] and [`endpoint`], its handler beside the others, its fields in
//! [`rules`].

mod email;
mod input;
mod list;
mod openapi;
mod page;
mod page_cursors;
mod response;
mod rules;
mod user;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    response::Response,
    routing::any,
};
use percent_encoding::percent_decode_str;

pub(crate) use self::openapi::dialect;

use self::{page_cursors::PageCursors, response::Refusal};
use crate::{
    Upstream,
    member_locks::MemberLocks,
    observe,
    response::private,
    upstream::{Key, noticed},
};

/// What the handlers share.
#[derive(Clone)]
struct Feedier {
    upstream: Upstream,
    page_cursors: Arc<PageCursors>,
    locks: Arc<MemberLocks>,
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// `/v3/users`.
    Users,
    /// `/v3/users/:id`, with the id as it was written.
    User(String),
}

impl Route {
    /// What is at a path below `/v3`. Slashes at the end do not count. Nothing is at one that is no UTF-8.
    fn at(path: &str) -> Option<Self> {
        let decoded = percent_decode_str(path.trim_matches('/')).decode_utf8().ok()?;
        let mut segments = decoded.split('/');
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some("v3"), Some("users"), None, None) => Some(Self::Users),
            (Some("v3"), Some("users"), Some(id), None) if !id.is_empty() => Some(Self::User(id.to_owned())),
            _ => None,
        }
    }

    const fn template(&self) -> &'static str {
        match self {
            Self::Users => "/v3/users",
            Self::User(_) => "/v3/users/{id}",
        }
    }

    /// In the order in which Laravel lists them.
    const fn methods(&self) -> &'static str {
        match self {
            Self::Users => "GET, HEAD, POST",
            Self::User(_) => "GET, HEAD, PUT, DELETE",
        }
    }
}

/// Everything below `/v3`, with the framework's answers for what is no endpoint.
pub(crate) fn routes(upstream: Upstream) -> Router {
    let feedier = Feedier {
        upstream,
        page_cursors: Arc::default(),
        locks: Arc::default(),
    };
    Router::new()
        .route("/v3", any(endpoint))
        .route("/v3/", any(endpoint))
        .route("/v3/{*rest}", any(endpoint))
        .with_state(feedier)
}

async fn endpoint(State(feedier): State<Feedier>, request: Request) -> Response {
    let (answer, allowance) = noticed(Box::pin(handle(&feedier, request))).await;
    let answer = private(answer.unwrap_or_else(response::refused));
    match allowance {
        Some(allowance) => response::with_allowance(answer, allowance),
        None => answer,
    }
}

async fn handle(feedier: &Feedier, request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path();
    let Some(route) = Route::at(path) else {
        return Err(Refusal::NoRoute(path.trim_matches('/').to_owned()));
    };
    observe::name_route(route.template());
    let methods = route.methods();
    let method = request.method().clone();
    match (route, &method) {
        (Route::Users, &Method::GET | &Method::HEAD) => list::list(feedier, request).await,
        (Route::Users, &Method::POST) => users::create(feedier, request).await,
        (Route::User(id), &Method::GET | &Method::HEAD) => users::retrieve(feedier, request, id).await,
        (Route::User(id), &Method::PUT) => users::update(feedier, request, id).await,
        (Route::User(id), &Method::DELETE) => users::delete(feedier, request, id).await,
        (_, &Method::OPTIONS) => Ok(response::options(methods)),
        _ => Err(Refusal::NoMethod {
            method: method.to_string(),
            path: path.trim_matches('/').to_owned(),
            methods,
        }),
    }
}

/// The token of `Authorization: Bearer ...`, and the key to ask with.
fn bearer(headers: &HeaderMap) -> Result<(&str, Key), Refusal> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.trim().split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim_start())
        .and_then(|token| Some((token, Key::of_api(token)?)))
        .ok_or(Refusal::Unauthenticated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_route_or_nothing() {
        let user = |id: &str| Some(Route::User(id.to_owned()));
        for (path, route) in [
            ("/v3/users", Some(Route::Users)),
            ("/v3/users/", Some(Route::Users)),
            ("/v3/%75sers", Some(Route::Users)),
            ("/v3/users/42", user("42")),
            ("/v3/users/42//", user("42")),
            ("/v3/users%2F42", user("42")),
            ("/v3/users/a%20b", user("a b")),
            ("/v3/users/100%", user("100%")),
            ("/v3/users/%FF", None),
            ("/v3", None),
            ("/v3//users", None),
            ("/v3/users//42", None),
            ("/v3/users/42/more", None),
            ("/v3/Users", None),
        ] {
            assert_eq!(Route::at(path), route, "{path}");
        }
    }
}
