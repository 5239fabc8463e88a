-- Counters apart from what an organization is: every node of a distributed database holds organizations, and none wants
-- a row among them that changes with each write. Counts are kept by the transaction that changes what is counted.

-- The numbers that were given last: 0 where there is none. The nil UUID stands for the deployment, which has events only.
CREATE TABLE organization_counters (
    organization_id BLOB    NOT NULL PRIMARY KEY,
    members         INTEGER NOT NULL DEFAULT 0,
    teams           INTEGER NOT NULL DEFAULT 0,
    events          INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO organization_counters (organization_id, members, teams, events)
    SELECT id, last_member_number, last_team_number,
        coalesce((SELECT max(sequence) FROM events WHERE organization_id = id), 0)
    FROM organizations;
INSERT INTO organization_counters (organization_id, events)
    SELECT zeroblob(16), coalesce(max(sequence), 0) FROM events WHERE organization_id = zeroblob(16);

ALTER TABLE organizations DROP COLUMN last_member_number;
ALTER TABLE organizations DROP COLUMN last_team_number;

DROP TRIGGER members_counted_in;
DROP TRIGGER members_counted_over;
DROP TRIGGER members_counted_out;

-- BCP 47.
ALTER TABLE members ADD COLUMN locale TEXT;

ALTER TABLE teams RENAME COLUMN key TO slug;
DROP INDEX teams_key;
CREATE UNIQUE INDEX teams_slug ON teams (organization_id, slug);

-- Responses that are kept for repeated requests.
ALTER TABLE answers RENAME TO idempotency_keys;
ALTER TABLE idempotency_keys RENAME COLUMN answer TO response;
DROP INDEX answers_at;
CREATE INDEX idempotency_keys_at ON idempotency_keys (at);
