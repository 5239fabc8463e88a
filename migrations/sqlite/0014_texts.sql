-- The texts in which members are searched, names and addresses with letter case folded, packed so that looking at all of an
-- organization's takes little. A row has those of one column of 256 members whose numbers follow each other. `block` is made of the
-- organization's ordinal, the column and the numbers, so that what is looked at together lies together. In `lines` is a text for
-- each member who has one, in the order of the numbers, behind four bytes that say whose it is and are in no UTF-8.
DROP TABLE member_parts;
DROP TABLE member_texts;
CREATE TABLE member_texts (
    block INTEGER PRIMARY KEY,
    lines BLOB NOT NULL
) STRICT;

-- From which block of names on they have yet to be filled, and those of addresses with them, by the program. No row: they are
-- full.
DROP TABLE search_backlog;
CREATE TABLE search_backlog (
    next INTEGER NOT NULL
) STRICT;
INSERT INTO search_backlog (next) SELECT 0 WHERE EXISTS (SELECT 1 FROM members);
