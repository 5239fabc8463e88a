//! Mails by SMTP.

use std::time::Duration;

use lettre::{
    Address, Message,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        extension::ClientId,
        response::Severity,
    },
};
use tokio::time::timeout;

use super::{
    SendError,
    clear::Clear,
    smtp_url::{Secrecy, SmtpUrl},
};

/// How long the mail server has to answer to our leave-taking.
const GOODBYE: Duration = Duration::from_secs(5);

/// A mail server. Each mail has a connection of its own: mails are few, and one that is given up in the middle of a mail
/// leaves no connection that still has an answer to an earlier question.
#[derive(Clone)]
pub struct Smtp {
    url: SmtpUrl,
    tls: TlsParameters,
    hello: ClientId,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}

impl Smtp {
    /// A mail server that has a certificate of the machine's authorities, or of one in `ca`, which is PEM.
    ///
    /// # Errors
    ///
    /// The certificates can't be read.
    pub fn new(url: SmtpUrl, ca: Option<&[u8]>) -> Result<Self, lettre::transport::smtp::Error> {
        let mut tls = TlsParameters::builder(url.host.clone());
        if let Some(ca) = ca {
            tls = tls.add_root_certificate(Certificate::from_pem(ca)?);
        }
        Ok(Self {
            tls: tls.build_rustls()?,
            url,
            hello: ClientId::default(),
        })
    }

    /// Hands a mail over. It may take for ever.
    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mut connection = self.connect().await?;
        let bytes = message.formatted();
        let sent = connection.send(message.envelope(), &bytes).await;
        let sent = sent.map_err(|error| {
            let code = error.status().map(|code| code.to_string());
            match code {
                Some(code) if error.is_permanent() => {
                    SendError::last(format!("the mail server refused it ({code})"))
                }
                Some(code) => SendError::passing(format!("the mail server put it off ({code})")),
                // Whoever set the sender can set another, and the mail goes then.
                None if error.is_client() && !is_ascii(message.envelope().from()) => {
                    SendError::passing("the mail server does not take the sender's address")
                }
                None if error.is_client() => SendError::last("the mail server does not take this address"),
                None => SendError::passing("the connection to the mail server was lost"),
            }
        });
        let sent = sent.and_then(|answer| match answer.code().severity {
            Severity::PositiveCompletion => Ok(()),
            _ => Err(SendError::passing(
                "the mail server did not say that it has the mail",
            )),
        });
        // What it answers changes nothing any more.
        tokio::spawn(async move { timeout(GOODBYE, connection.abort()).await });
        sent
    }

    /// What goes wrong here is not the mail's fault, so it passes.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let SmtpUrl { host, port, .. } = &self.url;
        let unreachable = || SendError::passing("the mail server can't be reached");
        let connected = if self.url.secrecy == Secrecy::StartTls {
            let stream = Clear::connect(host, *port).await.map_err(|error| {
                tracing::warn!(%error, "no connection to the mail server");
                unreachable()
            })?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await
        } else {
            let tls = (self.url.secrecy == Secrecy::Tls).then(|| self.tls.clone());
            let address = (host.as_str(), *port);
            AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, tls, None).await
        };
        let mut connection = connected.map_err(|error| {
            told(&error);
            unreachable()
        })?;
        if self.url.secrecy == Secrecy::StartTls {
            connection
                .starttls(self.tls.clone(), &self.hello)
                .await
                .map_err(|error| {
                    told(&error);
                    SendError::passing("the mail server has no TLS that can be trusted")
                })?;
        }
        if let Some((user, password)) = &self.url.login {
            let credentials = Credentials::new(user.clone(), password.clone());
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(|error| {
                    told(&error);
                    SendError::passing("the mail server does not let this server sign in")
                })?;
        }
        Ok(connection)
    }
}

/// Whether a mail server without SMTPUTF8 knows the address.
fn is_ascii(address: Option<&Address>) -> bool {
    address.is_none_or(|address| AsRef::<str>::as_ref(address).is_ascii())
}

/// For the log. What the server has said is not in it: that may have addresses in it, and anything else.
fn told(error: &lettre::transport::smtp::Error) {
    if let Some(code) = error.status() {
        tracing::warn!(%code, "the mail server refuses the connection");
    } else if error.is_response() {
        tracing::warn!("the mail server does not speak SMTP");
    } else {
        tracing::warn!(%error, "no connection to the mail server");
    }
}
