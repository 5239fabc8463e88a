-- Ids are 16 bytes (UUIDv7), times are milliseconds since 1970 (UTC).

CREATE TABLE organizations (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    slug       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX organizations_live_slug ON organizations (slug) WHERE deleted_at IS NULL;

-- A person across organizations: an id, and the address that first linked it. Nothing here can be changed by one
-- organization and seen by another.
CREATE TABLE users (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email      TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX users_email ON users (email) WHERE email IS NOT NULL;

-- A user's link to one organization, with that organization's own copy of the profile. A revoked row stays.
-- `row` is explicit because VACUUM renumbers a table that has no such column.
CREATE TABLE members (
    row             INTEGER PRIMARY KEY,
    organization_id BLOB    NOT NULL REFERENCES organizations (id),
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    user_id         BLOB    NOT NULL REFERENCES users (id),
    email           TEXT,
    name            TEXT,
    avatar_url      TEXT,
    portal_role     TEXT    NOT NULL,
    company_name    TEXT,
    customer_status TEXT,
    created_at      INTEGER NOT NULL,
    revoked_at      INTEGER,
    UNIQUE (organization_id, id)
) STRICT;

CREATE UNIQUE INDEX members_live_user ON members (organization_id, user_id) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX members_live_email ON members (organization_id, email) WHERE revoked_at IS NULL AND email IS NOT NULL;

-- Only the SHA-256 digest of a key is kept. `superseded_at`: since then another key is the organization's current one.
CREATE TABLE api_keys (
    organization_id BLOB    NOT NULL CHECK (length(organization_id) = 16),
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    digest          BLOB    NOT NULL CHECK (length(digest) = 32),
    hint            TEXT    NOT NULL,
    scopes          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    superseded_at   INTEGER,
    revoked_at      INTEGER,
    PRIMARY KEY (organization_id, id)
) STRICT;

-- A key is looked up before it is known whose it is, so this index alone does not begin with the organization.
CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);
-- At most one current public key an organization.
CREATE UNIQUE INDEX api_keys_current_public ON api_keys (organization_id)
    WHERE revoked_at IS NULL AND superseded_at IS NULL AND instr(' ' || scopes || ' ', ' public_api ') > 0;

-- What happened, in order: one row a change, written in the transaction of the change. Names of fields, no values.
-- Each organization counts its own events, 1 and up, without gaps.
CREATE TABLE events (
    organization_id BLOB    NOT NULL CHECK (length(organization_id) = 16),
    sequence        INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    member_id       BLOB,
    user_id         BLOB,
    api_key_id      BLOB,
    actor           TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    fields          TEXT    NOT NULL,
    PRIMARY KEY (organization_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE (ABORT, 'the event log is append-only');
END;

CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN
    SELECT RAISE (ABORT, 'the event log is append-only');
END;
