//! Organizations.

use std::collections::BTreeSet;

use tokio::task::JoinSet;
use userbridge::{
    domain::{EventKind, Organization, Page, Role, Scope, Slug},
    storage::{Conflict, LinkMember, LinkOutcome, Linked, Missing, OrganizationPatch, StoreError},
};

use super::{
    bench::{Bench, all},
    people::{address, set, values},
};

pub(super) async fn an_organization_is_found_by_its_id_and_by_its_slug(bench: Bench) {
    let acme = bench.new_organization("acme");
    bench
        .create_organization(acme.clone(), bench.change())
        .await
        .unwrap();
    bench.organization("globex").await;
    assert_eq!(
        bench.storage().organization(acme.id).await.unwrap(),
        Some(acme.clone())
    );
    assert_eq!(bench.organization_by_slug(&acme.slug).await.unwrap(), Some(acme));
    let nobody = bench.new_organization("nobody");
    assert_eq!(bench.storage().organization(nobody.id).await.unwrap(), None);
    assert_eq!(bench.organization_by_slug(&nobody.slug).await.unwrap(), None);
}

pub(super) async fn a_slug_is_unique_among_live_organizations(bench: Bench) {
    let id = bench.organization("acme").await;
    let second = bench.new_organization("acme");
    let refused = bench.create_organization(second.clone(), bench.change()).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(Conflict::Slug))),
        "{refused:?}"
    );
    assert_eq!(bench.storage().organization(second.id).await.unwrap(), None);
    assert_eq!(
        bench
            .organization_by_slug(&second.slug)
            .await
            .unwrap()
            .unwrap()
            .id,
        id
    );
}

pub(super) async fn of_many_who_want_a_slug_at_once_one_gets_it(bench: Bench) {
    let mut racers = JoinSet::new();
    for _ in 0..20 {
        let bench = bench.clone();
        racers.spawn(async move {
            let organization = bench.new_organization("acme");
            bench.create_organization(organization, bench.change()).await
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(()) | Err(StoreError::Conflict(Conflict::Slug))))
    );
    assert_eq!(bench.organizations(all()).await.unwrap().len(), 1);
}

pub(super) async fn a_deleted_organization_is_gone_and_its_slug_is_free(bench: Bench) {
    let first = bench.organization("acme").await;
    let slug = Slug::new("acme").unwrap();
    assert!(bench.delete_organization(first, bench.change()).await.unwrap());
    assert_eq!(bench.storage().organization(first).await.unwrap(), None);
    assert_eq!(bench.organization_by_slug(&slug).await.unwrap(), None);
    assert_eq!(bench.organizations(all()).await.unwrap(), []);
    assert!(!bench.delete_organization(first, bench.change()).await.unwrap());

    let second = bench.organization("acme").await;
    assert_eq!(
        bench.organization_by_slug(&slug).await.unwrap().unwrap().id,
        second
    );
    assert!(!bench.delete_organization(first, bench.change()).await.unwrap());
    assert!(bench.storage().organization(second).await.unwrap().is_some());
}

pub(super) async fn a_deleted_organization_has_no_key_that_opens_anything(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let public = bench.public_key(acme).await;
    let admin = bench.new_key(acme, &[Scope::Admin]);
    bench
        .create_api_key(acme, admin.clone(), bench.change())
        .await
        .unwrap();
    let other = bench.public_key(globex).await;
    bench.delete_organization(acme, bench.change()).await.unwrap();
    let now = bench.tick();
    for dead in [&public, &admin] {
        let key = bench.api_key_by_digest(dead.digest).await.unwrap();
        assert!(key.is_none_or(|key| !key.is_active(now)));
    }
    assert!(bench.stored(&other).await.is_active(now));
}

pub(super) async fn a_deleted_organization_takes_nothing_new(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await;
    bench.delete_organization(acme, bench.change()).await.unwrap();
    let events = bench.log_of(acme).await.len();

    let linked = bench.try_link(acme, "sally@acme.example.com").await;
    assert!(matches!(linked, Err(StoreError::NotFound(_))), "{linked:?}");
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    let created = bench.create_api_key(acme, new.clone(), bench.change()).await;
    assert!(matches!(created, Err(StoreError::NotFound(_))), "{created:?}");
    let later = bench.tick();
    let rotated = bench
        .rotate_api_key(acme, old.key.id, later, new, bench.change())
        .await;
    assert!(matches!(rotated, Err(StoreError::NotFound(_))), "{rotated:?}");
    assert_eq!(bench.log_of(acme).await.len(), events);
}

pub(super) async fn organizations_come_in_the_order_of_their_slugs(bench: Bench) {
    let slugs: BTreeSet<String> = (0..7)
        .map(|n| format!("org-{}", (n * 5) % 7))
        .chain(["a".to_owned(), "a-b".to_owned(), "ab".to_owned(), "zz".to_owned()])
        .collect();
    for slug in slugs.iter().rev() {
        bench.organization(slug).await;
    }
    let gone = bench.organization("gone").await;
    bench.delete_organization(gone, bench.change()).await.unwrap();

    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|slug: &String| Slug::new(slug.as_str()).unwrap());
        let page = bench.organizations(Page { after, limit: 3 }).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(
            page.into_iter()
                .map(|organization| String::from(organization.slug)),
        );
    }
    assert!(seen.iter().eq(slugs.iter()), "{seen:?}");
}

pub(super) async fn an_organization_changes_where_it_is_told_to(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let before = bench.storage().organization(acme).await.unwrap().unwrap();
    let patch = OrganizationPatch {
        name: Some("Acme Inc".parse().unwrap()),
        retention_days: Some(Some(30)),
        // It is that already.
        default_role: Some(before.default_role),
        ..OrganizationPatch::default()
    };
    for events in [2, 2] {
        let changed = bench
            .update_organization(acme, patch.clone(), bench.change())
            .await;
        let expected = Organization {
            name: "Acme Inc".parse().unwrap(),
            retention_days: Some(30),
            ..before.clone()
        };
        assert_eq!(changed.unwrap(), expected);
        assert_eq!(bench.storage().organization(acme).await.unwrap(), Some(expected));
        // A change that changes nothing is none.
        assert_eq!(bench.log_of(acme).await.len(), events);
    }
    let log = bench.log_of(acme).await;
    assert_eq!(
        (log[1].kind, log[1].fields.join(" ").as_str()),
        (EventKind::OrganizationUpdated, "name retention_days")
    );
    let taken = OrganizationPatch {
        slug: Some("globex".parse().unwrap()),
        ..OrganizationPatch::default()
    };
    let refused = bench
        .update_organization(acme, taken.clone(), bench.change())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(Conflict::Slug))),
        "{refused:?}"
    );
    bench.delete_organization(globex, bench.change()).await.unwrap();
    let gone = bench
        .update_organization(globex, taken.clone(), bench.change())
        .await;
    assert!(
        matches!(gone, Err(StoreError::NotFound(Missing::Organization))),
        "{gone:?}"
    );
    bench
        .update_organization(acme, taken, bench.change())
        .await
        .unwrap();
}

pub(super) async fn staff_without_a_role_get_the_default_role_of_their_organization(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let staff = async |organization, values| {
        let link = LinkMember {
            staff: true,
            ..bench.link_with(values)
        };
        bench.link_as(organization, link).await.unwrap()
    };
    let role = |linked: &Linked| linked.entry.access.role;
    let sally = staff(acme, address("sally@acme.example.com")).await;
    assert_eq!(role(&sally), Some(Role::Viewer));
    assert_eq!(sally.entry.member.profile.portal_role, None);
    let patch = OrganizationPatch {
        default_role: Some(Role::Editor),
        ..OrganizationPatch::default()
    };
    bench
        .update_organization(acme, patch, bench.change())
        .await
        .unwrap();
    let tom = staff(acme, address("tom@acme.example.com")).await;
    assert_eq!(role(&tom), Some(Role::Editor));
    let elsewhere = staff(globex, address("tom@acme.example.com")).await;
    assert_eq!(role(&elsewhere), Some(Role::Viewer));
    // Who has a role keeps it, and nothing changes.
    let again = staff(acme, address("sally@acme.example.com")).await;
    assert_eq!(again.entry, sally.entry);
    assert_eq!(again.outcome, LinkOutcome::Found);
    // One that is given counts.
    let admin = values! { email: set("ann@acme.example.com"), role: Some(Role::Admin) };
    assert_eq!(role(&staff(acme, admin).await), Some(Role::Admin));
    // Nobody else gets one.
    let end_user = bench.person(acme, address("end@acme.example.com")).await;
    assert_eq!(end_user.access.role, None);
    let both = staff(acme, address("end@acme.example.com")).await;
    assert_eq!(role(&both), Some(Role::Editor));
    assert_eq!(both.entry.member, end_user.member);
}
