//! Revocations that wait together, found by one statement and made by one text of four, however many they are: an
//! integrator's `delete` is on the hot path. The rule is that of [`crate::storage::MemberStore::revoke_user`]: an end user's
//! link ends; staff keep link and role and only cease to be end users.
//!
//! What a statement has changed before it fails is undone with all of its transaction or savepoint. So those that change
//! something say OR FAIL: SQLite then need not write down what it would take to undo the statement alone, which it does
//! otherwise (<https://www.sqlite.org/tempfiles.html>, statement journal files).

use std::{collections::HashSet, sync::LazyLock};

use futures_util::future::BoxFuture;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, SqliteConnection};
use tokio::sync::oneshot;

use super::{
    batch::Batched,
    error::store_error,
    job::{Failure, Job, Ran},
};
use crate::{
    domain::{Change, EventKind, MemberId, OrganizationId, Timestamp, UserId},
    storage::{Result, StoreError, panics::caught},
};

/// Organization and user. What is found, [`Link`]s, comes as one text: sqlx hands rows over one by one.
static FIND: LazyLock<Batched> = LazyLock::new(|| {
    Batched::new(
        "WITH wanted (slot, organization_id, user_id) AS (VALUES {slots:2})
         SELECT json_group_array(json_array(w.slot, m.row, hex(m.id), m.role))
         FROM wanted AS w CROSS JOIN organizations AS o ON o.id = w.organization_id
         CROSS JOIN members AS m
             ON m.organization_ordinal = o.ordinal AND m.user_id = w.user_id AND m.superseded_number = 0
             AND m.revoked_at IS NULL AND m.portal_role IS NOT NULL",
    )
});

/// The rows, then two times; their organizations; the organizations of those who were nothing but an end user; and
/// organization, member, user, actor, client, kind and fields of each, then a time. A row is written once whatever changes in it, then
/// come the counters, then the events that they have counted.
static REVOKE: LazyLock<Batched> = LazyLock::new(|| {
    Batched::new(
        "WITH revoked (slot, row) AS (VALUES {slots:1})
         UPDATE OR FAIL members SET
             revoked_at = CASE WHEN role IS NULL THEN ? END,
             portal_role = CASE WHEN role IS NULL THEN portal_role END,
             updated_at = ?, version = version + 1
         WHERE row IN (SELECT row FROM revoked);
         WITH revoked (slot, organization_id) AS (VALUES {slots:1})
         UPDATE OR FAIL organization_counters SET events = events + r.count
         FROM (SELECT organization_id, count(*) AS count FROM revoked GROUP BY organization_id) AS r
         WHERE organization_counters.organization_id = r.organization_id;
         WITH revoked (slot, organization_id) AS (VALUES {slots:1})
         UPDATE OR FAIL member_counts SET live = live - r.count
         FROM (SELECT organization_id, count(*) AS count FROM revoked GROUP BY organization_id) AS r
         WHERE member_counts.organization_id = r.organization_id AND member_counts.role = '';
         WITH revoked (slot, organization_id, member_id, user_id, actor, client, kind, fields) AS (VALUES {slots:7})
         INSERT OR FAIL INTO events (organization_id, sequence, kind, member_id, user_id, actor, client, at, fields)
         SELECT organization_id,
             (SELECT events FROM organization_counters AS c WHERE c.organization_id = r.organization_id)
                 - count(*) OVER (PARTITION BY organization_id)
                 + row_number() OVER (PARTITION BY organization_id ORDER BY slot),
             kind, member_id, user_id, actor, client, ?, fields
         FROM revoked AS r WHERE organization_id IS NOT NULL",
    )
});

/// A revocation that waits.
pub(super) struct Revocation {
    pub(super) organization: OrganizationId,
    pub(super) user: UserId,
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Result<bool>>,
}

/// Revocations of one batch.
pub(super) struct Revocations {
    waiting: Vec<Revocation>,
    result: Result<Vec<bool>>,
}

/// The live link of an end user, and the first that asked for its end.
#[derive(Deserialize)]
struct Link {
    slot: usize,
    row: i64,
    member: MemberId,
    role: Option<String>,
}

impl Link {
    /// The kind of the event, and the field that changes.
    const fn event(&self) -> (EventKind, &'static str) {
        match self.role {
            None => (EventKind::MemberRevoked, "revoked_at"),
            Some(_) => (EventKind::MemberUpdated, "portal_role"),
        }
    }
}

impl Revocations {
    /// At most as many as a batched statement has slots.
    pub(super) const fn new(waiting: Vec<Revocation>) -> Self {
        Self {
            waiting,
            result: Ok(Vec::new()),
        }
    }

    /// Whether each of them found a live end user.
    async fn make(&self, connection: &mut SqliteConnection) -> Result<Vec<bool>> {
        // They came within moments of each other; the last moment is that of all.
        let at = self.waiting.iter().map(|revocation| revocation.change.at).max();
        let at = at.unwrap_or(Timestamp::from_millis(0));
        let links = self.find(connection).await?;
        if !links.is_empty() {
            self.revoke(connection, at, &links).await?;
        }
        let mut made = vec![false; self.waiting.len()];
        for link in links {
            made[link.slot] = true;
        }
        Ok(made)
    }

    async fn find(&self, connection: &mut SqliteConnection) -> Result<Vec<Link>> {
        let (sql, slots) = FIND.fitting(self.waiting.len());
        // Safe: the statement is a constant and the numbers of its slots.
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
        for slot in 0..slots {
            let revocation = self.waiting.get(slot);
            query = query
                .bind(revocation.map(|revocation| revocation.organization))
                .bind(revocation.map(|revocation| revocation.user));
        }
        let text: String = query.fetch_one(connection).await.map_err(store_error)?;
        let mut links: Vec<Link> =
            serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("revocation".to_owned()))?;
        links.sort_by_key(|link| link.slot);
        // Of several that ask for the same, the first one does it.
        let mut rows = HashSet::with_capacity(links.len());
        links.retain(|link| rows.insert(link.row));
        Ok(links)
    }

    async fn revoke(&self, connection: &mut SqliteConnection, at: Timestamp, links: &[Link]) -> Result<()> {
        let (sql, slots) = REVOKE.fitting(links.len());
        let organization = |link: &Link| self.waiting[link.slot].organization;
        let links_of_slots = || (0..slots).map(|slot| links.get(slot));
        // Safe: the statements are constants and the numbers of their slots.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for link in links_of_slots() {
            query = query.bind(link.map(|link| link.row));
        }
        query = query.bind(at).bind(at);
        for link in links_of_slots() {
            query = query.bind(link.map(organization));
        }
        for link in links_of_slots() {
            query = query.bind(link.filter(|link| link.role.is_none()).map(organization));
        }
        for link in links_of_slots() {
            let revocation = link.map(|link| &self.waiting[link.slot]);
            query = query
                .bind(link.map(organization))
                .bind(link.map(|link| link.member))
                .bind(revocation.map(|revocation| revocation.user))
                .bind(revocation.map(|revocation| revocation.change.actor))
                .bind(revocation.and_then(|revocation| revocation.change.client.as_ref()))
                .bind(link.map(|link| link.event().0))
                .bind(link.map(|link| link.event().1));
        }
        let done = query.bind(at).execute(connection).await.map_err(store_error)?;
        if done.rows_affected() == self.rows(links) {
            Ok(())
        } else {
            Err(StoreError::Corrupt("revocation".to_owned()))
        }
    }

    /// How many rows change: the members, the events, and the counters of their organizations.
    fn rows(&self, links: &[Link]) -> u64 {
        let organization = |link: &Link| self.waiting[link.slot].organization;
        let all = links.iter().map(organization).collect::<HashSet<_>>().len();
        let plain = links.iter().filter(|link| link.role.is_none());
        let plain = plain.map(organization).collect::<HashSet<_>>().len();
        (2 * links.len() + all + plain) as u64
    }
}

impl Job for Revocations {
    fn is_abandoned(&self) -> bool {
        self.waiting.iter().all(|revocation| revocation.reply.is_closed())
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Ran> {
        Box::pin(async move {
            self.result = caught(self.make(connection)).await;
            let ran = Ran::of(&self.result);
            if let (Ran::Failed, Err(error)) = (ran, &self.result) {
                tracing::error!(%error, revocations = self.waiting.len(), "revocations failed");
            }
            ran
        })
    }

    fn split(&mut self) -> Vec<Box<dyn Job>> {
        if self.result.is_ok() || self.waiting.len() < 2 {
            return Vec::new();
        }
        let alone = |revocation| Box::new(Self::new(vec![revocation])) as Box<dyn Job>;
        self.waiting.drain(..).map(alone).collect()
    }

    fn finish(self: Box<Self>, failure: Option<Failure>) {
        let made = match (self.result, failure) {
            (Ok(made), None) => made,
            _ => Vec::new(),
        };
        let failure = failure.unwrap_or(Failure::NotCommitted);
        for (slot, revocation) in self.waiting.into_iter().enumerate() {
            let result = made.get(slot).copied().ok_or_else(|| failure.into());
            // A caller that went away does not mind.
            let _ = revocation.reply.send(result);
        }
    }
}
