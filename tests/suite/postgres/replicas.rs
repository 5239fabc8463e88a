//! Three servers on one database.

use std::collections::HashSet;

use serde_json::json;
use sqlx::PgConnection;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use userbridge::{domain::Random as _, service::Admin};

use super::{
    consistency::assert_consistent,
    load::{Load, assert_kept},
    place::{NEVER, Place, Replica, migrated},
};
use crate::support::{
    RANDOM,
    postgres::Database,
    process::Serve,
    proto::{
        directory_v1::{
            GetMemberRequest, LinkMemberRequest, LinkOutcome, Member, RevokeMemberRequest, Role,
            UpdateMemberRequest, WatchEventsRequest, get_member_request::By,
            member_service_client::MemberServiceClient,
        },
        users_v1::{PingRequest, RetrieveRequest, retrieve_request},
    },
    wire::Wire,
    with_key,
};

const DELETE: &str = "/api/external/v1/users/delete";
const RETRIEVE: &str = "/api/external/v1/users/retrieve";
const PING: &str = "/api/external/v1/ping";

/// A database, an organization in it, and three servers of it.
struct Three {
    database: Database,
    place: Place,
    replicas: Vec<Replica>,
}

impl Three {
    async fn start() -> Option<Self> {
        let database = migrated().await?;
        let place = Place::open(database.url()).await;
        let replicas = (0..3).map(|_| Replica::start(database.url())).collect();
        Some(Self {
            database,
            place,
            replicas,
        })
    }

    async fn connect(&self) -> PgConnection {
        self.database.connect().await
    }
}

fn random(below: usize) -> usize {
    let mut bytes = [0; 8];
    RANDOM.fill(&mut bytes).unwrap();
    usize::from_le_bytes(bytes) % below
}

async fn post(serve: &Serve, path: &str, body: serde_json::Value) -> u16 {
    let mut wire = Wire::open(serve.http_addr).await;
    let body = body.to_string();
    wire.post(path, "application/json", body.as_bytes())
        .await
        .unwrap()
        .status
}

/// Follows the events of an organization from the first to the one that is told at last.
fn follow(replica: &Replica, key: &str, mut last: watch::Receiver<Option<i64>>) -> JoinHandle<Vec<i64>> {
    let (mut events, key) = (replica.events(), key.to_owned());
    tokio::spawn(async move {
        let request = with_key(WatchEventsRequest { after_sequence: 0 }, &key);
        let mut stream = events.watch_events(request).await.unwrap().into_inner();
        let mut heard = Vec::new();
        loop {
            let reached = heard.last().copied();
            tokio::select! {
                told = stream.message() => {
                    let told = told.unwrap().expect("it goes on");
                    heard.extend(told.event.map(|event| event.sequence));
                }
                _ = last.wait_for(|last| last.is_some() && reached >= *last) => return heard,
            }
        }
    })
}

/// Somebody who changes the same people as others.
struct Rival {
    name: String,
    members: MemberServiceClient<tonic::transport::Channel>,
    wire: Wire,
    /// Of two organizations: a key of the directory, and a public one.
    keys: Vec<(String, String)>,
    /// By organization: changes that were acknowledged, with the version that each made. JSON says none.
    made: Vec<Vec<Option<(String, String)>>>,
}

impl Rival {
    async fn act(&mut self, number: usize) {
        let organization = random(2);
        let (key, public_key) = self.keys[organization].clone();
        let email = format!("person{}@example.com", random(6));
        let name = format!("{} {number}", self.name);
        if random(3) == 0 {
            let link = LinkMemberRequest {
                email: Some(email),
                name: Some(name),
                ..LinkMemberRequest::default()
            };
            let linked = self
                .members
                .link_member(with_key(link, &key))
                .await
                .unwrap()
                .into_inner();
            assert_ne!(linked.outcome(), LinkOutcome::Found, "no other has this name");
            self.note(organization, linked.member.unwrap());
            return;
        }
        let get = GetMemberRequest {
            by: Some(By::Email(email)),
            include_revoked: false,
        };
        let Ok(found) = self.members.get_member(with_key(get, &key)).await else {
            return;
        };
        let found = found.into_inner().member.unwrap();
        match random(6) {
            0 => {
                let (id, etag) = (found.id, String::new());
                let revoke = with_key(RevokeMemberRequest { id, etag }, &key);
                let revoked = self.members.revoke_member(revoke).await;
                if let Some(revoked) = unless_too_late(revoked) {
                    self.note(organization, revoked.into_inner().member.unwrap());
                }
            }
            1 => {
                let body = json!({ "api_key": public_key, "user_id": found.user_id }).to_string();
                let reply = self.wire.post(DELETE, "application/json", body.as_bytes()).await;
                match reply.unwrap().status {
                    200 => self.made[organization].push(None),
                    status => assert_eq!(status, 404),
                }
            }
            other => {
                let etag = if other % 2 == 0 { found.etag } else { String::new() };
                let update = UpdateMemberRequest {
                    id: found.id,
                    etag,
                    member: Some(Member {
                        name: Some(name),
                        ..Member::default()
                    }),
                    update_mask: Some(prost_types::FieldMask {
                        paths: vec!["name".to_owned()],
                    }),
                };
                let updated = self.members.update_member(with_key(update, &key)).await;
                if let Some(updated) = unless_too_late(updated) {
                    self.note(organization, updated.into_inner().member.unwrap());
                }
            }
        }
    }

    fn note(&mut self, organization: usize, member: Member) {
        self.made[organization].push(Some((member.id, member.etag)));
    }
}

/// None: another was quicker.
fn unless_too_late<T>(answer: Result<T, Status>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(status) => {
            assert!(
                matches!(status.code(), Code::NotFound | Code::Aborted),
                "{status:?}"
            );
            None
        }
    }
}

#[tokio::test]
async fn three_replicas_that_change_the_same_people_double_nobody_and_lose_nothing() {
    const ACTS: usize = 40;

    let Some(three) = Three::start().await else { return };
    let other = Place::on(three.place.storage.clone(), "other").await;
    let places = [&three.place, &other];
    let keys: Vec<_> = places
        .map(|place| (place.key.clone(), place.public_key.clone()))
        .into();
    let (told, last) = watch::channel(None);
    let follows: Vec<_> = three
        .replicas
        .iter()
        .map(|replica| follow(replica, &three.place.key, last.clone()))
        .collect();
    let mut rivals = JoinSet::new();
    for (number, replica) in three.replicas.iter().chain(&three.replicas).enumerate() {
        let mut rival = Rival {
            name: format!("rival {number}"),
            members: replica.members(),
            wire: Wire::open(replica.serve.http_addr).await,
            keys: keys.clone(),
            made: vec![Vec::new(); 2],
        };
        rivals.spawn(async move {
            for number in 0..ACTS {
                rival.act(number).await;
            }
            rival.made
        });
    }
    let made = timeout(NEVER, rivals.join_all())
        .await
        .expect("a call is never answered");

    let mut connection = three.connect().await;
    assert_consistent(&mut connection).await;
    for (index, place) in places.into_iter().enumerate() {
        let made: Vec<_> = made.iter().flat_map(|made| &made[index]).collect();
        let events: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM events WHERE organization_id = $1 AND kind LIKE 'member.%'",
        )
        .bind(place.organization.as_uuid())
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(events, i64::try_from(made.len()).unwrap(), "each is an event");
        let versions: Vec<_> = made.into_iter().flatten().collect();
        let different: HashSet<_> = versions.iter().collect();
        assert_eq!(
            different.len(),
            versions.len(),
            "none was made on what another one made"
        );
    }
    let several: Vec<String> = sqlx::query_scalar(
        "SELECT email FROM members WHERE email IS NOT NULL GROUP BY email HAVING count(DISTINCT user_id) > 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(several, Vec::<String>::new(), "one person in both organizations");

    let count: i64 =
        sqlx::query_scalar("SELECT events FROM organization_counters WHERE organization_id = $1")
            .bind(three.place.organization.as_uuid())
            .fetch_one(&mut connection)
            .await
            .unwrap();
    told.send_replace(Some(count));
    for follow in follows {
        let heard = timeout(NEVER, follow)
            .await
            .expect("some event never comes")
            .unwrap();
        assert_eq!(heard, (1..=count).collect::<Vec<_>>(), "each once, in order");
    }
}

#[tokio::test]
async fn a_member_is_found_on_no_replica_once_the_revocation_is_acknowledged() {
    let Some(three) = Three::start().await else { return };
    let place = &three.place;
    let load = Load::start(place, &three.replicas[2].channel, "load", 2);
    let key = &place.key;
    for round in 0..24 {
        let (asked, other) = (&three.replicas[round % 3], &three.replicas[(round + 1) % 3]);
        let email = format!("round{round}@example.com");
        let link = LinkMemberRequest {
            email: Some(email.clone()),
            ..LinkMemberRequest::default()
        };
        let linked = other.members().link_member(with_key(link, key)).await.unwrap();
        let member = linked.into_inner().member.unwrap();
        let body = json!({ "api_key": place.public_key, "user_id": member.user_id });
        for replica in &three.replicas {
            assert_eq!(post(&replica.serve, RETRIEVE, body.clone()).await, 200, "{round}");
        }
        if round % 2 == 0 {
            assert_eq!(post(&asked.serve, DELETE, body.clone()).await, 200, "{round}");
        } else {
            let (id, etag) = (member.id.clone(), String::new());
            let revoke = with_key(RevokeMemberRequest { id, etag }, key);
            asked.members().revoke_member(revoke).await.unwrap();
        }
        for replica in &three.replicas {
            assert_eq!(post(&replica.serve, RETRIEVE, body.clone()).await, 404, "{round}");
            let by = Some(retrieve_request::By::Email(email.clone()));
            let retrieve = with_key(RetrieveRequest { by }, &place.public_key);
            let found = replica.users().retrieve(retrieve).await;
            assert_eq!(found.unwrap_err().code(), Code::NotFound, "{round}");
            let get = GetMemberRequest {
                by: Some(By::Id(member.id.clone())),
                include_revoked: false,
            };
            let found = replica.members().get_member(with_key(get, key)).await;
            assert_eq!(found.unwrap_err().code(), Code::NotFound, "{round}");
        }
    }
    let people = load.stop().await;
    let mut connection = three.connect().await;
    assert_kept(&mut connection, &people).await;
    assert_consistent(&mut connection).await;
}

#[tokio::test]
async fn an_organization_keeps_its_last_owner_whichever_replicas_are_asked() {
    let Some(three) = Three::start().await else { return };
    let key = &three.place.key;
    let mut connection = three.connect().await;
    for round in 0..8 {
        let mut owners = Vec::new();
        for number in 0..3 {
            let link = LinkMemberRequest {
                email: Some(format!("owner{number}@example.com")),
                role: Role::Owner.into(),
                ..LinkMemberRequest::default()
            };
            let linked = three.replicas[number]
                .members()
                .link_member(with_key(link, key))
                .await;
            owners.push(linked.unwrap().into_inner().member.unwrap());
        }
        let mut ends = JoinSet::new();
        for (replica, owner) in three.replicas.iter().zip(owners) {
            let (mut members, key) = (replica.members(), key.clone());
            ends.spawn(async move {
                let (id, etag) = (owner.id, String::new());
                if round % 2 == 0 {
                    let revoke = RevokeMemberRequest { id, etag };
                    return members.revoke_member(with_key(revoke, &key)).await.map(drop);
                }
                let update = UpdateMemberRequest {
                    id,
                    etag,
                    member: Some(Member {
                        role: Role::Viewer.into(),
                        ..Member::default()
                    }),
                    update_mask: Some(prost_types::FieldMask {
                        paths: vec!["role".to_owned()],
                    }),
                };
                members.update_member(with_key(update, &key)).await.map(drop)
            });
        }
        let refused: Vec<Status> = ends
            .join_all()
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        let reasons: Vec<_> = refused
            .iter()
            .map(|status| status.get_details_error_info().unwrap().reason)
            .collect();
        assert_eq!(reasons, ["LAST_OWNER"], "{round}");
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM members WHERE role = 'owner' AND revoked_at IS NULL")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(left, 1, "{round}");
    }
    assert_consistent(&mut connection).await;
}

#[tokio::test]
async fn a_replica_that_is_killed_loses_nothing_that_it_acknowledged_and_the_others_go_on() {
    let Some(mut three) = Three::start().await else {
        return;
    };
    let loads: Vec<_> = three
        .replicas
        .iter()
        .enumerate()
        .map(|(number, replica)| Load::start(&three.place, &replica.channel, &format!("load{number}."), 3))
        .collect();
    for load in &loads {
        load.goes_on(5).await;
    }
    three.replicas[0].serve.process.kill();
    for load in &loads[1..] {
        load.goes_on(10).await;
    }
    let mut people = Vec::new();
    for load in loads {
        people.extend(load.stop().await);
    }
    let mut connection = three.connect().await;
    assert_kept(&mut connection, &people).await;
    assert_consistent(&mut connection).await;
}

#[tokio::test]
async fn a_key_that_was_revoked_opens_nothing_on_any_replica() {
    let Some(three) = Three::start().await else { return };
    let place = &three.place;
    let list = |replica: &Replica| {
        let get = GetMemberRequest {
            by: Some(By::Number(1)),
            include_revoked: false,
        };
        let (mut members, get) = (replica.members(), with_key(get, &place.key));
        async move { members.get_member(get).await.unwrap_err().code() }
    };
    let ping = json!({ "api_key": place.public_key });
    for replica in &three.replicas {
        assert_eq!(list(replica).await, Code::NotFound);
        assert_eq!(post(&replica.serve, PING, ping.clone()).await, 200);
    }
    for key in place.key_ids {
        let revoked = place
            .directory
            .revoke_api_key(Admin::OPERATOR, Some(place.organization), key);
        revoked.await.unwrap();
    }
    for replica in &three.replicas {
        assert_eq!(list(replica).await, Code::Unauthenticated);
        assert_eq!(post(&replica.serve, PING, ping.clone()).await, 401);
        let ping = with_key(PingRequest {}, &place.public_key);
        let refused = replica.users().ping(ping).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
}
