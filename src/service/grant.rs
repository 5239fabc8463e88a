//! Who may do what: a key, once looked at, becomes a grant, and a use case takes the grant it needs.

use super::{Directory, Result, ServiceError};
use crate::domain::{Actor, ApiKey, KeyDigest, OrganizationId, Resource, Scope, Scopes};

/// What a caller shows.
#[derive(Clone, Copy, Debug)]
pub struct Credential {
    pub key: KeyDigest,
    /// The organization that the call is about, where the key does not say it.
    pub organization: Option<OrganizationId>,
}

/// What a key is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// One organization's directory.
    Directory,
    /// Organizations and keys.
    Admin,
}

impl Area {
    fn allows(self, scopes: Scopes) -> bool {
        let scopes_of_area: &[Scope] = match self {
            Self::Directory => &[Scope::DirectoryRead, Scope::DirectoryWrite],
            Self::Admin => &[Scope::Admin],
        };
        scopes_of_area.iter().any(|scope| scopes.contains(*scope))
    }
}

/// Who calls: a key that was looked at, and was live with a scope of the area that it was shown for.
#[derive(Clone, Debug)]
pub struct Caller {
    digest: KeyDigest,
    pub(super) key: ApiKey,
}

impl Caller {
    #[must_use]
    pub const fn digest(&self) -> KeyDigest {
        self.digest
    }

    fn may_write(&self) -> bool {
        self.key.scopes.contains(Scope::DirectoryWrite)
    }

    /// That the key has a scope of the area.
    pub(super) fn check(&self, area: Area) -> Result<()> {
        if area.allows(self.key.scopes) {
            Ok(())
        } else {
            Err(ServiceError::InvalidApiKey)
        }
    }
}

/// What a key may do. It may read, or there is none.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// None: the one that each call names.
    pub organization: Option<OrganizationId>,
    /// The scope `directory.write`.
    pub may_write: bool,
}

/// Permission to read one organization's directory.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub(super) organization: OrganizationId,
}

/// Permission to change one organization's directory.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub(super) organization: OrganizationId,
    pub(super) actor: Actor,
}

/// Permission to manage organizations and keys.
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
    pub(super) fn covers(&self, organization: OrganizationId) -> Result<()> {
        match self.organization {
            Some(own) if own != organization => Err(ServiceError::NotFound(Resource::Organization)),
            _ => Ok(()),
        }
    }

    /// That it is about all organizations.
    pub(super) fn covers_all(&self) -> Result<()> {
        if self.organization.is_none() {
            Ok(())
        } else {
            Err(ServiceError::DeploymentKeyRequired)
        }
    }
}

impl Directory {
    /// Looks at a key.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`]: it is unknown, revoked or expired, or has no scope of the area.
    pub async fn caller(&self, digest: KeyDigest, area: Area) -> Result<Caller> {
        let now = self.clock.now();
        let key = self.storage.api_key_by_digest(digest).await?;
        let key = key
            .filter(|key| key.is_active(now))
            .ok_or(ServiceError::InvalidApiKey)?;
        let caller = Caller { digest, key };
        caller.check(area)?;
        self.last_used.key_used(&caller.key, now);
        Ok(caller)
    }

    /// What a key with a scope of the directory may do.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]: the one that was named is not there or not the key's.
    pub async fn access_of(&self, caller: &Caller, named: Option<OrganizationId>) -> Result<Access> {
        caller.check(Area::Directory)?;
        let organization = match caller.key.organization_id.or(named) {
            Some(_) => Some(self.organization_of(&caller.key, named).await?),
            None => None,
        };
        Ok(Access {
            organization,
            may_write: caller.may_write(),
        })
    }

    /// Permission to read, for a key with a scope of the directory.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]: none was named, or it is not there or not the key's.
    pub async fn grant_read_to(&self, caller: &Caller, organization: Option<OrganizationId>) -> Result<Read> {
        caller.check(Area::Directory)?;
        Ok(Read {
            organization: self.organization_of(&caller.key, organization).await?,
        })
    }

    /// Permission to read, for a key that is looked at now: again and again while a call lasts.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`], and as [`Self::grant_read_to`].
    pub async fn grant_read(&self, credential: Credential) -> Result<Read> {
        let caller = self.caller(credential.key, Area::Directory).await?;
        self.grant_read_to(&caller, credential.organization).await
    }

    /// Permission to change, for a key with the scope `directory.write`.
    ///
    /// # Errors
    ///
    /// As [`Self::grant_read_to`]. [`ServiceError::ScopeRequired`]: the key may only read.
    pub async fn grant_write_to(
        &self,
        caller: &Caller,
        organization: Option<OrganizationId>,
    ) -> Result<Write> {
        caller.check(Area::Directory)?;
        if !caller.may_write() {
            return Err(ServiceError::ScopeRequired);
        }
        Ok(Write {
            organization: self.organization_of(&caller.key, organization).await?,
            actor: Actor::ApiKey(caller.key.id),
        })
    }

    /// Permission to manage, for a key with the scope `admin`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`].
    pub fn grant_admin_to(&self, caller: &Caller) -> Result<Admin> {
        caller.check(Area::Admin)?;
        Ok(Admin {
            organization: caller.key.organization_id,
            actor: Actor::ApiKey(caller.key.id),
        })
    }

    async fn organization_of(&self, key: &ApiKey, named: Option<OrganizationId>) -> Result<OrganizationId> {
        let missing = ServiceError::NotFound(Resource::Organization);
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
