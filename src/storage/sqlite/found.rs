//! What a look-up found, as it comes from SQLite: JSON.

use std::borrow::Cow;

use serde::Deserialize;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    error::engine,
    row::{owner_of, text, time},
};
use crate::{
    domain::{
        ApiKey, ApiKeyId, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, Member, MemberId,
        PortalRole, Profile, Timestamp, UserId,
    },
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

#[derive(Deserialize)]
struct MemberRow {
    id: Uuid,
    user_id: Uuid,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
    portal_role: String,
    company_name: Option<String>,
    customer_status: Option<String>,
    created_at: i64,
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

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: MemberId::from_uuid(row.id),
            user_id: UserId::from_uuid(row.user_id),
            profile: Profile {
                email: text(row.email, "email", Email::new)?,
                name: text(row.name, "name", DisplayName::new)?,
                avatar_url: text(row.avatar_url, "avatar URL", AvatarUrl::new)?,
                portal_role: PortalRole::new(row.portal_role)
                    .map_err(|_| StoreError::Corrupt("portal role"))?,
                company_name: text(row.company_name, "company name", CompanyName::new)?,
                customer_status: text(row.customer_status, "customer status", CustomerStatus::new)?,
            },
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}
