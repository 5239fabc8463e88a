//! The list of everybody.

use reqwest::Method;
use serde_json::json;
use userbridge::{
    domain::{Email, Idempotency, LinkRequest, MemberPatch, Role},
    service::Write,
};

use super::{Acme, USERS, addresses};
use crate::support::{Answer, TestApp, gateway_tests};

gateway_tests!(
    users_are_listed_as_they_came,
    a_list_of_thousands_comes_whole_and_in_order,
);

async fn users_are_listed_as_they_came(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.member("end@acme.example.com", None).await;
    let mut expected = Vec::new();
    for role in ["VIEWER", "OWNER", "RESTRICTED_VIEWER", "ADMIN", "EDITOR"] {
        let username = format!("{}@acme.example.com", role.to_lowercase());
        acme.user(&username, role).await;
        expected.push(username);
    }
    for path in [
        USERS,
        "/v1/account/tenant/user",
        "/account/tenant/user/?page=2&limit=1",
    ] {
        let answer = Answer::of(acme.request(Method::GET, path)).await;
        assert_eq!(addresses(&answer), expected, "{path}");
    }
}

async fn a_list_of_thousands_comes_whole_and_in_order(app: TestApp) {
    const COUNT: usize = 4500;
    let acme = Acme::of(app).await;
    let grant = || Write::operator(acme.organization.id);
    let linking = (0..COUNT).map(|index| {
        let values = MemberPatch {
            email: Some(Some(Email::new(format!("user{index}@acme.example.com")).unwrap())),
            name: Some(Some("n".repeat(250).parse().unwrap())),
            role: Some(Some(Role::Viewer)),
            ..MemberPatch::default()
        };
        let link = LinkRequest {
            values,
            ..LinkRequest::default()
        };
        acme.app
            .directory()
            .link_member(grant(), link, Idempotency::never())
    });
    for linked in linking {
        linked.await.unwrap();
    }
    let answer = acme.list().await;
    assert!(
        answer.body.len() > 2 * 1024 * 1024,
        "more than is sent as a whole"
    );
    let all = addresses(&answer);
    assert_eq!(all.len(), COUNT);
    let ordered = (0..COUNT).map(|index| format!("user{index}@acme.example.com"));
    assert!(all.into_iter().eq(ordered));
    let last = answer.json()[COUNT - 1]["id"].clone();
    let last = acme.get(last.as_str().unwrap()).await.json();
    assert_eq!(
        last["email"],
        json!(format!("user{}@acme.example.com", COUNT - 1))
    );
}
