-- The search index of SQLite became another one in this version; that of PostgreSQL stays.
SELECT 1;
