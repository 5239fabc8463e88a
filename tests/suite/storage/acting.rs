//! Members who act themselves, as on the hosted pages.

use tokio::task::JoinSet;
use userbridge::{
    domain::{Idempotency, Member, MemberPatch, MemberRef, OrganizationId, Role, TeamNumber},
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{assert_fails, set, values},
};
use crate::support::first;

const SALLY: &str = "sally@acme.example.com";

/// An organization with an owner, an admin, a viewer, and a team that the owner is in.
struct House {
    acme: OrganizationId,
    owner: Member,
    admin: Member,
    viewer: Member,
    team: TeamNumber,
}

impl House {
    async fn new(fixture: &Fixture) -> Self {
        let acme = fixture.organization("acme").await;
        let (slug, name) = ("sales".parse().unwrap(), "Sales".parse().unwrap());
        let change = fixture.change();
        let team = fixture.create_team(acme, slug, name, Idempotency::never(), change);
        let team = first(team.await.unwrap()).number;
        let owner =
            values! { email: set("owner@acme.example.com"), role: Some(Role::Owner), teams: vec![team] };
        fixture.holder(acme, "second@acme.example.com", Role::Owner).await;
        Self {
            acme,
            owner: fixture.person(acme, owner).await,
            admin: fixture.holder(acme, "admin@acme.example.com", Role::Admin).await,
            viewer: fixture
                .holder(acme, "viewer@acme.example.com", Role::Viewer)
                .await,
            team,
        }
    }
}

async fn update(
    fixture: &Fixture,
    house: &House,
    by: &Member,
    member: &Member,
    patch: MemberPatch,
) -> Result<(), ServiceError> {
    let change = fixture.change_by(by);
    let updated = fixture
        .storage()
        .update_member(house.acme, member.id, patch, None, change);
    updated.await.map(|_| ())
}

async fn link(
    fixture: &Fixture,
    house: &House,
    by: &Member,
    patch: MemberPatch,
) -> Result<Member, ServiceError> {
    let (link, change) = (fixture.link_with(patch), fixture.change_by(by));
    let linked = fixture
        .storage()
        .link_member(house.acme, link, Idempotency::never(), change);
    linked.await.map(|linked| first(linked).member)
}

pub(super) async fn an_admin_neither_changes_nor_makes_an_owner(fixture: Fixture) {
    let house = House::new(&fixture).await;
    let House {
        acme,
        owner,
        admin,
        viewer,
        team,
    } = &house;
    let by = || fixture.change_by(admin);
    let log = fixture.log_of(*acme).await;
    let refused = [
        update(&fixture, &house, admin, owner, values! { name: set("Boss") }).await,
        update(
            &fixture,
            &house,
            admin,
            owner,
            values! { role: Some(Role::Viewer) },
        )
        .await,
        update(
            &fixture,
            &house,
            admin,
            viewer,
            values! { role: Some(Role::Owner) },
        )
        .await,
        update(
            &fixture,
            &house,
            admin,
            admin,
            values! { role: Some(Role::Owner) },
        )
        .await,
        fixture
            .storage()
            .revoke_member(*acme, owner.id, None, by())
            .await
            .map(|_| ()),
        fixture
            .storage()
            .erase_member(*acme, viewer.id, by())
            .await
            .map(|_| ()),
        link(
            &fixture,
            &house,
            admin,
            values! { email: set(SALLY), role: Some(Role::Owner) },
        )
        .await
        .map(|_| ()),
        link(
            &fixture,
            &house,
            admin,
            values! { email: set("owner@acme.example.com"), name: set("Boss") },
        )
        .await
        .map(|_| ()),
        fixture
            .set_team_members(*acme, *team, vec![viewer.id], by())
            .await
            .map(|_| ()),
        fixture.delete_team(*acme, *team, by()).await,
        fixture
            .ask_for_password(*acme, MemberRef::Id(owner.id), by())
            .await,
    ];
    for result in refused {
        assert_fails!(result, ServiceError::RoleRequired);
    }
    assert_eq!(fixture.log_of(*acme).await, log);
    assert_eq!(&fixture.now(*acme, owner).await, owner);
    // Nor does it bring one back.
    fixture.revoke(*acme, owner).await.unwrap();
    let restored = fixture.storage().restore_member(*acme, owner.id, by()).await;
    assert_fails!(restored, ServiceError::RoleRequired);
}

pub(super) async fn an_admin_manages_everybody_else_and_an_owner_everybody(fixture: Fixture) {
    let house = House::new(&fixture).await;
    let House {
        acme,
        owner,
        admin,
        team,
        ..
    } = &house;
    for (by, role) in [(admin, Role::Admin), (owner, Role::Owner)] {
        let change = || fixture.change_by(by);
        let sally = link(
            &fixture,
            &house,
            by,
            values! { email: set(SALLY), role: Some(role) },
        );
        let sally = sally.await.unwrap();
        update(&fixture, &house, by, &sally, values! { name: set("Sally") })
            .await
            .unwrap();
        let members = vec![owner.id, sally.id];
        fixture
            .set_team_members(*acme, *team, members, change())
            .await
            .unwrap();
        fixture
            .storage()
            .revoke_member(*acme, sally.id, None, change())
            .await
            .unwrap();
        fixture
            .storage()
            .restore_member(*acme, sally.id, change())
            .await
            .unwrap();
        let name = "Sellers".parse().unwrap();
        fixture.rename_team(*acme, *team, name, change()).await.unwrap();
        fixture
            .storage()
            .revoke_member(*acme, sally.id, None, change())
            .await
            .unwrap();
    }
    fixture
        .delete_team(*acme, *team, fixture.change_by(owner))
        .await
        .unwrap();
    // Itself too.
    update(&fixture, &house, admin, admin, values! { name: set("Admin") })
        .await
        .unwrap();
}

pub(super) async fn who_has_lost_the_role_changes_nothing(fixture: Fixture) {
    let house = House::new(&fixture).await;
    let House {
        acme,
        admin,
        viewer,
        team,
        ..
    } = &house;
    for ending in [
        values! { role: Some(Role::Editor) },
        values! { role: Some(Role::Admin), enabled: false },
    ] {
        fixture.update(*acme, admin, ending).await.unwrap();
        let by = || fixture.change_by(admin);
        let (slug, name) = ("new".parse().unwrap(), "New".parse().unwrap());
        let refused = [
            update(&fixture, &house, admin, viewer, values! { name: set("V") }).await,
            link(&fixture, &house, admin, values! { email: set(SALLY) })
                .await
                .map(|_| ()),
            fixture
                .storage()
                .revoke_member(*acme, viewer.id, None, by())
                .await
                .map(|_| ()),
            fixture
                .create_team(*acme, slug, name, Idempotency::never(), by())
                .await
                .map(|_| ()),
            fixture
                .rename_team(*acme, *team, "Other".parse().unwrap(), by())
                .await
                .map(|_| ()),
            fixture.delete_team(*acme, *team, by()).await,
        ];
        for result in refused {
            assert_fails!(result, ServiceError::RoleRequired);
        }
    }
}

/// Whatever comes first, the log never has a change by the admin after the one that took its role.
pub(super) async fn a_change_that_races_with_the_end_of_the_role_comes_first_or_not_at_all(fixture: Fixture) {
    let house = House::new(&fixture).await;
    let House {
        acme, admin, viewer, ..
    } = &house;
    let (acme, admin, viewer) = (*acme, admin.clone(), viewer.clone());
    let mut racers = JoinSet::new();
    for number in 0..8 {
        let (racer, change) = (fixture.clone(), fixture.change_by(&admin));
        let patch = values! { name: set(&format!("Viewer {number}")) };
        racers.spawn(async move {
            let updated = racer
                .storage()
                .update_member(acme, viewer.id, patch, None, change);
            updated.await.is_ok()
        });
        if number == 4 {
            let (racer, admin) = (fixture.clone(), admin.clone());
            racers.spawn(async move {
                let demoted = racer.update(acme, &admin, values! { role: Some(Role::Viewer) });
                demoted.await.is_ok()
            });
        }
    }
    let done = racers.join_all().await.into_iter().filter(|done| *done).count();
    let log = fixture.log_of(acme).await;
    let demoted = log
        .iter()
        .position(|event| event.member_id == Some(admin.id) && event.fields == ["role"]);
    let by_admin =
        |event: &&userbridge::domain::Event| event.actor == userbridge::domain::Actor::Member(admin.id);
    let demoted = demoted.expect("the demotion is in the log");
    assert_eq!(log.iter().filter(by_admin).count(), done - 1);
    assert_eq!(log.iter().skip(demoted).filter(by_admin).count(), 0);
}
