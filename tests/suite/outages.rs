//! What happens while the file can't be written, and afterwards.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::{Code, service::Routes, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;
use userbridge::{
    domain::{
        Idempotency, KeyDigest, LinkRequest, Member, MemberLookup, OrganizationId, Outage, PublicMember,
        Scope,
    },
    rpc::Services,
    service::{Admin, Directory, ServiceError, Write},
    storage::{
        Migrate, Storage, StoreError,
        sqlite::{Settings, SqliteStorage},
    },
};
use userbridge_gateway::Upstream;

use crate::support::{
    CLOCK, database, first, lines_with, log,
    process::{Process, USERBRIDGE, command},
    proto::users_v1::{DeleteRequest, user_service_client::UserServiceClient},
    skip, until_logged,
    wire::Wire,
    with_key,
};

const USERS: &str = "userbridge.users.v1.UserService";
const EVENTS: &str = "userbridge.directory.v1.EventService";

/// Long enough for anything that happens at all.
const NEVER: Duration = Duration::from_secs(20);

/// Everything but the listeners, on a storage with settings of the test's choice.
pub(crate) struct House {
    pub storage: Arc<dyn Storage>,
    pub directory: Directory,
    pub services: Routes,
    pub json: Router,
    pub organization: OrganizationId,
    /// A public key.
    pub key: String,
    /// A key for Feedier.
    pub writer: String,
    pub url: String,
    pub folder: TempDir,
}

impl House {
    pub(crate) async fn new(settings: Settings) -> Self {
        log();
        let (folder, url) = database();
        let storage = SqliteStorage::open_with(&url, Migrate::Always, settings).await;
        let storage: Arc<dyn Storage> = Arc::new(storage.unwrap());
        let directory = Directory::new(storage.clone());
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        let organization = first(created.await.unwrap()).id;
        let key = async |scope| {
            let scopes = [scope].into_iter().collect();
            let created = directory.create_api_key(
                Admin::OPERATOR,
                Some(organization),
                scopes,
                None,
                Idempotency::never(),
            );
            first(created.await.unwrap()).secret.reveal().to_owned()
        };
        let (key, writer) = (key(Scope::PublicApi).await, key(Scope::DirectoryWrite).await);
        let services = Services::new().await;
        services.ready(directory.clone()).await;
        Self {
            json: userbridge_gateway::router(
                Upstream::in_process(services.published()),
                &userbridge_gateway::Settings::default(),
            ),
            services: services.routes().unwrap(),
            storage,
            directory,
            organization,
            key,
            writer,
            url,
            folder,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("users.db")
    }

    pub(crate) async fn member(&self) -> Member {
        let grant = Write::operator(self.organization);
        let linked = self
            .directory
            .link_member(grant, LinkRequest::default(), Idempotency::never());
        first(linked.await.unwrap()).member
    }

    pub(crate) async fn retrieve(&self, member: &Member) -> Result<PublicMember, ServiceError> {
        let lookup = MemberLookup::UserId(member.user_id);
        self.directory
            .retrieve_user(KeyDigest::of(&self.key), lookup)
            .await
    }

    async fn delete(&self, member: &Member) -> Result<(), ServiceError> {
        let key = KeyDigest::of(&self.key);
        self.directory.delete_user(key, member.user_id, None).await
    }

    async fn health(&self, service: &str) -> ServingStatus {
        let mut health = HealthClient::new(self.services.clone());
        let service = service.to_owned();
        let response = health.check(HealthCheckRequest { service }).await;
        response.unwrap().into_inner().status()
    }

    /// Waits until health says this of the user service, the event service and the whole.
    async fn until(&self, expected: [bool; 3]) {
        let reached = async {
            loop {
                let mut found = [false; 3];
                for (index, service) in [USERS, EVENTS, ""].into_iter().enumerate() {
                    found[index] = self.health(service).await == ServingStatus::Serving;
                }
                if found == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(NEVER, reached).await.expect("health does not say it");
    }
}

/// A POST to one of the dialects: status and `retry-after`.
pub(crate) async fn post(
    json: &Router,
    path: &str,
    key: Option<&str>,
    body: String,
) -> (u16, Option<String>) {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let response = json
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await;
    let response = response.unwrap();
    let retry = response.headers().get(header::RETRY_AFTER);
    let retry = retry.map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), retry)
}

fn quick() -> Settings {
    Settings {
        busy_timeout: Duration::from_millis(30),
        ..Settings::default()
    }
}

#[tokio::test]
async fn while_another_process_locks_the_file_writes_are_refused_and_health_says_so() {
    let house = House::new(quick()).await;
    let sally = house.member().await;
    let mut other = SqliteConnection::connect(&house.url).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = house.delete(&sally).await.unwrap_err();
    assert!(
        matches!(
            error,
            ServiceError::Unavailable(StoreError::Unavailable(Outage::Locked))
        ),
        "{error:?}"
    );
    house.until([false, true, false]).await;
    // Reading goes on.
    assert_eq!(house.retrieve(&sally).await.unwrap(), sally.clone().into());

    let user_id = sally.user_id.to_string();
    let request = with_key(
        DeleteRequest {
            user_id: user_id.clone(),
        },
        &house.key,
    );
    let status = UserServiceClient::new(house.services.clone())
        .delete(request)
        .await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    let retry = (StatusCode::SERVICE_UNAVAILABLE.as_u16(), Some("1".to_owned()));
    let body = json!({ "api_key": house.key, "user_id": user_id }).to_string();
    let deleted = post(&house.json, "/api/external/v1/users/delete", None, body.clone()).await;
    assert_eq!(deleted, retry);
    let new =
        json!({ "email": "tom@acme.example.com", "role": "viewer", "auth_method": "password" }).to_string();
    let created = post(&house.json, "/v3/users", Some(&house.writer), new).await;
    assert_eq!(created, retry);

    // Nobody writes; the server itself finds out that it can.
    lock.rollback().await.unwrap();
    house.until([true, true, true]).await;
    let deleted = post(&house.json, "/api/external/v1/users/delete", None, body).await;
    assert_eq!(deleted, (200, None));
    house.retrieve(&sally).await.unwrap_err();
}

#[tokio::test]
async fn times_of_use_that_can_not_be_written_are_written_later() {
    let house = House::new(quick()).await;
    let sally = house.member().await;
    let grant = Write::operator(house.organization);
    house.directory.record_seen(grant, sally.id).await.unwrap();
    let mut other = SqliteConnection::connect(&house.url).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    house.directory.flush_last_used().await;
    lock.rollback().await.unwrap();
    house.until([true, true, true]).await;
    house.directory.flush_last_used().await;
    let seen: Option<i64> = sqlx::query_scalar("SELECT last_seen_at FROM members")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(seen.is_some());
}

#[tokio::test]
async fn times_of_use_whose_writing_is_cut_off_are_written_later() {
    let house = House::new(quick()).await;
    let sally = house.member().await;
    let grant = Write::operator(house.organization);
    house.directory.record_seen(grant, sally.id).await.unwrap();
    let mut other = SqliteConnection::connect(&house.url).await.unwrap();
    {
        let mut cut_off = pin!(house.directory.flush_last_used());
        assert!(futures_util::poll!(&mut cut_off).is_pending());
    }
    house.directory.flush_last_used().await;
    let seen: Option<i64> = sqlx::query_scalar("SELECT last_seen_at FROM members")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(seen.is_some());
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_noticed_and_so_is_its_return() {
    let house = House::new(Settings::default()).await;
    let sally = house.member().await;
    let aside = house.folder.path().join("aside.db");
    fs::rename(house.file(), &aside).unwrap();
    // At once for who writes, and some moments later without.
    let error = house.delete(&sally).await.unwrap_err();
    assert!(matches!(error, ServiceError::Unavailable(_)), "{error:?}");
    house.until([false, false, false]).await;
    let error = house.delete(&sally).await.unwrap_err();
    assert!(
        matches!(
            error,
            ServiceError::Unavailable(StoreError::Unavailable(Outage::FileGone))
        ),
        "{error:?}"
    );
    fs::rename(&aside, house.file()).unwrap();
    house.until([true, true, true]).await;
    let tom = house.member().await;
    house.delete(&tom).await.unwrap();
}

#[tokio::test]
async fn a_file_in_the_place_of_the_database_is_not_taken_for_it() {
    let house = House::new(Settings::default()).await;
    for name in ["users.db", "users.db-wal", "users.db-shm"] {
        let (file, aside) = (house.folder.path().join(name), house.folder.path().join("aside"));
        fs::rename(&file, &aside).unwrap();
        fs::copy(&aside, &file).unwrap();
        // Nobody writes.
        house.until([false, false, false]).await;
        fs::rename(&aside, &file).unwrap();
        house.until([true, true, true]).await;
    }
    house.member().await;
}

/// An orderly end writes down what is in a log that has no name any more.
#[tokio::test]
async fn a_log_that_was_removed_costs_nothing_if_the_server_is_stopped() {
    let house = House::new(Settings::default()).await;
    let sally = house.member().await;
    fs::remove_file(house.folder.path().join("users.db-wal")).unwrap();
    house.until([false, false, false]).await;
    house.delete(&sally).await.unwrap_err();
    house.storage.close().await;
    let storage = userbridge::storage::connect(&house.url, Migrate::Never)
        .await
        .unwrap();
    let lookup = MemberLookup::UserId(sally.user_id);
    let found = storage.key_and_member(KeyDigest::of(&house.key), lookup).await;
    assert_eq!(found.unwrap().member, Some(sally.into()));
}

/// `serve` whose files may be of a limited size, and where it logs.
struct Limited {
    process: Process,
    id: u32,
    grpc: SocketAddr,
    http: SocketAddr,
    log: PathBuf,
}

impl Limited {
    fn start(folder: &Path, url: &str) -> Self {
        let log = folder.join("log");
        let mut shell = command("sh");
        // A write beyond the limit is to fail, not to kill. The shell becomes the server, and so has its id.
        shell
            .args(["-c", r#"trap "" XFSZ; echo $$; exec "$0" "$@""#, USERBRIDGE])
            .args(["serve", "--json", "--database-url", url])
            .args(["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"])
            .env("USERBRIDGE_LOG", "info")
            .stderr(Stdio::from(File::create(&log).unwrap()));
        let mut process = Process::start(&mut shell);
        let id = process.line().trim().parse().unwrap();
        let announced: Value = serde_json::from_str(&process.line()).unwrap();
        let addr = |name: &str| announced[name].as_str().unwrap().parse().unwrap();
        Self {
            id,
            grpc: addr("grpc_addr"),
            http: addr("http_addr"),
            log,
            process,
        }
    }

    /// The largest that a file may become by a write, in bytes or `unlimited`.
    fn limit(&self, size: &str) -> bool {
        let (pid, size) = (self.id.to_string(), format!("--fsize={size}:unlimited"));
        let limited = Command::new("prlimit").args(["--pid", &pid, &size]).status();
        limited.is_ok_and(|status| status.success())
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Option<String>) {
        let mut wire = Wire::open(self.http).await;
        let reply = wire
            .post(path, "application/json", body.as_bytes())
            .await
            .unwrap();
        (reply.status, reply.header("retry-after").map(str::to_owned))
    }

    /// Waits for a line of the log that comes once.
    async fn until_logged(&self, text: &str) {
        until_logged(&self.log, text).await;
        assert_eq!(lines_with(&self.log, text), 1);
    }
}

#[tokio::test]
async fn a_server_whose_writes_fail_goes_on_by_itself_when_they_work_again() {
    let (folder, url) = database();
    let server = Limited::start(folder.path(), &url);
    if !server.limit("unlimited") {
        return skip("prlimit is not there, or may not be used");
    }
    let storage = userbridge::storage::connect(&url, Migrate::Never).await.unwrap();
    let directory = Directory::new(storage.clone());
    let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
    let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    let acme = first(created.await.unwrap()).id;
    let scopes = [Scope::PublicApi].into_iter().collect();
    let created = directory.create_api_key(Admin::OPERATOR, Some(acme), scopes, None, Idempotency::never());
    let key = first(created.await.unwrap()).secret.reveal().to_owned();
    let mut bodies = Vec::new();
    for _ in 0..20 {
        let linked = directory.link_member(
            Write::operator(acme),
            LinkRequest::default(),
            Idempotency::never(),
        );
        let user = first(linked.await.unwrap()).member.user_id.to_string();
        bodies.push(json!({ "api_key": key, "user_id": user }).to_string());
    }
    storage.close().await;
    let (retrieve, delete) = ("/api/external/v1/users/retrieve", "/api/external/v1/users/delete");
    assert_eq!(server.post(delete, &bodies[0]).await.0, 200);

    assert!(server.limit("4096"));
    for body in &bodies[1..] {
        assert_eq!(server.post(delete, body).await, (503, Some("1".to_owned())));
        assert_eq!(server.post(retrieve, body).await.0, 200);
    }
    let channel = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let mut serving = async |expected: ServingStatus| {
        let service = USERS.to_owned();
        let mut watch = health
            .watch(HealthCheckRequest { service })
            .await
            .unwrap()
            .into_inner();
        let reached = async { while watch.message().await.unwrap().unwrap().status() != expected {} };
        timeout(NEVER, reached).await.expect("health does not say it");
    };
    serving(ServingStatus::NotServing).await;
    server.until_logged("the database can't be written").await;
    assert_eq!(
        lines_with(&server.log, " ERROR ") + lines_with(&server.log, " WARN "),
        1
    );

    assert!(server.limit("unlimited"));
    // Nobody writes; the server itself finds out that it can.
    serving(ServingStatus::Serving).await;
    server.until_logged("the database can be written again").await;
    for body in &bodies[1..] {
        assert_eq!(server.post(delete, body).await.0, 200);
        assert_eq!(server.post(retrieve, body).await.0, 404);
    }
    // No change was half made or made twice.
    let mut file = SqliteConnection::connect(&url).await.unwrap();
    let (events, last): (i64, i64) =
        sqlx::query_as("SELECT count(*), max(sequence) FROM events WHERE organization_id = $1 AND at <= $2")
            .bind(&acme.as_uuid().as_bytes()[..])
            .bind(userbridge::domain::Clock::now(CLOCK).as_millis())
            .fetch_one(&mut file)
            .await
            .unwrap();
    assert_eq!((events, last), (42, 42));
    drop(server.process);
}
