//! What a case works with: an empty storage, a clock that ticks, and short ways to make things.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use tempfile::TempDir;
use userbridge::{
    domain::{
        Actor, ApiKey, ApiKeyId, Email, Event, KeyDigest, Member, MemberId, Organization, OrganizationId,
        OrganizationName, Page, Profile, Scope, Slug, Timestamp, UserId,
    },
    storage::{self, Change, LinkedUser, Migrate, NewApiKey, NewMember, Storage, StoreError},
};

use crate::support::{RANDOM, database, log};

/// A storage engine: knows how to make an empty database and how to open it.
#[async_trait(?Send)]
pub(super) trait Engine: Send + Sync {
    /// A new, empty database.
    fn new() -> Self
    where
        Self: Sized;

    /// Opens it; more than once if need be.
    async fn open(&self) -> Arc<dyn Storage>;
}

/// SQLite in a file.
pub(super) struct Sqlite {
    url: String,
    _folder: TempDir,
}

#[async_trait(?Send)]
impl Engine for Sqlite {
    fn new() -> Self {
        let (folder, url) = database();
        Self { url, _folder: folder }
    }

    async fn open(&self) -> Arc<dyn Storage> {
        storage::connect(&self.url, Migrate::Always).await.unwrap()
    }
}

/// An open storage. It derefs to the storage itself.
#[derive(Clone)]
pub(super) struct Bench {
    storage: Arc<dyn Storage>,
    engine: Arc<dyn Engine>,
    millis: Arc<AtomicI64>,
}

impl Deref for Bench {
    type Target = dyn Storage;

    fn deref(&self) -> &Self::Target {
        &*self.storage
    }
}

/// A page that holds everything.
pub(super) const fn all<K>() -> Page<K> {
    Page {
        after: None,
        limit: u32::MAX,
    }
}

impl Bench {
    pub(super) async fn new<E: Engine + 'static>() -> Self {
        log();
        let engine = Arc::new(E::new());
        Self {
            storage: engine.open().await,
            engine,
            millis: Arc::new(AtomicI64::new(1_775_030_400_000)),
        }
    }

    /// The storage, where a method of the bench has the same name.
    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Opens the same database once more.
    pub(super) async fn reopened(&self) -> Self {
        Self {
            storage: self.engine.open().await,
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
        }
    }

    pub(super) fn user_id(&self) -> UserId {
        UserId::new(self.tick(), RANDOM).unwrap()
    }

    /// An organization that is not stored.
    pub(super) fn new_organization(&self, slug: &str) -> Organization {
        let created_at = self.tick();
        Organization {
            id: OrganizationId::new(created_at, RANDOM).unwrap(),
            slug: Slug::new(slug).unwrap(),
            name: OrganizationName::new(format!("The {slug}")).unwrap(),
            created_at,
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
                organization_id: organization,
                scopes: scopes.iter().copied().collect(),
                hint: "pb_01234".to_owned(),
                created_at,
                expires_at: None,
                revoked_at: None,
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
    ) -> Result<Member, StoreError> {
        self.link_member(organization, self.new_member(email), self.change())
            .await
    }

    /// As [`Bench::try_link`], of which nothing is in the way.
    pub(super) async fn link(&self, organization: OrganizationId, email: &str) -> Member {
        self.try_link(organization, email).await.unwrap()
    }

    /// Links a known user, under an address.
    pub(super) async fn link_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        email: &str,
    ) -> Result<Member, StoreError> {
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

/// A profile of which only the address is known.
pub(super) fn profile(email: &str) -> Profile {
    Profile {
        email: Some(Email::new(email).unwrap()),
        ..Profile::default()
    }
}
