//! Members, and the users behind them.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStorage,
    error::{engine, unique},
    events::{self, Subject},
    row::{text, uuid},
};
use crate::{
    domain::{
        AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, EventKind, KeyDigest, Member, MemberId,
        MemberLookup, OrganizationId, Page, PortalRole, Profile, Timestamp, UserId,
    },
    storage::{Change, Conflict, Found, LinkedUser, MemberStore, NewMember, StoreError},
};

/// The columns that [`member_from_row`] reads, of `members AS m`.
pub(super) const MEMBER_COLUMNS: &str = "m.id, m.user_id, m.email, m.name, m.avatar_url, m.portal_role, \
     m.company_name, m.customer_status, m.created_at";

/// The member whose columns begin at `first`.
pub(super) fn member_from_row(row: &SqliteRow, first: usize) -> Result<Member, StoreError> {
    let column = |offset: usize| row.try_get::<Option<String>, _>(first + offset).map_err(engine);
    Ok(Member {
        id: MemberId::from_uuid(uuid(row.try_get(first).map_err(engine)?, "member id")?),
        user_id: UserId::from_uuid(uuid(row.try_get(first + 1).map_err(engine)?, "user id")?),
        profile: Profile {
            email: text(column(2)?, "email", Email::new)?,
            name: text(column(3)?, "name", DisplayName::new)?,
            avatar_url: text(column(4)?, "avatar URL", AvatarUrl::new)?,
            portal_role: text(column(5)?, "portal role", PortalRole::new)?
                .ok_or(StoreError::Corrupt("portal role"))?,
            company_name: text(column(6)?, "company name", CompanyName::new)?,
            customer_status: text(column(7)?, "customer status", CustomerStatus::new)?,
        },
        created_at: Timestamp::from_millis(row.try_get(first + 8).map_err(engine)?),
    })
}

#[async_trait]
impl MemberStore for SqliteStorage {
    async fn link_member(
        &self,
        organization: OrganizationId,
        new: NewMember,
        change: Change,
    ) -> Result<Member, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let user_id = find_or_add_user(connection, &new, change).await?;
                    let member = Member {
                        id: new.id,
                        user_id,
                        profile: new.profile,
                        created_at: change.at,
                    };
                    insert(connection, organization, &member).await?;
                    let fields = set_fields(&member.profile);
                    let (kind, subject) = (EventKind::MemberLinked, Subject::Member(member.id, user_id));
                    events::append(connection, organization, kind, subject, &fields, change).await?;
                    Ok(member)
                })
            })
            .await
    }

    async fn member(
        &self,
        organization: OrganizationId,
        lookup: MemberLookup,
    ) -> Result<Option<Member>, StoreError> {
        let property = match lookup {
            MemberLookup::UserId(_) => "user_id",
            MemberLookup::Email(_) => "email",
        };
        let sql = format!(
            "SELECT {MEMBER_COLUMNS} FROM members AS m
             WHERE m.organization_id = $1 AND m.{property} = $2 AND m.revoked_at IS NULL"
        );
        // Safe: it is put together from constants.
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&organization.as_uuid().as_bytes()[..]);
        let query = match &lookup {
            MemberLookup::UserId(id) => query.bind(&id.as_uuid().as_bytes()[..]),
            MemberLookup::Email(email) => query.bind(email),
        };
        query
            .fetch_optional(&self.reads)
            .await
            .map_err(engine)?
            .map(|row| member_from_row(&row, 0))
            .transpose()
    }

    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<Found, StoreError> {
        self.lookups.find(digest, Some(lookup)).await
    }

    async fn members(
        &self,
        organization: OrganizationId,
        page: Page<MemberId>,
    ) -> Result<Vec<Member>, StoreError> {
        let sql = format!(
            "SELECT {MEMBER_COLUMNS} FROM members AS m
             WHERE m.organization_id = $1 AND m.id > $2 AND m.revoked_at IS NULL ORDER BY m.id LIMIT $3"
        );
        // Safe: it is put together from constants.
        sqlx::query(AssertSqlSafe(sql))
            .bind(&organization.as_uuid().as_bytes()[..])
            .bind(
                page.after
                    .as_ref()
                    .map_or(&[][..], |id| &id.as_uuid().as_bytes()[..]),
            )
            .bind(page.limit)
            .fetch_all(&self.reads)
            .await
            .map_err(engine)?
            .iter()
            .map(|row| member_from_row(row, 0))
            .collect()
    }

    async fn revoke_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let revoked: Option<Vec<u8>> = sqlx::query_scalar(
                        "UPDATE members SET revoked_at = $3
                         WHERE organization_id = $1 AND user_id = $2 AND revoked_at IS NULL
                         RETURNING id",
                    )
                    .bind(&organization.as_uuid().as_bytes()[..])
                    .bind(&user.as_uuid().as_bytes()[..])
                    .bind(change.at.as_millis())
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(engine)?;
                    let Some(id) = revoked else { return Ok(false) };
                    let member = MemberId::from_uuid(uuid(&id, "member id")?);
                    let (kind, subject) = (EventKind::MemberRevoked, Subject::Member(member, user));
                    events::append(connection, organization, kind, subject, &["revoked_at"], change).await?;
                    Ok(true)
                })
            })
            .await
    }
}

async fn find_or_add_user(
    connection: &mut SqliteConnection,
    new: &NewMember,
    change: Change,
) -> Result<UserId, StoreError> {
    let email = new.profile.email.as_ref().map(Email::as_str);
    let (found, new_id): (Option<Vec<u8>>, _) = match &new.user {
        LinkedUser::Known(id) => {
            let query =
                sqlx::query_scalar("SELECT id FROM users WHERE id = $1").bind(&id.as_uuid().as_bytes()[..]);
            (
                query.fetch_optional(&mut *connection).await.map_err(engine)?,
                None,
            )
        }
        LinkedUser::ByEmail(id) => {
            let query = sqlx::query_scalar("SELECT id FROM users WHERE email = $1").bind(email);
            (
                query.fetch_optional(&mut *connection).await.map_err(engine)?,
                Some(id),
            )
        }
    };
    if let Some(id) = found {
        return Ok(UserId::from_uuid(uuid(&id, "user id")?));
    }
    let new_id = new_id.ok_or(StoreError::NotFound)?;
    sqlx::query("INSERT INTO users (id, email, created_at) VALUES ($1, $2, $3)")
        .bind(&new_id.as_uuid().as_bytes()[..])
        .bind(email)
        .bind(change.at.as_millis())
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(*new_id)
}

async fn insert(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    member: &Member,
) -> Result<(), StoreError> {
    let profile = &member.profile;
    let inserted = sqlx::query(
        "INSERT INTO members (organization_id, id, user_id, email, name, avatar_url, portal_role, company_name,
                              customer_status, created_at)
         SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM organizations WHERE id = $1 AND deleted_at IS NULL",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(&member.id.as_uuid().as_bytes()[..])
    .bind(&member.user_id.as_uuid().as_bytes()[..])
    .bind(profile.email.as_ref().map(Email::as_str))
    .bind(profile.name.as_ref().map(DisplayName::as_str))
    .bind(profile.avatar_url.as_ref().map(AvatarUrl::as_str))
    .bind(profile.portal_role.as_str())
    .bind(profile.company_name.as_ref().map(CompanyName::as_str))
    .bind(profile.customer_status.as_ref().map(CustomerStatus::as_str))
    .bind(member.created_at.as_millis())
    .execute(connection)
    .await
    .map_err(|error| unique(error, Conflict::Member))?;
    if inserted.rows_affected() == 0 {
        Err(StoreError::NotFound)
    } else {
        Ok(())
    }
}

/// Names of the fields of a profile that have a value.
fn set_fields(profile: &Profile) -> Vec<&'static str> {
    [
        ("email", profile.email.is_some()),
        ("name", profile.name.is_some()),
        ("avatar_url", profile.avatar_url.is_some()),
        ("portal_role", true),
        ("company_name", profile.company_name.is_some()),
        ("customer_status", profile.customer_status.is_some()),
    ]
    .into_iter()
    .filter_map(|(field, set)| set.then_some(field))
    .collect()
}
