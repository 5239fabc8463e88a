//! Who may do what: a key or a token, once looked at, becomes a grant, and a use case takes the grant it needs.

use super::{Directory, Result, ServiceError};
use crate::{
    domain::{
        Actor, ApiKey, Author, ClientIdentity, KeyDigest, OrganizationId, Presented, Resource, Scope, Scopes,
        Timestamp, TokenKind,
    },
    storage::TokenHolder,
};

/// What a caller shows.
#[derive(Clone, Copy, Debug)]
pub struct Credential {
    pub presented: Presented,
    /// The organization that the call is about, where the key does not say it.
    pub organization: Option<OrganizationId>,
}

/// What a key or a token is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// One organization's directory.
    Directory,
    /// Organizations and keys.
    Admin,
    /// Passwords and codes of an organization's members. The use case says which tokens it takes.
    Credentials,
    /// What a token alone allows.
    Tokens,
}

impl Area {
    fn allows(self, scopes: Scopes) -> bool {
        let scopes_of_area: &[Scope] = match self {
            Self::Directory | Self::Credentials => &[Scope::DirectoryRead, Scope::DirectoryWrite],
            Self::Admin => &[Scope::Admin],
            Self::Tokens => &[],
        };
        scopes_of_area.iter().any(|scope| scopes.contains(*scope))
    }

    const fn takes(self, token: TokenKind) -> bool {
        match self {
            Self::Directory => matches!(token, TokenKind::Session),
            Self::Admin => false,
            Self::Credentials | Self::Tokens => true,
        }
    }
}

/// Who calls: what was presented was looked at, and was good for the area that it was shown for.
#[derive(Clone, Debug)]
pub struct Caller {
    presented: Presented,
    who: Who,
    client: Option<ClientIdentity>,
}

#[derive(Clone, Debug)]
enum Who {
    Key(ApiKey),
    Member(Box<TokenHolder>),
}

impl Caller {
    /// The same with a certificate that names somebody.
    #[must_use]
    pub fn certified(self, client: Option<ClientIdentity>) -> Self {
        Self { client, ..self }
    }

    #[must_use]
    pub const fn presented(&self) -> Presented {
        self.presented
    }

    /// The organization that is all it speaks for. None: it speaks for all.
    pub(super) fn organization(&self) -> Option<OrganizationId> {
        match &self.who {
            Who::Key(key) => key.organization_id,
            Who::Member(holder) => Some(holder.organization),
        }
    }

    fn author(&self) -> Author {
        let actor = match &self.who {
            Who::Key(key) => Actor::ApiKey(key.id),
            Who::Member(holder) => Actor::Member(holder.member.id),
        };
        Author {
            actor,
            client: self.client.clone(),
        }
    }

    fn may_write(&self) -> bool {
        match &self.who {
            Who::Key(key) => key.scopes.contains(Scope::DirectoryWrite),
            Who::Member(_) => true,
        }
    }

    /// That it is good for the area.
    pub(super) fn check(&self, area: Area) -> Result<()> {
        match &self.who {
            Who::Key(key) if area.allows(key.scopes) => Ok(()),
            Who::Key(_) => Err(ServiceError::InvalidApiKey),
            Who::Member(holder) if area.takes(holder.token.kind) => Ok(()),
            Who::Member(_) => Err(ServiceError::InvalidToken),
        }
    }

    /// That it is a key.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`].
    pub fn require_key(&self) -> Result<()> {
        match &self.who {
            Who::Key(_) => Ok(()),
            Who::Member(_) => Err(ServiceError::InvalidToken),
        }
    }

    /// Whose token of this kind it is.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`]: it is of another kind, or a key.
    pub(super) fn token(&self, kind: TokenKind) -> Result<&TokenHolder> {
        match &self.who {
            Who::Member(holder) if holder.token.kind == kind => Ok(holder),
            Who::Member(_) | Who::Key(_) => Err(ServiceError::InvalidToken),
        }
    }
}

/// What a caller may do. It may read, or there is none.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// None: the one that each call names.
    pub organization: Option<OrganizationId>,
    /// As the scope `directory.write` says.
    pub may_write: bool,
}

const OPERATOR: Author = Author {
    actor: Actor::Operator,
    client: None,
};

/// Permission to read one organization's directory.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub(super) organization: OrganizationId,
}

/// Permission to change one organization's directory.
#[derive(Clone, Debug)]
pub struct Write {
    pub(super) organization: OrganizationId,
    pub(super) author: Author,
}

/// Permission to manage organizations and keys.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The one organization that it is about. None: all.
    pub(super) organization: Option<OrganizationId>,
    pub(super) author: Author,
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
    /// The organization that may be changed.
    #[must_use]
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The operator's, who may change everything.
    #[must_use]
    pub const fn operator(organization: OrganizationId) -> Self {
        Self {
            organization,
            author: OPERATOR,
        }
    }

    /// Who acts. Tokens of repeated requests belong to a key.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.author.actor
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
        author: OPERATOR,
    };

    /// Who acts. Tokens of repeated requests belong to a key.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.author.actor
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
    /// Looks at a key or a token, which is used by it.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`]: a key is unknown, revoked or expired, or has no scope of the area.
    /// [`ServiceError::InvalidToken`].
    pub async fn caller(&self, presented: Presented, area: Area) -> Result<Caller> {
        let now = self.clock.now();
        let caller = self.looked_at(presented, area, now).await?;
        if let Who::Member(holder) = &caller.who {
            self.last_used.token_used(holder, now);
        }
        Ok(caller)
    }

    async fn looked_at(&self, presented: Presented, area: Area, now: Timestamp) -> Result<Caller> {
        let who = match presented.token {
            Some(_) => Who::Member(Box::new(self.token_holder(presented.digest, now).await?)),
            None if area == Area::Tokens => return Err(ServiceError::InvalidToken),
            None => Who::Key(self.live_key(presented.digest, now).await?),
        };
        let caller = Caller {
            presented,
            who,
            client: None,
        };
        caller.check(area)?;
        if let Who::Key(key) = &caller.who {
            self.last_used.key_used(key, now);
        }
        Ok(caller)
    }

    async fn live_key(&self, digest: KeyDigest, now: Timestamp) -> Result<ApiKey> {
        let key = self.storage.api_key_by_digest(digest).await?;
        key.filter(|key| key.is_active(now))
            .ok_or(ServiceError::InvalidApiKey)
    }

    /// A token that works, and whose it is. Sessions, and the codes that open them, work as long as the member's role lets
    /// it act.
    async fn token_holder(&self, digest: KeyDigest, now: Timestamp) -> Result<TokenHolder> {
        let holder = self.storage.token_by_digest(digest).await?;
        let works = |holder: &TokenHolder| {
            holder.token.is_active(now)
                && match holder.token.kind {
                    TokenKind::Session | TokenKind::HandoverCode => holder.member.may_administer(),
                    TokenKind::PasswordLink | TokenKind::AccessToken => true,
                }
        };
        holder.filter(works).ok_or(ServiceError::InvalidToken)
    }

    /// What a key with a scope of the directory, or a session, may do.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]: the one that was named is not there or not the key's.
    pub async fn access_of(&self, caller: &Caller, named: Option<OrganizationId>) -> Result<Access> {
        caller.check(Area::Directory)?;
        let organization = match caller.organization().or(named) {
            Some(_) => Some(self.organization_of(caller, named).await?),
            None => None,
        };
        Ok(Access {
            organization,
            may_write: caller.may_write(),
        })
    }

    /// Permission to read, for a key with a scope of the directory, or a session.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]: none was named, or it is not there or not the key's.
    pub async fn grant_read_to(&self, caller: &Caller, organization: Option<OrganizationId>) -> Result<Read> {
        caller.check(Area::Directory)?;
        Ok(Read {
            organization: self.organization_of(caller, organization).await?,
        })
    }

    /// Permission to read, for a key or a session that is looked at now: again and again while a call lasts. That does not
    /// make a session last longer.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`], [`ServiceError::InvalidToken`], and as [`Self::grant_read_to`].
    pub async fn grant_read(&self, credential: Credential) -> Result<Read> {
        let now = self.clock.now();
        let caller = self.looked_at(credential.presented, Area::Directory, now).await?;
        self.grant_read_to(&caller, credential.organization).await
    }

    /// Permission to change, for a key or a session that is looked at now, as [`Self::grant_read`] gives one to read.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`], [`ServiceError::InvalidToken`], and as [`Self::grant_write_to`].
    pub async fn grant_write(&self, credential: Credential, client: Option<ClientIdentity>) -> Result<Write> {
        let now = self.clock.now();
        let caller = self.looked_at(credential.presented, Area::Directory, now).await?;
        let caller = caller.certified(client);
        self.grant_write_to(&caller, credential.organization).await
    }

    /// Permission to change, for a key with the scope `directory.write`, or a session.
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
            organization: self.organization_of(caller, organization).await?,
            author: caller.author(),
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
            organization: caller.organization(),
            author: caller.author(),
        })
    }

    async fn organization_of(
        &self,
        caller: &Caller,
        named: Option<OrganizationId>,
    ) -> Result<OrganizationId> {
        let missing = ServiceError::NotFound(Resource::Organization);
        match (caller.organization(), named) {
            // The organization of a live key or token is live.
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
