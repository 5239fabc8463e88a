//! What the directory keeps, behind traits; one folder for each engine, and only here sqlx.
//!
//! The organization is the first argument of every method that touches an organization's rows, and a row of another
//! organization is simply not found. A write is on disk when its method returns, together with its row in the event
//! log, and every read that begins later sees it.
//!
//! To add an operation: (1) a method on the trait of its subject, with its errors; (2) its SQL in each engine's folder;
//! (3) a case in `tests/suite/storage/`, which every engine runs. To add an engine: a folder beside [`sqlite`], a line
//! in [`connect`], a line in the conformance suite.

mod error;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{
    Actor, ApiKey, ApiKeyId, Event, KeyDigest, Member, MemberId, MemberLookup, Organization, OrganizationId,
    Page, Profile, Slug, Timestamp, UserId,
};

pub use error::{Conflict, StoreError};

/// All of it. What a server or a command works on.
#[async_trait]
pub trait Storage: OrganizationStore + ApiKeyStore + MemberStore + EventLog {
    /// Lets what was accepted finish, then closes the database. Later calls fail with [`StoreError::Closed`].
    async fn close(&self);
}

/// Who does something and when: what the event log says of every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub actor: Actor,
    /// When. It is also the time that the changed row gets.
    pub at: Timestamp,
}

/// Organizations.
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// Adds an organization.
    ///
    /// # Errors
    ///
    /// [`Conflict::Slug`]: a live organization has the slug.
    async fn create_organization(&self, organization: Organization, change: Change)
    -> Result<(), StoreError>;

    /// The live organization with this id.
    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>, StoreError>;

    /// The live organization with this slug.
    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, StoreError>;

    /// Live organizations in the order of their slugs.
    async fn organizations(&self, page: Page<Slug>) -> Result<Vec<Organization>, StoreError>;

    /// Ends an organization: its keys are dead at once, its slug is free, its rows stay. False: there was none.
    async fn delete_organization(
        &self,
        organization: OrganizationId,
        change: Change,
    ) -> Result<bool, StoreError>;
}

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// All but the secret.
    pub key: ApiKey,
    /// What it is found by.
    pub digest: KeyDigest,
}

/// API keys.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Adds a key. One that has expired by the time of the change no longer counts as the current public key.
    ///
    /// # Errors
    ///
    /// [`Conflict::PublicKey`]: it has the scope `public_api`, and the organization has a current key that has it.
    /// [`StoreError::NotFound`]: no such live organization.
    async fn create_api_key(
        &self,
        organization: OrganizationId,
        key: NewApiKey,
        change: Change,
    ) -> Result<(), StoreError>;

    /// Puts a new key in the place of an old one, which lives on until `old_expires_at` and no longer than it would
    /// have.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`]: the organization has no such key, or it is revoked or has a successor already.
    async fn rotate_api_key(
        &self,
        organization: OrganizationId,
        old: ApiKeyId,
        old_expires_at: Timestamp,
        new: NewApiKey,
        change: Change,
    ) -> Result<(), StoreError>;

    /// Kills a key at once. False: the organization has no such key, or it was revoked before.
    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        key: ApiKeyId,
        change: Change,
    ) -> Result<bool, StoreError>;

    /// The organization's keys in the order they were made, dead ones too.
    async fn api_keys(
        &self,
        organization: OrganizationId,
        page: Page<ApiKeyId>,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// The key with this digest, dead or alive; that of a deleted organization is revoked. It takes no organization, because
    /// it is what tells whose key it is.
    async fn api_key_by_digest(&self, digest: KeyDigest) -> Result<Option<ApiKey>, StoreError>;
}

/// A member to be stored.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// The link.
    pub id: MemberId,
    /// The person to link.
    pub user: LinkedUser,
    /// What the organization knows of them.
    pub profile: Profile,
}

/// Whom a new member links.
#[derive(Clone, Copy, Debug)]
pub enum LinkedUser {
    /// This user, who must exist.
    Known(UserId),
    /// The user whom the profile's address belongs to; if there is none, a new one with this id.
    ByEmail(UserId),
}

/// What one look-up of the hot path found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The key with the digest, as [`ApiKeyStore::api_key_by_digest`] says.
    pub key: Option<ApiKey>,
    /// The live member of the key's own organization.
    pub member: Option<Member>,
}

/// Members.
#[async_trait]
pub trait MemberStore: Send + Sync {
    /// Links a user to an organization and returns the link.
    ///
    /// # Errors
    ///
    /// [`Conflict::Member`]: a live member has the user or the address.
    /// [`StoreError::NotFound`]: no such live organization, or no such user.
    async fn link_member(
        &self,
        organization: OrganizationId,
        new: NewMember,
        change: Change,
    ) -> Result<Member, StoreError>;

    /// The live member.
    async fn member(
        &self,
        organization: OrganizationId,
        lookup: MemberLookup,
    ) -> Result<Option<Member>, StoreError>;

    /// The key and, in the key's own organization and no other, the live member: both in one step, because every
    /// integrator's `retrieve` needs both. Whether the key may be used is for the caller to decide.
    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<Found, StoreError>;

    /// Live members in the order of their ids, which is that of their linking.
    async fn members(
        &self,
        organization: OrganizationId,
        page: Page<MemberId>,
    ) -> Result<Vec<Member>, StoreError>;

    /// Revokes the user's link, for good. False: there is no live one here.
    async fn revoke_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool, StoreError>;
}

/// The event log. It is written by the methods that change something, and only by them.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The organization's events in order.
    async fn events(&self, organization: OrganizationId, page: Page<i64>) -> Result<Vec<Event>, StoreError>;
}

/// What to do about a database that is not there, or whose schema is older than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Create it, bring it up to date.
    Always,
    /// Create it, but refuse an older schema: a server of an older version may be running on it.
    OnlyEmpty,
    /// Refuse both.
    Never,
}

/// Opens the database at a URL. The one place that names the engines.
///
/// # Errors
///
/// [`StoreError::UnknownEngine`], [`StoreError::SchemaTooNew`], [`StoreError::SchemaTooOld`],
/// [`StoreError::NoDatabase`], or what the engine says.
pub async fn connect(url: &str, migrate: Migrate) -> Result<Arc<dyn Storage>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => Ok(Arc::new(sqlite::SqliteStorage::open(url, migrate).await?)),
        _ => Err(StoreError::UnknownEngine),
    }
}
