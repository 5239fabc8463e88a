//! Mails, as a real mail server gets them.

pub(crate) mod delivery;
mod faults;
mod links;
mod metrics;
mod outages;
pub(crate) mod processes;
pub(crate) mod server;
mod starttls;
