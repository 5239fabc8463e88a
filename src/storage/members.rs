//! Members.

use async_trait::async_trait;

use super::Result;
use crate::domain::{
    ApiKey, Association, Change, Email, ExternalId, HeldAddress, KeyDigest, Member, MemberId, MemberLookup,
    MemberNumber, MemberQuery, MemberRef, OrganizationId, PageRequest, PublicMember, RevokedFilter, Source,
    Timestamp, UserId,
};

/// What one look-up of the hot path found.
#[derive(Clone, Debug, Default)]
pub struct KeyAndMember {
    /// The key with the digest, as [`super::ApiKeyStore::api_key_by_digest`] says.
    pub key: Option<ApiKey>,
    /// The live member of the key's own organization, if it is an end user.
    pub member: Option<PublicMember>,
}

/// The users of an address, in all organizations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressHolders {
    /// Of the live links that have it, the one that has had it longest.
    pub has: Option<UserId>,
    /// Of the other links that had it, the one that had it last. Links to a deleted organization ended with it.
    pub had: Option<UserId>,
}

/// A live link of a user to a live organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLink {
    pub organization: OrganizationId,
    pub email: Option<Email>,
}

/// Reads of members, and the two hot paths.
#[async_trait]
pub trait MemberStore: Send + Sync {
    /// The key and, in the key's own organization and no other, the live end user: both in one step, because every
    /// integrator's `retrieve` needs both. Staff who are nothing else are not found. Whether the key may be used is for the caller to decide.
    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<KeyAndMember>;

    /// The member that a reference names. Revoked ones too, where it can name them.
    async fn member(&self, organization: OrganizationId, member: &MemberRef) -> Result<Option<Member>>;

    /// Those of these members that there are, revoked ones too, in any order.
    async fn members_by_id(&self, organization: OrganizationId, ids: &[MemberId]) -> Result<Vec<Member>>;

    /// One page of live members.
    async fn members(&self, organization: OrganizationId, query: MemberQuery) -> Result<Vec<Member>>;

    /// One page of live members and how many there are on all pages, both of the same moment. Counting all, or those of some
    /// roles, is cheap however many there are.
    async fn members_counted(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<(Vec<Member>, u64)>;

    /// One page of the members who were revoked, the last first; of one moment, the one with the higher number.
    async fn revoked_members(
        &self,
        organization: OrganizationId,
        filter: RevokedFilter,
        page: PageRequest<(Timestamp, MemberNumber)>,
    ) -> Result<Vec<Member>>;

    /// An integrator's `delete`: revokes the live link of an end user for good. Staff only cease to be end users; link and
    /// role stay, and the event says that `portal_role` has changed. False: no live end user here.
    async fn revoke_user(&self, organization: OrganizationId, user: UserId, change: Change) -> Result<bool>;

    /// A page of the user's links to this organization, in the order of their numbers, revoked ones too.
    async fn links_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: PageRequest<MemberNumber>,
    ) -> Result<Vec<Member>>;

    /// A page of the addresses that these links have or had, in the order of the links' numbers and of their versions.
    async fn addresses_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: PageRequest<(MemberNumber, i64)>,
    ) -> Result<Vec<HeldAddress>>;

    /// The user's live links, in the order of the organizations' slugs; only that to `only`, if it is given. The user
    /// comes first here because that is the question: where does this person belong?
    async fn associations(&self, user: UserId, only: Option<OrganizationId>) -> Result<Vec<Association>>;

    /// Members whose retention time has passed and who are not erased yet, of all organizations. With an organization, all
    /// its members end. In an order of which only erased ones drop out, and without the first `skip`. For the retention
    /// job, which belongs to no organization.
    async fn retention_due(
        &self,
        now: Timestamp,
        limit: u32,
        skip: u32,
    ) -> Result<Vec<(OrganizationId, MemberId)>>;
}

/// Changes of members, and of the users behind them.
#[async_trait]
pub trait MemberWrites {
    /// The member that a reference names. Revoked ones too, where it can name them.
    async fn stored_member(
        &mut self,
        organization: OrganizationId,
        member: &MemberRef,
    ) -> Result<Option<Member>>;

    /// The live members who have one of these addresses, in any order.
    async fn members_by_email(
        &mut self,
        organization: OrganizationId,
        emails: &[Email],
    ) -> Result<Vec<Member>>;

    /// The live members who have one of these ids of a source, in any order.
    async fn members_by_external_id(
        &mut self,
        organization: OrganizationId,
        source: &Source,
        ids: &[ExternalId],
    ) -> Result<Vec<Member>>;

    /// The numbers of those of these members who are live.
    async fn live_numbers(
        &mut self,
        organization: OrganizationId,
        members: &[MemberId],
    ) -> Result<Vec<MemberNumber>>;

    /// Whether an enabled owner is live besides this member.
    async fn has_other_owner(&mut self, organization: OrganizationId, besides: MemberNumber) -> Result<bool>;

    /// Whether one of these members is an owner, enabled or not, live or not.
    async fn has_owner(&mut self, organization: OrganizationId, members: &[MemberNumber]) -> Result<bool>;

    /// The first of so many numbers, one after the other, that no member of the organization has had. They are ascending.
    async fn next_member_numbers(
        &mut self,
        organization: OrganizationId,
        count: usize,
    ) -> Result<MemberNumber>;

    /// Adds a live member, its teams included, and its user if there is none of this id.
    ///
    /// # Errors
    ///
    /// [`crate::domain::Conflict::Member`]: a live member has the user, the address or the external id.
    async fn insert_member(&mut self, organization: OrganizationId, member: &Member) -> Result<()>;

    /// Has those who were revoked leave their places to a member who is about to be among those of [`Self::insert_members`],
    /// and whose user or address others have or had.
    async fn make_room(&mut self, organization: OrganizationId, member: &Member) -> Result<()>;

    /// Adds many live members who are in no team, as [`Self::insert_member`] adds one. There is room for them: nobody has or had their
    /// users and addresses, or it [was made](Self::make_room).
    ///
    /// # Errors
    ///
    /// As [`Self::insert_member`].
    async fn insert_members(&mut self, organization: OrganizationId, members: &[Member]) -> Result<()>;

    /// Replaces a member by what it is after a change, its teams included. Who it is does not change: its id, its number,
    /// its user, and when it was linked.
    ///
    /// # Errors
    ///
    /// As [`Self::insert_member`].
    async fn save_member(
        &mut self,
        organization: OrganizationId,
        before: &Member,
        after: &Member,
    ) -> Result<()>;

    /// Replaces what describes many live members by what it is after a change, of each before and after: its name and the parts of
    /// that, its picture, company, status and locale, where it came from, and when it was seen and changed. All else is as before,
    /// and no other live member has the external id.
    async fn describe_members(
        &mut self,
        organization: OrganizationId,
        members: &[(Member, Member)],
    ) -> Result<()>;

    /// Says of many members that they have changed in these fields: their versions grow, each with an event
    /// `member.updated`, in the order of their numbers.
    async fn touch_members(
        &mut self,
        organization: OrganizationId,
        members: &[MemberNumber],
        fields: &[&'static str],
        change: &Change,
    ) -> Result<()>;

    /// Notes that a live member was seen, unless a later time is noted that is not ahead of now. It leaves the version. A member that
    /// is gone is passed over.
    async fn record_seen(
        &mut self,
        organization: OrganizationId,
        member: MemberId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<()>;

    /// Whether there is such a user.
    async fn user_exists(&mut self, user: UserId) -> Result<bool>;

    /// Who has an address, and who had it. It takes no organization, because it tells nothing but users.
    async fn address_holders(&mut self, email: &Email) -> Result<AddressHolders>;

    /// Keeps others from asking whom these addresses lead to until the transaction ends. It is called once, with all that the
    /// transaction will ask about: who took some now and some later would wait for another who does the same.
    async fn hold_addresses(&mut self, emails: &[Email]) -> Result<()>;

    /// Those of these addresses, which are [held](Self::hold_addresses), that a link in any organization has or had. The others
    /// have no holders until the transaction ends, but for those that it makes.
    async fn linked_addresses(&mut self, emails: &[Email]) -> Result<Vec<Email>>;

    /// The live links of a user to live organizations.
    async fn live_links(&mut self, user: UserId) -> Result<Vec<LiveLink>>;

    /// Keeps an address that a member has given up.
    async fn keep_former_address(
        &mut self,
        organization: OrganizationId,
        address: &HeldAddress,
    ) -> Result<()>;

    /// Removes the addresses that a member had before.
    async fn remove_former_addresses(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
    ) -> Result<()>;
}
