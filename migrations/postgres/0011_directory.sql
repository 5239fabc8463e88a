-- The schema of version 11, with which PostgreSQL begins. The numbers are those of `migrations/sqlite`: from here on each
-- version is in both folders.
--
-- Times are milliseconds since 1970 (UTC), and are made by the program, as ids are. Text compares byte for byte.
--
-- The shape is one that a PostgreSQL can shard by organization: every key and unique index begins with `organization_id`; or
-- its table is small enough for every node (organizations, api_keys, tokens, address_locks); or it has a key of its own by
-- which it is sharded apart (users, links, addresses). No foreign key leads from one kind to another but to those that every
-- node has, and there are no triggers.

CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE organizations (
    id             uuid   NOT NULL PRIMARY KEY,
    slug           text   NOT NULL COLLATE "C",
    name           text   NOT NULL COLLATE "C",
    default_role   text   NOT NULL COLLATE "C",
    retention_days bigint,
    created_at     bigint NOT NULL,
    deleted_at     bigint,
    -- How it looks in mails.
    brand_name     text   COLLATE "C",
    brand_logo_url text   COLLATE "C",
    brand_sender   text   COLLATE "C",
    brand_locale   text   COLLATE "C"
);

CREATE UNIQUE INDEX organizations_live_slug ON organizations (slug) WHERE deleted_at IS NULL;

-- The numbers that were given last. Who changes anything of an organization holds its row until the end of the transaction.
-- The nil UUID stands for the deployment, which has events only.
CREATE TABLE organization_counters (
    organization_id uuid   NOT NULL PRIMARY KEY,
    members         bigint NOT NULL DEFAULT 0,
    teams           bigint NOT NULL DEFAULT 0,
    events          bigint NOT NULL DEFAULT 0
);

INSERT INTO organization_counters (organization_id) VALUES ('00000000-0000-0000-0000-000000000000');

-- A person across organizations.
CREATE TABLE users (
    id         uuid   NOT NULL PRIMARY KEY,
    created_at bigint NOT NULL
);

-- A user's link to one organization, with that organization's own copy of the profile. A revoked row stays.
CREATE TABLE members (
    organization_id uuid    NOT NULL REFERENCES organizations (id),
    id              uuid    NOT NULL,
    user_id         uuid    NOT NULL,
    number          bigint  NOT NULL,
    email           text    COLLATE "C",
    name            text    COLLATE "C",
    given_name      text    COLLATE "C",
    family_name     text    COLLATE "C",
    avatar_url      text    COLLATE "C",
    portal_role     text    COLLATE "C",
    company_name    text    COLLATE "C",
    customer_status text    COLLATE "C",
    -- BCP 47.
    locale          text    COLLATE "C",
    role            text    COLLATE "C",
    enabled         boolean NOT NULL,
    auth_method     text    COLLATE "C",
    -- Whether the member has set a password or signed in.
    onboarded       boolean NOT NULL,
    source          text    NOT NULL COLLATE "C",
    external_id     text    COLLATE "C",
    primary_team    bigint  NOT NULL,
    created_at      bigint  NOT NULL,
    updated_at      bigint  NOT NULL,
    last_seen_at    bigint,
    -- Since when the member has had its address, or none, without a break.
    email_since     bigint  NOT NULL,
    revoked_at      bigint,
    erased_at       bigint,
    -- Grows with every change: the etag.
    version         bigint  NOT NULL,
    -- Name and address in the form in which parts of them are looked for. The program folds letter case, so that every
    -- engine folds alike.
    folded_name     text    COLLATE "C",
    folded_email    text    COLLATE "C",
    -- The places in lists: who has none comes first.
    sort_name       text    NOT NULL COLLATE "C" GENERATED ALWAYS AS (coalesce(name, '')) STORED,
    sort_email      text    NOT NULL COLLATE "C" GENERATED ALWAYS AS (coalesce(email, '')) STORED,
    sort_role       bigint  NOT NULL GENERATED ALWAYS AS (
        CASE role WHEN 'owner' THEN 1 WHEN 'admin' THEN 2 WHEN 'editor' THEN 3 WHEN 'viewer' THEN 4
            WHEN 'restricted_viewer' THEN 5 ELSE 0 END
    ) STORED,
    sort_seen       bigint  NOT NULL GENERATED ALWAYS AS (coalesce(last_seen_at, -1)) STORED,
    PRIMARY KEY (organization_id, id),
    -- A live member is an end user, staff, or both.
    CHECK (portal_role IS NOT NULL OR role IS NOT NULL OR revoked_at IS NOT NULL)
);

CREATE UNIQUE INDEX members_number ON members (organization_id, number);
CREATE UNIQUE INDEX members_live_user ON members (organization_id, user_id) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX members_live_email ON members (organization_id, email) WHERE revoked_at IS NULL AND email IS NOT NULL;
CREATE UNIQUE INDEX members_live_external_id ON members (organization_id, source, external_id)
    WHERE revoked_at IS NULL AND external_id IS NOT NULL;
-- All links of one user to an organization.
CREATE INDEX members_user ON members (organization_id, user_id, number);
CREATE INDEX members_live_number ON members (organization_id, number) WHERE revoked_at IS NULL;
CREATE INDEX members_live_name ON members (organization_id, sort_name, number) WHERE revoked_at IS NULL;
CREATE INDEX members_live_sort_email ON members (organization_id, sort_email, number) WHERE revoked_at IS NULL;
CREATE INDEX members_live_sort_role ON members (organization_id, sort_role, number) WHERE revoked_at IS NULL;
CREATE INDEX members_live_seen ON members (organization_id, sort_seen, number) WHERE revoked_at IS NULL;
-- Those who have any role.
CREATE INDEX members_live_staff ON members (organization_id, number) WHERE revoked_at IS NULL AND role IS NOT NULL;
CREATE INDEX members_revoked ON members (organization_id, revoked_at, number) WHERE revoked_at IS NOT NULL AND erased_at IS NULL;
-- Those whose main team is not the root team.
CREATE INDEX members_primary_team ON members (organization_id, primary_team) WHERE primary_team <> 1;
-- Parts of names and addresses, by their trigrams.
CREATE INDEX members_search ON members USING gin (organization_id, folded_name gin_trgm_ops, folded_email gin_trgm_ops)
    WHERE revoked_at IS NULL;

-- How many live members an organization has of each role. Empty: members without a role.
CREATE TABLE member_counts (
    organization_id uuid   NOT NULL REFERENCES organizations (id),
    role            text   NOT NULL COLLATE "C",
    live            bigint NOT NULL,
    PRIMARY KEY (organization_id, role)
);

-- Addresses that members had before. `version`: the member's first version that did not have it any more.
CREATE TABLE former_addresses (
    organization_id uuid   NOT NULL,
    member          bigint NOT NULL,
    version         bigint NOT NULL,
    email           text   NOT NULL COLLATE "C",
    since           bigint NOT NULL,
    until           bigint NOT NULL,
    PRIMARY KEY (organization_id, member, version),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
);

-- By user: the live links.
CREATE TABLE links (
    user_id         uuid NOT NULL,
    organization_id uuid NOT NULL,
    member_id       uuid NOT NULL,
    email           text COLLATE "C",
    role            text COLLATE "C",
    PRIMARY KEY (user_id, organization_id)
);

-- By address: who has it and who had it, in any organization. `version`: 0 for the address that a member has, live or
-- revoked; for one that it had before, as in `former_addresses`. `until` is empty while a live member has it.
CREATE TABLE addresses (
    email           text   NOT NULL COLLATE "C",
    organization_id uuid   NOT NULL,
    member          bigint NOT NULL,
    version         bigint NOT NULL,
    member_id       uuid   NOT NULL,
    user_id         uuid   NOT NULL,
    since           bigint NOT NULL,
    until           bigint,
    PRIMARY KEY (email, organization_id, member, version)
);

CREATE INDEX addresses_live ON addresses (email, since, member_id) WHERE until IS NULL;
CREATE INDEX addresses_until ON addresses (email, until, member_id) WHERE until IS NOT NULL;

-- Who asks whom an address leads to, in order to link that person, holds one of these rows until the end of the transaction: the
-- hash of the address says which. So of two who link one new address in two organizations, one waits for the other.
CREATE TABLE address_locks (
    slot bigint NOT NULL PRIMARY KEY
);

INSERT INTO address_locks (slot) SELECT generate_series(0, 1023);

CREATE TABLE teams (
    organization_id uuid   NOT NULL REFERENCES organizations (id),
    number          bigint NOT NULL,
    slug            text   NOT NULL COLLATE "C",
    name            text   NOT NULL COLLATE "C",
    created_at      bigint NOT NULL,
    PRIMARY KEY (organization_id, number)
);

CREATE UNIQUE INDEX teams_slug ON teams (organization_id, slug);

CREATE TABLE team_members (
    organization_id uuid   NOT NULL,
    team            bigint NOT NULL,
    member          bigint NOT NULL,
    PRIMARY KEY (organization_id, team, member),
    FOREIGN KEY (organization_id, team) REFERENCES teams (organization_id, number),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
);

CREATE INDEX team_members_member ON team_members (organization_id, member, team);

-- Only the SHA-256 digest of a key is kept. `superseded_at`: since then another key is the organization's current one.
CREATE TABLE api_keys (
    organization_id uuid   NOT NULL,
    id              uuid   NOT NULL,
    digest          bytea  NOT NULL CHECK (length(digest) = 32),
    hint            text   NOT NULL COLLATE "C",
    scopes          text   NOT NULL COLLATE "C",
    created_at      bigint NOT NULL,
    expires_at      bigint,
    superseded_at   bigint,
    revoked_at      bigint,
    last_used_at    bigint,
    PRIMARY KEY (organization_id, id)
);

CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);
-- At most one current public key an organization.
CREATE UNIQUE INDEX api_keys_current_public ON api_keys (organization_id)
    WHERE revoked_at IS NULL AND superseded_at IS NULL AND strpos(' ' || scopes || ' ', ' public_api ') > 0;

-- What happened, in order: one row a change, written in the transaction of the change. Names of fields, no values. Each
-- organization counts its own events, 1 and up, without gaps. Rows are never changed and never removed.
CREATE TABLE events (
    organization_id uuid   NOT NULL,
    sequence        bigint NOT NULL,
    kind            text   NOT NULL COLLATE "C",
    member_id       uuid,
    user_id         uuid,
    api_key_id      uuid,
    team            bigint,
    actor           text   NOT NULL COLLATE "C",
    source          text   COLLATE "C",
    at              bigint NOT NULL,
    fields          text   NOT NULL COLLATE "C",
    PRIMARY KEY (organization_id, sequence)
);

CREATE INDEX events_user ON events (organization_id, user_id, sequence) WHERE user_id IS NOT NULL;

-- Responses that are kept for repeated requests. `erased`: the member whom it showed was erased, and nothing else is left of
-- the request and of its response.
CREATE TABLE idempotency_keys (
    organization_id uuid    NOT NULL,
    api_key_id      uuid    NOT NULL,
    key             text    NOT NULL COLLATE "C",
    request         bytea   NOT NULL,
    response        bytea   NOT NULL,
    erased          boolean NOT NULL DEFAULT FALSE,
    at              bigint  NOT NULL,
    PRIMARY KEY (organization_id, api_key_id, key)
);

CREATE INDEX idempotency_keys_at ON idempotency_keys (at);

-- Passwords and tokens of members. Of a token only the SHA-256 digest is kept, of a password an argon2id hash.
CREATE TABLE passwords (
    organization_id uuid   NOT NULL,
    member          bigint NOT NULL,
    -- PHC string format.
    hash            text   NOT NULL COLLATE "C",
    set_at          bigint NOT NULL,
    PRIMARY KEY (organization_id, member),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
);

-- One that is used up is removed. A token is looked up before it is known whose it is.
CREATE TABLE tokens (
    digest          bytea  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    organization_id uuid   NOT NULL,
    member          bigint NOT NULL,
    kind            text   NOT NULL COLLATE "C",
    created_at      bigint NOT NULL,
    expires_at      bigint NOT NULL,
    last_used_at    bigint
);

CREATE INDEX tokens_member ON tokens (organization_id, member, kind);
CREATE INDEX tokens_end ON tokens (expires_at);

-- Mails to members, written in the transaction of what they are about. The address is read, and the token of the link made,
-- when a mail is sent.
CREATE TABLE mails (
    organization_id uuid   NOT NULL,
    id              uuid   NOT NULL,
    member          bigint NOT NULL,
    kind            text   NOT NULL COLLATE "C",
    created_at      bigint NOT NULL,
    -- From when on it may be sent; while somebody sends it, until when that one has the time for it.
    due_at          bigint NOT NULL,
    attempts        bigint NOT NULL,
    sent_at         bigint,
    failed_at       bigint,
    error           text   COLLATE "C",
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
);

-- What is to be sent, by organization: each gets its turn.
CREATE INDEX mails_due ON mails (organization_id, due_at) WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX mails_member ON mails (organization_id, member, created_at);
-- Old ones are removed by the upkeep, whoever they were to.
CREATE INDEX mails_created ON mails (created_at);
