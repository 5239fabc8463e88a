//! The last enabled owner of an organization, who stays one.

use crate::support::rules::LinkMember;
use tokio::task::JoinSet;
use userbridge::{
    domain::{Member, MemberFilter, OrganizationId, Precondition, Role},
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{assert_fails, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

/// Every way in which an owner can cease to be one.
async fn end(
    fixture: &Fixture,
    acme: OrganizationId,
    owner: &Member,
    way: usize,
) -> Result<(), ServiceError> {
    let update = match way {
        0 => values! { role: Some(Role::Admin) },
        1 => values! { portal_role: set("end_user"), role: None },
        2 => values! { enabled: false },
        3 => return fixture.revoke(acme, owner).await.map(|_| ()),
        4 => return fixture.erase(acme, owner).await.map(|_| ()),
        _ => {
            let link = LinkMember {
                user_id: Some(owner.user_id),
                ..fixture.link_with(values! { role: Some(Role::Viewer) })
            };
            return fixture.link_as(acme, link).await.map(|_| ());
        }
    };
    fixture.update(acme, owner, update).await.map(|_| ())
}

const WAYS: std::ops::Range<usize> = 0..6;

pub(super) async fn the_last_enabled_owner_stays_an_owner(fixture: Fixture) {
    for way in WAYS {
        let acme = fixture.organization(&format!("acme-{way}")).await;
        let owner = fixture.holder(acme, SALLY, Role::Owner).await;
        // None of these can act as an owner.
        let disabled = fixture
            .holder(acme, "disabled@acme.example.com", Role::Owner)
            .await;
        fixture
            .update(acme, &disabled, values! { enabled: false })
            .await
            .unwrap();
        let revoked = fixture
            .holder(acme, "revoked@acme.example.com", Role::Owner)
            .await;
        fixture.revoke(acme, &revoked).await.unwrap();
        fixture.holder(acme, "admin@acme.example.com", Role::Admin).await;
        let elsewhere = fixture.organization(&format!("globex-{way}")).await;
        fixture.holder(elsewhere, TOM, Role::Owner).await;
        let log = fixture.log_of(acme).await;
        assert_fails!(
            end(&fixture, acme, &owner, way).await,
            ServiceError::Precondition(Precondition::LastOwner)
        );
        assert_eq!(fixture.now(acme, &owner).await, owner, "way {way}");
        assert_eq!(fixture.log_of(acme).await, log, "way {way}");
        // What leaves it an owner is allowed.
        fixture
            .update(acme, &owner, values! { name: set("Boss") })
            .await
            .unwrap();
        // A second one makes it possible; then the second one is the last.
        let second = fixture.holder(acme, TOM, Role::Owner).await;
        end(&fixture, acme, &owner, way).await.unwrap();
        assert_fails!(
            end(&fixture, acme, &second, way).await,
            ServiceError::Precondition(Precondition::LastOwner)
        );
        // Those who are not the last enabled one can always go.
        end(&fixture, acme, &disabled, way).await.unwrap();
    }
}

pub(super) async fn of_two_owners_who_go_at_once_one_stays(fixture: Fixture) {
    for way in WAYS {
        let acme = fixture.organization(&format!("acme-{way}")).await;
        let owners = [
            fixture.holder(acme, SALLY, Role::Owner).await,
            fixture.holder(acme, TOM, Role::Owner).await,
        ];
        let mut racers = JoinSet::new();
        for owner in owners {
            let fixture = fixture.clone();
            racers.spawn(async move { end(&fixture, acme, &owner, way).await });
        }
        let results = racers.join_all().await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{results:?}");
        let filter = MemberFilter {
            roles: vec![Some(Role::Owner)],
            enabled: Some(true),
            ..MemberFilter::default()
        };
        assert_eq!(fixture.filtered(acme, filter).await.len(), 1);
    }
}

pub(super) async fn an_organization_without_an_owner_needs_none(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let admin = fixture.holder(acme, SALLY, Role::Admin).await;
    for way in WAYS {
        let tom = fixture
            .person(acme, values! { email: set(TOM), role: Some(Role::Editor) })
            .await;
        end(&fixture, acme, &tom, way).await.unwrap();
    }
    fixture.revoke(acme, &admin).await.unwrap();
}

pub(super) async fn an_integrators_delete_leaves_the_last_owner(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let owner = fixture.holder(acme, SALLY, Role::Owner).await;
    let owner = fixture
        .update(acme, &owner, values! { portal_role: set("end_user") })
        .await
        .unwrap();
    for (found, is_end_user) in [(true, true), (false, false)] {
        assert_eq!(
            fixture.now(acme, &owner).await.profile.portal_role.is_some(),
            is_end_user
        );
        let change = fixture.change();
        let deleted = fixture.storage().revoke_user(acme, owner.user_id, change);
        assert_eq!(deleted.await.unwrap(), found);
        let now = fixture.now(acme, &owner).await;
        assert_eq!((now.access, now.revoked_at), (owner.access, None));
    }
}
