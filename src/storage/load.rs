//! What waits in an engine, and how it is used, for those who watch it.

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::mpsc;

/// What there is in an engine at a moment. The names are constants of the engine.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub queues: Vec<QueueLoad>,
    pub connections: Vec<ConnectionLoad>,
    /// How many look-ups, changes or revocations were taken together, since the start.
    pub batches: Vec<(&'static str, Batches)>,
}

/// A queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLoad {
    pub name: &'static str,
    pub waiting: usize,
    /// The most that may wait. None: that is counted for each organization.
    pub room: Option<usize>,
}

/// Connections for one kind of work.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLoad {
    pub name: &'static str,
    pub open: usize,
    pub busy: usize,
}

impl QueueLoad {
    /// What waits in a channel.
    pub(super) fn of<T>(name: &'static str, queue: &mpsc::Sender<T>) -> Self {
        Self {
            name,
            waiting: queue.max_capacity().saturating_sub(queue.capacity()),
            room: Some(queue.max_capacity()),
        }
    }

    /// Both as one, under the name of this.
    pub(super) fn and(self, other: Self) -> Self {
        let room = self.room.zip(other.room);
        Self {
            name: self.name,
            waiting: self.waiting + other.waiting,
            room: room.map(|(one, other)| one + other),
        }
    }
}

/// Sizes of what was taken together. Clones count the same.
#[derive(Clone, Debug)]
pub struct Batches(Histogram);

impl Default for Batches {
    fn default() -> Self {
        Self(Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]))
    }
}

impl Batches {
    /// So many were taken together.
    pub(super) fn taken(&self, count: usize) {
        self.0
            .observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }

    #[must_use]
    pub const fn histogram(&self) -> &Histogram {
        &self.0
    }
}
