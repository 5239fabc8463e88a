//! What the management page asks for: staff by name with how many there are, found by a text or not, from the first page and
//! from the middle.

use std::time::Instant;

use userbridge::{
    domain::{MemberFilter, MemberOrder, MemberQuery, Role},
    storage::Storage,
};

use super::{Median, ORGANIZATION, Result};

/// As many as the page shows.
const PAGE: u32 = 50;

const LISTS: [(&str, Option<&str>); 6] = [
    ("everybody", None),
    ("a word that all have", Some("example")),
    ("a word that 1 in 100 has", Some("given77")),
    ("a word that one has", Some("family000077777")),
    ("two letters that all have", Some("gi")),
    ("two letters that nobody has", Some("qx")),
];

/// A list, and in microseconds its first page, the first one by when they were linked, and the one in the middle.
pub(super) type Row = (&'static str, [f64; 3]);

pub(super) async fn measure(storage: &dyn Storage) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (list, text) in LISTS {
        let query = MemberQuery {
            filter: MemberFilter {
                roles: Role::ALL.iter().copied().map(Some).collect(),
                text: text.map(str::to_owned),
                ..MemberFilter::default()
            },
            order: MemberOrder::Name,
            limit: PAGE,
            ..MemberQuery::default()
        };
        let (_, total) = storage.members_counted(ORGANIZATION, query.clone()).await?;
        let middle = MemberQuery {
            skip: total / 2,
            ..query.clone()
        };
        let linked = MemberQuery {
            order: MemberOrder::Number,
            ..query.clone()
        };
        let mut times = [0.0; 3];
        for (time, query) in times.iter_mut().zip([query, linked, middle]) {
            let mut median = Median::default();
            for _ in 0..super::TIMES {
                let start = Instant::now();
                storage.members_counted(ORGANIZATION, query.clone()).await?;
                median.add(start);
            }
            *time = median.micros();
        }
        rows.push((list, times));
    }
    Ok(rows)
}
