-- What internal services manage: roles, teams, sources, retention; the search index; answers to be repeated.

-- `ordinal` numbers organizations for the search index.
ALTER TABLE organizations ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN default_role TEXT NOT NULL DEFAULT 'viewer';
ALTER TABLE organizations ADD COLUMN retention_days INTEGER;
ALTER TABLE organizations ADD COLUMN last_member_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN last_team_number INTEGER NOT NULL DEFAULT 1;
UPDATE organizations SET ordinal = numbered.ordinal
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS ordinal FROM organizations) AS numbered
    WHERE organizations.id = numbered.id;
CREATE UNIQUE INDEX organizations_ordinal ON organizations (ordinal);

ALTER TABLE members ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN role TEXT;
ALTER TABLE members ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE members ADD COLUMN auth_method TEXT;
ALTER TABLE members ADD COLUMN source TEXT NOT NULL DEFAULT 'api';
ALTER TABLE members ADD COLUMN external_id TEXT;
ALTER TABLE members ADD COLUMN primary_team INTEGER NOT NULL DEFAULT 1;
ALTER TABLE members ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN last_seen_at INTEGER;
ALTER TABLE members ADD COLUMN erased_at INTEGER;
-- Grows with every change: the etag.
ALTER TABLE members ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
UPDATE members SET number = numbered.number, updated_at = coalesce(revoked_at, created_at)
    FROM (SELECT row, row_number() OVER (PARTITION BY organization_id ORDER BY row) AS number FROM members) AS numbered
    WHERE members.row = numbered.row;
UPDATE organizations SET last_member_number =
    (SELECT coalesce(max(number), 0) FROM members WHERE organization_id = organizations.id);

CREATE UNIQUE INDEX members_number ON members (organization_id, number);
CREATE UNIQUE INDEX members_live_external_id ON members (organization_id, source, external_id)
    WHERE revoked_at IS NULL AND external_id IS NOT NULL;
-- The place in a list by name: a member without a name comes first. A column, because only of columns can SQLite go on
-- from the middle of an index by (name, number).
ALTER TABLE members ADD COLUMN sort_name TEXT NOT NULL GENERATED ALWAYS AS (coalesce(name, '')) VIRTUAL;
-- Revoked members too, so that a revocation leaves it alone: each index that it touches is a page to be written.
CREATE INDEX members_name ON members (organization_id, sort_name, number);
CREATE INDEX members_live_role ON members (organization_id, role, number) WHERE revoked_at IS NULL AND role IS NOT NULL;
-- Those who have any role.
CREATE INDEX members_live_staff ON members (organization_id, number) WHERE revoked_at IS NULL AND role IS NOT NULL;
CREATE INDEX members_revoked ON members (organization_id, revoked_at) WHERE revoked_at IS NOT NULL AND erased_at IS NULL;
-- Those whose main team is not the root team.
CREATE INDEX members_primary_team ON members (organization_id, primary_team) WHERE primary_team <> 1;
-- All links of one user: of one organization, or of those that a caller may see.
CREATE INDEX members_user ON members (user_id, organization_id);

CREATE TABLE teams (
    organization_id BLOB    NOT NULL REFERENCES organizations (id),
    number          INTEGER NOT NULL,
    key             TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX teams_key ON teams (organization_id, key);
-- Number 1 is the root team.
INSERT INTO teams (organization_id, number, key, name, created_at)
    SELECT id, 1, 'root', 'Root', created_at FROM organizations;

CREATE TABLE team_members (
    organization_id BLOB    NOT NULL,
    team            INTEGER NOT NULL,
    member          INTEGER NOT NULL,
    PRIMARY KEY (organization_id, team, member),
    FOREIGN KEY (organization_id, team) REFERENCES teams (organization_id, number),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX team_members_member ON team_members (organization_id, member);

ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
ALTER TABLE events ADD COLUMN team INTEGER;
ALTER TABLE events ADD COLUMN source TEXT;
CREATE INDEX events_user ON events (organization_id, user_id, sequence) WHERE user_id IS NOT NULL;

-- Names and addresses of members that are not erased, in lower case, by their trigrams. `organization` is its ordinal
-- in three characters: one trigram, so that a search in one organization does not read the matches of others.
CREATE VIRTUAL TABLE member_search USING fts5 (organization, name, email, tokenize = 'trigram case_sensitive 1');
-- What is removed from the index is to leave no trace in it.
INSERT INTO member_search (member_search, rank) VALUES ('secure-delete', 1);

-- Rows of members from before there was a search index: those after `done` and up to `last` have yet to be put in it. No
-- row: none.
CREATE TABLE search_backlog (
    done INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT;
INSERT INTO search_backlog (done, last) SELECT 0, max(row) FROM members HAVING count(*) > 0;

-- Answers to be given again to a repeated request.
CREATE TABLE answers (
    organization_id BLOB    NOT NULL,
    api_key_id      BLOB    NOT NULL,
    key             TEXT    NOT NULL,
    request         BLOB    NOT NULL,
    answer          BLOB    NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (organization_id, api_key_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_at ON answers (organization_id, at);

-- How many live members an organization has of each role, so that nobody counts a million rows for one page of a list.
-- Triggers keep it, in the transaction of each change.

CREATE TABLE member_counts (
    organization_id BLOB    NOT NULL REFERENCES organizations (id),
    -- Empty: members without a role.
    role            TEXT    NOT NULL,
    live            INTEGER NOT NULL,
    PRIMARY KEY (organization_id, role)
) STRICT, WITHOUT ROWID;

INSERT INTO member_counts (organization_id, role, live)
    SELECT organization_id, coalesce(role, ''), count(*) FROM members
    WHERE revoked_at IS NULL
    GROUP BY organization_id, coalesce(role, '');

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
        SELECT new.organization_id, coalesce(new.role, ''), 1 WHERE new.revoked_at IS NULL
        ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1;
END;

CREATE TRIGGER members_counted_out AFTER DELETE ON members
WHEN old.revoked_at IS NULL
BEGIN
    UPDATE member_counts SET live = live - 1
        WHERE organization_id = old.organization_id AND role = coalesce(old.role, '');
END;
