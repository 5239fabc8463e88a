//! A database of the first version, opened by today's program.

use std::{fs, path::Path};

use sqlx::{Connection as _, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use userbridge::{
    domain::{KeyDigest, MemberEntry, MemberLookup, OrganizationId, Page, Role, TeamNumber},
    storage::{self, MemberFilter, MemberOrder, MemberQuery, Migrate, Storage},
};
use uuid::Uuid;

use crate::support::database;

const ACME: u128 = 0x0196_0000_0000_7000_8000_0000_0000_0001;
const GLOBEX: u128 = 0x0196_0000_0000_7000_8000_0000_0000_0002;

fn bytes(id: u128) -> Vec<u8> {
    Uuid::from_u128(id).as_bytes().to_vec()
}

fn organization(id: u128) -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(id))
}

/// The members of each organization, in the order of their linking; true: revoked.
fn people() -> Vec<(u128, &'static str, Option<&'static str>, bool)> {
    vec![
        (ACME, "jürgen@bücher.example", Some("Jürgen ÄRGER"), false),
        (GLOBEX, "odysseus@ithaca.example", Some("ΟΔΥΣΣΕΎΣ"), false),
        (ACME, "gone@acme.example.com", Some("Gone Ärger"), true),
        (ACME, "nameless@acme.example.com", None, false),
        (GLOBEX, "tom@globex.example.com", Some("Tom Ärger"), true),
        (ACME, "日本@acme.example.com", Some("日本 太郎"), false),
    ]
}

/// What the first version left behind: its schema, and rows as it wrote them.
async fn of_the_first_version() -> (TempDir, String) {
    let (folder, url) = database();
    let migrations = TempDir::new().unwrap();
    let first = "0001_directory.sql";
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations/sqlite")
        .join(first);
    fs::copy(source, migrations.path().join(first)).unwrap();
    let options = url.parse::<SqliteConnectOptions>().unwrap();
    let mut connection = SqliteConnection::connect_with(&options.create_if_missing(true))
        .await
        .unwrap();
    let migrator = Migrator::new(migrations.path()).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    for (id, slug) in [(ACME, "acme"), (GLOBEX, "globex")] {
        sqlx::query("INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, $2, $2, 1000)")
            .bind(bytes(id))
            .bind(slug)
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO api_keys (organization_id, id, digest, hint, scopes, created_at)
             VALUES ($1, $2, $3, 'pb_01234', 'public_api', 1000)",
        )
        .bind(bytes(id))
        .bind(bytes(id + 100))
        .bind(&KeyDigest::of(slug).as_bytes()[..])
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO events (organization_id, sequence, kind, actor, at, fields)
             VALUES ($1, 1, 'organization.created', 'operator', 1000, 'slug name')",
        )
        .bind(bytes(id))
        .execute(&mut connection)
        .await
        .unwrap();
    }
    for (index, (organization, email, name, revoked)) in (0_u8..).zip(people()) {
        sqlx::query("INSERT INTO users (id, email, created_at) VALUES ($1, $2, 2000)")
            .bind(bytes(ACME + 200 + u128::from(index)))
            .bind(email)
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO members (organization_id, id, user_id, email, name, portal_role, created_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, 'end_user', $6, $7)",
        )
        .bind(bytes(organization))
        .bind(bytes(ACME + 300 + u128::from(index)))
        .bind(bytes(ACME + 200 + u128::from(index)))
        .bind(email)
        .bind(name)
        .bind(2000 + i64::from(index))
        .bind(revoked.then_some(5000 + i64::from(index)))
        .execute(&mut connection)
        .await
        .unwrap();
    }
    connection.close().await.unwrap();
    (folder, url)
}

async fn search(storage: &dyn Storage, organization_id: u128, part: &str) -> Vec<MemberEntry> {
    let filter = MemberFilter {
        name_parts: vec![part.to_owned()],
        ..MemberFilter::default()
    };
    list(storage, organization_id, filter, MemberOrder::Number).await
}

async fn list(
    storage: &dyn Storage,
    organization_id: u128,
    filter: MemberFilter,
    order: MemberOrder,
) -> Vec<MemberEntry> {
    let query = MemberQuery {
        filter,
        order,
        limit: 100,
        ..MemberQuery::default()
    };
    storage
        .members(organization(organization_id), query)
        .await
        .unwrap()
}

fn numbers(members: &[MemberEntry]) -> Vec<i64> {
    members.iter().map(|entry| entry.number.0).collect()
}

#[tokio::test]
async fn members_of_the_first_version_have_numbers_and_are_found_by_parts() {
    let (_folder, url) = of_the_first_version().await;
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let storage = &*storage;
    let live = list(storage, ACME, MemberFilter::default(), MemberOrder::Number).await;
    assert_eq!(numbers(&live), [1, 3, 4]);
    let count = storage.count_members(organization(ACME), MemberFilter::default());
    assert_eq!(count.await.unwrap(), 3);
    let by_name = list(storage, ACME, MemberFilter::default(), MemberOrder::Name).await;
    assert_eq!(numbers(&by_name), [3, 1, 4]);
    for entry in &live {
        assert_eq!(entry.primary_team, TeamNumber::ROOT);
        assert_eq!((entry.access.role, entry.access.enabled), (None, true));
        assert_eq!(entry.origin.source.as_str(), "api");
        assert_eq!(entry.updated_at, entry.member.created_at);
        let all = storage
            .links_of_user(organization(ACME), entry.member.user_id)
            .await
            .unwrap();
        assert_eq!(all, std::slice::from_ref(entry));
    }
    for (organization, part, expected) in [
        (ACME, "jürgen", &[1][..]),
        (ACME, "äRGER", &[1]),
        (ACME, "JÜ", &[1]),
        (ACME, "太郎", &[4]),
        (ACME, "日本 太", &[4]),
        (ACME, "οδυσσ", &[]),
        (GLOBEX, "οδυσσ", &[1]),
        (GLOBEX, "ΔΥΣΣ", &[1]),
        (GLOBEX, "ärger", &[]),
    ] {
        assert_eq!(
            numbers(&search(storage, organization, part).await),
            expected,
            "{part}"
        );
    }
    // A revoked one has a number too, and comes back as one that is found.
    let gone = storage.links_of_user(
        organization(ACME),
        userbridge::domain::UserId::from_uuid(Uuid::from_u128(ACME + 202)),
    );
    let gone = gone.await.unwrap().remove(0);
    assert_eq!((gone.number.0, Some(gone.updated_at)), (2, gone.revoked_at));
    let change = userbridge::storage::Change {
        actor: userbridge::domain::Actor::Operator,
        at: userbridge::domain::Timestamp::from_millis(10_000),
        source: None,
    };
    let restored = storage
        .restore_member(organization(ACME), gone.member.id, change)
        .await;
    assert_eq!(search(storage, ACME, "ärger").await[1], restored.unwrap());
    storage.close().await;
}

#[tokio::test]
async fn organizations_of_the_first_version_have_a_root_team_and_working_keys() {
    let (_folder, url) = of_the_first_version().await;
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    for (id, slug, email) in [
        (ACME, "acme", "jürgen@bücher.example"),
        (GLOBEX, "globex", "odysseus@ithaca.example"),
    ] {
        let found = storage.organization(organization(id)).await.unwrap().unwrap();
        assert_eq!(
            (found.slug.as_str(), found.default_role, found.retention_days),
            (slug, Role::Viewer, None)
        );
        let page = Page {
            after: None,
            limit: 10,
        };
        let teams = storage.teams(organization(id), page).await.unwrap();
        let teams: Vec<_> = teams
            .iter()
            .map(|team| (team.number, team.key.as_str()))
            .collect();
        assert_eq!(teams, [(TeamNumber::ROOT, "root")]);
        let lookup = MemberLookup::Email(email.to_owned());
        let found = storage.key_and_member(KeyDigest::of(slug), lookup).await.unwrap();
        assert_eq!(found.key.unwrap().organization_id, Some(organization(id)));
        assert!(found.member.is_some());
        let log = storage.events(
            Some(organization(id)),
            storage::EventQuery {
                limit: 10,
                ..Default::default()
            },
        );
        assert_eq!(log.await.unwrap().len(), 1);
    }
    storage.close().await;
    // Opening it again does it all no second time.
    let again = storage::connect(&url, Migrate::Never).await.unwrap();
    assert_eq!(numbers(&search(&*again, ACME, "jürgen").await), [1]);
    again.close().await;
}

#[tokio::test]
async fn the_next_member_of_an_old_database_has_the_next_number() {
    let (_folder, url) = of_the_first_version().await;
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let directory = userbridge::service::Directory::new(storage.clone());
    for (id, number) in [(ACME, 5), (GLOBEX, 3)] {
        let link = userbridge::service::LinkRequest {
            values: userbridge::domain::MemberPatch {
                name: Some(Some("New Ärger".parse().unwrap())),
                ..Default::default()
            },
            ..Default::default()
        };
        let grant = userbridge::service::Write::operator(organization(id));
        let linked = directory
            .link_member(grant, link, storage::Once::never())
            .await
            .unwrap();
        let entry = crate::support::first(linked).entry;
        assert_eq!(entry.number.0, number);
        assert!(search(&*storage, id, "new ä").await.contains(&entry));
    }
    storage.close().await;
}

#[tokio::test]
async fn an_old_database_is_not_migrated_by_those_who_may_not() {
    let (_folder, url) = of_the_first_version().await;
    for migrate in [Migrate::Never, Migrate::OnlyEmpty] {
        let refused = storage::connect(&url, migrate).await.err();
        assert!(
            matches!(refused, Some(storage::StoreError::SchemaTooOld)),
            "{refused:?}"
        );
    }
}

/// The schema is up to date and the search index is not: whoever writes then must not hide what it lacks.
#[tokio::test]
async fn a_start_cut_off_before_the_search_index_was_full_is_made_up_for_by_the_next() {
    let (_folder, url) = of_the_first_version().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    Migrator::new(all)
        .await
        .unwrap()
        .run(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    // As a command does, which migrates nothing.
    let storage = storage::connect(&url, Migrate::Never).await.unwrap();
    let directory = userbridge::service::Directory::new(storage.clone());
    let link = userbridge::service::LinkRequest {
        values: userbridge::domain::MemberPatch {
            name: Some(Some("New Ärger".parse().unwrap())),
            ..Default::default()
        },
        ..Default::default()
    };
    let grant = userbridge::service::Write::operator(organization(ACME));
    directory
        .link_member(grant, link, storage::Once::never())
        .await
        .unwrap();
    storage.close().await;
    for migrate in [Migrate::Always, Migrate::Never] {
        let storage = storage::connect(&url, migrate).await.unwrap();
        assert_eq!(numbers(&search(&*storage, ACME, "ärger").await), [1, 5]);
        storage.close().await;
    }
}
