//! Who looks somebody up again and again, beside an import.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::{runtime::Runtime, task::JoinSet};

use crate::Result;

/// How many at once, each on a connection of its own.
const CALLERS: usize = 8;

/// Callers until they are stopped.
pub(crate) struct Callers {
    runtime: Runtime,
    calling: JoinSet<Result<Infallible>>,
    answers: Arc<AtomicU64>,
}

impl Callers {
    pub(crate) fn start(server: SocketAddr, key: &str, email: &str) -> Result<Self> {
        let runtime = Runtime::new()?;
        let answers = Arc::<AtomicU64>::default();
        let mut calling = JoinSet::new();
        let url = format!("http://{server}/api/external/v1/users/retrieve");
        let body = serde_json::json!({ "api_key": key, "email": email });
        for _ in 0..CALLERS {
            let (url, body, answers) = (url.clone(), body.clone(), answers.clone());
            let call = async move {
                let client = reqwest::Client::new();
                loop {
                    let answer = client.post(&url).json(&body).send().await?;
                    answer.error_for_status()?.bytes().await?;
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            };
            calling.spawn_on(call, runtime.handle());
        }
        Ok(Self {
            runtime,
            calling,
            answers,
        })
    }

    /// Answers a second while something is done.
    #[expect(clippy::cast_precision_loss, reason = "answers are far fewer than 2^52")]
    pub(crate) fn rate_during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
        let (begin, before) = (Instant::now(), self.answers.load(Ordering::Relaxed));
        let done = work()?;
        let answers = self.answers.load(Ordering::Relaxed) - before;
        Ok((answers as f64 / begin.elapsed().as_secs_f64(), done))
    }

    /// # Errors
    ///
    /// One of them was answered wrongly.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(ended) = self.calling.try_join_next() {
            match ended?? {}
        }
        self.runtime.block_on(self.calling.shutdown());
        Ok(())
    }
}
