//! What takes time: members seen, members due to be erased, watches whose key has died. The clock is the test's.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use userbridge::{
    domain::{
        Actor, Change, EventKind, EventQuery, Idempotency, LinkRequest, Member, MemberPatch, MemberRef,
        OrganizationId, OrganizationPatch, OsRandom, Presented, Role, Scope,
    },
    service::{Admin, Area, Credential, Directory, Read, ServiceError, Write},
    storage::{self, Migrate, Storage},
};

use crate::support::{TestClock, database, first, rules::Rules};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A directory on a storage of its own, with a clock that stands still, and one organization.
pub(super) struct World {
    pub(super) clock: TestClock,
    pub(super) directory: Directory,
    storage: Arc<dyn Storage>,
    pub(super) acme: OrganizationId,
    url: String,
    _folder: TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let (folder, url) = database();
        let storage = storage::connect(&url, Migrate::Always).await.unwrap();
        let clock = TestClock::new();
        let directory = Directory::with(storage.clone(), Arc::new(clock.clone()), Arc::new(OsRandom));
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let acme = directory
            .create_organization(Admin::OPERATOR, slug, name, Idempotency::never())
            .await
            .unwrap();
        Self {
            clock,
            directory,
            storage,
            acme: first(acme).id,
            url,
            _folder: folder,
        }
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone()
    }

    /// How many answers are kept.
    pub(super) async fn answers(&self) -> i64 {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM idempotency_keys");
        count.fetch_one(&mut connection).await.unwrap()
    }

    async fn person(&self, name: &str) -> Member {
        let link = LinkRequest {
            values: MemberPatch {
                name: Some(Some(name.parse().unwrap())),
                ..MemberPatch::default()
            },
            ..LinkRequest::default()
        };
        let linked = self
            .directory
            .link_member(Write::operator(self.acme), link, Idempotency::never());
        first(linked.await.unwrap()).member
    }

    async fn revoked(&self, name: &str) -> Member {
        let entry = self.person(name).await;
        let revoked = self
            .directory
            .revoke_member(Write::operator(self.acme), entry.id, None);
        revoked.await.unwrap()
    }

    async fn now(&self, entry: &Member) -> Member {
        let key = MemberRef::Id(entry.id);
        self.directory
            .member(Read::operator(self.acme), key, true)
            .await
            .unwrap()
    }

    async fn seen(&self, entry: &Member) {
        let grant = Write::operator(self.acme);
        self.directory.record_seen(grant, entry.id).await.unwrap();
    }

    async fn keep_for(&self, days: Option<u16>) {
        let patch = OrganizationPatch {
            retention_days: Some(days),
            ..OrganizationPatch::default()
        };
        self.directory
            .update_organization(Admin::OPERATOR, self.acme, patch)
            .await
            .unwrap();
    }

    /// How many members were erased, by the log.
    async fn erased(&self) -> usize {
        let query = EventQuery {
            limit: u32::MAX,
            kinds: vec![EventKind::MemberErased],
            ..EventQuery::default()
        };
        let events = self
            .directory
            .events(Read::operator(self.acme), query)
            .await
            .unwrap();
        assert!(events.items.iter().all(|event| event.actor == Actor::Retention));
        events.items.len()
    }
}

#[tokio::test]
async fn being_seen_is_written_some_moments_later_and_once_a_minute() {
    let world = World::new().await;
    let sally = world.person("Sally").await;
    world.clock.pass(5);
    world.seen(&sally).await;
    assert_eq!(world.now(&sally).await, sally);
    world.directory.flush_last_used().await;
    let first = world.directory.now();
    let expected = Member {
        last_seen_at: Some(first),
        ..sally.clone()
    };
    assert_eq!(world.now(&sally).await, expected);
    for _ in 0..3 {
        world.clock.pass(MINUTE / 4);
        world.seen(&sally).await;
        world.directory.flush_last_used().await;
    }
    assert_eq!(world.now(&sally).await, expected);
    world.clock.pass(MINUTE / 4);
    world.seen(&sally).await;
    world.directory.flush_last_used().await;
    assert_eq!(world.now(&sally).await.last_seen_at, Some(world.directory.now()));
    // Of several moments that wait, the last one is written.
    let tom = world.person("Tom").await;
    for _ in 0..3 {
        world.clock.pass(10);
        world.seen(&tom).await;
    }
    world.directory.flush_last_used().await;
    assert_eq!(world.now(&tom).await.last_seen_at, Some(world.directory.now()));
    // A member that goes before it is written is passed over.
    world.clock.pass(MINUTE);
    world.seen(&tom).await;
    let revoked = world
        .directory
        .revoke_member(Write::operator(world.acme), tom.id, None);
    let revoked = revoked.await.unwrap();
    world.directory.flush_last_used().await;
    assert_eq!(world.now(&tom).await, revoked);
}

#[tokio::test]
async fn what_waits_is_written_when_maintenance_ends() {
    let world = World::new().await;
    // More than are written at once.
    let mut people = Vec::new();
    for number in 0..130 {
        people.push(world.person(&format!("Person {number}")).await);
    }
    for person in &people {
        world.seen(person).await;
    }
    world.directory.clone().maintenance(std::future::ready(())).await;
    for person in &people {
        assert_eq!(world.now(person).await.last_seen_at, Some(world.directory.now()));
    }
}

#[tokio::test]
async fn nobody_is_erased_unless_the_organization_says_when() {
    let world = World::new().await;
    let sally = world.revoked("Sally").await;
    world.clock.pass(10_000 * DAY);
    assert_eq!(world.directory.erase_due().await.unwrap(), 0);
    assert_eq!(world.now(&sally).await, sally);
    let live = world.person("Live").await;
    let late = world.revoked("Late").await;
    world.keep_for(Some(30)).await;
    world.clock.pass(30 * DAY - 1);
    assert_eq!(world.directory.erase_due().await.unwrap(), 1);
    let erased = world.now(&sally).await;
    assert_eq!(
        (erased.profile.name, erased.erased_at),
        (None, Some(world.directory.now()))
    );
    assert_eq!(world.now(&late).await, late);
    world.clock.pass(1);
    assert_eq!(world.directory.erase_due().await.unwrap(), 1);
    assert_eq!(world.directory.erase_due().await.unwrap(), 0);
    assert_eq!(world.erased().await, 2);
    assert_eq!(world.now(&live).await, live);
    // Switched off again, it stays so.
    let last = world.revoked("Last").await;
    world.keep_for(None).await;
    world.clock.pass(10_000 * DAY);
    assert_eq!(world.directory.erase_due().await.unwrap(), 0);
    assert_eq!(world.now(&last).await, last);
}

/// More than it looks for at once.
#[tokio::test]
async fn everybody_who_is_due_is_erased_in_the_end() {
    let world = World::new().await;
    world.keep_for(Some(1)).await;
    for index in 0..130 {
        world.revoked(&format!("Member {index}")).await;
    }
    world.clock.pass(DAY);
    assert_eq!(world.directory.erase_due().await.unwrap(), 130);
    assert_eq!(world.erased().await, 130);
}

/// Revoked before or live at that moment: with the organization all have ended. The last owner is one of them.
#[tokio::test]
async fn the_people_of_a_deleted_organization_are_erased_when_their_time_has_come() {
    let world = World::new().await;
    world.keep_for(Some(30)).await;
    let gone = world.revoked("Gone").await;
    let live = world.person("Live").await;
    let owner = MemberPatch {
        role: Some(Some(Role::Owner)),
        ..MemberPatch::default()
    };
    let grant = Write::operator(world.acme);
    let owner = world.directory.update_member(grant, live.id, owner, None);
    owner.await.unwrap();
    world.clock.pass(DAY);
    world
        .directory
        .delete_organization(Admin::OPERATOR, world.acme)
        .await
        .unwrap();
    // The other organization's people are erased as well, in the same pass.
    let (slug, name) = ("globex".parse().unwrap(), "Globex".parse().unwrap());
    let globex = world
        .directory
        .create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    let globex = first(globex.await.unwrap()).id;
    let world = World {
        acme: globex,
        ..world
    };
    world.keep_for(Some(29)).await;
    world.revoked("Other").await;
    world.clock.pass(29 * DAY);
    assert_eq!(world.directory.erase_due().await.unwrap(), 2);
    assert_eq!(world.directory.erase_due().await.unwrap(), 0);
    world.clock.pass(DAY);
    assert_eq!(world.directory.erase_due().await.unwrap(), 1);
    let mut file = SqliteConnection::connect(&world.url).await.unwrap();
    let erased: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT id FROM members WHERE erased_at IS NOT NULL AND name IS NULL AND revoked_at IS NOT NULL",
    )
    .fetch_all(&mut file)
    .await
    .unwrap();
    assert_eq!(erased.len(), 3);
    for member in [gone, live] {
        assert!(erased.contains(&member.id.as_uuid().as_bytes().to_vec()));
    }
}

#[tokio::test]
async fn one_who_can_not_be_erased_stops_neither_the_others_nor_the_end() {
    let world = World::new().await;
    world.keep_for(Some(1)).await;
    let mut people = Vec::new();
    for index in 0..120 {
        people.push(world.revoked(&format!("Member {index}")).await);
    }
    world.clock.pass(DAY);
    let broken = &people[3].id;
    let trigger = format!(
        "CREATE TRIGGER broken BEFORE UPDATE ON members WHEN hex(old.id) = '{:X}'
         BEGIN SELECT RAISE (ABORT, 'broken'); END",
        broken.as_uuid().simple()
    );
    let mut file = SqliteConnection::connect(&world.url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(trigger))
        .execute(&mut file)
        .await
        .unwrap();
    assert_eq!(world.directory.erase_due().await.unwrap(), 119);
    assert_eq!(world.directory.erase_due().await.unwrap(), 0);
    sqlx::query("DROP TRIGGER broken")
        .execute(&mut file)
        .await
        .unwrap();
    assert_eq!(world.directory.erase_due().await.unwrap(), 1);
}

/// Between the list of who is due and the turn of one on it, somebody may restore that one or keep it longer.
#[tokio::test]
async fn retention_looks_again_before_it_erases() {
    let world = World::new().await;
    world.keep_for(Some(1)).await;
    let sally = world.revoked("Sally").await;
    world.clock.pass(DAY);
    let due = world
        .storage
        .retention_due(world.directory.now(), 100, 0)
        .await
        .unwrap();
    assert_eq!(due, [(world.acme, sally.id)]);
    let rules = Rules(world.storage.clone());
    let erase = || {
        let change = Change {
            actor: Actor::Retention,
            at: world.directory.now(),
            client: None,
            source: None,
        };
        rules.erase_member(world.acme, sally.id, change)
    };
    world.keep_for(Some(2)).await;
    let kept = erase().await;
    assert!(matches!(kept, Err(ServiceError::NotFound(_))), "{kept:?}");
    let grant = Write::operator(world.acme);
    let restored = world.directory.restore_member(grant, sally.id).await.unwrap();
    world.keep_for(Some(0)).await;
    let kept = erase().await;
    assert!(matches!(kept, Err(ServiceError::NotFound(_))), "{kept:?}");
    assert_eq!(world.now(&sally).await, restored);
}

/// So much time passes for whoever waits, in no time. What was begun before has begun to wait, and what is due then is done.
pub(super) async fn passes(millis: i64) {
    let a_moment = Duration::from_millis(100);
    tokio::time::sleep(a_moment).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(millis.unsigned_abs())).await;
    tokio::time::resume();
    tokio::time::sleep(a_moment).await;
}

#[tokio::test]
async fn a_clock_that_is_set_erases_nobody_until_it_has_gone_evenly_for_a_while() {
    let world = World::new().await;
    world.keep_for(Some(30)).await;
    world.revoked("Sally").await;
    world.clock.set_wrong_by(45 * DAY);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let maintenance = world.directory.clone().maintenance(async {
        stopped.await.unwrap();
    });
    let maintenance = tokio::spawn(maintenance);
    let later = async |wrong_by: i64| {
        world.clock.pass(10 * MINUTE);
        world.clock.set_wrong_by(wrong_by);
        passes(10 * MINUTE).await;
        world.erased().await
    };
    // At the start nothing is known of the clock.
    passes(MINUTE).await;
    assert_eq!(world.erased().await, 0);
    for (wrong_by, why) in [
        (0, "set right"),
        (45 * DAY, "set wrong"),
        (40 * DAY, "set back"),
        (0, "set right"),
        (4 * MINUTE, "nobody is due"),
    ] {
        assert_eq!(later(wrong_by).await, 0, "{why}: {wrong_by}");
    }
    world.clock.pass(15 * DAY);
    let tom = world.revoked("Tom").await;
    world.clock.pass(15 * DAY);
    let mut rounds = 0;
    while later(0).await == 0 {
        rounds += 1;
        assert!(rounds < 100, "nobody is erased");
    }
    assert_eq!(world.erased().await, 1);
    assert_eq!(world.now(&tom).await, tom);
    stop.send(()).unwrap();
    maintenance.await.unwrap();
}

/// A time that a wrong clock has written does not stay until it has come.
#[tokio::test]
async fn a_time_of_use_that_is_in_the_future_is_written_anew() {
    let world = World::new().await;
    let sally = world.person("Sally").await;
    let scopes = [Scope::DirectoryRead].into_iter().collect();
    let key = world.directory.create_api_key(
        Admin::OPERATOR,
        Some(world.acme),
        scopes,
        None,
        Idempotency::never(),
    );
    let key = Presented::new(first(key.await.unwrap()).secret.reveal());
    let used = async || {
        world.seen(&sally).await;
        world.directory.caller(key, Area::Directory).await.unwrap();
        world.directory.flush_last_used().await;
        let stored = world.storage.api_key_by_digest(key.digest).await.unwrap();
        [world.now(&sally).await.last_seen_at, stored.unwrap().last_used_at]
    };
    world.clock.set_wrong_by(DAY);
    let ahead = world.directory.now();
    assert_eq!(used().await, [Some(ahead); 2]);
    // It may be another server's clock that is right.
    world.clock.set_wrong_by(DAY - 5 * MINUTE);
    assert_eq!(used().await, [Some(ahead); 2]);
    world.clock.set_wrong_by(0);
    assert_eq!(used().await, [Some(world.directory.now()); 2]);
}

/// It waited because nothing could be written, and another server noted a later one.
#[tokio::test]
async fn a_time_of_use_that_waited_does_not_replace_a_later_one() {
    let world = World::new().await;
    let sally = world.person("Sally").await;
    world.seen(&sally).await;
    world.clock.pass(10 * MINUTE);
    let clock = Arc::new(world.clock.clone());
    let other = Directory::with(world.storage(), clock, Arc::new(OsRandom));
    let grant = Write::operator(world.acme);
    other.record_seen(grant, sally.id).await.unwrap();
    other.write_last_used().await.unwrap();
    world.directory.write_last_used().await.unwrap();
    assert_eq!(world.now(&sally).await.last_seen_at, Some(other.now()));
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_everybody_to_be_erased() {
    let world = World::new().await;
    world.keep_for(Some(0)).await;
    for index in 0..150 {
        world.revoked(&format!("Member {index}")).await;
    }
    let mut commits = world.storage.commits();
    commits.mark_unchanged();
    let first = async move {
        passes(10 * MINUTE).await;
        commits.changed().await.unwrap();
    };
    world.directory.clone().maintenance(first).await;
    assert!((1..150).contains(&world.erased().await));
    // The next one does the rest.
    world.directory.erase_due().await.unwrap();
    assert_eq!(world.erased().await, 150);
}

#[tokio::test]
async fn a_watch_ends_within_a_minute_after_its_key_died() {
    let world = World::new().await;
    let scopes = [Scope::DirectoryRead].into_iter().collect();
    let created = world.directory.create_api_key(
        Admin::OPERATOR,
        Some(world.acme),
        scopes,
        None,
        Idempotency::never(),
    );
    let created = first(created.await.unwrap());
    let credential = Credential {
        presented: Presented::new(created.secret.reveal()),
        organization: None,
    };
    let grant = world.directory.grant_read(credential).await.unwrap();
    let events = world.directory.watch_events(grant, credential, 0).await;
    let mut events = Box::pin(events.unwrap());
    events.next().await.unwrap().unwrap();
    world
        .directory
        .revoke_api_key(Admin::OPERATOR, Some(world.acme), created.key.id)
        .await
        .unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let ended = events.next().await.unwrap();
    assert!(matches!(ended, Err(ServiceError::InvalidApiKey)), "{ended:?}");
    assert!(events.next().await.is_none());
}
