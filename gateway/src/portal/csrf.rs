//! Forged requests: another site that has the visitor's browser send a form.
//!
//! A form carries a token that only a page of the same session can have, and the browser must not say that another site
//! sent it. That the cookie is `SameSite=Lax` is a third way.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, Uri, header, request::Parts, uri::Authority};
use sha2::Sha256;

use crate::listen::Origin;

/// What the session's token is used for here; with another purpose it makes another token.
const PURPOSE: &[u8] = b"userbridge portal form";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The name of the field.
pub(super) const FIELD: &str = "csrf";

/// The token of a session's forms. It tells nothing of the session's own.
pub(super) fn token(session: &str) -> String {
    mac(session).map_or_else(String::new, |mac| {
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    })
}

/// Whether a form has the token of its session. Takes as long whichever part is wrong.
pub(super) fn is_valid(session: &str, token: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else {
        return false;
    };
    mac(session).is_some_and(|mac| mac.verify_slice(&bytes).is_ok())
}

/// None: never, a key of HMAC may have any length.
fn mac(session: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(session.as_bytes()).ok()?;
    mac.update(PURPOSE);
    Some(mac)
}

/// Whether the browser says that another site sent the form. `Sec-Fetch-Site` decides where there is one: a proxy that is not
/// trusted may have changed `Host`. An `Origin` of `null` says nothing, because that is what `Referrer-Policy: no-referrer` makes of ours.
pub(super) fn is_from_elsewhere(request: &Parts) -> bool {
    let text = |name| {
        request
            .headers
            .get(name)
            .map(|value: &http::HeaderValue| value.as_bytes())
    };
    if let Some(site) = text(SEC_FETCH_SITE) {
        return site != b"same-origin" && site != b"none";
    }
    match text(header::ORIGIN) {
        None | Some(b"null") => false,
        Some(origin) => {
            let origin = Uri::try_from(origin).ok();
            let authority = origin.as_ref().and_then(Uri::authority);
            let own = Origin::of(&request.uri, &request.headers, &request.extensions);
            authority.map(Authority::as_str) != own.host
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_session_alone() {
        let token = token("ubs_one");
        assert!(is_valid("ubs_one", &token));
        assert!(!is_valid("ubs_two", &token));
        for wrong in ["", "x", "ubs_one", &token[1..], &token.to_lowercase()] {
            assert!(!is_valid("ubs_one", wrong), "{wrong}");
        }
        assert!(!token.contains("ubs_one"));
    }

    #[test]
    fn what_the_browser_says_tells_where_a_form_was() {
        for (site, origin, elsewhere) in [
            (None, None, false),
            (Some("same-origin"), None, false),
            (Some("none"), None, false),
            (Some("cross-site"), None, true),
            (Some("same-site"), None, true),
            (None, Some("http://people.example.com:8080"), false),
            (None, Some("http://people.example.com"), true),
            (None, Some("https://evil.example.com"), true),
            (None, Some("null"), false),
            (None, Some("no origin at all"), true),
            (Some("same-origin"), Some("http://behind-a-proxy"), false),
        ] {
            let (mut request, ()) = http::Request::new(()).into_parts();
            let headers = &mut request.headers;
            headers.insert(header::HOST, "people.example.com:8080".parse().unwrap());
            if let Some(site) = site {
                headers.insert(SEC_FETCH_SITE, site.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(is_from_elsewhere(&request), elsewhere, "{site:?} {origin:?}");
        }
    }
}
