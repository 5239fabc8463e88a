//! What the plain ways read for one request: a key, and its user if it was found.

use sqlx::{FromRow, Row as _, postgres::PgRow, sqlite::SqliteRow};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::proto::server::{RetrieveResponse, User};

pub(crate) struct Row {
    scopes: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    id: Option<Uuid>,
    user_id: Option<Uuid>,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
    portal_role: Option<String>,
    company_name: Option<String>,
    customer_status: Option<String>,
    created_at: Option<i64>,
}

macro_rules! from_row {
    ($($row:ty),+) => {$(
        impl FromRow<'_, $row> for Row {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    scopes: row.try_get("scopes")?,
                    expires_at: row.try_get("expires_at")?,
                    revoked_at: row.try_get("revoked_at")?,
                    id: row.try_get("id")?,
                    user_id: row.try_get("user_id")?,
                    email: row.try_get("email")?,
                    name: row.try_get("name")?,
                    avatar_url: row.try_get("avatar_url")?,
                    portal_role: row.try_get("portal_role")?,
                    company_name: row.try_get("company_name")?,
                    customer_status: row.try_get("customer_status")?,
                    created_at: row.try_get("created_at")?,
                })
            }
        }
    )+};
}
from_row!(SqliteRow, PgRow);

impl Row {
    /// None: there is no such key.
    pub(crate) fn answer(found: Option<Self>) -> Result<Response<RetrieveResponse>, Status> {
        let row = found
            .filter(|row| row.scopes.contains("public_api"))
            .filter(|row| row.revoked_at.is_none() && row.expires_at.is_none())
            .ok_or_else(|| Status::unauthenticated("invalid key"))?;
        let user = row.user().ok_or_else(|| Status::not_found("user not found"))?;
        Ok(Response::new(RetrieveResponse { user: Some(user) }))
    }

    fn user(self) -> Option<User> {
        let millis = self.created_at?;
        Some(User {
            id: self.id?.to_string(),
            user_id: self.user_id?.to_string(),
            email: self.email,
            name: self.name,
            avatar_url: self.avatar_url,
            portal_role: self.portal_role?,
            company_name: self.company_name,
            customer_status: self.customer_status,
            created_at: Some(prost_types::Timestamp {
                seconds: millis.div_euclid(1000),
                nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).ok()?,
            }),
        })
    }
}
