//! Addresses across organizations: who has one, and those that members had before.
//!
//! Nothing here tells an organization what another one knows: all that comes of it are ids of users.

use sqlx::AssertSqlSafe;

use super::find::Values;
use crate::{
    domain::{Email, HeldAddress, MemberNumber, OrganizationId, PageRequest, UserId},
    storage::{
        AddressHolders, LiveLink,
        sqlite::{
            columns::{Binds, Columns, Row, Select, columns},
            dialect::{OF_ORGANIZATION, rows_of_texts, texts},
        },
    },
};

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

/// Who has an address and, if nobody, who had it last.
///
/// Of the links that ever had it, one row is read for each organization, however often it has linked and revoked it; of
/// the others, entries of an index. In one organization one link has it at a time, so the last to get it lost it last.
pub(super) fn holders(email: &Email) -> Select<'static, AddressHolders> {
    sqlx::query_as(
        "WITH holder (has) AS MATERIALIZED (
             SELECT (
                 SELECT m.user_id
                 FROM (SELECT DISTINCT organization_ordinal FROM members WHERE email = $1) AS has
                 CROSS JOIN members AS m
                     ON m.organization_ordinal = has.organization_ordinal AND m.sort_email = $1
                     AND m.superseded_number = 0 AND m.revoked_at IS NULL
                 CROSS JOIN organizations AS o ON o.id = m.organization_id AND o.deleted_at IS NULL
                 ORDER BY m.email_since, m.id LIMIT 1
             )
         ), found (has, had) AS MATERIALIZED (SELECT has, CASE WHEN has IS NULL THEN (
             SELECT user_id FROM (
                 SELECT m.user_id, m.id, coalesce(m.revoked_at, o.deleted_at) AS until
                 FROM (
                     SELECT row, max(email_since) FROM members WHERE email = $1 GROUP BY organization_ordinal
                 ) AS had
                 CROSS JOIN members AS m ON m.row = had.row
                 CROSS JOIN organizations AS o ON o.id = m.organization_id
                 UNION ALL
                 SELECT m.user_id, m.id, had.until
                 FROM (
                     SELECT organization_id, member, max(until) AS until FROM former_addresses
                     WHERE email = $1 GROUP BY organization_id
                 ) AS had
                 CROSS JOIN members AS m ON m.organization_id = had.organization_id AND m.number = had.member
             )
             ORDER BY until DESC, id DESC LIMIT 1
         ) END FROM holder)
         SELECT has, had FROM found WHERE has IS NOT NULL OR had IS NOT NULL",
    )
    .bind(email.clone())
}

/// Those of these addresses that a link in any organization has or had.
pub(super) fn linked(emails: &[Email]) -> Values<Email> {
    let sql = format!(
        "SELECT wanted.value FROM {}
         WHERE EXISTS (SELECT 1 FROM members WHERE email = wanted.value)
             OR EXISTS (SELECT 1 FROM former_addresses WHERE email = wanted.value)",
        rows_of_texts("$1", "wanted")
    );
    // Safe: it is put together from constants.
    sqlx::query_scalar(AssertSqlSafe(sql)).bind(texts(emails.iter().map(Email::as_str)))
}

/// The live links of a user to live organizations. One row is read for each, whatever else there was.
pub(super) fn live_links(user: UserId) -> Select<'static, LiveLink> {
    sqlx::query_as(
        "SELECT m.organization_id AS organization, m.email
         FROM members AS m
         CROSS JOIN organizations AS o ON o.id = m.organization_id AND o.deleted_at IS NULL
         WHERE m.user_id = $1 AND m.superseded_number = 0 AND m.revoked_at IS NULL",
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
    let sql = format!(
        "SELECT member_id, number, version, email, since, until FROM (
             SELECT m.id AS member_id, m.number, f.version, f.email, f.since, f.until
             FROM members AS m
             CROSS JOIN former_addresses AS f ON f.organization_id = m.organization_id AND f.member = m.number
             WHERE {OF_ORGANIZATION} AND m.user_id = $2
             UNION ALL
             SELECT m.id, m.number, 9223372036854775807, m.email, m.email_since, m.revoked_at FROM members AS m
             WHERE {OF_ORGANIZATION} AND m.user_id = $2 AND m.email IS NOT NULL
         )
         WHERE (number, version) > ($3, $4) ORDER BY number, version LIMIT $5"
    );
    // Safe: it is put together from constants.
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(user)
        .bind(number)
        .bind(version)
        .bind(page.limit)
}
