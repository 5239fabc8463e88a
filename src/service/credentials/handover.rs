//! Codes that open sessions on the hosted pages.

use super::working_token;
use crate::{
    domain::{
        Actor, Change, KeyDigest, Member, MemberId, MemberRef, OrganizationId, Resource, StoredToken,
        Timestamp, TokenKind, TokenSecret,
    },
    service::{Caller, Directory, Result, ServiceError, Write, rules::Transaction},
};

/// A token that was made.
#[derive(Debug)]
pub struct IssuedToken {
    /// To be handed over once.
    pub secret: TokenSecret,
    pub expires_at: Timestamp,
}

impl Directory {
    /// Issues a code for a member, for a key.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`]. [`ServiceError::RoleRequired`]: it may not manage members.
    pub async fn issue_handover_code(&self, grant: Write, member: MemberId) -> Result<IssuedToken> {
        let change = self.change(grant.author);
        self.issue_code(grant.organization, member, None, change).await
    }

    /// Issues a code for the member whose access token it is.
    ///
    /// # Errors
    ///
    /// As [`Self::issue_handover_code`]. [`ServiceError::InvalidToken`].
    pub async fn issue_own_handover_code(&self, caller: &Caller) -> Result<IssuedToken> {
        let holder = caller.token(TokenKind::AccessToken)?;
        let member = holder.member.id;
        let change = self.change(Actor::Member(member));
        let by = Some(holder.token.digest);
        self.issue_code(holder.organization, member, by, change).await
    }

    async fn issue_code(
        &self,
        organization: OrganizationId,
        member: MemberId,
        by: Option<KeyDigest>,
        change: Change,
    ) -> Result<IssuedToken> {
        let secret = TokenSecret::generate(TokenKind::HandoverCode, &*self.random)?;
        let found = self.storage.member(organization, &MemberRef::Id(member)).await?;
        let number = found.ok_or(Resource::Member)?.number;
        let token = secret.stored(number, change.at);
        let expires_at = token.expires_at;
        let input = (organization, member, by, token, change);
        self.storage
            .write(
                organization,
                input,
                |tx, (organization, member, by, token, change)| {
                    Box::pin(issue_handover_code(
                        tx,
                        *organization,
                        *member,
                        *by,
                        token,
                        change,
                    ))
                },
            )
            .await?;
        Ok(IssuedToken { secret, expires_at })
    }
}

/// The rule of [`Directory::issue_handover_code`], and of [`Directory::issue_own_handover_code`] by the access token with
/// this digest.
///
/// # Errors
///
/// As there.
pub async fn issue_handover_code(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: MemberId,
    by: Option<KeyDigest>,
    code: &StoredToken,
    change: &Change,
) -> Result<()> {
    if let Some(access_token) = by {
        working_token(tx, organization, access_token, TokenKind::AccessToken, change.at).await?;
    }
    let found = tx.stored_member(organization, &MemberRef::Id(member)).await?;
    let member = found.filter(Member::is_live).ok_or(Resource::Member)?;
    if !member.may_administer() {
        return Err(ServiceError::RoleRequired);
    }
    Ok(tx.insert_token(organization, code).await?)
}
