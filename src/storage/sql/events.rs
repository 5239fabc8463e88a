//! The event log.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use tokio::sync::watch;

use super::{
    Engine, EngineTransaction,
    columns::Select,
    dialect::{APPEND_EVENT, EVENTS_OF_USER, POSITION, THEN_JOIN, ids, rows_of_ids},
};
use crate::{
    domain::{Change, Event, EventKind, EventQuery, Member, OrganizationId, Subject},
    storage::{EventLog, EventWrites, MemberEvent, Result, values::organization_column},
};

/// A page of an organization's events beyond a sequence number. The kinds come as one text.
fn page(organization: Option<OrganizationId>, query: &EventQuery) -> Select<'static, Event> {
    // What is asked of one user has an index of its own.
    let (table, of_user) = query.user.map_or(("events", "TRUE"), |_| EVENTS_OF_USER);
    let (beyond, direction) = if query.descending {
        ("<", " DESC")
    } else {
        (">", "")
    };
    let sql = format!(
        "SELECT sequence, organization_id, kind, member_id, user_id, api_key_id, team, actor, client, source, at, fields
         FROM {table}
         WHERE organization_id = $1 AND sequence {beyond} $2 AND ($3 = '' OR {POSITION}($3, ' ' || kind || ' ') > 0)
             AND {of_user}
         ORDER BY sequence{direction} LIMIT $4"
    );
    let after = match query.after {
        0 if query.descending => i64::MAX,
        after => after,
    };
    let kinds: Vec<_> = query.kinds.iter().map(|kind| kind.as_str()).collect();
    let kinds = if kinds.is_empty() {
        String::new()
    } else {
        format!(" {} ", kinds.join(" "))
    };
    // Safe: it is put together from constants.
    let statement = sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization_column(organization))
        .bind(after)
        .bind(kinds)
        .bind(i64::from(query.limit));
    match query.user {
        Some(user) => statement.bind(user),
        None => statement,
    }
}

#[async_trait]
impl EventLog for Engine {
    async fn events(&self, organization: Option<OrganizationId>, query: EventQuery) -> Result<Vec<Event>> {
        // Events of some kinds are looked for among all.
        let reading = if query.kinds.is_empty() {
            self.reads.short(organization).await?
        } else {
            self.reads.long(organization).await?
        };
        reading.all(page(organization, &query)).await
    }

    async fn heads(&self, organizations: Vec<OrganizationId>) -> Result<Vec<(OrganizationId, i64)>> {
        // Of one, in its own share.
        let whose = match &organizations[..] {
            [one] => Some(*one),
            _ => None,
        };
        let sql = format!(
            "SELECT c.organization_id, c.events FROM {}
             {THEN_JOIN} organization_counters AS c ON c.organization_id = wanted.value",
            rows_of_ids("$1", "wanted")
        );
        // Safe: it is put together from constants.
        let query =
            sqlx::query_as(AssertSqlSafe(sql)).bind(ids(organizations.iter().map(OrganizationId::as_uuid)));
        let found: Vec<(OrganizationId, i64)> = self.reads.short(whose).await?.all(query).await?;
        let found: HashMap<_, _> = found.into_iter().collect();
        let head = |organization| {
            (
                organization,
                found.get(&organization).copied().unwrap_or_default(),
            )
        };
        Ok(organizations.into_iter().map(head).collect())
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.watch_commits()
    }
}

#[async_trait]
impl EventWrites for EngineTransaction<'_> {
    async fn append_event(
        &mut self,
        organization: Option<OrganizationId>,
        kind: EventKind,
        subject: Subject,
        fields: &[&'static str],
        change: &Change,
    ) -> Result<i64> {
        let (member_id, user_id, api_key_id, team) = match subject {
            Subject::Organization => (None, None, None, None),
            Subject::ApiKey(key) => (None, None, Some(key), None),
            Subject::Member(member, user) => (Some(member), Some(user), None, None),
            Subject::Team(team) => (None, None, None, Some(team)),
        };
        let query = sqlx::query_scalar(APPEND_EVENT)
            .bind(organization_column(organization))
            .bind(kind)
            .bind(member_id)
            .bind(user_id)
            .bind(api_key_id)
            .bind(team)
            .bind(change.actor)
            .bind(&change.source)
            .bind(change.at)
            .bind(fields.join(" "))
            .bind(&change.client);
        let sequence = self.value(query).await?;
        self.note_event(
            organization_column(organization),
            sequence,
            kind,
            member_id,
            change,
        );
        Ok(sequence)
    }

    async fn append_events(
        &mut self,
        organization: OrganizationId,
        kind: EventKind,
        events: &[MemberEvent<'_>],
        change: &Change,
    ) -> Result<()> {
        let Some(MemberEvent { member, .. }) = events.last() else {
            return Ok(());
        };
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let last = sqlx::query_scalar(
            "UPDATE organization_counters SET events = events + $2 WHERE organization_id = $1 RETURNING events",
        );
        let last: i64 = self.value(last.bind(organization).bind(count)).await?;
        self.insert_events(organization, last - count + 1, kind, events, change)
            .await?;
        self.note_event(organization, last, kind, Some(member.id), change);
        Ok(())
    }

    async fn last_event(
        &mut self,
        organization: OrganizationId,
        kind: EventKind,
        member: &Member,
    ) -> Result<i64> {
        let query = sqlx::query_scalar(
            "SELECT coalesce(max(sequence), 0) FROM events
             WHERE organization_id = $1 AND user_id = $2 AND member_id = $3 AND kind = $4",
        );
        let query = query
            .bind(organization)
            .bind(member.user_id)
            .bind(member.id)
            .bind(kind);
        self.value(query).await
    }
}
