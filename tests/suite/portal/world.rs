//! An organization with people, and what a scenario in the browser asks of the world outside it.

use std::{fs, path::Path};

use sqlx::{Connection as _, SqliteConnection};
use userbridge::{
    domain::{
        Clock as _, Email, Idempotency, LinkRequest, Locale, Member, MemberPatch, MemberRef, Organization,
        Role, TeamName, TeamSlug, Timestamp, TokenKind, TokenSecret,
    },
    service::Write,
};

use crate::support::{CLOCK, Form, RANDOM, TestApp, first};

/// A name that would be a script, one that turns the text round, and one of as many characters as fit.
const EVIL: [&str; 3] = [
    "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "\u{202e}Ada \u{1f469}\u{200d}\u{1f680} \u{627}\u{644}\u{633}\u{644}\u{627}\u{645}",
    "W",
];

pub(super) struct World {
    pub(super) app: TestApp,
    pub(super) organization: Organization,
    elsewhere: Organization,
}

impl World {
    /// Ada and Otto are owners, Grace is an admin, and 60 others are viewers; another organization has an owner, too.
    pub(super) async fn new(form: Form) -> Self {
        let app = TestApp::start(form).await;
        let organization = app.organization("acme").await;
        let elsewhere = app.organization("elsewhere").await;
        let world = Self {
            app,
            organization,
            elsewhere,
        };
        world.team("sales", "Sales").await;
        world.team("support", "Support & Help").await;
        for (name, role) in [
            ("Ada Lovelace", Role::Owner),
            ("Otto Owner", Role::Owner),
            ("Grace Hopper", Role::Admin),
            ("Edsger Editor", Role::Editor),
        ] {
            world.staff(&world.organization, name, role).await;
        }
        for number in 0..60 {
            let name = format!("Viewer {number:02}");
            world.staff(&world.organization, &name, Role::Viewer).await;
        }
        world.staff(&world.elsewhere, "Eve Elsewhere", Role::Owner).await;
        world
    }

    async fn team(&self, slug: &str, name: &str) {
        let (slug, name) = (TeamSlug::new(slug).unwrap(), TeamName::new(name).unwrap());
        let grant = Write::operator(self.organization.id);
        let made = self
            .app
            .directory()
            .create_team(grant, slug, name, Idempotency::never());
        made.await.unwrap();
    }

    /// Somebody who is called so, at the address of the first name.
    async fn staff(&self, organization: &Organization, name: &str, role: Role) -> Member {
        let address = format!("{}@example.com", name.to_lowercase().replace(' ', "."));
        let values = MemberPatch {
            email: Some(Some(Email::new(&address).unwrap())),
            name: Some(Some(name.parse().unwrap())),
            role: Some(Some(role)),
            ..MemberPatch::default()
        };
        self.link(organization, values).await
    }

    async fn link(&self, organization: &Organization, values: MemberPatch) -> Member {
        let link = LinkRequest {
            values,
            ..LinkRequest::default()
        };
        let grant = Write::operator(organization.id);
        let linked = self
            .app
            .directory()
            .link_member(grant, link, Idempotency::never());
        first(linked.await.unwrap()).member
    }

    async fn member(&self, address: &str) -> (Organization, Member) {
        let storage = self.app.storage().await;
        for organization in [&self.organization, &self.elsewhere] {
            let by = MemberRef::Email(Email::new(address).unwrap());
            if let Some(member) = storage.0.member(organization.id, &by).await.unwrap() {
                return (organization.clone(), member);
            }
        }
        panic!("nobody has {address}");
    }

    /// A code that opens a session.
    pub(super) async fn code(&self, address: &str) -> String {
        let (organization, member) = self.member(address).await;
        let grant = Write::operator(organization.id);
        let code = self.app.directory().issue_handover_code(grant, member.id);
        code.await.unwrap().secret.reveal().to_owned()
    }

    /// The token of a link as it is mailed.
    pub(super) async fn password_link(&self, address: &str) -> String {
        self.token(address, TokenKind::PasswordLink, CLOCK.now()).await
    }

    /// A code that was issued a minute ago, which is as long as one works.
    async fn late_code(&self, address: &str) -> String {
        let at = Timestamp::from_millis(CLOCK.now().as_millis() - 60_000);
        self.token(address, TokenKind::HandoverCode, at).await
    }

    /// A token that was issued at this time.
    async fn token(&self, address: &str, kind: TokenKind, at: Timestamp) -> String {
        let (organization, member) = self.member(address).await;
        let secret = TokenSecret::generate(kind, RANDOM).unwrap();
        let token = secret.stored(member.number, at);
        let storage = self.app.storage().await;
        storage.insert_token(organization.id, token).await.unwrap();
        secret.reveal().to_owned()
    }

    async fn set(&self, address: &str, patch: MemberPatch) {
        let (organization, member) = self.member(address).await;
        let grant = Write::operator(organization.id);
        let changed = self.app.directory().update_member(grant, member.id, patch, None);
        changed.await.unwrap();
    }

    /// Moves the database, and waits until the server has noticed.
    async fn move_file(&self, from: &str, to: &str, is_writable: bool) -> String {
        let file = self.app.database_url().trim_start_matches("sqlite:");
        let path = |name| Path::new(file).with_file_name(name);
        fs::rename(path(from), path(to)).unwrap();
        let mut condition = self.app.directory().condition();
        let noticed = condition.wait_for(|condition| condition.is_writable() == is_writable);
        noticed.await.unwrap();
        String::new()
    }

    /// Answers what a scenario asks for.
    pub(super) async fn answer(&self, what: &str, whom: &str) -> String {
        match what {
            "code" => self.code(whom).await,
            "late-code" => self.late_code(whom).await,
            "id" => self.member(whom).await.1.id.to_string(),
            "role" => {
                let role = self.member(whom).await.1.access.role;
                role.map_or_else(String::new, |role| role.to_string())
            }
            "password-link" => self.password_link(whom).await,
            "half-an-hour" => {
                let mut connection = SqliteConnection::connect(self.app.database_url()).await.unwrap();
                let earlier = "UPDATE tokens SET created_at = created_at - 1800000, last_used_at = last_used_at - 1800000";
                sqlx::query(earlier).execute(&mut connection).await.unwrap();
                String::new()
            }
            "move-file-away" => self.move_file("users.db", "aside.db", false).await,
            "move-file-back" => self.move_file("aside.db", "users.db", true).await,
            "make-viewer" => {
                let patch = MemberPatch {
                    role: Some(Some(Role::Viewer)),
                    ..MemberPatch::default()
                };
                self.set(whom, patch).await;
                String::new()
            }
            "make-french" => {
                let patch = MemberPatch {
                    locale: Some(Some(Locale::new("fr").unwrap())),
                    ..MemberPatch::default()
                };
                self.set(whom, patch).await;
                String::new()
            }
            "make-evil" => {
                self.team("evil", "<b>Evil</b>").await;
                for (number, name) in EVIL.into_iter().enumerate() {
                    let name = if name == "W" {
                        name.repeat(255)
                    } else {
                        name.to_owned()
                    };
                    let values = MemberPatch {
                        email: Some(Some(Email::new(format!("evil.{number}@example.com")).unwrap())),
                        name: Some(Some(name.parse().unwrap())),
                        role: Some(Some(Role::Viewer)),
                        ..MemberPatch::default()
                    };
                    self.link(&self.organization, values).await;
                }
                String::new()
            }
            other => panic!("a scenario asks for {other}"),
        }
    }
}
