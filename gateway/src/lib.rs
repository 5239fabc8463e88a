//! The JSON gateway: published vendor contracts ("dialects"), translated to the directory's gRPC API.
//!
//! It knows the protocol and nothing else of the directory. A request goes from its dialect through `upstream` to a
//! gRPC service, which is in the same process or behind a socket, and comes back as a message or an
//! `UpstreamError`, which the dialect puts into its vendor's words.

mod body;
mod dialects;
pub mod listen;
pub mod log;
mod log_throttle;
mod member_locks;
mod portal;
pub mod probes;
pub mod program;
mod proto;
mod response;
mod upstream;

use axum::{Router, http::Uri};

use self::listen::Leaving;

pub use upstream::Upstream;

/// What the gateway has to be told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where browsers reach it. If that is by `https`, the cookie of the pages goes by nothing else.
    pub public_url: Option<Uri>,
    /// Set when the program is about to stop.
    pub leaving: Leaving,
}

/// Every route of the gateway. ProductBridge answers for paths that are nobody's.
pub fn router(upstream: Upstream, settings: &Settings) -> Router {
    let (leaving, asked) = (settings.leaving.clone(), upstream.clone());
    let is_ready = move || {
        let (leaving, asked) = (leaving.clone(), asked.clone());
        async move { !leaving.is_set() && asked.is_ready().await }
    };
    Router::new()
        .merge(probes::routes(is_ready))
        .merge(dialects::feedier::routes(upstream.clone()))
        .merge(dialects::thebridge::routes(upstream.clone()))
        .merge(portal::routes(upstream.clone(), settings))
        .merge(dialects::productbridge::routes(upstream))
}
