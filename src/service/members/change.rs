//! Changes of a member: updates, revocations, restorations.

use super::addresses;
use crate::{
    domain::{
        Change, EventKind, Member, MemberId, MemberPatch, MemberRef, OrganizationId, Precondition, Resource,
        Subject, TokenKind,
    },
    service::{
        Directory, Result, ServiceError, Write,
        acting::may_change,
        rules::{Transaction, live_organization, team},
    },
};

impl Directory {
    /// Changes a live member and returns it. A patch that changes nothing has no event.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`]. [`Resource::Team`]. [`ServiceError::VersionMismatch`]: it has not the version that is given.
    /// [`crate::domain::Conflict::Member`]. [`Precondition::LastOwner`]. [`Precondition::LastFacet`].
    pub async fn update_member(
        &self,
        grant: Write,
        member: MemberId,
        patch: MemberPatch,
        version: Option<i64>,
    ) -> Result<Member> {
        let input = (
            grant.organization,
            member,
            patch,
            version,
            self.change(grant.author),
        );
        self.storage
            .write(
                grant.organization,
                input,
                |tx, (organization, member, patch, version, change)| {
                    Box::pin(update_member(tx, *organization, *member, patch, *version, change))
                },
            )
            .await
    }

    /// Ends a live member's link at once and returns the member.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`]. [`ServiceError::VersionMismatch`]: it has not the version that is given.
    /// [`Precondition::LastOwner`].
    pub async fn revoke_member(
        &self,
        grant: Write,
        member: MemberId,
        version: Option<i64>,
    ) -> Result<Member> {
        let input = (grant.organization, member, version, self.change(grant.author));
        self.storage
            .write(
                grant.organization,
                input,
                |tx, (organization, member, version, change)| {
                    Box::pin(revoke_member(tx, *organization, *member, *version, change))
                },
            )
            .await
    }

    /// Makes a revoked member live again and returns it.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`]. [`crate::domain::Conflict::Member`]. [`Precondition::MemberNotRevoked`],
    /// [`Precondition::MemberErased`], [`Precondition::RetentionPassed`].
    pub async fn restore_member(&self, grant: Write, member: MemberId) -> Result<Member> {
        let input = (grant.organization, member, self.change(grant.author));
        self.storage
            .write(grant.organization, input, |tx, (organization, member, change)| {
                Box::pin(restore_member(tx, *organization, *member, change))
            })
            .await
    }
}

/// The rule of [`Directory::update_member`].
///
/// # Errors
///
/// As there.
pub async fn update_member(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: MemberId,
    patch: &MemberPatch,
    version: Option<i64>,
    change: &Change,
) -> Result<Member> {
    let before = live(tx, organization, member, version).await?;
    let mut after = before.clone();
    patch.clone().apply(&mut after);
    if after == before {
        return Ok(after);
    }
    let saved = save(tx, organization, &before, after, EventKind::MemberUpdated, change);
    Ok(saved.await?.0)
}

/// The rule of [`Directory::revoke_member`].
///
/// # Errors
///
/// As there.
pub async fn revoke_member(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    member: MemberId,
    version: Option<i64>,
    change: &Change,
) -> Result<Member> {
    let before = live(tx, organization, member, version).await?;
    revoke(tx, organization, &before, change).await
}

/// The live member with this id, if it has this version.
async fn live(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    id: MemberId,
    version: Option<i64>,
) -> Result<Member> {
    let found = tx.stored_member(organization, &MemberRef::Id(id)).await?;
    let member = found.filter(Member::is_live).ok_or(Resource::Member)?;
    if version.is_some_and(|version| version != member.version) {
        return Err(ServiceError::VersionMismatch);
    }
    Ok(member)
}

/// Ends a live member's link.
pub(super) async fn revoke(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    before: &Member,
    change: &Change,
) -> Result<Member> {
    let after = Member {
        revoked_at: Some(change.at),
        ..before.clone()
    };
    let saved = save(tx, organization, before, after, EventKind::MemberRevoked, change);
    Ok(saved.await?.0)
}

/// The rule of [`Directory::restore_member`].
///
/// # Errors
///
/// As there.
pub async fn restore_member(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    id: MemberId,
    change: &Change,
) -> Result<Member> {
    let found = tx.stored_member(organization, &MemberRef::Id(id)).await?;
    let before = found.ok_or(Resource::Member)?;
    let revoked_at = before.revoked_at.ok_or(Precondition::MemberNotRevoked)?;
    if before.erased_at.is_some() {
        return Err(Precondition::MemberErased.into());
    }
    let organization_now = live_organization(tx, organization).await?;
    if organization_now
        .retention_end(revoked_at)
        .is_some_and(|end| end <= change.at)
    {
        return Err(Precondition::RetentionPassed.into());
    }
    let after = Member {
        revoked_at: None,
        ..before.clone()
    };
    let saved = save(
        tx,
        organization,
        &before,
        after,
        EventKind::MemberRestored,
        change,
    );
    Ok(saved.await?.0)
}

/// Writes a changed member back, if whoever acts may change it. Otherwise as [`save_by_itself`].
pub(super) async fn save(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    before: &Member,
    after: Member,
    kind: EventKind,
    change: &Change,
) -> Result<(Member, i64)> {
    may_change(tx, organization, change, &[before, &after]).await?;
    save_by_itself(tx, organization, before, after, kind, change).await
}

/// Writes a changed member back, with its event, and returns it and the event's number. What holds of every change of a
/// member is here, but for who may make it: this is for what a member does by showing its password or a link.
pub(in crate::service) async fn save_by_itself(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    before: &Member,
    mut after: Member,
    kind: EventKind,
    change: &Change,
) -> Result<(Member, i64)> {
    after.version = before.version + 1;
    after.updated_at = change.at;
    if before.is_acting_owner() && !after.is_acting_owner() {
        require_other_owner(tx, organization, before).await?;
    }
    if after.is_live() && !after.has_facet() {
        return Err(Precondition::LastFacet.into());
    }
    if after.erased_at.is_some() {
        tx.remove_former_addresses(organization, after.number).await?;
    } else {
        addresses::follow(tx, organization, before, &mut after, change.at).await?;
    }
    if after.primary_team != before.primary_team {
        team(tx, organization, after.primary_team).await?;
    }
    for number in after.teams.iter().filter(|number| !before.teams.contains(number)) {
        team(tx, organization, *number).await?;
    }
    tx.save_member(organization, before, &after).await?;
    end_tokens(tx, organization, before, &after).await?;
    let subject = Subject::Member(after.id, after.user_id);
    let fields = Member::changes(Some(before), &after);
    let sequence = tx
        .append_event(Some(organization), kind, subject, &fields, change)
        .await?;
    Ok((after, sequence))
}

/// Tokens end for good with what they stand on, so that none works again when that comes back: all with the link, what a
/// right password gave with being enabled, sessions with the role, and mailed links with the address.
async fn end_tokens(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    before: &Member,
    after: &Member,
) -> Result<()> {
    let ends: &[TokenKind] = if before.is_live() != after.is_live() {
        TokenKind::ALL
    } else if before.access.enabled && !after.access.enabled {
        &[
            TokenKind::AccessToken,
            TokenKind::HandoverCode,
            TokenKind::Session,
        ]
    } else if before.may_administer() && !after.may_administer() {
        &[TokenKind::HandoverCode, TokenKind::Session]
    } else {
        &[]
    };
    let moved = before.profile.email != after.profile.email;
    for kind in ends.iter().chain(moved.then_some(&TokenKind::PasswordLink)) {
        tx.remove_tokens(organization, after.number, *kind).await?;
    }
    Ok(())
}

/// An organization that has an enabled owner keeps one, for as long as it lives.
async fn require_other_owner(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    owner: &Member,
) -> Result<()> {
    let stored = tx
        .stored_organization(organization)
        .await?
        .ok_or(Resource::Organization)?;
    if stored.deleted_at.is_some() || tx.has_other_owner(organization, owner.number).await? {
        Ok(())
    } else {
        Err(Precondition::LastOwner.into())
    }
}
