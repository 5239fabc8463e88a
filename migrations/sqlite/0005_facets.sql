-- An end user has a portal_role, staff have a role, and a live member has one of them or both. Until now everybody had a
-- portal_role, and keeps it.
--
-- SQLite takes no NOT NULL from a column, so another column takes its place. The rows that are there get its default
-- without being written: nearly all had that value.
ALTER TABLE members RENAME COLUMN portal_role TO portal_role_before;
ALTER TABLE members ADD COLUMN portal_role TEXT DEFAULT 'end_user'
    CHECK (portal_role IS NOT NULL OR role IS NOT NULL OR revoked_at IS NOT NULL);
UPDATE members SET portal_role = portal_role_before WHERE portal_role_before <> 'end_user';
-- What an erased member was is not told.
UPDATE members SET portal_role = NULL WHERE erased_at IS NOT NULL;
ALTER TABLE members DROP COLUMN portal_role_before;
