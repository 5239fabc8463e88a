//! The event log.

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use tokio::sync::watch;

use super::{
    SqliteStorage,
    error::engine,
    row::{self, owner, uuid},
};
use crate::{
    domain::{
        ApiKeyId, Event, EventKind, MemberId, MemberNumber, OrganizationId, Source, TeamNumber, Timestamp,
        UserId,
    },
    storage::{Change, EventLog, EventQuery, StoreError},
};

/// What a change happened to.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Organization,
    ApiKey(ApiKeyId),
    Member(MemberId, UserId),
    Team(TeamNumber),
}

/// Writes the row of a change, in the transaction of the change, and returns its sequence number. The log is that of
/// the organization, or that of the deployment where there is none.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    kind: EventKind,
    subject: Subject,
    fields: &[&str],
    change: &Change,
) -> Result<i64, StoreError> {
    let (member_id, user_id, api_key_id, team) = match subject {
        Subject::Organization => (None, None, None, None),
        Subject::ApiKey(key) => (None, None, Some(key), None),
        Subject::Member(member, user) => (Some(member), Some(user), None, None),
        Subject::Team(team) => (None, None, None, Some(team)),
    };
    sqlx::query_scalar(
        "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, api_key_id, team, actor, source, at,
                             fields)
         SELECT $1, coalesce(max(sequence), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         FROM events WHERE organization_id = $1
         RETURNING sequence",
    )
    .bind(&owner(organization)[..])
    .bind(kind.as_str())
    .bind(member_id.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
    .bind(user_id.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
    .bind(api_key_id.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
    .bind(team.map(|team| team.0))
    .bind(change.actor.to_string())
    .bind(change.source.as_ref().map(Source::as_str))
    .bind(change.at.as_millis())
    .bind(fields.join(" "))
    .fetch_one(connection)
    .await
    .map_err(engine)
}

/// As [`append`], for many members that changed in the same way: one `member.updated` each, in the order of their
/// numbers.
pub(super) async fn append_updates(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    members: &[MemberNumber],
    fields: &[&str],
    change: &Change,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, source, at, fields)
         SELECT $1,
                (SELECT coalesce(max(sequence), 0) FROM events WHERE organization_id = $1)
                    + row_number() OVER (ORDER BY m.number),
                $2, m.id, m.user_id, $3, $4, $5, $6
         FROM members AS m
         WHERE m.organization_id = $1 AND m.number IN (SELECT value FROM json_each($7))",
    )
    .bind(&owner(Some(organization))[..])
    .bind(EventKind::MemberUpdated.as_str())
    .bind(change.actor.to_string())
    .bind(change.source.as_ref().map(Source::as_str))
    .bind(change.at.as_millis())
    .bind(fields.join(" "))
    .bind(row::json_numbers(members))
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
    team: Option<i64>,
    actor: String,
    source: Option<String>,
    at: i64,
    fields: String,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let id = |bytes: Option<Vec<u8>>| bytes.map(|bytes| uuid(&bytes, "event subject")).transpose();
        Ok(Self {
            sequence: row.sequence,
            organization_id: row::owner_of(&row.organization_id)?,
            kind: row.kind.parse().map_err(|_| StoreError::Corrupt("event kind"))?,
            member_id: id(row.member_id)?.map(MemberId::from_uuid),
            user_id: id(row.user_id)?.map(UserId::from_uuid),
            api_key_id: id(row.api_key_id)?.map(ApiKeyId::from_uuid),
            team: row.team.map(TeamNumber),
            actor: row
                .actor
                .parse()
                .map_err(|_| StoreError::Corrupt("event actor"))?,
            source: row::text(row.source, "event source", Source::new)?,
            at: Timestamp::from_millis(row.at),
            fields: row.fields.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

/// Of an organization and a sequence number on, a page of these kinds. The kinds come as one text.
const EVENTS: &str =
    "SELECT sequence, organization_id, kind, member_id, user_id, api_key_id, team, actor, source, at, fields
     FROM events
     WHERE organization_id = $1 AND sequence > $2 AND ($3 = '' OR instr($3, ' ' || kind || ' ') > 0)
     ORDER BY sequence LIMIT $4";

/// As [`EVENTS`], of one user. A statement of its own, because it has an index of its own.
const EVENTS_OF_USER: &str =
    "SELECT sequence, organization_id, kind, member_id, user_id, api_key_id, team, actor, source, at, fields
     FROM events
     WHERE organization_id = $1 AND sequence > $2 AND ($3 = '' OR instr($3, ' ' || kind || ' ') > 0) AND user_id = $5
     ORDER BY sequence LIMIT $4";

#[async_trait]
impl EventLog for SqliteStorage {
    async fn events(
        &self,
        organization: Option<OrganizationId>,
        query: EventQuery,
    ) -> Result<Vec<Event>, StoreError> {
        let owner = owner(organization);
        let kinds: Vec<_> = query.kinds.iter().map(|kind| kind.as_str()).collect();
        let kinds = if kinds.is_empty() {
            String::new()
        } else {
            format!(" {} ", kinds.join(" "))
        };
        let statement = if query.user.is_some() {
            EVENTS_OF_USER
        } else {
            EVENTS
        };
        let mut statement = sqlx::query_as::<_, EventRow>(statement)
            .bind(&owner[..])
            .bind(query.after)
            .bind(kinds)
            .bind(query.limit);
        if let Some(user) = &query.user {
            statement = statement.bind(&user.as_uuid().as_bytes()[..]);
        }
        // Events of some kinds are looked for among all.
        let mut reading = if query.kinds.is_empty() {
            self.reads.short(organization).await?
        } else {
            self.reads.long(organization).await?
        };
        let rows = statement.fetch_all(reading.connection()?).await.map_err(engine)?;
        reading.end();
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn heads(
        &self,
        organizations: Vec<OrganizationId>,
    ) -> Result<Vec<(OrganizationId, i64)>, StoreError> {
        let ids: Vec<_> = organizations
            .iter()
            .map(|id| format!("\"{}\"", id.as_uuid().simple()))
            .collect();
        // Of one, in its own share.
        let whose = match &organizations[..] {
            [one] => Some(*one),
            _ => None,
        };
        let mut reading = self.reads.short(whose).await?;
        let heads: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT unhex(wanted.value),
                    coalesce((SELECT max(sequence) FROM events WHERE organization_id = unhex(wanted.value)), 0)
             FROM json_each($1) AS wanted",
        )
        .bind(format!("[{}]", ids.join(",")))
        .fetch_all(reading.connection()?)
        .await
        .map_err(engine)?;
        reading.end();
        heads
            .into_iter()
            .map(|(id, head)| Ok((OrganizationId::from_uuid(uuid(&id, "organization id")?), head)))
            .collect()
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.writes.commits()
    }
}
