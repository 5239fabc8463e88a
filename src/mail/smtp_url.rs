//! The URL of a mail server.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::{Host, Url};

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// By TLS from the first byte.
    Tls,
    /// By STARTTLS, without which nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

/// Where a mail server is, and who signs in there.
#[derive(Clone)]
pub struct SmtpUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secrecy: Secrecy,
    /// Name and password.
    pub(super) login: Option<(String, String)>,
}

/// Without who signs in.
impl std::fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpUrl({}:{})", self.host, self.port)
    }
}

/// Why a URL of a mail server was refused. It does not repeat the URL: there may be a password in it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SmtpUrlError {
    #[error("--smtp-url must be smtp://[USER[:PASSWORD]@]HOST[:PORT] or smtps://...")]
    Malformed,
    #[error("--smtp-url takes no parameter but tls=none or tls=required")]
    Parameter,
    #[error("--smtp-password-file takes a user, and no password, in --smtp-url")]
    PasswordFile,
    #[error("--smtp-url has a user and no password: give it there or with --smtp-password-file")]
    NoPassword,
    #[error("--smtp-url would send the password in the clear")]
    InTheClear,
}

impl SmtpUrl {
    /// What a URL says. `smtps` is TLS on port 465; `smtp` is port 587 with STARTTLS, which is required, unless the host is a
    /// loopback address or there is `?tls=none`. `password`: of a file, in the place of one in the URL.
    ///
    /// # Errors
    ///
    /// As [`SmtpUrlError`] says.
    pub fn new(url: &str, password: Option<String>) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(url).map_err(|_| SmtpUrlError::Malformed)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(SmtpUrlError::Malformed)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlError::Malformed);
        }
        let (implicit, default_port) = match url.scheme() {
            "smtps" => (true, 465),
            "smtp" => (false, 587),
            _ => return Err(SmtpUrlError::Malformed),
        };
        let secrecy = match (implicit, url.query()) {
            (true, None) => Secrecy::Tls,
            (false, None) if is_loopback(&url) => Secrecy::None,
            (false, None | Some("tls=required")) => Secrecy::StartTls,
            (false, Some("tls=none")) => Secrecy::None,
            (_, Some(_)) => return Err(SmtpUrlError::Parameter),
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(std::borrow::Cow::into_owned)
                .map_err(|_| SmtpUrlError::Malformed)
        };
        let login = match (url.username(), url.password(), password) {
            ("", None, None) => None,
            ("", _, None) => return Err(SmtpUrlError::Malformed),
            ("", _, Some(_)) | (_, Some(_), Some(_)) => return Err(SmtpUrlError::PasswordFile),
            (_, None, None) => return Err(SmtpUrlError::NoPassword),
            (user, Some(password), None) => Some((decoded(user)?, decoded(password)?)),
            (user, None, Some(password)) => Some((decoded(user)?, password)),
        };
        if login.is_some() && secrecy == Secrecy::None && !is_loopback(&url) {
            return Err(SmtpUrlError::InTheClear);
        }
        Ok(Self {
            // Without the brackets of an IPv6 address.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(default_port),
            secrecy,
            login,
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    // The host of a scheme that the standard does not know is text.
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host, port, secrecy, and who signs in.
    type Parts = (String, u16, Secrecy, Option<(String, String)>);

    fn parsed(url: &str) -> Result<Parts, SmtpUrlError> {
        let url = SmtpUrl::new(url, None)?;
        Ok((url.host, url.port, url.secrecy, url.login))
    }

    #[test]
    fn a_url_says_where_the_server_is_and_how_it_is_spoken_to() {
        let login = Some(("bob@acme".to_owned(), "s/e:cret".to_owned()));
        for (url, host, port, secrecy, login) in [
            (
                "smtps://mail.example.com",
                "mail.example.com",
                465,
                Secrecy::Tls,
                None,
            ),
            (
                "smtp://mail.example.com",
                "mail.example.com",
                587,
                Secrecy::StartTls,
                None,
            ),
            (
                "smtp://bob%40acme:s%2Fe%3Acret@mail.example.com:25",
                "mail.example.com",
                25,
                Secrecy::StartTls,
                login,
            ),
            (
                "smtp://mail.example.com?tls=none",
                "mail.example.com",
                587,
                Secrecy::None,
                None,
            ),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Secrecy::None, None),
            ("smtp://[::1]:1025/", "::1", 1025, Secrecy::None, None),
            ("smtp://localhost", "localhost", 587, Secrecy::None, None),
            (
                "smtp://localhost?tls=required",
                "localhost",
                587,
                Secrecy::StartTls,
                None,
            ),
        ] {
            assert_eq!(parsed(url), Ok((host.to_owned(), port, secrecy, login)), "{url}");
        }
    }

    #[test]
    fn a_url_that_says_something_else_is_refused_without_repeating_it() {
        for (url, error) in [
            ("mail.example.com:25", SmtpUrlError::Malformed),
            ("http://mail.example.com", SmtpUrlError::Malformed),
            ("smtp://", SmtpUrlError::Malformed),
            ("smtp://mail.example.com/inbox", SmtpUrlError::Malformed),
            ("smtp://mail.example.com?tls=maybe", SmtpUrlError::Parameter),
            ("smtps://mail.example.com?tls=none", SmtpUrlError::Parameter),
            ("smtp://bob@mail.example.com", SmtpUrlError::NoPassword),
            (
                "smtp://bob:secret@mail.example.com?tls=none",
                SmtpUrlError::InTheClear,
            ),
        ] {
            assert_eq!(parsed(url), Err(error), "{url}");
            assert!(!error.to_string().contains("bob"));
        }
        let file = SmtpUrl::new("smtp://bob@mail.example.com", Some("secret".to_owned())).unwrap();
        assert_eq!(file.login, Some(("bob".to_owned(), "secret".to_owned())));
        for url in ["smtp://mail.example.com", "smtp://bob:secret@mail.example.com"] {
            let refused = SmtpUrl::new(url, Some("secret".to_owned())).err();
            assert_eq!(refused, Some(SmtpUrlError::PasswordFile));
        }
    }
}
