//! PostgreSQL as a second engine, and what its tests stand on.

mod cluster;
mod commits;
mod consistency;
mod imports;
mod load;
mod outages;
mod pgbouncer;
mod place;
mod plans;
mod poolers;
mod proxy;
mod replica;
mod replicas;
mod retries;
mod searches;
mod sessions;
mod set_up;
mod turns;
mod upgrades;
