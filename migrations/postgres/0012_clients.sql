-- Whom the certificate names that a caller had beside its key, if it had one.
ALTER TABLE events ADD COLUMN client text COLLATE "C";
