//! How long tokens work, and watches with them. The clock is the test's.

use std::time::Duration;

use tokio_stream::StreamExt as _;
use userbridge::{
    domain::{Email, Idempotency, LinkRequest, Member, MemberPatch, Presented, Role, TokenKind, TokenSecret},
    service::{Area, Credential, ServiceError, Write},
};

use super::maintenance::World;
use crate::support::{first, rules::Rules};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

impl World {
    async fn admin(&self) -> Member {
        let link = LinkRequest {
            values: MemberPatch {
                email: Some(Some(Email::new("sally@acme.example.com").unwrap())),
                role: Some(Some(Role::Admin)),
                ..MemberPatch::default()
            },
            ..LinkRequest::default()
        };
        let linked = self
            .directory
            .link_member(Write::operator(self.acme), link, Idempotency::never());
        first(linked.await.unwrap()).member
    }

    async fn token(&self, member: &Member, kind: TokenKind) -> Presented {
        let secret = TokenSecret::generate(kind, crate::support::RANDOM).unwrap();
        let token = secret.stored(member.number, self.directory.now());
        let rules = Rules(self.storage());
        rules.insert_token(self.acme, token).await.unwrap();
        Presented::new(secret.reveal())
    }

    /// Whether a call with the token is let through.
    async fn calls(&self, token: Presented) -> bool {
        match self.directory.caller(token, Area::Credentials).await {
            Ok(_) => true,
            Err(ServiceError::InvalidToken) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn links_codes_and_access_tokens_work_for_their_time() {
    let world = World::new().await;
    let sally = world.admin().await;
    for (kind, lifetime) in [
        (TokenKind::PasswordLink, 24 * HOUR),
        (TokenKind::HandoverCode, MINUTE),
        (TokenKind::AccessToken, 15 * MINUTE),
    ] {
        let token = world.token(&sally, kind).await;
        world.clock.pass(lifetime - 1);
        assert!(world.calls(token).await, "{kind}");
        world.clock.pass(1);
        assert!(!world.calls(token).await, "{kind}");
    }
}

#[tokio::test]
async fn a_session_ends_half_an_hour_after_its_last_call() {
    let world = World::new().await;
    let sally = world.admin().await;
    let token = world.token(&sally, TokenKind::Session).await;
    for _ in 0..3 {
        world.clock.pass(30 * MINUTE - 1);
        assert!(world.calls(token).await);
        world.directory.flush_last_used().await;
    }
    world.clock.pass(30 * MINUTE);
    assert!(!world.calls(token).await);
}

#[tokio::test]
async fn a_session_that_is_always_used_ends_after_twelve_hours() {
    let world = World::new().await;
    let sally = world.admin().await;
    let token = world.token(&sally, TokenKind::Session).await;
    for _ in 0..(12 * 3 - 1) {
        world.clock.pass(20 * MINUTE);
        assert!(world.calls(token).await);
        world.directory.flush_last_used().await;
    }
    world.clock.pass(20 * MINUTE - 1);
    assert!(world.calls(token).await);
    world.clock.pass(1);
    assert!(!world.calls(token).await);
}

#[tokio::test]
async fn a_token_of_a_clock_that_was_ahead_does_not_outlive_its_time() {
    let world = World::new().await;
    let sally = world.admin().await;
    let used = world.token(&sally, TokenKind::Session).await;
    for kind in TokenKind::ALL {
        world.clock.set_wrong_by(5 * MINUTE);
        let token = world.token(&sally, *kind).await;
        world.clock.set_wrong_by(0);
        assert!(world.calls(token).await, "{kind}: replicas' clocks differ");
        world.clock.set_wrong_by(5 * MINUTE + 1);
        let token = world.token(&sally, *kind).await;
        assert!(world.calls(token).await, "{kind}");
        world.clock.set_wrong_by(0);
        assert!(!world.calls(token).await, "{kind}");
    }
    // It was made in time, and used by that clock.
    world.clock.set_wrong_by(20 * MINUTE);
    assert!(world.calls(used).await);
    world.directory.flush_last_used().await;
    world.clock.set_wrong_by(0);
    assert!(!world.calls(used).await);
}

#[tokio::test]
async fn the_use_of_a_session_is_written_at_most_once_a_minute_and_not_by_the_call() {
    let world = World::new().await;
    let sally = world.admin().await;
    let token = world.token(&sally, TokenKind::Session).await;
    let used = async || {
        let found = world.storage().token_by_digest(token.digest).await;
        found.unwrap().unwrap().token.last_used_at
    };
    world.clock.pass(MINUTE - 1);
    assert!(world.calls(token).await);
    world.directory.flush_last_used().await;
    assert_eq!(used().await, None);
    world.clock.pass(1);
    assert!(world.calls(token).await);
    assert_eq!(used().await, None);
    world.directory.flush_last_used().await;
    assert_eq!(used().await, Some(world.directory.now()));
}

#[tokio::test]
async fn what_is_over_is_removed() {
    let world = World::new().await;
    let sally = world.admin().await;
    // More than are removed at once.
    for _ in 0..300 {
        world.token(&sally, TokenKind::HandoverCode).await;
    }
    let left = world.token(&sally, TokenKind::PasswordLink).await;
    assert_eq!(world.directory.remove_old_tokens().await.unwrap(), 0);
    world.clock.pass(MINUTE);
    assert_eq!(world.directory.remove_old_tokens().await.unwrap(), 300);
    assert_eq!(world.directory.remove_old_tokens().await.unwrap(), 0);
    assert!(world.calls(left).await);
}

/// A minute passes for whoever waits, in no time.
async fn a_minute_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_watch_ends_within_a_minute_after_its_session_and_does_not_keep_it() {
    let world = World::new().await;
    let sally = world.admin().await;
    for ending in ["sign-out", "time", "role"] {
        let token = world.token(&sally, TokenKind::Session).await;
        let credential = Credential {
            presented: token,
            organization: None,
        };
        let grant = world.directory.grant_read(credential).await.unwrap();
        let events = world.directory.watch_events(grant, credential, 0).await;
        let mut events = Box::pin(events.unwrap());
        // As long as the session lasts, it goes on.
        for _ in 0..2 {
            world.clock.pass(10 * MINUTE);
            a_minute_later().await;
            events.next().await.unwrap().unwrap();
        }
        match ending {
            "sign-out" => {
                let caller = world.directory.caller(token, Area::Tokens).await.unwrap();
                world.directory.end_session(&caller).await.unwrap();
            }
            // Half an hour since the session was used: following events is no use of it.
            "time" => world.clock.pass(10 * MINUTE),
            _ => {
                let patch = MemberPatch {
                    role: Some(Some(Role::Viewer)),
                    ..MemberPatch::default()
                };
                let grant = Write::operator(world.acme);
                let changed = world.directory.update_member(grant, sally.id, patch, None);
                changed.await.unwrap();
            }
        }
        a_minute_later().await;
        let ended = events.next().await.unwrap();
        assert!(
            matches!(ended, Err(ServiceError::InvalidToken)),
            "{ending}: {ended:?}"
        );
        assert!(events.next().await.is_none());
    }
}
