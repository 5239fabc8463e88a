//! Rows to domain values, by the names of their columns.

use sqlx::{
    Encode, FromRow, Row as _, Type,
    query::{Query, QueryAs},
};

pub(super) use super::Row;
use super::{Arguments, Db};
use crate::{
    domain::{ApiKey, Branding, Event, KeptResponse, Mail, Organization, Team},
    storage::values::organization_of,
};

/// A statement whose parameters are being bound.
pub(super) type Statement<'q> = Query<'q, Db, Arguments>;

/// A query for rows.
pub(super) type Select<'q, T> = QueryAs<'q, Db, T, Arguments>;

/// What takes values one after the other: the parameters of a statement, or a row.
pub(super) trait Binds<'q>: Sized {
    /// Takes the next value.
    fn bind<T: 'q + Encode<'q, Db> + Type<Db>>(self, value: T) -> Self;
}

impl<'q> Binds<'q> for Statement<'q> {
    fn bind<T: 'q + Encode<'q, Db> + Type<Db>>(self, value: T) -> Self {
        self.bind(value)
    }
}

/// What is read from a row.
pub(super) trait Stored: for<'r> FromRow<'r, Row> + Send + Unpin {}

impl<T: for<'r> FromRow<'r, Row> + Send + Unpin> Stored for T {}

/// A struct whose fields are columns of the same names.
pub(super) trait Columns {
    /// In the order in which [`Self::bind`] binds them.
    const NAMES: &'static [&'static str];

    /// Binds a value for each column.
    fn bind<'q, V: Binds<'q>>(&self, values: V) -> V;
}

/// Says that fields of a struct are columns: all of its fields. [`Columns`], [`Row`] and [`Binds`] are to be
/// imported beside it.
macro_rules! columns {
    ($type:ident { $($column:ident),+ $(,)? }) => {
        impl Columns for $type {
            const NAMES: &'static [&'static str] = &[$(stringify!($column)),+];

            fn bind<'q, V: Binds<'q>>(&self, values: V) -> V {
                values$(.bind(self.$column.clone()))+
            }
        }

        crate::storage::from_row::from_row!(Row => $type { $($column),+ });
    };
}
pub(super) use columns;

columns!(Team {
    number,
    slug,
    name,
    created_at
});

columns!(KeptResponse {
    request,
    response,
    erased,
    at
});

/// The columns of `organizations AS o` that an [`Organization`] is read from.
pub(super) const ORGANIZATION: &str = "o.id, o.slug, o.name, o.default_role, o.retention_days, o.created_at, o.deleted_at, \
     o.brand_name, o.brand_logo_url, o.brand_sender, o.brand_locale";

impl FromRow<'_, Row> for Organization {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            slug: row.try_get("slug")?,
            name: row.try_get("name")?,
            default_role: row.try_get("default_role")?,
            retention_days: (row.try_get::<Option<i64>, _>("retention_days")?)
                .map(u16::try_from)
                .transpose()
                .map_err(|error| sqlx::Error::ColumnDecode {
                    index: "retention_days".to_owned(),
                    source: error.into(),
                })?,
            branding: Branding {
                name: row.try_get("brand_name")?,
                logo_url: row.try_get("brand_logo_url")?,
                sender: row.try_get("brand_sender")?,
                locale: row.try_get("brand_locale")?,
            },
            created_at: row.try_get("created_at")?,
            deleted_at: row.try_get("deleted_at")?,
        })
    }
}

columns!(Mail {
    id,
    member,
    kind,
    created_at,
    due_at,
    attempts,
    sent_at,
    failed_at,
    error
});

/// The columns of `api_keys AS k` that an [`ApiKey`] is read from.
pub(super) const API_KEY: &str = "k.id, k.organization_id, k.scopes, k.hint, k.created_at, k.expires_at, \
     k.superseded_at, k.revoked_at, k.last_used_at";

impl FromRow<'_, Row> for ApiKey {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            organization_id: organization_of(row.try_get("organization_id")?),
            scopes: row.try_get("scopes")?,
            hint: row.try_get("hint")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            superseded_at: row.try_get("superseded_at")?,
            revoked_at: row.try_get("revoked_at")?,
            last_used_at: row.try_get("last_used_at")?,
        })
    }
}

impl FromRow<'_, Row> for Event {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let fields: String = row.try_get("fields")?;
        Ok(Self {
            sequence: row.try_get("sequence")?,
            organization_id: organization_of(row.try_get("organization_id")?),
            kind: row.try_get("kind")?,
            member_id: row.try_get("member_id")?,
            user_id: row.try_get("user_id")?,
            api_key_id: row.try_get("api_key_id")?,
            team: row.try_get("team")?,
            actor: row.try_get("actor")?,
            client: row.try_get("client")?,
            source: row.try_get("source")?,
            at: row.try_get("at")?,
            fields: fields.split_whitespace().map(str::to_owned).collect(),
        })
    }
}
