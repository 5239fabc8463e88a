-- A row that no address has: who only wants to know whether the database takes changes writes it, and waits for nobody who links.
INSERT INTO address_locks (slot) VALUES (-1);
