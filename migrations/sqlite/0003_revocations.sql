-- Revocations that wait together are made by one statement, and their events written by another. SQLite writes down, in a
-- file, what it would take to undo such a statement alone, if it may fail in a way that asks for that: with a foreign key that
-- is checked at once, with a function in a CHECK, with DO UPDATE in a trigger. Nobody undoes these statements alone, so
-- the two tables are made anew without those.

-- Without the CHECK of the length of `organization_id`.
ALTER TABLE events RENAME TO events_before;

CREATE TABLE events (
    organization_id BLOB    NOT NULL,
    sequence        INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    member_id       BLOB,
    user_id         BLOB,
    api_key_id      BLOB,
    actor           TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    fields          TEXT    NOT NULL,
    team            INTEGER,
    source          TEXT,
    PRIMARY KEY (organization_id, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO events (
        organization_id, sequence, kind, member_id, user_id, api_key_id, actor, at, fields, team, source
    )
    SELECT organization_id, sequence, kind, member_id, user_id, api_key_id, actor, at, fields, team, source
    FROM events_before;
DROP TABLE events_before;

CREATE INDEX events_user ON events (organization_id, user_id, sequence) WHERE user_id IS NOT NULL;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE (ABORT, 'the event log is append-only');
END;

CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN
    SELECT RAISE (ABORT, 'the event log is append-only');
END;

-- With a foreign key that is checked at the commit.
DROP TRIGGER members_counted_in;
DROP TRIGGER members_counted_over;
DROP TRIGGER members_counted_out;
ALTER TABLE member_counts RENAME TO member_counts_before;

CREATE TABLE member_counts (
    organization_id BLOB    NOT NULL REFERENCES organizations (id) DEFERRABLE INITIALLY DEFERRED,
    -- Empty: members without a role.
    role            TEXT    NOT NULL,
    live            INTEGER NOT NULL,
    PRIMARY KEY (organization_id, role)
) STRICT, WITHOUT ROWID;

INSERT INTO member_counts (organization_id, role, live)
    SELECT organization_id, role, live FROM member_counts_before;
DROP TABLE member_counts_before;

CREATE TRIGGER members_counted_in AFTER INSERT ON members
WHEN new.revoked_at IS NULL
BEGIN
    INSERT INTO member_counts (organization_id, role, live)
        VALUES (new.organization_id, coalesce(new.role, ''), 1)
        ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1;
END;

CREATE TRIGGER members_counted_over AFTER UPDATE OF role, revoked_at ON members
WHEN old.role IS NOT new.role OR (old.revoked_at IS NULL) <> (new.revoked_at IS NULL)
BEGIN
    UPDATE member_counts SET live = live - 1
        WHERE organization_id = old.organization_id AND role = coalesce(old.role, '') AND old.revoked_at IS NULL;
    INSERT INTO member_counts (organization_id, role, live)
        SELECT new.organization_id, coalesce(new.role, ''), 0
        WHERE new.revoked_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM member_counts
            WHERE organization_id = new.organization_id AND role = coalesce(new.role, '')
        );
    UPDATE member_counts SET live = live + 1
        WHERE organization_id = new.organization_id AND role = coalesce(new.role, '') AND new.revoked_at IS NULL;
END;

CREATE TRIGGER members_counted_out AFTER DELETE ON members
WHEN old.revoked_at IS NULL
BEGIN
    UPDATE member_counts SET live = live - 1
        WHERE organization_id = old.organization_id AND role = coalesce(old.role, '');
END;
