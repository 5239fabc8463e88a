//! Organizations.

use crate::support::rules::LinkMember;
use std::collections::BTreeSet;

use tokio::task::JoinSet;
use userbridge::{
    domain::{
        Conflict, EventKind, LinkOutcome, Linked, Organization, OrganizationPatch, PageRequest, Resource,
        Role, Scope, Slug,
    },
    service::ServiceError,
};

use super::{
    fixture::{Fixture, all},
    people::{address, set, values},
};

pub(super) async fn an_organization_is_found_by_its_id_and_by_its_slug(fixture: Fixture) {
    let acme = fixture.new_organization("acme");
    fixture
        .create_organization(acme.clone(), fixture.change())
        .await
        .unwrap();
    fixture.organization("globex").await;
    assert_eq!(
        fixture.storage().organization(acme.id).await.unwrap(),
        Some(acme.clone())
    );
    assert_eq!(
        fixture.organization_by_slug(&acme.slug).await.unwrap(),
        Some(acme)
    );
    let nobody = fixture.new_organization("nobody");
    assert_eq!(fixture.storage().organization(nobody.id).await.unwrap(), None);
    assert_eq!(fixture.organization_by_slug(&nobody.slug).await.unwrap(), None);
}

pub(super) async fn a_slug_is_unique_among_live_organizations(fixture: Fixture) {
    let id = fixture.organization("acme").await;
    let second = fixture.new_organization("acme");
    let refused = fixture
        .create_organization(second.clone(), fixture.change())
        .await;
    assert!(
        matches!(refused, Err(ServiceError::Conflict(Conflict::Slug))),
        "{refused:?}"
    );
    assert_eq!(fixture.storage().organization(second.id).await.unwrap(), None);
    assert_eq!(
        fixture
            .organization_by_slug(&second.slug)
            .await
            .unwrap()
            .unwrap()
            .id,
        id
    );
}

pub(super) async fn of_many_who_want_a_slug_at_once_one_gets_it(fixture: Fixture) {
    let mut racers = JoinSet::new();
    for _ in 0..20 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            let organization = fixture.new_organization("acme");
            fixture.create_organization(organization, fixture.change()).await
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(()) | Err(ServiceError::Conflict(Conflict::Slug))))
    );
    assert_eq!(fixture.organizations(all()).await.unwrap().len(), 1);
}

pub(super) async fn a_deleted_organization_is_gone_and_its_slug_is_free(fixture: Fixture) {
    let first = fixture.organization("acme").await;
    let slug = Slug::new("acme").unwrap();
    assert!(
        fixture
            .delete_organization(first, fixture.change())
            .await
            .unwrap()
    );
    assert_eq!(fixture.storage().organization(first).await.unwrap(), None);
    assert_eq!(fixture.organization_by_slug(&slug).await.unwrap(), None);
    assert_eq!(fixture.organizations(all()).await.unwrap(), []);
    assert!(
        !fixture
            .delete_organization(first, fixture.change())
            .await
            .unwrap()
    );

    let second = fixture.organization("acme").await;
    assert_eq!(
        fixture.organization_by_slug(&slug).await.unwrap().unwrap().id,
        second
    );
    assert!(
        !fixture
            .delete_organization(first, fixture.change())
            .await
            .unwrap()
    );
    assert!(fixture.storage().organization(second).await.unwrap().is_some());
}

pub(super) async fn a_deleted_organization_has_no_key_that_opens_anything(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let public = fixture.public_key(acme).await;
    let admin = fixture.new_key(acme, &[Scope::Admin]);
    fixture
        .create_api_key(acme, admin.clone(), fixture.change())
        .await
        .unwrap();
    let other = fixture.public_key(globex).await;
    fixture.delete_organization(acme, fixture.change()).await.unwrap();
    let now = fixture.tick();
    for dead in [&public, &admin] {
        let key = fixture.api_key_by_digest(dead.digest).await.unwrap();
        assert!(key.is_none_or(|key| !key.is_active(now)));
    }
    assert!(fixture.stored(&other).await.is_active(now));
}

pub(super) async fn a_deleted_organization_takes_nothing_new(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await;
    fixture.delete_organization(acme, fixture.change()).await.unwrap();
    let events = fixture.log_of(acme).await.len();

    let linked = fixture.try_link(acme, "sally@acme.example.com").await;
    assert!(matches!(linked, Err(ServiceError::NotFound(_))), "{linked:?}");
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    let created = fixture.create_api_key(acme, new.clone(), fixture.change()).await;
    assert!(matches!(created, Err(ServiceError::NotFound(_))), "{created:?}");
    let later = fixture.tick();
    let rotated = fixture
        .rotate_api_key(acme, old.key.id, later, new, fixture.change())
        .await;
    assert!(matches!(rotated, Err(ServiceError::NotFound(_))), "{rotated:?}");
    assert_eq!(fixture.log_of(acme).await.len(), events);
}

pub(super) async fn organizations_come_in_the_order_of_their_slugs(fixture: Fixture) {
    let slugs: BTreeSet<String> = (0..7)
        .map(|n| format!("org-{}", (n * 5) % 7))
        .chain(["a".to_owned(), "a-b".to_owned(), "ab".to_owned(), "zz".to_owned()])
        .collect();
    for slug in slugs.iter().rev() {
        fixture.organization(slug).await;
    }
    let gone = fixture.organization("gone").await;
    fixture.delete_organization(gone, fixture.change()).await.unwrap();

    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|slug: &String| Slug::new(slug.as_str()).unwrap());
        let page = fixture
            .organizations(PageRequest { after, limit: 3 })
            .await
            .unwrap();
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

pub(super) async fn an_organization_changes_where_it_is_told_to(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let before = fixture.storage().organization(acme).await.unwrap().unwrap();
    let patch = OrganizationPatch {
        name: Some("Acme Inc".parse().unwrap()),
        retention_days: Some(Some(30)),
        // It is that already.
        default_role: Some(before.default_role),
        ..OrganizationPatch::default()
    };
    for events in [2, 2] {
        let changed = fixture
            .update_organization(acme, patch.clone(), fixture.change())
            .await;
        let expected = Organization {
            name: "Acme Inc".parse().unwrap(),
            retention_days: Some(30),
            ..before.clone()
        };
        assert_eq!(changed.unwrap(), expected);
        assert_eq!(
            fixture.storage().organization(acme).await.unwrap(),
            Some(expected)
        );
        // A change that changes nothing is none.
        assert_eq!(fixture.log_of(acme).await.len(), events);
    }
    let log = fixture.log_of(acme).await;
    assert_eq!(
        (log[1].kind, log[1].fields.join(" ").as_str()),
        (EventKind::OrganizationUpdated, "name retention_days")
    );
    let taken = OrganizationPatch {
        slug: Some("globex".parse().unwrap()),
        ..OrganizationPatch::default()
    };
    let refused = fixture
        .update_organization(acme, taken.clone(), fixture.change())
        .await;
    assert!(
        matches!(refused, Err(ServiceError::Conflict(Conflict::Slug))),
        "{refused:?}"
    );
    fixture
        .delete_organization(globex, fixture.change())
        .await
        .unwrap();
    let gone = fixture
        .update_organization(globex, taken.clone(), fixture.change())
        .await;
    assert!(
        matches!(gone, Err(ServiceError::NotFound(Resource::Organization))),
        "{gone:?}"
    );
    fixture
        .update_organization(acme, taken, fixture.change())
        .await
        .unwrap();
}

pub(super) async fn staff_without_a_role_get_the_default_role_of_their_organization(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let staff = async |organization, values| {
        let link = LinkMember {
            staff: true,
            ..fixture.link_with(values)
        };
        fixture.link_as(organization, link).await.unwrap()
    };
    let role = |linked: &Linked| linked.member.access.role;
    let sally = staff(acme, address("sally@acme.example.com")).await;
    assert_eq!(role(&sally), Some(Role::Viewer));
    assert_eq!(sally.member.profile.portal_role, None);
    let patch = OrganizationPatch {
        default_role: Some(Role::Editor),
        ..OrganizationPatch::default()
    };
    fixture
        .update_organization(acme, patch, fixture.change())
        .await
        .unwrap();
    let tom = staff(acme, address("tom@acme.example.com")).await;
    assert_eq!(role(&tom), Some(Role::Editor));
    let elsewhere = staff(globex, address("tom@acme.example.com")).await;
    assert_eq!(role(&elsewhere), Some(Role::Viewer));
    // Who has a role keeps it, and nothing changes.
    let again = staff(acme, address("sally@acme.example.com")).await;
    assert_eq!(again.member, sally.member);
    assert_eq!(again.outcome, LinkOutcome::Unchanged);
    // One that is given counts.
    let admin = values! { email: set("ann@acme.example.com"), role: Some(Role::Admin) };
    assert_eq!(role(&staff(acme, admin).await), Some(Role::Admin));
    // Nobody else gets one.
    let end_user = fixture.person(acme, address("end@acme.example.com")).await;
    assert_eq!(end_user.access.role, None);
    let both = staff(acme, address("end@acme.example.com")).await;
    assert_eq!(role(&both), Some(Role::Editor));
    assert_eq!(
        (both.member.id, &both.member.profile),
        (end_user.id, &end_user.profile)
    );
}
