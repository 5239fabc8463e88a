//! Which key may call what, about whom.

use tonic::{Code, Request, Response, Status, metadata::MetadataMap};
use userbridge::domain::{Organization, Scope};

use super::{
    assert_status,
    members::{events, find, get, linked, sally, update, writer},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        BatchGetMembersRequest, CheckAccessRequest, CheckAccessResponse, EraseMemberRequest,
        ExportMemberRequest, ExternalId, LinkMemberRequest, ListAssociationsRequest, ListMembersRequest,
        Member, RecordSeenRequest, RestoreMemberRequest, RevokeMemberRequest, get_member_request::By,
    },
    with_key,
};

const SALLY: &str = "sally@acme.example.com";
const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A method, whether it changes anything, and how it ended.
type Outcome = (&'static str, bool, Result<(), Status>);

/// Every method of the service, about this member; those that change something come last.
async fn every_method(app: &TestApp, member: &Member, prepare: impl Fn(&mut MetadataMap)) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let (id, user_id) = (member.id.clone(), member.user_id.clone());
    macro_rules! call {
        ($($method:ident($request:expr), $changes:literal;)+) => {
            $(
                let mut request = Request::new($request);
                prepare(request.metadata_mut());
                let result = app.members().$method(request).await.map(|_| ());
                outcomes.push((stringify!($method), $changes, result));
            )+
        };
    }
    call! {
        get_member(get(By::Id(id.clone()))), false;
        batch_get_members(BatchGetMembersRequest { ids: vec![id.clone()], include_revoked: true }), false;
        list_members(ListMembersRequest::default()), false;
        export_member(ExportMemberRequest { user_id: user_id.clone(), ..ExportMemberRequest::default() }), false;
        list_associations(ListAssociationsRequest { user_id: user_id.clone() }), false;
        check_access(CheckAccessRequest {}), false;
        link_member(LinkMemberRequest { user_id: Some(user_id.clone()), ..LinkMemberRequest::default() }), true;
        update_member(update(&id, &["name"], Member::default())), true;
        record_seen(RecordSeenRequest { id: id.clone() }), true;
        revoke_member(RevokeMemberRequest { id: id.clone(), etag: String::new() }), true;
        restore_member(RestoreMemberRequest { id: id.clone() }), true;
        erase_member(EraseMemberRequest { id: id.clone() }), true;
    }
    outcomes
}

fn show(metadata: &mut MetadataMap, key: &str) {
    metadata.insert("authorization", format!("Bearer {key}").parse().unwrap());
}

#[tokio::test]
async fn a_key_that_may_only_read_changes_nothing() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let member = linked(&app, sally(), &key).await;
    let reader = app.key(&acme, &[Scope::DirectoryRead]).await;
    let before = events(&app, &reader).await;
    for (method, changes, result) in every_method(&app, &member, |metadata| show(metadata, &reader)).await {
        if changes {
            assert_status(result, Code::PermissionDenied, "SCOPE_REQUIRED");
        } else {
            assert!(result.is_ok(), "{method}: {result:?}");
        }
    }
    assert_eq!(events(&app, &reader).await, before);
    assert_eq!(
        find(&app, By::Id(member.id.clone()), &reader).await.unwrap(),
        member
    );
    // One that may write may also read.
    for (method, _, result) in every_method(&app, &member, |metadata| show(metadata, &key)).await {
        assert!(result.is_ok(), "{method}: {result:?}");
    }
}

#[tokio::test]
async fn a_key_without_a_scope_of_the_directory_is_no_key() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let member = linked(&app, sally(), &writer(&app, &acme).await).await;
    let public = app.key(&acme, &[Scope::PublicApi]).await;
    let admin = app.key(&acme, &[Scope::Admin]).await;
    let unbound = app.deployment_key(&[Scope::Admin]).await;
    for key in [&public[..], &admin, &unbound, "pb_unknown", ""] {
        for (_, _, result) in every_method(&app, &member, |metadata| show(metadata, key)).await {
            assert_status(result, Code::Unauthenticated, "INVALID_API_KEY");
        }
    }
    for (_, _, result) in every_method(&app, &member, |_| ()).await {
        assert_status(result, Code::Unauthenticated, "INVALID_API_KEY");
    }
}

#[tokio::test]
async fn what_another_organization_has_is_not_found() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let (ours, theirs) = (writer(&app, &acme).await, writer(&app, &globex).await);
    let member = linked(&app, sally(), &theirs).await;
    for (method, _, result) in every_method(&app, &member, |metadata| show(metadata, &ours)).await {
        match method {
            // They say so in what they answer.
            "batch_get_members" | "list_members" | "list_associations" | "check_access" => {
                assert!(result.is_ok(), "{result:?}");
            }
            // A user is nobody's: who knows the id may link it.
            "link_member" => assert!(result.is_ok(), "{result:?}"),
            "export_member" => assert_status(result, Code::NotFound, "USER_NOT_FOUND"),
            _ => assert_status(result, Code::NotFound, "MEMBER_NOT_FOUND"),
        }
    }
    for by in [
        By::Id(member.id.clone()),
        By::Email(SALLY.to_owned()),
        By::Number(7),
        By::Number(-1),
        By::ExternalId(ExternalId {
            source: "api".to_owned(),
            id: "1".to_owned(),
        }),
    ] {
        assert_status(find(&app, by, &ours).await, Code::NotFound, "MEMBER_NOT_FOUND");
    }
    let batch = BatchGetMembersRequest {
        ids: vec![member.id.clone(), NO_ID.to_owned(), member.id.clone()],
        include_revoked: true,
    };
    let batch = app.members().batch_get_members(with_key(batch, &ours)).await;
    let batch = batch.unwrap().into_inner();
    assert_eq!(batch.members, []);
    assert_eq!(batch.not_found, [member.id.clone(), NO_ID.to_owned()]);
    assert_eq!(
        find(&app, By::Id(member.id.clone()), &theirs).await.unwrap(),
        member
    );
}

#[tokio::test]
async fn a_key_of_no_organization_says_which_one_it_means() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let member = linked(&app, sally(), &writer(&app, &acme).await).await;
    let unbound = app.deployment_key(&[Scope::DirectoryWrite]).await;
    let named = |organization: String| {
        let unbound = unbound.clone();
        move |metadata: &mut MetadataMap| {
            show(metadata, &unbound);
            metadata.insert("x-organization-id", organization.parse().unwrap());
        }
    };
    let nowhere = [NO_ID, "acme", ""].map(|text| every_method_with(named(text.to_owned())));
    for prepare in nowhere {
        for (method, _, result) in every_method(&app, &member, prepare).await {
            // This alone looks at no organization that is named; but what is named must be a name.
            if method == "list_associations" && result.is_ok() {
                continue;
            }
            assert_status(result, Code::NotFound, "ORGANIZATION_NOT_FOUND");
        }
    }
    for (method, _, result) in every_method(&app, &member, |metadata| show(metadata, &unbound)).await {
        if ["list_associations", "check_access"].contains(&method) {
            assert!(result.is_ok(), "{result:?}");
        } else {
            assert_status(result, Code::NotFound, "ORGANIZATION_NOT_FOUND");
        }
    }
    // A key of one organization may name that one, and no other.
    let own = writer(&app, &acme).await;
    let naming = |organization: &Organization| {
        let mut request = with_key(get(By::Id(member.id.clone())), &own);
        let id = organization.id.to_string().parse().unwrap();
        request.metadata_mut().insert("x-organization-id", id);
        request
    };
    assert!(app.members().get_member(naming(&acme)).await.is_ok());
    let other = app.members().get_member(naming(&globex)).await;
    assert_status(other, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    for (method, _, result) in every_method(&app, &member, named(acme.id.to_string())).await {
        assert!(result.is_ok(), "{method}: {result:?}");
    }
}

#[tokio::test]
async fn a_key_is_told_where_it_may_read_and_whether_it_may_write() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let check = async |key: &str, named: Option<&str>| {
        let mut request = with_key(CheckAccessRequest {}, key);
        if let Some(named) = named {
            request
                .metadata_mut()
                .insert("x-organization-id", named.parse().unwrap());
        }
        app.members()
            .check_access(request)
            .await
            .map(Response::into_inner)
    };
    let access = |organization: Option<&Organization>, may_write| CheckAccessResponse {
        organization_id: organization.map(|found| found.id.to_string()).unwrap_or_default(),
        may_write,
    };
    let own = acme.id.to_string();
    for (scopes, may_write) in [
        (&[Scope::DirectoryRead][..], false),
        (&[Scope::DirectoryWrite], true),
        (&[Scope::DirectoryRead, Scope::DirectoryWrite], true),
        (&[Scope::PublicApi, Scope::Admin, Scope::DirectoryRead], false),
    ] {
        let bound = app.key(&acme, scopes).await;
        assert_eq!(check(&bound, None).await.unwrap(), access(Some(&acme), may_write));
        assert_eq!(
            check(&bound, Some(&own)).await.unwrap(),
            access(Some(&acme), may_write)
        );
        let other = check(&bound, Some(&globex.id.to_string())).await;
        assert_status(other, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    }
    for (scope, may_write) in [(Scope::DirectoryRead, false), (Scope::DirectoryWrite, true)] {
        let unbound = app.deployment_key(&[scope]).await;
        assert_eq!(check(&unbound, None).await.unwrap(), access(None, may_write));
        assert_eq!(
            check(&unbound, Some(&own)).await.unwrap(),
            access(Some(&acme), may_write)
        );
        for nobody in [NO_ID, "acme", ""] {
            let missing = check(&unbound, Some(nobody)).await;
            assert_status(missing, Code::NotFound, "ORGANIZATION_NOT_FOUND");
        }
    }
    for scopes in [&[Scope::PublicApi][..], &[Scope::Admin]] {
        let key = app.key(&globex, scopes).await;
        assert_status(check(&key, None).await, Code::Unauthenticated, "INVALID_API_KEY");
    }
}

/// Only to give closures one type.
fn every_method_with(prepare: impl Fn(&mut MetadataMap)) -> impl Fn(&mut MetadataMap) {
    prepare
}
