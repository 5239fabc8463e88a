//! Who is there: the session behind the cookie, how it begins, and how it ends.

use axum::{
    extract::{FromRequestParts, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, header, request::Parts};

use super::{PEOPLE, Portal, csrf, form::Submitted, page, problem::Problem, words};
use crate::{
    proto::directory_v1::{Member, Role, Session},
    upstream::{Key, UpstreamError},
};

/// How the cookie of the session is set. It is gone when the browser is closed, or with the session.
#[derive(Clone, Copy, Debug)]
struct Cookies {
    /// The browser reaches us by `https`, so the cookie goes by nothing else.
    secure: bool,
}

const PLAIN: &str = "userbridge_session";
const SECURE: &str = "__Secure-userbridge_session";

impl Cookies {
    fn set(self, token: &str) -> String {
        let (name, secure) = if self.secure {
            (SECURE, "; Secure")
        } else {
            (PLAIN, "")
        };
        format!("{name}={token}; Path=/cloud-views; HttpOnly; SameSite=Lax{secure}")
    }

    /// The session's token.
    fn get(self, headers: &HeaderMap) -> Option<&str> {
        let name = if self.secure { SECURE } else { PLAIN };
        let lines = headers.get_all(header::COOKIE).into_iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'));
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// The response, after which the browser has no session's cookie.
pub(super) fn without_cookie(mut response: Response) -> Response {
    for cookie in [
        "userbridge_session=; Path=/cloud-views; HttpOnly; SameSite=Lax; Max-Age=0",
        "__Secure-userbridge_session=; Path=/cloud-views; HttpOnly; SameSite=Lax; Max-Age=0; Secure",
    ] {
        response
            .headers_mut()
            .append(header::SET_COOKIE, HeaderValue::from_static(cookie));
    }
    response
}

/// An administrator with a session, as of this request.
pub(super) struct Visitor {
    pub(super) key: Key,
    pub(super) session: Session,
    pub(super) member: Member,
    token: String,
}

/// What stands around every page of a visitor.
pub(super) struct Frame {
    pub(super) organization: String,
    /// Empty: none.
    pub(super) logo_url: String,
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) csrf: String,
}

impl Visitor {
    pub(super) async fn of(portal: &Portal, request: &Parts) -> Result<Self, Problem> {
        let secure = portal.is_secure(request);
        let token = Cookies { secure }.get(&request.headers);
        let token = token.ok_or(Problem::SignedOut)?.to_owned();
        let key = Key::new(&token).ok_or(Problem::SignedOut)?;
        let mut session = portal.upstream.session(&key).await?;
        let member = session.member.take().ok_or(Problem::Internal)?;
        Ok(Self {
            key,
            session,
            member,
            token,
        })
    }

    /// Whether a form with this token came from a page of this session.
    pub(super) fn sent(&self, token: &str) -> bool {
        csrf::is_valid(&self.token, token)
    }

    pub(super) fn frame(&self) -> Frame {
        Frame {
            organization: self.session.organization_name.clone(),
            logo_url: self.session.logo_url.clone(),
            name: words::label(&self.member),
            role: words::role(self.member.role()),
            csrf: csrf::token(&self.token),
        }
    }

    pub(super) fn is_owner(&self) -> bool {
        self.member.role() == Role::Owner
    }

    /// Whether the visitor may change a member of this role: the directory refuses what it may not, so this only keeps
    /// pages from offering it.
    pub(super) fn may_change(&self, role: Role) -> bool {
        self.is_owner() || role != Role::Owner
    }
}

impl FromRequestParts<Portal> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        Self::of(portal, parts).await
    }
}

/// Exchanges a code for a session, and leads to the page without the code.
pub(super) async fn sign_in(portal: &Portal, request: &Parts, code: &str) -> Result<Response, Problem> {
    let code = Key::new(code).ok_or(Problem::BadCode)?;
    let token = match portal.upstream.create_session(&code).await {
        Ok(token) => token,
        Err(UpstreamError::Unauthenticated | UpstreamError::InvalidToken | UpstreamError::RoleRequired) => {
            return Err(Problem::BadCode);
        }
        Err(error) => return Err(error.into()),
    };
    let secure = portal.is_secure(request);
    let cookie = HeaderValue::try_from(Cookies { secure }.set(&token));
    let mut cookie = cookie.map_err(|_| Problem::Internal)?;
    cookie.set_sensitive(true);
    let mut response = page::see_other(PEOPLE);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn sign_out(State(portal): State<Portal>, sent: Submitted) -> Result<Response, Problem> {
    portal.upstream.end_session(&sent.visitor.key).await?;
    // Without the cookie, the page says that the visitor is signed out.
    Ok(without_cookie(page::see_other(PEOPLE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_for_these_pages_and_for_https_where_there_is_one() {
        let secure = Cookies { secure: true };
        let plain = Cookies { secure: false };
        assert_eq!(
            plain.set("ubs_x"),
            "userbridge_session=ubs_x; Path=/cloud-views; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            secure.set("ubs_x"),
            "__Secure-userbridge_session=ubs_x; Path=/cloud-views; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn only_the_cookie_of_its_name_is_read() {
        let secure = Cookies { secure: true };
        let plain = Cookies { secure: false };
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; userbridge_session=ubs_x".parse().unwrap());
        assert_eq!(plain.get(&headers), Some("ubs_x"));
        assert_eq!(secure.get(&headers), None);
        headers.append(
            header::COOKIE,
            "__Secure-userbridge_session=ubs_y".parse().unwrap(),
        );
        assert_eq!(secure.get(&headers), Some("ubs_y"));
    }
}
