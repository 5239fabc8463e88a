//! `userbridge.directory.v1.TeamService`.

use prost::Message as _;
use tonic::{Request, Response};

use super::{
    DirectoryCell, Reply, idempotency,
    page::List,
    proto::userbridge::directory::v1 as pb,
    time::timestamp,
    violations::{Violations, valid},
};
use crate::domain::{Idempotency, Team, TeamName, TeamNumber, TeamSlug};

/// Most members that a team's set is replaced by.
const MAX_MEMBERS: usize = 10_000;

#[tonic::async_trait]
impl pb::team_service_server::TeamService for DirectoryCell {
    async fn create_team(&self, request: Request<pb::CreateTeamRequest>) -> Reply<pb::CreateTeamResponse> {
        let (directory, grant) = self.write(&request).await?;
        let mut violations = Violations::default();
        let key = idempotency::key(&request, grant.actor(), "CreateTeam", &mut violations);
        let pb::CreateTeamRequest { key: slug, name } = request.into_inner();
        let name = Some(name).filter(|name| !name.is_empty());
        let name = violations.check_optional("name", name, TeamName::new);
        let slug = violations.check("key", TeamSlug::new(slug));
        let (slug, name) = violations.finish(slug.zip(name))?;
        let name = name.unwrap_or_else(|| TeamName::from(&slug));
        let idempotency = Idempotency {
            key,
            encode: |value: &Team| created(value.clone()).encode_to_vec(),
        };
        let outcome = directory.create_team(grant, slug, name, idempotency).await?;
        idempotency::response(outcome, created)
    }

    async fn rename_team(&self, request: Request<pb::RenameTeamRequest>) -> Reply<pb::RenameTeamResponse> {
        let (directory, grant) = self.write(&request).await?;
        let pb::RenameTeamRequest { number, name } = request.into_inner();
        let name = valid(|violations| violations.check("name", TeamName::new(name)))?;
        let renamed = directory.rename_team(grant, TeamNumber(number), name).await?;
        Ok(Response::new(pb::RenameTeamResponse {
            team: Some(team(renamed)),
        }))
    }

    async fn delete_team(&self, request: Request<pb::DeleteTeamRequest>) -> Reply<pb::DeleteTeamResponse> {
        let (directory, grant) = self.write(&request).await?;
        directory
            .delete_team(grant, TeamNumber(request.get_ref().number))
            .await?;
        Ok(Response::new(pb::DeleteTeamResponse {}))
    }

    async fn get_team(&self, request: Request<pb::GetTeamRequest>) -> Reply<pb::GetTeamResponse> {
        let (directory, grant) = self.read(&request).await?;
        let found = directory
            .team(grant, TeamNumber(request.get_ref().number))
            .await?;
        Ok(Response::new(pb::GetTeamResponse {
            team: Some(team(found)),
        }))
    }

    async fn list_teams(&self, request: Request<pb::ListTeamsRequest>) -> Reply<pb::ListTeamsResponse> {
        let (directory, grant) = self.read(&request).await?;
        let list = List::of("ListTeams", Some(grant.organization()), &mut request.into_inner());
        let page = valid(|violations| Some(list.page(violations)))?;
        let teams = directory.teams(grant, page).await?;
        Ok(Response::new(pb::ListTeamsResponse {
            next_page_token: list.next(teams.end().map(|last| last.number.0)),
            teams: teams.items.into_iter().map(team).collect(),
        }))
    }

    async fn set_team_members(
        &self,
        request: Request<pb::SetTeamMembersRequest>,
    ) -> Reply<pb::SetTeamMembersResponse> {
        let (directory, grant) = self.write(&request).await?;
        let pb::SetTeamMembersRequest { number, member_ids } = request.get_ref();
        let mut violations = Violations::default();
        if member_ids.len() > MAX_MEMBERS {
            violations.add("member_ids", format_args!("must be at most {MAX_MEMBERS}"));
        }
        let ids = Some(violations.ids("member_ids", member_ids));
        let ids = violations.finish(ids)?;
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
