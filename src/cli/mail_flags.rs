//! The flags of `userbridge serve` that are about mail.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use http::{Uri, uri::InvalidUri};
use userbridge_gateway::listen::authorities;

use super::{CliError, own_thread::own_thread, secret_file::password};
use crate::{
    domain::Email,
    mail::{Smtp, SmtpUrl, Transport},
    server::MailConfig,
    service::Retries,
};

/// Whom mails in files are from, unless that is said.
const NOBODY: &str = "userbridge@localhost";

#[derive(Args, Debug)]
pub(super) struct MailFlags {
    /// The server that mails are handed to: `smtp://[USER[:PASSWORD]@]HOST[:PORT]` or `smtps://...`. `smtp` takes STARTTLS,
    /// unless the host is a loopback address or `?tls=none` says otherwise. Without it and --mail-dir, mails wait.
    #[arg(
        long,
        env = "USERBRIDGE_SMTP_URL",
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "mail_dir",
        requires_all = ["mail_from", "public_url"]
    )]
    smtp_url: Option<Secret>,
    /// A file with the password for the mail server and nothing else, so that it is on no command line.
    #[arg(
        long,
        env = "USERBRIDGE_SMTP_PASSWORD_FILE",
        value_name = "FILE",
        requires = "smtp_url"
    )]
    smtp_password_file: Option<PathBuf>,
    /// A file with certificates (PEM) of an authority that the mail server may have its own from.
    #[arg(
        long,
        env = "USERBRIDGE_SMTP_CA_FILE",
        value_name = "FILE",
        requires = "smtp_url"
    )]
    smtp_ca_file: Option<PathBuf>,
    /// How long sending one mail may take, in seconds.
    #[arg(
        long,
        env = "USERBRIDGE_SMTP_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    smtp_timeout: u32,
    /// The address that mails are from where an organization has none of its own.
    #[arg(long, env = "USERBRIDGE_MAIL_FROM", value_name = "ADDRESS", value_parser = sender)]
    mail_from: Option<Email>,
    /// Write mails to files in this folder, one `.eml` each, instead of sending them.
    #[arg(long, env = "USERBRIDGE_MAIL_DIR", value_name = "DIR")]
    mail_dir: Option<PathBuf>,
    /// Where browsers reach this server, for the links in mails and the cookies of pages [default: the address for JSON].
    #[arg(long, env = "USERBRIDGE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub(super) public_url: Option<Uri>,
}

/// What is not to be repeated in a message.
#[derive(Clone)]
struct Secret(String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl MailFlags {
    /// How mails leave; into `folder`, if nothing is said. None: they wait.
    pub(super) async fn config(self, folder: Option<PathBuf>) -> Result<Option<MailConfig>, CliError> {
        let nobody = || Email::new(NOBODY).map_err(std::io::Error::other);
        let transport = match (self.smtp_url, self.mail_dir.or(folder)) {
            (Some(url), _) => {
                let password = match &self.smtp_password_file {
                    Some(path) => Some(password(path).await?),
                    None => None,
                };
                let ca = own_thread(move || Ok(self.smtp_ca_file.as_deref().map(authorities).transpose()));
                let ca = ca.await?.map_err(|error| CliError::Usage(error.to_string()))?;
                let url =
                    SmtpUrl::new(&url.0, password).map_err(|error| CliError::Usage(error.to_string()))?;
                let smtp = Smtp::new(url, ca.as_deref());
                Transport::Smtp(
                    smtp.map_err(|error| CliError::Usage(format!("certificates for mail: {error}")))?,
                )
            }
            (None, Some(folder)) => {
                fs::create_dir_all(&folder)
                    .map_err(|error| CliError::Usage(format!("{}: {error}", folder.display())))?;
                Transport::Folder(folder)
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(MailConfig {
            transport,
            from: self.mail_from.map_or_else(nobody, Ok)?,
            retries: Retries::default(),
            timeout: Duration::from_secs(self.smtp_timeout.into()),
            links: None,
        }))
    }
}

/// An address that SMTP knows as well: otherwise no mail could be sent.
fn sender(text: &str) -> Result<Email, String> {
    let _: lettre::Address = text
        .parse()
        .map_err(|error: lettre::address::AddressError| error.to_string())?;
    Email::new(text).map_err(|error| error.to_string())
}

fn public_url(text: &str) -> Result<Uri, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_place = url.has_host() && url.port() != Some(0);
    let names_nobody = url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && is_bare && is_place && names_nobody {
        url.as_str()
            .parse()
            .map_err(|error: InvalidUri| error.to_string())
    } else {
        Err("must be http://HOST[:PORT] or https://...; the paths of pages can't be moved".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_from_an_address_that_smtp_knows() {
        assert!(sender("people@example.com").is_ok());
        for bad in [
            "people",
            "<people@example.com>",
            "a>b@example.com",
            "a..b@example.com",
        ] {
            assert!(sender(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_public_url_is_what_links_begin_with() {
        for good in ["https://people.example.com", "http://localhost:8080/"] {
            assert_eq!(public_url(good), Ok(good.parse().unwrap()));
        }
        for bad in [
            "people.example.com",
            "ftp://a",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://:p@a",
            "https://a:0",
            "https://a/people/",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }
}
