//! The search index: parts of names and addresses, whatever their letter case.
//!
//! It has an entry for each character of a text: what begins there, up to [`LONGEST`] characters. So any part of a text is the
//! beginning of entries, however short, and those who have it are found without reading anybody else. The entries are the
//! terms of an FTS5 table, which keeps nothing but them and who has them; the texts are in a table beside it. Letter case is
//! folded by the program, not by SQLite, so that every engine folds alike. Rows of the index have the numbers of the members'
//! rows, which within one organization grow as the members were linked: so a page of matches is read in order, from where the
//! page before ended.

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::{
    domain::{DisplayName, Email, Member, MemberFilter},
    storage::{
        Result,
        fold::fold,
        placeholders::rows,
        sqlite::{
            columns::Statement, dialect::PARAMETERS, error::store_error, transaction::SqliteTransaction,
        },
    },
};

/// The longest entry, in characters. Of a longer part, those who have pieces of this length are looked at.
const LONGEST: usize = 6;

/// How far apart pieces of a part begin: so that whatever few have of it is in one of them, unless it is longer than half a
/// piece. Each costs a search, and one that all have costs the most.
const APART: usize = LONGEST / 2;

/// As many pieces of a part are asked for at most, farther apart if it is longer.
const PIECES: usize = 16;

/// The first of the characters that organizations are written in.
const FIRST: u32 = 0x4e00;

/// How many those are.
const DIGITS: i64 = 4096;

/// Stands in the index for characters that end an entry there, which are ASCII's control characters.
const STAND_IN: char = char::REPLACEMENT_CHARACTER;

/// Puts a member in the index, of whom it has nothing.
const PUT: &str = "INSERT INTO member_texts (row, name, email) VALUES ($1, $2, $3);
     INSERT INTO member_parts (rowid, parts) VALUES ($1, $4)";

/// What the index has of a member.
#[derive(sqlx::FromRow)]
struct Texts {
    name: Option<String>,
    email: Option<String>,
}

impl Texts {
    fn of(member: &Member) -> Self {
        let (name, email) = (&member.profile.name, &member.profile.email);
        Self::folded(
            name.as_ref().map(DisplayName::as_str),
            email.as_ref().map(Email::as_str),
        )
    }

    fn folded(name: Option<&str>, email: Option<&str>) -> Self {
        Self {
            name: name.map(fold),
            email: email.map(fold),
        }
    }

    /// The entries, one a line.
    fn entries(&self, ordinal: i64) -> String {
        let mut entries = String::new();
        for (column, text) in [(Column::Name, &self.name), (Column::Email, &self.email)] {
            let Some(text) = text else { continue };
            let begin = prefix(ordinal, column);
            let text = indexed(text);
            for (start, _) in text.char_indices() {
                entries.push_str(&begin);
                entries.extend(text[start..].chars().take(LONGEST));
                entries.push('\n');
            }
        }
        entries
    }

    fn bind(self, statement: Statement<'_>, ordinal: i64) -> Statement<'_> {
        let entries = self.entries(ordinal);
        statement.bind(self.name).bind(self.email).bind(entries)
    }
}

/// Binds what the index has of a member: name, email, entries.
pub(super) fn bind<'q>(statement: Statement<'q>, ordinal: i64, member: &Member) -> Statement<'q> {
    Texts::of(member).bind(statement, ordinal)
}

/// Puts a member in the index in the place of what is there about it.
pub(super) async fn put(
    transaction: &mut SqliteTransaction<'_>,
    ordinal: i64,
    row: i64,
    member: &Member,
) -> Result<()> {
    remove(transaction, ordinal, row).await?;
    let statement = sqlx::query(PUT).bind(row);
    transaction.execute(bind(statement, ordinal, member)).await
}

/// Puts members in the index whose rows follow each other and are new.
pub(super) fn put_many(ordinal: i64, first: i64, members: &[Member]) -> Statement<'static> {
    let values = |width| rows(width, 0, members.len(), PARAMETERS);
    let sql = format!(
        "INSERT INTO member_texts (row, name, email) VALUES {};
         INSERT INTO member_parts (rowid, parts) VALUES {}",
        values(3),
        values(2),
    );
    // Safe: it is put together from constants.
    let mut statement = sqlx::query(AssertSqlSafe(sql));
    let mut entries = Vec::with_capacity(members.len());
    for (row, member) in (first..).zip(members) {
        let texts = Texts::of(member);
        entries.push((row, texts.entries(ordinal)));
        statement = statement.bind(row).bind(texts.name).bind(texts.email);
    }
    for (row, entries) in entries {
        statement = statement.bind(row).bind(entries);
    }
    statement
}

/// Takes a member out of the index. It must be told the entries, which it keeps nowhere else.
pub(super) async fn remove(transaction: &mut SqliteTransaction<'_>, ordinal: i64, row: i64) -> Result<()> {
    let query = sqlx::query_as("SELECT name, email FROM member_texts WHERE row = $1").bind(row);
    let texts: Option<Texts> = transaction.optional(query).await?;
    let Some(texts) = texts else { return Ok(()) };
    let statement = sqlx::query(
        "INSERT INTO member_parts (member_parts, rowid, parts) VALUES ('delete', $1, $2);
         DELETE FROM member_texts WHERE row = $1",
    );
    let statement = statement.bind(row).bind(texts.entries(ordinal));
    transaction.execute(statement).await
}

/// Puts members in the index who are not in it: those of a database from before there was this one. In steps, each of which
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

/// A member who is to be in the index.
#[derive(sqlx::FromRow)]
struct Backlogged {
    row: i64,
    ordinal: i64,
    is_there: bool,
    name: Option<String>,
    email: Option<String>,
}

/// False: there is nothing left to do.
async fn fill_step(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    const STEP: u32 = 1000;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Who is in it already was changed meanwhile.
    let rows: Vec<Backlogged> = sqlx::query_as(
        "SELECT m.row, o.ordinal, EXISTS (SELECT 1 FROM member_texts WHERE row = m.row) AS is_there, m.name, m.email
         FROM search_backlog AS b
         CROSS JOIN members AS m ON m.row > b.done AND m.row <= b.last
         CROSS JOIN organizations AS o ON o.id = m.organization_id
         WHERE m.erased_at IS NULL ORDER BY m.row LIMIT $1",
    )
    .bind(STEP)
    .fetch_all(&mut *transaction)
    .await?;
    let Some(Backlogged { row: done, .. }) = rows.last() else {
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
    for member in rows {
        if !member.is_there {
            let texts = Texts::folded(member.name.as_deref(), member.email.as_deref());
            let statement = texts.bind(sqlx::query(PUT).bind(member.row), member.ordinal);
            statement.execute(&mut *transaction).await?;
        }
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

    /// What stands for it in an entry. No organization is written with it.
    const fn letter(self) -> char {
        match self {
            Self::Name => 'n',
            Self::Email => 'e',
        }
    }
}

/// Folded parts of which one must be in one of the columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) columns: &'static [Column],
    pub(super) parts: Vec<String>,
}

/// What the index is asked, and what is looked for in the texts of those it finds.
pub(super) struct Search {
    /// An FTS5 query. None: everybody is looked at.
    pub(super) query: Option<String>,
    /// All of it must hold.
    pub(super) scan: Vec<Scan>,
}

impl Search {
    /// None: the filter asks for no part of anything.
    ///
    /// Of several things asked for, the index is asked for the one whose parts are the longest, as they are of the fewest.
    pub(super) fn new(filter: &MemberFilter, ordinal: i64) -> Option<Self> {
        let mut search = Self::of_each(filter)?;
        let shortest = |scan: &Scan| scan.parts.iter().map(|part| part.chars().count()).min();
        let (best, asked) = search
            .scan
            .iter()
            .enumerate()
            .max_by_key(|(_, scan)| shortest(scan))?;
        let mut any = Vec::new();
        for column in asked.columns {
            any.extend(asked.parts.iter().map(|part| entry(ordinal, *column, part)));
        }
        search.query = Some(any.join(" OR "));
        if asked.parts.iter().all(|part| is_exact(part)) {
            search.scan.remove(best);
        }
        Some(search)
    }

    /// The same search without the index: everything is looked for in each member.
    pub(super) fn of_each(filter: &MemberFilter) -> Option<Self> {
        let asked: [(&[Column], &[String]); 3] = [
            (&[Column::Name], &filter.name_parts),
            (&[Column::Email], &filter.email_parts),
            (&[Column::Name, Column::Email], filter.text.as_slice()),
        ];
        let scan: Vec<_> = asked
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(columns, parts)| Scan {
                columns,
                parts: parts.iter().map(|part| fold(part)).collect(),
            })
            .collect();
        (!scan.is_empty()).then_some(Self { query: None, scan })
    }
}

/// Asks for a folded part in a column: by one entry, or, of a longer part, by entries for pieces of it, the first and the last
/// among them.
fn entry(ordinal: i64, column: Column, part: &str) -> String {
    let begin = prefix(ordinal, column);
    let characters: Vec<char> = indexed(part).chars().collect();
    let Some(last) = characters.len().checked_sub(LONGEST) else {
        let part: String = characters.into_iter().collect();
        return format!("{} *", quote(&format!("{begin}{part}")));
    };
    let pieces = PIECES.min(last.div_ceil(APART) + 1);
    let all: Vec<_> = (0..pieces)
        .map(|piece| piece * last / (pieces - 1).max(1))
        .map(|start| characters[start..start + LONGEST].iter().collect::<String>())
        .map(|piece| quote(&format!("{begin}{piece}")))
        .collect();
    format!("({})", all.join(" AND "))
}

/// Whether nobody is found by the entry of a part who does not have it.
fn is_exact(part: &str) -> bool {
    part.chars().count() <= LONGEST && !indexed(part).contains(STAND_IN)
}

/// A text as it is in entries.
fn indexed(text: &str) -> String {
    let character = |character: char| {
        if character.is_ascii_control() {
            STAND_IN
        } else {
            character
        }
    };
    text.chars().map(character).collect()
}

/// What the entries of an organization begin with in a column: its ordinal in characters that are not ASCII, and a letter that
/// is.
fn prefix(ordinal: i64, column: Column) -> String {
    let digits = [
        ordinal / DIGITS / DIGITS / DIGITS,
        ordinal / DIGITS / DIGITS,
        ordinal / DIGITS,
        ordinal,
    ];
    let mut prefix: String = digits
        .into_iter()
        .map(|digits| digits.rem_euclid(DIGITS))
        .skip_while(|digit| *digit == 0)
        .filter_map(|digit| u32::try_from(digit).ok())
        .filter_map(|digit| char::from_u32(FIRST + digit))
        .collect();
    prefix.push(column.letter());
    prefix
}

/// A string of an FTS5 query (sqlite.org/fts5.html §3.1).
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_of_an_organization_begins_as_those_of_another() {
        let ordinals = [0, 1, 4095, 4096, 4097, 16_777_215, 16_777_216, 68_719_476_735];
        let prefixes: Vec<_> = ordinals
            .into_iter()
            .flat_map(|ordinal| [Column::Name, Column::Email].map(|column| prefix(ordinal, column)))
            .collect();
        for (index, prefix) in prefixes.iter().enumerate() {
            for other in &prefixes[index + 1..] {
                assert!(!prefix.starts_with(other) && !other.starts_with(prefix));
            }
        }
    }

    #[test]
    fn a_text_has_an_entry_for_each_character() {
        let texts = Texts::folded(Some("Jü\tEx"), Some("a@b"));
        assert_eq!(
            texts.entries(1),
            "丁njü\u{fffd}ex\n丁nü\u{fffd}ex\n丁n\u{fffd}ex\n丁nex\n丁nx\n丁ea@b\n丁e@b\n丁eb\n"
        );
        let long = Texts::folded(Some("0123456789"), None).entries(1);
        assert!(long.starts_with("丁n012345\n丁n123456\n丁n234567\n"));
    }

    fn of(name_parts: &[&str], email_parts: &[&str], text: Option<&str>) -> (String, Vec<Scan>) {
        let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        let filter = MemberFilter {
            name_parts: owned(name_parts),
            email_parts: owned(email_parts),
            text: text.map(str::to_owned),
            ..MemberFilter::default()
        };
        let search = Search::new(&filter, 1).unwrap();
        (search.query.unwrap(), search.scan)
    }

    #[test]
    fn the_index_is_asked_for_the_longest_and_the_rest_is_looked_for() {
        let (query, scan) = of(&["Jü", "sally"], &["A\"B"], None);
        assert_eq!(query, "\"丁ea\"\"b\" *");
        let rest = Scan {
            columns: &[Column::Name],
            parts: vec!["jü".to_owned(), "sally".to_owned()],
        };
        assert_eq!(scan, [rest]);
        assert!(Search::new(&MemberFilter::default(), 1).is_none());
    }

    #[test]
    fn a_text_is_asked_of_names_and_addresses() {
        let (query, scan) = of(&[], &[], Some("SA"));
        assert_eq!((query.as_str(), scan), ("\"丁nsa\" * OR \"丁esa\" *", vec![]));
    }

    #[test]
    fn a_long_part_is_asked_for_in_pieces_and_looked_for() {
        let (query, scan) = of(&["Sally Smith"], &[], None);
        assert_eq!(query, "(\"丁nsally \" AND \"丁nlly sm\" AND \"丁n smith\")");
        assert_eq!(scan[0].parts, ["sally smith"]);
        let (query, scan) = of(&["012345"], &[], None);
        assert_eq!((query.as_str(), scan), ("(\"丁n012345\")", vec![]));
        let (query, _) = of(&[&"x".repeat(255)], &[], None);
        assert_eq!(query.matches("AND").count(), PIECES - 1);
    }
}
