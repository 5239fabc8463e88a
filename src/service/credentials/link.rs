//! Mailed links to set a password: whom they are for.

use crate::{
    domain::{Member, Organization, Timestamp, TokenKind},
    service::{Caller, Directory, Result, ServiceError},
};

/// What a link is for.
#[derive(Clone, Debug)]
pub struct PasswordLink {
    pub organization: Organization,
    pub member: Member,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl Directory {
    /// Says for whom a link is. It works on.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`].
    pub async fn password_link(&self, caller: &Caller) -> Result<PasswordLink> {
        let holder = caller.token(TokenKind::PasswordLink)?;
        let organization = self.storage.organization(holder.organization).await?;
        Ok(PasswordLink {
            organization: organization.ok_or(ServiceError::InvalidToken)?,
            member: holder.member.clone(),
            expires_at: holder.token.expires_at,
        })
    }
}
