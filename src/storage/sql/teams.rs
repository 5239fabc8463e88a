//! Teams, and who is in them.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{
    Engine, EngineTransaction,
    columns::Columns as _,
    dialect::{THEN_JOIN, numbers, rows_of_numbers},
};
use crate::{
    domain::{Conflict, MemberNumber, OrganizationId, PageRequest, Team, TeamNumber},
    storage::{Result, TeamStore, TeamWrites},
};

#[async_trait]
impl TeamStore for Engine {
    async fn teams(&self, organization: OrganizationId, page: PageRequest<TeamNumber>) -> Result<Vec<Team>> {
        let query = sqlx::query_as(
            "SELECT number, slug, name, created_at FROM teams
             WHERE organization_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(organization)
        .bind(page.after.unwrap_or(TeamNumber(0)))
        .bind(i64::from(page.limit));
        self.reads.short(Some(organization)).await?.all(query).await
    }
}

#[async_trait]
impl TeamWrites for EngineTransaction<'_> {
    async fn stored_team(&mut self, organization: OrganizationId, team: TeamNumber) -> Result<Option<Team>> {
        let query = sqlx::query_as(
            "SELECT number, slug, name, created_at FROM teams WHERE organization_id = $1 AND number = $2",
        );
        self.optional(query.bind(organization).bind(team)).await
    }

    async fn next_team_number(&mut self, organization: OrganizationId) -> Result<TeamNumber> {
        let query = sqlx::query_scalar(
            "UPDATE organization_counters SET teams = teams + 1 WHERE organization_id = $1 RETURNING teams",
        );
        self.value(query.bind(organization)).await
    }

    async fn insert_team(&mut self, organization: OrganizationId, team: &Team) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO teams (organization_id, number, slug, name, created_at) VALUES ($1, $2, $3, $4, $5)",
        );
        let statement = team.bind(statement.bind(organization));
        self.execute_unique(statement, Conflict::Team).await
    }

    async fn save_team(&mut self, organization: OrganizationId, team: &Team) -> Result<()> {
        let statement = sqlx::query("UPDATE teams SET name = $3 WHERE organization_id = $1 AND number = $2")
            .bind(organization)
            .bind(team.number)
            .bind(&team.name);
        self.execute(statement).await
    }

    async fn remove_team(&mut self, organization: OrganizationId, team: TeamNumber) -> Result<()> {
        let statement = sqlx::query("DELETE FROM teams WHERE organization_id = $1 AND number = $2");
        self.execute(statement.bind(organization).bind(team)).await
    }

    async fn team_members(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        only_live: bool,
        limit: usize,
    ) -> Result<Vec<MemberNumber>> {
        let sql = format!(
            "SELECT t.member FROM team_members AS t
             {THEN_JOIN} members AS m ON m.organization_id = t.organization_id AND m.number = t.member
             WHERE t.organization_id = $1 AND t.team = $2 AND (NOT $3 OR m.revoked_at IS NULL)
             ORDER BY t.member LIMIT $4"
        );
        // Safe: it is put together from constants.
        let query = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(organization)
            .bind(team)
            .bind(only_live)
            .bind(most(limit));
        self.all(query).await
    }

    async fn put_in_team(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        members: &[MemberNumber],
    ) -> Result<()> {
        let sql = format!(
            "INSERT INTO team_members (organization_id, team, member) SELECT $1, $2, w.value FROM {}",
            rows_of_numbers("$3", "w")
        );
        // Safe: it is put together from constants.
        let statement = sqlx::query(AssertSqlSafe(sql))
            .bind(organization)
            .bind(team)
            .bind(numbers(members));
        self.execute(statement).await
    }

    async fn take_out_of_team(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        members: &[MemberNumber],
    ) -> Result<()> {
        let sql = format!(
            "DELETE FROM team_members WHERE organization_id = $1 AND team = $2 AND member IN (SELECT w.value FROM {})",
            rows_of_numbers("$3", "w")
        );
        // Safe: it is put together from constants.
        let statement = sqlx::query(AssertSqlSafe(sql))
            .bind(organization)
            .bind(team)
            .bind(numbers(members));
        self.execute(statement).await
    }

    async fn replace_primary_team(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        by: TeamNumber,
        limit: usize,
    ) -> Result<Vec<MemberNumber>> {
        // `<> 1` is the condition of the index.
        let query = sqlx::query_scalar(
            "UPDATE members SET primary_team = $3
             WHERE organization_id = $1 AND number IN (
                 SELECT number FROM members
                 WHERE organization_id = $1 AND primary_team = $2 AND primary_team <> 1 LIMIT $4
             )
             RETURNING number",
        )
        .bind(organization)
        .bind(team)
        .bind(by)
        .bind(most(limit));
        self.all(query).await
    }
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
