-- How an organization looks in mails.
ALTER TABLE organizations ADD COLUMN brand_name TEXT;
ALTER TABLE organizations ADD COLUMN brand_logo_url TEXT;
ALTER TABLE organizations ADD COLUMN brand_sender TEXT;
ALTER TABLE organizations ADD COLUMN brand_locale TEXT;

-- Mails to members, written in the transaction of what they are about. The address is read, and the token of the link made,
-- when a mail is sent.
CREATE TABLE mails (
    organization_id BLOB    NOT NULL,
    id              BLOB    NOT NULL,
    member          INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    -- From when on it may be sent; while somebody sends it, until when that one has the time for it.
    due_at          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    sent_at         INTEGER,
    failed_at       INTEGER,
    error           TEXT,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
) STRICT, WITHOUT ROWID;

-- What is to be sent, by organization: each gets its turn.
CREATE INDEX mails_due ON mails (organization_id, due_at) WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX mails_member ON mails (organization_id, member, created_at);
-- Old ones are removed by the upkeep, whoever they were to.
CREATE INDEX mails_created ON mails (created_at);
