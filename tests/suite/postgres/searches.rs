//! Parts of names and addresses are found alike by every engine, whatever they are written in.

use std::sync::Arc;

use proptest::{arbitrary::any, prelude::ProptestConfig, proptest, sample::Index};
use tokio::runtime::Builder;
use userbridge::{
    domain::{Idempotency, LinkRequest, MemberFilter, MemberPatch, MemberQuery, OrganizationId},
    service::{Admin, Directory, Read, Write},
    storage::Storage,
};

use crate::support::{
    engine::{Engine, Postgres, Sqlite, open},
    first,
};

/// A directory with members of these names, which are also the first parts of their addresses where they can be.
struct Named<E> {
    storage: Arc<dyn Storage>,
    directory: Directory,
    organization: OrganizationId,
    _engine: E,
}

impl<E: Engine> Named<E> {
    async fn new(names: &[String]) -> Option<Self> {
        let engine = E::new().await?;
        let storage = open(engine.url()).await;
        let directory = Directory::new(storage.clone());
        let created = directory.create_organization(
            Admin::OPERATOR,
            "acme".parse().unwrap(),
            "Acme".parse().unwrap(),
            Idempotency::never(),
        );
        let organization = first(created.await.unwrap()).id;
        for name in names {
            let request = LinkRequest {
                values: MemberPatch {
                    name: Some(Some(name.parse().unwrap())),
                    email: format!("{name}@acme.example.com").parse().ok().map(Some),
                    ..MemberPatch::default()
                },
                ..LinkRequest::default()
            };
            // Who has an address that another one has is linked without.
            let _ = directory
                .link_member(Write::operator(organization), request, Idempotency::never())
                .await;
        }
        Some(Self {
            storage,
            directory,
            organization,
            _engine: engine,
        })
    }

    /// The numbers of those who have a part in their names, in their addresses, and in either.
    async fn found(&self, part: &str) -> [Vec<i64>; 3] {
        let parts = vec![part.to_owned()];
        let filters = [
            MemberFilter {
                name_parts: parts.clone(),
                ..MemberFilter::default()
            },
            MemberFilter {
                email_parts: parts,
                ..MemberFilter::default()
            },
            MemberFilter {
                text: Some(part.to_owned()),
                ..MemberFilter::default()
            },
        ];
        let mut found = [const { Vec::new() }; 3];
        for (filter, found) in filters.into_iter().zip(&mut found) {
            let query = MemberQuery {
                filter,
                limit: 1000,
                ..MemberQuery::default()
            };
            let grant = Read::operator(self.organization);
            let page = self.directory.members(grant, query).await.unwrap();
            *found = page.members.iter().map(|member| member.number.0).collect();
        }
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_engine_finds_the_same_parts(
        names in proptest::collection::vec("[^\\p{Cc}]{1,10}|[A-ZÄÖÜßΣσςİıŠšа-яА-Я%_\\\\ ]{2,12}", 1..12),
        pieces in proptest::collection::vec((any::<Index>(), any::<Index>(), 1..6_usize, 0..3_u8), 1..20),
        others in proptest::collection::vec("[^\\p{Cc}]{1,3}|[a-z%_]{1,4}", 0..5),
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(postgres) = Named::<Postgres>::new(&names).await else { return };
            let sqlite = Named::<Sqlite>::new(&names).await.unwrap();
            let pieces = pieces.iter().map(|(name, start, length, case)| {
                let characters: Vec<_> = name.get(&names).chars().collect();
                let piece: String = characters.iter().skip(start.index(characters.len())).take(*length).collect();
                match case {
                    0 => piece,
                    1 => piece.to_uppercase(),
                    _ => piece.to_lowercase(),
                }
            });
            for part in pieces.chain(others.iter().cloned()) {
                assert_eq!(postgres.found(&part).await, sqlite.found(&part).await, "{part:?} in {names:?}");
            }
            postgres.storage.close().await;
            sqlite.storage.close().await;
        });
    }
}
