//! Passwords, codes and sessions, as clients see them.

use tokio::task::{JoinSet, yield_now};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use userbridge::domain::{Member as DomainMember, MemberRef, Organization, Scope, TokenKind};
use userbridge::service::Read;

use super::{
    assert_status, faults,
    members::{linked, update, writer},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        CreateSessionRequest, EndSessionRequest, EraseMemberRequest, GetPasswordLinkRequest,
        GetSessionRequest, IssueHandoverCodeRequest, LinkMemberRequest, ListEventsRequest,
        ListMembersRequest, Member, RevokeMemberRequest, Role, SetPasswordRequest, VerifyOutcome,
        VerifyRequest, VerifyResponse, credential_service_client::CredentialServiceClient,
        session_service_client::SessionServiceClient, verify_request::By,
    },
    with_key,
};

pub(super) const PASSWORD: &str = "violet otter in the harbour";

impl TestApp {
    pub(crate) fn credentials(&self) -> CredentialServiceClient<Channel> {
        CredentialServiceClient::new(self.channel())
    }

    fn sessions(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel())
    }

    /// A token of this kind for a member, as it would be mailed or handed over.
    pub(super) async fn token(&self, organization: &Organization, id: &str, kind: TokenKind) -> String {
        let member = self.stored(organization, id).await;
        self.live_token(organization, member.number, kind).await
    }

    async fn stored(&self, organization: &Organization, id: &str) -> DomainMember {
        let by_id = MemberRef::Id(id.parse().unwrap());
        let grant = Read::operator(organization.id);
        self.directory().member(grant, by_id, true).await.unwrap()
    }

    pub(super) async fn set_password(&self, link: &str, password: &str) -> Result<(), Status> {
        let password = password.to_owned();
        let request = with_key(SetPasswordRequest { password }, link);
        self.credentials().set_password(request).await.map(|_| ())
    }

    pub(super) async fn verify(&self, key: &str, by: By, password: &str) -> Result<VerifyResponse, Status> {
        let request = VerifyRequest {
            by: Some(by),
            password: password.to_owned(),
            source: String::new(),
        };
        let response = self.credentials().verify(with_key(request, key)).await?;
        Ok(response.into_inner())
    }

    pub(super) async fn code(&self, by: &str, member_id: &str) -> Result<String, Status> {
        let member_id = member_id.to_owned();
        let request = with_key(IssueHandoverCodeRequest { member_id }, by);
        let response = self.credentials().issue_handover_code(request).await?;
        Ok(response.into_inner().code)
    }

    pub(super) async fn open(&self, code: &str) -> Result<String, Status> {
        let request = with_key(CreateSessionRequest {}, code);
        let response = self.sessions().create_session(request).await?;
        Ok(response.into_inner().token)
    }

    /// The token of a session of this member.
    async fn session(&self, key: &str, member: &Member) -> String {
        self.open(&self.code(key, &member.id).await.unwrap())
            .await
            .unwrap()
    }

    pub(super) async fn whose(&self, session: &str) -> Result<String, Status> {
        let request = with_key(GetSessionRequest {}, session);
        let session = self.sessions().get_session(request).await?.into_inner().session;
        Ok(session.unwrap().member.unwrap().id)
    }
}

pub(super) async fn staff(app: &TestApp, key: &str, email: &str, role: Role) -> Member {
    let request = LinkMemberRequest {
        email: Some(email.to_owned()),
        role: role.into(),
        ..LinkMemberRequest::default()
    };
    linked(app, request, key).await
}

fn by_email(email: &str) -> By {
    By::Email(email.to_owned())
}

const SALLY: &str = "sally@acme.example.com";

#[tokio::test]
async fn a_mailed_link_sets_a_password_that_opens_a_session() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let sally = staff(&app, &key, SALLY, Role::Admin).await;
    let link = app.token(&acme, &sally.id, TokenKind::PasswordLink).await;
    // To look at it uses up nothing.
    for _ in 0..2 {
        let request = with_key(GetPasswordLinkRequest {}, &link);
        let shown = app.credentials().get_password_link(request).await;
        let shown = shown.unwrap().into_inner();
        assert_eq!(
            (
                &*shown.organization_name,
                shown.min_password_length,
                shown.max_password_length
            ),
            ("acme", 8, 256)
        );
    }
    // Nor does a password that is refused.
    for bad in ["short", &"x".repeat(257)] {
        assert_eq!(faults(app.set_password(&link, bad).await), ["password"]);
    }
    for common in [
        "password1",
        "12345678",
        "qwertyuiop",
        "aaaaaaaaaaaa",
        SALLY,
        "Userbridge1",
    ] {
        let refused = app.set_password(&link, common).await;
        assert_status(refused, Code::FailedPrecondition, "PASSWORD_TOO_COMMON");
    }
    app.set_password(&link, PASSWORD).await.unwrap();
    let again = app.set_password(&link, "another otter in the harbour").await;
    assert_status(again, Code::Unauthenticated, "INVALID_TOKEN");
    for by in [by_email(SALLY), By::MemberId(sally.id.clone())] {
        let verified = app.verify(&key, by, PASSWORD).await.unwrap();
        assert_eq!(verified.outcome(), VerifyOutcome::Verified);
        assert!(verified.member.unwrap().onboarded);
        let code = app.code(&verified.access_token, "").await.unwrap();
        let session = app.open(&code).await.unwrap();
        assert_status(app.open(&code).await, Code::Unauthenticated, "INVALID_TOKEN");
        assert_eq!(app.whose(&session).await.unwrap(), sally.id);
        app.sessions()
            .end_session(with_key(EndSessionRequest {}, &session))
            .await
            .unwrap();
        assert_status(app.whose(&session).await, Code::Unauthenticated, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn whoever_is_not_known_or_wrong_is_denied_at_the_cost_of_one_hash() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let sally = staff(&app, &key, SALLY, Role::Viewer).await;
    staff(&app, &key, "tom@acme.example.com", Role::Viewer).await;
    let link = app.token(&acme, &sally.id, TokenKind::PasswordLink).await;
    app.set_password(&link, PASSWORD).await.unwrap();
    // Another organization's key does not know her.
    let globex = app.organization("globex").await;
    let theirs = writer(&app, &globex).await;
    let long = "x".repeat(5000);
    for (key, by, password) in [
        (&key, by_email(SALLY), "violet otter in the harbor"),
        (&key, by_email(SALLY), ""),
        (&key, by_email(SALLY), &long),
        (&key, by_email("tom@acme.example.com"), PASSWORD),
        (&key, by_email("nobody@acme.example.com"), PASSWORD),
        (&key, by_email("no address"), PASSWORD),
        (
            &key,
            By::MemberId("00000000-0000-7000-8000-000000000000".to_owned()),
            PASSWORD,
        ),
        (&theirs, by_email(SALLY), PASSWORD),
        (&theirs, By::MemberId(sally.id.clone()), PASSWORD),
    ] {
        let before = app.directory().passwords_hashed();
        let denied = app.verify(key, by, password).await.unwrap();
        let expected = VerifyResponse {
            outcome: VerifyOutcome::Denied.into(),
            ..VerifyResponse::default()
        };
        assert_eq!(denied, expected);
        assert_eq!(app.directory().passwords_hashed(), before + 1);
    }
    // That she is disabled is told to who knows the password.
    let off = update(&sally.id, &["enabled"], Member::default());
    app.members().update_member(with_key(off, &key)).await.unwrap();
    let outcome = async |password| {
        app.verify(&key, by_email(SALLY), password)
            .await
            .unwrap()
            .outcome()
    };
    assert_eq!(outcome("wrong otter").await, VerifyOutcome::Denied);
    assert_eq!(outcome(PASSWORD).await, VerifyOutcome::Disabled);
    let reader = app.key(&acme, &[Scope::DirectoryRead]).await;
    let refused = app.verify(&reader, by_email(SALLY), PASSWORD).await;
    assert_status(refused, Code::PermissionDenied, "SCOPE_REQUIRED");
}

#[tokio::test]
async fn who_tries_too_often_waits_whether_known_or_not() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    staff(&app, &key, SALLY, Role::Viewer).await;
    for email in [SALLY, "nobody@acme.example.com"] {
        let mut refused = None;
        // More than ten if time has passed meanwhile.
        for attempt in 0..30 {
            if let Err(status) = app.verify(&key, by_email(email), "wrong otter").await {
                assert!(attempt >= 10, "{attempt}");
                refused = Some(status);
                break;
            }
        }
        let status = refused.expect("it is refused in the end");
        let before = app.directory().passwords_hashed();
        let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait.as_secs() <= 30, "{wait:?}");
        assert_status(Err::<(), _>(status), Code::ResourceExhausted, "TOO_MANY_ATTEMPTS");
        app.verify(&key, by_email(email), "wrong otter")
            .await
            .unwrap_err();
        assert_eq!(app.directory().passwords_hashed(), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_is_not_judged_for_want_of_a_place_is_not_counted() {
    /// More than may wait.
    const MANY: usize = 200;

    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let sally = staff(&app, &key, SALLY, Role::Viewer).await;
    let link = app.token(&acme, &sally.id, TokenKind::PasswordLink).await;
    app.set_password(&link, PASSWORD).await.unwrap();
    let mut crowd = JoinSet::new();
    for number in 0..MANY {
        let (mut client, key) = (app.credentials(), key.clone());
        crowd.spawn(async move {
            loop {
                let request = VerifyRequest {
                    by: Some(by_email(&format!("nobody{number}@acme.example.com"))),
                    password: "wrong otter".to_owned(),
                    source: String::new(),
                };
                // Refused for want of a place, or for too many attempts.
                let _ = client.verify(with_key(request, &key)).await;
            }
        });
    }
    let mut refused = 0;
    while refused < 12 {
        // Now and then she has a place.
        if let Err(status) = app.verify(&key, by_email(SALLY), "wrong otter").await {
            assert_status(Err::<(), _>(status), Code::ResourceExhausted, "OVERLOADED");
            refused += 1;
        }
    }
    crowd.shutdown().await;
    while app.directory().load().hashes_waiting > 0 {
        yield_now().await;
    }
    let verified = app.verify(&key, by_email(SALLY), PASSWORD).await.unwrap();
    assert_eq!(verified.outcome(), VerifyOutcome::Verified);
}

#[tokio::test]
async fn a_session_reads_and_changes_its_own_organization_as_its_member() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let key = writer(&app, &acme).await;
    let admin = staff(&app, &key, "admin@acme.example.com", Role::Admin).await;
    let owner = staff(&app, &key, "owner@acme.example.com", Role::Owner).await;
    let tom = staff(&app, &key, "tom@acme.example.com", Role::Viewer).await;
    let theirs = staff(
        &app,
        &writer(&app, &globex).await,
        "tom@globex.example.com",
        Role::Viewer,
    )
    .await;
    let session = app.session(&key, &admin).await;
    let listed = app
        .members()
        .list_members(with_key(ListMembersRequest::default(), &session))
        .await;
    assert_eq!(listed.unwrap().into_inner().members.len(), 3);
    let named = |id: &str| {
        update(
            id,
            &["name"],
            Member {
                name: Some("New".to_owned()),
                ..Member::default()
            },
        )
    };
    app.members()
        .update_member(with_key(named(&tom.id), &session))
        .await
        .unwrap();
    let events = app
        .events()
        .list_events(with_key(ListEventsRequest::default(), &session))
        .await;
    let last = events.unwrap().into_inner().events.pop().unwrap();
    assert_eq!(
        (last.member_id, last.actor),
        (tom.id.clone(), format!("member:{}", admin.id))
    );
    let refused = app
        .members()
        .update_member(with_key(named(&owner.id), &session))
        .await;
    assert_status(refused, Code::PermissionDenied, "ROLE_REQUIRED");
    let erase = EraseMemberRequest { id: tom.id.clone() };
    let refused = app.members().erase_member(with_key(erase, &session)).await;
    assert_status(refused, Code::PermissionDenied, "ROLE_REQUIRED");
    let refused = app
        .members()
        .update_member(with_key(named(&theirs.id), &session))
        .await;
    assert_status(refused, Code::NotFound, "MEMBER_NOT_FOUND");
    let mut other = with_key(ListMembersRequest::default(), &session);
    other
        .metadata_mut()
        .insert("x-organization-id", globex.id.to_string().parse().unwrap());
    let refused = app.members().list_members(other).await;
    assert_status(refused, Code::NotFound, "ORGANIZATION_NOT_FOUND");
}

#[tokio::test]
async fn each_token_opens_only_what_it_is_for() {
    use crate::support::proto::admin_v1::ListOrganizationsRequest;
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let sally = staff(&app, &key, SALLY, Role::Owner).await;
    for kind in TokenKind::ALL {
        let token = app.token(&acme, &sally.id, *kind).await;
        let listed = app
            .members()
            .list_members(with_key(ListMembersRequest::default(), &token))
            .await;
        if *kind != TokenKind::Session {
            assert_status(listed, Code::Unauthenticated, "INVALID_TOKEN");
            assert_status(app.whose(&token).await, Code::Unauthenticated, "INVALID_TOKEN");
        }
        if *kind != TokenKind::HandoverCode {
            assert_status(app.open(&token).await, Code::Unauthenticated, "INVALID_TOKEN");
        }
        if *kind != TokenKind::PasswordLink {
            let set = app.set_password(&token, PASSWORD).await;
            assert_status(set, Code::Unauthenticated, "INVALID_TOKEN");
        }
        if *kind != TokenKind::AccessToken {
            assert_status(app.code(&token, "").await, Code::Unauthenticated, "INVALID_TOKEN");
        }
        let verified = app.verify(&token, by_email(SALLY), PASSWORD).await;
        assert_status(verified, Code::Unauthenticated, "INVALID_TOKEN");
        let organizations = with_key(ListOrganizationsRequest::default(), &token);
        let listed = app.organizations().list_organizations(organizations).await;
        assert_status(listed, Code::Unauthenticated, "INVALID_TOKEN");
        app.retrieve(&token, &sally.user_id).await.unwrap_err();
    }
    // Nor does a key do for a token, nor what is neither.
    for no_token in [&key[..], "ubs_unknown", "nothing"] {
        assert_status(app.whose(no_token).await, Code::Unauthenticated, "INVALID_TOKEN");
        let set = app.set_password(no_token, PASSWORD).await;
        assert_status(set, Code::Unauthenticated, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn a_session_ends_with_the_role_the_link_or_the_password() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    for ending in ["role", "enabled", "revoke", "password"] {
        let email = format!("{ending}@acme.example.com");
        let member = staff(&app, &key, &email, Role::Admin).await;
        let session = app.session(&key, &member).await;
        assert_eq!(app.whose(&session).await.unwrap(), member.id);
        match ending {
            "revoke" => {
                let request = RevokeMemberRequest {
                    id: member.id.clone(),
                    etag: String::new(),
                };
                app.members()
                    .revoke_member(with_key(request, &key))
                    .await
                    .unwrap();
            }
            "password" => {
                let link = app.token(&acme, &member.id, TokenKind::PasswordLink).await;
                app.set_password(&link, PASSWORD).await.unwrap();
            }
            field => {
                let values = Member {
                    role: Role::Viewer.into(),
                    ..Member::default()
                };
                let request = with_key(update(&member.id, &[field], values), &key);
                app.members().update_member(request).await.unwrap();
            }
        }
        assert_status(app.whose(&session).await, Code::Unauthenticated, "INVALID_TOKEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_verify_at_once_are_answered_or_refused_while_others_are_served() {
    let app = TestApp::start(Form::Embedded).await;
    let tenant = app.tenant("acme").await;
    let key = writer(&app, &tenant.organization).await;
    let user = app.member(&tenant.organization, SALLY).await.user_id.to_string();
    let mut callers = JoinSet::new();
    for number in 0..200 {
        let (mut client, key) = (app.credentials(), key.clone());
        callers.spawn(async move {
            let request = VerifyRequest {
                by: Some(by_email(&format!("nobody{number}@acme.example.com"))),
                password: PASSWORD.to_owned(),
                source: String::new(),
            };
            client.verify(with_key(request, &key)).await
        });
    }
    let mut retrieved = 0;
    let (mut denied, mut overloaded) = (0, 0);
    while let Some(answer) = callers.join_next().await {
        match answer.unwrap() {
            Ok(_) => denied += 1,
            Err(status) => {
                assert_status(Err::<(), _>(status), Code::ResourceExhausted, "OVERLOADED");
                overloaded += 1;
            }
        }
        app.retrieve(&tenant.key, &user).await.unwrap();
        retrieved += 1;
    }
    assert_eq!((denied + overloaded, retrieved), (200, 200));
    assert_eq!(app.directory().passwords_hashed(), denied);
}
