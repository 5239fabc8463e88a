//! The storage goes away while mails are being sent, and comes back.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};
use userbridge::{
    domain::{Idempotency, LinkRequest, MailState, MemberPatch, OrganizationId, OsRandom, PageRequest, Role},
    mail::{MailMetrics, Outbox, Stationery},
    service::{Admin, Directory, Read, ServiceError, Write},
    storage::{
        Migrate, Storage,
        sqlite::{Settings, SqliteStorage},
    },
};

use super::{delivery::address, server::MailServer};
use crate::support::{TestClock, database, first, log};

/// A worker on a storage that gives up soon, in a time that stands still.
struct World {
    clock: TestClock,
    directory: Directory,
    storage: Arc<dyn Storage>,
    acme: OrganizationId,
    url: String,
    folder: TempDir,
    /// How long nobody else gets a mail that the worker has claimed, in milliseconds.
    lease: i64,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
}

impl World {
    async fn new(server: &MailServer) -> Self {
        log();
        let (folder, url) = database();
        let settings = Settings {
            busy_timeout: Duration::from_millis(30),
            ..Settings::default()
        };
        let storage = SqliteStorage::open_with(&url, Migrate::Always, settings).await;
        let storage: Arc<dyn Storage> = Arc::new(storage.unwrap());
        let clock = TestClock::new();
        let directory = Directory::with(storage.clone(), Arc::new(clock.clone()), Arc::new(OsRandom));
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        let acme = first(created.await.unwrap()).id;
        let config = server.config();
        let outbox = Outbox {
            transport: config.transport,
            stationery: Stationery {
                from: config.from,
                public_url: "https://people.example.com".to_owned(),
            },
            retries: config.retries,
            timeout: config.timeout,
            metrics: MailMetrics::new(&mut Registry::default()),
            links: None,
        };
        let lease = i64::try_from(config.timeout.as_millis()).unwrap() * 2;
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = outbox.run(directory.clone(), async {
            let _ = stopped.await;
        });
        Self {
            worker: tokio::spawn(worker),
            clock,
            directory,
            storage,
            acme,
            url,
            folder,
            lease,
            stop,
        }
    }

    async fn welcome(&self, email: &str) -> Result<(), ServiceError> {
        let request = LinkRequest {
            values: MemberPatch {
                role: Some(Some(Role::Admin)),
                ..address(email)
            },
            send_onboarding_mail: true,
            ..LinkRequest::default()
        };
        let grant = Write::operator(self.acme);
        let linked = self.directory.link_member(grant, request, Idempotency::never());
        linked.await.map(drop)
    }

    async fn sent(&self) -> usize {
        let page = PageRequest {
            after: None,
            limit: 100,
        };
        let sent = self
            .directory
            .mails(Read::operator(self.acme), Some(MailState::Sent), page);
        sent.await.unwrap().items.len()
    }

    /// Waits until changes can't be made.
    async fn until_ill(&self) {
        let mut condition = self.directory.condition();
        condition
            .wait_for(|condition| !condition.is_writable())
            .await
            .unwrap();
    }

    /// Waits until so many mails are sent, ends the worker, and says to whom they went.
    async fn end(self, server: &MailServer, count: usize) -> Vec<String> {
        let all_sent = async {
            while self.sent().await < count {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let all_sent = tokio::time::timeout(Duration::from_secs(30), all_sent).await;
        all_sent.expect("a mail is lost");
        drop(self.stop);
        self.worker.await.unwrap();
        self.storage.close().await;
        let heard = server.so_far();
        let to = heard.iter().map(|mail| mail["to"].as_str().unwrap().to_owned());
        to.collect()
    }
}

/// Sends mails while the storage is away, and for longer than the worker has claimed them; then it is back.
async fn sent_while<T>(
    mut server: MailServer,
    go: impl AsyncFnOnce(&World) -> T,
    come_back: impl AsyncFnOnce(&World, T),
) {
    let world = World::new(&server).await;
    // Fewer than an organization may have on their way at once, so that there is room to send one of them again.
    for number in 0..3 {
        let email = format!("held{number}@acme.example.com");
        world.welcome(&email).await.unwrap();
    }
    server.heard(3).await;
    let gone = go(&world).await;
    server.release();
    world.until_ill().await;
    world.clock.pass(world.lease + 1);
    come_back(&world, gone).await;
    // This wakes the worker, most likely before it tries again to write down what it has sent.
    while world.welcome("sally@acme.example.com").await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    let to = world.end(&server, 4).await;
    let different: BTreeSet<_> = to.iter().collect();
    assert_eq!((to.len(), different.len()), (4, 4), "one came twice: {to:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_sent_while_another_process_locks_the_database_are_not_sent_again() {
    let Some(server) = MailServer::start() else { return };
    let lock = async |world: &World| {
        let mut other = SqliteConnection::connect(&world.url).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        other
    };
    sent_while(server, lock, async |_, other| other.close().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_sent_while_the_file_is_gone_are_not_sent_again_when_it_is_back() {
    let Some(server) = MailServer::start() else { return };
    let paths = |world: &World| ["users.db", "aside.db"].map(|name| world.folder.path().join(name));
    let move_away = async |world: &World| {
        let [file, aside] = paths(world);
        fs::rename(file, aside).unwrap();
    };
    let move_back = async |world: &World, ()| {
        let [file, aside] = paths(world);
        fs::rename(aside, file).unwrap();
    };
    sent_while(server, move_away, move_back).await;
}
