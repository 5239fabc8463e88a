//! Whether the database can be read and written, found out by doing it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::Directory;
use crate::storage::{Result, Storage, StoreError};

/// How often it is tried at most, however many ask.
const EVERY: Duration = Duration::from_secs(1);

/// How long who asks waits for a trial.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before it is tried again while too many changes wait: that many wait is no reason to turn them away.
const PAUSE: Duration = Duration::from_millis(50);

/// The last trial.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<Trial>>);

#[derive(Clone, Debug)]
struct Trial {
    begun: Instant,
    /// None while it goes on.
    is_good: watch::Receiver<Option<bool>>,
}

impl Directory {
    /// Whether something could be read from the database and written to it within the last second, or can now. False after
    /// two seconds without an answer. However often it is asked, it is tried once a second.
    pub async fn is_ready(&self) -> bool {
        let mut is_good = self.trial().is_good;
        let answer = timeout(PATIENCE, is_good.wait_for(Option::is_some)).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|is_good| *is_good == Some(true)))
    }

    /// The last one, or a new one if that is old. One that does not end has no other one beside it.
    fn trial(&self) -> Trial {
        let mut last = self.readiness.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(trial) if trial.is_good.borrow().is_none() || trial.begun.elapsed() < EVERY => trial.clone(),
            _ => {
                let (told, is_good) = watch::channel(None);
                let storage = self.storage.clone();
                // It goes on when nobody waits for it any more: who asks and goes away does not make it begin anew.
                tokio::spawn(async move {
                    let tried = attempt(&*storage).await;
                    if let Err(error) = &tried {
                        tracing::debug!(%error, "not ready");
                    }
                    told.send_replace(Some(tried.is_ok()));
                });
                let begun = Instant::now();
                last.insert(Trial { begun, is_good }).clone()
            }
        }
    }
}

async fn attempt(storage: &dyn Storage) -> Result<()> {
    loop {
        let tried = match storage.oldest_response().await {
            Ok(_) => storage.touch().await,
            Err(error) => Err(error),
        };
        match tried {
            Err(StoreError::Overloaded) => sleep(PAUSE).await,
            other => return other,
        }
    }
}
