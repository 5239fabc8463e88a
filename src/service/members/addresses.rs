//! Addresses across organizations: whom one leads to, and what is kept of one that a member gives up.
//!
//! Nothing here tells an organization what another one knows: all that comes of it is the id of a user.

use crate::{
    domain::{Email, HeldAddress, Member, OrganizationId, Timestamp, UserId},
    service::{Result, rules::Transaction},
};

/// Whom an address leads to in the organization that asks. None: to a new user.
///
/// To the user who has it on a live link; else to the one who had it last, unless that one lives under other addresses by
/// now and may have left it to somebody else. A user who is here already is not linked twice.
pub(super) async fn user_of(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    email: &Email,
) -> Result<Option<UserId>> {
    let holders = tx.address_holders(email).await?;
    let Some(user) = holders.has.or(holders.had) else {
        return Ok(None);
    };
    let links = tx.live_links(user).await?;
    let is_here = links.iter().any(|link| link.organization == organization);
    let mut emails = links.iter().filter_map(|link| link.email.as_ref());
    let is_elsewhere = emails.any(|other| other != email);
    let leads_here = !is_here && (holders.has.is_some() || !is_elsewhere);
    Ok(leads_here.then_some(user))
}

/// Notes since when a member has its address after a change, and keeps the address that it had before, with the time in
/// which it had it. That ends with a change of address, and with a restoration: who comes back has the address from then
/// on. A revocation is told by the member itself.
pub(super) async fn follow(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    before: &Member,
    after: &mut Member,
    at: Timestamp,
) -> Result<()> {
    if before.profile.email == after.profile.email && (before.is_live() || !after.is_live()) {
        return Ok(());
    }
    after.email_since = at;
    let Some(email) = before.profile.email.clone() else {
        return Ok(());
    };
    let address = HeldAddress {
        member_id: before.id,
        number: before.number,
        version: after.version,
        email,
        since: before.email_since,
        until: Some(before.revoked_at.unwrap_or(at)),
    };
    Ok(tx.keep_former_address(organization, &address).await?)
}
