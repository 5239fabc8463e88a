//! Members, for operators.

use super::{Directory, ServiceError};
use crate::{
    domain::{Actor, Member, MemberId, MemberLookup, OrganizationId, Page, Profile, UserId},
    storage::{LinkedUser, NewMember},
};

/// Whom to link to an organization, and what it knows of them.
#[derive(Clone, Debug, Default)]
pub struct LinkMember {
    /// A user who exists. Otherwise it is the one whom the address belongs to, or a new one.
    pub user_id: Option<UserId>,
    /// The organization's own copy.
    pub profile: Profile,
}

impl Directory {
    /// Links a user to an organization.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`]: a live member has the user or the address. [`ServiceError::UserNotFound`]: there is
    /// no user with the given id.
    pub async fn link_member(
        &self,
        organization: OrganizationId,
        link: LinkMember,
        actor: Actor,
    ) -> Result<Member, ServiceError> {
        let change = self.change(actor);
        let user = match link.user_id {
            Some(user) => LinkedUser::Known(user),
            None => LinkedUser::ByEmail(UserId::new(change.at, &*self.random)?),
        };
        let new = NewMember {
            id: MemberId::new(change.at, &*self.random)?,
            user,
            profile: link.profile,
        };
        self.storage
            .link_member(organization, new, change)
            .await
            .map_err(|error| ServiceError::from_store(error, ServiceError::UserNotFound))
    }

    /// The live member.
    ///
    /// # Errors
    ///
    /// [`ServiceError::UserNotFound`].
    pub async fn member(
        &self,
        organization: OrganizationId,
        lookup: MemberLookup,
    ) -> Result<Member, ServiceError> {
        self.storage
            .member(organization, lookup)
            .await?
            .ok_or(ServiceError::UserNotFound)
    }

    /// Live members in the order of their linking.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn members(
        &self,
        organization: OrganizationId,
        page: Page<MemberId>,
    ) -> Result<Vec<Member>, ServiceError> {
        Ok(self.storage.members(organization, page).await?)
    }

    /// Revokes a user's link to an organization, at once and for good.
    ///
    /// # Errors
    ///
    /// [`ServiceError::UserNotFound`].
    pub async fn revoke_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        actor: Actor,
    ) -> Result<(), ServiceError> {
        if self
            .storage
            .revoke_member(organization, user, self.change(actor))
            .await?
        {
            Ok(())
        } else {
            Err(ServiceError::UserNotFound)
        }
    }
}
