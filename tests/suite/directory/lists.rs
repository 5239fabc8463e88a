//! Lists: whose a page token is, and where a range of times begins and ends.

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
            RecordSeenRequest, get_member_request::By,
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
