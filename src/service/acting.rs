//! What a member may do who acts itself, in a session: judged inside the transaction of each change, by the role of that
//! moment. Whoever else acts was judged before.

use super::{Result, ServiceError, rules::Transaction};
use crate::domain::{Actor, Change, Member, MemberNumber, MemberRef, OrganizationId, Role};

/// That a member who acts may still manage members. Returns whether it must leave owners alone: an ADMIN.
///
/// # Errors
///
/// [`ServiceError::RoleRequired`].
pub(super) async fn leaves_owners_alone(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    change: &Change,
) -> Result<bool> {
    let Actor::Member(id) = change.actor else {
        return Ok(false);
    };
    let found = tx.stored_member(organization, &MemberRef::Id(id)).await?;
    let acting = found.filter(Member::may_administer);
    let acting = acting.ok_or(ServiceError::RoleRequired)?;
    Ok(acting.access.role != Some(Role::Owner))
}

/// That whoever acts may change these members, or make them: each as it was before and as it is after.
///
/// # Errors
///
/// [`ServiceError::RoleRequired`].
pub(super) async fn may_change(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    change: &Change,
    members: &[&Member],
) -> Result<()> {
    let owner = |member: &&Member| member.access.role == Some(Role::Owner);
    if leaves_owners_alone(tx, organization, change).await? && members.iter().any(owner) {
        return Err(ServiceError::RoleRequired);
    }
    Ok(())
}

/// The same for members who are known by their numbers.
///
/// # Errors
///
/// [`ServiceError::RoleRequired`].
pub(super) async fn may_touch(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    change: &Change,
    members: &[MemberNumber],
) -> Result<()> {
    if leaves_owners_alone(tx, organization, change).await? && tx.has_owner(organization, members).await? {
        return Err(ServiceError::RoleRequired);
    }
    Ok(())
}
