//! `userbridge mail`.

use clap::Subcommand;
use serde::Serialize;

use super::{
    CliError, Session,
    output::{PAGE, Show},
    table::Columns,
};
use crate::{
    domain::{Mail, MailId, MailState, PageRequest, Slug},
    service::{Read, Write},
};

#[derive(Debug, Subcommand)]
pub(super) enum Mails {
    /// List an organization's mails: those that wait, and those of the last 30 days.
    List {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
        /// Only those that are queued, sent or failed.
        #[arg(long)]
        state: Option<MailState>,
    },
    /// Try a mail again that was given up.
    Retry {
        /// The organization's slug.
        #[arg(long)]
        org: Slug,
        /// The mail's id.
        id: MailId,
    },
}

/// A mail.
#[derive(Serialize)]
struct MailView {
    id: String,
    kind: &'static str,
    state: &'static str,
    /// The member's number in the organization.
    member_number: i64,
    created_at: String,
    due_at: String,
    attempts: i64,
    sent_at: Option<String>,
    failed_at: Option<String>,
    error: Option<String>,
}

impl From<Mail> for MailView {
    fn from(mail: Mail) -> Self {
        Self {
            id: mail.id.to_string(),
            kind: mail.kind.as_str(),
            state: mail.state().as_str(),
            member_number: mail.member.0,
            created_at: mail.created_at.to_string(),
            due_at: mail.due_at.to_string(),
            attempts: mail.attempts,
            sent_at: mail.sent_at.map(|at| at.to_string()),
            failed_at: mail.failed_at.map(|at| at.to_string()),
            error: mail.error.map(Into::into),
        }
    }
}

impl Show for MailView {
    fn columns(&self) -> Columns<'_> {
        vec![
            ("ID", &self.id),
            ("KIND", self.kind),
            ("STATE", self.state),
            ("CREATED", &self.created_at),
            ("ERROR", self.error.as_deref().unwrap_or_default()),
        ]
    }
}

impl Mails {
    pub(super) async fn run(self, session: &Session) -> Result<(), CliError> {
        let directory = &session.directory;
        match self {
            Self::List { org, state } => {
                let grant = Read::operator(session.organization(&org).await?);
                let mut list = session.list();
                let mut after = None;
                loop {
                    let page = PageRequest { after, limit: PAGE };
                    let page = directory.mails(grant, state, page).await?;
                    let Some(end) = page.items.last() else { break };
                    after = Some(end.id);
                    for mail in page.items {
                        list.push(&MailView::from(mail))?;
                    }
                }
                list.end()
            }
            Self::Retry { org, id } => {
                let grant = Write::operator(session.organization(&org).await?);
                let mail = directory.retry_mail(grant, id).await?;
                let mail = mail.ok_or_else(|| CliError::NotFound("no such mail was given up".to_owned()))?;
                session.show(&MailView::from(mail))
            }
        }
    }
}
