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
