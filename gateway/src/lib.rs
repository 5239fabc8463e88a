//! The JSON gateway: published vendor contracts ("dialects"), translated to the directory's gRPC API.
//!
//! It knows the protocol and nothing else of the directory. A request goes from its dialect through `upstream` to a
//! gRPC service, which is in the same process or behind a socket, and comes back as a message or an
//! `UpstreamError`, which the dialect puts into its vendor's words.

mod body;
pub mod config_file;
pub mod cors;
mod dialects;
mod docs;
pub mod listen;
pub mod log;
mod log_throttle;
mod member_locks;
pub mod observe;
mod openapi;
mod portal;
pub mod probes;
pub mod program;
mod proto;
mod response;
mod upstream;

use axum::{Router, http::Uri};

use self::{cors::Cors, listen::Leaving, observe::Observer};

pub use upstream::{SameRequest, Upstream, UpstreamTls};

/// What the gateway has to be told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where browsers reach it. If that is by `https`, the cookie of the pages goes by nothing else.
    pub public_url: Option<Uri>,
    /// How requests are observed.
    pub observer: Observer,
    /// Set when the program is about to stop.
    pub leaving: Leaving,
    /// Which pages of other origins may call.
    pub cors: Cors,
}

/// Every route of the gateway. ProductBridge answers for paths that are nobody's.
pub fn router(upstream: Upstream, settings: &Settings) -> Router {
    let observed = |name, routes: Router| routes.layer(settings.observer.dialect(name));
    let (leaving, asked) = (settings.leaving.clone(), upstream.clone());
    let is_ready = move || {
        let (leaving, asked) = (leaving.clone(), asked.clone());
        async move { !leaving.is_set() && asked.is_ready().await }
    };
    let router = Router::new()
        .merge(probes::routes(is_ready))
        .merge(observed("feedier", dialects::feedier::routes(upstream.clone())))
        .merge(observed(
            "thebridge",
            dialects::thebridge::routes(upstream.clone()),
        ))
        .merge(observed(
            "docs",
            docs::routes(dialects::all, dialects::productbridge::nowhere),
        ))
        .merge(observed(
            "productbridge",
            dialects::productbridge::routes(upstream.clone()),
        ));
    let router = match settings.cors.layer() {
        Some(cors) => router.layer(cors),
        None => router,
    };
    // Pages answer their own origin alone.
    router.merge(observed("portal", portal::routes(upstream, settings)))
}
