//! What is judged before a method sees anything: the key first, then the size and the form of the message.

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use tower::{Service as _, ServiceExt as _};
use userbridge::{
    domain::{PageRequest, Scope},
    service::Admin,
};

use crate::support::{
    Form, TestApp,
    proto::{
        directory_v1::{LinkMemberRequest, SetTeamMembersRequest},
        users_v1::{DeleteRequest, RetrieveRequest},
    },
    with_key,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

/// Every method that a key opens, but for the streams of health and reflection.
const METHODS: [&str; 33] = [
    "users.v1.UserService/Retrieve",
    "users.v1.UserService/Delete",
    "users.v1.UserService/Ping",
    "users.v1.UserService/Nothing",
    "directory.v1.MemberService/LinkMember",
    "directory.v1.MemberService/GetMember",
    "directory.v1.MemberService/BatchGetMembers",
    "directory.v1.MemberService/ListMembers",
    "directory.v1.MemberService/UpdateMember",
    "directory.v1.MemberService/RevokeMember",
    "directory.v1.MemberService/RestoreMember",
    "directory.v1.MemberService/EraseMember",
    "directory.v1.MemberService/ExportMember",
    "directory.v1.MemberService/ListAssociations",
    "directory.v1.MemberService/RecordSeen",
    "directory.v1.MemberService/CheckAccess",
    "directory.v1.MemberService/Nothing",
    "directory.v1.TeamService/CreateTeam",
    "directory.v1.TeamService/ListTeams",
    "directory.v1.TeamService/SetTeamMembers",
    "directory.v1.TeamService/DeleteTeam",
    "directory.v1.EventService/ListEvents",
    "directory.v1.EventService/WatchEvents",
    "admin.v1.OrganizationService/CreateOrganization",
    "admin.v1.OrganizationService/GetOrganization",
    "admin.v1.OrganizationService/ListOrganizations",
    "admin.v1.OrganizationService/UpdateOrganization",
    "admin.v1.OrganizationService/DeleteOrganization",
    "admin.v1.ApiKeyService/CreateApiKey",
    "admin.v1.ApiKeyService/ListApiKeys",
    "admin.v1.ApiKeyService/GetApiKey",
    "admin.v1.ApiKeyService/RotateApiKey",
    "admin.v1.ApiKeyService/RevokeApiKey",
];

/// Methods whose messages go on for as long as the caller likes.
const STREAMS: [&str; 2] = [
    "directory.v1.TransferService/ImportMembers",
    "directory.v1.TransferService/ExportMembers",
];

/// A call made by hand: these headers, and a body that is whatever comes out of the channel.
struct Call {
    path: String,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    fn to(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            headers: Vec::new(),
        }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sends a message that ends.
    async fn send(self, channel: &Channel, message: &[u8]) -> Status {
        let (sender, receiver) = mpsc::channel(1);
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let bytes = [&[0][..], &length, message].concat();
        sender.send(bytes).await.unwrap();
        drop(sender);
        self.stream(channel, receiver).await
    }

    /// Sends what comes as a body, and returns what is answered before the body of the answer.
    async fn stream(self, channel: &Channel, body: mpsc::Receiver<Vec<u8>>) -> Status {
        use tokio_stream::StreamExt as _;
        let frames = ReceiverStream::new(body).map(|bytes| Ok::<_, Status>(Frame::data(Bytes::from(bytes))));
        let mut request = http::Request::post(format!("http://test/{}", self.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in &self.headers {
            request = request.header(*name, value.as_bytes());
        }
        let body = tonic::body::Body::new(StreamBody::new(frames));
        let mut channel = channel.clone();
        channel.ready().await.unwrap();
        let answer = timeout(NEVER, channel.call(request.body(body).unwrap()));
        let answer = answer.await.expect("it hangs").unwrap();
        Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok(""))
    }
}

#[track_caller]
fn assert_status(what: &str, status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{what}: {status:?}");
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("{what}: {status:?} has no ErrorInfo"));
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        (reason, "userbridge"),
        "{what}"
    );
}

/// A secret that opens everything but one organization's public API.
async fn everything(app: &TestApp) -> String {
    app.deployment_key(&[Scope::DirectoryWrite, Scope::Admin]).await
}

#[tokio::test]
async fn an_unknown_or_foreign_key_is_judged_before_everything_else() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let opens_nothing_else = app.deployment_key(&[Scope::Admin]).await;
    for method in METHODS.into_iter().chain(STREAMS) {
        let foreign = if method.starts_with("directory") {
            &opens_nothing_else
        } else if method.starts_with("admin") {
            &acme.key
        } else {
            &app.key(&acme.organization, &[Scope::DirectoryRead]).await
        };
        let not_utf8 = [0x0a, 2, 0xff, 0xfe, 0x12, 2, 0xff, 0xfe];
        let wrong_type = [0x0f, 0xff, 0xff];
        for key in ["pb_unknown", foreign] {
            for message in [&not_utf8[..], &wrong_type, &vec![b'x'; 600_000]] {
                let call = Call::to(&format!("userbridge.{method}"));
                let call = call.key(key).header("x-organization-id", "no id");
                let status = call.send(&app.channel(), message).await;
                assert_status(method, &status, Code::Unauthenticated, "INVALID_API_KEY");
            }
        }
    }
    let by_id = RetrieveRequest {
        by: Some(crate::support::proto::users_v1::retrieve_request::By::UserId(
            "no id".to_owned(),
        )),
    };
    let user_id = "no id".to_owned();
    let mut users = app.users();
    for status in [
        users.retrieve(with_key(by_id, "pb_unknown")).await.unwrap_err(),
        users
            .retrieve(with_key(RetrieveRequest { by: None }, "pb_unknown"))
            .await
            .unwrap_err(),
        users
            .delete(with_key(DeleteRequest { user_id }, "pb_unknown"))
            .await
            .unwrap_err(),
    ] {
        assert_status("malformed", &status, Code::Unauthenticated, "INVALID_API_KEY");
    }
}

#[tokio::test]
async fn what_no_method_sees_says_why() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let key = everything(&app).await;
    for method in METHODS {
        let key = if method.starts_with("users") {
            &acme.key
        } else {
            &key
        };
        let call = || Call::to(&format!("userbridge.{method}")).key(key);
        let large = call().send(&app.channel(), &vec![0; 600_000]).await;
        assert_status(method, &large, Code::OutOfRange, "MESSAGE_TOO_LARGE");
        let malformed = call().send(&app.channel(), &[0x0f, 0xff, 0xff]).await;
        if method.ends_with("Nothing") {
            assert_status(method, &malformed, Code::Unimplemented, "UNIMPLEMENTED");
        } else {
            assert_status(method, &malformed, Code::Internal, "MALFORMED_MESSAGE");
        }
    }
    // An address that is not UTF-8.
    let call = Call::to("userbridge.users.v1.UserService/Retrieve").key(&acme.key);
    let status = call.send(&app.channel(), &[0x12, 2, 0xff, 0xfe]).await;
    assert_status("not UTF-8", &status, Code::Internal, "MALFORMED_MESSAGE");
    for path in ["userbridge.admin.v1.Nothing/List", "nothing", ""] {
        let status = Call::to(path).send(&app.channel(), b"").await;
        assert_status(path, &status, Code::Unimplemented, "UNIMPLEMENTED");
    }
    let check = Call::to("grpc.health.v1.Health/Check");
    let status = check.send(&app.channel(), b"\x0a\x07nothing").await;
    assert_status("health", &status, Code::NotFound, "SERVICE_NOT_FOUND");
}

#[tokio::test]
async fn each_method_takes_the_largest_message_that_it_has_use_for() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let key = app.key(&acme.organization, &[Scope::DirectoryWrite]).await;
    let id = "00000000-0000-4000-8000-000000000000".to_owned();
    let team = SetTeamMembersRequest {
        number: 1,
        member_ids: vec![id; 10_000],
    };
    let channel = app.channel();
    let mut teams =
        crate::support::proto::directory_v1::team_service_client::TeamServiceClient::new(channel.clone());
    let status = teams.set_team_members(with_key(team, &key)).await.unwrap_err();
    assert_status("ten thousand ids", &status, Code::NotFound, "MEMBER_NOT_FOUND");
    // Too long for a name, but named as that.
    let link = LinkMemberRequest {
        email: Some("sally@acme.example.com".to_owned()),
        name: Some("x".repeat(60_000)),
        ..LinkMemberRequest::default()
    };
    let mut members =
        crate::support::proto::directory_v1::member_service_client::MemberServiceClient::new(channel);
    let status = members.link_member(with_key(link, &key)).await.unwrap_err();
    assert_status("a long name", &status, Code::InvalidArgument, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn who_shows_no_key_is_not_waited_for() {
    let app = TestApp::start(Form::Embedded).await;
    for method in METHODS {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(vec![0, 0, 0, 0, 100, 1]).await.unwrap();
        let call = Call::to(&format!("userbridge.{method}")).key("pb_unknown");
        let started = tokio::time::Instant::now();
        let status = call.stream(&app.channel(), receiver).await;
        assert_status(method, &status, Code::Unauthenticated, "INVALID_API_KEY");
        // Not only when its deadline, of 30 s, has passed.
        assert!(started.elapsed() < Duration::from_secs(20), "{method}");
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_while_its_message_comes_is_judged_again() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let organization = Some(acme.organization.id);
    let key = app.key(&acme.organization, &[Scope::DirectoryRead]).await;
    let (sender, receiver) = mpsc::channel(1);
    sender.send(vec![0, 0, 0]).await.unwrap();
    let call = Call::to("userbridge.directory.v1.MemberService/ListMembers").key(&key);
    let channel = app.channel();
    let answer = tokio::spawn(async move { call.stream(&channel, receiver).await });
    // Longer than a message takes.
    sleep(Duration::from_millis(1200)).await;
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let keys = app
        .directory()
        .api_keys(Admin::OPERATOR, organization, page)
        .await;
    for key in keys.unwrap().items {
        let revoked = app
            .directory()
            .revoke_api_key(Admin::OPERATOR, organization, key.id);
        revoked.await.unwrap();
    }
    sender.send(vec![0, 0]).await.unwrap();
    drop(sender);
    let status = answer.await.unwrap();
    assert_status("revoked", &status, Code::Unauthenticated, "INVALID_API_KEY");
}

#[tokio::test]
async fn a_header_that_is_there_twice_names_nothing() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let id = acme.organization.id.to_string();
    let key = everything(&app).await;
    let call = || Call::to("userbridge.directory.v1.MemberService/LinkMember").key(&key);
    let channel = app.channel();
    let sally = b"\x22\x16sally@acme.example.com";
    let status = call().key(&key).send(&channel, sally).await;
    assert_status("two keys", &status, Code::Unauthenticated, "INVALID_API_KEY");
    let named = || call().header("x-organization-id", &id);
    let status = named()
        .header("x-organization-id", &id)
        .send(&channel, sally)
        .await;
    assert_status(
        "two organizations",
        &status,
        Code::NotFound,
        "ORGANIZATION_NOT_FOUND",
    );
    for (first, second) in [("once", Some("twice")), ("caf\u{e9}", None), ("a\tb", None)] {
        let mut call = named().header("idempotency-key", first);
        if let Some(second) = second {
            call = call.header("idempotency-key", second);
        }
        let status = call.send(&channel, sally).await;
        assert_status(first, &status, Code::InvalidArgument, "INVALID_ARGUMENT");
        let faults = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(faults[0].field, "idempotency-key", "{first}");
    }
}
