//! What may take for ever, such as the other side of a pipe.

use std::{io, thread};

use tokio::sync::oneshot;

/// Does it in a thread of its own, for which nobody waits who is told to end.
///
/// # Errors
///
/// Its own. There is no thread.
pub(super) async fn own_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (told, done) = oneshot::channel();
    // An error means that nobody waits for it any more.
    thread::Builder::new().spawn(move || drop(told.send(work())))?;
    done.await.map_err(io::Error::other)?
}
