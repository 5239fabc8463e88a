-- First and last name, of which `name` is made where they are known, and whether the member has set a password or signed in.
ALTER TABLE members ADD COLUMN given_name TEXT;
ALTER TABLE members ADD COLUMN family_name TEXT;
ALTER TABLE members ADD COLUMN onboarded INTEGER NOT NULL DEFAULT 0;
