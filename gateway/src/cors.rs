//! Cross-origin requests: which pages of other origins may call from a browser (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! Callers show a key in a header or in the body, never a cookie, so credentials are allowed to nobody; and a page that has a
//! key may send any header and read any.

use std::{str::FromStr, time::Duration};

use clap::Args;
use http::{HeaderValue, Method};
use thiserror::Error;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};
use url::Url;

/// How long a browser may go by one answer to its question before it asks again.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Flags of the programs that browsers may call. The default allows no page of another origin.
#[derive(Args, Clone, Debug, Default)]
pub struct Cors {
    /// An origin whose pages may call from a browser, such as `https://console.example.com`; `*` allows all. Repeatable, in the
    /// variable with commas. Without it no page of another origin may.
    #[arg(
        long = "cors-origin",
        env = "USERBRIDGE_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    origins: Vec<CorsOrigin>,
}

/// An origin as browsers write it, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

/// A text is no [`CorsOrigin`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it must be an origin such as https://console.example.com, without a path, or *")]
pub struct InvalidOrigin;

impl FromStr for CorsOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "*" {
            return Ok(Self(HeaderValue::from_static("*")));
        }
        let url = Url::parse(text).map_err(|_| InvalidOrigin)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        // No patterns: one would allow nobody, without a word.
        let pattern = url.host_str().is_some_and(|host| host.contains('*'));
        // Of other schemes, browsers call the origin `null`.
        if !bare || !anonymous || pattern || !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidOrigin);
        }
        let origin = url.origin().ascii_serialization();
        HeaderValue::try_from(origin).map(Self).map_err(|_| InvalidOrigin)
    }
}

impl From<Vec<CorsOrigin>> for Cors {
    fn from(origins: Vec<CorsOrigin>) -> Self {
        Self { origins }
    }
}

impl Cors {
    /// What answers browsers' questions. None: nobody is allowed anything, so nothing has to be answered.
    #[must_use]
    pub fn layer(&self) -> Option<CorsLayer> {
        let origins = self.origins.iter().map(|origin| origin.0.clone());
        let allowed = match &self.origins[..] {
            [] => return None,
            origins if origins.iter().any(|origin| origin.0 == "*") => AllowOrigin::any(),
            _ => AllowOrigin::list(origins),
        };
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(Any)
            .max_age(MAX_AGE);
        Some(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        for (text, origin) in [
            ("*", "*"),
            ("https://console.example.com", "https://console.example.com"),
            ("https://Console.example.com:443/", "https://console.example.com"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<CorsOrigin>().unwrap().0, origin, "{text}");
        }
        for text in [
            "",
            "null",
            "console.example.com",
            "https://",
            "https://console.example.com/path",
            "https://console.example.com?query",
            "https://user@console.example.com",
            "file:///etc",
            "https://*.example.com",
        ] {
            assert_eq!(text.parse::<CorsOrigin>(), Err(InvalidOrigin), "{text}");
        }
    }

    #[test]
    fn nobody_is_allowed_unless_said() {
        assert!(Cors::default().layer().is_none());
    }
}
