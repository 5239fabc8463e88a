//! Pages of a large list come by other statements than those of a small one, and with a count by others than without.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::{
    domain::Cursor,
    storage::{Migrate, Storage, connect, sqlite::members::fill_search},
};

/// More than are sorted, and more than a span.
const MEMBERS: usize = 7_000;

const ORGANIZATION: OrganizationId = OrganizationId::from_uuid(uuid::Uuid::from_u128(1));

/// Names and addresses are in other orders than the members, and one member in seven is revoked.
async fn storage() -> (tempfile::TempDir, Arc<dyn Storage>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    let storage = connect(&url, Migrate::Always).await.unwrap();
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let id = ORGANIZATION.as_uuid().as_bytes().to_vec();
    for statement in [
        "INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, 'large', 'Large', 0)",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         INSERT INTO members (
             row, organization_id, id, user_id, number, created_at, email, name, role, portal_role, enabled,
             last_seen_at, revoked_at
         )
         SELECT i, $1, unhex(printf('%032x', i)), unhex(printf('%032x', i)), i, i,
             printf('%04d@%s.example.com', i * 41 % 7001, iif(i < 6000, 'acme', 'globex')),
             iif(i % 11 = 0, NULL, printf('Member %02d', i * 17 % 90)),
             iif(i % 9 = 0, NULL, iif(i % 2, 'viewer', 'admin')), iif(i % 9, NULL, 'end_user'), i % 5 <> 0,
             iif(i % 3 = 0, NULL, i * 31 % 1000), iif(i % 7 = 0, i, NULL)
         FROM n",
        "INSERT INTO member_counts (organization_id, role, live)
         SELECT organization_id, coalesce(role, ''), count(*) FROM members
         WHERE organization_id = $1 AND revoked_at IS NULL GROUP BY 2",
        "INSERT INTO search_backlog (next) SELECT 0 WHERE $1 IS NOT NULL AND $2 IS NOT NULL",
    ] {
        sqlx::query(statement)
            .bind(&id)
            .bind(i64::try_from(MEMBERS).unwrap())
            .execute(&mut connection)
            .await
            .unwrap();
    }
    fill_search(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    (folder, storage)
}

/// Staff and everybody, found by what a few have, all but the last, and all.
fn filters() -> Vec<MemberFilter> {
    let staff = || Role::ALL.iter().copied().map(Some).collect();
    let of = |roles: Vec<Option<Role>>, text: Option<&str>| MemberFilter {
        roles,
        text: text.map(str::to_owned),
        ..MemberFilter::default()
    };
    vec![
        of(staff(), None),
        of(staff(), Some("member 17")),
        of(staff(), Some("acme")),
        of(staff(), Some("example")),
        of(staff(), Some("e")),
        of(vec![], None),
        of(vec![], Some("acme")),
        MemberFilter {
            enabled: Some(true),
            ..MemberFilter::default()
        },
    ]
}

#[tokio::test]
async fn a_counted_page_is_the_part_of_the_list_that_it_says() {
    let (_folder, storage) = storage().await;
    for filter in filters() {
        for order in [MemberOrder::Number, MemberOrder::Name] {
            let query = MemberQuery {
                filter: filter.clone(),
                order,
                limit: u32::MAX,
                ..MemberQuery::default()
            };
            let mut list = storage.members(ORGANIZATION, query.clone()).await.unwrap();
            let total = list.len();
            for descending in [false, true] {
                let third = Cursor::after(&list[total / 3], order);
                for (after, skip, begin) in [
                    (None, 0, 0),
                    (None, total / 2, total / 2),
                    (None, total - 3, total - 3),
                    (Some(third), total / 4, total / 3 + 1 + total / 4),
                ] {
                    let query = MemberQuery {
                        descending,
                        after,
                        skip: skip as u64,
                        limit: 5,
                        ..query.clone()
                    };
                    let counted = storage.members_counted(ORGANIZATION, query.clone());
                    let (page, counted) = counted.await.unwrap();
                    let expected = &list[begin..total.min(begin + 5)];
                    assert_eq!(page, expected, "{query:?}");
                    assert_eq!(counted, total as u64, "{query:?}");
                }
                list.reverse();
            }
        }
    }
    storage.close().await;
}

/// At the borders of blocks and spans, and at both ends.
#[tokio::test]
async fn whoever_alone_has_a_part_is_found_wherever_it_is() {
    let (_folder, storage) = storage().await;
    for number in [1, 254, 255, 256, 257, 4094, 4096, 4097, 6999] {
        let filter = MemberFilter {
            text: Some(format!("{:04}@", number * 41 % 7001)),
            ..MemberFilter::default()
        };
        for order in [
            MemberOrder::Number,
            MemberOrder::Name,
            MemberOrder::Email,
            MemberOrder::Role,
            MemberOrder::LastSeen,
        ] {
            for descending in [false, true] {
                let query = MemberQuery {
                    filter: filter.clone(),
                    order,
                    descending,
                    limit: 2,
                    ..MemberQuery::default()
                };
                let page = storage.members(ORGANIZATION, query.clone()).await.unwrap();
                let numbers: Vec<_> = page.iter().map(|member| member.number.0).collect();
                assert_eq!(numbers, [number], "{query:?}");
                let counted = storage.members_counted(ORGANIZATION, query).await.unwrap();
                assert_eq!(counted, (page, 1));
            }
        }
    }
    storage.close().await;
}

#[tokio::test]
async fn all_pages_of_a_search_are_the_list() {
    let (_folder, storage) = storage().await;
    for text in ["acme", "1@", "member 17", "Member"] {
        for descending in [false, true] {
            let mut query = MemberQuery {
                filter: MemberFilter {
                    text: Some(text.to_owned()),
                    ..MemberFilter::default()
                },
                descending,
                limit: u32::MAX,
                ..MemberQuery::default()
            };
            let (all, _) = storage
                .members_counted(ORGANIZATION, query.clone())
                .await
                .unwrap();
            assert!(!all.is_empty());
            query.limit = 500;
            let mut found = Vec::new();
            loop {
                let page = storage.members(ORGANIZATION, query.clone()).await.unwrap();
                let Some(last) = page.last() else { break };
                query.after = Some(Cursor::after(last, MemberOrder::Number));
                found.extend(page);
            }
            assert_eq!(found, all, "{text} {descending}");
        }
    }
    storage.close().await;
}
