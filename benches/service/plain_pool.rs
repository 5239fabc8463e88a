//! The plain way: each read takes a connection from a pool and asks one statement; each delete is a transaction on the one
//! connection that writes.

use sha2::{Digest as _, Sha256};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status, metadata::MetadataMap};
use userbridge::domain::{Clock as _, SystemClock};
use uuid::Uuid;

use crate::{
    Result,
    plain_row::Row,
    proto::server::{
        DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse,
        retrieve_request::By, user_service_server::UserService,
    },
};

/// As many as ours has for short reads.
const CONNECTIONS: u32 = 4;

/// The look-up of ours, for one request.
const LOOKUP: &str = "
    SELECT k.scopes, k.expires_at, k.revoked_at, m.id, m.user_id, m.email, m.name, m.avatar_url, m.portal_role,
           m.company_name, m.customer_status, m.created_at
    FROM api_keys AS k
    LEFT JOIN members AS m ON m.row = CASE
        WHEN $2 IS NOT NULL THEN (
            SELECT row FROM members
            WHERE organization_id = k.organization_id AND user_id = $2 AND revoked_at IS NULL
        )
        WHEN $3 IS NOT NULL THEN (
            SELECT row FROM members
            WHERE organization_id = k.organization_id AND email = $3 AND revoked_at IS NULL
        )
    END
    WHERE k.digest = $1";

const KEY: &str = "
    SELECT organization_id FROM api_keys
    WHERE digest = $1 AND instr(scopes, 'public_api') AND revoked_at IS NULL AND expires_at IS NULL";

pub(crate) const REVOKE: &str = "
    UPDATE members SET revoked_at = $3, updated_at = $3, version = version + 1
    WHERE organization_id = $1 AND user_id = $2 AND revoked_at IS NULL
    RETURNING id";

/// Three statements.
pub(crate) const APPEND: &str = "
    UPDATE member_counts SET live = live - 1 WHERE organization_id = $1 AND role = '';
    UPDATE organization_counters SET events = events + 1 WHERE organization_id = $1;
    INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
    SELECT $1, events, 'member.revoked', $2, $3, 'operator', $4, 'revoked_at'
    FROM organization_counters WHERE organization_id = $1";

pub(crate) struct PlainPool {
    pool: SqlitePool,
    writer: Mutex<SqliteConnection>,
}

impl PlainPool {
    pub(crate) async fn open(options: &SqliteConnectOptions) -> Result<Self> {
        let pool = SqlitePoolOptions::new()
            .min_connections(CONNECTIONS)
            .max_connections(CONNECTIONS)
            // What is fastest for a pool: a connection is taken as it is.
            .test_before_acquire(false)
            .connect_with(options.clone().read_only(true))
            .await?;
        let writer = Mutex::new(options.connect().await?);
        Ok(Self { pool, writer })
    }

    /// False: there was no such link.
    async fn revoke(&self, organization: Vec<u8>, user: Uuid) -> std::result::Result<bool, sqlx::Error> {
        let at = SystemClock.now().as_millis();
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let member: Option<Vec<u8>> = sqlx::query_scalar(REVOKE)
            .bind(&organization)
            .bind(&user.as_bytes()[..])
            .bind(at)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(member) = member else {
            return Ok(false);
        };
        sqlx::query(APPEND)
            .bind(organization)
            .bind(member)
            .bind(&user.as_bytes()[..])
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

#[tonic::async_trait]
impl UserService for PlainPool {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> std::result::Result<Response<RetrieveResponse>, Status> {
        let digest = digest(request.metadata())?;
        let (user_id, email) = match request.into_inner().by {
            Some(By::UserId(text)) => (Some(user_id(&text)?), None),
            Some(By::Email(email)) => (None, Some(email)),
            None => return Err(Status::invalid_argument("by")),
        };
        let found = sqlx::query_as::<_, Row>(LOOKUP)
            .bind(digest)
            .bind(user_id.as_ref().map(|id| &id.as_bytes()[..]))
            .bind(email)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failed(&error))?;
        Row::answer(found)
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> std::result::Result<Response<DeleteResponse>, Status> {
        let digest = digest(request.metadata())?;
        let user_id = user_id(&request.into_inner().user_id)?;
        let organization = sqlx::query_scalar(KEY)
            .bind(digest)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failed(&error))?
            .ok_or_else(|| Status::unauthenticated("invalid key"))?;
        if self
            .revoke(organization, user_id)
            .await
            .map_err(|error| failed(&error))?
        {
            Ok(Response::new(DeleteResponse {}))
        } else {
            Err(Status::not_found("user not found"))
        }
    }

    async fn ping(&self, _: Request<PingRequest>) -> std::result::Result<Response<PingResponse>, Status> {
        Err(Status::unimplemented("ping"))
    }
}

pub(crate) fn digest(metadata: &MetadataMap) -> std::result::Result<Vec<u8>, Status> {
    metadata
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .map(|key| Sha256::digest(key).to_vec())
        .ok_or_else(|| Status::unauthenticated("no key"))
}

pub(crate) fn user_id(text: &str) -> std::result::Result<Uuid, Status> {
    Uuid::parse_str(text).map_err(|_| Status::invalid_argument("user_id"))
}

/// These are errors of the benchmark, so whoever reads them may see all.
pub(crate) fn failed(error: &sqlx::Error) -> Status {
    Status::internal(error.to_string())
}
