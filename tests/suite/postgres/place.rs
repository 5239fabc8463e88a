//! A directory on PostgreSQL, and servers of it.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use userbridge::{
    domain::{ApiKeyId, Idempotency, LinkRequest, Member, OrganizationId, Profile, Scope},
    service::{Admin, Directory, ServiceError, Write},
    storage::{self, Migrate, Storage},
};

use crate::support::{
    first, log, patch,
    postgres::{Database, Template},
    process::Serve,
    proto::{
        directory_v1::{
            event_service_client::EventServiceClient, member_service_client::MemberServiceClient,
        },
        users_v1::user_service_client::UserServiceClient,
    },
};

/// Long enough for anything that happens at all.
pub(super) const NEVER: Duration = Duration::from_secs(60);

/// A database with the tables of this version in it.
pub(super) async fn migrated() -> Option<Database> {
    static MIGRATED: Template = Template::new();
    let migrate = async |url: String| {
        let storage = storage::connect(&url, Migrate::Always).await.unwrap();
        storage.close().await;
    };
    MIGRATED.copy(migrate).await
}

/// An organization in a database that is open in this process.
pub(super) struct Place {
    pub storage: Arc<dyn Storage>,
    pub directory: Directory,
    pub organization: OrganizationId,
    /// Opens the public API.
    pub public_key: String,
    /// Opens the directory, for changes too.
    pub key: String,
    /// Of both keys.
    pub key_ids: [ApiKeyId; 2],
}

impl Place {
    /// Opens a database, whose tables are made if need be.
    pub(super) async fn open(url: &str) -> Self {
        log();
        let storage = storage::connect(url, Migrate::Always).await.unwrap();
        Self::on(storage, "acme").await
    }

    /// A new organization.
    pub(super) async fn on(storage: Arc<dyn Storage>, slug: &str) -> Self {
        log();
        let directory = Directory::new(storage.clone());
        let (slug, name) = (slug.parse().unwrap(), slug.parse().unwrap());
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
            let created = first(created.await.unwrap());
            (created.key.id, created.secret.reveal().to_owned())
        };
        let (public_id, public_key) = key(Scope::PublicApi).await;
        let (id, key) = key(Scope::DirectoryWrite).await;
        Self {
            storage,
            directory,
            organization,
            public_key,
            key,
            key_ids: [public_id, id],
        }
    }

    /// Links who has an address.
    pub(super) async fn link(&self, email: &str) -> Result<Member, ServiceError> {
        let profile = Profile {
            email: Some(email.parse().unwrap()),
            ..Profile::default()
        };
        let link = LinkRequest {
            values: patch(profile),
            ..LinkRequest::default()
        };
        let grant = Write::operator(self.organization);
        let linked = self
            .directory
            .link_member(grant, link, Idempotency::never())
            .await?;
        Ok(first(linked).member)
    }

    /// Waits until somebody can be linked.
    pub(super) async fn until_it_works(&self) {
        let works = async {
            let mut number = 0;
            while self.link(&format!("probe{number}@example.com")).await.is_err() {
                number += 1;
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(NEVER, works).await.expect("it never works again");
    }
}

/// `userbridge serve` on a database, and a connection to it.
pub(super) struct Replica {
    pub serve: Serve,
    pub channel: Channel,
}

impl Replica {
    pub(super) fn start(url: &str) -> Self {
        Self::of(Serve::start(url))
    }

    pub(super) fn of(serve: Serve) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", serve.grpc_addr)).unwrap();
        Self {
            serve,
            channel: endpoint.connect_lazy(),
        }
    }

    pub(super) fn members(&self) -> MemberServiceClient<Channel> {
        MemberServiceClient::new(self.channel.clone())
    }

    pub(super) fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel.clone())
    }

    pub(super) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    /// Waits until health says this of the whole and of those who only read.
    pub(super) async fn until_health_is(&self, expected: ServingStatus) {
        let mut health = HealthClient::new(self.channel.clone());
        let said = async {
            for service in ["", "userbridge.directory.v1.EventService"] {
                loop {
                    let service = service.to_owned();
                    let found = health.check(HealthCheckRequest { service }).await.unwrap();
                    if found.into_inner().status() == expected {
                        break;
                    }
                    sleep(Duration::from_millis(10)).await;
                }
            }
        };
        timeout(NEVER, said).await.expect("health does not say it");
    }
}
