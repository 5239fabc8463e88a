//! How long the link of a mail works, and which mails stand for another.

use std::time::Duration;

use userbridge::{
    domain::{KeyDigest, MailError, Member, MemberRef, OrganizationId},
    service::{Claim, Letter, Retries, Write},
};

use super::delivery::{address, welcome};
use crate::support::{Form, TestApp};

/// Of one of its mails, it is said how it went.
struct Desk {
    app: TestApp,
    organization: OrganizationId,
}

impl Desk {
    async fn new() -> Self {
        let app = TestApp::start(Form::Embedded).await;
        let organization = app.organization("acme").await.id;
        Self { app, organization }
    }

    /// The mail that waits, and its link. None: none waits.
    async fn claim(&self) -> Option<Box<Letter>> {
        // Links are told apart by the moment in which they were made, and a pause after a failure has to be over.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let directory = self.app.directory();
        let due = directory.due_mails(None, &[], 10).await.unwrap().pop()?;
        match directory.claim_mail(due, Duration::from_mins(1)).await.unwrap() {
            Claim::Letter(letter) => Some(letter),
            other => panic!("{other:?}"),
        }
    }

    async fn sent(&self) -> Box<Letter> {
        let letter = self.claim().await.unwrap();
        self.app.directory().mail_sent(&letter).await.unwrap();
        letter
    }

    async fn fails(&self, letter: &Letter, again: bool) {
        let retries = Retries {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(1),
            give_up: Duration::from_hours(1),
        };
        let error = MailError::new("refused").unwrap();
        let directory = self.app.directory();
        let failed = directory.mail_failed(letter, error, again.then_some(&retries));
        assert!(failed.await.unwrap().is_some());
    }

    async fn reset(&self, member: &Member) {
        let grant = Write::operator(self.organization);
        let reset = self
            .app
            .directory()
            .request_password_reset(grant, MemberRef::Id(member.id));
        reset.await.unwrap();
    }

    /// Which of the links work.
    async fn works<const N: usize>(&self, letters: [&Letter; N]) -> [bool; N] {
        let storage = self.app.storage().await;
        let mut works = [false; N];
        for (works, letter) in works.iter_mut().zip(letters) {
            let digest = KeyDigest::of(letter.token.reveal());
            *works = storage.token_by_digest(digest).await.unwrap().is_some();
        }
        works
    }
}

#[tokio::test]
async fn a_mail_that_went_ends_the_links_of_others_and_one_that_did_not_ends_none() {
    let desk = Desk::new().await;
    let sally = welcome(&desk.app, desk.organization, address("sally@acme.example.com")).await;
    let welcomed = desk.sent().await;
    desk.reset(&sally).await;
    let refused = desk.claim().await.unwrap();
    desk.fails(&refused, false).await;
    assert_eq!(desk.works([&welcomed]).await, [true]);
    // One that was given up stands for no other.
    desk.reset(&sally).await;
    let reset = desk.sent().await;
    assert_eq!(
        desk.works([&welcomed, &refused, &reset]).await,
        [false, false, true]
    );
    // One that went does.
    desk.reset(&sally).await;
    assert!(desk.claim().await.is_none());
}

#[tokio::test]
async fn a_mail_that_is_put_off_ends_no_link_until_it_has_gone() {
    let desk = Desk::new().await;
    let sally = welcome(&desk.app, desk.organization, address("sally@acme.example.com")).await;
    let first = desk.claim().await.unwrap();
    desk.fails(&first, true).await;
    // It may have come all the same: so all of its links work, while no other mail has gone.
    let second = desk.claim().await.unwrap();
    assert_eq!(desk.works([&first, &second]).await, [true, true]);
    desk.fails(&second, true).await;
    desk.reset(&sally).await;
    let welcome = desk.claim().await.unwrap();
    assert_eq!(welcome.mail.id, first.mail.id);
    let reset = desk.sent().await;
    desk.fails(&welcome, true).await;
    assert_eq!(
        desk.works([&first, &second, &welcome, &reset]).await,
        [false, false, false, true]
    );
    let last = desk.sent().await;
    assert_eq!(last.mail.id, first.mail.id);
    assert_eq!(desk.works([&reset, &last]).await, [false, true]);
}

#[tokio::test]
async fn another_address_ends_a_link_and_gets_a_mail_of_its_own() {
    let desk = Desk::new().await;
    let sally = welcome(&desk.app, desk.organization, address("salli@acme.example.com")).await;
    desk.sent().await;
    desk.reset(&sally).await;
    let wrong = desk.sent().await;
    let right = address("sally@acme.example.com");
    let grant = Write::operator(desk.organization);
    let moved = desk.app.directory().update_member(grant, sally.id, right, None);
    moved.await.unwrap();
    assert_eq!(desk.works([&wrong]).await, [false]);
    desk.reset(&sally).await;
    assert_eq!(desk.sent().await.to.as_str(), "sally@acme.example.com");
}
