//! The gRPC services, as a client of theirs sees them.

use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use userbridge::{
    domain::{Actor, Clock as _, EventQuery, PageRequest, Profile, Scope, Timestamp},
    rpc::Services,
    service::Admin,
};

use crate::support::{
    CLOCK, Form, TestApp,
    proto::users_v1::{
        DeleteRequest, PingRequest, RetrieveRequest, User, retrieve_request::By,
        user_service_client::UserServiceClient,
    },
    with_key,
};

const SALLY: &str = "sally@acme.example.com";
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

/// All that a caller sees of an error, but for the time of day and the id of the request.
fn seen(status: &Status) -> (Code, String, String, Vec<String>) {
    let mut details = status.get_error_details();
    details.set_request_info("", "");
    let mut metadata: Vec<String> = status
        .metadata()
        .clone()
        .into_headers()
        .iter()
        .filter(|(name, _)| *name != "date" && *name != "x-request-id")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    metadata.sort();
    (
        status.code(),
        status.message().to_owned(),
        format!("{details:?}"),
        metadata,
    )
}

fn assert_status(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status
        .get_details_error_info()
        .expect("every error has an ErrorInfo");
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        (reason, "userbridge")
    );
}

fn assert_retry(status: &Status) {
    let retry = status
        .get_details_retry_info()
        .expect("a fault that passes says when");
    assert!(retry.retry_delay.is_some_and(|delay| delay > Duration::ZERO));
}

#[tokio::test]
async fn a_user_has_nine_fields_and_absent_ones_are_absent() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let full = Profile {
        email: Some(SALLY.parse().unwrap()),
        name: Some("Sally Doe".parse().unwrap()),
        avatar_url: Some("https://acme.example.com/sally.png".parse().unwrap()),
        portal_role: Some("admin".parse().unwrap()),
        company_name: Some("Acme Inc".parse().unwrap()),
        customer_status: Some("paying".parse().unwrap()),
        locale: None,
    };
    let member = app.link(&acme.organization, None, full).await;
    let created_at = |millis: i64| prost_types::Timestamp {
        seconds: millis / 1000,
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap(),
    };
    let expected = User {
        id: member.id.to_string(),
        user_id: member.user_id.to_string(),
        email: Some(SALLY.to_owned()),
        name: Some("Sally Doe".to_owned()),
        avatar_url: Some("https://acme.example.com/sally.png".to_owned()),
        portal_role: "admin".to_owned(),
        company_name: Some("Acme Inc".to_owned()),
        customer_status: Some("paying".to_owned()),
        created_at: Some(created_at(member.created_at.as_millis())),
    };
    assert_eq!(app.retrieve_email(&acme.key, SALLY).await.unwrap(), expected);
    assert_eq!(
        app.retrieve(&acme.key, &expected.user_id).await.unwrap(),
        expected
    );

    let member = app.link(&acme.organization, None, Profile::default()).await;
    let user = app
        .retrieve(&acme.key, &member.user_id.to_string())
        .await
        .unwrap();
    assert_eq!(
        user,
        User {
            id: member.id.to_string(),
            user_id: member.user_id.to_string(),
            portal_role: "end_user".to_owned(),
            created_at: Some(created_at(member.created_at.as_millis())),
            ..User::default()
        }
    );
}

#[tokio::test]
async fn ping_says_whose_key_it_is() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let before = CLOCK.now().as_millis() / 1000;
    let ping = app.ping(&acme.key).await.unwrap();
    assert_eq!(ping.organization_id, acme.organization.id.to_string());
    assert_eq!(ping.organization_slug, "acme");
    let time = ping.time.unwrap();
    assert!(time.seconds >= before);
    assert_eq!(time.nanos % 1_000_000, 0);
}

#[tokio::test]
async fn a_user_id_may_have_any_form_of_a_uuid() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id;
    let uuid = sally.as_uuid();
    for form in [
        uuid.hyphenated().to_string(),
        uuid.hyphenated().to_string().to_uppercase(),
        uuid.simple().to_string(),
        uuid.braced().to_string(),
        uuid.urn().to_string(),
    ] {
        let user = app.retrieve(&acme.key, &form).await.unwrap();
        assert_eq!(user.user_id, sally.to_string(), "{form}");
    }
    app.delete(&acme.key, &uuid.simple().to_string()).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id.to_string();
    let named = |status: &Status| -> Vec<String> {
        assert_status(status, Code::InvalidArgument, "INVALID_ARGUMENT");
        let faults = status.get_details_bad_request().unwrap().field_violations;
        assert!(faults.iter().all(|fault| !fault.description.is_empty()));
        faults.into_iter().map(|fault| fault.field).collect()
    };
    for bad in [
        "",
        "abc",
        &format!("{sally} "),
        &sally[1..],
        "bb3c3ef8-b8cd-cd15-01ba-useruser0001",
    ] {
        let status = app.retrieve(&acme.key, bad).await.unwrap_err();
        assert_eq!(named(&status), ["user_id"], "{bad}");
        let status = app.delete(&acme.key, bad).await.unwrap_err();
        assert_eq!(named(&status), ["user_id"], "{bad}");
    }
    let status = app
        .users()
        .retrieve(with_key(RetrieveRequest { by: None }, &acme.key))
        .await
        .unwrap_err();
    assert_eq!(named(&status), ["by"]);
}

#[tokio::test]
async fn all_keys_that_open_nothing_answer_alike() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id.to_string();

    let revoked = app.tenant("revoked").await;
    let keys = app
        .directory()
        .api_keys(
            Admin::OPERATOR,
            Some(revoked.organization.id),
            PageRequest {
                after: None,
                limit: 1,
            },
        )
        .await
        .unwrap();
    app.directory()
        .revoke_api_key(Admin::OPERATOR, Some(revoked.organization.id), keys.items[0].id)
        .await
        .unwrap();
    let deleted = app.tenant("deleted").await;
    app.directory()
        .delete_organization(Admin::OPERATOR, deleted.organization.id)
        .await
        .unwrap();
    let unscoped = app
        .key(
            &acme.organization,
            &[Scope::Admin, Scope::DirectoryRead, Scope::DirectoryWrite],
        )
        .await;
    let past = Timestamp::from_millis(CLOCK.now().as_millis() - 1);
    let expired = "pb_expired";
    app.raw_key(&revoked.organization, expired, &[Scope::PublicApi], Some(past))
        .await;

    // Told by the server's own rules, without the client that a test would use: what is sent is what is in the header.
    let upper = acme.key.to_uppercase();
    let prefix = acme.key.get(..20).unwrap();
    let headers: [(&str, Option<String>); 14] = [
        ("missing", None),
        ("empty", Some(String::new())),
        ("no key", Some("Bearer".to_owned())),
        ("empty key", Some("Bearer ".to_owned())),
        ("no scheme", Some(acme.key.clone())),
        ("another scheme", Some(format!("Basic {}", acme.key))),
        ("unknown", Some(format!("Bearer pb_{}", "A".repeat(43)))),
        ("no key at all", Some("Bearer hello".to_owned())),
        ("other case", Some(format!("Bearer {upper}"))),
        ("part of a key", Some(format!("Bearer {prefix}"))),
        ("revoked", Some(format!("Bearer {}", revoked.key))),
        (
            "of a deleted organization",
            Some(format!("Bearer {}", deleted.key)),
        ),
        ("expired", Some(format!("Bearer {expired}"))),
        ("unscoped", Some(format!("Bearer {unscoped}"))),
    ];
    let mut first = None;
    for (what, header) in headers {
        for user_id in [&*sally, NOBODY] {
            let status = call(&app, header.as_deref(), user_id).await;
            assert_status(&status, Code::Unauthenticated, "INVALID_API_KEY");
            let seen = seen(&status);
            assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen, "{what}");
        }
    }
    // The scheme may be in any case (RFC 9110 §11.1).
    let mut request = Request::new(PingRequest {});
    let value = format!("bEARER {}", acme.key).parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    app.users().ping(request).await.unwrap();
    assert!(app.retrieve(&acme.key, &sally).await.is_ok());
}

/// What the three methods answer to a key that opens nothing, which is the same.
async fn call(app: &TestApp, authorization: Option<&str>, user_id: &str) -> Status {
    fn with<T>(message: T, authorization: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(value) = authorization {
            request
                .metadata_mut()
                .insert("authorization", value.parse().unwrap());
        }
        request
    }
    let user_id = user_id.to_owned();
    let by = Some(By::UserId(user_id.clone()));
    let mut users = app.users();
    let retrieve = users
        .retrieve(with(RetrieveRequest { by }, authorization))
        .await
        .unwrap_err();
    let delete = users
        .delete(with(DeleteRequest { user_id }, authorization))
        .await
        .unwrap_err();
    let ping = users.ping(with(PingRequest {}, authorization)).await.unwrap_err();
    assert_eq!(seen(&delete), seen(&retrieve));
    assert_eq!(seen(&ping), seen(&retrieve));
    retrieve
}

#[tokio::test]
async fn who_is_elsewhere_never_was_or_is_no_more_is_not_found_alike() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let elsewhere = app.member(&globex.organization, "tom@globex.example.com").await;
    let revoked = app.member(&acme.organization, SALLY).await;
    app.delete(&acme.key, &revoked.user_id.to_string()).await.unwrap();

    let mut first = None;
    let mut same = |what: &str, status: Status| {
        assert_status(&status, Code::NotFound, "USER_NOT_FOUND");
        let seen = seen(&status);
        assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen, "{what}");
    };
    for user_id in [
        elsewhere.user_id.to_string(),
        revoked.user_id.to_string(),
        NOBODY.to_owned(),
    ] {
        same(&user_id, app.retrieve(&acme.key, &user_id).await.unwrap_err());
        same(&user_id, app.delete(&acme.key, &user_id).await.unwrap_err());
    }
    // The id of a member is no id of a user.
    same(
        "member",
        app.retrieve(&acme.key, &revoked.id.to_string())
            .await
            .unwrap_err(),
    );
    for email in [
        "tom@globex.example.com",
        SALLY,
        "nobody@acme.example.com",
        "",
        "no address",
    ] {
        same(email, app.retrieve_email(&acme.key, email).await.unwrap_err());
    }
    assert!(
        app.retrieve(&globex.key, &elsewhere.user_id.to_string())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn deleting_in_one_organization_leaves_the_other_and_the_person() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let here = app.member(&acme.organization, SALLY).await;
    let there = app.member(&globex.organization, SALLY).await;
    let user = here.user_id.to_string();
    assert_eq!(there.user_id, here.user_id);

    app.delete(&acme.key, &user).await.unwrap();
    assert_eq!(
        app.retrieve(&acme.key, &user).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        app.retrieve(&globex.key, &user).await.unwrap().id,
        there.id.to_string()
    );
    assert_eq!(
        app.delete(&acme.key, &user).await.unwrap_err().code(),
        Code::NotFound
    );

    let again = app.member(&acme.organization, SALLY).await;
    let found = app.retrieve_email(&acme.key, SALLY).await.unwrap();
    assert_eq!(
        (found.id.as_str(), found.user_id),
        (again.id.to_string().as_str(), user)
    );
    assert_ne!(again.id, here.id);
}

#[tokio::test]
async fn a_delete_names_the_key_in_the_log() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await;
    app.delete(&acme.key, &sally.user_id.to_string()).await.unwrap();
    let directory = app.directory();
    let page = PageRequest {
        after: None,
        limit: 1,
    };
    let organization = Some(acme.organization.id);
    let keys = directory
        .api_keys(Admin::OPERATOR, organization, page)
        .await
        .unwrap();
    let key = keys.items[0].id;
    let storage = app.storage().await;
    let query = EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    let log = storage.events(organization, query).await.unwrap();
    assert_eq!(log.last().unwrap().actor, Actor::ApiKey(key));
    assert_eq!(log.last().unwrap().member_id, Some(sally.id));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let status = app
        .retrieve_email(&acme.key, &"x".repeat(9_000))
        .await
        .unwrap_err();
    assert_status(&status, Code::OutOfRange, "MESSAGE_TOO_LARGE");
    // Below it, it is only nobody's address.
    let status = app
        .retrieve_email(&acme.key, &"x".repeat(8_000))
        .await
        .unwrap_err();
    assert_status(&status, Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_answered_at_once() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    for deadline in ["1n", "1u", "1m", "0S"] {
        let mut request = with_key(PingRequest {}, &acme.key);
        request
            .metadata_mut()
            .insert("grpc-timeout", deadline.parse().unwrap());
        let answer = timeout(NEVER, app.users().ping(request)).await.expect("it hangs");
        // tonic's own client has a timer too, which says CANCELLED.
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        assert!(
            matches!(code, Code::Ok | Code::DeadlineExceeded | Code::Cancelled),
            "{deadline}: {code:?}"
        );
    }
    app.ping(&acme.key).await.unwrap();
}

/// Nothing between the call and the services but the services' own deadline: as the gateway calls them in one process.
async fn services(app: &TestApp) -> UserServiceClient<tonic::service::Routes> {
    let services = Services::new().await;
    services.ready(app.directory().clone()).await;
    UserServiceClient::new(services.published())
}

#[tokio::test]
async fn a_call_that_takes_longer_than_its_caller_waits_is_deadline_exceeded() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id.to_string();
    let mut other = SqliteConnection::connect(app.database_url()).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let delete = || {
        let user_id = sally.clone();
        let mut request = with_key(DeleteRequest { user_id }, &acme.key);
        request
            .metadata_mut()
            .insert("grpc-timeout", "50m".parse().unwrap());
        request
    };
    let mut in_process = services(&app).await;
    let status = timeout(NEVER, in_process.delete(delete()))
        .await
        .expect("it hangs")
        .unwrap_err();
    assert_status(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let status = timeout(NEVER, app.users().delete(delete()))
        .await
        .expect("it hangs")
        .unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    // Who only reads does not wait for who writes.
    app.retrieve(&acme.key, &sally).await.unwrap();
    lock.rollback().await.unwrap();
    // What was asked for may have happened, once.
    let deleted = app.delete(&acme.key, &sally).await;
    assert!(deleted.is_ok() || deleted.unwrap_err().code() == Code::NotFound);
    assert!(app.retrieve(&acme.key, &sally).await.is_err());
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_unavailable_for_now() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id.to_string();
    let mut other = SqliteConnection::connect(app.database_url()).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let answer = timeout(NEVER, app.delete(&acme.key, &sally))
        .await
        .expect("it hangs");
    let status = answer.unwrap_err();
    assert_status(&status, Code::Unavailable, "UNAVAILABLE");
    assert_retry(&status);
    // Nothing of the database in what a client reads.
    assert!(!format!("{status:?}").to_lowercase().contains("sqlite"));
    lock.rollback().await.unwrap();
    app.retrieve(&acme.key, &sally).await.unwrap();
    // The server finds out by itself, within the time that it told.
    let deleted = timeout(NEVER, async {
        while let Err(status) = app.delete(&acme.key, &sally).await {
            assert_status(&status, Code::Unavailable, "UNAVAILABLE");
            sleep(Duration::from_millis(50)).await;
        }
    });
    deleted.await.expect("it goes on");
}

#[tokio::test]
async fn a_server_that_is_starting_says_when_to_come_back() {
    let services = Services::new().await;
    let mut users = UserServiceClient::new(services.published());
    let status = users.ping(with_key(PingRequest {}, "pb_any")).await.unwrap_err();
    assert_status(&status, Code::Unavailable, "NOT_READY");
    assert_retry(&status);
}

#[tokio::test]
async fn a_method_that_is_not_there_is_unimplemented() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let mut grpc = tonic::client::Grpc::new(app.channel());
    for path in [
        "/userbridge.users.v1.UserService/Nothing",
        "/userbridge.admin.v1.Nothing/List",
    ] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<PingRequest, PingRequest>::default();
        let path = path.parse().unwrap();
        let status = grpc
            .unary(with_key(PingRequest {}, &acme.key), path, codec)
            .await
            .unwrap_err();
        assert_status(&status, Code::Unimplemented, "UNIMPLEMENTED");
    }
}
