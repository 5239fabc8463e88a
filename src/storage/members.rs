//! Members.

use async_trait::async_trait;

use super::{Answer, Change, Once, StoreError};
use crate::domain::{
    ApiKey, Email, ExternalId, HeldAddress, KeyDigest, Member, MemberEntry, MemberId, MemberLookup,
    MemberNumber, MemberPatch, Organization, OrganizationId, Origin, Page, Role, Source, TeamNumber,
    Timestamp, UserId,
};

/// Whom to link, and what is known of them.
#[derive(Clone, Debug)]
pub struct LinkMember {
    /// The id that a new link gets.
    pub id: MemberId,
    /// The id that a new user gets.
    pub new_user_id: UserId,
    /// A user who must exist. None: the one whom the address leads to, or a new one.
    pub user_id: Option<UserId>,
    /// Where the link comes from. A link that is there keeps its source, unless it has no external id and takes one with
    /// its source.
    pub origin: Origin,
    /// The values of a new link; those that differ are changed in one that is there. Without a portal role and a role the
    /// member becomes an end user; one who is keeps the portal role.
    pub values: MemberPatch,
    /// Do nothing about a member who has a role already.
    pub only_without_role: bool,
    /// Link staff: without a role among the values, with the one that the member has, or else the organization's default.
    pub staff: bool,
}

/// What linking did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// There was no live link; now there is.
    Created,
    /// There was one, and it was changed.
    Updated,
    /// There was one, and nothing about it changed.
    Found,
}

/// A link and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The link.
    pub entry: MemberEntry,
    /// What linking did.
    pub outcome: LinkOutcome,
}

/// What one look-up of the hot path found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The key with the digest, as [`super::ApiKeyStore::api_key_by_digest`] says.
    pub key: Option<ApiKey>,
    /// The live member of the key's own organization, if it is an end user.
    pub member: Option<Member>,
}

/// One way to name a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKey {
    /// Its id.
    Id(MemberId),
    /// Its number.
    Number(MemberNumber),
    /// The user it links. Only a live one.
    UserId(UserId),
    /// Its address, byte for byte. Only a live one.
    Email(Email),
    /// The id that a source has for it. Only a live one.
    ExternalId(Source, ExternalId),
}

/// From a moment on and until before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Which live members. What is set must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberFilter {
    /// Any of these; None stands for members without a role. Empty: all.
    pub roles: Vec<Option<Role>>,
    /// End users or not.
    pub end_user: Option<bool>,
    /// In this team.
    pub team: Option<TeamNumber>,
    /// Enabled or not.
    pub enabled: Option<bool>,
    /// From this source.
    pub source: Option<Source>,
    /// The address has any of these parts, whatever their letter case. Empty: all.
    pub email_parts: Vec<String>,
    /// The name has any of these parts, whatever their letter case. Empty: all.
    pub name_parts: Vec<String>,
    /// When it was linked.
    pub created: TimeRange,
    /// When it was last seen.
    pub seen: TimeRange,
}

impl MemberFilter {
    /// Whether it asks for roles and nothing else.
    #[must_use]
    pub fn is_of_roles(&self) -> bool {
        *self
            == Self {
                roles: self.roles.clone(),
                ..Self::default()
            }
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberOrder {
    /// As they were linked.
    #[default]
    Number,
    /// By name, byte for byte, then as they were linked. Those without a name come first.
    Name,
}

/// The last member of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its number.
    pub number: MemberNumber,
    /// Its name, where names give the order.
    pub name: Option<String>,
}

/// Most members to pass over in a read that is short.
const SHORT_SKIP: u64 = 10_000;

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberQuery {
    /// Which.
    pub filter: MemberFilter,
    /// In which order.
    pub order: MemberOrder,
    /// The other way round.
    pub descending: bool,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// How many to pass over from there.
    pub skip: u64,
    /// The most members to return.
    pub limit: u32,
}

impl MemberQuery {
    /// Whether the page is read from an index, from where it begins: whatever the filter lets through comes one after the
    /// other.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let filter = MemberFilter {
            roles: Vec::new(),
            team: None,
            ..self.filter.clone()
        };
        let (roles, team) = (&self.filter.roles, self.filter.team);
        let in_order = match self.order {
            MemberOrder::Number => roles.is_empty() || (team.is_none() && !roles.contains(&None)),
            MemberOrder::Name => roles.is_empty() && team.is_none(),
        };
        in_order && self.skip <= SHORT_SKIP && filter == MemberFilter::default()
    }

    /// The same page, read from the nearer end of a list of this many, and whether that is the far one: then the members
    /// come the other way round.
    #[must_use]
    pub fn from_nearer_end(self, total: u64) -> (Self, bool) {
        let wanted = self.skip.saturating_add(self.limit.into());
        let behind = total.saturating_sub(wanted);
        if self.after.is_some() || self.skip <= behind {
            return (self, false);
        }
        let there = total.saturating_sub(self.skip).min(self.limit.into());
        let query = Self {
            descending: !self.descending,
            skip: behind,
            limit: u32::try_from(there).unwrap_or(self.limit),
            ..self
        };
        (query, true)
    }
}

/// A live link of a user to an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The organization, live.
    pub organization: Organization,
    /// The link.
    pub member_id: MemberId,
    /// The role there.
    pub role: Option<Role>,
}

/// The receipt of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// When.
    pub at: Timestamp,
    /// The event that proves it.
    pub sequence: i64,
}

/// Members.
#[async_trait]
pub trait MemberStore: Send + Sync {
    /// Links a user, or finds and updates the live link that is there: by `user_id`, else by source and external id,
    /// else by address.
    ///
    /// Without a link and without `user_id`, the address leads to a user: to the one who has it on a live link, of several
    /// to the one whose link has had it longest; else to the one who had it last, unless that one has a live link
    /// under another address. A user who has a live link here already is not linked again. Then, and where there is no
    /// such user, a new one is linked.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Organization`]. [`super::Missing::User`]: no user has `user_id`. [`super::Missing::Team`].
    /// [`super::Conflict::Member`]: another live member has the user, the address or the external id; or it has a role,
    /// and only one without is to be linked. [`super::Precondition::LastOwner`].
    /// [`super::Precondition::IdempotencyKeyReused`]. [`super::Precondition::MemberErased`]: it is a repetition, and the
    /// member that it linked was erased since.
    async fn link_member(
        &self,
        organization: OrganizationId,
        link: LinkMember,
        once: Once<Linked>,
        change: Change,
    ) -> Result<Answer<Linked>, StoreError>;

    /// The key and, in the key's own organization and no other, the live end user: both in one step, because every
    /// integrator's `retrieve` needs both. Staff who are nothing else are not found. Whether the key may be used is for the caller to decide.
    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<Found, StoreError>;

    /// One member. A revoked one is found only if asked for, and only by id or number.
    async fn member(
        &self,
        organization: OrganizationId,
        key: MemberKey,
        include_revoked: bool,
    ) -> Result<Option<MemberEntry>, StoreError>;

    /// Those of these members that there are, in any order.
    async fn members_by_id(
        &self,
        organization: OrganizationId,
        ids: Vec<MemberId>,
        include_revoked: bool,
    ) -> Result<Vec<MemberEntry>, StoreError>;

    /// One page of live members.
    async fn members(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<Vec<MemberEntry>, StoreError>;

    /// One page of live members and how many there are on all pages, both of the same moment.
    async fn members_counted(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<(Vec<MemberEntry>, u64), StoreError>;

    /// How many live members the filter lets through. Counting all, or those of some roles, is cheap however many there
    /// are.
    async fn count_members(
        &self,
        organization: OrganizationId,
        filter: MemberFilter,
    ) -> Result<u64, StoreError>;

    /// Changes a live member and returns it. A patch that changes nothing has no event.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Member`]. [`super::Missing::Team`]. [`StoreError::VersionMismatch`].
    /// [`super::Conflict::Member`]. [`super::Precondition::LastOwner`]. [`super::Precondition::LastFacet`].
    async fn update_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        patch: MemberPatch,
        version: Option<i64>,
        change: Change,
    ) -> Result<MemberEntry, StoreError>;

    /// An integrator's `delete`: revokes the live link of an end user for good. Staff only cease to be end users; link and
    /// role stay, and the event says that `portal_role` has changed. False: no live end user here.
    async fn revoke_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool, StoreError>;

    /// Revokes a live member and returns it.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Member`]. [`StoreError::VersionMismatch`]. [`super::Precondition::LastOwner`].
    async fn revoke_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        version: Option<i64>,
        change: Change,
    ) -> Result<MemberEntry, StoreError>;

    /// Makes a revoked member live again and returns it.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Member`]. [`super::Conflict::Member`]. [`super::Precondition::MemberNotRevoked`],
    /// [`super::Precondition::MemberErased`], [`super::Precondition::RetentionPassed`].
    async fn restore_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        change: Change,
    ) -> Result<MemberEntry, StoreError>;

    /// Removes a member's personal data for good; a live member is revoked first. Erasing again returns the first
    /// receipt.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Member`]. [`super::Precondition::LastOwner`].
    async fn erase_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        change: Change,
    ) -> Result<Erasure, StoreError>;

    /// A page of the user's links to this organization, in the order of their numbers, revoked ones too.
    async fn links_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: Page<MemberNumber>,
    ) -> Result<Vec<MemberEntry>, StoreError>;

    /// A page of the addresses that these links have or had, in the order of the links' numbers and of their versions.
    async fn addresses_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: Page<(MemberNumber, i64)>,
    ) -> Result<Vec<HeldAddress>, StoreError>;

    /// The user's live links, in the order of the organizations' slugs; only that to `only`, if it is given. The user
    /// comes first here because that is the question: where does this person belong?
    async fn associations(
        &self,
        user: UserId,
        only: Option<OrganizationId>,
    ) -> Result<Vec<Association>, StoreError>;

    /// Notes when members were last seen; an older time does not replace a newer one. It is no change: it has no event
    /// and leaves the version. Members that are gone are passed over.
    async fn record_seen(&self, seen: Vec<(OrganizationId, MemberId, Timestamp)>) -> Result<(), StoreError>;

    /// Members whose retention time has passed and who are not erased yet, of all organizations. With an organization, all
    /// its members end. In an order of which only erased ones drop out, and without the first `skip`. For the retention
    /// job, which belongs to no organization.
    async fn retention_due(
        &self,
        now: Timestamp,
        limit: u32,
        skip: u32,
    ) -> Result<Vec<(OrganizationId, MemberId)>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_may_look_at_everybody_is_not_short() {
        let of = |filter: MemberFilter| MemberQuery {
            filter,
            ..MemberQuery::default()
        };
        let staff = MemberFilter {
            roles: Role::ALL.iter().copied().map(Some).collect(),
            ..MemberFilter::default()
        };
        let by_name = |filter| MemberQuery {
            order: MemberOrder::Name,
            ..of(filter)
        };
        let team = MemberFilter {
            team: Some(TeamNumber(2)),
            ..MemberFilter::default()
        };
        for short in [
            of(MemberFilter::default()),
            by_name(MemberFilter::default()),
            of(staff.clone()),
            of(team.clone()),
        ] {
            assert!(short.is_short(), "{short:?}");
        }
        let part = MemberFilter {
            name_parts: vec!["zz".to_owned()],
            ..MemberFilter::default()
        };
        let enabled = MemberFilter {
            enabled: Some(false),
            ..MemberFilter::default()
        };
        let far = MemberQuery {
            skip: SHORT_SKIP + 1,
            ..MemberQuery::default()
        };
        for long in [of(part), of(enabled), by_name(staff), by_name(team), far] {
            assert!(!long.is_short(), "{long:?}");
        }
    }

    #[test]
    fn every_page_is_the_same_from_either_end() {
        for total in 0..12_u64 {
            let list: Vec<_> = (0..total).collect();
            for skip in 0..14 {
                for limit in 1..6 {
                    let query = MemberQuery {
                        skip,
                        limit,
                        ..MemberQuery::default()
                    };
                    let read = |query: &MemberQuery| -> Vec<u64> {
                        let mut list = list.clone();
                        if query.descending {
                            list.reverse();
                        }
                        let (skip, limit) = (query.skip, query.limit);
                        list.into_iter()
                            .skip(usize::try_from(skip).unwrap())
                            .take(usize::try_from(limit).unwrap())
                            .collect()
                    };
                    let expected = read(&query);
                    let (query, reversed) = query.from_nearer_end(total);
                    assert!(query.skip <= total / 2, "{skip} {limit} of {total}: {query:?}");
                    let mut found = read(&query);
                    if reversed {
                        found.reverse();
                    }
                    assert_eq!(found, expected, "{skip} {limit} of {total}");
                }
            }
        }
    }
}
