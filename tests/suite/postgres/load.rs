//! People who are linked, renamed and revoked without a pause, and what was answered each time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::PgConnection;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::place::{NEVER, Place};
use crate::support::{
    proto::{
        directory_v1::{
            GetMemberRequest, LinkMemberRequest, Member, RevokeMemberRequest, UpdateMemberRequest,
            get_member_request::By, member_service_client::MemberServiceClient,
        },
        users_v1::{DeleteRequest, user_service_client::UserServiceClient},
    },
    with_key,
};

/// A pause after an answer that nothing was done.
const PAUSE: Duration = Duration::from_millis(10);

/// What the answer says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is made, for good.
    Made,
    /// It is not.
    NotMade,
    /// It may be.
    Unknown,
}

impl Outcome {
    /// An answer that the state of the database can't give is none.
    pub(super) fn of<T>(answer: &Result<T, Status>) -> Self {
        let Err(status) = answer else {
            return Self::Made;
        };
        // Without details the answer is not the server's: the connection broke.
        let Some(info) = status.get_details_error_info() else {
            return Self::Unknown;
        };
        match (status.code(), info.reason.as_str()) {
            (Code::Unavailable, "UNAVAILABLE") if status.message().contains("may have been made") => {
                Self::Unknown
            }
            (Code::Unavailable, _) | (Code::ResourceExhausted, "OVERLOADED") => Self::NotMade,
            (Code::DeadlineExceeded, _) => Self::Unknown,
            _ => panic!("{status:?}"),
        }
    }

    fn agrees_with(self, is_made: bool) -> bool {
        match self {
            Self::Made => is_made,
            Self::NotMade => !is_made,
            Self::Unknown => true,
        }
    }
}

/// What was answered about one person. Nothing more is asked after the first change that may not have been made.
#[derive(Clone, Debug)]
pub(super) struct Person {
    email: String,
    linked: Outcome,
    renamed: Option<Outcome>,
    revoked: Option<Outcome>,
}

/// Some who ask one server without a pause, until they are told to stop.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    workers: JoinSet<Vec<Person>>,
}

#[derive(Clone)]
struct Worker {
    name: String,
    members: MemberServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    public_key: String,
    key: String,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
}

impl Load {
    /// Starts them. The name is for their people.
    pub(super) fn start(place: &Place, channel: &Channel, name: &str, workers: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            made: Arc::default(),
            workers: JoinSet::new(),
        };
        for number in 0..workers {
            let worker = Worker {
                name: format!("{name}{number}"),
                members: MemberServiceClient::new(channel.clone()),
                users: UserServiceClient::new(channel.clone()),
                public_key: place.public_key.clone(),
                key: place.key.clone(),
                stop: load.stop.clone(),
                made: load.made.clone(),
            };
            load.workers.spawn(worker.run());
        }
        load
    }

    /// Waits until this many more people were linked, renamed and revoked.
    pub(super) async fn goes_on(&self, people: usize) {
        let until = self.made.load(Ordering::Relaxed) + people;
        let gone_on = async {
            while self.made.load(Ordering::Relaxed) < until {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(NEVER, gone_on).await.expect("nothing is made");
    }

    /// Stops them and returns whom they asked about.
    pub(super) async fn stop(self) -> Vec<Person> {
        self.stop.store(true, Ordering::Relaxed);
        let people = timeout(NEVER, self.workers.join_all()).await;
        people.expect("a call is never answered").concat()
    }
}

impl Worker {
    async fn run(mut self) -> Vec<Person> {
        let mut people = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let person = self.person(people.len()).await;
            if person.revoked == Some(Outcome::Made) {
                self.made.fetch_add(1, Ordering::Relaxed);
            } else {
                sleep(PAUSE).await;
            }
            people.push(person);
        }
        people
    }

    async fn person(&mut self, number: usize) -> Person {
        let email = format!("{}.{number}@example.com", self.name);
        let link = LinkMemberRequest {
            email: Some(email.clone()),
            ..LinkMemberRequest::default()
        };
        let linked = self.members.link_member(with_key(link, &self.key)).await;
        let mut person = Person {
            email,
            linked: Outcome::of(&linked),
            renamed: None,
            revoked: None,
        };
        let Ok(linked) = linked else { return person };
        let member = linked.into_inner().member.unwrap();

        let update = UpdateMemberRequest {
            id: member.id.clone(),
            member: Some(Member {
                name: Some(person.email.clone()),
                ..Member::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["name".to_owned()],
            }),
            etag: member.etag,
        };
        let renamed = self.members.update_member(with_key(update, &self.key)).await;
        person.renamed = Some(Outcome::of(&renamed));
        if renamed.is_err() {
            return person;
        }

        let revoked = if number.is_multiple_of(2) {
            let user_id = member.user_id;
            let delete = with_key(DeleteRequest { user_id }, &self.public_key);
            self.users.delete(delete).await.map(drop)
        } else {
            let revoke = RevokeMemberRequest {
                id: member.id.clone(),
                etag: String::new(),
            };
            let revoke = with_key(revoke, &self.key);
            self.members.revoke_member(revoke).await.map(drop)
        };
        person.revoked = Some(Outcome::of(&revoked));
        if revoked.is_ok() {
            let get = GetMemberRequest {
                by: Some(By::Id(member.id)),
                include_revoked: false,
            };
            let found = self.members.get_member(with_key(get, &self.key)).await;
            assert!(found.is_err(), "{person:?} is found after the revocation");
        }
        person
    }
}

/// What was acknowledged is there, and what was refused is not.
pub(super) async fn assert_kept(connection: &mut PgConnection, people: &[Person]) {
    let rows: Vec<(String, Option<String>, bool)> =
        sqlx::query_as("SELECT email, name, revoked_at IS NOT NULL FROM members WHERE email IS NOT NULL")
            .fetch_all(connection)
            .await
            .unwrap();
    let mut kept = HashMap::new();
    for (email, name, is_revoked) in rows {
        assert_eq!(
            kept.insert(email.clone(), (name, is_revoked)),
            None,
            "{email} twice"
        );
    }
    for person in people {
        let found = kept.get(&person.email);
        let is_named = found.is_some_and(|(name, _)| name.is_some());
        let is_revoked = found.is_some_and(|(_, is_revoked)| *is_revoked);
        let agree = person.linked.agrees_with(found.is_some())
            && person.renamed.unwrap_or(Outcome::NotMade).agrees_with(is_named)
            && person.revoked.unwrap_or(Outcome::NotMade).agrees_with(is_revoked);
        assert!(agree, "{person:?} is {found:?}");
    }
}
