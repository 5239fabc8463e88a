//! The hot path: look-ups of keys, with or without a member, that wait together are answered by one statement, and so by
//! one message to the server and back. On an idle server that is one look-up, which waits for nobody. The statement begins
//! after all its look-ups were asked for, so each sees every change acknowledged before it was asked.
//!
//! A connection that fails is given up, and the next look-ups are answered by a new one.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::{Arc, LazyLock},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Connection as _, FromRow as _, PgConnection, Row as _, postgres::PgConnectOptions,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    Row,
    columns::{API_KEY, Columns as _},
    connect::{connect, in_time},
    error::{outage, store_error},
    monitor::Failures,
    settings::Settings,
};
use crate::{
    domain::{ApiKey, Condition, KeyDigest, MemberLookup, Profile, PublicMember},
    storage::{Batches, KeyAndMember, Load, QueueLoad, Result, StoreError, outages::Side},
};

/// The most look-ups in one statement.
const MAX_BATCH: usize = 128;

/// Connections that answer: while one waits for the server, the other takes what has come since.
const CONNECTIONS: usize = 2;

/// The way to the connections.
pub(super) struct LookupQueue {
    queue: mpsc::Sender<Message>,
    condition: watch::Receiver<Condition>,
    batches: Batches,
    tasks: Mutex<Vec<JoinHandle<()>>>,
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
    /// Starts the tasks that own the connections.
    pub(super) fn start(
        options: &PgConnectOptions,
        settings: &Settings,
        condition: &watch::Receiver<Condition>,
        failures: &Failures,
    ) -> Self {
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let messages = Arc::new(Mutex::new(messages));
        let batches = Batches::default();
        let tasks = (0..CONNECTIONS).map(|_| {
            let reader = Reader {
                batches: batches.clone(),
                options: options.clone(),
                connection: None,
                failures: failures.clone(),
                patience: settings.patience,
            };
            tokio::spawn(reader.run(messages.clone()))
        });
        Self {
            queue,
            condition: condition.clone(),
            tasks: Mutex::new(tasks.collect()),
            batches,
        }
    }

    /// The key with the digest and, in its organization, the live end user.
    pub(super) async fn find(&self, digest: KeyDigest, member: Option<MemberLookup>) -> Result<KeyAndMember> {
        if let Some(outage) = self.condition.borrow().reads {
            return Err(StoreError::Unavailable(outage));
        }
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

    /// Refuses new look-ups, answers those that wait, and closes the connections.
    pub(super) async fn close(&self) {
        let mut tasks = self.tasks.lock().await;
        if !tasks.is_empty() {
            // It fails if the tasks have ended: then there is nothing left to wait for.
            let _ = self.queue.send(Message::Close).await;
        }
        for task in tasks.drain(..) {
            let _ = task.await;
        }
    }
}

/// Digests of keys; then slots with digests and users; then slots with digests and addresses: what there is none of is left
/// out, because one look-up alone should not wait for more. First come the keys, then the members, each with its slot. Only an
/// end user is found. A key of a deleted organization is revoked, so this need not look at organizations.
static LOOKUP: LazyLock<[String; 4]> = LazyLock::new(|| {
    [
        statement(&[]),
        statement(&[USERS]),
        statement(&[ADDRESSES]),
        statement(&[USERS, ADDRESSES]),
    ]
});

/// A column that members are looked up by, and its type.
const USERS: (&str, &str) = ("user_id", "uuid");
const ADDRESSES: (&str, &str) = ("email", "text");

fn statement(wanted: &[(&str, &str)]) -> String {
    let columns: Vec<_> = Profile::NAMES.iter().map(|name| format!("m.{name}")).collect();
    let nothing: Vec<_> = Profile::NAMES
        .iter()
        .map(|name| format!("NULL::text AS {name}"))
        .collect();
    let mut sql = format!(
        "SELECT NULL::bigint AS slot, k.digest, {API_KEY}, NULL::uuid AS user_id, {}
         FROM api_keys AS k WHERE k.digest = ANY ($1)",
        nothing.join(", ")
    );
    for ((column, kind), slots) in wanted.iter().zip((2..).step_by(3)) {
        // Writing to a string can't fail.
        let _ = write!(
            sql,
            " UNION ALL
             SELECT w.slot, w.digest, m.id, m.organization_id, NULL, NULL, m.created_at, NULL, NULL, NULL, NULL,
                 m.user_id, {}
             FROM unnest(${slots}::bigint[], ${}::bytea[], ${}::{kind}[]) AS w (slot, digest, {column})
             JOIN api_keys AS k ON k.digest = w.digest
             JOIN members AS m ON m.organization_id = k.organization_id AND m.{column} = w.{column}
             WHERE m.revoked_at IS NULL AND m.portal_role IS NOT NULL",
            columns.join(", "),
            slots + 1,
            slots + 2,
        );
    }
    sql
}

struct Reader {
    options: PgConnectOptions,
    /// None after a failure, until the next look-ups.
    connection: Option<PgConnection>,
    batches: Batches,
    failures: Failures,
    patience: Duration,
}

impl Reader {
    async fn run(mut self, messages: Arc<Mutex<mpsc::Receiver<Message>>>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let mut lookups = Vec::new();
            {
                let mut messages = messages.lock().await;
                if messages.recv_many(&mut batch, MAX_BATCH).await == 0 {
                    break;
                }
                for message in batch.drain(..) {
                    match message {
                        Message::Lookup(lookup) => lookups.push(lookup),
                        Message::Close => messages.close(),
                    }
                }
            }
            // Whose caller has gone away needs no answer.
            lookups.retain(|lookup| !lookup.reply.is_closed());
            if !lookups.is_empty() {
                self.batches.taken(lookups.len());
                self.answer(lookups).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            // A server that does not hear it finds out by itself.
            let _ = in_time(self.patience, connection.close()).await;
        }
    }

    async fn answer(&mut self, lookups: Vec<Lookup>) {
        let found = self.query(&lookups).await;
        match found.and_then(|rows| Found::try_from(&rows[..])) {
            Ok(mut found) => {
                for (slot, lookup) in (0..).zip(lookups) {
                    let found = KeyAndMember {
                        key: found.keys.get(&lookup.digest).cloned(),
                        member: found.members.remove(&slot),
                    };
                    // A caller that went away does not mind.
                    let _ = lookup.reply.send(Ok(found));
                }
            }
            Err(error) => {
                self.connection = None;
                self.failures.report(Side::Reads, &error);
                let outage = outage(&error);
                if outage.is_none() {
                    tracing::error!(%error, lookups = lookups.len(), "a look-up failed");
                }
                // One of them may be the reason: the others are to be answered.
                if outage.is_none() && lookups.len() > 1 {
                    for lookup in lookups {
                        Box::pin(self.answer(vec![lookup])).await;
                    }
                    return;
                }
                let mut error = Some(store_error(error));
                for lookup in lookups {
                    let failed = match outage {
                        Some(outage) => StoreError::Unavailable(outage),
                        None => error.take().unwrap_or(StoreError::Closed),
                    };
                    let _ = lookup.reply.send(Err(failed));
                }
            }
        }
    }

    async fn query(&mut self, lookups: &[Lookup]) -> Result<Vec<Row>, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options, self.patience).await?,
        };
        let connection = self.connection.insert(connection);
        let mut by_user = Wanted::default();
        let mut by_email = Wanted::default();
        for (slot, lookup) in (0..).zip(lookups) {
            match &lookup.member {
                Some(MemberLookup::UserId(user)) => by_user.push(slot, lookup, *user.as_uuid()),
                // No member has a NUL in its address, and PostgreSQL takes none in a text.
                Some(MemberLookup::Email(email)) if !email.contains('\0') => {
                    by_email.push(slot, lookup, email.as_str());
                }
                Some(MemberLookup::Email(_)) | None => {}
            }
        }
        let keys: HashSet<_> = lookups
            .iter()
            .map(|lookup| &lookup.digest.as_bytes()[..])
            .collect();
        let (users, addresses) = (!by_user.slots.is_empty(), !by_email.slots.is_empty());
        let sql = LOOKUP[usize::from(users) + 2 * usize::from(addresses)].as_str();
        // Safe: it is put together from constants.
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(keys.into_iter().collect::<Vec<_>>());
        if users {
            query = query
                .bind(by_user.slots)
                .bind(by_user.digests)
                .bind(by_user.values);
        }
        if addresses {
            query = query
                .bind(by_email.slots)
                .bind(by_email.digests)
                .bind(by_email.values);
        }
        in_time(self.patience, query.fetch_all(connection)).await
    }
}

/// Members that are looked up in one way, as columns.
struct Wanted<'l, T> {
    slots: Vec<i64>,
    digests: Vec<&'l [u8]>,
    values: Vec<T>,
}

impl<'l, T> Wanted<'l, T> {
    fn push(&mut self, slot: i64, lookup: &'l Lookup, value: T) {
        self.slots.push(slot);
        self.digests.push(lookup.digest.as_bytes());
        self.values.push(value);
    }
}

impl<T> Default for Wanted<'_, T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            digests: Vec::new(),
            values: Vec::new(),
        }
    }
}

/// What a statement found.
#[derive(Default)]
struct Found {
    keys: HashMap<KeyDigest, ApiKey>,
    /// By slot.
    members: HashMap<i64, PublicMember>,
}

impl TryFrom<&[Row]> for Found {
    type Error = sqlx::Error;

    fn try_from(rows: &[Row]) -> Result<Self, sqlx::Error> {
        let mut found = Self::default();
        for row in rows {
            if let Some(slot) = row.try_get("slot")? {
                let member = PublicMember {
                    id: row.try_get("id")?,
                    user_id: row.try_get("user_id")?,
                    profile: Profile::from_row(row)?,
                    created_at: row.try_get("created_at")?,
                };
                found.members.insert(slot, member);
            } else {
                found.keys.insert(row.try_get("digest")?, ApiKey::from_row(row)?);
            }
        }
        Ok(found)
    }
}
