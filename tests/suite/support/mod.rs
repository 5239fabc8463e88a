//! What the tests stand on: a server in this process ([`TestApp`]), the real programs ([`process`]), and the client
//! stubs of the protocol ([`proto`]).

mod app;
mod clock;
mod credentials;
mod daemon;
pub(crate) mod engine;
mod gateway;
mod logged;
pub(crate) mod pgbouncer;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod process;
mod programs;
pub(crate) mod proto;
pub(crate) mod proxy;
pub(crate) mod rules;
mod skip;
pub(crate) mod wire;

pub(crate) use app::{Answer, Form, Tenant, TestApp, first, patch, with_key};
pub(crate) use clock::TestClock;
pub(crate) use gateway::gateway_tests;
pub(crate) use logged::{lines_with, until_logged};
pub(crate) use skip::skip;

use std::sync::Once;

use tempfile::TempDir;
use userbridge::{
    domain::{MemberFilter, MemberQuery, OrganizationId, OsRandom, SystemClock},
    storage::{MemberStore, Result},
};

/// Randomness and time for the ids that a test makes.
pub(crate) const RANDOM: &OsRandom = &OsRandom;
pub(crate) const CLOCK: &SystemClock = &SystemClock;

/// A new folder with the URL of a database in it that is not there yet.
pub(crate) fn database() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    (folder, url)
}

/// Sends the logs of the server to the output of the test that fails.
pub(crate) fn log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = tracing_subscriber::EnvFilter::try_from_env("USERBRIDGE_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .init();
    });
}

/// Counts of members, as they come with a page.
pub(crate) trait Count: MemberStore {
    /// How many live members the filter lets through.
    async fn count_members(&self, organization: OrganizationId, filter: MemberFilter) -> Result<u64> {
        let query = MemberQuery {
            filter,
            limit: 1,
            ..MemberQuery::default()
        };
        Ok(self.members_counted(organization, query).await?.1)
    }
}

impl<S: MemberStore + ?Sized> Count for S {}
