-- The place in a list by name: a member without a name comes first. A column, because only of columns can SQLite go on
-- from the middle of an index by (name, number).
DROP INDEX members_live_name;
ALTER TABLE members ADD COLUMN sort_name TEXT NOT NULL GENERATED ALWAYS AS (coalesce(name, '')) VIRTUAL;
CREATE INDEX members_live_name ON members (organization_id, sort_name, number) WHERE revoked_at IS NULL;
