-- SQLite counts how often texts were written from this version on. PostgreSQL finds them by an index.
SELECT 1;
