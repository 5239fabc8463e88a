//! API keys, for operators.

use std::time::Duration;

use super::{
    Admin, Directory, Result, ServiceError,
    rules::{Transaction, live_organization, write_once},
};
use crate::domain::{
    ApiKey, ApiKeyId, ApiKeySecret, Change, Conflict, EventKind, Idempotency, Idempotent, KeyDigest,
    OrganizationId, Page, PageRequest, Resource, Scope, Scopes, Subject, Timestamp,
};

/// When the successor of a key expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// When the key in whose place it is put would have.
    #[default]
    Kept,
    /// Never.
    Never,
    /// At this moment.
    At(Timestamp),
}

/// A new key and, for the only time, its secret.
#[derive(Debug)]
pub struct CreatedApiKey {
    pub key: ApiKey,
    /// What its owner sends.
    pub secret: ApiKeySecret,
}

/// Keys of one organization or, where it is None, keys that are bound to none.
///
/// Each method fails with [`ServiceError::DeploymentKeyRequired`] if the grant is about one organization and the keys
/// are bound to none, and with [`Resource::Organization`] if the organization is not there or not the grant's.
/// The longest time that a key lives on after its successor was made: 30 days.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);

impl Directory {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`Conflict::PublicKey`]: it has the scope `public_api`, and the organization has a key that has it, which has
    /// neither expired nor a successor. [`ServiceError::ExpiresInThePast`].
    /// [`crate::domain::Precondition::IdempotencyKeyReused`].
    pub async fn create_api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        idempotency: Idempotency<ApiKey>,
    ) -> Result<Idempotent<CreatedApiKey>> {
        self.manages_keys(&grant, organization).await?;
        let change = self.change(grant.author);
        let secret = ApiKeySecret::generate(&*self.random)?;
        let key = ApiKey {
            id: ApiKeyId::new(change.at, &*self.random)?,
            organization_id: organization,
            scopes,
            hint: secret.hint().to_owned(),
            created_at: change.at,
            expires_at,
            superseded_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        let (at, input) = (change.at, (key, secret.digest(), change));
        let made = write_once(
            &*self.storage,
            organization,
            idempotency,
            at,
            input,
            |tx, (key, digest, change)| Box::pin(create_api_key(tx, key, *digest, change)),
        );
        Ok(made.await?.map(|key| CreatedApiKey { key, secret }))
    }

    /// Makes a key in the place of another, with its scopes. The old one lives on for `overlap` and no longer than it
    /// would have; with none it is dead at once.
    ///
    /// # Errors
    ///
    /// [`Resource::ApiKey`]: none such, or it is dead or has a successor already. [`ServiceError::ExpiresInThePast`].
    /// [`crate::domain::Precondition::IdempotencyKeyReused`].
    pub async fn rotate_api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        old: ApiKeyId,
        overlap: Duration,
        expiry: Expiry,
        idempotency: Idempotency<ApiKey>,
    ) -> Result<Idempotent<CreatedApiKey>> {
        self.manages_keys(&grant, organization).await?;
        let change = self.change(grant.author);
        let secret = ApiKeySecret::generate(&*self.random)?;
        let successor = Successor {
            id: ApiKeyId::new(change.at, &*self.random)?,
            hint: secret.hint().to_owned(),
            digest: secret.digest(),
            expiry,
            old_expires_at: change.at.saturating_add(overlap),
        };
        let (at, input) = (change.at, (organization, old, successor, change));
        let made = write_once(
            &*self.storage,
            organization,
            idempotency,
            at,
            input,
            |tx, (organization, old, new, change)| {
                Box::pin(rotate_api_key(tx, *organization, *old, new, change))
            },
        );
        Ok(made.await?.map(|key| CreatedApiKey { key, secret }))
    }

    /// Revokes a key: it is dead at once.
    ///
    /// # Errors
    ///
    /// [`Resource::ApiKey`]: none such, or it was revoked before.
    pub async fn revoke_api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<()> {
        self.manages_keys(&grant, organization).await?;
        let input = (organization, key, self.change(grant.author));
        self.storage
            .write(organization, input, |tx, (organization, key, change)| {
                Box::pin(revoke_api_key(tx, *organization, *key, change))
            })
            .await
    }

    /// One key, dead or alive.
    ///
    /// # Errors
    ///
    /// [`Resource::ApiKey`].
    pub async fn api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<ApiKey> {
        self.manages_keys(&grant, organization).await?;
        let found = self.storage.api_key(organization, key).await?;
        found.ok_or(Resource::ApiKey.into())
    }

    /// Keys in the order they were made, dead ones too.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn api_keys(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Page<ApiKey>> {
        self.manages_keys(&grant, organization).await?;
        let limit = page.limit;
        let keys = self.storage.api_keys(organization, page.and_one_more());
        Ok(Page::of(keys.await?, limit))
    }

    async fn manages_keys(&self, grant: &Admin, organization: Option<OrganizationId>) -> Result<()> {
        let Some(organization) = organization else {
            return grant.covers_all();
        };
        grant.covers(organization)?;
        let found = self.storage.organization(organization).await?;
        found.map(|_| ()).ok_or(Resource::Organization.into())
    }
}

/// What a key gets that is put in the place of another.
#[derive(Clone, Debug)]
pub struct Successor {
    pub id: ApiKeyId,
    /// The first characters of its secret.
    pub hint: String,
    /// What it is found by.
    pub digest: KeyDigest,
    /// When it expires.
    pub expiry: Expiry,
    /// When the other one expires at the latest.
    pub old_expires_at: Timestamp,
}

/// The rule of [`Directory::create_api_key`].
///
/// # Errors
///
/// As there.
pub async fn create_api_key(
    tx: &mut dyn Transaction,
    key: &ApiKey,
    digest: KeyDigest,
    change: &Change,
) -> Result<ApiKey> {
    unexpired(key, change.at)?;
    make_room(tx, key, change.at).await?;
    insert(tx, key, digest, change).await
}

/// The rule of [`Directory::revoke_api_key`].
///
/// # Errors
///
/// As there.
pub async fn revoke_api_key(
    tx: &mut dyn Transaction,
    organization: Option<OrganizationId>,
    key: ApiKeyId,
    change: &Change,
) -> Result<()> {
    let found = tx.stored_api_key(organization, key).await?;
    let before = found
        .filter(|found| found.revoked_at.is_none())
        .ok_or(Resource::ApiKey)?;
    let after = ApiKey {
        revoked_at: Some(change.at),
        ..before.clone()
    };
    save(tx, &before, &after, EventKind::ApiKeyRevoked, change).await
}

/// The rule of [`Directory::rotate_api_key`].
///
/// # Errors
///
/// As there.
pub async fn rotate_api_key(
    tx: &mut dyn Transaction,
    organization: Option<OrganizationId>,
    old: ApiKeyId,
    new: &Successor,
    change: &Change,
) -> Result<ApiKey> {
    let found = tx.stored_api_key(organization, old).await?;
    let old = found
        .filter(|old| old.is_active(change.at) && old.superseded_at.is_none())
        .ok_or(Resource::ApiKey)?;
    let ended = ApiKey {
        superseded_at: Some(change.at),
        expires_at: Some(
            old.expires_at
                .map_or(new.old_expires_at, |end| end.min(new.old_expires_at)),
        ),
        ..old.clone()
    };
    let key = ApiKey {
        id: new.id,
        hint: new.hint.clone(),
        created_at: change.at,
        expires_at: match new.expiry {
            Expiry::Kept => old.expires_at,
            Expiry::Never => None,
            Expiry::At(end) => Some(end),
        },
        last_used_at: None,
        ..old.clone()
    };
    unexpired(&key, change.at)?;
    save(tx, &old, &ended, EventKind::ApiKeyRotated, change).await?;
    insert(tx, &key, new.digest, change).await
}

/// That a new key has not expired. Part of the rule, because a repetition is answered whatever the time is by then.
fn unexpired(key: &ApiKey, now: Timestamp) -> Result<()> {
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(ServiceError::ExpiresInThePast);
    }
    Ok(())
}

/// At most one public key of an organization is current. One that has expired gives up its place.
async fn make_room(tx: &mut dyn Transaction, new: &ApiKey, at: Timestamp) -> Result<()> {
    let Some(organization) = new
        .organization_id
        .filter(|_| new.scopes.contains(Scope::PublicApi))
    else {
        return Ok(());
    };
    let Some(current) = tx.current_public_key(organization).await? else {
        return Ok(());
    };
    if current.is_active(at) {
        return Err(Conflict::PublicKey.into());
    }
    let superseded = ApiKey {
        superseded_at: Some(at),
        ..current
    };
    Ok(tx.save_api_key(&superseded).await?)
}

async fn insert(
    tx: &mut dyn Transaction,
    key: &ApiKey,
    digest: KeyDigest,
    change: &Change,
) -> Result<ApiKey> {
    if let Some(organization) = key.organization_id {
        live_organization(tx, organization).await?;
    }
    tx.insert_api_key(key, digest).await?;
    let fields: &[_] = if key.expires_at.is_some() {
        &["scopes", "expires_at"]
    } else {
        &["scopes"]
    };
    let (kind, subject) = (EventKind::ApiKeyCreated, Subject::ApiKey(key.id));
    tx.append_event(key.organization_id, kind, subject, fields, change)
        .await?;
    Ok(key.clone())
}

async fn save(
    tx: &mut dyn Transaction,
    before: &ApiKey,
    after: &ApiKey,
    kind: EventKind,
    change: &Change,
) -> Result<()> {
    tx.save_api_key(after).await?;
    let (subject, fields) = (Subject::ApiKey(after.id), ApiKey::changes(before, after));
    tx.append_event(after.organization_id, kind, subject, &fields, change)
        .await?;
    Ok(())
}
