//! Who may do what: a key, once looked at, becomes a grant, and a use case takes the grant it needs.

use super::{Directory, ServiceError};
use crate::{
    domain::{Actor, ApiKey, KeyDigest, OrganizationId, Scope},
    storage::Missing,
};

/// What a caller shows.
#[derive(Clone, Copy, Debug)]
pub struct Credential {
    /// Of the key.
    pub key: KeyDigest,
    /// The organization that the call is about, where the key does not say it.
    pub organization: Option<OrganizationId>,
}

/// Leave to read one organization's directory.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub(super) organization: OrganizationId,
}

/// Leave to change one organization's directory.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub(super) organization: OrganizationId,
    pub(super) actor: Actor,
}

/// Leave to manage organizations and keys.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    /// The one organization that it is about. None: all.
    pub(super) organization: Option<OrganizationId>,
    pub(super) actor: Actor,
}

impl Read {
    /// The organization that may be read.
    #[must_use]
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The operator's, who may read everything.
    #[must_use]
    pub const fn operator(organization: OrganizationId) -> Self {
        Self { organization }
    }
}

impl Write {
    /// The operator's, who may change everything.
    #[must_use]
    pub const fn operator(organization: OrganizationId) -> Self {
        Self {
            organization,
            actor: Actor::Operator,
        }
    }

    /// Who acts. Tokens of repeated requests belong to a key.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }
}

impl Admin {
    /// The one organization that may be managed. None: all.
    #[must_use]
    pub const fn organization(&self) -> Option<OrganizationId> {
        self.organization
    }

    /// The operator's, who manages everything.
    pub const OPERATOR: Self = Self {
        organization: None,
        actor: Actor::Operator,
    };

    /// Who acts. Tokens of repeated requests belong to a key.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// That it is about this organization, or about all; otherwise there is no such organization for it.
    pub(super) fn covers(&self, organization: OrganizationId) -> Result<(), ServiceError> {
        match self.organization {
            Some(own) if own != organization => Err(ServiceError::NotFound(Missing::Organization)),
            _ => Ok(()),
        }
    }

    /// That it is about all organizations.
    pub(super) fn covers_all(&self) -> Result<(), ServiceError> {
        if self.organization.is_none() {
            Ok(())
        } else {
            Err(ServiceError::DeploymentKeyRequired)
        }
    }
}

impl Directory {
    /// Leave to read, for a key with a scope of the directory.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`]. [`Missing::Organization`]: none was named, or it is not there or not the key's.
    pub async fn grant_read(&self, credential: Credential) -> Result<Read, ServiceError> {
        let key = self.directory_key(credential).await?;
        Ok(Read {
            organization: self.organization_of(&key, credential.organization).await?,
        })
    }

    /// Leave to change, for a key with the scope `directory.write`.
    ///
    /// # Errors
    ///
    /// As [`Self::grant_read`]. [`ServiceError::ScopeRequired`]: the key may only read.
    pub async fn grant_write(&self, credential: Credential) -> Result<Write, ServiceError> {
        let key = self.directory_key(credential).await?;
        if !key.scopes.contains(Scope::DirectoryWrite) {
            return Err(ServiceError::ScopeRequired);
        }
        let organization = self.organization_of(&key, credential.organization).await?;
        Ok(Write {
            organization,
            actor: Actor::ApiKey(key.id),
        })
    }

    /// Leave to manage, for a key with the scope `admin`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`].
    pub async fn grant_admin(&self, key: KeyDigest) -> Result<Admin, ServiceError> {
        let key = self.active_key(key).await?;
        if !key.scopes.contains(Scope::Admin) {
            return Err(ServiceError::InvalidApiKey);
        }
        Ok(Admin {
            organization: key.organization_id,
            actor: Actor::ApiKey(key.id),
        })
    }

    /// A live key that may at least read the directory.
    pub(super) async fn directory_key(&self, credential: Credential) -> Result<ApiKey, ServiceError> {
        let key = self.active_key(credential.key).await?;
        let directory =
            key.scopes.contains(Scope::DirectoryRead) || key.scopes.contains(Scope::DirectoryWrite);
        if directory {
            Ok(key)
        } else {
            Err(ServiceError::InvalidApiKey)
        }
    }

    async fn active_key(&self, key: KeyDigest) -> Result<ApiKey, ServiceError> {
        let now = self.clock.now();
        let key = self.storage.api_key_by_digest(key).await?;
        let key = key
            .filter(|key| key.is_active(now))
            .ok_or(ServiceError::InvalidApiKey)?;
        self.touches.key_used(&key, now);
        Ok(key)
    }

    async fn organization_of(
        &self,
        key: &ApiKey,
        named: Option<OrganizationId>,
    ) -> Result<OrganizationId, ServiceError> {
        let missing = ServiceError::NotFound(Missing::Organization);
        match (key.organization_id, named) {
            // A live key's organization is live.
            (Some(own), None) => Ok(own),
            (Some(own), Some(named)) if own == named => Ok(own),
            (None, Some(named)) => self
                .storage
                .organization(named)
                .await?
                .map(|found| found.id)
                .ok_or(missing),
            (Some(_), Some(_)) | (None, None) => Err(missing),
        }
    }
}
