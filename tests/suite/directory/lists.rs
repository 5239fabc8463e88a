//! Lists: whose a page token is, where a range of times begins and ends, what is found and in which order.

use prost_types::Timestamp;
use tonic::Request;
use userbridge::domain::{Organization, Scope};

use super::{
    faults,
    members::{find, linked, writer},
};
use crate::support::{
    Form, TestApp,
    proto::{
        admin_v1::{ListApiKeysRequest, ListOrganizationsRequest},
        directory_v1::{
            CreateTeamRequest, LinkMemberRequest, ListEventsRequest, ListMembersRequest, ListTeamsRequest,
            RecordSeenRequest, RevokeMemberRequest, Role, get_member_request::By,
        },
    },
    with_key,
};

/// A request of a deployment key about one organization.
fn about<T>(message: T, key: &str, organization: &Organization) -> Request<T> {
    let mut request = with_key(message, key);
    let id = organization.id.to_string().parse().unwrap();
    request.metadata_mut().insert("x-organization-id", id);
    request
}

#[tokio::test]
async fn a_page_token_of_one_organization_is_none_of_another() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let scopes = [Scope::DirectoryWrite, Scope::Admin];
    let key = app.deployment_key(&scopes).await;
    for organization in [&acme, &globex] {
        for name in ["a", "b"] {
            app.member(organization, &format!("{name}@acme.example.com"))
                .await;
            let team = CreateTeamRequest {
                key: name.to_owned(),
                name: String::new(),
            };
            let team = about(team, &key, organization);
            app.teams().create_team(team).await.unwrap();
            app.key(organization, &[Scope::DirectoryRead]).await;
        }
    }
    macro_rules! check {
        ($($client:ident.$method:ident($request:expr);)+) => {
            $(
                let list = async |page_token: String, organization: &Organization| {
                    app.$client().$method(about($request(page_token), &key, organization)).await
                };
                let first = list(String::new(), &acme).await.unwrap().into_inner();
                let token = first.next_page_token;
                assert_ne!(token, "", stringify!($method));
                assert_eq!(faults(list(token.clone(), &globex).await), ["page_token"], stringify!($method));
                list(token, &acme).await.unwrap();
            )+
        };
    }
    check! {
        members.list_members(|page_token| ListMembersRequest {
            page_size: 1,
            page_token,
            ..ListMembersRequest::default()
        });
        events.list_events(|page_token| ListEventsRequest {
            page_size: 1,
            page_token,
            ..ListEventsRequest::default()
        });
        teams.list_teams(|page_token| ListTeamsRequest { page_size: 1, page_token });
    }

    let keys = async |page_token: &str, organization_id: String| {
        let request = ListApiKeysRequest {
            organization_id,
            page_size: 1,
            page_token: page_token.to_owned(),
        };
        app.api_keys().list_api_keys(with_key(request, &key)).await
    };
    let first = keys("", acme.id.to_string()).await.unwrap().into_inner();
    let token = first.next_page_token;
    for other in [globex.id.to_string(), String::new()] {
        assert_eq!(faults(keys(&token, other).await), ["page_token"]);
    }
    // However its id is written.
    keys(&token, acme.id.to_string().to_uppercase()).await.unwrap();
}

#[tokio::test]
async fn a_page_token_of_all_organizations_is_none_for_a_key_of_one() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    app.organization("globex").await;
    let all = app.deployment_key(&[Scope::Admin]).await;
    let own = app.key(&acme, &[Scope::Admin]).await;
    let list = async |page_token: &str, key: &str| {
        let request = ListOrganizationsRequest {
            page_size: 1,
            page_token: page_token.to_owned(),
        };
        app.organizations()
            .list_organizations(with_key(request, key))
            .await
    };
    let token = list("", &all).await.unwrap().into_inner().next_page_token;
    assert_eq!(faults(list(&token, &own).await), ["page_token"]);
    let second = list(&token, &all).await.unwrap().into_inner();
    assert_eq!(second.organizations[0].slug, "globex");
}

/// A nanosecond is below what is stored, so a bound that is one beside a member's time must not be rounded to it.
#[tokio::test]
async fn a_range_is_exact_for_fractions_of_a_millisecond() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let sally = LinkMemberRequest {
        email: Some("sally@acme.example.com".to_owned()),
        ..LinkMemberRequest::default()
    };
    let id = linked(&app, sally, &key).await.id;
    let seen = with_key(RecordSeenRequest { id: id.clone() }, &key);
    app.members().record_seen(seen).await.unwrap();
    let member = loop {
        // The server writes it down by itself too, and may be about to.
        app.directory().flush_last_used().await;
        let member = find(&app, By::Id(id.clone()), &key).await.unwrap();
        if member.last_seen_at.is_some() {
            break member;
        }
        tokio::task::yield_now().await;
    };
    let beside = |time: Timestamp, nanos: i32| {
        let nanos = i64::from(time.nanos) + i64::from(nanos);
        Some(Timestamp {
            seconds: time.seconds + nanos.div_euclid(1_000_000_000),
            nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap(),
        })
    };
    let (created, seen) = (member.created_at.unwrap(), member.last_seen_at.unwrap());
    for nanos in [-1_000_000, -1, 0, 1, 999_999, 1_000_000] {
        let plain = ListMembersRequest::default;
        for (request, is_in) in [
            (
                ListMembersRequest {
                    created_from: beside(created, nanos),
                    ..plain()
                },
                nanos <= 0,
            ),
            (
                ListMembersRequest {
                    created_until: beside(created, nanos),
                    ..plain()
                },
                nanos > 0,
            ),
            (
                ListMembersRequest {
                    seen_from: beside(seen, nanos),
                    ..plain()
                },
                nanos <= 0,
            ),
            (
                ListMembersRequest {
                    seen_until: beside(seen, nanos),
                    ..plain()
                },
                nanos > 0,
            ),
        ] {
            let list = app.members().list_members(with_key(request.clone(), &key)).await;
            let found = list.unwrap().into_inner().members.len();
            assert_eq!(found, usize::from(is_in), "{nanos}: {request:?}");
        }
    }
}

/// Sally, Tom and Ann, of whom each has one thing less: a name, a role, an address.
async fn crowd(app: &TestApp, key: &str) {
    let text = |text: &str| Some(text.to_owned());
    let plain = LinkMemberRequest::default;
    for (request, is_seen) in [
        (
            LinkMemberRequest {
                email: text("sally@acme.example.com"),
                role: Role::Viewer.into(),
                ..plain()
            },
            true,
        ),
        (
            LinkMemberRequest {
                name: text("Tom Acme"),
                email: text("tom@globex.example.com"),
                ..plain()
            },
            false,
        ),
        (
            LinkMemberRequest {
                name: text("Ann"),
                source: text("portal"),
                external_id: text("1"),
                role: Role::Owner.into(),
                ..plain()
            },
            true,
        ),
    ] {
        let id = linked(app, request, key).await.id;
        if is_seen {
            app.members()
                .record_seen(with_key(RecordSeenRequest { id }, key))
                .await
                .unwrap();
            app.directory().flush_last_used().await;
            // The next one is seen later.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
    }
}

#[tokio::test]
async fn members_come_in_each_order_page_by_page_and_by_number() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    crowd(&app, &key).await;
    let list = async |request: ListMembersRequest| {
        let answer = app.members().list_members(with_key(request, &key)).await;
        answer.unwrap().into_inner()
    };
    for (order, expected) in [
        ("created_at", [1, 2, 3]),
        ("name", [1, 3, 2]),
        ("email", [3, 1, 2]),
        ("role", [2, 3, 1]),
        ("last_seen_at", [2, 1, 3]),
    ] {
        for descending in [false, true] {
            let mut expected = expected;
            if descending {
                expected.reverse();
            }
            let request = ListMembersRequest {
                page_size: 1,
                order_by: format!("{order}{}", if descending { " desc" } else { "" }),
                with_total: true,
                ..ListMembersRequest::default()
            };
            let mut page_token = String::new();
            for (index, number) in expected.iter().enumerate() {
                let page = list(ListMembersRequest {
                    page_token,
                    ..request.clone()
                })
                .await;
                assert_eq!(
                    (page.members[0].number, page.total),
                    (*number, Some(3)),
                    "{request:?}"
                );
                page_token = page.next_page_token;
                assert_eq!(page_token.is_empty(), index == 2);
                let numbered = list(ListMembersRequest {
                    skip: i64::try_from(index).unwrap(),
                    ..request.clone()
                })
                .await;
                assert_eq!((numbered.members, numbered.total), (page.members, Some(3)));
            }
        }
    }
}

#[tokio::test]
async fn a_text_finds_names_and_addresses() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    crowd(&app, &key).await;
    for (text, expected) in [
        ("ACME", &[1, 2][..]),
        ("M A", &[2]),
        ("example", &[1, 2]),
        ("n", &[3]),
        ("ann", &[3]),
        ("@G", &[2]),
        ("nobody", &[]),
        ("zz", &[]),
    ] {
        let request = ListMembersRequest {
            text: Some(text.to_owned()),
            with_total: true,
            ..ListMembersRequest::default()
        };
        let page = app.members().list_members(with_key(request, &key)).await;
        let page = page.unwrap().into_inner();
        let numbers: Vec<_> = page.members.iter().map(|member| member.number).collect();
        assert_eq!(numbers, expected, "{text}");
        assert_eq!(page.total, Some(i64::try_from(expected.len()).unwrap()));
    }
}

#[tokio::test]
async fn revoked_members_are_listed_from_a_moment_on() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let mut revoked = Vec::new();
    for index in 0..4 {
        let request = LinkMemberRequest {
            email: Some(format!("user{index}@example.com")),
            ..LinkMemberRequest::default()
        };
        let id = linked(&app, request, &key).await.id;
        if index == 0 {
            continue;
        }
        let revoke = RevokeMemberRequest {
            id,
            etag: String::new(),
        };
        let answer = app.members().revoke_member(with_key(revoke, &key)).await.unwrap();
        revoked.push(answer.into_inner().member.unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let list = async |from, page_token: String| {
        let request = ListMembersRequest {
            page_size: 2,
            page_token,
            revoked_from: from,
            ..ListMembersRequest::default()
        };
        let answer = app.members().list_members(with_key(request, &key)).await;
        answer.unwrap().into_inner()
    };
    let begin = Some(Timestamp { seconds: 0, nanos: 0 });
    let first = list(begin, String::new()).await;
    assert_eq!(first.members, [revoked[2].clone(), revoked[1].clone()]);
    assert_eq!(first.total, None);
    let second = list(begin, first.next_page_token).await;
    assert_eq!(second.members, [revoked[0].clone()]);
    assert_eq!(second.next_page_token, "");
    let newest = list(revoked[2].revoked_at, String::new()).await;
    assert_eq!(newest.members, [revoked[2].clone()]);
    let mut later = revoked[2].revoked_at.unwrap();
    later.nanos += 1;
    assert_eq!(list(Some(later), String::new()).await.members, []);
    for (role, expected) in [(Role::Viewer, 0), (Role::Unspecified, 3)] {
        let request = ListMembersRequest {
            revoked_from: begin,
            roles: vec![role.into()],
            ..ListMembersRequest::default()
        };
        let answer = app.members().list_members(with_key(request, &key)).await;
        assert_eq!(answer.unwrap().into_inner().members.len(), expected);
    }
}

#[tokio::test]
async fn events_come_in_either_order_and_a_token_is_good_for_its_own() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    crowd(&app, &key).await;
    let list = async |order_by: &str, page_size, page_token: String| {
        let request = ListEventsRequest {
            page_size,
            page_token,
            order_by: order_by.to_owned(),
            ..ListEventsRequest::default()
        };
        let answer = app.events().list_events(with_key(request, &key)).await?;
        Ok::<_, tonic::Status>(answer.into_inner())
    };
    let mut all = list("", 500, String::new()).await.unwrap().events;
    assert!(all.len() > 3);
    assert_eq!(list("sequence", 500, String::new()).await.unwrap().events, all);
    all.reverse();
    let mut page = list("sequence desc", 2, String::new()).await.unwrap();
    let token = page.next_page_token.clone();
    let mut newest_first = page.events;
    while !page.next_page_token.is_empty() {
        page = list("sequence desc", 2, page.next_page_token).await.unwrap();
        newest_first.append(&mut page.events);
    }
    assert_eq!(newest_first, all);
    assert_eq!(faults(list("sequence", 2, token.clone()).await), ["page_token"]);
    assert_eq!(faults(list("", 2, token).await), ["page_token"]);
    for wrong in ["at", "sequence  desc", "desc", "sequence asc"] {
        assert_eq!(faults(list(wrong, 2, String::new()).await), ["order_by"]);
    }
}
