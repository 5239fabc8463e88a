//! A database of the first version, opened by today's program.

use std::{fs, path::Path};

use sqlx::{Connection as _, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use userbridge::{
    domain::{
        Clock as _, Idempotency, KeyDigest, LinkRequest, Member, MemberFilter, MemberLookup, MemberNumber,
        MemberOrder, MemberQuery, OrganizationId, PageRequest, PortalRole, Role, TeamNumber, TokenKind,
        TokenSecret,
    },
    service::rules,
    storage::{self, Migrate, OpenError, Storage},
};
use uuid::Uuid;

use crate::support::{CLOCK, Count as _, RANDOM, database, first, process::userbridge, rules::Rules};

const ACME: u128 = 0x0196_0000_0000_7000_8000_0000_0000_0001;
const GLOBEX: u128 = 0x0196_0000_0000_7000_8000_0000_0000_0002;

const ALL: PageRequest<MemberNumber> = PageRequest {
    after: None,
    limit: 100,
};

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

/// Brings a database to an older version of the schema.
async fn migrate_to(connection: &mut SqliteConnection, version: usize) {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> = fs::read_dir(all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let some = TempDir::new().unwrap();
    for file in &files[..version] {
        fs::copy(file, some.path().join(file.file_name().unwrap())).unwrap();
    }
    let migrator = Migrator::new(some.path()).await.unwrap();
    migrator.run(connection).await.unwrap();
}

/// What the first version left behind: its schema, and rows as it wrote them.
pub(crate) async fn of_the_first_version() -> (TempDir, String) {
    let (folder, url) = database();
    let options = url.parse::<SqliteConnectOptions>().unwrap();
    let mut connection = SqliteConnection::connect_with(&options.create_if_missing(true))
        .await
        .unwrap();
    migrate_to(&mut connection, 1).await;
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

async fn search(storage: &dyn Storage, organization_id: u128, part: &str) -> Vec<Member> {
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
) -> Vec<Member> {
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

fn numbers(members: &[Member]) -> Vec<i64> {
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
        assert_eq!(entry.updated_at, entry.created_at);
        let all = storage
            .links_of_user(organization(ACME), entry.user_id, ALL)
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
        ALL,
    );
    let gone = gone.await.unwrap().remove(0);
    assert_eq!((gone.number.0, Some(gone.updated_at)), (2, gone.revoked_at));
    let change = userbridge::domain::Change {
        actor: userbridge::domain::Actor::Operator,
        at: userbridge::domain::Timestamp::from_millis(10_000),
        client: None,
        source: None,
    };
    let restored = storage
        .write(
            organization(ACME),
            (organization(ACME), gone.id, change),
            |tx, (organization, id, change)| Box::pin(rules::restore_member(tx, *organization, *id, change)),
        )
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
        let page = PageRequest {
            after: None,
            limit: 10,
        };
        let teams = storage.teams(organization(id), page).await.unwrap();
        let teams: Vec<_> = teams
            .iter()
            .map(|team| (team.number, team.slug.as_str()))
            .collect();
        assert_eq!(teams, [(TeamNumber::ROOT, "root")]);
        let lookup = MemberLookup::Email(email.to_owned());
        let found = storage.key_and_member(KeyDigest::of(slug), lookup).await.unwrap();
        assert_eq!(found.key.unwrap().organization_id, Some(organization(id)));
        assert!(found.member.is_some());
        let log = storage.events(
            Some(organization(id)),
            userbridge::domain::EventQuery {
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
        let link = userbridge::domain::LinkRequest {
            values: userbridge::domain::MemberPatch {
                name: Some(Some("New Ärger".parse().unwrap())),
                ..Default::default()
            },
            ..Default::default()
        };
        let grant = userbridge::service::Write::operator(organization(id));
        let linked = directory
            .link_member(grant, link, userbridge::domain::Idempotency::never())
            .await
            .unwrap();
        let entry = crate::support::first(linked).member;
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
        assert!(matches!(refused, Some(OpenError::SchemaTooOld)), "{refused:?}");
    }
}

#[tokio::test]
async fn members_from_before_there_were_facets_are_end_users_and_keep_their_roles() {
    let (_folder, url) = of_the_first_version().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let before = TempDir::new().unwrap();
    for file in [
        "0001_directory.sql",
        "0002_management.sql",
        "0003_revocations.sql",
    ] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        fs::copy(source.join(file), before.path().join(file)).unwrap();
    }
    let migrator = Migrator::new(before.path()).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    for change in [
        "UPDATE members SET role = 'owner' WHERE number = 1",
        "UPDATE members SET portal_role = 'partner' WHERE number = 3",
        "UPDATE members SET erased_at = 9000 WHERE revoked_at IS NOT NULL AND number = 2 AND name LIKE 'Gone%'",
    ] {
        let changed = sqlx::query(change).execute(&mut connection).await.unwrap();
        assert!(changed.rows_affected() > 0);
    }
    let number_of = "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'members' AND type = 'index'";
    let attached: i64 = sqlx::query_scalar(number_of)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();

    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let live = list(&*storage, ACME, MemberFilter::default(), MemberOrder::Number).await;
    let facets: Vec<_> = live
        .iter()
        .map(|entry| {
            let portal_role = entry.profile.portal_role.as_ref();
            (portal_role.map(PortalRole::as_str), entry.access.role)
        })
        .collect();
    assert_eq!(
        facets,
        [
            (Some("end_user"), Some(Role::Owner)),
            (Some("partner"), None),
            (Some("end_user"), None)
        ]
    );
    for entry in &live {
        let lookup = MemberLookup::UserId(entry.user_id);
        let found = storage
            .key_and_member(KeyDigest::of("acme"), lookup)
            .await
            .unwrap();
        assert_eq!(found.member, Some(entry.clone().into()));
    }
    let erased = storage
        .member(
            organization(ACME),
            &userbridge::domain::MemberRef::Number(MemberNumber(2)),
        )
        .await;
    assert_eq!(erased.unwrap().unwrap().profile.portal_role, None);
    storage.close().await;

    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let still: i64 = sqlx::query_scalar(number_of)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(still >= attached, "indexes stay");
    let problems: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(problems, ["ok"]);
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
    let opened = storage::connect(&url, Migrate::Never).await;
    assert!(matches!(opened, Err(OpenError::SchemaTooOld)));
    let checked = userbridge(&url, &["check"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.stderr.contains("run `userbridge migrate`"), "{checked:?}");
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    // One that is open while another fills it.
    for statement in [
        "DELETE FROM member_texts",
        "INSERT INTO search_backlog (next) VALUES (0)",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let directory = userbridge::service::Directory::new(storage.clone());
    let link = userbridge::domain::LinkRequest {
        values: userbridge::domain::MemberPatch {
            name: Some(Some("New Ärger".parse().unwrap())),
            ..Default::default()
        },
        ..Default::default()
    };
    let grant = userbridge::service::Write::operator(organization(ACME));
    directory
        .link_member(grant, link, userbridge::domain::Idempotency::never())
        .await
        .unwrap();
    storage.close().await;
    for migrate in [Migrate::Always, Migrate::Never] {
        let storage = storage::connect(&url, migrate).await.unwrap();
        assert_eq!(numbers(&search(&*storage, ACME, "ärger").await), [1, 5]);
        storage.close().await;
    }
}

/// Until the third version, a user had the address of its first link for good, whatever that link had later.
#[tokio::test]
async fn addresses_that_were_changed_before_are_former_ones_of_the_link_that_had_them() {
    let (_folder, url) = of_the_first_version().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    migrate_to(&mut connection, 3).await;
    // The first changes twice and is linked elsewhere, the fifth is revoked and changes once, the last is erased.
    let id = |id: u128| format!("x'{}'", Uuid::from_u128(id).simple());
    let changed = |organization: u128, sequence: u8, index: u128, fields: &str, at: u16| {
        format!(
            "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
             VALUES ({}, {sequence}, 'member.updated', {}, {}, 'operator', {at}, '{fields}')",
            id(organization),
            id(ACME + 300 + index),
            id(ACME + 200 + index),
        )
    };
    for statement in [
        changed(ACME, 2, 0, "name", 6000),
        changed(ACME, 3, 0, "name email", 7000),
        changed(ACME, 4, 0, "email", 8000),
        changed(GLOBEX, 2, 4, "email role", 3000),
        format!(
            "UPDATE members SET email = 'j@acme.example.com', version = 4, updated_at = 8000 WHERE id = {}",
            id(ACME + 300)
        ),
        format!(
            "INSERT INTO members (organization_id, id, user_id, email, portal_role, created_at, number)
             VALUES ({}, {}, {}, 'j@globex.example.com', 'end_user', 9000, 3)",
            id(GLOBEX),
            id(ACME + 400),
            id(ACME + 200)
        ),
        format!(
            "UPDATE organizations SET last_member_number = 3 WHERE id = {}",
            id(GLOBEX)
        ),
        format!(
            "UPDATE members SET email = 't@globex.example.com', version = 2 WHERE id = {}",
            id(ACME + 304)
        ),
        format!(
            "UPDATE members SET email = NULL, revoked_at = 9000, erased_at = 9000 WHERE id = {}",
            id(ACME + 305)
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let directory = userbridge::service::Directory::new(storage.clone());
    let link = async |organization_id: u128, email: &str| {
        let link = userbridge::domain::LinkRequest {
            values: userbridge::domain::MemberPatch {
                email: Some(Some(email.parse().unwrap())),
                ..Default::default()
            },
            ..Default::default()
        };
        let grant = userbridge::service::Write::operator(organization(organization_id));
        let linked = directory
            .link_member(grant, link, userbridge::domain::Idempotency::never())
            .await;
        let user = crate::support::first(linked.unwrap()).member.user_id;
        user.as_uuid()
            .as_u128()
            .checked_sub(ACME + 200)
            .filter(|user| *user < 100)
    };
    // Who has an address, and who had it last and has no other: the same people as before.
    assert_eq!(
        link(GLOBEX, "j@acme.example.com").await,
        None,
        "he is there already"
    );
    assert_eq!(link(GLOBEX, "nameless@acme.example.com").await, Some(3));
    assert_eq!(link(ACME, "tom@globex.example.com").await, Some(4));
    assert_eq!(link(GLOBEX, "gone@acme.example.com").await, Some(2));
    // Who lives under others, and who was erased: new ones.
    assert_eq!(link(ACME, "jürgen@bücher.example").await, None);
    assert_eq!(link(GLOBEX, "日本@acme.example.com").await, None);
    storage.close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let former: Vec<(Vec<u8>, i64, String, i64, i64)> = sqlx::query_as(
        "SELECT organization_id, member, email, since, until FROM former_addresses ORDER BY email",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let jurgen = (bytes(ACME), 1, "jürgen@bücher.example".to_owned(), 2000, 7000);
    let tom = (bytes(GLOBEX), 2, "tom@globex.example.com".to_owned(), 2004, 3000);
    assert_eq!(former, [jurgen, tom]);
    let since: i64 = sqlx::query_scalar("SELECT email_since FROM members WHERE email = 'j@acme.example.com'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(since, 8000);
    connection.close().await.unwrap();
}

/// Of each organization and of the deployment: members, teams, events.
type Counters = Vec<(Vec<u8>, i64, i64, i64)>;

#[tokio::test]
async fn counters_go_on_from_what_any_earlier_schema_has() {
    for version in 1..=10 {
        let (_folder, url) = of_the_first_version().await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        migrate_to(&mut connection, version).await;
        sqlx::query(
            "INSERT INTO events (organization_id, sequence, kind, actor, at, fields)
             VALUES (zeroblob(16), 7, 'api_key.created', 'operator', 1000, 'scopes')",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        // Numbers that were given once are not given again.
        let given = match version {
            1 => "",
            2..=6 => {
                "UPDATE organizations SET last_team_number = 5, last_member_number = 9 WHERE slug = 'acme'"
            }
            _ => {
                "UPDATE organization_counters SET events = 7 WHERE organization_id = zeroblob(16);
                 UPDATE organization_counters SET teams = 5, members = 9
                     WHERE organization_id = (SELECT id FROM organizations WHERE slug = 'acme')"
            }
        };
        sqlx::query(given).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();

        let storage = storage::connect(&url, Migrate::Always).await.unwrap();
        let directory = userbridge::service::Directory::new(storage.clone());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let counters: Counters = sqlx::query_as(
            "SELECT organization_id, members, teams, events FROM organization_counters ORDER BY organization_id",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let (members, teams) = if version > 1 { (9, 5) } else { (4, 1) };
        let expected = [
            (vec![0; 16], 0, 0, 7),
            (bytes(ACME), members, teams, 1),
            (bytes(GLOBEX), 2, 1, 1),
        ];
        assert_eq!(counters, expected, "from schema {version}");
        for (id, live) in [(ACME, 3), (GLOBEX, 1)] {
            let count = storage.count_members(organization(id), MemberFilter::default());
            assert_eq!(count.await.unwrap(), live, "from schema {version}");
        }
        let grant = userbridge::service::Write::operator(organization(ACME));
        let team = directory.create_team(
            grant.clone(),
            "new".parse().unwrap(),
            "New".parse().unwrap(),
            Idempotency::never(),
        );
        assert_eq!(first(team.await.unwrap()).number, TeamNumber(teams + 1));
        let linked = directory.link_member(grant, LinkRequest::default(), Idempotency::never());
        let member = first(linked.await.unwrap()).member;
        assert_eq!(member.number, MemberNumber(members + 1));
        let secret = TokenSecret::generate(TokenKind::PasswordLink, RANDOM).unwrap();
        let token = secret.stored(member.number, CLOCK.now());
        let rules = Rules(storage.clone());
        rules.insert_token(organization(ACME), token).await.unwrap();
        let heads = storage.heads(vec![organization(ACME)]).await.unwrap();
        assert_eq!(heads, [(organization(ACME), 3)]);
        storage.close().await;
    }
}

#[tokio::test]
async fn a_mail_that_an_earlier_program_has_queued_is_still_to_be_sent() {
    let (_folder, url) = of_the_first_version().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    migrate_to(&mut connection, 10).await;
    let queued = "INSERT INTO mails (organization_id, id, member, kind, created_at, due_at, attempts)
                  VALUES ($1, $2, 1, 'onboarding', 1000, 1000, 0)";
    let queued = sqlx::query(queued).bind(bytes(ACME)).bind(bytes(ACME + 400));
    queued.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let due = storage.due_mails(CLOCK.now(), None, &[], 10).await.unwrap();
    let due: Vec<_> = due.iter().map(|due| due.mail.as_uuid()).collect();
    assert_eq!(due, [&Uuid::from_u128(ACME + 400)]);
}
