//! What is counted of listeners.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

type ByListener<M> = Family<[(&'static str, &'static str); 1], M>;

/// What is counted of all listeners of a program.
#[derive(Clone, Debug, Default)]
pub struct ListenerMetrics {
    open: ByListener<Gauge>,
    accepted: ByListener<Counter>,
    refused: ByListener<Counter>,
    requests: ByListener<Gauge>,
    shed: ByListener<Counter>,
    overdue: ByListener<Counter>,
}

/// What is counted of one listener. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub(super) open: Gauge,
    pub(super) accepted: Counter,
    pub(super) refused: Counter,
    pub(super) requests: Gauge,
    pub(super) shed: Counter,
    pub(super) overdue: Counter,
}

impl ListenerMetrics {
    /// Counters that are shown with the rest of the registry.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "connections_open",
            "Connections of clients that are open, by listener",
            metrics.open.clone(),
        );
        registry.register(
            "connections_accepted",
            "Connections of clients that were accepted, by listener",
            metrics.accepted.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections of clients that were refused, because there were too many in all or from one address, by listener",
            metrics.refused.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests that are being answered, by listener",
            metrics.requests.clone(),
        );
        registry.register(
            "requests_shed",
            "Requests that were refused, because there were too many at once, by listener",
            metrics.shed.clone(),
        );
        registry.register(
            "connections_overdue",
            "Connections that were closed, because a request took too long or none came, by listener",
            metrics.overdue.clone(),
        );
        metrics
    }

    /// Those of the listener with this name.
    #[must_use]
    pub fn of(&self, listener: &'static str) -> Counts {
        let labels = [("listener", listener)];
        Counts {
            open: self.open.get_or_create_owned(&labels),
            accepted: self.accepted.get_or_create_owned(&labels),
            refused: self.refused.get_or_create_owned(&labels),
            requests: self.requests.get_or_create_owned(&labels),
            shed: self.shed.get_or_create_owned(&labels),
            overdue: self.overdue.get_or_create_owned(&labels),
        }
    }
}

/// A connection, while it is open.
pub(super) struct Open(Counts);

impl Counts {
    pub(super) fn opened(&self) -> Open {
        self.accepted.inc();
        self.open.inc();
        Open(self.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}
