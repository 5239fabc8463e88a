//! Teams, and who is in them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};

use super::{
    SqliteStorage, answers,
    error::{engine, unique},
    events::{self, Subject},
    row::{json_numbers, owner},
};
use crate::{
    domain::{
        EventKind, MemberId, MemberNumber, OrganizationId, Page, Team, TeamKey, TeamName, TeamNumber,
        Timestamp,
    },
    storage::{Answer, Change, Conflict, Missing, Once, Precondition, StoreError, TeamStore},
};

#[derive(FromRow)]
struct TeamRow {
    number: i64,
    key: String,
    name: String,
    created_at: i64,
}

impl TryFrom<TeamRow> for Team {
    type Error = StoreError;

    fn try_from(row: TeamRow) -> Result<Self, StoreError> {
        Ok(Self {
            number: TeamNumber(row.number),
            key: TeamKey::new(row.key).map_err(|_| StoreError::Corrupt("team key"))?,
            name: TeamName::new(row.name).map_err(|_| StoreError::Corrupt("team name"))?,
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

#[async_trait]
impl TeamStore for SqliteStorage {
    async fn create_team(
        &self,
        organization: OrganizationId,
        key: TeamKey,
        name: TeamName,
        once: Once<Team>,
        change: Change,
    ) -> Result<Answer<Team>, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    if let Some(answer) =
                        answers::find(connection, Some(organization), &once, change.at).await?
                    {
                        return Ok(Answer::Repeated(answer));
                    }
                    let team = insert(connection, organization, key, name, &change).await?;
                    answers::keep(connection, Some(organization), &once, &team, change.at).await?;
                    Ok(Answer::New(team))
                })
            })
            .await
    }

    async fn rename_team(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        name: TeamName,
        change: Change,
    ) -> Result<Team, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let mut found = find(connection, organization, team).await?;
                    if found.name == name {
                        return Ok(found);
                    }
                    sqlx::query("UPDATE teams SET name = $3 WHERE organization_id = $1 AND number = $2")
                        .bind(&owner(Some(organization))[..])
                        .bind(team.0)
                        .bind(name.as_str())
                        .execute(&mut *connection)
                        .await
                        .map_err(engine)?;
                    found.name = name;
                    let (kind, subject) = (EventKind::TeamRenamed, Subject::Team(team));
                    events::append(connection, Some(organization), kind, subject, &["name"], &change).await?;
                    Ok(found)
                })
            })
            .await
    }

    async fn delete_team(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        change: Change,
    ) -> Result<(), StoreError> {
        self.writes
            .submit(move |connection| Box::pin(delete(connection, organization, team, change)))
            .await
    }

    async fn teams(
        &self,
        organization: OrganizationId,
        page: Page<TeamNumber>,
    ) -> Result<Vec<Team>, StoreError> {
        let mut reading = self.reads.short(Some(organization)).await?;
        let rows = sqlx::query_as::<_, TeamRow>(
            "SELECT number, key, name, created_at FROM teams
             WHERE organization_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(&owner(Some(organization))[..])
        .bind(page.after.map_or(0, |team| team.0))
        .bind(page.limit)
        .fetch_all(reading.connection()?)
        .await
        .map_err(engine)?;
        reading.end();
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn set_team_members(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        members: Vec<MemberId>,
        change: Change,
    ) -> Result<(usize, usize), StoreError> {
        self.writes
            .submit(move |connection| Box::pin(set_members(connection, organization, team, members, change)))
            .await
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    key: TeamKey,
    name: TeamName,
    change: &Change,
) -> Result<Team, StoreError> {
    let number: i64 = sqlx::query_scalar(
        "UPDATE organizations SET last_team_number = last_team_number + 1 WHERE id = $1 AND deleted_at IS NULL
         RETURNING last_team_number",
    )
    .bind(&owner(Some(organization))[..])
    .fetch_optional(&mut *connection)
    .await
    .map_err(engine)?
    .ok_or(Missing::Organization)?;
    let team = Team {
        number: TeamNumber(number),
        key,
        name,
        created_at: change.at,
    };
    sqlx::query(
        "INSERT INTO teams (organization_id, number, key, name, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&owner(Some(organization))[..])
    .bind(number)
    .bind(team.key.as_str())
    .bind(team.name.as_str())
    .bind(team.created_at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(|error| unique(error, Conflict::Team))?;
    let (kind, subject) = (EventKind::TeamCreated, Subject::Team(team.number));
    events::append(
        connection,
        Some(organization),
        kind,
        subject,
        &["key", "name"],
        change,
    )
    .await?;
    Ok(team)
}

async fn find(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    team: TeamNumber,
) -> Result<Team, StoreError> {
    let found = sqlx::query_as::<_, TeamRow>(
        "SELECT number, key, name, created_at FROM teams WHERE organization_id = $1 AND number = $2",
    )
    .bind(&owner(Some(organization))[..])
    .bind(team.0)
    .fetch_optional(connection)
    .await
    .map_err(engine)?;
    found.ok_or(Missing::Team)?.try_into()
}

/// Revoked members leave the team too: nobody can be restored into a team that is gone.
async fn delete(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    team: TeamNumber,
    change: Change,
) -> Result<(), StoreError> {
    find(connection, organization, team).await?;
    if team == TeamNumber::ROOT {
        return Err(Precondition::RootTeam.into());
    }
    let id = owner(Some(organization));
    let mut inside = numbers(
        sqlx::query_scalar(
            "DELETE FROM team_members WHERE organization_id = $1 AND team = $2 RETURNING member",
        )
        .bind(&id[..])
        .bind(team.0)
        .fetch_all(&mut *connection)
        .await,
    )?;
    let mut main = numbers(
        // `<> 1` is the condition of the index.
        sqlx::query_scalar(
            "UPDATE members SET primary_team = 1
             WHERE organization_id = $1 AND primary_team = $2 AND primary_team <> 1 RETURNING number",
        )
        .bind(&id[..])
        .bind(team.0)
        .fetch_all(&mut *connection)
        .await,
    )?;
    sqlx::query("DELETE FROM teams WHERE organization_id = $1 AND number = $2")
        .bind(&id[..])
        .bind(team.0)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    let subject = Subject::Team(team);
    events::append(
        connection,
        Some(organization),
        EventKind::TeamDeleted,
        subject,
        &[],
        &change,
    )
    .await?;
    let both: BTreeSet<_> = inside.intersection(&main).copied().collect();
    inside.retain(|member| !both.contains(member));
    main.retain(|member| !both.contains(member));
    members_changed(
        connection,
        organization,
        both,
        &["teams", "primary_team"],
        &change,
    )
    .await?;
    members_changed(connection, organization, inside, &["teams"], &change).await?;
    members_changed(connection, organization, main, &["primary_team"], &change).await
}

/// The set is that of live members. A revoked one keeps its teams for the day it is restored.
async fn set_members(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    team: TeamNumber,
    members: Vec<MemberId>,
    change: Change,
) -> Result<(usize, usize), StoreError> {
    find(connection, organization, team).await?;
    let id = owner(Some(organization));
    let members: BTreeSet<_> = members.into_iter().collect();
    let ids: Vec<_> = members
        .iter()
        .map(|member| format!("\"{}\"", member.as_uuid().simple()))
        .collect();
    let wanted = numbers(
        sqlx::query_scalar(
            "SELECT m.number FROM json_each($2) AS wanted
             JOIN members AS m ON m.organization_id = $1 AND m.id = unhex(wanted.value)
             WHERE m.revoked_at IS NULL",
        )
        .bind(&id[..])
        .bind(format!("[{}]", ids.join(",")))
        .fetch_all(&mut *connection)
        .await,
    )?;
    if wanted.len() != members.len() {
        return Err(Missing::Member.into());
    }
    let present = numbers(
        sqlx::query_scalar(
            "SELECT t.member FROM team_members AS t
             JOIN members AS m ON m.organization_id = t.organization_id AND m.number = t.member
             WHERE t.organization_id = $1 AND t.team = $2 AND m.revoked_at IS NULL",
        )
        .bind(&id[..])
        .bind(team.0)
        .fetch_all(&mut *connection)
        .await,
    )?;
    let added: Vec<_> = wanted.difference(&present).copied().collect();
    let removed: Vec<_> = present.difference(&wanted).copied().collect();
    sqlx::query(
        "INSERT INTO team_members (organization_id, team, member) SELECT $1, $2, value FROM json_each($3)",
    )
    .bind(&id[..])
    .bind(team.0)
    .bind(json_numbers(&added))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query(
        "DELETE FROM team_members
         WHERE organization_id = $1 AND team = $2 AND member IN (SELECT value FROM json_each($3))",
    )
    .bind(&id[..])
    .bind(team.0)
    .bind(json_numbers(&removed))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let changed = wanted.symmetric_difference(&present).copied().collect();
    members_changed(connection, organization, changed, &["teams"], &change).await?;
    Ok((added.len(), removed.len()))
}

/// The members have changed in these fields: their versions grow, each with an event.
async fn members_changed(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    members: BTreeSet<MemberNumber>,
    fields: &[&str],
    change: &Change,
) -> Result<(), StoreError> {
    let members: Vec<_> = members.into_iter().collect();
    sqlx::query(
        "UPDATE members SET version = version + 1, updated_at = $2
         WHERE organization_id = $1 AND number IN (SELECT value FROM json_each($3))",
    )
    .bind(&owner(Some(organization))[..])
    .bind(change.at.as_millis())
    .bind(json_numbers(&members))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    events::append_updates(connection, organization, &members, fields, change).await
}

fn numbers(found: Result<Vec<i64>, sqlx::Error>) -> Result<BTreeSet<MemberNumber>, StoreError> {
    Ok(found.map_err(engine)?.into_iter().map(MemberNumber).collect())
}
