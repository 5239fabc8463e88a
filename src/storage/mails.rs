//! Mails that wait to be sent, and those that were.

use async_trait::async_trait;

use super::Result;
use crate::domain::{DueMail, Mail, MailId, MailState, MemberNumber, OrganizationId, PageRequest, Timestamp};

/// Reads of mails.
#[async_trait]
pub trait MailStore: Send + Sync {
    /// A page of an organization's mails in the order in which they were queued, of all states or of one.
    async fn mails(
        &self,
        organization: OrganizationId,
        state: Option<MailState>,
        page: PageRequest<MailId>,
    ) -> Result<Vec<Mail>>;

    /// Of each organization that has mails to be sent at this moment, the one that has waited longest; in the order of the
    /// organizations' ids, after `after` and without `besides`. For the worker, which belongs to no organization.
    async fn due_mails(
        &self,
        now: Timestamp,
        after: Option<OrganizationId>,
        besides: &[OrganizationId],
        limit: u32,
    ) -> Result<Vec<DueMail>>;

    /// When the oldest mail was queued that has been sent or given up, of all organizations.
    async fn oldest_settled_mail(&self) -> Result<Option<Timestamp>>;
}

/// Changes of mails.
#[async_trait]
pub trait MailWrites {
    /// Adds a mail.
    async fn queue_mail(&mut self, organization: OrganizationId, mail: &Mail) -> Result<()>;

    /// The mail with this id.
    async fn stored_mail(&mut self, organization: OrganizationId, mail: MailId) -> Result<Option<Mail>>;

    /// A member's mails that were queued at this moment or later, the first one first.
    async fn mails_to(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        since: Timestamp,
    ) -> Result<Vec<Mail>>;

    /// Replaces what becomes of a mail: when it is due, how often it was tried, and how it ended.
    async fn save_mail(&mut self, organization: OrganizationId, mail: &Mail) -> Result<()>;

    /// Removes all mails to a member.
    async fn remove_mails(&mut self, organization: OrganizationId, member: MemberNumber) -> Result<()>;

    /// Removes mails that were queued at this moment or before and sent or given up, of all organizations, the oldest first
    /// and at most `limit`, and returns how many.
    async fn remove_old_mails(&mut self, until: Timestamp, limit: u32) -> Result<u64>;
}
