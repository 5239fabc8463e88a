//! Durable deletes: ours, which commits those that wait together, against one transaction each.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Mutex;
use tonic::transport::Channel;

use crate::{
    Result, clients,
    load::{Caller, Phase, closed},
    people::{self, People, Person, person},
    proto::client::user_service_client::UserServiceClient,
    report::Sample,
    servers::Program,
    stands::durable,
};

/// Callers at the same time.
pub(crate) const CALLERS: usize = 64;

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

    fn take(&self) -> Option<Person> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.people.members).then(|| person(number * STRIDE % self.people.members))
    }
}

/// Over gRPC to the server.
pub(crate) async fn ours(server: &Program, victims: &Victims, phase: Phase) -> Result<Sample> {
    let callers = clients::stubs(server.grpc_addr()?, CALLERS)
        .await?
        .into_iter()
        .map(|client| Remote {
            client,
            victims: victims.clone(),
        })
        .collect();
    closed(callers, phase, Some(server)).await
}

struct Remote {
    client: UserServiceClient<Channel>,
    victims: Victims,
}

impl Caller for Remote {
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

/// In this process, without any network: a transaction for each, on one connection that they take in turn.
pub(crate) async fn one_by_one(database: &Path, victims: &Victims, phase: Phase) -> Result<Sample> {
    let connection = SqliteConnection::connect_with(&durable(database)).await?;
    let connection = Arc::new(Mutex::new(connection));
    let callers = (0..CALLERS)
        .map(|_| Local {
            connection: connection.clone(),
            victims: victims.clone(),
        })
        .collect();
    closed(callers, phase, None).await
}

struct Local {
    connection: Arc<Mutex<SqliteConnection>>,
    victims: Victims,
}

impl Caller for Local {
    async fn call(&mut self) -> Result<bool> {
        let Some(victim) = self.victims.take() else {
            return Ok(false);
        };
        let mut connection = self.connection.lock().await;
        delete(&mut connection, &victim).await?;
        Ok(true)
    }
}

async fn delete(connection: &mut SqliteConnection, victim: &Person) -> Result<()> {
    let organization = people::organization_id(victim.organization);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let member: Vec<u8> = sqlx::query_scalar(
        "UPDATE members SET revoked_at = $3, updated_at = $3, version = version + 1
         WHERE organization_id = $1 AND user_id = $2 AND revoked_at IS NULL
         RETURNING id",
    )
    .bind(&organization.as_bytes()[..])
    .bind(&victim.user_id.as_bytes()[..])
    .bind(victim.created_at.cast_signed() + 1)
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
         SELECT $1, coalesce(max(sequence), 0) + 1, 'member.revoked', $2, $3, 'operator', $4, 'revoked_at'
         FROM events WHERE organization_id = $1",
    )
    .bind(&organization.as_bytes()[..])
    .bind(&member)
    .bind(&victim.user_id.as_bytes()[..])
    .bind(victim.created_at.cast_signed() + 1)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
