//! Revocations, many in one statement.

use super::super::columns::{Select, Stored};
use crate::domain::{Change, EventKind, OrganizationId, UserId};

/// A link that is to end.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) organization: OrganizationId,
    pub(super) user: UserId,
    pub(super) change: Change,
}

/// Slots, organizations, users, actors and times; the kinds of the events; how long to wait for a row that somebody else has,
/// as a setting of the transaction; and clients.
///
/// First come the rows of the counters, as in every transaction that changes an organization. One that somebody else has is
/// not waited for. The statement sees what was committed when it began: where an event was counted since, nothing is done
/// either. Such revocations come back, to be made in a transaction of their organization.
const REVOKE: &str = "
    WITH wanted AS (
        SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $9::text[])
            AS w (slot, organization_id, user_id, actor, at, client)
    ), locked AS MATERIALIZED (
        SELECT organization_id, events FROM organization_counters WHERE organization_id = ANY ($2)
        ORDER BY organization_id FOR UPDATE SKIP LOCKED
    ), waits AS MATERIALIZED (
        SELECT set_config('lock_timeout', $8, TRUE)
    ), current AS MATERIALIZED (
        SELECT l.organization_id FROM waits CROSS JOIN locked AS l
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
        RETURNING w.slot, w.actor, w.client, w.at, m.organization_id, m.id, m.user_id, m.number, m.email, m.role
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
        INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, client, at, fields)
        SELECT r.organization_id,
            c.before + row_number() OVER (PARTITION BY r.organization_id ORDER BY r.slot),
            CASE WHEN r.role IS NULL THEN $6 ELSE $7 END, r.id, r.user_id, r.actor, r.client, r.at,
            CASE WHEN r.role IS NULL THEN 'revoked_at' ELSE 'portal_role' END
        FROM revoked AS r JOIN counted AS c ON c.organization_id = r.organization_id
    )
    SELECT slot, TRUE AS made FROM revoked
    UNION ALL
    SELECT w.slot, FALSE FROM wanted AS w
    WHERE NOT EXISTS (SELECT 1 FROM current AS c WHERE c.organization_id = w.organization_id)";

/// The slots of those that are made, and with `false` of those that are left. For how long it waits for a row that somebody else
/// has, is a setting of the transaction.
pub(super) fn revoke<'q, 'w>(
    wanted: impl Iterator<Item = &'w Wanted> + Clone,
    lock_timeout: &'q str,
) -> Select<'q, (i64, bool)> {
    let clients = wanted.clone().map(|wanted| {
        wanted
            .change
            .client
            .as_ref()
            .map(|client| client.as_str().to_owned())
    });
    let clients: Vec<_> = clients.collect();
    bind(sqlx::query_as(REVOKE), wanted)
        .bind(lock_timeout)
        .bind(clients)
}

/// Organizations, users, actors and times: the slots of those of whom the log has such an event.
pub(super) const LOGGED: &str = "
    SELECT w.slot FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[])
        AS w (slot, organization_id, user_id, actor, at)
    WHERE EXISTS (
        SELECT 1 FROM events AS e
        WHERE e.organization_id = w.organization_id AND e.user_id = w.user_id AND e.kind IN ($6, $7)
          AND e.actor = w.actor AND e.at = w.at
    )";

/// Binds slots, organizations, users, actors, times, and the kinds of the events. The slots count from 0.
pub(super) fn bind<'q, 'w, T: Stored>(
    query: Select<'q, T>,
    wanted: impl Iterator<Item = &'w Wanted>,
) -> Select<'q, T> {
    let mut slots = Vec::new();
    let mut organizations = Vec::new();
    let mut users = Vec::new();
    let mut actors = Vec::new();
    let mut times = Vec::new();
    for (slot, wanted) in (0_i64..).zip(wanted) {
        slots.push(slot);
        organizations.push(*wanted.organization.as_uuid());
        users.push(*wanted.user.as_uuid());
        actors.push(wanted.change.actor.to_string());
        times.push(wanted.change.at.as_millis());
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
