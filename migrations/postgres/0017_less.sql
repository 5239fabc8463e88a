-- Less to write for each member who is new.

-- One index has all links of a user to an organization, and a live one only once: its last column is 0 of a live one, and its number
-- of another.
CREATE UNIQUE INDEX members_link
    ON members (organization_id, user_id, (CASE WHEN revoked_at IS NULL THEN 0 ELSE number END));
DROP INDEX members_live_user;
DROP INDEX members_user;

-- A name and its address have most of their parts in common.
CREATE INDEX members_text ON members
    USING gin (organization_id, (coalesce(folded_name, '') || ' ' || coalesce(folded_email, '')) gin_trgm_ops)
    WHERE revoked_at IS NULL;
DROP INDEX members_search;

-- Whose an address is takes as long as there are organizations that know it, with or without an order of their own.
DROP INDEX addresses_live;

-- Every member is counted, and `member_counts` refers to the organization. That it is there again for each member is left out.
ALTER TABLE members DROP CONSTRAINT members_organization_id_fkey;
