-- How often the texts of a span were written: sixteen blocks of one column, whose numbers follow each other. So who has read them
-- before knows whether to read them again. A row is never removed, and no row is version 0.
CREATE TABLE member_text_versions (
    span INTEGER PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

CREATE TRIGGER member_texts_put AFTER INSERT ON member_texts
BEGIN
    INSERT INTO member_text_versions (span, version) VALUES (NEW.block >> 4, 1)
    ON CONFLICT (span) DO UPDATE SET version = version + 1;
END;

CREATE TRIGGER member_texts_changed AFTER UPDATE ON member_texts
BEGIN
    INSERT INTO member_text_versions (span, version) VALUES (NEW.block >> 4, 1)
    ON CONFLICT (span) DO UPDATE SET version = version + 1;
END;

CREATE TRIGGER member_texts_moved AFTER UPDATE OF block ON member_texts
BEGIN
    INSERT INTO member_text_versions (span, version) VALUES (OLD.block >> 4, 1)
    ON CONFLICT (span) DO UPDATE SET version = version + 1;
END;

CREATE TRIGGER member_texts_removed AFTER DELETE ON member_texts
BEGIN
    INSERT INTO member_text_versions (span, version) VALUES (OLD.block >> 4, 1)
    ON CONFLICT (span) DO UPDATE SET version = version + 1;
END;
