//! Mails, as a real mail server gets them.

mod delivery;
mod faults;
mod processes;
mod server;
