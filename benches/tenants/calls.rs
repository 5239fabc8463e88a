//! The calls of organization B.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use reqwest::{StatusCode, header::CONTENT_TYPE};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, transport::Channel};

use crate::{
    Result,
    directory::{Directory, Tenant, clients},
    proto::{
        GetMemberRequest, ListEventsRequest, ListMembersRequest, WatchEventsRequest,
        event_service_client::EventServiceClient, get_member_request::By,
        member_service_client::MemberServiceClient,
    },
};

#[derive(Clone, Copy)]
pub(crate) enum Call {
    GetMember,
    ListMembers,
    UpdateMember,
    /// Opens a watch, makes a change and waits until the watch tells it.
    Watch,
    /// A change of one user over Feedier's contract.
    FeedierUpdate,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GetMember => "GetMember",
            Self::ListMembers => "ListMembers",
            Self::UpdateMember => "UpdateMember",
            Self::Watch => "WatchEvents",
            Self::FeedierUpdate => "Feedier PUT",
        })
    }
}

pub(crate) struct Caller {
    call: Call,
    tenant: Tenant,
    events: EventServiceClient<Channel>,
    members: MemberServiceClient<Channel>,
    http: reqwest::Client,
    url: String,
    /// Sequence number of the last event that is known.
    last: i64,
}

impl Caller {
    pub(crate) async fn new(directory: &Directory, call: Call) -> Result<Self> {
        let (events, members) = clients(directory)?;
        let tenant = directory.b.clone();
        let mut caller = Self {
            call,
            url: feedier_url(directory, &tenant),
            tenant,
            events,
            members,
            http: reqwest::Client::new(),
            last: 0,
        };
        if let Call::Watch = call {
            caller.last = head(&mut caller.events, &caller.tenant).await?;
        }
        Ok(caller)
    }

    /// False: it was refused because of load.
    ///
    /// # Errors
    ///
    /// Refused for another reason, or not answered.
    pub(crate) async fn call(&mut self) -> Result<bool> {
        match self.call {
            Call::GetMember => {
                let by = Some(By::Number(self.tenant.staff.number));
                let request = self.tenant.request(GetMemberRequest {
                    by,
                    include_revoked: false,
                })?;
                accepted(self.members.get_member(request).await)
            }
            Call::ListMembers => {
                let request = self.tenant.request(ListMembersRequest::default())?;
                accepted(self.members.list_members(request).await)
            }
            Call::UpdateMember => self.update().await,
            Call::Watch => self.watch().await,
            Call::FeedierUpdate => {
                let key = self.tenant.keys.first().ok_or("no key")?;
                feedier_update(&self.http, &self.url, key).await
            }
        }
    }

    async fn update(&mut self) -> Result<bool> {
        let request = self.tenant.update(new_name())?;
        accepted(self.members.update_member(request).await)
    }

    async fn watch(&mut self) -> Result<bool> {
        let after_sequence = self.last;
        let request = self.tenant.request(WatchEventsRequest { after_sequence })?;
        let mut stream = match self.events.watch_events(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return accepted(Err::<(), _>(status)),
        };
        if !self.update().await? {
            return Ok(false);
        }
        while let Some(message) = stream.next().await {
            if let Some(event) = message?.event {
                self.last = event.sequence;
                return Ok(true);
            }
        }
        Err("a watch ended".into())
    }
}

/// A name that nobody has: an update that changes nothing is none, and has no event.
fn new_name() -> String {
    format!("Given Name {}", new_number())
}

/// An address that nobody has.
pub(crate) fn new_address() -> String {
    format!("new{}@example.com", new_number())
}

fn new_number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Gives a user a new name over Feedier's contract. False: it was refused because of load.
pub(crate) async fn feedier_update(http: &reqwest::Client, url: &str, key: &str) -> Result<bool> {
    let request = http.put(url).bearer_auth(key);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = request
        .body(format!("name={}", new_name().replace(' ', "+")))
        .send()
        .await?;
    match response.status() {
        StatusCode::OK => Ok(true),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Ok(false),
        status => Err(format!("{status}: {}", response.text().await?).into()),
    }
}

/// The tenant's user who has a role.
pub(crate) fn feedier_url(directory: &Directory, tenant: &Tenant) -> String {
    let (address, number) = (directory.server.addresses.http_addr, tenant.staff.number);
    format!("http://{address}/v3/users/{number}")
}

/// Sequence number of the tenant's last event.
pub(crate) async fn head(events: &mut EventServiceClient<Channel>, tenant: &Tenant) -> Result<i64> {
    let mut request = ListEventsRequest {
        page_size: 500,
        ..ListEventsRequest::default()
    };
    let mut last = 0;
    loop {
        let page = events.list_events(tenant.request(request.clone())?).await?;
        let page = page.into_inner();
        last = page.events.last().map_or(last, |event| event.sequence);
        if page.next_page_token.is_empty() {
            return Ok(last);
        }
        request.page_token = page.next_page_token;
    }
}

/// False: refused because of load.
pub(crate) fn accepted<T>(answer: std::result::Result<T, Status>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(status) if status.code() == Code::ResourceExhausted => Ok(false),
        Err(status) => Err(status.into()),
    }
}
