//! Teams, and who is in them.

use std::collections::BTreeSet;

use tokio::task::JoinSet;
use userbridge::{
    domain::{
        Conflict, EventKind, Idempotency, Member, MemberFilter, OrganizationId, PageRequest, Precondition,
        Resource, Team, TeamNumber,
    },
    service::{
        ServiceError,
        rules::{self, TeamSet},
    },
};

use super::{
    fixture::{Fixture, all},
    people::{address, assert_fails, values},
};
use crate::support::first;

const SALES: TeamNumber = TeamNumber(2);
const SUPPORT: TeamNumber = TeamNumber(3);

impl Fixture {
    pub(super) async fn team(&self, organization: OrganizationId, slug: &str) -> Result<Team, ServiceError> {
        let (slug, name) = (slug.parse().unwrap(), slug.parse().unwrap());
        let made = self.create_team(organization, slug, name, Idempotency::never(), self.change());
        made.await.map(first)
    }

    /// An organization with the teams [`SALES`] and [`SUPPORT`], and this many members in none.
    async fn with_teams(&self, members: usize) -> (OrganizationId, Vec<Member>) {
        let acme = self.organization("acme").await;
        for slug in ["sales", "support"] {
            self.team(acme, slug).await.unwrap();
        }
        let mut people = Vec::new();
        for index in 0..members {
            people.push(
                self.person(acme, address(&format!("{index}@acme.example.com")))
                    .await,
            );
        }
        (acme, people)
    }

    async fn set(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        members: &[&Member],
    ) -> (usize, usize) {
        let ids = members.iter().map(|member| member.id).collect();
        let set = self.set_team_members(organization, team, ids, self.change());
        set.await.unwrap()
    }

    /// Teams, main team and version of a member.
    async fn state(&self, organization: OrganizationId, member: &Member) -> (Vec<i64>, i64, i64) {
        let now = self.now(organization, member).await;
        let teams = now.teams.iter().map(|team| team.0).collect();
        (teams, now.primary_team.0, now.version)
    }

    /// Of the events after this one: kind, subject and fields.
    async fn events_after(
        &self,
        organization: OrganizationId,
        after: usize,
    ) -> Vec<(EventKind, i64, String)> {
        let log = self.log_of(organization).await;
        let members = self.filtered(organization, MemberFilter::default()).await;
        let number = |id| members.iter().find(|member| Some(member.id) == id);
        log[after..]
            .iter()
            .map(|event| {
                let of_team = event.team.map(|team| team.0);
                let of_member = number(event.member_id).map(|member| member.number.0);
                let subject = of_team.or(of_member).unwrap_or_default();
                (event.kind, subject, event.fields.join(" "))
            })
            .collect()
    }
}

pub(super) async fn a_team_has_the_next_number_and_a_slug_of_its_own(fixture: Fixture) {
    let (acme, _) = fixture.with_teams(0).await;
    let globex = fixture.organization("globex").await;
    for taken in ["root", "sales"] {
        assert_fails!(
            fixture.team(acme, taken).await,
            ServiceError::Conflict(Conflict::Team)
        );
    }
    // Another organization counts for itself.
    assert_eq!(fixture.team(globex, "sales").await.unwrap().number, SALES);
    fixture
        .delete_team(acme, SUPPORT, fixture.change())
        .await
        .unwrap();
    // A number is never used again, a slug is.
    assert_eq!(fixture.team(acme, "support").await.unwrap().number, TeamNumber(4));
    let teams = fixture.teams(acme, all()).await.unwrap();
    let teams: Vec<_> = teams
        .iter()
        .map(|team| (team.number.0, team.slug.as_str()))
        .collect();
    assert_eq!(teams, [(1, "root"), (2, "sales"), (4, "support")]);
    let page = PageRequest {
        after: Some(SALES),
        limit: 1,
    };
    assert_eq!(fixture.teams(acme, page).await.unwrap()[0].number, TeamNumber(4));
    fixture.delete_organization(acme, fixture.change()).await.unwrap();
    assert_fails!(
        fixture.team(acme, "late").await,
        ServiceError::NotFound(Resource::Organization)
    );
}

pub(super) async fn of_many_teams_made_at_once_each_has_a_number_of_its_own(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut racers = JoinSet::new();
    for index in 0..40 {
        let fixture = fixture.clone();
        // Two want each slug.
        racers.spawn(async move { fixture.team(acme, &format!("team-{}", index / 2)).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert!(
        refused
            .iter()
            .all(|one| matches!(one, Err(ServiceError::Conflict(Conflict::Team))))
    );
    let numbers: BTreeSet<_> = made.into_iter().map(|team| team.unwrap().number).collect();
    assert_eq!(numbers.len(), 20);
    let listed = fixture.teams(acme, all()).await.unwrap();
    assert!(listed[1..].iter().map(|team| team.number).eq(numbers));
}

pub(super) async fn a_renamed_team_keeps_all_else(fixture: Fixture) {
    let (acme, _) = fixture.with_teams(0).await;
    let events = fixture.log_of(acme).await.len();
    let before = fixture.teams(acme, all()).await.unwrap()[1].clone();
    let rename = async |team, name: &str| {
        let name = name.parse().unwrap();
        fixture.rename_team(acme, team, name, fixture.change()).await
    };
    let expected = Team {
        name: "Sellers".parse().unwrap(),
        ..before
    };
    // The second time nothing changes, which is no event.
    for _ in 0..2 {
        assert_eq!(rename(SALES, "Sellers").await.unwrap(), expected);
        assert_eq!(fixture.teams(acme, all()).await.unwrap()[1], expected);
    }
    let told = [(EventKind::TeamRenamed, 2, "name".to_owned())];
    assert_eq!(fixture.events_after(acme, events).await, told);
    assert_fails!(
        rename(TeamNumber(9), "Nobody").await,
        ServiceError::NotFound(Resource::Team)
    );
}

pub(super) async fn the_members_of_a_team_are_those_who_were_named(fixture: Fixture) {
    let (acme, people) = fixture.with_teams(4).await;
    let globex = fixture.organization("globex").await;
    let stranger = fixture.person(globex, address("a@globex.example.com")).await;
    assert_eq!(
        fixture
            .set(acme, SALES, &[&people[0], &people[1], &people[1]])
            .await,
        (2, 0)
    );
    let events = fixture.log_of(acme).await.len();
    assert_eq!(fixture.set(acme, SALES, &[&people[1], &people[2]]).await, (1, 1));
    for (person, teams, version) in [(0, vec![], 3), (1, vec![2], 2), (2, vec![2], 2), (3, vec![], 1)] {
        assert_eq!(fixture.state(acme, &people[person]).await, (teams, 1, version));
    }
    let updated = |number| (EventKind::MemberUpdated, number, "teams".to_owned());
    assert_eq!(fixture.events_after(acme, events).await, [updated(1), updated(3)]);
    // One who is not live here, and nothing happens.
    fixture.revoke(acme, &people[3]).await.unwrap();
    for other in [&stranger, &people[3]] {
        let ids = vec![people[0].id, other.id];
        let set = fixture.set_team_members(acme, SALES, ids, fixture.change());
        assert_fails!(set.await, ServiceError::NotFound(Resource::Member));
    }
    let set = fixture.set_team_members(acme, TeamNumber(9), Vec::new(), fixture.change());
    assert_fails!(set.await, ServiceError::NotFound(Resource::Team));
    assert_eq!(fixture.state(acme, &people[0]).await, (vec![], 1, 3));
    assert_eq!(fixture.set(acme, SALES, &[]).await, (0, 2));
}

pub(super) async fn a_team_that_is_deleted_takes_nobody_with_it(fixture: Fixture) {
    let (acme, people) = fixture.with_teams(4).await;
    // In it, with it as the main team, both, neither.
    fixture.set(acme, SALES, &[&people[0], &people[2]]).await;
    for person in [1, 2] {
        let patch = values! { primary_team: SALES };
        fixture.update(acme, &people[person], patch).await.unwrap();
    }
    fixture.set(acme, SUPPORT, &[&people[0]]).await;
    let before = fixture.log_of(acme).await.len();
    let versions = async || {
        let mut versions = Vec::new();
        for person in &people {
            versions.push(fixture.state(acme, person).await.2);
        }
        versions
    };
    let old = versions().await;
    fixture.delete_team(acme, SALES, fixture.change()).await.unwrap();
    for (person, teams) in [(0, vec![3]), (1, vec![]), (2, vec![]), (3, vec![])] {
        let (now, main, _) = fixture.state(acme, &people[person]).await;
        assert_eq!((now, main), (teams, 1));
    }
    let grown: Vec<_> = versions()
        .await
        .iter()
        .zip(&old)
        .map(|(new, old)| new - old)
        .collect();
    assert_eq!(grown, [1, 1, 1, 0]);
    let updated = |number, fields: &str| (EventKind::MemberUpdated, number, fields.to_owned());
    let told = [
        (EventKind::TeamDeleted, 2, String::new()),
        updated(3, "teams primary_team"),
        updated(1, "teams"),
        updated(2, "primary_team"),
    ];
    assert_eq!(fixture.events_after(acme, before).await, told);
    let log = fixture.log_of(acme).await;
    assert!(
        log.iter()
            .map(|event| event.sequence)
            .eq(1..=i64::try_from(log.len()).unwrap())
    );
    let root = fixture.delete_team(acme, TeamNumber::ROOT, fixture.change());
    assert_fails!(root.await, ServiceError::Precondition(Precondition::RootTeam));
    let again = fixture.delete_team(acme, SALES, fixture.change());
    assert_fails!(again.await, ServiceError::NotFound(Resource::Team));
}

pub(super) async fn many_leave_a_team_in_steps(fixture: Fixture) {
    let (acme, people) = fixture.with_teams(7).await;
    let everybody: Vec<_> = people.iter().collect();
    for person in &people[1..3] {
        let patch = values! { primary_team: SALES };
        fixture.update(acme, person, patch).await.unwrap();
    }
    let states = async || {
        let mut states = Vec::new();
        for person in &people {
            let (teams, main, _) = fixture.state(acme, person).await;
            states.push((teams.len(), main));
        }
        states
    };
    fixture.set(acme, SALES, &everybody).await;
    let wanted: BTreeSet<_> = [people[0].id, people[6].id].into();
    let set = async || {
        let input = (acme, wanted.clone(), fixture.change());
        let set = fixture.write(acme, input, |tx, (acme, wanted, change)| {
            Box::pin(rules::set_team_members(tx, *acme, SALES, wanted, change, 2))
        });
        set.await.unwrap()
    };
    // Of the first four, one is wanted.
    assert_eq!(set().await, TeamSet::Fewer(3));
    let (one, main) = ((1, 1), (0, 2));
    assert_eq!(states().await, [one, main, main, (0, 1), one, one, one]);
    let (added, removed) = (0, 2);
    assert_eq!(set().await, TeamSet::Fewer(removed));
    assert_eq!(set().await, TeamSet::Whole { added, removed: 0 });
    assert_eq!(states().await, [one, main, main, (0, 1), (0, 1), (0, 1), one]);

    fixture.set(acme, SALES, &everybody).await;
    let before = fixture.log_of(acme).await.len();
    let delete = async || {
        let deleted = fixture.write(acme, (acme, fixture.change()), |tx, (acme, change)| {
            Box::pin(rules::delete_team(tx, *acme, SALES, change, 3))
        });
        deleted.await.unwrap()
    };
    for (gone, left) in [(false, 4), (false, 1), (true, 0)] {
        assert_eq!(delete().await, gone);
        let states = states().await;
        assert_eq!(states.iter().map(|(teams, _)| teams).sum::<usize>(), left);
        assert!(states.iter().all(|(_, main)| *main == 1));
    }
    let events = fixture.events_after(acme, before).await;
    let mut fields: Vec<_> = events
        .into_iter()
        .map(|(_, number, fields)| (number, fields))
        .collect();
    fields.sort_unstable();
    let teams = |number| (number, "teams".to_owned());
    let both = |number| (number, "teams primary_team".to_owned());
    let deleted = (2, String::new());
    assert_eq!(
        fields,
        [
            teams(1),
            deleted,
            both(2),
            both(3),
            teams(4),
            teams(5),
            teams(6),
            teams(7)
        ]
    );
}

pub(super) async fn a_revoked_member_keeps_its_teams_until_they_are_deleted(fixture: Fixture) {
    let (acme, people) = fixture.with_teams(1).await;
    let sally = &people[0];
    for team in [SALES, SUPPORT] {
        fixture.set(acme, team, &[sally]).await;
    }
    fixture.revoke(acme, sally).await.unwrap();
    // The set is that of live members: nobody goes out.
    assert_eq!(fixture.set(acme, SALES, &[]).await, (0, 0));
    fixture
        .delete_team(acme, SUPPORT, fixture.change())
        .await
        .unwrap();
    let restored = fixture.restore(acme, sally).await.unwrap();
    assert_eq!(restored.teams, [SALES]);
}

pub(super) async fn a_team_of_another_organization_is_not_there(fixture: Fixture) {
    let (_acme, _) = fixture.with_teams(0).await;
    let globex = fixture.organization("globex").await;
    let change = || fixture.change();
    let renamed = fixture.rename_team(globex, SALES, "Ours".parse().unwrap(), change());
    assert_fails!(renamed.await, ServiceError::NotFound(Resource::Team));
    assert_fails!(
        fixture.delete_team(globex, SALES, change()).await,
        ServiceError::NotFound(Resource::Team)
    );
    let set = fixture.set_team_members(globex, SALES, Vec::new(), change());
    assert_fails!(set.await, ServiceError::NotFound(Resource::Team));
    assert_eq!(fixture.teams(globex, all()).await.unwrap().len(), 1);
}
