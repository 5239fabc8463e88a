//! The plain way: each request takes a connection from a pool and asks one statement.

use sha2::{Digest as _, Sha256};
use sqlx::{
    FromRow, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    Result,
    proto::server::{
        DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse, User,
        retrieve_request::By, user_service_server::UserService,
    },
};

/// Connections in the pool.
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

/// The server.
pub(crate) struct PlainPool {
    pool: SqlitePool,
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
        Ok(Self { pool })
    }
}

#[derive(FromRow)]
struct Row {
    scopes: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    id: Option<Vec<u8>>,
    user_id: Option<Vec<u8>>,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
    portal_role: Option<String>,
    company_name: Option<String>,
    customer_status: Option<String>,
    created_at: Option<i64>,
}

#[tonic::async_trait]
impl UserService for PlainPool {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> std::result::Result<Response<RetrieveResponse>, Status> {
        let digest = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .map(Sha256::digest)
            .ok_or_else(|| Status::unauthenticated("no key"))?;
        let (user_id, email) = match request.into_inner().by {
            Some(By::UserId(text)) => match Uuid::parse_str(&text) {
                Ok(id) => (Some(id), None),
                Err(_) => return Err(Status::invalid_argument("user_id")),
            },
            Some(By::Email(email)) => (None, Some(email)),
            None => return Err(Status::invalid_argument("by")),
        };
        let row = sqlx::query_as::<_, Row>(LOOKUP)
            .bind(&digest[..])
            .bind(user_id.as_ref().map(|id| &id.as_bytes()[..]))
            .bind(email)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Status::internal(error.to_string()))?
            .filter(|row| row.scopes.contains("public_api"))
            .filter(|row| row.revoked_at.is_none() && row.expires_at.is_none())
            .ok_or_else(|| Status::unauthenticated("invalid key"))?;
        let user = user(row).ok_or_else(|| Status::not_found("user not found"))?;
        Ok(Response::new(RetrieveResponse { user: Some(user) }))
    }

    async fn delete(
        &self,
        _: Request<DeleteRequest>,
    ) -> std::result::Result<Response<DeleteResponse>, Status> {
        Err(Status::unimplemented("delete"))
    }

    async fn ping(&self, _: Request<PingRequest>) -> std::result::Result<Response<PingResponse>, Status> {
        Err(Status::unimplemented("ping"))
    }
}

fn user(row: Row) -> Option<User> {
    let uuid = |bytes: Vec<u8>| Some(Uuid::from_slice(&bytes).ok()?.to_string());
    let millis = row.created_at?;
    Some(User {
        id: uuid(row.id?)?,
        user_id: uuid(row.user_id?)?,
        email: row.email,
        name: row.name,
        avatar_url: row.avatar_url,
        portal_role: row.portal_role?,
        company_name: row.company_name,
        customer_status: row.customer_status,
        created_at: Some(prost_types::Timestamp {
            seconds: millis.div_euclid(1000),
            nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).ok()?,
        }),
    })
}
