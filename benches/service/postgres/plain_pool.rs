//! The plain way on PostgreSQL: each read takes a connection from a pool and asks one statement; each delete is a transaction
//! of its own.

use std::str::FromStr as _;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tonic::{Request, Response, Status};
use userbridge::domain::{Clock as _, SystemClock};
use uuid::Uuid;

use crate::{
    Result,
    plain_pool::{digest, failed, user_id},
    plain_row::Row,
    proto::server::{
        DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse,
        retrieve_request::By, user_service_server::UserService,
    },
};

/// As many as sqlx's pool has if it is not told otherwise.
const CONNECTIONS: u32 = 10;

/// The look-up of ours, for one request: by user or by address.
const BY_USER: &str = "
    SELECT k.scopes, k.expires_at, k.revoked_at, m.id, m.user_id, m.email, m.name, m.avatar_url, m.portal_role,
           m.company_name, m.customer_status, m.created_at
    FROM api_keys AS k
    LEFT JOIN members AS m ON m.organization_id = k.organization_id AND m.user_id = $2 AND m.revoked_at IS NULL
    WHERE k.digest = $1";
const BY_EMAIL: &str = "
    SELECT k.scopes, k.expires_at, k.revoked_at, m.id, m.user_id, m.email, m.name, m.avatar_url, m.portal_role,
           m.company_name, m.customer_status, m.created_at
    FROM api_keys AS k
    LEFT JOIN members AS m ON m.organization_id = k.organization_id AND m.email = $2 AND m.revoked_at IS NULL
    WHERE k.digest = $1";

const KEY: &str = "
    SELECT organization_id FROM api_keys
    WHERE digest = $1 AND strpos(scopes, 'public_api') > 0 AND revoked_at IS NULL AND expires_at IS NULL";

const LOCK: &str = "SELECT FROM organization_counters WHERE organization_id = $1 FOR UPDATE";

const REVOKE: &str = "
    UPDATE members SET revoked_at = $3, updated_at = $3, version = version + 1
    WHERE organization_id = $1 AND user_id = $2 AND revoked_at IS NULL
    RETURNING id, number, email";

const COUNT: &str = "UPDATE member_counts SET live = live - 1 WHERE organization_id = $1 AND role = ''";

const NEXT_EVENT: &str =
    "UPDATE organization_counters SET events = events + 1 WHERE organization_id = $1 RETURNING events";

const APPEND: &str = "
    INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
    VALUES ($1, $2, 'member.revoked', $3, $4, 'operator', $5, 'revoked_at')";

const UNLINK: &str = "DELETE FROM links WHERE user_id = $1 AND organization_id = $2";

const GIVE_UP: &str = "
    UPDATE addresses SET until = $4 WHERE email = $1 AND organization_id = $2 AND member = $3 AND version = 0";

pub(crate) struct PostgresPool(PgPool);

impl PostgresPool {
    /// The password is in `PGPASSWORD`.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .min_connections(CONNECTIONS)
            .max_connections(CONNECTIONS)
            // What is fastest for a pool: a connection is taken as it is.
            .test_before_acquire(false)
            .connect_with(PgConnectOptions::from_str(url)?)
            .await?;
        Ok(Self(pool))
    }

    /// False: there was no such link.
    async fn revoke(&self, organization: Uuid, user: Uuid) -> std::result::Result<bool, sqlx::Error> {
        let at = SystemClock.now().as_millis();
        let mut transaction = self.0.begin().await?;
        sqlx::query(LOCK)
            .bind(organization)
            .execute(&mut *transaction)
            .await?;
        let revoked: Option<(Uuid, i64, Option<String>)> = sqlx::query_as(REVOKE)
            .bind(organization)
            .bind(user)
            .bind(at)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some((member, number, email)) = revoked else {
            return Ok(false);
        };
        sqlx::query(COUNT)
            .bind(organization)
            .execute(&mut *transaction)
            .await?;
        let sequence: i64 = sqlx::query_scalar(NEXT_EVENT)
            .bind(organization)
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query(APPEND)
            .bind(organization)
            .bind(sequence)
            .bind(member)
            .bind(user)
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(UNLINK)
            .bind(user)
            .bind(organization)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(GIVE_UP)
            .bind(email)
            .bind(organization)
            .bind(number)
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

#[tonic::async_trait]
impl UserService for PostgresPool {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> std::result::Result<Response<RetrieveResponse>, Status> {
        let digest = digest(request.metadata())?;
        let query = match request.into_inner().by {
            Some(By::UserId(text)) => sqlx::query_as::<_, Row>(BY_USER)
                .bind(digest)
                .bind(user_id(&text)?),
            Some(By::Email(email)) => sqlx::query_as::<_, Row>(BY_EMAIL).bind(digest).bind(email),
            None => return Err(Status::invalid_argument("by")),
        };
        let found = query
            .fetch_optional(&self.0)
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
            .fetch_optional(&self.0)
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
