//! Requests with faults: all of them are told at once, and nothing happens.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use userbridge::domain::Scope;

use super::{
    faults,
    members::{linked, sally, update},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        BatchGetMembersRequest, EraseMemberRequest, ExportMemberRequest, ExternalId, GetMemberRequest,
        LinkMemberRequest, ListAssociationsRequest, ListEventsRequest, ListMembersRequest, Member,
        RecordSeenRequest, RestoreMemberRequest, RevokeMemberRequest, UpdateMemberRequest,
        WatchEventsRequest, get_member_request::By,
    },
    with_key,
};

const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A message with other values in these fields.
macro_rules! with {
    ($message:expr, $($field:ident: $value:expr),+) => {{
        let mut message = $message;
        $(message.$field = $value;)+
        message
    }};
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a message takes")]
fn long(characters: usize) -> Option<String> {
    Some("ä".repeat(characters))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a message takes")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a message takes")]
fn time(seconds: i64, nanos: i32) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos })
}

async fn start() -> (TestApp, String) {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    (app, key)
}

async fn events(app: &TestApp, key: &str) -> usize {
    let request = with_key(ListEventsRequest::default(), key);
    app.events()
        .list_events(request)
        .await
        .unwrap()
        .into_inner()
        .events
        .len()
}

#[tokio::test]
async fn all_faults_of_a_link_are_told_at_once() {
    let (app, key) = start().await;
    let before = events(&app, &key).await;
    let plain = LinkMemberRequest::default;
    let email = || text("sally@acme.example.com");
    for (request, expected) in [
        (plain(), &["email"][..]),
        (with!(plain(), name: text("Sally")), &["email"]),
        (with!(plain(), external_id: text("z-1")), &["source"]),
        (with!(plain(), user_id: text("sally")), &["user_id"]),
        (with!(plain(), user_id: text("")), &["user_id"]),
        (
            LinkMemberRequest {
                user_id: text("no"),
                source: text(""),
                external_id: text(""),
                email: text("sally"),
                name: text("Sal\nly"),
                avatar_url: text(""),
                portal_role: text(""),
                company_name: text("\u{7f}"),
                customer_status: text("\0"),
                locale: text("x"),
                given_name: text(""),
                family_name: text("Doe\t"),
                role: 77,
                auth_method: -1,
                teams: vec![1, 0, -5],
                primary_team: Some(0),
                only_without_role: false,
                staff: false,
                send_onboarding_mail: false,
            },
            &[
                "user_id",
                "source",
                "external_id",
                "role",
                "auth_method",
                "email",
                "name",
                "avatar_url",
                "portal_role",
                "company_name",
                "customer_status",
                "locale",
                "given_name",
                "family_name",
                "teams",
                "teams",
                "primary_team",
            ],
        ),
        (
            with!(
                plain(),
                source: long(65), external_id: long(256), email: Some(format!("{}@acme", "ä".repeat(316))),
                name: long(256), avatar_url: long(2049), portal_role: long(65), company_name: long(256),
                customer_status: long(65), teams: vec![1; 101]
            ),
            &[
                "source",
                "external_id",
                "email",
                "name",
                "avatar_url",
                "portal_role",
                "company_name",
                "customer_status",
                "teams",
            ],
        ),
        (with!(plain(), email: email(), role: 6), &["role"]),
        (
            with!(plain(), email: email(), primary_team: Some(i64::MIN)),
            &["primary_team"],
        ),
        (with!(plain(), email: text("two words@acme")), &["email"]),
    ] {
        let result = app.members().link_member(with_key(request.clone(), &key)).await;
        let mut told = faults(result);
        let mut expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{request:?}");
    }
    assert_eq!(events(&app, &key).await, before);
    // The longest of each is good.
    let longest = with!(
        plain(),
        source: long(64), external_id: long(255), email: Some(format!("{}@acme", "ä".repeat(315))),
        name: long(255), avatar_url: long(2048), portal_role: long(64), company_name: long(255),
        customer_status: long(64), teams: vec![1; 100]
    );
    let member = linked(&app, longest.clone(), &key).await;
    assert_eq!(
        (member.name, member.avatar_url),
        (longest.name, longest.avatar_url)
    );
}

#[tokio::test]
async fn all_faults_of_an_update_are_told_at_once() {
    let (app, key) = start().await;
    let member = linked(&app, sally(), &key).await;
    let id = &member.id[..];
    let bad = || Member {
        email: text("no"),
        name: text(""),
        avatar_url: long(2049),
        portal_role: text(""),
        company_name: text("\u{85}"),
        customer_status: long(65),
        role: 9,
        auth_method: 9,
        external_id: text(""),
        teams: vec![0],
        primary_team: 0,
        ..Member::default()
    };
    let fields = [
        "email",
        "name",
        "avatar_url",
        "portal_role",
        "company_name",
        "customer_status",
        "role",
        "auth_method",
        "external_id",
        "teams",
        "primary_team",
    ];
    for field in fields {
        let result = app
            .members()
            .update_member(with_key(update(id, &[field], bad()), &key))
            .await;
        assert_eq!(faults(result), [format!("member.{field}")]);
    }
    let all = UpdateMemberRequest {
        etag: "x".to_owned(),
        ..update("no", &fields, bad())
    };
    let told = faults(app.members().update_member(with_key(all, &key)).await);
    assert_eq!(told.len(), 2 + fields.len(), "{told:?}");
    for paths in [
        &[][..],
        &["id"],
        &["user_id"],
        &["number"],
        &["source"],
        &["created_at"],
        &["etag"],
        &["revoked_at"],
        &["Name"],
        &["member.name"],
        &["*"],
        &[""],
        &["name", "nonsense"],
    ] {
        let result = app
            .members()
            .update_member(with_key(update(id, paths, Member::default()), &key))
            .await;
        assert_eq!(faults(result), ["update_mask"], "{paths:?}");
    }
    let no_mask = UpdateMemberRequest {
        update_mask: None,
        ..update(id, &[], Member::default())
    };
    let told = faults(app.members().update_member(with_key(no_mask, &key)).await);
    assert_eq!(told, ["update_mask"]);
    // An answer must fit into header fields, whatever was asked.
    let endless = "x".repeat(7_000);
    let long = update(id, &[endless.as_str(); 8], Member::default());
    let told = faults(app.members().update_member(with_key(long, &key)).await);
    assert!(told.iter().all(|field| field == "update_mask"), "{told:?}");
    let by = Some(By::Id(id.to_owned()));
    let request = GetMemberRequest {
        by,
        include_revoked: false,
    };
    let now = app.members().get_member(with_key(request, &key)).await.unwrap();
    assert_eq!(now.into_inner().member.unwrap(), member);
}

#[tokio::test]
async fn bad_names_of_one_member_are_told() {
    let (app, key) = start().await;
    let external = |source: &str, id: &str| {
        By::ExternalId(ExternalId {
            source: source.to_owned(),
            id: id.to_owned(),
        })
    };
    for (by, expected) in [
        (None, &["by"][..]),
        (Some(By::Id("1".to_owned())), &["id"]),
        (Some(By::UserId(String::new())), &["user_id"]),
        (Some(By::Email("sally".to_owned())), &["email"]),
        (Some(external("", "1")), &["external_id.source"]),
        (Some(external("", "")), &["external_id.source", "external_id.id"]),
    ] {
        let request = GetMemberRequest {
            by,
            include_revoked: false,
        };
        assert_eq!(
            faults(app.members().get_member(with_key(request, &key)).await),
            expected
        );
    }
    let bad = || "no-uuid".to_owned();
    macro_rules! check {
        ($($method:ident($request:expr): $field:literal;)+) => {
            $(
                let result = app.members().$method(with_key($request, &key)).await;
                assert_eq!(faults(result), [$field], stringify!($method));
            )+
        };
    }
    check! {
        restore_member(RestoreMemberRequest { id: bad() }): "id";
        erase_member(EraseMemberRequest { id: bad() }): "id";
        record_seen(RecordSeenRequest { id: bad() }): "id";
        export_member(ExportMemberRequest { user_id: bad(), ..ExportMemberRequest::default() }): "user_id";
        list_associations(ListAssociationsRequest { user_id: bad() }): "user_id";
        revoke_member(RevokeMemberRequest { id: NO_ID.to_owned(), etag: "one".to_owned() }): "etag";
    }
    let revoke = RevokeMemberRequest {
        id: bad(),
        etag: "one".to_owned(),
    };
    let told = faults(app.members().revoke_member(with_key(revoke, &key)).await);
    assert_eq!(told, ["id", "etag"]);
}

#[tokio::test]
async fn a_batch_with_bad_ids_says_which() {
    let (app, key) = start().await;
    let member = linked(&app, sally(), &key).await;
    let ask = async |ids: Vec<String>| {
        let request = BatchGetMembersRequest {
            ids,
            include_revoked: false,
        };
        Ok::<_, Status>(
            app.members()
                .batch_get_members(with_key(request, &key))
                .await?
                .into_inner(),
        )
    };
    let (good, bad) = (|| member.id.clone(), || "bad".to_owned());
    assert_eq!(
        faults(ask(vec![good(), bad(), good(), bad()]).await),
        ["ids[1]", "ids[3]"]
    );
    assert_eq!(faults(ask(vec![]).await), ["ids"]);
    assert_eq!(faults(ask(vec![good(); 501]).await), ["ids"]);
    // Even if each of many is bad, the answer arrives.
    let many = faults(ask(vec![bad(); 500]).await);
    assert!((1..=500).contains(&many.len()));
    let most = ask(vec![good(); 500]).await.unwrap();
    assert_eq!(most.members, [member]);
}

#[tokio::test]
async fn all_faults_of_a_list_are_told_at_once() {
    let (app, key) = start().await;
    let plain = ListMembersRequest::default;
    for (request, expected) in [
        (with!(plain(), page_size: -1), &["page_size"][..]),
        (with!(plain(), page_size: 501), &["page_size"]),
        (with!(plain(), page_size: i32::MIN), &["page_size"]),
        (with!(plain(), page_token: "x".to_owned()), &["page_token"]),
        (with!(plain(), page_token: "AAAA".to_owned()), &["page_token"]),
        (with!(plain(), roles: vec![1, 6, -1]), &["roles[1]", "roles[2]"]),
        (with!(plain(), roles: vec![1; 7]), &["roles"]),
        (with!(plain(), order_by: "number".to_owned()), &["order_by"]),
        (with!(plain(), order_by: " desc".to_owned()), &["order_by"]),
        (
            with!(plain(), order_by: "role desc desc".to_owned()),
            &["order_by"],
        ),
        (with!(plain(), text: text("")), &["text"]),
        (with!(plain(), text: text("a\nb")), &["text"]),
        (with!(plain(), text: long(321)), &["text"]),
        (with!(plain(), revoked_from: time(0, -1)), &["revoked_from"]),
        (
            with!(plain(), revoked_from: time(0, 0), page_size: 501),
            &["page_size"],
        ),
        (with!(plain(), order_by: "name  desc".to_owned()), &["order_by"]),
        (with!(plain(), order_by: "name asc".to_owned()), &["order_by"]),
        (
            with!(
                plain(),
                revoked_from: time(0, 0), roles: vec![9], team: Some(1), enabled: Some(true), source: text("api"),
                email_parts: vec!["a".to_owned()], name_parts: vec!["a".to_owned()], created_from: time(0, 0),
                created_until: time(0, 0), seen_from: time(0, 0), seen_until: time(0, 0), order_by: "name".to_owned(),
                with_total: true, skip: 1, end_user: Some(true), text: text("a")
            ),
            &[
                "roles[0]",
                "team",
                "enabled",
                "source",
                "email_parts",
                "name_parts",
                "created_from",
                "created_until",
                "seen_from",
                "seen_until",
                "order_by",
                "with_total",
                "skip",
                "end_user",
                "text",
            ],
        ),
        (
            with!(
                plain(),
                page_size: 501, page_token: "?".to_owned(), roles: vec![-7], team: Some(-1),
                source: text(""), email_parts: vec![String::new()], name_parts: vec!["\u{1}".to_owned()],
                created_from: time(i64::MAX, 0), created_until: time(0, -1),
                seen_from: time(0, 1_000_000_000), seen_until: time(-62_135_596_801, 0),
                order_by: "x".to_owned()
            ),
            &[
                "page_size",
                "page_token",
                "roles[0]",
                "team",
                "source",
                "email_parts[0]",
                "name_parts[0]",
                "created_from",
                "created_until",
                "seen_from",
                "seen_until",
                "order_by",
            ],
        ),
        (
            with!(plain(), email_parts: long(321).into_iter().collect(), name_parts: long(256).into_iter().collect(), source: long(65), team: Some(0)),
            &["email_parts[0]", "name_parts[0]", "source", "team"],
        ),
    ] {
        let result = app.members().list_members(with_key(request.clone(), &key)).await;
        let mut told = faults(result);
        let mut expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{request:?}");
    }
    let limits = with!(
        plain(),
        page_size: 500, roles: (0..6).collect(), text: long(320), email_parts: long(320).into_iter().collect(), name_parts: long(255).into_iter().collect(),
        created_from: time(-62_135_596_800, 0), created_until: time(253_402_300_799, 999_999_999)
    );
    app.members().list_members(with_key(limits, &key)).await.unwrap();
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let (app, key) = start().await;
    for index in 0..3 {
        let request = LinkMemberRequest {
            name: Some(format!("Sally {index}")),
            email: Some(format!("{index}@acme")),
            ..LinkMemberRequest::default()
        };
        linked(&app, request, &key).await;
    }
    let list = async |request: ListMembersRequest| {
        Ok::<_, Status>(
            app.members()
                .list_members(with_key(request, &key))
                .await?
                .into_inner(),
        )
    };
    let plain = || ListMembersRequest {
        page_size: 1,
        ..ListMembersRequest::default()
    };
    let token = list(plain()).await.unwrap().next_page_token;
    let with = |request: ListMembersRequest| ListMembersRequest {
        page_token: token.clone(),
        ..request
    };
    // Its size and the total are no part of what it lists.
    let next = list(with(with!(plain(), page_size: 2, with_total: true)))
        .await
        .unwrap();
    assert_eq!(
        (next.members.len(), next.total, next.next_page_token.as_str()),
        (2, Some(3), "")
    );
    for other in [
        with!(plain(), order_by: "name".to_owned()),
        with!(plain(), order_by: "created_at".to_owned()),
        with!(plain(), order_by: "role desc".to_owned()),
        with!(plain(), text: text("a")),
        with!(plain(), revoked_from: time(0, 0)),
        with!(plain(), enabled: Some(true)),
        with!(plain(), roles: vec![0]),
        with!(plain(), name_parts: vec!["a".to_owned()]),
        with!(plain(), created_from: time(0, 0)),
    ] {
        assert_eq!(faults(list(with(other)).await), ["page_token"]);
    }
    let events = ListEventsRequest {
        page_token: token.clone(),
        ..ListEventsRequest::default()
    };
    assert_eq!(
        faults(app.events().list_events(with_key(events, &key)).await),
        ["page_token"]
    );
    let cut = &token[..token.len() - 1];
    let broken = with!(plain(), page_token: cut.to_owned());
    assert_eq!(faults(list(broken).await), ["page_token"]);
}

#[tokio::test]
async fn all_faults_of_a_question_for_events_are_told_at_once() {
    let (app, key) = start().await;
    let request = ListEventsRequest {
        page_size: -1,
        page_token: "?".to_owned(),
        user_id: "sally".to_owned(),
        kinds: vec!["member.linked".to_owned(), "member.nonsense".to_owned()],
        order_by: "at".to_owned(),
    };
    let told = faults(app.events().list_events(with_key(request, &key)).await);
    assert_eq!(
        told,
        ["page_size", "page_token", "user_id", "kinds[1]", "order_by"]
    );
    let many = ListEventsRequest {
        kinds: vec!["member.linked".to_owned(); 21],
        ..ListEventsRequest::default()
    };
    assert_eq!(
        faults(app.events().list_events(with_key(many, &key)).await),
        ["kinds"]
    );
    for after_sequence in [-1, i64::MIN] {
        let watch = WatchEventsRequest { after_sequence };
        let told = faults(app.events().watch_events(with_key(watch, &key)).await);
        assert_eq!(told, ["after_sequence"]);
    }
}

#[tokio::test]
async fn an_idempotency_key_has_1_to_255_printable_characters() {
    let (app, key) = start().await;
    let ask = async |token: tonic::metadata::AsciiMetadataValue| {
        let mut request = with_key(sally(), &key);
        request.metadata_mut().insert("idempotency-key", token);
        app.members().link_member(request).await
    };
    for bad in [String::new(), "x".repeat(256)] {
        assert_eq!(faults(ask(bad.parse().unwrap()).await), ["idempotency-key"]);
    }
    let beyond = tonic::metadata::AsciiMetadataValue::try_from("ä".as_bytes()).unwrap();
    assert_eq!(faults(ask(beyond).await), ["idempotency-key"]);
    ask("x".repeat(255).parse().unwrap()).await.unwrap();
    // Its fault is told with those of the request.
    let mut request = with_key(
        LinkMemberRequest {
            name: text(""),
            ..sally()
        },
        &key,
    );
    request
        .metadata_mut()
        .insert("idempotency-key", "x".repeat(256).parse().unwrap());
    let status = app.members().link_member(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let told = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(told.len(), 2, "{told:?}");
}
