//! What comes where, and in which words.

use sqlx::{Connection as _, SqliteConnection};
use userbridge::{
    domain::{
        BrandingPatch, EventKind, EventQuery, Idempotency, LinkRequest, Mail, MailState, Member, MemberPatch,
        MemberRef, OrganizationId, OrganizationPatch, PageRequest, Role,
    },
    mail::Transport,
    service::{Admin, Read, Write},
};

use super::server::{MailServer, config, header, link};
use crate::support::{Form, TestApp, first, proto::directory_v1::SetPasswordRequest, with_key};

/// Makes staff of somebody, with a welcome.
pub(super) async fn welcome(app: &TestApp, organization: OrganizationId, values: MemberPatch) -> Member {
    let request = LinkRequest {
        values: MemberPatch {
            role: Some(Some(Role::Admin)),
            ..values
        },
        send_onboarding_mail: true,
        ..LinkRequest::default()
    };
    let linked = app
        .directory()
        .link_member(Write::operator(organization), request, Idempotency::never());
    first(linked.await.unwrap()).member
}

/// Of whom only the address is known.
pub(super) fn address(email: &str) -> MemberPatch {
    MemberPatch {
        email: Some(Some(email.parse().unwrap())),
        ..MemberPatch::default()
    }
}

/// Kinds and fields of an organization's events about mails.
pub(super) async fn mail_events(app: &TestApp, organization: OrganizationId) -> Vec<(EventKind, String)> {
    let query = EventQuery {
        limit: 1000,
        kinds: vec![
            EventKind::CredentialResetRequested,
            EventKind::MailSent,
            EventKind::MailFailed,
        ],
        ..EventQuery::default()
    };
    let events = app
        .directory()
        .events(Read::operator(organization), query)
        .await
        .unwrap();
    let events = events.items.into_iter();
    events.map(|event| (event.kind, event.fields.join(" "))).collect()
}

/// An organization's mails in a state, once there are so many.
pub(crate) async fn settled(
    app: &TestApp,
    organization: OrganizationId,
    state: MailState,
    count: usize,
) -> Vec<Mail> {
    for _ in 0..600 {
        let page = PageRequest {
            after: None,
            limit: 100,
        };
        let mails = app
            .directory()
            .mails(Read::operator(organization), Some(state), page);
        let mails = mails.await.unwrap().items;
        if mails.len() >= count {
            return mails;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no {count} mails are {state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_welcome_comes_in_the_members_language_with_the_organizations_brand() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let acme = app.organization("acme").await.id;
    let branding = BrandingPatch {
        name: Some(Some("Acme <b>& Söhne</b> 🎉".parse().unwrap())),
        logo_url: Some(Some("https://acme.example.com/logo.png?a=1&b=2".parse().unwrap())),
        sender: Some(Some("hello@acme.example.com".parse().unwrap())),
        locale: Some(Some("fr-CH".parse().unwrap())),
    };
    let patch = OrganizationPatch {
        branding,
        ..OrganizationPatch::default()
    };
    app.directory()
        .update_organization(Admin::OPERATOR, acme, patch)
        .await
        .unwrap();
    let name = format!("<script>alert(1)</script> \u{202e}\"Doe\", {}", "é".repeat(200));
    welcome(
        &app,
        acme,
        MemberPatch {
            name: Some(Some(name.parse().unwrap())),
            ..address("marie@acme.example.com")
        },
    )
    .await;
    server.heard(1).await;
    welcome(
        &app,
        acme,
        MemberPatch {
            locale: Some(Some("en-GB".parse().unwrap())),
            ..address("sally@acme.example.com")
        },
    )
    .await;
    let mails = server.heard(2).await;
    for (mail, to, subject, greeting) in [
        (
            &mails[0],
            "marie@acme.example.com",
            "Bienvenue chez",
            "Bonjour <script>",
        ),
        (&mails[1], "sally@acme.example.com", "Welcome to", "Hello,"),
    ] {
        assert_eq!(mail["to"], to);
        assert_eq!(mail["sender"], "hello@acme.example.com");
        assert_eq!(header(mail, "To"), to);
        assert_eq!(
            header(mail, "Subject"),
            format!("{subject} Acme <b>& Söhne</b> 🎉")
        );
        assert!(header(mail, "From").contains("Acme <b>& Söhne</b> 🎉"), "{mail}");
        assert!(
            header(mail, "From").ends_with("<hello@acme.example.com>"),
            "{mail}"
        );
        assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
        assert!(header(mail, "Message-ID").ends_with("@userbridge.example>"));
        assert!(!header(mail, "Date").is_empty());
        assert!(mail["text"].as_str().unwrap().starts_with(greeting), "{mail}");
        let html = mail["html"].as_str().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert!(
            html.contains("src=\"https://acme.example.com/logo.png?a=1&#38;b=2\""),
            "{html}"
        );
        assert!(link(mail).starts_with("https://people.example.com/set-password?token=ubp_"));
    }
    assert!(mails[0]["text"].as_str().unwrap().contains(&name));
    settled(&app, acme, MailState::Sent, 2).await;
    let sent = (EventKind::MailSent, "onboarding".to_owned());
    assert_eq!(mail_events(&app, acme).await, [sent.clone(), sent]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_looks_encoded_is_shown_as_it_is() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let acme = app.organization("acme").await.id;
    for (index, name) in [
        "=?utf-8?q?hi?=".to_owned(),
        format!("=?utf-8?q?hi?= {}", "é🎉 a".repeat(30)),
    ]
    .into_iter()
    .enumerate()
    {
        let patch = OrganizationPatch {
            branding: BrandingPatch {
                name: Some(Some(name.parse().unwrap())),
                ..BrandingPatch::default()
            },
            ..OrganizationPatch::default()
        };
        let updated = app.directory().update_organization(Admin::OPERATOR, acme, patch);
        updated.await.unwrap();
        welcome(&app, acme, address(&format!("sally{index}@acme.example.com"))).await;
        let mails = server.heard(index + 1).await;
        assert_eq!(header(&mails[index], "Subject"), format!("Welcome to {name}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_for_a_new_password_goes_to_who_has_the_address_and_nobody_learns_who_has_none() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let acme = app.organization("acme").await.id;
    let sally = welcome(&app, acme, address("sally@acme.example.com")).await;
    settled(&app, acme, MailState::Sent, 1).await;
    let ask = async |email: &str| {
        let by = MemberRef::Email(email.parse().unwrap());
        app.directory()
            .request_password_reset(Write::operator(acme), by)
            .await
    };
    // A second request within a minute stands for the first. Something is committed each time, so nobody is answered sooner.
    let mut beside = SqliteConnection::connect(app.database_url()).await.unwrap();
    let mut version = async || -> i64 {
        let version = sqlx::query_scalar("PRAGMA data_version");
        version.fetch_one(&mut beside).await.unwrap()
    };
    for email in [
        "sally@acme.example.com",
        "nobody@acme.example.com",
        "sally@acme.example.com",
    ] {
        let before = version().await;
        ask(email).await.unwrap();
        assert_ne!(version().await, before, "{email}");
    }
    let mails = server.heard(2).await;
    assert_eq!(mails[1]["to"], "sally@acme.example.com");
    assert_eq!(header(&mails[1], "Subject"), "Set a new password for acme");
    assert_eq!(mails[1]["sender"], "people@userbridge.example");
    assert_ne!(link(&mails[0]), link(&mails[1]));
    settled(&app, acme, MailState::Sent, 2).await;
    assert_eq!(server.so_far().len(), 2);
    let kinds: Vec<_> = mail_events(&app, acme).await;
    let kinds: Vec<_> = kinds.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::MailSent,
            EventKind::CredentialResetRequested,
            EventKind::MailSent
        ]
    );
    // The first link ended with the second.
    let storage = app.storage().await;
    let token = |mail| {
        let link: String = link(mail);
        userbridge::domain::KeyDigest::of(link.split_once("token=").unwrap().1)
    };
    let found = storage.token_by_digest(token(&mails[0])).await.unwrap();
    assert!(found.is_none());
    let found = storage.token_by_digest(token(&mails[1])).await.unwrap().unwrap();
    assert_eq!(found.member.id, sally.id);

    // And the second one sets a password, once.
    let token = link(&mails[1]).split_once("token=").unwrap().1.to_owned();
    let set = || {
        let password = "violet otter under glass".to_owned();
        with_key(SetPasswordRequest { password }, &token)
    };
    app.credentials().set_password(set()).await.unwrap();
    let again = app.credentials().set_password(set()).await.unwrap_err();
    assert_eq!(again.code(), tonic::Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_written_to_a_file_where_there_is_no_mail_server() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::mailing(
        Form::Embedded,
        config(Transport::Folder(folder.path().to_owned())),
    )
    .await;
    let acme = app.organization("acme").await.id;
    welcome(&app, acme, address("sally@acme.example.com")).await;
    settled(&app, acme, MailState::Sent, 1).await;
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].extension().unwrap(), "eml");
    let mail = std::fs::read_to_string(&files[0]).unwrap();
    assert!(mail.contains("To: sally@acme.example.com"), "{mail}");
}
