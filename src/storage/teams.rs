//! Teams.

use async_trait::async_trait;

use super::{Answer, Change, Once, StoreError};
use crate::domain::{MemberId, OrganizationId, Page, Team, TeamKey, TeamName, TeamNumber};

/// Teams.
#[async_trait]
pub trait TeamStore: Send + Sync {
    /// Adds a team with the next number.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Organization`]. [`super::Conflict::Team`]: a team has the key.
    /// [`super::Precondition::IdempotencyKeyReused`].
    async fn create_team(
        &self,
        organization: OrganizationId,
        key: TeamKey,
        name: TeamName,
        once: Once<Team>,
        change: Change,
    ) -> Result<Answer<Team>, StoreError>;

    /// Gives a team another name.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Team`].
    async fn rename_team(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        name: TeamName,
        change: Change,
    ) -> Result<Team, StoreError>;

    /// Removes a team. Its members leave it; those whose main team it was have the root team again. They change with
    /// it: their versions grow, each with an event of its own.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Team`]. [`super::Precondition::RootTeam`].
    async fn delete_team(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        change: Change,
    ) -> Result<(), StoreError>;

    /// Teams in the order of their numbers.
    async fn teams(
        &self,
        organization: OrganizationId,
        page: Page<TeamNumber>,
    ) -> Result<Vec<Team>, StoreError>;

    /// Replaces the set of a team's members and returns how many came in and went out. Each of them changes: its
    /// version grows, with an event of its own.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Team`]. [`super::Missing::Member`]: one of them is no live member.
    async fn set_team_members(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        members: Vec<MemberId>,
        change: Change,
    ) -> Result<(usize, usize), StoreError>;
}
