//! The rules that are the same for both engines.

/// A statement that finds what breaks a rule.
#[derive(Debug)]
pub(in crate::storage) struct Rule {
    /// What scripts know it by.
    pub(in crate::storage) name: &'static str,
    /// What is said of a row, with `{number}`, `{found}` and `{wanted}` in it for the columns of these names.
    pub(in crate::storage) says: &'static str,
    /// Finds rows of `organization_id`, `number`, `found` and `wanted`. `$1` is the nil UUID, for which the rows stand that
    /// are no organization's.
    pub(in crate::storage) sql: &'static str,
}

/// A rule about rows `c` of a table that refer to rows `p` of another one.
macro_rules! refers {
    ($name:literal: $child:literal [$number:literal] -> $parent:literal on $on:literal) => {
        refers!($name: $child [$number] -> $parent on $on, if "TRUE")
    };
    ($name:literal: $child:literal [$number:literal] -> $parent:literal on $on:literal, if $condition:literal) => {
        Rule {
            name: $name,
            says: concat!("a row of ", $child, " ({number}) refers to a row of ", $parent, " that is not there"),
            sql: concat!(
                "SELECT c.organization_id, ", $number, " AS number, NULL AS found, NULL AS wanted FROM ", $child, " AS c \
                 WHERE ", $condition, " AND NOT EXISTS (SELECT 1 FROM ", $parent, " AS p WHERE ", $on, ")"
            ),
        }
    };
}

/// All of them. Foreign keys are among them, because the engines have different ones.
pub(in crate::storage) const RULES: &[Rule] = &[
    refers!("member_organization": "members" ["c.number"] -> "organizations" on "p.id = c.organization_id"),
    refers!("primary_team": "members" ["c.number"] -> "teams" on
        "p.organization_id = c.organization_id AND p.number = c.primary_team"),
    refers!("former_address_member": "former_addresses" ["c.member"] -> "members" on
        "p.organization_id = c.organization_id AND p.number = c.member"),
    refers!("password_member": "passwords" ["c.member"] -> "members" on
        "p.organization_id = c.organization_id AND p.number = c.member"),
    refers!("token_member": "tokens" ["c.member"] -> "members" on
        "p.organization_id = c.organization_id AND p.number = c.member"),
    refers!("mail_member": "mails" ["c.member"] -> "members" on
        "p.organization_id = c.organization_id AND p.number = c.member"),
    refers!("team_member": "team_members" ["c.member"] -> "members" on
        "p.organization_id = c.organization_id AND p.number = c.member"),
    refers!("team_of_member": "team_members" ["c.team"] -> "teams" on
        "p.organization_id = c.organization_id AND p.number = c.team"),
    refers!("team_organization": "teams" ["c.number"] -> "organizations" on "p.id = c.organization_id"),
    refers!("count_organization": "member_counts" ["c.live"] -> "organizations" on "p.id = c.organization_id"),
    refers!("counter_organization": "organization_counters" ["c.events"] -> "organizations" on
        "p.id = c.organization_id", if "c.organization_id <> $1"),
    refers!("key_organization": "api_keys" ["c.created_at"] -> "organizations" on
        "p.id = c.organization_id", if "c.organization_id <> $1"),
    refers!("response_organization": "idempotency_keys" ["c.at"] -> "organizations" on
        "p.id = c.organization_id", if "c.organization_id <> $1"),
    refers!("response_key": "idempotency_keys" ["c.at"] -> "api_keys" on "p.id = c.api_key_id"),
    refers!("event_organization": "events" ["c.sequence"] -> "organizations" on
        "p.id = c.organization_id", if "c.organization_id <> $1"),
    Rule {
        name: "counters",
        says: "it has no counters",
        sql: "SELECT o.id AS organization_id, NULL AS number, NULL AS found, NULL AS wanted FROM organizations AS o \
              WHERE NOT EXISTS (SELECT 1 FROM organization_counters AS c WHERE c.organization_id = o.id)",
    },
    Rule {
        name: "root_team",
        says: "it has no root team",
        sql: "SELECT o.id AS organization_id, NULL AS number, NULL AS found, NULL AS wanted FROM organizations AS o \
              WHERE NOT EXISTS (SELECT 1 FROM teams AS t WHERE t.organization_id = o.id AND t.number = 1)",
    },
    Rule {
        name: "member_counts",
        says: "{found} live members of a role are counted, and {wanted} are there",
        sql: "SELECT b.organization_id, NULL AS number, sum(b.counted) AS found, sum(b.there) AS wanted FROM ( \
                  SELECT organization_id, role, live AS counted, 0 AS there FROM member_counts \
                  UNION ALL \
                  SELECT organization_id, coalesce(role, ''), 0, count(*) FROM members WHERE revoked_at IS NULL \
                  GROUP BY organization_id, coalesce(role, '') \
              ) AS b GROUP BY b.organization_id, b.role HAVING sum(b.counted) <> sum(b.there)",
    },
    Rule {
        name: "member_numbers",
        says: "the number given last to a member is {found}, and a member has {wanted}",
        sql: "SELECT c.organization_id, NULL AS number, c.members AS found, max(m.number) AS wanted \
              FROM organization_counters AS c JOIN members AS m ON m.organization_id = c.organization_id \
              GROUP BY c.organization_id, c.members HAVING max(m.number) > c.members",
    },
    Rule {
        name: "team_numbers",
        says: "the number given last to a team is {found}, and a team has {wanted}",
        sql: "SELECT c.organization_id, NULL AS number, c.teams AS found, max(t.number) AS wanted \
              FROM organization_counters AS c JOIN teams AS t ON t.organization_id = c.organization_id \
              GROUP BY c.organization_id, c.teams HAVING max(t.number) > c.teams",
    },
    Rule {
        name: "event_counter",
        says: "the number given last to an event is {found}, and the last event has {wanted}",
        sql: "SELECT c.organization_id, NULL AS number, c.events AS found, coalesce(e.last, 0) AS wanted \
              FROM organization_counters AS c LEFT JOIN ( \
                  SELECT organization_id, max(sequence) AS last FROM events GROUP BY organization_id \
              ) AS e ON e.organization_id = c.organization_id WHERE c.events <> coalesce(e.last, 0)",
    },
    Rule {
        name: "event_gap",
        says: "{found} events are there, and the last one has the number {wanted}",
        sql: "SELECT organization_id, NULL AS number, count(*) AS found, max(sequence) AS wanted FROM events \
              GROUP BY organization_id HAVING count(*) <> max(sequence) OR min(sequence) <> 1",
    },
    Rule {
        name: "event_member",
        says: "event {number} is about a member who is not there",
        sql: "SELECT e.organization_id, e.sequence AS number, NULL AS found, NULL AS wanted FROM events AS e \
              WHERE e.member_id IS NOT NULL AND NOT EXISTS ( \
                  SELECT 1 FROM members AS m WHERE m.id = e.member_id AND m.organization_id = e.organization_id)",
    },
    Rule {
        name: "erased_member",
        says: "member {number} is erased, and something of the person is left",
        sql: "SELECT m.organization_id, m.number, NULL AS found, NULL AS wanted FROM members AS m \
              WHERE m.erased_at IS NOT NULL AND ( \
                  coalesce(m.email, m.name, m.given_name, m.family_name, m.avatar_url, m.company_name, \
                      m.customer_status, m.locale, m.portal_role, m.external_id) IS NOT NULL \
                  OR EXISTS (SELECT 1 FROM former_addresses AS f \
                      WHERE f.organization_id = m.organization_id AND f.member = m.number) \
                  OR EXISTS (SELECT 1 FROM passwords AS w \
                      WHERE w.organization_id = m.organization_id AND w.member = m.number) \
              )",
    },
];
