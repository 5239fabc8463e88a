//! One person, in all three dialects, over gRPC and in the browser.
//!
//! What she does in the browser is `tests/programs/browser/scenarios/story.mjs`; what happens to her elsewhere is here.

use std::collections::HashMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use userbridge::domain::{MailState, Organization, Scope};

use super::browser::{BROWSER, converse};
use crate::{
    mail::{
        delivery::settled,
        server::{MailServer, link},
    },
    programs::tools::available,
    support::{
        Answer, Form, TestApp,
        proto::directory_v1::{
            LinkMemberRequest, ListEventsRequest, VerifyOutcome, VerifyRequest, VerifyResponse,
            event_service_client::EventServiceClient, member_service_client::MemberServiceClient,
            verify_request::By,
        },
        with_key,
    },
};

const GRACE: &str = "grace.hopper@example.com";
const EDSGER: &str = "edsger.dijkstra@example.com";
const PASSWORD: &str = "a moth between two contacts";

/// Those who call, and their keys.
const BRIDGE: (&str, &str) = ("The Bridge", "key-of-the-bridge");
const FEEDIER: (&str, &str) = ("Feedier", "key-of-feedier");
const PRODUCT: (&str, &str) = ("ProductBridge", "key-of-productbridge");
const SERVICE: (&str, &str) = ("a service", "key-of-a-service");

/// An organization into which Grace has just been called.
struct Story {
    app: TestApp,
    mails: MailServer,
    organization: Organization,
    /// Ids of keys and users, and who is behind them.
    names: HashMap<String, &'static str>,
    /// Grace's id as a user.
    grace: String,
}

impl Story {
    async fn begin(mails: MailServer) -> Self {
        let app = TestApp::mailing(Form::Apart, mails.config()).await;
        let organization = app.organization("acme").await;
        let mut story = Self {
            app,
            mails,
            organization,
            names: HashMap::new(),
            grace: String::new(),
        };
        for ((name, secret), scope) in [
            (BRIDGE, Scope::DirectoryWrite),
            (FEEDIER, Scope::DirectoryWrite),
            (PRODUCT, Scope::PublicApi),
            (SERVICE, Scope::DirectoryWrite),
        ] {
            let (app, organization) = (&story.app, &story.organization);
            let id = app.raw_key(organization, secret, &[scope], None).await;
            story.names.insert(id.to_string(), name);
        }
        let body = json!({ "username": GRACE, "role": "OWNER", "firstName": "Grace", "lastName": "Hopper" });
        let created = story.bridge(Method::POST, "", &body).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.json()["id"]
            .as_str()
            .unwrap()
            .clone_into(&mut story.grace);
        story.names.insert(story.grace.clone(), "Grace");
        story
    }

    /// A request of The Bridge about its users.
    async fn bridge(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self
            .app
            .request(method, &format!("/account/tenant/user{path}"))
            .header("x-api-key", BRIDGE.1)
            .header("x-tenant-id", self.organization.id.to_string());
        Answer::of(with_json(request, body)).await
    }

    async fn feedier(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.app.request(method, &format!("/v3/users{path}"));
        Answer::of(with_json(request.bearer_auth(FEEDIER.1), body)).await
    }

    /// Whether a service may let Grace in, by her password.
    async fn verify(&self) -> VerifyResponse {
        let request = VerifyRequest {
            by: Some(By::Email(GRACE.to_owned())),
            password: PASSWORD.to_owned(),
            source: "127.0.0.1".to_owned(),
        };
        let mut credentials = self.app.credentials();
        let verified = credentials.verify(with_key(request, SERVICE.1)).await;
        verified.unwrap().into_inner()
    }

    /// What happens while the scenario waits for it.
    async fn answer(&self, what: &str, whom: &str) -> String {
        match what {
            "welcome" => return self.welcome(whom).await,
            "password" => return PASSWORD.to_owned(),
            "code" => return self.code().await,
            "renaming" => self.rename().await,
            "end-user" => self.be_an_end_user_for_a_while().await,
            "disabling" => self.disable().await,
            other => panic!("the scenario asks for {other}"),
        }
        String::new()
    }

    /// The path of the link in the mail that welcomes somebody, once it has come and that is known.
    async fn welcome(&self, whom: &str) -> String {
        let count = if whom == GRACE { 1 } else { 2 };
        let mails = self.mails.heard(count).await;
        settled(&self.app, self.organization.id, MailState::Sent, count).await;
        let mail = mails.last().unwrap();
        assert_eq!((mails.len(), &mail["to"]), (count, &json!(whom)));
        let link = link(mail);
        link[link.find("/set-password").unwrap()..].to_owned()
    }

    /// A code for the pages: for an access token, which is for the password.
    async fn code(&self) -> String {
        let verified = self.verify().await;
        assert_eq!(verified.outcome(), VerifyOutcome::Verified);
        let body = json!({ "accessToken": verified.access_token }).to_string();
        let answer = self.app.post("/auth/handover/code/acme", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["code"].as_str().unwrap().to_owned()
    }

    /// Feedier finds her, whom it calls an admin as all owners, and gives her another name, which The Bridge shows.
    async fn rename(&self) {
        let page = self.feedier(Method::GET, "", &Value::Null).await.json();
        let users = page["data"].as_array().unwrap().iter();
        let users: Vec<_> = users
            .map(|user| [&user["name"], &user["email"], &user["role"]])
            .collect();
        assert_eq!(
            users,
            [
                ["Grace Hopper", GRACE, "admin"],
                ["Edsger Dijkstra", EDSGER, "admin"]
            ]
        );
        let path = format!("/{}", page["data"][0]["id"]);
        let body = json!({ "name": "Grace Brewster Hopper" });
        let answer = self.feedier(Method::PUT, &path, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");

        let path = format!("/{}", self.grace);
        let user = self.bridge(Method::GET, &path, &Value::Null).await.json();
        assert_eq!(
            (&user["fullName"], &user["role"], &user["onboarded"]),
            (&json!("Grace Brewster Hopper"), &json!("OWNER"), &json!(true))
        );
    }

    /// A service makes an end user of her as well, whom ProductBridge finds and deletes.
    async fn be_an_end_user_for_a_while(&self) {
        let find = json!({ "api_key": PRODUCT.1, "email": GRACE }).to_string();
        assert_eq!(self.app.retrieve_json(find.clone()).await.status, 404);
        let request = LinkMemberRequest {
            email: Some(GRACE.to_owned()),
            source: Some("portal".to_owned()),
            ..LinkMemberRequest::default()
        };
        let mut members = MemberServiceClient::new(self.app.channel());
        members.link_member(with_key(request, SERVICE.1)).await.unwrap();
        let found = self.app.retrieve_json(find.clone()).await.json();
        assert_eq!(
            (&found["user_id"], &found["name"], &found["portal_role"]),
            (
                &json!(self.grace),
                &json!("Grace Brewster Hopper"),
                &json!("end_user")
            )
        );
        let delete = json!({ "api_key": PRODUCT.1, "user_id": self.grace }).to_string();
        assert_eq!(self.app.delete_json(delete).await.status, 200);
        assert_eq!(self.app.retrieve_json(find).await.status, 404);
    }

    async fn disable(&self) {
        assert_eq!(self.verify().await.outcome(), VerifyOutcome::Verified);
        let path = format!("/{}", self.grace);
        let answer = self
            .bridge(Method::PUT, &path, &json!({ "enabled": false }))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(self.verify().await.outcome(), VerifyOutcome::Disabled);
    }

    /// The Bridge deletes her, and nobody knows her any more.
    async fn end(&mut self) {
        let path = format!("/{}", self.grace);
        let answer = self.bridge(Method::DELETE, &path, &Value::Null).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        assert_eq!(self.verify().await.outcome(), VerifyOutcome::Denied);
        let page = self.feedier(Method::GET, "", &Value::Null).await.json();
        assert_eq!(page["meta"]["total"], 1);
        let users = self.bridge(Method::GET, "", &Value::Null).await.json();
        let users = users.as_array().unwrap();
        assert_eq!((users.len(), &users[0]["email"]), (1, &json!(EDSGER)));
        let edsger = users[0]["id"].as_str().unwrap().to_owned();
        self.names.insert(edsger, "Edsger");
    }

    /// All events: who did what to whom, and the names of the fields.
    async fn told(&self) -> Vec<String> {
        let request = ListEventsRequest {
            page_size: 500,
            ..ListEventsRequest::default()
        };
        let mut client = EventServiceClient::new(self.app.channel());
        let listed = client.list_events(with_key(request, SERVICE.1)).await.unwrap();
        let mut names = self.names.clone();
        let mut told = Vec::new();
        for event in listed.into_inner().events {
            let subject = [&event.user_id, &event.api_key_id];
            let whom = subject.iter().find_map(|id| names.get(*id).copied());
            let whom = whom.unwrap_or("Acme");
            // A member's own deeds bear the id of the member.
            names.insert(format!("member:{}", event.member_id), whom);
            let actor = names.get(&event.actor).copied().unwrap_or(&event.actor);
            let mut fields = event.fields;
            fields.sort();
            let what = format!("{actor}: {} {whom} {}", event.kind, fields.join(" "));
            told.push(what.trim_end().to_owned());
        }
        told
    }
}

/// With a body, if there is one.
fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    if body.is_null() {
        return request;
    }
    let request = request.header("content-type", "application/json");
    request.body(body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_walks_through_everything_and_the_events_tell_it() {
    if !available(&BROWSER) {
        return;
    }
    let Some(mails) = MailServer::start() else { return };
    let mut story = Story::begin(mails).await;
    let answer = async |what: &str, whom: &str| story.answer(what, whom).await;
    let scenario = "one_person_walks_through_everything";
    block_in_place(|| converse(story.app.http_addr, scenario, &answer));
    story.end().await;
    assert_eq!(
        story.told().await,
        [
            "operator: organization.created Acme name slug",
            "operator: api_key.created The Bridge scopes",
            "operator: api_key.created Feedier scopes",
            "operator: api_key.created ProductBridge scopes",
            "operator: api_key.created a service scopes",
            "The Bridge: member.linked Grace email family_name given_name name role source",
            "mail: mail.sent Grace onboarding",
            "Grace: credential.password_set Grace onboarded",
            "Grace: session.created Grace",
            "Grace: member.linked Edsger email family_name given_name name role source",
            "mail: mail.sent Edsger onboarding",
            "Grace: member.updated Edsger role",
            "Feedier: member.updated Grace family_name given_name name",
            "a service: member.updated Grace portal_role",
            "ProductBridge: member.updated Grace portal_role",
            "The Bridge: member.updated Grace enabled",
            "The Bridge: member.revoked Grace revoked_at",
        ]
    );
}
