//! Mails to members: queueing them with the change that they are about, and what becomes of them.
//!
//! A mail is a row, written in the transaction of the change. Whoever sends it claims it first, which makes its link and keeps
//! others from it for a while, and says afterwards how that went. A mail that the server has taken is never claimed again;
//! should the process end in between, the mail comes twice, with one `Message-ID`.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::{
    Directory, Read, Result, ServiceError, Write, acting::may_change, maintenance::PAUSE, rules::Transaction,
};
use crate::domain::{
    Actor, Change, DisplayName, DueMail, Email, EventKind, KeyDigest, Locale, LogoUrl, Mail, MailError,
    MailId, MailKind, MailState, Member, MemberRef, OrganizationId, OrganizationName, Page, PageRequest,
    Precondition, Resource, Subject, Timestamp, TokenKind, TokenSecret,
};

/// Most mails that one member is queued in an hour.
const HOURLY: usize = 5;

const HOUR: Duration = Duration::from_hours(1);

/// A mail of the same kind that was queued so recently stands for the next one.
const RECENT: Duration = Duration::from_mins(1);

/// How long mails that were sent or given up are kept.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Most old mails to remove at once.
const STEP: u32 = 256;

/// How long it is tried to send a mail, and in which rhythm.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// The pause after the first attempt. Each further one is twice as long, with jitter.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// A mail that is so old is not tried again.
    pub give_up: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(30),
            longest: HOUR,
            give_up: Duration::from_hours(72),
        }
    }
}

impl Retries {
    /// The pause after so many attempts.
    fn pause(&self, attempts: i64) -> Duration {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        let before = usize::try_from(attempts - 1).unwrap_or_default();
        pauses.build().nth(before).unwrap_or(self.longest)
    }
}

/// A mail that was claimed, with all that it is made of.
#[derive(Clone, Debug)]
pub struct Letter {
    pub organization: OrganizationId,
    pub mail: Mail,
    /// The address that the member has now.
    pub to: Email,
    /// The member's name.
    pub name: Option<DisplayName>,
    /// How the organization calls itself.
    pub brand: OrganizationName,
    pub logo_url: Option<LogoUrl>,
    /// Whom it is from. None: the server's address.
    pub sender: Option<Email>,
    /// The member's language, else the organization's.
    pub locale: Option<Locale>,
    /// The token of its link.
    pub token: Arc<TokenSecret>,
}

/// What comes of claiming a mail.
#[derive(Clone, Debug)]
pub enum Claim {
    /// It is to be sent, and nobody else gets it.
    Letter(Box<Letter>),
    /// It was given up: its member can't be written to.
    GivenUp(Mail),
    /// It is not due any more.
    Nothing,
}

impl Directory {
    /// Of each organization that has mails to be sent now, the one that has waited longest; in the order of the
    /// organizations' ids, after `after` and without `besides`.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn due_mails(
        &self,
        after: Option<OrganizationId>,
        besides: &[OrganizationId],
        limit: u32,
    ) -> Result<Vec<DueMail>> {
        let now = self.clock.now();
        Ok(self.storage.due_mails(now, after, besides, limit).await?)
    }

    /// Claims a mail that is due: nobody else gets it for as long as the lease.
    ///
    /// # Errors
    ///
    /// Only those of the storage, and that there is no randomness to be had.
    pub async fn claim_mail(&self, due: DueMail, lease: Duration) -> Result<Claim> {
        let token = Arc::new(TokenSecret::generate(TokenKind::PasswordLink, &*self.random)?);
        let input = (due, token, lease, self.change(Actor::Mail));
        self.storage
            .write(due.organization, input, |tx, (due, token, lease, change)| {
                Box::pin(claim_mail(tx, *due, token, *lease, change))
            })
            .await
    }

    /// Says that the mail server has taken a mail.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn mail_sent(&self, letter: &Letter) -> Result<()> {
        let change = self.change(Actor::Mail);
        let link = KeyDigest::of(letter.token.reveal());
        let input = (letter.organization, letter.mail.id, link, change);
        self.storage
            .write(
                letter.organization,
                input,
                |tx, (organization, mail, link, change)| {
                    Box::pin(mail_sent(tx, *organization, *mail, *link, change))
                },
            )
            .await
    }

    /// Says that a mail could not be sent. It is tried again after a pause, unless `retries` is None, or it is too old
    /// already. Returns it as it is now. None: it is gone, or another has claimed it meanwhile.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn mail_failed(
        &self,
        letter: &Letter,
        error: MailError,
        retries: Option<&Retries>,
    ) -> Result<Option<Mail>> {
        let change = self.change(Actor::Mail);
        let again = retries.and_then(|retries| {
            let at = change.at.saturating_add(retries.pause(letter.mail.attempts));
            let end = letter.mail.created_at.saturating_add(retries.give_up);
            (at < end).then_some(at)
        });
        let input = (letter.organization, letter.mail.clone(), error, again, change);
        self.storage
            .write(
                letter.organization,
                input,
                |tx, (organization, mail, error, again, change)| {
                    Box::pin(mail_failed(tx, *organization, mail, error, *again, change))
                },
            )
            .await
    }

    /// An organization's mails in the order in which they were queued, of all states or of one.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn mails(
        &self,
        grant: Read,
        state: Option<MailState>,
        page: PageRequest<MailId>,
    ) -> Result<Page<Mail>> {
        let limit = page.limit;
        let page = page.and_one_more();
        let mails = self.storage.mails(grant.organization, state, page).await?;
        Ok(Page::of(mails, limit))
    }

    /// Tries a mail again that was given up, and returns it. None: there is no such mail, or it was not given up.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn retry_mail(&self, grant: Write, mail: MailId) -> Result<Option<Mail>> {
        let input = (grant.organization, mail, self.clock.now());
        let mail = self
            .storage
            .write(grant.organization, input, |tx, (organization, mail, now)| {
                Box::pin(retry_mail(tx, *organization, *mail, *now))
            });
        let mail = mail.await?;
        self.mail_queued.notify_one();
        Ok(mail)
    }

    /// Removes every mail that was queued 30 days ago and has been sent or given up, in steps, and returns how many.
    ///
    /// # Errors
    ///
    /// Only those of the storage. What was removed before stays removed.
    pub async fn remove_old_mails(&self) -> Result<u64> {
        let until = before(self.clock.now(), KEPT);
        let mut all = 0;
        loop {
            // Mostly there is none, and then there is nothing to commit.
            if self
                .storage
                .oldest_settled_mail()
                .await?
                .is_none_or(|oldest| oldest > until)
            {
                return Ok(all);
            }
            let step = self.storage.write(None, until, |tx, until| {
                Box::pin(async move { Ok::<_, ServiceError>(tx.remove_old_mails(*until, STEP).await?) })
            });
            all += step.await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The same for those who can't do anything about an error: the log has it.
    pub(super) async fn old_mails(&self) {
        match self.remove_old_mails().await {
            // In the second case the storage has told the log.
            Ok(_) | Err(ServiceError::Unavailable(_)) => {}
            Err(error) => tracing::warn!(%error, "old mails could not be removed; it will be tried again"),
        }
    }

    /// Mails a link to set a new password to a live member. By address, nobody learns whether anybody has it, also not by the time that
    /// it takes: something is committed where there is nothing to change.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`] and [`Precondition::NoEmail`], if the member is not named by its address.
    /// [`ServiceError::RoleRequired`].
    pub async fn request_password_reset(&self, grant: Write, member: MemberRef) -> Result<()> {
        let change = self.change(grant.author);
        let mail = MailId::new(change.at, &*self.random)?;
        let input = (grant.organization, member, mail, change);
        let queued = self.storage.write(
            grant.organization,
            input,
            |tx, (organization, member, mail, change)| {
                Box::pin(request_password_reset(tx, *organization, member, *mail, change))
            },
        );
        if queued.await? {
            self.mail_queued.notify_one();
        } else {
            self.storage.touch().await?;
        }
        Ok(())
    }
}

/// Queues a mail to a member, if no other stands for it: one of the same kind that nobody has begun to send, or that is a
/// minute old at most, was not given up and goes to the address that the member has; or five of the last hour, of all kinds.
/// Those that were queued by a clock that was ahead don't count. Returns whether it did.
///
/// # Errors
///
/// Only those of the storage.
pub async fn queue_mail(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: &Member,
    kind: MailKind,
    id: MailId,
    now: Timestamp,
) -> Result<bool> {
    let (hour, recent) = (before(now, HOUR), before(now, RECENT));
    let mut others = tx
        .mails_to(organization, member.number, before(now, KEPT))
        .await?;
    others.retain(|other| !other.created_at.is_ahead_of(now));
    let stands_for_it = |other: &Mail| {
        let waits = other.state() == MailState::Queued && other.attempts == 0;
        let comes = other.state() != MailState::Failed && other.created_at >= member.email_since;
        other.kind == kind && (waits || comes && other.created_at > recent)
    };
    let of_the_hour = others.iter().filter(|other| other.created_at > hour).count();
    if of_the_hour >= HOURLY || others.iter().any(stands_for_it) {
        return Ok(false);
    }
    let mail = Mail::new(id, member.number, kind, now);
    tx.queue_mail(organization, &mail).await?;
    Ok(true)
}

/// The rule of [`Directory::request_password_reset`], and whether a mail was queued. Only that is an event.
///
/// # Errors
///
/// As there.
pub async fn request_password_reset(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: &MemberRef,
    mail: MailId,
    change: &Change,
) -> Result<bool> {
    let found = tx.stored_member(organization, member).await?;
    let found = match (found.filter(Member::is_live), member) {
        (None, MemberRef::Email(_)) => return Ok(false),
        (found, _) => found.ok_or(Resource::Member)?,
    };
    may_change(tx, organization, change, &[&found]).await?;
    if found.profile.email.is_none() {
        return Err(Precondition::NoEmail.into());
    }
    let kind = MailKind::PasswordReset;
    let queued = queue_mail(tx, organization, &found, kind, mail, change.at).await?;
    if queued {
        let (subject, event) = (
            Subject::Member(found.id, found.user_id),
            EventKind::CredentialResetRequested,
        );
        tx.append_event(Some(organization), event, subject, &[], change)
            .await?;
    }
    Ok(queued)
}

/// The rule of [`Directory::claim_mail`].
///
/// # Errors
///
/// As there.
pub async fn claim_mail(
    tx: &mut dyn Transaction,
    due: DueMail,
    token: &Arc<TokenSecret>,
    lease: Duration,
    change: &Change,
) -> Result<Claim> {
    let DueMail { organization, mail } = due;
    let now = change.at;
    let stored = tx.stored_mail(organization, mail).await?;
    let Some(mail) = stored.filter(|mail| mail.is_due(now)) else {
        return Ok(Claim::Nothing);
    };
    let of_mail = MemberRef::Number(mail.member);
    let member = tx.stored_member(organization, &of_mail).await?;
    let member = member.filter(|member| member.is_live() && member.access.enabled);
    let owner = tx.stored_organization(organization).await?;
    let owner = owner.filter(|owner| owner.deleted_at.is_none());
    let written_to = member.and_then(|member| Some((member.profile.email.clone()?, member)));
    let (Some(owner), Some((to, member))) = (owner, written_to) else {
        let error = MailError::new("the member is not live and enabled, or has no address");
        let error = error.map_err(std::io::Error::other)?;
        let failed = mail_failed(tx, organization, &mail, &error, None, change).await?;
        return Ok(failed.map_or(Claim::Nothing, Claim::GivenUp));
    };
    tx.insert_token(organization, &token.stored(member.number, now))
        .await?;
    let claimed = Mail {
        attempts: mail.attempts + 1,
        due_at: now.saturating_add(lease),
        ..mail
    };
    tx.save_mail(organization, &claimed).await?;
    let locale = owner.locale_for(member.profile.locale.as_ref()).cloned();
    Ok(Claim::Letter(Box::new(Letter {
        organization,
        mail: claimed,
        to,
        name: member.profile.name.clone(),
        brand: owner.brand_name().clone(),
        logo_url: owner.branding.logo_url,
        sender: owner.branding.sender,
        locale,
        token: token.clone(),
    })))
}

/// The rule of [`Directory::mail_sent`]. The links of other mails end, now that the member has a later one.
///
/// # Errors
///
/// As there.
pub async fn mail_sent(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    mail: MailId,
    link: KeyDigest,
    change: &Change,
) -> Result<()> {
    let stored = tx.stored_mail(organization, mail).await?;
    // It may be gone with its member, or have been sent by another who claimed it when the lease was over.
    let Some(mail) = stored.filter(|mail| mail.sent_at.is_none()) else {
        return Ok(());
    };
    let sent = Mail {
        sent_at: Some(change.at),
        failed_at: None,
        error: None,
        ..mail
    };
    tx.save_mail(organization, &sent).await?;
    // A mail that comes twice is shown once, and may be the first one: so the links of earlier attempts work on, unless
    // another mail was begun in the meantime.
    let others = tx
        .mails_to(organization, sent.member, before(sent.created_at, KEPT))
        .await?;
    let overtakes = |other: &Mail| {
        let open = other.sent_at.is_none_or(|at| at >= sent.created_at);
        other.id != sent.id && other.attempts > 0 && open
    };
    let mut first = sent.created_at;
    if sent.attempts == 1 || others.iter().any(overtakes) {
        // None: it is used, and the others with it.
        let own = tx.stored_token(organization, link).await?;
        first = own.map_or(first, |own| own.created_at);
    }
    tx.remove_tokens_before(organization, sent.member, TokenKind::PasswordLink, first)
        .await?;
    tell(tx, organization, &sent, EventKind::MailSent, change).await
}

/// The rule of [`Directory::mail_failed`]: the mail is tried again at a moment, or never.
///
/// # Errors
///
/// As there.
pub async fn mail_failed(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    mail: &Mail,
    error: &MailError,
    again: Option<Timestamp>,
    change: &Change,
) -> Result<Option<Mail>> {
    let stored = tx.stored_mail(organization, mail.id).await?;
    // By now another may have claimed it.
    let is_own = |stored: &Mail| stored.state() == MailState::Queued && stored.attempts == mail.attempts;
    let Some(stored) = stored.filter(is_own) else {
        return Ok(None);
    };
    let failed = Mail {
        due_at: again.unwrap_or(stored.due_at),
        failed_at: again.is_none().then_some(change.at),
        error: Some(error.clone()),
        ..stored
    };
    tx.save_mail(organization, &failed).await?;
    if again.is_none() {
        tell(tx, organization, &failed, EventKind::MailFailed, change).await?;
    }
    Ok(Some(failed))
}

/// The rule of [`Directory::retry_mail`].
///
/// # Errors
///
/// As there.
pub async fn retry_mail(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    mail: MailId,
    now: Timestamp,
) -> Result<Option<Mail>> {
    let stored = tx.stored_mail(organization, mail).await?;
    let Some(stored) = stored.filter(|mail| mail.state() == MailState::Failed) else {
        return Ok(None);
    };
    let again = Mail {
        due_at: now,
        failed_at: None,
        ..stored
    };
    tx.save_mail(organization, &again).await?;
    Ok(Some(again))
}

/// Adds the event of a mail that was settled.
async fn tell(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    mail: &Mail,
    kind: EventKind,
    change: &Change,
) -> Result<()> {
    let of_mail = MemberRef::Number(mail.member);
    if let Some(member) = tx.stored_member(organization, &of_mail).await? {
        let subject = Subject::Member(member.id, member.user_id);
        let fields = [mail.kind.as_str()];
        tx.append_event(Some(organization), kind, subject, &fields, change)
            .await?;
    }
    Ok(())
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_never_end() {
        let retries = Retries::default();
        for (attempts, least) in [(1, 30), (2, 60), (3, 120), (8, 3600), (1000, 3600)] {
            let pause = retries.pause(attempts);
            assert!(pause >= Duration::from_secs(least), "{attempts}: {pause:?}");
            assert!(pause <= retries.longest * 2, "{attempts}: {pause:?}");
        }
    }
}
