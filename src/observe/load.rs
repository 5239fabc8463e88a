//! What waits and what is open, asked when somebody looks.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tokio::sync::watch;

use crate::{
    domain::Condition,
    service::Directory,
    storage::{Load, Storage},
};

/// Where that is asked.
pub(super) struct LoadMetrics {
    storage: Arc<dyn Storage>,
    directory: Directory,
    condition: watch::Receiver<Condition>,
    commits: watch::Receiver<u64>,
}

impl LoadMetrics {
    pub(super) fn new(storage: Arc<dyn Storage>, directory: Directory) -> Self {
        Self {
            condition: storage.condition(),
            commits: storage.commits(),
            storage,
            directory,
        }
    }
}

impl fmt::Debug for LoadMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoadMetrics")
    }
}

pub(super) fn register(registry: &mut Registry, load: &Arc<OnceLock<LoadMetrics>>) {
    registry.register_collector(Box::new(Loads(load.clone())));
}

#[derive(Debug)]
struct Loads(Arc<OnceLock<LoadMetrics>>);

impl Collector for Loads {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Nothing before the database is open.
        let Some(server) = self.0.get() else {
            return Ok(());
        };
        let load = server.storage.load();
        queues(&mut encoder, &load, server)?;
        connections(&mut encoder, &load)?;
        let mut sizes = encoder.encode_descriptor(
            "batch_size",
            "How many look-ups, changes or revocations were taken together",
            None,
            MetricType::Histogram,
        )?;
        for (queue, batches) in &load.batches {
            let labels = [("queue", *queue)];
            batches.histogram().encode(sizes.encode_family(&labels)?)?;
        }
        let condition = *server.condition.borrow();
        let ups = [
            ("reads", condition.is_readable()),
            ("writes", condition.is_writable()),
        ];
        gauges(
            &mut encoder,
            "database_up",
            "Whether the database can be read, and written",
            ups.map(|(side, up)| ([("side", side)], usize::from(up))),
        )?;
        let commits = ConstCounter::new(*server.commits.borrow());
        let metric = encoder.encode_descriptor(
            "event_log_commits",
            "Commits that may have written events; with PostgreSQL those of other servers that were heard of, too",
            None,
            commits.metric_type(),
        )?;
        commits.encode(metric)
    }
}

fn queues(encoder: &mut DescriptorEncoder<'_>, load: &Load, server: &LoadMetrics) -> fmt::Result {
    let service = server.directory.load();
    let waiting = load.queues.iter().map(|queue| (queue.name, queue.waiting));
    let others = [
        ("password_hashes", service.hashes_waiting),
        ("times_of_use", service.times_waiting),
    ];
    gauges(
        encoder,
        "queue_waiting",
        "What waits in a queue",
        waiting
            .chain(others)
            .map(|(name, waiting)| ([("queue", name)], waiting)),
    )?;
    let rooms = load
        .queues
        .iter()
        .filter_map(|queue| Some(([("queue", queue.name)], queue.room?)));
    gauges(
        encoder,
        "queue_room",
        "The most that may wait in a queue, where all organizations share it",
        rooms,
    )?;
    for (name, help, value) in [
        (
            "password_hashes_running",
            "Passwords that are being hashed",
            service.hashes_running,
        ),
        (
            "event_watches",
            "Callers who follow an event log",
            service.watches,
        ),
    ] {
        let value = ConstGauge::new(integer(value));
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        value.encode(metric)?;
    }
    let refused = service.refused;
    let mut metric = encoder.encode_descriptor(
        "calls_refused",
        "Calls that were refused before their key was looked up, because it called too often, or too many from its address opened nothing",
        None,
        MetricType::Counter,
    )?;
    for (reason, count) in [
        ("rate_limit", refused.call_rate),
        ("failed_keys", refused.failed_keys),
    ] {
        ConstCounter::new(count).encode(metric.encode_family(&[("reason", reason)])?)?;
    }
    Ok(())
}

fn connections(encoder: &mut DescriptorEncoder<'_>, load: &Load) -> fmt::Result {
    let states = load.connections.iter().flat_map(|pool| {
        let idle = pool.open.saturating_sub(pool.busy);
        [("idle", idle), ("busy", pool.busy)]
            .map(|(state, count)| ([("pool", pool.name), ("state", state)], count))
    });
    gauges(
        encoder,
        "database_connections",
        "Connections to the database that are open, by what they are for",
        states,
    )
}

fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'static str, &'static str); N], usize)>,
) -> fmt::Result {
    let mut metric: MetricEncoder<'_> = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(integer(value)).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn integer(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
