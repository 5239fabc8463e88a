-- The texts in which members are searched: names and addresses of those who are not erased, with letter case folded.
CREATE TABLE member_texts (
    row   INTEGER PRIMARY KEY,
    name  TEXT,
    email TEXT
) STRICT;

-- What begins at each of their characters, up to six of them, behind the number of the organization and a letter for the
-- column: so any part is the beginning of an entry, and only those of one organization are read. They are made by the program,
-- one a line, of which this keeps nothing else than the entries. `detail = none` would be enough, but together with what is set
-- below SQLite 3.51.3 then finds rows that were removed, and misses others.
CREATE VIRTUAL TABLE member_parts USING fts5 (
    parts,
    content = '',
    columnsize = 0,
    detail = column,
    tokenize = "ascii tokenchars ' !""#$%&''()*+,-./:;<=>?@[\]^_`{|}~'"
);
-- What is removed from the index is to leave no trace in it.
INSERT INTO member_parts (member_parts, rank) VALUES ('secure-delete', 1);

-- It found parts of three characters or more, by the trigrams in them.
DROP TABLE member_search;

-- All are put in the new one.
UPDATE search_backlog SET done = 0;
INSERT INTO search_backlog (done, last)
    SELECT 0, last FROM (SELECT max(row) AS last FROM members)
    WHERE last IS NOT NULL AND NOT EXISTS (SELECT 1 FROM search_backlog);
