-- Less to write for each end of a link: two of the indexes that have links by user and by address moved an entry then, each in a
-- page of the file that is anywhere. Now they are left alone until somebody else takes the user's or the address's place.

DROP INDEX members_link;
DROP INDEX members_sort_email;
ALTER TABLE members DROP COLUMN revoked_number;

-- 0 of a live link. Of one that was revoked: 0 until another link of the organization has its user or its address, at the latest,
-- and then the number of the member. So one unique index has all links of a user, or of an address, to an organization, and the
-- one that may be live is found at once.
ALTER TABLE members ADD COLUMN superseded_number INTEGER NOT NULL DEFAULT 0;
UPDATE members SET superseded_number = number WHERE revoked_at IS NOT NULL;

CREATE UNIQUE INDEX members_link ON members (user_id, organization_ordinal, superseded_number);
CREATE UNIQUE INDEX members_sort_email ON members (organization_ordinal, sort_email, superseded_number);
