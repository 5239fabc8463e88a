//! The tests of the whole, in one program so that it is linked once.
//!
//! [`support`] starts servers and processes; every other module is one subject. To add a subject: a file or a folder
//! here, and its line below.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on has failed"
)]

mod admin;
mod backup;
mod browsers;
mod check;
mod checkpoints;
mod cli;
mod copy;
mod crash;
mod deploy;
mod directory;
mod docs;
mod erasure;
mod faults;
mod feedier;
mod files;
mod gate;
mod grpc;
mod grpc_reference;
mod health;
mod histories;
mod imports;
mod layers;
mod limits;
mod listeners;
mod mail;
mod model;
mod operations;
mod outages;
mod overload;
mod portal;
mod postgres;
mod probes;
mod productbridge;
mod programs;
mod random;
mod readme;
mod restart;
mod serve;
mod sqlite;
mod storage;
mod support;
mod thebridge;
mod tls;
mod upgrade;
mod watched;
