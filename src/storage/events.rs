//! The event log.

use async_trait::async_trait;
use tokio::sync::watch;

use super::Result;
use crate::domain::{Change, Event, EventKind, EventQuery, Member, OrganizationId, Source, Subject};

/// What is told of one of many members who are changed together.
pub struct MemberEvent<'m> {
    pub member: &'m Member,
    pub fields: Vec<&'static str>,
    pub source: &'m Source,
}

/// Reads of the event log.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// A page of the organization's events, in the order asked for; None for those of the deployment.
    async fn events(&self, organization: Option<OrganizationId>, query: EventQuery) -> Result<Vec<Event>>;

    /// The sequence number of each organization's last event; 0 where there is none.
    async fn heads(&self, organizations: Vec<OrganizationId>) -> Result<Vec<(OrganizationId, i64)>>;

    /// Changes after every commit of this process that may have written events. What other processes write is not told:
    /// who follows the log looks from time to time as well.
    fn commits(&self) -> watch::Receiver<u64>;
}

/// Additions to the event log.
#[async_trait]
pub trait EventWrites {
    /// Adds the event of a change and returns its sequence number, the next one of the organization's log; of the
    /// deployment's where it is None.
    async fn append_event(
        &mut self,
        organization: Option<OrganizationId>,
        kind: EventKind,
        subject: Subject,
        fields: &[&'static str],
        change: &Change,
    ) -> Result<i64>;

    /// Adds events of one kind about many members, in this order. Their sources take the place of that of the change.
    async fn append_events(
        &mut self,
        organization: OrganizationId,
        kind: EventKind,
        events: &[MemberEvent<'_>],
        change: &Change,
    ) -> Result<()>;

    /// The sequence number of the last event of this kind about a member; 0 where there is none.
    async fn last_event(
        &mut self,
        organization: OrganizationId,
        kind: EventKind,
        member: &Member,
    ) -> Result<i64>;
}
