//! Revocations that wait together, made by two statements however many they are: an integrator's `delete` is on the hot
//! path.

use std::{collections::HashMap, sync::LazyLock};

use sqlx::{AssertSqlSafe, SqliteConnection};
use tokio::sync::oneshot;

use super::{
    error::engine,
    row::uuid,
    slots::Slotted,
    writer::{Job, Work},
};
use crate::{
    domain::{Actor, EventKind, OrganizationId, Timestamp, UserId},
    storage::{Change, StoreError},
};

/// Organization and user. The rows are found first, so that the order of the look-up is not for the planner to choose.
static REVOKE: LazyLock<Slotted> = LazyLock::new(|| {
    Slotted::new(
        "WITH revoked (slot, organization_id, user_id) AS (VALUES {slots})
         UPDATE members SET revoked_at = ?, updated_at = ?, version = version + 1
         WHERE row IN (
             SELECT m.row FROM revoked AS r CROSS JOIN members AS m
                 ON m.organization_id = r.organization_id AND m.user_id = r.user_id AND m.revoked_at IS NULL
         )
         RETURNING organization_id, user_id, id",
        2,
    )
});

/// Organization, member, user, actor. Each organization counts on from its last event.
static APPEND: LazyLock<Slotted> = LazyLock::new(|| {
    Slotted::new(
        "WITH revoked (slot, organization_id, member_id, user_id, actor) AS (VALUES {slots})
         INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
         SELECT organization_id,
             (SELECT coalesce(max(sequence), 0) FROM events AS e WHERE e.organization_id = r.organization_id)
                 + row_number() OVER (PARTITION BY organization_id ORDER BY slot),
             ?, member_id, user_id, actor, ?, 'revoked_at'
         FROM revoked AS r WHERE organization_id IS NOT NULL",
        4,
    )
});

/// A revocation that waits.
pub(super) struct Revocation {
    pub(super) organization: OrganizationId,
    pub(super) user: UserId,
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// Revocations of one batch.
pub(super) struct Revocations {
    waiting: Vec<Revocation>,
    result: Result<Vec<bool>, StoreError>,
}

/// A live link that was ended.
struct Revoked {
    slot: usize,
    member: Vec<u8>,
}

impl Revocations {
    /// At most as many as a batched statement has slots.
    pub(super) const fn new(waiting: Vec<Revocation>) -> Self {
        Self {
            waiting,
            result: Ok(Vec::new()),
        }
    }

    /// Whether each of them ended a live link.
    async fn make(&self, connection: &mut SqliteConnection) -> Result<Vec<bool>, StoreError> {
        // They came within moments of each other; the last moment is that of all.
        let at = self.waiting.iter().map(|revocation| revocation.change.at).max();
        let at = at.unwrap_or(Timestamp::from_millis(0));
        let revoked = self.revoke(connection, at).await?;
        if !revoked.is_empty() {
            self.append(connection, at, &revoked).await?;
        }
        let mut made = vec![false; self.waiting.len()];
        for Revoked { slot, .. } in revoked {
            made[slot] = true;
        }
        Ok(made)
    }

    async fn revoke(
        &self,
        connection: &mut SqliteConnection,
        at: Timestamp,
    ) -> Result<Vec<Revoked>, StoreError> {
        let (sql, slots) = REVOKE.fitting(self.waiting.len());
        // Safe: the statement is a constant and the numbers of its slots.
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for slot in 0..slots {
            let revocation = self.waiting.get(slot);
            query = query
                .bind(revocation.map(|revocation| &revocation.organization.as_uuid().as_bytes()[..]))
                .bind(revocation.map(|revocation| &revocation.user.as_uuid().as_bytes()[..]));
        }
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = query
            .bind(at.as_millis())
            .bind(at.as_millis())
            .fetch_all(connection)
            .await
            .map_err(engine)?;
        // Of several that ask for the same, the first one did it.
        let mut slots = HashMap::with_capacity(self.waiting.len());
        for (slot, revocation) in self.waiting.iter().enumerate() {
            slots
                .entry((revocation.organization, revocation.user))
                .or_insert(slot);
        }
        let mut revoked = Vec::with_capacity(rows.len());
        for (organization, user, member) in rows {
            let organization = OrganizationId::from_uuid(uuid(&organization, "organization id")?);
            let user = UserId::from_uuid(uuid(&user, "user id")?);
            let slot = slots.get(&(organization, user)).copied();
            revoked.push(Revoked {
                slot: slot.ok_or(StoreError::Corrupt("revocation"))?,
                member,
            });
        }
        revoked.sort_by_key(|revoked| revoked.slot);
        Ok(revoked)
    }

    async fn append(
        &self,
        connection: &mut SqliteConnection,
        at: Timestamp,
        revoked: &[Revoked],
    ) -> Result<(), StoreError> {
        let (sql, slots) = APPEND.fitting(revoked.len());
        // Safe: the statement is a constant and the numbers of its slots.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for slot in 0..slots {
            let revoked = revoked.get(slot);
            let revocation = revoked.map(|revoked| &self.waiting[revoked.slot]);
            query = query
                .bind(revocation.map(|revocation| &revocation.organization.as_uuid().as_bytes()[..]))
                .bind(revoked.map(|revoked| &revoked.member[..]))
                .bind(revocation.map(|revocation| &revocation.user.as_uuid().as_bytes()[..]))
                .bind(revocation.map(|revocation| Actor::to_string(&revocation.change.actor)));
        }
        let appended = query
            .bind(EventKind::MemberRevoked.as_str())
            .bind(at.as_millis())
            .execute(connection)
            .await
            .map_err(engine)?;
        if appended.rows_affected() == revoked.len() as u64 {
            Ok(())
        } else {
            Err(StoreError::Corrupt("event"))
        }
    }
}

impl Job for Revocations {
    fn is_abandoned(&self) -> bool {
        self.waiting.iter().all(|revocation| revocation.reply.is_closed())
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> Work<'a, bool> {
        Box::pin(async move {
            self.result = self.make(connection).await;
            self.result.is_ok()
        })
    }

    fn finish(self: Box<Self>, failure: Option<StoreError>) {
        let made = match (self.result, &failure) {
            (Ok(made), None) => made,
            (Err(error), _) => {
                tracing::error!(%error, revocations = self.waiting.len(), "revocations failed");
                Vec::new()
            }
            (Ok(_), Some(_)) => Vec::new(),
        };
        let busy = matches!(failure, Some(StoreError::Busy));
        for (slot, revocation) in self.waiting.into_iter().enumerate() {
            let result = match made.get(slot) {
                Some(made) => Ok(*made),
                None if busy => Err(StoreError::Busy),
                None => Err(StoreError::Engine("the revocation was not committed".into())),
            };
            // A caller that went away does not mind.
            let _ = revocation.reply.send(result);
        }
    }
}
