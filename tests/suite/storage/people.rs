//! Members with all that is managed about them: short ways to make, change and look at one.

use crate::support::rules::LinkMember;
use userbridge::{
    domain::{
        Change, Email, Erasure, Event, HeldAddress, Idempotency, Linked, Member, MemberFilter, MemberId,
        MemberPatch, MemberQuery, MemberRef, OrganizationId, OrganizationPatch, Origin, PageRequest, Role,
        Timestamp, UserId,
    },
    service::ServiceError,
};

use super::fixture::Fixture;
use crate::support::{Count as _, RANDOM, first};

/// That a call failed, and how.
macro_rules! assert_fails {
    ($call:expr, $error:pat) => {{
        let result = $call;
        assert!(matches!(result, Err($error)), "{result:?}");
    }};
}
pub(super) use assert_fails;

/// A day, in milliseconds.
pub(super) const DAY: i64 = 24 * 60 * 60 * 1000;

/// A patch of these fields.
macro_rules! values {
    ($($field:ident: $value:expr),* $(,)?) => {
        ::userbridge::domain::MemberPatch {
            $($field: Some($value),)*
            ..::userbridge::domain::MemberPatch::default()
        }
    };
}
pub(super) use values;

/// A value of a field that may be absent.
#[expect(clippy::unnecessary_wraps, reason = "it is what a patch takes")]
pub(super) fn set<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Option<T> {
    Some(text.parse().unwrap())
}

/// An address and nothing else.
pub(super) fn address(email: &str) -> MemberPatch {
    values! { email: set(email) }
}

/// A moment this much later.
pub(super) fn later(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + millis)
}

/// An origin of this source.
pub(super) fn origin(source: &str, external_id: &str) -> Origin {
    Origin {
        source: source.parse().unwrap(),
        external_id: set(external_id),
    }
}

impl Fixture {
    /// A link with these values, that is not stored.
    pub(super) fn link_with(&self, values: MemberPatch) -> LinkMember {
        LinkMember {
            only_without_role: false,
            send_onboarding_mail: false,
            staff: false,
            id: MemberId::new(self.tick(), RANDOM).unwrap(),
            new_user_id: self.user_id(),
            user_id: None,
            origin: Origin::default(),
            values,
        }
    }

    /// Links, and says how that came about.
    pub(super) async fn link_as(
        &self,
        organization: OrganizationId,
        link: LinkMember,
    ) -> Result<Linked, ServiceError> {
        let change = self.change();
        let answer = self
            .storage()
            .link_member(organization, link, Idempotency::never(), change);
        answer.await.map(first)
    }

    /// A new member with these values.
    pub(super) async fn person(&self, organization: OrganizationId, values: MemberPatch) -> Member {
        let link = self.link_with(values);
        self.link_as(organization, link).await.unwrap().member
    }

    /// A new member with this address and this role.
    pub(super) async fn holder(&self, organization: OrganizationId, email: &str, role: Role) -> Member {
        let values = values! { email: set(email), role: Some(role) };
        self.person(organization, values).await
    }

    /// The member as it is stored now, live or not.
    pub(super) async fn now(&self, organization: OrganizationId, member: &Member) -> Member {
        let key = MemberRef::Id(member.id);
        let found = self.storage().member(organization, key, true).await.unwrap();
        found.unwrap()
    }

    /// Whether a live member has the key.
    pub(super) async fn finds(&self, organization: OrganizationId, key: MemberRef) -> Option<MemberId> {
        let found = self.storage().member(organization, key, false).await.unwrap();
        found.map(|entry| entry.id)
    }

    pub(super) async fn update(
        &self,
        organization: OrganizationId,
        member: &Member,
        patch: MemberPatch,
    ) -> Result<Member, ServiceError> {
        let change = self.change();
        self.storage()
            .update_member(organization, member.id, patch, None, change)
            .await
    }

    pub(super) async fn revoke(
        &self,
        organization: OrganizationId,
        member: &Member,
    ) -> Result<Member, ServiceError> {
        let change = self.change();
        self.storage()
            .revoke_member(organization, member.id, None, change)
            .await
    }

    pub(super) async fn restore_at(
        &self,
        organization: OrganizationId,
        member: &Member,
        at: Timestamp,
    ) -> Result<Member, ServiceError> {
        let change = Change { at, ..self.change() };
        self.storage()
            .restore_member(organization, member.id, change)
            .await
    }

    pub(super) async fn restore(
        &self,
        organization: OrganizationId,
        member: &Member,
    ) -> Result<Member, ServiceError> {
        self.restore_at(organization, member, self.tick()).await
    }

    pub(super) async fn erase(
        &self,
        organization: OrganizationId,
        member: &Member,
    ) -> Result<Erasure, ServiceError> {
        let change = self.change();
        self.storage().erase_member(organization, member.id, change).await
    }

    /// Sets how long an organization keeps those that it revoked.
    pub(super) async fn keep_for(&self, organization: OrganizationId, days: Option<u16>) {
        let patch = OrganizationPatch {
            retention_days: Some(days),
            ..OrganizationPatch::default()
        };
        let change = self.change();
        self.storage()
            .update_organization(organization, patch, change)
            .await
            .unwrap();
    }

    /// A page.
    pub(super) async fn list(&self, organization: OrganizationId, query: MemberQuery) -> Vec<Member> {
        self.storage().members(organization, query).await.unwrap()
    }

    /// Everybody whom a filter lets through, and that they are as many as are counted.
    pub(super) async fn filtered(&self, organization: OrganizationId, filter: MemberFilter) -> Vec<Member> {
        let query = MemberQuery {
            filter: filter.clone(),
            limit: u32::MAX,
            ..MemberQuery::default()
        };
        let found = self.list(organization, query).await;
        let counted = self.storage().count_members(organization, filter.clone());
        assert_eq!(counted.await.unwrap(), found.len() as u64, "{filter:?}");
        found
    }

    /// Every link of a user, read in pages of one.
    pub(super) async fn links_of(&self, organization: OrganizationId, user: UserId) -> Vec<Member> {
        let mut links: Vec<Member> = Vec::new();
        loop {
            let page = PageRequest {
                after: links.last().map(|link| link.number),
                limit: 1,
            };
            let found = self.storage().links_of_user(organization, user, page).await;
            match found.unwrap().pop() {
                Some(link) => links.push(link),
                None => return links,
            }
        }
    }

    /// Every address that a user's links have or had, read in pages of one.
    pub(super) async fn addresses_of(&self, organization: OrganizationId, user: UserId) -> Vec<HeldAddress> {
        let mut addresses: Vec<HeldAddress> = Vec::new();
        loop {
            let page = PageRequest {
                after: addresses.last().map(|held| (held.number, held.version)),
                limit: 1,
            };
            let found = self.storage().addresses_of_user(organization, user, page).await;
            match found.unwrap().pop() {
                Some(held) => addresses.push(held),
                None => return addresses,
            }
        }
    }

    /// The newest event.
    pub(super) async fn last_event(&self, organization: OrganizationId) -> Event {
        self.log_of(organization).await.pop().unwrap()
    }
}

/// The names of members, in their order; a dash for each without one.
pub(super) fn names(members: &[Member]) -> Vec<&str> {
    members
        .iter()
        .map(|entry| entry.profile.name.as_ref().map_or("-", |name| name.as_str()))
        .collect()
}

/// The numbers of members, in their order.
pub(super) fn numbers(members: &[Member]) -> Vec<i64> {
    members.iter().map(|entry| entry.number.0).collect()
}

/// The key of this address.
pub(super) fn by_email(email: &str) -> MemberRef {
    MemberRef::Email(Email::new(email).unwrap())
}
