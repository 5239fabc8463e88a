//! What a look-up found, as it comes from SQLite: JSON.

use std::borrow::Cow;

use serde::Deserialize;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    error::engine,
    members::MemberRow,
    row::{owner_of, time},
};
use crate::{
    domain::{ApiKey, ApiKeyId, Timestamp},
    storage::{Found, StoreError},
};

/// The slot of a `lookup`, its key `k` and its member `m` if there is one: a [`FoundRow`].
pub(super) const FOUND: &str = "json_array(
    lookup.slot, hex(k.id), hex(k.organization_id), k.scopes, k.hint, k.created_at, k.expires_at, k.revoked_at,
    k.last_used_at,
    CASE WHEN m.row IS NOT NULL THEN json_array(
        hex(m.id), hex(m.user_id), m.email, m.name, m.avatar_url, m.portal_role, m.company_name, m.customer_status,
        m.created_at
    ) END
)";

/// A row of [`FOUND`].
#[derive(Deserialize)]
pub(super) struct FoundRow<'a> {
    pub(super) slot: usize,
    id: Uuid,
    organization_id: Uuid,
    scopes: &'a str,
    #[serde(borrow)]
    hint: Cow<'a, str>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    member: Option<MemberRow>,
}

impl<'a> FoundRow<'a> {
    /// All rows of the one text that an answer consists of.
    pub(super) fn all(answer: &'a SqliteRow) -> Result<Vec<Self>, StoreError> {
        let text = answer.try_get(0).map_err(engine)?;
        serde_json::from_str(text).map_err(|_| StoreError::Corrupt("look-up"))
    }
}

impl TryFrom<FoundRow<'_>> for Found {
    type Error = StoreError;

    fn try_from(row: FoundRow<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            key: Some(ApiKey {
                id: ApiKeyId::from_uuid(row.id),
                organization_id: owner_of(row.organization_id.as_bytes())?,
                scopes: row.scopes.parse().map_err(|_| StoreError::Corrupt("scope"))?,
                hint: row.hint.into_owned(),
                created_at: Timestamp::from_millis(row.created_at),
                expires_at: time(row.expires_at),
                revoked_at: time(row.revoked_at),
                last_used_at: time(row.last_used_at),
            }),
            member: row.member.map(TryInto::try_into).transpose()?,
        })
    }
}
