//! Passwords, tokens and sessions.

use tokio::task::JoinSet;
use userbridge::{
    domain::{
        Actor, Change, EventKind, Member, MemberRef, OrganizationId, PasswordHash, Role, StoredToken,
        Timestamp, TokenKind, TokenSecret,
    },
    service::{
        ServiceError,
        rules::{NewPassword, RightPassword},
    },
};

use super::{
    fixture::Fixture,
    people::{assert_fails, by_email, later, set, values},
};
use crate::support::RANDOM;

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(text.to_owned())
}

impl Fixture {
    /// A token of this kind that is stored.
    pub(super) async fn token(
        &self,
        organization: OrganizationId,
        member: &Member,
        kind: TokenKind,
    ) -> StoredToken {
        let token = self.new_token(member, kind);
        self.insert_token(organization, token.clone()).await.unwrap();
        token
    }

    fn new_token(&self, member: &Member, kind: TokenKind) -> StoredToken {
        let secret = TokenSecret::generate(kind, RANDOM).unwrap();
        secret.stored(member.number, self.tick())
    }

    /// Whether somebody who presents the token is found.
    async fn knows(&self, token: &StoredToken) -> bool {
        self.token_by_digest(token.digest).await.unwrap().is_some()
    }

    /// A change by this member, now.
    pub(super) fn change_by(&self, member: &Member) -> Change {
        Change {
            actor: Actor::Member(member.id),
            ..self.change()
        }
    }

    async fn has_password(&self, organization: OrganizationId, email: &str) -> Option<PasswordHash> {
        let found = self.member_and_password(organization, &by_email(email)).await;
        found.unwrap().and_then(|(_, password)| password)
    }
}

pub(super) async fn a_token_comes_back_with_its_live_member(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let token = fixture.token(acme, &sally, TokenKind::Session).await;
    let found = fixture.token_by_digest(token.digest).await.unwrap().unwrap();
    assert_eq!(
        (found.organization, &found.token, &found.member),
        (acme, &token, &sally)
    );
    // The member is what it is now.
    let sally = fixture
        .update(acme, &sally, values! { role: Some(Role::Owner) })
        .await
        .unwrap();
    let found = fixture.token_by_digest(token.digest).await.unwrap().unwrap();
    assert_eq!(found.member, sally);
    let unknown = fixture.new_token(&sally, TokenKind::Session);
    assert!(!fixture.knows(&unknown).await);
    fixture.remove_token(acme, token.digest).await.unwrap();
    assert!(!fixture.knows(&token).await);
}

pub(super) async fn a_token_of_another_organization_is_not_touched(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    // Both have the number 1.
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let tom = fixture.holder(globex, TOM, Role::Admin).await;
    assert_eq!(sally.number, tom.number);
    let (ours, theirs) = (
        fixture.token(acme, &sally, TokenKind::Session).await,
        fixture.token(globex, &tom, TokenKind::Session).await,
    );
    fixture
        .remove_tokens(acme, sally.number, TokenKind::AccessToken)
        .await
        .unwrap();
    fixture.remove_token(acme, theirs.digest).await.unwrap();
    let change = fixture.change_by(&tom);
    assert_fails!(
        fixture.end_session(acme, theirs.digest, change).await,
        ServiceError::InvalidToken
    );
    let used = fixture.tick();
    fixture.record_token_use(acme, theirs.digest, used).await.unwrap();
    assert!(fixture.knows(&ours).await);
    let found = fixture.token_by_digest(theirs.digest).await.unwrap().unwrap();
    assert_eq!(found.token, theirs);
    fixture
        .remove_tokens(acme, sally.number, TokenKind::Session)
        .await
        .unwrap();
    assert!(!fixture.knows(&ours).await);
    assert!(fixture.knows(&theirs).await);
    fixture
        .save_password(acme, sally.number, hash("ours"), used)
        .await
        .unwrap();
    assert_eq!(fixture.has_password(globex, TOM).await, None);
}

pub(super) async fn the_use_of_a_token_is_kept_if_it_is_later(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let token = fixture.token(acme, &sally, TokenKind::Session).await;
    let (early, late) = (fixture.tick(), fixture.tick());
    for at in [late, early] {
        fixture.record_token_use(acme, token.digest, at).await.unwrap();
    }
    let found = fixture.token_by_digest(token.digest).await.unwrap().unwrap();
    assert_eq!(found.token.last_used_at, Some(late));
}

pub(super) async fn tokens_that_are_over_are_removed_the_first_first(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    assert_eq!(fixture.first_token_end().await.unwrap(), None);
    let mut tokens = Vec::new();
    for kind in [
        TokenKind::HandoverCode,
        TokenKind::AccessToken,
        TokenKind::PasswordLink,
    ] {
        tokens.push(fixture.token(acme, &sally, kind).await);
    }
    let [code, access, link] = &tokens[..] else {
        unreachable!()
    };
    assert_eq!(fixture.first_token_end().await.unwrap(), Some(code.expires_at));
    let before = later(code.expires_at, -1);
    assert_eq!(fixture.remove_tokens_over(before, 10).await.unwrap(), 0);
    assert_eq!(fixture.remove_tokens_over(link.expires_at, 1).await.unwrap(), 1);
    assert!(!fixture.knows(code).await);
    assert_eq!(
        fixture.remove_tokens_over(access.expires_at, 10).await.unwrap(),
        1
    );
    assert!(fixture.knows(link).await);
}

pub(super) async fn a_link_sets_a_password_once_and_ends_what_another_password_gave(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let tom = fixture.holder(acme, TOM, Role::Admin).await;
    let mut tokens = Vec::new();
    for kind in TokenKind::ALL {
        tokens.push(fixture.token(acme, &sally, *kind).await);
    }
    let other = fixture.token(acme, &tom, TokenKind::Session).await;
    for (token, kind) in tokens.iter().zip(TokenKind::ALL).skip(1) {
        let new = NewPassword {
            link: token.digest,
            hash: hash("wrong kind"),
        };
        let change = fixture.change_by(&sally);
        assert_fails!(
            fixture.set_password(acme, new, change).await,
            ServiceError::InvalidToken
        );
        assert!(fixture.knows(token).await, "{kind}");
    }
    let mut racers = JoinSet::new();
    for number in 0..4 {
        let (fixture, change) = (fixture.clone(), fixture.change_by(&sally));
        let new = NewPassword {
            link: tokens[0].digest,
            hash: hash(&number.to_string()),
        };
        racers.spawn(async move { fixture.set_password(acme, new, change).await });
    }
    let results = racers.join_all().await;
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        1,
        "{results:?}"
    );
    assert!(fixture.has_password(acme, SALLY).await.is_some());
    for token in &tokens {
        assert!(!fixture.knows(token).await);
    }
    assert!(fixture.knows(&other).await);
    let now = fixture.now(acme, &sally).await;
    assert!(now.access.onboarded && now.version > sally.version);
    let event = fixture.last_event(acme).await;
    assert_eq!(
        (event.kind, event.actor, event.fields),
        (
            EventKind::PasswordSet,
            Actor::Member(sally.id),
            vec!["onboarded".to_owned()]
        )
    );
    // Another time there is no more to say of the member.
    let link = fixture.token(acme, &sally, TokenKind::PasswordLink).await;
    let new = NewPassword {
        link: link.digest,
        hash: hash("another"),
    };
    let change = fixture.change_by(&sally);
    fixture.set_password(acme, new, change).await.unwrap();
    assert_eq!(fixture.has_password(acme, SALLY).await, Some(hash("another")));
    assert_eq!(fixture.now(acme, &sally).await, now);
    assert_eq!(fixture.last_event(acme).await.kind, EventKind::PasswordSet);
}

pub(super) async fn a_link_that_is_over_sets_nothing(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let link = fixture.token(acme, &sally, TokenKind::PasswordLink).await;
    let new = NewPassword {
        link: link.digest,
        hash: hash("late"),
    };
    let at = |at: Timestamp| Change {
        at,
        ..fixture.change_by(&sally)
    };
    let late = fixture.set_password(acme, new.clone(), at(link.expires_at)).await;
    assert_fails!(late, ServiceError::InvalidToken);
    assert_eq!(fixture.has_password(acme, SALLY).await, None);
    let in_time = at(later(link.expires_at, -1));
    fixture.set_password(acme, new, in_time).await.unwrap();
}

pub(super) async fn a_right_password_admits_while_it_is_the_members(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Viewer).await;
    fixture
        .save_password(acme, sally.number, hash("old"), fixture.tick())
        .await
        .unwrap();
    let right = |judged: &str, newer: Option<&str>| RightPassword {
        member: sally.id,
        hash: hash(judged),
        newer: newer.map(hash),
        token: fixture.new_token(&sally, TokenKind::AccessToken),
    };
    let stale = right("older", None);
    let admitted = fixture.admit_member(acme, stale.clone(), fixture.change()).await;
    assert_eq!(admitted.unwrap(), None);
    assert!(!fixture.knows(&stale.token).await);
    let good = right("old", Some("new"));
    let admitted = fixture.admit_member(acme, good.clone(), fixture.change()).await;
    assert!(admitted.unwrap().unwrap().access.onboarded);
    assert!(fixture.knows(&good.token).await);
    assert_eq!(fixture.has_password(acme, SALLY).await, Some(hash("new")));
    assert_eq!(fixture.last_event(acme).await.fields, ["onboarded"]);
    // A second time says nothing of the member.
    let log = fixture.log_of(acme).await;
    let again = fixture
        .admit_member(acme, right("new", None), fixture.change())
        .await;
    assert!(again.unwrap().is_some());
    assert_eq!(fixture.log_of(acme).await, log);
    let disabled = fixture.update(acme, &sally, values! { enabled: false }).await;
    disabled.unwrap();
    let refused = fixture
        .admit_member(acme, right("new", None), fixture.change())
        .await;
    assert_eq!(refused.unwrap(), None);
}

pub(super) async fn only_those_who_manage_members_get_a_code(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Owner).await;
    fixture.holder(acme, TOM, Role::Owner).await;
    for (role, enabled, gets_one) in [
        (Role::Owner, true, true),
        (Role::Admin, true, true),
        (Role::Admin, false, false),
        (Role::Editor, true, false),
    ] {
        let patch = values! { role: Some(role), enabled: enabled };
        let sally = fixture.update(acme, &sally, patch).await.unwrap();
        let code = fixture.new_token(&sally, TokenKind::HandoverCode);
        let issued = fixture.issue_handover_code(acme, sally.id, None, code.clone(), fixture.change());
        match issued.await {
            Ok(()) => assert!(gets_one),
            Err(error) => assert!(
                !gets_one && matches!(error, ServiceError::RoleRequired),
                "{error}"
            ),
        }
        assert_eq!(fixture.knows(&code).await, gets_one);
    }
    fixture.revoke(acme, &sally).await.unwrap();
    let code = fixture.new_token(&sally, TokenKind::HandoverCode);
    let issued = fixture.issue_handover_code(acme, sally.id, None, code, fixture.change());
    assert_fails!(issued.await, ServiceError::NotFound(_));
}

pub(super) async fn an_access_token_that_has_ended_gets_no_code(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Owner).await;
    let access = fixture.token(acme, &sally, TokenKind::AccessToken).await;
    let issue = || {
        let code = fixture.new_token(&sally, TokenKind::HandoverCode);
        let by = Some(access.digest);
        fixture.issue_handover_code(acme, sally.id, by, code, fixture.change_by(&sally))
    };
    issue().await.unwrap();
    fixture.remove_token(acme, access.digest).await.unwrap();
    assert_fails!(issue().await, ServiceError::InvalidToken);
}

pub(super) async fn of_many_who_use_a_code_at_once_one_gets_a_session(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let code = fixture.token(acme, &sally, TokenKind::HandoverCode).await;
    let mut racers = JoinSet::new();
    let mut sessions = Vec::new();
    for _ in 0..8 {
        let (fixture, change) = (fixture.clone(), fixture.change_by(&sally));
        let (code, session) = (code.digest, fixture.new_token(&sally, TokenKind::Session));
        sessions.push(session.clone());
        racers.spawn(async move { fixture.create_session(acme, code, session, change).await });
    }
    let results = racers.join_all().await;
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        1,
        "{results:?}"
    );
    let mut opened = Vec::new();
    for session in sessions {
        if fixture.knows(&session).await {
            opened.push(session);
        }
    }
    assert_eq!(opened.len(), 1);
    let event = fixture.last_event(acme).await;
    assert_eq!(
        (event.kind, event.member_id, event.actor),
        (EventKind::SessionCreated, Some(sally.id), Actor::Member(sally.id))
    );
    // It ends once.
    let end = || fixture.end_session(acme, opened[0].digest, fixture.change_by(&sally));
    end().await.unwrap();
    assert_fails!(end().await, ServiceError::InvalidToken);
    assert_eq!(fixture.last_event(acme).await.kind, EventKind::SessionEnded);
}

pub(super) async fn tokens_end_for_good_with_what_they_stand_on(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    fixture.holder(acme, TOM, Role::Owner).await;
    let sally = fixture.holder(acme, SALLY, Role::Owner).await;
    for (ending, left) in [
        ("role", &[TokenKind::PasswordLink, TokenKind::AccessToken][..]),
        ("disabled", &[TokenKind::PasswordLink]),
        (
            "address",
            &[
                TokenKind::AccessToken,
                TokenKind::HandoverCode,
                TokenKind::Session,
            ],
        ),
        ("revoked", &[]),
    ] {
        let mut tokens = Vec::new();
        for kind in TokenKind::ALL {
            tokens.push(fixture.token(acme, &sally, *kind).await);
        }
        match ending {
            "role" => {
                for role in [Role::Admin, Role::Viewer, Role::Owner] {
                    let changed = fixture.update(acme, &sally, values! { role: Some(role) }).await;
                    changed.unwrap();
                }
            }
            "disabled" => {
                for enabled in [false, true] {
                    let changed = fixture.update(acme, &sally, values! { enabled: enabled }).await;
                    changed.unwrap();
                }
            }
            "address" => {
                let moved = values! { email: set("sally@other.example") };
                fixture.update(acme, &sally, moved).await.unwrap();
            }
            _ => {
                fixture.revoke(acme, &sally).await.unwrap();
                fixture.restore(acme, &sally).await.unwrap();
            }
        }
        for (token, kind) in tokens.iter().zip(TokenKind::ALL) {
            assert_eq!(fixture.knows(token).await, left.contains(kind), "{ending} {kind}");
        }
    }
    // Neither an OWNER who becomes an ADMIN nor another change ends anything.
    let session = fixture.token(acme, &sally, TokenKind::Session).await;
    let harmless = values! { role: Some(Role::Admin), name: set("Sally") };
    fixture.update(acme, &sally, harmless).await.unwrap();
    assert!(fixture.knows(&session).await);
}

pub(super) async fn an_erased_member_leaves_neither_password_nor_token(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture
        .person(acme, values! { email: set(SALLY), portal_role: set("end_user") })
        .await;
    let tokens = [
        fixture.token(acme, &sally, TokenKind::PasswordLink).await,
        fixture.token(acme, &sally, TokenKind::AccessToken).await,
    ];
    fixture
        .save_password(acme, sally.number, hash("gone"), fixture.tick())
        .await
        .unwrap();
    // An integrator's delete is another way to the end of the link.
    let change = fixture.change();
    assert!(fixture.revoke_member(acme, sally.user_id, change).await.unwrap());
    for token in &tokens {
        assert!(!fixture.knows(token).await);
    }
    let by_id = MemberRef::Id(sally.id);
    assert!(fixture.member_and_password(acme, &by_id).await.unwrap().is_none());
    fixture.erase(acme, &sally).await.unwrap();
    assert_eq!(fixture.first_token_end().await.unwrap(), None);
}

pub(super) async fn nothing_works_in_a_deleted_organization(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.holder(acme, SALLY, Role::Admin).await;
    let link = fixture.token(acme, &sally, TokenKind::PasswordLink).await;
    let change = fixture.change();
    fixture.delete_organization(acme, change).await.unwrap();
    assert!(!fixture.knows(&link).await);
    let new = NewPassword {
        link: link.digest,
        hash: hash("late"),
    };
    let change = fixture.change_by(&sally);
    assert_fails!(
        fixture.set_password(acme, new, change).await,
        ServiceError::NotFound(_)
    );
}
