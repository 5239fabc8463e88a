//! The rules of every change, and what they have in common.
//!
//! A rule is a function of a transaction and of what it is given, and may run more than once. It reads, decides and writes;
//! if it fails, nothing of it has happened. Who may ask for it, what time it is and which ids are new is for its caller.
//! Here are all of them, for tests that run each on every engine.

use futures_util::future::BoxFuture;

use super::Result;
pub use super::{
    api_keys::{Successor, create_api_key, revoke_api_key, rotate_api_key},
    credentials::{NewPassword, RightPassword, admit_member, issue_handover_code, set_password},
    idempotency::write_once,
    mails::{claim_mail, mail_failed, mail_sent, queue_mail, request_password_reset, retry_mail},
    members::{
        NewIds, erase_member, import_members, link_member, restore_member, revoke_member, update_member,
    },
    organizations::{create_organization, delete_organization, update_organization},
    sessions::{create_session, end_session},
    teams::{TeamSet, create_team, delete_team, rename_team, set_team_members},
};
use crate::domain::{Organization, OrganizationId, Resource, Team, TeamNumber};
pub use crate::storage::Transaction;

/// A rule with what it is given.
pub type Rule<I, T> = for<'t> fn(&'t mut dyn Transaction, &'t I) -> BoxFuture<'t, Result<T>>;

/// A live organization.
///
/// # Errors
///
/// [`Resource::Organization`].
pub(super) async fn live_organization(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
) -> Result<Organization> {
    let found = tx.stored_organization(organization).await?;
    let found = found.filter(|found| found.deleted_at.is_none());
    found.ok_or(Resource::Organization.into())
}

/// A team.
///
/// # Errors
///
/// [`Resource::Team`].
pub(super) async fn team(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    team: TeamNumber,
) -> Result<Team> {
    let found = tx.stored_team(organization, team).await?;
    found.ok_or(Resource::Team.into())
}
