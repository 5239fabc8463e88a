//! `TeamService`.

use super::{Connection, Key, MAX_RESPONSE, Resource, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{GetTeamRequest, team_service_client::TeamServiceClient};

impl Upstream {
    /// Whether there is a team with this number.
    pub(crate) async fn has_team(&self, key: &Key, number: i64) -> Result<bool, UpstreamError> {
        match call(self.teams().get_team(key.request(GetTeamRequest { number }))).await {
            Ok(_) => Ok(true),
            Err(UpstreamError::NotFound(Resource::Team)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn teams(&self) -> TeamServiceClient<Connection> {
        TeamServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_RESPONSE)
    }
}
