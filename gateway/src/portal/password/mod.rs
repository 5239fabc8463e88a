//! The page of a mailed link, on which a member sets a password.
//!
//! The link's token is the secret, so it is all that a form needs against forgery, and it opens no session. Getting the
//! page uses up nothing: mail scanners follow links. No page says whose link it is, nor whether it ever was one.

mod texts;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};

use self::texts::Texts;
use super::{
    Portal,
    form::{self, Fields},
    page,
    problem::Problem,
};
use crate::{
    proto::directory_v1::GetPasswordLinkResponse,
    upstream::{Key, Precondition, UpstreamError},
};

/// How the organization shows itself.
struct Brand {
    name: String,
    /// Empty: none.
    logo_url: String,
}

#[derive(Template)]
#[template(path = "portal/set_password.html")]
struct SetPasswordPage<'a> {
    texts: &'static Texts,
    brand: Brand,
    token: &'a str,
    hint: String,
    trouble: Option<String>,
}

/// A page that ends it: the password is set, or the link is over.
#[derive(Template)]
#[template(path = "portal/password_end.html")]
struct EndPage {
    texts: &'static Texts,
    brand: Option<Brand>,
    title: &'static str,
    text: &'static str,
}

pub(super) async fn show(
    State(portal): State<Portal>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let fields = Fields::of(&uri);
    let token = fields.get("token").unwrap_or_default();
    let Some((_, link)) = link(&portal, token).await? else {
        return Ok(over(&headers));
    };
    Ok(ask(&headers, link, token, StatusCode::OK, None))
}

pub(super) async fn set(State(portal): State<Portal>, request: Request) -> Result<Response, Problem> {
    let (request, body) = request.into_parts();
    let fields = form::read(&request, body).await?;
    let headers = request.headers;
    let token = fields.get("token").unwrap_or_default();
    let password = fields.get("password").unwrap_or_default();
    let Some((key, link)) = link(&portal, token).await? else {
        return Ok(over(&headers));
    };
    let texts = Texts::of(&link.locale, &headers);
    if fields.get("repeated") != Some(password) {
        let trouble = texts.not_the_same.to_owned();
        return Ok(ask(
            &headers,
            link,
            token,
            StatusCode::UNPROCESSABLE_ENTITY,
            Some(trouble),
        ));
    }
    let trouble = match portal.upstream.set_password(&key, password.to_owned()).await {
        Ok(()) => {
            let end = EndPage {
                texts,
                brand: Some(brand(link)),
                title: texts.done,
                text: texts.done_text,
            };
            return Ok(page::page(StatusCode::OK, &end));
        }
        Err(UpstreamError::InvalidToken | UpstreamError::Unauthenticated) => return Ok(over(&headers)),
        Err(UpstreamError::InvalidArgument) => {
            texts.length(link.min_password_length, link.max_password_length)
        }
        Err(UpstreamError::FailedPrecondition(Precondition::PasswordTooCommon)) => {
            texts.too_common.to_owned()
        }
        Err(error) => return Err(error.into()),
    };
    Ok(ask(
        &headers,
        link,
        token,
        StatusCode::UNPROCESSABLE_ENTITY,
        Some(trouble),
    ))
}

/// None: it is over, or never was one.
async fn link(portal: &Portal, token: &str) -> Result<Option<(Key, GetPasswordLinkResponse)>, Problem> {
    let Some(key) = Key::new(token) else {
        return Ok(None);
    };
    match portal.upstream.password_link(&key).await {
        Ok(link) => Ok(Some((key, link))),
        Err(UpstreamError::InvalidToken | UpstreamError::Unauthenticated) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn ask(
    headers: &HeaderMap,
    link: GetPasswordLinkResponse,
    token: &str,
    status: StatusCode,
    trouble: Option<String>,
) -> Response {
    let texts = Texts::of(&link.locale, headers);
    let page = SetPasswordPage {
        texts,
        hint: texts.length(link.min_password_length, link.max_password_length),
        brand: brand(link),
        token,
        trouble,
    };
    page::page(status, &page)
}

/// The same for a link that is used up, one whose time is over, and one that never was.
fn over(headers: &HeaderMap) -> Response {
    let texts = Texts::of("", headers);
    let end = EndPage {
        texts,
        brand: None,
        title: texts.over,
        text: texts.over_text,
    };
    page::page(StatusCode::GONE, &end)
}

fn brand(link: GetPasswordLinkResponse) -> Brand {
    Brand {
        name: link.organization_name,
        logo_url: link.logo_url,
    }
}

/// The language that the browser asks for first.
fn accepted(headers: &HeaderMap) -> &str {
    let accepted = headers.get(header::ACCEPT_LANGUAGE);
    accepted
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim_start()
}
