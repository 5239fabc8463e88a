//! Numbered pages of members, and one team.

use tonic::Code;
use userbridge::domain::Scope;

use super::{assert_status, faults};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{GetTeamRequest, ListMembersRequest, member_service_client::MemberServiceClient},
    with_key,
};

#[tokio::test]
async fn a_list_is_passed_over_from_its_start_or_from_a_token() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryRead]).await;
    for index in 1..=9 {
        app.member(&acme, &format!("user{index}@acme.example.com")).await;
    }
    let mut client = MemberServiceClient::new(app.channel());
    let mut list = async |page_token: &str, skip: i64, with_total: bool| {
        let request = ListMembersRequest {
            page_size: 2,
            page_token: page_token.to_owned(),
            skip,
            with_total,
            ..ListMembersRequest::default()
        };
        client.list_members(with_key(request, &key)).await
    };
    for with_total in [false, true] {
        for skip in 0..11 {
            let page = list("", skip, with_total).await.unwrap().into_inner();
            let numbers: Vec<_> = page.members.iter().map(|member| member.number).collect();
            let expected: Vec<_> = (skip + 1..=9).take(2).collect();
            assert_eq!(numbers, expected, "{skip} {with_total}");
            assert_eq!(page.total, with_total.then_some(9));
            assert_eq!(page.next_page_token.is_empty(), skip >= 7, "{skip} {with_total}");
            if !page.next_page_token.is_empty() {
                let next = list(&page.next_page_token, 1, with_total)
                    .await
                    .unwrap()
                    .into_inner();
                assert_eq!(
                    next.members.first().map(|member| member.number),
                    (skip + 4..=9).next()
                );
            }
        }
    }
    assert_eq!(faults(list("", -1, true).await), ["skip"]);
    assert!(
        list("", i64::MAX, true)
            .await
            .unwrap()
            .into_inner()
            .members
            .is_empty()
    );
}

#[tokio::test]
async fn a_team_is_found_by_its_number() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryRead]).await;
    let mut client = app.teams();
    let get = |number| with_key(GetTeamRequest { number }, &key);
    let team = client.get_team(get(1)).await.unwrap().into_inner().team.unwrap();
    assert!(team.root && team.number == 1);
    for number in [2, 0, -1, i64::MIN, i64::MAX] {
        assert_status(
            client.get_team(get(number)).await,
            Code::NotFound,
            "TEAM_NOT_FOUND",
        );
    }
}
