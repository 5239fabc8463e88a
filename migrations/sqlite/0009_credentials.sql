-- Passwords and tokens of members. Of a token only the SHA-256 digest is kept, of a password an argon2id hash.

CREATE TABLE passwords (
    organization_id BLOB    NOT NULL,
    member          INTEGER NOT NULL,
    -- PHC string format.
    hash            TEXT    NOT NULL,
    set_at          INTEGER NOT NULL,
    PRIMARY KEY (organization_id, member),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
) STRICT, WITHOUT ROWID;

-- One that is used up is removed. A token is looked up before it is known whose it is, so the key alone does not begin with
-- the organization.
CREATE TABLE tokens (
    digest          BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    organization_id BLOB    NOT NULL,
    member          INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    last_used_at    INTEGER,
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_member ON tokens (organization_id, member, kind);
CREATE INDEX tokens_end ON tokens (expires_at);
