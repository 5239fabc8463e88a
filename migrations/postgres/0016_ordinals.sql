-- SQLite's members change with this version. PostgreSQL's stay as they are.
SELECT 1;
