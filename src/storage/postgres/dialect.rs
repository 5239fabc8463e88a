//! What PostgreSQL says in its own way, in statements that are otherwise the same on every engine (`sql/`).

use uuid::Uuid;

use crate::domain::MemberNumber;

/// A function of a text and a part of it: more than 0 if it has that.
pub(super) const POSITION: &str = "strpos";

/// JOIN. The planner finds the order.
pub(super) const THEN_JOIN: &str = "JOIN";

/// The numbers of the teams of a member `m`, as one text.
pub(super) const TEAMS: &str = "(SELECT string_agg(t.team::text, ' ' ORDER BY t.team) FROM team_members AS t \
     WHERE t.organization_id = m.organization_id AND t.member = m.number)";

/// That a link `m` is live, where a user or an address leads to it.
pub(super) const LIVE: &str = "m.revoked_at IS NULL";

/// That a member `m` is of the organization `$1`, where it is found by its user, its address or its external id.
pub(super) const OF_ORGANIZATION: &str = "m.organization_id = $1";

/// The column by which a member is found who has an address.
pub(super) const EMAIL: &str = "email";

/// The events of a user: the table, and the condition about the user `$5`.
pub(super) const EVENTS_OF_USER: (&str, &str) = ("events", "user_id = $5");

/// That a kept response has the text `$2` in it.
pub(super) const RESPONSE_HAS: &str = "position(convert_to($2, 'UTF8') IN response) > 0";

/// Adds an organization, of the values in the order of the columns.
pub(super) const INSERT_ORGANIZATION: &str =
    "INSERT INTO organizations (id, slug, name, default_role, retention_days, created_at, deleted_at,
                                brand_name, brand_logo_url, brand_sender, brand_locale)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Adds a key, of the values in the order of the columns.
pub(super) const INSERT_API_KEY: &str =
    "INSERT INTO api_keys (organization_id, id, digest, hint, scopes, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Adds an event: `$1` is its organization, and returns its sequence number.
pub(super) const APPEND_EVENT: &str = "WITH counted AS (
         UPDATE organization_counters SET events = events + 1 WHERE organization_id = $1 RETURNING events
     )
     INSERT INTO events (organization_id, sequence, kind, member_id, user_id, api_key_id, team, actor, source, at, fields, client)
         SELECT $1, events, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM counted
         RETURNING sequence";

/// Of each organization that has mails to be sent, the one that has waited longest: from after `$1`, at the time `$2`, without
/// those of the ids `$3`, `$4` at most.
pub(super) const DUE_MAILS: &str = "
    SELECT organization_id AS organization, (array_agg(id ORDER BY due_at))[1] AS mail FROM mails
    WHERE sent_at IS NULL AND failed_at IS NULL AND organization_id > $1 AND due_at <= $2 AND organization_id <> ALL ($3)
    GROUP BY organization_id ORDER BY organization_id LIMIT $4";

/// What is bound to a parameter for [`rows_of_numbers`].
pub(super) fn numbers(numbers: &[MemberNumber]) -> Vec<i64> {
    numbers.iter().map(|number| number.0).collect()
}

/// A table of a column `value`: the numbers of a parameter.
pub(super) fn rows_of_numbers(parameter: &str, table: &str) -> String {
    format!("unnest({parameter}::bigint[]) AS {table} (value)")
}

/// Members who have one of the texts of a parameter in a column, up to the first condition. No join: where nothing is known of the
/// table yet, PostgreSQL would go through all of it for each text.
pub(super) fn members_with(column: &str, parameter: &str) -> String {
    format!("members AS m WHERE m.{column} = ANY ({parameter})")
}

/// What is bound where one of many texts is asked for.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    texts.map(ToOwned::to_owned).collect()
}

/// What is bound to a parameter for [`rows_of_ids`].
pub(super) fn ids<'a>(ids: impl Iterator<Item = &'a Uuid>) -> Vec<Uuid> {
    ids.copied().collect()
}

/// A table of a column `value`: the ids of a parameter.
pub(super) fn rows_of_ids(parameter: &str, table: &str) -> String {
    format!("unnest({parameter}::uuid[]) AS {table} (value)")
}
