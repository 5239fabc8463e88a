//! Setting a password, by a mailed link.

use super::{policy::is_tried_first, working_token};
use crate::{
    domain::{
        Access, Actor, Change, EventKind, KeyDigest, Member, MemberRef, OrganizationId, Password,
        PasswordHash, Precondition, Subject, TokenKind,
    },
    service::{
        Caller, Directory, Result, ServiceError,
        members::save_by_itself,
        rules::{Transaction, live_organization},
    },
};

/// A password that a link is used up for.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// Of the link.
    pub link: KeyDigest,
    pub hash: PasswordHash,
}

impl Directory {
    /// Sets the password of the member that a link is for. The link is used up, and so is everything that another password
    /// gave.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidToken`]. [`Precondition::PasswordTooCommon`]: the link works on.
    /// [`ServiceError::Overloaded`].
    pub async fn set_password(&self, caller: &Caller, password: Password) -> Result<()> {
        let link = self.password_link(caller).await?;
        let member = link.member.id;
        let (organization, change) = (link.organization.id, self.change(Actor::Member(member)));
        let good = move |password: &Password| !is_tried_first(password, &link.member, &link.organization);
        let place = self.hasher.place(organization).await?;
        let hash = self.hasher.hash(&place, password, &*self.random, good).await?;
        let new = NewPassword {
            link: caller.presented().digest,
            hash: hash.ok_or(Precondition::PasswordTooCommon)?,
        };
        self.storage
            .write(
                organization,
                (organization, new, change),
                |tx, (organization, new, change)| Box::pin(set_password(tx, *organization, new, change)),
            )
            .await
    }
}

/// The rule of [`Directory::set_password`].
///
/// # Errors
///
/// [`ServiceError::InvalidToken`].
pub async fn set_password(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    new: &NewPassword,
    change: &Change,
) -> Result<()> {
    let kind = TokenKind::PasswordLink;
    let token = working_token(tx, organization, new.link, kind, change.at).await?;
    live_organization(tx, organization).await?;
    let found = tx
        .stored_member(organization, &MemberRef::Number(token.member))
        .await?;
    let before = found.filter(Member::is_live).ok_or(ServiceError::InvalidToken)?;
    for kind in TokenKind::ALL {
        tx.remove_tokens(organization, before.number, *kind).await?;
    }
    tx.save_password(organization, before.number, &new.hash, change.at)
        .await?;
    sign_in(tx, organization, before, EventKind::PasswordSet, change).await?;
    Ok(())
}

/// Writes the event of a member who set a password or signed in, and that it is onboarded from then on.
pub(in crate::service) async fn sign_in(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: Member,
    kind: EventKind,
    change: &Change,
) -> Result<Member> {
    if !member.access.onboarded {
        let saved = save_by_itself(tx, organization, &member, onboarded(&member), kind, change);
        return Ok(saved.await?.0);
    }
    let subject = Subject::Member(member.id, member.user_id);
    tx.append_event(Some(organization), kind, subject, &[], change)
        .await?;
    Ok(member)
}

/// The member, who has shown that it has a password.
pub(super) fn onboarded(member: &Member) -> Member {
    Member {
        access: Access {
            onboarded: true,
            ..member.access
        },
        ..member.clone()
    }
}
