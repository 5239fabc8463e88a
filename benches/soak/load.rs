//! Who calls the server, and how.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    Result,
    client::{Answer, Client, with_key},
    place::PEOPLE,
    proto::{
        directory_v1::{
            IssueHandoverCodeRequest, LinkMemberRequest, ListMembersRequest, Member, UpdateMemberRequest,
            WatchEventsRequest, credential_service_client::CredentialServiceClient,
            event_service_client::EventServiceClient, member_service_client::MemberServiceClient,
        },
        users_v1::{RetrieveRequest, retrieve_request::By, user_service_client::UserServiceClient},
    },
};

/// The longest that a call may take. It ends the run.
const LONGEST: Duration = Duration::from_secs(60);

/// Calls after which a caller of gRPC connects anew.
const CALLS_OF_A_CONNECTION: u64 = 100;

/// People who are linked and removed in turn.
const GUESTS: u64 = 1000;

const PORTAL: &str = "/cloud-views/user-management-portal";

/// What a caller does again and again. JSON and pages go over a new connection each time.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Retrieve,
    RetrieveJson,
    /// Somebody is linked, and deleted over JSON.
    LinkAndDelete,
    Update,
    List,
    ListFeedier,
    ListTheBridge,
    /// Watches events until one comes.
    Watch,
    /// An administrator signs in, looks and signs out.
    Portal,
    /// A key that is none, each time another.
    WrongKey,
    /// A request of which a half is sent.
    HalfRequest,
    /// A handshake that is broken off.
    HalfHandshake,
    /// A call that is given up after a millisecond.
    GivenUp,
}

const KINDS: [Kind; 13] = [
    Kind::Retrieve,
    Kind::RetrieveJson,
    Kind::LinkAndDelete,
    Kind::Update,
    Kind::List,
    Kind::ListFeedier,
    Kind::ListTheBridge,
    Kind::Watch,
    Kind::Portal,
    Kind::WrongKey,
    Kind::HalfRequest,
    Kind::HalfHandshake,
    Kind::GivenUp,
];

#[derive(Default)]
struct Count {
    done: AtomicU64,
    refused: AtomicU64,
}

/// Callers, one of each kind, until they are stopped.
pub(crate) struct Load {
    tasks: JoinSet<Result<()>>,
    counts: Arc<[Count; KINDS.len()]>,
}

impl Load {
    pub(crate) fn start(client: &Client, pause: Duration) -> Self {
        let mut load = Self {
            tasks: JoinSet::new(),
            counts: Arc::default(),
        };
        for (index, kind) in KINDS.into_iter().enumerate() {
            let (counts, client) = (load.counts.clone(), client.clone());
            load.tasks.spawn(async move {
                let mut caller = Caller {
                    kind,
                    channel: client.channel()?,
                    client,
                    number: 0,
                };
                loop {
                    let answered = timeout(LONGEST, caller.call()).await;
                    let accepted = answered.map_err(|late| format!("{kind:?}: {late}"))?;
                    let accepted = accepted.map_err(|error| format!("{kind:?}: {error}"))?;
                    let count = &counts[index];
                    let count = if accepted { &count.done } else { &count.refused };
                    count.fetch_add(1, Ordering::Relaxed);
                    sleep(pause).await;
                }
            });
        }
        load
    }

    /// # Errors
    ///
    /// A caller was answered what it should not be.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?,
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    fn counts(&self) -> impl Iterator<Item = (Kind, u64, u64)> {
        let counts = KINDS.into_iter().zip(self.counts.iter());
        counts.map(|(kind, count)| {
            let (done, refused) = (&count.done, &count.refused);
            (
                kind,
                done.load(Ordering::Relaxed),
                refused.load(Ordering::Relaxed),
            )
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let counts = self.counts();
        let counts = counts
            .map(|(kind, done, refused)| (format!("{kind:?}"), json!({ "done": done, "refused": refused })));
        counts.collect::<serde_json::Map<_, _>>().into()
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| caller          |    done | refused |")?;
        writeln!(f, "| --------------- | ------- | ------- |")?;
        for (kind, done, refused) in self.counts() {
            writeln!(f, "| {:15} | {done:>7} | {refused:>7} |", format!("{kind:?}"))?;
        }
        Ok(())
    }
}

struct Caller {
    kind: Kind,
    client: Client,
    channel: Channel,
    /// Of the call.
    number: u64,
}

impl Caller {
    /// False: it was refused, or given up, because of load.
    ///
    /// # Errors
    ///
    /// It was answered something else than the call asks for.
    async fn call(&mut self) -> Result<bool> {
        self.number += 1;
        if self.number.is_multiple_of(CALLS_OF_A_CONNECTION) {
            self.channel = self.client.channel()?;
        }
        let email = format!("person{}@example.com", self.number % u64::from(PEOPLE));
        match self.kind {
            Kind::Retrieve => accepted(self.retrieve(email).await?),
            Kind::RetrieveJson => {
                let body = json!({ "api_key": self.client.public_key, "email": email });
                is_ok(&self.post("/api/external/v1/users/retrieve", &body).await?)
            }
            Kind::LinkAndDelete => self.link_and_delete().await,
            Kind::Update => self.update().await,
            Kind::List => {
                let request = ListMembersRequest {
                    name_parts: vec![format!("son{}", self.number % 10)],
                    with_total: true,
                    ..ListMembersRequest::default()
                };
                let mut members = MemberServiceClient::new(self.channel.clone());
                accepted(members.list_members(with_key(request, &self.client.key)?).await)
            }
            Kind::ListFeedier => {
                let page = self.number % 20 + 1;
                let request = Request::get(format!("/v3/users?page={page}&filter[name]=person"));
                let request = request.header("authorization", format!("Bearer {}", self.client.key));
                is_ok(&self.client.send(request, "").await?)
            }
            Kind::ListTheBridge => {
                let request = Request::get("/account/tenant/user")
                    .header("x-api-key", &self.client.key)
                    .header("x-tenant-id", &self.client.organization);
                is_ok(&self.client.send(request, "").await?)
            }
            Kind::Watch => self.watch().await,
            Kind::Portal => self.visit().await,
            Kind::WrongKey => {
                let body = json!({ "api_key": format!("pb_{:043}", self.number), "email": email });
                let answer = self.post("/api/external/v1/users/retrieve", &body).await?;
                is(&answer, StatusCode::UNAUTHORIZED)
            }
            Kind::HalfRequest => {
                let mut stream = self.client.connect().await?;
                let half = b"POST /api/external/v1/users/retrieve HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
                stream.write_all(half).await?;
                Ok(true)
            }
            Kind::HalfHandshake => {
                // Dropped at once or a little later.
                let wait = Duration::from_millis(self.number % 3);
                let _ = timeout(wait, self.client.connect()).await;
                Ok(true)
            }
            Kind::GivenUp => {
                // An answer in time is as good.
                let _ = timeout(Duration::from_millis(1), self.retrieve(email)).await;
                Ok(true)
            }
        }
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        let request = Request::post(path).header("content-type", "application/json");
        self.client.send(request, body.to_string()).await
    }

    /// The answer, of whatever kind.
    async fn retrieve(&self, email: String) -> Result<std::result::Result<(), Status>> {
        let request = RetrieveRequest {
            by: Some(By::Email(email)),
        };
        let mut users = UserServiceClient::new(self.channel.clone());
        let found = users.retrieve(with_key(request, &self.client.public_key)?).await;
        Ok(found.map(drop))
    }

    async fn link_and_delete(&self) -> Result<bool> {
        let request = LinkMemberRequest {
            email: Some(format!("guest{}@example.com", self.number % GUESTS)),
            name: Some("A Guest".to_owned()),
            ..LinkMemberRequest::default()
        };
        let mut members = MemberServiceClient::new(self.channel.clone());
        let linked = match members.link_member(with_key(request, &self.client.key)?).await {
            Ok(linked) => linked.into_inner().member.ok_or("no member")?,
            Err(status) => return accepted(Err::<(), _>(status)),
        };
        let body = json!({ "api_key": self.client.public_key, "user_id": linked.user_id });
        is_ok(&self.post("/api/external/v1/users/delete", &body).await?)
    }

    async fn update(&self) -> Result<bool> {
        let request = UpdateMemberRequest {
            id: self.client.administrator.clone(),
            member: Some(Member {
                name: Some(format!("Administrator {}", self.number)),
                ..Member::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["name".to_owned()],
            }),
            etag: String::new(),
        };
        let mut members = MemberServiceClient::new(self.channel.clone());
        accepted(members.update_member(with_key(request, &self.client.key)?).await)
    }

    async fn watch(&self) -> Result<bool> {
        let mut events = EventServiceClient::new(self.channel.clone());
        let request = WatchEventsRequest {
            after_sequence: i64::from(PEOPLE),
        };
        match events.watch_events(with_key(request, &self.client.key)?).await {
            Ok(stream) => {
                stream.into_inner().message().await?;
                Ok(true)
            }
            Err(status) => accepted(Err::<(), _>(status)),
        }
    }

    async fn visit(&self) -> Result<bool> {
        let mut credentials = CredentialServiceClient::new(self.channel.clone());
        let request = IssueHandoverCodeRequest {
            member_id: self.client.administrator.clone(),
        };
        let code = match credentials
            .issue_handover_code(with_key(request, &self.client.key)?)
            .await
        {
            Ok(issued) => issued.into_inner().code,
            Err(status) => return accepted(Err::<(), _>(status)),
        };
        let page = |path: &str| Request::get(format!("{PORTAL}{path}"));
        let opened = self.client.send(page(&format!("/users?code={code}")), "").await?;
        if !is(&opened, StatusCode::SEE_OTHER)? {
            return Ok(false);
        }
        let cookie = opened.headers.get("set-cookie").ok_or("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default();
        let people = self
            .client
            .send(page("/users?search=person").header("cookie", cookie), "")
            .await?;
        if !is_ok(&people)? {
            return Ok(false);
        }
        let text = str::from_utf8(&people.body)?;
        let (_, csrf) = text.split_once("name=\"csrf\" value=\"").ok_or("no form")?;
        let csrf = csrf.split('"').next().unwrap_or_default();
        let out = Request::post(format!("{PORTAL}/sign-out"))
            .header("cookie", cookie)
            .header("content-type", "application/x-www-form-urlencoded");
        let left = self.client.send(out, format!("csrf={csrf}")).await?;
        Ok(left.status.is_success() || left.status.is_redirection())
    }
}

fn is_ok(answer: &Answer) -> Result<bool> {
    is(answer, StatusCode::OK)
}

/// False: refused, or given up, because of load.
fn is(answer: &Answer, expected: StatusCode) -> Result<bool> {
    match answer.status {
        status if status == expected => Ok(true),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Ok(false)
        }
        status => Err(format!("{status}: {}", String::from_utf8_lossy(&answer.body)).into()),
    }
}

/// False: refused, or given up, because of load.
fn accepted<T>(answer: std::result::Result<T, Status>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::DeadlineExceeded) => Ok(false),
        Err(status) => Err(status.into()),
    }
}
