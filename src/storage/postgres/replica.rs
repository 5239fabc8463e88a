//! A replica, which lists are read from while it answers. Meanwhile, and whatever it fails with, they are read from the database.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{connect, monitor::Failures, pooler, reads::Reads, settings::Settings};
use crate::{
    domain::Condition,
    storage::{Load, OpenError, Result, StoreError},
};

/// How long it is left alone after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a connection to it may take, and the beginning of a read: the database is there as well.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Replica {
    reads: Reads,
    name: String,
    /// When it failed, or was last tried since. None: it works.
    failed_at: Mutex<Option<Instant>>,
}

impl Replica {
    /// The replica, if there is one and it answers.
    pub(super) async fn open(settings: &Settings) -> Result<Option<Self>, OpenError> {
        let Some(url) = &settings.replica_url else {
            return Ok(None);
        };
        let options = connect::parse(url)?;
        let name = connect::name(&options);
        match pooler::check(&options, settings.patience).await {
            Err(error @ OpenError::Pooler) => Err(error),
            Err(error) => {
                tracing::warn!(%error, replica = name, "lists are not read from the replica until the next start");
                Ok(None)
            }
            Ok(()) => {
                let (_, condition) = watch::channel(Condition::default());
                let patience = PATIENCE.min(settings.patience);
                let reads = Reads::new(&options, settings, patience, &condition, &Failures::untold());
                Ok(Some(Self {
                    reads,
                    name,
                    failed_at: Mutex::default(),
                }))
            }
        }
    }

    /// What is read from it. None: it can't be, and the database itself is to be read.
    pub(super) async fn read<'r, T, F>(&'r self, read: impl FnOnce(&'r Reads) -> F) -> Option<Result<T>>
    where
        F: Future<Output = Result<T>>,
    {
        if !self.is_to_be_tried() {
            return None;
        }
        match read(&self.reads).await {
            Ok(found) => {
                if self.failed_at().take().is_some() {
                    tracing::info!(replica = self.name, "lists are read from the replica again");
                }
                Some(Ok(found))
            }
            // It says nothing about the replica.
            Err(error @ (StoreError::Overloaded | StoreError::Closed)) => Some(Err(error)),
            Err(error) => {
                if self.failed_at().replace(Instant::now()).is_none() {
                    tracing::warn!(%error, replica = self.name, "lists are not read from the replica");
                }
                None
            }
        }
    }

    pub(super) fn load(&self, load: &mut Load) {
        self.reads
            .load(["replica_short_reads", "replica_long_reads"], load);
    }

    pub(super) async fn close(&self) {
        self.reads.close().await;
    }

    /// After a failure and a pause, one read tries. The others do not wait for what becomes of it.
    fn is_to_be_tried(&self) -> bool {
        let mut failed_at = self.failed_at();
        match *failed_at {
            None => true,
            Some(at) if at.elapsed() < PAUSE => false,
            Some(_) => {
                *failed_at = Some(Instant::now());
                true
            }
        }
    }

    /// A thread that panicked while it held the time left it whole.
    fn failed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
