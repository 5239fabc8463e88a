//! Userbridge: a multi-tenant directory of users.
//!
//! Data flows one way: `rpc` decodes what callers send and asks `service`, which decides what may happen and asks
//! `storage`. All three speak in the words of `domain`. The JSON gateway is a crate of its own that sees only the
//! protocol. `mail` asks `service` what is to be sent and sends it. `admin` tells those who watch
//! the server what was counted; `observe` counts. `transfer` reads and writes files of members. `server` puts all behind
//! their listeners.

mod admin;
pub mod cli;
pub mod domain;
pub mod mail;
mod observe;
pub mod rpc;
pub mod server;
pub mod service;
pub mod storage;
pub mod transfer;
mod workers;
