//! Mails that wait, and those that were sent or given up.

use userbridge::{
    domain::{
        Branding, BrandingPatch, Change, DueMail, EventKind, Idempotency, Mail, MailId, MailKind, MailState,
        MemberId, MemberNumber, MemberRef, OrganizationId, OrganizationPatch, PageRequest, Precondition,
        Resource, Role, Timestamp,
    },
    service::{ServiceError, rules},
};

use super::{
    fixture::{Fixture, all},
    people::{address, later},
};
use crate::support::{RANDOM, first, rules::LinkMember};

impl Fixture {
    /// Queues a mail to a member, now.
    async fn queued(&self, organization: OrganizationId, member: MemberNumber) -> Mail {
        let now = self.tick();
        let mail = Mail::new(
            MailId::new(now, RANDOM).unwrap(),
            member,
            MailKind::PasswordReset,
            now,
        );
        self.write(
            organization,
            (organization, mail.clone()),
            |tx, (organization, mail)| Box::pin(tx.queue_mail(*organization, mail)),
        )
        .await
        .unwrap();
        mail
    }

    async fn save_mail(&self, organization: OrganizationId, mail: &Mail) {
        self.write(
            organization,
            (organization, mail.clone()),
            |tx, (organization, mail)| Box::pin(tx.save_mail(*organization, mail)),
        )
        .await
        .unwrap();
    }

    async fn stored_mail(&self, organization: OrganizationId, mail: MailId) -> Option<Mail> {
        self.write(organization, (organization, mail), |tx, (organization, mail)| {
            Box::pin(tx.stored_mail(*organization, *mail))
        })
        .await
        .unwrap()
    }

    /// Ids of an organization's mails in a state.
    async fn mails_in(&self, organization: OrganizationId, state: Option<MailState>) -> Vec<MailId> {
        let found = self.mails(organization, state, all()).await.unwrap();
        found.iter().map(|mail| mail.id).collect()
    }

    /// Whose mails are due, in which order, and the mails.
    async fn due(&self, now: Timestamp, after: Option<OrganizationId>) -> Vec<DueMail> {
        self.due_mails(now, after, &[], 100).await.unwrap()
    }
}

fn sent(mail: &Mail, at: Timestamp) -> Mail {
    Mail {
        sent_at: Some(at),
        ..mail.clone()
    }
}

fn failed(mail: &Mail, at: Timestamp) -> Mail {
    Mail {
        failed_at: Some(at),
        error: Some("the recipient was refused".parse().unwrap()),
        ..mail.clone()
    }
}

pub(super) async fn a_mail_comes_back_as_it_was_queued_and_as_it_was_saved(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let mail = fixture.queued(acme, sally.number).await;
    assert_eq!(fixture.stored_mail(acme, mail.id).await, Some(mail.clone()));
    assert_eq!(fixture.stored_mail(globex, mail.id).await, None);
    let changed = Mail {
        due_at: later(mail.due_at, 60_000),
        attempts: 3,
        ..failed(&mail, fixture.tick())
    };
    fixture.save_mail(acme, &changed).await;
    assert_eq!(fixture.stored_mail(acme, mail.id).await, Some(changed));
    // Who is named is another organization's mail: nothing happens.
    fixture.save_mail(globex, &mail).await;
    assert_eq!(fixture.mails_in(globex, None).await, []);
}

pub(super) async fn each_organization_with_mails_to_send_gets_its_turn(fixture: Fixture) {
    let mut turns = Vec::new();
    for slug in ["acme", "globex", "initech"] {
        let organization = fixture.organization(slug).await;
        let member = fixture.link(organization, "sally@acme.example.com").await;
        let first = fixture.queued(organization, member.number).await;
        fixture.queued(organization, member.number).await;
        turns.push(DueMail {
            organization,
            mail: first.id,
        });
    }
    let idle = fixture.organization("idle").await;
    let now = fixture.tick();
    assert_eq!(fixture.due(now, None).await, turns);
    assert_eq!(fixture.due(now, Some(turns[0].organization)).await, turns[1..]);
    assert_eq!(fixture.due(now, Some(idle)).await, []);
    let besides = [turns[1].organization];
    let others = fixture.due_mails(now, None, &besides, 1).await.unwrap();
    assert_eq!(others, turns[..1]);
    let others = fixture.due_mails(now, None, &besides, 2).await.unwrap();
    assert_eq!(others, [turns[0], turns[2]]);

    // One that is sent, given up, or to be tried later makes room for the next.
    let own = |turn: &DueMail| fixture.stored_mail(turn.organization, turn.mail);
    let (acme, globex, initech) = (own(&turns[0]).await, own(&turns[1]).await, own(&turns[2]).await);
    fixture
        .save_mail(turns[0].organization, &sent(&acme.unwrap(), now))
        .await;
    fixture
        .save_mail(turns[1].organization, &failed(&globex.unwrap(), now))
        .await;
    let postponed = Mail {
        due_at: later(now, 60_000),
        ..initech.unwrap()
    };
    fixture.save_mail(turns[2].organization, &postponed).await;
    let seconds = fixture.due(now, None).await;
    assert_eq!(seconds.len(), 3);
    assert!(
        seconds
            .iter()
            .zip(&turns)
            .all(|(second, first)| second.organization == first.organization && second.mail != first.mail)
    );
    // Nothing is due before it was queued.
    assert_eq!(fixture.due(later(now, -60_000), None).await, []);
}

pub(super) async fn mails_are_listed_by_state_in_the_order_they_were_queued(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let globex = fixture.organization("globex").await;
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let mut mails = Vec::new();
    for _ in 0..5 {
        mails.push(fixture.queued(acme, sally.number).await);
    }
    let now = fixture.tick();
    fixture.save_mail(acme, &sent(&mails[1], now)).await;
    fixture.save_mail(acme, &failed(&mails[3], now)).await;
    let ids: Vec<_> = mails.iter().map(|mail| mail.id).collect();
    assert_eq!(fixture.mails_in(acme, None).await, ids);
    assert_eq!(
        fixture.mails_in(acme, Some(MailState::Queued)).await,
        [ids[0], ids[2], ids[4]]
    );
    assert_eq!(fixture.mails_in(acme, Some(MailState::Sent)).await, [ids[1]]);
    assert_eq!(fixture.mails_in(acme, Some(MailState::Failed)).await, [ids[3]]);
    assert_eq!(fixture.mails_in(globex, None).await, []);
    let page = PageRequest {
        after: Some(ids[0]),
        limit: 1,
    };
    let page = fixture.mails(acme, Some(MailState::Queued), page).await.unwrap();
    assert_eq!(page, [mails[2].clone()]);
}

pub(super) async fn a_members_mails_are_found_and_removed_and_no_others(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let bob = fixture.link(acme, "bob@acme.example.com").await;
    let first = fixture.queued(acme, sally.number).await;
    let other = fixture.queued(acme, bob.number).await;
    let second = fixture.queued(acme, sally.number).await;
    let to = async |since: Timestamp| {
        let input = (acme, sally.number, since);
        fixture
            .write(acme, input, |tx, (organization, member, since)| {
                Box::pin(async move { tx.mails_to(*organization, *member, *since).await })
            })
            .await
            .unwrap()
    };
    assert_eq!(to(first.created_at).await, [first.clone(), second.clone()]);
    assert_eq!(to(later(first.created_at, 1)).await, [second]);
    fixture
        .write(acme, (acme, sally.number), |tx, (organization, member)| {
            Box::pin(tx.remove_mails(*organization, *member))
        })
        .await
        .unwrap();
    assert_eq!(fixture.mails_in(acme, None).await, [other.id]);
}

pub(super) async fn old_mails_are_removed_unless_they_wait(fixture: Fixture) {
    assert_eq!(fixture.oldest_settled_mail().await.unwrap(), None);
    let acme = fixture.organization("acme").await;
    let globex = fixture.organization("globex").await;
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let bob = fixture.link(globex, "bob@acme.example.com").await;
    let waiting = fixture.queued(acme, sally.number).await;
    let first = fixture.queued(acme, sally.number).await;
    let second = fixture.queued(globex, bob.number).await;
    let last = fixture.queued(acme, sally.number).await;
    let now = fixture.tick();
    fixture.save_mail(acme, &sent(&first, now)).await;
    fixture.save_mail(globex, &failed(&second, now)).await;
    fixture.save_mail(acme, &sent(&last, now)).await;
    assert_eq!(
        fixture.oldest_settled_mail().await.unwrap(),
        Some(first.created_at)
    );
    let remove = async |limit: u32| {
        fixture
            .write(None, (second.created_at, limit), |tx, (until, limit)| {
                Box::pin(tx.remove_old_mails(*until, *limit))
            })
            .await
            .unwrap()
    };
    assert_eq!(remove(1).await, 1);
    assert_eq!(fixture.mails_in(acme, None).await, [waiting.id, last.id]);
    assert_eq!(remove(100).await, 1);
    assert_eq!(remove(100).await, 0);
    assert_eq!(fixture.mails_in(acme, None).await, [waiting.id, last.id]);
    assert_eq!(fixture.mails_in(globex, None).await, []);
}

pub(super) async fn a_branding_changes_where_it_is_told_to(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let whole = BrandingPatch {
        name: Some(Some("Acme & Söhne".parse().unwrap())),
        logo_url: Some(Some("https://acme.example.com/logo.png".parse().unwrap())),
        sender: Some(Some("people@acme.example.com".parse().unwrap())),
        locale: Some(Some("fr-CH".parse().unwrap())),
    };
    let cleared = BrandingPatch {
        logo_url: Some(None),
        locale: Some(None),
        ..BrandingPatch::default()
    };
    let update = async |branding: BrandingPatch| -> Result<Branding, ServiceError> {
        let patch = OrganizationPatch {
            branding,
            ..OrganizationPatch::default()
        };
        let changed = fixture.update_organization(acme, patch, fixture.change());
        let changed = changed.await?;
        let stored = fixture.storage().organization(acme).await?;
        assert_eq!(stored.as_ref(), Some(&changed));
        Ok(changed.branding)
    };
    let mut expected = Branding {
        name: Some("Acme & Söhne".parse().unwrap()),
        logo_url: Some("https://acme.example.com/logo.png".parse().unwrap()),
        sender: Some("people@acme.example.com".parse().unwrap()),
        locale: Some("fr-CH".parse().unwrap()),
    };
    assert_eq!(update(whole).await.unwrap(), expected);
    expected.logo_url = None;
    expected.locale = None;
    assert_eq!(update(cleared).await.unwrap(), expected);
    let log = fixture.log_of(acme).await;
    let fields: Vec<_> = log[1..]
        .iter()
        .map(|event| (event.kind, event.fields.join(" ")))
        .collect();
    let updated = EventKind::OrganizationUpdated;
    assert_eq!(
        fields,
        [
            (
                updated,
                "branding.name branding.logo_url branding.sender branding.locale".to_owned()
            ),
            (updated, "branding.logo_url branding.locale".to_owned()),
        ]
    );
}

pub(super) async fn a_welcome_is_queued_for_who_becomes_staff_and_has_an_address(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let link = async |email: Option<&str>, role: Option<Role>, send: bool| {
        let mut values = email.map(address).unwrap_or_default();
        values.role = role.map(Some);
        let link = LinkMember {
            send_onboarding_mail: send,
            ..fixture.link_with(values)
        };
        let linked = fixture
            .storage()
            .link_member(acme, link, Idempotency::never(), fixture.change());
        first(linked.await.unwrap()).member.number
    };
    let count = async || fixture.mails_in(acme, None).await.len();
    let sally = Some("sally@acme.example.com");
    // An end user is none, nor is staff of whom that was not asked, or who has no address.
    link(sally, None, true).await;
    link(Some("bob@acme.example.com"), Some(Role::Admin), false).await;
    link(None, Some(Role::Admin), true).await;
    assert_eq!(count().await, 0);
    // Who becomes staff is, once.
    let number = link(sally, Some(Role::Viewer), true).await;
    link(sally, Some(Role::Admin), true).await;
    link(Some("bob@acme.example.com"), Some(Role::Editor), true).await;
    let mails = fixture.mails(acme, None, all()).await.unwrap();
    let mails: Vec<_> = mails.iter().map(|mail| (mail.member, mail.kind)).collect();
    assert_eq!(mails, [(number, MailKind::Onboarding)]);
}

impl Fixture {
    /// Asks for a new password of a member.
    pub(super) async fn ask_for_password(
        &self,
        organization: OrganizationId,
        by: MemberRef,
        change: Change,
    ) -> Result<(), ServiceError> {
        let input = (organization, by, MailId::new(change.at, RANDOM).unwrap(), change);
        self.write(organization, input, |tx, (organization, by, mail, change)| {
            Box::pin(rules::request_password_reset(
                tx,
                *organization,
                by,
                *mail,
                change,
            ))
        })
        .await
        .map(drop)
    }
}

pub(super) async fn a_member_is_queued_few_mails_an_hour(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let begin = fixture.tick();
    let ask = async |by: MemberRef, seconds: i64| {
        let change = Change {
            at: later(begin, seconds * 1000),
            ..fixture.change()
        };
        fixture.ask_for_password(acme, by, change).await
    };
    let by_id = || MemberRef::Id(sally.id);
    let mut queued = Vec::new();
    // Within a minute, and while one waits that nobody has begun to send, that one stands for the next.
    for (seconds, expected) in [(0, 1), (59, 1), (61, 1)] {
        ask(by_id(), seconds).await.unwrap();
        queued = fixture.mails(acme, None, all()).await.unwrap();
        assert_eq!(queued.len(), expected, "after {seconds} seconds");
    }
    fixture.save_mail(acme, &sent(&queued[0], begin)).await;
    for (seconds, expected) in [
        (120, 2),
        (180, 3),
        (240, 4),
        (300, 5),
        (360, 5),
        (3599, 5),
        (3601, 6),
    ] {
        ask(by_id(), seconds).await.unwrap();
        queued = fixture.mails(acme, None, all()).await.unwrap();
        assert_eq!(queued.len(), expected, "after {seconds} seconds");
        for mail in &queued {
            fixture.save_mail(acme, &sent(mail, begin)).await;
        }
    }
    let asked = fixture.log_of(acme).await;
    let asked = asked
        .iter()
        .filter(|event| event.kind == EventKind::CredentialResetRequested);
    assert_eq!(asked.count(), 6);

    let nobody = MemberRef::Email("nobody@acme.example.com".parse().unwrap());
    ask(nobody, 9000).await.unwrap();
    let other = fixture.link_with(userbridge::domain::MemberPatch::default());
    let other = fixture
        .storage()
        .link_member(acme, other, Idempotency::never(), fixture.change());
    let other = first(other.await.unwrap()).member.id;
    let refused = ask(MemberRef::Id(other), 9000).await;
    assert!(
        matches!(refused, Err(ServiceError::Precondition(Precondition::NoEmail))),
        "{refused:?}"
    );
    let missing = MemberRef::Id(MemberId::new(begin, RANDOM).unwrap());
    let refused = ask(missing, 9000).await;
    assert!(
        matches!(refused, Err(ServiceError::NotFound(Resource::Member))),
        "{refused:?}"
    );
    assert_eq!(fixture.mails_in(acme, None).await.len(), 6);
}

pub(super) async fn mails_of_a_clock_that_was_ahead_stand_for_none(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let by_id = || MemberRef::Id(sally.id);
    let begin = fixture.tick();
    let ask = async |millis: i64| {
        let change = Change {
            at: later(begin, millis),
            ..fixture.change()
        };
        fixture.ask_for_password(acme, by_id(), change).await.unwrap();
        let queued = fixture.mails(acme, None, all()).await.unwrap();
        for mail in &queued {
            fixture.save_mail(acme, &sent(mail, mail.created_at)).await;
        }
        queued.len()
    };
    // Replicas' clocks differ.
    assert_eq!(ask(5 * 60_000).await, 1);
    assert_eq!(ask(0).await, 1);
    for minutes in 0..4 {
        assert_eq!(
            ask(86_400_000 + minutes * 120_000).await,
            2 + usize::try_from(minutes).unwrap()
        );
    }
    // Three more of this hour, with the one above.
    for (minutes, expected) in [(7, 6), (9, 7), (11, 8), (13, 9), (15, 9)] {
        assert_eq!(ask(minutes * 60_000).await, expected, "after {minutes} minutes");
    }
}
