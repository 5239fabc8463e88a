//! Client certificates.

use serde_json::Value;
use tempfile::TempDir;
use tonic::{Code, Request};

use super::{
    Place,
    authority::{Authority, HOST, Names},
    flags, key, ping,
};
use crate::support::{
    process::userbridge,
    proto::{
        directory_v1::{
            LinkMemberRequest, ListEventsRequest, event_service_client::EventServiceClient,
            member_service_client::MemberServiceClient,
        },
        users_v1::{DeleteRequest, PingRequest, user_service_client::UserServiceClient},
    },
    with_key,
};

/// A server whose gRPC asks for a certificate of this authority.
fn asking(authority: &Authority) -> (TempDir, Place) {
    let folder = authority.folder();
    let place = Place::start(|serve| {
        serve
            .args(flags(folder.path()))
            .arg("--tls-client-ca")
            .arg(folder.path().join("ca.pem"));
    });
    (folder, place)
}

#[tokio::test]
async fn grpc_takes_only_clients_of_the_authority_and_json_asks_nobody() {
    let authority = Authority::new();
    let (_folder, place) = asking(&authority);
    // In TLS 1.3 a client hears of its refusal with its first call, if not before.
    for own in [
        None,
        Some(Authority::new().certify(Names {
            common: "x",
            ..Names::default()
        })),
    ] {
        let refused = async {
            let mut users = UserServiceClient::new(
                authority
                    .channel(place.serve.grpc_addr, own.as_ref())
                    .await
                    .ok()?,
            );
            users.ping(with_key(PingRequest {}, &place.public_key)).await.ok()
        };
        assert!(refused.await.is_none());
    }
    let stream = authority.connect(place.serve.http_addr, "http/1.1").await;
    let answer = ping(stream, &place.public_key).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_certified_client_needs_a_key_and_the_event_log_names_it() {
    let authority = Authority::new();
    let (_folder, place) = asking(&authority);
    let key = key(&place.url, "directory.write");
    let grpc = place.serve.grpc_addr;
    let long = "x".repeat(300);
    let all = Names {
        uri: "spiffe://example.com/billing",
        dns: &["billing.example.com", HOST],
        common: "Billing",
        ..Names::default()
    };
    let mut expected = Vec::new();
    for (index, (names, named)) in [
        (all, "spiffe://example.com/billing"),
        (Names { uri: "", ..all }, "billing.example.com"),
        (
            Names {
                uri: "",
                dns: &[],
                ..all
            },
            "Billing",
        ),
        (
            Names {
                uri: &long,
                dns: &[],
                ..all
            },
            "Billing",
        ),
        (Names::default(), "sha256:"),
        (
            Names {
                common: "two\nlines",
                ..Names::default()
            },
            "sha256:",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let own = authority.certify(names);
        let channel = authority.channel(grpc, Some(&own)).await.unwrap();
        // The certificate stands for no key.
        let mut members = MemberServiceClient::new(channel.clone());
        let request = LinkMemberRequest {
            email: Some(format!("{index}@acme.example.com")),
            ..LinkMemberRequest::default()
        };
        let status = members.link_member(Request::new(request.clone())).await;
        assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
        let linked = members.link_member(with_key(request, &key)).await.unwrap();
        let user_id = linked.into_inner().member.unwrap().user_id;
        let mut users = UserServiceClient::new(channel);
        let request = with_key(DeleteRequest { user_id }, &place.public_key);
        users.delete(request).await.unwrap();
        expected.extend([named, named]);
    }
    let own = authority.certify(all);
    let channel = authority.channel(grpc, Some(&own)).await.unwrap();
    let mut events = EventServiceClient::new(channel);
    let request = with_key(ListEventsRequest::default(), &key);
    let events = events.list_events(request).await.unwrap().into_inner().events;
    let of_members = events.iter().filter(|event| !event.member_id.is_empty());
    let named: Vec<_> = of_members.map(|event| event.client_identity.as_str()).collect();
    assert_eq!(named.len(), expected.len());
    for (named, expected) in named.iter().zip(&expected) {
        assert!(
            named == expected || *expected == "sha256:" && named.len() == 71 && named.starts_with(expected)
        );
    }
    // The operator has none.
    assert!(events[0].client_identity.is_empty(), "{events:?}");
    let listed = userbridge(&place.url, &["event", "list", "--org", "acme", "--json"]).json();
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["client_identity"].clone())
        .collect();
    assert!(listed.contains(&Value::from("spiffe://example.com/billing")));
    assert!(listed.contains(&Value::Null));
}
