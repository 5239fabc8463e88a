//! What SQLite says in its own way, in statements that are otherwise the same on every engine (`sql/`).

use uuid::Uuid;

use crate::domain::MemberNumber;

/// A function of a text and a part of it: more than 0 if it has that.
pub(super) const POSITION: &str = "instr";

/// JOIN, with the tables read in the order in which they are named.
pub(super) const THEN_JOIN: &str = "CROSS JOIN";

/// The numbers of the teams of a member `m`, as one text.
pub(super) const TEAMS: &str = "(SELECT group_concat(t.team, ' ' ORDER BY t.team) FROM team_members AS t \
     WHERE t.organization_id = m.organization_id AND t.member = m.number)";

/// That a link `m` is live, where a user or an address leads to it.
pub(super) const LIVE: &str = "m.superseded_number = 0 AND m.revoked_at IS NULL";

/// That a member `m` is of the organization `$1`, where it is found by its user, its address or its external id.
pub(super) const OF_ORGANIZATION: &str =
    "m.organization_ordinal = (SELECT ordinal FROM organizations WHERE id = $1)";

/// The column by which a member is found who has an address.
pub(super) const EMAIL: &str = "sort_email";

/// The events of a user: the table, and the condition about the user `$5`.
pub(super) const EVENTS_OF_USER: (&str, &str) = (
    "events INDEXED BY events_member",
    "member_id IN (
         SELECT id FROM members
         WHERE user_id = $5 AND organization_ordinal = (SELECT ordinal FROM organizations WHERE id = $1)
     )",
);

/// That a kept response has the text `$2` in it.
pub(super) const RESPONSE_HAS: &str = "instr(response, CAST($2 AS BLOB)) > 0";

/// Adds an organization, of the values in the order of the columns.
pub(super) const INSERT_ORGANIZATION: &str =
    "INSERT INTO organizations (id, slug, name, default_role, retention_days, created_at, deleted_at,
                                brand_name, brand_logo_url, brand_sender, brand_locale, ordinal)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce(max(ordinal), 0) + 1 FROM organizations";

/// Adds a key, of the values in the order of the columns.
pub(super) const INSERT_API_KEY: &str =
    "INSERT INTO api_keys (organization_id, id, digest, hint, scopes, created_at, expires_at, organization_ordinal)
     VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce((SELECT ordinal FROM organizations WHERE id = $1), 0))";

/// Adds an event: `$1` is its organization, and returns its sequence number.
pub(super) const APPEND_EVENT: &str =
    "INSERT INTO organization_counters (organization_id, events) VALUES ($1, 1)
         ON CONFLICT (organization_id) DO UPDATE SET events = events + 1;
     INSERT INTO events (organization_id, sequence, kind, member_id, user_id, api_key_id, team, actor, source, at, fields, client)
         SELECT $1, events, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
         FROM organization_counters WHERE organization_id = $1
         RETURNING sequence";

/// Goes from organization to organization in the index of what is to be sent, whatever number of mails each has there:
/// from after `$1`, at the time `$2`, without those of the ids `$3`, `$4` at most.
pub(super) const DUE_MAILS: &str = "
    WITH RECURSIVE waiting (organization_id) AS (
        SELECT min(organization_id) FROM mails
        WHERE organization_id > $1 AND sent_at IS NULL AND failed_at IS NULL
        UNION ALL
        SELECT (
            SELECT min(m.organization_id) FROM mails AS m
            WHERE m.organization_id > w.organization_id AND m.sent_at IS NULL AND m.failed_at IS NULL
        )
        FROM waiting AS w WHERE w.organization_id IS NOT NULL
    )
    SELECT w.organization_id AS organization, (
        SELECT m.id FROM mails AS m
        WHERE m.organization_id = w.organization_id AND m.due_at <= $2 AND m.sent_at IS NULL AND m.failed_at IS NULL
        ORDER BY m.due_at LIMIT 1
    ) AS mail
    FROM waiting AS w
    WHERE mail IS NOT NULL AND w.organization_id NOT IN (SELECT unhex(value) FROM json_each($3))
    LIMIT $4";

/// What is bound to a parameter for [`rows_of_numbers`]: a JSON array, a list of any length in one parameter.
pub(super) fn numbers(numbers: &[MemberNumber]) -> String {
    let numbers: Vec<_> = numbers.iter().map(|number| number.0.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

/// A table of a column `value`: the numbers of a parameter.
pub(super) fn rows_of_numbers(parameter: &str, table: &str) -> String {
    format!("json_each({parameter}) AS {table}")
}

/// Members who have one of the texts of a parameter in a column, up to the first condition.
pub(super) fn members_with(column: &str, parameter: &str) -> String {
    let wanted = rows_of_texts(parameter, "wanted");
    format!("{wanted} CROSS JOIN members AS m WHERE m.{column} = wanted.value")
}

/// What is bound to a parameter for [`rows_of_texts`].
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<serde_json::Value>().to_string()
}

/// A table of a column `value`: the texts of a parameter.
pub(super) fn rows_of_texts(parameter: &str, table: &str) -> String {
    format!("json_each({parameter}) AS {table}")
}

/// What is bound to a parameter for [`rows_of_ids`].
pub(super) fn ids<'a>(ids: impl Iterator<Item = &'a Uuid>) -> String {
    let ids: Vec<_> = ids.map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}

/// A table of a column `value`: the ids of a parameter.
pub(super) fn rows_of_ids(parameter: &str, table: &str) -> String {
    format!("(SELECT unhex(value) AS value FROM json_each({parameter})) AS {table}")
}
