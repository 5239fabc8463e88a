//! Passwords of members, and the tokens that stand for them. One file for each use case; beside them what passwords must be
//! ([`policy`]), how they are hashed ([`hashing`]), and how often they may be tried ([`throttle`]).

mod handover;
mod hashing;
mod link;
mod policy;
mod set;
mod throttle;
mod verify;

pub use self::{
    handover::{IssuedToken, issue_handover_code},
    link::PasswordLink,
    set::{NewPassword, set_password},
    verify::{Attempt, RightPassword, Verified, admit_member},
};
pub(super) use self::{hashing::Hasher, set::sign_in, throttle::Throttle};

use super::{Result, ServiceError, rules::Transaction};
use crate::domain::{KeyDigest, OrganizationId, StoredToken, Timestamp, TokenKind};

/// A token that works at this moment, as it is inside a transaction: what was looked at before may be used up by now.
///
/// # Errors
///
/// [`ServiceError::InvalidToken`].
pub(super) async fn working_token(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    digest: KeyDigest,
    kind: TokenKind,
    now: Timestamp,
) -> Result<StoredToken> {
    let found = tx.stored_token(organization, digest).await?;
    let works = |token: &StoredToken| token.kind == kind && token.is_active(now);
    found.filter(works).ok_or(ServiceError::InvalidToken)
}
