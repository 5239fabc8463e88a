//! The end of a server, orderly and not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    net::TcpStream,
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use userbridge::{
    domain::{
        EventKind, EventQuery, Idempotency, LinkRequest, Member, MemberId, MemberQuery, OrganizationId,
        Random as _, Scope,
    },
    service::{Admin, Directory, Write},
    storage::{self, Migrate, Storage},
};

use crate::support::{
    RANDOM, database, first,
    process::Serve,
    proto::users_v1::{DeleteRequest, PingRequest, user_service_client::UserServiceClient},
    wire::Wire,
    with_key,
};

const RETRIEVE: &str = "/api/external/v1/users/retrieve";
const DELETE: &str = "/api/external/v1/users/delete";

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(15);

/// The database of a server in another process, opened beside it.
struct Beside {
    storage: Arc<dyn Storage>,
    directory: Directory,
    organization: OrganizationId,
    key: String,
}

impl Beside {
    async fn new(url: &str) -> Self {
        let storage = storage::connect(url, Migrate::Always).await.unwrap();
        let directory = Directory::new(storage.clone());
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let grant = Admin::OPERATOR;
        let created = directory.create_organization(grant.clone(), slug, name, Idempotency::never());
        let organization = first(created.await.unwrap()).id;
        let scopes = [Scope::PublicApi].into_iter().collect();
        let created = directory.create_api_key(grant, Some(organization), scopes, None, Idempotency::never());
        let created = first(created.await.unwrap());
        Self {
            storage,
            directory,
            organization,
            key: created.secret.reveal().to_owned(),
        }
    }

    async fn link(&self, members: usize) -> Vec<Member> {
        let mut linked = Vec::new();
        for _ in 0..members {
            let grant = Write::operator(self.organization);
            let link = self
                .directory
                .link_member(grant, LinkRequest::default(), Idempotency::never());
            linked.push(first(link.await.unwrap()).member);
        }
        linked
    }

    async fn live(&self) -> Vec<Member> {
        let query = MemberQuery {
            limit: u32::MAX,
            ..MemberQuery::default()
        };
        self.storage.members(self.organization, query).await.unwrap()
    }

    fn body(&self, member: &Member) -> String {
        json!({ "api_key": self.key, "user_id": member.user_id.to_string() }).to_string()
    }

    /// The log tells of each member that is no more, once, and of no other.
    async fn assert_log_is_whole(&self) {
        let query = EventQuery {
            limit: u32::MAX,
            ..EventQuery::default()
        };
        let log = self.storage.events(Some(self.organization), query).await.unwrap();
        let of = |kind: EventKind| -> Vec<MemberId> {
            let events = log.iter().filter(|event| event.kind == kind);
            events.map(|event| event.member_id.unwrap()).collect()
        };
        let members = self.live().await;
        let live: BTreeSet<MemberId> = members.iter().map(|member| member.id).collect();
        let linked: BTreeSet<MemberId> = of(EventKind::MemberLinked).into_iter().collect();
        let revoked = of(EventKind::MemberRevoked);
        let once: BTreeSet<MemberId> = revoked.iter().copied().collect();
        assert_eq!(revoked.len(), once.len());
        assert_eq!(once, linked.difference(&live).copied().collect());
        let sequence: Vec<i64> = log.iter().map(|event| event.sequence).collect();
        let expected: Vec<i64> = (1..).take(log.len()).collect();
        assert_eq!(sequence, expected);
    }
}

async fn status_of(serve: &Serve, path: &str, body: &str) -> u16 {
    let mut wire = Wire::open(serve.http_addr).await;
    wire.post(path, "application/json", body.as_bytes())
        .await
        .unwrap()
        .status
}

/// Waits until it has ended by itself, successfully.
async fn assert_ends(mut serve: Serve) {
    let ended = spawn_blocking(move || serve.process.wait());
    let status = timeout(NEVER, ended).await.expect("it does not end").unwrap();
    assert!(status.success(), "{status}");
}

async fn until_nobody_listens(serve: &Serve) {
    let refused = async {
        while TcpStream::connect(serve.http_addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(NEVER, refused).await.expect("it still listens");
}

/// Sends the head of a request and waits until the server asks for the body: then it has accepted the request.
async fn accepted(serve: &Serve, path: &str, body: &str) -> Wire {
    let mut wire = Wire::open(serve.http_addr).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    wire.send(head.as_bytes()).await;
    assert_eq!(wire.head().await.unwrap().status, 100);
    wire
}

#[tokio::test]
async fn sigterm_lets_what_is_in_flight_finish() {
    let (_folder, url) = database();
    let beside = Beside::new(&url).await;
    let members = beside.link(40).await;
    let (json, grpc) = members.split_at(30);
    let serve = patient(&url);

    let mut in_flight = Vec::new();
    for (index, member) in json.iter().enumerate() {
        let path = if index % 2 == 0 { DELETE } else { RETRIEVE };
        let body = beside.body(member);
        in_flight.push((accepted(&serve, path, &body).await, body));
    }
    // Deletes over gRPC that can't be finished yet: another process is writing.
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", serve.grpc_addr)).unwrap();
    let mut users = UserServiceClient::new(endpoint.connect().await.unwrap());
    let mut deletes = JoinSet::new();
    for member in grpc {
        let user_id = member.user_id.to_string();
        let request = with_key(DeleteRequest { user_id }, &beside.key);
        let mut users = users.clone();
        deletes.spawn(async move { users.delete(request).await });
    }
    tokio::task::yield_now().await;
    // It comes after them on the same connection. When it is answered they were accepted.
    users.ping(with_key(PingRequest {}, &beside.key)).await.unwrap();

    serve.process.terminate();
    until_nobody_listens(&serve).await;
    lock.rollback().await.unwrap();
    for answer in timeout(NEVER, deletes.join_all()).await.expect("no answer") {
        answer.unwrap();
    }
    for (mut wire, body) in in_flight {
        assert!(wire.send(body.as_bytes()).await);
        let reply = timeout(NEVER, wire.reply())
            .await
            .expect("no answer")
            .expect("a whole answer");
        assert_eq!(reply.status, 200);
        assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok());
        assert!(wire.is_closed().await);
    }
    assert_ends(serve).await;

    let live = beside.live().await;
    let kept: Vec<_> = json.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(live, kept);
    beside.assert_log_is_whole().await;
}

/// A server that waits for what is in flight as long as it takes.
fn patient(url: &str) -> Serve {
    Serve::start_with(&["--database-url", url, "--drain-seconds", "600"])
}

#[tokio::test]
async fn connections_that_ask_no_more_do_not_keep_a_server_from_stopping() {
    let (_folder, url) = database();
    let beside = Beside::new(&url).await;
    let member = beside.link(1).await.remove(0);
    let serve = patient(&url);
    let mut used = Wire::open(serve.http_addr).await;
    let body = beside.body(&member);
    let reply = used
        .post(RETRIEVE, "application/json", body.as_bytes())
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    let endpoint = Endpoint::from_shared(format!("http://{}", serve.grpc_addr)).unwrap();
    let mut users = UserServiceClient::new(endpoint.connect().await.unwrap());
    users.ping(with_key(PingRequest {}, &beside.key)).await.unwrap();
    serve.process.terminate();
    assert_ends(serve).await;
}

#[tokio::test]
async fn a_silent_json_connection_does_not_keep_a_server_from_stopping() {
    let (_folder, url) = database();
    let serve = patient(&url);
    let _silent = Wire::open(serve.http_addr).await;
    // It is accepted in its turn: before this one, which is answered.
    assert_eq!(status_of(&serve, RETRIEVE, "{}").await, 422);
    serve.process.terminate();
    assert_ends(serve).await;
}

#[tokio::test]
async fn a_silent_grpc_connection_does_not_keep_a_server_from_stopping() {
    let (_folder, url) = database();
    let serve = patient(&url);
    let _silent = Wire::open(serve.grpc_addr).await;
    serve.process.terminate();
    assert_ends(serve).await;
}

#[tokio::test]
async fn who_watches_health_does_not_keep_a_server_from_stopping() {
    let (_folder, url) = database();
    let serve = patient(&url);
    let endpoint = Endpoint::from_shared(format!("http://{}", serve.grpc_addr)).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let service = String::new();
    let mut watch = health
        .watch(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    assert!(watch.message().await.unwrap().is_some());
    serve.process.terminate();
    assert_ends(serve).await;
}

#[tokio::test]
async fn a_client_that_never_finishes_is_cut() {
    let (_folder, url) = database();
    let beside = Beside::new(&url).await;
    let serve = Serve::start_with(&["--database-url", &url, "--drain-seconds", "1"]);
    let mut wire = accepted(&serve, RETRIEVE, "{}").await;
    serve.process.terminate();
    assert_ends(serve).await;
    assert!(wire.reply().await.is_none());
    beside.assert_log_is_whole().await;
}

#[tokio::test]
async fn an_acknowledged_delete_survives_kill_9() {
    let (_folder, url) = database();
    let beside = Beside::new(&url).await;
    let mut users = BTreeMap::new();
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let mut serve = Serve::start(&url);
        let members = beside.link(80).await;
        users.extend(members.iter().map(|member| (member.id, member.clone())));
        let (done, mut dones) = tokio::sync::mpsc::unbounded_channel();
        let endpoint = Endpoint::from_shared(format!("http://{}", serve.grpc_addr)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let mut workers = JoinSet::new();
        for (index, members) in members.chunks(10).enumerate() {
            let members = members.to_vec();
            let (done, addr, channel) = (done.clone(), serve.http_addr, channel.clone());
            let key = beside.key.clone();
            let bodies: Vec<_> = members.iter().map(|member| beside.body(member)).collect();
            workers.spawn(async move {
                let mut wire = Wire::open(addr).await;
                let mut grpc = UserServiceClient::new(channel);
                for (member, body) in members.iter().zip(bodies) {
                    let acknowledged = if index % 2 == 0 {
                        let reply = wire.post(DELETE, "application/json", body.as_bytes()).await;
                        reply.is_some_and(|reply| reply.status == 200)
                    } else {
                        let user_id = member.user_id.to_string();
                        grpc.delete(with_key(DeleteRequest { user_id }, &key))
                            .await
                            .is_ok()
                    };
                    if acknowledged && done.send(member.id).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        // Somewhere in the middle, with the other workers' deletes under way.
        let mut bytes = [0];
        RANDOM.fill(&mut bytes).unwrap();
        for _ in 0..=bytes[0] % 60 {
            acknowledged.insert(dones.recv().await.unwrap());
        }
        serve.process.kill();
        // What was acknowledged before the blow and is on its way here counts too.
        workers.join_all().await;
        while let Some(member) = dones.recv().await {
            acknowledged.insert(member);
        }

        let serve = Serve::start(&url);
        for (id, member) in &users {
            let status = status_of(&serve, RETRIEVE, &beside.body(member)).await;
            if acknowledged.contains(id) {
                assert_eq!(status, 404, "round {round}: a delete was undone");
            } else {
                assert!(status == 200 || status == 404, "round {round}: {status}");
            }
        }
        beside.assert_log_is_whole().await;
    }
    assert!(!acknowledged.is_empty());
    let mut file = SqliteConnection::connect(&url).await.unwrap();
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut file)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_server_that_was_told_to_stop_leaves_nothing_half_done() {
    let (folder, url) = database();
    let serve = Serve::start(&url);
    serve.process.terminate();
    assert_ends(serve).await;
    // The write-ahead log is folded into the file by whoever leaves last.
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["users.db"]);
}
