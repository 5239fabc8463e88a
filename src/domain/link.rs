//! Linking users to organizations, and what comes of it.

use super::{Member, MemberId, MemberPatch, Organization, Origin, Role, Timestamp, UserId};

/// Whom to link to an organization, and what it knows of them.
#[derive(Clone, Debug, Default)]
pub struct LinkRequest {
    /// A user who must exist. None: the one whom the address leads to, or a new one.
    pub user_id: Option<UserId>,
    /// Where the link comes from. A link that is there keeps its source, unless it has no external id and takes one with
    /// its source.
    pub origin: Origin,
    /// The values of a new link; those that differ are changed in one that is there. Without a portal role, a role and
    /// `staff` the member becomes an end user; one who is keeps the portal role.
    pub values: MemberPatch,
    /// Refuse a member who has a role already.
    pub only_without_role: bool,
    /// Link staff: without a role among the values, with the one that the member has, or else the organization's default.
    pub staff: bool,
    /// If this makes staff of somebody who has an address and was not staff, mail a welcome.
    pub send_onboarding_mail: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// There was no live link; now there is.
    Created,
    /// There was one, and it was changed.
    Updated,
    /// There was one, and nothing about it changed.
    Unchanged,
}

/// A link and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub member: Member,
    pub outcome: LinkOutcome,
}

/// A live link of a user to an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The organization, live.
    pub organization: Organization,
    pub member_id: MemberId,
    pub role: Option<Role>,
}

/// The receipt of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub at: Timestamp,
    /// The event that proves it.
    pub sequence: i64,
}
