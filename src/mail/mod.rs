//! The worker that sends mails: it claims what is due, writes it, hands it over, and says what came of that.
//!
//! Beside `rpc`, it is another way into `service`, and knows nothing below it. Any number of servers may work on one database:
//! what one has claimed, the others leave alone. To add a kind of mail: its name in `domain::MailKind`, its texts in `texts`.

mod clear;
mod folder;
mod message;
mod metrics;
mod smtp;
mod smtp_url;
mod texts;

use std::{collections::HashMap, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{Id, JoinSet},
    time::{Instant, sleep, timeout},
};

pub use self::{
    message::Stationery,
    metrics::MailMetrics,
    smtp::Smtp,
    smtp_url::{SmtpUrl, SmtpUrlError},
};
use crate::{
    domain::{DueMail, MailError, MailState, OrganizationId},
    service::{Claim, Directory, Letter, Retries, ServiceError},
};

/// How often to look for mails that other processes have queued, and for those that are to be tried again.
const POLL: Duration = Duration::from_secs(1);

/// Most mails that are being sent at once.
const AT_ONCE: usize = 8;

/// Most of them that are of one organization.
const SHARE: usize = 4;

/// A pause before it is tried again to write down that a mail was sent.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// How mails leave.
#[derive(Clone, Debug)]
pub enum Transport {
    Smtp(Smtp),
    /// As files in this folder.
    Folder(PathBuf),
}

/// Why a mail was not sent.
#[derive(Debug)]
struct SendError {
    /// For operators, without an address.
    text: String,
    /// Whether it may work later.
    passing: bool,
}

impl SendError {
    fn passing(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            passing: true,
        }
    }

    fn last(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            passing: false,
        }
    }
}

/// What sends mails.
pub struct Outbox {
    pub transport: Transport,
    pub stationery: Stationery,
    pub retries: Retries,
    /// How long sending one mail may take, from connecting to the mail server's answer.
    pub timeout: Duration,
    pub metrics: MailMetrics,
    /// Is told the link of each mail that was sent, if there is room.
    pub links: Option<mpsc::Sender<String>>,
}

/// Says in the log, once, that mails wait and this server sends none.
pub async fn warn_of_waiting(directory: Directory, stop: impl Future<Output = ()>) {
    let queued = directory.mail_queued();
    let waits = async {
        while !matches!(directory.due_mails(None, &[], 1).await, Ok(due) if !due.is_empty()) {
            queued.notified().await;
        }
    };
    tokio::select! {
        () = stop => {}
        () = waits => {
            tracing::warn!("mails wait, and this server sends none: it has neither --smtp-url nor --mail-dir");
        }
    }
}

/// What is being sent, and whose turn is next.
#[derive(Default)]
struct Sending {
    tasks: JoinSet<()>,
    mails: HashMap<Id, DueMail>,
    /// The organization that was served last.
    last: Option<OrganizationId>,
}

impl Outbox {
    /// Sends what is due until `stop` ends, then lets what is being sent finish, which takes as long as one mail at most, and
    /// longer only while the database can't be written.
    pub async fn run(self, directory: Directory, stop: impl Future<Output = ()>) {
        let outbox = Arc::new(self);
        let queued = directory.mail_queued();
        let mut sending = Sending::default();
        let mut stop = pin!(stop);
        loop {
            outbox.begin(&directory, &mut sending).await;
            outbox.metrics.sending(sending.mails.len());
            tokio::select! {
                () = &mut stop => break,
                () = queued.notified() => {}
                () = sending.one_ended(), if !sending.tasks.is_empty() => {}
                () = sleep(POLL) => {}
            }
        }
        while !sending.tasks.is_empty() {
            sending.one_ended().await;
            outbox.metrics.sending(sending.mails.len());
        }
    }

    /// Begins to send as much as there is room for.
    async fn begin(self: &Arc<Self>, directory: &Directory, sending: &mut Sending) {
        while sending.mails.len() < AT_ONCE {
            let room = u32::try_from(AT_ONCE - sending.mails.len()).unwrap_or_default();
            let due = match directory.due_mails(sending.last, &sending.busy(), room).await {
                Ok(due) => due,
                Err(error) => return told(&error),
            };
            if due.is_empty() && sending.last.take().is_none() {
                return;
            }
            for due @ DueMail { organization, .. } in due {
                sending.last = Some(organization);
                if sending.has(due) {
                    // Its lease is over and what became of it is not written down yet: so the database takes nothing now.
                    return;
                }
                // The lease is longer than sending takes.
                match directory.claim_mail(due, self.timeout * 2).await {
                    Ok(Claim::Letter(letter)) => {
                        let deliver = self.clone().deliver(directory.clone(), *letter);
                        let task = sending.tasks.spawn(deliver);
                        sending.mails.insert(task.id(), due);
                    }
                    Ok(Claim::GivenUp(mail)) => {
                        tracing::warn!(mail = %mail.id, %organization, "a mail was given up: its member can't be written to");
                        self.metrics.given_up(mail.kind);
                    }
                    Ok(Claim::Nothing) => {}
                    Err(error) => return told(&error),
                }
            }
        }
    }

    async fn deliver(self: Arc<Self>, directory: Directory, letter: Letter) {
        let begun = Instant::now();
        let sent = timeout(self.timeout, self.send(&letter)).await;
        self.metrics.attempt(begun.elapsed());
        let sent = sent.unwrap_or_else(|_| Err(SendError::passing("the mail server did not answer in time")));
        let (mail, kind, organization) = (letter.mail.id, letter.mail.kind, letter.organization);
        match sent {
            Ok(()) => {
                self.metrics.sent(kind);
                written(|| directory.mail_sent(&letter)).await;
                tracing::info!(%mail, %organization, "a mail was sent");
                if let Some(links) = &self.links {
                    // Who is slow to read them has seen enough of them.
                    let _ = links.try_send(self.stationery.link(&letter));
                }
            }
            Err(SendError { text, passing }) => {
                self.metrics.attempt_failed(kind);
                let retries = passing.then_some(&self.retries);
                let Ok(error) = MailError::new(text) else { return };
                let failed = written(|| directory.mail_failed(&letter, error.clone(), retries)).await;
                match failed.map(|mail| mail.state()) {
                    Some(MailState::Failed) => {
                        self.metrics.given_up(kind);
                        tracing::error!(%mail, %organization, %error, "a mail could not be sent and was given up");
                    }
                    Some(_) => {
                        tracing::warn!(%mail, %organization, %error, "a mail could not be sent; it will be tried again");
                    }
                    None => {
                        tracing::warn!(%mail, %organization, %error, "a mail could not be sent that is not ours any more");
                    }
                }
            }
        }
    }

    async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let message = self.stationery.compose(letter)?;
        match &self.transport {
            Transport::Smtp(smtp) => smtp.send(&message).await,
            Transport::Folder(folder) => {
                folder::write(folder.clone(), letter.mail.id, message.formatted()).await
            }
        }
    }
}

impl Sending {
    fn has(&self, mail: DueMail) -> bool {
        self.mails.values().any(|sending| *sending == mail)
    }

    /// Organizations of which as much is being sent as may be.
    fn busy(&self) -> Vec<OrganizationId> {
        let mut counts: HashMap<OrganizationId, usize> = HashMap::new();
        for DueMail { organization, .. } in self.mails.values() {
            *counts.entry(*organization).or_default() += 1;
        }
        let busy = counts.into_iter().filter(|(_, count)| *count >= SHARE);
        busy.map(|(organization, _)| organization).collect()
    }

    async fn one_ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.mails.remove(&id);
    }
}

/// Writes down what became of a mail, and tries until the database takes it: what was sent is not to be sent again. A mail of
/// which that never succeeds keeps its place, and is left alone by this server.
async fn written<T, F: Future<Output = Result<T, ServiceError>>>(mut write: impl FnMut() -> F) -> T {
    let mut is_told = false;
    loop {
        match write().await {
            Ok(value) => return value,
            // The storage has told the log.
            Err(ServiceError::Unavailable(_) | ServiceError::Overloaded) => {}
            Err(error) if !is_told => {
                is_told = true;
                tracing::error!(%error, "what became of a mail could not be written down; it is tried again");
            }
            Err(_) => {}
        }
        sleep(WRITE_AGAIN).await;
    }
}

fn told(error: &ServiceError) {
    match error {
        // In the first case the storage has told the log; in the second the next look finds the same.
        ServiceError::Unavailable(_) | ServiceError::Overloaded => {}
        error => tracing::error!(%error, "mails that are due could not be read; it will be tried again"),
    }
}
