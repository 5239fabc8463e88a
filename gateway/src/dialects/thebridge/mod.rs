//! The Bridge's tenant users (wire contract: `docs/thebridge.md`).
//!
//! A request is read by [`input`] as Express would read it, judged by [`rules`] as class-validator would, asked of the
//! directory by the handler in [`list`], [`users`] or [`handover`], and answered by [`response`] and [`user`]. The vendor's
//! service is a Nest application, and its errors are that framework's.
//!
//! To add an endpoint: its path in [`Route::at`], its method in [`handle`], its handler beside the others, its fields in
//! [`rules`].

mod handover;
mod input;
mod list;
mod openapi;
mod response;
mod rules;
mod teams;
mod user;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method},
    response::Response,
    routing::any,
};
use percent_encoding::percent_decode_str;

pub(crate) use self::openapi::dialect;

use self::{
    input::Input,
    response::{Reason, Refusal},
};
use crate::{Upstream, member_locks::MemberLocks, observe, response::private, upstream::Key};

/// What the handlers share.
#[derive(Clone)]
struct TheBridge {
    upstream: Upstream,
    locks: Arc<MemberLocks>,
}

/// What a path names. Ids are as they were written.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// `/account/tenant/user`.
    Users,
    /// `/account/tenant/user/:id`.
    User(String),
    /// `/account/tenant/user/:id/associations`.
    Associations(String),
    /// `/account/tenant/user/:id/password`.
    Password(String),
    /// `/auth/handover/code/:id`.
    Handover,
}

impl Route {
    /// What is at a path, with or without `/v1` in front; letter case and one slash at the end do not count. None: nothing.
    fn at(path: &str) -> Result<Option<Self>, Refusal> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let small = path.to_ascii_lowercase();
        let below = |base: &str| small.starts_with(base).then(|| &path[base.len()..]);
        if let Some(app) = below("/auth/handover/code/") {
            return Ok(segment(app)?.map(|_| Self::Handover));
        }
        let base = "/account/tenant/user";
        let Some(rest) = below(base).or_else(|| below("/v1/account/tenant/user")) else {
            return Ok(None);
        };
        if rest.is_empty() {
            return Ok(Some(Self::Users));
        }
        let Some(rest) = rest.strip_prefix('/') else {
            return Ok(None);
        };
        let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
        let route: fn(String) -> Self = match part.to_ascii_lowercase().as_str() {
            "" if id.len() == rest.len() => Self::User,
            "associations" => Self::Associations,
            "password" => Self::Password,
            _ => return Ok(None),
        };
        Ok(segment(id)?.map(route))
    }

    const fn template(&self) -> &'static str {
        match self {
            Self::Users => "/account/tenant/user",
            Self::User(_) => "/account/tenant/user/{id}",
            Self::Associations(_) => "/account/tenant/user/{id}/associations",
            Self::Password(_) => "/account/tenant/user/{id}/password",
            Self::Handover => "/auth/handover/code/{id}",
        }
    }
}

/// One segment of a path, decoded. None: it is empty, or several.
fn segment(text: &str) -> Result<Option<String>, Refusal> {
    if text.is_empty() || text.contains('/') {
        return Ok(None);
    }
    let bytes = text.as_bytes();
    let escapes = text.match_indices('%').all(|(at, _)| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if escapes => Ok(Some(decoded.into_owned())),
        _ => Err(Refusal::BadParam(text.to_owned())),
    }
}

/// Everything below `/account`, `/v1/account` and `/auth/handover`, with the framework's answers for what is no endpoint.
pub(crate) fn routes(upstream: Upstream) -> Router {
    let bridge = TheBridge {
        upstream,
        locks: Arc::default(),
    };
    ["/account", "/v1/account", "/auth/handover"]
        .into_iter()
        .fold(Router::new(), |router, base| {
            router
                .route(base, any(endpoint))
                .route(&format!("{base}/"), any(endpoint))
                .route(&format!("{base}/{{*rest}}"), any(endpoint))
        })
        .with_state(bridge)
}

async fn endpoint(State(bridge): State<TheBridge>, request: Request) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let response = handle(&bridge, request).await.unwrap_or_else(response::refused);
    private(response::unless_fresh(response, &method, &headers))
}

/// Express reads the body first, whatever is asked for.
async fn handle(bridge: &TheBridge, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let input = Input::of_request(&parts.headers, body).await?;
    let nothing = || Refusal::NoRoute {
        method: parts.method.clone(),
        url: parts
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
    };
    let route = Route::at(parts.uri.path())?.ok_or_else(nothing)?;
    observe::name_route(route.template());
    let method = match &parts.method {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let caller = caller(bridge, &parts.headers);
    match (route, method) {
        (Route::Users, Method::GET) => list::list(&bridge.upstream, caller.await?).await,
        (Route::Users, Method::POST) => users::create(bridge, &caller.await?, &input).await,
        (Route::User(id), Method::GET) => users::get(bridge, &caller.await?, &id).await,
        (Route::User(id), Method::PUT) => users::update(bridge, &caller.await?, &id, &input).await,
        (Route::User(id), Method::DELETE) => users::delete(bridge, &caller.await?, &id).await,
        (Route::Associations(id), Method::GET) => users::associations(bridge, &caller.await?, &id).await,
        (Route::Password(id), Method::POST) => users::reset_password(bridge, &caller.await?, &id).await,
        (Route::Handover, Method::POST) => handover::issue(bridge, &input).await,
        _ => Err(nothing()),
    }
}

/// The key of `x-api-key`, for the tenant of `x-tenant-id`.
async fn caller(bridge: &TheBridge, headers: &HeaderMap) -> Result<Key, Refusal> {
    let key = only(headers, "x-api-key")
        .and_then(Key::of_api)
        .ok_or(Reason::NoKey)?;
    if let Some(tenant) = only(headers, "x-tenant-id").and_then(users::uuid) {
        return Ok(key.in_organization(tenant));
    }
    bridge.upstream.check_key(&key).await?;
    Err(Reason::NoTenant.into())
}

/// The value of a header that comes once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_route_or_nothing() {
        let id = || "42".to_owned();
        for (path, route) in [
            ("/account/tenant/user", Some(Route::Users)),
            ("/account/tenant/user/", Some(Route::Users)),
            ("/v1/account/Tenant/USER", Some(Route::Users)),
            ("/account/tenant/user/42", Some(Route::User(id()))),
            ("/v1/account/tenant/user/%34%32/", Some(Route::User(id()))),
            (
                "/account/tenant/user/42/associations",
                Some(Route::Associations(id())),
            ),
            ("/account/tenant/user/42/password/", Some(Route::Password(id()))),
            ("/auth/handover/code/app", Some(Route::Handover)),
            ("/account/tenant/users", None),
            ("/account/tenant/%75ser", None),
            ("/account/tenant/user//", None),
            ("/account/tenant/user/42//", None),
            ("/account/tenant/user/42/sms", None),
            ("/account/tenant/user/42/password/x", None),
            ("/account/tenant", None),
            ("/account", None),
            ("/v2/account/tenant/user", None),
            ("/auth/handover/code", None),
            ("/auth/handover/code/a/b", None),
        ] {
            assert_eq!(Route::at(path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn an_id_that_can_not_be_decoded_is_refused() {
        for path in ["/account/tenant/user/%ff", "/account/tenant/user/a%2/password"] {
            assert!(matches!(Route::at(path), Err(Refusal::BadParam(_))), "{path}");
        }
    }
}
