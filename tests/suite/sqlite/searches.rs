//! Searches find what is in the file, whatever was read of it before and whoever wrote there.

use std::sync::Arc;

use userbridge::{
    domain::{Idempotency, LinkRequest, Member, MemberFilter, MemberPatch, MemberQuery, OrganizationId},
    service::{Admin, Directory, Write},
    storage::{self, Migrate, Storage},
};

use super::{migrated, raw};
use crate::support::first;

/// One of several programs on a file.
struct Program {
    storage: Arc<dyn Storage>,
    directory: Directory,
    organization: OrganizationId,
}

impl Program {
    /// The first of them.
    async fn start(url: &str) -> Self {
        let storage = storage::connect(url, Migrate::Never).await.unwrap();
        let directory = Directory::new(storage.clone());
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        let organization = first(created.await.unwrap()).id;
        Self {
            storage,
            directory,
            organization,
        }
    }

    async fn beside(url: &str, first: &Self) -> Self {
        let storage = storage::connect(url, Migrate::Never).await.unwrap();
        Self {
            directory: Directory::new(storage.clone()),
            storage,
            organization: first.organization,
        }
    }

    fn grant(&self) -> Write {
        Write::operator(self.organization)
    }

    async fn link(&self, name: &str) -> Member {
        let request = LinkRequest {
            values: named(name),
            ..LinkRequest::default()
        };
        let linked = self
            .directory
            .link_member(self.grant(), request, Idempotency::never());
        first(linked.await.unwrap()).member
    }

    async fn rename(&self, member: &Member, name: &str) {
        let changed = self
            .directory
            .update_member(self.grant(), member.id, named(name), None);
        changed.await.unwrap();
    }

    /// The names in which the text is.
    async fn found(&self, text: &str) -> Vec<String> {
        let query = MemberQuery {
            filter: MemberFilter {
                text: Some(text.to_owned()),
                ..MemberFilter::default()
            },
            limit: 100,
            ..MemberQuery::default()
        };
        let page = self
            .storage
            .members(self.organization, query.clone())
            .await
            .unwrap();
        let counted = self.storage.members_counted(self.organization, query);
        assert_eq!(counted.await.unwrap(), (page.clone(), page.len() as u64));
        let names = page.into_iter().filter_map(|member| member.profile.name);
        names.map(|name| name.as_str().to_owned()).collect()
    }
}

fn named(name: &str) -> MemberPatch {
    MemberPatch {
        name: Some(Some(name.parse().unwrap())),
        ..MemberPatch::default()
    }
}

#[tokio::test]
async fn a_search_finds_what_other_programs_wrote_and_nothing_that_they_removed() {
    let (_folder, url) = migrated().await;
    let one = Program::start(&url).await;
    let other = Program::beside(&url, &one).await;
    assert_eq!(one.found("doe").await, [""; 0]);
    let sally = other.link("Sally Doe").await;
    assert_eq!(one.found("doe").await, ["Sally Doe"]);
    let tom = other.link("Tom Doe").await;
    assert_eq!(one.found("doe").await, ["Sally Doe", "Tom Doe"]);
    other.rename(&sally, "Sally Poe").await;
    assert_eq!(one.found("doe").await, ["Tom Doe"]);
    assert_eq!(one.found("sally").await, ["Sally Poe"]);
    // The same again, which both have read by now.
    assert_eq!(other.found("doe").await, ["Tom Doe"]);
    one.rename(&sally, "Sally Doe").await;
    assert_eq!(other.found("doe").await, ["Sally Doe", "Tom Doe"]);
    let erased = other.directory.erase_member(other.grant(), tom.id);
    erased.await.unwrap();
    assert_eq!(one.found("doe").await, ["Sally Doe"]);
    // By hand.
    let mut connection = raw(&url).await;
    for (statement, found) in [
        ("DELETE FROM member_texts", None),
        (
            "INSERT INTO member_texts (block, lines)
             SELECT ordinal << 32, CAST(x'f8f8f8f9' || 'hers' AS BLOB) FROM organizations",
            Some("hers"),
        ),
        (
            "UPDATE member_texts SET lines = CAST(replace(lines, 'hers', 'sally') AS BLOB)",
            Some("sally"),
        ),
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        for text in ["hers", "sally"] {
            let expected: Vec<_> = found
                .filter(|found| *found == text)
                .map(|_| "Sally Doe")
                .into_iter()
                .collect();
            assert_eq!(one.found(text).await, expected, "{statement}: {text}");
        }
    }
}
