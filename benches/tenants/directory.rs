//! The directory: three organizations with members, keys and a server.

use std::{fs, path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::{
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use userbridge::{
    domain::{Idempotency, Idempotent, OrganizationName, Scope, Slug},
    service::{Admin, Directory as Service},
    storage::{self, Migrate},
};

use crate::{
    Result,
    proto::{
        LinkMemberRequest, Member, Role, UpdateMemberRequest, event_service_client::EventServiceClient,
        member_service_client::MemberServiceClient,
    },
    server::Server,
};

/// Members of B and of the third organization.
const FEW: u32 = 500;

/// Callers who link members at once.
const CALLERS: u32 = 64;

/// Keys of each organization: one may have 100 watches.
const KEYS: usize = 10;

/// How often the third organization writes.
const WRITE_EVERY: Duration = Duration::from_millis(20);

/// A running server with three organizations.
pub(crate) struct Directory {
    pub(crate) server: Server,
    /// Makes the load.
    pub(crate) x: Tenant,
    /// Is measured.
    pub(crate) b: Tenant,
    third: Tenant,
    _folder: TempDir,
}

#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) keys: Vec<String>,
    /// A member with a role.
    pub(crate) staff: Member,
}

impl Directory {
    pub(crate) async fn start(members: u32) -> Result<Self> {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(parent)?;
        let folder = tempfile::tempdir_in(parent)?;
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        let storage = storage::connect(&url, Migrate::Always).await?;
        let service = Service::new(storage.clone());
        let mut keys = Vec::new();
        for slug in ["x", "b", "third"] {
            keys.push(organization(&service, slug).await?);
        }
        storage.close().await;
        let server = Server::start(Path::new(env!("CARGO_BIN_EXE_userbridge")), &url, [""; 0])?;
        let mut tenants = Vec::new();
        for (keys, members) in keys.into_iter().zip([members, FEW, FEW]) {
            tenants.push(fill(&server, keys, members).await?);
        }
        let tenants = <[Tenant; 3]>::try_from(tenants).map_err(|_| "three organizations")?;
        let [x, b, third] = tenants;
        Ok(Self {
            server,
            x,
            b,
            third,
            _folder: folder,
        })
    }

    /// A connection of its own.
    pub(crate) fn channel(&self) -> Result<Channel> {
        channel(&self.server)
    }

    /// The third organization changes one of its members from time to time, until this is dropped.
    pub(crate) fn neighbour(&self) -> Result<JoinSet<()>> {
        let mut members = MemberServiceClient::new(self.channel()?);
        let third = self.third.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for count in 0_u64.. {
                // What a busy server refuses is not written.
                if let Ok(request) = third.update(format!("Given Family {count}")) {
                    let _ = members.update_member(request).await;
                }
                tokio::time::sleep(WRITE_EVERY).await;
            }
        });
        Ok(tasks)
    }
}

impl Tenant {
    pub(crate) fn request<T>(&self, message: T) -> Result<tonic::Request<T>> {
        with_key(message, self.keys.first().ok_or("no key")?)
    }

    /// Gives the member with a role this name.
    pub(crate) fn update(&self, name: String) -> Result<tonic::Request<UpdateMemberRequest>> {
        self.request(UpdateMemberRequest {
            id: self.staff.id.clone(),
            member: Some(Member {
                name: Some(name),
                ..Member::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["name".to_owned()],
            }),
            etag: String::new(),
        })
    }
}

pub(crate) fn with_key<T>(message: T, key: &str) -> Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(message);
    let value = MetadataValue::try_from(format!("Bearer {key}"))?;
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

fn channel(server: &Server) -> Result<Channel> {
    let address = format!("http://{}", server.addresses.grpc_addr);
    Ok(Endpoint::from_shared(address)?.tcp_nodelay(true).connect_lazy())
}

/// The keys of a new organization.
async fn organization(service: &Service, slug: &str) -> Result<Vec<String>> {
    let (slug, name) = (Slug::new(slug)?, OrganizationName::new(slug)?);
    let created = service.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    let organization = first(created.await?)?;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        let scopes = [Scope::DirectoryWrite].into_iter().collect();
        let created = service.create_api_key(
            Admin::OPERATOR,
            Some(organization.id),
            scopes,
            None,
            Idempotency::never(),
        );
        keys.push(first(created.await?)?.secret.reveal().to_owned());
    }
    Ok(keys)
}

fn first<T>(answer: Idempotent<T>) -> Result<T> {
    match answer {
        Idempotent::Fresh(value) => Ok(value),
        Idempotent::Replayed(_) => Err("nothing is repeated".into()),
    }
}

async fn fill(server: &Server, keys: Vec<String>, members: u32) -> Result<Tenant> {
    let style = ProgressStyle::with_template("seeding {bar:40} {human_pos} of {human_len} {eta}")?;
    let progress = ProgressBar::new(members.into()).with_style(style);
    let key = keys.first().ok_or("no key")?;
    let client = MemberServiceClient::new(channel(server)?);
    let staff = LinkMemberRequest {
        role: Role::Editor.into(),
        ..person(members)
    };
    let staff = client.clone().link_member(with_key(staff, key)?).await?;
    let staff = staff.into_inner().member.ok_or("no member")?;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS.min(members) {
        let (mut client, key, progress) = (client.clone(), key.clone(), progress.clone());
        callers.spawn(async move {
            for number in (caller..members).step_by(CALLERS as usize) {
                client.link_member(with_key(person(number), &key)?).await?;
                progress.inc(1);
            }
            Result::Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    progress.finish_and_clear();
    Ok(Tenant { keys, staff })
}

fn person(number: u32) -> LinkMemberRequest {
    LinkMemberRequest {
        email: Some(format!("person{number}@example.com")),
        name: Some(format!("Given Family {number}")),
        ..LinkMemberRequest::default()
    }
}

/// The services of events and members on one connection.
pub(crate) fn clients(
    directory: &Directory,
) -> Result<(EventServiceClient<Channel>, MemberServiceClient<Channel>)> {
    let channel = directory.channel()?;
    Ok((
        EventServiceClient::new(channel.clone()),
        MemberServiceClient::new(channel),
    ))
}
