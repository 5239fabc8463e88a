//! Mails to members: what waits to be sent, and what became of it.
//!
//! A mail has neither an address nor a text nor a secret. Whom it goes to, what it says, and the token of its link are known
//! only while it is sent.

use super::{MailId, MemberNumber, OrganizationId, Timestamp, names::names, text::text};

names! {
    /// What a mail is about. Each has a link to set a password.
    MailKind, "must be one of onboarding, password_reset",
    /// The welcome of somebody who became staff.
    Onboarding = "onboarding",
    /// What somebody gets who asked for a new password.
    PasswordReset = "password_reset",
}

names! {
    /// Where a mail stands.
    MailState, "must be one of queued, sent, failed",
    /// It is yet to be sent.
    Queued = "queued",
    /// The mail server has taken it.
    Sent = "sent",
    /// It is not tried any more.
    Failed = "failed",
}

text!(
    /// Why a mail could not be sent, for operators: no address, no secret.
    MailError, max 255
);

/// A mail to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub id: MailId,
    /// Whom it is to.
    pub member: MemberNumber,
    pub kind: MailKind,
    pub created_at: Timestamp,
    /// From when on it may be sent. While it is being sent, the end of that: later it is tried anew.
    pub due_at: Timestamp,
    /// How often it was begun to send it.
    pub attempts: i64,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<MailError>,
}

impl Mail {
    /// A mail that may be sent at once.
    #[must_use]
    pub const fn new(id: MailId, member: MemberNumber, kind: MailKind, now: Timestamp) -> Self {
        Self {
            id,
            member,
            kind,
            created_at: now,
            due_at: now,
            attempts: 0,
            sent_at: None,
            failed_at: None,
            error: None,
        }
    }

    #[must_use]
    pub const fn state(&self) -> MailState {
        match (self.sent_at, self.failed_at) {
            (Some(_), _) => MailState::Sent,
            (None, Some(_)) => MailState::Failed,
            (None, None) => MailState::Queued,
        }
    }

    /// Whether it is to be sent now.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state() == MailState::Queued && self.due_at <= now
    }
}

/// A mail that is to be sent now, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueMail {
    pub organization: OrganizationId,
    pub mail: MailId,
}
