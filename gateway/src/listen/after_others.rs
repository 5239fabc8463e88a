//! Answers of one connection that leave together.
//!
//! A task that has a new answer for a connection of HTTP/2 wakes the task of the connection, and tokio runs what was woken last
//! before what waits. So each answer would be written by itself, while others for the same connection are ready.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::connection::Connection;

pin_project! {
    /// What serves a connection: of HTTP/2, each time after those that are ready.
    pub(super) struct AfterOthers<F> {
        #[pin]
        serving: F,
        connection: Arc<Connection>,
        has_waited: bool,
    }
}

impl<F> AfterOthers<F> {
    pub(super) const fn new(serving: F, connection: Arc<Connection>) -> Self {
        Self {
            serving,
            connection,
            has_waited: false,
        }
    }
}

impl<F: Future> Future for AfterOthers<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if !*this.has_waited && this.connection.has_streams() {
            *this.has_waited = true;
            // Who wakes itself comes last.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        *this.has_waited = false;
        this.serving.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Mutex, time::Duration};

    use http::Version;
    use tokio::task::JoinSet;

    use super::*;
    use crate::listen::{
        Limits, TrustedProxies, connection::Security, connections::ConnectionLimit, open_requests::Patience,
    };

    /// Who ran, in this order, where a connection was woken before something else.
    async fn order(version: Version) -> Vec<&'static str> {
        let limits = Limits::new(ConnectionLimit::new(1));
        let patience = Patience::new(&limits);
        let connection = Connection::new(
            Ipv4Addr::LOCALHOST.into(),
            TrustedProxies::default(),
            Security::Clear,
            patience,
        );
        connection.begin(version);
        let ran = Arc::new(Mutex::new(Vec::new()));
        let note = |who| {
            let ran = Arc::clone(&ran);
            async move { ran.lock().unwrap().push(who) }
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(AfterOthers::new(note("connection"), Arc::new(connection)));
        tasks.spawn(note("other"));
        tokio::time::timeout(Duration::from_secs(5), tasks.join_all())
            .await
            .unwrap();
        Arc::try_unwrap(ran).unwrap().into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_connection_with_streams_lets_others_run_first() {
        assert_eq!(order(Version::HTTP_2).await, ["other", "connection"]);
    }

    #[tokio::test]
    async fn a_connection_with_one_request_at_a_time_does_not_wait() {
        assert_eq!(order(Version::HTTP_11).await, ["connection", "other"]);
    }
}
