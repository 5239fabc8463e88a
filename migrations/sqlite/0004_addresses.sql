-- Which user an address leads to is told by the links that have or had it, in any organization, not by the address that
-- first made the user.

-- Since when the member has had its address, or none, without a break.
ALTER TABLE members ADD COLUMN email_since INTEGER NOT NULL DEFAULT 0;
UPDATE members SET email_since = created_at;
UPDATE members SET email_since = changed.at
    FROM (
        SELECT organization_id, member_id, max(at) AS at FROM events
        WHERE kind = 'member.updated' AND instr(' ' || fields || ' ', ' email ') > 0
        GROUP BY organization_id, member_id
    ) AS changed
    WHERE members.organization_id = changed.organization_id AND members.id = changed.member_id;

-- Addresses that members had before. `version`: the member's first version that did not have it any more.
CREATE TABLE former_addresses (
    organization_id BLOB    NOT NULL,
    member          INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    email           TEXT    NOT NULL,
    since           INTEGER NOT NULL,
    until           INTEGER NOT NULL,
    PRIMARY KEY (organization_id, member, version),
    FOREIGN KEY (organization_id, member) REFERENCES members (organization_id, number)
) STRICT, WITHOUT ROWID;

-- A user's own address was that of its first link. Where no link has it any more, that link has given it up, when its
-- address was first changed. A link that was erased has left nothing.
INSERT INTO former_addresses (organization_id, member, version, email, since, until)
    SELECT m.organization_id, m.number, m.version, u.email, m.created_at,
        coalesce(
            (
                SELECT min(e.at) FROM events AS e
                WHERE e.organization_id = m.organization_id AND e.user_id = m.user_id AND e.member_id = m.id
                    AND e.kind = 'member.updated' AND instr(' ' || e.fields || ' ', ' email ') > 0
            ),
            m.updated_at
        )
    FROM users AS u
    JOIN members AS m ON m.row = (SELECT min(row) FROM members WHERE user_id = u.id)
    WHERE u.email IS NOT NULL AND m.erased_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM members AS other WHERE other.user_id = u.id AND other.email = u.email);

DROP INDEX users_email;
ALTER TABLE users DROP COLUMN email;

-- An address is looked up before it is known in which organizations it is. All members that have one, so that a
-- revocation leaves the index alone.
CREATE INDEX members_email ON members (email, organization_id, email_since) WHERE email IS NOT NULL;
CREATE INDEX former_addresses_email ON former_addresses (email, organization_id, until);

-- The member whom the answer showed was erased: nothing else is left of the request and of its answer.
ALTER TABLE answers ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
