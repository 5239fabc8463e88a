//! Judging a password.

use super::set::onboarded;
use crate::{
    domain::{
        Change, Email, EventKind, Member, MemberId, MemberRef, OrganizationId, Password, PasswordHash,
        StoredToken, Timestamp, TokenKind, TokenSecret,
    },
    service::{Directory, Result, Write, members::save_by_itself, rules::Transaction},
};

/// How often to judge anew where the hash was replaced in the meantime.
const TRIES: usize = 2;

/// Who somebody says to be.
#[derive(Clone, Debug)]
pub enum Attempt {
    Member(MemberId),
    /// Byte for byte, and perhaps no address at all.
    Email(String),
}

/// How a password was judged.
#[derive(Debug)]
pub enum Verified {
    /// It is the member's.
    Verified {
        member: Member,
        access_token: TokenSecret,
        expires_at: Timestamp,
    },
    /// It is the member's, who is disabled.
    Disabled(Member),
    /// It is not, or there is no such member, or none with a password.
    Denied,
}

/// What is known of a member whose password was right.
#[derive(Clone, Debug)]
pub struct RightPassword {
    pub member: MemberId,
    /// By which it was judged.
    pub hash: PasswordHash,
    /// What takes its place, if its parameters are outdated.
    pub newer: Option<PasswordHash>,
    /// The access token that it gives.
    pub token: StoredToken,
}

impl Directory {
    /// Judges a password. Whoever is meant, known or not, it takes a look-up and a hash.
    ///
    /// # Errors
    ///
    /// [`crate::service::ServiceError::TooManyAttempts`], [`crate::service::ServiceError::Overloaded`].
    pub async fn verify_password(
        &self,
        grant: Write,
        attempt: Attempt,
        password: &str,
        source: Option<&str>,
    ) -> Result<Verified> {
        let organization = grant.organization;
        // First, so that attempts come no faster than they are judged, those of made-up addresses as well: what is remembered of them is
        // shared by all organizations.
        let place = self.hasher.place(organization).await?;
        if let Some(source) = source {
            self.throttle.source(organization, source)?;
        }
        let mut found = self.whom(organization, &attempt).await?;
        let whose = match (&found, &attempt) {
            (Some((member, _)), _) => member.id.to_string(),
            (None, Attempt::Member(id)) => id.to_string(),
            (None, Attempt::Email(email)) => email.clone(),
        };
        self.throttle.member(organization, &whose)?;
        for _ in 0..TRIES {
            let hash = found.as_ref().and_then(|(_, hash)| hash.clone());
            let judged = self.hasher.judge(&place, Password::typed(password), hash.clone());
            let judged = judged.await?;
            let (Some((member, _)), Some(hash), true) = (found, hash, judged.right) else {
                return Ok(Verified::Denied);
            };
            if !member.access.enabled {
                return Ok(Verified::Disabled(member));
            }
            let newer = if judged.outdated {
                let password = Password::typed(password);
                self.hasher
                    .hash(&place, password, &*self.random, |_| true)
                    .await?
            } else {
                None
            };
            if let Some(verified) = self.admit(&grant, &member, hash, newer).await? {
                return Ok(verified);
            }
            found = self.whom(organization, &attempt).await?;
        }
        Ok(Verified::Denied)
    }

    /// How many passwords have been hashed since the directory was opened.
    #[must_use]
    pub fn passwords_hashed(&self) -> u64 {
        self.hasher.hashed()
    }

    async fn whom(
        &self,
        organization: OrganizationId,
        attempt: &Attempt,
    ) -> Result<Option<(Member, Option<PasswordHash>)>> {
        let member = match attempt {
            Attempt::Member(id) => MemberRef::Id(*id),
            Attempt::Email(email) => match Email::new(email.clone()) {
                Ok(email) => MemberRef::Email(email),
                Err(_) => return Ok(None),
            },
        };
        Ok(self.storage.member_and_password(organization, &member).await?)
    }

    async fn admit(
        &self,
        grant: &Write,
        member: &Member,
        hash: PasswordHash,
        newer: Option<PasswordHash>,
    ) -> Result<Option<Verified>> {
        let change = self.change(grant.author.clone());
        let access_token = TokenSecret::generate(TokenKind::AccessToken, &*self.random)?;
        let token = access_token.stored(member.number, change.at);
        let expires_at = token.expires_at;
        let right = RightPassword {
            member: member.id,
            hash,
            newer,
            token,
        };
        let input = (grant.organization, right, change);
        let admitted = self
            .storage
            .write(grant.organization, input, |tx, (organization, right, change)| {
                Box::pin(admit_member(tx, *organization, right, change))
            });
        Ok(admitted.await?.map(|member| Verified::Verified {
            member,
            access_token,
            expires_at,
        }))
    }
}

/// The rule of [`Directory::verify_password`], once a password was right: gives the member an access token. None: the
/// member, or its password, has changed since.
///
/// # Errors
///
/// Only those of the storage.
pub async fn admit_member(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    right: &RightPassword,
    change: &Change,
) -> Result<Option<Member>> {
    let found = tx
        .stored_member(organization, &MemberRef::Id(right.member))
        .await?;
    let Some(mut member) = found.filter(|member| member.is_live() && member.access.enabled) else {
        return Ok(None);
    };
    if tx.stored_password(organization, member.number).await?.as_ref() != Some(&right.hash) {
        return Ok(None);
    }
    if let Some(newer) = &right.newer {
        tx.save_password(organization, member.number, newer, change.at)
            .await?;
    }
    if !member.access.onboarded {
        let (before, after) = (&member, onboarded(&member));
        let saved = save_by_itself(tx, organization, before, after, EventKind::MemberUpdated, change);
        member = saved.await?.0;
    }
    tx.insert_token(organization, &right.token).await?;
    Ok(Some(member))
}
