//! The last enabled owner of an organization, who stays one.

use tokio::task::JoinSet;
use userbridge::{
    domain::{MemberEntry, OrganizationId, Role},
    storage::{LinkMember, MemberFilter, Precondition, StoreError},
};

use super::{
    bench::Bench,
    people::{assert_fails, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

/// Every way in which an owner can cease to be one.
async fn end(bench: &Bench, acme: OrganizationId, owner: &MemberEntry, way: usize) -> Result<(), StoreError> {
    let update = match way {
        0 => values! { role: Some(Role::Admin) },
        1 => values! { portal_role: set("end_user"), role: None },
        2 => values! { enabled: false },
        3 => return bench.revoke(acme, owner).await.map(|_| ()),
        4 => return bench.erase(acme, owner).await.map(|_| ()),
        _ => {
            let link = LinkMember {
                user_id: Some(owner.member.user_id),
                ..bench.link_with(values! { role: Some(Role::Viewer) })
            };
            return bench.link_as(acme, link).await.map(|_| ());
        }
    };
    bench.update(acme, owner, update).await.map(|_| ())
}

const WAYS: std::ops::Range<usize> = 0..6;

pub(super) async fn the_last_enabled_owner_stays_an_owner(bench: Bench) {
    for way in WAYS {
        let acme = bench.organization(&format!("acme-{way}")).await;
        let owner = bench.holder(acme, SALLY, Role::Owner).await;
        // None of these can act as an owner.
        let disabled = bench.holder(acme, "disabled@acme.example.com", Role::Owner).await;
        bench
            .update(acme, &disabled, values! { enabled: false })
            .await
            .unwrap();
        let revoked = bench.holder(acme, "revoked@acme.example.com", Role::Owner).await;
        bench.revoke(acme, &revoked).await.unwrap();
        bench.holder(acme, "admin@acme.example.com", Role::Admin).await;
        let elsewhere = bench.organization(&format!("globex-{way}")).await;
        bench.holder(elsewhere, TOM, Role::Owner).await;
        let log = bench.log_of(acme).await;
        assert_fails!(
            end(&bench, acme, &owner, way).await,
            StoreError::Precondition(Precondition::LastOwner)
        );
        assert_eq!(bench.now(acme, &owner).await, owner, "way {way}");
        assert_eq!(bench.log_of(acme).await, log, "way {way}");
        // What leaves it an owner is allowed.
        bench
            .update(acme, &owner, values! { name: set("Boss") })
            .await
            .unwrap();
        // A second one makes it possible; then the second one is the last.
        let second = bench.holder(acme, TOM, Role::Owner).await;
        end(&bench, acme, &owner, way).await.unwrap();
        assert_fails!(
            end(&bench, acme, &second, way).await,
            StoreError::Precondition(Precondition::LastOwner)
        );
        // Those who are not the last enabled one can always go.
        end(&bench, acme, &disabled, way).await.unwrap();
    }
}

pub(super) async fn of_two_owners_who_go_at_once_one_stays(bench: Bench) {
    for way in WAYS {
        let acme = bench.organization(&format!("acme-{way}")).await;
        let owners = [
            bench.holder(acme, SALLY, Role::Owner).await,
            bench.holder(acme, TOM, Role::Owner).await,
        ];
        let mut racers = JoinSet::new();
        for owner in owners {
            let bench = bench.clone();
            racers.spawn(async move { end(&bench, acme, &owner, way).await });
        }
        let results = racers.join_all().await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{results:?}");
        let filter = MemberFilter {
            roles: vec![Some(Role::Owner)],
            enabled: Some(true),
            ..MemberFilter::default()
        };
        assert_eq!(bench.filtered(acme, filter).await.len(), 1);
    }
}

pub(super) async fn an_organization_without_an_owner_needs_none(bench: Bench) {
    let acme = bench.organization("acme").await;
    let admin = bench.holder(acme, SALLY, Role::Admin).await;
    for way in WAYS {
        let tom = bench
            .person(acme, values! { email: set(TOM), role: Some(Role::Editor) })
            .await;
        end(&bench, acme, &tom, way).await.unwrap();
    }
    bench.revoke(acme, &admin).await.unwrap();
}

pub(super) async fn an_integrators_delete_leaves_the_last_owner(bench: Bench) {
    let acme = bench.organization("acme").await;
    let owner = bench.holder(acme, SALLY, Role::Owner).await;
    let owner = bench
        .update(acme, &owner, values! { portal_role: set("end_user") })
        .await
        .unwrap();
    for (found, is_end_user) in [(true, true), (false, false)] {
        assert_eq!(
            bench.now(acme, &owner).await.member.profile.portal_role.is_some(),
            is_end_user
        );
        let change = bench.change();
        let deleted = bench.storage().revoke_user(acme, owner.member.user_id, change);
        assert_eq!(deleted.await.unwrap(), found);
        let now = bench.now(acme, &owner).await;
        assert_eq!((now.access, now.revoked_at), (owner.access, None));
    }
}
