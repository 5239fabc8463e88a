//! What a case works with: an empty storage, a clock that ticks, and short ways to make things.

use crate::support::rules::{LinkMember, NewApiKey};
use std::{
    ops::Deref,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use userbridge::{
    domain::{
        Actor, ApiKey, ApiKeyId, Branding, Change, Email, Event, EventQuery, Idempotency, KeyDigest, Linked,
        Member, MemberId, MemberLookup, MemberQuery, MemberRef, Organization, OrganizationId,
        OrganizationName, Origin, PageRequest, Profile, Role, Scope, Slug, Timestamp, UserId,
    },
    service::ServiceError,
};

use crate::support::{
    RANDOM,
    engine::{Engine, open},
    first, log, patch,
    rules::Rules,
};

/// An open storage. It derefs to the storage itself.
#[derive(Clone)]
pub(super) struct Fixture {
    storage: Rules,
    engine: Arc<dyn Engine>,
    millis: Arc<AtomicI64>,
}

impl Deref for Fixture {
    type Target = Rules;

    fn deref(&self) -> &Self::Target {
        &self.storage
    }
}

/// A member that is not stored.
#[derive(Clone, Debug)]
pub(super) struct NewMember {
    /// The id of its link.
    pub id: MemberId,
    /// Who it is.
    pub user: LinkedUser,
    /// What is known of them.
    pub profile: Profile,
}

/// Who is to be linked.
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkedUser {
    /// A user who must exist.
    Known(UserId),
    /// The one whom the address belongs to, or a new one with this id.
    ByEmail(UserId),
}

/// A call that has not begun.
pub(super) type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, ServiceError>> + Send + 'a>>;

/// A page that holds everything.
pub(super) const fn all<K>() -> PageRequest<K> {
    PageRequest {
        after: None,
        limit: u32::MAX,
    }
}

/// The first moment of each case.
const BEGIN: i64 = 1_775_030_400_000;

impl Fixture {
    pub(super) async fn new<E: Engine + 'static>() -> Option<Self> {
        let engine = E::new().await?;
        Some(Self::on(Arc::new(engine)).await)
    }

    /// The database must be empty.
    pub(super) async fn on(engine: Arc<dyn Engine>) -> Self {
        log();
        Self {
            storage: Rules(open(engine.url()).await),
            engine,
            millis: Arc::new(AtomicI64::new(BEGIN)),
        }
    }

    /// The same storage, which somebody has emptied.
    pub(super) fn anew(&self) -> Self {
        let millis = Arc::new(AtomicI64::new(BEGIN));
        Self {
            millis,
            ..self.clone()
        }
    }

    /// The storage, where a method of the fixture has the same name.
    pub(super) fn storage(&self) -> &Rules {
        &self.storage
    }

    /// Opens the same database once more.
    pub(super) async fn reopened(&self) -> Self {
        Self {
            storage: Rules(open(self.engine.url()).await),
            ..self.clone()
        }
    }

    /// The next millisecond.
    pub(super) fn tick(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.fetch_add(1, Ordering::Relaxed))
    }

    /// A change by the operator, now.
    pub(super) fn change(&self) -> Change {
        Change {
            actor: Actor::Operator,
            at: self.tick(),
            client: None,
            source: None,
        }
    }

    #[expect(clippy::unused_self, reason = "as the other ways to make an id")]
    pub(super) fn user_id(&self) -> UserId {
        UserId::new(RANDOM).unwrap()
    }

    /// An organization that is not stored.
    pub(super) fn new_organization(&self, slug: &str) -> Organization {
        let created_at = self.tick();
        Organization {
            id: OrganizationId::new(created_at, RANDOM).unwrap(),
            slug: Slug::new(slug).unwrap(),
            name: OrganizationName::new(format!("The {slug}")).unwrap(),
            default_role: Role::Viewer,
            retention_days: None,
            branding: Branding::default(),
            created_at,
            deleted_at: None,
        }
    }

    /// A stored organization.
    pub(super) async fn organization(&self, slug: &str) -> OrganizationId {
        let organization = self.new_organization(slug);
        let id = organization.id;
        self.create_organization(organization, self.change())
            .await
            .unwrap();
        id
    }

    /// A key that is not stored. Its secret is its id.
    pub(super) fn new_key(&self, organization: OrganizationId, scopes: &[Scope]) -> NewApiKey {
        let created_at = self.tick();
        let id = ApiKeyId::new(created_at, RANDOM).unwrap();
        NewApiKey {
            key: ApiKey {
                id,
                organization_id: Some(organization),
                scopes: scopes.iter().copied().collect(),
                hint: "pb_01234".to_owned(),
                created_at,
                expires_at: None,
                superseded_at: None,
                revoked_at: None,
                last_used_at: None,
            },
            digest: KeyDigest::of(&id.to_string()),
        }
    }

    /// A stored public key.
    pub(super) async fn public_key(&self, organization: OrganizationId) -> NewApiKey {
        let key = self.new_key(organization, &[Scope::PublicApi]);
        self.create_api_key(organization, key.clone(), self.change())
            .await
            .unwrap();
        key
    }

    /// The key as it is stored now.
    pub(super) async fn stored(&self, key: &NewApiKey) -> ApiKey {
        self.api_key_by_digest(key.digest).await.unwrap().unwrap()
    }

    /// A member that is not stored, of the person whom the address belongs to.
    pub(super) fn new_member(&self, email: &str) -> NewMember {
        NewMember {
            id: MemberId::new(self.tick(), RANDOM).unwrap(),
            user: LinkedUser::ByEmail(self.user_id()),
            profile: profile(email),
        }
    }

    /// Links the person whom the address belongs to.
    pub(super) async fn try_link(
        &self,
        organization: OrganizationId,
        email: &str,
    ) -> Result<Member, ServiceError> {
        self.link_member(organization, self.new_member(email), self.change())
            .await
    }

    /// As [`Fixture::try_link`], of which nothing is in the way.
    pub(super) async fn link(&self, organization: OrganizationId, email: &str) -> Member {
        self.try_link(organization, email).await.unwrap()
    }

    /// Links a known user, under an address.
    pub(super) async fn link_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        email: &str,
    ) -> Result<Member, ServiceError> {
        let new = NewMember {
            user: LinkedUser::Known(user),
            ..self.new_member(email)
        };
        self.link_member(organization, new, self.change()).await
    }

    /// All events of an organization.
    pub(super) async fn log_of(&self, organization: OrganizationId) -> Vec<Event> {
        self.events(organization, all()).await.unwrap()
    }
}

/// Short forms of the storage's own methods, which they hide: for organizations, requests that are not repeated, and
/// members of which only what integrators see matters.
impl Fixture {
    pub(super) async fn create_organization(
        &self,
        organization: Organization,
        change: Change,
    ) -> Result<(), ServiceError> {
        self.storage
            .create_organization(organization, Idempotency::never(), change)
            .await
            .map(|_| ())
    }

    pub(super) async fn create_api_key(
        &self,
        organization: OrganizationId,
        key: NewApiKey,
        change: Change,
    ) -> Result<(), ServiceError> {
        self.storage
            .create_api_key(Some(organization), key, Idempotency::never(), change)
            .await
            .map(|_| ())
    }

    pub(super) async fn rotate_api_key(
        &self,
        organization: OrganizationId,
        old: ApiKeyId,
        old_expires_at: Timestamp,
        new: NewApiKey,
        change: Change,
    ) -> Result<(), ServiceError> {
        self.storage
            .rotate_api_key(
                Some(organization),
                old,
                old_expires_at,
                new,
                Idempotency::never(),
                change,
            )
            .await
            .map(|_| ())
    }

    pub(super) async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        key: ApiKeyId,
        change: Change,
    ) -> Result<bool, ServiceError> {
        self.storage.revoke_api_key(Some(organization), key, change).await
    }

    pub(super) async fn api_keys(
        &self,
        organization: OrganizationId,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Vec<ApiKey>, ServiceError> {
        Ok(self.storage.api_keys(Some(organization), page).await?)
    }

    /// Links somebody and says how that came about.
    pub(super) fn linked(
        &self,
        organization: OrganizationId,
        new: NewMember,
        change: Change,
    ) -> Call<'_, Linked> {
        let (user_id, new_user_id) = match new.user {
            LinkedUser::Known(user) => (Some(user), self.user_id()),
            LinkedUser::ByEmail(user) => (None, user),
        };
        let link = LinkMember {
            only_without_role: false,
            send_onboarding_mail: false,
            staff: false,
            id: new.id,
            new_user_id,
            user_id,
            origin: Origin::default(),
            values: patch(new.profile),
        };
        let answer = self
            .storage
            .link_member(organization, link, Idempotency::never(), change);
        Box::pin(async move { answer.await.map(first) })
    }

    /// Links somebody.
    pub(super) fn link_member(
        &self,
        organization: OrganizationId,
        new: NewMember,
        change: Change,
    ) -> Call<'_, Member> {
        let linked = self.linked(organization, new, change);
        Box::pin(async move { Ok(linked.await?.member) })
    }

    pub(super) async fn member(
        &self,
        organization: OrganizationId,
        lookup: MemberLookup,
    ) -> Result<Option<Member>, ServiceError> {
        let key = match lookup {
            MemberLookup::UserId(user) => MemberRef::UserId(user),
            MemberLookup::Email(email) => match Email::new(email) {
                Ok(email) => MemberRef::Email(email),
                Err(_) => return Ok(None),
            },
        };
        let found = self.storage.member(organization, key, false).await?;
        Ok(found)
    }

    /// All live members.
    pub(super) async fn members(
        &self,
        organization: OrganizationId,
        page: PageRequest<userbridge::domain::Cursor>,
    ) -> Result<Vec<Member>, ServiceError> {
        let PageRequest { after, limit } = page;
        let query = MemberQuery {
            after,
            limit,
            ..MemberQuery::default()
        };
        let found = self.storage.members(organization, query).await?;
        Ok(found)
    }

    pub(super) async fn revoke_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool, ServiceError> {
        Ok(self.storage.revoke_user(organization, user, change).await?)
    }

    pub(super) async fn events(
        &self,
        organization: OrganizationId,
        page: PageRequest<i64>,
    ) -> Result<Vec<Event>, ServiceError> {
        let query = EventQuery {
            after: page.after.unwrap_or_default(),
            limit: page.limit,
            ..EventQuery::default()
        };
        Ok(self.storage.events(Some(organization), query).await?)
    }
}

/// A profile of which only the address is known.
pub(super) fn profile(email: &str) -> Profile {
    Profile {
        email: Some(Email::new(email).unwrap()),
        ..Profile::default()
    }
}
