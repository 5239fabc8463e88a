//! The statements of look-ups, on a connection whose statements run where they are called: by rusqlite, because sqlx gives each
//! of its connections a thread, and to wake that and be woken by it costs several times what a look-up costs.

use std::path::Path;

use rusqlite::{
    CachedStatement, Connection, OpenFlags, Row, params,
    types::{FromSqlError, ToSqlOutput, ValueRef},
};
use uuid::Uuid;

use crate::{
    domain::{
        ApiKey, ApiKeyId, InvalidText, KeyDigest, MemberId, MemberLookup, OrganizationId, Profile,
        PublicMember, Timestamp, UserId,
    },
    storage::{KeyAndMember, values::organization_of},
};

/// How much of the file a connection keeps in memory, once it has read it, in KiB: by reckoning, the inner pages of the indexes of
/// ten million members.
const CACHE: usize = 32 * 1024;

/// How much all of them keep, as long as that leaves each the least that no difference was measured with.
const CACHES: usize = 64 * 1024;
const LEAST_CACHE: usize = 8 * 1024;

/// What is read of a key and of its member, in the order of [`found`].
macro_rules! columns {
    () => {
        "k.id, k.organization_id, k.scopes, k.hint, k.created_at, k.expires_at, k.superseded_at, k.revoked_at, \
         k.last_used_at"
    };
    (member) => {
        "m.id, m.user_id, m.created_at, m.email, m.name, m.avatar_url, m.portal_role, m.company_name, \
         m.customer_status, m.locale"
    };
}

/// A member is a live end user. A key of a deleted organization is revoked, so this need not look whether that is live.
macro_rules! with_member {
    ($column:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", ",
            columns!(member),
            " FROM api_keys AS k LEFT JOIN members AS m ON m.organization_ordinal = k.organization_ordinal AND m.",
            $column,
            " = ?2 AND m.superseded_number = 0 AND m.organization_id = k.organization_id \
             AND m.revoked_at IS NULL AND m.portal_role IS NOT NULL WHERE k.digest = ?1"
        )
    };
}

const KEY: &str = concat!("SELECT ", columns!(), " FROM api_keys AS k WHERE k.digest = ?1");
const BY_USER_ID: &str = with_member!("user_id");
const BY_EMAIL: &str = with_member!("sort_email");

/// How many columns a key has, and where those of its member begin.
const MEMBER: usize = 9;

/// A connection for look-ups.
pub(super) struct Statements(Connection);

impl Statements {
    /// Opens the file, which is there, as one of so many that are used.
    pub(super) fn open(path: &Path, connections: usize) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // Who waits for another's lock does it where others can go on.
        connection.busy_timeout(std::time::Duration::ZERO)?;
        let cache = (CACHES / connections.max(1)).clamp(LEAST_CACHE, CACHE);
        connection.execute_batch(&format!("PRAGMA cache_size = -{cache}"))?;
        Ok(Self(connection))
    }

    /// All look-ups from here to [`Self::end`] are of the same moment, which is cheaper for several.
    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        // Otherwise it has begun, and failed since.
        if !self.0.is_autocommit() {
            return Ok(());
        }
        self.0.prepare_cached("BEGIN")?.execute([]).map(|_| ())
    }

    pub(super) fn end(&self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(|_| ())
    }

    /// For some look-ups, one after the other.
    pub(super) const fn batch(&self) -> Batch<'_> {
        Batch {
            connection: &self.0,
            key: None,
            by_user_id: None,
            by_email: None,
        }
    }

    /// Whether look-ups can be answered: asks for a key that nobody has.
    pub(super) fn probe(&self) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(KEY)?;
        statement.exists(params![[].as_slice()]).map(|_| ())
    }
}

/// The statements of some look-ups. Each is taken from the connection's cache once.
pub(super) struct Batch<'c> {
    connection: &'c Connection,
    key: Option<CachedStatement<'c>>,
    by_user_id: Option<CachedStatement<'c>>,
    by_email: Option<CachedStatement<'c>>,
}

impl Batch<'_> {
    /// The key with the digest and, in its organization, the live end user.
    pub(super) fn find(
        &mut self,
        digest: &KeyDigest,
        member: Option<&MemberLookup>,
    ) -> rusqlite::Result<KeyAndMember> {
        let key = digest.as_bytes().as_slice();
        let (statement, sql, by) = match member {
            None => (&mut self.key, KEY, None),
            Some(MemberLookup::UserId(id)) => {
                let by = ValueRef::Blob(id.as_uuid().as_bytes());
                (&mut self.by_user_id, BY_USER_ID, Some(by))
            }
            Some(MemberLookup::Email(email)) => {
                let by = ValueRef::Text(email.as_bytes());
                (&mut self.by_email, BY_EMAIL, Some(by))
            }
        };
        let statement = match statement {
            Some(statement) => statement,
            None => statement.insert(self.connection.prepare_cached(sql)?),
        };
        let mut rows = match by {
            None => statement.query(params![key])?,
            Some(by) => statement.query(params![key, ToSqlOutput::Borrowed(by)])?,
        };
        match rows.next()? {
            Some(row) => found(row, member.is_some()),
            None => Ok(KeyAndMember::default()),
        }
    }
}

fn found(row: &Row<'_>, with_member: bool) -> rusqlite::Result<KeyAndMember> {
    let key = ApiKey {
        id: ApiKeyId::from_uuid(uuid(row, 0)?),
        organization_id: organization_of(OrganizationId::from_uuid(uuid(row, 1)?)),
        scopes: text(row, 2)?.parse().map_err(unreadable)?,
        hint: text(row, 3)?.to_owned(),
        created_at: Timestamp::from_millis(row.get(4)?),
        expires_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        superseded_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        revoked_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        last_used_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
    };
    let member = if with_member && row.get_ref(MEMBER)? != ValueRef::Null {
        Some(PublicMember {
            id: MemberId::from_uuid(uuid(row, MEMBER)?),
            user_id: UserId::from_uuid(uuid(row, MEMBER + 1)?),
            created_at: Timestamp::from_millis(row.get(MEMBER + 2)?),
            profile: Profile {
                email: optional(row, MEMBER + 3)?,
                name: optional(row, MEMBER + 4)?,
                avatar_url: optional(row, MEMBER + 5)?,
                portal_role: optional(row, MEMBER + 6)?,
                company_name: optional(row, MEMBER + 7)?,
                customer_status: optional(row, MEMBER + 8)?,
                locale: optional(row, MEMBER + 9)?,
            },
        })
    } else {
        None
    };
    Ok(KeyAndMember {
        key: Some(key),
        member,
    })
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Uuid::from_slice(row.get_ref(column)?.as_blob()?).map_err(unreadable)
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn optional<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: TryFrom<String, Error = InvalidText>,
{
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| T::try_from(text.to_owned()))
        .transpose()
        .map_err(unreadable)
}

/// A column has what was never written there.
fn unreadable<E>(_: E) -> rusqlite::Error {
    FromSqlError::InvalidType.into()
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Null;

    use super::*;
    use crate::storage::{Migrate, connect};

    #[tokio::test]
    async fn every_table_is_searched_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let url = format!("sqlite:{}", path.display());
        connect(&url, Migrate::Always).await.unwrap().close().await;
        let statements = Statements::open(&path, 1).unwrap();
        let key = "SEARCH k USING INDEX api_keys_digest (digest=?)";
        for (sql, searches) in [
            (KEY, vec![key]),
            (
                BY_USER_ID,
                vec![
                    key,
                    "SEARCH m USING INDEX members_link (user_id=? AND organization_ordinal=? AND superseded_number=?) LEFT-JOIN",
                ],
            ),
            (
                BY_EMAIL,
                vec![
                    key,
                    "SEARCH m USING INDEX members_sort_email (organization_ordinal=? AND sort_email=? AND superseded_number=?) LEFT-JOIN",
                ],
            ),
        ] {
            let mut explain = statements
                .0
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let anything = rusqlite::params_from_iter(vec![Null; explain.parameter_count()]);
            let plan = explain.query_map(anything, |row| row.get("detail")).unwrap();
            let plan: Vec<String> = plan.map(Result::unwrap).collect();
            assert_eq!(plan, searches);
        }
    }
}
