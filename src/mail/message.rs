//! A letter as a mail: headers, a text part and an HTML part.

use std::time::{Duration, UNIX_EPOCH};

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address, Message,
    message::{Mailbox, MultiPart, header::HeaderName, header::HeaderValue},
};

use super::{
    SendError,
    texts::{Language, Texts},
};
use crate::{
    domain::{DisplayName, Email},
    service::Letter,
};

/// Most bytes of a subject that are encoded as one word: as many as leave its line within 76 characters (RFC 2047 §2).
const ENCODED: usize = 39;

#[derive(Template)]
#[template(path = "mail.txt")]
struct Plain<'a> {
    texts: &'a Texts,
    link: &'a str,
    brand: &'a str,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    texts: &'a Texts,
    link: &'a str,
    brand: &'a str,
    logo_url: Option<&'a str>,
}

/// What all mails of a server have in common.
#[derive(Clone, Debug)]
pub struct Stationery {
    /// Whom mails are from where an organization has no sender.
    pub from: Email,
    /// Where browsers reach the gateway, without a slash at the end.
    pub public_url: String,
}

impl Stationery {
    /// The link of a letter.
    pub(super) fn link(&self, letter: &Letter) -> String {
        format!("{}/set-password?token={}", self.public_url, letter.token.reveal())
    }

    /// The mail. Its `Message-ID` is that of each attempt, so that who gets it twice shows it once.
    ///
    /// # Errors
    ///
    /// One of the addresses is none that SMTP knows. What users typed is encoded: no name breaks a header.
    pub(super) fn compose(&self, letter: &Letter) -> Result<Message, SendError> {
        let name = letter.name.as_ref().map(DisplayName::as_str);
        let brand = letter.brand.as_str();
        let texts = Texts::of(
            letter.mail.kind,
            Language::of(letter.locale.as_ref()),
            brand,
            name,
        );
        let link = self.link(letter);
        let unreadable = |_| SendError::last("the mail could not be put together");
        let plain = Plain {
            texts: &texts,
            link: &link,
            brand,
        };
        let html = Html {
            texts: &texts,
            link: &link,
            brand,
            logo_url: letter.logo_url.as_ref().map(crate::domain::LogoUrl::as_str),
        };
        let body = MultiPart::alternative_plain_html(
            plain.render().map_err(unreadable)?,
            html.render().map_err(unreadable)?,
        );
        let from = letter.sender.as_ref().unwrap_or(&self.from);
        // Whoever set it can set another, and the mail goes then.
        let from = address(from)
            .ok_or_else(|| SendError::passing("mails can't be sent from the sender's address"))?;
        let to = address(&letter.to)
            .ok_or_else(|| SendError::last("mails can't be sent to the member's address"))?;
        let domain = self
            .from
            .as_str()
            .rsplit_once('@')
            .map_or("localhost", |(_, domain)| domain);
        let created = u64::try_from(letter.mail.created_at.as_millis()).unwrap_or_default();
        let generated = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        Message::builder()
            .message_id(Some(format!("<{}@{domain}>", letter.mail.id)))
            .date(UNIX_EPOCH + Duration::from_millis(created))
            .from(Mailbox::new(Some(brand.to_owned()), from))
            .to(Mailbox::new(None, to))
            .raw_header(subject(&texts.subject))
            .raw_header(generated)
            .multipart(body)
            .map_err(|_| SendError::last("the mail could not be put together"))
    }
}

/// What looks encoded is encoded, so that it is shown as it is. All else that has to be is encoded anyway.
fn subject(text: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if !text.contains("=?") {
        return HeaderValue::new(name, text.to_owned());
    }
    let mut pieces = vec![String::new()];
    for letter in text.chars() {
        match pieces.last_mut() {
            Some(piece) if piece.len() + letter.len_utf8() <= ENCODED => piece.push(letter),
            _ => pieces.push(letter.into()),
        }
    }
    let words = pieces
        .iter()
        .map(|piece| format!("=?utf-8?b?{}?=", STANDARD.encode(piece)));
    let encoded = words.collect::<Vec<_>>().join("\r\n ");
    HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), encoded)
}

fn address(email: &Email) -> Option<Address> {
    email.as_str().parse().ok()
}
