-- Fewer and smaller indexes of members: of each, a new member is put into a page of the file that is anywhere, and that page is
-- read and written.

-- SQLite writes down, in a file, what it would take to undo a statement of many rows alone, if it may fail in a way that asks for
-- that: 0003 has which. Nobody undoes these statements alone, so two tables lose those checks: a foreign key is checked at
-- the commit, and ids are made by the program. A constraint is taken out of the text of a table
-- (https://www.sqlite.org/lang_altertable.html, section 7), which is read again then.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = replace(
        replace(
            replace(sql, ' CHECK (length(id) = 16)', ''),
            'REFERENCES users (id)', 'REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED'
        ),
        'REFERENCES organizations (id)', 'REFERENCES organizations (id) DEFERRABLE INITIALLY DEFERRED'
    )
    WHERE type = 'table' AND name IN ('members', 'users');
PRAGMA writable_schema = RESET;

-- 0 of a live link, else the number of the member: so one unique index has all links of a user, or of an address, to an
-- organization, and a live one only once. The end of a link moves its entry within a page.
ALTER TABLE members ADD COLUMN revoked_number INTEGER NOT NULL
    GENERATED ALWAYS AS (CASE WHEN revoked_at IS NULL THEN 0 ELSE number END) VIRTUAL;

CREATE UNIQUE INDEX members_link ON members (user_id, organization_id, revoked_number);
DROP INDEX members_live_user;
DROP INDEX members_user;

-- The place of members in lists by address. Who has none comes first, by number: a number is less than a text.
DROP INDEX members_sort_email;
ALTER TABLE members DROP COLUMN sort_email;
ALTER TABLE members ADD COLUMN sort_email ANY NOT NULL GENERATED ALWAYS AS (coalesce(email, number)) VIRTUAL;

CREATE UNIQUE INDEX members_sort_email ON members (organization_id, sort_email, revoked_number);
DROP INDEX members_live_email;

-- Events of a user are those of its members, whose ids grow as they are linked.
CREATE INDEX events_member ON events (organization_id, member_id, sequence) WHERE member_id IS NOT NULL;
DROP INDEX events_user;
