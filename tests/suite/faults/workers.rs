//! Threads that die. Each connection of SQLite has one, and hands it its work together with the span of whoever asks,
//! which the thread then enters. So a subscriber that panics there ends a thread between two of its commands, as a defect
//! of the engine's driver would.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use tempfile::TempDir;
use tracing::{
    Metadata, Subscriber,
    span::{EnteredSpan, Id},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
};
use userbridge::{
    domain::{Idempotency, LinkRequest, MemberQuery},
    service::{Admin, Directory, Read, ServiceError, Write},
    storage::{self, Migrate, Storage},
};

use crate::support::{database, first};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(15);

/// Counts the commands of each thread, and ends one that it is told to.
#[derive(Clone, Default)]
struct Reaper(Arc<State>);

#[derive(Default)]
struct State {
    commands: Mutex<HashMap<ThreadId, u32>>,
    /// Who is to die, and after how many more commands.
    doomed: Mutex<Option<(ThreadId, u32)>>,
}

impl<S: Subscriber> Layer<S> for Reaper {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span()
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        let this = thread::current();
        let is_worker = |name: &str| name.starts_with("sqlx-sqlite-worker");
        if !this.name().is_some_and(is_worker) {
            return;
        }
        *lock(&self.0.commands).entry(this.id()).or_default() += 1;
        let mut doomed = lock(&self.0.doomed);
        match &mut *doomed {
            Some((thread, 0)) if *thread == this.id() => {
                *doomed = None;
                drop(doomed);
                // Without a message on the terminal.
                std::panic::resume_unwind(Box::new("the thread dies"));
            }
            Some((thread, commands)) if *thread == this.id() => *commands -= 1,
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reaper {
    fn commands(&self) -> HashMap<ThreadId, u32> {
        lock(&self.0.commands).clone()
    }

    fn kill(&self, thread: ThreadId, after: u32) {
        *lock(&self.0.doomed) = Some((thread, after));
    }

    /// Whether the thread that was to die has died.
    fn is_done(&self) -> bool {
        lock(&self.0.doomed).is_none()
    }
}

/// A directory on threads that can be told to die.
struct World {
    reaper: Reaper,
    directory: Directory,
    storage: Arc<dyn Storage>,
    grant: Write,
    read: Read,
    _folder: TempDir,
    // The test has one thread, which sends all commands, and is in this span all the time.
    _span: EnteredSpan,
    _reaping: DefaultGuard,
}

impl World {
    async fn new() -> Self {
        let reaper = Reaper::default();
        let reaping = tracing::subscriber::set_default(Registry::default().with(reaper.clone()));
        let span = tracing::info_span!("what all commands belong to").entered();
        let (folder, url) = database();
        let storage = storage::connect(&url, Migrate::Always).await.unwrap();
        let directory = Directory::new(storage.clone());
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let made = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        let acme = first(made.await.unwrap()).id;
        Self {
            reaper,
            directory,
            storage,
            grant: Write::operator(acme),
            read: Read::operator(acme),
            _folder: folder,
            _span: span,
            _reaping: reaping,
        }
    }

    async fn link(&self) -> Result<(), ServiceError> {
        let linked =
            self.directory
                .link_member(self.grant.clone(), LinkRequest::default(), Idempotency::never());
        ends(linked).await.map(|_| ())
    }

    async fn list(&self) -> Result<usize, ServiceError> {
        let query = MemberQuery {
            limit: 1000,
            ..MemberQuery::default()
        };
        Ok(ends(self.directory.members(self.read, query))
            .await?
            .members
            .len())
    }

    /// The thread that does what `work` asks for: the one with the most to do meanwhile.
    async fn thread_of<T>(&self, work: impl AsyncFn() -> Result<T, ServiceError>) -> ThreadId {
        let before = self.reaper.commands();
        for _ in 0..8 {
            work().await.unwrap();
        }
        let after = self.reaper.commands();
        let done = |thread: &ThreadId| after[thread] - before.get(thread).unwrap_or(&0);
        *after.keys().max_by_key(|thread| done(thread)).unwrap()
    }
}

/// It may be refused, but not left waiting.
async fn ends<T>(call: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(NEVER, call).await;
    ended.expect("it waits for a thread that is no more")
}

/// Until it works again.
async fn again<T>(work: impl AsyncFn() -> Result<T, ServiceError>) -> T {
    let works = async {
        loop {
            match work().await {
                Ok(done) => break done,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    ends(works).await
}

#[tokio::test]
async fn changes_go_on_after_the_thread_of_the_writer_has_died_at_any_of_its_commands() {
    let world = World::new().await;
    let mut members = 0;
    for command in 0.. {
        let writer = world.thread_of(|| world.link()).await;
        members += 8;
        world.reaper.kill(writer, command);
        let three = tokio::join!(world.link(), world.link(), world.link());
        let three: [Result<(), ServiceError>; 3] = three.into();
        if !world.reaper.is_done() {
            // There are not so many commands in a change.
            assert!(command > 3);
            assert!(three.iter().all(Result::is_ok), "{three:?}");
            break;
        }
        members += three.iter().filter(|linked| linked.is_ok()).count();
        assert!(three.iter().any(Result::is_err));
        again(|| world.link()).await;
        members += 1;
        // No refused one, half or whole.
        assert_eq!(world.list().await.unwrap(), members, "after {command} commands");
    }
    world.storage.close().await;
}

#[tokio::test]
async fn lists_go_on_after_the_thread_of_their_connection_has_died() {
    let world = World::new().await;
    let lister = world.thread_of(|| world.list()).await;
    world.reaper.kill(lister, 0);
    while !world.reaper.is_done() {
        // By one of several connections. It may be refused; or the pool notices before.
        let _ = world.list().await;
    }
    assert_eq!(again(|| world.list()).await, 0);
    // Perhaps by the connection whose thread has died.
    let counted = again(|| {
        world
            .directory
            .members_counted(world.read, MemberQuery::default())
    });
    assert_eq!(counted.await.total, Some(0));
    world.storage.close().await;
}
