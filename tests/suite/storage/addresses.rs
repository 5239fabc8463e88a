//! Whom an address leads to: one case for each clause of the rule, which the head of `LinkMember` in
//! `members.proto` has in words.

use userbridge::{
    domain::{MemberEntry, MemberPatch, OrganizationId},
    storage::{Conflict, LinkMember, LinkOutcome, StoreError},
};

use super::{
    bench::Bench,
    people::{address, assert_fails, origin, set, values},
};

const OLD: &str = "old@acme.example.com";
const NEW: &str = "new@acme.example.com";

impl Bench {
    /// Links an address that no live member of the organization has.
    async fn newly(&self, organization: OrganizationId, email: &str) -> MemberEntry {
        let link = self.link_with(address(email));
        let linked = self.link_as(organization, link).await.unwrap();
        assert_eq!(linked.outcome, LinkOutcome::Created);
        linked.entry
    }

    /// Gives a member another address.
    async fn readdress(
        &self,
        organization: OrganizationId,
        member: &MemberEntry,
        email: &str,
    ) -> MemberEntry {
        self.update(organization, member, address(email)).await.unwrap()
    }
}

/// That two links are of one person, or of two.
fn same(one: &MemberEntry, other: &MemberEntry) -> bool {
    one.member.user_id == other.member.user_id
}

pub(super) async fn an_address_leads_to_the_user_who_has_it_wherever_that_is(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let sally = bench.newly(acme, OLD).await;
    bench.readdress(acme, &sally, NEW).await;
    // The new address leads to her, and the old one does not: a new hire may have it, here and there.
    assert!(same(&sally, &bench.newly(globex, NEW).await));
    let hire = bench.newly(acme, OLD).await;
    assert!(!same(&sally, &hire));
    assert!(same(&hire, &bench.newly(globex, OLD).await));
    assert_eq!(bench.now(acme, &sally).await.member.profile.email, set(NEW));
}

pub(super) async fn an_address_that_nobody_has_leads_to_who_had_it_last(bench: Bench) {
    let (acme, globex, initech) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
        bench.organization("initech").await,
    );
    // Two people have it, because the one is in globex under another address.
    let sally = bench.newly(acme, OLD).await;
    let link = LinkMember {
        user_id: Some(sally.member.user_id),
        ..bench.link_with(address(NEW))
    };
    let there = bench.link_as(globex, link).await.unwrap().entry;
    let tom = bench.newly(globex, OLD).await;
    assert!(!same(&sally, &tom));
    bench.revoke(globex, &there).await.unwrap();
    // Tom was the last to get it, Sally is the last to lose it.
    bench.revoke(globex, &tom).await.unwrap();
    bench.revoke(acme, &sally).await.unwrap();
    let again = bench.newly(initech, OLD).await;
    assert!(same(&sally, &again));
    // To lose it by a change of address counts as well.
    let tom_again = LinkMember {
        user_id: Some(tom.member.user_id),
        ..bench.link_with(address(OLD))
    };
    let tom_again = bench.link_as(globex, tom_again).await.unwrap().entry;
    bench.revoke(initech, &again).await.unwrap();
    let tom_again = bench.readdress(globex, &tom_again, NEW).await;
    bench.revoke(globex, &tom_again).await.unwrap();
    assert!(same(&tom, &bench.newly(acme, OLD).await));
}

pub(super) async fn an_address_that_its_last_user_has_left_for_another_is_a_new_persons(bench: Bench) {
    let (acme, globex, initech) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
        bench.organization("initech").await,
    );
    let sally = bench.newly(acme, OLD).await;
    let sally = bench.readdress(acme, &sally, NEW).await;
    let hire = bench.newly(globex, OLD).await;
    assert!(!same(&sally, &hire));
    // The hire ends here and lives on elsewhere, under another address.
    let second = LinkMember {
        user_id: Some(hire.member.user_id),
        ..bench.link_with(address("third@acme.example.com"))
    };
    bench.link_as(initech, second).await.unwrap();
    bench.revoke(globex, &hire).await.unwrap();
    assert!(!same(&hire, &bench.newly(globex, OLD).await));
    // Once nothing of hers is live, the address that Sally had last leads to her.
    bench.revoke(acme, &sally).await.unwrap();
    assert!(same(&sally, &bench.newly(globex, NEW).await));
}

pub(super) async fn of_two_who_have_an_address_the_one_who_had_it_first_is_found(bench: Bench) {
    let (acme, globex, initech, hooli) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
        bench.organization("initech").await,
        bench.organization("hooli").await,
    );
    // The younger of two users gets it first.
    let sally = bench.newly(acme, NEW).await;
    let tom = bench.newly(globex, OLD).await;
    let sally = bench.readdress(acme, &sally, OLD).await;
    let third = bench.newly(initech, OLD).await;
    assert!(same(&tom, &third));
    // Who leaves it for a moment has had it since then.
    bench.revoke(initech, &third).await.unwrap();
    bench.readdress(globex, &tom, NEW).await;
    bench.readdress(globex, &tom, OLD).await;
    let third = bench.newly(initech, OLD).await;
    assert!(same(&sally, &third));
    // So has who comes back.
    bench.revoke(initech, &third).await.unwrap();
    bench.revoke(acme, &sally).await.unwrap();
    bench.restore(acme, &sally).await.unwrap();
    assert!(same(&tom, &bench.newly(hooli, OLD).await));
}

pub(super) async fn an_address_neither_merges_nor_moves_nor_blocks_who_is_here_under_another(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let here = bench.newly(acme, NEW).await;
    let there = bench.newly(globex, NEW).await;
    assert!(same(&here, &there));
    let there = bench.readdress(globex, &there, OLD).await;
    // The user who has it is here already, as somebody with another address. That stays so.
    let second = bench.newly(acme, OLD).await;
    assert!(!same(&here, &second));
    assert_eq!(bench.now(acme, &here).await, here);
    assert_eq!(bench.now(globex, &there).await, there);
    // It is found from now on, as any other.
    let again = bench.link_with(address(OLD));
    let again = bench.link_as(acme, again).await.unwrap();
    assert_eq!((again.outcome, again.entry), (LinkOutcome::Found, second));
}

pub(super) async fn changing_an_address_changes_one_link(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..bench.link_with(address(OLD))
    };
    let here = bench.link_as(acme, link.clone()).await.unwrap().entry;
    let there = bench.newly(globex, OLD).await;
    let stranger = bench.newly(globex, NEW).await;
    // By an update, by a link that names the user, and by one that names the external id: to an address that somebody
    // else has elsewhere.
    let by_update = bench.readdress(acme, &here, NEW).await;
    let by_user = LinkMember {
        user_id: Some(here.member.user_id),
        ..bench.link_with(address("third@acme.example.com"))
    };
    let by_user = bench.link_as(acme, by_user).await.unwrap();
    let by_external_id = LinkMember {
        values: address(NEW),
        ..link
    };
    let by_external_id = bench.link_as(acme, by_external_id).await.unwrap();
    for (outcome, entry) in [
        (LinkOutcome::Updated, by_update),
        (by_user.outcome, by_user.entry),
        (by_external_id.outcome, by_external_id.entry),
    ] {
        assert_eq!(outcome, LinkOutcome::Updated);
        assert_eq!(
            (entry.member.id, entry.member.user_id),
            (here.member.id, here.member.user_id)
        );
    }
    assert_eq!(bench.now(globex, &there).await, there);
    assert_eq!(bench.now(globex, &stranger).await, stranger);
    // Only an address of the same organization is in the way.
    bench.newly(acme, "taken@acme.example.com").await;
    assert_fails!(
        bench.update(acme, &here, address("taken@acme.example.com")).await,
        StoreError::Conflict(Conflict::Member)
    );
}

pub(super) async fn an_erased_address_leads_to_nobody_and_a_former_one_neither(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let sally = bench.newly(acme, OLD).await;
    let sally = bench.readdress(acme, &sally, NEW).await;
    bench.erase(acme, &sally).await.unwrap();
    assert!(!same(&sally, &bench.newly(globex, OLD).await));
    assert!(!same(&sally, &bench.newly(globex, NEW).await));
}

pub(super) async fn an_erased_address_leads_on_by_what_other_links_have_or_had(bench: Bench) {
    let (acme, globex, initech) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
        bench.organization("initech").await,
    );
    let here = bench.newly(acme, OLD).await;
    let there = bench.newly(globex, OLD).await;
    bench.erase(acme, &here).await.unwrap();
    let again = bench.newly(initech, OLD).await;
    assert!(same(&there, &again));
    bench.erase(initech, &again).await.unwrap();
    // The other link has given it up, and ended.
    let there = bench.readdress(globex, &there, NEW).await;
    bench.revoke(globex, &there).await.unwrap();
    let again = bench.newly(initech, OLD).await;
    assert!(same(&there, &again));
    bench.erase(initech, &again).await.unwrap();
    bench.erase(globex, &there).await.unwrap();
    assert!(!same(&there, &bench.newly(initech, OLD).await));
}

pub(super) async fn links_to_a_deleted_organization_have_ended(bench: Bench) {
    let (acme, globex, initech) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
        bench.organization("initech").await,
    );
    let sally = bench.newly(acme, OLD).await;
    let sally = bench.readdress(acme, &sally, NEW).await;
    let tom = bench.newly(globex, NEW).await;
    assert!(same(&sally, &tom));
    bench.revoke(globex, &tom).await.unwrap();
    let hire = bench.newly(globex, OLD).await;
    assert!(!same(&sally, &hire));
    let change = bench.change();
    assert!(bench.storage().delete_organization(acme, change).await.unwrap());
    // It is not in the way of what she had, and does not go before who has it.
    assert!(same(&sally, &bench.newly(initech, NEW).await));
    assert!(same(&hire, &bench.newly(initech, OLD).await));
}

pub(super) async fn who_has_no_address_now_is_still_found_by_the_last_one(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let sally = bench.newly(acme, OLD).await;
    let sally = bench.update(acme, &sally, values! { email: None }).await.unwrap();
    let nobody = bench.person(acme, MemberPatch::default()).await;
    // She lives on, and under no other address.
    let there = bench.newly(globex, OLD).await;
    assert!(same(&there, &sally) && !same(&there, &nobody));
    bench.revoke(globex, &there).await.unwrap();
    // Where she is linked already she is not linked twice.
    assert!(!same(&bench.newly(acme, OLD).await, &sally));
}

pub(super) async fn every_address_of_a_link_is_told_with_the_time_in_which_it_had_it(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let first = bench.newly(acme, OLD).await;
    bench.newly(globex, OLD).await;
    let second = bench.readdress(acme, &first, NEW).await;
    let revoked = bench.revoke(acme, &second).await.unwrap();
    let restored = bench.restore(acme, &second).await.unwrap();
    let nowhere = bench
        .update(acme, &restored, values! { email: None })
        .await
        .unwrap();
    let back = bench.readdress(acme, &nowhere, OLD).await;
    let ended = bench.revoke(acme, &back).await.unwrap();
    let again = bench.newly(acme, OLD).await;
    let of_first = [
        (OLD, first.member.created_at, Some(second.updated_at)),
        (NEW, second.updated_at, revoked.revoked_at),
        (NEW, restored.updated_at, Some(nowhere.updated_at)),
        (OLD, back.updated_at, ended.revoked_at),
    ];
    let of_again = (OLD, again.member.created_at, None);
    let told = async || {
        let user = first.member.user_id;
        let held = bench.addresses_of(acme, user).await;
        held.into_iter()
            .map(|held| (held.member_id, String::from(held.email), held.since, held.until))
            .collect::<Vec<_>>()
    };
    let expected = |links: &[&MemberEntry], times: &[(&str, _, _)]| {
        let all = links.iter().zip(times);
        all.map(|(link, (email, since, until))| (link.member.id, (*email).to_owned(), *since, *until))
            .collect::<Vec<_>>()
    };
    let times = [&of_first[..], &[of_again]].concat();
    assert_eq!(
        told().await,
        expected(&[&first, &first, &first, &first, &again], &times)
    );
    bench.erase(acme, &first).await.unwrap();
    assert_eq!(told().await, expected(&[&again], &[of_again]));
}
