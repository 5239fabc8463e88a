//! Who has parts in names and addresses, whatever their letter case: found by looking at all texts of an organization, or at
//! as many as it takes to fill a page.

use std::ops::Range;

use memchr::memmem::Finder;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    kept::KeptTexts,
    texts::{Column, MARK, SPAN, is_of_mark, marked},
};
use crate::{
    domain::{MemberFilter, MemberNumber, OrganizationId},
    storage::{Result, fold::fold, from_row::from_row, sqlite::rows},
};

/// All of it must hold.
pub(super) struct Search(Vec<AnyOf>);

/// Folded parts of which one must be in one of the columns.
struct AnyOf {
    columns: &'static [Column],
    parts: Vec<Finder<'static>>,
}

/// Of an organization.
#[derive(Clone, Copy, Default)]
pub(super) struct Members {
    ordinal: i64,
    /// The highest number.
    pub(super) last: i64,
}

from_row!(SqliteRow => Members { ordinal, last });

impl Members {
    pub(super) async fn of(connection: &mut SqliteConnection, organization: OrganizationId) -> Result<Self> {
        let query = sqlx::query(
            "SELECT ordinal, coalesce((SELECT max(number) FROM members WHERE organization_id = $1), 0) AS last
             FROM organizations WHERE id = $1",
        );
        let found = rows::optional(connection, query.bind(organization)).await?;
        Ok(found.unwrap_or_default())
    }

    /// All of them, in spans.
    pub(super) const fn spans(self) -> Range<i64> {
        0..self.last / SPAN + 1
    }
}

impl Search {
    /// None: the filter asks for no part of anything.
    pub(super) fn new(filter: &MemberFilter) -> Option<Self> {
        let asked: [(&[Column], &[String]); 3] = [
            (&[Column::Name], &filter.name_parts),
            (&[Column::Email], &filter.email_parts),
            (&[Column::Name, Column::Email], filter.text.as_slice()),
        ];
        let finder = |part: &String| Finder::new(&fold(part)).into_owned();
        let asked: Vec<_> = asked
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(columns, parts)| AnyOf {
                columns,
                parts: parts.iter().map(finder).collect(),
            })
            .collect();
        (!asked.is_empty()).then_some(Self(asked))
    }

    /// The numbers of those who have it all, revoked or not, ascending.
    pub(super) async fn numbers(
        &self,
        connection: &mut SqliteConnection,
        texts: &KeptTexts,
        members: Members,
        spans: Range<i64>,
    ) -> Result<Vec<MemberNumber>> {
        let mut all: Option<Vec<MemberNumber>> = None;
        for any in &self.0 {
            let mut numbers = Vec::new();
            for column in any.columns {
                let first = column.span(members.ordinal);
                let spans = first + spans.start..first + spans.end;
                let see = |span, lines: &[u8]| any.look(span - first, lines, &mut numbers);
                texts.each(connection, spans, see).await?;
            }
            numbers.sort_unstable();
            numbers.dedup();
            if let Some(others) = all {
                numbers.retain(|number| others.binary_search(number).is_ok());
            }
            all = Some(numbers);
        }
        Ok(all.unwrap_or_default())
    }
}

impl AnyOf {
    /// Adds the numbers of those who have a part in the texts of a span.
    fn look(&self, span: i64, lines: &[u8], numbers: &mut Vec<MemberNumber>) {
        for part in &self.parts {
            let marks = hits(lines, part);
            numbers.extend(marks.map(|mark| MemberNumber(span * SPAN + marked(mark))));
        }
    }
}

/// The marks of the texts that have a part.
fn hits<'l>(lines: &'l [u8], part: &Finder<'_>) -> impl Iterator<Item = &'l [u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        // Behind the mark: an empty part is found in a text as well.
        let hit = MARK + part.find(rest.get(MARK..)?)?;
        let (before, behind) = rest.split_at(hit);
        let mark = before.iter().rposition(|byte| is_of_mark(*byte))? + 1;
        let next = behind.iter().position(|byte| is_of_mark(*byte));
        rest = behind.split_at(next.unwrap_or(behind.len())).1;
        before.get(..mark)?.last_chunk::<MARK>().map(|mark| &mark[..])
    })
}
