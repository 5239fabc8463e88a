//! End users and staff: what internal services make of a member, and what a public key sees of it.

use tonic::Code;

use super::{
    assert_status, faults,
    members::{find, link, linked, sally, update, writer},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        LinkMemberRequest, LinkOutcome, ListMembersRequest, Member, Role, get_member_request::By,
    },
    with_key,
};

const SALLY: &str = "sally@acme.example.com";

fn owner() -> LinkMemberRequest {
    LinkMemberRequest {
        role: Role::Owner.into(),
        ..sally()
    }
}

#[tokio::test]
async fn a_member_is_linked_as_end_user_as_staff_or_as_both() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let staff = linked(&app, owner(), &key).await;
    assert_eq!((staff.portal_role.as_deref(), staff.role()), (None, Role::Owner));
    // Linked without a role, who is staff becomes an end user too, with the same ids.
    let both = link(&app, sally(), &key).await.unwrap();
    assert_eq!(both.outcome(), LinkOutcome::Updated);
    let both = both.member.unwrap();
    assert_eq!(
        (both.portal_role.as_deref(), both.role()),
        (Some("end_user"), Role::Owner)
    );
    assert_eq!((&both.id, &both.user_id), (&staff.id, &staff.user_id));
    assert_eq!(
        link(&app, sally(), &key).await.unwrap().outcome(),
        LinkOutcome::Found
    );

    let tom = |portal_role: Option<&str>, role: Role| LinkMemberRequest {
        email: Some("tom@acme.example.com".to_owned()),
        portal_role: portal_role.map(str::to_owned),
        role: role.into(),
        ..LinkMemberRequest::default()
    };
    let end_user = linked(&app, tom(Some("partner"), Role::Unspecified), &key).await;
    assert_eq!(end_user.role(), Role::Unspecified);
    // The default takes the place of nothing, be it linked as staff or as an end user.
    for role in [Role::Viewer, Role::Unspecified] {
        let tom = linked(&app, tom(None, role), &key).await;
        assert_eq!(
            (tom.portal_role.as_deref(), tom.role()),
            (Some("partner"), Role::Viewer)
        );
        assert_eq!(tom.id, end_user.id);
    }
    let at_once = LinkMemberRequest {
        email: Some("ana@acme.example.com".to_owned()),
        ..tom(Some("partner"), Role::Editor)
    };
    let ana = linked(&app, at_once, &key).await;
    assert_eq!(
        (ana.portal_role.as_deref(), ana.role()),
        (Some("partner"), Role::Editor)
    );
}

#[tokio::test]
async fn either_facet_can_be_taken_and_never_both() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let change = async |member: &Member, paths: &[&str], values: Member| {
        let request = update(&member.id, paths, values);
        let updated = app.members().update_member(with_key(request, &key)).await;
        updated.map(|updated| updated.into_inner().member.unwrap())
    };
    let end_user = linked(&app, sally(), &key).await;
    let last = change(&end_user, &["portal_role"], Member::default()).await;
    assert_status(last, Code::FailedPrecondition, "LAST_FACET");
    for paths in [["portal_role", "role"], ["role", "portal_role"]] {
        let both = change(&end_user, &paths, Member::default()).await;
        assert_eq!(faults(both), ["update_mask"]);
    }
    let viewer = Member {
        role: Role::Viewer.into(),
        ..Member::default()
    };
    let staff = change(&end_user, &["portal_role", "role"], viewer.clone())
        .await
        .unwrap();
    assert_eq!((staff.portal_role.as_deref(), staff.role()), (None, Role::Viewer));
    let last = change(&staff, &["role"], Member::default()).await;
    assert_status(last, Code::FailedPrecondition, "LAST_FACET");
    let partner = Member {
        portal_role: Some("partner".to_owned()),
        ..Member::default()
    };
    change(&staff, &["portal_role"], partner).await.unwrap();
    let end_user = change(&staff, &["role"], Member::default()).await.unwrap();
    assert_eq!(
        (end_user.portal_role.as_deref(), end_user.role()),
        (Some("partner"), Role::Unspecified)
    );
}

#[tokio::test]
async fn end_users_and_those_who_are_only_staff_are_listed_apart() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let someone = |portal_role: Option<&str>, role: Role| LinkMemberRequest {
        source: Some("import".to_owned()),
        external_id: Some(format!("{portal_role:?} {role:?}")),
        portal_role: portal_role.map(str::to_owned),
        role: role.into(),
        ..LinkMemberRequest::default()
    };
    for request in [
        someone(None, Role::Unspecified),
        someone(None, Role::Editor),
        someone(Some("partner"), Role::Editor),
        someone(None, Role::Viewer),
    ] {
        linked(&app, request, &key).await;
    }
    let mut client = app.members();
    let mut list = async |end_user, page_token: &str| {
        let request = ListMembersRequest {
            end_user,
            page_size: 1,
            page_token: page_token.to_owned(),
            with_total: true,
            ..ListMembersRequest::default()
        };
        client.list_members(with_key(request, &key)).await
    };
    for (end_user, expected) in [
        (Some(true), &[1, 3][..]),
        (Some(false), &[2, 4]),
        (None, &[1, 2, 3, 4]),
    ] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = list(end_user, &token).await.unwrap().into_inner();
            assert_eq!(page.total, Some(i64::try_from(expected.len()).unwrap()));
            found.extend(page.members.iter().map(|member| member.number));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{end_user:?}");
    }
    // A token is good for the list that it is of.
    let token = list(Some(true), "").await.unwrap().into_inner().next_page_token;
    assert_eq!(faults(list(Some(false), &token).await), ["page_token"]);
}

#[tokio::test]
async fn a_public_key_does_not_find_who_is_only_staff() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let key = writer(&app, &acme.organization).await;
    let staff = linked(&app, owner(), &key).await;
    for status in [
        app.retrieve(&acme.key, &staff.user_id).await.unwrap_err(),
        app.retrieve_email(&acme.key, SALLY).await.unwrap_err(),
        app.delete(&acme.key, &staff.user_id).await.unwrap_err(),
    ] {
        assert_status(Err::<(), _>(status), Code::NotFound, "USER_NOT_FOUND");
    }
    assert_eq!(find(&app, By::Id(staff.id.clone()), &key).await.unwrap(), staff);
}

#[tokio::test]
async fn a_delete_with_a_public_key_takes_the_facet_from_staff_and_nothing_else() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let key = writer(&app, &acme.organization).await;
    let owner = linked(
        &app,
        LinkMemberRequest {
            portal_role: Some("partner".to_owned()),
            ..owner()
        },
        &key,
    )
    .await;
    let elsewhere = app.member(&globex.organization, SALLY).await;
    let found = app.retrieve_email(&acme.key, SALLY).await.unwrap();
    assert_eq!((&found.id, &found.portal_role[..]), (&owner.id, "partner"));

    app.delete(&acme.key, &owner.user_id).await.unwrap();
    for status in [
        app.retrieve(&acme.key, &owner.user_id).await.unwrap_err(),
        app.retrieve_email(&acme.key, SALLY).await.unwrap_err(),
        app.delete(&acme.key, &owner.user_id).await.unwrap_err(),
    ] {
        assert_status(Err::<(), _>(status), Code::NotFound, "USER_NOT_FOUND");
    }
    let left = find(&app, By::Email(SALLY.to_owned()), &key).await.unwrap();
    let expected = Member {
        portal_role: None,
        etag: left.etag.clone(),
        updated_at: left.updated_at,
        ..owner.clone()
    };
    assert_eq!(left, expected);
    assert_ne!(left.etag, owner.etag);
    let there = app.retrieve_email(&globex.key, SALLY).await.unwrap();
    assert_eq!(there.id, elsewhere.id.to_string());
    // Linked again, the same member is an end user again.
    let again = linked(&app, sally(), &key).await;
    assert_eq!(
        (&again.id, again.portal_role.as_deref()),
        (&owner.id, Some("end_user"))
    );
    assert_eq!(app.retrieve_email(&acme.key, SALLY).await.unwrap().id, owner.id);
}
