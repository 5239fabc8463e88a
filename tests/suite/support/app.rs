//! A server in this process, with one method for each endpoint.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Body, Method, RequestBuilder,
    header::{CONTENT_TYPE, HeaderMap},
    redirect::Policy,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use userbridge::{
    domain::{
        Actor, ApiKey, ApiKeyId, Change, Clock as _, Email, Idempotency, Idempotent, KeyDigest, LinkRequest,
        Member, MemberNumber, MemberPatch, Organization, OrganizationName, Profile, Scope, Slug, Timestamp,
        TokenKind, TokenSecret, UserId,
    },
    server::{Config, MailConfig, Server},
    service::{Admin, CallLimits, Directory, WatchLimits, Write},
    storage::{self, Migrate},
};
use userbridge_gateway::{
    Settings, Upstream,
    cors::Cors,
    listen::{self, ConnectionLimit, Limits, Listener, TrustedProxies},
    observe::Observer,
    router,
};

use super::{
    CLOCK, RANDOM, database, log,
    proto::users_v1::{
        DeleteRequest, PingRequest, PingResponse, RetrieveRequest, User, retrieve_request::By,
        user_service_client::UserServiceClient,
    },
    rules::{NewApiKey, Rules},
};

/// What the links in mails begin with.
const PUBLIC_URL: &str = "https://people.example.com";

/// Where the JSON gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the server, without a socket between them.
    Embedded,
    /// Behind a socket of its own, as `userbridge-gateway --upstream` has it.
    Apart,
}

/// A server on free ports, with a database of its own that is gone with it.
pub(crate) struct TestApp {
    pub server: Server,
    /// A client that follows no redirects.
    pub http: reqwest::Client,
    /// Where JSON is served, in the form that was asked for.
    pub http_addr: SocketAddr,
    channel: Channel,
    database_url: String,
    folder: TempDir,
}

/// Of the gateway, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: String,
}

/// An organization and its public key.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub organization: Organization,
    /// The text of its key, as clients send it.
    pub key: String,
}

impl TestApp {
    pub(crate) async fn start(form: Form) -> Self {
        Self::start_as(form, |_| {}).await
    }

    pub(crate) async fn start_within(form: Form, limits: Limits) -> Self {
        Self::start_as(form, |config| config.limits = limits).await
    }

    /// Starts it with these limits for those who follow events.
    pub(crate) async fn with_watches(form: Form, watches: WatchLimits) -> Self {
        Self::start_as(form, |config| config.watches = watches).await
    }

    /// Starts it with this way out for mails.
    pub(crate) async fn mailing(form: Form, mail: MailConfig) -> Self {
        Self::start_on(database(), form, |config| config.mail = Some(mail)).await
    }

    /// As [`Self::mailing`], on what [`Self::shutdown`] has left.
    pub(crate) async fn mailing_on(left: (TempDir, String), mail: MailConfig) -> Self {
        Self::start_on(left, Form::Embedded, |config| config.mail = Some(mail)).await
    }

    /// Starts it with something else than most tests have.
    pub(crate) async fn start_as(form: Form, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(database(), form, change).await
    }

    async fn start_on(
        (folder, database_url): (TempDir, String),
        form: Form,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        log();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config {
            database_url: database_url.clone(),
            replica_url: None,
            migrate: Migrate::Always,
            grpc_addr: free,
            http_addr: free,
            admin_addr: Some(free),
            tls: None,
            proxies: TrustedProxies::default(),
            limits: Limits::new(ConnectionLimit::new(4096)),
            calls: CallLimits::default(),
            watches: WatchLimits::default(),
            cors: Cors::default(),
            public_url: None,
            mail: None,
            lame_duck: Duration::ZERO,
            observer: Observer::default(),
            drain_timeout: Duration::from_secs(10),
        };
        change(&mut config);
        config.public_url = config.mail.as_ref().map(|_| PUBLIC_URL.parse().unwrap());
        let proxies = config.proxies.clone();
        let server = Server::start(config).await.unwrap();
        let endpoint = format!("http://{}", server.grpc_addr);
        let http_addr = match form {
            Form::Embedded => server.http_addr,
            Form::Apart => {
                let upstream = Upstream::connect(endpoint.parse().unwrap());
                let listener = TcpListener::bind(free).await.unwrap();
                let addr = listener.local_addr().unwrap();
                let limits = Limits::new(ConnectionLimit::new(4096));
                tokio::spawn(listen::serve(
                    Listener::from(listener).behind(proxies),
                    router(upstream, &Settings::default()),
                    limits,
                    std::future::pending(),
                ));
                addr
            }
        };
        Self {
            channel: Endpoint::from_shared(endpoint).unwrap().connect_lazy(),
            http: reqwest::Client::builder()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            http_addr,
            server,
            database_url,
            folder,
        }
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Stops the server and returns what is left: the folder of the database, and its URL.
    pub(crate) async fn shutdown(self) -> (TempDir, String) {
        self.server.shutdown().await;
        (self.folder, self.database_url)
    }

    // Seeding.

    /// The use cases, as an operator reaches them.
    pub(crate) fn directory(&self) -> &Directory {
        &self.server.directory
    }

    /// The storage below the server, opened a second time: as another process on the same file has it.
    pub(crate) async fn storage(&self) -> Rules {
        let storage = storage::connect(&self.database_url, Migrate::Never).await;
        Rules(storage.unwrap())
    }

    pub(crate) async fn organization(&self, slug: &str) -> Organization {
        let name = OrganizationName::new(slug).unwrap();
        let slug = Slug::new(slug).unwrap();
        let created = self
            .directory()
            .create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        first(created.await.unwrap())
    }

    /// An organization with a public key.
    pub(crate) async fn tenant(&self, slug: &str) -> Tenant {
        let organization = self.organization(slug).await;
        let key = self.key(&organization, &[Scope::PublicApi]).await;
        Tenant { organization, key }
    }

    /// A token of this kind for a member, as it is mailed or handed over.
    pub(crate) async fn live_token(
        &self,
        organization: &Organization,
        member: MemberNumber,
        kind: TokenKind,
    ) -> String {
        let secret = TokenSecret::generate(kind, RANDOM).unwrap();
        let token = secret.stored(member, CLOCK.now());
        let storage = self.storage().await;
        storage.insert_token(organization.id, token).await.unwrap();
        storage.close().await;
        secret.reveal().to_owned()
    }

    /// The text of a new key.
    pub(crate) async fn key(&self, organization: &Organization, scopes: &[Scope]) -> String {
        self.key_of(Some(organization), scopes).await
    }

    /// The text of a new key that is bound to no organization.
    pub(crate) async fn deployment_key(&self, scopes: &[Scope]) -> String {
        self.key_of(None, scopes).await
    }

    async fn key_of(&self, organization: Option<&Organization>, scopes: &[Scope]) -> String {
        let organization = organization.map(|organization| organization.id);
        let scopes = scopes.iter().copied().collect();
        let created = self.directory().create_api_key(
            Admin::OPERATOR,
            organization,
            scopes,
            None,
            Idempotency::never(),
        );
        first(created.await.unwrap()).secret.reveal().to_owned()
    }

    /// Stores a key of which the test chooses everything: its secret, and when it ends.
    pub(crate) async fn raw_key(
        &self,
        organization: &Organization,
        secret: &str,
        scopes: &[Scope],
        expires_at: Option<Timestamp>,
    ) -> ApiKeyId {
        // One that has expired was made before.
        let at = expires_at.map_or(CLOCK.now(), |end| end.min(CLOCK.now()));
        let at = Timestamp::from_millis(at.as_millis() - 1);
        let id = ApiKeyId::new(at, RANDOM).unwrap();
        let new = NewApiKey {
            key: ApiKey {
                id,
                organization_id: Some(organization.id),
                scopes: scopes.iter().copied().collect(),
                hint: "pb_tests".to_owned(),
                created_at: at,
                expires_at,
                superseded_at: None,
                revoked_at: None,
                last_used_at: None,
            },
            digest: KeyDigest::of(secret),
        };
        let change = Change {
            actor: Actor::Operator,
            at,
            client: None,
            source: None,
        };
        let storage = self.storage().await;
        storage
            .create_api_key(Some(organization.id), new, Idempotency::never(), change)
            .await
            .unwrap();
        storage.close().await;
        id
    }

    /// A member with this address and a name.
    pub(crate) async fn member(&self, organization: &Organization, email: &str) -> Member {
        let profile = Profile {
            email: Some(Email::new(email).unwrap()),
            name: Some("Sally Doe".parse().unwrap()),
            ..Profile::default()
        };
        self.link(organization, None, profile).await
    }

    /// A member: a known user, or the one whom the profile's address belongs to.
    pub(crate) async fn link(
        &self,
        organization: &Organization,
        user_id: Option<UserId>,
        profile: Profile,
    ) -> Member {
        let link = LinkRequest {
            user_id,
            values: patch(profile),
            ..LinkRequest::default()
        };
        let grant = Write::operator(organization.id);
        let linked = self.directory().link_member(grant, link, Idempotency::never());
        first(linked.await.unwrap()).member
    }

    // JSON.

    pub(crate) async fn retrieve_json(&self, body: impl Into<Body>) -> Answer {
        self.post("/api/external/v1/users/retrieve", body).await
    }

    pub(crate) async fn delete_json(&self, body: impl Into<Body>) -> Answer {
        self.post("/api/external/v1/users/delete", body).await
    }

    pub(crate) async fn ping_json(&self, body: impl Into<Body>) -> Answer {
        self.post("/api/external/v1/ping", body).await
    }

    /// Any path, with a body that says it is JSON.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = self.request(Method::POST, path);
        Answer::of(request.header(CONTENT_TYPE, "application/json").body(body)).await
    }

    /// Any request, to be completed.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.http_addr))
    }

    // gRPC.

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) async fn retrieve(&self, key: &str, user_id: &str) -> Result<User, Status> {
        self.retrieve_by(key, By::UserId(user_id.to_owned())).await
    }

    pub(crate) async fn retrieve_email(&self, key: &str, email: &str) -> Result<User, Status> {
        self.retrieve_by(key, By::Email(email.to_owned())).await
    }

    async fn retrieve_by(&self, key: &str, by: By) -> Result<User, Status> {
        let request = with_key(RetrieveRequest { by: Some(by) }, key);
        let response = self.users().retrieve(request).await?;
        Ok(response.into_inner().user.unwrap())
    }

    pub(crate) async fn delete(&self, key: &str, user_id: &str) -> Result<(), Status> {
        let user_id = user_id.to_owned();
        self.users()
            .delete(with_key(DeleteRequest { user_id }, key))
            .await?;
        Ok(())
    }

    pub(crate) async fn ping(&self, key: &str) -> Result<PingResponse, Status> {
        Ok(self
            .users()
            .ping(with_key(PingRequest {}, key))
            .await?
            .into_inner())
    }

    pub(crate) fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel())
    }
}

/// What sets every field that the profile has.
pub(crate) fn patch(profile: Profile) -> MemberPatch {
    MemberPatch {
        email: profile.email.map(Some),
        name: profile.name.map(Some),
        avatar_url: profile.avatar_url.map(Some),
        portal_role: profile.portal_role.map(Some),
        company_name: profile.company_name.map(Some),
        customer_status: profile.customer_status.map(Some),
        locale: profile.locale.map(Some),
        ..MemberPatch::default()
    }
}

/// The answer to a request that is not repeated.
pub(crate) fn first<T>(answer: Idempotent<T>) -> T {
    match answer {
        Idempotent::Fresh(value) => value,
        Idempotent::Replayed(_) => unreachable!("nothing is repeated"),
    }
}

pub(crate) fn with_key<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

impl Answer {
    /// Sends a request and reads the whole answer.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The headers but for the time of day and the request's id, sorted: what could tell one answer from another.
    pub(crate) fn telling_headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        headers
    }
}
