-- The places of members in lists by address, role, and when they were last seen: who has none comes first. Columns, and
-- revoked members too, for the reasons that `sort_name` has: a revocation leaves these indexes alone. Who is linked, changed or
-- seen is written to them as well.
ALTER TABLE members ADD COLUMN sort_email TEXT NOT NULL GENERATED ALWAYS AS (coalesce(email, '')) VIRTUAL;
CREATE INDEX members_sort_email ON members (organization_id, sort_email, number);

-- In the order in which the API has the roles.
ALTER TABLE members ADD COLUMN sort_role INTEGER NOT NULL GENERATED ALWAYS AS (
    CASE role WHEN 'owner' THEN 1 WHEN 'admin' THEN 2 WHEN 'editor' THEN 3 WHEN 'viewer' THEN 4
        WHEN 'restricted_viewer' THEN 5 ELSE 0 END
) VIRTUAL;
CREATE INDEX members_sort_role ON members (organization_id, sort_role, number);

-- No clock tells a time before 1970.
ALTER TABLE members ADD COLUMN sort_seen INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(last_seen_at, -1)) VIRTUAL;
CREATE INDEX members_sort_seen ON members (organization_id, sort_seen, number);
