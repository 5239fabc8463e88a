//! Answers that could be large: exports, lists and batches, read with the limits that clients have by default.

use prost::Message as _;
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::JoinSet;
use tonic::Code;

use super::{
    assert_status, faults,
    members::{linked, sally, update, writer},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        BatchGetMembersRequest, ExportMemberRequest, ExportMemberResponse, LinkMemberRequest,
        ListMembersRequest, Member, UpdateMemberRequest,
    },
    with_key,
};

/// What the contract says that an answer may have, and a little for its own fields.
const MAX_BYTES: usize = 2 * 1024 * 1024 + 256;

/// How many of the largest members there can be are more than fit into one answer.
const TOO_MANY: usize = 150;

/// An export, page by page, as one answer.
pub(super) async fn exported(
    app: &TestApp,
    user_id: &str,
    page_size: i32,
    key: &str,
) -> ExportMemberResponse {
    let mut all = ExportMemberResponse::default();
    loop {
        let request = ExportMemberRequest {
            user_id: user_id.to_owned(),
            page_size,
            page_token: all.next_page_token,
        };
        let mut page = app
            .members()
            .export_member(with_key(request, key))
            .await
            .unwrap()
            .into_inner();
        assert!(page.encoded_len() <= MAX_BYTES);
        let entries = page.members.len() + page.addresses.len() + page.events.len();
        let limit = if page_size == 0 { 50 } else { page_size };
        assert!(
            (1..=usize::try_from(limit).unwrap()).contains(&entries),
            "{entries}"
        );
        all.members.append(&mut page.members);
        all.addresses.append(&mut page.addresses);
        all.events.append(&mut page.events);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            return all;
        }
    }
}

/// As large as a member can be, with an address of its own.
fn largest(index: usize, source: &str, teams: &[i64]) -> LinkMemberRequest {
    let long = |characters: usize| Some("\u{1d11e}".repeat(characters));
    LinkMemberRequest {
        email: Some(format!("{}@{index:03}", "\u{1d11e}".repeat(316))),
        source: Some(source.to_owned()),
        external_id: Some(format!("{}{index:03}", "\u{1d11e}".repeat(252))),
        name: Some(format!("{}{:03}", "\u{1d11e}".repeat(252), 999 - index)),
        avatar_url: long(2048),
        portal_role: long(64),
        company_name: long(255),
        customer_status: long(64),
        teams: teams.to_vec(),
        ..LinkMemberRequest::default()
    }
}

async fn in_the_file(app: &TestApp, statement: &str) {
    let mut connection = SqliteConnection::connect(app.database_url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_export_has_every_address_that_the_person_had_here() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let member = linked(&app, sally(), &key).await;
    let request = UpdateMemberRequest {
        ..update(
            &member.id,
            &["email"],
            Member {
                email: Some("new@acme.example.com".to_owned()),
                ..Member::default()
            },
        )
    };
    let changed = app
        .members()
        .update_member(with_key(request, &key))
        .await
        .unwrap();
    let changed = changed.into_inner().member.unwrap();
    let pages = exported(&app, &member.user_id, 1, &key).await;
    assert_eq!(pages.members, std::slice::from_ref(&changed));
    let told: Vec<_> = pages
        .addresses
        .iter()
        .map(|held| (held.email.as_str(), held.since, held.until))
        .collect();
    assert_eq!(
        told,
        [
            ("sally@acme.example.com", member.created_at, changed.updated_at),
            ("new@acme.example.com", changed.updated_at, None)
        ]
    );
    assert!(pages.addresses.iter().all(|held| held.member_id == member.id));
    assert_eq!(pages.events.len(), 2);
    assert_eq!(exported(&app, &member.user_id, 0, &key).await, pages);
    // A token is of one user, and a page has a size.
    let other = LinkMemberRequest {
        email: Some("tom@acme.example.com".to_owned()),
        ..LinkMemberRequest::default()
    };
    let other = linked(&app, other, &key).await;
    let ask = async |user_id: &str, page_size, page_token: &str| {
        let request = ExportMemberRequest {
            user_id: user_id.to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        app.members().export_member(with_key(request, &key)).await
    };
    let first = ask(&member.user_id, 1, "").await.unwrap().into_inner();
    assert_eq!(
        faults(ask(&other.user_id, 1, &first.next_page_token).await),
        ["page_token"]
    );
    assert_eq!(
        faults(ask(&member.user_id, 501, "x").await),
        ["page_size", "page_token"]
    );
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_status(ask(nobody, 1, "").await, Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn forty_thousand_events_are_exported_whole() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let member = linked(&app, sally(), &key).await;
    in_the_file(
        &app,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, source, at, fields)
         SELECT e.organization_id, e.sequence + i, 'member.updated', e.member_id, e.user_id, e.actor, 'portal', e.at + i,
             'email name avatar_url portal_role company_name customer_status role enabled auth_method teams'
         FROM n CROSS JOIN events AS e WHERE e.kind = 'member.linked'",
    )
    .await;
    let export = exported(&app, &member.user_id, 500, &key).await;
    assert_eq!(export.events.len(), 40_001);
    let first = export.events[0].sequence;
    assert!(
        export
            .events
            .iter()
            .map(|event| event.sequence)
            .eq(first..=first + 40_000)
    );
}

#[tokio::test]
async fn answers_of_the_largest_members_stay_within_what_clients_take() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    // Teams whose numbers are as long as numbers get.
    let teams: Vec<_> = (0..100).map(|index| i64::MAX - 99 + index).collect();
    in_the_file(
        &app,
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
         INSERT INTO teams (organization_id, number, slug, name, created_at)
         SELECT id, 9223372036854775708 + i, 't' || i, 'T', 0 FROM n CROSS JOIN organizations",
    )
    .await;
    let source = "\u{1d11e}".repeat(64);
    let app = std::sync::Arc::new(app);
    let mut members = Vec::new();
    for some in (0..TOO_MANY).collect::<Vec<_>>().chunks(15) {
        let mut links = JoinSet::new();
        for index in some {
            let (app, key) = (app.clone(), key.clone());
            let request = largest(*index, &source, &teams);
            links.spawn(async move { linked(&app, request, &key).await });
        }
        members.extend(links.join_all().await);
    }
    members.sort_by_key(|member| member.number);
    assert!(members.iter().map(Member::encoded_len).sum::<usize>() > MAX_BYTES);
    // The contract's number of those who always fit.
    assert!(
        members[..140]
            .iter()
            .map(|member| member.encoded_len() + 4)
            .sum::<usize>()
            <= 2 * 1024 * 1024
    );
    let ids = |members: &[Member]| members.iter().map(|member| member.id.clone()).collect::<Vec<_>>();

    for order_by in ["created_at", "name", "name desc"] {
        let mut expected = members.clone();
        match order_by {
            "name" => expected.sort_by(|one, other| one.name.cmp(&other.name)),
            "name desc" => expected.sort_by(|one, other| other.name.cmp(&one.name)),
            _ => {}
        }
        let (mut found, mut sizes, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let request = ListMembersRequest {
                page_size: 500,
                page_token,
                order_by: order_by.to_owned(),
                with_total: true,
                ..ListMembersRequest::default()
            };
            let page = app.members().list_members(with_key(request, &key)).await.unwrap();
            let page = page.into_inner();
            assert!(page.encoded_len() <= MAX_BYTES);
            assert_eq!(page.total, Some(i64::try_from(TOO_MANY).unwrap()));
            sizes.push(page.members.len());
            found.extend(page.members);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(ids(&found), ids(&expected), "{order_by}");
        assert!(sizes.len() == 2 && sizes[0] >= 140, "{sizes:?}");
    }

    let batch = async |ids: Vec<String>| {
        let request = BatchGetMembersRequest {
            ids,
            include_revoked: true,
        };
        let batch = app
            .members()
            .batch_get_members(with_key(request, &key))
            .await
            .unwrap();
        let batch = batch.into_inner();
        assert!(batch.encoded_len() <= MAX_BYTES + TOO_MANY * 40);
        batch
    };
    let nobody = "00000000-0000-4000-8000-000000000000".to_owned();
    let first = batch([ids(&members), vec![nobody.clone()]].concat()).await;
    assert_eq!(first.not_found, [nobody]);
    assert!((1..=10).contains(&first.unprocessed.len()));
    let second = batch(first.unprocessed.clone()).await;
    assert_eq!(ids(&second.members), first.unprocessed);
    assert_eq!([first.members, second.members].concat(), members);

    // All of them links of one user.
    in_the_file(
        &app,
        "UPDATE members SET revoked_at = 1, superseded_number = number, user_id = (SELECT min(user_id) FROM members)",
    )
    .await;
    let user_id = members.iter().map(|member| member.user_id.clone()).min().unwrap();
    let export = exported(&app, &user_id, 500, &key).await;
    assert_eq!(ids(&export.members), ids(&members));
    assert_eq!(export.addresses.len(), TOO_MANY);
}
