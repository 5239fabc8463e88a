//! The event log.

use async_trait::async_trait;
use tokio::sync::watch;

use super::StoreError;
use crate::domain::{Event, EventKind, OrganizationId, UserId};

/// Which events to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Those after this one; 0 for all from the first.
    pub after: i64,
    /// The most events to return.
    pub limit: u32,
    /// Only those of this user.
    pub user: Option<UserId>,
    /// Only these kinds. Empty: all.
    pub kinds: Vec<EventKind>,
}

/// The event log. It is written by the methods that change something, and only by them.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The organization's events in order; None for those of the deployment.
    async fn events(
        &self,
        organization: Option<OrganizationId>,
        query: EventQuery,
    ) -> Result<Vec<Event>, StoreError>;

    /// The sequence number of each organization's last event; 0 where there is none.
    async fn heads(
        &self,
        organizations: Vec<OrganizationId>,
    ) -> Result<Vec<(OrganizationId, i64)>, StoreError>;

    /// Changes after every commit of this process that may have written events. What other processes write is not told:
    /// who follows the log looks from time to time as well.
    fn commits(&self) -> watch::Receiver<u64>;
}
