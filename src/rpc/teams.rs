//! `userbridge.directory.v1.TeamService`.

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{
    DirectoryCell, auth, page::List, proto::userbridge::directory::v1 as pb, time::timestamp,
    violations::Violations,
};
use crate::domain::{Idempotency, Idempotent, PageRequest, Team, TeamName, TeamNumber, TeamSlug};

/// Most members that a team's set is replaced by.
const MAX_MEMBERS: usize = 10_000;

/// The teams of one organization.
pub(super) struct Teams {
    directory: DirectoryCell,
}

impl Teams {
    pub(super) const fn new(directory: DirectoryCell) -> Self {
        Self { directory }
    }
}

#[tonic::async_trait]
impl pb::team_service_server::TeamService for Teams {
    async fn create_team(
        &self,
        request: Request<pb::CreateTeamRequest>,
    ) -> Result<Response<pb::CreateTeamResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let mut violations = Violations::default();
        let token = auth::token(
            request.metadata(),
            grant.actor(),
            "CreateTeam",
            request.get_ref(),
            &mut violations,
        );
        let pb::CreateTeamRequest { key, name } = request.into_inner();
        // A key keeps all the rules of a name, and is named where it does not.
        let name = if name.is_empty() {
            TeamName::new(key.clone()).ok()
        } else {
            violations.check("name", TeamName::new(name))
        };
        let key = violations.check("key", TeamSlug::new(key));
        let (key, name) = violations.finish(key.zip(name))?;
        let once = Idempotency {
            key: token,
            encode: |value: &Team| created(value.clone()).encode_to_vec(),
        };
        let response = match directory.create_team(grant, key, name, once).await? {
            Idempotent::Fresh(value) => created(value),
            Idempotent::Replayed(answer) => auth::repeated(&answer)?,
        };
        Ok(Response::new(response))
    }

    async fn rename_team(
        &self,
        request: Request<pb::RenameTeamRequest>,
    ) -> Result<Response<pb::RenameTeamResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let pb::RenameTeamRequest { number, name } = request.into_inner();
        let mut violations = Violations::default();
        let name = violations.check("name", TeamName::new(name));
        let renamed = directory
            .rename_team(grant, TeamNumber(number), violations.finish(name)?)
            .await?;
        Ok(Response::new(pb::RenameTeamResponse {
            team: Some(team(renamed)),
        }))
    }

    async fn delete_team(
        &self,
        request: Request<pb::DeleteTeamRequest>,
    ) -> Result<Response<pb::DeleteTeamResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        directory
            .delete_team(grant, TeamNumber(request.get_ref().number))
            .await?;
        Ok(Response::new(pb::DeleteTeamResponse {}))
    }

    async fn get_team(
        &self,
        request: Request<pb::GetTeamRequest>,
    ) -> Result<Response<pb::GetTeamResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::read(directory, &request).await?;
        let found = directory
            .team(grant, TeamNumber(request.get_ref().number))
            .await?;
        Ok(Response::new(pb::GetTeamResponse {
            team: Some(team(found)),
        }))
    }

    async fn list_teams(
        &self,
        request: Request<pb::ListTeamsRequest>,
    ) -> Result<Response<pb::ListTeamsResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::read(directory, &request).await?;
        let pb::ListTeamsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let list = List::new(
            "ListTeams",
            Some(grant.organization()),
            &pb::ListTeamsRequest::default(),
        );
        let mut violations = Violations::default();
        let limit = violations.page_size(page_size);
        let after: Option<i64> = list.cursor(&page_token, &mut violations);
        let after = violations.finish(Some(after))?.map(TeamNumber);
        let teams = directory.teams(grant, PageRequest { after, limit }).await?;
        let next = teams.end().map(|last| list.token(&last.number.0));
        Ok(Response::new(pb::ListTeamsResponse {
            teams: teams.items.into_iter().map(team).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn set_team_members(
        &self,
        request: Request<pb::SetTeamMembersRequest>,
    ) -> Result<Response<pb::SetTeamMembersResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let pb::SetTeamMembersRequest { number, member_ids } = request.get_ref();
        let mut violations = Violations::default();
        if member_ids.len() > MAX_MEMBERS {
            violations.add("member_ids", format_args!("must be at most {MAX_MEMBERS}"));
        }
        let ids = member_ids
            .iter()
            .enumerate()
            .filter_map(|(index, id)| violations.id(&format!("member_ids[{index}]"), id));
        let ids = ids.collect();
        let ids = violations.finish(Some(ids))?;
        let (added, removed) = directory
            .set_team_members(grant, TeamNumber(*number), ids)
            .await?;
        Ok(Response::new(pb::SetTeamMembersResponse {
            added: i32::try_from(added).unwrap_or(i32::MAX),
            removed: i32::try_from(removed).unwrap_or(i32::MAX),
        }))
    }
}

fn created(value: Team) -> pb::CreateTeamResponse {
    pb::CreateTeamResponse {
        team: Some(team(value)),
    }
}

fn team(team: Team) -> pb::Team {
    pb::Team {
        number: team.number.0,
        key: team.slug.into(),
        name: team.name.into(),
        root: team.number == TeamNumber::ROOT,
        created_at: Some(timestamp(team.created_at)),
    }
}
