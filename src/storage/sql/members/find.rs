//! Statements that find members or say something of them, the same on every engine.

use sqlx::{AssertSqlSafe, FromRow, Row as _, query::QueryScalar};

use super::{
    super::{
        Arguments, Db,
        columns::{Row, Select, Statement, Stored},
        dialect::{
            EMAIL, LIVE, OF_ORGANIZATION, THEN_JOIN, ids, members_with, numbers, rows_of_ids,
            rows_of_numbers, texts,
        },
    },
    row::COLUMNS,
};
use crate::domain::{
    Association, CLOCKS_DIFFER, Email, ExternalId, Member, MemberId, MemberNumber, MemberRef, Organization,
    OrganizationId, PageRequest, Role, Source, Timestamp, UserId,
};

/// A query for values.
pub(super) type Values<T> = QueryScalar<'static, Db, T, Arguments>;

/// The member that a reference names.
pub(super) fn member(organization: OrganizationId, member: &MemberRef) -> Select<'static, Member> {
    member_with("", organization, member)
}

/// The same, with more columns.
pub(in super::super) fn member_with<T: Stored>(
    columns: &str,
    organization: OrganizationId,
    member: &MemberRef,
) -> Select<'static, T> {
    let condition = match member {
        MemberRef::Id(_) => "m.organization_id = $1 AND m.id = $2",
        MemberRef::Number(_) => "m.organization_id = $1 AND m.number = $2",
        MemberRef::UserId(_) => &format!("{OF_ORGANIZATION} AND m.user_id = $2 AND {LIVE}"),
        MemberRef::Email(_) => &format!("{OF_ORGANIZATION} AND m.{EMAIL} = $2 AND {LIVE}"),
        MemberRef::ExternalId(..) => {
            &format!("{OF_ORGANIZATION} AND m.source = $2 AND m.external_id = $3 AND m.revoked_at IS NULL")
        }
    };
    let sql = format!("SELECT {}{columns} FROM members AS m WHERE {condition}", *COLUMNS);
    // Safe: it is put together from constants.
    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(organization);
    match member {
        MemberRef::Id(id) => query.bind(*id),
        MemberRef::Number(number) => query.bind(*number),
        MemberRef::UserId(id) => query.bind(*id),
        MemberRef::Email(email) => query.bind(email.clone()),
        MemberRef::ExternalId(source, id) => query.bind(source.clone()).bind(id.clone()),
    }
}

/// Those of these members that there are.
pub(super) fn by_id(organization: OrganizationId, members: &[MemberId]) -> Select<'static, Member> {
    let sql = format!(
        "SELECT {} FROM {}
         {THEN_JOIN} members AS m ON m.organization_id = $1 AND m.id = wanted.value",
        *COLUMNS,
        rows_of_ids("$2", "wanted")
    );
    // Safe: it is put together from constants.
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(ids(members.iter().map(MemberId::as_uuid)))
}

/// The live members who have one of these addresses.
pub(super) fn by_email(organization: OrganizationId, emails: &[Email]) -> Select<'static, Member> {
    let sql = format!(
        "SELECT {} FROM {} AND {OF_ORGANIZATION} AND {LIVE}",
        *COLUMNS,
        members_with(EMAIL, "$2")
    );
    // Safe: it is put together from constants.
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(texts(emails.iter().map(Email::as_str)))
}

/// The live members who have one of these ids of a source.
pub(super) fn by_external_id(
    organization: OrganizationId,
    source: &Source,
    ids: &[ExternalId],
) -> Select<'static, Member> {
    let sql = format!(
        "SELECT {} FROM {} AND {OF_ORGANIZATION} AND m.source = $3 AND m.revoked_at IS NULL",
        *COLUMNS,
        members_with("external_id", "$2")
    );
    // Safe: it is put together from constants.
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(texts(ids.iter().map(ExternalId::as_str)))
        .bind(source.clone())
}

/// A page of a user's links to an organization.
pub(super) fn links(
    organization: OrganizationId,
    user: UserId,
    page: &PageRequest<MemberNumber>,
) -> Select<'static, Member> {
    let sql = format!(
        "SELECT {} FROM members AS m WHERE {OF_ORGANIZATION} AND m.user_id = $2 AND m.number > $3
         ORDER BY m.number LIMIT $4",
        *COLUMNS
    );
    // Safe: it is put together from constants.
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(user)
        .bind(page.after.unwrap_or(MemberNumber(0)))
        .bind(i64::from(page.limit))
}

impl FromRow<'_, Row> for Association {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization: Organization::from_row(row)?,
            member_id: row.try_get("member_id")?,
            role: row.try_get("role")?,
        })
    }
}

/// Whether an enabled owner is live besides this member.
pub(super) fn other_owner(organization: OrganizationId, besides: MemberNumber) -> Values<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM members
             WHERE organization_id = $1 AND role = $2 AND role IS NOT NULL AND revoked_at IS NULL AND enabled
               AND number <> $3
         )",
    )
    .bind(organization)
    .bind(Role::Owner)
    .bind(besides)
}

/// Whether one of these members is an owner.
pub(super) fn owner_among(organization: OrganizationId, members: &[MemberNumber]) -> Values<bool> {
    let sql = format!(
        "SELECT EXISTS (
             SELECT 1 FROM {}
             {THEN_JOIN} members AS m ON m.organization_id = $1 AND m.number = wanted.value
             WHERE m.role = $3
         )",
        rows_of_numbers("$2", "wanted")
    );
    // Safe: it is put together from constants.
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(organization)
        .bind(numbers(members))
        .bind(Role::Owner)
}

/// The numbers of those of these members who are live.
pub(super) fn live_numbers(organization: OrganizationId, members: &[MemberId]) -> Values<MemberNumber> {
    let sql = format!(
        "SELECT m.number FROM {}
         {THEN_JOIN} members AS m ON m.organization_id = $1 AND m.id = wanted.value
         WHERE m.revoked_at IS NULL ORDER BY m.number",
        rows_of_ids("$2", "wanted")
    );
    // Safe: it is put together from constants.
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(organization)
        .bind(ids(members.iter().map(MemberId::as_uuid)))
}

/// Notes that a live member was seen, unless a later time is noted that is not ahead of now.
pub(super) fn record_seen(
    organization: OrganizationId,
    member: MemberId,
    at: Timestamp,
    now: Timestamp,
) -> Statement<'static> {
    sqlx::query(
        "UPDATE members SET last_seen_at = $3
         WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL
           AND (last_seen_at IS NULL OR last_seen_at < $3 OR last_seen_at > $4)",
    )
    .bind(organization)
    .bind(member)
    .bind(at)
    .bind(now.saturating_add(CLOCKS_DIFFER))
}
