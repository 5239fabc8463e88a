//! Whom an address leads to: one case for each clause of the rule, which the head of `LinkMember` in
//! `members.proto` has in words.

use crate::support::rules::LinkMember;
use userbridge::{
    domain::{Conflict, LinkOutcome, Member, MemberPatch, OrganizationId},
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{address, assert_fails, origin, set, values},
};

const OLD: &str = "old@acme.example.com";
const NEW: &str = "new@acme.example.com";

impl Fixture {
    /// Links an address that no live member of the organization has.
    async fn newly(&self, organization: OrganizationId, email: &str) -> Member {
        let link = self.link_with(address(email));
        let linked = self.link_as(organization, link).await.unwrap();
        assert_eq!(linked.outcome, LinkOutcome::Created);
        linked.member
    }

    /// Gives a member another address.
    async fn readdress(&self, organization: OrganizationId, member: &Member, email: &str) -> Member {
        self.update(organization, member, address(email)).await.unwrap()
    }
}

/// That two links are of one person, or of two.
fn same(one: &Member, other: &Member) -> bool {
    one.user_id == other.user_id
}

pub(super) async fn an_address_leads_to_the_user_who_has_it_wherever_that_is(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = fixture.newly(acme, OLD).await;
    fixture.readdress(acme, &sally, NEW).await;
    // The new address leads to her, and the old one does not: a new hire may have it, here and there.
    assert!(same(&sally, &fixture.newly(globex, NEW).await));
    let hire = fixture.newly(acme, OLD).await;
    assert!(!same(&sally, &hire));
    assert!(same(&hire, &fixture.newly(globex, OLD).await));
    assert_eq!(fixture.now(acme, &sally).await.profile.email, set(NEW));
}

pub(super) async fn an_address_that_nobody_has_leads_to_who_had_it_last(fixture: Fixture) {
    let (acme, globex, initech) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
    );
    // Two people have it, because the one is in globex under another address.
    let sally = fixture.newly(acme, OLD).await;
    let link = LinkMember {
        user_id: Some(sally.user_id),
        ..fixture.link_with(address(NEW))
    };
    let there = fixture.link_as(globex, link).await.unwrap().member;
    let tom = fixture.newly(globex, OLD).await;
    assert!(!same(&sally, &tom));
    fixture.revoke(globex, &there).await.unwrap();
    // Tom was the last to get it, Sally is the last to lose it.
    fixture.revoke(globex, &tom).await.unwrap();
    fixture.revoke(acme, &sally).await.unwrap();
    let again = fixture.newly(initech, OLD).await;
    assert!(same(&sally, &again));
    // To lose it by a change of address counts as well.
    let tom_again = LinkMember {
        user_id: Some(tom.user_id),
        ..fixture.link_with(address(OLD))
    };
    let tom_again = fixture.link_as(globex, tom_again).await.unwrap().member;
    fixture.revoke(initech, &again).await.unwrap();
    let tom_again = fixture.readdress(globex, &tom_again, NEW).await;
    fixture.revoke(globex, &tom_again).await.unwrap();
    assert!(same(&tom, &fixture.newly(acme, OLD).await));
}

pub(super) async fn an_address_that_its_last_user_has_left_for_another_is_a_new_persons(fixture: Fixture) {
    let (acme, globex, initech) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
    );
    let sally = fixture.newly(acme, OLD).await;
    let sally = fixture.readdress(acme, &sally, NEW).await;
    let hire = fixture.newly(globex, OLD).await;
    assert!(!same(&sally, &hire));
    // The hire ends here and lives on elsewhere, under another address.
    let second = LinkMember {
        user_id: Some(hire.user_id),
        ..fixture.link_with(address("third@acme.example.com"))
    };
    fixture.link_as(initech, second).await.unwrap();
    fixture.revoke(globex, &hire).await.unwrap();
    assert!(!same(&hire, &fixture.newly(globex, OLD).await));
    // Once nothing of hers is live, the address that Sally had last leads to her.
    fixture.revoke(acme, &sally).await.unwrap();
    assert!(same(&sally, &fixture.newly(globex, NEW).await));
}

pub(super) async fn of_two_who_have_an_address_the_one_who_had_it_first_is_found(fixture: Fixture) {
    let (acme, globex, initech, hooli) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
        fixture.organization("hooli").await,
    );
    // The younger of two users gets it first.
    let sally = fixture.newly(acme, NEW).await;
    let tom = fixture.newly(globex, OLD).await;
    let sally = fixture.readdress(acme, &sally, OLD).await;
    let third = fixture.newly(initech, OLD).await;
    assert!(same(&tom, &third));
    // Who leaves it for a moment has had it since then.
    fixture.revoke(initech, &third).await.unwrap();
    fixture.readdress(globex, &tom, NEW).await;
    fixture.readdress(globex, &tom, OLD).await;
    let third = fixture.newly(initech, OLD).await;
    assert!(same(&sally, &third));
    // So has who comes back.
    fixture.revoke(initech, &third).await.unwrap();
    fixture.revoke(acme, &sally).await.unwrap();
    fixture.restore(acme, &sally).await.unwrap();
    assert!(same(&tom, &fixture.newly(hooli, OLD).await));
}

pub(super) async fn an_address_neither_merges_nor_moves_nor_blocks_who_is_here_under_another(
    fixture: Fixture,
) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture.newly(acme, NEW).await;
    let there = fixture.newly(globex, NEW).await;
    assert!(same(&here, &there));
    let there = fixture.readdress(globex, &there, OLD).await;
    // The user who has it is here already, as somebody with another address. That stays so.
    let second = fixture.newly(acme, OLD).await;
    assert!(!same(&here, &second));
    assert_eq!(fixture.now(acme, &here).await, here);
    assert_eq!(fixture.now(globex, &there).await, there);
    // It is found from now on, as any other.
    let again = fixture.link_with(address(OLD));
    let again = fixture.link_as(acme, again).await.unwrap();
    assert_eq!((again.outcome, again.member), (LinkOutcome::Unchanged, second));
}

pub(super) async fn changing_an_address_changes_one_link(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(address(OLD))
    };
    let here = fixture.link_as(acme, link.clone()).await.unwrap().member;
    let there = fixture.newly(globex, OLD).await;
    let stranger = fixture.newly(globex, NEW).await;
    // By an update, by a link that names the user, and by one that names the external id: to an address that somebody
    // else has elsewhere.
    let by_update = fixture.readdress(acme, &here, NEW).await;
    let by_user = LinkMember {
        user_id: Some(here.user_id),
        ..fixture.link_with(address("third@acme.example.com"))
    };
    let by_user = fixture.link_as(acme, by_user).await.unwrap();
    let by_external_id = LinkMember {
        values: address(NEW),
        ..link
    };
    let by_external_id = fixture.link_as(acme, by_external_id).await.unwrap();
    for (outcome, entry) in [
        (LinkOutcome::Updated, by_update),
        (by_user.outcome, by_user.member),
        (by_external_id.outcome, by_external_id.member),
    ] {
        assert_eq!(outcome, LinkOutcome::Updated);
        assert_eq!((entry.id, entry.user_id), (here.id, here.user_id));
    }
    assert_eq!(fixture.now(globex, &there).await, there);
    assert_eq!(fixture.now(globex, &stranger).await, stranger);
    // Only an address of the same organization is in the way.
    fixture.newly(acme, "taken@acme.example.com").await;
    assert_fails!(
        fixture
            .update(acme, &here, address("taken@acme.example.com"))
            .await,
        ServiceError::Conflict(Conflict::Member)
    );
}

pub(super) async fn an_erased_address_leads_to_nobody_and_a_former_one_neither(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = fixture.newly(acme, OLD).await;
    let sally = fixture.readdress(acme, &sally, NEW).await;
    fixture.erase(acme, &sally).await.unwrap();
    assert!(!same(&sally, &fixture.newly(globex, OLD).await));
    assert!(!same(&sally, &fixture.newly(globex, NEW).await));
}

pub(super) async fn an_erased_address_leads_on_by_what_other_links_have_or_had(fixture: Fixture) {
    let (acme, globex, initech) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
    );
    let here = fixture.newly(acme, OLD).await;
    let there = fixture.newly(globex, OLD).await;
    fixture.erase(acme, &here).await.unwrap();
    let again = fixture.newly(initech, OLD).await;
    assert!(same(&there, &again));
    fixture.erase(initech, &again).await.unwrap();
    // The other link has given it up, and ended.
    let there = fixture.readdress(globex, &there, NEW).await;
    fixture.revoke(globex, &there).await.unwrap();
    let again = fixture.newly(initech, OLD).await;
    assert!(same(&there, &again));
    fixture.erase(initech, &again).await.unwrap();
    fixture.erase(globex, &there).await.unwrap();
    assert!(!same(&there, &fixture.newly(initech, OLD).await));
}

pub(super) async fn links_to_a_deleted_organization_have_ended(fixture: Fixture) {
    let (acme, globex, initech) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
    );
    let sally = fixture.newly(acme, OLD).await;
    let sally = fixture.readdress(acme, &sally, NEW).await;
    let tom = fixture.newly(globex, NEW).await;
    assert!(same(&sally, &tom));
    fixture.revoke(globex, &tom).await.unwrap();
    let hire = fixture.newly(globex, OLD).await;
    assert!(!same(&sally, &hire));
    let change = fixture.change();
    assert!(fixture.storage().delete_organization(acme, change).await.unwrap());
    // It is not in the way of what she had, and does not go before who has it.
    assert!(same(&sally, &fixture.newly(initech, NEW).await));
    assert!(same(&hire, &fixture.newly(initech, OLD).await));
}

pub(super) async fn who_has_no_address_now_is_still_found_by_the_last_one(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = fixture.newly(acme, OLD).await;
    let sally = fixture
        .update(acme, &sally, values! { email: None })
        .await
        .unwrap();
    let nobody = fixture.person(acme, MemberPatch::default()).await;
    // She lives on, and under no other address.
    let there = fixture.newly(globex, OLD).await;
    assert!(same(&there, &sally) && !same(&there, &nobody));
    fixture.revoke(globex, &there).await.unwrap();
    // Where she is linked already she is not linked twice.
    assert!(!same(&fixture.newly(acme, OLD).await, &sally));
}

pub(super) async fn every_address_of_a_link_is_told_with_the_time_in_which_it_had_it(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let first = fixture.newly(acme, OLD).await;
    fixture.newly(globex, OLD).await;
    let second = fixture.readdress(acme, &first, NEW).await;
    let revoked = fixture.revoke(acme, &second).await.unwrap();
    let restored = fixture.restore(acme, &second).await.unwrap();
    let nowhere = fixture
        .update(acme, &restored, values! { email: None })
        .await
        .unwrap();
    let back = fixture.readdress(acme, &nowhere, OLD).await;
    let ended = fixture.revoke(acme, &back).await.unwrap();
    let again = fixture.newly(acme, OLD).await;
    let of_first = [
        (OLD, first.created_at, Some(second.updated_at)),
        (NEW, second.updated_at, revoked.revoked_at),
        (NEW, restored.updated_at, Some(nowhere.updated_at)),
        (OLD, back.updated_at, ended.revoked_at),
    ];
    let of_again = (OLD, again.created_at, None);
    let told = async || {
        let user = first.user_id;
        let held = fixture.addresses_of(acme, user).await;
        held.into_iter()
            .map(|held| (held.member_id, String::from(held.email), held.since, held.until))
            .collect::<Vec<_>>()
    };
    let expected = |links: &[&Member], times: &[(&str, _, _)]| {
        let all = links.iter().zip(times);
        all.map(|(link, (email, since, until))| (link.id, (*email).to_owned(), *since, *until))
            .collect::<Vec<_>>()
    };
    let times = [&of_first[..], &[of_again]].concat();
    assert_eq!(
        told().await,
        expected(&[&first, &first, &first, &first, &again], &times)
    );
    fixture.erase(acme, &first).await.unwrap();
    assert_eq!(told().await, expected(&[&again], &[of_again]));
}
