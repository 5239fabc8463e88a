//! Members: scopes, whose they are, masks, etags, repetitions.

use tonic::{Code, Status};
use userbridge::domain::{Organization, Scope};

use super::{assert_status, exports::exported, once};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        EraseMemberRequest, ExternalId, GetMemberRequest, LinkMemberRequest, LinkMemberResponse, LinkOutcome,
        ListAssociationsRequest, ListEventsRequest, Member, RestoreMemberRequest, RevokeMemberRequest, Role,
        UpdateMemberRequest, get_member_request::By,
    },
    with_key,
};

const SALLY: &str = "sally@acme.example.com";
const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

pub(super) fn sally() -> LinkMemberRequest {
    LinkMemberRequest {
        email: Some(SALLY.to_owned()),
        name: Some("Sally".to_owned()),
        ..LinkMemberRequest::default()
    }
}

pub(super) fn get(by: By) -> GetMemberRequest {
    GetMemberRequest {
        by: Some(by),
        include_revoked: false,
    }
}

pub(super) fn update(id: &str, paths: &[&str], member: Member) -> UpdateMemberRequest {
    UpdateMemberRequest {
        id: id.to_owned(),
        member: Some(member),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        etag: String::new(),
    }
}

/// A key that may write.
pub(super) async fn writer(app: &TestApp, organization: &Organization) -> String {
    app.key(organization, &[Scope::DirectoryWrite]).await
}

pub(super) async fn link(
    app: &TestApp,
    request: LinkMemberRequest,
    key: &str,
) -> Result<LinkMemberResponse, Status> {
    let linked = app.members().link_member(with_key(request, key)).await?;
    Ok(linked.into_inner())
}

pub(super) async fn linked(app: &TestApp, request: LinkMemberRequest, key: &str) -> Member {
    link(app, request, key).await.unwrap().member.unwrap()
}

pub(super) async fn find(app: &TestApp, by: By, key: &str) -> Result<Member, Status> {
    let found = app.members().get_member(with_key(get(by), key)).await?;
    Ok(found.into_inner().member.unwrap())
}

async fn try_update(app: &TestApp, request: UpdateMemberRequest, key: &str) -> Result<Member, Status> {
    let updated = app.members().update_member(with_key(request, key)).await?;
    Ok(updated.into_inner().member.unwrap())
}

/// How many events the organization of the key has.
pub(super) async fn events(app: &TestApp, key: &str) -> usize {
    let request = ListEventsRequest {
        page_size: 500,
        ..ListEventsRequest::default()
    };
    let listed = app.events().list_events(with_key(request, key)).await.unwrap();
    listed.into_inner().events.len()
}

#[tokio::test]
async fn a_member_is_linked_and_found_by_every_name_it_has() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let request = LinkMemberRequest {
        source: Some("zendesk".to_owned()),
        external_id: Some("z-1".to_owned()),
        role: Role::Editor.into(),
        teams: vec![1, 1],
        ..sally()
    };
    let first = link(&app, request.clone(), &key).await.unwrap();
    assert_eq!(first.outcome(), LinkOutcome::Created);
    let member = first.member.unwrap();
    assert_eq!(
        (member.number, &member.teams[..], member.primary_team),
        (1, &[1][..], 1)
    );
    assert_eq!(
        (member.role(), member.enabled, member.source.as_str()),
        (Role::Editor, true, "zendesk")
    );
    assert_eq!(
        link(&app, request.clone(), &key).await.unwrap().outcome(),
        LinkOutcome::Found
    );
    let named = LinkMemberRequest {
        name: Some("Sal".to_owned()),
        ..request
    };
    let again = link(&app, named, &key).await.unwrap();
    assert_eq!(again.outcome(), LinkOutcome::Updated);
    let again = again.member.unwrap();
    assert_ne!(again.etag, member.etag);
    for by in [
        By::Id(member.id.clone()),
        By::UserId(member.user_id.clone()),
        By::Email(SALLY.to_owned()),
        By::Number(1),
        By::ExternalId(ExternalId {
            source: "zendesk".to_owned(),
            id: "z-1".to_owned(),
        }),
    ] {
        assert_eq!(find(&app, by, &key).await.unwrap(), again);
    }
}

#[tokio::test]
async fn a_member_is_updated_revoked_and_restored() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let member = linked(&app, sally(), &key).await;
    // Only what the mask names changes, and what is absent there is cleared.
    let values = Member {
        email: Some("ignored@acme.example.com".to_owned()),
        company_name: Some("Acme".to_owned()),
        ..Member::default()
    };
    let changed = try_update(&app, update(&member.id, &["name", "company_name"], values), &key)
        .await
        .unwrap();
    let expected = Member {
        name: None,
        company_name: Some("Acme".to_owned()),
        etag: changed.etag.clone(),
        updated_at: changed.updated_at,
        ..member.clone()
    };
    assert_eq!(changed, expected);
    // An etag that is not the newest changes nothing.
    let stale = UpdateMemberRequest {
        etag: member.etag.clone(),
        ..update(&member.id, &["name"], Member::default())
    };
    assert_status(
        try_update(&app, stale, &key).await,
        Code::Aborted,
        "ETAG_MISMATCH",
    );
    let revoke = |etag: &str| RevokeMemberRequest {
        id: member.id.clone(),
        etag: etag.to_owned(),
    };
    // It is taken only as it was answered.
    for etag in ["0", "+", " ", "0x"].map(|before| format!("{before}{}", changed.etag)) {
        let request = UpdateMemberRequest {
            etag: etag.clone(),
            ..update(&member.id, &["name"], Member::default())
        };
        let updated = try_update(&app, request, &key).await;
        assert_status(updated, Code::InvalidArgument, "INVALID_ARGUMENT");
        let revoked = app.members().revoke_member(with_key(revoke(&etag), &key)).await;
        assert_status(revoked, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    let stale = app
        .members()
        .revoke_member(with_key(revoke(&member.etag), &key))
        .await;
    assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
    let revoked = app
        .members()
        .revoke_member(with_key(revoke(&changed.etag), &key))
        .await;
    let revoked = revoked.unwrap().into_inner().member.unwrap();
    assert!(revoked.revoked_at.is_some());
    let mut hidden = get(By::Number(1));
    assert_status(
        find(&app, By::Number(1), &key).await,
        Code::NotFound,
        "MEMBER_NOT_FOUND",
    );
    hidden.include_revoked = true;
    let shown = app.members().get_member(with_key(hidden, &key)).await.unwrap();
    assert_eq!(shown.into_inner().member.unwrap(), revoked);
    let restore = || {
        with_key(
            RestoreMemberRequest {
                id: member.id.clone(),
            },
            &key,
        )
    };
    let restored = app.members().restore_member(restore()).await.unwrap();
    assert_eq!(restored.into_inner().member.unwrap().revoked_at, None);
    let again = app.members().restore_member(restore()).await;
    assert_status(again, Code::FailedPrecondition, "MEMBER_NOT_REVOKED");
}

#[tokio::test]
async fn conflicts_and_the_last_owner_have_their_reasons() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let owner = linked(
        &app,
        LinkMemberRequest {
            role: Role::Owner.into(),
            ..sally()
        },
        &key,
    )
    .await;
    let tom = LinkMemberRequest {
        email: Some("tom@acme.example.com".to_owned()),
        ..LinkMemberRequest::default()
    };
    let tom = linked(&app, tom, &key).await;
    let taken = Member {
        email: Some(SALLY.to_owned()),
        ..Member::default()
    };
    let result = try_update(&app, update(&tom.id, &["email"], taken), &key).await;
    assert_status(result, Code::AlreadyExists, "MEMBER_ALREADY_EXISTS");
    let teams = Member {
        teams: vec![9],
        ..Member::default()
    };
    let result = try_update(&app, update(&tom.id, &["teams"], teams), &key).await;
    assert_status(result, Code::NotFound, "TEAM_NOT_FOUND");
    let nobody = LinkMemberRequest {
        user_id: Some(NO_ID.to_owned()),
        ..LinkMemberRequest::default()
    };
    assert_status(link(&app, nobody, &key).await, Code::NotFound, "USER_NOT_FOUND");
    for paths in [&["role"][..], &["enabled"], &["role", "enabled", "name"]] {
        let result = try_update(&app, update(&owner.id, paths, Member::default()), &key).await;
        assert_status(result, Code::FailedPrecondition, "LAST_OWNER");
    }
    let demote = LinkMemberRequest {
        role: Role::Viewer.into(),
        ..sally()
    };
    assert_status(
        link(&app, demote, &key).await,
        Code::FailedPrecondition,
        "LAST_OWNER",
    );
    let revoke = RevokeMemberRequest {
        id: owner.id.clone(),
        etag: String::new(),
    };
    let result = app.members().revoke_member(with_key(revoke, &key)).await;
    assert_status(result, Code::FailedPrecondition, "LAST_OWNER");
    let erase = EraseMemberRequest { id: owner.id.clone() };
    let result = app.members().erase_member(with_key(erase, &key)).await;
    assert_status(result, Code::FailedPrecondition, "LAST_OWNER");
    assert_eq!(find(&app, By::Id(owner.id.clone()), &key).await.unwrap(), owner);
}

#[tokio::test]
async fn a_repeated_link_gets_the_first_answer_and_another_request_is_refused() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let key = writer(&app, &acme).await;
    let ask = async |request, key: &str, token: &str| {
        let linked = app.members().link_member(once(request, key, token)).await?;
        Ok::<_, Status>(linked.into_inner())
    };
    let first = ask(sally(), &key, "token 1").await.unwrap();
    assert_eq!(first.outcome(), LinkOutcome::Created);
    let id = first.member.clone().unwrap().id;
    let renamed = Member {
        name: Some("Another".to_owned()),
        ..Member::default()
    };
    try_update(&app, update(&id, &["name"], renamed), &key)
        .await
        .unwrap();
    let before = events(&app, &key).await;
    assert_eq!(ask(sally(), &key, "token 1").await.unwrap(), first);
    let other = LinkMemberRequest {
        name: None,
        ..sally()
    };
    let reused = ask(other, &key, "token 1").await;
    assert_status(reused, Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(events(&app, &key).await, before);
    // Another key, another organization, another token: other requests.
    let second = writer(&app, &acme).await;
    assert_eq!(
        ask(sally(), &second, "token 1").await.unwrap().outcome(),
        LinkOutcome::Updated
    );
    let there = writer(&app, &globex).await;
    assert_eq!(
        ask(sally(), &there, "token 1").await.unwrap().outcome(),
        LinkOutcome::Created
    );
    assert_eq!(
        ask(sally(), &key, "token 2").await.unwrap().outcome(),
        LinkOutcome::Found
    );
    // After the member was erased, a repetition does not make it anew.
    let erase = EraseMemberRequest { id: id.clone() };
    app.members().erase_member(with_key(erase, &key)).await.unwrap();
    let erased = ask(sally(), &key, "token 1").await;
    assert_status(erased, Code::FailedPrecondition, "MEMBER_ERASED");
    assert_status(
        find(&app, By::Email(SALLY.to_owned()), &key).await,
        Code::NotFound,
        "MEMBER_NOT_FOUND",
    );
}

#[tokio::test]
async fn an_export_has_every_link_and_every_event_of_the_user() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let first = linked(&app, sally(), &key).await;
    let revoke = RevokeMemberRequest {
        id: first.id.clone(),
        etag: String::new(),
    };
    app.members().revoke_member(with_key(revoke, &key)).await.unwrap();
    let second = linked(&app, sally(), &key).await;
    assert_eq!(second.user_id, first.user_id);
    // More events than there are on a page.
    for index in 0..260 {
        for name in ["one", "two"] {
            let values = Member {
                name: Some(format!("{name} {index}")),
                ..Member::default()
            };
            try_update(&app, update(&second.id, &["name"], values), &key)
                .await
                .unwrap();
        }
    }
    let export = exported(&app, &first.user_id, 500, &key).await;
    let ids: Vec<_> = export.members.iter().map(|member| &member.id).collect();
    assert_eq!(ids, [&first.id, &second.id]);
    assert_eq!(export.events.len(), 3 + 520);
    assert!(
        export
            .events
            .is_sorted_by(|one, other| one.sequence < other.sequence)
    );
    assert!(export.events.iter().all(|event| event.user_id == first.user_id));
    let receipt = || EraseMemberRequest {
        id: second.id.clone(),
    };
    let erased = app
        .members()
        .erase_member(with_key(receipt(), &key))
        .await
        .unwrap()
        .into_inner();
    let again = app
        .members()
        .erase_member(with_key(receipt(), &key))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, erased);
    let request = ListEventsRequest {
        kinds: vec!["member.erased".to_owned()],
        ..ListEventsRequest::default()
    };
    let proof = app
        .events()
        .list_events(with_key(request, &key))
        .await
        .unwrap()
        .into_inner()
        .events;
    assert_eq!(proof.len(), 1);
    assert_eq!(
        (proof[0].sequence, &proof[0].member_id),
        (erased.event_sequence, &second.id)
    );
    assert_eq!(proof[0].at, erased.erased_at);
}

#[tokio::test]
async fn associations_are_those_that_the_key_may_see() {
    let app = TestApp::start(Form::Embedded).await;
    let (globex, acme) = (app.organization("globex").await, app.organization("acme").await);
    let (here, there) = (writer(&app, &acme).await, writer(&app, &globex).await);
    let one = linked(&app, sally(), &here).await;
    let other = linked(
        &app,
        LinkMemberRequest {
            role: Role::Admin.into(),
            ..sally()
        },
        &there,
    )
    .await;
    let unbound = app.deployment_key(&[Scope::DirectoryRead]).await;
    let ask = async |key: &str| {
        let request = ListAssociationsRequest {
            user_id: one.user_id.clone(),
        };
        let found = app
            .members()
            .list_associations(with_key(request, key))
            .await
            .unwrap();
        let found = found.into_inner().associations;
        found
            .into_iter()
            .map(|one| (one.organization_slug.clone(), one.member_id.clone(), one.role()))
            .collect::<Vec<_>>()
    };
    let in_acme = ("acme".to_owned(), one.id.clone(), Role::Unspecified);
    let in_globex = ("globex".to_owned(), other.id.clone(), Role::Admin);
    assert_eq!(ask(&here).await, std::slice::from_ref(&in_acme));
    assert_eq!(ask(&there).await, std::slice::from_ref(&in_globex));
    assert_eq!(ask(&unbound).await, [in_acme, in_globex]);
}
