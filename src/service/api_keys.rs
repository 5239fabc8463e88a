//! API keys, for operators.

use std::time::Duration;

use super::{Admin, Directory, ServiceError};
use crate::{
    domain::{ApiKey, ApiKeyId, ApiKeySecret, OrganizationId, Page, Scopes, Timestamp},
    storage::{Answer, Missing, NewApiKey, Once, Token},
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
    /// All but the secret.
    pub key: ApiKey,
    /// What its owner sends.
    pub secret: ApiKeySecret,
}

/// Keys of one organization or, where it is None, keys that are bound to none.
///
/// Each method fails with [`ServiceError::DeploymentKeyRequired`] if the grant is about one organization and the keys
/// are bound to none, and with [`Missing::Organization`] if the organization is not there or not the grant's.
impl Directory {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`ServiceError::ExpiresInThePast`]. As [`crate::storage::ApiKeyStore::create_api_key`] says.
    pub async fn create_api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        once: Once<ApiKey>,
    ) -> Result<Answer<CreatedApiKey>, ServiceError> {
        self.manages_keys(grant, organization).await?;
        let change = self.change(grant.actor);
        if expires_at.is_some_and(|end| end <= change.at) {
            return self.made_before(organization, once.token, change.at).await;
        }
        let CreatedApiKey { key, secret } = self.new_key(organization, scopes, expires_at, change.at)?;
        let new = NewApiKey {
            key,
            digest: secret.digest(),
        };
        let made = self
            .storage
            .create_api_key(organization, new, once, change)
            .await?;
        Ok(with_secret(made, secret))
    }

    /// Makes a key in the place of another, with its scopes. The old one lives on for `overlap` and no longer than it
    /// would have; with none it is dead at once.
    ///
    /// # Errors
    ///
    /// [`Missing::ApiKey`]: none such, or it is dead or has a successor already. [`ServiceError::ExpiresInThePast`].
    /// [`crate::storage::Precondition::IdempotencyKeyReused`].
    pub async fn rotate_api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        old: ApiKeyId,
        overlap: Duration,
        expiry: Expiry,
        once: Once<ApiKey>,
    ) -> Result<Answer<CreatedApiKey>, ServiceError> {
        let old = self.api_key(grant, organization, old).await?;
        let change = self.change(grant.actor);
        let expires_at = match expiry {
            // A live key keeps it until it has a successor; of a dead one no successor is made.
            Expiry::Kept => old.expires_at,
            Expiry::Never => None,
            Expiry::At(end) if end <= change.at => {
                return self.made_before(organization, once.token, change.at).await;
            }
            Expiry::At(end) => Some(end),
        };
        let CreatedApiKey { key, secret } = self.new_key(organization, old.scopes, expires_at, change.at)?;
        let new = NewApiKey {
            key,
            digest: secret.digest(),
        };
        let old_expires_at = change.at.saturating_add(overlap);
        let made = self
            .storage
            .rotate_api_key(organization, old.id, old_expires_at, new, once, change)
            .await?;
        Ok(with_secret(made, secret))
    }

    /// The answer to a request for a key that has expired by now: it may be a repetition, whose key was made in time.
    async fn made_before(
        &self,
        organization: Option<OrganizationId>,
        token: Option<Token>,
        now: Timestamp,
    ) -> Result<Answer<CreatedApiKey>, ServiceError> {
        let kept = match token {
            Some(token) => self.storage.kept_answer(organization, &token, now).await?,
            None => None,
        };
        kept.map(Answer::Repeated).ok_or(ServiceError::ExpiresInThePast)
    }

    /// Kills a key at once.
    ///
    /// # Errors
    ///
    /// [`Missing::ApiKey`]: none such, or it was revoked before.
    pub async fn revoke_api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<(), ServiceError> {
        self.manages_keys(grant, organization).await?;
        if self
            .storage
            .revoke_api_key(organization, key, self.change(grant.actor))
            .await?
        {
            Ok(())
        } else {
            Err(ServiceError::NotFound(Missing::ApiKey))
        }
    }

    /// One key, dead or alive.
    ///
    /// # Errors
    ///
    /// [`Missing::ApiKey`].
    pub async fn api_key(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<ApiKey, ServiceError> {
        self.manages_keys(grant, organization).await?;
        let found = self.storage.api_key(organization, key).await?;
        found.ok_or(ServiceError::NotFound(Missing::ApiKey))
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
        page: Page<ApiKeyId>,
    ) -> Result<Vec<ApiKey>, ServiceError> {
        self.manages_keys(grant, organization).await?;
        Ok(self.storage.api_keys(organization, page).await?)
    }

    async fn manages_keys(
        &self,
        grant: Admin,
        organization: Option<OrganizationId>,
    ) -> Result<(), ServiceError> {
        let Some(organization) = organization else {
            return grant.covers_all();
        };
        grant.covers(organization)?;
        match self.storage.organization(organization).await? {
            Some(_) => Ok(()),
            None => Err(ServiceError::NotFound(Missing::Organization)),
        }
    }

    fn new_key(
        &self,
        organization_id: Option<OrganizationId>,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        created_at: Timestamp,
    ) -> Result<CreatedApiKey, ServiceError> {
        let secret = ApiKeySecret::generate(&*self.random)?;
        let key = ApiKey {
            id: ApiKeyId::new(created_at, &*self.random)?,
            organization_id,
            scopes,
            hint: secret.hint().to_owned(),
            created_at,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        Ok(CreatedApiKey { key, secret })
    }
}

fn with_secret(made: Answer<ApiKey>, secret: ApiKeySecret) -> Answer<CreatedApiKey> {
    match made {
        Answer::New(key) => Answer::New(CreatedApiKey { key, secret }),
        Answer::Repeated(answer) => Answer::Repeated(answer),
    }
}
