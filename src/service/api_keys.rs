//! API keys, for operators.

use std::time::Duration;

use super::{Directory, ServiceError};
use crate::{
    domain::{Actor, ApiKey, ApiKeyId, ApiKeySecret, OrganizationId, Page, Scopes, Timestamp},
    storage::NewApiKey,
};

/// A new key and, for the only time, its secret.
#[derive(Debug)]
pub struct CreatedApiKey {
    /// All but the secret.
    pub key: ApiKey,
    /// What its owner sends.
    pub secret: ApiKeySecret,
}

impl Directory {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`]: a second public key. [`ServiceError::OrganizationNotFound`].
    pub async fn create_api_key(
        &self,
        organization: OrganizationId,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        actor: Actor,
    ) -> Result<CreatedApiKey, ServiceError> {
        let change = self.change(actor);
        let created = self.new_key(organization, scopes, expires_at, change.at)?;
        let new = NewApiKey {
            key: created.key.clone(),
            digest: created.secret.digest(),
        };
        self.storage
            .create_api_key(organization, new, change)
            .await
            .map_err(|error| ServiceError::from_store(error, ServiceError::OrganizationNotFound))?;
        Ok(created)
    }

    /// Makes a key in the place of another, with its scopes. The old one lives on for `overlap`; with none it is dead
    /// at once.
    ///
    /// # Errors
    ///
    /// [`ServiceError::ApiKeyNotFound`]: none such, or it is dead or has a successor already.
    pub async fn rotate_api_key(
        &self,
        organization: OrganizationId,
        old: &ApiKey,
        overlap: Duration,
        actor: Actor,
    ) -> Result<CreatedApiKey, ServiceError> {
        let change = self.change(actor);
        let created = self.new_key(organization, old.scopes, None, change.at)?;
        let new = NewApiKey {
            key: created.key.clone(),
            digest: created.secret.digest(),
        };
        let old_expires_at = change.at.saturating_add(overlap);
        self.storage
            .rotate_api_key(organization, old.id, old_expires_at, new, change)
            .await
            .map_err(|error| ServiceError::from_store(error, ServiceError::ApiKeyNotFound))?;
        Ok(created)
    }

    /// Kills a key at once.
    ///
    /// # Errors
    ///
    /// [`ServiceError::ApiKeyNotFound`]: none such, or it was revoked before.
    pub async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        key: ApiKeyId,
        actor: Actor,
    ) -> Result<(), ServiceError> {
        if self
            .storage
            .revoke_api_key(organization, key, self.change(actor))
            .await?
        {
            Ok(())
        } else {
            Err(ServiceError::ApiKeyNotFound)
        }
    }

    /// An organization's keys in the order they were made, dead ones too.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn api_keys(
        &self,
        organization: OrganizationId,
        page: Page<ApiKeyId>,
    ) -> Result<Vec<ApiKey>, ServiceError> {
        Ok(self.storage.api_keys(organization, page).await?)
    }

    fn new_key(
        &self,
        organization_id: OrganizationId,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        created_at: Timestamp,
    ) -> Result<CreatedApiKey, ServiceError> {
        let secret = ApiKeySecret::generate(&*self.random)?;
        let id = ApiKeyId::new(created_at, &*self.random)?;
        let hint = secret.hint().to_owned();
        let key = ApiKey {
            id,
            organization_id,
            scopes,
            hint,
            created_at,
            expires_at,
            revoked_at: None,
        };
        Ok(CreatedApiKey { key, secret })
    }
}
