//! Teams, for internal services and operators.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Directory, Read, Result, ServiceError, Write,
    acting::{leaves_owners_alone, may_touch},
    rules::{Transaction, live_organization, team, write_once},
};
use crate::domain::{
    Change, EventKind, Idempotency, Idempotent, MemberId, MemberNumber, OrganizationId, Page, PageRequest,
    Precondition, Resource, Subject, Team, TeamName, TeamNumber, TeamSlug,
};

/// Most members that go out of a team in one transaction, which others wait for. More go in several, one after the other.
const OUT_AT_ONCE: usize = 2_000;

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
    /// is gone. Thousands leave one after the other; if that fails half way, the others are still in the team.
    ///
    /// # Errors
    ///
    /// [`Resource::Team`]. [`Precondition::RootTeam`].
    pub async fn delete_team(&self, grant: Write, number: TeamNumber) -> Result<()> {
        let mut has_begun = false;
        loop {
            let input = (grant.organization, number, self.change(grant.author.clone()));
            let deleted =
                self.storage
                    .write(grant.organization, input, |tx, (organization, number, change)| {
                        Box::pin(delete_team(tx, *organization, *number, change, OUT_AT_ONCE))
                    });
            match deleted.await {
                Ok(false) => has_begun = true,
                // Somebody else has ended it.
                Err(ServiceError::NotFound(Resource::Team)) if has_begun => return Ok(()),
                deleted => return deleted.map(drop),
            }
        }
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
    /// version grows, with an event of its own. A revoked member keeps its teams for the day it is restored. Of thousands who go out
    /// the first do so before anybody comes in, and stay out if the rest fails.
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
        let members: Arc<BTreeSet<_>> = Arc::new(members.into_iter().collect());
        let mut out_before = 0;
        loop {
            let change = self.change(grant.author.clone());
            let input = (grant.organization, number, members.clone(), change);
            let set = self.storage.write(
                grant.organization,
                input,
                |tx, (organization, number, members, change)| {
                    Box::pin(set_team_members(
                        tx,
                        *organization,
                        *number,
                        members,
                        change,
                        OUT_AT_ONCE,
                    ))
                },
            );
            match set.await? {
                TeamSet::Whole { added, removed } => return Ok((added, out_before + removed)),
                TeamSet::Fewer(removed) => out_before += removed,
            }
        }
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

/// The rule of [`Directory::delete_team`], and whether the team is gone. It is not if so many have left it and others have not.
///
/// # Errors
///
/// As there.
pub async fn delete_team(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    number: TeamNumber,
    change: &Change,
    at_once: usize,
) -> Result<bool> {
    team(tx, organization, number).await?;
    leaves_owners_alone(tx, organization, change).await?;
    if number == TeamNumber::ROOT {
        return Err(Precondition::RootTeam.into());
    }
    let members = tx.team_members(organization, number, false, at_once).await?;
    tx.take_out_of_team(organization, number, &members).await?;
    let main = tx
        .replace_primary_team(organization, number, TeamNumber::ROOT, at_once)
        .await?;
    let is_empty = members.len() < at_once && main.len() < at_once;
    if is_empty {
        tx.remove_team(organization, number).await?;
        let (kind, subject) = (EventKind::TeamDeleted, Subject::Team(number));
        tx.append_event(Some(organization), kind, subject, &[], change)
            .await?;
    }
    let (inside, main) = (set(members), set(main));
    let changed: [(_, &[_]); 3] = [
        (&inside & &main, &["teams", "primary_team"]),
        (&inside - &main, &["teams"]),
        (&main - &inside, &["primary_team"]),
    ];
    for (members, fields) in changed {
        touch(tx, organization, members, fields, change).await?;
    }
    Ok(is_empty)
}

/// What became of a team whose members were set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamSet {
    /// It has them. So many came in and went out.
    Whole { added: usize, removed: usize },
    /// So many went out. Others have to, and nobody came in.
    Fewer(usize),
}

/// The rule of [`Directory::set_team_members`], where so many go out at once.
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
    at_once: usize,
) -> Result<TeamSet> {
    team(tx, organization, number).await?;
    let ids: Vec<_> = members.iter().copied().collect();
    let wanted = set(tx.live_numbers(organization, &ids).await?);
    if wanted.len() != members.len() {
        return Err(Resource::Member.into());
    }
    // If there are more of them, at least `at_once` are not wanted.
    let most = wanted.len() + at_once;
    let present = set(tx.team_members(organization, number, true, most).await?);
    let is_whole = present.len() < most;
    let mut changed = &present - &wanted;
    let removed: Vec<_> = changed.iter().copied().collect();
    tx.take_out_of_team(organization, number, &removed).await?;
    let set = if is_whole {
        let added: Vec<_> = wanted.difference(&present).copied().collect();
        tx.put_in_team(organization, number, &added).await?;
        changed.extend(&added);
        TeamSet::Whole {
            added: added.len(),
            removed: removed.len(),
        }
    } else {
        TeamSet::Fewer(removed.len())
    };
    touch(tx, organization, changed, &["teams"], change).await?;
    Ok(set)
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
