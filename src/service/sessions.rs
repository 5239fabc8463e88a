//! Sessions of administrators on the hosted pages.

use super::{
    Caller, Directory, Result, ServiceError,
    credentials::{sign_in, working_token},
    rules::Transaction,
};
use crate::domain::{
    Actor, Change, EventKind, KeyDigest, Member, MemberRef, Organization, OrganizationId, StoredToken,
    Subject, Timestamp, TokenKind, TokenSecret,
};

/// An administrator's stay.
#[derive(Clone, Debug)]
pub struct Session {
    pub organization: Organization,
    /// As it is now.
    pub member: Member,
    /// When it ends, if nothing is done with it.
    pub ends_at: Timestamp,
}

/// A session that was opened.
#[derive(Debug)]
pub struct OpenedSession {
    pub session: Session,
    /// To be handed over once.
    pub secret: TokenSecret,
}

impl Directory {
    /// Opens a session by a code, which is used up.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`].
    pub async fn create_session(&self, caller: &Caller) -> Result<OpenedSession> {
        let holder = caller.token(TokenKind::HandoverCode)?;
        let change = self.change(Actor::Member(holder.member.id));
        let secret = TokenSecret::generate(TokenKind::Session, &*self.random)?;
        let token = secret.stored(holder.member.number, change.at);
        let ends_at = token.end();
        let organization = self.storage.organization(holder.organization).await?;
        let organization = organization.ok_or(ServiceError::InvalidToken)?;
        let input = (organization.id, holder.token.digest, token, change);
        let opened = self.storage.write(
            organization.id,
            input,
            |tx, (organization, code, token, change)| {
                Box::pin(create_session(tx, *organization, *code, token, change))
            },
        );
        let session = Session {
            member: opened.await?,
            organization,
            ends_at,
        };
        Ok(OpenedSession { session, secret })
    }

    /// Whose session it is.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`].
    pub async fn session(&self, caller: &Caller) -> Result<Session> {
        let holder = caller.token(TokenKind::Session)?;
        let organization = self.storage.organization(holder.organization).await?;
        let used = StoredToken {
            last_used_at: Some(self.clock.now()),
            ..holder.token.clone()
        };
        Ok(Session {
            organization: organization.ok_or(ServiceError::InvalidToken)?,
            member: holder.member.clone(),
            ends_at: used.end(),
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`].
    pub async fn end_session(&self, caller: &Caller) -> Result<()> {
        let holder = caller.token(TokenKind::Session)?;
        let change = self.change(Actor::Member(holder.member.id));
        let input = (holder.organization, holder.token.digest, change);
        self.storage
            .write(
                holder.organization,
                input,
                |tx, (organization, session, change)| {
                    Box::pin(end_session(tx, *organization, *session, change))
                },
            )
            .await
    }
}

/// The rule of [`Directory::create_session`].
///
/// # Errors
///
/// As there.
pub async fn create_session(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    code: KeyDigest,
    session: &StoredToken,
    change: &Change,
) -> Result<Member> {
    let member = holder(tx, organization, code, TokenKind::HandoverCode, change).await?;
    if !member.may_administer() {
        return Err(ServiceError::InvalidToken);
    }
    tx.remove_token(organization, code).await?;
    tx.insert_token(organization, session).await?;
    sign_in(tx, organization, member, EventKind::SessionCreated, change).await
}

/// The rule of [`Directory::end_session`].
///
/// # Errors
///
/// As there.
pub async fn end_session(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    session: KeyDigest,
    change: &Change,
) -> Result<()> {
    let member = holder(tx, organization, session, TokenKind::Session, change).await?;
    tx.remove_token(organization, session).await?;
    let (kind, subject) = (
        EventKind::SessionEnded,
        Subject::Member(member.id, member.user_id),
    );
    tx.append_event(Some(organization), kind, subject, &[], change)
        .await?;
    Ok(())
}

/// The live member whose token works.
async fn holder(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    digest: KeyDigest,
    kind: TokenKind,
    change: &Change,
) -> Result<Member> {
    let token = working_token(tx, organization, digest, kind, change.at).await?;
    let found = tx
        .stored_member(organization, &MemberRef::Number(token.member))
        .await?;
    found.filter(Member::is_live).ok_or(ServiceError::InvalidToken)
}
