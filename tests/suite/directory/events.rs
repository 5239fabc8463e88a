//! The event log and those who follow it.

use std::time::Duration;

use tokio::{task::JoinSet, time::timeout};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, Streaming};
use userbridge::domain::Scope;

use super::{
    assert_status,
    members::{link, linked, sally, update},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        Event, LinkMemberRequest, ListEventsRequest, Member, RevokeMemberRequest, WatchEventsRequest,
        WatchEventsResponse,
    },
    with_key,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

async fn start() -> (TestApp, String) {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    (app, key)
}

/// The whole log, by pages of this size.
async fn log(app: &TestApp, key: &str, page_size: i32) -> Vec<Event> {
    let mut request = ListEventsRequest {
        page_size,
        ..ListEventsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = app
            .events()
            .list_events(with_key(request.clone(), key))
            .await
            .unwrap()
            .into_inner();
        assert!(page.events.len() <= usize::try_from(page_size).unwrap());
        all.extend(page.events);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

async fn watch(app: &TestApp, key: &str, after_sequence: i64) -> Streaming<WatchEventsResponse> {
    let request = with_key(WatchEventsRequest { after_sequence }, key);
    app.events().watch_events(request).await.unwrap().into_inner()
}

/// The next events of a watch.
async fn take(stream: &mut Streaming<WatchEventsResponse>, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let next = timeout(NEVER, stream.next()).await.expect("an event is missing");
        events.push(next.unwrap().unwrap().event.unwrap());
    }
    events
}

fn person(index: usize) -> LinkMemberRequest {
    LinkMemberRequest {
        email: Some(format!("{index}@acme.example.com")),
        ..LinkMemberRequest::default()
    }
}

#[tokio::test]
async fn an_event_carries_enough_to_act_on() {
    let (app, key) = start().await;
    let request = LinkMemberRequest {
        source: Some("zendesk".to_owned()),
        external_id: Some("z-1".to_owned()),
        ..sally()
    };
    let member = linked(&app, request, &key).await;
    let event = log(&app, &key, 50).await.pop().unwrap();
    assert_eq!(event.kind, "member.linked");
    assert_eq!((&event.member_id, &event.user_id), (&member.id, &member.user_id));
    assert_eq!((event.source.as_str(), event.at), ("zendesk", member.created_at));
    assert_eq!((event.api_key_id.as_str(), event.team), ("", 0));
    for field in ["email", "name", "source", "external_id"] {
        assert!(event.fields.iter().any(|name| name == field), "{event:?}");
    }
    // The key's own making is in the log too, and says which one acts.
    let made = log(&app, &key, 50).await;
    let made = made.iter().find(|event| event.kind == "api_key.created").unwrap();
    assert_eq!(
        (event.actor.as_str(), made.actor.as_str()),
        (made.api_key_id.as_str(), "operator")
    );
    assert_eq!(event.organization_id, made.organization_id);
}

#[tokio::test]
async fn two_watchers_see_what_the_log_has_while_many_write() {
    let (app, key) = start().await;
    let before = log(&app, &key, 500).await.len();
    let mut first = watch(&app, &key, 0).await;
    let mut second = watch(&app, &key, 1).await;
    let mut writers = JoinSet::new();
    for index in 0..60 {
        let mut members = app.members();
        let key = key.clone();
        writers.spawn(async move {
            let linked = members.link_member(with_key(person(index), &key)).await.unwrap();
            let id = linked.into_inner().member.unwrap().id;
            let values = Member {
                name: Some("Name".to_owned()),
                ..Member::default()
            };
            members
                .update_member(with_key(update(&id, &["name"], values), &key))
                .await
                .unwrap();
            // One that fails in between leaves no gap.
            members
                .update_member(with_key(
                    update(
                        &id,
                        &["teams"],
                        Member {
                            teams: vec![9],
                            ..Member::default()
                        },
                    ),
                    &key,
                ))
                .await
                .unwrap_err();
            if index % 2 == 0 {
                let revoke = RevokeMemberRequest {
                    id,
                    etag: String::new(),
                };
                members.revoke_member(with_key(revoke, &key)).await.unwrap();
            }
        });
    }
    let total = before + 60 * 2 + 30;
    let (one, other) = tokio::join!(take(&mut first, total), take(&mut second, total - 1));
    writers.join_all().await;
    // Those who come later see the same.
    let log = log(&app, &key, 7).await;
    assert!(
        log.iter()
            .map(|event| event.sequence)
            .eq(1..=i64::try_from(total).unwrap())
    );
    assert_eq!(one, log);
    assert_eq!(other, log[1..]);
    let middle = log[total / 2].sequence;
    let mut late = watch(&app, &key, middle).await;
    assert_eq!(take(&mut late, total - total / 2 - 1).await, log[total / 2 + 1..]);
}

#[tokio::test]
async fn a_watch_is_of_one_organization() {
    let (app, key) = start().await;
    let globex = app.organization("globex").await;
    let there = app.key(&globex, &[Scope::DirectoryWrite]).await;
    let before = log(&app, &key, 500).await.len();
    let mut here = watch(&app, &key, i64::try_from(before).unwrap()).await;
    for index in 0..10 {
        link(&app, person(index), &there).await.unwrap();
    }
    let member = linked(&app, sally(), &key).await;
    let event = take(&mut here, 1).await.remove(0);
    assert_eq!(
        (event.member_id, event.sequence),
        (member.id, i64::try_from(before).unwrap() + 1)
    );
}

/// Nothing tells the server of what another process writes, but it looks.
#[tokio::test]
async fn a_watcher_hears_of_what_another_process_writes() {
    let (app, key) = start().await;
    let before = log(&app, &key, 500).await.len();
    let mut stream = watch(&app, &key, i64::try_from(before).unwrap()).await;
    let acme = app.directory().clone();
    let other = app.storage().await;
    let elsewhere = userbridge::service::Directory::new(other.0.clone());
    let page = userbridge::domain::PageRequest {
        after: None,
        limit: 1,
    };
    let organization = acme
        .organizations(userbridge::service::Admin::OPERATOR, page)
        .await
        .unwrap()
        .items
        .remove(0);
    let grant = userbridge::service::Write::operator(organization.id);
    let request = userbridge::domain::LinkRequest::default();
    elsewhere
        .link_member(grant, request, userbridge::domain::Idempotency::never())
        .await
        .unwrap();
    other.close().await;
    assert_eq!(take(&mut stream, 1).await[0].kind, "member.linked");
}

#[tokio::test]
async fn a_watcher_who_does_not_read_holds_up_nobody() {
    let (app, key) = start().await;
    let mut slow = watch(&app, &key, 0).await;
    let member = linked(&app, sally(), &key).await;
    // More than is kept for it, and more than fits into the connection's window.
    let updates = 1200;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (mut members, key, id) = (app.members(), key.clone(), member.id.clone());
        writers.spawn(async move {
            for index in 0..updates / 4 {
                let values = Member {
                    name: Some(format!("{writer} {index}")),
                    ..Member::default()
                };
                members
                    .update_member(with_key(update(&id, &["name"], values), &key))
                    .await
                    .unwrap();
            }
        });
    }
    timeout(NEVER * 2, writers.join_all())
        .await
        .expect("writes wait for a watcher");
    // It has missed nothing.
    let log = log(&app, &key, 500).await;
    assert_eq!(take(&mut slow, log.len()).await, log);
}

#[tokio::test]
async fn watches_end_with_the_server() {
    let (app, key) = start().await;
    let mut idle = watch(&app, &key, 0).await;
    let events = log(&app, &key, 500).await.len();
    take(&mut idle, events).await;
    let unread = watch(&app, &key, 0).await;
    timeout(NEVER, app.shutdown())
        .await
        .expect("a watch keeps the server from stopping");
    let ended = idle.next().await.unwrap();
    assert_status(ended, Code::Unavailable, "DRAINING");
    assert!(idle.next().await.is_none());
    // What was sent before can still be read; then it ends in the same way.
    let rest: Vec<Result<_, Status>> = unread.collect().await;
    let (last, events) = rest.split_last().unwrap();
    assert!(events.iter().all(Result::is_ok));
    assert_eq!(last.as_ref().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_watch_takes_a_key_that_may_read() {
    let (app, _) = start().await;
    let globex = app.organization("globex").await;
    let ask = async |key: &str| {
        let request = with_key(WatchEventsRequest { after_sequence: 0 }, key);
        app.events().watch_events(request).await.map(|_| ())
    };
    let reader = app.key(&globex, &[Scope::DirectoryRead]).await;
    ask(&reader).await.unwrap();
    let public = app.key(&globex, &[Scope::PublicApi]).await;
    let unbound = app.deployment_key(&[Scope::DirectoryRead]).await;
    assert_status(ask(&public).await, Code::Unauthenticated, "INVALID_API_KEY");
    assert_status(ask("pb_unknown").await, Code::Unauthenticated, "INVALID_API_KEY");
    assert_status(ask(&unbound).await, Code::NotFound, "ORGANIZATION_NOT_FOUND");
}
