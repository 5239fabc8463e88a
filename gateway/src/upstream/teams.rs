//! `TeamService`.

use super::{Connection, Key, MAX_RESPONSE, Resource, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{
    CreateTeamRequest, GetTeamRequest, ListTeamsRequest, ListTeamsResponse, Team,
    team_service_client::TeamServiceClient,
};

/// Teams of one page: as many as the directory gives.
const PAGE: i32 = 500;

impl Upstream {
    /// The team with this number.
    pub(crate) async fn team(&self, key: &Key, number: i64) -> Result<Team, UpstreamError> {
        let response = call(self.teams().get_team(key.request(GetTeamRequest { number }))).await?;
        response.team.ok_or(UpstreamError::Internal)
    }

    /// Whether there is a team with this number.
    pub(crate) async fn has_team(&self, key: &Key, number: i64) -> Result<bool, UpstreamError> {
        match self.team(key, number).await {
            Ok(_) => Ok(true),
            Err(UpstreamError::NotFound(Resource::Team)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A page of teams.
    pub(crate) async fn list_teams(
        &self,
        key: &Key,
        page_token: String,
    ) -> Result<ListTeamsResponse, UpstreamError> {
        let request = ListTeamsRequest {
            page_size: PAGE,
            page_token,
        };
        call(self.teams().list_teams(key.request(request))).await
    }

    /// Makes a team that is called as its key.
    pub(crate) async fn create_team(&self, key: &Key, team: &str) -> Result<Team, UpstreamError> {
        let request = CreateTeamRequest {
            key: team.to_owned(),
            ..CreateTeamRequest::default()
        };
        let response = call(self.teams().create_team(key.request(request))).await?;
        response.team.ok_or(UpstreamError::Internal)
    }

    fn teams(&self) -> TeamServiceClient<Connection> {
        TeamServiceClient::new(self.connection()).max_decoding_message_size(MAX_RESPONSE)
    }
}
