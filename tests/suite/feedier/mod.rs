//! Feedier's contract, by both forms of the gateway.

mod bodies;
mod changes;
mod keys;
mod lists;
mod multipart;
mod pages;
mod paths;
mod random;
mod samples;
mod story;

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::Value;
use userbridge::{
    domain::{Email, Idempotency, LinkRequest, Member, MemberPatch, Organization, Role, Scope},
    service::Write,
};

use crate::support::{Answer, TestApp, first};

const USERS: &str = "/v3/users";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const UNAUTHENTICATED: &str = r#"{"message":"Unauthenticated."}"#;
const UNAUTHORIZED: &str = r#"{"message":"This action is unauthorized."}"#;
const TAKEN: &str = r#"{"message":"The email has already been taken.","errors":{"email":["The email has already been taken."]}}"#;

/// An organization and a key that may change its members.
struct Acme {
    app: TestApp,
    organization: Organization,
    key: String,
}

impl Acme {
    async fn of(app: TestApp) -> Self {
        let organization = app.organization("acme").await;
        let key = app.key(&organization, &[Scope::DirectoryWrite]).await;
        Self {
            app,
            organization,
            key,
        }
    }

    /// Any request with the key.
    async fn send(&self, method: Method, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.app.request(method, path).bearer_auth(&self.key);
        Answer::of(request.header(CONTENT_TYPE, content_type).body(body.into())).await
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.app.request(Method::GET, path).bearer_auth(&self.key)).await
    }

    async fn create(&self, form: &str) -> Answer {
        self.send(Method::POST, USERS, FORM, form).await
    }

    async fn update(&self, id: i64, form: &str) -> Answer {
        self.send(Method::PUT, &format!("{USERS}/{id}"), FORM, form).await
    }

    async fn retrieve(&self, id: i64) -> Answer {
        self.get(&format!("{USERS}/{id}")).await
    }

    async fn delete(&self, id: i64) -> Answer {
        let request = self.app.request(Method::DELETE, &format!("{USERS}/{id}"));
        Answer::of(request.bearer_auth(&self.key)).await
    }

    /// A member, made by the operator.
    async fn member(&self, email: &str, name: Option<&str>, role: Option<Role>) -> Member {
        let values = MemberPatch {
            email: Some(Some(Email::new(email).unwrap())),
            name: name.map(|name| Some(name.parse().unwrap())),
            role: role.map(Some),
            ..MemberPatch::default()
        };
        let link = LinkRequest {
            values,
            ..LinkRequest::default()
        };
        let grant = Write::operator(self.organization.id);
        let linked = self
            .app
            .directory()
            .link_member(grant, link, Idempotency::never());
        first(linked.await.unwrap()).member
    }

    /// Viewers `user1@acme.example.com` and so on.
    async fn viewers(&self, count: usize) {
        for index in 1..=count {
            let email = format!("user{index}@acme.example.com");
            self.member(&email, None, Some(Role::Viewer)).await;
        }
    }
}

/// What a 422 says: the summary, and the messages of each field.
#[track_caller]
fn assert_invalid(answer: &Answer, message: &str, errors: Value) {
    assert_eq!(answer.status, 422, "{}", answer.body);
    let mut expected = serde_json::json!({ "message": message });
    expected["errors"] = errors;
    assert_eq!(answer.json(), expected);
}

#[track_caller]
fn assert_answer(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
}

/// That two answers differ in the time of day at most.
#[track_caller]
fn assert_same(answer: &Answer, other: &Answer) {
    assert_eq!((answer.status, &answer.body), (other.status, &other.body));
    assert_eq!(answer.telling_headers(), other.telling_headers());
}

/// The messages for a new user of whom nothing is said.
#[track_caller]
fn assert_says_nothing(answer: &Answer) {
    assert_invalid(
        answer,
        "The email field is required. (and 2 more errors)",
        serde_json::json!({
            "email": ["The email field is required."],
            "role": ["The role field is required."],
            "auth_method": ["The auth method field is required."],
        }),
    );
}

/// What a user who is not there answers.
fn no_user(id: &str) -> String {
    format!(r#"{{"message":"No query results for model [App\\Models\\User] {id}"}}"#)
}

/// The ids on a page.
#[track_caller]
fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let page = answer.json();
    let users = page["data"].as_array().unwrap().iter();
    users.map(|user| user["id"].as_i64().unwrap()).collect()
}
