//! The Bridge's contract, by both forms of the gateway.

mod changes;
mod clients;
mod credentials;
mod fields;
mod keys;
mod lists;
mod paths;
mod random;
mod recorded;
mod teams;

use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};
use userbridge::{
    domain::{Email, Idempotency, LinkRequest, Member, MemberPatch, Organization, Role, Scope, UserId},
    service::Write,
};

use crate::support::{Answer, RANDOM, TestApp, first};

const USERS: &str = "/account/tenant/user";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// An organization, and a key that may change its members.
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

    /// Any request, with the key and the tenant.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_as(&self.key, method, path)
    }

    /// Any request with another key.
    fn request_as(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.app
            .request(method, path)
            .header("x-api-key", key)
            .header("x-tenant-id", self.organization.id.to_string())
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header(CONTENT_TYPE, JSON);
        Answer::of(request.body(body.to_string())).await
    }

    async fn list(&self) -> Answer {
        Answer::of(self.request(Method::GET, USERS)).await
    }

    async fn get(&self, id: &str) -> Answer {
        Answer::of(self.request(Method::GET, &user(id))).await
    }

    async fn create(&self, body: Value) -> Answer {
        self.send(Method::POST, USERS, body).await
    }

    /// Creates a user with this address and role, and returns its id.
    async fn user(&self, username: &str, role: &str) -> String {
        let made = self.create(json!({ "username": username, "role": role })).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()["id"].as_str().unwrap().to_owned()
    }

    async fn update(&self, id: &str, body: Value) -> Answer {
        self.send(Method::PUT, &user(id), body).await
    }

    async fn associations(&self, id: &str) -> Answer {
        let path = format!("{}/associations", user(id));
        Answer::of(self.request(Method::GET, &path)).await
    }

    async fn reset_password(&self, id: &str) -> Answer {
        let path = format!("{}/password", user(id));
        Answer::of(self.request(Method::POST, &path)).await
    }

    async fn delete(&self, id: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, &user(id))).await
    }

    /// A member, made by the operator.
    async fn member(&self, email: &str, role: Option<Role>) -> Member {
        let values = MemberPatch {
            email: Some(Some(Email::new(email).unwrap())),
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
}

fn user(id: &str) -> String {
    format!("{USERS}/{id}")
}

/// An id that nobody has.
fn nobody() -> String {
    UserId::new(RANDOM).unwrap().to_string()
}

/// That an answer is an error that the vendor has a code for.
#[track_caller]
fn assert_code(answer: &Answer, status: u16, code: &str) {
    let error = answer.json();
    let message = error["message"].as_str().unwrap();
    let expected = format!(
        r#"{{"message":{},"error":"{code}","statusCode":{status},"nblocksCode":"{code}"}}"#,
        Value::from(message)
    );
    assert_eq!((answer.status, &answer.body), (status, &expected));
    assert!(!message.is_empty());
}

/// That an answer is a 400 with these messages.
#[track_caller]
fn assert_invalid(answer: &Answer, messages: &[&str]) {
    let expected = format!(
        r#"{{"message":{},"error":"Bad Request","statusCode":400}}"#,
        json!(messages)
    );
    assert_eq!((answer.status, &answer.body), (400, &expected));
}

#[track_caller]
fn assert_answer(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
}

/// The addresses of a list.
#[track_caller]
fn addresses(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let users = answer.json();
    let users = users.as_array().unwrap().iter();
    users
        .map(|user| user["email"].as_str().unwrap().to_owned())
        .collect()
}
