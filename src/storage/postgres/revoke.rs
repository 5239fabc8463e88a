//! Revocations that wait together, made by one statement and committed with it: an integrator's `delete` is on the hot path.
//! The rule is that of [`crate::storage::MemberStore::revoke_user`]: an end user's link ends; staff keep link and role and
//! only cease to be end users.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::sleep,
};

use super::{
    columns::{Select, Stored},
    commits::Commits,
    connect::{connect, in_time},
    error::{is_passing, outage, store_error},
    monitor::Failures,
    settings::Settings,
};
use crate::{
    domain::{Change, Condition, EventKind, OrganizationId, Outage, UserId},
    storage::{Result, StoreError, outages::Side},
};

/// The most revocations in one statement.
const MAX_BATCH: usize = 64;

/// How often revocations are tried for which a transaction was in the way.
const ATTEMPTS: usize = 8;

/// How often to look what became of them, and the pause in between: as long as a server takes to start again.
const LOOKS: usize = 5;
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Slots, organizations, users, actors and times.
///
/// First come the rows of the counters, in the order of the ids, as in every transaction that changes an organization. The
/// statement sees what was committed when it began, so where somebody else has counted an event since, nothing is done and
/// the revocation comes back to be tried again.
const REVOKE: &str = "
    WITH wanted AS (
        SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[])
            AS w (slot, organization_id, user_id, actor, at)
    ), locked AS MATERIALIZED (
        SELECT organization_id, events FROM organization_counters WHERE organization_id = ANY ($2)
        ORDER BY organization_id FOR UPDATE
    ), current AS MATERIALIZED (
        SELECT l.organization_id FROM locked AS l
        JOIN (
            SELECT organization_id, events FROM organization_counters WHERE organization_id = ANY ($2)
        ) AS seen ON seen.organization_id = l.organization_id AND seen.events = l.events
    ), revoked AS (
        UPDATE members AS m SET
            revoked_at = CASE WHEN m.role IS NULL THEN w.at END,
            portal_role = CASE WHEN m.role IS NULL THEN m.portal_role END,
            updated_at = w.at, version = m.version + 1
        FROM current AS c JOIN wanted AS w ON w.organization_id = c.organization_id
        WHERE m.organization_id = w.organization_id AND m.user_id = w.user_id AND m.revoked_at IS NULL
            AND m.portal_role IS NOT NULL
        RETURNING w.slot, w.actor, w.at, m.organization_id, m.id, m.user_id, m.number, m.email, m.role
    ), counted AS (
        UPDATE organization_counters AS c SET events = c.events + r.count
        FROM (SELECT organization_id, count(*) AS count FROM revoked GROUP BY organization_id) AS r
        WHERE c.organization_id = r.organization_id
        RETURNING c.organization_id, c.events - r.count AS before
    ), role_counted AS (
        UPDATE member_counts AS c SET live = c.live - r.count
        FROM (
            SELECT organization_id, count(*) AS count FROM revoked WHERE role IS NULL GROUP BY organization_id
        ) AS r
        WHERE c.organization_id = r.organization_id AND c.role = ''
    ), unlinked AS (
        DELETE FROM links AS l USING revoked AS r
        WHERE r.role IS NULL AND l.user_id = r.user_id AND l.organization_id = r.organization_id
    ), given_up AS (
        UPDATE addresses AS a SET until = r.at FROM revoked AS r
        WHERE r.role IS NULL AND a.email = r.email AND a.organization_id = r.organization_id AND a.member = r.number
            AND a.version = 0
    ), logged AS (
        INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
        SELECT r.organization_id,
            c.before + row_number() OVER (PARTITION BY r.organization_id ORDER BY r.slot),
            CASE WHEN r.role IS NULL THEN $6 ELSE $7 END, r.id, r.user_id, r.actor, r.at,
            CASE WHEN r.role IS NULL THEN 'revoked_at' ELSE 'portal_role' END
        FROM revoked AS r JOIN counted AS c ON c.organization_id = r.organization_id
    )
    SELECT slot, TRUE AS made FROM revoked
    UNION ALL
    SELECT w.slot, FALSE FROM wanted AS w JOIN locked AS l ON l.organization_id = w.organization_id
    WHERE NOT EXISTS (SELECT 1 FROM current AS c WHERE c.organization_id = w.organization_id)";

/// Organizations, users, actors and times: the slots of those of whom the log has such an event.
const LOGGED: &str = "
    SELECT w.slot FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[])
        AS w (slot, organization_id, user_id, actor, at)
    WHERE EXISTS (
        SELECT 1 FROM events AS e
        WHERE e.organization_id = w.organization_id AND e.user_id = w.user_id AND e.kind IN ($6, $7)
          AND e.actor = w.actor AND e.at = w.at
    )";

/// The way to the connection.
pub(super) struct RevokeQueue {
    queue: mpsc::Sender<Message>,
    condition: watch::Receiver<Condition>,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Revoke(Revocation),
    Close,
}

/// A revocation that waits.
struct Revocation {
    organization: OrganizationId,
    user: UserId,
    change: Change,
    reply: oneshot::Sender<Result<bool>>,
}

impl RevokeQueue {
    /// Starts the task that owns the connection.
    pub(super) fn start(
        options: &PgConnectOptions,
        settings: &Settings,
        condition: &watch::Receiver<Condition>,
        failures: &Failures,
        commits: &Commits,
    ) -> Self {
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let writer = Writer {
            options: options.clone(),
            connection: None,
            failures: failures.clone(),
            commits: commits.clone(),
            patience: settings.patience,
        };
        Self {
            queue,
            condition: condition.clone(),
            task: Mutex::new(Some(tokio::spawn(writer.run(messages)))),
        }
    }

    /// Ends a user's live link and returns when that is on disk. False: there is none.
    pub(super) async fn revoke(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool> {
        if let Some(outage) = self.condition.borrow().writes {
            return Err(StoreError::Unavailable(outage));
        }
        let (reply, result) = oneshot::channel();
        let revocation = Revocation {
            organization,
            user,
            change,
            reply,
        };
        self.queue
            .try_send(Message::Revoke(revocation))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Refuses new revocations, makes those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = self.queue.send(Message::Close).await;
            let _ = task.await;
        }
    }
}

struct Writer {
    options: PgConnectOptions,
    /// None after a failure, until the next revocations.
    connection: Option<PgConnection>,
    failures: Failures,
    commits: Commits,
    patience: Duration,
}

impl Writer {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while messages.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let mut revocations = Vec::new();
            for message in batch.drain(..) {
                match message {
                    Message::Revoke(revocation) => revocations.push(revocation),
                    Message::Close => messages.close(),
                }
            }
            // Whose caller has gone away needs no change.
            revocations.retain(|revocation| !revocation.reply.is_closed());
            if !revocations.is_empty() {
                self.make(revocations).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            // A server that does not hear it finds out by itself.
            let _ = in_time(self.patience, connection.close()).await;
        }
    }

    /// Makes revocations, and those again that somebody else was in the way of.
    async fn make(&mut self, mut revocations: Vec<Revocation>) {
        for _ in 0..ATTEMPTS {
            if let Err(error) = self.connected().await {
                self.failures.report(Side::Writes, &error);
                return refuse(revocations, || StoreError::Unavailable(outage_of(&error)));
            }
            match self.statement(&revocations).await {
                Ok(rows) => {
                    let ended: HashMap<i64, bool> = rows.into_iter().collect();
                    if ended.values().any(|made| *made) {
                        self.commits.committed();
                    }
                    let mut again = Vec::new();
                    for (slot, revocation) in (0..).zip(revocations) {
                        match ended.get(&slot) {
                            Some(false) => again.push(revocation),
                            // Of several that ask for the same, one does it. A caller that went away does not mind.
                            made => drop(revocation.reply.send(Ok(made.is_some()))),
                        }
                    }
                    revocations = again;
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return self.failed(revocations, error).await,
            }
            if revocations.is_empty() {
                return;
            }
        }
        refuse(revocations, || StoreError::Unavailable(Outage::Locked));
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options, self.patience).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// The slots of those that were made, and with `false` of those that are to be tried again.
    async fn statement(&mut self, revocations: &[Revocation]) -> Result<Vec<(i64, bool)>, sqlx::Error> {
        let patience = self.patience;
        let query = bind(sqlx::query_as(REVOKE), revocations);
        in_time(patience, query.fetch_all(self.connected().await?)).await
    }

    async fn failed(&mut self, revocations: Vec<Revocation>, error: sqlx::Error) {
        self.connection = None;
        self.failures.report(Side::Writes, &error);
        if outage(&error).is_some() {
            // They may have been made. Meanwhile the next ones are.
            let (options, patience) = (self.options.clone(), self.patience);
            let outage = outage_of(&error);
            tokio::spawn(async move { look_for(&options, patience, revocations, outage).await });
        } else if revocations.len() > 1 {
            // One of them may be the reason: the others are to be made.
            for revocation in revocations {
                Box::pin(self.make(vec![revocation])).await;
            }
        } else {
            tracing::error!(%error, "a revocation failed");
            let mut error = Some(store_error(error));
            refuse(revocations, || error.take().unwrap_or(StoreError::Closed));
        }
    }
}

/// Finds out what became of revocations whose statement was not answered. Not in the log, they may yet be made.
async fn look_for(
    options: &PgConnectOptions,
    patience: Duration,
    revocations: Vec<Revocation>,
    outage: Outage,
) {
    let mut found = None;
    for look in 0..LOOKS {
        if look > 0 {
            sleep(LOOK_PAUSE).await;
        }
        match logged(options, patience, &revocations).await {
            Ok(slots) => {
                found = Some(slots);
                break;
            }
            Err(error) => tracing::debug!(%error, "what became of revocations is not known yet"),
        }
    }
    let found = found.unwrap_or_default();
    for (slot, revocation) in (0..).zip(revocations) {
        let result = if found.contains(&slot) {
            Ok(true)
        } else {
            Err(StoreError::OutcomeUnknown(outage))
        };
        // A caller that went away does not mind.
        let _ = revocation.reply.send(result);
    }
}

/// The slots of those that are in the log.
async fn logged(
    options: &PgConnectOptions,
    patience: Duration,
    revocations: &[Revocation],
) -> Result<HashSet<i64>, sqlx::Error> {
    let mut connection = connect(options, patience).await?;
    let query = bind(sqlx::query_as(LOGGED), revocations);
    let slots: Vec<(i64,)> = in_time(patience, query.fetch_all(&mut connection)).await?;
    // A server that does not hear it finds out by itself.
    let _ = in_time(patience, connection.close()).await;
    Ok(slots.into_iter().map(|(slot,)| slot).collect())
}

/// Binds slots, organizations, users, actors, times, and the kinds of the events.
fn bind<'q, T: Stored>(query: Select<'q, T>, revocations: &[Revocation]) -> Select<'q, T> {
    let mut slots = Vec::with_capacity(revocations.len());
    let mut organizations = Vec::with_capacity(revocations.len());
    let mut users = Vec::with_capacity(revocations.len());
    let mut actors = Vec::with_capacity(revocations.len());
    let mut times = Vec::with_capacity(revocations.len());
    for (slot, revocation) in (0_i64..).zip(revocations) {
        slots.push(slot);
        organizations.push(*revocation.organization.as_uuid());
        users.push(*revocation.user.as_uuid());
        actors.push(revocation.change.actor.to_string());
        times.push(revocation.change.at.as_millis());
    }
    query
        .bind(slots)
        .bind(organizations)
        .bind(users)
        .bind(actors)
        .bind(times)
        .bind(EventKind::MemberRevoked)
        .bind(EventKind::MemberUpdated)
}

fn refuse(revocations: Vec<Revocation>, mut error: impl FnMut() -> StoreError) {
    for revocation in revocations {
        // A caller that went away does not mind.
        let _ = revocation.reply.send(Err(error()));
    }
}

fn outage_of(error: &sqlx::Error) -> Outage {
    outage(error).unwrap_or(Outage::Other)
}
