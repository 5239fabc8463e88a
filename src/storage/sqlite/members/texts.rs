//! The texts in which members are searched: names and addresses, with letter case folded by the program, so that every engine
//! folds alike.
//!
//! They are packed, to be looked at all at once: a block has those of one column of [`BLOCK`] members of an organization, in the
//! order of their numbers. Each has a mark before it that says whose it is, of bytes that are in no UTF-8. So a part of a text is
//! found in none of them, and of a text only where it has it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteRow};

use crate::{
    domain::{DisplayName, Email, Member, MemberNumber, OrganizationId},
    storage::{
        Result,
        fold::fold,
        from_row::from_row,
        sqlite::{
            columns::Statement, error::store_error, placeholders::rows, transaction::SqliteTransaction,
        },
    },
};

/// Members whose texts of one column are a row. Whoever is linked or changed writes a row of that length.
const BLOCK: i64 = 256;

/// The blocks of a span, of which the database counts the versions (migration 0019).
pub(super) const BLOCKS: i64 = 16;

/// Members whose marks differ in one column.
pub(super) const SPAN: i64 = BLOCK * BLOCKS;

/// The length of a mark. Each of its bytes has three bits of the number.
pub(super) const MARK: usize = 4;

/// The least byte of a mark. UTF-8 has none from here on (RFC 3629 §3).
const LEAST: u8 = 0xf8;

/// Rows of one statement that fills the blocks.
const ROWS: usize = 250;

/// Members whose blocks are made at once. Those of one block must be fewer.
const STEP: usize = 16_384;

/// What of a member can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Email,
}

impl Column {
    const ALL: [Self; 2] = [Self::Name, Self::Email];

    fn of(self, member: &Member) -> Option<&str> {
        match self {
            Self::Name => member.profile.name.as_ref().map(DisplayName::as_str),
            Self::Email => member.profile.email.as_ref().map(Email::as_str),
        }
    }

    /// The key of the block of a member. Blocks of one column of an organization follow each other.
    pub(super) const fn block(self, ordinal: i64, number: i64) -> i64 {
        (ordinal << 32) | ((self as i64) << 31) | (number / BLOCK)
    }

    /// The key of an organization's first span.
    pub(super) const fn span(self, ordinal: i64) -> i64 {
        self.block(ordinal, 0) / BLOCKS
    }
}

/// The ordinal of the organization that a block is of, and the first number.
const fn begin(block: i64) -> (i64, i64) {
    (block >> 32, (block & 0x7fff_ffff) * BLOCK)
}

fn mark(number: i64) -> [u8; MARK] {
    [9, 6, 3, 0].map(|shift| LEAST | ((number >> shift).to_le_bytes()[0] & 7))
}

/// The number that a mark stands for, among those of a span.
pub(super) fn marked(mark: &[u8]) -> i64 {
    mark.iter()
        .fold(0, |number, byte| (number << 3) | i64::from(byte & 7))
}

pub(super) const fn is_of_mark(byte: u8) -> bool {
    byte >= LEAST
}

fn push(lines: &mut Vec<u8>, number: i64, text: Option<&str>) {
    if let Some(text) = text {
        lines.extend(mark(number));
        lines.extend(fold(text).into_bytes());
    }
}

/// Marks and texts of a block.
fn lines(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (mark, texts) = rest.split_at_checked(MARK)?;
        let end = texts.iter().position(|byte| is_of_mark(*byte));
        let (text, behind) = texts.split_at(end.unwrap_or(texts.len()));
        rest = behind;
        Some((mark, text))
    })
}

/// A block in which these members have these texts, or none. They are in the order of their numbers.
fn with<'t>(block: &[u8], texts: impl IntoIterator<Item = (i64, Option<&'t str>)>) -> Vec<u8> {
    let mut changed = Vec::with_capacity(block.len());
    let mut texts = texts.into_iter().peekable();
    for (found, text) in lines(block) {
        while let Some((number, text)) = texts.next_if(|(number, _)| mark(*number)[..] < *found) {
            push(&mut changed, number, text);
        }
        if let Some((number, text)) = texts.next_if(|(number, _)| mark(*number)[..] == *found) {
            push(&mut changed, number, text);
        } else {
            changed.extend(found);
            changed.extend(text);
        }
    }
    for (number, text) in texts {
        push(&mut changed, number, text);
    }
    changed
}

/// Puts in the texts of a new member, by four parameters from this one on, which [`bind`] binds.
pub(super) fn put(parameter: usize) -> String {
    let column = |block: usize| {
        let lines = block + 1;
        format!(
            "INSERT INTO member_texts (block, lines) SELECT ${block}, ${lines} WHERE ${lines} IS NOT NULL
                 ON CONFLICT (block) DO UPDATE SET lines = CAST(lines || excluded.lines AS BLOB)"
        )
    };
    format!("{}; {}", column(parameter), column(parameter + 2))
}

pub(super) fn bind<'q>(mut statement: Statement<'q>, ordinal: i64, member: &Member) -> Statement<'q> {
    let number = member.number.0;
    for column in Column::ALL {
        let text = column.of(member);
        let lines = text.map(|_| with(&[], [(number, text)]));
        statement = statement.bind(column.block(ordinal, number)).bind(lines);
    }
    statement
}

/// Puts members' texts in the place of those that they had: each member after what it was before, if it was there.
pub(super) async fn replace<'m>(
    transaction: &mut SqliteTransaction<'_>,
    ordinal: i64,
    members: impl Iterator<Item = (Option<&'m Member>, &'m Member)>,
) -> Result<()> {
    let mut changed = BTreeMap::<_, Vec<_>>::new();
    for (before, after) in members {
        let number = after.number.0;
        for column in Column::ALL {
            let text = column.of(after);
            if before.and_then(|before| column.of(before)) != text {
                let block = column.block(ordinal, number);
                changed.entry(block).or_default().push((number, text));
            }
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let blocks: serde_json::Value = changed.keys().copied().collect();
    let query = sqlx::query_as(
        "SELECT block, lines FROM member_texts WHERE block IN (SELECT value FROM json_each($1))",
    );
    let found: Vec<(i64, Vec<u8>)> = transaction.rows(query.bind(blocks.to_string())).await?;
    let found: BTreeMap<_, _> = found.into_iter().collect();
    let blocks = changed.into_iter().map(|(block, mut changed)| {
        changed.sort_unstable();
        let found = found.get(&block).map_or(&[][..], Vec::as_slice);
        (block, with(found, changed))
    });
    transaction.execute_each(write(blocks.collect()), None).await
}

/// Statements that write blocks.
fn write(blocks: BTreeMap<i64, Vec<u8>>) -> impl Iterator<Item = Statement<'static>> {
    let mut blocks = blocks.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<_> = blocks.by_ref().take(ROWS).collect();
        if part.is_empty() {
            return None;
        }
        let sql = format!(
            "INSERT INTO member_texts (block, lines) VALUES {}
             ON CONFLICT (block) DO UPDATE SET lines = excluded.lines",
            rows(2, 0, part.len())
        );
        // Safe: it is put together from constants.
        let mut statement = sqlx::query(AssertSqlSafe(sql));
        for (block, lines) in part {
            statement = statement.bind(block).bind(lines);
        }
        Some(statement)
    })
}

/// Fills the blocks of a database from before there were these. In steps, each of which says in its own transaction how far it
/// got: so one that is cut off is gone on with. A block is made of the rows of its members, whatever came in between.
pub(in crate::storage::sqlite) async fn fill(connection: &mut SqliteConnection) -> Result<()> {
    // Looked at first: a step waits for everybody else who writes.
    while is_unfilled(connection).await? {
        fill_step(connection, STEP).await.map_err(store_error)?;
    }
    Ok(())
}

/// Whether there are blocks to fill yet.
pub(in crate::storage::sqlite) async fn is_unfilled(connection: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM search_backlog)")
        .fetch_one(connection)
        .await
        .map_err(store_error)
}

async fn fill_step(connection: &mut SqliteConnection, members: usize) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let from: Option<i64> = sqlx::query_scalar("SELECT next FROM search_backlog")
        .fetch_optional(&mut *transaction)
        .await?;
    // Another program may have done it.
    let Some(from) = from else { return Ok(()) };
    let (blocks, next) = wanted(&mut transaction, from, members).await?;
    for statement in write(blocks) {
        statement.execute(&mut *transaction).await?;
    }
    let progress = match next {
        Some(next) => sqlx::query("UPDATE search_backlog SET next = $1").bind(next),
        None => sqlx::query("DELETE FROM search_backlog"),
    };
    progress.execute(&mut *transaction).await?;
    transaction.commit().await
}

/// What texts are made of.
struct Texts {
    ordinal: i64,
    number: i64,
    name: Option<String>,
    email: Option<String>,
}

from_row!(SqliteRow => Texts {
    ordinal,
    number,
    name,
    email,
});

/// Blocks as the rows of members have it, those of about so many from this block of names on, with those of addresses; and the first
/// block behind them. None: they are the last.
async fn wanted(
    connection: &mut SqliteConnection,
    from: i64,
    most: usize,
) -> Result<(BTreeMap<i64, Vec<u8>>, Option<i64>), sqlx::Error> {
    let (ordinal, number) = begin(from);
    let mut members: Vec<Texts> = sqlx::query_as(
        "SELECT o.ordinal, m.number, m.name, m.email FROM organizations AS o
         CROSS JOIN members AS m ON m.organization_id = o.id AND m.number >= iif(o.ordinal = $1, $2, 0)
         WHERE o.ordinal >= $1 AND m.erased_at IS NULL ORDER BY o.ordinal, m.number LIMIT $3",
    )
    .bind(ordinal)
    .bind(number)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let of_name = |texts: &Texts| Column::Name.block(texts.ordinal, texts.number);
    // The last block may have more.
    let next = members.last().map(of_name).filter(|_| members.len() == most);
    members.retain(|texts| Some(of_name(texts)) != next);
    let mut blocks = BTreeMap::<_, Vec<u8>>::new();
    for texts in members {
        for (column, text) in [(Column::Name, texts.name), (Column::Email, texts.email)] {
            if text.is_some() {
                let block = blocks.entry(column.block(texts.ordinal, texts.number));
                push(block.or_default(), texts.number, text.as_deref());
            }
        }
    }
    Ok((blocks, next))
}

/// What is not as the rows of members have it.
#[derive(Default)]
pub(in crate::storage::sqlite) struct Differences {
    /// Whose texts are others, or not there, or not in the order of numbers, or should not be.
    pub(in crate::storage::sqlite) members: BTreeSet<(OrganizationId, MemberNumber)>,
    /// Blocks in which nobody can have a text.
    pub(in crate::storage::sqlite) blocks: i64,
}

/// Compares all blocks with the rows of members. None may be yet to be filled.
pub(in crate::storage::sqlite) async fn differences(
    connection: &mut SqliteConnection,
) -> Result<Differences> {
    let mut differences = Differences::default();
    compare(connection, &mut differences).await.map_err(store_error)?;
    Ok(differences)
}

async fn compare(
    connection: &mut SqliteConnection,
    differences: &mut Differences,
) -> Result<(), sqlx::Error> {
    differences.blocks = sqlx::query_scalar("SELECT count(*) FROM member_texts WHERE length(lines) > 0")
        .fetch_one(&mut *connection)
        .await?;
    let mut next = Some(0);
    while let Some(from) = next {
        let blocks;
        (blocks, next) = wanted(&mut *connection, from, STEP).await?;
        for (block, wanted) in blocks {
            let found: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT lines FROM member_texts WHERE block = $1")
                    .bind(block)
                    .fetch_optional(&mut *connection)
                    .await?;
            let found = found.unwrap_or_default();
            differences.blocks -= i64::from(!found.is_empty());
            if found == wanted {
                continue;
            }
            let (ordinal, first) = begin(block);
            let organization: OrganizationId =
                sqlx::query_scalar("SELECT id FROM organizations WHERE ordinal = $1")
                    .bind(ordinal)
                    .fetch_one(&mut *connection)
                    .await?;
            let (found, wanted): (Vec<_>, BTreeSet<_>) = (lines(&found).collect(), lines(&wanted).collect());
            let out_of_turn = found.windows(2).filter_map(|pair| match pair {
                [before, after] if before.0 >= after.0 => Some(after.0),
                _ => None,
            });
            let found: BTreeSet<_> = found.iter().copied().collect();
            let others = found.symmetric_difference(&wanted).map(|(mark, _)| *mark);
            let numbers = others
                .chain(out_of_turn)
                .map(|mark| first - first % SPAN + marked(mark));
            differences
                .members
                .extend(numbers.map(|number| (organization, MemberNumber(number))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Migrate, connect};

    #[test]
    fn a_mark_stands_for_a_number_of_a_span_and_grows_with_it() {
        for number in 0..SPAN {
            assert_eq!(marked(&mark(number + 7 * SPAN)), number);
            assert!(mark(number).iter().all(|byte| is_of_mark(*byte)));
            assert!(number == 0 || mark(number - 1) < mark(number));
        }
    }

    #[test]
    fn a_block_says_whose_it_is() {
        for ordinal in [0, 1, 0x7fff_ffff] {
            for number in [0, BLOCK, 0x7fff_ffff * BLOCK] {
                for column in Column::ALL {
                    for number in [number, number + BLOCK - 1] {
                        let block = column.block(ordinal, number);
                        assert_eq!(begin(block), (ordinal, number - number % BLOCK));
                    }
                }
            }
        }
    }

    #[test]
    fn a_text_comes_and_goes_in_its_place() {
        let texts = |block: &[u8]| -> Vec<(i64, String)> {
            lines(block)
                .map(|(mark, text)| (marked(mark), String::from_utf8(text.to_vec()).unwrap()))
                .collect()
        };
        let of = |number: i64, text: &str| (number, text.to_owned());
        let mut block = Vec::new();
        for (number, text) in [(300, "Jü\n"), (256, ""), (511, "c"), (257, "d")] {
            block = with(&block, [(number, Some(text))]);
        }
        assert_eq!(
            texts(&block),
            [of(256, ""), of(257, "d"), of(300, "jü\n"), of(511, "c")]
        );
        block = with(&block, [(257, None)]);
        block = with(&block, [(300, Some("Other"))]);
        block = with(&block, [(511, None)]);
        block = with(&block, [(299, None)]);
        assert_eq!(texts(&block), [of(256, ""), of(300, "other")]);
        block = with(&block, [(256, None), (300, None)]);
        assert_eq!(block, [0; 0]);
    }

    #[tokio::test]
    async fn blocks_are_filled_in_steps() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        connect(&url, Migrate::Always).await.unwrap().close().await;
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(
            "INSERT INTO organizations (id, slug, name, created_at, ordinal)
                 SELECT unhex(printf('%032x', value)), 'acme-' || value, 'Acme', 0, value FROM json_each('[1, 2, 3]');
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
                 INSERT INTO members (
                     organization_id, organization_ordinal, id, user_id, number, created_at, name, email, role
                 )
                 SELECT unhex(printf('%032x', 1 + i % 3 % 2)), 1 + i % 3 % 2, unhex(printf('%032x', i)),
                     unhex(printf('%032x', i)), i, 0, iif(i % 5, 'Member ' || i, NULL), i || '@acme.example.com', 'viewer'
                 FROM n;
             INSERT INTO search_backlog (next) VALUES (0)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let mut steps = 0;
        while is_unfilled(&mut connection).await.unwrap() {
            fill_step(&mut connection, 300).await.unwrap();
            steps += 1;
        }
        assert!(steps > 5);
        let differences = differences(&mut connection).await.unwrap();
        assert_eq!((differences.members.len(), differences.blocks), (0, 0));
        let lengths: i64 = sqlx::query_scalar("SELECT sum(length(lines)) FROM member_texts")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let expected: i64 =
            sqlx::query_scalar("SELECT sum(coalesce(length(name) + 4, 0) + length(email) + 4) FROM members")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(lengths, expected);
        connection.close().await.unwrap();
    }
}
