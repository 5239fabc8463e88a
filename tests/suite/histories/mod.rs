//! Many clients of one directory at once: what each person's history of calls and answers is, could have been made by one call
//! after the other. `model/` says what single calls do; here it is that nothing gets between them.

mod checker;
mod known;
mod person;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use userbridge::{
    domain::{Idempotency, OrganizationId, Random as _, Scope},
    service::{Admin, Directory},
};

use self::{
    checker::{Timed, check},
    person::{Answer, Call, Person, Seen},
};
use crate::support::{
    RANDOM,
    engine::{Engine, Postgres, Sqlite, open},
    first,
    process::Serve,
    proto::{
        directory_v1::{
            GetMemberRequest, LinkMemberRequest, LinkOutcome, Member, RevokeMemberRequest,
            UpdateMemberRequest, get_member_request, member_service_client::MemberServiceClient,
        },
        users_v1::{
            DeleteRequest, RetrieveRequest, User, retrieve_request, user_service_client::UserServiceClient,
        },
    },
    with_key,
};

const PEOPLE: usize = 4;
const CLIENTS: usize = 8;

/// Calls of each client.
const CALLS: usize = 60;

/// Of so many calls one is given up before it can have been answered, so that nobody knows what it did.
const GIVEN_UP: usize = 40;
const TOO_SOON: Duration = Duration::from_millis(1);

/// More than any call takes.
const IN_TIME: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_of_one_server_see_has_an_order() {
    run::<Sqlite>(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_of_three_servers_on_one_database_see_has_an_order() {
    run::<Postgres>(3).await;
}

/// Somebody, and what was called for them.
struct Subject {
    address: String,
    history: Mutex<Vec<Timed<Call>>>,
    /// As some client saw them last: what the next call may be about.
    last: Mutex<Option<Member>>,
}

#[derive(Clone)]
struct Client {
    people: Arc<Vec<Subject>>,
    members: MemberServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    key: String,
    public_key: String,
    name: String,
    clock: Instant,
}

fn random(below: usize) -> usize {
    let mut bytes = [0; 8];
    RANDOM.fill(&mut bytes).unwrap();
    usize::from_le_bytes(bytes) % below
}

async fn run<E: Engine>(servers: usize) {
    let Some(engine) = E::new().await else {
        return;
    };
    let storage = open(engine.url()).await;
    let directory = Directory::new(storage.clone());
    let (slug, name) = ("acme".parse().unwrap(), "acme".parse().unwrap());
    let made = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    let organization = first(made.await.unwrap()).id;
    let public_key = new_key(&directory, organization, Scope::PublicApi).await;
    let key = new_key(&directory, organization, Scope::DirectoryWrite).await;
    storage.close().await;

    let servers: Vec<_> = (0..servers).map(|_| Serve::start(engine.url())).collect();
    let people = (0..PEOPLE).map(|number| Subject {
        address: format!("person{number}@example.com"),
        history: Mutex::default(),
        last: Mutex::default(),
    });
    let people = Arc::new(people.collect::<Vec<_>>());
    let clock = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let server = &servers[number % servers.len()];
        let channel = Endpoint::from_shared(format!("http://{}", server.grpc_addr)).unwrap();
        let channel = channel.connect_lazy();
        let client = Client {
            people: people.clone(),
            members: MemberServiceClient::new(channel.clone()),
            users: UserServiceClient::new(channel),
            key: key.clone(),
            public_key: public_key.clone(),
            name: format!("Client {number}"),
            clock,
        };
        clients.spawn(client.act());
    }
    while let Some(acted) = clients.join_next().await {
        acted.unwrap();
    }
    for person in &*people {
        let mut history = std::mem::take(&mut *person.history.lock().unwrap());
        assert!(!history.is_empty());
        if let Err(stuck) = check(&Person::default(), &mut history) {
            panic!("{}: {stuck}", person.address);
        }
    }
}

async fn new_key(directory: &Directory, organization: OrganizationId, scope: Scope) -> String {
    let scopes = [scope].into_iter().collect();
    let made = directory.create_api_key(
        Admin::OPERATOR,
        Some(organization),
        scopes,
        None,
        Idempotency::never(),
    );
    first(made.await.unwrap()).secret.reveal().to_owned()
}

/// What is told of a member.
fn told(member: &Member) -> Seen {
    Seen {
        id: Some(member.id.clone()),
        etag: Some(member.etag.clone()),
        name: member.name.clone(),
    }
}

fn told_publicly(user: User) -> Seen {
    Seen {
        id: Some(user.id),
        etag: None,
        name: user.name,
    }
}

/// An answer that is no success.
fn refused(status: &Status) -> Answer {
    match status.code() {
        Code::NotFound => Answer::NotFound,
        Code::Aborted => Answer::Stale,
        // Whether it was done before that, nobody says.
        Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled => Answer::Unknown,
        _ => panic!("{status:?}"),
    }
}

impl Client {
    /// A request with a key, and now and then with too little time.
    fn request<T>(message: T, key: &str) -> tonic::Request<T> {
        let mut request = with_key(message, key);
        let time = if random(GIVEN_UP) == 0 { TOO_SOON } else { IN_TIME };
        request.set_timeout(time);
        request
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap()
    }

    async fn act(mut self) {
        let people = self.people.clone();
        for number in 0..CALLS {
            let person = &people[random(PEOPLE)];
            let last = person.last.lock().unwrap().clone();
            let name = format!("{} {number}", self.name);
            let begun = self.now();
            let (call, is_answered) = self.call(person, last, name).await;
            if !is_answered && matches!(call, Call::Read { .. }) {
                continue;
            }
            let ended = is_answered.then(|| self.now());
            let timed = Timed { begun, ended, call };
            person.history.lock().unwrap().push(timed);
        }
    }

    /// Any call for a person, and whether it was answered.
    async fn call(&mut self, person: &Subject, last: Option<Member>, name: String) -> (Call, bool) {
        let (kind, email) = (random(12), person.address.clone());
        let Some(last) = last.filter(|_| kind > 2) else {
            return self.link(person, name).await;
        };
        let id = last.id.clone();
        let etag = (random(2) == 0).then_some(last.etag);
        match kind {
            3 | 4 => {
                let by = get_member_request::By::Email(email);
                self.get(person, None, by).await
            }
            5 => {
                let by = get_member_request::By::Id(id.clone());
                self.get(person, Some(id), by).await
            }
            6 | 7 => {
                let by = if random(2) == 0 {
                    retrieve_request::By::Email(email)
                } else {
                    retrieve_request::By::UserId(last.user_id)
                };
                let request = Self::request(RetrieveRequest { by: Some(by) }, &self.public_key);
                let answer = match self.users.retrieve(request).await {
                    Ok(found) => Answer::Done(told_publicly(found.into_inner().user.unwrap())),
                    Err(status) => refused(&status),
                };
                ended(|answer| Call::Read { id: None, answer }, answer)
            }
            8 => {
                let message = RevokeMemberRequest {
                    id: id.clone(),
                    etag: etag.clone().unwrap_or_default(),
                };
                let revoked = self
                    .members
                    .revoke_member(Self::request(message, &self.key))
                    .await;
                let answer = match revoked {
                    Ok(_) => Answer::Done(Seen::default()),
                    Err(status) => refused(&status),
                };
                ended(|answer| Call::Revoke { id, etag, answer }, answer)
            }
            9 => {
                let message = DeleteRequest {
                    user_id: last.user_id,
                };
                let deleted = self.users.delete(Self::request(message, &self.public_key)).await;
                let answer = match deleted {
                    Ok(_) => Answer::Done(Seen::default()),
                    Err(status) => refused(&status),
                };
                ended(|answer| Call::Delete { answer }, answer)
            }
            _ => {
                let message = UpdateMemberRequest {
                    id: id.clone(),
                    member: Some(Member {
                        name: Some(name.clone()),
                        ..Member::default()
                    }),
                    update_mask: Some(prost_types::FieldMask {
                        paths: vec!["name".to_owned()],
                    }),
                    etag: etag.clone().unwrap_or_default(),
                };
                let updated = self
                    .members
                    .update_member(Self::request(message, &self.key))
                    .await;
                let answer = member(person, updated.map(|updated| updated.into_inner().member));
                let call = |answer| Call::Update {
                    id,
                    etag,
                    name,
                    answer,
                };
                ended(call, answer)
            }
        }
    }

    async fn link(&mut self, person: &Subject, name: String) -> (Call, bool) {
        let message = LinkMemberRequest {
            email: Some(person.address.clone()),
            name: Some(name.clone()),
            ..LinkMemberRequest::default()
        };
        let linked = self.members.link_member(Self::request(message, &self.key)).await;
        let linked = linked.map(tonic::Response::into_inner);
        let created = linked
            .as_ref()
            .is_ok_and(|linked| linked.outcome() == LinkOutcome::Created);
        let answer = member(person, linked.map(|linked| linked.member));
        let call = |answer| Call::Link {
            name,
            created,
            answer,
        };
        ended(call, answer)
    }

    async fn get(
        &mut self,
        person: &Subject,
        id: Option<String>,
        by: get_member_request::By,
    ) -> (Call, bool) {
        let message = GetMemberRequest {
            by: Some(by),
            include_revoked: false,
        };
        let found = self.members.get_member(Self::request(message, &self.key)).await;
        let answer = member(person, found.map(|found| found.into_inner().member));
        ended(|answer| Call::Read { id, answer }, answer)
    }
}

/// What an answer with a member says, which others then know.
fn member(person: &Subject, answer: Result<Option<Member>, Status>) -> Answer {
    match answer {
        Ok(member) => {
            let member = member.unwrap();
            let seen = told(&member);
            *person.last.lock().unwrap() = Some(member);
            Answer::Done(seen)
        }
        Err(status) => refused(&status),
    }
}

/// The call with its answer, and whether that says what was done.
fn ended(call: impl FnOnce(Answer) -> Call, answer: Answer) -> (Call, bool) {
    let is_known = answer != Answer::Unknown;
    (call(answer), is_known)
}
