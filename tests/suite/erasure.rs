//! What is erased is gone from the files themselves, while the database is open.

use crate::support::rules::LinkMember;
use crate::support::rules::Rules;
use std::{fs, path::Path, sync::Arc, time::Duration};

use sqlx::{Connection as _, SqliteConnection};
use tokio::time::{sleep, timeout};
use userbridge::{
    domain::{
        ApiKeyId, Change, Clock as _, Idempotency, IdempotencyKey, Linked, Member, MemberPatch, Organization,
        OrganizationId,
    },
    service::{Admin, Directory, Write},
    storage::{
        Migrate, Storage, StoreError,
        sqlite::{Settings, SqliteStorage},
    },
};

use crate::support::{CLOCK, RANDOM, database, first};

struct Open {
    folder: tempfile::TempDir,
    url: String,
    storage: Arc<dyn Storage>,
    directory: Directory,
    acme: Organization,
}

impl Open {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let (folder, url) = database();
        let storage = SqliteStorage::open_with(&url, Migrate::Always, settings).await;
        let storage: Arc<dyn Storage> = Arc::new(storage.unwrap());
        let directory = Directory::new(storage.clone());
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let acme = directory
            .create_organization(Admin::OPERATOR, slug, name, Idempotency::never())
            .await;
        Self {
            folder,
            url,
            storage,
            directory,
            acme: first(acme.unwrap()),
        }
    }

    /// Links somebody, and keeps an answer that shows all of it.
    async fn link(&self, email: &str, name: &str) -> Member {
        let at = CLOCK.now();
        let link = LinkMember {
            id: userbridge::domain::MemberId::new(at, RANDOM).unwrap(),
            new_user_id: userbridge::domain::UserId::new(RANDOM).unwrap(),
            user_id: None,
            only_without_role: false,
            send_onboarding_mail: false,
            staff: false,
            origin: userbridge::domain::Origin::default(),
            values: MemberPatch {
                email: Some(Some(email.parse().unwrap())),
                name: Some(Some(name.parse().unwrap())),
                ..MemberPatch::default()
            },
        };
        let once = Idempotency {
            key: Some(IdempotencyKey {
                api_key: ApiKeyId::new(at, RANDOM).unwrap(),
                key: "k".to_owned(),
                request: [1; 32],
            }),
            encode: |linked: &Linked| {
                let member = &linked.member;
                format!("{} {:?}", member.id, member.profile).into_bytes()
            },
        };
        let rules = Rules(self.storage.clone());
        let answer = rules.link_member(self.acme.id, link, once, change());
        first(answer.await.unwrap()).member
    }

    async fn rename(&self, member: &Member, name: &str) {
        let patch = MemberPatch {
            name: Some(Some(name.parse().unwrap())),
            ..MemberPatch::default()
        };
        self.update(member, patch).await;
    }

    async fn readdress(&self, member: &Member, email: &str) {
        let patch = MemberPatch {
            email: Some(Some(email.parse().unwrap())),
            ..MemberPatch::default()
        };
        self.update(member, patch).await;
    }

    async fn update(&self, member: &Member, patch: MemberPatch) {
        let (grant, id) = (Write::operator(self.acme.id), member.id);
        self.directory
            .update_member(grant, id, patch, None)
            .await
            .unwrap();
    }

    async fn erase(&self, member: &Member) {
        let grant = Write::operator(self.acme.id);
        self.directory.erase_member(grant, member.id).await.unwrap();
    }

    /// Those of these texts that are in any of the files, in either letter case.
    fn stored<'a>(&self, texts: &[&'a str]) -> Vec<&'a str> {
        let files = files(self.folder.path());
        let has = |text: &str| files.iter().any(|file| contains(file, text.as_bytes()));
        texts
            .iter()
            .copied()
            .filter(|text| has(text) || has(&text.to_lowercase()))
            .collect()
    }
}

fn change() -> Change {
    Change {
        actor: userbridge::domain::Actor::Operator,
        at: CLOCK.now(),
        client: None,
        source: None,
    }
}

/// The file, its write-ahead log, and whatever else is there.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Whether the search index knows this part.
async fn is_indexed(url: &str, part: &str) -> bool {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM member_texts WHERE instr(lines, $1) > 0")
        .bind(part.as_bytes())
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    found > 0
}

#[tokio::test]
async fn nothing_of_an_erased_member_is_left_in_the_files() {
    let open = Open::new().await;
    let kept = open.link("kept@acme.example.com", "Kept Here").await;
    let sally = open
        .link("quetzal@xylophone.example", "Quetzalcoatl Xylophonist")
        .await;
    open.rename(&sally, "Zephyrine Wolverhampton").await;
    open.readdress(&sally, "ozymandias@vermilion.example").await;
    let texts = [
        "quetzal@xylophone",
        "ozymandias@vermilion",
        "Quetzalcoatl",
        "Xylophonist",
        "Zephyrine",
        "Wolverhampton",
    ];
    assert_eq!(open.stored(&texts), texts, "the search looks in the right place");
    assert!(is_indexed(&open.url, "zep").await);
    open.erase(&sally).await;
    assert_eq!(open.stored(&texts), [""; 0]);
    for part in ["zep", "phy", "xyl", "lve", "qu"] {
        assert!(!is_indexed(&open.url, part).await, "{part}");
    }
    // The id stays, and so does everybody else.
    let id = sally.id.as_uuid().as_bytes();
    assert!(files(open.folder.path()).iter().any(|file| contains(file, id)));
    assert_eq!(open.stored(&["kept@acme.example.com", "Kept Here"]).len(), 2);
    open.erase(&kept).await;
    assert_eq!(open.stored(&["kept@acme.example.com", "Kept Here"]), [""; 0]);
}

#[tokio::test]
async fn the_address_of_a_user_is_left_only_while_another_link_has_it() {
    let open = Open::new().await;
    let (slug, name) = ("globex".parse().unwrap(), "Globex".parse().unwrap());
    let globex = open
        .directory
        .create_organization(Admin::OPERATOR, slug, name, Idempotency::never())
        .await;
    let globex: OrganizationId = first(globex.unwrap()).id;
    let here = open.link("quetzal@xylophone.example", "Quetzalcoatl").await;
    let there = userbridge::domain::LinkRequest {
        user_id: Some(here.user_id),
        values: MemberPatch {
            email: Some(here.profile.email.clone()),
            ..MemberPatch::default()
        },
        ..Default::default()
    };
    let there = open
        .directory
        .link_member(Write::operator(globex), there, Idempotency::never())
        .await;
    let there = first(there.unwrap()).member;
    open.erase(&here).await;
    assert_eq!(open.stored(&["Quetzalcoatl"]), [""; 0]);
    assert_eq!(open.stored(&["quetzal@xylophone"]).len(), 1);
    open.directory
        .erase_member(Write::operator(globex), there.id)
        .await
        .unwrap();
    assert_eq!(open.stored(&["quetzal@xylophone"]), [""; 0]);
}

/// Rows of many lengths, which SQLite moves from page to page as they come, grow and go. Where it has moved a row away,
/// it leaves the bytes in the unused part of the old page until that part is used again, `secure_delete` or not: a file
/// is free of them once it was compacted.
#[tokio::test]
async fn nothing_is_left_of_many_who_came_changed_and_were_erased_once_the_file_is_compacted() {
    let open = Open::new().await;
    let mut members = Vec::new();
    for index in 0..120_usize {
        let filling = "x".repeat(index * 37 % 180);
        let email = format!("mark{index:04}end{filling}@acme.example.com");
        let name = format!("Mark{index:04}End {filling}");
        members.push((open.link(&email, &name).await, format!("mark{index:04}end")));
    }
    for (index, (member, mark)) in members.iter().enumerate() {
        if index % 3 == 0 {
            open.rename(member, &format!("{mark} {}", "y".repeat(index % 200)))
                .await;
        }
    }
    // Not in the order in which they came.
    for index in 0..120_usize {
        if index * 101 % 120 % 4 != 0 {
            open.erase(&members[index * 101 % 120].0).await;
        }
    }
    let texts: Vec<_> = members.iter().map(|(_, mark)| mark.as_str()).collect();
    open.storage.compact().await.unwrap();
    let found = open.stored(&texts);
    let expected: Vec<_> = texts.iter().copied().step_by(4).collect();
    assert_eq!(found, expected);
}

/// Another process that reads the file, such as one that makes an online backup, until it is dropped.
async fn reader(url: &str) -> SqliteConnection {
    let mut reader = SqliteConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM members")
        .execute(&mut reader)
        .await
        .unwrap();
    reader
}

/// Long enough for anything that happens at all, and less than the time for which locks are waited for here.
const NEVER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_is_erased_while_another_process_reads_is_gone_soon_after_it_has_ended() {
    let open = Open::with(Settings {
        // Whoever waited for the reader with the lock in hand would hold everybody for so long.
        busy_timeout: Duration::from_secs(600),
        ..Settings::default()
    })
    .await;
    let sally = open.link("quetzal@xylophone.example", "Quetzalcoatl").await;
    let texts = ["quetzal@xylophone", "Quetzalcoatl"];
    let reader = reader(&open.url).await;
    let held = async {
        open.erase(&sally).await;
        open.link("tom@acme.example.com", "Tom").await;
    };
    timeout(NEVER, held)
        .await
        .expect("the reader holds up the writer");
    assert_eq!(open.stored(&texts), texts, "the reader keeps them in the log");
    reader.close().await.unwrap();
    // Nobody asks again.
    let gone = async {
        while !open.stored(&texts).is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, gone).await.expect("they stay");
}

#[tokio::test]
async fn compacting_fails_while_another_process_reads_what_was_erased() {
    let open = Open::with(Settings {
        log_patience: Duration::from_millis(100),
        ..Settings::default()
    })
    .await;
    let sally = open.link("quetzal@xylophone.example", "Quetzalcoatl").await;
    let reader = reader(&open.url).await;
    open.erase(&sally).await;
    let compacted = open.storage.compact().await;
    assert!(matches!(compacted, Err(StoreError::LogInUse)), "{compacted:?}");
    reader.close().await.unwrap();
    open.storage.compact().await.unwrap();
    assert_eq!(open.stored(&["quetzal@xylophone", "Quetzalcoatl"]), [""; 0]);
}
