//! Durable deletes, over gRPC and over JSON.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::StatusCode;
use tonic::transport::Channel;

use crate::{
    Result,
    clients::{self, JsonConnection},
    load::{Caller, Phase, closed},
    people::{People, Person, person},
    proto::{self, client::user_service_client::UserServiceClient},
    report::Sample,
    servers::Program,
    workloads::DELETERS,
};

/// Coprime to every size that is a power of ten, so that multiples of it reach every member once.
const STRIDE: u64 = 7_368_787;

/// Members that nobody has deleted yet, each handed out once.
#[derive(Clone)]
pub(crate) struct Victims {
    people: People,
    next: Arc<AtomicU64>,
}

impl Victims {
    pub(crate) fn new(people: People) -> Self {
        Self {
            people,
            next: Arc::default(),
        }
    }

    /// None: all are.
    pub(crate) fn take(&self) -> Option<Person> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.people.members).then(|| person(number * STRIDE % self.people.members))
    }
}

/// Over gRPC.
pub(crate) async fn run(server: &Program, victims: &Victims, phase: Phase) -> Result<Sample> {
    let callers = clients::stubs(server.grpc_addr()?, DELETERS)
        .await?
        .into_iter()
        .map(|client| Deleter {
            client,
            victims: victims.clone(),
        })
        .collect();
    closed(callers, phase, Some(server)).await
}

struct Deleter {
    client: UserServiceClient<Channel>,
    victims: Victims,
}

impl Caller for Deleter {
    async fn call(&mut self) -> Result<bool> {
        let Some(victim) = self.victims.take() else {
            return Ok(false);
        };
        let key = self.victims.people.key(victim.organization);
        self.client
            .delete(clients::deletion(victim.user_id, key)?)
            .await?;
        Ok(true)
    }
}

/// Over JSON.
pub(crate) async fn json(server: &Program, victims: &Victims, phase: Phase) -> Result<Sample> {
    let mut callers = Vec::with_capacity(DELETERS);
    for _ in 0..DELETERS {
        callers.push(JsonDeleter {
            connection: JsonConnection::open(server.http_addr()?).await?,
            victims: victims.clone(),
        });
    }
    closed(callers, phase, Some(server)).await
}

struct JsonDeleter {
    connection: JsonConnection,
    victims: Victims,
}

impl Caller for JsonDeleter {
    async fn call(&mut self) -> Result<bool> {
        let Some(victim) = self.victims.take() else {
            return Ok(false);
        };
        let key = self.victims.people.key(victim.organization);
        let body = format!(r#"{{"api_key":"{key}","user_id":"{}"}}"#, victim.user_id);
        let (status, body) = self.connection.post(proto::DELETE, body).await?;
        if status == StatusCode::OK {
            Ok(true)
        } else {
            Err(clients::wrong(status, &body))
        }
    }
}
