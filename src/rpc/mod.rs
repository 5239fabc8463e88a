//! gRPC: who calls, decode, ask the service, encode.
//!
//! To add a service: its proto in `proto/` and `build.rs`, its module in `proto`, a file here that implements it for the
//! directory's cell, and a line in [`Services::routes`]. A method that takes more than 8 KiB also needs its line in
//! `gate`.

mod api_keys;
mod auth;
mod credentials;
mod deadline;
mod events;
mod gate;
mod health;
mod idempotency;
mod in_process;
mod keyless;
mod members;
mod observed;
mod organizations;
mod page;
mod proto;
mod sessions;
mod status;
mod teams;
mod time;
mod transfer;
mod users;
mod violations;
mod web;

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use futures_util::Stream;
use tokio::sync::{Mutex, watch};
use tonic::{
    Response, Status,
    server::NamedService as _,
    service::{Routes, RoutesBuilder},
};
use tonic_health::{ServingStatus, pb::health_server::HealthServer, server::HealthReporter};
use tower::util::MapResponseLayer;
use userbridge_gateway::listen::Endless;

use self::in_process::InProcess;
pub(crate) use self::observed::{CallMetrics, Observed};
use self::{
    deadline::Deadline,
    events::Events,
    gate::{Gate, Judged},
    health::Health,
    keyless::Keyless,
    proto::userbridge::{
        admin::v1::{
            api_key_service_server::ApiKeyServiceServer,
            organization_service_server::OrganizationServiceServer,
        },
        directory::v1::{
            credential_service_server::CredentialServiceServer, event_service_server::EventServiceServer,
            member_service_server::MemberServiceServer, session_service_server::SessionServiceServer,
            team_service_server::TeamServiceServer, transfer_service_server::TransferServiceServer,
        },
    },
    transfer::Transfer,
};
pub use self::{
    gate::LARGEST_MESSAGE,
    transfer::{ExportClient, ImportAnswer, ImportClient, TransferClient, TransferClientError},
    web::with_web,
};
use userbridge_gateway::observe::Observer;
use userbridge_wire::users_v1::user_service_server::{UserService, UserServiceServer};

use crate::{
    domain::Condition,
    service::{Area, Directory, Places, ServiceError},
};

/// The largest question about health, in bytes: a service's name.
const MAX_HEALTH_REQUEST: usize = 1024;

/// The largest question to reflection, in bytes: a symbol or a file's name.
const MAX_REFLECTION_REQUEST: usize = 4 * 1024;

/// Most watches of health at once, of which one address has a quarter: clients that balance by health have one for each of
/// their connections.
const HEALTH_WATCHES: usize = 1000;

/// The same for streams of reflection, which people and their tools ask, one question after the other.
const REFLECTIONS: usize = 64;

/// Names of the services whose health is told apart, and whether they change anything. The server as a whole, which has
/// no name, is as well as the least of them.
const SERVICES: [(&str, bool); 10] = [
    (UserServiceServer::<DirectoryCell>::NAME, true),
    (MemberServiceServer::<DirectoryCell>::NAME, true),
    (TeamServiceServer::<DirectoryCell>::NAME, true),
    (EventServiceServer::<Events>::NAME, false),
    (TransferServiceServer::<Transfer>::NAME, true),
    (CredentialServiceServer::<DirectoryCell>::NAME, true),
    (SessionServiceServer::<DirectoryCell>::NAME, true),
    (OrganizationServiceServer::<DirectoryCell>::NAME, true),
    (ApiKeyServiceServer::<DirectoryCell>::NAME, true),
    ("", true),
];

/// All gRPC services. They exist before the directory does: until [`Services::ready`] they answer UNAVAILABLE, and
/// health says `NOT_SERVING`.
#[derive(Clone)]
pub struct Services {
    directory: DirectoryCell,
    health: HealthReporter,
    /// Somebody else is to serve: health says so.
    leaving: watch::Sender<bool>,
    draining: watch::Sender<bool>,
    /// Held while health is reported, so that what is reported last is true.
    reporting: Arc<Mutex<()>>,
}

impl Services {
    /// Services that are not ready.
    pub async fn new() -> Self {
        let services = Self {
            directory: DirectoryCell::default(),
            health: HealthReporter::new(),
            leaving: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            reporting: Arc::default(),
        };
        services.report(None).await;
        services
    }

    /// From now on requests are answered from this directory, and health tells the condition of its storage.
    pub async fn ready(&self, directory: Directory) {
        let mut condition = directory.condition();
        if self.directory.0.set(directory).is_err() {
            return;
        }
        let now = *condition.borrow_and_update();
        self.report(Some(now)).await;
        let services = self.clone();
        let follow = async move {
            while condition.changed().await.is_ok() {
                let now = *condition.borrow_and_update();
                services.report(Some(now)).await;
            }
        };
        let leaving = self.leaving.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = drained(leaving) => {}
                () = follow => {}
            }
        });
    }

    /// Whether who asks for this server may be sent here: it does not stop, and its database can be read and written, which is
    /// tried once a second at most.
    pub async fn is_ready(&self) -> bool {
        match self.directory.0.get() {
            Some(directory) if !*self.leaving.borrow() => {
                directory.condition().borrow().is_writable() && directory.is_ready().await
            }
            _ => false,
        }
    }

    /// Tells whoever asks or watches our health to go elsewhere. All else goes on as before.
    pub async fn leave(&self) {
        self.leaving.send_replace(true);
        self.report(None).await;
    }

    /// The same, and ends streams. Requests are still answered.
    pub async fn drain(&self) {
        self.leave().await;
        self.draining.send_replace(true);
    }

    /// The services that the gateway calls.
    #[must_use]
    pub fn published(&self) -> Routes {
        self.for_gateway().routes().prepare()
    }

    /// `UserService`, which the gateway calls without them.
    pub(crate) fn users(&self, observer: Observer, metrics: CallMetrics) -> Arc<dyn UserService> {
        Arc::new(InProcess::new(self.directory.clone(), observer, metrics))
    }

    fn for_gateway(&self) -> RoutesBuilder {
        let users = UserServiceServer::new(self.directory.clone());
        let members = MemberServiceServer::new(self.directory.clone());
        let teams = TeamServiceServer::new(self.directory.clone());
        let events = EventServiceServer::new(Events::new(self.directory.clone(), self.draining.subscribe()));
        let credentials = CredentialServiceServer::new(self.directory.clone());
        let sessions = SessionServiceServer::new(self.directory.clone());
        let health = HealthServer::new(Health::new(self)).max_decoding_message_size(MAX_HEALTH_REQUEST);
        let health = Keyless::new(health, "Watch", Places::new(HEALTH_WATCHES, HEALTH_WATCHES / 4));
        let mut routes = RoutesBuilder::from(nowhere());
        routes
            .add_service(Deadline::new(health))
            .add_service(self.gated(users, Judged::WithMessage))
            .add_service(self.gated(members, Judged::First(Area::Directory)))
            .add_service(self.gated(teams, Judged::First(Area::Directory)))
            .add_service(self.gated(events, Judged::First(Area::Directory)))
            .add_service(self.gated(credentials, Judged::First(Area::Credentials)))
            .add_service(self.gated(sessions, Judged::First(Area::Tokens)));
        routes
    }

    /// The same, and those of administration.
    fn directory(&self) -> RoutesBuilder {
        let organizations = OrganizationServiceServer::new(self.directory.clone());
        let api_keys = ApiKeyServiceServer::new(self.directory.clone());
        let transfer = Transfer::new(self.directory.clone(), self.draining.subscribe());
        let transfer = TransferServiceServer::new(transfer).max_decoding_message_size(LARGEST_MESSAGE);
        let mut routes = self.for_gateway();
        routes
            .add_service(self.gated(transfer, Judged::Open(Area::Directory)))
            .add_service(self.gated(organizations, Judged::First(Area::Admin)))
            .add_service(self.gated(api_keys, Judged::First(Area::Admin)));
        routes
    }

    fn gated<S>(&self, service: S, judged: Judged) -> Deadline<Gate<S>> {
        Deadline::new(Gate::new(service, self.directory.clone(), judged))
    }

    /// Everything a gRPC listener serves: the services, health, reflection.
    ///
    /// # Errors
    ///
    /// The descriptors that were compiled into this program are not readable.
    pub fn routes(&self) -> Result<Routes, tonic_reflection::server::Error> {
        let details = proto::error_details()?;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_file_descriptor_set(details.clone())
        };
        let v1 = reflection().build_v1()?;
        let v1alpha = reflection().build_v1alpha()?;
        let places = Places::new(REFLECTIONS, REFLECTIONS / 4);
        let v1 = v1.max_decoding_message_size(MAX_REFLECTION_REQUEST);
        let v1alpha = v1alpha.max_decoding_message_size(MAX_REFLECTION_REQUEST);
        Ok(self
            .directory()
            .routes()
            .add_service(Keyless::new(v1, "ServerReflectionInfo", places.clone()))
            .add_service(Keyless::new(v1alpha, "ServerReflectionInfo", places))
            .prepare())
    }

    /// None: nothing is served.
    async fn report(&self, condition: Option<Condition>) {
        let _turn = self.reporting.lock().await;
        for (service, writes) in SERVICES {
            let serves = condition
                .is_some_and(|condition| condition.is_readable() && (condition.is_writable() || !writes));
            let status = if serves {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            self.health.set_service_status(service, status).await;
        }
    }
}

/// Routes without a service: what is called is not there.
fn nowhere() -> Routes {
    let router = Routes::default().into_axum_router();
    router.layer(MapResponseLayer::new(status::complete)).into()
}

/// Waits until the server drains.
async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// An answer that may take longer than requests may.
fn endless<S: Stream<Item = T> + Send + 'static, T>(
    items: S,
    endless: Endless,
) -> Response<Pin<Box<dyn Stream<Item = T> + Send>>> {
    let mut response: Response<Pin<Box<dyn Stream<Item = T> + Send>>> = Response::new(Box::pin(items));
    response.extensions_mut().insert(endless);
    response
}

/// What a method answers.
type Reply<T> = Result<Response<T>, Status>;

/// The directory, once it is there. All services but that of events need nothing else.
#[derive(Clone, Default)]
struct DirectoryCell(Arc<OnceLock<Directory>>);

impl DirectoryCell {
    fn get(&self) -> Result<&Directory, Status> {
        self.0.get().ok_or_else(status::not_ready)
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        status::from_service(&error)
    }
}
