//! The pages in the browser: an organization's people, for its owners and admins, and the page on which a member sets a
//! password. What they show and promise: `docs/portal.md`.
//!
//! A request becomes a [`Visitor`], whose session is asked for with each, or, if it changes something, a
//! [`form::Submitted`], which has also passed the checks against forged requests. Its handler asks the directory as that
//! visitor and answers with a [`page`], or with the [`problem::Problem`] that kept it from that. All works without
//! scripts: what changes something is a form, and its answer leads back to a page (RFC 9110 §15.4.4).
//!
//! To add a page: its template in `gateway/templates/portal/`, its handler in a file here, its path in [`routes`].

mod activity;
mod assets;
mod changes;
mod csrf;
mod form;
mod invite;
mod list;
mod list_query;
mod member;
mod notice;
mod page;
mod password;
mod people;
mod problem;
mod session;
mod words;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, get, post},
};
use http::{request::Parts, uri::Scheme};

use self::{problem::Problem, session::Visitor};
use crate::{Settings, Upstream, listen::Origin};

/// Where the people are, and with `code` where an administrator comes in: a vendor's contract has the path.
const PEOPLE: &str = "/cloud-views/user-management-portal/users";

/// How many people or events a page has.
const PAGE_SIZE: i32 = 50;

/// What the handlers share.
#[derive(Clone)]
struct Portal {
    upstream: Upstream,
    /// Browsers reach us by `https` alone, whatever a request looks like.
    https: bool,
}

impl Portal {
    /// Whether the browser has sent this by `https`, or always does.
    fn is_secure(&self, request: &Parts) -> bool {
        self.https || Origin::of(&request.uri, &request.headers, &request.extensions).is_https()
    }
}

/// Everything below `/cloud-views`, and `/set-password`.
pub(crate) fn routes(upstream: Upstream, settings: &Settings) -> Router {
    let https = |url: &http::Uri| url.scheme() == Some(&Scheme::HTTPS);
    let portal = Portal {
        upstream,
        https: settings.public_url.as_ref().is_some_and(https),
    };
    let root = "/cloud-views/user-management-portal";
    let one = |action: &str| format!("{PEOPLE}/{{id}}{action}");
    Router::new()
        .route(PEOPLE, get(list::list))
        .route(
            &format!("{PEOPLE}/invite"),
            get(invite::show).post(invite::invite),
        )
        .route(&one(""), get(member::show).post(member::save))
        .route(&one("/enable"), post(member::enable))
        .route(&one("/disable"), post(member::disable))
        .route(&one("/password-mail"), post(member::mail_password))
        .route(&one("/remove"), get(member::ask_to_remove).post(member::remove))
        .route(&one("/restore"), post(member::restore))
        .route(&format!("{root}/activity"), get(activity::activity))
        .route(&format!("{root}/sign-out"), post(session::sign_out))
        .route("/set-password", get(password::show).post(password::set))
        .route(assets::STYLE, get(assets::style))
        .route(assets::ICON, get(assets::icon))
        .route("/cloud-views/{*rest}", any(async || Problem::NotFound))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn_with_state(portal.clone(), page::for_https_alone))
        .with_state(portal)
}
