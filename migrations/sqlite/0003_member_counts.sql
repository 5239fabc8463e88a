-- How many live members an organization has of each role, so that nobody counts a million rows for one page of a list.
-- Triggers keep it, in the transaction of each change.

CREATE TABLE member_counts (
    organization_id BLOB    NOT NULL REFERENCES organizations (id),
    -- Empty: members without a role.
    role            TEXT    NOT NULL,
    live            INTEGER NOT NULL,
    PRIMARY KEY (organization_id, role)
) STRICT, WITHOUT ROWID;

INSERT INTO member_counts (organization_id, role, live)
    SELECT organization_id, coalesce(role, ''), count(*) FROM members
    WHERE revoked_at IS NULL
    GROUP BY organization_id, coalesce(role, '');

CREATE TRIGGER members_counted_in AFTER INSERT ON members
WHEN new.revoked_at IS NULL
BEGIN
    INSERT INTO member_counts (organization_id, role, live)
        VALUES (new.organization_id, coalesce(new.role, ''), 1)
        ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1;
END;

CREATE TRIGGER members_counted_over AFTER UPDATE OF role, revoked_at ON members
WHEN old.role IS NOT new.role OR (old.revoked_at IS NULL) <> (new.revoked_at IS NULL)
BEGIN
    UPDATE member_counts SET live = live - 1
        WHERE organization_id = old.organization_id AND role = coalesce(old.role, '') AND old.revoked_at IS NULL;
    INSERT INTO member_counts (organization_id, role, live)
        SELECT new.organization_id, coalesce(new.role, ''), 1 WHERE new.revoked_at IS NULL
        ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1;
END;

CREATE TRIGGER members_counted_out AFTER DELETE ON members
WHEN old.revoked_at IS NULL
BEGIN
    UPDATE member_counts SET live = live - 1
        WHERE organization_id = old.organization_id AND role = coalesce(old.role, '');
END;
