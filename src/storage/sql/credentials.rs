//! Passwords and tokens of members.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow, Row as _};
use uuid::Uuid;

use super::{
    Engine, EngineTransaction,
    columns::{Binds, Columns, Row, columns},
    members,
};
use crate::{
    domain::{
        KeyDigest, Member, MemberNumber, MemberRef, OrganizationId, PasswordHash, StoredToken, Timestamp,
        TokenKind,
    },
    storage::{CredentialStore, CredentialWrites, Result, TokenHolder},
};

columns!(StoredToken {
    digest,
    kind,
    member,
    created_at,
    expires_at,
    last_used_at
});

impl FromRow<'_, Row> for TokenHolder {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization: row.try_get("organization_id")?,
            token: StoredToken {
                digest: row.try_get("token_digest")?,
                kind: row.try_get("token_kind")?,
                member: row.try_get("number")?,
                created_at: row.try_get("token_created_at")?,
                expires_at: row.try_get("token_expires_at")?,
                last_used_at: row.try_get("token_last_used_at")?,
            },
            member: Member::from_row(row)?,
        })
    }
}

/// A member, and its password if it has one.
struct MemberAndPassword(Member, Option<PasswordHash>);

impl FromRow<'_, Row> for MemberAndPassword {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(Member::from_row(row)?, row.try_get("password")?))
    }
}

#[async_trait]
impl CredentialStore for Engine {
    async fn token_by_digest(&self, digest: KeyDigest) -> Result<Option<TokenHolder>> {
        let sql = format!(
            "SELECT k.organization_id, k.digest AS token_digest, k.kind AS token_kind,
                 k.created_at AS token_created_at, k.expires_at AS token_expires_at,
                 k.last_used_at AS token_last_used_at, {}
             FROM tokens AS k
             JOIN members AS m ON m.organization_id = k.organization_id AND m.number = k.member
             JOIN organizations AS o ON o.id = k.organization_id
             WHERE k.digest = $1 AND m.revoked_at IS NULL AND o.deleted_at IS NULL",
            *members::COLUMNS
        );
        // Safe: it is put together from constants.
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(digest);
        // Whose it is, is not known yet. In a share of its own, so that many false ones fill no queue in which right ones
        // wait.
        let share = OrganizationId::from_uuid(Uuid::from_slice(&digest.as_bytes()[..16]).unwrap_or_default());
        self.reads.short(Some(share)).await?.optional(query).await
    }

    async fn member_and_password(
        &self,
        organization: OrganizationId,
        member: &MemberRef,
    ) -> Result<Option<(Member, Option<PasswordHash>)>> {
        let query = members::member_with(
            ", (SELECT p.hash FROM passwords AS p
                WHERE p.organization_id = m.organization_id AND p.member = m.number) AS password",
            organization,
            member,
        );
        let found = self
            .reads
            .short(Some(organization))
            .await?
            .optional(query)
            .await?;
        let found = found.filter(|MemberAndPassword(member, _)| member.is_live());
        Ok(found.map(|MemberAndPassword(member, password)| (member, password)))
    }

    async fn first_token_end(&self) -> Result<Option<Timestamp>> {
        let query = sqlx::query_as("SELECT expires_at FROM tokens ORDER BY expires_at LIMIT 1");
        let first: Option<(Timestamp,)> = self.reads.short(None).await?.optional(query).await?;
        Ok(first.map(|(at,)| at))
    }
}

#[async_trait]
impl CredentialWrites for EngineTransaction<'_> {
    async fn stored_token(
        &mut self,
        organization: OrganizationId,
        digest: KeyDigest,
    ) -> Result<Option<StoredToken>> {
        let query = sqlx::query_as(
            "SELECT digest, kind, member, created_at, expires_at, last_used_at FROM tokens
             WHERE digest = $2 AND organization_id = $1",
        );
        self.optional(query.bind(organization).bind(digest)).await
    }

    async fn insert_token(&mut self, organization: OrganizationId, token: &StoredToken) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO tokens (organization_id, digest, kind, member, created_at, expires_at, last_used_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        self.execute(token.bind(statement.bind(organization))).await
    }

    async fn remove_token(&mut self, organization: OrganizationId, digest: KeyDigest) -> Result<()> {
        let statement = sqlx::query("DELETE FROM tokens WHERE digest = $2 AND organization_id = $1");
        self.execute(statement.bind(organization).bind(digest)).await
    }

    async fn remove_tokens(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        kind: TokenKind,
    ) -> Result<()> {
        let statement =
            sqlx::query("DELETE FROM tokens WHERE organization_id = $1 AND member = $2 AND kind = $3");
        self.execute(statement.bind(organization).bind(member).bind(kind))
            .await
    }

    async fn remove_tokens_before(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        kind: TokenKind,
        before: Timestamp,
    ) -> Result<()> {
        let statement = sqlx::query(
            "DELETE FROM tokens WHERE organization_id = $1 AND member = $2 AND kind = $3 AND created_at < $4",
        );
        let statement = statement.bind(organization).bind(member).bind(kind);
        self.execute(statement.bind(before)).await
    }

    async fn record_token_use(
        &mut self,
        organization: OrganizationId,
        digest: KeyDigest,
        at: Timestamp,
    ) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE tokens SET last_used_at = $3
             WHERE digest = $2 AND organization_id = $1 AND (last_used_at IS NULL OR last_used_at < $3)",
        );
        self.execute(statement.bind(organization).bind(digest).bind(at))
            .await
    }

    async fn remove_tokens_over(&mut self, now: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM tokens WHERE digest IN (
                 SELECT digest FROM tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
             )",
        );
        self.changed(statement.bind(now).bind(i64::from(limit))).await
    }

    async fn stored_password(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
    ) -> Result<Option<PasswordHash>> {
        let query = sqlx::query_as("SELECT hash FROM passwords WHERE organization_id = $1 AND member = $2");
        let found: Option<(PasswordHash,)> = self.optional(query.bind(organization).bind(member)).await?;
        Ok(found.map(|(hash,)| hash))
    }

    async fn save_password(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        hash: &PasswordHash,
        at: Timestamp,
    ) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO passwords (organization_id, member, hash, set_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (organization_id, member) DO UPDATE SET hash = excluded.hash, set_at = excluded.set_at",
        )
        .bind(organization)
        .bind(member)
        .bind(hash)
        .bind(at);
        self.execute(statement).await
    }

    async fn remove_password(&mut self, organization: OrganizationId, member: MemberNumber) -> Result<()> {
        let statement = sqlx::query("DELETE FROM passwords WHERE organization_id = $1 AND member = $2");
        self.execute(statement.bind(organization).bind(member)).await
    }
}
