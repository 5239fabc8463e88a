//! The hot path: look-ups of keys, with or without a member, that wait together are answered by one statement, and so by
//! one message to the server and back. On an idle server that is one look-up, which waits for nobody. The statement begins
//! after all its look-ups were asked for, so each sees every change acknowledged before it was asked.
//!
//! A connection that fails is given up, and the look-ups are answered by a new one: nothing is changed by asking twice.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use sqlx::{FromRow as _, Row as _, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    Row,
    columns::{API_KEY, Columns as _, Statement},
    connect::{Kept, in_time},
    error::{is_disconnected, outage, store_error},
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
        is_sharded: bool,
    ) -> Self {
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let messages = Arc::new(Mutex::new(messages));
        let batches = Batches::default();
        let tasks = (0..CONNECTIONS).map(|_| {
            let reader = Reader {
                batches: batches.clone(),
                statements: if is_sharded { &MANY_ON_SHARDS } else { &MANY },
                connection: Kept::new(options, settings.patience),
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

/// For one look-up: of a key alone, with a user, with an address. Bound are the digest, then the user or the address.
static ONE: LazyLock<[String; 3]> = LazyLock::new(|| {
    let key = || keys("api_keys AS k WHERE k.digest = $1");
    let member = |column| {
        let source = format!("api_keys AS k, members AS m WHERE k.digest = $1 AND m.{column} = $2");
        members("0::bigint", &source)
    };
    [key(), key() + &member("user_id"), key() + &member("email")]
});

/// For many. PostgreSQL is not shown how long the arrays are: it would take a plan for just these for cheaper each time, and
/// making one takes several times as long as the look-ups.
static MANY: LazyLock<[String; 4]> = LazyLock::new(|| many(|array| format!("(SELECT {array})")));

/// For many on a sharded database, where each execution is planned anew anyway and subqueries may do less.
static MANY_ON_SHARDS: LazyLock<[String; 4]> = LazyLock::new(|| many(str::to_owned));

/// Bound are the digests of the keys; then slots with digests and users; then slots with digests and addresses. Of the latter
/// two, what there is none of is left out. The keys are found once for all: a join with all keys is what costs most.
fn many(shown: impl Fn(&str) -> String) -> [String; 4] {
    let array = |number, kind| shown(&format!("${number}::{kind}[]"));
    let wanted = |column, kind, first| {
        let (slots, digests) = (array(first, "bigint"), array(first + 1, "bytea"));
        let source = format!(
            "unnest({slots}, {digests}, {}) AS w (slot, digest, value), k, members AS m
             WHERE k.digest = w.digest AND m.{column} = w.value",
            array(first + 2, kind)
        );
        members("w.slot", &source)
    };
    let keys = format!(
        "WITH k AS MATERIALIZED (
             SELECT k.* FROM unnest({}) AS w (digest) JOIN api_keys AS k ON k.digest = w.digest
         )
         {}",
        array(1, "bytea"),
        keys("k")
    );
    let users = |first| wanted("user_id", "uuid", first);
    let addresses = |first| wanted("email", "text", first);
    [
        keys.clone(),
        keys.clone() + &users(2),
        keys.clone() + &addresses(2),
        keys + &users(2) + &addresses(5),
    ]
}

/// The keys, which every statement begins with. Their rows have no slot. A key of a deleted organization is revoked, so this
/// need not look at organizations.
fn keys(source: &str) -> String {
    let nothing: Vec<_> = Profile::NAMES
        .iter()
        .map(|name| format!("NULL::text AS {name}"))
        .collect();
    format!(
        "SELECT NULL::bigint AS slot, k.digest, {API_KEY}, NULL::uuid AS user_id, {}
         FROM {source}",
        nothing.join(", ")
    )
}

/// Members, each with its slot, from a key `k` and a member `m`. Only an end user is found.
fn members(slot: &str, source: &str) -> String {
    let columns: Vec<_> = Profile::NAMES.iter().map(|name| format!("m.{name}")).collect();
    format!(
        " UNION ALL
         SELECT {slot}, k.digest, m.id, m.organization_id, NULL, NULL, m.created_at, NULL, NULL, NULL, NULL, m.user_id, {}
         FROM {source}
             AND m.organization_id = k.organization_id AND m.revoked_at IS NULL AND m.portal_role IS NOT NULL",
        columns.join(", ")
    )
}

struct Reader {
    /// For look-ups that wait together.
    statements: &'static [String; 4],
    connection: Kept,
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
        self.connection.close().await;
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
                self.connection.give_up();
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
        let was_open = self.connection.is_open();
        match self.query_once(lookups).await {
            // The connection alone may have broken.
            Err(error) if was_open && is_disconnected(&error) => {
                self.connection.give_up();
                self.query_once(lookups).await
            }
            found => found,
        }
    }

    async fn query_once(&mut self, lookups: &[Lookup]) -> Result<Vec<Row>, sqlx::Error> {
        let connection = self.connection.get().await?;
        let query = match lookups {
            [one] => alone(one),
            many => together(many, self.statements),
        };
        in_time(self.patience, query.fetch_all(connection)).await
    }
}

fn alone(lookup: &Lookup) -> Statement<'_> {
    let [key, by_user, by_email] = &*ONE;
    let digest = &lookup.digest.as_bytes()[..];
    match searched(lookup) {
        Some(MemberLookup::UserId(user)) => sqlx::query(by_user.as_str()).bind(digest).bind(*user.as_uuid()),
        Some(MemberLookup::Email(email)) => sqlx::query(by_email.as_str()).bind(digest).bind(email),
        None => sqlx::query(key.as_str()).bind(digest),
    }
}

fn together<'l>(lookups: &'l [Lookup], statements: &'static [String; 4]) -> Statement<'l> {
    let mut by_user = Wanted::default();
    let mut by_email = Wanted::default();
    for (slot, lookup) in (0..).zip(lookups) {
        match searched(lookup) {
            Some(MemberLookup::UserId(user)) => by_user.push(slot, lookup, *user.as_uuid()),
            Some(MemberLookup::Email(email)) => by_email.push(slot, lookup, email.as_str()),
            None => {}
        }
    }
    let keys: HashSet<_> = lookups
        .iter()
        .map(|lookup| &lookup.digest.as_bytes()[..])
        .collect();
    let (users, addresses) = (!by_user.slots.is_empty(), !by_email.slots.is_empty());
    let sql = statements[usize::from(users) + 2 * usize::from(addresses)].as_str();
    let mut query = sqlx::query(sql).bind(keys.into_iter().collect::<Vec<_>>());
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
    query
}

/// The member that is asked for, if there can be one: none has a NUL in its address, and PostgreSQL takes none in a text.
fn searched(lookup: &Lookup) -> Option<&MemberLookup> {
    let nowhere =
        |wanted: &&MemberLookup| matches!(wanted, MemberLookup::Email(email) if email.contains('\0'));
    lookup.member.as_ref().filter(|wanted| !nowhere(wanted))
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
