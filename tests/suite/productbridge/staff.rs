//! Members who have a role.

use userbridge::{
    domain::{EventKind, EventQuery, Idempotency, LinkRequest, Member, MemberPatch, MemberRef, Role},
    service::{Read, Write},
};

use super::{NO_USER, NOBODY, SALLY, USER_NOT_FOUND, body};
use crate::support::{Tenant, TestApp, first, gateway_tests};

gateway_tests!(
    who_is_only_staff_answers_like_nobody,
    deleting_staff_leaves_the_member_and_the_role,
    deleting_the_last_owner_leaves_the_owner,
);

/// A member with this role who is an end user, too, or not.
async fn staff(app: &TestApp, tenant: &Tenant, role: Role, end_user: bool) -> Member {
    let link = LinkRequest {
        values: MemberPatch {
            email: Some(Some(SALLY.parse().unwrap())),
            portal_role: end_user.then(|| Some("partner".parse().unwrap())),
            role: Some(Some(role)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(tenant.organization.id);
    let linked = app.directory().link_member(grant, link, Idempotency::never());
    first(linked.await.unwrap()).member
}

async fn who_is_only_staff_answers_like_nobody(app: TestApp) {
    let acme = app.tenant("acme").await;
    let sally = staff(&app, &acme, Role::Viewer, false).await.user_id.to_string();
    for (what, nobody) in [
        (("user_id", &sally[..]), ("user_id", NO_USER)),
        (("email", SALLY), ("email", NOBODY)),
    ] {
        let seen = app.retrieve_json(body(&acme.key, what.0, what.1)).await;
        let unseen = app.retrieve_json(body(&acme.key, nobody.0, nobody.1)).await;
        assert_eq!((seen.status, &seen.body[..]), (404, USER_NOT_FOUND));
        assert_eq!((unseen.status, &unseen.body), (seen.status, &seen.body));
        assert_eq!(seen.telling_headers(), unseen.telling_headers());
    }
    let deleted = app.delete_json(body(&acme.key, "user_id", &sally)).await;
    assert_eq!((deleted.status, &deleted.body[..]), (404, USER_NOT_FOUND));
}

async fn deleting_staff_leaves_the_member_and_the_role(app: TestApp) {
    let acme = app.tenant("acme").await;
    let sally = staff(&app, &acme, Role::Editor, true).await;
    let user = sally.user_id.to_string();
    let found = app.retrieve_json(body(&acme.key, "email", SALLY)).await.json();
    assert_eq!(found["id"], sally.id.to_string());
    assert_eq!(found["portal_role"], "partner");
    let deleted = app.delete_json(body(&acme.key, "user_id", &user)).await;
    assert_eq!((deleted.status, &deleted.body[..]), (200, r#"{"success":true}"#));
    for answer in [
        app.retrieve_json(body(&acme.key, "user_id", &user)).await,
        app.retrieve_json(body(&acme.key, "email", SALLY)).await,
        app.delete_json(body(&acme.key, "user_id", &user)).await,
    ] {
        assert_eq!((answer.status, &answer.body[..]), (404, USER_NOT_FOUND));
    }
    let grant = Read::operator(acme.organization.id);
    let left = app
        .directory()
        .member(grant, MemberRef::Id(sally.id), false)
        .await
        .unwrap();
    assert_eq!((left.access.role, left.revoked_at), (Some(Role::Editor), None));
    assert_eq!(left.profile.portal_role, None);
    let query = EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    let event = app
        .directory()
        .events(grant, query)
        .await
        .unwrap()
        .items
        .pop()
        .unwrap();
    assert_eq!(
        (event.kind, event.member_id),
        (EventKind::MemberUpdated, Some(sally.id))
    );
    assert_eq!(event.fields, ["portal_role"]);
}

async fn deleting_the_last_owner_leaves_the_owner(app: TestApp) {
    let acme = app.tenant("acme").await;
    let owner = staff(&app, &acme, Role::Owner, true).await;
    let user = owner.user_id.to_string();
    for status in [200, 404] {
        let deleted = app.delete_json(body(&acme.key, "user_id", &user)).await;
        assert_eq!(deleted.status, status);
        let grant = Read::operator(acme.organization.id);
        let left = app
            .directory()
            .member(grant, MemberRef::Id(owner.id), false)
            .await;
        assert!(left.unwrap().access.is_enabled_owner());
    }
}
