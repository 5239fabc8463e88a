//! The published contract: an integrator and the end users of its own organization. Staff who are nothing else are not
//! there.

use super::{Directory, Result, ServiceError};
use crate::{
    domain::{
        Actor, ApiKey, Author, ClientIdentity, KeyDigest, MemberLookup, Organization, OrganizationId,
        PublicMember, Resource, Scope, Timestamp, UserId,
    },
    storage::KeyAndMember,
};

/// Whose key it is, and what time it is here.
#[derive(Clone, Debug)]
pub struct Ping {
    pub organization: Organization,
    pub time: Timestamp,
}

impl Directory {
    /// The live end user of the key's organization.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`], [`Resource::User`].
    pub async fn retrieve_user(&self, key: KeyDigest, lookup: MemberLookup) -> Result<PublicMember> {
        let KeyAndMember { key, member } = self.storage.key_and_member(key, lookup).await?;
        self.authorize(key)?;
        member.ok_or(Resource::User.into())
    }

    /// Revokes the end user's link to the key's organization, at once and for good. Staff keep link and role and only cease
    /// to be end users, so that no public key takes an owner away.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`], [`Resource::User`].
    pub async fn delete_user(
        &self,
        key: KeyDigest,
        user: UserId,
        client: Option<ClientIdentity>,
    ) -> Result<()> {
        let (key, organization) = self.public_api_key(key).await?;
        let actor = Actor::ApiKey(key.id);
        let change = self.change(Author { actor, client });
        if self.storage.revoke_user(organization, user, change).await? {
            Ok(())
        } else {
            Err(Resource::User.into())
        }
    }

    /// Says whose key it is.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`].
    pub async fn ping(&self, key: KeyDigest) -> Result<Ping> {
        let (_, organization) = self.public_api_key(key).await?;
        let organization = self.storage.organization(organization).await?;
        // It was deleted this moment, and the key with it.
        let organization = organization.ok_or(ServiceError::InvalidApiKey)?;
        Ok(Ping {
            organization,
            time: self.clock.now(),
        })
    }

    /// That the key opens the public API.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`].
    pub async fn check_public_key(&self, key: KeyDigest) -> Result<()> {
        self.public_api_key(key).await?;
        Ok(())
    }

    async fn public_api_key(&self, key: KeyDigest) -> Result<(ApiKey, OrganizationId)> {
        let key = self.storage.api_key_by_digest(key).await?;
        self.authorize(key)
    }

    /// The key and its organization, if it opens the public API now. One that does not answers like one that is
    /// unknown.
    fn authorize(&self, key: Option<ApiKey>) -> Result<(ApiKey, OrganizationId)> {
        let now = self.clock.now();
        let key = key.filter(|key| key.is_active(now) && key.scopes.contains(Scope::PublicApi));
        let key = key.ok_or(ServiceError::InvalidApiKey)?;
        let organization = key.organization_id.ok_or(ServiceError::InvalidApiKey)?;
        self.last_used.key_used(&key, now);
        Ok((key, organization))
    }
}
