//! The event log.

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};

use super::{SqliteStorage, error::engine, row::uuid};
use crate::{
    domain::{ApiKeyId, Event, EventKind, MemberId, OrganizationId, Page, Timestamp, UserId},
    storage::{Change, EventLog, StoreError},
};

/// What a change happened to.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Organization,
    ApiKey(ApiKeyId),
    Member(MemberId, UserId),
}

/// Writes the row of a change, in the transaction of the change.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    kind: EventKind,
    subject: Subject,
    fields: &[&str],
    change: Change,
) -> Result<(), StoreError> {
    let (member_id, user_id, api_key_id) = match subject {
        Subject::Organization => (None, None, None),
        Subject::ApiKey(key) => (None, None, Some(key)),
        Subject::Member(member, user) => (Some(member), Some(user), None),
    };
    sqlx::query(
        "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, api_key_id, actor, at, fields)
         SELECT $1, coalesce(max(sequence), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM events WHERE organization_id = $1",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(kind.as_str())
    .bind(member_id.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
    .bind(user_id.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
    .bind(api_key_id.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
    .bind(change.actor.to_string())
    .bind(change.at.as_millis())
    .bind(fields.join(" "))
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

#[derive(FromRow)]
struct EventRow {
    sequence: i64,
    organization_id: Vec<u8>,
    kind: String,
    member_id: Option<Vec<u8>>,
    user_id: Option<Vec<u8>>,
    api_key_id: Option<Vec<u8>>,
    actor: String,
    at: i64,
    fields: String,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let id = |bytes: Option<Vec<u8>>| bytes.map(|bytes| uuid(&bytes, "event subject")).transpose();
        Ok(Self {
            sequence: row.sequence,
            organization_id: OrganizationId::from_uuid(uuid(&row.organization_id, "organization id")?),
            kind: row.kind.parse().map_err(|_| StoreError::Corrupt("event kind"))?,
            member_id: id(row.member_id)?.map(MemberId::from_uuid),
            user_id: id(row.user_id)?.map(UserId::from_uuid),
            api_key_id: id(row.api_key_id)?.map(ApiKeyId::from_uuid),
            actor: row
                .actor
                .parse()
                .map_err(|_| StoreError::Corrupt("event actor"))?,
            at: Timestamp::from_millis(row.at),
            fields: row.fields.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

#[async_trait]
impl EventLog for SqliteStorage {
    async fn events(&self, organization: OrganizationId, page: Page<i64>) -> Result<Vec<Event>, StoreError> {
        sqlx::query_as::<_, EventRow>(
            "SELECT sequence, organization_id, kind, member_id, user_id, api_key_id, actor, at, fields
             FROM events WHERE organization_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
        )
        .bind(&organization.as_uuid().as_bytes()[..])
        .bind(page.after.unwrap_or_default())
        .bind(page.limit)
        .fetch_all(&self.reads)
        .await
        .map_err(engine)?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
    }
}
