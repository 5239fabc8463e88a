//! `TeamService`.

use super::{Connection, Key, MAX_RESPONSE, Resource, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{GetTeamRequest, team_service_client::TeamServiceClient};

/// The number of every organization's root team.
const ROOT: i64 = 1;

impl Upstream {
    /// Whether there is a team with this number.
    pub(crate) async fn has_team(&self, key: &Key, number: i64) -> Result<bool, UpstreamError> {
        match call(self.teams().get_team(key.request(GetTeamRequest { number }))).await {
            Ok(_) => Ok(true),
            Err(UpstreamError::NotFound(Resource::Team)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the key may read the directory: the error is the key's.
    pub(crate) async fn may_read(&self, key: &Key) -> Result<(), UpstreamError> {
        self.has_team(key, ROOT).await.map(|_| ())
    }

    fn teams(&self) -> TeamServiceClient<Connection> {
        TeamServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_RESPONSE)
    }
}
