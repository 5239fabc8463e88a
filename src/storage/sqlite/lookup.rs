//! The hot path: one connection answers every look-up of a key, with or without a member.
//!
//! Handing a statement to SQLite's thread and back costs several times what the look-up itself costs. So the task that
//! owns the connection takes all look-ups that wait and answers them with one statement. On an idle server that is one
//! look-up, which waits for nobody. The statement begins after all its look-ups were asked for, so each sees every
//! change acknowledged before it was asked.
//!
//! A connection that fails is given up, and the next look-ups are answered by a new one.

use std::{pin::pin, sync::LazyLock};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    batch::{Batched, MAX_BATCH},
    close::close_well,
    error::{outage, store_error},
    found::{FoundRow, found},
    settings::Settings,
};
use crate::{
    domain::{Condition, KeyDigest, MemberLookup, Outage},
    storage::{
        Batches, KeyAndMember, Load, QueueLoad, Result, StoreError,
        outages::{Outages, Side},
    },
};

/// How much of the file this connection keeps in memory, once it has read it: by reckoning, the inner pages of the
/// indexes of ten million members.
const CACHE_KIB: u32 = 32 * 1024;

/// Slot, digest, and one of user id and address. Only an end user is found. All that is found comes as one text: sqlx
/// hands rows over one by one, and copies each column into memory of its own. A key of a deleted organization is revoked,
/// so this need not look at organizations.
static LOOKUP: LazyLock<Batched> = LazyLock::new(|| {
    Batched::new(
        &format!(
            "WITH lookup (slot, digest, user_id, email) AS (VALUES {{slots:3}})
             SELECT json_group_array({})
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
             END AND m.portal_role IS NOT NULL",
            found()
        ),
    )
});

/// The way to the reader.
pub(super) struct LookupQueue {
    queue: mpsc::Sender<Message>,
    batches: Batches,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Lookup(Lookup),
    Close,
}

struct Lookup {
    digest: KeyDigest,
    member: Option<MemberLookup>,
    reply: oneshot::Sender<Result<KeyAndMember>>,
}

impl LookupQueue {
    /// Opens the connection and starts the task that owns it.
    pub(super) async fn start(
        options: SqliteConnectOptions,
        settings: &Settings,
        condition: watch::Sender<Condition>,
    ) -> Result<Self> {
        let options = options
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(store_error)?;
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let batches = Batches::default();
        let reader = Reader {
            batches: batches.clone(),
            outages: Outages::new(
                Side::Reads,
                options.get_filename().display().to_string(),
                condition,
            ),
            options,
            connection: Some(connection),
        };
        let task = tokio::spawn(reader.run(messages));
        Ok(Self {
            queue,
            batches,
            task: Mutex::new(Some(task)),
        })
    }

    /// The key with the digest and, in its organization, the live end user.
    pub(super) async fn find(&self, digest: KeyDigest, member: Option<MemberLookup>) -> Result<KeyAndMember> {
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

    /// What waits.
    pub(super) fn load(&self, load: &mut Load) {
        load.queues.push(QueueLoad::of("lookups", &self.queue));
        load.batches.push(("lookups", self.batches.clone()));
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
    /// None after a failure, until the next attempt.
    connection: Option<SqliteConnection>,
    batches: Batches,
    outages: Outages,
}

impl Reader {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        // When to try without being asked. It is waited for in an outage only.
        let mut attempt = pin!(sleep(std::time::Duration::ZERO));
        loop {
            let is_ill = self.outages.current().is_some();
            tokio::select! {
                count = messages.recv_many(&mut batch, MAX_BATCH) => {
                    if count == 0 {
                        break;
                    }
                    let mut lookups = Vec::with_capacity(batch.len());
                    for message in batch.drain(..) {
                        match message {
                            // Its caller went away.
                            Message::Lookup(lookup) if lookup.reply.is_closed() => {}
                            Message::Lookup(lookup) => lookups.push(lookup),
                            Message::Close => messages.close(),
                        }
                    }
                    if !lookups.is_empty() {
                        self.batches.taken(lookups.len());
                        self.answer(lookups).await;
                    }
                }
                () = &mut attempt, if is_ill => self.attempt().await,
            }
            if self.outages.current().is_some() && attempt.is_elapsed() {
                attempt.as_mut().reset(Instant::now() + self.outages.pause());
            }
        }
        close_well(self.connection).await;
    }

    async fn answer(&mut self, lookups: Vec<Lookup>) {
        let found = self.query(&lookups).await;
        match found.as_ref().map(FoundRow::all) {
            Ok(Ok(rows)) => {
                reply(lookups, rows);
                self.outages.worked();
                self.outages.end();
            }
            // One of them: the others are to be answered.
            Ok(Err(_)) if lookups.len() > 1 => self.answer_each(lookups).await,
            Err(error) if outage(error).is_none() && lookups.len() > 1 => self.answer_each(lookups).await,
            Ok(Err(error)) => {
                tracing::error!(%error, lookups = lookups.len(), "what was looked up is not readable");
                refuse(lookups, None);
            }
            Err(error) => {
                let outage = outage(error);
                if let Some(outage) = outage {
                    self.outages.begin(outage, error);
                } else {
                    tracing::error!(%error, lookups = lookups.len(), "a look-up failed");
                }
                refuse(lookups, outage);
                self.disconnect();
            }
        }
    }

    async fn answer_each(&mut self, lookups: Vec<Lookup>) {
        for lookup in lookups {
            Box::pin(self.answer(vec![lookup])).await;
        }
    }

    /// Its thread is not waited for: one that has died does not say so.
    fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Looks up a key that nobody has: whether look-ups can be answered again.
    async fn attempt(&mut self) {
        match self.query(&[]).await {
            Ok(_) => self.outages.end(),
            Err(error) => {
                self.outages
                    .begin(outage(&error).unwrap_or(Outage::Other), &error);
                self.disconnect();
            }
        }
    }

    async fn query(&mut self, lookups: &[Lookup]) -> Result<SqliteRow, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let connection = self.connection.insert(connection);
        let (sql, slots) = LOOKUP.fitting(lookups.len());
        // Safe: the statement is a constant and the numbers of its slots.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for slot in 0..slots {
            let lookup = lookups.get(slot);
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
        let row = query.fetch_optional(connection).await?;
        // The statement always has a row, unless its thread dies: then the rows end, and that is all there is to see.
        row.ok_or(sqlx::Error::WorkerCrashed)
    }
}

/// Answers each look-up with its row.
fn reply(lookups: Vec<Lookup>, rows: Vec<FoundRow<'_>>) {
    let mut lookups: Vec<_> = lookups.into_iter().map(Some).collect();
    for row in rows {
        if let Some(lookup) = lookups.get_mut(row.slot).and_then(Option::take) {
            // A caller that went away does not mind.
            let _ = lookup.reply.send(row.try_into());
        }
    }
    for lookup in lookups.into_iter().flatten() {
        // No row: there is no such key.
        let _ = lookup.reply.send(Ok(KeyAndMember::default()));
    }
}

fn refuse(lookups: Vec<Lookup>, outage: Option<Outage>) {
    for lookup in lookups {
        let error = outage.map_or_else(
            || StoreError::Engine("the look-up failed".into()),
            StoreError::Unavailable,
        );
        let _ = lookup.reply.send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;
    use crate::storage::{Migrate, connect};

    #[tokio::test]
    async fn every_table_is_searched_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        connect(&url, Migrate::Always).await.unwrap().close().await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for lookups in [1, MAX_BATCH] {
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
