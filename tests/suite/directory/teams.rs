//! Teams.

use tonic::Code;
use userbridge::{
    domain::{
        EventKind, EventQuery, Idempotency, LinkRequest, MemberId, MemberPatch, MemberRef, Organization,
        Scope, TeamNumber,
    },
    service::{Read, Write},
};

use super::{assert_status, faults, once};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{
        CreateTeamRequest, DeleteTeamRequest, ListTeamsRequest, RenameTeamRequest, SetTeamMembersRequest,
        SetTeamMembersResponse,
    },
    with_key,
};

const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

fn create(key: &str) -> CreateTeamRequest {
    CreateTeamRequest {
        key: key.to_owned(),
        name: String::new(),
    }
}

fn set(number: i64, members: &[MemberId]) -> SetTeamMembersRequest {
    SetTeamMembersRequest {
        number,
        member_ids: members.iter().map(ToString::to_string).collect(),
    }
}

/// Teams, main team and version of a member.
async fn state(app: &TestApp, organization: &Organization, member: MemberId) -> (Vec<i64>, i64, i64) {
    let grant = Read::operator(organization.id);
    let found = app.directory().member(grant, MemberRef::Id(member), true).await;
    let entry = found.unwrap();
    let teams = entry.teams.iter().map(|team| team.0).collect();
    (teams, entry.primary_team.0, entry.version)
}

#[tokio::test]
async fn a_team_is_made_renamed_listed_and_deleted() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let mut client = app.teams();
    let made = client.create_team(with_key(create("sales"), &key)).await.unwrap();
    let made = made.into_inner().team.unwrap();
    assert_eq!(
        (made.number, made.key.as_str(), made.name.as_str(), made.root),
        (2, "sales", "sales", false)
    );
    for taken in ["sales", "root"] {
        let again = client.create_team(with_key(create(taken), &key)).await;
        assert_status(again, Code::AlreadyExists, "TEAM_ALREADY_EXISTS");
    }
    let rename = |number| RenameTeamRequest {
        number,
        name: "Sellers".to_owned(),
    };
    let renamed = client.rename_team(with_key(rename(2), &key)).await.unwrap();
    assert_eq!(renamed.into_inner().team.unwrap().name, "Sellers");
    client
        .create_team(with_key(create("support"), &key))
        .await
        .unwrap();

    let request = |page_token: &str| ListTeamsRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
    };
    let first = client
        .list_teams(with_key(request(""), &key))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        first.teams.iter().map(|team| team.number).collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(first.teams[0].root);
    let next = request(&first.next_page_token);
    let last = client
        .list_teams(with_key(next, &key))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(last.teams.iter().map(|team| team.number).collect::<Vec<_>>(), [3]);
    assert_eq!(last.next_page_token, "");

    let delete = |number| with_key(DeleteTeamRequest { number }, &key);
    client.delete_team(delete(3)).await.unwrap();
    for number in [3, 0, -1] {
        let missing = client.delete_team(delete(number)).await;
        assert_status(missing, Code::NotFound, "TEAM_NOT_FOUND");
        let missing = client.rename_team(with_key(rename(number), &key)).await;
        assert_status(missing, Code::NotFound, "TEAM_NOT_FOUND");
    }
    let root = client.delete_team(delete(1)).await;
    assert_status(root, Code::FailedPrecondition, "ROOT_TEAM");
    // A number is never used again.
    let made = client
        .create_team(with_key(create("support"), &key))
        .await
        .unwrap();
    assert_eq!(made.into_inner().team.unwrap().number, 4);
}

#[tokio::test]
async fn a_team_made_twice_with_one_token_is_made_once() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let mut client = app.teams();
    let first = client
        .create_team(once(create("sales"), &key, "t"))
        .await
        .unwrap();
    let again = client
        .create_team(once(create("sales"), &key, "t"))
        .await
        .unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    let other = client.create_team(once(create("other"), &key, "t")).await;
    assert_status(other, Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    let failed = client.create_team(once(create("sales"), &key, "u")).await;
    assert_status(failed, Code::AlreadyExists, "TEAM_ALREADY_EXISTS");
    // What failed may be tried again.
    client
        .create_team(once(create("support"), &key, "u"))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_set_of_a_teams_members_is_replaced() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let mut client = app.teams();
    client.create_team(with_key(create("sales"), &key)).await.unwrap();
    let mut members = Vec::new();
    for name in ["a", "b", "c", "gone"] {
        members.push(app.member(&acme, &format!("{name}@acme.example.com")).await.id);
    }
    let stranger = app.member(&globex, "a@acme.example.com").await.id;
    let grant = Write::operator(acme.id);
    app.directory()
        .revoke_member(grant, members[3], None)
        .await
        .unwrap();

    let done = client
        .set_team_members(with_key(set(2, &members[..2]), &key))
        .await;
    assert_eq!(
        done.unwrap().into_inner(),
        SetTeamMembersResponse { added: 2, removed: 0 }
    );
    let twice = [members[1], members[2], members[2]];
    let done = client.set_team_members(with_key(set(2, &twice), &key)).await;
    assert_eq!(
        done.unwrap().into_inner(),
        SetTeamMembersResponse { added: 1, removed: 1 }
    );
    assert_eq!(state(&app, &acme, members[0]).await, (vec![], 1, 3));
    assert_eq!(state(&app, &acme, members[1]).await, (vec![2], 1, 2));
    assert_eq!(state(&app, &acme, members[2]).await, (vec![2], 1, 2));
    for wrong in [members[3], stranger, NO_ID.parse().unwrap()] {
        let failed = client
            .set_team_members(with_key(set(2, &[members[0], wrong]), &key))
            .await;
        assert_status(failed, Code::NotFound, "MEMBER_NOT_FOUND");
    }
    let missing = client.set_team_members(with_key(set(3, &[]), &key)).await;
    assert_status(missing, Code::NotFound, "TEAM_NOT_FOUND");
    assert_eq!(state(&app, &acme, members[0]).await, (vec![], 1, 3));

    let bad = SetTeamMembersRequest {
        number: 2,
        member_ids: vec![NO_ID.to_owned(), "x".to_owned()],
    };
    let bad = client.set_team_members(with_key(bad, &key)).await;
    assert_eq!(faults(bad), ["member_ids[1]"]);
    let many = SetTeamMembersRequest {
        number: 2,
        member_ids: vec![NO_ID.to_owned(); 10_001],
    };
    let many = client.set_team_members(with_key(many, &key)).await;
    assert_eq!(faults(many), ["member_ids"]);
    let bad = SetTeamMembersRequest {
        number: 2,
        member_ids: vec!["x".to_owned(); 10_000],
    };
    let bad = client.set_team_members(with_key(bad, &key)).await;
    assert_eq!(faults(bad).len(), 32);
}

#[tokio::test]
async fn a_deleted_team_leaves_no_trace_in_its_members() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let mut client = app.teams();
    client.create_team(with_key(create("sales"), &key)).await.unwrap();
    client
        .create_team(with_key(create("support"), &key))
        .await
        .unwrap();
    let (sales, support) = (TeamNumber(2), TeamNumber(3));
    let mut members = Vec::new();
    for (name, teams, main) in [
        ("both", vec![sales, support], sales),
        ("in", vec![sales], support),
        ("main", vec![], sales),
        ("out", vec![support], support),
        ("revoked", vec![sales], sales),
    ] {
        let values = MemberPatch {
            email: Some(Some(format!("{name}@acme.example.com").parse().unwrap())),
            teams: Some(teams),
            primary_team: Some(main),
            ..MemberPatch::default()
        };
        let link = LinkRequest {
            values,
            ..LinkRequest::default()
        };
        let linked = app
            .directory()
            .link_member(Write::operator(acme.id), link, Idempotency::never());
        members.push(crate::support::first(linked.await.unwrap()).member.id);
    }
    let grant = Write::operator(acme.id);
    app.directory()
        .revoke_member(grant, members[4], None)
        .await
        .unwrap();
    let before = app.storage().await;
    let query = |after| EventQuery {
        after,
        limit: 100,
        ..EventQuery::default()
    };
    let seen = before.events(Some(acme.id), query(0)).await.unwrap().len();

    client
        .delete_team(with_key(DeleteTeamRequest { number: 2 }, &key))
        .await
        .unwrap();
    assert_eq!(state(&app, &acme, members[0]).await, (vec![3], 1, 2));
    assert_eq!(state(&app, &acme, members[1]).await, (vec![], 3, 2));
    assert_eq!(state(&app, &acme, members[2]).await, (vec![], 1, 2));
    assert_eq!(state(&app, &acme, members[3]).await, (vec![3], 3, 1));
    assert_eq!(state(&app, &acme, members[4]).await, (vec![], 1, 3));
    let after = i64::try_from(seen).unwrap();
    let log = before.events(Some(acme.id), query(after)).await.unwrap();
    assert_eq!((log[0].kind, log[0].team), (EventKind::TeamDeleted, Some(sales)));
    assert!(log.iter().map(|event| event.sequence).eq(after + 1..=after + 5));
    let changes: Vec<_> = log[1..]
        .iter()
        .map(|event| (event.kind, event.member_id.unwrap(), event.fields.join(" ")))
        .collect();
    let updated =
        |member: usize, fields: &str| (EventKind::MemberUpdated, members[member], fields.to_owned());
    assert_eq!(
        changes,
        [
            updated(0, "teams primary_team"),
            updated(4, "teams primary_team"),
            updated(1, "teams"),
            updated(2, "primary_team"),
        ]
    );
    before.close().await;
}

#[tokio::test]
async fn teams_are_of_the_organization_that_the_call_names() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let deployment = app.deployment_key(&[Scope::DirectoryWrite]).await;
    let reader = app.key(&acme, &[Scope::DirectoryRead]).await;
    let mut client = app.teams();
    let mut named = with_key(create("sales"), &deployment);
    let id = acme.id.to_string().parse().unwrap();
    named.metadata_mut().insert("x-organization-id", id);
    client.create_team(named).await.unwrap();
    let unnamed = client.create_team(with_key(create("other"), &deployment)).await;
    assert_status(unnamed, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    let reading = client.create_team(with_key(create("other"), &reader)).await;
    assert_status(reading, Code::PermissionDenied, "SCOPE_REQUIRED");
    let list = client
        .list_teams(with_key(ListTeamsRequest::default(), &reader))
        .await;
    assert_eq!(list.unwrap().into_inner().teams.len(), 2);
    let mut other = with_key(ListTeamsRequest::default(), &reader);
    let id = globex.id.to_string().parse().unwrap();
    other.metadata_mut().insert("x-organization-id", id);
    assert_status(
        client.list_teams(other).await,
        Code::NotFound,
        "ORGANIZATION_NOT_FOUND",
    );

    let bad = CreateTeamRequest {
        key: String::new(),
        name: "x".repeat(256),
    };
    let writer = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let mut fields = faults(client.create_team(with_key(bad, &writer)).await);
    fields.sort();
    assert_eq!(fields, ["key", "name"]);
}
