//! Many new rows at once: long ones by COPY, which stores what is sent while more is made, and short ones by arrays of values.
//!
//! The end of a COPY is a short message of its own, which the network may keep until what was sent before it is acknowledged,
//! 40 ms later at worst (RFC 1122, 4.2.3.4 and 4.2.3.2): short rows are stored long before that.

use sqlx::{
    Encode, PgConnection, Postgres, Type, encode::IsNull, error::BoxDynError, postgres::PgArgumentBuffer,
};

use super::{
    columns::Binds,
    transaction::{PostgresTransaction, unless_unique},
};
use crate::{
    domain::{Change, Conflict, EventKind, OrganizationId},
    storage::{MemberEvent, Result},
};

/// From so many bytes on they are sent.
const SENT: usize = 64 << 10;

/// What the data begin with, and what they end with ("Binary Format" in <https://www.postgresql.org/docs/current/sql-copy.html>).
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

/// The length of a value that is NULL.
const NULL: i32 = -1;

/// Rows in the binary format of COPY: each value as it is for a parameter.
#[derive(Default)]
pub(super) struct Rows {
    data: PgArgumentBuffer,
    failed: Option<BoxDynError>,
}

impl Rows {
    fn encode<'q, T: Encode<'q, Postgres>>(&mut self, value: T) -> Result<(), BoxDynError> {
        let before = self.data.len();
        self.data.extend(NULL.to_be_bytes());
        let begin = self.data.len();
        if let IsNull::No = value.encode(&mut self.data)? {
            let length = i32::try_from(self.data.len() - begin)?;
            self.data[before..begin].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

impl<'q> Binds<'q> for &mut Rows {
    fn bind<T: 'q + Encode<'q, Postgres> + Type<Postgres>>(self, value: T) -> Self {
        if let Err(error) = self.encode(value) {
            self.failed.get_or_insert(error);
        }
        self
    }
}

/// Runs a statement of COPY. Data that can't be made are not sent to their end: PostgreSQL then takes nothing of it.
async fn copy<T: Send>(
    connection: &mut PgConnection,
    sql: &str,
    columns: usize,
    items: impl Iterator<Item = T> + Send,
    bind: impl Fn(T, &mut Rows) + Send + Sync,
) -> Result<(), sqlx::Error> {
    let columns = i16::try_from(columns).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let mut copy = connection.copy_in_raw(sql).await?;
    let mut rows = Rows::default();
    rows.data.extend(HEADER);
    for item in items {
        rows.data.extend(columns.to_be_bytes());
        bind(item, &mut rows);
        if rows.data.len() >= SENT {
            copy.send(&rows.data[..]).await?;
            rows.data.clear();
        }
    }
    rows.data.extend(TRAILER.to_be_bytes());
    if let Some(error) = rows.failed {
        return Err(sqlx::Error::Encode(error));
    }
    copy.send(&rows.data[..]).await?;
    copy.finish().await.map(drop)
}

impl PostgresTransaction<'_> {
    /// Adds a row for each item, whose values are bound in the order of the columns and have their types. `conflict` is the rule of
    /// uniqueness that they break when they break one.
    pub(super) async fn insert_many<T: Send>(
        &mut self,
        table: &str,
        columns: &[&str],
        items: impl Iterator<Item = T> + Send,
        bind: impl Fn(T, &mut Rows) + Send + Sync,
        conflict: Conflict,
    ) -> Result<()> {
        let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", columns.join(", "));
        let done = copy(self.connection, &sql, columns.len(), items, bind).await;
        self.noted(unless_unique(done, conflict)?)
    }

    /// Adds events about members, with sequence numbers from this one on.
    pub(super) async fn insert_events(
        &mut self,
        organization: OrganizationId,
        first: i64,
        kind: EventKind,
        events: &[MemberEvent<'_>],
        change: &Change,
    ) -> Result<()> {
        let members = events.iter().map(|event| *event.member.id.as_uuid());
        let users = events.iter().map(|event| *event.member.user_id.as_uuid());
        let sources = events.iter().map(|event| event.source.as_str());
        let fields = events.iter().map(|event| event.fields.join(" "));
        let statement = sqlx::query(
            "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, client, source, at, fields)
                 SELECT $1, $2 + e.place - 1, $3, e.member_id, e.user_id, $4, $5, e.source, $6, e.fields
                 FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::text[])
                     WITH ORDINALITY AS e (member_id, user_id, source, fields, place)",
        )
        .bind(organization)
        .bind(first)
        .bind(kind)
        .bind(change.actor)
        .bind(change.client.clone())
        .bind(change.at)
        .bind(members.collect::<Vec<_>>())
        .bind(users.collect::<Vec<_>>())
        .bind(sources.collect::<Vec<_>>())
        .bind(fields.collect::<Vec<_>>());
        self.execute(statement).await
    }
}
