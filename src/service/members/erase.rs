//! Erasing a member's personal data.

use super::change::{revoke, save};
use crate::{
    domain::{
        Access, Actor, Author, Change, Erasure, EventKind, Member, MemberId, MemberRef, OrganizationId,
        PersonName, Profile, Resource, TeamNumber, TokenKind,
    },
    service::{Directory, Result, ServiceError, Write, rules::Transaction},
};

impl Directory {
    /// Removes a member's personal data for good; a live member is revoked first. Erasing again returns the first
    /// receipt.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`]. [`crate::domain::Precondition::LastOwner`]. [`ServiceError::RoleRequired`]: a member acts.
    pub async fn erase_member(&self, grant: Write, member: MemberId) -> Result<Erasure> {
        self.erase_as(grant.author, grant.organization, member).await
    }

    pub(in crate::service) async fn erase_as(
        &self,
        author: impl Into<Author>,
        organization: OrganizationId,
        member: MemberId,
    ) -> Result<Erasure> {
        let input = (organization, member, self.change(author));
        let erasure = self
            .storage
            .write(organization, input, |tx, (organization, member, change)| {
                Box::pin(erase_member(tx, *organization, *member, change))
            });
        let erasure = erasure.await?;
        self.storage.purge().await;
        Ok(erasure)
    }
}

/// The rule of [`Directory::erase_member`]. For [`Actor::Retention`] a member who is not due is not there.
///
/// # Errors
///
/// As there.
pub async fn erase_member(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    id: MemberId,
    change: &Change,
) -> Result<Erasure> {
    let found = tx.stored_member(organization, &MemberRef::Id(id)).await?;
    let mut member = found.ok_or(Resource::Member)?;
    if let Some(at) = member.erased_at {
        let sequence = tx
            .last_event(organization, EventKind::MemberErased, &member)
            .await?;
        return Ok(Erasure { at, sequence });
    }
    if let Actor::Member(_) = change.actor {
        return Err(ServiceError::RoleRequired);
    }
    if change.actor == Actor::Retention {
        require_due(tx, organization, &member, change).await?;
    }
    if member.is_live() {
        member = revoke(tx, organization, &member, change).await?;
    }
    let mut erased = Member {
        profile: Profile::default(),
        person: PersonName::default(),
        access: Access::default(),
        teams: Vec::new(),
        primary_team: TeamNumber::ROOT,
        last_seen_at: None,
        erased_at: Some(change.at),
        ..member.clone()
    };
    erased.origin.external_id = None;
    let (_, sequence) = save(tx, organization, &member, erased, EventKind::MemberErased, change).await?;
    tx.remove_mails(organization, member.number).await?;
    tx.remove_password(organization, member.number).await?;
    // An integrator's delete has left them.
    for kind in TokenKind::ALL {
        tx.remove_tokens(organization, member.number, *kind).await?;
    }
    // They may show the member.
    tx.erase_responses(organization, &id.to_string()).await?;
    Ok(Erasure {
        at: change.at,
        sequence,
    })
}

/// That a member's retention time has passed, which begins with the end of the link, or of the organization. It was found
/// due some moments ago: by now it may be restored, or the time be longer.
async fn require_due(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: &Member,
    change: &Change,
) -> Result<()> {
    let organization = tx
        .stored_organization(organization)
        .await?
        .ok_or(Resource::Organization)?;
    let ended_at = member.revoked_at.or(organization.deleted_at);
    let end = ended_at.and_then(|ended_at| organization.retention_end(ended_at));
    if end.is_some_and(|end| end <= change.at) {
        Ok(())
    } else {
        Err(Resource::Member.into())
    }
}
