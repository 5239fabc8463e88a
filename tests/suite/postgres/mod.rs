//! PostgreSQL as a second engine, and what its tests stand on.

mod cluster;
mod pgbouncer;
mod proxy;
mod replica;
mod searches;
