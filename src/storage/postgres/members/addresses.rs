//! Addresses across organizations: who has one, and those that members had before.
//!
//! Nothing here tells an organization what another one knows: all that comes of it are ids of users.

use std::collections::BTreeSet;

use super::{
    super::{
        columns::{Binds, Columns, Row, Select, Statement, columns},
        dialect::texts,
        transaction::PostgresTransaction,
    },
    find::Values,
};
use crate::{
    domain::{Email, HeldAddress, Member, MemberNumber, OrganizationId, PageRequest, Role, UserId},
    storage::{AddressHolders, LiveLink, Result},
};
use sha2::{Digest as _, Sha256};

columns!(AddressHolders { has, had });
columns!(LiveLink { organization, email });
columns!(HeldAddress {
    member_id,
    number,
    version,
    email,
    since,
    until
});

/// Rows of `address_locks` that addresses have, from 0 on.
const LOCKS: i64 = 1024;

/// Keeps others from asking whom one of these addresses leads to until the transaction ends.
pub(super) fn lock(emails: &[Email]) -> Statement<'static> {
    let slots: BTreeSet<_> = emails.iter().map(slot).collect();
    let slots: Vec<_> = slots.into_iter().collect();
    // In one order, so that nobody waits for somebody who waits.
    sqlx::query("SELECT FROM address_locks WHERE slot = ANY ($1) ORDER BY slot FOR UPDATE").bind(slots)
}

/// The lock of an address.
fn slot(email: &Email) -> i64 {
    let digest = Sha256::digest(email.as_str());
    i64::from(u16::from_be_bytes([digest[0], digest[1]])) % LOCKS
}

/// Those of these addresses that a link in any organization has or had.
pub(super) fn linked(emails: &[Email]) -> Values<Email> {
    sqlx::query_scalar("SELECT DISTINCT email FROM addresses WHERE email = ANY ($1)")
        .bind(texts(emails.iter().map(Email::as_str)))
}

/// Who has an address and, if nobody, who had it last.
pub(super) fn holders(email: &Email) -> Select<'static, AddressHolders> {
    sqlx::query_as(
        "WITH holder AS (
             SELECT a.user_id FROM addresses AS a
             JOIN organizations AS o ON o.id = a.organization_id AND o.deleted_at IS NULL
             WHERE a.email = $1 AND a.until IS NULL
             ORDER BY a.since, a.member_id LIMIT 1
         ), ended AS (
             (
                 SELECT user_id, until, member_id FROM addresses
                 WHERE email = $1 AND until IS NOT NULL
                 ORDER BY until DESC, member_id DESC LIMIT 1
             )
             UNION ALL
             (
                 SELECT a.user_id, o.deleted_at, a.member_id FROM addresses AS a
                 JOIN organizations AS o ON o.id = a.organization_id AND o.deleted_at IS NOT NULL
                 WHERE a.email = $1 AND a.until IS NULL
                 ORDER BY o.deleted_at DESC, a.member_id DESC LIMIT 1
             )
         )
         SELECT (SELECT user_id FROM holder) AS has,
             CASE WHEN NOT EXISTS (SELECT 1 FROM holder) THEN (
                 SELECT user_id FROM ended ORDER BY until DESC, member_id DESC LIMIT 1
             ) END AS had",
    )
    .bind(email.clone())
}

/// The live links of a user to live organizations.
pub(super) fn live_links(user: UserId) -> Select<'static, LiveLink> {
    sqlx::query_as(
        "SELECT l.organization_id AS organization, l.email FROM links AS l
         JOIN organizations AS o ON o.id = l.organization_id AND o.deleted_at IS NULL
         WHERE l.user_id = $1",
    )
    .bind(user)
}

/// A page of the addresses that a user's links to an organization have or had: those that were given up, with the version
/// without it, and those that are not, with the highest number there is.
pub(super) fn of_user(
    organization: OrganizationId,
    user: UserId,
    page: &PageRequest<(MemberNumber, i64)>,
) -> Select<'static, HeldAddress> {
    let (number, version) = page.after.unwrap_or((MemberNumber(0), 0));
    sqlx::query_as(
        "SELECT member_id, number, version, email, since, until FROM (
             SELECT m.id AS member_id, m.number, f.version, f.email, f.since, f.until
             FROM members AS m
             JOIN former_addresses AS f ON f.organization_id = m.organization_id AND f.member = m.number
             WHERE m.user_id = $1 AND m.organization_id = $2
             UNION ALL
             SELECT id, number, 9223372036854775807, email, email_since, revoked_at FROM members
             WHERE user_id = $1 AND organization_id = $2 AND email IS NOT NULL
         ) AS held
         WHERE (number, version) > ($3, $4) ORDER BY number, version LIMIT $5",
    )
    .bind(user)
    .bind(organization)
    .bind(number)
    .bind(version)
    .bind(i64::from(page.limit))
}

impl PostgresTransaction<'_> {
    /// Keeps what is known by address and by user of new members.
    pub(super) async fn follow_new(
        &mut self,
        organization: OrganizationId,
        members: &[Member],
    ) -> Result<()> {
        let users: Vec<_> = members.iter().map(|member| *member.user_id.as_uuid()).collect();
        let ids: Vec<_> = members.iter().map(|member| *member.id.as_uuid()).collect();
        let emails = members.iter().map(|member| member.profile.email.as_ref());
        let emails: Vec<_> = emails.map(|email| email.map(Email::as_str)).collect();
        let roles = members.iter().map(|member| member.access.role.map(Role::as_str));
        let links = sqlx::query(
            "INSERT INTO links (user_id, organization_id, member_id, email, role)
                 SELECT m.user_id, $1, m.id, m.email, m.role
                 FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[]) AS m (user_id, id, email, role)",
        )
        .bind(organization)
        .bind(&users)
        .bind(&ids)
        .bind(&emails)
        .bind(roles.collect::<Vec<_>>());
        self.execute(links).await?;
        let numbers = members.iter().map(|member| member.number.0);
        let since = members.iter().map(|member| member.email_since.as_millis());
        let addresses = sqlx::query(
            "INSERT INTO addresses (email, organization_id, member, version, member_id, user_id, since)
                 SELECT m.email, $1, m.number, 0, m.id, m.user_id, m.since
                 FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[])
                     AS m (user_id, id, email, number, since)
                 WHERE m.email IS NOT NULL",
        )
        .bind(organization)
        .bind(&users)
        .bind(&ids)
        .bind(&emails)
        .bind(numbers.collect::<Vec<_>>())
        .bind(since.collect::<Vec<_>>());
        self.execute(addresses).await
    }

    /// Keeps what is known by address and by user of a member that was another one before, or none.
    pub(super) async fn follow(
        &mut self,
        organization: OrganizationId,
        before: Option<&Member>,
        after: &Member,
    ) -> Result<()> {
        let held = |member: &Member| {
            (
                member.profile.email.clone(),
                member.email_since,
                member.revoked_at,
            )
        };
        if before.map(held) != Some(held(after)) {
            self.follow_address(organization, before, after).await?;
        }
        let linked = |member: &Member| {
            let (email, role) = (member.profile.email.clone(), member.access.role);
            member.is_live().then_some((email, role))
        };
        match (before.and_then(linked), linked(after)) {
            (before, after) if before == after => Ok(()),
            (_, None) => {
                let statement = sqlx::query("DELETE FROM links WHERE user_id = $1 AND organization_id = $2");
                self.execute(statement.bind(after.user_id).bind(organization))
                    .await
            }
            (_, Some((email, role))) => {
                let statement = sqlx::query(
                    "INSERT INTO links (user_id, organization_id, member_id, email, role) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (user_id, organization_id)
                     DO UPDATE SET member_id = excluded.member_id, email = excluded.email, role = excluded.role",
                )
                .bind(after.user_id)
                .bind(organization)
                .bind(after.id)
                .bind(email)
                .bind(role);
                self.execute(statement).await
            }
        }
    }

    async fn follow_address(
        &mut self,
        organization: OrganizationId,
        before: Option<&Member>,
        after: &Member,
    ) -> Result<()> {
        let before = before.and_then(|before| before.profile.email.as_ref());
        if let Some(email) = before.filter(|email| after.profile.email.as_ref() != Some(email)) {
            let statement = sqlx::query(
                "DELETE FROM addresses
                 WHERE email = $1 AND organization_id = $2 AND member = $3 AND version = 0",
            );
            self.execute(statement.bind(email).bind(organization).bind(after.number))
                .await?;
        }
        let Some(email) = &after.profile.email else {
            return Ok(());
        };
        let statement = sqlx::query(
            "INSERT INTO addresses (email, organization_id, member, version, member_id, user_id, since, until)
             VALUES ($1, $2, $3, 0, $4, $5, $6, $7)
             ON CONFLICT (email, organization_id, member, version)
             DO UPDATE SET since = excluded.since, until = excluded.until",
        )
        .bind(email)
        .bind(organization)
        .bind(after.number)
        .bind(after.id)
        .bind(after.user_id)
        .bind(after.email_since)
        .bind(after.revoked_at);
        self.execute(statement).await
    }
}
