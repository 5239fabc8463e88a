//! Mail servers that fail, and people who are not to be written to.

use std::time::Duration;

use userbridge::{
    domain::{BrandingPatch, EventKind, MailState, OrganizationPatch, PageRequest},
    mail::{Smtp, SmtpUrl, Transport},
    service::{Admin, Read, Write},
};

use super::{
    delivery::{address, mail_events, settled, welcome},
    server::{MailServer, config, header},
};
use crate::support::{Form, TestApp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_put_off_or_lost_is_sent_again_and_one_that_is_refused_is_not() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let acme = app.organization("acme").await.id;
    for who in ["refused", "deferred", "dropped"] {
        welcome(&app, acme, address(&format!("{who}@acme.example.com"))).await;
    }
    settled(&app, acme, MailState::Sent, 2).await;
    settled(&app, acme, MailState::Failed, 1).await;
    let mails = server.so_far();
    let to = |who: &str| -> Vec<_> {
        let address = format!("{who}@acme.example.com");
        mails.iter().filter(|mail| mail["to"] == address).collect()
    };
    assert_eq!(to("deferred").len(), 1);
    let dropped = to("dropped");
    assert_eq!(dropped.len(), 2);
    assert_eq!(dropped[0]["lost"], true);
    // Who has got both shows one.
    assert_eq!(header(dropped[0], "Message-ID"), header(dropped[1], "Message-ID"));
    assert_eq!(to("refused").len(), 0);

    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let failed = app
        .directory()
        .mails(Read::operator(acme), Some(MailState::Failed), page);
    let failed = failed.await.unwrap().items.remove(0);
    assert_eq!(failed.attempts, 1);
    // The mail server's own words have the address.
    assert_eq!(failed.error.unwrap().as_str(), "the mail server refused it (550)");
    let events = mail_events(&app, acme).await;
    assert!(
        events.contains(&(EventKind::MailFailed, "onboarding".to_owned())),
        "{events:?}"
    );

    let again = app
        .directory()
        .retry_mail(Write::operator(acme), failed.id)
        .await
        .unwrap();
    assert_eq!(again.unwrap().state(), MailState::Queued);
    settled(&app, acme, MailState::Failed, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_that_get_no_answer_hold_up_no_other_organization_nor_the_end_of_the_server() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let (acme, globex) = (
        app.organization("acme").await.id,
        app.organization("globex").await.id,
    );
    for number in 0..10 {
        welcome(&app, acme, address(&format!("stalled{number}@acme.example.com"))).await;
    }
    server.heard(4).await;
    welcome(&app, globex, address("sally@globex.example.com")).await;
    settled(&app, globex, MailState::Sent, 1).await;
    let stalled = server
        .so_far()
        .into_iter()
        .filter(|said| said["stalled"].is_string());
    // An organization has half of the places.
    assert_eq!(stalled.count(), 4);
    tokio::time::timeout(Duration::from_secs(60), app.shutdown())
        .await
        .expect("the server waits for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_gets_no_answer_in_its_time_is_tried_again() {
    let Some(server) = MailServer::start() else { return };
    let mut mail = server.config();
    mail.timeout = Duration::from_millis(300);
    let app = TestApp::mailing(Form::Embedded, mail).await;
    let acme = app.organization("acme").await.id;
    welcome(&app, acme, address("stalled@acme.example.com")).await;
    server.heard(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_of_a_sender_that_the_mail_server_can_not_write_down_wait_for_another() {
    let Some(server) = MailServer::start_ascii() else {
        return;
    };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let acme = app.organization("acme").await.id;
    let from = async |sender: &str| {
        let sender = Some(Some(sender.parse().unwrap()));
        let patch = OrganizationPatch {
            branding: BrandingPatch {
                sender,
                ..BrandingPatch::default()
            },
            ..OrganizationPatch::default()
        };
        let updated = app.directory().update_organization(Admin::OPERATOR, acme, patch);
        updated.await.unwrap();
    };
    from("sünder@exämple.com").await;
    welcome(&app, acme, address("sally@acme.example.com")).await;
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let tried = async {
        loop {
            let mails = app.directory().mails(Read::operator(acme), None, page.clone());
            let mail = mails.await.unwrap().items.remove(0);
            match mail.error {
                Some(ref error) => return (mail.state(), error.as_str().to_owned()),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let (state, error) = tokio::time::timeout(Duration::from_mins(1), tried).await.unwrap();
    assert_eq!(
        (state, error.as_str()),
        (
            MailState::Queued,
            "the mail server does not take the sender's address"
        )
    );
    from("sender@acme.example.com").await;
    settled(&app, acme, MailState::Sent, 1).await;
    // A member's address does not change by itself.
    welcome(&app, acme, address("sälly@acme.example.com")).await;
    let failed = settled(&app, acme, MailState::Failed, 1).await.remove(0);
    assert_eq!(
        failed.error.unwrap().as_str(),
        "the mail server does not take this address"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_wait_for_a_mail_server_that_is_gone() {
    let Some(server) = MailServer::start() else { return };
    // Nobody listens there.
    let url = SmtpUrl::new("smtp://127.0.0.1:9", None).unwrap();
    let gone = config(Transport::Smtp(Smtp::new(url, None).unwrap()));
    let app = TestApp::mailing(Form::Embedded, gone).await;
    let acme = app.organization("acme").await.id;
    welcome(&app, acme, address("sally@acme.example.com")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let queued = app
        .directory()
        .mails(Read::operator(acme), Some(MailState::Queued), page);
    let queued = queued.await.unwrap().items.remove(0);
    assert_eq!(queued.error.unwrap().as_str(), "the mail server can't be reached");
    assert!(server.so_far().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_written_to_who_was_erased_or_revoked_in_the_meantime() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await.id;
    let erased = welcome(&app, acme, address("erased@acme.example.com")).await;
    let revoked = welcome(&app, acme, address("revoked@acme.example.com")).await;
    let grant = Write::operator(acme);
    app.directory()
        .erase_member(grant.clone(), erased.id)
        .await
        .unwrap();
    app.directory()
        .revoke_member(grant, revoked.id, None)
        .await
        .unwrap();
    welcome(&app, acme, address("sally@acme.example.com")).await;
    let app = TestApp::mailing_on(app.shutdown().await, server.config()).await;
    settled(&app, acme, MailState::Sent, 1).await;
    settled(&app, acme, MailState::Failed, 1).await;
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let all = app
        .directory()
        .mails(Read::operator(acme), None, page)
        .await
        .unwrap()
        .items;
    assert_eq!(all.len(), 2, "{all:?}");
    let mails = server.so_far();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["to"], "sally@acme.example.com");
}
