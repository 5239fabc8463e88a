//! Teams.

use async_trait::async_trait;

use super::Result;
use crate::domain::{MemberNumber, OrganizationId, PageRequest, Team, TeamNumber};

/// Reads of teams.
#[async_trait]
pub trait TeamStore: Send + Sync {
    /// Teams in the order of their numbers.
    async fn teams(&self, organization: OrganizationId, page: PageRequest<TeamNumber>) -> Result<Vec<Team>>;
}

/// Changes of teams, and of who is in them. Members are named by their numbers, each once; versions and events of members
/// are for [`super::MemberWrites::touch_members`].
#[async_trait]
pub trait TeamWrites {
    /// One team.
    async fn stored_team(&mut self, organization: OrganizationId, team: TeamNumber) -> Result<Option<Team>>;

    /// A number that no team of the organization has had, in ascending order.
    async fn next_team_number(&mut self, organization: OrganizationId) -> Result<TeamNumber>;

    /// Adds a team.
    ///
    /// # Errors
    ///
    /// [`crate::domain::Conflict::Team`]: a team has the slug.
    async fn insert_team(&mut self, organization: OrganizationId, team: &Team) -> Result<()>;

    /// Replaces a team's name.
    async fn save_team(&mut self, organization: OrganizationId, team: &Team) -> Result<()>;

    /// Removes a team that nobody is in.
    async fn remove_team(&mut self, organization: OrganizationId, team: TeamNumber) -> Result<()>;

    /// Who is in the team; only live members if asked for. Those with the lowest numbers, at most `limit`.
    async fn team_members(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        only_live: bool,
        limit: usize,
    ) -> Result<Vec<MemberNumber>>;

    /// Puts members into a team in which they are not.
    async fn put_in_team(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        members: &[MemberNumber],
    ) -> Result<()>;

    /// Takes members out of a team.
    async fn take_out_of_team(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        members: &[MemberNumber],
    ) -> Result<()>;

    /// Gives another main team to those, live or revoked, who have this one, which is not the root team, and returns
    /// who that was: at most `limit`.
    async fn replace_primary_team(
        &mut self,
        organization: OrganizationId,
        team: TeamNumber,
        by: TeamNumber,
        limit: usize,
    ) -> Result<Vec<MemberNumber>>;
}
