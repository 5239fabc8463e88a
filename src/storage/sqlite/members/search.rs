//! The search index: parts of names and addresses, whatever their letter case.
//!
//! FTS5's trigram tokenizer finds any part of three characters or more without reading every member. Letter case is
//! folded by the program, not by SQLite, so that every engine folds alike. Rows of the index have the numbers of the members'
//! rows, which within one organization grow as the members were linked: so a page of matches is read in order, from
//! where the page before ended.

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::{
    domain::{DisplayName, Email, Member, MemberFilter},
    storage::{
        Result,
        fold::fold,
        placeholders::rows,
        sqlite::{columns::Statement, dialect::PARAMETERS, error::store_error},
    },
};

/// The shortest part that the index finds, in characters. A shorter one is looked for in each member of the
/// organization.
const SHORTEST: usize = 3;

/// The first of the characters that organizations are written in.
const FIRST: u32 = 0x4e00;

/// How many those are.
const DIGITS: i64 = 4096;

const PUT: &str =
    "INSERT OR REPLACE INTO member_search (rowid, organization, name, email) VALUES ($1, $2, $3, $4)";

/// Puts a member in the index in the place of what is there about it.
pub(super) fn put(ordinal: i64, row: i64, member: &Member) -> Statement<'static> {
    bind(sqlx::query(PUT).bind(row), ordinal, member)
}

/// Puts members in the index whose rows follow each other and are new.
pub(super) fn put_many(ordinal: i64, first: i64, members: &[Member]) -> Statement<'static> {
    let sql = format!(
        "INSERT INTO member_search (rowid, organization, name, email) VALUES {}",
        rows(4, 0, members.len(), PARAMETERS)
    );
    // Safe: it is put together from constants.
    let mut statement = sqlx::query(AssertSqlSafe(sql));
    for (row, member) in (first..).zip(members) {
        statement = bind(statement.bind(row), ordinal, member);
    }
    statement
}

/// Binds what the index has of a member: organization, name, email.
pub(super) fn bind<'q>(statement: Statement<'q>, ordinal: i64, member: &Member) -> Statement<'q> {
    let (name, email) = (&member.profile.name, &member.profile.email);
    statement
        .bind(organization(ordinal))
        .bind(name.as_ref().map(DisplayName::as_str).map(fold))
        .bind(email.as_ref().map(Email::as_str).map(fold))
}

/// Takes a member out of the index.
pub(super) fn remove(row: i64) -> Statement<'static> {
    sqlx::query("DELETE FROM member_search WHERE rowid = $1").bind(row)
}

/// Puts members in the index who are not in it: those of a database from before there was one. In steps, each of which
/// says in its own transaction how far it got: so one that is cut off is gone on with, whatever came in between.
pub(in crate::storage::sqlite) async fn fill(connection: &mut SqliteConnection) -> Result<()> {
    let backlog: i64 = sqlx::query_scalar("SELECT count(*) FROM search_backlog")
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    // Looked at first: a step waits for everybody else who writes.
    if backlog > 0 {
        while fill_step(connection).await.map_err(store_error)? {}
    }
    Ok(())
}

/// False: there is nothing left to do.
async fn fill_step(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    const STEP: u32 = 1000;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let rows: Vec<(i64, i64, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT m.row, o.ordinal, m.name, m.email FROM search_backlog AS b
         CROSS JOIN members AS m ON m.row > b.done AND m.row <= b.last
         CROSS JOIN organizations AS o ON o.id = m.organization_id
         WHERE m.erased_at IS NULL ORDER BY m.row LIMIT $1",
    )
    .bind(STEP)
    .fetch_all(&mut *transaction)
    .await?;
    let Some((done, ..)) = rows.last() else {
        sqlx::query("DELETE FROM search_backlog")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        return Ok(false);
    };
    sqlx::query("UPDATE search_backlog SET done = $1")
        .bind(done)
        .execute(&mut *transaction)
        .await?;
    for (row, ordinal, name, email) in rows {
        sqlx::query(PUT)
            .bind(row)
            .bind(organization(ordinal))
            .bind(name.as_deref().map(fold))
            .bind(email.as_deref().map(fold))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// What of a member can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Email,
}

impl Column {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
        }
    }

    /// Its name in the table in which the index keeps its texts.
    pub(super) const fn stored_name(self) -> &'static str {
        match self {
            Self::Name => "c1",
            Self::Email => "c2",
        }
    }
}

/// Folded parts of which one must be in one of the columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) columns: &'static [Column],
    pub(super) parts: Vec<String>,
}

/// What the index is asked, and what it can't be asked.
pub(super) struct Search {
    /// An FTS5 query.
    pub(super) query: Option<String>,
    /// All of it must hold.
    pub(super) scan: Vec<Scan>,
}

impl Search {
    /// None: the filter asks for no part of anything.
    pub(super) fn new(filter: &MemberFilter, ordinal: i64) -> Option<Self> {
        Self::with(filter, ordinal, |part| part.chars().count() >= SHORTEST)
    }

    /// The same search without the index: everything is looked for in each member.
    pub(super) fn of_each(filter: &MemberFilter) -> Option<Self> {
        Self::with(filter, 0, |_| false)
    }

    fn with(filter: &MemberFilter, ordinal: i64, is_indexed: impl Fn(&str) -> bool) -> Option<Self> {
        let mut terms = vec![format!("organization : {}", quote(&organization(ordinal)))];
        let mut scan = Vec::new();
        let asked: [(&[Column], &[String]); 3] = [
            (&[Column::Name], &filter.name_parts),
            (&[Column::Email], &filter.email_parts),
            (&[Column::Name, Column::Email], filter.text.as_slice()),
        ];
        for (columns, parts) in asked {
            if parts.is_empty() {
                continue;
            }
            let parts: Vec<_> = parts.iter().map(|part| fold(part)).collect();
            if parts.iter().all(|part| is_indexed(part)) {
                let names: Vec<_> = columns.iter().map(|column| column.name()).collect();
                let any: Vec<_> = parts.iter().map(|part| quote(part)).collect();
                terms.push(format!("{{{}}} : ({})", names.join(" "), any.join(" OR ")));
            } else {
                scan.push(Scan { columns, parts });
            }
        }
        match (terms.len(), scan.is_empty()) {
            (1, true) => None,
            (1, false) => Some(Self { query: None, scan }),
            _ => Some(Self {
                query: Some(terms.join(" AND ")),
                scan,
            }),
        }
    }
}

/// An organization's ordinal as three characters, which are one trigram.
fn organization(ordinal: i64) -> String {
    [ordinal / DIGITS / DIGITS, ordinal / DIGITS, ordinal]
        .into_iter()
        .filter_map(|digits| u32::try_from(digits.rem_euclid(DIGITS)).ok())
        .filter_map(|digit| char::from_u32(FIRST + digit))
        .collect()
}

/// A string of an FTS5 query (sqlite.org/fts5.html §3.1).
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_organization_has_three_characters_of_its_own() {
        let ordinals = [0, 1, 4095, 4096, 4097, 16_777_215, 16_777_216, 68_719_476_735];
        let written: std::collections::HashSet<_> = ordinals.map(organization).into_iter().collect();
        assert_eq!(written.len(), ordinals.len());
        assert!(written.iter().all(|text| text.chars().count() == 3));
    }

    #[test]
    fn short_parts_are_not_asked_of_the_index() {
        let filter = MemberFilter {
            name_parts: vec!["Jü".into(), "sally".into()],
            email_parts: vec!["A\"B".into()],
            ..MemberFilter::default()
        };
        let search = Search::new(&filter, 0).unwrap();
        assert_eq!(
            search.query.unwrap(),
            "organization : \"一一一\" AND {email} : (\"a\"\"b\")"
        );
        let scan = Scan {
            columns: &[Column::Name],
            parts: vec!["jü".to_owned(), "sally".to_owned()],
        };
        assert_eq!(search.scan, [scan]);
        assert!(Search::new(&MemberFilter::default(), 0).is_none());
    }

    #[test]
    fn a_text_is_asked_of_names_and_addresses() {
        let of = |text: &str| {
            let filter = MemberFilter {
                text: Some(text.to_owned()),
                ..MemberFilter::default()
            };
            Search::new(&filter, 0).unwrap()
        };
        let long = of("Sally");
        assert_eq!(
            long.query.unwrap(),
            "organization : \"一一一\" AND {name email} : (\"sally\")"
        );
        assert_eq!(long.scan, []);
        let short = of("SA");
        assert_eq!(short.query, None);
        let scan = Scan {
            columns: &[Column::Name, Column::Email],
            parts: vec!["sa".to_owned()],
        };
        assert_eq!(short.scan, [scan]);
    }
}
