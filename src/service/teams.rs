//! Teams, for internal services and operators.

use super::{Directory, Read, ServiceError, Write};
use crate::{
    domain::{MemberId, Page, Team, TeamKey, TeamName, TeamNumber},
    storage::{Answer, Missing, Once},
};

impl Directory {
    /// Makes a team.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::TeamStore::create_team`] says.
    pub async fn create_team(
        &self,
        grant: Write,
        key: TeamKey,
        name: TeamName,
        once: Once<Team>,
    ) -> Result<Answer<Team>, ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .create_team(grant.organization, key, name, once, change)
            .await?)
    }

    /// Gives a team another name.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::TeamStore::rename_team`] says.
    pub async fn rename_team(
        &self,
        grant: Write,
        team: TeamNumber,
        name: TeamName,
    ) -> Result<Team, ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .rename_team(grant.organization, team, name, change)
            .await?)
    }

    /// Removes a team.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::TeamStore::delete_team`] says.
    pub async fn delete_team(&self, grant: Write, team: TeamNumber) -> Result<(), ServiceError> {
        let change = self.change(grant.actor);
        Ok(self.storage.delete_team(grant.organization, team, change).await?)
    }

    /// One team.
    ///
    /// # Errors
    ///
    /// [`Missing::Team`].
    pub async fn team(&self, grant: Read, team: TeamNumber) -> Result<Team, ServiceError> {
        let page = Page {
            after: Some(TeamNumber(team.0.saturating_sub(1))),
            limit: 1,
        };
        let found = self.storage.teams(grant.organization, page).await?.pop();
        found
            .filter(|found| found.number == team)
            .ok_or(ServiceError::NotFound(Missing::Team))
    }

    /// Teams in the order of their numbers.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn teams(&self, grant: Read, page: Page<TeamNumber>) -> Result<Vec<Team>, ServiceError> {
        Ok(self.storage.teams(grant.organization, page).await?)
    }

    /// Replaces the set of a team's members and returns how many came in and went out.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::TeamStore::set_team_members`] says.
    pub async fn set_team_members(
        &self,
        grant: Write,
        team: TeamNumber,
        members: Vec<MemberId>,
    ) -> Result<(usize, usize), ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .set_team_members(grant.organization, team, members, change)
            .await?)
    }
}
