-- Less to look at for each look-up: a key has the ordinal of its organization, by which members are found. 0 of a key of none.
ALTER TABLE api_keys ADD COLUMN organization_ordinal INTEGER NOT NULL DEFAULT 0;

UPDATE api_keys SET organization_ordinal =
    coalesce((SELECT ordinal FROM organizations WHERE organizations.id = api_keys.organization_id), 0);
