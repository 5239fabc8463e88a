//! What always holds in a database that nobody changes at present.

use sqlx::PgConnection;

/// One query for each rule: a line for each row that breaks it.
const RULES: [(&str, &str); 9] = [
    (
        "a user has one live link to an organization",
        "SELECT format('%s in %s', user_id, organization_id) FROM members
         WHERE revoked_at IS NULL GROUP BY organization_id, user_id HAVING count(*) > 1",
    ),
    (
        "an address has one live member in an organization",
        "SELECT format('%s in %s', email, organization_id) FROM members
         WHERE revoked_at IS NULL AND email IS NOT NULL GROUP BY organization_id, email HAVING count(*) > 1",
    ),
    (
        "live members are counted by their roles",
        "SELECT format('%s %s: %s, and counted %s', organization_id, role, found.live, counted.live)
         FROM (
             SELECT organization_id, coalesce(role, '') AS role, count(*) AS live FROM members
             WHERE revoked_at IS NULL GROUP BY 1, 2
         ) AS found
         FULL JOIN member_counts AS counted USING (organization_id, role)
         WHERE coalesce(found.live, 0) <> coalesce(counted.live, 0)",
    ),
    (
        "members are numbered from 1 without gaps, and counted",
        "SELECT format('%s: %s, the highest %s, and counted %s', organization_id, found.rows, found.highest, c.members)
         FROM (
             SELECT organization_id, count(*) AS rows, max(number) AS highest FROM members GROUP BY 1
         ) AS found
         FULL JOIN organization_counters AS c USING (organization_id)
         WHERE (coalesce(found.rows, 0), coalesce(found.highest, 0)) IS DISTINCT FROM (c.members, c.members)",
    ),
    (
        "events are numbered from 1 without gaps, and counted",
        "SELECT format('%s: %s, the highest %s, and counted %s', organization_id, found.rows, found.highest, c.events)
         FROM (
             SELECT organization_id, count(*) AS rows, max(sequence) AS highest FROM events GROUP BY 1
         ) AS found
         FULL JOIN organization_counters AS c USING (organization_id)
         WHERE (coalesce(found.rows, 0), coalesce(found.highest, 0)) IS DISTINCT FROM (c.events, c.events)",
    ),
    (
        "each version of a member is an event",
        "SELECT format('%s: version %s, events %s', m.id, m.version, count(e.sequence)) FROM members AS m
         LEFT JOIN events AS e
             ON e.organization_id = m.organization_id AND e.member_id = m.id AND e.kind LIKE 'member.%'
         WHERE m.erased_at IS NULL
         GROUP BY m.organization_id, m.id, m.version HAVING count(e.sequence) <> m.version",
    ),
    (
        "who is revoked has an event that says so last, and nobody else has",
        "SELECT format('%s: %s', m.id, e.kind) FROM members AS m
         LEFT JOIN LATERAL (
             SELECT kind FROM events
             WHERE organization_id = m.organization_id AND member_id = m.id AND kind LIKE 'member.%'
             ORDER BY sequence DESC LIMIT 1
         ) AS e ON TRUE
         WHERE m.erased_at IS NULL AND (m.revoked_at IS NOT NULL) <> (e.kind IS NOT DISTINCT FROM 'member.revoked')",
    ),
    (
        "links are those of live members",
        "WITH found AS (
             SELECT user_id, organization_id, id, email, role FROM members WHERE revoked_at IS NULL
         ), kept AS (
             SELECT user_id, organization_id, member_id, email, role FROM links
         )
         SELECT format('not kept: %s', row(f.*)) FROM (SELECT * FROM found EXCEPT SELECT * FROM kept) AS f
         UNION ALL
         SELECT format('kept: %s', row(k.*)) FROM (SELECT * FROM kept EXCEPT SELECT * FROM found) AS k",
    ),
    (
        "addresses are those that members have and had",
        "WITH found AS (
             SELECT email, organization_id, number, 0 AS version, id, user_id, email_since, revoked_at FROM members
             WHERE email IS NOT NULL
             UNION ALL
             SELECT f.email, f.organization_id, f.member, f.version, m.id, m.user_id, f.since, f.until
             FROM former_addresses AS f
             LEFT JOIN members AS m ON m.organization_id = f.organization_id AND m.number = f.member
         ), kept AS (
             SELECT email, organization_id, member, version, member_id, user_id, since, until FROM addresses
         )
         SELECT format('not kept: %s', row(f.*)) FROM (SELECT * FROM found EXCEPT SELECT * FROM kept) AS f
         UNION ALL
         SELECT format('kept: %s', row(k.*)) FROM (SELECT * FROM kept EXCEPT SELECT * FROM found) AS k",
    ),
];

/// Nothing is half done, and what is kept twice is the same twice.
pub(super) async fn assert_consistent(connection: &mut PgConnection) {
    let mut broken = Vec::new();
    for (rule, sql) in RULES {
        let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await.unwrap();
        broken.extend(found.into_iter().map(|found| format!("{rule}: {found}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
