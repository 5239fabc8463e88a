//! The hot path: one connection answers every look-up of a key, with or without a member.
//!
//! Handing a statement to SQLite's thread and back costs several times what the look-up itself costs. So the task that
//! owns the connection takes all look-ups that wait and answers them with one statement. On an idle server that is one
//! look-up, which waits for nobody. The statement begins after all its look-ups were asked for, so each sees every
//! change acknowledged before it was asked.

use std::sync::LazyLock;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    api_keys::{KEY_COLUMNS, KEY_WIDTH, key_from_row},
    error::engine,
    members::{MEMBER_COLUMNS, member_from_row},
    slots::{MAX_SLOTS, Slotted},
};
use crate::{
    domain::{KeyDigest, MemberLookup},
    storage::{Found, StoreError},
};

/// Look-ups that may wait. One more is refused at once with [`StoreError::Overloaded`].
const QUEUE: usize = 4096;

/// How much of the file this connection keeps in memory, once it has read it: the inner pages of the indexes of ten
/// million members and then some.
const CACHE_KIB: u32 = 64 * 1024;

/// Slot, digest, and one of user id and address. The order makes SQLite find all rows before it sends the first: each row
/// that comes alone may wake the reader. A key of a deleted organization is revoked, so this need not look at
/// organizations.
static LOOKUP: LazyLock<Slotted> = LazyLock::new(|| {
    Slotted::new(
        &format!(
            "WITH lookup (slot, digest, user_id, email) AS (VALUES {{slots}})
             SELECT lookup.slot, {KEY_COLUMNS}, {MEMBER_COLUMNS}
             FROM lookup
             JOIN api_keys AS k ON k.digest = lookup.digest
             LEFT JOIN members AS m ON m.row = CASE
                 WHEN lookup.user_id IS NOT NULL THEN (
                     SELECT row FROM members
                     WHERE organization_id = k.organization_id AND user_id = lookup.user_id AND revoked_at IS NULL
                 )
                 WHEN lookup.email IS NOT NULL THEN (
                     SELECT row FROM members
                     WHERE organization_id = k.organization_id AND email = lookup.email AND revoked_at IS NULL
                 )
             END
             ORDER BY +lookup.slot"
        ),
        3,
    )
});

/// The way to the reader.
pub(super) struct LookupQueue {
    queue: mpsc::Sender<Message>,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Lookup(Lookup),
    Close,
}

struct Lookup {
    digest: KeyDigest,
    member: Option<MemberLookup>,
    reply: oneshot::Sender<Result<Found, StoreError>>,
}

impl LookupQueue {
    /// Opens the connection and starts the task that owns it.
    pub(super) async fn start(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            // All rows of a batch fit, so that SQLite's thread never waits for this one.
            .row_buffer_size(2 * MAX_SLOTS)
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await.map_err(engine)?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let task = tokio::spawn(Reader { options, connection }.run(messages));
        Ok(Self {
            queue,
            task: Mutex::new(Some(task)),
        })
    }

    /// The key with the digest and, in its organization, the live member.
    pub(super) async fn find(
        &self,
        digest: KeyDigest,
        member: Option<MemberLookup>,
    ) -> Result<Found, StoreError> {
        let (reply, result) = oneshot::channel();
        self.queue
            .try_send(Message::Lookup(Lookup {
                digest,
                member,
                reply,
            }))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Refuses new look-ups, answers those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = self.queue.send(Message::Close).await;
            let _ = task.await;
        }
    }
}

struct Reader {
    options: SqliteConnectOptions,
    connection: SqliteConnection,
}

impl Reader {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_SLOTS);
        let mut lookups = Vec::with_capacity(MAX_SLOTS);
        while messages.recv_many(&mut batch, MAX_SLOTS).await > 0 {
            for message in batch.drain(..) {
                match message {
                    // Its caller went away.
                    Message::Lookup(lookup) if lookup.reply.is_closed() => {}
                    Message::Lookup(lookup) => lookups.push(Some(lookup)),
                    Message::Close => messages.close(),
                }
            }
            if !lookups.is_empty() {
                self.answer(&mut lookups).await;
                lookups.clear();
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::error!(%error, "closing the database failed");
        }
    }

    /// Answers each look-up and takes it out of its place.
    async fn answer(&mut self, lookups: &mut [Option<Lookup>]) {
        let failure = match self.query(lookups).await {
            Ok(rows) => {
                for row in &rows {
                    reply_with(row, lookups);
                }
                None
            }
            Err(error) => {
                tracing::error!(%error, lookups = lookups.len(), "a look-up failed");
                self.recover(&error).await;
                Some(error)
            }
        };
        for lookup in lookups.iter_mut().filter_map(Option::take) {
            // What is left had no row: there is no such key.
            let result = match &failure {
                None => Ok(Found::default()),
                Some(_) => Err(StoreError::Engine("the look-up failed".into())),
            };
            let _ = lookup.reply.send(result);
        }
    }

    async fn query(&mut self, lookups: &[Option<Lookup>]) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let (sql, slots) = LOOKUP.fitting(lookups.len());
        // Safe: the statement is a constant and the numbers of its slots.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for slot in 0..slots {
            let lookup = lookups.get(slot).and_then(Option::as_ref);
            let (user_id, email) = match lookup.and_then(|lookup| lookup.member.as_ref()) {
                None => (None, None),
                Some(MemberLookup::UserId(id)) => (Some(&id.as_uuid().as_bytes()[..]), None),
                Some(MemberLookup::Email(email)) => (None, Some(email.as_str())),
            };
            query = query
                .bind(lookup.map(|lookup| &lookup.digest.as_bytes()[..]))
                .bind(user_id)
                .bind(email);
        }
        query.fetch_all(&mut self.connection).await
    }

    /// A connection whose thread died is replaced, so that one bad batch does not end all reading.
    async fn recover(&mut self, error: &sqlx::Error) {
        if matches!(error, sqlx::Error::WorkerCrashed) {
            match SqliteConnection::connect_with(&self.options).await {
                Ok(connection) => self.connection = connection,
                Err(error) => tracing::error!(%error, "opening the database again failed"),
            }
        }
    }
}

fn reply_with(row: &SqliteRow, lookups: &mut [Option<Lookup>]) {
    let slot = row
        .try_get::<i64, _>(0)
        .ok()
        .and_then(|slot| usize::try_from(slot).ok());
    if let Some(lookup) = slot.and_then(|slot| lookups.get_mut(slot)).and_then(Option::take) {
        // A caller that went away does not mind.
        let _ = lookup.reply.send(found_from_row(row));
    }
}

fn found_from_row(row: &SqliteRow) -> Result<Found, StoreError> {
    let member = 1 + KEY_WIDTH;
    let has_member = row.try_get::<Option<&[u8]>, _>(member).map_err(engine)?.is_some();
    Ok(Found {
        key: Some(key_from_row(row, 1)?),
        member: if has_member {
            Some(member_from_row(row, member)?)
        } else {
            None
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Migrate, connect};

    #[tokio::test]
    async fn every_table_is_searched_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        connect(&url, Migrate::Always).await.unwrap().close().await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for lookups in [1, MAX_SLOTS] {
            let (sql, _) = LOOKUP.fitting(lookups);
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let plan: Vec<String> = sqlx::query(AssertSqlSafe(explain))
                .fetch_all(&mut connection)
                .await
                .unwrap()
                .iter()
                .map(|row| row.get("detail"))
                .collect();
            for search in [
                "SEARCH k USING INDEX api_keys_digest (digest=?)",
                "SEARCH members USING INDEX members_live_user (organization_id=? AND user_id=?)",
                "SEARCH members USING INDEX members_live_email (organization_id=? AND email=?)",
                "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
            ] {
                let same = |step: &String| step.replace("COVERING ", "").starts_with(search);
                assert!(plan.iter().any(same), "no {search} in {plan:#?}");
            }
            // The look-ups themselves are a list, and are read from first to last.
            let scans: Vec<_> = plan.iter().filter(|step| step.starts_with("SCAN")).collect();
            assert!(
                scans
                    .iter()
                    .all(|step| step.contains("lookup") || step.contains("CONSTANT ROW")),
                "{scans:?}"
            );
        }
    }
}
