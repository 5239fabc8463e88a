//! One directory behind every contract: a person is created in one, changed in another and deleted in the third.

use serde_json::json;
use userbridge::{
    domain::{EventQuery, MemberRef, Scope},
    service::Read,
};

use super::{Acme, USERS, ids};
use crate::support::{
    TestApp, gateway_tests,
    proto::directory_v1::{
        LinkMemberRequest, Member, UpdateMemberRequest, get_member_request::By,
        member_service_client::MemberServiceClient,
    },
    with_key,
};

gateway_tests!(
    a_person_lives_in_both_dialects_and_in_grpc,
    an_end_user_who_was_given_a_role_stays_one,
    an_end_user_becomes_a_user_and_is_deleted_by_the_other_dialect,
);

/// The kinds and fields of all events about members, oldest first, and who made them.
async fn story(acme: &Acme) -> Vec<(String, String, String)> {
    let query = EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    let storage = acme.app.storage().await;
    let events = storage.events(Some(acme.organization.id), query).await.unwrap();
    storage.close().await;
    events
        .into_iter()
        .filter(|event| event.kind.as_str().starts_with("member."))
        .map(|event| {
            let mut fields = event.fields;
            fields.sort();
            (
                event.kind.as_str().to_owned(),
                fields.join(" "),
                event.actor.to_string(),
            )
        })
        .collect()
}

async fn key_id(acme: &Acme, secret: &str) -> String {
    let storage = acme.app.storage().await;
    let digest = userbridge::domain::KeyDigest::of(secret);
    let key = storage.api_key_by_digest(digest).await.unwrap().unwrap();
    storage.close().await;
    key.id.to_string()
}

async fn a_person_lives_in_both_dialects_and_in_grpc(app: TestApp) {
    let acme = Acme::of(app).await;
    let public = acme.app.key(&acme.organization, &[Scope::PublicApi]).await;
    let internal = acme.app.key(&acme.organization, &[Scope::DirectoryWrite]).await;

    // Created by Feedier's contract.
    let made = acme
        .create("email=sally@example.com&name=Sally&role=viewer&auth_method=oidc")
        .await;
    assert_eq!(made.status, 201);

    // Staff is nobody to ProductBridge's, until the portal links the same person as an end user.
    let body = json!({ "api_key": public, "email": "sally@example.com" }).to_string();
    assert_eq!(acme.app.retrieve_json(body.clone()).await.status, 404);
    let mut client = MemberServiceClient::new(acme.app.channel());
    let request = LinkMemberRequest {
        email: Some("sally@example.com".to_owned()),
        source: Some("portal".to_owned()),
        ..LinkMemberRequest::default()
    };
    client.link_member(with_key(request, &internal)).await.unwrap();
    let seen = acme.app.retrieve_json(body.clone()).await.json();
    assert_eq!(
        (&seen["name"], &seen["portal_role"]),
        (&json!("Sally"), &json!("end_user"))
    );

    // Changed over gRPC.
    let by = By::Email("sally@example.com".to_owned());
    let request = crate::support::proto::directory_v1::GetMemberRequest {
        by: Some(by),
        include_revoked: false,
    };
    let found = client.get_member(with_key(request, &internal)).await.unwrap();
    let found = found.into_inner().member.unwrap();
    assert_eq!(
        (found.number, found.id.as_str()),
        (1, seen["id"].as_str().unwrap())
    );
    let request = UpdateMemberRequest {
        id: found.id,
        member: Some(Member {
            name: Some("Sally Doe".to_owned()),
            company_name: Some("Acme".to_owned()),
            ..Member::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["name".to_owned(), "company_name".to_owned()],
        }),
        etag: found.etag,
    };
    client.update_member(with_key(request, &internal)).await.unwrap();
    assert_eq!(acme.retrieve(1).await.json()["name"], "Sally Doe");
    assert_eq!(
        acme.app.retrieve_json(body.clone()).await.json()["company_name"],
        "Acme"
    );

    // Changed by Feedier's again, deleted by ProductBridge's: no end user any more, and still staff.
    assert_eq!(acme.update(1, "role=editor").await.status, 200);
    let delete = json!({ "api_key": public, "user_id": seen["user_id"] }).to_string();
    assert_eq!(acme.app.delete_json(delete).await.body, r#"{"success":true}"#);
    assert_eq!(acme.app.retrieve_json(body).await.status, 404);
    assert_eq!(acme.retrieve(1).await.json()["role"], "editor");
    assert_eq!(ids(&acme.get(USERS).await), [1]);

    let actors = [
        key_id(&acme, &acme.key).await,
        key_id(&acme, &internal).await,
        key_id(&acme, &public).await,
    ];
    let event =
        |kind: &str, fields: &str, actor: usize| (kind.to_owned(), fields.to_owned(), actors[actor].clone());
    assert_eq!(
        story(&acme).await,
        [
            event("member.linked", "auth_method email name role source", 0),
            event("member.updated", "portal_role", 1),
            event("member.updated", "company_name name", 1),
            event("member.updated", "role", 0),
            event("member.updated", "portal_role", 2),
        ]
    );
}

async fn an_end_user_who_was_given_a_role_stays_one(app: TestApp) {
    let acme = Acme::of(app).await;
    let public = acme.app.key(&acme.organization, &[Scope::PublicApi]).await;
    let sally = acme.member("sally@example.com", None, None).await;
    let made = acme
        .create("email=sally@example.com&role=admin&auth_method=oidc")
        .await;
    assert_eq!((made.status, &made.json()["id"]), (201, &json!(1)));
    let retrieve = json!({ "api_key": public, "email": "sally@example.com" }).to_string();
    let seen = acme.app.retrieve_json(retrieve.clone()).await.json();
    assert_eq!(
        (&seen["id"], &seen["portal_role"]),
        (&json!(sally.id.to_string()), &json!("end_user"))
    );
    // To ProductBridge's the person is gone when deleted there, to Feedier's is what it was.
    let delete = json!({ "api_key": public, "user_id": seen["user_id"] }).to_string();
    assert_eq!(acme.app.delete_json(delete).await.status, 200);
    assert_eq!(acme.app.retrieve_json(retrieve).await.status, 404);
    assert_eq!(acme.retrieve(1).await.json()["role"], "admin");
}

async fn an_end_user_becomes_a_user_and_is_deleted_by_the_other_dialect(app: TestApp) {
    let acme = Acme::of(app).await;
    let public = acme.app.key(&acme.organization, &[Scope::PublicApi]).await;
    let sally = acme.member("sally@example.com", Some("Sally Doe"), None).await;
    let made = acme
        .create("email=sally@example.com&role=viewer&auth_method=password")
        .await;
    assert_eq!(made.status, 201);
    let body = json!({ "api_key": public, "email": "sally@example.com" }).to_string();
    let seen = acme.app.retrieve_json(body).await.json();
    assert_eq!(seen["id"], sally.id.to_string());
    assert_eq!(acme.delete(1).await.status, 204);
    let delete = json!({ "api_key": public, "user_id": seen["user_id"] }).to_string();
    assert_eq!(acme.app.delete_json(delete).await.status, 404, "it is one link");
    let grant = Read::operator(acme.organization.id);
    let entry = acme
        .app
        .directory()
        .member(grant, MemberRef::Number(sally.number), true)
        .await
        .unwrap();
    assert!(entry.revoked_at.is_some(), "and the row stays");
    let kinds: Vec<_> = story(&acme).await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["member.linked", "member.updated", "member.revoked"]);
}
