//! Teams, for internal services and operators.

use std::collections::BTreeSet;

use super::{
    Directory, Read, Result, Write,
    acting::{leaves_owners_alone, may_touch},
    rules::{Transaction, live_organization, team, write_once},
};
use crate::domain::{
    Change, EventKind, Idempotency, Idempotent, MemberId, MemberNumber, OrganizationId, Page, PageRequest,
    Precondition, Resource, Subject, Team, TeamName, TeamNumber, TeamSlug,
};

impl Directory {
    /// Makes a team with the next number.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]. [`crate::domain::Conflict::Team`]: a team has the slug.
    /// [`Precondition::IdempotencyKeyReused`].
    pub async fn create_team(
        &self,
        grant: Write,
        slug: TeamSlug,
        name: TeamName,
        idempotency: Idempotency<Team>,
    ) -> Result<Idempotent<Team>> {
        let organization = grant.organization;
        let change = self.change(grant.author);
        let (at, input) = (change.at, (organization, slug, name, change));
        write_once(
            &*self.storage,
            Some(organization),
            idempotency,
            at,
            input,
            |tx, (organization, slug, name, change)| {
                Box::pin(create_team(tx, *organization, slug, name, change))
            },
        )
        .await
    }

    /// Gives a team another name.
    ///
    /// # Errors
    ///
    /// [`Resource::Team`].
    pub async fn rename_team(&self, grant: Write, number: TeamNumber, name: TeamName) -> Result<Team> {
        let input = (grant.organization, number, name, self.change(grant.author));
        self.storage
            .write(
                grant.organization,
                input,
                |tx, (organization, number, name, change)| {
                    Box::pin(rename_team(tx, *organization, *number, name, change))
                },
            )
            .await
    }

    /// Removes a team. Its members leave it; those whose main team it was have the root team again. They change with
    /// it: their versions grow, each with an event of its own. Revoked ones too: nobody can be restored into a team that
    /// is gone.
    ///
    /// # Errors
    ///
    /// [`Resource::Team`]. [`Precondition::RootTeam`].
    pub async fn delete_team(&self, grant: Write, number: TeamNumber) -> Result<()> {
        let input = (grant.organization, number, self.change(grant.author));
        self.storage
            .write(grant.organization, input, |tx, (organization, number, change)| {
                Box::pin(delete_team(tx, *organization, *number, change))
            })
            .await
    }

    /// One team.
    ///
    /// # Errors
    ///
    /// [`Resource::Team`].
    pub async fn team(&self, grant: Read, number: TeamNumber) -> Result<Team> {
        let page = PageRequest {
            after: Some(TeamNumber(number.0.saturating_sub(1))),
            limit: 1,
        };
        let found = self.storage.teams(grant.organization, page).await?.pop();
        found
            .filter(|found| found.number == number)
            .ok_or(Resource::Team.into())
    }

    /// Teams in the order of their numbers.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn teams(&self, grant: Read, page: PageRequest<TeamNumber>) -> Result<Page<Team>> {
        let limit = page.limit;
        let teams = self.storage.teams(grant.organization, page.and_one_more());
        Ok(Page::of(teams.await?, limit))
    }

    /// Replaces the set of a team's live members and returns how many came in and went out. Each of them changes: its
    /// version grows, with an event of its own. A revoked member keeps its teams for the day it is restored.
    ///
    /// # Errors
    ///
    /// [`Resource::Team`]. [`Resource::Member`]: one of them is no live member.
    pub async fn set_team_members(
        &self,
        grant: Write,
        number: TeamNumber,
        members: Vec<MemberId>,
    ) -> Result<(usize, usize)> {
        let members: BTreeSet<_> = members.into_iter().collect();
        let input = (grant.organization, number, members, self.change(grant.author));
        self.storage
            .write(
                grant.organization,
                input,
                |tx, (organization, number, members, change)| {
                    Box::pin(set_team_members(tx, *organization, *number, members, change))
                },
            )
            .await
    }
}

/// The rule of [`Directory::create_team`].
///
/// # Errors
///
/// As there.
pub async fn create_team(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    slug: &TeamSlug,
    name: &TeamName,
    change: &Change,
) -> Result<Team> {
    live_organization(tx, organization).await?;
    leaves_owners_alone(tx, organization, change).await?;
    let team = Team {
        number: tx.next_team_number(organization).await?,
        slug: slug.clone(),
        name: name.clone(),
        created_at: change.at,
    };
    tx.insert_team(organization, &team).await?;
    let (kind, subject) = (EventKind::TeamCreated, Subject::Team(team.number));
    tx.append_event(Some(organization), kind, subject, &["key", "name"], change)
        .await?;
    Ok(team)
}

/// The rule of [`Directory::rename_team`].
///
/// # Errors
///
/// As there.
pub async fn rename_team(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    number: TeamNumber,
    name: &TeamName,
    change: &Change,
) -> Result<Team> {
    let before = team(tx, organization, number).await?;
    leaves_owners_alone(tx, organization, change).await?;
    if before.name == *name {
        return Ok(before);
    }
    let after = Team {
        name: name.clone(),
        ..before
    };
    tx.save_team(organization, &after).await?;
    let (kind, subject) = (EventKind::TeamRenamed, Subject::Team(after.number));
    tx.append_event(Some(organization), kind, subject, &["name"], change)
        .await?;
    Ok(after)
}

/// The rule of [`Directory::delete_team`].
///
/// # Errors
///
/// As there.
pub async fn delete_team(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    number: TeamNumber,
    change: &Change,
) -> Result<()> {
    team(tx, organization, number).await?;
    leaves_owners_alone(tx, organization, change).await?;
    if number == TeamNumber::ROOT {
        return Err(Precondition::RootTeam.into());
    }
    let members = tx.team_members(organization, number, false).await?;
    tx.take_out_of_team(organization, number, &members).await?;
    let main = tx
        .replace_primary_team(organization, number, TeamNumber::ROOT)
        .await?;
    tx.remove_team(organization, number).await?;
    let (kind, subject) = (EventKind::TeamDeleted, Subject::Team(number));
    tx.append_event(Some(organization), kind, subject, &[], change)
        .await?;
    let (inside, main) = (set(members), set(main));
    let changed: [(_, &[_]); 3] = [
        (&inside & &main, &["teams", "primary_team"]),
        (&inside - &main, &["teams"]),
        (&main - &inside, &["primary_team"]),
    ];
    for (members, fields) in changed {
        touch(tx, organization, members, fields, change).await?;
    }
    Ok(())
}

/// The rule of [`Directory::set_team_members`].
///
/// # Errors
///
/// As there.
pub async fn set_team_members(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    number: TeamNumber,
    members: &BTreeSet<MemberId>,
    change: &Change,
) -> Result<(usize, usize)> {
    team(tx, organization, number).await?;
    let ids: Vec<_> = members.iter().copied().collect();
    let wanted = set(tx.live_numbers(organization, &ids).await?);
    if wanted.len() != members.len() {
        return Err(Resource::Member.into());
    }
    let present = set(tx.team_members(organization, number, true).await?);
    let added: Vec<_> = wanted.difference(&present).copied().collect();
    let removed: Vec<_> = present.difference(&wanted).copied().collect();
    tx.put_in_team(organization, number, &added).await?;
    tx.take_out_of_team(organization, number, &removed).await?;
    touch(tx, organization, &wanted ^ &present, &["teams"], change).await?;
    Ok((added.len(), removed.len()))
}

fn set(members: Vec<MemberNumber>) -> BTreeSet<MemberNumber> {
    members.into_iter().collect()
}

async fn touch(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    members: BTreeSet<MemberNumber>,
    fields: &[&'static str],
    change: &Change,
) -> Result<()> {
    let members: Vec<_> = members.into_iter().collect();
    if !members.is_empty() {
        may_touch(tx, organization, change, &members).await?;
        tx.touch_members(organization, &members, fields, change).await?;
    }
    Ok(())
}
