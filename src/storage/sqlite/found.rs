//! What a look-up found, as it comes from SQLite: JSON.

use std::borrow::Cow;

use serde::Deserialize;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{columns::Columns as _, error::store_error};
use crate::{
    domain::{ApiKey, ApiKeyId, OrganizationId, Profile, PublicMember, Timestamp},
    storage::{KeyAndMember, Result, StoreError, values::organization_of},
};

/// The slot of a `lookup`, its key `k` and its member `m` if there is one: a [`FoundRow`].
pub(super) fn found() -> String {
    format!(
        "json_array(
             lookup.slot, hex(k.id), hex(k.organization_id), k.scopes, k.hint, k.created_at, k.expires_at,
             k.superseded_at, k.revoked_at, k.last_used_at, CASE WHEN m.row IS NOT NULL THEN {} END
         )",
        public_member()
    )
}

/// A [`PublicMember`](crate::domain::PublicMember) of `members AS m` as a JSON array of its fields.
fn public_member() -> String {
    let profile: Vec<_> = Profile::NAMES
        .iter()
        .map(|column| format!("m.{column}"))
        .collect();
    format!(
        "json_array(hex(m.id), hex(m.user_id), json_array({}), m.created_at)",
        profile.join(", ")
    )
}

/// A row of [`found`].
#[derive(Deserialize)]
pub(super) struct FoundRow<'a> {
    pub(super) slot: usize,
    id: ApiKeyId,
    organization_id: OrganizationId,
    scopes: &'a str,
    #[serde(borrow)]
    hint: Cow<'a, str>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    superseded_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    member: Option<PublicMember>,
}

impl<'a> FoundRow<'a> {
    /// All rows of the one text that an answer consists of.
    pub(super) fn all(answer: &'a SqliteRow) -> Result<Vec<Self>> {
        let text = answer.try_get(0).map_err(store_error)?;
        serde_json::from_str(text).map_err(|_| StoreError::Corrupt("look-up".to_owned()))
    }
}

impl TryFrom<FoundRow<'_>> for KeyAndMember {
    type Error = StoreError;

    fn try_from(row: FoundRow<'_>) -> Result<Self> {
        let scopes = row.scopes.parse();
        Ok(Self {
            key: Some(ApiKey {
                id: row.id,
                organization_id: organization_of(row.organization_id),
                scopes: scopes.map_err(|_| StoreError::Corrupt("scopes".to_owned()))?,
                hint: row.hint.into_owned(),
                created_at: row.created_at,
                expires_at: row.expires_at,
                superseded_at: row.superseded_at,
                revoked_at: row.revoked_at,
                last_used_at: row.last_used_at,
            }),
            member: row.member,
        })
    }
}
