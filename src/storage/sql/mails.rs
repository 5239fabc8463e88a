//! Mails that wait to be sent, and those that were.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{
    Engine, EngineTransaction, Row,
    columns::Columns as _,
    dialect::{DUE_MAILS, ids},
};
use crate::{
    domain::{DueMail, Mail, MailId, MailState, MemberNumber, OrganizationId, PageRequest, Timestamp},
    storage::{MailStore, MailWrites, Result, from_row::from_row, values::organization_column},
};

/// An organization's mails of which something holds, as a statement.
fn select(condition: &str) -> AssertSqlSafe<String> {
    // Safe: it is put together from constants.
    AssertSqlSafe(format!(
        "SELECT {} FROM mails WHERE organization_id = $1 AND {condition}",
        Mail::NAMES.join(", ")
    ))
}

struct DueRow {
    organization: OrganizationId,
    mail: MailId,
}

from_row!(Row => DueRow { organization, mail });

#[async_trait]
impl MailStore for Engine {
    async fn mails(
        &self,
        organization: OrganizationId,
        state: Option<MailState>,
        page: PageRequest<MailId>,
    ) -> Result<Vec<Mail>> {
        let of_state = match state {
            None => "TRUE",
            Some(MailState::Queued) => "sent_at IS NULL AND failed_at IS NULL",
            Some(MailState::Sent) => "sent_at IS NOT NULL",
            Some(MailState::Failed) => "sent_at IS NULL AND failed_at IS NOT NULL",
        };
        let condition = format!("($2 IS NULL OR id > $2) AND {of_state} ORDER BY id LIMIT $3");
        let query = sqlx::query_as(select(&condition))
            .bind(organization)
            .bind(page.after)
            .bind(i64::from(page.limit));
        // Mails of one state are looked for among all.
        self.reads.long(Some(organization)).await?.all(query).await
    }

    async fn due_mails(
        &self,
        now: Timestamp,
        after: Option<OrganizationId>,
        besides: &[OrganizationId],
        limit: u32,
    ) -> Result<Vec<DueMail>> {
        let query = sqlx::query_as(DUE_MAILS)
            .bind(organization_column(after))
            .bind(now)
            .bind(ids(besides.iter().map(OrganizationId::as_uuid)))
            .bind(i64::from(limit));
        let rows: Vec<DueRow> = self.reads.short(None).await?.all(query).await?;
        let due = rows.into_iter().map(|row| DueMail {
            organization: row.organization,
            mail: row.mail,
        });
        Ok(due.collect())
    }

    async fn oldest_settled_mail(&self) -> Result<Option<Timestamp>> {
        let query = sqlx::query_as(
            "SELECT created_at FROM mails WHERE sent_at IS NOT NULL OR failed_at IS NOT NULL
             ORDER BY created_at LIMIT 1",
        );
        let oldest: Option<(Timestamp,)> = self.reads.short(None).await?.optional(query).await?;
        Ok(oldest.map(|(at,)| at))
    }
}

#[async_trait]
impl MailWrites for EngineTransaction<'_> {
    async fn queue_mail(&mut self, organization: OrganizationId, mail: &Mail) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO mails (id, member, kind, created_at, due_at, attempts, sent_at, failed_at, error,
                                organization_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        );
        self.execute(mail.bind(statement).bind(organization)).await
    }

    async fn stored_mail(&mut self, organization: OrganizationId, mail: MailId) -> Result<Option<Mail>> {
        let query = sqlx::query_as(select("id = $2"));
        self.optional(query.bind(organization).bind(mail)).await
    }

    async fn mails_to(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        since: Timestamp,
    ) -> Result<Vec<Mail>> {
        let query = sqlx::query_as(select("member = $2 AND created_at >= $3 ORDER BY created_at, id"));
        self.rows(query.bind(organization).bind(member).bind(since)).await
    }

    async fn save_mail(&mut self, organization: OrganizationId, mail: &Mail) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE mails SET due_at = $3, attempts = $4, sent_at = $5, failed_at = $6, error = $7
             WHERE organization_id = $1 AND id = $2",
        )
        .bind(organization)
        .bind(mail.id)
        .bind(mail.due_at)
        .bind(mail.attempts)
        .bind(mail.sent_at)
        .bind(mail.failed_at)
        .bind(&mail.error);
        self.execute(statement).await
    }

    async fn remove_mails(&mut self, organization: OrganizationId, member: MemberNumber) -> Result<()> {
        let statement = sqlx::query("DELETE FROM mails WHERE organization_id = $1 AND member = $2");
        self.execute(statement.bind(organization).bind(member)).await
    }

    async fn remove_old_mails(&mut self, until: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM mails WHERE (organization_id, id) IN (
                 SELECT organization_id, id FROM mails
                 WHERE created_at <= $1 AND (sent_at IS NOT NULL OR failed_at IS NOT NULL)
                 ORDER BY created_at LIMIT $2
             )",
        );
        self.changed(statement.bind(until).bind(i64::from(limit))).await
    }
}
